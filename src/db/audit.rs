//! Who did what, when. Rows are written in the transaction of the deed and never changed.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::audit;
use crate::clock::Timestamp;

/// A deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// In which organisation; `None` for what concerns the whole server.
    pub organisation_id: Option<Uuid>,
    /// Who: `cli:root`, `server`, …
    pub actor: String,
    /// What: `app.create`, `key.rotate`, …
    pub action: String,
    /// To what: its id.
    pub target: String,
    /// JSON without secrets.
    pub detail: serde_json::Value,
}

/// Writes a deed down.
///
/// # Errors
/// When the database does not take it; then the deed must not be done.
pub fn record(conn: &mut AnyConnection, entry: &AuditEntry) -> Result<(), DbError> {
    let row = (
        audit::id.eq(Uuid::now_v7().to_string()),
        audit::at.eq(entry.at.seconds()),
        audit::organisation_id.eq(entry.organisation_id.map(|id| id.to_string())),
        audit::actor.eq(&entry.actor),
        audit::action.eq(&entry.action),
        audit::target.eq(&entry.target),
        audit::detail.eq(entry.detail.to_string()),
    );
    diesel::insert_into(audit::table).values(row).execute(conn)?;
    Ok(())
}

/// When an action was last done to a target.
///
/// # Errors
/// When the database does not answer.
pub fn find_last(conn: &mut AnyConnection, action: &str, target: &str) -> Result<Option<Timestamp>, DbError> {
    let deeds = audit::table.filter(audit::target.eq(target)).filter(audit::action.eq(action));
    let last: Option<i64> = deeds.select(diesel::dsl::max(audit::at)).first(conn)?;
    Ok(last.map(Timestamp::from_seconds))
}

/// The actions done to a target, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list_actions(conn: &mut AnyConnection, target: &str) -> Result<Vec<(String, String)>, DbError> {
    let of_target = audit::table.filter(audit::target.eq(target)).order(audit::id);
    Ok(of_target.select((audit::action, audit::actor)).load(conn)?)
}
