//! Header and claims of any shape under a signature that holds: what is accepted names our issuer and an end.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::keys::verify::{JwksKeys, verify_access_token};
use libfuzzer_sys::fuzz_target;

const ISSUER: &str = "https://id.example";
const HEADER: &[u8] = br#"{"alg":"EdDSA","typ":"at+jwt","kid":"k"}"#;

static KEY: LazyLock<(Ed25519KeyPair, JwksKeys)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let document = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"{x}"}}]}}"#);
    let keys = JwksKeys::parse(document.as_bytes()).unwrap();
    (pair, keys)
});

fn verify(header: &[u8], claims: &[u8]) {
    let (pair, keys) = &*KEY;
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    if let Ok(token) = verify_access_token(&format!("{signed}.{signature}"), ISSUER, |kid| keys.find(kid)) {
        assert_eq!(&*token.claims.iss, ISSUER);
        // Neither overflows.
        let _valid = token.check_time(token.claims.exp).is_err() && token.check_time(token.claims.nbf).is_ok();
    }
}

fuzz_target!(|input: (&[u8], &[u8])| {
    let (header, claims) = input;
    verify(header, claims);
    verify(HEADER, claims);
});
