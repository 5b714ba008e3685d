//! A token that was let in.

use std::sync::Arc;

use super::refusal::{Realm, Refusal};
use crate::clock::Timestamp;
use crate::keys::verify::SignedToken;
use crate::oauth::bearer::Scheme;
use crate::oauth::claims::ReadClaims;

/// A token that is good: signature, type, issuer, time, audience, revocation and binding were checked. What it may do is the
/// next question: [`Self::require_scope`].
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub(super) signed: Arc<SignedToken>,
    pub(super) realm: Arc<Realm>,
    pub(super) scheme: Scheme,
}

impl AccessToken {
    /// `client_id`: the program that asks.
    pub fn client_id(&self) -> &str {
        &self.signed.claims.client_id
    }

    /// `tenant`: the slug of the organisation that the program belongs to.
    pub fn tenant(&self) -> &str {
        &self.signed.claims.tenant
    }

    /// `jti`: the token's own name, for logs.
    pub fn id(&self) -> &str {
        &self.signed.claims.jti
    }

    /// `exp`: from this moment on it is worth nothing.
    pub fn expires_at(&self) -> Timestamp {
        self.signed.claims.exp
    }

    /// All claims that were read.
    pub fn claims(&self) -> &ReadClaims {
        &self.signed.claims
    }

    /// Whether it has the scope.
    pub fn has_scope(&self, name: &str) -> bool {
        self.signed.claims.scope.contains(name)
    }

    /// Demands a scope.
    ///
    /// # Errors
    /// 403 `insufficient_scope`, which names the scope.
    pub fn require_scope(&self, name: &str) -> Result<(), Refusal> {
        self.require_scopes(&[name])
    }

    /// Demands all of these scopes.
    ///
    /// # Errors
    /// 403 `insufficient_scope`, which names them.
    pub fn require_scopes(&self, names: &[&str]) -> Result<(), Refusal> {
        if names.iter().all(|name| self.has_scope(name)) {
            return Ok(());
        }
        Err(Refusal::lacks_scopes(names, self.realm.clone(), self.scheme))
    }
}
