//! Children: the server, the hello server, the database. None outlives this process's care for it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// Threads that write to the database, by their names.
const WRITERS: [&str; 2] = ["housekeeping", "sqlite-writer"];

/// Name and processor time of each thread of a process. Finer than the ticks of 10 ms of `/proc/PID/stat`.
#[derive(Default)]
pub(crate) struct CpuTimes(HashMap<OsString, (String, Duration)>);

/// Processor time in a span.
pub(crate) struct Cpu {
    /// Of the threads that write to the database. They write what the requests of several seconds have left.
    pub(crate) writing: Duration,
    /// Of all others.
    pub(crate) serving: Duration,
}

impl CpuTimes {
    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Cpu {
        let mut cpu = Cpu { writing: Duration::ZERO, serving: Duration::ZERO };
        for (thread, (name, time)) in &self.0 {
            let before = earlier.0.get(thread).map_or(Duration::ZERO, |(_, before)| *before);
            let used = time.saturating_sub(before);
            if WRITERS.contains(&name.as_str()) {
                cpu.writing += used;
            } else {
                cpu.serving += used;
            }
        }
        cpu
    }
}

/// Reads the processor time in a `schedstat` file.
pub(crate) fn on_cpu(schedstat: &str) -> Result<Duration> {
    let nanoseconds = schedstat.split(' ').next().and_then(|text| text.parse().ok());
    let nanoseconds = nanoseconds.ok_or("a schedstat file in /proc is not as expected")?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// A running child, stopped when dropped.
pub(crate) struct Process {
    child: Child,
    /// The signal that makes it stop by itself.
    stop_signal: &'static str,
}

impl Process {
    pub(crate) fn start(command: &mut Command, stop_signal: &'static str) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
        Ok(Self { child, stop_signal })
    }

    /// Processor time used so far by each of its threads, user and system.
    pub(crate) fn cpu(&self) -> Result<CpuTimes> {
        let mut times = CpuTimes::default();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?;
            let read = |file| fs::read_to_string(task.path().join(file));
            // A thread may end between two looks.
            if let (Ok(name), Ok(stat)) = (read("comm"), read("schedstat")) {
                let name = name.trim_end().to_owned();
                times.0.insert(task.file_name(), (name, on_cpu(&stat)?));
            }
        }
        Ok(times)
    }

    /// Memory in MiB by its name in `/proc/PID/status`: `VmRSS` resident now, `VmHWM` the most so far.
    pub(crate) fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u32>().ok());
        let kibibytes = kibibytes.ok_or_else(|| format!("/proc/PID/status has no {name}"))?;
        Ok(f64::from(kibibytes) / 1024.0)
    }

    /// Fails if the child has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a child ended: {status}").into()),
        }
    }

    /// Waits until it accepts connections.
    pub(crate) fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            self.check_alive()?;
            if Instant::now() > deadline {
                return Err(format!("nothing listens on {address} after 30 s").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-s", self.stop_signal, &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A loopback address that nobody listens on at this moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} failed, {}: {}{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// A file to which a child appends, so that it can be emptied while the child runs.
pub(crate) fn log_file(path: &std::path::Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}
