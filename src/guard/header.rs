//! Where a request may carry its token: in the `Authorization` header and nowhere else
//! ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)); and the proof that goes with a bound token in the
//! `DPoP` header ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).

use super::refusal::Reason;
use crate::oauth::dpop::ProofError;
use crate::oauth::form;

/// A header of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// There is none.
    None,
    /// Its value.
    One(&'a [u8]),
    /// There is more than one: ambiguous.
    Several,
}

impl<'a> Header<'a> {
    /// The header with these values.
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// The parts of a request that say who asks, and for what.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The `Authorization` header.
    pub authorization: Header<'a>,
    /// The `DPoP` header.
    pub dpop: Header<'a>,
    /// The method, as it stands in the request.
    pub method: &'a str,
    /// The path of the URL, as it stands in the request.
    pub path: &'a str,
    /// The query of the URL, without the `?`; empty if there is none.
    pub query: &'a str,
}

/// How a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Bearer,
    Dpop,
}

impl Scheme {
    fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("bearer") {
            Some(Self::Bearer)
        } else {
            name.eq_ignore_ascii_case("dpop").then_some(Self::Dpop)
        }
    }
}

impl<'a> Presented<'a> {
    /// The token, and how it was sent.
    pub(super) fn token(&self) -> Result<(Scheme, &'a str), Reason> {
        if form::query_names(self.query, &["access_token"]) {
            return Err(Reason::Malformed("Send the token in the Authorization header, not in the URL."));
        }
        let header = match self.authorization {
            Header::None => return Err(Reason::NoToken),
            Header::Several => return Err(Reason::Malformed("There is more than one Authorization header.")),
            Header::One(header) => header,
        };
        let text = std::str::from_utf8(header)
            .map_err(|_not_utf8| Reason::Malformed("The Authorization header is malformed."))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        let scheme = Scheme::from_name(scheme).ok_or(Reason::NoToken)?;
        let token = token.trim_start_matches(' ');
        let is_b64token = |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        if token.is_empty() || !token.bytes().all(is_b64token) {
            return Err(Reason::Malformed(match scheme {
                Scheme::Bearer => "The Authorization header is malformed: write Bearer, a space and the token.",
                Scheme::Dpop => "The Authorization header is malformed: write DPoP, a space and the token.",
            }));
        }
        Ok((scheme, token))
    }

    /// The proof.
    pub(super) fn proof(&self) -> Result<&'a str, ProofError> {
        match self.dpop {
            Header::None => Err(ProofError::Missing),
            Header::Several => Err(ProofError::Several),
            Header::One(value) => std::str::from_utf8(value).map_err(|_not_text| ProofError::Malformed),
        }
    }

    /// The scheme that was used; `Bearer` if none that is for tokens.
    pub(super) fn scheme(&self) -> Scheme {
        let Header::One(header) = self.authorization else { return Scheme::Bearer };
        let name = header.split(|byte| *byte == b' ').next().and_then(|name| std::str::from_utf8(name).ok());
        name.and_then(Scheme::from_name).unwrap_or(Scheme::Bearer)
    }
}
