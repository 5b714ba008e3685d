//! A ticket: an access token for whom a third party's JWT stands for, in the form that application servers ask for.

use super::authority::{Authority, Caller};
use super::foreign_jwt::{self, Narrowing};
use super::token::{Grantee, IssuedToken, issue};
use crate::oauth::OAuthError;
use crate::oauth::request::TokenTarget;
use crate::oauth::trust::{RefusedJwt, Way};

/// Why there is no ticket.
#[derive(Debug)]
pub enum TicketError {
    /// The JWT is refused.
    Refused(RefusedJwt),
    /// It is good, but no token can be issued for it.
    NotIssued(OAuthError),
}

/// Answers a third party's JWT with a ticket for everything that it stands for.
///
/// # Errors
/// The check that failed, or why no token can be issued.
pub async fn exchange(
    authority: &Authority,
    caller: &Caller,
    jwt: &str,
    tenant: Option<&str>,
) -> Result<IssuedToken, TicketError> {
    let narrowing = Narrowing { tenant, address: Some(caller.address), ..Narrowing::default() };
    let refused = TicketError::Refused;
    let unverified = foreign_jwt::parse(authority, jwt, Way::Ticket).map_err(|error| refused(error.into()))?;
    let verified = foreign_jwt::verify(authority, unverified, Way::Ticket, narrowing, caller.now).await;
    let verified = verified.map_err(refused)?;
    let grantee = Grantee::of_foreign_jwt(&verified);
    let issued = issue(authority, caller, &grantee, &TokenTarget::default(), None).await;
    issued.map_err(|error| TicketError::NotIssued(error.of_third_party(Some(verified.third_party.clone()))))
}
