//! The one way in to the endpoints that take a form and credentials: token, introspection, revocation.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::body::read_form;
use crate::http::caller::{authorization, caller};
use crate::http::error::{body_answer, oauth_answer};
use crate::http::site::Site;
use crate::oauth::client::PresentedCredentials;
use crate::oauth::request::TokenParams;
use crate::oauth::{Client, OAuthError};
use crate::service::Caller;
use crate::service::client_auth::{AuthenticatedClient, authenticate};

/// A form that was read, and the credentials that came with it: nothing is proved yet.
pub(super) struct ClientForm<'b> {
    pub(super) caller: Caller,
    pub(super) params: TokenParams<'b>,
    pub(super) presented: PresentedCredentials,
}

impl<'b> ClientForm<'b> {
    fn read(site: &Site, request: &HttpRequest, body: &'b [u8]) -> Result<Self, OAuthError> {
        let caller = caller(&site.authority, request);
        TokenParams::refuse_in_query(request.query_string())?;
        let params = TokenParams::from_form(body)?;
        let presented = PresentedCredentials::read(authorization(request), &params)?;
        Ok(Self { caller, params, presented })
    }

    /// The client, and the token that the request is about, in this order: a stranger learns nothing about the form.
    pub(super) async fn client_and_token(&self, site: &Site) -> Result<(AuthenticatedClient, &str), OAuthError> {
        let client = authenticate(&site.authority, &self.caller, &self.presented).await?;
        let token = self.params.get("token").ok_or_else(|| missing_token(client.client()))?;
        Ok((client, token))
    }
}

fn missing_token(client: &Client) -> OAuthError {
    OAuthError::invalid_request("token is missing.").of_client(client.client_id)
}

/// Reads a form with credentials and lets `answer` answer it; every error gets the answer of
/// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
pub(super) async fn answer_form(
    site: &Site,
    request: &HttpRequest,
    payload: Payload,
    answer: impl AsyncFnOnce(ClientForm<'_>) -> Result<HttpResponse, OAuthError>,
) -> HttpResponse {
    let issuer = site.authority.issuer();
    let body = match read_form(request, payload, site.authority.config.request_timeout).await {
        Ok(body) => body,
        Err(error) => return body_answer(issuer, error),
    };
    let answered = match ClientForm::read(site, request, &body) {
        Ok(form) => answer(form).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| oauth_answer(issuer, &error))
}
