//! The keys: the only folder that names `jsonwebtoken`, `rsa` and `aws_lc_rs`.

#[cfg(feature = "server")]
pub mod budget;
#[cfg(feature = "server")]
pub mod certificate;
pub mod dpop;
#[cfg(feature = "server")]
pub mod envelope;
pub mod jwk;
pub mod jws;
#[cfg(feature = "server")]
pub mod key_set;
#[cfg(feature = "server")]
pub mod passkeys;
#[cfg(feature = "server")]
pub mod pem;
#[cfg(feature = "server")]
pub mod ring;
#[cfg(feature = "server")]
pub mod signing;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
pub mod totp;
pub mod verify;

use std::fmt;

/// A key that cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl KeyError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}
