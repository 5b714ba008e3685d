//! The lives of signing keys, one line each: published, signing, retiring.

use serde::Serialize;

use super::{day, print, scaled};
use crate::clock::Timestamp;
use crate::config::KeyLife;
use crate::keys::ring::KeyState;
use crate::service::signing_keys::KeyDetails;

const WIDTH: i64 = 1_000;
/// A phase that lasts hours among others that last months is at least so long, in hundredths.
const LEAST: i64 = 600;
/// What has been for longer is cut off at the left.
const SHOWN_BACK: u64 = 7 * 86_400;

/// All keys, and their table.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Timeline {
    width: i64,
    /// Where the present moment stands.
    now_x: String,
    from: String,
    to: String,
    lanes: Vec<Lane>,
}

/// A key.
#[derive(Debug, Serialize)]
struct Lane {
    kid: String,
    algorithm: &'static str,
    state: String,
    /// The drawing in words.
    title: String,
    phases: Vec<Phase>,
    published: Moment,
    signs_from: Moment,
    signs_until: Option<Moment>,
    /// Whether the end is what is planned, not what is certain.
    is_planned: bool,
    gone: Option<Moment>,
}

#[derive(Debug, Serialize)]
struct Phase {
    kind: &'static str,
    x: String,
    width: String,
    y: i64,
    height: i64,
}

/// A moment for people and for programs.
#[derive(Debug, Serialize)]
struct Moment {
    at: String,
    shown: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { at: at.rfc3339(), shown: super::day_and_hour(at) }
    }
}

/// When a key signs its last token, and whether that is certain: another key is there already.
fn end(keys: &[KeyDetails], key: &KeyDetails, life: KeyLife) -> (Timestamp, bool) {
    let later = keys
        .iter()
        .filter(|other| other.dates.algorithm == key.dates.algorithm)
        .filter(|other| (other.dates.signs_from, &other.dates.kid) > (key.dates.signs_from, &key.dates.kid));
    let successor = later.map(|other| other.dates.signs_from).min();
    successor.map_or((key.dates.signs_from + life.rotate_every, false), |at| (at, true))
}

impl Timeline {
    /// Draws the keys, in the order in which they sign.
    pub(in crate::http) fn new(keys: &[KeyDetails], life: KeyLife, now: Timestamp) -> Self {
        let ends = keys.iter().map(|key| end(keys, key, life));
        let from = keys.iter().map(|key| key.dates.created_at).min().unwrap_or(now);
        let from = from.max(now - std::time::Duration::from_secs(SHOWN_BACK)).min(now);
        let last = keys.iter().zip(ends.clone()).map(|(key, (until, _))| key.gone_at.unwrap_or(until)).max();
        let to = last.unwrap_or(now).max(now + std::time::Duration::from_secs(1));
        let length = to.seconds().saturating_sub(from.seconds());
        let place = |at: Timestamp| scaled(at.seconds().saturating_sub(from.seconds()), length, WIDTH);
        let phase = |kind, begin: Timestamp, end: Timestamp, y, height| {
            let (x, right) = (place(begin), place(end).min(WIDTH * 100));
            let width = (right - x).max(LEAST);
            let seen = end > begin && end > from;
            seen.then(|| Phase { kind, x: print(x.min(WIDTH * 100 - LEAST)), width: print(width), y, height })
        };
        let lane = |(key, (until, is_certain)): (&KeyDetails, (Timestamp, bool))| {
            let dates = &key.dates;
            let phases = [
                phase("next", dates.created_at, dates.signs_from, 7, 6),
                phase("signing", dates.signs_from, until, 2, 16),
                key.gone_at.and_then(|gone_at| phase("retiring", until, gone_at, 5, 10)),
            ];
            let gone = key.gone_at.map_or_else(String::new, |at| format!(", gone {}", day(at)));
            let planned = if is_certain { "" } else { " as planned" };
            Lane {
                title: format!(
                    "{}: published {}, signs from {} to {}{planned}{gone}",
                    key.state,
                    day(dates.created_at),
                    day(dates.signs_from),
                    day(until)
                ),
                kid: dates.kid.clone(),
                algorithm: dates.algorithm.name(),
                state: key.state.to_string(),
                phases: phases.into_iter().flatten().collect(),
                published: dates.created_at.into(),
                signs_from: dates.signs_from.into(),
                signs_until: (key.state != KeyState::Gone).then(|| until.into()),
                is_planned: !is_certain,
                gone: key.gone_at.map(Into::into),
            }
        };
        Self {
            width: WIDTH,
            now_x: print(place(now)),
            from: day(from),
            to: day(to),
            lanes: keys.iter().zip(ends).map(lane).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::*;
    use crate::keys::ring::{KeyDates, KeySchedule};
    use crate::oauth::SigningAlgorithm;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const LIFE: KeyLife =
        KeyLife { rotate_every: Duration::from_secs(90 * 86_400), announce: DAY, retain: Duration::from_secs(7_200) };

    fn drawn(keys: &[(&str, Timestamp, Timestamp)]) -> String {
        let dates = keys.iter().map(|(kid, created_at, signs_from)| KeyDates {
            kid: (*kid).to_owned(),
            algorithm: SigningAlgorithm::Rs256,
            created_at: *created_at,
            signs_from: *signs_from,
            token_lifetime: DAY,
        });
        let schedule = KeySchedule::new(dates.collect());
        let details = schedule.keys().iter().map(|dates| KeyDetails {
            state: schedule.state(dates, NOW, LIFE),
            gone_at: schedule.gone_at(dates, LIFE),
            dates: dates.clone(),
        });
        let timeline = Timeline::new(&details.collect::<Vec<_>>(), LIFE, NOW);
        let phase = |phase: &Phase| format!("{} {}+{}", phase.kind, phase.x, phase.width);
        let lane = |lane: &Lane| {
            let phases: Vec<String> = lane.phases.iter().map(phase).collect();
            format!("{} {}\n  {}", lane.kid, lane.title, phases.join(", "))
        };
        let lanes: Vec<String> = timeline.lanes.iter().map(lane).collect();
        format!("{} to {}, now at {}\n{}", timeline.from, timeline.to, timeline.now_x, lanes.join("\n"))
    }

    #[test]
    fn a_first_key_signs_and_has_no_successor_yet() {
        assert_snapshot!(drawn(&[("first", NOW, NOW)]), @"
        22 Nov to 20 Feb, now at 0
        first signing: published 22 Nov, signs from 22 Nov to 20 Feb as planned
          signing 0+1000
        ");
    }

    #[test]
    fn old_present_and_next_key_follow_each_other() {
        let keys = [
            ("old", NOW - DAY * 91, NOW - DAY * 90),
            ("present", NOW - DAY * 2, NOW - DAY),
            ("next", NOW - DAY, NOW + DAY),
        ];
        assert_snapshot!(drawn(&keys), @"
        15 Nov to 21 Feb, now at 71.42
        old retiring: published 23 Aug, signs from 24 Aug to 21 Nov, gone 22 Nov
          signing 0+61.22, retiring 61.22+11.05
        present signing: published 20 Nov, signs from 21 Nov to 23 Nov, gone 24 Nov
          next 51.02+10.2, signing 61.22+20.41, retiring 81.63+11.05
        next next: published 21 Nov, signs from 23 Nov to 21 Feb as planned
          next 61.22+20.41, signing 81.63+918.37
        ");
    }

    #[test]
    fn without_keys_nothing_is_drawn() {
        assert_snapshot!(drawn(&[]), @"22 Nov to 22 Nov, now at 0");
    }
}
