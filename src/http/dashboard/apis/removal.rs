//! `/apis/{id}/delete`

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;
use uuid::Uuid;

use super::{APPS_SHOWN, ShownApp};
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::service::ServiceError;
use crate::service::apis;

/// What stands in the way, or the last question.
#[derive(Debug, Serialize)]
struct DeleteApiView {
    id: String,
    name: String,
    identifier: String,
    scopes: usize,
    apps: Vec<ShownApp>,
    apps_total: i64,
    faults: Faults,
}

impl View for DeleteApiView {
    const TEMPLATE: &'static str = "dashboard/api-delete";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        format!("Delete {}", self.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl DeleteApiView {
    async fn of(visitor: &Visitor<Developer>, id: Uuid) -> Result<Self, PageError> {
        let (api, apps, apps_total) = visitor
            .look(move |m| {
                let (apps, total) = apis::apps_using(m, id, APPS_SHOWN)?;
                Ok((apis::show(m, id)?.api, apps, total))
            })
            .await?;
        Ok(Self {
            id: id.to_string(),
            name: api.name,
            identifier: api.identifier,
            scopes: api.scopes.len(),
            apps: apps.into_iter().map(ShownApp::from).collect(),
            apps_total,
            faults: Faults::default(),
        })
    }
}

/// Asks.
pub(super) async fn show_delete(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let id = visitor.id(&path)?;
    let view = DeleteApiView::of(&visitor, id).await?;
    visitor.page(&view)
}

/// Deletes it, if no app has scopes of it.
pub(super) async fn delete(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let id = visitor.id(&path)?;
    match visitor.change(move |m| apis::delete(m, id)).await {
        Ok(()) => Ok(visitor.go("/apis", "api-deleted")),
        Err(ServiceError::Conflict(_)) => {
            let faults = Faults::one("", "Apps have scopes of this API. Take them away first.");
            let view = DeleteApiView { faults, ..DeleteApiView::of(&visitor, id).await? };
            visitor.page_with(StatusCode::CONFLICT, &view)
        }
        Err(error) => Err(PageError::service(&visitor, &error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let app = || ShownApp { sid: "x".to_owned(), name: "robot".to_owned(), scopes: 2 };
        let view = |apps: Vec<ShownApp>, apps_total: i64, faults: Faults| DeleteApiView {
            id: Uuid::nil().to_string(),
            name: "Billing".to_owned(),
            identifier: "https://billing.example".to_owned(),
            scopes: 1,
            apps,
            apps_total,
            faults,
        };
        vec![
            sample(view(Vec::new(), 0, Faults::default())),
            sample(view(vec![app()], 1, Faults::default())),
            sample(view(vec![app()], 30, Faults::one("", "No."))),
        ]
    }
}
