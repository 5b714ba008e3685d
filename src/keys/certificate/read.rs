//! Certificates as people have them: PEM or DER, in bounds.

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use super::{Authority, Certificate, CertificateKey, Flaw, KeyUsage, SubjectNames};
use crate::clock::Timestamp;
use crate::keys::KeyError;
use crate::keys::jwk::is_usable_exponent;
use crate::secret::sha256;

/// Of a document with certificates that is registered, in octets.
pub const LONGEST_DOCUMENT: usize = 64 * 1024;
/// Of a bundle of the operating system, in octets: a usual one has 220 KiB.
pub const LONGEST_BUNDLE: usize = 4 * 1024 * 1024;
/// Of one certificate: with a large key and a hundred names it has 6 KiB.
const LONGEST_CERTIFICATE: usize = 16 * 1024;
/// With rotation there are two or three.
const MOST_CERTIFICATES: usize = 10;
/// Subject alternative names of one certificate.
const MOST_NAMES: usize = 200;
/// Names are cut after so many characters when people read them.
const LONGEST_SHOWN: usize = 500;

/// Some editors write it before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Extensions that are looked at, and may therefore be critical: key usage, subject alternative name, basic constraints, name
/// constraints, CRL distribution points, extended key usage.
const KNOWN_CRITICAL: &[&str] = &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];
/// Signing JWTs, and signing access tokens: RFC 9509.
const TOKEN_PURPOSES: &[&str] = &["1.3.6.1.5.5.7.3.37", "1.3.6.1.5.5.7.3.39"];

impl Certificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// `Unreadable`, with the reason.
    pub fn read_der(der: &[u8]) -> Result<Self, Flaw> {
        let unreadable = |why: &str| Flaw::Unreadable(why.to_owned());
        if der.len() > LONGEST_CERTIFICATE {
            return Err(unreadable(&format!("it is longer than {LONGEST_CERTIFICATE} octets")));
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_why| unreadable("it is no X.509 certificate"))?;
        if !rest.is_empty() {
            return Err(unreadable("something follows after its end"));
        }
        certificate.extensions_map().map_err(|_twice| unreadable("it has an extension twice"))?;
        let mut read = Self {
            der: CertificateDer::from(der.to_vec()),
            subject: shown(certificate.subject()),
            issuer: shown(certificate.issuer()),
            serial: cut(&certificate.raw_serial_as_string()),
            subject_der: certificate.subject().as_raw().into(),
            issuer_der: certificate.issuer().as_raw().into(),
            not_before: Timestamp::from_seconds(certificate.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(certificate.validity().not_after.timestamp()),
            key: key_of(certificate.public_key()),
            public_key: certificate.public_key().raw.into(),
            broken_digest: broken_digest(&certificate.signature_algorithm),
            authority: None,
            key_usage: None,
            is_for_tokens: true,
            unknown_critical: None,
            names: SubjectNames { common_name: common_name(certificate.subject()), ..SubjectNames::default() },
            fingerprint: sha256(der),
        };
        for extension in certificate.extensions() {
            let oid = extension.oid.to_id_string();
            let is_known = KNOWN_CRITICAL.contains(&oid.as_str());
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    let path_length = constraints.path_len_constraint;
                    read.authority = constraints.ca.then_some(Authority { path_length });
                }
                ParsedExtension::KeyUsage(usage) => {
                    read.key_usage = Some(KeyUsage {
                        signs_data: usage.digital_signature(),
                        signs_certificates: usage.key_cert_sign(),
                    });
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    let names_tokens = |oid: String| TOKEN_PURPOSES.contains(&oid.as_str());
                    read.is_for_tokens = usage.any
                        || usage.client_auth
                        || usage.other.iter().any(|purpose| names_tokens(purpose.to_id_string()));
                }
                ParsedExtension::SubjectAlternativeName(alternative) => {
                    if alternative.general_names.len() > MOST_NAMES {
                        return Err(unreadable(&format!("it has more than {MOST_NAMES} names")));
                    }
                    for name in &alternative.general_names {
                        match name {
                            GeneralName::DNSName(name) if is_plain(name) => read.names.dns.push((*name).to_owned()),
                            GeneralName::URI(uri) if is_plain(uri) => read.names.uris.push((*uri).to_owned()),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::ParseError { .. } if is_known => {
                    return Err(unreadable(&format!("its extension {oid} is wrong")));
                }
                _ => {}
            }
            if extension.critical && !is_known {
                read.unknown_critical = Some(cut(&oid));
            }
        }
        Ok(read)
    }

    /// Reads a document with one certificate: PEM or DER.
    ///
    /// # Errors
    /// What is wrong with it, and what to give instead.
    pub fn read(document: &[u8]) -> Result<Self, KeyError> {
        let mut read = Self::read_all(document)?;
        match (read.pop(), read.len()) {
            (Some(only), 0) => Ok(only),
            (_, more) => Err(KeyError::new(format!("it holds {} certificates; give one", more + 1))),
        }
    }

    /// Reads a document with up to ten certificates in PEM, or one in DER. One that stands there twice is read once.
    ///
    /// # Errors
    /// What is wrong, with which certificate, and what to give instead. A private key is refused: whoever shows it to us
    /// would have to make a new one.
    pub fn read_all(document: &[u8]) -> Result<Vec<Self>, KeyError> {
        let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
        if document.len() > LONGEST_DOCUMENT {
            return Err(KeyError::new(format!("it is longer than {LONGEST_DOCUMENT} octets")));
        }
        let found = if is_pem(document) {
            pem_sections(document, SectionKind::Certificate)?
        } else if document.first() == Some(&0x30) {
            vec![document.to_vec()]
        } else {
            Vec::new()
        };
        if found.is_empty() {
            return Err(KeyError::new(other_form(document).unwrap_or(
                "it holds no certificate; give PEM (-----BEGIN CERTIFICATE-----), \
                 as written by: openssl x509 -in certificate.cer",
            )));
        }
        if found.len() > MOST_CERTIFICATES {
            return Err(KeyError::new(format!("it holds {} certificates; at most {MOST_CERTIFICATES}", found.len())));
        }
        let mut read: Vec<Self> = Vec::with_capacity(found.len());
        for (at, der) in found.iter().enumerate() {
            let certificate =
                Self::read_der(der).map_err(|flaw| KeyError::new(format!("certificate {} {flaw}", at + 1)))?;
            if !read.contains(&certificate) {
                read.push(certificate);
            }
        }
        Ok(read)
    }
}

/// In which other form than PEM somebody has certificates, and the command that writes them in PEM.
pub fn other_form(document: &[u8]) -> Option<&'static str> {
    /// `pkcs7-signedData`, 1.2.840.113549.1.7.2.
    const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    /// The version of every PKCS #12.
    const VERSION_3: &[u8] = &[0x02, 0x01, 0x03];
    let holds = |text: &[u8]| document.windows(text.len()).any(|octets| octets == text);
    let begins = |wanted: &[u8]| {
        // After the tag and the length, of 1 to 5 octets.
        (2..=6).any(|at| document.get(at..).is_some_and(|rest| rest.starts_with(wanted)))
    };
    match document {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is text in UTF-16; save it as UTF-8 or ASCII"),
        [0x30, ..] if begins(SIGNED_DATA) => Some(
            "it is PKCS #7 in DER; take the certificates out with: openssl pkcs7 -inform DER -print_certs -in certificates.p7b -out certificates.pem",
        ),
        [0x30, ..] if begins(VERSION_3) => Some(
            "it is PKCS #12; take the certificates out, without the private key, with: openssl pkcs12 -nokeys -in certificates.p12 -out certificates.pem",
        ),
        [0x30, ..] => Some(
            "it is in DER; write it in PEM with: openssl x509 -inform DER -in certificate.cer -out certificate.pem",
        ),
        _ if holds(b"-----BEGIN PKCS7-----") || holds(b"-----BEGIN CMS-----") => Some(
            "it is PKCS #7; take the certificates out with: openssl pkcs7 -print_certs -in certificates.p7b -out certificates.pem",
        ),
        _ => None,
    }
}

fn is_pem(document: &[u8]) -> bool {
    document.windows(11).any(|octets| octets == b"-----BEGIN ")
}

/// Whether there are revocation lists in PEM among what the document holds.
pub(super) fn holds_lists(document: &[u8]) -> bool {
    document.windows(24).any(|octets| octets == b"-----BEGIN X509 CRL-----")
}

/// The sections of that kind. Other kinds, and text between them, are passed over, except for private keys.
fn pem_sections(document: &[u8], wanted: SectionKind) -> Result<Vec<Vec<u8>>, KeyError> {
    // By its text, for an encrypted key is no kind that the reader knows.
    if document.windows(16).any(|octets| octets == b"PRIVATE KEY-----") {
        return Err(KeyError::new(
            "it holds a private key; keep that to yourself and give the certificates alone \
             (if others may have seen it by now, make a new one)",
        ));
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(document) {
        // Not in the reader's words, which hold what was given.
        let (kind, der) =
            section.map_err(|_holds_text| KeyError::new("its PEM is damaged: copy it once more, whole"))?;
        if kind == wanted {
            found.push(der);
        }
    }
    Ok(found)
}

/// The certificates of a bundle that can be read; the others are left out, for there are some in every bundle that
/// nobody wants.
pub(super) fn read_bundle(bundle: &[u8]) -> Result<Vec<Certificate>, KeyError> {
    if bundle.len() > LONGEST_BUNDLE {
        return Err(KeyError::new(format!("the bundle of CAs is longer than {LONGEST_BUNDLE} octets")));
    }
    let found = pem_sections(bundle, SectionKind::Certificate)?;
    Ok(found.iter().filter_map(|der| Certificate::read_der(der).ok()).collect())
}

/// The revocation lists of a document: PEM with any number of them, or one in DER.
pub(super) fn revocation_lists(document: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, KeyError> {
    let found = if is_pem(document) {
        pem_sections(document, SectionKind::Crl)?
    } else if document.first() == Some(&0x30) {
        vec![document.to_vec()]
    } else {
        Vec::new()
    };
    Ok(found.into_iter().map(CertificateRevocationListDer::from).collect())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// Without characters that hide or turn round what stands beside them, and not endless.
fn cut(text: &str) -> String {
    let is_harmless = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().take(LONGEST_SHOWN).map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

fn shown(name: &X509Name<'_>) -> String {
    cut(&name.to_string())
}

fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let mut names = subject.iter_common_name();
    let only = names.next().filter(|_| names.next().is_none())?;
    only.as_str().ok().filter(|name| is_plain(name)).map(str::to_owned)
}

fn key_of(info: &SubjectPublicKeyInfo<'_>) -> CertificateKey {
    let curve = info.algorithm.parameters().and_then(|parameters| parameters.as_oid().ok());
    let curve = curve.map(|curve| curve.to_id_string());
    match (info.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
        ("1.2.840.113549.1.1.1", _) => match info.parsed() {
            Ok(PublicKey::RSA(key)) if !is_usable_exponent(key.exponent) => {
                CertificateKey::Other("RSA with an exponent other than 3 to 65537".to_owned())
            }
            Ok(PublicKey::RSA(key)) => CertificateKey::Rsa(bits(key.modulus)),
            _ => CertificateKey::Rsa(0),
        },
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => CertificateKey::P256,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => CertificateKey::P384,
        ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => CertificateKey::P521,
        ("1.2.840.10045.2.1", Some(curve)) => CertificateKey::Other(cut(curve)),
        ("1.3.101.112", _) => CertificateKey::Ed25519,
        (other, _) => CertificateKey::Other(cut(other)),
    }
}

/// How long a number is, leading zeros left out.
fn bits(number: &[u8]) -> usize {
    let mut octets = number.iter().skip_while(|octet| **octet == 0);
    octets.next().map_or(0, |first| {
        let zeros = usize::try_from(first.leading_zeros()).unwrap_or(0);
        (octets.count() + 1) * 8 - zeros
    })
}

/// The digest of a signature algorithm if two documents with the same one can be made.
fn broken_digest(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static str> {
    const SHA1: &str = "1.3.14.3.2.26";
    match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.2" => Some("MD2"),
        "1.2.840.113549.1.1.3" => Some("MD4"),
        "1.2.840.113549.1.1.4" => Some("MD5"),
        // RSA, RSA as OIW named it, DSA, DSA as OIW named it, ECDSA
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10040.4.3" | "1.3.14.3.2.27" | "1.2.840.10045.4.1" => {
            Some("SHA-1")
        }
        // RSASSA-PSS says the digest apart, and SHA-1 by saying nothing.
        "1.2.840.113549.1.1.10" => match SignatureAlgorithm::try_from(algorithm) {
            Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
                (parameters.hash_algorithm_oid().to_id_string() == SHA1).then_some("SHA-1")
            }
            _ => Some("SHA-1"),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rcgen::{SanType, SerialNumber};

    use super::*;
    use crate::keys::certificate::samples::*;

    #[test]
    fn what_stands_in_a_certificate_can_be_shown() {
        let root = self_signed(authority("Example root"));
        let made = root.issue(with(signer(), |params| params.serial_number = Some(SerialNumber::from(0xabcd_u64))));
        let read = Certificate::read(made.pem().as_bytes()).unwrap();
        assert_eq!((read.subject(), read.issuer()), ("CN=signer", "CN=Example root"));
        assert!(read.serial().ends_with("ab:cd"), "{}", read.serial());
        assert_eq!(read.not_before().rfc3339(), "2026-01-01T00:00:00Z");
        assert_eq!(read.not_after().rfc3339(), "2028-01-01T00:00:00Z");
        assert_eq!(read.key().to_string(), "P-256");
        assert!(!read.is_authority() && root.read().is_authority());
        assert_eq!(read.fingerprint().len(), 95);
        assert_eq!(read.x5t_s256(), URL_SAFE_NO_PAD.encode(sha256(&made.der)));
        let names = read.names();
        assert_eq!(names.common_name.as_deref(), Some("signer"));
        assert_eq!(
            (&names.dns[..], &names.uris[..]),
            (&["signer.example".into()][..], &["spiffe://example/signer".into()][..])
        );
        assert_eq!(Certificate::read(SHORT_CA.as_bytes()).unwrap().key(), &CertificateKey::Rsa(1_024));
        assert_eq!(Certificate::read(&made.der).unwrap(), read, "in DER too");
    }

    #[test]
    fn a_name_that_could_be_misread_is_left_out() {
        let hostile = self_signed(with(params("a\u{0}b"), |params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://example/a\nb".try_into().unwrap())];
        }));
        let read = hostile.read();
        assert_eq!(read.names(), &SubjectNames::default());
        assert!(!read.subject().contains('\0'));
        let reversed = self_signed(params("a\u{202e}b")).read();
        assert_eq!(reversed.subject(), "CN=a\u{fffd}b");
        let long = self_signed(params(&"n".repeat(5_000))).read();
        assert!(long.subject().len() <= 500);
    }

    #[test]
    fn a_document_is_refused_with_a_word_on_what_to_give() {
        let good = self_signed(signer());
        let eleven: String = (0..11).map(|_| self_signed(signer()).pem()).collect();
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (Vec::new(), "no certificate"),
            (b"hello".to_vec(), "no certificate"),
            (vec![0x30, 0x82, 0xff, 0xff], "no X.509"),
            (vec![0x30; 20_000], "longer than 16384"),
            (vec![b'a'; LONGEST_DOCUMENT + 1], "longer than 65536"),
            ([good.der.clone(), vec![0]].concat(), "after its end"),
            (good.der[..good.der.len() - 1].to_vec(), "no X.509"),
            (eleven.into_bytes(), "11 certificates"),
            ((good.pem() + &pem("PRIVATE KEY", &good.key.serialize_der())).into_bytes(), "private key"),
            ((good.pem() + &pem("ENCRYPTED PRIVATE KEY", b"secret")).into_bytes(), "private key"),
            (pem("PUBLIC KEY", b"key").into_bytes(), "no certificate"),
            (pem("CERTIFICATE", b"garbage").into_bytes(), "certificate 1 cannot be read"),
            ((good.pem() + &pem("CERTIFICATE", b"garbage")).into_bytes(), "certificate 2 cannot be read"),
            (good.pem().replace("-----END", "").into_bytes(), "damaged"),
            (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----".to_vec(), "damaged"),
        ];
        for (document, why) in cases {
            let refusal = Certificate::read_all(&document).unwrap_err().to_string();
            assert!(refusal.contains(why), "{why}: {refusal}");
            assert!(!refusal.contains("!!!!"), "what was given is not repeated");
        }
        let twice = format!("Some words\n{}and more\r\n{}", good.pem(), good.pem().replace('\n', "\r\n"));
        assert_eq!(Certificate::read_all(twice.as_bytes()).unwrap().len(), 1, "text around it, and twice the same");
        let two = good.pem() + &self_signed(signer()).pem();
        assert!(Certificate::read(two.as_bytes()).unwrap_err().to_string().contains("give one"));
    }
}
