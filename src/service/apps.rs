//! Apps: registering, showing, changing, switching off, deleting.

mod networks;
mod owner;
mod removal;
mod search;
mod update;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use uuid::Uuid;

pub use self::networks::read_networks;
pub use self::owner::{MOST_CANDIDATES, candidates, transfer};
pub(super) use self::removal::remove;
pub use self::removal::{delete, delete_by_name};
pub use self::search::{AppPage, AppSearch, ENDING_SOON, LONG_UNUSED, LONGEST_WORDS, choose, search};
pub(super) use self::update::change;
pub use self::update::{AppUpdate, update};
use super::apis::check_lifetime;
use super::app_authentication::check as check_authentication;
use super::app_keys::{check_key_end, insert_key};
use super::deed::{Deed, Version};
use super::organisations::{checked_description, checked_name, find as find_organisation};
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::app_keys::AppKeyRecord;
use crate::db::apps::{AppRecord, Claims};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, actors, apis, app_keys, apps, audit, cut_offs, members, usage};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::networks::Networks;
use crate::secret::{Secret, StoredSecret, generate_client_secret, hint, sealed};

/// Static claims together are at most this long: tokens travel in headers.
const LONGEST_CLAIMS: usize = 2_048;

/// An app to be registered.
#[derive(Debug, Default)]
pub struct NewApp {
    /// Its name for people.
    pub name: String,
    /// What it is for, in the words of people; may be empty.
    pub description: String,
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
    /// From where it may ask for tokens.
    pub allowed_networks: Networks,
    /// Whether it may exchange somebody's token for a narrower one of its own.
    pub token_exchange: bool,
}

/// An app just registered. The only time its key is seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedApp {
    /// Its id.
    pub client_id: ClientId,
    /// Its key, unless it signs its requests.
    #[serde(with = "sealed::optional")]
    pub client_secret: Option<Secret>,
    /// Its key's id.
    pub key_id: Option<Uuid>,
    /// The app.
    pub app: AppRecord,
    /// Its version.
    pub version: Version,
}

/// An app as it is at a moment.
#[derive(Debug, Clone)]
pub struct VersionedApp {
    /// The app.
    pub app: AppRecord,
    /// Its keys, oldest first.
    pub keys: Vec<AppKeyRecord>,
    /// Its version, and that of its keys: whoever changes one changes it.
    pub version: Version,
}

impl VersionedApp {
    fn find(conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<Self>, ServiceError> {
        let Some(app) = apps::find(conn, client_id)? else { return Ok(None) };
        let keys = app_keys::list(conn, client_id)?;
        let ends: Vec<_> = keys.iter().map(|key| (key.id, key.expires_at, key.revoked_at)).collect();
        let version = Version::of(&(AppRecord { last_used_at: None, ..app.clone() }, ends))?;
        Ok(Some(Self { app, keys, version }))
    }
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
    /// What the member is called who looks after it.
    pub owner: Option<String>,
    /// Tokens it got in the last 24 hours.
    pub issued_24h: i64,
    /// Requests of its that were refused in the last 24 hours.
    pub refused_24h: i64,
    /// Its version.
    pub version: Version,
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
    m.database.write(move |conn| {
        deed.once(conn, |conn| {
            let key_id = insert(conn, &deed, &slug, client_id, &checked, key.as_ref())?;
            let made = VersionedApp::find(conn, client_id)?.ok_or_else(|| unknown_app(client_id))?;
            Ok(CreatedApp { client_id, client_secret: secret, key_id, app: made.app, version: made.version })
        })
    })
}

/// An app whose every part can be used.
#[derive(Debug, Clone)]
pub(super) struct CheckedApp {
    name: String,
    description: String,
    scopes: Vec<String>,
    lifetime: Option<Duration>,
    claims: Option<Claims>,
    key_expires_in: Option<Duration>,
    authentication: ClientAuthentication,
    dpop_required: bool,
    allowed_networks: Networks,
    token_exchange: bool,
    most_apps: Option<i64>,
}

impl CheckedApp {
    /// Whether it proves who it is with a key of ours.
    pub(super) fn needs_key(&self) -> bool {
        self.authentication == ClientAuthentication::ClientSecret
    }

    pub(super) fn new(m: &Management, new: NewApp) -> Result<Self, ServiceError> {
        check_lifetime(m, new.lifetime)?;
        check_key_end("key_expires_in", new.key_expires_in)?;
        check_claims(&new.claims)?;
        let authentication = check_authentication(m, new.authentication)?;
        if new.key_expires_in.is_some() && authentication != ClientAuthentication::ClientSecret {
            return Err(ServiceError::field_shown(
                "key_expires_in",
                "is for apps with App Keys: one that signs its requests has none that could end",
                "an app that signs its requests has no App Key that could end",
            ));
        }
        let mut scopes = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Self {
            name: checked_name(&new.name)?,
            description: checked_description(&new.description)?,
            scopes,
            lifetime: new.lifetime,
            claims: Some(new.claims).filter(|claims| !claims.is_empty()),
            key_expires_in: new.key_expires_in,
            authentication,
            dpop_required: new.dpop_required,
            allowed_networks: new.allowed_networks,
            token_exchange: new.token_exchange,
            most_apps: m.config.apps_per_organisation,
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
) -> Result<Option<Uuid>, ServiceError> {
    let organisation = find_organisation(conn, slug)?;
    check_room(conn, organisation.id, app.most_apps)?;
    // An imported app may have the id of one that was deleted: the tokens of that one stay dead, also those that a node
    // issued before it heard of the deletion.
    let deleted_at = audit::find_last(conn, "app.delete", &client_id.to_string())?;
    cut_offs::forget_deleted(conn, client_id)?;
    let record = AppRecord {
        client_id,
        organisation_id: organisation.id,
        name: app.name.clone(),
        description: app.description.clone(),
        lifetime: app.lifetime,
        claims: app.claims.clone(),
        disabled_at: None,
        not_before: deleted_at.map_or(Timestamp::NEVER, |at| at.max(deed.now) + Duration::from_secs(1)),
        created_at: deed.now,
        last_used_at: None,
        scopes: resolve_scopes(conn, organisation.id, &app.scopes)?,
        authentication: app.authentication.clone(),
        dpop_required: app.dpop_required,
        allowed_networks: app.allowed_networks.clone(),
        owner_id: first_owner(conn, deed, organisation.id)?,
        token_exchange: app.token_exchange,
    };
    deed.doer.check_power(&record.scopes)?;
    apps::insert(conn, &record).map_err(ServiceError::duplicate(format!("there is an app {client_id} already")))?;
    let end = app.key_expires_in.map(|span| deed.now + span);
    let key_id = key.map(|key| insert_key(conn, deed, client_id, key, end)).transpose()?;
    let detail = json!({ "name": record.name, "scopes": app.scopes, "auth_method": record.authentication.name(), "dpop_required": record.dpop_required, "allowed_networks": record.allowed_networks, "token_exchange": record.token_exchange });
    deed.record(conn, Some(organisation.id), "app.create", &client_id.to_string(), detail, Some(ChangeKind::App))?;
    Ok(key_id)
}

/// Whoever makes an app looks after it, if that is a member of its organisation.
fn first_owner(conn: &mut AnyConnection, deed: &Deed, organisation_id: Uuid) -> Result<Option<Uuid>, ServiceError> {
    match deed.person() {
        Some(id) => Ok(members::find_role(conn, organisation_id, id)?.map(|_| id)),
        None => Ok(None),
    }
}

/// Asked inside the transaction that adds one: writers go one after another, so of many at once none is one too many.
fn check_room(conn: &mut AnyConnection, organisation_id: Uuid, most: Option<i64>) -> Result<(), ServiceError> {
    let Some(most) = most else { return Ok(()) };
    if apps::count(conn, organisation_id)? < most {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!(
        "the organisation has {most} apps, the most it may (apps-per-organisation); delete one that nobody needs"
    )))
}

pub(super) fn resolve_scopes(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    names: &[String],
) -> Result<Vec<(Uuid, String)>, ServiceError> {
    names
        .iter()
        .map(|name| match apis::find_by_scope(conn, organisation_id, name)? {
            Some(api_id) => Ok((api_id, name.clone())),
            None => Err(ServiceError::UnknownScope(format!(
                "no API of the organisation has a scope `{name}`; see: brevet api list --org SLUG"
            ))),
        })
        .collect()
}

/// An absolute URI cannot collide with a registered claim ([RFC 7519 §4.2](https://www.rfc-editor.org/rfc/rfc7519#section-4.2)).
fn check_claims(claims: &Claims) -> Result<(), ServiceError> {
    // The parser is lenient about spaces around a URL.
    let is_uri = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic()) && Url::parse(name).is_ok();
    if let Some(name) = claims.keys().find(|name| !is_uri(name)) {
        return Err(ServiceError::field_shown(
            "claims",
            "the name of a claim must be an absolute URI, such as https://example.com/plan",
            format!("`{name}` cannot be the name of a claim: write an absolute URI, such as https://example.com/plan"),
        ));
    }
    let length = serde_json::Value::Object(claims.clone()).to_string().len();
    if length > LONGEST_CLAIMS {
        return Err(ServiceError::field(
            "claims",
            format!("the claims are {length} bytes long; at most {LONGEST_CLAIMS} fit in a token"),
        ));
    }
    Ok(())
}

/// An app with its keys and use.
///
/// # Errors
/// `NotFound`.
pub fn show(m: &Management, client_id: ClientId) -> Result<AppDetails, ServiceError> {
    let yesterday = m.now() - Duration::from_secs(86_400);
    let (found, organisation, owner, (issued_24h, refused_24h)) = m.database.read_with(|conn| {
        let found = VersionedApp::find(conn, client_id)?;
        let organisation = match &found {
            Some(found) => crate::db::organisations::find(conn, found.app.organisation_id)?,
            None => None,
        };
        let owner = match found.as_ref().and_then(|found| Some((found.app.owner_id?, found.app.organisation_id))) {
            Some((id, of)) => actors::list_people(conn, Some(of), &[id.to_string()])?.into_values().next(),
            None => None,
        };
        Ok::<_, ServiceError>((found, organisation, owner, usage::total(conn, client_id, yesterday)?))
    })?;
    let found = found.filter(|found| m.doer.reaches(Some(found.app.organisation_id)));
    let VersionedApp { app, keys, version } = found.ok_or_else(|| unknown_app(client_id))?;
    let organisation = organisation.map(|organisation| organisation.slug).unwrap_or_default();
    Ok(AppDetails { app, organisation, keys, owner, issued_24h, refused_24h, version })
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

/// Switches an app off or on: off, it gets no tokens and those it has are refused, within a second on every node.
///
/// # Errors
/// `NotFound`.
pub fn set_enabled(m: &Management, client_id: ClientId, enabled: bool) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = find(conn, &deed, client_id)?.app;
        switch(conn, &deed, &app, enabled)
    })
}

fn switch(conn: &mut AnyConnection, deed: &Deed, app: &AppRecord, enabled: bool) -> Result<(), ServiceError> {
    apps::update_disabled_at(conn, app.client_id, (!enabled).then_some(deed.now))?;
    let action = if enabled { "app.enable" } else { "app.disable" };
    let target = app.client_id.to_string();
    Ok(deed.record(conn, Some(app.organisation_id), action, &target, json!({}), Some(ChangeKind::App))?)
}

/// The app of that id, for a change, if the doer reaches it and it is as the doer thinks.
pub(super) fn find(conn: &mut AnyConnection, deed: &Deed, client_id: ClientId) -> Result<VersionedApp, ServiceError> {
    let found = VersionedApp::find(conn, client_id)?.filter(|found| deed.doer.reaches(Some(found.app.organisation_id)));
    let found = found.ok_or_else(|| unknown_app(client_id))?;
    deed.check_version(&found.version)?;
    Ok(found)
}

pub(super) fn unknown_app(client_id: ClientId) -> ServiceError {
    ServiceError::NotFound(format!("there is no app {client_id}; see: brevet app list --org SLUG"))
}
