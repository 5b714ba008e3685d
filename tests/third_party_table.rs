//! Everything that was ever wrong with a JWT of somebody else, against every way in: checks 51 to 93. The keys and the
//! signatures are the test's own. Check 86, certificates, stands in `trusted_certificates`; 88 and 89, keys that are
//! elsewhere, in `third_party_keys`.

use std::fmt;
use std::net::TcpListener;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use brevet::clock::{Clock, SystemClock};
use brevet::db::AnyConnection;
use brevet::db::developers::Role;
use brevet::db::used_jti::{self, Jti};
use brevet::directory::Tail;
use brevet::oauth::ClientId;
use brevet::oauth::trust::{ClaimRule, IssuerKeys};
use brevet::secret::Secret;
use brevet::service::accounts::{self, NewMember};
use brevet::service::apps::NewApp;
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use serde_json::{Value, json};

use crate::client_assertion::ISSUER;
use crate::client_assertion::assert_untyped;
use crate::support::hostile::{self, deep};
use crate::support::http::{self, Answer};
use crate::support::process::{Server, brevet, create_app, data_directory, eventually};
use crate::support::signer::Signer;
use crate::support::{Credentials, PASSWORD, START, TestApp, decode_jwt, new_app, postgres};
use crate::trusted_issuers::{AUD, ISS, edited, settings};

/// What the table needs of a server: nobody is throttled, and old clients find tickets under a path of their own.
pub const FOR_ALL_WAYS: [(&str, &str); 2] = [("throttle-failures", "off"), ("ticket-path-prefix", "/FlexiCapture12")];
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What is promised: a change is known on every node within this.
const PROMISE: Duration = Duration::from_secs(1);
/// A machine that is busy with other tests may need longer now and then.
const LIMIT: Duration = Duration::from_secs(30);

crate::support::postgres::on_both_databases! {
    of_twelve_copies_at_once_on_two_nodes_and_all_ways_one_is_good
    a_jwt_is_good_once_across_all_ways_and_nobody_else_uses_it_up
    what_is_trusted_no_more_is_refused_on_every_node
    an_issuer_whom_very_many_trust_serves_those_who_are_named
    claims_that_do_not_hold_are_refused_by_every_way_in
    an_organisation_that_is_named_is_the_one_that_trusts
    every_door_for_bearer_tokens_takes_the_same_jwts
    a_user_who_is_called_like_an_app_is_not_that_app
    a_ticket_is_fresh_stands_in_body_and_header_and_dies
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Grant,
    Assertion,
    Ticket,
    /// The same, as old clients spell its path.
    OldTicket,
    Bearer,
}

pub const WAYS: [Way; 5] = [Way::Grant, Way::Assertion, Way::Ticket, Way::OldTicket, Way::Bearer];
/// Those by which a JWT comes in a form, which may hold what no header of HTTP can.
const FORMS: [Way; 4] = [Way::Grant, Way::Assertion, Way::Ticket, Way::OldTicket];

pub fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Way {
    /// Shows a JWT.
    pub fn send(self, url: &str, jwt: &str) -> Answer {
        let (token, jwt_in_form) = (format!("{url}/connect/token"), encoded(jwt));
        match self {
            Self::Grant => http::post_form(&token, &[], &format!("grant_type={GRANT}&assertion={jwt_in_form}")),
            Self::Assertion => {
                let kind = format!("client_assertion_type={ASSERTION_TYPE}");
                let body = format!("grant_type=client_credentials&{kind}&client_assertion={jwt_in_form}");
                http::post_form(&token, &[], &body)
            }
            Self::Ticket | Self::OldTicket => {
                let path = if self == Self::Ticket { "/server/jwt" } else { "/FlexiCapture12/Server/jwt" };
                http::post_form(&format!("{url}{path}"), &[], &format!("JwtToken={jwt_in_form}"))
            }
            Self::Bearer => {
                let authorization = format!("Bearer {jwt}");
                http::get(&format!("{url}/api/v1/whoami"), &[("authorization", &authorization)])
            }
        }
    }

    /// The answer is this way's refusal, and nothing in it helps whoever asked.
    pub fn assert_refused(self, answer: &Answer, what: &dyn fmt::Display) {
        let seen = format!("{self:?}: {what}: {} {}", answer.status, answer.body);
        assert_eq!(answer.header("authticket"), "", "{seen}");
        let body = answer.json();
        assert!(body.get("ticket").is_none() && body.get("access_token").is_none(), "{seen}");
        assert!(!answer.body.contains("mallory"), "a claim comes back: {seen}");
        let expected = match self {
            Self::Grant => (400, "invalid_grant"),
            Self::Assertion => (401, "invalid_client"),
            Self::Ticket | Self::OldTicket => (401, "invalid_grant"),
            Self::Bearer => (401, "invalid_token"),
        };
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), expected, "{seen}");
        if self == Self::Assertion {
            // The one answer to whoever is not known.
            assert_eq!(body["error_description"], "Client authentication failed.", "{seen}");
        }
        if matches!(self, Self::Ticket | Self::Bearer) {
            assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"brevet\""), "{seen}");
        }
        assert!(answer.header("cache-control").contains("no-store"), "{seen}");
    }
}

/// Every way in refuses it.
pub fn assert_all_refuse(url: &str, jwt: &str, what: &dyn fmt::Display) {
    for way in WAYS {
        let began_at = Instant::now();
        way.assert_refused(&way.send(url, jwt), what);
        assert!(began_at.elapsed() < Duration::from_secs(10), "{way:?}: {what}: {:?}", began_at.elapsed());
    }
}

/// Every way in takes one, each its own.
pub fn assert_all_take(url: &str, what: &dyn fmt::Display, make: impl Fn() -> String) {
    for way in WAYS {
        let answer = way.send(url, &make());
        assert_eq!(answer.status.as_u16(), 200, "{way:?}: {what}: {}", answer.body);
    }
}

/// A server that trusts an issuer whose `alice` stands for an app.
pub struct Stage {
    pub app: TestApp,
    pub client: Credentials,
    pub signer: Signer,
    pub issuer: ClientId,
}

impl Stage {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        Self::with_key(settings, Signer::p256("k"))
    }

    fn with_key(more: &[(&str, &str)], signer: Signer) -> Self {
        let app = TestApp::with(&[more, &FOR_ALL_WAYS].concat());
        let client = app.create_app(&["billing:read", "billing:write"]);
        let issuer = trust(&app, settings(&signer, StandsFor::App(client.id())));
        Self { app, client, signer, issuer }
    }

    pub fn claims(&self) -> Value {
        claims(self.app.clock.now().seconds())
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

    fn header(&self, name: &str, value: impl Into<Value>) -> Value {
        let mut header = self.signer.header();
        header[name] = value.into();
        header
    }

    fn refused_by(&self, way: Way, jwt: &str, what: &dyn fmt::Display) {
        way.assert_refused(&way.send(&self.app.url, jwt), what);
    }

    /// Refused by every way in.
    fn refused(&self, jwt: &str, what: &dyn fmt::Display) {
        assert_all_refuse(&self.app.url, jwt, what);
    }

    /// Accepted by every way in, each time with an id of its own.
    fn good(&self, what: &dyn fmt::Display, make: impl Fn(Value) -> String) {
        assert_all_take(&self.app.url, what, || make(self.claims()));
    }

    /// After all that was refused, a good one is good.
    fn good_after_all(&self) {
        self.good(&"after all of them", |claims| self.signer.sign(&claims));
    }
}

pub fn trust(app: &TestApp, settings: IssuerSettings) -> ClientId {
    let made = trusted_issuers::create(&app.management, "acme", settings).unwrap();
    app.catch_up();
    made.record.id
}

pub fn claims(now: i64) -> Value {
    let jti = uuid::Uuid::new_v4().to_string();
    json!({ "iss": ISS, "sub": "alice", "aud": AUD, "exp": now + 300, "nbf": now, "iat": now, "jti": jti })
}

/// Check 51.
#[test]
fn a_good_one_may_look_in_several_ways() {
    let stage = Stage::new(&[]);
    let now = START.seconds();
    for typ in ["JWT", "jwt", "client-authentication+jwt", "JOSE"] {
        stage.good(&typ, |claims| stage.signer.sign_with(&stage.header("typ", typ), &claims));
    }
    let changed = |name: &'static str, value: Value| (name, value);
    for (name, value) in [
        changed("aud", json!([AUD])),
        changed("nbf", json!(now + 8)),
        changed("iat", json!(now + 8)),
        changed("iat", json!(now as f64 + 0.25)),
        changed("exp", json!(now - 30)),
        changed("exp", json!(now + 86_400)),
        changed("x", json!({ "y": [1, null, true, "é"] })),
    ] {
        stage.good(&format!("{name} = {value}"), |mut claims| {
            claims[name] = value.clone();
            stage.signer.sign(&claims)
        });
    }
    for name in ["nbf", "iat"] {
        stage.good(&format!("without {name}"), |mut claims| {
            claims.as_object_mut().unwrap().remove(name);
            stage.signer.sign(&claims)
        });
    }
    stage.good(&"without a kid", |claims| stage.signer.sign_with(&json!({ "alg": "ES256" }), &claims));
}

/// Checks 52 to 55, 72 to 76 and 83.
fn claims_that_do_not_hold_are_refused_by_every_way_in(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    let now = START.seconds();
    let id = stage.client.client_id.as_str();
    let mut issuers = hostile::lookalikes(ISS);
    issuers.extend([json!("https://unknown.example"), json!(ISSUER), json!(id), json!("x".repeat(20_000))]);
    let mut subjects = hostile::lookalikes("alice");
    subjects.extend([json!("mallory"), json!(["mallory"]), json!(id)]);
    let mut audiences = hostile::audiences_without(AUD);
    let token_endpoint = format!("{ISSUER}/connect/token");
    audiences.extend(["urn:acme", id, ISSUER, &token_endpoint, "https://billing.example"].map(Value::from));
    audiences.push(json!(vec!["urn:x"; 33]));
    let wrong = |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let cases = wrong("iss", issuers)
        .chain(wrong("sub", subjects))
        .chain(wrong("aud", audiences))
        .chain(hostile::times_and_ids(now, 86_400));
    for (name, value) in cases {
        let jwt = stage.signer.sign(&stage.with(name, value.clone()));
        let shown: String = format!("{name} = {value}").chars().take(80).collect();
        stage.refused(&jwt, &shown);
    }
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        stage.refused(&stage.signer.sign(&stage.without(name)), &format!("without {name}"));
    }
    // Check 75, at any depth.
    for name in ["iss", "aud", "exp", "sub", "jti", "x"] {
        stage.refused(&hostile::claim_twice(&stage.signer, &stage.with("x", 1), name), &format!("{name} twice"));
    }
    let within = stage.claims().to_string().replacen('{', r#"{"x":{"a":1,"a":2},"#, 1);
    let jwt = stage.signer.sign_octets(stage.signer.header().to_string().as_bytes(), within.as_bytes());
    stage.refused(&jwt, &"a member twice within another");
    stage.good_after_all();
}

/// Check 56: whoever else a JWT is for could use it to pass for the client, but may be told whom it is about.
#[test]
fn a_jwt_for_several_proves_nobody_s_identity() {
    let stage = Stage::new(&[]);
    let for_both = || stage.signer.sign(&stage.with("aud", json!([AUD, "https://other.example"])));
    stage.refused_by(Way::Assertion, &for_both(), &"for others, too");
    for way in WAYS.into_iter().filter(|way| *way != Way::Assertion) {
        way.send(&stage.app.url, &for_both()).assert_status(200);
    }
}

/// Checks 57 to 59.
#[test]
fn an_assertion_comes_alone_in_the_body_with_its_type_and_for_its_own_app() {
    let stage = Stage::new(&[]);
    let other = stage.app.create_app(&["billing:read"]);
    let jwt = || stage.signer.sign(&stage.claims());
    let bearer = || format!("Bearer {}", jwt());
    let kind = format!("client_assertion_type={ASSERTION_TYPE}");
    let post = |body: &str| stage.app.token_request(&[], body);
    for id in [other.client_id.as_str(), &stage.client.client_id.to_uppercase(), "x", &stage.issuer.to_string()] {
        let by_grant = post(&format!("grant_type={GRANT}&assertion={}&client_id={id}", jwt()));
        Way::Grant.assert_refused(&by_grant, &id);
        let by_assertion =
            post(&format!("grant_type=client_credentials&{kind}&client_assertion={}&client_id={id}", jwt()));
        Way::Assertion.assert_refused(&by_assertion, &id);
    }
    let id = &stage.client.client_id;
    post(&format!("grant_type={GRANT}&assertion={}&client_id={id}", jwt())).assert_status(200);
    post(&format!("grant_type=client_credentials&{kind}&client_assertion={}&client_id={id}", jwt())).assert_status(200);
    // A client that proved who it is gets nothing for what stands for another.
    let basic = other.basic();
    let body = format!("grant_type={GRANT}&assertion={}", jwt());
    Way::Grant.assert_refused(&stage.app.token_request(&[("authorization", &basic)], &body), &"another client asks");
    // Nor what says that it is one and is not, whatever it brings; which uses nothing up.
    let stranger = Credentials { secret: other.secret.clone(), ..stage.client.clone() };
    let refused = stage.app.token_request(&[("authorization", &stranger.basic())], &body).assert_status(401);
    assert_eq!(refused.error(), "invalid_client");
    let basic = stage.client.basic();
    stage.app.token_request(&[("authorization", &basic)], &body).assert_status(200);

    for wrong in [
        String::new(),
        "&client_assertion_type=".to_owned(),
        format!("&client_assertion_type={}", ASSERTION_TYPE.to_uppercase()),
        "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer".to_owned(),
        format!("&client_assertion_type={GRANT}"),
    ] {
        let answer = post(&format!("grant_type=client_credentials&client_assertion={}{wrong}", jwt()));
        assert_untyped(&answer, &wrong);
    }
    for (what, answer) in [
        ("two assertions", post(&format!("grant_type={GRANT}&assertion={0}&assertion={0}", jwt()))),
        (
            "two client assertions",
            post(&format!("grant_type=client_credentials&{kind}&client_assertion={0}&client_assertion={0}", jwt())),
        ),
        ("two JWTs", stage.app.post("/server/jwt", &[], &format!("JwtToken={0}&JwtToken={0}", jwt()))),
        ("a JWT in the URL", stage.app.post(&format!("/server/jwt?JwtToken={}", jwt()), &[], "x=1")),
        (
            "a client assertion in the URL",
            stage.app.post(
                &format!("/connect/token?{kind}&client_assertion={}", jwt()),
                &[],
                "grant_type=client_credentials",
            ),
        ),
        (
            "an assertion in the URL",
            stage.app.post(&format!("/connect/token?assertion={}", jwt()), &[], &format!("grant_type={GRANT}")),
        ),
        ("a token in the URL", stage.app.get(&format!("/api/v1/whoami?access_token={}", jwt()), &[])),
        (
            "two bearer tokens",
            stage.app.get("/api/v1/whoami", &[("authorization", &bearer()), ("authorization", &bearer())]),
        ),
        ("no assertion", post(&format!("grant_type={GRANT}"))),
        ("no JWT", stage.app.post("/server/jwt", &[], "JwtToken=")),
        ("a bearer token instead", stage.app.post("/server/jwt", &[("authorization", &bearer())], "x=1")),
    ] {
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{what}");
    }
    let answer = stage.app.token_request(&[("authorization", &bearer())], "grant_type=client_credentials");
    Way::Assertion.assert_refused(&answer, &"as a bearer token at the token endpoint");
    stage.good_after_all();
}

/// Checks 60 to 64, 69, 70 and 75.
#[test]
fn headers_that_ask_for_anything_else_are_refused_and_nothing_is_fetched() {
    // Fetching from loopback is allowed, so that what is not fetched is not asked for.
    let stage = Stage::new(&[("outbound-allow-private", "true")]);
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let trap = format!("http://{}/keys", canary.local_addr().unwrap());
    for (what, jwt) in hostile::headers(&stage.signer, || stage.claims(), &trap) {
        stage.refused(&jwt, &what);
    }
    // The issuer's own JWT may say where keys are: nobody listens.
    stage.good(&"jku and x5u of the issuer's own", |claims| {
        let header = json!({ "alg": "ES256", "kid": "k", "jku": trap, "x5u": trap });
        stage.signer.sign_with(&header, &claims)
    });
    assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something was fetched");
    stage.good_after_all();
}

/// Check 65.
#[test]
fn a_key_is_good_for_its_own_issuer_alone() {
    let stage = Stage::new(&[]);
    let other_key = Signer::p256("other");
    let mut other = settings(&other_key, StandsFor::App(stage.client.id()));
    other.issuer = "https://other.example".to_owned();
    trust(&stage.app, other);
    stage.refused(&other_key.sign(&stage.claims()), &"the key of another trusted issuer");
    let as_other = stage.with("iss", "https://other.example");
    stage.refused(&stage.signer.sign(&as_other), &"the other way round");
    stage.good(&"its own", |mut claims| {
        claims["iss"] = json!("https://other.example");
        other_key.sign(&claims)
    });
}

/// Checks 66 to 68.
#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let stage = Stage::with_key(&[], Signer::rsa("k", "RS256"));
    for (what, jwt) in hostile::keyed_hashes(&stage.signer, || stage.claims(), &[&stage.client.secret]) {
        stage.refused(&jwt, &what);
    }
    stage.good_after_all();
}

/// Check 71. A token of our own is good at resource routes, of course, and no third party's JWT anywhere.
#[test]
fn our_own_token_is_no_jwt_of_a_third_party_and_the_other_way_round() {
    let stage = Stage::new(&[]);
    let token = stage.app.token(&stage.client);
    let ticket = Way::Ticket.send(&stage.app.url, &stage.signer.sign(&stage.claims())).assert_status(200).json();
    for ours in [token.as_str(), ticket["ticket"].as_str().unwrap()] {
        for way in FORMS {
            stage.refused_by(way, ours, &"our own access token");
        }
        Way::Bearer.send(&stage.app.url, ours).assert_status(200);
    }
    let (header, _) = decode_jwt(&token);
    let mut dressed = stage.with("iss", ISSUER);
    for (name, value) in [
        ("client_id", json!(stage.client.client_id)),
        ("sub", json!(stage.client.client_id)),
        ("scope", json!("billing:read")),
        ("tenant", json!("acme")),
        ("aud", json!([AUD, ISSUER, "https://billing.example"])),
    ] {
        dressed[name] = value;
    }
    for typ in ["at+jwt", "JWT"] {
        for kid in [&header["kid"], &json!("k")] {
            let header = json!({ "alg": "ES256", "typ": typ, "kid": kid });
            stage.refused(&stage.signer.sign_with(&header, &dressed), &"dressed as ours");
        }
    }
    stage.good_after_all();
}

/// Checks 84 and 85.
#[test]
fn what_is_not_a_jwt_in_compact_form_is_refused() {
    let stage = Stage::new(&[]);
    let (signer, claims) = (&stage.signer, stage.claims());
    for (what, jwt) in hostile::forms(signer, &claims) {
        stage.refused(&jwt, &what);
    }
    let header = signer.header().to_string();
    let signed = |payload: &[u8]| signer.sign_octets(header.as_bytes(), payload);
    let with = |member: &str| signed(claims.to_string().replacen('{', &format!("{{{member},"), 1).as_bytes());
    stage.refused(&with(r#""x":"\ud800""#), &"a half surrogate in a claim of theirs");
    stage.refused(&with(&format!("\"x\":{}", deep(5_000))), &"deep in a claim of theirs");
    // What cannot stand in a header of HTTP cannot be shown as a bearer token.
    for (what, jwt) in hostile::forms_with_spaces(signer, &claims) {
        for way in FORMS {
            stage.refused_by(way, &jwt, &what);
        }
    }
    for way in FORMS {
        let answer = way.send(&stage.app.url, &format!("{}\n", signer.sign(&claims)));
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{way:?}: {}", answer.body);
    }
    // Longer than anybody's: 20,000 levels fit into what may be sent, and into no JWT.
    for jwt in [signed(deep(10_000).as_bytes()), signed(deep(20_000).as_bytes()), "A".repeat(33_000)] {
        for way in FORMS {
            stage.refused_by(way, &jwt, &"a very long one");
        }
    }
    let huge = "A".repeat(70_000);
    for way in FORMS {
        assert_eq!(way.send(&stage.app.url, &huge).status.as_u16(), 413, "{way:?}");
    }
    stage.good(&"as it is", |claims| stage.signer.sign(&claims));
}

/// Checks 77 and 79 to 81.
fn a_jwt_is_good_once_across_all_ways_and_nobody_else_uses_it_up(settings_of_server: &[(&str, &str)]) {
    let stage = Stage::new(settings_of_server);
    let url = &stage.app.url;
    for first in WAYS {
        let claims = stage.claims();
        let jwt = stage.signer.sign(&claims);
        first.send(url, &jwt).assert_status(200);
        stage.refused(&jwt, &format!("after {first:?}"));
        let mut again = claims;
        again["exp"] = json!(START.seconds() + 200);
        stage.refused(&stage.signer.sign(&again), &"another with the same jti");
    }
    for way in WAYS {
        let claims = stage.claims();
        let mut wrong = claims.clone();
        wrong["aud"] = json!("https://elsewhere.example");
        stage.refused(&Signer::p256("k").sign(&claims), &"a bad signature first");
        stage.refused(&stage.signer.sign(&wrong), &"a wrong audience first");
        wrong["aud"] = claims["aud"].clone();
        wrong["sub"] = json!("mallory");
        stage.refused(&stage.signer.sign(&wrong), &"a wrong subject first");
        way.send(url, &stage.signer.sign(&claims)).assert_status(200);

        // Burnt for another purpose, and by another organisation that trusts keys of its own under the same name.
        let claims = stage.claims();
        let (jti, forget_at) = (claims["jti"].as_str().unwrap().to_owned(), START + Duration::from_secs(600));
        let id = stage.client.client_id.clone();
        let burn = move |conn: &mut AnyConnection| used_jti::record(conn, &id, "client_assertion", &jti, forget_at);
        assert_eq!(stage.app.management.database().write(burn).unwrap(), Jti::Fresh);
        way.send(url, &stage.signer.sign(&claims)).assert_status(200);
    }
    let theirs = Signer::p256("k");
    stage.app.create_organisation("rival");
    stage.app.create_api("rival", "https://rival.example", &["rival:read"]);
    let rival = stage.app.create_app_with("rival", new_app(&["rival:read"]));
    let made = trusted_issuers::create(&stage.app.management, "rival", settings(&theirs, StandsFor::App(rival.id())));
    made.unwrap();
    stage.app.catch_up();
    for way in WAYS {
        let claims = stage.claims();
        way.send(url, &theirs.sign(&claims)).assert_status(200);
        way.send(url, &stage.signer.sign(&claims)).assert_status(200);
        way.assert_refused(&way.send(url, &theirs.sign(&claims)), &"theirs again");
    }

    // Forgotten only when it would be refused anyway.
    let jwt = stage.signer.sign(&stage.claims());
    Way::Ticket.send(url, &jwt).assert_status(200);
    stage.app.clock.advance(Duration::from_secs(359));
    let now = stage.app.clock.now();
    stage.app.management.database().write(move |conn| used_jti::delete_expired(conn, now)).unwrap();
    stage.refused(&jwt, &"in its last second");
}

/// Check 78.
fn of_twelve_copies_at_once_on_two_nodes_and_all_ways_one_is_good(settings: &[(&str, &str)]) {
    const COPIES: usize = 12;
    let stage = Stage::new(settings);
    let other = TestApp::on(stage.app.data.clone(), stage.app.clock.clone(), &[settings, &FOR_ALL_WAYS].concat());
    let urls = [stage.app.url.as_str(), &other.url];
    for ways in [&WAYS[..], &[Way::Grant], &[Way::Assertion], &[Way::Ticket], &[Way::OldTicket], &[Way::Bearer]] {
        let jwt = stage.signer.sign(&stage.claims());
        let together = Barrier::new(COPIES);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let show = |copy: usize| {
                let (way, url, jwt, together) = (ways[copy / 2 % ways.len()], urls[copy % 2], &jwt, &together);
                scope.spawn(move || {
                    together.wait();
                    way.send(url, jwt).status.as_u16()
                })
            };
            let threads: Vec<_> = (0..COPIES).map(show).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |wanted: &[u16]| statuses.iter().filter(|status| wanted.contains(status)).count();
        assert_eq!((count(&[200]), count(&[400, 401])), (1, COPIES - 1), "{ways:?}: {statuses:?}");
    }
}

/// Check 82.
#[test]
fn what_was_used_is_used_up_even_if_the_server_is_killed_the_moment_after() {
    let data = data_directory();
    let app = create_app(data.path());
    let signer = Signer::p256("k");
    let jwks = data.path().join("issuer.json");
    std::fs::write(&jwks, signer.jwks()).unwrap();
    brevet(data.path())
        .args(&["issuer", "add", "--org=acme", "--name=Portal", "--issuer", ISS, "--audience", AUD, "--single-use"])
        .args(&["--accept-directly", "--subject=alice", "--app", &app.client_id, "--jwks", jwks.to_str().unwrap()])
        .ok();
    let start =
        || Server::start_with(data.path(), &["--throttle-failures=off", "--ticket-path-prefix=/FlexiCapture12"], &[]);
    let mut used = Vec::new();
    for way in WAYS {
        let server = start();
        let jwt = signer.sign(&claims(SystemClock.now().seconds()));
        way.send(&server.url, &jwt).assert_status(200);
        server.kill();
        used.push(jwt);
    }
    let server = start();
    for jwt in &used {
        WAYS.iter().for_each(|way| way.assert_refused(&way.send(&server.url, jwt), &"after the kill"));
    }
    Way::Grant.send(&server.url, &signer.sign(&claims(SystemClock.now().seconds()))).assert_status(200);
}

/// Nobody knows whether it was used before. What may be used again needs no database.
#[test]
fn without_the_database_what_is_good_once_gets_nothing_and_is_not_used_up() {
    let Some(cluster) = postgres::Cluster::start() else { return };
    let url = cluster.database();
    let stage = Stage::new(&[("database-url", &url), ("database-timeout", "3s"), ("stale-limit", "600s")]);
    let lasting = "https://lasting.example";
    let mut again = settings(&stage.signer, StandsFor::App(stage.client.id()));
    (again.issuer, again.policy.single_use) = (lasting.to_owned(), false);
    trust(&stage.app, again);
    let lasting = stage.signer.sign(&stage.with("iss", lasting));
    let taken_again = || assert_all_take(&stage.app.url, &"what may be used again", || lasting.clone());
    stage.good_after_all();
    taken_again();
    let kept = WAYS.map(|way| (way, stage.signer.sign(&stage.claims())));
    cluster.stop();
    for (way, jwt) in &kept {
        let answer = way.send(&stage.app.url, jwt).assert_status(503);
        assert_ne!(answer.header("retry-after"), "", "{way:?}");
        assert_eq!(answer.header("authticket"), "", "{way:?}");
    }
    taken_again();
    cluster.resume();
    eventually(Duration::from_secs(30), "the database is back", || {
        (Way::Grant.send(&stage.app.url, &stage.signer.sign(&stage.claims())).status == 200).then_some(())
    });
    for (way, jwt) in &kept {
        way.send(&stage.app.url, jwt).assert_status(200);
        stage.refused(jwt, &"and now it is used up");
    }
}

/// Check 87. Tickets of users die with the trust in their issuer; what an app got is the app's.
fn what_is_trusted_no_more_is_refused_on_every_node(more: &[(&str, &str)]) {
    let (Some(signer), Some(users_key), Some(next)) =
        (Signer::openssl("k"), Signer::openssl("users"), Signer::openssl("next"))
    else {
        return;
    };
    let stage = Stage::with_key(more, signer);
    let other = TestApp::on(stage.app.data.clone(), stage.app.clock.clone(), &[more, &FOR_ALL_WAYS].concat());
    let tail = |app: &TestApp| Tail::start(app.authority.directory.clone(), app.clock.clone()).unwrap();
    let _tails = (tail(&stage.app), tail(&other));
    let m = &stage.app.management;
    let alice = NewMember {
        organisation: "acme",
        email: "alice@acme.example",
        login: Some("alice"),
        role: Role::Viewer,
        password: &Secret::new(PASSWORD),
    };
    accounts::create(m, &alice).unwrap();
    // The same JWT is shown again and again: nothing but the trust in its issuer may end it.
    let lasting =
        |signer: &Signer, stands_for| edited(settings(signer, stands_for), |policy| policy.single_use = false);
    let the_app = StandsFor::App(stage.client.id());
    trusted_issuers::update(m, stage.issuer, lasting(&stage.signer, the_app)).unwrap();
    let people = "https://people.example";
    let users = IssuerSettings { issuer: people.to_owned(), ..lasting(&users_key, StandsFor::Users) };
    let users = trust(&stage.app, users);
    other.catch_up();
    let of_users = users_key.sign(&stage.with("iss", people));
    let (of_app, of_next) = (stage.signer.sign(&stage.claims()), next.sign(&stage.claims()));
    let shown = |way: Way, jwt: &str| way.send(&other.url, jwt).status == 200;
    let ticket = |jwt: &str| {
        let answer = Way::Ticket.send(&stage.app.url, jwt).assert_status(200);
        answer.json()["ticket"].as_str().unwrap().to_owned()
    };
    let (users_ticket, app_token) = (ticket(&of_users), ticket(&of_app));
    assert!(WAYS.iter().all(|way| shown(*way, &of_app)), "before");
    assert!(shown(Way::Bearer, &users_ticket) && shown(Way::Bearer, &app_token));

    let mut took = Vec::new();
    let mut soon = |what: &str, so: &dyn Fn() -> bool| {
        let began_at = Instant::now();
        while !so() {
            assert!(began_at.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
            thread::sleep(Duration::from_millis(10));
        }
        took.push(began_at.elapsed());
    };
    let refused = |jwt: &str| WAYS.iter().all(|way| !shown(*way, jwt));
    trusted_issuers::set_enabled(m, stage.issuer, false).unwrap();
    soon("switched off", &|| refused(&of_app));
    trusted_issuers::set_enabled(m, stage.issuer, true).unwrap();
    soon("switched on", &|| shown(Way::Grant, &of_app));
    trusted_issuers::update(m, stage.issuer, lasting(&next, the_app)).unwrap();
    soon("a key that is retired", &|| refused(&of_app));
    soon("the next key", &|| shown(Way::Grant, &of_next));
    trusted_issuers::set_enabled(m, users, false).unwrap();
    soon("a ticket of an issuer that is off", &|| !shown(Way::Bearer, &users_ticket));
    trusted_issuers::set_enabled(m, users, true).unwrap();
    soon("the same ticket", &|| shown(Way::Bearer, &users_ticket));
    trusted_issuers::delete(m, users).unwrap();
    trusted_issuers::delete(m, stage.issuer).unwrap();
    soon("removed", &|| refused(&of_next) && refused(&of_users));
    soon("a ticket of an issuer that is removed", &|| !shown(Way::Bearer, &users_ticket));
    assert!(shown(Way::Bearer, &app_token), "an app's token is the app's");
    took.sort_unstable();
    assert!(took[took.len() / 2] <= PROMISE, "{took:?}");
}

/// Check 90.
#[test]
fn what_a_jwt_says_of_rights_here_has_no_effect() {
    let stage = Stage::new(&[]);
    let other = stage.app.create_app(&["billing:read"]);
    stage.app.create_organisation("rival");
    let make = |mut claims: Value| {
        for (name, value) in [
            ("scope", json!("billing:admin api:everything")),
            ("scp", json!(["everything"])),
            ("roles", json!(["Owner"])),
            ("groups", json!(["admin"])),
            ("client_id", json!(other.client_id)),
            ("azp", json!(other.client_id)),
            ("tenant", json!("rival")),
            ("login", json!("root")),
            ("act", json!({ "sub": "root" })),
            ("is_admin", json!(true)),
        ] {
            claims[name] = value;
        }
        claims
    };
    for way in WAYS {
        let mut claims = make(stage.claims());
        // As a bearer token a JWT that is bound to a key is worth nothing without a proof.
        if way != Way::Bearer {
            claims["cnf"] = json!({ "jkt": "x" });
        }
        let answer = way.send(&stage.app.url, &stage.signer.sign(&claims)).assert_status(200).json();
        assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none(), "{way:?}");
        let who = match way {
            Way::Bearer => answer,
            Way::Grant | Way::Assertion => {
                let (_, token) = stage.app.verified_jwt(answer["access_token"].as_str().unwrap());
                token
            }
            Way::Ticket | Way::OldTicket => stage.app.verified_jwt(answer["ticket"].as_str().unwrap()).1,
        };
        let scopes = match &who["scope"] {
            Value::String(text) => text.split(' ').map(str::to_owned).collect::<Vec<_>>(),
            list => list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        };
        assert_eq!(scopes, ["billing:read", "billing:write"], "{way:?}");
        assert_eq!(who["client_id"], stage.client.client_id, "{way:?}");
        assert_eq!(who["tenant"], "acme", "{way:?}");
        for name in ["login", "act", "roles", "is_admin", "groups", "cnf"] {
            assert_eq!(who.get(name).filter(|value| !value.is_null()), None, "{way:?}: {name}");
        }
    }
    // Only what the mapping grants can be asked for.
    let jwt = stage.signer.sign(&make(stage.claims()));
    let asked = format!("grant_type={GRANT}&scope=billing:admin&assertion={jwt}");
    assert_eq!(stage.app.token_request(&[], &asked).assert_status(400).error(), "invalid_scope");
}

/// Check 91.
fn a_user_who_is_called_like_an_app_is_not_that_app(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    let id = stage.client.client_id.as_str();
    let namesake = NewMember {
        organisation: "acme",
        email: "namesake@acme.example",
        login: Some(id),
        role: Role::Viewer,
        password: &Secret::new(PASSWORD),
    };
    accounts::create(&stage.app.management, &namesake).unwrap();
    let mut users = settings(&stage.signer, StandsFor::Users);
    users.issuer = "https://people.example".to_owned();
    let issuer = trust(&stage.app, users);
    let jwt = || {
        let mut claims = stage.with("sub", id);
        claims["iss"] = json!("https://people.example");
        stage.signer.sign(&claims)
    };
    for way in [Way::Grant, Way::Ticket, Way::OldTicket] {
        let answer = way.send(&stage.app.url, &jwt()).assert_status(200).json();
        let token = answer.get("ticket").unwrap_or(&answer["access_token"]).as_str().unwrap();
        let (_, token) = stage.app.verified_jwt(token);
        assert_eq!(token["sub"], format!("https://people.example|{id}"));
        assert_eq!(token["client_id"], issuer.to_string());
        assert_eq!(token["scope"], "billing:read", "what users get, not what the app has");
    }
    let who = Way::Bearer.send(&stage.app.url, &jwt()).assert_status(200).json();
    assert_eq!(who["client_id"], issuer.to_string());
    stage.refused_by(Way::Assertion, &jwt(), &"a user is no client");
    stage.refused(&stage.signer.sign(&stage.with("sub", id)), &"nor is the app its own user");
}

/// Check 92.
fn an_organisation_that_is_named_is_the_one_that_trusts(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    stage.app.create_organisation("rival");
    let jwt = stage.signer.sign(&stage.claims());
    let post = |query: &str| stage.app.post(&format!("/server/jwt?{query}"), &[], &format!("JwtToken={jwt}"));
    let long = format!("Tenant={}", "a".repeat(3_000));
    for query in ["Tenant=unknown", "Tenant=rival", "Tenant=ACME", "Tenant=acme%20", "Tenant=*", &long] {
        Way::Ticket.assert_refused(&post(query), &query);
    }
    for query in ["Tenant=acme&Tenant=acme", "Tenant=rival&Tenant=acme", "Tenant=acme&tenant=rival", "Tenant=acme%00"] {
        let answer = post(query);
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{query}");
        assert_eq!(answer.header("authticket"), "");
    }
    post("Tenant=acme").assert_status(200);
}

/// Check 93.
fn a_ticket_is_fresh_stands_in_body_and_header_and_dies(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    let mut ids = Vec::new();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        let answer = Way::Ticket.send(&stage.app.url, &stage.signer.sign(&stage.claims())).assert_status(200);
        let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("authticket"), ticket);
        assert_eq!(answer.header("cache-control"), "no-store");
        let (_, claims) = stage.app.verified_jwt(&ticket);
        assert_eq!(answer.json()["expires_in"], claims["exp"].as_i64().unwrap() - START.seconds());
        ids.push(claims["jti"].as_str().unwrap().to_owned());
        tickets.push(ticket);
    }
    assert!(ids.iter().all(|id| id.len() >= 22), "at least 128 bits: {ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), tickets.len());
    let good = |ticket: &str| Way::Bearer.send(&stage.app.url, ticket).status == 200;
    assert!(tickets.iter().all(|ticket| good(ticket)), "as often as one likes until it expires");
    stage.app.revoke(&stage.client, &tickets[0]).assert_status(200);
    assert!(!good(&tickets[0]) && good(&tickets[1]), "dead when it is revoked");
    stage.app.clock.advance(Duration::from_secs(86_400));
    assert!(!tickets.iter().any(|ticket| good(ticket)), "dead when it is over");
}

/// Resource routes, forward-auth and introspection take the same ones as bearer tokens, each once.
fn every_door_for_bearer_tokens_takes_the_same_jwts(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    let app = &stage.app;
    let service = app.create_app(&["billing:read"]);
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let rival = app.create_app_with("rival", new_app(&["rival:read"]));
    let mut only_exchanged = settings(&stage.signer, StandsFor::App(stage.client.id()));
    only_exchanged.issuer = "https://not-directly.example".to_owned();
    only_exchanged.policy.accept_directly = false;
    trust(app, only_exchanged);
    let doors: [(&str, &dyn Fn(&str) -> bool); 3] = [
        ("whoami", &|jwt| app.get_with_token("/api/v1/whoami", jwt).status == 200),
        ("verify", &|jwt| app.get_with_token("/connect/verify?aud=https://billing.example", jwt).status == 200),
        ("introspect", &|jwt| app.introspect(&service, jwt).assert_status(200).json()["active"] == true),
    ];
    for (what, is_taken) in doors {
        let jwt = stage.signer.sign(&stage.claims());
        assert!(is_taken(&jwt), "{what}");
        assert!(doors.iter().all(|(_, is_taken)| !is_taken(&jwt)), "after {what}");
        for wrong in
            [stage.with("aud", "urn:else"), stage.with("exp", 1), stage.with("iss", "https://not-directly.example")]
        {
            assert!(!is_taken(&stage.signer.sign(&wrong)), "{what}: {wrong}");
        }
        assert!(!is_taken(&Signer::p256("k").sign(&stage.claims())), "{what}: the signature of a stranger");
    }
    let claims = stage.claims();
    let worth = app.introspect(&service, &stage.signer.sign(&claims)).json();
    let expected = json!({
        "active": true, "iss": ISS, "aud": ["https://billing.example"], "scope": "billing:read billing:write",
        "client_id": stage.client.client_id, "sub": stage.client.client_id, "tenant": "acme", "token_type": "Bearer",
        "exp": claims["exp"], "iat": claims["iat"], "nbf": claims["nbf"], "jti": claims["jti"],
    });
    assert_eq!(worth, expected);
    let unknown = app.introspect(&rival, &stage.signer.sign(&stage.claims())).assert_status(200);
    assert_eq!(unknown.json(), json!({ "active": false }), "whom it does not concern");
}

/// What is changed over HTTP counts at once for every way in.
#[test]
fn an_issuer_that_is_changed_while_it_is_used_is_taken_as_it_is_now() {
    let stage = Stage::new(&[]);
    let admin = stage.app.token(&stage.app.create_app(&["issuers:write", "issuers:read"]));
    let headers = [("authorization", format!("Bearer {admin}")), ("content-type", "application/json".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let change = |body: &Value| {
        let url = format!("{}/api/v1/issuers/{}", stage.app.url, stage.issuer);
        http::send("PATCH", &url, &headers, Some(body.to_string().as_bytes())).assert_status(200);
    };
    let jwt = || stage.signer.sign(&stage.claims());
    stage.good_after_all();
    for (no_more, again) in [
        (json!({ "enabled": false }), json!({ "enabled": true })),
        (json!({ "audiences": ["urn:else"] }), json!({ "audiences": [AUD, "urn:else"] })),
        (
            json!({ "rules": [{ "claim": "sub", "equals": "bob" }] }),
            json!({ "rules": [{ "claim": "sub", "one_of": ["bob", "alice"] }] }),
        ),
        (
            json!({ "keys": { "jwks": { "keys": [Signer::p256("next").jwk] } } }),
            json!({ "keys": { "jwks": { "keys": [stage.signer.jwk] } } }),
        ),
        (json!({ "algorithms": ["RS256"] }), json!({ "algorithms": ["RS256", "ES256"] })),
        (json!({ "subject_claim": "nameid" }), json!({ "subject_claim": "sub" })),
    ] {
        change(&no_more);
        stage.refused(&jwt(), &no_more);
        change(&again);
        stage.good(&again, |claims| stage.signer.sign(&claims));
    }
    change(&json!({ "accept_directly": false }));
    stage.refused_by(Way::Bearer, &jwt(), &"not directly any more");
    for way in FORMS {
        way.send(&stage.app.url, &jwt()).assert_status(200);
    }
}

/// Nor may whoever finds a JWT that is bound to somebody's key use it as it is.
#[test]
fn a_jwt_that_is_bound_to_a_key_is_no_bearer_token() {
    let stage = Stage::new(&[]);
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({})] {
        let answer = Way::Bearer.send(&stage.app.url, &stage.signer.sign(&stage.with("cnf", cnf.clone())));
        assert_eq!(answer.status, 401, "{cnf}: {}", answer.body);
    }
}

/// An app whose tokens are bound to a key is not reached with a JWT that is bound to none.
#[test]
fn an_app_whose_tokens_are_bound_takes_no_bare_jwt() {
    let stage = Stage::new(&[]);
    let bound = NewApp { dpop_required: true, ..new_app(&["billing:read"]) };
    let bound = stage.app.create_app_with("acme", bound);
    let mut to_bound = settings(&stage.signer, StandsFor::App(bound.id()));
    to_bound.issuer = "https://bound.example".to_owned();
    trust(&stage.app, to_bound);
    for way in WAYS {
        let jwt = stage.signer.sign(&stage.with("iss", "https://bound.example"));
        let answer = way.send(&stage.app.url, &jwt);
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{way:?}: {}", answer.body);
    }
}

/// Whoever says for whom a JWT is need not be one of the few whom an unnamed request is tried with.
fn an_issuer_whom_very_many_trust_serves_those_who_are_named(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    stage.app.create_organisation("rival");
    stage.app.create_api("rival", "https://rival.example", &["rival:read"]);
    let many = stage.app.create_app_with("rival", new_app(&["rival:read"]));
    for number in 0..65 {
        let mut one = settings(&stage.signer, StandsFor::App(many.id()));
        // No two may say the same.
        one.policy.audiences.push(format!("urn:robot:{number}"));
        trusted_issuers::create(&stage.app.management, "rival", one).unwrap();
    }
    stage.app.catch_up();
    let jwt = || stage.signer.sign(&stage.claims());
    stage.refused(&jwt(), &"for one of very many");
    let id = &stage.client.client_id;
    let post = |body: &str| stage.app.token_request(&[], body);
    post(&format!("grant_type={GRANT}&assertion={}&client_id={id}", jwt())).assert_status(200);
    let kind = format!("client_assertion_type={ASSERTION_TYPE}");
    post(&format!("grant_type=client_credentials&{kind}&client_assertion={}&client_id={id}", jwt())).assert_status(200);
    let basic = stage.client.basic();
    let body = format!("grant_type={GRANT}&assertion={}", jwt());
    stage.app.token_request(&[("authorization", &basic)], &body).assert_status(200);
    stage.app.post("/server/jwt?Tenant=acme", &[], &format!("JwtToken={}", jwt())).assert_status(200);
    Way::Ticket.assert_refused(
        &stage.app.post("/server/jwt?Tenant=rival", &[], &format!("JwtToken={}", jwt())),
        &"one of too many of that organisation",
    );
    let other = ClientId::generate();
    let answer = post(&format!("grant_type={GRANT}&assertion={}&client_id={other}", jwt()));
    Way::Grant.assert_refused(&answer, &"an app that does not trust it");
}
