//! What is wrong with an installation, or soon will be, and what to do about it. Changes nothing, so that it can be asked
//! beside a server that runs and one that does not start.

mod address;
mod issuers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::authority::bounds;
use super::{Management, ServiceError, system_authorities};
use crate::clock::{Clock, print_span};
use crate::config::Config;
use crate::db::Database;
use crate::directory::Directory;
use crate::keys::certificate::Certificate;

/// How much longer than planned a key may sign before nobody seems to look after it.
const LATE: Duration = Duration::from_secs(86_400);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Bad,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What there is.
    pub text: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, text: text.into(), fix: None }
    }

    fn warning(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    /// Something that does not work, and the cure.
    pub fn bad(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Bad, text: text.into(), fix: Some(fix.into()) }
    }

    /// An error, which says the cure itself.
    fn error(check: &'static str, error: &impl ToString) -> Self {
        Self { check, verdict: Verdict::Bad, text: error.to_string(), fix: None }
    }
}

/// Looks at everything, in the order in which it is needed: what cannot be looked at without something that is missing is
/// left out. Blocks, and fetches the keys of trusted issuers and those of the server itself.
pub fn examine(config: &Arc<Config>, clock: Arc<dyn Clock>) -> Vec<Finding> {
    let mut findings = vec![settings(config)];
    findings.extend(data_directory(config));
    findings.extend(authorities(config));
    let database = match database(config) {
        Ok((database, finding)) => {
            findings.push(finding);
            database
        }
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let tables = tables(&database, config);
    let are_usable = tables.verdict != Verdict::Bad;
    findings.push(tables);
    if !are_usable {
        return findings;
    }
    let management = match Management::existing(config.clone(), database, clock) {
        Ok(management) => management,
        Err(error) => {
            findings.push(Finding::error("master key", &error));
            return findings;
        }
    };
    findings.push(Finding::good("master key", "is the one that the database was made with"));
    match signing_keys(&management) {
        Ok((directory, finding)) => {
            findings.push(finding);
            findings.extend(address::keys(config, directory.ring().signing_kid(management.now()).as_deref()));
            findings.extend(issuers::keys(&management, &directory));
        }
        Err(error) => findings.push(Finding::error("signing keys", &error)),
    }
    findings.extend(issuers::certificates(&management));
    findings
}

fn settings(config: &Config) -> Finding {
    match config.check_for_production() {
        Err(error) => Finding::error("settings", &error),
        Ok(()) if config.insecure_http && config.issuer.starts_with("http://") => Finding::warning(
            "settings",
            format!("the issuer is {}, so App Keys may cross the network in clear", config.issuer),
            "set issuer to an https:// address, behind a proxy that ends TLS, and take insecure-http out",
        ),
        Ok(()) => Finding::good("settings", format!("the issuer is {}", config.issuer)),
    }
}

fn mode_of(path: &Path) -> std::io::Result<u32> {
    fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777)
}

fn data_directory(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "data directory";
    let (path, shown) = (&config.data_dir, config.data_dir.display());
    let mode = match mode_of(path) {
        Ok(mode) if path.is_dir() => mode,
        Ok(_) => {
            let fix = "name another one with data-dir";
            return vec![Finding::bad(CHECK, format!("{shown} is no directory"), fix)];
        }
        Err(error) => {
            let fix = "name it with data-dir, or make it by starting the server: brevet serve";
            return vec![Finding::bad(CHECK, format!("{shown} cannot be read: {error}"), fix)];
        }
    };
    let mut findings = vec![if mode & 0o022 == 0 {
        Finding::good(CHECK, format!("{shown} is there, and only its owner can put files into it"))
    } else {
        let text = format!("{shown} has mode {mode:04o}, so others can put files into it");
        Finding::bad(CHECK, text, format!("run: chmod 700 {shown}"))
    }];
    if mode & 0o055 == 0 {
        // Nobody else comes as far as the files.
        return findings;
    }
    // The master key's own mode is checked where it is read.
    let files = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in files.filter(|file| file.is_file() && file.extension().is_none_or(|extension| extension != "key")) {
        let Ok(mode) = mode_of(&file) else { continue };
        if mode & 0o077 != 0 {
            let shown = file.display();
            let text = format!("{shown} has mode {mode:04o}, so others can read it");
            findings.push(Finding::warning("file modes", text, format!("run: chmod 600 {shown}")));
        }
    }
    findings
}

fn authorities(config: &Config) -> Option<Finding> {
    match system_authorities::read(config) {
        Err(error) => Some(Finding::error("system authorities", &error)),
        Ok(read) => read.map(|read| {
            let names: Vec<&str> = read.certificates().map(Certificate::subject).collect();
            Finding::good("system authorities", format!("{} may vouch for issuers", names.join("; ")))
        }),
    }
}

/// Connects without making anything: opening an SQLite file that is not there would.
fn database(config: &Config) -> Result<(Database, Finding), Finding> {
    const CHECK: &str = "database";
    if let Some(file) = config.database_url.reveal().strip_prefix("sqlite://")
        && !Path::new(file).is_file()
    {
        let fix = "name it with database-url or data-dir, or make it by starting the server: brevet serve";
        return Err(Finding::bad(CHECK, format!("there is no file {file}"), fix));
    }
    let connected = Database::connect(&config.database_url, 2, config.database_timeout);
    let reached = connected.and_then(|database| database.ping().map(|()| database));
    let database = reached.map_err(|error| {
        let fix = "see that the database runs, and that database-url names it, its user and its password";
        Finding::bad(CHECK, error.to_string(), fix)
    })?;
    let finding = Finding::good(CHECK, format!("{} answers", super::shown_location(&database)));
    Ok((database, finding))
}

fn tables(database: &Database, config: &Config) -> Finding {
    const CHECK: &str = "tables";
    let status = match database.migration_status() {
        Ok(status) => status,
        Err(error) => return Finding::error(CHECK, &error),
    };
    if let Some(newer) = status.unknown.last() {
        let text = format!("they are those of a newer Brevet (version {newer})");
        return Finding::bad(CHECK, text, "use that version of brevet, or a later one");
    }
    match status.pending.len() {
        0 => Finding::good(CHECK, "are up to date"),
        pending => {
            let text = format!("{pending} migrations are to be run");
            let fix = if config.auto_migrate {
                "the next start of the server runs them; or run: brevet migrate up"
            } else {
                "run: brevet migrate up"
            };
            Finding::bad(CHECK, text, fix)
        }
    }
}

/// Opens each key, as the server does when it starts.
fn signing_keys(m: &Management) -> Result<(Directory, Finding), ServiceError> {
    const CHECK: &str = "signing keys";
    let (config, now) = (&m.config, m.now());
    let directory = Directory::open(
        m.database.clone(),
        m.master_key.clone(),
        &config.issuer,
        config.key_life,
        // No third party's token is checked with it.
        bounds(config, None),
        now,
    )?;
    let ring = directory.ring();
    let finding = match (ring.signing_kid(now), ring.signing_key_age(now)) {
        (Some(_), Some(age)) if age > config.key_life.rotate_every + LATE => Finding::warning(
            CHECK,
            format!("the present one has signed for longer than {}", print_span(config.key_life.rotate_every)),
            "a server that runs replaces it by itself: see that one does, and what its log says",
        ),
        (Some(kid), _) => Finding::good(CHECK, format!("signing with {kid}")),
        (None, _) => {
            Finding::warning(CHECK, "there is none yet", "start the server, which makes the first one: brevet serve")
        }
    };
    Ok((directory, finding))
}
