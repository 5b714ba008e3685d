//! The life of signing keys: next (published, not signing) → signing → retiring (published until its last token is
//! over) → gone. Which is which follows from timestamps alone, so every node says the same without being told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;

use super::KeyError;
use super::jwk::VerifyingKey;
use super::signing::SigningKey;
use crate::clock::Timestamp;
use crate::config::KeyLife;
use crate::oauth::{SigningAlgorithm, StatementType, TokenProfile};
use crate::secret::sha256;

/// The dates of a signing key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDates {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// From when on it signs, until another of its algorithm does.
    pub signs_from: Timestamp,
    /// The longest life that a token it signed can have had.
    pub token_lifetime: Duration,
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published so that verifiers know it before the first token comes.
    Next,
    /// Signs.
    Signing,
    /// Published until the last token it signed is over.
    Retiring,
    /// Not published any more.
    Gone,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
            Self::Gone => "gone",
        })
    }
}

/// All keys of all algorithms, in the order in which they sign.
#[derive(Debug, Clone, Default)]
pub struct KeySchedule(Vec<KeyDates>);

impl KeySchedule {
    /// Sorts the keys. Keys that were made to sign at the same moment are ordered by name, the same on every node.
    pub fn new(mut keys: Vec<KeyDates>) -> Self {
        keys.sort_by(|a, b| (a.signs_from, &a.kid).cmp(&(b.signs_from, &b.kid)));
        Self(keys)
    }

    /// The keys, in the order in which they sign.
    pub fn keys(&self) -> &[KeyDates] {
        &self.0
    }

    fn of(&self, algorithm: SigningAlgorithm) -> impl DoubleEndedIterator<Item = &KeyDates> {
        self.0.iter().filter(move |key| key.algorithm == algorithm)
    }

    /// The key that signs: the last whose time has come. On a node whose clock is so far behind that none has begun,
    /// the first.
    pub fn signing(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&KeyDates> {
        self.of(algorithm).rfind(|key| key.signs_from <= now).or_else(|| self.of(algorithm).next())
    }

    fn successor(&self, key: &KeyDates) -> Option<&KeyDates> {
        self.of(key.algorithm).skip_while(|other| other.kid != key.kid).nth(1)
    }

    /// When the key stops being published: once the last token it signed is over, and a little later. `None` while no
    /// other key is there to take its place.
    pub fn gone_at(&self, key: &KeyDates, life: KeyLife) -> Option<Timestamp> {
        self.successor(key).map(|successor| successor.signs_from + key.token_lifetime + life.retain)
    }

    /// Where the key is in its life.
    pub fn state(&self, key: &KeyDates, now: Timestamp, life: KeyLife) -> KeyState {
        if self.signing(key.algorithm, now).is_some_and(|signing| signing.kid == key.kid) {
            KeyState::Signing
        } else if key.signs_from > now {
            KeyState::Next
        } else if self.gone_at(key, life).is_some_and(|gone_at| gone_at <= now) {
            KeyState::Gone
        } else {
            KeyState::Retiring
        }
    }

    /// From when on a new key of that algorithm has to sign, if it is time to make one: at once if there is none,
    /// else when the last one's time is over, and not before verifiers had time to see it.
    pub fn new_key_due(&self, algorithm: SigningAlgorithm, now: Timestamp, life: KeyLife) -> Option<Timestamp> {
        let Some(last) = self.of(algorithm).next_back() else {
            return Some(now);
        };
        let over = last.signs_from + life.rotate_every;
        (now + life.announce >= over).then(|| over.max(now + life.announce))
    }
}

/// A key in the ring: private half to sign with, public half to verify with.
#[derive(Debug)]
struct HeldKey {
    signing: SigningKey,
    verifying: Arc<VerifyingKey>,
}

/// The JWKS document and its entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksDocument {
    /// JSON.
    pub body: Vec<u8>,
    /// A strong entity tag, in quotes.
    pub etag: String,
}

#[derive(Debug)]
struct Snapshot {
    schedule: KeySchedule,
    held: Vec<HeldKey>,
    jwks: Arc<JwksDocument>,
    /// When the next key begins to sign or stops being published, and the document changes by itself.
    jwks_until: Option<Timestamp>,
}

impl Snapshot {
    fn signing(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Result<&SigningKey, KeyError> {
        let held = self.schedule.signing(algorithm, now).and_then(|dates| self.held(&dates.kid));
        held.map(|held| &held.signing)
            .ok_or_else(|| KeyError::new(format!("there is no signing key for {}", algorithm.name())))
    }

    fn held(&self, kid: &str) -> Option<&HeldKey> {
        self.held.iter().find(|held| held.signing.kid() == kid)
    }
}

/// The keys of this server, as every request sees them.
#[derive(Debug)]
pub struct KeyRing {
    snapshot: ArcSwap<Snapshot>,
    life: KeyLife,
}

impl KeyRing {
    /// A ring of keys that were read from the database.
    ///
    /// # Errors
    /// When a public key cannot be parsed.
    pub fn new(keys: Vec<(KeyDates, SigningKey)>, life: KeyLife, now: Timestamp) -> Result<Self, KeyError> {
        Ok(Self { snapshot: ArcSwap::from_pointee(snapshot(keys, life, now)?), life })
    }

    /// Puts other keys in the place of those there are.
    ///
    /// # Errors
    /// When a public key cannot be parsed; then the old keys stay.
    pub fn replace(&self, keys: Vec<(KeyDates, SigningKey)>, now: Timestamp) -> Result<(), KeyError> {
        self.snapshot.store(Arc::new(snapshot(keys, self.life, now)?));
        Ok(())
    }

    /// Signs claims with the key whose turn it is.
    ///
    /// # Errors
    /// When there is no key of that algorithm, or the signature fails: both are faults of the server.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        profile: TokenProfile,
        claims: &impl Serialize,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        self.snapshot.load().signing(algorithm, now)?.sign(profile, claims)
    }

    /// Signs something other than an access token, with the key of the default algorithm.
    ///
    /// # Errors
    /// When there is no such key, or the signature fails: both are faults of the server.
    pub fn sign_statement(
        &self,
        typ: StatementType,
        claims: &impl Serialize,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        self.snapshot.load().signing(SigningAlgorithm::Rs256, now)?.sign_statement(typ, claims)
    }

    /// The public key of that name, if it is published now.
    pub fn published(&self, kid: &str, now: Timestamp) -> Option<Arc<VerifyingKey>> {
        let snapshot = self.snapshot.load();
        let held = snapshot.held(kid)?;
        let dates = snapshot.schedule.keys().iter().find(|dates| dates.kid == kid)?;
        (snapshot.schedule.state(dates, now, self.life) != KeyState::Gone).then(|| held.verifying.clone())
    }

    /// The document with every published key. Made when keys change, not when it is asked for.
    pub fn jwks(&self, now: Timestamp) -> Arc<JwksDocument> {
        let snapshot = self.snapshot.load();
        match snapshot.jwks_until {
            Some(until) if now >= until => Arc::new(document(&snapshot.schedule, &snapshot.held, self.life, now)),
            _ => snapshot.jwks.clone(),
        }
    }

    /// How old the key that signs with the default algorithm is, for metrics.
    pub fn signing_key_age(&self, now: Timestamp) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        snapshot.schedule.signing(SigningAlgorithm::Rs256, now).map(|key| now.since(key.signs_from))
    }

    /// The name of the key that signs with the default algorithm.
    pub fn signing_kid(&self, now: Timestamp) -> Option<String> {
        self.snapshot.load().schedule.signing(SigningAlgorithm::Rs256, now).map(|key| key.kid.clone())
    }
}

fn snapshot(keys: Vec<(KeyDates, SigningKey)>, life: KeyLife, now: Timestamp) -> Result<Snapshot, KeyError> {
    let mut dates = Vec::with_capacity(keys.len());
    let mut held = Vec::with_capacity(keys.len());
    for (key_dates, signing) in keys {
        let verifying = Arc::new(signing.verifying_key()?);
        dates.push(key_dates);
        held.push(HeldKey { signing, verifying });
    }
    let schedule = KeySchedule::new(dates);
    let ends = schedule.keys().iter().filter_map(|key| schedule.gone_at(key, life));
    let begins = schedule.keys().iter().map(|key| key.signs_from);
    let jwks_until = ends.chain(begins).filter(|moment| *moment > now).min();
    let jwks = Arc::new(document(&schedule, &held, life, now));
    Ok(Snapshot { schedule, held, jwks, jwks_until })
}

/// The key that signs comes first: some verifiers take the first they can use.
fn document(schedule: &KeySchedule, held: &[HeldKey], life: KeyLife, now: Timestamp) -> JwksDocument {
    let mut published: Vec<(bool, &KeyDates)> = schedule
        .keys()
        .iter()
        .map(|key| (schedule.state(key, now, life), key))
        .filter(|(state, _)| *state != KeyState::Gone)
        .map(|(state, key)| (state != KeyState::Signing, key))
        .collect();
    published.sort_by_key(|(waits, key)| (key.algorithm, *waits));
    let jwk =
        |key: &KeyDates| held.iter().find(|held| held.signing.kid() == key.kid).map(|held| held.signing.jwk().clone());
    let set = JwkSet { keys: published.into_iter().filter_map(|(_, key)| jwk(key)).collect() };
    let body = serde_json::to_vec(&set).unwrap_or_else(|_unserialisable| br#"{"keys":[]}"#.to_vec());
    let etag = sha256(&body).iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
    JwksDocument { body, etag: format!("\"{etag}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const LIFE: KeyLife =
        KeyLife { rotate_every: Duration::from_secs(90 * 86_400), announce: DAY, retain: Duration::from_secs(7_200) };

    fn key(kid: &str, signs_from: Timestamp) -> KeyDates {
        KeyDates {
            kid: kid.to_owned(),
            algorithm: SigningAlgorithm::Rs256,
            created_at: signs_from,
            signs_from,
            token_lifetime: DAY,
        }
    }

    #[test]
    fn a_key_passes_through_its_life_by_the_clock_alone() {
        let start = Timestamp::from_seconds(1_000_000_000);
        let handover = start + 90 * DAY;
        let schedule = KeySchedule::new(vec![key("new", handover), key("old", start)]);
        let states = |now| {
            let state = |kid: &str| {
                let key = schedule.keys().iter().find(|key| key.kid == kid).unwrap();
                schedule.state(key, now, LIFE).to_string()
            };
            format!("{} {}", state("old"), state("new"))
        };
        assert_eq!(states(start), "signing next");
        assert_eq!(states(handover - Duration::from_secs(1)), "signing next");
        assert_eq!(states(handover), "retiring signing");
        assert_eq!(states(handover + DAY + LIFE.retain - Duration::from_secs(1)), "retiring signing");
        assert_eq!(states(handover + DAY + LIFE.retain), "gone signing");
        assert_eq!(states(start - DAY), "signing next", "a clock that is behind");
    }

    #[test]
    fn a_new_key_is_due_one_announcement_before_it_signs() {
        let start = Timestamp::from_seconds(1_000_000_000);
        let due = |schedule: &KeySchedule, now| schedule.new_key_due(SigningAlgorithm::Rs256, now, LIFE);
        let empty = KeySchedule::default();
        assert_eq!(due(&empty, start), Some(start), "the first key signs at once");
        let one = KeySchedule::new(vec![key("old", start)]);
        assert_eq!(due(&one, start + 89 * DAY - Duration::from_secs(1)), None);
        assert_eq!(due(&one, start + 89 * DAY), Some(start + 90 * DAY));
        assert_eq!(due(&one, start + 200 * DAY), Some(start + 201 * DAY), "a server that slept still announces");
        let two = KeySchedule::new(vec![key("old", start), key("new", start + 90 * DAY)]);
        assert_eq!(due(&two, start + 90 * DAY), None);
        assert_eq!(one.new_key_due(SigningAlgorithm::Es256, start, LIFE), Some(start));
    }
}
