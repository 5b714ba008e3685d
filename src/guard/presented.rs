//! Where a request may carry its token: in the `Authorization` header and nowhere else
//! ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)); and the proof that goes with a bound token in the
//! `DPoP` header ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).

use super::refusal::Reason;
use crate::oauth::bearer::{NotSent, Scheme, SentToken};
use crate::oauth::dpop::{ProofError, sent_proof};
use crate::oauth::header::Header;

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

impl<'a> Presented<'a> {
    /// The token, and how it was sent.
    pub(super) fn token(&self) -> Result<SentToken<'a>, Reason> {
        SentToken::read(self.authorization, self.query).map_err(|why| match why {
            NotSent::NoToken => Reason::NoToken,
            NotSent::Malformed(what) => Reason::Malformed(what),
        })
    }

    /// The proof.
    pub(super) fn proof(&self) -> Result<&'a str, ProofError> {
        sent_proof(self.dpop)?.ok_or(ProofError::Missing)
    }

    /// The scheme that was used; `Bearer` if none that is for tokens.
    pub(super) fn scheme(&self) -> Scheme {
        Scheme::of(self.authorization)
    }
}
