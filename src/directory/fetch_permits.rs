//! How many fetches of keys run at once: so many in all, and fewer for one organisation, so that the slow servers of one
//! leave room for those of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// Fetches at once, each on a thread of its own; the next is told to try later.
const AT_ONCE: usize = 16;
/// Of those, for one organisation.
const OF_ONE_ORGANISATION: usize = 4;

/// The fetches under way.
#[derive(Debug, Clone, Default)]
pub(super) struct FetchPermits(Arc<Mutex<HashMap<Uuid, usize>>>);

/// Room for one fetch, given back when it is dropped.
#[derive(Debug)]
pub(super) struct FetchPermit {
    permits: FetchPermits,
    organisation_id: Uuid,
}

impl FetchPermits {
    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a fetch for that organisation, if there is any.
    pub(super) fn take(&self, organisation_id: Uuid) -> Option<FetchPermit> {
        let mut running = self.running();
        let of_this = running.get(&organisation_id).copied().unwrap_or_default();
        if of_this >= OF_ONE_ORGANISATION || running.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        running.insert(organisation_id, of_this + 1);
        Some(FetchPermit { permits: self.clone(), organisation_id })
    }
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        let mut running = self.permits.running();
        if let Some(count) = running.get_mut(&self.organisation_id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.organisation_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_organisation_leaves_room_for_others_and_all_together_have_a_bound() {
        let permits = FetchPermits::default();
        let organisations: [Uuid; 5] = std::array::from_fn(|_| Uuid::new_v4());
        let mut taken = Vec::new();
        for organisation in &organisations[..4] {
            taken.extend((0..4).map(|_| permits.take(*organisation).unwrap()));
            assert!(permits.take(*organisation).is_none());
        }
        assert!(permits.take(organisations[4]).is_none(), "the bound of all");
        drop(taken.pop());
        drop(permits.take(organisations[4]).unwrap());
        drop(permits.take(organisations[3]).unwrap());
        drop(taken);
        assert!(permits.running().is_empty(), "nothing is left of those who are done");
    }
}
