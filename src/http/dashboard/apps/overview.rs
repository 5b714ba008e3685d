//! `/apps/{sid}`: an app at a glance.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::head::AppHead;
use super::{Tab, spans};
use crate::clock::{Timestamp, print_span};
use crate::config::Config;
use crate::db::apis::ApiRecord;
use crate::db::audit::AuditFilter;
use crate::db::developers::Role;
use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::dashboard::when::When;
use crate::http::pictures::Spark;
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::metadata::path;
use crate::service::apps::{self, AppDetails, ENDING_SOON};
use crate::service::trusted_issuers::{self, TrustedIssuerRecord};
use crate::service::usage::{self, Sparkline};
use crate::service::{Management, ServiceError, actors, apis, audit};

/// Issuers on the page; the list of issuers has the others.
const ISSUERS_SHOWN: usize = 10;

/// An app.
#[derive(Debug, Serialize)]
struct OverviewView {
    app: AppHead,
    description: String,
    issuer: String,
    token_url: String,
    created: When,
    last_used: Option<When>,
    last_used_from: Option<String>,
    issued: i64,
    refused: i64,
    /// The last seven days.
    week: Option<Spark>,
    scopes: usize,
    /// The APIs for which its tokens are if it names none.
    apis: Vec<String>,
    has_keys: bool,
    /// Whether only tokens of trusted issuers show that it is the app.
    is_keyless: bool,
    issuers: Vec<IssuerOfApp>,
    /// How many more there are.
    more_issuers: usize,
    may_trust: bool,
    /// Whether nobody can get a token for it, because all its issuers are switched off.
    is_stuck: bool,
    live_keys: usize,
    ending: Vec<EndingKey>,
    lifetime: String,
    dpop_required: bool,
    networks: Vec<String>,
    owner: Option<String>,
    disabled: Option<Deed>,
    may_change: bool,
}

/// A trusted issuer whose tokens stand for the app.
#[derive(Debug, Clone, Serialize)]
pub(in crate::http::dashboard) struct IssuerOfApp {
    id: String,
    name: String,
    issuer: String,
    is_enabled: bool,
}

impl From<TrustedIssuerRecord> for IssuerOfApp {
    fn from(record: TrustedIssuerRecord) -> Self {
        Self {
            id: record.id.to_string(),
            is_enabled: record.disabled_at.is_none(),
            name: record.name,
            issuer: record.issuer,
        }
    }
}

impl IssuerOfApp {
    /// Whether its tokens are accepted.
    pub(in crate::http::dashboard) const fn is_enabled(&self) -> bool {
        self.is_enabled
    }
}

#[derive(Debug, Serialize)]
struct EndingKey {
    hint: String,
    left: String,
    ends: When,
}

/// Who did something, and when.
#[derive(Debug, Clone, Serialize)]
struct Deed {
    by: Option<String>,
    at: When,
}

impl View for OverviewView {
    const TEMPLATE: &'static str = "dashboard/apps/overview";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        self.app.name.clone()
    }
}

impl OverviewView {
    fn new(
        config: &Config,
        (details, week, apis): (AppDetails, Option<&Sparkline>, Vec<String>),
        disabled: Option<Deed>,
        may_change: bool,
        now: Timestamp,
    ) -> Self {
        let AppDetails { app, keys, owner, issued_24h, refused_24h, .. } = details;
        let live = || keys.iter().filter(|key| key.is_live(now));
        let ending = live().filter_map(|key| {
            let ends_at = key.expires_at.filter(|ends_at| *ends_at < now + ENDING_SOON)?;
            let left = spans::words(ends_at.since(now));
            Some(EndingKey { hint: key.hint.clone(), left, ends: When::of(ends_at) })
        });
        let last = keys.iter().filter(|key| key.last_used_at.is_some()).max_by_key(|key| key.last_used_at);
        Self {
            ending: ending.collect(),
            live_keys: live().count(),
            last_used_from: last.and_then(|key| key.last_used_from.clone()),
            app: AppHead::new(&app, Tab::Overview),
            issuer: config.issuer.clone(),
            token_url: format!("{}{}", config.issuer, path::TOKEN),
            created: When::of(app.created_at),
            last_used: app.last_used_at.map(When::of),
            issued: issued_24h,
            refused: refused_24h,
            week: week.map(Spark::new),
            scopes: app.scopes.len(),
            apis,
            has_keys: app.authentication == ClientAuthentication::ClientSecret,
            is_keyless: app.authentication == ClientAuthentication::TrustedIssuer,
            issuers: Vec::new(),
            more_issuers: 0,
            may_trust: false,
            is_stuck: false,
            lifetime: app.lifetime.map_or_else(|| "as the API and the server allow".to_owned(), print_span),
            dpop_required: app.dpop_required,
            networks: app.allowed_networks.texts(),
            owner,
            description: app.description,
            disabled,
            may_change,
        }
    }
}

/// An app that is gone, for those who may read the audit.
#[derive(Debug, Serialize)]
struct DeletedView {
    name: String,
    sid: String,
    deleted: Deed,
}

impl View for DeletedView {
    const TEMPLATE: &'static str = "dashboard/apps/deleted";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "This app was deleted".to_owned()
    }
}

enum Found {
    App(Box<AppDetails>, Option<Sparkline>, (Vec<String>, Vec<IssuerOfApp>), Option<Deed>),
    Deleted(DeletedView),
}

/// What was last done to an app of the organisation, and by whom.
fn last_deed(
    m: &Management,
    organisation: &str,
    client_id: ClientId,
    action: &str,
) -> Result<Option<(Deed, serde_json::Value)>, ServiceError> {
    let filter =
        AuditFilter { action: Some(action.to_owned()), target: Some(client_id.to_string()), ..AuditFilter::default() };
    let Some(last) = audit::list(m, organisation, &filter, None, 1)?.pop() else { return Ok(None) };
    let names = actors::names(m, organisation, [last.entry.actor.as_str()])?;
    let deed = Deed { by: Some(names.of(&last.entry.actor)), at: When::of(last.entry.at) };
    Ok(Some((deed, last.entry.detail)))
}

fn find(m: &Management, organisation: &str, client_id: ClientId, sees_deleted: bool) -> Result<Found, ServiceError> {
    match apps::show(m, client_id) {
        Ok(details) => {
            let disabled = match details.app.disabled_at {
                Some(at) => {
                    let deed = last_deed(m, organisation, client_id, "app.disable")?;
                    Some(deed.map_or_else(|| Deed { by: None, at: When::of(at) }, |(deed, _)| deed))
                }
                None => None,
            };
            let week = usage::sparklines(m, organisation, &[client_id])?.pop();
            let is_granted = |api: &ApiRecord| details.app.scopes.iter().any(|(id, _)| *id == api.id);
            let known = apis::list(m, organisation)?;
            let names = known.into_iter().filter(is_granted).map(|api| api.name).collect();
            let issuers = trusted_issuers::of_app(m, client_id)?.into_iter().map(IssuerOfApp::from).collect();
            Ok(Found::App(Box::new(details), week, (names, issuers), disabled))
        }
        Err(ServiceError::NotFound(text)) if sees_deleted => {
            // Only what the audit of this organisation has: another organisation's app is like none.
            let Some((deleted, detail)) = last_deed(m, organisation, client_id, "app.delete")? else {
                return Err(ServiceError::NotFound(text));
            };
            let name = detail.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
            Ok(Found::Deleted(DeletedView { name, sid: client_id.to_string(), deleted }))
        }
        Err(error) => Err(error),
    }
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let (organisation, sees_deleted) = (visitor.organisation(), visitor.has_role(Role::Admin));
    match visitor.look(move |m| find(m, &organisation, client_id, sees_deleted)).await? {
        Found::App(details, week, (apis, mut issuers), disabled) => {
            let (may_change, may_trust) = (visitor.has_role(Role::Developer), visitor.has_role(Role::Admin));
            let found = (*details, week.as_ref(), apis);
            let view = OverviewView::new(visitor.config(), found, disabled, may_change, visitor.now());
            let more_issuers = issuers.len().saturating_sub(ISSUERS_SHOWN);
            let is_stuck = view.is_keyless && !issuers.is_empty() && !issuers.iter().any(IssuerOfApp::is_enabled);
            issuers.truncate(ISSUERS_SHOWN);
            visitor.page(&OverviewView { issuers, more_issuers, may_trust, is_stuck, ..view })
        }
        Found::Deleted(view) => visitor.page_with(StatusCode::GONE, &view),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{config, details, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let deed = Deed { by: Some("ana".to_owned()), at: When::of(moment()) };
        let view = |disabled| {
            OverviewView::new(&config(), (details(), None, vec!["Billing <b>".to_owned()]), disabled, true, moment())
        };
        let dead = OverviewView {
            live_keys: 0,
            last_used: Some(When::of(moment())),
            last_used_from: Some("::1".to_owned()),
            ..view(None)
        };
        let issuer = |is_enabled| IssuerOfApp {
            id: "x".to_owned(),
            name: "GitHub <b>".to_owned(),
            issuer: "https://x".to_owned(),
            is_enabled,
        };
        let keyless =
            OverviewView { has_keys: false, is_keyless: true, may_trust: true, issuers: Vec::new(), ..view(None) };
        let off = OverviewView {
            has_keys: false,
            is_keyless: true,
            issuers: vec![issuer(false)],
            is_stuck: true,
            ..view(None)
        };
        let trusted = OverviewView { issuers: vec![issuer(true), issuer(false)], more_issuers: 2, ..view(None) };
        vec![
            sample(keyless),
            sample(off),
            sample(trusted),
            sample(view(None)),
            sample(view(Some(deed.clone()))),
            sample(view(Some(Deed { by: None, ..deed.clone() }))),
            sample(dead),
            sample(DeletedView { name: "robot".to_owned(), sid: "3f1c".to_owned(), deleted: deed }),
        ]
    }
}
