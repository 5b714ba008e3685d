//! The public keys: fetched, kept, and kept on when the server cannot be asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::refusal::Lacking;
use super::source::{Answer, Ask, FetchError, Source};
use crate::clock::{Clock, Timestamp};
use crate::keys::verify::JwksKeys;
use crate::oauth::metadata::path;

/// Hundreds of keys; nobody has so many.
const LONGEST_DOCUMENT: u64 = 512 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two fetches that nobody asked for, whatever the server says.
const SHORTEST_AGE: Duration = Duration::from_secs(60);
const LONGEST_AGE: Duration = Duration::from_secs(3_600);
/// When the server says nothing.
const USUAL_AGE: Duration = Duration::from_secs(300);

/// Keys that were fetched.
#[derive(Debug)]
pub(super) struct HeldKeys {
    pub(super) keys: Arc<JwksKeys>,
    /// When the server last said that they are the current ones.
    pub(super) confirmed_at: Timestamp,
}

/// What must be known from one fetch to the next.
#[derive(Default)]
struct Fetching {
    etag: Option<String>,
    /// Whether the server said that it is the issuer that this guard trusts.
    issuer_confirmed: bool,
}

/// The keys, as every request sees them.
pub(super) struct Keys {
    held: ArcSwapOption<HeldKeys>,
    /// One fetch at a time.
    fetching: Mutex<Fetching>,
    /// Whether the server's metadata names a revocation feed.
    promises_feed: AtomicBool,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            held: ArcSwapOption::empty(),
            fetching: Mutex::new(Fetching::default()),
            promises_feed: AtomicBool::new(false),
        }
    }

    /// Whether the server says that it has a revocation feed: then tokens are not judged without it. Known since there are
    /// keys.
    pub(super) fn promises_feed(&self) -> bool {
        self.promises_feed.load(Ordering::SeqCst)
    }

    /// When the keys were last confirmed, if there are any.
    pub(super) fn confirmed_at(&self) -> Option<Timestamp> {
        self.held.load().as_ref().map(|held| held.confirmed_at)
    }

    /// The keys, if they are not too old.
    pub(super) fn current(&self, now: Timestamp, max_stale: Duration) -> Result<Arc<JwksKeys>, Lacking> {
        let held = self.held.load();
        let held = held.as_ref().ok_or(Lacking::Keys)?;
        if now.since(held.confirmed_at) > max_stale { Err(Lacking::FreshKeys) } else { Ok(held.keys.clone()) }
    }

    /// Asks the server for its keys. What cannot be used leaves the old ones in place. Says when to ask again.
    pub(super) fn refresh(&self, source: &Source, issuer: &str, clock: &dyn Clock) -> Result<Duration, FetchError> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if !fetching.issuer_confirmed {
            let metadata = confirm_issuer(source, issuer)?;
            self.promises_feed.store(metadata.revocations.is_some(), Ordering::SeqCst);
            fetching.issuer_confirmed = true;
        }
        // Before the request: what the server publishes while it answers may be missing from the answer.
        let confirmed_at = clock.now();
        let ask = Ask { path: path::JWKS, etag: fetching.etag.as_deref(), longest: LONGEST_DOCUMENT, timeout: TIMEOUT };
        let (keys, max_age) = match source.get(&ask)? {
            Answer::Missing => return Err(FetchError::new(format!("there are no keys at {}", path::JWKS))),
            Answer::Unchanged { max_age } => (self.held.load().as_ref().map(|held| held.keys.clone()), max_age),
            Answer::Document { body, etag, max_age } => {
                let keys = JwksKeys::parse(&body).map_err(|error| FetchError::new(error.to_string()))?;
                if keys.is_empty() {
                    return Err(FetchError::new("the JWK set has no key that can be used"));
                }
                fetching.etag = etag;
                (Some(Arc::new(keys)), max_age)
            }
        };
        if let Some(keys) = keys {
            self.held.store(Some(Arc::new(HeldKeys { keys, confirmed_at })));
        }
        Ok(max_age.unwrap_or(USUAL_AGE).clamp(SHORTEST_AGE, LONGEST_AGE))
    }
}

/// What the server says of itself.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(rename = "brevet_revocations_uri")]
    revocations: Option<IgnoredAny>,
}

/// The server must be the issuer that this guard trusts, byte for byte
/// ([RFC 8414 §3.3](https://www.rfc-editor.org/rfc/rfc8414#section-3.3)).
fn confirm_issuer(source: &Source, issuer: &str) -> Result<Metadata, FetchError> {
    const LONGEST_METADATA: u64 = 64 * 1024;
    const LONGEST_SHOWN: usize = 200;
    let path = path::AUTHORIZATION_SERVER;
    let ask = Ask { path, etag: None, longest: LONGEST_METADATA, timeout: TIMEOUT };
    let Answer::Document { body, .. } = source.get(&ask)? else {
        return Err(FetchError::new(format!("there is no metadata at {path}: is that address a Brevet server?")));
    };
    let metadata: Metadata = serde_json::from_slice(&body)
        .map_err(|error| FetchError::new(format!("the document at {path} is no metadata: {error}")))?;
    if metadata.issuer == issuer {
        return Ok(metadata);
    }
    let other: String = metadata.issuer.chars().take(LONGEST_SHOWN).collect();
    Err(FetchError::new(format!("the server's issuer is {other:?}, this guard was told {issuer:?}")))
}
