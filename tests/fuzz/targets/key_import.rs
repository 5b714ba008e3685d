//! Keys that people register or sign with, as JWK sets and in PEM.
#![no_main]

use brevet::keys::key_set::{PublicKeys, read_registered};
use brevet::keys::pem::{ClientKey, jwks_from_pem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = read_registered(document) {
        assert!(!keys.is_empty());
        assert!(PublicKeys::registered(document).is_ok());
        assert!(keys.iter().all(|key| key.thumbprint().len() == 43 && key.algorithms().count() > 0));
    }
    let _some_are_left_out = PublicKeys::fetched(document);
    let Ok(text) = std::str::from_utf8(document) else { return };
    let _refused_or_read = ClientKey::from_pem(text);
    // Sizes and exponents that are not allowed are found when the set is registered.
    if let Ok(jwks) = jwks_from_pem(text) {
        let _registered_or_refused = read_registered(jwks.as_bytes());
    }
});
