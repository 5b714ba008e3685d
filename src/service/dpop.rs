//! What a server must know of DPoP proofs besides what stands in them: its own nonces, and which proofs were used before at
//! the token endpoint.

use super::authority::Authority;
use crate::clock::Timestamp;
use crate::db::AnyConnection;
use crate::db::used_jti::{self, Jti};
use crate::keys::dpop::{Proof, verify_proof};
use crate::oauth::claims::Confirmation;
use crate::oauth::dpop::{LEEWAY, ProofError, ProvenRequest};
use crate::oauth::metadata::path;
use crate::oauth::{Client, OAuthError};
use crate::secret::{KeyedHash, Pepper, Secret};

/// A nonce is good in the span it was made in and in the next: three to six minutes.
const NONCE_SPAN: i64 = 180;

/// Nonces that every node makes and knows without asking the others: a keyed hash of the present span of time
/// ([RFC 9449 §8](https://www.rfc-editor.org/rfc/rfc9449#section-8)).
#[derive(Debug)]
pub(super) struct Nonces(Pepper);

impl Nonces {
    pub(super) fn new(key: Pepper) -> Self {
        Self(key)
    }

    fn of_span(&self, span: i64) -> KeyedHash {
        self.0.hash(&Secret::new(span.to_string()))
    }

    /// What clients shall put into their next proofs.
    pub(super) fn current(&self, now: Timestamp) -> String {
        self.of_span(now.seconds().div_euclid(NONCE_SPAN)).to_text()
    }

    /// The span before counts too, and the one after: another node's clock may be ahead of ours.
    fn is_good(&self, nonce: &str, now: Timestamp) -> bool {
        let present = now.seconds().div_euclid(NONCE_SPAN);
        let good =
            |given: KeyedHash| [present - 1, present, present + 1].iter().any(|span| self.of_span(*span) == given);
        KeyedHash::from_text(nonce).is_some_and(good)
    }
}

/// The purpose under which proofs of the token endpoint stand in the database.
const PURPOSE: &str = "dpop";

/// Checks the proof of a token request, if there is one, before anything of the request is used up.
///
/// # Errors
/// `invalid_dpop_proof` and `use_dpop_nonce`.
pub(super) fn read(authority: &Authority, proof: Option<&str>, now: Timestamp) -> Result<Option<Proof>, OAuthError> {
    let Some(proof) = proof else { return Ok(None) };
    let url = format!("{}{}", authority.issuer(), path::TOKEN);
    let request = ProvenRequest { method: "POST", url: &url, access_token: None };
    let proof = verify_proof(proof, &request, now)?;
    check_nonce(authority.nonces.as_ref(), &proof, now)?;
    Ok(Some(proof))
}

/// The key to which the token of a request will be bound: that of its proof, if there is one
/// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)). A proof that was used before is refused on every
/// node, also after a restart.
///
/// # Errors
/// `invalid_dpop_proof`, also without a proof if the client must bind its tokens; `temporarily_unavailable` when it cannot
/// be known whether the proof was used before.
pub(super) async fn bind(
    authority: &Authority,
    client: &Client,
    proof: Option<Proof>,
) -> Result<Option<Confirmation>, OAuthError> {
    let Some(proof) = proof else {
        return if client.dpop_required { Err(ProofError::Missing.into()) } else { Ok(None) };
    };
    let confirmation = Confirmation { jkt: proof.jkt.clone() };
    // Another node's clock may be behind: there the proof is over later.
    let forget_at = proof.over_at + LEEWAY;
    let insert = move |conn: &mut AnyConnection| used_jti::record(conn, &proof.jkt, PURPOSE, &proof.jti, forget_at);
    let recorded = authority.directory.database().insert_off_thread(insert).await;
    match recorded.map_err(|error| OAuthError::unavailable(error.to_string()))? {
        Jti::Fresh => Ok(Some(confirmation)),
        Jti::Replayed => Err(ProofError::Replayed.into()),
    }
}

/// Checks a proof's nonce if this server demands one.
pub(super) fn check_nonce(nonces: Option<&Nonces>, proof: &Proof, now: Timestamp) -> Result<(), ProofError> {
    match nonces {
        Some(nonces) if !proof.nonce.as_ref().is_some_and(|nonce| nonces.is_good(nonce, now)) => Err(ProofError::Nonce),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
    const SPAN: Duration = Duration::from_secs(180);

    #[test]
    fn a_nonce_is_good_for_some_minutes_and_on_every_node() {
        let (here, there) = (Nonces::new(Pepper::new([1; 32])), Nonces::new(Pepper::new([1; 32])));
        let nonce = here.current(NOW);
        assert!(there.is_good(&nonce, NOW) && there.is_good(&nonce, NOW + SPAN));
        assert!(there.is_good(&nonce, NOW - SPAN), "a clock that is behind");
        assert!(!there.is_good(&nonce, NOW + SPAN * 2));
        assert_ne!(here.current(NOW + SPAN), nonce);
        assert!(!Nonces::new(Pepper::new([2; 32])).is_good(&nonce, NOW));
        assert!(!here.is_good("", NOW) && !here.is_good("1795305600", NOW));
    }
}
