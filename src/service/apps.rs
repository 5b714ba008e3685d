//! Apps: registering, showing, switching off, deleting.

use std::time::Duration;

use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::apis::check_lifetime;
use super::app_authentication::{change as change_authentication, check as check_authentication};
use super::app_keys::insert_key;
use super::management::Deed;
use super::organisations::{checked_name, find as find_organisation};
use super::{Authority, Management, ServiceError};
use crate::clock::{Timestamp, print_span};
use crate::db::app_keys::AppKeyRecord;
use crate::db::apps::{AppRecord, Claims};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, apis, app_keys, apps, audit, cut_offs, usage};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::secret::{Secret, StoredSecret, generate_client_secret, hint};

/// Static claims together are at most this long: tokens travel in headers.
const LONGEST_CLAIMS: usize = 2_048;

/// An app to be registered.
#[derive(Debug, Default)]
pub struct NewApp {
    /// Its name for people.
    pub name: String,
    /// What it is granted.
    pub scopes: Vec<String>,
    /// The longest its tokens may live.
    pub lifetime: Option<Duration>,
    /// Claims that stand in each of its tokens.
    pub claims: Claims,
    /// When its first key ends.
    pub key_expires_in: Option<Duration>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Whether it gets no token without a DPoP proof.
    pub dpop_required: bool,
}

/// An app just registered. The only time its key is seen.
#[derive(Debug)]
pub struct CreatedApp {
    /// Its id.
    pub client_id: ClientId,
    /// Its key, unless it signs its requests.
    pub client_secret: Option<Secret>,
    /// Its name.
    pub name: String,
    /// What it was granted.
    pub scopes: Vec<String>,
}

/// An app and everything around it that people want to see.
#[derive(Debug)]
pub struct AppDetails {
    /// The app.
    pub app: AppRecord,
    /// Its organisation's slug.
    pub organisation: String,
    /// Its keys.
    pub keys: Vec<AppKeyRecord>,
    /// Tokens it got in the last 24 hours.
    pub issued_24h: i64,
    /// Requests of its that were refused in the last 24 hours.
    pub refused_24h: i64,
}

/// Registers an app, with its first key unless it signs its requests.
///
/// # Errors
/// `Invalid` for what cannot be used, `NotFound` without the organisation or a scope.
pub fn create(m: &Management, organisation: &str, new: NewApp) -> Result<CreatedApp, ServiceError> {
    let checked = CheckedApp::new(m, new)?;
    let secret = checked.needs_key().then(generate_client_secret).transpose()?;
    let key = secret.as_ref().map(|secret| NewKey::of(m, secret)).transpose()?;
    let client_id = ClientId::generate();
    let (deed, slug) = (m.deed(), organisation.to_owned());
    let created = checked.clone();
    m.database.write(move |conn| insert(conn, &deed, &slug, client_id, &checked, key.as_ref()))?;
    Ok(CreatedApp { client_id, client_secret: secret, name: created.name, scopes: created.scopes })
}

/// An app whose every part can be used.
#[derive(Debug, Clone)]
pub(super) struct CheckedApp {
    name: String,
    scopes: Vec<String>,
    lifetime: Option<Duration>,
    claims: Option<Claims>,
    key_expires_in: Option<Duration>,
    authentication: ClientAuthentication,
    dpop_required: bool,
}

impl CheckedApp {
    /// Whether it proves who it is with a key of ours.
    pub(super) fn needs_key(&self) -> bool {
        self.authentication == ClientAuthentication::ClientSecret
    }

    pub(super) fn new(m: &Management, new: NewApp) -> Result<Self, ServiceError> {
        check_lifetime(m, new.lifetime)?;
        check_claims(&new.claims)?;
        let authentication = check_authentication(m, new.authentication)?;
        if new.key_expires_in.is_some() && authentication != ClientAuthentication::ClientSecret {
            return Err(ServiceError::Invalid(
                "an app that signs its requests has no App Key that could end".to_owned(),
            ));
        }
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Self {
            name: checked_name(&new.name)?,
            scopes,
            lifetime: new.lifetime,
            claims: Some(new.claims).filter(|claims| !claims.is_empty()),
            key_expires_in: new.key_expires_in,
            authentication,
            dpop_required: new.dpop_required,
        })
    }
}

/// The stored half of a first key.
#[derive(Debug)]
pub(super) struct NewKey {
    pub(super) hint: String,
    pub(super) stored: StoredSecret,
}

impl NewKey {
    pub(super) fn of(m: &Management, secret: &Secret) -> Result<Self, ServiceError> {
        Ok(Self { hint: hint(secret), stored: StoredSecret::new(secret, &m.pepper)? })
    }
}

pub(super) fn insert(
    conn: &mut AnyConnection,
    deed: &Deed,
    slug: &str,
    client_id: ClientId,
    app: &CheckedApp,
    key: Option<&NewKey>,
) -> Result<(), ServiceError> {
    let organisation = find_organisation(conn, slug)?;
    // An imported app may have the id of one that was deleted: the tokens of that one stay dead, also those that a node
    // issued before it heard of the deletion.
    let deleted_at = audit::find_last(conn, "app.delete", &client_id.to_string())?;
    cut_offs::forget_deleted(conn, client_id)?;
    let record = AppRecord {
        client_id,
        organisation_id: organisation.id,
        name: app.name.clone(),
        lifetime: app.lifetime,
        claims: app.claims.clone(),
        disabled_at: None,
        not_before: deleted_at.map_or(Timestamp::NEVER, |at| at.max(deed.now) + Duration::from_secs(1)),
        created_at: deed.now,
        last_used_at: None,
        scopes: resolve_scopes(conn, organisation.id, &app.scopes)?,
        authentication: app.authentication.clone(),
        dpop_required: app.dpop_required,
    };
    apps::insert(conn, &record).map_err(ServiceError::duplicate(format!("there is an app {client_id} already")))?;
    if let Some(key) = key {
        insert_key(conn, deed, client_id, key, app.key_expires_in.map(|span| deed.now + span))?;
    }
    let detail = json!({ "name": record.name, "scopes": app.scopes, "auth_method": record.authentication.name(), "dpop_required": record.dpop_required });
    Ok(deed.record(conn, Some(organisation.id), "app.create", &client_id.to_string(), detail, Some(ChangeKind::App))?)
}

fn resolve_scopes(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    names: &[String],
) -> Result<Vec<(Uuid, String)>, ServiceError> {
    names
        .iter()
        .map(|name| match apis::find_by_scope(conn, organisation_id, name)? {
            Some(api_id) => Ok((api_id, name.clone())),
            None => Err(ServiceError::NotFound(format!(
                "no API of the organisation has a scope `{name}`; see: brevet api list --org SLUG"
            ))),
        })
        .collect()
}

/// An absolute URI cannot collide with a registered claim ([RFC 7519 §4.2](https://www.rfc-editor.org/rfc/rfc7519#section-4.2)).
fn check_claims(claims: &Claims) -> Result<(), ServiceError> {
    if let Some(name) = claims.keys().find(|name| Url::parse(name).is_err()) {
        return Err(ServiceError::Invalid(format!(
            "`{name}` cannot be the name of a claim: write an absolute URI, such as https://example.com/plan"
        )));
    }
    let length = serde_json::Value::Object(claims.clone()).to_string().len();
    if length > LONGEST_CLAIMS {
        return Err(ServiceError::Invalid(format!(
            "the claims are {length} bytes long; at most {LONGEST_CLAIMS} fit in a token"
        )));
    }
    Ok(())
}

/// An app with its keys and use.
///
/// # Errors
/// `NotFound`.
pub fn show(m: &Management, client_id: ClientId) -> Result<AppDetails, ServiceError> {
    let yesterday = m.now() - Duration::from_secs(86_400);
    let found = m.database.read(|conn| {
        let Some(app) = apps::find(conn, client_id)? else {
            return Ok(None);
        };
        let organisation = crate::db::organisations::find(conn, app.organisation_id)?;
        let (issued_24h, refused_24h) = usage::total(conn, client_id, yesterday)?;
        let keys = app_keys::list(conn, client_id)?;
        let organisation = organisation.map(|organisation| organisation.slug).unwrap_or_default();
        Ok(Some(AppDetails { app, organisation, keys, issued_24h, refused_24h }))
    })?;
    found.ok_or_else(|| unknown_app(client_id))
}

/// The apps of an organisation, at most `limit`, those after `after`.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(
    m: &Management,
    organisation: &str,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<AppRecord>, ServiceError> {
    let found = m.database.read(|conn| match crate::db::organisations::find_by_slug(conn, organisation)? {
        Some(organisation) => apps::list(conn, organisation.id, after, limit).map(Some),
        None => Ok(None),
    })?;
    found.ok_or_else(|| {
        ServiceError::NotFound(format!("there is no organisation `{organisation}`; see: brevet org list"))
    })
}

/// What to change of an app; nothing leaves as it is.
#[derive(Debug, Default)]
pub struct AppUpdate {
    /// Its name for people.
    pub name: Option<String>,
    /// Scopes to grant.
    pub add_scopes: Vec<String>,
    /// Scopes to take away.
    pub remove_scopes: Vec<String>,
    /// The longest its tokens may live; `Some(None)` for no limit of its own.
    pub lifetime: Option<Option<Duration>>,
    /// How it proves who it is.
    pub authentication: Option<ClientAuthentication>,
    /// Whether it gets no token without a DPoP proof.
    pub dpop_required: Option<bool>,
}

/// Changes an app. Tokens already issued stay as they are.
///
/// # Errors
/// `NotFound` without the app or a scope, `Invalid` for what cannot be used.
pub fn update(m: &Management, client_id: ClientId, update: AppUpdate) -> Result<AppRecord, ServiceError> {
    check_lifetime(m, update.lifetime.flatten())?;
    let name = update.name.as_deref().map(checked_name).transpose()?;
    let authentication = update.authentication.map(|wanted| check_authentication(m, wanted)).transpose()?;
    let deed = m.deed();
    m.database.write(move |conn| {
        let mut app = find(conn, client_id)?;
        app.name = name.unwrap_or(app.name);
        app.lifetime = update.lifetime.unwrap_or(app.lifetime);
        app.dpop_required = update.dpop_required.unwrap_or(app.dpop_required);
        apps::update(conn, &app)?;
        if let Some(authentication) = &authentication {
            change_authentication(conn, &deed, &app, authentication)?;
        }
        let has = |scope: &String| app.scopes.iter().any(|(_, granted)| granted == scope);
        for (api_id, scope) in resolve_scopes(conn, app.organisation_id, &update.add_scopes)? {
            if !has(&scope) {
                apps::insert_scope(conn, client_id, api_id, &scope)?;
            }
        }
        for scope in &update.remove_scopes {
            if !apps::delete_scope(conn, client_id, scope)? {
                return Err(ServiceError::NotFound(format!("the app was not granted the scope `{scope}`")));
            }
        }
        let detail = json!({
            "name": app.name, "lifetime": app.lifetime.map(print_span), "dpop_required": app.dpop_required,
            "added": update.add_scopes, "removed": update.remove_scopes,
        });
        let target = client_id.to_string();
        deed.record(conn, Some(app.organisation_id), "app.update", &target, detail, Some(ChangeKind::App))?;
        find(conn, client_id)
    })
}

/// Switches an app off or on: off, it gets no tokens and those it has are refused, within a second on every node.
///
/// # Errors
/// `NotFound`.
pub fn set_enabled(m: &Management, client_id: ClientId, enabled: bool) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = find(conn, client_id)?;
        apps::update_disabled_at(conn, client_id, (!enabled).then_some(deed.now))?;
        let action = if enabled { "app.enable" } else { "app.disable" };
        let target = client_id.to_string();
        Ok(deed.record(conn, Some(app.organisation_id), action, &target, json!({}), Some(ChangeKind::App))?)
    })
}

/// Deletes an app with its keys; the tokens it has are refused.
///
/// # Errors
/// `NotFound`.
pub fn delete(m: &Management, client_id: ClientId) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = find(conn, client_id)?;
        apps::delete(conn, client_id)?;
        cut_offs::record_deleted(conn, client_id, deed.now)?;
        let detail = json!({ "name": app.name });
        let target = client_id.to_string();
        Ok(deed.record(conn, Some(app.organisation_id), "app.delete", &target, detail, Some(ChangeKind::App))?)
    })
}

pub(super) fn find(conn: &mut AnyConnection, client_id: ClientId) -> Result<AppRecord, ServiceError> {
    apps::find(conn, client_id)?.ok_or_else(|| unknown_app(client_id))
}

pub(super) fn unknown_app(client_id: ClientId) -> ServiceError {
    ServiceError::NotFound(format!("there is no app {client_id}; see: brevet app list --org SLUG"))
}

/// The apps of an organisation for the management API, at most `limit`, those after `after`.
///
/// # Errors
/// When the database does not answer.
pub async fn list_siblings(
    authority: &Authority,
    organisation_id: Uuid,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<AppRecord>, ServiceError> {
    let database = authority.directory.database();
    Ok(database.read_off_thread(move |conn| apps::list(conn, organisation_id, after, limit)).await?)
}

/// An app of an organisation for the management API. Another organisation's is as if it were not there.
///
/// # Errors
/// When the database does not answer.
pub async fn find_sibling(
    authority: &Authority,
    organisation_id: Uuid,
    client_id: ClientId,
) -> Result<Option<AppRecord>, ServiceError> {
    let found = authority.directory.database().read_off_thread(move |conn| apps::find(conn, client_id)).await?;
    Ok(found.filter(|app| app.organisation_id == organisation_id))
}
