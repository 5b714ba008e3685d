//! Private keys that are pasted where public ones belong: no page gives them back, and nothing keeps them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The members of a JWK that are private, or shared.
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Whether a private key stands in a text, in PEM, as a JWK or as plain base64. Half of one is found too: a paste may be cut off.
pub(super) fn holds_private_key(text: &str) -> bool {
    text.to_ascii_uppercase().contains("PRIVATE KEY-----") || has_private_member(text) || is_bare(text)
}

/// Seen as text, because JSON that is broken would come back in the page as well.
fn has_private_member(text: &str) -> bool {
    let quoted: Vec<&str> = text.split(['"', '\'']).collect();
    quoted.windows(2).any(|pair| match pair {
        [name, after] => PRIVATE_MEMBERS.contains(name) && after.trim_start().starts_with(':'),
        _ => false,
    })
}

/// Base64 without the lines around it. Private keys in DER begin with a small version number, certificates and public keys with
/// something else.
fn is_bare(text: &str) -> bool {
    let digits: String = text.split_whitespace().collect();
    let Ok(der) = STANDARD.decode(digits) else { return false };
    let after_length = match der.as_slice() {
        [0x30, 0x82, _, _, rest @ ..] | [0x30, 0x81, _, rest @ ..] | [0x30, 0..=0x7f, rest @ ..] => rest,
        _ => return false,
    };
    after_length.starts_with(&[0x02, 0x01])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_known_in_each_form_and_public_ones_are_not() {
        for private in [
            "-----BEGIN PRIVATE KEY-----\nMC4C",
            "x -----begin rsa private key-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            r#"{"keys":[{"kty":"RSA","n":"x","e":"AQAB","d":"secret"}]}"#,
            r#"{"kty": "oct", "k" : "secret""#,
            "{'kty': 'OKP', 'd': 'secret'}",
            "MC4CAQAwBQYDK2VwBCIEIC3n0wXdgjNZ\nFIkYGgJ4Kj3AXrWP6sTtTDPlYI6AYyjb",
        ] {
            assert!(holds_private_key(private), "{private}");
        }
        for public in [
            "",
            "{}",
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
            r#"{"keys":[{"kty":"RSA","kid":"d","use":"sig","n":"d","e":"AQAB"}]}"#,
        ] {
            assert!(!holds_private_key(public), "{public}");
        }
    }
}
