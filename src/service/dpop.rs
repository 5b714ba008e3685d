//! What a server must know of DPoP proofs besides what stands in them: its own nonces, and which proofs were used before.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::authority::Authority;
use crate::clock::Timestamp;
use crate::db::AnyConnection;
use crate::db::used_jti::{self, Jti};
use crate::keys::dpop::{Proof, verify_proof};
use crate::oauth::claims::Confirmation;
use crate::oauth::dpop::{LEEWAY, ProofError, ProvenRequest};
use crate::oauth::metadata::path;
use crate::oauth::{Client, OAuthError};
use crate::secret::{KeyedHash, Pepper, Secret, sha256};

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

/// How long a proof can be used at most, from the first time it is seen.
const LONGEST_USE: Duration = Duration::from_secs(2 * LEEWAY.as_secs() + 1);
/// Proofs remembered in one generation: what a table of 2^22 places holds, so that 30,000 a second fit in. Two generations
/// that are full are 76 MB.
const MOST_IN_GENERATION: usize = (1 << 22) / 8 * 7;

/// Proofs that were used at resource routes of this node, as digests: two generations, of which the older is forgotten
/// once nothing in it can be used any more. Other nodes do not know them: a guard that asked a database at each request
/// would cost more than it protects ([RFC 9449 §11.1](https://www.rfc-editor.org/rfc/rfc9449#section-11.1)).
pub(super) struct UsedProofs {
    generations: Mutex<Generations>,
    most: usize,
}

struct Generations {
    began_at: Timestamp,
    young: HashSet<u64>,
    old: HashSet<u64>,
}

/// Whether a proof may be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Use {
    First,
    Repeated,
    /// There is no room to remember it. Whatever was forgotten instead could be used again.
    NoRoom,
}

impl UsedProofs {
    pub(super) fn new() -> Self {
        Self::of_size(MOST_IN_GENERATION)
    }

    fn of_size(most: usize) -> Self {
        let generations = Generations { began_at: Timestamp::NEVER, young: HashSet::new(), old: HashSet::new() };
        Self { generations: Mutex::new(generations), most }
    }

    fn generations(&self, now: Timestamp) -> MutexGuard<'_, Generations> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= generations.began_at + LONGEST_USE {
            let aged = std::mem::take(&mut generations.young);
            // After twice that time, nothing that was young can be used either.
            generations.old = if now >= generations.began_at + LONGEST_USE * 2 { HashSet::new() } else { aged };
            generations.began_at = now;
        }
        // The clock was set back: the generation begins anew, and nothing is forgotten too early.
        generations.began_at = generations.began_at.min(now);
        generations
    }

    /// Remembers a proof.
    pub(super) fn record(&self, proof: &Proof, now: Timestamp) -> Use {
        // A thumbprint has always the same length, so no two pairs are the same text.
        let digest = sha256(&[proof.jkt.as_bytes(), proof.jti.as_bytes()].concat());
        // 64 bits are enough: among millions of proofs, one in 10^12 is refused because it looks like another.
        let (parts, _) = digest.as_chunks::<8>();
        let digest = parts.first().map_or(0, |part| u64::from_be_bytes(*part));
        let mut generations = self.generations(now);
        if generations.old.contains(&digest) || generations.young.contains(&digest) {
            Use::Repeated
        } else if generations.young.len() >= self.most {
            Use::NoRoom
        } else {
            generations.young.insert(digest);
            Use::First
        }
    }
}

impl fmt::Debug for UsedProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsedProofs")
    }
}

/// The purpose under which proofs of the token endpoint stand in the database.
const PURPOSE: &str = "dpop";

/// The key to which the token of a request will be bound: that of its proof, if there is one
/// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)). A proof that was used before is refused on every
/// node, also after a restart.
///
/// # Errors
/// `invalid_dpop_proof`, also without a proof if the client must bind its tokens; `use_dpop_nonce`;
/// `temporarily_unavailable` when it cannot be known whether the proof was used before.
pub(super) async fn bind(
    authority: &Authority,
    client: &Client,
    proof: Option<&str>,
    now: Timestamp,
) -> Result<Option<Confirmation>, OAuthError> {
    let Some(proof) = proof else {
        return if client.dpop_required { Err(ProofError::Missing.into()) } else { Ok(None) };
    };
    let url = format!("{}{}", authority.issuer(), path::TOKEN);
    let request = ProvenRequest { method: "POST", url: &url, access_token: None };
    let proof = verify_proof(proof, &request, now)?;
    check_nonce(authority.nonces.as_ref(), &proof, now)?;
    let confirmation = Confirmation { jkt: proof.jkt.clone() };
    let insert = move |conn: &mut AnyConnection| used_jti::record(conn, &proof.jkt, PURPOSE, &proof.jti, proof.over_at);
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
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
    const SPAN: Duration = Duration::from_secs(180);

    fn proof(jkt: &str, jti: &str) -> Proof {
        Proof { jkt: jkt.into(), jti: jti.into(), nonce: None, over_at: NOW + LONGEST_USE }
    }

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

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_could_be_used() {
        let used = UsedProofs::new();
        assert_eq!(used.record(&proof("a", "1"), NOW), Use::First);
        assert_eq!(used.record(&proof("b", "1"), NOW), Use::First, "another key's");
        assert_eq!(used.record(&proof("a", "2"), NOW + Duration::from_secs(100)), Use::First);
        for later in [0, 1, 120, 121] {
            let then = NOW + Duration::from_secs(later);
            assert_eq!(used.record(&proof("a", "1"), then), Use::Repeated, "{later}");
        }
        assert_eq!(used.record(&proof("a", "2"), NOW + Duration::from_secs(220)), Use::Repeated);
        assert_eq!(used.record(&proof("a", "1"), NOW + Duration::from_secs(600)), Use::First, "long over");
    }

    #[test]
    fn a_clock_set_back_forgets_nothing() {
        let used = UsedProofs::new();
        assert_eq!(used.record(&proof("a", "1"), NOW), Use::First);
        let back = NOW - Duration::from_secs(3_600);
        assert_eq!(used.record(&proof("a", "1"), back), Use::Repeated);
        assert_eq!(used.record(&proof("a", "1"), back + LONGEST_USE), Use::Repeated);
        assert_eq!(used.record(&proof("a", "1"), back + LONGEST_USE * 4), Use::First, "time goes on from there");
    }

    #[test]
    fn a_flood_pushes_nothing_out() {
        let used = UsedProofs::of_size(2);
        assert_eq!(used.record(&proof("a", "1"), NOW), Use::First);
        assert_eq!(used.record(&proof("a", "2"), NOW), Use::First);
        assert_eq!(used.record(&proof("a", "3"), NOW), Use::NoRoom);
        assert_eq!(used.record(&proof("a", "1"), NOW), Use::Repeated);
        assert_eq!(used.record(&proof("a", "3"), NOW + LONGEST_USE), Use::First, "later there is room again");
    }
}
