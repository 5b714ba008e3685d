//! What a pasted text is, before anybody looks whether it is any good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::oauth::ClientId;
use crate::secret::{SecretKind, is_generated_secret};

/// A text as somebody pasted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pasted<'a> {
    /// Three parts with dots between, of which the first is a JOSE header.
    Jws(&'a str),
    /// Anything else, and what it looks like.
    Other(NotAToken),
}

/// What a text looks like that is no signed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAToken {
    /// Nothing but white space.
    Empty,
    /// More than is looked at.
    TooLong,
    /// An App Key, whole or not.
    AppKey,
    /// A token with which apps are registered or changed.
    RegistrationToken,
    /// A private key.
    PrivateKey,
    /// A public key or a certificate.
    PublicKey,
    /// An App SID.
    AppSid,
    /// An encrypted token.
    Encrypted,
    /// The beginning or the end of a token.
    CutOff,
    /// Parts with dots between, none of which can be read.
    Unreadable,
    /// Some other text.
    Opaque,
}

impl NotAToken {
    /// What it is and what to do, for whoever pasted it. Echoes nothing.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Empty => "Paste a token first.",
            Self::TooLong => "This is longer than 32 KiB. No token that is good here is: paste the token alone.",
            Self::AppKey => {
                "This is an App Key, not a token. It is a secret: if you pasted it anywhere that others can read, rotate it now. To get a token with it, send it to the token endpoint."
            }
            Self::RegistrationToken => {
                "This is a token with which apps are registered or changed (bvr_ or bvc_). It is a secret: if you pasted it anywhere that others can read, replace it now."
            }
            Self::PrivateKey => {
                "This is a private key. It is a secret: if you pasted it anywhere that others can read, replace it now."
            }
            Self::PublicKey => "This is a public key or a certificate, not a token.",
            Self::AppSid => "This is an App SID: the name of an app, not a token, and no secret.",
            Self::Encrypted => {
                "This is an encrypted token (a JWE). This server issues none and cannot read it; ask whoever issued it."
            }
            Self::CutOff => {
                "This looks like part of a token: a signed token has three parts with two dots between. Copy all of it."
            }
            Self::Unreadable => {
                "This has the dots of a token, but its parts are not what a token's are: perhaps it was cut off, or something stands between its letters."
            }
            Self::Opaque => {
                "This is no signed token (JWT). If another server issued it, only that server knows what it is worth."
            }
        }
    }

    /// Whether whoever pasted it should think about who saw it.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::AppKey | Self::RegistrationToken | Self::PrivateKey)
    }
}

/// Looks what a text of at most `longest` octets is. What people copy along with a token is taken away: white space,
/// quotes, the name of the header and its scheme, and the JSON that a token endpoint answers.
pub(super) fn sort(text: &str, longest: usize) -> Pasted<'_> {
    if text.len() > longest {
        return Pasted::Other(NotAToken::TooLong);
    }
    let text = bare(text);
    let other = |what| Pasted::Other(what);
    if text.is_empty() {
        return other(NotAToken::Empty);
    }
    if text.contains("PRIVATE KEY-----") {
        return other(NotAToken::PrivateKey);
    }
    if text.contains("-----BEGIN ") {
        return other(NotAToken::PublicKey);
    }
    if text.starts_with("bvk_") {
        return other(NotAToken::AppKey);
    }
    let registration = [SecretKind::InitialAccessToken, SecretKind::RegistrationAccessToken];
    if registration.into_iter().any(|kind| is_generated_secret(kind, text)) {
        return other(NotAToken::RegistrationToken);
    }
    if ClientId::parse(&text.to_ascii_lowercase()).is_some() {
        return other(NotAToken::AppSid);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let has_header = parts.first().is_some_and(|header| Members::decode(header).is_some());
    match (parts.len(), has_header) {
        (3, true) => Pasted::Jws(text),
        (5, true) => other(NotAToken::Encrypted),
        (3 | 5, false) => other(NotAToken::Unreadable),
        (_, true) => other(NotAToken::CutOff),
        (1, false) if text.starts_with("eyJ") => other(NotAToken::CutOff),
        _ => other(NotAToken::Opaque),
    }
}

fn bare(text: &str) -> &str {
    let mut text = text.trim();
    if let Some(token) = text.split_once("\"access_token\"").and_then(|(_, rest)| rest.split('"').nth(1)) {
        return token.trim();
    }
    for word in ["authorization:", "bearer ", "dpop "] {
        let begins = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if let Some(rest) = text.get(word.len()..).filter(|_| begins) {
            text = rest.trim();
        }
    }
    text.trim_matches(['"', '\'', '`', ',', ';']).trim()
}

/// The members of a JSON object in their order, also those that stand twice: what was signed, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Members(pub(super) Vec<(String, Value)>);

impl Members {
    /// Reads base64url of a JSON object.
    pub(super) fn decode(part: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The whole object for people.
    pub(super) fn pretty(&self) -> String {
        let member = |(name, value): &(String, Value)| {
            let value = serde_json::to_string_pretty(value).unwrap_or_default().replace('\n', "\n  ");
            format!("  {}: {value}", Value::from(name.as_str()))
        };
        let members: Vec<String> = self.0.iter().map(member).collect();
        format!("{{\n{}\n}}", members.join(",\n"))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{generate_client_secret, generate_secret};

    const LONGEST: usize = 1_000;
    const JWS: &str = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";

    #[test]
    fn what_is_no_token_is_called_what_it_is() {
        let key = generate_client_secret().unwrap();
        let cut: String = key.reveal().chars().take(30).collect();
        let registration = generate_secret(SecretKind::RegistrationAccessToken).unwrap();
        for (text, expected) in [
            (" \n", NotAToken::Empty),
            (&*"x".repeat(LONGEST + 1), NotAToken::TooLong),
            (key.reveal(), NotAToken::AppKey),
            (&format!("\"{}\"\n", key.reveal()), NotAToken::AppKey),
            (&cut, NotAToken::AppKey),
            (registration.reveal(), NotAToken::RegistrationToken),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", NotAToken::PrivateKey),
            ("-----BEGIN CERTIFICATE-----\nMIIE", NotAToken::PublicKey),
            ("3F1C0C1E-6f0b-4a55-8d0e-2f7d3c0b9a2e", NotAToken::AppSid),
            ("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c", NotAToken::Encrypted),
            ("eyJhbGciOiJSUzI1NiJ9.e30", NotAToken::CutOff),
            ("eyJhbGciOiJSUzI1N", NotAToken::CutOff),
            ("a.b.c", NotAToken::Unreadable),
            ("www.example.com", NotAToken::Unreadable),
            ("8xLOxBtZp8", NotAToken::Opaque),
            ("päß", NotAToken::Opaque),
        ] {
            assert_eq!(sort(text, LONGEST), Pasted::Other(expected), "{text}");
        }
    }

    #[test]
    fn what_is_copied_along_with_a_token_is_taken_away() {
        for text in [
            JWS.to_owned(),
            format!("  {JWS}\r\n"),
            format!("Bearer {JWS}"),
            format!("authorization: bearer {JWS}"),
            format!("Authorization:DPoP  {JWS}"),
            format!("\"{JWS}\","),
            format!(r#"{{"access_token": "{JWS}","token_type":"Bearer"}}"#),
        ] {
            assert_eq!(sort(&text, LONGEST), Pasted::Jws(JWS), "{text}");
        }
    }

    #[test]
    fn members_are_shown_in_their_order_and_as_often_as_they_stand() {
        let members: Members = serde_json::from_str(r#"{"z":1,"a":["b"],"z":"<"}"#).unwrap();
        assert_eq!(members.pretty(), "{\n  \"z\": 1,\n  \"a\": [\n    \"b\"\n  ],\n  \"z\": \"<\"\n}");
        assert!(Members::decode("W10").is_none(), "a list is no object");
    }
}
