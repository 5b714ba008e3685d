//! `/api/v1/issuers/{id}/test`: what each check says to a JWT.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Payload};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::http::api::json::Body;
use crate::http::api::openapi::ChangeRefusals;
use crate::http::api::visit::Visit;
use crate::http::error::ApiError;
use crate::http::guard::IssuersRead;
use crate::oauth::trust::{TrustError, Way};
use crate::service::trusted_issuers::trial::{self, Against};

/// A JWT to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTrial {
    /// The JWT. It is neither kept nor logged.
    jwt: String,
    /// How it would come: `grant` (the default), `client_assertion`, `ticket` or `bearer`.
    #[serde(default, deserialize_with = "way")]
    #[schema(value_type = String, required = false, pattern = "^(grant|client_assertion|ticket|bearer)$", default = "grant")]
    way: Option<Way>,
}

fn way<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Way>, D::Error> {
    let found = Way::from_name(&String::deserialize(deserializer)?);
    found.map(Some).ok_or_else(|| serde::de::Error::custom("no way"))
}

impl Body for NewTrial {
    const MEMBERS: &'static [(&'static str, &'static str)] =
        &[("jwt", "a JWT"), ("way", "grant, client_assertion, ticket or bearer")];
    const REQUIRED: &'static [&'static str] = &["jwt"];
}

/// What became of a JWT that was tried.
#[derive(Serialize, ToSchema)]
pub(super) struct Trial {
    /// Whether a request with it would be good now, as far as this entry says.
    accepted: bool,
    /// Why not, in one word, as in the counts; `null` if it is accepted.
    #[schema(required = true)]
    reason: Option<&'static str>,
    /// The same in a sentence.
    conclusion: String,
    /// Each check, in the order of the road.
    steps: Vec<TrialStep>,
}

/// One check.
#[derive(Serialize, ToSchema)]
pub(super) struct TrialStep {
    /// What was checked.
    #[schema(example = "audience")]
    check: &'static str,
    /// `holds`, `fails`, or `not_made` because of another that failed.
    outcome: &'static str,
    /// Why, in a sentence.
    text: String,
}

/// Try a JWT: what each check says
///
/// The checks are those of a real request, and each is made even after another failed. Nothing is issued, counted or used up.
#[utoipa::path(post, path = "/issuers/{id}/test", tag = "issuers", request_body = NewTrial, security(("oauth2" = ["issuers:read"]), ("bearer" = ["issuers:read"])),
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Trial, description = "What each check says, whether it is accepted or not"), ChangeRefusals))]
pub(in crate::http) async fn test_issuer(
    visit: Visit<IssuersRead>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let against = Against::Entry(visit.client_id(&path)?);
    let (asked, _) = visit.body::<NewTrial>(payload).await?;
    let (way, now) = (asked.way.unwrap_or(Way::Grant), visit.now());
    let tried =
        visit.ask(async |authority, m| trial::try_jwt(&authority.directory, m, &against, way, &asked.jwt, now).await);
    let tried = tried.await?;
    let steps = std::iter::once(tried.form).chain(tried.entries.into_iter().flat_map(|entry| entry.steps));
    let shown =
        |step: trial::Step| TrialStep { check: step.check.name(), outcome: step.outcome.name(), text: step.text };
    let answer = Trial {
        accepted: tried.refusal.is_none(),
        reason: tried.refusal.as_ref().map(TrustError::label),
        conclusion: tried.conclusion,
        steps: steps.map(shown).collect(),
    };
    Ok(visit.answer(StatusCode::OK, &answer))
}
