//! Initial access tokens, hashed: whoever shows one may register apps of an organisation.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::apis::{read_lifetime, write_lifetime};
use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{registration_token_scopes, registration_tokens};
use crate::clock::Timestamp;
use crate::secret::KeyedHash;

/// An initial access token as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationTokenRecord {
    /// Ours.
    pub id: Uuid,
    /// Whose apps it registers.
    pub organisation_id: Uuid,
    /// Its last four characters.
    pub hint: String,
    /// The longest that tokens of the apps may live.
    pub lifetime: Option<Duration>,
    /// How many apps it can still register.
    pub uses_left: u32,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
    /// The only scopes that the apps may have: API and name.
    pub scopes: Vec<(Uuid, String)>,
}

impl RegistrationTokenRecord {
    /// Whether it can register another app.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.uses_left > 0 && now < self.expires_at
    }
}

#[derive(Queryable)]
struct Row {
    id: String,
    organisation_id: String,
    _hash: String,
    hint: String,
    lifetime: Option<i64>,
    uses_left: i64,
    expires_at: i64,
    created_at: i64,
    created_by: String,
    revoked_at: Option<i64>,
}

impl Row {
    fn with_scopes(self, conn: &mut AnyConnection) -> Result<RegistrationTokenRecord, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "registration_tokens", column, id: self.id.clone() };
        let lifetime = self.lifetime.map(|seconds| read_lifetime(seconds).ok_or_else(|| corrupt("lifetime")));
        let scopes: Vec<(String, String)> = registration_token_scopes::table
            .filter(registration_token_scopes::token_id.eq(&self.id))
            .order(registration_token_scopes::scope)
            .select((registration_token_scopes::api_id, registration_token_scopes::scope))
            .load(conn)?;
        Ok(RegistrationTokenRecord {
            id: parse_id(&self.id, "registration_tokens")?,
            organisation_id: parse_id(&self.organisation_id, "registration_tokens")?,
            lifetime: lifetime.transpose()?,
            uses_left: u32::try_from(self.uses_left).map_err(|_out_of_range| corrupt("uses_left"))?,
            expires_at: Timestamp::from_seconds(self.expires_at),
            created_at: Timestamp::from_seconds(self.created_at),
            revoked_at: self.revoked_at.map(Timestamp::from_seconds),
            hint: self.hint,
            created_by: self.created_by,
            scopes: scopes
                .into_iter()
                .map(|(api_id, scope)| Ok((parse_id(&api_id, "registration_token_scopes")?, scope)))
                .collect::<Result<_, DbError>>()?,
        })
    }
}

/// Adds a token.
///
/// # Errors
/// `MissingReference` when there is no such organisation or scope.
pub fn insert(conn: &mut AnyConnection, token: &RegistrationTokenRecord, hash: KeyedHash) -> Result<(), DbError> {
    let row = (
        registration_tokens::id.eq(token.id.to_string()),
        registration_tokens::organisation_id.eq(token.organisation_id.to_string()),
        registration_tokens::hash.eq(hash.to_text()),
        registration_tokens::hint.eq(&token.hint),
        registration_tokens::lifetime.eq(token.lifetime.map(write_lifetime)),
        registration_tokens::uses_left.eq(i64::from(token.uses_left)),
        registration_tokens::expires_at.eq(token.expires_at.seconds()),
        registration_tokens::created_at.eq(token.created_at.seconds()),
        registration_tokens::created_by.eq(&token.created_by),
    );
    diesel::insert_into(registration_tokens::table).values(row).execute(conn)?;
    for (api_id, scope) in &token.scopes {
        let row = (
            registration_token_scopes::token_id.eq(token.id.to_string()),
            registration_token_scopes::api_id.eq(api_id.to_string()),
            registration_token_scopes::scope.eq(scope),
        );
        diesel::insert_into(registration_token_scopes::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// The token with that hash.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_hash(conn: &mut AnyConnection, hash: KeyedHash) -> Result<Option<RegistrationTokenRecord>, DbError> {
    let with_hash = registration_tokens::table.filter(registration_tokens::hash.eq(hash.to_text()));
    let row: Option<Row> = with_hash.first(conn).optional()?;
    row.map(|row| row.with_scopes(conn)).transpose()
}

/// The token with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<RegistrationTokenRecord>, DbError> {
    let row: Option<Row> = registration_tokens::table.find(id.to_string()).first(conn).optional()?;
    row.map(|row| row.with_scopes(conn)).transpose()
}

/// The tokens of an organisation, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<Vec<RegistrationTokenRecord>, DbError> {
    let rows: Vec<Row> = registration_tokens::table
        .filter(registration_tokens::organisation_id.eq(organisation_id.to_string()))
        .order(registration_tokens::id)
        .load(conn)?;
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
}

/// Takes one use away. `false` if the token is used up, expired or revoked: of many who come at once, only as many as
/// there are uses hear `true`.
///
/// # Errors
/// When the database does not take it.
pub fn use_once(conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<bool, DbError> {
    let usable = registration_tokens::table
        .find(id.to_string())
        .filter(registration_tokens::uses_left.gt(0))
        .filter(registration_tokens::expires_at.gt(now.seconds()))
        .filter(registration_tokens::revoked_at.is_null());
    let one_less = registration_tokens::uses_left.eq(registration_tokens::uses_left - 1);
    Ok(diesel::update(usable).set(one_less).execute(conn)? == 1)
}

/// Makes a token unusable.
///
/// # Errors
/// When the database does not take it.
pub fn update_revoked_at(conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<(), DbError> {
    diesel::update(registration_tokens::table.find(id.to_string()))
        .set(registration_tokens::revoked_at.eq(now.seconds()))
        .execute(conn)?;
    Ok(())
}
