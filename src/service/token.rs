//! The road of a token request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::authority::{Authority, Caller};
use super::client_auth::{self, AuthenticatedClient};
use super::dpop;
use super::grants::client_credentials;
use crate::oauth::claims::{AccessTokenClaims, lifetime};
use crate::oauth::client::PresentedCredentials;
use crate::oauth::request::{Grant, TokenParams};
use crate::oauth::{ClientId, OAuthError, SigningAlgorithm, TokenProfile};
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
    /// Whose it is, for the log.
    pub client_id: ClientId,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
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
    let authenticated = client_auth::authenticate(authority, caller, presented).await?;
    let client_id = authenticated.client().client_id;
    match issue(authority, caller, &authenticated, params, proof).await {
        Ok(issued) => {
            let (client, key_id) = (authenticated.client(), authenticated.secret_id());
            authority.usage.issued(client, key_id, &issued.scopes, caller.address, caller.now);
            Ok(issued)
        }
        Err(error) => {
            authority.usage.refused(authenticated.client(), error.code);
            Err(error.of_client(client_id))
        }
    }
}

/// From what an authenticated client asks for to a signed token.
async fn issue(
    authority: &Authority,
    caller: &Caller,
    authenticated: &AuthenticatedClient,
    params: &TokenParams<'_>,
    proof: Option<&str>,
) -> Result<IssuedToken, OAuthError> {
    let client = authenticated.client();
    // Before the grant: whoever must come again with another nonce has not used up an assertion.
    let confirmation = dpop::bind(authority, client, proof, caller.now).await?;
    let authorization = match Grant::from_params(params)? {
        Grant::ClientCredentials(target) => {
            client_credentials::authorize(client, &target, authority.directory.management_api())?
        }
    };
    let format = authorization.format_giver();
    let (profile, algorithm) =
        format.map_or((TokenProfile::Rfc9068, SigningAlgorithm::Rs256), |api| (api.profile, api.algorithm));
    let lifetime = lifetime(authority.config.access_token_lifetime, client, &authorization);
    let token_id = random_id().map_err(|error| OAuthError::server_error(error.to_string()))?;
    let valid_from = caller.now - authority.config.clock_backdate;
    let claims = AccessTokenClaims {
        issuer: authority.issuer(),
        client,
        authorization: &authorization,
        profile,
        // What is issued after a cut-off is never dated before it, however far `clock-backdate` goes back.
        issued_at: valid_from.max(authority.directory.cut_off(client)),
        valid_from,
        expires_at: caller.now + lifetime,
        token_id: &token_id,
        confirmation: confirmation.as_ref(),
    };
    let signed = authority.directory.ring().sign(algorithm, profile, &claims, caller.now);
    let jwt = signed.map_err(|error| OAuthError::server_error(error.to_string()))?;
    let token_type = if confirmation.is_some() { "DPoP" } else { "Bearer" };
    Ok(IssuedToken {
        jwt,
        lifetime,
        scope: authorization.scope_text(),
        scopes: authorization.scopes,
        token_type,
        client_id: client.client_id,
    })
}
