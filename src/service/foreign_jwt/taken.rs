//! A JWT that is good, and whether it was used before.

use std::sync::Arc;

use super::unavailable;
use crate::clock::Timestamp;
use crate::db::trusted_issuers::TrustedIssuerRecord;
use crate::db::used_jti::{self, Jti};
use crate::db::{AnyConnection, DbError};
use crate::directory::trusted_issuers::TrustedIssuer;
use crate::oauth::ThirdParty;
use crate::oauth::trust::{RefusedJwt, TrustError, Way};
use crate::service::Authority;

/// Under which ids of third parties' JWTs are remembered, whichever way they came, apart from those of clients' own.
const PURPOSE: &str = "third-party-jwt";

/// A JWT that is good and was not taken yet.
#[derive(Debug)]
pub(in crate::service) struct Untaken {
    pub(super) issuer: Arc<TrustedIssuer>,
    pub(super) way: Way,
    /// Its id, and until when that is remembered, if it is good once.
    pub(super) once: Option<(String, Timestamp)>,
    /// For the log.
    pub(super) third_party: Arc<ThirdParty>,
}

/// Whose ids are remembered: another organisation may trust keys of its own under the same name.
fn whose_ids(record: &TrustedIssuerRecord) -> String {
    format!("{} {}", record.organisation_id, record.issuer)
}

/// Whether a JWT of that id was used before. Uses nothing up. Blocks.
pub(in crate::service) fn was_used(
    conn: &mut AnyConnection,
    record: &TrustedIssuerRecord,
    jti: &str,
) -> Result<bool, DbError> {
    used_jti::is_used(conn, &whose_ids(record), PURPOSE, jti)
}

impl Untaken {
    /// Uses the JWT up if it is good once, in whichever way it came and for whichever app, and counts it. After everything
    /// else: who cannot sign for the issuer must not burn its ids.
    ///
    /// # Errors
    /// `Replayed`, or `Unavailable` when that cannot be known.
    pub(in crate::service) async fn take(self, authority: &Authority) -> Result<(), RefusedJwt> {
        let taken = self.use_up(authority).await;
        let (id, counts) = (self.issuer.record.id, &authority.trust_counts);
        match &taken {
            Ok(()) => counts.accepted(id),
            Err(error) => counts.refused(id, error),
        }
        counts.ended(self.way, taken.as_ref().err());
        taken.map_err(RefusedJwt::of(&self.third_party))
    }

    async fn use_up(&self, authority: &Authority) -> Result<(), TrustError> {
        let Some((jti, forget_at)) = self.once.clone() else { return Ok(()) };
        let whose = whose_ids(&self.issuer.record);
        let record = move |conn: &mut AnyConnection| used_jti::record(conn, &whose, PURPOSE, &jti, forget_at);
        let recorded = authority.directory.database().insert_off_thread(record).await;
        match recorded.map_err(unavailable)? {
            Jti::Fresh => Ok(()),
            Jti::Replayed => Err(TrustError::Replayed),
        }
    }

    /// Whether it could be taken now. Uses nothing up and counts nothing.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(in crate::service) async fn check_unused(&self, authority: &Authority) -> Result<(), RefusedJwt> {
        let Some((jti, _)) = self.once.clone() else { return Ok(()) };
        let issuer = self.issuer.clone();
        let look = move |conn: &mut AnyConnection| was_used(conn, &issuer.record, &jti);
        let used = authority.directory.database().read_off_thread(look).await;
        let verdict =
            used.map_err(unavailable).and_then(|is_used| if is_used { Err(TrustError::Replayed) } else { Ok(()) });
        verdict.map_err(RefusedJwt::of(&self.third_party))
    }
}
