//! No passkeys.

use uuid::Uuid;

use super::{Begun, ClaimedPasskey, NewPasskey, ProvedPasskey};
use crate::keys::KeyError;

/// There is none.
#[derive(Debug)]
pub enum RelyingParty {}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "never called: there is no relying party")]
impl RelyingParty {
    pub fn new(_issuer: &str) -> Option<Self> {
        None
    }

    pub fn begin_registration(&self, _: Uuid, _: &str, _: &str, _: &[String]) -> Result<Begun, KeyError> {
        match *self {}
    }

    pub fn finish_registration(&self, _state: &str, _answer: &str) -> Option<NewPasskey> {
        match *self {}
    }

    pub fn begin_authentication(&self) -> Result<Begun, KeyError> {
        match *self {}
    }

    pub fn claimed(&self, _answer: &str) -> Option<ClaimedPasskey> {
        match *self {}
    }

    pub fn finish_authentication(&self, _state: &str, _answer: &str, _credential: &str) -> Option<ProvedPasskey> {
        match *self {}
    }
}
