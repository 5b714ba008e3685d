//! From where an app may ask for tokens.

use crate::oauth::networks::{MOST_NETWORKS, Networks};
use crate::service::ServiceError;

/// Reads the networks from which an app may ask; none for everywhere.
///
/// # Errors
/// `InvalidField` for what is no network, and for too many.
pub fn read_networks<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Networks, ServiceError> {
    let rule = format!(
        "must be at most {MOST_NETWORKS} addresses or CIDRs, such as 192.0.2.0/24, each without bits behind its prefix"
    );
    Networks::read(texts).map_err(|wrong| ServiceError::field_shown("allowed_networks", rule, wrong.to_string()))
}
