//! What the audit says of the token with which something was done, where the actor alone does not say whose deed it was.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::oauth::claims::ReadClaims;

/// Under which name it stands in what is said about a deed.
pub(super) const NAME: &str = "token";

/// Whose a token is that is a user's, or was exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenDetail {
    /// `sub`: with the issuer in front for a user, otherwise an App SID.
    pub(super) sub: String,
    /// The name by which a trusted issuer knows the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<String>,
    /// Who that was at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Uuid>,
    /// The trusted issuer, of a user's own ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    /// Those who acted one for the other, by App SID, the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) act: Vec<String>,
}

impl TokenDetail {
    pub(super) fn of(claims: &ReadClaims, user: Option<Uuid>) -> Self {
        let acted = claims.act.as_ref().map(|act| act.chain().map(|actor| actor.sub.to_string()).collect());
        Self {
            sub: claims.sub.to_string(),
            login: claims.login.as_ref().map(ToString::to_string),
            user,
            issuer: claims.act.is_none().then(|| claims.client_id.to_string()),
            act: acted.unwrap_or_default(),
        }
    }

    /// What a deed says of it, if it does.
    pub(super) fn read(detail: &Value) -> Option<Self> {
        detail.get(NAME).and_then(|token| Self::deserialize(token).ok())
    }

    pub(super) fn to_json(&self) -> Value {
        json!(self)
    }

    /// The `iss` of the trusted issuer that named the user.
    pub(super) fn named_by(&self) -> &str {
        self.sub.split_once('|').map_or("", |(issuer, _)| issuer)
    }
}

/// What is said about a deed, and with whose token it was done.
pub(super) fn with_token(detail: Value, token: Option<&Value>) -> Value {
    match (detail, token) {
        (detail, None) => detail,
        (Value::Object(mut members), Some(token)) => {
            members.insert(NAME.to_owned(), token.clone());
            Value::Object(members)
        }
        (detail, Some(token)) => json!({ NAME: token, "detail": detail }),
    }
}
