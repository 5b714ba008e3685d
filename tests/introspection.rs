//! Introspection ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), also as a JWT ([RFC
//! 9701](https://www.rfc-editor.org/rfc/rfc9701)): who may ask, and what they are told. Checks 64 to 69 and 112 to 117.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::trusted_issuers::StandsFor;
use brevet::service::{apps, cut_offs, organisations, revocation};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::process::eventually;
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app};
use crate::trusted_issuers::{self, Stage};

const INTROSPECT: &str = "/connect/introspect";
const REVOKE: &str = "/connect/revocation";
const JWT: &str = "application/token-introspection+jwt";
const INACTIVE: &str = r#"{"active":false}"#;

/// A token that is the server's own in every respect but these claims.
fn signed(app: &TestApp, token: &str, changes: &Value) -> String {
    let (_, mut claims) = decode_jwt(token);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    app.authority.directory.ring().sign(SigningAlgorithm::Rs256, TokenProfile::Rfc9068, &claims, START).unwrap()
}

/// What the asker hears, in both formats, which must agree.
fn heard(app: &TestApp, asker: &Credentials, token: &str) -> Value {
    let plain = app.introspect(asker, token).assert_status(200);
    assert_eq!(plain.header("content-type"), "application/json");
    assert_eq!(plain.header("cache-control"), "no-store");
    let basic = asker.basic();
    let headers = [("authorization", basic.as_str()), ("accept", JWT)];
    let signed = app.post(INTROSPECT, &headers, &format!("token={token}")).assert_status(200);
    assert_eq!(signed.header("content-type"), JWT);
    assert_eq!(signed.header("cache-control"), "no-store");
    let (header, claims) = app.verified_jwt(&signed.body);
    assert_eq!(header["typ"], "token-introspection+jwt");
    assert_eq!(claims["aud"], asker.client_id);
    assert_eq!(claims["token_introspection"], plain.json(), "both formats say the same");
    if plain.json()["active"] != true {
        assert_eq!(plain.body, INACTIVE, "nothing is told of a token that is not good");
    }
    plain.json()
}

fn is_active(app: &TestApp, asker: &Credentials, token: &str) -> bool {
    heard(app, asker, token)["active"] == true
}

#[test]
fn a_good_token_is_described_with_its_own_claims_in_every_format() {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    for algorithm in SigningAlgorithm::ALL {
        for profile in TokenProfile::ALL {
            let name = format!("{}-{}", algorithm.name(), profile.name());
            let (identifier, scopes) = (format!("https://{name}.example"), [format!("{name}:a"), format!("{name}:b")]);
            let scopes = scopes.each_ref().map(String::as_str);
            app.create_api_with("acme", &identifier, &scopes, *profile, *algorithm);
            let client = app.create_app(&scopes);
            let token = app.token(&client);
            let mut told = heard(&app, &client, &token);
            let members = told.as_object_mut().unwrap();
            assert_eq!(members.remove("active"), Some(json!(true)));
            assert_eq!(members.remove("token_type"), Some(json!("Bearer")));
            assert_eq!(members.remove("scope"), Some(json!(scopes.join(" "))), "a text in every profile");
            let (_, mut claims) = decode_jwt(&token);
            claims.as_object_mut().unwrap().remove("scope");
            assert_eq!(told, claims, "{name}");
        }
    }
}

#[test]
fn a_signed_answer_looks_as_the_standard_says() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let ask = |token: &str| {
        let basic = client.basic();
        let headers = [("authorization", basic.as_str()), ("accept", JWT)];
        let answer = app.post(INTROSPECT, &headers, &format!("token={token}")).assert_status(200);
        let (mut header, mut claims) = app.verified_jwt(&answer.body);
        header["kid"] = json!("kid");
        if claims["token_introspection"]["jti"].is_string() {
            claims["token_introspection"]["jti"] = json!("jti");
        }
        format!("{header}\n{claims}").replace(&client.client_id, "app-sid")
    };
    assert_snapshot!(ask(&token), @r#"
    {"alg":"RS256","kid":"kid","typ":"token-introspection+jwt"}
    {"aud":"app-sid","iat":1795305600,"iss":"http://127.0.0.1:8080","token_introspection":{"active":true,"aud":"https://billing.example","client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":"billing:read","sub":"app-sid","tenant":"acme","token_type":"Bearer"}}
    "#);
    assert_snapshot!(ask("nonsense"), @r#"
    {"alg":"RS256","kid":"kid","typ":"token-introspection+jwt"}
    {"aud":"app-sid","iat":1795305600,"iss":"http://127.0.0.1:8080","token_introspection":{"active":false}}
    "#);
    // Whoever takes it for an access token must refuse it.
    let basic = client.basic();
    let headers = [("authorization", basic.as_str()), ("accept", JWT)];
    let statement = app.post(INTROSPECT, &headers, &format!("token={token}")).body;
    app.get_with_token("/api/v1/whoami", &statement).assert_status(401);
    assert!(!is_active(&app, &client, &statement));
}

#[test]
fn the_client_chooses_the_format() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let cases = [
        (JWT, JWT),
        ("application/token-introspection+JWT", JWT),
        ("application/token-introspection+jwt, application/json", JWT),
        ("application/json;q=0.9, application/token-introspection+jwt;q=0.9", JWT),
        ("application/json, application/token-introspection+jwt;q=0.9", "application/json"),
        ("application/token-introspection+jwt;q=0", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        (";;;", "application/json"),
    ];
    for (accept, expected) in cases {
        let basic = client.basic();
        let headers = [("authorization", basic.as_str()), ("accept", accept)];
        let answer = app.post(INTROSPECT, &headers, &format!("token={token}")).assert_status(200);
        assert_eq!(answer.header("content-type"), expected, "{accept}");
    }
    let answer = app.introspect(&client, &token);
    assert_eq!(answer.header("content-type"), "application/json", "without Accept");
}

#[test]
fn a_client_may_ask_about_its_own_tokens_and_those_for_an_api_it_works_for() {
    let app = TestApp::new();
    app.create_api("acme", "https://mail.example", &["mail:send"]);
    app.create_organisation("globex");
    app.create_api("globex", "https://globex.example", &["billing:read"]);
    let asks = |scopes: &[&str]| app.create_app(scopes);
    let (billing, both, mail, nothing, manager) = (
        asks(&["billing:read"]),
        asks(&["billing:write", "mail:send"]),
        asks(&["mail:send"]),
        asks(&[]),
        asks(&["apps:read"]),
    );
    let stranger = app.create_app_with("globex", new_app(&["billing:read", "apps:read"]));
    // Who may know of whose token. A token without scopes, or with those of the management API, is for no API of
    // acme's.
    let cases: &[(&str, &Credentials, &[&str])] = &[
        ("billing", &billing, &["billing", "both"]),
        ("both", &both, &["billing", "both", "mail"]),
        ("mail", &mail, &["both", "mail"]),
        ("nothing", &nothing, &["nothing"]),
        ("manager", &manager, &["manager"]),
        ("stranger", &stranger, &["stranger"]),
    ];
    for (whose, owner, expected) in cases {
        let token = app.token(owner);
        let may: Vec<&str> =
            cases.iter().filter(|(_, asker, _)| is_active(&app, asker, &token)).map(|(name, ..)| *name).collect();
        assert_eq!(may, *expected, "the token of {whose}");
    }
}

#[test]
fn what_is_no_good_token_is_inactive_and_nothing_is_told() {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let (_, claims) = decode_jwt(&token);
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = encode(&json!({ "alg": "none", "typ": "at+jwt" }));
    let feed = app.get("/connect/revocations", &[]).body;
    let (before, after) = token.split_at(token.len() - 20);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    let cases = [
        "x".to_owned(),
        "null".to_owned(),
        "%20".to_owned(),
        "0".to_owned(),
        "%7B%22active%22:true%7D".to_owned(),
        "..".to_owned(),
        "....".to_owned(),
        "a.b.c".to_owned(),
        "%F0%9F%94%91".to_owned(),
        "' OR 1=1 --".to_owned(),
        "../../etc/passwd".to_owned(),
        "x".repeat(60_000),
        claims["jti"].as_str().unwrap().to_owned(),
        client.client_id.clone(),
        client.secret.clone(),
        feed,
        format!("Bearer {token}"),
        format!("%20{token}"),
        format!("{token}%20"),
        format!("{token}."),
        format!("{token}="),
        format!("{token},{token}"),
        token.to_uppercase(),
        token[1..].to_owned(),
        token[..token.len() - 4].to_owned(),
        format!("{before}{other}{}", &after[1..]),
        parts[..2].join("."),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], encode(&json!({})), parts[2]),
        format!("{}.{}.{}", parts[0], encode(&json!([claims])), parts[2]),
        signed(&app, &token, &json!({ "exp": START.seconds() })),
        signed(&app, &token, &json!({ "nbf": START.seconds() + 1 })),
        signed(&app, &token, &json!({ "iss": "https://elsewhere.example" })),
        signed(&app, &token, &json!({ "client_id": "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e" })),
        signed(&app, &token, &json!({ "client_id": 1 })),
        signed(&app, &token, &json!({ "tenant": "globex" })),
        signed(&app, &token, &json!({ "exp": "never" })),
    ];
    assert!(cases.len() > 30);
    for case in &cases {
        assert_eq!(heard(&app, &client, case), json!({ "active": false }), "{}", &case[..case.len().min(300)]);
    }
    assert!(is_active(&app, &client, &token), "the token itself is good");
}

#[test]
fn a_hint_never_matters() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let expected = app.introspect(&client, &token).body;
    for hint in ["access_token", "refresh_token", "id_token", "nonsense", "", "%F0%9F%94%91"] {
        let basic = client.basic();
        let body = format!("token={token}&token_type_hint={hint}");
        assert_eq!(app.post(INTROSPECT, &[("authorization", &basic)], &body).assert_status(200).body, expected);
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_says_so() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let plain = app.token(&client);
    let bound = |cnf: Value| heard(&app, &client, &signed(&app, &plain, &json!({ "cnf": cnf })));
    let jkt = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    let told = bound(jkt.clone());
    assert_eq!((&told["cnf"], &told["token_type"]), (&jkt, &json!("DPoP")));
    // Bound in a way that we cannot check, it is worth nothing.
    let certificate = json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" });
    assert_eq!(bound(certificate), json!({ "active": false }));
}

/// The door of both endpoints is that of the token endpoint.
#[test]
fn who_does_not_authenticate_hears_nothing_of_a_token() {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let (id, secret) = (&client.client_id, &client.secret);
    let wrong = Credentials { secret: format!("{secret}x"), ..client.clone() };
    let basic = Some(client.basic());
    let cases = [
        (401, "invalid_client", None, "", format!("token={token}")),
        (401, "invalid_client", Some(wrong.basic()), "", format!("token={token}")),
        (401, "invalid_client", None, "", format!("token={token}&client_id={id}")),
        (401, "invalid_client", None, "", format!("token={token}&client_id={id}&client_secret=")),
        (401, "invalid_client", None, "", format!("token={token}&client_id={id}&client_secret={secret}x")),
        (401, "invalid_client", None, "", format!("token={token}&client_id={token}&client_secret={secret}")),
        (401, "invalid_client", Some(format!("Bearer {token}")), "", format!("token={token}")),
        (401, "invalid_client", None, "", String::new()),
        (400, "invalid_request", None, &*format!("?client_id={id}&client_secret={secret}"), format!("token={token}")),
        (400, "invalid_request", basic.clone(), &*format!("?token={token}"), String::new()),
        (400, "invalid_request", basic.clone(), "", format!("token={token}&client_id={id}&client_secret={secret}")),
        (400, "invalid_request", basic.clone(), "", String::new()),
        (400, "invalid_request", basic.clone(), "", "token=".to_owned()),
        (400, "invalid_request", basic.clone(), "", "Token=x".to_owned()),
        (400, "invalid_request", basic.clone(), "", format!("token={token}&token={token}")),
        (400, "invalid_request", basic.clone(), "", "token=%zz".to_owned()),
        (400, "invalid_request", basic, "", "token=a%00b".to_owned()),
    ];
    for path in [INTROSPECT, REVOKE] {
        for (status, error, authorization, query, body) in &cases {
            let mut headers = vec![("accept", JWT)];
            headers.extend(authorization.iter().map(|value| ("authorization", value.as_str())));
            let answer = app.post(&format!("{path}{query}"), &headers, body);
            let context = format!("{path}{query} {authorization:?} {body}");
            assert_eq!((answer.status.as_u16(), answer.error().as_str()), (*status, *error), "{context}");
            assert_eq!(answer.header("cache-control"), "no-store", "{context}");
            assert_eq!(answer.header("content-type"), "application/json", "{context}");
            assert!(answer.json().get("active").is_none(), "{context}");
            let challenged = authorization.as_ref().is_some_and(|value| value.starts_with("Basic ")) && *status == 401;
            assert_eq!(answer.header("www-authenticate").starts_with("Basic "), challenged, "{context}");
        }
        let json = [("authorization", &*client.basic()), ("content-type", "application/json")];
        assert_eq!(app.post(path, &json, r#"{"token": "x"}"#).assert_status(400).error(), "invalid_request");
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = crate::support::http::send(method, &format!("{}{path}", app.url), &[], None);
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method} {path}");
        }
    }
    assert!(is_active(&app, &client, &token), "nobody revoked it");
}

#[test]
fn wrong_app_keys_are_throttled_at_every_door_together() {
    let app = TestApp::with(&[("throttle-failures", "3/min")]);
    let client = app.create_app(&["billing:read"]);
    let wrong = Credentials { secret: "wrong".to_owned(), ..client.clone() };
    app.token_request(&[], &wrong.form()).assert_status(401);
    app.introspect(&wrong, "x").assert_status(401);
    app.revoke(&wrong, "x").assert_status(401);
    for answer in [app.introspect(&client, "x"), app.revoke(&client, "x"), app.token_request(&[], &client.form())] {
        assert!(!answer.header("retry-after").is_empty());
        answer.assert_status(429);
    }
}

/// One check for every use of a token: the guard and introspection never disagree.
#[test]
fn whatever_ends_a_token_ends_it_at_the_guard_and_here() {
    type End = fn(&TestApp, &Credentials, &str);
    let ends: [(&str, End); 8] = [
        ("revoked by the operator", |app, _, token| {
            revocation::revoke(&app.management, token).unwrap();
        }),
        ("revoked by the client", |app, client, token| {
            app.revoke(client, token).assert_status(200);
        }),
        ("app disabled", |app, client, _| apps::set_enabled(&app.management, client.id(), false).unwrap()),
        ("app deleted", |app, client, _| apps::delete(&app.management, client.id()).unwrap()),
        ("cut-off of the app", |app, client, _| {
            cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        }),
        ("cut-off of the organisation", |app, _, _| {
            cut_offs::revoke_organisation_tokens(&app.management, "other").unwrap();
        }),
        ("cut-off of all", |app, _, _| {
            cut_offs::revoke_all_tokens(&app.management).unwrap();
        }),
        ("organisation disabled", |app, _, _| organisations::set_enabled(&app.management, "other", false).unwrap()),
    ];
    let app = TestApp::new();
    app.create_organisation("other");
    app.create_api("other", "https://other.example", &["other:read"]);
    let create = || app.create_app_with("other", new_app(&["other:read"]));
    let service = app.create_app_with("other", new_app(&["other:read"]));
    for (name, end) in ends {
        let client = create();
        let (dead, sibling) = (app.token(&client), app.token(&client));
        let guard = |token: &str| app.get_with_token("/api/v1/whoami", token).status.as_u16();
        assert!(guard(&dead) == 200 && is_active(&app, &service, &dead), "{name}");
        end(&app, &client, &dead);
        app.catch_up();
        assert_eq!(guard(&dead), 401, "{name}");
        if name == "organisation disabled" {
            continue;
        }
        assert!(!is_active(&app, &service, &dead), "{name}");
        let lives = name.starts_with("revoked");
        assert_eq!(guard(&sibling) == 200, lives, "{name}: another token of the app");
        assert_eq!(is_active(&app, &service, &sibling), lives, "{name}: another token of the app");
    }
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    app.clock.advance(Duration::from_secs(86_399));
    assert!(is_active(&app, &client, &token));
    app.clock.advance(Duration::from_secs(1));
    assert!(!is_active(&app, &client, &token), "expired");
}

#[test]
fn a_node_that_is_out_of_touch_for_too_long_says_that_it_cannot_know() {
    let app = TestApp::with(&[("stale-limit", "1s")]);
    let client = app.create_app(&["billing:read"]);
    // Nobody follows the change table here.
    let answer = eventually(Duration::from_secs(30), "stale", || {
        let answer = app.introspect(&client, "x");
        (answer.status.as_u16() == 503).then_some(answer)
    });
    assert_eq!(answer.error(), "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(answer.json().get("active").is_none());
    eventually(Duration::from_secs(30), "in touch again", || {
        app.catch_up();
        (app.introspect(&client, "x").status.as_u16() == 200).then_some(())
    });
}

/// Those whom a third party's JWT can concern: the app that it stands for, the service behind the API, and who has nothing to
/// do with it.
struct Around {
    service: Credentials,
    elsewhere: Credentials,
    without_scopes: Credentials,
}

impl Around {
    fn of(stage: &Stage) -> Self {
        stage.app.create_organisation("globex");
        Self {
            service: stage.app.create_app(&["billing:write"]),
            elsewhere: stage.app.create_app_with("globex", new_app(&[])),
            without_scopes: stage.app.create_app(&[]),
        }
    }

    fn strangers(&self) -> [&Credentials; 2] {
        [&self.elsewhere, &self.without_scopes]
    }
}

fn is_told(stage: &Stage, asker: &Credentials, jwt: &str) -> bool {
    stage.app.introspect(asker, jwt).assert_status(200).json()["active"] == true
}

#[test]
fn a_jwt_that_is_good_once_is_used_by_the_service_that_asks_about_it_and_by_nobody_who_only_looks() {
    for stands_for_app in [false, true] {
        let stage = Stage::with(&[("throttle-failures", "off")]);
        let stands_for = if stands_for_app { StandsFor::App(stage.client.id()) } else { StandsFor::Users };
        stage.trust(trusted_issuers::settings(&stage.signer, stands_for));
        let around = Around::of(&stage);
        let jwt = stage.jwt();
        for stranger in around.strangers() {
            assert_eq!((is_told(&stage, stranger, &jwt), is_told(&stage, stranger, &jwt)), (false, false));
        }
        // The app that it stands for may see its own as often as it likes; a user's is nobody's own.
        assert!(is_told(&stage, &stage.client, &jwt));
        let again = is_told(&stage, &stage.client, &jwt);
        assert_eq!(again, stands_for_app, "the app with the scope is a service like any other where it is a user's");
        if stands_for_app {
            assert!(is_told(&stage, &around.service, &jwt), "the first question of a service");
        }
        for asker in [&around.service, &stage.client] {
            assert!(!is_told(&stage, asker, &jwt), "it was used");
        }
        stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(401);
        stage.grant(&jwt).assert_status(400);

        // And the other way round.
        let jwt = stage.jwt();
        stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(200);
        for asker in [&around.service, &stage.client] {
            assert!(!is_told(&stage, asker, &jwt), "it was used");
        }
        // Who only looks counts for nothing.
        let totals = stage.app.authority.trust_counts.totals();
        let of = |result: &str| {
            totals.iter().find(|(labels, _)| *labels == ("bearer", result)).map_or(0, |(_, count)| *count)
        };
        let replayed = if stands_for_app { 3 } else { 6 };
        assert_eq!((of("accepted"), of("replayed")), (2, replayed), "{totals:?}");
    }
}

#[test]
fn a_jwt_that_is_good_until_it_expires_is_so_for_all_who_may_ask() {
    let stage = Stage::new();
    let lasting = trusted_issuers::settings(&stage.signer, StandsFor::Users);
    stage.trust(trusted_issuers::edited(lasting, |policy| policy.single_use = false));
    let (around, jwt) = (Around::of(&stage), stage.jwt());
    for _ in 0..3 {
        assert!(is_told(&stage, &around.service, &jwt) && !is_told(&stage, &around.elsewhere, &jwt));
        stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(200);
    }
}
