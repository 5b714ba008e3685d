//! How a command fails: one line and a code from sysexits.

use std::fmt;

use crate::config::ConfigError;
use crate::db::DbError;
use crate::http::StartError;
use crate::service::ServiceError;

/// A check said no.
pub(super) const CHECK_FAILED: u8 = 1;
/// The command was written wrongly.
pub(super) const USAGE: u8 = 64;
/// Given data cannot be used.
const BAD_DATA: u8 = 65;
/// Given input cannot be read.
const NO_INPUT: u8 = 66;
/// What was named is not there.
const NOT_FOUND: u8 = 67;
/// A server or database does not answer, or an address is taken.
const UNAVAILABLE: u8 = 69;
/// A fault of the program.
const INTERNAL: u8 = 70;
/// Reading or writing failed.
const IO: u8 = 74;
/// The settings cannot be used.
const CONFIGURATION: u8 = 78;

/// Why a command failed. Prints as one line.
#[derive(Debug)]
pub struct CliError {
    code: u8,
    message: String,
}

impl CliError {
    fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string().replace('\n', " ") }
    }

    pub(super) fn check_failed(message: impl fmt::Display) -> Self {
        Self::new(CHECK_FAILED, message)
    }

    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    pub(super) fn bad_data(message: impl fmt::Display) -> Self {
        Self::new(BAD_DATA, message)
    }

    pub(super) fn no_input(message: impl fmt::Display) -> Self {
        Self::new(NO_INPUT, message)
    }

    pub(super) fn not_found(message: impl fmt::Display) -> Self {
        Self::new(NOT_FOUND, message)
    }

    pub(super) fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(UNAVAILABLE, message)
    }

    pub(super) fn internal(message: impl fmt::Display) -> Self {
        Self::new(INTERNAL, message)
    }

    pub(super) fn io(message: impl fmt::Display) -> Self {
        Self::new(IO, message)
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIGURATION, error)
    }
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        let code = match &error {
            ServiceError::NotFound(_) | ServiceError::UnknownScope(_) => NOT_FOUND,
            ServiceError::Invalid(_)
            | ServiceError::InvalidField { .. }
            | ServiceError::Conflict(_)
            | ServiceError::Rival(_)
            | ServiceError::BeyondPower(_)
            | ServiceError::Stale
            | ServiceError::Repeated
            | ServiceError::KeyReused => BAD_DATA,
            ServiceError::Unavailable(_) | ServiceError::Throttled(_) => UNAVAILABLE,
            ServiceError::Setup(_) => CONFIGURATION,
            ServiceError::Internal(_) => INTERNAL,
        };
        Self::new(code, error)
    }
}

impl From<DbError> for CliError {
    fn from(error: DbError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        let code = match &error {
            StartError::Listen { .. } => UNAVAILABLE,
            StartError::Internal(_) => INTERNAL,
        };
        Self::new(code, error)
    }
}
