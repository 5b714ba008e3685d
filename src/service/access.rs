//! The one check of an access token, for every use of one: the guard and whatever else takes a token.

use std::sync::Arc;

use super::authority::Authority;
use super::dpop::check_nonce;
use crate::clock::Timestamp;
use crate::directory::LookupError;
use crate::keys::dpop::{BindingError, Shown, Use, check_binding};
use crate::keys::verify::{SignedToken, TokenError};
use crate::oauth::dpop::ProofError;
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
    authority.usage.checked(client.organisation.id);
    Ok(ValidToken { token, client })
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
