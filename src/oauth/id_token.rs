//! ID tokens: what an OpenID Connect provider says about who signed in there
//! ([OpenID Connect Core §2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::assertion::{LEEWAY, NumericDate};
use super::claims::OneOrMany;
use crate::clock::Timestamp;

/// In octets.
pub const LONGEST_ID_TOKEN: usize = 32 * 1024;
/// How long ago a token may have been made: it comes fresh from the provider.
const OLDEST: Duration = Duration::from_secs(600);
/// OpenID Connect Core §2: `sub` has at most 255 ASCII characters.
const LONGEST_SUBJECT: usize = 255;

/// Why an ID token is refused. For the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTokenError {
    /// The payload is not an object with the claims of an ID token.
    Malformed,
    /// `typ` is that of another kind of JWT.
    Type,
    /// `iss` is another provider.
    Issuer,
    /// `aud` does not name this server.
    Audience,
    /// `azp` is another client, or lacks where there are several audiences.
    Party,
    /// `exp` is past.
    Expired,
    /// `iat` lies ahead.
    IssuedAhead,
    /// `iat` is long past.
    Stale,
    /// `nonce` is not that of this sign-in.
    Nonce,
    /// `auth_time` lacks or is before the person was sent there.
    NotAnew,
    /// `sub` is empty, too long or not plain.
    Subject,
}

impl fmt::Display for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "its claims lack one of iss, sub, aud, exp, iat and nonce, or have one twice or of another type"
            }
            Self::Type => "its typ is neither absent nor JWT",
            Self::Issuer => "its iss is not the provider's issuer",
            Self::Audience => "its aud does not name this server",
            Self::Party => "its azp is not this server",
            Self::Expired => "its exp is past",
            Self::IssuedAhead => "its iat is in the future",
            Self::Stale => "its iat is more than 10 minutes past",
            Self::Nonce => "its nonce is not that of this sign-in",
            Self::NotAnew => "its auth_time lacks or is before the person was sent there",
            Self::Subject => "its sub is empty, longer than 255 characters or not plain ASCII",
        })
    }
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The provider's issuer.
    pub issuer: &'a str,
    /// What this server is called there.
    pub client_id: &'a str,
    /// Of this sign-in.
    pub nonce: &'a str,
}

/// The claims of an ID token. A claim that stands twice is an error.
#[derive(Debug, Deserialize)]
pub struct IdClaims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    azp: Option<String>,
    exp: NumericDate,
    iat: NumericDate,
    nonce: String,
    auth_time: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
    name: Option<Value>,
}

impl IdClaims {
    /// Reads the payload.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn read(payload: &[u8]) -> Result<Self, IdTokenError> {
        // A list of values would be taken for the claims in their order.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(IdTokenError::Malformed);
        }
        serde_json::from_slice(payload).map_err(|_not_claims| IdTokenError::Malformed)
    }

    /// Checks that the token is of that provider, for this server, for this sign-in and good at this moment.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn check(&self, typ: Option<&str>, expected: Expected<'_>, now: Timestamp) -> Result<(), IdTokenError> {
        let (for_us, is_shared) = match &self.aud {
            OneOrMany::One(one) => (one == expected.client_id, false),
            OneOrMany::Many(many) => (many.iter().any(|one| one == expected.client_id), many.len() > 1),
        };
        let good_party = match &self.azp {
            Some(party) => party == expected.client_id,
            None => !is_shared,
        };
        let (exp, iat) = (self.exp.0, self.iat.0);
        let plain = self.sub.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
        let good_subject = !self.sub.is_empty() && self.sub.len() <= LONGEST_SUBJECT && plain;
        let failed = [
            (typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")), IdTokenError::Type),
            (self.iss != expected.issuer, IdTokenError::Issuer),
            (!for_us, IdTokenError::Audience),
            (!good_party, IdTokenError::Party),
            (now >= exp + LEEWAY, IdTokenError::Expired),
            (iat > now + LEEWAY, IdTokenError::IssuedAhead),
            (iat < now - (OLDEST + LEEWAY), IdTokenError::Stale),
            (self.nonce != expected.nonce, IdTokenError::Nonce),
            (!good_subject, IdTokenError::Subject),
        ];
        failed.into_iter().find(|(failed, _)| *failed).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Checks that the person proved there who it is after that moment, and not some time before: who was asked to sign in
    /// anew (`prompt=login`, `max_age=0`) may still come back with an old sign-in.
    ///
    /// # Errors
    /// `NotAnew`.
    pub fn check_anew(&self, since: Timestamp) -> Result<(), IdTokenError> {
        let at = self.auth_time.as_ref().and_then(Value::as_i64).map(Timestamp::from_seconds);
        if at.is_some_and(|at| at + LEEWAY >= since) { Ok(()) } else { Err(IdTokenError::NotAnew) }
    }

    /// Who, among all whom the provider knows.
    pub fn subject(&self) -> &str {
        &self.sub
    }

    /// The address, if there is one.
    pub fn email(&self) -> Option<&str> {
        self.email.as_ref().and_then(Value::as_str)
    }

    /// The address, if the provider says that it is the person's. Nothing but `true` says so.
    pub fn verified_email(&self) -> Option<&str> {
        self.email().filter(|_| self.email_verified == Some(Value::Bool(true)))
    }

    /// What the person is called.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn check(claims: &Value) -> Result<(), IdTokenError> {
        let expected = Expected { issuer: "https://login.example", client_id: "brevet", nonce: "n" };
        IdClaims::read(claims.to_string().as_bytes())?.check(None, expected, Timestamp::from_seconds(NOW))
    }

    #[test]
    fn each_claim_is_checked() {
        let good = json!({
            "iss": "https://login.example", "sub": "1", "aud": "brevet", "exp": NOW + 300, "iat": NOW, "nonce": "n",
        });
        for (member, value, expected) in [
            ("aud", json!(["brevet"]), Ok(())),
            ("azp", json!("brevet"), Ok(())),
            ("exp", json!(NOW - 59), Ok(())),
            ("iat", json!(NOW + 60), Ok(())),
            ("iat", json!(NOW - 660), Ok(())),
            ("iss", json!("https://login.example/"), Err(IdTokenError::Issuer)),
            ("aud", json!("other"), Err(IdTokenError::Audience)),
            ("aud", json!([]), Err(IdTokenError::Audience)),
            ("aud", json!(["brevet", "other"]), Err(IdTokenError::Party)),
            ("azp", json!("other"), Err(IdTokenError::Party)),
            ("exp", json!(NOW - 60), Err(IdTokenError::Expired)),
            ("exp", json!("soon"), Err(IdTokenError::Malformed)),
            ("iat", json!(NOW + 61), Err(IdTokenError::IssuedAhead)),
            ("iat", json!(NOW - 661), Err(IdTokenError::Stale)),
            ("iat", json!(null), Err(IdTokenError::Malformed)),
            ("nonce", json!("m"), Err(IdTokenError::Nonce)),
            ("nonce", json!(null), Err(IdTokenError::Malformed)),
            ("sub", json!(""), Err(IdTokenError::Subject)),
            ("sub", json!("a\u{0}"), Err(IdTokenError::Subject)),
            ("sub", json!("a".repeat(256)), Err(IdTokenError::Subject)),
        ] {
            let mut claims = good.clone();
            claims[member] = value.clone();
            assert_eq!(check(&claims), expected, "{member}: {value}");
        }
        assert_eq!(IdClaims::read(b"[]").err(), Some(IdTokenError::Malformed));
        let twice = good.to_string().replace("\"nonce\":\"n\"", "\"nonce\":\"m\",\"nonce\":\"n\"");
        assert_eq!(IdClaims::read(twice.as_bytes()).err(), Some(IdTokenError::Malformed));
    }

    #[test]
    fn only_a_sign_in_after_the_question_is_one_anew() {
        for (auth_time, expected) in [
            (json!(NOW), Ok(())),
            (json!(NOW - 60), Ok(())),
            (json!(NOW - 61), Err(IdTokenError::NotAnew)),
            (json!(null), Err(IdTokenError::NotAnew)),
            (json!(NOW.to_string()), Err(IdTokenError::NotAnew)),
        ] {
            let claims = json!({
                "iss": "i", "sub": "1", "aud": "a", "exp": 1, "iat": 1, "nonce": "n", "auth_time": auth_time,
            });
            let read = IdClaims::read(claims.to_string().as_bytes()).unwrap();
            assert_eq!(read.check_anew(Timestamp::from_seconds(NOW)), expected, "{auth_time}");
        }
    }

    #[test]
    fn only_true_says_that_an_address_is_the_persons() {
        for (verified, expected) in
            [(json!(true), true), (json!("true"), false), (json!(1), false), (json!(null), false)]
        {
            let claims = json!({
                "iss": "i", "sub": "1", "aud": "a", "exp": 1, "iat": 1, "nonce": "n", "email": "a@b.example", "email_verified": verified,
            });
            let read = IdClaims::read(claims.to_string().as_bytes()).unwrap();
            assert_eq!(read.verified_email().is_some(), expected, "{verified}");
        }
    }
}
