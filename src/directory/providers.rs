//! What OpenID Connect providers say of themselves, and the exchange of a code for an ID token. Each provider has threads of
//! its own, few of them: one that is slow or dead keeps nobody waiting but those who want to sign in there.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::outbound::{Fetcher, check_url};
use super::remote_keys::configuration_url;
use crate::clock::Timestamp;
use crate::oauth::json::read_object;
use crate::secret::Secret;

/// Requests to one provider at once; the next is told to try later.
const REQUESTS_AT_ONCE: usize = 8;
/// How long what a provider says of itself is kept.
const KEPT: Duration = Duration::from_secs(3_600);
/// After a failure nobody asks again for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// What a provider says of itself ([OpenID Connect Discovery
/// §3](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where codes are exchanged.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Whether its answers always say who they are from ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207#section-3)).
    pub names_itself: bool,
}

impl ProviderMetadata {
    /// Reads the document of the provider of that issuer.
    fn read(document: &[u8], issuer: &str, allow_private: bool) -> Result<Self, String> {
        let members = read_object(document).map_err(|error| error.to_string())?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("issuer") != issuer {
            return Err("it names another issuer than the setting".to_owned());
        }
        let address = |name: &str| {
            let checked = check_url(text(name), allow_private);
            checked.map(String::from).map_err(|wrong| format!("its {name} cannot be used: {wrong}"))
        };
        Ok(Self {
            authorization_endpoint: address("authorization_endpoint")?,
            token_endpoint: address("token_endpoint")?,
            jwks_uri: address("jwks_uri")?,
            names_itself: members.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(ProviderMetadata, Timestamp)>,
    failed_at: Option<Timestamp>,
}

/// A provider, as this node knows it.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    allow_private: bool,
    fetcher: Arc<Fetcher>,
    turns: Arc<Semaphore>,
    known: Mutex<Known>,
}

impl Provider {
    /// The provider of that issuer, of which nothing is known yet.
    pub fn new(issuer: &str, allow_private: bool) -> Self {
        Self {
            issuer: issuer.to_owned(),
            allow_private,
            fetcher: Arc::new(Fetcher::new(allow_private)),
            turns: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            known: Mutex::default(),
        }
    }

    /// What the provider says of itself: fetched once in a while.
    ///
    /// # Errors
    /// Why it is not known, for the log.
    pub async fn metadata(&self, now: Timestamp) -> Result<ProviderMetadata, String> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            // A clock that was set back makes nothing younger.
            let is_recent = |at: Timestamp, span: Duration| at <= now && now < at + span;
            if let Some((metadata, at)) = &known.metadata
                && is_recent(*at, KEPT)
            {
                return Ok(metadata.clone());
            }
            if known.failed_at.is_some_and(|at| is_recent(at, PAUSE)) {
                return Err("it could not be reached a moment ago".to_owned());
            }
        }
        let url = configuration_url(&self.issuer);
        let read = self.run(move |fetcher| fetcher.fetch(&url).map(|fetched| fetched.body)).await;
        let read = read.and_then(|document| ProviderMetadata::read(&document, &self.issuer, self.allow_private));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &read {
            Ok(metadata) => *known = Known { metadata: Some((metadata.clone(), now)), failed_at: None },
            Err(_) => known.failed_at = Some(now),
        }
        read.map_err(|error| format!("its configuration cannot be fetched: {error}"))
    }

    /// Exchanges a code for an ID token.
    ///
    /// # Errors
    /// Why there is none, for the log; never with the code or what was answered.
    pub async fn exchange(&self, url: String, authorization: Secret, form: Secret) -> Result<Secret, String> {
        let answer = self.run(move |fetcher| fetcher.post_form(&url, &authorization, &form)).await;
        let answer = answer.map_err(|error| format!("the code was not exchanged: {error}"))?;
        let members = read_object(&answer).map_err(|error| format!("its token answer cannot be read: {error}"))?;
        let token = members.get("id_token").and_then(Value::as_str);
        token.map(Secret::new).ok_or_else(|| "its token answer has no id_token".to_owned())
    }

    /// Does something that blocks, on a thread of its own.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Fetcher) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let turn = self.turns.clone().try_acquire_owned();
        let turn = turn.map_err(|_all_taken| "too many people sign in there at once".to_owned())?;
        let (done, answer) = oneshot::channel();
        let fetcher = self.fetcher.clone();
        let work = move || {
            // Whoever asked may have gone.
            let _gone = done.send(work(&fetcher));
            drop(turn);
        };
        let spawned = thread::Builder::new().name("sign-in-provider".to_owned()).spawn(work);
        spawned.map_err(|error| error.to_string())?;
        answer.await.map_err(|_dropped| "the request did not end".to_owned())?
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://login.example";

    #[test]
    fn a_provider_must_say_that_it_is_the_one_and_name_only_addresses_of_the_internet() {
        let document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize?tenant=1",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://login.example/jwks",
        });
        let read = |document: &Value| ProviderMetadata::read(document.to_string().as_bytes(), ISSUER, false);
        assert!(!read(&document).unwrap().names_itself);
        for (member, value) in [
            ("issuer", json!("https://login.example/")),
            ("issuer", json!(null)),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("token_endpoint", json!("http://login.example/token")),
            ("token_endpoint", json!("https://169.254.169.254/")),
            ("jwks_uri", json!("https://127.0.0.1/")),
            ("jwks_uri", json!(7)),
        ] {
            let mut wrong = document.clone();
            wrong[member] = value.clone();
            assert!(read(&wrong).is_err(), "{member}: {value}");
        }
    }
}
