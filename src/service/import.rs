//! Moving apps in and out, one JSON object a line.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::app_authentication::asked_for;
use super::apps::{self, CheckedApp, NewApp, NewKey};
use super::deed::Deed;
use super::{Management, ServiceError};
use crate::clock::{parse_span, print_span};
use crate::db::apps::{AppRecord, Claims};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::secret::{Secret, generate_client_secret};

/// Rows in one transaction.
const BATCH: usize = 1_000;
/// In octets; public keys may stand in it.
const LONGEST_LINE: usize = 96 * 1_024;

/// A line to be imported. Without `client_id` and `client_secret` new ones are made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct ImportLine {
    name: String,
    #[serde(default)]
    description: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    lifetime: Option<String>,
    #[serde(default)]
    claims: Claims,
    jwks: Option<Box<RawValue>>,
    jwks_uri: Option<String>,
    #[serde(default)]
    dpop_required: bool,
    #[serde(default)]
    allowed_networks: Vec<String>,
    #[serde(default)]
    token_exchange: bool,
}

impl ImportLine {
    /// With public keys it signs its requests, without it has an App Key.
    fn authentication(&self) -> Result<ClientAuthentication, ServiceError> {
        let jwks = self.jwks.as_ref().map(|document| document.get().to_owned());
        match asked_for(None, jwks, self.jwks_uri.as_deref())? {
            None => Ok(ClientAuthentication::ClientSecret),
            Some(_) if self.client_secret.is_some() => {
                Err(ServiceError::Invalid("an app has a client_secret or public keys, not both".to_owned()))
            }
            Some(keys) => Ok(keys),
        }
    }
}

/// A line that was exported: everything but the keys, which nobody knows.
#[derive(Debug, Serialize)]
pub struct ExportLine {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    client_id: String,
    scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Claims>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dpop_required: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_networks: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    token_exchange: bool,
}

impl From<AppRecord> for ExportLine {
    fn from(app: AppRecord) -> Self {
        Self {
            client_id: app.client_id.to_string(),
            name: app.name,
            description: app.description,
            scopes: app.scopes.into_iter().map(|(_, scope)| scope).collect(),
            lifetime: app.lifetime.map(print_span),
            claims: app.claims,
            jwks: app.authentication.jwks().and_then(|document| serde_json::from_str(document).ok()),
            jwks_uri: app.authentication.jwks_uri().map(str::to_owned),
            dpop_required: app.dpop_required,
            allowed_networks: app.allowed_networks.texts(),
            token_exchange: app.token_exchange,
        }
    }
}

/// An app that was imported; the key only if it was made here.
#[derive(Debug)]
pub struct Imported {
    /// The line it came from, counted from 1.
    pub line: usize,
    /// Its id.
    pub client_id: ClientId,
    /// Its key, if it was made here: the only time it is seen.
    pub client_secret: Option<Secret>,
}

/// A line that was not imported.
#[derive(Debug)]
pub struct Rejected {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

struct Row {
    line: usize,
    client_id: ClientId,
    made: Option<Secret>,
    app: CheckedApp,
    key: Option<NewKey>,
}

/// Imports apps into an organisation. Lines that cannot be used are reported and skipped; the others are on disk when
/// `report` hears of them.
///
/// # Errors
/// `NotFound` without the organisation; when the input cannot be read or the database does not take it, and then what
/// was reported stays.
pub fn import(
    m: &Management,
    organisation: &str,
    input: &mut dyn BufRead,
    report: &mut dyn FnMut(Result<Imported, Rejected>),
) -> Result<(), ServiceError> {
    // Told once, not for each line.
    apps::list(m, organisation, None, 1)?;
    let mut rows = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let read =
            std::io::Read::take(&mut *input, u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX)).read_line(&mut text);
        let length = read.map_err(|error| ServiceError::Invalid(format!("line {line} cannot be read: {error}")))?;
        if length == LONGEST_LINE {
            return Err(ServiceError::Invalid(format!("line {line} is longer than {LONGEST_LINE} bytes")));
        }
        if !text.trim().is_empty() {
            match read_row(m, line, &text) {
                Ok(row) => rows.push(row),
                Err(error) => report(Err(Rejected { line, reason: error.to_string() })),
            }
        }
        if rows.len() == BATCH || length == 0 {
            write_batch(m, organisation, std::mem::take(&mut rows), report)?;
        }
        if length == 0 {
            break;
        }
    }
    Ok(())
}

/// In words of the line, whose number is told besides.
fn not_an_app(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return "not a JSON object on one line; see: brevet app import --help".to_owned();
    }
    let text = error.to_string();
    format!("not an app: {}", text.rsplit_once(" at line ").map_or(&*text, |(what, _where)| what))
}

fn read_row(m: &Management, line: usize, text: &str) -> Result<Row, ServiceError> {
    let invalid = |reason: String| ServiceError::Invalid(reason);
    let given: ImportLine = serde_json::from_str(text).map_err(|error| invalid(not_an_app(&error)))?;
    let client_id = match &given.client_id {
        None => ClientId::generate(),
        Some(id) => {
            ClientId::parse(id).ok_or_else(|| invalid("client_id must be a lower-case UUID with hyphens".to_owned()))?
        }
    };
    let authentication = given.authentication()?;
    let lifetime = given.lifetime.as_deref().map(parse_span).transpose().map_err(invalid)?;
    let app = NewApp {
        name: given.name,
        description: given.description,
        scopes: given.scopes,
        lifetime,
        claims: given.claims,
        key_expires_in: None,
        authentication,
        dpop_required: given.dpop_required,
        allowed_networks: apps::read_networks(given.allowed_networks)?,
        token_exchange: given.token_exchange,
    };
    let app = CheckedApp::new(m, app)?;
    let made = (app.needs_key() && given.client_secret.is_none()).then(generate_client_secret).transpose()?;
    let secret = match given.client_secret {
        Some(secret) if secret.is_empty() || secret.len() > 255 || secret.chars().any(char::is_control) => {
            return Err(invalid("client_secret needs 1 to 255 bytes, none of them a control character".to_owned()));
        }
        Some(secret) => Some(Secret::new(secret)),
        None => made.clone(),
    };
    let key = secret.map(|secret| NewKey::of(m, &secret)).transpose()?;
    Ok(Row { line, client_id, made, app, key })
}

/// One transaction for the batch; if that fails on a row, each row gets its own, so that one bad row spoils no other.
fn write_batch(
    m: &Management,
    organisation: &str,
    rows: Vec<Row>,
    report: &mut dyn FnMut(Result<Imported, Rejected>),
) -> Result<(), ServiceError> {
    let rows = std::sync::Arc::new(rows);
    let (deed, slug) = (m.deed(), organisation.to_owned());
    let all = write_rows(m, &deed, &slug, &rows, 0..rows.len());
    for (at, row) in rows.iter().enumerate() {
        let written = match &all {
            Ok(()) => Ok(()),
            Err(ServiceError::NotFound(_) | ServiceError::UnknownScope(_) | ServiceError::Conflict(_)) => {
                write_rows(m, &deed, &slug, &rows, at..at + 1)
            }
            Err(error) => return Err(ServiceError::Unavailable(error.to_string())),
        };
        report(match written {
            Ok(()) => Ok(Imported { line: row.line, client_id: row.client_id, client_secret: row.made.clone() }),
            Err(error) => Err(Rejected { line: row.line, reason: error.to_string() }),
        });
    }
    Ok(())
}

fn write_rows(
    m: &Management,
    deed: &Deed,
    slug: &str,
    rows: &std::sync::Arc<Vec<Row>>,
    range: std::ops::Range<usize>,
) -> Result<(), ServiceError> {
    let (deed, slug, rows) = (deed.clone(), slug.to_owned(), rows.clone());
    m.database.write(move |conn| {
        let chosen = rows.get(range).unwrap_or_default();
        let insert = |row: &Row| apps::insert(conn, &deed, &slug, row.client_id, &row.app, row.key.as_ref()).map(drop);
        chosen.iter().try_for_each(insert)
    })
}

/// Every app of an organisation, a page at a time.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn export(
    m: &Management,
    organisation: &str,
    write: &mut dyn FnMut(ExportLine) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let mut after = None;
    loop {
        let page = apps::list(m, organisation, after, 1_000)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.client_id);
        page.into_iter().try_for_each(|app| write(app.into()))?;
    }
}
