//! `brevet setup-link`

use serde_json::json;

use super::{CliError, Context};
use crate::service::setup;

pub(super) fn run(context: &Context) -> Result<(), CliError> {
    let link = setup::make_link(&context.management_or_new()?)?;
    let (url, expires_at) = (link.url.reveal(), link.expires_at.rfc3339());
    context.output.data(&json!({ "url": url, "expires_at": expires_at }), || {
        format!("Open this link until {expires_at} to become an operator; it works once:\n\n  {url}")
    })
}
