//! What holds for every page of the dashboard.

use brevet::db::developers::Role;

use crate::support::{PASSWORD, TestApp};

#[test]
fn somebody_signs_in_and_out_and_the_session_is_dead_afterwards() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser();
    let page = browser.sign_in("ana@example.com", PASSWORD).assert_status(200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.texts(".account").contains(&"ana@example.com".to_owned()), "{}", page.body);
    let session = browser.cookie("brevet-session").unwrap();

    let page = browser.submit(&page, "/logout", &[]).assert_status(200);

    assert_eq!(
        (page.path.as_str(), page.texts(".done")),
        ("/login?done=signed-out", vec!["You are signed out.".to_owned()])
    );
    assert_eq!(browser.cookie("brevet-session"), None);
    browser.set_cookie("brevet-session", &session);
    assert!(browser.get("/").texts(".account").is_empty(), "the old cookie still opens something");
}

#[test]
fn a_wrong_password_is_refused_and_the_address_is_kept() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let page = app.browser().sign_in("ana@example.com", "something else").assert_status(422);
    assert_eq!(page.faults(), ["The e-mail address or the password is not right."]);
    assert_eq!(page.attribute("#email", "value").as_deref(), Some("ana@example.com"));
    assert_eq!(page.attribute("#password", "value").as_deref(), Some(""));
}

#[test]
fn a_form_without_its_token_or_from_another_site_changes_nothing() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let page = browser.get("/");
    let (_, _, body) = page.filled_form("/logout", &[]);
    let of_other_visit = app.browser().get("/login").filled_form("/login", &[]).2;
    let cases: [(&str, &str, &[(&str, &str)]); 5] = [
        ("no token", "", &[]),
        ("another token", "csrf=AAAA", &[]),
        ("the token of another visit", &of_other_visit, &[]),
        ("from another site", &body, &[("sec-fetch-site", "cross-site")]),
        ("from another origin", &body, &[("origin", "https://evil.example")]),
    ];
    for (case, body, headers) in cases {
        let answer = browser.send("POST", "/logout", headers, Some(body));
        assert_eq!(answer.status, 403, "{case}");
        assert!(browser.get("/").texts(".account").len() == 1, "{case} ended the session");
    }
    browser.submit(&page, "/logout", &[]).assert_status(200);
}

#[test]
fn sessions_end_by_idleness_and_by_age() {
    let app = TestApp::with(&[("session-ttl", "3h"), ("session-idle", "1h")]);
    app.create_person("acme", "ana@example.com", Role::Owner);
    let is_in = |browser: &crate::support::browser::Browser| !browser.get("/").texts(".account").is_empty();
    let minutes = |count: u64| std::time::Duration::from_secs(60 * count);

    let idle = app.browser_of("ana@example.com");
    app.clock.advance(minutes(59));
    assert!(is_in(&idle));
    app.clock.advance(minutes(60));
    assert!(!is_in(&idle), "an idle session lives");

    let busy = app.browser_of("ana@example.com");
    for _ in 0..4 {
        app.clock.advance(minutes(40));
        assert!(is_in(&busy));
    }
    app.clock.advance(minutes(20));
    assert!(!is_in(&busy), "an old session lives");
}

#[test]
fn pages_come_with_the_headers_that_keep_them_safe() {
    let app = TestApp::new();
    for path in ["/", "/login", "/docs/errors", "/nowhere"] {
        let page = app.browser().get(path);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[test]
fn a_session_of_the_visitors_own_making_is_not_adopted() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let planted = browser.cookie("brevet-session").unwrap();
    let other = app.browser();
    other.set_cookie("brevet-session", "planted");
    other.sign_in("ana@example.com", PASSWORD).assert_status(200);
    let fresh = other.cookie("brevet-session").unwrap();
    assert!(fresh != planted && fresh != "planted");
}

#[test]
fn what_was_entered_is_kept_when_the_session_ended_but_only_from_our_own_page() {
    let app = TestApp::with(&[("session-idle", "1h")]);
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let token = browser.get("/").attribute("input[name=csrf]", "value").unwrap();
    app.clock.advance(std::time::Duration::from_secs(2 * 3_600));
    let body = format!("csrf={token}&name=Invoice+sync&scope=a&password=secret");

    let forged = browser.send("POST", "/logout?x=1", &[], Some("name=evil&csrf=AAAA"));
    assert_eq!((forged.status.as_u16(), forged.header("location")), (303, "/login?done=session-over"));
    let foreign = browser.send("POST", "/logout?x=1", &[("sec-fetch-site", "cross-site")], Some(&body));
    assert_eq!(foreign.status, 303);

    let asked = browser.send("POST", "/logout?x=1", &[], Some(&body)).assert_status(401);
    let asked = crate::support::browser::Page {
        status: 401,
        path: "/logout".to_owned(),
        headers: asked.headers,
        body: asked.body,
    };
    let resumed =
        browser.submit(&asked, "/login", &[("email", "ana@example.com"), ("password", PASSWORD)]).assert_status(200);
    let (target, _, body) = resumed.filled_form("/logout", &[]);
    assert_eq!(target, "/logout?x=1");
    assert!(body.contains("name=Invoice+sync&scope=a") && !body.contains("password"), "{body}");
    assert_ne!(resumed.attribute("main input[name=csrf]", "value").unwrap(), token);
    browser.submit(&resumed, "/logout", &[]).assert_status(200);
}
