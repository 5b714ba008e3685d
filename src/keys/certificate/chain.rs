//! From the certificates in a token's header (`x5c`,
//! [RFC 7515 §4.1.6](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.6)) to a CA of its issuer.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::authorities::TrustedAuthority;
use super::{Certificate, CertificateAuthorities, Flaw, named_fingerprint, verify_with};
use crate::clock::Timestamp;
use crate::keys::budget::{SignatureBudget, Spent};
use crate::keys::jwk::VerifyingKey;
use crate::keys::jws::{JwsError, UnverifiedJws};

/// The signer's certificate and the CAs above it; two are usual.
const LONGEST_CHAIN: usize = 5;
/// Of the whole header member, in octets: five certificates of 16 KiB in base64 would be more than any token may have.
const LONGEST_X5C: usize = 64 * 1024;

/// Why the certificates in a token's header are not believed, or do not verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainError {
    /// There is no `x5c`.
    NoChain,
    /// `x5c` is not a list of certificates in base64.
    Malformed,
    /// It has more than five certificates, or is too long.
    TooLong,
    /// `x5t#S256` is not the digest of the first certificate.
    Thumbprint,
    /// Something is wrong with one certificate of the chain.
    Certificate {
        /// Its place, from 1: the first is the signer's.
        at: usize,
        /// How many there are.
        of: usize,
        /// What is wrong.
        flaw: Flaw,
    },
    /// The issuer's name in one certificate is not the subject's in the next.
    OutOfOrder {
        /// The place of the first of the two, from 1.
        at: usize,
        /// How many there are.
        of: usize,
    },
    /// The signer certified itself, and is no CA of this issuer.
    SelfSigned,
    /// The last certificate was issued by a CA that is not one of this issuer's.
    UnknownAuthority,
    /// The chain leads to a CA of this issuer which may not vouch for it.
    Authority {
        /// The CA's subject.
        subject: String,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A certificate has the right names, but its CA did not sign it (or with an algorithm that is not taken).
    Signature,
    /// A CA certified a name that it may not certify.
    NameConstraints,
    /// A certificate in the chain was called back.
    Revoked,
    /// A revocation list that should tell is not signed by the CA, or by one that may not sign lists.
    RevocationList,
    /// Anything else that the check of the chain finds.
    Refused(String),
    /// The chain holds, and its certificate did not sign the token.
    Token(JwsError),
    /// As many signatures were checked as may be.
    Spent,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChain => f.write_str("it carries no certificates (header x5c)"),
            Self::Malformed => f.write_str("its x5c is not a list of certificates in base64"),
            Self::TooLong => write!(f, "its x5c holds more than {LONGEST_CHAIN} certificates"),
            Self::Thumbprint => f.write_str("its x5t#S256 is not the digest of its certificate"),
            Self::Certificate { at, of, flaw } => write!(f, "certificate {at} of {of} {flaw}"),
            Self::OutOfOrder { at, of } => write!(f, "certificate {} of {of} did not issue the one before it", at + 1),
            Self::SelfSigned => f.write_str("its certificate is signed by itself and by no CA of this issuer"),
            Self::UnknownAuthority => f.write_str("the chain leads to no CA of this issuer"),
            Self::Authority { subject, flaw } => write!(f, "the CA ({subject}) {flaw}"),
            Self::Signature => f.write_str("a signature in the chain is wrong, or of an algorithm that is not taken"),
            Self::NameConstraints => f.write_str("a CA of the chain certified a name that it may not certify"),
            Self::Revoked => f.write_str("a certificate of the chain was revoked"),
            Self::RevocationList => f.write_str("the revocation list of a CA in the chain was not signed by that CA"),
            Self::Refused(why) => write!(f, "the chain does not hold: {why}"),
            Self::Token(error) => error.fmt(f),
            Self::Spent => f.write_str("as many signatures of its chain were checked as may be"),
        }
    }
}

impl std::error::Error for ChainError {}

/// A certificate that a CA of the issuer vouches for, with its key.
#[derive(Debug)]
pub struct TrustedLeaf {
    certificate: Certificate,
    keys: Vec<VerifyingKey>,
    authority: [u8; 32],
    valid_from: Timestamp,
    valid_until: Timestamp,
}

impl TrustedLeaf {
    /// The certificate: its names may be believed.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The last second in which each certificate up to the CA is valid.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Whether that CA vouches for it.
    pub fn is_vouched_for_by(&self, authority: &Certificate) -> bool {
        self.authority == authority.fingerprint
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.valid_from..=self.valid_until).contains(&now)
    }

    /// Checks the signature with its key.
    pub(super) fn verify<'j>(
        &self,
        jws: &'j UnverifiedJws<'_>,
        budget: &SignatureBudget,
    ) -> Result<&'j [u8], ChainError> {
        verify_with(&self.keys, jws, budget).map_err(|Spent| ChainError::Spent)?.map_err(ChainError::Token)
    }
}

/// Reads `x5c`: base64 with padding, not base64url; the signer's certificate first.
fn read_x5c(json: &str) -> Result<Vec<Certificate>, ChainError> {
    if json.len() > LONGEST_X5C {
        return Err(ChainError::TooLong);
    }
    let texts: Vec<String> = serde_json::from_str(json).map_err(|_no_list| ChainError::Malformed)?;
    let of = texts.len();
    if of == 0 {
        return Err(ChainError::NoChain);
    }
    if of > LONGEST_CHAIN {
        return Err(ChainError::TooLong);
    }
    let read = texts.iter().enumerate().map(|(index, text)| {
        let der = STANDARD.decode(text).map_err(|_no_base64| ChainError::Malformed)?;
        Certificate::read_der(&der).map_err(|flaw| ChainError::Certificate { at: index + 1, of, flaw })
    });
    read.collect()
}

impl CertificateAuthorities {
    /// Verifies a JWS with the first certificate of its `x5c`, if the chain leads to one of these CAs at `now`.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify<'j>(
        &self,
        jws: &'j UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<(&'j [u8], TrustedLeaf), ChainError> {
        let leaf = self.trusted_leaf(jws, now, budget)?;
        leaf.verify(jws, budget).map(|payload| (payload, leaf))
    }

    /// The certificate that a JWS says it is signed with, if it may be believed at `now`.
    pub(super) fn trusted_leaf(
        &self,
        jws: &UnverifiedJws<'_>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<TrustedLeaf, ChainError> {
        let chain = read_x5c(jws.x5c().ok_or(ChainError::NoChain)?)?;
        let named = named_fingerprint(jws).map_err(|_no_digest| ChainError::Thumbprint)?;
        let leaf = chain.first().ok_or(ChainError::NoChain)?;
        if named.is_some_and(|digest| digest != leaf.fingerprint) {
            return Err(ChainError::Thumbprint);
        }
        self.check_chain(chain, now, budget)
    }

    /// Walks up from the signer's certificate to the first CA that is one of these. What stands above it in the chain is
    /// not looked at: some send the CA too, or what another CA thinks of it.
    fn check_chain(
        &self,
        mut chain: Vec<Certificate>,
        now: Timestamp,
        budget: &SignatureBudget,
    ) -> Result<TrustedLeaf, ChainError> {
        let of = chain.len();
        let mut length = 0;
        for (index, certificate) in chain.iter().enumerate() {
            if index > 0 && self.certificates().any(|authority| authority == certificate) {
                break;
            }
            check_place(certificate, index, now).map_err(|flaw| ChainError::Certificate { at: index + 1, of, flaw })?;
            length = index + 1;
            if self.issuers(certificate).next().is_some() {
                break;
            }
            match chain.get(length) {
                Some(next) if next.subject_der == certificate.issuer_der => {}
                Some(_) => return Err(ChainError::OutOfOrder { at: length, of }),
                None if index == 0 && certificate.subject_der == certificate.issuer_der => {
                    return Err(ChainError::SelfSigned);
                }
                None => return Err(ChainError::UnknownAuthority),
            }
        }
        chain.truncate(length);
        let last = chain.last().ok_or(ChainError::NoChain)?;
        // Several CAs may have the same name: a CA that changed its key.
        let mut vouching = Err(ChainError::UnknownAuthority);
        for authority in self.issuers(last) {
            // One signature for each certificate below it and one for its revocation list; fewer if the first does not hold.
            let signatures = if self.revoked.is_empty() { chain.len() } else { chain.len() * 2 };
            budget.take(signatures).map_err(|Spent| ChainError::Spent)?;
            match (self.check_path(&chain, authority, now), &vouching) {
                (Ok(()), _) => {
                    vouching = Ok(authority);
                    break;
                }
                // That another CA of the name did not sign says the least.
                (Err(ChainError::Signature), Err(refusal)) if *refusal != ChainError::UnknownAuthority => {}
                (Err(error), _) => vouching = Err(error),
            }
        }
        let vouching = vouching?;
        trusted(chain, &vouching.certificate)
    }

    /// The CAs that may have issued this certificate.
    fn issuers<'a>(&'a self, certificate: &Certificate) -> impl Iterator<Item = &'a TrustedAuthority> {
        self.authorities.iter().filter(|authority| authority.certificate.subject_der == certificate.issuer_der)
    }

    /// Checks signatures, name constraints and revocation from the CA down.
    fn check_path(&self, path: &[Certificate], authority: &TrustedAuthority, now: Timestamp) -> Result<(), ChainError> {
        let certificate = &authority.certificate;
        let [leaf, intermediates @ ..] = path else { return Err(ChainError::NoChain) };
        // `webpki` believes a trust anchor whatever its certificate says.
        certificate
            .check_validity(now)
            .and_then(|()| certificate.check_path_length(intermediates.len()))
            .map_err(|flaw| ChainError::Authority { subject: certificate.subject().to_owned(), flaw })?;
        let intermediates: Vec<CertificateDer<'_>> =
            intermediates.iter().map(|certificate| CertificateDer::from(certificate.der.as_ref())).collect();
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        // None without lists.
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_status_policy(UnknownStatusPolicy::Allow).build());
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        EndEntityCert::try_from(&leaf.der)
            .map_err(refused)?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                std::slice::from_ref(&authority.anchor),
                &intermediates,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                CheckedBefore,
                revocation,
                None,
            )
            .map(|_path| ())
            .map_err(refused)
    }
}

/// Extended key usage is checked where it can be said which certificate lacks it.
struct CheckedBefore;

impl ExtendedKeyUsageValidator for CheckedBefore {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Checks what a certificate must be by itself: the first one the signer's, each further one a CA's.
fn check_place(certificate: &Certificate, index: usize, now: Timestamp) -> Result<(), Flaw> {
    certificate.check_validity(now)?;
    certificate.check_strength()?;
    match index.checked_sub(1) {
        None => certificate.check_signs_tokens(),
        Some(below) => {
            certificate.check_signs_certificates()?;
            certificate.check_path_length(below)
        }
    }
}

/// The first certificate of a path that holds. The path ends sooner for the one that expires first.
fn trusted(path: Vec<Certificate>, authority: &Certificate) -> Result<TrustedLeaf, ChainError> {
    let of = path.len();
    let whole = || path.iter().chain([authority]);
    let valid_from = whole().map(Certificate::not_before).max().unwrap_or(authority.not_before);
    let valid_until = whole().map(Certificate::not_after).min().unwrap_or(authority.not_after);
    let certificate = path.into_iter().next().ok_or(ChainError::NoChain)?;
    let keys = certificate.verifying_keys().map_err(|flaw| ChainError::Certificate { at: 1, of, flaw })?;
    Ok(TrustedLeaf { certificate, keys, authority: authority.fingerprint, valid_from, valid_until })
}

/// What `webpki` says, in our words. Most of what it can say was asked before.
fn refused(error: Error) -> ChainError {
    match error {
        Error::InvalidSignatureForPublicKey
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => ChainError::Signature,
        Error::NameConstraintViolation => ChainError::NameConstraints,
        Error::CertRevoked => ChainError::Revoked,
        Error::InvalidCrlSignatureForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
        | Error::IssuerNotCrlSigner => ChainError::RevocationList,
        Error::UnknownIssuer => ChainError::UnknownAuthority,
        other => ChainError::Refused(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
        NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, date_time_ymd,
    };
    use serde_json::json;

    use super::*;
    use crate::keys::certificate::samples::*;

    #[test]
    fn a_chain_that_leads_to_the_ca_holds() {
        let root = self_signed(authority("root"));
        let middle = root.issue(authority("middle"));
        let leaf = middle.issue(signer());
        let direct = root.issue(signer());
        let plain = root.issue(params("nothing said about usage"));
        let only_root = trusting(&[&root]);
        assert_eq!(verdict(&only_root, &[&leaf, &middle], NOW), "holds");
        assert_eq!(verdict(&only_root, &[&leaf, &middle, &root], NOW), "holds", "some send the CA too");
        assert_eq!(verdict(&only_root, &[&direct], NOW), "holds");
        assert_eq!(verdict(&only_root, &[&plain], NOW), "holds");
        assert_eq!(verdict(&trusting(&[&middle]), &[&leaf], NOW), "holds", "a CA that is no root");
        assert_eq!(verdict(&trusting(&[&middle]), &[&leaf, &middle, &root], NOW), "holds");
        let rsa = self_signed_for(authority("rsa"), KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
        let p384 = rsa.issue_for(authority("p384"), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        assert_eq!(
            verdict(&trusting(&[&rsa]), &[&p384.issue(signer()), &p384], NOW),
            "holds",
            "any strong key in a CA"
        );
        let other = self_signed(authority("root"));
        assert_eq!(verdict(&trusting(&[&other, &root]), &[&direct], NOW), "holds", "a CA with a new key");
        for purpose in [vec![1, 3, 6, 1, 5, 5, 7, 3, 37], vec![1, 3, 6, 1, 5, 5, 7, 3, 39]] {
            let purposes = vec![ExtendedKeyUsagePurpose::Other(purpose)];
            let jwt = root.issue(with(signer(), |params| params.extended_key_usages = purposes));
            assert_eq!(verdict(&only_root, &[&jwt], NOW), "holds", "RFC 9509");
        }
        let jws = leaf.sign(&[&leaf, &middle]);
        let (payload, trusted) =
            only_root.verify(&parse(&jws), NOW, &ample()).map(|(payload, leaf)| (payload.to_vec(), leaf)).unwrap();
        assert_eq!(payload, b"{}");
        assert_eq!(trusted.certificate().names().uris, ["spiffe://example/signer"]);
        assert!(trusted.is_vouched_for_by(&root.read()));
        assert_eq!(trusted.valid_until().rfc3339(), "2028-01-01T00:00:00Z");
    }

    #[test]
    fn cas_of_one_name_are_tried_as_long_as_the_budget_lasts() {
        let roots: Vec<_> = (0..10).map(|_| self_signed(authority("root"))).collect();
        let all: Vec<_> = roots.iter().collect();
        let authorities = trusting(&all);
        let leaf = roots[9].issue(signer());
        let jws = leaf.sign(&[&leaf]);
        let tried = |checks| authorities.verify(&parse(&jws), NOW, &SignatureBudget::new(checks)).map(|_| ());
        assert_eq!(tried(11), Ok(()), "one for each CA and one for the token");
        assert_eq!(tried(10), Err(ChainError::Spent));
        assert_eq!(tried(9), Err(ChainError::Spent));
    }

    #[test]
    fn a_chain_that_does_not_hold_is_refused_for_its_own_reason() {
        let root = self_signed(authority("root"));
        let only_root = trusting(&[&root]);
        let middle = root.issue(authority("middle"));
        let below = |change: fn(&mut CertificateParams)| root.issue(with(signer(), change));
        let through = |change: fn(&mut CertificateParams)| {
            let middle = root.issue(with(authority("middle"), change));
            (middle.issue(signer()), middle)
        };
        let weak = |pem: &str| (given(pem).issue(signer()), given(pem));

        let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 6, 1);
        let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2027, 6, 1);
        let web =
            |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let encrypts = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        let unknown = |params: &mut CertificateParams| params.custom_extensions = vec![critical()];
        let no_ca = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
        let signs_data = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::DigitalSignature];

        let one = |leaf: Made| vec![leaf];
        let two = |(leaf, middle): (Made, Made)| vec![leaf, middle];
        let lower = root.issue(with(authority("short"), |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }));
        let too_low = lower.issue(authority("too low"));
        let named = root.issue(with(authority("named"), |params| {
            let permitted_subtrees = vec![GeneralSubtree::DnsName("elsewhere.example".into())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        }));
        let own_root = self_signed(authority("self-made"));
        let own_middle = own_root.issue(authority("own middle"));
        let (a, b) = (self_signed(authority("a")), self_signed(authority("b")));
        let (a_by_b, b_by_a) = (b.issue(authority("a")), a.issue(authority("b")));
        let impostor = self_signed(authority("root"));

        let cases: Vec<(&str, Vec<Made>, &str)> = vec![
            ("leaf over", one(below(past)), "certificate 1 of 1 expired on 2026-06-01T00:00:00Z"),
            ("CA over", two(through(past)), "certificate 2 of 2 expired on 2026-06-01T00:00:00Z"),
            ("leaf early", one(below(future)), "certificate 1 of 1 is not valid before 2027-06-01T00:00:00Z"),
            ("CA early", two(through(future)), "certificate 2 of 2 is not valid before 2027-06-01T00:00:00Z"),
            ("web server", one(below(web)), "certificate 1 of 1 is for other purposes"),
            ("CA of web servers", two(through(web)), "certificate 2 of 2 is for other purposes"),
            ("no signatures", one(below(encrypts)), "certificate 1 of 1 has a key usage without digitalSignature"),
            ("CA that may not", two(through(signs_data)), "certificate 2 of 2 has a key usage without keyCertSign"),
            ("CA that is none", two(through(no_ca)), "certificate 2 of 2 is not a CA's"),
            ("unknown in leaf", one(below(unknown)), "certificate 1 of 1 has a critical extension"),
            ("unknown in CA", two(through(unknown)), "certificate 2 of 2 has a critical extension"),
            ("1024 bits in the leaf", one(given(SHORT_LEAF)), "certificate 1 of 1 has an RSA key of 1024 bits"),
            ("1024 bits in the CA", two(weak(SHORT_CA)), "certificate 2 of 2 has an RSA key of 1024 bits"),
            ("SHA-1 in the leaf", one(given(SHA1)), "certificate 1 of 1 is signed with SHA-1"),
            ("SHA-1", two(weak(SHA1)), "certificate 2 of 2 is signed with SHA-1"),
            ("SHA-1 in PSS", two(weak(PSS_SHA1)), "certificate 2 of 2 is signed with SHA-1"),
            ("MD5", two(weak(MD5)), "certificate 2 of 2 is signed with MD5"),
            ("too deep", vec![too_low.issue(signer()), too_low, lower], "certificate 3 of 3 allows 0 CAs below it"),
            ("forbidden name", vec![named.issue(signer()), named], "certified a name"),
            (
                "self-made chain",
                vec![own_middle.issue(signer()), own_middle, own_root],
                "leads to no CA of this issuer",
            ),
            ("self-signed", one(self_signed(signer())), "signed by itself"),
            ("unfinished", one(middle.issue(signer())), "leads to no CA of this issuer"),
            (
                "not in order",
                vec![middle.issue(signer()), root.issue(signer()), middle],
                "certificate 2 of 3 did not issue",
            ),
            ("a CA that signs", one(root.issue(authority("CA"))), "certificate 1 of 1 is a CA's"),
            (
                "a loop",
                vec![a.issue(signer()), a_by_b, b_by_a, b.issue(authority("a")), a.issue(authority("b"))],
                "leads to no CA of this issuer",
            ),
            ("same name, another key", vec![impostor.issue(signer()), impostor], "a signature in the chain is wrong"),
        ];
        for (what, chain, why) in &cases {
            let chain: Vec<&Made> = chain.iter().collect();
            let verdict = verdict(&only_root, &chain, NOW);
            assert!(verdict.contains(why), "{what}: {verdict}");
        }
        let itself = root.sign(&[&root]);
        let verdict = only_root.verify(&parse(&itself), NOW, &ample()).map_err(said).map(|_| ()).unwrap_err();
        assert_eq!(verdict, "certificate 1 of 1 is a CA's, and a CA signs no tokens", "the CA of the issuer itself");
    }

    #[test]
    fn a_ca_vouches_within_its_own_bounds_only() {
        let root = self_signed(with(authority("root"), |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.not_after = date_time_ymd(2027, 6, 1);
        }));
        let middle = root.issue(authority("middle"));
        let only_root = trusting(&[&root]);
        let direct = root.issue(signer());
        assert_eq!(verdict(&only_root, &[&direct], NOW), "holds");
        let over = verdict(&only_root, &[&direct], NOW + YEAR / 2);
        assert_eq!(over, "the CA (CN=root) expired on 2027-06-01T00:00:00Z");
        assert_eq!(verdict(&only_root, &[&direct, &root], NOW + YEAR / 2), over, "in the chain too");
        let deep = verdict(&only_root, &[&middle.issue(signer()), &middle], NOW);
        assert_eq!(deep, "the CA (CN=root) allows 0 CAs below it, and there are more (path length)");
        let named = self_signed(with(authority("named"), |params| {
            let excluded_subtrees = vec![GeneralSubtree::DnsName("example".into())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
        }));
        assert!(verdict(&trusting(&[&named]), &[&named.issue(signer())], NOW).contains("certified a name"));
    }

    #[test]
    fn a_header_that_is_no_chain_is_refused_before_anything_is_checked() {
        let root = self_signed(authority("root"));
        let leaf = root.issue(signer());
        let only_root = trusting(&[&root]);
        let own = STANDARD.encode(&leaf.der);
        let garbage = STANDARD.encode("garbage");
        let cases = [
            (json!({}), "carries no certificates"),
            (json!({ "x5c": [] }), "carries no certificates"),
            (json!({ "x5c": null }), "carries no certificates"),
            (json!({ "x5c": own }), "not a list"),
            (json!({ "x5c": [own, 7] }), "not a list"),
            (json!({ "x5c": [URL_SAFE_NO_PAD.encode(&leaf.der)] }), "not a list"),
            (json!({ "x5c": [leaf.pem()] }), "not a list"),
            (json!({ "x5c": vec![&own; 20] }), "more than 5"),
            (json!({ "x5c": ["A".repeat(100_000)] }), "more than 5"),
            (json!({ "x5c": [garbage] }), "certificate 1 of 1 cannot be read"),
            (json!({ "x5c": [own, garbage] }), "certificate 2 of 2 cannot be read"),
            (json!({ "x5c": [own], "x5t#S256": root.read().x5t_s256() }), "not the digest of its certificate"),
            (json!({ "x5c": [own], "x5t#S256": [] }), "not the digest of its certificate"),
        ];
        for (header, why) in cases {
            let jws = leaf.sign_with(header);
            let refusal = only_root.verify(&parse(&jws), NOW, &ample()).map(|_| ()).map_err(said).unwrap_err();
            assert!(refusal.contains(why), "{why}: {refusal}");
        }
        let named = leaf.sign_with(json!({ "x5c": [own], "x5t#S256": leaf.read().x5t_s256() }));
        only_root.verify(&parse(&named), NOW, &ample()).unwrap();
        let thief = self_signed(signer()).sign_with(json!({ "x5c": [own] }));
        let refusal = only_root.verify(&parse(&thief), NOW, &ample()).map(|_| ()).unwrap_err();
        assert_eq!(refusal, ChainError::Token(JwsError::Signature), "a certificate is public, its key is not");
    }
}
