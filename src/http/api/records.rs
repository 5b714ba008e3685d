//! `/api/v1/keys`, `/api/v1/audit` and `/api/v1/usage`: what is only read.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::openapi::Refusals;
use super::page::{Page, PageParams};
use super::visit::Visit;
use crate::clock::Timestamp;
use crate::db::audit::{AuditFilter, AuditRecord};
use crate::db::usage::{UsageFilter, UsageRecord};
use crate::http::error::ApiError;
use crate::http::guard::{AuditRead, KeysRead, UsageRead};
use crate::oauth::ClientId;
use crate::service::signing_keys::KeyDetails;
use crate::service::{audit, signing_keys, usage};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Without `from`, a list of counts begins so many spans before `to`.
const DEFAULT_HOURS: u32 = 24;
const DEFAULT_DAYS: u32 = 30;

/// The public state of a signing key of the server. Times in RFC 3339.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKey {
    /// The RFC 7638 thumbprint.
    kid: String,
    /// What it signs with.
    alg: &'static str,
    /// `next` (published, not signing yet), `signing`, `retiring` or `gone`.
    #[schema(value_type = String)]
    state: crate::keys::ring::KeyState,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it signs.
    #[schema(format = DateTime)]
    signs_from: String,
    /// When it stops being published, if that is known.
    #[schema(required = true, format = DateTime)]
    gone_at: Option<String>,
}

impl From<KeyDetails> for SigningKey {
    fn from(key: KeyDetails) -> Self {
        Self {
            alg: key.dates.algorithm.name(),
            state: key.state,
            created_at: key.dates.created_at.rfc3339(),
            signs_from: key.dates.signs_from.rfc3339(),
            gone_at: key.gone_at.map(Timestamp::rfc3339),
            kid: key.dates.kid,
        }
    }
}

/// The signing keys of the server, in the order in which they sign
///
/// They belong to all organisations; to rotate them is an operator's deed, on the command line.
#[utoipa::path(get, path = "/keys", tag = "signing keys", params(PageParams), security(("oauth2" = ["keys:read"]), ("bearer" = ["keys:read"])),
    responses((status = 200, body = Page<SigningKey>, description = "A page of signing keys"), Refusals))]
pub(in crate::http) async fn list_signing_keys(visit: Visit<KeysRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&[])?;
    let after = query.cursor("keys", |text| {
        let (signs_from, kid) = text.split_once(' ')?;
        Some((Timestamp::from_seconds(signs_from.parse().ok()?), kid.to_owned()))
    })?;
    let limit = query.limit()?;
    let mut found = visit.look(signing_keys::list).await?;
    let place = |key: &KeyDetails| (key.dates.signs_from, key.dates.kid.clone());
    found.retain(|key| after.as_ref().is_none_or(|after| place(key) > *after));
    let cursor = |key: &KeyDetails| format!("{} {}", key.dates.signs_from.seconds(), key.dates.kid);
    let page = Page::new("keys", limit, found, cursor, SigningKey::from);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// A deed. Times in RFC 3339.
#[derive(Serialize, ToSchema)]
pub(super) struct Deed {
    /// Its id; later deeds have larger ones.
    #[schema(format = "uuid")]
    id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who: `app:` and an App SID (through this API), `client:` and an App SID (at another endpoint), `user:` and the id of a
    /// person (in the dashboard, or through this API with a ticket), `cli:` and a user of the machine, `server`.
    actor: String,
    /// From which address; `null` for deeds of the server and of commands.
    #[schema(required = true)]
    address: Option<String>,
    /// What.
    #[schema(example = "app.create")]
    action: String,
    /// To what: its id.
    target: String,
    /// What was said about it. `token` says whose token it was done with, if that was a user's or was exchanged.
    #[schema(value_type = Object)]
    detail: Value,
}

impl From<AuditRecord> for Deed {
    fn from(AuditRecord { id, entry }: AuditRecord) -> Self {
        Self {
            id: id.to_string(),
            at: entry.at.rfc3339(),
            actor: entry.actor,
            address: entry.address,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
        }
    }
}

/// Which deeds.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters, which `Query` reads")]
pub(super) struct AuditParams {
    /// By whom.
    actor: Option<String>,
    /// What.
    action: Option<String>,
    /// To what.
    target: Option<String>,
    /// Not before this moment.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this moment.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// Who did what in the organisation, newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditParams, PageParams), security(("oauth2" = ["audit:read"]), ("bearer" = ["audit:read"])),
    responses((status = 200, body = Page<Deed>, description = "A page of deeds"), Refusals))]
pub(in crate::http) async fn list_deeds(visit: Visit<AuditRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&["actor", "action", "target", "from", "to"])?;
    let filter = AuditFilter {
        actor: query.get("actor").map(str::to_owned),
        action: query.get("action").map(str::to_owned),
        target: query.get("target").map(str::to_owned),
        from: query.moment("from")?,
        to: query.moment("to")?,
        ..AuditFilter::default()
    };
    let (limit, before) = (query.limit()?, query.cursor("audit", |text| Uuid::try_parse(text).ok())?);
    let organisation = visit.organisation();
    let found = visit.look(move |m| audit::list(m, &organisation, &filter, before, limit + 1)).await?;
    let page = Page::new("audit", limit, found, |deed| deed.id.to_string(), Deed::from);
    Ok(visit.answer(StatusCode::OK, &page))
}

/// What an app got in a span of time.
#[derive(Serialize, ToSchema)]
pub(super) struct Usage {
    /// The app.
    #[schema(format = "uuid")]
    client_id: String,
    /// Where the span begins, in RFC 3339.
    #[schema(format = DateTime)]
    start: String,
    /// Tokens it got.
    issued: i64,
    /// Requests of its that were refused.
    refused: i64,
}

impl From<UsageRecord> for Usage {
    fn from(record: UsageRecord) -> Self {
        Self {
            client_id: record.client_id.to_string(),
            start: record.start.rfc3339(),
            issued: record.issued,
            refused: record.refused,
        }
    }
}

/// Which counts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters, which `Query` reads")]
pub(super) struct UsageParams {
    /// `hour` or `day` (of UTC).
    #[param(pattern = "^(hour|day)$", default = "hour")]
    by: Option<String>,
    /// Of this app only.
    #[param(format = "uuid")]
    client_id: Option<String>,
    /// From the span with this moment on; 24 hours or 30 days back when it is left out.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this moment; now when it is left out.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// Tokens that the organisation's apps got and were refused, by hour or day, oldest first
#[utoipa::path(get, path = "/usage", tag = "usage", params(UsageParams, PageParams), security(("oauth2" = ["usage:read"]), ("bearer" = ["usage:read"])),
    responses((status = 200, body = Page<Usage>, description = "A page of counts, up to ten seconds late"), Refusals))]
pub(in crate::http) async fn list_usage(visit: Visit<UsageRead>) -> Result<HttpResponse, ApiError> {
    let query = visit.query(&["by", "client_id", "from", "to"])?;
    let span = query.parsed("by", "hour or day", |text| match text {
        "hour" => Some((HOUR, DEFAULT_HOURS)),
        "day" => Some((DAY, DEFAULT_DAYS)),
        _ => None,
    })?;
    let (span, default_spans) = span.unwrap_or((HOUR, DEFAULT_HOURS));
    // Without `to`, the hour that runs is in it.
    let to = query.moment("to")?.unwrap_or(visit.now() + HOUR);
    let filter = UsageFilter {
        span,
        from: query.moment("from")?.unwrap_or(to - span * default_spans),
        to,
        client_id: query.parsed("client_id", "an App SID", ClientId::parse)?,
    };
    let after = query.cursor("usage", |text| {
        let (start, client_id) = text.split_once(' ')?;
        Some((Timestamp::from_seconds(start.parse().ok()?), ClientId::parse(client_id)?))
    })?;
    let (limit, organisation) = (query.limit()?, visit.organisation());
    let found = visit.look(move |m| usage::list(m, &organisation, &filter, after, limit + 1)).await?;
    let cursor = |record: &UsageRecord| format!("{} {}", record.start.seconds(), record.client_id);
    let page = Page::new("usage", limit, found, cursor, Usage::from);
    Ok(visit.answer(StatusCode::OK, &page))
}
