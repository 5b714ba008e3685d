//! Trusted issuers: third parties whose JWTs are good in an organisation.

mod known;
mod lists;
mod outcomes;
mod trusting;

use std::collections::{BTreeSet, HashMap};

use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::known::{KeyPlace, KnownIssuer, list_known};
pub use self::lists::{count_found, list_app_names, list_names, search, sum_outcomes};
pub use self::outcomes::{OutcomeCount, add_outcomes, delete_stale_outcomes, list_outcomes};
pub use self::trusting::{Meant, Sought, list_of_issuer, list_sought};
use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{trusted_issuer_audiences, trusted_issuer_scopes, trusted_issuers};
use super::usage;
use crate::clock::Timestamp;
use crate::oauth::ClientId;
use crate::oauth::trust::TrustPolicy;

/// A trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedIssuerRecord {
    /// Ours; the `client_id` of what is issued to users that it names.
    pub id: ClientId,
    /// Where its JWTs are good.
    pub organisation_id: Uuid,
    /// Its name for people.
    pub name: String,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The app that its JWTs stand for; none if they name users.
    pub app: Option<ClientId>,
    /// What its JWTs must say.
    pub policy: TrustPolicy,
    /// Since when its JWTs are refused.
    pub disabled_at: Option<Timestamp>,
    /// What was issued to users that it names before this is dead.
    pub not_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What its users are granted, or the only scopes that its app gets: API and name.
    pub scopes: Vec<(Uuid, String)>,
}

#[derive(Queryable)]
struct Row {
    id: String,
    organisation_id: String,
    name: String,
    issuer: String,
    app_id: Option<String>,
    policy: String,
    disabled_at: Option<i64>,
    not_before: i64,
    created_at: i64,
    updated_at: i64,
    _accept_directly: i64,
}

impl Row {
    fn with_scopes(self, scopes: Vec<(String, String)>) -> Result<TrustedIssuerRecord, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "trusted_issuers", column, id: self.id.clone() };
        let app = self.app_id.as_deref().map(|id| ClientId::parse(id).ok_or_else(|| corrupt("app_id")));
        Ok(TrustedIssuerRecord {
            id: ClientId::parse(&self.id).ok_or_else(|| corrupt("id"))?,
            organisation_id: parse_id(&self.organisation_id, "trusted_issuers")?,
            app: app.transpose()?,
            policy: serde_json::from_str(&self.policy).map_err(|_not_a_policy| corrupt("policy"))?,
            disabled_at: self.disabled_at.map(Timestamp::from_seconds),
            not_before: Timestamp::from_seconds(self.not_before),
            created_at: Timestamp::from_seconds(self.created_at),
            updated_at: Timestamp::from_seconds(self.updated_at),
            name: self.name,
            issuer: self.issuer,
            scopes: scopes
                .into_iter()
                .map(|(api_id, scope)| Ok((parse_id(&api_id, "trusted_issuer_scopes")?, scope)))
                .collect::<Result<_, DbError>>()?,
        })
    }
}

/// Rows as records: one question for what all of them grant.
fn read(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let mut scopes: HashMap<String, Vec<(String, String)>> = HashMap::new();
    if !ids.is_empty() {
        let granted: Vec<(String, String, String)> = trusted_issuer_scopes::table
            .filter(trusted_issuer_scopes::trusted_issuer_id.eq_any(ids))
            .order((trusted_issuer_scopes::trusted_issuer_id, trusted_issuer_scopes::scope))
            .select((
                trusted_issuer_scopes::trusted_issuer_id,
                trusted_issuer_scopes::api_id,
                trusted_issuer_scopes::scope,
            ))
            .load(conn)?;
        for (id, api_id, scope) in granted {
            scopes.entry(id).or_default().push((api_id, scope));
        }
    }
    let with_scopes = |row: Row| {
        let scopes = scopes.remove(&row.id).unwrap_or_default();
        row.with_scopes(scopes)
    };
    rows.into_iter().map(with_scopes).collect()
}

fn write_policy(issuer: &TrustedIssuerRecord) -> Result<String, DbError> {
    serde_json::to_string(&issuer.policy).map_err(|error| DbError::Other(error.to_string()))
}

/// What of an issuer stands in rows of its own.
fn insert_parts(conn: &mut AnyConnection, issuer: &TrustedIssuerRecord) -> Result<(), DbError> {
    // As the policy says them: there, one may stand twice.
    for audience in issuer.policy.audiences.iter().collect::<BTreeSet<_>>() {
        let row = (
            trusted_issuer_audiences::trusted_issuer_id.eq(issuer.id.to_string()),
            trusted_issuer_audiences::audience.eq(audience),
        );
        diesel::insert_into(trusted_issuer_audiences::table).values(row).execute(conn)?;
    }
    for (api_id, scope) in &issuer.scopes {
        let row = (
            trusted_issuer_scopes::trusted_issuer_id.eq(issuer.id.to_string()),
            trusted_issuer_scopes::api_id.eq(api_id.to_string()),
            trusted_issuer_scopes::scope.eq(scope),
        );
        diesel::insert_into(trusted_issuer_scopes::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Adds an issuer with what it grants.
///
/// # Errors
/// `MissingReference` when there is no such organisation, app or scope.
pub fn insert(conn: &mut AnyConnection, issuer: &TrustedIssuerRecord) -> Result<(), DbError> {
    let row = (
        trusted_issuers::id.eq(issuer.id.to_string()),
        trusted_issuers::organisation_id.eq(issuer.organisation_id.to_string()),
        trusted_issuers::name.eq(&issuer.name),
        trusted_issuers::issuer.eq(&issuer.issuer),
        trusted_issuers::app_id.eq(issuer.app.map(|app| app.to_string())),
        trusted_issuers::policy.eq(write_policy(issuer)?),
        trusted_issuers::disabled_at.eq(issuer.disabled_at.map(Timestamp::seconds)),
        trusted_issuers::not_before.eq(issuer.not_before.seconds()),
        trusted_issuers::created_at.eq(issuer.created_at.seconds()),
        trusted_issuers::updated_at.eq(issuer.updated_at.seconds()),
        trusted_issuers::accept_directly.eq(i64::from(issuer.policy.accept_directly)),
    );
    diesel::insert_into(trusted_issuers::table).values(row).execute(conn)?;
    insert_parts(conn, issuer)
}

/// Changes everything of an issuer but its id and whose it is. `false` if there is none.
///
/// # Errors
/// `MissingReference` when there is no such app or scope.
pub fn update(conn: &mut AnyConnection, issuer: &TrustedIssuerRecord) -> Result<bool, DbError> {
    let id = issuer.id.to_string();
    let changed = diesel::update(trusted_issuers::table.find(&id))
        .set((
            trusted_issuers::name.eq(&issuer.name),
            trusted_issuers::issuer.eq(&issuer.issuer),
            trusted_issuers::app_id.eq(issuer.app.map(|app| app.to_string())),
            trusted_issuers::policy.eq(write_policy(issuer)?),
            trusted_issuers::disabled_at.eq(issuer.disabled_at.map(Timestamp::seconds)),
            trusted_issuers::not_before.eq(issuer.not_before.seconds()),
            trusted_issuers::updated_at.eq(issuer.updated_at.seconds()),
            trusted_issuers::accept_directly.eq(i64::from(issuer.policy.accept_directly)),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(false);
    }
    diesel::delete(trusted_issuer_scopes::table.filter(trusted_issuer_scopes::trusted_issuer_id.eq(&id)))
        .execute(conn)?;
    diesel::delete(trusted_issuer_audiences::table.filter(trusted_issuer_audiences::trusted_issuer_id.eq(&id)))
        .execute(conn)?;
    insert_parts(conn, issuer)?;
    Ok(true)
}

/// Deletes an issuer with its counts. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, id: ClientId) -> Result<bool, DbError> {
    outcomes::delete(conn, id)?;
    usage::delete(conn, id)?;
    Ok(diesel::delete(trusted_issuers::table.find(id.to_string())).execute(conn)? == 1)
}

/// The issuer with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: ClientId) -> Result<Option<TrustedIssuerRecord>, DbError> {
    let row: Option<Row> = trusted_issuers::table.find(id.to_string()).first(conn).optional()?;
    Ok(read(conn, row.into_iter().collect())?.pop())
}

/// Issuers of an organisation in the order of their ids, at most `limit`, those after `after`.
///
/// # Errors
/// When the database does not answer.
pub fn list(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    let mut query = trusted_issuers::table
        .filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()))
        .order(trusted_issuers::id)
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(trusted_issuers::id.gt(after.to_string()));
    }
    let rows: Vec<Row> = query.load(conn)?;
    read(conn, rows)
}

/// The entries of an organisation for the issuer of that name, by id.
///
/// # Errors
/// When the database does not answer.
pub fn list_of_organisation(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    issuer: &str,
) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    if !is_storable(issuer) {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = trusted_issuers::table
        .filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()))
        .filter(trusted_issuers::issuer.eq(issuer))
        .order(trusted_issuers::id)
        .load(conn)?;
    read(conn, rows)
}

/// Issuers whose JWTs stand for that app, by id.
///
/// # Errors
/// When the database does not answer.
pub fn list_of_app(conn: &mut AnyConnection, app: ClientId) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    let rows: Vec<Row> = trusted_issuers::table
        .filter(trusted_issuers::app_id.eq(app.to_string()))
        .order(trusted_issuers::id)
        .load(conn)?;
    read(conn, rows)
}

/// How many issuers an organisation trusts.
///
/// # Errors
/// When the database does not answer.
pub fn count(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<i64, DbError> {
    let of_organisation =
        trusted_issuers::table.filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()));
    Ok(of_organisation.count().get_result(conn)?)
}

/// How many octets the policies of an organisation have, but for that of one issuer.
///
/// # Errors
/// When the database does not answer.
pub fn sum_policies(conn: &mut AnyConnection, organisation_id: Uuid, but: ClientId) -> Result<i64, DbError> {
    let of_others = trusted_issuers::table
        .filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()))
        .filter(trusted_issuers::id.ne(but.to_string()))
        .select(sql::<BigInt>("coalesce(sum(octet_length(trusted_issuers.policy)), 0)"));
    Ok(of_others.get_result(conn)?)
}
