//! Deleting an app.

use serde_json::json;

use super::find;
use crate::db::apps::{self, AppRecord};
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError, cut_offs};
use crate::oauth::ClientId;
use crate::service::deed::Deed;
use crate::service::{Management, ServiceError, trusted_issuers};

/// Deletes an app with its keys; the tokens it has are refused.
///
/// # Errors
/// `NotFound`.
pub fn delete(m: &Management, client_id: ClientId) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = find(conn, &deed, client_id)?.app;
        Ok(remove(conn, &deed, &app)?)
    })
}

/// The same for people, who must have switched it off first and must say its name: nothing brings it back.
///
/// # Errors
/// `NotFound`, `Stale`, `Conflict` while it is on, and `InvalidField` for another name.
pub fn delete_by_name(m: &Management, client_id: ClientId, name: &str) -> Result<(), ServiceError> {
    let (deed, name) = (m.deed(), name.trim().to_owned());
    m.database.write(move |conn| {
        let app = find(conn, &deed, client_id)?.app;
        if app.disabled_at.is_none() {
            return Err(ServiceError::Conflict("the app gets tokens; disable it first".to_owned()));
        }
        if app.name != name {
            return Err(ServiceError::field("confirm", "type the name of the app exactly as it stands"));
        }
        Ok(remove(conn, &deed, &app)?)
    })
}

/// Deletes an app that is there, with all that stood for it.
pub(in crate::service) fn remove(conn: &mut AnyConnection, deed: &Deed, app: &AppRecord) -> Result<(), DbError> {
    trusted_issuers::remove_of_app(conn, deed, app.client_id)?;
    apps::delete(conn, app.client_id)?;
    cut_offs::record_deleted(conn, app.client_id, deed.now)?;
    let detail = json!({ "name": app.name });
    let target = app.client_id.to_string();
    deed.record(conn, Some(app.organisation_id), "app.delete", &target, detail, Some(ChangeKind::App))
}
