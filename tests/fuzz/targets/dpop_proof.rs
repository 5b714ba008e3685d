//! A DPoP proof: claims of any shape under a signature that holds, and anything at all in the place of the proof.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::Timestamp;
use brevet::keys::dpop::verify_proof;
use brevet::oauth::dpop::ProvenRequest;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
const REQUEST: ProvenRequest<'_> =
    ProvenRequest { method: "POST", url: "https://id.example/connect/token", access_token: None };

static KEY: LazyLock<(Ed25519KeyPair, String)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    (pair, format!(r#"{{"alg":"EdDSA","typ":"dpop+jwt","jwk":{jwk}}}"#))
});

fuzz_target!(|input: (&str, &[u8])| {
    let (anything, claims) = input;
    assert!(verify_proof(anything, &REQUEST, NOW).is_err());
    let (pair, header) = &*KEY;
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    if let Ok(proof) = verify_proof(&format!("{signed}.{signature}"), &REQUEST, NOW) {
        assert!(!proof.jti.is_empty());
        assert!(!proof.jkt.is_empty());
    }
});
