//! The real program as a process: commands that are run to their end, and servers that are stopped or killed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::Credentials;
use super::http::{self, Answer};

/// The program under test: the one just built, or the one that `BREVET_TEST_PROGRAM` names.
pub fn program() -> PathBuf {
    match std::env::var_os("BREVET_TEST_PROGRAM") {
        Some(named) => fs::canonicalize(&named).unwrap_or_else(|error| panic!("{}: {error}", named.display())),
        None => PathBuf::from(env!("CARGO_BIN_EXE_brevet")),
    }
}

/// A command of the program on this data directory, without any `BREVET_` variable of the surroundings.
pub fn brevet(data: &Path) -> Run {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BREVET_")) {
        command.env_remove(name);
    }
    // Away from any brevet.toml that may lie around.
    let home = std::env::temp_dir();
    command.current_dir(home).arg("--data-dir").arg(data);
    Run { command, stdin: None }
}

/// A command to be run.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Run {
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.as_bytes().to_vec());
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(text) = self.stdin {
            // A command that refuses its arguments does not read.
            let _unread = child.stdin.take().unwrap().write_all(&text);
        }
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts it, and nobody hears what it says.
    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs it, expects that it succeeds, and gives what it printed.
    pub fn ok(self) -> String {
        self.run().assert_code(0).stdout
    }

    /// Runs it with `--json`, expects that it succeeds, and gives the document.
    pub fn json(self) -> Value {
        self.args(&["--json"]).run().assert_code(0).json()
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The one JSON document on stdout; anything after it is an error.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON document ({error}): {self:?}"))
    }

    /// The one line on stderr of a command that failed and printed nothing else.
    pub fn refusal(&self) -> &str {
        assert_eq!(self.stdout, "", "{self:?}");
        let mut lines = self.stderr.lines();
        let (first, second) = (lines.next(), lines.next());
        assert_eq!(second, None, "{self:?}");
        let line = first.unwrap_or_else(|| panic!("no message: {self:?}"));
        line.strip_prefix("brevet: ").unwrap_or_else(|| panic!("no `brevet: `: {line}"))
    }
}

/// A data directory with signing keys, the organisation `acme` and its API `https://billing.example` with the scopes
/// `billing:read` and `billing:write`: copied from one that was made once, because making RSA keys takes long.
pub fn data_directory() -> TempDir {
    static MADE_ONCE: LazyLock<TempDir> = LazyLock::new(|| {
        let made = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| brevet(made.path()).args(args).ok();
        run(&["org", "create", "--slug", "acme", "--name", "Acme Ltd"]);
        run(&[
            "api",
            "create",
            "--org=acme",
            "--name=Billing",
            "--identifier=https://billing.example",
            "--scope=billing:read=Read invoices",
            "--scope=billing:write",
        ]);
        made
    });
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(MADE_ONCE.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// Registers an app of `acme` with the scope `billing:read`.
pub fn create_app(data: &Path) -> Credentials {
    let made = brevet(data).args(&["app", "create", "--org=acme", "--name=Robot", "--scope=billing:read"]).json();
    Credentials {
        client_id: made["client_id"].as_str().unwrap().to_owned(),
        secret: made["client_secret"].as_str().unwrap().to_owned(),
    }
}

/// A port that nobody listens on and that is given once: below those that the system gives to outgoing connections and
/// those that databases of tests take, so that none of them takes it before the server does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: u32 = 8_000;
    // Far from those of a program that was started a moment before.
    let first = std::process::id() % PORTS * 211;
    let candidates =
        std::iter::repeat_with(|| 12_000 + (first + u32::from(NEXT.fetch_add(1, Ordering::SeqCst))) % PORTS);
    let mut ports = candidates.map(|port| u16::try_from(port).unwrap());
    ports.find(|port| is_free(*port)).unwrap()
}

/// Looks without listening: a program that another thread starts in this moment holds what is open here for a while, and a
/// listener would stand in the server's way.
fn is_free(port: u16) -> bool {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).is_ok()
}

/// Longer than anything takes that works, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is promised to be so within a time. It must come to be each time, and within that time as a rule: more often than
/// not, for a machine may be busy.
pub struct Promise {
    within: Duration,
    took: Vec<Duration>,
}

impl Promise {
    pub fn new(within: Duration) -> Self {
        Self { within, took: Vec::new() }
    }

    /// Waits until it is so, and notes how long that took.
    pub fn wait<T>(&mut self, what: &str, attempt: impl FnMut() -> Option<T>) -> T {
        let began_at = Instant::now();
        let found = eventually(PATIENCE, what, attempt);
        self.took.push(began_at.elapsed());
        found
    }

    pub fn assert_kept(mut self) {
        self.took.sort_unstable();
        let middle = self.took[self.took.len() / 2];
        assert!(middle <= self.within, "not within {:?} as a rule: {:?}", self.within, self.took);
    }
}

/// Does again what must be quick until it was, at most three times: a machine may be busy. Gives what came of the last.
pub fn quickly<T>(within: Duration, what: &str, mut act: impl FnMut() -> (Duration, T)) -> T {
    let mut all = Vec::new();
    for _ in 0..3 {
        let (took, done) = act();
        if took < within {
            return done;
        }
        all.push(took);
    }
    panic!("never within {within:?}: {what}: {all:?}")
}

/// How long it takes, and what comes of it.
pub fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let began_at = Instant::now();
    let done = act();
    (began_at.elapsed(), done)
}

/// Tries until it succeeds; panics with `what` when the time is up.
pub fn eventually<T>(within: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began_at = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(began_at.elapsed() < within, "not within {within:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT` of the public listener.
    pub url: String,
    /// The same of the admin listener.
    pub admin_url: String,
    /// From the start of the process to its banner.
    pub started_within: Duration,
    banner: PathBuf,
    log: PathBuf,
    _files: TempDir,
}

impl Server {
    /// A server on free ports of loopback.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// The same with more arguments and variables.
    pub fn start_with(data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_logging_to(data, args, variables, None)
    }

    /// The same with another stderr than the file that `log` reads.
    pub fn start_logging_to(data: &Path, args: &[&str], variables: &[(&str, &str)], stderr: Option<Stdio>) -> Self {
        Self::try_start(data, args, variables, stderr).unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_start(
        data: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
        stderr: Option<Stdio>,
    ) -> Result<Self, String> {
        let given = |flag: &str| args.iter().any(|arg| arg.starts_with(flag));
        let mut run = brevet(data).args(&["serve", "--workers=1"]).args(args);
        if !given("--listen") {
            run = run.args(&["--listen=127.0.0.1:0"]);
        }
        if !given("--admin-listen") {
            run = run.args(&["--admin-listen=127.0.0.1:0"]);
        }
        run.command.envs(variables.iter().copied());
        let files = tempfile::tempdir().unwrap();
        let (banner, log) = (files.path().join("stdout"), files.path().join("stderr"));
        let log_file = File::create(&log).unwrap();
        let began_at = Instant::now();
        let mut child = run
            .command
            .stdin(Stdio::null())
            .stdout(File::create(&banner).unwrap())
            .stderr(stderr.unwrap_or_else(|| log_file.into()))
            .spawn()
            .unwrap();
        let text = eventually(PATIENCE, "the banner", || {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(Err(format!("the server ended, {status}: {}", fs::read_to_string(&log).unwrap())));
            }
            let text = fs::read_to_string(&banner).unwrap();
            text.ends_with("\n\n").then_some(Ok(text))
        })?;
        let address = |label: &str| line_value(&text, label).split_whitespace().next().unwrap().to_owned();
        Ok(Self {
            url: address("listening"),
            admin_url: address("admin"),
            started_within: began_at.elapsed(),
            child,
            banner,
            log,
            _files: files,
        })
    }

    /// A server whose issuer is the address it listens on.
    pub fn start_as_issuer(data: &Path, args: &[&str]) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let listen = format!("--listen=127.0.0.1:{port}");
            let issuer = format!("--issuer=http://127.0.0.1:{port}");
            match Self::try_start(data, &[&[listen.as_str(), &issuer], args].concat(), &[], None) {
                Ok(server) => return server,
                // Between the look whether a port is free and its use, another program may take it.
                Err(why) => assert!(why.contains("Address already in use"), "{why}"),
            }
        }
        panic!("every port was taken")
    }

    /// What it printed on stdout.
    pub fn banner(&self) -> String {
        fs::read_to_string(&self.banner).unwrap()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Where it logs to.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:PORT`, for raw connections.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn get(&self, path: &str) -> Answer {
        http::get(&format!("{}{path}", self.url), &[])
    }

    pub fn get_admin(&self, path: &str) -> Answer {
        http::get(&format!("{}{path}", self.admin_url), &[])
    }

    pub fn whoami(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        http::get(&format!("{}/api/v1/whoami", self.url), &[("authorization", &bearer)])
    }

    /// Sends a form to the token endpoint.
    pub fn token_request(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        http::post_form(&format!("{}/connect/token", self.url), headers, body)
    }

    pub fn token(&self, app: &Credentials) -> String {
        let answer = self.token_request(&[], &app.form()).assert_status(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        terminate(self.child.id());
    }

    /// SIGKILL, as when the power goes.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        eventually(PATIENCE, "the end of the server", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends SIGTERM to a process of the test.
pub fn terminate(pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status();
    assert!(sent.unwrap().success());
}

/// What stands after a label at the beginning of a line.
pub fn line_value<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
    line.unwrap_or_else(|| panic!("no line with {label}: {text}")).trim()
}

/// Text with what differs from run to run replaced: ids, keys, times. Columns stay where they are.
pub fn steady(text: &str) -> String {
    let replaced = |whole: &str| {
        let word = whole.trim_end_matches([';', ',']);
        let is_time = word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
        let is_uuid = word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_thumbprint = word.len() == 43 && !word.contains('.');
        let name = match word {
            _ if is_time => "TIME",
            _ if is_uuid => "UUID",
            _ if is_thumbprint => "KID",
            _ if word.starts_with("bvk_…") => "HINT",
            _ if word.starts_with("bvk_") => "KEY",
            _ => return whole.to_owned(),
        };
        let punctuation = whole.strip_prefix(word).unwrap_or_default();
        format!("{name:.<width$}{punctuation}", width = word.chars().count())
    };
    let lines = text.lines().map(|line| line.split(' ').map(replaced).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}
