//! People, and the organisations they belong to.

use std::fmt;

use diesel::{ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::links::{self, LinkPurpose};
use super::members::login_since;
use super::organisations::{OrganisationRecord, Row as OrganisationRow, parse_id};
use super::schema::{developers, memberships, organisations};
use crate::clock::Timestamp;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything, and to give the organisation away.
    Owner,
    /// Everything but that.
    Admin,
    /// Apps and APIs.
    Developer,
    /// To look.
    Viewer,
}

impl Role {
    /// From the mightiest to the least.
    pub const ALL: &[Self] = &[Self::Owner, Self::Admin, Self::Developer, Self::Viewer];

    /// The name in the database and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// Whether whoever has this role may do what that one may.
    pub fn includes(self, least: Self) -> bool {
        let rank = |role| Self::ALL.iter().position(|known| *known == role);
        rank(self) <= rank(least)
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A person to be added.
#[derive(Debug)]
pub struct NewDeveloper {
    /// Ours.
    pub id: Uuid,
    /// In canonical form: lower case.
    pub email: String,
    /// argon2id in PHC form.
    pub password_hash: String,
    /// When.
    pub created_at: Timestamp,
}

/// A member of an organisation as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub developer_id: Uuid,
    /// In canonical form.
    pub email: String,
    /// The organisation's slug.
    pub organisation: String,
    /// What the person may do there.
    pub role: String,
    /// The name under which third parties know the person.
    pub login: Option<String>,
    /// Since when the person may not sign in.
    pub disabled_at: Option<Timestamp>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Ours.
    pub id: Uuid,
    /// In canonical form.
    pub email: String,
    /// What the person wants to be called; may be empty.
    pub name: String,
    /// Whether the person runs the whole server.
    pub is_operator: bool,
    /// Since when the address is known to be the person's.
    pub email_verified_at: Option<Timestamp>,
    /// Since when one-time codes are asked for.
    pub totp_confirmed_at: Option<Timestamp>,
    /// Since when the person may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// What a person is read from, wherever one is read.
pub(super) type PersonRow = (String, String, String, Option<i64>, i64, i64, Option<i64>, Option<i64>);

/// Their types.
pub(super) type PersonColumns = (
    developers::id,
    developers::email,
    developers::name,
    developers::disabled_at,
    developers::created_at,
    developers::is_operator,
    developers::email_verified_at,
    developers::totp_confirmed_at,
);

/// The columns of a [`PersonRow`].
pub(super) const PERSON: PersonColumns = (
    developers::id,
    developers::email,
    developers::name,
    developers::disabled_at,
    developers::created_at,
    developers::is_operator,
    developers::email_verified_at,
    developers::totp_confirmed_at,
);

/// The person of a row.
pub(super) fn person(row: PersonRow) -> Result<Person, DbError> {
    let (id, email, name, disabled_at, created_at, is_operator, email_verified_at, totp_confirmed_at) = row;
    Ok(Person {
        id: parse_id(&id, "developers")?,
        email,
        name,
        disabled_at: disabled_at.map(Timestamp::from_seconds),
        created_at: Timestamp::from_seconds(created_at),
        is_operator: is_operator == 1,
        email_verified_at: email_verified_at.map(Timestamp::from_seconds),
        totp_confirmed_at: totp_confirmed_at.map(Timestamp::from_seconds),
    })
}

/// Adds a person.
///
/// # Errors
/// `Duplicate` when the address is taken.
pub fn insert(conn: &mut AnyConnection, developer: &NewDeveloper) -> Result<(), DbError> {
    let row = (
        developers::id.eq(developer.id.to_string()),
        developers::email.eq(&developer.email),
        developers::password_hash.eq(&developer.password_hash),
        developers::created_at.eq(developer.created_at.seconds()),
    );
    diesel::insert_into(developers::table).values(row).execute(conn)?;
    Ok(())
}

/// Makes a person a member.
///
/// # Errors
/// `Duplicate` when the person is one already, or the login is taken in this organisation.
pub fn insert_membership(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    developer_id: Uuid,
    role: Role,
    login: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    let row = (
        memberships::organisation_id.eq(organisation_id.to_string()),
        memberships::developer_id.eq(developer_id.to_string()),
        memberships::role.eq(role.name()),
        memberships::login.eq(login),
        memberships::created_at.eq(now.seconds()),
        memberships::login_since.eq(login_since(now).seconds()),
    );
    diesel::insert_into(memberships::table).values(row).execute(conn)?;
    Ok(())
}

/// The person with that address, and the hash of the password.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_email(conn: &mut AnyConnection, email: &str) -> Result<Option<(Uuid, String)>, DbError> {
    let row: Option<(String, String)> = developers::table
        .filter(developers::email.eq(email))
        .select((developers::id, developers::password_hash))
        .first(conn)
        .optional()?;
    row.map(|(id, hash)| Ok((parse_id(&id, "developers")?, hash))).transpose()
}

/// The person of that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<Person>, DbError> {
    let row: Option<PersonRow> = developers::table.find(id.to_string()).select(PERSON).first(conn).optional()?;
    row.map(person).transpose()
}

/// The organisations where a person has a role, by name.
///
/// # Errors
/// When the database does not answer.
pub fn list_workplaces(conn: &mut AnyConnection, id: Uuid) -> Result<Vec<(OrganisationRecord, Role)>, DbError> {
    let rows: Vec<(OrganisationRow, String)> = organisations::table
        .inner_join(memberships::table)
        .filter(memberships::developer_id.eq(id.to_string()))
        .order((organisations::name, organisations::id))
        .select((organisations::all_columns, memberships::role))
        .load(conn)?;
    let corrupt = || DbError::Corrupt { table: "memberships", column: "role", id: id.to_string() };
    rows.into_iter().map(|(row, role)| Ok((row.try_into()?, Role::from_name(&role).ok_or_else(corrupt)?))).collect()
}

/// Members of all organisations, or of the one with that slug.
///
/// # Errors
/// When the database does not answer.
pub fn list_members(conn: &mut AnyConnection, slug: Option<&str>) -> Result<Vec<Member>, DbError> {
    type Row = (String, String, Option<i64>, Option<String>, Option<String>, Option<String>);
    let mut query = developers::table
        .left_join(memberships::table.on(memberships::developer_id.eq(developers::id)))
        .left_join(organisations::table.on(organisations::id.eq(memberships::organisation_id)))
        .select((
            developers::id,
            developers::email,
            developers::disabled_at,
            organisations::slug.nullable(),
            memberships::role.nullable(),
            memberships::login.nullable(),
        ))
        .order((developers::email, organisations::slug))
        .into_boxed();
    if let Some(slug) = slug {
        query = query.filter(organisations::slug.eq(slug));
    }
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter()
        .map(|(id, email, disabled_at, slug, role, login)| {
            Ok(Member {
                developer_id: parse_id(&id, "developers")?,
                email,
                organisation: slug.unwrap_or_default(),
                role: role.unwrap_or_default(),
                login: login.filter(|login| !login.is_empty()),
                disabled_at: disabled_at.map(Timestamp::from_seconds),
            })
        })
        .collect()
}

/// Switches a person off or on.
///
/// # Errors
/// When the database does not take it.
pub fn update_disabled_at(conn: &mut AnyConnection, id: Uuid, disabled_at: Option<Timestamp>) -> Result<(), DbError> {
    diesel::update(developers::table.find(id.to_string()))
        .set(developers::disabled_at.eq(disabled_at.map(Timestamp::seconds)))
        .execute(conn)?;
    Ok(())
}

/// Gives a person another password. Links by which the old one could be replaced are dead with it.
///
/// # Errors
/// When the database does not take it.
pub fn update_password(conn: &mut AnyConnection, id: Uuid, password_hash: &str) -> Result<(), DbError> {
    links::delete_for_developer(conn, LinkPurpose::Reset, id)?;
    diesel::update(developers::table.find(id.to_string()))
        .set(developers::password_hash.eq(password_hash))
        .execute(conn)?;
    Ok(())
}
