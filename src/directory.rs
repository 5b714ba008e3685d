//! The hot view: what the token road and the guard read. It answers from memory, loads on a miss, and hears of every
//! change through the change table, whoever made it.

mod apps;
mod changes;
mod fetch_permits;
mod foreign_keys;
pub mod outbound;
pub mod providers;
mod remote_keys;
mod revocations;
mod signing_keys;
pub mod trusted_issuers;

use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use self::apps::Apps;
pub use self::apps::LookupError;
use self::changes::Heard;
pub use self::changes::Tail;
use self::foreign_keys::ForeignKeys;
pub use self::foreign_keys::SignatureError;
pub use self::remote_keys::{KeyPreview, RemoteStatus};
pub use self::revocations::RevocationList;
use self::revocations::Revocations;
pub use self::signing_keys::dates as signing_key_dates;
use self::trusted_issuers::TrustedIssuers;
use crate::clock::Timestamp;
use crate::config::KeyLife;
use crate::db::{Database, DbError, apis};
use crate::keys::KeyError;
use crate::keys::certificate::CertificateAuthorities;
use crate::keys::envelope::MasterKey;
use crate::keys::ring::KeyRing;
use crate::oauth::metadata::path;
use crate::oauth::{Api, Client, ClientId};

/// Why the hot view cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The database does not answer.
    Db(DbError),
    /// A signing key cannot be opened.
    Key(KeyError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// How large the view may grow, how old it may get, and who vouches for others in it.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Apps held in memory.
    pub apps: usize,
    /// How long to answer without having heard from the database.
    pub stale_limit: Duration,
    /// Whether keys may be fetched from private addresses.
    pub outbound_allow_private: bool,
    /// The certificate authorities of the operating system that the operator named.
    pub system_authorities: Option<Arc<CertificateAuthorities>>,
}

/// Apps, signing keys and what is revoked, in memory.
pub struct Directory {
    database: Database,
    master_key: Arc<MasterKey>,
    apps: Arc<Apps>,
    foreign_keys: ForeignKeys,
    trusted_issuers: TrustedIssuers,
    revocations: Revocations,
    ring: KeyRing,
    /// The last change that was taken in.
    seq: AtomicI64,
    heard: Heard,
    /// Held by whoever takes something in: a list read before a change must not be put in place after it.
    taking_in: Mutex<()>,
    stale_limit: Duration,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Directory {
    /// Loads keys and revocations; apps come as they are asked for.
    ///
    /// # Errors
    /// When the database does not answer or a signing key cannot be opened.
    pub fn open(
        database: Database,
        master_key: Arc<MasterKey>,
        issuer: &str,
        life: KeyLife,
        bounds: Bounds,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let hour = now.hour();
        let (keys, revoked, cut_offs, (_, seq), management) = database.read(|conn| {
            Ok((
                crate::db::signing_keys::list(conn)?,
                crate::db::revocations::list(conn, hour)?,
                crate::db::cut_offs::list(conn, hour)?,
                crate::db::changes::span(conn)?,
                apis::find(conn, apis::MANAGEMENT_API)?,
            ))
        })?;
        let management =
            management.ok_or_else(|| DbError::Schema("Brevet's own API is not in the database".to_owned()))?;
        let management =
            Arc::new(Api { identifier: format!("{issuer}{}", path::API).into(), ..management.for_tokens() });
        let ring = KeyRing::new(signing_keys::open_all(&keys, &master_key)?, life, now)?;
        Ok(Self {
            apps: Arc::new(Apps::new(database.clone(), management, bounds.apps)),
            foreign_keys: ForeignKeys::new(bounds.outbound_allow_private),
            trusted_issuers: TrustedIssuers::new(database.clone(), bounds.system_authorities),
            revocations: Revocations::new(revoked, cut_offs),
            ring,
            seq: AtomicI64::new(seq),
            heard: Heard::now(),
            taking_in: Mutex::new(()),
            stale_limit: bounds.stale_limit,
            master_key,
            database,
        })
    }

    /// The client of that id: from memory, or loaded once for all who wait. `None` if there is none.
    ///
    /// # Errors
    /// When it is not in memory and the database does not answer, when too many loads wait, or when nothing was heard
    /// from the database for so long that memory may be wrong.
    pub async fn find_client(&self, client_id: ClientId) -> Result<Option<Arc<Client>>, LookupError> {
        if self.is_stale() {
            return Err(LookupError::Stale);
        }
        self.apps.find(client_id).await
    }

    /// Whether a token was revoked.
    pub fn is_revoked(&self, jti: &str) -> bool {
        self.revocations.contains(jti)
    }

    /// Tokens of that client whose `iat` is earlier are dead: the latest of all cut-offs that concern it.
    pub fn cut_off(&self, client: &Client) -> Timestamp {
        client.cut_off().max(self.revocations.all_not_before())
    }

    /// Everything revoked that still matters at that moment.
    pub fn revocation_list(&self, at: Timestamp) -> RevocationList {
        self.revocations.list(at)
    }

    /// A number that becomes another one when something is revoked or forgotten.
    pub fn watch_revocations(&self) -> watch::Receiver<u64> {
        self.revocations.watch()
    }

    /// Brevet's own API.
    pub fn management_api(&self) -> &Arc<Api> {
        self.apps.management()
    }

    /// The signing keys.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// The database behind the view.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Apps held in memory, for metrics.
    pub fn apps_held(&self) -> usize {
        self.apps.held()
    }

    /// Whether nothing was heard from the database for longer than the setting `stale-limit`: then an app disabled
    /// since would still be served, so nothing is.
    pub fn is_stale(&self) -> bool {
        self.heard.elapsed() > self.stale_limit
    }
}
