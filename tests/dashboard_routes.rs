//! What holds for every route of the dashboard, read off the files that list them: a page that is added is tested here
//! before anybody thinks of it.

use std::fs;
use std::path::Path;

use brevet::db::audit::AuditFilter;
use brevet::db::developers::Role;
use brevet::service::trusted_issuers::{self, StandsFor};
use brevet::service::{app_keys, audit, team};
use uuid::Uuid;

use crate::support::browser::Browser;
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp};

const FILES: &[&str] = &["routes.rs", "apps/routes.rs", "apis.rs", "issuers.rs"];

/// A page or form.
#[derive(Debug, Clone)]
struct Route {
    method: &'static str,
    pattern: String,
}

/// Every route, and every method of it.
fn routes() -> Vec<Route> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/dashboard");
    let mut found = Vec::new();
    for file in FILES {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        for (call, methods) in [("get(\"", &["GET"][..]), ("get_and_post(\"", &["GET", "POST"]), ("post(\"", &["POST"])]
        {
            for (at, _) in text.match_indices(&format!("service({call}")) {
                let pattern = text[at..].split('"').nth(1).unwrap();
                found.extend(methods.iter().map(|method| Route { method, pattern: pattern.to_owned() }));
            }
        }
    }
    assert!(found.len() > 80, "the routes were not found: {}", found.len());
    found
}

/// Where everybody may come, or whoever has a link.
fn is_open(pattern: &str) -> bool {
    let open = ["/", "/login", "/login/2fa", "/signup", "/signup/done", "/reset", "/reset/sent", "/invite"];
    let by_link = ["/setup/", "/verify/", "/invite/", "/reset/", "/login/"];
    open.contains(&pattern) || by_link.iter().any(|prefix| pattern.starts_with(prefix))
}

/// Things of an organisation, by the names that stand for them in patterns.
struct Things {
    app: String,
    key: String,
    api: String,
    member: String,
    invitation: String,
    deed: String,
    session: String,
    issuer: String,
}

impl Things {
    /// What nobody has.
    fn unknown() -> Self {
        let id = || Uuid::now_v7().to_string();
        Self {
            app: id(),
            key: id(),
            api: id(),
            member: id(),
            invitation: id(),
            deed: id(),
            session: id(),
            issuer: id(),
        }
    }

    fn of(app: &TestApp, organisation: &str, credentials: &Credentials, member: Uuid) -> Self {
        let m = &app.management;
        let key = app_keys::list(m, credentials.id()).unwrap()[0].id;
        let api = brevet::service::apis::list(m, organisation).unwrap().remove(0).id;
        let organisation_id = brevet::service::organisations::list(m).unwrap();
        let organisation_id = organisation_id.iter().find(|known| known.slug == organisation).unwrap().id;
        team::invite(m, organisation_id, member, "guest@example.com", Role::Viewer).unwrap();
        let invitation = team::show(m, organisation_id).unwrap().waiting[0].id;
        let deed = audit::list(m, organisation, &AuditFilter::default(), None, 1).unwrap()[0].id;
        let session = brevet::service::sessions::list(m, member).unwrap()[0].id;
        let signer = Signer::ed25519("k1");
        let mut trusted = crate::trusted_issuers::settings(&signer, StandsFor::App(credentials.id()));
        trusted.name = "secret plans".to_owned();
        let issuer = trusted_issuers::create(m, organisation, trusted).unwrap().record.id;
        Self {
            app: credentials.client_id.clone(),
            key: key.to_string(),
            api: api.to_string(),
            member: member.to_string(),
            invitation: invitation.to_string(),
            deed: deed.to_string(),
            session: session.to_string(),
            issuer: issuer.to_string(),
        }
    }

    /// The pattern with these in it; nothing if it names none of them.
    fn fill(&self, pattern: &str) -> Option<String> {
        let id = match pattern.split('/').nth(1)? {
            "apis" => &self.api,
            "issuers" => &self.issuer,
            "audit" if pattern.contains("{id}") => &self.deed,
            "team" if pattern.contains("/members/") => &self.member,
            "team" => &self.invitation,
            "account" => &self.session,
            "admin" => &self.member,
            _ => &self.app,
        };
        let filled = pattern.replace("{sid}", &self.app).replace("{client_id}", &self.app).replace("{key}", &self.key);
        let filled = filled.replace("{id}", id).replace("{kid}", "kid").replace("{slug}", "other");
        (filled != pattern).then_some(filled)
    }
}

/// Two organisations, with somebody at work in each.
struct Town {
    app: TestApp,
    ana: Browser,
    others: Things,
    other_app: Credentials,
    other_owner: Browser,
}

impl Town {
    fn new() -> Self {
        let app = TestApp::new();
        app.create_organisation("other");
        app.create_api("other", "https://other.example", &["other:read"]);
        app.create_person("acme", "ana@example.com", Role::Owner);
        let olaf = app.create_person("other", "olaf@example.com", Role::Owner);
        let other_owner = app.browser_of("olaf@example.com");
        let new = brevet::service::apps::NewApp {
            name: "secret plans".to_owned(),
            ..crate::support::new_app(&["other:read"])
        };
        let other_app = app.create_app_with("other", new);
        let others = Things::of(&app, "other", &other_app, olaf);
        let ana = app.browser_of("ana@example.com");
        Self { app, ana, others, other_app, other_owner }
    }

    /// Sends what a form could hold, with the token of a page.
    fn send(browser: &Browser, method: &str, path: &str, csrf: &str) -> crate::support::http::Answer {
        let fields =
            "name=x&role=viewer&overlap=24h&email=x%40example.com&version=x&scope=billing%3Aread&expires=never&once=";
        let body = format!("csrf={csrf}&{fields}{}", Uuid::now_v7());
        browser.send(method, path, &[], (method == "POST").then_some(body.as_str()))
    }
}

/// The token that forms of this browser carry.
fn csrf(browser: &Browser) -> String {
    browser.get("/account").attribute("input[name=csrf]", "value").unwrap()
}

/// A page without what differs from one rendering to the next, and without the address that was asked for.
fn same_for_all(body: &str, path: &str) -> String {
    let mut rest = body.replace(path, "(path)");
    for mark in ["name=\"once\" value=\"", "Request <code>"] {
        while let Some(at) = rest.find(mark) {
            let end = at + mark.len() + rest[at + mark.len()..].find(['"', '<']).unwrap();
            rest.replace_range(at..end, "");
        }
    }
    rest
}

#[test]
fn what_belongs_to_another_organisation_is_like_nothing_on_every_route() {
    let town = Town::new();
    let token = csrf(&town.ana);
    let unknown = Things::unknown();
    let mut tried = 0;
    for Route { method, pattern } in routes() {
        if is_open(&pattern) || pattern.starts_with("/admin/") {
            continue;
        }
        let (Some(theirs), Some(nobodys)) = (town.others.fill(&pattern), unknown.fill(&pattern)) else { continue };
        let foreign = Town::send(&town.ana, method, &theirs, &token);
        let missing = Town::send(&town.ana, method, &nobodys, &token);
        assert_eq!((foreign.status.as_u16(), missing.status.as_u16()), (404, 404), "{method} {pattern}");
        assert_eq!(
            same_for_all(&foreign.body, &theirs),
            same_for_all(&missing.body, &nobodys),
            "{method} {pattern} tells another organisation's from none"
        );
        assert!(!foreign.body.contains("secret plans"), "{method} {pattern}");
        tried += 1;
    }
    assert!(tried > 25, "only {tried} routes have an object in their path");
    // Nothing happened to what was tried.
    assert!(!town.app.token(&town.other_app).is_empty());
    let page = town.other_owner.get(&format!("/apps/{}/keys", town.others.app)).assert_status(200);
    assert!(page.text().contains("Active"), "{}", page.text());
    town.other_owner.get(&format!("/apis/{}", town.others.api)).assert_status(200);
    assert!(town.other_owner.get("/team").text().contains("guest@example.com"));
}

#[test]
fn a_key_of_another_app_is_like_none_even_beside_an_app_of_ones_own() {
    let town = Town::new();
    let own = town.app.create_app(&["billing:read"]);
    let path = format!("/apps/{}/keys/{}/revoke", own.client_id, town.others.key);
    for method in ["GET", "POST"] {
        assert_eq!(Town::send(&town.ana, method, &path, &csrf(&town.ana)).status, 404, "{method}");
    }
}

#[test]
fn lists_search_and_exports_show_nothing_of_another_organisation() {
    let town = Town::new();
    for path in [
        "/",
        "/apps",
        "/apps?q=secret",
        "/apis",
        "/issuers",
        "/issuers?q=secret",
        "/audit",
        "/audit/export.csv",
        "/audit/export.jsonl",
        "/team",
        "/try?q=secret",
    ] {
        let page = town.ana.get(path).assert_status(200);
        for sign in ["secret plans", "other.example", "other:read", "olaf@example.com", &town.others.app] {
            assert!(!page.body.contains(sign), "{path} shows {sign}");
        }
    }
}

#[test]
fn nobody_who_is_not_signed_in_gets_further_than_the_sign_in_page() {
    let town = Town::new();
    let nobody = town.app.browser();
    for Route { method, pattern } in routes() {
        let path = town.others.fill(&pattern).unwrap_or_else(|| pattern.replace(".{format}", ".csv"));
        if is_open(&pattern) {
            continue;
        }
        let answer = Town::send(&nobody, method, &path, "");
        assert_eq!(answer.status, 303, "{method} {pattern}");
        assert!(answer.header("location").starts_with("/login"), "{method} {pattern}");
    }
}

#[test]
fn no_form_is_taken_without_the_token_of_its_page() {
    let town = Town::new();
    brevet::service::people::set_operator(
        &town.app.management,
        brevet::service::people::find_by_email(&town.app.management, "ana@example.com").unwrap().id,
        true,
    )
    .unwrap();
    let (ana, others_token) = (town.app.browser_of("ana@example.com"), csrf(&town.other_owner));
    for Route { method, pattern } in routes().into_iter().filter(|route| route.method == "POST") {
        let path = town.others.fill(&pattern).unwrap_or_else(|| pattern.replace("{token}", "bvl_x"));
        // Who is signed in already waits for no second factor.
        let refused = if pattern == "/login/2fa" { 303 } else { 403 };
        for token in ["", "AAAA", &others_token] {
            let answer = Town::send(&ana, method, &path, token);
            let status = answer.status.as_u16();
            let location = answer.header("location");
            assert_eq!(status, refused, "{method} {pattern} with {token:?} {location}");
        }
    }
}

#[test]
fn each_role_may_do_what_it_may_and_no_more() {
    let town = Town::new();
    let own = town.app.create_app(&["billing:read"]);
    let things = Things { app: own.client_id.clone(), ..Things::unknown() };
    let for_whoever = |pattern: &str| {
        ["/account", "/logout", "/login", "/try", "/inspect", "/team/leave", "/organisations/"]
            .iter()
            .any(|prefix| pattern.starts_with(prefix))
            || is_open(pattern)
    };
    let least = |Route { method, pattern }: &Route| match pattern.as_str() {
        pattern if pattern.starts_with("/admin/") => None,
        pattern if for_whoever(pattern) => Some(Role::Viewer),
        // Whoever decides who passes for an app has its power.
        "/issuers/{id}/test" => Some(Role::Viewer),
        pattern if pattern.starts_with("/issuers/") && (*method == "POST" || !pattern.ends_with("{id}")) => {
            Some(Role::Admin)
        }
        pattern if *method == "POST" && pattern.starts_with("/team") => Some(Role::Admin),
        pattern
            if ["/new", "/revoke", "/disable", "/revoke-tokens", "/delete", "/edit"]
                .iter()
                .any(|end| pattern.ends_with(end)) =>
        {
            Some(Role::Developer)
        }
        _ if *method == "POST" => Some(Role::Developer),
        _ => Some(Role::Viewer),
    };
    for role in [Role::Viewer, Role::Developer, Role::Admin, Role::Owner] {
        let email = format!("{role}@example.com");
        town.app.create_person("acme", &email, role);
        let browser = town.app.browser_of(&email);
        let token = csrf(&browser);
        for route in routes().into_iter().filter(|route| !is_open(&route.pattern)) {
            let Route { method, pattern } = &route;
            // These end the session or the membership.
            if ["/logout", "/team/leave", "/account/password", "/organisations/new"].contains(&pattern.as_str()) {
                continue;
            }
            let path = things.fill(pattern).unwrap_or_else(|| pattern.replace(".{format}", ".csv"));
            let answer = Town::send(&browser, method, &path, &token);
            let may = least(&route).is_some_and(|least| role.includes(least));
            assert_eq!(answer.status != 403, may, "{role}: {method} {pattern} answered {}", answer.status);
            assert!(answer.status.as_u16() < 500, "{role}: {method} {pattern} answered {}", answer.status);
        }
    }
}

#[test]
fn who_lacks_the_second_factor_that_is_demanded_can_set_one_up_and_little_else() {
    let app = TestApp::with(&[("require-2fa", "admins")]);
    let dev = app.create_person("acme", "dev@example.com", Role::Developer);
    let browser = app.browser_of("dev@example.com");
    browser.get("/apps").assert_status(200);
    let acme = brevet::service::organisations::list(&app.management).unwrap()[0].id;
    let promote =
        move |conn: &mut brevet::db::AnyConnection| brevet::db::members::update_role(conn, acme, dev, Role::Admin);
    app.management.database().write(promote).unwrap();

    let page = browser.get("/").assert_status(200);
    assert_eq!(page.path, "/account#two-factor");
    assert!(page.text().contains("demands a second factor of you"), "{}", page.text());
    assert!(page.texts("nav").is_empty() && !page.links().contains(&"/login".to_owned()), "it leads nowhere");
    let token = csrf(&browser);
    let may = ["/account", "/account/password", "/logout", "/account/2fa", "/account/2fa/begin", "/account/passkeys"];
    let things = Things::unknown();
    let mut refused = 0;
    for Route { method, pattern } in routes() {
        let is_for_it = may.contains(&pattern.as_str())
            || ["/start", "/begin", "/add"].iter().any(|end| pattern == format!("/account/passkeys{end}"));
        if is_open(&pattern) || is_for_it {
            continue;
        }
        let path = things.fill(&pattern).unwrap_or_else(|| pattern.replace(".{format}", ".csv"));
        let answer = Town::send(&browser, method, &path, &token);
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, "/account#two-factor"),
            "{method} {pattern}"
        );
        refused += 1;
    }
    assert!(refused > 70, "only {refused} routes were tried");

    let fields = [("current-password", crate::support::PASSWORD), ("new-password", "slow rivers carry stones")];
    let page = browser.submit(&browser.get("/account"), "/account/password", &fields).assert_status(200);
    assert!(page.text().contains("Your password is changed") || !page.texts(".done").is_empty());
    crate::support::one_time::enrol(&app, &browser);
    browser.get("/apps").assert_status(200);
}
