//! Passkeys: made, shown, taken away. Between the two halves of a ceremony its state travels with the browser, sealed under the
//! master key and bound to that browser, so that any node can finish it and nobody's memory fills; it works once and soon ends.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::deed::{Deed, Doer};
use super::organisations::is_unseen;
use super::sessions::{self, Browser, SignedIn};
use super::sign_in::{self, record_failure, record_sign_in};
use super::{Authority, Caller, Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::passkeys::{self, PasskeyRecord};
use crate::db::sessions::SessionRecord;
use crate::db::used_jti::{self, Jti};
use crate::db::{AnyConnection, credentials};
use crate::keys::passkeys::{Begun, ClaimedPasskey, RelyingParty};
use crate::secret::{Secret, random_id};

/// How long a ceremony may take.
const CEREMONY_WITHIN: Duration = Duration::from_secs(300);
/// Passkeys of one person.
const MOST_PASSKEYS: usize = 20;
const LONGEST_NAME: usize = 60;

/// What a ceremony is for; the state of one is none of the other.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Registration,
    Authentication,
}

/// The first half of a ceremony.
#[derive(Debug, Serialize)]
pub struct Ceremony {
    /// What the browser is asked.
    pub options: Value,
    /// To be sent back with the answer.
    pub state: String,
}

/// What the browser sends back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What forms of this browser are bound to.
    pub binding: String,
    /// From [`Ceremony::state`].
    pub state: String,
    /// What the authenticator said, as JSON.
    pub answer: String,
}

#[derive(Serialize, Deserialize)]
struct State {
    id: String,
    expires_at: i64,
    state: String,
}

fn sealed_name(purpose: Purpose, binding: &str) -> String {
    format!("{purpose:?} {binding}")
}

fn seal(m: &Management, purpose: Purpose, binding: &str, begun: Begun) -> Result<Ceremony, ServiceError> {
    let expires_at = (m.now() + CEREMONY_WITHIN).seconds();
    let state = State { id: random_id()?, expires_at, state: begun.state };
    let plain = serde_json::to_vec(&state).map_err(|error| ServiceError::Internal(error.to_string()))?;
    let sealed = m.master_key.seal_ceremony(&sealed_name(purpose, binding), &plain)?;
    Ok(Ceremony { options: begun.options, state: URL_SAFE_NO_PAD.encode(sealed) })
}

fn open(m: &Management, purpose: Purpose, given: &Answer) -> Option<State> {
    let sealed = URL_SAFE_NO_PAD.decode(&given.state).ok()?;
    let plain = m.master_key.open_ceremony(&sealed_name(purpose, &given.binding), &sealed).ok()?;
    let state: State = serde_json::from_slice(&plain).ok()?;
    (m.now().seconds() < state.expires_at).then_some(state)
}

/// Uses a ceremony up, in the transaction of what it is for. `false` if it was used before.
fn use_once(conn: &mut AnyConnection, state: &State) -> Result<bool, ServiceError> {
    let forget_at = Timestamp::from_seconds(state.expires_at);
    Ok(used_jti::record(conn, "passkey", "ceremony", &state.id, forget_at)? == Jti::Fresh)
}

impl Authority {
    /// Whether people can have passkeys here: the issuer's host has a name, and they were built in.
    pub fn has_passkeys(&self) -> bool {
        self.relying_party.is_some()
    }

    fn relying_party(&self) -> Result<&RelyingParty, ServiceError> {
        let party = self.relying_party.as_deref();
        party.ok_or_else(|| ServiceError::NotFound("this server has no passkeys".to_owned()))
    }
}

/// Asks the browser of somebody who is signed in to make a passkey.
///
/// # Errors
/// `NotFound` where there are no passkeys, `Conflict` for who has too many.
pub async fn begin_registration(
    authority: &Authority,
    signed_in: &SignedIn,
    binding: &str,
) -> Result<Ceremony, ServiceError> {
    let party = authority.relying_party()?;
    let (id, m) = (signed_in.person.id, &authority.management);
    let known = authority.look(m.clone(), move |m| list(m, id)).await?;
    if known.len() >= MOST_PASSKEYS {
        return Err(ServiceError::Conflict(format!("a person can have {MOST_PASSKEYS} passkeys; remove one first")));
    }
    let known: Vec<String> = known.into_iter().map(|passkey| passkey.credential_id).collect();
    let (email, name) = (&signed_in.person.email, &signed_in.person.name);
    let name = if name.is_empty() { email } else { name };
    seal(m, Purpose::Registration, binding, party.begin_registration(id, email, name, &known)?)
}

/// Adds the passkey that the browser made. `false` if what it says does not hold. With the first one every other session
/// ends: it was begun with less.
///
/// # Errors
/// `InvalidField` of `name`, `Conflict` for who has too many or if it is there already.
pub async fn finish_registration(
    authority: &Authority,
    caller: Caller,
    signed_in: &SignedIn,
    given: &Answer,
    name: &str,
) -> Result<bool, ServiceError> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(is_unseen) {
        let rule = format!("give the passkey a name of 1 to {LONGEST_NAME} characters");
        return Err(ServiceError::field("name", rule));
    }
    let (m, id, session) = (authority.management.clone(), signed_in.person.id, signed_in.session.id);
    let Some(state) = open(&m, Purpose::Registration, given) else { return Ok(false) };
    let made = authority.relying_party()?.finish_registration(&state.state, &given.answer);
    let Some(made) = made else { return Ok(false) };
    let passkey = PasskeyRecord {
        id: Uuid::now_v7(),
        developer_id: id,
        credential_id: made.credential_id,
        credential: made.credential,
        name: name.to_owned(),
        created_at: caller.now,
        last_used_at: None,
    };
    let deed = Deed { doer: Doer::unbounded_person(id, caller.address), now: caller.now };
    let add = move |conn: &mut AnyConnection| {
        if !use_once(conn, &state)? {
            return Ok(false);
        }
        let known = passkeys::list(conn, id)?.len();
        if known >= MOST_PASSKEYS {
            return Err(ServiceError::Conflict(format!("a person can have {MOST_PASSKEYS} passkeys")));
        }
        passkeys::insert(conn, &passkey).map_err(ServiceError::duplicate("that passkey is there already"))?;
        let ended = if known == 0 { crate::db::sessions::delete_all(conn, id, Some(session))? } else { 0 };
        record(conn, &deed, "user.passkey-add", id, &passkey, ended)?;
        Ok(true)
    };
    authority.change(m, move |m| m.database.write(add)).await
}

fn record(
    conn: &mut AnyConnection,
    deed: &Deed,
    action: &str,
    developer_id: Uuid,
    passkey: &PasskeyRecord,
    sessions_ended: usize,
) -> Result<(), ServiceError> {
    let organisation = credentials::first_organisation(conn, developer_id)?;
    let detail = json!({ "passkey": passkey.id, "name": passkey.name, "sessions_ended": sessions_ended });
    Ok(deed.record(conn, organisation, action, &developer_id.to_string(), detail, None)?)
}

/// The passkeys of a person, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list(m: &Management, developer_id: Uuid) -> Result<Vec<PasskeyRecord>, ServiceError> {
    Ok(m.database.read(|conn| passkeys::list(conn, developer_id))?)
}

/// Takes a passkey away from the person whose it is.
///
/// # Errors
/// `NotFound`.
pub fn remove(m: &Management, developer_id: Uuid, id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let passkey = passkeys::list(conn, developer_id)?.into_iter().find(|passkey| passkey.id == id);
        let passkey = passkey.ok_or_else(|| ServiceError::NotFound("there is no such passkey".to_owned()))?;
        passkeys::delete(conn, developer_id, id)?;
        record(conn, &deed, "user.passkey-remove", developer_id, &passkey, 0)
    })
}

/// Asks a browser for any passkey of this server: the same for everybody, so that nobody learns who has one.
///
/// # Errors
/// `NotFound` where there are no passkeys.
pub fn begin_authentication(authority: &Authority, binding: &str) -> Result<Ceremony, ServiceError> {
    let begun = authority.relying_party()?.begin_authentication()?;
    seal(&authority.management, Purpose::Authentication, binding, begun)
}

/// Signs in whoever shows a passkey, which is two factors in one; nothing if it does not hold.
///
/// # Errors
/// When the database does not answer.
pub async fn sign_in(
    authority: &Authority,
    caller: Caller,
    browser: Browser,
    given: &Answer,
) -> Result<Option<Secret>, ServiceError> {
    prove(authority, caller, None, given, move |conn, m, id| {
        let session = sessions::begin(conn, m, id, &browser, None, false)?;
        record_sign_in(conn, m, id, &browser, "passkey")?;
        Ok(session)
    })
    .await
}

/// Proves again who is signed in. The session gets another secret; nothing if the passkey does not hold.
///
/// # Errors
/// `NotFound` when the session is over.
pub async fn confirm(
    authority: &Authority,
    caller: Caller,
    signed_in: &SignedIn,
    given: &Answer,
) -> Result<Option<Secret>, ServiceError> {
    let session = SessionRecord { confirmed_at: caller.now, ..signed_in.session.clone() };
    let organisation = signed_in.workplace.as_ref().map(|workplace| workplace.id);
    prove(authority, caller, Some(signed_in.person.id), given, move |conn, m, id| {
        let secret = sessions::renew(conn, m, &session)?;
        let deed = Deed { doer: Doer::unbounded_person(id, caller.address), now: caller.now };
        deed.record(conn, organisation, "session.confirm", &id.to_string(), json!({ "by": "passkey" }), None)?;
        Ok(secret)
    })
    .await
}

/// Does something for the person whose passkey was shown, in the transaction that uses the ceremony up.
async fn prove<T: Send + 'static>(
    authority: &Authority,
    caller: Caller,
    only: Option<Uuid>,
    given: &Answer,
    then: impl FnOnce(&mut AnyConnection, &Management, Uuid) -> Result<T, ServiceError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let party = authority.relying_party()?;
    let attempt = match authority.attempts.passkey(caller.address, caller.now) {
        Ok(attempt) => attempt,
        Err(refused) => return Err(sign_in::throttled(authority, caller, only, "passkey", refused).await),
    };
    let claimed = party.claimed(&given.answer);
    // Whoever shows nothing that could be read shows it as nobody.
    let id = only.or(claimed.as_ref().map(|claimed| claimed.developer_id));
    let claimed = claimed.filter(|claimed| only.is_none_or(|only| only == claimed.developer_id));
    let done = try_prove(authority, caller, party, claimed, given, then).await?;
    if done.is_some() {
        attempt.give_back();
    } else {
        let noted = sign_in::change(authority, move |conn, _| {
            let id = match id {
                Some(id) => credentials::find(conn, id)?.map(|person| person.id),
                None => None,
            };
            record_failure(conn, caller, id, "passkey")
        });
        noted.await?;
    }
    Ok(done)
}

async fn try_prove<T: Send + 'static>(
    authority: &Authority,
    caller: Caller,
    party: &RelyingParty,
    claimed: Option<ClaimedPasskey>,
    given: &Answer,
    then: impl FnOnce(&mut AnyConnection, &Management, Uuid) -> Result<T, ServiceError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let Some(state) = open(&authority.management, Purpose::Authentication, given) else { return Ok(None) };
    let Some(claimed) = claimed else { return Ok(None) };
    let id = claimed.developer_id;
    let found =
        authority.directory.database().read_off_thread(move |conn| passkeys::find(conn, id, &claimed.credential_id));
    let Some(passkey) = found.await? else { return Ok(None) };
    let Some(proved) = party.finish_authentication(&state.state, &given.answer, &passkey.credential) else {
        return Ok(None);
    };
    let credential = proved.changed.unwrap_or(passkey.credential);
    let m = authority.management.clone();
    let deed = move |conn: &mut AnyConnection, m: &Management| {
        let is_active = credentials::find(conn, id)?.is_some_and(|person| person.disabled_at.is_none());
        if !use_once(conn, &state)? || !is_active || !passkeys::update_used(conn, passkey.id, &credential, caller.now)?
        {
            return Ok(None);
        }
        then(conn, m, id).map(Some)
    };
    authority.change(m.clone(), move |_| m.database.clone().write(move |conn| deed(conn, &m))).await
}
