//! Of all who trust an issuer, those whom a request may be for, and the one that counts.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::yield_now;
use uuid::Uuid;

use super::{MOST_SIGNATURES, Narrowing, UnverifiedForeignJwt};
use crate::db::trusted_issuers::TrustedIssuerRecord;
use crate::directory::Directory;
use crate::directory::trusted_issuers::{MOST_OF_ALL, Meant, TrustedIssuer};
use crate::oauth::trust::{ForeignClaims, RefusedJwt, TrustError, Way};
use crate::oauth::{Client, ClientId, ThirdParty};
use crate::service::Authority;

/// Entries that a JWT is tried with: with each, a signature is checked at least.
const MOST_TRIED: usize = MOST_SIGNATURES;
/// Of those, entries of one organisation where several organisations have some.
const MOST_OF_ONE_ORGANISATION: usize = 8;
/// Entries that are asked only why they do not take it.
const MOST_FOR_A_REASON: usize = 8;
/// Entries that are looked at before others have their turn.
const LOOKED_AT_IN_A_ROW: usize = 64;

/// An entry that may take a JWT, and the client it would be for.
pub(in crate::service) struct Candidate {
    pub(in crate::service) issuer: Arc<TrustedIssuer>,
    pub(in crate::service) client: Arc<Client>,
}

impl Candidate {
    /// What the log may say of it and of a JWT with these claims, which are true only if that is signed.
    pub(super) fn third_party(&self, claims: &ForeignClaims, is_signed: bool) -> Arc<ThirdParty> {
        let record = &self.issuer.record;
        let names_user = is_signed && record.app.is_none();
        let login = names_user.then(|| record.policy.subject(claims).ok()).flatten();
        Arc::new(ThirdParty {
            trusted_issuer: record.id,
            client_id: is_signed.then_some(self.client.client_id),
            login: login.map(Into::into),
        })
    }
}

/// Of several entries that trust an issuer, the one that counts.
pub(in crate::service) struct Choice<T> {
    taken: Option<(ClientId, T)>,
    refusal: RefusedJwt,
}

impl<T> Choice<T> {
    pub(in crate::service) fn new() -> Self {
        Self { taken: None, refusal: TrustError::UnknownIssuer.into() }
    }

    /// Takes in what came of one entry, the oldest first.
    ///
    /// # Errors
    /// `Ambiguous`: two entries take the JWT, for two clients.
    pub(in crate::service) fn consider(
        &mut self,
        client_id: ClientId,
        checked: Result<T, RefusedJwt>,
    ) -> Result<(), RefusedJwt> {
        match (checked, &self.taken) {
            (Ok(taken), None) => self.taken = Some((client_id, taken)),
            // Two entries for one app are alternatives, of which the older counts.
            (Ok(_), Some((first, _))) if *first == client_id => {}
            (Ok(_), Some(_)) => return Err(TrustError::Ambiguous.into()),
            (Err(refused), _) if refused.error.progress() > self.refusal.error.progress() => self.refusal = refused,
            (Err(_), _) => {}
        }
        Ok(())
    }

    /// The entry that counts or, if there is none, why: the reason of the one with which the JWT came furthest.
    pub(in crate::service) fn end(self) -> Result<T, RefusedJwt> {
        self.taken.map(|(_, taken)| taken).ok_or(self.refusal)
    }
}

/// The entries that a JWT is tried with.
#[derive(Default)]
pub(super) struct Candidates {
    pub(super) tried: Vec<Candidate>,
    /// Organisations of which there are more than it is tried with.
    pub(super) left_out: Vec<Uuid>,
}

/// The entries that trust an issuer, of those whom the request may be for: the ones that may take the JWT, and no more of one
/// organisation than leave room for those of others. If none may take it, a few that say why.
pub(super) async fn candidates(
    authority: &Authority,
    unverified: &UnverifiedForeignJwt<'_>,
    way: Way,
    narrowing: Narrowing<'_>,
) -> Result<Candidates, TrustError> {
    let issuer = unverified.unverified_issuer();
    // Our own tokens are no third party's.
    if issuer == authority.issuer() || ClientId::parse(issuer).is_some() {
        return Ok(Candidates::default());
    }
    let directory = &authority.directory;
    let named = unverified.named_organisations(authority.issuer());
    let Some(meant) = narrowing.meant(&named, way) else { return Ok(Candidates::default()) };
    let is_anybodys = matches!(meant, Meant::Anybody | Meant::Bearer);
    let trusted = directory.find_trusted_issuers(unverified.sought(meant)).await.map_err(unavailable)?;
    let (fitting, others) = part(directory, &trusted, unverified, way, narrowing).await;
    let is_for = |candidate: &Candidate| {
        let client = &candidate.client;
        may_come(client, way)
            && (named.is_empty() || named.contains(&&*client.organisation.slug))
            && narrowing.admits(client, &candidate.issuer)
    };
    let mut candidates = share_out(directory, fitting, is_for).await?;
    if is_anybodys && trusted.len() == MOST_OF_ALL {
        // There may be more, and whose they are is not known.
        candidates.left_out.push(Uuid::nil());
    }
    if candidates.tried.is_empty() {
        for issuer in others {
            if candidates.tried.len() == MOST_FOR_A_REASON {
                break;
            }
            candidates.tried.extend(candidate(directory, issuer).await?.filter(is_for));
        }
    }
    Ok(candidates)
}

/// Entries of the client that is meant and that are on: those that may take the JWT, as far as can be said without a
/// signature, and the others.
async fn part<'a>(
    directory: &Directory,
    trusted: &'a [Arc<TrustedIssuer>],
    unverified: &UnverifiedForeignJwt<'_>,
    way: Way,
    narrowing: Narrowing<'_>,
) -> (Vec<&'a Arc<TrustedIssuer>>, Vec<&'a Arc<TrustedIssuer>>) {
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for (at, issuer) in trusted.iter().enumerate() {
        if at % LOOKED_AT_IN_A_ROW == LOOKED_AT_IN_A_ROW - 1 {
            yield_now().await;
        }
        let record = &issuer.record;
        let is_meant = narrowing.client_id.is_none_or(|meant| ClientId::parse(meant) == Some(client_of(record)));
        let is_admitted = admits(record, way) && (!narrowing.directly || admits(record, Way::Bearer));
        if !is_meant || !is_admitted {
            continue;
        }
        let may_take = record.policy.may_take(&unverified.claims, way);
        if may_take && directory.may_have_signed(issuer, &unverified.jws) {
            fitting.push(issuer);
        } else {
            others.push(issuer);
        }
    }
    (fitting, others)
}

/// As many as are tried; where several organisations have some, no more of one than leave room for the others.
async fn share_out(
    directory: &Directory,
    fitting: Vec<&Arc<TrustedIssuer>>,
    is_for: impl Fn(&Candidate) -> bool,
) -> Result<Candidates, TrustError> {
    let first = fitting.first().map(|issuer| issuer.record.organisation_id);
    let is_one = fitting.iter().all(|issuer| Some(issuer.record.organisation_id) == first);
    let share = if is_one { MOST_TRIED } else { MOST_OF_ONE_ORGANISATION };
    let mut candidates = Candidates::default();
    let mut of_organisation: HashMap<Uuid, usize> = HashMap::new();
    // With how many of its organisation it is tried before.
    let mut placed = Vec::new();
    for issuer in fitting {
        let place = of_organisation.entry(issuer.record.organisation_id).or_default();
        if *place == share {
            candidates.left_out.push(issuer.record.organisation_id);
            continue;
        }
        if let Some(candidate) = candidate(directory, issuer).await?.filter(&is_for) {
            placed.push((*place, candidate));
            *place += 1;
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    let too_many = placed.split_off(placed.len().min(MOST_TRIED));
    candidates.left_out.extend(too_many.iter().map(|(_, candidate)| candidate.issuer.record.organisation_id));
    candidates.tried = placed.into_iter().map(|(_, candidate)| candidate).collect();
    Ok(candidates)
}

impl Narrowing<'_> {
    /// Whether an entry is of the organisation that is named, and may be asked for by the client that asks.
    fn admits(&self, client: &Client, issuer: &TrustedIssuer) -> bool {
        let may_ask = |asker: &Client| {
            asker.organisation.id == client.organisation.id
                && issuer.record.app.is_none_or(|app| app == asker.client_id)
        };
        self.tenant.is_none_or(|tenant| *client.organisation.slug == *tenant) && self.asker.is_none_or(may_ask)
    }
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
