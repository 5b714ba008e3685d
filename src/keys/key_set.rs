//! The public keys of somebody else: of a client that signs its requests, registered with it or fetched from its URL.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::KeyError;
use super::budget::{SignatureBudget, Spent};
use super::jwk::{PublicJwk, VerifyingKey};
use super::jws::{JwsError, UnverifiedJws};

/// Of a document that is registered, in octets.
pub const LONGEST_REGISTERED: usize = 64 * 1024;
/// Keys that may be registered: with rotation there are two or three.
const MOST_REGISTERED: usize = 20;
/// Keys in a document that was fetched; one with more is not used at all.
const MOST_FETCHED: usize = 50;
/// Keys of one set that are tried for one JWS: whoever has more says with `kid` which it is.
const MOST_TRIED: usize = 4;

/// A JWK set ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)), its keys unread.
#[derive(Deserialize)]
struct JwkSet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

fn split(document: &[u8]) -> Result<Vec<&RawValue>, KeyError> {
    if document.trim_ascii_start().first() != Some(&b'{') {
        return Err(KeyError::new("it is not a JWK set: write {\"keys\": [ … ]}"));
    }
    // Not in serde's words, which hold what was given: that may be a private key.
    let set: JwkSet<'_> = serde_json::from_slice(document).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        KeyError::new(format!("it is not a JWK set (line {line}, column {column}): write {{\"keys\": [ … ]}}"))
    })?;
    Ok(set.keys)
}

/// Reads keys that are to be registered. One that cannot be used makes the whole set unusable, so that whoever registers
/// it hears of it.
///
/// # Errors
/// What is wrong, and with which key.
pub fn read_registered(document: &[u8]) -> Result<Vec<PublicJwk>, KeyError> {
    if document.len() > LONGEST_REGISTERED {
        return Err(KeyError::new(format!("it is longer than {LONGEST_REGISTERED} octets")));
    }
    let keys = split(document)?;
    if keys.is_empty() || keys.len() > MOST_REGISTERED {
        return Err(KeyError::new(format!("it holds {} keys; 1 to {MOST_REGISTERED} can be registered", keys.len())));
    }
    let mut read: Vec<PublicJwk> = Vec::with_capacity(keys.len());
    for (at, json) in keys.iter().enumerate() {
        let of_key = |what: &dyn std::fmt::Display| KeyError::new(format!("key {}: {what}", at + 1));
        let jwk = PublicJwk::parse(json.get().as_bytes()).map_err(|error| of_key(&error))?;
        if jwk.kid().is_some() && read.iter().any(|other| other.kid() == jwk.kid()) {
            return Err(of_key(&"its `kid` is that of another key"));
        }
        read.push(jwk);
    }
    if read.iter().filter(|jwk| jwk.kid().is_none()).count() > MOST_TRIED {
        return Err(KeyError::new(format!(
            "more than {MOST_TRIED} of its keys have no `kid`: give each one, and name it in the header of what it signs"
        )));
    }
    Ok(read)
}

/// Reads keys that were fetched. Those that cannot be used are left out; there may be some for other purposes.
///
/// # Errors
/// When the document is not a JWK set, holds too many keys or none that can be used.
pub fn read_fetched(document: &[u8]) -> Result<Vec<PublicJwk>, KeyError> {
    let keys = split(document)?;
    if keys.len() > MOST_FETCHED {
        return Err(KeyError::new(format!("it holds {} keys; at most {MOST_FETCHED} are read", keys.len())));
    }
    let usable: Vec<PublicJwk> = keys.iter().filter_map(|json| PublicJwk::parse(json.get().as_bytes()).ok()).collect();
    if usable.is_empty() {
        return Err(KeyError::new("it holds no public signature key of RS256, PS256, ES256 or EdDSA"));
    }
    Ok(usable)
}

/// Keys to verify with, each with one algorithm.
#[derive(Debug)]
pub struct PublicKeys(Vec<VerifyingKey>);

/// Why no key of a set verifies a JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySetError {
    /// None could have signed it: its `kid` is unknown.
    NoKey,
    /// The key that it names, or each that could have signed it, did not.
    Refused(JwsError),
    /// It names no key, and there are more than are tried.
    Unnamed,
    /// It was tried with as many keys as it may be.
    Spent,
}

impl std::fmt::Display for KeySetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKey => f.write_str("no key has its kid"),
            Self::Refused(error) => error.fmt(f),
            Self::Unnamed => {
                write!(f, "its header names no key with kid, and none of the first {MOST_TRIED} signed it")
            }
            Self::Spent => f.write_str("it was tried with as many keys as it may be"),
        }
    }
}

impl PublicKeys {
    /// Keys that were registered.
    ///
    /// # Errors
    /// As [`read_registered`].
    pub fn registered(document: &[u8]) -> Result<Self, KeyError> {
        Self::new(&read_registered(document)?)
    }

    /// Keys that were fetched.
    ///
    /// # Errors
    /// As [`read_fetched`].
    pub fn fetched(document: &[u8]) -> Result<Self, KeyError> {
        Self::new(&read_fetched(document)?)
    }

    /// Nobody's keys, one of each type: verifying with them takes as long as with a client's.
    ///
    /// # Errors
    /// When a key is rejected, which does not happen.
    pub fn decoys() -> Result<Self, KeyError> {
        let modulus = "w".repeat(342);
        let keys = [
            format!(r#"{{"kty":"RSA","e":"AQAB","n":"{modulus}"}}"#),
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#.to_owned(),
        ];
        let read = keys.iter().map(|json| PublicJwk::parse(json.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        Self::new(&read)
    }

    fn new(keys: &[PublicJwk]) -> Result<Self, KeyError> {
        let each = |jwk: &PublicJwk| jwk.algorithms().map(|algorithm| jwk.verifying_key(algorithm)).collect::<Vec<_>>();
        keys.iter().flat_map(each).collect::<Result<_, _>>().map(Self)
    }

    /// Verifies with the key that the JWS names or, if it names none, with a few of its algorithm. A key without a name may be
    /// the one that a name stands for.
    ///
    /// # Errors
    /// Why none of them verifies it.
    pub fn verify<'j>(&self, jws: &'j UnverifiedJws<'_>) -> Result<&'j [u8], KeySetError> {
        self.verify_within(&SignatureBudget::new(MOST_TRIED), jws)
    }

    /// The same, as long as the budget lasts.
    ///
    /// # Errors
    /// As [`Self::verify`], and `Spent`.
    pub fn verify_within<'j>(
        &self,
        budget: &SignatureBudget,
        jws: &'j UnverifiedJws<'_>,
    ) -> Result<&'j [u8], KeySetError> {
        let mut candidates = self.named_or_nameless(jws).peekable();
        if candidates.peek().is_none() {
            return Err(KeySetError::NoKey);
        }
        let mut fitting = candidates.filter(|key| key.algorithm().name() == jws.alg());
        let mut refusal = JwsError::Algorithm;
        for key in fitting.by_ref().take(MOST_TRIED) {
            budget.take(1).map_err(|Spent| KeySetError::Spent)?;
            match jws.verify(key) {
                Ok(payload) => return Ok(payload),
                Err(error) => refusal = error,
            }
        }
        Err(if fitting.next().is_some() { KeySetError::Unnamed } else { KeySetError::Refused(refusal) })
    }

    /// Whether one of the keys could have signed it, as far as that can be told without trying.
    pub fn may_have_signed(&self, jws: &UnverifiedJws<'_>) -> bool {
        self.named_or_nameless(jws).any(|key| key.algorithm().name() == jws.alg())
    }

    /// The keys that the JWS names, then those without a name; all of them if it names none.
    fn named_or_nameless<'s>(&'s self, jws: &'s UnverifiedJws<'_>) -> impl Iterator<Item = &'s VerifyingKey> {
        let is_named = move |key: &&VerifyingKey| jws.kid().is_none_or(|kid| key.kid() == Some(kid));
        let is_nameless = move |key: &&VerifyingKey| jws.kid().is_some() && key.kid().is_none();
        self.0.iter().filter(is_named).chain(self.0.iter().filter(is_nameless))
    }

    /// Whether one has that name.
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid() == Some(kid))
    }
}
