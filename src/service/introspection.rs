//! Introspection ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)): what a token is worth, for those whom it
//! concerns.

use super::access::{self, AccessError, Inquirer, ValidToken, refused_foreign};
use super::authority::{Authority, Caller};
use crate::oauth::{Client, OAuthError};

/// The token, if it is good and the asker may know. A service asks about what somebody shows it, once for each request, so
/// its question is the use of a third party's JWT that is good once; everybody else only looks.
///
/// # Errors
/// `temporarily_unavailable` when it cannot be known at the moment.
pub async fn introspect(
    authority: &Authority,
    caller: &Caller,
    asker: &Client,
    token: &str,
) -> Result<Option<ValidToken>, OAuthError> {
    match known(authority, caller, asker, token).await {
        Ok(known) => Ok(known),
        Err(AccessError::Refused(_) | AccessError::Foreign { .. }) => Ok(None),
        Err(AccessError::Unavailable(reason)) => {
            Err(OAuthError::unavailable(reason.to_string()).of_client(asker.client_id))
        }
    }
}

async fn known(
    authority: &Authority,
    caller: &Caller,
    asker: &Client,
    token: &str,
) -> Result<Option<ValidToken>, AccessError> {
    let inquirer = Inquirer::Organisation(&asker.organisation.slug);
    let (valid, untaken) = access::look(authority, token, inquirer, caller.now).await?;
    let is_own = is_own(asker, &valid);
    if !is_own && !is_served_by(asker, &valid) {
        return Ok(None);
    }
    match untaken {
        Some(untaken) if is_own => untaken.check_unused(authority).await.map_err(refused_foreign)?,
        Some(untaken) => untaken.take(authority).await.map_err(refused_foreign)?,
        None => {}
    }
    Ok(Some(valid))
}

/// A client may ask about its own tokens.
fn is_own(asker: &Client, valid: &ValidToken) -> bool {
    valid.client.client_id == asker.client_id
}

/// It may also ask about those for an API of its organisation for which it holds a scope: the service behind the API is
/// registered as an app like any other.
fn is_served_by(asker: &Client, valid: &ValidToken) -> bool {
    let organisation = asker.organisation.id;
    let is_for_api_of_asker = || {
        asker.granted.iter().any(|scope| {
            scope.api.organisation_id == Some(organisation) && valid.token.claims.aud.contains(&scope.api.identifier)
        })
    };
    valid.client.organisation.id == organisation && is_for_api_of_asker()
}
