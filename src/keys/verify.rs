//! Verification: one road for every use of a token. The algorithm is the key's, never the token's; claims are checked
//! here and against the `now` that the caller gives.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::KeyError;
use super::jwk::{PublicJwk, VerifyingKey};
use super::jws::{JwsError, UnverifiedJws};
use crate::clock::Timestamp;
use crate::oauth::TokenProfile;
use crate::oauth::claims::ReadClaims;
use crate::secret::sha256;

/// Nothing we issue is longer.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Verified tokens remembered by their digest, so that a token that comes again costs no second public-key operation.
const REMEMBERED_TOKENS: usize = 8_192;

/// Keys by `kid`, read from a JWKS document: what a service that verifies offline holds.
#[derive(Debug)]
pub struct JwksKeys(Vec<VerifyingKey>);

impl JwksKeys {
    /// Reads a JWK set. Keys that cannot be used are left out, as [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
    /// asks; so are those that name no `kid` or no `alg`, which all of ours do.
    ///
    /// # Errors
    /// When the document is not a JWK set.
    pub fn parse(document: &[u8]) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct JwkSet<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let set: JwkSet<'_> = serde_json::from_slice(document)
            .map_err(|error| KeyError::new(format!("the document is not a JWK set: {error}")))?;
        let usable = |json: &&RawValue| {
            let jwk = PublicJwk::parse(json.get().as_bytes()).ok()?;
            jwk.kid()?;
            jwk.verifying_key(jwk.named_algorithm()?).ok()
        };
        Ok(Self(set.keys.iter().filter_map(usable).collect()))
    }

    /// Whether there is no key that can be used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid() == Some(kid))
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
    /// Bound to a key, and shown without a proof of it.
    Bound,
    /// Not bound to a key, and shown with a proof of one.
    Unbound,
    /// Bound to another key than the one whose proof came with it.
    OtherKey,
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
            Self::Bound => f.write_str("The access token is bound to a key: send it as DPoP, with a proof."),
            Self::Unbound => f.write_str("The access token is not bound to a key: send it as Bearer."),
            Self::OtherKey => f.write_str("The DPoP proof's key is not the one that the access token is bound to."),
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
    /// A third party's JWT, whose signature was checked with that party's keys, as a token that says this.
    #[cfg(feature = "server")]
    pub fn of_third_party(claims: ReadClaims) -> Self {
        Self { claims, kid: Box::default() }
    }

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

impl From<JwsError> for TokenError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed => Self::Malformed,
            JwsError::Demanding | JwsError::Algorithm => Self::Algorithm,
            JwsError::Signature => Self::Signature,
        }
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
    let jws = UnverifiedJws::parse(token, LONGEST_TOKEN)?;
    let kid = jws.kid().ok_or(TokenError::UnknownKey)?;
    let key = find(kid).ok_or(TokenError::UnknownKey)?;
    let payload = jws.verify(&key)?;
    let is_access_token = |typ: &str| TokenProfile::ALL.iter().any(|profile| profile.typ().eq_ignore_ascii_case(typ));
    if !jws.typ().is_some_and(is_access_token) {
        return Err(TokenError::Type);
    }
    let claims: ReadClaims = serde_json::from_slice(payload).map_err(|_not_claims| TokenError::Malformed)?;
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
