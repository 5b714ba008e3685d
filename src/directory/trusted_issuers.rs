//! Trusted issuers in memory, by their `iss`: filled on a miss, forgotten when one changes. Who it is that they stand for
//! is asked anew each time, of the apps and of the members.

mod held;
mod owners;

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use self::owners::ApiOwner;
use self::owners::OWNERS_REMEMBERED;
use super::Directory;
use super::apps::LookupError;
use super::foreign_keys::SignatureError;
use super::remote_keys::{KeyPreview, RemoteSet, RemoteStatus};
use crate::clock::Timestamp;
pub use crate::db::members::LoginHolder;
use crate::db::trusted_issuers::{self, TrustedIssuerRecord};
pub use crate::db::trusted_issuers::{Meant, Sought};
use crate::db::{AnyConnection, Database, DbError, members};
use crate::keys::KeyError;
use crate::keys::budget::SignatureBudget;
use crate::keys::certificate::{
    CertificateAuthorities, ChainError, PinnedCertificates, PinnedError, RememberedChains, TrustedLeaf,
};
use crate::keys::jws::UnverifiedJws;
use crate::keys::key_set::{KeySetError, PublicKeys};
use crate::oauth::trust::{IssuerKeys, TrustError};

/// Members held, by organisation and login, those that there are not among them.
const MEMBERS_REMEMBERED: usize = 65_536;
/// Entries that are looked through for one request, where it is clear of which organisation: as many as one may have.
const MOST_OF_ONE: usize = 500;
/// Where it is not: the first of each organisation, then the second of each, and so on.
pub const MOST_OF_ALL: usize = 256;
/// Loads that ask the database at once, and those that may wait: the next is told to try later.
const LOADS_RUNNING: usize = 4;
const LOADS_WAITING: usize = 128;

/// A trusted issuer with its keys.
#[derive(Debug)]
pub struct TrustedIssuer {
    /// As it was registered.
    pub record: TrustedIssuerRecord,
    keys: Keys,
    /// What it takes in memory, in octets.
    weight: usize,
}

#[derive(Debug)]
enum Keys {
    Registered(PublicKeys),
    Remote(RemoteSet),
    Certificates(PinnedCertificates),
    Authorities {
        authorities: Arc<CertificateAuthorities>,
        /// Whether the common name of a signer counts among its names. The issuer's own authorities know whom they
        /// certify; those of the operating system certify everybody.
        counts_common_name: bool,
    },
    /// They were good when they were registered; a later program finds something wrong.
    Unusable(String),
}

impl TrustedIssuer {
    fn new(record: TrustedIssuerRecord, system: Option<&Arc<CertificateAuthorities>>) -> Self {
        let unusable = |error: KeyError| Keys::Unusable(error.to_string());
        let keys = match &record.policy.keys {
            IssuerKeys::Jwks(document) => {
                PublicKeys::registered(document.as_bytes()).map_or_else(unusable, Keys::Registered)
            }
            IssuerKeys::JwksUri(url) => Keys::Remote(RemoteSet::Url(url.clone())),
            IssuerKeys::Discovery => Keys::Remote(RemoteSet::OfIssuer(record.issuer.as_str().into())),
            IssuerKeys::Certificates(document) => {
                PinnedCertificates::read(document.as_bytes()).map_or_else(unusable, Keys::Certificates)
            }
            IssuerKeys::Authorities(document) => {
                CertificateAuthorities::read_with_lists(document.as_bytes()).map_or_else(unusable, |read| {
                    Keys::Authorities { authorities: Arc::new(read), counts_common_name: true }
                })
            }
            IssuerKeys::SystemAuthorities => system.map_or_else(
                || Keys::Unusable("the setting system-authorities names no authority any more".to_owned()),
                |system| Keys::Authorities { authorities: system.clone(), counts_common_name: false },
            ),
        };
        Self { weight: held::weight(&record), record, keys }
    }
}

/// The entries that trust one issuer.
pub type TrustingEntries = Arc<[Arc<TrustedIssuer>]>;

pub(super) struct TrustedIssuers {
    database: Database,
    chains: RememberedChains,
    parsed: Arc<held::Parsed>,
    /// By what is looked for, also what nobody has.
    lists: held::Lists,
    /// The active user of that login in an organisation.
    members: Cache<(Uuid, Arc<str>), Option<LoginHolder>>,
    /// Whose an API is, by its identifier.
    api_owners: Cache<Arc<str>, ApiOwner>,
    /// How many times something was forgotten: what was read from the database before the last time is not kept. Locked
    /// while something is forgotten or kept, so that neither happens in the middle of the other.
    generation: Mutex<u64>,
    admitted: Semaphore,
    running: Semaphore,
}

impl TrustedIssuers {
    pub(super) fn new(database: Database, system_authorities: Option<Arc<CertificateAuthorities>>) -> Self {
        Self {
            database,
            chains: RememberedChains::new(),
            parsed: Arc::new(held::Parsed::new(system_authorities)),
            lists: held::lists(),
            members: Cache::new(MEMBERS_REMEMBERED),
            api_owners: Cache::new(OWNERS_REMEMBERED),
            generation: Mutex::new(0),
            admitted: Semaphore::new(LOADS_RUNNING + LOADS_WAITING),
            running: Semaphore::new(LOADS_RUNNING),
        }
    }

    fn generation(&self) -> MutexGuard<'_, u64> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets who trusts whom. Issuers change so seldom, and those that are the same are not parsed again, that it does not
    /// matter which.
    pub(super) fn forget_issuers(&self) {
        let mut generation = self.generation();
        *generation += 1;
        self.lists.clear();
    }

    /// Forgets whose each API is.
    pub(super) fn forget_api_owners(&self) {
        let mut generation = self.generation();
        *generation += 1;
        self.api_owners.clear();
    }

    /// Forgets every member.
    pub(super) fn forget_members(&self) {
        let mut generation = self.generation();
        *generation += 1;
        self.members.clear();
    }

    /// What `cache` holds under `key`, or what one load for all who wait reads.
    async fn find<K: Clone + Eq + Hash, V: Clone + Send + 'static, W: Weighter<K, V> + Clone>(
        &self,
        cache: &Cache<K, V, W>,
        key: &K,
        read: impl FnOnce(&mut AnyConnection) -> Result<V, DbError> + Send + 'static,
    ) -> Result<V, LookupError> {
        let guard = match cache.get_value_or_guard_async(key).await {
            Ok(value) => return Ok(value),
            Err(guard) => guard,
        };
        let _admitted = self.admitted.try_acquire().map_err(|_all_taken| LookupError::Overloaded)?;
        let _running = self.running.acquire().await.map_err(|_closed| LookupError::Overloaded)?;
        let before = *self.generation();
        let read = self.database.read_off_thread(read).await;
        let value = read.map_err(|error| LookupError::Database(error.to_string()))?;
        let generation = self.generation();
        // What changed since the load began may not be in what was read: answer with it, but do not keep it.
        if *generation == before {
            let _forgotten_meanwhile = guard.insert(value.clone());
        }
        Ok(value)
    }
}

impl Directory {
    /// The enabled entries that are sought, not more than are looked through: the oldest of each organisation first. If none
    /// has the audience, a few that have another.
    ///
    /// # Errors
    /// When they are not in memory and the database does not answer, when too many loads wait, or when nothing was heard
    /// from the database for so long that memory may be wrong.
    pub async fn find_trusted_issuers(&self, sought: Sought) -> Result<TrustingEntries, LookupError> {
        if self.is_stale() {
            return Err(LookupError::Stale);
        }
        let issuers = &self.trusted_issuers;
        let read = {
            let (sought, parsed) = (sought.clone(), issuers.parsed.clone());
            move |conn: &mut AnyConnection| {
                let is_of_all = matches!(sought.meant, Meant::Anybody | Meant::Bearer);
                let limit = if is_of_all { MOST_OF_ALL } else { MOST_OF_ONE };
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let records = trusted_issuers::list_sought(conn, &sought, limit)?;
                Ok(records.into_iter().map(|record| parsed.of(record)).collect())
            }
        };
        issuers.find(&issuers.lists, &sought, read).await
    }

    /// The issuer with that record, ready to verify with.
    pub fn trusted_issuer(&self, record: TrustedIssuerRecord) -> Arc<TrustedIssuer> {
        self.trusted_issuers.parsed.of(record)
    }

    /// The user of that login in an organisation, if there is one who may do anything.
    ///
    /// # Errors
    /// As [`Self::find_trusted_issuers`].
    pub async fn find_login_holder(
        &self,
        organisation_id: Uuid,
        login: &str,
    ) -> Result<Option<LoginHolder>, LookupError> {
        if self.is_stale() {
            return Err(LookupError::Stale);
        }
        let issuers = &self.trusted_issuers;
        let key: (Uuid, Arc<str>) = (organisation_id, login.into());
        let login = key.1.clone();
        let read = move |conn: &mut AnyConnection| members::find_login_holder(conn, organisation_id, &login);
        issuers.find(&issuers.members, &key, read).await
    }

    /// Whether the issuer could have signed it, as far as that can be told without checking a signature.
    pub fn may_have_signed(&self, issuer: &TrustedIssuer, jws: &UnverifiedJws<'_>) -> bool {
        let is_allowed = issuer.record.policy.algorithms.iter().any(|algorithm| algorithm.name() == jws.alg());
        is_allowed
            && match &issuer.keys {
                Keys::Registered(keys) => keys.may_have_signed(jws),
                Keys::Remote(_) | Keys::Certificates(_) | Keys::Authorities { .. } | Keys::Unusable(_) => true,
            }
    }

    /// Verifies a JWS with the keys of a trusted issuer that are at hand; `None` where they must be fetched first.
    pub fn verify_at_hand(
        &self,
        issuer: &TrustedIssuer,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Option<Result<(), TrustError>> {
        let record = &issuer.record;
        if !record.policy.algorithms.iter().any(|algorithm| algorithm.name() == jws.alg()) {
            return Some(Err(TrustError::Algorithm));
        }
        match &issuer.keys {
            Keys::Registered(keys) => Some(keys.verify_within(budget, jws).map(drop).map_err(refused)),
            Keys::Remote(set) => {
                let remote = &self.foreign_keys.remote;
                let verified = remote.verify_at_hand(set, record.organisation_id, jws, now, budget);
                verified.map(|verified| verified.map_err(refused))
            }
            Keys::Certificates(pinned) => {
                Some(pinned.verify(jws, now, budget).map(drop).map_err(|error| refused_by_certificate(&error)))
            }
            Keys::Authorities { authorities, counts_common_name } => {
                let chains = &self.trusted_issuers.chains;
                let verified = chains.verify(authorities, jws, now, budget).map_err(refused_by_chain);
                let names = &record.policy.certificate_names;
                Some(verified.and_then(|(_, leaf)| check_names(names, &leaf, *counts_common_name)))
            }
            Keys::Unusable(reason) => Some(Err(TrustError::NoKeys(format!("its keys cannot be used: {reason}")))),
        }
    }

    /// Verifies a JWS with the keys of a trusted issuer, fetched anew if they may be.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn verify_fetched(
        &self,
        issuer: &TrustedIssuer,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(), TrustError> {
        let Keys::Remote(set) = &issuer.keys else {
            return self.verify_at_hand(issuer, jws, now, budget).unwrap_or(Err(TrustError::UnknownIssuer));
        };
        let organisation_id = issuer.record.organisation_id;
        let verified = self.foreign_keys.remote.verify_fetched(set, organisation_id, jws, now, budget).await;
        verified.map_err(|error| match error {
            SignatureError::Refused(error) => refused(error),
            SignatureError::NoKeys(reason) => TrustError::NoKeys(reason),
            SignatureError::Overloaded => TrustError::Unavailable(error.to_string()),
        })
    }

    /// Fetches the keys of an issuer that is not trusted yet, for whoever decides whether to: from where `keys` says, past
    /// the guard of everything that is fetched, and kept nowhere. `None` if they are in the entry itself.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn preview_keys(&self, issuer: &str, keys: &IssuerKeys) -> Result<Option<KeyPreview>, String> {
        match remote_set(keys, issuer) {
            Some(set) => self.foreign_keys.remote.preview(set).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same for a command, which has threads of its own to wait on. Blocks.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn preview_keys_now(&self, issuer: &str, keys: &IssuerKeys) -> Result<Option<KeyPreview>, String> {
        remote_set(keys, issuer).map(|set| self.foreign_keys.remote.preview_now(&set)).transpose()
    }

    /// What this node knows of the keys of an issuer with that record, if they are somewhere else.
    pub fn status_of_keys(&self, record: &TrustedIssuerRecord) -> Option<RemoteStatus> {
        remote_set(&record.policy.keys, &record.issuer).map(|set| self.foreign_keys.remote.status(&set))
    }
}

/// Where keys are fetched from.
fn remote_set(keys: &IssuerKeys, issuer: &str) -> Option<RemoteSet> {
    match keys {
        IssuerKeys::JwksUri(url) => Some(RemoteSet::Url(url.clone())),
        IssuerKeys::Discovery => Some(RemoteSet::OfIssuer(issuer.into())),
        _ => None,
    }
}

/// An authority vouches for many: only those whom the issuer named sign for it.
fn check_names(allowed: &[String], leaf: &TrustedLeaf, counts_common_name: bool) -> Result<(), TrustError> {
    let certificate = leaf.certificate();
    let is_allowed = |name: &String| certificate.names().contains(name, counts_common_name);
    if allowed.is_empty() || allowed.iter().any(is_allowed) {
        return Ok(());
    }
    Err(TrustError::Certificate(format!(
        "its certificate ({}) has none of the names that sign for this issuer",
        certificate.subject()
    )))
}

fn refused_by_certificate(error: &PinnedError) -> TrustError {
    match error {
        PinnedError::Spent => TrustError::Ambiguous,
        PinnedError::Refused(_) => TrustError::Signature(error.to_string()),
        PinnedError::AnotherCertificate | PinnedError::NotValid { .. } => TrustError::Certificate(error.to_string()),
    }
}

fn refused_by_chain(error: ChainError) -> TrustError {
    match error {
        ChainError::Spent => TrustError::Ambiguous,
        ChainError::Token(_) => TrustError::Signature(error.to_string()),
        other => TrustError::Certificate(other.to_string()),
    }
}

/// Tried with too many keys is as being for too many.
fn refused(error: KeySetError) -> TrustError {
    match error {
        KeySetError::Spent => TrustError::Ambiguous,
        error => TrustError::Signature(error.to_string()),
    }
}
