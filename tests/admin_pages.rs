//! Pages for those who run the server: signing keys, the system.

use std::time::Duration;

use brevet::db::developers::Role;
use brevet::db::{AnyConnection, DbError, audit};
use diesel::connection::SimpleConnection;

use crate::support::browser::{Browser, Page};
use crate::support::{PASSWORD, TestApp};

const ADMIN_PAGES: &[&str] = &["/admin/keys", "/admin/system"];

/// Somebody who runs the server of that test.
fn operator(app: &TestApp) -> Browser {
    app.create_person("acme", "root@example.com", Role::Owner);
    let run = |conn: &mut AnyConnection| -> Result<(), DbError> {
        Ok(conn.batch_execute("UPDATE developers SET is_operator = 1")?)
    };
    app.management.database().write(run).unwrap();
    app.browser_of("root@example.com")
}

fn states(page: &Page) -> Vec<String> {
    page.texts("tbody .state")
}

fn kids(page: &Page) -> Vec<String> {
    page.texts("tbody th code")
}

fn published(app: &TestApp) -> usize {
    app.get("/.well-known/jwks.json", &[]).json()["keys"].as_array().unwrap().len()
}

#[test]
fn only_those_who_run_the_server_come_in() {
    let app = TestApp::new();
    app.create_person("acme", "owner@example.com", Role::Owner);
    let owner = app.browser_of("owner@example.com");
    for page in ADMIN_PAGES {
        owner.get(page).assert_status(403);
        assert!(app.browser().get(page).path.starts_with("/login"), "{page}");
        assert!(!owner.get("/").links().contains(&(*page).to_owned()));
    }
    let kid = app.authority.directory.ring().signing_kid(brevet::clock::Clock::now(&*app.clock)).unwrap();
    owner.get(&format!("/admin/keys/{kid}/revoke")).assert_status(403);
    for path in ["/admin/keys/rotate", "/admin/keys/generate", &format!("/admin/keys/{kid}/revoke")] {
        assert_eq!(owner.send("POST", path, &[], Some("")).status, 403, "{path}");
    }
    let operator = operator(&app);
    for page in ADMIN_PAGES {
        assert!(operator.get("/").links().contains(&(*page).to_owned()));
        operator.get(page).assert_status(200);
    }
}

#[test]
fn the_next_key_is_published_in_advance_and_then_rotated_in() {
    let app = TestApp::new();
    let browser = operator(&app);
    let page = browser.get("/admin/keys").assert_status(200);
    assert_eq!(states(&page), ["signing"]);
    assert!(page.text().contains("Only one key is there"), "advice to make the next one");
    assert_eq!(page.texts(".lane svg title").len(), 1);
    assert!(page.links().iter().any(|href| href.ends_with("/.well-known/jwks.json")));

    let page = browser.submit(&page, "/admin/keys/generate", &[]).assert_status(200);
    assert_eq!(page.texts(".done").len(), 1);
    assert_eq!(states(&page), ["signing", "next"]);
    app.catch_up();
    assert_eq!(published(&app), 2);
    let (target, _, body) = browser.get("/admin/keys").filled_form("/admin/keys/rotate", &[]);
    let again = body.replace("rotate", "generate");
    assert_eq!(browser.send("POST", &target.replace("rotate", "generate"), &[], Some(&again)).status, 409);

    let page = browser.submit(&page, "/admin/keys/rotate", &[]).assert_status(200);
    assert_eq!(states(&page), ["signing", "next"], "nobody refuses a valid token: it waits until all have seen it");
    let next = kids(&page)[1].clone();
    app.clock.advance(Duration::from_secs(86_400 + 10));
    let page = app.browser_of("root@example.com").get("/admin/keys");
    assert_eq!(states(&page), ["retiring", "signing"]);
    assert_eq!(kids(&page)[1], next);
    let deeds = app.management.database().read(|conn| audit::list_actions(conn, &next)).unwrap();
    assert!(deeds.iter().all(|(_, actor)| actor.starts_with("user:")), "{deeds:?}");
}

#[test]
fn a_key_is_revoked_only_when_its_name_is_typed_by_somebody_who_proved_who_it_is() {
    let app = TestApp::new();
    let browser = operator(&app);
    let client = app.create_app(&[]);
    let token = app.token(&client);
    let kid = kids(&browser.get("/admin/keys"))[0].clone();
    let address = format!("/admin/keys/{kid}/revoke");
    let page = browser.get(&address).assert_status(200);
    for said in
        ["refused by this server within a second", "PyJWT", "up to 20 minutes", "up to 12 hours", "Another key is made"]
    {
        assert!(page.text().contains(said), "{said}: {}", page.text());
    }
    let typed: String = kid.chars().take(8).collect();
    for wrong in ["", "xxxxxxxx", &typed[..7], &kid] {
        let page = browser.submit(&page, &address, &[("confirm-kid", wrong)]).assert_status(422);
        assert_eq!(page.faults().len(), 1, "{wrong}");
    }
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);

    // Eleven minutes later the password is asked for again, and what was typed is not lost.
    app.clock.advance(Duration::from_secs(660));
    let ask = browser.submit(&page, &address, &[("confirm-kid", &typed)]).assert_status(403);
    assert_eq!(ask.heading(), "Confirm that it is you");
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    let done = browser.submit(&ask, &address, &[("confirm-password", PASSWORD)]).assert_status(200);
    assert_eq!(done.path, "/admin/keys?done=signing-key-revoked");
    assert_eq!((states(&done).len(), kids(&done).contains(&kid)), (1, false));
    app.catch_up();
    app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    app.clock.advance(Duration::from_secs(3));
    app.get_with_token("/api/v1/whoami", &app.token(&client)).assert_status(200);
    browser.get(&address).assert_status(404);
}

#[test]
fn revoking_the_next_key_breaks_nothing() {
    let app = TestApp::new();
    let browser = operator(&app);
    let page = browser.submit(&browser.get("/admin/keys"), "/admin/keys/generate", &[]);
    let next = kids(&page)[1].clone();
    let address = format!("/admin/keys/{next}/revoke");
    let page = browser.get(&address).assert_status(200);
    assert!(page.text().contains("It has signed nothing yet"));
    let typed: String = next.chars().take(8).collect();
    let page = browser.submit(&page, &address, &[("confirm-kid", &typed)]).assert_status(200);
    assert_eq!(states(&page), ["signing"]);
    browser.get("/admin/keys/unknown/revoke").assert_status(404);
}

fn the_system_page_shows_what_runs_and_no_secret(settings: &[(&str, &str)]) {
    let app = TestApp::with(settings);
    app.create_app(&[]);
    operator(&app);
    app.clock.advance(Duration::from_secs(7_200));
    let page = app.browser_of("root@example.com").get("/admin/system").assert_status(200);
    let text = page.text();
    assert!(text.contains(&format!("Brevet {}", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("(2 hours)"), "uptime: {text}");
    assert!(text.contains("up to date"));
    assert_eq!(page.texts(".tile")[..3], ["1 organisation", "1 person", "1 app"]);
    assert!(page.texts(".tile")[3].contains("session"));
    let rows = page.texts("tbody tr");
    assert!(rows.contains(&"listen127.0.0.1:0flag --listen".to_owned()), "{rows:?}");
    assert!(rows.contains(&"access-token-lifetime24hdefault".to_owned()), "{rows:?}");
    for secret in ["throwaway", PASSWORD] {
        assert!(!page.body.contains(secret), "a password is on the page");
    }
    let is_postgresql = settings.iter().any(|(key, _)| *key == "database-url");
    assert!(text.contains(if is_postgresql { "PostgreSQL" } else { "brevet.db" }), "{text}");
    if is_postgresql {
        assert!(rows.contains(&"database-url[set]flag --database-url".to_owned()), "{rows:?}");
    }
}

crate::support::postgres::on_both_databases! {
    the_system_page_shows_what_runs_and_no_secret
}
