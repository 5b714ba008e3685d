//! `/api/v1/apps`: the apps of the token's organisation.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::json::{Body, Span, given};
use super::openapi::{ChangeRefusals, Refusals};
use super::page::{Page, PageParams};
use super::visit::Visit;
use crate::clock::{Timestamp, print_span};
use crate::db::apps::{AppRecord, Claims};
use crate::http::error::ApiError;
use crate::http::guard::{AppsRead, AppsWrite};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::service::ServiceError;
use crate::service::app_authentication::asked_for;
use crate::service::apps::{self, AppUpdate, CreatedApp};

/// An app. Times in RFC 3339.
#[derive(Serialize, ToSchema)]
pub(super) struct App {
    /// The App SID: its `client_id` at the token endpoint.
    #[schema(format = "uuid")]
    client_id: String,
    /// Its name for people.
    name: String,
    /// What it is for, in the words of people; may be empty.
    description: String,
    /// What it was granted.
    scopes: Vec<String>,
    /// `active` or `disabled`.
    status: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last got a token; up to ten seconds late, and no part of the entity tag.
    #[schema(required = true, format = DateTime)]
    last_used_at: Option<String>,
    /// The longest its tokens may live; `null` for no limit of its own.
    #[schema(required = true, example = "1h")]
    lifetime: Option<String>,
    /// Claims that stand in each of its tokens.
    #[schema(value_type = Object)]
    claims: Claims,
    /// How it proves who it is: `client_secret`, with App Keys, `private_key_jwt`, with JWTs that it signs, or `trusted_issuer`,
    /// with JWTs of a trusted issuer that stand for it.
    auth_method: &'static str,
    /// The public keys registered with it, a JWK set; `null` if it has none or they are at `jwks_uri`.
    #[schema(required = true, value_type = Option<Object>)]
    jwks: Option<Value>,
    /// Where its public keys are.
    #[schema(required = true, format = "uri")]
    jwks_uri: Option<String>,
    /// Whether it gets no token without a DPoP proof.
    dpop_required: bool,
    /// From where it may ask for tokens: CIDRs; none for everywhere.
    #[schema(example = json!(["192.0.2.0/24"]))]
    allowed_networks: Vec<String>,
    /// Whether it may exchange somebody's token for a narrower one of its own.
    token_exchange: bool,
}

impl From<AppRecord> for App {
    fn from(app: AppRecord) -> Self {
        Self {
            auth_method: app.authentication.name(),
            jwks: app.authentication.jwks().and_then(|document| serde_json::from_str(document).ok()),
            jwks_uri: app.authentication.jwks_uri().map(str::to_owned),
            dpop_required: app.dpop_required,
            allowed_networks: app.allowed_networks.texts(),
            token_exchange: app.token_exchange,
            client_id: app.client_id.to_string(),
            name: app.name,
            description: app.description,
            scopes: app.scopes.into_iter().map(|(_, scope)| scope).collect(),
            status: if app.disabled_at.is_none() { "active" } else { "disabled" },
            created_at: app.created_at.rfc3339(),
            last_used_at: app.last_used_at.map(Timestamp::rfc3339),
            lifetime: app.lifetime.map(print_span),
            claims: app.claims.unwrap_or_default(),
        }
    }
}

/// An app just registered.
#[derive(Serialize, ToSchema)]
pub(super) struct NewAppAnswer {
    #[serde(flatten)]
    app: App,
    /// The id of its first key; `null` for an app without App Keys.
    #[schema(required = true, format = "uuid")]
    key_id: Option<String>,
    /// The App Key. Shown in this answer and never again; `null` for an app without App Keys.
    #[schema(required = true)]
    client_secret: Option<String>,
}

impl From<CreatedApp> for NewAppAnswer {
    fn from(created: CreatedApp) -> Self {
        Self {
            app: created.app.into(),
            key_id: created.key_id.map(|id| id.to_string()),
            client_secret: created.client_secret.map(|secret| secret.reveal().to_owned()),
        }
    }
}

/// An app to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApp {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 100, example = "Invoice sync")]
    name: String,
    /// What it is for, in the words of people.
    #[serde(default)]
    #[schema(max_length = 500, example = "Fetches invoices every night")]
    description: String,
    /// What it is granted: scopes of the organisation's APIs and of this one.
    #[serde(default)]
    scopes: Vec<String>,
    /// The longest its tokens may live.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", example = "1h")]
    lifetime: Option<Span>,
    /// Claims that stand in each of its tokens; their names are absolute URIs.
    #[serde(default)]
    #[schema(value_type = Object)]
    claims: Claims,
    /// When its first key ends, from now.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", example = "90d")]
    key_expires_in: Option<Span>,
    /// How it proves who it is: `client_secret` (the default), `private_key_jwt` (the default with `jwks` or `jwks_uri`) or
    /// `trusted_issuer`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^(client_secret|private_key_jwt|trusted_issuer)$")]
    auth_method: Option<String>,
    /// Its public keys for `private_key_jwt`: a JWK set of 1 to 20 keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object, required = false)]
    jwks: Option<Map<String, Value>>,
    /// Where its public keys for `private_key_jwt` are, instead of `jwks`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 1_024, format = "uri", example = "https://app.example.com/jwks.json")]
    jwks_uri: Option<String>,
    /// Whether it gets no token without a DPoP proof.
    #[serde(default)]
    dpop_required: bool,
    /// From where it may ask for tokens: addresses or CIDRs; none for everywhere.
    #[serde(default)]
    #[schema(max_items = 20, example = json!(["192.0.2.0/24"]))]
    allowed_networks: Vec<String>,
    /// Whether it may exchange somebody's token for a narrower one of its own.
    #[serde(default)]
    token_exchange: bool,
}

impl TryFrom<NewApp> for apps::NewApp {
    type Error = ServiceError;

    fn try_from(new: NewApp) -> Result<Self, ServiceError> {
        let authentication = authentication(new.auth_method.as_deref(), new.jwks, new.jwks_uri.as_deref())?;
        Ok(Self {
            name: new.name,
            description: new.description,
            scopes: new.scopes,
            lifetime: new.lifetime.map(|span| span.0),
            claims: new.claims,
            key_expires_in: new.key_expires_in.map(|span| span.0),
            authentication: authentication.unwrap_or_default(),
            dpop_required: new.dpop_required,
            allowed_networks: apps::read_networks(new.allowed_networks)?,
            token_exchange: new.token_exchange,
        })
    }
}

fn authentication(
    auth_method: Option<&str>,
    jwks: Option<Map<String, Value>>,
    jwks_uri: Option<&str>,
) -> Result<Option<ClientAuthentication>, ServiceError> {
    asked_for(auth_method, jwks.map(|document| Value::Object(document).to_string()), jwks_uri)
}

impl Body for NewApp {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        NAME,
        DESCRIPTION,
        SCOPES,
        ("lifetime", SPAN),
        CLAIMS,
        ("key_expires_in", SPAN),
        AUTH_METHOD,
        JWKS,
        JWKS_URI,
        DPOP_REQUIRED,
        ALLOWED_NETWORKS,
        TOKEN_EXCHANGE,
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// What to change of an app; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppChange {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What it is for, in the words of people; empty takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 500)]
    description: Option<String>,
    /// All it is granted from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false)]
    scopes: Option<Vec<String>>,
    /// The longest its tokens may live; `null` for no limit of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$", example = "1h")]
    lifetime: Option<Option<Span>>,
    /// Claims that stand in each of its tokens from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object, required = false)]
    claims: Option<Claims>,
    /// `false`: it gets no tokens, and those it has are refused.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
    /// How it proves who it is from now on. `private_key_jwt` comes with `jwks` or `jwks_uri` and revokes its App Keys; with
    /// `client_secret` it has no key until one is made for it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^(client_secret|private_key_jwt|trusted_issuer)$")]
    auth_method: Option<String>,
    /// Its public keys from now on, a JWK set of 1 to 20 keys; it signs its requests then.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object, required = false)]
    jwks: Option<Map<String, Value>>,
    /// Where its public keys are from now on, instead of `jwks`; it signs its requests then.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 1_024, format = "uri", example = "https://app.example.com/jwks.json")]
    jwks_uri: Option<String>,
    /// Whether it gets no token without a DPoP proof from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    dpop_required: Option<bool>,
    /// From where it may ask for tokens from now on: addresses or CIDRs; `[]` for everywhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false, max_items = 20, example = json!(["192.0.2.0/24"]))]
    allowed_networks: Option<Vec<String>>,
    /// Whether it may exchange somebody's token for a narrower one of its own from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    token_exchange: Option<bool>,
}

impl TryFrom<AppChange> for AppUpdate {
    type Error = ServiceError;

    fn try_from(change: AppChange) -> Result<Self, ServiceError> {
        Ok(Self {
            authentication: authentication(change.auth_method.as_deref(), change.jwks, change.jwks_uri.as_deref())?,
            name: change.name,
            description: change.description,
            scopes: change.scopes,
            lifetime: change.lifetime.map(|span| span.map(|span| span.0)),
            claims: change.claims,
            dpop_required: change.dpop_required,
            allowed_networks: change.allowed_networks.map(apps::read_networks).transpose()?,
            token_exchange: change.token_exchange,
            enabled: change.enabled,
            ..Self::default()
        })
    }
}

const SPAN: &str = "a span such as 90s, 10m, 24h or 90d";
const NAME: (&str, &str) = ("name", "a text of 1 to 100 characters");
const DESCRIPTION: (&str, &str) = ("description", "a text of at most 500 characters");
const SCOPES: (&str, &str) = ("scopes", "a list of names of scopes");
const CLAIMS: (&str, &str) = ("claims", "an object whose members are absolute URIs");
const AUTH_METHOD: (&str, &str) = ("auth_method", "client_secret or private_key_jwt");
const JWKS: (&str, &str) = ("jwks", "a JWK set: an object with a list of keys");
const JWKS_URI: (&str, &str) = ("jwks_uri", "a URL that begins with https://");
const DPOP_REQUIRED: (&str, &str) = ("dpop_required", "true or false");
const TOKEN_EXCHANGE: (&str, &str) = ("token_exchange", "true or false");
const ALLOWED_NETWORKS: (&str, &str) = ("allowed_networks", "a list of at most 20 addresses or CIDRs");

impl Body for AppChange {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        NAME,
        DESCRIPTION,
        SCOPES,
        ("lifetime", "a span such as 90s, 10m, 24h or 90d, or null"),
        CLAIMS,
        ("enabled", "true or false"),
        AUTH_METHOD,
        JWKS,
        JWKS_URI,
        DPOP_REQUIRED,
        ALLOWED_NETWORKS,
        TOKEN_EXCHANGE,
    ];
}

/// The apps of the organisation, in the order of their ids
#[utoipa::path(get, path = "/apps", tag = "apps", params(PageParams), security(("oauth2" = ["apps:read"]), ("bearer" = ["apps:read"])),
    responses((status = 200, body = Page<App>, description = "A page of apps"), Refusals))]
pub(in crate::http) async fn list_apps(visit: Visit<AppsRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&[])?;
    let (limit, after) = (query.limit()?, query.cursor("apps", ClientId::parse)?);
    let organisation = visit.organisation();
    let found = visit.look(move |m| apps::list(m, &organisation, after, limit + 1)).await?;
    let page = Page::new("apps", limit, found, |app| app.client_id.to_string(), App::from);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// Register an app, with its first App Key unless it proves who it is without one
///
/// An app can grant only those scopes of this API that its own token has.
#[utoipa::path(post, path = "/apps", tag = "apps", request_body = NewApp, security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key and body within 24 hours give the same answer again")),
    responses((status = 201, body = NewAppAnswer, description = "The app, and its App Key this once", headers(("ETag" = String), ("Location" = String))), ChangeRefusals))]
pub(in crate::http) async fn create_app(visit: Visit<AppsWrite>, payload: Payload) -> Result<HttpResponse, ApiError> {
    let (new, octets) = visit.body::<NewApp>(payload).await?;
    let organisation = visit.organisation();
    let conflict = "Something it needs is not there any more.";
    let created = visit.create(&octets, conflict, move |m| apps::create(m, &organisation, new.try_into()?)).await?;
    let (location, version) = (format!("/apps/{}", created.client_id), created.version.clone());
    Ok(visit.created(&location, Some(&version), &NewAppAnswer::from(created)))
}

/// One app
#[utoipa::path(get, path = "/apps/{client_id}", tag = "apps", security(("oauth2" = ["apps:read"]), ("bearer" = ["apps:read"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = App, description = "The app", headers(("ETag" = String))),
        (status = 304, description = "It is as the asker knows it"), Refusals))]
pub(in crate::http) async fn show_app(visit: Visit<AppsRead>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let found = visit.look(move |m| apps::show(m, client_id)).await?;
    Ok(visit.object(&found.version, &App::from(found.app)))
}

/// Change an app, or switch it off or on
///
/// Tokens already issued stay as they are, unless it is switched off: then they are refused. Scopes of this API that are
/// taken away are gone for these tokens too. Here at once, on other nodes within a second.
/// An app that changes to `private_key_jwt` or `trusted_issuer` loses its App Keys: they are revoked. How an app proves who it is can be
/// changed only if its scopes of this API are among those of one's own token.
#[utoipa::path(patch, path = "/apps/{client_id}", tag = "apps", request_body = AppChange, security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 200, body = App, description = "The app as it is now", headers(("ETag" = String))), ChangeRefusals))]
pub(in crate::http) async fn change_app(
    visit: Visit<AppsWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let (change, _) = visit.body::<AppChange>(payload).await?;
    let conflict = "Something it needs is not there any more.";
    let changed = visit.change(conflict, move |m| apps::update(m, client_id, change.try_into()?)).await?;
    Ok(visit.object(&changed.version, &App::from(changed.app)))
}

/// Delete an app with its keys; the tokens it has are refused
#[utoipa::path(delete, path = "/apps/{client_id}", tag = "apps", security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 204, description = "It is gone"), ChangeRefusals))]
pub(in crate::http) async fn delete_app(visit: Visit<AppsWrite>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    visit.change("The app cannot be deleted.", move |m| apps::delete(m, client_id)).await?;
    Ok(visit.done())
}
