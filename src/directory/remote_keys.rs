//! Keys behind URLs: fetched by one thread for all who wait, kept for as long as their answer allows, and not asked for
//! again at every failure. A server that is slow, dead or hostile costs others nothing and never loses good keys.

mod preview;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

pub use self::preview::KeyPreview;
use self::preview::PREVIEWS_AT_ONCE;
use super::fetch_permits::FetchPermits;
use super::foreign_keys::SignatureError;
use super::outbound::{Fetched, Fetcher};
use crate::clock::Timestamp;
use crate::keys::budget::SignatureBudget;
use crate::keys::jws::UnverifiedJws;
use crate::keys::key_set::{KeySetError, PublicKeys};
use crate::oauth::json::read_object;

/// Sets remembered; the ones used least are forgotten first.
const SETS_REMEMBERED: usize = 4_096;
/// Keys are kept for as long as their answer says, but within these.
const SHORTEST_KEPT: Duration = Duration::from_secs(300);
const LONGEST_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// For answers that do not say.
const USUALLY_KEPT: Duration = Duration::from_secs(3_600);
/// How much longer keys are used while they cannot be fetched anew.
const LONGEST_STALE: Duration = Duration::from_secs(24 * 3_600);
/// From one fetch to the next, whatever anybody asks for.
const COOL_DOWN: Duration = Duration::from_secs(60);
/// After a first failure, doubled by each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A JWK set somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RemoteSet {
    /// Behind this URL.
    Url(Arc<str>),
    /// Behind the URL that this issuer names in its configuration
    /// ([OpenID Connect Discovery §4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig)).
    OfIssuer(Arc<str>),
}

impl RemoteSet {
    fn as_str(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::OfIssuer(issuer) => issuer,
        }
    }

    /// Where it is: for that an issuer's configuration is fetched.
    fn locate(&self, fetcher: &Fetcher) -> Result<String, String> {
        match self {
            Self::Url(url) => Ok(url.to_string()),
            Self::OfIssuer(issuer) => {
                let url = configuration_url(issuer);
                let configuration = fetcher.fetch(&url).map_err(|error| format!("its configuration: {error}"))?;
                jwks_uri(&configuration.body, issuer)
            }
        }
    }

    /// Fetches it: no more than two requests, each bounded.
    fn fetch(&self, fetcher: &Fetcher) -> Result<Fetched, String> {
        fetcher.fetch(&self.locate(fetcher)?)
    }
}

/// Where an issuer's configuration is.
pub(super) fn configuration_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// The URL that a configuration names, if it is the issuer's.
fn jwks_uri(configuration: &[u8], issuer: &str) -> Result<String, String> {
    let members = read_object(configuration).map_err(|error| format!("its configuration: {error}"))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("its configuration names another issuer".to_owned());
    }
    text("jwks_uri").map(str::to_owned).ok_or_else(|| "its configuration names no jwks_uri".to_owned())
}

/// What a node knows of keys that are somewhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteStatus {
    /// When they were last fetched.
    pub fetched_at: Option<Timestamp>,
    /// Until when they are used without asking again.
    pub fresh_until: Option<Timestamp>,
    /// Before this moment nobody asks again.
    pub not_before: Option<Timestamp>,
    /// Why the last fetch failed, if it did.
    pub failure: Option<String>,
}

/// Keys that were fetched, and when they should be fetched anew.
#[derive(Clone)]
struct Kept {
    keys: Arc<PublicKeys>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl Kept {
    /// Whether they should be fetched anew. A clock that was set back makes them no younger.
    fn is_old(&self, now: Timestamp) -> bool {
        now >= self.fresh_until || is_set_back(self.fetched_at, now)
    }
}

/// Whether the clock shows an earlier time than at that moment, by more than requests overtake each other.
fn is_set_back(at: Timestamp, now: Timestamp) -> bool {
    now + COOL_DOWN < at
}

/// What is known of one set.
#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// When the last fetch began, and when the next may.
    pause: Option<(Timestamp, Timestamp)>,
    failures: u32,
    failure: Option<String>,
    /// Of a fetch under way: its sender is gone when it is done.
    under_way: Option<watch::Receiver<()>>,
}

impl State {
    fn may_fetch(&self, now: Timestamp) -> bool {
        self.pause.is_none_or(|(since, until)| now >= until || is_set_back(since, now))
    }

    fn usable(&self, now: Timestamp) -> Option<&Kept> {
        self.kept.as_ref().filter(|kept| now < kept.fresh_until + LONGEST_STALE)
    }

    /// The keys, or why there are none.
    fn keys(&self, now: Timestamp) -> Result<Arc<PublicKeys>, String> {
        self.usable(now).map(|kept| kept.keys.clone()).ok_or_else(|| {
            let reason = self.failure.as_deref().unwrap_or("the fetch did not end");
            format!("its keys cannot be fetched: {reason}")
        })
    }

    fn under_way(&self) -> Option<&watch::Receiver<()>> {
        self.under_way.as_ref().filter(|under_way| under_way.has_changed().is_ok())
    }

    /// Whether a fetch may begin or is under way.
    fn may_bring_newer(&self, now: Timestamp) -> bool {
        self.under_way().is_some() || self.may_fetch(now)
    }

    fn take_in(&mut self, fetched: Result<(PublicKeys, Option<Duration>), String>, now: Timestamp) {
        match fetched {
            Ok((keys, max_age)) => {
                let kept = max_age.unwrap_or(USUALLY_KEPT).clamp(SHORTEST_KEPT, LONGEST_KEPT);
                self.kept = Some(Kept { keys: Arc::new(keys), fetched_at: now, fresh_until: now + kept });
                self.pause = Some((now, now + COOL_DOWN));
                self.failures = 0;
                self.failure = None;
            }
            Err(reason) => {
                let doubled = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
                self.pause = Some((now, now + doubled.min(LONGEST_PAUSE)));
                self.failures = self.failures.saturating_add(1);
                self.failure = Some(reason);
            }
        }
    }
}

#[derive(Default)]
struct Entry(Mutex<State>);

impl Entry {
    /// Held for a few instructions, never while something is fetched.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys that are somewhere else.
pub(super) struct RemoteKeys {
    fetcher: Arc<Fetcher>,
    entries: Cache<RemoteSet, Arc<Entry>>,
    permits: FetchPermits,
    previews: Arc<Semaphore>,
}

impl RemoteKeys {
    pub(super) fn new(allow_private: bool) -> Self {
        Self {
            fetcher: Arc::new(Fetcher::new(allow_private)),
            entries: Cache::new(SETS_REMEMBERED),
            permits: FetchPermits::default(),
            previews: Arc::new(Semaphore::new(PREVIEWS_AT_ONCE)),
        }
    }

    fn entry(&self, set: &RemoteSet) -> Arc<Entry> {
        let made = self.entries.get_or_insert_with(set, || Ok::<_, std::convert::Infallible>(Arc::default()));
        made.unwrap_or_default()
    }

    /// Verifies a JWS with the keys of a set. If they lack its key, they are fetched anew, once in a while. A fetch is one of
    /// those of that organisation.
    pub(super) async fn verify(
        &self,
        set: &RemoteSet,
        organisation_id: Uuid,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(), SignatureError> {
        match self.verify_at_hand(set, organisation_id, jws, now, budget) {
            Some(verified) => verified.map_err(SignatureError::Refused),
            None => self.verify_fetched(set, organisation_id, jws, now, budget).await,
        }
    }

    /// Fetches the keys or waits for those that are being fetched, and verifies a JWS with them.
    pub(super) async fn verify_fetched(
        &self,
        set: &RemoteSet,
        organisation_id: Uuid,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(), SignatureError> {
        let entry = self.entry(set);
        if let Some(mut under_way) = self.fetch(set, &entry, organisation_id, now)? {
            // Nothing is ever sent: the sender goes when the fetch is done.
            let _done = under_way.changed().await;
        }
        let keys = entry.state().keys(now).map_err(SignatureError::NoKeys)?;
        keys.verify_within(budget, jws).map(drop).map_err(SignatureError::Refused)
    }

    /// Verifies a JWS with the keys in memory, also while newer ones are fetched; `None` where only a fetch can tell.
    pub(super) fn verify_at_hand(
        &self,
        set: &RemoteSet,
        organisation_id: Uuid,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Option<Result<(), KeySetError>> {
        let entry = self.entry(set);
        let kept = entry.state().usable(now).cloned()?;
        if kept.is_old(now) {
            // The keys in hand are good meanwhile, so it does not matter when or whether it is done.
            let _under_way = self.fetch(set, &entry, organisation_id, now);
        }
        let refusal = match kept.keys.verify_within(budget, jws) {
            Ok(_) => return Some(Ok(())),
            Err(KeySetError::Spent) => return Some(Err(KeySetError::Spent)),
            Err(refusal) => refusal,
        };
        // A JWS that names no key may have been signed with one that is not known here yet.
        let may_be_newer = jws.kid().is_none_or(|kid| !kept.keys.has(kid)) && entry.state().may_bring_newer(now);
        (!may_be_newer).then_some(Err(refusal))
    }

    /// What is known here of a set: nothing as long as nobody needed it.
    pub(super) fn status(&self, set: &RemoteSet) -> RemoteStatus {
        let Some(entry) = self.entries.get(set) else { return RemoteStatus::default() };
        let state = entry.state();
        RemoteStatus {
            fetched_at: state.kept.as_ref().map(|kept| kept.fetched_at),
            fresh_until: state.kept.as_ref().map(|kept| kept.fresh_until),
            not_before: state.pause.map(|(_, until)| until),
            failure: state.failure.clone(),
        }
    }

    /// Begins a fetch or joins the one that is under way; `None` while none may begin.
    fn fetch(
        &self,
        set: &RemoteSet,
        entry: &Arc<Entry>,
        organisation_id: Uuid,
        now: Timestamp,
    ) -> Result<Option<watch::Receiver<()>>, SignatureError> {
        let mut state = entry.state();
        if let Some(under_way) = state.under_way() {
            return Ok(Some(under_way.clone()));
        }
        if !state.may_fetch(now) {
            return Ok(None);
        }
        let permit = self.permits.take(organisation_id).ok_or(SignatureError::Overloaded)?;
        let (done, under_way) = watch::channel(());
        let (fetcher, set, entry) = (self.fetcher.clone(), set.clone(), entry.clone());
        let work = move || {
            let read = |fetched: Fetched| {
                let keys = PublicKeys::fetched(&fetched.body).map_err(|error| error.to_string())?;
                Ok((keys, fetched.max_age))
            };
            let fetched = set.fetch(&fetcher).and_then(read);
            match &fetched {
                Ok(_) => log::info!(url = set.as_str(); "fetched a JWKS"),
                Err(error) => log::warn!(url = set.as_str(), error:%; "a JWKS could not be fetched"),
            }
            entry.state().take_in(fetched, now);
            drop((permit, done));
        };
        let spawned = thread::Builder::new().name("jwks-fetch".to_owned()).spawn(work);
        spawned.map_err(|_no_thread| SignatureError::Overloaded)?;
        state.under_way = Some(under_way.clone());
        Ok(Some(under_way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);

    #[test]
    fn requests_that_overtake_each_other_cause_no_fetch_and_a_clock_set_back_hinders_none() {
        let seconds = Duration::from_secs;
        let mut state = State::default();
        assert!(state.may_fetch(NOW));
        let keys = || PublicKeys::decoys().unwrap();
        state.take_in(Ok((keys(), Some(seconds(600)))), NOW);
        let is_old = |state: &State, now| state.usable(now).unwrap().is_old(now);
        for (now, may_fetch, old) in [
            (NOW - seconds(1), false, false),
            (NOW - seconds(60), false, false),
            (NOW - seconds(61), true, true),
            (NOW + seconds(59), false, false),
            (NOW + seconds(60), true, false),
            (NOW + seconds(600), true, true),
        ] {
            assert_eq!((state.may_fetch(now), is_old(&state, now)), (may_fetch, old), "{now}");
        }
        state.take_in(Err("dead".to_owned()), NOW + seconds(600));
        assert!(!state.may_fetch(NOW + seconds(599)) && state.may_fetch(NOW + seconds(605)));
    }
}
