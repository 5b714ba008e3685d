//! A form that was refused: with which status its page comes again, and what is wrong with it.

use actix_web::http::StatusCode;

use super::error::PageError;
use super::faults::{Faults, sentence};
use super::scene::Scene;
use crate::service::ServiceError;

/// The status and the faults with which the page is shown again.
///
/// # Errors
/// The page of an error that is none of the form.
pub(super) fn refusal(scene: &Scene, error: ServiceError) -> Result<(StatusCode, Faults), PageError> {
    match error {
        ServiceError::Conflict(text) | ServiceError::Rival(text) => {
            Ok((StatusCode::CONFLICT, Faults::one("", sentence(&text))))
        }
        ServiceError::BeyondPower(text) => Ok((StatusCode::FORBIDDEN, Faults::one("", sentence(&text)))),
        other => match Faults::of_service(other) {
            Ok(faults) => Ok((StatusCode::UNPROCESSABLE_ENTITY, faults)),
            Err(error) => Err(PageError::service(scene, &error)),
        },
    }
}
