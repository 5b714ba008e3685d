//! Discovery and public keys: OpenID Connect Discovery, RFC 8414, RFC 9728 and RFC 7517.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::secret::sha256;
use insta::assert_snapshot;
use rsa::BigUint;
use serde_json::{Value, json};

use crate::support::http::{self, Answer};
use crate::support::{TestApp, decode_jwt};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const JWKS: &str = "/.well-known/jwks.json";
const JWKS_ALIAS: &str = "/.well-known/openid-configuration/jwks";

/// What anyone may read and keep.
const PUBLIC: &[&str] = &[OPENID, OAUTH, RESOURCE, JWKS, JWKS_ALIAS];

/// An issuer with a path, as behind a proxy that serves several things under one name.
const ISSUER: &str = "https://id.example/tenant";

fn document(app: &TestApp, path: &str) -> Value {
    app.get(path, &[]).assert_status(200).json()
}

/// One member a line.
fn lines(document: &Value) -> String {
    let members = document.as_object().unwrap().iter();
    members.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documents_say_what_the_server_does() {
    let app = TestApp::new();
    assert_snapshot!(lines(&document(&app, OAUTH)), @r#"
    brevet_revocations_uri: "http://127.0.0.1:8080/connect/revocations"
    dpop_signing_alg_values_supported: ["ES256","EdDSA","RS256","PS256"]
    grant_types_supported: ["client_credentials","urn:ietf:params:oauth:grant-type:jwt-bearer","urn:ietf:params:oauth:grant-type:token-exchange"]
    introspection_endpoint: "http://127.0.0.1:8080/connect/introspect"
    introspection_endpoint_auth_methods_supported: ["client_secret_basic","client_secret_post","private_key_jwt"]
    introspection_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","EdDSA"]
    introspection_signing_alg_values_supported: ["RS256"]
    issuer: "http://127.0.0.1:8080"
    jwks_uri: "http://127.0.0.1:8080/.well-known/jwks.json"
    protected_resources: ["http://127.0.0.1:8080/api/v1"]
    registration_endpoint: "http://127.0.0.1:8080/connect/register"
    response_types_supported: []
    revocation_endpoint: "http://127.0.0.1:8080/connect/revocation"
    revocation_endpoint_auth_methods_supported: ["client_secret_basic","client_secret_post","private_key_jwt"]
    revocation_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","EdDSA"]
    scopes_supported: ["apps:read","apps:write","apis:read","apis:write","keys:read","audit:read","usage:read","issuers:read","issuers:write"]
    service_documentation: "http://127.0.0.1:8080/docs/errors"
    token_endpoint: "http://127.0.0.1:8080/connect/token"
    token_endpoint_auth_methods_supported: ["client_secret_basic","client_secret_post","private_key_jwt"]
    token_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","EdDSA"]
    "#);
    assert_snapshot!(lines(&document(&app, RESOURCE)), @r#"
    authorization_servers: ["http://127.0.0.1:8080"]
    bearer_methods_supported: ["header"]
    dpop_bound_access_tokens_required: false
    dpop_signing_alg_values_supported: ["ES256","EdDSA","RS256","PS256"]
    jwks_uri: "http://127.0.0.1:8080/.well-known/jwks.json"
    resource: "http://127.0.0.1:8080/api/v1"
    resource_documentation: "http://127.0.0.1:8080/docs/errors"
    resource_name: "Brevet management API"
    scopes_supported: ["apps:read","apps:write","apis:read","apis:write","keys:read","audit:read","usage:read","issuers:read","issuers:write"]
    "#);
    let mut openid = document(&app, OPENID);
    for (name, value) in document(&app, OAUTH).as_object().unwrap() {
        assert_eq!(openid[name], *value, "both documents say the same of {name}");
        openid.as_object_mut().unwrap().remove(name);
    }
    assert_snapshot!(lines(&openid), @r#"
    authorization_endpoint: "http://127.0.0.1:8080/connect/authorize"
    id_token_signing_alg_values_supported: ["RS256","PS256","ES256","EdDSA"]
    subject_types_supported: ["public"]
    "#);
}

#[test]
fn every_address_in_the_documents_answers() {
    for issuer in ["http://127.0.0.1:8080", ISSUER] {
        let app = TestApp::with(&[("issuer", issuer)]);
        let origin = url::Url::parse(issuer).unwrap().origin().ascii_serialization();
        let mut answers = BTreeSet::new();
        for path in [OPENID, OAUTH, RESOURCE] {
            for (name, value) in document(&app, path).as_object().unwrap() {
                let is_address =
                    name.ends_with("_endpoint") || name.ends_with("_uri") || name.ends_with("_documentation");
                if let (true, Some(address)) = (is_address, value.as_str()) {
                    assert!(address.starts_with(issuer), "{name} is not under the issuer: {address}");
                    let local = address.strip_prefix(&origin).unwrap();
                    answers.insert(format!("{} {name}", app.get(local, &[]).status.as_u16()));
                }
            }
        }
        let answers: Vec<String> = answers.into_iter().collect();
        assert_eq!(
            answers.join(", "),
            "200 brevet_revocations_uri, 200 jwks_uri, 200 resource_documentation, 200 service_documentation, \
             400 authorization_endpoint, 405 introspection_endpoint, 405 registration_endpoint, 405 revocation_endpoint, \
             405 token_endpoint"
        );
    }
}

#[test]
fn an_issuer_with_a_path_is_found_wherever_the_standards_look_for_it() {
    let app = TestApp::with(&[("issuer", ISSUER)]);
    for well_known in [OPENID, OAUTH] {
        let inserted = app.get(&format!("{well_known}/tenant"), &[]).assert_status(200);
        assert_eq!(inserted.json()["issuer"], ISSUER);
        assert_eq!(inserted.json()["jwks_uri"], format!("{ISSUER}{JWKS}"));
        for path in [format!("/tenant{well_known}"), well_known.to_owned()] {
            assert_eq!(app.get(&path, &[]).assert_status(200).body, inserted.body, "{path}");
        }
    }
    let inserted = app.get(&format!("{RESOURCE}/tenant/api/v1"), &[]).assert_status(200);
    assert_eq!(inserted.json()["resource"], format!("{ISSUER}/api/v1"));
    assert_eq!(inserted.json()["authorization_servers"], json!([ISSUER]));
    for path in [format!("/tenant{RESOURCE}"), format!("/tenant{RESOURCE}/api/v1"), RESOURCE.to_owned()] {
        assert_eq!(app.get(&path, &[]).assert_status(200).body, inserted.body, "{path}");
    }
    let home = app.get("/tenant", &[]).assert_status(308);
    assert_eq!(home.header("location"), "/tenant/");
    for path in [
        "/tenant/tenant/.well-known/jwks.json",
        "/other/.well-known/jwks.json",
        "/.well-known/openid-configuration/other",
        "/TENANT/.well-known/jwks.json",
    ] {
        app.get(path, &[]).assert_status(404);
    }

    let client = app.create_app(&["billing:read", "apps:read"]);
    for under in ["", "/tenant"] {
        let answer =
            http::post_form(&format!("{}{under}/connect/token", app.url), &[], &client.form()).assert_status(200);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let (_, claims) = decode_jwt(&token);
        assert_eq!(claims["iss"], ISSUER);
        assert_eq!(claims["aud"][0], format!("{ISSUER}/api/v1"));
        for path in ["/api/v1/whoami", "/api/v1/apps"] {
            app.get_with_token(&format!("{under}{path}"), &token).assert_status(200);
        }
        let refused = app.get(&format!("{under}/api/v1/whoami"), &[]).assert_status(401);
        let challenge = refused.header("www-authenticate");
        assert_eq!(challenge, format!("Bearer realm=\"brevet\", resource_metadata=\"{ISSUER}{RESOURCE}\""));
    }
}

#[test]
fn a_forged_host_changes_nothing() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "666"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-server", "evil.example"),
        ("x-original-host", "evil.example"),
        ("x-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=gopher"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ];
    let same = |honest: &Answer, other: &Answer| {
        assert_eq!(honest.body, other.body);
        assert_eq!(honest.header("etag"), other.header("etag"));
    };
    for path in PUBLIC {
        same(&app.get(path, &[]), &app.get(path, &forged));
    }
    for host in ["evil.example", "evil.example:666", "127.0.0.1:1", "id.example@evil.example"] {
        let request = format!("GET {OPENID} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = http::raw(app.address(), request.as_bytes());
        let unchanged = answer.ends_with(&app.get(OPENID, &[]).body);
        assert!(unchanged || answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
        assert!(!answer.contains("evil"), "{host}: {answer}");
    }
    let answer = app.token_request(&forged, &client.form()).assert_status(200);
    let (_, claims) = decode_jwt(answer.json()["access_token"].as_str().unwrap());
    assert_eq!(claims["iss"], "http://127.0.0.1:8080");
    let refused = app.token_request(&forged, "grant_type=x").assert_status(401);
    assert!(!refused.body.contains("evil"), "{}", refused.body);
    let challenge = app.get("/api/v1/whoami", &forged).assert_status(401);
    assert!(!challenge.header("www-authenticate").contains("evil"));
}

fn numbers(app: &TestApp) -> Vec<(Value, BigUint)> {
    let keys = document(app, JWKS)["keys"].as_array().unwrap().clone();
    let number = |text: &Value| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap());
    keys.into_iter().filter(|key| key["kty"] == "RSA").map(|key| (key.clone(), number(&key["n"]))).collect()
}

#[test]
fn public_keys_have_the_members_they_need_and_nothing_private() {
    let app = TestApp::new();
    for algorithm in [SigningAlgorithm::Ps256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let (identifier, scope) = (format!("urn:{}", algorithm.name()), format!("{}:read", algorithm.name()));
        app.create_api_with("acme", &identifier, &[&scope], TokenProfile::Rfc9068, algorithm);
    }
    let keys = document(&app, JWKS);
    assert_eq!(keys, document(&app, JWKS_ALIAS));
    let keys = keys["keys"].as_array().unwrap();
    let members: Vec<String> = keys
        .iter()
        .map(|key| {
            let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            format!("{} {} {}: {}", key["alg"], key["kty"], key["use"], names.join(" "))
        })
        .collect();
    assert_snapshot!(members.join("\n"), @r#"
    "RS256" "RSA" "sig": alg e kid kty n use
    "PS256" "RSA" "sig": alg e kid kty n use
    "ES256" "EC" "sig": alg crv kid kty use x y
    "EdDSA" "OKP" "sig": alg crv kid kty use x
    "#);
    let names: BTreeSet<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(names.len(), keys.len(), "no name twice");
    for key in keys {
        // RFC 7638: the required members in the order of the alphabet.
        let required: &[&str] = match key["kty"].as_str().unwrap() {
            "RSA" => &["e", "kty", "n"],
            "EC" => &["crv", "kty", "x", "y"],
            _ => &["crv", "kty", "x"],
        };
        let canonical: Vec<String> = required.iter().map(|name| format!("\"{name}\":{}", key[*name])).collect();
        let thumbprint = sha256(format!("{{{}}}", canonical.join(",")).as_bytes());
        assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(thumbprint), "the kid is the thumbprint");
    }
}

#[test]
fn rsa_keys_are_long_odd_and_share_no_factor() {
    let app = TestApp::new();
    app.create_api_with("acme", "urn:ps", &["ps:read"], TokenProfile::Rfc9068, SigningAlgorithm::Ps256);
    let keys = numbers(&app);
    assert_eq!(keys.len(), 2);
    for (key, n) in &keys {
        assert_eq!(n.bits(), 2048);
        assert_eq!(n % 2_u8, BigUint::from(1_u8), "even");
        assert_eq!(key["e"], "AQAB", "65537");
    }
    let zero = BigUint::from(0_u8);
    let (mut a, mut b) = (keys[0].1.clone(), keys[1].1.clone());
    while b != zero {
        (a, b) = (b.clone(), a % b);
    }
    assert_eq!(a, BigUint::from(1_u8), "a common factor would give both keys away");
}

#[test]
fn documents_may_be_kept_by_anyone_and_are_not_sent_twice() {
    let app = TestApp::new();
    for path in PUBLIC {
        let first = app.get(path, &[]).assert_status(200);
        assert_eq!(first.header("content-type"), "application/json", "{path}");
        assert_eq!(
            first.header("cache-control"),
            "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400",
            "{path}"
        );
        assert_eq!(first.header("access-control-allow-origin"), "*", "{path}");
        let etag = first.header("etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{path}: a strong tag, not {etag}");

        let url = format!("{}{path}", app.url);
        let head = http::send("HEAD", &url, &[], None).assert_status(200);
        assert_eq!((head.body.as_str(), head.header("etag")), ("", etag), "{path}");
        assert_eq!(head.header("content-length"), first.body.len().to_string(), "{path}");

        for known in [etag, "*", &format!("W/{etag}"), &format!("\"x\", {etag}"), &format!("{etag},\"x\"")] {
            let again = app.get(path, &[("if-none-match", known)]).assert_status(304);
            assert_eq!(again.body, "", "{path}");
            assert_eq!(again.header("etag"), etag, "{path}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
            assert_eq!(again.header("access-control-allow-origin"), "*", "{path}");
        }
        for unknown in ["\"x\"", "", etag.trim_matches('"')] {
            let again = app.get(path, &[("if-none-match", unknown)]).assert_status(200);
            assert_eq!(again.body, first.body, "{path}");
        }
    }
}

#[test]
fn a_new_key_changes_the_tag_of_the_keys_and_of_nothing_else() {
    let app = TestApp::new();
    let tags = || [JWKS, JWKS_ALIAS, OPENID, OAUTH].map(|path| app.get(path, &[]).header("etag").to_owned());
    let before = tags();
    app.create_api_with("acme", "urn:es", &["es:read"], TokenProfile::Rfc9068, SigningAlgorithm::Es256);
    let after = tags();
    assert_ne!(before[0], after[0]);
    assert_eq!(after[0], after[1]);
    assert_eq!(before[2..], after[2..]);
    app.get(JWKS, &[("if-none-match", &before[0])]).assert_status(200);
}

#[test]
fn browsers_of_other_origins_may_read_the_documents_and_nothing_else() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let origin = ("origin", "https://evil.example");
    let bearer = format!("Bearer {}", app.token(&client));
    for path in ["/", "/docs/errors", "/connect/authorize", "/api/v1/whoami", "/nowhere"] {
        let answer = app.get(path, &[origin, ("authorization", &bearer)]);
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{path}");
    }
    let token = app.token_request(&[origin], &client.form()).assert_status(200);
    assert!(token.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    for path in ["/connect/token", "/api/v1/whoami"] {
        let asks =
            [origin, ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
        let preflight = http::send("OPTIONS", &format!("{}{path}", app.url), &asks, None).assert_status(405);
        assert!(preflight.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{path}");
    }
}

#[test]
fn documents_take_only_get_and_head() {
    let app = TestApp::new();
    for path in PUBLIC {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = http::send(method, &format!("{}{path}", app.url), &[], None).assert_status(405);
            assert_eq!(answer.header("allow"), "GET, HEAD", "{method} {path}");
            assert_eq!(answer.error(), "invalid_request", "{method} {path}");
        }
    }
}

#[test]
fn the_authorize_address_says_that_nobody_signs_in_here() {
    let app = TestApp::new();
    let query = "response_type=code&client_id=%3Cscript%3E&redirect_uri=https%3A%2F%2Fevil.example&state=evil-marker";
    for path in ["/connect/authorize", &format!("/connect/authorize?{query}")] {
        let page = app.get(path, &[("accept", "text/html,application/xhtml+xml")]).assert_status(400);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.body.contains("<h1>Nobody signs in here</h1>"), "{}", page.body);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let json = app.get(path, &[]).assert_status(400);
        assert_eq!(json.header("content-type"), "application/json");
        assert_eq!(json.error(), "unsupported_response_type");
        for answer in [page, json] {
            assert_eq!(answer.header("location"), "", "nobody is sent anywhere");
            assert!(!answer.body.contains("evil") && !answer.body.contains("<script>"), "{}", answer.body);
        }
    }
}

#[test]
fn pages_find_their_stylesheet() {
    for issuer in ["http://127.0.0.1:8080", ISSUER] {
        let app = TestApp::with(&[("issuer", issuer)]);
        for path in ["/", "/docs/errors"] {
            let page = app.get(path, &[]).assert_status(200).body;
            let (_, rest) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
            let (address, _) = rest.split_once('"').unwrap();
            let style = app.get(address, &[]).assert_status(200);
            assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
        }
    }
    let app = TestApp::new();
    for path in ["/static/brevet.css", "/static/..%2fCargo.toml", "/static/%2e%2e/Cargo.toml", "/static/", "/static/x"]
    {
        let answer = app.get(path, &[]).assert_status(404);
        assert_eq!(answer.error(), "not_found", "{path}");
    }
}
