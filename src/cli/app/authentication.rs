//! How an app proves who it is: flags of `app create` and `app update`, and how it is shown.

use clap::Args;
use serde_json::{Value, json};

use super::super::CliError;
use super::super::input::read_jwks;
use super::super::output::table;
use crate::keys::jwk::PublicJwk;
use crate::oauth::SigningAlgorithm;
use crate::oauth::client::ClientAuthentication;
use crate::service::app_authentication::{asked_for, registered_keys};

#[derive(Debug, Args)]
pub(super) struct AuthenticationFlags {
    /// How it proves who it is: with an App Key, with JWTs that it signs, or with those of a trusted issuer
    #[arg(long, value_name = "client_secret|private_key_jwt|trusted_issuer", value_parser = [ClientAuthentication::CLIENT_SECRET, ClientAuthentication::PRIVATE_KEY_JWT, ClientAuthentication::TRUSTED_ISSUER])]
    auth_method: Option<String>,
    /// Its public keys for private_key_jwt: a file with a JWK set, or with a public key in PEM; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<String>,
    /// Where its public keys are, for private_key_jwt
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
}

impl AuthenticationFlags {
    /// What they say, if they say anything.
    pub(super) fn read(&self) -> Result<Option<ClientAuthentication>, CliError> {
        let jwks = self.jwks.as_deref().map(read_jwks).transpose()?;
        asked_for(self.auth_method.as_deref(), jwks, self.jwks_uri.as_deref())
            .map_err(|contradiction| CliError::usage(contradiction.to_string()))
    }
}

fn algorithms(jwk: &PublicJwk) -> Vec<&'static str> {
    jwk.algorithms().map(SigningAlgorithm::name).collect()
}

/// The public keys that are registered.
pub(super) fn documents(authentication: &ClientAuthentication) -> Value {
    let document =
        |jwk: &PublicJwk| json!({ "kid": jwk.kid(), "thumbprint": jwk.thumbprint(), "algorithms": algorithms(jwk) });
    registered_keys(authentication).iter().map(document).collect()
}

pub(super) fn text(authentication: &ClientAuthentication) -> String {
    if let Some(uri) = authentication.jwks_uri() {
        return format!("Signs its requests (private_key_jwt) with the keys behind {uri}");
    }
    let row =
        |jwk: &PublicJwk| vec![jwk.kid().unwrap_or("none").to_owned(), algorithms(jwk).join(" "), jwk.thumbprint()];
    let rows: Vec<Vec<String>> = registered_keys(authentication).iter().map(row).collect();
    format!("Signs its requests (private_key_jwt)\n\n{}", table(&["KID", "ALGORITHMS", "THUMBPRINT"], &rows))
}
