//! `brevet issuer add`

use std::time::Duration;

use clap::Args;

use super::keys::Keys;
use super::{is_subject, parse_algorithm, parse_id, parse_subject};
use crate::cli::CliError;
use crate::clock::parse_span;
use crate::oauth::trust::{ClaimName, ClaimRule, TrustPolicy};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::trusted_issuers::{IssuerSettings, StandsFor};

#[derive(Debug, Args)]
#[command(mut_group("Keys", |keys| keys.required(true)))]
pub(in crate::cli) struct Add {
    /// The organisation
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// Its name for people
    #[arg(long)]
    name: String,
    /// The iss of its JWTs, byte for byte
    #[arg(long, value_name = "ISS")]
    issuer: String,
    /// An audience that its JWTs have in aud; may repeat, one of them must be there
    #[arg(long, value_name = "AUD", required = true)]
    audience: Vec<String>,
    #[command(flatten)]
    keys: Keys,
    /// A name, DNS or URI, that the certificate which signs has; for --ca and --system-authorities; may repeat
    #[arg(long, value_name = "NAME")]
    certificate_name: Vec<String>,
    /// An algorithm it may sign with; may repeat [default: all]
    #[arg(long, value_name = "RS256|PS256|ES256|EdDSA", value_parser = parse_algorithm)]
    algorithm: Vec<SigningAlgorithm>,
    /// The claim that says whom a JWT is about; /outer/inner for one within another
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    subject_claim: ClaimName,
    /// What a claim must say; may repeat: `*` and `?` make a pattern, `,` a list
    #[arg(long = "match", value_name = "CLAIM=VALUE", value_parser = ClaimRule::parse)]
    rules: Vec<ClaimRule>,
    /// The longest ago that a JWT may have been made
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    max_age: Option<Duration>,
    /// Each JWT is good once
    #[arg(long)]
    single_use: bool,
    /// Its JWTs are good at resource routes as they are
    #[arg(long)]
    accept_directly: bool,
    /// The longest that what is issued for its JWTs lives
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    ticket_lifetime: Option<Duration>,
    #[command(flatten)]
    stands_for: Stands,
    /// What the subject must be, byte for byte; for --app
    #[arg(long, value_name = "VALUE", value_parser = parse_subject, conflicts_with = "users")]
    subject: Option<String>,
    /// A scope that users get, or one of the only ones that the app gets; may repeat
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Stands {
    /// Its JWTs stand for this app
    #[arg(long, value_name = "SID", value_parser = parse_id)]
    app: Option<ClientId>,
    /// Its JWTs name users of the organisation by login
    #[arg(long)]
    users: bool,
}

impl Add {
    /// The organisation, and what is to be trusted there.
    pub(super) fn into_settings(self) -> Result<(String, IssuerSettings), CliError> {
        let mut rules = self.rules;
        rules.extend(self.subject.map(|subject| is_subject(&self.subject_claim, subject)));
        let keys = self.keys.read()?.ok_or_else(|| CliError::usage("say where its keys are"))?;
        let stands_for = self.stands_for.app.map_or(StandsFor::Users, StandsFor::App);
        let settings = IssuerSettings {
            name: self.name,
            issuer: self.issuer,
            policy: TrustPolicy {
                certificate_names: self.certificate_name,
                algorithms: self.algorithm,
                subject_claim: self.subject_claim,
                rules,
                max_age: self.max_age,
                single_use: self.single_use,
                accept_directly: self.accept_directly,
                ticket_lifetime: self.ticket_lifetime,
                ..TrustPolicy::new(keys, self.audience)
            },
            stands_for,
            scopes: (stands_for == StandsFor::Users || !self.scope.is_empty()).then_some(self.scope),
        };
        Ok((self.org, settings))
    }
}
