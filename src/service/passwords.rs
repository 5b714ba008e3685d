//! Slow hashes behind a gate: each costs 16 ms and 19 MiB, so only a few run at once and only some may wait.

use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::oauth::OAuthError;
use crate::secret::{KeyedHash, Pepper, Secret, verify_password};

/// Hashes running at once.
const RUNNING: usize = 2;
/// Requests that may wait for one.
const WAITING: usize = 64;
/// Imported secrets that were verified, by keyed digest: the next time they cost no slow hash.
const REMEMBERED: usize = 4_096;

#[derive(Debug)]
pub(super) struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    remembered: Cache<Uuid, KeyedHash>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING)),
            admitted: Arc::new(Semaphore::new(RUNNING + WAITING)),
            remembered: Cache::new(REMEMBERED),
        }
    }
}

impl Passwords {
    /// Whether `given` is the secret of that id and slow hash. A revoked secret never gets here again, so what is
    /// remembered needs no forgetting.
    ///
    /// # Errors
    /// `temporarily_unavailable` when too many wait.
    #[expect(clippy::disallowed_methods, reason = "slow hashes hop to the blocking pool here")]
    pub(super) async fn verify(
        &self,
        secret_id: Uuid,
        phc: &str,
        given: &Secret,
        pepper: &Pepper,
    ) -> Result<bool, OAuthError> {
        let digest = pepper.hash(given);
        if self.remembered.get(&secret_id) == Some(digest) {
            return Ok(true);
        }
        let full = || OAuthError::unavailable("too many slow hashes are waiting");
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_full| full())?;
        let running = self.running.clone().acquire_owned().await.map_err(|_closed| full())?;
        let (phc, secret) = (phc.to_owned(), given.clone());
        // The permits go into the job: it runs to its end even if the client leaves.
        let job = move || {
            let _permits = (admitted, running);
            verify_password(&phc, &secret)
        };
        let matches = tokio::task::spawn_blocking(job)
            .await
            .map_err(|error| OAuthError::server_error(format!("a slow hash did not finish: {error}")))?;
        if matches {
            self.remembered.insert(secret_id, digest);
        }
        Ok(matches)
    }
}
