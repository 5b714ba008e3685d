//! Trusted issuers in lists: found by words, a page at a time.

use std::collections::HashMap;

use diesel::dsl::{count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::sql_types::Text;
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl,
    TextExpressionMethods,
};
use uuid::Uuid;

use super::{Row, TrustedIssuerRecord, read};
use crate::clock::Timestamp;
use crate::db::conn::{AnyConnection, is_storable, pattern};
use crate::db::error::DbError;
use crate::db::organisations::parse_id;
use crate::db::schema::{apps, trusted_issuer_uses, trusted_issuers};
use crate::oauth::ClientId;

type Query<'a> = trusted_issuers::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

fn folded_name() -> SqlLiteral<Text> {
    sql("lower(trusted_issuers.name)")
}

/// Those of an organisation whose name or `iss` holds these words, in any case of ASCII letters.
fn found<'a>(organisation_id: Uuid, words: &str) -> Query<'a> {
    let of_organisation = trusted_issuers::organisation_id.eq(organisation_id.to_string());
    let query = trusted_issuers::table.filter(of_organisation).into_boxed();
    match words {
        "" => query,
        words if !is_storable(words) => query.filter(trusted_issuers::id.is_null()),
        words => {
            let issuer = sql::<Text>("lower(trusted_issuers.issuer)").like(pattern(words)).escape('\\');
            query.filter(folded_name().like(pattern(words)).escape('\\').or(issuer))
        }
    }
}

/// How many issuers of an organisation have a name or an `iss` that holds these words; no words are in all.
///
/// # Errors
/// When the database does not answer.
pub fn count_found(conn: &mut AnyConnection, organisation_id: Uuid, words: &str) -> Result<i64, DbError> {
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
) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    let in_order = found(organisation_id, words).order((folded_name(), trusted_issuers::id));
    let rows: Vec<Row> = in_order.offset(offset).limit(limit).load(conn)?;
    read(conn, rows)
}

/// How many JWTs of these issuers had that outcome since the hour of `from`, and how many another.
///
/// # Errors
/// When the database does not answer.
pub fn sum_outcomes(
    conn: &mut AnyConnection,
    issuers: &[ClientId],
    outcome: &str,
    from: Timestamp,
) -> Result<HashMap<String, (i64, i64)>, DbError> {
    let ids: Vec<String> = issuers.iter().map(ToString::to_string).collect();
    let rows: Vec<(String, String, i64)> = trusted_issuer_uses::table
        .filter(trusted_issuer_uses::trusted_issuer_id.eq_any(ids))
        .filter(trusted_issuer_uses::hour.ge(from.hour().seconds()))
        .select((trusted_issuer_uses::trusted_issuer_id, trusted_issuer_uses::outcome, trusted_issuer_uses::count))
        .load(conn)?;
    let mut sums: HashMap<String, (i64, i64)> = HashMap::new();
    for (issuer, known, count) in rows {
        let (such, other) = sums.entry(issuer).or_default();
        *(if known == outcome { such } else { other }) += count;
    }
    Ok(sums)
}

/// What these apps are called, by id.
///
/// # Errors
/// When the database does not answer.
pub fn list_app_names(conn: &mut AnyConnection, ids: &[ClientId]) -> Result<HashMap<String, String>, DbError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows: Vec<(String, String)> =
        apps::table.filter(apps::id.eq_any(ids)).select((apps::id, apps::name)).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Who is trusted, by organisation and `iss`, each once: of one organisation or of all, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn list_names(
    conn: &mut AnyConnection,
    organisation_id: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, DbError> {
    let columns = (trusted_issuers::organisation_id, trusted_issuers::issuer);
    let mut query = trusted_issuers::table.select(columns).distinct().order(columns).limit(limit).into_boxed();
    if let Some(id) = organisation_id {
        query = query.filter(trusted_issuers::organisation_id.eq(id.to_string()));
    }
    let rows: Vec<(String, String)> = query.load(conn)?;
    rows.into_iter().map(|(id, issuer)| Ok((parse_id(&id, "trusted_issuers")?, issuer))).collect()
}
