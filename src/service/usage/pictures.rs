//! Pictures of use: what came when, what was refused and why, and who asked most.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde_json::json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::apps::{self, AppRecord};
use crate::db::usage::{self, BusiestApps, Counted, SpanCount};
use crate::db::{AnyConnection, DbError, meta};
use crate::oauth::ClientId;
use crate::service::organisations::find as find_organisation;
use crate::service::{Management, ServiceError};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// Scopes in a picture; the rest is left out.
const TOP_SCOPES: i64 = 8;
/// Apps that are shown as the busiest.
const BUSIEST: i64 = 5;
/// Days in the small picture of a list.
pub(super) const SPARKLINE_DAYS: usize = 7;

fn seconds(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How far back a picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 24 hours, by the hour.
    Day,
    /// 7 days, by quarters of a day.
    Week,
    /// 30 days, by the day.
    Month,
    /// 90 days, by the day.
    Quarter,
}

impl Range {
    /// All of them, the shortest first.
    pub const ALL: &[Self] = &[Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// The name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    /// The range of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|range| range.name() == name)
    }

    /// What one bar stands for.
    pub const fn bar(self) -> Duration {
        Duration::from_secs(match self {
            Self::Day => HOUR,
            Self::Week => 6 * HOUR,
            Self::Month | Self::Quarter => DAY,
        })
    }

    /// The same in seconds.
    fn span(self) -> i64 {
        seconds(self.bar().as_secs())
    }

    /// How many bars there are, the one that is running among them.
    pub const fn bars(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 28,
            Self::Month => 30,
            Self::Quarter => 90,
        }
    }

    /// Where each bar begins, oldest first; the last is running.
    fn starts(self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let span = self.span();
        let running = now.seconds() - now.seconds().rem_euclid(span);
        (0..i64::from(self.bars())).rev().map(move |back| Timestamp::from_seconds(running - back * span))
    }
}

/// What was issued and refused, to one app or to all of an organisation. Counts are up to ten seconds late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// How far back it goes.
    pub range: Range,
    /// One entry a bar, oldest first; the last is running.
    pub spans: Vec<SpanCount>,
    /// Refusals by error, the most frequent first.
    pub refusals: Vec<(String, i64)>,
    /// The scopes that most tokens had, and how many.
    pub scopes: Vec<(String, i64)>,
}

impl Picture {
    fn read(conn: &mut AnyConnection, of: Counted, range: Range, now: Timestamp) -> Result<Self, DbError> {
        let starts: Vec<Timestamp> = range.starts(now).collect();
        let (from, to) = (starts.first().copied().unwrap_or(now), now + Duration::from_secs(1));
        let mut found = usage::series(conn, of, range.span(), from, to)?.into_iter().peekable();
        let fill = |start: Timestamp| {
            let there = found.next_if(|count| count.start == start);
            there.unwrap_or(SpanCount { start, issued: 0, refused: 0 })
        };
        Ok(Self {
            range,
            spans: starts.into_iter().map(fill).collect(),
            refusals: usage::refusals(conn, of, from, to)?,
            scopes: usage::top_scopes(conn, of, from, to, TOP_SCOPES)?,
        })
    }

    /// Tokens issued in all.
    pub fn issued(&self) -> i64 {
        self.spans.iter().map(|span| span.issued).sum()
    }

    /// Requests refused in all.
    pub fn refused(&self) -> i64 {
        self.spans.iter().map(|span| span.refused).sum()
    }
}

/// An app and its picture.
#[derive(Debug, Clone)]
pub struct AppPicture {
    /// The app.
    pub app: AppRecord,
    /// Its use.
    pub picture: Picture,
}

/// What an app got and was refused.
///
/// # Errors
/// `NotFound`.
pub fn app_picture(m: &Management, client_id: ClientId, range: Range) -> Result<AppPicture, ServiceError> {
    m.database.read_with(|conn| {
        let app = apps::find(conn, client_id)?.filter(|app| m.doer.reaches(Some(app.organisation_id)));
        let app = app.ok_or_else(|| ServiceError::NotFound(format!("there is no app {client_id}")))?;
        let picture = Picture::read(conn, Counted::App(client_id), range, m.now())?;
        Ok(AppPicture { app, picture })
    })
}

/// The addresses to which most tokens of an app went, by whole days of UTC. Counts are up to ten seconds late.
///
/// # Errors
/// `NotFound`.
pub fn app_addresses(m: &Management, client_id: ClientId, range: Range) -> Result<Vec<(String, i64)>, ServiceError> {
    let now = m.now();
    m.database.read_with(|conn| {
        let app = apps::find(conn, client_id)?.filter(|app| m.doer.reaches(Some(app.organisation_id)));
        app.ok_or_else(|| ServiceError::NotFound(format!("there is no app {client_id}")))?;
        Ok(usage::top_addresses(conn, client_id, range.starts(now).next().unwrap_or(now), now)?)
    })
}

/// What all apps of an organisation got and were refused.
#[derive(Debug, Clone)]
pub struct OrganisationPicture {
    /// Their use together.
    pub picture: Picture,
    /// What they got in the last 24 hours.
    pub issued_24h: i64,
    /// What they were refused in the last 24 hours.
    pub refused_24h: i64,
    /// Those that asked most in the last 24 hours; of many apps up to half a minute old.
    pub busiest: Arc<BusiestApps>,
}

/// What an organisation's apps got and were refused together.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn organisation_picture(
    m: &Management,
    organisation: &str,
    range: Range,
) -> Result<OrganisationPicture, ServiceError> {
    let now = m.now();
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        let of = Counted::Organisation(id);
        let picture = Picture::read(conn, of, range, now)?;
        let day = match range {
            Range::Day => None,
            _ => Some(Picture::read(conn, of, Range::Day, now)?),
        };
        let day = day.as_ref().unwrap_or(&picture);
        Ok(OrganisationPicture {
            issued_24h: day.issued(),
            refused_24h: day.refused(),
            busiest: m.busiest.find(conn, id, now)?,
            picture,
        })
    })
}

/// The busiest apps of organisations with so many that to find them takes a tenth of a second. They are looked for at most
/// twice a minute; where there are few apps, whoever makes a first request sees it at once.
#[derive(Debug)]
pub(in crate::service) struct Busiest(Cache<Uuid, (Timestamp, Arc<BusiestApps>)>);

/// With fewer apps than this, a look costs no more than five thousandths of a second.
const MANY_APPS: i64 = 500;
const BUSIEST_KEPT: Duration = Duration::from_secs(30);
/// Organisations whose busiest apps are remembered.
const ORGANISATIONS_REMEMBERED: usize = 256;

impl Default for Busiest {
    fn default() -> Self {
        Self(Cache::new(ORGANISATIONS_REMEMBERED))
    }
}

impl Busiest {
    fn find(&self, conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<Arc<BusiestApps>, DbError> {
        if let Some((at, known)) = self.0.get(&id)
            && at <= now
            && now.since(at) < BUSIEST_KEPT
        {
            return Ok(known);
        }
        let from = Range::Day.starts(now).next().unwrap_or(now);
        let found = Arc::new(usage::busiest(conn, id, from, BUSIEST)?);
        if found.active >= MANY_APPS {
            self.0.insert(id, (now, found.clone()));
        }
        Ok(found)
    }
}

/// The last days of an app, today last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sparkline {
    /// The app.
    pub client_id: ClientId,
    /// Tokens it got, by the day of UTC.
    pub issued: [i64; SPARKLINE_DAYS],
    /// Requests of its that were refused.
    pub refused: [i64; SPARKLINE_DAYS],
}

/// The last days of these apps, in their order, in one query. Apps of another organisation have none.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn sparklines(m: &Management, organisation: &str, apps: &[ClientId]) -> Result<Vec<Sparkline>, ServiceError> {
    let span = seconds(DAY);
    let today = m.now().seconds() - m.now().seconds().rem_euclid(span);
    let first = today - span * (i64::try_from(SPARKLINE_DAYS).unwrap_or(1) - 1);
    let days = m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        Ok::<_, ServiceError>(usage::week_of(conn, id, apps, Timestamp::from_seconds(first))?)
    })?;
    let empty = |client_id: &ClientId| Sparkline {
        client_id: *client_id,
        issued: [0; SPARKLINE_DAYS],
        refused: [0; SPARKLINE_DAYS],
    };
    let mut lines: Vec<Sparkline> = apps.iter().map(empty).collect();
    for day in days {
        let place = usize::try_from((day.count.start.seconds() - first) / span).unwrap_or(usize::MAX);
        let of_app = lines.iter_mut().filter(|line| line.client_id == day.client_id);
        for line in of_app {
            if let (Some(issued), Some(refused)) = (line.issued.get_mut(place), line.refused.get_mut(place)) {
                (*issued, *refused) = (day.count.issued, day.count.refused);
            }
        }
    }
    Ok(lines)
}

/// Whether an app of the organisation ever got a token.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn has_issued_tokens(m: &Management, organisation: &str) -> Result<bool, ServiceError> {
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        Ok(usage::was_ever_issued(conn, Counted::Organisation(id))?)
    })
}

/// The name of the fact that a token of the organisation was checked.
fn checked_fact(organisation_id: Uuid) -> String {
    format!("token-checked {organisation_id}")
}

/// Writes down that a token of the organisation was checked, once.
pub(super) fn note_tokens_checked(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    now: Timestamp,
) -> Result<(), DbError> {
    let fact = checked_fact(organisation_id);
    match meta::find(conn, &fact)? {
        Some(_known) => Ok(()),
        None => meta::insert(conn, &fact, &now.rfc3339()),
    }
}

/// Whether this server ever checked a token of the organisation, or somebody said that services do. Those that verify
/// offline are not seen.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn has_checked_tokens(m: &Management, organisation: &str) -> Result<bool, ServiceError> {
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        Ok(meta::find(conn, &checked_fact(id))?.is_some())
    })
}

/// Says that services of the organisation check its tokens.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn mark_tokens_checked(m: &Management, organisation: &str) -> Result<(), ServiceError> {
    let (deed, slug) = (m.deed(), organisation.to_owned());
    m.database.write(move |conn| {
        let id = find_organisation(conn, &slug)?.id;
        note_tokens_checked(conn, id, deed.now)?;
        let target = id.to_string();
        Ok(deed.record(conn, Some(id), "organisation.tokens_checked", &target, json!({}), None)?)
    })
}
