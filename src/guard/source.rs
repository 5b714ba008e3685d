//! The server's documents over HTTP: each answer bounded in time and size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use ureq::tls::{RootCerts, TlsConfig};

/// Why a document could not be had: for the log and for [`Status`](super::Status).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchError(String);

impl FetchError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to ask for, and how much of an answer is read.
pub(super) struct Ask<'a> {
    /// Path and query under the server's address.
    pub(super) path: &'a str,
    /// The tag of the document that is there already.
    pub(super) etag: Option<&'a str>,
    /// In octets.
    pub(super) longest: u64,
    /// For the whole exchange.
    pub(super) timeout: Duration,
}

/// An answer.
pub(super) enum Answer {
    /// The document.
    Document { body: Vec<u8>, etag: Option<String>, max_age: Option<Duration> },
    /// The document that was there already is the current one.
    Unchanged { max_age: Option<Duration> },
    /// There is no such document.
    Missing,
}

/// The server.
pub(super) struct Source {
    agent: Agent,
    address: String,
}

impl Source {
    pub(super) fn new(address: &str) -> Self {
        // Its own provider, so that the process's default stays whatever the service makes it.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(RootCerts::WebPki).unversioned_rustls_crypto_provider(provider);
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("brevet-guard/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .into();
        Self { agent, address: address.trim_end_matches('/').to_owned() }
    }

    pub(super) fn get(&self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        let url = format!("{}{}", self.address, ask.path);
        let failed = |error: ureq::Error| FetchError(format!("{url} does not answer: {error}"));
        let mut request = self.agent.get(&url).config().timeout_global(Some(ask.timeout)).build();
        if let Some(etag) = ask.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.call().map_err(failed)?;
        let max_age = max_age(response.headers());
        match response.status().as_u16() {
            200 => {
                let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                let body = response.body_mut().with_config().limit(ask.longest).read_to_vec().map_err(failed)?;
                Ok(Answer::Document { body, etag, max_age })
            }
            304 if ask.etag.is_some() => Ok(Answer::Unchanged { max_age }),
            404 => Ok(Answer::Missing),
            status => Err(FetchError(format!("{url} answered {status}"))),
        }
    }
}

/// `max-age` ([RFC 9111 §5.2.2.1](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1)).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = directives.flat_map(|value| value.split(',')).map(str::trim);
    let seconds = directives.find_map(|directive| directive.strip_prefix("max-age="))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}
