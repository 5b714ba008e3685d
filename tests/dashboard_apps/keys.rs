//! Keys are added, rotated with an overlap, and revoked; each page says what is so.

use std::time::Duration;

use brevet::service::{app_keys, apps};

use super::{named, scene, shown, token_status};
use crate::support::browser::{Browser, Page};
use crate::support::{Credentials, PASSWORD, TestApp};

const HOUR: Duration = Duration::from_secs(3_600);

fn open(browser: &Browser, robot: &Credentials) -> Page {
    browser.get(&format!("/apps/{}/keys", robot.client_id)).assert_status(200)
}

fn rotate(app: &TestApp, browser: &Browser, robot: &Credentials, overlap: &str) -> Credentials {
    let page = browser.submit(&open(browser, robot), "/keys/rotate", &[("overlap", overlap)]).assert_status(200);
    assert_eq!(page.heading(), "App Key rotated");
    assert_eq!(page.header("cache-control"), "no-store");
    app.catch_up();
    shown(&page)
}

#[test]
fn a_rotated_key_works_beside_the_old_one_for_as_long_as_was_chosen() {
    let cases = [("0s", None), ("1h", Some(HOUR)), ("24h", Some(HOUR * 24)), ("7d", Some(HOUR * 168))];
    for (overlap, span) in cases {
        let (app, browser) = scene();
        let old = named(&app, "robot");
        let new = rotate(&app, &browser, &old, overlap);
        assert_eq!(token_status(&app, &new), 200, "{overlap}");
        let Some(span) = span else {
            assert_eq!(token_status(&app, &old), 401, "{overlap}");
            continue;
        };
        assert_eq!(token_status(&app, &old), 200, "{overlap}");
        let keys = apps::show(&app.management, old.id()).unwrap().keys;
        assert_eq!(keys[0].expires_at.unwrap().since(keys[0].created_at), span, "{overlap}");
        app.clock.advance(span - Duration::from_secs(1));
        assert_eq!(token_status(&app, &old), 200, "{overlap}, just before its end");
        app.clock.advance(Duration::from_secs(1));
        assert_eq!((token_status(&app, &old), token_status(&app, &new)), (401, 200), "{overlap}, at its end");
    }
}

#[test]
fn a_key_that_shall_stay_until_it_is_revoked_stays() {
    let (app, browser) = scene();
    let old = named(&app, "robot");
    let new = rotate(&app, &browser, &old, "until-revoked");
    app.clock.advance(HOUR * 24 * 365);
    app.catch_up();
    assert_eq!((token_status(&app, &old), token_status(&app, &new)), (200, 200));
}

#[test]
fn whoever_rotates_a_key_that_is_in_use_is_told_from_where() {
    use brevet::clock::Clock;
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    assert_eq!(open(&browser, &robot).texts("#in-use").len(), 0);
    assert_eq!(token_status(&app, &robot), 200);
    app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
    app.clock.advance(Duration::from_secs(600));
    let said = open(&browser, &robot).texts("#in-use");
    assert!(said[0].contains("is in use: 10 min ago from 127.0.0.1"), "{said:?}");
    app.clock.advance(HOUR);
    let page = browser.get(&format!("/apps/{}/keys", robot.client_id));
    assert_eq!(page.texts("#in-use").len(), 0, "{}", page.text());
}

#[test]
fn a_retiring_key_shows_how_long_it_works_and_who_still_uses_it() {
    let (app, browser) = scene();
    let old = named(&app, "robot");
    rotate(&app, &browser, &old, "24h");
    app.clock.advance(HOUR * 3);
    let browser = app.browser_of(super::ANA);
    app.token(&old);
    use brevet::clock::Clock;
    app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
    let page = open(&browser, &old);
    let rows = page.texts("tbody tr");
    assert!(rows[0].contains("Active") && rows[0].contains("never"), "{rows:?}");
    assert!(rows[1].contains("Retiring") && rows[1].contains("21 h left"), "{rows:?}");
    assert!(rows[1].contains("from 127.0.0.1") && rows[1].contains("22 Nov 2026, 03:00 UTC"), "{rows:?}");
    assert!(rows[1].contains(&format!("bvk_…{}", &old.secret[old.secret.len() - 4..])), "{rows:?}");
    assert!(page.texts(".warning")[0].contains("still in use from 127.0.0.1"));
}

#[test]
fn a_key_is_added_once_and_a_sixth_is_refused() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let page = open(&browser, &robot);
    let made = browser.submit(&page, "/keys", &[("key-expires-in", "30d")]).assert_status(200);
    app.catch_up();
    assert_eq!(token_status(&app, &shown(&made)), 200);
    let again = browser.submit(&page, "/keys", &[]).assert_status(409);
    assert!(again.faults()[0].contains("made then"), "{:?}", again.faults());
    let count = || app_keys::list(&app.management, robot.id()).unwrap().len();
    assert_eq!(count(), 2);
    let stale = open(&browser, &robot);
    for _ in 0..3 {
        browser.submit(&open(&browser, &robot), "/keys", &[]).assert_status(200);
    }
    let full = open(&browser, &robot);
    assert!(full.text().contains("The app has 5 keys that work, the most it may"), "{}", full.text());
    let refused = browser.submit(&stale, "/keys", &[]).assert_status(409);
    assert!(refused.faults()[0].contains("5 live keys"), "{:?}", refused.faults());
    assert_eq!(count(), 5);
}

#[test]
fn a_key_is_revoked_after_a_question_and_the_last_one_is_not() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let new = rotate(&app, &browser, &robot, "24h");
    let old_key = app_keys::list(&app.management, robot.id()).unwrap()[0].id;
    let path = format!("/apps/{}/keys/{old_key}/revoke", robot.client_id);
    let question = browser.get(&path).assert_status(200);
    assert!(question.text().contains("never used"), "{}", question.text());
    let done = browser.submit(&question, "/revoke", &[]).assert_status(200);
    assert_eq!(done.texts(".done"), ["The key is revoked."]);
    app.catch_up();
    assert_eq!((token_status(&app, &robot), token_status(&app, &new)), (401, 200));
    assert!(browser.get(&path).text().contains("There is nothing to revoke"));

    let last = app_keys::list(&app.management, robot.id()).unwrap()[1].id;
    let path = format!("/apps/{}/keys/{last}/revoke", robot.client_id);
    let page = browser.get(&path).assert_status(200);
    assert!(page.text().contains("This is the last key that works") && page.texts("main form").is_empty());
    let token = page.attribute("input[name=csrf]", "value").unwrap();
    let answer = browser.send("POST", &path, &[], Some(&format!("csrf={token}")));
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("the last key that works"), "{}", answer.body);
    assert_eq!(token_status(&app, &new), 200);
}

#[test]
fn an_app_whose_keys_have_all_ended_says_that_it_gets_no_token() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let new = app_keys::rotate(&app.management, robot.id(), Duration::ZERO, Some(HOUR)).unwrap();
    app.clock.advance(HOUR);
    let browser = {
        drop(browser);
        app.browser_of(super::ANA)
    };
    for page in [open(&browser, &robot), browser.get(&format!("/apps/{}", robot.client_id))] {
        assert!(page.texts(".problem")[0].contains("No token can be issued"), "{}", page.text());
    }
    assert!(browser.get("/apps").text().contains("No key works"));
    drop(new);
}

#[test]
fn what_cannot_be_undone_asks_for_the_password_after_ten_minutes() {
    let (app, browser) = scene();
    let robot = named(&app, "robot");
    let page = open(&browser, &robot);
    app.clock.advance(Duration::from_secs(601));
    let ask = browser.submit(&page, "/keys/rotate", &[("overlap", "0s")]).assert_status(403);
    assert_eq!(ask.heading(), "Confirm that it is you");
    assert_eq!(app_keys::list(&app.management, robot.id()).unwrap().len(), 1);
    let wrong = browser.submit(&ask, "/keys/rotate", &[("confirm-password", "wrong")]).assert_status(422);
    let done = browser.submit(&wrong, "/keys/rotate", &[("confirm-password", PASSWORD)]).assert_status(200);
    assert_eq!(done.heading(), "App Key rotated");
    app.catch_up();
    assert_eq!((token_status(&app, &robot), token_status(&app, &shown(&done))), (401, 200));
}
