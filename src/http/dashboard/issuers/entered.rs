//! What a person writes about an issuer.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::kinds;
use super::starts::Start;
use crate::clock::{parse_span, print_span};
use crate::http::dashboard::faults::{Faults, sentence};
use crate::http::dashboard::form::Form;
use crate::http::dashboard::private_keys::holds_private_key;
use crate::oauth::trust::{ClaimName, ClaimRule, ClaimTest, IssuerKeys, TrustPolicy};
use crate::oauth::{ClientId, SigningAlgorithm};
use crate::service::trusted_issuers::{IssuerSettings, StandsFor, TrustedIssuerRecord, left_blank};

/// Fields that come several times.
pub(super) const REPEATED: &[&str] = &["scope", "algorithm"];

/// The fields, as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Entered {
    pub(super) name: String,
    pub(super) issuer: String,
    /// The kind of its keys.
    pub(super) keys: String,
    pub(super) jwks_uri: String,
    pub(super) jwks: String,
    pub(super) certificates: String,
    /// One on a line, like all that there may be several of.
    pub(super) certificate_names: String,
    pub(super) audiences: String,
    pub(super) algorithms: BTreeSet<String>,
    pub(super) subject_claim: String,
    pub(super) rules: String,
    pub(super) max_age: String,
    pub(super) single_use: bool,
    pub(super) accept_directly: bool,
    pub(super) ticket_lifetime: String,
    /// `app` or `users`.
    pub(super) stands_for: String,
    pub(super) app: String,
    /// What is looked for among the apps.
    pub(super) app_words: String,
    pub(super) limits_scopes: bool,
    pub(super) scopes: BTreeSet<String>,
    /// Fields with a private key in them, which are empty here: it stands in no page again.
    #[serde(skip)]
    pub(super) private: Vec<&'static str>,
}

/// The lines of a text that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn joined<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join("\n")
}

/// A rule as it is written in the form.
fn written(rule: &ClaimRule) -> String {
    let value = match &rule.test {
        ClaimTest::Equals(value) | ClaimTest::Glob(value) => value.clone(),
        ClaimTest::OneOf(values) => values.join(", "),
    };
    format!("{} = {value}", rule.claim)
}

/// Reads a rule. One that is written as it was before is the same as before, also if a value has a `,` or `*` in it that
/// means nothing.
fn rule(line: &str, before: &[ClaimRule]) -> Result<ClaimRule, String> {
    if let Some(same) = before.iter().find(|rule| written(rule).trim() == line) {
        return Ok(same.clone());
    }
    let (claim, value) = line.split_once('=').map_or((line, None), |(claim, value)| (claim, Some(value)));
    let plain = value.map_or_else(|| claim.to_owned(), |value| format!("{}={}", claim.trim(), value.trim()));
    ClaimRule::parse(&plain)
}

impl Entered {
    /// What a form of that kind begins with; `own` is the audience that stands for the organisation and nobody else.
    pub(super) fn of_start(start: &Start, own: &str) -> Self {
        Self {
            name: start.name.to_owned(),
            issuer: start.issuer.to_owned(),
            keys: start.keys.to_owned(),
            audiences: if start.stands_for == "app" { own.to_owned() } else { String::new() },
            subject_claim: start.subject_claim.to_owned(),
            rules: start.rules.to_owned(),
            max_age: start.max_age.to_owned(),
            single_use: start.single_use,
            stands_for: start.stands_for.to_owned(),
            ..Self::default()
        }
    }

    /// What there is.
    pub(super) fn of_record(record: &TrustedIssuerRecord) -> Self {
        let policy = &record.policy;
        let pretty = |document: &str| {
            let parsed = serde_json::from_str::<serde_json::Value>(document).ok();
            parsed.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| document.to_owned())
        };
        let (mut jwks, mut jwks_uri, mut certificates) = (String::new(), String::new(), String::new());
        match &policy.keys {
            IssuerKeys::Jwks(document) => jwks = pretty(document),
            IssuerKeys::JwksUri(uri) => jwks_uri = uri.to_string(),
            IssuerKeys::Certificates(pem) | IssuerKeys::Authorities(pem) => certificates = pem.trim().to_owned(),
            IssuerKeys::SystemAuthorities | IssuerKeys::Discovery => {}
        }
        Self {
            name: record.name.clone(),
            issuer: record.issuer.clone(),
            keys: policy.keys.name().to_owned(),
            jwks_uri,
            jwks,
            certificates,
            certificate_names: joined(&policy.certificate_names),
            audiences: joined(&policy.audiences),
            algorithms: policy.algorithms.iter().map(|algorithm| algorithm.name().to_owned()).collect(),
            subject_claim: policy.subject_claim.to_string(),
            rules: joined(policy.rules.iter().map(written)),
            max_age: policy.max_age.map(print_span).unwrap_or_default(),
            single_use: policy.single_use,
            accept_directly: policy.accept_directly,
            ticket_lifetime: policy.ticket_lifetime.map(print_span).unwrap_or_default(),
            stands_for: if record.app.is_some() { "app" } else { "users" }.to_owned(),
            app: record.app.map(|app| app.to_string()).unwrap_or_default(),
            app_words: String::new(),
            limits_scopes: record.app.is_some() && policy.limits_scopes,
            scopes: record.scopes.iter().map(|(_, name)| name.clone()).collect(),
            private: Vec::new(),
        }
    }

    /// What came with the form.
    pub(super) fn of_form(form: &Form) -> Self {
        let text = |name: &str| form.trimmed(name).to_owned();
        let mut private = Vec::new();
        let mut public = |name: &'static str| {
            let given = text(name);
            if !holds_private_key(&given) {
                return given;
            }
            private.push(name);
            String::new()
        };
        let (jwks, certificates) = (public("jwks"), public("certificates"));
        Self {
            name: text("name"),
            issuer: text("issuer"),
            keys: text("keys"),
            jwks_uri: text("jwks-uri"),
            jwks,
            certificates,
            certificate_names: text("certificate-names"),
            audiences: text("audiences"),
            algorithms: form.all("algorithm").map(str::to_owned).collect(),
            subject_claim: text("subject-claim"),
            rules: text("rules"),
            max_age: text("max-age"),
            single_use: form.has("single-use"),
            accept_directly: form.has("accept-directly"),
            ticket_lifetime: text("ticket-lifetime"),
            stands_for: text("stands-for"),
            app: text("app"),
            app_words: form.trimmed("app-words").chars().filter(|c| !c.is_control()).take(100).collect(),
            limits_scopes: form.has("limits-scopes"),
            scopes: form.all("scope").map(str::to_owned).collect(),
            private,
        }
    }

    /// What is wrong whichever button was pressed: a private key is told of at once.
    pub(super) fn private_keys(&self) -> Faults {
        let mut faults = Faults::default();
        for field in &self.private {
            faults.add(
                field,
                "That is a private key: it must stay with the issuer. Give its public half or certificate. What you pasted was not kept.",
            );
        }
        faults
    }

    fn read_keys(&self, faults: &mut Faults) -> IssuerKeys {
        let mut given = |field: &'static str, text: &str, missing: &str| {
            if text.is_empty() && !self.private.contains(&field) {
                faults.add(field, missing);
            }
            text.into()
        };
        let certificates = |given: &mut dyn FnMut(&'static str, &str, &str) -> std::sync::Arc<str>| {
            given("certificates", &self.certificates, "Paste the certificates, in PEM form.")
        };
        match self.keys.as_str() {
            "discovery" => IssuerKeys::Discovery,
            "jwks_uri" => IssuerKeys::JwksUri(given("jwks-uri", &self.jwks_uri, "Write where the JWK set is.")),
            "jwks" => IssuerKeys::Jwks(given("jwks", &self.jwks, "Paste its public keys, as a JWK set.")),
            "certificates" => IssuerKeys::Certificates(certificates(&mut given)),
            "authorities" => IssuerKeys::Authorities(certificates(&mut given)),
            "system_authorities" => IssuerKeys::SystemAuthorities,
            _ => {
                faults.add("keys", "Choose where its keys are.");
                IssuerKeys::Discovery
            }
        }
    }

    /// What it means; `before` is what there is already.
    pub(super) fn read(&self, before: Option<&IssuerSettings>) -> Result<IssuerSettings, Faults> {
        let mut faults = self.private_keys();
        if self.name.is_empty() {
            faults.add("name", "Enter a name: it is how people tell issuers apart.");
        }
        if self.issuer.is_empty() {
            faults.add("issuer", "Write what stands in iss of its tokens, byte for byte.");
        }
        let keys = self.read_keys(&mut faults);
        if self.audiences.is_empty() {
            faults.add(
                "audiences",
                "Name an audience: without one, tokens that were made for others would be good here.",
            );
        }
        let algorithms = self.algorithms.iter().filter_map(|name| SigningAlgorithm::from_name(name)).collect();
        let subject_claim = self.subject_claim.parse::<ClaimName>().unwrap_or_else(|wrong| {
            faults.add("subject-claim", wrong);
            ClaimName::sub()
        });
        let mut rules = Vec::new();
        for line in lines(&self.rules) {
            match rule(line, before.map_or(&[], |before| &before.policy.rules)) {
                Ok(rule) => rules.push(rule),
                Err(wrong) => faults.add("rules", sentence(&wrong)),
            }
        }
        let mut span = |field: &str, text: &str| -> Option<Duration> {
            let read = (!text.is_empty()).then(|| parse_span(text)).transpose();
            read.unwrap_or_else(|_wrong| {
                faults.add(field, "Write a whole number and a unit, such as 90s, 10m or 1h, or leave it empty.");
                None
            })
        };
        let (max_age, ticket_lifetime) =
            (span("max-age", &self.max_age), span("ticket-lifetime", &self.ticket_lifetime));
        let stands_for = match self.stands_for.as_str() {
            "users" => StandsFor::Users,
            "app" => ClientId::parse(&self.app).map_or_else(
                || {
                    faults.add("app", "Choose the app that its tokens stand for.");
                    StandsFor::Users
                },
                StandsFor::App,
            ),
            _ => {
                faults.add("stands-for", "Choose whom its tokens stand for.");
                StandsFor::Users
            }
        };
        let names_scopes = self.stands_for == "users" || self.limits_scopes;
        if names_scopes && self.scopes.is_empty() {
            faults.add("scopes", "Tick at least one scope: without any, nobody gets a token.");
        }
        // What is not shown for the kind of keys stays in the form, and means nothing.
        let names = lines(&self.certificate_names).filter(|_| keys.uses_chains());
        let certificate_names = names.map(str::to_owned).collect();
        let settings = IssuerSettings {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            policy: TrustPolicy {
                certificate_names,
                algorithms,
                subject_claim,
                rules,
                max_age,
                single_use: self.single_use,
                accept_directly: self.accept_directly,
                ticket_lifetime,
                ..TrustPolicy::new(keys, lines(&self.audiences).map(str::to_owned).collect())
            },
            stands_for,
            scopes: names_scopes.then(|| self.scopes.iter().cloned().collect()),
        };
        for (field, wrong) in left_blank(&settings, before) {
            faults.add(field, sentence(&wrong));
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// Each field for a comparison: what it is called and what is in it.
    pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
        let yes_no = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let kind = kinds::KINDS.iter().find(|(name, _)| *name == self.keys).map_or("", |(_, label)| label);
        let whom = match self.stands_for.as_str() {
            "users" => "users of the organisation".to_owned(),
            _ => format!("app {}", self.app),
        };
        let scopes = match (self.stands_for.as_str(), self.limits_scopes) {
            ("app", false) => "all that the app has".to_owned(),
            _ => joined(&self.scopes),
        };
        let all = self.algorithms.is_empty() || self.algorithms.len() == SigningAlgorithm::ALL.len();
        vec![
            ("Name", self.name.clone()),
            ("Issuer", self.issuer.clone()),
            ("Where its keys are", kind.to_owned()),
            ("JWKS URL", self.jwks_uri.clone()),
            ("JWK set", self.jwks.clone()),
            ("Certificates", self.certificates.clone()),
            ("Names in its certificate", self.certificate_names.clone()),
            ("Audiences", self.audiences.clone()),
            ("Algorithms", if all { "all".to_owned() } else { joined(&self.algorithms) }),
            ("Claim with the subject", self.subject_claim.clone()),
            ("Rules", self.rules.clone()),
            ("Maximum age", self.max_age.clone()),
            ("Good once", yes_no(self.single_use)),
            ("Good at resource routes", yes_no(self.accept_directly)),
            ("Longest lifetime", self.ticket_lifetime.clone()),
            ("Stands for", whom),
            ("Scopes", scopes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::starts::STARTS;
    use super::super::tests::{SID, record};
    use super::*;

    #[test]
    fn what_there_is_comes_back_as_it_was() {
        let mut before = record(true, IssuerKeys::Discovery);
        let claim = ClaimName::sub();
        before.policy.rules = vec![
            ClaimRule { claim: claim.clone(), test: ClaimTest::Equals("a,b*".to_owned()) },
            ClaimRule { claim: claim.clone(), test: ClaimTest::OneOf(vec!["a".to_owned(), "b".to_owned()]) },
            ClaimRule { claim, test: ClaimTest::Glob("a*=1".to_owned()) },
        ];
        let read = Entered::of_record(&before).read(Some(&IssuerSettings::of(&before))).unwrap();
        assert_eq!(read.policy.rules, before.policy.rules);
        assert_eq!((read.policy.keys, read.scopes), (IssuerKeys::Discovery, None));
        // Written anew, the same text means what it says.
        assert_eq!(
            rule("sub = a,b*", &[]).unwrap().test,
            ClaimTest::Glob("a,b*".to_owned()),
            "a pattern is what it looks like"
        );
        assert_eq!(rule("ref=refs/heads/main", &[]), rule(" ref  =  refs/heads/main ".trim(), &[]));
        assert!(rule("nothing", &[]).is_err());
    }

    #[test]
    fn no_kind_of_issuer_can_be_saved_before_somebody_says_what_only_they_know() {
        for start in STARTS {
            let entered = Entered::of_start(start, "https://id.example.com");
            assert!(entered.read(None).is_err(), "{}", start.key);
            // Nor with everything else filled in.
            let filled = |text: &str| if text.is_empty() { "x".to_owned() } else { text.to_owned() };
            let full = Entered {
                name: filled(&entered.name),
                app: SID.to_owned(),
                issuer: filled(&entered.issuer),
                jwks: "x".to_owned(),
                certificates: "x".to_owned(),
                audiences: "x".to_owned(),
                scopes: ["x".to_owned()].into(),
                ..entered.clone()
            };
            let has_capitals = |text: &str| {
                let words = text.split(|c: char| !c.is_ascii_alphanumeric());
                words.into_iter().any(|word| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
            };
            let has_blanks = has_capitals(start.issuer) || has_capitals(start.rules);
            assert_eq!(full.read(None).is_err(), has_blanks, "{}", start.key);
        }
    }
}
