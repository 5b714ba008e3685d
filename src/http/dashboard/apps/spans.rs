//! Spans of time as people say them.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `3 days`, `21 h`, `5 min`: the largest unit of which there is more than one, rounded down.
pub(super) fn words(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 2 * DAY => format!("{} days", seconds / DAY),
        seconds if seconds >= 2 * HOUR => format!("{} h", seconds / HOUR),
        seconds if seconds >= 2 * MINUTE => format!("{} min", seconds / MINUTE),
        seconds if seconds >= MINUTE => "1 min".to_owned(),
        _ => "less than a minute".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_its_largest_unit() {
        let said = |seconds| words(Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 60, 119, 120, 7_199, 7_200, 86_400, 172_799, 172_800, 31_536_000].map(said),
            [
                "less than a minute",
                "less than a minute",
                "1 min",
                "1 min",
                "2 min",
                "119 min",
                "2 h",
                "24 h",
                "47 h",
                "2 days",
                "365 days"
            ]
        );
    }
}
