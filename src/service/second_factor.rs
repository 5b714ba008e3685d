//! The second factor: one-time codes from an authenticator app, and recovery codes for when it is lost.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::deed::Deed;
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::config::SecondFactorRule;
use crate::db::credentials::{self, Credentials};
use crate::db::developers::Role;
use crate::db::sessions::{self, SessionRecord};
use crate::db::{AnyConnection, passkeys, recovery_codes};
use crate::keys::totp::Seed;
use crate::secret::{Secret, generate_recovery_code, read_recovery_code};

/// Recovery codes that a person gets at once.
const RECOVERY_CODES: usize = 10;
/// How long a seed waits for its first code.
const BEGUN_FOR: Duration = Duration::from_secs(15 * 60);

/// What an authenticator app must be told once.
#[derive(Debug)]
pub struct Enrolment {
    /// The seed for who types it.
    pub text: Secret,
    /// The address for who scans it.
    pub url: Secret,
}

/// How a person's second factor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Since when one-time codes are asked for.
    pub enabled_at: Option<Timestamp>,
    /// Whether an app was told a seed in this session and has not shown a code yet.
    pub is_pending: bool,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: u64,
}

/// What a code was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    OneTimeCode,
    RecoveryCode,
}

impl Factor {
    /// For the audit.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OneTimeCode => "one-time code",
            Self::RecoveryCode => "recovery code",
        }
    }
}

/// Whether that setting demands a second factor of somebody with these roles.
pub(super) fn is_demanded(rule: SecondFactorRule, is_operator: bool, roles: impl IntoIterator<Item = Role>) -> bool {
    match rule {
        SecondFactorRule::Nobody => false,
        SecondFactorRule::Everybody => true,
        SecondFactorRule::Admins => {
            is_operator || roles.into_iter().any(|role| matches!(role, Role::Owner | Role::Admin))
        }
    }
}

/// Whether the person has one, of whatever kind.
///
/// # Errors
/// `NotFound` without the person.
pub fn has_any(m: &Management, developer_id: Uuid) -> Result<bool, ServiceError> {
    let found = m.database.read(|conn| match credentials::find(conn, developer_id)? {
        Some(person) => Ok(Some(person.totp_confirmed_at.is_some() || !passkeys::list(conn, developer_id)?.is_empty())),
        None => Ok(None),
    })?;
    found.ok_or_else(nobody)
}

/// The seed that was made in this session and waits for its first code. Nobody confirms what somebody else was shown: who
/// knew the password alone could otherwise put a seed under the person's hands.
fn pending<'p>(person: &'p Credentials, session: &SessionRecord, now: Timestamp) -> Option<&'p [u8]> {
    let (begun_at, begun_in) = person.totp_begun?;
    let is_pending = person.totp_confirmed_at.is_none() && begun_in == session.id && now < begun_at + BEGUN_FOR;
    person.sealed_totp.as_deref().filter(|_| is_pending)
}

/// How it stands, seen from that session of the person.
///
/// # Errors
/// `NotFound` without the person.
pub fn status(m: &Management, session: &SessionRecord) -> Result<Status, ServiceError> {
    let developer_id = session.developer_id;
    let found = m.database.read(|conn| match credentials::find(conn, developer_id)? {
        Some(person) => Ok(Some((person, recovery_codes::count_unused(conn, developer_id)?))),
        None => Ok(None),
    })?;
    let (person, recovery_codes_left) = found.ok_or_else(nobody)?;
    Ok(Status {
        enabled_at: person.totp_confirmed_at,
        is_pending: pending(&person, session, m.now()).is_some(),
        recovery_codes_left,
    })
}

/// Makes a seed that counts once a code of it was shown, in the same session and soon.
///
/// # Errors
/// `Conflict` if one counts already.
pub fn begin(m: &Management, session: &SessionRecord) -> Result<(), ServiceError> {
    let (developer_id, session, now) = (session.developer_id, session.id, m.now());
    let sealed = Seed::generate()?.seal(&m.master_key, &developer_id.to_string())?;
    m.database.write(move |conn| {
        let begun = credentials::insert_totp(conn, developer_id, &sealed, session, now)?;
        if begun { Ok(()) } else { Err(enabled_already()) }
    })
}

/// What the authenticator app must be told, as long as the seed waits for its first code.
///
/// # Errors
/// `NotFound` without such a seed.
pub fn enrolment(m: &Management, session: &SessionRecord) -> Result<Enrolment, ServiceError> {
    let developer_id = session.developer_id;
    let person = m.database.read(|conn| credentials::find(conn, developer_id))?.ok_or_else(nobody)?;
    let sealed = pending(&person, session, m.now()).ok_or_else(not_begun)?;
    let seed = Seed::open(&m.master_key, &developer_id.to_string(), sealed)?;
    let issuer = Url::parse(&m.config.issuer).ok().and_then(|url| url.host_str().map(|host| format!("Brevet {host}")));
    let issuer = issuer.unwrap_or_else(|| "Brevet".to_owned());
    Ok(Enrolment { text: seed.to_text()?, url: seed.to_url(&issuer, &person.email)? })
}

/// Lets one-time codes count, now that the person has shown one: recovery codes, seen this once; nothing for a wrong code.
/// Every other session ends: it was begun with less.
///
/// # Errors
/// `Conflict` if they count already, `NotFound` without a seed.
pub(super) fn confirm(
    conn: &mut AnyConnection,
    m: &Management,
    session: &SessionRecord,
    code: &str,
) -> Result<Option<Vec<Secret>>, ServiceError> {
    let (deed, developer_id) = (m.deed(), session.developer_id);
    let person = credentials::find(conn, developer_id)?.ok_or_else(nobody)?;
    if person.totp_confirmed_at.is_some() {
        return Err(enabled_already());
    }
    let sealed = pending(&person, session, deed.now).ok_or_else(not_begun)?;
    let seed = Seed::open(&m.master_key, &developer_id.to_string(), sealed)?;
    let is_taken = match seed.step_of(code, deed.now)? {
        Some(step) => credentials::take_totp_step(conn, developer_id, step)?,
        None => false,
    };
    if !is_taken {
        record(conn, &deed, "user.2fa-wrong-code", developer_id, json!({}))?;
        return Ok(None);
    }
    if !credentials::confirm_totp(conn, developer_id, deed.now)? {
        return Err(enabled_already());
    }
    let codes = give_codes(conn, m, developer_id)?;
    let ended = sessions::delete_all(conn, developer_id, Some(session.id))?;
    record(conn, &deed, "user.2fa-enable", developer_id, json!({ "sessions_ended": ended }))?;
    Ok(Some(codes))
}

/// Gives the person other recovery codes, seen this once: the old ones are dead.
///
/// # Errors
/// `Conflict` if one-time codes do not count.
pub fn renew_recovery_codes(m: &Management, developer_id: Uuid) -> Result<Vec<Secret>, ServiceError> {
    let m = m.clone();
    m.database.clone().write(move |conn| {
        let person = credentials::find(conn, developer_id)?.ok_or_else(nobody)?;
        if person.totp_confirmed_at.is_none() {
            return Err(ServiceError::Conflict("set up an authenticator app first".to_owned()));
        }
        let deed = m.deed();
        deed.once(conn, |_| Ok(()))?;
        let codes = give_codes(conn, &m, developer_id)?;
        record(conn, &deed, "user.recovery-codes", developer_id, json!({}))?;
        Ok(codes)
    })
}

fn give_codes(conn: &mut AnyConnection, m: &Management, developer_id: Uuid) -> Result<Vec<Secret>, ServiceError> {
    let codes = (0..RECOVERY_CODES).map(|_| generate_recovery_code()).collect::<Result<Vec<_>, _>>()?;
    let key = m.master_key.recovery_code_key()?;
    let hashes: Vec<_> = codes.iter().map(|code| key.hash(code)).collect();
    recovery_codes::replace(conn, developer_id, &hashes)?;
    Ok(codes)
}

/// Takes one-time codes and recovery codes away from the person who has them.
///
/// # Errors
/// `NotFound` without the person.
pub fn remove(m: &Management, developer_id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        credentials::find(conn, developer_id)?.ok_or_else(nobody)?;
        remove_within(conn, developer_id)?;
        record(conn, &deed, "user.2fa-disable", developer_id, json!({}))
    })
}

/// The same inside another deed.
pub(super) fn remove_within(conn: &mut AnyConnection, developer_id: Uuid) -> Result<(), ServiceError> {
    credentials::delete_totp(conn, developer_id)?;
    Ok(recovery_codes::delete(conn, developer_id)?)
}

/// Takes a code that somebody shows for the person, if it is right and was never taken before.
///
/// # Errors
/// When the database does not answer.
pub(super) fn take(
    conn: &mut AnyConnection,
    m: &Management,
    person: &Credentials,
    code: &str,
) -> Result<Option<Factor>, ServiceError> {
    let Some(sealed) = person.confirmed_totp() else { return Ok(None) };
    if let Some(code) = read_recovery_code(code) {
        let hash = m.master_key.recovery_code_key()?.hash(&code);
        let used = recovery_codes::use_once(conn, person.id, hash, m.now())?;
        return Ok(used.then_some(Factor::RecoveryCode));
    }
    let seed = Seed::open(&m.master_key, &person.id.to_string(), sealed)?;
    let Some(step) = seed.step_of(code, m.now())? else { return Ok(None) };
    let taken = credentials::take_totp_step(conn, person.id, step)?;
    Ok(taken.then_some(Factor::OneTimeCode))
}

fn record(
    conn: &mut AnyConnection,
    deed: &Deed,
    action: &str,
    developer_id: Uuid,
    detail: Value,
) -> Result<(), ServiceError> {
    let organisation = credentials::first_organisation(conn, developer_id)?;
    Ok(deed.record(conn, organisation, action, &developer_id.to_string(), detail, None)?)
}

fn not_begun() -> ServiceError {
    ServiceError::NotFound("no authenticator app is being set up".to_owned())
}

fn nobody() -> ServiceError {
    ServiceError::NotFound("there is no such person any more".to_owned())
}

fn enabled_already() -> ServiceError {
    ServiceError::Conflict("an authenticator app is set up already; take it away first".to_owned())
}
