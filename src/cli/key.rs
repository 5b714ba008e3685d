//! `brevet key …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::api::parse_algorithm;
use super::app::confirm;
use super::output::table;
use super::{CliError, Context};
use crate::clock::{Timestamp, print_span};
use crate::oauth::SigningAlgorithm;
use crate::service::signing_keys::{self, KeyDetails};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Show the signing keys and where they are in their lives
    List,
    /// Publish a next key now; it signs when the present one's time is over
    Generate {
        /// The algorithm
        #[arg(long, default_value = "RS256", value_parser = parse_algorithm, value_name = "RS256|PS256|ES256|EdDSA")]
        alg: SigningAlgorithm,
    },
    /// Let the next key take over as soon as verifiers had time to see it
    Rotate {
        /// The algorithm
        #[arg(long, default_value = "RS256", value_parser = parse_algorithm, value_name = "RS256|PS256|ES256|EdDSA")]
        alg: SigningAlgorithm,
        /// At once: verifiers that cached the keys refuse new tokens until they fetch them again
        #[arg(long)]
        now: bool,
    },
    /// Stop a key from signing at once; the tokens it signed stay good
    Retire {
        /// The key; its name may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Take a key out of the world at once: every token it signed is refused
    Revoke {
        /// The key; its name may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn document(key: &KeyDetails) -> Value {
    json!({
        "kid": key.dates.kid, "alg": key.dates.algorithm.name(), "state": key.state,
        "created_at": key.dates.created_at.rfc3339(), "signs_from": key.dates.signs_from.rfc3339(),
        "gone_at": key.gone_at.map(Timestamp::rfc3339),
    })
}

impl Key {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = match self {
            Self::Generate { .. } | Self::Rotate { .. } => context.management_or_new()?,
            _ => context.management()?,
        };
        match self {
            Self::List => {
                let keys = signing_keys::list(&m)?;
                context.output.data(&keys.iter().map(document).collect::<Vec<_>>(), || {
                    let row = |key: &KeyDetails| {
                        vec![
                            key.dates.kid.clone(),
                            key.dates.algorithm.name().to_owned(),
                            key.state.to_string(),
                            key.dates.signs_from.rfc3339(),
                            key.gone_at.map_or_else(|| "-".to_owned(), Timestamp::rfc3339),
                        ]
                    };
                    table(&["KID", "ALG", "STATE", "SIGNS FROM", "GONE AT"], &keys.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Generate { alg } => {
                let kid = signing_keys::generate(&m, alg)?;
                let document = json!({ "kid": kid, "alg": alg.name() });
                context.output.data(&document, || format!("Key {kid} is published; see: brevet key list"))
            }
            Self::Rotate { alg, now } => {
                let (kid, signs_from) = signing_keys::rotate(&m, alg, now)?;
                let document = json!({ "kid": kid, "alg": alg.name(), "signs_from": signs_from.rfc3339() });
                context.output.data(&document, || format!("Key {kid} signs from {signs_from}."))?;
                if !now {
                    let announce = print_span(m.config().key_life.announce);
                    context
                        .output
                        .message(format_args!("Verifiers have {announce} to see it; none will refuse a valid token."));
                }
                Ok(())
            }
            Self::Retire { kid } => {
                let successor = signing_keys::retire(&m, &kid)?;
                let document = json!({ "kid": kid, "successor": successor });
                context
                    .output
                    .data(&document, || format!("Key {kid} stops signing within two seconds; then {successor} signs."))
            }
            Self::Revoke { kid, yes } => {
                if !yes {
                    confirm(&format!("Revoke the key {kid}? Every token it signed is refused from now on."))?;
                }
                signing_keys::revoke(&m, &kid)?;
                let document = json!({ "kid": kid, "state": "revoked" });
                context.output.data(&document, || {
                    format!("Key {kid} is revoked. Services that cached the keys accept its tokens until they fetch them again.")
                })
            }
        }
    }
}
