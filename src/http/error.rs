//! Errors become answers here and nowhere else.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use super::answer::no_store;
use super::body::BodyError;
use super::observe::{Outcome, request_id};
use crate::oauth::metadata::path;
use crate::oauth::{OAuthError, OAuthErrorCode};

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
        (OAuthErrorCode::InvalidClient, _) => StatusCode::UNAUTHORIZED,
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

fn oauth_body<'a>(issuer: &str, error: &'static str, error_description: &'a str) -> OAuthErrorBody<'a> {
    OAuthErrorBody { error, error_description, error_uri: format!("{issuer}{}#{error}", path::ERRORS) }
}

/// The answer to a body that was not read.
pub(super) fn body_answer(issuer: &str, error: BodyError) -> HttpResponse {
    let (status, description) = match error {
        BodyError::NotAForm => {
            (StatusCode::BAD_REQUEST, "Send the parameters as application/x-www-form-urlencoded, in UTF-8.")
        }
        BodyError::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body without a content encoding."),
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB."),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not come in time."),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "The body could not be read."),
    };
    let mut builder = HttpResponse::build(status);
    // What was not read must not be taken for the next request.
    builder.insert_header((CONNECTION, "close")).force_close();
    let refusal = OAuthError::invalid_request(description);
    let mut response = no_store(&mut builder).json(oauth_body(issuer, refusal.code.name(), description));
    response.extensions_mut().insert(Outcome::refused(&refusal));
    response
}

/// A refusal of a resource route: `{error, error_description, request_id}`
/// ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: &'static str,
    description: String,
    detail: Option<String>,
    challenges: Vec<String>,
    request_id: String,
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
            challenges: Vec::new(),
            request_id: request_id(request),
        }
    }

    pub(super) fn bad_request(request: &HttpRequest, description: &'static str) -> Self {
        Self::new(request, StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn not_found(request: &HttpRequest) -> Self {
        Self::new(request, StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    pub(super) fn unavailable(request: &HttpRequest, detail: &impl fmt::Display) -> Self {
        let description = "The server cannot answer at the moment.";
        let error = Self::new(request, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description);
        Self { detail: Some(detail.to_string()), ..error }
    }

    pub(super) fn internal(request: &HttpRequest, detail: &impl fmt::Display) -> Self {
        let description = "Something failed inside the server.";
        let error = Self::new(request, StatusCode::INTERNAL_SERVER_ERROR, "server_error", description);
        Self { detail: Some(detail.to_string()), ..error }
    }

    /// Adds a `WWW-Authenticate` header.
    pub(super) fn with_challenge(mut self, challenge: String) -> Self {
        self.challenges.push(challenge);
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
    error: &'static str,
    error_description: &'a str,
    request_id: &'a str,
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut builder = HttpResponse::build(self.status);
        for challenge in &self.challenges {
            builder.append_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            builder.insert_header((RETRY_AFTER, "2"));
        }
        let body =
            ApiErrorBody { error: self.error, error_description: &self.description, request_id: &self.request_id };
        let mut response = no_store(&mut builder).json(body);
        response.extensions_mut().insert(Outcome {
            error: Some(self.error),
            detail: self.detail.clone(),
            client_id: None,
        });
        response
    }
}

/// No route of that path.
pub(super) async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(&request))
}

/// A route of that path, but not for that method.
pub(super) fn method_not_allowed(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    let error = ApiError::new(
        request,
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        format!("This address takes only {allowed}."),
    );
    let mut response = error.error_response();
    if let Ok(value) = allowed.parse() {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// A handler panicked: the request gets an answer, the connection and the process live on.
#[derive(Debug)]
pub(super) struct Panicked {
    pub(super) request_id: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handler panicked")
    }
}

impl ResponseError for Panicked {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        let body = ApiErrorBody {
            error: "server_error",
            error_description: "Something failed inside the server.",
            request_id: &self.request_id,
        };
        no_store(&mut HttpResponse::InternalServerError()).json(body)
    }
}
