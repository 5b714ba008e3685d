//! Secrets in what is sealed as soon as it is written: `#[serde(with = "sealed")]`. Nothing that is shown may use it.

use serde::{Deserialize, Deserializer, Serializer};

use super::Secret;

/// Writes the text itself.
///
/// # Errors
/// When `serializer` takes no text.
pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// Reads the text back into custody.
///
/// # Errors
/// When there is no text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// The same for a secret that may be none.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::secret::Secret;

    /// Writes the text itself.
    ///
    /// # Errors
    /// When `serializer` takes no text.
    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::reveal).serialize(serializer)
    }

    /// Reads the text back into custody.
    ///
    /// # Errors
    /// When there is neither a text nor nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
