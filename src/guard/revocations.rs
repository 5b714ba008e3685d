//! The revocation feed: tokens, apps and organisations that are dead before their tokens' time, as the server signed it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::refusal::Lacking;
use super::source::FetchError;
use crate::clock::Timestamp;
use crate::keys::jws::UnverifiedJws;
use crate::keys::verify::JwksKeys;
use crate::oauth::claims::{Actor, ReadClaims};

/// In octets; hundreds of thousands of revoked tokens.
pub(super) const LONGEST_FEED: usize = 32 * 1024 * 1024;
/// The `typ` of a feed: an access token is none.
const TYP: &str = "revocations+jwt";
/// `iat` is the hour in which a feed was made; an older one was kept by somebody on the way.
const OLDEST: Duration = Duration::from_secs(2 * 3_600);

/// What is dead. Members that are not known here are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct RevocationList {
    iss: Box<str>,
    iat: Timestamp,
    revoked: HashMap<Box<str>, IgnoredAny>,
    not_before: NotBefore,
    disabled: Disabled,
}

/// Tokens issued before these moments are dead.
#[derive(Debug, Deserialize)]
struct NotBefore {
    all: Option<Timestamp>,
    clients: HashMap<Box<str>, Timestamp>,
    tenants: HashMap<Box<str>, Timestamp>,
}

/// All their tokens are dead.
#[derive(Debug, Deserialize)]
struct Disabled {
    clients: HashSet<Box<str>>,
    tenants: HashSet<Box<str>>,
}

/// Why a feed is not believed.
#[derive(Debug)]
pub(super) enum FeedError {
    /// Its key is not among those that are known: they may be old.
    UnknownKey,
    /// Anything else.
    Wrong(FetchError),
}

impl From<FeedError> for FetchError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::UnknownKey => Self::new("the revocation feed was signed with a key that is not published"),
            FeedError::Wrong(why) => why,
        }
    }
}

fn wrong(what: impl std::fmt::Display) -> FeedError {
    FeedError::Wrong(FetchError::new(format!("the revocation feed is not believed: {what}")))
}

impl RevocationList {
    /// Reads a feed that was signed with one of `keys`. Also says with which.
    pub(super) fn read(
        feed: &str,
        keys: &JwksKeys,
        issuer: &str,
        now: Timestamp,
    ) -> Result<(Self, Box<str>), FeedError> {
        let jws = UnverifiedJws::parse(feed, LONGEST_FEED).map_err(wrong)?;
        let kid = jws.kid().ok_or(FeedError::UnknownKey)?;
        let payload = jws.verify(keys.find(kid).ok_or(FeedError::UnknownKey)?).map_err(wrong)?;
        if jws.typ() != Some(TYP) {
            return Err(wrong(format!("its typ is not {TYP}")));
        }
        let list: Self = serde_json::from_slice(payload).map_err(wrong)?;
        if *list.iss != *issuer {
            return Err(wrong("it is another issuer's"));
        }
        list.check_age(now)?;
        Ok((list, kid.into()))
    }

    /// The server makes another each hour: what says that an older one is the current one is not the server.
    pub(super) fn check_age(&self, now: Timestamp) -> Result<(), FeedError> {
        if now.since(self.iat) > OLDEST {
            return Err(wrong(format!("it is of {}, more than two hours ago", self.iat)));
        }
        Ok(())
    }

    /// Whether a token is dead. `iat` as it stands in the token, with no leeway.
    pub(super) fn revokes(&self, token: &ReadClaims) -> bool {
        let tenant = &token.tenant;
        // A token that was exchanged dies with everybody who had a hand in it.
        let actors = token.act.iter().flat_map(Actor::chain).map(|actor| &*actor.sub);
        let subject = token.act.as_ref().map(|_| &*token.sub);
        let ends_with = |client: &str| {
            let cut_off = self.not_before.clients.get(client);
            cut_off.is_some_and(|cut_off| token.iat < *cut_off) || self.disabled.clients.contains(client)
        };
        let cut_offs = [self.not_before.all.as_ref(), self.not_before.tenants.get(tenant)];
        self.revoked.contains_key(&token.jti)
            || cut_offs.into_iter().flatten().any(|cut_off| token.iat < *cut_off)
            || self.disabled.tenants.contains(tenant)
            || std::iter::once(&*token.client_id).chain(subject).chain(actors).any(ends_with)
    }
}

/// What is known of the feed.
#[derive(Debug, Clone)]
pub(super) enum Feed {
    /// It was not had yet.
    Unknown,
    /// The server has none: it is of an older version.
    Unsupported,
    /// The last one, and when the server last said that it is the current one.
    Known { list: Arc<RevocationList>, confirmed_at: Timestamp },
}

/// The feed, as every request sees it.
pub(super) struct Revocations(ArcSwap<Feed>);

impl Revocations {
    pub(super) fn new() -> Self {
        Self(ArcSwap::from_pointee(Feed::Unknown))
    }

    pub(super) fn get(&self) -> Arc<Feed> {
        self.0.load_full()
    }

    pub(super) fn set(&self, feed: Feed) {
        self.0.store(Arc::new(feed));
    }

    /// The list, if it is not too old; none if the server has no feed.
    pub(super) fn current(&self, now: Timestamp, max_stale: Duration) -> Result<Option<Arc<RevocationList>>, Lacking> {
        match &**self.0.load() {
            Feed::Unknown => Err(Lacking::Revocations),
            Feed::Unsupported => Ok(None),
            Feed::Known { confirmed_at, .. } if now.since(*confirmed_at) > max_stale => Err(Lacking::FreshRevocations),
            Feed::Known { list, .. } => Ok(Some(list.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUED_AT: i64 = 1_795_305_600;

    fn list(changes: &Value) -> RevocationList {
        let mut list = json!({
            "iss": "i", "iat": ISSUED_AT, "revoked": {}, "not_before": { "clients": {}, "tenants": {} },
            "disabled": { "clients": [], "tenants": [] },
        });
        for (name, value) in changes.as_object().unwrap() {
            list[name] = value.clone();
        }
        serde_json::from_value(list).unwrap()
    }

    fn not_before(all: Option<i64>, client: &str, tenant: &str, at: i64) -> Value {
        json!({ "not_before": { "all": all, "clients": { client: at }, "tenants": { tenant: at } } })
    }

    #[test]
    fn an_entry_kills_the_tokens_that_it_names_and_no_others() {
        let token: ReadClaims = serde_json::from_value(json!({
            "iss": "i", "aud": "a", "exp": ISSUED_AT + 60, "nbf": ISSUED_AT, "iat": ISSUED_AT, "jti": "id", "sub": "app",
            "client_id": "app", "scope": "", "tenant": "acme",
        }))
        .unwrap();
        let (same, later) = (ISSUED_AT, ISSUED_AT + 1);
        for (entry, is_dead) in [
            (json!({}), false),
            (json!({ "revoked": { "id": later } }), true),
            (json!({ "revoked": { "ID": later, "other": later } }), false),
            (not_before(Some(later), "other", "other", 0), true),
            (not_before(None, "app", "other", later), true),
            (not_before(None, "other", "acme", later), true),
            (not_before(Some(0), "app", "other", later), true),
            (not_before(Some(same), "app", "acme", same), false),
            (not_before(None, "acme", "app", later), false),
            (json!({ "disabled": { "clients": ["app"], "tenants": [] } }), true),
            (json!({ "disabled": { "clients": [], "tenants": ["acme"] } }), true),
            (json!({ "disabled": { "clients": ["acme"], "tenants": ["app"] } }), false),
            (json!({ "more": ["id"] }), false),
        ] {
            assert_eq!(list(&entry).revokes(&token), is_dead, "{entry}");
        }
    }
}
