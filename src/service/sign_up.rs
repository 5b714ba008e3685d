//! Sign-up: an account and an organisation for somebody who comes by.
//!
//! Nobody learns from it who has an account. With a mail server, the answer is the same for every address: what follows
//! stands in a mail, and the account is made when its link is opened and the password given again, so that nobody gets an
//! account with a password that a stranger chose. Without one, the account is made at once where the address is free, and
//! the answer is again the same; but whoever then signs in with the new password has learnt that the address was free, by
//! taking it. That much is told by every sign-up without a second channel, so a server that is open to everybody should
//! have a mail server; the address counts as unproven.

use serde_json::json;
use uuid::Uuid;

use super::deed::Deed;
use super::links::{self, LinkPurpose, NewLink, PendingSignUp};
use super::mail::{Errand, Letter};
use super::organisations::{checked_name, insert_derived};
use super::sessions::Browser;
use super::sign_in::{self, Admitted};
use super::{Authority, Management, ServiceError, email};
use crate::clock::Timestamp;
use crate::config::SignUpMode;
use crate::db::developers::{self, NewDeveloper, Role};
use crate::db::{AnyConnection, links as rows, members};
use crate::secret::Secret;

/// Sign-ups of one address that wait for their proof; a further one takes the place of the oldest. An address gets at most
/// a letter a minute, so whatever strangers do with it, each link has at least as many minutes.
const MOST_WAITING: i64 = 20;

/// In the audit: somebody wants to sign up too often, or too many do.
pub(super) const THROTTLED: &str = "user.sign-up-throttled";

/// A sign-up whose texts can be used.
#[derive(Debug, Clone)]
pub struct WaitingSignUp {
    pub(super) email: String,
    organisation: String,
}

impl WaitingSignUp {
    /// The address in canonical form: a password must not hold it.
    pub fn email(&self) -> &str {
        &self.email
    }
}

/// Somebody new.
#[derive(Debug)]
pub struct Newcomer {
    /// The person.
    pub developer_id: Uuid,
    /// Where the person belongs.
    pub organisation_id: Uuid,
    /// The person's session.
    pub admitted: Admitted,
}

/// Checks what was given, before anything is hashed.
///
/// # Errors
/// `BeyondPower` where sign-up is not open, `InvalidField` for texts that cannot be used.
pub fn check(m: &Management, address: &str, organisation: &str) -> Result<WaitingSignUp, ServiceError> {
    if m.config.sign_up != SignUpMode::Open {
        return Err(ServiceError::BeyondPower("sign-up is not open".to_owned()));
    }
    Ok(WaitingSignUp { email: email::canonical(address)?, organisation: checked_organisation_name(organisation)? })
}

/// The same rule as for every name, told of the field as it is called in forms that have other names as well.
pub(super) fn checked_organisation_name(name: &str) -> Result<String, ServiceError> {
    checked_name(name).map_err(|error| match error {
        ServiceError::InvalidField { rule, .. } => ServiceError::field("organisation", rule),
        other => other,
    })
}

/// Signs somebody up. The answer says nothing of whether the address was taken.
///
/// # Errors
/// `Unavailable`, without regard to the address.
pub async fn sign_up(
    authority: &Authority,
    m: Management,
    sign_up: WaitingSignUp,
    password_hash: String,
) -> Result<(), ServiceError> {
    match &authority.mailer {
        Some(mailer) => {
            let asked_at = m.now();
            mailer.post(Errand::SignUp { m, sign_up, password_hash, asked_at })
        }
        None => authority.change(m, move |m| make_at_once(m, sign_up, password_hash)).await,
    }
}

/// Either way one transaction with an audit row, so that both take the same time.
fn make_at_once(m: &Management, sign_up: WaitingSignUp, password_hash: String) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        if let Some(person) = members::find_person_by_email(conn, &sign_up.email)? {
            let detail = json!({ "refused": "address taken" });
            return Ok(deed.record(conn, None, "user.sign-up", &person.id.to_string(), detail, None)?);
        }
        make(conn, &deed, &sign_up.email, &sign_up.organisation, &password_hash, None)?;
        Ok::<_, ServiceError>(())
    })
}

/// Makes an account and its organisation; an empty hash is no password.
pub(super) fn make(
    conn: &mut AnyConnection,
    deed: &Deed,
    email: &str,
    organisation: &str,
    password_hash: &str,
    verified_at: Option<Timestamp>,
) -> Result<(Uuid, Uuid), ServiceError> {
    let developer = NewDeveloper {
        id: Uuid::now_v7(),
        email: email.to_owned(),
        password_hash: password_hash.to_owned(),
        created_at: deed.now,
    };
    let developer_id = developer.id;
    developers::insert(conn, &developer)?;
    if let Some(at) = verified_at {
        members::update_email_verified_at(conn, developer_id, at)?;
    }
    let deed = deed.as_user(developer_id);
    let detail = json!({ "email": email, "verified": verified_at.is_some() });
    deed.record(conn, None, "user.sign-up", &developer_id.to_string(), detail, None)?;
    let record = insert_derived(conn, &deed, organisation)?;
    developers::insert_membership(conn, record.id, developer_id, Role::Owner, None, deed.now)?;
    Ok((developer_id, record.id))
}

/// What the mail thread does of [`sign_up`]: a link for a free address, a word to the owner of a taken one.
pub(super) fn write(m: &Management, sign_up: WaitingSignUp, password_hash: String) -> Result<Letter, ServiceError> {
    let (m, deed) = (m.clone(), m.deed());
    m.database.clone().write(move |conn| {
        let (email, issuer) = (&sign_up.email, &m.config.issuer);
        if members::find_person_by_email(conn, email)?.is_some() {
            return Ok(Letter::taken(email, issuer));
        }
        // A stranger may sign up with this address as well: the link of its owner lives on beside that one's.
        rows::delete_oldest_sign_ups(conn, email, MOST_WAITING - 1)?;
        let new = NewLink {
            email: Some(email.clone()),
            is_mailed: true,
            sign_up: Some(PendingSignUp { organisation: sign_up.organisation.clone(), password_hash }),
            ..NewLink::new(LinkPurpose::Verification)
        };
        let (_, link) = links::make(&m, conn, &deed, new)?;
        Ok::<_, ServiceError>(Letter::verification(email, issuer, &link))
    })
}

/// What opening a verification link is about.
#[derive(Debug)]
pub enum Proof {
    /// A sign-up: made when the password is given again.
    SignUp {
        /// The address.
        email: String,
        /// What was chosen at sign-up.
        password_hash: String,
    },
    /// The address of an account that is there.
    Address {
        /// The address.
        email: String,
    },
}

/// What a verification link is about. Changes nothing.
///
/// # Errors
/// `NotFound` for a link that does not work.
pub fn look(m: &Management, secret: &Secret) -> Result<Proof, ServiceError> {
    let now = m.now();
    let link = m.database.read_with(|conn| links::find(m, conn, LinkPurpose::Verification, secret, now))?;
    match (link.sign_up, link.email) {
        (Some(sign_up), Some(email)) => Ok(Proof::SignUp { email, password_hash: sign_up.password_hash }),
        (None, Some(email)) => Ok(Proof::Address { email }),
        (_, None) => Err(links::dead()),
    }
}

/// Ends a sign-up, or notes that an address is proven. Gives who is new. The caller has checked the password of a sign-up
/// against [`Proof::SignUp`].
///
/// # Errors
/// `NotFound` for a link that does not work, or an address that is the person's no more; `Conflict` when somebody took
/// the address meanwhile.
pub fn confirm(m: &Management, secret: &Secret, browser: Browser) -> Result<Option<Newcomer>, ServiceError> {
    let (m, deed, secret) = (m.clone(), m.deed(), secret.clone());
    m.database.clone().write(move |conn| {
        let link = links::take(&m, conn, LinkPurpose::Verification, &secret, deed.now)?;
        let email = link.email.ok_or_else(links::dead)?;
        if let Some(sign_up) = link.sign_up {
            if members::find_person_by_email(conn, &email)?.is_some() {
                return Err(ServiceError::Conflict(
                    "there is an account with this address already; sign in".to_owned(),
                ));
            }
            let (name, hash) = (&sign_up.organisation, &sign_up.password_hash);
            let (developer_id, organisation_id) = make(conn, &deed, &email, name, hash, Some(deed.now))?;
            // The address has its owner: what else was begun with it is over.
            rows::delete_for_email(conn, LinkPurpose::Verification, Some(&email))?;
            let admitted = sign_in::admit(conn, &m, developer_id, &browser, Some(organisation_id), "link")?;
            return Ok(Some(Newcomer { developer_id, organisation_id, admitted }));
        }
        let person = match link.developer_id {
            Some(id) => developers::find(conn, id)?,
            None => None,
        };
        let person = person.filter(|person| person.email == email).ok_or_else(links::dead)?;
        members::update_email_verified_at(conn, person.id, deed.now)?;
        let detail = json!({ "email": email });
        deed.as_user(person.id).record(conn, None, "user.verify", &person.id.to_string(), detail, None)?;
        Ok(None)
    })
}

/// Sends a person a link that proves the address.
///
/// # Errors
/// `NotFound`, `Conflict` when it is proven, `Setup` where no mail server is configured.
pub async fn request_proof(authority: &Authority, m: Management, developer_id: Uuid) -> Result<(), ServiceError> {
    let mailer =
        authority.mailer.as_ref().ok_or_else(|| ServiceError::Setup("no mail server is configured".to_owned()))?;
    let letter = authority.change(m, move |m| write_proof(m, developer_id)).await?;
    mailer.post(Errand::Letter { letter, asked_at: authority.clock.now() })
}

fn write_proof(m: &Management, developer_id: Uuid) -> Result<Letter, ServiceError> {
    let (m, deed) = (m.clone(), m.deed());
    m.database.clone().write(move |conn| {
        let gone = || ServiceError::NotFound("there is no such user".to_owned());
        let person = developers::find(conn, developer_id)?.ok_or_else(gone)?;
        if person.email_verified_at.is_some() {
            return Err(ServiceError::Conflict("the address is confirmed already".to_owned()));
        }
        rows::delete_for_developer(conn, LinkPurpose::Verification, person.id)?;
        let new = NewLink {
            developer_id: Some(person.id),
            email: Some(person.email.clone()),
            is_mailed: true,
            ..NewLink::new(LinkPurpose::Verification)
        };
        let (_, link) = links::make(&m, conn, &deed, new)?;
        Ok(Letter::proof(&person.email, &m.config.issuer, &link))
    })
}
