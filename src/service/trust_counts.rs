//! How many JWTs of each trusted issuer were accepted, and refused for which reason: counted in memory, written every few
//! seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::db::trusted_issuers::{self, OutcomeCount};
use crate::db::{Database, DbError};
use crate::oauth::ClientId;
use crate::oauth::trust::TrustError;

/// The outcome of a JWT that was accepted; the others are [`TrustError::label`].
pub const ACCEPTED: &str = "accepted";

/// Counts since the last time they were written: no more than issuers times reasons.
#[derive(Debug, Default)]
pub struct TrustCounts(Mutex<HashMap<(ClientId, &'static str), i64>>);

impl TrustCounts {
    fn waiting(&self) -> MutexGuard<'_, HashMap<(ClientId, &'static str), i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
