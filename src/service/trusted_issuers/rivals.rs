//! Entries that would stand in each other's way.

use super::TrustedIssuerRecord;
use crate::db::{AnyConnection, trusted_issuers};
use crate::service::ServiceError;

/// With two entries for users of one issuer it would not be clear which scopes they get.
pub(super) fn refuse_rivals(conn: &mut AnyConnection, record: &TrustedIssuerRecord) -> Result<(), ServiceError> {
    if record.app.is_some() {
        return Ok(());
    }
    let of_issuer = trusted_issuers::list_of_organisation(conn, record.organisation_id, &record.issuer)?;
    if of_issuer.iter().any(|other| other.app.is_none() && other.id != record.id) {
        return Err(ServiceError::Conflict(
            "this issuer names users here already; change that entry, which takes several keys and audiences"
                .to_owned(),
        ));
    }
    Ok(())
}
