//! `/issuers/{id}/edit`

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::entered::{Entered, REPEATED};
use super::form::{Asked, IssuerForm, at_fields};
use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::refusal::refusal;
use crate::http::dashboard::visitor::{Admin, Visitor};
use crate::service::ServiceError;
use crate::service::trusted_issuers::{self, IssuerSettings, TrustedIssuerRecord, VersionedIssuer};

/// The form.
#[derive(Debug, Serialize)]
struct EditIssuerView {
    id: String,
    issuer_name: String,
    version: String,
    #[serde(flatten)]
    form: IssuerForm,
    /// What somebody else saved meanwhile, beside what is in the form.
    conflict: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    what: &'static str,
    theirs: String,
    yours: String,
    differs: bool,
}

impl View for EditIssuerView {
    const TEMPLATE: &'static str = "dashboard/issuer-edit";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        format!("Change {}", self.issuer_name)
    }

    fn is_refused(&self) -> bool {
        !self.form.faults.is_empty() || !self.conflict.is_empty()
    }
}

impl EditIssuerView {
    fn new(record: &TrustedIssuerRecord, version: &str, form: IssuerForm) -> Self {
        Self {
            id: record.id.to_string(),
            issuer_name: record.name.clone(),
            version: version.to_owned(),
            form,
            conflict: Vec::new(),
        }
    }
}

/// The form with what there is.
pub(super) async fn show_edit(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    let id = visitor.client_id(&path)?;
    let VersionedIssuer { record, version } = visitor.look(move |m| trusted_issuers::show(m, id)).await?;
    let form = IssuerForm::of(&visitor, Entered::of_record(&record), ("", "")).await?;
    visitor.page(&EditIssuerView::new(&record, version.as_str(), form))
}

/// Saves it, if nobody else did meanwhile.
pub(super) async fn edit(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    let form = visitor.form(REPEATED)?;
    let id = visitor.client_id(&path)?;
    let VersionedIssuer { record, version } = visitor.look(move |m| trusted_issuers::show(m, id)).await?;
    let seen = form.text("version").to_owned();
    let before = IssuerSettings::of(&record);
    let settings = match IssuerForm::asked(&visitor, &form, Some(&before)).await? {
        Asked::Again(again) => return visitor.page(&EditIssuerView::new(&record, &seen, *again)),
        Asked::Refused(again) => {
            let view = EditIssuerView::new(&record, &seen, *again);
            return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
        }
        Asked::Save(settings) => *settings,
    };
    visitor.confirm(&form).await?;
    match visitor.change_seen(&form, move |m| trusted_issuers::update(m, id, settings)).await {
        Ok(_) => Ok(visitor.go(&format!("/issuers/{id}"), "issuer-changed")),
        Err(ServiceError::Stale) => {
            let again = IssuerForm::refused(&visitor, &form, Default::default()).await?;
            let conflict = differences(&Entered::of_record(&record), &again.entered);
            // Now the person has seen what there is.
            let view = EditIssuerView { conflict, ..EditIssuerView::new(&record, version.as_str(), again) };
            visitor.page_with(StatusCode::CONFLICT, &view)
        }
        Err(error) => {
            let (status, faults) = refusal(&visitor, at_fields(error))?;
            let again = IssuerForm::refused(&visitor, &form, faults).await?;
            visitor.page_with(status, &EditIssuerView::new(&record, &seen, again))
        }
    }
}

fn differences(theirs: &Entered, yours: &Entered) -> Vec<Difference> {
    let shown = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let both = theirs.shown().into_iter().zip(yours.shown());
    both.map(|((what, theirs), (_, yours))| Difference {
        what,
        differs: theirs != yours,
        theirs: shown(theirs),
        yours: shown(yours),
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::faults::Faults;
    use crate::http::dashboard::issuers::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::trust::IssuerKeys;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |for_app: bool, keys: IssuerKeys, faults: Faults| {
            let record = record(for_app, keys);
            EditIssuerView::new(&record, "v", IssuerForm::sample(Entered::of_record(&record), faults))
        };
        let plain = view(true, IssuerKeys::Discovery, Faults::default());
        let theirs = Entered { name: "Mine".to_owned(), ..plain.form.entered.clone() };
        let conflict = differences(&theirs, &plain.form.entered);
        vec![
            sample(view(true, IssuerKeys::JwksUri("https://portal.example/jwks".into()), Faults::default())),
            sample(view(false, IssuerKeys::Jwks("{}".into()), Faults::one("name", "No."))),
            sample(EditIssuerView { conflict, ..plain }),
        ]
    }
}
