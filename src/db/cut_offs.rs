//! What ends many tokens at once: cut-offs, and apps and organisations that are off or gone.
//!
//! A token is dead when its `iat` is earlier than a cut-off that concerns it. Cut-offs only ever rise, and each is
//! later than every one that concerned one of its tokens before: whatever the clock does, a token that was dead stays
//! dead, and a second cut-off ends what was issued after the first.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::dsl::max;
use diesel::{ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::apis::read_lifetime;
use super::apps::AppRecord;
use super::conn::AnyConnection;
use super::error::DbError;
use super::meta;
use super::organisations::OrganisationRecord;
use super::schema::{apps, deleted_apps, organisations, signing_keys, trusted_issuers};
use crate::clock::Timestamp;
use crate::oauth::ClientId;

/// Everything of the kind that may concern a token which is alive otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutOffs {
    /// For every token; `NEVER` if there is none.
    pub all: Timestamp,
    /// By `client_id`.
    pub clients: BTreeMap<String, Timestamp>,
    /// By slug.
    pub tenants: BTreeMap<String, Timestamp>,
    /// Apps and trusted issuers that are off or gone, and since when.
    pub disabled_clients: BTreeMap<String, Timestamp>,
    /// Organisations that are off, and since when.
    pub disabled_tenants: BTreeMap<String, Timestamp>,
    /// How long after its moment an entry may concern a living token.
    pub kept: Duration,
}

/// For tokens that a node issued before it heard, and for what `iat` is back-dated by.
const MARGIN: Duration = Duration::from_secs(3_600);
/// A cut-off made within a second ends the tokens of that second.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// All that matters now.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, now: Timestamp) -> Result<CutOffs, DbError> {
    let kept = longest_token_lifetime(conn)? + MARGIN;
    let since = (now - kept).seconds();
    let by_id = |rows: Vec<(String, i64)>| -> BTreeMap<String, Timestamp> {
        rows.into_iter().map(|(id, at)| (id, Timestamp::from_seconds(at))).collect()
    };
    // Two steps, because an index serves one condition.
    let of_apps = apps::table.filter(apps::not_before.gt(since)).select((apps::id, apps::not_before));
    let mut clients = by_id(of_apps.load(conn)?);
    // A trusted issuer is the client of what its users get.
    let of_issuers = trusted_issuers::table
        .filter(trusted_issuers::not_before.gt(since))
        .select((trusted_issuers::id, trusted_issuers::not_before));
    clients.append(&mut by_id(of_issuers.load(conn)?));
    let off = apps::table.filter(apps::disabled_at.gt(since)).select((apps::id, apps::disabled_at.assume_not_null()));
    let mut disabled_clients = by_id(off.load(conn)?);
    let off_issuers = trusted_issuers::table
        .filter(trusted_issuers::disabled_at.gt(since))
        .select((trusted_issuers::id, trusted_issuers::disabled_at.assume_not_null()));
    disabled_clients.append(&mut by_id(off_issuers.load(conn)?));
    let gone = deleted_apps::table
        .filter(deleted_apps::deleted_at.gt(since))
        .select((deleted_apps::id, deleted_apps::deleted_at));
    disabled_clients.append(&mut by_id(gone.load(conn)?));
    let of_organisations = organisations::table
        .filter(organisations::not_before.gt(since))
        .select((organisations::slug, organisations::not_before));
    let tenants = by_id(of_organisations.load(conn)?);
    let off = organisations::table
        .filter(organisations::disabled_at.gt(since))
        .select((organisations::slug, organisations::disabled_at.assume_not_null()));
    let disabled_tenants = by_id(off.load(conn)?);
    Ok(CutOffs { all: find_for_all(conn)?, clients, tenants, disabled_clients, disabled_tenants, kept })
}

/// The longest life that a token can have had which one of the keys signed.
fn longest_token_lifetime(conn: &mut AnyConnection) -> Result<Duration, DbError> {
    let longest: Option<i64> = signing_keys::table.select(max(signing_keys::token_lifetime)).first(conn)?;
    let corrupt = || DbError::Corrupt { table: "signing_keys", column: "token_lifetime", id: "all keys".to_owned() };
    longest.map_or(Ok(Duration::ZERO), |seconds| read_lifetime(seconds).ok_or_else(corrupt))
}

fn find_for_all(conn: &mut AnyConnection) -> Result<Timestamp, DbError> {
    let Some(text) = meta::find(conn, meta::NOT_BEFORE)? else { return Ok(Timestamp::NEVER) };
    let corrupt = |_| DbError::Corrupt { table: "meta", column: "value", id: meta::NOT_BEFORE.to_owned() };
    Ok(Timestamp::from_seconds(text.parse().map_err(corrupt)?))
}

fn later(now: Timestamp, before: impl IntoIterator<Item = Timestamp>) -> Timestamp {
    before.into_iter().fold(now, Timestamp::max) + SECOND
}

/// Ends every token that was issued to an app until now.
///
/// # Errors
/// When the database does not take it.
pub fn raise_for_app(conn: &mut AnyConnection, app: &AppRecord, now: Timestamp) -> Result<Timestamp, DbError> {
    let of_organisation: Option<i64> = organisations::table
        .find(app.organisation_id.to_string())
        .select(organisations::not_before)
        .first(conn)
        .optional()?;
    let of_organisation = Timestamp::from_seconds(of_organisation.unwrap_or_default());
    let not_before = later(now, [app.not_before, of_organisation, find_for_all(conn)?]);
    diesel::update(apps::table.find(app.client_id.to_string()))
        .set(apps::not_before.eq(not_before.seconds()))
        .execute(conn)?;
    Ok(not_before)
}

/// Ends every token that was issued to an organisation's apps until now.
///
/// # Errors
/// When the database does not take it.
pub fn raise_for_organisation(
    conn: &mut AnyConnection,
    organisation: &OrganisationRecord,
    now: Timestamp,
) -> Result<Timestamp, DbError> {
    let id = organisation.id.to_string();
    let of_apps: Option<i64> =
        apps::table.filter(apps::organisation_id.eq(&id)).select(max(apps::not_before)).first(conn)?;
    let of_issuers: Option<i64> = trusted_issuers::table
        .filter(trusted_issuers::organisation_id.eq(&id))
        .select(max(trusted_issuers::not_before))
        .first(conn)?;
    let of_clients = Timestamp::from_seconds(of_apps.max(of_issuers).unwrap_or_default());
    let not_before = later(now, [organisation.not_before, of_clients, find_for_all(conn)?]);
    diesel::update(organisations::table.find(id))
        .set(organisations::not_before.eq(not_before.seconds()))
        .execute(conn)?;
    Ok(not_before)
}

/// Ends every token that was issued until now.
///
/// # Errors
/// When the database does not take it.
pub fn raise_for_all(conn: &mut AnyConnection, now: Timestamp) -> Result<Timestamp, DbError> {
    let of_apps: Option<i64> = apps::table.select(max(apps::not_before)).first(conn)?;
    let of_organisations: Option<i64> = organisations::table.select(max(organisations::not_before)).first(conn)?;
    let of_issuers: Option<i64> = trusted_issuers::table.select(max(trusted_issuers::not_before)).first(conn)?;
    let highest = of_apps.max(of_organisations).max(of_issuers).map_or(Timestamp::NEVER, Timestamp::from_seconds);
    let not_before = later(now, [highest, find_for_all(conn)?]);
    meta::put(conn, meta::NOT_BEFORE, &not_before.seconds().to_string())?;
    Ok(not_before)
}

/// Remembers that an app is gone.
///
/// # Errors
/// When the database does not take it.
pub fn record_deleted(conn: &mut AnyConnection, client_id: ClientId, now: Timestamp) -> Result<(), DbError> {
    forget_deleted(conn, client_id)?;
    let row = (deleted_apps::id.eq(client_id.to_string()), deleted_apps::deleted_at.eq(now.seconds()));
    diesel::insert_into(deleted_apps::table).values(row).execute(conn)?;
    Ok(())
}

/// When an app was deleted, if that is remembered still.
///
/// # Errors
/// When the database does not answer.
pub fn find_deleted(conn: &mut AnyConnection, client_id: ClientId) -> Result<Option<Timestamp>, DbError> {
    let deleted_at = deleted_apps::table.find(client_id.to_string()).select(deleted_apps::deleted_at);
    Ok(deleted_at.first::<i64>(conn).optional()?.map(Timestamp::from_seconds))
}

/// Forgets that an app was gone: another of that id is there, with a cut-off of its own.
///
/// # Errors
/// When the database does not take it.
pub fn forget_deleted(conn: &mut AnyConnection, client_id: ClientId) -> Result<(), DbError> {
    diesel::delete(deleted_apps::table.find(client_id.to_string())).execute(conn)?;
    Ok(())
}

/// Forgets the apps whose tokens are all over.
///
/// # Errors
/// When the database does not take it.
pub fn delete_old(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    let until = (now - longest_token_lifetime(conn)? - MARGIN).seconds();
    Ok(diesel::delete(deleted_apps::table.filter(deleted_apps::deleted_at.le(until))).execute(conn)?)
}
