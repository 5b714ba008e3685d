//! What every handler gets: the authority and what is made once at start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::Bytes;
use tokio::sync::{Notify, Semaphore};

use super::api::openapi;
use super::metrics::Metrics;
use super::observe::RequestIds;
use super::pages::Pages;
use super::server::StartError;
use super::snippets::Snippets;
use super::well_known::Documents;
use crate::secret::sha256;
use crate::service::Authority;

/// Requests that wait for a change: each costs a connection and a timer, so no more than this and no more than a
/// quarter of all connections.
const MOST_WAITING: usize = 1_000;

/// The public side of a running server.
pub struct Site {
    /// The authorization server.
    pub authority: Arc<Authority>,
    pub(super) metrics: Metrics,
    pub(super) documents: Documents,
    pub(super) pages: Pages,
    pub(super) snippets: Snippets,
    /// The OpenAPI document and its entity tag.
    pub(super) openapi: (Bytes, String),
    pub(super) request_ids: RequestIds,
    /// Places for those who wait for a change of the revocation feed.
    pub(super) waiting: Semaphore,
    draining: AtomicBool,
    stopping: Notify,
}

impl Site {
    /// Renders pages and documents.
    ///
    /// # Errors
    /// When a template is broken: a fault of the program.
    pub fn new(authority: Arc<Authority>) -> Result<Self, StartError> {
        let openapi = openapi::document(authority.issuer()).map_err(StartError::internal)?;
        let digest: String = sha256(openapi.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            openapi: (Bytes::from(openapi), format!("\"{digest}\"")),
            metrics: Metrics::new().map_err(StartError::internal)?,
            documents: Documents::new(authority.issuer()).map_err(StartError::internal)?,
            pages: Pages::new(&authority.config).map_err(StartError::internal)?,
            snippets: Snippets::new().map_err(StartError::internal)?,
            request_ids: RequestIds::new().map_err(StartError::internal)?,
            waiting: Semaphore::new((authority.config.max_connections / 4).clamp(1, MOST_WAITING)),
            draining: AtomicBool::new(false),
            stopping: Notify::new(),
            authority,
        })
    }

    /// From now on the server says that it is not ready, and closes each connection after its answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.stopping.notify_waiters();
    }

    /// Resolves when [`Self::drain`] is called, or was.
    pub(super) async fn drained(&self) {
        // Hears of a call from here on, also before it is polled.
        let stopping = self.stopping.notified();
        if !self.draining.load(Ordering::SeqCst) {
            stopping.await;
        }
    }

    /// Whether [`Self::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
