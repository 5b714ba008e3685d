//! Certificates that a person pinned to an issuer, one by one.

use std::fmt;

use super::{Certificate, Flaw, named_fingerprint, verify_with};
use crate::clock::Timestamp;
use crate::keys::KeyError;
use crate::keys::budget::{SignatureBudget, Spent};
use crate::keys::jwk::VerifyingKey;
use crate::keys::jws::{JwsError, UnverifiedJws};

/// A certificate with its key, parsed once.
#[derive(Debug)]
struct Pinned {
    certificate: Certificate,
    keys: Vec<VerifyingKey>,
}

/// The certificates of an issuer: several, while it changes from one to the next.
///
/// Who signed a pinned certificate does not matter, nor what it was made for: a person said that this one signs this
/// issuer's tokens. (Sign-in servers pin tokens to certificates whose key usage is encryption alone.) What matters is
/// that it is valid now, strong, and does not demand what is not known here.
#[derive(Debug)]
pub struct PinnedCertificates(Vec<Pinned>);

/// Why no pinned certificate verifies a JWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinnedError {
    /// Its `x5t#S256` is no digest, or that of another certificate.
    AnotherCertificate,
    /// It is signed with the key of a certificate that is not valid now.
    NotValid {
        /// The certificate's subject.
        subject: String,
        /// `NotYetValid` or `Expired`.
        flaw: Flaw,
    },
    /// No key has its algorithm, or none signed it.
    Refused(JwsError),
    /// It was tried with as many keys as it may be.
    Spent,
}

impl fmt::Display for PinnedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherCertificate => f.write_str("its x5t#S256 names no certificate of this issuer"),
            Self::NotValid { subject, flaw } => write!(f, "its certificate ({subject}) {flaw}"),
            Self::Refused(JwsError::Algorithm) => f.write_str("its algorithm is not that of a certificate's key"),
            Self::Refused(error) => error.fmt(f),
            Self::Spent => f.write_str("it was tried with as many keys as it may be"),
        }
    }
}

impl std::error::Error for PinnedError {}

impl PinnedCertificates {
    /// Reads one to ten certificates: PEM, or one in DER. Expired ones are read too, so that they can be shown.
    ///
    /// # Errors
    /// What is wrong, and with which certificate. Each must have an RSA key of 2048 bits or more, P-256 or Ed25519, and
    /// must not be signed with MD5 or SHA-1.
    pub fn read(document: &[u8]) -> Result<Self, KeyError> {
        let read = Certificate::read_all(document)?.into_iter().enumerate().map(|(at, certificate)| {
            let refuse = |flaw: Flaw| KeyError::new(format!("certificate {} {flaw}", at + 1));
            certificate.check_strength().map_err(refuse)?;
            let keys = certificate.verifying_keys().map_err(refuse)?;
            Ok(Pinned { certificate, keys })
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// The certificates, as they stood in the document.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().map(|pinned| &pinned.certificate)
    }

    /// When the next of them expires or, if all did, when the last one has.
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        next_expiry(self.certificates(), now)
    }

    /// Verifies with the certificate that `x5t#S256` names or, without that header, with each that is valid at `now`.
    /// `kid` may be anything: many issuers put the SHA-1 thumbprint there, many a name of their own.
    ///
    /// # Errors
    /// Why none of them verifies it. That a certificate is not valid now is said only of the one whose key signed it.
    pub fn verify<'j>(
        &self,
        jws: &'j UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(&'j [u8], &Certificate), PinnedError> {
        let named = named_fingerprint(jws).map_err(|_no_digest| PinnedError::AnotherCertificate)?;
        let is_named = |pinned: &&Pinned| named.is_none_or(|digest| digest == pinned.certificate.fingerprint);
        let mut candidates: Vec<_> =
            self.0.iter().filter(is_named).map(|pinned| (pinned, pinned.certificate.check_validity(now))).collect();
        if candidates.is_empty() {
            return Err(PinnedError::AnotherCertificate);
        }
        // A renewed certificate often has the key of the old one: the valid one comes first.
        candidates.sort_by_key(|(_, validity)| validity.is_err());
        let mut refusal = JwsError::Algorithm;
        for (pinned, validity) in candidates {
            match (verify_with(&pinned.keys, jws, budget).map_err(|Spent| PinnedError::Spent)?, validity) {
                (Ok(payload), Ok(())) => return Ok((payload, &pinned.certificate)),
                (Ok(_), Err(flaw)) => {
                    let subject = pinned.certificate.subject().to_owned();
                    return Err(PinnedError::NotValid { subject, flaw });
                }
                (Err(JwsError::Algorithm), _) => {}
                (Err(error), _) => refusal = error,
            }
        }
        Err(PinnedError::Refused(refusal))
    }
}

/// When the next of several certificates expires or, if all did, when the last one has.
pub(super) fn next_expiry<'c>(
    certificates: impl Iterator<Item = &'c Certificate>,
    now: Timestamp,
) -> Option<Timestamp> {
    let (coming, past): (Vec<_>, Vec<_>) = certificates.map(Certificate::not_after).partition(|end| *end >= now);
    coming.into_iter().min().or_else(|| past.into_iter().max())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
    };
    use serde_json::json;

    use super::*;
    use crate::keys::certificate::samples::*;
    use crate::keys::pem::ClientKey;

    #[test]
    fn a_weak_certificate_cannot_be_pinned() {
        let unknown = self_signed(with(signer(), |params| params.custom_extensions = vec![critical()]));
        let p384 = self_signed_for(signer(), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        let cases = [
            (SHORT_LEAF, "1024 bits; at least 2048"),
            (SHA1, "SHA-1"),
            (PSS_SHA1, "SHA-1"),
            (MD5, "MD5"),
            (&unknown.pem(), "critical extension"),
            (&p384.pem(), "none of RSA, P-256 and Ed25519"),
        ];
        for (pem, why) in cases {
            let refusal = PinnedCertificates::read(pem.as_bytes()).unwrap_err().to_string();
            assert!(refusal.starts_with("certificate 1 ") && refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn a_pinned_certificate_verifies_while_it_is_valid() {
        let made = self_signed(signer());
        let pinned = PinnedCertificates::read(made.pem().as_bytes()).unwrap();
        let jws = made.sign_with(json!({ "kid": "whatever" }));
        let jws = parse(&jws);
        let verdict = |now: Timestamp| pinned.verify(&jws, now, &ample()).map(|(payload, _)| payload).map_err(said);
        let ends = made.read().not_after();
        assert_eq!(verdict(NOW), Ok(&b"{}"[..]));
        assert_eq!(verdict(ends), Ok(&b"{}"[..]), "to its last second");
        let second = std::time::Duration::from_secs(1);
        let expired = "its certificate (CN=signer) expired on 2028-01-01T00:00:00Z";
        assert_eq!(verdict(ends + second).unwrap_err(), expired);
        let early = "its certificate (CN=signer) is not valid before 2026-01-01T00:00:00Z";
        assert_eq!(verdict(made.read().not_before() - second).unwrap_err(), early);
        let foreign = self_signed(signer()).sign_with(json!({}));
        assert_eq!(
            pinned.verify(&parse(&foreign), NOW + YEAR * 3, &ample()).unwrap_err(),
            PinnedError::Refused(JwsError::Signature),
            "that it expired is no news about a token that it did not sign"
        );
    }

    #[test]
    fn each_kind_of_key_that_signs_tokens_can_be_pinned() {
        for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let made = self_signed_for(signer(), KeyPair::generate_for(algorithm).unwrap());
            let pinned = PinnedCertificates::read(made.pem().as_bytes()).unwrap();
            let key = ClientKey::from_pem(&pem("PRIVATE KEY", made.key.serialized_der())).unwrap();
            let jws = key.sign(None, &json!({})).unwrap();
            assert_eq!(pinned.verify(&parse(&jws), NOW, &ample()).unwrap().0, b"{}", "{}", made.read().key());
        }
    }

    #[test]
    fn a_renewed_certificate_with_the_old_key_takes_over() {
        let old = self_signed(signer());
        let renewed = with(signer(), |params| params.not_after = date_time_ymd(2030, 1, 1));
        let renewed = pem("CERTIFICATE", renewed.self_signed(&old.key).unwrap().der());
        let pinned = PinnedCertificates::read((old.pem() + &renewed).as_bytes()).unwrap();
        let jws = old.sign_with(json!({}));
        let used = |now| pinned.verify(&parse(&jws), now, &ample()).unwrap().1.not_after().rfc3339();
        assert_eq!(used(NOW), "2028-01-01T00:00:00Z");
        assert_eq!(used(NOW + YEAR * 2), "2030-01-01T00:00:00Z");
        let ends = |now| pinned.expires_at(now).unwrap().rfc3339();
        assert_eq!(ends(NOW), "2028-01-01T00:00:00Z");
        assert_eq!(ends(NOW + YEAR * 2), "2030-01-01T00:00:00Z");
        assert_eq!(ends(NOW + YEAR * 9), "2030-01-01T00:00:00Z", "all are over");
    }

    #[test]
    fn only_the_sha_256_thumbprint_chooses_among_pinned_certificates() {
        let (one, two) = (self_signed(signer()), self_signed(signer()));
        let pinned = PinnedCertificates::read((one.pem() + &two.pem()).as_bytes()).unwrap();
        let (one_is, two_is) = (one.read().x5t_s256(), two.read().x5t_s256());
        let another = PinnedError::AnotherCertificate;
        let cases = [
            (json!({}), Ok(())),
            (json!({ "x5t#S256": one_is }), Ok(())),
            (json!({ "x5t": "AAAA", "kid": two_is }), Ok(())),
            (json!({ "x5c": ["anything"] }), Ok(())),
            (json!({ "x5t#S256": two_is }), Err(PinnedError::Refused(JwsError::Signature))),
            (json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([0; 32]) }), Err(another.clone())),
            (json!({ "x5t#S256": "" }), Err(another.clone())),
            (json!({ "x5t#S256": 7 }), Err(another)),
        ];
        for (header, expected) in cases {
            let jws = one.sign_with(header.clone());
            assert_eq!(pinned.verify(&parse(&jws), NOW, &ample()).map(|_| ()), expected, "{header}");
        }
        let hmac = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#) + ".e30.AAAA";
        assert_eq!(pinned.verify(&parse(&hmac), NOW, &ample()).unwrap_err(), PinnedError::Refused(JwsError::Algorithm));
    }
}
