//! Signing in: who somebody is, proved by a password and, where there is one, by a second factor.
//!
//! An address that nobody has, a wrong password, an account without a password and one that is switched off get the same
//! answer after the same work. Attempts are counted before anything is compared; see [`super::attempts`].

mod first_code;

use serde_json::json;
use uuid::Uuid;

pub use self::first_code::{Enrolled, confirm_authenticator, enrol};
use super::attempts::{Attempt, Origin, Refused, network};
use super::deed::{Deed, Doer};
use super::email::canonical as canonical_email;
use super::passwords::{self, Surroundings};
use super::sessions::{self, Browser, SignedIn};
use super::{Authority, Caller, Management, ServiceError, second_factor};
use crate::clock::Timestamp;
use crate::db::credentials::{self, Credentials};
use crate::db::developers;
use crate::db::sessions::SessionRecord;
use crate::db::{AnyConnection, sign_in_networks};
use crate::secret::Secret;

/// How long an address from which a person signed in counts as one of the person's.
const KNOWN_FOR: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);

/// Somebody who may come in.
#[derive(Debug)]
pub struct Admitted {
    /// The secret of the session.
    pub session: Secret,
    /// Whether a second factor must be shown, or set up, before the session opens anything.
    pub awaits_second_factor: bool,
}

/// Signs a person in; nothing for a wrong address or password.
///
/// # Errors
/// `Throttled` after too many, `InvalidField` for what cannot be a password, `Unavailable`.
pub async fn sign_in(
    authority: &Authority,
    caller: Caller,
    browser: Browser,
    email: &str,
    password: &Secret,
) -> Result<Option<Admitted>, ServiceError> {
    let account = canonical_email(email).unwrap_or_default();
    with_password(authority, caller, &account, password, move |conn, m, person| {
        admit(conn, m, person.id, &browser, None, "password")
    })
    .await
}

/// Begins a session of a person who has proved who it is, `by` what; at work in that organisation, or in the first of all. It
/// opens nothing yet if there is a second factor to show or to set up.
///
/// # Errors
/// When the database does not take it.
pub(super) fn admit(
    conn: &mut AnyConnection,
    m: &Management,
    developer_id: Uuid,
    browser: &Browser,
    organisation_id: Option<Uuid>,
    by: &str,
) -> Result<Admitted, ServiceError> {
    let person = credentials::find(conn, developer_id)?.filter(|person| person.disabled_at.is_none());
    let person = person.ok_or_else(|| ServiceError::NotFound("there is no such person any more".to_owned()))?;
    let awaits_second_factor = person.confirmed_totp().is_some() || must_enrol(conn, m, &person)?;
    let session = sessions::begin(conn, m, developer_id, browser, organisation_id, awaits_second_factor)?;
    if !awaits_second_factor {
        record_sign_in(conn, m, developer_id, browser, by)?;
    }
    Ok(Admitted { session, awaits_second_factor })
}

/// Whether the setting demands a second factor of the person, who has none.
fn must_enrol(conn: &mut AnyConnection, m: &Management, person: &Credentials) -> Result<bool, ServiceError> {
    if person.confirmed_totp().is_some() {
        return Ok(false);
    }
    let roles = developers::list_workplaces(conn, person.id)?.into_iter().map(|(_, role)| role);
    Ok(second_factor::is_demanded(m.config.require_2fa, person.is_operator, roles))
}

/// Notes in the audit that somebody came in, and remembers from where.
pub(super) fn record_sign_in(
    conn: &mut AnyConnection,
    m: &Management,
    developer_id: Uuid,
    browser: &Browser,
    by: &str,
) -> Result<(), ServiceError> {
    let now = m.now();
    sign_in_networks::record(conn, developer_id, &network(browser.address), now)?;
    let organisation = credentials::first_organisation(conn, developer_id)?;
    let deed = Deed { doer: Doer::unbounded_person(developer_id, browser.address), now };
    let detail = json!({ "by": by, "browser": browser.user_agent });
    Ok(deed.record(conn, organisation, "user.sign-in", &developer_id.to_string(), detail, None)?)
}

/// Notes in the audit that somebody did not come in. What was typed is not written down: people type passwords into the wrong
/// field.
pub(super) fn record_failure(
    conn: &mut AnyConnection,
    caller: Caller,
    developer_id: Option<Uuid>,
    by: &str,
) -> Result<(), ServiceError> {
    record_refusal(conn, caller, developer_id, "user.sign-in-failed", by)
}

fn record_refusal(
    conn: &mut AnyConnection,
    caller: Caller,
    developer_id: Option<Uuid>,
    action: &str,
    by: &str,
) -> Result<(), ServiceError> {
    // Asked for nobody too: it takes as long.
    let organisation = credentials::first_organisation(conn, developer_id.unwrap_or_default())?;
    let deed = Deed { doer: Doer::unbounded("visitor"), now: caller.now }.from(caller.address);
    let target = developer_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    Ok(deed.record(conn, organisation, action, &target, json!({ "by": by }), None)?)
}

/// What somebody hears who tried too often.
pub(super) async fn throttled(
    authority: &Authority,
    caller: Caller,
    developer_id: Option<Uuid>,
    by: &'static str,
    refused: Refused,
) -> ServiceError {
    note_throttled(authority, caller, developer_id, "user.sign-in-throttled", by, refused).await;
    ServiceError::Throttled(refused.wait)
}

/// Notes in the audit that somebody tried too often, the first time in each window.
pub(super) async fn note_throttled(
    authority: &Authority,
    caller: Caller,
    developer_id: Option<Uuid>,
    action: &'static str,
    by: &'static str,
    refused: Refused,
) {
    if !refused.is_first {
        return;
    }
    let noted = change(authority, move |conn, _| record_refusal(conn, caller, developer_id, action, by));
    if let Err(error) = noted.await {
        log::warn!(error:%; "that somebody tried too often could not be written into the audit");
    }
}

/// Opens a session that awaits its second factor; nothing for a wrong code.
///
/// # Errors
/// `Throttled` after too many wrong ones, `NotFound` when the session is over.
pub async fn show_code(
    authority: &Authority,
    caller: Caller,
    browser: Browser,
    waiting: &SignedIn,
    code: Secret,
) -> Result<Option<Secret>, ServiceError> {
    let (id, session) = (waiting.person.id, waiting.session.clone());
    with_code(authority, caller, id, code, move |conn, m, factor| {
        let secret = sessions::renew(conn, m, &opened(m, session, caller.now))?;
        record_sign_in(conn, m, id, &browser, factor)?;
        Ok(secret)
    })
    .await
}

/// A session that waited, from now on open for its whole time.
fn opened(m: &Management, session: SessionRecord, now: Timestamp) -> SessionRecord {
    SessionRecord {
        awaits_second_factor: false,
        created_at: now,
        seen_at: now,
        confirmed_at: now,
        expires_at: now + m.config.session_ttl,
        ..session
    }
}

/// Proves again who is signed in, before what cannot be undone: by the password or, if one is given, by a code. The session
/// gets another secret; nothing for a wrong proof.
///
/// # Errors
/// `Throttled` after too many wrong ones, `NotFound` when the session is over.
pub async fn confirm(
    authority: &Authority,
    caller: Caller,
    signed_in: &SignedIn,
    password: Secret,
    code: Secret,
) -> Result<Option<Secret>, ServiceError> {
    let (id, session) = (signed_in.person.id, signed_in.session.clone());
    let session = SessionRecord { confirmed_at: caller.now, ..session };
    let organisation = signed_in.workplace.as_ref().map(|workplace| workplace.id);
    let renew = move |conn: &mut AnyConnection, m: &Management, by: &'static str| {
        let secret = sessions::renew(conn, m, &session)?;
        let deed = Deed { doer: Doer::unbounded_person(id, caller.address), now: caller.now };
        deed.record(conn, organisation, "session.confirm", &id.to_string(), json!({ "by": by }), None)?;
        Ok(secret)
    };
    if !code.reveal().trim().is_empty() {
        return with_code(authority, caller, id, code, renew).await;
    }
    with_password(authority, caller, &signed_in.person.email, &password, move |conn, m, _| renew(conn, m, "password"))
        .await
}

/// Gives the person who is signed in another password. Every other session ends, and this one gets another secret; nothing if
/// the current password is wrong.
///
/// # Errors
/// `InvalidField` of `new_password` that says the reason, `Throttled` after too many wrong ones.
pub async fn change_password(
    authority: &Authority,
    caller: Caller,
    signed_in: &SignedIn,
    current: &Secret,
    new: &Secret,
) -> Result<Option<Secret>, ServiceError> {
    let (id, session) = (signed_in.person.id, signed_in.session.clone());
    let names = signed_in.workplaces.iter().flat_map(|workplace| [workplace.slug.as_str(), workplace.name.as_str()]);
    let surroundings = Surroundings::new(&signed_in.person.email, names.chain([signed_in.person.name.as_str()]));
    // Before the new one is hashed: who does not know the current one costs no more than at the sign-in page.
    if with_password(authority, caller, &signed_in.person.email, current, |_, _, _| Ok(())).await?.is_none() {
        return Ok(None);
    }
    let hash = authority.hash_chosen_password(new, surroundings).await.map_err(|error| match error {
        ServiceError::InvalidField { rule, .. } => ServiceError::field("new_password", rule),
        other => other,
    })?;
    let session = SessionRecord { confirmed_at: caller.now, ..session };
    let organisation = signed_in.workplace.as_ref().map(|workplace| workplace.id);
    // Whoever changed the password meanwhile has ended this session, and then it cannot be renewed.
    change(authority, move |conn, m| {
        developers::update_password(conn, id, &hash)?;
        let secret = sessions::renew(conn, m, &session)?;
        let ended = crate::db::sessions::delete_all(conn, id, Some(session.id))?;
        let deed = Deed { doer: Doer::unbounded_person(id, caller.address), now: caller.now };
        let detail = json!({ "sessions_ended": ended });
        deed.record(conn, organisation, "user.change-password", &id.to_string(), detail, None)?;
        Ok(Some(secret))
    })
    .await
}

/// Does something in the transaction in which a code of the person is taken; nothing for a wrong code.
async fn with_code<T: Send + 'static>(
    authority: &Authority,
    caller: Caller,
    developer_id: Uuid,
    code: Secret,
    then: impl FnOnce(&mut AnyConnection, &Management, &'static str) -> Result<T, ServiceError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let attempt = attempt_code(authority, caller, developer_id, "code").await?;
    let done = change(authority, move |conn, m| {
        let person = credentials::find(conn, developer_id)?.filter(|person| person.disabled_at.is_none());
        let factor = match person {
            Some(person) => second_factor::take(conn, m, &person, code.reveal())?,
            None => None,
        };
        match factor {
            Some(factor) => then(conn, m, factor.name()).map(Some),
            None => record_failure(conn, caller, Some(developer_id), "code").map(|()| None),
        }
    })
    .await?;
    if done.is_some() {
        attempt.was_right();
    }
    Ok(done)
}

/// Counts that somebody tries a code of that person.
async fn attempt_code(
    authority: &Authority,
    caller: Caller,
    developer_id: Uuid,
    by: &'static str,
) -> Result<Attempt, ServiceError> {
    let address = network(caller.address);
    let is_known = authority
        .directory
        .database()
        .read_off_thread(move |conn| sign_in_networks::is_known(conn, developer_id, &address, caller.now - KNOWN_FOR));
    let origin = origin(caller, is_known.await?);
    match authority.attempts.code(developer_id, origin, caller.now) {
        Ok(attempt) => Ok(attempt),
        Err(refused) => Err(throttled(authority, caller, Some(developer_id), by, refused).await),
    }
}

/// Does something in a transaction after the password of the account of that address was shown; nothing for a wrong one. Works
/// as long for an account that does not exist.
async fn with_password<T: Send + 'static>(
    authority: &Authority,
    caller: Caller,
    account: &str,
    password: &Secret,
    then: impl FnOnce(&mut AnyConnection, &Management, &Credentials) -> Result<T, ServiceError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let password = passwords::read(password)?;
    // In a flood most are turned away: that costs no look into the database.
    authority.slow_hashes.refuse_when_full()?;
    let (person, is_known) = find_account(authority, caller, account).await?;
    let attempt = match authority.attempts.password(account, origin(caller, is_known), caller.now) {
        Ok(attempt) => attempt,
        Err(refused) => {
            let id = person.as_ref().map(|person| person.id);
            return Err(throttled(authority, caller, id, "password", refused).await);
        }
    };
    let stored = person.as_ref().and_then(|person| person.password_hash.as_deref());
    let is_right = match authority.verify_password(stored, &password).await {
        Ok(is_right) => is_right,
        Err(error) => {
            attempt.give_back();
            return Err(error);
        }
    };
    let done = change(authority, move |conn, m| {
        let id = person.as_ref().map(|person| person.id);
        // The password may have been changed, and all sessions ended, since it was looked up.
        let current = credentials::find(conn, id.unwrap_or_default())?;
        let is_same = |now: &Credentials| person.is_some_and(|then| then.password_hash == now.password_hash);
        match current.filter(|now| is_right && now.disabled_at.is_none() && is_same(now)) {
            Some(person) => then(conn, m, &person).map(Some),
            None => record_failure(conn, caller, id, "password").map(|()| None),
        }
    })
    .await?;
    if done.is_some() {
        attempt.was_right();
    }
    Ok(done)
}

/// Who has that address, and whether that person signed in from there before. Asks as much for nobody.
async fn find_account(
    authority: &Authority,
    caller: Caller,
    account: &str,
) -> Result<(Option<Credentials>, bool), ServiceError> {
    let (account, network) = (account.to_owned(), network(caller.address));
    let found = authority.directory.database().read_off_thread(move |conn| {
        let person = credentials::find_by_email(conn, &account)?;
        let id = person.as_ref().map(|person| person.id).unwrap_or_default();
        let is_known = sign_in_networks::is_known(conn, id, &network, caller.now - KNOWN_FOR)?;
        Ok((person, is_known))
    });
    Ok(found.await?)
}

fn origin(caller: Caller, is_known: bool) -> Origin {
    if is_known { Origin::KnownAddress(caller.address) } else { Origin::Elsewhere(caller.address) }
}

/// Runs one transaction away from the threads that answer requests.
pub(super) async fn change<T: Send + 'static>(
    authority: &Authority,
    deed: impl FnOnce(&mut AnyConnection, &Management) -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let m = authority.management.clone();
    authority.change(m.clone(), move |_| m.database.clone().write(move |conn| deed(conn, &m))).await
}
