//! From where apps asked: for each app and day the addresses that got most tokens.
//!
//! Few are kept and the rest is left out, so a count may be a little off: an address that was pushed out begins anew.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diesel::dsl::{count_star, max, min};
use diesel::upsert::excluded;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::DAY;
use crate::clock::Timestamp;
use crate::db::conn::{AnyConnection, on_either};
use crate::db::error::DbError;
use crate::db::schema::usage_addresses;
use crate::oauth::ClientId;

/// Addresses of one app on one day.
pub const MOST_ADDRESSES: usize = 20;
/// No detail is kept for longer.
const MOST_DAYS: i64 = 400;

/// Tokens that went to one address since the last time counts were written.
#[derive(Debug, Clone, Copy)]
pub struct AddressCount {
    /// Whose tokens.
    pub client_id: ClientId,
    /// Where to.
    pub address: IpAddr,
    /// How many.
    pub issued: i64,
}

fn day(at: Timestamp) -> i64 {
    at.seconds() - at.seconds().rem_euclid(DAY)
}

fn days(from: i64, to: i64) -> Vec<i64> {
    (0..MOST_DAYS).map(|number| from + number * DAY).take_while(|day| *day <= to).collect()
}

/// Adds tokens to the day of `at`: one row an address, in one statement.
///
/// # Errors
/// When the database does not take it.
pub fn add_addresses(conn: &mut AnyConnection, counts: &[AddressCount], at: Timestamp) -> Result<(), DbError> {
    let row = |count: &AddressCount| {
        (
            usage_addresses::day.eq(day(at)),
            usage_addresses::app_id.eq(count.client_id.to_string()),
            usage_addresses::address.eq(count.address.to_string()),
            usage_addresses::issued.eq(count.issued),
        )
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    on_either!(conn, c => diesel::insert_into(usage_addresses::table)
            .values(rows)
            .on_conflict((usage_addresses::day, usage_addresses::app_id, usage_addresses::address))
            .do_update()
            .set(usage_addresses::issued.eq(usage_addresses::issued + excluded(usage_addresses::issued)))
            .execute(c))?;
    Ok(())
}

/// Leaves these apps no more than [`MOST_ADDRESSES`] on the day of `at`: those with the most tokens.
///
/// # Errors
/// When the database does not take it.
pub fn trim_addresses(conn: &mut AnyConnection, apps: &[ClientId], at: Timestamp) -> Result<(), DbError> {
    let ids: Vec<String> = apps.iter().map(ToString::to_string).collect();
    let counted: Vec<(String, i64)> = usage_addresses::table
        .filter(usage_addresses::day.eq(day(at)))
        .filter(usage_addresses::app_id.eq_any(ids))
        .group_by(usage_addresses::app_id)
        .select((usage_addresses::app_id, count_star()))
        .load(conn)?;
    trim(conn, day(at), counted)
}

/// The same for all apps on the day of `at` and the one before.
///
/// # Errors
/// When the database does not take it.
pub fn trim_all_addresses(conn: &mut AnyConnection, at: Timestamp) -> Result<(), DbError> {
    for day in [day(at) - DAY, day(at)] {
        let counted: Vec<(String, i64)> = usage_addresses::table
            .filter(usage_addresses::day.eq(day))
            .group_by(usage_addresses::app_id)
            .having(count_star().gt(kept()))
            .select((usage_addresses::app_id, count_star()))
            .load(conn)?;
        trim(conn, day, counted)?;
    }
    Ok(())
}

fn kept() -> i64 {
    i64::try_from(MOST_ADDRESSES).unwrap_or(i64::MAX)
}

fn trim(conn: &mut AnyConnection, day: i64, counted: Vec<(String, i64)>) -> Result<(), DbError> {
    for (app_id, _) in counted.into_iter().filter(|(_, count)| *count > kept()) {
        let of_app = || usage_addresses::table.filter(usage_addresses::day.eq(day));
        let of_app = || of_app().filter(usage_addresses::app_id.eq(app_id.clone()));
        let mut addresses: Vec<String> = of_app()
            .order((usage_addresses::issued.desc(), usage_addresses::address))
            .select(usage_addresses::address)
            .load(conn)?;
        let beyond = addresses.split_off(MOST_ADDRESSES.min(addresses.len()));
        for few in beyond.chunks(500) {
            diesel::delete(of_app().filter(usage_addresses::address.eq_any(few))).execute(conn)?;
        }
    }
    Ok(())
}

/// The addresses to which most tokens of an app went, on the days from that of `from` to that of `to`.
///
/// # Errors
/// When the database does not answer.
pub fn top_addresses(
    conn: &mut AnyConnection,
    client_id: ClientId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows: Vec<(String, i64)> = usage_addresses::table
        .filter(usage_addresses::day.eq_any(days(day(from), day(to))))
        .filter(usage_addresses::app_id.eq(client_id.to_string()))
        .select((usage_addresses::address, usage_addresses::issued))
        .load(conn)?;
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (address, issued) in rows {
        *sums.entry(address).or_default() += issued;
    }
    let mut top: Vec<(String, i64)> = sums.into_iter().collect();
    top.sort_by_key(|(_, issued)| std::cmp::Reverse(*issued));
    top.truncate(MOST_ADDRESSES);
    Ok(top)
}

/// Forgets the days before that of `from`.
pub(super) fn delete_old(conn: &mut AnyConnection, from: Timestamp) -> Result<(), DbError> {
    diesel::delete(usage_addresses::table.filter(usage_addresses::day.lt(day(from)))).execute(conn)?;
    Ok(())
}

/// Forgets those of an app. Named by its days, as the key of the table has them.
pub(super) fn delete(conn: &mut AnyConnection, app_id: &str) -> Result<(), DbError> {
    let (first, last): (Option<i64>, Option<i64>) =
        usage_addresses::table.select((min(usage_addresses::day), max(usage_addresses::day))).first(conn)?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    let of_app = usage_addresses::table.filter(usage_addresses::day.eq_any(days(first, last)));
    diesel::delete(of_app.filter(usage_addresses::app_id.eq(app_id))).execute(conn)?;
    Ok(())
}
