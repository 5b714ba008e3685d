//! The description of the resource routes ([OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1)), made from the handlers.

use std::collections::BTreeMap;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::schema::{ArrayBuilder, Components, Schema};
use utoipa::openapi::security::{ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Server};
use utoipa::{IntoResponses, OpenApi, ToSchema};

use super::{apis, app_keys, app_tokens, apps, issuers, records, whoami};
use crate::http::answer::cacheable;
use crate::http::problem::{Fault, PROBLEM_JSON};
use crate::http::site::Site;
use crate::oauth::api::management_scope;
use crate::oauth::metadata::path;

/// Why a request was refused ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(super) struct ProblemDocument {
    /// A page that says what to do.
    #[schema(rename = "type", format = "uri")]
    kind: String,
    /// The kind of problem in a few words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// The kind of problem in one word.
    #[schema(example = "invalid_request")]
    error: String,
    /// The same as `detail`.
    error_description: String,
    /// Finds the reason in the server's log.
    request_id: String,
    /// The members that cannot be used.
    #[schema(value_type = Vec<Fault>, required = false)]
    errors: Option<Vec<Fault>>,
}

/// What every guarded route may answer.
pub(super) struct Refusals;

/// What every route that changes something may answer besides.
pub(super) struct ChangeRefusals;

const REFUSALS: &[(&str, &str)] = &[
    ("400", "Something in the request cannot be used"),
    ("401", "No access token, or one that is not good"),
    ("403", "The access token has not the scope"),
    ("404", "There is none, or it is another organisation's"),
    ("500", "A fault of the server"),
    ("503", "The server cannot answer now"),
];

const CHANGE_REFUSALS: &[(&str, &str)] = &[
    ("408", "The body did not come in time"),
    ("409", "What is there stands against it"),
    ("412", "It is not as If-Match says"),
    ("413", "The body is larger than 64 KiB"),
    ("415", "The body is not JSON"),
    ("422", "The Idempotency-Key was used for another request"),
];

fn refusals(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let refusal = |(status, description): &(&str, &str)| {
        let problem = RefOr::Ref(Ref::from_schema_name("Problem"));
        let content = ContentBuilder::new().schema(Some(problem)).build();
        let response = ResponseBuilder::new().description(*description).content(PROBLEM_JSON, content).build();
        ((*status).to_owned(), RefOr::T(response))
    };
    list.iter().map(refusal).collect()
}

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(REFUSALS)
    }
}

impl IntoResponses for ChangeRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[REFUSALS, CHANGE_REFUSALS].concat())
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Brevet management API",
        description = "Apps, their keys, APIs, trusted issuers, signing keys, the audit and the counts of one organisation: that of the app whose token is sent.",
        contact(name = "", url = ""),
    ),
    paths(
        whoami::whoami,
        apps::list_apps,
        apps::create_app,
        apps::show_app,
        apps::change_app,
        apps::delete_app,
        app_tokens::revoke_tokens,
        app_keys::list_keys,
        app_keys::add_key,
        app_keys::rotate_key,
        app_keys::revoke_key,
        apis::list_apis,
        apis::create_api,
        apis::show_api,
        apis::change_api,
        apis::delete_api,
        apis::add_scope,
        apis::change_scope,
        apis::remove_scope,
        issuers::list_issuers,
        issuers::create_issuer,
        issuers::show_issuer,
        issuers::change_issuer,
        issuers::delete_issuer,
        issuers::test_issuer,
        records::list_signing_keys,
        records::list_deeds,
        records::list_usage,
    ),
    components(schemas(ProblemDocument))
)]
struct Description;

/// Lets a page name the type of its items instead of describing it once more: generators make a type of each description.
fn name_items(components: &mut Components) {
    let named: Vec<String> = components.schemas.keys().cloned().collect();
    let listed = named.iter().filter_map(|page| Some((page, page.strip_prefix("Page_")?)));
    for (page, item) in listed.filter(|(_, item)| named.iter().any(|name| name == item)) {
        if let Some(RefOr::T(Schema::Object(page))) = components.schemas.get_mut(page) {
            let items = ArrayBuilder::new().description(Some("The items, in the order of the list."));
            page.properties.insert("items".to_owned(), items.items(Ref::from_schema_name(item)).into());
        }
    }
}

/// The document of a server with that issuer.
///
/// # Errors
/// When it cannot be written: a fault of the program.
pub fn document(issuer: &str) -> Result<String, serde_json::Error> {
    let mut description = Description::openapi();
    description.info.contact = None;
    description.info.license = None;
    description.servers = Some(vec![Server::new(format!("{issuer}{}", path::API))]);
    let scopes = Scopes::from_iter(management_scope::ALL.iter().copied());
    let flow = Flow::ClientCredentials(ClientCredentials::new(format!("{issuer}{}", path::TOKEN), scopes));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    name_items(components);
    let mut text = description.to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

/// `GET /api/v1/openapi.json`: public, because it says nothing that this page's source does not.
pub(in crate::http) async fn openapi(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    let (body, etag): &(Bytes, String) = &site.openapi;
    cacheable(&request, "application/json", "public, max-age=300", etag, body.clone())
}
