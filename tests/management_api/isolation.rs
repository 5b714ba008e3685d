//! Who gets in: the scope of each route, and nobody into another organisation. The routes are those of the description.

use brevet::service::trusted_issuers;
use serde_json::{Value, json};

use super::issuers::issuer_of;
use super::{ALL_SCOPES, Scene, problem, scene, send, text};
use crate::support::http::{self, Answer};
use crate::support::{TestApp, new_app};

/// A route as the description has it.
struct Route {
    method: String,
    path: String,
    scope: Option<String>,
    takes_body: bool,
}

fn routes(app: &TestApp) -> Vec<Route> {
    let description = app.get("/api/v1/openapi.json", &[]).assert_status(200).json();
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                scope: operation["security"][0]["oauth2"][0].as_str().map(str::to_owned),
                takes_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(routes.len() >= 20, "{}", routes.len());
    routes
}

/// The objects that paths can name.
struct Objects {
    client_id: String,
    key_id: String,
    api_id: String,
    issuer_id: String,
}

/// An app, an API and a trusted issuer of an organisation.
fn objects_of(app: &TestApp, organisation: &str) -> Objects {
    app.create_api(organisation, &format!("https://{organisation}.example"), &[&format!("{organisation}:read")]);
    let admin = app.create_app_with(organisation, new_app(ALL_SCOPES));
    let token = app.token(&admin);
    let items = |path: &str| send(app, &token, "GET", path, &[], None).assert_status(200).json()["items"].clone();
    let apis = items("/apis");
    let own =
        apis.as_array().unwrap().iter().find(|api| api["identifier"] == format!("https://{organisation}.example"));
    let issuer = issuer_of(&format!("https://{organisation}.example"), &format!("{organisation}:read"));
    let issuer = trusted_issuers::create(&app.management, organisation, issuer).unwrap();
    Objects {
        issuer_id: issuer.record.id.to_string(),
        key_id: text(&items(&format!("/apps/{}/keys", admin.client_id))[0], "id"),
        client_id: admin.client_id,
        api_id: text(own.unwrap(), "id"),
    }
}

impl Route {
    fn with(&self, objects: &Objects, scope: &str) -> String {
        self.path
            .replace("{client_id}", &objects.client_id)
            .replace("{key_id}", &objects.key_id)
            .replace("{id}", if self.path.starts_with("/issuers") { &objects.issuer_id } else { &objects.api_id })
            .replace("{name}", scope)
    }

    /// A body that says nothing wrong.
    fn body(&self) -> Option<Value> {
        let body = match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/apps") => json!({ "name": "new" }),
            ("POST", "/apis") => json!({ "name": "new", "identifier": "https://new.example" }),
            ("POST", "/issuers") => json!({
                "name": "new", "issuer": "https://new.example", "keys": { "discovery": true },
                "audiences": ["urn:acme"], "scopes": ["billing:read"],
            }),
            (_, "/issuers/{id}/test") => json!({ "jwt": "a.b.c" }),
            (_, "/apis/{id}/scopes") => json!({ "name": "new:scope" }),
            ("PATCH", "/apis/{id}/scopes/{name}") => json!({ "description": "changed" }),
            ("PATCH", _) => json!({ "name": "changed" }),
            _ => json!({}),
        };
        self.takes_body.then_some(body)
    }

    fn ask(&self, app: &TestApp, token: &str, path: &str) -> Answer {
        send(app, token, &self.method, path, &[], self.body().as_ref())
    }
}

fn without_request_id(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["request_id"].take();
    body
}

#[test]
fn each_route_demands_a_token_with_its_scope_and_no_other() {
    let Scene { app, .. } = scene();
    app.create_organisation("other");
    let objects = objects_of(&app, "other");
    for route in routes(&app) {
        let path = route.with(&objects, "other:read");
        let what = format!("{} {path}", route.method);
        let url = format!("{}/api/v1{path}", app.url);
        let body = route.body().map(|body| body.to_string());
        let anonymous = http::send(&route.method, &url, &[], body.as_deref().map(str::as_bytes));
        assert_eq!(problem(&anonymous), "401 unauthorized", "{what}");
        let Some(scope) = &route.scope else { continue };
        let others: Vec<&str> = ALL_SCOPES.iter().copied().filter(|other| other != scope).collect();
        let lacking = app.create_app_with("other", new_app(&others));
        let answer = route.ask(&app, &app.token(&lacking), &path);
        assert_eq!(problem(&answer), "403 insufficient_scope", "{what}");
        assert!(answer.header("www-authenticate").contains(&format!("scope=\"{scope}\"")), "{what}");
        // A token for another audience is none, whatever its scopes are called.
        let elsewhere = app.token(&app.create_app(&["billing:read"]));
        assert_eq!(problem(&route.ask(&app, &elsewhere, &path)), "401 invalid_token", "{what}");
    }
}

#[test]
fn each_route_takes_a_token_with_nothing_but_its_scope() {
    let Scene { app, .. } = scene();
    for (number, route) in routes(&app).iter().enumerate() {
        let Some(scope) = &route.scope else { continue };
        let slug = format!("org{number}");
        app.create_organisation(&slug);
        let objects = objects_of(&app, &slug);
        let token = app.token(&app.create_app_with(&slug, new_app(&[scope.as_str()])));
        // A key can be made only for an app that is not stronger.
        let client_id = if route.path.contains("/keys") && route.method == "POST" {
            app.create_app_with(&slug, new_app(&[])).client_id
        } else {
            objects.client_id.clone()
        };
        if route.path.contains("{key_id}") {
            let id = brevet::oauth::ClientId::parse(&client_id).unwrap();
            brevet::service::app_keys::add(&app.management, id, None).unwrap();
        }
        let scope_name = format!("{slug}:read");
        let path = route.with(&Objects { client_id, ..objects }, &scope_name);
        let mut body = route.body();
        if let Some(identifier) = body.as_mut().and_then(|body| body.get_mut("identifier")) {
            *identifier = json!(format!("https://new.{slug}.example"));
        }
        if let Some(scopes) = body.as_mut().and_then(|body| body.get_mut("scopes")) {
            *scopes = json!([scope_name]);
        }
        let answer = send(&app, &token, &route.method, &path, &[], body.as_ref());
        assert!(answer.status.is_success(), "{} {path}: {} {}", route.method, answer.status, answer.body);
    }
}

#[test]
fn what_belongs_to_another_organisation_is_as_what_does_not_exist() {
    let Scene { app, token, .. } = scene();
    app.create_organisation("globex");
    let theirs = objects_of(&app, "globex");
    let ours = objects_of(&app, "acme");
    let nowhere = Objects {
        client_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        key_id: "00000000-0000-7000-8000-000000000009".to_owned(),
        api_id: "00000000-0000-7000-8000-000000000009".to_owned(),
        issuer_id: "00000000-0000-4000-8000-000000000000".to_owned(),
    };
    let before =
        send(&app, &app.token(&app.create_app_with("globex", new_app(ALL_SCOPES))), "GET", "/apis", &[], None).json();
    let mut asked = 0;
    for route in routes(&app).iter().filter(|route| route.path.contains('{')) {
        let unknown = route.ask(&app, &token, &route.with(&nowhere, "globex:read"));
        assert_eq!(problem(&unknown), "404 not_found", "{} {}", route.method, route.path);
        let mixed = [
            route.with(&theirs, "globex:read"),
            // Our app with their key, and the other way round.
            route.with(&Objects { key_id: theirs.key_id.clone(), ..nowhere_but(&ours) }, "globex:read"),
            route.with(&Objects { client_id: theirs.client_id.clone(), ..nowhere_but(&ours) }, "globex:read"),
        ];
        for path in mixed.iter().filter(|path| !only_ours(path, &ours)) {
            let answer = route.ask(&app, &token, path);
            assert_eq!(without_request_id(&answer), without_request_id(&unknown), "{} {path}", route.method);
            let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&answer), names(&unknown), "{} {path}", route.method);
            asked += 1;
        }
        for spelling in [theirs.client_id.to_uppercase(), "x".to_owned(), "%ff".to_owned(), "'%20OR%201=1".to_owned()] {
            let path =
                route.path.replace("{client_id}", &spelling).replace("{key_id}", &spelling).replace("{id}", &spelling);
            let answer = route.ask(&app, &token, &path);
            assert_eq!(problem(&answer), "404 not_found", "{} {path}", route.method);
        }
    }
    assert!(asked >= 20, "{asked}");
    for list in ["/apps", "/apis", "/issuers", "/audit", "/usage"] {
        let answer = send(&app, &token, "GET", list, &[], None).assert_status(200);
        for sign in ["globex", theirs.client_id.as_str(), theirs.api_id.as_str(), theirs.issuer_id.as_str()] {
            assert!(!answer.body.contains(sign), "{list} shows {sign}");
        }
    }
    let filtered = send(&app, &token, "GET", &format!("/audit?target={}", theirs.client_id), &[], None);
    assert_eq!(filtered.assert_status(200).json()["items"], json!([]));
    let after =
        send(&app, &app.token(&app.create_app_with("globex", new_app(ALL_SCOPES))), "GET", "/apis", &[], None).json();
    assert_eq!(before, after, "nothing of theirs was changed");
}

fn nowhere_but(ours: &Objects) -> Objects {
    Objects {
        client_id: ours.client_id.clone(),
        key_id: ours.key_id.clone(),
        api_id: ours.api_id.clone(),
        issuer_id: ours.issuer_id.clone(),
    }
}

/// Whether a path names nothing but what is ours: then it is no case.
fn only_ours(path: &str, ours: &Objects) -> bool {
    let ids: Vec<&str> = path.split('/').filter(|part| part.len() == 36).collect();
    ids.iter().all(|id| [&ours.client_id, &ours.key_id, &ours.api_id, &ours.issuer_id].iter().any(|own| own == id))
}

#[test]
fn a_route_takes_only_the_methods_that_the_description_names() {
    let Scene { app, token, .. } = scene();
    let objects = objects_of(&app, "acme");
    let all = routes(&app);
    let mut paths: Vec<&str> = all.iter().map(|route| route.path.as_str()).collect();
    paths.dedup();
    for path in paths {
        let mut taken: Vec<&str> =
            all.iter().filter(|route| route.path == path).map(|route| route.method.as_str()).collect();
        if taken.contains(&"GET") {
            taken.push("HEAD");
        }
        taken.sort_unstable();
        let route = all.iter().find(|route| route.path == path).unwrap();
        let address = route.with(&objects, "nothing");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().filter(|method| !taken.contains(method)) {
            let answer = send(&app, &token, method, &address, &[], None).assert_status(405);
            let mut allowed: Vec<&str> = answer.header("allow").split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, taken, "{method} {path}");
        }
    }
}

#[test]
fn a_generator_makes_one_type_of_each_object_and_misses_no_member() {
    let Scene { app, .. } = scene();
    let description = app.get("/api/v1/openapi.json", &[]).assert_status(200).json();
    let schemas = description["components"]["schemas"].as_object().unwrap();
    // What requests may leave out.
    let requests = [
        "NewApp",
        "AppChange",
        "NewApi",
        "ApiChange",
        "NewKey",
        "Rotation",
        "Scope",
        "ScopeChange",
        "NewIssuer",
        "IssuerChange",
        "NewTrial",
        // Of these, one of several members.
        "IssuerKeys",
        "ClaimRule",
    ];
    for (name, schema) in schemas.iter().filter(|(name, _)| !requests.contains(&name.as_str())) {
        for part in schema["allOf"].as_array().unwrap_or(&vec![schema.clone()]) {
            let required = part["required"].as_array().cloned().unwrap_or_default();
            let mut members = part["properties"].as_object().into_iter().flatten().map(|(member, _)| member);
            let left_out: Vec<&String> = members.by_ref().filter(|member| !required.contains(&json!(member))).collect();
            let expected: &[&str] = if name == "Problem" { &["errors"] } else { &[] };
            assert_eq!(left_out, expected, "{name}");
        }
        if let Some(item) = name.strip_prefix("Page_") {
            let items = &schema["properties"]["items"]["items"];
            assert_eq!(items["$ref"], format!("#/components/schemas/{item}"));
        }
    }
}
