//! Discovery and public keys: the same octets for everyone, ready in memory.

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::answer::cacheable;
use super::site::Site;
use crate::oauth::metadata::{AuthorizationServerMetadata, ProtectedResourceMetadata};
use crate::secret::sha256;

/// Long enough to spare us, short enough that a new key is known long before it signs. Never `no-store`: some verifiers
/// then fetch the keys every second.
const CACHE_CONTROL: &str = "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400";
const JSON: &str = "application/json";

struct Document {
    body: Bytes,
    etag: String,
}

impl Document {
    fn new(content: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(content)?;
        let digest: String = sha256(&body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { body: body.into(), etag: format!("\"{digest}\"") })
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        for_everyone(cacheable(request, JSON, CACHE_CONTROL, &self.etag, self.body.clone()))
    }
}

fn for_everyone(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// The discovery documents, which follow from the settings.
pub(super) struct Documents {
    openid: Document,
    authorization_server: Document,
    protected_resource: Document,
}

impl Documents {
    pub(super) fn new(issuer: &str) -> serde_json::Result<Self> {
        Ok(Self {
            openid: Document::new(&AuthorizationServerMetadata::openid(issuer))?,
            authorization_server: Document::new(&AuthorizationServerMetadata::new(issuer))?,
            protected_resource: Document::new(&ProtectedResourceMetadata::new(issuer))?,
        })
    }
}

/// OpenID Connect Discovery.
pub(super) async fn openid_configuration(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    site.documents.openid.answer(&request)
}

/// [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414).
pub(super) async fn authorization_server(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    site.documents.authorization_server.answer(&request)
}

/// [RFC 9728](https://www.rfc-editor.org/rfc/rfc9728).
pub(super) async fn protected_resource(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    site.documents.protected_resource.answer(&request)
}

/// [RFC 7517](https://www.rfc-editor.org/rfc/rfc7517).
pub(super) async fn jwks(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    site.metrics.jwks_requests.inc();
    let document = site.authority.directory.ring().jwks(site.authority.clock.now());
    for_everyone(cacheable(&request, JSON, CACHE_CONTROL, &document.etag, Bytes::from(document.body.clone())))
}
