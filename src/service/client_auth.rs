//! Client authentication: from presented credentials to a client that is known. Every method goes through here, once,
//! before any grant is looked at.

use std::sync::Arc;

use uuid::Uuid;

use super::authority::{Authority, Caller};
use super::throttle::Pair;
use crate::oauth::client::{ClientSecret, PresentedCredentials};
use crate::oauth::{Client, ClientId, OAuthError};
use crate::secret::StoredSecret;

/// A client that has proved who it is. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
    secret_id: Uuid,
}

impl AuthenticatedClient {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Which of its secrets it used.
    pub fn secret_id(&self) -> Uuid {
        self.secret_id
    }
}

/// Checks credentials ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). An unknown client, a wrong
/// secret, an expired one and a disabled client get the same answer; the log says which it was.
///
/// # Errors
/// `invalid_client`; `temporarily_unavailable` after too many failures or when the client cannot be looked up.
pub async fn authenticate(
    authority: &Authority,
    caller: &Caller,
    presented: &PresentedCredentials,
) -> Result<AuthenticatedClient, OAuthError> {
    let pair = Pair::new(&presented.client_id, caller.address);
    if let Some(wait) = authority.throttle.wait(&pair, caller.now) {
        return Err(OAuthError::throttled(wait));
    }
    let checked = check(authority, caller, presented).await;
    if let Err(error) = &checked
        && error.code == crate::oauth::OAuthErrorCode::InvalidClient
    {
        authority.throttle.record_failure(pair, caller.now);
    }
    checked.map_err(|error| OAuthError { basic_challenge: presented.is_basic(), ..error })
}

async fn check(
    authority: &Authority,
    caller: &Caller,
    presented: &PresentedCredentials,
) -> Result<AuthenticatedClient, OAuthError> {
    let client = match ClientId::parse(&presented.client_id) {
        Some(client_id) => {
            let found = authority.directory.find_client(client_id).await;
            found.map_err(|error| OAuthError::unavailable(error.to_string()))?
        }
        None => None,
    };
    let Some(client) = client else {
        // As much work as for a client that exists.
        for secret in &presented.secrets {
            std::hint::black_box(authority.pepper.hash(secret));
        }
        return Err(OAuthError::invalid_client("unknown client"));
    };
    let refused = |detail: &str| {
        authority.usage.refused(client.client_id);
        Err(OAuthError::invalid_client(detail).of_client(client.client_id))
    };
    let Some(matching) = matching_secret(authority, &client, presented).await? else {
        return refused("wrong secret");
    };
    if matching.expires_at.is_some_and(|expires_at| expires_at <= caller.now) {
        return refused("expired secret");
    }
    if !client.is_active() {
        return refused("disabled client or organisation");
    }
    let secret_id = matching.id;
    Ok(AuthenticatedClient { client, secret_id })
}

/// Every stored secret is compared with every reading of the given one, whatever the first comparisons say.
async fn matching_secret<'c>(
    authority: &Authority,
    client: &'c Client,
    presented: &PresentedCredentials,
) -> Result<Option<&'c ClientSecret>, OAuthError> {
    let mut matching = None;
    for given in &presented.secrets {
        let digest = authority.pepper.hash(given);
        for secret in &client.secrets {
            let matches = match &secret.stored {
                StoredSecret::Keyed(stored) => *stored == digest,
                StoredSecret::Argon2(phc) => {
                    authority.passwords.verify(secret.id, phc, given, &authority.pepper).await?
                }
            };
            if matches {
                matching = Some(secret);
            }
        }
    }
    Ok(matching)
}
