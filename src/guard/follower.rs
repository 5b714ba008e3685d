//! Following the revocation feed: asked by long polling, believed only when it is signed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::revocations::{Feed, FeedError, LONGEST_FEED, RevocationList};
use super::source::{Answer, Ask, FetchError};
use crate::oauth::metadata::path;

/// How long the server may hold a request until there is news.
const HELD: Duration = Duration::from_secs(30);
/// For an answer that nothing holds up.
const TIMEOUT: Duration = Duration::from_secs(15);
/// From one question to the next, however fast the answers come.
const PACE: Duration = Duration::from_secs(1);
/// Whether a server that has no feed has been upgraded.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// What must be known from one question to the next.
#[derive(Debug, Default)]
pub(super) struct Follower {
    etag: Option<String>,
    /// The key that the last feed was signed with.
    kid: Option<Box<str>>,
}

impl Follower {
    /// Asks once. What is not believed leaves the old list in place. Says when to ask again.
    pub(super) fn ask(&mut self, shared: &Shared) -> Result<Duration, FetchError> {
        let began_at = Instant::now();
        // Confirmed again before it is too old.
        let held = HELD.min(shared.settings.revocations_max_stale / 2);
        let waiting = format!("{}?wait={}", path::REVOCATIONS, held.as_secs());
        let (path, timeout) = match self.etag {
            Some(_) => (waiting.as_str(), held + TIMEOUT),
            None => (path::REVOCATIONS, TIMEOUT),
        };
        let longest = u64::try_from(LONGEST_FEED).unwrap_or(u64::MAX);
        match shared.source.get(&Ask { path, etag: self.etag.as_deref(), longest, timeout })? {
            Answer::Document { body, etag, .. } => {
                let list = self.believe(shared, &body)?;
                shared.revocations.set(Feed::Known { list: Arc::new(list), confirmed_at: shared.settings.clock.now() });
                self.etag = etag;
            }
            Answer::Unchanged { .. } => {
                if let Feed::Known { list, .. } = &*shared.revocations.get() {
                    let confirmed_at = shared.settings.clock.now();
                    if let Err(error) = list.check_age(confirmed_at) {
                        // Asked for anew, whatever somebody on the way holds.
                        self.etag = None;
                        return Err(error.into());
                    }
                    shared.revocations.set(Feed::Known { list: list.clone(), confirmed_at });
                }
            }
            // A server that had a feed does not lose it: something on the way did.
            Answer::Missing if self.kid.is_some() => {
                return Err(FetchError::new(format!("there is no revocation feed any more at {}", path::REVOCATIONS)));
            }
            Answer::Missing if shared.keys.promises_feed() => {
                return Err(FetchError::new(format!(
                    "there is no revocation feed at {}, but the server's metadata names one",
                    path::REVOCATIONS
                )));
            }
            Answer::Missing => {
                if matches!(*shared.revocations.get(), Feed::Unknown) {
                    log::warn!("the server has no revocation feed: tokens are good until they expire");
                }
                shared.revocations.set(Feed::Unsupported);
                return Ok(ASK_AGAIN);
            }
        }
        Ok(PACE.saturating_sub(began_at.elapsed()))
    }

    fn believe(&mut self, shared: &Shared, body: &[u8]) -> Result<RevocationList, FetchError> {
        let feed = str::from_utf8(body).map_err(|error| FetchError::new(format!("the revocation feed: {error}")))?;
        let read = || {
            let now = shared.settings.clock.now();
            let keys =
                shared.keys.current(now, shared.settings.keys_max_stale).map_err(|_lacking| FeedError::UnknownKey)?;
            RevocationList::read(feed, &keys, &shared.settings.issuer, now)
        };
        let (list, kid) = match read() {
            Err(FeedError::UnknownKey) => {
                shared.refresh_keys()?;
                read()
            }
            read => read,
        }?;
        if self.kid.as_ref().is_some_and(|last| *last != kid) {
            // The server signs with another key: the last one may have been revoked.
            shared.keys_worker.wake();
        }
        self.kid = Some(kid);
        Ok(list)
    }
}
