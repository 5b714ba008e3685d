//! Lists come in pages: `?limit=1..100&cursor=…` is answered with `{items, next_cursor}`.
//!
//! A cursor names the last item that was seen, in base64url; what comes after it is asked for by its place in the order,
//! so that what is added or deleted meanwhile moves nothing. It is no secret and no permission: whoever makes one up gets
//! what a list from there on shows, or is told that it is none.

use std::borrow::Cow;

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::clock::Timestamp;
use crate::http::error::ApiError;

const DEFAULT_LIMIT: i64 = 50;
const LARGEST_LIMIT: i64 = 100;
/// No cursor of ours is longer.
const LONGEST_CURSOR: usize = 128;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The items, in the order of the list.
    items: Vec<T>,
    /// Give it as `cursor` to get the next page; `null` on the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// The parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters, which `Query` reads")]
pub(super) struct PageParams {
    /// At most this many items.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 128, value_type = Option<String>)]
    cursor: Option<String>,
}

/// The query of a list: nothing unknown, nothing twice.
pub(super) struct Query<'r> {
    request: &'r HttpRequest,
    given: Vec<(Cow<'r, str>, Cow<'r, str>)>,
}

impl<'r> Query<'r> {
    /// Reads it; besides `limit` and `cursor` it may have the parameters that are `known`.
    pub(super) fn read(request: &'r HttpRequest, known: &[&str]) -> Result<Self, ApiError> {
        let mut given: Vec<(Cow<'r, str>, Cow<'r, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            if !["limit", "cursor"].contains(&name.as_ref()) && !known.contains(&name.as_ref()) {
                let names = ["limit", "cursor"].iter().chain(known).copied().collect::<Vec<_>>().join(", ");
                return Err(refused(
                    request,
                    format!("The query has a parameter that this list does not take. It takes: {names}."),
                ));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(refused(request, "A parameter is there twice."));
            }
            given.push((name, value));
        }
        Ok(Self { request, given })
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_ref())
    }

    /// A parameter, read by `parse`; `rule` says what it must be.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let read = |text| parse(text).ok_or_else(|| refused(self.request, format!("{name} must be {rule}.")));
        self.get(name).map(read).transpose()
    }

    /// A moment in RFC 3339.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.parsed(name, "a moment such as 2026-11-22T00:00:00Z", Timestamp::parse_rfc3339)
    }

    /// At most so many items.
    pub(super) fn limit(&self) -> Result<i64, ApiError> {
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
        Ok(self.parsed("limit", "a whole number from 1 to 100", in_range)?.unwrap_or(DEFAULT_LIMIT))
    }

    /// The place after which the page begins, in a list of that name.
    pub(super) fn cursor<T>(&self, list: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        self.parsed("cursor", "the next_cursor of a page of this list", |text| {
            let octets = (text.len() <= LONGEST_CURSOR).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
            parse(std::str::from_utf8(&octets).ok()?.strip_prefix(list)?.strip_prefix(' ')?)
        })
    }
}

impl<T> Page<T> {
    /// A page of what was found when one more than `limit` was asked for. `place` says where an item stands in the list of
    /// that name.
    pub(super) fn new<R>(
        list: &str,
        limit: i64,
        mut found: Vec<R>,
        place: impl FnOnce(&R) -> String,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = |last: &R| URL_SAFE_NO_PAD.encode(format!("{list} {}", place(last)));
        let next_cursor = found.last().filter(|_| more).map(cursor);
        Self { items: found.into_iter().map(show).collect(), next_cursor }
    }
}

fn refused(request: &HttpRequest, description: impl Into<String>) -> ApiError {
    ApiError::new(request, actix_web::http::StatusCode::BAD_REQUEST, "invalid_request", description)
}
