//! `/api/v1/apps/{client_id}/keys`: the App Keys of an app.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Payload};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

use super::json::{Body, Span, given};
use super::openapi::{ChangeRefusals, Refusals};
use super::page::{Page, PageParams};
use super::visit::Visit;
use crate::clock::Timestamp;
use crate::db::app_keys::AppKeyRecord;
use crate::http::error::ApiError;
use crate::http::guard::{AppsRead, AppsWrite};
use crate::oauth::ClientId;
use crate::service::ServiceError;
use crate::service::app_keys::{self, CreatedKey};

/// How long the old keys still work when nothing is said.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(86_400);

/// An App Key, without the key. Times in RFC 3339.
#[derive(Serialize, ToSchema)]
pub(super) struct AppKey {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// How it begins and ends.
    #[schema(example = "bvk_…x7Qf")]
    hint: String,
    /// `active`, `ending` (it has an end), `expired` or `revoked`.
    state: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// By whom.
    created_by: String,
    /// From when on it is refused.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// Since when it is refused.
    #[schema(required = true, format = DateTime)]
    revoked_at: Option<String>,
    /// When it last got a token; up to ten seconds late.
    #[schema(required = true, format = DateTime)]
    last_used_at: Option<String>,
    /// From which address.
    #[schema(required = true)]
    last_used_from: Option<String>,
}

impl AppKey {
    fn new(key: AppKeyRecord, now: Timestamp) -> Self {
        Self {
            state: key.state(now),
            id: key.id.to_string(),
            hint: format!("bvk_…{}", key.hint),
            created_at: key.created_at.rfc3339(),
            created_by: key.created_by,
            expires_at: key.expires_at.map(Timestamp::rfc3339),
            revoked_at: key.revoked_at.map(Timestamp::rfc3339),
            last_used_at: key.last_used_at.map(Timestamp::rfc3339),
            last_used_from: key.last_used_from,
        }
    }
}

/// An App Key just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyAnswer {
    /// Its app.
    #[schema(format = "uuid")]
    client_id: String,
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// The App Key. Shown in this answer and never again.
    client_secret: String,
    /// From when on it is refused.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
}

impl NewKeyAnswer {
    fn new(client_id: ClientId, created: &CreatedKey) -> Self {
        Self {
            client_id: client_id.to_string(),
            id: created.id.to_string(),
            client_secret: created.client_secret.reveal().to_owned(),
            expires_at: created.expires_at.map(Timestamp::rfc3339),
        }
    }
}

/// A key to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// When it ends, from now.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", example = "90d")]
    expires_in: Option<Span>,
}

const EXPIRES_IN: (&str, &str) = ("expires_in", "a span such as 90s, 10m, 24h or 90d");

impl Body for NewKey {
    const MEMBERS: &'static [(&'static str, &'static str)] = &[EXPIRES_IN];
    const OPTIONAL: bool = true;
}

/// A rotation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the present key still works; `0s` for not at all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", default = "24h")]
    overlap: Option<Span>,
    /// When the new key ends, from now.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[smhd]$", example = "90d")]
    expires_in: Option<Span>,
}

impl Body for Rotation {
    const MEMBERS: &'static [(&'static str, &'static str)] =
        &[("overlap", "a span such as 0s, 10m, 24h or 90d"), EXPIRES_IN];
    const OPTIONAL: bool = true;
}

/// The keys of an app, oldest first
#[utoipa::path(get, path = "/apps/{client_id}/keys", tag = "app keys", security(("oauth2" = ["apps:read"]), ("bearer" = ["apps:read"])),
    params(("client_id" = String, Path, format = "uuid"), PageParams),
    responses((status = 200, body = Page<AppKey>, description = "A page of keys, never the keys themselves"), Refusals))]
pub(in crate::http) async fn list_keys(visit: Visit<AppsRead>, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let query = visit.query(&[])?;
    let (limit, after) = (query.limit()?, query.cursor("app-keys", |text| uuid::Uuid::try_parse(text).ok())?);
    let mut found = visit.look(move |m| app_keys::list(m, client_id)).await?;
    found.retain(|key| after.is_none_or(|after| key.id > after));
    let show = |key| AppKey::new(key, visit.now());
    let page = Page::new("app-keys", limit, found, |key| key.id.to_string(), show);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// Add a key beside those the app has
///
/// Only for an app that has no scopes of this API that the asker's own token has not: whoever has its key has its power.
#[utoipa::path(post, path = "/apps/{client_id}/keys", tag = "app keys", request_body = Option<NewKey>, security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if the app still has this entity tag"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key and body within 24 hours give the same answer again")),
    responses((status = 201, body = NewKeyAnswer, description = "The App Key, this once", headers(("Location" = String))), ChangeRefusals))]
pub(in crate::http) async fn add_key(
    visit: Visit<AppsWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let (new, octets) = visit.body::<NewKey>(payload).await?;
    let expires_in = new.expires_in.map(|span| span.0);
    let conflict = "The app has as many live keys as it may (revoke one first), or it signs its requests and has none.";
    let made = visit.create(&octets, conflict, move |m| app_keys::add(m, client_id, expires_in)).await?;
    let location = format!("/apps/{client_id}/keys/{}", made.id);
    Ok(visit.created(&location, None, &NewKeyAnswer::new(client_id, &made)))
}

/// Make a new key and let the present one end after a while
///
/// Of several at once with the same `If-Match` one makes a key; the others are answered 409.
#[utoipa::path(post, path = "/apps/{client_id}/keys/rotate", tag = "app keys", request_body = Option<Rotation>, security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if the app still has this entity tag"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "The same key and body within 24 hours give the same answer again")),
    responses((status = 201, body = NewKeyAnswer, description = "The new App Key, this once", headers(("Location" = String))), ChangeRefusals))]
pub(in crate::http) async fn rotate_key(
    visit: Visit<AppsWrite>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let (rotation, octets) = visit.body::<Rotation>(payload).await?;
    let overlap = rotation.overlap.map_or(DEFAULT_OVERLAP, |span| span.0);
    let expires_in = rotation.expires_in.map(|span| span.0);
    let conflict = "The app or its keys were changed since they were read, it has as many live keys as it may, or it signs its requests and has none.";
    let rotate = move |m: &_| {
        app_keys::rotate(m, client_id, overlap, expires_in).map_err(|error| match error {
            // Whoever lost the race shall know that somebody else has rotated.
            ServiceError::Stale => ServiceError::Conflict(error.to_string()),
            other => other,
        })
    };
    let made = visit.create(&octets, conflict, rotate).await?;
    let location = format!("/apps/{client_id}/keys/{}", made.id);
    Ok(visit.created(&location, None, &NewKeyAnswer::new(client_id, &made)))
}

/// Make a key unusable at once
#[utoipa::path(delete, path = "/apps/{client_id}/keys/{key_id}", tag = "app keys", security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("key_id" = String, Path, format = "uuid"),
        ("If-Match" = Option<String>, Header, description = "Only if the app still has this entity tag")),
    responses((status = 204, description = "It is refused from now on"), ChangeRefusals))]
pub(in crate::http) async fn revoke_key(
    visit: Visit<AppsWrite>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (client_id, key_id) = (visit.client_id(&path.0)?, visit.id(&path.1)?);
    let conflict = "That is the app's last live key: rotate it, or disable the app.";
    visit.change(conflict, move |m| app_keys::revoke(m, client_id, key_id)).await?;
    Ok(visit.done())
}
