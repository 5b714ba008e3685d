//! What every walk that changes the memory needs.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use super::access::ValidToken;
use super::deed::{Condition, Deed, Doer};
use super::error::ServiceError;
use super::usage::Busiest;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::{Backend, Database, meta};
use crate::keys::envelope::MasterKey;
use crate::oauth::{Client, ClientId};
use crate::secret::Pepper;

/// The memory, the keys to it, and who is at work.
#[derive(Debug, Clone)]
pub struct Management {
    pub(super) database: Database,
    pub(super) master_key: Arc<MasterKey>,
    pub(super) pepper: Pepper,
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) doer: Doer,
    pub(super) busiest: Arc<Busiest>,
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
        Ok(Self { database, master_key, pepper, config, clock, doer: Doer::unbounded(actor), busiest: Arc::default() })
    }

    /// The memory as it is: makes nothing, brings nothing up to date.
    ///
    /// # Errors
    /// `Setup` when the master key is not there, or not the one the database was made with.
    pub(super) fn existing(
        config: Arc<Config>,
        database: Database,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let expected = database.read(|conn| meta::find(conn, meta::MASTER_KEY))?;
        let (key, source) = read_master_key(&config)?;
        let master_key = match key {
            Some(key) if expected.is_none_or(|expected| key.fingerprint().is_ok_and(|is| is == expected)) => key,
            Some(_) => return Err(wrong_master_key(&source, "restore the right one from a backup")),
            None => return Err(missing_master_key(&source)),
        };
        let pepper = master_key.pepper()?;
        let master_key = Arc::new(master_key);
        Ok(Self {
            database,
            master_key,
            pepper,
            config,
            clock,
            doer: Doer::unbounded("doctor"),
            busiest: Arc::default(),
        })
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

    /// The same for an app that came with a token of these scopes: it sees its organisation and nothing else.
    #[must_use]
    pub fn on_behalf_of(&self, client: &Client, scopes: Vec<String>, address: IpAddr) -> Self {
        Self { doer: Doer::app(client, scopes, address), ..self.clone() }
    }

    /// The same with the token that was shown, which may be a user's, or an app's that acts for somebody.
    #[must_use]
    pub fn showing(self, token: &ValidToken) -> Self {
        Self { doer: self.doer.showing(token), ..self }
    }

    /// The same, but changes are made only on a condition.
    #[must_use]
    pub fn on(self, condition: Condition) -> Self {
        Self { doer: self.doer.on(condition), ..self }
    }

    /// The same, but what is made is made once for all requests of that client with that idempotency key; `request` is
    /// what must be equal each time.
    #[must_use]
    pub fn once(self, client_id: ClientId, key: &str, request: &[&[u8]]) -> Self {
        Self { doer: self.doer.once(client_id, key, request, self.master_key.clone()), ..self }
    }

    /// Notes who did it; goes into the transaction of the deed.
    pub(super) fn deed(&self) -> Deed {
        Deed { doer: self.doer.clone(), now: self.now() }
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

/// Refuses an embedded database that is not there, for who would only find it empty: a mistyped directory is told, and
/// nothing is made in it. Another database says itself that it is not there.
///
/// # Errors
/// `Setup`.
pub fn refuse_missing(config: &Config) -> Result<(), ServiceError> {
    let file = config.database_url.reveal().strip_prefix("sqlite://");
    let Some(missing) = file.filter(|file| !Path::new(file).exists()) else { return Ok(()) };
    Err(ServiceError::Setup(format!(
        "there is no database {missing}; name the right place with --data-dir or --database-url, or make it: brevet serve, or brevet org create"
    )))
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

/// The master key that is given or lies in the data directory, if there is one, and where that is.
fn read_master_key(config: &Config) -> Result<(Option<MasterKey>, String), ServiceError> {
    let path = config.data_dir.join(MASTER_KEY_FILE);
    Ok(match &config.master_key {
        Some(hex) => (Some(MasterKey::from_hex(hex.reveal())?), "BREVET_MASTER_KEY".to_owned()),
        None => (MasterKey::read_file(&path)?, path.display().to_string()),
    })
}

fn wrong_master_key(source: &str, advice: &str) -> ServiceError {
    ServiceError::Setup(format!("the master key in {source} is not the one this database was made with; {advice}"))
}

fn missing_master_key(source: &str) -> ServiceError {
    ServiceError::Setup(format!(
        "the database was made with a master key, but {source} is not there; restore it from a backup, or copy it from the node that made the database"
    ))
}

/// The master key that belongs to the database. It is made once, when the database is empty, and never again: with
/// another one, every App Key and signing key would be lost.
fn open_master_key(database: &Database, config: &Config) -> Result<MasterKey, ServiceError> {
    let expected = database.read(|conn| meta::find(conn, meta::MASTER_KEY))?;
    let path = config.data_dir.join(MASTER_KEY_FILE);
    let (key, source) = read_master_key(config)?;
    let wrong = |advice: &str| Err(wrong_master_key(&source, advice));
    match (key, expected) {
        (Some(key), Some(expected)) if key.fingerprint()? == expected => Ok(key),
        (Some(_), Some(_)) => wrong("restore the right one from a backup"),
        (None, Some(_)) => Err(missing_master_key(&source)),
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

/// What is shown of where the memory is: never the password in a URL.
pub fn shown_location(database: &Database) -> String {
    match database.backend() {
        Backend::Sqlite(path) => format!("SQLite {}", path.display()),
        Backend::Postgresql => "PostgreSQL".to_owned(),
    }
}
