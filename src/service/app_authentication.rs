//! How an app proves who it is: with App Keys, or with a private key whose public half is registered here.

use serde_json::json;

use super::app_keys::live_keys;
use super::deed::Deed;
use super::{Management, ServiceError};
use crate::db::apps::AppRecord;
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError, app_keys, apps};
use crate::directory::outbound::check_url;
use crate::keys::jwk::PublicJwk;
use crate::keys::key_set::{LONGEST_REGISTERED, read_registered};
use crate::oauth::client::{ClientAuthentication, KeySource};

/// Checks the public keys, or where they are, and gives them in the form in which they are kept.
pub(super) fn check(
    m: &Management,
    authentication: ClientAuthentication,
) -> Result<ClientAuthentication, ServiceError> {
    let keys = match authentication {
        ClientAuthentication::ClientSecret => return Ok(ClientAuthentication::ClientSecret),
        ClientAuthentication::PrivateKeyJwt(keys) => keys,
    };
    let invalid = |what: &str, why: String| ServiceError::Invalid(format!("the {what} cannot be used: {why}"));
    let checked = match keys {
        KeySource::Jwks(document) => {
            read_registered(document.as_bytes()).map_err(|error| invalid("JWKS", error.to_string()))?;
            KeySource::Jwks(document.trim().into())
        }
        KeySource::JwksUri(uri) => {
            let url = check_url(&uri, m.config.outbound_allow_private).map_err(|why| invalid("jwks_uri", why))?;
            KeySource::JwksUri(url.as_str().into())
        }
    };
    Ok(ClientAuthentication::PrivateKeyJwt(checked))
}

/// The longest document with public keys that is looked at, in octets.
pub const LONGEST_JWKS: usize = LONGEST_REGISTERED;

/// The public keys that are registered with an app; none of those that are behind a URL.
pub fn registered_keys(authentication: &ClientAuthentication) -> Vec<PublicJwk> {
    match authentication {
        ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(document)) => {
            read_registered(document.as_bytes()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Changes how an app proves who it is, from now on. An app that signs its requests keeps no App Keys: those it has are
/// revoked.
pub(super) fn change(
    conn: &mut AnyConnection,
    deed: &Deed,
    app: &AppRecord,
    authentication: &ClientAuthentication,
) -> Result<(), DbError> {
    if *authentication != ClientAuthentication::ClientSecret {
        for key in live_keys(conn, app.client_id, deed.now)? {
            app_keys::update_revoked_at(conn, key.id, deed.now)?;
        }
    }
    apps::update_authentication(conn, app.client_id, authentication)?;
    let thumbprints: Vec<String> = registered_keys(authentication).iter().map(PublicJwk::thumbprint).collect();
    let jwks_uri = match authentication {
        ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(uri)) => Some(&**uri),
        _ => None,
    };
    let detail = json!({ "auth_method": authentication.name(), "thumbprints": thumbprints, "jwks_uri": jwks_uri });
    let target = app.client_id.to_string();
    deed.record(conn, Some(app.organisation_id), "app.authentication", &target, detail, Some(ChangeKind::App))
}
