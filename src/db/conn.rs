//! Connections: SQLite or PostgreSQL by the URL's scheme, pools, reads and writes.

mod off_thread;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, ConnectionError, PgConnection, RunQueryDsl, SqliteConnection, sql_query};
use r2d2::{ManageConnection, Pool, PooledConnection};
use tokio::sync::Semaphore;

use super::error::DbError;
use super::migrations;
use super::migrations::MigrationStatus;
use super::sqlite;
use super::writer::Writer;
use crate::secret::Secret;

/// A connection to either database; queries are written once.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// PostgreSQL, or what speaks its protocol.
    Postgresql(PgConnection),
    /// A file.
    Sqlite(SqliteConnection),
}

/// Runs the same diesel expression on whichever backend it is: for the few statements `MultiConnection` refuses.
macro_rules! on_either {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::db::AnyConnection::Postgresql($c) => $body,
            $crate::db::AnyConnection::Sqlite($c) => $body,
        }
    };
}
pub(super) use on_either;

/// Which database it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// The file.
    Sqlite(PathBuf),
    /// Somewhere else.
    Postgresql,
}

/// How often whoever waits for a connection looks whether the database can be reached at all.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A database that could not be reached is tried again at least this often.
const TRY_AGAIN_EVERY: Duration = Duration::from_millis(500);
/// A host that vanished without a word is noticed within half a minute, so that its connections are made anew.
const KEEPALIVES: &[(&str, &str)] = &[
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "25000"),
];
/// Makes connections for the pool.
struct Connector {
    url: Secret,
    backend: Backend,
    timeout: Duration,
    /// Whether the last attempt to connect went well.
    reachable: Arc<AtomicBool>,
}

impl Connector {
    fn new(url: &Secret, timeout: Duration) -> Self {
        let backend = match url.reveal().strip_prefix("sqlite://") {
            Some(path) => Backend::Sqlite(PathBuf::from(path)),
            None => Backend::Postgresql,
        };
        Self { url: url.clone(), backend, timeout, reachable: Arc::new(AtomicBool::new(true)) }
    }

    fn open(&self) -> Result<AnyConnection, DbError> {
        match &self.backend {
            Backend::Sqlite(path) => sqlite::open(path).map(AnyConnection::Sqlite),
            Backend::Postgresql => self.open_postgresql().map(AnyConnection::Postgresql),
        }
    }

    fn open_postgresql(&self) -> Result<PgConnection, DbError> {
        let url = self.url.reveal();
        let connect_timeout = self.timeout.as_secs().max(2).to_string();
        let mut with_defaults = url.to_owned();
        for (name, value) in [("connect_timeout", connect_timeout.as_str())].iter().chain(KEEPALIVES) {
            if !url.contains(&format!("{name}=")) {
                let separator = if with_defaults.contains('?') { '&' } else { '?' };
                with_defaults.push_str(&format!("{separator}{name}={value}"));
            }
        }
        let mut conn = PgConnection::establish(&with_defaults).map_err(|error| {
            DbError::Unavailable(format!("PostgreSQL: {}", without_url(&error, url).trim().replace('\n', " ")))
        })?;
        conn.batch_execute(&format!(
            "SET client_min_messages = error; SET statement_timeout = {0}; SET lock_timeout = {0}; SET application_name = 'brevet'; SET TIME ZONE 'UTC'",
            self.timeout.as_millis()
        ))?;
        Ok(conn)
    }
}

fn without_url(error: &ConnectionError, url: &str) -> String {
    error.to_string().replace(url, "[database-url]")
}

impl ManageConnection for Connector {
    type Connection = AnyConnection;
    type Error = DbError;

    fn connect(&self) -> Result<AnyConnection, DbError> {
        let opened = self.open();
        self.reachable.store(opened.is_ok(), Ordering::Relaxed);
        opened
    }

    fn is_valid(&self, conn: &mut AnyConnection) -> Result<(), DbError> {
        on_either!(conn, c => c.ping()).map_err(DbError::from)
    }

    fn has_broken(&self, conn: &mut AnyConnection) -> bool {
        std::thread::panicking() || on_either!(conn, c => c.is_broken())
    }
}

/// Whether a text can stand in a table at all: PostgreSQL has no NUL in its texts, and SQLite must say the same. Asked
/// before a text from outside is looked for.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A pattern for texts that hold `words` as they stand, where ASCII letters are small.
pub(super) fn pattern(words: &str) -> String {
    let escaped = words.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{}%", escaped.to_ascii_lowercase())
}

/// A transaction whose body has an error type that knows nothing of diesel.
pub(super) fn in_transaction<T, E: From<DbError>>(
    conn: &mut AnyConnection,
    body: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    enum Failure<E> {
        Body(E),
        Transaction(diesel::result::Error),
    }
    impl<E> From<diesel::result::Error> for Failure<E> {
        fn from(error: diesel::result::Error) -> Self {
            Self::Transaction(error)
        }
    }
    conn.transaction(|conn| body(conn).map_err(Failure::Body)).map_err(|failure| match failure {
        Failure::Body(error) => error,
        Failure::Transaction(error) => DbError::from(error).into(),
    })
}

/// The memory of the server: reads from a pool, writes one after another.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Connector>,
    /// SQLite's one writer; PostgreSQL orders writers by a lock of its own.
    writer: Option<Arc<Writer>>,
    backend: Backend,
    /// How long to wait for a free connection.
    timeout: Duration,
    reachable: Arc<AtomicBool>,
    /// To write for a request; see [`Self::write_off_thread`].
    turns: Arc<Semaphore>,
    /// To look through lists for a request; see [`Self::browse_off_thread`].
    turns_to_browse: Arc<Semaphore>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({:?})", self.backend)
    }
}

impl Database {
    /// Connects. The first connection is made here, so that a wrong address or password is told at once.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached.
    pub fn connect(url: &Secret, pool_size: u32, timeout: Duration) -> Result<Self, DbError> {
        let connector = Connector::new(url, timeout);
        let (backend, reachable) = (connector.backend.clone(), connector.reachable.clone());
        let first = connector.open()?;
        let writer = match backend {
            Backend::Sqlite(_) => Some(Arc::new(Writer::start(first)?)),
            Backend::Postgresql => None,
        };
        let pool = Pool::builder()
            .max_size(pool_size)
            .min_idle(Some(1))
            // The pool doubles its pause between two attempts up to half of this; `checkout` says how long callers wait.
            .connection_timeout(2 * TRY_AGAIN_EVERY)
            // A connection to a server may have died in the pool; one to a file has not.
            .test_on_check_out(writer.is_none())
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(connector);
        let turns = off_thread::turns_to_write(&backend, pool_size);
        let turns_to_browse = off_thread::turns_to_browse(pool_size);
        Ok(Self { pool, writer, backend, timeout, reachable, turns, turns_to_browse })
    }

    /// Which database it is.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Connections in use and idle, for metrics.
    pub fn pool_state(&self) -> (u32, u32) {
        let state = self.pool.state();
        (state.connections.saturating_sub(state.idle_connections), state.idle_connections)
    }

    /// Waits for a free connection, but not while the database cannot be reached: then callers are told at once, and the
    /// pool goes on trying.
    fn checkout(&self) -> Result<PooledConnection<Connector>, DbError> {
        let mut left = self.timeout;
        loop {
            let step = left.min(LOOK_EVERY);
            left = left.saturating_sub(step);
            match self.pool.get_timeout(step) {
                Ok(conn) => return Ok(conn),
                Err(error) if left.is_zero() || !self.reachable.load(Ordering::Relaxed) => {
                    return Err(DbError::unavailable(&error));
                }
                Err(_none_free_yet) => {}
            }
        }
    }

    /// Runs queries that change nothing, all on one view of the data. Blocks: not for the threads that answer requests.
    ///
    /// # Errors
    /// What `queries` returns, or `Unavailable`.
    pub fn read<T>(&self, queries: impl FnOnce(&mut AnyConnection) -> Result<T, DbError>) -> Result<T, DbError> {
        self.read_with(queries)
    }

    /// Like [`Self::read`], for queries whose answer may be an error of another kind.
    ///
    /// # Errors
    /// What `queries` returns, or `Unavailable`.
    pub fn read_with<T, E: From<DbError>>(
        &self,
        queries: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let conn: &mut AnyConnection = &mut *self.checkout()?;
        match conn {
            AnyConnection::Sqlite(_) => in_transaction(conn, queries),
            // Read committed would let two statements see two states.
            AnyConnection::Postgresql(c) => {
                c.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(DbError::from)?;
                let answer = queries(conn);
                let end = if answer.is_ok() { "COMMIT" } else { "ROLLBACK" };
                conn.batch_execute(end).map_err(DbError::from)?;
                answer
            }
        }
    }

    /// Runs changes in one transaction, on disk when this returns. Writers go one after another on both databases: on
    /// SQLite through one thread that commits in groups, on PostgreSQL under an advisory lock taken first, so that
    /// `changes.seq` is committed in its order and nobody who tails it misses a row. Blocks.
    ///
    /// # Errors
    /// What `changes` returns (then nothing was changed), or `Unavailable`.
    pub fn write<T, E>(&self, changes: impl FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        if let Some(writer) = &self.writer {
            return writer.write(changes);
        }
        let conn: &mut AnyConnection = &mut *self.checkout()?;
        in_transaction(conn, |conn| {
            migrations::lock_writers(conn)?;
            changes(conn)
        })
    }

    /// Brings the tables up to date, one program at a time. Returns the names of the migrations that were run.
    ///
    /// # Errors
    /// `Schema` when the tables were made by a newer program.
    pub fn migrate(&self) -> Result<Vec<String>, DbError> {
        migrations::migrate(&mut *self.checkout()?)
    }

    /// Which migrations were run and which are to be run.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn migration_status(&self) -> Result<MigrationStatus, DbError> {
        migrations::status(&mut *self.checkout()?)
    }

    /// Answers whether the database answers.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn ping(&self) -> Result<(), DbError> {
        sql_query("SELECT 1").execute(&mut *self.checkout()?)?;
        Ok(())
    }
}
