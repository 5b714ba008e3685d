//! Which proofs were used before, in memory: each is good for one request.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Proof;
use crate::clock::Timestamp;
use crate::oauth::dpop::LEEWAY;
use crate::secret::sha256;

/// How long a proof can be used at most, from the first time it is seen.
const LONGEST_USE: Duration = Duration::from_secs(2 * LEEWAY.as_secs() + 1);
/// Proofs remembered in one generation: what a table of 2^22 places holds, so that 30,000 a second fit in. Two generations
/// that are full are 76 MB.
const MOST_IN_GENERATION: usize = (1 << 22) / 8 * 7;

/// Proofs that were used at resource routes of this node, as digests: two generations, of which the older is forgotten
/// once nothing in it can be used any more. Other nodes do not know them: a guard that asked a database at each request
/// would cost more than it protects ([RFC 9449 §11.1](https://www.rfc-editor.org/rfc/rfc9449#section-11.1)).
pub struct UsedProofs {
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
pub enum Use {
    /// It is the first use.
    First,
    /// It was used before.
    Repeated,
    /// There is no room to remember it. Whatever was forgotten instead could be used again.
    NoRoom,
}

impl UsedProofs {
    /// An empty memory.
    pub fn new() -> Self {
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
    pub fn record(&self, proof: &Proof, now: Timestamp) -> Use {
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

impl Default for UsedProofs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for UsedProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsedProofs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);

    fn proof(jkt: &str, jti: &str) -> Proof {
        Proof { jkt: jkt.into(), jti: jti.into(), nonce: None, over_at: NOW + LONGEST_USE }
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
