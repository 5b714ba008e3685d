//! Facts about the database as a whole.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::meta;

/// Which master key the private keys are sealed under: its fingerprint.
pub const MASTER_KEY: &str = "master-key";

/// Tokens whose `iat` is earlier are dead, whosever they are: seconds since the epoch.
pub(super) const NOT_BEFORE: &str = "not-before";

/// The value of a fact.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, name: &str) -> Result<Option<String>, DbError> {
    Ok(meta::table.find(name).select(meta::value).first(conn).optional()?)
}

/// Writes a fact down for the first time.
///
/// # Errors
/// `Duplicate` when it is known already.
pub fn insert(conn: &mut AnyConnection, name: &str, value: &str) -> Result<(), DbError> {
    diesel::insert_into(meta::table).values((meta::name.eq(name), meta::value.eq(value))).execute(conn)?;
    Ok(())
}

/// Writes a fact down, whether it is known already or not.
pub(super) fn put(conn: &mut AnyConnection, name: &str, value: &str) -> Result<(), DbError> {
    let updated = diesel::update(meta::table.find(name)).set(meta::value.eq(value)).execute(conn)?;
    if updated == 0 { insert(conn, name, value) } else { Ok(()) }
}
