//! A Brevet of our own: a data directory, a database, apps, and the real program to serve them.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use brevet::oauth::ClientId;
use brevet::secret::generate_client_secret;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Process, free_address, log_file, run};
use crate::{Result, WORKERS};

/// The program, built by Cargo beside this one.
const BREVET: &str = env!("CARGO_BIN_EXE_brevet");
/// What a plain HTTP client sends with everything.
const USUAL_HEADERS: &str = "Host: 127.0.0.1\r\nUser-Agent: brevet-bench\r\nAccept: */*\r\n";

/// A GET request.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{USUAL_HEADERS}\r\n").into_bytes()
}

/// A GET request with that token.
pub(crate) fn get_with_token(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{USUAL_HEADERS}Authorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// A form, from nobody in particular.
pub(crate) fn post_form(path: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\n{USUAL_HEADERS}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}

/// An app that was registered.
pub(crate) struct App {
    pub(crate) client_id: String,
    /// What follows `Authorization: Basic`.
    basic: String,
}

impl App {
    fn new(client_id: &str, client_secret: &str) -> Self {
        Self { client_id: client_id.to_owned(), basic: STANDARD.encode(format!("{client_id}:{client_secret}")) }
    }

    /// A token request, asking for one of two scopes.
    pub(crate) fn token_request(&self) -> Vec<u8> {
        self.post("/connect/token", "grant_type=client_credentials&scope=bench%3Aread")
    }

    /// A question about a token.
    pub(crate) fn introspection(&self, token: &str) -> Vec<u8> {
        self.post("/connect/introspect", &format!("token={token}"))
    }

    fn post(&self, path: &str, form: &str) -> Vec<u8> {
        let (basic, length) = (&self.basic, form.len());
        format!(
            "POST {path} HTTP/1.1\r\n{USUAL_HEADERS}Authorization: Basic {basic}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
        )
        .into_bytes()
    }
}

/// The data directory and the database of one stage.
pub(crate) struct Home {
    directory: TempDir,
    /// `None` for SQLite in the data directory.
    database_url: Option<String>,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    log: File,
}

impl Server {
    /// Empties the log, which would fill the disk in time.
    pub(crate) fn empty_log(&self) -> Result<()> {
        Ok(self.log.set_len(0)?)
    }
}

impl Home {
    pub(crate) fn new(database_url: Option<String>) -> Result<Self> {
        Ok(Self { directory: tempfile::Builder::new().prefix("brevet-bench-").tempdir()?, database_url })
    }

    fn brevet(&self) -> Command {
        let home = self.directory.path();
        let mut command = Command::new(BREVET);
        // No setting from outside gets in.
        command.env_clear().current_dir(home);
        command.env("BREVET_DATA_DIR", home.join("data"));
        if let Some(url) = &self.database_url {
            command.env("BREVET_DATABASE_URL", url);
        }
        command
    }

    /// Registers an organisation, an API and that many apps.
    pub(crate) fn create_apps(&self, count: u32) -> Result<Vec<App>> {
        run(self.brevet().args(["org", "create", "--slug", "bench", "--name", "Bench"]))?;
        run(self
            .brevet()
            .args(["api", "create", "--org", "bench", "--name", "Bench"])
            .args(["--identifier", "https://bench.example"])
            .args(["--scope", "bench:read", "--scope", "bench:write"]))?;
        let file = self.directory.path().join("apps.jsonl");
        let apps = write_apps(&file, count)?;
        run(self.brevet().args(["app", "import", "--org", "bench"]).arg(&file))?;
        std::fs::remove_file(&file)?;
        Ok(apps)
    }

    /// Makes an owner of the organisation.
    pub(crate) fn create_person(&self, email: &str, password: &str) -> Result<()> {
        let file = self.directory.path().join("password");
        std::fs::write(&file, password)?;
        run(self
            .brevet()
            .args(["user", "create", "--org", "bench", "--email", email, "--role", "owner", "--password-file"])
            .arg(&file))
    }

    /// Trusts an issuer with these keys.
    pub(crate) fn trust_issuer(&self, issuer: &str, audience: &str, jwks: &str, flags: &[&str]) -> Result<()> {
        let file = self.directory.path().join("issuer.jwks");
        std::fs::write(&file, jwks)?;
        run(self
            .brevet()
            .args(["issuer", "add", "--org", "bench", "--name", "Bench", "--issuer", issuer, "--audience", audience])
            .arg("--jwks")
            .arg(&file)
            .args(flags))
    }

    fn spawn(&self, flags: &[&str]) -> Result<Server> {
        let address = free_address()?;
        let log = log_file(&self.directory.path().join("log"))?;
        let mut command = self.brevet();
        command
            .args(["serve", "--admin-listen", "off", "--shutdown-grace", "1s"])
            .args(["--workers", &WORKERS.to_string(), "--listen", &address.to_string()])
            .args(flags)
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        Ok(Server { address, process: Process::start(&mut command, "TERM")?, log })
    }

    /// Starts the server with these flags and waits until it listens.
    pub(crate) fn serve(&self, flags: &[&str]) -> Result<Server> {
        let mut server = self.spawn(flags)?;
        server.process.wait_for(server.address)?;
        Ok(server)
    }

    /// Starts the server, and stops it once it has given a token: how long did that take, in seconds?
    pub(crate) fn start_to_first_token(&self, request: &[u8]) -> Result<f64> {
        let began = Instant::now();
        let mut server = self.spawn(&[])?;
        while !answers_200(server.address, request) {
            server.process.check_alive()?;
            if began.elapsed() > Duration::from_secs(30) {
                return Err("the server gave no token within 30 s of its start".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

fn answers_200(address: SocketAddr, request: &[u8]) -> bool {
    let mut start = [0; 12];
    let answered = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(request)?;
        stream.read_exact(&mut start)
    });
    answered.is_ok() && start == *b"HTTP/1.1 200"
}

/// Writes the file to import. The secrets have the form of those that Brevet makes, so they are hashed as those are.
fn write_apps(file: &Path, count: u32) -> Result<Vec<App>> {
    let mut lines = BufWriter::new(File::create(file)?);
    let mut apps = Vec::new();
    for number in 1..=count {
        let client_id = ClientId::generate().to_string();
        let secret = generate_client_secret()?;
        let app = json!({
            "name": format!("App {number}"), "client_id": client_id, "client_secret": secret.reveal(),
            "scopes": ["bench:read", "bench:write"],
        });
        writeln!(lines, "{app}")?;
        apps.push(App::new(&client_id, secret.reveal()));
    }
    lines.flush()?;
    Ok(apps)
}
