//! PostgreSQL for tests: clusters that the test program starts itself and that end with it, however it ends.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use uuid::Uuid;

/// Said by whoever wants a test to fail rather than be left out: a list of words with commas between.
const REQUIRE: &str = "BREVET_TEST_REQUIRE";
const PASSWORD: &str = "throwaway";
/// Below the range from which the system takes ports by itself: a cluster that is stopped finds its port free again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Reads until the test program is gone, then stops the server and takes its files away. `$0`: `pg_ctl`, `$1`: the files.
const WATCHER: &str = r#"read -r _; cd /; "$0" -D "$1/data" -m immediate -w stop >/dev/null 2>&1; rm -rf "$1""#;

static SHARED: LazyLock<Option<Cluster>> = LazyLock::new(Cluster::start);

/// The URL of an empty database of its own, on the cluster that all tests share; nothing where PostgreSQL is not installed.
pub fn database() -> Option<String> {
    SHARED.as_ref().map(Cluster::database)
}

/// A running server with its files.
#[derive(Debug)]
pub struct Cluster {
    binaries: PathBuf,
    directory: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    databases: AtomicU32,
    /// One at a time: PostgreSQL copies a template database that nobody else may use meanwhile.
    creating: Mutex<()>,
    watcher: Child,
}

impl Cluster {
    /// Starts a server; nothing where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start, and when it is required and not installed.
    pub fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            assert!(!is_required(), "PostgreSQL is not installed, but {REQUIRE} names it");
            say_that_it_is_missing();
            return None;
        };
        let directory = std::env::temp_dir().join(format!("brevet-postgres-{}", Uuid::new_v4().simple()));
        fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let owner = owner_for(&directory);
        if let Some((user, group)) = owner {
            chown(&directory, Some(user), Some(group)).unwrap();
        }
        let watcher = run_as(Command::new("sh"), owner)
            .args([OsStr::new("-c"), OsStr::new(WATCHER)])
            .arg(binaries.join("pg_ctl"))
            .arg(&directory)
            // Ctrl-C in the terminal is for the test program only.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut cluster = Self {
            binaries,
            directory,
            owner,
            port: 0,
            databases: AtomicU32::new(0),
            creating: Mutex::new(()),
            watcher,
        };
        cluster.initialise();
        // Between the look whether a port is free and its use, another program may take it.
        for _ in 0..5 {
            cluster.port = free_port();
            if cluster.try_resume() {
                return Some(cluster);
            }
        }
        panic!("PostgreSQL did not start:\n{}", cluster.log());
    }

    fn initialise(&self) {
        let password = self.directory.join("password");
        fs::write(&password, PASSWORD).unwrap();
        let output = self
            .command("initdb")
            .args(["-U", "brevet", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A command of PostgreSQL's, as the user whom the files belong to.
    fn command(&self, name: &str) -> Command {
        let mut command = run_as(Command::new(self.binaries.join(name)), self.owner);
        command
            .current_dir(&self.directory)
            .arg("-D")
            .arg(self.directory.join("data"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn try_resume(&self) -> bool {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 \
             -c shared_buffers=16MB -c max_wal_size=64MB -c autovacuum=off -c fsync=on",
            self.port
        );
        self.control(&["-w", "-t", "180", "-o", &options, "start"])
    }

    fn control(&self, arguments: &[&str]) -> bool {
        self.command("pg_ctl")
            .arg("-l")
            .arg(self.directory.join("log"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Stops the server as a crash does: connections break, the data stays.
    pub fn stop(&self) {
        assert!(self.control(&["-w", "-m", "immediate", "stop"]), "{}", self.log());
    }

    /// Starts the server again, on the same port.
    pub fn resume(&self) {
        assert!(self.try_resume(), "{}", self.log());
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://brevet:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a new, empty database. Its texts are ordered as English dictionaries do where PostgreSQL knows how:
    /// like many a database out there, and unlike SQLite.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let mut conn = connect(&self.url("postgres"));
        let plain = format!("CREATE DATABASE {name} TEMPLATE template0");
        let english = format!("{plain} LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
        conn.batch_execute(&english).or_else(|_no_icu| conn.batch_execute(&plain)).unwrap();
        self.url(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _gone_already = self.watcher.wait();
    }
}

/// A connection past all of Brevet's code.
pub fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

fn is_required() -> bool {
    std::env::var(REQUIRE).is_ok_and(|words| words.split(',').any(|word| word.trim() == "postgres"))
}

/// Past the capture of what tests print, which hides it when they pass.
fn say_that_it_is_missing() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _closed = std::io::stderr().write_all(b"PostgreSQL is not installed: its tests are left out\n");
    });
}

fn find_binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // The newest version first.
    packaged.sort_by_key(|bin| {
        let version = bin.parent().and_then(Path::file_name).and_then(OsStr::to_str);
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    std::env::split_paths(&path)
        .chain(packaged)
        .find(|bin| ["initdb", "postgres", "pg_ctl"].iter().all(|name| bin.join(name).is_file()))
}

/// PostgreSQL refuses to run as root: then the files belong to another user who is there anyway.
fn owner_for(directory: &Path) -> Option<(u32, u32)> {
    if fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    assert!(found.is_some(), "PostgreSQL does not run as root, and there is no user postgres or nobody");
    found
}

fn run_as(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn free_port() -> u16 {
    let span = u128::from(PORTS.end - PORTS.start);
    loop {
        let offset = u16::try_from(Uuid::new_v4().as_u128() % span).unwrap();
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Each of these functions, which take settings, is a test on SQLite and a test on PostgreSQL.
macro_rules! on_both_databases {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[test] fn $test() { super::$test(&[]); })*
        }
        mod on_postgresql {
            $(#[test] fn $test() {
                if let Some(url) = crate::support::postgres::database() {
                    super::$test(&[("database-url", &url)]);
                }
            })*
        }
    };
}
pub(crate) use on_both_databases;
