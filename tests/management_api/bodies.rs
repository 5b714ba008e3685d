//! Bodies: JSON that is exactly what the route takes, or a refusal that says which member is wrong.

use brevet::oauth::ClientId;
use brevet::oauth::client::ClientAuthentication;
use brevet::service::apps;
use serde_json::{Value, json};

use super::{Scene, problem, scene, text};
use crate::support::http;
use crate::support::signer::Signer;

/// Sends octets as they are.
fn raw(scene: &Scene, method: &str, path: &str, content_type: Option<&str>, octets: &[u8]) -> http::Answer {
    let bearer = format!("Bearer {}", scene.token);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(content_type.map(|value| ("content-type", value)));
    http::send(method, &format!("{}/api/v1{path}", scene.app.url), &headers, Some(octets))
}

#[test]
fn a_value_that_cannot_be_used_is_told_by_its_member() {
    let scene = scene();
    let app = format!("/apps/{}", scene.admin.client_id);
    let api = format!("/apis/{}", text(&scene.get("/apis").json()["items"][1], "id"));
    let (keys, rotate, scopes) = (format!("{app}/keys"), format!("{app}/keys/rotate"), format!("{api}/scopes"));
    let scope = format!("{scopes}/billing%3Aread");
    let long = "x".repeat(101);
    let signer = Signer::ed25519("k");
    let jwks = json!({ "keys": [signer.jwk] });
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": signer.jwk["x"], "d": "evil" });
    let cases: &[(&str, &str, Value, &str)] = &[
        ("POST", "/apps", json!({}), "name"),
        ("POST", "/apps", json!({ "name": null }), "name"),
        ("POST", "/apps", json!({ "name": 7 }), "name"),
        ("POST", "/apps", json!({ "name": "" }), "name"),
        ("POST", "/apps", json!({ "name": "a\u{0}b" }), "name"),
        ("POST", "/apps", json!({ "name": long }), "name"),
        ("POST", "/apps", json!({ "name": "\u{200b}" }), "name"),
        ("POST", "/apps", json!({ "name": "abc\u{202e}fdp" }), "name"),
        ("POST", "/apps", json!({ "name": "n", "claims": { " https://x.example/evil": 1 } }), "claims"),
        ("POST", "/apps", json!({ "name": "n", "scopes": "billing:read" }), "scopes"),
        ("POST", "/apps", json!({ "name": "n", "scopes": [7] }), "scopes"),
        ("POST", "/apps", json!({ "name": "n", "scopes": ["evil:scope"] }), "scopes"),
        ("POST", "/apps", json!({ "name": "n", "scopes": null }), "scopes"),
        ("POST", "/apps", json!({ "name": "n", "lifetime": 3600 }), "lifetime"),
        ("POST", "/apps", json!({ "name": "n", "lifetime": "evil" }), "lifetime"),
        ("POST", "/apps", json!({ "name": "n", "lifetime": "25h" }), "lifetime"),
        ("POST", "/apps", json!({ "name": "n", "lifetime": "0s" }), "lifetime"),
        ("POST", "/apps", json!({ "name": "n", "lifetime": null }), "lifetime"),
        ("POST", "/apps", json!({ "name": "n", "claims": [] }), "claims"),
        ("POST", "/apps", json!({ "name": "n", "claims": { "evil": 1 } }), "claims"),
        ("POST", "/apps", json!({ "name": "n", "claims": { "https://x.example/a": "x".repeat(2_100) } }), "claims"),
        ("POST", "/apps", json!({ "name": "n", "key_expires_in": "soon" }), "key_expires_in"),
        ("POST", "/apps", json!({ "name": "n", "key_expires_in": "0s" }), "key_expires_in"),
        ("POST", "/apps", json!({ "name": "n", "key_expires_in": "1h", "jwks": jwks }), "key_expires_in"),
        ("POST", "/apps", json!({ "name": "n", "auth_method": "evil" }), "auth_method"),
        ("POST", "/apps", json!({ "name": "n", "auth_method": "client_secret_basic" }), "auth_method"),
        ("POST", "/apps", json!({ "name": "n", "auth_method": null }), "auth_method"),
        ("POST", "/apps", json!({ "name": "n", "auth_method": "client_secret", "jwks": jwks }), "auth_method"),
        ("POST", "/apps", json!({ "name": "n", "auth_method": "private_key_jwt" }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": null }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": jwks.to_string() }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": [signer.jwk] }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": signer.jwk }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": { "keys": [] } }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": { "keys": "evil" } }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": { "keys": [{ "kty": "oct", "k": "evil" }] } }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": { "keys": [{ "kty": ["evil"] }] } }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": { "keys": [private] } }), "jwks"),
        ("POST", "/apps", json!({ "name": "n", "jwks": jwks, "jwks_uri": "https://a.example/" }), "jwks_uri"),
        ("POST", "/apps", json!({ "name": "n", "jwks_uri": "http://evil.example/" }), "jwks_uri"),
        ("POST", "/apps", json!({ "name": "n", "jwks_uri": "https://127.0.0.1/evil" }), "jwks_uri"),
        ("POST", "/apps", json!({ "name": "n", "jwks_uri": "evil" }), "jwks_uri"),
        ("POST", "/apps", json!({ "name": "n", "description": "x".repeat(501) }), "description"),
        ("POST", "/apps", json!({ "name": "n", "description": "evil\u{0}" }), "description"),
        ("POST", "/apps", json!({ "name": "n", "description": null }), "description"),
        ("POST", "/apps", json!({ "name": "n", "dpop_required": "evil" }), "dpop_required"),
        ("POST", "/apps", json!({ "name": "n", "dpop_required": null }), "dpop_required"),
        ("POST", "/apps", json!({ "name": "n", "allowed_networks": "10.0.0.0/8" }), "allowed_networks"),
        ("POST", "/apps", json!({ "name": "n", "allowed_networks": ["evil"] }), "allowed_networks"),
        ("POST", "/apps", json!({ "name": "n", "allowed_networks": ["10.0.0.7/8"] }), "allowed_networks"),
        ("POST", "/apps", json!({ "name": "n", "allowed_networks": null }), "allowed_networks"),
        ("PATCH", &app, json!({ "allowed_networks": vec!["192.0.2.7/99"] }), "allowed_networks"),
        ("PATCH", &app, json!({ "allowed_networks": null }), "allowed_networks"),
        ("PATCH", &app, json!({ "auth_method": "evil" }), "auth_method"),
        ("PATCH", &app, json!({ "auth_method": "client_secret", "jwks_uri": "https://a.example/" }), "auth_method"),
        ("PATCH", &app, json!({ "auth_method": "private_key_jwt" }), "jwks"),
        ("PATCH", &app, json!({ "jwks": null }), "jwks"),
        ("PATCH", &app, json!({ "jwks": { "keys": [private] } }), "jwks"),
        ("PATCH", &app, json!({ "jwks_uri": "https://169.254.169.254/evil" }), "jwks_uri"),
        ("PATCH", &app, json!({ "dpop_required": null }), "dpop_required"),
        ("PATCH", &app, json!({ "name": null }), "name"),
        ("PATCH", &app, json!({ "description": "evil\u{202e}" }), "description"),
        ("PATCH", &app, json!({ "scopes": null }), "scopes"),
        ("PATCH", &app, json!({ "scopes": ["evil:scope"] }), "scopes"),
        ("PATCH", &app, json!({ "enabled": "no" }), "enabled"),
        ("PATCH", &app, json!({ "enabled": null }), "enabled"),
        ("POST", &keys, json!({ "expires_in": 1 }), "expires_in"),
        ("POST", &keys, json!({ "expires_in": "0s" }), "expires_in"),
        ("POST", &rotate, json!({ "overlap": "-1h" }), "overlap"),
        ("POST", &rotate, json!({ "overlap": "1h", "expires_in": "0d" }), "expires_in"),
        ("POST", "/apis", json!({ "name": "n" }), "identifier"),
        ("POST", "/apis", json!({ "identifier": "urn:x" }), "name"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "evil" }), "identifier"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "https://x.example/#a" }), "identifier"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "urn:x", "alg": "none" }), "alg"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "urn:x", "alg": "HS256" }), "alg"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "urn:x", "profile": "evil" }), "profile"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "urn:x", "scopes": ["a"] }), "scopes"),
        ("POST", "/apis", json!({ "name": "n", "identifier": "urn:x", "scopes": [{ "name": "a b" }] }), "scopes"),
        (
            "POST",
            "/apis",
            json!({ "name": "n", "identifier": "urn:x", "scopes": [{ "name": "a", "evil": 1 }] }),
            "scopes",
        ),
        ("PATCH", &api, json!({ "alg": null }), "alg"),
        ("POST", &scopes, json!({ "name": "a\"b" }), "name"),
        ("POST", &scopes, json!({ "name": "a", "description": "x".repeat(501) }), "description"),
        ("POST", &scopes, json!({ "name": "a", "description": 1 }), "description"),
        ("POST", &scopes, json!({ "name": "a", "sensitive": "yes" }), "sensitive"),
        ("PATCH", &scope, json!({ "description": "x".repeat(501) }), "description"),
        ("PATCH", &scope, json!({ "description": null }), "description"),
        ("PATCH", &scope, json!({ "sensitive": 1 }), "sensitive"),
    ];
    let many = |count: usize| (0..count).map(|number| json!({ "name": format!("many:{number}") })).collect::<Vec<_>>();
    let too_many = json!({ "name": "n", "identifier": "urn:many", "scopes": many(1_001) });
    assert_eq!(problem(&scene.post("/apis", &too_many)), "400 invalid_request (scopes)");
    let full = scene.post("/apis", &json!({ "name": "n", "identifier": "urn:many", "scopes": many(1_000) }));
    let one_more = format!("/apis/{}/scopes", text(&full.assert_status(201).json(), "id"));
    assert_eq!(problem(&scene.post(&one_more, &json!({ "name": "one:more" }))), "400 invalid_request (name)");
    for (method, path, body, field) in cases {
        let answer = scene.send(method, path, &[], Some(body));
        assert_eq!(
            problem(&answer),
            format!("400 invalid_request ({field})"),
            "{method} {path} {body}: {}",
            answer.body
        );
        assert!(!answer.body.contains("evil"), "echoed: {}", answer.body);
    }
    assert_eq!(apps::list(&scene.app.management, "acme", None, 10).unwrap().len(), 1, "nothing was made");
    let admin = apps::show(&scene.app.management, ClientId::parse(&scene.admin.client_id).unwrap()).unwrap();
    assert_eq!((admin.app.name.as_str(), admin.app.scopes.len()), ("admin", super::ALL_SCOPES.len()));
    assert_eq!((admin.app.authentication, admin.app.dpop_required), (ClientAuthentication::ClientSecret, false));
}

#[test]
fn what_is_not_the_json_that_a_route_takes_is_refused() {
    let scene = scene();
    let app = format!("/apps/{}", scene.admin.client_id);
    let json = Some("application/json");
    let deep =
        format!("{{\"name\":\"n\",\"claims\":{{\"https://x.example\":{}{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
    let cases: &[(&str, Option<&str>, &[u8], &str)] = &[
        ("nothing", json, b"", "400 invalid_request"),
        ("nothing of no type", None, b"", "400 invalid_request"),
        ("not JSON", json, b"name=evil", "400 invalid_request"),
        ("cut off", json, b"{\"name\":\"evil", "400 invalid_request"),
        ("more behind it", json, b"{\"name\":\"evil\"} {}", "400 invalid_request"),
        ("null", json, b"null", "400 invalid_request"),
        ("a list", json, b"[{\"name\":\"evil\"}]", "400 invalid_request"),
        ("a text", json, b"\"evil\"", "400 invalid_request"),
        ("a number", json, b"1e999", "400 invalid_request"),
        ("deep", json, deep.as_bytes(), "400 invalid_request"),
        ("a member twice", json, b"{\"name\":\"evil\",\"name\":\"other\"}", "400 invalid_request"),
        ("a member twice, escaped", json, b"{\"name\":\"evil\",\"n\\u0061me\":\"other\"}", "400 invalid_request"),
        (
            "twice inside",
            json,
            b"{\"name\":\"n\",\"claims\":{\"https://a.example\":{\"evil\":1,\"evil\":2}}}",
            "400 invalid_request",
        ),
        ("unknown", json, b"{\"name\":\"n\",\"evil\":1}", "400 invalid_request"),
        (
            "unknown id",
            json,
            b"{\"name\":\"n\",\"client_id\":\"00000000-0000-4000-8000-000000000000\"}",
            "400 invalid_request",
        ),
        ("unknown organisation", json, b"{\"name\":\"n\",\"organisation\":\"evil\"}", "400 invalid_request"),
        ("not UTF-8", json, b"{\"name\":\"\xff\"}", "400 invalid_request"),
        ("half a surrogate", json, b"{\"name\":\"\\ud800\"}", "400 invalid_request"),
        ("no type", None, b"{\"name\":\"evil\"}", "415 unsupported_media_type"),
        ("a form", Some("application/x-www-form-urlencoded"), b"name=evil", "415 unsupported_media_type"),
        ("text", Some("text/plain"), b"{\"name\":\"evil\"}", "415 unsupported_media_type"),
        (
            "another charset",
            Some("application/json; charset=utf-16"),
            b"{\"name\":\"evil\"}",
            "415 unsupported_media_type",
        ),
        ("almost JSON", Some("application/jsonp"), b"{\"name\":\"evil\"}", "415 unsupported_media_type"),
    ];
    for (method, path) in [("POST", "/apps"), ("PATCH", app.as_str())] {
        for (what, content_type, octets, expected) in cases {
            let answer = raw(&scene, method, path, *content_type, octets);
            assert_eq!(problem(&answer), *expected, "{method} {what}: {}", answer.body);
            assert!(!answer.body.contains("evil"), "{what} is echoed: {}", answer.body);
        }
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
        assert_eq!(problem(&raw(&scene, method, path, json, large.as_bytes())), "413 content_too_large");
    }
    for fitting in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"] {
        raw(&scene, "PATCH", &app, Some(fitting), b"{\"name\":\"admin\"}").assert_status(200);
    }
    let compressed = scene.send("POST", "/apps", &[("content-encoding", "gzip")], Some(&json!({ "name": "n" })));
    assert_eq!(problem(&compressed), "415 unsupported_media_type");
    assert_eq!(apps::list(&scene.app.management, "acme", None, 10).unwrap().len(), 1, "nothing was made");
}

#[test]
fn errors_elsewhere_are_as_they_were() {
    let scene = scene();
    for (path, is_problem) in
        [("/nowhere", false), ("/api", false), ("/api/v10", false), ("/api/v1", true), ("/api/v1/nowhere", true)]
    {
        let answer = scene.app.get(path, &[]).assert_status(404);
        let expected = if is_problem { "application/problem+json" } else { "application/json" };
        assert_eq!(answer.header("content-type"), expected, "{path}");
        assert_eq!(answer.json().get("type").is_some(), is_problem, "{path}");
    }
}
