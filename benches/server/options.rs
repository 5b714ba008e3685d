//! What to measure, from the words after `--`.

use std::fmt;
use std::time::Duration;

use crate::Result;

pub(crate) const HELP: &str = "cargo bench --bench server -- [OPTIONS]
  --apps N,…          apps in the database and in use; one stage each      [10,100000]
  --database D,…      sqlite, postgres                                     [sqlite,postgres]
  --connections N     keep-alive connections of the load                   [64]
  --seconds S         measured load on each road                           [4]
  --rounds N          into how many rounds those seconds are cut           [5]
  --only PART         token, pages (the other hot routes), ticket or dashboard [all]";

/// Where the server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// The options, with their defaults filled in.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) apps: Vec<u32>,
    pub(crate) databases: Vec<Database>,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
    pub(crate) rounds: u32,
    pub(crate) token: bool,
    pub(crate) pages: bool,
    pub(crate) ticket: bool,
    pub(crate) dashboard: bool,
}

impl Options {
    /// Reads the options; nothing when help is asked for.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            apps: vec![10, 100_000],
            databases: vec![Database::Sqlite, Database::Postgres],
            connections: 64,
            seconds: 4,
            rounds: 5,
            token: true,
            pages: true,
            ticket: true,
            dashboard: true,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                "--apps" => options.apps = list(value()?, |text| number(text, 1, 1_000_000))?,
                "--database" => options.databases = list(value()?, database)?,
                "--connections" => options.connections = usize::try_from(number(value()?, 1, 4_096)?)?,
                "--seconds" => options.seconds = number(value()?, 1, 600)?,
                "--rounds" => options.rounds = number(value()?, 1, 100)?,
                "--only" => {
                    let only = value()?;
                    let is = |part| only == part;
                    (options.token, options.pages) = (is("token"), is("pages"));
                    (options.ticket, options.dashboard) = (is("ticket"), is("dashboard"));
                    if !options.token && !options.pages && !options.ticket && !options.dashboard {
                        return Err(format!("--only {only}: write token, pages, ticket or dashboard").into());
                    }
                }
                unknown => return Err(format!("{unknown} is no option\n{HELP}").into()),
            }
        }
        Ok(Some(options))
    }

    /// How long a round is.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) / self.rounds
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.split(',').map(read).collect()
}

fn number(text: &str, least: u32, most: u32) -> Result<u32> {
    let number: u32 = text.parse().map_err(|error| format!("{text}: {error}"))?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{text} is not between {least} and {most}").into())
    }
}

fn database(text: &str) -> Result<Database> {
    match text {
        "sqlite" => Ok(Database::Sqlite),
        "postgres" => Ok(Database::Postgres),
        _ => Err(format!("{text}: write sqlite or postgres").into()),
    }
}
