//! What those are called who did something.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::{apps, developers};

/// People by their ids: the name, or the address of one without.
///
/// # Errors
/// When the database does not answer.
pub fn list_people(conn: &mut AnyConnection, ids: &[String]) -> Result<HashMap<String, String>, DbError> {
    let rows: Vec<(String, String, String)> = developers::table
        .filter(developers::id.eq_any(ids))
        .select((developers::id, developers::name, developers::email))
        .load(conn)?;
    Ok(rows.into_iter().map(|(id, name, email)| (id, if name.is_empty() { email } else { name })).collect())
}

/// Apps of an organisation by their ids: the name.
///
/// # Errors
/// When the database does not answer.
pub fn list_apps(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    ids: &[String],
) -> Result<HashMap<String, String>, DbError> {
    let of_organisation = apps::table.filter(apps::organisation_id.eq(organisation_id.to_string()));
    let rows: Vec<(String, String)> =
        of_organisation.filter(apps::id.eq_any(ids)).select((apps::id, apps::name)).load(conn)?;
    Ok(rows.into_iter().collect())
}
