//! The management API: what commands can do, over HTTP, for the organisation of the token's app.

mod bodies;
mod isolation;
mod issuers;
mod lists;
mod repeats;
mod story;

use brevet::service::apps::NewApp;
use serde_json::Value;

use crate::support::http::{self, Answer};
use crate::support::{Credentials, TestApp, new_app};

/// Every scope of the management API.
pub const ALL_SCOPES: &[&str] = &[
    "apps:read",
    "apps:write",
    "apis:read",
    "apis:write",
    "keys:read",
    "audit:read",
    "usage:read",
    "issuers:read",
    "issuers:write",
];

/// A server and a token that may do everything in `acme`.
pub struct Scene {
    pub app: TestApp,
    pub admin: Credentials,
    pub token: String,
}

pub fn scene() -> Scene {
    scene_with(&[])
}

pub fn scene_with(settings: &[(&str, &str)]) -> Scene {
    let app = TestApp::with(settings);
    let admin = app.create_app_with("acme", NewApp { name: "admin".to_owned(), ..new_app(ALL_SCOPES) });
    let token = app.token(&admin);
    Scene { app, admin, token }
}

impl Scene {
    /// A request with the admin's token.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        send(&self.app, &self.token, method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }
}

/// A request under `/api/v1` with a token and a JSON body.
pub fn send(
    app: &TestApp,
    token: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    if body.is_some() {
        all.push(("content-type", "application/json"));
    }
    all.extend_from_slice(headers);
    let octets = body.map(|body| body.to_string().into_bytes());
    http::send(method, &format!("{}/api/v1{path}", app.url), &all, octets.as_deref())
}

/// A member that is a text.
pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

/// The kind of a refusal, which has everything that a problem must have: its error code, and the members that it names.
pub fn problem(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let code = text(&body, "error");
    assert_eq!(body["type"], format!("http://127.0.0.1:8080/docs/errors#{code}"));
    assert_eq!(body["status"], answer.status.as_u16());
    assert_eq!(body["detail"], body["error_description"]);
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    assert!(!text(&body, "title").is_empty());
    let fields: Vec<String> =
        body["errors"].as_array().into_iter().flatten().map(|fault| text(fault, "field")).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
    format!("{} {code}{fields}", answer.status.as_u16())
}
