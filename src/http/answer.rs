//! Answers that many doors give.

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, PRAGMA};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// For what only the asker may keep, and not for long.
pub(super) fn no_store(builder: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    builder.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"))
}

/// JSON that only the asker may see.
pub(super) fn private_json(status: StatusCode, body: &impl serde::Serialize) -> HttpResponse {
    no_store(&mut HttpResponse::build(status)).json(body)
}

/// A reason as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    first.into_iter().flatten().chain(letters).chain(end.chars()).collect()
}

/// Whether the asker holds what has this entity tag.
pub(super) fn is_known(request: &HttpRequest, etag: &str) -> bool {
    request.headers().get_all(IF_NONE_MATCH).any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    })
}

/// A document that anyone may keep for a while: with an entity tag, 304 when it is known.
pub(super) fn cacheable(
    request: &HttpRequest,
    content_type: &'static str,
    cache_control: &'static str,
    etag: &str,
    body: impl MessageBody + 'static,
) -> HttpResponse {
    let known = is_known(request, etag);
    let mut builder = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    builder.insert_header((CACHE_CONTROL, cache_control)).insert_header((ETAG, etag));
    if known { builder.finish() } else { builder.content_type(content_type).body(body) }
}
