//! How many belong together: no organisation and no person becomes a burden for the others.

use uuid::Uuid;

use crate::db::{AnyConnection, members};
use crate::service::ServiceError;

/// Members of one organisation.
const MOST_MEMBERS: i64 = 10_000;
/// Organisations of one person: each request of a session reads them.
const MOST_BELONGINGS: i64 = 100;

/// Refuses a further member. Asked inside the transaction that adds one: writers go one after another, so of many at once
/// none is one too many.
pub(in crate::service) fn check_room_for_member(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
) -> Result<(), ServiceError> {
    if members::count(conn, organisation_id, "")? < MOST_MEMBERS {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!(
        "the organisation has {MOST_MEMBERS} members, the most it may; remove somebody first"
    )))
}

/// Refuses a further organisation of a person, in the same way.
pub(in crate::service) fn check_room_for_organisation(
    conn: &mut AnyConnection,
    developer_id: Uuid,
) -> Result<(), ServiceError> {
    if members::count_belongings(conn, developer_id)? < MOST_BELONGINGS {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!("nobody belongs to more than {MOST_BELONGINGS} organisations; leave one first")))
}
