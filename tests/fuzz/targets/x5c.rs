//! The certificates in a token's header: whatever they are, one that no CA of the issuer vouches for verifies nothing.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use brevet::clock::Timestamp;
use brevet::keys::budget::SignatureBudget;
use brevet::keys::certificate::{CertificateAuthorities, RememberedChains};
use brevet::keys::jws::UnverifiedJws;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_798_761_600);
/// A CA whose key is lost, so that nothing below it can be made any more.
const CA: &[u8] = include_bytes!("../seeds/certificate/ca.pem");
static AUTHORITIES: LazyLock<CertificateAuthorities> = LazyLock::new(|| CertificateAuthorities::read(CA).unwrap());
static CHAINS: LazyLock<RememberedChains> = LazyLock::new(RememberedChains::new);

// The octets as the member itself or, cut at each `0x00 0x00`, as the certificates in it.
fuzz_target!(|input: (bool, &[u8])| {
    let (is_json, octets) = input;
    let x5c = if is_json {
        String::from_utf8_lossy(octets).into_owned()
    } else {
        let ends: Vec<usize> = (1..octets.len()).filter(|at| octets[at - 1..=*at] == [0, 0]).collect();
        let mut from = 0;
        let mut texts = Vec::new();
        for end in ends.into_iter().chain([octets.len()]).take(6) {
            texts.push(format!("\"{}\"", STANDARD.encode(&octets[from..end.max(from)])));
            from = end;
        }
        format!("[{}]", texts.join(","))
    };
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","x5c":{x5c}}}"#));
    let jws = format!("{header}.e30.{}", "A".repeat(86));
    let Ok(jws) = UnverifiedJws::parse(&jws, 256 * 1024) else { return };
    let budget = || SignatureBudget::new(32);
    assert!(AUTHORITIES.verify(&jws, NOW, &budget()).is_err());
    assert!(CHAINS.verify(&AUTHORITIES, &jws, NOW, &budget()).is_err());
});
