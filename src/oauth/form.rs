//! `application/x-www-form-urlencoded`, read strictly: what is ambiguous is refused, not repaired. Lenient readers turn
//! bad octets into replacement characters, and then two different identifiers look the same.

use std::borrow::Cow;

/// Why a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// A `%` is not followed by two hex digits.
    Escape,
    /// The octets are not UTF-8.
    Utf8,
    /// There is a control character.
    Control,
    /// There are more than anybody needs.
    TooMany,
}

impl FormError {
    /// A sentence for the client.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Escape => "A percent sign in the form is not followed by two hex digits.",
            Self::Utf8 => "The form is not UTF-8.",
            Self::Control => "The form contains a control character.",
            Self::TooMany => "The form has too many parameters.",
        }
    }
}

/// More than any grant needs.
pub const MOST_PARAMETERS: usize = 100;
/// More than any page has fields.
const MOST_FIELDS: usize = 2_000;

/// A decoded name and value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Splits a form into names and values.
///
/// # Errors
/// When any part of it is not well-formed.
pub fn parse_form(body: &[u8]) -> Result<Vec<Pair<'_>>, FormError> {
    parse(body, MOST_PARAMETERS, char::is_control)
}

/// The same for what people write in a browser: values may have several lines, and tabs.
///
/// # Errors
/// When any part of it is not well-formed.
pub fn parse_text_form(body: &[u8]) -> Result<Vec<Pair<'_>>, FormError> {
    parse(body, MOST_FIELDS, |c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn parse(body: &[u8], most: usize, is_refused: fn(char) -> bool) -> Result<Vec<Pair<'_>>, FormError> {
    let mut pairs = Vec::with_capacity(8);
    for part in body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        if pairs.len() == most {
            return Err(FormError::TooMany);
        }
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part.get(..at).unwrap_or_default(), part.get(at + 1..).unwrap_or_default()),
            None => (part, &[][..]),
        };
        pairs.push((decode(name)?, decode_but(value, is_refused)?));
    }
    Ok(pairs)
}

/// Decodes one name or value: `+` is a space, `%XX` an octet.
///
/// # Errors
/// When the encoding is malformed, the result is not UTF-8 or has a control character.
pub fn decode(encoded: &[u8]) -> Result<Cow<'_, str>, FormError> {
    decode_but(encoded, char::is_control)
}

fn decode_but(encoded: &[u8], is_refused: fn(char) -> bool) -> Result<Cow<'_, str>, FormError> {
    let decoded = if encoded.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        let mut octets = Vec::with_capacity(encoded.len());
        let mut rest = encoded.iter();
        while let Some(byte) = rest.next() {
            octets.push(match byte {
                b'+' => b' ',
                b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
                plain => *plain,
            });
        }
        Cow::Owned(String::from_utf8(octets).map_err(|_not_utf8| FormError::Utf8)?)
    } else {
        Cow::Borrowed(std::str::from_utf8(encoded).map_err(|_not_utf8| FormError::Utf8)?)
    };
    if decoded.chars().any(is_refused) { Err(FormError::Control) } else { Ok(decoded) }
}

/// Whether a URL's query names one of these parameters, however the name is encoded.
pub fn query_names(query: &str, names: &[&str]) -> bool {
    query.split('&').any(|part| {
        let (name, _) = part.split_once('=').unwrap_or((part, ""));
        decode(name.as_bytes()).is_ok_and(|name| names.contains(&name.as_ref()))
    })
}

fn hex_digit(byte: Option<&u8>) -> Result<u8, FormError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(FormError::Escape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn well_formed_forms_are_read() {
        let read = |body: &'static str| {
            let pairs = parse_form(body.as_bytes()).unwrap();
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|")
        };
        assert_eq!(read(""), "");
        assert_eq!(read("a=1&b=2"), "a=1|b=2");
        assert_eq!(read("a&&b=&=c"), "a=|b=|=c");
        assert_eq!(read("a+b=c%20d%2B%c3%A9=="), "a b=c d+é==");
    }

    #[test]
    fn malformed_forms_are_refused() {
        let cases: [(&[u8], FormError); 8] = [
            (b"a=%", FormError::Escape),
            (b"a=%4", FormError::Escape),
            (b"a=%zz", FormError::Escape),
            (b"a=%ff", FormError::Utf8),
            (b"a=\xc0\xaf", FormError::Utf8),
            (b"a=%00", FormError::Control),
            (b"a=b%0d%0aSet-Cookie:x", FormError::Control),
            (b"a\0=b", FormError::Control),
        ];
        for (body, error) in cases {
            assert_eq!(parse_form(body), Err(error), "{body:?}");
        }
        assert_eq!(parse_form("a=1&".repeat(20_000).as_bytes()), Err(FormError::TooMany));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused_but_never_crash(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read_or_refused = parse_form(&body);
        }

        #[test]
        fn what_a_client_encodes_is_what_we_read(value in "[^\\p{C}]{0,40}") {
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), value);
        }
    }
}
