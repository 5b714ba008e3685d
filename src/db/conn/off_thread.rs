//! Reads and writes for the threads that answer requests: they wait without blocking, and not for ever.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{AnyConnection, Backend, Database};
use crate::db::DbError;

/// SQLite's writer commits many changes together, and each that waits for it holds a thread.
const SQLITE_TURNS: u32 = 64;

/// How many requests may write at once. On PostgreSQL each holds a connection, one works and the others wait for it: most
/// connections are left to those who read.
pub(super) fn turns_to_write(backend: &Backend, pool_size: u32) -> Arc<Semaphore> {
    let turns = match backend {
        Backend::Sqlite(_) => SQLITE_TURNS,
        Backend::Postgresql => pool_size.div_ceil(4),
    };
    Arc::new(Semaphore::new(usize::try_from(turns).unwrap_or(1)))
}

/// How many requests may look through lists at once: they take long where there is much, and connections are left to those
/// who need one row for a token.
pub(super) fn turns_to_browse(pool_size: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(pool_size.div_ceil(2)).unwrap_or(1)))
}

impl Database {
    /// Like [`Self::read`], for the threads that answer requests: see [`Self::off_thread`].
    ///
    /// # Errors
    /// What `queries` returns, or `Unavailable`.
    pub async fn read_off_thread<T: Send + 'static>(
        &self,
        queries: impl FnOnce(&mut AnyConnection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.off_thread(|database| database.read(queries)).await
    }

    /// Like [`Self::write`], for the threads that answer requests, and for **one** INSERT of which the database itself says
    /// whether it may be: waits without blocking, no longer than `database-timeout`, and on PostgreSQL not behind other
    /// writers, whose lock it does not need. What it adds must not be in the change table.
    ///
    /// # Errors
    /// What `insert` returns, or `Unavailable`: then nobody knows whether the row is there.
    pub async fn insert_off_thread<T: Send + 'static>(
        &self,
        insert: impl FnOnce(&mut AnyConnection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let Some(writer) = &self.writer else {
            return self.write_off_thread(|database| insert(&mut *database.checkout()?)).await;
        };
        let answer = timeout(self.timeout, writer.write_off_thread(insert)).await;
        answer.map_err(|_elapsed| DbError::Unavailable("no answer within database-timeout".to_owned()))?
    }

    /// Like [`Self::off_thread`], for work that writes. Few do it at once, so that those who read still find a free
    /// connection; the others wait, no longer than the setting `database-timeout`.
    ///
    /// # Errors
    /// What `work` returns, or `Unavailable`, also when it is not known whether a change was made.
    pub async fn write_off_thread<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.in_turn(&self.turns, "too many changes wait", work).await
    }

    /// Like [`Self::off_thread`], for work that reads much. Few do it at once; the others wait, no longer than the setting
    /// `database-timeout`.
    ///
    /// # Errors
    /// What `work` returns, or `Unavailable`.
    pub async fn browse_off_thread<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.in_turn(&self.turns_to_browse, "too many wait for lists", work).await
    }

    async fn in_turn<T, E>(
        &self,
        turns: &Arc<Semaphore>,
        crowded: &'static str,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let turn = timeout(self.timeout, turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_elapsed| DbError::Unavailable(crowded.to_owned()))?;
        let work = move |database: &Self| {
            let _turn = turn;
            work(database)
        };
        self.off_thread(work).await
    }

    /// Runs blocking work with the database away from the threads that answer requests: waits without blocking them, and
    /// no longer than the setting `database-timeout`, even for a database that accepts a query and never answers. Work
    /// that was waited for in vain goes on.
    ///
    /// # Errors
    /// What `work` returns, or `Unavailable`.
    #[expect(clippy::disallowed_methods, reason = "the one place where the database hops to the blocking pool")]
    pub async fn off_thread<T, E>(&self, work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let database = self.clone();
        match timeout(self.timeout, spawn_blocking(move || work(&database))).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(DbError::Other(format!("work with the database did not finish: {error}")).into()),
            Err(_elapsed) => Err(DbError::Unavailable("no answer within database-timeout".to_owned()).into()),
        }
    }
}
