//! Keys of trusted issuers that are somewhere else: federation of workloads without any App Key, and servers of keys that
//! are slow, dead or hostile. Checks 88 and 89. The servers are the test's own, on loopback; workloads' JWTs are signed by
//! the `openssl` command.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brevet::clock::Clock;
use brevet::oauth::client::ClientAuthentication;
use brevet::oauth::trust::{ClaimName, ClaimRule, IssuerKeys};
use brevet::service::apps::NewApp;
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use serde_json::{Value, json};

use crate::client_jwks_uri::{KeyServer, NOT_HELD_UP, Reply, answer, good, hostile};
use crate::support::http::Answer;
use crate::support::process::{PATIENCE, eventually};
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, new_app};
use crate::third_party_table::{FOR_ALL_WAYS, WAYS, Way, assert_all_refuse, assert_all_take, claims, trust};
use crate::trusted_issuers::{AUD, ISS, edited, settings};

crate::support::postgres::on_both_databases! {
    a_job_of_a_build_service_gets_a_token_without_any_key
    a_service_account_of_a_cluster_gets_a_token_without_any_key
}

const JSON: &str = "200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=600";

fn server() -> TestApp {
    server_with(&[])
}

fn server_with(more: &[(&str, &str)]) -> TestApp {
    TestApp::with(&[more, &FOR_ALL_WAYS, &[("outbound-allow-private", "true")]].concat())
}

/// An app without any key.
fn keyless(app: &TestApp) -> Credentials {
    let new = NewApp { authentication: ClientAuthentication::TrustedIssuer, ..new_app(&["billing:read"]) };
    app.create_app_with("acme", new)
}

/// An entry whose keys are behind that URL.
fn behind(url: &str, client: &Credentials) -> IssuerSettings {
    let nobody = Signer::ed25519("nobody");
    edited(settings(&nobody, StandsFor::App(client.id())), |policy| policy.keys = IssuerKeys::JwksUri(url.into()))
}

fn jwt(app: &TestApp, signer: &Signer) -> String {
    signer.sign(&claims(app.clock.now().seconds()))
}

fn status(app: &TestApp, way: Way, signer: &Signer) -> u16 {
    way.send(&app.url, &jwt(app, signer)).status.as_u16()
}

/// An OpenID provider: its configuration and its keys, each replaced at will, and how often they were asked for.
struct Provider {
    url: String,
    asked: [Arc<AtomicUsize>; 2],
    replies: [Arc<Mutex<Reply>>; 2],
}

impl Provider {
    fn start(signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let configuration = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string();
        let provider = Self {
            url,
            asked: std::array::from_fn(|_| Arc::default()),
            replies: [answer(JSON, configuration), good(&signer.jwks())].map(|reply| Arc::new(Mutex::new(reply))),
        };
        let (asked, replies) = (provider.asked.clone(), provider.replies.clone());
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, asked, replies) = (stream.unwrap(), asked.clone(), replies.clone());
                thread::spawn(move || {
                    let mut request = [0; 4_096];
                    let length = stream.read(&mut request).unwrap_or_default();
                    let text = String::from_utf8_lossy(&request[..length]).into_owned();
                    let which = match text.split(' ').nth(1) {
                        Some("/.well-known/openid-configuration") => 0,
                        Some("/keys") => 1,
                        other => panic!("asked for {other:?}"),
                    };
                    asked[which].fetch_add(1, Ordering::SeqCst);
                    let reply = replies[which].lock().unwrap().clone();
                    reply(&mut stream);
                });
            }
        });
        provider
    }

    fn asked(&self) -> [usize; 2] {
        [0, 1].map(|which| self.asked[which].load(Ordering::SeqCst))
    }

    fn configure(&self, reply: Reply) {
        *self.replies[0].lock().unwrap() = reply;
    }

    fn publish(&self, reply: Reply) {
        *self.replies[1].lock().unwrap() = reply;
    }

    fn entry(&self, client: &Credentials, audience: &str, rules: &[&str]) -> IssuerSettings {
        let base = behind("http://127.0.0.1/", client);
        let entry = edited(base, |policy| {
            policy.keys = IssuerKeys::Discovery;
            policy.audiences = vec![audience.to_owned()];
            policy.rules = rules.iter().map(|rule| ClaimRule::parse(rule).unwrap()).collect();
            // A workload shows the same JWT until it expires.
            policy.single_use = false;
        });
        IssuerSettings { issuer: self.url.clone(), ..entry }
    }
}

/// By both ways that programs take, without any App Key.
fn token_of(app: &TestApp, jwt: &str, client: &Credentials) {
    for way in [Way::Assertion, Way::Grant] {
        let answer = way.send(&app.url, jwt).assert_status(200).json();
        let token = answer["access_token"].as_str().unwrap();
        let (_, token) = app.verified_jwt(token);
        assert_eq!((&token["client_id"], &token["scope"]), (&json!(client.client_id), &json!("billing:read")));
    }
}

fn changed(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn a_job_of_a_build_service_gets_a_token_without_any_key(more: &[(&str, &str)]) {
    let Some(signer) = Signer::openssl("build-1") else { return };
    let app = server_with(more);
    let provider = Provider::start(&signer);
    let client = keyless(&app);
    let rules = ["sub=repo:octo/billing:ref:refs/heads/*", "repository_owner=octo", "environment=production,staging"];
    trust(&app, provider.entry(&client, "https://id.acme.example", &rules));
    let now = app.clock.now().seconds();
    let claims = json!({
        "jti": "4d5f", "sub": "repo:octo/billing:ref:refs/heads/main", "aud": "https://id.acme.example",
        "ref": "refs/heads/main", "sha": "0123456789abcdef", "repository": "octo/billing", "repository_owner": "octo",
        "actor": "mona", "workflow": "deploy", "event_name": "push", "ref_type": "branch", "run_id": "1", "run_attempt": "1",
        "environment": "production", "iss": provider.url, "nbf": now - 300, "exp": now + 600, "iat": now
    });
    token_of(&app, &signer.sign(&claims), &client);
    assert_eq!(provider.asked(), [1, 1]);
    for wrong in [
        changed(&claims, "sub", json!("repo:octo/billing:pull_request")),
        changed(&claims, "sub", json!("repo:octo/billing-fork:ref:refs/heads/main")),
        changed(&claims, "repository_owner", json!("Octo")),
        changed(&claims, "environment", json!("development")),
        changed(&claims, "environment", Value::Null),
        changed(&claims, "aud", json!("https://github.com/octo")),
        changed(&claims, "exp", json!(now - 61)),
    ] {
        for way in [Way::Assertion, Way::Grant] {
            way.assert_refused(&way.send(&app.url, &signer.sign(&wrong)), &wrong);
        }
    }
    // The App SID alone is worth nothing.
    let body = format!("grant_type=client_credentials&client_id={}", client.client_id);
    app.token_request(&[], &body).assert_status(401);
}

fn a_service_account_of_a_cluster_gets_a_token_without_any_key(more: &[(&str, &str)]) {
    let Some(signer) = Signer::openssl("cluster") else { return };
    let app = server_with(more);
    let provider = Provider::start(&signer);
    let client = keyless(&app);
    let rules = [
        "/kubernetes.io/namespace=payments",
        "/kubernetes.io/serviceaccount/name=billing",
        "sub=system:serviceaccount:payments:billing",
    ];
    let mut entry = provider.entry(&client, "brevet", &rules);
    // As Kubernetes spells it: the name of the claim has a dot, which is nothing special here.
    assert_eq!(entry.policy.rules[0].claim, "/kubernetes.io/namespace".parse::<ClaimName>().unwrap());
    entry.policy.max_age = Some(Duration::from_secs(3_600));
    trust(&app, entry);
    let now = app.clock.now().seconds();
    let claims = json!({
        "aud": ["brevet"], "exp": now + 3_600, "iat": now, "nbf": now, "iss": provider.url,
        "kubernetes.io": {
            "namespace": "payments", "pod": { "name": "billing-7f", "uid": "u1" },
            "serviceaccount": { "name": "billing", "uid": "u2" }
        },
        "sub": "system:serviceaccount:payments:billing"
    });
    token_of(&app, &signer.sign(&claims), &client);
    let inner = |namespace: &str, account: &str| {
        let names = json!({ "namespace": namespace, "serviceaccount": { "name": account } });
        changed(&claims, "kubernetes.io", names)
    };
    for wrong in [
        inner("default", "billing"),
        inner("payments", "default"),
        changed(&claims, "kubernetes.io", json!("payments")),
        changed(&claims, "kubernetes.io", json!({})),
        changed(&claims, "aud", json!(["https://kubernetes.default.svc"])),
        changed(&claims, "iat", json!(now - 3_661)),
    ] {
        for way in [Way::Assertion, Way::Grant] {
            way.assert_refused(&way.send(&app.url, &signer.sign(&wrong)), &wrong);
        }
    }
}

#[test]
fn an_issuer_that_rotates_its_keys_is_followed_with_one_fetch() {
    let (Some(old), Some(new)) = (Signer::openssl("old"), Signer::openssl("new")) else { return };
    let app = server();
    let keys = KeyServer::start(good(&old.jwks()));
    let client = keyless(&app);
    trust(&app, behind(&keys.url, &client));
    for way in WAYS {
        assert_eq!(status(&app, way, &old), 200, "{way:?}");
    }
    assert_eq!(keys.asked(), 1);
    keys.reply_with(good(&json!({ "keys": [old.jwk, new.jwk] }).to_string()));
    app.clock.advance(Duration::from_secs(60));
    for way in WAYS {
        assert_eq!(status(&app, way, &new), 200, "{way:?}: the new key");
        assert_eq!(status(&app, way, &old), 200, "{way:?}: the old key");
    }
    assert_eq!(keys.asked(), 2);
    // Withdrawn: refused as soon as the keys are fetched anew.
    keys.reply_with(good(&new.jwks()));
    app.clock.advance(Duration::from_secs(600));
    assert_eq!(status(&app, Way::Grant, &new), 200);
    eventually(PATIENCE, "a withdrawn key is refused", || (status(&app, Way::Ticket, &old) == 401).then_some(()));
    assert_all_refuse(&app.url, &jwt(&app, &old), &"a withdrawn key");
    assert_eq!(keys.asked(), 3);
}

/// Check 89.
#[test]
fn a_thousand_unknown_keys_cause_one_fetch_in_a_while_and_evict_none() {
    let app = server();
    let signer = Signer::p256("good");
    let keys = KeyServer::start(good(&signer.jwks()));
    let client = keyless(&app);
    trust(&app, behind(&keys.url, &client));
    assert_eq!(status(&app, Way::Grant, &signer), 200);
    let attacker = Signer::p256("attacker");
    let mut asked = 1;
    for interval in 0..2 {
        app.clock.advance(Duration::from_secs(60));
        for number in 0..500 {
            let way = WAYS[number % WAYS.len()];
            let header = json!({ "alg": "ES256", "kid": format!("unknown {interval} {number}") });
            let forged = attacker.sign_with(&header, &claims(app.clock.now().seconds()));
            way.assert_refused(&way.send(&app.url, &forged), &number);
            if number % 100 == 0 {
                assert_eq!(status(&app, way, &signer), 200, "the good key stays");
            }
        }
        asked += 1;
        assert_eq!(keys.asked(), asked, "once in a cool-down");
    }
    for way in WAYS {
        assert_eq!(status(&app, way, &signer), 200, "{way:?}");
    }
}

/// Check 88, with a URL.
#[test]
fn hostile_servers_of_keys_lose_no_good_ones_and_delay_nobody() {
    let app = server();
    let signer = Signer::p256("k");
    let canary = KeyServer::start(good(&signer.jwks()));
    let keys = KeyServer::start(good(&signer.jwks()));
    let (client, bystander) = (keyless(&app), app.create_app(&["billing:read"]));
    trust(&app, behind(&keys.url, &client));
    assert_eq!(status(&app, Way::Grant, &signer), 200);
    for (number, (what, reply)) in hostile(&canary.url).into_iter().enumerate() {
        let way = WAYS[number % WAYS.len()];
        keys.reply_with(reply.clone());
        app.clock.advance(Duration::from_secs(900));
        let (asked, began_at) = (keys.asked(), Instant::now());
        assert_eq!(status(&app, way, &signer), 200, "{what}: with the keys from before");
        app.token(&bystander);
        assert!(began_at.elapsed() < NOT_HELD_UP, "{what}: {:?}", began_at.elapsed());
        eventually(PATIENCE, what, || {
            assert_eq!(status(&app, way, &signer), 200, "{what}: meanwhile");
            (keys.asked() > asked).then_some(())
        });
        assert_all_take(&app.url, &what, || jwt(&app, &signer));

        // An issuer that never had keys: refused in bounded time, and nobody else waits for it.
        let newcomer_keys = KeyServer::start(reply);
        let mut newcomer = behind(&newcomer_keys.url, &keyless(&app));
        newcomer.issuer = format!("https://newcomer-{number}.example");
        trust(&app, newcomer.clone());
        let newcomers_jwt = || signer.sign(&changed(&claims(app.clock.now().seconds()), "iss", json!(newcomer.issuer)));
        thread::scope(|scope| {
            let began_at = Instant::now();
            let refused = scope.spawn(|| way.send(&app.url, &newcomers_jwt()));
            app.token(&bystander);
            assert_eq!(status(&app, way, &signer), 200, "{what}");
            assert!(began_at.elapsed() < NOT_HELD_UP, "{what}: {:?}", began_at.elapsed());
            way.assert_refused(&refused.join().unwrap(), &what);
            assert!(began_at.elapsed() < Duration::from_secs(15), "{what}: {:?}", began_at.elapsed());
        });
        assert_all_refuse(&app.url, &newcomers_jwt(), &what);
        assert_eq!(newcomer_keys.asked(), 1, "{what}: not asked again at once");
    }
    assert_eq!(canary.asked(), 0, "a redirect was followed");
    keys.reply_with(good(&signer.jwks()));
    app.clock.advance(Duration::from_secs(900));
    assert_eq!(status(&app, Way::Grant, &signer), 200);
}

/// Check 88, with a configuration: it must be the issuer's, and must not lead where nothing is fetched from.
#[test]
fn a_configuration_that_lies_gives_no_keys_and_loses_none() {
    let app = server();
    let signer = Signer::p256("k");
    let provider = Provider::start(&signer);
    let client = keyless(&app);
    trust(&app, provider.entry(&client, AUD, &["sub=alice"]));
    let send = |way: Way, provider: &Provider| {
        let claims = changed(&claims(app.clock.now().seconds()), "iss", json!(provider.url));
        way.send(&app.url, &signer.sign(&claims))
    };
    for way in WAYS {
        send(way, &provider).assert_status(200);
    }
    assert_eq!(provider.asked(), [1, 1]);
    let canary = KeyServer::start(good(&signer.jwks()));
    let configuration =
        |issuer: &str, keys: &str| answer(JSON, json!({ "issuer": issuer, "jwks_uri": keys }).to_string());
    let (url, keys) = (provider.url.as_str(), format!("{}/keys", provider.url));
    let mut lies: Vec<(String, Reply)> = [
        ("https://other.example", keys.as_str()),
        (&format!("{url}/"), &keys),
        (&url.to_uppercase(), &keys),
        (url, "http://169.254.169.254/latest/meta-data/"),
        (url, "https://169.254.169.254/"),
        (url, "file:///etc/passwd"),
        (url, "http://example.com/keys"),
        (url, "keys"),
        (url, ""),
    ]
    .map(|(issuer, keys)| (format!("{issuer} {keys}"), configuration(issuer, keys)))
    .into();
    let without = json!({ "issuer": url }).to_string();
    let list = json!({ "issuer": url, "jwks_uri": [keys] }).to_string();
    let twice = format!(r#"{{"issuer":"https://x.example","issuer":"{url}","jwks_uri":"{keys}"}}"#);
    for (what, body) in [("no jwks_uri", without), ("a list", list), ("issuer twice", twice), ("null", "null".into())] {
        lies.push((what.to_owned(), answer(JSON, body)));
    }
    for status in ["302 Found", "307 Temporary Redirect"] {
        lies.push((status.to_owned(), answer(&format!("{status}\r\nlocation: {}", canary.url), "")));
    }
    for (what, reply) in lies {
        provider.configure(reply.clone());
        app.clock.advance(Duration::from_secs(900));
        let asked = provider.asked()[0];
        // The fetch of the lie before may have been under way still.
        eventually(PATIENCE, &what, || {
            send(Way::Grant, &provider).assert_status(200);
            (provider.asked()[0] > asked).then_some(())
        });
        send(Way::Ticket, &provider).assert_status(200);
    }
    assert_eq!((provider.asked()[1], canary.asked()), (1, 0), "no lie led anywhere");
    // Keys that lie behind a configuration that does not.
    provider.configure(configuration(url, &keys));
    let oct = json!({ "keys": [{ "kty": "oct", "kid": "k", "alg": "HS256", "k": "AAAA" }] });
    provider.publish(answer(JSON, oct.to_string()));
    app.clock.advance(Duration::from_secs(900));
    eventually(PATIENCE, "the keys", || {
        send(Way::Grant, &provider).assert_status(200);
        (provider.asked()[1] == 2).then_some(())
    });
    for way in WAYS {
        send(way, &provider).assert_status(200);
    }

    // Where there never were keys, a lie gives none.
    let liar = Provider::start(&signer);
    liar.configure(configuration(&provider.url, &format!("{}/keys", liar.url)));
    trust(&app, liar.entry(&client, AUD, &["sub=alice"]));
    for way in WAYS {
        way.assert_refused(&send(way, &liar), &"the configuration of another issuer");
    }
    assert_eq!(liar.asked(), [1, 0]);
}

/// A server of keys that says nothing until it is let go.
fn stalled() -> (KeyServer, Sender<()>) {
    let (go, gone) = channel::<()>();
    let gone = Arc::new(Mutex::new(gone));
    let wait: Reply = Arc::new(move |stream: &mut TcpStream| {
        let _hung_up = stream.flush();
        // Ends when its sender goes.
        let _over = gone.lock().unwrap().recv_timeout(PATIENCE);
    });
    (KeyServer::start(wait), go)
}

/// Another organisation may trust the same issuer with keys of its own choice: its slow server is not waited for.
#[test]
fn the_slow_keys_of_another_organisation_delay_nobody_who_trusts_the_same_issuer() {
    let app = server();
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let rival = app.create_app_with("rival", new_app(&["rival:read"]));
    let signer = Signer::p256("k");
    let keys = KeyServer::start(good(&signer.jwks()));
    let client = keyless(&app);
    let slow: Vec<_> = (0..3).map(|_| stalled()).collect();
    for (server, _) in &slow {
        // Older than the entry that will do, so that it would be asked before.
        trusted_issuers::create(&app.management, "rival", behind(&server.url, &rival)).unwrap();
    }
    trust(&app, behind(&keys.url, &client));
    for way in WAYS {
        for _ in 0..3 {
            let began_at = Instant::now();
            assert_eq!(status(&app, way, &signer), 200, "{way:?}");
            assert!(began_at.elapsed() < NOT_HELD_UP, "{way:?}: {:?}", began_at.elapsed());
        }
        app.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(keys.asked(), 1);
}

/// Fetches have a bound for one organisation, so that those of others find room.
#[test]
fn one_organisation_s_slow_servers_leave_room_for_the_fetches_of_others() {
    // A fetch is given up after five seconds, and then there is room again: what a busy machine sees then says nothing.
    assert!((0..3).any(|_| slow_servers_leave_room()), "too slow a machine for this test");
}

/// Whether all was seen while the first fetches waited.
fn slow_servers_leave_room() -> bool {
    let app = server();
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let rival = app.create_app_with("rival", new_app(&["rival:read"]));
    let slow: Vec<_> = (0..20).map(|_| stalled()).collect();
    for (number, (server, _)) in slow.iter().enumerate() {
        let issuer = format!("https://slow-{number}.example");
        let entry = IssuerSettings { issuer, ..behind(&server.url, &rival) };
        trusted_issuers::create(&app.management, "rival", entry).unwrap();
    }
    app.catch_up();
    let signer = Signer::p256("k");
    let keys = KeyServer::start(good(&signer.jwks()));
    trust(&app, behind(&keys.url, &keyless(&app)));
    let of_slow = |number: usize| {
        let issuer = json!(format!("https://slow-{number}.example"));
        let jwt = signer.sign(&changed(&claims(app.clock.now().seconds()), "iss", issuer));
        Way::Grant.send(&app.url, &jwt)
    };
    thread::scope(|scope| {
        let began_at = Instant::now();
        let waiting: Vec<_> = (0..4).map(|number| scope.spawn(move || of_slow(number))).collect();
        let asked = || slow.iter().map(|(server, _)| server.asked()).sum::<usize>();
        eventually(PATIENCE, "four fetches wait", || (asked() >= 4).then_some(()));
        let busy: Vec<Answer> = (4..slow.len()).map(of_slow).collect();
        assert_eq!(status(&app, Way::Grant, &signer), 200, "there is room for others");
        let asked = (asked(), keys.asked());
        let in_time = began_at.elapsed() < NOT_HELD_UP;
        for thread in waiting {
            Way::Grant.assert_refused(&thread.join().unwrap(), &"a server that never answers");
        }
        if in_time {
            assert_eq!(asked, (4, 1));
            for answer in busy {
                assert_ne!(answer.assert_status(503).header("retry-after"), "");
            }
        }
        in_time
    })
}
