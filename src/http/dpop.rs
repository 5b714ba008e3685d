//! The `DPoP` header of a request and the `DPoP-Nonce` header of its answer
//! ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use url::Url;

use super::caller::header;
use crate::clock::Timestamp;
use crate::oauth::dpop::{ProofError, sent_proof};
use crate::service::Authority;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The proof that came with a request.
///
/// # Errors
/// `Several` when there is more than one, `Malformed` when it is not text.
pub(super) fn proof(request: &HttpRequest) -> Result<Option<&str>, ProofError> {
    sent_proof(header(request, DPOP))
}

/// The request that a client made, of us or of a service behind a proxy.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) url: String,
}

impl Asked {
    /// A request for one of our own routes. Our address comes from the issuer, never from `Host`; a proxy in front may
    /// have taken the issuer's path away.
    pub(super) fn of_us(request: &HttpRequest, issuer: &str) -> Self {
        let given = request.uri().path();
        let issuer_path = Url::parse(issuer).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        let path = given.strip_prefix(issuer_path.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(given);
        Self { method: request.method().as_str().to_owned(), url: format!("{issuer}{path}") }
    }

    /// A request that a proxy asks about, as the proxy describes it. Nothing if it does not, or says something twice.
    pub(super) fn of_a_proxy(request: &HttpRequest, description: Description) -> Option<Self> {
        let only = |name: &str| {
            let mut values = request.headers().get_all(name);
            values.next().filter(|_| values.next().is_none())?.to_str().ok().map(str::to_owned)
        };
        match description {
            Description::Forwarded => {
                let (scheme, host) = (only("x-forwarded-proto")?, only("x-forwarded-host")?);
                let uri = only("x-forwarded-uri")?;
                // Each of them its own part of the address: a client writes the host, which must not bring a path along.
                let is_clear = scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
                    && !host.contains(['/', '?', '#', '@', '\\'])
                    && uri.starts_with('/');
                let url = is_clear.then(|| format!("{scheme}://{host}{uri}"))?;
                Some(Self { method: only("x-forwarded-method")?, url })
            }
            Description::Original => {
                let url = only("x-original-url")?;
                // The same, where a client may write the host: after that, the path must begin.
                let (_, rest) = url.split_once("://")?;
                let is_clear = rest.chars().find(|c| "/?#@\\".contains(*c)) == Some('/');
                let method = only("x-original-method")?;
                is_clear.then_some(Self { method, url })
            }
        }
    }
}

/// Where a proxy describes the request that it asks about. A client can write every header that its proxy does not set,
/// and then use a proof that was made for another service: so the operator must say which of them the proxy sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Description {
    /// In `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`: Traefik and Caddy do so by themselves.
    Forwarded,
    /// In `X-Original-Method` and `X-Original-URL`: nginx, if its configuration says so.
    Original,
}

/// What the next proof must hold, on its way to the answer.
struct NextNonce(HeaderValue);

/// Whoever sends a proof is given the nonce for the next one, whatever the answer is, if this server demands nonces.
pub(super) fn hand_out_nonce(authority: &Authority, request: &HttpRequest, now: Timestamp) {
    if !request.headers().contains_key(DPOP) {
        return;
    }
    let nonce = authority.dpop_nonce(now).and_then(|nonce| HeaderValue::try_from(nonce).ok());
    if let Some(nonce) = nonce {
        request.extensions_mut().insert(NextNonce(nonce));
    }
}

/// Puts the nonce that was handed out into the answer.
pub(super) fn add_nonce<B>(response: &mut ServiceResponse<B>) {
    let handed_out = response.request().extensions_mut().remove::<NextNonce>();
    if let Some(NextNonce(nonce)) = handed_out {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}
