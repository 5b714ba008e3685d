//! The bearer token of a request ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)): read in one place, checked in one
//! order, refused with one set of words. The guard of our own routes and the check for proxies both ask here.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::caller::{authorization, caller};
use super::error::ApiError;
use crate::directory::LookupError;
use crate::keys::verify::TokenError;
use crate::oauth::client::Authorization;
use crate::oauth::form;
use crate::oauth::metadata::path;
use crate::service::Authority;
use crate::service::access::{self, AccessError, ValidToken};

/// Why a request does not get in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no token.
    NoToken,
    /// The token is not sent as tokens are sent.
    Malformed(&'static str),
    /// The token is not good, or not for this.
    Invalid(TokenError),
    /// The token lacks one of these scopes, which stand here with spaces between.
    Scope(String),
    /// Whoever asks for the check did not say clearly what to demand: no token would do.
    UnclearDemand(&'static str),
    /// It cannot be known at the moment.
    Unavailable(LookupError),
}

/// Who refuses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door<'a> {
    /// A route of our own, described by the metadata of this issuer.
    Own {
        /// The issuer.
        issuer: &'a str,
    },
    /// Somebody else's route behind a proxy that asks us. Proxies understand 401 and 403 and take anything else for a
    /// failure; and our metadata describes our routes, which a client must not take for those it called
    /// ([RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3)).
    Proxied,
}

impl Refusal {
    /// The answer, with its challenge.
    pub(super) fn at(self, door: Door<'_>, request: &HttpRequest) -> ApiError {
        let malformed = match door {
            Door::Own { .. } => StatusCode::BAD_REQUEST,
            Door::Proxied => StatusCode::UNAUTHORIZED,
        };
        let (status, code, description) = match &self {
            // A challenge without an error, because nothing is wrong yet.
            Self::NoToken => {
                let description = "Send an access token: Authorization: Bearer ...";
                let challenge = door.challenge("");
                return ApiError::new(request, StatusCode::UNAUTHORIZED, "unauthorized", description)
                    .with_challenge(challenge);
            }
            Self::Unavailable(reason) => return ApiError::unavailable(request, reason),
            Self::Malformed(description) => (malformed, "invalid_request", (*description).to_owned()),
            Self::Invalid(reason) => (StatusCode::UNAUTHORIZED, "invalid_token", reason.to_string()),
            Self::Scope(needed) => {
                let noun = if needed.contains(' ') { "scopes" } else { "scope" };
                (StatusCode::FORBIDDEN, "insufficient_scope", format!("This needs the {noun} {needed}."))
            }
            Self::UnclearDemand(description) => (StatusCode::FORBIDDEN, "invalid_request", (*description).to_owned()),
        };
        let mut parameters = format!(", error=\"{code}\", error_description=\"{description}\"");
        if let Self::Scope(needed) = &self {
            parameters.push_str(&format!(", scope=\"{needed}\""));
        }
        let error = ApiError::new(request, status, code, description).with_challenge(door.challenge(&parameters));
        match self {
            // The one refusal that only the operator can do something about.
            Self::UnclearDemand(description) => error.with_detail(description),
            _ => error,
        }
    }
}

impl Door<'_> {
    fn challenge(self, parameters: &str) -> String {
        match self {
            // RFC 9728 §5.1
            Self::Own { issuer } => format!(
                "Bearer realm=\"brevet\"{parameters}, resource_metadata=\"{issuer}{}\"",
                path::PROTECTED_RESOURCE
            ),
            Self::Proxied => format!("Bearer realm=\"brevet\"{parameters}"),
        }
    }
}

/// The token in the `Authorization` header, the one place where it may be.
fn bearer_token(request: &HttpRequest) -> Result<&str, Refusal> {
    if form::query_names(request.query_string(), &["access_token"]) {
        return Err(Refusal::Malformed("Send the token in the Authorization header, not in the URL."));
    }
    let header = match authorization(request) {
        Authorization::None => return Err(Refusal::NoToken),
        Authorization::Several => return Err(Refusal::Malformed("There is more than one Authorization header.")),
        Authorization::One(header) => header,
    };
    let text = std::str::from_utf8(header)
        .map_err(|_not_utf8| Refusal::Malformed("The Authorization header is malformed."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoToken);
    }
    let token = token.trim_start_matches(' ');
    let is_b64token =
        |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || !token.bytes().all(is_b64token) {
        return Err(Refusal::Malformed("The Authorization header is malformed: write Bearer, a space and the token."));
    }
    Ok(token)
}

/// The token of a request, if it is good now, whatever it is for.
pub(super) async fn valid_token(authority: &Authority, request: &HttpRequest) -> Result<ValidToken, Refusal> {
    let token = bearer_token(request)?;
    let now = caller(authority, request).now;
    access::verify(authority, token, now).await.map_err(|error| match error {
        AccessError::Refused(reason) => Refusal::Invalid(reason),
        AccessError::Unavailable(reason) => Refusal::Unavailable(reason),
    })
}

/// Demands one of these audiences.
pub(super) fn demand_audience(valid: &ValidToken, any_of: &[impl AsRef<str>]) -> Result<(), Refusal> {
    let audiences = &valid.token.claims.aud;
    let is_meant = any_of.iter().any(|audience| audiences.contains(audience.as_ref()));
    if is_meant { Ok(()) } else { Err(Refusal::Invalid(TokenError::Audience)) }
}

/// Demands all of these scopes. The names must be scope names: a challenge quotes them.
pub(super) fn demand_scopes(valid: &ValidToken, all_of: &[impl AsRef<str>]) -> Result<(), Refusal> {
    let granted = &valid.token.claims.scope;
    if all_of.iter().all(|scope| granted.contains(scope.as_ref())) {
        return Ok(());
    }
    let needed: Vec<&str> = all_of.iter().map(AsRef::as_ref).collect();
    Err(Refusal::Scope(needed.join(" ")))
}
