//! Bars: what was issued and, on top of it, what was refused.

use serde::Serialize;

use super::{counted, day, day_and_hour, grouped, levels, print, scaled, short};
use crate::clock::Timestamp;
use crate::service::usage::{Picture, Range};

/// The height of the drawing.
const HEIGHT: i64 = 100;
/// From the left edge of one bar to that of the next.
const STEP: i64 = 10;
/// Between two bars.
const GAP: i64 = 2;
/// What is not nothing is at least so high, in hundredths.
const LEAST: i64 = 100;
/// Longer tables are folded away.
const SHORT_TABLE: usize = 8;

/// A drawing of a picture, and its table.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Bars {
    /// Tells its parts from those of another drawing on the page.
    id: &'static str,
    title: String,
    description: String,
    width: i64,
    /// Numbers beside the lines, from the top.
    levels: Vec<String>,
    /// Heights of the lines.
    lines: Vec<String>,
    running: Column,
    bars: Vec<Bar>,
    /// Below the drawing, at its left edge, its middle and its right edge.
    ticks: [String; 3],
    /// What a bar stands for: `Hour`.
    span: &'static str,
    rows: Vec<Row>,
    is_long: bool,
    is_empty: bool,
}

#[derive(Debug, Serialize)]
struct Column {
    x: i64,
    width: i64,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: i64,
    width: i64,
    tip: String,
    issued: Option<Block>,
    refused: Option<Block>,
}

#[derive(Debug, Serialize)]
struct Block {
    y: String,
    height: String,
}

#[derive(Debug, Serialize)]
struct Row {
    at: String,
    shown: String,
    issued: String,
    refused: String,
    is_running: bool,
}

impl Range {
    /// What people call it.
    pub(in crate::http) const fn title(self) -> &'static str {
        match self {
            Self::Day => "last 24 hours",
            Self::Week => "last 7 days",
            Self::Month => "last 30 days",
            Self::Quarter => "last 90 days",
        }
    }

    const fn bar_title(self) -> &'static str {
        match self {
            Self::Day => "Hour",
            Self::Week => "6 hours from",
            Self::Month | Self::Quarter => "Day",
        }
    }

    fn show(self, at: Timestamp) -> String {
        match self {
            Self::Day | Self::Week => day_and_hour(at),
            Self::Month | Self::Quarter => day(at),
        }
    }
}

impl Bars {
    /// Draws a picture.
    pub(in crate::http) fn new(id: &'static str, picture: &Picture) -> Self {
        let (range, spans) = (picture.range, &picture.spans);
        let highest = spans.iter().map(|span| span.issued.saturating_add(span.refused)).max().unwrap_or(0);
        let levels = levels(highest);
        let top = levels.last().copied().unwrap_or(1);
        let last = spans.len().saturating_sub(1);
        let place = |number: usize| i64::try_from(number).unwrap_or(0) * STEP;
        let tick = |number: usize| spans.get(number).map_or_else(String::new, |span| range.show(span.start));
        let block = |count: i64, base: i64| {
            let height = if count > 0 { scaled(count, top, HEIGHT).max(LEAST) } else { 0 };
            let y = (HEIGHT * 100 - base - height).max(0);
            (height, (count > 0).then(|| Block { y: print(y), height: print(height) }))
        };
        let bars = spans.iter().enumerate().map(|(number, span)| {
            let (base, issued) = block(span.issued, 0);
            let (_, refused) = block(span.refused, base);
            let running = if number == last { ", still running" } else { "" };
            let (start, came, refusals) = (range.show(span.start), grouped(span.issued), grouped(span.refused));
            Bar {
                x: place(number) + GAP / 2,
                width: STEP - GAP,
                tip: format!("{start}{running}: {came} issued, {refusals} refused"),
                issued,
                refused,
            }
        });
        let row = |(number, span): (usize, &crate::db::usage::SpanCount)| Row {
            at: span.start.rfc3339(),
            shown: range.show(span.start),
            issued: grouped(span.issued),
            refused: grouped(span.refused),
            is_running: number == last,
        };
        Self {
            id,
            title: format!("Tokens issued and refused, {}", range.title()),
            description: describe(picture),
            width: place(spans.len()),
            lines: levels.iter().map(|level| print(HEIGHT * 100 - scaled(*level, top, HEIGHT))).collect(),
            levels: levels.iter().rev().map(|level| short(*level)).collect(),
            running: Column { x: place(last), width: STEP },
            bars: bars.collect(),
            ticks: [tick(0), tick(spans.len() / 2), format!("{} · running", tick(last))],
            span: range.bar_title(),
            rows: spans.iter().enumerate().map(row).collect(),
            is_long: spans.len() > SHORT_TABLE,
            is_empty: highest == 0,
        }
    }
}

/// The drawing in words.
fn describe(picture: &Picture) -> String {
    let (issued, refused) = (picture.issued(), picture.refused());
    if issued == 0 && refused == 0 {
        return "No token was asked for.".to_owned();
    }
    let busiest = picture.spans.iter().max_by_key(|span| (span.issued.saturating_add(span.refused), span.start));
    let most = busiest.map_or_else(String::new, |span| {
        let all = grouped(span.issued.saturating_add(span.refused));
        let start = picture.range.show(span.start);
        match picture.range {
            Range::Day => format!(" The busiest hour began on {start}, with {all}."),
            Range::Week => format!(" The busiest 6 hours began on {start}, with {all}."),
            Range::Month | Range::Quarter => format!(" The busiest day was {start}, with {all}."),
        }
    });
    format!(
        "{} issued and {} refused.{most} Times are in UTC; the last bar is still running.",
        counted(issued, "token", "tokens"),
        counted(refused, "request", "requests")
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::db::usage::SpanCount;

    fn picture(range: Range, counts: &[(i64, i64)]) -> Picture {
        let start = Timestamp::from_seconds(1_795_305_600);
        let span = |(number, (issued, refused)): (u32, &(i64, i64))| SpanCount {
            start: start + range.bar() * number,
            issued: *issued,
            refused: *refused,
        };
        let spans = (0..).zip(counts).map(span).collect();
        Picture { range, spans, refusals: Vec::new(), scopes: Vec::new() }
    }

    fn drawn(range: Range, counts: &[(i64, i64)]) -> String {
        let bars = Bars::new("usage", &picture(range, counts));
        let block = |block: &Option<Block>| {
            block.as_ref().map_or("-".to_owned(), |block| format!("{}+{}", block.y, block.height))
        };
        let bar = |bar: &Bar| format!("{} issued {} refused {}", bar.x, block(&bar.issued), block(&bar.refused));
        let drawn: Vec<String> = bars.bars.iter().map(bar).collect();
        format!(
            "{}\n{}\nlevels {} at {}\n{}\nbelow {}",
            bars.title,
            bars.description,
            bars.levels.join(" "),
            bars.lines.join(" "),
            drawn.join("\n"),
            bars.ticks.join(" | "),
        )
    }

    #[test]
    fn a_quiet_hour_and_a_busy_one() {
        assert_snapshot!(drawn(Range::Day, &[(0, 0), (30, 10), (1, 0)]), @"
        Tokens issued and refused, last 24 hours
        31 tokens issued and 10 requests refused. The busiest hour began on 22 Nov 01:00, with 40. Times are in UTC; the last bar is still running.
        levels 40 30 20 10 0 at 100 75 50 25 0
        1 issued - refused -
        11 issued 25+75 refused 0+25
        21 issued 97.5+2.5 refused -
        below 22 Nov 00:00 | 22 Nov 01:00 | 22 Nov 02:00 · running
        ");
    }

    #[test]
    fn one_token_and_nothing_else() {
        assert_snapshot!(drawn(Range::Month, &[(0, 0), (1, 0)]), @"
        Tokens issued and refused, last 30 days
        1 token issued and 0 requests refused. The busiest day was 23 Nov, with 1. Times are in UTC; the last bar is still running.
        levels 1 0 at 100 0
        1 issued - refused -
        11 issued 0+100 refused -
        below 22 Nov | 23 Nov | 23 Nov · running
        ");
    }

    #[test]
    fn nothing_at_all_and_no_bars_at_all() {
        let nothing = Bars::new("usage", &picture(Range::Week, &[(0, 0), (0, 0)]));
        assert!(nothing.is_empty && nothing.bars.iter().all(|bar| bar.issued.is_none() && bar.refused.is_none()));
        assert_eq!(nothing.description, "No token was asked for.");
        assert!(Bars::new("usage", &picture(Range::Week, &[])).bars.is_empty());
    }

    #[test]
    fn one_token_among_a_million_times_a_million_is_still_seen() {
        assert_snapshot!(drawn(Range::Week, &[(1_000_000, 1), (i64::MAX / 200, i64::MAX / 200)]), @"
        Tokens issued and refused, last 7 days
        46,116,860,185,273,879 tokens issued and 46,116,860,184,273,880 requests refused. The busiest 6 hours began on 22 Nov 06:00, with 92,233,720,368,547,758. Times are in UTC; the last bar is still running.
        levels 100,000T 50,000T 0 at 100 50 0
        1 issued 99+1 refused 98+1
        11 issued 53.89+46.11 refused 7.78+46.11
        below 22 Nov 00:00 | 22 Nov 06:00 | 22 Nov 06:00 · running
        ");
    }
}
