//! What every handler gets: the authority and what is made once at start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::metrics::Metrics;
use super::observe::RequestIds;
use super::pages::Pages;
use super::server::StartError;
use super::well_known::Documents;
use crate::service::Authority;

/// The public side of a running server.
pub struct Site {
    /// The authorization server.
    pub authority: Arc<Authority>,
    pub(super) metrics: Metrics,
    pub(super) documents: Documents,
    pub(super) pages: Pages,
    pub(super) request_ids: RequestIds,
    draining: AtomicBool,
}

impl Site {
    /// Renders pages and documents.
    ///
    /// # Errors
    /// When a template is broken: a fault of the program.
    pub fn new(authority: Arc<Authority>) -> Result<Self, StartError> {
        Ok(Self {
            metrics: Metrics::new().map_err(StartError::internal)?,
            documents: Documents::new(authority.issuer()).map_err(StartError::internal)?,
            pages: Pages::new(authority.issuer()).map_err(StartError::internal)?,
            request_ids: RequestIds::new().map_err(StartError::internal)?,
            draining: AtomicBool::new(false),
            authority,
        })
    }

    /// From now on the server says that it is not ready, and closes each connection after its answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
