//! What every walk that changes the memory needs.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::error::ServiceError;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::audit::AuditEntry;
use crate::db::changes::{self, ChangeKind};
use crate::db::{AnyConnection, Backend, Database, DbError, audit, meta};
use crate::keys::envelope::MasterKey;
use crate::oauth::ClientId;
use crate::secret::Pepper;

/// The memory, the keys to it, and who is at work.
#[derive(Debug, Clone)]
pub struct Management {
    pub(super) database: Database,
    pub(super) master_key: Arc<MasterKey>,
    pub(super) pepper: Pepper,
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    /// Who does it, for the audit: `cli:root`, `server`, …
    pub(super) actor: Arc<str>,
}

impl std::fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

const MASTER_KEY_FILE: &str = "master.key";

impl Management {
    /// Opens the memory: makes the data directory and the master key the first time, brings the tables up to date.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached; `Setup` when the master key is not the one the database was
    /// made with, or the tables are not up to date.
    pub fn open(config: Arc<Config>, clock: Arc<dyn Clock>, actor: &str) -> Result<Self, ServiceError> {
        let database = connect(&config)?;
        if config.auto_migrate {
            database.migrate()?;
        } else {
            refuse_outdated(&database)?;
        }
        let master_key = Arc::new(open_master_key(&database, &config)?);
        let pepper = master_key.pepper()?;
        Ok(Self { database, master_key, pepper, config, clock, actor: actor.into() })
    }

    /// The database behind it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes who did it; goes into the transaction of the deed.
    pub(super) fn deed(&self) -> Deed {
        Deed { actor: self.actor.clone(), now: self.now() }
    }
}

/// Connects to the database that the settings name, making the directory of an embedded one.
///
/// # Errors
/// When the directory cannot be made or the database cannot be reached.
pub fn connect(config: &Config) -> Result<Database, ServiceError> {
    make_private_directory(&config.data_dir)?;
    Ok(Database::connect(&config.database_url, config.database_pool_size, config.database_timeout)?)
}

fn make_private_directory(path: &Path) -> Result<(), ServiceError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        ServiceError::Setup(format!(
            "the data directory {} cannot be made: {error}; choose another with --data-dir",
            path.display()
        ))
    })
}

fn refuse_outdated(database: &Database) -> Result<(), ServiceError> {
    let status = database.migration_status()?;
    if let Some(newer) = status.unknown.last() {
        return Err(ServiceError::Setup(format!(
            "the database was last used by a newer Brevet (its tables have version {newer}); start that version or a later one"
        )));
    }
    if status.pending.is_empty() {
        return Ok(());
    }
    Err(ServiceError::Setup("the tables are not up to date and auto-migrate is off; run: brevet migrate up".to_owned()))
}

/// The master key that belongs to the database. It is made once, when the database is empty, and never again: with
/// another one, every App Key and signing key would be lost.
fn open_master_key(database: &Database, config: &Config) -> Result<MasterKey, ServiceError> {
    let expected = database.read(|conn| meta::find(conn, meta::MASTER_KEY))?;
    let path = config.data_dir.join(MASTER_KEY_FILE);
    let (key, source) = match &config.master_key {
        Some(hex) => (Some(MasterKey::from_hex(hex.reveal())?), "BREVET_MASTER_KEY".to_owned()),
        None => (MasterKey::read_file(&path)?, path.display().to_string()),
    };
    let wrong = |advice: &str| {
        Err(ServiceError::Setup(format!(
            "the master key in {source} is not the one this database was made with; {advice}"
        )))
    };
    match (key, expected) {
        (Some(key), Some(expected)) if key.fingerprint()? == expected => Ok(key),
        (Some(_), Some(_)) => wrong("restore the right one from a backup"),
        (None, Some(_)) => Err(ServiceError::Setup(format!(
            "the database was made with a master key, but {source} is not there; restore it from a backup, or copy it from the node that made the database"
        ))),
        (Some(key), None) => {
            if adopt(database, &key)? {
                Ok(key)
            } else {
                wrong("another node was quicker to set up the database: use its master key")
            }
        }
        (None, None) => {
            let key = MasterKey::generate()?;
            if !key.create_file(&path)? {
                // Another process of this machine was quicker; its key is as good.
                return open_master_key(database, config);
            }
            if adopt(database, &key)? {
                return Ok(key);
            }
            // Nothing was encrypted under it, so nothing is lost with it.
            let _already_gone = fs::remove_file(&path);
            wrong(
                "another node was quicker to set up the database: copy its master.key, or give both BREVET_MASTER_KEY",
            )
        }
    }
}

/// Writes down which master key this database is for. `false` if it is for another.
fn adopt(database: &Database, key: &MasterKey) -> Result<bool, ServiceError> {
    let fingerprint = key.fingerprint()?;
    database.write(move |conn| -> Result<bool, ServiceError> {
        match meta::find(conn, meta::MASTER_KEY)? {
            Some(known) => Ok(known == fingerprint),
            None => {
                meta::insert(conn, meta::MASTER_KEY, &fingerprint)?;
                Ok(true)
            }
        }
    })
}

/// Who does something, and when: what an audit row needs besides the deed.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    actor: Arc<str>,
    pub(super) now: Timestamp,
}

impl Deed {
    /// What a client does itself.
    pub(super) fn of_client(client_id: ClientId, now: Timestamp) -> Self {
        Self { actor: format!("client:{client_id}").into(), now }
    }

    /// Who does it.
    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    /// Writes the audit row and the change row of a deed, in its transaction.
    pub(super) fn record(
        &self,
        conn: &mut AnyConnection,
        organisation_id: Option<Uuid>,
        action: &str,
        target: &str,
        detail: Value,
        changed: Option<ChangeKind>,
    ) -> Result<(), DbError> {
        let entry = AuditEntry {
            at: self.now,
            organisation_id,
            actor: self.actor.to_string(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail,
        };
        audit::record(conn, &entry)?;
        changed.map_or(Ok(()), |kind| changes::record(conn, kind, target, self.now))
    }
}

/// What is shown of where the memory is: never the password in a URL.
pub fn shown_location(database: &Database) -> String {
    match database.backend() {
        Backend::Sqlite(path) => format!("SQLite {}", path.display()),
        Backend::Postgresql => "PostgreSQL".to_owned(),
    }
}
