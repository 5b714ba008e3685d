//! What is printed about an app.

use serde_json::{Value, json};

use super::{authentication, keys};
use crate::clock::{Clock, SystemClock, Timestamp, print_span};
use crate::db::apps::AppRecord;
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::service::apps::AppDetails;

pub(super) fn status(app: &AppRecord) -> &'static str {
    if app.disabled_at.is_none() { "active" } else { "disabled" }
}

pub(super) fn status_document(sid: ClientId, status: &str) -> Value {
    json!({ "client_id": sid.to_string(), "status": status })
}

pub(super) fn app_document(app: &AppRecord) -> Value {
    json!({
        "client_id": app.client_id.to_string(), "name": app.name, "description": app.description,
        "status": status(app),
        "scopes": app.scopes.iter().map(|(_, scope)| scope).collect::<Vec<_>>(),
        "lifetime": app.lifetime.map(print_span), "claims": app.claims, "dpop_required": app.dpop_required,
        "allowed_networks": app.allowed_networks, "token_exchange": app.token_exchange,
        "auth_method": app.authentication.name(), "jwks_uri": app.authentication.jwks_uri(),
        "created_at": app.created_at.rfc3339(), "last_used_at": app.last_used_at.map(Timestamp::rfc3339),
    })
}

pub(super) fn details_document(details: &AppDetails) -> Value {
    let mut document = app_document(&details.app);
    if let Value::Object(members) = &mut document {
        members.insert("owner".to_owned(), json!(details.owner));
        members.insert("organisation".to_owned(), json!(details.organisation));
        members.insert("keys".to_owned(), json!(details.keys.iter().map(keys::document).collect::<Vec<_>>()));
        members.insert("public_keys".to_owned(), authentication::documents(&details.app.authentication));
        members.insert("issued_24h".to_owned(), json!(details.issued_24h));
        members.insert("refused_24h".to_owned(), json!(details.refused_24h));
    }
    document
}

fn description_text(description: &str) -> String {
    description.lines().map(|line| format!("  {line}\n")).collect()
}

pub(super) fn details_text(details: &AppDetails) -> String {
    let app = &details.app;
    format!(
        "{}\n{}  App SID       {}\n  organisation  {}\n  owner         {}\n  status        {}\n  scopes        {}\n  lifetime      {}\n  DPoP          {}\n  networks      {}\n  exchange      {}\n  last 24 h     {} tokens issued, {} requests refused\n\n{}",
        app.name,
        description_text(&app.description),
        app.client_id,
        details.organisation,
        details.owner.as_deref().unwrap_or("nobody"),
        status(app),
        app.scopes.iter().map(|(_, scope)| scope.as_str()).collect::<Vec<_>>().join(" "),
        app.lifetime.map_or_else(|| "the API's or the server's".to_owned(), print_span),
        if app.dpop_required { "required" } else { "not required" },
        if app.allowed_networks.is_everywhere() { "all".to_owned() } else { app.allowed_networks.texts().join(" ") },
        if app.token_exchange { "allowed" } else { "not allowed" },
        details.issued_24h,
        details.refused_24h,
        match &app.authentication {
            ClientAuthentication::ClientSecret => keys::key_table(&details.keys, SystemClock.now()),
            signs => authentication::text(signs),
        }
    )
}
