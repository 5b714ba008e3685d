//! Entries that would stand in each other's way.

use super::TrustedIssuerRecord;
use crate::db::AnyConnection;
use crate::db::trusted_issuers::{self, Meant};
use crate::service::ServiceError;

/// Entries of one issuer that are looked through for another that takes its JWTs as they are.
const MOST_DIRECT: i64 = 10_000;

/// With two entries for users of one issuer it would not be clear which scopes they get; and who shows a JWT as a bearer
/// token names no organisation, so that two that take it would shut each other out.
pub(super) fn refuse_rivals(conn: &mut AnyConnection, record: &TrustedIssuerRecord) -> Result<(), ServiceError> {
    let policy = &record.policy;
    if policy.accept_directly {
        let direct = trusted_issuers::list_of_issuer(conn, &record.issuer, &Meant::Bearer, MOST_DIRECT)?;
        let is_shared = |audience: &String| policy.audiences.contains(audience);
        let elsewhere = |other: &&TrustedIssuerRecord| other.organisation_id != record.organisation_id;
        if direct.iter().filter(elsewhere).any(|other| other.policy.audiences.iter().any(is_shared)) {
            return Err(ServiceError::field(
                "audiences",
                "another organisation accepts this issuer's tokens directly with one of these audiences; choose an audience of your own",
            ));
        }
    }
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
