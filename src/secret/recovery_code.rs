//! Recovery codes: for people whose device with the one-time codes is lost. They are written down and typed by hand.

use super::{NoRandomness, Secret, random_bytes};

/// 32 characters that are not taken for one another: 5 random bits each.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// 80 random bits: too many to guess, even for who has stolen the hashes.
const LENGTH: usize = 16;
const GROUP: usize = 4;

/// Makes one, in groups of four with hyphens between.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn generate_recovery_code() -> Result<Secret, NoRandomness> {
    let bytes = random_bytes::<LENGTH>()?;
    let mut code = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % GROUP == 0 {
            code.push('-');
        }
        let index = usize::from(byte % 32);
        code.push(ALPHABET.get(index).copied().map_or('2', char::from));
    }
    Ok(Secret::new(code))
}

/// A code as somebody typed it, in the form in which it is made: spaces, hyphens and capital letters do not matter. Nothing
/// if it cannot be one.
pub fn read_recovery_code(given: &str) -> Option<Secret> {
    let mut code = String::with_capacity(LENGTH + LENGTH / GROUP);
    let mut length = 0;
    for typed in given.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let typed = typed.to_ascii_lowercase();
        if length == LENGTH || !u8::try_from(typed).is_ok_and(|byte| ALPHABET.contains(&byte)) {
            return None;
        }
        if length > 0 && length % GROUP == 0 {
            code.push('-');
        }
        code.push(typed);
        length += 1;
    }
    (length == LENGTH).then(|| Secret::new(code))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for _ in 0..1_000 {
            let code = generate_recovery_code().unwrap();
            let text = code.reveal();
            assert_eq!(text.len(), 19, "{text}");
            for typed in [text.to_owned(), text.replace('-', ""), text.replace('-', " ").to_uppercase()] {
                assert_eq!(read_recovery_code(&typed).unwrap().reveal(), text);
            }
        }
        for wrong in
            ["", "123456", "abcd-efgh-ijkm", "abcd-efgh-ijkm-npq", "abcd-efgh-ijkm-npqrs", "abcd-efgh-ijkm-npq1"]
        {
            assert!(read_recovery_code(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn no_two_are_the_same() {
        let codes: HashSet<String> =
            (0..10_000).map(|_| generate_recovery_code().unwrap().reveal().to_owned()).collect();
        assert_eq!(codes.len(), 10_000);
    }
}
