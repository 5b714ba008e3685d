//! A trusted issuer as requests write it.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::api::json::{Body, Span, given};
use crate::oauth::trust::{self, ClaimName, ClaimTest, TrustPolicy};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::ServiceError;
use crate::service::trusted_issuers::{IssuerSettings, StandsFor};

/// Where the keys of an issuer are: exactly one of these members.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerKeys {
    /// In these certificates, in PEM, and nowhere else: several while they are rotated.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    certificates: Option<String>,
    /// In the certificate at the head of `x5c`, from which a chain must lead to one of these authorities, in PEM.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    authorities: Option<String>,
    /// `true`: the same with the authorities of the operating system that the operator named.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    system_authorities: Option<bool>,
    /// In this JWK set.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    jwks: Option<Map<String, Value>>,
    /// In the JWK set behind this URL.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 1_024, format = "uri")]
    jwks_uri: Option<String>,
    /// `true`: in the JWK set that the issuer names in its OpenID configuration.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, example = true)]
    discovery: Option<bool>,
}

impl From<trust::IssuerKeys> for IssuerKeys {
    fn from(keys: trust::IssuerKeys) -> Self {
        let none = Self::default();
        match keys {
            trust::IssuerKeys::Certificates(pem) => Self { certificates: Some(pem.to_string()), ..none },
            trust::IssuerKeys::Authorities(pem) => Self { authorities: Some(pem.to_string()), ..none },
            trust::IssuerKeys::SystemAuthorities => Self { system_authorities: Some(true), ..none },
            trust::IssuerKeys::Jwks(document) => Self { jwks: serde_json::from_str(&document).ok(), ..none },
            trust::IssuerKeys::JwksUri(uri) => Self { jwks_uri: Some(uri.to_string()), ..none },
            trust::IssuerKeys::Discovery => Self { discovery: Some(true), ..none },
        }
    }
}

impl TryFrom<IssuerKeys> for trust::IssuerKeys {
    type Error = ServiceError;

    fn try_from(keys: IssuerKeys) -> Result<Self, ServiceError> {
        let named = [
            keys.certificates.map(|pem| Self::Certificates(pem.into())),
            keys.authorities.map(|pem| Self::Authorities(pem.into())),
            keys.system_authorities.filter(|is| *is).map(|_| Self::SystemAuthorities),
            keys.jwks.map(|document| Self::Jwks(Value::Object(document).to_string().into())),
            keys.jwks_uri.map(|uri| Self::JwksUri(uri.into())),
            keys.discovery.filter(|is| *is).map(|_| Self::Discovery),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(keys), None) => Ok(keys),
            _ => Err(ServiceError::field(
                "keys",
                "must have exactly one of certificates, authorities, system_authorities, jwks, jwks_uri and discovery",
            )),
        }
    }
}

/// What a claim must say: exactly one of `equals`, `one_of` and `glob`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimRule {
    /// The claim; `/outer/inner` for one within another.
    #[schema(min_length = 1, max_length = 512, example = "repository")]
    claim: String,
    /// This text, byte for byte.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 512, example = "acme/billing")]
    equals: Option<String>,
    /// One of these.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, max_items = 50)]
    one_of: Option<Vec<String>>,
    /// Like this text, in which `*` stands for any characters and `?` for one.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 512)]
    glob: Option<String>,
}

impl From<trust::ClaimRule> for ClaimRule {
    fn from(rule: trust::ClaimRule) -> Self {
        let none = Self { claim: rule.claim.into(), equals: None, one_of: None, glob: None };
        match rule.test {
            ClaimTest::Equals(value) => Self { equals: Some(value), ..none },
            ClaimTest::OneOf(values) => Self { one_of: Some(values), ..none },
            ClaimTest::Glob(pattern) => Self { glob: Some(pattern), ..none },
        }
    }
}

impl TryFrom<ClaimRule> for trust::ClaimRule {
    type Error = ServiceError;

    fn try_from(rule: ClaimRule) -> Result<Self, ServiceError> {
        let wrong = |what: String| ServiceError::field("rules", what);
        let test = match (rule.equals, rule.one_of, rule.glob) {
            (Some(value), None, None) => ClaimTest::Equals(value),
            (None, Some(values), None) => ClaimTest::OneOf(values),
            (None, None, Some(pattern)) => ClaimTest::Glob(pattern),
            _ => return Err(wrong("each rule must have exactly one of equals, one_of and glob".to_owned())),
        };
        Ok(Self { claim: rule.claim.parse().map_err(wrong)?, test })
    }
}

fn rules(rules: Vec<ClaimRule>) -> Result<Vec<trust::ClaimRule>, ServiceError> {
    rules.into_iter().map(trust::ClaimRule::try_from).collect()
}

/// One of the algorithms.
#[derive(Clone, Copy)]
struct Algorithm(SigningAlgorithm);

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = SigningAlgorithm::from_name(&String::deserialize(deserializer)?);
        found.map(Self).ok_or_else(|| D::Error::custom("no algorithm"))
    }
}

/// The SID of an app.
struct Sid(ClientId);

impl<'de> Deserialize<'de> for Sid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = ClientId::parse(&String::deserialize(deserializer)?);
        found.map(Self).ok_or_else(|| D::Error::custom("no App SID"))
    }
}

/// An issuer to be trusted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIssuer {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 100, example = "GitHub Actions")]
    name: String,
    /// The `iss` of its JWTs, byte for byte.
    #[schema(min_length = 1, max_length = 512, example = "https://token.actions.githubusercontent.com")]
    issuer: String,
    /// Where its keys are.
    keys: IssuerKeys,
    /// The names that the certificate at the head of a chain may have; none for any.
    #[serde(default)]
    #[schema(max_items = 20)]
    certificate_names: Vec<String>,
    /// The algorithms it may sign with; none for all: RS256, PS256, ES256 and EdDSA.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["RS256"]))]
    algorithms: Vec<Algorithm>,
    /// Of which `aud` must hold one.
    #[schema(min_items = 1, max_items = 20, example = json!(["https://id.acme.example"]))]
    audiences: Vec<String>,
    /// The claim that says whom a JWT is about; `/outer/inner` for one within another.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, default = "sub", max_length = 512)]
    subject_claim: Option<ClaimName>,
    /// What further claims must say: all of them. For an app there must be one.
    #[serde(default)]
    #[schema(max_items = 20)]
    rules: Vec<ClaimRule>,
    /// The longest ago that `iat` may be.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$", example = "10m")]
    max_age: Option<Option<Span>>,
    /// Whether each JWT is good once.
    #[serde(default)]
    single_use: bool,
    /// Whether its JWTs are good at resource routes as they are.
    #[serde(default)]
    accept_directly: bool,
    /// The longest that what is issued for its JWTs lives.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$", example = "1h")]
    ticket_lifetime: Option<Option<Span>>,
    /// The app that its JWTs stand for; without it they name users of the organisation by login.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, format = "uuid")]
    app: Option<Option<Sid>>,
    /// What users are granted, or the only scopes that the app gets; without it all that the app has.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, required = false)]
    scopes: Option<Option<Vec<String>>>,
}

const MEMBERS: [(&str, &str); 14] = [
    ("name", "a text of 1 to 100 characters"),
    ("issuer", "the iss of its JWTs"),
    (
        "keys",
        "an object with exactly one of certificates, authorities, system_authorities, jwks, jwks_uri and discovery",
    ),
    ("certificate_names", "a list of texts"),
    ("algorithms", "a list of RS256, PS256, ES256 and EdDSA"),
    ("audiences", "a list of texts"),
    ("subject_claim", "the name of a claim, or /outer/inner"),
    ("rules", "a list of objects with claim and one of equals, one_of and glob"),
    ("max_age", SPAN),
    ("single_use", "true or false"),
    ("accept_directly", "true or false"),
    ("ticket_lifetime", SPAN),
    ("app", "the SID of an app, or null"),
    ("scopes", "a list of names of scopes, or null"),
];
const SPAN: &str = "a span such as 90s, 10m, 24h or 90d, or null";

impl Body for NewIssuer {
    const MEMBERS: &'static [(&'static str, &'static str)] = &MEMBERS;
    const REQUIRED: &'static [&'static str] = &["name", "issuer", "keys", "audiences"];
}

fn stands_for(app: Option<Sid>) -> StandsFor {
    app.map_or(StandsFor::Users, |app| StandsFor::App(app.0))
}

fn algorithms(algorithms: &[Algorithm]) -> Vec<SigningAlgorithm> {
    algorithms.iter().map(|algorithm| algorithm.0).collect()
}

impl TryFrom<NewIssuer> for IssuerSettings {
    type Error = ServiceError;

    fn try_from(new: NewIssuer) -> Result<Self, ServiceError> {
        Ok(Self {
            name: new.name,
            issuer: new.issuer,
            policy: TrustPolicy {
                certificate_names: new.certificate_names,
                algorithms: algorithms(&new.algorithms),
                subject_claim: new.subject_claim.unwrap_or_else(ClaimName::sub),
                rules: rules(new.rules)?,
                max_age: new.max_age.flatten().map(|span| span.0),
                single_use: new.single_use,
                accept_directly: new.accept_directly,
                ticket_lifetime: new.ticket_lifetime.flatten().map(|span| span.0),
                ..TrustPolicy::new(new.keys.try_into()?, new.audiences)
            },
            stands_for: stands_for(new.app.flatten()),
            scopes: new.scopes.flatten(),
        })
    }
}

/// What to change of a trusted issuer; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerChange {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// The `iss` of its JWTs, byte for byte.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 512)]
    issuer: Option<String>,
    /// Where its keys are from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = IssuerKeys, required = false)]
    keys: Option<IssuerKeys>,
    /// The names that the certificate at the head of a chain may have; none for any.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false, max_items = 20)]
    certificate_names: Option<Vec<String>>,
    /// The algorithms it may sign with; none for all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false)]
    algorithms: Option<Vec<Algorithm>>,
    /// Of which `aud` must hold one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 20)]
    audiences: Option<Vec<String>>,
    /// The claim that says whom a JWT is about.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 512)]
    subject_claim: Option<ClaimName>,
    /// What further claims must say: all of them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ClaimRule>, required = false, max_items = 20)]
    rules: Option<Vec<ClaimRule>>,
    /// The longest ago that `iat` may be; `null` for no such limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$")]
    max_age: Option<Option<Span>>,
    /// Whether each JWT is good once.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    single_use: Option<bool>,
    /// Whether its JWTs are good at resource routes as they are.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    accept_directly: Option<bool>,
    /// The longest that what is issued for its JWTs lives; `null` for no limit of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[0-9]+[smhd]$")]
    ticket_lifetime: Option<Option<Span>>,
    /// The app that its JWTs stand for; `null` for users of the organisation by login.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, format = "uuid")]
    app: Option<Option<Sid>>,
    /// What users are granted, or the only scopes that the app gets; `null` for all that the app has.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, required = false)]
    scopes: Option<Option<Vec<String>>>,
    /// Whether its JWTs are taken.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

impl Body for IssuerChange {
    const MEMBERS: &'static [(&'static str, &'static str)] = &{
        let mut members = [("enabled", "true or false"); 15];
        let (first, _) = members.split_at_mut(MEMBERS.len());
        first.copy_from_slice(&MEMBERS);
        members
    };
}

impl IssuerChange {
    pub(super) fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    /// Writes what is there over what was.
    pub(super) fn apply(self, settings: &mut IssuerSettings) -> Result<(), ServiceError> {
        fn put<T>(new: Option<T>, place: &mut T) {
            if let Some(new) = new {
                *place = new;
            }
        }
        put(self.name, &mut settings.name);
        put(self.issuer, &mut settings.issuer);
        let policy = &mut settings.policy;
        put(self.keys.map(trust::IssuerKeys::try_from).transpose()?, &mut policy.keys);
        put(self.certificate_names, &mut policy.certificate_names);
        put(self.algorithms.as_deref().map(algorithms), &mut policy.algorithms);
        put(self.audiences, &mut policy.audiences);
        put(self.subject_claim, &mut policy.subject_claim);
        put(self.rules.map(rules).transpose()?, &mut policy.rules);
        put(self.max_age.map(|age| age.map(|span| span.0)), &mut policy.max_age);
        put(self.single_use, &mut policy.single_use);
        put(self.accept_directly, &mut policy.accept_directly);
        put(self.ticket_lifetime.map(|lifetime| lifetime.map(|span| span.0)), &mut policy.ticket_lifetime);
        put(self.app.map(stands_for), &mut settings.stands_for);
        put(self.scopes, &mut settings.scopes);
        Ok(())
    }
}
