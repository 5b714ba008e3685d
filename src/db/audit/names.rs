//! What those are called whom deeds name by their ids.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use crate::db::actors;
use crate::db::conn::{AnyConnection, on_either};
use crate::db::error::DbError;
use crate::db::schema::{apis, apps, signing_keys, trusted_issuers};

/// Names by id, of those that are still there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// People.
    pub people: BTreeMap<String, String>,
    /// Apps.
    pub apps: BTreeMap<String, String>,
    /// APIs.
    pub apis: BTreeMap<String, String>,
    /// Trusted issuers.
    pub issuers: BTreeMap<String, String>,
    /// Signing keys that are still published.
    pub signing_keys: Vec<String>,
}

/// The names of people, apps, APIs and trusted issuers of an organisation; of anybody, and of signing keys, if it is the whole server that
/// is asked about.
///
/// # Errors
/// When the database does not answer.
pub fn find_names(
    conn: &mut AnyConnection,
    organisation_id: Option<Uuid>,
    people: &[String],
    targets: &[String],
) -> Result<Names, DbError> {
    let organisation = organisation_id.map(|id| id.to_string());
    let people = actors::list_people(conn, organisation_id, people)?;
    let mut names = Names { people: people.into_iter().collect(), ..Names::default() };
    if let Some(id) = &organisation {
        let found: Vec<(String, String)> = on_either!(&mut *conn, c => apps::table
            .filter(apps::organisation_id.eq(id))
            .filter(apps::id.eq_any(targets))
            .select((apps::id, apps::name))
            .load(c))?;
        names.apps = found.into_iter().collect();
        let found: Vec<(String, String)> = on_either!(&mut *conn, c => apis::table
            .filter(apis::organisation_id.eq(id))
            .filter(apis::id.eq_any(targets))
            .select((apis::id, apis::name))
            .load(c))?;
        names.apis = found.into_iter().collect();
        let found: Vec<(String, String)> = on_either!(&mut *conn, c => trusted_issuers::table
            .filter(trusted_issuers::organisation_id.eq(id))
            .filter(trusted_issuers::id.eq_any(targets))
            .select((trusted_issuers::id, trusted_issuers::name))
            .load(c))?;
        names.issuers = found.into_iter().collect();
    } else {
        names.signing_keys = on_either!(&mut *conn, c => signing_keys::table
            .filter(signing_keys::kid.eq_any(targets))
            .select(signing_keys::kid)
            .load(c))?;
    }
    Ok(names)
}
