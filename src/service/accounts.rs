//! People: developers and the organisations they belong to.

use serde_json::json;
use uuid::Uuid;

use super::email::canonical as canonical_email;
use super::organisations::{find as find_organisation, is_unseen};
use super::passwords::{self, Surroundings};
use super::team::{check_room_for_member, checked_login};
use super::{Management, ServiceError, people};
use crate::db::changes::ChangeKind;
use crate::db::developers::{self, Member, NewDeveloper, Role};
use crate::db::{credentials, sessions};
use crate::secret::{Secret, hash_password};

const LONGEST_NAME: usize = 100;

/// A person to be made a member.
#[derive(Debug)]
pub struct NewMember<'a> {
    /// The organisation's slug.
    pub organisation: &'a str,
    /// The address; its case does not matter.
    pub email: &'a str,
    /// The name under which third parties know the person.
    pub login: Option<&'a str>,
    /// What the person may do there.
    pub role: Role,
    /// In clear; hashed here.
    pub password: &'a Secret,
}

/// Makes a person and a membership.
///
/// # Errors
/// `Invalid` for an address or password that cannot be used, `InvalidField` for such a login, `NotFound` without the organisation, `Conflict` for an
/// address or login that is taken.
pub fn create(m: &Management, new: &NewMember<'_>) -> Result<Uuid, ServiceError> {
    let email = canonical_email(new.email)?;
    let password = passwords::check(new.password, &Surroundings::new(&email, [new.organisation]))?;
    let password_hash = hash_password(password.as_secret())?;
    insert(m, email, password_hash, new.organisation, new.login, new.role)
}

/// The same for who only gets tickets: without a password nobody signs in with one, until a reset link gives the person one.
///
/// # Errors
/// As [`create`].
pub fn create_without_password(
    m: &Management,
    organisation: &str,
    email: &str,
    login: Option<&str>,
    role: Role,
) -> Result<Uuid, ServiceError> {
    insert(m, canonical_email(email)?, String::new(), organisation, login, role)
}

fn insert(
    m: &Management,
    email: String,
    password_hash: String,
    organisation: &str,
    login: Option<&str>,
    role: Role,
) -> Result<Uuid, ServiceError> {
    let given = login;
    let login = checked_login(given)?;
    if login.is_none() && given.is_some() {
        return Err(ServiceError::field("login", "a login must not be empty; leave it out for a user without one"));
    }
    let developer = NewDeveloper { id: Uuid::now_v7(), email, password_hash, created_at: m.now() };
    let id = developer.id;
    let (deed, slug) = (m.deed(), organisation.to_owned());
    m.database.write(move |conn| {
        let organisation = find_organisation(conn, &slug)?;
        let taken = format!("there is a user {} already", developer.email);
        developers::insert(conn, &developer).map_err(ServiceError::duplicate(taken))?;
        check_room_for_member(conn, organisation.id)?;
        developers::insert_membership(conn, organisation.id, developer.id, role, login.as_deref(), deed.now)
            .map_err(ServiceError::duplicate("that login is taken in this organisation"))?;
        let detail = json!({ "email": developer.email, "role": role.name(), "login": login });
        let target = developer.id.to_string();
        Ok::<_, ServiceError>(deed.record(
            conn,
            Some(organisation.id),
            "user.create",
            &target,
            detail,
            Some(ChangeKind::Member),
        )?)
    })?;
    Ok(id)
}

/// The members of all organisations, or of one.
///
/// # Errors
/// `NotFound` without that organisation.
pub fn list(m: &Management, organisation: Option<&str>) -> Result<Vec<Member>, ServiceError> {
    if let Some(slug) = organisation {
        let slug = slug.to_owned();
        let known = m.database.read(|conn| crate::db::organisations::find_by_slug(conn, &slug))?;
        known.ok_or_else(|| {
            ServiceError::NotFound(format!("there is no organisation `{slug}`; see: brevet org list"))
        })?;
    }
    Ok(m.database.read(|conn| developers::list_members(conn, organisation))?)
}

/// Switches a person off, which ends every session, or on.
///
/// # Errors
/// As [`people::set_enabled`].
pub fn set_enabled(m: &Management, email: &str, enabled: bool) -> Result<(), ServiceError> {
    people::set_enabled(m, people::find_by_email(m, email)?.id, enabled)
}

/// Gives a person another password. Every session ends.
///
/// # Errors
/// `NotFound`, and `Invalid` for a password that cannot be used.
pub fn reset_password(m: &Management, email: &str, password: &Secret) -> Result<(), ServiceError> {
    let email = canonical_email(email)?;
    let password = passwords::check(password, &Surroundings::new(&email, []))?;
    let (deed, hash) = (m.deed(), hash_password(password.as_secret())?);
    m.database.write(move |conn| {
        let (id, _) = find(conn, &email)?;
        developers::update_password(conn, id, &hash)?;
        sessions::delete_all(conn, id, None)?;
        Ok(deed.record(conn, None, "user.reset-password", &id.to_string(), json!({ "email": email }), None)?)
    })
}

/// Changes what the person is called.
///
/// # Errors
/// `InvalidField` of `name`, `NotFound`.
pub fn rename(m: &Management, id: Uuid, name: &str) -> Result<(), ServiceError> {
    if name.chars().count() > LONGEST_NAME || name.chars().any(is_unseen) {
        let rule = format!("a name has at most {LONGEST_NAME} characters, all of them printable");
        return Err(ServiceError::field("name", rule));
    }
    let (deed, name) = (m.deed(), name.to_owned());
    m.database.write(move |conn| {
        let person = credentials::find(conn, id)?;
        let person = person.ok_or_else(|| ServiceError::NotFound("there is no such person any more".to_owned()))?;
        credentials::update_name(conn, id, &name)?;
        let detail = json!({ "from": person.name, "to": name });
        let organisation = credentials::first_organisation(conn, id)?;
        Ok(deed.record(conn, organisation, "user.rename", &id.to_string(), detail, None)?)
    })
}

/// Signs a person out everywhere. Returns how many sessions ended.
///
/// # Errors
/// `NotFound`.
pub fn end_sessions(m: &Management, email: &str) -> Result<usize, ServiceError> {
    let (deed, email) = (m.deed(), canonical_email(email)?);
    m.database.write(move |conn| {
        let (id, _) = find(conn, &email)?;
        let ended = sessions::delete_all(conn, id, None)?;
        let detail = json!({ "email": email, "sessions_ended": ended });
        let organisation = credentials::first_organisation(conn, id)?;
        deed.record(conn, organisation, "user.end-sessions", &id.to_string(), detail, None)?;
        Ok(ended)
    })
}

fn find(conn: &mut crate::db::AnyConnection, email: &str) -> Result<(Uuid, String), ServiceError> {
    developers::find_by_email(conn, email)?
        .ok_or_else(|| ServiceError::NotFound(format!("there is no user {email}; see: brevet user list")))
}
