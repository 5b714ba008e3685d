//! The guard for other services: verifies Brevet's tokens offline, asking nobody per request.
//!
//! The feature `guard` without the others pulls in no database:
//!
//! ```toml
//! brevet = { git = "…", default-features = false, features = ["guard"] }
//! ```
//!
//! An actix-web service puts one [`Guard`] into its application data; a handler that has an [`AccessToken`] among its
//! arguments then runs only for a token that is good:
//!
//! ```no_run
//! use actix_web::web::Data;
//! use actix_web::{App, HttpServer, Responder, get};
//! use brevet::guard::{AccessToken, Guard, Refusal};
//!
//! #[get("/invoices")]
//! async fn invoices(token: AccessToken) -> Result<impl Responder, Refusal> {
//!     token.require_scope("billing:read")?;
//!     Ok(format!("the invoices of {}", token.tenant()))
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = Guard::builder("https://id.example.com").audience("https://billing.example").build()?;
//!     let guard = Data::new(guard);
//!     HttpServer::new(move || App::new().app_data(guard.clone()).service(invoices))
//!         .bind("127.0.0.1:8081")?
//!         .run()
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! Other frameworks call [`Guard::admit`] with the header, or [`Guard::verify`] with the token, and make an answer of the
//! [`Refusal`].
//!
//! # What is checked
//!
//! Signature (the algorithm is the key's, never the token's), `typ`, `iss`, `nbf <= now < exp` with no leeway (Brevet
//! back-dates `nbf` by 5 s for clocks that are a little behind), `aud`, and revocation: the token itself, cut-offs of its
//! app, its organisation or the whole server, disabled and deleted apps and organisations. Scopes are the handler's
//! question, because each route needs others. A token that is bound to a key (`cnf`) is never accepted as a bearer token: a
//! service that says its own address ([`GuardBuilder::url`]) takes it with a DPoP proof for the request, any other refuses it.
//!
//! # When it learns what
//!
//! Two threads of the guard ask the server; requests find everything in memory.
//!
//! * **Keys**: fetched at the start and again when the JWKS's `max-age` is over, at least once an hour. A token with an
//!   unknown `kid` causes one more fetch, at most one in 5 s, and waits for it as long as
//!   [`GuardBuilder::patience`] says: a rotation needs no restart, and forged tokens cause no flood. A key that is revoked
//!   is dropped when the feed comes signed with another one, or with the next fetch.
//! * **Revocations**: the signed feed of `/connect/revocations` is followed by long polling, so a revocation is known here
//!   about a second later. A server whose metadata names no feed is named in [`Guard::status`]; one that names a feed is
//!   not trusted without it.
//!
//! # When the server cannot be reached
//!
//! The last keys and the last feed stay good for [`GuardBuilder::keys_max_stale`] and
//! [`GuardBuilder::revocations_max_stale`], 24 hours each if nothing else is said: an outage of the server is none of the
//! service. Past that, and while nothing was ever had, the guard refuses with 503: it never lets in what it cannot judge.
//! What is revoked during an outage is learnt within seconds of its end.

mod actix;
mod builder;
mod follower;
mod keys;
mod presented;
mod refusal;
mod revocations;
mod source;
mod status;
mod token;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use self::builder::Settings;
pub use self::builder::{GuardBuilder, GuardError};
use self::follower::Follower;
use self::keys::Keys;
pub use self::presented::Presented;
pub use self::refusal::{Lacking, Reason, Refusal};
use self::revocations::{Feed, Revocations};
use self::source::{FetchError, Source};
pub use self::status::{RevocationStatus, Status};
pub use self::token::AccessToken;
use self::worker::Worker;
use crate::keys::dpop::{BindingError, Shown, Use, UsedProofs, check_binding};
use crate::keys::verify::{TokenError, Verifier};
use crate::oauth::bearer::{Scheme, SentToken};
use crate::oauth::dpop::{ProofError, ProvenRequest};
pub use crate::oauth::header::Header;

/// How long the thread that follows the feed sleeps while there are no keys to verify it with.
const WITHOUT_KEYS: Duration = Duration::from_millis(200);

/// From one fetch of the keys to the next, however short they are good for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// The guard of a service. Clones share everything; its threads end with the last clone.
#[derive(Clone)]
pub struct Guard(Arc<Running>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} for {})", self.0.shared.settings.issuer, self.0.shared.settings.audiences.join(" "))
    }
}

/// What ends the threads when it is dropped: they themselves do not hold it.
struct Running {
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.keys_worker.stop();
        self.shared.feed_worker.stop();
    }
}

/// What requests and threads share.
struct Shared {
    settings: Settings,
    source: Source,
    verifier: Verifier,
    keys: Keys,
    keys_worker: Worker,
    revocations: Revocations,
    feed_worker: Worker,
    used_proofs: UsedProofs,
}

impl Guard {
    /// Settings for a guard that trusts the tokens of this issuer: its URL, byte for byte as in `iss`.
    pub fn builder(issuer: &str) -> GuardBuilder {
        GuardBuilder::new(issuer)
    }

    fn start(settings: Settings) -> Result<Self, GuardError> {
        let shared = Arc::new(Shared {
            source: Source::new(&settings.server),
            verifier: Verifier::new(&settings.issuer),
            keys: Keys::new(),
            keys_worker: Worker::new("keys"),
            revocations: Revocations::new(),
            feed_worker: Worker::new("revocations"),
            used_proofs: UsedProofs::new(),
            settings,
        });
        let running = Running { shared: shared.clone() };
        let begin = |name: &str, work: fn(&Shared)| {
            let shared = shared.clone();
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            thread.map_err(|error| GuardError::new(format!("the guard's thread {name} cannot be started: {error}")))
        };
        begin("brevet-keys", Shared::follow_keys)?;
        begin("brevet-feed", Shared::follow_feed)?;
        Ok(Self(Arc::new(running)))
    }

    /// Lets a request in, or refuses it. Must be called on a tokio runtime, as actix-web has one: it may have to wait for
    /// keys, never longer than [`GuardBuilder::patience`] says.
    ///
    /// # Errors
    /// The first check that failed.
    pub async fn admit(&self, presented: &Presented<'_>) -> Result<AccessToken, Refusal> {
        let shared = &self.0.shared;
        shared.admit(presented).await.map_err(|reason| shared.refusal(reason, presented.scheme()))
    }

    /// Checks a token that came as a bearer token. Must be called on a tokio runtime, as [`Self::admit`].
    ///
    /// # Errors
    /// The first check that failed.
    pub async fn verify(&self, token: &str) -> Result<AccessToken, Refusal> {
        let shared = &self.0.shared;
        let good = shared.check_patiently(token).await;
        let held = good.and_then(|good| shared.check_sender(good, &Shown::Bearer));
        held.map_err(|reason| shared.refusal(reason, Scheme::Bearer))
    }

    /// Checks a token that came as a bearer token with what is known now, and waits for nothing.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn check(&self, token: &str) -> Result<AccessToken, Refusal> {
        let shared = &self.0.shared;
        let held = shared.check(token).and_then(|good| shared.check_sender(good, &Shown::Bearer));
        held.map_err(|reason| shared.refusal(reason, Scheme::Bearer))
    }

    /// How fresh keys and revocations are, for the service's own health page.
    pub fn status(&self) -> Status {
        Status::of(&self.0.shared)
    }
}

impl Shared {
    fn refusal(&self, reason: Reason, scheme: Scheme) -> Refusal {
        Refusal::new(reason, self.settings.realm.clone(), scheme)
    }

    async fn admit(&self, presented: &Presented<'_>) -> Result<AccessToken, Reason> {
        let SentToken { scheme, token } = presented.token()?;
        let url = match (scheme, &self.settings.url) {
            (Scheme::Bearer, _) => {
                let good = self.check_patiently(token).await?;
                return self.check_sender(good, &Shown::Bearer);
            }
            // To this service, the scheme is any other.
            (Scheme::Dpop, None) => return Err(Reason::NoToken),
            (Scheme::Dpop, Some(url)) => format!("{url}{}", presented.path),
        };
        let mut good = self.check_patiently(token).await?;
        good.scheme = Scheme::Dpop;
        let proof = presented.proof().map_err(Reason::Proof)?;
        let request = ProvenRequest { method: presented.method, url: &url, access_token: Some(token) };
        self.check_sender(good, &Shown::WithProof(proof, request))
    }

    /// As [`Self::check`]; what could be otherwise with newer keys or a newer feed is checked again with them.
    async fn check_patiently(&self, token: &str) -> Result<AccessToken, Reason> {
        let mut outcome = self.check(token);
        let until = tokio::time::Instant::now() + self.settings.patience;
        // For keys, and then for the feed that they verify; and for each once more, if the first news were of a fetch that
        // had begun before.
        for _ in 0..4 {
            let Some(worker) = outcome.as_ref().err().and_then(|reason| self.who_may_know(reason)) else { break };
            let mut news = worker.news();
            if !worker.ring() || tokio::time::timeout_at(until, news.changed()).await.is_err() {
                break;
            }
            outcome = self.check(token);
        }
        outcome
    }

    /// The one order of checks of everything but how the token was sent.
    fn check(&self, token: &str) -> Result<AccessToken, Reason> {
        let settings = &self.settings;
        let now = settings.clock.now();
        let keys = self.keys.current(now, settings.keys_max_stale).map_err(Reason::Unavailable)?;
        let revocations = self.revocations.current(now, settings.revocations_max_stale).map_err(Reason::Unavailable)?;
        let signed = self.verifier.verify(token, |kid| keys.find(kid)).map_err(Reason::Token)?;
        signed.check_time(now).map_err(Reason::Token)?;
        if revocations.is_some_and(|list| list.revokes(&signed.claims)) {
            return Err(Reason::Token(TokenError::Revoked));
        }
        if !settings.audiences.iter().any(|audience| signed.claims.aud.contains(audience)) {
            return Err(Reason::Token(TokenError::Audience));
        }
        Ok(AccessToken { signed, realm: settings.realm.clone(), scheme: Scheme::Bearer })
    }

    /// A token that is bound to a key is good only for who proves to hold it, and each proof for one request.
    fn check_sender(&self, good: AccessToken, shown: &Shown<'_>) -> Result<AccessToken, Reason> {
        let now = self.settings.clock.now();
        let proof = check_binding(good.signed.claims.cnf.as_ref(), shown, now).map_err(|error| match error {
            BindingError::Token(TokenError::Bound) if self.settings.url.is_none() => Reason::BoundTokens,
            BindingError::Token(reason) => Reason::Token(reason),
            BindingError::Proof(reason) => Reason::Proof(reason),
        })?;
        match proof.map(|proof| self.used_proofs.record(&proof, now)) {
            None | Some(Use::First) => Ok(good),
            Some(Use::Repeated) => Err(Reason::Proof(ProofError::Replayed)),
            Some(Use::NoRoom) => Err(Reason::Unavailable(Lacking::Room)),
        }
    }

    /// The thread that could bring what this refusal lacked.
    fn who_may_know(&self, reason: &Reason) -> Option<&Worker> {
        match reason {
            Reason::Token(TokenError::UnknownKey) => Some(&self.keys_worker),
            Reason::Unavailable(Lacking::Keys | Lacking::FreshKeys) => Some(&self.keys_worker),
            Reason::Unavailable(Lacking::Revocations | Lacking::FreshRevocations) => Some(&self.feed_worker),
            _ => None,
        }
    }

    /// The life of the thread that fetches keys.
    fn follow_keys(&self) {
        loop {
            let wait = self.keys_worker.done(self.refresh_keys());
            if matches!(*self.revocations.get(), Feed::Unknown) {
                // It waits for keys to verify the feed with.
                self.feed_worker.wake();
            }
            if !self.keys_worker.sleep(wait) {
                return;
            }
        }
    }

    fn refresh_keys(&self) -> Result<Duration, FetchError> {
        let settings = &self.settings;
        let wait = self.keys.refresh(&self.source, &settings.issuer, &*settings.clock)?;
        // Confirmed again before they are too old.
        Ok(wait.min(settings.keys_max_stale / 2).max(SHORTEST_PAUSE))
    }

    /// The life of the thread that follows the feed.
    fn follow_feed(&self) {
        let mut follower = Follower::default();
        loop {
            let wait = if self.keys.confirmed_at().is_none() {
                WITHOUT_KEYS
            } else {
                let outcome = follower.ask(self);
                self.feed_worker.done(outcome)
            };
            if !self.feed_worker.sleep(wait) {
                return;
            }
        }
    }
}
