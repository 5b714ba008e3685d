//! The form of an issuer, for a new one and for one that there is: what it offers, and what its buttons do before anything is
//! saved.

use serde::Serialize;

use super::Choice;
use super::entered::Entered;
use super::kinds::KINDS;
use super::starts::Start;
use crate::directory::KeyPreview;
use crate::http::dashboard::apps::scope_groups::{Finder, Known, ScopeGroup, groups, looks_for_others, press, words};
use crate::http::dashboard::error::PageError;
use crate::http::dashboard::faults::{Faults, sentence};
use crate::http::dashboard::form::Form;
use crate::http::dashboard::visitor::{Admin, Visitor};
use crate::oauth::trust::IssuerKeys;
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::apps;
use crate::service::trusted_issuers::IssuerSettings;
use crate::service::{Management, ServiceError};

/// Apps in the list; with more, the person looks for one.
const APPS_SHOWN: i64 = 20;

/// Everything in the form.
#[derive(Debug, Serialize)]
pub(super) struct IssuerForm {
    pub(super) start: Option<&'static Start>,
    pub(super) entered: Entered,
    own_issuer: String,
    keys: Vec<KeyChoice>,
    algorithms: Vec<Choice>,
    apps: Vec<Choice>,
    has_more_apps: bool,
    groups: Vec<ScopeGroup>,
    finder: Option<Finder>,
    /// What was found where the keys are.
    looked: Option<Looked>,
    /// Where somebody looked for keys and what was there: nothing is saved before.
    seen: String,
    pub(super) faults: Faults,
}

/// A place where keys may be.
#[derive(Debug, Serialize)]
struct KeyChoice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
    /// Whether the operator has to do something first.
    is_closed: bool,
}

impl KeyChoice {
    /// All of them. Authorities of the operating system vouch only where the operator named some.
    fn all(chosen: &str, has_system_authorities: bool) -> Vec<Self> {
        let choice = |(value, label): &(&'static str, &'static str)| Self {
            value,
            label,
            is_chosen: *value == chosen,
            is_closed: *value == IssuerKeys::SystemAuthorities.name() && !has_system_authorities,
        };
        KINDS.iter().map(choice).collect()
    }
}

/// What is where an issuer's keys should be.
#[derive(Debug, Clone, Serialize)]
struct Looked {
    issuer: String,
    jwks_uri: String,
    keys: usize,
    algorithms: String,
    /// Why there is nothing.
    failure: Option<String>,
}

/// What a button of the form is for.
pub(super) enum Asked {
    /// To see the form again, with other things to choose among.
    Again(Box<IssuerForm>),
    /// To save this.
    Save(Box<IssuerSettings>),
    /// What was entered cannot be used.
    Refused(Box<IssuerForm>),
}

impl IssuerForm {
    /// The form with these things in it. `named` is the button that was pressed, `words` what is looked for among the APIs.
    pub(super) async fn of(
        visitor: &Visitor<Admin>,
        entered: Entered,
        (named, words): (&str, &str),
    ) -> Result<Self, PageError> {
        let known = Known::find(visitor, &entered.scopes, named, words).await?;
        Self::with(visitor, entered, &known).await
    }

    async fn with(visitor: &Visitor<Admin>, entered: Entered, known: &Known) -> Result<Self, PageError> {
        let (apps, has_more_apps) = apps_to_choose(visitor, &entered).await?;
        let has_system_authorities = !visitor.management().config().system_authorities.is_empty();
        let algorithm = |name: &str| Choice {
            value: name.to_owned(),
            label: name.to_owned(),
            is_chosen: entered.algorithms.contains(name),
        };
        Ok(Self {
            start: None,
            own_issuer: visitor.site().authority.issuer().to_owned(),
            keys: KeyChoice::all(&entered.keys, has_system_authorities),
            algorithms: SigningAlgorithm::ALL.iter().map(|known| algorithm(known.name())).collect(),
            apps,
            has_more_apps,
            groups: groups(&known.apis, &entered.scopes, ""),
            finder: known.finder(),
            looked: None,
            seen: String::new(),
            faults: Faults::default(),
            entered,
        })
    }

    /// What somebody wants who sent the form. `before` is what there is already: where its keys are needs no second look.
    pub(super) async fn asked(
        visitor: &Visitor<Admin>,
        form: &Form,
        before: Option<&IssuerSettings>,
    ) -> Result<Asked, PageError> {
        let (mut entered, button) = (Entered::of_form(form), form.text("do"));
        let known = Known::find(visitor, &entered.scopes, button, &words(form)).await?;
        let ticked = press(button, &known.apis, &entered.scopes);
        if ticked.is_some() || button == "find-app" || looks_for_others(form) {
            entered.scopes = ticked.unwrap_or(entered.scopes);
            let (seen, faults) = (form.text("keys-seen").to_owned(), entered.private_keys());
            let again = Self { seen, faults, ..Self::with(visitor, entered, &known).await? };
            return Ok(if again.faults.is_empty() { Asked::Again } else { Asked::Refused }(again.into()));
        }
        let settings = match entered.read(before) {
            Ok(settings) => settings,
            Err(faults) => {
                return Ok(Asked::Refused(Self { faults, ..Self::with(visitor, entered, &known).await? }.into()));
            }
        };
        let is_new = before.is_none_or(|before| source(before) != source(&settings));
        if let Some(source) = source(&settings).filter(|source| is_new && form.text("keys-seen") != source) {
            let looked = Looked::at(visitor, &settings).await;
            let form = Self { looked, seen: source, ..Self::with(visitor, entered, &known).await? };
            return Ok(Asked::Again(form.into()));
        }
        Ok(Asked::Save(settings.into()))
    }

    /// The form again after it was not saved.
    pub(super) async fn refused(visitor: &Visitor<Admin>, form: &Form, faults: Faults) -> Result<Self, PageError> {
        let again = Self::of(visitor, Entered::of_form(form), ("", &words(form))).await?;
        Ok(Self { faults, seen: form.text("keys-seen").to_owned(), ..again })
    }

    /// One for samples.
    #[cfg(test)]
    pub(super) fn sample(entered: Entered, faults: Faults) -> Self {
        let looked = Looked {
            issuer: "https://portal.example".to_owned(),
            jwks_uri: "https://portal.example/jwks".to_owned(),
            keys: 2,
            algorithms: "RS256".to_owned(),
            failure: (!faults.is_empty()).then(|| "dead".to_owned()),
        };
        let choice = |value: &str| Choice { value: value.to_owned(), label: value.to_owned(), is_chosen: true };
        Self {
            start: faults.is_empty().then(|| &super::starts::STARTS[0]),
            own_issuer: "https://id.example.com".to_owned(),
            keys: KeyChoice::all(&entered.keys, !faults.is_empty()),
            algorithms: vec![choice("RS256")],
            apps: if entered.app.is_empty() { Vec::new() } else { vec![choice("x")] },
            has_more_apps: !entered.app.is_empty(),
            groups: groups(&[crate::http::dashboard::apis::tests::record(true)], &entered.scopes, ""),
            finder: faults.is_empty().then(Finder::sample),
            looked: Some(looked),
            seen: "x".to_owned(),
            entered,
            faults,
        }
    }
}

/// Where keys are fetched from; nothing if they are in the entry.
fn source(settings: &IssuerSettings) -> Option<String> {
    match &settings.policy.keys {
        IssuerKeys::Discovery => Some(format!("discovery {}", settings.issuer)),
        IssuerKeys::JwksUri(uri) => Some(format!("jwks_uri {uri}")),
        _ => None,
    }
}

impl Looked {
    async fn at(visitor: &Visitor<Admin>, settings: &IssuerSettings) -> Option<Self> {
        let directory = &visitor.site().authority.directory;
        let found = directory.preview_keys(&settings.issuer, &settings.policy.keys).await.transpose()?;
        let nothing = Self {
            issuer: settings.issuer.clone(),
            jwks_uri: String::new(),
            keys: 0,
            algorithms: String::new(),
            failure: None,
        };
        Some(match found {
            Ok(KeyPreview { jwks_uri, keys, algorithms }) => {
                let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
                Self { jwks_uri, keys, algorithms: names.join(", "), ..nothing }
            }
            Err(failure) => Self { failure: Some(sentence(&failure)), ..nothing },
        })
    }
}

/// The first apps with what is looked for in their name or SID, and the one that was chosen.
async fn apps_to_choose(visitor: &Visitor<Admin>, entered: &Entered) -> Result<(Vec<Choice>, bool), PageError> {
    let (organisation, words) = (visitor.organisation(), entered.app_words.clone());
    let chosen = ClientId::parse(&entered.app);
    let look = move |m: &Management| apps::choose(m, &organisation, &words, chosen, APPS_SHOWN);
    let (found, chosen) = visitor.look(look).await?;
    let has_more = found.found > APPS_SHOWN || !entered.app_words.is_empty();
    let choice = |id: ClientId, name: &str| {
        let value = id.to_string();
        Choice { is_chosen: value == entered.app, label: format!("{name} · {value}"), value }
    };
    let mut choices: Vec<Choice> = found.apps.iter().map(|app| choice(app.client_id, &app.name)).collect();
    if let Some(app) = chosen.filter(|_| !choices.iter().any(|choice| choice.is_chosen)) {
        choices.insert(0, choice(app.client_id, &app.name));
    }
    Ok((choices, has_more))
}

/// What a walk refused because of what was entered, at the fields of this form.
pub(super) fn at_fields(error: ServiceError) -> ServiceError {
    match error {
        ServiceError::InvalidField { field: "lifetime", rule, text } => {
            ServiceError::InvalidField { field: "ticket_lifetime", rule, text }
        }
        ServiceError::InvalidField { field: "authorities", rule, text } => {
            ServiceError::InvalidField { field: "certificates", rule, text }
        }
        ServiceError::InvalidField { field: "system_authorities", rule, text } => {
            ServiceError::InvalidField { field: "keys", rule, text }
        }
        ServiceError::UnknownScope(text) => ServiceError::InvalidField { field: "scopes", rule: text.clone(), text },
        ServiceError::NotFound(_) => {
            let rule = "choose an app of this organisation".to_owned();
            ServiceError::InvalidField { field: "app", text: rule.clone(), rule }
        }
        other => other,
    }
}
