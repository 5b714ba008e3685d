//! `/issuers/{id}/test`: what an issuer's entry says to a token that somebody pastes.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::Choice;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::oauth::ClientId;
use crate::oauth::trust::{LONGEST_FOREIGN_JWT, Way};
use crate::service::trusted_issuers::trial::{Against, Step, StepOutcome, Trial, try_jwt};
use crate::service::trusted_issuers::{self, TrustedIssuerRecord};

/// The ways in, by their names in the form.
const WAYS: &[(&str, &str, Way)] = &[
    ("grant", "For a token, with the jwt-bearer grant", Way::Grant),
    ("client-assertion", "As client_assertion, by which a program is the app", Way::ClientAssertion),
    ("ticket", "For a ticket, at /server/jwt", Way::Ticket),
    ("bearer", "At resource routes, as it is", Way::Bearer),
];

/// The form and, after it was sent, each check.
#[derive(Debug, Serialize)]
struct TrialView {
    id: String,
    name: String,
    ways: Vec<Choice>,
    tried: Option<Tried>,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct Tried {
    is_accepted: bool,
    conclusion: String,
    steps: Vec<ShownStep>,
}

#[derive(Debug, Serialize)]
struct ShownStep {
    check: String,
    word: &'static str,
    state: &'static str,
    icon: &'static str,
    text: String,
}

impl View for TrialView {
    const TEMPLATE: &'static str = "dashboard/issuer-trial";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        format!("Test a token of {}", self.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl From<&Step> for ShownStep {
    fn from(step: &Step) -> Self {
        let (word, state, icon) = match step.outcome {
            StepOutcome::Holds => ("holds", "good", "circle-check"),
            StepOutcome::Fails => ("fails", "bad", "circle-x"),
            StepOutcome::NotMade => ("not made", "", "info"),
        };
        Self { check: step.check.label().to_owned(), word, state, icon, text: step.text.clone() }
    }
}

impl From<&Trial> for Tried {
    fn from(trial: &Trial) -> Self {
        let entries = trial.entries.iter().flat_map(|entry| &entry.steps);
        Self {
            is_accepted: trial.is_accepted(),
            conclusion: trial.conclusion.clone(),
            steps: std::iter::once(&trial.form).chain(entries).map(ShownStep::from).collect(),
        }
    }
}

impl TrialView {
    fn new(record: &TrustedIssuerRecord, way: &str) -> Self {
        let choice = |(value, label, _): &(&str, &str, Way)| Choice {
            value: (*value).to_owned(),
            label: (*label).to_owned(),
            is_chosen: *value == way,
        };
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            ways: WAYS.iter().map(choice).collect(),
            tried: None,
            faults: Faults::default(),
        }
    }

    async fn of(visitor: &Visitor<AnyMember>, id: ClientId, way: &str) -> Result<Self, PageError> {
        let found = visitor.look(move |m| trusted_issuers::show(m, id)).await?;
        Ok(Self::new(&found.record, way))
    }
}

/// The form.
pub(super) async fn show(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let id = visitor.client_id(&path)?;
    let view = TrialView::of(&visitor, id, "grant").await?;
    visitor.page(&view)
}

/// Each check. The token is looked at and forgotten, and not used up.
pub(super) async fn test(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let form = visitor.form(&[])?;
    let id = visitor.client_id(&path)?;
    let (name, token) = (form.text("way").to_owned(), form.secret("token"));
    let mut view = TrialView::of(&visitor, id, &name).await?;
    let way = WAYS.iter().find(|(known, ..)| *known == name).map(|(_, _, way)| *way);
    let jwt = token.reveal().trim();
    if jwt.is_empty() {
        view.faults.add("token", "Paste a token.");
    } else if jwt.len() > LONGEST_FOREIGN_JWT {
        view.faults.add("token", format!("That is longer than {LONGEST_FOREIGN_JWT} octets: such tokens are refused."));
    }
    if way.is_none() {
        view.faults.add("way", "Choose how the token comes.");
    }
    let (Some(way), true) = (way, view.faults.is_empty()) else {
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
    };
    let (directory, m) = (&visitor.site().authority.directory, visitor.management());
    let tried = try_jwt(directory, &m, &Against::Entry(id), way, jwt, visitor.now()).await;
    let tried = tried.map_err(|error| PageError::service(&visitor, &error))?;
    view.tried = Some(Tried::from(&tried));
    visitor.page(&view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::issuers::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::trust::{Check, IssuerKeys};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = || TrialView::new(&record(true, IssuerKeys::Discovery), "grant");
        let step = |check, outcome| Step { check, outcome, text: "<b>".to_owned() };
        let steps = [
            step(Check::Form, StepOutcome::Holds),
            step(Check::Audience, StepOutcome::Fails),
            step(Check::Subject, StepOutcome::NotMade),
        ];
        let tried = |is_accepted| Tried {
            is_accepted,
            conclusion: "x".to_owned(),
            steps: steps.iter().map(ShownStep::from).collect(),
        };
        vec![
            sample(view()),
            sample(TrialView { tried: Some(tried(true)), ..view() }),
            sample(TrialView { tried: Some(tried(false)), ..view() }),
            sample(TrialView { faults: Faults::one("token", "No."), ..view() }),
        ]
    }
}
