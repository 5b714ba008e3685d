//! The threads that ask the server, so that no request has to: when they sleep, who may wake them, and who hears of news.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::source::FetchError;

/// Between two fetches that requests may cause: a stranger with forged tokens cannot make us flood the server.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// After a failure; doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    stopped: bool,
    rung: bool,
    /// Whether the thread is at work: who comes now can wait for what it brings.
    busy: bool,
    rung_at: Option<Instant>,
    failures: u32,
    error: Option<FetchError>,
}

/// One thread's bed and alarm clock.
pub(super) struct Worker {
    name: &'static str,
    state: Mutex<State>,
    alarm: Condvar,
    news: watch::Sender<()>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({})", self.name)
    }
}

impl Worker {
    /// `name` is what it fetches, for the log.
    pub(super) fn new(name: &'static str) -> Self {
        // It works from the start on.
        let state = State { busy: true, ..State::default() };
        Self { name, state: Mutex::new(state), alarm: Condvar::new(), news: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until the time is over or somebody rings; `false` when it is time to end.
    pub(super) fn sleep(&self, at_most: Duration) -> bool {
        let (mut state, _) = self
            .alarm
            .wait_timeout_while(self.state(), at_most, |state| !state.stopped && !state.rung)
            .unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        state.busy = true;
        !state.stopped
    }

    /// Wakes the thread for what the server itself said. If it is at work, it works once more.
    pub(super) fn wake(&self) {
        self.state().rung = true;
        self.alarm.notify_all();
    }

    /// Wakes the thread for a request, if none did so a moment ago. Whether there will be news.
    pub(super) fn ring(&self) -> bool {
        let mut state = self.state();
        if state.stopped {
            return false;
        }
        if state.busy || state.rung {
            return true;
        }
        if state.rung_at.is_some_and(|at| at.elapsed() < COOL_DOWN) {
            return false;
        }
        state.rung_at = Some(Instant::now());
        state.rung = true;
        self.alarm.notify_all();
        true
    }

    /// Ends the thread when it is next asleep.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.alarm.notify_all();
    }

    /// Hears of the end of the next fetch.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Tells everybody how a fetch went, and the log when that is another outcome than the last time. How long to wait.
    pub(super) fn done(&self, outcome: Result<Duration, FetchError>) -> Duration {
        let name = self.name;
        let wait = {
            let mut state = self.state();
            // Before the news: who comes now would wait for the next ones.
            state.busy = false;
            match outcome {
                Ok(wait) => {
                    if state.error.take().is_some() {
                        log::info!("{name}: fetched again");
                    }
                    state.failures = 0;
                    wait
                }
                Err(error) => {
                    if state.error.as_ref() != Some(&error) {
                        log::warn!("{name}: {error}");
                    }
                    state.error = Some(error);
                    let wait = FIRST_RETRY.saturating_mul(1 << state.failures.min(10)).min(LAST_RETRY);
                    state.failures = state.failures.saturating_add(1);
                    wait
                }
            }
        };
        self.news.send_replace(());
        wait
    }

    /// What went wrong at the last fetch.
    pub(super) fn error(&self) -> Option<String> {
        self.state().error.as_ref().map(ToString::to_string)
    }
}
