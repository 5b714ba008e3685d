//! Sign-up: who may, and that nobody learns from it who has an account.

use std::thread;
use std::time::Duration;

use brevet::db::audit;
use brevet::db::developers::Role;
use brevet::service::people;
use insta::assert_snapshot;

use crate::support::browser::{Browser, Page};
use crate::support::smtp::MailServer;
use crate::support::{PASSWORD, TestApp, postgres};

const ISSUER: &str = "http://127.0.0.1:8080";
const OPEN: (&str, &str) = ("signup", "open");

fn sign_up(browser: &Browser, email: &str, organisation: &str) -> Page {
    let page = browser.get("/signup").assert_status(200);
    let fields = [("email", email), ("password", PASSWORD), ("organisation", organisation)];
    browser.submit(&page, "/signup", &fields)
}

postgres::on_both_databases! {
    a_taken_address_gets_the_same_page_and_stays_as_it_is
    of_many_with_one_address_at_once_one_gets_an_account
    of_those_who_must_wait_one_in_each_window_stands_in_the_audit
}

fn a_taken_address_gets_the_same_page_and_stays_as_it_is(settings: &[(&str, &str)]) {
    let app = TestApp::with(&[settings, &[OPEN, ("throttle-failures", "100/min")]].concat());
    app.create_person("acme", "ana@example.com", Role::Viewer);
    app.create_person("acme", "bo@xn--bcher-kva.example", Role::Viewer);
    let fresh = sign_up(&app.browser(), "new@example.com", "New").assert_status(200);
    for taken in ["ana@example.com", "ANA@EXAMPLE.COM", "ana@example.com.", "bo@bücher.example", "new@example.com"] {
        let page = sign_up(&app.browser(), taken, "Elsewhere").assert_status(200);
        assert_eq!((&page.path, &page.body), (&fresh.path, &fresh.body), "{taken}");
        let names = |page: &Page| page.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&page), names(&fresh), "{taken}");
    }
    assert_eq!(people::search(&app.management, "", None).unwrap().0.len(), 3);
    let new = people::find_by_email(&app.management, "new@example.com").unwrap();
    assert_eq!(people::show(&app.management, new.id).unwrap().belongings[0].slug, "new");
    assert!(app.browser().sign_in("new@example.com", PASSWORD).status == 200);
}

fn of_many_with_one_address_at_once_one_gets_an_account(settings: &[(&str, &str)]) {
    let app = TestApp::empty(&[settings, &[OPEN]].concat());
    let pages: Vec<Page> = thread::scope(|scope| {
        let spellings = ["ana@example.com", "Ana@example.com", "ANA@example.com", "ana@EXAMPLE.com"];
        let app = &app;
        let all: Vec<_> =
            spellings.map(|email| scope.spawn(move || sign_up(&app.browser(), email, "Acme"))).into_iter().collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(pages.iter().all(|page| page.status == 200 && page.body == pages[0].body));
    assert_eq!(people::search(&app.management, "ana", None).unwrap().0.len(), 1);
}

#[test]
fn with_a_mail_server_the_account_is_made_by_the_link_and_the_password() {
    let server = MailServer::start();
    let app = TestApp::with(&[&server.settings()[..], &[OPEN]].concat());
    app.create_person("acme", "taken@example.com", Role::Viewer);
    let browser = app.browser();
    let fresh = sign_up(&browser, "ana@example.com", "Rockets");
    let taken = sign_up(&browser, "Taken@example.com", "Rockets");
    assert_eq!(fresh.body, taken.body);
    assert_snapshot!(fresh.heading(), @"Look into your mail");
    let mails = server.wait_for(2);
    assert_eq!(mails[1].header("subject"), "You have an account already");
    assert_eq!(app.browser().sign_in("ana@example.com", PASSWORD).status, 422, "not before the link");

    let path = mails[0].path(ISSUER);
    let page = browser.get(&path).assert_status(200);
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let wrong = browser.submit(&page, &path, &[("password", "what a stranger chose")]).assert_status(422);
    assert!(wrong.faults()[0].contains("sign up again"), "{:?}", wrong.faults());
    let page = browser.submit(&wrong, &path, &[("password", PASSWORD)]).assert_status(200);
    assert_eq!(page.texts(".done"), ["Your account is ready, and you are signed in."]);
    assert!(!page.path.contains("verify"), "the link is in no later address");
    assert_eq!(browser.get(&path).status, 410, "used");
    let ana = people::find_by_email(&app.management, "ana@example.com").unwrap();
    assert!(ana.email_verified_at.is_some() && !ana.is_operator);
}

#[test]
fn fields_that_the_form_has_not_have_no_effect() {
    let app = TestApp::with(&[OPEN]);
    let browser = app.browser();
    let page = browser.get("/signup");
    let fields = [
        ("email", "ana@example.com"),
        ("password", PASSWORD),
        ("organisation", "Rockets"),
        ("is_admin", "1"),
        ("is-operator", "1"),
        ("operator", "on"),
        ("org_id", "acme"),
        ("slug", "acme"),
        ("role", "owner"),
        ("verified", "1"),
        ("email-verified-at", "1"),
    ];
    browser.submit(&page, "/signup", &fields).assert_status(200);
    let ana = people::find_by_email(&app.management, "ana@example.com").unwrap();
    assert!(!ana.is_operator && ana.email_verified_at.is_none());
    let belongings = people::show(&app.management, ana.id).unwrap().belongings;
    assert_eq!(belongings.iter().map(|b| b.slug.as_str()).collect::<Vec<_>>(), ["rockets"]);
}

#[test]
fn names_with_everything_in_them_are_text() {
    let app = TestApp::with(&[OPEN]);
    for (n, name) in
        ["<script>alert(1)</script>", "\"onx=1", "{{7*7}}", "=cmd|' /C calc'!A0", "日本 🚀"].iter().enumerate()
    {
        let email = format!("person{n}@example.com");
        sign_up(&app.browser(), &email, name).assert_status(200);
        let browser = app.browser_of(&email);
        for path in ["/team", "/organisations/new"] {
            let page = browser.get(path).assert_status(200);
            assert!(page.text().contains(name), "{name} in {path}: {}", page.text());
            assert!(!page.body.contains("<script>alert"), "{path}");
        }
    }
    let refused = sign_up(&app.browser(), "rtl@example.com", "gnp\u{202e}exe");
    assert_eq!(refused.status, 422);
}

#[test]
fn where_sign_up_is_not_open_the_page_says_whom_to_ask() {
    for (mode, advice) in [("invite", "Ask an administrator"), ("closed", "whoever runs this server")] {
        let app = TestApp::with(&[("signup", mode)]);
        let browser = app.browser();
        let page = browser.get("/signup");
        assert_eq!(page.status, 403, "{mode}");
        assert!(page.text().contains(advice), "{}", page.text());
        let csrf = browser.get("/login").attribute("input[name=csrf]", "value").unwrap();
        let body = format!("csrf={csrf}&email=ana%40example.com&password=quiet+otters+read+maps&organisation=x");
        assert_eq!(browser.send("POST", "/signup", &[], Some(&body)).status, 403, "{mode}");
        assert!(people::find_by_email(&app.management, "ana@example.com").is_err());
    }
}

#[test]
fn who_signs_up_too_often_waits() {
    let app = TestApp::with(&[OPEN, ("throttle-failures", "2/min")]);
    sign_up(&app.browser(), "a@example.com", "A").assert_status(200);
    sign_up(&app.browser(), "b@example.com", "B").assert_status(200);
    let page = sign_up(&app.browser(), "c@example.com", "C").assert_status(429);
    assert_eq!(page.header("retry-after"), "60");
}

fn of_those_who_must_wait_one_in_each_window_stands_in_the_audit(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let with = [OPEN, ("throttle-failures", "1/min")];
    let app = TestApp::with(&[settings, &with, &server.settings()].concat());
    let ask = |what: &str| match what {
        "sign-up" => sign_up(&app.browser(), "a@example.com", "A").status,
        _ => {
            let browser = app.browser();
            browser.submit(&browser.get("/reset"), "/reset", &[("email", "a@example.com")]).status
        }
    };
    for (what, action) in [("sign-up", "user.sign-up-throttled"), ("reset", "user.reset-throttled")] {
        for windows in 1..3 {
            app.clock.advance(Duration::from_secs(61));
            assert_eq!([(); 5].map(|()| ask(what)), [200, 429, 429, 429, 429], "{what}");
            let of_strangers = app.management.database().read(|conn| audit::list_actions(conn, "unknown")).unwrap();
            let noted = of_strangers.iter().filter(|(known, actor)| (&**known, &**actor) == (action, "visitor"));
            assert_eq!(noted.count(), windows, "{what}: {of_strangers:?}");
        }
    }
}
