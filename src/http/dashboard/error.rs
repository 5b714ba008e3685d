//! What a person sees instead of the page that was asked for.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::page::{Section, View};
use super::scene::Scene;
use crate::http::body::BodyError;
use crate::http::observe::{Outcome, request_id};
use crate::oauth::error::{FAILED, UNAVAILABLE};
use crate::service::ServiceError;

/// A page or redirect that ends a handler early.
pub(in crate::http) struct PageError {
    status: StatusCode,
    response: Box<RefCell<Option<HttpResponse>>>,
}

/// What a handler answers.
pub(in crate::http) type PageResult = Result<HttpResponse, PageError>;

/// The page of an error.
#[derive(Debug, Serialize)]
pub(super) struct ErrorView {
    pub(super) heading: String,
    pub(super) text: String,
    pub(super) request_id: String,
}

impl View for ErrorView {
    const TEMPLATE: &'static str = "dashboard/error";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        self.heading.clone()
    }
}

impl PageError {
    /// Any answer.
    pub(super) fn of(response: HttpResponse) -> Self {
        Self { status: response.status(), response: Box::new(RefCell::new(Some(response))) }
    }

    /// A page that says what happened and what to do.
    pub(super) fn new(scene: &Scene, status: StatusCode, heading: &str, text: impl Into<String>) -> Self {
        let view =
            ErrorView { heading: heading.to_owned(), text: text.into(), request_id: request_id(scene.request()) };
        let response = scene.render(status, &view).unwrap_or_else(|_broken| HttpResponse::new(status));
        Self::of(response)
    }

    pub(super) fn not_found(scene: &Scene) -> Self {
        let text = "There is nothing at this address, or it belongs to another organisation. Check the address, or begin at the start page.";
        Self::new(scene, StatusCode::NOT_FOUND, "Page not found", text)
    }

    pub(super) fn not_for_method(scene: &Scene) -> Self {
        let text = "This address is not used in this way. Go back and use the links and buttons of the page, or begin at the start page.";
        Self::new(scene, StatusCode::METHOD_NOT_ALLOWED, "That is not how this page is used", text)
    }

    pub(super) fn forbidden(scene: &Scene, text: impl Into<String>) -> Self {
        Self::new(scene, StatusCode::FORBIDDEN, "You may not do that", text)
    }

    pub(super) fn bad_request(scene: &Scene, text: impl Into<String>) -> Self {
        Self::new(scene, StatusCode::BAD_REQUEST, "That request cannot be used", text)
    }

    /// What was done too often may be done again after `wait`.
    pub(super) fn throttled(scene: &Scene, wait: Duration, text: impl Into<String>) -> Self {
        Self::new(scene, StatusCode::TOO_MANY_REQUESTS, "Too many attempts", text).after(wait)
    }

    pub(super) fn internal(scene: &Scene, detail: &impl fmt::Display) -> Self {
        let text = format!("{FAILED} Try again; if it goes on, tell whoever runs this server the request id below.");
        let heading = "Something went wrong";
        Self::new(scene, StatusCode::INTERNAL_SERVER_ERROR, heading, text).logged("server_error", detail)
    }

    /// What a walk refused.
    pub(super) fn service(scene: &Scene, error: &ServiceError) -> Self {
        match error {
            ServiceError::NotFound(_) => Self::not_found(scene),
            ServiceError::Unavailable(_) => {
                let heading = "Not available right now";
                let refusal = Self::new(scene, StatusCode::SERVICE_UNAVAILABLE, heading, UNAVAILABLE);
                refusal.after(Duration::from_secs(2)).logged("temporarily_unavailable", error)
            }
            ServiceError::Throttled(wait) => {
                let text = format!("That was tried too often. Wait {} seconds and try again.", wait.as_secs().max(1));
                Self::throttled(scene, *wait, text)
            }
            ServiceError::BeyondPower(_) => {
                Self::forbidden(scene, "Your role does not allow that. Ask an administrator of the organisation.")
            }
            ServiceError::Stale => Self::new(
                scene,
                StatusCode::CONFLICT,
                "Somebody changed it meanwhile",
                "What you wanted to change is not what you saw any more. Open it again, then decide anew.",
            ),
            ServiceError::Repeated => Self::new(
                scene,
                StatusCode::CONFLICT,
                "That was sent before",
                "This form was sent already, and what it makes was made then. A key that was made is shown once and cannot be shown again; if you did not keep it, rotate it.",
            ),
            ServiceError::Invalid(text)
            | ServiceError::InvalidField { rule: text, .. }
            | ServiceError::UnknownScope(text) => Self::bad_request(scene, super::faults::sentence(text)),
            ServiceError::Conflict(text) | ServiceError::Rival(text) => {
                Self::new(scene, StatusCode::CONFLICT, "That is not possible now", super::faults::sentence(text))
            }
            ServiceError::KeyReused | ServiceError::Setup(_) | ServiceError::Internal(_) => {
                Self::internal(scene, error)
            }
        }
    }

    /// A body that was not read.
    pub(super) fn body(scene: &Scene, error: BodyError) -> Self {
        let (status, text) = match error {
            BodyError::WrongType | BodyError::Encoded => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the form as a browser does: application/x-www-form-urlencoded.",
            ),
            BodyError::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "A form may have 64 KiB. Make what you entered shorter.")
            }
            BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The form did not come in time. Send it again."),
            BodyError::Broken => (StatusCode::BAD_REQUEST, "The form could not be read. Send it again."),
        };
        let refusal = Self::new(scene, status, "The form was not read", text);
        refusal.change(|response| {
            // What was not read must not be taken for the next request.
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            response.headers_mut().insert(CONNECTION, actix_web::http::header::HeaderValue::from_static("close"));
        })
    }

    /// Notes for the log what the person is not told.
    pub(super) fn logged(self, error: &'static str, detail: &impl fmt::Display) -> Self {
        let outcome = Outcome { error: Some(error), detail: Some(detail.to_string()), ..Outcome::default() };
        self.change(|response| {
            response.extensions_mut().insert(outcome);
        })
    }

    fn after(self, wait: Duration) -> Self {
        self.change(|response| {
            response.headers_mut().insert(RETRY_AFTER, wait.as_secs().max(1).into());
        })
    }

    fn change(self, change: impl FnOnce(&mut HttpResponse)) -> Self {
        if let Some(response) = self.response.borrow_mut().as_mut() {
            change(response);
        }
        self
    }
}

impl fmt::Debug for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageError({})", self.status)
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.response.borrow_mut().take().unwrap_or_else(|| HttpResponse::new(self.status))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = ErrorView {
            heading: "Page not found".to_owned(),
            text: "Nothing.".to_owned(),
            request_id: "a-1".to_owned(),
        };
        vec![sample(view)]
    }
}
