//! Addresses of people in the one form in which they are compared.

use url::Host;

use super::ServiceError;

/// RFC 5321 §4.5.3.1.
const LONGEST_LOCAL: usize = 64;
const LONGEST: usize = 254;

/// The address in lower case, its domain as the DNS writes it: two spellings of an address are one person on both
/// databases. What stands before the `@` is ASCII, so that no two people have addresses that look alike.
///
/// # Errors
/// `InvalidField` for what is no address.
pub(super) fn canonical(email: &str) -> Result<String, ServiceError> {
    let refused = || ServiceError::field("email", "that is not an e-mail address; write name@example.com");
    let email = email.trim();
    if email.len() > 4 * LONGEST {
        return Err(refused());
    }
    let (local, domain) = email.rsplit_once('@').ok_or_else(refused)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let dots_fit = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    let local_fits = (1..=LONGEST_LOCAL).contains(&local.len()) && local.chars().all(plain) && dots_fit;
    let domain = match Host::parse(domain.strip_suffix('.').unwrap_or(domain)) {
        Ok(Host::Domain(domain)) if local_fits => domain,
        _ => return Err(refused()),
    };
    let labels_fit = domain.split('.').all(|label| {
        let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    });
    let email = format!("{}@{domain}", local.to_ascii_lowercase());
    if labels_fit && email.len() <= LONGEST { Ok(email) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one_text() {
        for (given, expected) in [
            ("ana@example.com", "ana@example.com"),
            (" ANA@Example.COM ", "ana@example.com"),
            ("ana@example.com.", "ana@example.com"),
            ("Ana+brevet@Example.com", "ana+brevet@example.com"),
            ("ana@BÜCHER.example", "ana@xn--bcher-kva.example"),
            ("ana@bu\u{308}cher.example", "ana@xn--bcher-kva.example"),
            ("ana@XN--BCHER-KVA.example", "ana@xn--bcher-kva.example"),
            ("ana@localhost", "ana@localhost"),
        ] {
            assert_eq!(canonical(given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for given in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@@example.com",
            "ana@exa mple.com",
            "an a@example.com",
            "ana@example..com",
            "ana@.",
            "ana@-x.example",
            ".ana@example.com",
            "a..b@example.com",
            "ana\0@example.com",
            "ana@example.com\r\nBcc: bo@example.com",
            "ana\r\n@example.com",
            "аna@example.com",
            "ana@127.0.0.1",
            "ana@[::1]",
            "\"ana\"@example.com",
            "ana,bo@example.com",
            "<ana@example.com>",
            &long,
        ] {
            assert!(canonical(given).is_err(), "{given}");
        }
    }
}
