//! An app is changed, switched off and deleted; nobody overwrites what somebody else changed unseen.

use std::time::Duration;

use brevet::db::developers::Role;
use brevet::service::apps::{self, AppUpdate};

use super::{ANA, count_apps, named, scene, scene_of, token_status};
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, decode_jwt};

fn path(robot: &Credentials, page: &str) -> String {
    format!("/apps/{}{page}", robot.client_id)
}

fn scopes(app: &TestApp, robot: &Credentials) -> Vec<String> {
    apps::show(&app.management, robot.id()).unwrap().app.scopes.into_iter().map(|(_, scope)| scope).collect()
}

#[test]
fn settings_are_saved_and_shown() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let page = browser.get(&path(&robot, "/settings")).assert_status(200);
    let fields =
        [("name", " Invoice sync "), ("description", "One\r\ntwo"), ("lifetime", "30m"), ("dpop-required", "1")];
    let saved = browser.submit(&page, "/settings", &fields).assert_status(200);
    assert_eq!(saved.texts(".done"), ["The settings are saved."]);
    let record = apps::show(&app.management, robot.id()).unwrap().app;
    assert_eq!((record.name.as_str(), record.description.as_str()), ("Invoice sync", "One\ntwo"));
    assert_eq!((record.lifetime, record.dpop_required), (Some(Duration::from_secs(1_800)), true));
    let overview = browser.get(&path(&robot, "")).text();
    assert!(overview.contains("One two") && overview.contains("https://billing.example, if a request"), "{overview}");
    let off = browser.get(&path(&robot, "/settings")).without("dpop-required", "1");
    browser.submit(&off, "/settings", &[("lifetime", "")]).assert_status(200);
    let record = apps::show(&app.management, robot.id()).unwrap().app;
    assert_eq!((record.lifetime, record.dpop_required), (None, false));
}

#[test]
fn of_two_who_save_settings_the_second_sees_both_versions() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let (first, second) = (browser.get(&path(&robot, "/settings")), browser.get(&path(&robot, "/settings")));
    browser.submit(&first, "/settings", &[("name", "of the first")]).assert_status(200);
    let conflict =
        browser.submit(&second, "/settings", &[("name", "of the second"), ("description", "a\nb")]).assert_status(409);
    assert!(conflict.texts("tbody tr")[0].contains("of the firstof the secondDifferent"), "{}", conflict.text());
    let name = || apps::show(&app.management, robot.id()).unwrap().app.name;
    assert_eq!(name(), "of the first");
    browser.submit(&conflict, "/settings", &[]).assert_status(200);
    let record = apps::show(&app.management, robot.id()).unwrap().app;
    assert_eq!((record.name.as_str(), record.description.as_str()), ("of the second", "a\nb"));
    // A form of before the third change is stale again.
    apps::update(&app.management, robot.id(), AppUpdate { name: Some("third".to_owned()), ..AppUpdate::default() })
        .unwrap();
    browser.submit(&conflict, "/settings", &[]).assert_status(409);
    assert_eq!(name(), "third");
}

#[test]
fn scopes_are_looked_at_before_they_are_saved() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let page = browser.get(&path(&robot, "/scopes")).assert_status(200);
    let review = browser.submit(&page, "/scopes", &[("scope", "billing:write"), ("do", "review")]).assert_status(200);
    assert_eq!(review.heading(), "Review the change");
    assert!(
        review.texts("section")[0].contains("billing:write") && review.texts("section")[1].contains("billing:read")
    );
    assert!(review.text().contains("Tokens already issued keep their old scopes until they expire"));
    assert_eq!(scopes(&app, &robot), ["billing:read"], "nothing is saved yet");
    let saved = browser.submit(&review, "/scopes", &[]).assert_status(200);
    assert_eq!(saved.texts(".done"), ["The scopes are saved."]);
    assert_eq!(scopes(&app, &robot), ["billing:write"]);
    app.catch_up();
    assert_eq!(decode_jwt(&app.token(&robot)).1["scope"], "billing:write");

    let same = browser.submit(&browser.get(&path(&robot, "/scopes")), "/scopes", &[("do", "review")]);
    assert!(same.assert_status(422).faults()[0].contains("Nothing is changed"));
    let unknown = browser.submit(&page, "/scopes", &[("scope", "nothing:here"), ("do", "review")]);
    assert!(unknown.assert_status(422).faults()[0].contains("not there any more"));
}

#[test]
fn scopes_changed_by_somebody_else_meanwhile_are_shown_beside_ones_own() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let page = browser.get(&path(&robot, "/scopes"));
    let review = browser.submit(&page, "/scopes", &[("scope", "billing:write"), ("do", "review")]);
    let change = AppUpdate { scopes: Some(vec!["apps:read".to_owned()]), ..AppUpdate::default() };
    apps::update(&app.management, robot.id(), change).unwrap();
    let conflict = browser.submit(&review, "/scopes", &[]).assert_status(409);
    assert!(conflict.texts("section")[0].contains("apps:read"), "{}", conflict.text());
    assert_eq!(scopes(&app, &robot), ["apps:read"]);
    browser.submit(&conflict, "/scopes", &[]).assert_status(200);
    assert_eq!(scopes(&app, &robot), ["billing:write"]);
    let early = browser.submit(&page, "/scopes", &[("scope", "billing:read"), ("do", "review")]);
    assert_eq!(early.assert_status(409).heading(), "Somebody changed this app meanwhile");
}

#[test]
fn an_app_is_disabled_first_and_deleted_by_its_name() {
    let (app, browser) = scene_of(Role::Admin, &[]);
    let robot = named(&app, "Invoice sync");
    let token = app.token(&robot);
    let page = browser.get(&path(&robot, "/delete")).assert_status(200);
    assert!(page.text().contains("Disable it first") && page.texts("main form").is_empty());
    let csrf = page.attribute("input[name=csrf]", "value").unwrap();
    let too_early = format!("csrf={csrf}&confirm=Invoice+sync");
    assert_eq!(browser.send("POST", &path(&robot, "/delete"), &[], Some(&too_early)).status, 409);

    let off = browser.submit(&browser.get(&path(&robot, "/disable")), "/disable", &[]).assert_status(200);
    assert!(off.texts(".problem")[0].contains("This app is disabled") && off.texts(".problem")[0].contains(ANA));
    assert_eq!(token_status(&app, &robot), 401);
    app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    let on = browser.submit(&off, "/enable", &[]).assert_status(200);
    assert_eq!((on.texts(".problem").len(), token_status(&app, &robot)), (0, 200));

    browser.submit(&browser.get(&path(&robot, "/disable")), "/disable", &[]).assert_status(200);
    let page = browser.get(&path(&robot, "/delete"));
    let wrong = browser.submit(&page, "/delete", &[("confirm", "invoice sync")]).assert_status(422);
    assert_eq!(wrong.faults(), ["Type the name of the app exactly as it stands here"]);
    let gone = browser.submit(&wrong, "/delete", &[("confirm", "Invoice sync")]).assert_status(200);
    assert_eq!((gone.texts(".done"), count_apps(&app)), (vec!["The app is deleted.".to_owned()], 0));
    let page = browser.get(&path(&robot, "")).assert_status(410);
    assert!(page.text().contains("Invoice sync") && page.text().contains(ANA), "{}", page.text());
    browser.get(&path(&robot, "/keys")).assert_status(404);
    app.create_person("acme", "dev@example.com", Role::Developer);
    app.browser_of("dev@example.com").get(&path(&robot, "")).assert_status(404);
}

#[test]
fn all_tokens_of_an_app_are_revoked_and_it_gets_new_ones() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let token = app.token(&robot);
    let page = browser.get(&path(&robot, "/revoke-tokens"));
    browser.submit(&page, "/revoke-tokens", &[]).assert_status(200);
    app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    app.clock.advance(Duration::from_secs(1));
    app.get_with_token("/api/v1/whoami", &app.token(&robot)).assert_status(200);
}

#[test]
fn an_app_changes_how_it_proves_who_it_is() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let settings = || browser.get(&path(&robot, "/settings"));
    let jwks = serde_json::json!({ "keys": [Signer::p256("k").jwk] }).to_string();
    let jwks = jwks.as_str();
    let sign = |fields: &[(&str, &str)]| {
        let fields = [&[("auth-method", "private_key_jwt")], fields].concat();
        browser.submit(&settings(), "/authentication", &fields)
    };
    for (fields, field) in [
        (&[][..], "jwks"),
        (&[("jwks", "nonsense")][..], "jwks"),
        (&[("jwks-uri", "http://evil.example")][..], "jwks-uri"),
        (&[("jwks", jwks), ("jwks-uri", "https://a.example/")][..], "jwks-uri"),
    ] {
        let page = sign(fields).assert_status(422);
        assert!(page.links().contains(&format!("#{field}")), "{fields:?}: {:?}", page.faults());
    }
    let page = sign(&[("jwks", jwks)]).assert_status(200);
    assert!(page.texts(".done")[0].contains("signs its requests"), "{}", page.text());
    assert_eq!(token_status(&app, &robot), 401);
    assert!(browser.get(&path(&robot, "/keys")).text().contains("This app has no App Keys"));
    let back = browser.submit(&settings(), "/authentication", &[("auth-method", "client_secret")]).assert_status(200);
    assert!(back.path.contains("/keys") && back.text().contains("No token can be issued"), "{}", back.text());
    let key = super::shown(&browser.submit(&back, "/keys", &[]).assert_status(200));
    assert_eq!(token_status(&app, &key), 200);
}

#[test]
fn what_was_done_to_an_app_is_listed_with_who_did_it() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    browser.submit(&browser.get(&path(&robot, "/settings")), "/settings", &[("name", "<i>x</i>")]).assert_status(200);
    let page = browser.get(&path(&robot, "/activity")).assert_status(200);
    let rows = page.texts("tbody tr");
    assert!(rows[0].contains("Changed the app") && rows[0].contains(ANA) && rows[0].contains("127.0.0.1"), "{rows:?}");
    assert!(rows[1].contains("Created the app"), "{rows:?}");
    assert!(!page.body.contains("<i>x</i>"));
}
