//! Revocation ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)): a token that is dead before its time.

use serde_json::json;

use super::authority::{Authority, Caller};
use super::deed::Deed;
use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::changes::ChangeKind;
use crate::db::{AnyConnection, DbError, apps, revocations, signing_keys, trusted_issuers};
use crate::keys::signing::SigningKey;
use crate::keys::verify::{SignedToken, TokenError, verify_access_token};
use crate::oauth::{Client, ClientId, OAuthError};

/// One of our own tokens that could still be used.
struct Revocable {
    jti: String,
    client_id: ClientId,
    expires_at: Timestamp,
}

impl Revocable {
    /// A token that is not valid yet will be, so it can be revoked as well.
    fn new(token: &SignedToken, now: Timestamp) -> Result<Self, TokenError> {
        if let Err(TokenError::Expired(at)) = token.check_time(now) {
            return Err(TokenError::Expired(at));
        }
        Ok(Self {
            jti: token.claims.jti.to_string(),
            client_id: ClientId::parse(&token.claims.client_id).ok_or(TokenError::Malformed)?,
            expires_at: token.claims.exp,
        })
    }

    /// Writes it down, with the audit row and the change row. Nothing happens if it is revoked already.
    fn record(&self, conn: &mut AnyConnection, deed: &Deed) -> Result<(), DbError> {
        if revocations::contains(conn, &self.jti)? {
            return Ok(());
        }
        revocations::insert(conn, &self.jti, self.client_id, deed.now, self.expires_at)?;
        let organisation = match apps::find(conn, self.client_id)? {
            Some(app) => Some(app.organisation_id),
            // A ticket: its client is the issuer that named the user.
            None => trusted_issuers::find(conn, self.client_id)?.map(|issuer| issuer.organisation_id),
        };
        let detail = json!({ "client_id": self.client_id.to_string(), "expires_at": self.expires_at.rfc3339() });
        deed.record(conn, organisation, "token.revoke", &self.jti, detail, Some(ChangeKind::Revocations))
    }
}

/// Revokes one of our own tokens, whosever it is: refused at our own routes within a second, on every node.
///
/// # Errors
/// `Invalid` when it is not a token of this server that could still be used.
pub fn revoke(m: &Management, token: &str) -> Result<String, ServiceError> {
    let refused = |error: TokenError| ServiceError::Invalid(format!("that token cannot be revoked: {error}"));
    let mut keys = Vec::new();
    for record in m.database.read(signing_keys::list)? {
        let private_key = m.master_key.open(&record.kid, &record.sealed_private_key)?;
        keys.push(SigningKey::parse(record.algorithm, &private_key)?.verifying_key()?);
    }
    let token = verify_access_token(token, &m.config.issuer, |kid| keys.iter().find(|key| key.kid() == Some(kid)));
    let (deed, now) = (m.deed(), m.now());
    let token = token.and_then(|token| Revocable::new(&token, now)).map_err(refused)?;
    m.database.write(move |conn| {
        token.record(conn, &deed)?;
        Ok(token.jti)
    })
}

/// Revokes a client's own token for the client: on disk and refused on this node when this returns, on every other
/// within a second. What is not a living token of the client is left alone, and the client is not told ([RFC 7009
/// §2.2](https://www.rfc-editor.org/rfc/rfc7009#section-2.2)).
///
/// # Errors
/// `temporarily_unavailable` when the database does not take it: then the client must try again.
pub async fn revoke_own(
    authority: &Authority,
    caller: &Caller,
    client: &Client,
    token: &str,
) -> Result<(), OAuthError> {
    let directory = &authority.directory;
    let ring = directory.ring();
    let verified = authority.verifier.verify(token, |kid| ring.published(kid, caller.now));
    let Ok(token) = verified.and_then(|token| Revocable::new(&token, caller.now)) else { return Ok(()) };
    if token.client_id != client.client_id || directory.is_revoked(&token.jti) {
        return Ok(());
    }
    let deed = Deed::of_client(client.client_id, caller.now);
    let written = directory.change(caller.now, move |conn| token.record(conn, &deed)).await;
    written.map_err(|error| match error {
        DbError::Unavailable(detail) => OAuthError::unavailable(detail),
        other => OAuthError::server_error(other.to_string()),
    })
}
