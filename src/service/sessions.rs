//! Sessions of people in the dashboard: begun, found again, ended.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::deed::{Deed, Doer};
use super::{Authority, Caller, Management, ServiceError, second_factor};
use crate::clock::Timestamp;
use crate::db::developers::{self, Person, Role};
use crate::db::organisations::OrganisationRecord;
use crate::db::sessions::{self, SessionRecord};
use crate::db::{AnyConnection, DbError, credentials, passkeys};
use crate::secret::{KeyedHash, Secret, SecretKind, generate_secret};

/// How long a proof of who somebody is suffices for what cannot be undone.
pub const CONFIRMED_FOR: Duration = Duration::from_secs(600);
/// How long a session waits for its second factor.
const SECOND_FACTOR_WITHIN: Duration = Duration::from_secs(600);
/// When a session was last used is written down to the minute.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Sessions of one person that live at once, and again as many that wait for a second factor: whoever knows the password
/// alone does not end what is open.
const MOST_LIVING: usize = 50;
/// Browsers that call themselves longer are cut.
const LONGEST_USER_AGENT: usize = 200;

/// An organisation where a person has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workplace {
    /// The organisation's id.
    pub id: Uuid,
    /// Its slug.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What the person may do there.
    pub role: Role,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The session.
    pub session: SessionRecord,
    /// Who.
    pub person: Person,
    /// Where the person is at work: what the session says, or the first of all.
    pub workplace: Option<Workplace>,
    /// All organisations where the person has a role, by name.
    pub workplaces: Vec<Workplace>,
    /// Whether the server demands a second factor of the person, who has none.
    pub lacks_second_factor: bool,
}

impl SignedIn {
    /// Whether the person proved who it is recently enough for what cannot be undone.
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        now < self.session.confirmed_at + CONFIRMED_FOR
    }
}

/// A browser that shows a session.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Where from.
    pub address: IpAddr,
    /// What it calls itself.
    pub user_agent: String,
    /// The session that it shows by now: it ends where another begins.
    pub shows: Option<SessionRecord>,
}

impl Browser {
    /// A browser with that `User-Agent`.
    pub fn new(caller: &Caller, user_agent: &str) -> Self {
        let plain = user_agent.chars().filter(|c| !c.is_control()).take(LONGEST_USER_AGENT);
        Self { address: caller.address, user_agent: plain.collect(), shows: None }
    }
}

/// Begins a session inside the transaction in which the person proved who it is; the one that the browser showed ends.
/// `awaits_second_factor`: it opens nothing yet and ends soon.
///
/// # Errors
/// When the database does not take it.
pub(super) fn begin(
    conn: &mut AnyConnection,
    m: &Management,
    developer_id: Uuid,
    browser: &Browser,
    organisation_id: Option<Uuid>,
    awaits_second_factor: bool,
) -> Result<Secret, ServiceError> {
    let (secret, now) = (generate_secret(SecretKind::Session)?, m.now());
    if let Some(shown) = &browser.shows {
        replace(conn, shown, browser, now)?;
    }
    let lives = if awaits_second_factor { SECOND_FACTOR_WITHIN } else { m.config.session_ttl };
    let session = SessionRecord {
        id: Uuid::now_v7(),
        developer_id,
        organisation_id,
        awaits_second_factor,
        created_at: now,
        seen_at: now,
        confirmed_at: if awaits_second_factor { Timestamp::NEVER } else { now },
        expires_at: now + lives,
        address: browser.address.to_string(),
        user_agent: browser.user_agent.clone(),
    };
    insert(conn, m, &session, &secret)?;
    Ok(secret)
}

/// Adds a session. If the person has as many as may be, the one that was not used for the longest time ends.
fn insert(
    conn: &mut AnyConnection,
    m: &Management,
    session: &SessionRecord,
    secret: &Secret,
) -> Result<(), ServiceError> {
    let (developer_id, now) = (session.developer_id, m.now());
    let mut others = sessions::list(conn, developer_id)?;
    others.retain(|other| lives(m, other, now) && other.awaits_second_factor == session.awaits_second_factor);
    for surplus in others.iter().skip(MOST_LIVING - 1) {
        sessions::delete(conn, developer_id, surplus.id)?;
        let deed = m.deed().as_user(developer_id);
        let detail = json!({ "session": surplus.id, "most": MOST_LIVING });
        deed.record(conn, None, "session.end-surplus", &developer_id.to_string(), detail, None)?;
    }
    Ok(sessions::insert(conn, session, m.pepper.hash(secret))?)
}

/// Ends the session in whose place another begins: nobody could end it any more who does not know its secret.
fn replace(
    conn: &mut AnyConnection,
    shown: &SessionRecord,
    browser: &Browser,
    now: Timestamp,
) -> Result<(), ServiceError> {
    // What waited for a second factor was nothing yet.
    if !sessions::delete(conn, shown.developer_id, shown.id)? || shown.awaits_second_factor {
        return Ok(());
    }
    let deed = Deed { doer: Doer::unbounded_person(shown.developer_id, browser.address), now };
    let organisation = credentials::first_organisation(conn, shown.developer_id)?;
    let detail = json!({ "session": shown.id, "by": "another sign-in" });
    Ok(deed.record(conn, organisation, "session.end", &shown.developer_id.to_string(), detail, None)?)
}

/// Gives a session another secret, and with it another place to work or a fresh proof of who the person is: the old secret
/// is dead. The end of the session stays where it was.
///
/// # Errors
/// When the database does not take it.
pub(super) fn renew(conn: &mut AnyConnection, m: &Management, session: &SessionRecord) -> Result<Secret, ServiceError> {
    let secret = generate_secret(SecretKind::Session)?;
    if !sessions::delete(conn, session.developer_id, session.id)? {
        return Err(ServiceError::NotFound("the session is over".to_owned()));
    }
    insert(conn, m, session, &secret)?;
    Ok(secret)
}

fn lives(m: &Management, session: &SessionRecord, now: Timestamp) -> bool {
    now < session.expires_at && now < session.seen_at + m.config.session_idle
}

impl Authority {
    /// Who shows this secret, if anybody: the session lives, the person may sign in. Notes that the session is used.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_session(&self, secret: Secret, caller: Caller) -> Result<Option<SignedIn>, ServiceError> {
        let m = self.management.clone();
        self.directory.database().off_thread(move |_| find(&m, &secret, caller)).await
    }
}

fn find(m: &Management, secret: &Secret, caller: Caller) -> Result<Option<SignedIn>, ServiceError> {
    let hash = m.pepper.hash(secret);
    let found = m.database.read(|conn| {
        let Some(session) = sessions::find(conn, hash)? else { return Ok(None) };
        let Some(person) = developers::find(conn, session.developer_id)? else { return Ok(None) };
        let workplaces = developers::list_workplaces(conn, person.id)?;
        // Asked at each page: the setting, the role and the factor may have changed since the session began.
        let roles = workplaces.iter().map(|(_, role)| *role);
        let lacks_second_factor = second_factor::is_demanded(m.config.require_2fa, person.is_operator, roles)
            && person.totp_confirmed_at.is_none()
            && passkeys::list(conn, person.id)?.is_empty();
        Ok::<_, DbError>(Some((session, person, workplaces, lacks_second_factor)))
    })?;
    let Some((session, person, workplaces, lacks_second_factor)) = found else { return Ok(None) };
    if !lives(m, &session, caller.now) || person.disabled_at.is_some() {
        return Ok(None);
    }
    if caller.now >= session.seen_at + SEEN_EVERY {
        let (id, address) = (session.id, caller.address.to_string());
        m.database.write(move |conn| sessions::update_seen(conn, id, caller.now, &address))?;
    }
    let workplaces: Vec<Workplace> = workplaces.into_iter().filter_map(workplace).collect();
    // Who was removed from where the session works does not go on elsewhere unasked.
    let workplace = match session.organisation_id {
        Some(id) => workplaces.iter().find(|workplace| workplace.id == id).cloned(),
        None => workplaces.first().cloned(),
    };
    Ok(Some(SignedIn { session, person, workplace, workplaces, lacks_second_factor }))
}

/// Nobody works in an organisation that is switched off.
fn workplace((organisation, role): (OrganisationRecord, Role)) -> Option<Workplace> {
    let OrganisationRecord { id, slug, name, disabled_at, .. } = organisation;
    disabled_at.is_none().then_some(Workplace { id, slug, name, role })
}

/// Ends a session of a person: by that person.
///
/// # Errors
/// `NotFound` when there is none of that id.
pub fn end(m: &Management, developer_id: Uuid, id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        if !sessions::delete(conn, developer_id, id)? {
            return Err(ServiceError::NotFound("there is no such session".to_owned()));
        }
        record(conn, &deed, "session.end", developer_id, id)
    })
}

/// The sessions of a person that have not ended, last used first.
///
/// # Errors
/// When the database does not answer.
pub fn list(m: &Management, developer_id: Uuid) -> Result<Vec<SessionRecord>, ServiceError> {
    let now = m.now();
    let mut all = m.database.read(|conn| sessions::list(conn, developer_id))?;
    all.retain(|session| lives(m, session, now) && !session.awaits_second_factor);
    Ok(all)
}

/// Ends all sessions of a person but one. Returns how many ended.
///
/// # Errors
/// When the database does not take it.
pub fn end_others(m: &Management, developer_id: Uuid, but: Uuid) -> Result<usize, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let ended = sessions::delete_all(conn, developer_id, Some(but))?;
        let detail = json!({ "sessions_ended": ended });
        deed.record(conn, None, "session.end-others", &developer_id.to_string(), detail, None)?;
        Ok(ended)
    })
}

fn record(
    conn: &mut AnyConnection,
    deed: &Deed,
    action: &str,
    developer_id: Uuid,
    id: Uuid,
) -> Result<(), ServiceError> {
    Ok(deed.record(conn, None, action, &developer_id.to_string(), json!({ "session": id }), None)?)
}

/// Makes a session work in another organisation, with a secret of its own.
///
/// # Errors
/// `NotFound` for an organisation where the person has no role.
pub fn switch(m: &Management, signed_in: &SignedIn, slug: &str) -> Result<Secret, ServiceError> {
    let unknown = || ServiceError::NotFound("you have no role in that organisation".to_owned());
    let chosen = signed_in.workplaces.iter().find(|workplace| workplace.slug == slug).ok_or_else(unknown)?;
    let session = SessionRecord { organisation_id: Some(chosen.id), ..signed_in.session.clone() };
    let left = signed_in.workplace.as_ref().map(|workplace| workplace.slug.clone());
    let (m, deed, chosen) = (m.clone(), m.deed(), chosen.clone());
    m.database.clone().write(move |conn| {
        let secret = renew(conn, &m, &session)?;
        let detail = json!({ "from": left, "to": chosen.slug });
        deed.record(conn, Some(chosen.id), "session.switch", &session.developer_id.to_string(), detail, None)?;
        Ok(secret)
    })
}

impl Management {
    /// The same for somebody who is signed in: that person sees the organisation of the session and nothing else.
    #[must_use]
    pub fn for_member(&self, signed_in: &SignedIn, workplace: &Workplace, address: IpAddr) -> Self {
        let doer = Doer::person(signed_in.person.id, workplace.id, workplace.role, address);
        Self { doer, ..self.clone() }
    }

    /// The same for a person who works on the own account or, as operator, on the whole server.
    #[must_use]
    pub fn for_person(&self, signed_in: &SignedIn, address: IpAddr) -> Self {
        Self { doer: Doer::unbounded_person(signed_in.person.id, address), ..self.clone() }
    }

    /// The same, but what is made is made once for this rendering of a form.
    #[must_use]
    pub fn once_for_form(self, developer_id: Uuid, rendering: &str) -> Self {
        Self { doer: self.doer.with_form(developer_id, rendering), ..self }
    }
}

impl Authority {
    /// What a form must carry that was made for the browser with this secret, and for that owner if there is one: nobody
    /// else can make it.
    pub fn form_token(&self, secret: &Secret, owner: Option<KeyedHash>) -> KeyedHash {
        let owner = owner.map(|owner| format!(" of {}", owner.to_text())).unwrap_or_default();
        self.pepper.hash(&Secret::new(format!("form {}{owner}", secret.reveal())))
    }
}
