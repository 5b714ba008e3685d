//! `/apis`: what the organisation's apps can have tokens for.

mod edit;
mod look;
mod new;
mod removal;
mod scopes;
mod verify;

use actix_web::web::{Path, ServiceConfig};
use serde::Serialize;
use uuid::Uuid;

use self::look::preview;
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::paging::{Paging, asked_for};
use super::visitor::{AnyMember, Visitor};
use super::when::When;
use crate::clock::print_span;
use crate::db::apis::{ApiRecord, MANAGEMENT_API, ScopeRecord};
use crate::db::developers::Role;
use crate::http::methods::{get, get_and_post, post};
use crate::service::Management;
use crate::service::apis::{self, AppOfApi};

/// Apps shown on the page of an API.
const APPS_SHOWN: i64 = 20;

/// The list.
#[derive(Debug, Serialize)]
struct ApisView {
    /// What is looked for.
    search: String,
    apis: Vec<ApiRow>,
    /// How many the organisation has of its own.
    total: i64,
    places: Paging,
    may_change: bool,
}

#[derive(Debug, Serialize)]
struct ApiRow {
    id: String,
    name: String,
    identifier: String,
    profile: &'static str,
    algorithm: &'static str,
    scopes: usize,
    built_in: bool,
}

impl View for ApisView {
    const TEMPLATE: &'static str = "dashboard/apis";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        "APIs".to_owned()
    }
}

impl From<&ApiRecord> for ApiRow {
    fn from(api: &ApiRecord) -> Self {
        Self {
            id: api.id.to_string(),
            name: api.name.clone(),
            identifier: api.identifier.clone(),
            profile: api.profile.name(),
            algorithm: api.algorithm.name(),
            scopes: api.scopes.len(),
            built_in: api.organisation_id.is_none(),
        }
    }
}

/// One API.
#[derive(Debug, Serialize)]
struct ApiView {
    api: ShownApi,
    apps: Vec<ShownApp>,
    /// How many there are, with those that are not shown.
    apps_total: i64,
    may_change: bool,
    /// Of the form that adds a scope.
    name: String,
    description: String,
    is_sensitive: bool,
    faults: Faults,
}

/// An API as pages show it.
#[derive(Debug, Serialize)]
struct ShownApi {
    id: String,
    name: String,
    identifier: String,
    profile: &'static str,
    algorithm: &'static str,
    lifetime: String,
    built_in: bool,
    created: When,
    preview_header: String,
    preview: String,
    scopes: Vec<ShownScope>,
}

#[derive(Debug, Serialize)]
struct ShownScope {
    name: String,
    /// The same for a query.
    encoded: String,
    description: String,
    sensitive: bool,
}

#[derive(Debug, Serialize)]
struct ShownApp {
    sid: String,
    name: String,
    scopes: i64,
}

impl View for ApiView {
    const TEMPLATE: &'static str = "dashboard/api";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        self.api.name.clone()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl ShownScope {
    fn of(scope: &ScopeRecord) -> Self {
        Self {
            name: scope.name.clone(),
            encoded: url::form_urlencoded::byte_serialize(scope.name.as_bytes()).collect(),
            description: scope.description.clone(),
            sensitive: scope.sensitive,
        }
    }
}

impl ShownApi {
    fn of(api: &ApiRecord, issuer: &str, tenant: &str) -> Self {
        let (preview_header, preview) = preview(api, issuer, tenant);
        Self {
            id: api.id.to_string(),
            name: api.name.clone(),
            identifier: api.identifier.clone(),
            profile: api.profile.name(),
            algorithm: api.algorithm.name(),
            lifetime: api.lifetime.map(print_span).unwrap_or_default(),
            built_in: api.organisation_id.is_none(),
            created: When::of(api.created_at),
            preview_header,
            preview,
            scopes: api.scopes.iter().map(ShownScope::of).collect(),
        }
    }
}

impl From<AppOfApi> for ShownApp {
    fn from(app: AppOfApi) -> Self {
        Self { sid: app.client_id, name: app.name, scopes: app.scopes }
    }
}

impl ApiView {
    /// The page of an API as it is now.
    async fn of<D: super::visitor::Admission>(visitor: &Visitor<D>, id: Uuid) -> Result<Self, PageError> {
        let (api, apps, apps_total) = visitor
            .look(move |m| {
                let api = apis::show(m, id)?.api;
                let (apps, total) = match api.organisation_id {
                    Some(_) => apis::apps_using(m, id, APPS_SHOWN)?,
                    // Of Brevet's own, each organisation's.
                    None => (Vec::new(), 0),
                };
                Ok((api, apps, total))
            })
            .await?;
        Ok(Self {
            may_change: visitor.has_role(Role::Developer) && api.organisation_id.is_some(),
            api: ShownApi::of(&api, visitor.site().authority.issuer(), &visitor.organisation()),
            apps: apps.into_iter().map(ShownApp::from).collect(),
            apps_total,
            name: String::new(),
            description: String::new(),
            is_sensitive: false,
            faults: Faults::default(),
        })
    }
}

/// Adds the pages of APIs.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/apis", list))
        .service(get_and_post("/apis/new", new::show_new, new::create))
        .service(get("/apis/{id}", show))
        .service(get_and_post("/apis/{id}/edit", edit::show_edit, edit::edit))
        .service(get_and_post("/apis/{id}/delete", removal::show_delete, removal::delete))
        .service(post("/apis/{id}/scopes", scopes::add))
        .service(get_and_post("/apis/{id}/scopes/edit", scopes::show_scope, scopes::change))
        .service(post("/apis/{id}/scopes/remove", scopes::remove))
        .service(get("/apis/{id}/verify", verify::verify));
}

/// The list.
async fn list(visitor: Visitor<AnyMember>) -> PageResult {
    let search = asked_for(&visitor)?;
    let (organisation, wanted) = (visitor.organisation(), search.clone());
    let look = move |m: &Management| {
        let (found, total) = apis::search(m, &organisation, &wanted)?;
        Ok((found, total, apis::show(m, MANAGEMENT_API)?.api))
    };
    let (found, total, built_in) = visitor.look(look).await?;
    // Brevet's own comes last: it is never why somebody came.
    let built_in = Some(&built_in).filter(|_| found.page == found.pages && search.words.is_empty());
    visitor.page(&ApisView {
        apis: found.iter().chain(built_in).map(ApiRow::from).collect(),
        total,
        places: Paging::new(&found, "/apis", "page", &search.words),
        search: search.words,
        may_change: visitor.has_role(Role::Developer),
    })
}

/// One API.
async fn show(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let id = visitor.id(&path)?;
    let view = ApiView::of(&visitor, id).await?;
    visitor.page(&view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::paging::tests::paging;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::{SigningAlgorithm, TokenProfile};

    pub(in crate::http::dashboard) fn record(own: bool) -> ApiRecord {
        let scope =
            |name: &str, sensitive| ScopeRecord { name: name.to_owned(), description: "x".to_owned(), sensitive };
        ApiRecord {
            id: Uuid::nil(),
            organisation_id: own.then(Uuid::nil),
            name: "Billing".to_owned(),
            identifier: "https://billing.example".to_owned(),
            profile: TokenProfile::Rfc9068,
            algorithm: SigningAlgorithm::Rs256,
            lifetime: None,
            scopes: vec![scope("billing:read", false), scope("billing:write", true)],
            created_at: Timestamp::NEVER,
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let list = |apis: Vec<ApiRow>, search: &str, total| ApisView {
            search: search.to_owned(),
            apis,
            total,
            places: paging(total > 1),
            may_change: search.is_empty(),
        };
        let rows = || vec![ApiRow::from(&record(true)), ApiRow::from(&record(false))];
        let one = |own: bool, faults: Faults| {
            let mut api = record(own);
            if !faults.is_empty() {
                api.scopes.clear();
            }
            ApiView {
                api: ShownApi::of(&api, "https://id.example.com", "acme"),
                apps: vec![ShownApp { sid: "x".to_owned(), name: "robot".to_owned(), scopes: 1 }],
                apps_total: 21,
                may_change: own,
                name: String::new(),
                description: String::new(),
                is_sensitive: true,
                faults,
            }
        };
        let mut samples = vec![
            sample(list(Vec::new(), "", 0)),
            sample(list(Vec::new(), "x", 0)),
            sample(list(rows(), "", 1)),
            sample(list(rows(), "x", 2)),
            sample(list(Vec::new(), "x", 2)),
            sample(one(true, Faults::default())),
            sample(one(true, Faults::one("name", "No."))),
            sample(one(false, Faults::default())),
        ];
        samples.extend(edit::tests::samples());
        samples.extend(new::tests::samples());
        samples.extend(removal::tests::samples());
        samples.extend(scopes::tests::samples());
        samples.extend(verify::tests::samples());
        samples
    }
}
