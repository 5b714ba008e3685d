//! Trusted issuers: third parties whose JWTs are good here, and what they must say
//! ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).

mod audience;
mod claims;
mod refusal;
mod rule;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::audience::{LONGEST_SLUG, named_organisation, organisation_audience};
pub use self::claims::{ForeignClaims, LONGEST_FOREIGN_JWT, LONGEST_LIFETIME};
pub use self::refusal::{Check, RefusedJwt, TrustError};
pub use self::rule::{ClaimName, ClaimRule, ClaimTest, LONGEST_VALUE};
use super::api::SigningAlgorithm;
use super::assertion::LEEWAY;
use crate::clock::Timestamp;

/// What `typ` says of a third party's JWT, if it says anything. The last is of
/// [SPIFFE](https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md); those of other kinds of JWT, such as
/// `at+jwt`, are not among them, so that none is taken for what it is not.
const TYPES: &[&str] = &["JWT", "client-authentication+jwt", "JOSE"];

/// How a third party's JWT reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As `assertion` of the grant ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)).
    Grant,
    /// As `client_assertion` ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)): for us and nobody else.
    ClientAssertion,
    /// As `JwtToken` of `/server/jwt`.
    Ticket,
    /// As a bearer token at a resource route.
    Bearer,
    /// As `subject_token` of the exchange ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    Subject,
}

impl Way {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Grant, Self::ClientAssertion, Self::Ticket, Self::Bearer, Self::Subject];

    /// The name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::ClientAssertion => "client_assertion",
            Self::Ticket => "ticket",
            Self::Bearer => "bearer",
            Self::Subject => "subject",
        }
    }

    /// The way in which a JWT can be tried that has the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|way| *way != Self::Subject && way.name() == name)
    }
}

/// Where the keys of a trusted issuer are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IssuerKeys {
    /// In these certificates, in PEM, and nowhere else.
    Certificates(Arc<str>),
    /// In the certificate at the head of `x5c`, from which a chain leads to one of these authorities, in PEM.
    Authorities(Arc<str>),
    /// The same with the authorities of the operating system that the operator named.
    SystemAuthorities,
    /// In this JWK set.
    Jwks(Arc<str>),
    /// In the JWK set behind this URL.
    JwksUri(Arc<str>),
    /// In the JWK set that the issuer names in its own configuration.
    Discovery,
}

impl IssuerKeys {
    /// The name on screens' forms, in the API and on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Certificates(_) => "certificates",
            Self::Authorities(_) => "authorities",
            Self::SystemAuthorities => "system_authorities",
            Self::Jwks(_) => "jwks",
            Self::JwksUri(_) => "jwks_uri",
            Self::Discovery => "discovery",
        }
    }

    /// Whether the chain in `x5c` says whose the key is.
    pub const fn uses_chains(&self) -> bool {
        matches!(self, Self::Authorities(_) | Self::SystemAuthorities)
    }
}

/// What the JWTs of a trusted issuer must say, and what they are good for. As it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustPolicy {
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// The names that the certificate at the head of a chain may have, one of which it must; any if there are none.
    pub certificate_names: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Of which `aud` must hold one.
    pub audiences: Vec<String>,
    /// The claim that says whom a JWT is about.
    pub subject_claim: ClaimName,
    /// What further claims must say: all of them.
    pub rules: Vec<ClaimRule>,
    /// The longest ago that `iat` may be; then it must be there.
    pub max_age: Option<Duration>,
    /// Whether each JWT is good once; then `jti` must be there.
    pub single_use: bool,
    /// Whether its JWTs are good at resource routes as they are.
    pub accept_directly: bool,
    /// The longest that what is issued for its JWTs may live.
    pub ticket_lifetime: Option<Duration>,
    /// Whether an app gets only the scopes that stand at the issuer, of those that it was granted; otherwise it gets all.
    pub limits_scopes: bool,
}

impl TrustPolicy {
    /// One that demands of JWTs for these audiences what must always be, and nothing else.
    pub fn new(keys: IssuerKeys, audiences: Vec<String>) -> Self {
        Self {
            keys,
            certificate_names: Vec::new(),
            algorithms: SigningAlgorithm::ALL.to_vec(),
            audiences,
            subject_claim: ClaimName::sub(),
            rules: Vec::new(),
            max_age: None,
            single_use: false,
            accept_directly: false,
            ticket_lifetime: None,
            limits_scopes: false,
        }
    }

    /// Checks the claims of a JWT whose signature holds, in the order in which people should hear of what is wrong.
    pub fn check<'p>(
        &'p self,
        typ: Option<&'p str>,
        claims: &'p ForeignClaims,
        way: Way,
        now: Timestamp,
    ) -> impl Iterator<Item = (Check, Result<(), TrustError>)> + 'p {
        let checks = [
            (Check::Type, check_type(typ)),
            (Check::Audience, self.check_audience(claims, way)),
            (Check::Expiry, check_expiry(claims, now)),
            (Check::NotBefore, check_not_before(claims, now)),
            (Check::IssuedAt, self.check_issued_at(claims, now)),
            (Check::Id, self.check_id(claims)),
        ];
        let rules = self.rules.iter().enumerate();
        let rules = rules.map(|(at, rule)| {
            let matches = claims.value(&rule.claim).is_some_and(|value| rule.matches(value));
            (Check::Rule(at), if matches { Ok(()) } else { Err(TrustError::Rule(at)) })
        });
        let subject = self.subject(claims).map(drop);
        checks.into_iter().chain(rules).chain([(Check::Subject, subject)])
    }

    /// Whether a JWT with these claims may be good, as far as that costs next to nothing: nothing of it is proved yet.
    pub fn may_take(&self, claims: &ForeignClaims, way: Way) -> bool {
        let may_hold = |rule: &ClaimRule| claims.value(&rule.claim).is_some_and(|value| rule.may_match(value));
        self.check_audience(claims, way).is_ok() && self.rules.iter().all(may_hold)
    }

    /// Whom the JWT is about.
    ///
    /// # Errors
    /// `Subject` when it does not say, or says something that is no plain text.
    pub fn subject<'c>(&self, claims: &'c ForeignClaims) -> Result<&'c str, TrustError> {
        let value = claims.value(&self.subject_claim).and_then(serde_json::Value::as_str);
        value.filter(|subject| claims::is_plain(subject)).ok_or(TrustError::Subject)
    }

    fn check_audience(&self, claims: &ForeignClaims, way: Way) -> Result<(), TrustError> {
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        let named = claims.audiences();
        let good = match way {
            // Whoever else it is for could use it to pass for the client.
            Way::ClientAssertion => matches!(named, [only] if is_ours(only)),
            _ => named.iter().any(|audience| is_ours(audience)),
        };
        if good { Ok(()) } else { Err(TrustError::Audience) }
    }

    fn check_issued_at(&self, claims: &ForeignClaims, now: Timestamp) -> Result<(), TrustError> {
        match (claims.issued_at(), self.max_age) {
            (Some(at), _) if at > now + LEEWAY => Err(TrustError::IssuedAhead(at)),
            (Some(at), Some(max_age)) if at + max_age + LEEWAY < now => Err(TrustError::Stale(at)),
            (None, Some(_)) => Err(TrustError::NoIssuedAt),
            _ => Ok(()),
        }
    }

    fn check_id(&self, claims: &ForeignClaims) -> Result<(), TrustError> {
        if self.single_use && claims.id().is_none() { Err(TrustError::Id) } else { Ok(()) }
    }
}

fn check_type(typ: Option<&str>) -> Result<(), TrustError> {
    let known = typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)));
    if known { Ok(()) } else { Err(TrustError::Type) }
}

fn check_expiry(claims: &ForeignClaims, now: Timestamp) -> Result<(), TrustError> {
    let at = claims.expires_at();
    if now >= at + LEEWAY {
        Err(TrustError::Expired(at))
    } else if at > now + LONGEST_LIFETIME + LEEWAY {
        Err(TrustError::TooLong(at))
    } else {
        Ok(())
    }
}

fn check_not_before(claims: &ForeignClaims, now: Timestamp) -> Result<(), TrustError> {
    match claims.not_before() {
        Some(at) if at > now + LEEWAY => Err(TrustError::NotYetValid(at)),
        _ => Ok(()),
    }
}

/// The `sub` of a person whom a trusted issuer named: with the issuer in front it is nobody's `client_id`, and nobody's
/// whom another issuer named. An `iss` with a `|` in it cannot be trusted, so the first one ends it.
pub fn qualified_subject(issuer: &str, subject: &str) -> String {
    format!("{issuer}|{subject}")
}

#[cfg(test)]
mod tests;
