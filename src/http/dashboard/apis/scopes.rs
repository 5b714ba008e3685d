//! The scopes of an API: adding one, saying what it means, taking it away.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;
use uuid::Uuid;

use super::{ApiView, ShownScope};
use crate::db::apis::{ApiRecord, ScopeRecord};
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::service::apis::{self, ScopeUpdate};

/// One scope.
#[derive(Debug, Serialize)]
struct ScopeView {
    id: String,
    api_name: String,
    scope: ShownScope,
    /// Whether apps of the organisation have scopes of the API at all.
    apps_total: i64,
    faults: Faults,
}

impl View for ScopeView {
    const TEMPLATE: &'static str = "dashboard/api-scope";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        format!("Scope {}", self.scope.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

fn read(form: &Form) -> ScopeRecord {
    ScopeRecord {
        name: form.trimmed("name").to_owned(),
        description: form.trimmed("description").to_owned(),
        sensitive: form.has("sensitive"),
    }
}

async fn found(visitor: &Visitor<Developer>, id: Uuid, name: &str) -> Result<(ApiRecord, ScopeRecord, i64), PageError> {
    let (api, apps) = visitor
        .look(move |m| {
            let (_, apps) = apis::apps_using(m, id, 0)?;
            Ok((apis::show(m, id)?.api, apps))
        })
        .await?;
    let scope = api.scopes.iter().find(|scope| scope.name == name).cloned();
    let scope = scope.ok_or_else(|| PageError::not_found(visitor))?;
    Ok((api, scope, apps))
}

/// Adds one.
pub(super) async fn add(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let form = visitor.form(&[])?;
    let id = visitor.id(&path)?;
    let scope = read(&form);
    let wanted = scope.clone();
    match visitor.change(move |m| apis::add_scope(m, id, wanted)).await {
        Ok(_) => Ok(visitor.go(&format!("/apis/{id}"), "scope-added")),
        Err(error) => {
            let faults = Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?;
            let view = ApiView {
                name: scope.name,
                description: scope.description,
                is_sensitive: scope.sensitive,
                faults,
                ..ApiView::of(&visitor, id).await?
            };
            visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

/// One scope: `?scope=` names it, because its name may hold a slash.
pub(super) async fn show_scope(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let id = visitor.id(&path)?;
    let name = visitor.query("scope").unwrap_or_default();
    let (api, scope, apps_total) = found(&visitor, id, &name).await?;
    visitor.page(&ScopeView {
        id: id.to_string(),
        api_name: api.name,
        scope: ShownScope::of(&scope),
        apps_total,
        faults: Faults::default(),
    })
}

/// Says anew what it means.
pub(super) async fn change(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let form = visitor.form(&[])?;
    let id = visitor.id(&path)?;
    let scope = read(&form);
    let (name, update) = (
        scope.name.clone(),
        ScopeUpdate { description: Some(scope.description.clone()), sensitive: Some(scope.sensitive) },
    );
    match visitor.change(move |m| apis::update_scope(m, id, &name, update)).await {
        Ok(_) => Ok(visitor.go(&format!("/apis/{id}"), "scope-changed")),
        Err(error) => {
            let faults = Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?;
            let (api, _, apps_total) = found(&visitor, id, &scope.name).await?;
            let view =
                ScopeView { id: id.to_string(), api_name: api.name, scope: ShownScope::of(&scope), apps_total, faults };
            visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

/// Takes it away, also from every app.
pub(super) async fn remove(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let id = visitor.id(&path)?;
    let name = form.text("name").to_owned();
    let removed = visitor.change(move |m| apis::remove_scope(m, id, &name)).await;
    removed.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go(&format!("/apis/{id}"), "scope-removed"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apis::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |at: usize, apps_total: i64, faults: Faults| ScopeView {
            id: Uuid::nil().to_string(),
            api_name: "Billing".to_owned(),
            scope: ShownScope::of(&record(true).scopes[at]),
            apps_total,
            faults,
        };
        vec![sample(view(0, 0, Faults::default())), sample(view(1, 2, Faults::one("description", "No.")))]
    }
}
