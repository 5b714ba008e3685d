//! Reading who did what. Nothing changes or deletes what was written down.

use uuid::Uuid;

use super::{Management, ServiceError};
use crate::db::audit::{self, AuditFilter, AuditRecord};

/// The deeds in an organisation, newest first, at most `limit`, those before `before`.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(
    m: &Management,
    organisation: &str,
    filter: &AuditFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AuditRecord>, ServiceError> {
    m.database.read_with(|conn| {
        let organisation = super::organisations::find(conn, organisation)?;
        Ok(audit::list(conn, organisation.id, filter, before, limit)?)
    })
}
