//! `GET /connect/revocations`: the revocation feed, with a long poll.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::{Either, select};
use futures_util::{pin_mut, stream};

use crate::directory::LookupError;
use crate::http::answer::{cacheable, is_known};
use crate::http::error::ApiError;
use crate::http::site::Site;
use crate::http::stream::Patience;
use crate::oauth::{StatementType, form};
use crate::service::revocation_feed::{Feed, current};

/// Whoever keeps it must ask each time whether it is still true.
const CACHE_CONTROL: &str = "no-cache";
/// The longest `wait`, in seconds.
const LONGEST_WAIT: u64 = 30;
/// A feed may be long and many may be told at once: each copies no more than this at a time.
const CHUNK: usize = 32 * 1024;

/// The octets of a feed, shared by all who are told them.
struct Octets(Arc<Feed>);

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        self.0.jwt.as_bytes()
    }
}

/// Says what is revoked; with `wait`, to one who knows that already, as soon as it changes.
pub(in crate::http) async fn revocations(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let wait = wait(&request)?;
    // What others revoked meanwhile is not in it: whoever keeps an older feed must know that it was not confirmed.
    let in_touch = || {
        let stale = site.authority.directory.is_stale();
        if stale { Err(ApiError::unavailable(&request, &LookupError::Stale)) } else { Ok(()) }
    };
    let make = || {
        in_touch()?;
        let now = site.authority.clock.now();
        current(&site.authority, now).map_err(|error| ApiError::internal(&request, &error))
    };
    // Before the feed is made, so that no change falls between.
    let mut changes = site.authority.directory.watch_revocations();
    let mut feed = make()?;
    if !wait.is_zero() && is_known(&request, &feed.etag) {
        let known = feed.etag.clone();
        let change = async {
            // The sender lives as long as the server.
            while feed.etag == known && changes.changed().await.is_ok() {
                feed = make()?;
            }
            Ok(())
        };
        wait_for(&site, &request, wait, change).await?;
        in_touch()?;
    }
    let length = u64::try_from(feed.jwt.len()).unwrap_or(u64::MAX);
    let etag = feed.etag.clone();
    let octets = Bytes::from_owner(Octets(feed));
    let chunks = (0..octets.len()).step_by(CHUNK).map(move |at| octets.slice(at..octets.len().min(at + CHUNK)));
    let body = SizedStream::new(length, stream::iter(chunks.map(Ok::<_, Infallible>)));
    Ok(cacheable(&request, StatementType::Revocations.media_type(), CACHE_CONTROL, &etag, body))
}

/// Waits for a change: no longer than asked, not while the server stops, and not at all when too many wait already.
async fn wait_for(
    site: &Site,
    request: &HttpRequest,
    wait: Duration,
    change: impl Future<Output = Result<(), ApiError>>,
) -> Result<(), ApiError> {
    let Ok(_place) = site.waiting.try_acquire() else { return Ok(()) };
    if let Some(patience) = request.conn_data::<Patience>() {
        patience.extend(wait);
    }
    let stopping = site.drained();
    pin_mut!(change, stopping);
    match timeout(wait, select(change, stopping)).await {
        Ok(Either::Left((changed, _))) => changed,
        Ok(Either::Right(_)) | Err(_) => Ok(()),
    }
}

fn wait(request: &HttpRequest) -> Result<Duration, ApiError> {
    let wrong =
        || ApiError::bad_request(request, "wait must be a whole number of seconds from 0 to 30, and stand there once.");
    let pairs = form::parse_form(request.query_string().as_bytes()).map_err(|_malformed| wrong())?;
    let mut given = pairs.iter().filter(|(name, _)| name == "wait").map(|(_, value)| value.as_ref());
    match (given.next(), given.next()) {
        (None, _) => Ok(Duration::ZERO),
        (Some(value), None) => {
            let seconds = value.parse().ok().filter(|seconds| *seconds <= LONGEST_WAIT);
            seconds.map(Duration::from_secs).ok_or_else(wrong)
        }
        (Some(_), Some(_)) => Err(wrong()),
    }
}
