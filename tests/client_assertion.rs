//! `private_key_jwt`: a client proves by a signature that it has its private key (RFC 7523). Through the front door, with
//! keys and signatures that the code under test did not make.

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use brevet::clock::{Clock, SystemClock};
use brevet::db::used_jti::{self, Jti};
use brevet::oauth::ClientId;
use brevet::oauth::client::{ClientAuthentication, KeySource};
use brevet::service::apps::{self, AppUpdate, NewApp};
use brevet::service::{ServiceError, app_keys};
use serde_json::{Value, json};

use crate::support::hostile::{self, deep, forms_with_spaces};
use crate::support::http::Answer;
use crate::support::process::{Server, brevet, create_app, data_directory, eventually};
use crate::support::signer::Signer;
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app, postgres};
use crate::third_party_table::encoded;

pub const ISSUER: &str = "http://127.0.0.1:8080";
const URN: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const NO_THROTTLE: (&str, &str) = ("throttle-failures", "off");

crate::support::postgres::on_both_databases! {
    an_assertion_is_good_once
    of_twelve_copies_at_once_on_two_nodes_one_gets_a_token
    a_jti_with_a_nul_is_refused_and_nothing_breaks
    what_an_app_is_registered_with_comes_back_and_can_be_changed
}

/// An app that signs its requests with keys registered with it.
pub fn keyed(jwks: impl Into<String>) -> NewApp {
    signing(KeySource::Jwks(jwks.into().into()))
}

pub fn signing(keys: KeySource) -> NewApp {
    NewApp { authentication: ClientAuthentication::PrivateKeyJwt(keys), ..new_app(&["billing:read"]) }
}

/// Claims of a good assertion, with an id never used before.
pub fn claims(client_id: &str, now: i64) -> Value {
    let jti = uuid::Uuid::new_v4().to_string();
    json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": jti })
}

pub fn form(assertion: &str) -> String {
    format!("grant_type=client_credentials&client_assertion_type={URN}&client_assertion={assertion}")
}

/// A server and an app with one key.
struct Stage {
    app: TestApp,
    client: Credentials,
    signer: Signer,
}

impl Stage {
    fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::with(&[settings, &[NO_THROTTLE]].concat());
        let signer = Signer::ed25519("k");
        let client = app.create_app_with("acme", keyed(signer.jwks()));
        Self { app, client, signer }
    }

    fn claims(&self) -> Value {
        claims(&self.client.client_id, self.app.clock.now().seconds())
    }

    fn with(&self, name: &str, value: impl Into<Value>) -> Value {
        let mut claims = self.claims();
        claims[name] = value.into();
        claims
    }

    fn without(&self, name: &str) -> Value {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn send(&self, assertion: &str) -> Answer {
        self.app.token_request(&[], &form(&encoded(assertion)))
    }

    fn assert_refused(&self, assertion: &str, what: &str) {
        let began_at = Instant::now();
        assert_refused(&self.send(assertion), what);
        // Two thousand million rounds of a password, say, would take far longer.
        assert!(began_at.elapsed() < Duration::from_secs(10), "{what}: {:?}", began_at.elapsed());
    }

    fn assert_good(&self, assertion: &str, what: &str) {
        assert_eq!(self.send(assertion).status.as_u16(), 200, "{what}");
    }
}

/// The one answer to whoever is not known, whatever the reason.
pub fn assert_refused(answer: &Answer, what: &str) {
    assert_refused_saying(answer, "Client authentication failed.", what);
}

/// The answer to an assertion that is not sent as one: nothing was looked up.
pub fn assert_untyped(answer: &Answer, what: &str) {
    let words = format!("client_assertion needs client_assertion_type={URN} beside it.");
    assert_refused_saying(answer, &words, what);
}

fn assert_refused_saying(answer: &Answer, description: &str, what: &str) {
    assert_eq!(answer.status.as_u16(), 401, "{what}: {}", answer.body);
    let expected = json!({
        "error": "invalid_client", "error_description": description,
        "error_uri": format!("{ISSUER}/docs/errors#invalid_client"),
    });
    assert_eq!(answer.json(), expected, "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("www-authenticate"), "", "{what}");
}

#[test]
fn an_assertion_gets_a_token_with_any_key_and_algorithm() {
    let app = TestApp::new();
    let signers = [Signer::ed25519("ed"), Signer::p256("p"), Signer::rsa("r", "RS256"), Signer::rsa("pss", "PS256")];
    let jwks = json!({ "keys": signers.iter().map(|signer| signer.jwk.clone()).collect::<Vec<_>>() });
    let client = app.create_app_with("acme", keyed(jwks.to_string()));
    assert_eq!(client.secret, "", "it needs no App Key");
    for signer in &signers {
        let claims = || claims(&client.client_id, START.seconds());
        let answer = app.token_request(&[], &form(&signer.sign(&claims()))).assert_status(200).json();
        assert_eq!(answer["scope"], "billing:read");
        let (_, token) = decode_jwt(answer["access_token"].as_str().unwrap());
        assert_eq!(token["client_id"], client.client_id);
        let nameless = signer.sign_with(&json!({ "alg": signer.alg }), &claims());
        app.token_request(&[], &form(&nameless)).assert_status(200);
    }
}

#[test]
fn a_key_without_a_name_may_be_the_one_that_an_assertion_names() {
    let app = TestApp::with(&[NO_THROTTLE]);
    let (nameless, named) = (Signer::p256("what the library calls it"), Signer::p256("k"));
    let mut jwk = nameless.jwk.clone();
    jwk.as_object_mut().unwrap().remove("kid");
    let client = app.create_app_with("acme", keyed(json!({ "keys": [named.jwk, jwk] }).to_string()));
    let claims = || claims(&client.client_id, START.seconds());
    for good in
        [nameless.sign(&claims()), nameless.sign_with(&json!({ "alg": "ES256" }), &claims()), named.sign(&claims())]
    {
        app.token_request(&[], &form(&good)).assert_status(200);
    }
    let wrong_name = nameless.sign_with(&json!({ "alg": "ES256", "kid": "other" }), &claims());
    app.token_request(&[], &form(&wrong_name)).assert_status(200);
    let other_name = named.sign_with(&json!({ "alg": "ES256", "kid": "other" }), &claims());
    assert_refused(&app.token_request(&[], &form(&other_name)), "a key that has another name");
}

#[test]
fn a_good_assertion_may_look_in_several_ways() {
    let stage = Stage::new(&[]);
    let now = START.seconds();
    for typ in ["JWT", "jwt", "client-authentication+jwt", "Client-Authentication+JWT"] {
        let mut header = stage.signer.header();
        header["typ"] = json!(typ);
        stage.assert_good(&stage.signer.sign_with(&header, &stage.claims()), typ);
    }
    for (what, claims) in [
        ("as it is", stage.claims()),
        ("without iat", stage.without("iat")),
        ("an array with the issuer alone", stage.with("aud", json!([ISSUER]))),
        ("nbf 8 s ahead", stage.with("nbf", now + 8)),
        ("iat 8 s ahead", stage.with("iat", now + 8)),
        ("iat with a fraction", stage.with("iat", now as f64 + 0.25)),
        ("5 minutes long", stage.with("exp", now + 300)),
        ("just over, within the leeway", stage.with("exp", now - 30)),
        ("claims that mean nothing", stage.with("scope", "everything")),
    ] {
        stage.assert_good(&stage.signer.sign(&claims), what);
    }
    let body = format!("{}&client_id={}", form(&stage.signer.sign(&stage.claims())), stage.client.client_id);
    stage.app.token_request(&[], &body).assert_status(200);
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    let stage = Stage::new(&[]);
    let other = stage.app.create_app_with("acme", keyed(Signer::ed25519("k").jwks()));
    let (id, now) = (stage.client.client_id.clone(), START.seconds());
    let identities = || {
        let mut all = hostile::lookalikes(&id);
        all.extend([json!("unknown"), json!(format!("0{id}")), json!(ISSUER), json!(other.client_id)]);
        all
    };
    let token_endpoint = format!("{ISSUER}/connect/token");
    let mut audiences = hostile::audiences_without(ISSUER);
    audiences.extend([json!([ISSUER, token_endpoint]), json!([ISSUER, ISSUER])]);
    audiences.extend(
        ["http://127.0.0.1", &token_endpoint, "http://127.0.0.1:8080@x", "http://x@127.0.0.1:8080"].map(Value::from),
    );
    audiences.extend(["https://127.0.0.1:8080", &id, "https://billing.example"].map(Value::from));
    let wrong = |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let cases = wrong("iss", identities())
        .chain(wrong("sub", identities()))
        .chain(wrong("aud", audiences))
        .chain(hostile::times_and_ids(now, 300))
        .chain(wrong("iat", vec![json!(now - 3_600), json!(1)]));
    for (name, value) in cases {
        stage.assert_refused(&stage.signer.sign(&stage.with(name, value.clone())), &format!("{name} = {value}"));
    }
    let huge = stage.signer.sign(&stage.with("jti", "x".repeat(65_000)));
    assert_eq!(stage.send(&huge).status.as_u16(), 413, "more than any form may hold");
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        stage.assert_refused(&stage.signer.sign(&stage.without(name)), &format!("without {name}"));
        let assertion = hostile::claim_twice(&stage.signer, &stage.claims(), name);
        stage.assert_refused(&assertion, &format!("{name} twice"));
    }
    for unread in [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\""] {
        stage
            .assert_refused(&hostile::unread_claim(&stage.signer, &stage.claims(), unread), "claims that are no UTF-8");
    }
    stage.assert_good(&stage.signer.sign(&stage.claims()), "after all of them");
}

#[test]
fn headers_that_ask_for_anything_else_are_refused_and_nothing_is_fetched() {
    let stage = Stage::new(&[]);
    let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let trap = format!("http://{}/keys", canary.local_addr().unwrap());
    for (what, assertion) in hostile::headers(&stage.signer, || stage.claims(), &trap) {
        stage.assert_refused(&assertion, &what);
    }
    assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something was fetched");
    stage.assert_good(&stage.signer.sign(&stage.claims()), "after all of them");
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let app = TestApp::with(&[NO_THROTTLE]);
    let signer = Signer::rsa("k", "RS256");
    let client = app.create_app_with("acme", keyed(signer.jwks()));
    let claims = || claims(&client.client_id, START.seconds());
    for (what, assertion) in hostile::keyed_hashes(&signer, claims, &[]) {
        assert_refused(&app.token_request(&[], &form(&assertion)), &what);
    }
    app.token_request(&[], &form(&signer.sign(&claims()))).assert_status(200);
}

#[test]
fn what_is_not_a_jws_in_compact_form_is_refused() {
    let stage = Stage::new(&[]);
    let (signer, claims) = (&stage.signer, stage.claims());
    for (what, assertion) in hostile::forms(signer, &claims).into_iter().chain(forms_with_spaces(signer, &claims)) {
        stage.assert_refused(&assertion, &what);
    }
    let good = signer.sign(&claims);
    stage.assert_refused(&format!("{good}{}", "A".repeat(20_000)), "a very long one");
    assert_eq!(stage.send(&format!("{good}\n")).status.as_u16(), 400, "with a line feed");
    stage.assert_good(&good, "as it is");
    // What is ignored may be as deep as it likes.
    let payload = stage.claims().to_string().replacen('{', &format!("{{\"x\":{},", deep(3_500)), 1);
    let deep = signer.sign_octets(signer.header().to_string().as_bytes(), payload.as_bytes());
    stage.assert_good(&deep, "an ignored claim");
}

#[test]
fn an_assertion_comes_alone_in_the_body_with_its_type() {
    let stage = Stage::new(&[]);
    let good = || stage.signer.sign(&stage.claims());
    let send = |headers: &[(&str, &str)], body: &str| stage.app.token_request(headers, body);
    let grant = "grant_type=client_credentials";
    for (what, body) in [
        ("without a type", format!("{grant}&client_assertion={}", good())),
        ("with an empty type", format!("{grant}&client_assertion={}&client_assertion_type=", good())),
        (
            "with another type",
            format!(
                "{grant}&client_assertion={}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
                good()
            ),
        ),
        ("with a type in other case", form(&good()).replace("urn:ietf", "URN:IETF")),
    ] {
        assert_untyped(&send(&[], &body), what);
    }
    for (what, body) in [
        ("a type without an assertion", format!("{grant}&client_assertion_type={URN}")),
        ("with another client_id", format!("{}&client_id={}", form(&good()), ClientId::generate())),
        (
            "with a client_id in other case",
            format!("{}&client_id={}", form(&good()), stage.client.client_id.to_uppercase()),
        ),
    ] {
        assert_refused(&send(&[], &body), what);
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:x", stage.client.client_id)));
    for (what, headers, body) in [
        ("twice", vec![], format!("{}&client_assertion={}", form(&good()), good())),
        ("with a secret", vec![], format!("{}&client_secret=x", form(&good()))),
        ("with Basic", vec![("authorization", basic.as_str())], form(&good())),
    ] {
        let answer = send(&headers, &body);
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{what}");
    }
    let in_query = format!("{}/connect/token?{}", stage.app.url, form(&good()));
    let answer = crate::support::http::post_form(&in_query, &[], "grant_type=client_credentials");
    assert_eq!(answer.status.as_u16(), 400);
    let bearer = format!("Bearer {}", good());
    assert_refused(&send(&[("authorization", &bearer)], grant), "as a bearer token");
}

#[test]
fn a_token_is_no_assertion_and_an_assertion_is_no_token() {
    let stage = Stage::new(&[]);
    let answer = stage.send(&stage.signer.sign(&stage.claims())).assert_status(200).json();
    let token = answer["access_token"].as_str().unwrap();
    stage.app.get_with_token("/api/v1/whoami", token).assert_status(200);
    stage.assert_refused(token, "our own access token");
    let (header, _) = decode_jwt(token);
    let assertion = stage.signer.sign(&stage.claims());
    stage.app.get_with_token("/api/v1/whoami", &assertion).assert_status(401);
    let mut dressed = stage.with("iss", ISSUER);
    for (name, value) in [("client_id", json!(stage.client.client_id)), ("scope", json!("")), ("tenant", json!("acme"))]
    {
        dressed[name] = value;
    }
    dressed["nbf"] = dressed["iat"].clone();
    let dressed = stage.signer.sign_with(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": header["kid"] }), &dressed);
    stage.app.get_with_token("/api/v1/whoami", &dressed).assert_status(401);
}

fn an_assertion_is_good_once(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    let sibling = stage.app.create_app_with("acme", keyed(stage.signer.jwks()));
    let first = stage.signer.sign(&stage.with("jti", "the id"));
    stage.assert_good(&first, "the first time");
    stage.assert_refused(&first, "the second time");
    let longer = json!({ "iss": stage.client.client_id, "sub": stage.client.client_id, "aud": ISSUER,
        "exp": START.seconds() + 200, "jti": "the id" });
    stage.assert_refused(&stage.signer.sign(&longer), "another with the same jti");
    stage.assert_good(&stage.signer.sign(&stage.with("jti", "the ID")), "a jti in other case is another");
    let mut of_sibling = claims(&sibling.client_id, START.seconds());
    of_sibling["jti"] = json!("the id");
    stage.assert_good(&stage.signer.sign(&of_sibling), "the same jti of another app");

    let jti = "for something else";
    let (id, forget_at) = (stage.client.client_id.clone(), START + Duration::from_secs(600));
    let burn = move |conn: &mut brevet::db::AnyConnection| used_jti::record(conn, &id, "dpop", jti, forget_at);
    assert_eq!(stage.app.management.database().write(burn).unwrap(), Jti::Fresh);
    stage.assert_good(&stage.signer.sign(&stage.with("jti", jti)), "a jti burnt for another purpose");

    for (what, claims, attacker) in [
        ("a bad signature first", stage.with("jti", "1"), Some(Signer::ed25519("k"))),
        ("a wrong audience first", stage.with("jti", "2"), None),
    ] {
        let spoilt = match attacker {
            Some(attacker) => attacker.sign(&claims),
            None => {
                let mut wrong = claims.clone();
                wrong["aud"] = json!("https://elsewhere.example");
                stage.signer.sign(&wrong)
            }
        };
        stage.assert_refused(&spoilt, what);
        stage.assert_good(&stage.signer.sign(&claims), what);
    }

    // The same server started again, its memory of ids in the database alone.
    let again = TestApp::on(stage.app.data.clone(), stage.app.clock.clone(), &[settings, &[NO_THROTTLE]].concat());
    assert_refused(&again.token_request(&[], &form(&first)), "after a restart");
    let fresh = stage.signer.sign(&stage.claims());
    again.token_request(&[], &form(&fresh)).assert_status(200);

    // Forgotten only when it would be refused anyway.
    stage.app.clock.advance(Duration::from_secs(119));
    let now = stage.app.clock.now();
    stage.app.management.database().write(move |conn| used_jti::delete_expired(conn, now)).unwrap();
    stage.assert_refused(&first, "in its last second");
}

fn of_twelve_copies_at_once_on_two_nodes_one_gets_a_token(settings: &[(&str, &str)]) {
    const COPIES: usize = 12;
    let stage = Stage::new(settings);
    let other = TestApp::on(stage.app.data.clone(), stage.app.clock.clone(), &[settings, &[NO_THROTTLE]].concat());
    for round in 0..3 {
        let body = form(&stage.signer.sign(&stage.claims()));
        let together = Barrier::new(COPIES);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let ask = |copy: usize| {
                let node = if copy.is_multiple_of(2) { &stage.app } else { &other };
                let (body, together) = (&body, &together);
                scope.spawn(move || {
                    together.wait();
                    node.token_request(&[], body).status.as_u16()
                })
            };
            let threads: Vec<_> = (0..COPIES).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "round {round}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), COPIES - 1, "{statuses:?}");
    }
}

fn a_jti_with_a_nul_is_refused_and_nothing_breaks(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    stage.assert_refused(&stage.signer.sign(&stage.with("jti", "a\u{0}b")), "NUL in jti");
    stage.assert_refused(&stage.signer.sign(&stage.with("iss", "a\u{0}b")), "NUL in iss");
    stage.assert_good(&stage.signer.sign(&stage.with("jti", "é".repeat(128))), "256 octets");
}

fn what_an_app_is_registered_with_comes_back_and_can_be_changed(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    let m = &stage.app.management;
    let id = stage.client.id();
    let authentication = |id| apps::show(m, id).unwrap().app.authentication;
    let jwks = |signer: &Signer| ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(signer.jwks().into()));
    assert_eq!(authentication(id), jwks(&stage.signer));
    assert!(apps::show(m, id).unwrap().keys.is_empty());
    let refusal = app_keys::add(m, id, None).unwrap_err();
    assert!(matches!(refusal, ServiceError::Conflict(_)), "{refusal}");
    app_keys::rotate(m, id, Duration::ZERO, None).unwrap_err();

    // Other keys, known at once on a node that had the old ones in memory.
    stage.assert_good(&stage.signer.sign(&stage.claims()), "before");
    let next = Signer::p256("next");
    let change = |id, authentication| {
        apps::update(m, id, AppUpdate { authentication: Some(authentication), ..AppUpdate::default() }).unwrap();
        stage.app.catch_up();
    };
    change(id, jwks(&next));
    stage.assert_refused(&stage.signer.sign(&stage.claims()), "the old key");
    stage.assert_good(&next.sign(&stage.claims()), "the new key");

    // From a secret to a signature and back: what was before is worth nothing after.
    let plain = stage.app.create_app(&["billing:read"]);
    stage.app.token_request(&[], &plain.form()).assert_status(200);
    change(plain.id(), jwks(&next));
    assert_refused(&stage.app.token_request(&[], &plain.form()), "the old secret");
    let good = || form(&next.sign(&claims(&plain.client_id, START.seconds())));
    stage.app.token_request(&[], &good()).assert_status(200);
    change(plain.id(), ClientAuthentication::ClientSecret);
    assert_refused(&stage.app.token_request(&[], &good()), "an assertion of an app with a secret");
    assert_refused(&stage.app.token_request(&[], &plain.form()), "the secret from before");
    let key = app_keys::add(m, plain.id(), None).unwrap();
    stage.app.catch_up();
    let fresh = Credentials { secret: key.client_secret.reveal().to_owned(), ..plain };
    stage.app.token_request(&[], &fresh.form()).assert_status(200);
}

#[test]
fn an_app_is_held_to_the_method_it_is_registered_with() {
    let stage = Stage::new(&[]);
    let plain = stage.app.create_app(&["billing:read"]);
    let id = &stage.client.client_id;
    for secret in ["x", plain.secret.as_str(), "k"] {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        assert_refused(&stage.app.token_request(&[], &body), "a secret of an app that signs");
    }
    let assertion = stage.signer.sign(&claims(&plain.client_id, START.seconds()));
    stage.assert_refused(&assertion, "an assertion of an app with a secret");
    let unknown = stage.signer.sign(&claims(&ClientId::generate().to_string(), START.seconds()));
    stage.assert_refused(&unknown, "an unknown app");
    stage.assert_refused(&stage.signer.sign(&claims("x", START.seconds())), "what is no id at all");

    let m = &stage.app.management;
    apps::set_enabled(m, stage.client.id(), false).unwrap();
    stage.app.catch_up();
    let kept = stage.signer.sign(&stage.claims());
    stage.assert_refused(&kept, "a disabled app");
    apps::set_enabled(m, stage.client.id(), true).unwrap();
    stage.app.catch_up();
    stage.assert_good(&kept, "what was refused did not use it up");
    apps::delete(m, stage.client.id()).unwrap();
    stage.app.catch_up();
    stage.assert_refused(&stage.signer.sign(&stage.claims()), "a deleted app");
}

#[test]
fn failures_are_throttled_like_wrong_secrets() {
    let app = TestApp::with(&[("throttle-failures", "3/min")]);
    let signer = Signer::ed25519("k");
    let client = app.create_app_with("acme", keyed(signer.jwks()));
    let good = || form(&signer.sign(&claims(&client.client_id, START.seconds())));
    let bad = || form(&Signer::ed25519("k").sign(&claims(&client.client_id, START.seconds())));
    app.token_request(&[], &good()).assert_status(200);
    for _ in 0..3 {
        app.token_request(&[], &bad()).assert_status(401);
    }
    let answer = app.token_request(&[], &good()).assert_status(429);
    assert_ne!(answer.header("retry-after"), "");
    app.clock.advance(Duration::from_secs(60));
    let good = form(&signer.sign(&claims(&client.client_id, START.seconds() + 60)));
    app.token_request(&[], &good).assert_status(200);
}

#[test]
fn keys_that_cannot_be_used_are_refused_at_registration_with_the_reason() {
    let app = TestApp::new();
    let (one, two) = (Signer::ed25519("k"), Signer::p256("k"));
    let secret = json!({ "kty": "OKP", "crv": "Ed25519", "x": one.jwk["x"], "d": "AQ" });
    let small = json!({ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xc1; 128]) });
    let even = json!({ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xc2; 256]) });
    let exponent = json!({ "kty": "RSA", "e": "AQ", "n": URL_SAFE_NO_PAD.encode([0xc1; 256]) });
    let set = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let cases = [
        (set(vec![]), "0 keys"),
        (set(vec![secret]), "private"),
        (set(vec![one.jwk.clone(), json!({ "kty": "oct", "k": "AQ" })]), "key 2: a JWK is a symmetric key"),
        (set(vec![small]), "1024 bits"),
        (set(vec![even]), "even"),
        (set(vec![exponent]), "exponent"),
        (set(vec![one.jwk.clone(), two.jwk]), "key 2: its `kid` is that of another key"),
        (set(vec![json!({ "kty": "EC" }); 2_000]), "2000 keys"),
        (format!("{}{}", one.jwks(), " ".repeat(65_536)), "longer"),
        (one.jwk.to_string(), "not a JWK set"),
        ("[]".to_owned(), "not a JWK set"),
        ("<html>".to_owned(), "not a JWK set"),
        (String::new(), "not a JWK set"),
    ];
    for (jwks, why) in cases {
        let refusal = apps::create(&app.management, "acme", keyed(jwks)).unwrap_err();
        assert!(matches!(refusal, ServiceError::InvalidField { field: "jwks", .. }), "{refusal}");
        assert!(refusal.to_string().contains(why), "{why}: {refusal}");
    }
    assert_eq!(apps::list(&app.management, "acme", None, 10).unwrap(), []);
}

#[test]
fn without_the_database_an_assertion_gets_no_token() {
    let Some(cluster) = postgres::Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let stage = Stage::new(&[("database-url", url.as_str()), ("database-timeout", "3s"), ("stale-limit", "600s")]);
    stage.assert_good(&stage.signer.sign(&stage.claims()), "with it");
    let assertion = stage.signer.sign(&stage.claims());
    cluster.stop();
    let answer = stage.send(&assertion).assert_status(503);
    assert_ne!(answer.header("retry-after"), "", "nobody knows whether it was used before");
    cluster.resume();
    eventually(Duration::from_secs(30), "the database is back", || {
        (stage.send(&stage.signer.sign(&stage.claims())).status == 200).then_some(())
    });
    stage.assert_good(&assertion, "what was not recorded is not used up");
    stage.assert_refused(&assertion, "and now it is");
}

#[test]
fn what_got_a_token_is_used_up_even_if_the_server_is_killed_the_moment_after() {
    let data = data_directory();
    let signer = Signer::ed25519("k");
    let sid = create_signing_app(data.path(), &signer);
    for round in 0..3 {
        let server = Server::start_with(data.path(), &["--throttle-failures=off"], &[]);
        let assertion = form(&signer.sign(&claims(&sid, SystemClock.now().seconds())));
        server.token_request(&[], &assertion).assert_status(200);
        server.kill();
        let server = Server::start_with(data.path(), &["--throttle-failures=off"], &[]);
        assert_refused(&server.token_request(&[], &assertion), &format!("round {round}"));
        eventually(Duration::from_secs(30), "the log says why", || {
            server.log().contains("its jti was used before").then_some(())
        });
    }
}

pub fn create_signing_app(data: &Path, signer: &Signer) -> String {
    let made = brevet(data)
        .args(&["app", "create", "--org=acme", "--name=Signer", "--scope=billing:read"])
        .args(&["--auth-method=private_key_jwt", "--jwks=-"])
        .stdin(&signer.jwks())
        .json();
    assert_eq!(made["client_secret"], Value::Null);
    made["client_id"].as_str().unwrap().to_owned()
}

/// PKCS#8 in PEM, as openssl writes it.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn the_command_line_registers_a_public_key_and_signs_with_the_private_one() {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
    let data = data_directory();
    let server = Server::start_as_issuer(data.path(), &[]);
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = |der: PublicKeyX509Der<'_>| pem("PUBLIC KEY", der.as_ref());
    let private = |der: &[u8]| pem("PRIVATE KEY", der);
    fn pkcs8<'k, K: AsDer<Pkcs8V1Der<'k>>>(key: &K) -> Pkcs8V1Der<'k> {
        key.as_der().unwrap()
    }
    let pairs = [
        (private(pkcs8(&ed25519).as_ref()), public(ed25519.public_key().as_der().unwrap())),
        (private(p256.to_pkcs8v1().unwrap().as_ref()), public(p256.public_key().as_der().unwrap())),
        (private(pkcs8(&rsa).as_ref()), public(rsa.public_key().as_der().unwrap())),
    ];
    for (private_key, public_key) in pairs {
        let create = || {
            brevet(data.path()).args(&[
                "app",
                "create",
                "--org=acme",
                "--name=Signer",
                "--scope=billing:read",
                "--jwks=-",
            ])
        };
        let made = create().stdin(&public_key).json();
        let sid = made["client_id"].as_str().unwrap();
        let shown = brevet(data.path()).args(&["app", "show", sid]).json();
        assert_eq!(shown["auth_method"], "private_key_jwt");
        let kid = shown["public_keys"][0]["kid"].as_str().unwrap();
        assert_eq!(shown["public_keys"][0]["thumbprint"], kid);
        assert!(brevet(data.path()).args(&["app", "show", sid]).ok().contains(kid));
        let issuer = format!("--issuer={}", server.url);
        let get = |more: &[&str]| {
            let args = ["token", "get", "--sid", sid, "--private-key=-", "--server", &server.url];
            // The issuer is a setting of the server that this command takes from the environment.
            brevet(data.path())
                .env("BREVET_ISSUER", issuer.trim_start_matches("--issuer="))
                .args(&args)
                .args(more)
                .stdin(&private_key)
        };
        let token = get(&[]).ok();
        server.whoami(token.trim()).assert_status(200);
        get(&["--kid", kid]).ok();
        // One thumbprint in 64 begins with a hyphen.
        for other in ["other", "-0ther"] {
            assert_eq!(get(&["--kid", other]).run().code, Some(1), "{other}");
        }
        let refused = create().stdin(&private_key).run().assert_code(65);
        assert!(refused.refusal().contains("private key"), "{refused:?}");
    }
}

#[test]
fn the_command_line_says_what_is_missing_or_too_much() {
    let data = data_directory();
    let jwks = Signer::ed25519("k").jwks();
    let create = |more: &[&str]| {
        brevet(data.path()).args(&["app", "create", "--org=acme", "--name=Signer"]).args(more).stdin(&jwks).run()
    };
    let refusals = [
        (create(&["--auth-method=private_key_jwt"]).assert_code(64), "needs the app's public keys"),
        (create(&["--auth-method=client_secret", "--jwks=-"]).assert_code(64), "has App Keys"),
        (create(&["--jwks-uri=http://app.example.com/"]).assert_code(65), "https://"),
        (create(&["--jwks-uri=https://127.0.0.1/"]).assert_code(65), "outbound-allow-private"),
        (create(&["--jwks=-", "--key-expires-in=90d"]).assert_code(65), "no App Key"),
        (create(&["--jwks=/nowhere/jwks.json"]).assert_code(66), "cannot be read"),
    ];
    for (ran, words) in &refusals {
        assert!(ran.refusal().contains(words), "{ran:?}");
    }
    create(&["--jwks=-", "--jwks-uri=https://app.example.com/"]).assert_code(64);
    let sid = create_app(data.path()).client_id;
    let updated = brevet(data.path()).args(&["app", "update", &sid, "--jwks-uri=https://App.example.com"]).json();
    assert_eq!(updated["jwks_uri"], "https://app.example.com/");

    // What is exported can be imported, with its public keys.
    brevet(data.path()).args(&["app", "update", &sid, "--jwks=-"]).stdin(&jwks).ok();
    let line = brevet(data.path()).args(&["app", "export", "--org=acme"]).ok();
    brevet(data.path()).args(&["app", "delete", &sid]).ok();
    let imported = brevet(data.path()).args(&["app", "import", "--org=acme", "-"]).stdin(&line).json();
    assert_eq!(imported["imported"][0]["client_secret"], Value::Null);
    assert_eq!(brevet(data.path()).args(&["app", "show", &sid]).json()["public_keys"][0]["kid"], "k");
}
