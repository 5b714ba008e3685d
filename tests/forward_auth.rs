//! `/connect/verify`: what a proxy is told about a request, and what it may hand on.

use std::time::Duration;

use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::{apps, organisations, revocation};
use insta::assert_snapshot;

use crate::support::http::{self, Answer};
use crate::support::process::{Server, data_directory, eventually};
use crate::support::{Credentials, TestApp, new_app};

const VERIFY: &str = "/connect/verify";
const BILLING: &str = "/connect/verify?aud=https://billing.example";

/// A server, and an app that may read bills.
fn server() -> (TestApp, Credentials) {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    (app, client)
}

/// Status and challenge of a refusal that has everything a refusal must have.
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    for name in ["x-auth-client-id", "x-auth-scope", "x-auth-subject", "x-auth-tenant"] {
        assert!(!answer.headers.contains_key(name), "{name} in a refusal");
    }
    format!("{} {}", answer.status.as_u16(), answer.header("www-authenticate"))
}

#[test]
fn a_good_token_is_answered_with_its_owner_in_headers() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read", "billing:write"]);
    app.create_api_with("acme", "urn:old", &["old:read", "old:write"], TokenProfile::Classic, SigningAlgorithm::Es256);
    let classic = app.create_app(&["old:read", "old:write"]);
    let no_scope = app.create_app(&[]);
    for (client, path, scope) in [
        (&client, BILLING, "billing:read billing:write"),
        (&client, "/connect/verify?aud=https://billing.example&scope=billing:write", "billing:read billing:write"),
        (&classic, "/connect/verify?aud=urn:old&scope=old:read+old:write", "old:read old:write"),
        (&no_scope, "/connect/verify?aud=http://127.0.0.1:8080/api/v1", ""),
    ] {
        let bearer = format!("Bearer {}", app.token(client));
        for method in ["GET", "HEAD", "POST"] {
            let answer = http::send(method, &format!("{}{path}", app.url), &[("authorization", &bearer)], None);
            let header = |name| answer.headers.get(name).unwrap().to_str().unwrap();
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, ""), "{method} {path}");
            assert_eq!(header("x-auth-client-id"), client.client_id);
            assert_eq!(header("x-auth-subject"), client.client_id);
            assert_eq!(header("x-auth-scope"), scope);
            assert_eq!(header("x-auth-tenant"), "acme");
            assert_eq!(header("cache-control"), "no-store");
        }
    }
}

#[test]
fn every_refusal_is_one_that_a_proxy_understands_and_has_a_challenge_to_hand_on() {
    let (app, client) = server();
    let token = app.token(&client);
    let (head, signature) = token.rsplit_once('.').unwrap();
    let mut short = new_app(&["billing:read"]);
    short.lifetime = Some(Duration::from_secs(2));
    let expired = app.token(&app.create_app_with("acme", short));
    app.clock.advance(Duration::from_secs(2));
    let good = format!("Bearer {token}");
    let other = |query: &str| format!("{VERIFY}?{query}");
    let cases: [(&str, &str, &[&str]); 17] = [
        ("no token", BILLING, &[]),
        ("another scheme", BILLING, &[&client.basic()]),
        ("empty", BILLING, &[""]),
        ("two headers", BILLING, &[&good, &good]),
        ("only the scheme", BILLING, &["Bearer"]),
        ("two tokens", BILLING, &[&format!("{good} {token}")]),
        ("malformed", BILLING, &["Bearer abc"]),
        ("unsigned", BILLING, &[&format!("Bearer {head}.")]),
        ("another's signature", BILLING, &[&format!("Bearer {}.{signature}", expired.rsplit_once('.').unwrap().0)]),
        ("expired", BILLING, &[&format!("Bearer {expired}")]),
        ("wrong audience", &other("aud=https://stock.example"), &[&good]),
        ("audience almost right", &other("aud=https://billing.example/"), &[&good]),
        ("wrong audience and scope", &other("aud=https://stock.example&scope=x"), &[&good]),
        ("scope missing", &other("aud=*&scope=billing:write"), &[&good]),
        ("one of two scopes missing", &other("aud=*&scope=billing:read%20billing:write"), &[&good]),
        ("another of two scopes missing", &other("aud=*&scope=billing:write&scope=billing:read"), &[&good]),
        ("scope almost right", &other("aud=*&scope=billing:rea"), &[&good]),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(what, path, values)| {
            let headers: Vec<(&str, &str)> = values.iter().map(|value| ("authorization", *value)).collect();
            let [get, head, post] = ["GET", "HEAD", "POST"]
                .map(|method| refusal(&http::send(method, &format!("{}{path}", app.url), &headers, None)));
            assert_eq!((&get, &get), (&head, &post), "{what}");
            format!("{what}: {get}")
        })
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    no token: 401 Bearer realm="brevet"
    another scheme: 401 Bearer realm="brevet"
    empty: 401 Bearer realm="brevet"
    two headers: 401 Bearer realm="brevet", error="invalid_request", error_description="There is more than one Authorization header."
    only the scheme: 401 Bearer realm="brevet", error="invalid_request", error_description="The Authorization header is malformed: write Bearer, a space and the token."
    two tokens: 401 Bearer realm="brevet", error="invalid_request", error_description="The Authorization header is malformed: write Bearer, a space and the token."
    malformed: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is malformed."
    unsigned: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token's signature is wrong."
    another's signature: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token's signature is wrong."
    expired: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token expired at 2026-11-22T00:00:02Z."
    wrong audience: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    audience almost right: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    wrong audience and scope: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    scope missing: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scope billing:write.", scope="billing:write"
    one of two scopes missing: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scopes billing:read billing:write.", scope="billing:read billing:write"
    another of two scopes missing: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scopes billing:write billing:read.", scope="billing:write billing:read"
    scope almost right: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scope billing:rea.", scope="billing:rea"
    "#);
}

#[test]
fn one_audience_of_several_suffices_but_every_scope_is_needed() {
    let app = TestApp::new();
    app.create_api("acme", "https://stock.example", &["stock:read"]);
    let both = app.token(&app.create_app(&["billing:read", "stock:read"]));
    let stock = app.token(&app.create_app(&["stock:read"]));
    for (query, of_both, of_stock) in [
        ("aud=https://stock.example", 200, 200),
        ("aud=https://billing.example", 200, 401),
        ("aud=https://billing.example&aud=https%3A%2F%2Fstock.example", 200, 200),
        ("aud=https://billing.example&aud=https://other.example", 200, 401),
        ("aud=https://billing.example+https://stock.example", 401, 401),
        ("aud=*", 200, 200),
        ("aud=*&scope=stock:read", 200, 200),
        ("aud=*&scope=stock:read+billing:read", 200, 403),
        ("aud=*&scope=stock:read&scope=billing:read", 200, 403),
        ("aud=https://stock.example&scope=billing:read", 200, 403),
    ] {
        let path = format!("{VERIFY}?{query}");
        let status = |token| app.get_with_token(&path, token).status.as_u16();
        assert_eq!((status(&both), status(&stock)), (of_both, of_stock), "{query}");
    }
}

#[test]
fn a_check_that_does_not_say_clearly_what_to_demand_lets_nobody_in() {
    let (app, client) = server();
    let token = app.token(&client);
    app.get_with_token(BILLING, &token).assert_status(200);
    for query in [
        "",
        "?",
        "?scope=billing:read",
        "?aud=",
        "?aud",
        "?audience=https://billing.example",
        "?Aud=https://billing.example",
        "?aud=https://billing.example&aud=",
        "?aud=https://billing.example&scope=",
        "?aud=https://billing.example&scopes=billing:write",
        "?aud=https://billing.example&scope=billing:read,%22",
        "?aud=https://billing.example&access_token=x",
        "?aud=https://billing.example%",
    ] {
        let path = format!("{VERIFY}{query}");
        let answer = app.get_with_token(&path, &token);
        let refused = refusal(&answer);
        assert!(refused.starts_with("403 Bearer realm=\"brevet\", error=\"invalid_request\""), "{query}: {refused}");
        assert_eq!(answer.error(), "invalid_request");
        assert!(!answer.body.contains("billing") && !refused.contains("billing"), "{query} is echoed");
        assert_eq!(refusal(&app.get(&path, &[])), refused, "without a token, so that its author sees it at once");
    }
    let answer = app.get_with_token(VERIFY, &token);
    assert_snapshot!(answer.json()["error_description"].as_str().unwrap(), @"This check does not say for which API: add ?aud= and the API's identifier, or aud=* for any.");
}

#[test]
fn the_log_says_why_a_check_is_not_clear() {
    let data = data_directory();
    let server = Server::start(data.path());
    server.get("/connect/verify?audience=https://billing.example").assert_status(403);
    let line = eventually(Duration::from_secs(30), "the log line", || {
        server.log().lines().find(|line| line.contains(VERIFY)).map(str::to_owned)
    });
    assert!(line.contains("error=invalid_request") && line.contains("it takes aud, scope and dpop"), "{line}");
}

#[test]
fn what_a_client_writes_elsewhere_does_not_decide() {
    let (app, client) = server();
    let token = app.token(&client);
    let bearer = format!("Bearer {token}");
    for (name, value) in [
        ("cookie", &*format!("access_token={token}; Authorization={bearer}")),
        ("proxy-authorization", &*bearer),
        ("x-forwarded-authorization", &*bearer),
        ("x-original-authorization", &*bearer),
        ("x-forwarded-access-token", &*token),
        ("x-forwarded-uri", &*format!("/?access_token={token}")),
        ("x-original-uri", &*format!("/?access_token={token}")),
        ("x-original-url", "/livez"),
        ("x-rewrite-url", "/livez"),
        ("x-auth-client-id", &*client.client_id),
    ] {
        let alone = app.get(BILLING, &[(name, value)]);
        assert_eq!(refusal(&alone), "401 Bearer realm=\"brevet\"", "{name}");
    }
    for (name, value) in [
        ("x-forwarded-uri", "/connect/verify?aud=https://other.example"),
        ("x-original-uri", "/connect/verify"),
        ("x-original-url", "/nowhere"),
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-host", "evil.example"),
        ("x-http-method-override", "DELETE"),
        ("x-auth-client-id", "somebody"),
        ("x-auth-scope", "billing:write"),
    ] {
        let answer = app.get(BILLING, &[("authorization", &bearer), (name, value)]).assert_status(200);
        assert_eq!(answer.header("x-auth-client-id"), client.client_id, "{name}");
        assert_eq!(answer.header("x-auth-scope"), "billing:read", "{name}");
        let write = format!("{BILLING}&scope=billing:write");
        app.get(&write, &[("authorization", &bearer), (name, value)]).assert_status(403);
    }
}

#[test]
fn other_methods_are_refused_and_a_body_is_not_read() {
    let (app, client) = server();
    let bearer = format!("Bearer {}", app.token(&client));
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        let answer = http::send(method, &format!("{}{BILLING}", app.url), &[("authorization", &bearer)], None);
        assert_eq!(answer.assert_status(405).header("allow"), "GET, HEAD, POST", "{method}");
    }
    let request = |length: &str, body: &str| {
        let head =
            format!("POST {BILLING} HTTP/1.1\r\nHost: id.example\r\nAuthorization: {bearer}\r\n{length}\r\n\r\n");
        http::raw(app.address(), format!("{head}{body}").as_bytes())
    };
    // The body, or the part of it that came, is not taken for the next request.
    let next = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: id.example\r\n\r\n";
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (what, length, body) in [
        ("a form", format!("{kind}Content-Length: 23"), "aud=x&scope=billing:abc".to_owned()),
        ("a request", format!("Content-Length: {}", next.len()), next.to_owned()),
        ("more than a form may be", "Content-Length: 1000000".to_owned(), "x".repeat(1_000_000)),
        ("a body that never comes", "Content-Length: 1000000000".to_owned(), next.to_owned()),
        ("chunks without an end", "Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{next}\r\n", next.len())),
    ] {
        let answer = request(&length, &body);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{what}: {answer}");
        assert!(!answer.contains("\"keys\""), "{what}: {answer}");
    }
}

#[test]
fn a_token_is_refused_as_soon_as_the_guard_refuses_it() {
    let app = TestApp::new();
    let [disabled, revoked, suspended] = [(); 3].map(|()| app.create_app(&["billing:read"]));
    let tokens = [&disabled, &revoked, &suspended].map(|client| app.token(client));
    let statuses = || {
        app.catch_up();
        tokens.each_ref().map(|token| {
            let status = app.get_with_token(BILLING, token).status.as_u16();
            assert_eq!(app.get_with_token("/api/v1/whoami", token).status.as_u16(), status);
            status
        })
    };
    assert_eq!(statuses(), [200, 200, 200]);
    apps::set_enabled(&app.management, disabled.id(), false).unwrap();
    assert_eq!(statuses(), [401, 200, 200]);
    revocation::revoke(&app.management, &tokens[1]).unwrap();
    assert_eq!(statuses(), [401, 401, 200]);
    organisations::set_enabled(&app.management, "acme", false).unwrap();
    assert_eq!(statuses(), [401, 401, 401]);
    organisations::set_enabled(&app.management, "acme", true).unwrap();
    assert_eq!(statuses(), [401, 401, 200]);
    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(statuses(), [401, 401, 401], "expired");
}

#[test]
fn no_spelling_of_the_path_lets_anybody_in() {
    let (app, _) = server();
    for path in [
        BILLING,
        "//connect/verify?aud=*",
        "/connect//verify?aud=*",
        "/./connect/verify?aud=*",
        "/connect/verify/?aud=*",
        "/connect/verify;a=b?aud=*",
        "/connect%2fverify?aud=*",
        "/connect/%76erify?aud=*",
        "/connect/verify%00?aud=*",
        "/connect/verify.json?aud=*",
        "/CONNECT/VERIFY?aud=*",
        "/connect/verify#?aud=*",
        "http://evil.example/connect/verify?aud=*",
        "/static/../connect/verify?aud=*",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = http::raw(app.address(), head.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path}: {answer}");
        }
    }
}

#[test]
fn while_nothing_can_be_known_nobody_gets_in() {
    let app = TestApp::with(&[("stale-limit", "1s")]);
    let client = app.create_app(&["billing:read"]);
    let token = eventually(Duration::from_secs(30), "a token", || {
        app.catch_up();
        let answer = app.token_request(&[], &client.form());
        (answer.status == 200).then(|| answer.json()["access_token"].as_str().unwrap().to_owned())
    });
    let answer = eventually(Duration::from_secs(30), "the limit", || {
        let answer = app.get_with_token(BILLING, &token);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refusal(&answer).as_str(), answer.header("retry-after")), ("503 ", "2"));
    app.get(BILLING, &[]).assert_status(401);
}
