//! The inspector: a table of tokens and what is said of each, compared with what introspection and the guard say.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use brevet::clock::{Clock, Timestamp};
use brevet::keys::signing::{GeneratedKey, SigningKey};
use brevet::oauth::{SigningAlgorithm, StatementType, TokenProfile};
use brevet::service::inspection::{Check, InspectedToken, Inspection, NotAToken, Outcome, Worth, inspect};
use brevet::service::{apps, cut_offs, organisations, revocation, signing_keys};
use serde_json::{Value, json};

use crate::support::{Credentials, START, TestApp, decode_jwt, new_app};

const BILLING: &str = "https://billing.example";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// What somebody of the organisation of that app is told.
fn told(app: &TestApp, asker: &Credentials, text: &str, audience: Option<&str>) -> Inspection {
    block_on(async {
        let authority = &app.authority;
        let client = authority.directory.find_client(asker.id()).await.unwrap().unwrap();
        let m = authority.management.on_behalf_of(&client, Vec::new(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        inspect(authority, m, text, audience, app.clock.now()).await.unwrap()
    })
}

fn token_told(app: &TestApp, asker: &Credentials, token: &str) -> InspectedToken {
    token_for(app, asker, token, None)
}

fn token_for(app: &TestApp, asker: &Credentials, token: &str, audience: Option<&str>) -> InspectedToken {
    match told(app, asker, token, audience) {
        Inspection::Token(token) => *token,
        Inspection::NotAToken(what) => panic!("{what:?}: {token}"),
    }
}

/// The failures, one a line.
fn failures(told: &InspectedToken) -> String {
    let failed = told.verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Fails);
    failed.map(|verdict| format!("{}: {}", verdict.check.label(), verdict.text)).collect::<Vec<_>>().join("\n")
}

fn says(told: &InspectedToken, check: Check) -> &str {
    let found = told.verdicts.iter().find(|verdict| verdict.check == check);
    found.map_or("", |verdict| verdict.text.as_str())
}

/// Introspection, the guard and the inspector say the same; the inspector says why.
fn assert_agreed(app: &TestApp, asker: &Credentials, token: &str, is_good: bool, context: &str) -> InspectedToken {
    let told = token_told(app, asker, token);
    let (worth, active) = (told.worth, app.introspect(asker, token).assert_status(200).json()["active"] == true);
    assert_eq!((worth == Worth::Good, active), (is_good, is_good), "{context}: {told:?}");
    let accepted = app.get_with_token("/api/v1/whoami", token).status == 200;
    // Introspection is asked about tokens and not shown them; the guard wants a proof.
    let is_bound = decode_jwt(token).1.get("cnf").is_some();
    assert_eq!(accepted, is_good && !is_bound, "{context}");
    assert_eq!(failures(&told).is_empty(), is_good, "{context}: {told:?}");
    told
}

/// A token with these changes, signed by the server.
fn signed(app: &TestApp, token: &str, changes: &Value) -> String {
    let (_, mut claims) = decode_jwt(token);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    app.authority.directory.ring().sign(SigningAlgorithm::Rs256, TokenProfile::Rfc9068, &claims, START).unwrap()
}

#[test]
fn each_token_is_judged_as_by_introspection_and_the_reason_is_said() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let good = app.token(&client);
    let (header, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let encode = |value: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let with_header = |changes: Value| {
        let mut named = decode_jwt(&good).0;
        for (name, value) in changes.as_object().unwrap() {
            named[name] = value.clone();
        }
        format!("{}.{payload}.{signature}", encode(&named))
    };
    let now = START.seconds();
    let statement = {
        let claims = decode_jwt(&good).1;
        app.authority.directory.ring().sign_statement(StatementType::Revocations, &claims, START).unwrap()
    };
    let other_key = {
        let key = GeneratedKey::generate(SigningAlgorithm::Es256).unwrap();
        SigningKey::parse(SigningAlgorithm::Es256, &key.private_key).unwrap()
    };
    let foreign = |issuer: &str| {
        let mut claims = decode_jwt(&good).1;
        claims["iss"] = json!(issuer);
        other_key.sign(TokenProfile::Rfc9068, &claims).unwrap()
    };
    let issuer = app.authority.issuer().to_owned();
    let kid = decode_jwt(&good).0["kid"].as_str().unwrap().to_owned();
    let bound = json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } });
    let cases: Vec<(&str, String, bool, &str)> = vec![
        ("as issued", good.clone(), true, ""),
        (
            "of the classic profile",
            {
                let claims = decode_jwt(&good).1;
                app.authority
                    .directory
                    .ring()
                    .sign(SigningAlgorithm::Rs256, TokenProfile::Classic, &claims, START)
                    .unwrap()
            },
            true,
            "",
        ),
        ("bound to a key", signed(&app, &good, &bound), true, ""),
        (
            "bound in a way nobody knows",
            signed(&app, &good, &json!({ "cnf": { "kid": "x" } })),
            false,
            "Type: The access token is malformed.",
        ),
        (
            "expired",
            signed(&app, &good, &json!({ "exp": now - 185 })),
            false,
            "Time: Expired 3 minutes ago, at 2026-11-21T23:56:55Z.",
        ),
        ("expired this second", signed(&app, &good, &json!({ "exp": now })), false, "Time: Expired just now"),
        (
            "not yet valid",
            signed(&app, &good, &json!({ "nbf": now + 7_200 })),
            false,
            "Time: Not valid before 2026-11-22T02:00:00Z, which is 2 hours from now",
        ),
        ("without a claim", signed(&app, &good, &json!({ "jti": null })), false, "a claim is missing"),
        (
            "of another issuer",
            signed(&app, &good, &json!({ "iss": "https://old.example" })),
            false,
            "Issuer: It says iss `https://old.example`, and this server is",
        ),
        (
            "not an access token",
            statement,
            false,
            "Type: It has the typ `revocations+jwt`, so it is not an access token",
        ),
        ("by a key of nobody", foreign(&issuer), false, "is not and was not this server's"),
        ("from another server", foreign("https://elsewhere.example"), false, "is not and was not this server's"),
        (
            "without a kid",
            format!("{}.{payload}.{signature}", encode(&json!({ "alg": "RS256", "typ": "at+jwt" }))),
            false,
            "Its header names no key",
        ),
        ("another algorithm", with_header(json!({ "alg": "ES256" })), false, "Signature: Its header says alg `ES256`"),
        ("alg none", with_header(json!({ "alg": "none" })), false, "Signature: Its header says alg `none`"),
        ("demanding", with_header(json!({ "crit": ["exp"] })), false, "crit"),
        (
            "with other claims",
            format!("{header}.{}.{signature}", encode(&json!({ "scope": "all", "exp": now + 60 }))),
            false,
            "Signature: It names a key of this server, but the signature is wrong",
        ),
        // Four octets of base64 that lack three stand for nothing, whatever they are.
        ("cut off", good[..good.len() - 5].to_owned(), false, "perhaps it was cut off"),
        ("with claims that are no JSON", format!("{header}.AAAA.{signature}"), false, "Signature"),
        (
            "without a client_id",
            signed(&app, &good, &json!({ "client_id": "somebody" })),
            false,
            "App: Its client_id is not an App SID.",
        ),
        (
            "of an app that never was",
            signed(&app, &good, &json!({ "client_id": "00000000-0000-4000-8000-000000000000" })),
            false,
            "App: Its app is not there any more: deleted.",
        ),
        (
            "of an organisation that never was",
            signed(&app, &good, &json!({ "tenant": "nobody" })),
            false,
            "App: A token of another organisation.",
        ),
    ];
    for (context, token, is_good, reason) in &cases {
        let told = assert_agreed(&app, &client, token, *is_good, context);
        assert!(failures(&told).contains(reason), "{context}: {}", failures(&told));
    }

    let told = token_told(&app, &client, &good);
    assert_eq!(told.app, Some((client.id(), "robot".to_owned())));
    assert_eq!(says(&told, Check::Time), "Valid for another 1 day, until 2026-11-23T00:00:00Z.");
    assert_eq!(says(&told, Check::Audience), "It is for https://billing.example.");
    assert_eq!(says(&told, Check::App), "Issued to robot, which is enabled.");
    assert!(told.header.contains(&kid) && told.claims_json.contains("billing:read"), "{told:?}");
    let exp = told.claims.iter().find(|claim| claim.name == "exp").unwrap();
    assert_eq!(exp.moment, Some(Timestamp::from_seconds(now + 86_400)));
    let told = token_told(&app, &client, &signed(&app, &good, &bound));
    assert!(says(&told, Check::Binding).contains("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
    let told = token_told(&app, &client, &foreign("https://elsewhere.example"));
    assert!(says(&told, Check::Issuer).contains("https://elsewhere.example"), "{told:?}");
}

#[test]
fn what_ended_a_token_is_named_with_its_time() {
    type End = fn(&TestApp, &Credentials, &str);
    let ends: [(&str, End, &str); 8] = [
        (
            "revoked",
            |app, _, token| drop(revocation::revoke(&app.management, token).unwrap()),
            "Revocation: It was revoked 3 minutes ago, at 2026-11-22T00:01:00Z.",
        ),
        (
            "disabled",
            |app, client, _| apps::set_enabled(&app.management, client.id(), false).unwrap(),
            "App: Its app, robot, was disabled 3 minutes ago",
        ),
        (
            "deleted",
            |app, client, _| apps::delete(&app.management, client.id()).unwrap(),
            "App: Its app is not there any more: deleted 3 minutes ago",
        ),
        (
            "cut-off of the app",
            |app, client, _| {
                cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
            },
            "Cut-off: All tokens of this app that were issued before 2026-11-22T00:01:01Z were ended.",
        ),
        (
            "cut-off of the organisation",
            |app, _, _| {
                cut_offs::revoke_organisation_tokens(&app.management, "acme").unwrap();
            },
            "Cut-off: All tokens of this organisation that were",
        ),
        (
            "cut-off of all",
            |app, _, _| {
                cut_offs::revoke_all_tokens(&app.management).unwrap();
            },
            "Cut-off: All tokens of this server that were",
        ),
        (
            "key revoked",
            |app, _, token| {
                signing_keys::revoke(&app.management, decode_jwt(token).0["kid"].as_str().unwrap()).unwrap();
            },
            "was this server's and was revoked 3 minutes ago",
        ),
        (
            "organisation disabled",
            |app, _, _| organisations::set_enabled(&app.management, "acme", false).unwrap(),
            "App: Its organisation was disabled 3 minutes ago",
        ),
    ];
    for (context, end, reason) in ends {
        let app = TestApp::new();
        let (client, service) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
        let token = app.token(&client);
        assert_agreed(&app, &service, &token, true, context);
        app.clock.advance(Duration::from_secs(60));
        end(&app, &client, &token);
        app.catch_up();
        app.clock.advance(Duration::from_secs(180));
        let told = token_told(&app, &service, &token);
        assert_eq!(told.worth, Worth::Refused, "{context}");
        assert!(failures(&told).contains(reason), "{context}: {}", failures(&told));
        app.get_with_token("/api/v1/whoami", &token).assert_status(401);
        if context != "organisation disabled" {
            assert_agreed(&app, &service, &token, false, context);
        }
    }
}

#[test]
fn of_another_organisation_nothing_is_told_but_what_the_token_says() {
    let app = TestApp::new();
    app.create_organisation("other");
    app.create_api("other", "https://other.example", &["other:read"]);
    let ours = app.create_app(&["billing:read"]);
    let theirs = app.create_app_with("other", new_app(&["other:read"]));
    let named = |told: &InspectedToken| format!("{:?}", told.verdicts);
    let token = app.token(&theirs);
    let told = token_told(&app, &ours, &token);
    assert_eq!((told.worth, &told.app), (Worth::Good, &None));
    assert_eq!(says(&told, Check::App), "A token of another organisation, of an app that is enabled.");
    assert!(!named(&told).contains("robot"), "{told:?}");

    type End = fn(&TestApp, &Credentials, &str);
    let ends: [End; 4] = [
        |app, _, token| drop(revocation::revoke(&app.management, token).unwrap()),
        |app, client, _| apps::set_enabled(&app.management, client.id(), false).unwrap(),
        |app, client, _| {
            cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        },
        |app, client, _| apps::delete(&app.management, client.id()).unwrap(),
    ];
    let mut words = Vec::new();
    for end in ends {
        let theirs = app.create_app_with("other", new_app(&["other:read"]));
        let token = app.token(&theirs);
        end(&app, &theirs, &token);
        app.catch_up();
        let told = token_told(&app, &ours, &token);
        assert_eq!((told.worth, &told.app), (Worth::Refused, &None));
        words.push(failures(&told));
    }
    words.dedup();
    assert_eq!(words.len(), 1, "one sentence for all of them: {words:?}");
}

#[test]
fn the_audience_that_is_expected_is_compared() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    for (expected, fits, said) in [
        (None, None, "It is for https://billing.example."),
        (Some("  "), None, "It is for https://billing.example."),
        (Some(BILLING), Some(true), "It is for https://billing.example, as you expect."),
        (
            Some("https://other.example"),
            Some(false),
            "It is for https://billing.example, and you expect https://other.example.",
        ),
    ] {
        let told = token_for(&app, &client, &token, expected);
        assert_eq!((told.worth, told.fits_audience), (Worth::Good, fits), "the server would take it all the same");
        assert_eq!(says(&told, Check::Audience), said);
    }
}

#[test]
fn what_is_no_token_is_called_what_it_is_and_a_key_is_a_reason_to_rotate() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    for (text, expected) in [
        (client.secret.as_str(), NotAToken::AppKey),
        (client.client_id.as_str(), NotAToken::AppSid),
        ("hello", NotAToken::Opaque),
        ("", NotAToken::Empty),
        (&"a".repeat(32 * 1024 + 1), NotAToken::TooLong),
    ] {
        let Inspection::NotAToken(what) = told(&app, &client, text, None) else { panic!("{text}") };
        assert_eq!(what, expected);
    }
    assert!(NotAToken::AppKey.is_secret() && NotAToken::AppKey.advice().contains("rotate it now"));
    let token = app.token(&client);
    for shown in
        [format!("Authorization: Bearer {token}"), format!("{{\"access_token\":\"{token}\",\"expires_in\":1}}")]
    {
        assert_eq!(token_told(&app, &client, &shown).worth, Worth::Good);
    }
}

#[test]
fn a_node_that_is_out_of_touch_says_that_it_cannot_know() {
    let app = TestApp::with(&[("stale-limit", "1s")]);
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    crate::support::process::eventually(Duration::from_secs(30), "stale", || {
        let m = app.authority.management.clone();
        let told = block_on(inspect(&app.authority, m, &token, None, app.clock.now())).unwrap();
        let Inspection::Token(told) = told else { panic!() };
        (told.worth == Worth::Unknown).then_some(())
    });
}
