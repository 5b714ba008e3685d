//! What happens by itself: counts are written, signing keys live on, what has expired is deleted.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::system::ChoreRun;
use super::trusted_issuers::refresh_outlook;
use super::{Authority, Management, ServiceError, signing_keys};
use crate::db::{
    changes, cut_offs, idempotency, kept_forms, links, revocations, sessions, trusted_issuers, usage, used_jti,
};

/// Counts are never older than this in the database.
const WRITE_COUNTS_EVERY: Duration = Duration::from_secs(10);
const DELETE_EXPIRED_EVERY: Duration = Duration::from_secs(600);
const DELETE_STALE_COUNTS_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Counts by the hour are kept for a year and a month.
const COUNTS_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// By scope and error they are kept a little longer than the longest picture reaches back.
const DETAILS_KEPT: Duration = Duration::from_secs(100 * 86_400);
/// Signing keys are looked at ten times within an announcement, at least once a minute.
const SLOWEST_KEY_CHECK: Duration = Duration::from_secs(60);
/// Soon enough to see that a new certificate helped.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(600);
const TICK: Duration = Duration::from_millis(500);

/// The thread that does it. Dropping it writes the last counts and ends the thread.
#[derive(Debug)]
pub struct Housekeeping {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Chore {
    every: Duration,
    /// Whether it shall be done before its time.
    hurry: fn(&Authority) -> bool,
    /// `None` for one that is due at once.
    last: Option<Instant>,
    run: fn(&Management, &Authority) -> Result<(), ServiceError>,
    name: &'static str,
}

impl Chore {
    fn is_due(&self, authority: &Authority) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= self.every) || (self.hurry)(authority)
    }
}

impl Housekeeping {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(management: Management, authority: Arc<Authority>) -> std::io::Result<Self> {
        let key_check = (management.config.key_life.announce / 10).clamp(TICK, SLOWEST_KEY_CHECK);
        let chore = |every, run, name| Chore { every, hurry: |_| false, last: Some(Instant::now()), run, name };
        let mut chores = [
            Chore {
                hurry: |authority| authority.usage.is_large(),
                ..chore(WRITE_COUNTS_EVERY, write_counts, "write counts")
            },
            chore(key_check, |m, _| signing_keys::advance(m), "advance signing keys"),
            chore(DELETE_EXPIRED_EVERY, delete_expired, "delete what has expired"),
            chore(DELETE_STALE_COUNTS_EVERY, delete_stale_counts, "delete old counts"),
            Chore { last: None, ..chore(CERTIFICATE_CHECK, refresh_outlook, "look at certificates") },
        ];
        let (stop, stopped) = channel();
        let work = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                for chore in chores.iter_mut().filter(|chore| chore.is_due(&authority)) {
                    chore.last = Some(Instant::now());
                    let outcome = (chore.run)(&management, &authority);
                    let run = ChoreRun { at: management.now(), is_done: outcome.is_ok() };
                    authority.chores.record(chore.name, run);
                    if let Err(error) = outcome {
                        log::warn!(chore = chore.name, error:%; "housekeeping failed; it will be tried again");
                    }
                }
            }
            if let Err(error) = write_counts(&management, &authority) {
                log::warn!(error:%; "the last counts could not be written");
            }
        };
        let thread = thread::Builder::new().name("housekeeping".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the housekeeping thread had panicked");
        }
    }
}

fn write_counts(m: &Management, authority: &Authority) -> Result<(), ServiceError> {
    authority.usage.flush(&m.database, m.now())?;
    Ok(authority.trust_counts.flush(&m.database, m.now())?)
}

fn delete_stale_counts(m: &Management, _: &Authority) -> Result<(), ServiceError> {
    let now = m.now();
    Ok(m.database.write(move |conn| {
        usage::delete_stale(conn, now - COUNTS_KEPT, now - DETAILS_KEPT)?;
        trusted_issuers::delete_stale_outcomes(conn, now - DETAILS_KEPT)?;
        usage::trim_all_addresses(conn, now)
    })?)
}

fn delete_expired(m: &Management, authority: &Authority) -> Result<(), ServiceError> {
    let (now, idle) = (m.now(), m.config.session_idle);
    m.database.write(move |conn| {
        // What expired within the hour stands in the revocation feed until the hour is over, on every node.
        revocations::delete_expired(conn, now.hour())?;
        cut_offs::delete_old(conn, now.hour())?;
        idempotency::delete_expired(conn, now)?;
        links::delete_expired(conn, now)?;
        kept_forms::delete_expired(conn, now)?;
        sessions::delete_expired(conn, now, idle)?;
        changes::delete_old(conn, now)
    })?;
    // In portions, each a transaction of its own: others may write in between.
    while m.database.write(move |conn| used_jti::delete_expired(conn, now))? > 0 {}
    Ok(authority.directory.reload_revocations(now)?)
}
