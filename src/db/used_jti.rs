//! Ids that may be used only once: of assertions and proofs.

use diesel::result::DatabaseErrorKind;
use diesel::result::Error::DatabaseError;
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::schema::used_jti;
use crate::clock::Timestamp;

/// Rows deleted at once, about: whoever wants to write meanwhile waits no longer than that takes.
const DELETED_AT_ONCE: i64 = 5_000;

/// Whether an id is seen for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jti {
    /// It is, and is remembered from now on.
    Fresh,
    /// It was used before.
    Replayed,
}

/// Records an id. `forget_at` must be `exp` plus the leeway, or the id could be replayed in between. Ids of different
/// issuers and purposes have nothing to do with each other.
///
/// # Errors
/// When the database does not take it: then nobody knows whether the id was used.
pub fn record(
    conn: &mut AnyConnection,
    issuer: &str,
    purpose: &str,
    jti: &str,
    forget_at: Timestamp,
) -> Result<Jti, DbError> {
    if ![issuer, purpose, jti].into_iter().all(is_storable) {
        return Err(DbError::Other("an id with a NUL in it cannot be stored".to_owned()));
    }
    let row = (
        used_jti::issuer.eq(issuer),
        used_jti::purpose.eq(purpose),
        used_jti::jti.eq(jti),
        used_jti::forget_at.eq(forget_at.seconds()),
    );
    match diesel::insert_into(used_jti::table).values(row).execute(conn) {
        Ok(_) => Ok(Jti::Fresh),
        Err(DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(Jti::Replayed),
        Err(error) => Err(error.into()),
    }
}

/// Whether an id was recorded. Records nothing, so the next to ask may be told otherwise.
///
/// # Errors
/// When the database does not answer.
pub fn is_used(conn: &mut AnyConnection, issuer: &str, purpose: &str, jti: &str) -> Result<bool, DbError> {
    if ![issuer, purpose, jti].into_iter().all(is_storable) {
        return Ok(false);
    }
    let found = used_jti::table
        .filter(used_jti::issuer.eq(issuer).and(used_jti::purpose.eq(purpose)).and(used_jti::jti.eq(jti)));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn)?)
}

/// Forgets some of those whose time is over, the oldest first. Returns how many; none are left when it is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    let expired = || used_jti::table.filter(used_jti::forget_at.le(now.seconds()));
    let last_of_batch: Option<i64> = expired()
        .order(used_jti::forget_at)
        .select(used_jti::forget_at)
        .offset(DELETED_AT_ONCE)
        .first(conn)
        .optional()?;
    let until = last_of_batch.unwrap_or_else(|| now.seconds());
    Ok(diesel::delete(used_jti::table.filter(used_jti::forget_at.le(until))).execute(conn)?)
}
