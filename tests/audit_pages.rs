//! The audit log for people: found, looked at, taken along.

use brevet::db::developers::Role;
use brevet::db::{AnyConnection, DbError, audit};
use brevet::service::apps::{self, AppUpdate, NewApp};
use brevet::service::organisations;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::{START, TestApp, new_app};

type Settings<'a> = &'a [(&'a str, &'a str)];

crate::support::postgres::on_both_databases! {
    deeds_are_found_by_who_what_to_what_from_where_and_when
    a_long_log_is_read_page_by_page_in_both_directions
    the_names_of_those_concerned_are_shown
}

fn person(app: &TestApp, role: Role) -> Browser {
    app.create_person("acme", "ana@example.com", role);
    app.browser_of("ana@example.com")
}

fn named(name: &str) -> NewApp {
    NewApp { name: name.to_owned(), ..new_app(&[]) }
}

/// A deed in `acme` past all walks.
fn write(app: &TestApp, action: &str, target: &str, address: Option<&str>, at: brevet::clock::Timestamp) {
    let organisation = organisations::list(&app.management).unwrap().into_iter().find(|o| o.slug == "acme").unwrap();
    let entry = audit::AuditEntry {
        at,
        organisation_id: Some(organisation.id),
        actor: "cli:root".to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail: json!({}),
        address: address.map(str::to_owned),
    };
    app.management.database().write(move |conn| audit::record(conn, &entry)).unwrap();
}

fn actions(page: &Page) -> Vec<String> {
    page.texts("tbody td:nth-of-type(2)")
}

fn deeds_are_found_by_who_what_to_what_from_where_and_when(settings: Settings) {
    let app = TestApp::with(settings);
    let browser = person(&app, Role::Viewer);
    let day = std::time::Duration::from_secs(86_400);
    write(&app, "demo.one", "t-one", Some("10.0.0.7"), START);
    write(&app, "demo.two", "t-two", Some("2001:db8::1"), START + day);
    write(&app, "demonstration", "t-three", None, START + day * 2);
    let found = |query: &str| actions(&browser.get(&format!("/audit?{query}")).assert_status(200));
    assert_eq!(found("action=demo.two"), ["demo.two"]);
    assert_eq!(found("action=demo"), ["demo.two", "demo.one"], "a family, newest first");
    assert_eq!(found("target=t-one"), ["demo.one"]);
    assert_eq!(found("address=2001%3Adb8%3A%3A1"), ["demo.two"]);
    assert_eq!(found("action=demo&to=2026-11-22"), ["demo.one"], "a day is whole");
    assert_eq!(found("from=2026-11-23&to=2026-11-23"), ["demo.two"]);
    assert_eq!(found("actor=cli:root&from=2026-11-23"), ["demonstration", "demo.two"]);
    assert!(found("actor=ana@example.com&action=demo").is_empty());
    let page = browser.get("/audit?target=nothing");
    assert!(page.text().contains("Nothing matches.") && page.links().contains(&"/audit".to_owned()));
    for wrong in ["from=yesterday", "to=2026-13-40", &format!("actor={}", "x".repeat(301)), "target=%00", "target=%ff"]
    {
        let page = browser.get(&format!("/audit?{wrong}")).assert_status(422);
        assert_eq!(page.faults().len(), 1, "{wrong}");
    }
}

fn a_long_log_is_read_page_by_page_in_both_directions(settings: Settings) {
    let app = TestApp::with(settings);
    let browser = person(&app, Role::Viewer);
    for number in 0..120 {
        write(&app, "demo.step", &format!("{number:03}"), None, START);
    }
    let targets = |page: &Page| page.texts("tbody td:nth-of-type(3)");
    let follow = |page: &Page, name: &str| {
        let href =
            page.links().into_iter().zip(page.texts("a[href]")).find(|(_, text)| text == name).map(|(href, _)| href);
        href.map(|href| browser.get(&href).assert_status(200))
    };
    let first = browser.get("/audit?action=demo");
    let second = follow(&first, "Older").unwrap();
    let third = follow(&second, "Older").unwrap();
    assert_eq!((targets(&first).len(), targets(&second).len(), targets(&third).len()), (50, 50, 20));
    assert_eq!((targets(&first)[0].as_str(), targets(&third)[19].as_str()), ("119", "000"));
    assert!(follow(&third, "Older").is_none() && follow(&first, "Newer").is_none());
    let back = follow(&third, "Newer").unwrap();
    assert_eq!(targets(&back), targets(&second));
    let start = follow(&back, "Newer").unwrap();
    assert_eq!(targets(&start), targets(&first));
    assert!(follow(&start, "Newer").is_none());
}

fn the_names_of_those_concerned_are_shown(settings: Settings) {
    let app = TestApp::with(settings);
    let browser = person(&app, Role::Developer);
    let client = app.create_app_with("acme", named("invoice sync"));
    browser.submit(&browser.get("/"), "/checklist/checks", &[]).assert_status(200);
    let page = browser.get("/audit?actor=Ana%40example.com&action=organisation");
    assert_eq!(page.texts("tbody td:nth-of-type(1)"), ["ana@example.com"]);
    let page = browser.get(&format!("/audit?target={}", client.client_id));
    assert!(page.text().contains("app invoice sync"), "{}", page.text());
    assert!(page.links().contains(&format!("/apps/{}", client.client_id)));
    apps::delete(&app.management, client.id()).unwrap();
    let page = browser.get(&format!("/audit?target={}", client.client_id));
    assert!(!page.links().contains(&format!("/apps/{}", client.client_id)), "what is gone is not linked");
    assert!(page.text().contains(&client.client_id));
}

#[test]
fn a_person_cannot_have_many_exports_made_at_once() {
    let app = TestApp::new();
    person(&app, Role::Viewer);
    for number in 0..2_000 {
        write(&app, "demo.step", &number.to_string(), None, START);
    }
    let answers: Vec<(u16, bool)> = std::thread::scope(|scope| {
        let browsers: Vec<Browser> = (0..5).map(|_| app.browser_of("ana@example.com")).collect();
        let ask = |browser: Browser| {
            (0..4)
                .map(|_| browser.send("GET", "/audit/export.jsonl", &[], None))
                .map(|answer| (answer.status.as_u16(), answer.header("retry-after") == "5"))
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = browsers.into_iter().map(|browser| scope.spawn(move || ask(browser))).collect();
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| [(200, false), (429, true)].contains(answer)), "{answers:?}");
    assert!(answers.contains(&(200, false)) && answers.contains(&(429, true)), "{answers:?}");
    app.browser_of("ana@example.com").get("/audit/export.csv").assert_status(200);
}

#[test]
fn a_deed_shows_what_was_there_before() {
    let app = TestApp::new();
    let browser = person(&app, Role::Viewer);
    let client = app.create_app_with("acme", named("old name"));
    let update = AppUpdate {
        name: Some("new name".to_owned()),
        add_scopes: vec!["billing:read".to_owned()],
        ..AppUpdate::default()
    };
    apps::update(&app.management, client.id(), update).unwrap();
    let list = browser.get(&format!("/audit?target={}&action=app.update", client.client_id));
    let href = list.links().into_iter().find(|href| href.starts_with("/audit/") && !href.contains("export")).unwrap();
    let page = browser.get(&href).assert_status(200);
    let rows = page.texts("tbody tr");
    assert!(rows.contains(&"nameold namenew name".to_owned()), "{rows:?}");
    assert!(rows.iter().any(|row| row.starts_with("addednot knownbilling:read")), "{rows:?}");
}

#[test]
fn an_export_holds_what_the_filter_finds_and_nothing_that_runs() {
    let app = TestApp::new();
    let browser = person(&app, Role::Viewer);
    app.create_app_with("acme", named("=HYPERLINK(\"http://evil\",\"x\")"));
    write(&app, "demo.formula", "=1+1", Some("@SUM(A1)"), START);
    let get = |path: &str| browser.send("GET", path, &[], None).assert_status(200);
    let csv = get("/audit/export.csv?action=demo");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("cache-control"), "no-store");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"audit-acme-2026-11-22.csv\"");
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines.len(), 2, "{}", csv.body);
    assert!(lines[1].contains(",demo.formula,'=1+1,'@SUM(A1),"), "{}", lines[1]);
    let all = get("/audit/export.jsonl");
    let items: Vec<Value> = all.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(items.iter().any(|item| item["target"] == "=1+1"), "JSON needs no guard");
    assert_eq!(items.iter().filter(|item| item["action"] == "app.create").count(), 1);
    assert!(!all.body.contains("bvk_"), "no App Key");
    browser.get("/audit/export.xlsx").assert_status(404);
    browser.get("/audit/export.csv?from=x").assert_status(400);
}

#[test]
fn another_organisations_deeds_and_those_of_the_server_are_not_seen() {
    let app = TestApp::new();
    app.create_organisation("globex");
    let browser = person(&app, Role::Owner);
    let theirs = app.create_app_with("globex", named("secret plan"));
    for path in ["/audit", "/audit/export.csv", "/audit/export.jsonl", &format!("/audit?target={}", theirs.client_id)] {
        let page = browser.get(path).assert_status(200);
        assert!(!page.body.contains("secret plan"), "{path}");
        assert!(!page.body.contains("key.generate"), "{path}");
    }
    let id = {
        let found = brevet::service::audit::list(&app.management, "globex", &Default::default(), None, 1).unwrap();
        found[0].id
    };
    browser.get(&format!("/audit/{id}")).assert_status(404);
    browser.get("/audit?log=server").assert_status(403);
    browser.get(&format!("/audit/{id}?log=server")).assert_status(403);
    browser.get("/audit/export.csv?log=server").assert_status(403);
    assert!(app.browser().get("/audit").path.starts_with("/login?return_to=%2Faudit"));
}

#[test]
fn operators_see_what_concerns_the_whole_server() {
    let app = TestApp::new();
    let browser = person(&app, Role::Viewer);
    let run = |conn: &mut AnyConnection| -> Result<(), DbError> {
        Ok(conn.batch_execute("UPDATE developers SET is_operator = 1")?)
    };
    app.management.database().write(run).unwrap();
    let page = browser.get("/audit?log=server").assert_status(200);
    assert!(actions(&page).contains(&"key.generate".to_owned()), "{}", page.text());
    assert!(page.links().contains(&"/admin/keys".to_owned()));
    let href =
        page.links().into_iter().find(|href| href.starts_with("/audit/") && href.ends_with("?log=server")).unwrap();
    browser.get(&href).assert_status(200);
    assert!(!actions(&browser.get("/audit")).contains(&"key.generate".to_owned()));
}

#[test]
fn a_place_that_is_none_is_refused_with_the_parameter() {
    let app = TestApp::new();
    let browser = person(&app, Role::Viewer);
    let id = uuid::Uuid::nil();
    for (query, said) in [
        ("before=1".to_owned(), "The parameter before"),
        ("after=%27".to_owned(), "The parameter after"),
        (format!("before={}", id.simple()), "The parameter before"),
        (format!("before={id}&after={id}"), "both before and after"),
        (format!("before={id}&before={id}"), "twice"),
    ] {
        let page = browser.get(&format!("/audit?{query}")).assert_status(400);
        assert!(page.text().contains(said), "{query}: {}", page.text());
        browser.get(&format!("/audit/export.csv?{query}")).assert_status(400);
    }
    browser.get(&format!("/audit?before={id}&after=")).assert_status(200);
}
