//! `brevet app …`

mod authentication;
mod keys;
mod show;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::authentication::AuthenticationFlags;
use self::show::{app_document, details_document, details_text, status, status_document};
use super::flags::whole_number;
use super::output::{print, table};
use super::token::cut_off;
use super::{CliError, Context};
use crate::clock::{Timestamp, parse_span};
use crate::db::apps::{AppRecord, Claims};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::secret::Secret;
use crate::service::apps::{self, AppUpdate, NewApp};
use crate::service::{Management, ServiceError, cut_offs, import};

#[derive(Debug, Subcommand)]
pub(super) enum App {
    /// Register an app; its App Key is printed once and never again
    #[command(
        after_help = "Examples:\n  brevet app create --org acme --name 'Invoice sync' --scope billing:read --lifetime 1h\n  brevet app create --org acme --name 'Invoice sync' --scope billing:read --auth-method private_key_jwt --jwks public.pem"
    )]
    Create(Create),
    /// Show the apps of an organisation
    List(List),
    /// Show an app with its keys and use
    Show {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
    },
    /// Change an app; tokens already issued stay as they are
    #[command(
        after_help = "Example:\n  brevet app update 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --add-scope billing:write"
    )]
    Update(Update),
    /// Switch an app off: it gets no tokens, those it has are refused
    Disable {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
    },
    /// Switch an app on again
    Enable {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
    },
    /// Make every token of an app worthless; it can get new ones at once
    RevokeTokens {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
    },
    /// Delete an app and its keys
    Delete {
        /// The App SID
        #[arg(value_parser = parse_sid)]
        sid: ClientId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// App Keys
    #[command(subcommand)]
    Key(keys::AppKey),
    /// Register apps from a file with one JSON object a line
    #[command(
        after_help = "A line: {\"name\": \"Invoice sync\", \"scopes\": [\"billing:read\"], \"lifetime\": \"1h\"}\nOptional: description, client_id (a UUID), client_secret (imported, of any strength), jwks or jwks_uri, claims, dpop_required, allowed_networks (a list), token_exchange.\nWithout any of client_secret, jwks and jwks_uri a key is made and printed once. Lines that cannot be used are reported with their\nnumber; the others are imported, and the exit code is 65."
    )]
    Import {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// The file; `-` for stdin
        file: String,
    },
    /// Print the apps of an organisation, one JSON object a line (with --json, one array); App Keys are stored hashed and cannot be exported
    Export {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The organisation
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// Its name for people
    #[arg(long)]
    name: String,
    /// What it is for, in the words of people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A scope of one of the organisation's APIs; may repeat
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// The longest its tokens live
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    lifetime: Option<Duration>,
    /// A claim that stands in each of its tokens; its name is an absolute URI, its value JSON or plain text
    #[arg(long, value_name = "URI=VALUE", value_parser = parse_claim)]
    claim: Vec<(String, Value)>,
    /// When its first key ends
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    key_expires_in: Option<Duration>,
    #[command(flatten)]
    authentication: AuthenticationFlags,
    /// Issue no token that is not bound to a key: each request needs a DPoP proof
    #[arg(long)]
    dpop_required: bool,
    /// Issue tokens to that address or network only, such as 192.0.2.0/24; may repeat, at most 20 times
    #[arg(long, value_name = "CIDR")]
    allowed_network: Vec<String>,
    /// Let it exchange somebody's token for a narrower one of its own
    #[arg(long)]
    token_exchange: bool,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// The App SID
    #[arg(value_parser = parse_sid)]
    sid: ClientId,
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// What it is for, in the words of people; '' takes it away
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Grant this scope; may repeat
    #[arg(long, value_name = "NAME")]
    add_scope: Vec<String>,
    /// Take this scope away; may repeat
    #[arg(long, value_name = "NAME")]
    remove_scope: Vec<String>,
    /// The longest its tokens live
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    lifetime: Option<Duration>,
    /// No limit of its own
    #[arg(long, conflicts_with = "lifetime")]
    no_lifetime: bool,
    /// A claim that stands in each of its tokens from now on, instead of all it had; may repeat
    #[arg(long, value_name = "URI=VALUE", value_parser = parse_claim)]
    claim: Vec<(String, Value)>,
    /// No claims of its own
    #[arg(long, conflicts_with = "claim")]
    no_claims: bool,
    #[command(flatten)]
    authentication: AuthenticationFlags,
    /// From now on (true) or no longer (false) issue no token that is not bound to a key; needs a DPoP proof
    #[arg(long, value_name = "BOOL")]
    dpop_required: Option<bool>,
    /// From now on issue tokens to that address or network only, instead of those from before; may repeat, at most 20 times
    #[arg(long, value_name = "CIDR", conflicts_with = "any_network")]
    allowed_network: Vec<String>,
    /// From now on issue tokens to every address
    #[arg(long)]
    any_network: bool,
    /// From now on (true) or no longer (false) let it exchange somebody's token for a narrower one of its own
    #[arg(long, value_name = "BOOL")]
    token_exchange: Option<bool>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The organisation
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = whole_number(1..=100_000_i64))]
    limit: i64,
    /// Those after this App SID
    #[arg(long, value_name = "SID", value_parser = parse_sid)]
    after: Option<ClientId>,
}

pub(super) fn parse_sid(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).ok_or_else(|| "an App SID is a lower-case UUID with hyphens".to_owned())
}

fn parse_claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write URI=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_plain_text| Value::String(value.to_owned()))))
}

impl App {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = context.management()?;
        match self {
            Self::Create(create) => run_create(context, &m, create),
            Self::List(list) => run_list(context, &m, &list),
            Self::Show { sid } => {
                let details = apps::show(&m, sid)?;
                context.output.data(&details_document(&details), || details_text(&details))
            }
            Self::Update(update) => run_update(context, &m, update),
            Self::Disable { sid } => {
                apps::set_enabled(&m, sid, false)?;
                context.output.data(&status_document(sid, "disabled"), || {
                    format!("App {sid} is disabled: no tokens, and those it has are refused within a second.")
                })
            }
            Self::Enable { sid } => {
                apps::set_enabled(&m, sid, true)?;
                context.output.data(&status_document(sid, "active"), || format!("App {sid} is active."))
            }
            Self::RevokeTokens { sid } => {
                let not_before = cut_offs::revoke_app_tokens(&m, sid)?;
                let document = json!({ "client_id": sid.to_string(), "not_before": not_before.rfc3339() });
                cut_off(context, &document, &format!("of app {sid}"), not_before)
            }
            Self::Delete { sid, yes } => run_delete(context, &m, sid, yes),
            Self::Key(command) => command.run(context, &m),
            Self::Import { org, file } => run_import(context, &m, &org, &file),
            Self::Export { org } if context.output.is_json() => {
                let mut lines = Vec::new();
                let mut collect = |line| {
                    lines.push(line);
                    Ok(())
                };
                import::export(&m, &org, &mut collect)?;
                context.output.data(&lines, String::new)
            }
            Self::Export { org } => {
                let mut write = |line| {
                    let text =
                        serde_json::to_string(&line).map_err(|error| ServiceError::Internal(error.to_string()))?;
                    print(&text).map_err(|error| ServiceError::Internal(error.to_string()))
                };
                Ok(import::export(&m, &org, &mut write)?)
            }
        }
    }
}

fn run_create(context: &Context, m: &Management, create: Create) -> Result<(), CliError> {
    let authentication = create.authentication.read()?.unwrap_or_default();
    let by_issuer = authentication == ClientAuthentication::TrustedIssuer;
    let new = NewApp {
        name: create.name,
        description: create.description,
        scopes: create.scope,
        lifetime: create.lifetime,
        claims: create.claim.into_iter().collect::<Claims>(),
        key_expires_in: create.key_expires_in,
        authentication,
        dpop_required: create.dpop_required,
        allowed_networks: apps::read_networks(create.allowed_network)?,
        token_exchange: create.token_exchange,
    };
    let created = apps::create(m, &create.org, new)?;
    let (sid, secret) = (created.client_id, created.client_secret.as_ref().map(Secret::reveal));
    let scopes: Vec<&str> = created.app.scopes.iter().map(|(_, scope)| scope.as_str()).collect();
    let document = json!({
        "client_id": sid.to_string(), "client_secret": secret, "name": created.app.name, "scopes": scopes,
    });
    context.output.data(&document, || match secret {
        Some(secret) => format!("App SID  {sid}\nApp Key  {secret}"),
        None => format!("App SID  {sid}"),
    })?;
    if !context.output.is_json() {
        context.output.message(match secret {
            Some(_) => "Keep the App Key now: it is stored hashed and will not be shown again.".to_owned(),
            None if by_issuer => format!(
                "The app has no App Key: JWTs of an issuer that you trust stand for it. Say which: brevet issuer add --org {} --app {sid} …",
                create.org
            ),
            None => "The app has no App Key: it signs each request with its private key.".to_owned(),
        });
    }
    Ok(())
}

fn run_update(context: &Context, m: &Management, update: Update) -> Result<(), CliError> {
    let lifetime = if update.no_lifetime { Some(None) } else { update.lifetime.map(Some) };
    let networks = Some(update.allowed_network).filter(|named| update.any_network || !named.is_empty());
    let changes = AppUpdate {
        name: update.name,
        description: update.description,
        add_scopes: update.add_scope,
        remove_scopes: update.remove_scope,
        lifetime,
        claims: (update.no_claims || !update.claim.is_empty()).then(|| update.claim.into_iter().collect::<Claims>()),
        authentication: update.authentication.read()?,
        dpop_required: update.dpop_required,
        allowed_networks: networks.map(apps::read_networks).transpose()?,
        token_exchange: update.token_exchange,
        ..AppUpdate::default()
    };
    let needs_key = changes.authentication == Some(ClientAuthentication::ClientSecret);
    let app = apps::update(m, update.sid, changes)?.app;
    if needs_key {
        context.output.message(format_args!("Its App Key is made with: brevet app key add {}", update.sid));
    }
    context.output.data(&app_document(&app), || {
        let scopes: Vec<&str> = app.scopes.iter().map(|(_, scope)| scope.as_str()).collect();
        format!("App {} ({}) now has the scopes: {}", app.client_id, app.name, scopes.join(" "))
    })
}

fn run_list(context: &Context, m: &Management, list: &List) -> Result<(), CliError> {
    let found = apps::list(m, &list.org, list.after, list.limit)?;
    context.output.data(&found.iter().map(app_document).collect::<Vec<_>>(), || {
        let row = |app: &AppRecord| {
            vec![
                app.name.clone(),
                app.client_id.to_string(),
                app.scopes.iter().map(|(_, scope)| scope.as_str()).collect::<Vec<_>>().join(" "),
                app.last_used_at.map_or_else(|| "never".to_owned(), Timestamp::rfc3339),
                status(app).to_owned(),
            ]
        };
        table(&["NAME", "APP SID", "SCOPES", "LAST USED", "STATUS"], &found.iter().map(row).collect::<Vec<_>>())
    })
}

fn run_delete(context: &Context, m: &Management, sid: ClientId, yes: bool) -> Result<(), CliError> {
    let details = apps::show(m, sid)?;
    if !yes {
        confirm(&format!(
            "Delete the app \"{}\"? It got {} tokens in the last 24 hours. To switch it off instead: brevet app disable {sid}",
            details.app.name, details.issued_24h
        ))?;
    }
    apps::delete(m, sid)?;
    context.output.data(&status_document(sid, "deleted"), || {
        format!("App {sid} is deleted; its tokens are refused within a second.")
    })
}

/// Asks, if there is somebody at a terminal to ask: a script means what it says.
pub(super) fn confirm(question: &str) -> Result<(), CliError> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question}\nType yes: ").and_then(|()| stderr.flush()).map_err(CliError::io)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(CliError::io)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CliError::check_failed("nothing was done")) }
}

fn run_import(context: &Context, m: &Management, org: &str, file: &str) -> Result<(), CliError> {
    let mut input: Box<dyn BufRead> = if file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| CliError::no_input(format!("{file} cannot be read: {error}")))?;
        Box::new(BufReader::new(opened))
    };
    let is_json = context.output.is_json();
    let (mut imported, mut rejected) = (0_usize, 0_usize);
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    let mut printed = Ok(());
    let ended = import::import(m, org, &mut *input, &mut |result| match result {
        Ok(app) => {
            imported += 1;
            let secret = app.client_secret.as_ref().map(Secret::reveal);
            let line = json!({ "line": app.line, "client_id": app.client_id.to_string(), "client_secret": secret });
            if is_json {
                made.push(line);
            } else if secret.is_some() {
                printed = std::mem::replace(&mut printed, Ok(())).and_then(|()| print(&line.to_string()));
            }
            if imported % 10_000 == 0 {
                context.output.message(format_args!("{imported} apps imported so far"));
            }
        }
        Err(line) => {
            rejected += 1;
            context.output.message(format_args!("line {}: {}", line.line, line.reason));
            refused.push(json!({ "line": line.line, "reason": line.reason }));
        }
    });
    if is_json {
        // Also of an import that broke off: the keys that were made are shown this once.
        printed = context.output.data(&json!({ "imported": made, "rejected": refused }), String::new);
    }
    ended?;
    printed?;
    context.output.message(format_args!("{imported} apps imported, {rejected} lines rejected"));
    if rejected > 0 { Err(CliError::bad_data(format!("{rejected} lines were not imported"))) } else { Ok(()) }
}
