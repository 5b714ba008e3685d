//! Trusted issuers in memory: each parsed once, however many lists it stands in, and no more of them than fit into a few octets.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::{TrustedIssuer, TrustingEntries};
use crate::db::trusted_issuers::{Sought, TrustedIssuerRecord};
use crate::keys::certificate::CertificateAuthorities;
use crate::oauth::ClientId;
use crate::oauth::trust::IssuerKeys;

/// What lists may weigh in all, in octets: whoever trusts issuers with many keys pushes out lists, not the process.
const LISTS_WEIGH: u64 = 64 * 1024 * 1024;
/// What parsed issuers may weigh besides those that stand in lists.
const ISSUERS_WEIGH: u64 = 32 * 1024 * 1024;
/// What is about in each: only a guess, from which tables are made.
const LISTS_GUESSED: usize = 16_384;
/// In how many parts each is divided: a part takes nothing that weighs more than it.
const PARTS: usize = 2;
/// Of what has no length that counts, in octets.
const AT_LEAST: usize = 1_024;
/// How many octets a parsed key takes for each octet that was written.
const PARSED: usize = 16;

pub(super) type Lists = Cache<Sought, TrustingEntries, Weights>;
type Issuers = Cache<ClientId, Arc<TrustedIssuer>, Weights>;

/// How much of memory something takes, about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights;

impl Weighter<Sought, TrustingEntries> for Weights {
    fn weight(&self, sought: &Sought, entries: &TrustingEntries) -> u64 {
        let audiences: usize =
            sought.audiences.iter().flat_map(|each| each.iter()).map(|audience| audience.len()).sum();
        let issuers: usize = entries.iter().map(|entry| entry.weight).sum();
        octets(AT_LEAST + sought.issuer.len() + audiences + issuers)
    }
}

impl Weighter<ClientId, Arc<TrustedIssuer>> for Weights {
    fn weight(&self, _: &ClientId, issuer: &Arc<TrustedIssuer>) -> u64 {
        octets(issuer.weight)
    }
}

fn octets(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A cache that may weigh so much.
fn cache<K: Eq + std::hash::Hash, V: Clone>(weight: u64) -> Cache<K, V, Weights>
where
    Weights: Weighter<K, V>,
{
    let mut options = OptionsBuilder::new();
    options.shards(PARTS).estimated_items_capacity(LISTS_GUESSED).weight_capacity(weight);
    match options.build() {
        Ok(options) => {
            Cache::with_options(options, Weights, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        Err(_incomplete) => Cache::with_weighter(LISTS_GUESSED, weight, Weights),
    }
}

pub(super) fn lists() -> Lists {
    cache(LISTS_WEIGH)
}

/// The issuers that were parsed.
pub(super) struct Parsed {
    issuers: Issuers,
    /// Those of the operating system that the operator named.
    system_authorities: Option<Arc<CertificateAuthorities>>,
}

impl Parsed {
    pub(super) fn new(system_authorities: Option<Arc<CertificateAuthorities>>) -> Self {
        Self { issuers: cache(ISSUERS_WEIGH), system_authorities }
    }

    /// The issuer with that record, parsed at most once: as long as it is remembered and the record is the same.
    pub(super) fn of(&self, record: TrustedIssuerRecord) -> Arc<TrustedIssuer> {
        if let Some(same) = self.issuers.get(&record.id).filter(|parsed| parsed.record == record) {
            return same;
        }
        let issuer = Arc::new(TrustedIssuer::new(record, self.system_authorities.as_ref()));
        self.issuers.insert(issuer.record.id, issuer.clone());
        issuer
    }
}

/// What an issuer takes in memory, about.
pub(super) fn weight(record: &TrustedIssuerRecord) -> usize {
    let keys = match &record.policy.keys {
        IssuerKeys::Certificates(document) | IssuerKeys::Authorities(document) | IssuerKeys::Jwks(document) => {
            document.len() * PARSED
        }
        IssuerKeys::JwksUri(_) | IssuerKeys::SystemAuthorities | IssuerKeys::Discovery => 0,
    };
    let policy = serde_json::to_string(&record.policy).map_or(0, |json| json.len());
    AT_LEAST + policy * 2 + keys + record.scopes.len() * 64
}
