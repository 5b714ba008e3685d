//! What creations with an idempotency key answered, for those who ask again. Sealed: an answer may hold an App Key.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::idempotency;
use crate::clock::Timestamp;
use crate::oauth::ClientId;

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(86_400);

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The digest of the request it answered.
    pub request_hash: String,
    /// The answer.
    pub sealed_answer: Vec<u8>,
}

/// The answer to an app's request with that key, if it is not too old.
///
/// # Errors
/// When the database does not answer.
pub fn find(
    conn: &mut AnyConnection,
    client_id: ClientId,
    key_hash: &str,
    now: Timestamp,
) -> Result<Option<KeptAnswer>, DbError> {
    let kept: Option<(String, Vec<u8>)> = idempotency::table
        .find((client_id.to_string(), key_hash))
        .filter(idempotency::created_at.gt((now - KEPT).seconds()))
        .select((idempotency::request_hash, idempotency::sealed_answer))
        .first(conn)
        .optional()?;
    Ok(kept.map(|(request_hash, sealed_answer)| KeptAnswer { request_hash, sealed_answer }))
}

/// Keeps an answer.
///
/// # Errors
/// `Duplicate` when one is kept for that key.
pub fn insert(
    conn: &mut AnyConnection,
    client_id: ClientId,
    key_hash: &str,
    answer: &KeptAnswer,
    now: Timestamp,
) -> Result<(), DbError> {
    delete_expired(conn, now)?;
    let row = (
        idempotency::app_id.eq(client_id.to_string()),
        idempotency::key_hash.eq(key_hash),
        idempotency::request_hash.eq(&answer.request_hash),
        idempotency::sealed_answer.eq(&answer.sealed_answer),
        idempotency::created_at.eq(now.seconds()),
    );
    diesel::insert_into(idempotency::table).values(row).execute(conn)?;
    Ok(())
}

/// Forgets what an app was answered.
pub(super) fn delete(conn: &mut AnyConnection, client_id: ClientId) -> Result<(), DbError> {
    diesel::delete(idempotency::table.filter(idempotency::app_id.eq(client_id.to_string()))).execute(conn)?;
    Ok(())
}

/// Deletes what is older than [`KEPT`].
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    let old = idempotency::table.filter(idempotency::created_at.le((now - KEPT).seconds()));
    Ok(diesel::delete(old).execute(conn)?)
}
