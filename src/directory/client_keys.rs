//! The public keys of clients that sign their requests: parsed once, not at every request.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Directory;
use super::remote_keys::{RemoteKeys, RemoteKeysError};
use crate::clock::Timestamp;
use crate::keys::jws::{JwsError, UnverifiedJws};
use crate::keys::key_set::{KeySetError, PublicKeys};
use crate::oauth::client::KeySource;

/// Registered documents whose keys are held parsed, by the document itself: another document has other keys.
const DOCUMENTS_REMEMBERED: usize = 16_384;

/// Why a client's signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientKeysError {
    /// No key of the client verifies it.
    Refused(KeySetError),
    /// The client's keys cannot be had.
    NoKeys(String),
    /// The server has too much to do.
    Overloaded,
}

impl fmt::Display for ClientKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::NoKeys(reason) => f.write_str(reason),
            Self::Overloaded => f.write_str("too many keys are being fetched at once"),
        }
    }
}

impl From<RemoteKeysError> for ClientKeysError {
    fn from(error: RemoteKeysError) -> Self {
        match error {
            RemoteKeysError::Overloaded => Self::Overloaded,
            RemoteKeysError::Failed(_) => Self::NoKeys(error.to_string()),
        }
    }
}

pub(super) struct ClientKeys {
    registered: Cache<Arc<str>, Arc<PublicKeys>>,
    remote: RemoteKeys,
}

impl ClientKeys {
    pub(super) fn new(allow_private: bool) -> Self {
        Self { registered: Cache::new(DOCUMENTS_REMEMBERED), remote: RemoteKeys::new(allow_private) }
    }

    fn registered(&self, document: &Arc<str>) -> Result<Arc<PublicKeys>, ClientKeysError> {
        let parse = || PublicKeys::registered(document.as_bytes()).map(Arc::new);
        let keys = self.registered.get_or_insert_with(document, parse);
        keys.map_err(|error| ClientKeysError::NoKeys(format!("its registered keys cannot be used: {error}")))
    }
}

impl Directory {
    /// Verifies a JWS with the keys of a client. Behind a URL, keys that do not fit are fetched anew, once in a while.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn verify_with_client_keys(
        &self,
        source: &KeySource,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
    ) -> Result<(), ClientKeysError> {
        let verify = |keys: &PublicKeys| keys.verify(jws).map(drop);
        match source {
            KeySource::Jwks(document) => {
                verify(&*self.client_keys.registered(document)?).map_err(ClientKeysError::Refused)
            }
            KeySource::JwksUri(url) => {
                let keys = self.client_keys.remote.find(url, now).await?;
                let refusal = match verify(&keys) {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusal,
                };
                let may_be_newer = match refusal {
                    KeySetError::NoKey => true,
                    KeySetError::Refused(error) => error == JwsError::Signature && jws.kid().is_none(),
                };
                let newer =
                    if may_be_newer { self.client_keys.remote.find_newer(url, &keys, now).await? } else { None };
                newer.map_or(Err(refusal), |newer| verify(&newer)).map_err(ClientKeysError::Refused)
            }
        }
    }
}
