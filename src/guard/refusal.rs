//! What a caller is told when it does not get in ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)): the
//! words are those of Brevet's own guard, and echo nothing.

use std::fmt;
use std::sync::Arc;

use crate::keys::verify::TokenError;
use crate::oauth::OAuthErrorCode;
use crate::oauth::bearer::{Denial, NotSent, Scheme};
use crate::oauth::dpop::ProofError;
use crate::oauth::error::{FAILED, UNAVAILABLE};
use crate::oauth::scope::is_scope_name;

/// What a service says about itself in each challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Realm {
    pub(super) name: String,
    /// Where its own metadata is ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
    pub(super) resource_metadata: Option<String>,
    /// Whether tokens that are bound to a key are taken.
    pub(super) takes_bound: bool,
}

impl Realm {
    fn challenge(&self, scheme: Scheme, parameters: &str) -> String {
        scheme.challenge(&self.name, parameters, self.resource_metadata.as_deref())
    }
}

/// What the guard lacks, so that it cannot tell a good token from a bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Public keys: none were had since the start.
    Keys,
    /// Public keys: the last ones are older than [`GuardBuilder::keys_max_stale`](super::GuardBuilder::keys_max_stale).
    FreshKeys,
    /// The revocation feed: it was not had since the start.
    Revocations,
    /// The revocation feed: the last one is older than
    /// [`GuardBuilder::revocations_max_stale`](super::GuardBuilder::revocations_max_stale).
    FreshRevocations,
    /// Room: more DPoP proofs came than can be remembered.
    Room,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no token: 401, and no error, because nothing is wrong yet.
    NoToken,
    /// The request is ambiguous or malformed: 400. The sentence says what to do.
    Malformed(&'static str),
    /// The token is not good: 401.
    Token(TokenError),
    /// The token is bound to a key, and this service takes no such tokens
    /// ([`GuardBuilder::url`](super::GuardBuilder::url)): 401.
    BoundTokens,
    /// The token is bound to a key, and the proof of that key is not good: 401.
    Proof(ProofError),
    /// The token is good and lacks one of these scopes, which stand here with spaces between: 403.
    Scopes(Box<str>),
    /// The guard cannot tell at the moment, so it says no: 503.
    Unavailable(Lacking),
    /// The application has no guard: a fault of the service, 500.
    NoGuard,
}

/// A request that is refused: status, challenge and words for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    realm: Option<Arc<Realm>>,
    scheme: Scheme,
}

impl Refusal {
    pub(super) const fn new(reason: Reason, realm: Arc<Realm>, scheme: Scheme) -> Self {
        // Whoever sent a bound token as a bearer token shall send it otherwise.
        let scheme = if matches!(reason, Reason::Token(TokenError::Bound)) { Scheme::Dpop } else { scheme };
        Self { reason, realm: Some(realm), scheme }
    }

    /// For an application that was built without a guard.
    pub(super) const fn no_guard() -> Self {
        Self { reason: Reason::NoGuard, realm: None, scheme: Scheme::Bearer }
    }

    /// Why.
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The HTTP status: 400, 401, 403, 500 or 503.
    pub const fn status(&self) -> u16 {
        match self.reason {
            Reason::Malformed(_) => 400,
            Reason::NoToken | Reason::Token(_) | Reason::BoundTokens | Reason::Proof(_) => 401,
            Reason::Scopes(_) => 403,
            Reason::NoGuard => 500,
            Reason::Unavailable(_) => 503,
        }
    }

    /// What is said about the request; nothing if it is no fault of the request.
    fn denial(&self) -> Option<Denial<'_>> {
        match &self.reason {
            Reason::NoToken => Some(Denial::NotSent(NotSent::NoToken)),
            Reason::Malformed(what) => Some(Denial::NotSent(NotSent::Malformed(what))),
            Reason::Token(error) => Some(Denial::InvalidToken(error.to_string().into())),
            Reason::BoundTokens => {
                Some(Denial::InvalidToken("This service takes no access tokens that are bound to a key.".into()))
            }
            Reason::Proof(error) => Some(Denial::Proof(*error)),
            Reason::Scopes(names) => Some(Denial::Scopes(names)),
            Reason::Unavailable(_) | Reason::NoGuard => None,
        }
    }

    /// The code and the words where nothing is wrong with the request.
    const fn fault(&self) -> (OAuthErrorCode, &'static str) {
        match self.reason {
            Reason::NoGuard => (OAuthErrorCode::ServerError, FAILED),
            _ => (OAuthErrorCode::TemporarilyUnavailable, UNAVAILABLE),
        }
    }

    /// The `error` member of the answer's body.
    pub fn error(&self) -> &'static str {
        self.denial().map_or_else(|| self.fault().0.name(), |denial| denial.error())
    }

    /// The `error_description` member of the answer's body.
    pub fn description(&self) -> String {
        self.denial().map_or_else(|| self.fault().1.to_owned(), |denial| denial.description().into_owned())
    }

    /// The values of `WWW-Authenticate`, a header for each; none for what no other token would change.
    pub fn challenges(&self) -> Vec<String> {
        let (Some(realm), Some(denial)) = (&self.realm, self.denial()) else { return Vec::new() };
        let schemes: &[Scheme] = match (&self.reason, realm.takes_bound) {
            (_, false) => &[Scheme::Bearer],
            (Reason::NoToken, true) => &[Scheme::Bearer, Scheme::Dpop],
            (_, true) => &[self.scheme],
        };
        let parameters = denial.parameters();
        schemes.iter().map(|scheme| realm.challenge(*scheme, &parameters)).collect()
    }

    /// For a token that lacks one of these scopes. What is no scope name stays out of the header.
    pub(super) fn lacks_scopes(names: &[&str], realm: Arc<Realm>, scheme: Scheme) -> Self {
        let names: Vec<&str> = names.iter().copied().filter(|name| is_scope_name(name)).collect();
        Self::new(Reason::Scopes(names.join(" ").into()), realm, scheme)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error(), self.description())?;
        match self.reason {
            Reason::Unavailable(Lacking::Keys) => f.write_str(" No public keys could be fetched yet."),
            Reason::Unavailable(Lacking::FreshKeys) => f.write_str(" The public keys are too old."),
            Reason::Unavailable(Lacking::Revocations) => f.write_str(" No revocation feed could be fetched yet."),
            Reason::Unavailable(Lacking::FreshRevocations) => f.write_str(" The revocation feed is too old."),
            Reason::Unavailable(Lacking::Room) => f.write_str(" More DPoP proofs came than can be remembered."),
            Reason::NoGuard => f.write_str(" The application has no Data<Guard>."),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
