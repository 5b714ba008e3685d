//! What a password of a person must be, after [NIST SP 800-63B §3.1.1](https://pages.nist.gov/800-63-4/sp800-63b.html):
//! length is what counts, what attackers try first is refused with the reason, and no mixture of characters is demanded.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use zxcvbn::feedback::Warning;
use zxcvbn::{Score, zxcvbn};

use super::ServiceError;
use crate::secret::Secret;

const SHORTEST: usize = 12;
const LONGEST: usize = 128;
/// A bound for what is looked at at all, in bytes.
const LONGEST_BYTES: usize = 1_024;
/// The name that everybody would try here.
const PRODUCT: &str = "brevet";
/// What must be left of a password when the names around it are taken away.
const SHORTEST_BESIDE_NAMES: usize = 8;
/// The longest name that is taken away: shorter ones would be parts of any word.
const SHORTEST_NAME: usize = 4;

/// What somebody who knows the person would try.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The person's address.
    pub email: String,
    /// Names and slugs of the person's organisations, and the person's own name.
    pub names: Vec<String>,
}

impl Surroundings {
    /// Of a person with that address in organisations of these names.
    pub fn new<'a>(email: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { email: email.to_lowercase(), names: names.into_iter().map(str::to_owned).collect() }
    }

    /// The words worth trying: the product's, those of the names, those of the address.
    fn words(&self) -> Vec<String> {
        let texts = self.names.iter().map(String::as_str).chain([PRODUCT, &self.email]);
        let words = texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()).chain([text]));
        words
            .map(|word| word.nfc().flat_map(char::to_lowercase).collect::<String>())
            .filter(|w| !w.is_empty())
            .collect()
    }
}

/// A password that its person may have. Only [`check`] makes one.
#[derive(Debug, Clone)]
pub struct ChosenPassword(Secret);

impl ChosenPassword {
    /// As it is hashed.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

/// What somebody typed as a password, in the one form in which it is hashed and compared: however a keyboard composes its
/// letters (NFC), and otherwise as it is. Bounded, so that nobody makes us work on a book.
///
/// # Errors
/// `InvalidField` of `password` for what is no password of anybody.
pub fn read(given: &Secret) -> Result<Secret, ServiceError> {
    let text = given.reveal();
    if text.len() > LONGEST_BYTES {
        return Err(refusal(format!("a password may have at most {LONGEST_BYTES} bytes")));
    }
    if text.contains('\0') {
        return Err(refusal("a password must not have a NUL character"));
    }
    let composed = Secret::new(text.nfc().collect::<String>());
    if composed.reveal().chars().count() > LONGEST {
        return Err(refusal(format!("a password may have at most {LONGEST} characters")));
    }
    Ok(composed)
}

/// Whether somebody may choose this password.
///
/// # Errors
/// `InvalidField` of `password`, which says the reason.
pub fn check(given: &Secret, surroundings: &Surroundings) -> Result<ChosenPassword, ServiceError> {
    let password = read(given)?;
    let text = password.reveal();
    // A mark that is put on the letter before it is no character of its own.
    if text.chars().filter(|c| !is_combining_mark(*c)).count() < SHORTEST {
        return Err(refusal(format!("a password needs at least {SHORTEST} characters")));
    }
    let lower = text.to_lowercase();
    if !surroundings.email.is_empty() && lower.contains(&surroundings.email) {
        return Err(refusal("a password must not hold the e-mail address"));
    }
    let mut words = surroundings.words();
    if beside(&lower, &words) < SHORTEST_BESIDE_NAMES {
        return Err(refusal(
            "a password must not be made of your name or address, the organisation's name or the product's: others would try them first",
        ));
    }
    words.sort_unstable();
    words.dedup();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let estimate = zxcvbn(text, &words);
    if estimate.score() < Score::Three {
        let warning = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning);
        return Err(refusal(format!("{}; a few uncommon words in a row are better", weakness(warning))));
    }
    Ok(ChosenPassword(password))
}

/// How many letters and digits are left beside these words; all of them if none of the words is in it.
fn beside(password: &str, words: &[String]) -> usize {
    let mut rest = password.to_owned();
    let mut long: Vec<&String> = words.iter().filter(|word| word.chars().count() >= SHORTEST_NAME).collect();
    long.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    for word in long {
        rest = rest.replace(word.as_str(), "");
    }
    if rest.len() == password.len() {
        return usize::MAX;
    }
    rest.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Why such a password is guessed early.
fn weakness(warning: Option<Warning>) -> &'static str {
    match warning {
        Some(Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword) => {
            "that password is among those found in every breach"
        }
        Some(Warning::ThisIsSimilarToACommonlyUsedPassword) => "that password is like those found in every breach",
        Some(Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess) => {
            "rows of keys are easy to guess"
        }
        Some(Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess) => {
            "a password that repeats itself is easy to guess"
        }
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => "sequences such as abc or 6543 are easy to guess",
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => {
            "dates and years are easy to guess"
        }
        Some(Warning::AWordByItselfIsEasyToGuess) => "one word by itself is easy to guess",
        Some(Warning::NamesAndSurnamesByThemselvesAreEasyToGuess | Warning::CommonNamesAndSurnamesAreEasyToGuess) => {
            "names are easy to guess"
        }
        None => "that password is easy to guess",
    }
}

fn refusal(reason: impl Into<String>) -> ServiceError {
    ServiceError::field("password", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings::new("ana.lima@acme.example", ["acme", "Acme Rockets", "Ana Lima"])
    }

    fn refused(password: &str) -> Option<String> {
        check(&Secret::new(password), &surroundings()).err().map(|error| {
            assert!(matches!(error, ServiceError::InvalidField { field: "password", .. }));
            error.to_string()
        })
    }

    #[test]
    fn length_counts_and_nothing_is_demanded_besides() {
        let long = "the quick brown fox jumped over 13 lazy dogs and a very sleepy cat, twice a day ".repeat(2);
        let accepted = [
            "correct horse battery staple",
            "kr7wq2plz9xm",
            "  spaces around are kept  ",
            "🦀🐙🦑 three of the sea 🐚",
            "ничего особенного тут",
            long.get(..128).unwrap(),
        ];
        for password in accepted {
            assert_eq!(refused(password), None, "{password}");
            let chosen = check(&Secret::new(password), &surroundings()).unwrap();
            assert_eq!(chosen.as_secret().reveal(), password, "whole, and nothing trimmed");
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused_before_anything_is_computed() {
        let refused = |text: &str| read(&Secret::new(text)).unwrap_err().to_string();
        assert_eq!(refused(&"🦀".repeat(129)), "a password may have at most 128 characters");
        assert_eq!(refused(&"x".repeat(1_025)), "a password may have at most 1024 bytes");
        assert_eq!(refused("correct horse\0battery"), "a password must not have a NUL character");
        assert!(read(&Secret::new("🦀".repeat(128))).is_ok());
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        let (composed, decomposed) = ("p\u{e4}ssw\u{f6}rter f\u{fc}r alle", "pa\u{308}sswo\u{308}rter fu\u{308}r alle");
        assert_ne!(composed, decomposed);
        let read = |text: &str| read(&Secret::new(text)).unwrap().reveal().to_owned();
        assert_eq!(read(composed), read(decomposed));
        assert!(refused(&format!("q{}", "\u{301}".repeat(20))).unwrap().contains("at least 12"), "marks are no length");
    }

    #[test]
    fn each_refusal_says_its_reason() {
        let cases = [
            ("short", "at least 12 characters"),
            ("my ana.lima@ACME.example", "e-mail address"),
            ("Brevet-2026!!", "product's"),
            ("Acme Rockets 42", "organisation's name"),
            ("lima-lima-lima", "your name"),
            ("mailcreated5240", "every breach"),
            ("Password1234!", "every breach"),
            ("passwordpassword", "repeats itself"),
            ("aaaaaaaaaaaa", "repeats itself"),
            ("            ", "repeats itself"),
            ("qwertyuiopasdfghjkl", "every breach"),
            ("123456789012", "sequences"),
            ("administrator", "one word"),
            ("christopher1", "names are easy"),
            ("unbelievable", "easy to guess"),
        ];
        for (password, reason) in cases {
            let said = refused(password).unwrap_or_default();
            assert!(said.contains(reason), "{password}: {said}");
            assert!(!said.contains(password), "{said}");
        }
        assert_eq!(refused("what brevet means to me"), None, "a name among other words is no harm");
    }
}
