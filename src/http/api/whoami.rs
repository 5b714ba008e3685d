//! `GET /api/v1/whoami`: what a token says, to whoever holds it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::Refusals;
use crate::clock::Timestamp;
use crate::http::answer::private_json;
use crate::http::guard::{Access, AnyToken};
use crate::http::observe::Outcome;
use crate::oauth::claims::{Actor, OneOrMany};

/// What a token says, and the name of its app.
#[derive(Serialize, ToSchema)]
pub(super) struct WhoAmI<'a> {
    client_id: &'a str,
    app_name: &'a str,
    tenant: &'a str,
    scope: String,
    /// A text or a list of texts.
    #[schema(value_type = Value)]
    aud: &'a OneOrMany,
    iss: &'a str,
    /// Seconds since 1970.
    #[schema(value_type = i64)]
    issued_at: Timestamp,
    /// Seconds since 1970.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
    /// Whom it is about: the App SID, or a user whom a trusted issuer named, or whose token the app exchanged for this one.
    sub: &'a str,
    /// Who acts for them, if the app exchanged their token for this one.
    #[schema(required = true, value_type = Option<Object>)]
    act: Option<&'a Actor>,
}

/// What the token says, to whoever holds it
///
/// Takes any good access token of this server, whatever it is for.
#[utoipa::path(get, path = "/whoami", tag = "token", security(("oauth2" = []), ("bearer" = [])),
    responses((status = 200, body = WhoAmI, description = "What the token says"), Refusals))]
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
        sub: &claims.sub,
        act: claims.act.as_ref(),
    };
    let mut response = private_json(StatusCode::OK, &answer);
    response.extensions_mut().insert(Outcome::of_client(client.client_id));
    response
}
