//! `brevet api …`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::table;
use super::{CliError, Context};
use crate::clock::{parse_span, print_span};
use crate::db::apis::{ApiRecord, ScopeRecord};
use crate::oauth::{SigningAlgorithm, TokenProfile};
use crate::service::apis::{self, ApiUpdate, NewApi, ScopeUpdate};

#[derive(Debug, Subcommand)]
pub(super) enum Api {
    /// Register an API
    #[command(
        after_help = "Example:\n  brevet api create --org acme --name Billing --identifier https://billing.acme.example \\\n    --scope billing:read='Read invoices' --scope billing:write"
    )]
    Create(Create),
    /// Show the APIs of an organisation
    List {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Show an API
    Show {
        /// Its identifier
        identifier: String,
    },
    /// Change an API; tokens already issued stay as they are
    Update(Update),
    /// Delete an API that no app has scopes of
    Delete {
        /// Its identifier
        identifier: String,
    },
    /// The scopes of an API
    #[command(subcommand)]
    Scope(Scope),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The organisation
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// Its name for people
    #[arg(long)]
    name: String,
    /// An absolute URI, unique on this server; stands in `aud`
    #[arg(long, value_name = "URI")]
    identifier: String,
    /// A scope, and after `=` what it means to people; unique in the organisation
    #[arg(long, value_name = "NAME[=TEXT]", value_parser = parse_scope)]
    scope: Vec<ScopeRecord>,
    /// The same for a scope that people should think twice about before they grant it
    #[arg(long, value_name = "NAME[=TEXT]", value_parser = parse_sensitive_scope)]
    sensitive_scope: Vec<ScopeRecord>,
    /// What its tokens look like
    #[arg(long, default_value = "rfc9068", value_parser = parse_profile, value_name = "rfc9068|classic")]
    profile: TokenProfile,
    /// How its tokens are signed
    #[arg(long, default_value = "RS256", value_parser = parse_algorithm, value_name = "RS256|PS256|ES256|EdDSA")]
    alg: SigningAlgorithm,
    /// The longest its tokens live
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    lifetime: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// Its identifier
    identifier: String,
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// What its tokens look like
    #[arg(long, value_parser = parse_profile, value_name = "rfc9068|classic")]
    profile: Option<TokenProfile>,
    /// How its tokens are signed
    #[arg(long, value_parser = parse_algorithm, value_name = "RS256|PS256|ES256|EdDSA")]
    alg: Option<SigningAlgorithm>,
    /// The longest its tokens live
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    lifetime: Option<Duration>,
    /// No limit of its own
    #[arg(long, conflicts_with = "lifetime")]
    no_lifetime: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Scope {
    /// Add a scope
    Add {
        /// The API's identifier
        identifier: String,
        /// The scope, and after `=` what it means to people
        #[arg(value_name = "NAME[=TEXT]", value_parser = parse_scope)]
        scope: ScopeRecord,
        /// People should think twice before they grant it
        #[arg(long)]
        sensitive: bool,
    },
    /// Change what a scope means to people; its name stands in tokens and stays
    Update {
        /// The API's identifier
        identifier: String,
        /// The scope
        name: String,
        /// What it means to people; '' takes it away
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Whether people should think twice before they grant it
        #[arg(long, value_name = "BOOL")]
        sensitive: Option<bool>,
    },
    /// Show the scopes
    List {
        /// The API's identifier
        identifier: String,
    },
    /// Take a scope away, also from every app that has it
    Remove {
        /// The API's identifier
        identifier: String,
        /// The scope
        name: String,
    },
}

fn parse_scope(text: &str) -> Result<ScopeRecord, String> {
    let (name, description) = text.split_once('=').unwrap_or((text, ""));
    Ok(ScopeRecord { name: name.to_owned(), description: description.to_owned(), sensitive: false })
}

fn parse_sensitive_scope(text: &str) -> Result<ScopeRecord, String> {
    Ok(ScopeRecord { sensitive: true, ..parse_scope(text)? })
}

fn parse_profile(text: &str) -> Result<TokenProfile, String> {
    TokenProfile::from_name(text).ok_or_else(|| "write rfc9068 or classic".to_owned())
}

pub(super) fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::from_name(text).ok_or_else(|| "write RS256, PS256, ES256 or EdDSA".to_owned())
}

fn document(api: &ApiRecord) -> Value {
    let scope = |scope: &ScopeRecord| json!({ "name": scope.name, "description": scope.description, "sensitive": scope.sensitive });
    json!({
        "id": api.id, "name": api.name, "identifier": api.identifier, "profile": api.profile.name(),
        "alg": api.algorithm.name(), "lifetime": api.lifetime.map(print_span),
        "scopes": api.scopes.iter().map(scope).collect::<Vec<_>>(), "created_at": api.created_at.rfc3339(),
    })
}

fn text(api: &ApiRecord) -> String {
    format!(
        "{}\n  identifier  {}\n  profile     {}\n  algorithm   {}\n  lifetime    {}\n\n{}",
        api.name,
        api.identifier,
        api.profile.name(),
        api.algorithm.name(),
        api.lifetime.map_or_else(|| "the server's".to_owned(), print_span),
        scope_table(&api.scopes)
    )
}

fn scope_table(scopes: &[ScopeRecord]) -> String {
    let row = |scope: &ScopeRecord| {
        let meaning = match (scope.sensitive, scope.description.as_str()) {
            (false, text) => text.to_owned(),
            (true, "") => "(sensitive)".to_owned(),
            (true, text) => format!("{text} (sensitive)"),
        };
        vec![scope.name.clone(), meaning]
    };
    table(&["SCOPE", "MEANING"], &scopes.iter().map(row).collect::<Vec<_>>())
}

impl Api {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = context.management()?;
        match self {
            Self::Create(create) => {
                let api = apis::create(
                    &m,
                    &NewApi {
                        organisation: &create.org,
                        name: &create.name,
                        identifier: &create.identifier,
                        scopes: [create.scope, create.sensitive_scope].concat(),
                        profile: create.profile,
                        algorithm: create.alg,
                        lifetime: create.lifetime,
                    },
                )?
                .api;
                context.output.data(&document(&api), || format!("API {} created.", api.identifier))
            }
            Self::List { org } => {
                let all = apis::list(&m, &org)?;
                context.output.data(&all.iter().map(document).collect::<Vec<_>>(), || {
                    let row = |api: &ApiRecord| {
                        let scopes: Vec<&str> = api.scopes.iter().map(|scope| scope.name.as_str()).collect();
                        vec![api.name.clone(), api.identifier.clone(), api.profile.name().to_owned(), scopes.join(" ")]
                    };
                    table(&["NAME", "IDENTIFIER", "PROFILE", "SCOPES"], &all.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Show { identifier } => {
                let api = apis::show(&m, identifier.as_str())?.api;
                context.output.data(&document(&api), || text(&api))
            }
            Self::Update(update) => {
                let lifetime = if update.no_lifetime { Some(None) } else { update.lifetime.map(Some) };
                let changes = ApiUpdate { name: update.name, profile: update.profile, algorithm: update.alg, lifetime };
                let api = apis::update(&m, update.identifier.as_str(), &changes)?.api;
                context.output.data(&document(&api), || text(&api))
            }
            Self::Delete { identifier } => {
                apis::delete(&m, identifier.as_str())?;
                let document = json!({ "identifier": identifier, "deleted": true });
                context.output.data(&document, || format!("API {identifier} deleted."))
            }
            Self::Scope(Scope::Add { identifier, scope, sensitive }) => {
                let name = scope.name.clone();
                apis::add_scope(&m, identifier.as_str(), ScopeRecord { sensitive, ..scope })?;
                let document = json!({ "identifier": identifier, "scope": name });
                context.output.data(&document, || format!("Scope {name} added to {identifier}."))
            }
            Self::Scope(Scope::Update { identifier, name, description, sensitive }) => {
                let update = ScopeUpdate { description, sensitive };
                let api = apis::update_scope(&m, identifier.as_str(), &name, update)?.api;
                context.output.data(&document(&api), || text(&api))
            }
            Self::Scope(Scope::List { identifier }) => {
                let api = apis::show(&m, identifier.as_str())?.api;
                let scopes = document(&api).get("scopes").cloned().unwrap_or_default();
                context.output.data(&scopes, || scope_table(&api.scopes))
            }
            Self::Scope(Scope::Remove { identifier, name }) => {
                apis::remove_scope(&m, identifier.as_str(), &name)?;
                let document = json!({ "identifier": identifier, "scope": name, "removed": true });
                context.output.data(&document, || {
                    format!("Scope {name} removed from {identifier}; tokens that have it keep it until they expire.")
                })
            }
        }
    }
}
