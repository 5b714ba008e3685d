//! An API: something tokens are for. RFC words: resource server, audience.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The signature algorithms tokens can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits: the one every verifier knows.
    Rs256,
    /// RSASSA-PSS with SHA-256, 2048 bits.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them; the first is the default.
    pub const ALL: &[Self] = &[Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The name in JOSE headers ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }
}

/// What an API's tokens look like. `typ` and the form of `scope` change together, never one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenProfile {
    /// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068): `typ` is `at+jwt`, `scope` a string.
    Rfc9068,
    /// As IdentityServer made them: `typ` is `JWT`, `aud` and `scope` are arrays.
    Classic,
}

impl TokenProfile {
    /// All of them; the first is the default.
    pub const ALL: &[Self] = &[Self::Rfc9068, Self::Classic];

    /// The name in the database and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc9068 => "rfc9068",
            Self::Classic => "classic",
        }
    }

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.name() == name)
    }

    /// The `typ` header.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Rfc9068 => "at+jwt",
            Self::Classic => "JWT",
        }
    }
}

/// What the server signs besides access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementType {
    /// What a token is worth, for whoever asked
    /// ([RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5)).
    TokenIntrospection,
    /// What is revoked, for everyone.
    Revocations,
}

impl StatementType {
    /// The `typ` header.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::TokenIntrospection => "token-introspection+jwt",
            Self::Revocations => "revocations+jwt",
        }
    }

    /// The media type: the `typ` with what it leaves out
    /// ([RFC 7515 §4.1.9](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::TokenIntrospection => "application/token-introspection+jwt",
            Self::Revocations => "application/revocations+jwt",
        }
    }
}

/// Something tokens are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Ours; never on the wire.
    pub id: Uuid,
    /// The organisation it belongs to; `None` for Brevet's own management API, which belongs to all.
    pub organisation_id: Option<Uuid>,
    /// The absolute URI that stands in `aud`.
    pub identifier: Arc<str>,
    /// What its tokens look like.
    pub profile: TokenProfile,
    /// How its tokens are signed.
    pub algorithm: SigningAlgorithm,
    /// The longest its tokens may live, if it says so.
    pub lifetime: Option<Duration>,
    /// The names of its scopes.
    pub scopes: Box<[Arc<str>]>,
}

impl Api {
    /// Whether this is Brevet's own management API.
    pub const fn is_management(&self) -> bool {
        self.organisation_id.is_none()
    }
}

/// The scopes of Brevet's own management API.
pub mod management_scope {
    /// See the organisation's apps.
    pub const APPS_READ: &str = "apps:read";
    /// Register, change and delete apps, and make and revoke their secrets.
    pub const APPS_WRITE: &str = "apps:write";
    /// See the organisation's APIs and their scopes.
    pub const APIS_READ: &str = "apis:read";
    /// Register, change and delete APIs and their scopes.
    pub const APIS_WRITE: &str = "apis:write";
    /// See the public state of the signing keys.
    pub const KEYS_READ: &str = "keys:read";
    /// See who did what in the organisation.
    pub const AUDIT_READ: &str = "audit:read";
    /// See how many tokens the organisation's apps got.
    pub const USAGE_READ: &str = "usage:read";

    /// See the organisation's trusted issuers.
    pub const ISSUERS_READ: &str = "issuers:read";
    /// Register, change and delete trusted issuers.
    pub const ISSUERS_WRITE: &str = "issuers:write";

    /// All of them, and what each means to people.
    pub const ALL: &[(&str, &str)] = &[
        (APPS_READ, "See the apps of the organisation"),
        (APPS_WRITE, "Register, change and delete apps, and make and revoke their App Keys"),
        (APIS_READ, "See the APIs of the organisation and their scopes"),
        (APIS_WRITE, "Register, change and delete APIs and their scopes"),
        (KEYS_READ, "See the public state of the signing keys"),
        (AUDIT_READ, "See who did what in the organisation"),
        (USAGE_READ, "See how many tokens the apps of the organisation got"),
        (ISSUERS_READ, "See the trusted issuers of the organisation"),
        (ISSUERS_WRITE, "Register, change and delete trusted issuers"),
    ];

    /// Their names.
    pub fn names() -> Vec<&'static str> {
        ALL.iter().map(|(name, _)| *name).collect()
    }
}
