//! The pages of APIs, the quick start, Try it and the token inspector, through the front door.

use brevet::db::developers::Role;
use brevet::oauth::TokenProfile;
use brevet::service::{apis, apps};
use serde_json::Value;

use crate::support::browser::{Browser, Page};
use crate::support::{Credentials, PASSWORD, TestApp, decode_jwt, new_app};

const PROBES: [&str; 6] =
    ["<script>alert(1)</script>", "\"onx=\"", "{{1337*1337}}", "\u{1f98a}<b>fox</b>", "a'b&amp;c", "${x}#{y}"];

fn scene() -> (TestApp, Browser) {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    (app, browser)
}

/// The id of the API with that identifier.
fn api_id(app: &TestApp, identifier: &str) -> String {
    apis::show(&app.management, identifier).unwrap().api.id.to_string()
}

fn create(browser: &Browser, fields: &[(&str, &str)]) -> Page {
    let page = browser.get("/apis/new").assert_status(200);
    browser.submit(&page, "/apis/new", fields)
}

#[test]
fn an_api_is_created_with_its_scopes_shown_changed_and_deleted() {
    let (app, browser) = scene();
    let page = create(
        &browser,
        &[
            ("name", "Stock"),
            ("identifier", "https://stock.example"),
            ("scope-1-name", "stock:read"),
            ("scope-1-description", "See what is there"),
            ("scope-2-name", "stock:purge"),
            ("scope-2-sensitive", "yes"),
            ("profile", "classic"),
            ("algorithm", "ES256"),
            ("lifetime", "30m"),
        ],
    )
    .assert_status(200);
    assert_eq!(page.heading(), "Stock");
    assert_eq!(
        page.texts(".done"),
        ["The API is there. Give its scopes to apps, and let your service verify their tokens."]
    );
    let id = api_id(&app, "https://stock.example");
    assert!(page.path.starts_with(&format!("/apis/{id}")), "{}", page.path);
    assert_eq!(page.texts("tbody th"), ["stock:read", "stock:purge sensitive"]);
    assert!(page.text().contains("30m") && page.text().contains("ES256"), "{}", page.text());
    assert!(browser.get("/apis").text().contains("https://stock.example"));

    let page = browser.submit(&page, "/scopes", &[("name", "stock:write"), ("sensitive", "yes")]).assert_status(200);
    assert_eq!(page.texts(".done"), ["The scope is there."]);
    let page = browser.get(&format!("/apis/{id}/scopes/edit?scope=stock%3Awrite")).assert_status(200);
    let page = browser.submit(&page, "/scopes/edit", &[("description", "Change it")]).assert_status(200);
    assert!(page.text().contains("Change it"), "{}", page.text());
    let page = browser.get(&format!("/apis/{id}/scopes/edit?scope=stock%3Apurge")).assert_status(200);
    let page = browser.submit(&page, "/scopes/remove", &[]).assert_status(200);
    assert_eq!(page.texts("tbody th"), ["stock:read", "stock:write sensitive"]);

    let page = browser.get(&format!("/apis/{id}/edit")).assert_status(200);
    assert_eq!(page.attribute("#lifetime", "value").as_deref(), Some("30m"));
    let page = browser.submit(&page, "/edit", &[("name", "Stocks"), ("profile", "rfc9068"), ("lifetime", "")]);
    assert_eq!((page.status, page.heading()), (200, "Stocks".to_owned()));
    let api = apis::show(&app.management, "https://stock.example").unwrap().api;
    assert_eq!((api.profile, api.lifetime), (TokenProfile::Rfc9068, None));

    app.create_app(&["stock:read"]);
    let page = browser.get(&format!("/apis/{id}/delete")).assert_status(200);
    assert!(page.text().contains("cannot be deleted while apps have scopes") && page.text().contains("robot"));
    let page = browser.get(&format!("/apis/{id}/scopes/edit?scope=stock%3Aread")).assert_status(200);
    browser.submit(&page, "/scopes/remove", &[]).assert_status(200);
    let page = browser.get(&format!("/apis/{id}/delete")).assert_status(200);
    let page = browser.submit(&page, "/delete", &[]).assert_status(200);
    assert_eq!(page.texts(".done"), ["The API is deleted."]);
    browser.get(&format!("/apis/{id}")).assert_status(404);
}

#[test]
fn what_cannot_be_used_is_said_at_the_field_and_the_rest_is_kept() {
    let (app, browser) = scene();
    let cases: [(&[(&str, &str)], &str, &str); 8] = [
        (&[("name", "")], "name", "a name needs 1 to"),
        (&[("identifier", "billing")], "identifier", "an absolute URI"),
        (&[("lifetime", "soon")], "lifetime", "is not a span of time"),
        (&[("lifetime", "9d")], "lifetime", "longer than the server's"),
        (&[("scope-1-name", "a b")], "scopes", "printable ASCII"),
        (&[("scope-1-name", ""), ("scope-1-description", "x")], "scope-1-name", "needs a name"),
        (&[("profile", "jwt")], "profile", "Choose what tokens look like"),
        (&[("identifier", "https://billing.example")], "", "is taken on this server"),
    ];
    for (fields, id, said) in cases {
        let good = [("name", "Stock"), ("identifier", "https://stock.example"), ("scope-2-name", "stock:kept")];
        let mut all: Vec<(&str, &str)> =
            good.into_iter().filter(|(name, _)| !fields.iter().any(|(n, _)| n == name)).collect();
        all.extend_from_slice(fields);
        let page = create(&browser, &all).assert_status(422);
        let faults = page.faults().join(" ").to_lowercase();
        assert!(faults.contains(&said.to_lowercase()), "{fields:?}: {faults}");
        if !id.is_empty() {
            assert!(page.attribute(&format!("#{id}"), "id").is_some(), "{id} is a place on the page");
            assert_eq!(page.attribute(".faults a", "href"), Some(format!("#{id}")));
        }
        assert_eq!(page.attribute("#scope-2-name", "value").as_deref(), Some("stock:kept"));
    }
    assert_eq!(apis::list(&app.management, "acme").unwrap().len(), 2, "nothing was made");
}

#[test]
fn a_form_sent_twice_makes_one_api() {
    let (app, browser) = scene();
    let page = browser.get("/apis/new");
    let fields = [("name", "Stock"), ("identifier", "https://stock.example")];
    browser.submit(&page, "/apis/new", &fields).assert_status(200);
    let again = browser.submit(&page, "/apis/new", &[("name", "Stock"), ("identifier", "https://other.example")]);
    assert_eq!(again.status, 409);
    assert_eq!(apis::list(&app.management, "acme").unwrap().len(), 3);
}

#[test]
fn of_two_who_change_an_api_the_second_sees_both_versions() {
    let (app, browser) = scene();
    let id = api_id(&app, "https://billing.example");
    let (mine, theirs) = (browser.get(&format!("/apis/{id}/edit")), browser.get(&format!("/apis/{id}/edit")));
    browser.submit(&theirs, "/edit", &[("name", "Theirs"), ("lifetime", "1h")]).assert_status(200);

    let page = browser.submit(&mine, "/edit", &[("name", "Mine"), ("algorithm", "ES256")]).assert_status(409);

    let rows = page.texts("tbody tr").join("\n");
    assert!(rows.contains("NameTheirsMinedifferent") && rows.contains("Profilerfc9068rfc9068same"), "{rows}");
    assert!(rows.contains("Longest lifetime1hthe server'sdifferent"), "{rows}");
    let saved = || apis::show(&app.management, "https://billing.example").unwrap().api.name;
    assert_eq!(saved(), "Theirs");
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Mine"), "what was entered is kept");
    browser.submit(&page, "/edit", &[]).assert_status(200);
    assert_eq!(saved(), "Mine");
}

#[test]
fn deleting_asks_for_a_proof_that_is_older_than_ten_minutes() {
    let (app, browser) = scene();
    let id = api_id(&app, "https://billing.example");
    app.clock.advance(std::time::Duration::from_secs(660));
    let page = browser.get(&format!("/apis/{id}/delete"));
    let asked = browser.submit(&page, "/delete", &[]).assert_status(403);
    assert_eq!(asked.heading(), "Confirm that it is you");
    assert!(apis::show(&app.management, "https://billing.example").is_ok());
    browser.submit(&asked, "/delete", &[("confirm-password", PASSWORD)]).assert_status(200);
    assert!(apis::show(&app.management, "https://billing.example").is_err());
}

#[test]
fn viewers_look_and_change_nothing_and_nobody_sees_another_organisation() {
    let (app, _) = scene();
    app.create_person("acme", "vic@example.com", Role::Viewer);
    app.create_organisation("other");
    app.create_api("other", "https://other.example", &["other:read"]);
    let theirs = app.create_app_with("other", new_app(&["other:read"]));
    let (ours, foreign) = (api_id(&app, "https://billing.example"), api_id(&app, "https://other.example"));
    let own_app = app.create_app(&["billing:read"]);
    let viewer = app.browser_of("vic@example.com");
    let page = viewer.get("/apis").assert_status(200);
    assert!(page.text().contains("https://billing.example") && !page.text().contains("https://other.example"));
    assert!(!page.links().iter().any(|link| link == "/apis/new"), "a viewer is offered to create");
    let page = viewer.get(&format!("/apis/{ours}")).assert_status(200);
    assert!(page.texts("main form").is_empty());
    viewer.get(&format!("/apis/{ours}/verify")).assert_status(200);
    viewer.get(&format!("/apps/{}/start", own_app.client_id)).assert_status(200);
    for path in ["/apis/new", &format!("/apis/{ours}/edit"), &format!("/apis/{ours}/delete")] {
        viewer.get(path).assert_status(403);
    }
    let owner = app.browser_of("ana@example.com");
    for path in [
        format!("/apis/{foreign}"),
        format!("/apis/{foreign}/edit"),
        format!("/apis/{foreign}/delete"),
        format!("/apis/{foreign}/verify"),
        format!("/apis/{foreign}/scopes/edit?scope=other:read"),
        format!("/apps/{}/start", theirs.client_id),
        "/apis/not-an-id".to_owned(),
        format!("/apis/{ours}/verify?with=cobol"),
        format!("/apps/{}/start?lang=cobol", own_app.client_id),
    ] {
        owner.get(&path).assert_status(404);
    }
    let page = owner.get(&format!("/apis/{ours}"));
    let (_, _, body) = page.filled_form("/scopes", &[("name", "x:y")]);
    for action in ["scopes", "scopes/edit", "scopes/remove", "edit", "delete"] {
        let answer = owner.send("POST", &format!("/apis/{foreign}/{action}"), &[], Some(&body));
        assert_eq!(answer.status, 404, "{action}");
    }
    let own = apis::show(&app.management, &*app.authority.directory.management_api().identifier).unwrap().api.id;
    owner.get(&format!("/apis/{own}")).assert_status(200);
    owner.get(&format!("/apis/{own}/edit")).assert_status(404);
    owner.get(&format!("/apis/{own}/delete")).assert_status(404);
    assert_eq!(owner.send("POST", &format!("/apis/{own}/delete"), &[], Some(&body)).status, 404);
}

#[test]
fn what_people_write_is_shown_as_text() {
    let (app, browser) = scene();
    for (at, probe) in PROBES.into_iter().enumerate() {
        let identifier = format!("https://probe{at}.example");
        let scope = format!("probe{at}:<b>'&{{{{7*7}}}}");
        let fields =
            [("name", probe), ("identifier", &identifier), ("scope-1-name", &scope), ("scope-1-description", probe)];
        let page = create(&browser, &fields).assert_status(200);
        assert_eq!(page.heading(), probe);
        let id = api_id(&app, &identifier);
        let robot =
            app.create_app_with("acme", brevet::service::apps::NewApp { name: probe.to_owned(), ..new_app(&[&scope]) });
        let encoded: String = url::form_urlencoded::byte_serialize(scope.as_bytes()).collect();
        for path in [
            "/apis".to_owned(),
            format!("/apis/{id}"),
            format!("/apis/{id}/edit"),
            format!("/apis/{id}/delete"),
            format!("/apis/{id}/verify?with=nginx"),
            format!("/apis/{id}/scopes/edit?scope={encoded}"),
            format!("/apps/{}/start?lang=php", robot.client_id),
            format!("/try?q={encoded}"),
            "/try".to_owned(),
        ] {
            let page = browser.get(&path).assert_status(200);
            assert!(!page.body.contains("<script>alert") && !page.body.contains("<b>"), "{path}: {}", page.body);
            assert!(!page.body.contains("1787569"), "{path} evaluates");
        }
    }
}

#[test]
fn the_token_that_a_page_shows_beforehand_is_as_real_ones_are() {
    let (app, browser) = scene();
    for profile in TokenProfile::ALL {
        let identifier = format!("https://{}.example", profile.name());
        let scope = format!("{}:read", profile.name());
        app.create_api_with("acme", &identifier, &[&scope], *profile, brevet::oauth::SigningAlgorithm::Rs256);
        let (header, claims) = decode_jwt(&app.token(&app.create_app(&[&scope])));
        let page = browser.get(&format!("/apis/{}", api_id(&app, &identifier)));
        let shown = page.texts("pre").join(" ");
        let mut documents = serde_json::Deserializer::from_str(&shown).into_iter::<Value>();
        let (shown_header, shown_claims) = (documents.next().unwrap().unwrap(), documents.next().unwrap().unwrap());
        let members = |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!((members(&shown_header), members(&shown_claims)), (members(&header), members(&claims)));
        for same in ["iss", "aud", "scope", "tenant"] {
            assert_eq!(shown_claims[same], claims[same], "{same}");
        }
        assert_eq!((&shown_header["typ"], &shown_header["alg"]), (&header["typ"], &header["alg"]));
    }
}

#[test]
fn the_quick_start_warns_of_what_keeps_an_app_from_tokens() {
    let (app, browser) = scene();
    let robot = app.create_app(&["billing:read"]);
    let warnings =
        |app: &Credentials| browser.get(&format!("/apps/{}/start", app.client_id)).assert_status(200).texts(".warning");
    assert!(warnings(&robot).is_empty());
    let page = browser.get(&format!("/apps/{}/start?lang=python", robot.client_id));
    assert!(page.texts("#snippet")[0].contains(&robot.client_id) && !page.body.contains(&robot.secret));
    assert_eq!(page.texts("[aria-current=page]").last().map(String::as_str), Some("Python"));
    apps::set_enabled(&app.management, robot.id(), false).unwrap();
    assert!(warnings(&robot)[0].contains("This app is disabled"));
    assert!(warnings(&app.create_app(&[]))[0].contains("no scope yet"));
}

fn try_it(browser: &Browser, client: &Credentials, key: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(&format!("/try?app={}", client.client_id)).assert_status(200);
    let mut all = vec![("key", key)];
    all.extend_from_slice(fields);
    browser.submit(&page, "/try", &all)
}

#[test]
fn a_request_is_tried_and_shown_without_the_key_and_the_token_is_called_with() {
    let (app, browser) = scene();
    let robot = app.create_app(&["billing:read", "billing:write"]);
    for (method, scope, granted) in
        [("basic", "", "billing:read billing:write"), ("body", "billing:read", "billing:read")]
    {
        let page = try_it(&browser, &robot, &robot.secret, &[("method", method), ("scope", scope)]).assert_status(200);
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.body.contains(&robot.secret), "the key is shown");
        let blocks = page.texts("pre");
        assert!(
            blocks[0].starts_with("POST /connect/token HTTP/1.1") && blocks[0].contains("$APP_KEY"),
            "{}",
            blocks[0]
        );
        assert_eq!(blocks[0].contains("Authorization: Basic"), method == "basic");
        assert!(
            blocks[1].starts_with("HTTP/1.1 200 OK") && blocks[1].contains("cache-control: no-store"),
            "{}",
            blocks[1]
        );
        let token = page.attribute("form[action$=call] input[name=token]", "value").unwrap();
        assert_eq!(decode_jwt(&token).1["scope"], granted);
        assert!(blocks[1].contains(&token), "the answer is shown as it came");
        assert!(blocks[2].contains("\"aud\"") && blocks[3].starts_with("curl -s"), "{blocks:?}");

        let called = browser.submit(&page, "/try/call", &[]).assert_status(200);
        let blocks = called.texts("pre");
        assert!(blocks[0].contains("GET /api/v1/whoami") && blocks[1].contains("\"app_name\":\"robot\""), "{blocks:?}");
        let inspected = browser.submit(&page, "/inspect", &[]).assert_status(200);
        assert_eq!(inspected.texts("#verdict"), ["This token is good"]);
        app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    }
}

#[test]
fn each_error_of_a_try_is_explained_and_wrong_keys_count_as_anywhere() {
    let app = TestApp::with(&[("throttle-failures", "3/min")]);
    app.create_person("acme", "ana@example.com", Role::Owner);
    let browser = app.browser_of("ana@example.com");
    let (robot, off) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
    apps::set_enabled(&app.management, off.id(), false).unwrap();
    app.catch_up();
    let page = try_it(&browser, &robot, &robot.secret, &[("scope", "billing:write")]).assert_status(200);
    assert!(page.texts(".problem")[0].starts_with("invalid_scope"), "{}", page.text());
    let page = try_it(&browser, &off, &off.secret, &[]).assert_status(200);
    assert!(page.texts(".problem")[0].starts_with("invalid_client"), "{}", page.text());
    for _ in 0..3 {
        try_it(&browser, &robot, "bvk_wrong", &[]).assert_status(200);
    }
    let page = try_it(&browser, &robot, &robot.secret, &[]).assert_status(200);
    assert!(page.texts("pre")[1].starts_with("HTTP/1.1 429"), "{}", page.text());
    app.token_request(&[], &robot.form()).assert_status(429);

    let page = try_it(&browser, &robot, "", &[]).assert_status(422);
    assert_eq!(page.faults(), ["Paste the App Key."]);
    app.create_organisation("other");
    app.create_api("other", "https://other.example", &["other:read"]);
    let theirs = app.create_app_with("other", new_app(&["other:read"]));
    let page = browser.get("/try");
    let page = browser.submit(&page, "/try", &[("app", &theirs.client_id), ("key", &theirs.secret)]).assert_status(422);
    assert_eq!(page.faults(), ["Choose an app of this organisation."]);
}

#[test]
fn of_many_apps_one_is_found_by_its_name_or_id() {
    let (app, browser) = scene();
    assert!(browser.get("/try").text().contains("No app yet"));
    let made: Vec<Credentials> = (0..25)
        .map(|at| {
            let name = format!("Robot {at:02}_%");
            app.create_app_with("acme", brevet::service::apps::NewApp { name, ..new_app(&["billing:read"]) })
        })
        .collect();
    assert_eq!(browser.get("/try").texts("option").len(), 20);
    assert_eq!(browser.get("/try?q=rObOt+07").texts("option").len(), 1);
    assert_eq!(browser.get("/try?q=7_%25").texts("option").len(), 2, "07_% and 17_%");
    assert_eq!(browser.get("/try?q=__").texts("option").len(), 0);
    assert_eq!(browser.get(&format!("/try?q={}", &made[3].client_id[..13])).texts("option").len(), 1);
    assert!(browser.get("/try?q=nothing").text().contains("No app is called that"));
    let page = try_it(&browser, &made[24], &made[24].secret, &[]).assert_status(200);
    assert!(page.texts("h2")[0].contains("A token came back"), "{}", page.text());
}

#[test]
fn a_token_is_inspected_and_what_is_a_secret_is_not_shown_again() {
    let (app, browser) = scene();
    let robot = app.create_app(&["billing:read"]);
    let token = app.token(&robot);
    let inspect = |text: &str, audience: &str| {
        let page = browser.get("/inspect").assert_status(200);
        browser.submit(&page, "/inspect", &[("token", text), ("audience", audience)])
    };
    let page = inspect(&format!("Bearer {token}"), "https://billing.example").assert_status(200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.texts("#verdict"), ["This token is good"]);
    let rows = page.texts("tbody tr").join("\n");
    assert!(rows.contains("AudienceGoodIt is for https://billing.example, as you expect."), "{rows}");
    assert!(rows.contains("exp179539200023 Nov 2026, 00:00 UTC"), "{rows}");
    assert_eq!(inspect(&token, "https://x.example").texts("#verdict"), ["Good, but not for the API that you expect"]);

    let page = inspect(&robot.secret, "").assert_status(200);
    assert!(page.texts(".warning")[0].contains("That is a secret") && !page.body.contains(&robot.secret));
    apps::set_enabled(&app.management, robot.id(), false).unwrap();
    app.catch_up();
    let page = inspect(&token, "").assert_status(200);
    assert_eq!(page.texts("#verdict"), ["This token is refused"]);
    assert!(page.text().contains("Its app, robot, was disabled"), "{}", page.text());
    inspect("", "").assert_status(200);
    inspect(&token, &"x".repeat(256)).assert_status(422);
}
