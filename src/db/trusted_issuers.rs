//! Trusted issuers: third parties whose JWTs are good in an organisation.

mod known;
mod lists;
mod outcomes;

use std::sync::Arc;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::known::{KeyPlace, KnownIssuer, list_known};
pub use self::lists::{count_found, list_app_names, search, sum_outcomes};
pub use self::outcomes::{OutcomeCount, add_outcomes, delete_stale_outcomes, list_outcomes};
use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::organisations::{self, parse_id};
use super::schema::{trusted_issuer_scopes, trusted_issuers};
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
    fn with_scopes(self, conn: &mut AnyConnection) -> Result<TrustedIssuerRecord, DbError> {
        let corrupt = |column| DbError::Corrupt { table: "trusted_issuers", column, id: self.id.clone() };
        let scopes: Vec<(String, String)> = trusted_issuer_scopes::table
            .filter(trusted_issuer_scopes::trusted_issuer_id.eq(&self.id))
            .order(trusted_issuer_scopes::scope)
            .select((trusted_issuer_scopes::api_id, trusted_issuer_scopes::scope))
            .load(conn)?;
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

fn write_policy(issuer: &TrustedIssuerRecord) -> Result<String, DbError> {
    serde_json::to_string(&issuer.policy).map_err(|error| DbError::Other(error.to_string()))
}

fn insert_scopes(conn: &mut AnyConnection, issuer: &TrustedIssuerRecord) -> Result<(), DbError> {
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
    insert_scopes(conn, issuer)
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
    diesel::delete(trusted_issuer_scopes::table.filter(trusted_issuer_scopes::trusted_issuer_id.eq(id)))
        .execute(conn)?;
    insert_scopes(conn, issuer)?;
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
    row.map(|row| row.with_scopes(conn)).transpose()
}

/// For whom a JWT is, as far as that is known before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Meant {
    /// Whoever trusts its issuer.
    Anybody,
    /// Whoever takes its JWTs as they are.
    Bearer,
    /// The organisation with that slug.
    Organisation(Arc<str>),
    /// This app, or the users that this issuer names.
    Client(ClientId),
    /// What an app may ask for that proved who it is: itself, and the users of its organisation.
    OfApp(ClientId, Uuid),
}

/// Those that trust the issuer of that name, of the ones that are meant, at most `limit`, the oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list_of_issuer(
    conn: &mut AnyConnection,
    issuer: &str,
    meant: &Meant,
    limit: i64,
) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    if !is_storable(issuer) {
        return Ok(Vec::new());
    }
    let of_issuer = trusted_issuers::table.filter(trusted_issuers::issuer.eq(issuer)).into_boxed();
    let names_users = || trusted_issuers::app_id.is_null();
    let of_meant = match meant {
        Meant::Anybody => of_issuer,
        Meant::Bearer => of_issuer.filter(trusted_issuers::accept_directly.eq(1)),
        Meant::Organisation(slug) => {
            let Some(organisation) = organisations::find_by_slug(conn, slug)? else { return Ok(Vec::new()) };
            of_issuer.filter(trusted_issuers::organisation_id.eq(organisation.id.to_string()))
        }
        Meant::Client(client_id) => {
            let users = names_users().and(trusted_issuers::id.eq(client_id.to_string()));
            of_issuer.filter(trusted_issuers::app_id.eq(client_id.to_string()).or(users))
        }
        Meant::OfApp(app, organisation_id) => {
            let users = names_users().and(trusted_issuers::organisation_id.eq(organisation_id.to_string()));
            of_issuer.filter(trusted_issuers::app_id.eq(app.to_string()).or(users))
        }
    };
    let rows: Vec<Row> = of_meant.order((trusted_issuers::created_at, trusted_issuers::id)).limit(limit).load(conn)?;
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
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
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
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
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
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
    rows.into_iter().map(|row| row.with_scopes(conn)).collect()
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
