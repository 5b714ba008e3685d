//! A JWK set from elsewhere: every key that comes out of it can be found by its name.
#![no_main]

use brevet::keys::verify::JwksKeys;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = JwksKeys::parse(document) {
        assert!(keys.find("a name that no document should have had").is_none());
    }
});
