//! Facts about the database as a whole.

use diesel::sql_types::BigInt;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl, sql_query};

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::{apps, developers, meta, organisations, sessions};
use crate::clock::Timestamp;

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

/// How much there is of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes that the database takes.
    pub bytes: i64,
    /// Organisations.
    pub organisations: i64,
    /// People.
    pub people: i64,
    /// Apps.
    pub apps: i64,
    /// Sessions of people that are not over.
    pub sessions: i64,
}

#[derive(QueryableByName)]
struct Bytes {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// How large the database is.
///
/// # Errors
/// When the database does not answer.
pub fn extent(conn: &mut AnyConnection, now: Timestamp) -> Result<Extent, DbError> {
    let bytes: Bytes = match &mut *conn {
        AnyConnection::Sqlite(c) => {
            sql_query("SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()")
                .get_result(c)?
        }
        AnyConnection::Postgresql(c) => {
            sql_query("SELECT pg_database_size(current_database()) AS bytes").get_result(c)?
        }
    };
    Ok(Extent {
        bytes: bytes.bytes,
        organisations: organisations::table.count().get_result(conn)?,
        people: developers::table.count().get_result(conn)?,
        apps: apps::table.count().get_result(conn)?,
        sessions: sessions::table.filter(sessions::expires_at.gt(now.seconds())).count().get_result(conn)?,
    })
}
