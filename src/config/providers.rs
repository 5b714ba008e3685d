//! The setting `sign-in-providers`: where else people may prove who they are.

use serde::Deserialize;
use url::Url;

use crate::secret::Secret;

/// The buttons still fit on a page.
const MOST: usize = 10;
const LONGEST_NAME: usize = 30;
const LONGEST_LABEL: usize = 60;
/// Of a name, an id or a secret, in octets.
const LONGEST_TEXT: usize = 1_024;

/// An OpenID Connect provider at which people may sign in.
#[derive(Debug, Clone)]
pub struct SignInProvider {
    /// What it is called in addresses.
    pub name: String,
    /// What it is called on buttons.
    pub label: String,
    /// Its issuer, exactly as it stands in its ID tokens.
    pub issuer: String,
    /// What this server is called there.
    pub client_id: String,
    /// By which this server proves there that it is itself.
    pub client_secret: Secret,
    /// Whether somebody without an account here gets one, where sign-up is open.
    pub allow_sign_up: bool,
}

/// As it is written down. Not in serde's words where it cannot be read: they would hold secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    label: String,
    issuer: String,
    client_id: String,
    client_secret: String,
    #[serde(default)]
    allow_sign_up: bool,
}

/// Reads a JSON array of providers; an empty text is none.
pub(super) fn sign_in_providers(text: &str, allow_private: bool) -> Result<Vec<SignInProvider>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let written: Vec<Written> = serde_json::from_str(text).map_err(|error| {
        format!(
            "it is not a JSON array of providers (line {}, column {}); write [{{\"name\":\"corp\",\"label\":\"Example Corp\",\"issuer\":\"https://id.example.com\",\"client_id\":\"…\",\"client_secret\":\"…\",\"allow_sign_up\":false}}]",
            error.line(),
            error.column()
        )
    })?;
    if written.len() > MOST {
        return Err(format!("it names {} providers; at most {MOST} can be configured", written.len()));
    }
    let mut providers: Vec<SignInProvider> = Vec::with_capacity(written.len());
    for (at, one) in written.into_iter().enumerate() {
        let number = at + 1;
        let provider = check(one, allow_private).map_err(|wrong| format!("provider {number}: {wrong}"))?;
        if providers.iter().any(|other| other.name == provider.name || other.issuer == provider.issuer) {
            return Err(format!("provider {number}: another one has its name or issuer; each must have its own"));
        }
        providers.push(provider);
    }
    Ok(providers)
}

fn check(one: Written, allow_private: bool) -> Result<SignInProvider, String> {
    let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if one.name.is_empty() || one.name.len() > LONGEST_NAME || !one.name.bytes().all(in_name) {
        return Err(format!("its `name` must have 1 to {LONGEST_NAME} of a-z, 0-9 and -"));
    }
    let label = one.label.trim();
    if label.is_empty() || label.chars().count() > LONGEST_LABEL || label.chars().any(char::is_control) {
        return Err(format!("its `label` must have 1 to {LONGEST_LABEL} printable characters"));
    }
    for (member, text) in [("client_id", &one.client_id), ("client_secret", &one.client_secret)] {
        if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(format!("its `{member}` must have 1 to {LONGEST_TEXT} printable octets"));
        }
    }
    check_issuer(&one.issuer, allow_private)?;
    Ok(SignInProvider {
        label: label.to_owned(),
        name: one.name,
        issuer: one.issuer,
        client_id: one.client_id,
        client_secret: Secret::new(one.client_secret),
        allow_sign_up: one.allow_sign_up,
    })
}

/// What it says is compared octet for octet, so only the form is checked here.
fn check_issuer(issuer: &str, allow_private: bool) -> Result<(), String> {
    let refused = "its `issuer` must be an https:// URL without user, query or fragment; http:// only on this machine and with outbound-allow-private";
    let url = Url::parse(issuer).map_err(|_not_a_url| refused.to_owned())?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local && allow_private);
    if is_plain && is_safe && url.has_host() && issuer.len() <= LONGEST_TEXT { Ok(()) } else { Err(refused.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one() -> Value {
        json!({ "name": "corp", "label": "Example Corp", "issuer": "https://login.example", "client_id": "b", "client_secret": "s3cret" })
    }

    #[test]
    fn providers_are_read_and_what_cannot_be_used_is_told_without_the_secret() {
        assert!(sign_in_providers("", false).unwrap().is_empty());
        let read = sign_in_providers(&json!([one()]).to_string(), false).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].allow_sign_up), ("corp", false));
        let with = |member: &str, value: Value| {
            let mut one = one();
            one[member] = value;
            json!([one]).to_string()
        };
        let twice = json!([one(), one()]).to_string();
        let many: Vec<Value> = (0..=MOST).map(|_| one()).collect();
        for wrong in [
            "corp".to_owned(),
            "{}".to_owned(),
            "[{}]".to_owned(),
            twice,
            json!(many).to_string(),
            with("name", json!("Corp")),
            with("name", json!("")),
            with("name", json!("a".repeat(31))),
            with("name", json!("../x")),
            with("label", json!(" ")),
            with("label", json!("a\nb")),
            with("client_id", json!("")),
            with("client_secret", json!("")),
            with("issuer", json!("http://login.example")),
            with("issuer", json!("http://127.0.0.1:1")),
            with("issuer", json!("https://login.example?x")),
            with("issuer", json!("https://user@login.example")),
            with("issuer", json!("login.example")),
            with("allow_sign_up", json!("yes")),
            with("surprise", json!(1)),
        ] {
            let message = sign_in_providers(&wrong, false).unwrap_err();
            assert!(!message.contains("s3cret") && !message.contains('\n'), "{wrong}: {message}");
        }
        assert!(sign_in_providers(&with("issuer", json!("http://127.0.0.1:1")), true).is_ok());
    }
}
