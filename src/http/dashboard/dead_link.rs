//! What is shown for a link that does not work: never was, was used, has expired or was taken back.

use actix_web::http::StatusCode;
use serde::Serialize;

use super::error::PageError;
use super::page::{Section, View};
use super::scene::Scene;
use crate::secret::Secret;
use crate::service::links::LinkPurpose;
use crate::service::{Management, ServiceError};

/// The page of a link that does not work.
#[derive(Debug, Serialize)]
pub(super) struct DeadLinkView {
    advice: &'static str,
    /// What whoever runs the server types for another one.
    command: &'static str,
    /// Where somebody asks for another one; empty if nowhere.
    again: &'static str,
}

impl View for DeadLinkView {
    const TEMPLATE: &'static str = "dashboard/dead-link";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "This link does not work".to_owned()
    }
}

impl DeadLinkView {
    const fn of(purpose: LinkPurpose) -> Self {
        match purpose {
            LinkPurpose::Setup => Self {
                advice: "A setup link works once and for 30 minutes. On the machine where the server runs, make another one with this command and open it:",
                command: "brevet setup-link",
                again: "",
            },
            LinkPurpose::Invitation => Self {
                advice: "An invitation works once and for 7 days, and can be taken back. Ask whoever invited you for another one.",
                command: "",
                again: "",
            },
            LinkPurpose::Verification => Self {
                advice: "The link works once and for 24 hours. If your address is confirmed already, sign in; otherwise sign up again.",
                command: "",
                again: "/signup",
            },
            LinkPurpose::Reset => Self {
                advice: "The link works once and for an hour, and no longer than your password stays the same. Ask for another one.",
                command: "",
                again: "/reset",
            },
        }
    }
}

/// What a link is for. Changes nothing; a link that does not work gets the page that says so.
pub(super) async fn look_at<T: Send + 'static>(
    scene: &Scene,
    purpose: LinkPurpose,
    secret: &Secret,
    walk: fn(&Management, &Secret) -> Result<T, ServiceError>,
) -> Result<T, PageError> {
    let (authority, secret) = (&scene.site().authority, secret.clone());
    let found = authority.look(authority.management.clone(), move |m| walk(m, &secret)).await;
    found.map_err(|error| link_refused(scene, purpose, &error))
}

/// The page of a link that was refused, or of another error.
pub(super) fn link_refused(scene: &Scene, purpose: LinkPurpose, error: &ServiceError) -> PageError {
    match error {
        ServiceError::NotFound(_) => {
            scene.page_with(StatusCode::GONE, &DeadLinkView::of(purpose)).map_or_else(|error| error, PageError::of)
        }
        other => PageError::service(scene, other),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let all = [LinkPurpose::Setup, LinkPurpose::Invitation, LinkPurpose::Verification, LinkPurpose::Reset];
        all.into_iter().map(|purpose| sample(DeadLinkView::of(purpose))).collect()
    }
}
