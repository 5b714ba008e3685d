//! For actix-web: an [`AccessToken`] among a handler's arguments, and refusals as answers.

use std::future::Future;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use super::{AccessToken, Guard, Header, Presented, Reason, Refusal};

const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Seconds after which the server may be back.
const RETRY_AFTER_SECONDS: &str = "2";

/// Runs the handler only for a token that the application's `Data<Guard>` lets in.
impl FromRequest for AccessToken {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let guard = request.app_data::<Data<Guard>>().ok_or_else(Refusal::no_guard)?;
            let header = |name| Header::of(request.headers().get_all(name).map(HeaderValue::as_bytes));
            let presented = Presented {
                authorization: header(AUTHORIZATION),
                dpop: header(DPOP),
                method: request.method().as_str(),
                path: request.uri().path(),
                query: request.query_string(),
            };
            guard.admit(&presented).await
        })
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut builder = HttpResponse::build(self.status_code());
        builder.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
        for challenge in self.challenges() {
            builder.append_header((WWW_AUTHENTICATE, challenge));
        }
        if matches!(self.reason(), Reason::Unavailable(_)) {
            builder.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        builder.json(Body { error: self.error(), error_description: &self.description() })
    }
}
