//! The guard for other services: what it lets in, what it tells the others, how soon it learns, and what it does when
//! nobody answers.

mod server;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use actix_web::{App, web};
use brevet::clock::{Clock, ManualClock};
use brevet::guard::{AccessToken, Guard, GuardBuilder, Header, Lacking, Presented, Reason, Refusal, RevocationStatus};
use brevet::keys::verify::TokenError;
use brevet::oauth::SigningAlgorithm;
use brevet::oauth::dpop::ProofError;
use brevet::service::{apps, cut_offs, organisations, revocation, signing_keys};
use insta::assert_snapshot;
use serde_json::{Value, json};

use self::server::{FEED, FakeServer, JWKS, METADATA, Relay, Says, Signer, feed};
use crate::support::process::eventually;
use crate::support::{START, TestApp};

const BILLING: &str = "https://billing.example";
/// Longer than any machine should need; nothing here waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn builder(server: &FakeServer, clock: &Arc<ManualClock>) -> GuardBuilder {
    Guard::builder(&server.url).audience(BILLING).clock(clock.clone()).patience(PATIENCE)
}

/// A fake server, and a guard that knows its keys and its feed.
fn guarded() -> (FakeServer, Guard, Arc<ManualClock>) {
    let server = FakeServer::start();
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).build().unwrap();
    ready(&guard);
    (server, guard, clock)
}

fn ready(guard: &Guard) {
    eventually(PATIENCE, "keys and feed", || guard.status().ready.then_some(()));
}

fn verify(guard: &Guard, token: &str) -> Result<AccessToken, Refusal> {
    block_on(guard.verify(token))
}

fn reason(outcome: Result<AccessToken, Refusal>) -> Reason {
    outcome.map(|token| token.id().to_owned()).unwrap_err().reason().clone()
}

/// Waits until the guard says this of the token.
fn becomes(guard: &Guard, token: &str, expected: &Result<(), Reason>) {
    eventually(PATIENCE, &format!("{expected:?}"), || {
        let outcome = guard.check(token).map(|_| ()).map_err(|refusal| refusal.reason().clone());
        (outcome == *expected).then_some(())
    });
}

const REVOKED: Reason = Reason::Token(TokenError::Revoked);

#[test]
fn a_good_token_gets_in_and_says_whose_it_is() {
    let (server, guard, _) = guarded();
    let token = verify(&guard, &server.token(&json!({}))).unwrap();
    assert_eq!(token.client_id(), "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e");
    assert_eq!((token.tenant(), token.id()), ("acme", "first"));
    assert_eq!(token.expires_at(), START + Duration::from_secs(30 * 86_400));
    assert!(token.has_scope("billing:read") && !token.has_scope("billing:write") && !token.has_scope("billing"));
    assert_eq!(token.require_scope("billing:read"), Ok(()));

    let classic = json!({ "aud": ["https://other.example", BILLING], "scope": ["billing:read", "billing:write"] });
    let token = verify(&guard, &server.token(&classic)).unwrap();
    assert_eq!(token.require_scopes(&["billing:write", "billing:read"]), Ok(()));
}

#[test]
fn a_refusal_says_which_check_failed_in_the_words_of_the_server() {
    let (server, guard, _) = guarded();
    let good = server.token(&json!({}));
    let changed = |changes: Value| server.token(&changes);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let cases = [
        ("malformed", "abc".to_owned()),
        ("unsigned", format!("{signed}.")),
        ("wrong signature", format!("{signed}.{}", "A".repeat(86))),
        ("unknown key", Signer::new().token(&server.url, &json!({}))),
        ("wrong type", server.signer.sign("revocations+jwt", &feed(&server.url, &json!({})))),
        ("wrong issuer", changed(json!({ "iss": "https://evil.example" }))),
        ("expired", changed(json!({ "exp": START.seconds() }))),
        ("not yet valid", changed(json!({ "nbf": START.seconds() + 1 }))),
        ("wrong audience", changed(json!({ "aud": "https://other.example" }))),
        ("audience almost right", changed(json!({ "aud": [format!("{BILLING}/"), "https://billing"] }))),
        ("no audience", changed(json!({ "aud": [] }))),
        ("bound to a key", changed(json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }))),
        ("bound in an unknown way", changed(json!({ "cnf": { "x5t#S256": "x" } }))),
        ("scope missing", good),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(what, token)| {
            let outcome = verify(&guard, token).and_then(|token| token.require_scope("billing:write"));
            let refusal = outcome.unwrap_err();
            format!("{what}: {} {}", refusal.status(), refusal.challenges().join("; "))
        })
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    malformed: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is malformed."
    unsigned: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token's signature is wrong."
    wrong signature: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token's signature is wrong."
    unknown key: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token was signed with a key that is not published."
    wrong type: 401 Bearer realm="brevet", error="invalid_token", error_description="The token is not an access token."
    wrong issuer: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is from another issuer."
    expired: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token expired at 2026-11-22T00:00:00Z."
    not yet valid: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not valid before 2026-11-22T00:00:01Z."
    wrong audience: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    audience almost right: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    no audience: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is not for this resource."
    bound to a key: 401 Bearer realm="brevet", error="invalid_token", error_description="This service takes no access tokens that are bound to a key."
    bound in an unknown way: 401 Bearer realm="brevet", error="invalid_token", error_description="The access token is malformed."
    scope missing: 403 Bearer realm="brevet", error="insufficient_scope", error_description="This needs the scope billing:write.", scope="billing:write"
    "#);
}

#[test]
fn a_change_of_the_feed_is_learnt_while_requests_go_on() {
    let (server, guard, _) = guarded();
    let token = server.token(&json!({}));
    becomes(&guard, &token, &Ok(()));
    server.revokes(&json!({ "revoked": { "first": START.seconds() + 60 } }));
    becomes(&guard, &token, &Err(REVOKED));
    verify(&guard, &server.token(&json!({ "jti": "second" }))).unwrap();
    server.revokes(&json!({ "disabled": { "clients": [], "tenants": ["globex"] }, "more": 1 }));
    becomes(&guard, &token, &Ok(()));
    assert_eq!(guard.status().revocations, RevocationStatus::ConfirmedAt(START));
}

#[test]
fn a_feed_that_is_not_the_servers_is_not_believed() {
    type Saying = fn(&FakeServer) -> Says;
    fn signed(server: &FakeServer, typ: &str, changes: &Value) -> Says {
        Says::Document(server.signer.sign(typ, &feed(&server.url, changes)).into_bytes())
    }
    let cases: [(Saying, &str); 13] = [
        (|_| Says::Document(b"{}".to_vec()), "not a JWS"),
        (|_| Says::Document(vec![0xff; 100]), "utf-8"),
        (|server| Says::json(&feed(&server.url, &json!({}))), "not a JWS"),
        (|server| signed(server, "at+jwt", &json!({})), "typ"),
        (|server| signed(server, "revocations+jwt", &json!({ "iss": "https://evil.example" })), "another issuer"),
        (|server| signed(server, "revocations+jwt", &json!({ "iat": START.seconds() - 7_201 })), "two hours"),
        (|server| signed(server, "revocations+jwt", &json!({ "revoked": ["first"] })), "invalid type"),
        (
            |server| {
                let forged = Signer::new().sign("revocations+jwt", &feed(&server.url, &json!({})));
                Says::Document(forged.into_bytes())
            },
            "not published",
        ),
        (|_| Says::Status(404), "any more"),
        (|_| Says::Status(500), "500"),
        (|_| Says::Status(302), "302"),
        (|_| Says::HangsUp, "does not answer"),
        (|_| Says::Endlessly, "limit"),
    ];
    std::thread::scope(|scope| {
        for (says, why) in cases {
            scope.spawn(move || {
                let (server, guard, _) = guarded();
                let token = server.token(&json!({}));
                server.revokes(&json!({ "revoked": { "first": START.seconds() } }));
                becomes(&guard, &token, &Err(REVOKED));
                server.says(FEED, says(&server));
                let error = eventually(PATIENCE, why, || guard.status().revocations_error);
                assert!(error.contains(why), "{why}: {error}");
                assert_eq!(reason(guard.check(&token)), REVOKED, "{why}");
                server.revokes(&json!({}));
                becomes(&guard, &token, &Ok(()));
            });
        }
    });
}

#[test]
fn a_server_without_a_feed_is_named_and_its_tokens_are_good() {
    let server = FakeServer::start();
    server.says(FEED, Says::Status(404));
    let guard = builder(&server, &Arc::new(ManualClock::new(START))).build().unwrap();
    verify(&guard, &server.token(&json!({}))).unwrap();
    assert_eq!(guard.status().revocations, RevocationStatus::Unsupported);
}

#[test]
fn a_server_that_says_it_has_a_feed_is_not_trusted_without_it() {
    let server = FakeServer::start();
    server.says(METADATA, Says::json(&json!({ "issuer": server.url, "brevet_revocations_uri": "https://x" })));
    server.says(FEED, Says::Status(404));
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).patience(Duration::ZERO).build().unwrap();
    let error = eventually(PATIENCE, "the error", || guard.status().revocations_error);
    assert!(error.contains("metadata names one"), "{error}");
    let token = server.token(&json!({}));
    assert_eq!(reason(verify(&guard, &token)), Reason::Unavailable(Lacking::Revocations));
    server.revokes(&json!({}));
    becomes(&guard, &token, &Ok(()));
}

#[test]
fn a_feed_that_is_only_said_to_be_the_current_one_is_believed_for_two_hours() {
    let (server, guard, clock) = guarded();
    server.says(FEED, Says::Status(304));
    clock.advance(Duration::from_secs(7_200));
    let confirmed = RevocationStatus::ConfirmedAt(START + Duration::from_secs(7_200));
    eventually(PATIENCE, "confirmed", || (guard.status().revocations == confirmed).then_some(()));
    clock.advance(Duration::from_secs(1));
    eventually(PATIENCE, "not believed", || {
        guard.status().revocations_error.filter(|error| error.contains("two hours"))
    });
    assert_eq!(guard.status().revocations, confirmed);
    assert!(guard.check(&server.token(&json!({}))).is_ok(), "the last one is good for a while");
    let fresh = feed(&server.url, &json!({ "iat": clock.now().seconds(), "revoked": { "first": 0 } }));
    server.says(FEED, Says::Document(server.signer.sign("revocations+jwt", &fresh).into_bytes()));
    becomes(&guard, &server.token(&json!({})), &Err(REVOKED));
}

#[test]
fn keys_that_may_never_be_old_are_not_asked_for_without_a_pause() {
    let server = FakeServer::start();
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).keys_max_stale(Duration::ZERO).build().unwrap();
    ready(&guard);
    // Looked at before the count, so that it is never the machine that leaves out a pause.
    let began_at = Instant::now();
    let asked = server.count(JWKS);
    eventually(PATIENCE, "four questions", || (server.count(JWKS) >= asked + 4).then_some(()));
    assert!(began_at.elapsed() > Duration::from_millis(1_200), "{:?}", began_at.elapsed());
}

#[test]
fn a_rotation_needs_no_restart() {
    let (server, guard, _) = guarded();
    let old = server.token(&json!({}));
    verify(&guard, &old).unwrap();
    let next = Signer::new();
    let new = next.token(&server.url, &json!({ "jti": "second" }));

    server.publishes(&[&server.signer, &next]);
    assert_eq!(verify(&guard, &new).unwrap().id(), "second", "the first token of a new key waits for the key");
    verify(&guard, &old).unwrap();

    // The old key is gone: from the server at once, from here as soon as the keys are fetched.
    server.publishes(&[&next]);
    server.says(FEED, Says::Document(next.sign("revocations+jwt", &feed(&server.url, &json!({}))).into_bytes()));
    becomes(&guard, &old, &Err(Reason::Token(TokenError::UnknownKey)));
    verify(&guard, &new).unwrap();
}

#[test]
fn forged_tokens_cause_no_flood_and_hold_nobody_up() {
    let (server, guard, _) = guarded();
    let began_at = Instant::now();
    let fetched = server.count(JWKS);
    let forger = Signer::new();
    for number in 0..200 {
        let forged = forger.token(&server.url, &json!({ "jti": number.to_string() }));
        assert_eq!(reason(verify(&guard, &forged)), Reason::Token(TokenError::UnknownKey));
    }
    let caused = server.count(JWKS) - fetched;
    let allowed = 1 + began_at.elapsed().as_secs() / 5;
    assert!(u64::try_from(caused).unwrap() <= allowed, "{caused} fetches for 200 forged tokens");
    assert!(server.count(METADATA) == 1, "the metadata is asked for once");
    verify(&guard, &server.token(&json!({}))).unwrap();
}

#[test]
fn keys_that_cannot_be_used_leave_the_good_ones_in_place() {
    for (says, why) in [
        (Says::Document(b"not JSON".to_vec()), "JWK set"),
        (Says::Document(Vec::new()), "JWK set"),
        (Says::json(&json!({ "keys": [] })), "no key"),
        (Says::json(&json!({ "keys": [{ "kty": "oct", "kid": "x", "alg": "HS256", "k": "AAAA" }] })), "no key"),
        (Says::Status(404), "no keys"),
        (Says::Status(503), "503"),
        (Says::Status(301), "301"),
        (Says::HangsUp, "does not answer"),
        (Says::Endlessly, "limit"),
    ] {
        let (server, guard, _) = guarded();
        server.says(JWKS, says);
        let unknown = Signer::new().token(&server.url, &json!({}));
        assert_eq!(reason(verify(&guard, &unknown)), Reason::Token(TokenError::UnknownKey), "{why}");
        let error = eventually(PATIENCE, why, || guard.status().keys_error);
        assert!(error.contains(why), "{why}: {error}");
        verify(&guard, &server.token(&json!({}))).unwrap();
    }
}

#[test]
fn a_server_that_says_nothing_holds_a_request_up_for_a_moment_only() {
    let server = FakeServer::start();
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).patience(Duration::from_millis(50)).build().unwrap();
    ready(&guard);
    server.says_always(&Says::Nothing);
    let unknown = Signer::new().token(&server.url, &json!({}));
    let began_at = Instant::now();
    assert_eq!(reason(verify(&guard, &unknown)), Reason::Token(TokenError::UnknownKey));
    assert!(began_at.elapsed() < Duration::from_secs(5), "{:?}", began_at.elapsed());
    verify(&guard, &server.token(&json!({}))).unwrap();
}

#[test]
fn an_outage_of_an_hour_is_survived_and_one_of_two_days_fails_closed() {
    let (server, guard, clock) = guarded();
    let token = server.token(&json!({}));
    let revoked = server.token(&json!({ "jti": "dead" }));
    server.revokes(&json!({ "revoked": { "dead": START.seconds() + 86_400 } }));
    becomes(&guard, &revoked, &Err(REVOKED));
    server.says_always(&Says::HangsUp);
    eventually(PATIENCE, "the outage", || guard.status().revocations_error);

    clock.advance(Duration::from_secs(3_600));
    assert!(guard.check(&token).is_ok());
    assert_eq!(reason(guard.check(&revoked)), REVOKED, "what was known before is known still");

    clock.advance(Duration::from_secs(47 * 3_600));
    let refusal = guard.check(&token).unwrap_err();
    assert_eq!(refusal.reason(), &Reason::Unavailable(Lacking::FreshKeys));
    assert_eq!((refusal.status(), refusal.challenges()), (503, Vec::new()));
    assert!(!guard.status().ready);

    server.says(METADATA, Says::json(&json!({ "issuer": server.url })));
    server.publishes(&[&server.signer]);
    server.revokes(&json!({ "iat": clock.now().seconds() }));
    assert_eq!(verify(&guard, &token).unwrap().id(), "first", "it is back with the server, and without a restart");
    becomes(&guard, &revoked, &Ok(()));
}

#[test]
fn a_feed_that_is_too_old_fails_closed_although_the_keys_are_fresh() {
    let server = FakeServer::start();
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).revocations_max_stale(Duration::from_secs(60)).build().unwrap();
    ready(&guard);
    server.says(FEED, Says::HangsUp);
    eventually(PATIENCE, "the outage", || guard.status().revocations_error);
    clock.advance(Duration::from_secs(60));
    let token = server.token(&json!({}));
    assert!(guard.check(&token).is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(reason(guard.check(&token)), Reason::Unavailable(Lacking::FreshRevocations));
}

#[test]
fn the_server_may_hold_a_question_for_half_of_what_the_feed_may_be_old() {
    for (max_stale, held) in [(86_400, "30"), (20, "10"), (1, "0")] {
        let server = FakeServer::start();
        let clock = Arc::new(ManualClock::new(START));
        let guard = builder(&server, &clock).revocations_max_stale(Duration::from_secs(max_stale)).build().unwrap();
        ready(&guard);
        let second = eventually(PATIENCE, "a second question", || {
            server.asked().into_iter().filter(|asked| asked.starts_with(FEED)).nth(1)
        });
        assert_eq!(second, format!("{FEED}?wait={held}"));
    }
}

#[test]
fn a_service_may_start_before_the_server() {
    let server = FakeServer::start();
    server.says_always(&Says::HangsUp);
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).patience(Duration::from_millis(50)).build().unwrap();
    let token = server.token(&json!({}));
    let refusal = verify(&guard, &token).unwrap_err();
    assert_eq!(refusal.reason(), &Reason::Unavailable(Lacking::Keys));
    assert_eq!(refusal.status(), 503);
    let error = eventually(PATIENCE, "the error", || guard.status().keys_error);
    assert!(error.contains("does not answer"), "{error}");

    server.says(METADATA, Says::json(&json!({ "issuer": server.url })));
    server.publishes(&[&server.signer]);
    becomes(&guard, &token, &Err(Reason::Unavailable(Lacking::Revocations)));
    server.revokes(&json!({}));
    becomes(&guard, &token, &Ok(()));
}

#[test]
fn a_server_that_is_another_issuer_is_not_trusted() {
    let server = FakeServer::start();
    server.says(METADATA, Says::json(&json!({ "issuer": "https://id.example.com" })));
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).patience(Duration::ZERO).build().unwrap();
    let error = eventually(PATIENCE, "the error", || guard.status().keys_error);
    assert!(error.contains("\"https://id.example.com\"") && error.contains(&server.url), "{error}");
    assert_eq!(reason(verify(&guard, &server.token(&json!({})))), Reason::Unavailable(Lacking::Keys));
    assert_eq!(server.count(JWKS), 0);
}

#[test]
fn nothing_is_asked_any_more_when_the_last_clone_is_gone() {
    let (server, guard, _) = guarded();
    let clone = guard.clone();
    drop(guard);
    let asked = server.count(FEED);
    eventually(PATIENCE, "a clone goes on", || (server.count(FEED) > asked).then_some(()));
    drop(clone);
    // One question may be on its way.
    let asked = server.count(FEED);
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(server.count(FEED) <= asked + 1);
}

#[test]
fn a_guard_that_could_not_guard_is_not_built() {
    let refused = |builder: GuardBuilder| builder.build().unwrap_err().to_string();
    let to = |issuer: &str| Guard::builder(issuer).audience(BILLING);
    for (what, builder, expected) in [
        ("no audience", Guard::builder("https://id.example.com"), "audience("),
        ("no URL", to("id.example.com"), "not a URL"),
        ("another scheme", to("ftp://id.example.com"), "https://"),
        ("a query", to("https://id.example.com?x=1"), "query"),
        ("a user", to("https://me@id.example.com"), "user"),
        ("keys in clear", to("https://id.example.com").server("http://brevet:8080"), "allow_http(true)"),
        ("a quote", to("https://id.example.com").realm("a\"b"), "quotes"),
        ("a line break", to("https://id.example.com").resource_metadata("https://x/\r\n"), "control"),
    ] {
        let message = refused(builder);
        assert!(message.contains(expected), "{what}: {message}");
    }
}

/// `GET /invoices` with a token that is sent as DPoP.
fn with_proof(guard: &Guard, token: &str, proof: &str) -> Result<AccessToken, Refusal> {
    let authorization = format!("DPoP {token}");
    let presented = Presented {
        authorization: Header::One(authorization.as_bytes()),
        dpop: if proof.is_empty() { Header::None } else { Header::One(proof.as_bytes()) },
        method: "GET",
        path: "/invoices",
        query: "page=2",
    };
    block_on(guard.admit(&presented))
}

#[test]
fn a_bound_token_is_good_with_a_proof_of_its_key_for_this_request_once() {
    let server = FakeServer::start();
    let clock = Arc::new(ManualClock::new(START));
    let guard = builder(&server, &clock).url("https://billing.example/api/").build().unwrap();
    ready(&guard);
    let (key, other) = (Signer::new(), Signer::new());
    let token = server.token(&json!({ "cnf": { "jkt": key.kid } }));
    let here = "https://billing.example/api/invoices";
    let changed = |changes: Value| key.proof("GET", here, &token, &changes);

    let good = changed(json!({}));
    assert_eq!(with_proof(&guard, &token, &good).unwrap().id(), "first");
    assert_eq!(reason(with_proof(&guard, &token, &good)), Reason::Proof(ProofError::Replayed));
    with_proof(&guard, &token, &changed(json!({ "jti": "another" }))).unwrap();

    let refused = [
        (String::new(), Reason::Proof(ProofError::Missing)),
        ("abc".to_owned(), Reason::Proof(ProofError::Malformed)),
        (changed(json!({ "htm": "POST" })), Reason::Proof(ProofError::Method)),
        (changed(json!({ "htu": "https://billing.example/invoices" })), Reason::Proof(ProofError::Url)),
        (changed(json!({ "iat": START.seconds() - 61 })), Reason::Proof(ProofError::Time)),
        (key.proof("GET", here, "another token", &json!({})), Reason::Proof(ProofError::AccessToken)),
        (other.proof("GET", here, &token, &json!({})), Reason::Token(TokenError::OtherKey)),
    ];
    for (proof, expected) in refused {
        let refusal = with_proof(&guard, &token, &proof).unwrap_err();
        assert_eq!(refusal.reason(), &expected);
        assert_eq!(refusal.status(), 401);
        let challenges = refusal.challenges();
        assert!(challenges.len() == 1 && challenges[0].starts_with("DPoP realm=\"brevet\", error="), "{challenges:?}");
    }
    let stolen = verify(&guard, &token).unwrap_err();
    assert_eq!(stolen.reason(), &Reason::Token(TokenError::Bound));
    assert!(stolen.challenges()[0].starts_with("DPoP "), "{:?}", stolen.challenges());
    let unbound = server.token(&json!({}));
    let proof = key.proof("GET", here, &unbound, &json!({}));
    assert_eq!(reason(with_proof(&guard, &unbound, &proof)), Reason::Token(TokenError::Unbound));
}

#[test]
fn a_service_that_does_not_know_its_address_takes_no_bound_tokens() {
    let (server, guard, _) = guarded();
    let key = Signer::new();
    let token = server.token(&json!({ "cnf": { "jkt": key.kid } }));
    let proof = key.proof("GET", "https://billing.example/invoices", &token, &json!({}));
    let refusal = with_proof(&guard, &token, &proof).unwrap_err();
    assert_eq!(refusal.reason(), &Reason::NoToken);
    assert_eq!(refusal.challenges(), ["Bearer realm=\"brevet\""]);
    assert_eq!(reason(verify(&guard, &token)), Reason::BoundTokens);
}

async fn invoices(token: AccessToken) -> Result<String, Refusal> {
    token.require_scope("billing:read")?;
    Ok(token.client_id().to_owned())
}

/// Status, challenges and the words in the body.
type Told = (u16, Vec<String>, Value);

/// What an actix-web service with this guard answers to requests with these headers.
fn service_answers(guard: &Guard, requests: &[(&str, Vec<(&str, String)>)]) -> Vec<Told> {
    actix_web::rt::System::new().block_on(async {
        let app = App::new().app_data(Data::new(guard.clone())).route("/invoices", web::get().to(invoices));
        let service = init_service(app).await;
        let mut told = Vec::new();
        for (query, headers) in requests {
            let mut request = TestRequest::get().uri(&format!("/invoices{query}"));
            for (name, value) in headers {
                request = request.append_header((*name, value.as_str()));
            }
            let answer = call_service(&service, request.to_request()).await;
            let status = answer.status();
            let all = answer.headers().get_all("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            let challenges = all.collect();
            if status != StatusCode::OK {
                assert_eq!(answer.headers().get("cache-control").unwrap(), "no-store");
                assert_eq!(answer.headers().contains_key("retry-after"), status == StatusCode::SERVICE_UNAVAILABLE);
            }
            let body = read_body(answer).await;
            told.push((status.as_u16(), challenges, serde_json::from_slice(&body).unwrap_or_default()));
        }
        told
    })
}

/// A guard of a service that follows the server through this address.
fn follow(app: &TestApp, server: &str) -> Guard {
    let metadata = "http://127.0.0.1:8080/.well-known/oauth-protected-resource";
    let builder = Guard::builder("http://127.0.0.1:8080").server(server).audience(BILLING).clock(app.clock.clone());
    let guard = builder.patience(PATIENCE).url("https://billing.example").resource_metadata(metadata).build().unwrap();
    ready(&guard);
    guard
}

#[test]
fn an_actix_service_answers_as_the_server_itself_does() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let token = app.token(&client);
    let guard = follow(&app, &app.url);
    let bearer = |text: &str| ("authorization", format!("Bearer {text}"));
    let (signed, _) = token.rsplit_once('.').unwrap();
    let refused: Vec<(&str, Vec<(&str, String)>)> = vec![
        ("", vec![]),
        ("", vec![("authorization", client.basic())]),
        ("", vec![bearer("")]),
        ("", vec![bearer("abc")]),
        ("", vec![bearer("a b")]),
        ("", vec![bearer(&token), bearer(&token)]),
        ("", vec![bearer(&format!("{signed}.AAAA"))]),
        ("", vec![("authorization", "DPoP".to_owned())]),
        ("", vec![("authorization", format!("DPoP {token}"))]),
        ("", vec![("authorization", format!("DPoP {token}")), ("dpop", "abc".to_owned())]),
        (&*format!("?access_token={token}").leak(), vec![]),
    ];
    let told = service_answers(&guard, &refused);
    for ((query, headers), (status, challenges, body)) in refused.iter().zip(told) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = app.get(&format!("/api/v1/whoami{query}"), &headers);
        let own: Vec<&str> =
            answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!((status, challenges), (answer.status.as_u16(), own.iter().map(ToString::to_string).collect()));
        let words = answer.json();
        let shared = ["error", "error_description"].map(|name| (name.to_owned(), words[name].clone()));
        assert_eq!(body, Value::Object(shared.into_iter().collect()));
    }
    let allowed = app.create_app(&["billing:write"]);
    let requests = [("", vec![bearer(&token)]), ("", vec![bearer(&app.token(&allowed))])];
    let told = service_answers(&guard, &requests);
    assert_eq!(told[0].0, 200);
    assert_eq!((told[1].0, &told[1].2["error"]), (403, &json!("insufficient_scope")));
}

#[test]
fn an_actix_service_refuses_with_503_while_it_cannot_judge() {
    let server = FakeServer::start();
    server.says_always(&Says::HangsUp);
    let guard = builder(&server, &Arc::new(ManualClock::new(START))).patience(Duration::ZERO).build().unwrap();
    let told =
        service_answers(&guard, &[("", vec![("authorization", format!("Bearer {}", server.token(&json!({}))))])]);
    assert_eq!((told[0].0, told[0].1.len(), &told[0].2["error"]), (503, 0, &json!("temporarily_unavailable")));
}

#[test]
fn whatever_kills_a_token_at_the_server_is_learnt_within_two_seconds() {
    type Kill = fn(&TestApp, &crate::support::Credentials, &str);
    let kills: [(&str, Kill); 6] = [
        ("token revoke", |app, _, token| {
            revocation::revoke(&app.management, token).unwrap();
        }),
        ("app disable", |app, client, _| apps::set_enabled(&app.management, client.id(), false).unwrap()),
        ("app delete", |app, client, _| apps::delete(&app.management, client.id()).unwrap()),
        ("app revoke-tokens", |app, client, _| {
            cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        }),
        ("org disable", |app, _, _| organisations::set_enabled(&app.management, "acme", false).unwrap()),
        ("token revoke-all", |app, _, _| {
            cut_offs::revoke_all_tokens(&app.management).unwrap();
        }),
    ];
    let mut took = Vec::new();
    for (what, kill) in kills {
        let app = TestApp::new();
        let client = app.create_app(&["billing:read"]);
        let token = app.token(&client);
        let guard = follow(&app, &app.url);
        verify(&guard, &token).unwrap();
        app.clock.advance(Duration::from_secs(10));
        // The second question is asked a second after the first, and held by the server.
        std::thread::sleep(Duration::from_millis(1_200));

        kill(&app, &client, &token);
        app.catch_up();
        let killed_at = Instant::now();
        becomes(&guard, &token, &Err(REVOKED));
        // Far from the half minute for which the server holds a question without news.
        assert!(killed_at.elapsed() < Duration::from_secs(20), "{what}: {:?}", killed_at.elapsed());
        took.push(killed_at.elapsed());
    }
    // More often than not, for a machine may be busy.
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_secs(2), "{took:?}");
}

#[test]
fn the_server_may_be_gone_for_an_hour_and_rotate_its_keys() {
    let app = TestApp::new();
    let relay = Relay::to(app.address());
    let client = app.create_app(&["billing:read"]);
    let (token, revoked) = (app.token(&client), app.token(&client));
    let guard = follow(&app, &relay.url);
    verify(&guard, &token).unwrap();
    verify(&guard, &revoked).unwrap();

    let (data, clock) = (app.data.clone(), app.clock.clone());
    relay.leads_to(None);
    drop(app);
    eventually(PATIENCE, "the outage", || guard.status().revocations_error);
    clock.advance(Duration::from_secs(3_600));
    verify(&guard, &token).unwrap();
    verify(&guard, &revoked).unwrap();

    // It comes back, with a revocation and another key.
    let app = TestApp::on(data, clock.clone(), &[]);
    revocation::revoke(&app.management, &revoked).unwrap();
    let (kid, _) = signing_keys::rotate(&app.management, SigningAlgorithm::Rs256, true).unwrap();
    // The new key signs as soon as every node of the server knows it.
    clock.advance(Duration::from_secs(10));
    app.catch_up();
    relay.leads_to(Some(app.address()));
    let new = app.token(&client);
    assert_eq!(crate::support::decode_jwt(&new).0["kid"], kid);
    verify(&guard, &new).unwrap();
    becomes(&guard, &revoked, &Err(REVOKED));
    verify(&guard, &token).unwrap();
}
