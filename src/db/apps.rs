//! Apps: registered clients, and what they were granted.

mod summaries;

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::summaries::{AppFilter, AppOrder, AppSummary, OwnerFilter, count_picked, list_picked};
use super::apis::{read_lifetime, write_lifetime};
use super::app_keys;
use super::conn::AnyConnection;
use super::error::DbError;
use super::idempotency;
use super::organisations::parse_id;
use super::schema::{app_scopes, apps};
use super::usage;
use crate::clock::Timestamp;
use crate::oauth::ClientId;
use crate::oauth::client::{ClientAuthentication, ClientSecret, KeySource};
use crate::oauth::networks::Networks;

/// Static claims of an app: a JSON object.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// An app as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its id everywhere.
    pub client_id: ClientId,
    /// Whose it is.
    pub organisation_id: Uuid,
    /// Its name for people.
    pub name: String,
    /// What it is for, in the words of people. Answers that are kept from an older program do not hold it.
    #[serde(default)]
    pub description: String,
    /// The longest its tokens may live.
    pub lifetime: Option<Duration>,
    /// Claims that stand in each of its tokens.
    pub claims: Option<Claims>,
    /// Since when it gets no tokens.
    pub disabled_at: Option<Timestamp>,
    /// Tokens whose `iat` is earlier are dead.
    pub not_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last got a token; up to a few seconds late.
    pub last_used_at: Option<Timestamp>,
    /// What it was granted: API and name.
    pub scopes: Vec<(Uuid, String)>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Whether its tokens must be bound to a key of its own.
    pub dpop_required: bool,
    /// From where it may ask for tokens.
    #[serde(default)]
    pub allowed_networks: Networks,
    /// The member who looks after it.
    #[serde(default)]
    pub owner_id: Option<Uuid>,
    /// Whether it may exchange somebody's token for a narrower one of its own.
    #[serde(default)]
    pub token_exchange: bool,
}

/// An app as the token road needs it.
#[derive(Debug)]
pub struct AppForTokens {
    /// The app.
    pub record: AppRecord,
    /// Its keys that were not revoked.
    pub secrets: Vec<ClientSecret>,
}

#[derive(Queryable)]
struct Row {
    id: String,
    organisation_id: String,
    name: String,
    lifetime: Option<i64>,
    claims: Option<String>,
    disabled_at: Option<i64>,
    not_before: i64,
    created_at: i64,
    auth_method: String,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    dpop_required: i64,
    description: String,
    allowed_networks: String,
    owner_id: Option<String>,
    token_exchange: i64,
}

impl Row {
    fn authentication(&self) -> Result<ClientAuthentication, DbError> {
        match (self.auth_method.as_str(), &self.jwks, &self.jwks_uri) {
            (ClientAuthentication::CLIENT_SECRET, None, None) => Ok(ClientAuthentication::ClientSecret),
            (ClientAuthentication::PRIVATE_KEY_JWT, Some(jwks), None) => {
                Ok(ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(jwks.as_str().into())))
            }
            (ClientAuthentication::PRIVATE_KEY_JWT, None, Some(uri)) => {
                Ok(ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(uri.as_str().into())))
            }
            // A JWT it is, but somebody else's key.
            (ClientAuthentication::PRIVATE_KEY_JWT, None, None) => Ok(ClientAuthentication::TrustedIssuer),
            _ => Err(DbError::Corrupt { table: "apps", column: "auth_method", id: self.id.clone() }),
        }
    }

    fn with_scopes(self, conn: &mut AnyConnection) -> Result<AppRecord, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "apps", column, id: self.id.clone() };
        let scopes: Vec<(String, String)> = app_scopes::table
            .filter(app_scopes::app_id.eq(&self.id))
            .order(app_scopes::scope)
            .select((app_scopes::api_id, app_scopes::scope))
            .load(conn)?;
        let claims = self.claims.as_deref().map(serde_json::from_str).transpose();
        Ok(AppRecord {
            client_id: ClientId::parse(&self.id).ok_or_else(|| corrupt("id"))?,
            organisation_id: parse_id(&self.organisation_id, "apps")?,
            lifetime: self
                .lifetime
                .map(|seconds| read_lifetime(seconds).ok_or_else(|| corrupt("lifetime")))
                .transpose()?,
            claims: claims.map_err(|_not_json| corrupt("claims"))?,
            disabled_at: self.disabled_at.map(Timestamp::from_seconds),
            not_before: Timestamp::from_seconds(self.not_before),
            created_at: Timestamp::from_seconds(self.created_at),
            last_used_at: usage::last_use(conn, &self.id)?,
            authentication: self.authentication()?,
            dpop_required: self.dpop_required != 0,
            allowed_networks: read_networks(&self.allowed_networks).ok_or_else(|| corrupt("allowed_networks"))?,
            owner_id: self.owner_id.as_deref().map(|id| parse_id(id, "apps")).transpose()?,
            token_exchange: self.token_exchange != 0,
            name: self.name,
            description: self.description,
            scopes: scopes
                .into_iter()
                .map(|(api_id, scope)| Ok((parse_id(&api_id, "app_scopes")?, scope)))
                .collect::<Result<_, DbError>>()?,
        })
    }
}

fn write_claims(app: &AppRecord) -> Option<String> {
    app.claims.clone().map(|claims| serde_json::Value::Object(claims).to_string())
}

fn read_networks(text: &str) -> Option<Networks> {
    if text.is_empty() { Some(Networks::default()) } else { Networks::read(text.split(',')).ok() }
}

fn write_networks(networks: &Networks) -> String {
    networks.texts().join(",")
}

/// Adds an app with what it is granted.
///
/// # Errors
/// `Duplicate` when the id is taken; `MissingReference` when a scope is none of that API.
pub fn insert(conn: &mut AnyConnection, app: &AppRecord) -> Result<(), DbError> {
    let (auth_method, jwks, jwks_uri) = columns(&app.authentication);
    let row = (
        apps::id.eq(app.client_id.to_string()),
        apps::organisation_id.eq(app.organisation_id.to_string()),
        apps::name.eq(&app.name),
        apps::description.eq(&app.description),
        apps::lifetime.eq(app.lifetime.map(write_lifetime)),
        apps::claims.eq(write_claims(app)),
        apps::disabled_at.eq(app.disabled_at.map(Timestamp::seconds)),
        apps::not_before.eq(app.not_before.seconds()),
        apps::created_at.eq(app.created_at.seconds()),
        apps::auth_method.eq(auth_method),
        apps::jwks.eq(jwks),
        apps::jwks_uri.eq(jwks_uri),
        apps::dpop_required.eq(i64::from(app.dpop_required)),
        apps::allowed_networks.eq(write_networks(&app.allowed_networks)),
        apps::owner_id.eq(app.owner_id.map(|id| id.to_string())),
        apps::token_exchange.eq(i64::from(app.token_exchange)),
    );
    diesel::insert_into(apps::table).values(row).execute(conn)?;
    for (api_id, scope) in &app.scopes {
        insert_scope(conn, app.client_id, *api_id, scope)?;
    }
    Ok(())
}

/// The three columns that say how an app proves who it is.
fn columns(authentication: &ClientAuthentication) -> (&'static str, Option<&str>, Option<&str>) {
    match authentication {
        ClientAuthentication::ClientSecret => (ClientAuthentication::CLIENT_SECRET, None, None),
        ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(jwks)) => {
            (ClientAuthentication::PRIVATE_KEY_JWT, Some(&**jwks), None)
        }
        ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(uri)) => {
            (ClientAuthentication::PRIVATE_KEY_JWT, None, Some(&**uri))
        }
        ClientAuthentication::TrustedIssuer => (ClientAuthentication::PRIVATE_KEY_JWT, None, None),
    }
}

/// Changes how an app proves who it is.
///
/// # Errors
/// When the database does not take it.
pub fn update_authentication(
    conn: &mut AnyConnection,
    client_id: ClientId,
    authentication: &ClientAuthentication,
) -> Result<(), DbError> {
    let (auth_method, jwks, jwks_uri) = columns(authentication);
    diesel::update(apps::table.find(client_id.to_string()))
        .set((apps::auth_method.eq(auth_method), apps::jwks.eq(jwks), apps::jwks_uri.eq(jwks_uri)))
        .execute(conn)?;
    Ok(())
}

/// Grants an app a scope.
///
/// # Errors
/// `Duplicate` when it has it; `MissingReference` when there is no such scope.
pub fn insert_scope(conn: &mut AnyConnection, client_id: ClientId, api_id: Uuid, scope: &str) -> Result<(), DbError> {
    let row = (
        app_scopes::app_id.eq(client_id.to_string()),
        app_scopes::api_id.eq(api_id.to_string()),
        app_scopes::scope.eq(scope),
    );
    diesel::insert_into(app_scopes::table).values(row).execute(conn)?;
    Ok(())
}

/// Takes a scope from an app. `false` if it has none of that name.
///
/// # Errors
/// When the database does not take it.
pub fn delete_scope(conn: &mut AnyConnection, client_id: ClientId, scope: &str) -> Result<bool, DbError> {
    Ok(diesel::delete(app_scopes::table.find((client_id.to_string(), scope))).execute(conn)? == 1)
}

/// Changes an app's name and description, its lifetime, its claims, whether its tokens must be bound, from where it may ask
/// and whether it may exchange tokens.
///
/// # Errors
/// When the database does not take it.
pub fn update(conn: &mut AnyConnection, app: &AppRecord) -> Result<(), DbError> {
    diesel::update(apps::table.find(app.client_id.to_string()))
        .set((
            apps::name.eq(&app.name),
            apps::description.eq(&app.description),
            apps::lifetime.eq(app.lifetime.map(write_lifetime)),
            apps::dpop_required.eq(i64::from(app.dpop_required)),
            apps::claims.eq(write_claims(app)),
            apps::allowed_networks.eq(write_networks(&app.allowed_networks)),
            apps::token_exchange.eq(i64::from(app.token_exchange)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Lets a person look after an app.
///
/// # Errors
/// `MissingReference` when there is no such person.
pub fn update_owner(conn: &mut AnyConnection, client_id: ClientId, owner_id: Uuid) -> Result<(), DbError> {
    diesel::update(apps::table.find(client_id.to_string()))
        .set(apps::owner_id.eq(Some(owner_id.to_string())))
        .execute(conn)?;
    Ok(())
}

/// Leaves the apps of an organisation that a person looks after to nobody; answers how many there were.
///
/// # Errors
/// When the database does not take it.
pub fn forget_owner(conn: &mut AnyConnection, organisation_id: Uuid, owner_id: Uuid) -> Result<usize, DbError> {
    let owned = apps::table
        .filter(apps::owner_id.eq(owner_id.to_string()))
        .filter(apps::organisation_id.eq(organisation_id.to_string()));
    Ok(diesel::update(owned).set(apps::owner_id.eq(None::<String>)).execute(conn)?)
}

/// The app with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<AppRecord>, DbError> {
    let row: Option<Row> = apps::table.find(client_id.to_string()).first(conn).optional()?;
    row.map(|row| row.with_scopes(conn)).transpose()
}

/// The app with that id, and its keys.
///
/// # Errors
/// When the database does not answer.
pub fn find_for_tokens(conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<AppForTokens>, DbError> {
    let Some(record) = find(conn, client_id)? else {
        return Ok(None);
    };
    let secrets = app_keys::list_usable(conn, client_id)?;
    Ok(Some(AppForTokens { record, secrets }))
}

/// Apps of an organisation in the order of their ids, at most `limit`, those after `after`.
///
/// # Errors
/// When the database does not answer.
pub fn list(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<AppRecord>, DbError> {
    let mut query = apps::table
        .filter(apps::organisation_id.eq(organisation_id.to_string()))
        .order(apps::id)
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(apps::id.gt(after.to_string()));
    }
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
}

/// How many apps an organisation has.
///
/// # Errors
/// When the database does not answer.
pub fn count(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<i64, DbError> {
    count_picked(conn, organisation_id, &AppFilter::default(), Timestamp::NEVER)
}

/// Switches an app off or on. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn update_disabled_at(
    conn: &mut AnyConnection,
    client_id: ClientId,
    disabled_at: Option<Timestamp>,
) -> Result<bool, DbError> {
    let changed = diesel::update(apps::table.find(client_id.to_string()))
        .set(apps::disabled_at.eq(disabled_at.map(Timestamp::seconds)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Deletes an app with its keys and grants, and the answers that are kept for it. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, client_id: ClientId) -> Result<bool, DbError> {
    usage::delete(conn, client_id)?;
    idempotency::delete(conn, client_id)?;
    Ok(diesel::delete(apps::table.find(client_id.to_string())).execute(conn)? == 1)
}
