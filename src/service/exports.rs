//! Files that are read out of the whole log: each takes long and holds much, so a person gets two at once, the server makes a
//! few, and lists for others never wait for more than some of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{Authority, Management, ServiceError};

/// Exports of one person at once.
const MOST_OF_PERSON: usize = 2;
/// Exports of all people at once, with those that wait.
const MOST: usize = 8;
/// Of these, how many read at once: with the usual settings, half of those who may read much.
const READING: usize = 2;
/// When to come again who has as many as may be.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// Who exports now.
#[derive(Debug)]
pub(super) struct Exports {
    all: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    by_person: ByPerson,
}

#[derive(Debug, Clone, Default)]
struct ByPerson(Arc<Mutex<HashMap<Uuid, usize>>>);

impl ByPerson {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An export that may be made. It counts until this is dropped.
#[derive(Debug)]
struct Admitted {
    developer_id: Uuid,
    by_person: ByPerson,
    _one_of_all: OwnedSemaphorePermit,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut people = self.by_person.lock();
        let left = people.get(&self.developer_id).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            people.remove(&self.developer_id);
        } else {
            people.insert(self.developer_id, left);
        }
    }
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            reading: Arc::new(Semaphore::new(READING)),
            by_person: ByPerson::default(),
        }
    }
}

impl Exports {
    fn admit(&self, developer_id: Uuid) -> Result<Admitted, ServiceError> {
        let mut people = self.by_person.lock();
        let count = people.get(&developer_id).copied().unwrap_or(0);
        if count >= MOST_OF_PERSON {
            return Err(ServiceError::Throttled(COME_AGAIN));
        }
        let one_of_all = self.all.clone().try_acquire_owned();
        let one_of_all =
            one_of_all.map_err(|_full| ServiceError::Unavailable("too many exports are being made".to_owned()))?;
        people.insert(developer_id, count + 1);
        drop(people);
        Ok(Admitted { developer_id, by_person: self.by_person.clone(), _one_of_all: one_of_all })
    }
}

impl Authority {
    /// Runs a walk of `m` that reads much for that person, away from the threads that answer requests. It counts until it is
    /// done, even if whoever asked has left.
    ///
    /// # Errors
    /// What `walk` returns, `Throttled` for who has as many exports under way as may be, `Unavailable` when all have.
    pub async fn export<T: Send + 'static>(
        &self,
        m: Management,
        developer_id: Uuid,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let admitted = self.exports.admit(developer_id)?;
        let closed = |_closed| ServiceError::Internal("exports have ended".to_owned());
        let turn = self.exports.reading.clone().acquire_owned().await.map_err(closed)?;
        let work = move |m: &Management| {
            let _admitted = (admitted, turn);
            walk(m)
        };
        self.look(m, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_two_exports_at_once_and_the_server_eight() {
        let exports = Exports::default();
        let person = Uuid::from_u128;
        let mut held: Vec<Admitted> = (0..4).map(|n| exports.admit(person(n)).unwrap()).collect();
        held.push(exports.admit(person(0)).unwrap());
        assert!(matches!(exports.admit(person(0)), Err(ServiceError::Throttled(_))));
        held.extend((1..4).map(|n| exports.admit(person(n)).unwrap()));
        assert!(matches!(exports.admit(person(9)), Err(ServiceError::Unavailable(_))));
        held.remove(0);
        held.push(exports.admit(person(0)).unwrap());
        assert!(exports.admit(person(0)).is_err());
        drop(held);
        assert!(exports.by_person.lock().is_empty(), "nobody is remembered");
        assert!(exports.admit(person(0)).is_ok());
    }
}
