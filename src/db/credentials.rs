//! By what people prove who they are.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{developers, memberships};
use crate::clock::Timestamp;

/// What is kept to recognise a person by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The person.
    pub developer_id: Uuid,
    /// In canonical form.
    pub email: String,
    /// What the person wants to be called.
    pub name: String,
    /// argon2id in PHC form; `None` for who signs in elsewhere.
    pub password_hash: Option<String>,
    /// Since when the person may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// The seed of one-time codes, sealed under the master key.
    pub sealed_totp: Option<Vec<u8>>,
    /// Since when one-time codes count.
    pub totp_confirmed_at: Option<Timestamp>,
    /// When and in which session a seed was made that does not count yet.
    pub totp_begun: Option<(Timestamp, Uuid)>,
    /// Whether the person runs the whole server.
    pub is_operator: bool,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("developer_id", &self.developer_id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The sealed seed, if codes made with it count.
    pub fn confirmed_totp(&self) -> Option<&[u8]> {
        self.totp_confirmed_at.and(self.sealed_totp.as_deref())
    }
}

#[derive(Queryable)]
struct Row {
    id: String,
    email: String,
    name: String,
    password_hash: String,
    disabled_at: Option<i64>,
    sealed_totp: Option<Vec<u8>>,
    totp_confirmed_at: Option<i64>,
    totp_begun_at: Option<i64>,
    totp_begun_in: Option<String>,
    is_operator: i64,
}

const COLUMNS: (
    developers::id,
    developers::email,
    developers::name,
    developers::password_hash,
    developers::disabled_at,
    developers::sealed_totp,
    developers::totp_confirmed_at,
    developers::totp_begun_at,
    developers::totp_begun_in,
    developers::is_operator,
) = (
    developers::id,
    developers::email,
    developers::name,
    developers::password_hash,
    developers::disabled_at,
    developers::sealed_totp,
    developers::totp_confirmed_at,
    developers::totp_begun_at,
    developers::totp_begun_in,
    developers::is_operator,
);

impl TryFrom<Row> for Credentials {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let begun_in = row.totp_begun_in.as_deref().map(|id| parse_id(id, "developers")).transpose()?;
        Ok(Self {
            developer_id: parse_id(&row.id, "developers")?,
            email: row.email,
            name: row.name,
            password_hash: Some(row.password_hash).filter(|hash| !hash.is_empty()),
            disabled_at: row.disabled_at.map(Timestamp::from_seconds),
            sealed_totp: row.sealed_totp,
            totp_confirmed_at: row.totp_confirmed_at.map(Timestamp::from_seconds),
            totp_begun: row.totp_begun_at.map(Timestamp::from_seconds).zip(begun_in),
            is_operator: row.is_operator != 0,
        })
    }
}

/// Of the person with that address.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_email(conn: &mut AnyConnection, email: &str) -> Result<Option<Credentials>, DbError> {
    let row: Option<Row> =
        developers::table.filter(developers::email.eq(email)).select(COLUMNS).first(conn).optional()?;
    row.map(Credentials::try_from).transpose()
}

/// Of the person with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<Credentials>, DbError> {
    let row: Option<Row> = developers::table.find(id.to_string()).select(COLUMNS).first(conn).optional()?;
    row.map(Credentials::try_from).transpose()
}

/// The organisation to which the person came first: in its audit stands what the person does to the own account.
///
/// # Errors
/// When the database does not answer.
pub fn first_organisation(conn: &mut AnyConnection, id: Uuid) -> Result<Option<Uuid>, DbError> {
    let row: Option<String> = memberships::table
        .filter(memberships::developer_id.eq(id.to_string()))
        .order((memberships::created_at, memberships::organisation_id))
        .select(memberships::organisation_id)
        .first(conn)
        .optional()?;
    row.map(|id| parse_id(&id, "memberships")).transpose()
}

/// Changes what the person is called.
///
/// # Errors
/// When the database does not take it.
pub fn update_name(conn: &mut AnyConnection, id: Uuid, name: &str) -> Result<(), DbError> {
    diesel::update(developers::table.find(id.to_string())).set(developers::name.eq(name)).execute(conn)?;
    Ok(())
}

/// Gives the person a seed that does not count yet, made in that session. `false` if one counts: it must be taken away first.
///
/// # Errors
/// When the database does not take it.
pub fn insert_totp(
    conn: &mut AnyConnection,
    id: Uuid,
    sealed: &[u8],
    session: Uuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let without = developers::table.find(id.to_string()).filter(developers::totp_confirmed_at.is_null());
    let seed = (
        developers::sealed_totp.eq(sealed),
        developers::totp_last_step.eq(0),
        developers::totp_begun_at.eq(now.seconds()),
        developers::totp_begun_in.eq(session.to_string()),
    );
    Ok(diesel::update(without).set(seed).execute(conn)? == 1)
}

/// Lets the person's seed count. `false` if it does so already.
///
/// # Errors
/// When the database does not take it.
pub fn confirm_totp(conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<bool, DbError> {
    let pending = developers::table
        .find(id.to_string())
        .filter(developers::totp_confirmed_at.is_null())
        .filter(developers::sealed_totp.is_not_null());
    let confirmed = (
        developers::totp_confirmed_at.eq(now.seconds()),
        developers::totp_begun_at.eq(None::<i64>),
        developers::totp_begun_in.eq(None::<String>),
    );
    Ok(diesel::update(pending).set(confirmed).execute(conn)? == 1)
}

/// Takes a step of one-time codes. `false` if it or a later one was taken: of many who come at once with the same code, one
/// hears `true`.
///
/// # Errors
/// When the database does not take it.
pub fn take_totp_step(conn: &mut AnyConnection, id: Uuid, step: i64) -> Result<bool, DbError> {
    let untaken = developers::table.find(id.to_string()).filter(developers::totp_last_step.lt(step));
    Ok(diesel::update(untaken).set(developers::totp_last_step.eq(step)).execute(conn)? == 1)
}

/// Takes the person's seed away.
///
/// # Errors
/// When the database does not take it.
pub fn delete_totp(conn: &mut AnyConnection, id: Uuid) -> Result<(), DbError> {
    let nothing = (
        developers::sealed_totp.eq(None::<Vec<u8>>),
        developers::totp_confirmed_at.eq(None::<i64>),
        developers::totp_last_step.eq(0),
        developers::totp_begun_at.eq(None::<i64>),
        developers::totp_begun_in.eq(None::<String>),
    );
    diesel::update(developers::table.find(id.to_string())).set(nothing).execute(conn)?;
    Ok(())
}
