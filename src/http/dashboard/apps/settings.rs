//! `/apps/{sid}/settings`: name, description and tokens of an app, how it proves who it is, and the way out.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::head::AppHead;
use super::networks::{self, NetworksField};
use super::transfer::OwnerField;
use super::{Choice, Tab, spans};
use crate::clock::{Timestamp, parse_span, print_span};
use crate::db::apps::AppRecord;
use crate::db::developers::Role;
use crate::db::members::TeamMember;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::private_keys::holds_private_key;
use crate::http::dashboard::visitor::{Admission, AnyMember, Developer, Visitor};
use crate::http::dashboard::when::When;
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::networks::Networks;
use crate::service::app_authentication::asked_for;
use crate::service::apps::{self, AppDetails, AppUpdate};
use crate::service::{Management, ServiceError};

/// What people can change of an app, as texts in a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fields {
    name: String,
    description: String,
    lifetime: String,
    dpop_required: bool,
    token_exchange: bool,
    /// One on a line.
    networks: String,
}

impl Fields {
    fn of_app(app: &AppRecord) -> Self {
        Self {
            name: app.name.clone(),
            description: app.description.clone(),
            lifetime: app.lifetime.map(print_span).unwrap_or_default(),
            dpop_required: app.dpop_required,
            token_exchange: app.token_exchange,
            networks: networks::written(&app.allowed_networks),
        }
    }

    fn of_form(form: &Form) -> Self {
        Self {
            name: form.text("name").to_owned(),
            description: form.text("description").to_owned(),
            lifetime: form.trimmed("lifetime").to_owned(),
            dpop_required: form.has("dpop-required"),
            token_exchange: form.has("token-exchange"),
            networks: form.trimmed("allowed-networks").to_owned(),
        }
    }

    fn read(&self) -> Result<(AppUpdate, Networks), Faults> {
        let mut faults = Faults::default();
        if self.name.trim().is_empty() {
            faults.add("name", "Enter a name: it is how people tell apps apart");
        }
        let lifetime = match self.lifetime.as_str() {
            "" => None,
            span => parse_span(span).map(Some).unwrap_or_else(|_wrong| {
                faults.add("lifetime", "Write a whole number and a unit, such as 15m, 1h or 24h, or leave it empty");
                None
            }),
        };
        let allowed = networks::read(&self.networks).unwrap_or_else(|wrong| {
            faults.join(wrong);
            Networks::default()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let update = AppUpdate {
            name: Some(self.name.clone()),
            description: Some(self.description.clone()),
            lifetime: Some(lifetime),
            dpop_required: Some(self.dpop_required),
            token_exchange: Some(self.token_exchange),
            allowed_networks: Some(allowed.clone()),
            ..AppUpdate::default()
        };
        Ok((update, allowed))
    }
}

/// How an app proves who it is, as texts in a form.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AuthenticationFields {
    methods: Vec<Choice>,
    jwks: String,
    jwks_uri: String,
}

impl AuthenticationFields {
    fn new(method: &str, jwks: &str, jwks_uri: &str) -> Self {
        let methods = [
            (ClientAuthentication::CLIENT_SECRET, "App Keys"),
            (ClientAuthentication::PRIVATE_KEY_JWT, "Its own private key: it signs its requests (private_key_jwt)"),
            (ClientAuthentication::TRUSTED_ISSUER, "Nothing of its own: tokens of trusted issuers that stand for it"),
        ];
        Self {
            methods: methods.map(|(value, label)| Choice::new(value, label, method)).into(),
            jwks: jwks.to_owned(),
            jwks_uri: jwks_uri.to_owned(),
        }
    }

    fn of_app(app: &AppRecord) -> Self {
        let authentication = &app.authentication;
        let pretty = |document: &str| {
            let parsed = serde_json::from_str::<serde_json::Value>(document).ok();
            parsed.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| document.to_owned())
        };
        let jwks = authentication.jwks().map(pretty).unwrap_or_default();
        Self::new(authentication.name(), &jwks, authentication.jwks_uri().unwrap_or_default())
    }
}

/// The settings.
#[derive(Debug, Serialize)]
struct SettingsView {
    app: AppHead,
    version: String,
    fields: Fields,
    networks: NetworksField,
    owner: OwnerField,
    longest_lifetime: String,
    authentication: AuthenticationFields,
    live_keys: usize,
    is_enabled: bool,
    /// How much the app is used, for whoever thinks of switching it off.
    usage: String,
    may_change: bool,
    faults: Faults,
}

impl View for SettingsView {
    const TEMPLATE: &'static str = "dashboard/apps/settings";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Settings of {}", self.app.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// How much an app was used, in one sentence.
pub(super) fn usage(details: &AppDetails, now: Timestamp) -> String {
    let tokens = match details.issued_24h {
        1 => "1 token issued in the last 24 hours".to_owned(),
        count => format!("{count} tokens issued in the last 24 hours"),
    };
    match details.app.last_used_at {
        Some(at) => format!("{tokens}, last used {} ago", spans::words(now.since(at))),
        None => format!("{tokens}, never used"),
    }
}

impl SettingsView {
    fn new(found: &Found, longest_lifetime: String, (may_change, own): (bool, IpAddr), now: Timestamp) -> Self {
        let details = &found.details;
        Self {
            app: AppHead::new(&details.app, Tab::Settings),
            version: details.version.as_str().to_owned(),
            fields: Fields::of_app(&details.app),
            networks: NetworksField::new(&networks::written(&details.app.allowed_networks), own),
            owner: OwnerField::new(details, &found.candidates),
            longest_lifetime,
            authentication: AuthenticationFields::of_app(&details.app),
            live_keys: details.keys.iter().filter(|key| key.is_live(now)).count(),
            is_enabled: details.app.disabled_at.is_none(),
            usage: usage(details, now),
            may_change,
            faults: Faults::default(),
        }
    }

    /// The same, which says where the networks leave out the person.
    fn asked(self) -> Self {
        Self { networks: self.networks.asked(), ..self }
    }
}

/// Somebody else was quicker: both versions, side by side.
#[derive(Debug, Serialize)]
struct ConflictView {
    app: AppHead,
    version: String,
    rows: Vec<ConflictRow>,
    mine: Fields,
    /// The networks, of which the person was told where they leave out the own address.
    networks_seen: String,
    changed: Option<When>,
}

#[derive(Debug, Serialize)]
struct ConflictRow {
    label: &'static str,
    now: String,
    mine: String,
    differs: bool,
}

impl View for ConflictView {
    const TEMPLATE: &'static str = "dashboard/apps/settings-conflict";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "Somebody changed this app meanwhile".to_owned()
    }

    fn is_refused(&self) -> bool {
        true
    }
}

impl ConflictView {
    fn new(details: &AppDetails, mine: Fields, networks_seen: String) -> Self {
        let now = Fields::of_app(&details.app);
        let row = |label, now: &str, mine: &str| ConflictRow {
            label,
            now: now.to_owned(),
            mine: mine.to_owned(),
            differs: now.trim() != mine.trim(),
        };
        let yes_no = |value: bool| if value { "yes" } else { "no" };
        Self {
            app: AppHead::new(&details.app, Tab::Settings),
            version: details.version.as_str().to_owned(),
            rows: vec![
                row("Name", &now.name, &mine.name),
                row("Description", &now.description, &mine.description),
                row("How long its tokens live", &now.lifetime, &mine.lifetime),
                row("Tokens only bound to a key", yes_no(now.dpop_required), yes_no(mine.dpop_required)),
                row("May exchange tokens", yes_no(now.token_exchange), yes_no(mine.token_exchange)),
                row("Allowed networks", &now.networks, &mine.networks),
            ],
            networks_seen,
            mine,
            changed: None,
        }
    }
}

/// An app, and who may look after it.
#[derive(Debug)]
struct Found {
    details: AppDetails,
    candidates: Vec<TeamMember>,
}

async fn find<D: Admission>(visitor: &Visitor<D>, client_id: ClientId) -> Result<Found, PageError> {
    let organisation = visitor.organisation();
    let look = move |m: &Management| {
        let details = apps::show(m, client_id)?;
        Ok(Found { details, candidates: apps::candidates(m, &organisation)? })
    };
    visitor.look(look).await
}

fn longest_lifetime(config: &crate::config::Config) -> String {
    print_span(config.access_token_lifetime)
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let found = find(&visitor, client_id).await?;
    let whose = (visitor.has_role(Role::Developer), visitor.caller().address);
    visitor.page(&SettingsView::new(&found, longest_lifetime(visitor.config()), whose, visitor.now()))
}

/// Changes name, description and tokens.
pub(super) async fn change(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.form(&[])?;
    let fields = Fields::of_form(&form);
    let own = visitor.caller().address;
    let (update, networks) = match fields.read() {
        Ok(read) => read,
        Err(faults) => return refused(&visitor, client_id, &form, Some(fields), None, faults).await,
    };
    if networks::must_be_told(&form, &networks, own) {
        let view = again(&visitor, client_id, &form, Some(fields)).await?;
        return visitor.page(&view.asked());
    }
    match visitor.change_seen(&form, move |m| apps::update(m, client_id, update)).await {
        Ok(_) => Ok(visitor.go(&format!("/apps/{client_id}/settings"), "app-changed")),
        Err(ServiceError::Stale) => {
            let details = find(&visitor, client_id).await?.details;
            let seen = networks::written(&networks);
            visitor.page_with(StatusCode::CONFLICT, &ConflictView::new(&details, fields, seen))
        }
        Err(error) => match Faults::of_service(error) {
            Ok(faults) => refused(&visitor, client_id, &form, Some(fields), None, faults).await,
            Err(error) => Err(PageError::service(&visitor, &error)),
        },
    }
}

/// The page again, with what was entered and the version that the person saw.
async fn again(
    visitor: &Visitor<Developer>,
    client_id: ClientId,
    form: &Form,
    fields: Option<Fields>,
) -> Result<SettingsView, PageError> {
    let (found, own) = (find(visitor, client_id).await?, visitor.caller().address);
    let view = SettingsView::new(&found, longest_lifetime(visitor.config()), (true, own), visitor.now());
    let networks = fields.as_ref().map(|fields| NetworksField::new(&fields.networks, own));
    Ok(SettingsView {
        version: form.text("version").to_owned(),
        fields: fields.unwrap_or(view.fields),
        networks: networks.unwrap_or(view.networks),
        ..view
    })
}

/// The same, and what is wrong.
pub(super) async fn refused(
    visitor: &Visitor<Developer>,
    client_id: ClientId,
    form: &Form,
    fields: Option<Fields>,
    authentication: Option<AuthenticationFields>,
    faults: Faults,
) -> PageResult {
    let view = again(visitor, client_id, form, fields).await?;
    let view = SettingsView { authentication: authentication.unwrap_or(view.authentication), faults, ..view };
    visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

/// Changes how the app proves who it is.
pub(super) async fn change_authentication(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.form(&[])?;
    let (method, jwks, jwks_uri) = (form.text("auth-method"), form.trimmed("jwks"), form.trimmed("jwks-uri"));
    // Before anything else: it must not wait anywhere while the person proves who it is.
    if holds_private_key(jwks) {
        let text =
            "That is a private key: it must stay with the program. Give its public half. What you pasted was not kept.";
        let entered = AuthenticationFields::new(method, "", jwks_uri);
        return refused(&visitor, client_id, &form, None, Some(entered), Faults::one("jwks", text)).await;
    }
    visitor.confirm(&form).await?;
    let entered = AuthenticationFields::new(method, jwks, jwks_uri);
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    // Keys that stand there from before are not meant when others are chosen.
    let signs = method != ClientAuthentication::CLIENT_SECRET && method != ClientAuthentication::TRUSTED_ISSUER;
    let (jwks, jwks_uri) = if signs { (given(jwks), given(jwks_uri)) } else { (None, None) };
    let asked = asked_for(Some(method), jwks, jwks_uri.as_deref());
    let changed = match asked {
        Ok(authentication) => {
            let update = AppUpdate { authentication, ..AppUpdate::default() };
            visitor.change_seen(&form, move |m| apps::update(m, client_id, update)).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => {
            let (page, done) = match method {
                ClientAuthentication::CLIENT_SECRET => ("/keys", "app-takes-keys"),
                ClientAuthentication::TRUSTED_ISSUER => ("", "app-keyless"),
                _ => ("/settings", "app-signs"),
            };
            Ok(visitor.go(&format!("/apps/{client_id}{page}"), done))
        }
        Err(error) => match Faults::of_service(error) {
            Ok(faults) => refused(&visitor, client_id, &form, None, Some(entered), faults).await,
            Err(error) => Err(PageError::service(&visitor, &error)),
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::dashboard::apps::tests::{details, member, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let own: IpAddr = [127, 0, 0, 1].into();
        let found = |details| Found { details, candidates: vec![member()] };
        let view = |may_change| SettingsView::new(&found(details()), "24h".to_owned(), (may_change, own), moment());
        let faults = Fields { name: String::new(), lifetime: "x".to_owned(), ..Fields::of_app(&details().app) };
        let mut off = details();
        off.app.disabled_at = Some(moment());
        vec![
            sample(view(true)),
            sample(view(false)),
            sample(SettingsView { faults: faults.read().unwrap_err(), ..view(true) }),
            sample(SettingsView { networks: view(true).networks.asked(), ..view(true) }),
            sample(SettingsView::new(
                &Found { details: off, candidates: Vec::new() },
                "24h".to_owned(),
                (true, own),
                moment(),
            )),
            sample(ConflictView::new(&details(), faults, "10.0.0.0/8".to_owned())),
        ]
    }

    #[test]
    fn use_is_said_in_one_sentence() {
        let mut details = details();
        details.issued_24h = 1;
        details.app.last_used_at = None;
        assert_eq!(usage(&details, moment()), "1 token issued in the last 24 hours, never used");
        details.issued_24h = 1_204;
        details.app.last_used_at = Some(moment());
        let said = usage(&details, moment() + Duration::from_secs(180));
        assert_eq!(said, "1204 tokens issued in the last 24 hours, last used 3 min ago");
    }
}
