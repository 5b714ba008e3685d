//! Passkeys, with an authenticator made of a key and a few octets.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::db::developers::Role;
use brevet::service::accounts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::browser::{Browser, Page};
use crate::support::{PASSWORD, TestApp, audit, one_time};

const ANA: &str = "ana@acme.example";
const ORIGIN: &str = "https://id.example.com";
const SESSION: &str = "__Host-brevet-session";

/// Present and verified, as after a fingerprint.
const VERIFIED: u8 = 0x05;
/// Present only, as after a touch.
const TOUCHED: u8 = 0x01;

struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user: String,
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn client_data(kind: &str, options: &Value, origin: &str) -> Vec<u8> {
    json!({ "type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": false })
        .to_string()
        .into_bytes()
}

fn authenticator_data(flags: u8) -> Vec<u8> {
    let mut data = Sha256::digest(b"id.example.com").to_vec();
    data.push(flags);
    data.extend([0; 4]);
    data
}

impl Authenticator {
    /// A key, and what it answers to somebody who asks for a passkey.
    fn make(options: &Value) -> (Self, String) {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let id = Sha256::digest(key.public_key().as_ref()).to_vec();
        let point = key.public_key().as_ref();
        let mut data = authenticator_data(VERIFIED | 0x40);
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend(&id);
        // COSE: {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": data}
        let mut attestation = vec![0xa3, 0x63];
        attestation.extend(b"fmt");
        attestation.push(0x64);
        attestation.extend(b"none");
        attestation.push(0x67);
        attestation.extend(b"attStmt");
        attestation.extend([0xa0, 0x68]);
        attestation.extend(b"authData");
        attestation.extend([0x58, u8::try_from(data.len()).unwrap()]);
        attestation.extend(&data);
        let answer = json!({
            "id": encode(&id), "rawId": encode(&id), "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data("webauthn.create", options, ORIGIN)),
                "attestationObject": encode(&attestation),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        });
        let user = options["user"]["id"].as_str().unwrap().to_owned();
        (Self { key, id, user }, answer.to_string())
    }

    /// What it answers to somebody who asks for any passkey.
    fn show_as(&self, options: &Value, flags: u8, origin: &str) -> String {
        let (client_data, data) = (client_data("webauthn.get", options, origin), authenticator_data(flags));
        let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data), "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()), "userHandle": self.user,
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }

    fn show(&self, options: &Value) -> String {
        self.show_as(options, VERIFIED, ORIGIN)
    }
}

fn app_with_ana(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::with(&[&[("issuer", ORIGIN)], settings].concat());
    app.create_person("acme", ANA, Role::Owner);
    app
}

/// Does what the page's script does first.
fn begin(browser: &Browser, page: &Page, form: &str, path: &str) -> (Value, String) {
    let body = page.filled_form(form, &[]).2;
    let csrf = body.split('&').find(|pair| pair.starts_with("csrf=")).unwrap();
    let answer = browser.send("POST", path, &[], Some(csrf)).assert_status(200);
    let ceremony = answer.json();
    (ceremony["options"].clone(), ceremony["state"].as_str().unwrap().to_owned())
}

fn add_passkey(browser: &Browser) -> Authenticator {
    let page = browser.submit(&browser.get("/account"), "/account/passkeys/start", &[]).assert_status(200);
    let (options, state) = begin(browser, &page, "/account/passkeys/add", "/account/passkeys/begin");
    let (authenticator, answer) = Authenticator::make(&options);
    let fields = [("passkey-state", state.as_str()), ("passkey", &answer), ("name", "Telephone")];
    let added = browser.submit(&page, "/account/passkeys/add", &fields).assert_status(200);
    assert_eq!(added.texts(".done"), ["The passkey is added."]);
    browser.submit(&page, "/account/passkeys/add", &fields).assert_status(422);
    authenticator
}

fn begin_sign_in(browser: &Browser) -> (Page, Value, String) {
    let page = browser.get("/login");
    let (options, state) = begin(browser, &page, "/login/passkey", "/login/passkey/begin");
    (page, options, state)
}

fn finish_sign_in(browser: &Browser, page: &Page, state: &str, answer: &str) -> Page {
    browser.submit(page, "/login/passkey", &[("passkey-state", state), ("passkey", answer)])
}

fn a_passkey_is_two_factors_in_one_and_each_answer_works_once(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let home = app.browser_of(ANA);
    let authenticator = add_passkey(&home);
    one_time::enrol(&app, &home);

    let browser = app.browser();
    let (page, options, state) = begin_sign_in(&browser);
    assert_eq!(options["allowCredentials"], json!([]), "nobody learns who has a passkey");
    let answer = authenticator.show(&options);
    assert_eq!(finish_sign_in(&browser, &page, &state, &answer).assert_status(200).path, "/");
    assert_eq!(browser.get("/account").heading(), "Your account");
    assert_eq!(audit(&app, "acme")[0].detail["by"], "passkey");

    let again = app.browser();
    again.set_cookie("__Host-brevet-visit", &browser.cookie("__Host-brevet-visit").unwrap());
    let page = again.get("/login");
    finish_sign_in(&again, &page, &state, &answer).assert_status(422);
    assert_eq!(again.cookie(SESSION), None, "an answer was taken twice");
}

#[test]
fn what_does_not_hold_lets_nobody_in() {
    let app = app_with_ana(&[]);
    let authenticator = add_passkey(&app.browser_of(ANA));
    let other_key = {
        let bo = app.create_person("acme", "bo@acme.example", Role::Viewer);
        let other = add_passkey(&app.browser_of("bo@acme.example"));
        assert_eq!(other.user, encode(bo.as_bytes()));
        Authenticator { id: authenticator.id.clone(), user: authenticator.user.clone(), ..other }
    };
    let elsewhere = begin_sign_in(&app.browser());
    type Forge<'a> = &'a dyn Fn(&Value, String) -> (String, String);
    let cases: [(&str, Forge<'_>); 6] = [
        ("another key", &|options, state| (state, other_key.show(options))),
        ("not verified", &|options, state| (state, authenticator.show_as(options, TOUCHED, ORIGIN))),
        ("another site", &|options, state| {
            (state, authenticator.show_as(options, VERIFIED, "https://id.example.com.evil.example"))
        }),
        ("another challenge", &|_, state| (state, authenticator.show(&elsewhere.1))),
        ("begun in another browser", &|_, _| (elsewhere.2.clone(), authenticator.show(&elsewhere.1))),
        ("nonsense", &|_, _| ("AAAA".to_owned(), "{}".to_owned())),
    ];
    for (case, forge) in cases {
        let browser = app.browser();
        let (page, options, state) = begin_sign_in(&browser);
        let (state, answer) = forge(&options, state);
        let refused = finish_sign_in(&browser, &page, &state, &answer).assert_status(422);
        assert!(refused.faults()[0].contains("not known here"), "{case}: {:?}", refused.faults());
        assert_eq!(browser.cookie(SESSION), None, "{case}");
    }
    let late = app.browser();
    let (page, options, state) = begin_sign_in(&late);
    app.clock.advance(Duration::from_secs(300));
    finish_sign_in(&late, &page, &state, &authenticator.show(&options)).assert_status(422);

    accounts::set_enabled(&app.management, ANA, false).unwrap();
    let (page, options, state) = begin_sign_in(&late);
    finish_sign_in(&late, &page, &state, &authenticator.show(&options)).assert_status(422);
    accounts::set_enabled(&app.management, ANA, true).unwrap();
    let (page, options, state) = begin_sign_in(&late);
    finish_sign_in(&late, &page, &state, &authenticator.show(&options)).assert_status(200);
}

#[test]
fn a_passkey_confirms_who_is_signed_in_and_is_dead_once_removed() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let authenticator = add_passkey(&browser);
    app.clock.advance(Duration::from_secs(601));
    let account = browser.get("/account");
    assert_eq!(account.texts("#passkeys ~ .scroll tbody th"), ["Telephone"]);
    let page = browser.submit(&account, "/remove", &[]).assert_status(403);
    assert_eq!(page.heading(), "Confirm that it is you");
    let (options, state) = begin(&browser, &page, "/remove", "/login/passkey/begin");
    let answer = authenticator.show(&options);
    let page = browser.submit(&page, "/remove", &[("passkey-state", &state), ("passkey", &answer)]).assert_status(200);
    assert_eq!(page.texts("#passkeys ~ .scroll tbody th"), Vec::<String>::new());

    let other = app.browser();
    let (page, options, state) = begin_sign_in(&other);
    finish_sign_in(&other, &page, &state, &authenticator.show(&options)).assert_status(422);
    app.browser().sign_in(ANA, PASSWORD).assert_status(200);
}

#[test]
fn a_server_without_a_name_has_no_passkeys_and_says_so() {
    let app = TestApp::new();
    app.create_person("acme", ANA, Role::Owner);
    let browser = app.browser_of(ANA);
    assert!(browser.get("/account").text().contains("Passkeys are off on this server"));
    assert_eq!(browser.get("/account/passkeys").status, 404);
    let page = app.browser().get("/login");
    assert!(!page.body.contains("passkey"));
    assert!(!page.body.contains("passkeys.") && !browser.get("/").body.contains("passkeys."), "no script for nothing");
}

#[test]
fn the_first_passkey_ends_every_other_session_and_is_the_last_step_at_home() {
    let app = app_with_ana(&[]);
    let (browser, elsewhere) = (app.browser_of(ANA), app.browser_of(ANA));
    assert!(browser.get("/").text().contains("Add a second factor"));
    add_passkey(&browser);
    assert_eq!(elsewhere.get("/account").path, "/login?return_to=%2Faccount");
    assert!(!browser.get("/").text().contains("Add a second factor"), "a passkey is one");
    assert_eq!(audit(&app, "acme")[0].detail["sessions_ended"], 1);
    let later = app.browser_of(ANA);
    add_passkey(&browser);
    assert_eq!(later.get("/account").heading(), "Your account", "the second one ends none");
}

#[test]
fn passkeys_that_fail_are_bounded_and_stand_in_the_audit() {
    let app = app_with_ana(&[]);
    let authenticator = add_passkey(&app.browser_of(ANA));
    let browser = app.browser();
    for n in 0..25 {
        let (page, options, state) = begin_sign_in(&browser);
        let answer = authenticator.show_as(&options, TOUCHED, ORIGIN);
        let status = finish_sign_in(&browser, &page, &state, &answer).status;
        assert_eq!(status, if n < 20 { 422 } else { 429 }, "{n}");
    }
    let rows = audit(&app, "acme");
    let count = |action: &str| rows.iter().filter(|row| row.action == action && row.detail["by"] == "passkey").count();
    assert_eq!(count("user.sign-in-failed"), 20);
    app.clock.advance(Duration::from_secs(60));
    let (page, options, state) = begin_sign_in(&browser);
    finish_sign_in(&browser, &page, &state, &authenticator.show(&options)).assert_status(200);
}

fn a_reset_of_an_unproven_account_takes_its_passkeys(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let authenticator = add_passkey(&app.browser_of(ANA));
    let link = brevet::service::resets::make_link(&app.management, ANA).unwrap();
    let path = link.url.reveal().strip_prefix(ORIGIN).unwrap();
    let browser = app.browser();
    browser.submit(&browser.get(path), path, &[("password", "slow rivers carry stones")]).assert_status(200);
    let thief = app.browser();
    let (page, options, state) = begin_sign_in(&thief);
    finish_sign_in(&thief, &page, &state, &authenticator.show(&options)).assert_status(422);
    assert!(audit(&app, "acme").iter().any(|row| row.action == "user.passkey-remove" && row.detail["by"] == "reset"));
}

crate::support::postgres::on_both_databases! {
    a_reset_of_an_unproven_account_takes_its_passkeys
    a_passkey_is_two_factors_in_one_and_each_answer_works_once
}
