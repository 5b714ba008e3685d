//! What belongs to others is as what does not exist, and what people write stays text.

use brevet::db::developers::Role;
use brevet::service::apps::{self, NewApp};

use super::{named, scene, scene_of};
use crate::support::new_app;

#[test]
fn the_app_of_another_organisation_is_as_none() {
    let (app, browser) = scene_of(Role::Owner, &[]);
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let theirs = app.create_app_with("rival", NewApp { name: "secret plan".to_owned(), ..new_app(&["rival:read"]) });
    let ours = named(&app, "ours");
    let key = apps::show(&app.management, theirs.id()).unwrap().keys[0].id.to_string();
    let nobody = uuid::Uuid::new_v4().to_string();
    let token = browser.get("/apps/new").attribute("input[name=csrf]", "value").unwrap();
    let pages = [
        "",
        "/keys",
        "/keys/rotate",
        "/keys/KEY/revoke",
        "/scopes",
        "/activity",
        "/settings",
        "/authentication",
        "/disable",
        "/enable",
        "/revoke-tokens",
        "/delete",
    ];
    let body = format!(
        "csrf={token}&once=0123456789abcdef&version=x&name=x&overlap=24h&scope=billing:read&do=save&auth-method=client_secret&confirm=secret+plan"
    );
    let plain = |text: &str, sid: &str| {
        let text = text.replace(sid, "SID").replace(&key, "KEY");
        // What is fresh in each page.
        let fresh = |part: &str| {
            part.contains("name=\"once\"") || part.contains("Request <code>") || part.contains("request_id")
        };
        text.lines().filter(|line| !fresh(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    for page in pages {
        for (method, body) in [("GET", None), ("POST", Some(body.as_str()))] {
            let ask = |sid: &str| {
                let path = format!("/apps/{sid}{}", page.replace("KEY", &key));
                let answer = browser.send(method, &path, &[], body);
                (answer.status.as_u16(), plain(&answer.body, sid))
            };
            let (of_rival, of_nobody) = (ask(&theirs.client_id), ask(&nobody));
            assert_eq!(of_rival, of_nobody, "{method} {page}");
            assert!(matches!(of_rival.0, 404 | 405), "{method} {page}: {}", of_rival.0);
        }
    }
    // A key of theirs under an app of ours is none either.
    let mixed = format!("/apps/{}/keys/{key}/revoke", ours.client_id);
    assert_eq!(browser.send("GET", &mixed, &[], None).status, 404);
    assert_eq!(browser.send("POST", &mixed, &[], Some(&body)).status, 404);
    let details = apps::show(&app.management, theirs.id()).unwrap();
    assert_eq!((details.keys.len(), details.app.name.as_str()), (1, "secret plan"));
    assert!(details.keys[0].revoked_at.is_none() && details.app.disabled_at.is_none());
    assert!(!browser.get("/apps?q=secret").body.contains("secret plan"));
    for sid in ["x", "..%2f..", &theirs.client_id.to_uppercase(), "00000000-0000-0000-0000-000000000000%20"] {
        assert_eq!(browser.get(&format!("/apps/{sid}")).status, 404, "{sid}");
    }
}

#[test]
fn what_people_write_is_text_wherever_it_is_shown() {
    let probes = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "{{page.csrf}} {{{x}}} ${1}",
        "=cmd|' /C calc'!A0",
        "</textarea></title><b>",
        "javascript:alert(1)",
        "a &amp; b &lt;",
    ];
    for probe in probes {
        let (app, browser) = scene();
        let new = NewApp { name: probe.to_owned(), description: probe.to_owned(), ..new_app(&["billing:read"]) };
        let robot = app.create_app_with("acme", new);
        let sid = &robot.client_id;
        let key = apps::show(&app.management, robot.id()).unwrap().keys[0].id;
        let paths = ["", "/keys", "/scopes", "/activity", "/settings", "/disable", "/delete", "/revoke-tokens"];
        let mut pages: Vec<_> = paths.iter().map(|page| browser.get(&format!("/apps/{sid}{page}"))).collect();
        pages.push(browser.get("/apps"));
        pages.push(browser.get(&format!("/apps/{sid}/keys/{key}/revoke")));
        let query = url::form_urlencoded::byte_serialize(probe.as_bytes()).collect::<String>();
        pages.push(browser.get(&format!("/apps?q={query}")));
        pages.push(browser.get(&format!("/apps/new?name={query}&description={query}&api={query}")));
        pages.push(browser.submit(&browser.get("/apps/new"), "/apps", &[("name", probe), ("description", probe)]));
        pages.push(browser.submit(&browser.get("/apps/new"), "/apps", &[("name", probe), ("scope", "billing:read")]));
        let stale = browser.get(&format!("/apps/{sid}/settings"));
        browser.submit(&stale, "/settings", &[("lifetime", "1h")]).assert_status(200);
        pages.push(browser.submit(&stale, "/settings", &[]).assert_status(409));
        let mut seen = 0;
        for page in pages {
            assert!(matches!(page.status, 200 | 409 | 422), "{} {probe}: {}", page.path, page.status);
            for live in ["<script>alert", "<img src=x", " onmouseover='alert", "<b>", "href=\"javascript:"] {
                assert!(!page.body.contains(live), "{probe} is alive in {}: {live}", page.path);
            }
            seen += usize::from(page.text().contains(&probe.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        assert!(seen >= 8, "{probe} is shown {seen} times only");
    }
}
