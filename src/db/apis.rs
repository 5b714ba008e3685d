//! APIs and their scopes.

mod lists;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use diesel::{
    AggregateExpressionMethods, BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    RunQueryDsl,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::lists::{ApiName, choose, count, list, list_names, list_page, search};
use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{api_scopes, apis, app_scopes, apps};
use crate::clock::Timestamp;
use crate::oauth::{Api, SigningAlgorithm, TokenProfile};

/// Brevet's own management API, written by the first migration.
pub const MANAGEMENT_API: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// A scope of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRecord {
    /// What stands in tokens.
    pub name: String,
    /// What it means to people.
    pub description: String,
    /// Whether whoever grants it should think twice. Says nothing to tokens.
    #[serde(default)]
    pub sensitive: bool,
}

/// An API as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// Ours.
    pub id: Uuid,
    /// Whose it is; `None` for Brevet's own.
    pub organisation_id: Option<Uuid>,
    /// Its name for people.
    pub name: String,
    /// What stands in `aud`.
    pub identifier: String,
    /// What its tokens look like.
    pub profile: TokenProfile,
    /// How its tokens are signed.
    pub algorithm: SigningAlgorithm,
    /// The longest its tokens may live.
    pub lifetime: Option<Duration>,
    /// In the order in which they were added.
    pub scopes: Vec<ScopeRecord>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ApiRecord {
    /// What tokens need to know of it.
    pub fn for_tokens(&self) -> Api {
        Api {
            id: self.id,
            organisation_id: self.organisation_id,
            identifier: Arc::from(self.identifier.as_str()),
            profile: self.profile,
            algorithm: self.algorithm,
            lifetime: self.lifetime,
            scopes: self.scopes.iter().map(|scope| Arc::from(scope.name.as_str())).collect(),
        }
    }
}

#[derive(Queryable)]
struct Row {
    id: String,
    organisation_id: Option<String>,
    name: String,
    identifier: String,
    profile: String,
    algorithm: String,
    lifetime: Option<i64>,
    created_at: i64,
}

impl Row {
    fn with(self, scopes: Vec<ScopeRecord>) -> Result<ApiRecord, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "apis", column, id: self.id.clone() };
        Ok(ApiRecord {
            id: parse_id(&self.id, "apis")?,
            organisation_id: self.organisation_id.as_deref().map(|id| parse_id(id, "apis")).transpose()?,
            profile: TokenProfile::from_name(&self.profile).ok_or_else(|| corrupt("profile"))?,
            algorithm: SigningAlgorithm::from_name(&self.algorithm).ok_or_else(|| corrupt("algorithm"))?,
            lifetime: self
                .lifetime
                .map(|seconds| read_lifetime(seconds).ok_or_else(|| corrupt("lifetime")))
                .transpose()?,
            created_at: Timestamp::from_seconds(self.created_at),
            name: self.name,
            identifier: self.identifier,
            scopes,
        })
    }
}

/// APIs asked about at once when their scopes are read.
const AT_ONCE: usize = 500;

/// The same with their scopes, in the same order, by few statements however many there are.
fn with_scopes(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<ApiRecord>, DbError> {
    let mut by_api: HashMap<String, Vec<ScopeRecord>> = HashMap::new();
    for some in rows.chunks(AT_ONCE) {
        let ids: Vec<&str> = some.iter().map(|row| row.id.as_str()).collect();
        let scopes: Vec<(String, String, String, i64)> = api_scopes::table
            .filter(api_scopes::api_id.eq_any(ids))
            .order((api_scopes::api_id, api_scopes::position, api_scopes::name))
            .select((api_scopes::api_id, api_scopes::name, api_scopes::description, api_scopes::sensitive))
            .load(conn)?;
        for (api_id, name, description, sensitive) in scopes {
            by_api.entry(api_id).or_default().push(ScopeRecord { name, description, sensitive: sensitive != 0 });
        }
    }
    rows.into_iter()
        .map(|row| {
            let scopes = by_api.remove(&row.id).unwrap_or_default();
            row.with(scopes)
        })
        .collect()
}

/// Seconds in a column.
pub(super) fn read_lifetime(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Seconds for a column.
pub(super) fn write_lifetime(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// Adds an API with its scopes.
///
/// # Errors
/// `Duplicate` when the identifier is taken on this server, or a scope's name in this organisation.
pub fn insert(conn: &mut AnyConnection, api: &ApiRecord) -> Result<(), DbError> {
    let row = (
        apis::id.eq(api.id.to_string()),
        apis::organisation_id.eq(api.organisation_id.map(|id| id.to_string())),
        apis::name.eq(&api.name),
        apis::identifier.eq(&api.identifier),
        apis::profile.eq(api.profile.name()),
        apis::algorithm.eq(api.algorithm.name()),
        apis::lifetime.eq(api.lifetime.map(write_lifetime)),
        apis::created_at.eq(api.created_at.seconds()),
    );
    diesel::insert_into(apis::table).values(row).execute(conn)?;
    for scope in &api.scopes {
        insert_scope(conn, api.id, api.organisation_id, scope)?;
    }
    Ok(())
}

/// Adds a scope to an API, after those it has.
///
/// # Errors
/// `Duplicate` when the name is taken in this organisation.
pub fn insert_scope(
    conn: &mut AnyConnection,
    api_id: Uuid,
    organisation_id: Option<Uuid>,
    scope: &ScopeRecord,
) -> Result<(), DbError> {
    let of_api = api_scopes::table.filter(api_scopes::api_id.eq(api_id.to_string()));
    let last: Option<i64> = of_api.select(diesel::dsl::max(api_scopes::position)).first(conn)?;
    let row = (
        api_scopes::api_id.eq(api_id.to_string()),
        api_scopes::organisation_id.eq(organisation_id.map(|id| id.to_string())),
        api_scopes::name.eq(&scope.name),
        api_scopes::description.eq(&scope.description),
        api_scopes::position.eq(last.unwrap_or(-1) + 1),
        api_scopes::sensitive.eq(i64::from(scope.sensitive)),
    );
    diesel::insert_into(api_scopes::table).values(row).execute(conn)?;
    Ok(())
}

/// Changes what a scope means to people. `false` if there is none of that name.
///
/// # Errors
/// When the database does not take it.
pub fn update_scope(conn: &mut AnyConnection, api_id: Uuid, scope: &ScopeRecord) -> Result<bool, DbError> {
    if !is_storable(&scope.name) {
        return Ok(false);
    }
    let changed = diesel::update(api_scopes::table.find((api_id.to_string(), &scope.name)))
        .set((api_scopes::description.eq(&scope.description), api_scopes::sensitive.eq(i64::from(scope.sensitive))))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Takes a scope from an API, and so from every app that was granted it. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete_scope(conn: &mut AnyConnection, api_id: Uuid, name: &str) -> Result<bool, DbError> {
    Ok(is_storable(name) && diesel::delete(api_scopes::table.find((api_id.to_string(), name))).execute(conn)? == 1)
}

/// The API with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<ApiRecord>, DbError> {
    let row: Option<Row> = apis::table.find(id.to_string()).first(conn).optional()?;
    Ok(with_scopes(conn, row.into_iter().collect())?.pop())
}

/// The API with that identifier.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_identifier(conn: &mut AnyConnection, identifier: &str) -> Result<Option<ApiRecord>, DbError> {
    if !is_storable(identifier) {
        return Ok(None);
    }
    let row: Option<Row> = apis::table.filter(apis::identifier.eq(identifier)).first(conn).optional()?;
    Ok(with_scopes(conn, row.into_iter().collect())?.pop())
}

/// The API that a scope's name belongs to, in that organisation or among Brevet's own.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_scope(conn: &mut AnyConnection, organisation_id: Uuid, scope: &str) -> Result<Option<Uuid>, DbError> {
    if !is_storable(scope) {
        return Ok(None);
    }
    let here = api_scopes::organisation_id.eq(organisation_id.to_string()).or(api_scopes::organisation_id.is_null());
    let id: Option<String> = api_scopes::table
        .filter(api_scopes::name.eq(scope))
        .filter(here)
        .select(api_scopes::api_id)
        .first(conn)
        .optional()?;
    id.map(|id| parse_id(&id, "api_scopes")).transpose()
}

/// How many apps were granted a scope of an API.
///
/// # Errors
/// When the database does not answer.
pub fn count_apps(conn: &mut AnyConnection, api_id: Uuid) -> Result<i64, DbError> {
    let of_api = app_scopes::table.filter(app_scopes::api_id.eq(api_id.to_string()));
    Ok(of_api.select(diesel::dsl::count(app_scopes::app_id).aggregate_distinct()).first(conn)?)
}

/// The apps that were granted a scope of an API, by name: id, name and how many of its scopes; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn list_apps(conn: &mut AnyConnection, api_id: Uuid, limit: i64) -> Result<Vec<(String, String, i64)>, DbError> {
    Ok(app_scopes::table
        .inner_join(apps::table)
        .filter(app_scopes::api_id.eq(api_id.to_string()))
        .group_by((apps::id, apps::name))
        .order((apps::name, apps::id))
        .select((apps::id, apps::name, diesel::dsl::count(app_scopes::scope)))
        .limit(limit)
        .load(conn)?)
}

/// Changes an API's name, profile, algorithm and lifetime.
///
/// # Errors
/// When the database does not take it.
pub fn update(conn: &mut AnyConnection, api: &ApiRecord) -> Result<(), DbError> {
    diesel::update(apis::table.find(api.id.to_string()))
        .set((
            apis::name.eq(&api.name),
            apis::profile.eq(api.profile.name()),
            apis::algorithm.eq(api.algorithm.name()),
            apis::lifetime.eq(api.lifetime.map(write_lifetime)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Deletes an API with its scopes.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, id: Uuid) -> Result<(), DbError> {
    diesel::delete(apis::table.find(id.to_string())).execute(conn)?;
    Ok(())
}
