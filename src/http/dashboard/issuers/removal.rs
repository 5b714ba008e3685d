//! Trust that is put aside, taken up again, and ended.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::ShownApp;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Admin, Visitor};
use crate::oauth::ClientId;
use crate::service::trust_counts::ACCEPTED;
use crate::service::trusted_issuers::{self, IssuerDetails};

/// The last question.
#[derive(Debug, Serialize)]
struct DeleteIssuerView {
    id: String,
    name: String,
    issuer: String,
    app: Option<ShownApp>,
    /// How many of its JWTs were accepted in the last 24 hours.
    accepted: i64,
    is_enabled: bool,
    confirm: String,
    faults: Faults,
}

impl View for DeleteIssuerView {
    const TEMPLATE: &'static str = "dashboard/issuer-delete";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        format!("Delete {}", self.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl DeleteIssuerView {
    fn new(details: &IssuerDetails) -> Self {
        let record = &details.issuer.record;
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            issuer: record.issuer.clone(),
            app: ShownApp::of(details),
            accepted: details.outcomes.iter().filter(|row| row.outcome == ACCEPTED).map(|row| row.count).sum(),
            is_enabled: record.disabled_at.is_none(),
            confirm: String::new(),
            faults: Faults::default(),
        }
    }

    async fn of(visitor: &Visitor<Admin>, id: ClientId) -> Result<Self, PageError> {
        Ok(Self::new(&visitor.look(move |m| trusted_issuers::details(m, id)).await?))
    }
}

/// Asks.
pub(super) async fn show_delete(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    let id = visitor.client_id(&path)?;
    let view = DeleteIssuerView::of(&visitor, id).await?;
    visitor.page(&view)
}

/// Deletes it, if its name was typed.
pub(super) async fn delete(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let id = visitor.client_id(&path)?;
    let view = DeleteIssuerView::of(&visitor, id).await?;
    let confirm = form.trimmed("confirm").to_owned();
    if confirm != view.name {
        let faults = Faults::one("confirm", "Type the name of the issuer exactly as it stands here.");
        let view = DeleteIssuerView { confirm, faults, ..view };
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let deleted = visitor.change(move |m| trusted_issuers::delete(m, id)).await;
    deleted.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go("/issuers", "issuer-deleted"))
}

/// Refuses its JWTs until further notice.
pub(super) async fn disable(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    visitor.form(&[])?;
    switch(visitor, &path, false).await
}

/// Takes them again: whoever lets others in must be the person that signed in.
pub(super) async fn enable(visitor: Visitor<Admin>, path: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    switch(visitor, &path, true).await
}

async fn switch(visitor: Visitor<Admin>, id: &str, enabled: bool) -> PageResult {
    let id = visitor.client_id(id)?;
    let switched = visitor.change(move |m| trusted_issuers::set_enabled(m, id, enabled)).await;
    switched.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go(&format!("/issuers/{id}"), if enabled { "issuer-enabled" } else { "issuer-disabled" }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::issuers::show::tests::details;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |for_app| DeleteIssuerView::new(&details(for_app));
        let refused = DeleteIssuerView { faults: Faults::one("confirm", "No."), ..view(false) };
        vec![sample(view(true)), sample(view(false)), sample(refused)]
    }
}
