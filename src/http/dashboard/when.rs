//! Moments as pages show them.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::clock::Timestamp;

/// A moment for the partial `time`: for machines and for people, both in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct When {
    iso: String,
    text: String,
}

impl When {
    /// That moment, to the minute.
    pub(super) fn of(at: Timestamp) -> Self {
        let at = DateTime::<Utc>::from_timestamp(at.seconds(), 0).unwrap_or_default();
        Self { iso: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(), text: at.format("%-d %b %Y, %H:%M UTC").to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        let when = When::of(Timestamp::from_seconds(1_795_305_600));
        assert_eq!((when.iso.as_str(), when.text.as_str()), ("2026-11-22T00:00:00Z", "22 Nov 2026, 00:00 UTC"));
    }
}
