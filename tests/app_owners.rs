//! Who looks after an app: whoever made it, until another member does, or nobody.

use brevet::db::apps::{AppOrder, OwnerFilter};
use brevet::db::developers::Role;
use brevet::service::apps::{self, AppSearch};
use brevet::service::team;
use uuid::Uuid;

use crate::support::browser::{Browser, Page};
use crate::support::{Credentials, TestApp, audit};

const ANA: &str = "ana@example.com";
const BO: &str = "bo@example.com";

crate::support::postgres::on_both_databases! {
    whoever_makes_an_app_looks_after_it_until_another_does
    apps_of_who_leaves_stay_and_nobody_looks_after_them
    apps_are_found_by_who_looks_after_them
}

/// A server with an administrator and a developer.
struct Scene {
    app: TestApp,
    ana: Browser,
    bo_id: Uuid,
}

impl Scene {
    fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::with(settings);
        app.create_person("acme", ANA, Role::Owner);
        let bo_id = app.create_person("acme", BO, Role::Developer);
        let ana = app.browser_of(ANA);
        Self { app, ana, bo_id }
    }

    /// Makes an app at the dashboard.
    fn make(&self, browser: &Browser, name: &str) -> Credentials {
        let fields = [("name", name), ("scope", "billing:read"), ("do", "create")];
        let page = browser.submit(&browser.get("/apps/new"), "/apps", &fields).assert_status(200);
        Credentials { client_id: page.attribute("#sid", "value").unwrap(), secret: String::new() }
    }

    fn settings(&self, client: &Credentials) -> (Page, String) {
        let path = format!("/apps/{}", client.client_id);
        (self.ana.get(&format!("{path}/settings")).assert_status(200), format!("{path}/transfer"))
    }

    fn owner(&self, client: &Credentials) -> Option<String> {
        apps::show(&self.app.management, client.id()).unwrap().owner
    }

    fn organisation(&self, slug: &str) -> Uuid {
        let all = brevet::service::organisations::list(&self.app.management).unwrap();
        all.iter().find(|organisation| organisation.slug == slug).unwrap().id
    }
}

fn whoever_makes_an_app_looks_after_it_until_another_does(settings: &[(&str, &str)]) {
    let scene = Scene::new(settings);
    let robot = scene.make(&scene.ana, "robot");
    assert_eq!(scene.owner(&robot).as_deref(), Some(ANA));
    assert_eq!(scene.owner(&scene.app.create_app(&[])), None, "made by no person");
    let (page, transfer) = scene.settings(&robot);
    assert!(page.text().contains(&format!("{ANA} looks after this app.")), "{}", page.text());
    assert_eq!(page.texts("#owner option"), [BO], "whoever looks after it is not offered");
    let page = scene.ana.submit(&page, &transfer, &[("owner", BO)]).assert_status(200);
    assert_eq!(page.texts(".done"), ["Another member looks after the app now."]);
    assert_eq!(scene.owner(&robot).as_deref(), Some(BO));
    assert!(scene.ana.get(&format!("/apps/{}", robot.client_id)).text().contains(BO));
    let deed = audit(&scene.app, "acme").remove(0);
    assert_eq!((deed.action.as_str(), deed.detail["owner"]["from"].as_str()), ("app.transfer", Some(ANA)));
    assert_eq!(deed.detail["owner"]["to"], BO);
    assert!(deed.actor.starts_with("user:"));
    let activity = scene.ana.get(&format!("/apps/{}/activity", robot.client_id));
    assert!(activity.text().contains("Handed the app over"));
}

fn apps_of_who_leaves_stay_and_nobody_looks_after_them(settings: &[(&str, &str)]) {
    let scene = Scene::new(settings);
    let bo = scene.app.browser_of(BO);
    let (robot, kept) = (scene.make(&bo, "robot"), scene.make(&scene.ana, "kept"));
    assert!(!scene.ana.get("/").text().contains("without owner"));
    let (organisation, ana) = (scene.organisation("acme"), brevet::service::people::find_by_email);
    let ana = ana(&scene.app.management, ANA).unwrap().id;
    team::remove(&scene.app.management, organisation, ana, scene.bo_id).unwrap();
    assert_eq!((scene.owner(&robot), scene.owner(&kept).as_deref()), (None, Some(ANA)));
    let deed = audit(&scene.app, "acme").remove(0);
    assert_eq!((deed.action.as_str(), &deed.detail["apps_without_owner"]), ("member.remove", &serde_json::json!(1)));
    let home = scene.ana.get("/");
    assert!(home.text().contains("1 app without owner"), "{}", home.text());
    assert!(home.links().contains(&"/apps?owner=none".to_owned()));
    let page = scene.ana.get("/apps?owner=none").assert_status(200);
    assert_eq!(page.texts("tbody th a"), ["robot"]);
    scene.app.create_person("acme", "dev@example.com", Role::Developer);
    assert!(!scene.app.browser_of("dev@example.com").get("/").text().contains("without owner"));
    // Who comes back does not find them as they were left.
    assert_eq!(scene.settings(&robot).0.texts("#owner option"), [ANA, "dev@example.com"]);
}

fn apps_are_found_by_who_looks_after_them(settings: &[(&str, &str)]) {
    let scene = Scene::new(settings);
    let bo = scene.app.browser_of(BO);
    scene.make(&scene.ana, "of ana");
    scene.make(&bo, "of bo");
    scene.app.create_app(&[]);
    let names = |browser: &Browser, query: &str| browser.get(query).assert_status(200).texts("tbody th a");
    assert_eq!(names(&scene.ana, "/apps?owner=me"), ["of ana"]);
    assert_eq!(names(&bo, "/apps?owner=me"), ["of bo"]);
    assert_eq!(names(&bo, "/apps?owner=none"), ["robot"]);
    assert_eq!(names(&bo, "/apps").len(), 3);
    let rows = bo.get("/apps").texts("tbody th");
    assert!(rows[0].contains(ANA) && rows[1].contains(BO) && !rows[2].contains("Owner"), "{rows:?}");
    let page = bo.get("/apps?owner=me");
    assert_eq!(page.texts("#owner [selected]"), ["Mine"]);
    assert!(page.texts("caption")[0].contains("1 to 1 of 1 found, 3 in all"));
    bo.get("/apps?owner=ana%40example.com").assert_status(400);
}

#[test]
fn only_members_who_may_change_apps_look_after_one() {
    let scene = Scene::new(&[]);
    let app = &scene.app;
    app.create_person("acme", "view@example.com", Role::Viewer);
    let gone = app.create_person("acme", "gone@example.com", Role::Developer);
    brevet::service::people::set_enabled(&app.management, gone, false).unwrap();
    app.create_organisation("rival");
    app.create_person("rival", "rita@example.com", Role::Owner);
    let robot = scene.make(&scene.ana, "robot");
    let (page, transfer) = scene.settings(&robot);
    assert_eq!(page.texts("#owner option"), [BO]);
    for other in ["view@example.com", "gone@example.com", "rita@example.com", "nobody@example.com", "", "' OR 1=1"] {
        let page = scene.ana.submit(&page, &transfer, &[("owner", other)]).assert_status(422);
        assert_eq!(page.faults(), ["Choose a member who is a developer or more in this organisation"], "{other}");
        assert!(page.links().contains(&"#owner".to_owned()));
    }
    assert_eq!(scene.owner(&robot).as_deref(), Some(ANA));
    let viewer = app.browser_of("view@example.com");
    let looks = viewer.get(&format!("/apps/{}/settings", robot.client_id)).assert_status(200);
    assert!(looks.text().contains(ANA) && looks.texts("#owner").is_empty());
    let csrf = viewer.get("/account").attribute("input[name=csrf]", "value").unwrap();
    let body = format!("csrf={csrf}&owner={BO}&version=x");
    assert_eq!(viewer.send("POST", &transfer, &[], Some(&body)).status, 403);
}

#[test]
fn of_two_who_hand_an_app_over_the_second_is_told_that_it_changed() {
    let scene = Scene::new(&[]);
    scene.app.create_person("acme", "cy@example.com", Role::Developer);
    let robot = scene.make(&scene.ana, "robot");
    let (page, transfer) = scene.settings(&robot);
    scene.ana.submit(&page, &transfer, &[("owner", BO)]).assert_status(200);
    scene.ana.submit(&page, &transfer, &[("owner", "cy@example.com")]).assert_status(409);
    assert_eq!(scene.owner(&robot).as_deref(), Some(BO));
}

#[test]
fn the_filter_names_nobody_elses_organisation() {
    let scene = Scene::new(&[]);
    scene.make(&scene.ana, "robot");
    scene.app.create_organisation("rival");
    let search = AppSearch {
        words: None,
        enabled: None,
        api_id: None,
        unused: false,
        ending: false,
        owner: Some(OwnerFilter::Nobody),
        order: AppOrder::Name,
        descending: false,
        page: 1,
        per_page: 25,
    };
    let found = |slug: &str, owner| {
        apps::search(&scene.app.management, slug, &AppSearch { owner, ..search.clone() }).unwrap().found
    };
    let ana = brevet::service::people::find_by_email(&scene.app.management, ANA).unwrap().id;
    assert_eq!((found("acme", Some(OwnerFilter::Person(ana))), found("rival", Some(OwnerFilter::Person(ana)))), (1, 0));
    assert_eq!((found("acme", Some(OwnerFilter::Nobody)), found("rival", Some(OwnerFilter::Nobody))), (0, 0));
}
