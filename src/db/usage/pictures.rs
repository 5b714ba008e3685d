//! What pictures and their tables are drawn from.

use diesel::sql_types::{BigInt, Text};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

use super::Counted;
use crate::clock::Timestamp;
use crate::db::conn::{AnyConnection, on_either};
use crate::db::error::DbError;
use crate::db::schema::{apps, usage};
use crate::oauth::ClientId;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Tokens in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanCount {
    /// Where the span begins.
    pub start: Timestamp,
    /// Tokens issued.
    pub issued: i64,
    /// Requests refused.
    pub refused: i64,
}

/// Tokens of an app on a day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCount {
    /// The app.
    pub client_id: ClientId,
    /// The day and its tokens.
    pub count: SpanCount,
}

/// An app that asks much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyApp {
    /// The app.
    pub client_id: ClientId,
    /// Its name for people.
    pub name: String,
    /// Tokens it got.
    pub issued: i64,
    /// Requests of its that were refused.
    pub refused: i64,
}

/// The apps of an organisation that ask most, and how many got a token at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusiestApps {
    /// Those that ask most, the busiest first.
    pub apps: Vec<BusyApp>,
    /// Apps that got at least one token.
    pub active: i64,
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = BigInt)]
    start: i64,
    #[diesel(sql_type = BigInt)]
    issued: i64,
    #[diesel(sql_type = BigInt)]
    refused: i64,
}

#[derive(QueryableByName)]
struct NamedRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct BusyRow {
    #[diesel(sql_type = Text)]
    app_id: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    issued: i64,
    #[diesel(sql_type = BigInt)]
    refused: i64,
    #[diesel(sql_type = BigInt)]
    active: i64,
}

const SERIES: &str = "SELECT hour - hour % $1 AS start, CAST(SUM(issued) AS BIGINT) AS issued, \
     CAST(SUM(refused) AS BIGINT) AS refused FROM usage \
     WHERE app_id = $2 AND hour >= $3 AND hour < $4 GROUP BY 1 ORDER BY 1";

const REFUSALS: &str = "SELECT error AS name, CAST(SUM(refused) AS BIGINT) AS number FROM usage_refusals \
     WHERE app_id = $1 AND hour >= $2 AND hour < $3 GROUP BY error ORDER BY 2 DESC, 1";

const TOP_SCOPES: &str = "SELECT scope AS name, CAST(SUM(issued) AS BIGINT) AS number FROM usage_scopes \
     WHERE app_id = $1 AND hour >= $2 AND hour < $3 GROUP BY scope ORDER BY 2 DESC, 1 LIMIT $4";

/// One pass over the counts gives both answers.
const BUSIEST: &str = "WITH counted AS (SELECT u.app_id AS app_id, CAST(SUM(u.issued) AS BIGINT) AS issued, \
     CAST(SUM(u.refused) AS BIGINT) AS refused FROM apps a JOIN usage u ON u.app_id = a.id \
     WHERE a.organisation_id = $1 AND u.hour >= $2 GROUP BY u.app_id) \
     SELECT c.app_id AS app_id, a.name AS name, c.issued AS issued, c.refused AS refused, \
     (SELECT COUNT(*) FROM counted WHERE issued > 0) AS active \
     FROM counted c JOIN apps a ON a.id = c.app_id ORDER BY c.issued + c.refused DESC, c.app_id LIMIT $3";

/// Counts from the hour of `from` to before `to` in spans of so many seconds, a whole number of hours, oldest first. Spans
/// without any are not there.
///
/// # Errors
/// When the database does not answer.
pub fn series(
    conn: &mut AnyConnection,
    of: Counted,
    span: i64,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<SpanCount>, DbError> {
    let rows: Vec<SpanRow> = on_either!(conn, c => sql_query(SERIES)
        .bind::<BigInt, _>(span)
        .bind::<Text, _>(of.to_string())
        .bind::<BigInt, _>(super::hour(from))
        .bind::<BigInt, _>(to.seconds())
        .load(c))?;
    let count = |row: SpanRow| SpanCount {
        start: Timestamp::from_seconds(row.start),
        issued: row.issued,
        refused: row.refused,
    };
    Ok(rows.into_iter().map(count).collect())
}

/// Refusals by error from the hour of `from` to before `to`, the most frequent first.
///
/// # Errors
/// When the database does not answer.
pub fn refusals(
    conn: &mut AnyConnection,
    of: Counted,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows: Vec<NamedRow> = on_either!(conn, c => sql_query(REFUSALS)
        .bind::<Text, _>(of.to_string())
        .bind::<BigInt, _>(super::hour(from))
        .bind::<BigInt, _>(to.seconds())
        .load(c))?;
    Ok(rows.into_iter().map(|row| (row.name, row.number)).collect())
}

/// The scopes that most tokens had from the hour of `from` to before `to`, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn top_scopes(
    conn: &mut AnyConnection,
    of: Counted,
    from: Timestamp,
    to: Timestamp,
    limit: i64,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows: Vec<NamedRow> = on_either!(conn, c => sql_query(TOP_SCOPES)
        .bind::<Text, _>(of.to_string())
        .bind::<BigInt, _>(super::hour(from))
        .bind::<BigInt, _>(to.seconds())
        .bind::<BigInt, _>(limit)
        .load(c))?;
    Ok(rows.into_iter().map(|row| (row.name, row.number)).collect())
}

/// The apps of an organisation that asked most since the hour of `from`, at most `limit`. Reads the counts of each app.
///
/// # Errors
/// When the database does not answer.
pub fn busiest(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    from: Timestamp,
    limit: i64,
) -> Result<BusiestApps, DbError> {
    let rows: Vec<BusyRow> = on_either!(conn, c => sql_query(BUSIEST)
        .bind::<Text, _>(organisation_id.to_string())
        .bind::<BigInt, _>(super::hour(from))
        .bind::<BigInt, _>(limit)
        .load(c))?;
    let active = rows.first().map_or(0, |row| row.active);
    let busy = |row: BusyRow| {
        Ok(BusyApp { client_id: read_id(&row.app_id)?, name: row.name, issued: row.issued, refused: row.refused })
    };
    Ok(BusiestApps { apps: rows.into_iter().map(busy).collect::<Result<_, DbError>>()?, active })
}

/// Counts by day of these apps of an organisation since the hour of `from`, in one query: for the small pictures in a
/// list.
///
/// # Errors
/// When the database does not answer.
pub fn week_of(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    of: &[ClientId],
    from: Timestamp,
) -> Result<Vec<DayCount>, DbError> {
    let ids: Vec<String> = of.iter().map(ToString::to_string).collect();
    let own = apps::table.filter(apps::organisation_id.eq(organisation_id.to_string())).filter(apps::id.eq_any(ids));
    let rows: Vec<(String, i64, i64, i64)> = on_either!(conn, c => usage::table
        .filter(usage::app_id.eq_any(own.select(apps::id)))
        .filter(usage::hour.ge(super::hour(from)))
        .order((usage::app_id, usage::hour))
        .select((usage::app_id, usage::hour, usage::issued, usage::refused))
        .load(c))?;
    let mut days: Vec<DayCount> = Vec::new();
    for (id, hour, issued, refused) in rows {
        let (client_id, start) = (read_id(&id)?, Timestamp::from_seconds(hour - hour.rem_euclid(DAY)));
        match days.last_mut() {
            Some(day) if day.client_id == client_id && day.count.start == start => {
                day.count.issued += issued;
                day.count.refused += refused;
            }
            _ => days.push(DayCount { client_id, count: SpanCount { start, issued, refused } }),
        }
    }
    Ok(days)
}

/// Whether a token was ever issued.
///
/// # Errors
/// When the database does not answer.
pub fn was_ever_issued(conn: &mut AnyConnection, of: Counted) -> Result<bool, DbError> {
    let some = usage::table.filter(usage::app_id.eq(of.to_string())).filter(usage::issued.gt(0)).limit(1);
    let found: Vec<i64> = some.select(usage::issued).load(conn)?;
    Ok(!found.is_empty())
}

fn read_id(id: &str) -> Result<ClientId, DbError> {
    let corrupt = || DbError::Corrupt { table: "usage", column: "app_id", id: id.to_owned() };
    ClientId::parse(id).ok_or_else(corrupt)
}
