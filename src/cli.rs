//! The commands: one file each. Data on stdout, messages on stderr, sysexits codes.

mod api;
mod app;
mod config;
mod doctor;
mod error;
mod flags;
mod input;
mod issuer;
mod key;
mod logging;
mod migrate;
mod openapi;
mod org;
mod output;
mod registration_token;
mod serve;
mod setup_link;
mod token;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

pub use self::error::CliError;
use self::flags::{EverywhereFlags, ServeFlags};
use self::logging::LogWriter;
use self::output::Output;
use crate::clock::SystemClock;
use crate::config::{Config, Settings, SourceValues};
use crate::service::{Management, refuse_missing};

/// An OAuth 2.0 authorization server for programs.
#[derive(Debug, Parser)]
#[command(name = "brevet", version, max_term_width = 100, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    /// Read settings from this TOML file [default: ./brevet.toml, /etc/brevet/brevet.toml]
    #[arg(long, short, global = true, value_name = "FILE", help_heading = GLOBAL)]
    config: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    quiet: bool,
    /// Say more
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    verbose: bool,
    #[command(flatten)]
    settings: EverywhereFlags,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command stand apart from a command's own.
const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "Examples:
  brevet serve --demo
  brevet org create --slug acme --name Acme
  brevet api create --org acme --name Billing --identifier https://billing.acme.example --scope billing:read
  brevet app create --org acme --name 'Invoice sync' --scope billing:read
  brevet app disable 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e

Commands work on the database directly, also while the server runs; it notices within a second.
Every setting is a flag, a BREVET_ variable and a key of the TOML file: see `brevet config show --origin`.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Print a one-time link that makes whoever opens it an operator: the first one, or one who is locked out
    SetupLink,
    /// Organisations
    #[command(subcommand)]
    Org(org::Org),
    /// People
    #[command(subcommand)]
    User(user::User),
    /// APIs: what tokens are for
    #[command(subcommand)]
    Api(api::Api),
    /// Apps and their keys
    #[command(subcommand)]
    App(app::App),
    /// Trusted issuers: third parties whose JWTs get tokens here
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// Initial access tokens: who has one can register apps without being asked
    #[command(subcommand)]
    RegistrationToken(registration_token::RegistrationToken),
    /// Signing keys
    #[command(subcommand)]
    Key(key::Key),
    /// Try things as a client: get, inspect, verify and revoke tokens
    #[command(subcommand)]
    Token(token::Token),
    /// The database's tables
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Print the description of the management API (OpenAPI 3.1)
    Openapi,
    /// Settings
    #[command(subcommand)]
    Config(config::Config),
    /// Look for what is wrong with settings, files, database, keys and trusted issuers, and say what to do about it
    Doctor(doctor::Doctor),
}

/// What every command gets.
struct Context {
    config: Option<PathBuf>,
    settings: EverywhereFlags,
    output: Output,
    quiet: bool,
    verbose: bool,
}

impl Context {
    /// The settings as text, with those that only `serve` takes as flags.
    fn settings(&self, serve: Option<&ServeFlags>) -> Result<Settings, CliError> {
        let mut flags = self.settings.values().clone();
        flags.extend(serve.into_iter().flat_map(|serve| serve.values().clone()));
        let sources = SourceValues::collect(flags, self.config.as_deref())?;
        Ok(Settings::resolve(&sources)?)
    }

    /// The settings, checked, with the log running by them.
    fn configure(&self) -> Result<Arc<Config>, CliError> {
        let config = Arc::new(Config::new(&self.settings(None)?)?);
        logging::start(&config, self.quiet, self.verbose, false);
        Ok(config)
    }

    /// The same for the server, whose log is written by a thread of its own. Whoever tries the demo may sign up.
    fn configure_server(&self, flags: &ServeFlags, demo: bool) -> Result<(Arc<Config>, Option<LogWriter>), CliError> {
        let settings = self.settings(Some(flags))?;
        let settings = if demo { settings.with_default("signup", "open") } else { settings };
        let config = Arc::new(Config::new(&settings)?);
        let writer = logging::start(&config, self.quiet, self.verbose, true);
        Ok((config, writer))
    }

    /// The memory, for a command that changes or shows what is there.
    fn management(&self) -> Result<Management, CliError> {
        let config = self.configure()?;
        refuse_missing(&config)?;
        Ok(Management::open(config, Arc::new(SystemClock), &actor())?)
    }

    /// The memory, for a command that may be the first of all: it is made if it is not there.
    fn management_or_new(&self) -> Result<Management, CliError> {
        let config = self.configure()?;
        Ok(Management::open(config, Arc::new(SystemClock), &actor())?)
    }
}

/// Who runs the command, for the audit.
fn actor() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_unset| std::env::var("USER"));
    let name = name.unwrap_or_else(|_unset| "unknown".to_owned());
    format!("cli:{}", name.chars().filter(|c| !c.is_control()).take(64).collect::<String>())
}

/// What is wrong with the command line, without the usage and the hints below it.
fn written_wrongly(error: &clap::Error) -> CliError {
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    CliError::usage(what.strip_prefix("error: ").unwrap_or(what))
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If the terminal is gone there is nobody left to tell.
            let _unprinted = error.print();
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                return ExitCode::SUCCESS;
            }
            let asks_for_json = std::env::args_os().any(|arg| arg == "--json");
            Output::new(asks_for_json, false).failure(&written_wrongly(&error));
            return ExitCode::from(error::USAGE);
        }
    };
    let context = Context {
        config: cli.config,
        settings: cli.settings,
        output: Output::new(cli.json, cli.quiet),
        quiet: cli.quiet,
        verbose: cli.verbose,
    };
    let result = match cli.command {
        Command::Serve(command) => command.run(&context),
        Command::SetupLink => setup_link::run(&context),
        Command::Org(command) => command.run(&context),
        Command::User(command) => command.run(&context),
        Command::Api(command) => command.run(&context),
        Command::App(command) => command.run(&context),
        Command::Issuer(command) => command.run(&context),
        Command::RegistrationToken(command) => command.run(&context),
        Command::Key(command) => command.run(&context),
        Command::Token(command) => command.run(&context),
        Command::Migrate(command) => command.run(&context),
        Command::Openapi => openapi::run(&context),
        Command::Config(command) => command.run(&context),
        Command::Doctor(command) => command.run(&context),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.output.error(&error);
            ExitCode::from(error.code())
        }
    }
}
