//! APIs in lists: found by words, a page at a time.

use diesel::dsl::{count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::sql_types::Text;
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl,
    RunQueryDsl, TextExpressionMethods,
};
use uuid::Uuid;

use super::{ApiRecord, MANAGEMENT_API, Row, with_scopes};
use crate::db::conn::{AnyConnection, is_storable, pattern};
use crate::db::error::DbError;
use crate::db::organisations::parse_id;
use crate::db::schema::{api_scopes, apis};

/// What an API is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiName {
    /// Ours.
    pub id: Uuid,
    /// Its name for people.
    pub name: String,
}

type Query<'a> = apis::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

fn folded_name() -> SqlLiteral<Text> {
    sql("lower(apis.name)")
}

/// An organisation's own whose name or identifier holds these words, in any case of ASCII letters.
fn found<'a>(organisation_id: Uuid, words: &str) -> Query<'a> {
    let query = apis::table.filter(apis::organisation_id.eq(organisation_id.to_string())).into_boxed();
    match words {
        "" => query,
        words if !is_storable(words) => query.filter(apis::id.is_null()),
        words => {
            let identifier = sql::<Text>("lower(apis.identifier)").like(pattern(words)).escape('\\');
            query.filter(folded_name().like(pattern(words)).escape('\\').or(identifier))
        }
    }
}

/// How many APIs of its own an organisation has whose name or identifier holds these words; no words are in all.
///
/// # Errors
/// When the database does not answer.
pub fn count(conn: &mut AnyConnection, organisation_id: Uuid, words: &str) -> Result<i64, DbError> {
    Ok(found(organisation_id, words).select(count_star()).first(conn)?)
}

/// Those by name: at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    words: &str,
    (offset, limit): (i64, i64),
) -> Result<Vec<ApiRecord>, DbError> {
    let rows = found(organisation_id, words).order((folded_name(), apis::id)).offset(offset).limit(limit).load(conn)?;
    with_scopes(conn, rows)
}

/// The same, only what they are called, and the one with that id wherever it stands.
///
/// # Errors
/// When the database does not answer.
pub fn list_names(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    also: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ApiName>, DbError> {
    let columns = (apis::id, apis::name);
    let first = found(organisation_id, "").order((folded_name(), apis::id)).limit(limit);
    let mut rows: Vec<(String, String)> = first.select(columns).load(conn)?;
    let also = also.unwrap_or(MANAGEMENT_API).to_string();
    let own = apis::organisation_id.eq(organisation_id.to_string()).or(apis::organisation_id.is_null());
    for wanted in [also, MANAGEMENT_API.to_string()] {
        if !rows.iter().any(|(id, _)| *id == wanted) {
            let row: Option<(String, String)> =
                apis::table.find(wanted).filter(own.clone()).select(columns).first(conn).optional()?;
            rows.extend(row);
        }
    }
    rows.into_iter().map(|(id, name)| Ok(ApiName { id: parse_id(&id, "apis")?, name })).collect()
}

/// The APIs of an organisation among which scopes are chosen, by name, Brevet's own last: those that have one of `scopes`,
/// those of `ids`, and of the others the first `limit` whose name or identifier holds the words.
///
/// # Errors
/// When the database does not answer.
pub fn choose(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    (scopes, ids): (&[String], &[Uuid]),
    words: &str,
    limit: i64,
) -> Result<Vec<ApiRecord>, DbError> {
    let storable: Vec<&String> = scopes.iter().filter(|scope| is_storable(scope)).collect();
    let mut wanted: Vec<String> = api_scopes::table
        .filter(api_scopes::organisation_id.eq(organisation_id.to_string()))
        .filter(api_scopes::name.eq_any(storable))
        .select(api_scopes::api_id)
        .distinct()
        .load(conn)?;
    wanted.extend(ids.iter().map(Uuid::to_string));
    let mut rows: Vec<Row> = found(organisation_id, "").filter(apis::id.eq_any(wanted)).load(conn)?;
    let others: Vec<Row> = found(organisation_id, words).order((folded_name(), apis::id)).limit(limit).load(conn)?;
    rows.extend(others);
    rows.sort_by_cached_key(|row| (row.name.to_ascii_lowercase(), row.id.clone()));
    rows.dedup_by(|one, other| one.id == other.id);
    rows.extend(apis::table.find(MANAGEMENT_API.to_string()).first::<Row>(conn).optional()?);
    with_scopes(conn, rows)
}

/// The APIs of an organisation by identifier, Brevet's own last.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<Vec<ApiRecord>, DbError> {
    let own = apis::organisation_id.eq(organisation_id.to_string());
    let mut rows: Vec<Row> = apis::table.filter(own).order(apis::identifier).load(conn)?;
    rows.extend(apis::table.find(MANAGEMENT_API.to_string()).first::<Row>(conn).optional()?);
    with_scopes(conn, rows)
}

/// The APIs of an organisation and Brevet's own in the order of their ids, at most `limit`, those after `after`.
///
/// # Errors
/// When the database does not answer.
pub fn list_page(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ApiRecord>, DbError> {
    let here = apis::organisation_id.eq(organisation_id.to_string()).or(apis::organisation_id.is_null());
    let after = after.map(|after| after.to_string()).unwrap_or_default();
    let rows: Vec<Row> = apis::table.filter(here).filter(apis::id.gt(after)).order(apis::id).limit(limit).load(conn)?;
    with_scopes(conn, rows)
}
