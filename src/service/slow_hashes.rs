//! Slow hashes behind a gate: each costs 16 ms and 19 MiB, so only a few run at once and only some may wait. Clients and
//! people queue apart: a flood of the ones never shuts out the others. They are computed by threads of their own, which
//! stand back when the machine is busy; see [`computers`].

mod computers;

use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use self::computers::Computers;
use super::passwords::{self, Surroundings};
use super::{Authority, ServiceError};
use crate::oauth::OAuthError;
use crate::secret::{HashMemory, KeyedHash, Pepper, Secret, hash_password};

/// Hashes running at once.
const RUNNING: usize = 2;
/// Of these for people: the other half answers clients, however many people sign in.
const RUNNING_FOR_PEOPLE: usize = 1;
/// Requests of each queue that may wait for one.
const WAITING: usize = 32;
/// Imported secrets that were verified, by keyed digest: the next time they cost no slow hash.
const REMEMBERED: usize = 4_096;

/// The gate.
#[derive(Debug)]
pub(super) struct SlowHashes {
    running: Arc<Semaphore>,
    running_for_people: Arc<Semaphore>,
    clients: Arc<Semaphore>,
    people: Arc<Semaphore>,
    computers: Computers,
    remembered: Cache<Uuid, KeyedHash>,
    /// Nobody's hash, as dear as any: compared with where there is none.
    decoy: Arc<str>,
}

/// Why a hash was not computed.
#[derive(Debug)]
enum Refusal {
    /// Too many wait.
    Full,
    /// The job did not end.
    Failed(String),
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Unavailable("too many passwords are waiting to be checked".to_owned()),
            Refusal::Failed(text) => Self::Internal(text),
        }
    }
}

impl SlowHashes {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Internal` when the operating system has no random bytes or threads to give.
    pub(super) fn new() -> Result<Self, ServiceError> {
        Ok(Self {
            running: Arc::new(Semaphore::new(RUNNING)),
            running_for_people: Arc::new(Semaphore::new(RUNNING_FOR_PEOPLE)),
            clients: Arc::new(Semaphore::new(RUNNING + WAITING)),
            people: Arc::new(Semaphore::new(RUNNING_FOR_PEOPLE + WAITING)),
            computers: Computers::start(RUNNING)?,
            remembered: Cache::new(REMEMBERED),
            decoy: hash_password(&Secret::new("nobody's"))?.into(),
        })
    }

    /// Whether `given` is the secret of that id and slow hash. A revoked secret never gets here again, so what is
    /// remembered needs no forgetting.
    ///
    /// # Errors
    /// `temporarily_unavailable` when too many wait.
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
        let (phc, secret) = (phc.to_owned(), given.clone());
        let admitted = self.clients.clone().try_acquire_owned();
        let compared = match admitted {
            Ok(admitted) => self.run(vec![admitted], move |memory| memory.verify(&phc, &secret)).await,
            Err(_full) => Err(Refusal::Full),
        };
        let matches = compared.map_err(|refusal| match refusal {
            Refusal::Full => OAuthError::unavailable("too many slow hashes are waiting"),
            Refusal::Failed(text) => OAuthError::server_error(text),
        })?;
        if matches {
            self.remembered.insert(secret_id, digest);
        }
        Ok(matches)
    }

    /// Refuses people while as many wait as may: asked before anything is looked up for somebody who would be turned away
    /// in the end.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) fn refuse_when_full(&self) -> Result<(), ServiceError> {
        if self.people.available_permits() == 0 { Err(Refusal::Full.into()) } else { Ok(()) }
    }

    /// Work that computes one hash for a person.
    async fn for_person<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let admitted = self.people.clone().try_acquire_owned().map_err(|_full| Refusal::Full)?;
        let turn = self.running_for_people.clone().acquire_owned().await.map_err(|_closed| Refusal::Full)?;
        Ok(self.run(vec![admitted, turn], work).await?)
    }

    /// Runs `work` off the workers when it is its turn.
    async fn run<T: Send + 'static>(
        &self,
        mut permits: Vec<OwnedSemaphorePermit>,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        permits.push(self.running.clone().acquire_owned().await.map_err(|_closed| Refusal::Full)?);
        let computed = self.computers.compute(permits, work).await;
        computed.map_err(|_dropped| Refusal::Failed("a slow hash did not finish".to_owned()))
    }
}

impl Authority {
    /// Checks a password that somebody chose and hashes it for storage. The caller has counted it.
    ///
    /// # Errors
    /// `InvalidField` of `password` that says the reason; `Unavailable` when too many wait.
    pub(super) async fn hash_chosen_password(
        &self,
        given: &Secret,
        surroundings: Surroundings,
    ) -> Result<String, ServiceError> {
        let given = passwords::read(given)?;
        self.slow_hashes
            .for_person(move |memory| {
                let chosen = passwords::check(&given, &surroundings)?;
                Ok(memory.hash(chosen.as_secret())?)
            })
            .await?
    }

    /// Whether `given` is the password that was stored as `phc`. Takes as long where nothing is stored. The caller has
    /// counted it.
    ///
    /// # Errors
    /// `InvalidField` of `password` for what cannot be one, `Unavailable` when too many wait.
    pub(super) async fn verify_password(&self, phc: Option<&str>, given: &Secret) -> Result<bool, ServiceError> {
        let given = passwords::read(given)?;
        let known = phc.is_some();
        let phc = phc.map_or_else(|| self.slow_hashes.decoy.clone(), Arc::from);
        self.slow_hashes.for_person(move |memory| memory.verify(&phc, &given) && known).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_bound_of_one_queue_the_other_still_answers() {
        let hashes = SlowHashes::new().unwrap();
        let pepper = Pepper::new([7; 32]);
        let secret = Secret::new("imported secret");
        let phc = hash_password(&secret).unwrap();

        let people = hashes.people.clone().try_acquire_many_owned(33).unwrap();
        assert!(matches!(hashes.for_person(|_| ()).await, Err(ServiceError::Unavailable(_))));
        assert!(hashes.refuse_when_full().is_err());
        assert!(hashes.verify(Uuid::nil(), &phc, &secret, &pepper).await.unwrap());
        drop(people);
        assert!(hashes.refuse_when_full().is_ok());

        let _clients = hashes.clients.clone().try_acquire_many_owned(34).unwrap();
        assert!(hashes.for_person(|_| true).await.unwrap());
        let other = Uuid::from_u128(1);
        assert!(hashes.verify(other, &phc, &secret, &pepper).await.is_err());
        assert!(hashes.verify(Uuid::nil(), &phc, &secret, &pepper).await.unwrap(), "it was remembered");
    }

    #[tokio::test]
    async fn people_never_hold_every_turn() {
        let hashes = SlowHashes::new().unwrap();
        let _running = hashes.running_for_people.clone().try_acquire_owned().unwrap();
        let _one_of_two = hashes.running.clone().try_acquire_owned().unwrap();
        let waiting = hashes.for_person(|_| ());
        tokio::pin!(waiting);
        assert!(futures_util::future::poll_immediate(&mut waiting).await.is_none());
        let admitted = hashes.clients.clone().try_acquire_owned().unwrap();
        assert!(hashes.run(vec![admitted], |_| true).await.unwrap());
    }

    #[tokio::test]
    async fn who_leaves_frees_the_turn_only_when_the_hash_is_done() {
        let hashes = SlowHashes::new().unwrap();
        let (go, stop) = std::sync::mpsc::channel::<()>();
        {
            let asked = hashes.for_person(move |_| stop.recv().is_ok());
            tokio::pin!(asked);
            assert!(futures_util::future::poll_immediate(&mut asked).await.is_none());
        }
        assert_eq!(hashes.running.available_permits(), 1, "nobody waits for it, but it runs");
        go.send(()).unwrap();
        let _turn = hashes.running_for_people.acquire().await.unwrap();
        let _both = hashes.running.acquire_many(2).await.unwrap();
    }
}
