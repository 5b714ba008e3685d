//! The first start: a link, one form, and a token.

use std::thread;
use std::time::Duration;

use brevet::db::developers::Role;
use brevet::service::{people, setup};

use crate::support::browser::{Browser, Page};
use crate::support::process::{Server, brevet, data_directory};
use crate::support::{PASSWORD, TestApp, postgres};

const ISSUER: &str = "http://127.0.0.1:8080";

fn fields(email: &str) -> [(&str, &str); 3] {
    [("email", email), ("password", PASSWORD), ("organisation", "Acme Ltd")]
}

/// The path of a new setup link.
fn link(app: &TestApp) -> String {
    setup::make_link(&app.management).unwrap().url.reveal().trim_start_matches(ISSUER).to_owned()
}

/// The form at `path`, filled in and sent.
fn set_up(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(path).assert_status(200);
    browser.submit(&page, path, fields)
}

fn assert_dead(page: &Page) {
    assert_eq!((page.status, page.heading().as_str()), (410, "This link does not work"), "{}", page.text());
}

postgres::on_both_databases! {
    one_link_and_one_form_lead_to_a_token
    a_link_works_once_also_for_many_at_once
}

fn one_link_and_one_form_lead_to_a_token(settings: &[(&str, &str)]) {
    let app = TestApp::empty(settings);
    let (browser, path) = (app.browser(), link(&app));
    let form = browser.get(&path).assert_status(200);
    assert_eq!(form.header("referrer-policy"), "no-referrer");
    let asked = form.texts("form .field label, form .choice label");
    assert!(asked.len() <= 5, "{asked:?}");

    let page = browser.submit(&form, &path, &fields("Ana@Example.com")).assert_status(200);
    assert_eq!((page.heading().as_str(), page.header("cache-control")), ("Your server is ready", "no-store"));
    let value = |id: &str| page.attribute(id, "value").unwrap();
    let (sid, key) = (value("#sid"), value("#key"));
    assert!(page.texts("#token-command")[0].contains(&format!("{ISSUER}/connect/token -u {sid}:{key}")));
    let token = format!("grant_type=client_credentials&client_id={sid}&client_secret={key}");
    app.token_request(&[], &token).assert_status(200);

    let home = browser.get("/").assert_status(200);
    assert!(home.body.contains("ana@example.com") && home.body.contains("/admin/users"), "signed in as operator");
    assert!(!home.body.contains(&key));
    let ana = people::find_by_email(&app.management, "ana@example.com").unwrap();
    assert!(ana.is_operator && ana.email_verified_at.is_some());
    let belongings = people::show(&app.management, ana.id).unwrap().belongings;
    assert_eq!((belongings[0].slug.as_str(), belongings[0].role), ("acme-ltd", Role::Owner));
    assert_dead(&app.browser().get(&path));
}

fn a_link_works_once_also_for_many_at_once(settings: &[(&str, &str)]) {
    let app = TestApp::empty(settings);
    let path = link(&app);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = |n: usize| {
            let (app, path) = (&app, &path);
            scope.spawn(move || {
                let browser = app.browser();
                let page = browser.get(path).assert_status(200);
                let email = format!("person{n}@example.com");
                browser.submit(&page, path, &fields(&email)).status
            })
        };
        let all: Vec<_> = (0..4).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 410].contains(status)), "{statuses:?}");
    assert_eq!(people::search(&app.management, "person", None).unwrap().0.len(), 1);
}

#[test]
fn a_link_that_does_not_work_says_how_to_make_another() {
    let app = TestApp::empty(&[]);
    let path = link(&app);
    app.clock.advance(Duration::from_secs(30 * 60));
    let used = link(&app);
    set_up(&app.browser(), &used, &fields("ana@example.com"));
    for dead in [path, used, "/setup/x".to_owned(), format!("/setup/{}", "A".repeat(43))] {
        let page = app.browser().get(&dead);
        assert_dead(&page);
        assert_eq!(page.attribute("#command", "value").as_deref(), Some("brevet setup-link"), "{dead}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason_and_the_link_still_works() {
    let app = TestApp::empty(&[]);
    let (browser, path) = (app.browser(), link(&app));
    for (field, value, reason) in [
        ("email", "ana", "not an e-mail address"),
        ("password", "short", "at least 12 characters"),
        ("password", "ana@example.com!", "must not hold the e-mail address"),
        ("organisation", "", "1 to 100 characters"),
    ] {
        let mut given = fields("ana@example.com");
        given.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        let page = set_up(&browser, &path, &given);
        assert_eq!(page.status, 422, "{field}={value}");
        assert!(page.faults()[0].contains(reason), "{:?}", page.faults());
        assert_eq!(page.attribute("#password", "value").as_deref(), Some(""), "secrets are not put back");
    }
    set_up(&browser, &path, &fields("ana@example.com")).assert_status(200);
}

#[test]
fn a_locked_out_operator_comes_back_without_second_factor_and_old_sessions() {
    let app = TestApp::new();
    let id = app.create_person("acme", "ana@example.com", Role::Owner);
    people::set_operator(&app.management, id, true).unwrap();
    let elsewhere = app.browser_of("ana@example.com");
    let (browser, path) = (app.browser(), link(&app));
    let form = browser.get(&path).without("demo", "yes");
    let new = [("email", "ana@example.com"), ("password", "nine purple umbrellas"), ("organisation", "Ignored")];
    let page = browser.submit(&form, &path, &new).assert_status(200);
    assert_eq!(page.texts(".done"), ["The server is set up. You are signed in and run it."]);
    assert!(elsewhere.get("/team").path.starts_with("/login"), "the old session is dead");
    assert_eq!(people::show(&app.management, id).unwrap().belongings.len(), 1, "no further organisation");
    assert_eq!(app.browser().sign_in("ana@example.com", PASSWORD).status, 422, "the old password is dead");
}

#[test]
fn the_banner_has_a_link_as_long_as_nobody_runs_the_server() {
    let data = data_directory();
    let banner = Server::start(data.path()).banner();
    let link = banner.lines().find(|line| line.contains("/setup/")).unwrap_or_else(|| panic!("{banner}")).trim();
    assert!(banner.contains("brevet setup-link"), "{banner}");
    let (_, secret) = link.rsplit_once('/').unwrap();
    let server = Server::start(data.path());
    assert!(!server.log().contains(secret));
    let page = Browser::new(&server.url).get(&format!("/setup/{secret}"));
    assert_eq!(page.heading(), "Set up this server");

    let password = data.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let file = password.to_str().unwrap();
    let create = ["user", "create", "--org=acme", "--email=ana@example.com", "--operator", "--password-file", file];
    assert_eq!(brevet(data.path()).args(&create).json()["operator"], true);
    assert_dead(&Browser::new(&server.url).get(&format!("/setup/{secret}")));
    assert!(!Server::start(data.path()).banner().contains("/setup/"));

    let made = brevet(data.path()).args(&["setup-link"]).json();
    let path = made["url"].as_str().unwrap().trim_start_matches(ISSUER).to_owned();
    let page = Browser::new(&server.url).get(&path);
    assert_eq!(page.heading(), "Set up this server", "also for a locked-out operator");
    assert!(page.texts(".warning")[0].contains(server.address()), "another address than the issuer's is noticed");
    let refused = brevet(data.path()).args(&["user", "set-operator", "ana@example.com", "--off"]).run();
    assert!(refused.stderr.contains("nobody else runs the server"), "{}", refused.stderr);
}

#[test]
fn the_demo_has_an_operator_and_lets_everybody_sign_up() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_as_issuer(data.path(), &["--demo"]);
    let banner = server.banner();
    assert!(!banner.contains("/setup/"), "{banner}");
    let line = banner.lines().find(|line| line.contains("demo@example.com")).unwrap();
    let password = line.rsplit(' ').next().unwrap();
    let browser = Browser::new(&server.url);
    let page = browser.sign_in("demo@example.com", password).assert_status(200);
    assert!(page.body.contains("/admin/users"), "{}", page.text());
    assert_eq!(Browser::new(&server.url).get("/signup").status, 200);
}
