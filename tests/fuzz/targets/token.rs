//! Anything in the place of a token: nobody has the key, so nothing is accepted.
#![no_main]

use std::sync::LazyLock;

use brevet::keys::verify::{JwksKeys, verify_access_token};
use libfuzzer_sys::fuzz_target;

/// An Ed25519 key whose private part nobody kept ([RFC 8037 A.2](https://www.rfc-editor.org/rfc/rfc8037#appendix-A.2)
/// signs other things with it).
static KEYS: LazyLock<JwksKeys> = LazyLock::new(|| {
    let document = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    JwksKeys::parse(document).unwrap()
});

fuzz_target!(|token: &str| {
    assert!(verify_access_token(token, "https://id.example", |kid| KEYS.find(kid)).is_err());
});
