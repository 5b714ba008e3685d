//! The access token of a request ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750), and with a proof of possession
//! [RFC 9449 §7](https://www.rfc-editor.org/rfc/rfc9449#section-7)): read in one place, checked in one order, refused with
//! one set of words. The guard of our own routes and the check for proxies both ask here.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::caller::{authorization, caller};
use super::dpop::{self, Asked};
use super::error::ApiError;
use crate::directory::LookupError;
use crate::keys::dpop::{BindingError, Shown};
use crate::keys::verify::TokenError;
use crate::oauth::client::Authorization;
use crate::oauth::dpop::{ALGORITHMS, ProofError, ProvenRequest};
use crate::oauth::form;
use crate::oauth::metadata::path;
use crate::service::Authority;
use crate::service::access::{self, AccessError, SenderError, ValidToken};

/// Why a request does not get in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no token.
    NoToken,
    /// The token is not sent as tokens are sent.
    Malformed(&'static str),
    /// The token is not good, or not for this.
    Invalid(TokenError),
    /// The token is bound to a key, and the proof of that key is not good.
    Proof(ProofError),
    /// The token lacks one of these scopes, which stand here with spaces between.
    Scope(String),
    /// Whoever asks for the check did not say clearly what to demand: no token would do.
    UnclearDemand(&'static str),
    /// It cannot be known at the moment.
    Unavailable(LookupError),
    /// More proofs came than can be remembered.
    TooManyProofs,
}

/// How a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

impl Scheme {
    fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("bearer") {
            Some(Self::Bearer)
        } else {
            name.eq_ignore_ascii_case("dpop").then_some(Self::Dpop)
        }
    }

    /// The scheme that a request used; `Bearer` if it used none that is for tokens.
    fn of(request: &HttpRequest) -> Self {
        let Authorization::One(header) = authorization(request) else {
            return Self::Bearer;
        };
        let name = header.split(|byte| *byte == b' ').next().and_then(|name| std::str::from_utf8(name).ok());
        name.and_then(Self::from_name).unwrap_or(Self::Bearer)
    }
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
    Proxied {
        /// Whether the proxy says what a proof must be for, so that a client may send one.
        takes_proofs: bool,
    },
}

impl Refusal {
    /// The answer, with its challenge.
    pub(super) fn at(self, door: Door<'_>, request: &HttpRequest) -> ApiError {
        let malformed = match door {
            Door::Own { .. } => StatusCode::BAD_REQUEST,
            Door::Proxied { .. } => StatusCode::UNAUTHORIZED,
        };
        let (status, code, description) = match &self {
            // A challenge without an error, because nothing is wrong yet.
            Self::NoToken => {
                let description = "Send an access token: Authorization: Bearer ...";
                let error = ApiError::new(request, StatusCode::UNAUTHORIZED, "unauthorized", description)
                    .with_challenge(door.challenge(Scheme::Bearer, ""));
                return match door {
                    Door::Proxied { takes_proofs: false } => error,
                    _ => error.with_challenge(door.challenge(Scheme::Dpop, "")),
                };
            }
            Self::Unavailable(reason) => return ApiError::unavailable(request, reason),
            Self::TooManyProofs => {
                return ApiError::unavailable(request, &"more DPoP proofs came than can be remembered");
            }
            Self::Malformed(description) => (malformed, "invalid_request", (*description).to_owned()),
            Self::Invalid(reason) => (StatusCode::UNAUTHORIZED, "invalid_token", reason.to_string()),
            Self::Proof(reason) => (StatusCode::UNAUTHORIZED, reason.code().name(), reason.description().to_owned()),
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
        let scheme = match self {
            Self::Invalid(TokenError::Bound) => Scheme::Dpop,
            _ => Scheme::of(request),
        };
        let challenge = door.challenge(scheme, &parameters);
        let error = ApiError::new(request, status, code, description).with_challenge(challenge);
        match self {
            // The one refusal that only the operator can do something about.
            Self::UnclearDemand(description) => error.with_detail(description),
            _ => error,
        }
    }
}

impl Door<'_> {
    fn challenge(self, scheme: Scheme, parameters: &str) -> String {
        let mut challenge = match scheme {
            Scheme::Bearer => format!("Bearer realm=\"brevet\"{parameters}"),
            Scheme::Dpop => {
                let algorithms: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
                format!("DPoP realm=\"brevet\"{parameters}, algs=\"{}\"", algorithms.join(" "))
            }
        };
        if let Self::Own { issuer } = self {
            // RFC 9728 §5.1
            challenge.push_str(&format!(", resource_metadata=\"{issuer}{}\"", path::PROTECTED_RESOURCE));
        }
        challenge
    }
}

/// The token in the `Authorization` header, the one place where it may be.
fn sent_token(request: &HttpRequest) -> Result<(Scheme, &str), Refusal> {
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
    let scheme = Scheme::from_name(scheme).ok_or(Refusal::NoToken)?;
    let token = token.trim_start_matches(' ');
    let is_b64token =
        |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || !token.bytes().all(is_b64token) {
        return Err(Refusal::Malformed(match scheme {
            Scheme::Bearer => "The Authorization header is malformed: write Bearer, a space and the token.",
            Scheme::Dpop => "The Authorization header is malformed: write DPoP, a space and the token.",
        }));
    }
    Ok((scheme, token))
}

/// The bearer token in the `Authorization` header, of whatever kind: nothing is proved yet.
pub(super) fn sent_bearer_token(request: &HttpRequest) -> Result<&str, Refusal> {
    match sent_token(request)? {
        (Scheme::Bearer, token) => Ok(token),
        (Scheme::Dpop, _) => Err(Refusal::NoToken),
    }
}

/// The token of a request, if it is good now, whatever it is for; and if it is bound to a key, shown by who holds that.
/// `asked` says what the client asked for: that is what its proof must be for.
pub(super) async fn valid_token(
    authority: &Authority,
    request: &HttpRequest,
    asked: impl FnOnce() -> Result<Asked, Refusal>,
) -> Result<ValidToken, Refusal> {
    let now = caller(authority, request).now;
    dpop::hand_out_nonce(authority, request, now);
    let (scheme, token) = sent_token(request)?;
    let valid = access::verify(authority, token, now).await.map_err(|error| match error {
        AccessError::Refused(reason) => Refusal::Invalid(reason),
        AccessError::Unavailable(reason) => Refusal::Unavailable(reason),
    })?;
    let checked = match scheme {
        Scheme::Bearer => access::check_sender(authority, &valid, &Shown::Bearer, now),
        Scheme::Dpop => {
            let proof = dpop::proof(request).and_then(|proof| proof.ok_or(ProofError::Missing));
            let proof = proof.map_err(Refusal::Proof)?;
            let asked = asked()?;
            let proven = ProvenRequest { method: &asked.method, url: &asked.url, access_token: Some(token) };
            access::check_sender(authority, &valid, &Shown::WithProof(proof, proven), now)
        }
    };
    checked.map_err(|error| match error {
        SenderError::Binding(BindingError::Token(reason)) => Refusal::Invalid(reason),
        SenderError::Binding(BindingError::Proof(reason)) => Refusal::Proof(reason),
        SenderError::TooManyProofs => Refusal::TooManyProofs,
    })?;
    Ok(valid)
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
