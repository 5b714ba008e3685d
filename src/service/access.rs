//! The one check of an access token, for every use of one: the guard and whatever else takes a token.

use std::sync::Arc;

use super::authority::Authority;
use crate::clock::Timestamp;
use crate::directory::LookupError;
use crate::keys::verify::{SignedToken, TokenError};
use crate::oauth::{Client, ClientId};

/// A token that is good now, and the client it was issued to.
#[derive(Debug, Clone)]
pub struct ValidToken {
    /// Its claims.
    pub token: Arc<SignedToken>,
    /// The client as it is now.
    pub client: Arc<Client>,
}

/// Why a token was not accepted.
#[derive(Debug)]
pub enum AccessError {
    /// It is not good.
    Refused(TokenError),
    /// It cannot be known at the moment.
    Unavailable(LookupError),
}

/// Checks signature, `typ`, `iss`, time and revocation: everything but what it is used for.
///
/// # Errors
/// The first check that failed.
pub async fn verify(authority: &Authority, token: &str, now: Timestamp) -> Result<ValidToken, AccessError> {
    let directory = &authority.directory;
    let ring = directory.ring();
    let token = authority.verifier.verify(token, |kid| ring.published(kid, now)).map_err(AccessError::Refused)?;
    token.check_time(now).map_err(AccessError::Refused)?;
    let revoked = || AccessError::Refused(TokenError::Revoked);
    if directory.is_revoked(&token.claims.jti) {
        return Err(revoked());
    }
    let client_id = ClientId::parse(&token.claims.client_id).ok_or(AccessError::Refused(TokenError::Malformed))?;
    let client = directory.find_client(client_id).await.map_err(AccessError::Unavailable)?.ok_or_else(revoked)?;
    // A token says who its client belonged to; a client that was moved or made anew elsewhere is another.
    let same_tenant = *client.organisation.slug == *token.claims.tenant;
    // As it stands in the token, whatever `clock-backdate` is or was: see `service::cut_offs`.
    if !client.is_active() || !same_tenant || token.claims.iat < directory.cut_off(&client) {
        return Err(revoked());
    }
    Ok(ValidToken { token, client })
}
