//! `POST /connect/revocation` ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::form::answer_form;
use crate::http::answer::no_store;
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::service::revocation::revoke_own;

/// Revokes a token of the client that asks. The same empty answer whether there was anything to revoke or not.
/// `token_type_hint` is ignored: there is one kind of token.
pub(in crate::http) async fn revoke(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    answer_form(&site, &request, payload, async |form| {
        let (client, token) = form.client_and_token(&site).await?;
        let client = client.client();
        revoke_own(&site.authority, &form.caller, client, token)
            .await
            .map_err(|error| error.of_client(client.client_id))?;
        let mut response = no_store(&mut HttpResponse::Ok()).finish();
        response.extensions_mut().insert(Outcome::of_client(client.client_id));
        Ok(response)
    })
    .await
}
