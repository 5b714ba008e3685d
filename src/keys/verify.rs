//! Verification: one road for every use of a token. The algorithm is the key's, never the token's; claims are checked
//! here and against the `now` that the caller gives.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::KeyError;
use crate::clock::Timestamp;
use crate::oauth::claims::ReadClaims;
use crate::oauth::{SigningAlgorithm, TokenProfile};
use crate::secret::sha256;

/// Nothing we issue is longer.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Verified tokens remembered by their digest, so that a token that comes again costs no second public-key operation.
const REMEMBERED_TOKENS: usize = 8_192;

/// A public key, parsed, with the one algorithm it may be used for.
pub struct VerifyingKey {
    kid: String,
    algorithm: SigningAlgorithm,
    key: ParsedPublicKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm.name(), self.kid)
    }
}

impl VerifyingKey {
    /// Parses a public JWK, which must name its `kid` and `alg`.
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let algorithm = match jwk.common.key_algorithm {
            Some(KeyAlgorithm::RS256) => SigningAlgorithm::Rs256,
            Some(KeyAlgorithm::PS256) => SigningAlgorithm::Ps256,
            Some(KeyAlgorithm::ES256) => SigningAlgorithm::Es256,
            Some(KeyAlgorithm::EdDSA) => SigningAlgorithm::EdDsa,
            _ => return Err(KeyError::new("a JWK has no `alg` that this server knows")),
        };
        let kid = jwk.common.key_id.clone().ok_or_else(|| KeyError::new("a JWK has no `kid`"))?;
        let decode = |text: &str| {
            URL_SAFE_NO_PAD.decode(text).map_err(|error| KeyError::new(format!("a JWK is not base64url: {error}")))
        };
        let key = match (algorithm, &jwk.algorithm) {
            (SigningAlgorithm::Rs256, AlgorithmParameters::RSA(rsa)) => {
                rsa_key(decode(&rsa.n)?, decode(&rsa.e)?, &RSA_PKCS1_2048_8192_SHA256)
            }
            (SigningAlgorithm::Ps256, AlgorithmParameters::RSA(rsa)) => {
                rsa_key(decode(&rsa.n)?, decode(&rsa.e)?, &RSA_PSS_2048_8192_SHA256)
            }
            (SigningAlgorithm::Es256, AlgorithmParameters::EllipticCurve(ec)) if ec.curve == EllipticCurve::P256 => {
                let point = [vec![4], decode(&ec.x)?, decode(&ec.y)?].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse().map_err(rejected)
            }
            (SigningAlgorithm::EdDsa, AlgorithmParameters::OctetKeyPair(okp))
                if okp.curve == EllipticCurve::Ed25519 =>
            {
                UnparsedPublicKey::new(&ED25519, decode(&okp.x)?).parse().map_err(rejected)
            }
            _ => Err(KeyError::new("a JWK's `kty` does not fit its `alg`")),
        }?;
        Ok(Self { kid, algorithm, key })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

fn rejected(error: impl fmt::Display) -> KeyError {
    KeyError::new(format!("a public key was rejected: {error}"))
}

fn rsa_key(n: Vec<u8>, e: Vec<u8>, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, KeyError> {
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(rejected)
}

/// Keys by `kid`, read from a JWKS document: what a service that verifies offline holds.
#[derive(Debug)]
pub struct JwksKeys(Vec<VerifyingKey>);

impl JwksKeys {
    /// Reads a JWK set. Keys that cannot be used are left out, as [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5) asks.
    ///
    /// # Errors
    /// When the document is not a JWK set.
    pub fn parse(document: &[u8]) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_slice(document)
            .map_err(|error| KeyError::new(format!("the document is not a JWK set: {error}")))?;
        Ok(Self(set.keys.iter().filter_map(|jwk| VerifyingKey::from_jwk(jwk).ok()).collect()))
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

/// Why a token is refused. The words are for the client: they say what to do and echo nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is not a JWS in compact form with the claims of an access token.
    Malformed,
    /// Its `kid` is not among the published keys.
    UnknownKey,
    /// Its `alg` is not the key's, or it demands a processing we do not do.
    Algorithm,
    /// The signature does not hold.
    Signature,
    /// Its `typ` is not that of an access token.
    Type,
    /// Another issuer's.
    Issuer,
    /// Not for the resource it was shown to.
    Audience,
    /// Over since that moment.
    Expired(Timestamp),
    /// Not valid before that moment.
    NotYetValid(Timestamp),
    /// It, its client or its organisation was revoked, disabled or deleted.
    Revoked,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("The access token is malformed."),
            Self::UnknownKey => f.write_str("The access token was signed with a key that is not published."),
            Self::Algorithm => f.write_str("The access token's algorithm is not that of its key."),
            Self::Signature => f.write_str("The access token's signature is wrong."),
            Self::Type => f.write_str("The token is not an access token."),
            Self::Issuer => f.write_str("The access token is from another issuer."),
            Self::Audience => f.write_str("The access token is not for this resource."),
            Self::Expired(at) => write!(f, "The access token expired at {at}."),
            Self::NotYetValid(at) => write!(f, "The access token is not valid before {at}."),
            Self::Revoked => f.write_str("The access token was revoked, or its client was disabled."),
        }
    }
}

/// A token whose signature, `typ` and issuer hold. Time and revocation are the caller's next step.
#[derive(Debug)]
pub struct SignedToken {
    /// Its claims.
    pub claims: ReadClaims,
    kid: Box<str>,
}

impl SignedToken {
    /// Checks `exp` and `nbf`: valid while `nbf <= now < exp`, no leeway.
    ///
    /// # Errors
    /// `Expired` and `NotYetValid`.
    pub fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        if now >= self.claims.exp {
            return Err(TokenError::Expired(self.claims.exp));
        }
        if now < self.claims.nbf {
            return Err(TokenError::NotYetValid(self.claims.nbf));
        }
        Ok(())
    }
}

/// The JOSE header as far as we use it. Keys and addresses in it (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.
#[derive(Deserialize)]
struct JoseHeader<'a> {
    alg: &'a str,
    kid: Option<&'a str>,
    typ: Option<&'a str>,
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
}

impl JoseHeader<'_> {
    /// Whether it demands a processing that no token of ours needs.
    const fn demands_more(&self) -> bool {
        self.crit.is_some() || self.b64.is_some() || self.zip.is_some() || self.enc.is_some()
    }
}

/// Verifies one token with one of the keys that `find` knows. This is all that a service without a database needs.
///
/// # Errors
/// The first check that failed.
pub fn verify_access_token<K: Deref<Target = VerifyingKey>>(
    token: &str,
    issuer: &str,
    find: impl Fn(&str) -> Option<K>,
) -> Result<SignedToken, TokenError> {
    if token.len() > LONGEST_TOKEN {
        return Err(TokenError::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_not_base64| TokenError::Malformed);
    let header_json = decode(header)?;
    let jose: JoseHeader = serde_json::from_slice(&header_json).map_err(|_not_a_header| TokenError::Malformed)?;
    if jose.demands_more() {
        return Err(TokenError::Algorithm);
    }
    let kid = jose.kid.ok_or(TokenError::UnknownKey)?;
    let key = find(kid).ok_or(TokenError::UnknownKey)?;
    if jose.alg != key.algorithm.name() {
        return Err(TokenError::Algorithm);
    }
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Malformed)?;
    key.key.verify_sig(signed.as_bytes(), &decode(signature)?).map_err(|_unspecified| TokenError::Signature)?;
    let is_access_token = |typ: &str| TokenProfile::ALL.iter().any(|profile| profile.typ().eq_ignore_ascii_case(typ));
    if !jose.typ.is_some_and(is_access_token) {
        return Err(TokenError::Type);
    }
    let claims: ReadClaims = serde_json::from_slice(&decode(payload)?).map_err(|_not_claims| TokenError::Malformed)?;
    if *claims.iss != *issuer {
        return Err(TokenError::Issuer);
    }
    Ok(SignedToken { claims, kid: kid.into() })
}

/// The verifier of our own tokens: the guard, introspection and everything else that takes one asks it.
pub struct Verifier {
    issuer: String,
    remembered: Cache<[u8; 32], Arc<SignedToken>>,
}

impl Verifier {
    /// A verifier of that issuer's tokens.
    pub fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), remembered: Cache::new(REMEMBERED_TOKENS) }
    }

    /// Signature, `typ` and issuer against the keys that `published` knows. A token seen before costs a digest; its key
    /// must be published still.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify<K: Deref<Target = VerifyingKey>>(
        &self,
        token: &str,
        published: impl Fn(&str) -> Option<K>,
    ) -> Result<Arc<SignedToken>, TokenError> {
        let digest = sha256(token.as_bytes());
        if let Some(known) = self.remembered.get(&digest) {
            published(&known.kid).ok_or(TokenError::UnknownKey)?;
            return Ok(known);
        }
        let verified = Arc::new(verify_access_token(token, &self.issuer, published)?);
        self.remembered.insert(digest, verified.clone());
        Ok(verified)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.issuer)
    }
}
