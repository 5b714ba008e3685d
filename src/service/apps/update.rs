//! Changing an app.

use std::time::Duration;

use serde_json::json;

use super::{VersionedApp, check_claims, find, resolve_scopes, unknown_app};
use crate::clock::print_span;
use crate::db::apps::{self, AppRecord, Claims};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, registered_clients};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::networks::Networks;
use crate::service::apis::check_lifetime;
use crate::service::app_authentication::{change as change_authentication, check as check_authentication};
use crate::service::deed::Deed;
use crate::service::organisations::{checked_description, checked_name};
use crate::service::{Management, ServiceError};

/// What to change of an app; nothing leaves as it is.
#[derive(Debug, Default)]
pub struct AppUpdate {
    /// Its name for people.
    pub name: Option<String>,
    /// What it is for, in the words of people; empty takes it away.
    pub description: Option<String>,
    /// All it shall be granted from now on.
    pub scopes: Option<Vec<String>>,
    /// Scopes to grant.
    pub add_scopes: Vec<String>,
    /// Scopes to take away.
    pub remove_scopes: Vec<String>,
    /// The longest its tokens may live; `Some(None)` for no limit of its own.
    pub lifetime: Option<Option<Duration>>,
    /// Claims that stand in each of its tokens, instead of those it has.
    pub claims: Option<Claims>,
    /// How it proves who it is.
    pub authentication: Option<ClientAuthentication>,
    /// Whether it gets no token without a DPoP proof.
    pub dpop_required: Option<bool>,
    /// From where it may ask for tokens from now on.
    pub allowed_networks: Option<Networks>,
    /// Whether it may exchange somebody's token for a narrower one of its own.
    pub token_exchange: Option<bool>,
    /// Whether it gets tokens, and those it has are accepted.
    pub enabled: Option<bool>,
}

impl AppUpdate {
    /// Whether more than a switch is turned.
    fn changes_record(&self) -> bool {
        let scopes = self.scopes.is_some() || !self.add_scopes.is_empty() || !self.remove_scopes.is_empty();
        let texts = self.name.is_some() || self.description.is_some();
        let tokens = self.lifetime.is_some() || self.claims.is_some() || self.allowed_networks.is_some();
        let switches = self.dpop_required.is_some() || self.token_exchange.is_some();
        texts || tokens || scopes || switches || self.authentication.is_some()
    }
}

/// Changes an app. Tokens already issued stay as they are, unless it is switched off: then they are refused.
///
/// # Errors
/// `NotFound` without the app, `UnknownScope`, `InvalidField` for what cannot be used, `BeyondPower`, `Stale`.
pub fn update(m: &Management, client_id: ClientId, update: AppUpdate) -> Result<VersionedApp, ServiceError> {
    check_lifetime(m, update.lifetime.flatten())?;
    let name = update.name.as_deref().map(checked_name).transpose()?;
    let description = update.description.as_deref().map(checked_description).transpose()?;
    update.claims.as_ref().map(check_claims).transpose()?;
    let authentication = update.authentication.map(|wanted| check_authentication(m, wanted)).transpose()?;
    let update = AppUpdate { name, description, authentication, ..update };
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = find(conn, &deed, client_id)?.app;
        let was_enabled = app.disabled_at.is_none();
        if update.changes_record() {
            for scope in change(conn, &deed, app.clone(), &update)? {
                // Taken away by somebody else, it cannot be taken back by a client that registered itself.
                registered_clients::delete_scope(conn, client_id, &scope)?;
            }
        }
        if let Some(enabled) = update.enabled.filter(|enabled| *enabled != was_enabled) {
            super::switch(conn, &deed, &app, enabled)?;
        }
        VersionedApp::find(conn, client_id)?.ok_or_else(|| unknown_app(client_id))
    })
}

/// Changes all but the switch of an app, by an update whose every part can be used. Answers the scopes that were taken away.
pub(in crate::service) fn change(
    conn: &mut AnyConnection,
    deed: &Deed,
    mut app: AppRecord,
    update: &AppUpdate,
) -> Result<Vec<String>, ServiceError> {
    app.name = update.name.clone().unwrap_or(app.name);
    app.description = update.description.clone().unwrap_or(app.description);
    app.lifetime = update.lifetime.unwrap_or(app.lifetime);
    app.claims = update.claims.clone().map_or(app.claims, |claims| Some(claims).filter(|claims| !claims.is_empty()));
    app.dpop_required = update.dpop_required.unwrap_or(app.dpop_required);
    app.allowed_networks = update.allowed_networks.clone().unwrap_or(app.allowed_networks);
    app.token_exchange = update.token_exchange.unwrap_or(app.token_exchange);
    apps::update(conn, &app)?;
    if let Some(authentication) = &update.authentication {
        // Whoever has the private key of the app has its power.
        deed.doer.check_power(&app.scopes)?;
        change_authentication(conn, deed, &app, authentication)?;
    }
    let (added, removed) = change_scopes(conn, deed, &app, update)?;
    let detail = json!({
        "name": app.name, "description": app.description, "lifetime": app.lifetime.map(print_span), "dpop_required": app.dpop_required,
        "allowed_networks": app.allowed_networks, "token_exchange": app.token_exchange, "added": added, "removed": removed, "claims": app.claims,
    });
    let target = app.client_id.to_string();
    deed.record(conn, Some(app.organisation_id), "app.update", &target, detail, Some(ChangeKind::App))?;
    Ok(removed)
}

/// Grants and takes away; answers what was.
fn change_scopes(
    conn: &mut AnyConnection,
    deed: &Deed,
    app: &AppRecord,
    update: &AppUpdate,
) -> Result<(Vec<String>, Vec<String>), ServiceError> {
    let has = |scope: &str| app.scopes.iter().any(|(_, granted)| granted == scope);
    let wanted = update.scopes.iter().flatten().chain(&update.add_scopes);
    let mut added: Vec<String> = wanted.filter(|scope| !has(scope)).cloned().collect();
    added.sort_unstable();
    added.dedup();
    let granted = resolve_scopes(conn, app.organisation_id, &added)?;
    deed.doer.check_power(&granted)?;
    for (api_id, scope) in &granted {
        apps::insert_scope(conn, app.client_id, *api_id, scope)?;
    }
    let unwanted = update.scopes.as_ref().map(|wanted| {
        app.scopes.iter().map(|(_, scope)| scope.clone()).filter(|scope| !wanted.contains(scope)).collect::<Vec<_>>()
    });
    let removed = [unwanted.unwrap_or_default(), update.remove_scopes.clone()].concat();
    for scope in &removed {
        if !apps::delete_scope(conn, app.client_id, scope)? {
            return Err(ServiceError::UnknownScope(format!("the app was not granted the scope `{scope}`")));
        }
    }
    Ok((added, removed))
}
