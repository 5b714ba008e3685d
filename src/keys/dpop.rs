//! DPoP proofs ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)): signature and claims, and whether who shows a token
//! holds the key that it is bound to. All that a service without a database needs, but for remembering the proofs it saw.

mod used;

use std::fmt;

pub use self::used::{Use, UsedProofs};
use super::jwk::PublicJwk;
use super::jws::{JwsError, UnverifiedJws};
use super::verify::TokenError;
use crate::clock::Timestamp;
use crate::oauth::SigningAlgorithm;
use crate::oauth::claims::Confirmation;
use crate::oauth::dpop::{ALGORITHMS, LONGEST_PROOF, ProofClaims, ProofError, ProvenRequest, TYP};

/// A proof whose signature and claims hold. Whether it was used before, and its nonce, are the caller's next step.
#[derive(Debug)]
pub struct Proof {
    /// The RFC 7638 thumbprint of the key that signed it.
    pub jkt: Box<str>,
    /// Its id: with the same key, no other proof may have it.
    pub jti: Box<str>,
    /// What the server gave in `DPoP-Nonce`, as the client says.
    pub nonce: Option<Box<str>>,
    /// From this moment on it is refused for its age, and may be forgotten.
    pub over_at: Timestamp,
}

/// Checks a proof in every way that needs no memory ([RFC 9449 §4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3)).
///
/// # Errors
/// The first check that failed.
pub fn verify_proof(proof: &str, request: &ProvenRequest<'_>, now: Timestamp) -> Result<Proof, ProofError> {
    let jws = UnverifiedJws::parse(proof, LONGEST_PROOF).map_err(|_unreadable| ProofError::Malformed)?;
    if jws.typ() != Some(TYP) {
        return Err(ProofError::Type);
    }
    let algorithm = SigningAlgorithm::from_name(jws.alg()).filter(|algorithm| ALGORITHMS.contains(algorithm));
    let algorithm = algorithm.ok_or(ProofError::Algorithm)?;
    let jwk = jws.jwk().and_then(|json| PublicJwk::parse(json.as_bytes()).ok()).ok_or(ProofError::Key)?;
    let key = jwk.verifying_key(algorithm).map_err(|_other_kind| ProofError::Algorithm)?;
    let payload = jws.verify(&key).map_err(|error| match error {
        JwsError::Signature => ProofError::Signature,
        JwsError::Algorithm => ProofError::Algorithm,
        JwsError::Malformed | JwsError::Demanding => ProofError::Malformed,
    })?;
    // A list of values would be taken for the members in their order.
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(ProofError::Claims);
    }
    let claims: ProofClaims = serde_json::from_slice(payload).map_err(|_not_claims| ProofError::Claims)?;
    claims.check(request, now)?;
    let over_at = claims.over_at();
    Ok(Proof { jkt: jwk.thumbprint().into(), jti: claims.jti, nonce: claims.nonce, over_at })
}

/// How an access token was shown.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// By the scheme `Bearer`: whoever has it may use it.
    Bearer,
    /// By the scheme `DPoP`: with this proof, for this request, which names the token.
    WithProof(&'a str, ProvenRequest<'a>),
}

/// Without the proof, which its request may still need.
impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::WithProof(_, request) => write!(f, "WithProof([redacted], {request:?})"),
        }
    }
}

/// Why a token must not be used by whoever showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingError {
    /// Token and scheme, or token and key, do not belong together.
    Token(TokenError),
    /// The proof is not good.
    Proof(ProofError),
}

/// Whether a token's `cnf` allows it to be shown like this: a bound token only with a proof of its key, another only as a
/// bearer token ([RFC 9449 §7](https://www.rfc-editor.org/rfc/rfc9449#section-7)). The proof, if there was one.
///
/// # Errors
/// The first check that failed.
pub fn check_binding(
    confirmation: Option<&Confirmation>,
    shown: &Shown<'_>,
    now: Timestamp,
) -> Result<Option<Proof>, BindingError> {
    match (confirmation, shown) {
        (None, Shown::Bearer) => Ok(None),
        (None, Shown::WithProof(..)) => Err(BindingError::Token(TokenError::Unbound)),
        (Some(_), Shown::Bearer) => Err(BindingError::Token(TokenError::Bound)),
        (Some(bound_to), Shown::WithProof(proof, request)) => {
            let proof = verify_proof(proof, request, now).map_err(BindingError::Proof)?;
            if proof.jkt == bound_to.jkt { Ok(Some(proof)) } else { Err(BindingError::Token(TokenError::OtherKey)) }
        }
    }
}
