//! Pictures that the server draws: from numbers to what a template needs, and nothing else. Texts stand in HTML beside the
//! drawing, so that they stay readable on a small screen; inside it, all lengths are whole numbers or hundredths.

mod bars;
mod sparkline;
mod timeline;

pub(super) use self::bars::Bars;
pub(super) use self::sparkline::Spark;
pub(super) use self::timeline::Timeline;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `1,234,567`
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number at an axis: `750`, `1.5k`, `20M`.
fn short(number: i64) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) if number % unit == 0 => format!("{}{name}", grouped(number / unit)),
        Some((unit, name)) => format!("{}.{}{name}", grouped(number / unit), number % unit * 10 / unit),
        None => number.to_string(),
    }
}

/// The levels of an axis from zero to a little above `highest`: at most five, a round number apart.
fn levels(highest: i64) -> Vec<i64> {
    let highest = highest.max(1);
    let mut unit = 1_i64;
    let step = 'found: loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            if step.saturating_mul(4) >= highest {
                break 'found step;
            }
        }
        unit = unit.saturating_mul(10);
    };
    let steps = highest.saturating_sub(1) / step + 1;
    (0..=steps).map(|level| step.saturating_mul(level)).collect()
}

/// `part` of `whole` on a length of `length`, in hundredths: `12.5`, `100`.
fn scaled(part: i64, whole: i64, length: i64) -> i64 {
    let hundredths = i128::from(part.max(0)) * i128::from(length) * 100 / i128::from(whole.max(1));
    i64::try_from(hundredths).unwrap_or(i64::MAX)
}

/// A length in hundredths as SVG reads it.
fn print(hundredths: i64) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match rest {
        0 => whole.to_string(),
        rest if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
        rest => format!("{whole}.{rest:02}"),
    }
}

/// `22 Nov`, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    let text = at.rfc3339();
    let mut parts = text.split(['-', 'T']).skip(1);
    let month = parts.next().and_then(|month| MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?));
    match (month, parts.next().map(|day| day.trim_start_matches('0'))) {
        (Some(month), Some(day)) => format!("{day} {month}"),
        _ => text,
    }
}

/// `22 Nov 14:00`, in UTC.
pub(super) fn day_and_hour(at: Timestamp) -> String {
    let text = at.rfc3339();
    match text.split('T').nth(1).and_then(|time| time.get(..5)) {
        Some(time) => format!("{} {time}", day(at)),
        None => text,
    }
}

/// A span in words: `24 hours`, `90 days`, in the largest unit that keeps it whole.
pub(super) fn spoken(span: Duration) -> String {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let units =
        [(86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds")];
    let whole = |(unit, ..): &&(i64, &str, &str)| seconds % unit == 0 && (seconds > *unit || *unit < 86_400);
    let (unit, one, many) = units.iter().find(whole).copied().unwrap_or((1, "second", "seconds"));
    counted(seconds / unit, one, many)
}

/// A number that stands large above what it counts.
#[derive(Debug, Serialize)]
pub(super) struct Tile {
    number: String,
    text: String,
}

impl Tile {
    /// So many: `one` of it, or `many`.
    pub(super) fn new(number: i64, one: &'static str, many: &'static str) -> Self {
        Self { number: grouped(number), text: if number == 1 { one } else { many }.to_owned() }
    }

    /// A span that is not exceeded, and of what.
    pub(super) fn within(span: Duration, text: String) -> Self {
        let number = match span {
            Duration::MAX => "over 5 s".to_owned(),
            _ if span < Duration::from_secs(1) => format!("≤ {} ms", f64::from(span.subsec_micros()) / 1e3),
            _ => format!("≤ {} s", span.as_secs_f32()),
        };
        Self { number, text }
    }
}

/// `1 token`, `2 tokens`
fn counted(number: i64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_space_before_its_unit() {
        let number = |micros| Tile::within(Duration::from_micros(micros), String::new()).number;
        assert_eq!([250, 50_000, 1_000_000].map(number), ["≤ 0.25 ms", "≤ 50 ms", "≤ 1 s"]);
        assert_eq!(Tile::within(Duration::MAX, String::new()).number, "over 5 s");
    }

    #[test]
    fn axes_have_round_numbers_and_reach_the_highest_bar() {
        let cases: &[(i64, &[i64])] = &[
            (0, &[0, 1]),
            (1, &[0, 1]),
            (3, &[0, 1, 2, 3]),
            (5, &[0, 2, 4, 6]),
            (20, &[0, 5, 10, 15, 20]),
            (21, &[0, 10, 20, 30]),
            (1_234, &[0, 500, 1_000, 1_500]),
            (80_000, &[0, 20_000, 40_000, 60_000, 80_000]),
        ];
        for (highest, expected) in cases {
            assert_eq!(&levels(*highest), expected, "{highest}");
        }
        let huge = levels(i64::MAX);
        assert!(huge.len() <= 6 && *huge.last().unwrap() >= i64::MAX - 1, "{huge:?}");
    }

    #[test]
    fn numbers_are_written_for_people() {
        let grouped: Vec<String> = [0, 7, 999, 1_000, 1_234_567, -1_500].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "7", "999", "1,000", "1,234,567", "-1,500"]);
        let short: Vec<String> = [0, 750, 1_000, 1_500, 20_000_000, 2_000_000_000_000].into_iter().map(short).collect();
        assert_eq!(short, ["0", "750", "1k", "1.5k", "20M", "2T"]);
        let spans: Vec<String> =
            [30, 60, 86_400, 172_800, 90_000].into_iter().map(|s| spoken(Duration::from_secs(s))).collect();
        assert_eq!(spans, ["30 seconds", "1 minute", "24 hours", "2 days", "25 hours"]);
        let lengths: Vec<String> = [0, 5, 10, 100, 1_250, 1_255].into_iter().map(print).collect();
        assert_eq!(lengths, ["0", "0.05", "0.1", "1", "12.5", "12.55"]);
    }

    #[test]
    fn moments_are_written_for_people() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        assert_eq!(day(at("2026-11-05T00:00:00Z")), "5 Nov");
        assert_eq!(day_and_hour(at("2026-01-20T09:00:00Z")), "20 Jan 09:00");
        assert!(day_and_hour(Timestamp::from_seconds(i64::MAX)).starts_with('@'), "a moment past all calendars");
    }
}
