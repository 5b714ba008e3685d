//! A request of the management API that came past the guard: on whose behalf, on what condition, and how it is answered.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev};
use serde::Serialize;
use uuid::Uuid;

use super::json::{self, Body};
use super::page::Query;
use crate::clock::Timestamp;
use crate::http::answer::no_store;
use crate::http::caller::caller;
use crate::http::error::ApiError;
use crate::http::guard::{Access, Demand, management_scopes, site};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::metadata::path;
use crate::oauth::{Client, ClientId};
use crate::service::{Authority, Condition, Management, ServiceError, Version};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST_KEY: usize = 255;

/// A handler that takes one runs only for a token that is good and has the scope that `D` demands.
pub(in crate::http) struct Visit<D> {
    site: Data<Site>,
    request: HttpRequest,
    client: Arc<Client>,
    management: Management,
    now: Timestamp,
    demand: PhantomData<D>,
}

impl<D: Demand> FromRequest for Visit<D> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let access = Access::<D>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move { Self::new(request, &access.await?) })
    }
}

impl<D> Visit<D> {
    fn new(request: HttpRequest, access: &Access<D>) -> Result<Self, ApiError> {
        let site = site(&request)?.clone();
        let scopes = management_scopes(&access.valid).map(str::to_owned).collect();
        let client = access.valid.client.clone();
        let caller = caller(&site.authority, &request);
        let management = site.authority.management.on_behalf_of(&client, scopes, caller.address);
        let management = management.showing(&access.valid);
        Ok(Self { site, request, client, management, now: caller.now, demand: PhantomData })
    }

    /// The query of a list, which besides `limit` and `cursor` may have the parameters that are `known`.
    pub(super) fn query(&self, known: &[&str]) -> Result<Query<'_>, ApiError> {
        Query::read(&self.request, known)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The slug of the token's organisation, which is all that is seen.
    pub(super) fn organisation(&self) -> String {
        self.client.organisation.slug.to_string()
    }

    /// An app named in the path. What cannot be one is answered as one that does not exist.
    pub(super) fn client_id(&self, text: &str) -> Result<ClientId, ApiError> {
        ClientId::parse(text).ok_or_else(|| ApiError::not_found(&self.request))
    }

    /// An id of ours named in the path, in the one spelling that it has.
    pub(super) fn id(&self, text: &str) -> Result<Uuid, ApiError> {
        let id = Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
        id.ok_or_else(|| ApiError::not_found(&self.request))
    }

    /// What the body says, and its octets.
    pub(super) async fn body<T: Body>(&self, payload: Payload) -> Result<(T, Bytes), ApiError> {
        let octets = json::read(&self.request, payload, self.site.authority.config.request_timeout).await?;
        Ok((json::parse(&self.request, &octets)?, octets))
    }

    /// Runs a walk that changes nothing.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let found = self.site.authority.look(self.management.clone(), walk).await;
        found.map_err(|error| ApiError::service(&self.request, &error, "").of_client(self.client.client_id))
    }

    /// Asks the running server something on behalf of the token's app.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Authority, &Management) -> Result<T, ServiceError>,
    ) -> Result<T, ApiError> {
        let answer = question(&self.site.authority, &self.management).await;
        answer.map_err(|error| ApiError::service(&self.request, &error, "").of_client(self.client.client_id))
    }

    /// Runs a walk that changes something, if the condition of `If-Match` holds. `conflict` says what can stand against it.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        conflict: &'static str,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.run(self.management.clone(), conflict, walk).await
    }

    /// Runs a walk that makes something; once for all requests with the same `Idempotency-Key`.
    pub(super) async fn create<T: Send + 'static>(
        &self,
        body: &[u8],
        conflict: &'static str,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let management = match self.idempotency_key()? {
            Some(key) => {
                let request = [self.request.method().as_str().as_bytes(), self.request.path().as_bytes(), body];
                self.management.clone().once(self.client.client_id, &key, &request)
            }
            None => self.management.clone(),
        };
        self.run(management, conflict, walk).await
    }

    async fn run<T: Send + 'static>(
        &self,
        management: Management,
        conflict: &'static str,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = self.site.authority.change(management.on(self.condition()), walk).await;
        done.map_err(|error| ApiError::service(&self.request, &error, conflict).of_client(self.client.client_id))
    }

    /// `If-Match` ([RFC 9110 §13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)): weak tags never match, and
    /// `*` asks only that there is something, which is asked anyway.
    fn condition(&self) -> Condition {
        let mut given = self.request.headers().get_all(IF_MATCH).peekable();
        if given.peek().is_none() {
            return Condition::Always;
        }
        let tags: Vec<&str> =
            given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).map(str::trim).collect();
        if tags.contains(&"*") {
            return Condition::Always;
        }
        let version = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
        Condition::Versions(tags.iter().filter_map(version).collect())
    }

    /// `Idempotency-Key`, with or without the quotes of a structured header.
    fn idempotency_key(&self) -> Result<Option<String>, ApiError> {
        let mut given = self.request.headers().get_all(IDEMPOTENCY_KEY);
        let (first, second) = (given.next(), given.next());
        let Some(first) = first else { return Ok(None) };
        let text = first.to_str().ok().filter(|_| second.is_none());
        let key = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
        let fits =
            |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        let refused = || {
            ApiError::bad_request(
                &self.request,
                "Idempotency-Key must be one text of 1 to 255 printable ASCII characters without space.",
            )
        };
        key.filter(fits).map(|key| Some(key.to_owned())).ok_or_else(refused)
    }

    /// An answer that only the asker may see.
    pub(super) fn answer(&self, status: StatusCode, body: &impl Serialize) -> HttpResponse {
        self.signed(no_store(&mut HttpResponse::build(status)).json(body))
    }

    /// An object with its entity tag; 304 when the asker knows it.
    pub(super) fn object(&self, version: &Version, body: &impl Serialize) -> HttpResponse {
        let tag = entity_tag(version);
        let headers = self.request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let known = headers
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag);
        let reads = self.request.method().is_safe();
        let mut builder = HttpResponse::build(if known && reads { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        no_store(&mut builder).insert_header((ETAG, tag));
        self.signed(if known && reads { builder.finish() } else { builder.json(body) })
    }

    /// Something new: where it is and, if it has one, its version.
    pub(super) fn created(&self, location: &str, version: Option<&Version>, body: &impl Serialize) -> HttpResponse {
        let mut builder = HttpResponse::Created();
        let location = format!("{}{}{location}", self.site.authority.issuer(), path::API);
        no_store(&mut builder).insert_header((LOCATION, location));
        if let Some(version) = version {
            builder.insert_header((ETAG, entity_tag(version)));
        }
        self.signed(builder.json(body))
    }

    /// Done, and nothing to say.
    pub(super) fn done(&self) -> HttpResponse {
        self.signed(no_store(&mut HttpResponse::NoContent()).finish())
    }

    /// Lets the log know whose request it was.
    fn signed(&self, response: HttpResponse) -> HttpResponse {
        let mut response = response;
        response.extensions_mut().insert(Outcome::of_client(self.client.client_id));
        response
    }
}

fn entity_tag(version: &Version) -> String {
    format!("\"{}\"", version.as_str())
}
