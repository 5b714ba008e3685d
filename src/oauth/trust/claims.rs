//! The claims of a third party's JWT: nothing in it has a meaning but what the policy gives it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::refusal::TrustError;
use super::rule::ClaimName;
use crate::clock::Timestamp;
use crate::oauth::assertion::{LEEWAY, LONGEST_JTI, NumericDate};
use crate::oauth::claims::Confirmation;
use crate::oauth::json::read_object;

/// In octets. Those of Microsoft Entra with many groups are the longest known.
pub const LONGEST_FOREIGN_JWT: usize = 32 * 1024;
/// How far ahead `exp` may lie: as long as an id must be remembered. Those of managed identities live this long.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// Of `iss`, and of whom a JWT is about, in octets.
const LONGEST_NAME: usize = 512;
/// Audiences in one JWT.
const MOST_AUDIENCES: usize = 32;

/// Whether it is a name: not empty, not long, without control characters.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// The claims of a third party's JWT, as it says them. A claim that stands twice is an error, and so is one of those with a
/// name in [RFC 7519 §4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1) that has another type.
#[derive(Debug)]
pub struct ForeignClaims {
    iss: String,
    aud: Vec<String>,
    exp: Timestamp,
    nbf: Option<Timestamp>,
    iat: Option<Timestamp>,
    jti: Option<String>,
    all: Map<String, Value>,
}

impl ForeignClaims {
    /// Reads the payload.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn read(payload: &[u8]) -> Result<Self, TrustError> {
        Self::read_claims(payload).ok_or(TrustError::Malformed)
    }

    fn read_claims(payload: &[u8]) -> Option<Self> {
        let all = read_object(payload).ok()?;
        let iss = all.get("iss")?.as_str().filter(|iss| is_plain(iss))?.to_owned();
        let aud = match all.get("aud")? {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) if many.len() <= MOST_AUDIENCES => {
                many.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
            _ => return None,
        };
        let date = |name: &str| match all.get(name) {
            Some(value) => serde_json::from_value(value.clone()).map(|NumericDate(at)| Some(at)).ok(),
            None => Some(None),
        };
        let (exp, nbf, iat) = (date("exp")??, date("nbf")?, date("iat")?);
        let jti = match all.get("jti") {
            Some(Value::String(jti)) if jti.len() <= LONGEST_JTI && is_plain(jti) => Some(jti.clone()),
            Some(_) => return None,
            None => None,
        };
        Some(Self { iss, aud, exp, nbf, iat, jti, all })
    }

    /// `iss`
    pub fn issuer(&self) -> &str {
        &self.iss
    }

    /// `aud`
    pub fn audiences(&self) -> &[String] {
        &self.aud
    }

    /// `exp`
    pub fn expires_at(&self) -> Timestamp {
        self.exp
    }

    /// `nbf`
    pub fn not_before(&self) -> Option<Timestamp> {
        self.nbf
    }

    /// `iat`
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.iat
    }

    /// `jti`
    pub fn id(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// `cnf`: the key that whoever shows the JWT must hold.
    ///
    /// # Errors
    /// `Malformed` for one of a kind that is not known here: ignored, it would make a stolen JWT good.
    pub fn confirmation(&self) -> Result<Option<Confirmation>, TrustError> {
        let Some(cnf) = self.all.get("cnf") else { return Ok(None) };
        Confirmation::deserialize(cnf).map(Some).map_err(|_unknown| TrustError::Malformed)
    }

    /// From when on the JWT is refused by every node, whose clocks may differ as well: its id may be forgotten.
    pub fn forget_at(&self) -> Timestamp {
        self.exp + LEEWAY + LEEWAY
    }

    /// What a claim says.
    pub fn value(&self, name: &ClaimName) -> Option<&Value> {
        name.find(&self.all)
    }
}
