//! `POST /connect/register` ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)) and
//! `GET`, `PUT`, `DELETE /connect/register/{client_id}` ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)).

use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::clock::Timestamp;
use crate::http::answer::{no_store, private_json};
use crate::http::bearer::sent_bearer_token;
use crate::http::body::{BodyError, read_json};
use crate::http::caller::caller;
use crate::http::error::{json_body_answer, oauth_answer};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::bearer::NotSent;
use crate::oauth::client::{ClientAuthentication, KeySource};
use crate::oauth::metadata::path;
use crate::oauth::registration::{ClientInformation, ClientMetadata, GRANT_TYPE, MetadataUpdate};
use crate::oauth::{OAuthError, OAuthErrorCode};
use crate::secret::Secret;
use crate::service::registration::{self, Registered};

/// Why there is no answer of success.
enum Refused {
    Request(OAuthError),
    Body(BodyError),
    /// A challenge without an error, because nothing is wrong yet.
    NoToken,
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self::Request(error)
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl Refused {
    fn answer(self, issuer: &str) -> HttpResponse {
        let (error, challenge) = match self {
            Self::Body(error) => return json_body_answer(issuer, error),
            Self::NoToken => (OAuthError::invalid_token("no token"), "Bearer realm=\"brevet\""),
            Self::Request(error) => (error, "Bearer realm=\"brevet\", error=\"invalid_token\""),
        };
        let mut response = oauth_answer(issuer, &error);
        if error.code == OAuthErrorCode::InvalidToken {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// The one place for the token. It is checked before the body is looked at: a stranger learns nothing about the body.
fn sent_token(request: &HttpRequest) -> Result<&str, Refused> {
    sent_bearer_token(request).map_err(|why| match why {
        NotSent::Malformed(description) => OAuthError::invalid_request(description).into(),
        NotSent::NoToken => Refused::NoToken,
    })
}

/// Reads the body before anything is refused, so that the connection can be used again.
async fn body(site: &Site, request: &HttpRequest, payload: Payload) -> Result<Bytes, BodyError> {
    read_json(request, payload, site.authority.config.request_timeout).await
}

/// Registers a client.
pub(in crate::http) async fn register(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let body = body(&site, &request, payload).await;
    let unread = body.is_err();
    finish(&site, unread, try_register(&site, &request, body).await)
}

/// What was not read must not be taken for the next request.
fn finish(site: &Site, unread: bool, answer: Result<HttpResponse, Refused>) -> HttpResponse {
    let mut response = answer.unwrap_or_else(|refused| refused.answer(site.authority.issuer()));
    if unread {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

async fn try_register(
    site: &Site,
    request: &HttpRequest,
    body: Result<Bytes, BodyError>,
) -> Result<HttpResponse, Refused> {
    let caller = caller(&site.authority, request);
    let access = registration::authenticate_initial(&site.authority, &caller, sent_token(request)?).await?;
    let metadata = ClientMetadata::read(&body?)?;
    let made = registration::register(&site.authority, &caller, access, metadata).await?;
    Ok(information(site, StatusCode::CREATED, &made.client, made.registration_access_token.reveal()))
}

/// Shows, changes or deletes a registered client.
pub(in crate::http) async fn configure(
    site: Data<Site>,
    request: HttpRequest,
    client_id: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let body = if request.method() == Method::PUT { Some(body(&site, &request, payload).await) } else { None };
    let unread = matches!(body, Some(Err(_)));
    finish(&site, unread, try_configure(&site, &request, &client_id, body).await)
}

async fn try_configure(
    site: &Site,
    request: &HttpRequest,
    client_id: &str,
    body: Option<Result<Bytes, BodyError>>,
) -> Result<HttpResponse, Refused> {
    let authority = &site.authority;
    let caller = caller(authority, request);
    let token = sent_token(request)?;
    let access = registration::authenticate_registered(authority, &caller, client_id, token).await?;
    let client = match body {
        Some(body) => {
            let update = MetadataUpdate::read(&body?, client_id)?;
            registration::update(authority, &caller, access, update).await
        }
        None if request.method() == Method::DELETE => {
            registration::delete(authority, &caller, access).await?;
            let mut response = no_store(&mut HttpResponse::NoContent()).finish();
            response.extensions_mut().insert(Outcome::of_client(access.client_id()));
            return Ok(response);
        }
        None => registration::show(authority, &caller, access).await,
    };
    let client = client.map_err(|error| error.of_client(access.client_id()))?;
    Ok(information(site, StatusCode::OK, &client, token))
}

/// The token stays the same as long as the client lives, so whoever showed it is told the same one.
fn information(site: &Site, status: StatusCode, client: &Registered, token: &str) -> HttpResponse {
    let app = &client.app;
    let (jwks, jwks_uri) = match &app.authentication {
        ClientAuthentication::ClientSecret | ClientAuthentication::TrustedIssuer => (None, None),
        ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(jwks)) => (serde_json::from_str(jwks).ok(), None),
        ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(uri)) => (None, Some(&**uri)),
    };
    let scopes: Vec<&str> = app.scopes.iter().map(|(_, name)| name.as_str()).collect();
    let body = ClientInformation {
        client_id: app.client_id.to_string(),
        client_secret: client.client_secret.as_ref().map(Secret::reveal),
        client_secret_expires_at: client.secret_expires_at.map(|ends_at| ends_at.map_or(0, Timestamp::seconds)),
        client_id_issued_at: app.created_at.seconds(),
        registration_access_token: token,
        registration_client_uri: format!("{}{}/{}", site.authority.issuer(), path::REGISTRATION, app.client_id),
        client_name: &app.name,
        token_endpoint_auth_method: client.auth_method.name(),
        grant_types: [GRANT_TYPE],
        response_types: [],
        scope: scopes.join(" "),
        jwks,
        jwks_uri,
        dpop_bound_access_tokens: app.dpop_required,
    };
    let mut response = private_json(status, &body);
    response.extensions_mut().insert(Outcome::of_client(app.client_id));
    response
}
