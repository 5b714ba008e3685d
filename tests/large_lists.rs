//! Lists as long as an organisation may make them: a page stays a page, words find what is meant, and there is an end.

use brevet::db::developers::Role;
use brevet::db::{AnyConnection, DbError};
use brevet::service::apis::{self, NewApi};
use brevet::service::paging::{Found, Search};
use brevet::service::{ServiceError, organisations, people, team};
use diesel::connection::SimpleConnection;
use uuid::Uuid;

use crate::support::browser::{Browser, Page};
use crate::support::{PASSWORD, TestApp, postgres};

/// What fits on a page, with everything around it.
const LARGEST_PAGE: usize = 150_000;

/// A statement past all of Brevet's code.
fn execute(app: &TestApp, statement: String) {
    let run = move |conn: &mut AnyConnection| -> Result<(), DbError> { Ok(conn.batch_execute(&statement)?) };
    app.management.database().write(run).unwrap();
}

/// The id of a row that a statement made.
fn made(kind: u8, number: u32) -> String {
    format!("0197f0a0-000{kind}-7000-8000-{}", 100_000_000_000_u64 + u64::from(number))
}

/// An id in a statement.
fn id(kind: u8) -> String {
    format!("'0197f0a0-000{kind}-7000-8000-' || CAST(100000000000 + i AS TEXT)")
}

fn numbers(to: u32) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) ")
}

fn organisation_id(app: &TestApp, slug: &str) -> Uuid {
    organisations::list(&app.management).unwrap().into_iter().find(|found| found.slug == slug).unwrap().id
}

/// APIs `Service 1` and so on, each with a scope.
fn make_apis(app: &TestApp, count: u32) {
    let (organisation, api) = (organisation_id(app, "acme"), id(1));
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO apis (id, organisation_id, name, identifier, profile, algorithm, created_at) SELECT {api}, \
                 '{organisation}', 'Service ' || CAST(i AS TEXT), 'https://service.example/' || CAST(i AS TEXT), \
                 'rfc9068', 'RS256', 1 FROM n"
            ),
    );
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO api_scopes (api_id, organisation_id, name, description, position) SELECT {api}, \
                 '{organisation}', 's' || CAST(i AS TEXT) || ':read', '', 0 FROM n"
            ),
    );
}

/// People `person1@example.com` and so on, viewers.
fn make_members(app: &TestApp, count: u32) {
    let (organisation, person) = (organisation_id(app, "acme"), id(2));
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO developers (id, email, password_hash, created_at, name) SELECT {person}, 'person' || \
                 CAST(i AS TEXT) || '@example.com', '', 1, 'Person ' || CAST(i AS TEXT) FROM n"
            ),
    );
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO memberships (organisation_id, developer_id, role, created_at) SELECT '{organisation}', \
                 {person}, 'viewer', 1 FROM n"
            ),
    );
}

/// Organisations `zoo-1` and so on, to which a person belongs.
fn make_organisations(app: &TestApp, person: Uuid, count: u32) {
    let organisation = id(3);
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO organisations (id, slug, name, created_at) SELECT {organisation}, 'zoo-' || CAST(i AS TEXT), \
                 'zoo Number ' || CAST(i AS TEXT), 1 FROM n"
            ),
    );
    execute(
        app,
        numbers(count)
            + &format!(
                "INSERT INTO memberships (organisation_id, developer_id, role, created_at) SELECT {organisation}, \
                 '{person}', 'viewer', 1 FROM n"
            ),
    );
}

fn get(browser: &Browser, path: &str) -> Page {
    let page = browser.get(path).assert_status(200);
    assert!(page.body.len() < LARGEST_PAGE, "{path} has {} octets", page.body.len());
    page
}

fn looking_for(words: &str) -> Search {
    Search { words: words.to_owned(), page: 1 }
}

fn is_full<T: std::fmt::Debug>(result: &Result<T, ServiceError>, most: &str) -> bool {
    matches!(result, Err(ServiceError::Conflict(text)) if text.contains(most))
}

postgres::on_both_databases! {
    words_find_in_any_case_and_mean_themselves
    a_full_organisation_takes_nobody_and_a_person_belongs_to_so_many
}

fn words_find_in_any_case_and_mean_themselves(settings: &[(&str, &str)]) {
    let app = TestApp::with(settings);
    let m = &app.management;
    make_apis(&app, 3);
    make_members(&app, 60);
    make_organisations(&app, Uuid::parse_str(&made(2, 1)).unwrap(), 2);
    let acme = organisation_id(&app, "acme");
    for (words, found) in [("", 4), ("SERVICE", 3), (" service 2 ", 1), ("EXAMPLE/3", 1), ("%", 0), ("_", 0), ("\0", 0)]
    {
        assert_eq!(apis::search(m, "acme", &looking_for(words)).unwrap().0.found, found, "{words:?}");
    }
    for (words, found) in [("", 60), ("PERSON1@", 1), ("Person 6", 2), ("%", 0), ("pers_n", 0), ("\0", 0)] {
        let team = team::show_page(m, acme, &looking_for(words), 1).unwrap();
        assert_eq!((team.members.found, team.total), (found, 60), "{words:?}");
    }
    for (words, found) in [("", 3), ("ZOO-", 2), ("number 2", 1), ("\\", 0), ("\0", 0)] {
        assert_eq!(organisations::search(m, &looking_for(words)).unwrap().found, found, "{words:?}");
    }
    let last = team::show_page(m, acme, &Search { page: 99, ..Search::default() }, 1).unwrap().members;
    assert_eq!((last.page, last.pages, last.rows.len()), (2, 2, 10), "behind the last page there is the last one");
    let Found { rows, found, .. } = people::show(m, Uuid::parse_str(&made(2, 1)).unwrap()).unwrap().belongings;
    assert_eq!((rows.len(), found), (3, 3));

    // Among which scopes are chosen: what is ticked, what is named, what is found.
    let named = Uuid::parse_str(&made(1, 2)).unwrap();
    let choices = apis::choose(m, "acme", &["s3:read".to_owned(), "gone".to_owned()], &[named], "nothing").unwrap();
    let names: Vec<&str> = choices.apis.iter().map(|api| api.name.as_str()).collect();
    assert_eq!((&names[..2], names.len(), choices.total), (&["Service 2", "Service 3"][..], 3, 4), "{names:?}");
    assert_eq!(choices.apis[1].scopes[0].name, "s3:read");
}

fn a_full_organisation_takes_nobody_and_a_person_belongs_to_so_many(settings: &[(&str, &str)]) {
    let app = TestApp::with(&[settings, &[("signup", "open")]].concat());
    let m = &app.management;
    let (acme, owner) = (organisation_id(&app, "acme"), app.create_person("acme", "owner@example.com", Role::Owner));
    make_members(&app, 9_998);
    app.create_person("acme", "last@example.com", Role::Viewer);
    let full = team::invite(m, acme, owner, "new@example.com", Role::Viewer);
    assert!(is_full(&full, "10000 members"), "{full:?}");

    make_apis(&app, 9_999);
    let new = |identifier| NewApi {
        organisation: "acme",
        name: "One more",
        identifier,
        scopes: Vec::new(),
        profile: brevet::oauth::TokenProfile::Rfc9068,
        algorithm: brevet::oauth::SigningAlgorithm::Rs256,
        lifetime: None,
    };
    let full = apis::create(m, &new("https://more.example"));
    assert!(is_full(&full, "10000 APIs"), "{full:?}");
    apis::delete(m, "https://billing.example").unwrap();
    apis::create(m, &new("https://more.example")).unwrap();

    make_organisations(&app, owner, 99);
    let browser = app.browser_of("owner@example.com");
    let page = browser.get("/organisations/new");
    let hidden = |name: &str| page.attribute(&format!("main form[method=post] input[name={name}]"), "value").unwrap();
    let body = format!("csrf={}&once={}&organisation=Mine", hidden("csrf"), hidden("once"));
    let refused = browser.send("POST", "/organisations/new", &[], Some(&body)).assert_status(409);
    assert!(refused.body.contains("Nobody belongs to more than 100 organisations"), "{}", refused.body);
}

#[test]
fn every_page_of_a_large_organisation_is_short_and_leads_to_the_others() {
    let app = TestApp::new();
    let owner = app.create_person("acme", "owner@example.com", Role::Owner);
    people::set_operator(&app.management, owner, true).unwrap();
    make_apis(&app, 9_000);
    make_members(&app, 9_000);
    make_organisations(&app, owner, 99);
    let browser = app.browser_of("owner@example.com");

    let page = get(&browser, "/apis");
    assert_eq!(page.texts("tbody tr").len(), 50);
    assert!(page.texts("caption")[0].contains("1 to 50 of 9001"), "{:?}", page.texts("caption"));
    let next = page.attribute("a[rel=next]", "href").unwrap();
    assert_eq!(next, "/apis?page=2");
    assert!(get(&browser, &next).texts("caption")[0].contains("51 to 100 of"));
    let last = get(&browser, "/apis?page=181");
    assert_eq!((last.texts("tbody tr").len(), last.texts("tbody .tag").len()), (2, 1), "one, and Brevet's own");
    let found = get(&browser, "/apis?q=service+8999");
    assert_eq!(found.texts("tbody th"), ["Service 8999"]);
    assert!(get(&browser, "/apis?q=nothing+at+all").text().contains("No API matches"));

    let page = get(&browser, "/team");
    assert_eq!(page.texts("table:first-of-type tbody tr").len() % 50, 4, "50 members and the four roles");
    let page = browser.submit(&page, "/team", &[("q", "Person 777")]);
    assert!(page.text().contains("person777@example.com") && !page.text().contains("person1@example.com"));
    assert!(get(&browser, "/team?q=nobody+at+all").text().contains("Nobody found"));

    let page = get(&browser, "/organisations/new");
    assert_eq!(page.texts("tbody tr").len(), 50);
    assert_eq!(page.texts("header .panel form[action$='/switch']").len(), 10, "not all on every page");
    let page = browser.submit(&page, "/organisations/new", &[("q", "number 77")]);
    assert_eq!(page.texts("tbody th"), ["zoo Number 77"]);
    assert_eq!(get(&browser, "/organisations/new?page=2").texts("tbody tr").len(), 50);

    let page = get(&browser, "/admin/users?q=owner%40example.com");
    assert!(page.text().contains("and 97 more"), "{}", page.text());
    let page = get(&browser, &format!("/admin/users/{owner}"));
    assert_eq!(page.attribute("a[rel=next]", "href").unwrap(), format!("/admin/users/{owner}?page=2"));
    let page = get(&browser, "/admin/organisations");
    assert!(page.texts("caption")[0].contains("1 to 50 of 100"), "{:?}", page.texts("caption"));
    assert_eq!(get(&browser, "/admin/organisations?q=ZOO-99").texts("tbody th"), ["zoo Number 99"]);

    for path in ["/apis", "/team", "/organisations/new", "/admin/organisations", "/admin/users/x"] {
        for query in ["page=0", "page=-1", "page=x", "page=99999999999999999999"] {
            let status = browser.get(&format!("{path}?{query}")).status;
            assert!(status == 400 || path.ends_with("/x") && status == 404, "{path}?{query} {status}");
        }
    }
    assert_eq!(browser.get(&format!("/apis?q={}", "x".repeat(101))).status, 400);
}

#[test]
fn scopes_are_chosen_among_very_many_apis_and_what_is_ticked_stays() {
    let app = TestApp::new();
    app.create_person("acme", "owner@example.com", Role::Owner);
    make_apis(&app, 9_000);
    let browser = app.browser_of("owner@example.com");
    let page = get(&browser, "/apps/new");
    assert!(page.text().contains("50 of 9001 APIs"), "{}", page.text());
    let fields = [("name", "robot"), ("do", "find"), ("api-words", "service 8999")];
    let page = browser.submit(&page, "/apps", &fields).assert_status(200);
    assert!(page.body.contains("value=\"s8999:read\"") && !page.body.contains("value=\"s1:read\""));
    // The Enter key presses the first button; it finds as well.
    let fields = [("scope", "s8999:read"), ("do", "create"), ("api-words", "service 4321")];
    let page = browser.submit(&page, "/apps", &fields).assert_status(200);
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("robot"), "what was entered stays");
    assert!(page.body.contains("value=\"s4321:read\"") && page.body.contains("value=\"s8999:read\" checked"));
    let made = browser.submit(&page, "/apps", &[("scope", "s4321:read"), ("scope", "s8999:read"), ("do", "create")]);
    let made = made.assert_status(200);
    assert!(made.text().contains("bvk_"), "{}", made.text());

    let app_path = made.links().into_iter().find(|link| link.starts_with("/apps/") && link.len() > 40).unwrap();
    let sid = app_path.split('/').nth(2).unwrap();
    let page = get(&browser, &format!("/apps/{sid}/scopes"));
    assert!(page.body.contains("value=\"s4321:read\" checked"));
    let page = browser.submit(&page, "/scopes", &[("do", "find"), ("api-words", "Service 777")]).assert_status(200);
    assert!(page.body.contains("value=\"s777:read\"") && page.body.contains("value=\"s8999:read\" checked"));
    let page = browser.submit(&page, "/scopes", &[("scope", "s777:read"), ("do", "review")]).assert_status(200);
    assert_eq!(page.heading(), "Review the change");
    browser.submit(&page, "/scopes", &[("do", "save")]).assert_status(200);

    let list = get(&browser, &format!("/apps?api={}", made_api(777)));
    assert_eq!(list.texts("tbody th a"), ["robot"]);
    assert_eq!(list.texts("#api option[selected]"), ["Service 777"], "what is picked is named, wherever it stands");
}

fn made_api(number: u32) -> String {
    made(1, number)
}
