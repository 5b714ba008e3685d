//! What is wrong with a form, said at its top and at each field.

use serde::Serialize;

pub(super) use crate::http::answer::sentence;
use crate::service::ServiceError;

/// Everything that is wrong with a form.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Faults(Vec<Fault>);

#[derive(Debug, Clone, Serialize)]
struct Fault {
    /// The id of the field that it concerns; empty for the form as a whole.
    field: String,
    message: String,
}

impl Faults {
    /// One fault of one field.
    pub(super) fn one(field: &str, message: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.add(field, message);
        faults
    }

    /// Adds a fault; `field` is the id of an input, or empty.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Fault { field: field.to_owned(), message: message.into() });
    }

    /// Adds those of another.
    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a walk refused because of what was given; gives the error back if it was refused for another reason.
    ///
    /// Members of the management API have underscores where ids of inputs have hyphens.
    pub(super) fn of_service(error: ServiceError) -> Result<Self, ServiceError> {
        match error {
            ServiceError::InvalidField { field, rule, .. } => Ok(Self::one(&field.replace('_', "-"), sentence(&rule))),
            ServiceError::Invalid(text)
            | ServiceError::Conflict(text)
            | ServiceError::Rival(text)
            | ServiceError::UnknownScope(text) => Ok(Self::one("", sentence(&text))),
            other => Err(other),
        }
    }
}
