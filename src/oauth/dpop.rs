//! DPoP proofs ([RFC 9449 §4](https://www.rfc-editor.org/rfc/rfc9449#section-4)): with each request, the client signs what
//! it asks for, so that a token bound to its key is worth nothing to a thief.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use url::Url;

use super::api::SigningAlgorithm;
use super::error::{OAuthError, OAuthErrorCode};
use super::header::Header;
use crate::clock::Timestamp;
use crate::secret::sha256;

/// The `typ` of a proof: no other JWT is one.
pub const TYP: &str = "dpop+jwt";
/// What a proof may be signed with, the shortest first.
pub const ALGORITHMS: &[SigningAlgorithm] =
    &[SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256];
/// How far `iat` may be from our time, to either side: proofs are made for the moment, but clocks differ. It is also how
/// long a proof must be remembered.
pub const LEEWAY: Duration = Duration::from_secs(60);
/// A proof with an RSA key of 4096 bits takes about a quarter of this.
pub const LONGEST_PROOF: usize = 8 * 1024;
/// A `jti` is kept until its proof is over, so it must not be long.
const LONGEST_JTI: usize = 256;

/// The proof in the `DPoP` header, if there is one.
///
/// # Errors
/// `Several` when there is more than one, `Malformed` when it is not text.
pub fn sent_proof(dpop: Header<'_>) -> Result<Option<&str>, ProofError> {
    match dpop {
        Header::None => Ok(None),
        Header::Several => Err(ProofError::Several),
        Header::One(value) => std::str::from_utf8(value).map(Some).map_err(|_not_text| ProofError::Malformed),
    }
}

/// Why a proof is not accepted. The words are for the client: they say what to do and echo nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofError {
    /// There is none, and there must be.
    Missing,
    /// More than one `DPoP` header.
    Several,
    /// Not a JWT in compact form, or too long.
    Malformed,
    /// Its `typ` is that of another JWT.
    Type,
    /// Its `alg` is none of ours, or does not fit its key.
    Algorithm,
    /// No `jwk` in its header, a private one, or one that cannot be used.
    Key,
    /// The signature does not hold.
    Signature,
    /// A claim is missing or of another type.
    Claims,
    /// `htm` is another method.
    Method,
    /// `htu` is another address.
    Url,
    /// `iat` is too far from our time.
    Time,
    /// `ath` is not the hash of the token that came with it.
    AccessToken,
    /// It was used before.
    Replayed,
    /// `nonce` is missing, foreign or over.
    Nonce,
}

impl ProofError {
    /// The code on the wire ([RFC 9449 §12.2](https://www.rfc-editor.org/rfc/rfc9449#section-12.2)).
    pub const fn code(self) -> OAuthErrorCode {
        match self {
            Self::Nonce => OAuthErrorCode::UseDpopNonce,
            _ => OAuthErrorCode::InvalidDpopProof,
        }
    }

    /// The sentence for the client.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Missing => "A DPoP proof is missing: send it in the DPoP header.",
            Self::Several => "There is more than one DPoP header.",
            Self::Malformed => "The DPoP proof is not a JWT in compact form.",
            Self::Type => "The DPoP proof's typ must be dpop+jwt.",
            Self::Algorithm => "The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.",
            Self::Key => "The DPoP proof's header must hold a public key as jwk, without private members.",
            Self::Signature => "The DPoP proof's signature is not that of its jwk.",
            Self::Claims => "The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.",
            Self::Method => "The DPoP proof's htm is not the method of this request.",
            Self::Url => "The DPoP proof's htu is not the address of this request.",
            Self::Time => "The DPoP proof's iat must be within 60 seconds of the server's time.",
            Self::AccessToken => "The DPoP proof's ath is not the hash of this access token.",
            Self::Replayed => "The DPoP proof was used before: make one for each request.",
            Self::Nonce => "The DPoP proof must hold as nonce what the DPoP-Nonce header of this answer says.",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl From<ProofError> for OAuthError {
    fn from(error: ProofError) -> Self {
        Self::new(error.code(), error.description())
    }
}

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// The method, as it stands in the request.
    pub method: &'a str,
    /// The address that the client used. Query and fragment do not count.
    pub url: &'a str,
    /// The access token that came with it; none at the token endpoint.
    pub access_token: Option<&'a str>,
}

/// Without the address, whose query may hold anything, and the access token.
impl fmt::Debug for ProvenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// The claims of a proof ([RFC 9449 §4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)). A duplicate member or
/// another type is an error.
#[derive(Debug, Deserialize)]
pub struct ProofClaims {
    /// Its id, never used before with its key.
    pub jti: Box<str>,
    /// The method.
    pub htm: Box<str>,
    /// The address.
    pub htu: Box<str>,
    /// When it was made; fractions of a second are left out.
    #[serde(deserialize_with = "whole_seconds")]
    pub iat: Timestamp,
    /// The SHA-256 of the access token, in base64url.
    pub ath: Option<Box<str>>,
    /// What the server gave in `DPoP-Nonce`.
    pub nonce: Option<Box<str>>,
}

fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let of_fraction = || Duration::try_from_secs_f64(number.as_f64()?).ok()?.as_secs().try_into().ok();
    let seconds = number.as_i64().or_else(of_fraction);
    seconds.map(Timestamp::from_seconds).ok_or_else(|| D::Error::custom("not a moment"))
}

impl ProofClaims {
    /// Whether they are for this request and this moment
    /// ([RFC 9449 §4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3)). Single use and nonce are the caller's next step.
    ///
    /// # Errors
    /// The first claim that is wrong.
    pub fn check(&self, request: &ProvenRequest<'_>, now: Timestamp) -> Result<(), ProofError> {
        // It is stored, and a database may not take every character.
        if self.jti.is_empty() || self.jti.len() > LONGEST_JTI || self.jti.contains(char::is_control) {
            return Err(ProofError::Claims);
        }
        if *self.htm != *request.method {
            return Err(ProofError::Method);
        }
        match (normal_url(&self.htu), normal_url(request.url)) {
            (Some(given), Some(actual)) if given == actual => {}
            _ => return Err(ProofError::Url),
        }
        if self.iat < now - LEEWAY || self.iat > now + LEEWAY {
            return Err(ProofError::Time);
        }
        if let Some(token) = request.access_token {
            let given = self.ath.as_deref().ok_or(ProofError::Claims)?;
            if *given != *URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())) {
                return Err(ProofError::AccessToken);
            }
        }
        Ok(())
    }

    /// The first moment at which [`Self::check`] refuses the proof for its age: until then its `jti` must be remembered.
    pub fn over_at(&self) -> Timestamp {
        self.iat + LEEWAY + Duration::from_secs(1)
    }
}

/// An address in one spelling ([RFC 3986 §6.2.2, §6.2.3](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)), without
/// query and fragment: scheme and host in lower case, no default port, no dot segments, `/` for an empty path, each escape
/// in capitals and only where it is needed. Nothing for what is not an HTTP address.
fn normal_url(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !is_plain || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let mut normal = url.origin().ascii_serialization();
    let mut segments = url.path().split('%');
    normal.push_str(segments.next()?);
    for segment in segments {
        let (digits, rest) = segment.split_at_checked(2)?;
        let escaped = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)?;
        match u8::from_str_radix(escaped, 16).ok()? {
            byte @ (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                normal.push(char::from(byte));
            }
            _ => {
                normal.push('%');
                normal.push_str(&escaped.to_ascii_uppercase());
            }
        }
        normal.push_str(rest);
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
    const REQUEST: ProvenRequest<'_> =
        ProvenRequest { method: "POST", url: "https://id.example/connect/token", access_token: None };

    fn claims() -> ProofClaims {
        ProofClaims { jti: "1".into(), htm: "POST".into(), htu: REQUEST.url.into(), iat: NOW, ath: None, nonce: None }
    }

    #[test]
    fn each_claim_is_checked() {
        assert_eq!(claims().check(&REQUEST, NOW), Ok(()));
        let cases = [
            (ProofClaims { jti: "".into(), ..claims() }, ProofError::Claims),
            (ProofClaims { jti: "a\0b".into(), ..claims() }, ProofError::Claims),
            (ProofClaims { jti: "x".repeat(257).into(), ..claims() }, ProofError::Claims),
            (ProofClaims { htm: "post".into(), ..claims() }, ProofError::Method),
            (ProofClaims { htm: "GET".into(), ..claims() }, ProofError::Method),
            (ProofClaims { htu: "https://id.example/connect".into(), ..claims() }, ProofError::Url),
            (ProofClaims { iat: NOW - Duration::from_secs(61), ..claims() }, ProofError::Time),
            (ProofClaims { iat: NOW + Duration::from_secs(61), ..claims() }, ProofError::Time),
        ];
        for (wrong, error) in cases {
            assert_eq!(wrong.check(&REQUEST, NOW), Err(error), "{wrong:?}");
        }
    }

    #[test]
    fn with_a_token_its_hash_must_be_there() {
        let request = ProvenRequest { access_token: Some("token"), ..REQUEST };
        let hash: Box<str> = URL_SAFE_NO_PAD.encode(sha256(b"token")).into();
        let with = |ath: Option<Box<str>>| ProofClaims { ath, ..claims() }.check(&request, NOW);
        assert_eq!(with(Some(hash)), Ok(()));
        assert_eq!(with(None), Err(ProofError::Claims));
        assert_eq!(with(Some("token".into())), Err(ProofError::AccessToken));
    }

    #[test]
    fn a_proof_is_remembered_as_long_as_it_could_be_used() {
        for iat in [NOW - LEEWAY, NOW, NOW + LEEWAY] {
            let claims = ProofClaims { iat, ..claims() };
            let over_at = claims.over_at();
            assert_eq!(claims.check(&REQUEST, over_at - Duration::from_secs(1)), Ok(()));
            assert_eq!(claims.check(&REQUEST, over_at), Err(ProofError::Time));
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_the_same_address() {
        let same = [
            "https://id.example/connect/token",
            "HTTPS://ID.EXAMPLE/connect/token",
            "https://id.example:443/connect/token",
            "https://id.example/connect/token?a=b",
            "https://id.example/connect/token#part",
            "https://id.example/connect/./token",
            "https://id.example/x/../connect/token",
            "https://id.example/connect/%74oken",
        ];
        for spelling in same {
            assert_eq!(normal_url(spelling).as_deref(), Some(REQUEST.url), "{spelling}");
        }
        assert_eq!(normal_url("http://id.example:80"), normal_url("http://id.example/"));
        assert_eq!(normal_url("http://id.example/%e2%82%ac"), normal_url("http://id.example/%E2%82%AC"));
        let others = [
            "http://id.example/connect/token",
            "https://id.example:8443/connect/token",
            "https://id.example/connect/token/",
            "https://id.example/Connect/token",
            "https://id.example/connect%2Ftoken",
            "https://id.example.evil/connect/token",
        ];
        for other in others {
            assert!(normal_url(other).is_some_and(|normal| normal != REQUEST.url), "{other}");
        }
        let none = [
            "",
            "/connect/token",
            "id.example",
            "ftp://id.example/",
            "https://a@id.example/",
            "https://id.example/%zz",
            "https://id.example/%2",
            "https://id.example/%+2",
            "https://id.example\\connect",
            " https://id.example/",
            "https://id.example/\n",
            "https://id.example/é",
        ];
        for text in none {
            assert_eq!(normal_url(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_address_is_its_own_normal_form(path in "(/|%|%2[0-9a-fA-F]|%7[eE]|[a-z.~?#:@])*") {
            let text = format!("https://id.example/{path}");
            if let Some(normal) = normal_url(&text) {
                prop_assert_eq!(normal_url(&normal), Some(normal));
            }
        }
    }

    #[test]
    fn the_sentence_on_algorithms_names_them_all() {
        for algorithm in ALGORITHMS {
            assert!(ProofError::Algorithm.description().contains(algorithm.name()));
        }
        assert!(ProofError::Time.description().contains(&LEEWAY.as_secs().to_string()));
    }
}
