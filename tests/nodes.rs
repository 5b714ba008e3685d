//! Two nodes on one database, and a node whose database goes away.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use brevet::clock::ManualClock;
use brevet::directory::Tail;
use brevet::keys::verify::{JwksKeys, verify_access_token};
use brevet::oauth::client::KeySource;
use brevet::oauth::{ClientId, SigningAlgorithm};
use brevet::service::{app_keys, apps, organisations, revocation, signing_keys};

use crate::client_assertion;
use crate::support::http::Answer;
use crate::support::process::{quickly, timed};
use crate::support::signer::Signer;
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app, postgres};

/// What is promised: a change is known on every node within this.
const PROMISE: Duration = Duration::from_secs(1);
/// A machine that is busy with other tests may need longer now and then.
const LIMIT: Duration = Duration::from_secs(30);
const ISSUER: &str = "http://127.0.0.1:8080";

crate::support::postgres::on_both_databases! {
    what_is_switched_off_on_one_node_is_refused_on_the_other
    what_is_registered_on_one_node_is_known_on_the_other
    what_a_client_revokes_on_one_node_is_refused_on_the_other
    keys_that_are_rotated_on_one_node_sign_on_the_other
    an_app_that_is_loaded_during_a_change_is_not_kept_as_it_was
}

/// A server that follows changes as in production.
struct Node {
    app: TestApp,
    _tail: Tail,
}

impl Node {
    fn follow(app: TestApp) -> Self {
        let tail = Tail::start(app.authority.directory.clone(), app.clock.clone()).unwrap();
        Self { app, _tail: tail }
    }

    fn token_status(&self, credentials: &Credentials) -> u16 {
        self.app.token_request(&[], &credentials.form()).status.as_u16()
    }

    fn guard_status(&self, token: &str) -> u16 {
        self.app.get_with_token("/api/v1/whoami", token).status.as_u16()
    }

    fn jwks(&self) -> String {
        self.app.get("/.well-known/jwks.json", &[]).assert_status(200).body
    }

    fn verifies(&self, token: &str) -> bool {
        let keys = JwksKeys::parse(self.jwks().as_bytes()).unwrap();
        verify_access_token(token, ISSUER, |kid| keys.find(kid)).is_ok()
    }
}

/// Two nodes with one data directory and one database. They ask again and again whether an app is refused yet.
fn two_nodes(settings: &[(&str, &str)]) -> (Node, Node) {
    let settings = &[settings, &[("throttle-failures", "off")]].concat();
    let first = TestApp::with(settings);
    let second = TestApp::on(first.data.clone(), first.clock.clone(), settings);
    (Node::follow(first), Node::follow(second))
}

/// Waits for something to become so, and says how long that took.
fn wait_for(what: &str, limit: Duration, so: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// Whether the promise is kept as a rule: more often than not, for a machine may be busy.
fn assert_promise_kept(mut took: Vec<Duration>) {
    took.sort_unstable();
    assert!(took[took.len() / 2] <= PROMISE, "{took:?}");
}

fn what_is_switched_off_on_one_node_is_refused_on_the_other(settings: &[(&str, &str)]) {
    let (here, there) = two_nodes(settings);
    let m = &here.app.management;
    let [off, deleted, rotated, revoked, bystander] = [(); 5].map(|()| here.app.create_app(&["billing:read"]));
    let tokens = [&off, &deleted, &rotated, &revoked, &bystander].map(|app| there.app.token(app));
    let [off_token, deleted_token, rotated_token, revoked_token, bystander_token] = &tokens;
    assert!(tokens.iter().all(|token| there.guard_status(token) == 200));

    let mut took = Vec::new();
    apps::set_enabled(m, off.id(), false).unwrap();
    took.push(wait_for("a disabled app", LIMIT, || {
        there.token_status(&off) == 401 && there.guard_status(off_token) == 401
    }));
    apps::set_enabled(m, off.id(), true).unwrap();
    took.push(wait_for("an enabled app", LIMIT, || {
        there.token_status(&off) == 200 && there.guard_status(off_token) == 200
    }));
    apps::delete(m, deleted.id()).unwrap();
    took.push(wait_for("a deleted app", LIMIT, || {
        there.token_status(&deleted) == 401 && there.guard_status(deleted_token) == 401
    }));
    let fresh = app_keys::rotate(m, rotated.id(), Duration::ZERO, None).unwrap();
    let fresh = Credentials { secret: fresh.client_secret.reveal().to_owned(), ..rotated.clone() };
    took.push(wait_for("a rotated App Key", LIMIT, || {
        there.token_status(&rotated) == 401 && there.token_status(&fresh) == 200
    }));
    assert_eq!(there.guard_status(rotated_token), 200, "a token outlives the key that got it");
    revocation::revoke(m, revoked_token).unwrap();
    took.push(wait_for("a revoked token", LIMIT, || there.guard_status(revoked_token) == 401));
    assert_eq!(there.token_status(&revoked), 200);
    assert_eq!(there.guard_status(bystander_token), 200);
    organisations::set_enabled(m, "acme", false).unwrap();
    took.push(wait_for("a disabled organisation", LIMIT, || {
        there.token_status(&bystander) == 401 && there.guard_status(bystander_token) == 401
    }));
    assert_promise_kept(took);
}

fn what_is_registered_on_one_node_is_known_on_the_other(settings: &[(&str, &str)]) {
    let (here, there) = two_nodes(settings);
    let known = here.app.create_app(&["billing:read"]);
    let stranger = Credentials {
        client_id: known.client_id.replace(|c: char| c.is_ascii_digit(), "a"),
        secret: known.secret.clone(),
    };
    assert_eq!(there.token_status(&stranger), 401);
    assert_eq!(there.token_status(&known), 200);
    let token = here.app.token(&known);
    assert!(there.verifies(&token));
    assert_eq!(there.guard_status(&token), 200);

    here.app.create_api("acme", "https://second.example", &["second:read"]);
    let app = here.app.create_app(&["billing:read", "second:read"]);
    let (_, claims) = decode_jwt(&there.app.token(&app));
    assert_eq!(claims["scope"], "billing:read second:read");
}

fn what_a_client_revokes_on_one_node_is_refused_on_the_other(settings: &[(&str, &str)]) {
    let (here, there) = two_nodes(settings);
    let client = here.app.create_app(&["billing:read"]);
    let feed = |node: &Node| node.app.get("/connect/revocations", &[]).assert_status(200);
    let mut took = Vec::new();
    for _ in 0..5 {
        let [dead, alive] = [(); 2].map(|()| here.app.token(&client));
        assert!([&dead, &alive].iter().all(|token| there.guard_status(token) == 200));
        let tag = feed(&there).header("etag").to_owned();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let answer = there.app.get("/connect/revocations?wait=20", &[("if-none-match", &tag)]);
                (answer.status.as_u16(), Instant::now())
            });
            here.app.revoke(&client, &dead).assert_status(200);
            let revoked_at = Instant::now();
            assert_eq!(here.guard_status(&dead), 401, "where it was revoked, it is refused at once");
            took.push(wait_for("a revoked token", LIMIT, || there.guard_status(&dead) == 401));
            let told = there.app.introspect(&client, &dead).assert_status(200).body;
            assert_eq!(told, r#"{"active":false}"#);
            let (status, heard_at) = waiting.join().unwrap();
            assert_eq!(status, 200);
            took.push(heard_at.saturating_duration_since(revoked_at));
        });
        assert_eq!(there.guard_status(&alive), 200);
        wait_for("the same feed", LIMIT, || {
            let (here, there) = (feed(&here), feed(&there));
            here.body == there.body && here.header("etag") == there.header("etag")
        });
    }
    assert_promise_kept(took);
}

fn keys_that_are_rotated_on_one_node_sign_on_the_other(settings: &[(&str, &str)]) {
    let (here, there) = two_nodes(settings);
    let app = here.app.create_app(&["billing:read"]);
    let kid = |node: &Node| decode_jwt(&node.app.token(&app)).0["kid"].as_str().unwrap().to_owned();
    let old = there.app.token(&app);
    assert_eq!(kid(&here), kid(&there));
    assert_eq!(here.jwks(), there.jwks());

    let next = signing_keys::generate(&here.app.management, SigningAlgorithm::Rs256).unwrap();
    wait_for("a next key", LIMIT, || there.jwks().contains(&next));
    assert_ne!(kid(&there), next, "it does not sign yet");
    // By then every node knows it, so it may sign at once.
    here.app.clock.advance(Duration::from_secs(2));
    let (rotated, _) = signing_keys::rotate(&here.app.management, SigningAlgorithm::Rs256, true).unwrap();
    assert_eq!(rotated, next);
    wait_for("a rotation", LIMIT, || kid(&there) == next && kid(&here) == next);
    let new = there.app.token(&app);
    assert!(here.verifies(&new) && here.verifies(&old));
    assert!(there.verifies(&new) && there.verifies(&old));
    assert_eq!((here.guard_status(&new), there.guard_status(&old)), (200, 200));
    assert_eq!(here.jwks(), there.jwks());
}

/// Ends threads of a scope, also when the test fails: it would wait for them for ever.
struct StopsWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Loads that began before a change must not leave behind what they read, in whatever order loads and changes end.
fn an_app_that_is_loaded_during_a_change_is_not_kept_as_it_was(settings: &[(&str, &str)]) {
    const ROUNDS: usize = 60;
    let app = TestApp::with(settings);
    let ids: Vec<ClientId> = (0..12).map(|_| app.create_app(&["billing:read"]).id()).collect();
    let directory = &app.authority.directory;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stops_the_others = StopsWhenDropped(&stop);
        for offset in 0..4 {
            let (ids, stop) = (&ids, &stop);
            scope.spawn(move || {
                let runtime = runtime();
                for id in ids.iter().cycle().skip(offset * 3) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    runtime.block_on(directory.find_client(*id)).unwrap();
                }
            });
        }
        let runtime = runtime();
        let mut wrong = Vec::new();
        for round in 0..ROUNDS {
            let enabled = round % 2 == 1;
            organisations::set_enabled(&app.management, "acme", enabled).unwrap();
            app.catch_up();
            for attempt in 0..3 {
                for id in &ids {
                    let client = runtime.block_on(directory.find_client(*id)).unwrap().unwrap();
                    if client.organisation.enabled != enabled {
                        wrong.push((round, attempt));
                    }
                }
            }
        }
        assert_eq!(wrong, []);
    });
}

/// That there is no token now, without making the app wait.
fn assert_told_soon(node: &Node, app: &Credentials) {
    let refused = quickly(Duration::from_secs(3), "503", || timed(|| node.app.token_request(&[], &app.form())));
    assert_eq!((refused.status.as_u16(), refused.header("retry-after").is_empty()), (503, false));
}

#[test]
fn a_node_bears_the_loss_of_its_database_and_recovers_by_itself() {
    let Some(cluster) = postgres::Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let settings =
        [("database-url", url.as_str()), ("database-timeout", "3s"), ("stale-limit", "20s"), ("workers", "2")];
    let data = Arc::new(tempfile::tempdir().unwrap());
    let node = Node::follow(TestApp::on(data, Arc::new(ManualClock::new(START)), &settings));
    node.app.create_organisation("acme");
    node.app.create_api("acme", "https://billing.example", &["billing:read"]);
    let create = || node.app.create_app_with("acme", new_app(&["billing:read"]));
    let held = create();
    let token = node.app.token(&held);
    // Opens every connection that the pool may have.
    let strangers: Vec<Credentials> = (0..32).map(|_| create()).collect();
    let ask_all = |apps: &[Credentials]| -> Vec<u16> {
        thread::scope(|scope| {
            let threads: Vec<_> = apps.iter().map(|app| scope.spawn(|| node.token_status(app))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    assert_eq!(ask_all(&strangers[..16]), [200; 16]);
    let documents = || {
        let paths =
            ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
        paths.map(|path| {
            let answer = node.app.get(path, &[]);
            assert!(answer.header("cache-control").contains("max-age"), "{path}");
            answer.status.as_u16()
        })
    };

    let stopping = Instant::now();
    cluster.stop();
    let stopped = Instant::now();
    assert_eq!(documents(), [200; 3]);
    assert_eq!(node.token_status(&held), 200, "what is held in memory is served");
    assert_eq!(node.guard_status(&token), 200);
    assert_eq!(node.app.introspect(&held, &token).assert_status(200).json()["active"], true);
    let refused = node.app.revoke(&held, &token).assert_status(503);
    assert!(!refused.header("retry-after").is_empty(), "what is not on disk is not done");
    assert_told_soon(&node, &strangers[16]);
    assert_eq!(node.app.get("/connect/revocations", &[]).status, 200);
    assert!(stopped.elapsed() < Duration::from_secs(19), "too slow a machine for this test");
    let flushed = node.app.authority.usage.flush(node.app.management.database(), START);
    assert!(flushed.unwrap_err().to_string().starts_with("the database is unavailable"));

    wait_for("answers from memory end", Duration::from_secs(60), || node.token_status(&held) == 503);
    assert!(stopping.elapsed() > Duration::from_secs(18), "{:?}", stopping.elapsed());
    assert_told_soon(&node, &held);
    assert_eq!(node.app.get("/connect/revocations", &[]).status, 503);
    assert_eq!(node.guard_status(&token), 503);
    assert_eq!(node.app.introspect(&held, &token).status, 503);
    assert_eq!(documents(), [200; 3]);

    cluster.resume();
    let took = wait_for("recovery", LIMIT, || node.token_status(&held) == 200);
    assert_eq!(ask_all(&strangers[16..]), [200; 16], "after {took:?}: no connection from before is used");
    assert_eq!(node.guard_status(&token), 200);
    apps::set_enabled(&node.app.management, held.id(), false).unwrap();
    wait_for("a disabled app", LIMIT, || node.token_status(&held) == 401);

    // What was counted meanwhile was kept.
    node.app.authority.usage.flush(node.app.management.database(), START).unwrap();
    let details = apps::show(&node.app.management, strangers[0].id()).unwrap();
    assert_eq!((details.issued_24h, details.refused_24h), (1, 0));
    assert!(apps::show(&node.app.management, held.id()).unwrap().issued_24h >= 2);
}

/// Between a server and its database: passes everything on, or accepts everything and answers nothing.
struct Silence {
    url: String,
    silent: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Silence {
    fn before(database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (before, after) = database.split_once('@').unwrap();
        let (target, name) = after.split_once('/').unwrap();
        let url = format!("{before}@{address}/{name}");
        let (silent, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_silent, is_over, target) = (silent.clone(), ended.clone(), target.to_owned());
        thread::spawn(move || {
            for near in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&target)) else { continue };
                for (from, to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let is_silent = is_silent.clone();
                    thread::spawn(move || pass_on(from, to, &is_silent));
                }
            }
        });
        Self { url, silent, ended, address }
    }

    fn set(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_silent: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while is_silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // One side is gone: so shall be the other.
    let _gone = to.shutdown(Shutdown::Both);
}

/// Ends the silence, also when the test fails: a server waits for its database when it stops.
struct Speaks<'a>(&'a Silence);

impl Drop for Speaks<'_> {
    fn drop(&mut self) {
        self.0.set(false);
        self.0.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _gone = TcpStream::connect(self.0.address);
    }
}

/// Check 227.
#[test]
fn a_database_that_never_answers_holds_nobody_up() {
    let Some(url) = postgres::database() else {
        return;
    };
    let database = Silence::before(&url);
    let settings = [
        ("database-url", database.url.as_str()),
        ("database-timeout", "1s"),
        ("stale-limit", "600s"),
        ("throttle-failures", "off"),
    ];
    let app = TestApp::with(&settings);
    let _speaks_at_the_end = Speaks(&database);
    let held = app.create_app(&["billing:read"]);
    let (token, revoked) = (app.token(&held), app.token(&held));
    let signer = Signer::ed25519("k");
    let signing = app.create_app_with("acme", client_assertion::signing(KeySource::Jwks(signer.jwks().into())));
    let assertion =
        || client_assertion::form(&signer.sign(&client_assertion::claims(&signing.client_id, START.seconds())));
    app.token_request(&[], &assertion()).assert_status(200);
    let stranger = app.create_app(&["billing:read"]);

    database.set(true);
    let refused = |ask: &dyn Fn() -> Answer| {
        let began_at = Instant::now();
        let answer = ask();
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
        assert_ne!(answer.header("retry-after"), "");
        assert!(began_at.elapsed() < LIMIT, "{:?}", began_at.elapsed());
    };
    let (app, held, revoked, stranger) = (&app, &held, &revoked, &stranger);
    let (assertion, refused) = (&assertion, &refused);
    thread::scope(|scope| {
        // More than the pool has connections, and again when those before gave up.
        let asking: Vec<_> = (0..60)
            .map(|number| {
                scope.spawn(move || match number % 3 {
                    0 => refused(&|| app.token_request(&[], &assertion())),
                    1 => refused(&|| app.revoke(held, revoked)),
                    _ => refused(&|| app.token_request(&[], &stranger.form())),
                })
            })
            .collect();
        let mut took = Vec::new();
        while asking.iter().any(|thread| !thread.is_finished()) {
            let began_at = Instant::now();
            assert_eq!(app.get_with_token("/api/v1/whoami", &token).status, 200);
            assert_eq!(app.introspect(held, &token).assert_status(200).json()["active"], true);
            app.token(held);
            app.get("/.well-known/jwks.json", &[]).assert_status(200);
            took.push(began_at.elapsed());
        }
        took.sort_unstable();
        assert!(took[took.len() / 2] < PROMISE, "as a rule: {took:?}");
        asking.into_iter().for_each(|thread| thread.join().unwrap());
    });

    database.set(false);
    wait_for("assertions are good again", Duration::from_secs(30), || {
        app.token_request(&[], &assertion()).status == 200
    });
    wait_for("tokens are revoked again", Duration::from_secs(30), || app.revoke(held, revoked).status == 200);
    assert_eq!(app.get_with_token("/api/v1/whoami", revoked).status, 401);
    app.token(stranger);
}
