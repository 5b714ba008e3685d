//! Revoked tokens in memory: all of them, because the guard must know.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

pub(super) struct Revocations(RwLock<HashSet<Box<str>>>);

impl Revocations {
    pub(super) fn new(revoked: Vec<String>) -> Self {
        Self(RwLock::new(revoked.into_iter().map(String::into_boxed_str).collect()))
    }

    pub(super) fn contains(&self, jti: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(jti)
    }

    pub(super) fn insert(&self, jti: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(jti.into());
    }

    pub(super) fn replace(&self, revoked: Vec<String>) {
        let fresh = revoked.into_iter().map(String::into_boxed_str).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}
