//! Snippets: programs that get a token and call an API, and guards for services, filled in for one app or one API.
//!
//! They are templates of their own, rendered without HTML escaping: the page that shows one escapes it once, as any text.
//! What stands in them is written by helpers that know the language, so that no value ends a string there; and only values
//! of a narrow grammar are given to them at all: App SIDs, addresses, identifiers and scopes, never a name that people chose,
//! and never a secret.

mod start;
mod verify;
mod write;

use handlebars::{Handlebars, TemplateError};
use rust_embed::RustEmbed;
use serde::Serialize;

pub use self::start::{LANGUAGES, Language, StartValues};
pub use self::verify::{VERIFIERS, Verifier, VerifyValues};
pub(super) use self::write::shell_word;

#[derive(RustEmbed)]
#[folder = "snippets"]
struct Files;

/// All snippets, parsed.
#[derive(Debug)]
pub struct Snippets(Handlebars<'static>);

impl Snippets {
    /// Parses them.
    ///
    /// # Errors
    /// When one of them is broken: a fault of the program.
    pub fn new() -> Result<Self, TemplateError> {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(handlebars::no_escape);
        write::register(&mut handlebars);
        handlebars.register_embed_templates_with_extension::<Files>(".hbs")?;
        Ok(Self(handlebars))
    }

    /// A program in that language.
    ///
    /// # Errors
    /// When the template is broken: a fault of the program.
    pub fn start(&self, language: &Language, values: &StartValues) -> Result<String, handlebars::RenderError> {
        self.render("start", language.key, values)
    }

    /// A guard of that kind.
    ///
    /// # Errors
    /// When the template is broken: a fault of the program.
    pub fn verify(&self, verifier: &Verifier, values: &VerifyValues) -> Result<String, handlebars::RenderError> {
        self.render("verify", verifier.key, values)
    }

    fn render(&self, kind: &str, key: &str, values: &impl Serialize) -> Result<String, handlebars::RenderError> {
        self.0.render(&format!("{kind}/{key}"), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::apis::{ApiRecord, ScopeRecord};
    use crate::oauth::{ClientId, SigningAlgorithm, TokenProfile};

    fn api(identifier: &str, scopes: &[&str], profile: TokenProfile) -> ApiRecord {
        let scope =
            |name: &&str| ScopeRecord { name: (*name).to_owned(), description: String::new(), sensitive: false };
        ApiRecord {
            id: uuid::Uuid::nil(),
            organisation_id: None,
            name: "Name with 'quotes\"".to_owned(),
            identifier: identifier.to_owned(),
            profile,
            algorithm: SigningAlgorithm::Rs256,
            lifetime: None,
            scopes: scopes.iter().map(scope).collect(),
            created_at: crate::clock::Timestamp::NEVER,
        }
    }

    #[test]
    fn every_snippet_can_be_rendered_and_there_is_no_other() {
        let snippets = Snippets::new().unwrap();
        let sid = ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").unwrap();
        for (issuer, scopes) in [("https://id.example.com/a", vec![]), ("http://127.0.0.1:8080", vec!["a:b", "c"])] {
            let scopes: Vec<String> = scopes.into_iter().map(str::to_owned).collect();
            for language in LANGUAGES {
                let text = snippets.start(language, &StartValues::new(issuer, sid, &scopes)).unwrap();
                assert!(text.contains(issuer) && text.contains("APP_KEY") && text.contains(&sid.to_string()), "{text}");
                let asks = text.to_lowercase().contains("scope");
                assert_eq!(asks, !scopes.is_empty(), "{}: {text}", language.key);
            }
            for verifier in VERIFIERS {
                for profile in TokenProfile::ALL {
                    let values = VerifyValues::new(issuer, &api("urn:x", &["a:b"], *profile), None);
                    let text = snippets.verify(verifier, &values).unwrap();
                    assert!(text.contains("urn:x") && !text.contains("{{"), "{}: {text}", verifier.key);
                    assert!(!text.contains("quotes"), "{}: {text}", verifier.key);
                }
            }
        }
        let known = LANGUAGES.iter().map(|language| format!("start/{}.hbs", language.key));
        let mut known: Vec<String> =
            known.chain(VERIFIERS.iter().map(|verifier| format!("verify/{}.hbs", verifier.key))).collect();
        let mut files: Vec<String> = Files::iter().map(|name| name.to_string()).collect();
        known.sort();
        files.sort();
        assert_eq!(files, known);
    }

    /// What the examples hold is tested with real services, so the pages show the same.
    #[test]
    fn the_snippets_for_the_example_api_are_the_examples() {
        let snippets = Snippets::new().unwrap();
        let example = api("https://reports.example.com", &["reports:read"], TokenProfile::Rfc9068);
        let values = VerifyValues::new("http://127.0.0.1:8080", &example, None);
        for (key, file) in [
            ("flask", include_str!("../../examples/flask-pyjwt/app.py")),
            ("fastapi", include_str!("../../examples/fastapi/app.py")),
            ("express", include_str!("../../examples/express-jose/server.js")),
            ("nginx", include_str!("../../examples/nginx/nginx.conf")),
            ("caddy", include_str!("../../examples/caddy/Caddyfile")),
            ("envoy", include_str!("../../examples/envoy/envoy.yaml")),
            ("traefik", include_str!("../../examples/traefik/dynamic.yml")),
        ] {
            let verifier = VERIFIERS.iter().find(|verifier| verifier.key == key).unwrap();
            assert_eq!(snippets.verify(verifier, &values).unwrap(), file, "{key}");
        }
        // The one for actix is that of the guard's documentation.
        let example = api("https://billing.example", &["billing:read"], TokenProfile::Rfc9068);
        let verifier = VERIFIERS.iter().find(|verifier| verifier.key == "actix").unwrap();
        let actix = snippets.verify(verifier, &VerifyValues::new("https://id.example.com", &example, None)).unwrap();
        let documented =
            include_str!("../guard.rs").replace("//! ", "").replace("//!", "").replace("invoices", "billing");
        assert!(documented.contains(&actix), "{actix}");
    }

    #[test]
    fn no_value_ends_a_string_in_any_language() {
        let snippets = Snippets::new().unwrap();
        let hostile = r#"urn:'";$(id)`${x}<b>\"#;
        let sid = ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").unwrap();
        let scope = "'$(id)`<x>%{y}#--".to_owned();
        for language in LANGUAGES {
            let text = snippets
                .start(language, &StartValues::new("https://id.example.com", sid, std::slice::from_ref(&scope)))
                .unwrap();
            let line = text.lines().find(|line| line.contains("(id)")).unwrap();
            match language.key {
                "curl" => assert!(line.contains(r"''\''$(id)`<x>%{y}#--'"), "{line}"),
                "php" => assert!(line.contains(r"'\'$(id)`<x>%{y}#--'"), "{line}"),
                "powershell" => assert!(line.contains(r"'''$(id)`<x>%{y}#--'"), "{line}"),
                _ => assert!(line.contains("\"'$(id)`<x>%{y}#--\""), "{line}"),
            }
        }
        let mut values = api(hostile, &[], TokenProfile::Classic);
        values.scopes.push(ScopeRecord { name: scope, description: String::new(), sensitive: false });
        for verifier in VERIFIERS {
            let text = snippets.verify(verifier, &VerifyValues::new("https://id.example.com", &values, None)).unwrap();
            assert!(!text.contains(hostile), "{}: {text}", verifier.key);
        }
    }
}
