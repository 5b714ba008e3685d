//! The revocation feed: everything that ends tokens before their time, signed, for services that verify offline.
//!
//! Its octets follow from what is revoked, the hour and the signing key, so that every node makes the same, and a
//! client that meets another node each time hears of a change once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::authority::Authority;
use crate::clock::Timestamp;
use crate::directory::RevocationList;
use crate::keys::KeyError;
use crate::oauth::StatementType;
use crate::secret::sha256;

/// The feed as it is sent.
pub struct Feed {
    /// The JWT.
    pub jwt: String,
    /// A strong entity tag, in quotes.
    pub etag: String,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed({}, {} octets)", self.etag, self.jwt.len())
    }
}

/// What a feed was made of.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    version: u64,
    hour: Timestamp,
    kid: Option<String>,
}

/// The last feed that was made.
#[derive(Debug, Default)]
pub(super) struct LastFeed(Mutex<Option<(Origin, Arc<Feed>)>>);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: Timestamp,
    revoked: &'a BTreeMap<Box<str>, Timestamp>,
    not_before: NotBefore<'a>,
    disabled: Disabled<'a>,
}

#[derive(Serialize)]
struct NotBefore<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Timestamp>,
    clients: &'a BTreeMap<String, Timestamp>,
    tenants: &'a BTreeMap<String, Timestamp>,
}

#[derive(Serialize)]
struct Disabled<'a> {
    clients: Vec<&'a str>,
    tenants: Vec<&'a str>,
}

/// The feed as it is now. Made anew when something is revoked or forgotten, and once an hour.
///
/// # Errors
/// When it cannot be signed: a fault of the server.
pub fn current(authority: &Authority, now: Timestamp) -> Result<Arc<Feed>, KeyError> {
    let directory = &authority.directory;
    // The version first: what changes after that makes another one.
    let version = *directory.watch_revocations().borrow();
    let origin = Origin { version, hour: now.hour(), kid: directory.ring().signing_kid(now) };
    let mut last = authority.feed.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, feed)) = &*last
        && *known == origin
    {
        return Ok(feed.clone());
    }
    let list = directory.revocation_list(origin.hour);
    let claims = claims(authority.issuer(), origin.hour, &list);
    let jwt = directory.ring().sign_statement(StatementType::Revocations, &claims, now)?;
    let digest: String = sha256(jwt.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let feed = Arc::new(Feed { jwt, etag: format!("\"{digest}\"") });
    *last = Some((origin, feed.clone()));
    Ok(feed)
}

fn claims<'a>(issuer: &'a str, hour: Timestamp, list: &'a RevocationList) -> Claims<'a> {
    let RevocationList { revoked, cut_offs } = list;
    Claims {
        iss: issuer,
        iat: hour,
        revoked,
        not_before: NotBefore {
            all: Some(cut_offs.all).filter(|all| *all != Timestamp::NEVER),
            clients: &cut_offs.clients,
            tenants: &cut_offs.tenants,
        },
        disabled: Disabled {
            clients: cut_offs.disabled_clients.keys().map(String::as_str).collect(),
            tenants: cut_offs.disabled_tenants.keys().map(String::as_str).collect(),
        },
    }
}
