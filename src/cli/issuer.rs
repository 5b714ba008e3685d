//! `brevet issuer …`

mod trial;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::input::read_text;
use super::output::table;
use super::{CliError, Context};
use crate::clock::{Clock, SystemClock, Timestamp, parse_span, print_span};
use crate::oauth::trust::{ClaimName, ClaimRule, ClaimTest, IssuerKeys, TrustPolicy};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::trusted_issuers::{
    self, EXPIRES_SOON, IssuerCertificate, IssuerSettings, StandsFor, TrustedIssuerRecord,
};

#[derive(Debug, Subcommand)]
pub(super) enum Issuer {
    /// Trust an issuer: its JWTs get tokens here
    #[command(
        after_help = "Examples:\n  brevet issuer add --org acme --name 'GitHub Actions' --issuer https://token.actions.githubusercontent.com --discover \\\n    --audience https://id.acme.example/acme --app 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --subject 'repo:acme/billing:ref:refs/heads/main'\n  brevet issuer add --org acme --name 'Sign-in portal' --issuer urn:acme:portal --certificate portal.pem \\\n    --audience urn:acme:api --subject-claim nameid --users --scope billing:read --single-use"
    )]
    Add(Box<Add>),
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

#[derive(Debug, Args)]
pub(super) struct Add {
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
    #[arg(long, value_name = "VALUE", conflicts_with = "users")]
    subject: Option<String>,
    /// A scope that users get, or one of the only ones that the app gets; may repeat
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Keys {
    /// Its certificates, in PEM: one or several
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Certificate authorities, in PEM, to which the x5c of its JWTs must lead; and their revocation lists, if there are any
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Its public keys: a JWK set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where its JWK set is
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// Find its JWK set through its OpenID configuration
    #[arg(long)]
    discover: bool,
    /// Certificate authorities of the operating system that the operator named (setting system-authorities)
    #[arg(long)]
    system_authorities: bool,
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

fn parse_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).ok_or_else(|| "write the id as it is shown, in lower case with hyphens".to_owned())
}

fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::from_name(text).ok_or_else(|| "one of RS256, PS256, ES256 and EdDSA".to_owned())
}

impl Keys {
    fn read(self) -> Result<IssuerKeys, CliError> {
        Ok(match self {
            Self { certificate: Some(path), .. } => IssuerKeys::Certificates(read_text(&path)?.as_str().into()),
            Self { ca: Some(path), .. } => IssuerKeys::Authorities(read_text(&path)?.as_str().into()),
            Self { jwks: Some(path), .. } => IssuerKeys::Jwks(read_text(&path)?.as_str().into()),
            Self { jwks_url: Some(url), .. } => IssuerKeys::JwksUri(url.into()),
            Self { system_authorities: true, .. } => IssuerKeys::SystemAuthorities,
            _ => IssuerKeys::Discovery,
        })
    }
}

impl Add {
    fn into_settings(self) -> Result<(String, IssuerSettings), CliError> {
        let mut rules = self.rules;
        if let Some(subject) = self.subject {
            rules.push(ClaimRule { claim: self.subject_claim.clone(), test: ClaimTest::Equals(subject) });
        }
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
                ..TrustPolicy::new(self.keys.read()?, self.audience)
            },
            stands_for,
            scopes: (stands_for == StandsFor::Users || !self.scope.is_empty()).then_some(self.scope),
        };
        Ok((self.org, settings))
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
                context
                    .output
                    .data(&document(&made, now), || format!("{} is trusted: its id here is {}.", made.issuer, made.id))
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
            Self::Disable { id } => {
                let record = trusted_issuers::set_enabled(&m, id, false)?.record;
                context.output.data(&document(&record, now), || format!("{} is refused from now on.", record.issuer))
            }
            Self::Enable { id } => {
                let record = trusted_issuers::set_enabled(&m, id, true)?.record;
                context.output.data(&document(&record, now), || format!("{} is trusted.", record.issuer))
            }
            Self::Test(test) => test.run(context, &m),
            Self::Remove { id } => {
                let record = trusted_issuers::delete(&m, id)?;
                let document = json!({ "id": id, "state": "removed" });
                context.output.data(&document, || format!("{} is trusted no more.", record.issuer))
            }
        }
    }
}

fn state(issuer: &TrustedIssuerRecord) -> &'static str {
    if issuer.disabled_at.is_some() { "disabled" } else { "active" }
}

fn scopes(issuer: &TrustedIssuerRecord) -> Option<Vec<&str>> {
    let are_named = issuer.app.is_none() || issuer.policy.limits_scopes;
    are_named.then(|| issuer.scopes.iter().map(|(_, name)| name.as_str()).collect())
}

fn document(issuer: &TrustedIssuerRecord, now: Timestamp) -> Value {
    let policy = &issuer.policy;
    let algorithms: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    json!({
        "id": issuer.id,
        "name": issuer.name,
        "issuer": issuer.issuer,
        "state": state(issuer),
        "keys": policy.keys.name(),
        "jwks_uri": match &policy.keys { IssuerKeys::JwksUri(uri) => Some(&**uri), _ => None },
        "certificates": trusted_issuers::certificates(&policy.keys).iter().map(certificate_document).collect::<Vec<_>>(),
        "certificate_names": policy.certificate_names,
        "certificates_expire_at": trusted_issuers::expires_at(&policy.keys, now).map(Timestamp::rfc3339),
        "algorithms": algorithms,
        "audiences": policy.audiences,
        "subject_claim": policy.subject_claim,
        "rules": policy.rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "max_age": policy.max_age.map(print_span),
        "single_use": policy.single_use,
        "accept_directly": policy.accept_directly,
        "ticket_lifetime": policy.ticket_lifetime.map(print_span),
        "app": issuer.app,
        "scopes": scopes(issuer),
        "created_at": issuer.created_at.rfc3339(),
        "updated_at": issuer.updated_at.rfc3339(),
        "disabled_at": issuer.disabled_at.map(Timestamp::rfc3339),
    })
}

fn certificate_document(certificate: &IssuerCertificate) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint,
        "key": certificate.key,
        "not_before": certificate.not_before.rfc3339(),
        "not_after": certificate.not_after.rfc3339(),
    })
}

/// When something ends, with a word to it if that is soon or was.
fn ending(end: Timestamp, now: Timestamp) -> String {
    let word = if end < now {
        " (expired)"
    } else if end <= now + EXPIRES_SOON {
        " (soon)"
    } else {
        ""
    };
    format!("{}{word}", end.rfc3339())
}

fn shown(issuer: &TrustedIssuerRecord, now: Timestamp) -> String {
    let policy = &issuer.policy;
    let mut lines = vec![
        format!("{} ({})", issuer.name, state(issuer)),
        format!("  iss         {}", issuer.issuer),
        format!("  keys        {}", policy.keys.name()),
        format!("  aud         {}", policy.audiences.join(" or ")),
        format!("  subject     {}", policy.subject_claim),
    ];
    for certificate in trusted_issuers::certificates(&policy.keys) {
        lines.push(format!("  certificate {}, {}", certificate.subject, certificate.key));
        lines.push(format!("              expires {}", ending(certificate.not_after, now)));
        lines.push(format!("              SHA-256 {}", certificate.fingerprint));
    }
    lines.extend(policy.certificate_names.iter().map(|name| format!("  named       {name}")));
    lines.extend(policy.rules.iter().map(|rule| format!("  rule        {rule}")));
    lines.push(format!(
        "  stands for  {}",
        issuer.app.map_or_else(|| "users of the organisation, by login".to_owned(), |app| format!("app {app}"))
    ));
    lines.push(match scopes(issuer) {
        Some(scopes) => format!("  scopes      {}", scopes.join(" ")),
        None => "  scopes      all that the app has".to_owned(),
    });
    lines.extend(policy.max_age.map(|age| format!("  maximum age {}", print_span(age))));
    if policy.single_use {
        lines.push("  each JWT is good once".to_owned());
    }
    if policy.accept_directly {
        lines.push("  its JWTs are good at resource routes as they are".to_owned());
    }
    lines.join("\n")
}
