//! `brevet issuer test`

use actix_web::rt::System;
use clap::Args;
use serde_json::{Value, json};

use super::parse_id;
use crate::cli::input::{parse_token, read_token};
use crate::cli::{CliError, Context};
use crate::clock::{Clock, SystemClock};
use crate::keys::tls::choose_provider;
use crate::oauth::ClientId;
use crate::oauth::trust::{TrustError, Way};
use crate::secret::Secret;
use crate::service::trusted_issuers::trial::{Against, EntryTrial, Step, StepOutcome, Trial, try_jwt};
use crate::service::{Management, open_directory, organisations, trusted_issuers};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  brevet issuer test --org acme token.jwt")]
pub(in crate::cli) struct Test {
    /// The file that holds the JWT, or the JWT; `-` for stdin
    #[arg(value_name = "FILE|TOKEN", value_parser = parse_token, default_value = "-", hide_default_value = true)]
    token: Secret,
    /// Only what this organisation trusts, as for requests that name it
    #[arg(long, value_name = "SLUG")]
    org: Option<String>,
    /// Only this trusted issuer, whatever the JWT says who made it
    #[arg(long, value_parser = parse_id)]
    id: Option<ClientId>,
    /// How it would come
    #[arg(long, value_name = "grant|client_assertion|ticket|bearer", default_value = "grant", value_parser = parse_way)]
    way: Way,
}

fn parse_way(text: &str) -> Result<Way, String> {
    Way::from_name(text).ok_or_else(|| "one of grant, client_assertion, ticket and bearer".to_owned())
}

impl Test {
    pub(super) fn run(self, context: &Context, m: &Management) -> Result<(), CliError> {
        let given = read_token(&self.token)?;
        let jwt = given.reveal();
        if jwt.is_empty() {
            return Err(CliError::bad_data("there is no JWT: it is empty"));
        }
        let against = match (self.id, self.org) {
            (Some(id), Some(slug)) => {
                let record = trusted_issuers::show(m, id)?.record;
                if organisations::show(m, record.organisation_id)?.0.slug != slug {
                    return Err(CliError::not_found(format!(
                        "{slug} has no trusted issuer {id}; see: brevet issuer list --org {slug}"
                    )));
                }
                Against::Entry(id)
            }
            (Some(id), None) => Against::Entry(id),
            (None, Some(slug)) => Against::Organisation(slug),
            (None, None) => Against::Everyone,
        };
        choose_provider();
        let directory = open_directory(m)?;
        let tried = try_jwt(&directory, m, &against, self.way, jwt, SystemClock.now());
        let trial = System::new().block_on(tried)?;
        context.output.data(&document(&trial), || shown(&trial))?;
        if trial.is_accepted() { Ok(()) } else { Err(CliError::check_failed(&trial.conclusion)) }
    }
}

fn step_document(step: &Step) -> Value {
    json!({ "check": step.check.name(), "outcome": step.outcome.name(), "text": step.text })
}

fn document(trial: &Trial) -> Value {
    let entry = |entry: &EntryTrial| {
        json!({
            "id": entry.id,
            "name": entry.name,
            "accepted": entry.refusal.is_none(),
            "reason": entry.refusal.as_ref().map(TrustError::label),
            "steps": entry.steps.iter().map(step_document).collect::<Vec<_>>(),
        })
    };
    json!({
        "accepted": trial.is_accepted(),
        "reason": trial.refusal.as_ref().map(TrustError::label),
        "conclusion": trial.conclusion,
        "issuer": trial.issuer,
        "nearest": trial.nearest,
        "form": step_document(&trial.form),
        "entries": trial.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn line(step: &Step) -> String {
    let sign = match step.outcome {
        StepOutcome::Holds => '✔',
        StepOutcome::Fails => '✖',
        StepOutcome::NotMade => '–',
    };
    format!("{sign} {:<11} {}", step.check.label(), step.text)
}

fn shown(trial: &Trial) -> String {
    let mut lines = vec![line(&trial.form)];
    for entry in &trial.entries {
        lines.push(format!("\n{} ({})", entry.name, entry.id));
        lines.extend(entry.steps.iter().map(line));
    }
    if trial.is_accepted() {
        lines.push(format!("\n{}", trial.conclusion));
    }
    lines.join("\n")
}
