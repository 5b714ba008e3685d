//! What is hard or impossible to undo: disabling, ending all tokens, deleting. Each asks first, and says what will happen.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::Tab;
use super::head::AppHead;
use super::settings::usage;
use crate::clock::Timestamp;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::oauth::ClientId;
use crate::service::apps::{self, AppDetails};
use crate::service::{ServiceError, cut_offs};

/// A deed that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Disable,
    RevokeTokens,
    Delete,
}

/// The question.
#[derive(Debug, Serialize)]
struct DangerView {
    app: AppHead,
    #[serde(skip)]
    deed: Deed,
    is_disable: bool,
    is_revoke_tokens: bool,
    is_delete: bool,
    is_enabled: bool,
    usage: String,
    confirm: String,
    faults: Faults,
}

impl View for DangerView {
    const TEMPLATE: &'static str = "dashboard/apps/danger";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        match self.deed {
            Deed::Disable => "Disable this app?",
            Deed::RevokeTokens => "Revoke all tokens of this app?",
            Deed::Delete => "Delete this app?",
        }
        .to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl DangerView {
    fn new(deed: Deed, details: &AppDetails, now: Timestamp) -> Self {
        Self {
            app: AppHead::new(&details.app, Tab::Settings),
            deed,
            is_disable: deed == Deed::Disable,
            is_revoke_tokens: deed == Deed::RevokeTokens,
            is_delete: deed == Deed::Delete,
            is_enabled: details.app.disabled_at.is_none(),
            usage: usage(details, now),
            confirm: String::new(),
            faults: Faults::default(),
        }
    }
}

async fn ask(visitor: Visitor<Developer>, sid: &str, deed: Deed) -> PageResult {
    let client_id = visitor.client_id(sid)?;
    let details = visitor.look(move |m| apps::show(m, client_id)).await?;
    visitor.page(&DangerView::new(deed, &details, visitor.now()))
}

/// Asks before the app is switched off.
pub(super) async fn ask_to_disable(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    ask(visitor, &sid, Deed::Disable).await
}

/// Asks before all tokens are ended.
pub(super) async fn ask_to_revoke_tokens(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    ask(visitor, &sid, Deed::RevokeTokens).await
}

/// Asks before the app is deleted.
pub(super) async fn ask_to_delete(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    ask(visitor, &sid, Deed::Delete).await
}

async fn switch(visitor: Visitor<Developer>, sid: &str, enabled: bool, done: &str) -> PageResult {
    let client_id = visitor.client_id(sid)?;
    visitor.form(&[])?;
    let update = apps::AppUpdate { enabled: Some(enabled), ..apps::AppUpdate::default() };
    let switched = visitor.change(move |m| apps::update(m, client_id, update)).await;
    switched.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go(&format!("/apps/{client_id}"), done))
}

/// Switches the app off.
pub(super) async fn disable(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    switch(visitor, &sid, false, "app-disabled").await
}

/// Switches the app on again.
pub(super) async fn enable(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    switch(visitor, &sid, true, "app-enabled").await
}

/// Ends every token of the app.
pub(super) async fn revoke_tokens(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    visitor.confirmed_form(&[]).await?;
    let revoked = visitor.change(move |m| cut_offs::revoke_app_tokens(m, client_id)).await;
    revoked.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go(&format!("/apps/{client_id}/settings"), "app-tokens-revoked"))
}

/// Deletes the app, if its name was typed.
pub(super) async fn delete(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.confirmed_form(&[]).await?;
    let typed = form.text("confirm").to_owned();
    let name = typed.clone();
    match visitor.change(move |m| apps::delete_by_name(m, client_id, &name)).await {
        Ok(()) => Ok(visitor.go("/apps", "app-deleted")),
        Err(ServiceError::Conflict(_)) => {
            let text = "The app still gets tokens. Disable it first, and see whether anybody misses it";
            refused(&visitor, client_id, StatusCode::CONFLICT, &typed, Faults::one("", text)).await
        }
        Err(ServiceError::InvalidField { .. }) => {
            let faults = Faults::one("confirm", "Type the name of the app exactly as it stands here");
            refused(&visitor, client_id, StatusCode::UNPROCESSABLE_ENTITY, &typed, faults).await
        }
        Err(error) => Err(PageError::service(&visitor, &error)),
    }
}

async fn refused(
    visitor: &Visitor<Developer>,
    client_id: ClientId,
    status: StatusCode,
    typed: &str,
    faults: Faults,
) -> PageResult {
    let details = visitor.look(move |m| apps::show(m, client_id)).await?;
    let view = DangerView::new(Deed::Delete, &details, visitor.now());
    visitor.page_with(status, &DangerView { confirm: typed.to_owned(), faults, ..view })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{details, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |deed| DangerView::new(deed, &details(), moment());
        vec![
            sample(view(Deed::Disable)),
            sample(view(Deed::RevokeTokens)),
            sample(view(Deed::Delete)),
            sample(DangerView { is_enabled: false, ..view(Deed::Disable) }),
            sample(DangerView {
                is_enabled: false,
                faults: Faults::one("confirm", "No."),
                confirm: "x".to_owned(),
                ..view(Deed::Delete)
            }),
        ]
    }
}
