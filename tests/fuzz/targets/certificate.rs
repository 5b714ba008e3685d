//! Certificates that people register, and revocation lists: read or refused, and what is read keeps its bounds.
#![no_main]

use brevet::clock::Timestamp;
use brevet::keys::certificate::{Certificate, CertificateAuthorities, PinnedCertificates};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_798_761_600);

fuzz_target!(|document: &[u8]| {
    if let Ok(read) = Certificate::read_all(document) {
        assert!((1..=10).contains(&read.len()));
        for certificate in &read {
            assert!(certificate.subject().chars().count() <= 500 && certificate.issuer().chars().count() <= 500);
            assert!(!certificate.subject().chars().any(char::is_control));
            assert_eq!(certificate.x5t_s256().len(), 43);
            let _valid_or_not = certificate.check_validity(NOW);
        }
    }
    if let Ok(pinned) = PinnedCertificates::read(document) {
        assert!(pinned.expires_at(NOW).is_some());
    }
    if let Ok(authorities) = CertificateAuthorities::read(document) {
        assert!(authorities.certificates().all(Certificate::is_authority));
        let _read_or_refused = authorities.with_revocation_lists(document);
    }
    let _named_or_not = CertificateAuthorities::from_bundle(document, &["Weak"]);
});
