//! Counting in memory what is written every few seconds: the only thing that a crash may cost.

mod pictures;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use uuid::Uuid;

pub(super) use self::pictures::Busiest;
pub use self::pictures::{
    AppPicture, OrganisationPicture, Picture, Range, Sparkline, app_addresses, app_picture, has_checked_tokens,
    has_issued_tokens, mark_tokens_checked, organisation_picture, sparklines,
};
use super::app_keys::MOST_LIVE_KEYS;
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::usage::{
    AddressCount, Count, Counted, KeyUse, MOST_ADDRESSES, RefusalCount, Refused, ScopeCount, UsageFilter, UsageRecord,
};
use crate::db::{AnyConnection, Database, DbError, usage};
use crate::oauth::{Client, ClientId};

/// From so many apps on, counts are written before their time, so that memory stays flat.
const LARGE: usize = 8_192;
/// The same for scopes, each app's counted apart.
const MANY_SCOPES: usize = 4 * LARGE;
/// With so many the database has not taken any for a while: what is new is counted, but not by scope.
const MOST_SCOPES: usize = 4 * MANY_SCOPES;
/// Addresses of all apps together that wait; where there are more, those of further apps are left out.
const MOST_ADDRESSES_WAITING: usize = MOST_SCOPES;
/// Rows in one statement.
const BATCH: usize = 500;
/// Organisations of which it is remembered that a token of theirs was checked; of others it is written again.
const CHECKED_REMEMBERED: usize = 10_000;

#[derive(Debug, Clone)]
struct Counts {
    organisation_id: Uuid,
    issued: i64,
    /// Most apps are refused nothing, and there are few reasons.
    refused: Vec<(Refused, i64)>,
    /// In the order in which they were granted, as far as tokens asked for all of them.
    scopes: Vec<(Arc<str>, i64)>,
    /// Of each key, and of none at all for an app that signs its requests.
    last_uses: Vec<(Uuid, IpAddr, Timestamp)>,
    /// Where tokens went: few addresses, of which a further one takes the place of the rarest.
    addresses: Vec<(IpAddr, i64)>,
}

impl Counts {
    fn new(organisation_id: Uuid) -> Self {
        Self {
            organisation_id,
            issued: 0,
            refused: Vec::new(),
            scopes: Vec::new(),
            last_uses: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// Notes the last use of a key. Few live at once; those that were revoked meanwhile do not matter.
    fn add_use(&mut self, key_id: Uuid, from: IpAddr, at: Timestamp) {
        if let Some(last) = self.last_uses.iter_mut().find(|(known, ..)| *known == key_id) {
            *last = (key_id, from, at);
        } else if self.last_uses.len() < MOST_LIVE_KEYS * 2 {
            self.last_uses.push((key_id, from, at));
        }
    }

    /// Counts tokens that went to an address. Where all places are taken the rarest gives up its own and its count, as in the
    /// space-saving algorithm: whoever asks often is never missed. Returns whether there is one more now.
    fn add_address(&mut self, address: IpAddr, issued: i64, may_grow: bool) -> bool {
        if let Some((_, count)) = self.addresses.iter_mut().find(|(known, _)| *known == address) {
            *count += issued;
            return false;
        }
        if self.addresses.len() < MOST_ADDRESSES {
            if may_grow {
                self.addresses.push((address, issued));
            }
            return may_grow;
        }
        if let Some(rarest) = self.addresses.iter_mut().min_by_key(|(_, count)| *count) {
            *rarest = (address, rarest.1 + issued);
        }
        false
    }

    fn add_refusals(&mut self, why: Refused, refused: i64) {
        match self.refused.iter_mut().find(|(counted, _)| *counted == why) {
            Some((_, count)) => *count += refused,
            None => self.refused.push((why, refused)),
        }
    }

    /// Counts a scope, looking from `place` on: tokens have their scopes in the order in which they stand here, so the next
    /// is nearly always the first that is looked at. Returns where to look for the next, and whether the scope is new.
    fn add_scope(&mut self, place: usize, scope: &Arc<str>, issued: i64, may_grow: bool) -> (usize, bool) {
        let is_it = |(counted, _): &(Arc<str>, i64)| Arc::ptr_eq(counted, scope) || *counted == *scope;
        let ahead = self.scopes.iter().skip(place).position(is_it).map(|found| place + found);
        let found = ahead.or_else(|| self.scopes.iter().take(place).position(is_it));
        match found.and_then(|at| Some((at, self.scopes.get_mut(at)?))) {
            Some((at, (_, count))) => {
                *count += issued;
                (at + 1, false)
            }
            None if may_grow => {
                self.scopes.push((scope.clone(), issued));
                (self.scopes.len(), true)
            }
            None => (place, false),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    apps: HashMap<ClientId, Counts>,
    /// How many scopes all apps have here.
    scopes: usize,
    /// How many addresses all apps have here.
    addresses: usize,
    /// Organisations of which a token was checked for the first time.
    checked: Vec<Uuid>,
}

impl Waiting {
    fn of(&mut self, client_id: ClientId, organisation_id: Uuid) -> &mut Counts {
        self.apps.entry(client_id).or_insert_with(|| Counts::new(organisation_id))
    }

    fn add_address(&mut self, client_id: ClientId, organisation_id: Uuid, address: IpAddr, issued: i64) {
        let may_grow = self.addresses < MOST_ADDRESSES_WAITING;
        let is_new = self.of(client_id, organisation_id).add_address(address, issued, may_grow);
        self.addresses += usize::from(is_new);
    }

    fn add_scopes<'s>(
        &mut self,
        client_id: ClientId,
        organisation_id: Uuid,
        scopes: impl Iterator<Item = (&'s Arc<str>, i64)>,
    ) {
        let mut known = self.scopes;
        let counts = self.of(client_id, organisation_id);
        let mut place = 0;
        for (scope, issued) in scopes {
            let (next, is_new) = counts.add_scope(place, scope, issued, known < MOST_SCOPES);
            place = next;
            known += usize::from(is_new);
        }
        self.scopes = known;
    }
}

/// Counts since the last time they were written. One entry an app, so no larger than there are apps; an app that is warm
/// is counted without taking memory.
#[derive(Debug)]
pub struct Usage {
    waiting: Mutex<Waiting>,
    checked: Cache<Uuid, ()>,
}

impl Default for Usage {
    fn default() -> Self {
        Self { waiting: Mutex::default(), checked: Cache::new(CHECKED_REMEMBERED) }
    }
}

impl Usage {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn issued(
        &self,
        client: &Client,
        key_id: Option<Uuid>,
        scopes: &[Arc<str>],
        from: IpAddr,
        now: Timestamp,
    ) {
        let (client_id, organisation_id) = (client.client_id, client.organisation.id);
        let mut waiting = self.waiting();
        let counts = waiting.of(client_id, organisation_id);
        counts.issued += 1;
        // An app without App Keys has its last use all the same.
        counts.add_use(key_id.unwrap_or_default(), from, now);
        waiting.add_scopes(client_id, organisation_id, scopes.iter().map(|scope| (scope, 1)));
        waiting.add_address(client_id, organisation_id, from.to_canonical(), 1);
    }

    pub(super) fn refused(&self, client: &Client, why: Refused) {
        self.waiting().of(client.client_id, client.organisation.id).add_refusals(why, 1);
    }

    /// Notes that this server checked a token of the organisation: the step that newcomers take last.
    pub(super) fn checked(&self, organisation_id: Uuid) {
        if self.checked.get(&organisation_id).is_none() {
            self.checked.insert(organisation_id, ());
            let mut waiting = self.waiting();
            if waiting.checked.len() < CHECKED_REMEMBERED {
                waiting.checked.push(organisation_id);
            }
        }
    }

    /// Whether enough waits to be written before its time.
    pub(super) fn is_large(&self) -> bool {
        let waiting = self.waiting();
        waiting.apps.len() >= LARGE || waiting.scopes >= MANY_SCOPES
    }

    /// Writes the counts to the database. What cannot be written is kept for the next time. Blocks.
    ///
    /// # Errors
    /// When the database does not take it.
    pub fn flush(&self, database: &Database, now: Timestamp) -> Result<(), DbError> {
        let taken = std::mem::take(&mut *self.waiting());
        if taken.apps.is_empty() && taken.checked.is_empty() {
            return Ok(());
        }
        // In the order of the tables, which spares the database half of the work.
        let mut apps: Vec<(ClientId, Counts)> = taken.apps.into_iter().collect();
        apps.sort_unstable_by_key(|(client_id, _)| *client_id);
        let (apps, checked) = (Arc::new(apps), Arc::new(taken.checked));
        let (to_write, to_note) = (apps.clone(), checked.clone());
        let written = database.write(move |conn| {
            write(conn, &to_write, now)?;
            to_note.iter().try_for_each(|id| pictures::note_tokens_checked(conn, *id, now))
        });
        if written.is_err() {
            self.put_back(&apps, &checked);
        }
        written
    }

    fn put_back(&self, taken: &[(ClientId, Counts)], checked: &[Uuid]) {
        let mut waiting = self.waiting();
        waiting.checked.extend(checked);
        for (client_id, old) in taken {
            let counts = waiting.of(*client_id, old.organisation_id);
            counts.issued += old.issued;
            for (key_id, from, at) in &old.last_uses {
                if !counts.last_uses.iter().any(|(known, ..)| known == key_id) {
                    counts.add_use(*key_id, *from, *at);
                }
            }
            for (why, refused) in &old.refused {
                counts.add_refusals(*why, *refused);
            }
            let scopes = old.scopes.iter().map(|(scope, issued)| (scope, *issued));
            waiting.add_scopes(*client_id, old.organisation_id, scopes);
            for (address, issued) in &old.addresses {
                waiting.add_address(*client_id, old.organisation_id, *address, *issued);
            }
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

fn write(conn: &mut AnyConnection, apps: &[(ClientId, Counts)], now: Timestamp) -> Result<(), DbError> {
    let key_uses = apps.iter().flat_map(|(client_id, counts)| {
        counts.last_uses.iter().map(|(key_id, from, at)| KeyUse {
            key_id: *key_id,
            client_id: *client_id,
            at: *at,
            from: *from,
        })
    });
    let organisations = sums(apps);
    let of_apps = apps.iter().map(|(client_id, counts)| (Counted::App(*client_id), counts));
    let of_organisations = organisations.iter().map(|(id, counts)| (Counted::Organisation(*id), counts));
    let (mut totals, mut refusals, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
    for (of, counts) in of_apps.chain(of_organisations) {
        let refused = counts.refused.iter().map(|(_, refused)| refused).sum();
        totals.push(Count { of, issued: counts.issued, refused });
        refusals.extend(counts.refused.iter().map(|(why, refused)| RefusalCount { of, why: *why, refused: *refused }));
        let scope = |(scope, issued): &(Arc<str>, i64)| ScopeCount { of, scope: scope.clone(), issued: *issued };
        scopes.extend(counts.scopes.iter().map(scope));
    }
    totals.chunks(BATCH).try_for_each(|rows| usage::add(conn, rows, now))?;
    refusals.chunks(BATCH).try_for_each(|rows| usage::add_refusals(conn, rows, now))?;
    scopes.chunks(BATCH).try_for_each(|rows| usage::add_scopes(conn, rows, now))?;
    let address = |(client_id, counts): &(ClientId, Counts)| {
        let of_app = |(address, issued): &(IpAddr, i64)| AddressCount {
            client_id: *client_id,
            address: *address,
            issued: *issued,
        };
        counts.addresses.iter().map(of_app).collect::<Vec<_>>()
    };
    let addresses: Vec<AddressCount> = apps.iter().flat_map(address).collect();
    addresses.chunks(BATCH).try_for_each(|rows| usage::add_addresses(conn, rows, now))?;
    // An app at one address has no new one; what comes by and by is trimmed by and by.
    let many = apps.iter().filter(|(_, counts)| counts.addresses.len() > 1).map(|(client_id, _)| *client_id);
    many.collect::<Vec<_>>().chunks(BATCH).try_for_each(|apps| usage::trim_addresses(conn, apps, now))?;
    let uses: Vec<KeyUse> = key_uses.collect();
    uses.chunks(BATCH).try_for_each(|rows| usage::record_key_uses(conn, rows))
}

/// What the apps of each organisation got and were refused together, in the order of the tables.
fn sums(apps: &[(ClientId, Counts)]) -> Vec<(Uuid, Counts)> {
    let mut sums: BTreeMap<Uuid, (Counts, BTreeMap<Arc<str>, i64>)> = BTreeMap::new();
    for (_, counts) in apps {
        let id = counts.organisation_id;
        let (sum, scopes) = sums.entry(id).or_insert_with(|| (Counts::new(id), BTreeMap::new()));
        sum.issued += counts.issued;
        for (why, refused) in &counts.refused {
            sum.add_refusals(*why, *refused);
        }
        for (scope, issued) in &counts.scopes {
            *scopes.entry(scope.clone()).or_default() += issued;
        }
    }
    let with_scopes = |(id, (sum, scopes)): (Uuid, (Counts, BTreeMap<Arc<str>, i64>))| {
        (id, Counts { scopes: scopes.into_iter().collect(), ..sum })
    };
    sums.into_iter().map(with_scopes).collect()
}
