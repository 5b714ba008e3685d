//! Passkeys ([WebAuthn](https://www.w3.org/TR/webauthn-3/)): the rules are `webauthn-rs`'s, and here it ends. Built without the
//! feature `passkeys`, no server has any.

#[cfg(not(feature = "passkeys"))]
mod absent;
#[cfg(feature = "passkeys")]
mod present;

#[cfg(not(feature = "passkeys"))]
pub use self::absent::RelyingParty;
#[cfg(feature = "passkeys")]
pub use self::present::RelyingParty;

use uuid::Uuid;

/// A ceremony that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What the browser is asked, as JSON.
    pub options: serde_json::Value,
    /// What must be known to judge the answer. Whoever can change it can forge one: it is sealed before it leaves.
    pub state: String,
}

/// A passkey that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its name among all passkeys, in base64url.
    pub credential_id: String,
    /// Its public key and what is known of it, as JSON.
    pub credential: String,
}

/// Whose passkey a browser says it shows. Nothing is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedPasskey {
    /// The person.
    pub developer_id: Uuid,
    /// The passkey, in base64url.
    pub credential_id: String,
}

/// A passkey that proved who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedPasskey {
    /// What is known of it now, if that changed.
    pub changed: Option<String>,
}
