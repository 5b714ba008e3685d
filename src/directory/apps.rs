//! Apps in memory: a bounded cache, filled on a miss by one load that all who wait share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::db::{AnyConnection, Database, DbError, apis, apps, organisations};
use crate::oauth::client::{GrantedScope, Organisation};
use crate::oauth::{Api, Client, ClientId};

/// Ids that nobody has: remembered apart, so that guesses do not push out real apps.
const UNKNOWN_REMEMBERED: usize = 4_096;
/// Organisations and APIs, shared by the apps that point to them.
const SHARED_REMEMBERED: usize = 10_000;
/// Loads under way at once; the next is told to try later.
const MOST_LOADS: usize = 256;

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
    generation: Arc<AtomicU64>,
    loads: Semaphore,
}

impl Apps {
    pub(super) fn new(database: Database, management: Arc<Api>, generation: Arc<AtomicU64>, capacity: usize) -> Self {
        Self {
            database,
            known: Cache::new(capacity),
            unknown: Cache::new(UNKNOWN_REMEMBERED),
            organisations: Cache::new(SHARED_REMEMBERED),
            apis: Cache::new(SHARED_REMEMBERED),
            management,
            generation,
            loads: Semaphore::new(MOST_LOADS),
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
        let _permit = self.loads.try_acquire().map_err(|_all_taken| LookupError::Overloaded)?;
        let generation = self.generation.load(Ordering::SeqCst);
        let apps = self.clone();
        let loaded = self
            .database
            .read_off_thread(move |conn| apps.read(conn, client_id))
            .await
            .map_err(|error| LookupError::Database(error.to_string()))?;
        match &loaded {
            // Refused when the app was forgotten meanwhile: then it is loaded again next time.
            Some(client) => drop(guard.insert(client.clone())),
            None => self.unknown.insert(client_id, ()),
        }
        // A change that was taken in since the load began may not be in what was read: answer with it, but forget it.
        if self.generation.load(Ordering::SeqCst) != generation {
            self.forget(client_id);
            self.organisations.clear();
            self.apis.clear();
        }
        Ok(loaded)
    }

    fn read(&self, conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<Arc<Client>>, DbError> {
        let Some(found) = apps::find_for_tokens(conn, client_id)? else {
            return Ok(None);
        };
        let app = found.record;
        let dangling = |column| DbError::Corrupt { table: "apps", column, id: client_id.to_string() };
        let organisation = self.organisations.get_or_insert_with(&app.organisation_id, || {
            let record = organisations::find(conn, app.organisation_id)?;
            record.map(|record| Arc::new(record.for_tokens())).ok_or_else(|| dangling("organisation_id"))
        })?;
        let mut granted = Vec::with_capacity(app.scopes.len());
        for (api_id, scope) in &app.scopes {
            let api = self.api(conn, *api_id)?.ok_or_else(|| dangling("scopes"))?;
            let name = api.scopes.iter().find(|name| ***name == **scope).cloned();
            granted.push(GrantedScope { name: name.unwrap_or_else(|| Arc::from(scope.as_str())), api });
        }
        Ok(Some(Arc::new(Client {
            client_id,
            name: app.name.into(),
            organisation,
            enabled: app.disabled_at.is_none(),
            not_before: app.not_before,
            lifetime: app.lifetime,
            granted: granted.into(),
            secrets: found.secrets.into(),
            claims: app.claims.map(Box::new),
        })))
    }

    fn api(&self, conn: &mut AnyConnection, id: Uuid) -> Result<Option<Arc<Api>>, DbError> {
        if id == self.management.id {
            return Ok(Some(self.management.clone()));
        }
        if let Some(api) = self.apis.get(&id) {
            return Ok(Some(api));
        }
        let api = apis::find(conn, id)?.map(|record| Arc::new(record.for_tokens()));
        if let Some(api) = &api {
            self.apis.insert(id, api.clone());
        }
        Ok(api)
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
