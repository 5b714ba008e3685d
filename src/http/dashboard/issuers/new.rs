//! `/issuers/new`

use actix_web::http::StatusCode;
use serde::Serialize;

use super::entered::{Entered, REPEATED};
use super::form::{Asked, IssuerForm, at_fields};
use super::starts::{STARTS, Start};
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::refusal::refusal;
use crate::http::dashboard::visitor::{Admin, Visitor};
use crate::oauth::trust::organisation_audience;
use crate::service::trusted_issuers;

/// Where the JWTs come from.
#[derive(Debug, Serialize)]
struct StartsView {
    starts: &'static [Start],
    /// What stands behind each address: the app that was chosen already.
    for_app: String,
}

impl View for StartsView {
    const TEMPLATE: &'static str = "dashboard/issuer-starts";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        "Trust an issuer".to_owned()
    }
}

/// The form.
#[derive(Debug, Serialize)]
struct NewIssuerView {
    #[serde(flatten)]
    form: IssuerForm,
    /// The kind that was chosen, for the form to come back to.
    from: String,
}

impl View for NewIssuerView {
    const TEMPLATE: &'static str = "dashboard/issuer-new";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        "Trust an issuer".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.form.faults.is_empty()
    }
}

impl NewIssuerView {
    fn new(mut form: IssuerForm, from: &str) -> Self {
        form.start = Start::of(from);
        let from = form.start.map_or("", |start| start.key).to_owned();
        Self { form, from }
    }
}

/// The kinds or, where `?from=` names one, the form; `?app=` chooses an app.
pub(super) async fn show_new(visitor: Visitor<Admin>) -> PageResult {
    let app = visitor.query("app").and_then(|app| crate::oauth::ClientId::parse(&app));
    let app = app.map(|app| app.to_string()).unwrap_or_default();
    let Some(from) = visitor.query("from") else {
        let for_app = if app.is_empty() { app } else { format!("&app={app}") };
        return visitor.page(&StartsView { starts: STARTS, for_app });
    };
    let start = Start::of(&from).ok_or_else(|| PageError::not_found(&visitor))?;
    let own = organisation_audience(visitor.site().authority.issuer(), &visitor.organisation());
    let mut entered = Entered::of_start(start, &own);
    if !app.is_empty() {
        (entered.app, entered.stands_for) = (app, "app".to_owned());
    }
    let form = IssuerForm::of(&visitor, entered, ("", "")).await?;
    visitor.page(&NewIssuerView::new(form, start.key))
}

/// Trusts the issuer, after what was found at its address was shown.
pub(super) async fn create(visitor: Visitor<Admin>) -> PageResult {
    let form = visitor.form(REPEATED)?;
    let from = form.text("from").to_owned();
    let settings = match IssuerForm::asked(&visitor, &form, None).await? {
        Asked::Again(again) => return visitor.page(&NewIssuerView::new(*again, &from)),
        Asked::Refused(again) => {
            return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &NewIssuerView::new(*again, &from));
        }
        Asked::Save(settings) => *settings,
    };
    // Whoever decides who passes for an app, or for people, has their power.
    visitor.confirm(&form).await?;
    let organisation = visitor.organisation();
    match visitor.create(&form, move |m| trusted_issuers::create(m, &organisation, settings)).await {
        Ok(made) => Ok(visitor.go(&format!("/issuers/{}", made.record.id), "issuer-trusted")),
        Err(error) => {
            let (status, faults) = refusal(&visitor, at_fields(error))?;
            let again = IssuerForm::refused(&visitor, &form, faults).await?;
            visitor.page_with(status, &NewIssuerView::new(again, &from))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::faults::Faults;
    use crate::http::dashboard::issuers::tests::SID;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let entered = |key: &str, app: &str| Entered {
            app: app.to_owned(),
            ..Entered::of_start(Start::of(key).unwrap(), "https://id.example.com/acme")
        };
        let view = |entered, faults, from| sample(NewIssuerView::new(IssuerForm::sample(entered, faults), from));
        vec![
            sample(StartsView { starts: STARTS, for_app: String::new() }),
            view(entered("github", SID), Faults::default(), "github"),
            view(entered("certificate", ""), Faults::one("certificates", "No."), ""),
        ]
    }
}
