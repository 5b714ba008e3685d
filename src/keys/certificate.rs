//! X.509 certificates ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)) of those whose tokens we take: pinned one by
//! one, or certified by a CA to which the chain in a token's header must lead. Pure: nothing is fetched.
//!
//! Two libraries read each certificate: `x509-parser` tells what stands in it, `webpki` checks the chain. Where they
//! disagree, the certificate is refused.

mod authorities;
mod chain;
mod flaw;
mod pinned;
mod read;
mod remembered;
#[cfg(test)]
mod samples;
mod written;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;

pub use self::authorities::CertificateAuthorities;
pub use self::chain::{ChainError, TrustedLeaf};
pub use self::flaw::Flaw;
pub use self::pinned::{PinnedCertificates, PinnedError};
pub use self::read::{LONGEST_BUNDLE, LONGEST_DOCUMENT, other_form};
pub use self::remembered::RememberedChains;
use super::KeyError;
use super::budget::{SignatureBudget, Spent};
use super::jwk::{LONGEST_MODULUS_BITS, PublicJwk, VerifyingKey};
use super::jws::{JwsError, UnverifiedJws};
use super::pem::jwk_from_spki;
use crate::clock::Timestamp;

/// Shorter RSA keys can be factored.
const SHORTEST_RSA: usize = 2_048;

/// What kind of key a certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateKey {
    /// RSA with so many bits.
    Rsa(usize),
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384: good for CAs, while tokens are not signed with it here.
    P384,
    /// ECDSA on P-521: as P-384.
    P521,
    /// Ed25519.
    Ed25519,
    /// Anything else: its object identifier.
    Other(String),
}

impl fmt::Display for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits} bits"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "unknown ({oid})"),
        }
    }
}

/// The names of a certificate's subject, for rules. Only what cannot be misread is here: names with control characters
/// are left out, and the common name if there are several.
///
/// A CA that may only certify names of some DNS domain is held to that for `dns`, not for `common_name`: rules on `dns`
/// and `uris` say more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectNames {
    /// `CN` of the subject.
    pub common_name: Option<String>,
    /// Subject alternative names that are DNS names.
    pub dns: Vec<String>,
    /// Subject alternative names that are URIs, such as a SPIFFE ID.
    pub uris: Vec<String>,
}

impl SubjectNames {
    /// Whether one of them is exactly that. Authorities that anybody gets certificates of answer for alternative names
    /// alone: there, the common name says nothing. Nor does it beside alternative names
    /// ([RFC 6125 §6.4.4](https://www.rfc-editor.org/rfc/rfc6125#section-6.4.4)).
    pub fn contains(&self, name: &str, counts_common_name: bool) -> bool {
        let counts_common_name = counts_common_name && self.dns.is_empty() && self.uris.is_empty();
        let is_common = counts_common_name && self.common_name.as_deref() == Some(name);
        is_common || self.dns.iter().chain(&self.uris).any(|alternative| alternative == name)
    }
}

/// What a key may do, if the certificate says it (`keyUsage`).
#[derive(Debug, Clone, Copy)]
struct KeyUsage {
    signs_data: bool,
    signs_certificates: bool,
}

/// A CA's certificate says how many more CAs may stand below it; or not.
#[derive(Debug, Clone, Copy)]
struct Authority {
    path_length: Option<u32>,
}

/// A certificate, read. Whether it is good for anything is another question.
pub struct Certificate {
    der: CertificateDer<'static>,
    subject: String,
    issuer: String,
    serial: String,
    /// As they were encoded: names are compared octet by octet.
    subject_der: Box<[u8]>,
    issuer_der: Box<[u8]>,
    not_before: Timestamp,
    not_after: Timestamp,
    key: CertificateKey,
    public_key: Box<[u8]>,
    /// The digest that it is signed with, if that is broken.
    broken_digest: Option<&'static str>,
    authority: Option<Authority>,
    key_usage: Option<KeyUsage>,
    /// Whether its extended key usage is absent or allows to sign tokens.
    is_for_tokens: bool,
    unknown_critical: Option<String>,
    names: SubjectNames,
    fingerprint: [u8; 32],
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.subject, self.fingerprint())
    }
}

/// Two readings of the same octets.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl Certificate {
    /// The subject's name, for people: no control characters, and cut when it is very long.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The issuer's name, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The serial number as openssl prints it: octets in hex with colons between.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// From when on it is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Its last valid second.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The kind and size of its key.
    pub fn key(&self) -> &CertificateKey {
        &self.key
    }

    /// Whether it says that it is a CA's.
    pub fn is_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// The names of its subject, for rules; trust them when the certificate is trusted.
    pub fn names(&self) -> &SubjectNames {
        &self.names
    }

    /// The SHA-256 fingerprint as openssl prints it: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        let pairs: Vec<String> = self.fingerprint.iter().map(|octet| format!("{octet:02X}")).collect();
        pairs.join(":")
    }

    /// The same in base64url: the header `x5t#S256`
    /// ([RFC 7515 §4.1.8](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.8)).
    pub fn x5t_s256(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.fingerprint)
    }

    /// Whether it is valid at `now`. There is no leeway: clocks that differ are a matter of the claims.
    ///
    /// # Errors
    /// `NotYetValid` and `Expired`.
    pub fn check_validity(&self, now: Timestamp) -> Result<(), Flaw> {
        if now < self.not_before {
            Err(Flaw::NotYetValid(self.not_before))
        } else if now > self.not_after {
            Err(Flaw::Expired(self.not_after))
        } else {
            Ok(())
        }
    }

    /// Whether its key and its signature are strong enough and everything critical in it is known.
    fn check_strength(&self) -> Result<(), Flaw> {
        if let Some(digest) = self.broken_digest {
            return Err(Flaw::BrokenDigest(digest));
        }
        match &self.key {
            CertificateKey::Rsa(bits) if *bits < SHORTEST_RSA => return Err(Flaw::ShortKey(*bits)),
            CertificateKey::Rsa(bits) if *bits > LONGEST_MODULUS_BITS => return Err(Flaw::LongKey(*bits)),
            CertificateKey::Other(oid) => return Err(Flaw::UnusableKey(format!("its kind is {oid}"))),
            _ => {}
        }
        self.unknown_critical.as_ref().map_or(Ok(()), |oid| Err(Flaw::UnknownCritical(oid.clone())))
    }

    /// Whether a CA may have made it for signing tokens.
    ///
    /// Extended key usage must be absent, or name any purpose, client authentication, or signing JWTs or access tokens
    /// ([RFC 9509](https://www.rfc-editor.org/rfc/rfc9509)). One for TLS servers alone is refused: whoever runs a web
    /// site gets one from the same CA, and that must not make him a signer of tokens.
    fn check_signs_tokens(&self) -> Result<(), Flaw> {
        if self.authority.is_some() {
            return Err(Flaw::IsAuthority);
        }
        if self.key_usage.is_some_and(|usage| !usage.signs_data) {
            return Err(Flaw::KeyUsage("digitalSignature"));
        }
        self.check_purpose()
    }

    /// Whether it may certify others: a CA by its basic constraints, with the right to sign certificates where it has a
    /// key usage, and for the same purposes as those whom it certifies.
    fn check_signs_certificates(&self) -> Result<(), Flaw> {
        if self.authority.is_none() {
            return Err(Flaw::NoAuthority);
        }
        if self.key_usage.is_some_and(|usage| !usage.signs_certificates) {
            return Err(Flaw::KeyUsage("keyCertSign"));
        }
        self.check_purpose()
    }

    fn check_purpose(&self) -> Result<(), Flaw> {
        if self.is_for_tokens { Ok(()) } else { Err(Flaw::Purpose) }
    }

    /// Whether so many CAs may stand between it and the certificate that signs.
    fn check_path_length(&self, below: usize) -> Result<(), Flaw> {
        match self.authority.and_then(|authority| authority.path_length) {
            Some(most) if usize::try_from(most).is_ok_and(|most| below > most) => Err(Flaw::PathLength(most)),
            _ => Ok(()),
        }
    }

    /// Its key, once for each algorithm that its type allows.
    fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Flaw> {
        let unusable = |error: &KeyError| Flaw::UnusableKey(error.to_string());
        let jwk = jwk_from_spki(&self.public_key).map_err(|error| unusable(&error))?;
        let jwk = PublicJwk::parse(jwk.to_string().as_bytes()).map_err(|error| unusable(&error))?;
        let keys = jwk.algorithms().map(|algorithm| jwk.verifying_key(algorithm));
        keys.collect::<Result<_, _>>().map_err(|error| unusable(&error))
    }
}

/// Verifies with the one of these keys that is for the algorithm of the JWS.
fn verify_with<'j>(
    keys: &[VerifyingKey],
    jws: &'j UnverifiedJws<'_>,
    budget: &SignatureBudget,
) -> Result<Result<&'j [u8], JwsError>, Spent> {
    let Some(key) = keys.iter().find(|key| key.algorithm().name() == jws.alg()) else {
        return Ok(Err(JwsError::Algorithm));
    };
    budget.take(1)?;
    Ok(jws.verify(key))
}

/// The digest in `x5t#S256`, if the JWS has that header.
///
/// # Errors
/// When it is no digest.
fn named_fingerprint(jws: &UnverifiedJws<'_>) -> Result<Option<[u8; 32]>, NoDigest> {
    let Some(json) = jws.x5t_s256() else { return Ok(None) };
    let text: String = serde_json::from_str(json).map_err(|_no_text| NoDigest)?;
    let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_no_base64url| NoDigest)?;
    octets.try_into().map(Some).map_err(|_another_length| NoDigest)
}

/// `x5t#S256` holds something else than a digest of 32 octets in base64url.
struct NoDigest;
