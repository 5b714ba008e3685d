//! A JWS in compact form ([RFC 7515 §7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1)), taken apart: the one
//! reader and the one signature check for tokens, assertions and proofs.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use super::jwk::VerifyingKey;

/// Why a JWS cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsError {
    /// It is not a JWS in compact form, or its header is not a JOSE header.
    Malformed,
    /// It demands a processing that we do not do (`crit`, `b64`, `zip`, `enc`).
    Demanding,
    /// Its `alg` is not the key's.
    Algorithm,
    /// The signature does not hold.
    Signature,
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not a JWS in compact form",
            Self::Demanding => "its header demands more than a signature",
            Self::Algorithm => "its algorithm is not that of the key",
            Self::Signature => "its signature is wrong",
        })
    }
}

impl std::error::Error for JwsError {}

/// Whether a member is there, whatever its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Present(pub(super) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// The JOSE header as far as we use it; a member that stands twice is an error. Addresses in it
/// (`jku`, `x5u`) are never looked at.
#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    jwk: Option<Box<RawValue>>,
    #[cfg(feature = "server")]
    x5c: Option<Box<RawValue>>,
    #[cfg(feature = "server")]
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<Box<RawValue>>,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    b64: Present,
    #[serde(default)]
    zip: Present,
    #[serde(default)]
    enc: Present,
}

/// A JWS whose signature nobody has checked yet.
pub struct UnverifiedJws<'a> {
    header: JoseHeader,
    /// Header and payload as they were signed.
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Without the payload and the signature.
impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJws").field("alg", &self.header.alg).finish_non_exhaustive()
    }
}

impl<'a> UnverifiedJws<'a> {
    /// Takes a JWS of at most `longest` octets apart.
    ///
    /// # Errors
    /// `Malformed` and `Demanding`.
    pub fn parse(jws: &'a str, longest: usize) -> Result<Self, JwsError> {
        if jws.len() > longest {
            return Err(JwsError::Malformed);
        }
        let mut parts = jws.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Malformed);
        };
        let signed = jws.get(..header.len() + 1 + payload.len()).ok_or(JwsError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_not_base64url| JwsError::Malformed);
        // Not from octets: those of members that nobody reads would not be looked at.
        let json = String::from_utf8(decode(header)?).map_err(|_not_utf8| JwsError::Malformed)?;
        // A list of values would be taken for the members in their order.
        if !json.starts_with('{') {
            return Err(JwsError::Malformed);
        }
        let header: JoseHeader = serde_json::from_str(&json).map_err(|_not_a_header| JwsError::Malformed)?;
        let demands = [header.crit, header.b64, header.zip, header.enc];
        if demands.contains(&Present(true)) {
            return Err(JwsError::Demanding);
        }
        Ok(Self { header, signed, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// `alg`
    pub fn alg(&self) -> &str {
        &self.header.alg
    }

    /// `kid`
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// `typ`
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// `jwk`, as JSON: whoever made the JWS says that this is its key. For proofs of possession and nothing else.
    pub fn jwk(&self) -> Option<&str> {
        self.header.jwk.as_deref().map(RawValue::get)
    }

    /// `x5c`, as JSON: whoever made the JWS says that these certificates lead to its key. Only for
    /// [`CertificateAuthorities`](super::certificate::CertificateAuthorities), which check that; nothing else may
    /// believe them.
    #[cfg(feature = "server")]
    pub(super) fn x5c(&self) -> Option<&str> {
        self.header.x5c.as_deref().map(RawValue::get)
    }

    /// `x5t#S256`, as JSON: the digest of the certificate that holds the key. It chooses among certificates that are
    /// trusted already, and makes none trusted.
    #[cfg(feature = "server")]
    pub(super) fn x5t_s256(&self) -> Option<&str> {
        self.header.x5t_s256.as_deref().map(RawValue::get)
    }

    /// The payload, which anybody may have written: only for finding the key to verify it with.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature. The algorithm is the key's, never the token's; the payload is what was signed.
    ///
    /// # Errors
    /// `Algorithm` and `Signature`.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&[u8], JwsError> {
        if self.header.alg != key.algorithm().name() {
            return Err(JwsError::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)?;
        Ok(&self.payload)
    }
}
