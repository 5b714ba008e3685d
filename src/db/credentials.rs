//! By what people prove who they are.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::developers::{PERSON, Person, PersonColumns, PersonRow, person};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{developers, memberships};
use crate::clock::Timestamp;

/// A person, and what is kept to recognise the person by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub person: Person,
    /// argon2id in PHC form; `None` for who signs in elsewhere.
    pub password_hash: Option<String>,
    /// The seed of one-time codes, sealed under the master key.
    pub sealed_totp: Option<Vec<u8>>,
    /// When and in which session a seed was made that does not count yet.
    pub totp_begun: Option<(Timestamp, Uuid)>,
}

/// Reads as the person.
impl std::ops::Deref for Credentials {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("developer_id", &self.person.id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The sealed seed, if codes made with it count.
    pub fn confirmed_totp(&self) -> Option<&[u8]> {
        self.totp_confirmed_at.and(self.sealed_totp.as_deref())
    }
}

type Row = (PersonRow, String, Option<Vec<u8>>, Option<i64>, Option<String>);

type Columns = (
    PersonColumns,
    developers::password_hash,
    developers::sealed_totp,
    developers::totp_begun_at,
    developers::totp_begun_in,
);

const COLUMNS: Columns =
    (PERSON, developers::password_hash, developers::sealed_totp, developers::totp_begun_at, developers::totp_begun_in);

fn credentials((row, password_hash, sealed_totp, begun_at, begun_in): Row) -> Result<Credentials, DbError> {
    let password_hash = Some(password_hash).filter(|hash| !hash.is_empty());
    let begun_in = begun_in.as_deref().map(|id| parse_id(id, "developers")).transpose()?;
    let totp_begun = begun_at.map(Timestamp::from_seconds).zip(begun_in);
    Ok(Credentials { person: person(row)?, password_hash, sealed_totp, totp_begun })
}

/// Of the person with that address.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_email(conn: &mut AnyConnection, email: &str) -> Result<Option<Credentials>, DbError> {
    let row: Option<Row> =
        developers::table.filter(developers::email.eq(email)).select(COLUMNS).first(conn).optional()?;
    row.map(credentials).transpose()
}

/// Of the person with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<Credentials>, DbError> {
    let row: Option<Row> = developers::table.find(id.to_string()).select(COLUMNS).first(conn).optional()?;
    row.map(credentials).transpose()
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
