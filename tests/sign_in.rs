//! Signing in: passwords, second factors, and what stands between them and who guesses.

use std::time::Duration;

use brevet::db::developers::Role;
use brevet::service::accounts;

use crate::support::browser::{Browser, Page};
use crate::support::http::Answer;
use crate::support::{PASSWORD, TestApp, audit, one_time};

const ANA: &str = "ana@acme.example";
const SESSION: &str = "brevet-session";
const WRONG: &str = "The e-mail address or the password is not right.";

fn app_with_ana(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::with(settings);
    app.create_person("acme", ANA, Role::Owner);
    app
}

/// Behind a proxy that names the address of who comes.
fn behind_proxy(settings: &[(&str, &str)]) -> TestApp {
    app_with_ana(&[&[("trusted-proxies", "127.0.0.0/8")], settings].concat())
}

fn sign_in_from(browser: &Browser, address: &str, email: &str, password: &str) -> Answer {
    let page = browser.get("/login");
    let (target, _, body) = page.filled_form("/login", &[("email", email), ("password", password)]);
    browser.send("POST", &target, &[("x-forwarded-for", address)], Some(&body))
}

/// The answer without what is random in it.
pub(crate) fn comparable(answer: &Answer, email: &str) -> (u16, Vec<String>, String) {
    let mut body = answer.body.replace(email, "EMAIL");
    for name in ["csrf", "once"] {
        while let Some(at) = body.find(&format!("name=\"{name}\" value=\"")) {
            let from = at + name.len() + 15;
            let to = from + body[from..].find('"').unwrap();
            body.replace_range(at..=to, "");
        }
    }
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["content-length", "date", "set-cookie", "x-request-id"].contains(&name.as_str()));
    (answer.status.as_u16(), headers.map(|(name, value)| format!("{name}: {value:?}")).collect(), body)
}

#[test]
fn unknown_wrong_and_disabled_cannot_be_told_apart() {
    let app = app_with_ana(&[]);
    app.create_person("acme", "off@acme.example", Role::Viewer);
    accounts::set_enabled(&app.management, "off@acme.example", false).unwrap();
    let browser = app.browser();
    let tries = [
        ("bo@acme.example", "some other words here"),
        (ANA, "some other words here"),
        ("off@acme.example", PASSWORD),
        ("no address", PASSWORD),
    ];
    let answers: Vec<_> = tries
        .iter()
        .map(|(email, password)| comparable(&sign_in_from(&browser, "192.0.2.1", email, password), email))
        .collect();
    assert_eq!(answers[0].0, 422);
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(browser.cookie(SESSION), None);
}

#[test]
fn a_password_is_right_however_its_letters_are_composed_and_in_no_other_spelling() {
    let app = TestApp::new();
    let password = "gr\u{fc}ne \u{e4}pfel f\u{fc}r \u{1f980} und dich ";
    let secret = brevet::secret::Secret::new(password);
    let new =
        accounts::NewMember { organisation: "acme", email: ANA, login: None, role: Role::Owner, password: &secret };
    accounts::create(&app.management, &new).unwrap();
    for right in [password, "gru\u{308}ne a\u{308}pfel fu\u{308}r \u{1f980} und dich "] {
        app.browser().sign_in(ANA, right).assert_status(200);
        app.browser().sign_in(" ANA@acme.example", right).assert_status(200);
    }
    for wrong in [password.trim(), &password.to_uppercase(), &password[..19], &format!("{password}x")] {
        let page = app.browser().sign_in(ANA, wrong).assert_status(422);
        assert_eq!(page.faults(), [WRONG], "{wrong}");
    }
    let long = "x".repeat(129);
    for (impossible, reason) in [
        (long.as_str(), "A password may have at most 128 characters."),
        (&"é".repeat(513), "A password may have at most 1024 bytes."),
    ] {
        for email in [ANA, "nobody@acme.example"] {
            let page = app.browser().sign_in(email, impossible).assert_status(422);
            assert_eq!(page.faults(), [reason]);
        }
    }
}

#[test]
fn a_password_of_72_bytes_and_more_counts_whole() {
    let app = TestApp::new();
    let long = "nine lives of a cat that reads ".repeat(4);
    let secret = brevet::secret::Secret::new(long.clone());
    let new =
        accounts::NewMember { organisation: "acme", email: ANA, login: None, role: Role::Owner, password: &secret };
    accounts::create(&app.management, &new).unwrap();
    app.browser().sign_in(ANA, &long[..72]).assert_status(422);
    app.browser().sign_in(ANA, &long).assert_status(200);
}

#[test]
fn the_cookie_of_a_session_is_kept_from_scripts_and_other_hosts() {
    let app = app_with_ana(&[]);
    let https = app_with_ana(&[("issuer", "https://id.example.com")]);
    for (app, name, secure) in [(&app, "brevet-session", false), (&https, "__Host-brevet-session", true)] {
        let browser = app.browser();
        let answer = sign_in_from(&browser, "", ANA, PASSWORD);
        assert_eq!(answer.status, 303);
        let cookies: Vec<&str> =
            answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(&format!("{name}=bvs_"))).unwrap();
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        assert!(["HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|wanted| attributes.contains(wanted)), "{cookie}");
        assert_eq!(attributes.contains(&"Secure"), secure, "{cookie}");
        assert!(!cookie.to_lowercase().contains("domain"), "{cookie}");
        let secret = browser.cookie(name).unwrap();
        assert_eq!(secret.len(), 53, "256 random bits");
        let database = std::fs::read(app.data.path().join("brevet.db")).unwrap();
        let journal = std::fs::read(app.data.path().join("brevet.db-wal")).unwrap_or_default();
        for file in [database, journal] {
            assert!(!file.windows(40).any(|window| window == &secret.as_bytes()[..40]), "stored in clear");
        }
    }
}

#[test]
fn a_forged_sign_in_is_refused() {
    let app = app_with_ana(&[]);
    let (victim, attacker) = (app.browser(), app.browser());
    victim.get("/login");
    let own = attacker.get("/login").filled_form("/login", &[("email", ANA), ("password", PASSWORD)]).2;
    let stripped = format!("email={ANA}&password={}", PASSWORD.replace(' ', "+"));
    for (case, body) in [("the attacker's token", &own), ("no token", &stripped)] {
        assert_eq!(victim.send("POST", "/login", &[], Some(body)).status, 403, "{case}");
    }
    let right = victim.get("/login").filled_form("/login", &[("email", ANA), ("password", PASSWORD)]).2;
    let foreign = victim.send("POST", "/login", &[("sec-fetch-site", "cross-site")], Some(&right));
    assert_eq!(foreign.status, 403);
    assert_eq!(victim.cookie(SESSION), None);
    assert_eq!(victim.send("POST", "/login", &[], Some(&right)).status, 303);
}

#[test]
fn one_goes_on_only_to_pages_of_this_host() {
    let app = app_with_ana(&[("throttle-sign-ins", "off")]);
    let cases = [
        ("/account", "/account"),
        ("/apps?page=2", "/apps?page=2"),
        ("/logout", "/"),
        ("/logout?x=1", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("//id.example.com@evil.example/", "/"),
        ("https:evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("%2f%2fevil.example", "/"),
        (" //evil.example", "/"),
        ("", "/"),
    ];
    let quoted = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    for (given, expected) in cases {
        let browser = app.browser();
        let page = browser.get(&format!("/login?return_to={}", quoted(given)));
        let asked = page.attribute("input[name=return-to]", "value").unwrap();
        assert_eq!(asked, expected, "{given:?} in the page");
        // Whatever the page says, the form is not believed either.
        let fields = [("email", ANA), ("password", PASSWORD), ("return-to", given)];
        let (target, _, body) = page.filled_form("/login", &fields);
        let answer = browser.send("POST", &target, &[], Some(&body));
        assert_eq!(answer.header("location"), expected, "{given:?} in the form");
        // Who is signed in already is sent there at once.
        let answer = browser.send("GET", &format!("/login?return_to={}", quoted(given)), &[], None);
        assert_eq!(answer.header("location"), expected, "{given:?} when signed in");
    }
}

#[test]
fn after_too_many_wrong_passwords_strangers_wait_and_the_owner_does_not() {
    let app = behind_proxy(&[]);
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.1", ANA, PASSWORD).status, 303, "from home");
    let stranger = app.browser();
    let statuses: Vec<u16> =
        (0..100).map(|_| sign_in_from(&stranger, "198.51.100.7", ANA, "wrong but long").status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 10);
    app.clock.advance(Duration::from_secs(20));
    let answer = sign_in_from(&stranger, "198.51.100.7", ANA, PASSWORD);
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "40"), "the right one waits too");
    assert!(answer.body.contains("Wait 40 seconds"), "{}", answer.body);
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.1", ANA, PASSWORD).status, 303, "the owner at home");
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.9", ANA, PASSWORD).status, 303, "the owner elsewhere");
    app.clock.advance(Duration::from_secs(40));
    assert_eq!(sign_in_from(&stranger, "198.51.100.7", ANA, PASSWORD).status, 303);
}

#[test]
fn guessing_from_many_addresses_does_not_lock_the_owner_out_at_home() {
    let app = behind_proxy(&[("throttle-sign-ins", "2/min")]);
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.1", ANA, PASSWORD).status, 303);
    for n in 0..20 {
        let address = format!("198.51.100.{n}");
        assert_eq!(sign_in_from(&app.browser(), &address, ANA, "wrong but long").status, 422, "{n}");
    }
    let answer = sign_in_from(&app.browser(), "198.51.100.200", ANA, PASSWORD);
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "3600"));
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.1", ANA, PASSWORD).status, 303);
    app.clock.advance(Duration::from_secs(91 * 86_400));
    for _ in 0..20 {
        app.clock.advance(Duration::from_secs(61));
        assert_eq!(sign_in_from(&app.browser(), "198.51.100.1", ANA, "wrong but long").status, 422);
    }
    assert_eq!(sign_in_from(&app.browser(), "192.0.2.1", ANA, PASSWORD).status, 429, "known three months ago only");
}

#[test]
fn one_password_for_many_people_is_slowed_down_by_address_and_for_the_whole_server() {
    let app = behind_proxy(&[("throttle-sign-ins", "1/min")]);
    let browser = app.browser();
    assert_eq!(sign_in_from(&browser, "198.51.100.1", "one@acme.example", "wrong but long").status, 422);
    assert_eq!(sign_in_from(&browser, "198.51.100.1", "two@acme.example", "wrong but long").status, 429);
    for n in 0..59 {
        let (address, email) = (format!("203.0.113.{n}"), format!("p{n}@acme.example"));
        assert_eq!(sign_in_from(&browser, &address, &email, "wrong but long").status, 422, "{n}");
    }
    assert_eq!(sign_in_from(&browser, "192.0.2.77", "last@acme.example", "wrong but long").status, 429);
}

#[test]
fn many_at_once_cannot_try_more_than_the_limit() {
    let app = app_with_ana(&[("throttle-sign-ins", "5/min")]);
    let browser = app.browser();
    let body = browser.get("/login").filled_form("/login", &[("email", ANA), ("password", "wrong but long")]).2;
    let visit = browser.cookie("brevet-visit").unwrap();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|_| {
                scope.spawn(|| {
                    let browser = app.browser();
                    browser.set_cookie("brevet-visit", &visit);
                    browser.send("POST", "/login", &[], Some(&body)).status.as_u16()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 35, "{statuses:?}");
}

#[test]
fn past_the_queue_for_slow_hashes_the_answer_is_503_and_tokens_are_given_all_the_same() {
    let app = app_with_ana(&[("throttle-sign-ins", "off")]);
    let client = app.create_app(&["billing:read"]);
    let browser = app.browser();
    let body = browser.get("/login").filled_form("/login", &[("email", ANA), ("password", PASSWORD)]).2;
    let visit = browser.cookie("brevet-visit").unwrap();
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..80)
            .map(|_| {
                scope.spawn(|| {
                    let browser = app.browser();
                    browser.set_cookie("brevet-visit", &visit);
                    let answer = browser.send("POST", "/login", &[], Some(&body));
                    (answer.status.as_u16(), answer.header("retry-after").to_owned())
                })
            })
            .collect();
        for _ in 0..20 {
            app.token(&client);
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|(status, _)| matches!(status, 303 | 503)), "{answers:?}");
    assert!(answers.iter().filter(|(status, _)| *status == 503).all(|(_, wait)| !wait.is_empty()), "{answers:?}");
    assert!(answers.iter().filter(|(status, _)| *status == 303).count() >= 33, "{answers:?}");
}

fn sign_ins_and_failures_stand_in_the_audit(settings: &[(&str, &str)]) {
    let app = app_with_ana(&[&[("trusted-proxies", "127.0.0.0/8")], settings].concat());
    let browser = app.browser();
    sign_in_from(&browser, "198.51.100.7", ANA, "secret typed wrong");
    sign_in_from(&browser, "198.51.100.7", "pass-phrase@typed.into-the-wrong-field", "x");
    sign_in_from(&browser, "192.0.2.1", ANA, PASSWORD);
    let rows = audit(&app, "acme");
    let shown: Vec<String> = rows
        .iter()
        .filter(|row| row.action.starts_with("user.sign-in"))
        .map(|row| format!("{} {}", row.action, row.address.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(shown, ["user.sign-in 192.0.2.1", "user.sign-in-failed 198.51.100.7"]);
    assert!(rows.iter().all(|row| !row.detail.to_string().contains("typed")), "what was typed is not written down");
    let (by, failed) = (&rows[0], &rows[1]);
    assert_eq!(by.actor, format!("user:{}", by.target));
    assert_eq!((failed.actor.as_str(), &failed.target), ("visitor", &by.target));
}

fn a_code_is_asked_for_after_the_password_and_works_once(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let seed = one_time::enrol(&app, &app.browser_of(ANA)).0;
    app.clock.advance(Duration::from_secs(30));

    let browser = app.browser();
    let page = browser.sign_in(ANA, PASSWORD).assert_status(200);
    assert_eq!((page.path.as_str(), page.heading().as_str()), ("/login/2fa", "Enter your code"));
    let waiting = browser.cookie(SESSION).unwrap();
    assert_eq!(browser.get("/account").path, "/login?return_to=%2Faccount", "it opens nothing yet");
    let wrong = browser.submit(&page, "/login/2fa", &[("code", "000000")]).assert_status(422);
    assert!(wrong.faults()[0].contains("not right"), "{:?}", wrong.faults());

    let code = seed.code(&app);
    let page = browser.submit(&page, "/login/2fa", &[("code", &code)]).assert_status(200);
    assert_eq!(page.path, "/");
    assert_ne!(browser.cookie(SESSION).unwrap(), waiting, "a session of its own");
    assert_eq!(browser.get("/account").heading(), "Your account");
    let old = app.browser();
    old.set_cookie(SESSION, &waiting);
    assert_eq!(old.get("/login/2fa").path, "/login", "the old secret is dead");

    let second = app.browser();
    let page = second.sign_in(ANA, PASSWORD);
    second.submit(&page, "/login/2fa", &[("code", &code)]).assert_status(422);
    app.clock.advance(Duration::from_secs(30));
    let spaced = format!("{} {}", &seed.code(&app)[..3], &seed.code(&app)[3..]);
    second.submit(&page, "/login/2fa", &[("code", &spaced)]).assert_status(200);
    let by: Vec<String> = audit(&app, "acme")
        .iter()
        .filter(|row| row.action == "user.sign-in")
        .map(|row| row.detail["by"].to_string())
        .collect();
    assert_eq!(by, ["\"one-time code\"", "\"one-time code\"", "\"password\""]);
}

fn of_many_with_the_same_code_one_comes_in(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let (seed, codes) = one_time::enrol(&app, &app.browser_of(ANA));
    app.clock.advance(Duration::from_secs(60));
    for code in [seed.code(&app), codes[0].clone()] {
        let browsers: Vec<(Browser, Page)> = (0..4)
            .map(|_| {
                let browser = app.browser();
                let page = browser.sign_in(ANA, PASSWORD);
                (browser, page)
            })
            .collect();
        let ins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = browsers
                .into_iter()
                .map(|(browser, page)| {
                    let code = &code;
                    scope.spawn(move || browser.submit(&page, "/login/2fa", &[("code", code)]).status == 200)
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|is_in| *is_in).count()
        });
        assert_eq!(ins, 1, "{code}");
    }
}

fn a_recovery_code_lets_in_once(settings: &[(&str, &str)]) {
    let app = app_with_ana(settings);
    let codes = one_time::enrol(&app, &app.browser_of(ANA)).1;
    assert_eq!(codes.len(), 10);
    let sign_in = |code: &str| {
        let browser = app.browser();
        let page = browser.sign_in(ANA, PASSWORD);
        let page = browser.submit(&page, "/login/2fa", &[("code", code)]);
        (page.status, browser)
    };
    let (status, browser) = sign_in(&codes[3].to_uppercase().replace('-', " "));
    assert_eq!(status, 200);
    assert!(
        browser.get("/account").text().contains("You have 9 recovery codes left"),
        "{}",
        browser.get("/account").text()
    );
    assert_eq!(sign_in(&codes[3]).0, 422, "used");
    assert_eq!(sign_in("2222-2222-2222-2222").0, 422, "nobody's");
    assert_eq!(sign_in(&codes[4]).0, 200);
}

#[test]
fn codes_cannot_be_tried_without_end() {
    let app = app_with_ana(&[("throttle-sign-ins", "off")]);
    let seed = one_time::enrol(&app, &app.browser_of(ANA)).0;
    app.clock.advance(Duration::from_secs(60));
    let browser = app.browser();
    let page = browser.sign_in(ANA, PASSWORD);
    let statuses: Vec<u16> =
        (0..6).map(|_| browser.submit(&page, "/login/2fa", &[("code", "000000")]).status).collect();
    assert_eq!(statuses, [422, 422, 422, 422, 422, 429]);
    let page = browser.submit(&page, "/login/2fa", &[("code", &seed.code(&app))]).assert_status(429);
    assert_eq!(page.header("retry-after"), "60");
}

#[test]
fn where_a_second_factor_is_demanded_it_is_set_up_before_anything_else() {
    let app = app_with_ana(&[("require-2fa", "admins")]);
    app.create_person("acme", "dev@acme.example", Role::Developer);
    assert_eq!(app.browser().sign_in("dev@acme.example", PASSWORD).path, "/", "not an admin");

    let browser = app.browser();
    let page = browser.sign_in(ANA, PASSWORD).assert_status(200);
    assert_eq!((page.path.as_str(), page.heading().as_str()), ("/login/2fa", "Set up an authenticator app"));
    assert_eq!(browser.get("/account").path, "/login?return_to=%2Faccount");
    let page = browser.submit(&page, "/login/2fa", &[("begin", "yes")]).assert_status(200);
    let seed = one_time::Seed::of(&page);
    browser.submit(&page, "/login/2fa", &[("code", "123456")]).assert_status(422);
    let page = browser.submit(&page, "/login/2fa", &[("code", &seed.code(&app))]).assert_status(200);
    assert_eq!(page.heading(), "Keep your recovery codes");
    assert_eq!(page.texts(".codes code").len(), 10);
    assert_eq!(browser.get("/account").heading(), "Your account");

    app.clock.advance(Duration::from_secs(30));
    assert_eq!(app.browser().sign_in(ANA, PASSWORD).heading(), "Enter your code");
}

#[test]
fn what_was_entered_survives_the_second_factor_too() {
    let app = app_with_ana(&[]);
    let browser = app.browser_of(ANA);
    let seed = one_time::enrol(&app, &browser).0;
    let account = browser.get("/account");
    app.clock.advance(Duration::from_secs(2 * 3_600));
    let page = browser.submit(&account, "/account/profile", &[("name", "Ana of old")]).assert_status(401);
    let page = browser.submit(&page, "/login", &[("email", ANA), ("password", PASSWORD)]).assert_status(200);
    assert_eq!(page.heading(), "Enter your code");
    let page = browser.submit(&page, "/login/2fa", &[("code", &seed.code(&app))]).assert_status(200);
    assert_eq!(page.heading(), "Go on where you were");
    let page = browser.submit(&page, "/account/profile", &[]).assert_status(200);
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Ana of old"));
}

crate::support::postgres::on_both_databases! {
    sign_ins_and_failures_stand_in_the_audit
    a_code_is_asked_for_after_the_password_and_works_once
    of_many_with_the_same_code_one_comes_in
    a_recovery_code_lets_in_once
}
