//! What can go wrong with the memory.

use std::fmt;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A query that could not be answered.
#[derive(Debug)]
pub enum DbError {
    /// The database cannot be reached or does not take work now: try later.
    Unavailable(String),
    /// A row with the same unique value is there already.
    Duplicate,
    /// A row that this one needs is not there.
    MissingReference,
    /// A row holds what the program never wrote.
    Corrupt {
        /// Where.
        table: &'static str,
        /// Where in the row.
        column: &'static str,
        /// Which row.
        id: String,
    },
    /// The tables were made by a newer program, or are not up to date.
    Schema(String),
    /// A fault of the program or its surroundings.
    Other(String),
}

const UNAVAILABLE: &str = "the database is unavailable: ";

impl DbError {
    /// For a cause which may be such an error itself, or hold one: it is said once, and on one line.
    pub(crate) fn unavailable(cause: &impl fmt::Display) -> Self {
        Self::Unavailable(cause.to_string().replace(UNAVAILABLE, "").trim().replace('\n', " "))
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(detail) => write!(f, "{UNAVAILABLE}{detail}"),
            Self::Duplicate => f.write_str("a row with the same unique value is there already"),
            Self::MissingReference => f.write_str("a row that this one needs is not there"),
            Self::Corrupt { table, column, id } => write!(f, "{table}.{column} of {id} holds what Brevet never wrote"),
            Self::Schema(detail) | Self::Other(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for DbError {}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, information) = &error else {
            return Self::Other(format!("a query failed: {error}"));
        };
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Duplicate,
            DatabaseErrorKind::ForeignKeyViolation => Self::MissingReference,
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable(information.message().to_owned()),
            _ if is_passing(information.message()) => Self::Unavailable(information.message().to_owned()),
            _ => Self::Other(format!("a query failed: {}", information.message())),
        }
    }
}

/// Faults of the surroundings that diesel has no kind for: they pass, and then the same query works again.
fn is_passing(message: &str) -> bool {
    const PASSING: &[&str] = &[
        "database is locked",
        "database or disk is full",
        "disk I/O error",
        "attempt to write a readonly database",
        "deadlock detected",
        "canceling statement due to",
        "terminating connection",
        "server closed the connection",
        "the database system is",
        "connection to server",
        "no connection to the server",
    ];
    PASSING.iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_database_is_unavailable_is_said_once() {
        let locked = DbError::Unavailable("database is locked".to_owned());
        let pooled = format!("timed out waiting for connection: {locked}\n");
        for (cause, told) in [
            (locked.to_string(), "database is locked"),
            (pooled, "timed out waiting for connection: database is locked"),
        ] {
            assert_eq!(DbError::unavailable(&cause).to_string(), format!("the database is unavailable: {told}"));
        }
    }
}
