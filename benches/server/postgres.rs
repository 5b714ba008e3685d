//! A PostgreSQL cluster of our own, thrown away at the end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;
use crate::process::{Process, free_address, log_file, run};

/// A running cluster. The order matters: the process ends before its directory goes.
pub(crate) struct Postgres {
    bin: PathBuf,
    address: SocketAddr,
    _process: Process,
    home: TempDir,
}

impl Postgres {
    /// Starts one with the default settings, `fsync` included; nothing if PostgreSQL is not installed.
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(bin) = find_bin() else { return Ok(None) };
        let home = tempfile::Builder::new().prefix("brevet-bench-pg-").tempdir()?;
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        if is_root {
            run(Command::new("chown").arg("postgres").arg(home.path()))?;
        }
        // PostgreSQL does not run as root. `setpriv` becomes the program, so that stopping it stops the program.
        let command = |name: &str| {
            let program = bin.join(name);
            let mut command = if is_root {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
                command.arg(program);
                command
            } else {
                Command::new(program)
            };
            command.current_dir(home.path());
            command
        };
        let data = home.path().join("data");
        run(command("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data))?;
        let address = free_address()?;
        let log = log_file(&home.path().join("log"))?;
        let process = Process::start(
            command("postgres")
                .arg("-D")
                .arg(&data)
                .arg("-k")
                .arg(home.path())
                .args(["-h", "127.0.0.1", "-p", &address.port().to_string()])
                .stdout(Stdio::null())
                .stderr(log),
            "INT",
        )?;
        let started = Self { bin, address, _process: process, home };
        started.wait_until_ready()?;
        Ok(Some(started))
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = run(&mut self.client("pg_isready")) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL does not get ready: {error}\n{log}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.address.port().to_string()]);
        command
    }

    /// Makes an empty database and says where it is.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        run(self.client("createdb").arg(name))?;
        Ok(format!("postgres://postgres:unused@{}/{name}", self.address))
    }
}

/// The programs of the newest version installed.
fn find_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(number)?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}
