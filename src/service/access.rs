//! The one check of an access token, for every use of one: the guard and whatever else takes a token.

use std::sync::Arc;

use super::authority::Authority;
use super::dpop::check_nonce;
use super::foreign_jwt::{self, Narrowing, Untaken, UnverifiedForeignJwt};
use crate::clock::Timestamp;
use crate::directory::LookupError;
use crate::directory::trusted_issuers::{ApiOwner, LoginHolder, Meant, Sought};
use crate::keys::dpop::{BindingError, Shown, Use, check_binding};
use crate::keys::verify::{SignedToken, TokenError};
use crate::oauth::claims::ReadClaims;
use crate::oauth::dpop::ProofError;
use crate::oauth::trust::{RefusedJwt, TrustError, Way};
use crate::oauth::{Client, ClientId, ThirdParty};

/// Of what another server signed.
const NOT_OURS: &str = "The token is not from this server, and its issuer's are not taken as they are here: get one at /connect/token or /server/jwt.";
/// A bearer token comes alone: nothing beside it can say for whom it is.
const AMBIGUOUS: &str = "Several organisations or apps take the JWT: let its issuer write the audience of yours into aud, which is this server's issuer, a slash and the organisation's slug, and let rules tell the apps apart.";

/// A token that is good now, and the client it was issued to.
#[derive(Debug, Clone)]
pub struct ValidToken {
    /// Its claims.
    pub token: Arc<SignedToken>,
    /// The client as it is now.
    pub client: Arc<Client>,
    /// The user, if it is a user's.
    pub person: Option<LoginHolder>,
}

/// Who wants to know what a token is worth. Of an issuer whom very many trust, those are meant for whom whoever asks can want
/// to know it.
#[derive(Debug, Clone, Copy)]
pub enum Inquirer<'a> {
    /// Nobody in particular.
    Anybody,
    /// Somebody of the organisation with that slug.
    Organisation(&'a str),
    /// Who serves one of the APIs with these identifiers.
    Servers(&'a [String]),
}

impl Inquirer<'_> {
    /// The one organisation for which it can be.
    async fn organisation(self, authority: &Authority) -> Result<Option<Arc<str>>, AccessError> {
        let identifiers = match self {
            Self::Anybody => return Ok(None),
            Self::Organisation(slug) => return Ok(Some(slug.into())),
            Self::Servers(identifiers) => identifiers,
        };
        let mut only = None;
        for identifier in identifiers {
            let owner = authority.directory.find_api_owner(identifier).await.map_err(AccessError::Unavailable)?;
            match (owner, &only) {
                (ApiOwner::Nobody, _) => {}
                (ApiOwner::Organisation(slug), Some(other)) if slug == *other => {}
                (ApiOwner::Organisation(slug), None) => only = Some(slug),
                (ApiOwner::Organisation(_) | ApiOwner::Everybody, _) => return Ok(None),
            }
        }
        Ok(only)
    }
}

/// Why a token was not accepted.
#[derive(Debug)]
pub enum AccessError {
    /// It is not good.
    Refused(TokenError),
    /// It is somebody else's JWT, and no good as a token: what may be said of that, and for the log all of it.
    Foreign {
        /// In general words.
        said: &'static str,
        /// What exactly.
        detail: String,
        /// Whose it is, if that is known.
        third_party: Option<Arc<ThirdParty>>,
    },
    /// It cannot be known at the moment.
    Unavailable(LookupError),
}

/// Checks signature, `typ`, `iss`, time and revocation: everything but what it is used for. A third party's JWT is good as
/// it is where its trusted issuer says so.
///
/// # Errors
/// The first check that failed.
pub async fn verify(
    authority: &Authority,
    token: &str,
    inquirer: Inquirer<'_>,
    now: Timestamp,
) -> Result<ValidToken, AccessError> {
    let (valid, untaken) = look(authority, token, inquirer, now).await?;
    if let Some(untaken) = untaken {
        untaken.take(authority).await.map_err(refused_foreign)?;
    }
    Ok(valid)
}

/// The same, but a third party's JWT is not used up yet: whoever uses it must take it as well.
pub(super) async fn look(
    authority: &Authority,
    token: &str,
    inquirer: Inquirer<'_>,
    now: Timestamp,
) -> Result<(ValidToken, Option<Untaken>), AccessError> {
    match verify_signed(authority, token, now) {
        Ok(verified) => Ok((check_own(authority, verified, now).await?, None)),
        Err(refusal) => look_at_foreign(authority, token, refusal, inquirer, now).await,
    }
}

/// The same for tokens of this server alone.
///
/// # Errors
/// The first check that failed.
pub async fn verify_own(authority: &Authority, token: &str, now: Timestamp) -> Result<ValidToken, AccessError> {
    let verified = verify_signed(authority, token, now).map_err(AccessError::Refused)?;
    check_own(authority, verified, now).await
}

/// Whether it is a token of this server at all: the signature, and what does not change with time.
pub(super) fn verify_signed(
    authority: &Authority,
    token: &str,
    now: Timestamp,
) -> Result<Arc<SignedToken>, TokenError> {
    let ring = authority.directory.ring();
    authority.verifier.verify(token, |kid| ring.published(kid, now))
}

/// Whether a token of this server is good now.
pub(super) async fn check_own(
    authority: &Authority,
    verified: Arc<SignedToken>,
    now: Timestamp,
) -> Result<ValidToken, AccessError> {
    let directory = &authority.directory;
    verified.check_time(now).map_err(AccessError::Refused)?;
    if directory.is_revoked(&verified.claims.jti) {
        return Err(AccessError::Refused(TokenError::Revoked));
    }
    let valid = check_owner(authority, verified).await?;
    // It names the user by a login, which was somebody else's when it was issued. A third party's JWT is about whoever has
    // the login now, whenever that came about.
    if valid.person.is_some_and(|holder| valid.token.claims.iat < holder.since) {
        return Err(revoked());
    }
    authority.usage.checked(valid.client.organisation.id);
    Ok(valid)
}

/// The client of a token, if it and the person may still use what was issued to them.
async fn check_owner(authority: &Authority, token: Arc<SignedToken>) -> Result<ValidToken, AccessError> {
    let claims = &token.claims;
    let client = find_client(authority, &claims.client_id, claims).await?;
    let person = match &claims.login {
        Some(login) => {
            let holder = authority.directory.find_login_holder(client.organisation.id, login).await;
            Some(holder.map_err(AccessError::Unavailable)?.ok_or_else(revoked)?)
        }
        None => None,
    };
    check_delegation(authority, &client, claims).await?;
    Ok(ValidToken { token, client, person })
}

fn revoked() -> AccessError {
    AccessError::Refused(TokenError::Revoked)
}

/// A client whom a token names, if it may still use what was issued when the token was.
async fn find_client(authority: &Authority, client_id: &str, claims: &ReadClaims) -> Result<Arc<Client>, AccessError> {
    let directory = &authority.directory;
    let client_id = ClientId::parse(client_id).ok_or(AccessError::Refused(TokenError::Malformed))?;
    let client = directory.find_client(client_id).await.map_err(AccessError::Unavailable)?.ok_or_else(revoked)?;
    // A token says who its client belonged to; a client that was moved or made anew elsewhere is another.
    let same_tenant = *client.organisation.slug == *claims.tenant;
    // As it stands in the token, whatever `clock-backdate` is or was: see `service::cut_offs`.
    if !client.is_active() || !same_tenant || claims.iat < directory.cut_off(&client) {
        return Err(revoked());
    }
    Ok(client)
}

/// A token that was exchanged is good as long as everybody who had a hand in it may have tokens: whose it was first, and all
/// who passed it on.
pub(super) async fn check_delegation(
    authority: &Authority,
    client: &Client,
    claims: &ReadClaims,
) -> Result<(), AccessError> {
    let Some(actor) = &claims.act else { return Ok(()) };
    for before in actor.chain().filter(|before| before.sub != claims.client_id) {
        find_client(authority, &before.sub, claims).await?;
    }
    if claims.login.is_none() {
        return find_client(authority, &claims.sub, claims).await.map(drop);
    }
    // A user's: the trusted issuer who named the user stands in front, and is the client of the user's own tokens.
    let issuer = claims.sub.split_once('|').map_or("", |(issuer, _)| issuer);
    let here = Sought { issuer: issuer.into(), audiences: None, meant: Meant::UsersOf(client.organisation.id) };
    let of_users = authority.directory.find_trusted_issuers(here).await.map_err(AccessError::Unavailable)?;
    for issuer in of_users.iter() {
        match find_client(authority, &issuer.record.id.to_string(), claims).await {
            Err(AccessError::Refused(_) | AccessError::Foreign { .. }) => {}
            known => return known.map(drop),
        }
    }
    Err(revoked())
}

/// A third party's JWT as a token: what a ticket for it would say. `refusal` is what is wrong with it as one of ours.
async fn look_at_foreign(
    authority: &Authority,
    token: &str,
    refusal: TokenError,
    inquirer: Inquirer<'_>,
    now: Timestamp,
) -> Result<(ValidToken, Option<Untaken>), AccessError> {
    let Ok(unverified) = UnverifiedForeignJwt::parse(token) else { return Err(AccessError::Refused(refusal)) };
    let is_ours = claims_to_be_ours(authority, &unverified, &refusal);
    let organisation = inquirer.organisation(authority).await?;
    let narrowing = Narrowing { tenant: organisation.as_deref(), ..Narrowing::default() };
    let looked_at = foreign_jwt::look(authority, unverified, Way::Bearer, narrowing, now).await;
    let (verified, untaken) = looked_at.map_err(|refused| match refused.error {
        TrustError::UnknownIssuer if is_ours => AccessError::Refused(refusal),
        _ => refused_foreign(refused),
    })?;
    let claims = verified.read_claims(authority.directory.management_api()).map_err(refused_foreign)?;
    let valid = check_owner(authority, Arc::new(SignedToken::of_third_party(claims))).await?;
    authority.usage.checked(valid.client.organisation.id);
    Ok((valid, Some(untaken)))
}

/// Whether what was refused as a token of this server still says that it is one, by its key or by its issuer.
pub(super) fn claims_to_be_ours(
    authority: &Authority,
    unverified: &UnverifiedForeignJwt<'_>,
    refusal: &TokenError,
) -> bool {
    *refusal != TokenError::UnknownKey || unverified.unverified_issuer() == authority.issuer()
}

/// Why a third party's JWT is no good as a token.
pub(super) fn refused_foreign(RefusedJwt { error, third_party }: RefusedJwt) -> AccessError {
    let detail = error.to_string();
    let said = match error {
        TrustError::Unavailable(reason) => return AccessError::Unavailable(LookupError::Database(reason)),
        TrustError::UnknownIssuer => NOT_OURS,
        TrustError::Ambiguous => AMBIGUOUS,
        error => error.public(),
    };
    AccessError::Foreign { said, detail, third_party }
}

/// Why whoever shows a good token may not use it.
#[derive(Debug)]
pub enum SenderError {
    /// The token is bound to a key, and that is not proved; or it is not bound, and shown as if it were.
    Binding(BindingError),
    /// More proofs came than can be remembered.
    TooManyProofs,
}

/// Checks that whoever shows a token holds the key it is bound to. A bound token is worth nothing without this step, and
/// introspection, which is not shown tokens but asked about them, is the one place that leaves it out. A proof is good for
/// one use on each node.
///
/// # Errors
/// The first check that failed.
pub fn check_sender(
    authority: &Authority,
    valid: &ValidToken,
    shown: &Shown<'_>,
    now: Timestamp,
) -> Result<(), SenderError> {
    let refused = |reason| SenderError::Binding(BindingError::Proof(reason));
    let proof = check_binding(valid.token.claims.cnf.as_ref(), shown, now).map_err(SenderError::Binding)?;
    let Some(proof) = proof else { return Ok(()) };
    check_nonce(authority.nonces.as_ref(), &proof, now).map_err(refused)?;
    match authority.used_proofs.record(&proof, now) {
        Use::First => Ok(()),
        Use::Repeated => Err(refused(ProofError::Replayed)),
        Use::NoRoom => Err(SenderError::TooManyProofs),
    }
}
