//! `brevet issuer …`

mod add;
mod keys;
mod shown;
mod trial;
mod update;

use clap::Subcommand;
use serde_json::{Value, json};

use self::keys::say_what_is_there;
use self::shown::{document, ending, shown, state};
use super::output::table;
use super::{CliError, Context};
use crate::clock::{Clock, SystemClock};
use crate::oauth::trust::{ClaimName, ClaimRule, ClaimTest};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::trusted_issuers::{self, TrustedIssuerRecord};

/// Other entries of an issuer that are named, of those that still trust it.
const MOST_OTHERS: usize = 5;

#[derive(Debug, Subcommand)]
pub(super) enum Issuer {
    /// Trust an issuer: its JWTs get tokens here
    #[command(
        after_help = "Examples:\n  brevet issuer add --org acme --name 'GitHub Actions' --issuer https://token.actions.githubusercontent.com --discover \\\n    --audience https://id.acme.example/acme --app 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --subject 'repo:acme/billing:ref:refs/heads/main'\n  brevet issuer add --org acme --name 'Sign-in portal' --issuer urn:acme:portal --certificate portal.pem \\\n    --audience urn:acme:api --subject-claim nameid --users --scope billing:read --single-use"
    )]
    Add(Box<add::Add>),
    /// Show the issuers that an organisation trusts
    List {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Show an issuer
    Show {
        /// Its id
        #[arg(value_parser = parse_id)]
        id: ClientId,
    },
    /// Change an issuer; what is not named stays, and so do its id and the tickets of users
    #[command(
        after_help = "A list takes the place of the one from before.\n\nExamples:\n  brevet issuer update 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --add-certificate new.pem\n  brevet issuer update 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --match repository=acme/billing --match ref=refs/heads/main"
    )]
    Update(Box<update::Update>),
    /// Refuse its JWTs for the time being, and what was issued to users whom they named
    Disable {
        /// Its id
        #[arg(value_parser = parse_id)]
        id: ClientId,
    },
    /// Trust it again
    Enable {
        /// Its id
        #[arg(value_parser = parse_id)]
        id: ClientId,
    },
    /// Try a JWT: what each check says, without using it up; exit code 1 if it would be refused
    Test(Box<trial::Test>),
    /// Trust it no more
    Remove {
        /// Its id
        #[arg(value_parser = parse_id)]
        id: ClientId,
    },
}

fn parse_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).ok_or_else(|| "write the id as it is shown, in lower case with hyphens".to_owned())
}

fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::from_name(text).ok_or_else(|| "one of RS256, PS256, ES256 and EdDSA".to_owned())
}

/// The rule that `--subject` stands for.
fn is_subject(claim: &ClaimName, subject: String) -> ClaimRule {
    ClaimRule { claim: claim.clone(), test: ClaimTest::Equals(subject) }
}

/// Who writes a pattern here means it, and nobody has such a subject.
fn parse_subject(text: &str) -> Result<String, String> {
    if text.contains(['*', '?']) {
        return Err(format!("it is compared byte for byte; for a pattern write --match 'sub={text}'"));
    }
    Ok(text.to_owned())
}

/// Other entries of an issuer that people may believe to be trusted no more.
fn say_who_trusts(context: &Context, others: &[TrustedIssuerRecord]) {
    for other in others.iter().take(MOST_OTHERS) {
        let whom = other.app.map_or_else(|| "users".to_owned(), |app| format!("app {app}"));
        context.output.message(format_args!("Another entry of this issuer still stands: {}, for {whom}.", other.id));
    }
    let more = others.len().saturating_sub(MOST_OTHERS);
    if more > 0 {
        context.output.message(format_args!("And {more} more; see: brevet issuer list --org SLUG"));
    }
}

impl Issuer {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = context.management()?;
        let now = SystemClock.now();
        match self {
            Self::Add(add) => {
                let (org, settings) = add.into_settings()?;
                let made = trusted_issuers::create(&m, &org, settings)?.record;
                context.output.data(&document(&made, now), || {
                    format!("{} is trusted: its id here is {}.", made.issuer, made.id)
                })?;
                say_what_is_there(context, &m, &made);
                Ok(())
            }
            Self::List { org } => {
                let issuers = trusted_issuers::list(&m, &org, None, trusted_issuers::MOST_ISSUERS)?;
                let documents: Vec<Value> = issuers.iter().map(|issuer| document(issuer, now)).collect();
                context.output.data(&documents, || {
                    let row = |issuer: &TrustedIssuerRecord| {
                        vec![
                            issuer.id.to_string(),
                            issuer.name.clone(),
                            issuer.issuer.clone(),
                            issuer.policy.keys.name().to_owned(),
                            trusted_issuers::expires_at(&issuer.policy.keys, now)
                                .map_or_else(|| "-".to_owned(), |end| ending(end, now)),
                            issuer.app.map_or_else(|| "users".to_owned(), |app| format!("app {app}")),
                            state(issuer).to_owned(),
                        ]
                    };
                    let rows: Vec<_> = issuers.iter().map(row).collect();
                    table(&["ID", "NAME", "ISSUER", "KEYS", "EXPIRES", "STANDS FOR", "STATE"], &rows)
                })
            }
            Self::Show { id } => {
                let record = trusted_issuers::show(&m, id)?.record;
                context.output.data(&document(&record, now), || shown(&record, now))
            }
            Self::Update(update) => update.run(context, &m),
            Self::Disable { id } => {
                let record = trusted_issuers::set_enabled(&m, id, false)?.record;
                let others = trusted_issuers::still_trusting(&m, &record)?;
                context.output.data(&document(&record, now), || match others.as_slice() {
                    [] => format!("{} is refused from now on.", record.issuer),
                    _ => format!("The entry {id} of {} is disabled.", record.issuer),
                })?;
                say_who_trusts(context, &others);
                Ok(())
            }
            Self::Enable { id } => {
                let record = trusted_issuers::set_enabled(&m, id, true)?.record;
                context.output.data(&document(&record, now), || format!("{} is trusted.", record.issuer))
            }
            Self::Test(test) => test.run(context, &m),
            Self::Remove { id } => {
                let record = trusted_issuers::delete(&m, id)?;
                let others = trusted_issuers::still_trusting(&m, &record)?;
                let document = json!({ "id": id, "state": "removed" });
                context.output.data(&document, || match others.as_slice() {
                    [] => format!("{} is trusted no more.", record.issuer),
                    _ => format!("The entry {id} of {} is removed.", record.issuer),
                })?;
                say_who_trusts(context, &others);
                Ok(())
            }
        }
    }
}
