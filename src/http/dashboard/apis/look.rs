//! What an API's tokens look like: the choices of a form, and a token to look at before there is one.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::parse_span;
use crate::db::apis::ApiRecord;
use crate::http::dashboard::faults::{Faults, sentence};
use crate::http::dashboard::form::Form;
use crate::oauth::{SigningAlgorithm, TokenProfile};

/// The fields that a new API and a changed one have both.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LookFields {
    pub(super) name: String,
    pub(super) lifetime: String,
    profiles: Vec<Choice>,
    algorithms: Vec<Choice>,
    #[serde(skip)]
    pub(super) profile: TokenProfile,
    #[serde(skip)]
    pub(super) algorithm: SigningAlgorithm,
}

#[derive(Debug, Clone, Serialize)]
struct Choice {
    value: &'static str,
    label: &'static str,
    text: &'static str,
    chosen: bool,
    /// A token of that kind.
    header: String,
    claims: String,
}

impl LookFields {
    /// Of an API as it is, or as it would be.
    pub(super) fn new(
        name: &str,
        lifetime: String,
        (profile, algorithm): (TokenProfile, SigningAlgorithm),
        sample: &Sample<'_>,
    ) -> Self {
        let of_profile = |choice: &TokenProfile| {
            let (header, claims) = token(*choice, algorithm, sample);
            let (label, text) = match choice {
                TokenProfile::Rfc9068 => (
                    "rfc9068",
                    "The standard for access tokens: typ is at+jwt, scope is a text. Right for new services.",
                ),
                TokenProfile::Classic => (
                    "classic",
                    "As IdentityServer made them: typ is JWT, aud and scope are lists. Right for older verifiers, which refuse at+jwt.",
                ),
            };
            Choice { value: choice.name(), label, text, chosen: *choice == profile, header, claims }
        };
        let of_algorithm = |choice: &SigningAlgorithm| {
            let text = match choice {
                SigningAlgorithm::Rs256 => "every verifier knows it",
                SigningAlgorithm::Ps256 => "RSA with newer padding",
                SigningAlgorithm::Es256 => "shorter tokens",
                SigningAlgorithm::EdDsa => "shortest tokens, youngest verifiers",
            };
            Choice {
                value: choice.name(),
                label: choice.name(),
                text,
                chosen: *choice == algorithm,
                header: String::new(),
                claims: String::new(),
            }
        };
        Self {
            name: name.to_owned(),
            lifetime,
            profiles: TokenProfile::ALL.iter().map(of_profile).collect(),
            algorithms: SigningAlgorithm::ALL.iter().map(of_algorithm).collect(),
            profile,
            algorithm,
        }
    }

    /// What a form says.
    pub(super) fn read(form: &Form, sample: &Sample<'_>, faults: &mut Faults) -> (Self, Option<Duration>) {
        let profile = TokenProfile::from_name(form.text("profile"));
        let algorithm = SigningAlgorithm::from_name(form.text("algorithm"));
        if profile.is_none() {
            faults.add("profile", "Choose what tokens look like.");
        }
        if algorithm.is_none() {
            faults.add("algorithm", "Choose how tokens are signed.");
        }
        let lifetime = form.trimmed("lifetime");
        let span = match parse_span(lifetime) {
            _ if lifetime.is_empty() => None,
            Ok(span) => Some(span),
            Err(error) => {
                faults.add("lifetime", sentence(&error));
                None
            }
        };
        let look = (profile.unwrap_or(TokenProfile::Rfc9068), algorithm.unwrap_or(SigningAlgorithm::Rs256));
        (Self::new(form.text("name"), lifetime.to_owned(), look, sample), span)
    }
}

/// What stands in a token to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) issuer: &'a str,
    pub(super) tenant: &'a str,
    pub(super) identifier: &'a str,
    pub(super) scopes: &'a [&'a str],
}

/// Header and claims of a token for that API.
pub(super) fn preview(api: &ApiRecord, issuer: &str, tenant: &str) -> (String, String) {
    let scopes: Vec<&str> = api.scopes.iter().take(2).map(|scope| scope.name.as_str()).collect();
    token(api.profile, api.algorithm, &Sample { issuer, tenant, identifier: &api.identifier, scopes: &scopes })
}

/// Header and claims, as `oauth::claims` writes them; a test compares the two.
fn token(profile: TokenProfile, algorithm: SigningAlgorithm, sample: &Sample<'_>) -> (String, String) {
    let (aud, scope): (Value, Value) = match profile {
        TokenProfile::Rfc9068 => (json!(sample.identifier), json!(sample.scopes.join(" "))),
        TokenProfile::Classic => (json!([sample.identifier]), json!(sample.scopes)),
    };
    let header = [("alg", json!(algorithm.name())), ("typ", json!(profile.typ())), ("kid", json!("…"))];
    let claims = [
        ("iss", json!(sample.issuer)),
        ("aud", aud),
        ("exp", json!(1_795_392_000)),
        ("nbf", json!(1_795_305_595)),
        ("iat", json!(1_795_305_595)),
        ("jti", json!("jx3TkM0vTYqkq0H8mHbKqQ")),
        ("sub", json!("the App SID")),
        ("client_id", json!("the App SID")),
        ("scope", scope),
        ("tenant", json!(sample.tenant)),
    ];
    (written(&header), written(&claims))
}

fn written(members: &[(&str, Value)]) -> String {
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  {}: {value}", json!(name))).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}
