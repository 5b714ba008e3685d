//! The scopes of an API.

use serde_json::json;

use super::{VersionedApi, WhichApi, find, find_any};
use crate::db::apis::{self, ApiRecord, ScopeRecord};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError};
use crate::oauth::scope::{LONGEST_SCOPE_NAME, is_scope_name};
use crate::service::{Management, ServiceError};

/// What a scope means to people is at most this long.
const LONGEST_DESCRIPTION: usize = 500;
/// Scopes of one API: each answer about it holds all of them.
const MOST_SCOPES: usize = 1_000;

/// Adds a scope to an API.
///
/// # Errors
/// `NotFound`, `Invalid` for a name that cannot be used, `Conflict` for one that is taken.
pub fn add_scope(m: &Management, which: impl Into<WhichApi>, scope: ScopeRecord) -> Result<VersionedApi, ServiceError> {
    check_scope(&scope, SCOPE_ALONE)?;
    let (deed, which) = (m.deed(), which.into());
    m.database.write(move |conn| {
        let api = find(conn, &deed, &which)?;
        check_count(api.scopes.len() + 1, SCOPE_ALONE)?;
        refuse_reserved(conn, std::slice::from_ref(&scope))?;
        apis::insert_scope(conn, api.id, api.organisation_id, &scope).map_err(taken_scope)?;
        let detail = json!({ "scope": scope.name });
        let target = api.id.to_string();
        deed.record(conn, api.organisation_id, "api.scope.add", &target, detail, Some(ChangeKind::Api))?;
        VersionedApi::new(find_any(conn, &which)?)
    })
}

/// What to change of a scope; `None` leaves as it is. Its name stands in tokens and stays.
#[derive(Debug, Clone, Default)]
pub struct ScopeUpdate {
    /// What it means to people.
    pub description: Option<String>,
    /// Whether whoever grants it should think twice.
    pub sensitive: Option<bool>,
}

/// Changes what a scope means to people: its description, and whether it is sensitive.
///
/// # Errors
/// `NotFound`, and `Invalid` for a description that cannot be used.
pub fn update_scope(
    m: &Management,
    which: impl Into<WhichApi>,
    name: &str,
    update: ScopeUpdate,
) -> Result<VersionedApi, ServiceError> {
    let (deed, which, name) = (m.deed(), which.into(), name.to_owned());
    // What can never be used is refused as such, whatever there is.
    let given = update.description.clone().unwrap_or_default();
    check_scope(&ScopeRecord { name: name.clone(), description: given, sensitive: false }, SCOPE_ALONE)?;
    m.database.write(move |conn| {
        let api = find(conn, &deed, &which)?;
        let Some(before) = api.scopes.iter().find(|known| known.name == name) else {
            return Err(unknown_scope(&api, &name));
        };
        let scope = ScopeRecord {
            name,
            description: update.description.unwrap_or_else(|| before.description.clone()),
            sensitive: update.sensitive.unwrap_or(before.sensitive),
        };
        if *before == scope {
            // What changes nothing is no deed.
            return VersionedApi::new(api);
        }
        apis::update_scope(conn, api.id, &scope)?;
        let detail = json!({ "scope": scope.name, "description": scope.description, "sensitive": scope.sensitive });
        let target = api.id.to_string();
        deed.record(conn, api.organisation_id, "api.scope.update", &target, detail, Some(ChangeKind::Api))?;
        VersionedApi::new(find_any(conn, &which)?)
    })
}

/// Takes a scope from an API and from every app that has it. Tokens already issued keep it until they expire.
///
/// # Errors
/// `NotFound`.
pub fn remove_scope(m: &Management, which: impl Into<WhichApi>, name: &str) -> Result<VersionedApi, ServiceError> {
    let (deed, which, name) = (m.deed(), which.into(), name.to_owned());
    m.database.write(move |conn| {
        let api = find(conn, &deed, &which)?;
        if !apis::delete_scope(conn, api.id, &name)? {
            return Err(unknown_scope(&api, &name));
        }
        let detail = json!({ "scope": name });
        let target = api.id.to_string();
        deed.record(conn, api.organisation_id, "api.scope.remove", &target, detail, Some(ChangeKind::Api))?;
        VersionedApi::new(find_any(conn, &which)?)
    })
}

fn unknown_scope(api: &ApiRecord, name: &str) -> ServiceError {
    ServiceError::NotFound(format!("{} has no scope `{name}`", api.identifier))
}

pub(super) fn taken_scope(error: DbError) -> ServiceError {
    ServiceError::duplicate(
        "a scope of that name belongs to an API of this organisation already; a name tells which API it is for, so put the API's name in front, such as billing:read",
    )(error)
}

pub(super) fn refuse_reserved(conn: &mut AnyConnection, scopes: &[ScopeRecord]) -> Result<(), ServiceError> {
    let own = apis::find(conn, apis::MANAGEMENT_API)?.map(|api| api.scopes).unwrap_or_default();
    match scopes.iter().find(|scope| own.iter().any(|reserved| reserved.name == scope.name)) {
        Some(scope) => Err(ServiceError::Conflict(format!("the scope `{}` belongs to Brevet's own API", scope.name))),
        None => Ok(()),
    }
}

/// The members of a body that hold a scope's name and its description.
pub(super) type ScopeFields = (&'static str, &'static str);
const SCOPE_ALONE: ScopeFields = ("name", "description");
pub(super) const SCOPE_OF_NEW_API: ScopeFields = ("scopes", "scopes");

pub(super) fn check_count(scopes: usize, (field, _): ScopeFields) -> Result<(), ServiceError> {
    if scopes <= MOST_SCOPES {
        return Ok(());
    }
    Err(ServiceError::field(field, format!("an API can have at most {MOST_SCOPES} scopes")))
}

pub(super) fn check_scope(
    scope: &ScopeRecord,
    (name_field, description_field): ScopeFields,
) -> Result<(), ServiceError> {
    let ScopeRecord { name, description, .. } = scope;
    if !is_scope_name(name) || name.len() > LONGEST_SCOPE_NAME {
        let rule =
            format!("use 1 to {LONGEST_SCOPE_NAME} printable ASCII characters without space, quote or backslash");
        let text = format!("`{name}` cannot be a scope: {rule}");
        return Err(ServiceError::field_shown(name_field, format!("a scope's name: {rule}"), text));
    }
    if description.chars().count() > LONGEST_DESCRIPTION || description.chars().any(char::is_control) {
        let rule = format!("may have at most {LONGEST_DESCRIPTION} characters, none of them a control character");
        let text = format!("the text of the scope {name} {rule}");
        return Err(ServiceError::field_shown(description_field, format!("a scope's description {rule}"), text));
    }
    Ok(())
}
