//! Chains that held, for as long as their certificates are valid: a signer sends the same one with each token.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::CertificateAuthorities;
use super::chain::{ChainError, TrustedLeaf};
use crate::clock::Timestamp;
use crate::keys::budget::SignatureBudget;
use crate::keys::jws::UnverifiedJws;
use crate::secret::sha256;

/// A chain for each signer of each issuer; the least used one goes when there are more.
const MOST_CHAINS: usize = 10_000;

/// Chains that held. They are kept under the digest of `x5c` and of the set of CAs: after a change of the set, whatever
/// it was, nothing that is remembered is found any more.
pub struct RememberedChains(Cache<[u8; 32], Arc<TrustedLeaf>>);

impl fmt::Debug for RememberedChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RememberedChains({})", self.0.len())
    }
}

impl Default for RememberedChains {
    fn default() -> Self {
        Self::new()
    }
}

impl RememberedChains {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self(Cache::new(MOST_CHAINS))
    }

    /// As [`CertificateAuthorities::verify`]. A chain is remembered only once it verified a token: whoever just sends
    /// certificates of others pushes nothing out.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify<'j>(
        &self,
        authorities: &CertificateAuthorities,
        jws: &'j UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(&'j [u8], Arc<TrustedLeaf>), ChainError> {
        let x5c = jws.x5c().ok_or(ChainError::NoChain)?;
        // The header that must fit the chain is part of what was checked.
        let named = jws.x5t_s256().unwrap_or_default();
        let parts = [authorities.digest, sha256(x5c.as_bytes()), sha256(named.as_bytes())];
        let digest = sha256(&parts.concat());
        if let Some(leaf) = self.0.get(&digest).filter(|leaf| leaf.is_valid_at(now)) {
            return leaf.verify(jws, budget).map(|payload| (payload, leaf));
        }
        let leaf = Arc::new(authorities.trusted_leaf(jws, now, budget)?);
        let payload = leaf.verify(jws, budget)?;
        self.0.insert(digest, Arc::clone(&leaf));
        Ok((payload, leaf))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::date_time_ymd;

    use super::*;
    use crate::keys::certificate::samples::*;
    use crate::keys::jws::JwsError;

    #[test]
    fn a_remembered_chain_lasts_until_it_ends_or_the_set_of_cas_changes() {
        let root = self_signed(authority("root"));
        let only_root = trusting(&[&root]);
        let leaf = root.issue(with(signer(), |params| params.not_after = date_time_ymd(2027, 3, 1)));
        let chains = RememberedChains::new();
        let jws = leaf.sign(&[&leaf]);
        let verify = |authorities: &CertificateAuthorities, now| {
            chains
                .verify(authorities, &parse(&jws), now, &ample())
                .map(|(payload, leaf)| (payload.to_vec(), leaf))
                .map_err(said)
        };
        let (_, first) = verify(&only_root, NOW).unwrap();
        let (payload, second) = verify(&only_root, NOW).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &second), "checked once");
        assert_eq!(payload, b"{}");
        assert!(verify(&only_root, NOW + YEAR / 4).unwrap_err().contains("expired on 2027-03-01"));
        assert!(verify(&only_root, NOW - YEAR * 2).unwrap_err().contains("is not valid before"));
        let other = trusting(&[&self_signed(authority("other"))]);
        assert_eq!(verify(&other, NOW).unwrap_err(), "the chain leads to no CA of this issuer", "the CA was taken out");

        let thief = self_signed(signer()).sign(&[&leaf]);
        let refusal = chains.verify(&only_root, &parse(&thief), NOW, &ample()).map(|_| ()).unwrap_err();
        assert_eq!(refusal, ChainError::Token(JwsError::Signature));
    }
}
