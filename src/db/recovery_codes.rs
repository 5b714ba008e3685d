//! Recovery codes of people, hashed: each works once.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::recovery_codes;
use crate::clock::Timestamp;
use crate::secret::KeyedHash;

/// Puts a person's codes in the place of those there were.
///
/// # Errors
/// When the database does not take it.
pub fn replace(conn: &mut AnyConnection, developer_id: Uuid, hashes: &[KeyedHash]) -> Result<(), DbError> {
    delete(conn, developer_id)?;
    for hash in hashes {
        let row = (recovery_codes::developer_id.eq(developer_id.to_string()), recovery_codes::hash.eq(hash.to_text()));
        diesel::insert_into(recovery_codes::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Takes a person's codes away.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, developer_id: Uuid) -> Result<(), DbError> {
    let of_person = recovery_codes::table.filter(recovery_codes::developer_id.eq(developer_id.to_string()));
    diesel::delete(of_person).execute(conn)?;
    Ok(())
}

/// Uses a code up. `false` if it is none of the person's or was used before: of many who come at once with the same one, one
/// hears `true`.
///
/// # Errors
/// When the database does not take it.
pub fn use_once(
    conn: &mut AnyConnection,
    developer_id: Uuid,
    hash: KeyedHash,
    now: Timestamp,
) -> Result<bool, DbError> {
    let unused = recovery_codes::table
        .find((developer_id.to_string(), hash.to_text()))
        .filter(recovery_codes::used_at.is_null());
    Ok(diesel::update(unused).set(recovery_codes::used_at.eq(now.seconds())).execute(conn)? == 1)
}

/// How many codes a person has left.
///
/// # Errors
/// When the database does not answer.
pub fn count_unused(conn: &mut AnyConnection, developer_id: Uuid) -> Result<u64, DbError> {
    let left: i64 = recovery_codes::table
        .filter(recovery_codes::developer_id.eq(developer_id.to_string()))
        .filter(recovery_codes::used_at.is_null())
        .count()
        .get_result(conn)?;
    Ok(u64::try_from(left).unwrap_or(0))
}
