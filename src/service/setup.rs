//! The first start: a link that makes whoever opens it the one who runs the server. The command line makes another one for
//! an operator who is locked out.

use serde_json::json;
use uuid::Uuid;

use super::apps::CreatedApp;
use super::links::{self, Link, LinkPurpose, NewLink};
use super::organisations::insert_derived;
use super::paging::PER_PAGE;
use super::sessions::{self, Browser};
use super::sign_up::checked_organisation_name;
use super::{Management, ServiceError, demo, email, second_factor};
use crate::db::changes::ChangeKind;
use crate::db::developers::Person;
use crate::db::developers::{self, NewDeveloper, Role};
use crate::db::organisations::OrganisationRecord;
use crate::db::{AnyConnection, members, organisations, passkeys};
use crate::secret::Secret;

/// Whether nobody runs the server yet.
///
/// # Errors
/// When the database does not answer.
pub fn is_needed(m: &Management) -> Result<bool, ServiceError> {
    Ok(m.database.read(|conn| Ok(members::list_acting_operators(conn)?.is_empty()))?)
}

/// Makes a link. Earlier ones still work until they expire: each node of a cluster prints one.
///
/// # Errors
/// When the database does not take it.
pub fn make_link(m: &Management) -> Result<Link, ServiceError> {
    let (m, deed) = (m.clone(), m.deed());
    m.database.clone().write(move |conn| {
        let (id, link) = links::make(&m, conn, &deed, NewLink::new(LinkPurpose::Setup))?;
        let detail = json!({ "expires_at": link.expires_at.rfc3339() });
        deed.record(conn, None, "setup.link", &id.to_string(), detail, None)?;
        Ok(link)
    })
}

/// Whether a link works. Changes nothing.
///
/// # Errors
/// `NotFound` for one that does not.
pub fn look(m: &Management, secret: &Secret) -> Result<(), ServiceError> {
    let now = m.now();
    m.database.read_with(|conn| links::find(m, conn, LinkPurpose::Setup, secret, now))?;
    Ok(())
}

/// Who shall run the server; its texts can be used.
#[derive(Debug, Clone)]
pub struct Founder {
    email: String,
    organisation: String,
}

impl Founder {
    /// Checks what was given, before anything is hashed.
    ///
    /// # Errors
    /// `InvalidField` for texts that cannot be used.
    pub fn new(address: &str, organisation: &str) -> Result<Self, ServiceError> {
        Ok(Self { email: email::canonical(address)?, organisation: checked_organisation_name(organisation)? })
    }

    /// The address in canonical form: a password must not hold it.
    pub fn email(&self) -> &str {
        &self.email
    }
}

/// What was made.
#[derive(Debug)]
pub struct Founded {
    /// Who runs the server now.
    pub developer_id: Uuid,
    /// Where the person belongs.
    pub organisation: OrganisationRecord,
    /// The person's session.
    pub session: Secret,
    /// The demo app, if one was asked for and could be made. The only time its key is seen.
    pub app: Option<CreatedApp>,
}

/// Makes an operator with an organisation, and a demo API and app if `with_demo`. Somebody who has that address already
/// gets this password, loses the second factor and every session, and becomes an operator: that is how a locked-out
/// operator comes back.
///
/// # Errors
/// `NotFound` for a link that does not work.
pub fn complete(
    m: &Management,
    secret: &Secret,
    founder: Founder,
    password_hash: String,
    with_demo: bool,
    browser: Browser,
) -> Result<Founded, ServiceError> {
    let (walk, deed, secret) = (m.clone(), m.deed(), secret.clone());
    let (developer_id, organisation, session) = m.database.write(move |conn| {
        links::take(&walk, conn, LinkPurpose::Setup, &secret, deed.now)?;
        crate::db::links::delete_for_email(conn, LinkPurpose::Setup, None)?;
        let known = members::find_person_by_email(conn, &founder.email)?;
        let (id, action) = match &known {
            Some(person) => {
                restore(conn, person, &password_hash)?;
                (person.id, "user.recover")
            }
            None => {
                let (id, email) = (Uuid::now_v7(), founder.email.clone());
                developers::insert(conn, &NewDeveloper { id, email, password_hash, created_at: deed.now })?;
                (id, "user.create")
            }
        };
        members::update_operator(conn, id, true)?;
        members::update_email_verified_at(conn, id, deed.now)?;
        let deed = deed.as_user(id);
        let detail = json!({ "email": founder.email, "operator": true });
        deed.record(conn, None, action, &id.to_string(), detail, Some(ChangeKind::Member))?;
        let belongings = members::list_belongings(conn, id, (0, PER_PAGE))?;
        let first = match belongings.into_iter().find(|belonging| belonging.disabled_at.is_none()) {
            Some(belonging) => organisations::find(conn, belonging.organisation_id)?,
            None => None,
        };
        let organisation = match first {
            Some(organisation) => organisation,
            None => {
                let made = insert_derived(conn, &deed, &founder.organisation)?;
                developers::insert_membership(conn, made.id, id, Role::Owner, None, deed.now)?;
                made
            }
        };
        let session = sessions::begin(conn, &walk, id, &browser, Some(organisation.id), false)?;
        Ok::<_, ServiceError>((id, organisation, session))
    })?;
    // The operator is there, whatever becomes of the demo.
    let app = with_demo.then(|| demo::create_app(m, &organisation.slug)).transpose().unwrap_or_else(|error| {
        log::warn!(error:%; "the demo app could not be made");
        None
    });
    Ok(Founded { developer_id, organisation, session, app })
}

fn restore(conn: &mut AnyConnection, person: &Person, password_hash: &str) -> Result<(), ServiceError> {
    developers::update_password(conn, person.id, password_hash)?;
    developers::update_disabled_at(conn, person.id, None)?;
    second_factor::remove_within(conn, person.id)?;
    passkeys::delete_all(conn, person.id)?;
    crate::db::sessions::delete_all(conn, person.id, None)?;
    Ok(())
}
