//! APIs in lists.

use uuid::Uuid;

use super::{WhichApi, find_any, own_identifier, unknown_api};
use crate::db::apis::{self, ApiName, ApiRecord};
use crate::service::organisations::find as find_organisation;
use crate::service::paging::{Found, PER_PAGE, Search};
use crate::service::{Management, ServiceError};

/// The APIs an organisation's apps can have scopes of, Brevet's own last.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(m: &Management, organisation: &str) -> Result<Vec<ApiRecord>, ServiceError> {
    let slug = organisation.to_owned();
    let found = m.database.read(|conn| match crate::db::organisations::find_by_slug(conn, &slug)? {
        Some(organisation) => apis::list(conn, organisation.id).map(Some),
        None => Ok(None),
    })?;
    let mut found = found
        .ok_or_else(|| ServiceError::NotFound(format!("there is no organisation `{slug}`; see: brevet org list")))?;
    for api in found.iter_mut().filter(|api| api.organisation_id.is_none()) {
        api.identifier = own_identifier(m);
    }
    Ok(found)
}

/// An organisation's own APIs whose name or identifier holds the words, by name, and how many there are without words.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn search(m: &Management, organisation: &str, search: &Search) -> Result<(Found<ApiRecord>, i64), ServiceError> {
    let words = search.words.trim();
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        let total = apis::count(conn, id, "")?;
        let number = if words.is_empty() { total } else { apis::count(conn, id, words)? };
        let found = Found::load(conn, search.page, number, |conn, place| apis::search(conn, id, words, place))?;
        Ok((found, total))
    })
}

/// What the first APIs of an organisation are called, by name, with Brevet's own and the one of that id.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list_names(m: &Management, organisation: &str, also: Option<Uuid>) -> Result<Vec<ApiName>, ServiceError> {
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        Ok(apis::list_names(conn, id, also, PER_PAGE)?)
    })
}

/// The APIs among which the scopes of an app are chosen.
#[derive(Debug, Clone)]
pub struct Choices {
    /// By name, Brevet's own last.
    pub apis: Vec<ApiRecord>,
    /// How many the organisation has of its own.
    pub total: i64,
}

/// The APIs of an organisation among which scopes are chosen: those that have one of `scopes`, those of `ids`, and the
/// first of the others whose name or identifier holds the words.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn choose(
    m: &Management,
    organisation: &str,
    scopes: &[String],
    ids: &[Uuid],
    words: &str,
) -> Result<Choices, ServiceError> {
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        let mut apis = apis::choose(conn, id, (scopes, ids), words.trim(), PER_PAGE)?;
        for api in apis.iter_mut().filter(|api| api.organisation_id.is_none()) {
            api.identifier = own_identifier(m);
        }
        Ok(Choices { apis, total: apis::count(conn, id, "")? })
    })
}

/// The APIs an organisation's apps can have scopes of, in the order of their ids, at most `limit`, those after `after`.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list_page(
    m: &Management,
    organisation: &str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ApiRecord>, ServiceError> {
    let mut found = m.database.read_with(|conn| {
        let organisation = find_organisation(conn, organisation)?;
        Ok::<_, ServiceError>(apis::list_page(conn, organisation.id, after, limit)?)
    })?;
    for api in found.iter_mut().filter(|api| api.organisation_id.is_none()) {
        api.identifier = own_identifier(m);
    }
    Ok(found)
}

/// An app that has scopes of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppOfApi {
    /// Its App SID.
    pub client_id: String,
    /// What people call it.
    pub name: String,
    /// How many of the API's scopes it has.
    pub scopes: i64,
}

/// The organisation's apps that have scopes of an API, by name: at most `limit`, and how many there are.
///
/// # Errors
/// `NotFound`.
pub fn apps_using(
    m: &Management,
    which: impl Into<WhichApi>,
    limit: i64,
) -> Result<(Vec<AppOfApi>, i64), ServiceError> {
    let which = which.into();
    let deed = m.deed();
    m.database.read_with(|conn| {
        let api = find_any(conn, &which)?;
        if api.organisation_id.is_none() || !deed.doer.reaches(api.organisation_id) {
            return Err(unknown_api(&which));
        }
        let apps = apis::list_apps(conn, api.id, limit)?;
        let app = |(client_id, name, scopes)| AppOfApi { client_id, name, scopes };
        Ok((apps.into_iter().map(app).collect(), apis::count_apps(conn, api.id)?))
    })
}
