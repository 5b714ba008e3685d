//! Time: the only place that reads it. Everything else takes `now` as an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment in whole seconds since 1970-01-01T00:00:00Z: what JWTs call a `NumericDate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before everything: the value of a cut-off that was never set.
    pub const NEVER: Self = Self(0);

    /// The moment `seconds` after the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The beginning of the hour in UTC.
    pub const fn hour(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(3_600)))
    }

    /// How long it is from `earlier` to this moment; nothing if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 with any offset; fractions of a second are cut off. `None` for anything else, and for what lies before
    /// the epoch.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = DateTime::parse_from_rfc3339(text).ok()?.timestamp();
        (moment >= 0).then_some(Self(moment))
    }

    /// RFC 3339 in UTC, for people and JSON documents.
    pub fn rfc3339(self) -> String {
        DateTime::from_timestamp(self.0, 0).map_or_else(
            || format!("@{}", self.0),
            |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// Where the time comes from: the system in production, a test's hand in tests.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    fn now(&self) -> Timestamp {
        Timestamp(Utc::now().timestamp())
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Reads a span written as people write it: `90s`, `10m`, `24h`, `90d`.
///
/// # Errors
/// A sentence that says what a span looks like, when `text` is not one or is longer than 100 years.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    const HUNDRED_YEARS: u64 = 100 * 366 * 86_400;
    let wrong =
        || format!("`{text}` is not a span of time: write a whole number and a unit, such as 90s, 10m, 24h or 90d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds_each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds_each));
    match seconds {
        Some(seconds) if seconds <= HUNDRED_YEARS => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{text}` is longer than 100 years")),
    }
}

/// Prints a span the way [`parse_span`] reads it, in the largest unit that keeps it whole.
pub fn print_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 && s > 86_400 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_printed() {
        for text in ["0s", "1s", "90s", "10m", "24h", "90d"] {
            let span = parse_span(text).unwrap();
            assert_eq!(parse_span(&print_span(span)), Ok(span), "{text}");
        }
        assert_eq!(print_span(Duration::from_secs(86_400)), "24h");
    }

    #[test]
    fn what_is_not_a_span_is_refused_with_an_example() {
        for text in ["", "h", "24", "-1h", "1.5h", "24 h", "1w", "é", "99999999999999999999s"] {
            let message = parse_span(text).unwrap_err();
            assert!(message.contains("90d") || message.contains("100 years"), "{text}: {message}");
        }
    }

    #[test]
    fn far_moments_neither_overflow_nor_panic() {
        let far = Timestamp::from_seconds(i64::MAX);
        assert_eq!(far + Duration::from_secs(u64::MAX), far);
        assert_eq!(Timestamp::NEVER.since(far), Duration::ZERO);
        assert!(far.rfc3339().starts_with('@'));
        assert_eq!(Timestamp::from_seconds(4_291_747_200).rfc3339(), "2106-01-01T00:00:00Z");
    }
}
