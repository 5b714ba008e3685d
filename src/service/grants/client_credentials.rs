//! `client_credentials` ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)): a token for the client
//! itself.

use std::sync::Arc;

use crate::oauth::request::TokenTarget;
use crate::oauth::scope::Authorization;
use crate::oauth::{Api, Client, OAuthError};

/// What the client may have of what it asks for.
pub(in crate::service) fn authorize(
    client: &Client,
    target: &TokenTarget<'_>,
    management_api: &Arc<Api>,
) -> Result<Authorization, OAuthError> {
    Authorization::narrow(client, target, management_api)
}
