//! An `Authorization` header, and credentials in the body beside it: read or refused, and what is read is not empty.
#![no_main]

use brevet::oauth::client::PresentedCredentials;
use brevet::oauth::header::Header;
use brevet::oauth::request::TokenParams;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (header, body) = input;
    let Ok(params) = TokenParams::from_form(body) else { return };
    for authorization in [Header::None, Header::One(header), Header::Several] {
        if let Ok(credentials) = PresentedCredentials::read(authorization, &params) {
            match credentials {
                PresentedCredentials::Secret(given) => {
                    assert!(!given.client_id.is_empty() && (1..=2).contains(&given.secrets.len()));
                }
                PresentedCredentials::Assertion(given) => assert!(!given.jwt.reveal().is_empty()),
                PresentedCredentials::Nothing { client_id } => assert!(client_id.is_none_or(|id| !id.is_empty())),
            }
        }
    }
});
