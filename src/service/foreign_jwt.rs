//! The one check of a third party's JWT, whichever way it comes: signature, claims, and whom it stands for here.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use uuid::Uuid;

use super::authority::Authority;
use crate::clock::Timestamp;
use crate::db::AnyConnection;
use crate::db::used_jti::{self, Jti};
use crate::directory::trusted_issuers::{MOST_CANDIDATES, Meant, TrustedIssuer};
use crate::keys::jws::UnverifiedJws;
use crate::oauth::claims::{OneOrMany, Person, ReadClaims, ScopeClaim};
use crate::oauth::client::GrantedScope;
use crate::oauth::trust::{ForeignClaims, LONGEST_FOREIGN_JWT, TrustError, Way, qualified_subject};
use crate::oauth::{Api, Client, ClientId};

/// In octets, and longer than any is: what is remembered of strangers' requests is bounded.
const LONGEST_SLUG: usize = 64;
/// Under which ids of third parties' JWTs are remembered, whichever way they came, apart from those of clients' own.
const PURPOSE: &str = "third-party-jwt";

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
}

impl Narrowing<'_> {
    /// Which entries are looked for: of an issuer whom very many trust, as few as can be. `None` for what can be nobody's.
    fn meant(&self) -> Option<Meant> {
        match (self.asker, self.client_id, self.tenant) {
            (Some(asker), _, _) => Some(Meant::OfApp(asker.client_id, asker.organisation.id)),
            (None, Some(client_id), _) => ClientId::parse(client_id).map(Meant::Client),
            (None, None, Some(slug)) => (slug.len() <= LONGEST_SLUG).then(|| Meant::Organisation(slug.into())),
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
    pub(super) fn read_claims(&self, fallback: &Api) -> Result<ReadClaims, TrustError> {
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
            cnf: claims.confirmation()?,
            act: None,
        })
    }
}

/// An entry that may take a JWT, and the client it would be for.
struct Candidate {
    issuer: Arc<TrustedIssuer>,
    client: Arc<Client>,
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
) -> Result<VerifiedForeignJwt, TrustError> {
    let candidates = candidates(authority, unverified.unverified_issuer(), way, narrowing).await?;
    // Only the answer to a client assertion hides whether its issuer is trusted.
    if candidates.is_empty() && way == Way::ClientAssertion {
        unverified.verify_in_vain(authority);
    }
    let mut findings = Findings::default();
    let check = Check { authority, unverified: &unverified, way, address: narrowing.address, now };
    let mut waiting = Vec::new();
    for candidate in candidates {
        match authority.directory.verify_at_hand(&candidate.issuer, &unverified.jws, now) {
            Some(signature) => findings.add(authority, check.run(&candidate, signature).await, candidate)?,
            None => waiting.push(candidate),
        }
    }
    // Keys that are somewhere else are waited for only if nobody needs none of them, all at once, and no longer than until
    // one will do: the slow server of one organisation delays no JWT of another that trusts the same issuer.
    let mut fetches: FuturesUnordered<_> = waiting
        .into_iter()
        .filter(|_| findings.taken.is_none())
        .map(|candidate| async {
            let signature = authority.directory.verify_fetched(&candidate.issuer, &unverified.jws, now).await;
            (check.run(&candidate, signature).await, candidate)
        })
        .collect();
    while findings.taken.is_none()
        && let Some((outcome, candidate)) = fetches.next().await
    {
        findings.add(authority, outcome, candidate)?;
    }
    drop(fetches);
    let Findings { taken, refusal } = findings;
    let Some((Candidate { issuer, client }, person)) = taken else { return Err(refusal) };
    if issuer.record.policy.single_use {
        let used = use_once(authority, &issuer, &unverified.claims).await;
        used.inspect_err(|error| authority.trust_counts.refused(issuer.record.id, error))?;
    }
    authority.trust_counts.accepted(issuer.record.id);
    let client = as_given(&issuer, client);
    Ok(VerifiedForeignJwt { client, person, claims: unverified.claims })
}

/// The entries that trust an issuer, of those whom the request may be for.
async fn candidates(
    authority: &Authority,
    issuer: &str,
    way: Way,
    narrowing: Narrowing<'_>,
) -> Result<Vec<Candidate>, TrustError> {
    let unavailable = |error: crate::directory::LookupError| TrustError::Unavailable(error.to_string());
    // Our own tokens are no third party's.
    if issuer == authority.issuer() || ClientId::parse(issuer).is_some() {
        return Ok(Vec::new());
    }
    let Some(meant) = narrowing.meant() else { return Ok(Vec::new()) };
    let trusted = authority.directory.find_trusted_issuers(issuer, meant).await.map_err(unavailable)?;
    if trusted.len() > MOST_CANDIDATES {
        return Err(TrustError::Ambiguous);
    }
    let mut candidates = Vec::new();
    for issuer in trusted.iter() {
        let record = &issuer.record;
        let client_id = record.app.unwrap_or(record.id);
        let fits = match way {
            Way::Bearer => record.policy.accept_directly,
            Way::ClientAssertion => record.app.is_some(),
            Way::Grant | Way::Ticket | Way::Subject => true,
        };
        let is_meant = narrowing.client_id.is_none_or(|meant| ClientId::parse(meant) == Some(client_id));
        if record.disabled_at.is_some() || !fits || !is_meant {
            continue;
        }
        let client = authority.directory.find_client(client_id).await.map_err(unavailable)?;
        let Some(client) = client else { continue };
        // As a bearer token it comes without a proof, which the app's own tokens need.
        if way == Way::Bearer && client.dpop_required {
            continue;
        }
        let may_ask = |asker: &Client| {
            asker.organisation.id == client.organisation.id && record.app.is_none_or(|app| app == asker.client_id)
        };
        if narrowing.tenant.is_none_or(|tenant| *client.organisation.slug == *tenant)
            && narrowing.asker.is_none_or(may_ask)
        {
            candidates.push(Candidate { issuer: issuer.clone(), client });
        }
    }
    Ok(candidates)
}

/// What came of the entries that were asked.
struct Findings {
    taken: Option<(Candidate, Option<Person>)>,
    refusal: TrustError,
}

impl Default for Findings {
    fn default() -> Self {
        Self { taken: None, refusal: TrustError::UnknownIssuer }
    }
}

impl Findings {
    fn add(
        &mut self,
        authority: &Authority,
        outcome: Result<Option<Person>, TrustError>,
        candidate: Candidate,
    ) -> Result<(), TrustError> {
        match outcome {
            Ok(person) => match &self.taken {
                None => self.taken = Some((candidate, person)),
                // Two entries for one app are alternatives, of which the older counts.
                Some((first, _)) if first.client.client_id == candidate.client.client_id => {}
                Some(_) => return Err(TrustError::Ambiguous),
            },
            Err(error) => {
                authority.trust_counts.refused(candidate.issuer.record.id, &error);
                if error.progress() > self.refusal.progress() {
                    self.refusal = error;
                }
            }
        }
        Ok(())
    }
}

/// Everything but whether it was used before.
struct Check<'a> {
    authority: &'a Authority,
    unverified: &'a UnverifiedForeignJwt<'a>,
    way: Way,
    address: Option<IpAddr>,
    now: Timestamp,
}

impl Check<'_> {
    /// Whom it stands for at that entry. The signature first: a stranger learns nothing of what the claims must be.
    async fn run(
        &self,
        candidate: &Candidate,
        signature: Result<(), TrustError>,
    ) -> Result<Option<Person>, TrustError> {
        signature?;
        let (claims, policy) = (&self.unverified.claims, &candidate.issuer.record.policy);
        let checked = policy.check(self.unverified.jws.typ(), claims, self.way, self.now);
        checked.into_iter().try_for_each(|(_, checked)| checked)?;
        if self.address.is_some_and(|address| !candidate.client.allowed_networks.allow(address)) {
            return Err(TrustError::ForeignNetwork);
        }
        person(self.authority, candidate, claims).await
    }
}

/// Whom the JWT stands for, if that is a user; `NotRegistered` also when it is an app or organisation that is disabled.
async fn person(
    authority: &Authority,
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
    let known = authority.directory.has_member(record.organisation_id, login).await;
    if known.map_err(|error| TrustError::Unavailable(error.to_string()))? {
        let subject = qualified_subject(claims.issuer(), login);
        Ok(Some(Person { subject: subject.into(), login: login.into() }))
    } else {
        Err(TrustError::NotRegistered)
    }
}

/// Uses the JWT up, in whichever way it came and for whichever app. After everything else: who cannot sign for the issuer
/// must not burn its ids.
async fn use_once(authority: &Authority, issuer: &TrustedIssuer, claims: &ForeignClaims) -> Result<(), TrustError> {
    let jti = claims.id().ok_or(TrustError::Id)?.to_owned();
    // Another organisation may trust keys of its own under the same name.
    let whose = format!("{} {}", issuer.record.organisation_id, issuer.record.issuer);
    let forget_at = claims.forget_at();
    let record = move |conn: &mut AnyConnection| used_jti::record(conn, &whose, PURPOSE, &jti, forget_at);
    let recorded = authority.directory.database().insert_off_thread(record).await;
    match recorded.map_err(|error| TrustError::Unavailable(error.to_string()))? {
        Jti::Fresh => Ok(()),
        Jti::Replayed => Err(TrustError::Replayed),
    }
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
