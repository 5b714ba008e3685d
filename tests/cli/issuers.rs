//! `brevet issuer …`

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{document, refusal, run, text, write_file};
use crate::client_jwks_uri::{KeyServer, answer, good};
use crate::support::process::{brevet, create_app, data_directory};
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

/// An issuer for an app, whose JWTs must be about `subject`.
fn work(data: &TempDir, app: &str, subject: &str) -> String {
    let jwks = data.path().join("jwks.json");
    if !jwks.exists() {
        write_file(data, "jwks.json", &Signer::ed25519("k").jwks());
    }
    let jwks = jwks.to_str().unwrap();
    format!(
        "issuer add --org acme --name CI --issuer urn:ci --audience urn:a --app {app} --jwks {jwks} --subject {subject}"
    )
}

#[test]
fn who_ends_one_entry_of_an_issuer_hears_of_the_others() {
    let data = data_directory();
    let apps = [create_app(data.path()).client_id, create_app(data.path()).client_id];
    let first = add(&data, &work(&data, &apps[0], "a"));
    let second = add(&data, &work(&data, &apps[1], "a"));
    for deed in ["disable", "remove"] {
        let ran = run(&data, &format!("issuer {deed} {first}")).assert_code(0);
        assert_eq!(
            ran.stdout,
            format!("The entry {first} of urn:ci is {}.\n", if deed == "remove" { "removed" } else { "disabled" })
        );
        assert_eq!(ran.stderr, format!("Another entry of this issuer still stands: {second}, for app {}.\n", apps[1]));
    }
    for subject in ["b", "c", "d", "e", "f", "g"] {
        add(&data, &work(&data, &apps[1], subject));
    }
    let last = add(&data, &work(&data, &apps[0], "a"));
    let said = run(&data, &format!("issuer remove {last} --json")).assert_code(0);
    assert_eq!(said.json()["state"], "removed");
    assert_eq!((said.stderr.lines().count(), said.stderr.contains("And 2 more")), (6, true), "{said:?}");
    let alone = add(&data, &work(&data, &apps[0], "a").replace("urn:ci", "urn:alone"));
    assert_eq!(text(&data, &format!("issuer disable {alone}")), "urn:alone is refused from now on.\n".trim_end());
    assert_eq!(text(&data, &format!("issuer remove {alone}")), "urn:alone is trusted no more.\n".trim_end());
}

#[test]
fn an_entry_that_takes_what_another_takes_is_refused_by_the_others_name_and_id() {
    let data = data_directory();
    let app = create_app(data.path()).client_id;
    let first = add(&data, &format!("{} --match ref=main", work(&data, &app, "a")));
    let said = run(&data, &format!("{} --match ref=main --max-age 1m", work(&data, &app, "a"))).assert_code(65);
    assert!(
        said.refusal().contains(&format!("the entry CI ({first}) trusts this issuer for the same app")),
        "{said:?}"
    );
    // What one of them takes and the other does not may be said in two.
    let second = add(&data, &work(&data, &app, "a"));
    let said = run(&data, &format!("issuer update {second} --subject a --match ref=main")).assert_code(65);
    assert!(said.refusal().contains(&first), "{said:?}");
    let users = format!("{PORTAL} --jwks {}", data.path().join("jwks.json").display());
    let portal = add(&data, &users);
    let said = run(&data, &users).assert_code(65);
    assert!(said.refusal().contains(&format!("in the entry Portal ({portal})")), "{said:?}");
}

#[test]
fn a_pattern_as_subject_is_refused_with_the_flag_that_takes_one() {
    let data = data_directory();
    let app = create_app(data.path()).client_id;
    let said = run(&data, &work(&data, &app, "repo:acme/*")).assert_code(64);
    assert!(said.stderr.contains("for a pattern write --match 'sub=repo:acme/*'"), "{said:?}");
    let id = add(&data, &work(&data, &app, "a"));
    run(&data, &format!("issuer update {id} --subject a?")).assert_code(64);
}

#[test]
fn what_stands_in_a_template_for_ones_own_is_refused() {
    let data = data_directory();
    let app = create_app(data.path()).client_id;
    let copied = work(&data, &app, "repo:OWNER/REPOSITORY:ref:refs/heads/main");
    assert_snapshot!(refusal(&data, &copied), @"65: put your own in place of OWNER/REPOSITORY");
    let id = add(&data, &work(&data, &app, "repo:acme/billing:ref:refs/heads/main"));
    let change = format!("issuer update {id} --match oid=OBJECT_ID_OF_THE_MANAGED_IDENTITY");
    assert_snapshot!(refusal(&data, &change), @"65: put your own in place of OBJECT_ID_OF_THE_MANAGED_IDENTITY");
}

#[test]
fn certificates_and_keys_in_another_form_are_refused_with_the_command_that_mends_them() {
    let data = data_directory();
    let pem = certificate("portal");
    let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(pem.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let signed_data = [0x30, 0x82, 0x01, 0x00, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0];
    let files: &[(&str, &[u8], &str)] = &[
        ("portal.cer", &der, "openssl x509 -inform DER"),
        ("portal.p7b", b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", "openssl pkcs7 -print_certs"),
        ("der.p7b", &signed_data, "openssl pkcs7 -inform DER -print_certs"),
        ("portal.p12", &[0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x30], "openssl pkcs12 -nokeys"),
        ("utf16.pem", &utf16, "save it as UTF-8"),
    ];
    for (name, content, hint) in files {
        let file = data.path().join(name);
        std::fs::write(&file, content).unwrap();
        for flag in ["--certificate", "--ca"] {
            let said = refusal(&data, &format!("{PORTAL} {flag} {}", file.display()));
            assert!(said.starts_with("65: ") && said.contains(hint), "{name}: {said}");
        }
    }
    let marked = write_file(&data, "marked.pem", &format!("\u{feff}{pem}"));
    let id = add(&data, &format!("{PORTAL} --certificate {marked}"));

    let signer = Signer::ed25519("k");
    let private = write_file(&data, "private.pem", &signer.private_key);
    let public = write_file(
        &data,
        "public.pem",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    );
    let with = |file: &str| format!("issuer update {id} --jwks {file}");
    assert_snapshot!(refusal(&data, &with(&private)), @"65: that is a private key; register the public one: openssl pkey -in private.pem -pubout");
    assert_snapshot!(refusal(&data, &with(&marked)), @"65: that is a certificate (for a trusted issuer: --certificate); its public key alone is written by: openssl x509 -in certificate.pem -noout -pubkey");
    assert_eq!(document(&data, &with(&public))["keys"], "jwks");
}

#[test]
fn keys_that_are_elsewhere_are_looked_at_once_and_what_is_wrong_is_a_warning() {
    let data = data_directory();
    let jwks = Signer::ed25519("k").jwks();
    let server = KeyServer::start(good(&jwks));
    let origin = server.url.trim_end_matches("/jwks.json").to_owned();
    let command = |flag: &str| {
        let command = format!(
            "issuer add --org acme --name Portal --issuer {origin} --audience urn:a --users --scope billing:read {flag}"
        );
        let ran = brevet(data.path()).args(&command.split(' ').collect::<Vec<_>>());
        let ran = ran.env("BREVET_OUTBOUND_ALLOW_PRIVATE", "true").args(&["--json"]).run().assert_code(0);
        run(&data, &format!("issuer remove {}", ran.json()["id"].as_str().unwrap())).assert_code(0);
        ran.stderr.replace(&origin, "ORIGIN")
    };
    let (by_url, discovered) = (format!("--jwks-url {}", server.url), "--discover");
    assert_snapshot!(command(&by_url), @"At ORIGIN/jwks.json: 1 key, EdDSA.");
    let configuration = |issuer: &str| {
        let mut document: Value = serde_json::from_str(&jwks).unwrap();
        document["issuer"] = json!(issuer);
        document["jwks_uri"] = json!(server.url);
        good(&document.to_string())
    };
    server.reply_with(configuration(&origin));
    assert_snapshot!(command(discovered), @"At ORIGIN/jwks.json: 1 key, EdDSA.");
    server.reply_with(configuration("https://id.acme.example\u{7}"));
    assert_snapshot!(command(discovered), @"Warning: its keys are not where they should be; until that is put right, its JWTs are refused. ORIGIN/.well-known/openid-configuration says that its issuer is https://id.acme.example�, and registered is ORIGIN");
    server.reply_with(answer("404 Not Found", "{}"));
    assert_snapshot!(command(discovered), @"Warning: its keys are not where they should be; until that is put right, its JWTs are refused. ORIGIN/.well-known/openid-configuration answers 404 Not Found");
    assert_snapshot!(command(&by_url), @"Warning: its keys are not where they should be; until that is put right, its JWTs are refused. ORIGIN/jwks.json answers 404 Not Found");
    server.reply_with(answer("200 OK", "<html>"));
    assert_snapshot!(command(discovered), @"Warning: its keys are not where they should be; until that is put right, its JWTs are refused. ORIGIN/.well-known/openid-configuration answers something else: it is no JSON object");
    assert_snapshot!(command(&by_url), @r#"Warning: its keys are not where they should be; until that is put right, its JWTs are refused. ORIGIN/jwks.json answers something else: it is not a JWK set: write {"keys": [ … ]}"#);
    assert!(command("--jwks-url http://127.0.0.1:1/keys").contains("cannot be fetched from here now"));
    for flag in ["--discover", "--jwks-url http://127.0.0.1:1/keys", "--jwks-url https://127.0.0.1:1/keys"] {
        let add = format!(
            "issuer add --org acme --name n --issuer http://127.0.0.1:1 --audience a --users --scope billing:read {flag}"
        );
        assert!(refusal(&data, &add).contains("outbound-allow-private"), "{flag}");
    }
}
