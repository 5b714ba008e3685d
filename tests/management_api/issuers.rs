//! Trusted issuers over HTTP: made, shown, changed, tried and deleted.

use brevet::oauth::trust::{IssuerKeys, TrustPolicy};
use brevet::service::trusted_issuers::{IssuerSettings, StandsFor};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Scene, problem, scene, text};
use crate::support::http::Answer;
use crate::support::signer::Signer;
use crate::trusted_issuers::{AUD, ISS, Stage};

/// One that names users and grants them a scope.
pub fn issuer_of(issuer: &str, scope: &str) -> IssuerSettings {
    IssuerSettings {
        name: "Portal".to_owned(),
        issuer: issuer.to_owned(),
        policy: TrustPolicy::new(IssuerKeys::Discovery, vec![AUD.to_owned()]),
        stands_for: StandsFor::Users,
        scopes: Some(vec![scope.to_owned()]),
    }
}

fn body(signer: &Signer) -> Value {
    json!({
        "name": "Portal", "issuer": ISS, "keys": { "jwks": { "keys": [signer.jwk] } }, "audiences": [AUD],
        "rules": [{ "claim": "repository", "one_of": ["acme/a", "acme/b"] }, { "claim": "/a/b", "glob": "x*" }],
        "max_age": "10m", "single_use": true, "ticket_lifetime": "1h", "scopes": ["billing:read"],
    })
}

fn create(scene: &Scene, body: &Value) -> (String, Value) {
    let made = scene.post("/issuers", body).assert_status(201);
    (text(&made.json(), "id"), made.json())
}

#[test]
fn an_issuer_is_shown_as_it_was_made_and_changes_only_in_what_is_said() {
    let scene = scene();
    let signer = Signer::ed25519("k1");
    let (id, made) = create(&scene, &body(&signer));
    for (member, value) in body(&signer).as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    assert_eq!(
        (&made["status"], &made["app"], &made["subject_claim"]),
        (&json!("active"), &Value::Null, &json!("sub"))
    );
    let path = format!("/issuers/{id}");
    let shown = scene.get(&path).assert_status(200);
    assert_eq!(shown.json(), made);
    assert_eq!(scene.get("/issuers").assert_status(200).json()["items"], json!([made]));
    let tag = shown.header("etag").to_owned();
    scene.send("GET", &path, &[("if-none-match", &tag)], None).assert_status(304);

    let change =
        json!({ "name": "Gate", "max_age": null, "rules": [], "keys": { "jwks_uri": "https://a.example/keys" } });
    let changed = scene.send("PATCH", &path, &[("if-match", &tag)], Some(&change)).assert_status(200).json();
    let mut expected = made.clone();
    for (member, value) in change.as_object().unwrap() {
        expected[member] = value.clone();
    }
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    let late = scene.send("PATCH", &path, &[("if-match", &tag)], Some(&json!({ "name": "late" })));
    assert_eq!(problem(&late), "412 precondition_failed");

    let off = scene.patch(&path, &json!({ "enabled": false, "name": "Off" })).assert_status(200).json();
    assert_eq!((&off["status"], &off["name"]), (&json!("disabled"), &json!("Off")));
    assert_eq!(scene.patch(&path, &json!({ "enabled": true })).assert_status(200).json()["status"], "active");
    scene.delete(&path).assert_status(204);
    assert_eq!(problem(&scene.get(&path)), "404 not_found");
    let actions: Vec<Value> = scene.get(&format!("/audit?target={id}")).json()["items"].as_array().unwrap().clone();
    assert_eq!(actions.len(), 6, "{actions:?}");
}

#[test]
fn a_second_entry_for_what_one_takes_is_a_conflict() {
    let scene = scene();
    let signer = Signer::ed25519("k1");
    let words = |refused: Answer, id: &str| {
        assert_eq!(problem(&refused), "409 conflict");
        refused.json()["detail"].as_str().unwrap().replace(id, "ID")
    };
    let (users, _) = create(&scene, &body(&signer));
    assert_snapshot!(words(scene.post("/issuers", &body(&signer)), &users), @"This issuer names users here already, in the entry Portal (ID); change that one, which takes several keys and audiences.");
    let app = text(&scene.post("/apps", &json!({ "name": "CI", "scopes": [] })).assert_status(201).json(), "client_id");
    let mut work = body(&signer);
    work["app"] = json!(app);
    let (of_app, _) = create(&scene, &work);
    work["name"] = json!("Another name");
    work["rules"].as_array_mut().unwrap().reverse();
    assert_snapshot!(words(scene.post("/issuers", &work), &of_app), @"The entry Portal (ID) trusts this issuer for the same app with the same keys, audiences and rules; change that one.");
    work["rules"].as_array_mut().unwrap().pop();
    let (other, _) = create(&scene, &work);
    let same = json!({ "rules": body(&signer)["rules"] });
    let refused = words(scene.patch(&format!("/issuers/{other}"), &same), &of_app);
    assert!(refused.starts_with("The entry Portal (ID) trusts"), "{refused}");
}

#[test]
fn an_issuer_is_changed_and_switched_at_once_or_not_at_all() {
    let scene = scene();
    let signer = Signer::ed25519("k1");
    let (id, made) = create(&scene, &body(&signer));
    let path = format!("/issuers/{id}");
    let deeds = || scene.get(&format!("/audit?target={id}")).json()["items"].as_array().unwrap().len();
    let refused = scene.patch(&path, &json!({ "enabled": false, "name": "Off", "scopes": ["evil:scope"] }));
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!((scene.get(&path).json(), deeds()), (made.clone(), 1), "nothing of it was done");

    let tag = scene.get(&path).header("etag").to_owned();
    let both = json!({ "enabled": false, "name": "Off" });
    let off = scene.send("PATCH", &path, &[("if-match", &tag)], Some(&both)).assert_status(200);
    assert_eq!((&off.json()["status"], &off.json()["name"]), (&json!("disabled"), &json!("Off")));
    let shown = scene.get(&path);
    assert_eq!((shown.json(), shown.header("etag"), deeds()), (off.json(), off.header("etag"), 3));
    // What is so already is no deed.
    assert_eq!(scene.patch(&path, &both).assert_status(200).json(), off.json());
    assert_eq!(deeds(), 3);
}

#[test]
fn who_may_not_hand_on_the_power_of_an_app_may_switch_its_issuer_off_and_not_on() {
    let scene = scene();
    let mut for_admin = body(&Signer::ed25519("k1"));
    for_admin["app"] = json!(scene.admin.client_id);
    for_admin["scopes"] = Value::Null;
    let (id, _) = create(&scene, &for_admin);
    let writer = scene.app.token(&scene.app.create_app(&["issuers:write"]));
    let patch = |change: &Value| {
        super::send(&scene.app, &writer, "PATCH", &format!("/issuers/{id}"), &[], Some(change)).status.as_u16()
    };
    for (change, status) in [
        (json!({ "name": "Mine" }), 403),
        (json!({ "enabled": false, "name": "Mine" }), 403),
        (json!({ "enabled": false }), 200),
        (json!({ "enabled": true }), 403),
    ] {
        assert_eq!(patch(&change), status, "{change}");
    }
    assert_eq!(scene.get(&format!("/issuers/{id}")).json()["status"], "disabled");
}

#[test]
fn a_value_of_an_issuer_that_cannot_be_used_is_told_by_its_member() {
    let scene = scene();
    let signer = Signer::ed25519("k1");
    let (id, _) = create(
        &scene,
        &json!({ "name": "first", "issuer": "https://first.example",
        "keys": { "discovery": true }, "audiences": ["a"], "scopes": ["billing:read"] }),
    );
    for (member, value) in [
        ("name", json!("")),
        ("name", json!(7)),
        ("issuer", json!("a|evil")),
        ("issuer", json!(scene.app.authority.issuer())),
        ("keys", json!({})),
        ("keys", json!({ "discovery": true, "jwks_uri": "https://a.example/" })),
        ("keys", json!({ "discovery": false })),
        ("keys", json!({ "evil": true })),
        ("audiences", json!([])),
        ("audiences", json!("evil")),
        // What stands in a template for one's own.
        ("issuer", json!("https://login.microsoftonline.com/TENANT-ID/v2.0")),
        ("audiences", json!(["a", "api://TENANT_ID"])),
        ("rules", json!([{ "claim": "repository", "one_of": ["acme/evil", "OWNER/REPOSITORY"] }])),
        ("algorithms", json!(["HS256"])),
        ("algorithms", json!(["none"])),
        ("subject_claim", json!("")),
        ("rules", json!([{ "claim": "sub" }])),
        ("rules", json!([{ "claim": "sub", "equals": "a", "glob": "b" }])),
        ("rules", json!([{ "claim": "sub", "glob": "*" }])),
        ("rules", json!([{ "claim": "sub", "evil": "a" }])),
        ("max_age", json!("25h")),
        ("max_age", json!(600)),
        ("single_use", json!("evil")),
        ("app", json!("evil")),
        ("scopes", json!(["evil:scope"])),
        ("scopes", json!([])),
    ] {
        let mut new = body(&signer);
        new[member] = value.clone();
        let mut change = json!({});
        change[member] = value;
        for answer in [scene.post("/issuers", &new), scene.patch(&format!("/issuers/{id}"), &change)] {
            assert_eq!(answer.status, 400, "{change} {}", answer.body);
            assert_eq!(answer.json()["errors"][0]["field"], member, "{change} {}", answer.body);
            assert!(!answer.body.contains("evil"), "{}", answer.body);
        }
    }
    let unknown = scene.post("/issuers", &json!({ "name": "n", "issuer": "i", "keys": {}, "audiences": [], "x": 1 }));
    assert_eq!(problem(&unknown), "400 invalid_request");
    let second = json!({ "name": "n", "issuer": "https://first.example", "keys": { "discovery": true },
        "audiences": ["a"], "scopes": ["billing:read"] });
    assert_eq!(problem(&scene.post("/issuers", &second)), "409 conflict");
}

#[test]
fn an_issuer_is_made_once_for_one_key_and_nobody_gets_more_power_than_they_have() {
    let scene = scene();
    let signer = Signer::ed25519("k1");
    let again = [("idempotency-key", "k")];
    let first = scene.send("POST", "/issuers", &again, Some(&body(&signer))).assert_status(201);
    assert_eq!(scene.send("POST", "/issuers", &again, Some(&body(&signer))).assert_status(201).body, first.body);

    let writer = scene.app.token(&scene.app.create_app(&["issuers:write"]));
    let mut for_admin = body(&signer);
    for_admin["app"] = json!(scene.admin.client_id);
    for_admin["scopes"] = Value::Null;
    let refused = super::send(&scene.app, &writer, "POST", "/issuers", &[], Some(&for_admin));
    assert_eq!(refused.status, 403, "{}", refused.body);
}

#[test]
fn an_app_without_a_key_is_made_and_used_over_http() {
    let stage = Stage::new();
    let admin = stage.app.create_app(&["apps:write", "issuers:write", "issuers:read"]);
    let token = stage.app.token(&admin);
    let post = |path: &str, body: &Value| super::send(&stage.app, &token, "POST", path, &[], Some(body));
    let keyless = json!({ "name": "keyless", "scopes": ["billing:read"], "auth_method": "trusted_issuer" });
    let app = post("/apps", &keyless).assert_status(201).json();
    assert_eq!((&app["auth_method"], &app["client_secret"]), (&json!("trusted_issuer"), &Value::Null));
    let issuer = json!({
        "name": "CI", "issuer": ISS, "keys": { "jwks": { "keys": [stage.signer.jwk] } }, "audiences": [AUD],
        "rules": [{ "claim": "sub", "equals": "alice" }], "app": app["client_id"], "single_use": true,
    });
    let issuer = post("/issuers", &issuer).assert_status(201).json();
    let test = format!("/issuers/{}/test", text(&issuer, "id"));
    let jwt = stage.jwt();
    for way in ["grant", "client_assertion", "ticket"] {
        let tried = post(&test, &json!({ "jwt": jwt, "way": way })).assert_status(200).json();
        assert_eq!((&tried["accepted"], &tried["reason"]), (&json!(true), &Value::Null), "{tried}");
        assert!(tried["steps"].as_array().unwrap().len() >= 12, "{tried}");
    }
    stage.client_assertion(&jwt).assert_status(200);
    let tried = post(&test, &json!({ "jwt": jwt })).assert_status(200).json();
    assert_eq!(tried["reason"], "replayed", "{tried}");
    let mut long = stage.claims();
    long["groups"] = json!("x".repeat(20 * 1_024));
    let tried = post(&test, &json!({ "jwt": stage.signer.sign(&long) })).assert_status(200).json();
    assert_eq!(tried["accepted"], true, "{tried}");
    let bearer = post(&test, &json!({ "jwt": stage.jwt(), "way": "bearer" })).assert_status(200).json();
    assert_eq!(bearer["reason"], "unknown_issuer");
    assert_eq!(post(&test, &json!({ "jwt": jwt, "way": "evil" })).status, 400);

    // An app with keys that changes over loses them.
    let keyed = json!({ "name": "keyed", "scopes": ["billing:read"] });
    let keyed = post("/apps", &keyed).assert_status(201).json();
    let path = format!("/apps/{}", text(&keyed, "client_id"));
    let change = json!({ "auth_method": "trusted_issuer" });
    super::send(&stage.app, &token, "PATCH", &path, &[], Some(&change)).assert_status(200);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        text(&keyed, "client_id"),
        text(&keyed, "client_secret")
    );
    stage.app.token_request(&[], &form).assert_status(401);
}
