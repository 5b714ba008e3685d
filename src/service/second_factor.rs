//! The second factor: one-time codes from an authenticator app, and recovery codes for when it is lost.

use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::deed::Deed;
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::credentials::{self, Credentials};
use crate::db::{AnyConnection, passkeys, recovery_codes};
use crate::keys::totp::Seed;
use crate::secret::{Secret, generate_recovery_code, read_recovery_code};

/// Recovery codes that a person gets at once.
const RECOVERY_CODES: usize = 10;

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
    /// Whether an app was told a seed and has not shown a code yet.
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

/// How it stands.
///
/// # Errors
/// `NotFound` without the person.
pub fn status(m: &Management, developer_id: Uuid) -> Result<Status, ServiceError> {
    let found = m.database.read(|conn| match credentials::find(conn, developer_id)? {
        Some(person) => Ok(Some((person, recovery_codes::count_unused(conn, developer_id)?))),
        None => Ok(None),
    })?;
    let (person, recovery_codes_left) = found.ok_or_else(nobody)?;
    Ok(Status {
        enabled_at: person.totp_confirmed_at,
        is_pending: person.sealed_totp.is_some() && person.totp_confirmed_at.is_none(),
        recovery_codes_left,
    })
}

/// Makes a seed that counts once a code of it was shown.
///
/// # Errors
/// `Conflict` if one counts already.
pub fn begin(m: &Management, developer_id: Uuid) -> Result<(), ServiceError> {
    let sealed = Seed::generate()?.seal(&m.master_key, &developer_id.to_string())?;
    m.database.write(move |conn| {
        if credentials::insert_totp(conn, developer_id, &sealed)? { Ok(()) } else { Err(enabled_already()) }
    })
}

/// What the authenticator app must be told, as long as the seed does not count.
///
/// # Errors
/// `NotFound` without such a seed.
pub fn enrolment(m: &Management, developer_id: Uuid) -> Result<Enrolment, ServiceError> {
    let person = m.database.read(|conn| credentials::find(conn, developer_id))?.ok_or_else(nobody)?;
    let pending = person.sealed_totp.as_deref().filter(|_| person.totp_confirmed_at.is_none());
    let sealed = pending.ok_or_else(|| ServiceError::NotFound("no authenticator app is being set up".to_owned()))?;
    let seed = Seed::open(&m.master_key, &developer_id.to_string(), sealed)?;
    let issuer = Url::parse(&m.config.issuer).ok().and_then(|url| url.host_str().map(|host| format!("Brevet {host}")));
    let issuer = issuer.unwrap_or_else(|| "Brevet".to_owned());
    Ok(Enrolment { text: seed.to_text()?, url: seed.to_url(&issuer, &person.email)? })
}

/// Lets one-time codes count, now that the person has shown one: recovery codes, seen this once; nothing for a wrong code.
///
/// # Errors
/// `Conflict` if they count already, `NotFound` without a seed.
pub fn confirm(m: &Management, developer_id: Uuid, code: &str) -> Result<Option<Vec<Secret>>, ServiceError> {
    let (m, code) = (m.clone(), Secret::new(code));
    m.database.clone().write(move |conn| confirm_within(conn, &m, developer_id, code.reveal()))
}

pub(super) fn confirm_within(
    conn: &mut AnyConnection,
    m: &Management,
    developer_id: Uuid,
    code: &str,
) -> Result<Option<Vec<Secret>>, ServiceError> {
    let deed = m.deed();
    let person = credentials::find(conn, developer_id)?.ok_or_else(nobody)?;
    if person.totp_confirmed_at.is_some() {
        return Err(enabled_already());
    }
    let Some(sealed) = &person.sealed_totp else {
        return Err(ServiceError::NotFound("no authenticator app is being set up".to_owned()));
    };
    let seed = Seed::open(&m.master_key, &developer_id.to_string(), sealed)?;
    let Some(step) = seed.step_of(code, deed.now)? else { return Ok(None) };
    if !credentials::take_totp_step(conn, developer_id, step)? {
        return Ok(None);
    }
    if !credentials::confirm_totp(conn, developer_id, deed.now)? {
        return Err(enabled_already());
    }
    let codes = give_codes(conn, m, developer_id)?;
    record(conn, &deed, "user.2fa-enable", developer_id)?;
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
        record(conn, &deed, "user.recovery-codes", developer_id)?;
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
        record(conn, &deed, "user.2fa-disable", developer_id)
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
        let used = recovery_codes::use_once(conn, person.developer_id, hash, m.now())?;
        return Ok(used.then_some(Factor::RecoveryCode));
    }
    let seed = Seed::open(&m.master_key, &person.developer_id.to_string(), sealed)?;
    let Some(step) = seed.step_of(code, m.now())? else { return Ok(None) };
    let taken = credentials::take_totp_step(conn, person.developer_id, step)?;
    Ok(taken.then_some(Factor::OneTimeCode))
}

fn record(conn: &mut AnyConnection, deed: &Deed, action: &str, developer_id: Uuid) -> Result<(), ServiceError> {
    let organisation = credentials::first_organisation(conn, developer_id)?;
    Ok(deed.record(conn, organisation, action, &developer_id.to_string(), json!({}), None)?)
}

fn nobody() -> ServiceError {
    ServiceError::NotFound("there is no such person any more".to_owned())
}

fn enabled_already() -> ServiceError {
    ServiceError::Conflict("an authenticator app is set up already; take it away first".to_owned())
}
