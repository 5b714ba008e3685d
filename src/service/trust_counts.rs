//! How many JWTs of each trusted issuer were accepted, and refused for which reason: counted in memory, written every few
//! seconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::db::trusted_issuers::{self, OutcomeCount};
use crate::db::{Database, DbError};
use crate::oauth::ClientId;
use crate::oauth::trust::{TrustError, Way};

/// The outcome of a JWT that was accepted; the others are [`TrustError::label`].
pub const ACCEPTED: &str = "accepted";

/// Counts in memory.
#[derive(Debug, Default)]
pub struct TrustCounts {
    /// Since the last time they were written: no more than issuers times reasons.
    waiting: Mutex<HashMap<(ClientId, &'static str), i64>>,
    /// Since the start, of all issuers: no more than ways times reasons.
    totals: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl TrustCounts {
    fn waiting(&self) -> MutexGuard<'_, HashMap<(ClientId, &'static str), i64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a JWT that came in one way.
    pub(super) fn ended(&self, way: Way, refusal: Option<&TrustError>) {
        let outcome = match refusal {
            None => ACCEPTED,
            // Most of what is shown at a resource route and is no token of ours is no third party's either.
            Some(TrustError::UnknownIssuer | TrustError::Malformed | TrustError::Header(_)) if way == Way::Bearer => {
                return;
            }
            Some(error) => error.label(),
        };
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.entry((way.name(), outcome)).or_default() += 1;
    }

    /// How many JWTs came in each way and what became of them, since the start.
    pub fn totals(&self) -> Vec<((&'static str, &'static str), u64)> {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter().map(|(labels, count)| (*labels, *count)).collect()
    }

    fn add(&self, issuer: ClientId, outcome: &'static str, count: i64) {
        *self.waiting().entry((issuer, outcome)).or_default() += count;
    }

    pub(super) fn accepted(&self, issuer: ClientId) {
        self.add(issuer, ACCEPTED, 1);
    }

    pub(super) fn refused(&self, issuer: ClientId, error: &TrustError) {
        self.add(issuer, error.label(), 1);
    }

    /// Writes the counts to the database. What cannot be written is kept for the next time. Blocks.
    ///
    /// # Errors
    /// When the database does not take it.
    pub fn flush(&self, database: &Database, now: Timestamp) -> Result<(), DbError> {
        let taken = std::mem::take(&mut *self.waiting());
        if taken.is_empty() {
            return Ok(());
        }
        // In the order of the table, which spares the database half of the work.
        let mut counts: Vec<OutcomeCount> =
            taken.into_iter().map(|((issuer, outcome), count)| OutcomeCount { issuer, outcome, count }).collect();
        counts.sort_unstable_by_key(|row| (row.issuer, row.outcome));
        let rows = counts.clone();
        let written = database.write(move |conn| trusted_issuers::add_outcomes(conn, &rows, now));
        if written.is_err() {
            counts.into_iter().for_each(|row| self.add(row.issuer, row.outcome, row.count));
        }
        written
    }
}
