//! Passkeys of people: public keys, and what is known of them.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::passkeys;
use crate::clock::Timestamp;

/// A passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// Ours.
    pub id: Uuid,
    /// Whose.
    pub developer_id: Uuid,
    /// Its name among all passkeys, in base64url.
    pub credential_id: String,
    /// Its public key and what is known of it, as JSON.
    pub credential: String,
    /// What the person calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last let somebody in.
    pub last_used_at: Option<Timestamp>,
}

type Row = (String, String, String, String, String, i64, Option<i64>);

fn read((id, developer_id, credential_id, credential, name, created, used): Row) -> Result<PasskeyRecord, DbError> {
    Ok(PasskeyRecord {
        id: parse_id(&id, "passkeys")?,
        developer_id: parse_id(&developer_id, "passkeys")?,
        credential_id,
        credential,
        name,
        created_at: Timestamp::from_seconds(created),
        last_used_at: used.map(Timestamp::from_seconds),
    })
}

/// Adds a passkey.
///
/// # Errors
/// `Duplicate` if somebody has it already.
pub fn insert(conn: &mut AnyConnection, passkey: &PasskeyRecord) -> Result<(), DbError> {
    let row = (
        passkeys::id.eq(passkey.id.to_string()),
        passkeys::developer_id.eq(passkey.developer_id.to_string()),
        passkeys::credential_id.eq(&passkey.credential_id),
        passkeys::credential.eq(&passkey.credential),
        passkeys::name.eq(&passkey.name),
        passkeys::created_at.eq(passkey.created_at.seconds()),
    );
    diesel::insert_into(passkeys::table).values(row).execute(conn)?;
    Ok(())
}

/// The passkeys of a person, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, developer_id: Uuid) -> Result<Vec<PasskeyRecord>, DbError> {
    let of_person = passkeys::table.filter(passkeys::developer_id.eq(developer_id.to_string()));
    let rows: Vec<Row> = of_person.order(passkeys::id).load(conn)?;
    rows.into_iter().map(read).collect()
}

/// The passkey of that name, if it is that person's.
///
/// # Errors
/// When the database does not answer.
pub fn find(
    conn: &mut AnyConnection,
    developer_id: Uuid,
    credential_id: &str,
) -> Result<Option<PasskeyRecord>, DbError> {
    let row: Option<Row> = passkeys::table
        .filter(passkeys::credential_id.eq(credential_id))
        .filter(passkeys::developer_id.eq(developer_id.to_string()))
        .first(conn)
        .optional()?;
    row.map(read).transpose()
}

/// Notes that a passkey let somebody in, and what is known of it now. `false` if it is not there any more.
///
/// # Errors
/// When the database does not take it.
pub fn update_used(conn: &mut AnyConnection, id: Uuid, credential: &str, now: Timestamp) -> Result<bool, DbError> {
    let used = (passkeys::credential.eq(credential), passkeys::last_used_at.eq(now.seconds()));
    Ok(diesel::update(passkeys::table.find(id.to_string())).set(used).execute(conn)? == 1)
}

/// Takes a passkey of that person away. `false` if there is none of that id.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, developer_id: Uuid, id: Uuid) -> Result<bool, DbError> {
    let of_person = passkeys::table.filter(passkeys::developer_id.eq(developer_id.to_string()));
    Ok(diesel::delete(of_person.filter(passkeys::id.eq(id.to_string()))).execute(conn)? == 1)
}

/// Takes all passkeys of a person away.
///
/// # Errors
/// When the database does not take it.
pub fn delete_all(conn: &mut AnyConnection, developer_id: Uuid) -> Result<(), DbError> {
    diesel::delete(passkeys::table.filter(passkeys::developer_id.eq(developer_id.to_string()))).execute(conn)?;
    Ok(())
}
