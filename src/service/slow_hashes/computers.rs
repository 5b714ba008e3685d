//! The threads that compute slow hashes. They are few and stay, so that their number bounds the memory, and they stand back
//! behind the threads that give tokens: a hash may wait for a processor, a token may not.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::secret::HashMemory;
use crate::service::ServiceError;

/// How much nicer the threads are than the others: under full load they still get a tenth of what a worker gets.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;
/// How long a thread keeps its memory for the next hash.
const KEEPS_MEMORY: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

/// The way to a thread. The thread ends when this is dropped.
struct Computer {
    jobs: SyncSender<Job>,
}

/// The threads that have nothing to do. Who worked last works next: its memory is there.
#[derive(Clone, Default)]
struct Idle(Arc<Mutex<Vec<Computer>>>);

impl Idle {
    fn take(&self) -> Option<Computer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, computer: Computer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(computer);
    }
}

/// A thread and the permits with which it was taken. Both are given back when this is dropped, the thread first: whoever
/// then gets the permit finds it.
struct Turn {
    computer: Option<Computer>,
    idle: Idle,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(computer) = self.computer.take() {
            self.idle.put(computer);
        }
    }
}

/// The threads.
pub(super) struct Computers {
    idle: Idle,
}

impl fmt::Debug for Computers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Computers")
    }
}

impl Computers {
    /// # Errors
    /// `Internal` when the operating system has no thread to give.
    pub(super) fn start(count: usize) -> Result<Self, ServiceError> {
        let idle = Idle::default();
        for _ in 0..count {
            let (jobs, waiting) = sync_channel(1);
            thread::Builder::new()
                .name("slow-hash".to_owned())
                .spawn(move || work(&waiting))
                .map_err(|error| ServiceError::Internal(format!("a thread for hashes cannot be started: {error}")))?;
            idle.put(Computer { jobs });
        }
        Ok(Self { idle })
    }

    /// Computes on one of the threads; there must not be more permits than threads. It runs to its end and then gives the
    /// permits back, even if nobody waits for it any more. No answer comes if it panics.
    pub(super) fn compute<T: Send + 'static>(
        &self,
        permits: Vec<OwnedSemaphorePermit>,
        compute: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, answered) = oneshot::channel();
        if let Some(computer) = self.idle.take() {
            let jobs = computer.jobs.clone();
            let turn = Turn { computer: Some(computer), idle: self.idle.clone(), _permits: permits };
            let job: Job = Box::new(move |memory| {
                let computed = compute(memory);
                drop(turn);
                // Whoever asked may have left.
                drop(answer.send(computed));
            });
            // There is room: the thread was idle. If it is gone, the answer is dropped with the job.
            drop(jobs.try_send(job));
        }
        answered
    }
}

fn work(jobs: &Receiver<Job>) {
    stand_back();
    let mut memory = HashMemory::default();
    loop {
        let next = if memory.is_empty() {
            jobs.recv().map_err(|_ended| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(KEEPS_MEMORY)
        };
        match next {
            Ok(job) => {
                if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                    log::error!("a slow hash panicked");
                }
            }
            Err(RecvTimeoutError::Timeout) => memory.give_back(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Linux keeps this for each thread; elsewhere it would hold for the whole program.
#[cfg(target_os = "linux")]
fn stand_back() {
    if let Err(error) = rustix::process::nice(NICER_BY) {
        log::warn!(error:%; "a thread for hashes keeps the priority of the others");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_hash_that_panics_gives_its_turn_back_and_the_thread_goes_on() {
        let (computers, running) = (Computers::start(1).unwrap(), Arc::new(Semaphore::new(1)));
        for _ in 0..3 {
            let permit = running.clone().acquire_owned().await.unwrap();
            assert!(computers.compute::<()>(vec![permit], |_| panic!("on purpose")).await.is_err());
            let permit = running.clone().acquire_owned().await.unwrap();
            assert_eq!(computers.compute(vec![permit], |_| 7).await, Ok(7));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_threads_for_hashes_stand_back() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        let computers = Computers::start(1).unwrap();
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let theirs = computers.compute(vec![permit], move |_| own()).await.unwrap();
        assert_eq!((own(), theirs), (before, (before + NICER_BY).min(19)));
    }
}
