//! What a token is worth, as [RFC 7662](https://www.rfc-editor.org/rfc/rfc7662) says it.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::claims::{Actor, Confirmation, OneOrMany, ReadClaims};
use super::client::ClientId;
use crate::clock::Timestamp;

/// An answer ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)). Whatever is wrong with a token, the
/// asker hears the same.
#[derive(Debug)]
pub enum Introspection<'a> {
    /// Good, and what it says.
    Active(&'a ReadClaims),
    /// Not good, or nothing that the asker may know of.
    Inactive,
}

/// The members of an active token: those of the same name among its claims, and `scope` as the RFC writes it.
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    token_type: &'static str,
    exp: Timestamp,
    iat: Timestamp,
    nbf: Timestamp,
    sub: &'a str,
    aud: &'a OneOrMany,
    iss: &'a str,
    jti: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Confirmation>,
    /// [RFC 8693 §4.1](https://www.rfc-editor.org/rfc/rfc8693#section-4.1)
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Actor>,
}

impl Serialize for Introspection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Active(claims) = self else {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("active", &false)?;
            return map.end();
        };
        // RFC 9449 §6.2: bound to a DPoP key.
        let is_dpop = claims.cnf.is_some();
        let active = Active {
            active: true,
            scope: claims.scope.to_text(),
            client_id: &claims.client_id,
            token_type: if is_dpop { "DPoP" } else { "Bearer" },
            exp: claims.exp,
            iat: claims.iat,
            nbf: claims.nbf,
            sub: &claims.sub,
            aud: &claims.aud,
            iss: &claims.iss,
            jti: &claims.jti,
            tenant: &claims.tenant,
            cnf: claims.cnf.as_ref(),
            act: claims.act.as_ref(),
        };
        active.serialize(serializer)
    }
}

/// The same, signed for one asker ([RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5)).
#[derive(Debug)]
pub struct SignedIntrospection<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`: who asked.
    pub audience: ClientId,
    /// `iat`
    pub issued_at: Timestamp,
    /// `token_introspection`
    pub introspection: &'a Introspection<'a>,
}

impl Serialize for SignedIntrospection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("iss", self.issuer)?;
        map.serialize_entry("aud", &self.audience.to_string())?;
        map.serialize_entry("iat", &self.issued_at)?;
        map.serialize_entry("token_introspection", self.introspection)?;
        map.end()
    }
}
