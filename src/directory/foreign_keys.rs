//! The public keys of others, of clients that sign their requests: parsed once, not at every request.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;
use uuid::Uuid;

use super::Directory;
use super::remote_keys::{RemoteKeys, RemoteSet};
use crate::clock::Timestamp;
use crate::keys::budget::SignatureBudget;
use crate::keys::jws::UnverifiedJws;
use crate::keys::key_set::{KeySetError, PublicKeys};
use crate::oauth::client::KeySource;

/// Registered documents whose keys are held parsed, by the document itself: another document has other keys.
const DOCUMENTS_REMEMBERED: usize = 16_384;
/// Signatures that are checked for one request of a client: with the keys in memory, and again with newer ones.
const CHECKS_FOR_A_CLIENT: usize = 8;

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureError {
    /// None of the keys verifies it.
    Refused(KeySetError),
    /// The keys cannot be had.
    NoKeys(String),
    /// The server has too much to do.
    Overloaded,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::NoKeys(reason) => f.write_str(reason),
            Self::Overloaded => f.write_str("too many keys are being fetched at once"),
        }
    }
}

pub(super) struct ForeignKeys {
    registered: Cache<Arc<str>, Arc<PublicKeys>>,
    pub(super) remote: RemoteKeys,
}

impl ForeignKeys {
    pub(super) fn new(allow_private: bool) -> Self {
        Self { registered: Cache::new(DOCUMENTS_REMEMBERED), remote: RemoteKeys::new(allow_private) }
    }

    fn registered(&self, document: &Arc<str>) -> Result<Arc<PublicKeys>, SignatureError> {
        let parse = || PublicKeys::registered(document.as_bytes()).map(Arc::new);
        let keys = self.registered.get_or_insert_with(document, parse);
        keys.map_err(|error| SignatureError::NoKeys(format!("the registered keys cannot be used: {error}")))
    }
}

impl Directory {
    /// Verifies a JWS with the keys of whoever says that it made it. If they must be fetched, that is one of the fetches of
    /// `organisation_id`; the operator's own are of none.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn verify_foreign(
        &self,
        keys: &KeySource,
        organisation_id: Option<Uuid>,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        match keys {
            KeySource::Jwks(document) => {
                let keys = self.foreign_keys.registered(document)?;
                keys.verify(jws).map(drop).map_err(SignatureError::Refused)
            }
            KeySource::JwksUri(url) => {
                let (set, organisation_id) = (RemoteSet::Url(url.clone()), organisation_id.unwrap_or_default());
                let budget = SignatureBudget::new(CHECKS_FOR_A_CLIENT);
                self.foreign_keys.remote.verify(&set, organisation_id, jws, now, &budget).await
            }
        }
    }
}
