//! The one check of a third party's JWT, whichever way it comes: signature, claims, and whom it stands for here.

mod candidates;
mod taken;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::yield_now;
use uuid::Uuid;

pub(super) use self::candidates::{Candidate, Choice, admits, candidate, may_come};
use self::candidates::{Candidates, candidates, unavailable};
pub(super) use self::taken::{Untaken, was_used};
use super::authority::Authority;
use crate::clock::Timestamp;
use crate::directory::Directory;
use crate::directory::trusted_issuers::{Meant, Sought, TrustedIssuer};
use crate::keys::budget::SignatureBudget;
use crate::keys::jws::UnverifiedJws;
use crate::oauth::claims::{OneOrMany, Person, ReadClaims, ScopeClaim};
use crate::oauth::client::GrantedScope;
use crate::oauth::trust::{
    Check, ForeignClaims, LONGEST_FOREIGN_JWT, LONGEST_SLUG, LONGEST_VALUE, RefusedJwt, TrustError, Way,
    named_organisation, qualified_subject,
};
use crate::oauth::{Api, Client, ClientId, ThirdParty};

/// Signatures that are checked for one JWT, over all who trust its issuer: a stranger spends that much of our time.
const MOST_SIGNATURES: usize = 32;

/// A third party's JWT, taken apart. Nothing of it is proved yet.
#[derive(Debug)]
pub(super) struct UnverifiedForeignJwt<'a> {
    jws: UnverifiedJws<'a>,
    claims: ForeignClaims,
}

/// For whom a JWT must be, as far as whoever shows it says so.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Narrowing<'a> {
    /// The organisation: its slug.
    pub(super) tenant: Option<&'a str>,
    /// The app, or the issuer itself where it names users.
    pub(super) client_id: Option<&'a str>,
    /// A client that proved who it is: it gets what its own organisation trusts, and of JWTs that stand for an app only those
    /// that stand for it.
    pub(super) asker: Option<&'a Client>,
    /// From where it is shown, if an app is to get a token for it: the app may be allowed few networks.
    pub(super) address: Option<IpAddr>,
    /// Whether it is shown as something that is good as it is, so that only those count whose JWTs are taken directly.
    pub(super) directly: bool,
}

impl Narrowing<'_> {
    /// Which entries are looked for: of an issuer whom very many trust, as few as can be. `None` for what can be nobody's.
    /// `named` are the organisations that the JWT itself says it is for.
    fn meant(&self, named: &[&str], way: Way) -> Option<Meant> {
        let slug = match (self.tenant, named) {
            (Some(tenant), []) => Some(tenant),
            (Some(tenant), named) => Some(*named.iter().find(|slug| **slug == tenant)?),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        match (self.asker, self.client_id, slug) {
            (Some(asker), _, _) => Some(Meant::OfApp(asker.client_id, asker.organisation.id)),
            (None, Some(client_id), _) => ClientId::parse(client_id).map(Meant::Client),
            (None, None, Some(slug)) => (slug.len() <= LONGEST_SLUG).then(|| Meant::Organisation(slug.into())),
            (None, None, None) if way == Way::Bearer => Some(Meant::Bearer),
            (None, None, None) => Some(Meant::Anybody),
        }
    }
}

/// A third party's JWT that is good here. Only [`verify`] makes one.
#[derive(Debug)]
pub(super) struct VerifiedForeignJwt {
    /// The app that it stands for, with no more than the issuer gives it; or the issuer itself, as client of what its users
    /// get.
    pub(super) client: Arc<Client>,
    /// The user whom it names.
    pub(super) person: Option<Person>,
    /// What it says.
    pub(super) claims: ForeignClaims,
    /// Whose it is, for the log.
    pub(super) third_party: Arc<ThirdParty>,
}

impl<'a> UnverifiedForeignJwt<'a> {
    /// Takes a JWT apart.
    pub(super) fn parse(jwt: &'a str) -> Result<Self, TrustError> {
        let header = |error: crate::keys::jws::JwsError| TrustError::Header(error.to_string());
        let jws = UnverifiedJws::parse(jwt, LONGEST_FOREIGN_JWT).map_err(header)?;
        let claims = ForeignClaims::read(jws.unverified_payload())?;
        Ok(Self { jws, claims })
    }

    /// Who it says made it.
    pub(super) fn unverified_issuer(&self) -> &str {
        self.claims.issuer()
    }

    /// What it says.
    pub(super) fn unverified_claims(&self) -> &ForeignClaims {
        &self.claims
    }

    /// The slugs of the organisations that its audiences name.
    pub(super) fn named_organisations(&self, server: &str) -> Vec<&str> {
        let mut named: Vec<&str> =
            self.claims.audiences().iter().filter_map(|audience| named_organisation(server, audience)).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Which entries may take it, of those that are meant.
    fn sought(&self, meant: Meant) -> Sought {
        // A longer one is nobody's.
        let audiences = self.claims.audiences().iter().filter(|audience| audience.len() <= LONGEST_VALUE);
        let mut audiences: Vec<Box<str>> = audiences.map(|audience| audience.as_str().into()).collect();
        audiences.sort_unstable();
        audiences.dedup();
        Sought { issuer: self.claims.issuer().into(), audiences: Some(audiences.into()), meant }
    }

    /// `alg` and, if it names a key, `kid`.
    pub(super) fn unverified_key(&self) -> (&str, Option<&str>) {
        (self.jws.alg(), self.jws.kid())
    }

    /// `typ`
    pub(super) fn unverified_typ(&self) -> Option<&str> {
        self.jws.typ()
    }

    /// As much work as for one whose issuer is trusted.
    pub(super) fn verify_in_vain(&self, authority: &Authority) {
        // Whatever it says: these keys are nobody's.
        let _ignored = std::hint::black_box(authority.decoys.verify(&self.jws));
    }
}

impl VerifiedForeignJwt {
    /// What a token for it would say: everything that the client was granted. `fallback` is the API of tokens for nothing.
    ///
    /// # Errors
    /// `Malformed` when it is bound to a key in a way that is not known here.
    pub(super) fn read_claims(&self, fallback: &Api) -> Result<ReadClaims, RefusedJwt> {
        let (client, claims) = (&self.client, &self.claims);
        let mut audiences: Vec<String> = Vec::new();
        for identifier in client.granted.iter().map(|granted| &granted.api.identifier) {
            if !audiences.iter().any(|known| **known == **identifier) {
                audiences.push(identifier.to_string());
            }
        }
        if audiences.is_empty() {
            audiences.push(fallback.identifier.to_string());
        }
        let client_id: Box<str> = client.client_id.to_string().into();
        // A cut-off ends what does not say when it was made.
        let issued_at = claims.issued_at().unwrap_or(Timestamp::NEVER);
        Ok(ReadClaims {
            iss: claims.issuer().into(),
            aud: OneOrMany::Many(audiences),
            exp: claims.expires_at(),
            nbf: claims.not_before().unwrap_or(issued_at),
            iat: issued_at,
            jti: claims.id().unwrap_or_default().into(),
            sub: self.person.as_ref().map_or_else(|| client_id.clone(), |person| person.subject.clone()),
            client_id,
            scope: ScopeClaim::List(client.granted.iter().map(|granted| granted.name.to_string()).collect()),
            tenant: client.organisation.slug.as_ref().into(),
            login: self.person.as_ref().map(|person| person.login.clone()),
            cnf: claims.confirmation().map_err(RefusedJwt::of(&self.third_party))?,
            act: None,
        })
    }
}

/// Takes a JWT apart that can be nothing else; one that is none is counted.
pub(super) fn parse<'a>(authority: &Authority, jwt: &'a str, way: Way) -> Result<UnverifiedForeignJwt<'a>, TrustError> {
    UnverifiedForeignJwt::parse(jwt).inspect_err(|error| authority.trust_counts.ended(way, Some(error)))
}

/// Checks everything there is to check, and uses the JWT up if it is good once.
///
/// # Errors
/// The check that failed; of several entries that trust the issuer, that of the one with which the JWT came furthest.
pub(super) async fn verify(
    authority: &Authority,
    unverified: UnverifiedForeignJwt<'_>,
    way: Way,
    narrowing: Narrowing<'_>,
    now: Timestamp,
) -> Result<VerifiedForeignJwt, RefusedJwt> {
    let (verified, untaken) = look(authority, unverified, way, narrowing, now).await?;
    untaken.take(authority).await?;
    Ok(verified)
}

/// Checks everything but whether it was used before, and uses nothing up: whoever uses the JWT must take it as well.
///
/// # Errors
/// As [`verify`].
pub(super) async fn look(
    authority: &Authority,
    unverified: UnverifiedForeignJwt<'_>,
    way: Way,
    narrowing: Narrowing<'_>,
    now: Timestamp,
) -> Result<(VerifiedForeignJwt, Untaken), RefusedJwt> {
    let looked_at = look_uncounted(authority, unverified, way, narrowing, now).await;
    looked_at.inspect_err(|refused| authority.trust_counts.ended(way, Some(&refused.error)))
}

async fn look_uncounted(
    authority: &Authority,
    unverified: UnverifiedForeignJwt<'_>,
    way: Way,
    narrowing: Narrowing<'_>,
    now: Timestamp,
) -> Result<(VerifiedForeignJwt, Untaken), RefusedJwt> {
    let Candidates { tried, mut left_out } = candidates(authority, &unverified, way, narrowing).await?;
    // Only the answer to a client assertion hides whether its issuer is trusted.
    if tried.is_empty() && way == Way::ClientAssertion {
        unverified.verify_in_vain(authority);
    }
    let directory = &authority.directory;
    let first_refusal = |_, verdict| verdict;
    let mut choice = Choice::new();
    let mut consider = |candidate: Candidate, is_signed, checked: Result<Option<Person>, TrustError>| {
        let (record, client_id) = (&candidate.issuer.record, candidate.client.client_id);
        match &checked {
            // It was not looked at: the JWT was tried with too many before.
            Err(TrustError::Ambiguous) => left_out.push(record.organisation_id),
            Err(error) => authority.trust_counts.refused(record.id, error),
            Ok(_) => {}
        }
        let third_party = candidate.third_party(&unverified.claims, is_signed);
        let checked = checked.map_err(RefusedJwt::of(&third_party));
        choice.consider(client_id, checked.map(|person| (candidate, person, third_party)))
    };
    let context = Circumstances { server: authority.issuer(), way, address: narrowing.address, now };
    let budget = SignatureBudget::new(MOST_SIGNATURES);
    let (mut waiting, mut is_taken) = (Vec::new(), false);
    for (at, candidate) in tried.into_iter().enumerate() {
        if at > 0 {
            yield_now().await;
        }
        match directory.verify_at_hand(&candidate.issuer, &unverified.jws, now, &budget) {
            Some(signature) => {
                let is_signed = signature.is_ok();
                let checked = check(directory, &unverified, &candidate, signature, context, first_refusal).await;
                is_taken |= checked.is_ok();
                consider(candidate, is_signed, checked)?;
            }
            None => waiting.push(candidate),
        }
    }
    // Keys that are somewhere else are waited for only if nobody needs none of them, all at once, and no longer than until
    // one will do: the slow server of one organisation delays no JWT of another that trusts the same issuer.
    let mut fetches: FuturesUnordered<_> = waiting
        .into_iter()
        .filter(|_| !is_taken)
        .map(|candidate| async {
            let signature = directory.verify_fetched(&candidate.issuer, &unverified.jws, now, &budget).await;
            let is_signed = signature.is_ok();
            let checked = check(directory, &unverified, &candidate, signature, context, first_refusal).await;
            (candidate, is_signed, checked)
        })
        .collect();
    while !is_taken && let Some((candidate, is_signed, checked)) = fetches.next().await {
        is_taken = checked.is_ok();
        consider(candidate, is_signed, checked)?;
    }
    drop(fetches);
    let chosen = choice.end();
    // Of an organisation with more entries than it was tried with, another may take it as well.
    let is_unclear = match &chosen {
        Ok((candidate, ..)) => left_out.contains(&candidate.issuer.record.organisation_id),
        Err(_) => !left_out.is_empty(),
    };
    let chosen = if is_unclear { Err(TrustError::Ambiguous.into()) } else { chosen };
    let (Candidate { issuer, client }, person, third_party) = chosen?;
    let claims = unverified.claims;
    let id = || claims.id().map(|id| (id.to_owned(), claims.forget_at())).ok_or(TrustError::Id);
    let once = issuer.record.policy.single_use.then(id);
    let (client, once) = (as_given(&issuer, client), once.transpose()?);
    let untaken = Untaken { issuer, way, once, third_party: third_party.clone() };
    Ok((VerifiedForeignJwt { client, person, claims, third_party }, untaken))
}

/// The signature alone, with keys fetched if they are somewhere else.
pub(super) async fn check_signature(
    directory: &Directory,
    unverified: &UnverifiedForeignJwt<'_>,
    candidate: &Candidate,
    now: Timestamp,
) -> Result<(), TrustError> {
    let budget = SignatureBudget::new(MOST_SIGNATURES);
    match directory.verify_at_hand(&candidate.issuer, &unverified.jws, now, &budget) {
        Some(verified) => verified,
        None => directory.verify_fetched(&candidate.issuer, &unverified.jws, now, &budget).await,
    }
}

/// How a JWT comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// This server's issuer.
    pub(super) server: &'a str,
    pub(super) way: Way,
    /// From where, if that matters.
    pub(super) address: Option<IpAddr>,
    pub(super) now: Timestamp,
}

/// Everything but whether it was used before. The signature first: a stranger learns nothing of what the claims must be.
/// Each verdict goes through `pass`, which may end the checks there, as the roads do, or go on, as a trial does: there are
/// no others, so that they cannot disagree.
pub(super) async fn check(
    directory: &Directory,
    unverified: &UnverifiedForeignJwt<'_>,
    candidate: &Candidate,
    signature: Result<(), TrustError>,
    Circumstances { server, way, address, now }: Circumstances<'_>,
    mut pass: impl FnMut(Check, Result<(), TrustError>) -> Result<(), TrustError>,
) -> Result<Option<Person>, TrustError> {
    let (claims, policy) = (&unverified.claims, &candidate.issuer.record.policy);
    pass(Check::Signature, signature)?;
    policy.check(unverified.jws.typ(), claims, way, now).try_for_each(|(check, verdict)| pass(check, verdict))?;
    let named = unverified.named_organisations(server);
    if !(named.is_empty() || named.contains(&&*candidate.client.organisation.slug)) {
        pass(Check::Audience, Err(TrustError::Audience))?;
    }
    if address.is_some_and(|address| !candidate.client.allowed_networks.allow(address)) {
        pass(Check::Network, Err(TrustError::ForeignNetwork))?;
    }
    let person = person(directory, candidate, claims).await;
    pass(Check::Mapping, person.as_ref().map(drop).map_err(Clone::clone))?;
    person
}

/// Whom the JWT stands for, if that is a user; `NotRegistered` also when it is an app or organisation that is disabled.
async fn person(
    directory: &Directory,
    candidate: &Candidate,
    claims: &ForeignClaims,
) -> Result<Option<Person>, TrustError> {
    let record = &candidate.issuer.record;
    if !candidate.client.is_active() {
        return Err(TrustError::NotRegistered);
    }
    if record.app.is_some() {
        return Ok(None);
    }
    let login = record.policy.subject(claims)?;
    let holder = directory.find_login_holder(record.organisation_id, login).await.map_err(unavailable)?;
    let since = holder.ok_or(TrustError::NotRegistered)?.since;
    let subject = qualified_subject(claims.issuer(), login);
    Ok(Some(Person { subject: subject.into(), login: login.into(), since }))
}

/// The app with no more scopes than the issuer gives it, and for no longer.
fn as_given(issuer: &TrustedIssuer, client: Arc<Client>) -> Arc<Client> {
    let (record, policy) = (&issuer.record, &issuer.record.policy);
    if record.app.is_none() || !(policy.limits_scopes || policy.ticket_lifetime.is_some()) {
        return client;
    }
    let is_given = |granted: &&GrantedScope| {
        let given = |(api, scope): &(Uuid, String)| *api == granted.api.id && **scope == *granted.name;
        !policy.limits_scopes || record.scopes.iter().any(given)
    };
    let granted = client.granted.iter().filter(is_given).cloned().collect();
    let lifetime = policy.ticket_lifetime.into_iter().chain(client.lifetime).min();
    Arc::new(Client { granted, lifetime, ..(*client).clone() })
}
