//! Who trusts an issuer: found by what a JWT says of itself, and by whom whoever shows it says that it is for.

use std::sync::Arc;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::sql_types::BigInt;
use diesel::{BoolExpressionMethods, Connection, ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{Row, TrustedIssuerRecord, read};
use crate::db::conn::{AnyConnection, is_storable};
use crate::db::error::DbError;
use crate::db::organisations;
use crate::db::schema::{trusted_issuer_audiences, trusted_issuers};
use crate::oauth::ClientId;

/// Entries that are read where none has an audience of the JWT: only to say what is wrong with it.
const MOST_FOR_A_REASON: i64 = 8;

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
    /// The users of that organisation.
    UsersOf(Uuid),
}

/// Which entries are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sought {
    /// `iss`
    pub issuer: Arc<str>,
    /// `aud`, each once and in order; nothing if the audience does not matter.
    pub audiences: Option<Arc<[Box<str>]>>,
    /// Whose.
    pub meant: Meant,
}

type Query<'a> = trusted_issuers::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

/// The how-many-eth of its organisation an entry is, the oldest first: so that a limit cuts off what one organisation has too
/// many of, and not what others have.
fn place_in_organisation() -> SqlLiteral<BigInt> {
    sql("row_number() OVER (PARTITION BY trusted_issuers.organisation_id \
         ORDER BY trusted_issuers.created_at, trusted_issuers.id)")
}

/// The enabled entries of those that are meant; `None` if there can be none.
fn enabled<'a>(conn: &mut AnyConnection, issuer: &'a str, meant: &Meant) -> Result<Option<Query<'a>>, DbError> {
    let of_issuer = trusted_issuers::table
        .filter(trusted_issuers::issuer.eq(issuer))
        .filter(trusted_issuers::disabled_at.is_null())
        .into_boxed();
    let names_users = || trusted_issuers::app_id.is_null();
    Ok(Some(match meant {
        Meant::Anybody => of_issuer,
        Meant::Bearer => of_issuer.filter(trusted_issuers::accept_directly.eq(1)),
        Meant::Organisation(slug) => {
            let Some(organisation) = organisations::find_by_slug(conn, slug)? else { return Ok(None) };
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
        Meant::UsersOf(organisation_id) => {
            of_issuer.filter(names_users()).filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()))
        }
    }))
}

fn load(conn: &mut AnyConnection, query: Query<'_>, limit: i64) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    let order = (place_in_organisation(), trusted_issuers::created_at, trusted_issuers::id);
    let rows: Vec<Row> = query.order(order).limit(limit).load(conn)?;
    read(conn, rows)
}

/// The enabled entries that are sought, at most `limit`: the oldest of each organisation first, then the second of each, and so
/// on. If none has the audience, a few that have another: they say what is wrong.
///
/// # Errors
/// When the database does not answer.
pub fn list_sought(conn: &mut AnyConnection, sought: &Sought, limit: i64) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    if !is_storable(&sought.issuer) {
        return Ok(Vec::new());
    }
    let Some(meant) = enabled(conn, &sought.issuer, &sought.meant)? else { return Ok(Vec::new()) };
    let Some(audiences) = &sought.audiences else { return load(conn, meant, limit) };
    let audiences: Vec<&str> = audiences.iter().map(|audience| &**audience).filter(|text| is_storable(text)).collect();
    let of_audience = trusted_issuer_audiences::table
        .filter(trusted_issuer_audiences::audience.eq_any(audiences))
        .select(trusted_issuer_audiences::trusted_issuer_id);
    let found = load(conn, meant.filter(trusted_issuers::id.eq_any(of_audience)), limit)?;
    if !found.is_empty() {
        return Ok(found);
    }
    match enabled(conn, &sought.issuer, &sought.meant)? {
        Some(meant) => load(conn, meant, limit.min(MOST_FOR_A_REASON)),
        None => Ok(Vec::new()),
    }
}

/// Those that trust the issuer of that name, enabled or not, at most `limit`: the oldest of each organisation first.
///
/// # Errors
/// When the database does not answer.
pub fn list_of_issuer(conn: &mut AnyConnection, issuer: &str, limit: i64) -> Result<Vec<TrustedIssuerRecord>, DbError> {
    if !is_storable(issuer) {
        return Ok(Vec::new());
    }
    load(conn, trusted_issuers::table.filter(trusted_issuers::issuer.eq(issuer)).into_boxed(), limit)
}
