//! Dynamic client registration (RFC 7591, RFC 7592): who may register, what a client may say of itself, what it gets, and
//! what it can do with itself afterwards.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use brevet::clock::Clock;
use brevet::db::{audit, registration_tokens as token_rows};
use brevet::oauth::ClientId;
use brevet::service::apps::{self, AppUpdate};
use brevet::service::registration_tokens::{self, NewRegistrationToken};
use brevet::service::{ServiceError, organisations};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::client_assertion::{claims, form};
use crate::support::http::{self, Answer};
use crate::support::process::{brevet, data_directory};
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, decode_jwt, postgres};

const REGISTER: &str = "/connect/register";
const ISSUER: &str = "http://127.0.0.1:8080";
const DAY: Duration = Duration::from_secs(86_400);
const SCOPES: &[&str] = &["billing:read", "billing:write"];

crate::support::postgres::on_both_databases! {
    of_twenty_at_once_as_many_are_registered_as_the_token_says
    a_client_shows_changes_and_deletes_itself
    what_an_operator_takes_away_stays_away
}

/// A server, and the requests of registration.
struct Stage {
    app: TestApp,
}

impl Stage {
    fn new(settings: &[(&str, &str)]) -> Self {
        Self { app: TestApp::with(&[settings, &[("throttle-failures", "off")]].concat()) }
    }

    /// An initial access token of `acme`.
    fn initial(&self, uses: u32, scopes: &[&str]) -> String {
        let created = registration_tokens::create(&self.app.management, new_token(uses, scopes)).unwrap();
        created.token.reveal().to_owned()
    }

    fn send(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let headers = if body.is_some() { &headers[..] } else { &headers[..1] };
        http::send(method, &format!("{}{path}", self.app.url), headers, body.map(str::as_bytes))
    }

    fn register_text(&self, token: &str, body: &str) -> Answer {
        self.send("POST", REGISTER, token, Some(body))
    }

    fn register(&self, token: &str, metadata: &Value) -> Answer {
        self.register_text(token, &metadata.to_string())
    }

    /// A client that registered itself with a secret, for all scopes.
    fn registered(&self) -> Registered {
        let token = self.initial(1, SCOPES);
        Registered::new(&self.register(&token, &json!({ "client_name": "robot" })).assert_status(201))
    }

    fn get(&self, client: &Registered) -> Answer {
        self.send("GET", &client.path, &client.token, None)
    }

    fn put(&self, client: &Registered, metadata: &Value) -> Answer {
        let mut metadata = metadata.clone();
        metadata["client_id"] = json!(client.credentials.client_id);
        self.send("PUT", &client.path, &client.token, Some(&metadata.to_string()))
    }

    fn delete(&self, client: &Registered) -> Answer {
        self.send("DELETE", &client.path, &client.token, None)
    }

    fn actions(&self, target: &str) -> Vec<String> {
        let found = self.app.management.database().read(|conn| audit::list_actions(conn, target)).unwrap();
        found.into_iter().map(|(action, actor)| format!("{action} by {}", actor.split(':').next().unwrap())).collect()
    }

    fn count_apps(&self) -> usize {
        apps::list(&self.app.management, "acme", None, 1_000).unwrap().len()
    }
}

fn new_token(uses: u32, scopes: &[&str]) -> NewRegistrationToken<'static> {
    NewRegistrationToken {
        organisation: "acme",
        uses,
        expires_in: 7 * DAY,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        lifetime: None,
    }
}

struct Registered {
    credentials: Credentials,
    token: String,
    path: String,
}

impl Registered {
    fn new(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self {
            credentials: Credentials { client_id: text("client_id"), secret: text("client_secret") },
            token: text("registration_access_token"),
            path: text("registration_client_uri").strip_prefix(ISSUER).unwrap().to_owned(),
        }
    }
}

/// Status and code of an answer that is as every answer of these endpoints must be.
fn outcome(answer: &Answer) -> String {
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    let status = answer.status.as_u16();
    assert_eq!(answer.header("www-authenticate").is_empty(), status != 401, "{answer:?}");
    if status < 300 {
        return status.to_string();
    }
    assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
    let code = answer.error();
    assert_eq!(answer.json()["error_uri"], format!("{ISSUER}/docs/errors#{code}"));
    let description = answer.json()["error_description"].as_str().unwrap().to_owned();
    assert!(!description.is_empty() && !description.contains(['"', '\\']) && description.is_ascii(), "{description}");
    format!("{status} {code}")
}

#[test]
fn nobody_can_register_before_an_operator_has_made_a_token() {
    let stage = Stage::new(&[]);
    let discovery = stage.app.get("/.well-known/openid-configuration", &[]).json();
    assert_eq!(discovery["registration_endpoint"], format!("{ISSUER}{REGISTER}"));

    let send = |headers: &[(&str, &str)], body: &str| {
        http::send("POST", &format!("{}{REGISTER}", stage.app.url), headers, Some(body.as_bytes()))
    };
    let json = ("content-type", "application/json");
    for (what, answer) in [
        ("no token", send(&[json], "{}")),
        ("no token, no JSON", send(&[("content-type", "text/plain")], "x")),
        ("no token, a body that is too large", send(&[json], &"x".repeat(70_000))),
        ("Basic", send(&[json, ("authorization", "Basic YTpi")], "{}")),
    ] {
        assert_eq!(outcome(&answer), "401 invalid_token", "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"brevet\"", "{what}");
    }
    let robot = stage.app.create_app(&["billing:read", "apps:read"]);
    let access_token = stage.app.token(&robot);
    for (what, token) in [
        ("any text", "x"),
        ("of the right form", "bvr_0000000000000000000000000000000000000000000000000"),
        ("an App Key", &robot.secret),
        ("an ordinary access token", &access_token),
    ] {
        let answer = stage.register(token, &json!({}));
        assert_eq!(outcome(&answer), "401 invalid_token", "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"brevet\", error=\"invalid_token\"", "{what}");
    }
    assert_eq!(stage.count_apps(), 1);
}

#[test]
fn a_client_that_registered_itself_is_an_app_like_any_other() {
    let stage = Stage::new(&[]);
    stage.app.create_organisation("other");
    stage.app.create_api("other", "https://other.example", &["other:read"]);
    let token = stage.initial(1, &["billing:read"]);
    let answer = stage.register(&token, &json!({ "client_name": "Invoice sync" }));
    assert_eq!(outcome(&answer), "201");
    let client = Registered::new(&answer);
    let mut body = answer.json();
    for (member, start) in [
        ("client_id", ""),
        ("client_secret", "bvk_"),
        ("registration_access_token", "bvc_"),
        ("registration_client_uri", "http://127.0.0.1:8080/connect/register/"),
    ] {
        assert!(body[member].take().as_str().unwrap().starts_with(start), "{member}");
    }
    assert_eq!(client.path, format!("{REGISTER}/{}", client.credentials.client_id));
    assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "client_id": null,
      "client_id_issued_at": 1795305600,
      "client_name": "Invoice sync",
      "client_secret": null,
      "client_secret_expires_at": 0,
      "dpop_bound_access_tokens": false,
      "grant_types": [
        "client_credentials"
      ],
      "registration_access_token": null,
      "registration_client_uri": null,
      "response_types": [],
      "scope": "billing:read",
      "token_endpoint_auth_method": "client_secret_basic"
    }
    "#);

    let access_token = stage.app.token(&client.credentials);
    let (_, token_claims) = decode_jwt(&access_token);
    assert_eq!((&token_claims["scope"], &token_claims["tenant"]), (&json!("billing:read"), &json!("acme")));
    stage.app.get_with_token("/api/v1/whoami", &access_token).assert_status(200);
    let basic = client.credentials.basic();
    stage.app.token_request(&[("authorization", &basic)], "grant_type=client_credentials").assert_status(200);
    let details = apps::show(&stage.app.management, client.credentials.id()).unwrap();
    assert_eq!((details.app.name.as_str(), details.organisation.as_str()), ("Invoice sync", "acme"));
    assert_eq!(stage.actions(&client.credentials.client_id), ["app.create by registration-token"]);
    assert_eq!(stage.count_apps(), 1);
    assert_eq!(apps::list(&stage.app.management, "other", None, 10).unwrap(), []);
}

#[test]
fn a_client_with_keys_of_its_own_gets_no_secret_and_signs_its_requests() {
    let stage = Stage::new(&[]);
    let token = stage.initial(10, &["billing:read"]);
    let signer = Signer::ed25519("k");
    let jwks: Value = serde_json::from_str(&signer.jwks()).unwrap();
    let metadata = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks });
    let answer = stage.register(&token, &metadata).assert_status(201);
    let body = answer.json();
    assert_eq!((&body["jwks"], &body["token_endpoint_auth_method"]), (&jwks, &json!("private_key_jwt")));
    assert_eq!((body.get("client_secret"), body.get("client_secret_expires_at")), (None, None));
    let client = Registered::new(&answer);
    assert_eq!(body["client_name"], client.credentials.client_id, "a client without a name");
    let now = stage.app.clock.now().seconds();
    let assertion = signer.sign(&claims(&client.credentials.client_id, now));
    stage.app.token_request(&[], &form(&assertion)).assert_status(200);
    assert_eq!(stage.get(&client).assert_status(200).json()["jwks"], jwks);

    let bound = json!({ "dpop_bound_access_tokens": true, "token_endpoint_auth_method": "client_secret_post" });
    let answer = stage.register(&token, &bound).assert_status(201);
    assert_eq!(answer.json()["dpop_bound_access_tokens"], true);
    assert_eq!(answer.json()["token_endpoint_auth_method"], "client_secret_post");
    let refused = stage.app.token_request(&[], &Registered::new(&answer).credentials.form());
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_dpop_proof"));
}

#[test]
fn nothing_is_fetched_at_a_registration() {
    let stage = Stage::new(&[("outbound-allow-private", "true")]);
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let uri = format!("http://{}/keys", canary.local_addr().unwrap());
    let token = stage.initial(1, &[]);
    let answer = stage.register(&token, &json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri }));
    assert_eq!(answer.assert_status(201).json()["jwks_uri"], uri);
    assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
}

/// Keys that nobody should have, each with what is wrong.
fn bad_jwks() -> Vec<(&'static str, Value)> {
    let ed = Signer::ed25519("k").jwk;
    let with = |name: &str, value: &str| {
        let mut jwk = ed.clone();
        jwk[name] = json!(value);
        json!({ "keys": [jwk] })
    };
    let rsa = |n: &str, e: &str| json!({ "keys": [{ "kty": "RSA", "kid": "r", "n": n, "e": e }] });
    let modulus = format!("{}w", "w".repeat(341));
    vec![
        ("a private key", with("d", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")),
        ("a symmetric key", json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }] })),
        ("1024 bits", rsa(&"w".repeat(171), "AQAB")),
        ("an even modulus", rsa(&format!("{}A", &modulus[..341]), "AQAB")),
        ("e = 1", rsa(&modulus, "AQ")),
        ("a kid twice", json!({ "keys": [ed.clone(), Signer::ed25519("k").jwk] })),
        ("no key", json!({ "keys": [] })),
        ("no set", json!({ "key": [ed.clone()] })),
        ("2000 keys", json!({ "keys": (0..2_000).map(|_| json!({ "kty": "OKP" })).collect::<Vec<_>>() })),
        ("a string", json!(json!({ "keys": [ed] }).to_string())),
    ]
}

#[test]
fn metadata_that_cannot_be_registered_is_refused_and_spends_no_use() {
    let stage = Stage::new(&[]);
    stage.app.create_organisation("other");
    stage.app.create_api("other", "https://other.example", &["other:read"]);
    let token = stage.initial(1, &["billing:read"]);
    let mut cases: Vec<(String, Value)> = Vec::new();
    let mut add = |what: &str, metadata: Value| cases.push((what.to_owned(), metadata));
    for uri in [
        "http://127.0.0.1/keys",
        "https://127.0.0.1/keys",
        "https://localhost/keys",
        "https://10.0.0.1/keys",
        "https://192.168.1.1/keys",
        "https://169.254.169.254/latest",
        "https://[::1]/keys",
        "https://[::ffff:127.0.0.1]/keys",
        "https://[::ffff:7f00:1]/keys",
        "https://[64:ff9b::7f00:1]/keys",
        "https://[fe80::1]/keys",
        "https://2130706433/keys",
        "https://0x7f000001/keys",
        "https://0177.0.0.1/keys",
        "https://127.1/keys",
        "https://0/keys",
        "http://keys.example/keys",
        "file:///etc/passwd",
        "data:application/json,{}",
        "gopher://127.0.0.1:6379/_x",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "vbscript:x",
        "https://user:pass@keys.example/",
        "https://keys.example/#part",
        "//keys.example/",
        "",
    ] {
        add(uri, json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri }));
    }
    for (what, jwks) in bad_jwks() {
        add(what, json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks }));
    }
    let jwks: Value = serde_json::from_str(&Signer::ed25519("k").jwks()).unwrap();
    add(
        "both jwks and jwks_uri",
        json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks, "jwks_uri": "https://keys.example/" }),
    );
    add("keys and a secret", json!({ "jwks": jwks }));
    add("no keys", json!({ "token_endpoint_auth_method": "private_key_jwt" }));
    for method in ["none", "client_secret_jwt", "tls_client_auth", "CLIENT_SECRET_BASIC", ""] {
        add(method, json!({ "token_endpoint_auth_method": method }));
    }
    for grants in [
        json!(["authorization_code"]),
        json!(["client_credentials", "authorization_code"]),
        json!(["client_credentials", "client_credentials"]),
        json!(["password"]),
        json!([]),
        json!("client_credentials"),
        json!([["client_credentials"]]),
        json!({ "client_credentials": true }),
        json!(null),
    ] {
        add(&format!("grant_types {grants}"), json!({ "grant_types": grants }));
    }
    for scope in
        ["billing:write", "billing:read billing:write", "other:read", "apps:read", "BILLING:READ", "a\"b", "a\nb", "é"]
    {
        add(scope, json!({ "scope": scope }));
    }
    for (member, value) in [
        ("scope", json!(["billing:read"])),
        ("scope", json!(null)),
        ("client_name", json!(7)),
        ("client_name", json!(null)),
        ("client_name", json!("")),
        ("client_name", json!("a\u{0}b")),
        ("client_name", json!("n".repeat(101))),
        ("token_endpoint_auth_method", json!(null)),
        ("dpop_bound_access_tokens", json!("true")),
        ("response_types", json!(["code"])),
        ("logo_uri", json!("JavaScript:alert(1)")),
        ("logo_uri#ja", json!("data:text/html,x")),
        ("client_uri", json!(" javascript:alert(1)")),
        ("tos_uri", json!(["https://a.example"])),
    ] {
        add(&format!("{member} {value}"), json!({ member: value }));
    }
    for (what, metadata) in &cases {
        assert_eq!(outcome(&stage.register(&token, metadata)), "400 invalid_client_metadata", "{what}");
    }
    for (metadata, code) in [
        (json!({ "redirect_uris": ["https://app.example/back"] }), "400 invalid_redirect_uri"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "400 invalid_redirect_uri"),
        (json!({ "software_statement": "a.b.c" }), "400 unapproved_software_statement"),
    ] {
        assert_eq!(outcome(&stage.register(&token, &metadata)), code, "{metadata}");
    }
    assert_eq!(stage.count_apps(), 0);
    assert_eq!(outcome(&stage.register(&token, &json!({}))), "201", "the one use is still there");
}

#[test]
fn a_refusal_says_what_to_do_and_repeats_nothing() {
    let stage = Stage::new(&[]);
    let page = stage.app.get("/docs/errors", &[]).assert_status(200).body;
    for code in ["invalid_client_metadata", "invalid_redirect_uri", "unapproved_software_statement", "invalid_token"] {
        assert!(page.contains(&format!("id=\"{code}\"")), "{code} is missing on the page");
    }
    let token = stage.initial(1, SCOPES);
    let description = |metadata: Value| stage.register(&token, &metadata).json()["error_description"].to_string();
    assert_snapshot!(description(json!({ "scope": "zebra" })), @r#""scope asks for more than clients registered with this token may have: billing:read billing:write.""#);
    assert_snapshot!(description(json!({ "grant_types": ["zebra"] })), @r#""grant_types must be client_credentials alone, or left out.""#);
    assert_snapshot!(description(json!({ "token_endpoint_auth_method": "zebra" })), @r#""token_endpoint_auth_method must be one of client_secret_basic, client_secret_post, private_key_jwt.""#);
    assert_snapshot!(description(json!({ "jwks": {}, "token_endpoint_auth_method": "private_key_jwt" })), @r#""jwks must be a set of 1 to 20 public keys: RSA of 2048 to 4096 bits, EC on P-256 or Ed25519, each kid once.""#);
}

#[test]
fn what_a_server_does_not_know_is_ignored_and_gives_no_power() {
    let stage = Stage::new(&[]);
    stage.app.create_organisation("other");
    let token = stage.initial(1, &["billing:read"]);
    let wanted = "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e";
    let metadata = json!({
        "client_id": wanted, "client_secret": "chosen-by-the-client", "org": "other", "organisation": "other",
        "organisation_id": 1, "tenant": "other", "owner": "root", "role": "owner", "quota": 1_000_000, "ttl": 9_999_999,
        "lifetime": 9_999_999, "trusted": true, "disabled": false, "scopes": ["billing:write"], "claims": { "a": 1 },
        "contacts": ["ana@acme.example", null], "software_id": null, "client_name#ja": "ロボット",
        "registration_access_token": "chosen", "logo_uri": "https://acme.example/logo.png",
        "application_type": "native", "redirect_uris": [], "response_types": [], "grant_types": ["client_credentials"],
    });
    let answer = stage.register(&token, &metadata).assert_status(201);
    let body = answer.json();
    for member in ["org", "owner", "role", "quota", "ttl", "trusted", "contacts", "logo_uri", "lifetime", "claims"] {
        assert_eq!(body.get(member), None, "{member}");
    }
    assert_ne!(body["client_id"], wanted);
    assert_eq!(body["scope"], "billing:read");
    let client = Registered::new(&answer);
    assert!(client.credentials.secret.starts_with("bvk_") && client.token.starts_with("bvc_"));
    let issued = stage.app.token_request(&[], &client.credentials.form()).assert_status(200).json();
    assert_eq!(issued["expires_in"], 86_400);
    let (_, token_claims) = decode_jwt(issued["access_token"].as_str().unwrap());
    assert_eq!((&token_claims["tenant"], token_claims.get("a")), (&json!("acme"), None));
}

#[test]
fn only_a_body_that_everybody_reads_alike_is_read() {
    let stage = Stage::new(&[]);
    let token = stage.initial(1, SCOPES);
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let very_deep = format!("{{\"x\":{}", "[".repeat(30_000));
    for (what, body) in [
        ("null", "null"),
        ("an array", "[]"),
        ("an array of one", "[{}]"),
        ("a string", "\"{}\""),
        ("a number", "1"),
        ("nothing", ""),
        ("cut", "{\"client_name\":\"ro"),
        ("two", "{}{}"),
        ("a member twice", "{\"client_name\":\"a\",\"client_name\":\"b\"}"),
        ("a member twice, escaped", "{\"scope\":\"a\",\"sc\\u006fpe\":\"b\"}"),
        ("an unknown member twice", "{\"x\":1,\"x\":1}"),
        ("a member twice inside", "{\"x\":{\"y\":1,\"y\":1}}"),
        ("deep", &deep),
        ("very deep", &very_deep),
        ("a form", "client_name=robot"),
        ("a lone surrogate", "{\"client_name\":\"\\ud800\"}"),
    ] {
        assert_eq!(outcome(&stage.register_text(&token, body)), "400 invalid_client_metadata", "{what}");
    }
    let url = format!("{}{REGISTER}", stage.app.url);
    let authorization = format!("Bearer {token}");
    let send = |content_type: &str, more: &[(&str, &str)], body: &str| {
        let headers = [&[("authorization", authorization.as_str()), ("content-type", content_type)], more].concat();
        outcome(&http::send("POST", &url, &headers, Some(body.as_bytes())))
    };
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-16", "x"] {
        assert_eq!(send(content_type, &[], "{}"), "415 invalid_request", "{content_type}");
    }
    assert_eq!(send("application/json", &[("content-encoding", "gzip")], "{}"), "415 invalid_request");
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(send("application/json", &[], &large), "413 invalid_request");
    let announced = format!(
        "POST {REGISTER} HTTP/1.1\r\nHost: id.example\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: 5000000\r\n\r\n{{"
    );
    let answer = http::raw(stage.app.address(), announced.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(send("Application/JSON; charset=UTF-8", &[], "{}"), "201");

    for (method, path, allowed) in [
        ("GET", REGISTER.to_owned(), "POST"),
        ("PUT", REGISTER.to_owned(), "POST"),
        ("POST", format!("{REGISTER}/x"), "GET, PUT, DELETE"),
        ("PATCH", format!("{REGISTER}/x"), "GET, PUT, DELETE"),
    ] {
        let answer = http::send(method, &format!("{}{path}", stage.app.url), &[], None).assert_status(405);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[test]
fn a_token_that_is_over_registers_nobody() {
    let stage = Stage::new(&[]);
    let m = &stage.app.management;
    let register = |token: &str| outcome(&stage.register(token, &json!({})));

    let once = stage.initial(1, SCOPES);
    assert_eq!(register(&once), "201");
    assert_eq!(register(&once), "401 invalid_token", "used up");

    let created = registration_tokens::create(m, new_token(5, SCOPES)).unwrap();
    let revoked = created.token.reveal();
    assert_eq!(register(revoked), "201");
    registration_tokens::revoke(m, created.record.id).unwrap();
    assert_eq!(register(revoked), "401 invalid_token", "revoked");
    assert_eq!(
        stage.actions(&created.record.id.to_string()),
        ["registration-token.create by test", "registration-token.revoke by test"]
    );

    let expiring = stage.initial(5, SCOPES);
    let body = |token: &str| stage.register(token, &json!({})).body;
    stage.app.clock.advance(7 * DAY - Duration::from_secs(1));
    assert_eq!(register(&expiring), "201");
    stage.app.clock.advance(Duration::from_secs(1));
    assert_eq!(register(&expiring), "401 invalid_token", "expired");
    let bodies = [&once, revoked, &expiring, "bvr_x"].map(body);
    assert!(bodies.iter().all(|other| *other == bodies[0]), "{bodies:?}");

    let of_acme = stage.initial(5, SCOPES);
    organisations::set_enabled(m, "acme", false).unwrap();
    assert_eq!(register(&of_acme), "401 invalid_token", "the organisation is off");
    organisations::set_enabled(m, "acme", true).unwrap();
    for (what, mistyped) in [
        ("cut", of_acme[..52].to_owned()),
        ("longer", format!("{of_acme}a")),
        ("in upper case", of_acme.to_uppercase()),
        ("without its prefix", of_acme[4..].to_owned()),
    ] {
        assert_eq!(register(&mistyped), "401 invalid_token", "{what}");
    }
    let url = format!("{}{REGISTER}", stage.app.url);
    let json = ("content-type", "application/json");
    let sent = |headers: &[(&str, &str)], url: &str| outcome(&http::send("POST", url, headers, Some(b"{}")));
    let bearer = ("authorization", format!("Bearer {of_acme}"));
    let bearer = (bearer.0, bearer.1.as_str());
    assert_eq!(sent(&[json, ("authorization", &format!("DPoP {of_acme}"))], &url), "401 invalid_token");
    assert_eq!(sent(&[json, bearer, bearer], &url), "400 invalid_request", "two headers");
    assert_eq!(sent(&[json, ("authorization", "Bearer")], &url), "400 invalid_request");
    assert_eq!(sent(&[json], &format!("{url}?access_token={of_acme}")), "400 invalid_request", "in the URL");
    assert_eq!(register(&of_acme), "201");
}

fn of_twenty_at_once_as_many_are_registered_as_the_token_says(settings: &[(&str, &str)]) {
    let first = Stage::new(&[settings, &[("workers", "4")]].concat());
    let second = TestApp::on(
        first.app.data.clone(),
        first.app.clock.clone(),
        &[settings, &[("throttle-failures", "off"), ("workers", "4")]].concat(),
    );
    let second = Stage { app: second };
    let created = registration_tokens::create(&first.app.management, new_token(5, SCOPES)).unwrap();
    let token = created.token.reveal();
    let mut outcomes: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20_usize)
            .map(|at| {
                let node = if at < 10 { &first } else { &second };
                scope.spawn(move || outcome(&node.register(token, &json!({}))))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    outcomes.sort_unstable();
    let expected = [vec!["201"; 5], vec!["401 invalid_token"; 15]].concat();
    assert_eq!(outcomes, expected);
    assert_eq!(first.count_apps(), 5);
    let id = created.record.id;
    let left = first.app.management.database().read(|conn| token_rows::find(conn, id)).unwrap().unwrap();
    assert_eq!(left.uses_left, 0);
}

fn a_client_shows_changes_and_deletes_itself(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    let client = stage.registered();
    let id = &client.credentials.client_id;
    let shown = stage.get(&client);
    assert_eq!(outcome(&shown), "200");
    let shown = shown.json();
    assert_eq!(shown["client_name"], "robot");
    assert_eq!(shown["scope"], "billing:read billing:write");
    assert_eq!(shown["registration_access_token"], client.token);
    assert_eq!((shown.get("client_secret"), &shown["client_secret_expires_at"]), (None, &json!(0)));

    let changed = stage.put(
        &client,
        &json!({
            "client_name": "robot 2", "scope": "billing:read", "dpop_bound_access_tokens": true,
            "token_endpoint_auth_method": "client_secret_post",
        }),
    );
    assert_eq!(outcome(&changed), "200");
    assert_eq!(changed.json(), stage.get(&client).json());
    let members = |answer: &Answer| {
        let body = answer.json();
        let names = ["client_name", "scope", "dpop_bound_access_tokens", "token_endpoint_auth_method"];
        names.map(|name| body[name].to_string()).join(" ")
    };
    assert_eq!(members(&changed), "\"robot 2\" \"billing:read\" true \"client_secret_post\"");

    // What is left out is as if it had never been said, but a bound client stays bound until an operator lets it go.
    let reset = stage.put(&client, &json!({}));
    let expected = format!("\"{id}\" \"billing:read billing:write\" true \"client_secret_basic\"");
    assert_eq!(members(&reset), expected);
    assert_eq!(stage.app.token_request(&[], &client.credentials.form()).error(), "invalid_dpop_proof");
    let let_go = AppUpdate { dpop_required: Some(false), ..AppUpdate::default() };
    apps::update(&stage.app.management, client.credentials.id(), let_go).unwrap();
    stage.app.catch_up();
    let reset = stage.get(&client);
    assert_eq!(reset.json()["dpop_bound_access_tokens"], false);
    assert_eq!(stage.app.token_request(&[], &client.credentials.form()).status, 200, "the secret stays");

    // As most clients do it: what was answered is sent back.
    let mut back = reset.json();
    back["client_secret"] = json!(client.credentials.secret);
    assert_eq!(outcome(&stage.put(&client, &back)), "200");
    back["client_secret"] = json!("chosen-by-the-client");
    assert_eq!(outcome(&stage.put(&client, &back)), "400 invalid_client_metadata");
    assert_eq!(outcome(&stage.put(&client, &json!({ "scope": "apps:read" }))), "400 invalid_client_metadata");
    for body in [
        json!({}),
        json!({ "client_id": null }),
        json!({ "client_id": "" }),
        json!({ "client_id": ClientId::generate().to_string() }),
        json!({ "client_id": id.to_uppercase() }),
    ] {
        let answer = stage.send("PUT", &client.path, &client.token, Some(&body.to_string()));
        assert_eq!(outcome(&answer), "400 invalid_client_metadata", "{body}");
    }

    let signer = Signer::ed25519("k");
    let jwks: Value = serde_json::from_str(&signer.jwks()).unwrap();
    let signing = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks });
    assert_eq!(outcome(&stage.put(&client, &signing)), "200");
    assert_eq!(stage.app.token_request(&[], &client.credentials.form()).status, 401, "its secret is gone");
    let assertion = || signer.sign(&claims(id, stage.app.clock.now().seconds()));
    let answer = stage.app.token_request(&[], &form(&assertion())).assert_status(200);
    let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let again = stage.put(&client, &json!({})).assert_status(200);
    let fresh = Registered::new(&again);
    assert!(fresh.credentials.secret.starts_with("bvk_") && fresh.credentials.secret != client.credentials.secret);
    assert_eq!(fresh.token, client.token);
    stage.app.token(&fresh.credentials);
    assert_eq!(stage.app.token_request(&[], &form(&assertion())).status, 401);

    stage.app.get_with_token("/api/v1/whoami", &access_token).assert_status(200);
    let deleted = stage.delete(&client);
    assert_eq!((outcome(&deleted).as_str(), deleted.body.as_str()), ("204", ""));
    stage.app.get_with_token("/api/v1/whoami", &access_token).assert_status(401);
    assert_eq!(stage.app.token_request(&[], &fresh.credentials.form()).status, 401);
    for answer in [stage.get(&client), stage.put(&client, &json!({})), stage.delete(&client)] {
        assert_eq!(outcome(&answer), "401 invalid_token");
    }
    let actions = stage.actions(id);
    assert_eq!(actions.first().map(String::as_str), Some("app.create by registration-token"));
    assert_eq!(actions.last().map(String::as_str), Some("app.delete by app"));
    assert_eq!(actions.iter().filter(|action| *action == "app.update by app").count(), 5, "{actions:?}");
    assert_eq!(actions.iter().filter(|action| *action == "app.authentication by app").count(), 2, "{actions:?}");
}

#[test]
fn a_token_is_good_for_its_own_client_only_and_nothing_tells_why_not() {
    let stage = Stage::new(&[]);
    let (ours, theirs) = (stage.registered(), stage.registered());
    let unregistered = stage.app.create_app(&["billing:read"]);
    let access_token = stage.app.token(&ours.credentials);
    let initial = stage.initial(1, SCOPES);
    let never = format!("{REGISTER}/{}", ClientId::generate());
    let cases = [
        ("another client's token", &theirs.path, &ours.token),
        ("a client that never was", &never, &ours.token),
        ("no client's name", &format!("{REGISTER}/x"), &ours.token),
        ("in upper case", &format!("{REGISTER}/{}", ours.credentials.client_id.to_uppercase()), &ours.token),
        ("an app that did not register itself", &format!("{REGISTER}/{}", unregistered.client_id), &ours.token),
        ("its secret", &ours.path, &ours.credentials.secret),
        ("its access token", &ours.path, &access_token),
        ("an initial access token", &ours.path, &initial),
        ("a mistyped one", &ours.path, &ours.token[..52].to_owned()),
    ];
    let mut bodies = Vec::new();
    for method in ["GET", "PUT", "DELETE"] {
        for (what, path, token) in &cases {
            let body = (method == "PUT").then_some("{}");
            let answer = stage.send(method, path, token, body);
            assert_eq!(outcome(&answer), "401 invalid_token", "{method} {what}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"brevet\", error=\"invalid_token\"");
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(outcome(&stage.register(&ours.token, &json!({}))), "401 invalid_token");
    for client in [&ours, &theirs] {
        assert_eq!(outcome(&stage.get(client)), "200");
    }

    let m = &stage.app.management;
    apps::set_enabled(m, ours.credentials.id(), false).unwrap();
    assert_eq!(outcome(&stage.get(&ours)), "401 invalid_token", "switched off");
    assert_eq!(outcome(&stage.put(&ours, &json!({}))), "401 invalid_token", "switched off");
    assert_eq!(outcome(&stage.delete(&ours)), "401 invalid_token", "switched off");
    apps::set_enabled(m, ours.credentials.id(), true).unwrap();
    assert_eq!(outcome(&stage.get(&ours)), "200", "on again");
    organisations::set_enabled(m, "acme", false).unwrap();
    assert_eq!(outcome(&stage.get(&ours)), "401 invalid_token", "its organisation is off");
    organisations::set_enabled(m, "acme", true).unwrap();
    apps::delete(m, theirs.credentials.id()).unwrap();
    assert_eq!(outcome(&stage.get(&theirs)), "401 invalid_token", "deleted");
}

fn what_an_operator_takes_away_stays_away(settings: &[(&str, &str)]) {
    let stage = Stage::new(settings);
    stage.app.create_api("acme", "https://second.example", &["second:read"]);
    let m = &stage.app.management;
    let client = stage.registered();
    let id = client.credentials.id();
    let scope = |answer: Answer| answer.assert_status(200).json()["scope"].as_str().unwrap().to_owned();
    let change = |add: &[&str], remove: &[&str]| {
        let names = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let update = AppUpdate { add_scopes: names(add), remove_scopes: names(remove), ..AppUpdate::default() };
        apps::update(m, id, update).unwrap();
    };
    change(&["second:read"], &["billing:write"]);
    assert_eq!(scope(stage.get(&client)), "billing:read second:read");
    assert_eq!(scope(stage.put(&client, &json!({}))), "billing:read second:read");
    let wanted = json!({ "scope": "billing:write" });
    assert_eq!(outcome(&stage.put(&client, &wanted)), "400 invalid_client_metadata");
    // It may give up what it got, and take back what its initial access token allowed.
    assert_eq!(scope(stage.put(&client, &json!({ "scope": "" }))), "");
    assert_eq!(scope(stage.put(&client, &json!({}))), "billing:read");

    // A scope that is gone is gone from what tokens allow as well, also when another of that name comes.
    let initial = stage.initial(2, SCOPES);
    brevet::service::apis::remove_scope(m, "https://billing.example", "billing:read").unwrap();
    assert_eq!(scope(stage.put(&client, &json!({}))), "");
    let answer = stage.register(&initial, &json!({})).assert_status(201);
    assert_eq!(answer.json()["scope"], "billing:write");
}

#[test]
fn the_lifetime_that_a_token_allows_is_the_longest() {
    let stage = Stage::new(&[]);
    let m = &stage.app.management;
    let hour = Some(Duration::from_secs(3_600));
    let created =
        registration_tokens::create(m, NewRegistrationToken { lifetime: hour, ..new_token(1, SCOPES) }).unwrap();
    let answer = stage.register(created.token.reveal(), &json!({})).assert_status(201);
    let client = Registered::new(&answer);
    let lifetime =
        || stage.app.token_request(&[], &client.credentials.form()).assert_status(200).json()["expires_in"].clone();
    assert_eq!(lifetime(), 3_600);
    stage.put(&client, &json!({ "lifetime": 86_400 })).assert_status(200);
    assert_eq!(lifetime(), 3_600);

    let refused = |new: NewRegistrationToken<'_>| match registration_tokens::create(m, new).unwrap_err() {
        ServiceError::Invalid(text) | ServiceError::UnknownScope(text) => text,
        ServiceError::InvalidField { text, .. } => text,
        other => panic!("{other:?}"),
    };
    assert_snapshot!(refused(new_token(0, &[])), @"a registration token has 1 to 10000 uses");
    assert_snapshot!(refused(NewRegistrationToken { expires_in: 366 * DAY, ..new_token(1, &[]) }), @"a registration token lives up to 365d");
    assert_snapshot!(refused(new_token(1, &["nothing"])), @"no API of the organisation has a scope `nothing`; see: brevet api list --org SLUG");
    let forever = NewRegistrationToken { lifetime: Some(30 * DAY), ..new_token(1, &[]) };
    assert_snapshot!(refused(forever), @"a lifetime of 30d is longer than the server's access-token-lifetime, 24h");
}

#[test]
fn who_guesses_is_slowed_down_and_nobody_else() {
    let app = TestApp::with(&[("throttle-failures", "3/min")]);
    let stage = Stage { app };
    let (client, once) = (stage.registered(), stage.initial(1, SCOPES));
    assert_eq!(outcome(&stage.register(&once, &json!({}))), "201");
    for _ in 0..5 {
        assert_eq!(outcome(&stage.register(&once, &json!({}))), "401 invalid_token", "a used token is no guess");
    }
    let guess = "bvr_0000000000000000000000000000000000000000000000000";
    let guesses: Vec<String> = (0..4).map(|_| outcome(&stage.register(guess, &json!({})))).collect();
    assert_eq!(guesses[..3], ["401 invalid_token"; 3]);
    assert_eq!(guesses[3], "429 temporarily_unavailable");
    let good = stage.initial(1, SCOPES);
    let answer = stage.register(&good, &json!({}));
    assert_eq!((outcome(&answer).as_str(), answer.header("retry-after")), ("429 temporarily_unavailable", "60"));
    assert_eq!(outcome(&stage.get(&client)), "200");
    stage.app.token(&client.credentials);
    for _ in 0..3 {
        assert_eq!(outcome(&stage.send("GET", &client.path, "bvc_x", None)), "401 invalid_token");
    }
    assert_eq!(outcome(&stage.get(&client)), "429 temporarily_unavailable");
    stage.app.token(&client.credentials);
    stage.app.clock.advance(Duration::from_secs(60));
    assert_eq!(outcome(&stage.get(&client)), "200");
    assert_eq!(outcome(&stage.register(&good, &json!({}))), "201");
}

#[test]
fn a_token_is_made_shown_and_revoked_on_the_command_line() {
    let data = data_directory();
    let run = |command: &str| brevet(data.path()).args(&command.split(' ').collect::<Vec<_>>()).run();
    let made = run("registration-token create --org acme --uses 3 --expires-in 1h --scope billing:read --json");
    let made = made.assert_code(0).json();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(token.starts_with("bvr_") && token.len() == 53, "{token}");
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&made["uses"], &made["scopes"]), (&json!(3), &json!(["billing:read"])));

    let text = run("registration-token create --org acme").assert_code(0);
    assert!(text.stdout.starts_with("bvr_") && text.stdout.lines().count() == 1, "{}", text.stdout);
    assert!(text.stderr.contains("Good for one app until"), "{}", text.stderr);

    let listed = || run("registration-token list --org acme --json").assert_code(0).json();
    let states = |document: &Value| -> Vec<String> {
        document.as_array().unwrap().iter().map(|token| token["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&listed()), ["active", "active"]);
    assert_eq!(listed()[0]["uses_left"], 3);
    assert!(!listed().to_string().contains(token), "it is shown once");
    run(&format!("registration-token revoke {id}")).assert_code(0);
    assert_eq!(states(&listed()), ["revoked", "active"]);
    assert!(run("registration-token list --org acme").assert_code(0).stdout.contains("revoked"));
    let unknown = run("registration-token revoke 00000000-0000-7000-8000-000000000009").assert_code(67);
    assert!(unknown.stderr.contains("brevet registration-token list"), "{}", unknown.stderr);
    run("registration-token create --org nobody").assert_code(67);
    run("registration-token create --org acme --uses 0").assert_code(64);
    run("registration-token create --org acme --expires-in 400d").assert_code(65);
}
