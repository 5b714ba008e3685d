//! What those are called who did something.

use std::collections::{BTreeSet, HashMap};

use diesel::dsl::count_star;
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::{AnyConnection, on_either};
use super::error::DbError;
use super::schema::{apps, developers, memberships};

/// People by their ids: the name, with the address where somebody else has the same name or it looks like an address itself,
/// because anybody may choose a name and only an address is proven. One without a name is called by the address.
///
/// Of an organisation it names the members only.
///
/// # Errors
/// When the database does not answer.
pub fn list_people(
    conn: &mut AnyConnection,
    organisation_id: Option<Uuid>,
    ids: &[String],
) -> Result<HashMap<String, String>, DbError> {
    let organisation = organisation_id.map(|id| id.to_string());
    let columns = (developers::id, developers::name, developers::email);
    let people: Vec<(String, String, String)> = match &organisation {
        Some(id) => on_either!(&mut *conn, c => developers::table
            .inner_join(memberships::table.on(memberships::developer_id.eq(developers::id)))
            .filter(memberships::organisation_id.eq(id))
            .filter(developers::id.eq_any(ids))
            .select(columns)
            .load(c))?,
        None => on_either!(&mut *conn, c => developers::table
            .filter(developers::id.eq_any(ids))
            .select(columns)
            .load(c))?,
    };
    let names: BTreeSet<&str> =
        people.iter().map(|(_, name, _)| name.as_str()).filter(|name| !name.is_empty()).collect();
    let shared = list_shared(conn, organisation.as_deref(), names)?;
    let call = |name: String, email: String| match name.as_str() {
        "" => email,
        _ if name.contains('@') || shared.contains(&name) => format!("{name} ({email})"),
        _ => name,
    };
    Ok(people.into_iter().map(|(id, name, email)| (id, call(name, email))).collect())
}

/// Which of these names several people have.
fn list_shared(
    conn: &mut AnyConnection,
    organisation: Option<&str>,
    names: BTreeSet<&str>,
) -> Result<BTreeSet<String>, DbError> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let shared: Vec<String> = match organisation {
        Some(id) => on_either!(&mut *conn, c => developers::table
            .inner_join(memberships::table.on(memberships::developer_id.eq(developers::id)))
            .filter(memberships::organisation_id.eq(id))
            .filter(developers::name.eq_any(names))
            .group_by(developers::name)
            .having(count_star().gt(1))
            .select(developers::name)
            .load(c))?,
        None => on_either!(&mut *conn, c => developers::table
            .filter(developers::name.eq_any(names))
            .group_by(developers::name)
            .having(count_star().gt(1))
            .select(developers::name)
            .load(c))?,
    };
    Ok(shared.into_iter().collect())
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
