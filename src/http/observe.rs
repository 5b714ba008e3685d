//! What happens around every request: an id, one log line, counts, and an answer even after a panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use futures_util::FutureExt;
use log::kv::{Key, Value};

use super::caller::address;
use super::dashboard::failed::failed;
use super::dpop;
use super::error::ApiError;
use super::pages::wants_page;
use super::site::Site;
use crate::oauth::metadata::path;
use crate::oauth::request::GrantType;
use crate::oauth::{ClientId, OAuthError, ThirdParty};
use crate::secret::{NoRandomness, random_id};
use crate::service::token::IssuedToken;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id: a random part for the process and a count.
pub(super) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            process: random_id()?.chars().filter(char::is_ascii_alphanumeric).take(8).collect(),
            next: AtomicU64::new(1),
        })
    }

    fn next(&self) -> RequestId {
        RequestId(format!("{}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

#[derive(Clone)]
struct RequestId(String);

/// The id of a request, for its answer.
pub(super) fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// What a handler lets the log know. Never a secret, a token or a body.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// The client, once it is known.
    pub(super) client_id: Option<ClientId>,
    /// The public error code.
    pub(super) error: Option<&'static str>,
    /// The private reason.
    pub(super) detail: Option<String>,
    /// Whose JWT it was, if it was somebody else's.
    pub(super) third_party: Option<Arc<ThirdParty>>,
}

impl Outcome {
    pub(super) fn refused(error: &OAuthError) -> Self {
        Self {
            error: Some(error.code.name()),
            detail: error.detail.clone(),
            client_id: error.client_id,
            third_party: error.third_party.clone(),
        }
    }

    pub(super) fn issued(issued: &IssuedToken) -> Self {
        Self { third_party: issued.third_party.clone(), ..Self::of_client(issued.client_id) }
    }

    pub(super) fn of_client(client_id: ClientId) -> Self {
        Self { client_id: Some(client_id), ..Self::default() }
    }
}

/// Wraps every request.
pub(super) async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let began_at = Instant::now();
    let Some(site) = request.app_data::<Data<Site>>().cloned() else {
        return next.call(request).await;
    };
    let id = site.request_ids.next();
    let address = address(&site.authority, request.request());
    let method = method_name(request.method());
    // Not the request itself: it can be routed only while nobody else holds it.
    let uri = request.uri().clone();
    let wants_page = wants_page(request.headers(), uri.path(), &site.authority.config);
    request.extensions_mut().insert(id.clone());
    let Ok(answered) = AssertUnwindSafe(next.call(request)).catch_unwind().await else {
        site.metrics.panics.inc();
        log::error!(request_id = id.0, method; "a handler panicked");
        if wants_page {
            return Err(failed(&site, &id.0).into());
        }
        return Err(ApiError::panicked(&site.authority.config, uri.path(), id.0).into());
    };
    let mut response = answered?;
    let outcome = response.response_mut().extensions_mut().remove::<Outcome>().unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    dpop::add_nonce(&mut response);
    if site.is_draining() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let pattern = response.request().match_pattern();
    let route = pattern.as_deref().unwrap_or("(none)");
    let status = response.status().as_u16();
    let duration = began_at.elapsed();
    site.metrics.request(route, method, status);
    if route.ends_with(path::TOKEN) && method == "POST" {
        let grant = response.request().extensions().get::<GrantType>().copied();
        site.metrics.token_request(grant, outcome.error, duration);
    }
    if log::log_enabled!(log::Level::Info) {
        let line = Line { id: &id.0, method, route, status, duration, address, outcome: &outcome };
        log::logger().log(
            &log::Record::builder()
                .level(if status >= 500 { log::Level::Warn } else { log::Level::Info })
                .target("brevet::request")
                .args(format_args!("request"))
                .key_values(&line)
                .build(),
        );
    }
    Ok(response)
}

/// One of a few names: a client may make up as many methods as it likes, and each would be a series of numbers of its own.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The fields of a request's log line; those that say nothing are left out.
struct Line<'a> {
    id: &'a str,
    method: &'a str,
    route: &'a str,
    status: u16,
    duration: std::time::Duration,
    address: std::net::IpAddr,
    outcome: &'a Outcome,
}

impl log::kv::Source for Line<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn log::kv::VisitSource<'kvs>) -> Result<(), log::kv::Error> {
        let mut field = |name: &'static str, value: Value<'kvs>| visitor.visit_pair(Key::from_str(name), value);
        field("request_id", self.id.into())?;
        field("method", self.method.into())?;
        field("route", self.route.into())?;
        field("status", self.status.into())?;
        field("duration_us", u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX).into())?;
        field("address", Value::from_display(&self.address))?;
        if let Some(client_id) = &self.outcome.client_id {
            field("client_id", Value::from_display(client_id))?;
        }
        if let Some(third_party) = self.outcome.third_party.as_deref() {
            field("trusted_issuer", Value::from_display(&third_party.trusted_issuer))?;
            if let Some(login) = &third_party.login {
                field("login", (&**login).into())?;
            }
        }
        if let Some(error) = self.outcome.error {
            field("error", error.into())?;
        }
        if let Some(detail) = &self.outcome.detail {
            field("detail", detail.as_str().into())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{Config, Settings, SourceValues};
    use crate::service::{Authority, Management};

    async fn broken() -> HttpResponse {
        panic!("on purpose")
    }

    #[test]
    fn a_handler_that_panics_is_answered_as_any_other_fault() {
        let data = tempfile::tempdir().unwrap();
        let flags = [("data-dir".to_owned(), data.path().display().to_string())].into();
        let sources = SourceValues { flags, variables: Vec::new(), file: None };
        let config = Config::new(&Settings::resolve(&sources).unwrap()).unwrap();
        let management = Management::open(config.into(), std::sync::Arc::new(SystemClock), "test").unwrap();
        let site = Site::new(Authority::open(&management).unwrap().into()).unwrap();
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(Data::new(site)).wrap(from_fn(observe)).default_service(web::to(broken));
            let app = init_service(app).await;
            for (path, kind) in [
                ("/api/v1/apps", json!("http://127.0.0.1:8080/docs/errors#server_error")),
                ("/connect/token", Value::Null),
            ] {
                let error = try_call_service(&app, TestRequest::with_uri(path).to_request()).await.unwrap_err();
                let answer = error.error_response();
                assert_eq!(answer.status(), 500, "{path}");
                let expected = if kind.is_null() { "application/json" } else { "application/problem+json" };
                assert_eq!(answer.headers().get("content-type").unwrap(), expected, "{path}");
                let octets = to_bytes(answer.into_body()).await.unwrap();
                let body: Value = serde_json::from_slice(&octets).unwrap();
                assert_eq!((&body["type"], &body["error"]), (&kind, &json!("server_error")), "{path}");
                assert!(!body["request_id"].as_str().unwrap().is_empty());
            }
            let request = || TestRequest::with_uri("/apps").insert_header(("accept", "text/html"));
            let page = try_call_service(&app, request().to_request()).await.unwrap_err().error_response();
            assert_eq!(
                (page.status().as_u16(), page.headers().get("content-type").unwrap().to_str().unwrap()),
                (500, "text/html; charset=utf-8")
            );
            assert!(page.headers().contains_key("content-security-policy"));
            let octets = to_bytes(page.into_body()).await.unwrap();
            let text = std::str::from_utf8(&octets).unwrap();
            assert!(text.contains("<h1>Something went wrong</h1>") && text.contains("Request <code>"), "{text}");
        });
    }
}
