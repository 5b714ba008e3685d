//! Passkeys by `webauthn-rs`. It also knows people by their passkey alone: every passkey is made to be found by the browser, and
//! with it the person's fingerprint, face or PIN is checked, so that it is two factors in one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnBuilder,
};

use super::{Begun, ClaimedPasskey, NewPasskey, ProvedPasskey};
use crate::keys::KeyError;

/// This server, as browsers and authenticators know it.
#[derive(Debug)]
pub struct RelyingParty(webauthn_rs::Webauthn);

fn failed(error: impl std::fmt::Display) -> KeyError {
    KeyError::new(format!("passkeys failed: {error}"))
}

impl RelyingParty {
    /// By the issuer's host. Nothing if that is an address of numbers: authenticators know names only.
    pub fn new(issuer: &str) -> Option<Self> {
        let origin = Url::parse(issuer).ok()?;
        let host = origin.domain()?.to_owned();
        WebauthnBuilder::new(&host, &origin).ok()?.rp_name("Brevet").build().ok().map(Self)
    }

    /// Asks a browser to make a passkey for a person, none of the authenticators that have a `known` one already.
    ///
    /// # Errors
    /// When the ceremony cannot begin.
    pub fn begin_registration(
        &self,
        developer_id: Uuid,
        email: &str,
        name: &str,
        known: &[String],
    ) -> Result<Begun, KeyError> {
        let known: Vec<CredentialID> = known.iter().filter_map(|id| URL_SAFE_NO_PAD.decode(id).ok()).collect();
        let (options, state) =
            self.0.start_passkey_registration(developer_id, email, name, Some(known)).map_err(failed)?;
        let mut options = serde_json::to_value(options).map_err(failed)?;
        // It must be found without the person's address: nobody is told whose address has a passkey.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection").and_then(Value::as_object_mut)
        {
            selection.insert("residentKey".to_owned(), json!("required"));
            selection.insert("requireResidentKey".to_owned(), json!(true));
        }
        Ok(Begun { options: public_key(options), state: serde_json::to_string(&state).map_err(failed)? })
    }

    /// The passkey that the browser made; nothing for an answer that does not hold.
    pub fn finish_registration(&self, state: &str, answer: &str) -> Option<NewPasskey> {
        let state: PasskeyRegistration = serde_json::from_str(state).ok()?;
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).ok()?;
        let credential_id = URL_SAFE_NO_PAD.encode(passkey.cred_id());
        Some(NewPasskey { credential_id, credential: serde_json::to_string(&passkey).ok()? })
    }

    /// Asks a browser for any passkey of this server.
    ///
    /// # Errors
    /// When the ceremony cannot begin.
    pub fn begin_authentication(&self) -> Result<Begun, KeyError> {
        let (options, state) = self.0.start_discoverable_authentication().map_err(failed)?;
        let options = serde_json::to_value(options).map_err(failed)?;
        Ok(Begun { options: public_key(options), state: serde_json::to_string(&state).map_err(failed)? })
    }

    /// Whose passkey the answer says it is.
    pub fn claimed(&self, answer: &str) -> Option<ClaimedPasskey> {
        let answer: PublicKeyCredential = serde_json::from_str(answer).ok()?;
        let (developer_id, credential_id) = self.0.identify_discoverable_authentication(&answer).ok()?;
        Some(ClaimedPasskey { developer_id, credential_id: URL_SAFE_NO_PAD.encode(credential_id) })
    }

    /// Whether the answer proves that the browser has the passkey, whose owner is there; nothing if not.
    pub fn finish_authentication(&self, state: &str, answer: &str, credential: &str) -> Option<ProvedPasskey> {
        let state: DiscoverableAuthentication = serde_json::from_str(state).ok()?;
        let answer: PublicKeyCredential = serde_json::from_str(answer).ok()?;
        let mut passkey: Passkey = serde_json::from_str(credential).ok()?;
        let result = self.0.finish_discoverable_authentication_v2(&answer, state, &passkey).ok()?;
        if !result.user_verified() {
            return None;
        }
        let changed = passkey.update_credential(&result)?;
        let changed = if changed { Some(serde_json::to_string(&passkey).ok()?) } else { None };
        Some(ProvedPasskey { changed })
    }
}

/// What scripts hand to the browser: `{"publicKey": …}` without its shell.
fn public_key(mut options: Value) -> Value {
    options.get_mut("publicKey").map(Value::take).unwrap_or(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_with_a_name_has_passkeys() {
        for (issuer, possible) in [
            ("https://id.example.com", true),
            ("https://id.example.com:8443/brevet", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1:8080", false),
            ("https://[::1]", false),
        ] {
            assert_eq!(RelyingParty::new(issuer).is_some(), possible, "{issuer}");
        }
    }

    #[test]
    fn a_passkey_is_asked_for_that_the_browser_finds_and_whose_owner_is_there() {
        let party = RelyingParty::new("https://id.example.com").unwrap();
        let made = party.begin_registration(Uuid::nil(), "ana@acme.example", "Ana", &["AQID".to_owned()]).unwrap();
        let text = |value: &Value, pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
        assert_eq!(text(&made.options, "/rp/id"), "\"id.example.com\"");
        assert_eq!(text(&made.options, "/authenticatorSelection/residentKey"), "\"required\"");
        assert_eq!(text(&made.options, "/authenticatorSelection/userVerification"), "\"required\"");
        assert_eq!(text(&made.options, "/excludeCredentials/0/id"), "\"AQID\"");
        let asked = party.begin_authentication().unwrap();
        assert_eq!(text(&asked.options, "/userVerification"), "\"required\"");
        assert_eq!(text(&asked.options, "/allowCredentials"), "[]");
        assert_ne!(asked.options["challenge"], party.begin_authentication().unwrap().options["challenge"]);
        for nonsense in ["", "{}", "null", "[]"] {
            assert!(party.claimed(nonsense).is_none());
            assert!(party.finish_registration(&made.state, nonsense).is_none());
            assert!(party.finish_authentication(&asked.state, nonsense, nonsense).is_none());
        }
    }
}
