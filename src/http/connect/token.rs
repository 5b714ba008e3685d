//! `POST /connect/token` ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;

use super::form::answer_form;
use crate::http::answer::private_json;
use crate::http::dpop;
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::request::{ACCESS_TOKEN_TYPE, GrantType};
use crate::service::token::exchange;

/// A token ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    scope: &'a str,
    /// [RFC 8693 §2.2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.2.1)
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Answers a token request.
pub(in crate::http) async fn token(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    answer_form(&site, &request, payload, async |form| {
        // For the counts.
        GrantType::named(&form.params).map(|grant| request.extensions_mut().insert(grant));
        dpop::hand_out_nonce(&site.authority, &request, form.caller.now);
        let proof = dpop::proof(&request)?;
        let issued = exchange(&site.authority, &form.caller, &form.presented, &form.params, proof).await?;
        let answer = TokenResponse {
            access_token: &issued.jwt,
            token_type: issued.token_type,
            expires_in: issued.lifetime.as_secs(),
            scope: &issued.scope,
            issued_token_type: issued.is_exchanged.then_some(ACCESS_TOKEN_TYPE),
        };
        let mut response = private_json(StatusCode::OK, &answer);
        response.extensions_mut().insert(Outcome::issued(&issued));
        Ok(response)
    })
    .await
}
