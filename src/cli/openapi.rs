//! `brevet openapi`

use super::output::print;
use super::{CliError, Context};
use crate::config::Config;
use crate::http::openapi_document;

/// Prints the description of the management API, for the issuer that the settings name.
pub(super) fn run(context: &Context) -> Result<(), CliError> {
    let config = Config::new(&context.settings(None)?)?;
    let document = openapi_document(&config.issuer).map_err(CliError::internal)?;
    print(document.trim_end())
}
