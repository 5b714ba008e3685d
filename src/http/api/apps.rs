//! `GET /api/v1/apps` and `GET /api/v1/apps/{AppSid}`: the apps of the token's organisation.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use url::form_urlencoded;

use crate::db::apps::AppRecord;
use crate::http::answer::private_json;
use crate::http::error::ApiError;
use crate::http::guard::{Access, AppsRead};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::ClientId;
use crate::service::{ServiceError, apps};

const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;

/// An app as the management API shows it. Times in RFC 3339.
#[derive(Serialize)]
struct App {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    status: &'static str,
    created_at: String,
    last_used_at: Option<String>,
}

impl From<AppRecord> for App {
    fn from(app: AppRecord) -> Self {
        Self {
            client_id: app.client_id.to_string(),
            name: app.name,
            scopes: app.scopes.into_iter().map(|(_, scope)| scope).collect(),
            status: if app.disabled_at.is_none() { "active" } else { "disabled" },
            created_at: app.created_at.rfc3339(),
            last_used_at: app.last_used_at.map(crate::clock::Timestamp::rfc3339),
        }
    }
}

#[derive(Serialize)]
struct AppPage {
    apps: Vec<App>,
    /// Give it as `after` to get the next page; `null` on the last.
    next: Option<String>,
}

struct PageWanted {
    after: Option<ClientId>,
    limit: i64,
}

/// A page of apps: `?limit=1..200&after=AppSid`.
pub(in crate::http) async fn list(
    site: Data<Site>,
    request: HttpRequest,
    access: Access<AppsRead>,
) -> Result<HttpResponse, ApiError> {
    let wanted = page_wanted(&request)?;
    let client = &access.valid.client;
    let mut found = apps::list_siblings(&site.authority, client.organisation.id, wanted.after, wanted.limit + 1)
        .await
        .map_err(|error| failed(&request, &error))?;
    let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > wanted.limit;
    found.truncate(usize::try_from(wanted.limit).unwrap_or(0));
    let next = found.last().filter(|_| more).map(|app| app.client_id.to_string());
    let page = AppPage { apps: found.into_iter().map(App::from).collect(), next };
    let mut response = private_json(StatusCode::OK, &page);
    response.extensions_mut().insert(Outcome::of_client(client.client_id));
    Ok(response)
}

/// One app. Another organisation's is answered as one that does not exist.
pub(in crate::http) async fn show(
    site: Data<Site>,
    request: HttpRequest,
    access: Access<AppsRead>,
    app_sid: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let client = &access.valid.client;
    let wanted = ClientId::parse(&app_sid).ok_or_else(|| ApiError::not_found(&request))?;
    let found = apps::find_sibling(&site.authority, client.organisation.id, wanted)
        .await
        .map_err(|error| failed(&request, &error))?
        .ok_or_else(|| ApiError::not_found(&request))?;
    let mut response = private_json(StatusCode::OK, &App::from(found));
    response.extensions_mut().insert(Outcome::of_client(client.client_id));
    Ok(response)
}

fn page_wanted(request: &HttpRequest) -> Result<PageWanted, ApiError> {
    let mut wanted = PageWanted { after: None, limit: DEFAULT_PAGE };
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        match name.as_ref() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                wanted.limit = limit
                    .ok_or_else(|| ApiError::bad_request(request, "limit must be a whole number from 1 to 200."))?;
            }
            "after" => {
                let after = ClientId::parse(&value);
                wanted.after = Some(after.ok_or_else(|| ApiError::bad_request(request, "after must be an App SID."))?);
            }
            _ => return Err(ApiError::bad_request(request, "The parameters are limit and after.")),
        }
    }
    Ok(wanted)
}

fn failed(request: &HttpRequest, error: &ServiceError) -> ApiError {
    match error {
        ServiceError::Unavailable(_) => ApiError::unavailable(request, error),
        _ => ApiError::internal(request, error),
    }
}
