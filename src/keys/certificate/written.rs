//! Certificates as they are stored: PEM with nothing between, so that the same certificates are the same text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Certificate, CertificateAuthorities, PinnedCertificates};

/// Characters in a line of PEM ([RFC 7468 §2](https://www.rfc-editor.org/rfc/rfc7468#section-2)).
const LINE: usize = 64;

fn section(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

fn written<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> String {
    certificates.map(|certificate| section("CERTIFICATE", &certificate.der)).collect()
}

impl PinnedCertificates {
    /// The certificates in PEM.
    pub fn pem(&self) -> String {
        written(self.certificates())
    }
}

impl CertificateAuthorities {
    /// The CAs in PEM, and then what they called back.
    pub fn pem(&self) -> String {
        let lists = self.lists.iter().map(|list| section("X509 CRL", list));
        written(self.certificates()) + &lists.collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::certificate::samples::*;

    #[test]
    fn what_is_written_is_what_was_read_without_the_text_around_it() {
        let (one, two) = (self_signed(authority("one")), self_signed(signer()));
        let given = format!("subject=CN = one\r\n{}and more\n{}", one.pem().replace('\n', "\r\n"), two.pem());
        let pinned = PinnedCertificates::read(given.as_bytes()).unwrap();
        assert_eq!(pinned.pem(), one.pem() + &two.pem());
        let authorities = CertificateAuthorities::read_with_lists(&one.der).unwrap();
        assert_eq!(authorities.pem(), one.pem());
    }
}
