//! Signing keys: their lives, and what people may do about them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use crate::config::KeyLife;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Operator, Visitor};
use crate::http::pictures::{Timeline, spoken};
use crate::keys::ring::KeyState;
use crate::oauth::SigningAlgorithm;
use crate::oauth::metadata::path;
use crate::service::ServiceError;
use crate::service::signing_keys::{self, KeyDetails};

/// So many characters of a key's name are typed to confirm that it shall go.
const TYPED: usize = 8;

/// The page.
#[derive(Serialize)]
struct KeysView {
    faults: Faults,
    timeline: Timeline,
    jwks: String,
    algorithms: Vec<Algorithm>,
    announce: String,
    rotate_every: String,
}

/// What is signed with an algorithm, and what can be done about it.
#[derive(Serialize)]
struct Algorithm {
    name: &'static str,
    signing: String,
    /// The key that takes over.
    next: Option<String>,
}

impl View for KeysView {
    const TEMPLATE: &'static str = "dashboard/admin/keys";
    const SECTION: Section = Section::SigningKeys;

    fn title(&self) -> String {
        "Signing keys".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl KeysView {
    fn new(visitor: &Visitor<Operator>, keys: &[KeyDetails], faults: Faults) -> Self {
        let config = visitor.config();
        Self {
            jwks: format!("{}{}", config.issuer, path::JWKS),
            ..Self::of(keys, config.key_life, visitor.now(), faults)
        }
    }

    fn of(keys: &[KeyDetails], life: KeyLife, now: crate::clock::Timestamp, faults: Faults) -> Self {
        let of_state = |algorithm: SigningAlgorithm, state| {
            keys.iter().find(move |key| key.dates.algorithm == algorithm && key.state == state)
        };
        let algorithm = |algorithm: &SigningAlgorithm| {
            let signing = of_state(*algorithm, KeyState::Signing)?;
            let next = of_state(*algorithm, KeyState::Next);
            Some(Algorithm {
                name: algorithm.name(),
                signing: signing.dates.kid.clone(),
                next: next.map(|key| key.dates.kid.clone()),
            })
        };
        Self {
            faults,
            timeline: Timeline::new(keys, life, now),
            jwks: String::new(),
            algorithms: SigningAlgorithm::ALL.iter().filter_map(algorithm).collect(),
            announce: spoken(life.announce),
            rotate_every: spoken(life.rotate_every),
        }
    }
}

async fn answer(visitor: &Visitor<Operator>, status: StatusCode, faults: Faults) -> PageResult {
    let keys = visitor.look(signing_keys::list).await?;
    visitor.page_with(status, &KeysView::new(visitor, &keys, faults))
}

/// The page.
pub(in crate::http::dashboard) async fn list(visitor: Visitor<Operator>) -> PageResult {
    answer(&visitor, StatusCode::OK, Faults::default()).await
}

fn algorithm(visitor: &Visitor<Operator>, form: &Form) -> Result<SigningAlgorithm, PageError> {
    let known = SigningAlgorithm::ALL.iter().copied().find(|known| known.name() == form.text("algorithm"));
    known.ok_or_else(|| PageError::bad_request(visitor, "The algorithm is missing. Load the page again."))
}

async fn answer_change<T>(visitor: &Visitor<Operator>, done: Result<T, ServiceError>, code: &str) -> PageResult {
    match done {
        Ok(_) => Ok(visitor.go("/admin/keys", code)),
        Err(ServiceError::Conflict(_)) => {
            let fault = "There is a next key already. Rotate, and it signs sooner.";
            answer(visitor, StatusCode::CONFLICT, Faults::one("", fault)).await
        }
        Err(error) => Err(PageError::service(visitor, &error)),
    }
}

/// Publishes the next key now.
pub(in crate::http::dashboard) async fn generate(visitor: Visitor<Operator>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let algorithm = algorithm(&visitor, &form)?;
    let done = visitor.change(move |m| signing_keys::generate(m, algorithm)).await;
    answer_change(&visitor, done, "signing-key-generated").await
}

/// Lets another key take over as soon as verifiers had time to see it.
pub(in crate::http::dashboard) async fn rotate(visitor: Visitor<Operator>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let algorithm = algorithm(&visitor, &form)?;
    let done = visitor.change(move |m| signing_keys::rotate(m, algorithm, false)).await;
    answer_change(&visitor, done, "signing-key-rotated").await
}

/// The page that asks whether a key shall really go.
#[derive(Serialize)]
struct RevocationView {
    faults: Faults,
    kid: String,
    /// What is to be typed.
    typed: String,
    algorithm: &'static str,
    state: String,
    is_signing: bool,
    is_next: bool,
    successor: Option<String>,
    token_lifetime: String,
    verifiers: Vec<Verifier>,
}

/// What verifies tokens, and how long it believes in a key that is gone.
#[derive(Serialize)]
struct Verifier {
    name: &'static str,
    lag: &'static str,
    why: &'static str,
}

const VERIFIERS: &[(&str, &str, &str)] = &[
    ("This server: introspection, /connect/verify, resource routes", "within a second", "Every node hears of it."),
    (
        "HTTP caches in between",
        "up to 6 minutes",
        "The key set may be cached for 300 seconds, and 60 more while it is fetched again.",
    ),
    ("PyJWT (PyJWKClient)", "up to 5 minutes", "Its cache lives 300 seconds."),
    ("oauth4webapi", "up to 5 minutes", "It fetches keys again after 5 minutes."),
    ("jose for Node.js", "up to 10 minutes", "Its cache lives 10 minutes."),
    ("Envoy and Istio", "up to 20 minutes", "They fetch keys by a timer, whatever token comes."),
    ("AWS HTTP API authorizer", "up to 2 hours", "It caches keys for 2 hours."),
    (
        "ASP.NET JwtBearer",
        "up to 12 hours",
        "It fetches keys every 12 hours, or sooner when a token names a key it does not know.",
    ),
    (
        "PostgREST, nginx and others with a key file",
        "until somebody replaces the file",
        "They fetch nothing by themselves.",
    ),
];

impl View for RevocationView {
    const TEMPLATE: &'static str = "dashboard/admin/revoke-key";
    const SECTION: Section = Section::SigningKeys;

    fn title(&self) -> String {
        "Revoke a signing key".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl RevocationView {
    fn new(keys: &[KeyDetails], kid: &str, faults: Faults) -> Option<Self> {
        let key = keys.iter().find(|key| key.dates.kid == kid)?;
        let next =
            keys.iter().find(|other| other.dates.algorithm == key.dates.algorithm && other.state == KeyState::Next);
        let verifier = |(name, lag, why): &(&'static str, &'static str, &'static str)| Verifier { name, lag, why };
        Some(Self {
            faults,
            typed: typed(kid),
            algorithm: key.dates.algorithm.name(),
            state: key.state.to_string(),
            is_signing: key.state == KeyState::Signing,
            is_next: key.state == KeyState::Next,
            successor: next.map(|next| next.dates.kid.clone()).filter(|next| next != kid),
            token_lifetime: spoken(key.dates.token_lifetime),
            verifiers: VERIFIERS.iter().map(verifier).collect(),
            kid: kid.to_owned(),
        })
    }
}

fn typed(kid: &str) -> String {
    kid.chars().take(TYPED).collect()
}

async fn ask(visitor: &Visitor<Operator>, kid: &str, status: StatusCode, faults: Faults) -> PageResult {
    let keys = visitor.look(signing_keys::list).await?;
    match RevocationView::new(&keys, kid, faults) {
        Some(view) => visitor.page_with(status, &view),
        None => Err(PageError::not_found(visitor)),
    }
}

/// Asks whether a key shall really go, and says what that breaks.
pub(in crate::http::dashboard) async fn show_revocation(visitor: Visitor<Operator>, kid: Path<String>) -> PageResult {
    ask(&visitor, &kid, StatusCode::OK, Faults::default()).await
}

/// Takes a key out of the world at once.
pub(in crate::http::dashboard) async fn revoke(
    visitor: Visitor<Operator>,
    kid: Path<String>,
) -> Result<HttpResponse, PageError> {
    let form = visitor.confirmed_form(&[]).await?;
    if form.trimmed("confirm-kid") != typed(&kid) {
        let fault =
            Faults::one("confirm-kid", "Type the first 8 characters of the key's name, exactly as they stand above.");
        return ask(&visitor, &kid, StatusCode::UNPROCESSABLE_ENTITY, fault).await;
    }
    let kid = kid.into_inner();
    let done = visitor.change(move |m| signing_keys::revoke(m, &kid)).await;
    answer_change(&visitor, done, "signing-key-revoked").await
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::keys::ring::KeyDates;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let (now, day) = (Timestamp::from_seconds(1_795_305_600), Duration::from_secs(86_400));
        let life = KeyLife { rotate_every: day * 90, announce: day, retain: day };
        let key = |kid: &str, state, signs_from, gone_at| KeyDetails {
            dates: KeyDates {
                kid: kid.to_owned(),
                algorithm: SigningAlgorithm::Rs256,
                created_at: now,
                signs_from,
                token_lifetime: day,
            },
            state,
            gone_at,
        };
        let only = [key("present-and-long", KeyState::Signing, now, None)];
        let two = [
            key("present-and-long", KeyState::Signing, now, Some(now + day * 3)),
            key("next", KeyState::Next, now + day, None),
        ];
        let mut samples = vec![
            sample(KeysView::of(&only, life, now, Faults::default())),
            sample(KeysView::of(&two, life, now, Faults::one("", "There is a next key already."))),
        ];
        for kid in ["present-and-long", "next"] {
            samples.extend(RevocationView::new(&two, kid, Faults::default()).map(sample));
        }
        samples
            .extend(RevocationView::new(&only, "present-and-long", Faults::one("confirm-kid", "Type it.")).map(sample));
        samples
    }
}
