//! Bringing the tables up to date.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::sqlite::Sqlite;
use diesel::{RunQueryDsl, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::conn::{AnyConnection, on_either};
use super::error::DbError;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRESQL: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Advisory lock of whoever migrates. The numbers are arbitrary, fixed and ours.
const MIGRATION_LOCK: i64 = 0x6272_6576_6574_0001;
/// Advisory lock of whoever writes.
const WRITER_LOCK: i64 = 0x6272_6576_6574_0002;

/// What was run, what is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Run on this database.
    pub applied: Vec<String>,
    /// Known to this program and not run yet.
    pub pending: Vec<String>,
    /// Run by a newer program.
    pub unknown: Vec<String>,
}

/// On PostgreSQL, waits until no other transaction of ours writes. Held until this one ends.
pub(super) fn lock_writers(conn: &mut AnyConnection) -> Result<(), DbError> {
    if let AnyConnection::Postgresql(c) = conn {
        sql_query(format!("SELECT pg_advisory_xact_lock({WRITER_LOCK})")).execute(c)?;
    }
    Ok(())
}

fn known() -> Result<Vec<String>, DbError> {
    let migrations = MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(failed)?;
    let mut names: Vec<String> = migrations.iter().map(|migration| version_of(&migration.name().version())).collect();
    names.sort_unstable();
    Ok(names)
}

fn version_of(version: &MigrationVersion<'_>) -> String {
    version.to_string()
}

fn failed(error: impl std::fmt::Display) -> DbError {
    DbError::Schema(format!("the tables cannot be brought up to date: {}", error.to_string().replace('\n', " ")))
}

pub(super) fn status(conn: &mut AnyConnection) -> Result<MigrationStatus, DbError> {
    let applied = on_either!(conn, c => c.applied_migrations()).map_err(failed)?;
    let mut applied: Vec<String> = applied.iter().map(version_of).collect();
    applied.sort_unstable();
    let known = known()?;
    let pending = known.iter().filter(|name| !applied.contains(name)).cloned().collect();
    let unknown = applied.iter().filter(|name| !known.contains(name)).cloned().collect();
    Ok(MigrationStatus { applied, pending, unknown })
}

/// Runs what is pending in one transaction (SQLite) or under one lock (PostgreSQL): of two programs that start together
/// one does it and the other waits, and one that is killed half-way leaves nothing half-done.
pub(super) fn migrate(conn: &mut AnyConnection) -> Result<Vec<String>, DbError> {
    match conn {
        AnyConnection::Sqlite(c) => {
            if let Ok(now) = c.applied_migrations()
                && now.iter().map(version_of).collect::<std::collections::BTreeSet<_>>()
                    == known()?.into_iter().collect()
            {
                return Ok(Vec::new());
            }
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN EXCLUSIVE")?;
        }
        AnyConnection::Postgresql(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN")?;
            // Waiting for another node's migration takes as long as it takes. LOCAL: the connection goes back to the pool.
            sql_query("SET LOCAL lock_timeout = 0").execute(c)?;
            sql_query("SET LOCAL statement_timeout = 0").execute(c)?;
            sql_query(format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).execute(c)?;
        }
    }
    let result = run_pending(conn);
    let end = |conn: &mut AnyConnection| match (&result, conn) {
        (Ok(_), AnyConnection::Sqlite(c)) => AnsiTransactionManager::commit_transaction(c),
        (Ok(_), AnyConnection::Postgresql(c)) => AnsiTransactionManager::commit_transaction(c),
        (Err(_), AnyConnection::Sqlite(c)) => AnsiTransactionManager::rollback_transaction(c),
        (Err(_), AnyConnection::Postgresql(c)) => AnsiTransactionManager::rollback_transaction(c),
    };
    end(conn)?;
    result
}

fn run_pending(conn: &mut AnyConnection) -> Result<Vec<String>, DbError> {
    let before = status(conn)?;
    if let Some(newer) = before.unknown.last() {
        return Err(DbError::Schema(format!(
            "the database was last used by a newer Brevet (its tables have version {newer}, unknown to {}); start that version or a later one",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let run = match conn {
        AnyConnection::Sqlite(c) => c.run_pending_migrations(SQLITE).map_err(failed)?,
        AnyConnection::Postgresql(c) => c.run_pending_migrations(POSTGRESQL).map_err(failed)?,
    };
    Ok(run.iter().map(version_of).collect())
}

#[cfg(test)]
mod tests {
    use diesel::migration::Migration;
    use diesel::pg::Pg;

    use super::*;

    #[test]
    fn both_trees_have_the_same_migrations() {
        let sqlite: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().unwrap();
        let postgresql: Vec<Box<dyn Migration<Pg>>> = POSTGRESQL.migrations().unwrap();
        let sqlite: Vec<String> = sqlite.iter().map(|migration| migration.name().to_string()).collect();
        let postgresql: Vec<String> = postgresql.iter().map(|migration| migration.name().to_string()).collect();
        assert!(!sqlite.is_empty());
        assert_eq!(sqlite, postgresql);
    }
}
