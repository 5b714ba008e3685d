//! The end of tokens before their time: revocation ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)), cut-offs, and
//! the feed that tells services which verify offline. Checks 70 to 74 and 117 to 121.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::{ManualClock, Timestamp};
use brevet::directory::Tail;
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::{Management, apps, cut_offs, import, organisations, revocation, signing_keys};
use serde_json::{Value, json};

use crate::support::http::{self, Answer};
use crate::support::process::{self, PATIENCE, Server, brevet, data_directory, eventually};
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app, postgres, test_config};

const FEED: &str = "/connect/revocations";

fn on_both_databases(test: impl Fn(&[(&str, &str)])) {
    test(&[]);
    if let Some(url) = postgres::database() {
        test(&[("database-url", &url)]);
    }
}

/// Whether the guard takes a token. Introspection by its own client must say the same.
fn lives(app: &TestApp, client: &Credentials, token: &str) -> bool {
    let guard = app.get_with_token("/api/v1/whoami", token).status.as_u16();
    let told = app.introspect(client, token).assert_status(200).json();
    assert_eq!(guard == 200, told["active"] == true, "{guard} {told}");
    guard == 200
}

fn jti(token: &str) -> String {
    decode_jwt(token).1["jti"].as_str().unwrap().to_owned()
}

/// What every request is told that is authenticated and whole.
fn assert_done(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// The claims of the feed, verified with the published keys.
fn feed(app: &TestApp) -> Value {
    let answer = app.get(FEED, &[]).assert_status(200);
    let (header, claims) = app.verified_jwt(&answer.body);
    assert_eq!(header["typ"], "revocations+jwt");
    claims
}

fn etag(app: &TestApp) -> String {
    app.get(FEED, &[]).assert_status(200).header("etag").to_owned()
}

/// Asks for the feed as one who knows `etag`, and waits.
fn wait_for_change(app: &TestApp, etag: &str, seconds: u32) -> (Answer, Duration) {
    let began_at = Instant::now();
    (app.get(&format!("{FEED}?wait={seconds}"), &[("if-none-match", etag)]), began_at.elapsed())
}

#[test]
fn a_client_ends_its_own_token_at_once_and_no_other() {
    on_both_databases(|settings| {
        let app = TestApp::with(settings);
        let client = app.create_app(&["billing:read"]);
        let (dead, sibling) = (app.token(&client), app.token(&client));
        assert!(lives(&app, &client, &dead));
        assert_done(&app.revoke(&client, &dead));
        // Nothing follows the change table here: this node knows it because it answered.
        assert!(!lives(&app, &client, &dead));
        assert!(lives(&app, &client, &sibling));
        assert_done(&app.revoke(&client, &dead));
        let audit = app.management.database().read(|conn| brevet::db::audit::list_actions(conn, &jti(&dead))).unwrap();
        assert_eq!(audit, [("token.revoke".to_owned(), format!("app:{}", client.client_id))], "once");
        for hint in ["access_token", "refresh_token", "nonsense"] {
            let token = app.token(&client);
            let body = format!("token={token}&token_type_hint={hint}");
            assert_done(&app.post("/connect/revocation", &[("authorization", &client.basic())], &body));
            assert!(!lives(&app, &client, &token), "{hint}");
        }
        assert!(lives(&app, &client, &sibling));
    });
}

#[test]
fn what_is_no_living_token_of_the_client_is_left_alone_and_the_client_is_not_told() {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    app.create_organisation("globex");
    let [owner, sibling] = [(); 2].map(|()| app.create_app(&["billing:read"]));
    let stranger = app.create_app_with("globex", new_app(&[]));
    let token = app.token(&owner);
    for other in [&sibling, &stranger] {
        assert_done(&app.revoke(other, &token));
        assert!(lives(&app, &owner, &token), "another client's");
    }
    let (header, claims) = decode_jwt(&token);
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let key = brevet::keys::signing::GeneratedKey::generate(SigningAlgorithm::Rs256).unwrap();
    let attacker = brevet::keys::signing::SigningKey::parse(SigningAlgorithm::Rs256, &key.private_key).unwrap();
    let attackers = attacker.sign(TokenProfile::Rfc9068, &claims).unwrap();
    let signature = attackers.rsplit('.').next().unwrap();
    let ring = app.authority.directory.ring();
    let expired = json!({ "exp": START.seconds() });
    let mut over = claims.clone();
    over["exp"] = expired["exp"].clone();
    let over = ring.sign(SigningAlgorithm::Rs256, TokenProfile::Rfc9068, &over, START).unwrap();
    let unsigned = encode(&json!({ "alg": "none", "typ": "at+jwt", "kid": header["kid"] }));
    let forged = [
        "nonsense".to_owned(),
        jti(&token),
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        attackers.clone(),
        format!("{}.{}.{signature}", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        token[..token.len() - 8].to_owned(),
        over,
        app.get(FEED, &[]).body,
    ];
    for forgery in &forged {
        assert_done(&app.revoke(&owner, forgery));
        assert!(lives(&app, &owner, &token), "{forgery}");
    }
    assert_eq!(feed(&app)["revoked"], json!({}));
    app.clock.advance(Duration::from_secs(86_400));
    assert_done(&app.revoke(&owner, &token));
    assert_eq!(feed(&app)["revoked"], json!({}), "an expired token is dead anyway");
}

#[test]
fn a_token_that_is_not_valid_yet_can_be_revoked() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    // By a node whose clock is ahead.
    let (_, mut claims) = decode_jwt(&app.token(&client));
    claims["nbf"] = json!(START.seconds() + 60);
    let ring = app.authority.directory.ring();
    let early = ring.sign(SigningAlgorithm::Rs256, TokenProfile::Rfc9068, &claims, START).unwrap();
    assert_done(&app.revoke(&client, &early));
    app.clock.advance(Duration::from_secs(60));
    assert!(!lives(&app, &client, &early));
    revocation::revoke(&app.management, &early).unwrap();
}

/// Check 121: every order, by people whose clocks differ, and within one second.
#[test]
fn the_latest_cut_off_wins_whoever_makes_it_in_whatever_order() {
    on_both_databases(|settings| {
        let app = TestApp::with(&[settings, &[("throttle-failures", "off")]].concat());
        app.create_organisation("globex");
        let bystander = app.create_app_with("globex", new_app(&[]));
        let sibling = app.create_app(&["billing:read"]);
        let operator = |offset: i64| {
            let clock = ManualClock::new(Timestamp::from_seconds(START.seconds() + offset));
            Management::open(test_config(&app.data, settings), Arc::new(clock), "test").unwrap()
        };
        let operators = [operator(-3_600), operator(0), operator(10)];
        let orders =
            [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 0, 0], [1, 1, 1], [2, 2, 2]];
        for (at, order) in orders.iter().enumerate() {
            let client = app.create_app(&["billing:read"]);
            // Every token, and whether it lived last time.
            let mut issued = vec![(app.token(&client), true)];
            for (step, kind) in order.iter().enumerate() {
                let [of_sibling, of_bystander] = [&sibling, &bystander].map(|other| (other, app.token(other)));
                let operator = (at + step) % 3;
                let m = &operators[operator];
                match kind {
                    0 => cut_offs::revoke_app_tokens(m, client.id()),
                    1 => cut_offs::revoke_organisation_tokens(m, "acme"),
                    _ => cut_offs::revoke_all_tokens(m),
                }
                .unwrap();
                app.catch_up();
                let context = format!("{order:?}, step {step}, operator {operator}");
                for (token, lived) in &mut issued {
                    let lives = lives(&app, &client, token);
                    assert!(!lives || *lived, "{context}: nothing that was dead is revived");
                    // One whose clock is behind cuts off what was issued by then, and spoils nothing.
                    assert!(!lives || operator == 0, "{context}: everything issued before is dead");
                    *lived = lives;
                }
                if operator != 0 {
                    assert_eq!(lives(&app, of_sibling.0, &of_sibling.1), *kind == 0, "{context}: of the organisation");
                    assert_eq!(lives(&app, of_bystander.0, &of_bystander.1), *kind != 2, "{context}: of another");
                }
                let fresh = app.token(&client);
                assert!(lives(&app, &client, &fresh), "{context}: what is issued after, in the same second");
                issued.push((fresh, true));
            }
        }
    });
}

/// What scripts rely on: when the command returns, a running server refuses the old tokens and its new ones are good.
#[test]
fn after_the_command_old_tokens_are_dead_and_new_ones_good() {
    let data = data_directory();
    let client = process::create_app(data.path());
    let server = Server::start(data.path());
    let command = |args: &[&str]| brevet(data.path()).args(args).ok();
    let mut seen = Vec::new();
    for args in
        [&["app", "revoke-tokens", &client.client_id][..], &["org", "revoke-tokens", "acme"], &["token", "revoke-all"]]
    {
        let dead = server.token(&client);
        server.whoami(&dead).assert_status(200);
        command(args);
        let alive = server.token(&client);
        let is_dead = || server.whoami(&dead).status == 401;
        let at_once = is_dead();
        eventually(PATIENCE, "the old token is dead", || is_dead().then_some(()));
        // Also once every change is taken in.
        thread::sleep(Duration::from_millis(500));
        seen.push((at_once, server.whoami(&alive).status.as_u16()));
        server.whoami(&server.token(&client)).assert_status(200);
    }
    // As a rule, for a machine may be busy: then the server hears of it later than the second for which the command waits.
    seen.sort_unstable();
    assert_eq!(seen[1], (true, 200), "{seen:?}");
    assert!(seen.iter().all(|(at_once, status)| *status == 200 || !at_once), "what came after the end: {seen:?}");
}

#[test]
fn many_revocations_at_once_are_all_done() {
    on_both_databases(|settings| {
        let app = TestApp::with(&[settings, &[("database-timeout", "30s")]].concat());
        let client = app.create_app(&["billing:read"]);
        let tokens: Vec<String> = (0..120).map(|_| app.token(&client)).collect();
        thread::scope(|scope| {
            let threads: Vec<_> = tokens
                .chunks(2)
                .map(|pair| scope.spawn(|| pair.iter().for_each(|token| assert_done(&app.revoke(&client, token)))))
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert!(tokens.iter().all(|token| !lives(&app, &client, token)));
        assert_eq!(feed(&app)["revoked"].as_object().unwrap().len(), tokens.len());
    });
}

#[test]
fn a_changed_back_dating_neither_revives_nor_kills() {
    let spans = ["0s", "5s", "600s"];
    for before in spans {
        let app = TestApp::with(&[("clock-backdate", before)]);
        let client = app.create_app(&["billing:read"]);
        let dead = app.token(&client);
        app.clock.advance(Duration::from_secs(1));
        cut_offs::revoke_app_tokens(&app.management, client.id()).unwrap();
        app.catch_up();
        let alive = app.token(&client);
        // The beginning of the next second: without back-dating a new token is dated then.
        app.clock.advance(Duration::from_secs(1));
        for after in spans {
            let again = TestApp::on(app.data.clone(), app.clock.clone(), &[("clock-backdate", after)]);
            assert!(!lives(&again, &client, &dead), "{before}, then {after}");
            assert!(lives(&again, &client, &alive), "{before}, then {after}");
        }
    }
}

#[test]
fn the_feed_names_whatever_ends_tokens_and_forgets_what_is_over() {
    on_both_databases(|settings| {
        let app = TestApp::with(settings);
        app.create_organisation("globex");
        app.create_organisation("initech");
        let [revoked, cut, off, gone] = [(); 4].map(|()| app.create_app(&["billing:read"]));
        let m = &app.management;
        let nothing = json!({
            "iss": "http://127.0.0.1:8080",
            "iat": 1_795_305_600,
            "revoked": {},
            "not_before": { "clients": {}, "tenants": {} },
            "disabled": { "clients": [], "tenants": [] },
        });
        assert_eq!(feed(&app), nothing);
        app.clock.advance(Duration::from_secs(100));
        let token = app.token(&revoked);
        revocation::revoke(m, &token).unwrap();
        cut_offs::revoke_app_tokens(m, cut.id()).unwrap();
        cut_offs::revoke_organisation_tokens(m, "globex").unwrap();
        apps::set_enabled(m, off.id(), false).unwrap();
        apps::delete(m, gone.id()).unwrap();
        organisations::set_enabled(m, "initech", false).unwrap();
        app.catch_up();
        let mut disabled = [off.client_id.clone(), gone.client_id.clone()];
        disabled.sort_unstable();
        let mut expected = json!({
            "iss": "http://127.0.0.1:8080",
            "iat": START.seconds(),
            "revoked": { jti(&token): START.seconds() + 86_500 },
            "not_before": {
                "clients": { &cut.client_id: START.seconds() + 101 },
                "tenants": { "globex": START.seconds() + 101 },
            },
            "disabled": { "clients": disabled, "tenants": ["initech"] },
        });
        assert_eq!(feed(&app), expected);

        cut_offs::revoke_all_tokens(m).unwrap();
        apps::set_enabled(m, off.id(), true).unwrap();
        organisations::set_enabled(m, "initech", true).unwrap();
        // Made anew under its old id: it gets tokens again, and those of before stay dead.
        let line = json!({ "client_id": gone.client_id, "client_secret": "x".repeat(20), "name": "again" }).to_string();
        import::import(m, "acme", &mut line.as_bytes(), &mut |made| assert!(made.is_ok())).unwrap();
        app.catch_up();
        expected["not_before"]["all"] = json!(START.seconds() + 102);
        expected["not_before"]["clients"][&gone.client_id] = json!(START.seconds() + 101);
        expected["disabled"] = json!({ "clients": [], "tenants": [] });
        assert_eq!(feed(&app), expected);

        // A new node says the same, octet for octet.
        let other = TestApp::on(app.data.clone(), app.clock.clone(), settings);
        assert_eq!(other.get(FEED, &[]).body, app.get(FEED, &[]).body);
        assert_eq!(etag(&other), etag(&app));

        // Over at the beginning of the hour after.
        app.clock.advance(Duration::from_secs(86_400 - 100));
        assert_eq!(feed(&app)["revoked"], expected["revoked"]);
        app.clock.advance(Duration::from_secs(3_600));
        assert_eq!(feed(&app)["revoked"], json!({}));
        assert_eq!(feed(&app)["not_before"], expected["not_before"]);
        app.clock.advance(Duration::from_secs(3_600));
        assert_eq!(feed(&app)["not_before"], json!({ "clients": {}, "tenants": {} }));
    });
}

#[test]
fn a_deleted_app_is_remembered_as_long_as_its_tokens_may_live() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let m = &app.management;
    apps::delete(m, client.id()).unwrap();
    let clean = || {
        let now = brevet::clock::Clock::now(&*app.clock);
        m.database().write(move |conn| brevet::db::cut_offs::delete_old(conn, now)).unwrap()
    };
    app.clock.advance(Duration::from_secs(86_400 + 3_599));
    assert_eq!(clean(), 0);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(clean(), 1);
    assert_eq!(clean(), 0);
}

#[test]
fn a_feed_that_is_known_is_not_sent_again() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let first = app.get(FEED, &[]).assert_status(200);
    assert_eq!(first.header("content-type"), "application/revocations+jwt");
    assert_eq!(first.header("cache-control"), "no-cache");
    assert_eq!(first.header("access-control-allow-origin"), "");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "strong: {tag}");
    let second = app.get(FEED, &[]);
    assert_eq!((second.body.as_str(), second.header("etag")), (first.body.as_str(), &*tag));
    let head = http::send("HEAD", &format!("{}{FEED}", app.url), &[], None).assert_status(200);
    assert_eq!((head.body.as_str(), head.header("etag")), ("", &*tag));
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    let known = app.get(FEED, &[("if-none-match", &tag)]);
    assert_eq!((known.status.as_u16(), known.body.as_str(), known.header("etag")), (304, "", &*tag));
    http::send("POST", &format!("{}{FEED}", app.url), &[], None).assert_status(405);

    // What ends no token leaves it as it is.
    let bystander = app.create_app(&["billing:read"]);
    app.token(&bystander);
    signing_keys::generate(&app.management, SigningAlgorithm::Rs256).unwrap();
    app.catch_up();
    app.clock.advance(Duration::from_secs(3_599));
    assert_eq!(etag(&app), tag);
    let mut tags = BTreeSet::from([tag]);
    app.clock.advance(Duration::from_secs(1));
    assert!(tags.insert(etag(&app)), "once an hour it is dated anew");
    app.revoke(&client, &app.token(&client)).assert_status(200);
    assert!(tags.insert(etag(&app)), "a revocation");
    signing_keys::rotate(&app.management, SigningAlgorithm::Rs256, true).unwrap();
    app.catch_up();
    app.clock.advance(Duration::from_secs(2));
    assert!(tags.insert(etag(&app)), "another key");
    feed(&app);
}

#[test]
fn a_long_feed_comes_whole() {
    let app = TestApp::new();
    let client = app.create_app(&[]);
    let id = client.id();
    let expiry = START + Duration::from_secs(60);
    app.management
        .database()
        .write(move |conn| {
            for number in 0..3_000 {
                let jti = format!("{number:022}");
                brevet::db::revocations::insert(conn, &jti, id, START, expiry)?;
                let kind = brevet::db::changes::ChangeKind::Revocations;
                brevet::db::changes::record(conn, kind, &jti, START)?;
            }
            Ok::<_, brevet::db::DbError>(())
        })
        .unwrap();
    app.catch_up();
    let answer = app.get(FEED, &[]).assert_status(200);
    let octets_each = answer.body.len() / 3_000;
    assert!((40..60).contains(&octets_each), "as docs/verify.md says: {octets_each}");
    let (_, claims) = app.verified_jwt(&answer.body);
    assert_eq!(claims["revoked"].as_object().unwrap().len(), 3_000);
}

#[test]
fn who_waits_hears_of_a_change_at_once_and_otherwise_when_the_time_is_up() {
    on_both_databases(|settings| {
        let app = TestApp::with(settings);
        let _tail = Tail::start(app.authority.directory.clone(), app.clock.clone()).unwrap();
        let client = app.create_app(&["billing:read"]);
        let tokens = [(); 2].map(|()| app.token(&client));
        let tag = etag(&app);
        let (answer, took) = wait_for_change(&app, &tag, 1);
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (304, &*tag));
        assert!(took >= Duration::from_secs(1), "{took:?}");
        let (answer, took) = wait_for_change(&app, "\"another\"", 20);
        assert_eq!(answer.status.as_u16(), 200);
        assert!(took < Duration::from_secs(10), "who knows nothing does not wait: {took:?}");

        let by_client = || app.revoke(&client, &tokens[0]).status.as_u16();
        let by_operator = || u16::from(revocation::revoke(&app.management, &tokens[1]).is_ok()) * 200;
        for (token, revoke) in tokens.iter().zip([&by_client as &(dyn Fn() -> u16 + Sync), &by_operator]) {
            let tag = etag(&app);
            thread::scope(|scope| {
                let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| wait_for_change(&app, &tag, 30))).collect();
                thread::sleep(Duration::from_millis(300));
                assert_eq!(revoke(), 200);
                for waiter in waiting {
                    let (answer, took) = waiter.join().unwrap();
                    assert!(took < Duration::from_secs(20), "{took:?}");
                    let (_, claims) = app.verified_jwt(&answer.assert_status(200).body);
                    assert!(claims["revoked"][jti(token)].is_i64());
                }
            });
        }
    });
}

#[test]
fn who_waits_leaves_room_for_others() {
    let app = TestApp::with(&[("max-connections", "8")]);
    let _tail = Tail::start(app.authority.directory.clone(), app.clock.clone()).unwrap();
    let client = app.create_app(&["billing:read"]);
    let tag = etag(&app);
    let began_at = Instant::now();
    thread::scope(|scope| {
        // Each comes back until it has a place and hears of the change, or this test has failed.
        let wait = || {
            while wait_for_change(&app, &tag, 20).0.status == 304 && began_at.elapsed() < Duration::from_secs(90) {
                thread::sleep(Duration::from_millis(20));
            }
        };
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(wait)).collect();
        eventually(Duration::from_secs(60), "an answer without waiting", || {
            // So that a place that becomes free is taken by one of those.
            thread::sleep(Duration::from_millis(500));
            let (answer, took) = wait_for_change(&app, &tag, 2);
            assert_eq!(answer.status.as_u16(), 304);
            (took < Duration::from_secs(1)).then_some(())
        });
        app.revoke(&client, &app.token(&client)).assert_status(200);
        waiting.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn a_wait_is_not_cut_by_the_limits_of_other_requests() {
    let app = TestApp::with(&[("request-timeout", "1s"), ("database-timeout", "1s")]);
    let tag = etag(&app);
    let mut stream = TcpStream::connect(app.address()).unwrap();
    // Twice on one connection: the allowance is for one answer.
    for _ in 0..2 {
        let request = format!("GET {FEED}?wait=4 HTTP/1.1\r\nhost: x\r\nif-none-match: {tag}\r\n\r\n");
        let began_at = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut buffer = [0; 4_096];
        let length = stream.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 304 "), "{answer}");
        assert!(began_at.elapsed() >= Duration::from_secs(4));
    }
}

#[test]
fn who_waits_is_let_go_when_the_server_stops() {
    let app = TestApp::with(&[("shutdown-grace", "40s")]);
    let tag = etag(&app);
    let url = app.url.clone();
    let waiting = thread::spawn(move || {
        let answer = http::get(&format!("{url}{FEED}?wait=30"), &[("if-none-match", &tag)]);
        (answer.status.as_u16(), Instant::now())
    });
    // Until it waits, on any machine.
    thread::sleep(Duration::from_secs(2));
    let stopped_at = Instant::now();
    drop(app);
    let (status, answered_at) = waiting.join().unwrap();
    assert_eq!(status, 304);
    assert!(answered_at.duration_since(stopped_at) < Duration::from_secs(20));
    assert!(stopped_at.elapsed() < Duration::from_secs(25), "{:?}", stopped_at.elapsed());
}

/// Whoever keeps a feed would take it for the current one, while other nodes revoke.
#[test]
fn a_node_that_is_out_of_touch_for_too_long_confirms_no_feed() {
    let app = TestApp::with(&[("stale-limit", "2s")]);
    let tag = eventually(Duration::from_secs(30), "a feed", || {
        app.catch_up();
        let answer = app.get(FEED, &[]);
        (answer.status == 200).then(|| answer.header("etag").to_owned())
    });
    // Nobody follows the change table here.
    let (answer, _) = wait_for_change(&app, &tag, 4);
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_ne!(answer.header("retry-after"), "");
    for headers in [&[][..], &[("if-none-match", tag.as_str())]] {
        app.get(FEED, headers).assert_status(503);
    }
    eventually(Duration::from_secs(30), "in touch again", || {
        app.catch_up();
        (app.get(FEED, &[("if-none-match", &tag)]).status == 304).then_some(())
    });
}

#[test]
fn a_wait_that_cannot_be_read_is_refused() {
    let app = TestApp::new();
    let tag = etag(&app);
    for query in ["wait=31", "wait=-1", "wait=", "wait=1s", "wait=1.5", "wait=1&wait=1", "wait=99999999999999999999"] {
        let answer = app.get(&format!("{FEED}?{query}"), &[("if-none-match", &tag)]).assert_status(400);
        assert_eq!(answer.error(), "invalid_request", "{query}");
    }
    for query in ["", "?wait=0", "?other=1", "?wait=30"] {
        app.get(&format!("{FEED}{query}"), &[]).assert_status(200);
    }
}
