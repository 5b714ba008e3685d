//! Signing in through an OpenID Connect provider, which is the test's own, on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::db::members;
use brevet::service::{accounts, people};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use crate::support::browser::{Browser, Page};
use crate::support::signer::Signer;
use crate::support::{PASSWORD, TestApp, audit, postgres};

const ANA: &str = "ana@acme.example";
const SESSION: &str = "brevet-session";
const CALLBACK: &str = "/login/with/corp/callback";
const ISSUER: &str = "http://127.0.0.1:8080";

/// A provider that gives whatever ID token it is told to.
pub(crate) struct Corp {
    url: String,
    pub(crate) signer: Signer,
    id_token: Arc<Mutex<Option<String>>>,
    /// Heads and bodies of requests for tokens.
    exchanged: Arc<Mutex<Vec<(String, String)>>>,
}

fn read_request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

impl Corp {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::p256("corp-1");
        let (id_token, exchanged) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let configuration = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize?tenant=1"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
        });
        let (jwks, token, requests) = (signer.jwks(), Arc::clone(&id_token), Arc::clone(&exchanged));
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (head, body) = read_request(&stream);
                let answer = match head.split(' ').nth(1).unwrap_or_default() {
                    "/.well-known/openid-configuration" => Some(configuration.to_string()),
                    "/jwks" => Some(jwks.clone()),
                    "/token" => {
                        requests.lock().unwrap().push((head, body));
                        let token: Option<String> = token.lock().unwrap().clone();
                        token.map(|token| json!({ "id_token": token, "token_type": "Bearer" }).to_string())
                    }
                    _ => None,
                };
                let (status, body) = answer.map_or(("400 Bad Request", String::new()), |body| ("200 OK", body));
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                let _hung_up = stream.write_all(text.as_bytes());
            }
        });
        Self { url, signer, id_token, exchanged }
    }

    pub(crate) fn setting(&self, allow_sign_up: bool) -> String {
        json!([{
            "name": "corp", "label": "Example Corp", "issuer": self.url,
            "client_id": "brevet here", "client_secret": "s3cret: yes", "allow_sign_up": allow_sign_up,
        }])
        .to_string()
    }

    pub(crate) fn give(&self, token: String) {
        *self.id_token.lock().unwrap() = Some(token);
    }

    pub(crate) fn claims(&self, app: &TestApp, asked: &Asked, subject: &str) -> Value {
        let now = app.clock.now().seconds();
        json!({
            "iss": self.url, "sub": subject, "aud": "brevet here", "exp": now + 300, "iat": now,
            "nonce": asked["nonce"], "email": ANA, "email_verified": true,
        })
    }

    /// Goes to the provider and comes back as that one.
    fn visit(&self, app: &TestApp, browser: &Browser, subject: &str, more: &Value) -> Page {
        self.visit_by("/login/with/corp", app, browser, subject, more)
    }

    /// The same by that link.
    fn visit_by(&self, link: &str, app: &TestApp, browser: &Browser, subject: &str, more: &Value) -> Page {
        let asked = begin(browser, link);
        let mut claims = self.claims(app, &asked, subject);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.give(self.signer.sign(&claims));
        browser.get(&back(&asked))
    }
}

pub(crate) type Asked = BTreeMap<String, String>;

/// What the provider is asked.
pub(crate) fn begin(browser: &Browser, path: &str) -> Asked {
    let answer = browser.send("GET", path, &[], None).assert_status(303);
    Url::parse(answer.header("location")).unwrap().query_pairs().into_owned().collect()
}

pub(crate) fn back(asked: &Asked) -> String {
    format!("{CALLBACK}?code=c0de&state={}", asked["state"])
}

fn server(corp: &Corp, settings: &[(&str, &str)]) -> TestApp {
    server_with(corp, false, settings)
}

fn server_with(corp: &Corp, allow_sign_up: bool, settings: &[(&str, &str)]) -> TestApp {
    let providers = corp.setting(allow_sign_up);
    let own = [("sign-in-providers", providers.as_str()), ("outbound-allow-private", "true")];
    TestApp::with(&[settings, &own].concat())
}

/// Ana, whose address is known to be hers.
fn create_ana(app: &TestApp) -> Uuid {
    let ana = app.create_person("acme", ANA, Role::Owner);
    let now = app.clock.now();
    app.management.database().write(move |conn| members::update_email_verified_at(conn, ana, now)).unwrap();
    ana
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.cookie(SESSION).is_some()
}

fn actions(app: &TestApp) -> Vec<String> {
    audit(app, "acme").into_iter().map(|entry| entry.action).collect()
}

#[test]
fn the_provider_is_asked_as_the_standards_say_and_the_way_back_is_local() {
    let corp = Corp::start();
    let app = server(&corp, &[]);
    create_ana(&app);
    let browser = app.browser();
    let page = browser.get("/login?return_to=/apps%3Fpage%3D2").assert_status(200);
    assert!(page.text().contains("Sign in with Example Corp"));
    let link = page.links().into_iter().find(|link| link.contains("/login/with/corp")).unwrap();
    let asked = begin(&browser, &link);
    for (name, value) in [
        ("tenant", "1"),
        ("response_type", "code"),
        ("client_id", "brevet here"),
        ("redirect_uri", &format!("{ISSUER}{CALLBACK}")),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    corp.give(corp.signer.sign(&corp.claims(&app, &asked, "ana-1")));
    let answer = browser.send("GET", &back(&asked), &[], None).assert_status(303);
    assert_eq!(answer.header("location"), "/apps?page=2");
    let (head, body) = corp.exchanged.lock().unwrap().pop().unwrap();
    let basic = STANDARD.encode("brevet+here:s3cret%3A+yes");
    assert!(head.contains(&format!("Basic {basic}")), "{head}");
    let form: Asked = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!((form["code"].as_str(), form["grant_type"].as_str()), ("c0de", "authorization_code"));
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"])), asked["code_challenge"]);

    for elsewhere in ["https://evil.example", "//evil.example", "/%5Cevil.example"] {
        let browser = app.browser();
        let asked = begin(&browser, &format!("/login/with/corp?return_to={elsewhere}"));
        corp.give(corp.signer.sign(&corp.claims(&app, &asked, "ana-1")));
        let answer = browser.send("GET", &back(&asked), &[], None).assert_status(303);
        assert_eq!(answer.header("location"), "/", "{elsewhere}");
    }
    assert_eq!(app.browser().get("/login/with/other").status, 404);
}

#[test]
fn an_id_token_that_does_not_hold_lets_nobody_in() {
    let corp = Corp::start();
    let app = server(&corp, &[]);
    create_ana(&app);
    let sign = |header: &Value, claims: &Value| corp.signer.sign_with(header, claims);
    let with = |member: &'static str, value: Value| {
        move |_: &Corp, claims: &Value| {
            let mut claims = claims.clone();
            claims[member] = value.clone();
            claims
        }
    };
    let now = app.clock.now().seconds();
    let wrong_claims: Vec<(&str, Box<dyn Fn(&Corp, &Value) -> Value>)> = vec![
        ("another issuer", Box::new(with("iss", json!("https://evil.example")))),
        ("another audience", Box::new(with("aud", json!("somebody else")))),
        ("no audience", Box::new(with("aud", json!([])))),
        ("several audiences, no azp", Box::new(with("aud", json!(["brevet here", "other"])))),
        ("another party", Box::new(with("azp", json!("other")))),
        ("another nonce", Box::new(with("nonce", json!("other")))),
        ("no nonce", Box::new(with("nonce", Value::Null))),
        ("expired", Box::new(with("exp", json!(now - 60)))),
        ("no expiry", Box::new(with("exp", Value::Null))),
        ("made in the future", Box::new(with("iat", json!(now + 61)))),
        ("made long ago", Box::new(with("iat", json!(now - 700)))),
        ("no subject", Box::new(with("sub", json!("")))),
        ("a subject that is a number", Box::new(with("sub", json!(7)))),
    ];
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let public = corp.signer.jwk["x"].as_str().unwrap().to_owned();
    let keys = corp.signer.jwks();
    let hs256 = |secret: &[u8], claims: &Value| {
        let signed = format!("{}.{}", encode(&json!({ "alg": "HS256", "kid": "corp-1" })), encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let wrong_signatures: Vec<(&str, Box<dyn Fn(&Value) -> String + '_>)> = vec![
        ("alg none", Box::new(|claims| format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(claims)))),
        ("HS256 with the public key", Box::new(|claims| hs256(public.as_bytes(), claims))),
        ("HS256 with the key set", Box::new(|claims| hs256(keys.as_bytes(), claims))),
        ("an unknown kid", Box::new(|claims| Signer::p256("corp-2").sign(claims))),
        ("another key of that name", Box::new(|claims| Signer::p256("corp-1").sign(claims))),
        (
            "an access token",
            Box::new(|claims| sign(&json!({ "alg": "ES256", "kid": "corp-1", "typ": "at+jwt" }), claims)),
        ),
        (
            "its own key in the header",
            Box::new(|claims| {
                let other = Signer::p256("own");
                other.sign_with(&json!({ "alg": "ES256", "jwk": other.jwk }), claims)
            }),
        ),
        ("no JWS", Box::new(|_| "token".to_owned())),
    ];
    let attempt = |what: &str, make: &dyn Fn(&Value) -> String| {
        let browser = app.browser();
        let asked = begin(&browser, "/login/with/corp");
        corp.give(make(&corp.claims(&app, &asked, "ana-1")));
        let page = browser.get(&back(&asked));
        assert_eq!((page.status, is_signed_in(&browser)), (502, false), "{what}: {}", page.text());
        assert!(!page.text().contains("ID token"), "{what}: {}", page.text());
    };
    for (what, change) in &wrong_claims {
        attempt(what, &|claims| corp.signer.sign(&change(&corp, claims)));
    }
    for (what, make) in &wrong_signatures {
        attempt(what, make);
    }
    assert!(!actions(&app).contains(&"user.sign-in".to_owned()));
    corp.visit(&app, &app.browser(), "ana-1", &json!({})).assert_status(200);
}

#[test]
fn what_was_begun_is_ended_once_in_the_same_browser_within_ten_minutes() {
    let corp = Corp::start();
    let app = server(&corp, &[]);
    create_ana(&app);
    let (browser, other) = (app.browser(), app.browser());
    begin(&other, "/login/with/corp");
    let asked = begin(&browser, "/login/with/corp");
    corp.give(corp.signer.sign(&corp.claims(&app, &asked, "ana-1")));
    let kept = browser.cookie("brevet-elsewhere").unwrap();
    for path in [CALLBACK.to_owned(), format!("{CALLBACK}?code=c0de"), format!("{CALLBACK}?code=c0de&state=x")] {
        let page = browser.get(&path).assert_status(422);
        assert!(page.faults()[0].contains("not begun in this browser"), "{path}");
        browser.set_cookie("brevet-elsewhere", &kept);
    }
    other.get(&back(&asked)).assert_status(422);
    // The cookie alone, planted in another browser.
    other.set_cookie("brevet-elsewhere", &kept);
    other.get(&back(&asked)).assert_status(422);
    assert!(corp.exchanged.lock().unwrap().is_empty(), "a code was exchanged");

    browser.get(&back(&asked)).assert_status(200);
    assert!(is_signed_in(&browser));
    let visit = browser.cookie("brevet-visit").unwrap();
    let again = app.browser();
    again.set_cookie("brevet-visit", &visit);
    again.set_cookie("brevet-elsewhere", &kept);
    again.get(&back(&asked)).assert_status(422);
    assert!(!is_signed_in(&again));

    let late = app.browser();
    let asked = begin(&late, "/login/with/corp");
    app.clock.advance(Duration::from_secs(600));
    late.get(&back(&asked)).assert_status(422);
}

#[test]
fn an_answer_that_is_a_refusal_or_another_providers_lets_nobody_in() {
    let corp = Corp::start();
    let app = server(&corp, &[]);
    create_ana(&app);
    for (more, status, said) in [
        ("error=access_denied", 422, "You did not go on at Example Corp"),
        ("error=server_error", 502, "request id"),
        ("code=c0de&iss=https%3A%2F%2Fevil.example", 502, "request id"),
        ("code=", 502, "request id"),
    ] {
        let browser = app.browser();
        let asked = begin(&browser, "/login/with/corp");
        corp.give(corp.signer.sign(&corp.claims(&app, &asked, "ana-1")));
        let page = browser.get(&format!("{CALLBACK}?{more}&state={}", asked["state"])).assert_status(status);
        assert!(page.text().contains(said), "{more}: {}", page.text());
        assert!(!is_signed_in(&browser), "{more}");
    }
    *corp.id_token.lock().unwrap() = None;
    let browser = app.browser();
    let asked = begin(&browser, "/login/with/corp");
    browser.get(&back(&asked)).assert_status(502);
}

#[test]
fn what_was_entered_survives_a_sign_in_there() {
    let corp = Corp::start();
    let app = server(&corp, &[]);
    create_ana(&app);
    let browser = app.browser();
    corp.visit(&app, &browser, "ana-1", &json!({})).assert_status(200);
    let account = browser.get("/account");
    app.clock.advance(Duration::from_secs(2 * 3_600));
    let page = browser.submit(&account, "/account/profile", &[("name", "Ana of old")]).assert_status(401);
    let page = corp.visit_by(&link_to_corp(&page), &app, &browser, "ana-1", &json!({})).assert_status(200);
    assert_eq!(page.heading(), "Go on where you were");
    let page = browser.submit(&page, "/account/profile", &[]).assert_status(200);
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Ana of old"));
}

fn link_to_corp(page: &Page) -> String {
    page.links().into_iter().find(|link| link.contains("/login/with/corp")).unwrap()
}

#[test]
fn a_provider_that_does_not_answer_delays_nobody_else() {
    // It is given up after five seconds, which a busy machine may need for the others.
    assert!((0..3).any(|_| others_are_through_while_somebody_waits()), "everybody waited for it");
}

fn others_are_through_while_somebody_waits() -> bool {
    let (corp, silent) = (Corp::start(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mut providers: Value = serde_json::from_str(&corp.setting(false)).unwrap();
    let mut other = providers[0].clone();
    other["name"] = json!("silent");
    other["issuer"] = json!(format!("http://{}", silent.local_addr().unwrap()));
    providers.as_array_mut().unwrap().push(other);
    let providers = providers.to_string();
    let app = TestApp::with(&[("sign-in-providers", providers.as_str()), ("outbound-allow-private", "true")]);
    create_ana(&app);
    let client = app.create_app(&["billing:read"]);
    thread::scope(|scope| {
        let go_there = || app.browser().send("GET", "/login/with/silent", &[], None).status.as_u16();
        let first = scope.spawn(go_there);
        // From now on it is being waited for.
        let held = silent.accept().unwrap();
        let others: Vec<_> = (0..20).map(|_| scope.spawn(go_there)).collect();
        app.browser().sign_in(ANA, PASSWORD).assert_status(200);
        corp.visit(&app, &app.browser(), "ana-1", &json!({})).assert_status(200);
        app.token(&client);
        let still_waits = !first.is_finished();
        drop((held, silent));
        let statuses: Vec<u16> = others.into_iter().chain([first]).map(|one| one.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| *status == 502), "{statuses:?}");
        still_waits
    })
}

postgres::on_both_databases! {
    who_has_no_password_confirms_there
    an_address_that_both_sides_know_to_be_hers_connects_a_person
    somebody_new_gets_an_account_only_where_that_is_allowed
    a_person_connects_and_disconnects_an_account
}

fn an_address_that_both_sides_know_to_be_hers_connects_a_person(settings: &[(&str, &str)]) {
    let corp = Corp::start();
    let app = server(&corp, settings);
    let ana = create_ana(&app);
    app.create_person("acme", "bo@acme.example", Role::Viewer);
    for (what, subject, more) in [
        ("the provider does not say so", "ana-1", json!({ "email_verified": false })),
        ("it says so in another way", "ana-1", json!({ "email_verified": "true" })),
        ("it says nothing", "ana-1", json!({ "email": null })),
        ("this server does not know", "bo-1", json!({ "email": "bo@acme.example" })),
        ("nobody has it", "cy-1", json!({ "email": "cy@acme.example" })),
    ] {
        let browser = app.browser();
        let page = corp.visit(&app, &browser, subject, &more).assert_status(403);
        assert!(page.text().contains("opens no account here"), "{what}: {}", page.text());
        assert!(!is_signed_in(&browser), "{what}");
    }
    let browser = app.browser();
    corp.visit(&app, &browser, "ana-1", &json!({ "email": "ANA@acme.example" })).assert_status(200);
    assert!(browser.get("/account").assert_status(200).text().contains(ANA));
    assert_eq!(actions(&app)[..2], ["user.sign-in", "user.identity-connect"]);
    assert_eq!(audit(&app, "acme")[0].detail["by"], "provider corp");

    // From then on it is the subject that counts, whatever address it has.
    corp.visit(&app, &app.browser(), "ana-1", &json!({ "email": "ana@elsewhere.example" })).assert_status(200);
    // Whoever got her address there later is somebody else.
    corp.visit(&app, &app.browser(), "ana-2", &json!({})).assert_status(403);

    people::set_enabled(&app.management, ana, false).unwrap_or_else(|_last_owner| {
        let other = app.create_person("acme", "di@acme.example", Role::Owner);
        assert_ne!(other, ana);
        people::set_enabled(&app.management, ana, false).unwrap();
    });
    let page = corp.visit(&app, &app.browser(), "ana-1", &json!({})).assert_status(403);
    assert!(page.text().contains("opens no account here"));
    assert_eq!(actions(&app)[0], "user.sign-in-failed");
}

fn somebody_new_gets_an_account_only_where_that_is_allowed(settings: &[(&str, &str)]) {
    let corp = Corp::start();
    let new = json!({ "email": "new@corp.example", "name": "Nia New" });
    let open = server_with(&corp, true, &[settings, &[("signup", "open")]].concat());
    let unproven = json!({ "email": "new@corp.example", "email_verified": false });
    corp.visit(&open, &open.browser(), "new-1", &unproven).assert_status(403);
    let browser = open.browser();
    corp.visit(&open, &browser, "new-1", &new).assert_status(200);
    assert!(is_signed_in(&browser));
    let person = people::find_by_email(&open.management, "new@corp.example").unwrap();
    assert!(person.email_verified_at.is_some());
    assert_eq!(people::show(&open.management, person.id).unwrap().belongings[0].slug, "nia-new");
    assert_eq!(open.browser().sign_in("new@corp.example", PASSWORD).status, 422, "there is no password");
    corp.visit(&open, &open.browser(), "new-1", &new).assert_status(200);

    // The last way to sign in stays.
    let account = browser.get("/account");
    let page = browser.submit(&account, "/account/connections/corp/remove", &[]).assert_status(409);
    assert!(page.faults()[0].contains("your only way to sign in"), "{:?}", page.faults());
}

fn a_person_connects_and_disconnects_an_account(settings: &[(&str, &str)]) {
    let corp = Corp::start();
    let app = server_with(&corp, true, settings);
    app.create_person("acme", ANA, Role::Owner);
    app.create_person("acme", "bo@acme.example", Role::Viewer);
    let elsewhere = json!({ "email": "private@corp.example" });
    // Neither an invitation to sign up nor a way in.
    corp.visit(&app, &app.browser(), "ana-1", &elsewhere).assert_status(403);

    let browser = app.browser_of(ANA);
    let question = corp.visit(&app, &browser, "ana-1", &elsewhere).assert_status(200);
    assert!(question.text().contains("private@corp.example"), "{}", question.text());
    corp.visit(&app, &app.browser(), "ana-1", &elsewhere).assert_status(403);
    // What was offered to her is nothing for somebody else.
    let bo = app.browser_of("bo@acme.example");
    let offer = question.attribute("input[name=offer]", "value").unwrap();
    let question_for_bo = corp.visit(&app, &bo, "bo-1", &elsewhere);
    bo.submit(&question_for_bo, "/account/connections/corp", &[("offer", &offer)]).assert_status(409);

    let page = browser.submit(&question, "/account/connections/corp", &[]).assert_status(200);
    assert!(page.text().contains("The two accounts are connected."), "{}", page.text());
    browser.submit(&question, "/account/connections/corp", &[]).assert_status(409);
    let came = app.browser();
    corp.visit(&app, &came, "ana-1", &elsewhere).assert_status(200);
    assert!(came.get("/account").text().contains(ANA));
    // Hers is nobody else's.
    let taken = corp.visit(&app, &bo, "ana-1", &elsewhere);
    bo.submit(&taken, "/account/connections/corp", &[]).assert_status(409);

    app.clock.advance(Duration::from_secs(601));
    let account = browser.get("/account");
    let asked = browser.submit(&account, "/account/connections/corp/remove", &[]).assert_status(403);
    assert_eq!(asked.heading(), "Confirm that it is you");
    let page = browser.submit(&asked, "/account/connections/corp/remove", &[("confirm-password", PASSWORD)]);
    assert!(page.assert_status(200).text().contains("connected no more"));
    corp.visit(&app, &app.browser(), "ana-1", &elsewhere).assert_status(403);
    let done = actions(&app);
    for action in ["user.identity-connect", "user.identity-disconnect"] {
        assert!(done.contains(&action.to_owned()), "{action}: {done:?}");
    }
}

#[test]
fn a_second_factor_is_demanded_after_the_provider_as_after_a_password() {
    let corp = Corp::start();
    let app = server(&corp, &[("require-2fa", "all")]);
    create_ana(&app);
    let browser = app.browser();
    let page = corp.visit(&app, &browser, "ana-1", &json!({})).assert_status(200);
    assert_eq!(page.path, "/login/2fa");
    assert!(browser.get("/account").path.starts_with("/login"));
}

fn who_has_no_password_confirms_there(settings: &[(&str, &str)]) {
    let corp = Corp::start();
    let app = server_with(&corp, true, &[settings, &[("signup", "open")]].concat());
    let new = |auth_time: Value| json!({ "email": "new@corp.example", "auth_time": auth_time });
    let browser = app.browser();
    corp.visit(&app, &browser, "new-1", &new(Value::Null)).assert_status(200);
    app.clock.advance(Duration::from_secs(601));
    let ask = || browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]).assert_status(403);
    let page = ask();
    assert_eq!(page.heading(), "Confirm that it is you");
    assert!(page.text().contains("Set up an authenticator app"), "it says what for: {}", page.text());
    assert_eq!(page.attribute("#confirm-password", "id"), None, "there is none to ask for");
    let link = link_to_corp(&page);
    let asked = begin(&browser, &link);
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));

    let now = app.clock.now().seconds();
    for (what, subject, auth_time) in [
        ("it does not say when", "new-1", Value::Null),
        ("an old sign-in", "new-1", json!(now - 61)),
        ("somebody else", "new-2", json!(now)),
    ] {
        corp.visit_by(&link, &app, &browser, subject, &new(auth_time)).assert_status(403);
        assert_eq!(ask().heading(), "Confirm that it is you", "{what}");
    }
    let secret = browser.cookie(SESSION).unwrap();
    let page = corp.visit_by(&link, &app, &browser, "new-1", &new(json!(now))).assert_status(200);
    assert_eq!(page.heading(), "Go on where you were");
    assert_ne!(browser.cookie(SESSION).unwrap(), secret, "a session of its own");
    let page = browser.submit(&page, "/account/2fa/begin", &[]).assert_status(200);
    assert_eq!(page.heading(), "Set up an authenticator app");
    let rows = audit(&app, "new");
    let confirmed = rows.iter().find(|row| row.action == "session.confirm").unwrap();
    assert_eq!(confirmed.detail["by"], "provider corp");
    // Who has a password and no account there is asked for the password alone.
    create_ana(&app);
    let ana = app.browser_of(ANA);
    app.clock.advance(Duration::from_secs(601));
    let page = ana.submit(&ana.get("/account"), "/account/2fa/begin", &[]).assert_status(403);
    assert!(page.attribute("#confirm-password", "id").is_some());
    assert!(!page.links().iter().any(|link| link.contains("/login/with/")), "{:?}", page.links());
}
