//! What holds for every name, scope and token, tried with many.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use brevet::keys::verify::{JwksKeys, verify_access_token};
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::apps::NewApp;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{TestApp, decode_jwt, new_app};

/// An API, an app of it, and what the app asks for.
#[derive(Debug, Clone)]
struct Wish {
    profile: TokenProfile,
    algorithm: SigningAlgorithm,
    /// The API's scopes, and whether the app is granted each and asks for it.
    scopes: Vec<(String, bool, bool)>,
    lifetime: u64,
    claim: String,
}

fn wishes() -> impl Strategy<Value = Wish> {
    let algorithms = prop::sample::select(SigningAlgorithm::ALL);
    let profiles = prop::sample::select(vec![TokenProfile::Rfc9068, TokenProfile::Classic]);
    let scopes = btree_set("[!#-\\[\\]-~]{1,20}", 1..6)
        .prop_flat_map(|names| {
            let flags = vec(any::<(bool, bool)>(), names.len());
            (Just(names), flags)
        })
        .prop_map(|(names, flags)| names.into_iter().zip(flags).map(|(name, (a, b))| (name, a, b)).collect());
    (profiles, algorithms, scopes, 60_u64..86_401, "\\PC{0,30}")
        .prop_map(|(profile, algorithm, scopes, lifetime, claim)| Wish { profile, algorithm, scopes, lifetime, claim })
}

/// The texts of a claim that is a text with spaces between or a list.
fn texts(claim: &Value) -> BTreeSet<String> {
    match claim {
        Value::String(text) => text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        other => other.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
    }
}

#[test]
fn what_is_issued_verifies_says_what_was_granted_and_does_not_survive_one_changed_bit() {
    let app = TestApp::new();
    let made = AtomicUsize::new(0);
    let issued = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let places = (any::<prop::sample::Index>(), 0_u32..7);
    let outcome = runner.run(&(wishes(), vec(places, 12)), |(wish, places)| {
        // A scope's name is unique within an organisation.
        let slug = format!("o{}", made.fetch_add(1, Ordering::SeqCst));
        let identifier = format!("https://{slug}.example");
        app.create_organisation(&slug);
        let names: Vec<&str> = wish.scopes.iter().map(|(name, ..)| name.as_str()).collect();
        app.create_api_with(&slug, &identifier, &names, wish.profile, wish.algorithm);
        let chosen = |asked: bool| -> BTreeSet<String> {
            let scopes = wish.scopes.iter().filter(|(_, granted, asks)| if asked { *asks } else { *granted });
            scopes.map(|(name, ..)| name.clone()).collect()
        };
        let (granted, asked) = (chosen(false), chosen(true));
        let new = NewApp {
            lifetime: Some(std::time::Duration::from_secs(wish.lifetime)),
            claims: json!({ "https://claims.example/x": wish.claim }).as_object().unwrap().clone(),
            ..new_app(&granted.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let credentials = app.create_app_with(&slug, new);
        let scope: String = asked.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let scope: String = url::form_urlencoded::byte_serialize(scope.as_bytes()).collect();
        let answer = app.token_request(&[], &format!("{}&scope={scope}", credentials.form()));
        if !asked.is_subset(&granted) {
            let refusal = answer.json();
            prop_assert_eq!(refusal["error"].as_str(), Some("invalid_scope"));
            return Ok(());
        }
        // Nothing asked for is asking for everything.
        let due = if asked.is_empty() { &granted } else { &asked };
        let body = answer.assert_status(200).json();
        prop_assert_eq!(&texts(&body["scope"]), due);
        prop_assert_eq!(body["expires_in"].as_u64(), Some(wish.lifetime));

        let token = body["access_token"].as_str().unwrap();
        let jwks = app.get("/.well-known/jwks.json", &[]).assert_status(200).body;
        let keys = JwksKeys::parse(jwks.as_bytes()).unwrap();
        let verify = |token: &str| verify_access_token(token, app.authority.issuer(), |kid| keys.find(kid));
        let verified = verify(token);
        prop_assert!(verified.is_ok(), "{:?}", verified);
        let (header, claims) = decode_jwt(token);
        prop_assert_eq!(&texts(&claims["scope"]), due);
        prop_assert_eq!(claims["client_id"].as_str(), Some(credentials.client_id.as_str()));
        prop_assert_eq!(claims["tenant"].as_str(), Some(slug.as_str()));
        prop_assert_eq!(claims["https://claims.example/x"].as_str(), Some(wish.claim.as_str()));
        if !due.is_empty() {
            prop_assert_eq!(texts(&claims["aud"]), BTreeSet::from([identifier]));
            prop_assert_eq!(header["alg"].as_str(), Some(wish.algorithm.name()));
        }
        for (place, bit) in places {
            let mut octets = token.as_bytes().to_vec();
            octets[place.index(token.len())] ^= 1 << bit;
            let changed = String::from_utf8(octets).unwrap();
            prop_assert!(verify(&changed).is_err(), "{}", changed);
        }
        issued.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    if let Err(found) = outcome {
        panic!("{found}");
    }
    assert!(issued.into_inner() > 5, "hardly a token was issued, so hardly anything was tried");
}
