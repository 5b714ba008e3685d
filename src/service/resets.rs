//! Another password for who has lost theirs: by a link that went to the address, or that an operator hands over.

use serde_json::json;
use uuid::Uuid;

use super::deed::Deed;
use super::links::{self, Link, LinkPurpose, NewLink};
use super::mail::{Errand, Letter};
use super::{Authority, Management, ServiceError, email, second_factor};
use crate::db::developers::Person;
use crate::db::{AnyConnection, credentials, developers, identities, members, passkeys, sessions};
use crate::secret::Secret;

/// Asks for a link for whoever has that address. The answer is the same, and comes as quickly, whether there is an account
/// or not: everything else is done by the mail thread.
///
/// # Errors
/// `InvalidField` for what is no address, `Setup` where no mail server is configured, `Unavailable` when too much waits.
pub fn request(authority: &Authority, m: &Management, address: &str) -> Result<(), ServiceError> {
    let email = email::canonical(address)?;
    let mailer =
        authority.mailer.as_ref().ok_or_else(|| ServiceError::Setup("no mail server is configured".to_owned()))?;
    mailer.post(Errand::Reset { m: m.clone(), email, asked_at: m.now() })
}

/// What the mail thread does of [`request`].
pub(super) fn write(m: &Management, email: &str) -> Result<Option<Letter>, ServiceError> {
    let (m, deed, email) = (m.clone(), m.deed(), email.to_owned());
    m.database.clone().write(move |conn| {
        let Some(person) = members::find_person_by_email(conn, &email)?.filter(|person| person.disabled_at.is_none())
        else {
            return Ok(None);
        };
        let link = make(&m, conn, &deed, &person, true)?;
        Ok(Some(Letter::reset(&person.email, &m.config.issuer, &link)))
    })
}

/// Makes a link for an operator to hand over.
///
/// # Errors
/// `NotFound`, and `Conflict` for somebody who is disabled.
pub fn make_link(m: &Management, address: &str) -> Result<Link, ServiceError> {
    let (m, deed, email) = (m.clone(), m.deed(), email::canonical(address)?);
    m.database.clone().write(move |conn| {
        let unknown = || ServiceError::NotFound(format!("there is no user {email}; see: brevet user list"));
        let person = members::find_person_by_email(conn, &email)?.ok_or_else(unknown)?;
        if person.disabled_at.is_some() {
            return Err(ServiceError::Conflict(format!("{email} is disabled; see: brevet user enable")));
        }
        make(&m, conn, &deed, &person, false)
    })
}

fn make(
    m: &Management,
    conn: &mut AnyConnection,
    deed: &Deed,
    person: &Person,
    is_mailed: bool,
) -> Result<Link, ServiceError> {
    let new = NewLink {
        developer_id: Some(person.id),
        email: Some(person.email.clone()),
        is_mailed,
        ..NewLink::new(LinkPurpose::Reset)
    };
    let (_, link) = links::make(m, conn, deed, new)?;
    let detail = json!({ "email": person.email, "mailed": is_mailed, "expires_at": link.expires_at.rfc3339() });
    deed.record(conn, None, "user.reset-link", &person.id.to_string(), detail, None)?;
    Ok(link)
}

/// Whose password a link changes. Changes nothing.
///
/// # Errors
/// `NotFound` for a link that does not work.
pub fn look(m: &Management, secret: &Secret) -> Result<Person, ServiceError> {
    let now = m.now();
    m.database.read_with(|conn| Ok(subject(m, conn, secret, now)?.1))
}

fn subject(
    m: &Management,
    conn: &mut AnyConnection,
    secret: &Secret,
    now: crate::clock::Timestamp,
) -> Result<(links::LinkRecord, Person), ServiceError> {
    let link = links::find(m, conn, LinkPurpose::Reset, secret, now)?;
    let person = match link.developer_id {
        Some(id) => developers::find(conn, id)?,
        None => None,
    };
    // The link is for one person at one address; a disabled person has no use for it.
    match person.filter(|person| person.disabled_at.is_none() && link.email.as_deref() == Some(&person.email)) {
        Some(person) => Ok((link, person)),
        None => Err(links::dead()),
    }
}

/// Sets the password, which ends the link, all other reset links and all sessions of the person. A second factor stays,
/// unless the address was never known to be the person's: whoever made the account with it then may be somebody else, and
/// must not keep a way in.
///
/// # Errors
/// `NotFound` for a link that does not work.
pub fn complete(m: &Management, secret: &Secret, password_hash: String) -> Result<Uuid, ServiceError> {
    let (m, deed, secret) = (m.clone(), m.deed(), secret.clone());
    m.database.clone().write(move |conn| {
        let (link, person) = subject(&m, conn, &secret, deed.now)?;
        links::take(&m, conn, LinkPurpose::Reset, &secret, deed.now)?;
        developers::update_password(conn, person.id, &password_hash)?;
        let ended = sessions::delete_all(conn, person.id, None)?;
        let deed = deed.as_user(person.id);
        if person.email_verified_at.is_none() {
            forget_factors(conn, &deed, &person)?;
        }
        if link.is_mailed && person.email_verified_at.is_none() {
            members::update_email_verified_at(conn, person.id, deed.now)?;
        }
        let detail = json!({ "email": person.email, "by_link": true, "sessions_ended": ended });
        deed.record(conn, None, "user.reset-password", &person.id.to_string(), detail, None)?;
        Ok(person.id)
    })
}

/// Takes away by what else somebody could come in: one-time and recovery codes, passkeys, accounts elsewhere.
fn forget_factors(conn: &mut AnyConnection, deed: &Deed, person: &Person) -> Result<(), ServiceError> {
    let organisation = credentials::first_organisation(conn, person.id)?;
    let (target, mut note) = (person.id.to_string(), Vec::new());
    let known = credentials::find(conn, person.id)?;
    if known.is_some_and(|known| known.sealed_totp.is_some()) {
        second_factor::remove_within(conn, person.id)?;
        note.push(("user.2fa-disable", json!({ "by": "reset" })));
    }
    for passkey in passkeys::list(conn, person.id)? {
        passkeys::delete(conn, person.id, passkey.id)?;
        note.push(("user.passkey-remove", json!({ "passkey": passkey.id, "name": passkey.name, "by": "reset" })));
    }
    for identity in identities::list(conn, person.id)? {
        identities::delete(conn, person.id, &identity.provider)?;
        note.push(("user.identity-disconnect", json!({ "issuer": identity.provider, "by": "reset" })));
    }
    for (action, detail) in note {
        deed.record(conn, organisation, action, &target, detail, None)?;
    }
    Ok(())
}
