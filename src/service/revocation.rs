//! Revocation: a token that is dead before its time.

use serde_json::json;

use super::{Management, ServiceError};
use crate::db::changes::ChangeKind;
use crate::db::{apps, revocations, signing_keys};
use crate::keys::signing::SigningKey;
use crate::keys::verify::verify_access_token;
use crate::oauth::ClientId;

/// Revokes one of our own tokens: refused at our own routes within a second, on every node.
///
/// # Errors
/// `Invalid` when it is not a token of this server that could still be used.
pub fn revoke(m: &Management, token: &str) -> Result<String, ServiceError> {
    let refused =
        |error: &dyn std::fmt::Display| ServiceError::Invalid(format!("that token cannot be revoked: {error}"));
    let mut keys = Vec::new();
    for record in m.database.read(signing_keys::list)? {
        let private_key = m.master_key.open(&record.kid, &record.sealed_private_key)?;
        keys.push(SigningKey::parse(record.algorithm, &private_key)?.verifying_key()?);
    }
    let token = verify_access_token(token, &m.config.issuer, |kid| keys.iter().find(|key| key.kid() == Some(kid)))
        .map_err(|error| refused(&error))?;
    token.check_time(m.now()).map_err(|error| refused(&error))?;
    let client_id = ClientId::parse(&token.claims.client_id).ok_or_else(|| refused(&"it names no client"))?;
    let (deed, jti, expires_at) = (m.deed(), token.claims.jti.to_string(), token.claims.exp);
    m.database.write(move |conn| {
        if revocations::contains(conn, &jti)? {
            return Ok(jti);
        }
        revocations::insert(conn, &jti, client_id, deed.now, expires_at)?;
        let organisation = apps::find(conn, client_id)?.map(|app| app.organisation_id);
        let detail = json!({ "client_id": client_id.to_string(), "expires_at": expires_at.rfc3339() });
        deed.record(conn, organisation, "token.revoke", &jti, detail, Some(ChangeKind::Revocations))?;
        Ok(jti)
    })
}
