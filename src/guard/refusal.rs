//! What a caller is told when it does not get in ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)): the
//! words are those of Brevet's own guard, and echo nothing.

use std::fmt;
use std::sync::Arc;

use super::header::Scheme;
use crate::keys::verify::TokenError;
use crate::oauth::dpop::{ALGORITHMS, ProofError};
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
        let mut challenge = match scheme {
            Scheme::Bearer => format!("Bearer realm=\"{}\"{parameters}", self.name),
            Scheme::Dpop => {
                let algorithms: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
                format!("DPoP realm=\"{}\"{parameters}, algs=\"{}\"", self.name, algorithms.join(" "))
            }
        };
        if let Some(url) = &self.resource_metadata {
            challenge.push_str(&format!(", resource_metadata=\"{url}\""));
        }
        challenge
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

    /// The `error` member of the answer's body.
    pub const fn error(&self) -> &'static str {
        match self.reason {
            Reason::NoToken => "unauthorized",
            Reason::Malformed(_) => "invalid_request",
            Reason::Token(_) | Reason::BoundTokens => "invalid_token",
            Reason::Proof(error) => error.code().name(),
            Reason::Scopes(_) => "insufficient_scope",
            Reason::Unavailable(_) => "temporarily_unavailable",
            Reason::NoGuard => "server_error",
        }
    }

    /// The `error_description` member of the answer's body.
    pub fn description(&self) -> String {
        match &self.reason {
            Reason::NoToken => "Send an access token: Authorization: Bearer ...".to_owned(),
            Reason::Malformed(what) => (*what).to_owned(),
            Reason::Token(error) => error.to_string(),
            Reason::BoundTokens => "This service takes no access tokens that are bound to a key.".to_owned(),
            Reason::Proof(error) => error.description().to_owned(),
            Reason::Scopes(names) => {
                let noun = if names.contains(' ') { "scopes" } else { "scope" };
                format!("This needs the {noun} {names}.")
            }
            Reason::Unavailable(_) => "The server cannot answer at the moment.".to_owned(),
            Reason::NoGuard => "Something failed inside the server.".to_owned(),
        }
    }

    /// The values of `WWW-Authenticate`, a header for each; none for what no other token would change.
    pub fn challenges(&self) -> Vec<String> {
        let Some(realm) = &self.realm else { return Vec::new() };
        let error = match &self.reason {
            Reason::Unavailable(_) | Reason::NoGuard => return Vec::new(),
            Reason::NoToken => {
                let schemes: &[Scheme] =
                    if realm.takes_bound { &[Scheme::Bearer, Scheme::Dpop] } else { &[Scheme::Bearer] };
                return schemes.iter().map(|scheme| realm.challenge(*scheme, "")).collect();
            }
            _ => format!(", error=\"{}\", error_description=\"{}\"", self.error(), self.description()),
        };
        let scope = match &self.reason {
            Reason::Scopes(names) => format!(", scope=\"{names}\""),
            _ => String::new(),
        };
        let scheme = if realm.takes_bound { self.scheme } else { Scheme::Bearer };
        vec![realm.challenge(scheme, &format!("{error}{scope}"))]
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
