//! The life of signing keys, moved on by whoever notices first. What a key is follows from its dates (`keys::ring`); here
//! keys are made, dated and deleted.

use std::time::Duration;

use serde_json::json;

use super::{Management, ServiceError};
use crate::clock::{Timestamp, print_span};
use crate::config::KeyLife;
use crate::db::changes::ChangeKind;
use crate::db::signing_keys::{self, SigningKeyRecord};
use crate::db::{AnyConnection, DbError};
use crate::directory::signing_key_dates;
use crate::keys::ring::{KeyDates, KeySchedule, KeyState};
use crate::keys::signing::GeneratedKey;
use crate::oauth::SigningAlgorithm;

/// By then every node of ours has taken in a change: even a key that shall sign at once waits so long, or another node
/// would refuse its first tokens.
const KNOWN_EVERYWHERE: Duration = Duration::from_secs(2);

/// The life of keys as they are dated: the announcement counts from when every node publishes the key. Moments are cut
/// to whole seconds, so without that a verifier could fetch the JWKS just before and keep it past the first signature.
fn dated_life(m: &Management) -> KeyLife {
    let life = m.config.key_life;
    KeyLife { announce: life.announce + KNOWN_EVERYWHERE, ..life }
}

/// A key as people see it.
#[derive(Debug)]
pub struct KeyDetails {
    /// Its dates.
    pub dates: KeyDates,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it stops being published, if that is known.
    pub gone_at: Option<Timestamp>,
}

/// All keys, in the order in which they sign.
///
/// # Errors
/// When the database does not answer.
pub fn list(m: &Management) -> Result<Vec<KeyDetails>, ServiceError> {
    let schedule = m.database.read(schedule)?;
    let (now, life) = (m.now(), m.config.key_life);
    let details = |dates: &KeyDates| KeyDetails {
        state: schedule.state(dates, now, life),
        gone_at: schedule.gone_at(dates, life),
        dates: dates.clone(),
    };
    Ok(schedule.keys().iter().map(details).collect())
}

fn schedule(conn: &mut AnyConnection) -> Result<KeySchedule, DbError> {
    Ok(KeySchedule::new(signing_keys::list(conn)?.iter().map(signing_key_dates).collect()))
}

/// Does what is due: the next key is made in time, what is gone is deleted. Every node calls it now and then; of several
/// at once, one does it.
///
/// # Errors
/// When the database does not answer.
pub fn advance(m: &Management) -> Result<(), ServiceError> {
    let (now, life) = (m.now(), dated_life(m));
    let known = m.database.read(schedule)?;
    let used = |algorithm: &SigningAlgorithm| {
        *algorithm == SigningAlgorithm::Rs256 || known.keys().iter().any(|key| key.algorithm == *algorithm)
    };
    for algorithm in SigningAlgorithm::ALL.iter().copied().filter(used) {
        if known.new_key_due(algorithm, now, life).is_some() {
            add_when_due(m, algorithm)?;
        }
    }
    let gone = known.keys().iter().any(|key| known.state(key, now, life) == KeyState::Gone);
    let longest = m.config.access_token_lifetime;
    if gone || known.keys().iter().any(|key| key.token_lifetime < longest) {
        let deed = m.deed();
        m.database.write(move |conn| {
            signing_keys::raise_token_lifetime(conn, longest)?;
            let known = schedule(conn)?;
            for key in known.keys().iter().filter(|key| known.state(key, now, life) == KeyState::Gone) {
                signing_keys::delete(conn, &key.kid)?;
                deed.record(conn, None, "key.delete", &key.kid, json!({ "reason": "gone" }), None)?;
            }
            crate::db::changes::record(conn, ChangeKind::SigningKeys, "all", now)
        })?;
    }
    Ok(())
}

/// Makes sure that there is a key of that algorithm; a first one signs at once.
///
/// # Errors
/// When the database does not answer.
pub fn ensure(m: &Management, algorithm: SigningAlgorithm) -> Result<(), ServiceError> {
    let known = m.database.read(schedule)?;
    if known.keys().iter().any(|key| key.algorithm == algorithm) { Ok(()) } else { add_when_due(m, algorithm) }
}

/// The key is made before the transaction, which then looks again whether it is still wanted.
fn add_when_due(m: &Management, algorithm: SigningAlgorithm) -> Result<(), ServiceError> {
    let life = dated_life(m);
    add(m, algorithm, "key.generate", move |schedule, now| Ok(schedule.new_key_due(algorithm, now, life)))?;
    Ok(())
}

/// Publishes a next key now, to sign when the present one's time is over, but not before verifiers had time to see it.
///
/// # Errors
/// `Conflict` when there is a next key already.
pub fn generate(m: &Management, algorithm: SigningAlgorithm) -> Result<String, ServiceError> {
    let life = dated_life(m);
    let added = add(m, algorithm, "key.generate", move |schedule, now| {
        refuse_second_next(schedule, algorithm, now)?;
        let over = schedule.signing(algorithm, now).map(|key| key.signs_from + life.rotate_every);
        Ok(Some(over.map_or(now, |over| over.max(now + life.announce))))
    })?;
    added.ok_or_else(|| ServiceError::Internal("no key was made".to_owned()))
}

/// Lets another key take over as soon as verifiers had time to see it: the next one, or one made now. At once if
/// `at_once`: verifiers that hold an older JWKS then refuse its tokens until they fetch it again.
///
/// # Errors
/// When the database does not answer.
pub fn rotate(m: &Management, algorithm: SigningAlgorithm, at_once: bool) -> Result<(String, Timestamp), ServiceError> {
    let announce = if at_once { KNOWN_EVERYWHERE } else { dated_life(m).announce };
    let deed = m.deed();
    let known = m.database.read(schedule)?;
    let Some(next) = next(&known, algorithm, deed.now).cloned() else {
        let signs_from = deed.now + announce;
        let kid = add(m, algorithm, "key.rotate", move |schedule, now| {
            refuse_second_next(schedule, algorithm, now)?;
            Ok(Some(now + announce))
        })?;
        return kid.map(|kid| (kid, signs_from)).ok_or_else(|| ServiceError::Internal("no key was made".to_owned()));
    };
    let signs_from = next.signs_from.min(deed.now.max(next.created_at + announce));
    let kid = next.kid.clone();
    m.database.write(move |conn| {
        signing_keys::update_signs_from(conn, &next.kid, signs_from)?;
        let detail = json!({ "signs_from": signs_from.rfc3339() });
        deed.record(conn, None, "key.rotate", &next.kid, detail, Some(ChangeKind::SigningKeys))
    })?;
    Ok((kid, signs_from))
}

/// Stops a key from signing, at once; it stays published until the tokens it signed are over. The next key takes over,
/// or one made now.
///
/// # Errors
/// `NotFound`, and `Conflict` when the key does not sign.
pub fn retire(m: &Management, kid: &str) -> Result<String, ServiceError> {
    let now = m.now();
    let known = m.database.read(schedule)?;
    let key = find(&known, kid)?;
    if known.state(key, now, m.config.key_life) != KeyState::Signing {
        return Err(ServiceError::Conflict(format!("the key {kid} does not sign; see: brevet key list")));
    }
    rotate(m, key.algorithm, true).map(|(successor, _)| successor)
}

/// Takes a key out of the world at once: every token it signed is refused. If it signed, the next key takes over, or one
/// made now.
///
/// # Errors
/// `NotFound`.
pub fn revoke(m: &Management, kid: &str) -> Result<(), ServiceError> {
    let known = m.database.read(schedule)?;
    let key = find(&known, kid)?;
    let (now, algorithm) = (m.now(), key.algorithm);
    if known.signing(algorithm, now).is_some_and(|signing| signing.kid == kid) {
        rotate(m, algorithm, true)?;
    }
    let (deed, kid) = (m.deed(), kid.to_owned());
    m.database.write(move |conn| {
        if !signing_keys::delete(conn, &kid)? {
            return Err(unknown_key(&kid));
        }
        Ok(deed.record(conn, None, "key.revoke", &kid, json!({}), Some(ChangeKind::SigningKeys))?)
    })
}

fn next(schedule: &KeySchedule, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&KeyDates> {
    let signing = schedule.signing(algorithm, now)?;
    schedule.keys().iter().find(|key| key.algorithm == algorithm && key.signs_from > now && key.kid != signing.kid)
}

fn refuse_second_next(schedule: &KeySchedule, algorithm: SigningAlgorithm, now: Timestamp) -> Result<(), ServiceError> {
    match next(schedule, algorithm, now) {
        None => Ok(()),
        Some(next) => Err(ServiceError::Conflict(format!(
            "there is a next key for {} already, {}, which signs from {}; let it sign sooner with: brevet key rotate",
            algorithm.name(),
            next.kid,
            next.signs_from
        ))),
    }
}

fn find<'s>(schedule: &'s KeySchedule, kid: &str) -> Result<&'s KeyDates, ServiceError> {
    schedule.keys().iter().find(|key| key.kid == kid).ok_or_else(|| unknown_key(kid))
}

fn unknown_key(kid: &str) -> ServiceError {
    ServiceError::NotFound(format!("there is no signing key {kid}; see: brevet key list"))
}

/// Makes a key and adds it if `signs_from`, asked inside the transaction, still says when it shall sign.
fn add(
    m: &Management,
    algorithm: SigningAlgorithm,
    action: &'static str,
    signs_from: impl FnOnce(&KeySchedule, Timestamp) -> Result<Option<Timestamp>, ServiceError> + Send + 'static,
) -> Result<Option<String>, ServiceError> {
    let key = GeneratedKey::generate(algorithm)?;
    let sealed_private_key = m.master_key.seal(&key.kid, &key.private_key)?;
    let (deed, token_lifetime, kid) = (m.deed(), m.config.access_token_lifetime, key.kid);
    m.database.write(move |conn| {
        let Some(signs_from) = signs_from(&schedule(conn)?, deed.now)? else { return Ok(None) };
        let record = SigningKeyRecord {
            kid: kid.clone(),
            algorithm,
            sealed_private_key,
            created_at: deed.now,
            signs_from,
            token_lifetime,
        };
        signing_keys::insert(conn, &record)?;
        let detail = json!({
            "algorithm": algorithm.name(), "signs_from": signs_from.rfc3339(), "token_lifetime": print_span(token_lifetime),
        });
        deed.record(conn, None, action, &kid, detail, Some(ChangeKind::SigningKeys))?;
        Ok(Some(kid))
    })
}
