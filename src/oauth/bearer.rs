//! The access token of a request ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750), and with a proof of possession
//! [RFC 9449 §7](https://www.rfc-editor.org/rfc/rfc9449#section-7)): where it stands, and what is said to those who do not
//! get in. Our own routes, the check for proxies and the guard of other services read here and use these words.

use std::borrow::Cow;

use super::dpop::{ALGORITHMS, ProofError};
use super::error::OAuthErrorCode;
use super::form;
use super::header::Header;

/// How a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// By itself ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    Bearer,
    /// With a proof ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    Dpop,
}

impl Scheme {
    /// The scheme of an `Authorization` header; `Bearer` if it has none that is for tokens.
    pub fn of(authorization: Header<'_>) -> Self {
        let Header::One(header) = authorization else { return Self::Bearer };
        let name = header.split(|byte| *byte == b' ').next().and_then(|name| std::str::from_utf8(name).ok());
        name.and_then(Self::from_name).unwrap_or(Self::Bearer)
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop].into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// A value of `WWW-Authenticate`, with the parameters of a [`Denial`]. `resource_metadata` is where the service describes
    /// itself ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
    pub fn challenge(self, realm: &str, parameters: &str, resource_metadata: Option<&str>) -> String {
        let mut challenge = format!("{} realm=\"{realm}\"{parameters}", self.name());
        if self == Self::Dpop {
            let algorithms: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
            challenge.push_str(&format!(", algs=\"{}\"", algorithms.join(" ")));
        }
        if let Some(url) = resource_metadata {
            challenge.push_str(&format!(", resource_metadata=\"{url}\""));
        }
        challenge
    }
}

/// A token as it was sent. Nothing of it is proved yet.
#[derive(Clone, Copy)]
pub struct SentToken<'a> {
    /// How.
    pub scheme: Scheme,
    /// The token.
    pub token: &'a str,
}

/// Why a request holds no token that could be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// There is none.
    NoToken,
    /// It is not sent as tokens are sent. The sentence says what to do.
    Malformed(&'static str),
}

impl<'a> SentToken<'a> {
    /// A token that came by itself, in no header of its own.
    ///
    /// # Errors
    /// `NoToken` when it cannot be one.
    pub fn bare(token: &'a str) -> Result<Self, NotSent> {
        let well_formed = !token.is_empty() && token.bytes().all(is_of_token);
        well_formed.then_some(Self { scheme: Scheme::Bearer, token }).ok_or(NotSent::NoToken)
    }

    /// Reads the `Authorization` header, the one place where a token may be.
    ///
    /// # Errors
    /// Why there is none.
    pub fn read(authorization: Header<'a>, query: &str) -> Result<Self, NotSent> {
        if form::query_names(query, &["access_token"]) {
            return Err(NotSent::Malformed("Send the token in the Authorization header, not in the URL."));
        }
        let header = match authorization {
            Header::None => return Err(NotSent::NoToken),
            Header::Several => return Err(NotSent::Malformed("There is more than one Authorization header.")),
            Header::One(header) => header,
        };
        let text = std::str::from_utf8(header)
            .map_err(|_not_utf8| NotSent::Malformed("The Authorization header is malformed."))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        let scheme = Scheme::from_name(scheme).ok_or(NotSent::NoToken)?;
        let token = token.trim_start_matches(' ');
        if Self::bare(token).is_err() {
            return Err(NotSent::Malformed(match scheme {
                Scheme::Bearer => "The Authorization header is malformed: write Bearer, a space and the token.",
                Scheme::Dpop => "The Authorization header is malformed: write DPoP, a space and the token.",
            }));
        }
        Ok(Self { scheme, token })
    }
}

/// Whether a `b64token` may hold it.
const fn is_of_token(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Why a request does not get in ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)), in words that echo
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial<'a> {
    /// There is no token to look at.
    NotSent(NotSent),
    /// The token is not good, or not for this; the sentence says why.
    InvalidToken(Cow<'static, str>),
    /// The token is bound to a key, and the proof of that key is not good.
    Proof(ProofError),
    /// The token lacks one of these scopes, which stand here with spaces between. A challenge quotes them.
    Scopes(&'a str),
}

impl Denial<'_> {
    /// The `error` of the answer's body.
    pub const fn error(&self) -> &'static str {
        match self {
            Self::NotSent(NotSent::NoToken) => "unauthorized",
            Self::NotSent(NotSent::Malformed(_)) => OAuthErrorCode::InvalidRequest.name(),
            Self::InvalidToken(_) => "invalid_token",
            Self::Proof(error) => error.code().name(),
            Self::Scopes(_) => "insufficient_scope",
        }
    }

    /// The `error_description` of the answer's body.
    pub fn description(&self) -> Cow<'static, str> {
        match self {
            Self::NotSent(NotSent::NoToken) => "Send an access token: Authorization: Bearer ...".into(),
            Self::NotSent(NotSent::Malformed(what)) => (*what).into(),
            Self::InvalidToken(why) => why.clone(),
            Self::Proof(error) => error.description().into(),
            Self::Scopes(names) => {
                let noun = if names.contains(' ') { "scopes" } else { "scope" };
                format!("This needs the {noun} {names}.").into()
            }
        }
    }

    /// The parameters of a challenge besides the realm; none without a token, because nothing is wrong yet.
    pub fn parameters(&self) -> String {
        if *self == Self::NotSent(NotSent::NoToken) {
            return String::new();
        }
        let error = format!(", error=\"{}\", error_description=\"{}\"", self.error(), self.description());
        match self {
            Self::Scopes(names) => format!("{error}, scope=\"{names}\""),
            _ => error,
        }
    }
}
