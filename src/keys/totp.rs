//! One-time codes from an authenticator app ([RFC 6238](https://www.rfc-editor.org/rfc/rfc6238)): SHA-1, six digits, thirty
//! seconds, because that is all that some apps know.

use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use super::KeyError;
use super::envelope::MasterKey;
use crate::clock::Timestamp;
use crate::secret::{Secret, random_bytes};

const DIGITS: usize = 6;
const STEP_SECONDS: u64 = 30;
/// Steps by which the clock of a telephone may be off.
const SKEW: u16 = 1;
/// 160 bits, as RFC 4226 recommends.
const SEED_LENGTH: usize = 20;

/// What a person's authenticator app and this server share.
pub struct Seed(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed([redacted])")
    }
}

impl Seed {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, KeyError> {
        let bytes = random_bytes::<SEED_LENGTH>().map_err(|error| KeyError::new(error.to_string()))?;
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// For keeping: sealed under the master key, for that person only.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal(&self, key: &MasterKey, person: &str) -> Result<Vec<u8>, KeyError> {
        key.seal_seed(person, &self.0)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// When the master key or the person is another, or the bytes were changed.
    pub fn open(key: &MasterKey, person: &str, sealed: &[u8]) -> Result<Self, KeyError> {
        key.open_seed(person, sealed).map(Self)
    }

    fn totp(&self, issuer: &str, account: &str) -> Result<Totp, KeyError> {
        // A colon would part the name of the issuer from the rest.
        let plain = |text: &str| text.replace(':', " ");
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_skew(SKEW)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.to_vec())
            .with_issuer(Some(plain(issuer)))
            .with_account_name(plain(account))
            .build()
            .map_err(|error| KeyError::new(format!("one-time codes cannot be made: {error}")))
    }

    /// In base32, for who cannot scan a code.
    ///
    /// # Errors
    /// When the seed is not one.
    pub fn to_text(&self) -> Result<Secret, KeyError> {
        Ok(Secret::new(self.totp("", "seed")?.secret().to_base32()))
    }

    /// The address that authenticator apps scan.
    ///
    /// # Errors
    /// When the seed is not one.
    pub fn to_url(&self, issuer: &str, account: &str) -> Result<Secret, KeyError> {
        let url = self.totp(issuer, account)?.to_url();
        url.map(Secret::new).map_err(|error| KeyError::new(format!("one-time codes have no address: {error}")))
    }

    /// The step whose code this is, if it is the present one's or a neighbour's. A step must be taken once only: that is
    /// for the caller to see to.
    ///
    /// # Errors
    /// When the seed is not one.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Result<Option<i64>, KeyError> {
        let digits: Zeroizing<String> =
            Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).take(DIGITS + 1).collect());
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let Ok(seconds) = u64::try_from(now.seconds()) else { return Ok(None) };
        let step = self.totp("", "seed")?.check(&digits, seconds);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    /// The code of that moment, as an authenticator app shows it.
    ///
    /// # Errors
    /// When the seed is not one.
    pub fn code_at(&self, now: Timestamp) -> Result<Secret, KeyError> {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        Ok(Secret::new(self.totp("", "seed")?.generate(seconds).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_111_111_109);

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let seed = Seed(Zeroizing::new(b"12345678901234567890".to_vec()));
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            let at = Timestamp::from_seconds(seconds);
            assert_eq!(seed.code_at(at).unwrap().reveal(), code);
            assert_eq!(seed.step_of(code, at).unwrap(), Some(seconds / 30));
        }
        assert_eq!(seed.to_text().unwrap().reveal(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = seed.to_url("id.example.com:8443", "ana@acme.example").unwrap();
        assert!(url.reveal().starts_with("otpauth://totp/"), "{}", url.reveal());
    }

    #[test]
    fn a_code_holds_for_its_step_and_its_neighbours() {
        let seed = Seed::generate().unwrap();
        let code = seed.code_at(NOW).unwrap();
        let (first, rest) = code.reveal().split_at(3);
        let spaced = format!(" {first} {rest} ");
        for (offset, holds) in [(-60, false), (-30, true), (0, true), (30, true), (61, false)] {
            let at = Timestamp::from_seconds(NOW.seconds() + offset);
            assert_eq!(seed.step_of(code.reveal(), at).unwrap().is_some(), holds, "{offset}");
            assert_eq!(seed.step_of(&spaced, at).unwrap().is_some(), holds, "{offset}");
        }
        let later = NOW + Duration::from_secs(30);
        assert!(
            seed.step_of(code.reveal(), later).unwrap()
                < seed.step_of(seed.code_at(later).unwrap().reveal(), later).unwrap()
        );
        for wrong in ["", "12345", "1234567", "+12345", "12345a", "１２３４５６"] {
            assert_eq!(seed.step_of(wrong, NOW).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn a_sealed_seed_is_one_persons() {
        let key = MasterKey::generate().unwrap();
        let seed = Seed::generate().unwrap();
        let sealed = seed.seal(&key, "ana").unwrap();
        assert_eq!(Seed::open(&key, "ana", &sealed).unwrap().0, seed.0);
        assert!(Seed::open(&key, "bo", &sealed).is_err());
        assert!(key.open("ana", &sealed).is_err());
    }
}
