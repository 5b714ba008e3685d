//! Workload identity: a trusted issuer says by a signature that whoever shows it is a client
//! ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)). The client needs no key of its own.

use super::AuthenticatedClient;
use crate::oauth::client::PresentedAssertion;
use crate::oauth::trust::{RefusedJwt, Way};
use crate::oauth::{ClientId, OAuthError};
use crate::service::foreign_jwt::{self, Narrowing, UnverifiedForeignJwt};
use crate::service::{Authority, Caller};

/// A client assertion of somebody else than the client. Nothing of it is proved yet.
pub(super) struct ForeignAssertion<'a> {
    unverified: UnverifiedForeignJwt<'a>,
    /// Whose it is, if whoever sends it says so.
    pub(super) client_id: Option<&'a str>,
}

impl<'a> ForeignAssertion<'a> {
    /// `None` for what cannot be one, and for what names a client as its issuer.
    pub(super) fn new(given: &'a PresentedAssertion) -> Option<Self> {
        let unverified = UnverifiedForeignJwt::parse(given.jwt.reveal()).ok()?;
        let is_foreign = ClientId::parse(unverified.unverified_issuer()).is_none();
        is_foreign.then_some(Self { unverified, client_id: given.client_id.as_deref() })
    }

    pub(super) fn verify_in_vain(&self, authority: &Authority) {
        self.unverified.verify_in_vain(authority);
    }

    /// Checks it and uses it up.
    pub(super) async fn check(self, authority: &Authority, caller: &Caller) -> Result<AuthenticatedClient, OAuthError> {
        let (client_id, address) = (self.client_id, Some(caller.address));
        let narrowing = Narrowing { client_id, address, ..Narrowing::default() };
        let verified =
            foreign_jwt::verify(authority, self.unverified, Way::ClientAssertion, narrowing, caller.now).await;
        let verified = verified.map_err(refused)?;
        Ok(AuthenticatedClient { client: verified.client, secret_id: None, third_party: Some(verified.third_party) })
    }
}

fn refused(jwt: RefusedJwt) -> OAuthError {
    jwt.into_error(|error| OAuthError::invalid_client(format!("the assertion of a trusted issuer is refused: {error}")))
}
