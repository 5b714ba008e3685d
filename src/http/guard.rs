//! The guard of the resource routes ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)): a handler that takes an
//! [`Access`] runs only for a token that is good and allowed.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::caller::{authorization, caller};
use super::error::ApiError;
use super::site::Site;
use crate::keys::verify::TokenError;
use crate::oauth::api::management_scope;
use crate::oauth::client::Authorization;
use crate::oauth::form;
use crate::oauth::metadata::path;
use crate::service::access::{self, AccessError, ValidToken};

/// What a route demands of a token besides being good.
pub(super) trait Demand: 'static {
    /// The scope, and with it the management API as audience; `None` to accept any token of this server.
    const SCOPE: Option<&'static str>;
}

/// Any token of this server, whatever it is for.
pub(super) struct AnyToken;

impl Demand for AnyToken {
    const SCOPE: Option<&'static str> = None;
}

/// A token for the management API that may see apps.
pub(super) struct AppsRead;

impl Demand for AppsRead {
    const SCOPE: Option<&'static str> = Some(management_scope::APPS_READ);
}

/// A token that is good and allowed.
pub(super) struct Access<D> {
    pub(super) valid: ValidToken,
    demand: PhantomData<D>,
}

impl<D: Demand> FromRequest for Access<D> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let valid = check(&request, D::SCOPE).await?;
            Ok(Self { valid, demand: PhantomData })
        })
    }
}

async fn check(request: &HttpRequest, scope: Option<&'static str>) -> Result<ValidToken, ApiError> {
    let site = request.app_data::<Data<Site>>().ok_or_else(|| ApiError::internal(request, &"no site"))?;
    let issuer = site.authority.issuer();
    let token = bearer_token(request, issuer)?;
    let now = caller(&site.authority, request).now;
    let valid = access::verify(&site.authority, token, now).await.map_err(|error| match error {
        AccessError::Refused(reason) => invalid_token(request, issuer, reason),
        AccessError::Unavailable(reason) => ApiError::unavailable(request, &reason),
    })?;
    let Some(scope) = scope else { return Ok(valid) };
    if !valid.token.claims.aud.contains(&site.authority.directory.management_api().identifier) {
        return Err(invalid_token(request, issuer, TokenError::Audience));
    }
    if !valid.token.claims.scope.contains(scope) {
        let description = format!("This needs the scope {scope}.");
        let challenge = challenge(
            issuer,
            &format!(", error=\"insufficient_scope\", error_description=\"{description}\", scope=\"{scope}\""),
        );
        return Err(
            ApiError::new(request, StatusCode::FORBIDDEN, "insufficient_scope", description).with_challenge(challenge)
        );
    }
    Ok(valid)
}

/// The token in the `Authorization` header, the one place where it may be.
fn bearer_token<'r>(request: &'r HttpRequest, issuer: &str) -> Result<&'r str, ApiError> {
    let malformed = |description| {
        let parameters = format!(", error=\"invalid_request\", error_description=\"{description}\"");
        ApiError::bad_request(request, description).with_challenge(challenge(issuer, &parameters))
    };
    if form::query_names(request.query_string(), &["access_token"]) {
        return Err(malformed("Send the token in the Authorization header, not in the URL."));
    }
    let header = match authorization(request) {
        Authorization::None => return Err(unauthenticated(request, issuer)),
        Authorization::Several => return Err(malformed("There is more than one Authorization header.")),
        Authorization::One(header) => header,
    };
    let text = std::str::from_utf8(header).map_err(|_not_utf8| malformed("The Authorization header is malformed."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated(request, issuer));
    }
    let token = token.trim_start_matches(' ');
    let is_b64token =
        |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || !token.bytes().all(is_b64token) {
        return Err(malformed("The Authorization header is malformed: write Bearer, a space and the token."));
    }
    Ok(token)
}

/// No token: a challenge without an error, because nothing is wrong yet.
fn unauthenticated(request: &HttpRequest, issuer: &str) -> ApiError {
    ApiError::new(request, StatusCode::UNAUTHORIZED, "unauthorized", "Send an access token: Authorization: Bearer ...")
        .with_challenge(challenge(issuer, ""))
}

fn invalid_token(request: &HttpRequest, issuer: &str, reason: TokenError) -> ApiError {
    let parameters = format!(", error=\"invalid_token\", error_description=\"{reason}\"");
    ApiError::new(request, StatusCode::UNAUTHORIZED, "invalid_token", reason.to_string())
        .with_challenge(challenge(issuer, &parameters))
}

/// `resource_metadata`: [RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1).
fn challenge(issuer: &str, parameters: &str) -> String {
    format!("Bearer realm=\"brevet\"{parameters}, resource_metadata=\"{issuer}{}\"", path::PROTECTED_RESOURCE)
}
