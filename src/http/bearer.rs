//! The access token of a request ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750), and with a proof of possession
//! [RFC 9449 §7](https://www.rfc-editor.org/rfc/rfc9449#section-7)): read in one place, checked in one order, refused with
//! one set of words. The guard of our own routes and the check for proxies both ask here.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::caller::{authorization, caller};
use super::dpop::{self, Asked};
use super::error::ApiError;
use super::ticket_cookie;
use crate::directory::LookupError;
use crate::keys::dpop::{BindingError, Shown};
use crate::keys::verify::TokenError;
use crate::oauth::ThirdParty;
use crate::oauth::bearer::{Denial, NotSent, Scheme, SentToken};
use crate::oauth::dpop::{ProofError, ProvenRequest};
use crate::oauth::metadata::path;
use crate::service::Authority;
use crate::service::access::{self, AccessError, Inquirer, SenderError, ValidToken};

/// Why a request does not get in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no token to look at.
    NotSent(NotSent),
    /// The token is not good, or not for this.
    Invalid(TokenError),
    /// The token is bound to a key, and the proof of that key is not good.
    Proof(ProofError),
    /// It is somebody else's JWT, and no good as a token: what is said of that, and what is logged.
    Foreign {
        /// In general words.
        said: &'static str,
        /// What exactly.
        detail: String,
        /// Whose it is, if that is known.
        third_party: Option<Arc<ThirdParty>>,
    },
    /// The token lacks one of these scopes, which stand here with spaces between.
    Scope(String),
    /// The ticket came in a cookie, and a page of another site may have made the browser send it.
    ForeignSite,
    /// Whoever asks for the check did not say clearly what to demand: no token would do.
    UnclearDemand(&'static str),
    /// It cannot be known at the moment.
    Unavailable(LookupError),
    /// More proofs came than can be remembered.
    TooManyProofs,
}

const FOREIGN_SITE: &str = "With the ticket in a cookie this takes only GET, HEAD, and requests of pages of the same site (Sec-Fetch-Site, Origin): others could be forged. Send the ticket in the Authorization header; a proxy that asks must say the client's method in X-Forwarded-Method or X-Original-Method.";

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
        let (status, denial) = match &self {
            Self::Unavailable(reason) => return ApiError::unavailable(request, reason),
            Self::TooManyProofs => {
                return ApiError::unavailable(request, &"more DPoP proofs came than can be remembered");
            }
            Self::NotSent(why @ NotSent::NoToken) => (StatusCode::UNAUTHORIZED, Denial::NotSent(*why)),
            Self::NotSent(why @ NotSent::Malformed(_)) => (door.malformed(), Denial::NotSent(*why)),
            Self::Invalid(reason) => (StatusCode::UNAUTHORIZED, Denial::InvalidToken(reason.to_string().into())),
            Self::Foreign { said, .. } => (StatusCode::UNAUTHORIZED, Denial::InvalidToken((*said).into())),
            Self::Proof(reason) => (StatusCode::UNAUTHORIZED, Denial::Proof(*reason)),
            Self::Scope(needed) => (StatusCode::FORBIDDEN, Denial::Scopes(needed)),
            Self::ForeignSite => (StatusCode::FORBIDDEN, Denial::NotSent(NotSent::Malformed(FOREIGN_SITE))),
            Self::UnclearDemand(what) => (StatusCode::FORBIDDEN, Denial::NotSent(NotSent::Malformed(what))),
        };
        let schemes: &[Scheme] = match (&self, door) {
            (Self::NotSent(NotSent::NoToken), Door::Proxied { takes_proofs: false }) => &[Scheme::Bearer],
            (Self::NotSent(NotSent::NoToken), _) => &[Scheme::Bearer, Scheme::Dpop],
            (Self::Invalid(TokenError::Bound), _) => &[Scheme::Dpop],
            _ => &[Scheme::of(authorization(request))],
        };
        let refused = ApiError::new(request, status, denial.error(), denial.description());
        let parameters = denial.parameters();
        let challenges = schemes.iter().map(|scheme| door.challenge(*scheme, &parameters));
        let error = challenges.fold(refused, ApiError::with_challenge);
        match self {
            Self::Foreign { detail, third_party, .. } => error.with_detail(detail).of_third_party(third_party),
            // The one refusal that only the operator can do something about.
            Self::UnclearDemand(description) => error.with_detail(description),
            _ => error,
        }
    }
}

impl Door<'_> {
    /// The status of a refusal for which the token was not looked at.
    const fn malformed(self) -> StatusCode {
        match self {
            Self::Own { .. } => StatusCode::BAD_REQUEST,
            Self::Proxied { .. } => StatusCode::UNAUTHORIZED,
        }
    }

    fn challenge(self, scheme: Scheme, parameters: &str) -> String {
        let metadata = match self {
            Self::Own { issuer } => Some(format!("{issuer}{}", path::PROTECTED_RESOURCE)),
            Self::Proxied { .. } => None,
        };
        scheme.challenge("brevet", parameters, metadata.as_deref())
    }
}

/// The bearer token in the `Authorization` header, of whatever kind: nothing is proved yet.
pub(super) fn sent_bearer_token(request: &HttpRequest) -> Result<&str, NotSent> {
    match SentToken::read(authorization(request), request.query_string())? {
        SentToken { scheme: Scheme::Bearer, token } => Ok(token),
        SentToken { scheme: Scheme::Dpop, .. } => Err(NotSent::NoToken),
    }
}

/// The token of a request, if it is good now, whatever it is for; and if it is bound to a key, shown by who holds that.
/// `asked` says what the client asked for: that is what its proof must be for.
pub(super) async fn valid_token(
    authority: &Authority,
    request: &HttpRequest,
    door: Door<'_>,
    inquirer: Inquirer<'_>,
    asked: impl FnOnce() -> Result<Asked, Refusal>,
) -> Result<ValidToken, Refusal> {
    let now = caller(authority, request).now;
    dpop::hand_out_nonce(authority, request, now);
    let ticket = ticket_cookie::read(&authority.config, request, door)?;
    let sent = match (SentToken::read(authorization(request), request.query_string()), &ticket) {
        (Err(NotSent::NoToken), Some(ticket)) => SentToken::bare(ticket),
        (sent, _) => sent,
    };
    let SentToken { scheme, token } = sent.map_err(Refusal::NotSent)?;
    let valid = access::verify(authority, token, inquirer, now).await.map_err(|error| match error {
        AccessError::Refused(reason) => Refusal::Invalid(reason),
        AccessError::Foreign { said, detail, third_party } => Refusal::Foreign { said, detail, third_party },
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
