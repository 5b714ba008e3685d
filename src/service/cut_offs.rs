//! Cut-offs: every token issued until now is dead, of one app, of one organisation, or of all.
//!
//! The moment that is written down is the second after the present one, and a token is dead when its `iat` is earlier:
//! that is certain for every token there is, because `iat` is never later than the second of issue. A node that has
//! heard of the cut-off dates what it issues no earlier than that, so those tokens are good. What a node issues before
//! it has heard is dead; [`KNOWN_EVERYWHERE`] says how long that may be.

use std::time::Duration;

use serde_json::json;

use super::{Management, ServiceError, apps, organisations};
use crate::clock::Timestamp;
use crate::db::changes::ChangeKind;
use crate::db::cut_offs;
use crate::oauth::ClientId;

/// From then on, every token that is asked for is good.
pub const KNOWN_EVERYWHERE: Duration = Duration::from_secs(1);

/// Ends every token of an app.
///
/// # Errors
/// `NotFound`.
pub fn revoke_app_tokens(m: &Management, client_id: ClientId) -> Result<Timestamp, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let app = apps::find(conn, &deed, client_id)?.app;
        let not_before = cut_offs::raise_for_app(conn, &app, deed.now)?;
        let (target, detail) = (client_id.to_string(), json!({ "not_before": not_before.rfc3339() }));
        deed.record(conn, Some(app.organisation_id), "app.revoke-tokens", &target, detail, Some(ChangeKind::App))?;
        Ok(not_before)
    })
}

/// Ends every token of an organisation's apps.
///
/// # Errors
/// `NotFound`.
pub fn revoke_organisation_tokens(m: &Management, slug: &str) -> Result<Timestamp, ServiceError> {
    let (deed, slug) = (m.deed(), slug.to_owned());
    m.database.write(move |conn| {
        let found = organisations::find(conn, &slug)?;
        let not_before = cut_offs::raise_for_organisation(conn, &found, deed.now)?;
        let (target, detail) = (found.id.to_string(), json!({ "not_before": not_before.rfc3339() }));
        let changed = Some(ChangeKind::Organisation);
        deed.record(conn, Some(found.id), "organisation.revoke-tokens", &target, detail, changed)?;
        Ok(not_before)
    })
}

/// Ends every token.
///
/// # Errors
/// When the database does not answer.
pub fn revoke_all_tokens(m: &Management) -> Result<Timestamp, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let not_before = cut_offs::raise_for_all(conn, deed.now)?;
        let detail = json!({ "not_before": not_before.rfc3339() });
        deed.record(conn, None, "token.revoke-all", "all", detail, Some(ChangeKind::CutOff))?;
        Ok(not_before)
    })
}
