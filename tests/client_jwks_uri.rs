//! Public keys of clients behind a URL: fetched seldom, kept through failures, and never from where they must not be
//! fetched. The servers are the test's own, on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brevet::clock::Clock;
use brevet::oauth::client::KeySource;
use brevet::service::{ServiceError, apps};
use serde_json::{Value, json};

use crate::client_assertion::{assert_refused, claims, form, signing};
use crate::support::http::Answer;
use crate::support::process::{PATIENCE, eventually};
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp};

/// A fetch is given up after five seconds: who needs less than this did not wait for one.
pub const NOT_HELD_UP: Duration = Duration::from_millis(4_500);

/// What the server of the keys does with a connection, after it has read a request.
pub type Reply = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// A server of keys that counts how often it is asked.
pub struct KeyServer {
    pub url: String,
    asked: Arc<AtomicUsize>,
    reply: Arc<Mutex<Reply>>,
}

pub fn answer(head: &str, body: impl Into<Vec<u8>>) -> Reply {
    let (head, body) = (head.to_owned(), body.into());
    Arc::new(move |stream| {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // Whoever has heard enough hangs up.
        let _hung_up = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    })
}

pub fn good(jwks: &str) -> Reply {
    answer("200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=600", jwks)
}

impl KeyServer {
    pub fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (asked, reply) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(reply)));
        let (counter, replies) = (asked.clone(), reply.clone());
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, counter, reply) = (stream.unwrap(), counter.clone(), replies.lock().unwrap().clone());
                thread::spawn(move || {
                    let mut request = [0; 4_096];
                    let _hung_up = stream.read(&mut request);
                    counter.fetch_add(1, Ordering::SeqCst);
                    reply(&mut stream);
                });
            }
        });
        Self { url, asked, reply }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn reply_with(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }
}

/// A server that may fetch from loopback.
fn server() -> TestApp {
    TestApp::with(&[("throttle-failures", "off"), ("outbound-allow-private", "true")])
}

fn register(app: &TestApp, keys: &KeyServer) -> Credentials {
    app.create_app_with("acme", signing(KeySource::JwksUri(keys.url.as_str().into())))
}

fn ask(app: &TestApp, client: &Credentials, signer: &Signer) -> Answer {
    app.token_request(&[], &form(&signer.sign(&claims(&client.client_id, app.clock.now().seconds()))))
}

#[test]
fn keys_are_fetched_once_for_all_who_wait_and_again_when_their_time_is_over() {
    let app = server();
    let signer = Signer::ed25519("k");
    let jwks = signer.jwks();
    let slow: Reply = Arc::new(move |stream| {
        thread::sleep(Duration::from_millis(300));
        good(&jwks)(stream);
    });
    let keys = KeyServer::start(slow);
    let client = register(&app, &keys);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&app, &client, &signer).status.as_u16())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 8]);
    assert_eq!(keys.asked(), 1);

    keys.reply_with(good(&signer.jwks()));
    app.clock.advance(Duration::from_secs(599));
    ask(&app, &client, &signer).assert_status(200);
    assert_eq!(keys.asked(), 1, "within max-age");
    app.clock.advance(Duration::from_secs(1));
    ask(&app, &client, &signer).assert_status(200);
    eventually(PATIENCE, "keys are fetched anew", || (keys.asked() == 2).then_some(()));
}

#[test]
fn unknown_keys_cause_one_fetch_in_a_while_and_a_new_key_is_found() {
    let app = server();
    let (old, new) = (Signer::ed25519("old"), Signer::p256("new"));
    let keys = KeyServer::start(good(&old.jwks()));
    let client = register(&app, &keys);
    ask(&app, &client, &old).assert_status(200);
    for number in 0..100 {
        let stranger = Signer::ed25519(&format!("unknown {number}"));
        assert_refused(&ask(&app, &client, &stranger), "an unknown kid");
    }
    assert_eq!(keys.asked(), 1, "just fetched");
    app.clock.advance(Duration::from_secs(60));
    for number in 0..100 {
        let stranger = Signer::ed25519(&format!("unknown {number}"));
        assert_refused(&ask(&app, &client, &stranger), "an unknown kid");
    }
    assert_eq!(keys.asked(), 2, "once in a cool-down");
    ask(&app, &client, &old).assert_status(200);

    keys.reply_with(good(&json!({ "keys": [old.jwk, new.jwk] }).to_string()));
    assert_refused(&ask(&app, &client, &new), "within the cool-down");
    app.clock.advance(Duration::from_secs(60));
    ask(&app, &client, &new).assert_status(200);
    ask(&app, &client, &old).assert_status(200);
    assert_eq!(keys.asked(), 3);

    keys.reply_with(good(&new.jwks()));
    app.clock.advance(Duration::from_secs(600));
    ask(&app, &client, &new).assert_status(200);
    eventually(PATIENCE, "a withdrawn key is refused", || (ask(&app, &client, &old).status == 401).then_some(()));
    assert_eq!(keys.asked(), 4);
}

#[test]
fn a_new_key_is_found_although_the_assertion_does_not_name_it() {
    let app = server();
    let (old, new) = (Signer::ed25519("old"), Signer::p256("new"));
    let keys = KeyServer::start(good(&old.jwks()));
    let client = register(&app, &keys);
    let nameless = |signer: &Signer| {
        let claims = claims(&client.client_id, app.clock.now().seconds());
        app.token_request(&[], &form(&signer.sign_with(&json!({ "alg": signer.alg }), &claims)))
    };
    nameless(&old).assert_status(200);
    keys.reply_with(good(&new.jwks()));
    app.clock.advance(Duration::from_secs(60));
    nameless(&new).assert_status(200);
    assert_refused(&nameless(&old), "a key that was withdrawn");
    assert_eq!(keys.asked(), 2);
}

/// Ways in which a server of keys may be hostile or broken.
pub fn hostile(trap: &str) -> Vec<(&'static str, Reply)> {
    let json = "200 OK\r\ncontent-type: application/json";
    let oct = json!({ "keys": [{ "kty": "oct", "kid": "k", "alg": "HS256", "k": "AAAA" }] });
    let many = json!({ "keys": (0..2_000).map(|_| Signer::ed25519("k").jwk).collect::<Vec<_>>() });
    let huge: Reply = Arc::new(|stream| {
        let _hung_up = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[");
        // 100 MB, were it all read.
        for _ in 0..1_600 {
            if stream.write_all(&[b' '; 65_536]).is_err() {
                return;
            }
        }
    });
    let slow: Reply = Arc::new(|stream| {
        let _hung_up = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        for _ in 0..20 {
            if stream.write_all(b" ").is_err() {
                return;
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
    vec![
        ("huge", huge),
        ("slow", slow),
        ("500", answer("500 Internal Server Error", "")),
        ("a redirect", answer(&format!("302 Found\r\nlocation: {trap}"), "")),
        ("a permanent redirect", answer(&format!("308 Permanent Redirect\r\nlocation: {trap}"), "")),
        ("HTML", answer("200 OK\r\ncontent-type: text/html", "<html>Sign in</html>")),
        ("symmetric keys", answer(json, oct.to_string())),
        ("2000 keys", answer(json, many.to_string())),
        ("no keys", answer(json, "{\"keys\":[]}")),
        ("a long head", answer(&format!("200 OK\r\nx: {}", "x".repeat(100_000)), "{}")),
        ("nothing", Arc::new(|_stream| {})),
        ("no HTTP", Arc::new(|stream| drop(stream.write_all(b"SSH-2.0-OpenSSH\r\n")))),
    ]
}

#[test]
fn a_hostile_server_of_keys_loses_no_good_ones_and_delays_nobody() {
    let app = server();
    let signer = Signer::ed25519("k");
    let canary = KeyServer::start(good(&signer.jwks()));
    let keys = KeyServer::start(good(&signer.jwks()));
    let client = register(&app, &keys);
    let bystander = app.create_app(&["billing:read"]);
    ask(&app, &client, &signer).assert_status(200);
    for (what, reply) in hostile(&canary.url) {
        keys.reply_with(reply.clone());
        // Past the time of the keys and past the pause after failures.
        app.clock.advance(Duration::from_secs(900));
        let asked = keys.asked();
        let began_at = Instant::now();
        assert_eq!(ask(&app, &client, &signer).status.as_u16(), 200, "{what}: with the keys from before");
        app.token(&bystander);
        assert!(began_at.elapsed() < NOT_HELD_UP, "{what}: {:?}", began_at.elapsed());
        // The fetch of the round before may have been under way still.
        eventually(PATIENCE, what, || {
            ask(&app, &client, &signer).assert_status(200);
            (keys.asked() > asked).then_some(())
        });
        assert_eq!(ask(&app, &client, &signer).status.as_u16(), 200, "{what}: meanwhile");

        // An app that never had keys: refused, in bounded time, and nobody else waits for it.
        let newcomer_keys = KeyServer::start(reply);
        let newcomer = register(&app, &newcomer_keys);
        thread::scope(|scope| {
            let began_at = Instant::now();
            let refused = scope.spawn(|| ask(&app, &newcomer, &signer));
            app.token(&bystander);
            assert!(began_at.elapsed() < NOT_HELD_UP, "{what}: {:?}", began_at.elapsed());
            assert_refused(&refused.join().unwrap(), what);
            assert!(began_at.elapsed() < Duration::from_secs(15), "{what}: {:?}", began_at.elapsed());
        });
        assert_refused(&ask(&app, &newcomer, &signer), what);
        assert_eq!(newcomer_keys.asked(), 1, "{what}: not asked again at once");
    }
    assert_eq!(canary.asked(), 0, "a redirect was followed");
    keys.reply_with(good(&signer.jwks()));
    app.clock.advance(Duration::from_secs(900));
    ask(&app, &client, &signer).assert_status(200);
}

#[test]
fn keys_that_cannot_be_fetched_for_a_day_are_used_no_longer() {
    let app = server();
    let signer = Signer::ed25519("k");
    let keys = KeyServer::start(good(&signer.jwks()));
    let client = register(&app, &keys);
    ask(&app, &client, &signer).assert_status(200);
    keys.reply_with(answer("500 Internal Server Error", ""));
    app.clock.advance(Duration::from_secs(600 + 86_399));
    ask(&app, &client, &signer).assert_status(200);
    app.clock.advance(Duration::from_secs(301));
    assert_refused(&ask(&app, &client, &signer), "after a day");
    keys.reply_with(good(&signer.jwks()));
    app.clock.advance(Duration::from_secs(300));
    ask(&app, &client, &signer).assert_status(200);
}

#[test]
fn a_dead_server_of_keys_is_tried_ever_less_often() {
    let app = server();
    let signer = Signer::ed25519("k");
    let keys = KeyServer::start(answer("503 Service Unavailable", ""));
    let client = register(&app, &keys);
    let mut asked_at: Vec<i64> = Vec::new();
    let start = app.clock.now();
    for _second in 0..200 {
        let before = keys.asked();
        assert_refused(&ask(&app, &client, &signer), "no keys");
        if keys.asked() > before {
            asked_at.push(app.clock.now().seconds() - start.seconds());
        }
        app.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(asked_at, [0, 5, 15, 35, 75, 155]);
    keys.reply_with(good(&signer.jwks()));
    app.clock.advance(Duration::from_secs(160));
    ask(&app, &client, &signer).assert_status(200);
}

#[test]
fn keys_on_this_machine_are_fetched_only_if_the_operator_allows_it() {
    let signer = Signer::ed25519("k");
    let canary = KeyServer::start(good(&signer.jwks()));
    let port = canary.url.split(':').nth(2).unwrap();
    let careful = TestApp::with(&[("throttle-failures", "off")]);
    for url in [
        canary.url.clone(),
        canary.url.replace("http:", "https:"),
        format!("https://localhost:{port}"),
        format!("https://2130706433:{port}"),
        format!("https://0x7f000001:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "gopher://app.example.com/".to_owned(),
    ] {
        let refusal = apps::create(&careful.management, "acme", signing(KeySource::JwksUri(url.as_str().into())));
        assert!(matches!(refusal, Err(ServiceError::InvalidField { field: "jwks_uri", .. })), "{url}: {refusal:?}");
    }

    // Registered while it was allowed, it is not fetched where it is not.
    let allowed = server();
    let client = register(&allowed, &canary);
    ask(&allowed, &client, &signer).assert_status(200);
    assert_eq!(canary.asked(), 1);
    let again = TestApp::on(allowed.data.clone(), allowed.clock.clone(), &[("throttle-failures", "off")]);
    assert_refused(&ask(&again, &client, &signer), "no longer allowed");
    assert_eq!(canary.asked(), 1);
}
