//! What management can answer besides success.

use std::fmt;
use std::time::Duration;

use crate::db::DbError;
use crate::directory::OpenError;
use crate::keys::KeyError;
use crate::secret::{HashError, NoRandomness};

/// Why something was not done. Prints as one line for people.
#[derive(Debug)]
pub enum ServiceError {
    /// What was named is not there.
    NotFound(String),
    /// What was given cannot be used.
    Invalid(String),
    /// What was given for one member cannot be used.
    InvalidField {
        /// The member, as the management API calls it.
        field: &'static str,
        /// What it must be. Echoes nothing that was given.
        rule: String,
        /// Both for people, who may see what they gave.
        text: String,
    },
    /// A scope is none of the organisation's APIs.
    UnknownScope(String),
    /// The doer has not the power to hand that on.
    BeyondPower(String),
    /// What shall be changed is not as the doer thinks.
    Stale,
    /// An idempotency key came with another request before.
    KeyReused,
    /// It was tried too often; it may be tried again after this time.
    Throttled(Duration),
    /// A form that makes something was sent before: what it makes was made then.
    Repeated,
    /// It stands against what is there.
    Conflict(String),
    /// It stands against one thing that is there, which the text names: for all who reach it, not only at a terminal.
    Rival(String),
    /// The memory cannot be reached or used now.
    Unavailable(String),
    /// Something that must be put right before the program can run.
    Setup(String),
    /// A fault of the program or its surroundings.
    Internal(String),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text)
            | Self::UnknownScope(text)
            | Self::Invalid(text)
            | Self::InvalidField { text, .. }
            | Self::BeyondPower(text)
            | Self::Conflict(text)
            | Self::Rival(text)
            | Self::Unavailable(text)
            | Self::Setup(text)
            | Self::Internal(text) => f.write_str(text),
            Self::Stale => f.write_str("it was changed since it was read"),
            Self::Throttled(wait) => write!(f, "it was tried too often; wait {} seconds", wait.as_secs().max(1)),
            Self::Repeated => f.write_str("the form was sent before"),
            Self::KeyReused => f.write_str("the idempotency key was used for another request"),
        }
    }
}

impl std::error::Error for ServiceError {}

impl From<DbError> for ServiceError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) => Self::Unavailable(error.to_string()),
            DbError::Duplicate => Self::Conflict("it is there already".to_owned()),
            DbError::MissingReference => Self::Conflict("something it needs is not there any more".to_owned()),
            DbError::Schema(text) => Self::Setup(text),
            DbError::Corrupt { .. } | DbError::Other(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<KeyError> for ServiceError {
    fn from(error: KeyError) -> Self {
        Self::Setup(error.to_string())
    }
}

impl From<OpenError> for ServiceError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Db(error) => error.into(),
            OpenError::Key(error) => error.into(),
        }
    }
}

impl From<NoRandomness> for ServiceError {
    fn from(error: NoRandomness) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<HashError> for ServiceError {
    fn from(error: HashError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl ServiceError {
    /// A rule for one member, whose words echo nothing that was given.
    pub(crate) fn field(field: &'static str, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Self::InvalidField { field, text: rule.clone(), rule }
    }

    /// The same with other words for people at a terminal, who may see what they gave.
    pub(super) fn field_shown(field: &'static str, rule: impl Into<String>, text: impl Into<String>) -> Self {
        Self::InvalidField { field, rule: rule.into(), text: text.into() }
    }

    /// Says `text` where the database found a duplicate.
    pub(super) fn duplicate(text: impl Into<String>) -> impl FnOnce(DbError) -> Self {
        move |error| match error {
            DbError::Duplicate => Self::Conflict(text.into()),
            other => other.into(),
        }
    }
}
