//! The claims of a client assertion: what passes is the client's, for us alone, and over soon.
#![no_main]

use brevet::clock::Timestamp;
use brevet::keys::jws::UnverifiedJws;
use brevet::oauth::ClientId;
use brevet::oauth::assertion::AssertionClaims;
use libfuzzer_sys::fuzz_target;

const CLIENT: &str = "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e";
const ISSUER: &str = "https://id.example";
const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);

fuzz_target!(|input: (&str, &[u8])| {
    let (jws, payload) = input;
    let parsed = UnverifiedJws::parse(jws, 16 * 1024);
    let in_jws = parsed.as_ref().map(UnverifiedJws::unverified_payload).unwrap_or_default();
    for payload in [payload, in_jws] {
        let Ok(claims) = AssertionClaims::read(payload) else { continue };
        let typ = parsed.as_ref().ok().and_then(UnverifiedJws::typ);
        if claims.check(typ, ClientId::parse(CLIENT).unwrap(), ISSUER, NOW).is_ok() {
            assert_eq!(claims.issuer(), CLIENT);
            assert!(!claims.id().is_empty());
            assert!(claims.forget_at().seconds() - NOW.seconds() <= 600);
        }
    }
});
