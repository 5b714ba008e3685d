//! `/api/v1/issuers`: whose JWTs are good in the organisation.

mod settings;
mod trial;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Payload};
use serde::Serialize;
use utoipa::ToSchema;

use self::settings::{ClaimRule, IssuerChange, IssuerKeys, NewIssuer};
pub(in crate::http) use self::trial::{__path_test_issuer, test_issuer};
use super::openapi::{ChangeRefusals, Refusals};
use super::page::{Page, PageParams};
use super::visit::Visit;
use crate::clock::print_span;
use crate::http::error::ApiError;
use crate::http::guard::{IssuersRead, IssuersWrite};
use crate::oauth::ClientId;
use crate::service::trusted_issuers::{self, IssuerSettings, TrustedIssuerRecord};

/// A trusted issuer: a third party whose JWTs are good here. Times in RFC 3339.
#[derive(Serialize, ToSchema)]
pub(super) struct Issuer {
    /// Its id; the `client_id` of what is issued to users whom it names.
    #[schema(format = "uuid")]
    id: String,
    /// Its name for people.
    name: String,
    /// The `iss` of its JWTs, byte for byte.
    issuer: String,
    /// `active` or `disabled`.
    status: &'static str,
    /// Where its keys are.
    keys: IssuerKeys,
    /// The names that the certificate at the head of a chain may have; none for any.
    certificate_names: Vec<String>,
    /// The algorithms it may sign with.
    algorithms: Vec<&'static str>,
    /// Of which `aud` must hold one.
    audiences: Vec<String>,
    /// The claim that says whom a JWT is about.
    subject_claim: String,
    /// What further claims must say: all of them.
    rules: Vec<ClaimRule>,
    /// The longest ago that `iat` may be; `null` for no such limit.
    #[schema(required = true, example = "10m")]
    max_age: Option<String>,
    /// Whether each JWT is good once.
    single_use: bool,
    /// Whether its JWTs are good at resource routes as they are.
    accept_directly: bool,
    /// The longest that what is issued for its JWTs lives; `null` for no limit of its own.
    #[schema(required = true, example = "1h")]
    ticket_lifetime: Option<String>,
    /// The app that its JWTs stand for; `null` if they name users of the organisation by login.
    #[schema(required = true, format = "uuid")]
    app: Option<String>,
    /// What users are granted, or the only scopes that the app gets; `null` for all that the app has.
    #[schema(required = true)]
    scopes: Option<Vec<String>>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<TrustedIssuerRecord> for Issuer {
    fn from(record: TrustedIssuerRecord) -> Self {
        let IssuerSettings { name, issuer, policy, scopes, .. } = IssuerSettings::of(&record);
        Self {
            id: record.id.to_string(),
            status: if record.disabled_at.is_none() { "active" } else { "disabled" },
            app: record.app.map(|app| app.to_string()),
            created_at: record.created_at.rfc3339(),
            updated_at: record.updated_at.rfc3339(),
            name,
            issuer,
            keys: policy.keys.into(),
            certificate_names: policy.certificate_names,
            algorithms: policy.algorithms.iter().map(|algorithm| algorithm.name()).collect(),
            audiences: policy.audiences,
            subject_claim: policy.subject_claim.into(),
            rules: policy.rules.into_iter().map(ClaimRule::from).collect(),
            max_age: policy.max_age.map(print_span),
            single_use: policy.single_use,
            accept_directly: policy.accept_directly,
            ticket_lifetime: policy.ticket_lifetime.map(print_span),
            scopes,
        }
    }
}

const CONFLICT: &str =
    "The organisation trusts as many issuers as it may, or their rules and keys are as long as they may be.";

/// The trusted issuers of the organisation, in the order of their ids
#[utoipa::path(get, path = "/issuers", tag = "issuers", params(PageParams), security(("oauth2" = ["issuers:read"]), ("bearer" = ["issuers:read"])),
    responses((status = 200, body = Page<Issuer>, description = "A page of trusted issuers"), Refusals))]
pub(in crate::http) async fn list_issuers(visit: Visit<IssuersRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&[])?;
    let (limit, after) = (query.limit()?, query.cursor("issuers", ClientId::parse)?);
    let organisation = visit.organisation();
    let found = visit.look(move |m| trusted_issuers::list(m, &organisation, after, limit + 1)).await?;
    let page = Page::new("issuers", limit, found, |issuer| issuer.id.to_string(), Issuer::from);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// Trust an issuer
///
/// Whoever decides whose JWTs stand for an app has the app's power: the app's scopes of this API must be among those of
/// one's own token, and so must those that users are granted.
#[utoipa::path(post, path = "/issuers", tag = "issuers", request_body = NewIssuer, security(("oauth2" = ["issuers:write"]), ("bearer" = ["issuers:write"])),
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key and body within 24 hours give the same answer again")),
    responses((status = 201, body = Issuer, description = "The trusted issuer", headers(("ETag" = String), ("Location" = String))), ChangeRefusals))]
pub(in crate::http) async fn create_issuer(
    visit: Visit<IssuersWrite>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (new, octets) = visit.body::<NewIssuer>(payload).await?;
    let organisation = visit.organisation();
    let create = move |m: &_| trusted_issuers::create(m, &organisation, new.try_into()?);
    let created = visit.create(&octets, CONFLICT, create).await?;
    let location = format!("/issuers/{}", created.record.id);
    Ok(visit.created(&location, Some(&created.version), &Issuer::from(created.record)))
}

/// One trusted issuer
#[utoipa::path(get, path = "/issuers/{id}", tag = "issuers", security(("oauth2" = ["issuers:read"]), ("bearer" = ["issuers:read"])),
    params(("id" = String, Path, format = "uuid"), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = Issuer, description = "The trusted issuer", headers(("ETag" = String))),
        (status = 304, description = "It is as the asker knows it"), Refusals))]
pub(in crate::http) async fn show_issuer(
    visit: Visit<IssuersRead>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = visit.client_id(&path)?;
    let found = visit.look(move |m| trusted_issuers::show(m, id)).await?;
    Ok(visit.object(&found.version, &Issuer::from(found.record)))
}

/// Change a trusted issuer, or switch it off or on
///
/// All that is said is done, or nothing of it. What was issued for its JWTs stays as it is, unless it is switched off: then
/// what users have who came by it is refused. Here at once, on other nodes within a second.
#[utoipa::path(patch, path = "/issuers/{id}", tag = "issuers", request_body = IssuerChange, security(("oauth2" = ["issuers:write"]), ("bearer" = ["issuers:write"])),
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 200, body = Issuer, description = "The trusted issuer as it is now", headers(("ETag" = String))), ChangeRefusals))]
pub(in crate::http) async fn change_issuer(
    visit: Visit<IssuersWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let id = visit.client_id(&path)?;
    let (change, _) = visit.body::<IssuerChange>(payload).await?;
    let edit = move |m: &_| trusted_issuers::change(m, id, change.enabled(), move |settings| change.apply(settings));
    let changed = visit.change(CONFLICT, edit).await?;
    Ok(visit.object(&changed.version, &Issuer::from(changed.record)))
}

/// Trust an issuer no more
///
/// Its JWTs are refused, and so is what users have who came by it. What an app got for them is the app's: it lives until it
/// expires, or the app's tokens are revoked.
#[utoipa::path(delete, path = "/issuers/{id}", tag = "issuers", security(("oauth2" = ["issuers:write"]), ("bearer" = ["issuers:write"])),
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 204, description = "It is gone"), ChangeRefusals))]
pub(in crate::http) async fn delete_issuer(
    visit: Visit<IssuersWrite>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = visit.client_id(&path)?;
    visit.change("The trusted issuer cannot be deleted.", move |m| trusted_issuers::delete(m, id)).await?;
    Ok(visit.done())
}
