//! `brevet issuer update`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::keys::{Keys, say_what_is_there};
use super::shown::{document, shown};
use super::{is_subject, parse_algorithm, parse_id, parse_subject};
use crate::cli::input::read_certificates;
use crate::cli::{CliError, Context};
use crate::clock::{Clock, SystemClock, parse_span};
use crate::oauth::trust::{ClaimName, ClaimRule, IssuerKeys};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use crate::service::{Management, ServiceError};

#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    /// Its id
    #[arg(value_parser = parse_id)]
    id: ClientId,
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    keys: Keys,
    /// Certificates or authorities, in PEM, beside those that are there
    #[arg(long, value_name = "FILE", conflicts_with = "Keys")]
    add_certificate: Option<PathBuf>,
    /// A name, DNS or URI, that the certificate which signs has; may repeat
    #[arg(long, value_name = "NAME")]
    certificate_name: Vec<String>,
    /// Whatever name the certificate has
    #[arg(long, conflicts_with = "certificate_name")]
    no_certificate_names: bool,
    /// An audience that its JWTs have in aud; may repeat, one of them must be there
    #[arg(long, value_name = "AUD")]
    audience: Vec<String>,
    /// An algorithm it may sign with; may repeat
    #[arg(long, value_name = "RS256|PS256|ES256|EdDSA", value_parser = parse_algorithm)]
    algorithm: Vec<SigningAlgorithm>,
    /// It may sign with all of them
    #[arg(long, conflicts_with = "algorithm")]
    any_algorithm: bool,
    /// The claim that says whom a JWT is about; /outer/inner for one within another
    #[arg(long, value_name = "CLAIM")]
    subject_claim: Option<ClaimName>,
    /// What the subject must be, byte for byte; with --match, instead of all rules from before; for an app
    #[arg(long, value_name = "VALUE", value_parser = parse_subject)]
    subject: Option<String>,
    /// What a claim must say; may repeat: `*` and `?` make a pattern, `,` a list; with --subject, instead of all rules from before
    #[arg(long = "match", value_name = "CLAIM=VALUE", value_parser = ClaimRule::parse)]
    rules: Vec<ClaimRule>,
    /// No rules: each of its JWTs; for users
    #[arg(long, conflicts_with_all = ["subject", "rules"])]
    no_rules: bool,
    /// A scope that users get, or one of the only ones that the app gets; may repeat
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// All scopes that the app has
    #[arg(long, conflicts_with = "scope")]
    all_scopes: bool,
    /// The longest ago that a JWT may have been made
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    max_age: Option<Duration>,
    /// However long ago it was made
    #[arg(long, conflicts_with = "max_age")]
    no_max_age: bool,
    /// From now on (true) or no longer (false) each JWT is good once
    #[arg(long, value_name = "BOOL")]
    single_use: Option<bool>,
    /// From now on (true) or no longer (false) its JWTs are good at resource routes as they are
    #[arg(long, value_name = "BOOL")]
    accept_directly: Option<bool>,
    /// The longest that what is issued for its JWTs lives
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    ticket_lifetime: Option<Duration>,
    /// No limit of its own
    #[arg(long, conflicts_with = "ticket_lifetime")]
    no_ticket_lifetime: bool,
}

/// A flag that gives a list, and the one that empties it.
fn listed<T>(named: Vec<T>, none: bool) -> Option<Vec<T>> {
    (none || !named.is_empty()).then_some(named)
}

fn put<T>(new: Option<T>, place: &mut T) {
    if let Some(new) = new {
        *place = new;
    }
}

/// The certificates that are there, and more.
fn beside(keys: &IssuerKeys, more: &str) -> Result<IssuerKeys, ServiceError> {
    let both = |there: &str| format!("{there}\n{more}").into();
    match keys {
        IssuerKeys::Certificates(there) => Ok(IssuerKeys::Certificates(both(there))),
        IssuerKeys::Authorities(there) => Ok(IssuerKeys::Authorities(both(there))),
        _ => Err(ServiceError::field(
            "certificates",
            "this entry has no certificates; to change to them write --certificate or --ca",
        )),
    }
}

impl Update {
    pub(super) fn run(mut self: Box<Self>, context: &Context, m: &Management) -> Result<(), CliError> {
        let keys = std::mem::take(&mut self.keys).read()?;
        let more = self.add_certificate.take().map(read_certificates).transpose()?;
        let is_moved = keys.is_some();
        let (id, now) = (self.id, SystemClock.now());
        let record = trusted_issuers::change(m, id, None, move |settings| {
            let keys = more.map_or(Ok(keys), |more| beside(&settings.policy.keys, &more).map(Some))?;
            self.apply(keys, settings)
        })?
        .record;
        context.output.data(&document(&record, now), || shown(&record, now))?;
        if is_moved {
            say_what_is_there(context, m, &record);
        }
        Ok(())
    }

    /// Writes what is named over what was.
    fn apply(self, keys: Option<IssuerKeys>, settings: &mut IssuerSettings) -> Result<(), ServiceError> {
        if self.subject.is_some() && settings.stands_for == StandsFor::Users {
            let rule = "this entry names users, whose logins are the subjects; for what else its JWTs must say write --match CLAIM=VALUE";
            return Err(ServiceError::field("rules", rule));
        }
        let policy = &mut settings.policy;
        put(self.name, &mut settings.name);
        put(keys, &mut policy.keys);
        put(listed(self.certificate_name, self.no_certificate_names), &mut policy.certificate_names);
        put(listed(self.audience, false), &mut policy.audiences);
        put(listed(self.algorithm, self.any_algorithm), &mut policy.algorithms);
        put(self.subject_claim, &mut policy.subject_claim);
        let mut rules = self.rules;
        rules.extend(self.subject.map(|subject| is_subject(&policy.subject_claim, subject)));
        put(listed(rules, self.no_rules), &mut policy.rules);
        put(self.max_age.map(Some).or(self.no_max_age.then_some(None)), &mut policy.max_age);
        put(self.single_use, &mut policy.single_use);
        put(self.accept_directly, &mut policy.accept_directly);
        put(self.ticket_lifetime.map(Some).or(self.no_ticket_lifetime.then_some(None)), &mut policy.ticket_lifetime);
        put(listed(self.scope, false).map(Some).or(self.all_scopes.then_some(None)), &mut settings.scopes);
        Ok(())
    }
}
