//! Reading a body, bounded in size and time.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use mime::Mime;

/// The largest body.
pub(super) const LARGEST_BODY: usize = 64 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Not of the media type that it must have.
    WrongType,
    /// Compressed: nobody needs that for so little, and it hides the size.
    Encoded,
    /// Over [`LARGEST_BODY`].
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Reads a form's octets.
pub(super) async fn read_form(request: &HttpRequest, payload: Payload, within: Duration) -> Result<Bytes, BodyError> {
    check_content_type(request, &mime::APPLICATION_WWW_FORM_URLENCODED)?;
    read(request, payload, within).await
}

/// Reads the octets of a JSON text. No body at all is no octets.
pub(super) async fn read_json(request: &HttpRequest, payload: Payload, within: Duration) -> Result<Bytes, BodyError> {
    if request.headers().contains_key(CONTENT_TYPE) {
        check_content_type(request, &mime::APPLICATION_JSON)?;
        return read(request, payload, within).await;
    }
    let body = read(request, payload, within).await?;
    if body.is_empty() { Ok(body) } else { Err(BodyError::WrongType) }
}

async fn read(request: &HttpRequest, payload: Payload, within: Duration) -> Result<Bytes, BodyError> {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Err(BodyError::Encoded);
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::try_from(LARGEST_BODY).unwrap_or(u64::MAX)) {
        return Err(BodyError::TooLarge);
    }
    timeout(within, collect(payload)).await.map_err(|_elapsed| BodyError::TooSlow)?
}

async fn collect(mut payload: Payload) -> Result<Bytes, BodyError> {
    let Some(first) = payload.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|_broken| BodyError::Broken)?;
    let mut all: Option<BytesMut> = None;
    let mut length = first.len();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_broken| BodyError::Broken)?;
        length += chunk.len();
        if length > LARGEST_BODY {
            return Err(BodyError::TooLarge);
        }
        all.get_or_insert_with(|| BytesMut::from(first.as_ref())).extend_from_slice(&chunk);
    }
    if length > LARGEST_BODY {
        return Err(BodyError::TooLarge);
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

/// That media type in any case, with no charset or UTF-8.
fn check_content_type(request: &HttpRequest, wanted: &Mime) -> Result<(), BodyError> {
    let mut given = request.headers().get_all(CONTENT_TYPE);
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(BodyError::WrongType);
    };
    if value == wanted.essence_str() {
        return Ok(());
    }
    // Blanks may stand on both sides of a semicolon (RFC 9110 §5.6.6); the parser knows one of them.
    let tight = |text: &str| text.split(';').map(str::trim).collect::<Vec<_>>().join(";");
    let parsed = value.to_str().ok().and_then(|text| tight(text).parse::<Mime>().ok());
    let fits = parsed.is_some_and(|mime| {
        let utf8 = mime.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8);
        mime.essence_str() == wanted.essence_str() && utf8
    });
    if fits { Ok(()) } else { Err(BodyError::WrongType) }
}
