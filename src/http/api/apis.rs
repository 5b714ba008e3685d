//! `/api/v1/apis`: what the organisation's apps can have tokens for.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Payload};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::json::{Body, Span, given};
use super::openapi::{ChangeRefusals, Refusals};
use super::page::{Page, PageParams};
use super::visit::Visit;
use crate::clock::print_span;
use crate::db::apis::{ApiRecord, ScopeRecord};
use crate::http::error::ApiError;
use crate::http::guard::{ApisRead, ApisWrite};
use crate::oauth::{SigningAlgorithm, TokenProfile};
use crate::service::apis::{self, ApiUpdate, ScopeUpdate};

/// An API: something tokens are for.
#[derive(Serialize, ToSchema)]
pub(super) struct Api {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its name for people.
    name: String,
    /// What stands in `aud`.
    identifier: String,
    /// What its tokens look like: `rfc9068` or `classic`.
    profile: &'static str,
    /// How its tokens are signed.
    alg: &'static str,
    /// The longest its tokens may live; `null` for no limit of its own.
    #[schema(required = true)]
    lifetime: Option<String>,
    /// Its scopes, in the order in which they were added.
    scopes: Vec<Scope>,
    /// Whether it is Brevet's own, which nobody can change.
    built_in: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A scope of an API.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    /// What stands in tokens; unique in the organisation.
    #[schema(min_length = 1, max_length = 100, example = "billing:read")]
    name: String,
    /// What it means to people.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// Whether people who grant it should think twice; nothing in tokens depends on it.
    #[serde(default)]
    sensitive: bool,
}

impl From<Scope> for ScopeRecord {
    fn from(scope: Scope) -> Self {
        Self { name: scope.name, description: scope.description, sensitive: scope.sensitive }
    }
}

impl Body for Scope {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        ("name", "the name of a scope"),
        ("description", "a text of at most 500 characters"),
        ("sensitive", "true or false"),
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
}

impl From<ApiRecord> for Api {
    fn from(api: ApiRecord) -> Self {
        let scope =
            |scope: ScopeRecord| Scope { name: scope.name, description: scope.description, sensitive: scope.sensitive };
        Self {
            id: api.id.to_string(),
            name: api.name,
            identifier: api.identifier,
            profile: api.profile.name(),
            alg: api.algorithm.name(),
            lifetime: api.lifetime.map(print_span),
            scopes: api.scopes.into_iter().map(scope).collect(),
            built_in: api.organisation_id.is_none(),
            created_at: api.created_at.rfc3339(),
        }
    }
}

/// An API to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApi {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 100, example = "Billing")]
    name: String,
    /// What will stand in `aud`: an absolute URI without a fragment, unique on this server.
    #[schema(max_length = 255, format = "uri", example = "https://billing.acme.example")]
    identifier: String,
    /// Its scopes.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// What its tokens look like: `rfc9068` (the default) or `classic`.
    #[serde(default, deserialize_with = "profile")]
    #[schema(value_type = String, required = false, pattern = "^(rfc9068|classic)$", default = "rfc9068")]
    profile: Option<TokenProfile>,
    /// How its tokens are signed.
    #[serde(default, deserialize_with = "algorithm")]
    #[schema(value_type = String, required = false, pattern = "^(RS256|PS256|ES256|EdDSA)$", default = "RS256")]
    alg: Option<SigningAlgorithm>,
    /// The longest its tokens may live.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", example = "1h")]
    lifetime: Option<Span>,
}

const NAME: (&str, &str) = ("name", "a text of 1 to 100 characters");
const PROFILE: (&str, &str) = ("profile", "rfc9068 or classic");
const ALG: (&str, &str) = ("alg", "RS256, PS256, ES256 or EdDSA");

impl Body for NewApi {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[
        NAME,
        ("identifier", "an absolute URI without a fragment"),
        ("scopes", "a list of objects with name, description and sensitive"),
        PROFILE,
        ALG,
        ("lifetime", "a span such as 90s, 10m, 24h or 90d"),
    ];
    const REQUIRED: &'static [&'static str] = &["name", "identifier"];
}

/// What to change of an API; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiChange {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What its tokens look like: `rfc9068` or `classic`.
    #[serde(default, deserialize_with = "profile")]
    #[schema(value_type = String, required = false, pattern = "^(rfc9068|classic)$")]
    profile: Option<TokenProfile>,
    /// How its tokens are signed.
    #[serde(default, deserialize_with = "algorithm")]
    #[schema(value_type = String, required = false, pattern = "^(RS256|PS256|ES256|EdDSA)$")]
    alg: Option<SigningAlgorithm>,
    /// The longest its tokens may live; `null` for no limit of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$", example = "1h")]
    lifetime: Option<Option<Span>>,
}

impl Body for ApiChange {
    const MEMBERS: &'static [(&'static str, &'static str)] =
        &[NAME, PROFILE, ALG, ("lifetime", "a span such as 90s, 10m, 24h or 90d, or null")];
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TokenProfile>, D::Error> {
    named(deserializer, TokenProfile::from_name)
}

fn algorithm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SigningAlgorithm>, D::Error> {
    named(deserializer, SigningAlgorithm::from_name)
}

fn named<'de, D: Deserializer<'de>, T>(deserializer: D, find: fn(&str) -> Option<T>) -> Result<Option<T>, D::Error> {
    let found = find(&String::deserialize(deserializer)?);
    found.map(Some).ok_or_else(|| serde::de::Error::custom("not one of the names"))
}

const TAKEN: &str = "The identifier is taken on this server, or a scope's name in this organisation or by this API; or the organisation has as many APIs as it may.";

/// What to change of a scope; what is left out stays. Its name stands in tokens and stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeChange {
    /// What it means to people; empty takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 500)]
    description: Option<String>,
    /// Whether people who grant it should think twice; nothing in tokens depends on it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    sensitive: Option<bool>,
}

impl Body for ScopeChange {
    const MEMBERS: &'static [(&'static str, &'static str)] =
        &[("description", "a text of at most 500 characters"), ("sensitive", "true or false")];
}

/// The APIs of the organisation and Brevet's own, in the order of their ids
#[utoipa::path(get, path = "/apis", tag = "apis", params(PageParams), security(("oauth2" = ["apis:read"]), ("bearer" = ["apis:read"])),
    responses((status = 200, body = Page<Api>, description = "A page of APIs"), Refusals))]
pub(in crate::http) async fn list_apis(visit: Visit<ApisRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&[])?;
    let (limit, after) = (query.limit()?, query.cursor("apis", |text| Uuid::try_parse(text).ok())?);
    let organisation = visit.organisation();
    let found = visit.look(move |m| apis::list_page(m, &organisation, after, limit + 1)).await?;
    let page = Page::new("apis", limit, found, |api| api.id.to_string(), Api::from);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// Register an API with its scopes
#[utoipa::path(post, path = "/apis", tag = "apis", request_body = NewApi, security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key and body within 24 hours give the same answer again")),
    responses((status = 201, body = Api, description = "The API", headers(("ETag" = String), ("Location" = String))), ChangeRefusals))]
pub(in crate::http) async fn create_api(visit: Visit<ApisWrite>, payload: Payload) -> Result<HttpResponse, ApiError> {
    let (new, octets) = visit.body::<NewApi>(payload).await?;
    let organisation = visit.organisation();
    let create = move |m: &_| {
        let new = apis::NewApi {
            organisation: &organisation,
            name: &new.name,
            identifier: &new.identifier,
            scopes: new.scopes.into_iter().map(ScopeRecord::from).collect(),
            profile: new.profile.unwrap_or(TokenProfile::Rfc9068),
            algorithm: new.alg.unwrap_or(SigningAlgorithm::Rs256),
            lifetime: new.lifetime.map(|span| span.0),
        };
        apis::create(m, &new)
    };
    let created = visit.create(&octets, TAKEN, create).await?;
    let location = format!("/apis/{}", created.api.id);
    Ok(visit.created(&location, Some(&created.version), &Api::from(created.api)))
}

/// One API
#[utoipa::path(get, path = "/apis/{id}", tag = "apis", security(("oauth2" = ["apis:read"]), ("bearer" = ["apis:read"])),
    params(("id" = String, Path, format = "uuid"), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = Api, description = "The API", headers(("ETag" = String))),
        (status = 304, description = "It is as the asker knows it"), Refusals))]
pub(in crate::http) async fn show_api(visit: Visit<ApisRead>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path)?;
    let found = visit.look(move |m| apis::show(m, id)).await?;
    Ok(visit.object(&found.version, &Api::from(found.api)))
}

/// Change an API; tokens already issued stay as they are
#[utoipa::path(patch, path = "/apis/{id}", tag = "apis", request_body = ApiChange, security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 200, body = Api, description = "The API as it is now", headers(("ETag" = String))), ChangeRefusals))]
pub(in crate::http) async fn change_api(
    visit: Visit<ApisWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path)?;
    let (change, _) = visit.body::<ApiChange>(payload).await?;
    let update = ApiUpdate {
        name: change.name,
        profile: change.profile,
        algorithm: change.alg,
        lifetime: change.lifetime.map(|span| span.map(|span| span.0)),
    };
    let changed = visit.change(TAKEN, move |m| apis::update(m, id, &update)).await?;
    Ok(visit.object(&changed.version, &Api::from(changed.api)))
}

/// Delete an API that no app has scopes of
#[utoipa::path(delete, path = "/apis/{id}", tag = "apis", security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 204, description = "It is gone"), ChangeRefusals))]
pub(in crate::http) async fn delete_api(visit: Visit<ApisWrite>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path)?;
    visit.change("Apps have scopes of this API; take them away first.", move |m| apis::delete(m, id)).await?;
    Ok(visit.done())
}

/// Add a scope to an API
#[utoipa::path(post, path = "/apis/{id}/scopes", tag = "apis", request_body = Scope, security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if the API still has this entity tag")),
    responses((status = 200, body = Api, description = "The API as it is now", headers(("ETag" = String))), ChangeRefusals))]
pub(in crate::http) async fn add_scope(
    visit: Visit<ApisWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path)?;
    let (scope, _) = visit.body::<Scope>(payload).await?;
    let changed = visit.change(TAKEN, move |m| apis::add_scope(m, id, scope.into())).await?;
    Ok(visit.object(&changed.version, &Api::from(changed.api)))
}

/// Change what a scope means to people
#[utoipa::path(patch, path = "/apis/{id}/scopes/{name}", tag = "apis", request_body = ScopeChange, security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("id" = String, Path, format = "uuid"), ("name" = String, Path, description = "The scope, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if the API still has this entity tag")),
    responses((status = 200, body = Api, description = "The API as it is now", headers(("ETag" = String))), ChangeRefusals))]
pub(in crate::http) async fn change_scope(
    visit: Visit<ApisWrite>,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path.0)?;
    let name = path.1.clone();
    let (change, _) = visit.body::<ScopeChange>(payload).await?;
    let update = ScopeUpdate { description: change.description, sensitive: change.sensitive };
    let changed = visit.change(TAKEN, move |m| apis::update_scope(m, id, &name, update)).await?;
    Ok(visit.object(&changed.version, &Api::from(changed.api)))
}

/// Take a scope from an API and from every app that has it
#[utoipa::path(delete, path = "/apis/{id}/scopes/{name}", tag = "apis", security(("oauth2" = ["apis:write"]), ("bearer" = ["apis:write"])),
    params(("id" = String, Path, format = "uuid"), ("name" = String, Path, description = "The scope, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if the API still has this entity tag")),
    responses((status = 204, description = "It is gone; tokens that have it keep it until they expire"), ChangeRefusals))]
pub(in crate::http) async fn remove_scope(
    visit: Visit<ApisWrite>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let id = visit.id(&path.0)?;
    let name = path.1.clone();
    visit.change("The scope cannot be taken away.", move |m| apis::remove_scope(m, id, &name)).await?;
    Ok(visit.done())
}
