//! Token exchange: an app acts for whoever's token it was sent, and for no more than both may do.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::Clock;
use brevet::oauth::networks::Networks;
use brevet::service::apps::{self, AppUpdate, NewApp};
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use brevet::service::{accounts, cut_offs, organisations};
use serde_json::{Value, json};

use crate::support::hostile;
use crate::support::http::Answer;
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, decode_jwt, new_app};
use crate::third_party_table::encoded;
use crate::trusted_issuers::{AUD, ISS, Stage, edited, settings};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "urn:ietf:params:oauth:token-type";

crate::support::postgres::on_both_databases! {
    an_app_gets_a_token_that_is_still_the_others_and_says_who_acts
    the_new_token_ends_no_later_than_the_old_one
    a_token_dies_with_whoever_had_a_hand_in_it
    a_users_ticket_stays_the_users
    a_workloads_jwt_is_exchanged_for_no_more_than_its_issuer_gives_it
}

/// An app that may exchange tokens.
fn actor(app: &TestApp, scopes: &[&str]) -> Credentials {
    app.create_app_with("acme", NewApp { token_exchange: true, ..new_app(scopes) })
}

fn form(subject: &str, kind: &str) -> String {
    format!("grant_type={GRANT}&subject_token={subject}&subject_token_type={TYPE}:{kind}")
}

fn ask(app: &TestApp, actor: &Credentials, form: &str) -> Answer {
    app.token_request(&[("authorization", &actor.basic())], form)
}

fn exchange(app: &TestApp, actor: &Credentials, subject: &str) -> Answer {
    ask(app, actor, &form(subject, "access_token"))
}

fn token_of(answer: Answer) -> String {
    answer.assert_status(200).json()["access_token"].as_str().unwrap().to_owned()
}

fn set(app: &TestApp, client: &Credentials, update: AppUpdate) {
    apps::update(&app.management, client.id(), update).unwrap();
    app.catch_up();
}

fn an_app_gets_a_token_that_is_still_the_others_and_says_who_acts(more: &[(&str, &str)]) {
    let app = TestApp::with(more);
    let front = app.create_app(&["billing:read", "billing:write"]);
    let back = actor(&app, &["billing:read"]);
    let answer = exchange(&app, &back, &app.token(&front)).assert_status(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["issued_token_type"], format!("{TYPE}:access_token"));
    assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("billing:read")));
    let token = body["access_token"].as_str().unwrap();
    let (_, claims) = app.verified_jwt(token);
    assert_eq!(claims["sub"], front.client_id.as_str());
    assert_eq!(claims["client_id"], back.client_id.as_str());
    assert_eq!(claims["act"], json!({ "sub": back.client_id }));
    assert_eq!((&claims["scope"], &claims["tenant"]), (&json!("billing:read"), &json!("acme")));
    let who = app.get_with_token("/api/v1/whoami", token).assert_status(200).json();
    assert_eq!((&who["sub"], &who["act"]), (&claims["sub"], &claims["act"]));
    let worth = app.introspect(&back, token).json();
    assert_eq!((&worth["active"], &worth["act"], &worth["sub"]), (&json!(true), &claims["act"], &claims["sub"]));
    // Plain tokens say nothing of it.
    assert_eq!(app.introspect(&front, &app.token(&front)).json().get("act"), None);
    let grants = app.get("/.well-known/oauth-authorization-server", &[]).json()["grant_types_supported"].clone();
    assert!(grants.as_array().unwrap().contains(&json!(GRANT)));
    app.revoke(&back, token).assert_status(200);
    app.get_with_token("/api/v1/whoami", token).assert_status(401);
}

#[test]
fn whatever_is_not_as_it_must_be_is_refused() {
    let app = TestApp::new();
    app.create_organisation("other");
    app.create_api("other", "https://stock.example", &["stock:read"]);
    let front = app.create_app(&["billing:read", "billing:write", "apps:read"]);
    let back = actor(&app, &["billing:read", "keys:read"]);
    let stranger = app.create_app_with("other", new_app(&["stock:read"]));
    let nothing_in_common = actor(&app, &["keys:read"]);
    let not_allowed = app.create_app(&["billing:read"]);
    let subject = app.token(&front);
    let revoked = app.token(&front);
    app.revoke(&front, &revoked).assert_status(200);
    let good = form(&subject, "access_token");
    let cases: &[(&str, &Credentials, String, &str)] = &[
        ("policy", &not_allowed, good.clone(), "unauthorized_client"),
        ("no subject_token", &back, format!("grant_type={GRANT}&subject_token_type={TYPE}:jwt"), "invalid_request"),
        ("no type", &back, format!("grant_type={GRANT}&subject_token={subject}"), "invalid_request"),
        ("unknown type", &back, form(&subject, "saml2"), "invalid_request"),
        ("type in capitals", &back, form(&subject, "ACCESS_TOKEN"), "invalid_request"),
        ("a refresh token", &back, form(&subject, "refresh_token"), "invalid_request"),
        ("our own token as a third party's", &back, form(&subject, "jwt"), "invalid_request"),
        ("no token", &back, form("x", "access_token"), "invalid_request"),
        ("no JWT", &back, form("x", "id_token"), "invalid_request"),
        ("changed", &back, form(&format!("{subject}A"), "access_token"), "invalid_request"),
        ("revoked", &back, form(&revoked, "access_token"), "invalid_request"),
        ("another organisation's", &back, form(&app.token(&stranger), "access_token"), "invalid_request"),
        ("an actor_token", &back, format!("{good}&actor_token={subject}"), "invalid_request"),
        ("an actor_token_type", &back, format!("{good}&actor_token_type={TYPE}:jwt"), "invalid_request"),
        ("a JWT back", &back, format!("{good}&requested_token_type={TYPE}:jwt"), "invalid_request"),
        ("repeated", &back, format!("{good}&subject_token={subject}"), "invalid_request"),
        ("a scope of the subject alone", &back, format!("{good}&scope=billing:write"), "invalid_scope"),
        ("a scope of the actor alone", &back, format!("{good}&scope=keys:read"), "invalid_scope"),
        ("one of both and one more", &back, format!("{good}&scope=billing:read+apps:read"), "invalid_scope"),
        ("nothing in common", &nothing_in_common, good.clone(), "invalid_scope"),
        ("nowhere", &back, format!("{good}&resource=https://stock.example"), "invalid_target"),
        (
            "an API of the actor alone",
            &back,
            format!("{good}&audience=https://brevet.example/api/v1"),
            "invalid_target",
        ),
        ("a fragment", &back, format!("{good}&resource=https://billing.example%23x"), "invalid_target"),
    ];
    for (what, client, form, error) in cases {
        let answer = ask(&app, client, form).assert_status(400);
        assert_eq!(answer.error(), *error, "{what}: {}", answer.body);
        assert!(!answer.body.contains(&subject), "{what}");
    }
    ask(&app, &back, &good).assert_status(200);
    let explicit = format!("{good}&requested_token_type={TYPE}:access_token&resource=https://billing.example");
    ask(&app, &back, &explicit).assert_status(200);
    assert_eq!(app.token_request(&[], &good).assert_status(401).error(), "invalid_client");
    assert_eq!(app.post(&format!("/connect/token?subject_token={subject}"), &[], &good).error(), "invalid_request");
}

fn the_new_token_ends_no_later_than_the_old_one(more: &[(&str, &str)]) {
    let app = TestApp::with(more);
    let front = app.create_app(&["billing:read"]);
    let lifetime = |seconds| AppUpdate { lifetime: Some(Some(Duration::from_secs(seconds))), ..AppUpdate::default() };
    let back = actor(&app, &["billing:read"]);
    for (of_front, of_back, later, expected) in [(600, 3_600, 0, 600), (3_600, 600, 0, 600), (600, 600, 400, 200)] {
        set(&app, &front, lifetime(of_front));
        set(&app, &back, lifetime(of_back));
        let subject = app.token(&front);
        app.clock.advance(Duration::from_secs(later));
        let body = exchange(&app, &back, &subject).assert_status(200).json();
        assert_eq!(body["expires_in"], expected);
        let (_, claims) = app.verified_jwt(body["access_token"].as_str().unwrap());
        assert_eq!(claims["exp"], app.clock.now().seconds() + expected);
    }
    let subject = app.token(&front);
    app.clock.advance(Duration::from_secs(600));
    assert_eq!(exchange(&app, &back, &subject).assert_status(400).error(), "invalid_request");
}

fn a_token_dies_with_whoever_had_a_hand_in_it(more: &[(&str, &str)]) {
    type Deed = fn(&TestApp, &Credentials);
    let disable: Deed = |app, client| {
        set(app, client, AppUpdate { enabled: Some(false), ..AppUpdate::default() });
    };
    let delete: Deed = |app, client| {
        apps::delete(&app.management, client.id()).unwrap();
        app.catch_up();
    };
    let end_tokens: Deed = |app, client| {
        app.clock.advance(Duration::from_secs(30));
        cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        app.catch_up();
    };
    let app = TestApp::with(more);
    for deed in [disable, delete, end_tokens] {
        // Whose it was, who passed it on, and who has it.
        for at in 0..3 {
            let chain =
                [app.create_app(&["billing:read"]), actor(&app, &["billing:read"]), actor(&app, &["billing:read"])];
            let passed_on = token_of(exchange(&app, &chain[1], &app.token(&chain[0])));
            let token = token_of(exchange(&app, &chain[2], &passed_on));
            let (_, claims) = app.verified_jwt(&token);
            assert_eq!(claims["act"], json!({ "sub": chain[2].client_id, "act": { "sub": chain[1].client_id } }));
            assert_eq!(claims["sub"], chain[0].client_id.as_str());
            app.get_with_token("/api/v1/whoami", &token).assert_status(200);
            deed(&app, &chain[at]);
            app.get_with_token("/api/v1/whoami", &token).assert_status(401);
        }
    }
    let (front, back) = (app.create_app(&["billing:read"]), actor(&app, &["billing:read"]));
    let token = token_of(exchange(&app, &back, &app.token(&front)));
    // Whether it may exchange is asked when it does.
    set(&app, &back, AppUpdate { token_exchange: Some(false), ..AppUpdate::default() });
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    assert_eq!(exchange(&app, &back, &app.token(&front)).error(), "unauthorized_client");
    organisations::set_enabled(&app.management, "acme", false).unwrap();
    app.catch_up();
    app.get_with_token("/api/v1/whoami", &token).assert_status(401);
}

#[test]
fn right_after_a_cut_off_exchanged_tokens_are_good() {
    let app = TestApp::new();
    let (front, back) = (app.create_app(&["billing:read"]), actor(&app, &["billing:read"]));
    for client in [&front, &back] {
        cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        app.catch_up();
        app.clock.advance(Duration::from_secs(1));
        let token = token_of(exchange(&app, &back, &app.token(&front)));
        app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    }
}

#[test]
fn a_token_is_passed_on_four_times_at_most() {
    let app = TestApp::new();
    let mut token = app.token(&app.create_app(&["billing:read"]));
    for _ in 0..4 {
        token = token_of(exchange(&app, &actor(&app, &["billing:read"]), &token));
    }
    let refused = exchange(&app, &actor(&app, &["billing:read"]), &token).assert_status(400);
    assert_eq!(refused.error(), "invalid_request");
}

fn a_users_ticket_stays_the_users(more: &[(&str, &str)]) {
    let stage = Stage::with(more);
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users));
    let back = actor(&stage.app, &["billing:read", "billing:write"]);
    let ticket = stage.ticket(&stage.jwt()).assert_status(200).json()["ticket"].as_str().unwrap().to_owned();
    let id_token = form(&stage.jwt(), "id_token");
    let answers = [
        exchange(&stage.app, &back, &ticket),
        ask(&stage.app, &back, &form(&stage.jwt(), "jwt")),
        ask(&stage.app, &back, &id_token),
        // Good as an access token as it is: the issuer says so.
        exchange(&stage.app, &back, &stage.jwt()),
    ];
    let tokens = answers.map(|answer| {
        let token = token_of(answer);
        let (_, claims) = stage.app.verified_jwt(&token);
        assert_eq!((&claims["sub"], &claims["login"]), (&json!(format!("{ISS}|alice")), &json!("alice")));
        assert_eq!((&claims["client_id"], &claims["scope"]), (&json!(back.client_id), &json!("billing:read")));
        assert_eq!(claims["act"], json!({ "sub": back.client_id }));
        stage.app.get_with_token("/api/v1/whoami", &token).assert_status(200);
        token
    });
    assert_eq!(ask(&stage.app, &back, &id_token).assert_status(400).error(), "invalid_request", "used before");
    let all = |status| {
        for token in &tokens {
            stage.app.get_with_token("/api/v1/whoami", token).assert_status(status);
        }
    };
    let switch = |enabled| {
        accounts::set_enabled(&stage.app.management, "alice@acme.example", enabled).unwrap();
        stage.app.catch_up();
    };
    switch(false);
    all(401);
    switch(true);
    all(200);
    trusted_issuers::delete(&stage.app.management, issuer).unwrap();
    stage.app.catch_up();
    all(401);
}

fn a_workloads_jwt_is_exchanged_for_no_more_than_its_issuer_gives_it(more: &[(&str, &str)]) {
    let stage = Stage::with(more);
    let mut asked = settings(&stage.signer, StandsFor::App(stage.client.id()));
    asked.scopes = Some(vec!["billing:read".to_owned()]);
    asked.policy.ticket_lifetime = Some(Duration::from_secs(60));
    stage.trust(asked);
    let back = actor(&stage.app, &["billing:read", "billing:write"]);
    let body = ask(&stage.app, &back, &form(&stage.jwt(), "jwt")).assert_status(200).json();
    assert_eq!((&body["scope"], &body["expires_in"]), (&json!("billing:read"), &json!(60)));
    let (_, claims) = stage.app.verified_jwt(body["access_token"].as_str().unwrap());
    assert_eq!(claims["sub"], stage.client.client_id.as_str());
    // Of the last minute, in which it is only good for clocks that differ, nothing is left to give.
    let mut over = stage.claims();
    over["exp"] = json!(stage.app.clock.now().seconds() - 30);
    let refused = ask(&stage.app, &back, &form(&stage.signer.sign(&over), "jwt")).assert_status(400);
    assert_eq!(refused.error(), "invalid_request");
}

#[test]
fn what_no_jwt_may_be_is_no_subject_token() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    let back = actor(&stage.app, &["billing:read"]);
    let (signer, claims) = (&stage.signer, || stage.claims());
    let now = stage.app.clock.now().seconds();
    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value.clone();
        (format!("{name} = {value}"), signer.sign(&changed))
    };
    let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let trap = format!("http://{}/keys", canary.local_addr().unwrap());
    let wrong_claims = [("iss", hostile::lookalikes(ISS)), ("sub", hostile::lookalikes("alice"))]
        .into_iter()
        .chain([("aud", hostile::audiences_without(AUD))])
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name, value)))
        .chain(hostile::times_and_ids(now, 86_400));
    let all = hostile::headers(signer, claims, &trap)
        .into_iter()
        .chain(hostile::keyed_hashes(signer, claims, &[&back.secret]))
        .chain(hostile::forms(signer, &claims()))
        .chain(hostile::forms_with_spaces(signer, &claims()))
        .chain(wrong_claims.map(|(name, value)| with(name, value)));
    for (at, (what, jwt)) in all.enumerate() {
        let kind = ["jwt", "id_token", "access_token"][at % 3];
        let refused = ask(&stage.app, &back, &form(&encoded(&jwt), kind));
        let shown: String = what.chars().take(80).collect();
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_request"), "{kind}: {shown}");
    }
    assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something was fetched");
    for kind in ["jwt", "id_token", "access_token"] {
        ask(&stage.app, &back, &form(&stage.jwt(), kind)).assert_status(200);
    }
}

/// A proof for the token endpoint.
fn proof(app: &TestApp, signer: &Signer) -> String {
    let mut jwk = signer.jwk.clone();
    jwk.as_object_mut().unwrap().remove("kid");
    let header = json!({ "typ": "dpop+jwt", "alg": signer.alg, "jwk": jwk });
    let url = format!("{}/connect/token", app.authority.issuer());
    let jti = uuid::Uuid::new_v4().to_string();
    let claims = json!({ "jti": jti, "htm": "POST", "htu": url, "iat": app.clock.now().seconds() });
    signer.sign_with(&header, &claims)
}

#[test]
fn what_is_bound_to_a_key_cannot_be_passed_on_but_what_comes_of_it_can_be_bound() {
    let app = TestApp::new();
    let signer = Signer::p256("k");
    let front = app.create_app(&["billing:read"]);
    let back = actor(&app, &["billing:read"]);
    let bound = token_of(app.token_request(&[("dpop", &proof(&app, &signer))], &front.form()));
    let refused = exchange(&app, &back, &bound).assert_status(400);
    assert_eq!(refused.error(), "invalid_request");
    assert!(refused.body.contains("bound to a key"), "{}", refused.body);

    let headers = [("authorization", back.basic()), ("dpop", proof(&app, &signer))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = app.token_request(&headers, &form(&app.token(&front), "access_token")).assert_status(200).json();
    assert_eq!(answer["token_type"], "DPoP");
    let (_, claims) = decode_jwt(answer["access_token"].as_str().unwrap());
    assert!(claims["cnf"]["jkt"].is_string(), "{claims}");
    set(&app, &back, AppUpdate { dpop_required: Some(true), ..AppUpdate::default() });
    assert_eq!(exchange(&app, &back, &app.token(&front)).assert_status(400).error(), "invalid_dpop_proof");
}

#[test]
fn a_third_partys_jwt_that_is_bound_to_a_key_is_worth_nothing_without_it() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    let back = actor(&stage.app, &["billing:read"]);
    let thumbprint = URL_SAFE_NO_PAD.encode([7; 32]);
    for cnf in [json!({ "jkt": thumbprint }), json!({ "x5t#S256": thumbprint }), json!("x")] {
        let bound = || {
            let mut claims = stage.claims();
            claims["cnf"] = cnf.clone();
            stage.signer.sign(&claims)
        };
        stage.app.get_with_token("/api/v1/whoami", &bound()).assert_status(401);
        for kind in ["jwt", "id_token", "access_token"] {
            let refused = ask(&stage.app, &back, &form(&bound(), kind)).assert_status(400);
            assert_eq!(refused.error(), "invalid_request", "{cnf} {kind}");
        }
    }
}

#[test]
fn who_may_exchange_is_set_in_each_place_where_apps_are() {
    let app = TestApp::new();
    let robot = app.create_app(&["billing:read"]);
    let allowed = || apps::show(&app.management, robot.id()).unwrap().app.token_exchange;
    assert!(!allowed(), "off unless somebody allows it");
    app.create_person("acme", "dev@acme.example", brevet::db::developers::Role::Developer);
    let browser = app.browser_of("dev@acme.example");
    let page = browser.get(&format!("/apps/{}/settings", robot.client_id)).assert_status(200);
    browser.submit(&page, "/settings", &[("token-exchange", "1")]).assert_status(200);
    assert!(allowed());
    let admin = app.create_app(&["apps:read", "apps:write", "billing:read"]);
    let (token, api) = (app.token(&admin), format!("/api/v1/apps/{}", robot.client_id));
    let shown: Value = app.get_with_token(&api, &token).assert_status(200).json();
    assert_eq!(shown["token_exchange"], true);
}

/// Every name under which a third party's JWT can be sent.
const FOREIGN: &[&str] = &["jwt", "id_token", "access_token"];
const OUTSIDE: &str = "203.0.113.9";

#[test]
fn a_third_partys_jwt_gets_no_more_for_being_called_an_access_token() {
    let stage = Stage::with(&[("trusted-proxies", "127.0.0.1")]);
    let networks = Some(Networks::read(["10.0.0.0/8"]).unwrap());
    set(&stage.app, &stage.client, AppUpdate { allowed_networks: networks, ..AppUpdate::default() });
    let mut asked = settings(&stage.signer, StandsFor::App(stage.client.id()));
    asked.policy.ticket_lifetime = Some(Duration::from_secs(60));
    stage.trust(asked);
    let back = actor(&stage.app, &["billing:read"]);
    let send = |jwt: &str, kind: &str, from: &str| {
        let headers = [("authorization", back.basic()), ("x-forwarded-for", from.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        stage.app.token_request(&headers, &form(jwt, kind))
    };
    for kind in FOREIGN {
        let jwt = stage.jwt();
        assert_eq!(send(&jwt, kind, OUTSIDE).assert_status(400).error(), "invalid_request", "{kind}");
        let body = send(&jwt, kind, "10.1.2.3").assert_status(200).json();
        assert_eq!(body["expires_in"], 60, "{kind}");
        assert_eq!(send(&jwt, kind, "10.1.2.3").assert_status(400).error(), "invalid_request", "{kind}: used before");
    }
    // What the app got where it may, it may use everywhere, and so may whom it calls.
    let answer = stage.app.post("/connect/token", &[("x-forwarded-for", "10.1.2.3")], &stage.client.form());
    send(&token_of(answer), "access_token", OUTSIDE).assert_status(200);
}

#[test]
fn what_is_not_taken_directly_is_no_access_token() {
    let stage = Stage::new();
    for stands_for in [StandsFor::App(stage.client.id()), StandsFor::Users] {
        let issuer = stage.trust(edited(settings(&stage.signer, stands_for), |policy| policy.accept_directly = false));
        let back = actor(&stage.app, &["billing:read"]);
        for (kind, expected) in [("access_token", 400), ("jwt", 200), ("id_token", 200)] {
            ask(&stage.app, &back, &form(&stage.jwt(), kind)).assert_status(expected);
        }
        trusted_issuers::delete(&stage.app.management, issuer).unwrap();
        stage.app.catch_up();
    }
}

#[test]
fn an_app_whose_tokens_must_be_bound_is_not_reached_by_a_third_partys_jwt_without_a_key() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    let back = actor(&stage.app, &["billing:read"]);
    for (required, expected) in [(true, 400), (false, 200)] {
        set(&stage.app, &stage.client, AppUpdate { dpop_required: Some(required), ..AppUpdate::default() });
        for kind in FOREIGN {
            ask(&stage.app, &back, &form(&stage.jwt(), kind)).assert_status(expected);
            // A key of whoever exchanges it is not the app's.
            let proof = proof(&stage.app, &Signer::p256("k"));
            let headers = [("authorization", back.basic()), ("dpop", proof)];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            stage.app.token_request(&headers, &form(&stage.jwt(), kind)).assert_status(expected);
        }
    }
}

#[test]
fn what_is_exchanged_in_the_second_of_a_cut_off_is_good() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    let chain = [actor(&stage.app, &["billing:read"]), actor(&stage.app, &["billing:read"])];
    for cut_off in [&stage.client, &chain[0], &chain[1]] {
        let jwt = stage.jwt();
        cut_offs::revoke_app_tokens(&stage.app.management, cut_off.id()).unwrap();
        stage.app.catch_up();
        for subject in [jwt, stage.app.token(&stage.client)] {
            let first = token_of(exchange(&stage.app, &chain[0], &subject));
            let second = token_of(exchange(&stage.app, &chain[1], &first));
            for token in [first, second] {
                stage.app.get_with_token("/api/v1/whoami", &token).assert_status(200);
            }
        }
    }
}
