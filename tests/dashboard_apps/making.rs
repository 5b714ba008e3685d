//! An app is made once, its key is shown once.

use std::sync::{Arc, Barrier};
use std::thread;

use brevet::db::developers::Role;
use brevet::service::apps;

use super::{count_apps, scene, scene_of, shown, token_status};

const FIELDS: &[(&str, &str)] = &[("name", "Invoice sync"), ("scope", "billing:read"), ("do", "create")];

#[test]
fn an_app_is_made_and_its_key_works_and_is_never_seen_again() {
    let (app, browser) = scene();
    let form = browser.get("/apps/new").assert_status(200);
    assert!(!form.body.contains(" checked>\n<label for=\"scope"), "a scope is ticked beforehand");
    let fields = [FIELDS, &[("description", "Every night"), ("key-expires-in", "90d"), ("lifetime", "1h")]].concat();
    let page = browser.submit(&form, "/apps", &fields).assert_status(200);

    assert_eq!((page.heading().as_str(), page.path.as_str()), ("App created", "/apps"));
    assert_eq!(page.header("cache-control"), "no-store");
    let made = shown(&page);
    app.catch_up();
    assert_eq!(token_status(&app, &made), 200);
    for block in ["#as-env", "#as-json", "#as-kubernetes", "#as-curl"] {
        let text = page.texts(block).remove(0);
        assert!(text.contains(&made.secret) && text.contains(&made.client_id), "{block}: {text}");
    }
    let details = apps::show(&app.management, made.id()).unwrap();
    assert_eq!((details.app.name.as_str(), details.app.description.as_str()), ("Invoice sync", "Every night"));
    assert!(details.keys[0].created_by.starts_with("user:") && details.keys[0].expires_at.is_some());

    let sid = &made.client_id;
    for path in ["", "/keys", "/scopes", "/activity", "/settings"].map(|page| format!("/apps/{sid}{page}")) {
        let page = browser.get(&path).assert_status(200);
        assert!(!page.body.contains(&made.secret), "{path} shows the key");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    let again = browser.submit(&form, "/apps", &fields).assert_status(409);
    assert_eq!(again.heading(), "This app was created already");
    assert!(again.links().contains(&format!("/apps/{sid}")), "{:?}", again.links());
    assert!(!again.body.contains(&made.secret));
    assert_eq!(count_apps(&app), 1);
}

#[test]
fn the_same_form_sent_twenty_times_at_once_makes_one_app() {
    const SENDERS: usize = 20;
    let (app, browser) = scene();
    let (_, _, body) = browser.get("/apps/new").filled_form("/apps", FIELDS);
    let session = browser.cookie("brevet-session").unwrap();
    let together = Arc::new(Barrier::new(SENDERS));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let send = |_| {
            let (app, body, session, together) = (&app, &body, &session, together.clone());
            scope.spawn(move || {
                let browser = app.browser();
                browser.set_cookie("brevet-session", session);
                together.wait();
                browser.send("POST", "/apps", &[], Some(body)).status.as_u16()
            })
        };
        let threads: Vec<_> = (0..SENDERS).map(send).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 409 | 503)), "{statuses:?}");
    assert_eq!(count_apps(&app), 1);
}

#[test]
fn what_is_wrong_is_said_at_its_field_and_what_was_entered_is_kept() {
    let (app, browser) = scene();
    let form = browser.get("/apps/new");
    let long = "x".repeat(101);
    let text = "x".repeat(501);
    let cases: [(&[(&str, &str)], &str, &str); 8] = [
        (&[("name", " "), ("scope", "billing:read")], "name", "Enter a name"),
        (&[("name", &long), ("scope", "billing:read")], "name", "1 to 100 characters"),
        (&[("name", "a\u{202e}b"), ("scope", "billing:read")], "name", "invisible"),
        (&[("name", "a")], "scopes", "Tick at least one scope"),
        (&[("name", "a"), ("scope", "billing:read"), ("description", &text)], "description", "500 characters"),
        (&[("name", "a"), ("scope", "billing:read"), ("lifetime", "soon")], "lifetime", "15m, 1h or 24h"),
        (&[("name", "a"), ("scope", "billing:read"), ("lifetime", "25h")], "lifetime", "access-token-lifetime"),
        (&[("name", "a"), ("scope", "billing:read"), ("key-expires-in", "x")], "key-expires-in", "Choose"),
    ];
    for (fields, field, message) in cases {
        let page = browser.submit(&form, "/apps", fields).assert_status(422);
        let faults = page.faults();
        assert!(faults.len() == 1 && faults[0].contains(message), "{field}: {faults:?}");
        assert!(page.links().contains(&format!("#{field}")), "{field}: {:?}", page.links());
        assert!(page.attribute(&format!("#{field}"), "id").is_some(), "{field}");
        assert!(page.texts("title")[0].starts_with("Error: "));
        let name = fields.iter().find(|(name, _)| *name == "name").unwrap().1;
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
    }
    let page = browser.submit(&form, "/apps", &[("name", "a"), ("scope", "nothing:here")]).assert_status(422);
    assert!(page.faults()[0].contains("nothing:here") || page.faults()[0].contains("scope"), "{:?}", page.faults());
    assert_eq!(count_apps(&app), 0);
    // The form that was refused can still be sent, once.
    browser.submit(&page, "/apps", FIELDS).assert_status(200);
    assert_eq!(count_apps(&app), 1);
}

#[test]
fn buttons_beside_the_scopes_tick_and_untick_and_a_summary_makes_nothing() {
    let (app, browser) = scene();
    let form = browser.get("/apps/new");
    let api = form.attribute("details.scopes button[name=do]", "value").unwrap();
    assert!(api.starts_with("read:"), "{api}");
    let ticked = |page: &crate::support::browser::Page| page.texts("details.scopes .choice:has([checked]) code");
    let page = browser.submit(&form, "/apps", &[("name", "a"), ("do", &api)]).assert_status(200);
    assert_eq!(ticked(&page), ["billing:read"]);
    let page = browser.submit(&page, "/apps", &[("do", "summary"), ("key-expires-in", "30d")]).assert_status(200);
    assert!(page.texts("section.panel")[0].contains("22 Dec 2026"), "{:?}", page.texts("section.panel"));
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("a"));
    let page = browser.submit(&page, "/apps", &[("do", &api.replace("read:", "none:"))]).assert_status(200);
    assert_eq!(ticked(&page), Vec::<String>::new());
    assert_eq!(count_apps(&app), 0);
}

#[test]
fn scopes_of_the_server_itself_stand_apart_with_a_warning() {
    let (_app, browser) = scene();
    let groups = browser.get("/apps/new").texts("details.scopes");
    assert_eq!(groups.len(), 2);
    assert!(groups[0].contains("billing:read") && !groups[0].contains("power over Brevet"));
    assert!(groups[1].contains("apps:write") && groups[1].contains("power over Brevet"));
}

#[test]
fn without_an_api_the_form_leads_to_one_and_keeps_what_was_entered() {
    let app = crate::support::TestApp::empty(&[]);
    app.create_organisation("acme");
    app.create_person("acme", super::ANA, Role::Developer);
    let browser = app.browser_of(super::ANA);
    let form = browser.get("/apps/new").assert_status(200);
    assert!(form.text().contains("There is no API yet"));
    let (target, _, body) = form.filled_form("/apps", &[("name", "a & b"), ("description", "two"), ("do", "api")]);
    let answer = browser.send("POST", &target, &[], Some(&body));
    let to = answer.header("location").to_owned();
    assert!(to.starts_with("/apis/new?return_to="), "{to}");
    let back = url::form_urlencoded::parse(to.split_once('?').unwrap().1.as_bytes()).next().unwrap().1.into_owned();
    let form = browser.get(&back).assert_status(200);
    assert_eq!(form.attribute("#name", "value").as_deref(), Some("a & b"));
    assert_eq!(form.texts("#description"), ["two"]);
}

#[test]
fn an_organisation_with_as_many_apps_as_it_may_have_is_told_so() {
    let (app, browser) = scene_of(Role::Developer, &[("apps-per-organisation", "1")]);
    browser.submit(&browser.get("/apps/new"), "/apps", FIELDS).assert_status(200);
    let page = browser.submit(&browser.get("/apps/new"), "/apps", FIELDS).assert_status(422);
    assert!(page.faults()[0].contains("has 1 apps, the most it may"), "{:?}", page.faults());
    assert_eq!(count_apps(&app), 1);
}

#[test]
fn fields_that_no_page_has_are_ignored_and_fields_that_come_twice_are_refused() {
    let (app, browser) = scene();
    let form = browser.get("/apps/new");
    let extra = [FIELDS, &[("organisation_id", "x"), ("is_admin", "1"), ("client_id", "x"), ("dpop_required", "1")]];
    let made = shown(&browser.submit(&form, "/apps", &extra.concat()).assert_status(200));
    assert!(!apps::show(&app.management, made.id()).unwrap().app.dpop_required);
    let (_, _, body) = browser.get("/apps/new").filled_form("/apps", FIELDS);
    let answer = browser.send("POST", "/apps", &[], Some(&format!("{body}&name=other")));
    assert_eq!(answer.status, 400);
    assert_eq!(count_apps(&app), 1);
}
