//! Mail: written and sent by a thread of its own, so that no answer depends on whether somebody has an account or how a
//! mail server feels today.

mod letter;
mod sender;

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

pub(super) use self::letter::Letter;
use self::sender::Sender;
use super::sign_up::WaitingSignUp;
use super::{Management, ServiceError, resets, sign_up};
use crate::clock::Timestamp;
use crate::db::links::LinkPurpose;
use crate::secret::sha256;

/// What waits to be written; past that, those who ask are told to come again.
const LONGEST_QUEUE: usize = 256;
/// Letters that a mail server did not take and that are tried again.
const MOST_WAITING: usize = 256;
/// When a letter is tried again after the first, second and third failure; then it is given up.
const TRY_AGAIN_AFTER: &[Duration] =
    &[Duration::from_secs(15), Duration::from_secs(2 * 60), Duration::from_secs(10 * 60)];
/// An address gets at most one letter of each kind in this time.
pub const INTERVAL: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 16_384;

/// What shall be written.
#[derive(Debug)]
pub(super) enum Errand {
    /// To whoever has that address: how to choose another password, if there is an account.
    Reset { m: Management, email: String, asked_at: Timestamp },
    /// To whoever has that address: how to end a sign-up, or that there is an account already.
    SignUp { m: Management, sign_up: WaitingSignUp, password_hash: String, asked_at: Timestamp },
    /// A letter that is written already.
    Letter { letter: Letter, asked_at: Timestamp },
}

/// The thread that writes and sends. Dropping it sends what waits, once, and ends the thread.
pub struct Mailer {
    errands: Option<SyncSender<Errand>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

impl Mailer {
    /// Starts the thread, if the settings name a mail server.
    ///
    /// # Errors
    /// `Setup` when the settings cannot be used.
    pub(super) fn start(m: &Management) -> Result<Option<Self>, ServiceError> {
        let Some(mail) = &m.config.mail else { return Ok(None) };
        let sender = Sender::new(mail).map_err(ServiceError::Setup)?;
        let (errands, waiting) = sync_channel(LONGEST_QUEUE);
        let mut desk = Desk { sender, last: Cache::new(REMEMBERED), later: VecDeque::new() };
        let thread = thread::Builder::new()
            .name("mail".to_owned())
            .spawn(move || desk.work(&waiting))
            .map_err(|error| ServiceError::Internal(format!("the mail thread cannot be started: {error}")))?;
        Ok(Some(Self { errands: Some(errands), thread: Some(thread) }))
    }

    /// Leaves something to be written and sent.
    ///
    /// # Errors
    /// `Unavailable` when too much waits.
    pub(super) fn post(&self, errand: Errand) -> Result<(), ServiceError> {
        let refused = || ServiceError::Unavailable("too much mail waits to be sent".to_owned());
        let errands = self.errands.as_ref().ok_or_else(refused)?;
        errands.try_send(errand).map_err(|_full_or_gone| refused())
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        drop(self.errands.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the mail thread had panicked");
        }
    }
}

/// A letter that could not be sent yet.
struct Later {
    letter: Letter,
    failures: usize,
    due: Instant,
}

/// What the thread has before it.
struct Desk {
    sender: Sender,
    /// When the last letter of a kind went to an address, by the digest of both.
    last: Cache<[u8; 32], Timestamp>,
    later: VecDeque<Later>,
}

impl Desk {
    fn work(&mut self, errands: &Receiver<Errand>) {
        loop {
            let next = self.later.iter().map(|later| later.due).min();
            let patience = next.map_or(INTERVAL, |due| due.saturating_duration_since(Instant::now()));
            match errands.recv_timeout(patience) {
                Ok(errand) => self.run(errand),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.send_due();
        }
        for Later { letter, .. } in std::mem::take(&mut self.later) {
            if let Err(reason) = self.sender.send(&letter) {
                log::error!(kind = letter.kind, reason; "a mail was not sent before the end");
            }
        }
    }

    fn run(&mut self, errand: Errand) {
        let written = match errand {
            Errand::Reset { m, email, asked_at } => {
                self.unless_recent(LinkPurpose::Reset.name(), &email, asked_at, || resets::write(&m, &email))
            }
            Errand::SignUp { m, sign_up, password_hash, asked_at } => {
                let email = sign_up.email.clone();
                self.unless_recent(LinkPurpose::Verification.name(), &email, asked_at, || {
                    sign_up::write(&m, sign_up, password_hash).map(Some)
                })
            }
            Errand::Letter { letter, asked_at } => {
                let (kind, to) = (letter.kind, letter.to.clone());
                let recent = self.unless_recent(kind, &to, asked_at, || Ok(Some(letter)));
                if let Ok(None) = recent {
                    log::warn!(kind; "an address was written to a moment ago: the mail is left out");
                }
                recent
            }
        };
        match written {
            Ok(Some(letter)) => self.send(letter, 0),
            Ok(None) => {}
            Err(error) => log::error!(error:%; "a mail could not be written"),
        }
    }

    /// Writes a letter, unless one of its kind went to that address a moment ago. Asked before it is known whether there
    /// is an account.
    fn unless_recent(
        &self,
        kind: &str,
        email: &str,
        now: Timestamp,
        write: impl FnOnce() -> Result<Option<Letter>, ServiceError>,
    ) -> Result<Option<Letter>, ServiceError> {
        let key = sha256(format!("{kind} {email}").as_bytes());
        if self.last.get(&key).is_some_and(|last| last <= now && now < last + INTERVAL) {
            return Ok(None);
        }
        let written = write()?;
        if written.is_some() {
            self.last.insert(key, now);
        }
        Ok(written)
    }

    fn send(&mut self, letter: Letter, failures: usize) {
        let Err(reason) = self.sender.send(&letter) else { return };
        match TRY_AGAIN_AFTER.get(failures) {
            Some(pause) if self.later.len() < MOST_WAITING => {
                log::warn!(kind = letter.kind, reason; "a mail was not taken; it will be tried again");
                self.later.push_back(Later { letter, failures: failures + 1, due: Instant::now() + *pause });
            }
            _ => log::error!(kind = letter.kind, reason; "a mail was given up"),
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        let (due, later): (VecDeque<Later>, VecDeque<Later>) =
            std::mem::take(&mut self.later).into_iter().partition(|later| later.due <= now);
        self.later = later;
        for Later { letter, failures, .. } in due {
            self.send(letter, failures);
        }
    }
}
