//! What is refused is refused on a page to people and in JSON to programs, whichever part of the server refuses it.

use std::sync::mpsc::channel;
use std::thread;

use brevet::db::DbError;
use brevet::db::developers::Role;
use diesel::connection::SimpleConnection;

use crate::support::browser::Browser;
use crate::support::http::{self, Answer};
use crate::support::{PASSWORD, TestApp};

const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// A page with a heading, a request id, and the headers that every page has.
fn assert_page(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{what}");
    assert!(answer.body.contains("<h1"), "{what}: {}", answer.body);
    assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{what}");
    assert_ne!(answer.header("x-request-id"), "", "{what}");
}

fn assert_json(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.body);
    let content_type = answer.header("content-type");
    assert!(["application/json", "application/problem+json"].contains(&content_type), "{what}: {content_type}");
    assert_ne!(answer.error(), "", "{what}");
}

fn send(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
    http::send(method, &format!("{}{path}", app.url), headers, body.map(str::as_bytes))
}

/// The body of a form that is filled in.
fn form(browser: &Browser, path: &str, action: &str, fields: &[(&str, &str)]) -> String {
    browser.get(path).assert_status(200).filled_form(action, fields).2
}

#[test]
fn an_address_or_method_that_is_not_there_is_said_to_each_in_its_way() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    for (method, path, status, allow) in [
        ("GET", "/nowhere", 404, ""),
        ("GET", "/apps/x/y/z", 404, ""),
        ("DELETE", "/apps", 405, "GET, HEAD, POST"),
        ("PUT", "/", 405, "GET, HEAD"),
        ("POST", "/apps/x/usage", 405, "GET, HEAD"),
        ("GET", "/logout", 405, "POST"),
        ("PATCH", "/login", 405, "GET, HEAD, POST"),
        ("OPTIONS", "/docs/errors", 405, "GET, HEAD"),
    ] {
        let what = format!("{method} {path}");
        let stranger = send(&app, method, path, &[PAGE], None);
        assert_page(&stranger, status, &what);
        assert_eq!(stranger.header("allow"), allow, "{what}");
        let member = browser.send(method, path, &[], None);
        assert_page(&member, status, &what);
        assert!(member.body.contains("ana@example.com"), "{what}: the page knows who is signed in");
        for accept in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
            let program = send(&app, method, path, accept, None);
            assert_json(&program, status, &what);
            assert_eq!(program.header("allow"), allow, "{what}");
        }
    }
    // What programs ask for is answered to programs, whatever they accept.
    for (method, path, status) in [
        ("GET", "/connect/token", 405),
        ("DELETE", "/connect/introspect", 405),
        ("GET", "/connect/nothing", 404),
        ("POST", "/.well-known/jwks.json", 405),
        ("GET", "/.well-known/nothing", 404),
        ("DELETE", "/api/v1/apps", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/server/jwt", 405),
        ("GET", "/Server/jwt", 405),
        ("GET", "/static/nothing.css", 404),
    ] {
        assert_json(&send(&app, method, path, &[PAGE], None), status, &format!("{method} {path}"));
    }
}

#[test]
fn an_issuer_with_a_path_tells_people_from_programs_below_it() {
    let app = TestApp::with(&[("issuer", "http://127.0.0.1:8080/id")]);
    for path in ["/id/logout", "/logout"] {
        assert_page(&send(&app, "GET", path, &[PAGE], None), 405, path);
    }
    for path in ["/id/connect/token", "/connect/token", "/id/api/v1/apps/x/revoke-tokens"] {
        assert_json(&send(&app, "GET", path, &[PAGE], None), 405, path);
    }
}

#[test]
fn a_body_that_is_too_large_or_of_another_type_is_said_to_each_in_its_way() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let large = "x".repeat(64 * 1024 + 1);
    let manager = app.create_app(&["apps:write"]);
    let authorization = format!("Bearer {}", app.token(&manager));
    for path in ["/apps", "/login", "/team/invitations"] {
        assert_page(&browser.send("POST", path, &[], Some(&large)), 413, path);
        let json = [PAGE, ("content-type", "application/json")];
        assert_page(&send(&app, "POST", path, &json, Some("{}")), 415, path);
    }
    assert_json(&app.token_request(&[PAGE], &large), 413, "the token endpoint");
    let json = [PAGE, ("authorization", &authorization), ("content-type", "application/json")];
    assert_json(&send(&app, "POST", "/api/v1/apps", &json, Some(&large)), 413, "the management API");
    let text = [PAGE, ("authorization", &authorization), ("content-type", "text/plain")];
    assert_json(&send(&app, "POST", "/api/v1/apps", &text, Some("{}")), 415, "the management API");
}

#[test]
fn who_comes_too_often_is_told_when_to_come_again() {
    let app = TestApp::with(&[("throttle-failures", "1/min"), ("signup", "open")]);
    let browser = app.browser();
    let fields = [("email", "new@example.com"), ("password", PASSWORD), ("organisation", "New")];
    let body = form(&browser, "/signup", "/signup", &fields);
    browser.send("POST", "/signup", &[], Some(&body)).assert_status(303);
    let refused = browser.send("POST", "/signup", &[], Some(&body));
    assert_page(&refused, 429, "sign-up");
    assert_ne!(refused.header("retry-after"), "");
    let credentials = app.create_app(&["billing:read"]);
    let wrong = format!("grant_type=client_credentials&client_id={}&client_secret=wrong", credentials.client_id);
    app.token_request(&[PAGE], &wrong).assert_status(401);
    let refused = app.token_request(&[PAGE], &wrong);
    assert_json(&refused, 429, "the token endpoint");
    assert_ne!(refused.header("retry-after"), "");
}

#[test]
fn a_fault_of_the_server_is_said_to_each_in_its_way_and_tells_nothing_of_it() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let manager = app.create_app(&["apps:read"]);
    let token = app.token(&manager);
    let broken = |conn: &mut brevet::db::AnyConnection| -> Result<(), DbError> {
        Ok(conn.batch_execute("ALTER TABLE apps RENAME TO away")?)
    };
    app.management.database().write(broken).unwrap();
    let page = browser.send("GET", "/apps", &[], None);
    assert_page(&page, 500, "a page");
    let answer = app.get_with_token("/api/v1/apps", &token);
    assert_json(&answer, 500, "the management API");
    for body in [&page.body, &answer.body] {
        assert!(!body.contains("no such table") && !body.contains("SELECT"), "{body}");
    }
}

#[test]
fn a_database_that_takes_no_change_is_said_to_each_in_its_way() {
    let app = TestApp::with(&[("database-timeout", "1s")]);
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let body = form(&browser, "/team", "/team/name", &[("new-name", "Other")]);
    let manager = app.create_app(&["apps:write"]);
    let authorization = format!("Bearer {}", app.token(&manager));
    let (begun, has_begun) = channel();
    let (end, ended) = channel::<()>();
    let database = app.management.database().clone();
    let busy = thread::spawn(move || {
        let hold = move |_: &mut brevet::db::AnyConnection| -> Result<(), DbError> {
            begun.send(()).unwrap();
            let _let_go = ended.recv();
            Ok(())
        };
        database.write(hold).unwrap();
    });
    has_begun.recv().unwrap();
    let page = browser.send("POST", "/team/name", &[], Some(&body));
    let json = [PAGE, ("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = send(&app, "POST", "/api/v1/apps", &json, Some("{\"name\":\"x\"}"));
    drop(end);
    busy.join().unwrap();
    assert_page(&page, 503, "a page");
    assert_json(&answer, 503, "the management API");
    for answer in [&page, &answer] {
        assert_ne!(answer.header("retry-after"), "");
    }
}
