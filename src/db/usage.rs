//! Use of apps and keys: how many tokens each app got and was refused by the hour, and when each key was last used.
//! Counted in memory and written in batches: the only thing that a crash may cost.

use std::net::IpAddr;

use diesel::upsert::excluded;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::{AnyConnection, on_either};
use super::error::DbError;
use super::schema::{app_key_uses, apps, usage};
use crate::clock::Timestamp;
use crate::oauth::ClientId;

/// Tokens since the last time counts were written.
#[derive(Debug, Clone, Copy)]
pub struct AppCount {
    /// The app.
    pub client_id: ClientId,
    /// Tokens it got.
    pub issued: i64,
    /// Requests of its that were refused.
    pub refused: i64,
}

/// The last use of a key.
#[derive(Debug, Clone)]
pub struct KeyUse {
    /// The key.
    pub key_id: Uuid,
    /// Its app.
    pub client_id: ClientId,
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub from: IpAddr,
}

fn hour(at: Timestamp) -> i64 {
    at.seconds() - at.seconds().rem_euclid(3_600)
}

/// Adds counts to the hour of `at`: one row an app, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add(conn: &mut AnyConnection, counts: &[AppCount], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &AppCount| {
        (
            usage::app_id.eq(count.client_id.to_string()),
            usage::hour.eq(hour(at)),
            usage::issued.eq(count.issued),
            usage::refused.eq(count.refused),
        )
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(usage::table)
            .values(rows)
            .on_conflict((usage::app_id, usage::hour))
            .do_update()
            .set((
                usage::issued.eq(usage::issued + excluded(usage::issued)),
                usage::refused.eq(usage::refused + excluded(usage::refused)),
            ))
            .execute(c))?;
    Ok(())
}

/// Notes the last use of keys: one row a key, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn record_key_uses(conn: &mut AnyConnection, uses: &[KeyUse]) -> Result<(), DbError> {
    let row = |used: &KeyUse| {
        (
            app_key_uses::app_key_id.eq(used.key_id.to_string()),
            app_key_uses::app_id.eq(used.client_id.to_string()),
            app_key_uses::used_at.eq(used.at.seconds()),
            app_key_uses::used_from.eq(used.from.to_string()),
        )
    };
    if uses.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = uses.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(app_key_uses::table)
            .values(rows)
            .on_conflict((app_key_uses::app_id, app_key_uses::app_key_id))
            .do_update()
            .set((
                app_key_uses::used_at.eq(excluded(app_key_uses::used_at)),
                app_key_uses::used_from.eq(excluded(app_key_uses::used_from)),
            ))
            .execute(c))?;
    Ok(())
}

/// When an app last got a token.
pub(super) fn last_use(conn: &mut AnyConnection, app_id: &str) -> Result<Option<Timestamp>, DbError> {
    let of_app = app_key_uses::table.filter(app_key_uses::app_id.eq(app_id));
    let last: Option<i64> = of_app.select(diesel::dsl::max(app_key_uses::used_at)).first(conn)?;
    Ok(last.map(Timestamp::from_seconds))
}

/// Tokens issued to an app and refused it since the hour of `from`.
///
/// # Errors
/// When the database does not answer.
pub fn total(conn: &mut AnyConnection, client_id: ClientId, from: Timestamp) -> Result<(i64, i64), DbError> {
    let rows: Vec<(i64, i64)> = usage::table
        .filter(usage::app_id.eq(client_id.to_string()))
        .filter(usage::hour.ge(hour(from)))
        .select((usage::issued, usage::refused))
        .load(conn)?;
    Ok(rows.iter().fold((0, 0), |(issued, refused), row| (issued + row.0, refused + row.1)))
}

/// Forgets counts from before `from`, and the use of apps that are gone: counts may be written just after an app was
/// deleted.
///
/// # Errors
/// When the database does not take it.
pub fn delete_stale(conn: &mut AnyConnection, from: Timestamp) -> Result<(), DbError> {
    diesel::delete(usage::table.filter(usage::hour.lt(hour(from)))).execute(conn)?;
    let known = || apps::table.select(apps::id);
    diesel::delete(usage::table.filter(usage::app_id.ne_all(known()))).execute(conn)?;
    diesel::delete(app_key_uses::table.filter(app_key_uses::app_id.ne_all(known()))).execute(conn)?;
    Ok(())
}

/// Forgets the use of an app.
pub(super) fn delete(conn: &mut AnyConnection, client_id: ClientId) -> Result<(), DbError> {
    diesel::delete(usage::table.filter(usage::app_id.eq(client_id.to_string()))).execute(conn)?;
    diesel::delete(app_key_uses::table.filter(app_key_uses::app_id.eq(client_id.to_string()))).execute(conn)?;
    Ok(())
}
