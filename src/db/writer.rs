//! SQLite's one writer: a thread that takes what is waiting, runs each change in a savepoint of its own, commits them
//! together and only then answers. SQLite's own waiting is not fair: threads that wait for its lock can starve.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use tokio::sync::oneshot;

use super::conn::{AnyConnection, in_transaction};
use super::error::DbError;

/// Changes that wait for the writer; past that, callers wait to be let in.
const LONGEST_QUEUE: usize = 1_024;
/// Changes in one commit.
const LARGEST_GROUP: usize = 256;

/// Tells the caller, once it is known whether the commit held.
type Answer = Box<dyn FnOnce(Result<(), DbError>) + Send>;
/// Gets the connection inside a transaction, or the reason why there is none.
type Job = Box<dyn FnOnce(Result<&mut AnyConnection, DbError>) -> Answer + Send>;

/// The way to the thread. The thread ends when this is dropped.
pub(super) struct Writer {
    jobs: SyncSender<Job>,
}

impl Writer {
    pub(super) fn start(mut conn: AnyConnection) -> Result<Self, DbError> {
        let (jobs, waiting) = sync_channel(LONGEST_QUEUE);
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run(&mut conn, &waiting))
            .map_err(|error| DbError::Other(format!("the writer thread cannot be started: {error}")))?;
        Ok(Self { jobs })
    }

    pub(super) fn write<T, E>(
        &self,
        changes: impl FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        // If the caller is gone, nobody wants to know.
        let job = job(changes, move |result| drop(answer.send(result)));
        self.jobs.send(job).map_err(|_unsent| stopped())?;
        answered.recv().unwrap_or_else(|_dropped| Err(stopped().into()))
    }

    /// The same without blocking: when the queue is full, the answer is `Unavailable` at once.
    pub(super) async fn write_off_thread<T: Send + 'static>(
        &self,
        changes: impl FnOnce(&mut AnyConnection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (answer, answered) = oneshot::channel();
        let job = job(changes, move |result| drop(answer.send(result)));
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => DbError::Unavailable("too many changes wait to be written".to_owned()),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_dropped| Err(stopped()))
    }
}

/// Runs changes in a savepoint, and tells their result once it is known whether the commit held.
fn job<T, E>(
    changes: impl FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    tell: impl FnOnce(Result<T, E>) + Send + 'static,
) -> Job
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    Box::new(move |conn| {
        let result = conn.map_err(E::from).and_then(|conn| in_transaction(conn, changes));
        Box::new(move |committed| tell(result.and_then(|value| committed.map(|()| value).map_err(E::from))))
    })
}

fn stopped() -> DbError {
    DbError::Other("the writer thread has stopped".to_owned())
}

fn run(conn: &mut AnyConnection, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(LARGEST_GROUP - 1);
        let group: Vec<Job> = std::iter::once(first).chain(more).collect();
        // A change that panics is a fault of the program. Its callers hear of it because their answers are dropped; the
        // thread goes on.
        if catch_unwind(AssertUnwindSafe(|| commit_group(conn, group))).is_err() {
            log::error!("a change to the database panicked");
            roll_back(conn);
        }
    }
}

fn commit_group(conn: &mut AnyConnection, group: Vec<Job>) {
    // IMMEDIATE: a transaction that begins by reading and then wants to write would be turned away at once.
    let begun = sqlite(conn).and_then(|c| Ok(AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?));
    let answers: Vec<Answer> = match begun {
        Ok(()) => group.into_iter().map(|job| job(Ok(conn))).collect(),
        Err(error) => {
            let refusal = error.to_string();
            let refuse = |job: Job| job(Err(DbError::unavailable(&refusal)))(Ok(()));
            group.into_iter().for_each(refuse);
            return;
        }
    };
    let committed = sqlite(conn).and_then(|c| Ok(AnsiTransactionManager::commit_transaction(c)?));
    if committed.is_err() {
        roll_back(conn);
    }
    let failure = committed.err().map(|error| error.to_string());
    for answer in answers {
        answer(failure.as_ref().map_or(Ok(()), |detail| Err(DbError::unavailable(detail))));
    }
}

/// Ends whatever transaction and savepoints are open.
fn roll_back(conn: &mut AnyConnection) {
    let Ok(c) = sqlite(conn) else { return };
    let is_open = |c: &mut SqliteConnection| {
        let depth = AnsiTransactionManager::transaction_manager_status_mut(c).transaction_depth();
        depth.is_ok_and(|depth| depth.is_some())
    };
    while is_open(c) {
        if let Err(error) = AnsiTransactionManager::rollback_transaction(c) {
            log::error!(error:%; "a transaction could not be rolled back");
            return;
        }
    }
}

fn sqlite(conn: &mut AnyConnection) -> Result<&mut SqliteConnection, DbError> {
    match conn {
        AnyConnection::Sqlite(c) => Ok(c),
        AnyConnection::Postgresql(_) => Err(DbError::Other("the writer thread is SQLite's".to_owned())),
    }
}
