//! From where people signed in before.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::sign_in_networks;
use crate::clock::Timestamp;

/// Networks kept of one person; the one used longest ago makes room.
const MOST: i64 = 20;

/// Whether the person signed in from there since that moment.
///
/// # Errors
/// When the database does not answer.
pub fn is_known(
    conn: &mut AnyConnection,
    developer_id: Uuid,
    network: &str,
    since: Timestamp,
) -> Result<bool, DbError> {
    let found: Option<i64> = sign_in_networks::table
        .find((developer_id.to_string(), network))
        .filter(sign_in_networks::last_used_at.ge(since.seconds()))
        .select(sign_in_networks::last_used_at)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Notes that the person signed in from there.
///
/// # Errors
/// When the database does not take it.
pub fn record(conn: &mut AnyConnection, developer_id: Uuid, network: &str, now: Timestamp) -> Result<(), DbError> {
    let id = developer_id.to_string();
    let known = sign_in_networks::table.find((&id, network));
    let updated = diesel::update(known).set(sign_in_networks::last_used_at.eq(now.seconds())).execute(conn)?;
    if updated == 0 {
        let row = (
            sign_in_networks::developer_id.eq(&id),
            sign_in_networks::network.eq(network),
            sign_in_networks::last_used_at.eq(now.seconds()),
        );
        diesel::insert_into(sign_in_networks::table).values(row).execute(conn)?;
    }
    let of_person = sign_in_networks::table.filter(sign_in_networks::developer_id.eq(&id));
    let too_many: Vec<String> = of_person
        .order((sign_in_networks::last_used_at.desc(), sign_in_networks::network))
        .offset(MOST)
        .limit(MOST)
        .select(sign_in_networks::network)
        .load(conn)?;
    let forgotten = sign_in_networks::table
        .filter(sign_in_networks::developer_id.eq(&id))
        .filter(sign_in_networks::network.eq_any(too_many));
    diesel::delete(forgotten).execute(conn)?;
    Ok(())
}
