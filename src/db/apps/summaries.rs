//! Apps as a list for people shows them: found by words, picked, in an order, a page at a time. However many apps there
//! are, a page is a fixed number of statements.

use std::collections::HashMap;

use diesel::dsl::{count_star, exists, max, not, sql};
use diesel::expression::SqlLiteral;
use diesel::sql_types::{BigInt, Text};
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl,
    TextExpressionMethods,
};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::actors;
use crate::db::conn::{AnyConnection, is_storable, pattern};
use crate::db::error::DbError;
use crate::db::schema::{app_key_uses, app_keys, app_scopes, apps};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;

/// An app in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSummary {
    /// Its id.
    pub client_id: ClientId,
    /// Its name for people.
    pub name: String,
    /// How many scopes it was granted.
    pub scopes: i64,
    /// Whether it has App Keys at all, or signs its requests.
    pub has_keys: bool,
    /// How many of its keys work.
    pub live_keys: usize,
    /// The live key that ends first: its last four characters, and when.
    pub next_end: Option<(String, Timestamp)>,
    /// When it last got a token; up to a few seconds late.
    pub last_used_at: Option<Timestamp>,
    /// Since when it gets no tokens.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the member is called who looks after it.
    pub owner: Option<String>,
}

/// Which apps. Nothing leaves out none.
#[derive(Debug, Clone, Default)]
pub struct AppFilter {
    /// A part of the name, in any case of ASCII letters, or of the id, of which four characters are enough.
    pub words: Option<String>,
    /// Those that get tokens, or those that do not.
    pub enabled: Option<bool>,
    /// Those that were granted scopes of that API.
    pub api_id: Option<Uuid>,
    /// Those that are as old and got no token from that moment on.
    pub unused_since: Option<Timestamp>,
    /// Those with a key that works and ends before that moment.
    pub ending_before: Option<Timestamp>,
    /// Those that somebody looks after, or nobody.
    pub owner: Option<OwnerFilter>,
}

/// Who looks after an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerFilter {
    /// That person.
    Person(Uuid),
    /// Nobody.
    Nobody,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppOrder {
    /// By name, whatever the case of ASCII letters.
    #[default]
    Name,
    /// By age.
    Created,
    /// By last use; an app that was never used comes before all others.
    LastUsed,
}

type Row = (String, String, String, Option<i64>, i64, Option<String>);

type Query<'a> = apps::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

/// As the index on it has it.
fn folded_name() -> SqlLiteral<Text> {
    sql("lower(apps.name)")
}

/// Asked for each app: the two columns together are the key of the table of uses.
fn last_use() -> SqlLiteral<BigInt> {
    sql("COALESCE((SELECT MAX(used_at) FROM app_key_uses WHERE app_key_uses.app_id = apps.id), -1)")
}

/// Whether people may mean a part of an id by it; a shorter one is in too many of them.
fn is_part_of_id(words: &str) -> bool {
    words.len() >= 4 && words.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn picked<'a>(organisation_id: Uuid, filter: &AppFilter, now: Timestamp) -> Query<'a> {
    let mut query = apps::table.filter(apps::organisation_id.eq(organisation_id.to_string())).into_boxed();
    if let Some(words) = &filter.words {
        let pattern = pattern(words);
        let in_name = folded_name().like(pattern.clone()).escape('\\');
        query = match (is_storable(words), is_part_of_id(words)) {
            (false, _) => query.filter(apps::id.is_null()),
            (true, true) => query.filter(in_name.or(apps::id.like(pattern).escape('\\'))),
            (true, false) => query.filter(in_name),
        };
    }
    query = match filter.enabled {
        Some(true) => query.filter(apps::disabled_at.is_null()),
        Some(false) => query.filter(apps::disabled_at.is_not_null()),
        None => query,
    };
    if let Some(api_id) = filter.api_id {
        let granted = app_scopes::table.filter(app_scopes::app_id.eq(apps::id));
        query = query.filter(exists(granted.filter(app_scopes::api_id.eq(api_id.to_string()))));
    }
    if let Some(since) = filter.unused_since {
        let uses = app_key_uses::table.filter(app_key_uses::app_id.eq(apps::id));
        let unused = not(exists(uses.filter(app_key_uses::used_at.ge(since.seconds()))));
        query = query.filter(apps::created_at.lt(since.seconds())).filter(unused);
    }
    if let Some(before) = filter.ending_before {
        let keys = app_keys::table.filter(app_keys::app_id.eq(apps::id)).filter(app_keys::revoked_at.is_null());
        let ends = app_keys::expires_at.gt(now.seconds()).and(app_keys::expires_at.lt(before.seconds()));
        query = query.filter(exists(keys.filter(ends)));
    }
    match filter.owner {
        Some(OwnerFilter::Person(id)) => query.filter(apps::owner_id.eq(id.to_string())),
        Some(OwnerFilter::Nobody) => query.filter(apps::owner_id.is_null()),
        None => query,
    }
}

/// How many apps of an organisation the filter leaves.
///
/// # Errors
/// When the database does not answer.
pub fn count_picked(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    filter: &AppFilter,
    now: Timestamp,
) -> Result<i64, DbError> {
    Ok(picked(organisation_id, filter, now).select(count_star()).first(conn)?)
}

/// The apps that the filter leaves, at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn list_picked(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    filter: &AppFilter,
    (order, descending): (AppOrder, bool),
    (offset, limit): (i64, i64),
    now: Timestamp,
) -> Result<Vec<AppSummary>, DbError> {
    let query = picked(organisation_id, filter, now);
    let query = match (order, descending) {
        (AppOrder::Name, false) => query.order((folded_name(), apps::id)),
        (AppOrder::Name, true) => query.order((folded_name().desc(), apps::id.desc())),
        (AppOrder::Created, false) => query.order((apps::created_at, apps::id)),
        (AppOrder::Created, true) => query.order((apps::created_at.desc(), apps::id.desc())),
        (AppOrder::LastUsed, false) => query.order((last_use(), apps::id)),
        (AppOrder::LastUsed, true) => query.order((last_use().desc(), apps::id.desc())),
    };
    let columns = (apps::id, apps::name, apps::auth_method, apps::disabled_at, apps::created_at, apps::owner_id);
    let rows: Vec<Row> = query.select(columns).limit(limit).offset(offset).load(conn)?;
    let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    let (scopes, keys, uses) = (count_scopes(conn, &ids)?, live_keys(conn, &ids, now)?, last_uses(conn, &ids)?);
    let owners: Vec<String> = rows.iter().filter_map(|row| row.5.clone()).collect();
    let owners =
        if owners.is_empty() { HashMap::new() } else { actors::list_people(conn, Some(organisation_id), &owners)? };
    let summary = |(id, name, auth_method, disabled_at, created_at, owner_id): Row| {
        let keys = keys.get(&id).map(Vec::as_slice).unwrap_or_default();
        let ends = keys.iter().filter_map(|key| Some((key.hint.clone(), key.ends_at?)));
        Ok(AppSummary {
            client_id: ClientId::parse(&id).ok_or_else(|| DbError::Corrupt {
                table: "apps",
                column: "id",
                id: id.clone(),
            })?,
            name,
            scopes: scopes.get(&id).copied().unwrap_or_default(),
            has_keys: auth_method == ClientAuthentication::CLIENT_SECRET,
            live_keys: keys.len(),
            next_end: ends.min_by_key(|(_, ends_at)| *ends_at),
            last_used_at: uses.get(&id).copied(),
            disabled_at: disabled_at.map(Timestamp::from_seconds),
            created_at: Timestamp::from_seconds(created_at),
            owner: owner_id.and_then(|id| owners.get(&id).cloned()),
        })
    };
    rows.into_iter().map(summary).collect()
}

fn count_scopes(conn: &mut AnyConnection, ids: &[&str]) -> Result<HashMap<String, i64>, DbError> {
    let of_apps = app_scopes::table.filter(app_scopes::app_id.eq_any(ids)).group_by(app_scopes::app_id);
    let rows: Vec<(String, i64)> = of_apps.select((app_scopes::app_id, count_star())).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A key that works.
struct LiveKey {
    hint: String,
    ends_at: Option<Timestamp>,
}

fn live_keys(conn: &mut AnyConnection, ids: &[&str], now: Timestamp) -> Result<HashMap<String, Vec<LiveKey>>, DbError> {
    let live = app_keys::expires_at.is_null().or(app_keys::expires_at.gt(now.seconds()));
    let rows: Vec<(String, String, Option<i64>)> = app_keys::table
        .filter(app_keys::app_id.eq_any(ids))
        .filter(app_keys::revoked_at.is_null())
        .filter(live)
        .select((app_keys::app_id, app_keys::hint, app_keys::expires_at))
        .load(conn)?;
    let mut keys: HashMap<String, Vec<LiveKey>> = HashMap::new();
    for (id, hint, ends_at) in rows {
        keys.entry(id).or_default().push(LiveKey { hint, ends_at: ends_at.map(Timestamp::from_seconds) });
    }
    Ok(keys)
}

fn last_uses(conn: &mut AnyConnection, ids: &[&str]) -> Result<HashMap<String, Timestamp>, DbError> {
    let of_apps = app_key_uses::table.filter(app_key_uses::app_id.eq_any(ids)).group_by(app_key_uses::app_id);
    let rows: Vec<(String, Option<i64>)> =
        of_apps.select((app_key_uses::app_id, max(app_key_uses::used_at))).load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, at)| Some((id, Timestamp::from_seconds(at?)))).collect())
}
