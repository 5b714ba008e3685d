//! How a guard is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::Guard;
use super::refusal::Realm;
use crate::clock::{Clock, SystemClock};

/// A day: longer than any outage should last, shorter than most tokens are kept.
const MAX_STALE: Duration = Duration::from_secs(24 * 3_600);

/// Why a guard could not be built. The sentence says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardError(String);

impl GuardError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GuardError {}

/// What a guard runs on.
pub(super) struct Settings {
    pub(super) issuer: String,
    pub(super) server: String,
    pub(super) audiences: Vec<String>,
    pub(super) realm: Arc<Realm>,
    /// The address of this service, without a slash at its end.
    pub(super) url: Option<String>,
    pub(super) keys_max_stale: Duration,
    pub(super) revocations_max_stale: Duration,
    pub(super) patience: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// The settings of a [`Guard`]. Made by [`Guard::builder`].
#[must_use = "a guard begins with `build`"]
pub struct GuardBuilder {
    settings: Settings,
    realm: Realm,
    allow_http: bool,
}

impl fmt::Debug for GuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBuilder")
            .field("issuer", &self.settings.issuer)
            .field("server", &self.settings.server)
            .field("audiences", &self.settings.audiences)
            .finish_non_exhaustive()
    }
}

impl GuardBuilder {
    pub(super) fn new(issuer: &str) -> Self {
        let realm = Realm { name: "brevet".to_owned(), resource_metadata: None, takes_bound: false };
        let settings = Settings {
            issuer: issuer.to_owned(),
            server: issuer.to_owned(),
            audiences: Vec::new(),
            realm: Arc::new(realm.clone()),
            url: None,
            keys_max_stale: MAX_STALE,
            revocations_max_stale: MAX_STALE,
            patience: Duration::from_secs(2),
            clock: Arc::new(SystemClock),
        };
        Self { settings, realm, allow_http: false }
    }

    /// The identifier of the API that this service is: a token must be for it. At least one; with several, a token for
    /// any of them will do.
    pub fn audience(mut self, identifier: impl Into<String>) -> Self {
        self.settings.audiences.push(identifier.into());
        self
    }

    /// The address to ask for keys and revocations, when it is not the issuer's own: inside a cluster, for example.
    pub fn server(mut self, address: impl Into<String>) -> Self {
        self.settings.server = address.into();
        self
    }

    /// Lets keys be fetched over `http://` from other machines than this. Whoever is on the way can then make the guard
    /// accept any token: only for networks where nobody can be.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// How long keys are good without the server having confirmed them; 24 hours if nothing else is said. Past it, every
    /// request is refused with 503.
    pub fn keys_max_stale(mut self, span: Duration) -> Self {
        self.settings.keys_max_stale = span;
        self
    }

    /// How long the revocation feed is good without the server having confirmed it; 24 hours if nothing else is said.
    /// Past it, every request is refused with 503. A shorter span hears of revocations sooner when the server cannot be
    /// reached, and stands still sooner.
    pub fn revocations_max_stale(mut self, span: Duration) -> Self {
        self.settings.revocations_max_stale = span;
        self
    }

    /// How long a request may wait for keys when its token names one that is not known; 2 seconds if nothing else is said.
    pub fn patience(mut self, span: Duration) -> Self {
        self.settings.patience = span;
        self
    }

    /// The `realm` of challenges; `brevet` if nothing else is said.
    pub fn realm(mut self, name: impl Into<String>) -> Self {
        self.realm.name = name.into();
        self
    }

    /// Where this service publishes its own metadata
    /// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)): stands in each challenge.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.realm.resource_metadata = Some(url.into());
        self
    }

    /// The address by which clients call this service: with the path of a request behind it, that is what a DPoP proof
    /// must be for ([RFC 9449 §4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3)). Only a service that says it takes
    /// tokens that are bound to a key; it is never guessed from a request's `Host`, which the caller writes.
    ///
    /// A proof is good for one use in each process: behind a load balancer, each instance remembers its own.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = Some(url.into());
        self
    }

    /// Where the time comes from: for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Begins to fetch keys and revocations, in two threads that end with the last clone of the guard. The server need
    /// not be there: until it is, every request is refused with 503.
    ///
    /// # Errors
    /// When there is no audience, an address is wrong, or the threads cannot be started.
    pub fn build(mut self) -> Result<Guard, GuardError> {
        if self.settings.audiences.is_empty() {
            return Err(GuardError::new(
                "a guard needs the identifier of the API that it guards, as Brevet has it: audience(\"https://…\")",
            ));
        }
        check_address("issuer", &self.settings.issuer, true)?;
        check_address("server", &self.settings.server, self.allow_http)?;
        let quotable =
            |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        if !quotable(&self.realm.name) || !self.realm.resource_metadata.iter().all(quotable) {
            return Err(GuardError::new("realm and resource_metadata may have neither quotes nor control characters"));
        }
        if let Some(url) = &mut self.settings.url {
            check_address("url", url, true)?;
            url.truncate(url.trim_end_matches('/').len());
        }
        self.realm.takes_bound = self.settings.url.is_some();
        self.settings.realm = Arc::new(self.realm);
        Guard::start(self.settings)
    }
}

fn check_address(what: &str, address: &str, allow_http: bool) -> Result<(), GuardError> {
    let wrong = |why: &str| GuardError::new(format!("the {what} {address:?} {why}"));
    let url = Url::parse(address).map_err(|_not_a_url| wrong("is not a URL; write https://id.example.com"))?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("may have neither user, query nor fragment"));
    }
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || allow_http => Ok(()),
        "http" => Err(wrong(
            "is http://, so whoever is on the way could give this guard keys of its own; use https://, or say \
             allow_http(true) if nobody can be",
        )),
        _ => Err(wrong("must begin with https://")),
    }
}
