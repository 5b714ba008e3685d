//! Bodies of requests: JSON that is refused unless it is exactly what the route takes.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Payload};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::clock::parse_span;
use crate::http::body::read_json;
use crate::http::error::ApiError;
use crate::http::problem::Fault;
use crate::oauth::json::{JsonError, read_object};

/// What a route takes.
pub(super) trait Body: DeserializeOwned {
    /// Its members and what each must be.
    const MEMBERS: &'static [(&'static str, &'static str)];
    /// Those that must be there.
    const REQUIRED: &'static [&'static str] = &[];
    /// Whether no body at all says as much as `{}`.
    const OPTIONAL: bool = false;
}

/// The octets of a body.
pub(super) async fn read(request: &HttpRequest, payload: Payload, within: Duration) -> Result<Bytes, ApiError> {
    read_json(request, payload, within).await.map_err(|error| ApiError::body(request, error))
}

/// What a body says.
pub(super) fn parse<T: Body>(request: &HttpRequest, octets: &[u8]) -> Result<T, ApiError> {
    let octets = if octets.is_empty() && T::OPTIONAL { b"{}" } else { octets };
    let object = read_object(octets).map_err(|error| {
        let description = match error {
            JsonError::NotAnObject => "The body must be a JSON object.",
            JsonError::Unclear => "A member is there twice, a number is too large, or it is nested too deep.",
            JsonError::Malformed => "The body is not JSON.",
        };
        ApiError::bad_request(request, description)
    })?;
    let missing = T::REQUIRED.iter().filter(|name| !object.contains_key(**name));
    let faults: Vec<Fault> = missing.map(|name| fault(name, "must be there".to_owned())).collect();
    if !faults.is_empty() {
        return Err(ApiError::faults(request, faults));
    }
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let first = error.path().iter().next();
        let known = T::MEMBERS.iter().find(|(name, _)| matches!(first, Some(Segment::Map { key }) if key == name));
        match known {
            Some((name, rule)) => ApiError::faults(request, vec![fault(name, format!("must be {rule}"))]),
            None => {
                let names: Vec<&str> = T::MEMBERS.iter().map(|(name, _)| *name).collect();
                let description =
                    format!("The body has a member that this request does not take. It takes: {}.", names.join(", "));
                ApiError::new(request, actix_web::http::StatusCode::BAD_REQUEST, "invalid_request", description)
            }
        }
    })
}

fn fault(field: &'static str, message: String) -> Fault {
    Fault { field, message }
}

/// A member that may be left out, but if it is there it is a value and not `null`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A span of time: `90s`, `10m`, `24h`, `90d`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_span(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}
