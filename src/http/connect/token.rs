//! `POST /connect/token` ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::http::answer::private_json;
use crate::http::body::read_form;
use crate::http::caller::{authorization, caller};
use crate::http::error::{body_answer, oauth_answer};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::OAuthError;
use crate::oauth::client::PresentedCredentials;
use crate::oauth::request::TokenParams;
use crate::service::token::{IssuedToken, exchange};

/// A token ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    scope: &'a str,
}

/// Answers a token request.
pub(in crate::http) async fn token(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let issuer = site.authority.issuer();
    let body = match read_form(&request, payload, site.authority.config.request_timeout).await {
        Ok(body) => body,
        Err(error) => return body_answer(issuer, error),
    };
    match issue(&site, &request, &body).await {
        Ok(issued) => {
            let answer = TokenResponse {
                access_token: &issued.jwt,
                token_type: "Bearer",
                expires_in: issued.lifetime.as_secs(),
                scope: &issued.scope,
            };
            let mut response = private_json(StatusCode::OK, &answer);
            response.extensions_mut().insert(Outcome::of_client(issued.client_id));
            response
        }
        Err(error) => oauth_answer(issuer, &error),
    }
}

async fn issue(site: &Site, request: &HttpRequest, body: &[u8]) -> Result<IssuedToken, OAuthError> {
    let caller = caller(&site.authority, request);
    TokenParams::refuse_in_query(request.query_string())?;
    let params = TokenParams::from_form(body)?;
    let presented = PresentedCredentials::read(authorization(request), &params)?;
    exchange(&site.authority, &caller, &presented, &params).await
}
