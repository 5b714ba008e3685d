//! Encryption at rest: private keys are sealed under the master key, and the pepper is derived from it.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::KeyError;
use crate::secret::{Pepper, random_bytes, random_id};

/// 256 bits from which every other key at rest is derived.
#[derive(ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

/// What is sealed. Each kind has a key of its own, so that one never opens as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A private key; its name is the `kid`.
    SigningKey,
    /// What a creation answered; its name is the client and the idempotency key.
    Answer,
    /// The seed of a person's one-time codes; its name is the person's id.
    OneTimeSeed,
    /// What must be known to finish a passkey ceremony; its name is the browser's.
    Ceremony,
}

impl Content {
    const fn purpose(self) -> &'static str {
        match self {
            Self::SigningKey => "signing key envelope v1",
            Self::Answer => "answer envelope v1",
            Self::OneTimeSeed => "one-time seed envelope v1",
            Self::Ceremony => "passkey ceremony envelope v1",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::SigningKey => "signing key",
            Self::Answer => "answer",
            Self::OneTimeSeed => "seed of one-time codes",
            Self::Ceremony => "state of a passkey ceremony",
        }
    }
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

impl MasterKey {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, KeyError> {
        random_bytes().map(Self).map_err(|error| KeyError::new(error.to_string()))
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(KeyError::new(format!("a master key is 64 hex digits, this has {} characters", digits.len())));
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *byte = match (digit(high), digit(low)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(KeyError::new("a master key is 64 hex digits, this has other characters"));
                }
            };
        }
        Ok(Self(*bytes))
    }

    /// Reads the key's file; nothing if there is none.
    ///
    /// # Errors
    /// When others may read the file, or it does not hold a whole key. A wrong file is never replaced.
    pub fn read_file(path: &Path) -> Result<Option<Self>, KeyError> {
        let shown = path.display();
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyError::new(format!("the master key {shown} cannot be read: {error}"))),
            Ok(metadata) => metadata,
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::new(format!(
                "the master key {shown} has mode {mode:04o}, so others can read it; run: chmod 600 {shown}"
            )));
        }
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| KeyError::new(format!("the master key {shown} cannot be read: {error}")))?;
        Self::from_hex(&text)
            .map(Some)
            .map_err(|error| KeyError::new(format!("{error}: {shown} is damaged; restore it from a backup")))
    }

    /// Writes the key to a new file of mode 0600, on disk when this returns. `false` if the file is there already. The
    /// file appears whole: a program that starts at the same time never reads half a key.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create_file(&self, path: &Path) -> Result<bool, KeyError> {
        let failed = |error: std::io::Error| {
            KeyError::new(format!("the master key {} cannot be written: {error}", path.display()))
        };
        let name = random_id().map_err(|error| KeyError::new(error.to_string()))?;
        let draft = path.with_extension(format!("{name}.draft"));
        let placed = self.write_new(&draft).and_then(|()| match fs::hard_link(&draft, path) {
            // A file system without hard links: there, who reads in the same moment is told that the file is damaged.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                self.write_new(path)
            }
            placed => placed,
        });
        // Under its real name the key is there, or it is not wanted.
        let _never_written = fs::remove_file(&draft);
        match placed {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed(error)),
            Ok(()) => {}
        }
        // The name is durable only once the directory is.
        if let Some(directory) = path.parent() {
            fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        Ok(true)
    }

    fn write_new(&self, path: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let hex: Zeroizing<String> = Zeroizing::new(self.0.iter().map(|byte| format!("{byte:02x}")).collect());
        file.write_all(hex.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// A key for one purpose. HKDF cannot fail for 32 bytes.
    fn derive(&self, purpose: &str) -> Result<[u8; 32], KeyError> {
        let mut out = [0; 32];
        Salt::new(HKDF_SHA256, b"brevet")
            .extract(&self.0)
            .expand(&[purpose.as_bytes()], Length32)
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|error| KeyError::new(format!("HKDF failed: {error}")))?;
        Ok(out)
    }

    /// The key of the keyed hash of client secrets.
    ///
    /// # Errors
    /// When the derivation fails.
    pub fn pepper(&self) -> Result<Pepper, KeyError> {
        self.derive("client secret pepper v1").map(Pepper::new)
    }

    /// The key of the nonces that DPoP proofs must hold: every node makes and knows the same.
    ///
    /// # Errors
    /// When the derivation fails.
    pub fn nonce_key(&self) -> Result<Pepper, KeyError> {
        self.derive("dpop nonce v1").map(Pepper::new)
    }

    /// The key of the keyed hash of recovery codes.
    ///
    /// # Errors
    /// When the derivation fails.
    pub fn recovery_code_key(&self) -> Result<Pepper, KeyError> {
        self.derive("recovery code v1").map(Pepper::new)
    }

    /// A text that tells this master key from others and gives nothing away: kept in the database.
    ///
    /// # Errors
    /// When the derivation fails.
    pub fn fingerprint(&self) -> Result<String, KeyError> {
        Ok(self.derive("fingerprint v1")?.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    fn sealing_key(&self, content: Content) -> Result<LessSafeKey, KeyError> {
        let bytes = Zeroizing::new(self.derive(content.purpose())?);
        UnboundKey::new(&AES_256_GCM, bytes.as_ref())
            .map(LessSafeKey::new)
            .map_err(|error| KeyError::new(format!("AES-256-GCM failed: {error}")))
    }

    /// Seals a private key with AES-256-GCM: nonce, ciphertext, tag. `name` (its `kid`) must be given again to open it.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal_content(Content::SigningKey, name, plain)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// When the master key or the name is another, or the bytes were changed.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_content(Content::SigningKey, name, sealed)
    }

    /// Seals an answer that is kept for whoever asks again. `name` must be given again to open it.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal_answer(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal_content(Content::Answer, name, plain)
    }

    /// Opens what [`Self::seal_answer`] sealed.
    ///
    /// # Errors
    /// When the master key or the name is another, or the bytes were changed.
    pub fn open_answer(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_content(Content::Answer, name, sealed)
    }

    /// Seals the seed of a person's one-time codes. `name` must be given again to open it.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal_seed(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal_content(Content::OneTimeSeed, name, plain)
    }

    /// Opens what [`Self::seal_seed`] sealed.
    ///
    /// # Errors
    /// When the master key or the name is another, or the bytes were changed.
    pub fn open_seed(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_content(Content::OneTimeSeed, name, sealed)
    }

    /// Seals what must be known to finish a passkey ceremony, or a sign-in elsewhere. `name` must be given again to open it.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal_ceremony(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal_content(Content::Ceremony, name, plain)
    }

    /// Opens what [`Self::seal_ceremony`] sealed.
    ///
    /// # Errors
    /// When the master key or the name is another, or the bytes were changed.
    pub fn open_ceremony(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_content(Content::Ceremony, name, sealed)
    }

    fn seal_content(&self, content: Content, name: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nonce: [u8; NONCE_LEN] = random_bytes().map_err(|error| KeyError::new(error.to_string()))?;
        let mut sealed = plain.to_vec();
        self.sealing_key(content)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut sealed)
            .map_err(|error| KeyError::new(format!("the {} could not be sealed: {error}", content.noun())))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open_content(&self, content: Content, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let wrong = || {
            KeyError::new(format!(
                "the {} {name} cannot be decrypted: it is damaged, or the master key is another",
                content.noun()
            ))
        };
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(wrong)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .sealing_key(content)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name.as_bytes()), &mut buffer)
            .map_err(|_unspecified| wrong())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_name_only() {
        let key = MasterKey::generate().unwrap();
        let sealed = key.seal("kid", b"private").unwrap();
        assert_eq!(key.open("kid", &sealed).unwrap().as_slice(), b"private");
        assert_ne!(key.seal("kid", b"private").unwrap(), sealed);
        assert!(key.open("other", &sealed).is_err());
        assert!(key.open_answer("kid", &sealed).is_err());
        assert!(MasterKey::generate().unwrap().open("kid", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("kid", &changed).is_err(), "byte {at}");
            assert!(key.open("kid", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_file_is_private_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        assert!(MasterKey::read_file(&path).unwrap().is_none());
        let key = MasterKey::generate().unwrap();
        assert!(key.create_file(&path).unwrap());
        assert!(!MasterKey::generate().unwrap().create_file(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = MasterKey::read_file(&path).unwrap().unwrap();
        assert_eq!(read.fingerprint().unwrap(), key.fingerprint().unwrap());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(MasterKey::read_file(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for damaged in ["", "abc", &"zz".repeat(32), &"00".repeat(33)] {
            fs::write(&path, damaged).unwrap();
            assert!(MasterKey::read_file(&path).unwrap_err().to_string().contains("damaged"), "{damaged}");
        }
    }

    #[test]
    fn a_program_that_starts_at_the_same_time_reads_a_whole_key_or_none() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = directory.path().join(format!("{round}.key"));
            let key = MasterKey::generate().unwrap();
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    loop {
                        if let Some(read) = MasterKey::read_file(&path).unwrap() {
                            return read.fingerprint().unwrap();
                        }
                    }
                });
                assert!(key.create_file(&path).unwrap());
                assert_eq!(reader.join().unwrap(), key.fingerprint().unwrap());
            });
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 50, "no drafts are left");
    }
}
