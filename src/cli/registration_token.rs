//! `brevet registration-token …`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::flags::whole_number;
use super::output::table;
use super::{CliError, Context};
use crate::clock::{Clock, SystemClock, Timestamp, parse_span, print_span};
use crate::service::registration_tokens::{self, MOST_USES, NewRegistrationToken, RegistrationTokenRecord};

#[derive(Debug, Subcommand)]
pub(super) enum RegistrationToken {
    /// Make a token; it is printed once and never again
    #[command(
        after_help = "Example:\n  brevet registration-token create --org acme --uses 20 --expires-in 7d --scope billing:read"
    )]
    Create(Create),
    /// Show the tokens of an organisation
    List {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Make a token unusable at once; the apps that were registered with it stay
    Revoke {
        /// The token's id, as `list` shows it
        id: Uuid,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The organisation that the apps will belong to
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// How many apps it may register
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole_number(1..=MOST_USES))]
    uses: u32,
    /// When it ends, at most a year ahead
    #[arg(long, value_name = "SPAN", value_parser = parse_span, default_value = "7d")]
    expires_in: Duration,
    /// A scope that the apps may have; may repeat; without any they get none
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// The longest that tokens of the apps live
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    lifetime: Option<Duration>,
}

impl RegistrationToken {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = context.management()?;
        match self {
            Self::Create(create) => {
                let new = NewRegistrationToken {
                    organisation: &create.org,
                    uses: create.uses,
                    expires_in: create.expires_in,
                    scopes: create.scope,
                    lifetime: create.lifetime,
                };
                let created = registration_tokens::create(&m, new)?;
                let (token, record) = (created.token.reveal(), &created.record);
                let document = json!({
                    "token": token, "expires_at": record.expires_at.rfc3339(), "id": record.id,
                    "uses": record.uses_left, "scopes": scopes(record),
                });
                context.output.data(&document, || token.to_owned())?;
                context.output.message(format_args!(
                    "Good for {} until {}. Keep it now: it is stored hashed and will not be shown again.",
                    if record.uses_left == 1 { "one app".to_owned() } else { format!("{} apps", record.uses_left) },
                    record.expires_at.rfc3339()
                ));
                Ok(())
            }
            Self::List { org } => {
                let (tokens, now) = (registration_tokens::list(&m, &org)?, SystemClock.now());
                let documents: Vec<Value> = tokens.iter().map(|token| document(token, now)).collect();
                context.output.data(&documents, || {
                    let row = |token: &RegistrationTokenRecord| {
                        vec![
                            token.id.to_string(),
                            shown(token),
                            state(token, now).to_owned(),
                            token.uses_left.to_string(),
                            token.expires_at.rfc3339(),
                            scopes(token).join(" "),
                        ]
                    };
                    let rows: Vec<_> = tokens.iter().map(row).collect();
                    table(&["ID", "TOKEN", "STATE", "USES LEFT", "EXPIRES", "SCOPES"], &rows)
                })
            }
            Self::Revoke { id } => {
                let revoked_at = registration_tokens::revoke(&m, id)?;
                let document = json!({ "id": id, "state": "revoked", "revoked_at": revoked_at.rfc3339() });
                context.output.data(&document, || format!("Registration token {id} is revoked."))
            }
        }
    }
}

fn shown(token: &RegistrationTokenRecord) -> String {
    format!("bvr_…{}", token.hint)
}

fn scopes(token: &RegistrationTokenRecord) -> Vec<&str> {
    token.scopes.iter().map(|(_, name)| name.as_str()).collect()
}

fn state(token: &RegistrationTokenRecord, now: Timestamp) -> &'static str {
    if token.is_usable(now) {
        "active"
    } else if token.revoked_at.is_some() {
        "revoked"
    } else if token.uses_left == 0 {
        "used up"
    } else {
        "expired"
    }
}

fn document(token: &RegistrationTokenRecord, now: Timestamp) -> Value {
    json!({
        "id": token.id, "hint": shown(token), "state": state(token, now), "uses_left": token.uses_left,
        "expires_at": token.expires_at.rfc3339(), "created_at": token.created_at.rfc3339(),
        "created_by": token.created_by, "revoked_at": token.revoked_at.map(Timestamp::rfc3339),
        "scopes": scopes(token), "lifetime": token.lifetime.map(print_span),
    })
}
