//! Errors become answers here and nowhere else.

use std::fmt;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use super::answer::{no_store, sentence};
use super::body::BodyError;
use super::dashboard::home::{missing, not_for_method};
use super::observe::{Outcome, request_id};
use super::pages::wants_page;
use super::problem::{Fault, PROBLEM_JSON, Problem, ProblemMembers};
use super::site::Site;
use crate::config::Config;
use crate::oauth::error::{FAILED, UNAVAILABLE};
use crate::oauth::metadata::path;
use crate::oauth::trust::{RefusedJwt, TrustError};
use crate::oauth::{ClientId, OAuthError, OAuthErrorCode, ThirdParty};
use crate::service::ServiceError;

/// A refusal of the token endpoint ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
#[derive(Serialize)]
struct OAuthErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
    error_uri: String,
}

/// The answer to a refused token request.
pub(super) fn oauth_answer(issuer: &str, error: &OAuthError) -> HttpResponse {
    let status = match (error.code, error.throttled) {
        (OAuthErrorCode::InvalidClient | OAuthErrorCode::InvalidToken, _) => StatusCode::UNAUTHORIZED,
        (OAuthErrorCode::TemporarilyUnavailable, true) => StatusCode::TOO_MANY_REQUESTS,
        (OAuthErrorCode::TemporarilyUnavailable, false) => StatusCode::SERVICE_UNAVAILABLE,
        (OAuthErrorCode::ServerError, _) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut builder = HttpResponse::build(status);
    if error.basic_challenge && status == StatusCode::UNAUTHORIZED {
        builder.insert_header((WWW_AUTHENTICATE, "Basic realm=\"brevet\", charset=\"UTF-8\""));
    }
    if let Some(wait) = error.retry_after {
        builder.insert_header((RETRY_AFTER, wait.as_secs().max(1).to_string()));
    }
    let mut response = no_store(&mut builder).json(oauth_body(issuer, error.code.name(), &error.description));
    response.extensions_mut().insert(Outcome::refused(error));
    response
}

/// The answer to a third party's JWT for which there is no ticket: which check failed, in general words.
pub(super) fn ticket_refusal(issuer: &str, RefusedJwt { error, third_party }: RefusedJwt) -> HttpResponse {
    if let TrustError::Unavailable(reason) = error {
        return oauth_answer(issuer, &OAuthError::unavailable(reason).of_third_party(third_party));
    }
    let refusal = OAuthError::new(OAuthErrorCode::InvalidGrant, error.public()).with_detail(error.to_string());
    let refusal = refusal.of_third_party(third_party);
    let body = oauth_body(issuer, refusal.code.name(), &refusal.description);
    let mut builder = HttpResponse::Unauthorized();
    // Every 401 names a scheme (RFC 9110 §15.5.2); this is the one in which a ticket is sent.
    builder.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"brevet\""));
    let mut response = no_store(&mut builder).json(body);
    response.extensions_mut().insert(Outcome::refused(&refusal));
    response
}

fn oauth_body<'a>(issuer: &str, error: &'static str, error_description: &'a str) -> OAuthErrorBody<'a> {
    OAuthErrorBody { error, error_description, error_uri: format!("{issuer}{}#{error}", path::ERRORS) }
}

/// What is said about a body that was not read; `wrong_type` about one of another media type than the route takes.
fn body_refusal(error: BodyError, wrong_type: (StatusCode, &'static str)) -> (StatusCode, &'static str) {
    match error {
        BodyError::WrongType => wrong_type,
        BodyError::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body without a content encoding."),
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB."),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not come in time."),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "The body could not be read."),
    }
}

/// The answer to a form that was not read.
pub(super) fn body_answer(issuer: &str, error: BodyError) -> HttpResponse {
    let wanted = "Send the parameters as application/x-www-form-urlencoded, in UTF-8.";
    unread_answer(issuer, body_refusal(error, (StatusCode::BAD_REQUEST, wanted)))
}

/// The answer to metadata that were not read.
pub(super) fn json_body_answer(issuer: &str, error: BodyError) -> HttpResponse {
    let wanted = "Send the metadata as application/json, in UTF-8.";
    unread_answer(issuer, body_refusal(error, (StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted)))
}

fn unread_answer(issuer: &str, (status, description): (StatusCode, &'static str)) -> HttpResponse {
    let mut builder = HttpResponse::build(status);
    // What was not read must not be taken for the next request.
    builder.insert_header((CONNECTION, "close")).force_close();
    let refusal = OAuthError::invalid_request(description);
    let mut response = no_store(&mut builder).json(oauth_body(issuer, refusal.code.name(), description));
    response.extensions_mut().insert(Outcome::refused(&refusal));
    response
}

/// A refusal of a resource route: `{error, error_description, request_id}`
/// ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)), under `/api/v1` also a problem.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: &'static str,
    description: String,
    detail: Option<String>,
    request_id: String,
    more: Box<More>,
}

/// What few refusals have, apart so that an error stays small.
#[derive(Debug, Default)]
struct More {
    challenges: Vec<String>,
    faults: Vec<Fault>,
    /// The body was not read, so the connection cannot be used again.
    closing: bool,
    problem: Option<Problem>,
    client_id: Option<ClientId>,
    third_party: Option<Arc<ThirdParty>>,
}

impl ApiError {
    /// Any refusal.
    pub(super) fn new(
        request: &HttpRequest,
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            detail: None,
            request_id: request_id(request),
            more: Box::new(More { problem: Problem::of(request, status, error), ..More::default() }),
        }
    }

    pub(super) fn bad_request(request: &HttpRequest, description: &'static str) -> Self {
        Self::new(request, StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn not_found(request: &HttpRequest) -> Self {
        Self::new(request, StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    pub(super) fn unavailable(request: &HttpRequest, detail: &impl fmt::Display) -> Self {
        let error = Self::new(request, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", UNAVAILABLE);
        Self { detail: Some(detail.to_string()), ..error }
    }

    pub(super) fn internal(request: &HttpRequest, detail: &impl fmt::Display) -> Self {
        let error = Self::new(request, StatusCode::INTERNAL_SERVER_ERROR, "server_error", FAILED);
        Self { detail: Some(detail.to_string()), ..error }
    }

    /// A handler panicked: the request gets an answer, the connection and the process live on.
    pub(super) fn panicked(config: &Config, path: &str, request_id: String) -> Self {
        let (status, error) = (StatusCode::INTERNAL_SERVER_ERROR, "server_error");
        Self {
            status,
            error,
            description: FAILED.to_owned(),
            detail: Some("a handler panicked".to_owned()),
            request_id,
            more: Box::new(More { problem: Problem::at(config, path, status, error), ..More::default() }),
        }
    }

    /// A body that was not read, or is not what it must be.
    pub(super) fn body(request: &HttpRequest, error: BodyError) -> Self {
        let wrong_type = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json, in UTF-8.");
        let (status, description) = body_refusal(error, wrong_type);
        let code = match status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::PAYLOAD_TOO_LARGE => "content_too_large",
            _ => "invalid_request",
        };
        let mut refusal = Self::new(request, status, code, description);
        refusal.more.closing = true;
        refusal
    }

    /// Members that cannot be used.
    pub(super) fn faults(request: &HttpRequest, faults: Vec<Fault>) -> Self {
        let mut refusal = Self::bad_request(request, "A member of the body cannot be used.");
        refusal.more.faults = faults;
        refusal
    }

    /// What a walk refused; `conflict` says what can stand against it.
    pub(super) fn service(request: &HttpRequest, error: &ServiceError, conflict: &'static str) -> Self {
        let answer = match error {
            ServiceError::NotFound(_) => Self::not_found(request),
            ServiceError::InvalidField { field, rule, .. } => {
                Self::faults(request, vec![Fault { field, message: rule.clone() }])
            }
            ServiceError::UnknownScope(_) => {
                let message = "a scope is unknown: it must be one of the organisation's APIs".to_owned();
                Self::faults(request, vec![Fault { field: "scopes", message }])
            }
            ServiceError::Invalid(_) => Self::bad_request(request, "A value cannot be used."),
            ServiceError::Conflict(_) | ServiceError::Repeated => {
                Self::new(request, StatusCode::CONFLICT, "conflict", conflict)
            }
            ServiceError::Rival(text) => Self::new(request, StatusCode::CONFLICT, "conflict", sentence(text)),
            ServiceError::Throttled(_) => Self::new(
                request,
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                "It was tried too often; wait a minute and try again.",
            ),
            ServiceError::BeyondPower(_) => Self::new(
                request,
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "An app can hand on only those scopes of the management API that its own token has.",
            ),
            ServiceError::Stale => Self::new(
                request,
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "It was changed since it was read: read it again, then decide anew.",
            ),
            ServiceError::KeyReused => Self::new(
                request,
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The Idempotency-Key was used for another request; make a new one for each creation.",
            ),
            ServiceError::Unavailable(_) => return Self::unavailable(request, error),
            ServiceError::Setup(_) | ServiceError::Internal(_) => return Self::internal(request, error),
        };
        Self { detail: Some(error.to_string()), ..answer }
    }

    /// Says whose request it was; for the log.
    pub(super) fn of_client(mut self, client_id: ClientId) -> Self {
        self.more.client_id = Some(client_id);
        self
    }

    /// Says whose JWT it is about, where that is known, and for which client; for the log.
    pub(super) fn of_third_party(mut self, third_party: Option<Arc<ThirdParty>>) -> Self {
        self.more.client_id = third_party.as_ref().and_then(|party| party.client_id).or(self.more.client_id);
        self.more.third_party = third_party;
        self
    }

    /// Adds a `WWW-Authenticate` header.
    pub(super) fn with_challenge(mut self, challenge: String) -> Self {
        self.more.challenges.push(challenge);
        self
    }

    /// Adds a reason for the log.
    pub(super) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.detail.as_deref().unwrap_or(&self.description))
    }
}

#[derive(Serialize)]
struct ApiErrorBody<'a> {
    #[serde(flatten)]
    problem: Option<ProblemMembers<'a>>,
    error: &'static str,
    error_description: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut builder = HttpResponse::build(self.status);
        for challenge in &self.more.challenges {
            builder.append_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            builder.insert_header((RETRY_AFTER, "2"));
        }
        if self.more.closing {
            builder.insert_header((CONNECTION, "close")).force_close();
        }
        if self.more.problem.is_some() {
            builder.content_type(PROBLEM_JSON);
        }
        let body = ApiErrorBody {
            problem: self.more.problem.as_ref().map(|problem| problem.members(self.status, &self.description)),
            error: self.error,
            error_description: &self.description,
            request_id: &self.request_id,
            errors: &self.more.faults,
        };
        let mut response = no_store(&mut builder).json(body);
        response.extensions_mut().insert(Outcome {
            error: Some(self.error),
            detail: self.detail.clone(),
            client_id: self.more.client_id,
            third_party: self.more.third_party.clone(),
        });
        response
    }
}

/// No route of that path: said on a page to who looks for one.
pub(super) async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    match site_of_page(&request) {
        Some(site) => Ok(missing(site, &request).await),
        None => Err(ApiError::not_found(&request)),
    }
}

/// What a page needs, if a refusal of this request shall be one.
fn site_of_page(request: &HttpRequest) -> Option<&Data<Site>> {
    let site = request.app_data::<Data<Site>>()?;
    wants_page(request.headers(), request.path(), &site.authority.config).then_some(site)
}

/// A route of that path, but not for that method: said on a page to who came to one.
pub(super) async fn method_not_allowed(request: HttpRequest, allowed: &'static str) -> HttpResponse {
    let mut response = match site_of_page(&request) {
        Some(site) => not_for_method(site, &request).await,
        None => {
            let description = format!("This address takes only {allowed}.");
            ApiError::new(&request, StatusCode::METHOD_NOT_ALLOWED, "invalid_request", description).error_response()
        }
    };
    if let Ok(value) = allowed.parse() {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}
