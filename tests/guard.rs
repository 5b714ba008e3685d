//! The guard of the resource routes ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)): who gets in, and what the
//! others are told.

use std::net::TcpListener;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::{apps, import, organisations, revocation};
use hmac::{Hmac, KeyInit, Mac};
use insta::assert_snapshot;
use rsa::BigUint;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::http::{self, Answer};
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app};

const WHOAMI: &str = "/api/v1/whoami";
const APPS: &str = "/api/v1/apps";

/// A server, and an app that may see apps.
fn server() -> (TestApp, Credentials) {
    let app = TestApp::new();
    let client = app.create_app(&["apps:read", "billing:read"]);
    (app, client)
}

/// Status and challenge of a refusal that has everything a refusal must have.
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["detail", "error", "error_description", "request_id", "status", "title", "type"]);
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    let challenge = answer.header("www-authenticate");
    let (challenge, metadata) = challenge.split_once(", resource_metadata=").unwrap_or((challenge, ""));
    assert_eq!(metadata, "\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\"");
    if let Some((_, error)) = challenge.split_once("error=\"") {
        assert!(error.starts_with(&answer.error()), "header and body differ: {challenge}, {}", answer.body);
    }
    format!("{} {challenge}", answer.status.as_u16())
}

/// A token with these claims changed, signed by the server's own key.
fn signed_by_the_server(app: &TestApp, token: &str, changes: &Value) -> String {
    let (_, mut claims) = decode_jwt(token);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let ring = app.authority.directory.ring();
    ring.sign(SigningAlgorithm::Rs256, TokenProfile::Rfc9068, &claims, START).unwrap()
}

/// The body without what differs from one request to the next.
fn without_request_id(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["request_id"].take();
    body
}

#[test]
fn no_token_is_answered_with_a_challenge_without_an_error() {
    let (app, client) = server();
    for path in [WHOAMI, APPS, &format!("{APPS}/{}", client.client_id)] {
        let answer = app.get(path, &[]);
        assert_eq!(refusal(&answer), "401 Bearer realm=\"brevet\"", "{path}");
    }
    let basic = app.get(WHOAMI, &[("authorization", &client.basic())]);
    assert_eq!(refusal(&basic), "401 Bearer realm=\"brevet\"", "another scheme is no token");
}

#[test]
fn an_expired_token_is_refused_with_a_challenge_and_a_fresh_one_works() {
    let app = TestApp::new();
    let mut short = new_app(&["billing:read"]);
    short.lifetime = Some(Duration::from_secs(2));
    let client = app.create_app_with("acme", short);
    let token = app.token(&client);
    app.get_with_token(WHOAMI, &token).assert_status(200);

    app.clock.advance(Duration::from_secs(1));
    app.get_with_token(WHOAMI, &token).assert_status(200);
    app.clock.advance(Duration::from_secs(1));

    let answer = app.get_with_token(WHOAMI, &token).assert_status(401);
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"brevet\", error=\"invalid_token\", error_description=\"The access token expired at \
         2026-11-22T00:00:02Z.\", resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\""
    );
    let fresh = app.token(&client);
    app.get_with_token(WHOAMI, &fresh).assert_status(200);
}

#[test]
fn a_refusal_says_which_check_failed() {
    let (app, client) = server();
    let token = app.token(&client);
    let only_billing = app.token(&app.create_app(&["billing:read"]));
    let no_scope = app.token(&app.create_app(&[]));
    let changed = |changes: Value| signed_by_the_server(&app, &token, &changes);
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let unknown_key = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"unknown","typ":"at+jwt"}"#);
    let other_payload = URL_SAFE_NO_PAD.encode(decode_jwt(&token).1.to_string());
    assert_ne!(other_payload, payload);
    app.get_with_token(APPS, &changed(json!({}))).assert_status(200);
    let cases = [
        ("malformed", WHOAMI, "abc".to_owned()),
        ("wrong signature", WHOAMI, format!("{header}.{other_payload}.{signature}")),
        ("unknown key", WHOAMI, format!("{unknown_key}.{payload}.{signature}")),
        ("wrong issuer", WHOAMI, changed(json!({ "iss": "https://evil.example" }))),
        ("expired", WHOAMI, changed(json!({ "exp": START.seconds() }))),
        ("not yet valid", WHOAMI, changed(json!({ "nbf": START.seconds() + 1 }))),
        ("another tenant's", WHOAMI, changed(json!({ "tenant": "globex" }))),
        ("unknown client", WHOAMI, changed(json!({ "client_id": "00000000-0000-4000-8000-000000000000" }))),
        ("no client", WHOAMI, changed(json!({ "client_id": "root" }))),
        ("wrong audience", APPS, only_billing),
        ("audience almost right", APPS, changed(json!({ "aud": "http://127.0.0.1:8080/api/v1/" }))),
        ("scope missing", APPS, no_scope),
        ("scope almost right", APPS, changed(json!({ "scope": "apps:reads apps Apps:Read" }))),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(what, path, token)| format!("{what}: {}", refusal(&app.get_with_token(path, token))))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    malformed: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is malformed."
    wrong signature: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token's signature is wrong."
    unknown key: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token was signed with a key that is not published."
    wrong issuer: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is from another issuer."
    expired: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token expired at 2026-11-22T00:00:00Z."
    not yet valid: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not valid before 2026-11-22T00:00:01Z."
    another tenant's: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token was revoked, or its client was disabled."
    unknown client: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token was revoked, or its client was disabled."
    no client: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is malformed."
    wrong audience: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    audience almost right: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    scope missing: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scope apps:read.", scope="apps:read"
    scope almost right: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scope apps:read.", scope="apps:read"
    "#);
}

#[test]
fn the_scheme_is_read_in_any_case_and_with_any_spaces() {
    let (app, client) = server();
    let token = app.token(&client);
    for header in
        [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER {token}"), format!("bEaReR    {token}")]
    {
        let answer = app.get(WHOAMI, &[("authorization", &header)]);
        assert_eq!(answer.status, 200, "{header}");
    }
}

#[test]
fn a_malformed_header_is_refused_and_told_so() {
    let (app, client) = server();
    let token = app.token(&client);
    let malformed = "400 Bearer realm=\"brevet\", error=\"invalid_request\", error_description=\"The Authorization \
                     header is malformed: write Bearer, a space and the token.\"";
    for (what, header) in [
        ("only the scheme", "Bearer".to_owned()),
        ("nothing behind the scheme", "Bearer ".to_owned()),
        ("in quotes", format!("Bearer \"{token}\"")),
        ("in brackets", format!("Bearer <{token}>")),
        ("two tokens", format!("Bearer {token} {token}")),
        ("two tokens in a list", format!("Bearer {token},{token}")),
        ("two headers in one", format!("Bearer {token}, Bearer {token}")),
        ("as a parameter", format!("Bearer token=\"{token}\"")),
        ("with a parameter", format!("Bearer {token}; realm=brevet")),
        ("JSON", format!("Bearer {{\"token\":\"{token}\"}}")),
        ("a tab behind the scheme", format!("Bearer \t{token}")),
        ("an octet above ASCII", format!("Bearer {token}é")),
        ("a percent sign", format!("Bearer {token}%")),
        ("the scheme twice", format!("Bearer Bearer {token}")),
    ] {
        let head = format!(
            "GET {WHOAMI} HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
        );
        let answer = http::raw(app.address(), head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        if header.is_ascii() && !header.ends_with(' ') && !header.contains('\t') {
            assert_eq!(refusal(&app.get(WHOAMI, &[("authorization", &header)])), malformed, "{what}");
        }
    }
    for (what, header) in [
        ("no scheme", token.clone()),
        ("no space", format!("Bearer{token}")),
        ("a colon", format!("Bearer: {token}")),
        ("a tab for the space", format!("Bearer\t{token}")),
        ("another scheme", format!("Token {token}")),
        ("empty", String::new()),
    ] {
        let answer = app.get(WHOAMI, &[("authorization", &header)]);
        assert_eq!(refusal(&answer), "401 Bearer realm=\"brevet\"", "{what}");
    }
    for octets in [&b"Bearer \xff\xfe"[..], b"Bearer a\x01b", b"Bearer a\0b", b"\xff"] {
        let head = format!("GET {WHOAMI} HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\nAuthorization: ");
        let answer = http::raw(app.address(), &[head.as_bytes(), octets, b"\r\n\r\n"].concat());
        assert!(answer.starts_with("HTTP/1.1 40"), "{octets:?}: {answer}");
    }
    let good = format!("Bearer {token}");
    for second in [good.as_str(), "Bearer x", "Basic eDp5", ""] {
        let answer = app.get(WHOAMI, &[("authorization", &good), ("authorization", second)]);
        let expected = "400 Bearer realm=\"brevet\", error=\"invalid_request\", error_description=\"There is more than one \
                        Authorization header.\"";
        assert_eq!(refusal(&answer), expected, "{second}");
    }
}

#[test]
fn a_token_anywhere_but_in_the_header_is_not_taken() {
    let (app, client) = server();
    let token = app.token(&client);
    let good = format!("Bearer {token}");
    let in_query = "400 Bearer realm=\"brevet\", error=\"invalid_request\", error_description=\"Send the token in the \
                    Authorization header, not in the URL.\"";
    for query in ["access_token=", "x=1&access_token=", "access%5Ftoken="] {
        let path = format!("{WHOAMI}?{query}{token}");
        assert_eq!(refusal(&app.get(&path, &[])), in_query, "{query}");
        assert_eq!(refusal(&app.get(&path, &[("authorization", &good)])), in_query, "{query} and in the header");
    }
    for (name, value) in [
        ("cookie", &*format!("access_token={token}; FlexiCaptureTmpPrn={token}")),
        ("x-access-token", &*token),
        ("x-authorization", &*good),
        ("x-forwarded-access-token", &*token),
        ("x-original-authorization", &*good),
        ("proxy-authorization", &*good),
        ("x-api-key", &*token),
        ("x-user", &*client.client_id),
        ("authenticate", &*good),
    ] {
        assert_eq!(refusal(&app.get(WHOAMI, &[(name, value)])), "401 Bearer realm=\"brevet\"", "{name}");
    }
    let answer = http::post_form(&format!("{}{WHOAMI}", app.url), &[], &format!("access_token={token}"));
    assert_eq!(answer.assert_status(405).header("allow"), "GET, HEAD");
    let form = Some(format!("access_token={token}"));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = http::send("GET", &format!("{}{WHOAMI}", app.url), &headers, form.as_deref().map(str::as_bytes));
    assert_eq!(refusal(&answer), "401 Bearer realm=\"brevet\"", "in the body of a GET");
}

/// `header.claims.signature`, with the last part made by `sign`.
fn forged(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign(signed.as_bytes())))
}

#[test]
fn no_forgery_is_accepted_and_nothing_is_fetched_for_one() {
    let (app, client) = server();
    let token = app.token(&client);
    let other = app.token(&client);
    app.get_with_token(WHOAMI, &token).assert_status(200);
    let (header, mut claims) = decode_jwt(&token);
    claims["scope"] = json!("apps:read evil-marker");
    let parts: Vec<&str> = token.split('.').collect();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let true_signature = |_: &[u8]| URL_SAFE_NO_PAD.decode(signature).unwrap();
    let no_signature = |_: &[u8]| Vec::new();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let mut forgeries: Vec<(String, String)> = Vec::new();

    // Unsigned, in every spelling.
    for alg in
        [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(" none"), json!(""), json!(null), json!(0)]
    {
        forgeries.push((format!("alg {alg}, no signature"), forged(&with("alg", alg.clone()), &claims, no_signature)));
        forgeries.push((format!("alg {alg}, a signature"), forged(&with("alg", alg), &claims, true_signature)));
    }

    // The public key as the secret of an HMAC.
    let jwks = app.get("/.well-known/jwks.json", &[]).body;
    let jwk: Value = serde_json::from_str::<Value>(&jwks).unwrap()["keys"][0].clone();
    let number = |name: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    let public = rsa::RsaPublicKey::new(number("n"), number("e")).unwrap();
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    for (what, secret) in [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
        ("PEM with other line breaks", public.to_public_key_pem(LineEnding::CRLF).unwrap().into_bytes()),
        ("DER", public.to_public_key_der().unwrap().as_bytes().to_vec()),
        ("PKCS #1 in PEM", public.to_pkcs1_pem(LineEnding::LF).unwrap().into_bytes()),
        ("PKCS #1 in DER", public.to_pkcs1_der().unwrap().as_bytes().to_vec()),
        ("JWKS", jwks.clone().into_bytes()),
        ("JWK", jwk.to_string().into_bytes()),
        ("modulus", public.n().to_bytes_be()),
        ("modulus as text", jwk["n"].as_str().unwrap().as_bytes().to_vec()),
        ("kid", jwk["kid"].as_str().unwrap().as_bytes().to_vec()),
        ("App Key", client.secret.clone().into_bytes()),
        ("nothing", Vec::new()),
    ] {
        let sign = |message: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        };
        forgeries.push((format!("HS256 with {what}"), forged(&with("alg", json!("HS256")), &claims, sign)));
        forgeries.push((format!("RS256 with an HMAC of {what}"), forged(&header, &claims, sign)));
    }

    // Another algorithm over the same key, or another way of writing the right one.
    for alg in ["RS384", "RS512", "PS256", "PS384", "ES256", "EdDSA", "rs256", "RS256 ", "RSASSA", "A256GCM"] {
        forgeries.push((format!("alg {alg}"), forged(&with("alg", json!(alg)), &decode_jwt(&token).1, true_signature)));
    }

    // A key of the forger's own, which the header offers or names.
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", trap.local_addr().unwrap());
    let own = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
    let pair = RsaKeyPair::from_pkcs8(own.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    let own_signature = |message: &[u8]| {
        let mut signature = vec![0; 256];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let own_jwk = json!({
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "own",
        "n": URL_SAFE_NO_PAD.encode(own.n().to_bytes_be()), "e": "AQAB",
    });
    let mut none = header.clone();
    none.as_object_mut().unwrap().remove("kid");
    for (what, header) in [
        ("the server's kid", header.clone()),
        ("no kid", none.clone()),
        ("its own kid", with("kid", json!("own"))),
        ("its key in jwk", with("jwk", own_jwk.clone())),
        ("its key in jwk, no kid", {
            let mut none = none;
            none["jwk"] = own_jwk.clone();
            none
        }),
        ("its key in jwk and its kid", json!({ "alg": "RS256", "typ": "at+jwt", "kid": "own", "jwk": own_jwk })),
        ("its address in jku", with("jku", json!(url))),
        ("its address in jku and its kid", json!({ "alg": "RS256", "typ": "at+jwt", "kid": "own", "jku": url })),
        ("its address in x5u", with("x5u", json!(url))),
        ("its address as kid", with("kid", json!(url))),
        ("a certificate in x5c", with("x5c", json!(["MIIB"]))),
        ("a thumbprint", with("x5t#S256", json!("AAAA"))),
    ] {
        forgeries.push((format!("the forger's key: {what}"), forged(&header, &claims, own_signature)));
    }

    // The right signature over something else.
    for (name, value) in [
        ("exp", json!(START.seconds() + 999_999_999)),
        ("client_id", json!("root")),
        ("sub", json!("root")),
        ("scope", json!("apps:read apps:write")),
        ("tenant", json!("globex")),
        ("aud", json!(["http://127.0.0.1:8080/api/v1", "https://evil.example"])),
        ("jti", json!("another")),
        ("admin", json!(true)),
    ] {
        let (header, mut claims) = decode_jwt(&token);
        claims[name] = value;
        forgeries.push((format!("changed {name}"), forged(&header, &claims, true_signature)));
    }
    let other_parts: Vec<&str> = other.split('.').collect();
    for (what, token) in [
        ("another token's signature", format!("{signed}.{}", other_parts[2])),
        ("another token's claims", format!("{}.{}.{}", parts[0], other_parts[1], parts[2])),
        ("claims before header", format!("{}.{}.{}", parts[1], parts[0], parts[2])),
        ("no signature", format!("{signed}.")),
        ("half a signature", format!("{signed}.{}", &signature[..170])),
        ("a signature and more", format!("{token}AAAA")),
        ("no header", format!(".{}.{}", parts[1], parts[2])),
        ("a dot more", format!("{token}.")),
        ("two parts", signed.to_owned()),
        ("five parts, as an encrypted one", format!("{token}.{}.{}", parts[1], parts[2])),
        ("the App Key", client.secret.clone()),
        ("the App SID", client.client_id.clone()),
        ("the jti", decode_jwt(&token).1["jti"].as_str().unwrap().to_owned()),
        ("a word", "null".to_owned()),
        ("30 kB", "A".repeat(30_000)),
    ] {
        forgeries.push((what.to_owned(), token));
    }

    // Names of keys.
    for kid in [
        json!("../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!("/dev/null"),
        json!("%00"),
        json!(""),
        json!(null),
        json!(0),
        json!([header["kid"]]),
        json!(format!("{} ", header["kid"].as_str().unwrap())),
        json!(header["kid"].as_str().unwrap().to_lowercase()),
        json!("k".repeat(5_000)),
    ] {
        let what = kid.to_string();
        forgeries.push((format!("kid {what:.40}"), forged(&with("kid", kid), &decode_jwt(&token).1, true_signature)));
    }

    // What another server issued.
    let elsewhere = TestApp::new();
    forgeries.push(("another server's".to_owned(), elsewhere.token(&elsewhere.create_app(&["billing:read"]))));

    assert!(forgeries.len() >= 60);
    for (what, token) in &forgeries {
        let answer = app.get_with_token(WHOAMI, token);
        let refused = refusal(&answer);
        assert!(refused.starts_with("401 Bearer realm=\"brevet\", error=\"invalid_token\""), "{what}: {refused}");
        let echoed = format!("{:?}{}", answer.headers, answer.body);
        assert!(!echoed.contains("evil") && !echoed.contains(&client.client_id), "{what}: {echoed}");
    }
    assert!(trap.accept().is_err(), "an address in a header was fetched");
    app.get_with_token(WHOAMI, &token).assert_status(200);
}

#[test]
fn whoami_says_what_the_token_says() {
    let (app, client) = server();
    let answer = app.get_with_token(WHOAMI, &app.token(&client)).assert_status(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_snapshot!(answer.body.replace(&client.client_id, "app-sid"), @r#"{"client_id":"app-sid","app_name":"robot","tenant":"acme","scope":"apps:read billing:read","aud":["http://127.0.0.1:8080/api/v1","https://billing.example"],"iss":"http://127.0.0.1:8080","issued_at":1795305595,"expires_at":1795392000,"sub":"app-sid","act":null}"#);
    let head = http::send(
        "HEAD",
        &format!("{}{WHOAMI}", app.url),
        &[("authorization", &format!("Bearer {}", app.token(&client)))],
        None,
    );
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
}

#[test]
fn a_token_sees_the_apps_of_its_organisation_and_no_others() {
    let (app, client) = server();
    let sibling = app.create_app(&["billing:read"]);
    app.create_organisation("globex");
    let foreign = app.create_app_with("globex", new_app(&["apps:read"]));
    let token = app.token(&client);

    let shown = app.get_with_token(&format!("{APPS}/{}", sibling.client_id), &token).assert_status(200);
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_snapshot!(shown.body.replace(&sibling.client_id, "app-sid"), @r#"{"client_id":"app-sid","name":"robot","description":"","scopes":["billing:read"],"status":"active","created_at":"2026-11-22T00:00:00Z","last_used_at":null,"lifetime":null,"claims":{},"auth_method":"client_secret","jwks":null,"jwks_uri":null,"dpop_required":false,"allowed_networks":[],"token_exchange":false}"#);
    let list = app.get_with_token(APPS, &token).assert_status(200).json();
    let mut ids: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|app| app["client_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let mut expected = [&*client.client_id, &*sibling.client_id];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let theirs = app.get_with_token(APPS, &app.token(&foreign)).assert_status(200).json();
    assert_eq!(theirs["items"].as_array().unwrap().len(), 1);

    let unknown =
        app.get_with_token(&format!("{APPS}/00000000-0000-4000-8000-000000000000"), &token).assert_status(404);
    for (what, id) in [
        ("another organisation's", foreign.client_id.clone()),
        ("in upper case", sibling.client_id.to_uppercase()),
        ("without hyphens", sibling.client_id.replace('-', "")),
        ("not an id", "robot".to_owned()),
        ("a path", "..%2f..%2fwhoami".to_owned()),
        ("SQL", "'%20OR%201=1".to_owned()),
        ("not UTF-8", "%ff".to_owned()),
    ] {
        let answer = app.get_with_token(&format!("{APPS}/{id}"), &token);
        assert_eq!(answer.status, 404, "{what}: {}", answer.body);
        assert_eq!(without_request_id(&answer), without_request_id(&unknown), "{what}");
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&unknown), "{what}");
    }
}

#[test]
fn a_token_dies_with_its_app_its_organisation_or_by_itself() {
    let app = TestApp::new();
    let revoked = "401 Bearer realm=\"brevet\", error=\"invalid_token\", error_description=\"The access token was revoked, \
                   or its client was disabled.\"";
    let (disabled, deleted, suspended) =
        (app.create_app(&["apps:read"]), app.create_app(&["apps:read"]), app.create_app(&["apps:read"]));
    let tokens = [&disabled, &deleted, &suspended].map(|client| app.token(client));
    let [of_disabled, of_deleted, of_suspended] = &tokens;
    let expect = |token: &str, alive: bool, what: &str| {
        app.catch_up();
        for path in [WHOAMI, APPS] {
            let answer = app.get_with_token(path, token);
            if alive {
                assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            } else {
                assert_eq!(refusal(&answer), revoked, "{what}");
            }
        }
    };
    for token in &tokens {
        expect(token, true, "before");
    }
    apps::set_enabled(&app.management, disabled.id(), false).unwrap();
    expect(of_disabled, false, "the app disabled");
    apps::delete(&app.management, deleted.id()).unwrap();
    expect(of_deleted, false, "the app deleted");
    expect(of_suspended, true, "another app's");
    let second = app.token(&suspended);
    revocation::revoke(&app.management, &second).unwrap();
    expect(&second, false, "the token revoked");
    expect(of_suspended, true, "another token of the same app");
    organisations::set_enabled(&app.management, "acme", false).unwrap();
    expect(of_suspended, false, "the organisation disabled");
    organisations::set_enabled(&app.management, "acme", true).unwrap();
    expect(of_suspended, true, "the organisation enabled");
    expect(&second, false, "a revoked token stays revoked");
}

#[test]
fn a_token_is_good_until_the_second_before_exp() {
    let (app, client) = server();
    let token = app.token(&client);
    for (seconds, status) in [(0, 200), (86_399, 200), (1, 401), (1, 401), (86_400 * 365, 401)] {
        app.clock.advance(Duration::from_secs(seconds));
        // Some tokens are remembered once verified: asked twice, the answer is the same.
        for _ in 0..2 {
            app.get_with_token(WHOAMI, &token).assert_status(status);
        }
    }
}

#[test]
fn no_spelling_of_a_path_gets_around_the_guard() {
    let (app, client) = server();
    let one = format!("{APPS}/{}", client.client_id);
    for path in [
        WHOAMI,
        APPS,
        &one,
        "//api/v1/whoami",
        "/api//v1/whoami",
        "/api/v1//whoami",
        "/./api/v1/whoami",
        "/api/./v1/whoami",
        "/api/v1/./whoami",
        "/api/v1/x/../whoami",
        "/static/../api/v1/whoami",
        "/static/..%2fapi/v1/whoami",
        "/..;/api/v1/whoami",
        "/api/v1/whoami/",
        "/api/v1/whoami;",
        "/api/v1/whoami;a=b",
        "/api/v1;a=b/whoami",
        "/api/v1/whoami.json",
        "/api/v1/whoami%20",
        "/api/v1/whoami%00",
        "/api/v1/whoami%2f",
        "/api/v1%2fwhoami",
        "/api%2fv1%2fwhoami",
        "/%61pi/v1/whoami",
        "/api/v1/%77hoami",
        "/api/v1/%2577hoami",
        "/api/v1/whoami?",
        "/api/v1/whoami?x=/livez",
        "/api/v1/whoami#/livez",
        "/API/V1/WHOAMI",
        "/Api/V1/WhoAmI",
        "\\api\\v1\\whoami",
        "/api\\v1\\whoami",
        "/api/v1/whoami/../../../docs/errors",
        "http://127.0.0.1/api/v1/whoami",
        "http://evil.example/api/v1/whoami",
        "/api/v1/apps/",
        "/api/v1/apps//",
        "/api/v1/apps/%2e%2e/whoami",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = http::raw(app.address(), head.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path}: {answer}");
            assert!(!answer.contains(&client.client_id), "{method} {path}: {answer}");
        }
    }
    for header in ["x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-prefix", "x-http-method-override"]
    {
        for path in ["/", "/docs/errors", "/nowhere"] {
            let answer = app.get(path, &[(header, WHOAMI)]);
            assert!(!answer.body.contains("\"client_id\""), "{header} at {path}: {}", answer.body);
        }
    }
}

#[test]
fn the_tokens_of_a_deleted_app_stay_dead_when_its_id_is_imported_again() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let old = app.token(&client);
    apps::delete(&app.management, client.id()).unwrap();
    app.clock.advance(Duration::from_secs(5));
    let line = format!(r#"{{"name":"again","client_id":"{}","client_secret":"{}"}}"#, client.client_id, client.secret);
    let mut imported = 0;
    import::import(&app.management, "acme", &mut line.as_bytes(), &mut |result| imported += u32::from(result.is_ok()))
        .unwrap();
    assert_eq!(imported, 1);
    app.catch_up();

    app.get_with_token("/api/v1/whoami", &old).assert_status(401);
    let new = app.token(&client);
    app.get_with_token("/api/v1/whoami", &new).assert_status(200);
}
