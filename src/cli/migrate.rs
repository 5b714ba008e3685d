//! `brevet migrate …`

use clap::Subcommand;
use serde_json::json;

use super::{CliError, Context};
use crate::service::connect;

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Bring the tables up to date
    Up,
    /// Show what was run and what is to be run; exit code 1 if something is
    Status,
}

impl Migrate {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let config = context.configure()?;
        let database = connect(&config)?;
        match self {
            Self::Up => {
                let run = database.migrate()?;
                context.output.data(&json!({ "run": run }), || match run.as_slice() {
                    [] => "The tables are up to date.".to_owned(),
                    run => format!("Run: {}", run.join(", ")),
                })
            }
            Self::Status => {
                let status = database.migration_status()?;
                let document =
                    json!({ "applied": status.applied, "pending": status.pending, "unknown": status.unknown });
                context.output.data(&document, || {
                    let line = |state: &str, names: &[String]| {
                        names.iter().map(|name| format!("{state:<8} {name}")).collect::<Vec<_>>()
                    };
                    [line("applied", &status.applied), line("pending", &status.pending), line("newer", &status.unknown)]
                        .concat()
                        .join("\n")
                })?;
                if status.pending.is_empty() && status.unknown.is_empty() {
                    return Ok(());
                }
                Err(CliError::check_failed("the tables and this program are not of the same version"))
            }
        }
    }
}
