//! App keys: several may live at once, so that a key is replaced without a moment in which none works.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::apps::{NewKey, VersionedApp, find};
use super::deed::Deed;
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::app_keys::{self, AppKeyRecord};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::secret::{Secret, generate_client_secret, sealed};

/// Live keys of one app.
pub const MOST_LIVE_KEYS: usize = 5;

/// How long the keys that are replaced still work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// So long; nothing for not at all.
    For(Duration),
    /// Until somebody revokes them.
    UntilRevoked,
}

impl From<Duration> for Overlap {
    fn from(span: Duration) -> Self {
        Self::For(span)
    }
}

/// A key just made. The only time it is seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedKey {
    /// Its id.
    pub id: Uuid,
    /// The key.
    #[serde(with = "sealed")]
    pub client_secret: Secret,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// The keys of an app, oldest first.
///
/// # Errors
/// `NotFound`.
pub fn list(m: &Management, client_id: ClientId) -> Result<Vec<AppKeyRecord>, ServiceError> {
    super::apps::show(m, client_id).map(|details| details.keys)
}

/// Adds a key beside those there are.
///
/// # Errors
/// `NotFound`, `BeyondPower`, `Stale`, `InvalidField`, and `Conflict` when the app has as many as it may.
pub fn add(m: &Management, client_id: ClientId, expires_in: Option<Duration>) -> Result<CreatedKey, ServiceError> {
    make(m, client_id, expires_in, |_, _, _| Ok(()), "app.key.add")
}

/// Adds a key and lets those there are end `overlap` from now, at once if it is nothing. A key that ends sooner anyway
/// keeps its end; an older one that has an end, left over from an earlier rotation, ends at once, so that at most two keys
/// overlap. With [`Overlap::UntilRevoked`] all stay as they are.
///
/// # Errors
/// `NotFound`, `BeyondPower`, `Stale`, `InvalidField`, and `Conflict` when the app has as many as it may.
pub fn rotate(
    m: &Management,
    client_id: ClientId,
    overlap: impl Into<Overlap>,
    expires_in: Option<Duration>,
) -> Result<CreatedKey, ServiceError> {
    let overlap = overlap.into();
    let end = move |conn: &mut AnyConnection, live: &[AppKeyRecord], now: Timestamp| {
        let Overlap::For(overlap) = overlap else { return Ok(()) };
        let until = now + overlap;
        let newest = live.last().map(|key| key.id);
        for key in live {
            // The newest is the one in use, also if it was made with an end of its own.
            let left_over = key.expires_at.is_some() && Some(key.id) != newest;
            if left_over || overlap.is_zero() {
                app_keys::update_revoked_at(conn, key.id, now)?;
            } else if key.expires_at.is_none_or(|end| end > until) {
                app_keys::update_expires_at(conn, key.id, until)?;
            }
        }
        Ok(())
    };
    make(m, client_id, expires_in, end, "app.key.rotate")
}

fn make(
    m: &Management,
    client_id: ClientId,
    expires_in: Option<Duration>,
    first: impl FnOnce(&mut AnyConnection, &[AppKeyRecord], Timestamp) -> Result<(), DbError> + Send + 'static,
    action: &'static str,
) -> Result<CreatedKey, ServiceError> {
    check_key_end("expires_in", expires_in)?;
    let secret = generate_client_secret()?;
    let key = NewKey::of(m, &secret)?;
    let deed = m.deed();
    let expires_at = expires_in.map(|span| deed.now + span);
    m.database.write(move |conn| {
        deed.once(conn, |conn| {
            let app = find(conn, &deed, client_id)?.app;
            // Whoever has a key of the app has its power.
            deed.doer.check_power(&app.scopes)?;
            if app.authentication != ClientAuthentication::ClientSecret {
                return Err(ServiceError::Conflict(format!(
                    "the app signs its requests (private_key_jwt) and takes no App Keys; to change that: brevet app update {client_id} --auth-method client_secret"
                )));
            }
            let live = live_keys(conn, client_id, deed.now)?;
            first(conn, &live, deed.now)?;
            if live_keys(conn, client_id, deed.now)?.len() >= MOST_LIVE_KEYS {
                return Err(ServiceError::Conflict(format!(
                    "the app has {MOST_LIVE_KEYS} live keys, the most it may; revoke one first"
                )));
            }
            let id = insert_key(conn, &deed, client_id, &key, expires_at)?;
            let detail = json!({ "key": id, "hint": key.hint, "expires_at": expires_at });
            let target = client_id.to_string();
            deed.record(conn, Some(app.organisation_id), action, &target, detail, Some(ChangeKind::App))?;
            Ok(CreatedKey { id, client_secret: secret, expires_at })
        })
    })
}

/// Refuses a key that would be dead when it is made: after a rotation the app would have none.
pub(super) fn check_key_end(field: &'static str, expires_in: Option<Duration>) -> Result<(), ServiceError> {
    match expires_in {
        Some(span) if span.is_zero() => Err(ServiceError::field(field, "a key must live longer than nothing")),
        _ => Ok(()),
    }
}

/// Makes a key unusable at once; one that is so already stays as it is.
///
/// # Errors
/// `NotFound`, and `Conflict` for the last live key of an enabled app: disabling the app says what is meant.
pub fn revoke(m: &Management, client_id: ClientId, key_id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let VersionedApp { app, keys, .. } = find(conn, &deed, client_id)?;
        let key = keys
            .iter()
            .find(|key| key.id == key_id)
            .ok_or_else(|| ServiceError::NotFound(format!("the app has no key {key_id}; see: brevet app key list {client_id}")))?;
        if key.revoked_at.is_some() {
            // Since when it is refused stays as it is.
            return Ok(());
        }
        let others_live = keys.iter().any(|other| other.id != key_id && other.is_live(deed.now));
        if key.is_live(deed.now) && !others_live && app.disabled_at.is_none() {
            return Err(ServiceError::Conflict(format!(
                "that is the app's last live key; rotate it (brevet app key rotate {client_id}) or disable the app (brevet app disable {client_id})"
            )));
        }
        app_keys::update_revoked_at(conn, key_id, deed.now)?;
        let detail = json!({ "key": key_id, "hint": key.hint });
        let target = client_id.to_string();
        Ok(deed.record(conn, Some(app.organisation_id), "app.key.revoke", &target, detail, Some(ChangeKind::App))?)
    })
}

pub(super) fn live_keys(
    conn: &mut AnyConnection,
    client_id: ClientId,
    now: Timestamp,
) -> Result<Vec<AppKeyRecord>, DbError> {
    let mut keys = app_keys::list(conn, client_id)?;
    keys.retain(|key| key.is_live(now));
    Ok(keys)
}

pub(super) fn insert_key(
    conn: &mut AnyConnection,
    deed: &Deed,
    client_id: ClientId,
    key: &NewKey,
    expires_at: Option<Timestamp>,
) -> Result<Uuid, DbError> {
    let record = AppKeyRecord {
        id: Uuid::now_v7(),
        hint: key.hint.clone(),
        created_at: deed.now,
        created_by: deed.actor().to_owned(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    };
    app_keys::insert(conn, client_id, &record, &key.stored)?;
    Ok(record.id)
}
