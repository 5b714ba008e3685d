//! Links that work once. The link holds a secret; here is its keyed hash, and what the link is good for.

use std::time::Duration;

use diesel::dsl::count_star;
use diesel::{Connection, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::conn::{AnyConnection, is_storable};
use super::developers::Role;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::links;
use crate::clock::Timestamp;
use crate::secret::KeyedHash;

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkPurpose {
    /// To become the one who runs the server.
    Setup,
    /// To become a member.
    Invitation,
    /// To prove an address.
    Verification,
    /// To choose another password.
    Reset,
}

impl LinkPurpose {
    const ALL: [Self; 4] = [Self::Setup, Self::Invitation, Self::Verification, Self::Reset];

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation => "invitation",
            Self::Verification => "verification",
            Self::Reset => "reset",
        }
    }

    /// How long a link works.
    pub const fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::Setup => 30 * 60,
            Self::Reset => 3_600,
            Self::Verification => 24 * 3_600,
            Self::Invitation => 7 * 86_400,
        })
    }
}

/// A sign-up that waits for the proof of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignUp {
    /// The name of the organisation to be made.
    pub organisation: String,
    /// argon2id in PHC form.
    pub password_hash: String,
}

/// A link, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Ours.
    pub id: Uuid,
    /// What it is good for.
    pub purpose: LinkPurpose,
    /// For this person only.
    pub developer_id: Option<Uuid>,
    /// Into this organisation only.
    pub organisation_id: Option<Uuid>,
    /// For this address only, in canonical form.
    pub email: Option<String>,
    /// With this role only.
    pub role: Option<Role>,
    /// Whether it went to the address and to nobody else: then whoever has it can read mail there.
    pub is_mailed: bool,
    /// What is made when the address is proven.
    pub sign_up: Option<PendingSignUp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it does not work.
    pub expires_at: Timestamp,
}

#[derive(Queryable)]
struct Row {
    id: String,
    _hash: String,
    purpose: String,
    developer_id: Option<String>,
    organisation_id: Option<String>,
    email: Option<String>,
    role: Option<String>,
    is_mailed: i64,
    organisation_name: Option<String>,
    password_hash: Option<String>,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    _used_at: Option<i64>,
}

impl TryFrom<Row> for LinkRecord {
    type Error = DbError;
    fn try_from(row: Row) -> Result<Self, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "links", column, id: row.id.clone() };
        let purpose = LinkPurpose::ALL.into_iter().find(|purpose| purpose.name() == row.purpose);
        let role = row.role.as_deref().map(|name| Role::from_name(name).ok_or_else(|| corrupt("role")));
        let id = |text: &Option<String>| text.as_deref().map(|text| parse_id(text, "links")).transpose();
        Ok(Self {
            id: parse_id(&row.id, "links")?,
            purpose: purpose.ok_or_else(|| corrupt("purpose"))?,
            developer_id: id(&row.developer_id)?,
            organisation_id: id(&row.organisation_id)?,
            role: role.transpose()?,
            is_mailed: row.is_mailed == 1,
            sign_up: row
                .organisation_name
                .zip(row.password_hash)
                .map(|(organisation, password_hash)| PendingSignUp { organisation, password_hash }),
            email: row.email,
            created_at: Timestamp::from_seconds(row.created_at),
            created_by: row.created_by,
            expires_at: Timestamp::from_seconds(row.expires_at),
        })
    }
}

/// Adds a link.
///
/// # Errors
/// `MissingReference` when the person or the organisation is gone.
pub fn insert(conn: &mut AnyConnection, link: &LinkRecord, hash: KeyedHash) -> Result<(), DbError> {
    let sign_up = link.sign_up.as_ref();
    let row = (
        links::id.eq(link.id.to_string()),
        links::hash.eq(hash.to_text()),
        links::purpose.eq(link.purpose.name()),
        links::developer_id.eq(link.developer_id.map(|id| id.to_string())),
        links::organisation_id.eq(link.organisation_id.map(|id| id.to_string())),
        links::email.eq(&link.email),
        links::role.eq(link.role.map(Role::name)),
        links::is_mailed.eq(i64::from(link.is_mailed)),
        links::organisation_name.eq(sign_up.map(|sign_up| &sign_up.organisation)),
        links::password_hash.eq(sign_up.map(|sign_up| &sign_up.password_hash)),
        links::created_at.eq(link.created_at.seconds()),
        links::created_by.eq(&link.created_by),
        links::expires_at.eq(link.expires_at.seconds()),
    );
    diesel::insert_into(links::table).values(row).execute(conn)?;
    Ok(())
}

/// The link with that hash, if it is for that purpose, was not used and has not expired.
///
/// # Errors
/// When the database does not answer.
pub fn find_usable(
    conn: &mut AnyConnection,
    purpose: LinkPurpose,
    hash: KeyedHash,
    now: Timestamp,
) -> Result<Option<LinkRecord>, DbError> {
    let row: Option<Row> = links::table
        .filter(links::hash.eq(hash.to_text()))
        .filter(links::purpose.eq(purpose.name()))
        .filter(links::used_at.is_null())
        .filter(links::expires_at.gt(now.seconds()))
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Uses a link up. Of many who come with it at once, one hears `true`.
///
/// # Errors
/// When the database does not take it.
pub fn use_once(conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<bool, DbError> {
    let usable =
        links::table.find(id.to_string()).filter(links::used_at.is_null()).filter(links::expires_at.gt(now.seconds()));
    Ok(diesel::update(usable).set(links::used_at.eq(now.seconds())).execute(conn)? == 1)
}

/// The invitations into an organisation that wait for an answer, newest first: at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn list_invitations(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    (offset, limit): (i64, i64),
    now: Timestamp,
) -> Result<Vec<LinkRecord>, DbError> {
    let newest = waiting(organisation_id, now).order(links::id.desc());
    let rows: Vec<Row> = newest.offset(offset).limit(limit).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The invitation of that address that waits for an answer.
///
/// # Errors
/// When the database does not answer.
pub fn find_invitation(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    email: &str,
    now: Timestamp,
) -> Result<Option<LinkRecord>, DbError> {
    let row: Option<Row> = waiting(organisation_id, now).filter(links::email.eq(email)).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// How many invitations into an organisation wait for an answer.
///
/// # Errors
/// When the database does not answer.
pub fn count_invitations(conn: &mut AnyConnection, organisation_id: Uuid, now: Timestamp) -> Result<i64, DbError> {
    Ok(waiting(organisation_id, now).select(count_star()).first(conn)?)
}

type Query<'a> = links::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

fn waiting<'a>(organisation_id: Uuid, now: Timestamp) -> Query<'a> {
    links::table
        .filter(links::organisation_id.eq(organisation_id.to_string()))
        .filter(links::purpose.eq(LinkPurpose::Invitation.name()))
        .filter(links::used_at.is_null())
        .filter(links::expires_at.gt(now.seconds()))
        .into_boxed()
}

/// Takes an invitation back. Gives it, if it was waiting in that organisation.
///
/// # Errors
/// When the database does not take it.
pub fn delete_invitation(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<LinkRecord>, DbError> {
    let row: Option<Row> = waiting(organisation_id, now).filter(links::id.eq(id.to_string())).first(conn).optional()?;
    if row.is_some() {
        diesel::delete(links::table.find(id.to_string())).execute(conn)?;
    }
    row.map(TryInto::try_into).transpose()
}

/// Takes back the invitations of that address into that organisation.
///
/// # Errors
/// When the database does not take it.
pub fn delete_invitations_of(conn: &mut AnyConnection, organisation_id: Uuid, email: &str) -> Result<(), DbError> {
    let invitations = links::table
        .filter(links::organisation_id.eq(organisation_id.to_string()))
        .filter(links::purpose.eq(LinkPurpose::Invitation.name()))
        .filter(links::email.eq(email));
    diesel::delete(invitations).execute(conn)?;
    Ok(())
}

/// Takes back the invitations that somebody made into that organisation with one of these roles.
///
/// # Errors
/// When the database does not take it.
pub fn delete_invitations_by(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    actor: &str,
    roles: &[Role],
) -> Result<(), DbError> {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let invitations = links::table
        .filter(links::organisation_id.eq(organisation_id.to_string()))
        .filter(links::purpose.eq(LinkPurpose::Invitation.name()))
        .filter(links::created_by.eq(actor))
        .filter(links::role.eq_any(names));
    diesel::delete(invitations).execute(conn)?;
    Ok(())
}

/// Deletes the links of that purpose that are for no person in particular and for that address, or for none.
///
/// # Errors
/// When the database does not take it.
pub fn delete_for_email(conn: &mut AnyConnection, purpose: LinkPurpose, email: Option<&str>) -> Result<(), DbError> {
    if email.is_some_and(|email| !is_storable(email)) {
        return Ok(());
    }
    let of_purpose = links::table.filter(links::purpose.eq(purpose.name())).filter(links::developer_id.is_null());
    match email {
        Some(email) => diesel::delete(of_purpose.filter(links::email.eq(email))).execute(conn)?,
        None => diesel::delete(of_purpose.filter(links::email.is_null())).execute(conn)?,
    };
    Ok(())
}

/// Deletes the links that end a sign-up with that address, but the newest `but`.
///
/// # Errors
/// When the database does not take it.
pub fn delete_oldest_sign_ups(conn: &mut AnyConnection, email: &str, but: i64) -> Result<(), DbError> {
    if !is_storable(email) {
        return Ok(());
    }
    let of_address = links::table
        .filter(links::email.eq(email))
        .filter(links::purpose.eq(LinkPurpose::Verification.name()))
        .filter(links::developer_id.is_null());
    let newest: Vec<String> =
        of_address.order((links::created_at.desc(), links::id.desc())).limit(but).select(links::id).load(conn)?;
    diesel::delete(of_address.filter(links::id.ne_all(newest))).execute(conn)?;
    Ok(())
}

/// Deletes the links of that purpose that are for that person.
///
/// # Errors
/// When the database does not take it.
pub fn delete_for_developer(conn: &mut AnyConnection, purpose: LinkPurpose, developer_id: Uuid) -> Result<(), DbError> {
    let of_person =
        links::table.filter(links::purpose.eq(purpose.name())).filter(links::developer_id.eq(developer_id.to_string()));
    diesel::delete(of_person).execute(conn)?;
    Ok(())
}

/// Deletes what has expired, used or not.
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    Ok(diesel::delete(links::table.filter(links::expires_at.le(now.seconds()))).execute(conn)?)
}
