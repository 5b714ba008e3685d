//! Revoked tokens, kept until they would have expired.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::schema::revocations;
use crate::clock::Timestamp;
use crate::oauth::ClientId;

/// Revokes a token.
///
/// # Errors
/// `Duplicate` when it is revoked already.
pub fn insert(
    conn: &mut AnyConnection,
    jti: &str,
    client_id: ClientId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let row = (
        revocations::jti.eq(jti),
        revocations::app_id.eq(client_id.to_string()),
        revocations::revoked_at.eq(now.seconds()),
        revocations::expires_at.eq(expires_at.seconds()),
    );
    diesel::insert_into(revocations::table).values(row).execute(conn)?;
    Ok(())
}

/// Whether a token is revoked.
///
/// # Errors
/// When the database does not answer.
pub fn contains(conn: &mut AnyConnection, jti: &str) -> Result<bool, DbError> {
    let found: i64 = revocations::table.filter(revocations::jti.eq(jti)).count().get_result(conn)?;
    Ok(found > 0)
}

/// Every `jti` that is revoked and not expired, and when it expires.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, now: Timestamp) -> Result<Vec<(String, Timestamp)>, DbError> {
    let rows: Vec<(String, i64)> = revocations::table
        .filter(revocations::expires_at.gt(now.seconds()))
        .select((revocations::jti, revocations::expires_at))
        .load(conn)?;
    Ok(rows.into_iter().map(|(jti, expires_at)| (jti, Timestamp::from_seconds(expires_at))).collect())
}

/// When a revoked token expires.
///
/// # Errors
/// When the database does not answer.
pub fn find_expiry(conn: &mut AnyConnection, jti: &str) -> Result<Option<Timestamp>, DbError> {
    let found: Option<i64> = revocations::table.find(jti).select(revocations::expires_at).first(conn).optional()?;
    Ok(found.map(Timestamp::from_seconds))
}

/// When a token was revoked.
///
/// # Errors
/// When the database does not answer.
pub fn find_moment(conn: &mut AnyConnection, jti: &str) -> Result<Option<Timestamp>, DbError> {
    if !is_storable(jti) {
        return Ok(None);
    }
    let found: Option<i64> = revocations::table.find(jti).select(revocations::revoked_at).first(conn).optional()?;
    Ok(found.map(Timestamp::from_seconds))
}

/// Forgets what has expired.
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    Ok(diesel::delete(revocations::table.filter(revocations::expires_at.le(now.seconds()))).execute(conn)?)
}
