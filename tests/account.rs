//! The own account: password, second factor, recovery codes, sessions.

use std::time::Duration;

use brevet::db::audit::{AuditFilter, Place, list_from};
use brevet::db::developers::Role;
use brevet::secret::Secret;
use brevet::service::{accounts, people, sessions};

use crate::support::browser::{Browser, Page};
use crate::support::{PASSWORD, TestApp, audit, one_time};

const ANA: &str = "ana@acme.example";
const OTHER: &str = "slow rivers carry stones";
const SESSION: &str = "brevet-session";

fn app_with_ana(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::with(settings);
    app.create_person("acme", ANA, Role::Owner);
    app
}

fn is_in(browser: &Browser) -> bool {
    browser.get("/account").heading() == "Your account"
}

fn change_password(browser: &Browser, current: &str, new: &str) -> Page {
    let fields = [("current-password", current), ("new-password", new)];
    browser.submit(&browser.get("/account"), "/account/password", &fields)
}

#[test]
fn a_new_password_is_refused_with_the_reason_and_the_old_one_stays() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let long = "🦀".repeat(129);
    let cases = [
        ("short", "at least 12 characters"),
        (long.as_str(), "at most 128 characters"),
        ("password1234", "every breach"),
        ("Unbelievable", "easy to guess"),
        ("ana@acme.example", "e-mail address"),
        ("Brevet Brevet", "product's"),
        ("acme-acme-acme", "organisation's name"),
        ("abcdefghijklmnop", "abc or 6543"),
    ];
    for (password, reason) in cases {
        let page = change_password(&browser, PASSWORD, password).assert_status(422);
        let faults = page.faults();
        assert!(faults.len() == 1 && faults[0].contains(reason), "{password}: {faults:?}");
        assert!(page.links().contains(&"#new-password".to_owned()), "the fault leads to its field");
        assert_eq!(page.attribute("#new-password", "value").as_deref(), Some(""));
        assert!(!page.body.contains(PASSWORD));
    }
    change_password(&browser, PASSWORD, "nul is \0 no letter").assert_status(400);
    app.browser().sign_in(ANA, PASSWORD).assert_status(200);
}

#[test]
fn any_long_password_is_taken_and_counts_as_it_is() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let longest = "the cat that reads maps at night ".repeat(4)[..128].to_owned();
    let mut current = PASSWORD.to_owned();
    for new in ["lower case only here", "🦀 und grüne äpfel 🐚", "  blanks at both ends  ", &longest] {
        let page = change_password(&browser, &current, new).assert_status(200);
        assert_eq!(page.texts(".done"), ["Your password is changed, and you are signed out everywhere else."]);
        app.browser().sign_in(ANA, &current).assert_status(422);
        app.browser().sign_in(ANA, new).assert_status(200);
        current = new.to_owned();
    }
}

fn a_changed_password_ends_every_other_session(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let (browser, elsewhere) = (app.browser_of(ANA), app.browser_of(ANA));
    let before = browser.cookie(SESSION).unwrap();
    let page = change_password(&browser, "something wrong", OTHER).assert_status(422);
    assert_eq!(page.faults(), ["That is not your current password."]);
    assert!(is_in(&elsewhere));

    change_password(&browser, PASSWORD, OTHER).assert_status(200);

    assert!(is_in(&browser) && !is_in(&elsewhere));
    assert_ne!(browser.cookie(SESSION).unwrap(), before, "a session of its own");
    let old = app.browser();
    old.set_cookie(SESSION, &before);
    assert!(!is_in(&old));
    let row = &audit(&app, "acme")[0];
    assert_eq!((row.action.as_str(), row.detail["sessions_ended"].as_i64()), ("user.change-password", Some(1)));
}

fn an_operator_ends_the_sessions_of_a_person(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let m = &app.management;
    let check = |what: &str, end: &dyn Fn(), restore: &dyn Fn(), password: &str| {
        let browser = app.browser();
        browser.sign_in(ANA, password).assert_status(200);
        assert!(is_in(&browser));
        end();
        assert!(!is_in(&browser), "{what}");
        restore();
        assert!(!is_in(&browser), "{what}, and back");
    };
    let switch = |on: bool| accounts::set_enabled(m, ANA, on).unwrap();
    check("switched off", &|| switch(false), &|| switch(true), PASSWORD);
    check("signed out", &|| assert_eq!(accounts::end_sessions(m, ANA).unwrap(), 1), &|| (), PASSWORD);
    let reset = || accounts::reset_password(m, ANA, &Secret::new(OTHER)).unwrap();
    check("another password", &reset, &|| (), PASSWORD);
    check(
        "second factor reset",
        &|| people::reset_second_factors(m, people::find_by_email(m, ANA).unwrap().id).unwrap(),
        &|| (),
        OTHER,
    );
}

fn sessions_are_listed_and_ended(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    app.create_person("acme", "bo@acme.example", Role::Viewer);
    let (one, two, three) = (app.browser_of(ANA), app.browser_of(ANA), app.browser_of(ANA));
    let bo = app.browser_of("bo@acme.example");
    let page = one.get("/account");
    assert_eq!(page.texts("table tbody tr").len(), 3);
    assert_eq!(page.texts(".tag").iter().filter(|tag| *tag == "this one").count(), 1);

    let of_bo = bo.get("/account");
    let target = of_bo.filled_form("/end", &[]).0;
    let csrf = page.filled_form("/account/profile", &[]).2;
    let foreign = one.send("POST", &target, &[], Some(&csrf));
    assert_eq!(foreign.status, 404, "the session of somebody else");
    assert!(is_in(&bo));

    let this = page.attribute("table tbody tr:has(.tag) form", "action").unwrap();
    let others: Vec<String> = {
        let all = page.body.match_indices("/account/sessions/").map(|(at, _)| {
            let rest = &page.body[at..];
            rest[..rest.find('"').unwrap()].to_owned()
        });
        all.filter(|action| action.ends_with("/end") && *action != this).collect()
    };
    assert_eq!(others.len(), 2);
    let page = one.submit(&page, &others[0], &[]).assert_status(200);
    assert_eq!(page.texts(".done"), ["That session is ended."]);
    assert_eq!([&one, &two, &three].iter().filter(|browser| is_in(browser)).count(), 2);

    let page = one.submit(&page, "/account/sessions/end-others", &[]).assert_status(200);
    assert_eq!(page.texts("table tbody tr").len(), 1);
    assert!(is_in(&one) && !is_in(&two) && !is_in(&three) && is_in(&bo));

    let page = one.submit(&page, "/end", &[]).assert_status(200);
    assert_eq!(page.path, "/login?done=signed-out");
    assert!(!is_in(&one));
}

fn an_authenticator_app_is_set_up_and_taken_away(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let browser = app.browser_of(ANA);
    let page = browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]).assert_status(200);
    assert_eq!(page.heading(), "Set up an authenticator app");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.body.contains("<svg class=\"qr\"") && !page.body.contains("data:"), "the code is drawn in the page");
    let text = page.attribute("#seed", "value").unwrap();
    assert_eq!(text.replace(' ', "").len(), 32, "160 bits");
    let seed = one_time::Seed::of(&page);
    assert_eq!(app.browser().sign_in(ANA, PASSWORD).path, "/", "it does not count yet");

    let refused = browser.submit(&page, "/account/2fa", &[("code", "000000")]).assert_status(422);
    assert_eq!(refused.attribute("#seed", "value").as_deref(), Some(text.as_str()), "the same again");
    let code = seed.code(&app);
    let codes = browser.submit(&refused, "/account/2fa", &[("code", &code)]).assert_status(200);
    assert_eq!((codes.heading().as_str(), codes.header("cache-control")), ("Keep your recovery codes", "no-store"));
    let shown = codes.texts(".codes code");
    assert_eq!(shown.len(), 10);

    let account = browser.get("/account");
    assert!(account.text().contains("You have 10 recovery codes left"), "{}", account.text());
    assert!(shown.iter().all(|code| !account.body.contains(code)) && !account.body.contains(&text), "seen once");
    assert_eq!(browser.get("/account/2fa").path, "/account#two-factor", "the key is not shown again");
    assert_eq!(app.browser().sign_in(ANA, PASSWORD).path, "/login/2fa");

    let page = browser.submit(&account, "/account/2fa/remove", &[]).assert_status(200);
    assert_eq!(page.texts(".done"), ["Two-factor sign-in is off."]);
    assert_eq!(app.browser().sign_in(ANA, PASSWORD).path, "/");
    let actions: Vec<String> = audit(&app, "acme").into_iter().map(|row| row.action).collect();
    assert!(["user.2fa-enable", "user.2fa-disable"].iter().all(|action| actions.contains(&(*action).to_owned())));
}

fn of_more_than_fifty_sessions_the_one_that_was_idle_longest_ends(settings: &[(&str, &str)]) {
    let app = app_with_ana(&[settings, &[("throttle-sign-ins", "off")]].concat());
    let (busy, idle) = (app.browser_of(ANA), app.browser_of(ANA));
    app.clock.advance(Duration::from_secs(61));
    assert!(is_in(&busy));
    let others: Vec<Browser> = (0..48).map(|_| app.browser_of(ANA)).collect();
    let ana = people::find_by_email(&app.management, ANA).unwrap().id;
    let living = || sessions::list(&app.management, ana).unwrap().len();
    assert_eq!(living(), 50);
    let last = app.browser_of(ANA);
    assert_eq!(living(), 50);
    assert!(!is_in(&idle));
    assert!(is_in(&busy) && is_in(&last) && is_in(&others[0]));
    let filter = AuditFilter { action: Some("session.end-surplus".to_owned()), ..AuditFilter::default() };
    let rows = app.management.database().read(|conn| list_from(conn, None, &filter, Place::Newest, 10)).unwrap();
    assert_eq!(rows.iter().map(|row| row.entry.detail["most"].as_i64()).collect::<Vec<_>>(), [Some(50)]);
}

#[test]
fn who_knows_the_password_alone_ends_no_session_that_is_open() {
    let app = app_with_ana(&[("throttle-sign-ins", "off")]);
    let browser = app.browser_of(ANA);
    one_time::enrol(&app, &browser);
    for _ in 0..51 {
        assert_eq!(app.browser().sign_in(ANA, PASSWORD).path, "/login/2fa");
    }
    assert!(is_in(&browser));
}

#[test]
fn neither_the_key_nor_the_codes_are_stored_in_clear() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let page = browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]);
    let text = page.attribute("#seed", "value").unwrap().replace(' ', "");
    let seed = one_time::Seed::of(&page);
    let codes = browser.submit(&page, "/account/2fa", &[("code", &seed.code(&app))]).texts(".codes code");
    for file in ["brevet.db", "brevet.db-wal"] {
        let content = std::fs::read(app.data.path().join(file)).unwrap_or_default();
        let holds = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(text.as_bytes()) && !holds(&seed.octets()), "{file}");
        assert!(codes.iter().all(|code| !holds(code.as_bytes())), "{file}");
    }
}

fn other_recovery_codes_kill_the_old_ones(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let browser = app.browser_of(ANA);
    let (_, old) = one_time::enrol(&app, &browser);
    let account = browser.get("/account");
    let new = browser.submit(&account, "/account/recovery-codes", &[]).assert_status(200).texts(".codes code");
    assert!(new.len() == 10 && new.iter().all(|code| !old.contains(code)));
    let again = browser.submit(&account, "/account/recovery-codes", &[]).assert_status(409);
    assert!(again.texts(".codes code").is_empty(), "the same form once more makes nothing");
    let sign_in = |code: &str| {
        let browser = app.browser();
        let page = browser.sign_in(ANA, PASSWORD);
        browser.submit(&page, "/login/2fa", &[("code", code)]).status
    };
    assert_eq!((sign_in(&old[0]), sign_in(&new[0])), (422, 200));
}

#[test]
fn after_ten_minutes_a_proof_is_asked_for_and_any_kind_will_do() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let (seed, codes) = one_time::enrol(&app, &browser);
    let renew = |fields: &[(&str, &str)]| {
        let page = browser.submit(&browser.get("/account"), "/account/recovery-codes", &[]);
        assert_eq!((page.status, page.heading().as_str()), (403, "Confirm that it is you"));
        browser.submit(&page, "/account/recovery-codes", fields)
    };
    let mut recovery = codes[0].clone();
    for kind in ["password", "one-time code", "recovery code"] {
        app.clock.advance(Duration::from_secs(601));
        let before = browser.cookie(SESSION).unwrap();
        renew(&[("confirm-password", "something wrong")]).assert_status(422);
        renew(&[("confirm-code", "000000")]).assert_status(422);
        let code = if kind == "one-time code" { seed.code(&app) } else { recovery.clone() };
        let field = if kind == "password" { ("confirm-password", PASSWORD) } else { ("confirm-code", code.as_str()) };
        let page = renew(&[field]).assert_status(200);
        assert_eq!(page.heading(), "Keep your recovery codes", "{kind}");
        recovery = page.texts(".codes code")[0].clone();
        assert_ne!(browser.cookie(SESSION).unwrap(), before, "a session of its own after {kind}");
        let again = browser.submit(&browser.get("/account"), "/account/recovery-codes", &[]).assert_status(200);
        recovery = again.texts(".codes code").first().cloned().unwrap_or(recovery);
    }
}

#[test]
fn a_name_is_text_and_nothing_else() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let longest = "ä".repeat(100);
    for name in ["<script>alert(1)</script>", "\"onx=", "{{7*7}}", "Ana 🦀 Lima", "", &longest] {
        let page = browser.submit(&browser.get("/account"), "/account/profile", &[("name", name)]).assert_status(200);
        assert_eq!(page.texts(".done"), ["Your account is changed."]);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
        assert!(!page.body.contains("<script>alert"));
    }
    for name in ["ä".repeat(101), "\u{202e}anA".to_owned()] {
        let page = browser.submit(&browser.get("/account"), "/account/profile", &[("name", &name)]).assert_status(422);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name.as_str()), "kept");
        assert_eq!(page.faults(), ["A name has at most 100 characters, all of them printable."]);
    }
}

#[test]
fn nothing_changes_without_the_token_of_the_page_or_by_looking() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let (seed, _) = one_time::enrol(&app, &browser);
    app.clock.advance(Duration::from_secs(30));
    let other = app.browser();
    let page = other.sign_in(ANA, PASSWORD);
    other.submit(&page, "/login/2fa", &[("code", &seed.code(&app))]).assert_status(200);
    let stale = other.get("/account").filled_form("/account/profile", &[]).2;
    let right = browser.get("/account").filled_form("/account/profile", &[]).2;
    let before = audit(&app, "acme").len();
    let id = browser.get("/account").attribute("table tbody form", "action").unwrap();
    for path in [
        "/account/profile",
        "/account/password",
        "/account/2fa",
        "/account/2fa/begin",
        "/account/2fa/remove",
        "/account/recovery-codes",
        "/account/sessions/end-others",
        &id,
    ] {
        for (case, headers, body) in [
            ("no token", [].as_slice(), ""),
            ("another session's token", [].as_slice(), stale.as_str()),
            ("another site", [("sec-fetch-site", "cross-site")].as_slice(), right.as_str()),
            ("another origin", [("origin", "https://evil.example")].as_slice(), right.as_str()),
        ] {
            assert_eq!(browser.send("POST", path, headers, Some(body)).status, 403, "{path}: {case}");
        }
        let looked = browser.send("GET", path, &[], None).status.as_u16();
        assert!(matches!(looked, 303 | 405), "{path}: {looked}");
    }
    assert_eq!(audit(&app, "acme").len(), before);
    assert!(is_in(&browser) && is_in(&other));
}

crate::support::postgres::on_both_databases! {
    a_changed_password_ends_every_other_session
    an_operator_ends_the_sessions_of_a_person
    sessions_are_listed_and_ended
    of_more_than_fifty_sessions_the_one_that_was_idle_longest_ends
    an_authenticator_app_is_set_up_and_taken_away
    other_recovery_codes_kill_the_old_ones
}
