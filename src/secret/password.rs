//! The slow hash, argon2id: for passwords that people choose and for imported secrets of unknown strength.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::{Pepper, Secret, StoredSecret, is_generated_client_secret};

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19_456;
const ARGON2_PASSES: u32 = 2;
/// A stored hash that asks for more memory than this is refused unread: nobody else picks what our memory is spent on.
const ARGON2_MOST_MEMORY_KIB: u32 = 65_536;
const ARGON2_MOST_PASSES: u32 = 10;

/// Why a password could not be hashed.
#[derive(Debug)]
pub struct HashError(String);

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the password could not be hashed: {}", self.0)
    }
}

impl std::error::Error for HashError {}

/// argon2id with a salt of its own, in PHC form. Takes about 16 ms and 19 MiB.
///
/// # Errors
/// When the operating system has no random bytes for the salt.
pub fn hash_password(password: &Secret) -> Result<String, HashError> {
    let params =
        Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, None).map_err(|error| HashError(error.to_string()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.reveal().as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

/// Whether `password` is the one that `phc` was made from. Takes about 16 ms and 19 MiB; call it off the workers.
pub fn verify_password(phc: &str, password: &Secret) -> bool {
    let Ok(stored) = PasswordHash::new(phc) else {
        return false;
    };
    let cost = |name| stored.params.get_decimal(name).unwrap_or(u32::MAX);
    if cost("m") > ARGON2_MOST_MEMORY_KIB || cost("t") > ARGON2_MOST_PASSES {
        return false;
    }
    Argon2::default().verify_password(password.reveal().as_bytes(), &stored).is_ok()
}

impl StoredSecret {
    /// Hashes a secret for storage: fast if it carries 256 random bits by its form, slow otherwise.
    ///
    /// # Errors
    /// When the operating system has no random bytes for a salt.
    pub fn new(secret: &Secret, pepper: &Pepper) -> Result<Self, HashError> {
        if is_generated_client_secret(secret.reveal()) {
            Ok(Self::Keyed(pepper.hash(secret)))
        } else {
            Ok(Self::Argon2(hash_password(secret)?.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate_client_secret;
    use super::*;

    #[test]
    fn stored_secrets_are_read_back_as_written() {
        let pepper = Pepper::new([7; 32]);
        let generated = StoredSecret::new(&generate_client_secret().unwrap(), &pepper).unwrap();
        assert!(matches!(generated, StoredSecret::Keyed(_)));
        let imported = StoredSecret::new(&Secret::new("correct horse"), &pepper).unwrap();
        assert!(matches!(imported, StoredSecret::Argon2(_)));
        for stored in [generated, imported] {
            assert_eq!(StoredSecret::from_text(&stored.to_text()), Some(stored));
        }
        assert_eq!(StoredSecret::from_text("plain"), None);
    }

    #[test]
    fn a_password_is_verified_by_its_hash_and_costly_hashes_are_refused_unread() {
        let password = Secret::new("correct horse");
        let phc = hash_password(&password).unwrap();
        assert!(verify_password(&phc, &password));
        assert!(!verify_password(&phc, &Secret::new("battery staple")));
        assert!(!verify_password(&phc.replace("m=19456", "m=4194304"), &password));
        assert!(!verify_password("not a hash", &password));
    }
}
