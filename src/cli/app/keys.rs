//! `brevet app key …`

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::output::table;
use super::super::{CliError, Context};
use super::parse_sid;
use crate::clock::{Clock, SystemClock, Timestamp, parse_span, print_span};
use crate::db::app_keys::AppKeyRecord;
use crate::oauth::ClientId;
use crate::service::Management;
use crate::service::app_keys::{self, CreatedKey};

#[derive(Debug, Subcommand)]
pub(in super::super) enum AppKey {
    /// Add a key beside those the app has
    Add {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
        /// When the key ends
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        expires_in: Option<Duration>,
    },
    /// Show the keys of an app
    List {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
    },
    /// Make a new key and let the old one end after a while
    #[command(after_help = "Example:\n  brevet app key rotate 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --overlap 24h")]
    Rotate {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
        /// How long the old key still works; 0s for not at all
        #[arg(long, value_name = "SPAN", value_parser = parse_span, default_value = "24h")]
        overlap: Duration,
        /// When the new key ends
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        expires_in: Option<Duration>,
    },
    /// Make a key unusable at once
    Revoke {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
        /// The key's id, as `list` shows it
        key: Uuid,
    },
}

impl AppKey {
    pub(super) fn run(self, context: &Context, m: &Management) -> Result<(), CliError> {
        match self {
            Self::Add { sid, expires_in } => show_created(context, sid, &app_keys::add(m, sid, expires_in)?),
            Self::List { sid } => {
                let keys = app_keys::list(m, sid)?;
                let documents: Vec<Value> = keys.iter().map(document).collect();
                context.output.data(&documents, || key_table(&keys, SystemClock.now()))
            }
            Self::Rotate { sid, overlap, expires_in } => {
                show_created(context, sid, &app_keys::rotate(m, sid, overlap, expires_in)?)?;
                context.output.message(if overlap.is_zero() {
                    "The old key is refused from now on.".to_owned()
                } else {
                    format!("The old key works for another {}.", print_span(overlap))
                });
                Ok(())
            }
            Self::Revoke { sid, key } => {
                app_keys::revoke(m, sid, key)?;
                let document = json!({ "client_id": sid.to_string(), "id": key, "state": "revoked" });
                context.output.data(&document, || format!("Key {key} is revoked."))
            }
        }
    }
}

fn show_created(context: &Context, sid: ClientId, created: &CreatedKey) -> Result<(), CliError> {
    let secret = created.client_secret.reveal();
    let expires_at = created.expires_at.map(Timestamp::rfc3339);
    let document =
        json!({ "client_id": sid.to_string(), "id": created.id, "client_secret": secret, "expires_at": expires_at });
    context.output.data(&document, || format!("App SID  {sid}\nApp Key  {secret}"))?;
    if !context.output.is_json() {
        context.output.message("Keep the App Key now: it is stored hashed and will not be shown again.");
    }
    Ok(())
}

pub(super) fn document(key: &AppKeyRecord) -> Value {
    json!({
        "id": key.id, "hint": format!("bvk_…{}", key.hint), "state": key.state(SystemClock.now()),
        "created_at": key.created_at.rfc3339(), "created_by": key.created_by,
        "expires_at": key.expires_at.map(Timestamp::rfc3339), "revoked_at": key.revoked_at.map(Timestamp::rfc3339),
        "last_used_at": key.last_used_at.map(Timestamp::rfc3339), "last_used_from": key.last_used_from,
    })
}

pub(super) fn key_table(keys: &[AppKeyRecord], now: Timestamp) -> String {
    let or_dash = |at: Option<Timestamp>, dash: &str| at.map_or_else(|| dash.to_owned(), Timestamp::rfc3339);
    let row = |key: &AppKeyRecord| {
        vec![
            key.id.to_string(),
            format!("bvk_…{}", key.hint),
            key.state(now).to_owned(),
            key.created_at.rfc3339(),
            or_dash(key.expires_at, "never"),
            or_dash(key.last_used_at, "never"),
        ]
    };
    table(&["ID", "KEY", "STATE", "CREATED", "EXPIRES", "LAST USED"], &keys.iter().map(row).collect::<Vec<_>>())
}
