//! What operators want to know of the server as a whole.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::{Authority, Management, ServiceError};
use crate::clock::Timestamp;
use crate::config::EffectiveSetting;
use crate::db::meta::{self, Extent};
use crate::db::{Backend, MigrationStatus};

/// The server and what it stands on.
#[derive(Debug, Clone)]
pub struct SystemFacts {
    /// The program's version.
    pub version: &'static str,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// How long that is.
    pub uptime: Duration,
    /// `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// Where that is: a file, or a host and a name; never a user or a password.
    pub location: String,
    /// How much there is in it.
    pub extent: Extent,
    /// What was done to its tables.
    pub migrations: MigrationStatus,
    /// Connections in use and idle.
    pub connections: (u32, u32),
    /// Apps held in memory, and how many can be.
    pub apps_held: (usize, usize),
    /// What happened by itself, by name.
    pub chores: Vec<(&'static str, ChoreRun)>,
    /// Every setting, secrets masked.
    pub settings: Vec<EffectiveSetting>,
}

/// The last time that something was done by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoreRun {
    /// When.
    pub at: Timestamp,
    /// Whether it was done; the log says why not.
    pub is_done: bool,
}

/// The last run of each chore of [`super::housekeeping`].
#[derive(Debug, Default)]
pub struct ChoreRuns(Mutex<BTreeMap<&'static str, ChoreRun>>);

impl ChoreRuns {
    pub(super) fn record(&self, name: &'static str, run: ChoreRun) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, run);
    }

    fn list(&self) -> Vec<(&'static str, ChoreRun)> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().map(|(name, run)| (*name, run.clone())).collect()
    }
}

/// The facts at this moment. Blocks.
///
/// # Errors
/// When the database does not answer.
pub fn facts(m: &Management, authority: &Authority) -> Result<SystemFacts, ServiceError> {
    let now = m.now();
    let (database, location) = match m.database.backend() {
        Backend::Sqlite(path) => ("SQLite", path.display().to_string()),
        Backend::Postgresql => ("PostgreSQL", host_and_name(m.config.database_url.reveal())),
    };
    Ok(SystemFacts {
        version: env!("CARGO_PKG_VERSION"),
        started_at: authority.started_at,
        uptime: now.since(authority.started_at),
        database,
        location,
        extent: m.database.read(|conn| meta::extent(conn, now))?,
        migrations: m.database.migration_status()?,
        connections: m.database.pool_state(),
        apps_held: (authority.directory.apps_held(), m.config.app_cache),
        chores: authority.chores.list(),
        settings: m.config.effective.clone(),
    })
}

/// Of a database's URL, what is no secret.
fn host_and_name(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "an address that cannot be shown".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}{}", url.host_str().unwrap_or("local socket"), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_database_is_shown_without_user_and_password() {
        let cases = [
            (
                "postgres://brevet:hunter2@db.example:5433/tokens?sslmode=require&password=hunter2",
                "db.example:5433/tokens",
            ),
            ("postgres://db.example/tokens", "db.example/tokens"),
            ("postgresql:///tokens?host=/run/hunter2", "local socket/tokens"),
            ("host=db password=hunter2", "an address that cannot be shown"),
        ];
        for (url, shown) in cases {
            assert_eq!(host_and_name(url), shown);
        }
    }
}
