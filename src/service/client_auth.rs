//! Client authentication: from presented credentials to a client that is known. Every method goes through here, once,
//! before any grant is looked at.

mod assertion;
mod foreign;

use std::sync::Arc;

use uuid::Uuid;

use self::assertion::ReadAssertion;
use self::foreign::ForeignAssertion;
use super::authority::{Authority, Caller};
use super::throttle::Pair;
use crate::db::usage::Refused;
use crate::oauth::client::{
    ClientAuthentication, ClientSecret, PresentedAssertion, PresentedCredentials, PresentedSecret,
};
use crate::oauth::{Client, ClientId, OAuthError, OAuthErrorCode, ThirdParty};
use crate::secret::StoredSecret;

/// A client that has proved who it is. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
    secret_id: Option<Uuid>,
    third_party: Option<Arc<ThirdParty>>,
}

impl AuthenticatedClient {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Which of its secrets it used, if it used one.
    pub fn secret_id(&self) -> Option<Uuid> {
        self.secret_id
    }

    /// Whose JWT said that it is this client, if one did; for the log.
    pub fn third_party(&self) -> Option<&Arc<ThirdParty>> {
        self.third_party.as_ref()
    }
}

/// Checks credentials ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). An unknown client, a wrong
/// secret, an expired one, an assertion that does not hold, a disabled client and one that asks from outside its networks
/// get the same answer; the log says which it was.
///
/// # Errors
/// `invalid_client`; `temporarily_unavailable` after too many failures or when the client cannot be looked up.
pub async fn authenticate(
    authority: &Authority,
    caller: &Caller,
    presented: &PresentedCredentials,
) -> Result<AuthenticatedClient, OAuthError> {
    let read = match presented {
        PresentedCredentials::Secret(secret) => Ok(ReadCredentials::Secret(secret)),
        PresentedCredentials::Assertion(given) => ReadCredentials::of_assertion(given),
        PresentedCredentials::Nothing { .. } => return Err(OAuthError::invalid_client("no credentials")),
    };
    // Of a workload that does not say who it is, nothing but its address would be known, which others may have as well: they
    // must not lock it out, and a signature cannot be guessed.
    let claimed = read.as_ref().map_or(Some(""), ReadCredentials::client_id);
    let pair = claimed.map(|claimed| Pair::new(claimed, caller.address));
    if let Some(wait) = pair.as_ref().and_then(|pair| authority.throttle.wait(pair, caller.now)) {
        return Err(OAuthError::throttled(wait));
    }
    let checked = match read {
        Ok(ReadCredentials::Foreign(foreign)) => foreign.check(authority, caller).await,
        Ok(read) => check(authority, caller, &read).await,
        Err(error) => Err(error),
    };
    if let (Err(error), Some(pair)) = (&checked, pair)
        && error.code == OAuthErrorCode::InvalidClient
    {
        authority.throttle.record_failure(pair, caller.now);
    }
    checked.map_err(|error| OAuthError { basic_challenge: presented.is_basic(), ..error })
}

/// Credentials that could be read; most say whose they are.
enum ReadCredentials<'a> {
    Secret(&'a PresentedSecret),
    Assertion(Box<ReadAssertion<'a>>),
    Foreign(Box<ForeignAssertion<'a>>),
}

impl<'a> ReadCredentials<'a> {
    /// What a client signed names the client as its issuer; anything else a trusted issuer may have signed.
    fn of_assertion(given: &'a PresentedAssertion) -> Result<Self, OAuthError> {
        let own = ReadAssertion::new(given);
        if own.as_ref().is_ok_and(|own| ClientId::parse(own.claims.issuer()).is_some()) {
            return own.map(Box::new).map(Self::Assertion);
        }
        match ForeignAssertion::new(given) {
            Some(foreign) => Ok(Self::Foreign(Box::new(foreign))),
            None => own.map(Box::new).map(Self::Assertion),
        }
    }

    fn client_id(&self) -> Option<&str> {
        match self {
            Self::Secret(secret) => Some(&secret.client_id),
            Self::Assertion(assertion) => Some(assertion.claims.issuer()),
            Self::Foreign(foreign) => foreign.client_id,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Secret(_) => "a secret",
            Self::Assertion(_) => "an assertion of its own",
            Self::Foreign(_) => "an assertion of a trusted issuer",
        }
    }
}

async fn check(
    authority: &Authority,
    caller: &Caller,
    read: &ReadCredentials<'_>,
) -> Result<AuthenticatedClient, OAuthError> {
    let client = match read.client_id().and_then(ClientId::parse) {
        Some(client_id) => {
            let found = authority.directory.find_client(client_id).await;
            found.map_err(|error| OAuthError::unavailable(error.to_string()))?
        }
        None => None,
    };
    let Some(client) = client else {
        work_in_vain(authority, read);
        return Err(OAuthError::invalid_client("unknown client"));
    };
    // Looked at whatever is proved: a stranger learns nothing from how long it takes.
    let is_allowed = client.allowed_networks.allow(caller.address);
    let proved = match (&client.authentication, read) {
        (ClientAuthentication::ClientSecret, ReadCredentials::Secret(secret)) => {
            check_secret(authority, caller, &client, secret).await.map(Some)
        }
        (ClientAuthentication::PrivateKeyJwt(keys), ReadCredentials::Assertion(assertion)) => {
            assertion.check(authority, caller, &client, keys).await.map(|()| None)
        }
        (registered, _) => {
            work_in_vain(authority, read);
            let given = read.name();
            let detail = format!("{given} of a client that is registered with {}", registered.name());
            Err(OAuthError::invalid_client(detail))
        }
    };
    let active = match proved {
        Ok(_) if !client.is_active() => Err(OAuthError::invalid_client("disabled client or organisation")),
        proved => proved,
    };
    let is_foreign = active.is_ok() && !is_allowed;
    let active = if is_foreign {
        Err(OAuthError::invalid_client("proved, but from outside the networks that the app is allowed"))
    } else {
        active
    };
    let recorded = match (active, read) {
        (Ok(_), ReadCredentials::Assertion(assertion)) => {
            assertion.use_once(authority, client.client_id).await.map(|()| None)
        }
        (active, _) => active,
    };
    match recorded {
        Ok(secret_id) => Ok(AuthenticatedClient { client, secret_id, third_party: None }),
        Err(error) => {
            if error.code == OAuthErrorCode::InvalidClient {
                let why = if is_foreign { Refused::ForeignNetwork } else { Refused::With(error.code) };
                authority.usage.refused(&client, why);
            }
            Err(error.of_client(client.client_id))
        }
    }
}

/// As much work as for credentials that can be checked.
fn work_in_vain(authority: &Authority, read: &ReadCredentials<'_>) {
    match read {
        ReadCredentials::Secret(secret) => {
            for secret in &secret.secrets {
                std::hint::black_box(authority.pepper.hash(secret));
            }
        }
        ReadCredentials::Assertion(assertion) => {
            // Whatever it says: these keys are nobody's.
            let _ignored = std::hint::black_box(authority.decoys.verify(&assertion.jws));
        }
        ReadCredentials::Foreign(foreign) => foreign.verify_in_vain(authority),
    }
}

async fn check_secret(
    authority: &Authority,
    caller: &Caller,
    client: &Client,
    presented: &PresentedSecret,
) -> Result<Uuid, OAuthError> {
    let Some(matching) = matching_secret(authority, client, presented).await? else {
        return Err(OAuthError::invalid_client("wrong secret"));
    };
    if matching.expires_at.is_some_and(|expires_at| expires_at <= caller.now) {
        return Err(OAuthError::invalid_client("expired secret"));
    }
    Ok(matching.id)
}

/// Every stored secret is compared with every reading of the given one, whatever the first comparisons say.
async fn matching_secret<'c>(
    authority: &Authority,
    client: &'c Client,
    presented: &PresentedSecret,
) -> Result<Option<&'c ClientSecret>, OAuthError> {
    let mut matching = None;
    for given in &presented.secrets {
        let digest = authority.pepper.hash(given);
        for secret in &client.secrets {
            let matches = match &secret.stored {
                StoredSecret::Keyed(stored) => *stored == digest,
                StoredSecret::Argon2(phc) => {
                    authority.slow_hashes.verify(secret.id, phc, given, &authority.pepper).await?
                }
            };
            if matches {
                matching = Some(secret);
            }
        }
    }
    Ok(matching)
}
