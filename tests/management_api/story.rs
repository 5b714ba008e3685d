//! What each route does, on both databases.

use std::time::Duration;

use brevet::oauth::api::management_scope;
use brevet::service::app_keys;
use serde_json::json;

use super::{Scene, problem, scene_with, send, text};
use crate::client_assertion::{claims, form};
use crate::support::signer::Signer;
use crate::support::{Credentials, START};

crate::support::postgres::on_both_databases! {
    an_app_is_registered_changed_switched_off_and_deleted
    an_app_is_registered_with_public_keys_and_changes_how_it_proves_who_it_is
    an_app_is_held_to_dpop_and_released
    an_app_is_held_to_networks_and_released
    keys_are_added_rotated_and_revoked
    a_key_with_an_end_of_its_own_overlaps_like_any_other
    an_api_is_registered_changed_and_deleted
    deeds_counts_and_keys_are_shown
    nobody_hands_on_power_that_they_have_not
    power_that_was_taken_away_is_gone_at_once
    changes_are_made_only_to_what_was_read
}

type Settings<'a> = &'a [(&'a str, &'a str)];

fn credentials(answer: &serde_json::Value) -> Credentials {
    Credentials { client_id: text(answer, "client_id"), secret: text(answer, "client_secret") }
}

fn token_status(scene: &Scene, app: &Credentials) -> u16 {
    scene.app.token_request(&[], &app.form()).status.as_u16()
}

fn an_app_is_registered_changed_switched_off_and_deleted(settings: Settings) {
    let scene = scene_with(settings);
    let new = json!({
        "name": " Invoice sync ", "description": "Every night\r\nat two ", "scopes": ["billing:read"], "lifetime": "1h", "claims": { "https://acme.example/plan": "gold" },
    });
    let created = scene.post("/apps", &new).assert_status(201);
    let body = created.json();
    let robot = credentials(&body);
    let path = format!("/apps/{}", robot.client_id);
    assert_eq!(created.header("location"), format!("http://127.0.0.1:8080/api/v1{path}"));
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!((text(&body, "name"), text(&body, "lifetime")), ("Invoice sync".to_owned(), "1h".to_owned()));
    assert_eq!(
        (text(&body, "description"), &body["scopes"]),
        ("Every night\nat two".to_owned(), &json!(["billing:read"]))
    );

    // It works at once, with its claims, and its key is never seen again.
    let token = scene.app.token(&robot);
    assert_eq!(crate::support::decode_jwt(&token).1["https://acme.example/plan"], "gold");
    let shown = scene.get(&path).assert_status(200);
    assert_eq!(shown.header("etag"), created.header("etag"));
    for answer in [&shown, &scene.get("/apps"), &scene.get(&format!("{path}/keys")), &scene.get("/audit")] {
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains(&robot.secret), "{}", answer.body);
    }

    let changed = scene.patch(
        &path,
        &json!({ "name": "Sync", "description": "", "scopes": ["billing:write"], "lifetime": null, "claims": {} }),
    );
    let changed = changed.assert_status(200);
    assert_ne!(changed.header("etag"), shown.header("etag"));
    let body = changed.json();
    assert_eq!(body, scene.get(&path).json());
    assert_eq!((text(&body, "name"), &body["scopes"]), ("Sync".to_owned(), &json!(["billing:write"])));
    assert_eq!((&body["description"], &body["lifetime"], &body["claims"]), (&json!(""), &json!(null), &json!({})));
    let claims = crate::support::decode_jwt(&scene.app.token(&robot)).1;
    assert_eq!((&claims["scope"], &claims["https://acme.example/plan"]), (&json!("billing:write"), &json!(null)));

    // Switched off on this node, this node refuses at once, without waiting for its tail.
    assert_eq!(text(&scene.patch(&path, &json!({ "enabled": false })).assert_status(200).json(), "status"), "disabled");
    assert_eq!(token_status(&scene, &robot), 401);
    scene.app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    assert_eq!(text(&scene.patch(&path, &json!({ "enabled": true })).assert_status(200).json(), "status"), "active");
    assert_eq!(token_status(&scene, &robot), 200);

    // Its tokens can be ended without it.
    let token = scene.app.token(&robot);
    scene.app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    let cut = scene.send("POST", &format!("{path}/revoke-tokens"), &[], None).assert_status(200).json();
    assert_eq!(text(&cut, "not_before"), "2026-11-22T00:00:01Z");
    scene.app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    scene.app.clock.advance(Duration::from_secs(1));
    let token = scene.app.token(&robot);
    scene.app.get_with_token("/api/v1/whoami", &token).assert_status(200);

    let unchanged = scene.patch(&path, &json!({ "enabled": true })).assert_status(200);
    assert_eq!(unchanged.json()["status"], "active");
    scene.delete(&path).assert_status(204);
    assert_eq!(token_status(&scene, &robot), 401);
    assert_eq!(problem(&scene.get(&path)), "404 not_found");
    assert_eq!(problem(&scene.delete(&path)), "404 not_found");
    assert_eq!(problem(&scene.patch(&path, &json!({ "name": "x" }))), "404 not_found");

    let deeds = scene.get(&format!("/audit?target={}", robot.client_id)).assert_status(200).json();
    let actions: Vec<String> = deeds["items"].as_array().unwrap().iter().map(|deed| text(deed, "action")).collect();
    assert_eq!(actions, ["app.delete", "app.revoke-tokens", "app.enable", "app.disable", "app.update", "app.create"]);
}

fn an_app_is_registered_with_public_keys_and_changes_how_it_proves_who_it_is(settings: Settings) {
    let scene = scene_with(settings);
    let (signer, next) = (Signer::p256("k"), Signer::ed25519("next"));
    let sign = |signer: &Signer, client_id: &str| form(&signer.sign(&claims(client_id, START.seconds())));
    let status = |body: &str| scene.app.token_request(&[], body).status.as_u16();

    let new = json!({
        "name": "robot", "scopes": ["billing:read"], "auth_method": "private_key_jwt", "jwks": { "keys": [signer.jwk] },
    });
    let created = scene.post("/apps", &new).assert_status(201);
    let body = created.json();
    let sid = text(&body, "client_id");
    assert_eq!((&body["client_secret"], &body["key_id"]), (&json!(null), &json!(null)), "it has no App Key");
    assert_eq!(text(&body, "auth_method"), "private_key_jwt");
    assert_eq!((&body["jwks"], &body["jwks_uri"]), (&new["jwks"], &json!(null)));
    assert_eq!(status(&sign(&signer, &sid)), 200);
    let path = format!("/apps/{sid}");
    let shown = scene.get(&path).assert_status(200);
    let listed = scene.get("/apps").json()["items"].as_array().unwrap().clone();
    assert!(listed.contains(&shown.json()), "the list shows it as it is");
    assert_eq!(problem(&scene.send("POST", &format!("{path}/keys"), &[], None)), "409 conflict");

    // Other keys: the old ones are worth nothing at once.
    let changed = scene.patch(&path, &json!({ "jwks": { "keys": [next.jwk] } })).assert_status(200);
    assert_ne!(changed.header("etag"), shown.header("etag"));
    assert_eq!((status(&sign(&signer, &sid)), status(&sign(&next, &sid))), (401, 200));
    let changed = scene.patch(&path, &json!({ "jwks_uri": "https://App.example.com" })).assert_status(200).json();
    assert_eq!((&changed["jwks"], &changed["jwks_uri"]), (&json!(null), &json!("https://app.example.com/")));

    // Back to App Keys, of which one must be made; and away from them again, which revokes it.
    let changed = scene.patch(&path, &json!({ "auth_method": "client_secret" })).assert_status(200).json();
    assert_eq!((text(&changed, "auth_method"), &changed["jwks_uri"]), ("client_secret".to_owned(), &json!(null)));
    let key = scene.send("POST", &format!("{path}/keys"), &[], None).assert_status(201).json();
    let robot = Credentials { client_id: sid.clone(), secret: text(&key, "client_secret") };
    assert_eq!(token_status(&scene, &robot), 200);
    scene.patch(&path, &json!({ "jwks": { "keys": [signer.jwk] } })).assert_status(200);
    assert_eq!((token_status(&scene, &robot), status(&sign(&signer, &sid))), (401, 200));
    let key = scene.get(&format!("{path}/keys")).json()["items"][0].clone();
    assert_eq!(text(&key, "state"), "revoked");
    let deeds = scene.get(&format!("/audit?target={sid}&action=app.authentication")).json();
    assert_eq!(deeds["items"].as_array().unwrap().len(), 4);
    assert_eq!(deeds["items"][0]["detail"]["auth_method"], "private_key_jwt");
}

fn an_app_is_held_to_dpop_and_released(settings: Settings) {
    let scene = scene_with(settings);
    let new = json!({ "name": "robot", "scopes": ["billing:read"], "dpop_required": true });
    let body = scene.post("/apps", &new).assert_status(201).json();
    assert_eq!((&body["dpop_required"], text(&body, "auth_method")), (&json!(true), "client_secret".to_owned()));
    let robot = credentials(&body);
    assert_eq!(token_status(&scene, &robot), 400, "without a proof");
    let path = format!("/apps/{}", robot.client_id);
    let changed = scene.patch(&path, &json!({ "dpop_required": false })).assert_status(200).json();
    assert_eq!((&changed["dpop_required"], token_status(&scene, &robot)), (&json!(false), 200));
    scene.patch(&path, &json!({ "dpop_required": true })).assert_status(200);
    assert_eq!(token_status(&scene, &robot), 400);
}

fn an_app_is_held_to_networks_and_released(settings: Settings) {
    let scene = scene_with(settings);
    let new = json!({ "name": "robot", "scopes": ["billing:read"], "allowed_networks": ["192.0.2.7", "10.0.0.0/8"] });
    let body = scene.post("/apps", &new).assert_status(201).json();
    assert_eq!(body["allowed_networks"], json!(["192.0.2.7/32", "10.0.0.0/8"]));
    let robot = credentials(&body);
    assert_eq!(token_status(&scene, &robot), 401, "from elsewhere");
    let path = format!("/apps/{}", robot.client_id);
    let tag = scene.get(&path).header("etag").to_owned();
    let changed = scene.patch(&path, &json!({ "allowed_networks": ["127.0.0.0/8"] })).assert_status(200);
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(
        (&scene.get(&path).json()["allowed_networks"], token_status(&scene, &robot)),
        (&json!(["127.0.0.0/8"]), 200)
    );
    let many: Vec<String> = (0..21).map(|number| format!("10.0.{number}.0/24")).collect();
    scene.patch(&path, &json!({ "allowed_networks": many })).assert_status(400);
    assert_eq!(
        scene.patch(&path, &json!({ "allowed_networks": [] })).assert_status(200).json()["allowed_networks"],
        json!([])
    );
}

fn keys_are_added_rotated_and_revoked(settings: Settings) {
    let scene = scene_with(settings);
    let created =
        scene.post("/apps", &json!({ "name": "robot", "scopes": ["billing:read"] })).assert_status(201).json();
    let first = credentials(&created);
    let keys = format!("/apps/{}/keys", first.client_id);

    // No body says as much as an empty one.
    let second = credentials(&scene.send("POST", &keys, &[], None).assert_status(201).json());
    assert_eq!((token_status(&scene, &first), token_status(&scene, &second)), (200, 200));
    let rotated = scene.post(&format!("{keys}/rotate"), &json!({ "overlap": "10m" })).assert_status(201);
    let third = credentials(&rotated.json());
    assert_eq!(
        rotated.header("location"),
        format!("http://127.0.0.1:8080/api/v1{keys}/{}", text(&rotated.json(), "id"))
    );
    scene.app.clock.advance(Duration::from_secs(599));
    assert_eq!((token_status(&scene, &first), token_status(&scene, &third)), (200, 200));
    scene.app.clock.advance(Duration::from_secs(1));
    assert_eq!((token_status(&scene, &first), token_status(&scene, &third)), (401, 200));

    let list = scene.get(&keys).assert_status(200).json();
    let states: Vec<String> = list["items"].as_array().unwrap().iter().map(|key| text(key, "state")).collect();
    assert_eq!(states, ["expired", "expired", "active"]);
    let third_id = text(&list["items"][2], "id");
    assert_eq!(text(&list["items"][2], "created_by"), format!("app:{}", scene.admin.client_id));
    assert!(third.secret.ends_with(text(&list["items"][2], "hint").trim_start_matches("bvk_…")));

    assert_eq!(problem(&scene.delete(&format!("{keys}/{third_id}"))), "409 conflict", "the last live key");
    let fourth = scene.post(&keys, &json!({ "expires_in": "1h" })).assert_status(201).json();
    assert_eq!(text(&fourth, "expires_at"), "2026-11-22T01:10:00Z");
    scene.delete(&format!("{keys}/{third_id}")).assert_status(204);
    assert_eq!(token_status(&scene, &third), 401);
    // Asked for again, it is no second deed.
    let (revoked, deeds) = (scene.get(&keys).json(), scene.get("/audit?action=app.key.revoke").json());
    scene.app.clock.advance(Duration::from_secs(60));
    scene.delete(&format!("{keys}/{third_id}")).assert_status(204);
    assert_eq!(scene.get(&keys).json(), revoked);
    assert_eq!(scene.get("/audit?action=app.key.revoke").json(), deeds);
    for _ in 0..4 {
        scene.post(&keys, &json!({})).assert_status(201);
    }
    assert_eq!(problem(&scene.post(&keys, &json!({}))), "409 conflict", "as many as it may have");
    assert_eq!(problem(&scene.delete(&format!("{keys}/{}", scene.admin.client_id))), "404 not_found");
}

fn a_key_with_an_end_of_its_own_overlaps_like_any_other(settings: Settings) {
    let scene = scene_with(settings);
    let new = json!({ "name": "robot", "scopes": ["billing:read"], "key_expires_in": "90d" });
    let created = scene.post("/apps", &new).assert_status(201).json();
    let first = credentials(&created);
    let keys = format!("/apps/{}/keys", first.client_id);
    let rotation = json!({ "overlap": "10m", "expires_in": "90d" });

    let second = credentials(&scene.post(&format!("{keys}/rotate"), &rotation).assert_status(201).json());
    assert_eq!((token_status(&scene, &first), token_status(&scene, &second)), (200, 200));
    // The second rotation within the overlap ends the first key and gives the second its ten minutes.
    let third = credentials(&scene.post(&format!("{keys}/rotate"), &rotation).assert_status(201).json());
    let statuses = || [&first, &second, &third].map(|key| token_status(&scene, key));
    assert_eq!(statuses(), [401, 200, 200]);
    scene.app.clock.advance(Duration::from_secs(600));
    assert_eq!(statuses(), [401, 401, 200]);

    // A key that ends within the overlap keeps its end.
    let robot = scene.post("/apps", &json!({ "name": "robot", "key_expires_in": "1m" })).assert_status(201).json();
    let keys = format!("/apps/{}/keys", text(&robot, "client_id"));
    let end = scene.get(&keys).json()["items"][0]["expires_at"].clone();
    scene.post(&format!("{keys}/rotate"), &json!({ "overlap": "1h" })).assert_status(201);
    assert_eq!(scene.get(&keys).json()["items"][0]["expires_at"], end);
}

fn an_api_is_registered_changed_and_deleted(settings: Settings) {
    let scene = scene_with(settings);
    let new = json!({
        "name": "Stock", "identifier": "https://stock.example", "profile": "classic", "alg": "ES256", "lifetime": "30m",
        "scopes": [{ "name": "stock:read", "description": "See what is there" }, { "name": "https://stock.example/.default" }],
    });
    let created = scene.post("/apis", &new).assert_status(201);
    let path = format!("/apis/{}", text(&created.json(), "id"));
    assert_eq!(created.header("location"), format!("http://127.0.0.1:8080/api/v1{path}"));
    let shown = scene.get(&path).assert_status(200);
    assert_eq!((shown.json(), shown.header("etag")), (created.json(), created.header("etag")));
    assert_eq!(shown.json()["built_in"], false);
    assert_eq!(problem(&scene.post("/apis", &new)), "409 conflict", "the identifier is taken");

    // Its scopes can be granted at once, and tokens are as it says.
    let robot = scene.post("/apps", &json!({ "name": "robot", "scopes": ["stock:read"] })).assert_status(201).json();
    let nobodys = format!("/apis/{}", scene.admin.client_id);
    assert_eq!(problem(&scene.patch(&nobodys, &json!({ "alg": "PS256" }))), "404 not_found");
    let signing: Vec<String> =
        scene.get("/keys").json()["items"].as_array().unwrap().iter().map(|key| text(key, "alg")).collect();
    assert!(!signing.contains(&"PS256".to_owned()), "a change that is refused makes no key: {signing:?}");
    let (header, claims) = crate::support::decode_jwt(&scene.app.token(&credentials(&robot)));
    assert_eq!((&header["alg"], &claims["scope"]), (&json!("ES256"), &json!(["stock:read"])));

    for nothing in [json!({}), json!({ "name": "Stock", "lifetime": "30m" })] {
        let answer = scene.patch(&path, &nothing).assert_status(200);
        assert_eq!((answer.json(), answer.header("etag")), (created.json(), created.header("etag")));
    }
    assert_eq!(scene.get("/audit?action=api.update").json()["items"], json!([]), "what changes nothing is no deed");
    let changed =
        scene.patch(&path, &json!({ "name": "Stocks", "profile": "rfc9068", "alg": "RS256", "lifetime": null }));
    let body = changed.assert_status(200).json();
    assert_eq!(
        (text(&body, "name"), text(&body, "profile"), text(&body, "alg")),
        ("Stocks".into(), "rfc9068".into(), "RS256".into())
    );
    assert_eq!(body["lifetime"], json!(null));
    assert_eq!(body, scene.get(&path).json());
    let added = scene.post(&format!("{path}/scopes"), &json!({ "name": "stock:write", "sensitive": true }));
    let sensitive: Vec<serde_json::Value> =
        added.json()["scopes"].as_array().unwrap().iter().map(|s| s["sensitive"].clone()).collect();
    assert_eq!(sensitive, [json!(false), json!(false), json!(true)]);
    let added = added.assert_status(200);
    assert_eq!((added.json(), added.header("etag")), (scene.get(&path).json(), scene.get(&path).header("etag")));
    assert_eq!(problem(&scene.post(&format!("{path}/scopes"), &json!({ "name": "stock:write" }))), "409 conflict");
    assert_eq!(
        problem(&scene.post(&format!("{path}/scopes"), &json!({ "name": "apps:read" }))),
        "409 conflict",
        "reserved"
    );

    assert_eq!(problem(&scene.delete(&path)), "409 conflict", "an app has a scope of it");
    scene.delete(&format!("{path}/scopes/stock:read")).assert_status(204);
    scene.delete(&format!("{path}/scopes/https%3A%2F%2Fstock.example%2F.default")).assert_status(204);
    assert_eq!(problem(&scene.delete(&format!("{path}/scopes/nothing"))), "404 not_found");
    assert_eq!(scene.get(&path).json()["scopes"].as_array().unwrap().len(), 1);
    scene.delete(&path).assert_status(204);
    assert_eq!(problem(&scene.get(&path)), "404 not_found");

    // Brevet's own is shown and cannot be changed.
    let own = scene.get("/apis").json()["items"][0].clone();
    assert_eq!((&own["built_in"], &own["identifier"]), (&json!(true), &json!("http://127.0.0.1:8080/api/v1")));
    let described: Vec<(String, String)> = own["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|scope| (text(scope, "name"), text(scope, "description")))
        .collect();
    let known: Vec<(String, String)> =
        management_scope::ALL.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned())).collect();
    assert_eq!(described, known, "the tables say what the program says");
    let own = format!("/apis/{}", text(&own, "id"));
    scene.get(&own).assert_status(200);
    for answer in [
        scene.patch(&own, &json!({ "name": "mine" })),
        scene.delete(&own),
        scene.post(&format!("{own}/scopes"), &json!({ "name": "everything" })),
        scene.delete(&format!("{own}/scopes/apps:read")),
    ] {
        assert_eq!(problem(&answer), "404 not_found");
    }
}

fn deeds_counts_and_keys_are_shown(settings: Settings) {
    let scene = scene_with(settings);
    let robot = credentials(&scene.post("/apps", &json!({ "name": "robot", "scopes": ["billing:read"] })).json());
    let actor = format!("app:{}", scene.admin.client_id);
    let deed = scene.get(&format!("/audit?actor={actor}")).assert_status(200).json()["items"][0].clone();
    assert_eq!((text(&deed, "action"), text(&deed, "target")), ("app.create".to_owned(), robot.client_id.clone()));
    assert_eq!(
        (text(&deed, "address"), text(&deed, "at")),
        ("127.0.0.1".to_owned(), "2026-11-22T00:00:00Z".to_owned())
    );
    assert_eq!(deed["detail"]["name"], "robot");
    let of_setup = scene.get("/audit?action=api.create").json()["items"][0].clone();
    assert_eq!((text(&of_setup, "actor"), &of_setup["address"]), ("test".to_owned(), &json!(null)));
    for (query, found) in [
        ("from=2026-11-22T00:00:00Z", true),
        ("from=2026-11-22T01:00:00%2B01:00", true),
        ("from=2026-11-22T00:00:01Z", false),
        ("to=2026-11-22T00:00:01Z", true),
        ("to=2026-11-22T00:00:00Z", false),
        ("action=app.delete", false),
        ("actor=%27%20OR%20%271%27%3D%271", false),
        ("target=%00", false),
    ] {
        let items = scene.get(&format!("/audit?{query}")).assert_status(200).json()["items"].as_array().unwrap().len();
        assert_eq!(items > 0, found, "{query}");
    }

    for hour in 0..26 {
        scene.app.token(&robot);
        scene.app.token_request(&[], &format!("{}&scope=nothing", robot.form())).assert_status(400);
        let now = brevet::clock::Clock::now(&*scene.app.clock);
        scene.app.authority.usage.flush(scene.app.management.database(), now).unwrap();
        if hour < 25 {
            scene.app.clock.advance(Duration::from_secs(3_600));
        }
    }
    let token = scene.app.token(&scene.admin);
    let get = |query: &str| {
        let answer =
            send(&scene.app, &token, "GET", &format!("/usage?client_id={}&{query}", robot.client_id), &[], None);
        answer.assert_status(200).json()["items"].as_array().unwrap().clone()
    };
    let hours = get("");
    assert_eq!(hours.len(), 24);
    assert_eq!(
        *hours.last().unwrap(),
        json!({ "client_id": robot.client_id, "start": "2026-11-23T01:00:00Z", "issued": 1, "refused": 1 })
    );
    let days = get("by=day");
    let of_days: Vec<(String, i64)> =
        days.iter().map(|day| (text(day, "start"), day["issued"].as_i64().unwrap())).collect();
    assert_eq!(of_days, [("2026-11-22T00:00:00Z".to_owned(), 24), ("2026-11-23T00:00:00Z".to_owned(), 2)]);
    assert_eq!(get("from=2026-11-22T05:30:00Z&to=2026-11-22T07:00:00Z").len(), 2);

    let keys = send(&scene.app, &token, "GET", "/keys", &[], None).assert_status(200);
    let key = keys.json()["items"][0].clone();
    assert_eq!((text(&key, "alg"), text(&key, "state")), ("RS256".to_owned(), "signing".to_owned()));
    let jwks = scene.app.get("/.well-known/jwks.json", &[]).json();
    assert_eq!(key["kid"], jwks["keys"][0]["kid"]);
    let members: Vec<&String> = key.as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "created_at", "gone_at", "kid", "signs_from", "state"], "nothing private");
}

fn nobody_hands_on_power_that_they_have_not(settings: Settings) {
    let scene = scene_with(settings);
    let writer = scene.app.create_app(&["apps:write", "apps:read"]);
    let token = scene.app.token(&writer);
    let send = |method: &str, path: &str, body| send(&scene.app, &token, method, path, &[], Some(&body));
    let refused = "403 insufficient_scope";
    assert_eq!(problem(&send("POST", "/apps", json!({ "name": "x", "scopes": ["audit:read"] }))), refused);
    let itself = format!("/apps/{}", writer.client_id);
    assert_eq!(
        problem(&send("PATCH", &itself, json!({ "scopes": ["apps:write", "apps:read", "apis:write"] }))),
        refused
    );
    // Whoever has a key of a stronger app has its power.
    let stronger = format!("/apps/{}/keys", scene.admin.client_id);
    assert_eq!(problem(&send("POST", &stronger, json!({}))), refused);
    assert_eq!(problem(&send("POST", &format!("{stronger}/rotate"), json!({ "overlap": "0s" }))), refused);
    assert_eq!(
        scene.get(&format!("/apps/{}/keys", scene.admin.client_id)).json()["items"].as_array().unwrap().len(),
        1
    );
    // So has whoever has its private key.
    let jwks = json!({ "keys": [Signer::ed25519("k").jwk] });
    for change in [
        json!({ "jwks": jwks }),
        json!({ "jwks_uri": "https://app.example.com/" }),
        json!({ "scopes": [], "jwks": jwks }),
    ] {
        let answer = send("PATCH", &format!("/apps/{}", scene.admin.client_id), change);
        assert_eq!(problem(&answer), refused);
    }
    assert_eq!(token_status(&scene, &scene.admin), 200, "its App Key is good as ever");
    // What it has it can hand on, and the scopes of the organisation's APIs are its to give.
    send("POST", "/apps", json!({ "name": "x", "scopes": ["apps:write", "billing:write"] })).assert_status(201);
    send("PATCH", &itself, json!({ "scopes": ["apps:write", "apps:read", "billing:read"] })).assert_status(200);
    // It may take scopes away that it has not.
    send("PATCH", &format!("/apps/{}", scene.admin.client_id), json!({ "scopes": ["apps:read"] })).assert_status(200);
    // A token with fewer scopes than its app cannot get a key with all of them.
    let narrow = scene.app.token_request(&[], &format!("{}&scope=apps:write", writer.form())).assert_status(200);
    let narrow = text(&narrow.json(), "access_token");
    let answer = super::send(&scene.app, &narrow, "POST", &format!("{itself}/keys"), &[], None);
    assert_eq!(problem(&answer), refused);
}

fn power_that_was_taken_away_is_gone_at_once(settings: Settings) {
    let scene = scene_with(settings);
    let helper = scene.app.create_app(&["apps:write", "apps:read", "audit:read"]);
    let itself = format!("/apps/{}", helper.client_id);
    let token = scene.app.token(&helper);
    let with_old_token =
        |method: &str, path: &str, body: Option<&serde_json::Value>| send(&scene.app, &token, method, path, &[], body);
    let all = json!({ "scopes": ["apps:write", "apps:read", "audit:read"] });
    with_old_token("GET", "/audit", None).assert_status(200);

    scene.patch(&itself, &json!({ "scopes": ["apps:write"] })).assert_status(200);
    // The token still says `audit:read`, and `apps:write` would be enough to take the scope back.
    let answer = with_old_token("GET", "/audit", None);
    assert_eq!(problem(&answer), "403 insufficient_scope");
    assert!(answer.header("www-authenticate").contains("scope=\"audit:read\""));
    assert_eq!(problem(&with_old_token("PATCH", &itself, Some(&all))), "403 insufficient_scope");

    scene.patch(&itself, &json!({ "scopes": [] })).assert_status(200);
    for (method, path, body) in [("PATCH", itself.as_str(), Some(&all)), ("GET", "/apps", None)] {
        assert_eq!(problem(&with_old_token(method, path, body)), "403 insufficient_scope", "{method} {path}");
    }
    // Whoever it is may still ask who it is.
    with_old_token("GET", "/whoami", None).assert_status(200);
}

fn changes_are_made_only_to_what_was_read(settings: Settings) {
    let scene = scene_with(settings);
    let robot = scene.post("/apps", &json!({ "name": "robot" })).assert_status(201);
    let app = format!("/apps/{}", text(&robot.json(), "client_id"));
    let first = robot.header("etag").to_owned();
    assert!(first.starts_with('"') && first.ends_with('"') && first.len() > 20, "strong: {first}");

    for (given, status) in [
        (first.clone(), 304),
        (format!("W/{first}"), 304),
        (format!("\"other\", {first}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let answer = scene.send("GET", &app, &[("if-none-match", &given)], None).assert_status(status);
        assert_eq!((answer.header("etag"), answer.body.is_empty()), (first.as_str(), status == 304), "{given}");
    }
    let rename = |name: &str, given: &str| {
        scene.send("PATCH", &app, &[("if-match", given)], Some(&json!({ "name": name }))).status.as_u16()
    };
    for wrong in ["\"other\"", &format!("W/{first}"), "", "x", first.trim_matches('"')] {
        assert_eq!(rename("wrong", wrong), 412, "{wrong}");
    }
    assert_eq!(rename("one", &format!("\"other\", {first}")), 200);
    assert_eq!(rename("two", &first), 412);
    assert_eq!(rename("three", "*"), 200);
    let answer = scene.send("DELETE", &app, &[("if-match", &first)], None);
    assert_eq!(problem(&answer), "412 precondition_failed");
    assert_eq!(text(&scene.get(&app).json(), "name"), "three");

    // A change by somebody else counts, also of its keys, and using it does not.
    let tag = scene.get(&app).header("etag").to_owned();
    scene.app.token_request(&[], &credentials(&robot.json()).form());
    let now = brevet::clock::Clock::now(&*scene.app.clock);
    scene.app.authority.usage.flush(scene.app.management.database(), now).unwrap();
    assert_eq!(scene.get(&app).header("etag"), tag);
    app_keys::add(&scene.app.management, credentials(&robot.json()).id(), None).unwrap();
    assert_ne!(scene.get(&app).header("etag"), tag);
    scene.send("DELETE", &app, &[("if-match", scene.get(&app).header("etag"))], None).assert_status(204);

    let api = scene.get("/apis").json()["items"][1].clone();
    let api = format!("/apis/{}", text(&api, "id"));
    let tag = scene.get(&api).header("etag").to_owned();
    scene.send("GET", &api, &[("if-none-match", &tag)], None).assert_status(304);
    scene.send("PATCH", &api, &[("if-match", &tag)], Some(&json!({ "name": "Bills" }))).assert_status(200);
    for (method, path, body) in [
        ("PATCH", api.clone(), Some(json!({ "name": "Invoices" }))),
        ("DELETE", api.clone(), None),
        ("POST", format!("{api}/scopes"), Some(json!({ "name": "billing:new" }))),
        ("DELETE", format!("{api}/scopes/billing:read"), None),
    ] {
        let answer = scene.send(method, &path, &[("if-match", &tag)], body.as_ref());
        assert_eq!(problem(&answer), "412 precondition_failed", "{method} {path}");
    }
}
