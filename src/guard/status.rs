//! What a service may tell its operators about its guard.

use super::Shared;
use super::revocations::Feed;
use crate::clock::Timestamp;

/// How fresh a guard's knowledge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether tokens can be judged; while they cannot, every request is refused with 503.
    pub ready: bool,
    /// When the server last confirmed the keys; none if they were never had.
    pub keys_confirmed_at: Option<Timestamp>,
    /// Why the keys could not be fetched the last time, if so.
    pub keys_error: Option<String>,
    /// What is known of revocations.
    pub revocations: RevocationStatus,
    /// Why the feed could not be fetched the last time, if so.
    pub revocations_error: Option<String>,
}

/// What a guard knows of revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Nothing yet.
    Unknown,
    /// The server has no feed: tokens are good until they expire.
    Unsupported,
    /// Everything that the server said until then.
    ConfirmedAt(Timestamp),
}

impl Status {
    pub(super) fn of(shared: &Shared) -> Self {
        let (settings, now) = (&shared.settings, shared.settings.clock.now());
        let keys = shared.keys.current(now, settings.keys_max_stale);
        let revocations = shared.revocations.current(now, settings.revocations_max_stale);
        Self {
            ready: keys.is_ok() && revocations.is_ok(),
            keys_confirmed_at: shared.keys.confirmed_at(),
            keys_error: shared.keys_worker.error(),
            revocations: match &*shared.revocations.get() {
                Feed::Unknown => RevocationStatus::Unknown,
                Feed::Unsupported => RevocationStatus::Unsupported,
                Feed::Known { confirmed_at, .. } => RevocationStatus::ConfirmedAt(*confirmed_at),
            },
            revocations_error: shared.feed_worker.error(),
        }
    }
}
