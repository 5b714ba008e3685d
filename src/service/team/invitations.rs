//! Invitations: a link for one address, into one organisation, with one role.

use serde_json::json;
use uuid::Uuid;

use super::{check_power, check_room_for_member, check_room_for_organisation, find, member_role};
use crate::clock::Timestamp;
use crate::config::SignUpMode;
use crate::db::developers::{self, NewDeveloper, Role};
use crate::db::organisations::OrganisationRecord;
use crate::db::sessions::SessionRecord;
use crate::db::{AnyConnection, links as rows, members, organisations};
use crate::secret::Secret;
use crate::service::attempts::Attempt;
use crate::service::links::{self, Link, LinkPurpose, LinkRecord, NewLink};
use crate::service::mail::{Errand, INTERVAL, Letter};
use crate::service::sessions::{self, Browser, SignedIn};
use crate::service::sign_in::{self, Admitted};
use crate::service::{Authority, Management, ServiceError, email};

/// Invitations of one organisation that wait.
const MOST_WAITING: i64 = 200;

/// Somebody who was asked and has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The invitation.
    pub id: Uuid,
    /// Who was asked.
    pub email: String,
    /// To be what.
    pub role: Role,
    /// When.
    pub invited_at: Timestamp,
    /// By whom: `user:…`.
    pub invited_by: String,
    /// Until when the answer can be given.
    pub expires_at: Timestamp,
}

impl Waiting {
    pub(super) fn of(link: LinkRecord) -> Option<Self> {
        Some(Self {
            id: link.id,
            email: link.email?,
            role: link.role?,
            invited_at: link.created_at,
            invited_by: link.created_by,
            expires_at: link.expires_at,
        })
    }
}

/// An invitation just made.
#[derive(Debug)]
pub struct Invited {
    /// Who was asked.
    pub email: String,
    link: Link,
    letter: Option<Letter>,
}

impl Invited {
    /// Mails the invitation or, where no mail is sent, gives the link to be shown this once.
    ///
    /// # Errors
    /// `Unavailable` when too much mail waits.
    pub fn deliver(self, authority: &Authority) -> Result<Option<Link>, ServiceError> {
        match (self.letter, &authority.mailer) {
            (Some(letter), Some(mailer)) => {
                let asked_at = authority.clock.now();
                mailer.post(Errand::Letter { letter, asked_at }).map(|()| None)
            }
            _ => Ok(Some(self.link)),
        }
    }
}

impl Authority {
    /// As [`invite`], but no more often than letters may be sent: of one person, of one organisation, to one address. What
    /// is refused counts for nothing.
    ///
    /// # Errors
    /// As [`invite`]; `Throttled`.
    pub async fn invite(
        &self,
        m: Management,
        organisation_id: Uuid,
        by: Uuid,
        address: &str,
        role: Role,
    ) -> Result<Invited, ServiceError> {
        let email = email::canonical(address)?;
        let attempt = if self.sends_mail() {
            let counted = self.attempts.invitation(by, organisation_id, &email, m.now());
            counted.map_err(|refused| ServiceError::Throttled(refused.wait))?
        } else {
            Attempt::default()
        };
        let invited = self.change(m, move |m| invite(m, organisation_id, by, &email, role)).await;
        if invited.is_err() {
            attempt.give_back();
        }
        invited
    }
}

/// Invites whoever has that address, on behalf of the member `by`. An earlier invitation of the same address dies.
///
/// # Errors
/// `BeyondPower` for a role mightier than one's own; `Conflict` for a member, and within a minute of the last invitation.
pub fn invite(
    m: &Management,
    organisation_id: Uuid,
    by: Uuid,
    address: &str,
    role: Role,
) -> Result<Invited, ServiceError> {
    let (m, deed, email) = (m.clone(), m.deed(), email::canonical(address)?);
    m.database.clone().write(move |conn| {
        let organisation = find(&deed, conn, organisation_id)?;
        check_power(member_role(conn, organisation_id, by)?, role)?;
        refuse_member(conn, organisation_id, &email)?;
        check_room_for_member(conn, organisation_id)?;
        let earlier = rows::find_invitation(conn, organisation_id, &email, deed.now)?;
        if earlier.as_ref().is_some_and(|link| deed.now < link.created_at + INTERVAL) {
            return Err(ServiceError::Conflict(
                "that address was invited a moment ago; try again in a minute".to_owned(),
            ));
        }
        if earlier.is_none() && rows::count_invitations(conn, organisation_id, deed.now)? >= MOST_WAITING {
            return Err(ServiceError::Conflict(format!(
                "{MOST_WAITING} invitations wait already; take some back first"
            )));
        }
        rows::delete_invitations_of(conn, organisation_id, &email)?;
        let new = NewLink {
            organisation_id: Some(organisation_id),
            email: Some(email.clone()),
            role: Some(role),
            is_mailed: m.config.mail.is_some(),
            ..NewLink::new(LinkPurpose::Invitation)
        };
        let (id, link) = links::make(&m, conn, &deed, new)?;
        let detail = json!({ "email": email, "role": role.name(), "expires_at": link.expires_at.rfc3339() });
        deed.record(conn, Some(organisation_id), "invitation.create", &id.to_string(), detail, None)?;
        let inviter = developers::find(conn, by)?.map_or_else(String::new, |person| person.email);
        let letter = m
            .config
            .mail
            .is_some()
            .then(|| Letter::invitation(&email, &m.config.issuer, &organisation.name, &inviter, role, &link));
        Ok(Invited { email, link, letter })
    })
}

/// Takes an invitation back.
///
/// # Errors
/// `NotFound`, `BeyondPower` for who could not have made it.
pub fn revoke(m: &Management, organisation_id: Uuid, by: Uuid, id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        find(&deed, conn, organisation_id)?;
        let own = member_role(conn, organisation_id, by)?;
        let link = rows::delete_invitation(conn, organisation_id, id, deed.now)?
            .ok_or_else(|| ServiceError::NotFound("there is no such invitation".to_owned()))?;
        check_power(own, link.role.unwrap_or(Role::Owner))?;
        let detail = json!({ "email": link.email, "role": link.role.map(Role::name) });
        Ok(deed.record(conn, Some(organisation_id), "invitation.revoke", &id.to_string(), detail, None)?)
    })
}

/// What whoever opens the link sees.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Into which organisation.
    pub organisation: OrganisationRecord,
    /// For which address.
    pub email: String,
    /// With which role.
    pub role: Role,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether somebody with that address has an account, and so signs in to accept.
    pub has_account: bool,
    is_mailed: bool,
}

/// What a link invites to. Changes nothing.
///
/// # Errors
/// `NotFound` for a link that does not work.
pub fn invitation(m: &Management, secret: &Secret) -> Result<Invitation, ServiceError> {
    let now = m.now();
    m.database.read_with(|conn| {
        let link = links::find(m, conn, LinkPurpose::Invitation, secret, now)?;
        read(conn, link)
    })
}

fn read(conn: &mut AnyConnection, link: LinkRecord) -> Result<Invitation, ServiceError> {
    let (Some(organisation_id), Some(email), Some(role)) = (link.organisation_id, link.email, link.role) else {
        return Err(links::dead());
    };
    let organisation = organisations::find(conn, organisation_id)?.filter(|found| found.disabled_at.is_none());
    Ok(Invitation {
        organisation: organisation.ok_or_else(links::dead)?,
        has_account: members::find_person_by_email(conn, &email)?.is_some(),
        email,
        role,
        expires_at: link.expires_at,
        is_mailed: link.is_mailed,
    })
}

/// Somebody who is a member now, and works there.
#[derive(Debug)]
pub struct Joined {
    /// Where.
    pub organisation: OrganisationRecord,
    /// The person's session.
    pub session: Secret,
}

/// Accepts as the person who is signed in.
///
/// # Errors
/// `NotFound` for a link that does not work, `BeyondPower` for another person's, `Conflict` for a member.
pub fn accept(m: &Management, secret: &Secret, signed_in: &SignedIn) -> Result<Joined, ServiceError> {
    let (m, deed, secret, session) = (m.clone(), m.deed(), secret.clone(), signed_in.session.clone());
    m.database.clone().write(move |conn| {
        let link = links::take(&m, conn, LinkPurpose::Invitation, &secret, deed.now)?;
        let invitation = read(conn, link)?;
        let person = developers::find(conn, session.developer_id)?.filter(|person| person.disabled_at.is_none());
        // What is refused rolls the use of the link back with it.
        let person = person.filter(|person| person.email == invitation.email).ok_or_else(|| {
            ServiceError::BeyondPower(
                "this invitation is for another address than the one you are signed in with".to_owned(),
            )
        })?;
        refuse_member(conn, invitation.organisation.id, &invitation.email)?;
        if invitation.is_mailed && person.email_verified_at.is_none() {
            members::update_email_verified_at(conn, person.id, deed.now)?;
        }
        join(conn, &deed.as_user(person.id), &invitation, person.id)?;
        let organisation_id = Some(invitation.organisation.id);
        let session = sessions::renew(conn, &m, &SessionRecord { organisation_id, ..session })?;
        Ok(Joined { organisation: invitation.organisation, session })
    })
}

/// Accepts as somebody new: makes the account.
///
/// # Errors
/// `NotFound` for a link that does not work; `Conflict` when there is an account with that address; `BeyondPower` where
/// only operators make accounts.
pub fn accept_as_new(
    m: &Management,
    secret: &Secret,
    password_hash: String,
    browser: Browser,
) -> Result<Admitted, ServiceError> {
    let (m, deed, secret) = (m.clone(), m.deed(), secret.clone());
    m.database.clone().write(move |conn| {
        let link = links::take(&m, conn, LinkPurpose::Invitation, &secret, deed.now)?;
        let invitation = read(conn, link)?;
        if m.config.sign_up == SignUpMode::Closed {
            return Err(ServiceError::BeyondPower("only operators make accounts here; ask one for yours".to_owned()));
        }
        if invitation.has_account {
            return Err(ServiceError::Conflict("there is an account with this address; sign in to accept".to_owned()));
        }
        let (id, email) = (Uuid::now_v7(), invitation.email.clone());
        developers::insert(conn, &NewDeveloper { id, email, password_hash, created_at: deed.now })?;
        if invitation.is_mailed {
            members::update_email_verified_at(conn, id, deed.now)?;
        }
        let deed = deed.as_user(id);
        let detail = json!({ "email": invitation.email, "verified": invitation.is_mailed });
        deed.record(conn, None, "user.sign-up", &id.to_string(), detail, None)?;
        join(conn, &deed, &invitation, id)?;
        sign_in::admit(conn, &m, id, &browser, Some(invitation.organisation.id), "link")
    })
}

fn join(
    conn: &mut AnyConnection,
    deed: &crate::service::deed::Deed,
    invitation: &Invitation,
    developer_id: Uuid,
) -> Result<(), ServiceError> {
    let organisation_id = invitation.organisation.id;
    check_room_for_member(conn, organisation_id)?;
    check_room_for_organisation(conn, developer_id)?;
    developers::insert_membership(conn, organisation_id, developer_id, invitation.role, None, deed.now)?;
    let detail = json!({ "email": invitation.email, "role": invitation.role.name() });
    Ok(deed.record(conn, Some(organisation_id), "member.join", &developer_id.to_string(), detail, None)?)
}

fn refuse_member(conn: &mut AnyConnection, organisation_id: Uuid, email: &str) -> Result<(), ServiceError> {
    let Some(person) = members::find_person_by_email(conn, email)? else { return Ok(()) };
    match members::find_role(conn, organisation_id, person.id)? {
        Some(_) => Err(ServiceError::Conflict("that person is a member already".to_owned())),
        None => Ok(()),
    }
}
