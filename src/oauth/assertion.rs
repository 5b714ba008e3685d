//! Client assertions: JWTs by which a client proves that it has its private key
//! ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3), and stricter where experience says so).

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::claims::OneOrMany;
use super::client::ClientId;
use crate::clock::Timestamp;

/// The one value of `client_assertion_type` ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// In octets. Nobody needs more, and what is longer costs time before anything is known of who sends it.
pub const LONGEST_ASSERTION: usize = 16 * 1024;
/// In octets: ids that are used once are remembered, so they are bounded.
pub const LONGEST_JTI: usize = 256;
/// How far ahead `exp` may lie: as long as an id must be remembered.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(300);
/// How far the clocks of client and server may be apart.
pub const LEEWAY: Duration = Duration::from_secs(60);
/// What `typ` says, if it says anything; the second is of
/// [RFC 7523bis](https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/).
const TYPES: &[&str] = &["JWT", "client-authentication+jwt"];
/// The largest whole number that a JSON number holds exactly everywhere.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

/// Why an assertion is refused. For the log: the client hears only that authentication failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionError {
    /// The payload is not an object with the claims of an assertion.
    Malformed,
    /// `typ` is that of another kind of JWT.
    Type,
    /// `iss` is not the client.
    Issuer,
    /// `sub` is not the client.
    Subject,
    /// `aud` is not this server's issuer and nothing else.
    Audience,
    /// `exp` is past.
    Expired,
    /// `exp` is too far ahead.
    TooLong,
    /// `nbf` lies ahead.
    NotYetValid,
    /// `iat` lies ahead.
    IssuedAhead,
    /// `iat` is long past.
    Stale,
    /// `jti` is empty, too long or has control characters.
    Id,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "its claims lack one of iss, sub, aud, exp and jti, or have one twice or of another type"
            }
            Self::Type => "its typ is neither absent nor JWT nor client-authentication+jwt",
            Self::Issuer => "its iss is not the client",
            Self::Subject => "its sub is not the client",
            Self::Audience => "its aud is not exactly the issuer of this server",
            Self::Expired => "its exp is past",
            Self::TooLong => "its exp is more than 5 minutes ahead",
            Self::NotYetValid => "its nbf is in the future",
            Self::IssuedAhead => "its iat is in the future",
            Self::Stale => "its iat is more than 5 minutes past",
            Self::Id => "its jti is empty, longer than 256 octets or has control characters",
        })
    }
}

/// A JSON number of seconds ([RFC 7519 §2](https://www.rfc-editor.org/rfc/rfc7519#section-2)), fractions cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumericDate(pub(super) Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let exact = || number.as_f64().filter(|seconds| seconds.abs() <= LARGEST_EXACT);
        let whole = number.as_i64().or_else(|| format!("{:.0}", exact()?.trunc()).parse().ok());
        whole.map(|seconds| Self(Timestamp::from_seconds(seconds))).ok_or_else(|| D::Error::custom("not a moment"))
    }
}

/// A claim that may be left out, but not be `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The claims of an assertion, as it says them. A claim that stands twice is an error.
#[derive(Debug, Deserialize)]
pub struct AssertionClaims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    jti: String,
}

impl AssertionClaims {
    /// Reads the payload.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn read(payload: &[u8]) -> Result<Self, AssertionError> {
        // A list of values would be taken for the claims in their order.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(AssertionError::Malformed);
        }
        // Not from octets: those of members that nobody reads would not be looked at.
        let payload = str::from_utf8(payload).map_err(|_not_utf8| AssertionError::Malformed)?;
        serde_json::from_str(payload).map_err(|_not_claims| AssertionError::Malformed)
    }

    /// `iss`: who it says made it.
    pub fn issuer(&self) -> &str {
        &self.iss
    }

    /// `jti`
    pub fn id(&self) -> &str {
        &self.jti
    }

    /// From when on the assertion is refused by every node, whose clocks may differ as well: its id may be forgotten.
    pub fn forget_at(&self) -> Timestamp {
        self.exp.0 + LEEWAY + LEEWAY
    }

    /// Checks that the assertion is the client's, for `audience` alone, and good at this moment.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn check(
        &self,
        typ: Option<&str>,
        client_id: ClientId,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), AssertionError> {
        let client_id = client_id.to_string();
        let is_only = match &self.aud {
            OneOrMany::One(one) => one == audience,
            OneOrMany::Many(many) => matches!(many.as_slice(), [one] if one == audience),
        };
        let known_type = typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)));
        let good_id = !self.jti.is_empty() && self.jti.len() <= LONGEST_JTI && !self.jti.chars().any(char::is_control);
        let (exp, longest) = (self.exp.0, LONGEST_LIFETIME + LEEWAY);
        let ahead = |date: Option<NumericDate>| date.is_some_and(|date| date.0 > now + LEEWAY);
        let failed = [
            (!known_type, AssertionError::Type),
            (self.iss != client_id, AssertionError::Issuer),
            (self.sub != client_id, AssertionError::Subject),
            (!is_only, AssertionError::Audience),
            (now >= exp + LEEWAY, AssertionError::Expired),
            (exp > now + longest, AssertionError::TooLong),
            (ahead(self.nbf), AssertionError::NotYetValid),
            (ahead(self.iat), AssertionError::IssuedAhead),
            (self.iat.is_some_and(|iat| iat.0 < now - longest), AssertionError::Stale),
            (!good_id, AssertionError::Id),
        ];
        failed.into_iter().find(|(failed, _)| *failed).map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// The claims of an assertion that a client makes.
#[derive(Debug, Serialize)]
pub struct NewAssertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: Timestamp,
    iat: Timestamp,
    jti: &'a str,
}

impl<'a> NewAssertion<'a> {
    /// For one request, which comes at once.
    pub fn new(client_id: &'a str, audience: &'a str, jti: &'a str, now: Timestamp) -> Self {
        Self { iss: client_id, sub: client_id, aud: audience, exp: now + LEEWAY, iat: now, jti }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const ISSUER: &str = "https://id.example.com";
    const CLIENT: &str = "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e";

    fn claims() -> Value {
        json!({ "iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "exp": NOW.seconds() + 60, "jti": "1" })
    }

    fn check(payload: &str, typ: Option<&str>) -> Result<(), AssertionError> {
        AssertionClaims::read(payload.as_bytes())?.check(typ, ClientId::parse(CLIENT).unwrap(), ISSUER, NOW)
    }

    #[test]
    fn times_hold_to_the_second() {
        let with = |name: &str, seconds: i64| {
            let mut claims = claims();
            claims[name] = json!(NOW.seconds() + seconds);
            check(&claims.to_string(), None)
        };
        assert_eq!(with("exp", -59), Ok(()));
        assert_eq!(with("exp", -60), Err(AssertionError::Expired));
        assert_eq!(with("exp", 360), Ok(()));
        assert_eq!(with("exp", 361), Err(AssertionError::TooLong));
        assert_eq!(with("nbf", 60), Ok(()));
        assert_eq!(with("nbf", 61), Err(AssertionError::NotYetValid));
        assert_eq!(with("iat", 60), Ok(()));
        assert_eq!(with("iat", 61), Err(AssertionError::IssuedAhead));
        assert_eq!(with("iat", -360), Ok(()));
        assert_eq!(with("iat", -361), Err(AssertionError::Stale));
        let claims = AssertionClaims::read(claims().to_string().as_bytes()).unwrap();
        assert!(claims.forget_at() >= NOW + LONGEST_LIFETIME.min(Duration::from_secs(60)) + LEEWAY);
    }

    #[test]
    fn numbers_of_any_size_are_read_or_refused() {
        let with = |name: &str, number: &str| {
            let text = claims().to_string().replacen('{', &format!("{{\"{name}\":{number},"), 1);
            check(&text.replacen(&format!(",\"exp\":{}", NOW.seconds() + 60), "", usize::from(name == "exp")), None)
        };
        let soon = NOW.seconds() + 60;
        for (number, expected) in [
            (format!("{soon}"), Ok(())),
            (format!("{soon}.0"), Ok(())),
            (format!("{soon}.999"), Ok(())),
            (format!("{soon}e0"), Ok(())),
            ("0".to_owned(), Err(AssertionError::Expired)),
            ("-1".to_owned(), Err(AssertionError::Expired)),
            ("-9223372036854775808".to_owned(), Err(AssertionError::Expired)),
            (format!("{soon}000"), Err(AssertionError::TooLong)),
            ("9223372036854775807".to_owned(), Err(AssertionError::TooLong)),
            ("18446744073709551616".to_owned(), Err(AssertionError::Malformed)),
            ("1e300".to_owned(), Err(AssertionError::Malformed)),
            ("-1e308".to_owned(), Err(AssertionError::Malformed)),
            ("1e400".to_owned(), Err(AssertionError::Malformed)),
            ("NaN".to_owned(), Err(AssertionError::Malformed)),
            ("\"1\"".to_owned(), Err(AssertionError::Malformed)),
            ("null".to_owned(), Err(AssertionError::Malformed)),
            ("true".to_owned(), Err(AssertionError::Malformed)),
            ("[1]".to_owned(), Err(AssertionError::Malformed)),
        ] {
            assert_eq!(with("exp", &number), expected, "{number}");
        }
        for (number, expected) in [
            ("1", Ok(())),
            ("null", Err(AssertionError::Malformed)),
            ("{}", Err(AssertionError::Malformed)),
            ("1e300", Err(AssertionError::Malformed)),
            ("9223372036854775807", Err(AssertionError::NotYetValid)),
        ] {
            assert_eq!(with("nbf", number), expected, "{number}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_refused() {
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            let twice = claims().to_string().replacen('{', &format!("{{\"{name}\":{},", claims()[name]), 1);
            assert_eq!(check(&twice, None), Err(AssertionError::Malformed), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused_but_never_crash(payload in ".{0,200}", exp in any::<f64>(), nbf in any::<i64>()) {
            let _read_or_refused = check(&payload, Some(&payload));
            let mut claims = claims();
            claims["exp"] = json!(exp);
            claims["nbf"] = json!(nbf);
            let _read_or_refused = check(&claims.to_string(), None);
        }
    }
}
