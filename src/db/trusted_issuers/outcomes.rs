//! What became of the JWTs of trusted issuers, by hour.

use diesel::upsert::excluded;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::super::conn::{AnyConnection, on_either};
use super::super::error::DbError;
use super::super::schema::trusted_issuer_uses;
use crate::clock::Timestamp;
use crate::oauth::ClientId;

/// How often one thing became of an issuer's JWTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeCount<O = &'static str> {
    /// Whose.
    pub issuer: ClientId,
    /// What.
    pub outcome: O,
    /// How often.
    pub count: i64,
}

/// Adds counts to the hour of `at`, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add_outcomes(conn: &mut AnyConnection, counts: &[OutcomeCount], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &OutcomeCount| {
        (
            trusted_issuer_uses::trusted_issuer_id.eq(count.issuer.to_string()),
            trusted_issuer_uses::hour.eq(at.hour().seconds()),
            trusted_issuer_uses::outcome.eq(count.outcome),
            trusted_issuer_uses::count.eq(count.count),
        )
    };
    for some in counts.chunks(500) {
        let rows: Vec<_> = some.iter().map(row).collect();
        on_either!(conn, c => diesel::insert_into(trusted_issuer_uses::table)
                .values(rows)
                .on_conflict((trusted_issuer_uses::trusted_issuer_id, trusted_issuer_uses::hour, trusted_issuer_uses::outcome))
                .do_update()
                .set(trusted_issuer_uses::count.eq(trusted_issuer_uses::count + excluded(trusted_issuer_uses::count)))
                .execute(c))?;
    }
    Ok(())
}

/// What became of an issuer's JWTs since the hour of `from`, the most frequent first.
///
/// # Errors
/// When the database does not answer.
pub fn list_outcomes(
    conn: &mut AnyConnection,
    issuer: ClientId,
    from: Timestamp,
) -> Result<Vec<OutcomeCount<String>>, DbError> {
    let rows: Vec<(String, i64)> = trusted_issuer_uses::table
        .filter(trusted_issuer_uses::trusted_issuer_id.eq(issuer.to_string()))
        .filter(trusted_issuer_uses::hour.ge(from.hour().seconds()))
        .select((trusted_issuer_uses::outcome, trusted_issuer_uses::count))
        .load(conn)?;
    let mut counts: Vec<OutcomeCount<String>> = Vec::new();
    for (outcome, count) in rows {
        match counts.iter_mut().find(|known| known.outcome == outcome) {
            Some(known) => known.count += count,
            None => counts.push(OutcomeCount { issuer, outcome, count }),
        }
    }
    counts.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.outcome.cmp(&other.outcome)));
    Ok(counts)
}

/// Deletes the counts of an issuer.
///
/// # Errors
/// When the database does not take it.
pub(super) fn delete(conn: &mut AnyConnection, issuer: ClientId) -> Result<(), DbError> {
    let of_issuer = trusted_issuer_uses::trusted_issuer_id.eq(issuer.to_string());
    diesel::delete(trusted_issuer_uses::table.filter(of_issuer)).execute(conn)?;
    Ok(())
}

/// Deletes counts of hours before `from`.
///
/// # Errors
/// When the database does not take it.
pub fn delete_stale_outcomes(conn: &mut AnyConnection, from: Timestamp) -> Result<usize, DbError> {
    Ok(diesel::delete(trusted_issuer_uses::table.filter(trusted_issuer_uses::hour.lt(from.seconds()))).execute(conn)?)
}
