//! Counting in memory what is written every few seconds: the only thing that a crash may cost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::usage::{AppCount, KeyUse, UsageFilter, UsageRecord};
use crate::db::{AnyConnection, Database, DbError, usage};
use crate::oauth::ClientId;

/// From so many apps on, counts are written before their time, so that memory stays flat.
const LARGE: usize = 8_192;
/// Rows in one statement.
const BATCH: usize = 500;

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    issued: i64,
    refused: i64,
    last_use: Option<(Uuid, IpAddr, Timestamp)>,
}

/// Counts since the last time they were written. One entry an app, so no larger than there are apps.
#[derive(Debug, Default)]
pub struct Usage(Mutex<HashMap<ClientId, Counts>>);

impl Usage {
    pub(super) fn issued(&self, client_id: ClientId, key_id: Option<Uuid>, from: IpAddr, now: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counts.entry(client_id).or_default();
        entry.issued += 1;
        // An app without App Keys has its last use all the same.
        entry.last_use = Some((key_id.unwrap_or_default(), from, now));
    }

    pub(super) fn refused(&self, client_id: ClientId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(client_id).or_default().refused += 1;
    }

    /// Whether enough waits to be written before its time.
    pub(super) fn is_large(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() >= LARGE
    }

    /// Writes the counts to the database. What cannot be written is kept for the next time. Blocks.
    ///
    /// # Errors
    /// When the database does not take it.
    pub fn flush(&self, database: &Database, now: Timestamp) -> Result<(), DbError> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return Ok(());
        }
        // In the order of the tables, which spares the database half of the work.
        let mut rows: Vec<(ClientId, Counts)> = taken.into_iter().collect();
        rows.sort_unstable_by_key(|(client_id, _)| *client_id);
        let rows = Arc::new(rows);
        let to_write = rows.clone();
        let written = database.write(move |conn| to_write.chunks(BATCH).try_for_each(|rows| write(conn, rows, now)));
        if written.is_err() {
            self.put_back(&rows);
        }
        written
    }

    fn put_back(&self, taken: &[(ClientId, Counts)]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (client_id, old) in taken {
            let entry = counts.entry(*client_id).or_default();
            entry.issued += old.issued;
            entry.refused += old.refused;
            entry.last_use = entry.last_use.or(old.last_use);
        }
    }
}

/// What an organisation's apps got and were refused, by span and app, at most `limit`, what comes after `after`. Counts
/// are up to ten seconds late.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(
    m: &Management,
    organisation: &str,
    filter: &UsageFilter,
    after: Option<(Timestamp, ClientId)>,
    limit: i64,
) -> Result<Vec<UsageRecord>, ServiceError> {
    m.database.read_with(|conn| {
        let organisation = super::organisations::find(conn, organisation)?;
        Ok(usage::list(conn, organisation.id, filter, after, limit)?)
    })
}

fn write(conn: &mut AnyConnection, rows: &[(ClientId, Counts)], now: Timestamp) -> Result<(), DbError> {
    let count = |(client_id, counts): &(ClientId, Counts)| AppCount {
        client_id: *client_id,
        issued: counts.issued,
        refused: counts.refused,
    };
    let key_use = |(client_id, counts): &(ClientId, Counts)| {
        let (key_id, from, at) = counts.last_use?;
        Some(KeyUse { key_id, client_id: *client_id, at, from })
    };
    usage::add(conn, &rows.iter().map(count).collect::<Vec<_>>(), now)?;
    usage::record_key_uses(conn, &rows.iter().filter_map(key_use).collect::<Vec<_>>())
}
