//! Nobody learns from an answer who has an account here: whoever is asked for, the answers are the same to the octet.

use brevet::clock::Clock;
use brevet::db::developers::{self, NewDeveloper, Role};
use brevet::db::members;
use brevet::service::accounts;
use serde_json::json;
use uuid::Uuid;

use crate::sign_in::comparable;
use crate::sign_in_provider::{Corp, back, begin};
use crate::support::http::Answer;
use crate::support::smtp::MailServer;
use crate::support::{PASSWORD, TestApp, one_time};

const ISSUER: &str = "https://id.example.com";
const NOBODY: &str = "nobody@acme.example";
const PLAIN: &str = "plain@acme.example";
const OFF: &str = "off@acme.example";
const ELSEWHERE: &str = "elsewhere@acme.example";
const CODES: &str = "codes@acme.example";
const PROVEN: &str = "proven@acme.example";
const ALL: [&str; 6] = [NOBODY, PLAIN, OFF, ELSEWHERE, CODES, PROVEN];

struct Stage {
    app: TestApp,
    corp: Corp,
    _mail: MailServer,
}

impl Stage {
    /// A server with everything by which somebody could ask, and somebody of each kind.
    fn new(limit: &str) -> Self {
        let (corp, mail) = (Corp::start(), MailServer::start());
        let providers = corp.setting(false);
        let own = [
            ("issuer", ISSUER),
            ("signup", "open"),
            ("throttle-failures", "1000/min"),
            ("throttle-sign-ins", limit),
            ("trusted-proxies", "127.0.0.0/8"),
            ("sign-in-providers", providers.as_str()),
            ("outbound-allow-private", "true"),
        ];
        let app = TestApp::with(&[&mail.settings()[..], &own].concat());
        for email in [PLAIN, OFF, CODES, PROVEN] {
            app.create_person("acme", email, Role::Viewer);
        }
        accounts::set_enabled(&app.management, OFF, false).unwrap();
        one_time::enrol(&app, &app.browser_of(CODES));
        let (id, now) = (Uuid::now_v7(), app.clock.now());
        let proven = brevet::service::people::find_by_email(&app.management, PROVEN).unwrap().id;
        let elsewhere = NewDeveloper { id, email: ELSEWHERE.to_owned(), password_hash: String::new(), created_at: now };
        let prepare = move |conn: &mut brevet::db::AnyConnection| {
            developers::insert(conn, &elsewhere)?;
            members::update_email_verified_at(conn, proven, now)
        };
        app.management.database().write(prepare).unwrap();
        Self { app, corp, _mail: mail }
    }

    /// Fills in a form in a browser of its own, from an address of its own.
    fn send(&self, page: &str, form: &str, fields: &[(&str, &str)], times: usize) -> Answer {
        let browser = self.app.browser();
        let (target, _, body) = browser.get(page).filled_form(form, fields);
        let address = format!(
            "203.0.113.{}",
            fields
                .iter()
                .flat_map(|(_, value)| value.bytes())
                .fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
        );
        let mut answer = None;
        for _ in 0..times {
            answer = Some(browser.send("POST", &target, &[("x-forwarded-for", &address)], Some(&body)));
        }
        answer.unwrap()
    }

    /// Comes back from a provider that says whose the address is.
    fn come_from_corp(&self, email: &str) -> Answer {
        let browser = self.app.browser();
        let asked = begin(&browser, "/login/with/corp");
        let mut claims = self.corp.claims(&self.app, &asked, email);
        claims["email"] = json!(email);
        self.corp.give(self.corp.signer.sign(&claims));
        browser.send("GET", &back(&asked), &[], None)
    }
}

/// Everything of an answer by which one could be told from another.
fn all_of(answer: &Answer, email: &str) -> (u16, Vec<String>, String, Vec<String>) {
    let (status, headers, body) = comparable(answer, email);
    let mut rest = body;
    for mark in ["Request <code>", "\"challenge\":\"", "\"state\":\""] {
        while let Some(at) = rest.find(mark) {
            let end = at + mark.len() + rest[at + mark.len()..].find(['"', '<']).unwrap();
            rest.replace_range(at..end, "");
        }
    }
    let names = |value: &ureq::http::HeaderValue| value.to_str().unwrap().split('=').next().unwrap().to_owned();
    let cookies = answer.headers.get_all("set-cookie").iter().map(names).collect();
    (status, headers, rest, cookies)
}

#[test]
fn whoever_is_asked_for_the_answers_are_the_same() {
    let stage = Stage::new("1000/min");
    let narrow = Stage::new("2/min");
    let wrong = "some other words here";
    type Ask<'a> = Box<dyn Fn(&str) -> Answer + 'a>;
    let asks: Vec<(&str, u16, &[&str], Ask<'_>)> = vec![
        (
            "a wrong password",
            422,
            &ALL,
            Box::new(|email| stage.send("/login", "/login", &[("email", email), ("password", wrong)], 1)),
        ),
        (
            "too many of them",
            429,
            &ALL,
            Box::new(|email| narrow.send("/login", "/login", &[("email", email), ("password", wrong)], 3)),
        ),
        (
            "what cannot be a password",
            422,
            &ALL,
            Box::new(|email| stage.send("/login", "/login", &[("email", email), ("password", &wrong.repeat(9))], 1)),
        ),
        (
            "a sign-up",
            303,
            &ALL,
            Box::new(|email| {
                let fields = [("email", email), ("password", PASSWORD), ("organisation", "Rockets")];
                stage.send("/signup", "/signup", &fields, 1)
            }),
        ),
        ("another password", 303, &ALL, Box::new(|email| stage.send("/reset", "/reset", &[("email", email)], 1))),
        (
            "an account elsewhere",
            403,
            &[NOBODY, PLAIN, OFF, ELSEWHERE, CODES],
            Box::new(|email| stage.come_from_corp(email)),
        ),
        #[cfg(feature = "passkeys")]
        (
            "what to ask of a passkey",
            200,
            &ALL,
            Box::new(|email| {
                let browser = stage.app.browser();
                let csrf = browser.get("/login").attribute("input[name=csrf]", "value").unwrap();
                let body = format!("csrf={csrf}&email={email}");
                browser.send("POST", "/login/passkey/begin", &[], Some(&body))
            }),
        ),
        #[cfg(feature = "passkeys")]
        (
            "a passkey that does not hold",
            422,
            &ALL,
            Box::new(|email| {
                let fields = [("email", email), ("passkey", "{}"), ("passkey-state", "AAAA")];
                stage.send("/login", "/login/passkey", &fields, 1)
            }),
        ),
    ];
    for (what, status, people, ask) in &asks {
        let first = all_of(&ask(people[0]), people[0]);
        assert_eq!(first.0, *status, "{what}: {}", first.2);
        for email in &people[1..] {
            assert_eq!(all_of(&ask(email), email), first, "{what}: {email} is told from {}", people[0]);
        }
    }
}
