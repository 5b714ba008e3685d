//! JSON from strangers, read strictly: what two readers could understand differently is refused.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Objects and arrays in one another. The deepest that anybody needs is a certificate of a key of a set.
const DEEPEST: usize = 16;

/// Reads one object and nothing after it. A member that stands twice, at any depth, and what is nested deeper than anybody
/// needs make it unusable.
///
/// # Errors
/// Why it cannot be used, without a word of it.
pub fn read_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = Strict { depth: DEEPEST }.deserialize(&mut deserializer);
    let value = read.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| JsonError::of(&error))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Why a text is not an object that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON, or not all of it.
    Malformed,
    /// It is something else than an object.
    NotAnObject,
    /// A member stands twice, or it is nested too deep.
    Unclear,
}

impl JsonError {
    fn of(error: &serde_json::Error) -> Self {
        if error.is_data() { Self::Unclear } else { Self::Malformed }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not JSON",
            Self::NotAnObject => "it is not an object",
            Self::Unclear => "a member stands twice, or it is nested too deep",
        })
    }
}

/// Any value with no more than so many objects and arrays in one another.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
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

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            all.push(element);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_every_reader_reads() {
        let text = r#" {"a":[1,-2,3.5,true,null,"\u00e9"],"b":{"c":{}}} "#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read_object(text.as_bytes()).map(Value::Object), Ok(expected));
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read_object(nested(DEEPEST - 1).as_bytes()).is_ok());
        for (text, expected) in [
            (nested(DEEPEST).as_str(), JsonError::Unclear),
            (&nested(50_000), JsonError::Unclear),
            (&"{\"a\":".repeat(50_000), JsonError::Unclear),
            (r#"{"a":1,"a":1}"#, JsonError::Unclear),
            (r#"{"a":1,"\u0061":2}"#, JsonError::Unclear),
            (r#"{"b":{"a":1,"a":1}}"#, JsonError::Unclear),
            (r#"{"b":[{"a":1,"a":1}]}"#, JsonError::Unclear),
            ("null", JsonError::NotAnObject),
            ("[]", JsonError::NotAnObject),
            ("\"{}\"", JsonError::NotAnObject),
            ("", JsonError::Malformed),
            ("{", JsonError::Malformed),
            (r#"{"a":1"#, JsonError::Malformed),
            ("{}{}", JsonError::Malformed),
            ("{} x", JsonError::Malformed),
            ("{'a':1}", JsonError::Malformed),
            ("{\"a\":1,}", JsonError::Malformed),
            ("{\"a\":NaN}", JsonError::Malformed),
            ("{\"a\":\"\\ud800\"}", JsonError::Malformed),
            ("\u{feff}{}", JsonError::Malformed),
        ] {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(read_object(text.as_bytes()), Err(expected), "{shown}");
        }
        assert_eq!(read_object(b"{\"a\":\"\xff\"}"), Err(JsonError::Malformed));
    }
}
