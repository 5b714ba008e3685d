//! Creations that are asked for more than once, one after another and at the same time.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use brevet::clock::Clock;
use brevet::service::apps;
use serde_json::{Value, json};

use super::{Scene, problem, scene, scene_with, send, text};
use crate::support::http::Answer;
use crate::support::{TestApp, new_app, postgres};

fn create(scene: &Scene, key: &str, body: &Value) -> Answer {
    scene.send("POST", "/apps", &[("idempotency-key", key)], Some(body))
}

fn apps_of(app: &TestApp) -> usize {
    apps::list(&app.management, "acme", None, 1_000).unwrap().len()
}

/// What must be the same in the answer to a repetition.
fn answer(answer: &Answer) -> (u16, String, String, String) {
    let header = |name: &str| answer.header(name).to_owned();
    (answer.status.as_u16(), answer.body.clone(), header("etag"), header("location"))
}

#[test]
fn a_creation_that_is_asked_for_again_is_answered_again() {
    let scene = scene();
    let body = json!({ "name": "robot", "scopes": ["billing:read"] });
    let first = create(&scene, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", &body).assert_status(201);
    let path = format!("/apps/{}", text(&first.json(), "client_id"));
    scene.patch(&path, &json!({ "name": "renamed" })).assert_status(200);
    // With and without the quotes of a structured header.
    for key in ["\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"] {
        assert_eq!(answer(&create(&scene, key, &body)), answer(&first));
    }
    assert_eq!(apps_of(&scene.app), 2);
    let deeds = scene.get("/audit?action=app.create").json();
    assert_eq!(deeds["items"].as_array().unwrap().len(), 2, "one row for it and one for the admin");

    let other = json!({ "name": "another" });
    let reused = create(&scene, "8e03978e-40d5-43dd-bc93-6894a57f9324", &other);
    assert_eq!(problem(&reused), "422 idempotency_key_reused");
    let elsewhere = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    assert_eq!(problem(&scene.send("POST", &format!("{path}/keys"), &elsewhere, Some(&body))), "400 invalid_request");
    assert_eq!(
        problem(&scene.send("POST", &format!("{path}/keys"), &elsewhere, Some(&json!({})))),
        "422 idempotency_key_reused"
    );
    create(&scene, "another-key", &body).assert_status(201);

    // Another app's keys are its own.
    let second_admin = scene.app.create_app(&["apps:write", "billing:read"]);
    let token = scene.app.token(&second_admin);
    let theirs = send(&scene.app, &token, "POST", "/apps", &elsewhere, Some(&body)).assert_status(201);
    assert_ne!(theirs.body, first.body);

    for wrong in ["", "\"\"", "with space", &"k".repeat(256), "é"] {
        let answer = create(&scene, wrong, &body);
        assert_eq!(problem(&answer), "400 invalid_request", "{wrong:?}");
    }
    let twice = scene.send("POST", "/apps", &[("idempotency-key", "a"), ("idempotency-key", "b")], Some(&body));
    assert_eq!(problem(&twice), "400 invalid_request");
}

#[test]
fn what_failed_is_tried_again_and_what_is_old_is_forgotten() {
    let scene = scene();
    let body = json!({ "name": "robot", "scopes": ["stock:read"] });
    assert_eq!(problem(&create(&scene, "k", &body)), "400 invalid_request (scopes)");
    scene.app.create_api("acme", "https://stock.example", &["stock:read"]);
    let first = create(&scene, "k", &body).assert_status(201);

    scene.app.clock.advance(Duration::from_secs(86_399));
    let token = scene.app.token(&scene.admin);
    let again = |token: &str| send(&scene.app, token, "POST", "/apps", &[("idempotency-key", "k")], Some(&body));
    assert_eq!(again(&token).body, first.body);
    scene.app.clock.advance(Duration::from_secs(1));
    assert_ne!(again(&token).assert_status(201).body, first.body);
    let now = scene.app.clock.now();
    let deleted = scene
        .app
        .management
        .database()
        .write(move |conn| brevet::db::idempotency::delete_expired(conn, now + Duration::from_secs(86_400)));
    assert_eq!(deleted.unwrap(), 1);
}

#[test]
fn answers_are_forgotten_with_the_app_that_asked() {
    let scene = scene();
    create(&scene, "k", &json!({ "name": "robot" })).assert_status(201);
    let asker = brevet::oauth::ClientId::parse(&scene.admin.client_id).unwrap();
    apps::delete(&scene.app.management, asker).unwrap();
    let now = scene.app.clock.now() + Duration::from_secs(86_400);
    let kept = scene.app.management.database().write(move |conn| brevet::db::idempotency::delete_expired(conn, now));
    assert_eq!(kept.unwrap(), 0, "an app that is imported with the same id asks anew");
}

#[test]
fn the_app_key_of_a_kept_answer_is_not_in_the_database() {
    let scene = scene();
    let made = create(&scene, "k", &json!({ "name": "robot" })).assert_status(201).json();
    let secret = text(&made, "client_secret");
    for entry in std::fs::read_dir(scene.app.data.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!octets.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[test]
fn twelve_copies_at_once_make_one_app() {
    twelve_copies(&[]);
    if let Some(url) = postgres::database() {
        twelve_copies(&[("database-url", &url)]);
    }
}

fn twelve_copies(settings: &[(&str, &str)]) {
    let scene = scene_with(settings);
    let other_node = TestApp::on(scene.app.data.clone(), scene.app.clock.clone(), settings);
    let together = Barrier::new(12);
    let body = json!({ "name": "robot" });
    let answers: Vec<Answer> = thread::scope(|scope| {
        let copies: Vec<_> = (0..12)
            .map(|number| {
                let node = if number % 2 == 0 { &scene.app } else { &other_node };
                let (together, body, token) = (&together, &body, &scene.token);
                scope.spawn(move || {
                    together.wait();
                    send(node, token, "POST", "/apps", &[("idempotency-key", "one")], Some(body))
                })
            })
            .collect();
        copies.into_iter().map(|copy| copy.join().unwrap()).collect()
    });
    for copy in &answers {
        assert_eq!(answer(copy), answer(&answers[0]));
    }
    assert_eq!((answers[0].status.as_u16(), apps_of(&scene.app)), (201, 2));
}

#[test]
fn of_rotations_at_once_with_one_tag_one_makes_a_key() {
    rotations(&[]);
    if let Some(url) = postgres::database() {
        rotations(&[("database-url", &url)]);
    }
}

fn rotations(settings: &[(&str, &str)]) {
    let scene = scene_with(settings);
    let robot = scene.app.create_app_with("acme", new_app(&["billing:read"]));
    let app = format!("/apps/{}", robot.client_id);
    let tag = scene.get(&app).header("etag").to_owned();
    let together = Barrier::new(6);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asked: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    scene.send("POST", &format!("{app}/keys/rotate"), &[("if-match", &tag)], Some(&json!({})))
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    for lost in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(problem(lost), "409 conflict");
    }
    let keys = scene.get(&format!("{app}/keys")).json();
    let states: Vec<String> = keys["items"].as_array().unwrap().iter().map(|key| text(key, "state")).collect();
    assert_eq!(states, ["ending", "active"], "one current key");
    let deeds = scene.get(&format!("/audit?target={}&action=app.key.rotate", robot.client_id)).json();
    assert_eq!(deeds["items"].as_array().unwrap().len(), 1, "one row for each rotation");
}
