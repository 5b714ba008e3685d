//! The last days of an app in a line of text.

use serde::Serialize;

use super::{counted, levels, print, scaled};
use crate::service::usage::Sparkline;

const HEIGHT: i64 = 20;
const STEP: i64 = 6;
const GAP: i64 = 1;
/// What is not nothing is at least so high, in hundredths.
const LEAST: i64 = 150;

/// A small drawing.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Spark {
    /// The drawing in words.
    title: String,
    width: i64,
    height: i64,
    bars: Vec<Bar>,
    is_empty: bool,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: i64,
    width: i64,
    y: String,
    height: String,
    /// Some were refused: a dot at the foot of the bar.
    has_refusals: bool,
}

impl Spark {
    /// Draws the last days of an app.
    pub(in crate::http) fn new(line: &Sparkline) -> Self {
        let top = levels(line.issued.iter().copied().max().unwrap_or(0)).last().copied().unwrap_or(1);
        let bar = |(number, (issued, refused)): (i64, (&i64, &i64))| {
            let height = if *issued > 0 { scaled(*issued, top, HEIGHT).max(LEAST) } else { 0 };
            Bar {
                x: number * STEP,
                width: STEP - GAP,
                y: print(HEIGHT * 100 - height),
                height: print(height),
                has_refusals: *refused > 0,
            }
        };
        let sum = |counts: &[i64]| counts.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
        let (issued, refused) = (sum(&line.issued), sum(&line.refused));
        let bars: Vec<Bar> = (0..).zip(line.issued.iter().zip(&line.refused)).map(bar).collect();
        Self {
            title: format!(
                "Last 7 days: {} issued, {} refused",
                counted(issued, "token", "tokens"),
                counted(refused, "request", "requests")
            ),
            width: i64::try_from(bars.len()).unwrap_or(0) * STEP,
            height: HEIGHT,
            bars,
            is_empty: issued == 0 && refused == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::ClientId;

    fn spark(issued: [i64; 7], refused: [i64; 7]) -> Spark {
        Spark::new(&Sparkline { client_id: ClientId::generate(), issued, refused })
    }

    #[test]
    fn a_week_is_drawn_and_told() {
        let drawn = spark([0, 1, 0, 0, 10, 20, 5], [0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(drawn.title, "Last 7 days: 36 tokens issued, 2 requests refused");
        let heights: Vec<&str> = drawn.bars.iter().map(|bar| bar.height.as_str()).collect();
        assert_eq!(heights, ["0", "1.5", "0", "0", "10", "20", "5"]);
        assert!(drawn.bars[2].has_refusals && !drawn.bars[1].has_refusals);
    }

    #[test]
    fn nothing_and_very_much_are_drawn_too() {
        assert!(spark([0; 7], [0; 7]).is_empty);
        let huge = spark([i64::MAX; 7], [i64::MAX; 7]);
        assert!(huge.bars.iter().all(|bar| bar.height != "0"));
    }
}
