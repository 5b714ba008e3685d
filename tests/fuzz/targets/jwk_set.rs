//! A JWK set from elsewhere: read or refused, and no key that comes out of it takes a token that nobody signed.
#![no_main]

use brevet::keys::verify::{JwksKeys, verify_access_token};
use libfuzzer_sys::fuzz_target;

/// Header and claims of a token, with a signature of zeros.
const UNSIGNED: &str = concat!(
    "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsifQ.",
    "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ.",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
);

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = JwksKeys::parse(document) {
        assert!(verify_access_token(UNSIGNED, "https://id.example", |kid| keys.find(kid)).is_err());
    }
});
