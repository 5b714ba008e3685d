//! The page with all apps.

use brevet::db::developers::Role;
use brevet::service::apps;

use super::{named, scene, scene_of};

#[test]
fn the_list_has_its_empty_states() {
    let (app, browser) = scene();
    let page = browser.get("/apps").assert_status(200);
    assert_eq!(page.texts(".empty h2"), ["No apps yet"]);
    assert!(page.links().contains(&"/apps/new".to_owned()));
    named(&app, "robot");
    let page = browser.get("/apps?q=nothing");
    assert_eq!(page.texts(".empty h2"), ["No app matches"]);
    assert!(page.links().contains(&"/apps".to_owned()));
    let page = browser.get("/apps");
    assert_eq!((page.texts(".empty").len(), page.texts("tbody th")), (0, vec!["robot".to_owned()]));
}

#[test]
fn whoever_may_only_look_is_told_so_and_can_make_nothing() {
    let (app, browser) = scene_of(Role::Viewer, &[]);
    let page = browser.get("/apps").assert_status(200);
    assert!(!page.links().iter().any(|link| link.contains("/apps/new")), "{:?}", page.links());
    assert!(page.text().contains("Your role lets you look"));
    let robot = named(&app, "robot");
    let sid = &robot.client_id;
    browser.get("/apps/new").assert_status(403);
    for path in ["", "/keys", "/scopes", "/activity", "/settings"].map(|page| format!("/apps/{sid}{page}")) {
        let page = browser.get(&path).assert_status(200);
        assert!(page.texts("main form").is_empty(), "{path} has a form");
    }
    let token = page.attribute("input[name=csrf]", "value").unwrap();
    let key = apps::show(&app.management, robot.id()).unwrap().keys[0].id;
    for path in [
        "/apps".to_owned(),
        format!("/apps/{sid}/keys"),
        format!("/apps/{sid}/keys/rotate"),
        format!("/apps/{sid}/keys/{key}/revoke"),
        format!("/apps/{sid}/scopes"),
        format!("/apps/{sid}/settings"),
        format!("/apps/{sid}/authentication"),
        format!("/apps/{sid}/disable"),
        format!("/apps/{sid}/enable"),
        format!("/apps/{sid}/revoke-tokens"),
        format!("/apps/{sid}/delete"),
    ] {
        let answer = browser.send("POST", &path, &[], Some(&format!("csrf={token}&name=x&scope=billing:read")));
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(super::count_apps(&app), 1);
}

#[test]
fn the_list_is_filtered_sorted_and_turned_over_by_links_and_forms() {
    let (app, browser) = scene();
    for number in 0..30 {
        named(&app, &format!("robot {number:02}"));
    }
    apps::set_enabled(&app.management, named(&app, "off").id(), false).unwrap();
    let page = browser.get("/apps").assert_status(200);
    assert_eq!(page.texts("caption"), ["1 to 25 of 31 apps"]);
    assert_eq!(page.attribute("th[aria-sort=ascending] a", "href").as_deref(), Some("/apps?sort=-name"));
    let next = page.attribute("a[rel=next]", "href").unwrap();
    let page = browser.get(&next).assert_status(200);
    assert_eq!((page.texts("caption"), page.texts("tbody th").len()), (vec!["26 to 31 of 31 apps".to_owned()], 6));
    assert_eq!(page.attribute("a[rel=prev]", "href").as_deref(), Some("/apps"));
    let page = browser.get("/apps?sort=-name");
    assert_eq!(page.texts("tbody th")[0], "robot 29");
    assert_eq!(page.attribute("th[aria-sort=descending] a", "href").as_deref(), Some("/apps"));

    let page = browser.submit(&page, "/apps", &[("q", "robot 1"), ("status", "active")]).assert_status(200);
    assert_eq!(page.texts("caption"), ["1 to 10 of 10 found, 31 in all"]);
    assert_eq!(page.texts("tbody th")[0], "robot 19", "the order is kept");
    assert_eq!(page.attribute("#q", "value").as_deref(), Some("robot 1"));
    assert_eq!(page.texts("option[selected]"), ["Active", "All", "Everybody's", "25"]);
    assert_eq!(browser.get("/apps?status=disabled").texts("tbody th"), ["off"]);
    assert_eq!(browser.get("/apps?page=99").texts("caption"), ["26 to 31 of 31 apps"]);
}

#[test]
fn what_a_hostile_address_asks_for_is_a_bad_request() {
    let (_app, browser) = scene();
    for query in [
        "sort=hash",
        "sort=name'--",
        "page=0",
        "page=-1",
        "page=99999999999999999999",
        "size=1000000",
        "api=1%20OR%201=1",
        "status=%27%20OR%20%271%27=%271",
        "select=hash",
        "q=%00",
        "q=a&q=b",
    ] {
        let page = browser.get(&format!("/apps?{query}"));
        assert_eq!(page.status, 400, "{query}");
        assert!(!page.text().to_lowercase().contains("sql"), "{query}");
    }
    for query in ["q=%25", "q=%27%20OR%201=1%20--", "q=%5C", "q=_", "unknown="] {
        assert_eq!(browser.get(&format!("/apps?{query}")).status, 200, "{query}");
    }
    browser.get("/apps/x/activity?before=x").assert_status(404);
}
