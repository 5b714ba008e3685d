//! `/apps/new`: making an app, and the page that shows its key once.

use std::collections::BTreeSet;
use std::net::IpAddr;

use actix_web::http::StatusCode;
use serde::Serialize;
use url::form_urlencoded;

use super::Choice;
use super::networks::{self, NetworksField};
use super::scope_groups::{ChosenScopes, Finder, Known, ScopeGroup, by_api, groups, looks_for_others, press, words};
use super::shown_once::ShownOnce;
use crate::clock::{Timestamp, parse_span, print_span};
use crate::db::apis::{ApiRecord, MANAGEMENT_API};
use crate::db::audit::AuditFilter;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{self, Visitor};
use crate::http::dashboard::when::When;
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::networks::Networks;
use crate::service::apps::{self, NewApp};
use crate::service::{Management, ServiceError, audit};

/// When the first key may end, by the value in the form.
pub(super) const KEY_ENDS: &[(&str, &str)] = &[
    ("never", "Never: replace it when you want"),
    ("30d", "In 30 days"),
    ("90d", "In 90 days"),
    ("365d", "In 365 days"),
];

/// In place of when the first key ends: there is none.
const KEYLESS: &str = "none";

/// What a person entered.
#[derive(Debug, Clone, Default)]
struct Entered {
    name: String,
    description: String,
    scopes: BTreeSet<String>,
    key_ends: String,
    /// Without App Key: tokens of trusted issuers show that a program is the app.
    is_keyless: bool,
    lifetime: String,
    networks: String,
}

impl Entered {
    fn of(form: &Form) -> Self {
        Self {
            name: form.text("name").to_owned(),
            description: form.text("description").to_owned(),
            scopes: form.all("scope").map(str::to_owned).collect(),
            key_ends: form.text("key-expires-in").to_owned(),
            is_keyless: form.text("key-expires-in") == KEYLESS,
            lifetime: form.trimmed("lifetime").to_owned(),
            networks: form.trimmed("allowed-networks").to_owned(),
        }
    }

    fn read(&self) -> Result<NewApp, Faults> {
        let mut faults = Faults::default();
        if self.name.trim().is_empty() {
            faults.add("name", "Enter a name: it is how people tell apps apart");
        }
        if self.scopes.is_empty() {
            faults.add("scopes", "Tick at least one scope: an app without any gets no token");
        }
        let span = |text: &str| if text.is_empty() { Ok(None) } else { parse_span(text).map(Some) };
        let lifetime = span(&self.lifetime).unwrap_or_else(|_wrong| {
            faults.add("lifetime", "Write a whole number and a unit, such as 15m, 1h or 24h, or leave it empty");
            None
        });
        let key_ends = if self.key_ends == "never" || self.is_keyless { "" } else { &self.key_ends };
        let authentication =
            if self.is_keyless { ClientAuthentication::TrustedIssuer } else { ClientAuthentication::ClientSecret };
        let key_expires_in = span(key_ends).unwrap_or_else(|_wrong| {
            faults.add("key-expires-in", "Choose when the key ends");
            None
        });
        let allowed_networks = networks::read(&self.networks).unwrap_or_else(|wrong| {
            faults.join(wrong);
            Networks::default()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(NewApp {
            name: self.name.clone(),
            description: self.description.clone(),
            scopes: self.scopes.iter().cloned().collect(),
            lifetime,
            key_expires_in,
            authentication,
            allowed_networks,
            ..NewApp::default()
        })
    }
}

/// The form.
#[derive(Debug, Serialize)]
struct NewView {
    name: String,
    description: String,
    groups: Vec<ScopeGroup>,
    finder: Option<Finder>,
    has_apis: bool,
    key_ends: Vec<Choice>,
    lifetime: String,
    longest_lifetime: String,
    networks: NetworksField,
    summary: Option<Summary>,
    faults: Faults,
}

/// What will be made.
#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    chosen: Vec<ChosenScopes>,
    key_ends: Option<When>,
    is_keyless: bool,
    lifetime: String,
    networks: Vec<String>,
}

impl View for NewView {
    const TEMPLATE: &'static str = "dashboard/apps/new";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "Create an app".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl NewView {
    fn new(entered: &Entered, apis: &[ApiRecord], open: &str, longest_lifetime: String, own: IpAddr) -> Self {
        let key_ends = if entered.key_ends.is_empty() { "never" } else { &entered.key_ends };
        Self {
            name: entered.name.clone(),
            description: entered.description.clone(),
            groups: groups(apis, &entered.scopes, open),
            finder: None,
            has_apis: apis.iter().any(|api| api.id != MANAGEMENT_API),
            key_ends: KEY_ENDS
                .iter()
                .chain([&(KEYLESS, "It gets none: tokens of trusted issuers show that a program is the app")])
                .map(|(value, label)| Choice::new(value, label, key_ends))
                .collect(),
            lifetime: entered.lifetime.clone(),
            longest_lifetime,
            networks: NetworksField::new(&entered.networks, own),
            summary: None,
            faults: Faults::default(),
        }
    }

    /// The same, which says where the networks leave out the person.
    fn asked(self) -> Self {
        Self { networks: self.networks.asked(), ..self }
    }

    /// The same with a box that says what will be made.
    fn with_summary(self, new: &NewApp, apis: &[ApiRecord], now: Timestamp) -> Self {
        let scopes = new.scopes.iter().cloned().collect();
        let summary = Summary {
            name: new.name.trim().to_owned(),
            chosen: by_api(apis, &scopes),
            key_ends: new.key_expires_in.map(|span| When::of(now + span)),
            is_keyless: new.authentication == ClientAuthentication::TrustedIssuer,
            lifetime: new.lifetime.map_or_else(|| format!("at most {}", self.longest_lifetime), print_span),
            networks: new.allowed_networks.texts(),
        };
        Self { summary: Some(summary), ..self }
    }
}

fn longest_lifetime(visitor: &Visitor<visitor::Developer>) -> String {
    print_span(visitor.config().access_token_lifetime)
}

/// The form. The address may fill in name and description, and say which API is meant.
pub(super) async fn show(visitor: Visitor<visitor::Developer>) -> PageResult {
    let text = |name: &str| visitor.query(name).unwrap_or_default();
    let entered = Entered { name: text("name"), description: text("description"), ..Entered::default() };
    let known = Known::find(&visitor, &entered.scopes, &text("api"), "").await?;
    let own = visitor.caller().address;
    let view = NewView::new(&entered, &known.apis, &text("api"), longest_lifetime(&visitor), own);
    visitor.page(&NewView { finder: known.finder(), ..view })
}

/// Makes the app and shows its key, or does what another button of the form is for.
pub(super) async fn create(visitor: Visitor<visitor::Developer>) -> PageResult {
    let form = visitor.form(&["scope"])?;
    let mut entered = Entered::of(&form);
    let button = form.text("do");
    if button == "api" {
        return Ok(visitor.redirect(&to_new_api(&entered)));
    }
    let known = Known::find(&visitor, &entered.scopes, button, &words(&form)).await?;
    let own = visitor.caller().address;
    let view = |entered: &Entered| NewView {
        finder: known.finder(),
        ..NewView::new(entered, &known.apis, "", longest_lifetime(&visitor), own)
    };
    if looks_for_others(&form) {
        return visitor.page(&view(&entered));
    }
    if let Some(ticked) = press(button, &known.apis, &entered.scopes) {
        entered.scopes = ticked;
        return visitor.page(&view(&entered));
    }
    let refused = |faults| NewView { faults, ..view(&entered) };
    let new = match entered.read() {
        Ok(new) => new,
        Err(faults) => return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &refused(faults)),
    };
    if button == "summary" {
        return visitor.page(&view(&entered).with_summary(&new, &known.apis, visitor.now()));
    }
    if networks::must_be_told(&form, &new.allowed_networks, own) {
        let view = view(&entered);
        return visitor.page(&view.asked());
    }
    visitor.confirm_for_power(&form, new.scopes.iter().map(String::as_str)).await?;
    let (organisation, name) = (visitor.organisation(), new.name.trim().to_owned());
    match visitor.create(&form, move |m| apps::create(m, &organisation, new)).await {
        Ok(created) => match &created.client_secret {
            Some(secret) => visitor.page(&ShownOnce::new_app(visitor.config(), &created.app, secret)),
            None => Ok(visitor.go(&format!("/apps/{}", created.client_id), "app-keyless")),
        },
        Err(ServiceError::Repeated) => repeated(&visitor, name).await,
        Err(error) => match Faults::of_service(error) {
            Ok(faults) => visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &refused(faults)),
            Err(error) => Err(PageError::service(&visitor, &error)),
        },
    }
}

/// Where an API is made; what was entered here travels along.
fn to_new_api(entered: &Entered) -> String {
    let query = |pairs: &[(&str, &str)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let back = format!("/apps/new?{}", query(&[("name", &entered.name), ("description", &entered.description)]));
    format!("/apis/new?{}", query(&[("return_to", &back)]))
}

/// The form was sent before: here is what it made, without the key.
#[derive(Debug, Serialize)]
struct RepeatedView {
    name: String,
    sid: Option<String>,
}

impl View for RepeatedView {
    const TEMPLATE: &'static str = "dashboard/apps/repeated";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "This app was created already".to_owned()
    }
}

async fn repeated(visitor: &Visitor<visitor::Developer>, name: String) -> PageResult {
    let (organisation, actor) = (visitor.organisation(), format!("user:{}", visitor.person().person.id));
    let wanted = name.clone();
    let sid = visitor.look(move |m| find_created(m, &organisation, &actor, &wanted)).await?;
    visitor.page_with(StatusCode::CONFLICT, &RepeatedView { name, sid })
}

/// The app of that name that somebody made last.
fn find_created(m: &Management, organisation: &str, actor: &str, name: &str) -> Result<Option<String>, ServiceError> {
    let filter =
        AuditFilter { actor: Some(actor.to_owned()), action: Some("app.create".to_owned()), ..AuditFilter::default() };
    let made = audit::list(m, organisation, &filter, None, 100)?;
    let target = made
        .into_iter()
        .find(|deed| deed.entry.detail.get("name").is_some_and(|made| made == name))
        .map(|deed| deed.entry.target);
    let id = target.as_deref().and_then(ClientId::parse);
    Ok(id.filter(|id| apps::show(m, *id).is_ok()).map(|id| id.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{api, management_api, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    fn entered() -> Entered {
        Entered {
            name: "Invoice <b>sync</b>".to_owned(),
            description: "Every night\nat two".to_owned(),
            scopes: ["billing:read".to_owned(), "apps:read".to_owned()].into(),
            key_ends: "90d".to_owned(),
            is_keyless: false,
            lifetime: "1h".to_owned(),
            networks: "10.0.0.0/8".to_owned(),
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = || NewView::new(&entered(), &[api(), management_api()], "", "24h".to_owned(), [127, 0, 0, 1].into());
        let asked = view().networks.asked();
        let faults = Entered { lifetime: "soon".to_owned(), ..Entered::default() }.read().unwrap_err();
        vec![
            sample(view()),
            sample(NewView { finder: Some(Finder::sample()), ..view() }),
            sample(view().with_summary(&entered().read().unwrap(), &[api(), management_api()], moment())),
            sample(NewView { faults, ..view() }),
            sample(NewView { networks: asked, ..view() }),
            sample(NewView::new(&Entered::default(), &[management_api()], "", "24h".to_owned(), [127, 0, 0, 1].into())),
            sample(RepeatedView { name: "robot".to_owned(), sid: Some("3f1c".to_owned()) }),
            sample(RepeatedView { name: "robot".to_owned(), sid: None }),
        ]
    }

    #[test]
    fn what_is_entered_travels_to_the_page_for_an_api_and_back() {
        let to = to_new_api(&Entered { name: "a b&c".to_owned(), ..Entered::default() });
        assert_eq!(to, "/apis/new?return_to=%2Fapps%2Fnew%3Fname%3Da%2Bb%2526c%26description%3D");
    }
}
