//! `brevet config …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::flags::ServeFlags;
use super::output::table;
use super::{CliError, Context};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Show every setting; secrets are masked
    Show {
        /// And where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        flags: ServeFlags,
    },
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let Self::Show { origin, flags } = self;
        let settings = context.settings(Some(&flags))?;
        let document: serde_json::Map<String, Value> = settings
            .shown()
            .map(|(setting, value, from)| {
                let entry = if origin { json!({ "value": value, "origin": from.to_string() }) } else { json!(value) };
                (setting.key.to_owned(), entry)
            })
            .collect();
        context.output.data(&document, || {
            let row = |(setting, value, from): (&config::Setting, String, &config::Origin)| {
                let mut row = vec![setting.key.to_owned(), if value.is_empty() { "-".to_owned() } else { value }];
                row.extend(origin.then(|| from.to_string()));
                row
            };
            let head: &[&str] = if origin { &["SETTING", "VALUE", "ORIGIN"] } else { &["SETTING", "VALUE"] };
            table(head, &settings.shown().map(row).collect::<Vec<_>>())
        })?;
        config::Config::new(&settings)?;
        Ok(())
    }
}
