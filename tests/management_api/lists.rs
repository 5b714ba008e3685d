//! Lists come in pages, by cursors that stay good whatever is added or deleted meanwhile.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::db::usage::{self, Count, Counted};
use brevet::service::{Management, apps};
use serde_json::{Value, json};

use super::{Scene, problem, scene, scene_with, text};
use crate::support::{Credentials, new_app, postgres};

/// Reads a list to its end, and does something between two pages.
fn read_all(scene: &Scene, path: &str, limit: usize, mut between: impl FnMut()) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    let separator = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = scene.get(&format!("{path}{separator}limit={limit}{cursor}")).assert_status(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        seen.extend(items.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return seen };
        assert_eq!(items.len(), limit, "a page that is not the last is full");
        cursor = format!("&cursor={next}");
        between();
        assert!(seen.len() < 1_000, "a list without an end");
    }
}

#[test]
fn each_list_is_read_to_its_end_page_by_page() {
    let scene = scene();
    for number in 0..6 {
        let app = scene.app.create_app(&["billing:read"]);
        scene.app.create_api("acme", &format!("https://{number}.example"), &[]);
        scene.app.token(&app);
    }
    let now = brevet::clock::Clock::now(&*scene.app.clock);
    scene.app.authority.usage.flush(scene.app.management.database(), now).unwrap();
    for _ in 0..3 {
        scene.post(&format!("/apps/{}/keys", scene.admin.client_id), &json!({})).assert_status(201);
    }
    let keys = format!("/apps/{}/keys", scene.admin.client_id);
    for (path, id, least) in [
        ("/apps", "client_id", 7),
        ("/apis", "id", 8),
        (keys.as_str(), "id", 4),
        ("/keys", "kid", 1),
        ("/audit", "id", 14),
        ("/usage", "client_id", 7),
        ("/usage?by=day", "client_id", 7),
    ] {
        let whole = read_all(&scene, path, 100, || {});
        assert!(whole.len() >= least, "{path}: {}", whole.len());
        for limit in [1, 2, 3, whole.len(), whole.len() + 1] {
            assert_eq!(read_all(&scene, path, limit, || {}), whole, "{path} by {limit}");
        }
        let ids: HashSet<String> = whole.iter().map(|item| text(item, id)).collect();
        assert_eq!(ids.len(), whole.len(), "{path}: each once");
    }
    let deeds = read_all(&scene, "/audit", 100, || {});
    assert!(deeds.is_sorted_by(|a, b| text(a, "id") > text(b, "id")), "newest first");
}

#[test]
fn what_is_added_or_deleted_meanwhile_moves_nothing() {
    let scene = scene();
    let old: Vec<String> = (0..8).map(|_| scene.app.create_app(&[]).client_id).collect();
    let mut added = 0;
    let seen = read_all(&scene, "/apps", 2, || {
        apps::create(&scene.app.management, "acme", new_app(&[])).unwrap();
        added += 1;
    });
    assert!(added >= 4);
    let ids: Vec<String> = seen.iter().map(|app| text(app, "client_id")).collect();
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "none twice");
    assert!(old.iter().all(|id| distinct.contains(id)), "none left out");

    // The one that the cursor names may be gone.
    let first = scene.get("/apps?limit=1").json();
    let gone = text(&first["items"][0], "client_id");
    let second = scene.get(&format!("/apps?limit=1&cursor={}", text(&first, "next_cursor"))).json();
    if gone != scene.admin.client_id {
        scene.delete(&format!("/apps/{gone}")).assert_status(204);
        assert_eq!(scene.get(&format!("/apps?limit=1&cursor={}", text(&first, "next_cursor"))).json(), second);
    }

    // Newer deeds do not push older ones onto the next page.
    let deeds = scene.get("/audit?limit=3").json();
    let next = text(&deeds, "next_cursor");
    let second = scene.get(&format!("/audit?limit=3&cursor={next}")).json();
    scene.app.create_app(&[]);
    assert_eq!(scene.get(&format!("/audit?limit=3&cursor={next}")).json(), second);
}

#[test]
fn counts_that_stand_far_apart_are_found() {
    counts_far_apart(&[]);
    if let Some(url) = postgres::database() {
        counts_far_apart(&[("database-url", &url)]);
    }
}

fn counts_far_apart(settings: &[(&str, &str)]) {
    let scene = scene_with(settings);
    let apps = [scene.app.create_app(&[]), scene.app.create_app(&[])];
    let start = brevet::clock::Clock::now(&*scene.app.clock);
    let hours = [0_u32, 1, 2, 8, 9, 10, 72, 73, 74, 500, 700];
    for (number, hour) in hours.iter().enumerate() {
        let at = start + Duration::from_secs(3_600) * *hour;
        // The first app in every span, the second in every other.
        let count = |app: &Credentials| Count { of: Counted::App(app.id()), issued: i64::from(*hour) + 1, refused: 0 };
        let counts: Vec<Count> = apps.iter().take(1 + number % 2).map(count).collect();
        scene.app.management.database().write(move |conn| usage::add(conn, &counts, at)).unwrap();
    }
    let all = "/usage?from=2026-11-01T00:00:00Z&to=2027-01-31T00:00:00Z";
    for (path, first, second) in [(all.to_owned(), 11, 5), (format!("{all}&by=day"), 4, 3)] {
        let whole = read_all(&scene, &path, 100, || {});
        let starts: Vec<String> = whole.iter().map(|count| text(count, "start") + &text(count, "client_id")).collect();
        assert!(starts.is_sorted(), "{starts:?}");
        let of = |app: &Credentials| whole.iter().filter(|count| text(count, "client_id") == app.client_id).count();
        assert_eq!((of(&apps[0]), of(&apps[1])), (first, second), "{path}: {starts:?}");
        for limit in [1, 2, 7] {
            assert_eq!(read_all(&scene, &path, limit, || {}), whole, "{path} by {limit}");
        }
        let only = read_all(&scene, &format!("{path}&client_id={}", apps[1].client_id), 2, || {});
        assert_eq!(only.len(), second, "{path}");
    }
}

#[test]
fn those_who_read_lists_leave_connections_to_the_token_road() {
    let scene = scene();
    let cold = scene.app.create_app(&["billing:read"]);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let busy = Arc::new(AtomicUsize::new(0));
    for _ in 0..16 {
        let (app, held, busy) = (scene.app.authority.clone(), held.clone(), busy.clone());
        std::thread::spawn(move || {
            let slow = move |m: &Management| {
                let read = m.database().read(|_| {
                    busy.fetch_add(1, Ordering::SeqCst);
                    Ok(held.lock().unwrap().recv().is_err())
                });
                Ok(read?)
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(app.look(app.management.clone(), slow))
        });
    }
    while busy.load(Ordering::SeqCst) < 4 {
        std::thread::yield_now();
    }
    let answer = scene.app.token_request(&[], &cold.form());
    drop(release);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn a_query_that_says_anything_else_is_refused() {
    let scene = scene();
    scene.app.create_app(&[]);
    let cursor = text(&scene.get("/apps?limit=1").json(), "next_cursor");
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let foreign = encoded("audit 00000000-0000-7000-8000-000000000001");
    let cases = [
        "limit=0".to_owned(),
        "limit=101".to_owned(),
        "limit=-1".to_owned(),
        "limit=x".to_owned(),
        "limit=".to_owned(),
        "limit=1.5".to_owned(),
        "limit=99999999999999999999".to_owned(),
        "limit=1&limit=2".to_owned(),
        "cursor=".to_owned(),
        "cursor=evil".to_owned(),
        format!("cursor={cursor}x"),
        format!("cursor={cursor}="),
        format!("cursor={}", cursor.to_lowercase()),
        format!("cursor={foreign}"),
        format!("cursor={}", encoded("apps ' OR 1=1 --")),
        format!("cursor={}", encoded("apps 00000000-0000-4000-8000-000000000000' --")),
        format!("cursor={}", encoded("apps FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF")),
        format!("cursor={}", "A".repeat(10_000)),
        "cursor=%00".to_owned(),
        "offset=1".to_owned(),
        "after=00000000-0000-4000-8000-000000000000".to_owned(),
        "select=client_secret".to_owned(),
        "sort=name".to_owned(),
        "AppSid=x".to_owned(),
        "Limit=1".to_owned(),
    ];
    for query in &cases {
        let answer = scene.get(&format!("/apps?{query}"));
        assert_eq!(problem(&answer), "400 invalid_request", "{query}: {}", answer.body);
        assert!(!answer.body.contains("evil") && !answer.body.contains("OR 1=1"), "{query} is echoed");
    }
    for path in [
        "/audit?from=yesterday",
        "/audit?to=1795305600",
        "/audit?from=2026-11-22",
        "/audit?organisation=globex",
        "/audit?from=2026-11-22T00:00:00Z&from=2026-11-22T00:00:00Z",
        "/usage?by=minute",
        "/usage?client_id=x",
        "/usage?from=0",
        "/keys?alg=RS256",
    ] {
        assert_eq!(problem(&scene.get(path)), "400 invalid_request", "{path}");
    }
    let beyond = encoded("apps ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(scene.get(&format!("/apps?cursor={beyond}")).json(), json!({ "items": [], "next_cursor": null }));
}

#[test]
fn what_a_scope_means_to_people_is_changed_and_its_name_stays() {
    let scene = scene();
    let api = format!("/apis/{}", text(&scene.get("/apis").json()["items"][1], "id"));
    let scope = format!("{api}/scopes/billing%3Aread");
    let read = |answer: &crate::support::http::Answer| answer.json()["scopes"][0].clone();
    let changed = scene.patch(&scope, &json!({ "description": "Look at invoices" })).assert_status(200);
    assert_eq!(
        read(&changed),
        json!({ "name": "billing:read", "description": "Look at invoices", "sensitive": false })
    );
    let again = scene.patch(&scope, &json!({ "sensitive": true })).assert_status(200);
    assert_eq!(read(&again), json!({ "name": "billing:read", "description": "Look at invoices", "sensitive": true }));
    assert_ne!(changed.header("etag"), again.header("etag"));
    let stale =
        scene.send("PATCH", &scope, &[("if-match", changed.header("etag"))], Some(&json!({ "description": "" })));
    assert_eq!(stale.status, 412);
    assert_eq!(read(&scene.patch(&scope, &json!({})).assert_status(200)), read(&again), "nothing was asked for");
    assert_eq!(scene.patch(&format!("{api}/scopes/nothing"), &json!({})).status, 404);
    assert_eq!(scene.send("PUT", &scope, &[], None).header("allow"), "PATCH, DELETE");
}
