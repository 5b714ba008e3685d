//! A header that may come once.

use std::fmt;

/// A header of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// There is none.
    None,
    /// Its value.
    One(&'a [u8]),
    /// There is more than one: ambiguous.
    Several,
}

impl<'a> Header<'a> {
    /// The header with these values.
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::One(_) => "One([redacted])",
            Self::Several => "Several",
        })
    }
}
