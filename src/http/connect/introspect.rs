//! `POST /connect/introspect` ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), on demand as a JWT
//! ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)).

use actix_web::http::StatusCode;
use actix_web::http::header::{Accept, Header, Quality, QualityItem};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mime::Mime;

use super::form::answer_form;
use crate::http::answer::{no_store, private_json};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::introspection::{Introspection, SignedIntrospection};
use crate::oauth::{OAuthError, StatementType};
use crate::service::introspection::introspect as ask;

/// Says what a token is worth. `token_type_hint` is ignored: there is one kind of token.
pub(in crate::http) async fn introspect(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let wants_jwt = wants_jwt(&request);
    answer_form(&site, &request, payload, async |form| {
        let (client, token) = form.client_and_token(&site).await?;
        let asker = client.client();
        let valid = ask(&site.authority, &form.caller, asker, token).await?;
        let introspection =
            valid.as_ref().map_or(Introspection::Inactive, |valid| Introspection::Active(&valid.token.claims));
        let mut response = if wants_jwt {
            let statement = SignedIntrospection {
                issuer: site.authority.issuer(),
                audience: asker.client_id,
                issued_at: form.caller.now,
                introspection: &introspection,
            };
            let typ = StatementType::TokenIntrospection;
            let signed = site.authority.directory.ring().sign_statement(typ, &statement, form.caller.now);
            let jwt = signed.map_err(|error| OAuthError::server_error(error.to_string()))?;
            no_store(&mut HttpResponse::Ok()).content_type(typ.media_type()).body(jwt)
        } else {
            private_json(StatusCode::OK, &introspection)
        };
        response.extensions_mut().insert(Outcome::of_client(asker.client_id));
        Ok(response)
    })
    .await
}

/// Whether the client would rather have the JWT than JSON. Only one who names it can mean it.
fn wants_jwt(request: &HttpRequest) -> bool {
    let Ok(accepted) = Accept::parse(request) else { return false };
    let quality = |matches: &dyn Fn(&Mime) -> bool| {
        accepted.iter().filter(|item: &&QualityItem<Mime>| matches(&item.item)).map(|item| item.quality).max()
    };
    let jwt = quality(&|mime| mime.as_ref().eq_ignore_ascii_case(StatementType::TokenIntrospection.media_type()));
    let json = quality(&|mime| mime.essence_str() == mime::APPLICATION_JSON.essence_str());
    jwt.is_some_and(|jwt| jwt > Quality::ZERO && json.is_none_or(|json| jwt >= json))
}
