//! Secrets: how they are made, kept out of sight, hashed and compared. Randomness is made here.

#[cfg(feature = "server")]
mod password;
#[cfg(feature = "server")]
mod recovery_code;
#[cfg(feature = "server")]
pub mod sealed;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

#[cfg(feature = "server")]
pub use self::password::{HashError, HashMemory, hash_password};
#[cfg(feature = "server")]
pub use self::recovery_code::{generate_recovery_code, read_recovery_code};

/// A text that must not be seen: prints as `[redacted]`, is wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for hashing, and for showing it the one time it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The operating system gave no random bytes. Nothing can be made without them.
#[derive(Debug)]
pub struct NoRandomness(getrandom::Error);

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operating system gave no random bytes: {}", self.0)
    }
}

impl std::error::Error for NoRandomness {}

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// When the operating system has none to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A random identifier of 128 bits in base64url (22 characters): `jti`s, request ids, passwords made for people.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn random_id() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<16>()?))
}

/// What a secret is for. Its first four characters say so to people and scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// By which a client proves who it is.
    ClientSecret,
    /// With which clients are registered ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)).
    InitialAccessToken,
    /// With which a registered client is shown and changed
    /// ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592#section-3)).
    RegistrationAccessToken,
    /// With which a browser shows that somebody is signed in.
    Session,
    /// The part of a one-time link that nobody can guess.
    Link,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::ClientSecret => "bvk_",
            Self::InitialAccessToken => "bvr_",
            Self::RegistrationAccessToken => "bvc_",
            Self::Session => "bvs_",
            Self::Link => "bvl_",
        }
    }
}

const PREFIX_LENGTH: usize = 4;
const BODY_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a client secret: `bvk_`, 43 base62 characters (256 random bits) and 6 more that hold their CRC-32, so that
/// scanners and people can tell a mistyped secret from a wrong one. Letters, digits and `_` only: the same whether or
/// not a client form-encodes it for HTTP Basic.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn generate_client_secret() -> Result<Secret, NoRandomness> {
    generate_secret(SecretKind::ClientSecret)
}

/// Makes a secret of that kind, in the form of [`generate_client_secret`] with a prefix of its own.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn generate_secret(kind: SecretKind) -> Result<Secret, NoRandomness> {
    let mut text = String::with_capacity(PREFIX_LENGTH + BODY_LENGTH + CHECKSUM_LENGTH);
    text.push_str(kind.prefix());
    while text.len() < PREFIX_LENGTH + BODY_LENGTH {
        let bytes = Zeroizing::new(random_bytes::<64>()?);
        // 248 is the largest multiple of 62 below 256: what lies above would favour the first characters.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let missing = PREFIX_LENGTH + BODY_LENGTH - text.len();
        text.extend(fair.take(missing).map(|byte| base62_digit(u32::from(*byte))));
    }
    let checksum = checksum(&text);
    text.push_str(&checksum);
    Ok(Secret(text))
}

/// Whether `text` has the form of a client secret made by [`generate_client_secret`], checksum included: then it
/// carries 256 random bits and needs no slow hash.
pub fn is_generated_client_secret(text: &str) -> bool {
    is_generated_secret(SecretKind::ClientSecret, text)
}

/// Whether `text` has the form of a secret of that kind, checksum included.
pub fn is_generated_secret(kind: SecretKind, text: &str) -> bool {
    let Some((signed, given)) = text.split_at_checked(PREFIX_LENGTH + BODY_LENGTH) else {
        return false;
    };
    signed.strip_prefix(kind.prefix()).is_some_and(|body| body.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && given == checksum(signed)
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits: Vec<char> = (0..CHECKSUM_LENGTH)
        .map(|_| {
            let digit = base62_digit(rest);
            rest /= 62;
            digit
        })
        .collect();
    digits.reverse();
    digits.into_iter().collect()
}

fn base62_digit(value: u32) -> char {
    let index = usize::try_from(value % 62).unwrap_or(0);
    BASE62.get(index).copied().map_or('0', char::from)
}

/// The last four characters, by which people tell their secrets apart in a list.
pub fn hint(secret: &Secret) -> String {
    let skip = secret.0.chars().count().saturating_sub(4);
    secret.0.chars().skip(skip).collect()
}

/// The key of the keyed hash under which client secrets are stored. Derived from the master key.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Pepper([u8; 32]);

impl Pepper {
    /// A pepper of 256 bits.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256 of the secret: 256 random bits gain nothing from a slow hash.
    pub fn hash(&self, secret: &Secret) -> KeyedHash {
        // HMAC takes a key of any length, so the error cannot happen; an all-zero hash would match nothing.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return KeyedHash([0; 32]);
        };
        mac.update(secret.0.as_bytes());
        KeyedHash(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// A keyed hash of a secret. Equality takes the same time wherever the difference is.
#[derive(Clone, Copy, Eq)]
pub struct KeyedHash([u8; 32]);

impl PartialEq for KeyedHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash([redacted])")
    }
}

impl KeyedHash {
    /// In base64url.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`Self::to_text`] wrote; nothing if it is anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

/// How a client secret is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredSecret {
    /// HMAC-SHA-256 under the pepper: for secrets that Brevet made.
    Keyed(KeyedHash),
    /// argon2id in PHC form: for imported secrets of unknown strength.
    Argon2(Box<str>),
}

impl StoredSecret {
    const KEYED: &str = "hmac-sha256:";

    /// The column's text.
    pub fn to_text(&self) -> String {
        match self {
            Self::Keyed(hash) => format!("{}{}", Self::KEYED, hash.to_text()),
            Self::Argon2(phc) => phc.to_string(),
        }
    }

    /// Reads the column's text; nothing if it is neither form.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some(encoded) = text.strip_prefix(Self::KEYED) {
            return KeyedHash::from_text(encoded).map(Self::Keyed);
        }
        text.starts_with("$argon2id$").then(|| Self::Argon2(text.into()))
    }
}

/// SHA-256: a short name for a long text, such as a token in a cache.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "ASCII by construction")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_client_secret_has_the_published_form_and_never_repeats() {
        let secrets: HashSet<String> =
            (0..10_000).map(|_| generate_client_secret().unwrap().reveal().to_owned()).collect();
        assert_eq!(secrets.len(), 10_000);
        for secret in secrets {
            assert_eq!(secret.len(), 53);
            assert!(is_generated_client_secret(&secret), "{secret}");
        }
    }

    #[test]
    fn a_secret_is_of_one_kind_only() {
        let kinds = [
            SecretKind::ClientSecret,
            SecretKind::InitialAccessToken,
            SecretKind::RegistrationAccessToken,
            SecretKind::Session,
            SecretKind::Link,
        ];
        for kind in kinds {
            assert_eq!(kind.prefix().len(), PREFIX_LENGTH);
            let secret = generate_secret(kind).unwrap();
            for other in kinds {
                assert_eq!(is_generated_secret(other, secret.reveal()), other == kind, "{kind:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_mistyped_client_secret_is_told_by_its_checksum() {
        let secret = generate_client_secret().unwrap().reveal().to_owned();
        let last = if secret.ends_with('a') { "b" } else { "a" };
        let mistyped = [&secret[..52], last].concat();
        for wrong in
            [mistyped.as_str(), &secret[..52], &secret[1..], "", "bvk_", &format!("{secret}a"), &"é".repeat(27)]
        {
            assert!(!is_generated_client_secret(wrong), "{wrong}");
        }
    }

    #[test]
    fn all_base62_characters_are_used_about_equally() {
        let mut counts = [0_u32; 128];
        for _ in 0..2_000 {
            for byte in generate_client_secret().unwrap().reveal()[4..47].bytes() {
                counts[usize::from(byte)] += 1;
            }
        }
        let mean = 2_000.0 * 43.0 / 62.0;
        for digit in BASE62 {
            let seen = f64::from(counts[usize::from(*digit)]);
            assert!((seen - mean).abs() < mean * 0.2, "{} seen {seen} times", char::from(*digit));
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let secret = Secret::new("hunter2");
        let pepper = Pepper::new([7; 32]);
        let shown = format!("{secret:?} {pepper:?} {:?}", StoredSecret::Keyed(pepper.hash(&secret)));
        assert_eq!(shown, "[redacted] Pepper([redacted]) Keyed(KeyedHash([redacted]))");
    }
}
