//! The slow hash, argon2id: for passwords that people choose and for imported secrets of unknown strength.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::try_generate_salt;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;

use super::{Pepper, Secret, StoredSecret, is_generated_client_secret};

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19_456;
const ARGON2_PASSES: u32 = 2;
/// A stored hash that asks for more memory than this is refused unread: nobody else picks what our memory is spent on.
const ARGON2_MOST_MEMORY_KIB: u32 = 65_536;
const ARGON2_MOST_PASSES: u32 = 10;
/// Room that is asked of the allocator at least, in blocks of 1 KiB; what is not touched costs nothing. What is larger than
/// 32 MiB glibc takes from the system alone, and gives it back when it is freed; anything smaller it would keep for good,
/// once for each thread that ever computed a hash.
const ROOM: usize = 33 * 1_024;

/// Why a password could not be hashed.
#[derive(Debug)]
pub struct HashError(String);

impl HashError {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the password could not be hashed: {}", self.0)
    }
}

impl std::error::Error for HashError {}

/// The memory in which hashes are computed, one after another: to get it anew each time costs a third of a hash.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
    }
}

impl HashMemory {
    /// argon2id with a salt of its own, in PHC form. Takes about 16 ms and 19 MiB.
    ///
    /// # Errors
    /// When the operating system has no random bytes for the salt.
    pub fn hash(&mut self, password: &Secret) -> Result<String, HashError> {
        let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, None).map_err(HashError::new)?;
        let salt = try_generate_salt().map_err(HashError::new)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(HashError::new)?,
            salt: Some(Salt::new(&salt).map_err(HashError::new)?),
            hash: Some(self.compute(Algorithm::Argon2id, Version::V0x13, params, password, &salt)?),
        };
        Ok(hash.to_string())
    }

    /// Whether `password` is the one that `phc` was made from. Takes about 16 ms and 19 MiB; call it off the workers.
    pub fn verify(&mut self, phc: &str, password: &Secret) -> bool {
        let Ok(stored) = PasswordHash::new(phc) else {
            return false;
        };
        let cost = |name| stored.params.get_decimal(name).unwrap_or(u32::MAX);
        if cost("m") > ARGON2_MOST_MEMORY_KIB || cost("t") > ARGON2_MOST_PASSES {
            return false;
        }
        let (Ok(algorithm), Ok(version), Ok(params), Some(salt), Some(expected)) = (
            Algorithm::try_from(stored.algorithm.as_str()),
            stored.version.map_or(Ok(Version::default()), Version::try_from),
            Params::try_from(&stored),
            &stored.salt,
            &stored.hash,
        ) else {
            return false;
        };
        let computed = self.compute(algorithm, version, params, password, salt);
        computed.is_ok_and(|computed| computed.as_bytes().ct_eq(expected.as_bytes()).into())
    }

    /// Whether there is nothing to give back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the memory back to the system; the next hash takes it anew.
    pub fn give_back(&mut self) {
        self.0 = Vec::new();
    }

    fn compute(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        password: &Secret,
        salt: &[u8],
    ) -> Result<Output, HashError> {
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.give_back();
            self.0.reserve_exact(blocks.max(ROOM));
            self.0.resize(blocks, Block::new());
        }
        let mut octets = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let out = octets.get_mut(..length).ok_or_else(|| HashError::new("its length"))?;
        let argon2 = Argon2::new(algorithm, version, params);
        argon2
            .hash_password_into_with_memory(password.reveal().as_bytes(), salt, out, self.0.as_mut_slice())
            .map_err(HashError::new)?;
        // Only an imported hash needs more than ours, and rarely.
        if blocks > ROOM {
            self.give_back();
        }
        Output::new(out).map_err(HashError::new)
    }
}

/// [`HashMemory::hash`] for who hashes now and then.
///
/// # Errors
/// When the operating system has no random bytes for the salt.
pub fn hash_password(password: &Secret) -> Result<String, HashError> {
    HashMemory::default().hash(password)
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
        let mut memory = HashMemory::default();
        assert!(memory.verify(&phc, &password));
        assert!(!memory.verify(&phc, &Secret::new("battery staple")));
        assert!(!memory.verify(&phc.replace("m=19456", "m=4194304"), &password));
        assert!(!memory.verify("not a hash", &password));
    }

    #[test]
    fn what_was_computed_in_the_same_memory_before_makes_no_difference() {
        let mut memory = HashMemory::default();
        let cases = [
            // From the reference implementation, `echo -n password | argon2 somesalt -t 2 -m 16 -p 1` and others.
            (true, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
            (true, "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"),
            (true, "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
            (false, "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
        ];
        let own = hash_password(&Secret::new("password")).unwrap();
        for (right, phc) in cases.into_iter().chain([(true, own.as_str()), cases[2]]) {
            assert_eq!(memory.verify(phc, &Secret::new("password")), right, "{phc}");
        }
        assert!(!memory.is_empty());
        memory.give_back();
        assert!(memory.verify(&own, &Secret::new("password")));
    }
}
