//! From where an app may ask: whoever is elsewhere learns nothing, not even with the right key.

use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::oauth::networks::Networks;
use brevet::service::apps::{self, AppUpdate, NewApp};
use serde_json::json;

use crate::client_assertion::{claims, form, keyed};
use crate::support::http::Answer;
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, audit, new_app};

/// The test asks over a proxy that says where it stands.
const PROXY: (&str, &str) = ("trusted-proxies", "127.0.0.1");
const NO_THROTTLE: (&str, &str) = ("throttle-failures", "off");
const INSIDE: &str = "10.1.2.3";
const OUTSIDE: &str = "203.0.113.9";
const ANA: &str = "ana@example.com";

crate::support::postgres::on_both_databases! {
    networks_are_kept_with_an_app_and_hold_at_once
}

fn networks(texts: &[&str]) -> Networks {
    Networks::read(texts).unwrap()
}

fn bounded() -> NewApp {
    NewApp { allowed_networks: networks(&["10.0.0.0/8", "2001:db8::/32"]), ..new_app(&["billing:read"]) }
}

fn ask(app: &TestApp, path: &str, from: &str, body: &str) -> Answer {
    app.post(path, &[("x-forwarded-for", from)], body)
}

fn status(app: &TestApp, from: &str, client: &Credentials) -> u16 {
    ask(app, "/connect/token", from, &client.form()).status.as_u16()
}

fn networks_are_kept_with_an_app_and_hold_at_once(settings: &[(&str, &str)]) {
    let app = TestApp::with(&[settings, &[PROXY, NO_THROTTLE]].concat());
    let client = app.create_app_with("acme", bounded());
    let kept = || apps::show(&app.management, client.id()).unwrap().app.allowed_networks.texts();
    assert_eq!(kept(), ["10.0.0.0/8", "2001:db8::/32"]);
    for (from, expected) in [(INSIDE, 200), ("::ffff:10.9.9.9", 200), ("2001:db8::7", 200), (OUTSIDE, 401)] {
        assert_eq!(status(&app, from, &client), expected, "{from}");
    }
    let change = |texts: &[&str]| {
        let update = AppUpdate { allowed_networks: Some(networks(texts)), ..AppUpdate::default() };
        apps::update(&app.management, client.id(), update).unwrap();
        app.catch_up();
    };
    change(&[OUTSIDE]);
    assert_eq!((kept(), status(&app, INSIDE, &client)), (vec![format!("{OUTSIDE}/32")], 401));
    assert_eq!(status(&app, OUTSIDE, &client), 200);
    let name = AppUpdate { name: Some("other".to_owned()), ..AppUpdate::default() };
    apps::update(&app.management, client.id(), name).unwrap();
    assert_eq!(kept().len(), 1, "what is not named stays");
    change(&[]);
    assert_eq!((status(&app, INSIDE, &client), status(&app, OUTSIDE, &client)), (200, 200));
    let said: Vec<_> = audit(&app, "acme").into_iter().map(|deed| deed.detail["allowed_networks"].clone()).collect();
    assert_eq!(said[0], json!([]));
    assert_eq!(said[2], json!(["203.0.113.9/32"]));
    assert_eq!(said[3], json!(["10.0.0.0/8", "2001:db8::/32"]));
}

#[test]
fn who_is_elsewhere_is_answered_as_a_stranger_wherever_clients_prove_who_they_are() {
    let app = TestApp::with(&[PROXY, NO_THROTTLE]);
    let client = app.create_app_with("acme", bounded());
    let token = ask(&app, "/connect/token", INSIDE, &client.form()).json()["access_token"].as_str().unwrap().to_owned();
    let wrong = Credentials { secret: format!("{}x", client.secret), ..client.clone() };
    for path in ["/connect/token", "/connect/introspect", "/connect/revocation"] {
        for basic in [true, false] {
            let send = |from: &str, client: &Credentials| {
                let body = format!("grant_type=client_credentials&token={token}");
                let body = if basic { body } else { format!("{}&token={token}", client.form()) };
                let header = client.basic();
                let proof = if basic { vec![("authorization", header.as_str())] } else { Vec::new() };
                app.post(path, &[&proof[..], &[("x-forwarded-for", from)]].concat(), &body)
            };
            let (foreign, stranger) = (send(OUTSIDE, &client), send(INSIDE, &wrong));
            assert_eq!((foreign.status.as_u16(), stranger.status.as_u16()), (401, 401), "{path}");
            assert_eq!(foreign.body, stranger.body, "{path}");
            assert_eq!(foreign.header("www-authenticate"), stranger.header("www-authenticate"), "{path}");
            assert_eq!(send(OUTSIDE, &wrong).body, stranger.body, "{path}");
        }
    }
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    let asked = format!("client_id={}&client_secret={}&token={token}", client.client_id, client.secret);
    assert_eq!(ask(&app, "/connect/introspect", INSIDE, &asked).json()["active"], true, "nothing was revoked");
}

#[test]
fn an_assertion_from_elsewhere_is_refused_and_not_used_up() {
    let app = TestApp::with(&[PROXY, NO_THROTTLE]);
    let signer = Signer::ed25519("k");
    let client =
        app.create_app_with("acme", NewApp { allowed_networks: networks(&["10.0.0.0/8"]), ..keyed(signer.jwks()) });
    let assertion = signer.sign(&claims(&client.client_id, app.clock.now().seconds()));
    for (from, expected) in [(OUTSIDE, 401), (INSIDE, 200), (INSIDE, 401)] {
        assert_eq!(ask(&app, "/connect/token", from, &form(&assertion)).status, expected, "{from}");
    }
}

#[test]
fn who_asks_from_elsewhere_too_often_is_throttled_there_and_nowhere_else() {
    let app = TestApp::with(&[PROXY]);
    let client = app.create_app_with("acme", bounded());
    for _ in 0..10 {
        assert_eq!(status(&app, OUTSIDE, &client), 401);
    }
    assert_eq!((status(&app, OUTSIDE, &client), status(&app, INSIDE, &client)), (429, 200));
}

#[test]
fn the_people_of_an_app_read_that_its_key_was_used_elsewhere() {
    let app = TestApp::with(&[PROXY, NO_THROTTLE]);
    app.create_person("acme", ANA, Role::Viewer);
    let client = app.create_app_with("acme", bounded());
    status(&app, OUTSIDE, &client);
    status(&app, INSIDE, &Credentials { secret: "wrong".to_owned(), ..client.clone() });
    app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
    let page = app.browser_of(ANA).get(&format!("/apps/{}/usage", client.client_id)).assert_status(200);
    let rows = page.texts("tbody tr");
    let said = rows.iter().filter(|row| row.contains("outside the allowed networks")).count();
    assert_eq!(said, 1, "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.starts_with("invalid_client1")).count(), 2, "{rows:?}");
    assert!(page.text().contains("rotate it"));
}

#[test]
fn a_page_says_before_it_saves_that_the_own_address_is_left_out() {
    let app = TestApp::new();
    app.create_person("acme", ANA, Role::Developer);
    let browser = app.browser_of(ANA);
    let fields = [
        ("name", "Invoice sync"),
        ("scope", "billing:read"),
        ("allowed-networks", "10.0.0.0/8, 192.0.2.7"),
        ("do", "create"),
    ];
    let form = browser.get("/apps/new");
    assert!(
        form.texts("#allowed-networks-hint")[0].contains("127.0.0.1") && form.texts("#networks-warning").is_empty()
    );
    let asked = browser.submit(&form, "/apps", &fields).assert_status(200);
    assert!(asked.texts("#networks-warning")[0].starts_with("Nothing is saved yet."), "{}", asked.text());
    assert!(asked.texts("#networks-warning")[0].contains("127.0.0.1"));
    assert_eq!(apps::list(&app.management, "acme", None, 10).unwrap().len(), 0);
    let made = browser.submit(&asked, "/apps", &[("do", "create")]).assert_status(200);
    assert_eq!(made.heading(), "App created");
    let sid = made.attribute("#sid", "value").unwrap();
    let kept = || apps::list(&app.management, "acme", None, 10).unwrap()[0].allowed_networks.texts();
    assert_eq!(kept(), ["10.0.0.0/8", "192.0.2.7/32"]);
    let overview = browser.get(&format!("/apps/{sid}"));
    assert!(overview.text().contains("10.0.0.0/8 192.0.2.7/32"), "{}", overview.text());

    // What stands there was said already; what is added is said anew, and only once.
    let settings = format!("/apps/{sid}/settings");
    let page = browser.get(&settings);
    assert!(page.texts("#networks-warning")[0].starts_with("Your own address"));
    let page = browser.submit(&page, &settings, &[("name", "other")]).assert_status(200);
    assert_eq!(page.texts(".done"), ["The settings are saved."]);
    let asked = browser.submit(&page, &settings, &[("allowed-networks", "10.0.0.0/9")]).assert_status(200);
    assert!(asked.texts("#networks-warning")[0].starts_with("Nothing is saved yet."));
    assert_eq!((asked.texts("#allowed-networks"), kept().len()), (vec!["10.0.0.0/9".to_owned()], 2));
    browser.submit(&asked, &settings, &[]).assert_status(200);
    assert_eq!(kept(), ["10.0.0.0/9"]);
    // Where the own address is named nothing is asked.
    let named = [("allowed-networks", "10.0.0.0/9\r\n127.0.0.0/8\r\n")];
    let page = browser.submit(&browser.get(&settings), &settings, &named).assert_status(200);
    assert_eq!((page.texts(".done").len(), kept().len()), (1, 2));
    browser.submit(&page, &settings, &[("allowed-networks", " ")]).assert_status(200);
    assert_eq!(kept(), Vec::<String>::new());
    assert!(browser.get(&format!("/apps/{sid}")).text().contains("everywhere"));
}

#[test]
fn what_is_no_network_is_said_at_its_field() {
    let app = TestApp::new();
    app.create_person("acme", ANA, Role::Developer);
    let browser = app.browser_of(ANA);
    let client = app.create_app(&["billing:read"]);
    let settings = format!("/apps/{}/settings", client.client_id);
    let many = (0..21).map(|number| format!("10.0.{number}.0/24")).collect::<Vec<_>>().join("\n");
    for (entered, said) in [
        ("10.0.0.0/33", "is not a network"),
        ("example.com", "is not a network"),
        ("<b>", "`<b>` is not a network"),
        ("10.0.0.7/8", "write 10.0.0.0/8 or 10.0.0.7"),
        (&many, "an app may have 20"),
    ] {
        for (form, path, fields) in [
            (browser.get(&settings), settings.as_str(), vec![]),
            (browser.get("/apps/new"), "/apps", vec![("name", "a"), ("scope", "billing:read"), ("do", "create")]),
        ] {
            let page = browser.submit(&form, path, &[&fields[..], &[("allowed-networks", entered)]].concat());
            let page = page.assert_status(422);
            assert!(page.faults()[0].contains(said), "{entered}: {:?}", page.faults());
            assert!(page.links().contains(&"#allowed-networks".to_owned()));
            assert_eq!(page.texts("#allowed-networks"), [entered.replace('\n', " ")]);
        }
    }
    assert!(apps::show(&app.management, client.id()).unwrap().app.allowed_networks.is_everywhere());
}
