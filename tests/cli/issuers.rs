//! `brevet issuer …`

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{document, refusal, run, text, write_file};
use crate::support::process::{create_app, data_directory};
use crate::support::signer::Signer;

const PORTAL: &str =
    "issuer add --org acme --name Portal --issuer urn:acme:portal --audience urn:acme:api --users --scope billing:read";

/// A certificate in PEM, made by another library than the one that reads it.
fn certificate(name: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let made = params.self_signed(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()).unwrap();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(made.der()))
}

/// The id of what a command trusts.
fn add(data: &TempDir, command: &str) -> String {
    document(data, command)["id"].as_str().unwrap().to_owned()
}

fn subjects(issuer: &Value) -> Vec<&str> {
    issuer["certificates"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect()
}

#[test]
fn an_issuer_is_changed_in_what_is_named_and_in_nothing_else() {
    let data = data_directory();
    let (old, new) = (certificate("old"), certificate("new"));
    let files = [write_file(&data, "old.pem", &old), write_file(&data, "new.pem", &new)];
    let jwks = write_file(&data, "jwks.json", &Signer::ed25519("k").jwks());
    let id = add(&data, &format!("{PORTAL} --certificate {} --subject-claim nameid --max-age 10m", files[0]));
    let before = document(&data, &format!("issuer show {id}"));
    assert_eq!(before["scopes"], json!(["billing:read"]));

    let cases: &[(&str, &[(&str, Value)])] = &[
        ("--name Door", &[("name", json!("Door"))]),
        ("--audience urn:a --audience urn:b", &[("audiences", json!(["urn:a", "urn:b"]))]),
        ("--algorithm ES256", &[("algorithms", json!(["ES256"]))]),
        ("--any-algorithm", &[("algorithms", json!(["RS256", "PS256", "ES256", "EdDSA"]))]),
        ("--subject-claim sub", &[("subject_claim", json!("sub"))]),
        ("--match group=staff --match site=b*", &[("rules", json!(["group is staff", "site is like b*"]))]),
        ("--match site=a,b", &[("rules", json!(["site is one of a, b"]))]),
        ("--no-rules", &[("rules", json!([]))]),
        ("--scope billing:write", &[("scopes", json!(["billing:write"]))]),
        ("--no-max-age", &[("max_age", json!(null))]),
        ("--max-age 5m", &[("max_age", json!("5m"))]),
        ("--single-use true", &[("single_use", json!(true))]),
        ("--single-use false", &[("single_use", json!(false))]),
        ("--accept-directly true", &[("accept_directly", json!(true))]),
        ("--ticket-lifetime 1h", &[("ticket_lifetime", json!("1h"))]),
        ("--no-ticket-lifetime", &[("ticket_lifetime", json!(null))]),
    ];
    let mut expected = before;
    for (flags, changes) in cases {
        let mut changed = document(&data, &format!("issuer update {id} {flags}"));
        for (name, value) in *changes {
            expected[name] = value.clone();
        }
        changed["updated_at"] = expected["updated_at"].clone();
        assert_eq!(changed, expected, "{flags}");
    }

    let both = document(&data, &format!("issuer update {id} --add-certificate {}", files[1]));
    assert_eq!((both["id"].as_str(), subjects(&both)), (Some(&*id), vec!["CN=old", "CN=new"]));
    let one = document(&data, &format!("issuer update {id} --certificate {}", files[1]));
    assert_eq!(subjects(&one), ["CN=new"]);
    let none = document(&data, &format!("issuer update {id} --jwks {jwks}"));
    assert_eq!((&none["keys"], subjects(&none)), (&json!("jwks"), vec![]));
    assert!(text(&data, &format!("issuer update {id} --name Portal")).starts_with("Portal (active)\n"));
}

#[test]
fn a_change_that_cannot_be_made_changes_nothing_and_says_why() {
    let data = data_directory();
    let pem = write_file(&data, "old.pem", &certificate("old"));
    let jwks = write_file(&data, "jwks.json", &Signer::ed25519("k").jwks());
    let app = create_app(data.path());
    let users = add(&data, &format!("{PORTAL} --certificate {pem}"));
    let work = format!(
        "issuer add --org acme --name CI --issuer urn:ci --audience urn:a --app {} --jwks {jwks}",
        app.client_id
    );
    let work = add(&data, &format!("{work} --subject build"));
    let before = [&users, &work].map(|id| document(&data, &format!("issuer show {id}")));
    assert_snapshot!(refusal(&data, &format!("issuer update {users} --subject alice")), @"65: this entry names users, whose logins are the subjects; for what else its JWTs must say write --match CLAIM=VALUE");
    assert_snapshot!(refusal(&data, &format!("issuer update {users} --all-scopes")), @"65: name the scopes that users of this issuer are granted");
    assert_snapshot!(refusal(&data, &format!("issuer update {work} --no-rules")), @"65: say which of its JWTs stand for the app, with the subject or another claim: the issuer signs for others too, and each of them would be the app");
    assert_snapshot!(refusal(&data, &format!("issuer update {work} --add-certificate {pem}")), @"65: this entry has no certificates; to change to them write --certificate or --ca");
    assert_snapshot!(refusal(&data, &format!("issuer update {work} --scope nobody:knows --name CD")), @"67: no API of the organisation has a scope `nobody:knows`; see: brevet api list --org SLUG");
    assert_snapshot!(refusal(&data, "issuer update 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --name CD"), @"67: there is no trusted issuer UUID................................; see: brevet issuer list --org SLUG");
    for both in
        ["--no-max-age --max-age 1m", "--no-rules --match a=b", "--certificate a --jwks b", "--all-scopes --scope a"]
    {
        assert_eq!(run(&data, &format!("issuer update {work} {both}")).code, Some(64), "{both}");
    }
    assert_eq!(before, [&users, &work].map(|id| document(&data, &format!("issuer show {id}"))));
    // Who is the only one that an app's JWTs may be about is one of its rules.
    let changed = document(&data, &format!("issuer update {work} --subject deploy --match ref=main"));
    assert_eq!(changed["rules"], json!(["ref is main", "sub is deploy"]));
    let changed = document(&data, &format!("issuer update {work} --scope billing:read"));
    assert_eq!(changed["scopes"], json!(["billing:read"]));
    assert_eq!(document(&data, &format!("issuer update {work} --all-scopes"))["scopes"], json!(null));
}
