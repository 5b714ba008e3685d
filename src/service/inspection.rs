//! The inspector: what a token says, and why it is good or refused. Whether it is good is what [`access::verify_own`] says,
//! the one check that the guard and introspection ask as well; here is only said why. A third party's JWT is tried instead, as
//! it may be good once.
//!
//! Whoever asks learns of their own organisation's apps what an administrator's page would say. Of a token of another
//! organisation they learn what the token itself and the public documents say, and whether it is good.

mod grounds;
mod pasted;
mod third_party;

use serde_json::Value;

use self::grounds::{Asked, Grounds};
pub use self::pasted::NotAToken;
use self::pasted::{Members, Pasted};
use super::access::{self, AccessError};
use super::{Authority, Management, ServiceError};
use crate::clock::Timestamp;
use crate::keys::verify::TokenError;
use crate::oauth::{ClientId, trust};

/// What is looked at: as much as is read of third parties' JWTs, the longest tokens that there are here.
pub const LONGEST_TEXT: usize = trust::LONGEST_FOREIGN_JWT;

/// What was pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// No signed token.
    NotAToken(NotAToken),
    /// A signed token.
    Token(Box<InspectedToken>),
}

/// A signed token, what it says and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedToken {
    /// Its header, as JSON for people.
    pub header: String,
    /// Its claims.
    pub claims: Vec<Claim>,
    /// The same as JSON for people; empty if it holds no JSON object.
    pub claims_json: String,
    /// What the guard would say of it now.
    pub worth: Worth,
    /// Whether it is for the audience that was asked about.
    pub fits_audience: Option<bool>,
    /// Each check, in the order in which they are made.
    pub verdicts: Vec<Verdict>,
    /// The app it was issued to, if whoever asks may know of it.
    pub app: Option<(ClientId, String)>,
}

/// A claim for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its value: a text as it is, anything else as JSON.
    pub value: String,
    /// The moment, if it is one.
    pub moment: Option<Timestamp>,
    /// What a claim of that name means.
    pub meaning: &'static str,
}

/// What the guard would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is good now.
    Good,
    /// It is refused.
    Refused,
    /// It cannot be known at the moment.
    Unknown,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// No check: something that is good to know.
    Note,
}

impl Outcome {
    /// One word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "Good",
            Self::Fails => "Wrong",
            Self::Note => "Note",
        }
    }
}

/// What a check was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Who signed it.
    Key,
    /// Whether the signature is right.
    Signature,
    /// Whether it is an access token.
    Type,
    /// Who issued it.
    Issuer,
    /// Whether its time has come, and is not over.
    Time,
    /// Whether it was revoked.
    Revocation,
    /// The app, and its organisation.
    App,
    /// Those it is about and those who act for them, if it was issued in exchange for another.
    Exchange,
    /// Whether everything of its age was ended.
    CutOff,
    /// What it is for.
    Audience,
    /// Whether it is bound to a key.
    Binding,
    /// A check of a third party's JWT.
    ThirdParty(trust::Check),
}

impl Check {
    /// A heading for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Key => "Signing key",
            Self::Signature => "Signature",
            Self::Type => "Type",
            Self::Issuer => "Issuer",
            Self::Time => "Time",
            Self::Revocation => "Revocation",
            Self::App => "App",
            Self::Exchange => "Token exchange",
            Self::CutOff => "Cut-off",
            Self::Audience => "Audience",
            Self::Binding => "Binding",
            Self::ThirdParty(check) => check.label(),
        }
    }
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was checked.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub text: String,
}

/// Says what a text is and, if it is a token, what it is worth at this moment to whoever `m` works for. With
/// `audience`, also whether it is for that API.
///
/// # Errors
/// When the database does not answer.
pub async fn inspect(
    authority: &Authority,
    m: Management,
    text: &str,
    audience: Option<&str>,
    now: Timestamp,
) -> Result<Inspection, ServiceError> {
    let token = match pasted::sort(text, LONGEST_TEXT) {
        Pasted::Jws(token) => token,
        Pasted::Other(what) => return Ok(Inspection::NotAToken(what)),
    };
    let mut parts = token.split('.');
    let header = parts.next().and_then(Members::decode).unwrap_or(Members(Vec::new()));
    let claims = parts.next().and_then(Members::decode);
    let audience = audience.map(str::trim).filter(|audience| !audience.is_empty());
    let asked = Asked { token, header: &header, claims: claims.as_ref(), audience, now };
    let (grounds, worth, refusal) = judge(authority, m, &asked).await?;
    let Grounds { mut verdicts, app, fits_audience } = grounds;
    if let Some(reason) = refusal {
        let explained = verdicts.iter().any(|verdict| {
            verdict.outcome == Outcome::Fails && !(verdict.check == Check::Audience && fits_audience == Some(false))
        });
        // Whatever comes to be refused: a reason is always there.
        if !explained {
            verdicts.push(Verdict { check: Check::Type, outcome: Outcome::Fails, text: reason.to_string() });
        }
    }
    let shown = claims.as_ref().map(|claims| claims.0.iter().map(claim).collect()).unwrap_or_default();
    Ok(Inspection::Token(Box::new(InspectedToken {
        header: header.pretty(),
        claims_json: claims.as_ref().map(Members::pretty).unwrap_or_default(),
        claims: shown,
        worth,
        fits_audience,
        verdicts,
        app,
    })))
}

/// What a token is worth, why, and in which words it is refused if it says that it is one of ours.
async fn judge(
    authority: &Authority,
    m: Management,
    asked: &Asked<'_>,
) -> Result<(Grounds, Worth, Option<TokenError>), ServiceError> {
    let named = asked.claims.and_then(|claims| claims.text("iss"));
    if named.is_some_and(|named| named != authority.issuer())
        && let Some((mut grounds, worth)) = third_party::look(authority, &m, asked.token, asked.now).await?
    {
        grounds::audience(&mut grounds, asked);
        return Ok((grounds, worth, None));
    }
    let checked = access::verify_own(authority, asked.token, asked.now).await;
    let grounds = grounds::collect(authority, m, asked).await?;
    Ok(match checked {
        Ok(_) => (grounds, Worth::Good, None),
        Err(AccessError::Refused(reason)) => (grounds, Worth::Refused, Some(reason)),
        Err(AccessError::Foreign { .. }) => (grounds, Worth::Refused, None),
        Err(AccessError::Unavailable(_)) => (grounds, Worth::Unknown, None),
    })
}

fn claim((name, value): &(String, Value)) -> Claim {
    let is_moment = matches!(name.as_str(), "exp" | "nbf" | "iat" | "auth_time" | "updated_at");
    Claim {
        moment: value.as_i64().filter(|_| is_moment).map(Timestamp::from_seconds),
        value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        meaning: meaning(name),
        name: name.clone(),
    }
}

fn meaning(name: &str) -> &'static str {
    match name {
        "iss" => "who issued it",
        "aud" => "what it is for: the identifier of the API",
        "exp" => "when it ends",
        "nbf" => "not good before",
        "iat" => "when it was issued",
        "jti" => "the token's own number",
        "sub" => "whom it is about: the App SID, or a user of a trusted issuer",
        "client_id" => "the App SID",
        "scope" => "what it allows",
        "tenant" => "the organisation",
        "cnf" => "the key it is bound to",
        "act" => "who acts for whom it is about: the app that exchanged their token for this one",
        "login" => "the user, by the name that the organisation knows",
        _ => "",
    }
}
