//! `GET /api/v1/whoami`: what a token says, to whoever holds it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::http::answer::private_json;
use crate::http::guard::{Access, AnyToken};
use crate::http::observe::Outcome;
use crate::oauth::claims::OneOrMany;

#[derive(Serialize)]
struct WhoAmI<'a> {
    client_id: &'a str,
    app_name: &'a str,
    tenant: &'a str,
    scope: String,
    aud: &'a OneOrMany,
    iss: &'a str,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// Answers from memory.
pub(in crate::http) async fn whoami(access: Access<AnyToken>) -> HttpResponse {
    let (claims, client) = (&access.valid.token.claims, &access.valid.client);
    let answer = WhoAmI {
        client_id: &claims.client_id,
        app_name: &client.name,
        tenant: &claims.tenant,
        scope: claims.scope.to_text(),
        aud: &claims.aud,
        iss: &claims.iss,
        issued_at: claims.iat,
        expires_at: claims.exp,
    };
    let mut response = private_json(StatusCode::OK, &answer);
    response.extensions_mut().insert(Outcome::of_client(client.client_id));
    response
}
