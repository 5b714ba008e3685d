//! `private_key_jwt`: a client proves by a signature that it has its private key
//! ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).

use std::fmt;

use crate::db::used_jti::{self, Jti};
use crate::directory::SignatureError;
use crate::keys::jws::UnverifiedJws;
use crate::oauth::assertion::{AssertionClaims, LONGEST_ASSERTION};
use crate::oauth::client::{KeySource, PresentedAssertion};
use crate::oauth::{Client, ClientId, OAuthError};
use crate::service::{Authority, Caller};

/// Under which ids of client assertions are remembered, apart from those of other JWTs.
const PURPOSE: &str = "client_assertion";

/// A client assertion, taken apart. Nothing of it is proved yet.
pub(super) struct ReadAssertion<'a> {
    pub(super) jws: UnverifiedJws<'a>,
    pub(super) claims: AssertionClaims,
}

fn refused(why: impl fmt::Display) -> OAuthError {
    OAuthError::invalid_client(format!("the client assertion is refused: {why}"))
}

impl<'a> ReadAssertion<'a> {
    pub(super) fn new(given: &'a PresentedAssertion) -> Result<Self, OAuthError> {
        let jws = UnverifiedJws::parse(given.jwt.reveal(), LONGEST_ASSERTION).map_err(refused)?;
        let claims = AssertionClaims::read(jws.unverified_payload()).map_err(refused)?;
        if given.client_id.as_ref().is_some_and(|client_id| client_id != claims.issuer()) {
            return Err(refused("the client_id parameter is not its iss"));
        }
        Ok(Self { jws, claims })
    }

    /// Checks signature and claims; the claims that were read are those that were signed.
    pub(super) async fn check(
        &self,
        authority: &Authority,
        caller: &Caller,
        client: &Client,
        keys: &KeySource,
    ) -> Result<(), OAuthError> {
        let organisation_id = Some(client.organisation.id);
        let verified = authority.directory.verify_foreign(keys, organisation_id, &self.jws, caller.now).await;
        verified.map_err(|error| match error {
            SignatureError::Overloaded => OAuthError::unavailable(error.to_string()),
            error => refused(error),
        })?;
        self.claims.check(self.jws.typ(), client.client_id, authority.issuer(), caller.now).map_err(refused)
    }

    /// Uses the assertion up. After everything else: who cannot sign for the client must not burn its ids.
    pub(super) async fn use_once(&self, authority: &Authority, client_id: ClientId) -> Result<(), OAuthError> {
        let (jti, forget_at) = (self.claims.id().to_owned(), self.claims.forget_at());
        let record = move |conn: &mut _| used_jti::record(conn, &client_id.to_string(), PURPOSE, &jti, forget_at);
        let recorded = authority.directory.database().insert_off_thread(record).await;
        match recorded.map_err(|error| OAuthError::unavailable(error.to_string()))? {
            Jti::Fresh => Ok(()),
            Jti::Replayed => Err(refused("its jti was used before")),
        }
    }
}
