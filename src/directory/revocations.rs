//! What is revoked, in memory: all of it, because the guard must know, and whoever verifies offline asks for all of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::db::cut_offs::CutOffs;

/// Everything that ends tokens before their time, as far as it may concern a living token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    /// Each `jti` that is revoked, and when it expires.
    pub revoked: BTreeMap<Box<str>, Timestamp>,
    /// Cut-offs, and what is off or gone.
    pub cut_offs: CutOffs,
}

pub(super) struct Revocations {
    revoked: RwLock<HashMap<Box<str>, Timestamp>>,
    /// Of `cut_offs.all`, for the guard.
    all_not_before: AtomicI64,
    cut_offs: Mutex<CutOffs>,
    /// Goes up by one whenever something here becomes different.
    version: watch::Sender<u64>,
}

impl Revocations {
    pub(super) fn new(revoked: Vec<(String, Timestamp)>, cut_offs: CutOffs) -> Self {
        Self {
            revoked: RwLock::new(boxed(revoked)),
            all_not_before: AtomicI64::new(cut_offs.all.seconds()),
            cut_offs: Mutex::new(cut_offs),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn contains(&self, jti: &str) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains_key(jti)
    }

    pub(super) fn insert(&self, jti: &str, expires_at: Timestamp) {
        let before = self.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(jti.into(), expires_at);
        if before != Some(expires_at) {
            self.changed();
        }
    }

    pub(super) fn replace(&self, revoked: Vec<(String, Timestamp)>) {
        let fresh = boxed(revoked);
        let mut held = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if *held != fresh {
            *held = fresh;
            drop(held);
            self.changed();
        }
    }

    pub(super) fn all_not_before(&self) -> Timestamp {
        Timestamp::from_seconds(self.all_not_before.load(Ordering::SeqCst))
    }

    pub(super) fn replace_cut_offs(&self, fresh: CutOffs) {
        self.all_not_before.store(fresh.all.seconds(), Ordering::SeqCst);
        let mut held = self.cut_offs();
        if *held != fresh {
            *held = fresh;
            drop(held);
            self.changed();
        }
    }

    fn cut_offs(&self) -> MutexGuard<'_, CutOffs> {
        self.cut_offs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What still matters at that moment: the same on every node that has heard of the same changes.
    pub(super) fn list(&self, at: Timestamp) -> RevocationList {
        let held = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let alive = held.iter().filter(|(_, expires_at)| **expires_at > at);
        let revoked = alive.map(|(jti, expires_at)| (jti.clone(), *expires_at)).collect();
        drop(held);
        let mut cut_offs = self.cut_offs().clone();
        let since = at - cut_offs.kept;
        if cut_offs.all <= since {
            cut_offs.all = Timestamp::NEVER;
        }
        for entries in [
            &mut cut_offs.clients,
            &mut cut_offs.tenants,
            &mut cut_offs.disabled_clients,
            &mut cut_offs.disabled_tenants,
        ] {
            entries.retain(|_, moment| *moment > since);
        }
        RevocationList { revoked, cut_offs }
    }
}

fn boxed(revoked: Vec<(String, Timestamp)>) -> HashMap<Box<str>, Timestamp> {
    revoked.into_iter().map(|(jti, expires_at)| (jti.into_boxed_str(), expires_at)).collect()
}
