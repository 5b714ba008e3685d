//! The claims of an access token: [RFC 9068 §2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2) and the older
//! look.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::api::TokenProfile;
use super::client::Client;
use super::scope::Authorization;
use crate::clock::Timestamp;

/// The claims of a token about to be signed.
#[derive(Debug)]
pub struct AccessTokenClaims<'a> {
    /// `iss`, byte for byte as in discovery.
    pub issuer: &'a str,
    /// Whom the token is for: `client_id`, `tenant` and static claims, and `sub` unless it is for a person.
    pub client: &'a Client,
    /// Whom a trusted issuer named, if that was a person: `sub` and `login`.
    pub person: Option<&'a Person>,
    /// Who acts for whom, if the client exchanged somebody's token for this one: `act`, and `sub` unless it is for a person.
    pub delegation: Option<&'a Delegation>,
    /// What it is good for: `aud` and `scope`.
    pub authorization: &'a Authorization,
    /// The form of `aud` and `scope`.
    pub profile: TokenProfile,
    /// `iat`: earlier than now by the setting `clock-backdate`, but not earlier than a cut-off that concerns the
    /// client.
    pub issued_at: Timestamp,
    /// `nbf`: earlier than now by the setting `clock-backdate`.
    pub valid_from: Timestamp,
    /// `exp`: now and the lifetime.
    pub expires_at: Timestamp,
    /// `jti`, never given before.
    pub token_id: &'a str,
    /// `cnf`: the key without which the token is worth nothing.
    pub confirmation: Option<&'a Confirmation>,
}

/// A user of the client's organisation, whom a trusted issuer named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `sub`: with the issuer in front, so that it is nobody's `client_id`.
    pub subject: Box<str>,
    /// `login`: the name by which the organisation knows the person.
    pub login: Box<str>,
    /// Since when that is this person: what is issued is dated no earlier, so that it is not taken for somebody else's.
    pub since: Timestamp,
}

/// What was exchanged for a token ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// `sub`: whose token was exchanged.
    pub subject: Box<str>,
    /// `act`: who did so.
    pub actor: Actor,
}

/// `act`: who acts for the subject of a token
/// ([RFC 8693 §4.1](https://www.rfc-editor.org/rfc/rfc8693#section-4.1)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The App SID.
    pub sub: Box<str>,
    /// Who acted before it, and passed the token on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// The most that may act one for the other.
    pub const MOST: usize = 4;

    /// This one, and those who acted before it.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref())
    }
}

/// `cnf`: the key that whoever shows the token must hold
/// ([RFC 7800 §3.1](https://www.rfc-editor.org/rfc/rfc7800#section-3.1)). A method that is not known here makes the token
/// unreadable: ignored, it would make a stolen token good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The thumbprint of the key that signs DPoP proofs
    /// ([RFC 9449 §6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)).
    pub jkt: Box<str>,
}

/// The smallest of what server, APIs and client allow.
pub fn lifetime(server: Duration, client: &Client, authorization: &Authorization) -> Duration {
    let apis = authorization.apis.iter().filter_map(|api| api.lifetime);
    apis.chain(client.lifetime).fold(server, Duration::min)
}

impl Serialize for AccessTokenClaims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let client_id = self.client.client_id.to_string();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", self.issuer)?;
        match (self.profile, self.authorization.apis.as_slice()) {
            (TokenProfile::Rfc9068, [api]) => map.serialize_entry("aud", &*api.identifier)?,
            (_, apis) => {
                let identifiers: Vec<&str> = apis.iter().map(|api| &*api.identifier).collect();
                map.serialize_entry("aud", &identifiers)?;
            }
        }
        map.serialize_entry("exp", &self.expires_at)?;
        map.serialize_entry("nbf", &self.valid_from)?;
        map.serialize_entry("iat", &self.issued_at)?;
        map.serialize_entry("jti", self.token_id)?;
        let person = self.person.map(|person| &*person.subject);
        let subject = person.or(self.delegation.map(|delegation| &*delegation.subject));
        map.serialize_entry("sub", subject.unwrap_or(&client_id))?;
        map.serialize_entry("client_id", &client_id)?;
        if let Some(person) = self.person {
            map.serialize_entry("login", &person.login)?;
        }
        match self.profile {
            TokenProfile::Rfc9068 => map.serialize_entry("scope", &self.authorization.scope_text())?,
            TokenProfile::Classic => {
                let names: Vec<&str> = self.authorization.scopes.iter().map(AsRef::as_ref).collect();
                map.serialize_entry("scope", &names)?;
            }
        }
        map.serialize_entry("tenant", &*self.client.organisation.slug)?;
        if let Some(confirmation) = self.confirmation {
            map.serialize_entry("cnf", confirmation)?;
        }
        if let Some(delegation) = self.delegation {
            map.serialize_entry("act", &delegation.actor)?;
        }
        for (name, value) in self.client.claims.iter().flat_map(|claims| claims.iter()) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The claims of one of our own tokens, as read back from it. A duplicate member or another type is an error.
#[derive(Debug, Clone, Deserialize)]
pub struct ReadClaims {
    /// `iss`
    pub iss: Box<str>,
    /// `aud`
    pub aud: OneOrMany,
    /// `exp`
    pub exp: Timestamp,
    /// `nbf`
    pub nbf: Timestamp,
    /// `iat`
    pub iat: Timestamp,
    /// `jti`
    pub jti: Box<str>,
    /// `sub`
    pub sub: Box<str>,
    /// `client_id`
    pub client_id: Box<str>,
    /// `scope`
    pub scope: ScopeClaim,
    /// `tenant`
    pub tenant: Box<str>,
    /// `login`: there if the token is a person's.
    pub login: Option<Box<str>>,
    /// `cnf`
    pub cnf: Option<Confirmation>,
    /// `act`: there if the token was issued in exchange for another.
    pub act: Option<Actor>,
}

/// A claim that is a text or a list of texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// A text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether `value` is among them.
    pub fn contains(&self, value: &str) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.iter().any(|one| one == value),
        }
    }
}

/// `scope` in either profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ScopeClaim {
    /// Names with spaces between.
    Text(String),
    /// A list of names.
    List(Vec<String>),
}

impl ScopeClaim {
    /// Whether the scope `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|given| given == name),
            Self::List(list) => list.iter().any(|given| given == name),
        }
    }

    /// The names with spaces between.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(list) => list.join(" "),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_confirmation_that_is_not_understood_makes_the_token_unreadable() {
        let read = |cnf: serde_json::Value| {
            let claims = json!({
                "iss": "i", "aud": "a", "exp": 2, "nbf": 1, "iat": 1, "jti": "j", "sub": "c", "client_id": "c", "scope": "", "tenant": "t",
                "cnf": cnf,
            });
            serde_json::from_value::<ReadClaims>(claims)
        };
        let bound = read(json!({ "jkt": "thumbprint" })).unwrap().cnf;
        assert_eq!(bound, Some(Confirmation { jkt: "thumbprint".into() }));
        for unknown in [json!({}), json!({ "x5t#S256": "x" }), json!({ "jkt": "x", "kid": "y" }), json!("jkt")] {
            assert!(read(unknown.clone()).is_err(), "{unknown}");
        }
    }
}
