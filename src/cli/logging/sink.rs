//! Where log lines go: into memory, and from there to stderr by a thread of its own. A request never waits for whoever
//! reads the log; if the reader is too slow, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What waits for the reader at most.
const LARGEST_BACKLOG: usize = 4 * 1024 * 1024;
/// Lines that come within this time are written together.
const GATHER: Duration = Duration::from_millis(5);
/// How long the end of the process waits for the last lines to be read: a reader that is stuck must not keep a server
/// that has stopped.
const LAST_LINES: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Backlog {
    octets: Vec<u8>,
    dropped: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    filled: Condvar,
}

/// The end that lines are put into; `env_logger` writes each line with one call.
pub(super) struct Sink(Arc<Shared>);

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut backlog = self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if backlog.octets.len() + line.len() > LARGEST_BACKLOG {
            backlog.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = backlog.octets.is_empty();
        backlog.octets.extend_from_slice(line);
        drop(backlog);
        if was_empty {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes. Dropping it has it write what waits, for as long as [`LAST_LINES`].
pub(in crate::cli) struct LogWriter {
    shared: Arc<Shared>,
    /// Cut off when the thread ends.
    ended: Receiver<()>,
}

/// Starts the thread.
pub(super) fn start() -> io::Result<(Sink, LogWriter)> {
    let shared = Arc::new(Shared::default());
    let source = shared.clone();
    let (end, ended) = mpsc::channel();
    thread::Builder::new().name("log-writer".to_owned()).spawn(move || write_all(&source, &end))?;
    Ok((Sink(shared.clone()), LogWriter { shared, ended }))
}

fn write_all(shared: &Shared, _end: &Sender<()>) {
    let mut taken = Vec::new();
    loop {
        let mut backlog = shared.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        while backlog.octets.is_empty() && !backlog.closed {
            backlog = shared.filled.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut taken, &mut backlog.octets);
        let (dropped, closed) = (std::mem::take(&mut backlog.dropped), backlog.closed);
        drop(backlog);
        if dropped > 0 {
            taken.extend_from_slice(
                format!("{dropped} log lines were dropped: nobody reads them fast enough\n").as_bytes(),
            );
        }
        // If stderr is gone there is nobody left to tell.
        let _unread = io::stderr().lock().write_all(&taken);
        taken.clear();
        if closed {
            return;
        }
        thread::sleep(GATHER);
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.shared.backlog.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
        // Whether it wrote everything, panicked or waits for a reader: there is nothing more to do.
        let _either_way = self.ended.recv_timeout(LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_too_slow_costs_lines_and_not_time() {
        let shared = Arc::new(Shared::default());
        let mut sink = Sink(shared.clone());
        let line = vec![b'x'; 1_000];
        for _ in 0..LARGEST_BACKLOG / 1_000 + 10 {
            assert_eq!(sink.write(&line).unwrap(), 1_000);
        }
        let backlog = shared.backlog.lock().unwrap();
        assert!(backlog.octets.len() <= LARGEST_BACKLOG);
        assert_eq!(backlog.dropped, 10);
    }
}
