//! Apps in memory: a bounded cache, filled on a miss by one load that all who wait share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::db::apps::AppForTokens;
use crate::db::trusted_issuers::TrustedIssuerRecord;
use crate::db::{AnyConnection, Database, DbError, apis, apps, organisations, trusted_issuers};
use crate::oauth::client::{ClientAuthentication, GrantedScope, Organisation};
use crate::oauth::{Api, Client, ClientId};

/// Ids that nobody has: remembered apart, so that guesses do not push out real apps.
const UNKNOWN_REMEMBERED: usize = 4_096;
/// Organisations and APIs, shared by the apps that point to them.
const SHARED_REMEMBERED: usize = 10_000;
/// Loads that ask the database at once: each takes a thread and a connection.
const LOADS_RUNNING: usize = 8;
/// Loads that may wait for that; the next is told to try later.
const LOADS_WAITING: usize = 256;

/// Why a client could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupError {
    /// The database does not answer, or answers nonsense.
    Database(String),
    /// Too many loads are under way.
    Overloaded,
    /// Nothing was heard from the database for too long.
    Stale,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(detail) => f.write_str(detail),
            Self::Overloaded => f.write_str("too many apps are being loaded at once"),
            Self::Stale => f.write_str("nothing was heard from the database for longer than stale-limit"),
        }
    }
}

pub(super) struct Apps {
    database: Database,
    known: Cache<ClientId, Arc<Client>>,
    unknown: Cache<ClientId, ()>,
    organisations: Cache<Uuid, Arc<Organisation>>,
    apis: Cache<Uuid, Arc<Api>>,
    management: Arc<Api>,
    /// How many times something was forgotten. What was read from the database before the last time is not kept.
    generation: AtomicU64,
    /// Held while something is forgotten or kept, so that neither happens in the middle of the other.
    keeping: Mutex<()>,
    admitted: Semaphore,
    running: Semaphore,
}

/// What one load read that was not in memory.
struct Loaded {
    client: Arc<Client>,
    organisation: Option<Arc<Organisation>>,
    apis: Vec<Arc<Api>>,
}

/// What a client shares with others, and what of it was not in memory.
struct Shared {
    organisation: Arc<Organisation>,
    granted: Box<[GrantedScope]>,
    new_organisation: Option<Arc<Organisation>>,
    new_apis: Vec<Arc<Api>>,
}

impl Apps {
    pub(super) fn new(database: Database, management: Arc<Api>, capacity: usize) -> Self {
        Self {
            database,
            known: Cache::new(capacity),
            unknown: Cache::new(UNKNOWN_REMEMBERED),
            organisations: Cache::new(SHARED_REMEMBERED),
            apis: Cache::new(SHARED_REMEMBERED),
            management,
            generation: AtomicU64::new(0),
            keeping: Mutex::new(()),
            admitted: Semaphore::new(LOADS_RUNNING + LOADS_WAITING),
            running: Semaphore::new(LOADS_RUNNING),
        }
    }

    pub(super) fn management(&self) -> &Arc<Api> {
        &self.management
    }

    pub(super) fn held(&self) -> usize {
        self.known.len()
    }

    pub(super) async fn find(self: &Arc<Self>, client_id: ClientId) -> Result<Option<Arc<Client>>, LookupError> {
        if let Some(client) = self.known.get(&client_id) {
            return Ok(Some(client));
        }
        if self.unknown.get(&client_id).is_some() {
            return Ok(None);
        }
        let guard = match self.known.get_value_or_guard_async(&client_id).await {
            Ok(client) => return Ok(Some(client)),
            Err(guard) => guard,
        };
        // Somebody else's load has just found that there is none.
        if self.unknown.get(&client_id).is_some() {
            return Ok(None);
        }
        let _admitted = self.admitted.try_acquire().map_err(|_all_taken| LookupError::Overloaded)?;
        let _running = self.running.acquire().await.map_err(|_closed| LookupError::Overloaded)?;
        let generation = self.generation.load(Ordering::SeqCst);
        let apps = self.clone();
        let loaded = self
            .database
            .read_off_thread(move |conn| apps.read(conn, client_id))
            .await
            .map_err(|error| LookupError::Database(error.to_string()))?;
        let _keeping = self.keeping();
        // What changed since the load began may not be in what was read: answer with it, but do not keep it. Whoever
        // waited for this load then loads anew.
        let keep = self.generation.load(Ordering::SeqCst) == generation;
        match loaded {
            Some(loaded) if keep => {
                if let Some(organisation) = loaded.organisation {
                    self.organisations.insert(organisation.id, organisation);
                }
                for api in loaded.apis {
                    self.apis.insert(api.id, api);
                }
                let _forgotten_meanwhile = guard.insert(loaded.client.clone());
                Ok(Some(loaded.client))
            }
            Some(loaded) => Ok(Some(loaded.client)),
            None => {
                if keep {
                    self.unknown.insert(client_id, ());
                }
                Ok(None)
            }
        }
    }

    fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what changed. A load that began before `forget` was done is not kept.
    pub(super) fn forget_with(&self, forget: impl FnOnce(&Self)) {
        let _keeping = self.keeping();
        forget(self);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn read(&self, conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<Loaded>, DbError> {
        if let Some(found) = apps::find_for_tokens(conn, client_id)? {
            return self.read_app(conn, found).map(Some);
        }
        match trusted_issuers::find(conn, client_id)? {
            Some(issuer) if issuer.app.is_none() => self.read_issuer(conn, issuer).map(Some),
            _ => Ok(None),
        }
    }

    fn read_app(&self, conn: &mut AnyConnection, found: AppForTokens) -> Result<Loaded, DbError> {
        let app = found.record;
        let shared = self.read_shared(conn, app.client_id, app.organisation_id, &app.scopes)?;
        let client = Client {
            client_id: app.client_id,
            name: app.name.into(),
            organisation: shared.organisation,
            enabled: app.disabled_at.is_none(),
            not_before: app.not_before,
            lifetime: app.lifetime,
            dpop_required: app.dpop_required,
            allowed_networks: app.allowed_networks,
            token_exchange: app.token_exchange,
            granted: shared.granted,
            authentication: app.authentication,
            secrets: found.secrets.into(),
            claims: app.claims.map(Box::new),
        };
        Ok(Loaded { client: Arc::new(client), organisation: shared.new_organisation, apis: shared.new_apis })
    }

    /// A trusted issuer is itself the client of what is issued to the users whom it names.
    fn read_issuer(&self, conn: &mut AnyConnection, issuer: TrustedIssuerRecord) -> Result<Loaded, DbError> {
        let shared = self.read_shared(conn, issuer.id, issuer.organisation_id, &issuer.scopes)?;
        let client = Client {
            client_id: issuer.id,
            name: issuer.name.into(),
            organisation: shared.organisation,
            enabled: issuer.disabled_at.is_none(),
            not_before: issuer.not_before,
            lifetime: issuer.policy.ticket_lifetime,
            dpop_required: false,
            allowed_networks: Default::default(),
            token_exchange: false,
            granted: shared.granted,
            authentication: ClientAuthentication::TrustedIssuer,
            secrets: Box::default(),
            claims: None,
        };
        Ok(Loaded { client: Arc::new(client), organisation: shared.new_organisation, apis: shared.new_apis })
    }

    /// What a client shares with others: its organisation, and the APIs of its scopes.
    fn read_shared(
        &self,
        conn: &mut AnyConnection,
        client_id: ClientId,
        organisation_id: Uuid,
        scopes: &[(Uuid, String)],
    ) -> Result<Shared, DbError> {
        let dangling = |column| DbError::Corrupt { table: "apps", column, id: client_id.to_string() };
        let mut new_organisation = None;
        let organisation = match self.organisations.get(&organisation_id) {
            Some(organisation) => organisation,
            None => {
                let record = organisations::find(conn, organisation_id)?;
                let organisation = Arc::new(record.ok_or_else(|| dangling("organisation_id"))?.for_tokens());
                new_organisation.insert(organisation).clone()
            }
        };
        let mut new_apis: Vec<Arc<Api>> = Vec::new();
        let mut granted = Vec::with_capacity(scopes.len());
        for (api_id, scope) in scopes {
            let known = self.api(*api_id).or_else(|| new_apis.iter().find(|api| api.id == *api_id).cloned());
            let api = match known {
                Some(api) => api,
                None => {
                    let record = apis::find(conn, *api_id)?;
                    let api = Arc::new(record.ok_or_else(|| dangling("scopes"))?.for_tokens());
                    new_apis.push(api.clone());
                    api
                }
            };
            let name = api.scopes.iter().find(|name| ***name == **scope).cloned();
            granted.push(GrantedScope { name: name.unwrap_or_else(|| Arc::from(scope.as_str())), api });
        }
        Ok(Shared { organisation, granted: granted.into(), new_organisation, new_apis })
    }

    fn api(&self, id: Uuid) -> Option<Arc<Api>> {
        if id == self.management.id {
            return Some(self.management.clone());
        }
        self.apis.get(&id)
    }

    pub(super) fn forget(&self, client_id: ClientId) {
        self.known.remove(&client_id);
        self.unknown.remove(&client_id);
    }

    pub(super) fn forget_api(&self, id: Uuid) {
        self.apis.remove(&id);
        self.known.retain(|_, client| !client.granted.iter().any(|scope| scope.api.id == id));
    }

    pub(super) fn forget_organisation(&self, id: Uuid) {
        self.organisations.remove(&id);
        self.known.retain(|_, client| client.organisation.id != id);
    }

    pub(super) fn forget_everything(&self) {
        self.known.clear();
        self.unknown.clear();
        self.organisations.clear();
        self.apis.clear();
    }
}
