//! Bodies of requests: JSON that is refused unless it is exactly what the route takes.

use std::fmt;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Payload};
use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use serde_path_to_error::Segment;

use crate::clock::parse_span;
use crate::http::body::read_json;
use crate::http::error::ApiError;
use crate::http::problem::Fault;

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
    let object = match serde_json::from_slice(octets) {
        Ok(Strict(Value::Object(object))) => object,
        Ok(_) => return Err(ApiError::bad_request(request, "The body must be a JSON object.")),
        Err(error) if error.is_data() => {
            return Err(ApiError::bad_request(request, "A member is there twice, or a number is too large."));
        }
        Err(_) => return Err(ApiError::bad_request(request, "The body is not JSON.")),
    };
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

/// A JSON value in which no object names a member twice: what one reader takes and another overlooks is refused.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(object))
    }
}
