//! What the token road and the guard need: the running authorization server.

use std::net::IpAddr;
use std::sync::Arc;

use super::attempts::Attempts;
use super::dpop::Nonces;
use super::exports::Exports;
use super::mail::Mailer;
use super::revocation_feed::LastFeed;
use super::slow_hashes::SlowHashes;
use super::system::ChoreRuns;
use super::system_authorities;
use super::throttle::Throttle;
use super::trust_counts::TrustCounts;
use super::trusted_issuers::LatestOutlook;
use super::usage::Usage;
use super::{Management, ServiceError, signing_keys};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Database;
use crate::directory::providers::Provider;
use crate::directory::{Bounds, Directory};
use crate::keys::certificate::CertificateAuthorities;
use crate::keys::dpop::UsedProofs;
use crate::keys::key_set::PublicKeys;
use crate::keys::passkeys::RelyingParty;
use crate::keys::verify::Verifier;
use crate::secret::Pepper;

/// Who sends a request, as far as the walks care.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The address, from the connection or from a trusted proxy.
    pub address: IpAddr,
    /// Read once for the whole request.
    pub now: Timestamp,
}

/// A running authorization server.
#[derive(Debug)]
pub struct Authority {
    /// The hot view.
    pub directory: Arc<Directory>,
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When it was opened.
    pub started_at: Timestamp,
    /// What was last done by itself.
    pub chores: ChoreRuns,
    /// Counts that wait to be written.
    pub usage: Usage,
    /// The same of third parties' JWTs.
    pub trust_counts: TrustCounts,
    /// When the certificates of trusted issuers end.
    pub certificates: LatestOutlook,
    /// The memory, for what apps change through the management API.
    pub management: Management,
    /// Present if the settings name a mail server.
    pub(super) mailer: Option<Mailer>,
    pub(super) verifier: Verifier,
    pub(super) throttle: Throttle,
    pub(super) slow_hashes: SlowHashes,
    pub(super) attempts: Attempts,
    pub(super) exports: Exports,
    /// Present if people can have passkeys here.
    pub(super) relying_party: Option<Box<RelyingParty>>,
    /// In the order of the setting.
    pub(super) sign_in_providers: Vec<Provider>,
    pub(super) feed: LastFeed,
    pub(super) pepper: Pepper,
    /// Nobody's keys, to verify with where there are none.
    pub(super) decoys: PublicKeys,
    /// Present if DPoP proofs must hold a nonce.
    pub(super) nonces: Option<Nonces>,
    pub(super) used_proofs: UsedProofs,
}

/// What the settings say of the hot view.
pub(super) fn bounds(config: &Config, system_authorities: Option<Arc<CertificateAuthorities>>) -> Bounds {
    Bounds {
        apps: config.app_cache,
        stale_limit: config.stale_limit,
        outbound_allow_private: config.outbound_allow_private,
        system_authorities,
    }
}

impl Authority {
    /// Makes the first signing keys if there are none, and opens the hot view.
    ///
    /// # Errors
    /// When the database does not answer, a signing key cannot be opened, or an authority that the settings name is not
    /// there.
    pub fn open(m: &Management) -> Result<Self, ServiceError> {
        signing_keys::advance(m)?;
        let config = m.config.clone();
        let directory = open_directory(m)?;
        Ok(Self {
            directory: Arc::new(directory),
            clock: m.clock.clone(),
            started_at: m.clock.now(),
            chores: ChoreRuns::default(),
            usage: Usage::default(),
            trust_counts: TrustCounts::default(),
            certificates: LatestOutlook::default(),
            verifier: Verifier::new(&config.issuer),
            throttle: Throttle::new(config.throttle_failures),
            slow_hashes: SlowHashes::new()?,
            attempts: Attempts::new(config.throttle_sign_ins),
            exports: Exports::default(),
            relying_party: RelyingParty::new(&config.issuer).map(Box::new),
            sign_in_providers: config
                .sign_in_providers
                .iter()
                .map(|setting| Provider::new(&setting.issuer, config.outbound_allow_private))
                .collect(),
            feed: LastFeed::default(),
            pepper: m.pepper.clone(),
            mailer: Mailer::start(m)?,
            management: m.clone(),
            decoys: PublicKeys::decoys()?,
            nonces: config.dpop_nonce.then(|| m.master_key.nonce_key().map(Nonces::new)).transpose()?,
            used_proofs: UsedProofs::new(),
            config,
        })
    }

    /// The nonce that DPoP proofs must hold, if this server demands one.
    pub fn dpop_nonce(&self, now: Timestamp) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.current(now))
    }

    /// Runs a walk of `m` that changes nothing, away from the threads that answer requests.
    ///
    /// # Errors
    /// What `walk` returns, or `Unavailable`.
    pub async fn look<T: Send + 'static>(
        &self,
        m: Management,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.directory.database().browse_off_thread(move |_| walk(&m)).await
    }

    /// Runs a walk of `m` that changes the memory, away from the threads that answer requests. When it returns, this node
    /// answers by the new state; other nodes do within a second.
    ///
    /// # Errors
    /// What `walk` returns, or `Unavailable`.
    pub async fn change<T: Send + 'static>(
        &self,
        m: Management,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let directory = self.directory.clone();
        let work = move |_: &Database| {
            let done = walk(&m)?;
            if let Err(error) = directory.catch_up(m.now()) {
                log::warn!(error:%; "a change was made but is not known here yet; it will be within a second");
            }
            Ok(done)
        };
        self.directory.database().write_off_thread(work).await
    }

    /// Whether links are mailed; otherwise they are shown.
    pub fn sends_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// The issuer, byte for byte.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }
}

/// Opens the hot view alone: for a command that asks what the server would say, and changes nothing.
///
/// # Errors
/// When the database does not answer, a signing key cannot be opened, or an authority that the settings name is not there.
pub fn open_directory(m: &Management) -> Result<Directory, ServiceError> {
    let config = &m.config;
    let bounds = bounds(config, system_authorities::read(config)?);
    let (database, master_key) = (m.database.clone(), m.master_key.clone());
    Ok(Directory::open(database, master_key, &config.issuer, config.key_life, bounds, m.clock.now())?)
}
