//! Use of apps and keys: how many tokens each app got and was refused by the hour, with which scopes and errors, and when
//! each key was last used. Counted in memory and written in batches: the only thing that a crash may cost.
//!
//! Under the id of an organisation the same tables hold the sums of its apps. A picture of ten thousand apps over ninety
//! days would else be a sum over twenty million rows; so it is one over two thousand.

mod addresses;
mod pictures;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel::upsert::excluded;
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

pub use self::addresses::{
    AddressCount, MOST_ADDRESSES, add_addresses, top_addresses, trim_addresses, trim_all_addresses,
};
pub use self::pictures::{
    BusiestApps, BusyApp, DayCount, SpanCount, busiest, refusals, series, top_scopes, was_ever_issued, week_of,
};
use super::conn::{AnyConnection, on_either};
use super::error::DbError;
use super::schema::{app_key_uses, apps, organisations, usage, usage_refusals, usage_scopes};
use crate::clock::Timestamp;
use crate::oauth::{ClientId, OAuthErrorCode};

/// Whose counts they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// An app's.
    App(ClientId),
    /// Those of all apps of an organisation, also of apps that are gone.
    Organisation(Uuid),
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(client_id) => client_id.fmt(f),
            Self::Organisation(id) => id.hyphenated().fmt(f),
        }
    }
}

/// Tokens since the last time counts were written.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Whose.
    pub of: Counted,
    /// Tokens issued.
    pub issued: i64,
    /// Requests refused.
    pub refused: i64,
}

/// Why a request was refused, as it is counted. Clients are told less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// With this error.
    With(OAuthErrorCode),
    /// With `invalid_client`, though the client had proved who it is: it asked from outside its networks.
    ForeignNetwork,
}

impl Refused {
    /// The name of [`Self::ForeignNetwork`].
    pub const FOREIGN_NETWORK: &str = "foreign_network";

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::With(code) => code.name(),
            Self::ForeignNetwork => Self::FOREIGN_NETWORK,
        }
    }
}

/// Refusals for one reason since the last time counts were written.
#[derive(Debug, Clone, Copy)]
pub struct RefusalCount {
    /// Whose.
    pub of: Counted,
    /// Why.
    pub why: Refused,
    /// Requests refused for it.
    pub refused: i64,
}

/// Tokens with one scope since the last time counts were written.
#[derive(Debug, Clone)]
pub struct ScopeCount {
    /// Whose.
    pub of: Counted,
    /// The scope.
    pub scope: Arc<str>,
    /// Tokens that have it.
    pub issued: i64,
}

/// The last use of a key.
#[derive(Debug, Clone)]
pub struct KeyUse {
    /// The key.
    pub key_id: Uuid,
    /// Its app.
    pub client_id: ClientId,
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub from: IpAddr,
}

const DAY: i64 = 86_400;

fn hour(at: Timestamp) -> i64 {
    at.seconds() - at.seconds().rem_euclid(3_600)
}

/// Adds counts to the hour of `at`: one row each, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add(conn: &mut AnyConnection, counts: &[Count], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &Count| {
        (
            usage::app_id.eq(count.of.to_string()),
            usage::hour.eq(hour(at)),
            usage::issued.eq(count.issued),
            usage::refused.eq(count.refused),
        )
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(usage::table)
            .values(rows)
            .on_conflict((usage::app_id, usage::hour))
            .do_update()
            .set((
                usage::issued.eq(usage::issued + excluded(usage::issued)),
                usage::refused.eq(usage::refused + excluded(usage::refused)),
            ))
            .execute(c))?;
    Ok(())
}

/// Adds refusals to the hour of `at`: one row each, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add_refusals(conn: &mut AnyConnection, counts: &[RefusalCount], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &RefusalCount| {
        (
            usage_refusals::app_id.eq(count.of.to_string()),
            usage_refusals::hour.eq(hour(at)),
            usage_refusals::error.eq(count.why.name()),
            usage_refusals::refused.eq(count.refused),
        )
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(usage_refusals::table)
            .values(rows)
            .on_conflict((usage_refusals::app_id, usage_refusals::hour, usage_refusals::error))
            .do_update()
            .set(usage_refusals::refused.eq(usage_refusals::refused + excluded(usage_refusals::refused)))
            .execute(c))?;
    Ok(())
}

/// Adds tokens by scope to the hour of `at`: one row each, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add_scopes(conn: &mut AnyConnection, counts: &[ScopeCount], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &ScopeCount| {
        (
            usage_scopes::app_id.eq(count.of.to_string()),
            usage_scopes::hour.eq(hour(at)),
            usage_scopes::scope.eq(count.scope.to_string()),
            usage_scopes::issued.eq(count.issued),
        )
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(usage_scopes::table)
            .values(rows)
            .on_conflict((usage_scopes::app_id, usage_scopes::hour, usage_scopes::scope))
            .do_update()
            .set(usage_scopes::issued.eq(usage_scopes::issued + excluded(usage_scopes::issued)))
            .execute(c))?;
    Ok(())
}

/// Notes the last use of keys: one row a key, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn record_key_uses(conn: &mut AnyConnection, uses: &[KeyUse]) -> Result<(), DbError> {
    let row = |used: &KeyUse| {
        (
            app_key_uses::app_key_id.eq(used.key_id.to_string()),
            app_key_uses::app_id.eq(used.client_id.to_string()),
            app_key_uses::used_at.eq(used.at.seconds()),
            app_key_uses::used_from.eq(used.from.to_string()),
        )
    };
    if uses.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = uses.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(app_key_uses::table)
            .values(rows)
            .on_conflict((app_key_uses::app_id, app_key_uses::app_key_id))
            .do_update()
            .set((
                app_key_uses::used_at.eq(excluded(app_key_uses::used_at)),
                app_key_uses::used_from.eq(excluded(app_key_uses::used_from)),
            ))
            .execute(c))?;
    Ok(())
}

/// When an app last got a token.
pub(super) fn last_use(conn: &mut AnyConnection, app_id: &str) -> Result<Option<Timestamp>, DbError> {
    let of_app = app_key_uses::table.filter(app_key_uses::app_id.eq(app_id));
    let last: Option<i64> = of_app.select(diesel::dsl::max(app_key_uses::used_at)).first(conn)?;
    Ok(last.map(Timestamp::from_seconds))
}

/// Tokens issued to an app and refused it since the hour of `from`.
///
/// # Errors
/// When the database does not answer.
pub fn total(conn: &mut AnyConnection, client_id: ClientId, from: Timestamp) -> Result<(i64, i64), DbError> {
    let rows: Vec<(i64, i64)> = usage::table
        .filter(usage::app_id.eq(client_id.to_string()))
        .filter(usage::hour.ge(hour(from)))
        .select((usage::issued, usage::refused))
        .load(conn)?;
    Ok(rows.iter().fold((0, 0), |(issued, refused), row| (issued + row.0, refused + row.1)))
}

/// Counts of an app in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The app.
    pub client_id: ClientId,
    /// Where the span begins.
    pub start: Timestamp,
    /// Tokens it got.
    pub issued: i64,
    /// Requests of its that were refused.
    pub refused: i64,
}

/// Which counts to list.
#[derive(Debug, Clone)]
pub struct UsageFilter {
    /// The length of a span, a whole number of hours.
    pub span: Duration,
    /// Spans that begin in or after the one with this moment.
    pub from: Timestamp,
    /// Hours before this moment.
    pub to: Timestamp,
    /// Of this app only.
    pub client_id: Option<ClientId>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    app_id: String,
    #[diesel(sql_type = BigInt)]
    start: i64,
    #[diesel(sql_type = BigInt)]
    issued: i64,
    #[diesel(sql_type = BigInt)]
    refused: i64,
}

/// SQLite takes `$1` as the name of a parameter and numbers names as they first appear: in order, so both databases
/// agree. The ids of all apps lie between the two that are bound.
const LIST: &str = "SELECT u.app_id AS app_id, u.hour - u.hour % $1 AS start, \
     CAST(SUM(u.issued) AS BIGINT) AS issued, CAST(SUM(u.refused) AS BIGINT) AS refused \
     FROM usage u JOIN apps a ON a.id = u.app_id \
     WHERE a.organisation_id = $2 AND u.hour >= $3 AND u.hour < $4 AND a.id >= $5 AND a.id <= $6 \
     AND (u.hour - u.hour % $1 > $7 OR (u.hour - u.hour % $1 = $7 AND u.app_id > $8)) \
     GROUP BY 1, 2 ORDER BY 2, 1 LIMIT $9";

/// Before and behind every id in hexadecimal, in each order of letters.
const ALL_IDS: (&str, &str) = ("", "g");

/// Counts of an organisation's apps by span and app, at most `limit`, those after `after`.
///
/// # Errors
/// When the database does not answer.
pub fn list(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    filter: &UsageFilter,
    after: Option<(Timestamp, ClientId)>,
    limit: i64,
) -> Result<Vec<UsageRecord>, DbError> {
    let span = i64::try_from(filter.span.as_secs()).unwrap_or(i64::MAX).max(3_600);
    let (after_start, after_app) = after.map_or((-1, String::new()), |(start, app)| (start.seconds(), app.to_string()));
    let only = filter.client_id.map(|client_id| client_id.to_string());
    let (first_id, last_id) = only.as_deref().map_or(ALL_IDS, |only| (only, only));
    let earliest = filter.from.seconds().max(after_start);
    let from = earliest - earliest.rem_euclid(span);
    // Where many apps have counts the first span fills the page: all counts of the organisation are sorted only if not.
    let second = from.saturating_add(span);
    let mut rows: Vec<Row> = Vec::new();
    for (from, to) in [(from, second.min(filter.to.seconds())), (second, filter.to.seconds())] {
        let wanted = limit.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        if wanted <= 0 || from >= to {
            break;
        }
        let found: Vec<Row> = on_either!(&mut *conn, c => sql_query(LIST)
            .bind::<BigInt, _>(span)
            .bind::<Text, _>(organisation_id.to_string())
            .bind::<BigInt, _>(from)
            .bind::<BigInt, _>(to)
            .bind::<Text, _>(first_id)
            .bind::<Text, _>(last_id)
            .bind::<BigInt, _>(after_start)
            .bind::<Text, _>(&after_app)
            .bind::<BigInt, _>(wanted)
            .load(c))?;
        rows.extend(found);
    }
    let record = |row: Row| {
        let corrupt = || DbError::Corrupt { table: "usage", column: "app_id", id: row.app_id.clone() };
        Ok(UsageRecord {
            client_id: ClientId::parse(&row.app_id).ok_or_else(corrupt)?,
            start: Timestamp::from_seconds(row.start),
            issued: row.issued,
            refused: row.refused,
        })
    };
    rows.into_iter().map(record).collect()
}

/// Forgets counts from before `from` and their details from before `details_from`, and the use of apps that are gone:
/// counts may be written just after an app was deleted.
///
/// # Errors
/// When the database does not take it.
pub fn delete_stale(conn: &mut AnyConnection, from: Timestamp, details_from: Timestamp) -> Result<(), DbError> {
    diesel::delete(usage::table.filter(usage::hour.lt(hour(from)))).execute(conn)?;
    diesel::delete(usage_refusals::table.filter(usage_refusals::hour.lt(hour(details_from)))).execute(conn)?;
    diesel::delete(usage_scopes::table.filter(usage_scopes::hour.lt(hour(details_from)))).execute(conn)?;
    addresses::delete_old(conn, details_from)?;
    let known = || apps::table.select(apps::id);
    // Details never stand without their counts, so one look through the smallest of the tables finds whose are to go.
    let gone: Vec<String> = usage::table
        .filter(usage::app_id.ne_all(known()))
        .filter(usage::app_id.ne_all(organisations::table.select(organisations::id)))
        .select(usage::app_id)
        .distinct()
        .load(conn)?;
    for app_id in gone {
        delete_counts(conn, &app_id)?;
    }
    diesel::delete(app_key_uses::table.filter(app_key_uses::app_id.ne_all(known()))).execute(conn)?;
    Ok(())
}

/// Forgets the use of an app.
pub(super) fn delete(conn: &mut AnyConnection, client_id: ClientId) -> Result<(), DbError> {
    delete_counts(conn, &client_id.to_string())?;
    diesel::delete(app_key_uses::table.filter(app_key_uses::app_id.eq(client_id.to_string()))).execute(conn)?;
    Ok(())
}

fn delete_counts(conn: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    diesel::delete(usage::table.filter(usage::app_id.eq(id))).execute(conn)?;
    diesel::delete(usage_refusals::table.filter(usage_refusals::app_id.eq(id))).execute(conn)?;
    diesel::delete(usage_scopes::table.filter(usage_scopes::app_id.eq(id))).execute(conn)?;
    addresses::delete(conn, id)
}
