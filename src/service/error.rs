//! What management can answer besides success.

use std::fmt;

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
    /// It stands against what is there.
    Conflict(String),
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
            | Self::Invalid(text)
            | Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::Setup(text)
            | Self::Internal(text) => f.write_str(text),
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
    /// Says `text` where the database found a duplicate.
    pub(super) fn duplicate(text: impl Into<String>) -> impl FnOnce(DbError) -> Self {
        move |error| match error {
            DbError::Duplicate => Self::Conflict(text.into()),
            other => other.into(),
        }
    }
}
