//! What stands between an account and whoever is not its person: factors that come and go, and sessions that end with it.

use std::time::Duration;

use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::db::members;
use brevet::service::resets;

use crate::support::browser::{Browser, Page};
use crate::support::{PASSWORD, TestApp, audit, one_time};

const ANA: &str = "ana@acme.example";
const BO: &str = "bo@acme.example";
const OTHER: &str = "slow rivers carry stones";
const SESSION: &str = "brevet-session";
const ISSUER: &str = "http://127.0.0.1:8080";

fn app_with_ana(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::with(settings);
    app.create_person("acme", ANA, Role::Owner);
    app
}

fn is_in(browser: &Browser) -> bool {
    browser.get("/account").heading() == "Your account"
}

fn actions(app: &TestApp) -> Vec<String> {
    audit(app, "acme").into_iter().map(|row| row.action).collect()
}

/// Chooses another password by a link.
fn reset(app: &TestApp, email: &str) {
    let link = resets::make_link(&app.management, email).unwrap();
    let path = link.url.reveal().strip_prefix(ISSUER).unwrap();
    let browser = app.browser();
    let page = browser.get(path).assert_status(200);
    browser.submit(&page, path, &[("password", OTHER)]).assert_status(200);
}

fn a_reset_leaves_no_other_way_into_an_account_whose_address_was_never_confirmed(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let bo = app.create_person("acme", BO, Role::Developer);
    let now = app.clock.now();
    app.management.database().write(move |conn| members::update_email_verified_at(conn, bo, now)).unwrap();
    for (email, after) in [(ANA, "/"), (BO, "/login/2fa")] {
        let before = app.browser_of(email);
        let codes = one_time::enrol(&app, &before).1;
        reset(&app, email);
        assert!(!is_in(&before), "{email}");
        let browser = app.browser();
        let page = browser.sign_in(email, OTHER).assert_status(200);
        assert_eq!(page.path, after, "{email}");
        if after != "/" {
            browser.submit(&page, "/login/2fa", &[("code", &codes[0])]).assert_status(200);
        }
    }
    let rows = audit(&app, "acme");
    let disabled: Vec<_> = rows.iter().filter(|row| row.action == "user.2fa-disable").collect();
    assert_eq!(disabled.len(), 1, "{rows:?}");
    assert_eq!(
        (disabled[0].detail["by"].as_str(), &disabled[0].actor),
        (Some("reset"), &format!("user:{}", disabled[0].target))
    );
}

#[test]
fn nobody_confirms_a_key_that_somebody_else_was_shown() {
    let app = app_with_ana(&[("require-2fa", "all")]);
    let set_up = |browser: &Browser| -> Page {
        let page = browser.sign_in(ANA, PASSWORD).assert_status(200);
        assert_eq!((page.heading().as_str(), page.attribute("#seed", "value")), ("Set up an authenticator app", None));
        browser.submit(&page, "/login/2fa", &[("begin", "yes")]).assert_status(200)
    };
    let (thief, ana) = (app.browser(), app.browser());
    let shown_to_thief = set_up(&thief);
    let shown_to_ana = set_up(&ana);
    let (stolen, own) = (one_time::Seed::of(&shown_to_thief), one_time::Seed::of(&shown_to_ana));
    assert_ne!(stolen.octets(), own.octets());

    let page = ana.submit(&shown_to_ana, "/login/2fa", &[("code", &stolen.code(&app))]).assert_status(422);
    let late = thief.submit(&shown_to_thief, "/login/2fa", &[("code", &stolen.code(&app))]).assert_status(200);
    assert_eq!(late.attribute("#seed", "value"), None, "it begins anew");
    ana.submit(&page, "/login/2fa", &[("code", &own.code(&app))]).assert_status(200);
    assert!(is_in(&ana));
    assert_eq!(thief.get("/login/2fa").path, "/login", "what waited is over");
}

#[test]
fn a_key_waits_a_quarter_of_an_hour_for_its_first_code() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let begin = || browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]).assert_status(200);
    let page = begin();
    assert!(browser.get("/account").text().contains("Go on with the one you began"));
    app.clock.advance(Duration::from_secs(15 * 60));
    assert!(!browser.get("/account").text().contains("Go on with the one you began"));
    let code = one_time::Seed::of(&page).code(&app);
    let asked = browser.submit(&page, "/account/2fa", &[("code", &code)]).assert_status(403);
    let page = browser.submit(&asked, "/account/2fa", &[("confirm-password", PASSWORD), ("code", &code)]);
    assert_eq!(page.path, "/account#two-factor");
    assert_eq!(app.browser().sign_in(ANA, PASSWORD).path, "/", "it does not count");
}

fn who_signs_in_again_ends_the_session_before(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    app.create_person("acme", BO, Role::Developer);
    let browser = app.browser_of(ANA);
    let elsewhere = app.browser_of(ANA);
    let before = browser.cookie(SESSION).unwrap();
    let csrf = browser.get("/account").attribute("input[name=csrf]", "value").unwrap();
    let body = |email: &str, password: &str| {
        let fields = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    assert_eq!(browser.send("POST", "/login", &[], Some(&body(BO, "something wrong"))).status, 422);
    assert!(is_in(&browser), "what fails ends nothing");

    browser.send("POST", "/login", &[], Some(&body(BO, PASSWORD))).assert_status(303);

    assert!(browser.get("/account").text().contains(BO));
    let old = app.browser();
    old.set_cookie(SESSION, &before);
    assert!(!is_in(&old) && is_in(&elsewhere));
    let rows = audit(&app, "acme");
    let ended = rows.iter().find(|row| row.action == "session.end").unwrap();
    assert_eq!(ended.detail["by"], "another sign-in");
}

fn a_second_factor_ends_every_session_begun_with_less(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let (browser, elsewhere) = (app.browser_of(ANA), app.browser_of(ANA));
    one_time::enrol(&app, &browser);
    assert!(is_in(&browser) && !is_in(&elsewhere));
    let row = &audit(&app, "acme")[0];
    assert_eq!((row.action.as_str(), row.detail["sessions_ended"].as_i64()), ("user.2fa-enable", Some(1)));
}

fn wrong_codes_and_who_must_wait_stand_in_the_audit_once_a_window(settings: &[(&str, &str)]) {
    let app = app_with_ana(&[settings, &[("throttle-sign-ins", "3/min")]].concat());
    let browser = app.browser_of(ANA);
    let page = browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]).assert_status(200);
    let statuses: Vec<u16> =
        (0..8).map(|_| browser.submit(&page, "/account/2fa", &[("code", "000000")]).status).collect();
    assert_eq!(statuses, [422, 422, 422, 422, 422, 429, 429, 429]);
    let count = |action: &str| actions(&app).iter().filter(|known| *known == action).count();
    assert_eq!((count("user.2fa-wrong-code"), count("user.sign-in-throttled")), (5, 1));

    for windows in 2..4 {
        app.clock.advance(Duration::from_secs(61));
        let stranger = app.browser();
        for _ in 0..8 {
            stranger.sign_in(ANA, "wrong but long");
        }
        assert_eq!(count("user.sign-in-throttled"), windows);
    }
    assert_eq!(count("user.sign-in-failed"), 6);
}

fn who_goes_to_work_elsewhere_stands_in_the_audit(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    app.create_organisation("other");
    let ana = brevet::service::people::find_by_email(&app.management, ANA).unwrap().id;
    let other = brevet::service::organisations::list(&app.management).unwrap();
    let other = other.iter().find(|known| known.slug == "other").unwrap().id;
    let now = app.clock.now();
    let join = move |conn: &mut brevet::db::AnyConnection| {
        brevet::db::developers::insert_membership(conn, other, ana, Role::Developer, None, now)
    };
    app.management.database().write(join).unwrap();
    let browser = app.browser_of(ANA);
    browser.submit(&browser.get("/apps"), "/organisations/switch", &[]).assert_status(200);
    let row = &audit(&app, "other")[0];
    assert_eq!(
        (row.action.as_str(), row.detail["from"].as_str(), row.detail["to"].as_str()),
        ("session.switch", Some("acme"), Some("other"))
    );
}

fn what_somebody_entered_waits_for_that_person_alone(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    app.create_person("acme", BO, Role::Developer);
    let browser = app.browser_of(ANA);
    let account = browser.get("/account");
    app.clock.advance(Duration::from_secs(2 * 3_600));
    let send = || browser.submit(&account, "/account/profile", &[("name", "Ana of old")]).assert_status(401);
    let page = send();
    assert!(!page.body.contains("Ana of old"), "nobody reads it before the person is in");
    let waits_at = page.attribute("input[name=return-to]", "value").unwrap();

    let fields = [("email", BO), ("password", PASSWORD)];
    let page = browser.submit(&page, "/login", &fields).assert_status(404);
    assert_eq!(page.heading(), "Nothing is kept for you here");
    assert!(!page.body.contains("Ana of old"));

    let ana = app.browser_of(ANA);
    let page = ana.get(&waits_at).assert_status(200);
    assert!(page.text().contains("this is done: Change what you are called."), "{}", page.text());
    let stored = std::fs::read(app.data.path().join("brevet.db-wal")).unwrap_or_default();
    assert!(!stored.windows(10).any(|window| window == b"Ana of old"), "stored in clear");
    ana.submit(&page, "/account/profile", &[]).assert_status(200);
    assert_eq!(ana.get("/account").attribute("#name", "value").as_deref(), Some("Ana of old"));
    app.clock.advance(Duration::from_secs(59 * 60));
    ana.get(&waits_at).assert_status(200);
    app.clock.advance(Duration::from_secs(60));
    ana.get(&waits_at).assert_status(404);
}

crate::support::postgres::on_both_databases! {
    what_somebody_entered_waits_for_that_person_alone
    a_reset_leaves_no_other_way_into_an_account_whose_address_was_never_confirmed
    who_signs_in_again_ends_the_session_before
    a_second_factor_ends_every_session_begun_with_less
    wrong_codes_and_who_must_wait_stand_in_the_audit_once_a_window
    who_goes_to_work_elsewhere_stands_in_the_audit
}
