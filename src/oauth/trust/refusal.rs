//! Why a third party's JWT is refused: exactly for the log and for whoever set the issuer up, in general words for strangers.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::oauth::{OAuthError, ThirdParty};

/// One thing that is checked, in the order of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is a JWS in compact form with the claims of a JWT.
    Form,
    /// Its issuer is trusted.
    Issuer,
    /// The issuer's keys are here.
    Keys,
    /// It is signed with one of the issuer's keys.
    Signature,
    /// `typ` is not that of another kind of JWT.
    Type,
    /// `aud`
    Audience,
    /// `exp`
    Expiry,
    /// `nbf`
    NotBefore,
    /// `iat` and the longest age.
    IssuedAt,
    /// `jti`, where each JWT is good once.
    Id,
    /// A rule on a claim, by its place.
    Rule(usize),
    /// It says whom it is about.
    Subject,
    /// It is shown from where the app may have tokens.
    Network,
    /// That one is an app or a user here.
    Mapping,
    /// It was not used before.
    SingleUse,
}

impl Check {
    /// The name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Issuer => "issuer",
            Self::Keys => "keys",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Audience => "audience",
            Self::Expiry => "expiry",
            Self::NotBefore => "not_before",
            Self::IssuedAt => "issued_at",
            Self::Id => "id",
            Self::Rule(_) => "rule",
            Self::Subject => "subject",
            Self::Network => "network",
            Self::Mapping => "mapping",
            Self::SingleUse => "single_use",
        }
    }

    /// A heading for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Form => "Form",
            Self::Issuer => "Issuer",
            Self::Keys => "Keys",
            Self::Signature => "Signature",
            Self::Type => "Type",
            Self::Audience => "Audience",
            Self::Expiry => "Expiry",
            Self::NotBefore => "Not before",
            Self::IssuedAt => "Age",
            Self::Id => "Id",
            Self::Rule(_) => "Rule",
            Self::Subject => "Subject",
            Self::Network => "Network",
            Self::Mapping => "Stands for",
            Self::SingleUse => "Single use",
        }
    }
}

/// Why a third party's JWT is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustError {
    /// It is not a JWS in compact form, or its payload has not the claims of a JWT.
    Malformed,
    /// Its header demands what we do not do, or is none.
    Header(String),
    /// Nobody trusts that issuer, or not on this way.
    UnknownIssuer,
    /// Nobody's key verifies it, and why.
    Signature(String),
    /// The algorithm is none that the issuer may use.
    Algorithm,
    /// The certificate, or the chain to an authority, is not good, and why.
    Certificate(String),
    /// The issuer's keys cannot be had.
    NoKeys(String),
    /// `typ` is that of another kind of JWT.
    Type,
    /// `aud` holds none of the accepted.
    Audience,
    /// `exp` is past.
    Expired(Timestamp),
    /// `exp` is too far ahead.
    TooLong(Timestamp),
    /// `nbf` lies ahead.
    NotYetValid(Timestamp),
    /// `iat` lies ahead.
    IssuedAhead(Timestamp),
    /// `iat` is longer ago than the issuer's JWTs may be old.
    Stale(Timestamp),
    /// There is no `iat` to tell the age by.
    NoIssuedAt,
    /// There is no `jti` to tell one use from the next.
    Id,
    /// The rule at that place does not hold.
    Rule(usize),
    /// The claim that says whom it is about lacks or is no plain text.
    Subject,
    /// Whom it is about is no app or user here, or a disabled one.
    NotRegistered,
    /// The app that it stands for may not have tokens from where it was shown.
    ForeignNetwork,
    /// Several trusted issuers take it: it is not clear for whom.
    Ambiguous,
    /// It was used before.
    Replayed,
    /// It cannot be checked now, and why.
    Unavailable(String),
}

/// A third party's JWT that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedJwt {
    /// Why.
    pub error: TrustError,
    /// With which entry it came that far, if there is one for it; for the log.
    pub third_party: Option<Arc<ThirdParty>>,
}

impl RefusedJwt {
    /// One of an entry.
    pub fn of(third_party: &Arc<ThirdParty>) -> impl FnOnce(TrustError) -> Self {
        let third_party = Some(third_party.clone());
        |error| Self { error, third_party }
    }

    /// The error for it: `temporarily_unavailable` where it could not be judged, else what `refusal` makes of the reason.
    pub fn into_error(self, refusal: impl FnOnce(&TrustError) -> OAuthError) -> OAuthError {
        let error = match self.error {
            TrustError::Unavailable(reason) => OAuthError::unavailable(reason),
            error => refusal(&error),
        };
        error.of_third_party(self.third_party)
    }
}

impl From<TrustError> for RefusedJwt {
    fn from(error: TrustError) -> Self {
        Self { error, third_party: None }
    }
}

impl TrustError {
    /// The reason in one word, for counts and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Header(_) => "malformed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Signature(_) | Self::Algorithm => "signature",
            Self::Certificate(_) => "certificate",
            Self::NoKeys(_) => "no_keys",
            Self::Type => "type",
            Self::Audience => "audience",
            Self::Expired(_) | Self::TooLong(_) => "expiry",
            Self::NotYetValid(_) => "not_before",
            Self::IssuedAhead(_) | Self::Stale(_) | Self::NoIssuedAt => "issued_at",
            Self::Id => "id",
            Self::Rule(_) => "rule",
            Self::Subject | Self::NotRegistered => "subject",
            Self::ForeignNetwork => "network",
            Self::Ambiguous => "ambiguous",
            Self::Replayed => "replayed",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// What whoever showed it may hear: which check failed, and nothing about the issuer's settings.
    pub const fn public(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Header(_) => {
                "The JWT cannot be read, or lacks one of the claims iss, aud and exp, or has one of another type."
            }
            Self::UnknownIssuer => "The JWT's issuer is not trusted here.",
            Self::Signature(_) | Self::Algorithm => "The JWT's signature is not one of its issuer's.",
            Self::Certificate(_) => "The certificate that the JWT was signed with is not accepted.",
            Self::NoKeys(_) => "The keys of the JWT's issuer cannot be had at the moment.",
            Self::Type => "The JWT's typ is that of another kind of JWT.",
            Self::Audience => "The JWT is not for this server: see its aud.",
            Self::Expired(_) => "The JWT has expired: see its exp.",
            Self::TooLong(_) => "The JWT lives too long: its exp may be 24 hours ahead.",
            Self::NotYetValid(_) => "The JWT is not valid yet: see its nbf.",
            Self::IssuedAhead(_) | Self::Stale(_) | Self::NoIssuedAt => {
                "The JWT is too old, or was made in the future: see its iat."
            }
            Self::Id => "The JWT has no jti.",
            Self::Rule(_) => "A claim of the JWT does not say what it must.",
            Self::Subject => "The JWT does not say whom it is about.",
            Self::NotRegistered | Self::ForeignNetwork => "Whom the JWT is about is not registered here.",
            Self::Ambiguous => {
                "Several organisations or apps take the JWT: name one, with Tenant or client_id, or with the audience of the organisation."
            }
            Self::Replayed => "The JWT was used before.",
            Self::Unavailable(_) => "The JWT cannot be checked at the moment.",
        }
    }

    /// How far the JWT came: of several reasons, the one of the check that came last tells most.
    pub(crate) const fn progress(&self) -> u8 {
        match self {
            Self::Malformed | Self::Header(_) => 0,
            Self::UnknownIssuer => 1,
            Self::NoKeys(_) | Self::Unavailable(_) => 2,
            Self::Algorithm | Self::Signature(_) | Self::Certificate(_) => 3,
            Self::Type => 4,
            Self::Audience => 5,
            Self::Expired(_) | Self::TooLong(_) => 6,
            Self::NotYetValid(_) => 7,
            Self::IssuedAhead(_) | Self::Stale(_) | Self::NoIssuedAt => 8,
            Self::Id => 9,
            Self::Rule(_) => 10,
            Self::Subject => 11,
            Self::NotRegistered | Self::ForeignNetwork => 12,
            Self::Ambiguous => 13,
            Self::Replayed => 14,
        }
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(reason) | Self::Signature(reason) | Self::Certificate(reason) | Self::NoKeys(reason) => {
                f.write_str(reason)
            }
            Self::Algorithm => f.write_str("its alg is none that its issuer may use"),
            Self::Expired(at) => write!(f, "its exp was {}", at.rfc3339()),
            Self::TooLong(at) => write!(f, "its exp is {}, more than 24 hours ahead", at.rfc3339()),
            Self::NotYetValid(at) => write!(f, "its nbf is {}", at.rfc3339()),
            Self::IssuedAhead(at) => write!(f, "its iat is {}, in the future", at.rfc3339()),
            Self::Stale(at) => write!(f, "its iat is {}, longer ago than its issuer's maximum age", at.rfc3339()),
            Self::NoIssuedAt => f.write_str("it has no iat, so its age is unknown"),
            Self::Id => f.write_str("it has no jti, and each JWT of its issuer is good once"),
            Self::Rule(at) => write!(f, "rule {} on its claims does not hold", at + 1),
            Self::Subject => f.write_str("the claim that says whom it is about lacks or is no plain text"),
            Self::NotRegistered => f.write_str("whom it is about is not registered here, or disabled"),
            Self::ForeignNetwork => f.write_str("it was shown from outside the networks that the app is allowed"),
            Self::Unavailable(reason) => write!(f, "it cannot be checked now: {reason}"),
            other => f.write_str(other.public()),
        }
    }
}
