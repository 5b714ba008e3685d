//! The guard of the resource routes, contract §5.

use std::time::Duration;

use crate::support::{TestApp, new_app};

#[test]
fn an_expired_token_is_refused_with_a_challenge_and_a_fresh_one_works() {
    let app = TestApp::new();
    let mut short = new_app(&["billing:read"]);
    short.lifetime = Some(Duration::from_secs(2));
    let client = app.create_app_with("acme", short);
    let token = app.token(&client);
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);

    app.clock.advance(Duration::from_secs(1));
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    app.clock.advance(Duration::from_secs(1));

    let answer = app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"brevet\", error=\"invalid_token\", error_description=\"The access token expired at \
         2026-11-22T00:00:02Z.\", resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\""
    );
    let fresh = app.token(&client);
    app.get_with_token("/api/v1/whoami", &fresh).assert_status(200);
}
