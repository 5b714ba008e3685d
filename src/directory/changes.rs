//! Following the change table: what changed is dropped or loaded anew, on every node, within a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::apps::Apps;
use super::{Directory, OpenError, signing_keys};
use crate::clock::{Clock, Timestamp};
use crate::db;
use crate::db::changes::{Change, ChangeKind};
use crate::oauth::ClientId;

/// How often the table is read. The promise is one second, so this leaves room for a slow answer.
const POLL: Duration = Duration::from_millis(200);

/// When the database last answered, by the monotonic clock.
pub(super) struct Heard(RwLock<Instant>);

impl Heard {
    pub(super) fn now() -> Self {
        Self(RwLock::new(Instant::now()))
    }

    fn again(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Directory {
    /// Takes in every change since the last time. Blocks.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was taken in and the next call tries again.
    pub fn catch_up(&self, now: Timestamp) -> Result<(), OpenError> {
        let _one_at_a_time = self.taking_in.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = self.seq.load(Ordering::SeqCst);
        let (changes, first, last) = self.database.read(|conn| {
            let changes = db::changes::list_after(conn, seq)?;
            let (first, last) = db::changes::span(conn)?;
            Ok((changes, first, last))
        })?;
        // Rows this node never saw were deleted, or the database is another one: nothing in memory can be trusted.
        let missed = first > seq + 1 || last < seq;
        if missed {
            self.replace_revocations(now)?;
            self.reload_signing_keys(now)?;
            self.apps.forget_with(Apps::forget_everything);
        } else if !changes.is_empty() {
            self.take_in(&changes, now)?;
        }
        self.seq.store(last, Ordering::SeqCst);
        self.heard.again();
        Ok(())
    }

    fn take_in(&self, changes: &[Change], now: Timestamp) -> Result<(), OpenError> {
        // First, so that an API never asks for the signature of a key that is not there yet.
        if changes.iter().any(|change| change.kind == Some(ChangeKind::SigningKeys)) {
            self.reload_signing_keys(now)?;
        }
        self.apps.forget_with(|apps| {
            for change in changes {
                match (change.kind, Uuid::try_parse(&change.id), ClientId::parse(&change.id)) {
                    (Some(ChangeKind::App), _, Some(client_id)) => apps.forget(client_id),
                    (Some(ChangeKind::Api), Ok(id), _) => apps.forget_api(id),
                    (Some(ChangeKind::Organisation), Ok(id), _) => apps.forget_organisation(id),
                    (Some(ChangeKind::Revocations), ..) => self.revocations.insert(&change.id),
                    (Some(ChangeKind::SigningKeys), ..) => {}
                    // A newer program's kind of change, or an id of another form: better to forget too much.
                    _ => apps.forget_everything(),
                }
            }
        });
        Ok(())
    }

    /// Reads the revoked tokens anew, without those that have expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn reload_revocations(&self, now: Timestamp) -> Result<(), OpenError> {
        let _one_at_a_time = self.taking_in.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace_revocations(now)
    }

    fn replace_revocations(&self, now: Timestamp) -> Result<(), OpenError> {
        self.revocations.replace(self.database.read(|conn| db::revocations::list(conn, now))?);
        Ok(())
    }

    fn reload_signing_keys(&self, now: Timestamp) -> Result<(), OpenError> {
        let records = self.database.read(db::signing_keys::list)?;
        self.ring.replace(signing_keys::open_all(&records, &self.master_key)?, now)?;
        Ok(())
    }
}

/// The thread that keeps calling [`Directory::catch_up`]. Dropping it ends the thread.
#[derive(Debug)]
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let follow = move || {
            let mut in_touch = true;
            while !stopped.load(Ordering::Relaxed) {
                thread::park_timeout(POLL);
                let result = directory.catch_up(clock.now());
                match &result {
                    Err(error) if in_touch => log::warn!(error:%; "lost touch with the database"),
                    Ok(()) if !in_touch => log::info!("in touch with the database again"),
                    _ => {}
                }
                in_touch = result.is_ok();
            }
        };
        let thread = thread::Builder::new().name("change-tail".to_owned()).spawn(follow)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                log::error!("the thread that follows changes had panicked");
            }
        }
    }
}
