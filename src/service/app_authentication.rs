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
use crate::keys::key_set::read_registered;
use crate::oauth::client::{ClientAuthentication, KeySource};

/// What is asked for with the name of a method and public keys, a JWK set or where it is. Nothing if none of them is given;
/// keys say the method by themselves.
///
/// # Errors
/// `InvalidField` when they contradict each other.
pub fn asked_for(
    auth_method: Option<&str>,
    jwks: Option<String>,
    jwks_uri: Option<&str>,
) -> Result<Option<ClientAuthentication>, ServiceError> {
    let keys = match (jwks, jwks_uri) {
        (Some(_), Some(_)) => {
            return Err(ServiceError::field_shown(
                "jwks_uri",
                "cannot be there beside jwks: the public keys are in one place",
                "an app has jwks or jwks_uri, not both",
            ));
        }
        (Some(document), None) => Some(KeySource::Jwks(document.into())),
        (None, Some(uri)) => Some(KeySource::JwksUri(uri.into())),
        (None, None) => None,
    };
    match (auth_method, keys) {
        (None, None) => Ok(None),
        (Some(ClientAuthentication::CLIENT_SECRET), None) => Ok(Some(ClientAuthentication::ClientSecret)),
        (Some(ClientAuthentication::CLIENT_SECRET), Some(_)) => Err(ServiceError::field_shown(
            "auth_method",
            "must be private_key_jwt for an app with jwks or jwks_uri; one with client_secret has App Keys",
            "--jwks and --jwks-uri are for --auth-method private_key_jwt; an app with client_secret has App Keys",
        )),
        (None | Some(ClientAuthentication::PRIVATE_KEY_JWT), Some(keys)) => {
            Ok(Some(ClientAuthentication::PrivateKeyJwt(keys)))
        }
        (Some(ClientAuthentication::PRIVATE_KEY_JWT), None) => Err(ServiceError::field_shown(
            "jwks",
            "must be there for private_key_jwt, unless jwks_uri is: they are the app's public keys",
            "--auth-method private_key_jwt needs the app's public keys: --jwks FILE or --jwks-uri URL",
        )),
        (Some(ClientAuthentication::TRUSTED_ISSUER), None) => Ok(Some(ClientAuthentication::TrustedIssuer)),
        (Some(ClientAuthentication::TRUSTED_ISSUER), Some(_)) => Err(ServiceError::field_shown(
            "auth_method",
            "must be private_key_jwt for an app with jwks or jwks_uri; with trusted_issuer it has no key of its own",
            "--jwks and --jwks-uri are for --auth-method private_key_jwt; with trusted_issuer an app has no key of its own",
        )),
        (Some(_), _) => {
            Err(ServiceError::field("auth_method", "must be client_secret, private_key_jwt or trusted_issuer"))
        }
    }
}

/// Checks the public keys, or where they are, and gives them in the form in which they are kept.
pub(super) fn check(
    m: &Management,
    authentication: ClientAuthentication,
) -> Result<ClientAuthentication, ServiceError> {
    let keys = match authentication {
        ClientAuthentication::PrivateKeyJwt(keys) => keys,
        without_keys => return Ok(without_keys),
    };
    let invalid = |field: &'static str, what: &str, why: String| {
        ServiceError::field_shown(field, format!("cannot be used: {why}"), format!("the {what} cannot be used: {why}"))
    };
    let checked = match keys {
        KeySource::Jwks(document) => {
            read_registered(document.as_bytes()).map_err(|error| invalid("jwks", "JWKS", error.to_string()))?;
            KeySource::Jwks(document.trim().into())
        }
        KeySource::JwksUri(uri) => {
            let url =
                check_url(&uri, m.config.outbound_allow_private).map_err(|why| invalid("jwks_uri", "jwks_uri", why))?;
            KeySource::JwksUri(url.as_str().into())
        }
    };
    Ok(ClientAuthentication::PrivateKeyJwt(checked))
}

/// The public keys that are registered with an app; none of those that are behind a URL.
pub fn registered_keys(authentication: &ClientAuthentication) -> Vec<PublicJwk> {
    authentication.jwks().and_then(|document| read_registered(document.as_bytes()).ok()).unwrap_or_default()
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
    let detail = json!({
        "auth_method": authentication.name(), "thumbprints": thumbprints, "jwks_uri": authentication.jwks_uri(),
    });
    let target = app.client_id.to_string();
    deed.record(conn, Some(app.organisation_id), "app.authentication", &target, detail, Some(ChangeKind::App))
}
