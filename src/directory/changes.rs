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
use crate::db::Database;
use crate::db::changes::{Change, ChangeKind};
use crate::db::cut_offs::CutOffs;
use crate::db::{AnyConnection, DbError};
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
        let news = self.database.read(|conn| News::read(conn, seq, now))?;
        if news.missed {
            self.replace_revocations(now)?;
            self.reload_signing_keys(now)?;
            self.apps.forget_with(Apps::forget_everything);
            self.trusted_issuers.forget_issuers();
            self.trusted_issuers.forget_members();
            self.trusted_issuers.forget_api_owners();
        } else if !news.changes.is_empty() {
            self.take_in(&news.changes, now)?;
        }
        for (jti, expires_at) in &news.revoked {
            self.revocations.insert(jti, *expires_at);
        }
        if let Some(cut_offs) = news.cut_offs {
            self.revocations.replace_cut_offs(cut_offs);
        }
        self.seq.store(news.last, Ordering::SeqCst);
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
                    // A trusted issuer is the client of what its users get.
                    (Some(ChangeKind::App | ChangeKind::TrustedIssuer), _, Some(client_id)) => apps.forget(client_id),
                    (Some(ChangeKind::Api), Ok(id), _) => apps.forget_api(id),
                    (Some(ChangeKind::Organisation), Ok(id), _) => apps.forget_organisation(id),
                    (
                        Some(
                            ChangeKind::Revocations | ChangeKind::SigningKeys | ChangeKind::CutOff | ChangeKind::Member,
                        ),
                        ..,
                    ) => {}
                    // A newer program's kind of change, or an id of another form: better to forget too much.
                    _ => apps.forget_everything(),
                }
            }
        });
        // Of a kind that only a newer program knows: better to forget too much.
        let changed = |kind: ChangeKind| changes.iter().any(|change| change.kind.is_none_or(|other| other == kind));
        if changed(ChangeKind::TrustedIssuer) {
            self.trusted_issuers.forget_issuers();
        }
        if changed(ChangeKind::Api) {
            self.trusted_issuers.forget_api_owners();
        }
        if changed(ChangeKind::Member) {
            self.trusted_issuers.forget_members();
        }
        Ok(())
    }

    /// Runs changes in one transaction and takes them in: what they revoke is refused on this node when this returns,
    /// and within a second on the others. Waits without blocking.
    ///
    /// # Errors
    /// What `changes` returns (then nothing was changed); `Unavailable` also when it is not known whether they were
    /// made, or when they were made and this node could not take them in.
    pub async fn change<T, E>(
        self: &Arc<Self>,
        now: Timestamp,
        changes: impl FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let directory = self.clone();
        let work = move |database: &Database| {
            let done = database.write(changes)?;
            directory.catch_up(now).map_err(|error| DbError::unavailable(&error))?;
            Ok(done)
        };
        self.database.write_off_thread(work).await
    }

    /// Reads the revoked tokens anew, without those that have expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn reload_revocations(&self, now: Timestamp) -> Result<(), OpenError> {
        let _one_at_a_time = self.taking_in.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace_revocations(now)
    }

    /// Those that expired within the hour are kept, so that every node holds the same for an hour.
    fn replace_revocations(&self, now: Timestamp) -> Result<(), OpenError> {
        self.revocations.replace(self.database.read(|conn| db::revocations::list(conn, now.hour()))?);
        Ok(())
    }

    fn reload_signing_keys(&self, now: Timestamp) -> Result<(), OpenError> {
        let records = self.database.read(db::signing_keys::list)?;
        self.ring.replace(signing_keys::open_all(&records, &self.master_key)?, now)?;
        Ok(())
    }
}

/// What one look at the change table finds, and what must be read at the same moment.
struct News {
    changes: Vec<Change>,
    /// The last change there is.
    last: i64,
    /// Rows this node never saw were deleted, or the database is another one: nothing in memory can be trusted.
    missed: bool,
    revoked: Vec<(String, Timestamp)>,
    cut_offs: Option<CutOffs>,
}

impl News {
    fn read(conn: &mut AnyConnection, seq: i64, now: Timestamp) -> Result<Self, DbError> {
        let changes = db::changes::list_after(conn, seq)?;
        let (first, last) = db::changes::span(conn)?;
        let missed = first > seq + 1 || last < seq;
        let mut revoked = Vec::new();
        for change in changes.iter().filter(|change| change.kind == Some(ChangeKind::Revocations) && !missed) {
            if let Some(expires_at) = db::revocations::find_expiry(conn, &change.id)? {
                revoked.push((change.id.clone(), expires_at));
            }
        }
        // The signing keys say how long a cut-off matters. Of an API there is nothing to say.
        let concerns = |change: &Change| {
            !matches!(change.kind, Some(ChangeKind::Api | ChangeKind::Revocations | ChangeKind::Member))
        };
        let stale = missed || changes.iter().any(concerns);
        let cut_offs = if stale { Some(db::cut_offs::list(conn, now.hour())?) } else { None };
        Ok(Self { changes, last, missed, revoked, cut_offs })
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
