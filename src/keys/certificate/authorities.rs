//! The CAs that vouch for the certificates of an issuer.

use std::fmt;

use rustls::pki_types::{CertificateRevocationListDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList, anchor_from_trusted_cert};

use super::pinned::next_expiry;
use super::read::{holds_lists, read_bundle, revocation_lists};
use super::{Certificate, Flaw};
use crate::clock::Timestamp;
use crate::keys::KeyError;
use crate::secret::sha256;

/// Of a document with revocation lists, in octets.
const LONGEST_LISTS: usize = 1024 * 1024;
/// One for each CA in the chains, and one more while a CA changes its key.
const MOST_LISTS: usize = 10;

/// A CA, with what a chain is checked against.
#[derive(Debug)]
pub(super) struct TrustedAuthority {
    pub(super) certificate: Certificate,
    pub(super) anchor: TrustAnchor<'static>,
}

/// The CAs of an issuer, and which certificates they called back.
///
/// A CA that is taken out of the set vouches for nobody from that moment on: the set is what chains are remembered under.
pub struct CertificateAuthorities {
    pub(super) authorities: Vec<TrustedAuthority>,
    pub(super) revoked: Vec<CertRevocationList<'static>>,
    /// The same as they were given.
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    /// Of everything that decides about a chain.
    pub(super) digest: [u8; 32],
}

impl fmt::Debug for CertificateAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.certificates()).finish()
    }
}

impl CertificateAuthorities {
    /// Reads the certificates of one to ten CAs: PEM, or one in DER. It need not be a root: chains end at the first CA of
    /// this set. Expired ones are read too, so that they can be shown; they vouch for nobody.
    ///
    /// # Errors
    /// What is wrong, and with which certificate.
    pub fn read(document: &[u8]) -> Result<Self, KeyError> {
        Self::new(Certificate::read_all(document)?)
    }

    /// The same for a document that may hold revocation lists in PEM besides: see [`Self::with_revocation_lists`].
    ///
    /// # Errors
    /// As both.
    pub fn read_with_lists(document: &[u8]) -> Result<Self, KeyError> {
        let read = Self::read(document)?;
        if holds_lists(document) { read.with_revocation_lists(document) } else { Ok(read) }
    }

    /// Takes the CAs with these names out of a bundle such as `/etc/ssl/certs/ca-certificates.crt`. A name is the common
    /// name of the subject, or the SHA-256 fingerprint in hex, with or without colons. Without names the set is empty and
    /// vouches for nobody.
    ///
    /// # Errors
    /// When the bundle cannot be read, a name stands for no CA in it or for several, or that CA is too weak.
    pub fn from_bundle(bundle: &[u8], names: &[impl AsRef<str>]) -> Result<Self, KeyError> {
        let mut found = if names.is_empty() { Vec::new() } else { read_bundle(bundle)? };
        let mut chosen: Vec<Certificate> = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref().trim();
            let is_named = |certificate: &Certificate| {
                certificate.names().common_name.as_deref() == Some(name) || is_fingerprint(name, certificate)
            };
            // Out of what is left: two names may stand for one CA.
            let (named, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_named);
            found = others;
            let again = chosen.iter().any(is_named);
            match named.len() {
                0 if again => {}
                0 => return Err(KeyError::new(format!("the bundle holds no CA named “{name}”"))),
                1 => chosen.extend(named),
                several => {
                    let each: Vec<String> = named.iter().map(Certificate::fingerprint).collect();
                    let each = each.join(", ");
                    return Err(KeyError::new(format!(
                        "the bundle holds {several} CAs named “{name}”: give the fingerprint of one ({each})"
                    )));
                }
            }
        }
        Self::new(chosen)
    }

    fn new(certificates: Vec<Certificate>) -> Result<Self, KeyError> {
        let mut authorities = Vec::with_capacity(certificates.len());
        for (at, certificate) in certificates.into_iter().enumerate() {
            let refuse =
                |flaw: Flaw| KeyError::new(format!("certificate {} ({}) {flaw}", at + 1, certificate.subject()));
            certificate.check_strength().map_err(refuse)?;
            certificate.check_signs_certificates().map_err(refuse)?;
            let anchor = anchor_from_trusted_cert(&certificate.der)
                .map_err(|error| refuse(Flaw::Unreadable(error.to_string())))?
                .to_owned();
            authorities.push(TrustedAuthority { certificate, anchor });
        }
        let mut made = Self { authorities, revoked: Vec::new(), lists: Vec::new(), digest: [0; 32] };
        made.digest = made.digest_with(&[]);
        Ok(made)
    }

    /// Adds the revocation lists (CRLs) of these CAs and of those below them: PEM (`BEGIN X509 CRL`), or one in DER.
    ///
    /// What they name is refused from now on. A list that is out of date still counts: what it names stays refused, and
    /// nothing is refused for its age alone, for nobody may be there to paste the next one. A certificate on whose CA
    /// there is no list passes.
    ///
    /// # Errors
    /// When it holds no list, too many, or one that cannot be read.
    pub fn with_revocation_lists(mut self, document: &[u8]) -> Result<Self, KeyError> {
        if document.len() > LONGEST_LISTS {
            return Err(KeyError::new(format!("it is longer than {LONGEST_LISTS} octets")));
        }
        let lists = revocation_lists(document)?;
        if lists.is_empty() || lists.len() > MOST_LISTS {
            let found = lists.len();
            return Err(KeyError::new(format!(
                "it holds {found} revocation lists; give 1 to {MOST_LISTS} in PEM (-----BEGIN X509 CRL-----), \
                 as written by: openssl crl -in list.crl -inform DER"
            )));
        }
        self.revoked = Vec::with_capacity(lists.len());
        for (at, list) in lists.iter().enumerate() {
            let read = OwnedCertRevocationList::from_der(list).map_err(|error| {
                let at = at + 1;
                KeyError::new(format!(
                    "revocation list {at} cannot be read: {error} (it must be of version 2 and have a number; \
                         openssl ca makes such a list when its configuration has a crlnumber)"
                ))
            })?;
            self.revoked.push(read.into());
        }
        self.digest = self.digest_with(&lists.iter().map(|list| sha256(list)).collect::<Vec<_>>().concat());
        self.lists = lists;
        Ok(self)
    }

    /// The CAs' certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.authorities.iter().map(|authority| &authority.certificate)
    }

    /// When the next of them expires or, if all did, when the last one has.
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        next_expiry(self.certificates(), now)
    }

    fn digest_with(&self, lists: &[u8]) -> [u8; 32] {
        let each = self.certificates().map(|certificate| certificate.fingerprint).collect::<Vec<_>>().concat();
        sha256(&[sha256(&each), sha256(lists)].concat())
    }
}

/// Whether a name is this certificate's SHA-256 fingerprint.
fn is_fingerprint(name: &str, certificate: &Certificate) -> bool {
    let hex = |text: &str| text.replace(':', "").to_ascii_uppercase();
    hex(name) == hex(&certificate.fingerprint())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateRevocationListParams, ExtendedKeyUsagePurpose, Issuer, KeyIdMethod, KeyUsagePurpose,
        RevokedCertParams, SerialNumber, date_time_ymd,
    };

    use super::*;
    use crate::keys::certificate::LONGEST_BUNDLE;
    use crate::keys::certificate::samples::*;

    #[test]
    fn only_a_strong_ca_can_be_registered() {
        let web = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let cases = [
            (self_signed(signer()).pem(), "is not a CA's"),
            (SHORT_LEAF.to_owned(), "1024 bits"),
            (SHORT_CA.to_owned(), "1024 bits"),
            (SHA1.to_owned(), "SHA-1"),
            (PSS_SHA1.to_owned(), "SHA-1"),
            (MD5.to_owned(), "MD5"),
            (
                self_signed(with(authority("ca"), |params| params.custom_extensions = vec![critical()])).pem(),
                "critical",
            ),
            (self_signed(with(authority("ca"), |params| params.extended_key_usages = web)).pem(), "other purposes"),
            (
                self_signed(with(authority("ca"), |params| params.key_usages = vec![KeyUsagePurpose::CrlSign])).pem(),
                "keyCertSign",
            ),
        ];
        for (pem, why) in cases {
            let refusal = CertificateAuthorities::read(pem.as_bytes()).map_err(said).unwrap_err();
            assert!(refusal.contains(why), "{why}: {refusal}");
        }
    }

    #[test]
    fn what_a_ca_called_back_is_refused() {
        let root = self_signed(authority("root"));
        let middle = root.issue(authority("middle"));
        let good = root.issue(with(signer(), |params| params.serial_number = Some(SerialNumber::from(1_u64))));
        let bad = root.issue(with(signer(), |params| params.serial_number = Some(SerialNumber::from(2_u64))));
        let under = middle.issue(with(signer(), |params| params.serial_number = Some(SerialNumber::from(2_u64))));
        let list_of = |issuer: &Made, serial: u64| {
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(2026, 1, 1),
                next_update: date_time_ymd(2026, 2, 1),
                crl_number: SerialNumber::from(1_u64),
                issuing_distribution_point: None,
                revoked_certs: vec![RevokedCertParams {
                    serial_number: SerialNumber::from(serial),
                    revocation_time: date_time_ymd(2026, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                }],
                key_identifier_method: KeyIdMethod::Sha256,
            };
            let der = list.signed_by(&Issuer::from_params(&issuer.params, &issuer.key)).unwrap().der().to_vec();
            (pem("X509 CRL", &der), der)
        };
        let (list, der) = list_of(&root, 2);
        for list in [list.as_bytes(), &der] {
            let authorities = trusting(&[&root]).with_revocation_lists(list).unwrap();
            assert_eq!(
                verdict(&authorities, &[&bad], NOW),
                "a certificate of the chain was revoked",
                "an old list counts"
            );
            assert_eq!(verdict(&authorities, &[&good], NOW), "holds");
            assert_eq!(verdict(&authorities, &[&under, &middle], NOW), "holds", "the number is another CA's");
        }
        let both = trusting(&[&root]).with_revocation_lists((list + &list_of(&middle, 2).0).as_bytes()).unwrap();
        assert_eq!(verdict(&both, &[&under, &middle], NOW), "a certificate of the chain was revoked");
        let forged = list_of(&self_signed(authority("root")), 9).0;
        let forged = trusting(&[&root]).with_revocation_lists(forged.as_bytes()).unwrap();
        assert!(verdict(&forged, &[&good], NOW).contains("not signed by that CA"));
        for (document, why) in [
            (&b""[..], "holds 0"),
            (&pem("X509 CRL", b"garbage").into_bytes(), "list 1 cannot be read"),
            (&vec![0x30; 1_048_577], "longer than"),
        ] {
            let refusal = trusting(&[&root]).with_revocation_lists(document).map(|_| ()).map_err(said).unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn a_ca_of_the_operating_system_vouches_only_when_it_is_named() {
        let (one, two) = (self_signed(authority("One")), self_signed(authority("Two")));
        let twin = self_signed(authority("Two"));
        let bundle = [one.pem(), pem("CERTIFICATE", b"garbage"), SHA1.to_owned(), two.pem(), twin.pem()].concat();
        let named = |names: &[&str]| CertificateAuthorities::from_bundle(bundle.as_bytes(), names).map_err(said);
        let print = two.read().fingerprint();
        let bare = print.replace(':', "").to_lowercase();
        let leaf = two.issue(signer());
        for names in [&["One", print.as_str()][..], &[" One ", &bare, &print], &[&print]] {
            assert_eq!(verdict(&named(names).unwrap(), &[&leaf], NOW), "holds", "{names:?}");
        }
        for names in [&["One"][..], &[]] {
            assert!(verdict(&named(names).unwrap(), &[&leaf], NOW).contains("no CA of this issuer"), "{names:?}");
        }
        let both = named(&["Two"]).unwrap_err();
        assert!(both.contains("2 CAs") && both.contains(&print), "{both}");
        assert!(named(&["Three"]).unwrap_err().contains("no CA named “Three”"));
        assert!(named(&[""]).unwrap_err().contains("no CA named"));
        assert!(named(&["Weak"]).unwrap_err().contains("SHA-1"));
        let huge = CertificateAuthorities::from_bundle(&vec![b'\n'; LONGEST_BUNDLE + 1], &["One"]);
        assert!(huge.unwrap_err().to_string().contains("longer than"));
    }
}
