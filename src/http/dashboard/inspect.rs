//! `/inspect`: what a token says and why it is good or refused.

use actix_web::http::StatusCode;
use serde::Serialize;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::visitor::{AnyMember, Visitor};
use super::when::When;
use crate::service::inspection::{Claim, InspectedToken, Inspection, Outcome, Verdict, Worth, inspect};

/// The page: a form and, after it was sent, what was found.
#[derive(Debug, Default, Serialize)]
struct InspectView {
    /// What was pasted, if it may be shown again.
    token: String,
    audience: String,
    faults: Faults,
    other: Option<Other>,
    found: Option<Found>,
}

/// Something that is no token.
#[derive(Debug, Serialize)]
struct Other {
    text: &'static str,
    is_secret: bool,
}

#[derive(Debug, Serialize)]
struct Found {
    heading: &'static str,
    text: &'static str,
    state: &'static str,
    icon: &'static str,
    verdicts: Vec<ShownVerdict>,
    header: String,
    claims: Vec<ShownClaim>,
    claims_json: String,
    app: Option<ShownApp>,
}

#[derive(Debug, Serialize)]
struct ShownApp {
    sid: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct ShownVerdict {
    check: &'static str,
    word: &'static str,
    state: &'static str,
    icon: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownClaim {
    name: String,
    value: String,
    when: Option<When>,
    meaning: &'static str,
}

impl View for InspectView {
    const TEMPLATE: &'static str = "dashboard/inspect";
    const SECTION: Section = Section::Inspector;

    fn title(&self) -> String {
        "Token inspector".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl From<Verdict> for ShownVerdict {
    fn from(verdict: Verdict) -> Self {
        let (state, icon) = match verdict.outcome {
            Outcome::Holds => ("good", "circle-check"),
            Outcome::Fails => ("bad", "circle-x"),
            Outcome::Note => ("", "info"),
        };
        Self { check: verdict.check.label(), word: verdict.outcome.word(), state, icon, text: verdict.text }
    }
}

impl From<Claim> for ShownClaim {
    fn from(claim: Claim) -> Self {
        Self { when: claim.moment.map(When::of), name: claim.name, value: claim.value, meaning: claim.meaning }
    }
}

impl From<InspectedToken> for Found {
    fn from(token: InspectedToken) -> Self {
        let (heading, text, state, icon) = match (token.worth, token.fits_audience) {
            (Worth::Good, Some(false)) => (
                "Good, but not for the API that you expect",
                "The server takes it; a service that checks the audience, as it should, refuses it.",
                "warning",
                "triangle-alert",
            ),
            (Worth::Good, _) => {
                ("This token is good", "The guard and introspection take it now.", "done", "circle-check")
            }
            (Worth::Refused, _) => (
                "This token is refused",
                "The guard and introspection refuse it. What is wrong is marked below.",
                "problem",
                "circle-x",
            ),
            (Worth::Unknown, _) => (
                "It cannot be known at the moment",
                "This server has not heard from its database for a while. Try again soon.",
                "warning",
                "triangle-alert",
            ),
        };
        Self {
            heading,
            text,
            state,
            icon,
            verdicts: token.verdicts.into_iter().map(ShownVerdict::from).collect(),
            header: token.header,
            claims: token.claims.into_iter().map(ShownClaim::from).collect(),
            claims_json: token.claims_json,
            app: token.app.map(|(sid, name)| ShownApp { sid: sid.to_string(), name }),
        }
    }
}

/// The empty form.
pub(super) async fn show(visitor: Visitor<AnyMember>) -> PageResult {
    visitor.page(&InspectView::default())
}

/// What was found.
pub(super) async fn look(visitor: Visitor<AnyMember>) -> PageResult {
    let form = visitor.form(&[])?;
    let (text, audience) = (form.text("token"), form.trimmed("audience").to_owned());
    if audience.len() > 255 {
        let faults = Faults::one("audience", "An API's identifier has at most 255 characters.");
        let view = InspectView { faults, ..InspectView::default() };
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let authority = &visitor.site().authority;
    let inspected = inspect(authority, visitor.management(), text, Some(&audience), visitor.now()).await;
    let view = match inspected.map_err(|error| PageError::service(&visitor, &error))? {
        Inspection::Token(token) => {
            InspectView { token: text.to_owned(), audience, found: Some((*token).into()), ..InspectView::default() }
        }
        // Not shown again: it may be a secret.
        Inspection::NotAToken(what) => InspectView {
            audience,
            other: Some(Other { text: what.advice(), is_secret: what.is_secret() }),
            ..InspectView::default()
        },
    };
    visitor.page(&view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::ClientId;
    use crate::service::inspection::{Check, NotAToken};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let claim = |name: &str, moment| Claim { name: name.to_owned(), value: "1".to_owned(), moment, meaning: "x" };
        let verdict = |outcome| Verdict { check: Check::Time, outcome, text: "It is so.".to_owned() };
        let token = |worth, fits_audience| InspectedToken {
            header: "{}".to_owned(),
            claims: vec![claim("exp", Some(Timestamp::from_seconds(1))), claim("x", None)],
            claims_json: "{}".to_owned(),
            worth,
            fits_audience,
            verdicts: [Outcome::Holds, Outcome::Fails, Outcome::Note].map(verdict).into(),
            app: ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").map(|sid| (sid, "robot".to_owned())),
        };
        let found = |worth, fits| InspectView { found: Some(token(worth, fits).into()), ..InspectView::default() };
        let other = Other { text: NotAToken::AppKey.advice(), is_secret: true };
        vec![
            sample(InspectView::default()),
            sample(InspectView { other: Some(other), ..InspectView::default() }),
            sample(found(Worth::Good, None)),
            sample(found(Worth::Good, Some(false))),
            sample(found(Worth::Refused, None)),
            sample(found(Worth::Unknown, None)),
            sample(InspectView { faults: Faults::one("audience", "No."), ..InspectView::default() }),
        ]
    }
}
