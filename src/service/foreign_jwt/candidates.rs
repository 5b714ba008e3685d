//! Of all who trust an issuer, those whom a request may be for, and the one that counts.

use std::sync::Arc;

use super::Narrowing;
use crate::db::trusted_issuers::TrustedIssuerRecord;
use crate::directory::Directory;
use crate::directory::trusted_issuers::{MOST_CANDIDATES, Meant, TrustedIssuer};
use crate::oauth::trust::{TrustError, Way};
use crate::oauth::{Client, ClientId};
use crate::service::Authority;

/// An entry that may take a JWT, and the client it would be for.
pub(in crate::service) struct Candidate {
    pub(in crate::service) issuer: Arc<TrustedIssuer>,
    pub(in crate::service) client: Arc<Client>,
}

/// Of several entries that trust an issuer, the one that counts.
pub(in crate::service) struct Choice<T> {
    taken: Option<(ClientId, T)>,
    refusal: TrustError,
}

impl<T> Choice<T> {
    pub(in crate::service) fn new() -> Self {
        Self { taken: None, refusal: TrustError::UnknownIssuer }
    }

    /// Takes in what came of one entry, the oldest first.
    ///
    /// # Errors
    /// `Ambiguous`: two entries take the JWT, for two clients.
    pub(in crate::service) fn consider(
        &mut self,
        client_id: ClientId,
        checked: Result<T, TrustError>,
    ) -> Result<(), TrustError> {
        match (checked, &self.taken) {
            (Ok(taken), None) => self.taken = Some((client_id, taken)),
            // Two entries for one app are alternatives, of which the older counts.
            (Ok(_), Some((first, _))) if *first == client_id => {}
            (Ok(_), Some(_)) => return Err(TrustError::Ambiguous),
            (Err(error), _) if error.progress() > self.refusal.progress() => self.refusal = error,
            (Err(_), _) => {}
        }
        Ok(())
    }

    /// The entry that counts or, if there is none, why: the reason of the one with which the JWT came furthest.
    pub(in crate::service) fn end(self) -> Result<T, TrustError> {
        self.taken.map(|(_, taken)| taken).ok_or(self.refusal)
    }
}

/// The entries that trust an issuer, of those whom the request may be for.
pub(super) async fn candidates(
    authority: &Authority,
    issuer: &str,
    way: Way,
    narrowing: Narrowing<'_>,
) -> Result<Vec<Candidate>, TrustError> {
    // Our own tokens are no third party's.
    if issuer == authority.issuer() || ClientId::parse(issuer).is_some() {
        return Ok(Vec::new());
    }
    let directory = &authority.directory;
    let meant = if way == Way::Bearer { Some(Meant::Bearer) } else { narrowing.meant() };
    let Some(meant) = meant else { return Ok(Vec::new()) };
    let trusted = entries(directory, issuer, meant).await?;
    let mut candidates = Vec::new();
    for issuer in trusted.iter() {
        let record = &issuer.record;
        let is_meant = narrowing.client_id.is_none_or(|meant| ClientId::parse(meant) == Some(client_of(record)));
        let is_admitted = admits(record, way) && (!narrowing.directly || admits(record, Way::Bearer));
        if !is_admitted || !is_meant {
            continue;
        }
        let Some(candidate) = candidate(directory, issuer).await? else { continue };
        let client = &candidate.client;
        if !may_come(client, way) {
            continue;
        }
        let may_ask = |asker: &Client| {
            asker.organisation.id == client.organisation.id && record.app.is_none_or(|app| app == asker.client_id)
        };
        if narrowing.tenant.is_none_or(|tenant| *client.organisation.slug == *tenant)
            && narrowing.asker.is_none_or(may_ask)
        {
            candidates.push(candidate);
        }
    }
    Ok(candidates)
}

/// Every entry that trusts an issuer, on or off.
///
/// # Errors
/// `Ambiguous` when there are too many to look through, `Unavailable`.
pub(in crate::service) async fn entries(
    directory: &Directory,
    issuer: &str,
    meant: Meant,
) -> Result<Arc<[Arc<TrustedIssuer>]>, TrustError> {
    let trusted = directory.find_trusted_issuers(issuer, meant).await.map_err(unavailable)?;
    if trusted.len() > MOST_CANDIDATES { Err(TrustError::Ambiguous) } else { Ok(trusted) }
}

/// Whether an entry is on, and for JWTs that come that way.
pub(in crate::service) fn admits(record: &TrustedIssuerRecord, way: Way) -> bool {
    let fits = match way {
        Way::Bearer => record.policy.accept_directly,
        Way::ClientAssertion => record.app.is_some(),
        Way::Grant | Way::Ticket | Way::Subject => true,
    };
    fits && record.disabled_at.is_none()
}

/// Whether what stands for the client may come that way: as a bearer token and for exchange it comes without a proof of the
/// client's, which the tokens of some apps need. Who exchanges it may prove an own key, and that is another's.
pub(in crate::service) fn may_come(client: &Client, way: Way) -> bool {
    match way {
        Way::Bearer | Way::Subject => !client.dpop_required,
        Way::Grant | Way::ClientAssertion | Way::Ticket => true,
    }
}

/// The entry with the client that its JWTs are for; `None` if there is no such client any more.
pub(in crate::service) async fn candidate(
    directory: &Directory,
    issuer: &Arc<TrustedIssuer>,
) -> Result<Option<Candidate>, TrustError> {
    let client = directory.find_client(client_of(&issuer.record)).await.map_err(unavailable)?;
    Ok(client.map(|client| Candidate { issuer: issuer.clone(), client }))
}

fn client_of(record: &TrustedIssuerRecord) -> ClientId {
    record.app.unwrap_or(record.id)
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> TrustError {
    TrustError::Unavailable(error.to_string())
}
