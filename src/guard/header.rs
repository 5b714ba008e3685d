//! Where a request may carry its token: in the `Authorization` header and nowhere else
//! ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).

use super::refusal::Reason;
use crate::oauth::client::Authorization;
use crate::oauth::form;

/// The part of a request that says who asks.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The `Authorization` header.
    pub authorization: Authorization<'a>,
    /// The query of the URL, without the `?`; empty if there is none.
    pub query: &'a str,
}

impl<'a> Presented<'a> {
    /// The token.
    pub(super) fn token(&self) -> Result<&'a str, Reason> {
        if form::query_names(self.query, &["access_token"]) {
            return Err(Reason::Malformed("Send the token in the Authorization header, not in the URL."));
        }
        let header = match self.authorization {
            Authorization::None => return Err(Reason::NoToken),
            Authorization::Several => return Err(Reason::Malformed("There is more than one Authorization header.")),
            Authorization::One(header) => header,
        };
        let text = std::str::from_utf8(header)
            .map_err(|_not_utf8| Reason::Malformed("The Authorization header is malformed."))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Reason::NoToken);
        }
        let token = token.trim_start_matches(' ');
        let is_b64token = |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        if token.is_empty() || !token.bytes().all(is_b64token) {
            return Err(Reason::Malformed(
                "The Authorization header is malformed: write Bearer, a space and the token.",
            ));
        }
        Ok(token)
    }
}
