//! Opening the file that is an SQLite database.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use super::error::DbError;

/// How long and how often a connection tries to switch a new file to WAL beside another that does the same.
const WAL_SWITCH_LIMIT: Duration = Duration::from_secs(5);
const WAL_SWITCH_PAUSE: Duration = Duration::from_millis(5);

/// `synchronous=FULL`: what is acknowledged survives a power cut. WAL: readers do not wait for the writer.
pub(super) fn open(path: &Path) -> Result<SqliteConnection, DbError> {
    let shown = path.display();
    let text = path.to_str().ok_or_else(|| DbError::Other(format!("the path {shown} is not UTF-8")))?;
    let failed = |error: &dyn fmt::Display| DbError::Unavailable(format!("the file {shown} cannot be opened: {error}"));
    let unusable = |error| DbError::Other(format!("the file {shown} cannot be used as a database: {error}"));
    create_private_file(path).map_err(|error| failed(&error))?;
    let mut conn = SqliteConnection::establish(text).map_err(|error| failed(&error))?;
    conn.batch_execute("PRAGMA busy_timeout = 5000;").map_err(unusable)?;
    switch_to_wal(&mut conn).map_err(unusable)?;
    conn.batch_execute(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;",
    )
    .map_err(unusable)?;
    Ok(conn)
}

/// SQLite would make the file readable for everybody; its companions take their mode from it. A file that is there is
/// left alone: whoever opens and closes it loses the locks that SQLite holds on it elsewhere in this process. That is
/// also why the file is made under another name.
fn create_private_file(path: &Path) -> std::io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let draft = path.with_extension(format!("{}.draft", uuid::Uuid::new_v4().simple()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let placed = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // A file system without hard links: there, nobody else may make the database in the same moment.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            return fs::rename(&draft, path);
        }
        placed => placed,
    };
    fs::remove_file(&draft)?;
    placed
}

/// The one step that SQLite refuses at once, without waiting for `busy_timeout`, while another program takes it.
fn switch_to_wal(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    let start = Instant::now();
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error) if error.to_string().contains("locked") && start.elapsed() < WAL_SWITCH_LIMIT => {
                std::thread::sleep(WAL_SWITCH_PAUSE);
            }
            switched => return switched,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn many_open_a_new_file_in_the_same_moment() {
        for _round in 0..25 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("new.db");
            let together = Barrier::new(8);
            std::thread::scope(|scope| {
                let opens: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            together.wait();
                            open(&path).map(drop)
                        })
                    })
                    .collect();
                for opened in opens {
                    opened.join().unwrap().unwrap();
                }
            });
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(
                !fs::read_dir(&directory).unwrap().any(|entry| entry.unwrap().path().extension().unwrap() == "draft")
            );
        }
    }
}
