//! Who people are elsewhere: at OpenID Connect providers.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::identities;
use crate::clock::Timestamp;

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The provider's issuer: its name here may change, and may come to mean another one.
    pub provider: String,
    /// The provider's `sub`.
    pub subject: String,
    /// The person here.
    pub developer_id: Uuid,
    /// When the two were connected.
    pub created_at: Timestamp,
}

/// Connects a person with an identity.
///
/// # Errors
/// `Duplicate` when somebody has it already.
pub fn insert(conn: &mut AnyConnection, identity: &IdentityRecord) -> Result<(), DbError> {
    let row = (
        identities::provider.eq(&identity.provider),
        identities::subject.eq(&identity.subject),
        identities::developer_id.eq(identity.developer_id.to_string()),
        identities::created_at.eq(identity.created_at.seconds()),
    );
    diesel::insert_into(identities::table).values(row).execute(conn)?;
    Ok(())
}

/// Whose identity that is.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, provider: &str, subject: &str) -> Result<Option<Uuid>, DbError> {
    if !is_storable(provider) || !is_storable(subject) {
        return Ok(None);
    }
    let of_provider = identities::table.filter(identities::provider.eq(provider));
    let row: Option<String> =
        of_provider.filter(identities::subject.eq(subject)).select(identities::developer_id).first(conn).optional()?;
    row.map(|id| parse_id(&id, "identities")).transpose()
}

/// Who a person is elsewhere, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, developer_id: Uuid) -> Result<Vec<IdentityRecord>, DbError> {
    let of_person = identities::table.filter(identities::developer_id.eq(developer_id.to_string()));
    let rows: Vec<(String, String, String, i64)> =
        of_person.order((identities::created_at, identities::provider, identities::subject)).load(conn)?;
    let read = |(provider, subject, _, created): (String, String, String, i64)| IdentityRecord {
        provider,
        subject,
        developer_id,
        created_at: Timestamp::from_seconds(created),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Takes a person's identities at a provider away. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, developer_id: Uuid, provider: &str) -> Result<bool, DbError> {
    let of_person = identities::table.filter(identities::developer_id.eq(developer_id.to_string()));
    Ok(diesel::delete(of_person.filter(identities::provider.eq(provider))).execute(conn)? > 0)
}
