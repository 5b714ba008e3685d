//! Introspection ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)): what a token is worth, for those whom it
//! concerns.

use super::access::{self, AccessError, ValidToken};
use super::authority::{Authority, Caller};
use crate::oauth::{Client, OAuthError};

/// The token, if it is good and the asker may know.
///
/// # Errors
/// `temporarily_unavailable` when it cannot be known at the moment.
pub async fn introspect(
    authority: &Authority,
    caller: &Caller,
    asker: &Client,
    token: &str,
) -> Result<Option<ValidToken>, OAuthError> {
    match access::verify(authority, token, caller.now).await {
        Ok(valid) => Ok(Some(valid).filter(|valid| may_know(asker, valid))),
        Err(AccessError::Refused(_)) => Ok(None),
        Err(AccessError::Unavailable(reason)) => {
            Err(OAuthError::unavailable(reason.to_string()).of_client(asker.client_id))
        }
    }
}

/// A client may ask about its own tokens, and about those for an API of its organisation for which it holds a scope:
/// the service behind the API is registered as an app like any other.
fn may_know(asker: &Client, valid: &ValidToken) -> bool {
    let own = valid.client.client_id == asker.client_id;
    let organisation = asker.organisation.id;
    let for_api_of_asker = || {
        asker.granted.iter().any(|scope| {
            scope.api.organisation_id == Some(organisation) && valid.token.claims.aud.contains(&scope.api.identifier)
        })
    };
    own || (valid.client.organisation.id == organisation && for_api_of_asker())
}
