//! APIs and their scopes.

mod lists;
mod scopes;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use uuid::Uuid;

pub use self::lists::{AppOfApi, Choices, apps_using, choose, list, list_names, list_page, search};
use self::scopes::{SCOPE_OF_NEW_API, check_count, check_scope, refuse_reserved, taken_scope};
pub use self::scopes::{ScopeUpdate, add_scope, remove_scope, update_scope};
use super::deed::{Deed, Version};
use super::organisations::{checked_name, find as find_organisation};
use super::{Management, ServiceError, signing_keys};
use crate::clock::print_span;
use crate::db::apis::{self, ApiRecord, ScopeRecord};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError};
use crate::oauth::metadata::path;
use crate::oauth::{SigningAlgorithm, TokenProfile};

/// APIs of one organisation.
const MOST_APIS: i64 = 10_000;

/// An API to be registered.
#[derive(Debug)]
pub struct NewApi<'a> {
    /// The organisation's slug.
    pub organisation: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// What will stand in `aud`: an absolute URI, unique on this server.
    pub identifier: &'a str,
    /// Its scopes.
    pub scopes: Vec<ScopeRecord>,
    /// What its tokens look like.
    pub profile: TokenProfile,
    /// How its tokens are signed.
    pub algorithm: SigningAlgorithm,
    /// The longest its tokens may live.
    pub lifetime: Option<Duration>,
}

/// What to change of an API; `None` leaves as it is.
#[derive(Debug, Default)]
pub struct ApiUpdate {
    /// Its name for people.
    pub name: Option<String>,
    /// What its tokens look like.
    pub profile: Option<TokenProfile>,
    /// How its tokens are signed.
    pub algorithm: Option<SigningAlgorithm>,
    /// The longest its tokens may live; `Some(None)` for no limit of its own.
    pub lifetime: Option<Option<Duration>>,
}

/// Which API: by its id, or by the identifier that stands in `aud`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichApi {
    /// Ours.
    Id(Uuid),
    /// An absolute URI.
    Identifier(String),
}

impl From<Uuid> for WhichApi {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for WhichApi {
    fn from(identifier: &str) -> Self {
        Self::Identifier(identifier.to_owned())
    }
}

impl WhichApi {
    fn find(&self, conn: &mut AnyConnection) -> Result<Option<ApiRecord>, DbError> {
        match self {
            Self::Id(id) => apis::find(conn, *id),
            Self::Identifier(identifier) => apis::find_by_identifier(conn, identifier),
        }
    }
}

/// An API as it is at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionedApi {
    /// The API.
    pub api: ApiRecord,
    /// Its version.
    pub version: Version,
}

impl VersionedApi {
    fn new(api: ApiRecord) -> Result<Self, ServiceError> {
        Ok(Self { version: Version::of(&api)?, api })
    }
}

/// Registers an API, and makes a key for its algorithm if there is none.
///
/// # Errors
/// `Invalid` for an identifier, scope or lifetime that cannot be used, `NotFound` without the organisation, `Conflict`
/// for an identifier or scope that is taken.
pub fn create(m: &Management, new: &NewApi<'_>) -> Result<VersionedApi, ServiceError> {
    check_identifier(new.identifier)?;
    let own = own_identifier(m);
    if new.identifier == own {
        return Err(ServiceError::Conflict(format!("{own} is the identifier of Brevet's own API")));
    }
    check_count(new.scopes.len(), SCOPE_OF_NEW_API)?;
    for scope in &new.scopes {
        check_scope(scope, SCOPE_OF_NEW_API)?;
    }
    check_lifetime(m, new.lifetime)?;
    let mut api = ApiRecord {
        id: Uuid::now_v7(),
        organisation_id: None,
        name: checked_name(new.name)?,
        identifier: new.identifier.to_owned(),
        profile: new.profile,
        algorithm: new.algorithm,
        lifetime: new.lifetime,
        scopes: new.scopes.clone(),
        created_at: m.now(),
    };
    signing_keys::ensure(m, api.algorithm)?;
    let (deed, slug) = (m.deed(), new.organisation.to_owned());
    m.database.write(move |conn| {
        deed.once(conn, |conn| {
            let organisation = find_organisation(conn, &slug)?;
            api.organisation_id = Some(organisation.id);
            check_room(conn, organisation.id)?;
            refuse_reserved(conn, &api.scopes)?;
            if apis::find_by_identifier(conn, &api.identifier)?.is_some() {
                return Err(ServiceError::Conflict(format!(
                    "the identifier {} is taken on this server",
                    api.identifier
                )));
            }
            apis::insert(conn, &api).map_err(taken_scope)?;
            let detail = json!({
                "identifier": api.identifier, "profile": api.profile.name(), "algorithm": api.algorithm.name(),
                "scopes": api.scopes.iter().map(|scope| &scope.name).collect::<Vec<_>>(),
            });
            deed.record(conn, Some(organisation.id), "api.create", &api.id.to_string(), detail, Some(ChangeKind::Api))?;
            VersionedApi::new(api)
        })
    })
}

/// Asked inside the transaction that adds one, as the number of apps is.
fn check_room(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<(), ServiceError> {
    if apis::count(conn, organisation_id, "")? < MOST_APIS {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!(
        "the organisation has {MOST_APIS} APIs, the most it may; delete one that nobody needs"
    )))
}

/// That API.
///
/// # Errors
/// `NotFound`.
pub fn show(m: &Management, which: impl Into<WhichApi>) -> Result<VersionedApi, ServiceError> {
    let (which, own) = (which.into(), own_identifier(m));
    let wanted = if which == WhichApi::Identifier(own.clone()) { apis::MANAGEMENT_API.into() } else { which.clone() };
    let found = m.database.read(|conn| wanted.find(conn))?.filter(|api| m.doer.reaches(api.organisation_id));
    let mut api = found.ok_or_else(|| unknown_api(&which))?;
    if api.organisation_id.is_none() {
        api.identifier = own;
    }
    VersionedApi::new(api)
}

/// The identifier of Brevet's own API: it follows the issuer, so the database does not hold it.
fn own_identifier(m: &Management) -> String {
    format!("{}{}", m.config.issuer, path::API)
}

/// Changes an API. Tokens already issued stay as they are.
///
/// # Errors
/// `NotFound`, and `Invalid` for what cannot be used.
pub fn update(m: &Management, which: impl Into<WhichApi>, update: &ApiUpdate) -> Result<VersionedApi, ServiceError> {
    check_lifetime(m, update.lifetime.flatten())?;
    let name = update.name.as_deref().map(checked_name).transpose()?;
    let (deed, which) = (m.deed(), which.into());
    if let Some(algorithm) = update.algorithm {
        // No key is made for a change that would be refused anyway.
        m.database.read_with(|conn| find(conn, &deed, &which))?;
        signing_keys::ensure(m, algorithm)?;
    }
    let (profile, algorithm, lifetime) = (update.profile, update.algorithm, update.lifetime);
    m.database.write(move |conn| {
        let mut api = find(conn, &deed, &which)?;
        let before = api.clone();
        api.name = name.unwrap_or(api.name);
        api.profile = profile.unwrap_or(api.profile);
        api.algorithm = algorithm.unwrap_or(api.algorithm);
        api.lifetime = lifetime.unwrap_or(api.lifetime);
        if api == before {
            // What changes nothing is no deed.
            return VersionedApi::new(api);
        }
        apis::update(conn, &api)?;
        let detail = json!({
            "name": api.name, "profile": api.profile.name(), "algorithm": api.algorithm.name(),
            "lifetime": api.lifetime.map(print_span),
        });
        deed.record(conn, api.organisation_id, "api.update", &api.id.to_string(), detail, Some(ChangeKind::Api))?;
        VersionedApi::new(api)
    })
}

/// Deletes an API that no app has scopes of.
///
/// # Errors
/// `NotFound`, and `Conflict` while apps have its scopes.
pub fn delete(m: &Management, which: impl Into<WhichApi>) -> Result<(), ServiceError> {
    let (deed, which) = (m.deed(), which.into());
    m.database.write(move |conn| {
        let api = find(conn, &deed, &which)?;
        let apps = apis::count_apps(conn, api.id)?;
        if apps > 0 {
            return Err(ServiceError::Conflict(format!(
                "{apps} app(s) have scopes of {}; take them away first",
                api.identifier
            )));
        }
        apis::delete(conn, api.id)?;
        let detail = json!({ "identifier": api.identifier });
        Ok(deed.record(conn, api.organisation_id, "api.delete", &api.id.to_string(), detail, Some(ChangeKind::Api))?)
    })
}

/// An API that may be changed: one of an organisation that the doer reaches, not Brevet's own, and as the doer thinks.
fn find(conn: &mut AnyConnection, deed: &Deed, which: &WhichApi) -> Result<ApiRecord, ServiceError> {
    let api = find_any(conn, which)?;
    let reached = api.organisation_id.is_some() && deed.doer.reaches(api.organisation_id);
    let found = VersionedApi::new(Some(api).filter(|_| reached).ok_or_else(|| unknown_api(which))?)?;
    deed.check_version(&found.version)?;
    Ok(found.api)
}

fn find_any(conn: &mut AnyConnection, which: &WhichApi) -> Result<ApiRecord, ServiceError> {
    which.find(conn)?.ok_or_else(|| unknown_api(which))
}

fn unknown_api(which: &WhichApi) -> ServiceError {
    let shown = match which {
        WhichApi::Id(id) => id.to_string(),
        WhichApi::Identifier(identifier) => identifier.clone(),
    };
    ServiceError::NotFound(format!("there is no API {shown}; see: brevet api list --org SLUG"))
}

fn check_identifier(identifier: &str) -> Result<(), ServiceError> {
    let url = Url::parse(identifier).ok().filter(|url| url.fragment().is_none());
    let printable = identifier.bytes().all(|byte| byte.is_ascii_graphic());
    match url {
        Some(_) if printable && identifier.len() <= 255 => Ok(()),
        _ => Err(ServiceError::field_shown(
            "identifier",
            "an identifier must be an absolute URI without a fragment, such as https://api.example.com",
            format!(
                "`{identifier}` cannot be an API's identifier: write an absolute URI without a fragment, such as https://api.example.com"
            ),
        )),
    }
}

pub(super) fn check_lifetime(m: &Management, lifetime: Option<Duration>) -> Result<(), ServiceError> {
    let most = m.config.access_token_lifetime;
    match lifetime {
        Some(lifetime) if lifetime > most => Err(ServiceError::field(
            "lifetime",
            format!(
                "a lifetime of {} is longer than the server's access-token-lifetime, {}",
                print_span(lifetime),
                print_span(most)
            ),
        )),
        Some(lifetime) if lifetime.is_zero() => {
            Err(ServiceError::field("lifetime", "a lifetime must be longer than nothing"))
        }
        _ => Ok(()),
    }
}
