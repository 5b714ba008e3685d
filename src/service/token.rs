//! The road of a token request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::authority::{Authority, Caller};
use super::client_auth::{self, AuthenticatedClient};
use super::dpop;
use super::foreign_jwt::{Narrowing, VerifiedForeignJwt};
use super::grants::token_exchange::{self, Exchanged};
use super::grants::{client_credentials, jwt_bearer};
use crate::clock::Timestamp;
use crate::db::usage::Refused;
use crate::keys::dpop::Proof;
use crate::oauth::claims::{AccessTokenClaims, Person, lifetime};
use crate::oauth::client::PresentedCredentials;
use crate::oauth::request::{Grant, GrantType, TokenParams, TokenTarget};
use crate::oauth::{Client, ClientId, OAuthError, SigningAlgorithm, ThirdParty, TokenProfile};
use crate::secret::random_id;

/// A token, and what its answer says about it.
pub struct IssuedToken {
    /// The JWT.
    pub jwt: String,
    /// How long it lives from now.
    pub lifetime: Duration,
    /// What was granted, with spaces between.
    pub scope: String,
    /// The same one by one, for the counts.
    pub scopes: Vec<Arc<str>>,
    /// `DPoP` if it is bound to a key, else `Bearer`.
    pub token_type: &'static str,
    /// Whether it was issued in exchange for another.
    pub is_exchanged: bool,
    /// Whose it is, for the log.
    pub client_id: ClientId,
    /// Whose JWT it was issued for, if it was for one; for the log.
    pub third_party: Option<Arc<ThirdParty>>,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Whom a token is issued to.
#[derive(Debug)]
pub(super) struct Grantee<'a> {
    client: &'a Client,
    /// Which of its secrets the client used, if it used one.
    secret_id: Option<Uuid>,
    /// The user whom a trusted issuer named.
    person: Option<&'a Person>,
    /// Whose token the client exchanged.
    exchanged: Option<&'a Exchanged>,
    /// Whose JWT says so, if one does.
    third_party: Option<&'a Arc<ThirdParty>>,
}

impl<'a> Grantee<'a> {
    fn of_client(authenticated: &'a AuthenticatedClient) -> Self {
        let (client, third_party) = (authenticated.client(), authenticated.third_party());
        Self { client, secret_id: authenticated.secret_id(), person: None, exchanged: None, third_party }
    }

    /// Whom a third party's JWT stands for.
    pub(super) fn of_foreign_jwt(verified: &'a VerifiedForeignJwt) -> Self {
        let (person, third_party) = (verified.person.as_ref(), Some(&verified.third_party));
        Self { client: &verified.client, secret_id: None, person, exchanged: None, third_party }
    }

    fn of_exchange(exchanged: &'a Exchanged, authenticated: &'a AuthenticatedClient) -> Self {
        let (client, person) = (&exchanged.client, exchanged.person.as_ref());
        let third_party = exchanged.third_party.as_ref().or(authenticated.third_party());
        Self { client, secret_id: authenticated.secret_id(), person, exchanged: Some(exchanged), third_party }
    }
}

/// Answers one token request: who is asking, what for, and the token that says so. With a DPoP proof the token is bound to
/// its key.
///
/// # Errors
/// Those of [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
pub async fn exchange(
    authority: &Authority,
    caller: &Caller,
    presented: &PresentedCredentials,
    params: &TokenParams<'_>,
    proof: Option<&str>,
) -> Result<IssuedToken, OAuthError> {
    let needs_none = || GrantType::named(params).is_some_and(GrantType::needs_no_credentials);
    let authenticated = match presented {
        PresentedCredentials::Nothing { .. } if needs_none() => None,
        presented => Some(client_auth::authenticate(authority, caller, presented).await?),
    };
    let answered = answer(authority, caller, presented, authenticated.as_ref(), params, proof).await;
    answered.map_err(|error| match &authenticated {
        Some(authenticated) => {
            authority.usage.refused(authenticated.client(), Refused::With(error.code));
            error.of_client(authenticated.client().client_id)
        }
        None => error,
    })
}

/// From what is asked for to a signed token.
async fn answer(
    authority: &Authority,
    caller: &Caller,
    presented: &PresentedCredentials,
    authenticated: Option<&AuthenticatedClient>,
    params: &TokenParams<'_>,
    proof: Option<&str>,
) -> Result<IssuedToken, OAuthError> {
    // Before the grant: whoever must come again with another nonce has not used up an assertion.
    let proof = dpop::read(authority, proof, caller.now)?;
    match Grant::from_params(params)? {
        Grant::ClientCredentials(target) => {
            let client = authenticated.ok_or_else(|| OAuthError::invalid_client("no credentials"))?;
            issue(authority, caller, &Grantee::of_client(client), &target, proof).await
        }
        Grant::JwtBearer { assertion, tenant, target } => {
            let client_id = match presented {
                PresentedCredentials::Nothing { client_id } => client_id.as_deref(),
                _ => None,
            };
            let asker = authenticated.map(AuthenticatedClient::client);
            let address = Some(caller.address);
            let narrowing = Narrowing { tenant, client_id, asker, address, ..Narrowing::default() };
            let verified = jwt_bearer::authorize(authority, caller, assertion, narrowing).await?;
            let issued = issue(authority, caller, &Grantee::of_foreign_jwt(&verified), &target, proof).await;
            issued.map_err(|error| error.of_third_party(Some(verified.third_party.clone())))
        }
        Grant::TokenExchange { subject, target } => {
            let actor = authenticated.ok_or_else(|| OAuthError::invalid_client("no credentials"))?;
            let exchanged = token_exchange::authorize(authority, caller, actor.client(), subject).await?;
            issue(authority, caller, &Grantee::of_exchange(&exchanged, actor), &target, proof).await
        }
    }
}

/// Signs what the grantee may have of what it asks for, and counts it.
pub(super) async fn issue(
    authority: &Authority,
    caller: &Caller,
    grantee: &Grantee<'_>,
    target: &TokenTarget<'_>,
    proof: Option<Proof>,
) -> Result<IssuedToken, OAuthError> {
    let client = grantee.client;
    let authorization = client_credentials::authorize(client, target, authority.directory.management_api())?;
    let confirmation = dpop::bind(authority, client, proof).await?;
    let format = authorization.format_giver();
    let (profile, algorithm) =
        format.map_or((TokenProfile::Rfc9068, SigningAlgorithm::Rs256), |api| (api.profile, api.algorithm));
    let lifetime = lifetime(authority.config.access_token_lifetime, client, &authorization);
    let exchanged = grantee.exchanged;
    let lifetime = exchanged.map_or(lifetime, |exchanged| lifetime.min(exchanged.expires_at.since(caller.now)));
    let token_id = random_id().map_err(|error| OAuthError::server_error(error.to_string()))?;
    let valid_from = caller.now - authority.config.clock_backdate;
    let claims = AccessTokenClaims {
        issuer: authority.issuer(),
        client,
        person: grantee.person,
        delegation: exchanged.map(|exchanged| &exchanged.delegation),
        authorization: &authorization,
        profile,
        // What is issued after a cut-off, or after a login was given, is never dated before it, however far
        // `clock-backdate` goes back.
        issued_at: valid_from
            .max(authority.directory.cut_off(client))
            .max(grantee.person.map_or(Timestamp::NEVER, |person| person.since))
            .max(exchanged.map_or(Timestamp::NEVER, |exchanged| exchanged.issued_at)),
        valid_from,
        expires_at: caller.now + lifetime,
        token_id: &token_id,
        confirmation: confirmation.as_ref(),
    };
    let signed = authority.directory.ring().sign(algorithm, profile, &claims, caller.now);
    let jwt = signed.map_err(|error| OAuthError::server_error(error.to_string()))?;
    let token_type = if confirmation.is_some() { "DPoP" } else { "Bearer" };
    let issued = IssuedToken {
        jwt,
        lifetime,
        scope: authorization.scope_text(),
        scopes: authorization.scopes,
        token_type,
        is_exchanged: exchanged.is_some(),
        client_id: client.client_id,
        third_party: grantee.third_party.cloned(),
    };
    authority.usage.issued(client, grantee.secret_id, &issued.scopes, caller.address, caller.now);
    Ok(issued)
}
