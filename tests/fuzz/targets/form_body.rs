//! A form body: no parameter comes out empty, and no grant out of an unknown name.
#![no_main]

use brevet::oauth::request::{Grant, TokenParams};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(params) = TokenParams::from_form(body) else { return };
    for name in ["grant_type", "scope", "client_id", "resource"] {
        assert!(params.get(name).is_none_or(|value| !value.is_empty()));
    }
    let grant = Grant::from_params(&params);
    assert!(grant.is_err() || params.get("grant_type").is_some());
});
