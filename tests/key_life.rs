//! The life of signing keys: whatever happens to them, a verifier that caches the JWKS for no longer than the
//! announcement never refuses a token that is still good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use brevet::clock::{Clock, SystemClock, Timestamp};
use brevet::db::audit;
use brevet::directory::Tail;
use brevet::keys::ring::KeyState;
use brevet::keys::verify::{JwksKeys, verify_access_token};
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::apis::{self, NewApi};
use brevet::service::housekeeping::Housekeeping;
use brevet::service::{Authority, Management, ServiceError, apps, organisations, signing_keys};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::{Credentials, START, TestApp, decode_jwt, http, new_app, test_config};

const ISSUER: &str = "http://127.0.0.1:8080";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// The setting `key-retain`.
const RETAIN: Duration = Duration::from_secs(7_200);
/// A key that shall sign at once does so when every node knows it.
const MOMENT: Duration = Duration::from_secs(2);
const RS256: SigningAlgorithm = SigningAlgorithm::Rs256;

/// A service that verifies offline and keeps the JWKS for so long.
struct OfflineVerifier {
    keeps: Duration,
    fetched_at: Timestamp,
    keys: JwksKeys,
}

impl OfflineVerifier {
    /// One that fetched the JWKS just now.
    fn new(app: &TestApp, keeps: Duration) -> Self {
        let mut verifier = Self { keeps, fetched_at: START, keys: JwksKeys::parse(b"{\"keys\":[]}").unwrap() };
        verifier.fetch(app);
        verifier
    }

    fn fetch(&mut self, app: &TestApp) {
        self.fetched_at = app.clock.now();
        self.keys = JwksKeys::parse(&app.authority.directory.ring().jwks(self.fetched_at).body).unwrap();
    }

    fn accepts(&self, token: &str) -> bool {
        verify_access_token(token, ISSUER, |kid| self.keys.find(kid)).is_ok()
    }
}

fn kid_of(token: &str) -> String {
    decode_jwt(token).0["kid"].as_str().unwrap().to_owned()
}

/// A token of a day, signed as the token road signs.
fn sign(app: &TestApp, algorithm: SigningAlgorithm) -> String {
    let now = app.clock.now();
    let claims = json!({
        "iss": ISSUER, "sub": "x", "client_id": "x", "aud": "x", "scope": "a", "tenant": "acme", "jti": "x",
        "iat": now, "nbf": now, "exp": now + DAY,
    });
    let ring = app.authority.directory.ring();
    ring.sign(algorithm, TokenProfile::Rfc9068, &claims, now).unwrap()
}

/// What housekeeping and the tail do.
fn keep_house(app: &TestApp) {
    signing_keys::advance(&app.management).unwrap();
    app.catch_up();
}

fn states(m: &Management) -> BTreeMap<String, KeyState> {
    let keys = signing_keys::list(m).unwrap();
    keys.into_iter().map(|key| (key.dates.kid, key.state)).collect()
}

fn jwks(app: &TestApp) -> Vec<Value> {
    let document = app.get("/.well-known/jwks.json", &[]).assert_status(200).json();
    document["keys"].as_array().unwrap().clone()
}

fn published(app: &TestApp) -> BTreeSet<String> {
    jwks(app).iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// How far to the next moment worth looking at: one second before, at, and after each date of a key, and else an hour.
fn next_step(app: &TestApp) -> Duration {
    let now = app.clock.now();
    let second = Duration::from_secs(1);
    let keys = signing_keys::list(&app.management).unwrap();
    let dates = keys.iter().flat_map(|key| [Some(key.dates.signs_from), key.gone_at]).flatten();
    dates
        .flat_map(|date| [date - second, date, date + second])
        .filter(|date| *date > now)
        .map(|date| date.since(now))
        .fold(HOUR, Duration::min)
}

#[test]
fn in_two_hundred_days_no_verifier_refuses_a_good_token() {
    let app = TestApp::empty(&[]);
    let guard = |token: &str| {
        let ring = app.authority.directory.ring();
        verify_access_token(token, ISSUER, |kid| ring.published(kid, app.clock.now())).is_ok()
    };
    let mut verifiers: Vec<OfflineVerifier> = Vec::new();
    let mut lives: BTreeMap<String, Vec<KeyState>> = BTreeMap::new();
    // The last token of each key outlives all others of that key.
    let mut last_tokens: BTreeMap<String, (String, Timestamp)> = BTreeMap::new();
    let mut refusals = Vec::new();
    while app.clock.now() < START + 200 * DAY {
        let now = app.clock.now();
        // Verifiers of every patience, that began at different hours of the first day.
        let hours = now.since(START).as_secs() / 3_600;
        if verifiers.len() < 16 && hours >= u64::try_from(verifiers.len()).unwrap() {
            let keeps = [20 * MINUTE, 2 * HOUR, 12 * HOUR, DAY][verifiers.len() % 4];
            verifiers.push(OfflineVerifier::new(&app, keeps));
        }
        let token = sign(&app, RS256);
        last_tokens.insert(kid_of(&token), (token, now + DAY));
        last_tokens.retain(|_, (_, expires_at)| now < *expires_at);
        for (kid, (token, _)) in &last_tokens {
            if !guard(token) {
                refusals.push(format!("the guard refused {kid} at {now}"));
            }
        }
        for verifier in &mut verifiers {
            // As late as it may: fetched only when what it has is older than it keeps it.
            if now.since(verifier.fetched_at) > verifier.keeps {
                verifier.fetch(&app);
            }
            for (kid, (token, _)) in &last_tokens {
                if !verifier.accepts(token) {
                    refusals.push(format!("one that keeps {:?} refused {kid} at {now}", verifier.keeps));
                }
            }
        }
        for (kid, state) in states(&app.management) {
            let life = lives.entry(kid).or_default();
            if life.last() != Some(&state) {
                life.push(state);
            }
        }
        keep_house(&app);
        app.clock.advance(next_step(&app));
    }
    assert_eq!(refusals, Vec::<String>::new());

    let lived: Vec<Vec<KeyState>> = {
        use KeyState::{Gone, Next, Retiring, Signing};
        vec![vec![Signing, Retiring, Gone], vec![Next, Signing, Retiring, Gone], vec![Next, Signing]]
    };
    let mut seen: Vec<_> = lives.values().cloned().collect();
    seen.sort_by_key(|life| (life.first() == Some(&KeyState::Next), std::cmp::Reverse(life.len())));
    assert_eq!(seen, lived);
    // The private halves of those gone are gone.
    let database = app.management.database();
    let rows = database.read(brevet::db::signing_keys::list).unwrap();
    assert_eq!(rows.len(), 1);
    for kid in lives.keys().filter(|kid| **kid != rows[0].kid) {
        let actions = database.read(|conn| audit::list_actions(conn, kid)).unwrap();
        let actions: Vec<_> = actions.iter().map(|(action, _)| action.as_str()).collect();
        assert_eq!(actions, ["key.generate", "key.delete"]);
    }
}

#[test]
fn rotation_waits_for_the_announcement_and_rotation_now_does_not() {
    let app = TestApp::with(&[]);
    let client = app.create_app(&["billing:read"]);
    let old = app.token(&client);
    let (next, signs_from) = signing_keys::rotate(&app.management, RS256, false).unwrap();
    assert!(signs_from >= START + DAY, "{signs_from}");
    app.catch_up();
    assert_eq!(published(&app), [kid_of(&old), next.clone()].into());
    assert_eq!(kid_of(&app.token(&client)), kid_of(&old));
    let (again, same) = signing_keys::rotate(&app.management, RS256, false).unwrap();
    assert_eq!((&again, same), (&next, signs_from), "there is a next key already");

    app.clock.advance(signs_from.since(START) - Duration::from_secs(1));
    app.catch_up();
    let last = app.token(&client);
    assert_eq!(kid_of(&last), kid_of(&old));
    app.clock.advance(Duration::from_secs(1));
    // Nobody told the server: the clock alone did it.
    let new = app.token(&client);
    assert_eq!(kid_of(&new), next);
    app.get_with_token("/api/v1/whoami", &last).assert_status(200);

    let before = app.clock.now();
    let (urgent, signs_from) = signing_keys::rotate(&app.management, RS256, true).unwrap();
    assert!(signs_from.since(before) <= MOMENT);
    app.catch_up();
    app.clock.advance(MOMENT);
    assert_eq!(kid_of(&app.token(&client)), urgent);
    for token in [&last, &new] {
        app.get_with_token("/api/v1/whoami", token).assert_status(200);
    }
    assert_eq!(published(&app), [kid_of(&last), next, urgent].into());
}

#[test]
fn every_rotation_now_takes_effect_however_soon_it_follows_the_last() {
    let app = TestApp::empty(&[]);
    signing_keys::ensure(&app.management, SigningAlgorithm::EdDsa).unwrap();
    for round in 0..8 {
        let (kid, signs_from) = signing_keys::rotate(&app.management, SigningAlgorithm::EdDsa, true).unwrap();
        app.clock.advance(signs_from.since(app.clock.now()));
        app.catch_up();
        assert_eq!(kid_of(&sign(&app, SigningAlgorithm::EdDsa)), kid, "round {round}");
    }
}

#[test]
fn a_next_key_made_by_hand_signs_when_the_present_one_is_over_or_sooner_if_asked() {
    let app = TestApp::empty(&[]);
    let next = signing_keys::generate(&app.management, RS256).unwrap();
    let dates = signing_keys::list(&app.management).unwrap();
    assert_eq!((&dates[1].dates.kid, dates[1].dates.signs_from), (&next, START + 90 * DAY));
    let refused = signing_keys::generate(&app.management, RS256).unwrap_err();
    assert!(matches!(refused, ServiceError::Conflict(_)) && refused.to_string().contains(&next), "{refused}");

    app.clock.advance(2 * DAY);
    keep_house(&app);
    let (rotated, signs_from) = signing_keys::rotate(&app.management, RS256, false).unwrap();
    assert_eq!((rotated, signs_from), (next.clone(), START + 2 * DAY), "it was announced long enough");
    app.catch_up();
    assert_eq!(kid_of(&sign(&app, RS256)), next);
}

#[test]
fn a_retired_key_signs_no_more_and_its_tokens_stay_good() {
    let app = TestApp::with(&[]);
    let client = app.create_app(&["billing:read"]);
    app.clock.advance(DAY);
    let old = app.token(&client);
    let successor = signing_keys::retire(&app.management, &kid_of(&old)).unwrap();
    app.catch_up();
    app.clock.advance(MOMENT);
    assert_eq!(kid_of(&app.token(&client)), successor);
    app.get_with_token("/api/v1/whoami", &old).assert_status(200);
    assert_eq!(published(&app), [kid_of(&old), successor].into());
    let again = signing_keys::retire(&app.management, &kid_of(&old)).unwrap_err();
    assert_eq!(again.to_string(), format!("the key {} does not sign; see: brevet key list", kid_of(&old)));
    let unknown = signing_keys::retire(&app.management, "nothing").unwrap_err();
    assert!(matches!(unknown, ServiceError::NotFound(_)), "{unknown}");

    app.clock.advance(DAY + RETAIN - Duration::from_secs(1));
    keep_house(&app);
    assert!(published(&app).contains(&kid_of(&old)));
    app.clock.advance(Duration::from_secs(1));
    assert!(!published(&app).contains(&kid_of(&old)), "by the clock alone");
    assert_eq!(states(&app.management)[&kid_of(&old)], KeyState::Gone);
    keep_house(&app);
    assert_eq!(states(&app.management).get(&kid_of(&old)), None);
}

#[test]
fn tokens_under_a_revoked_key_are_refused_at_once() {
    let app = TestApp::with(&[]);
    let client = app.create_app(&["billing:read"]);
    app.clock.advance(DAY);
    let dead = app.token(&client);
    app.get_with_token("/api/v1/whoami", &dead).assert_status(200);
    signing_keys::revoke(&app.management, &kid_of(&dead)).unwrap();
    app.catch_up();
    let answer = app.get_with_token("/api/v1/whoami", &dead).assert_status(401);
    assert_eq!(answer.error(), "invalid_token");
    assert!(!published(&app).contains(&kid_of(&dead)));
    let fresh = app.token(&client);
    assert_ne!(kid_of(&fresh), kid_of(&dead));
    app.get_with_token("/api/v1/whoami", &fresh).assert_status(200);
    assert!(published(&app).contains(&kid_of(&fresh)));
    let again = signing_keys::revoke(&app.management, &kid_of(&dead)).unwrap_err();
    assert!(matches!(again, ServiceError::NotFound(_)), "{again}");

    // A next key, and one that retires, can be revoked too; what signs goes on signing.
    let next = signing_keys::generate(&app.management, RS256).unwrap();
    signing_keys::revoke(&app.management, &next).unwrap();
    app.clock.advance(MOMENT);
    signing_keys::rotate(&app.management, RS256, true).unwrap();
    app.catch_up();
    app.clock.advance(MOMENT);
    let newest = app.token(&client);
    signing_keys::revoke(&app.management, &kid_of(&fresh)).unwrap();
    app.catch_up();
    app.get_with_token("/api/v1/whoami", &fresh).assert_status(401);
    app.get_with_token("/api/v1/whoami", &newest).assert_status(200);
    assert_eq!(published(&app), [kid_of(&newest)].into());
    assert_eq!(kid_of(&app.token(&client)), kid_of(&newest));
}

#[test]
fn each_algorithm_has_keys_of_its_own_that_live_on_like_the_first() {
    let app = TestApp::empty(&[]);
    let algorithms = [SigningAlgorithm::Ps256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
    for algorithm in algorithms {
        signing_keys::ensure(&app.management, algorithm).unwrap();
        signing_keys::ensure(&app.management, algorithm).unwrap();
    }
    app.catch_up();
    let described = |app: &TestApp| -> Vec<(String, String)> {
        let text = |key: &Value, member: &str| key[member].as_str().unwrap().to_owned();
        let mut found: Vec<_> = jwks(app).iter().map(|key| (text(key, "alg"), text(key, "kty"))).collect();
        found.sort();
        found
    };
    let pairs = |times: usize| -> Vec<(String, String)> {
        let kinds = [("ES256", "EC"), ("EdDSA", "OKP"), ("PS256", "RSA"), ("RS256", "RSA")];
        let pair = |(algorithm, kind): &(&str, &str)| ((*algorithm).to_owned(), (*kind).to_owned());
        kinds.iter().flat_map(|kind| vec![pair(kind); times]).collect()
    };
    assert_eq!(described(&app), pairs(1));
    let verifier = OfflineVerifier::new(&app, DAY);
    let tokens = algorithms.map(|algorithm| sign(&app, algorithm));
    for (token, algorithm) in tokens.iter().zip(algorithms) {
        assert!(verifier.accepts(token), "the first key signs at once: {algorithm:?}");
        assert_eq!(decode_jwt(token).0["alg"], algorithm.name());
    }
    app.clock.advance(89 * DAY);
    keep_house(&app);
    assert_eq!(described(&app), pairs(2), "all are announced");
    let before = OfflineVerifier::new(&app, DAY);
    app.clock.advance(DAY + HOUR);
    keep_house(&app);
    for (algorithm, old) in algorithms.into_iter().zip(&tokens) {
        let token = sign(&app, algorithm);
        assert_ne!(kid_of(&token), kid_of(old), "{algorithm:?}");
        assert!(before.accepts(&token), "{algorithm:?}");
    }
    app.clock.advance(2 * DAY);
    keep_house(&app);
    assert_eq!(described(&app), pairs(1));
}

#[test]
fn of_several_nodes_one_makes_the_next_key() {
    let app = TestApp::empty(&[]);
    app.clock.advance(89 * DAY);
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                together.wait();
                signing_keys::advance(&app.management).unwrap();
            });
        }
    });
    let states: Vec<_> = states(&app.management).into_values().collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&KeyState::Signing) && states.contains(&KeyState::Next));
}

#[test]
fn a_shorter_token_lifetime_does_not_shorten_the_publication_of_older_keys() {
    let app = TestApp::with(&[]);
    let client = app.create_app(&["billing:read"]);
    let old = app.token(&client);
    // The server was started again with another setting.
    let shorter = TestApp::on(app.data.clone(), app.clock.clone(), &[("access-token-lifetime", "1h")]);
    let (short_key, signs_from) = signing_keys::rotate(&shorter.management, RS256, true).unwrap();
    shorter.catch_up();
    app.clock.advance(signs_from.since(app.clock.now()));
    let brief = shorter.token(&client);
    assert_eq!(kid_of(&brief), short_key);
    app.clock.advance(DAY - MOMENT - Duration::from_secs(1));
    keep_house(&shorter);
    shorter.get_with_token("/api/v1/whoami", &old).assert_status(200);
    let (_, handover) = signing_keys::rotate(&shorter.management, RS256, true).unwrap();
    shorter.catch_up();

    // The old key stays until its tokens of a day are over; the newer one had only tokens of an hour.
    let gone_at = |kid: &str| {
        let keys = signing_keys::list(&shorter.management).unwrap();
        keys.into_iter().find(|key| key.dates.kid == kid).unwrap().gone_at.unwrap()
    };
    assert_eq!(gone_at(&kid_of(&old)), signs_from + DAY + RETAIN);
    assert_eq!(gone_at(&short_key), handover + HOUR + RETAIN);
    app.clock.advance(gone_at(&kid_of(&old)).since(app.clock.now()));
    keep_house(&shorter);
    assert!(!published(&shorter).contains(&kid_of(&old)));
    assert!(published(&shorter).contains(&short_key));

    // A longer setting holds for every key at once: a token of two days may be signed by any that signs.
    let longer = TestApp::on(app.data.clone(), app.clock.clone(), &[("access-token-lifetime", "2d")]);
    for key in signing_keys::list(&longer.management).unwrap() {
        assert_eq!(key.dates.token_lifetime, 2 * DAY);
    }
}

/// A server in real time, with the threads that keep it going in production.
struct LiveServer {
    management: Management,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _housekeeping: Housekeeping,
    _tail: Tail,
    _data: tempfile::TempDir,
}

impl LiveServer {
    fn start(settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let management = Management::open(test_config(&data, settings), Arc::new(SystemClock), "test").unwrap();
        let authority = Arc::new(Authority::open(&management).unwrap());
        let (address, started) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = authority.clone();
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = brevet::http::start(served).unwrap();
                address.send(running.address).unwrap();
                let stopped = async move {
                    let _dropped = stopped.await;
                };
                running.serve_until(stopped).await.unwrap();
            });
        });
        Self {
            url: format!("http://{}", started.recv().unwrap()),
            stop: Some(stop),
            thread: Some(thread),
            _housekeeping: Housekeeping::start(management.clone(), authority.clone()).unwrap(),
            _tail: Tail::start(authority.directory.clone(), authority.clock.clone()).unwrap(),
            _data: data,
            management,
        }
    }

    fn create_app(&self) -> Credentials {
        let m = &self.management;
        organisations::create(m, "acme", "ACME").unwrap();
        let api = NewApi {
            organisation: "acme",
            name: "Billing",
            identifier: "https://billing.example",
            scopes: vec![brevet::db::apis::ScopeRecord {
                name: "billing:read".to_owned(),
                description: String::new(),
                sensitive: false,
            }],
            profile: TokenProfile::Rfc9068,
            algorithm: RS256,
            lifetime: None,
        };
        apis::create(m, &api).unwrap();
        let created = apps::create(m, "acme", new_app(&["billing:read"])).unwrap();
        Credentials {
            client_id: created.client_id.to_string(),
            secret: created.client_secret.unwrap().reveal().to_owned(),
        }
    }

    fn token(&self, app: &Credentials) -> String {
        let answer = http::post_form(&format!("{}/connect/token", self.url), &[], &app.form()).assert_status(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    fn fetch_keys(&self) -> JwksKeys {
        let answer = http::get(&format!("{}/.well-known/jwks.json", self.url), &[]).assert_status(200);
        JwksKeys::parse(answer.body.as_bytes()).unwrap()
    }
}

impl Drop for LiveServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Gets tokens, keeps each until it expires, and verifies all it has with keys that it keeps for less than their
/// announcement. Says what was refused.
fn fetch_and_verify(server: &LiveServer, app: &Credentials, stop: &AtomicBool, verified: &AtomicU32) -> Vec<String> {
    const KEEPS: Duration = Duration::from_millis(1_500);
    let mut refusals = Vec::new();
    let mut tokens: Vec<String> = Vec::new();
    let (mut keys, mut fetched_at) = (server.fetch_keys(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        tokens.push(server.token(app));
        for token in &tokens {
            if fetched_at.elapsed() > KEEPS {
                // From the moment of asking: the answer may be that old.
                fetched_at = Instant::now();
                keys = server.fetch_keys();
            }
            let outcome = verify_access_token(token, ISSUER, |kid| keys.find(kid));
            let now = SystemClock.now();
            match outcome {
                Ok(_) => {
                    verified.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if Timestamp::from_seconds(decode_jwt(token).1["exp"].as_i64().unwrap()) > now => {
                    refusals.push(format!("{now}: {error} {}", kid_of(token)));
                }
                Err(_expired_anyway) => {}
            }
        }
        tokens
            .retain(|token| Timestamp::from_seconds(decode_jwt(token).1["exp"].as_i64().unwrap()) > SystemClock.now());
        thread::sleep(Duration::from_millis(50));
    }
    refusals
}

#[test]
fn while_keys_rotate_every_few_seconds_no_good_token_is_refused() {
    let server = LiveServer::start(&[
        ("key-announce", "2s"),
        ("key-rotate-every", "4s"),
        ("key-retain", "2s"),
        ("access-token-lifetime", "4s"),
        ("workers", "2"),
    ]);
    let app = server.create_app();
    let (stop, verified) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut signing = BTreeSet::new();
    let refusals: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| fetch_and_verify(&server, &app, &stop, &verified))).collect();
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            signing.insert(kid_of(&server.token(&app)));
            thread::sleep(Duration::from_millis(200));
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(refusals, Vec::<String>::new());
    assert!(signing.len() >= 3, "{} keys signed", signing.len());
    assert!(verified.load(Ordering::Relaxed) > 500);
    let left = states(&server.management);
    assert!(left.len() <= 5, "what is gone is deleted: {left:?}");
}
