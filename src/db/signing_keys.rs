//! Signing keys, private halves sealed.

use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl, Queryable, RunQueryDsl};

use super::apis::{read_lifetime, write_lifetime};
use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::signing_keys;
use crate::clock::Timestamp;
use crate::oauth::SigningAlgorithm;

/// A key with its dates; what they mean is said in `keys::ring`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// PKCS#8, sealed under the master key.
    pub sealed_private_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// The longest life that a token it signed can have had.
    pub token_lifetime: Duration,
}

#[derive(Queryable)]
struct Row {
    kid: String,
    algorithm: String,
    sealed_private_key: Vec<u8>,
    created_at: i64,
    signs_from: i64,
    token_lifetime: i64,
}

impl TryFrom<Row> for SigningKeyRecord {
    type Error = DbError;
    fn try_from(row: Row) -> Result<Self, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "signing_keys", column, id: row.kid.clone() };
        Ok(Self {
            algorithm: SigningAlgorithm::from_name(&row.algorithm).ok_or_else(|| corrupt("algorithm"))?,
            token_lifetime: read_lifetime(row.token_lifetime).ok_or_else(|| corrupt("token_lifetime"))?,
            sealed_private_key: row.sealed_private_key,
            created_at: Timestamp::from_seconds(row.created_at),
            signs_from: Timestamp::from_seconds(row.signs_from),
            kid: row.kid,
        })
    }
}

/// Adds a key.
///
/// # Errors
/// `Duplicate` when the `kid` is taken.
pub fn insert(conn: &mut AnyConnection, key: &SigningKeyRecord) -> Result<(), DbError> {
    let row = (
        signing_keys::kid.eq(&key.kid),
        signing_keys::algorithm.eq(key.algorithm.name()),
        signing_keys::sealed_private_key.eq(&key.sealed_private_key),
        signing_keys::created_at.eq(key.created_at.seconds()),
        signing_keys::signs_from.eq(key.signs_from.seconds()),
        signing_keys::token_lifetime.eq(write_lifetime(key.token_lifetime)),
    );
    diesel::insert_into(signing_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// All keys, in the order in which they sign.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection) -> Result<Vec<SigningKeyRecord>, DbError> {
    let rows: Vec<Row> = signing_keys::table.order((signing_keys::signs_from, signing_keys::kid)).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Lets a key sign from another moment on.
///
/// # Errors
/// When the database does not take it.
pub fn update_signs_from(conn: &mut AnyConnection, kid: &str, signs_from: Timestamp) -> Result<(), DbError> {
    diesel::update(signing_keys::table.find(kid))
        .set(signing_keys::signs_from.eq(signs_from.seconds()))
        .execute(conn)?;
    Ok(())
}

/// Remembers that tokens may now live this long, for every key. Never shortens: older tokens may be out there.
///
/// # Errors
/// When the database does not take it.
pub fn raise_token_lifetime(conn: &mut AnyConnection, lifetime: Duration) -> Result<usize, DbError> {
    let seconds = write_lifetime(lifetime);
    let shorter = signing_keys::table.filter(signing_keys::token_lifetime.lt(seconds));
    Ok(diesel::update(shorter).set(signing_keys::token_lifetime.eq(seconds)).execute(conn)?)
}

/// Deletes a key.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, kid: &str) -> Result<bool, DbError> {
    Ok(diesel::delete(signing_keys::table.find(kid)).execute(conn)? == 1)
}
