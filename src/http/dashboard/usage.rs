//! How much one app asked for, what it was refused and why.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Path;
use serde::Serialize;

use super::apps::{AppHead, Tab};
use super::error::{PageError, PageResult};
use super::page::{Section, View};
use super::scene::Scene;
use super::visitor::{AnyMember, Visitor};
use crate::db::developers::Role;
use crate::db::usage::Refused;
use crate::http::csv::Csv;
use crate::http::pictures::{Bars, grouped};
use crate::oauth::OAuthErrorCode;
use crate::oauth::metadata::path;
use crate::service::usage::{AppPicture, Picture, Range, app_addresses, app_picture};

/// A way to another range.
#[derive(Debug, Serialize)]
pub(super) struct RangeLink {
    href: String,
    text: &'static str,
    is_current: bool,
}

/// The range that the address names; the shortest if it names none.
pub(super) fn range_of(scene: &Scene) -> Result<Range, PageError> {
    let Some(name) = scene.strict_query("range")? else { return Ok(Range::Day) };
    Range::from_name(&name).ok_or_else(|| {
        let known: Vec<&str> = Range::ALL.iter().map(|range| range.name()).collect();
        PageError::bad_request(scene, format!("The parameter range of the address is one of {}.", known.join(", ")))
    })
}

/// The ways to all ranges of that page.
pub(super) fn range_links(page: &str, current: Range) -> Vec<RangeLink> {
    let link = |range: &Range| RangeLink {
        href: format!("{page}?range={}", range.name()),
        text: match range {
            Range::Day => "24 hours",
            Range::Week => "7 days",
            Range::Month => "30 days",
            Range::Quarter => "90 days",
        },
        is_current: *range == current,
    };
    Range::ALL.iter().map(link).collect()
}

/// Something and how often.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    name: String,
    count: String,
}

/// Something and how often.
pub(super) fn counted((name, count): &(String, i64)) -> Counted {
    Counted { name: name.clone(), count: grouped(*count) }
}

/// The page.
#[derive(Serialize)]
struct UsageView {
    app: AppHead,
    ranges: Vec<RangeLink>,
    range_title: &'static str,
    is_empty: bool,
    bars: Bars,
    refusals: Vec<Refusal>,
    scopes: Vec<Counted>,
    /// For administrators.
    addresses: Option<Vec<Counted>>,
    csv: String,
    token_endpoint: String,
    has_key: bool,
}

impl View for UsageView {
    const TEMPLATE: &'static str = "dashboard/usage";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Usage of {}", self.app.name)
    }
}

#[derive(Serialize)]
struct Refusal {
    code: String,
    count: String,
    advice: &'static str,
}

/// Said here and nowhere else: who is refused for this is told no more than whoever has a wrong key.
const FOREIGN: &str = "The key was right, but the request came from outside the allowed networks of the app. If it is yours, add its network in the settings; if not, somebody else has the key: rotate it.";

impl Refusal {
    fn new((code, count): &(String, i64)) -> Self {
        if code == Refused::FOREIGN_NETWORK {
            return Self {
                code: OAuthErrorCode::InvalidClient.name().to_owned(),
                count: grouped(*count),
                advice: FOREIGN,
            };
        }
        let known = OAuthErrorCode::ALL.iter().find(|known| known.name() == code);
        Self {
            code: code.clone(),
            count: grouped(*count),
            advice: known.map_or("This version of the server knows no such error.", |known| known.advice()),
        }
    }
}

impl UsageView {
    fn new(issuer: &str, found: &AppPicture, addresses: Option<&[(String, i64)]>) -> Self {
        let (app, picture) = (&found.app, &found.picture);
        let page = format!("/apps/{}/usage", app.client_id);
        Self {
            app: AppHead::new(app, Tab::Usage),
            csv: format!("{page}.csv?range={}", picture.range.name()),
            ranges: range_links(&page, picture.range),
            range_title: picture.range.title(),
            is_empty: picture.issued() == 0 && picture.refused() == 0,
            bars: Bars::new("usage", picture),
            refusals: picture.refusals.iter().map(Refusal::new).collect(),
            scopes: picture.scopes.iter().map(counted).collect(),
            addresses: addresses.map(|all| all.iter().map(counted).collect()),
            token_endpoint: format!("{issuer}{}", path::TOKEN),
            has_key: app.authentication == crate::oauth::client::ClientAuthentication::ClientSecret,
        }
    }
}

async fn find(visitor: &Visitor<AnyMember>, sid: &str) -> Result<AppPicture, PageError> {
    let (client_id, range) = (visitor.client_id(sid)?, range_of(visitor)?);
    visitor.look(move |m| app_picture(m, client_id, range)).await
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let found = find(&visitor, &sid).await?;
    let (client_id, range) = (found.app.client_id, found.picture.range);
    let addresses = match visitor.has_role(Role::Admin) {
        true => Some(visitor.look(move |m| app_addresses(m, client_id, range)).await?),
        false => None,
    };
    visitor.page(&UsageView::new(visitor.site().authority.issuer(), &found, addresses.as_deref()))
}

/// The same numbers for a spreadsheet.
pub(super) async fn export(visitor: Visitor<AnyMember>, sid: Path<String>) -> Result<HttpResponse, PageError> {
    let found = find(&visitor, &sid).await?;
    let name = format!("usage-{}-{}.csv", found.app.client_id, found.picture.range.name());
    Ok(visitor
        .start(StatusCode::OK)
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(table(&found.picture)))
}

fn table(picture: &Picture) -> String {
    let mut csv = Csv::new(&["start", "issued", "refused"]);
    for span in &picture.spans {
        csv.line([span.start.rfc3339().as_str(), &span.issued.to_string(), &span.refused.to_string()]);
    }
    csv.into_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::db::apps::AppRecord;
    use crate::db::usage::SpanCount;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::ClientId;
    use crate::oauth::client::ClientAuthentication;

    /// A picture of two spans.
    pub(in crate::http::dashboard) fn picture(range: Range) -> Picture {
        let start = Timestamp::from_seconds(1_795_305_600);
        let span = |number: u32| SpanCount {
            start: start + range.bar() * number,
            issued: i64::from(number) * 7,
            refused: i64::from(number),
        };
        Picture {
            range,
            spans: (0..10).map(span).collect(),
            refusals: vec![
                ("invalid_scope".to_owned(), 3),
                ("gone_error".to_owned(), 1),
                ("foreign_network".to_owned(), 1),
            ],
            scopes: vec![("billing:read".to_owned(), 12)],
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let app = AppRecord {
            client_id: ClientId::generate(),
            organisation_id: uuid::Uuid::nil(),
            name: "robot".to_owned(),
            description: String::new(),
            lifetime: None,
            claims: None,
            disabled_at: None,
            not_before: Timestamp::NEVER,
            created_at: Timestamp::NEVER,
            last_used_at: None,
            scopes: Vec::new(),
            authentication: ClientAuthentication::ClientSecret,
            dpop_required: false,
            allowed_networks: crate::oauth::networks::Networks::default(),
            owner_id: None,
            token_exchange: false,
        };
        let quiet = Picture { spans: Vec::new(), refusals: Vec::new(), scopes: Vec::new(), ..picture(Range::Week) };
        let top = [("192.0.2.7".to_owned(), 1_200)];
        let view = |picture, addresses| {
            UsageView::new("https://id.example.com", &AppPicture { app: app.clone(), picture }, addresses)
        };
        vec![
            sample(view(picture(Range::Day), None)),
            sample(view(picture(Range::Day), Some(&top[..]))),
            sample(view(picture(Range::Day), Some(&[]))),
            sample(view(quiet, None)),
        ]
    }
}
