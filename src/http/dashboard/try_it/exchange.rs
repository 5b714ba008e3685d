//! A request to one of our own endpoints, and what it answers. It goes to the very handler that answers such requests from
//! outside, on behalf of the person's address: throttling, counting and every check are as for anybody there.

use std::net::SocketAddr;

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use actix_web::test::TestRequest;
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest, HttpResponse, ResponseError};
use serde::Serialize;

use crate::http::api::whoami::whoami;
use crate::http::connect::token::token;
use crate::http::dashboard::scene::Scene;
use crate::http::guard::{Access, AnyToken};
use crate::oauth::metadata::path;
use crate::secret::Secret;

/// What was sent and what came back, as text.
#[derive(Debug, Serialize)]
pub(super) struct Exchange {
    /// Without the secret.
    pub(super) request: String,
    pub(super) status: String,
    pub(super) answer: String,
    pub(super) is_good: bool,
    #[serde(skip)]
    pub(super) body: Bytes,
}

/// A request in two readings: as it is sent, and as it may be seen.
pub(super) struct Outgoing {
    pub(super) authorization: Option<(Secret, String)>,
    pub(super) body: Option<(Secret, String)>,
}

fn host(scene: &Scene) -> String {
    let issuer = scene.site().authority.issuer();
    url::Url::parse(issuer).map_or_else(|_| String::new(), |url| url.authority().to_owned())
}

fn request_to(scene: &Scene, method: Method, path: &str) -> TestRequest {
    TestRequest::with_uri(path)
        .method(method)
        .peer_addr(SocketAddr::new(scene.caller().address, 0))
        .insert_header((HOST, host(scene)))
        .app_data(scene.site().clone())
}

/// Asks the token endpoint.
pub(super) async fn ask_for_token(scene: &Scene, outgoing: &Outgoing) -> Exchange {
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut request = request_to(scene, Method::POST, path::TOKEN).insert_header((CONTENT_TYPE, FORM));
    let mut shown = format!("POST {}{} HTTP/1.1\nHost: {}\n", scene.site().pages.base, path::TOKEN, host(scene));
    if let Some((real, masked)) = &outgoing.authorization {
        request = request.insert_header((AUTHORIZATION, real.reveal()));
        shown.push_str(&format!("Authorization: {masked}\n"));
    }
    shown.push_str(&format!("Content-Type: {FORM}\n"));
    if let Some((real, masked)) = &outgoing.body {
        request = request.set_payload(real.reveal().to_owned());
        shown.push_str(&format!("\n{masked}"));
    }
    let (request, mut payload) = request.to_http_parts();
    let response = match Payload::from_request(&request, &mut payload).await {
        Ok(payload) => token(scene.site().clone(), request, payload).await,
        Err(error) => error.error_response(),
    };
    answered(shown, response).await
}

/// Asks the sample resource route who a token belongs to.
pub(super) async fn ask_who(scene: &Scene, token: &Secret) -> Exchange {
    let place = format!("{}/whoami", path::API);
    let request = request_to(scene, Method::GET, &place)
        .insert_header((AUTHORIZATION, format!("Bearer {}", token.reveal().trim())))
        .to_http_request();
    let shown = format!(
        "GET {}{place} HTTP/1.1\nHost: {}\nAuthorization: Bearer $TOKEN\n",
        scene.site().pages.base,
        host(scene)
    );
    let response = match Access::<AnyToken>::from_request(&request, &mut actix_web::dev::Payload::None).await {
        Ok(access) => whoami(access).await,
        Err(refused) => refused.error_response(),
    };
    answered(shown, response).await
}

async fn answered(request: String, response: HttpResponse) -> Exchange {
    let status = response.status();
    let headers = written(response.headers());
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Exchange {
        request,
        status: status.to_string(),
        answer: format!("HTTP/1.1 {status}\n{headers}\n{}", String::from_utf8_lossy(&body)),
        is_good: status.is_success(),
        body,
    }
}

fn written(headers: &HeaderMap) -> String {
    let line = |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
        format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
    };
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    lines.sort();
    lines.concat()
}
