//! Client metadata ([RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)): what a client may say of itself. What
//! is not named here has no power and is not kept, as that section demands of members that a server does not know.

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::client::{ClientAuthMethod, ClientAuthentication, KeySource};
use super::error::{OAuthError, OAuthErrorCode};
use super::json::read_object;
use super::request::GrantType;
use super::scope::is_scope_name;
use crate::secret::Secret;

/// The one grant that clients are registered for.
pub const GRANT_TYPE: &str = GrantType::ClientCredentials.name();
/// Members with the address of a web page. They are not kept; an address that is a script is refused all the same, because
/// whoever sends one means harm.
const PAGES: &[&str] = &["client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// What a client says of itself, in a form that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMetadata {
    /// Its name for people, if it has one.
    pub name: Option<String>,
    /// The method that it will use.
    pub auth_method: ClientAuthMethod,
    /// How it proves who it is, keys unread.
    pub authentication: ClientAuthentication,
    /// The scopes that it asks for, each once; `None` for all it may have.
    pub scopes: Option<Vec<String>>,
    /// Whether all its tokens shall be bound to a key
    /// ([RFC 9449 §5.2](https://www.rfc-editor.org/rfc/rfc9449#section-5.2)).
    pub dpop_bound: bool,
}

impl ClientMetadata {
    /// Reads the body of a registration.
    ///
    /// # Errors
    /// `invalid_client_metadata`, `invalid_redirect_uri`, `unapproved_software_statement`.
    pub fn read(body: &[u8]) -> Result<Self, OAuthError> {
        Members::read(body)?.metadata()
    }
}

/// What a client shall be from now on ([RFC 7592 §2.2](https://www.rfc-editor.org/rfc/rfc7592#section-2.2)).
#[derive(Debug)]
pub struct MetadataUpdate {
    /// All its metadata: what is left out is as if it had never been said.
    pub metadata: ClientMetadata,
    /// The secret that it believes to have.
    pub client_secret: Option<Secret>,
}

impl MetadataUpdate {
    /// Reads the body of a change of the client `client_id`.
    ///
    /// # Errors
    /// As [`ClientMetadata::read`], and when the body does not say which client it is for.
    pub fn read(body: &[u8], client_id: &str) -> Result<Self, OAuthError> {
        let members = Members::read(body)?;
        if members.text("client_id")? != Some(client_id) {
            return Err(OAuthError::invalid_client_metadata("client_id must stand in the body, as in the address."));
        }
        let client_secret = members.text("client_secret")?.map(Secret::new);
        Ok(Self { metadata: members.metadata()?, client_secret })
    }
}

/// The members of a body.
struct Members(Map<String, Value>);

impl Members {
    fn read(body: &[u8]) -> Result<Self, OAuthError> {
        let refused = "The body must be one JSON object, each member once and not deeply nested.";
        let read = read_object(body);
        read.map(Self).map_err(|why| OAuthError::invalid_client_metadata(refused).with_detail(why.to_string()))
    }

    /// A member that may be left out, but if it is there is of its type: `null` is no text.
    fn member<'m, T>(
        &'m self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'m Value) -> Option<T>,
    ) -> Result<Option<T>, OAuthError> {
        let wrong = || OAuthError::invalid_client_metadata(format!("{name} must be {kind}."));
        self.0.get(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    fn text(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        self.member(name, "a string", Value::as_str)
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, OAuthError> {
        self.member(name, "an array of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    fn metadata(&self) -> Result<ClientMetadata, OAuthError> {
        if self.0.contains_key("software_statement") {
            let refused = "No software statement is trusted here.";
            return Err(OAuthError::new(OAuthErrorCode::UnapprovedSoftwareStatement, refused));
        }
        self.refuse_redirects()?;
        self.check_pages()?;
        let auth_method = self.auth_method()?;
        Ok(ClientMetadata {
            name: self.text("client_name")?.map(str::to_owned),
            auth_method,
            authentication: self.authentication(auth_method)?,
            scopes: self.scopes()?,
            dpop_bound: self.member("dpop_bound_access_tokens", "true or false", Value::as_bool)?.unwrap_or_default(),
        })
    }

    /// Nobody is redirected, so there is neither a redirection address nor a response type, nor another grant.
    fn refuse_redirects(&self) -> Result<(), OAuthError> {
        if self.texts("redirect_uris")?.is_some_and(|uris| !uris.is_empty()) {
            let refused = "This server redirects nobody: leave redirect_uris out.";
            return Err(OAuthError::new(OAuthErrorCode::InvalidRedirectUri, refused));
        }
        if self.texts("response_types")?.is_some_and(|types| !types.is_empty()) {
            let refused = "response_types must be empty or left out: there is no authorization endpoint.";
            return Err(OAuthError::invalid_client_metadata(refused));
        }
        if self.texts("grant_types")?.is_some_and(|types| types != [GRANT_TYPE]) {
            let refused = format!("grant_types must be {GRANT_TYPE} alone, or left out.");
            return Err(OAuthError::invalid_client_metadata(refused));
        }
        Ok(())
    }

    /// In any language: `logo_uri#ja` ([RFC 7591 §2.2](https://www.rfc-editor.org/rfc/rfc7591#section-2.2)).
    fn check_pages(&self) -> Result<(), OAuthError> {
        let is_page = |member: &str| PAGES.contains(&member.split('#').next().unwrap_or(member));
        let is_web = |value: &Value| {
            let url = value.as_str().and_then(|text| Url::parse(text).ok());
            url.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        };
        if self.0.iter().any(|(name, value)| is_page(name) && !is_web(value)) {
            let refused = format!("{} must each begin with https:// or be left out.", PAGES.join(", "));
            return Err(OAuthError::invalid_client_metadata(refused));
        }
        Ok(())
    }

    fn auth_method(&self) -> Result<ClientAuthMethod, OAuthError> {
        let Some(name) = self.text("token_endpoint_auth_method")? else {
            // The default of RFC 7591 §2.
            return Ok(ClientAuthMethod::ClientSecretBasic);
        };
        ClientAuthMethod::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = ClientAuthMethod::ALL.iter().map(|method| method.name()).collect();
            let refused = format!("token_endpoint_auth_method must be one of {}.", known.join(", "));
            OAuthError::invalid_client_metadata(refused)
        })
    }

    fn authentication(&self, method: ClientAuthMethod) -> Result<ClientAuthentication, OAuthError> {
        let jwks = self.member("jwks", "a JWK set", |value| value.as_object().map(|_| value.to_string()))?;
        let jwks_uri = self.text("jwks_uri")?;
        let refused = |words: &'static str| Err(OAuthError::invalid_client_metadata(words));
        match (method, jwks, jwks_uri) {
            (_, Some(_), Some(_)) => refused("There is both jwks and jwks_uri; send one of them."),
            (ClientAuthMethod::PrivateKeyJwt, Some(jwks), None) => {
                Ok(ClientAuthentication::PrivateKeyJwt(KeySource::Jwks(jwks.into())))
            }
            (ClientAuthMethod::PrivateKeyJwt, None, Some(uri)) => {
                Ok(ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(uri.into())))
            }
            (ClientAuthMethod::PrivateKeyJwt, None, None) => {
                refused("private_key_jwt needs the public keys of the client: send jwks or jwks_uri.")
            }
            (ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost, None, None) => {
                Ok(ClientAuthentication::ClientSecret)
            }
            (ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost, ..) => {
                refused("jwks and jwks_uri are for the token_endpoint_auth_method private_key_jwt.")
            }
        }
    }

    fn scopes(&self) -> Result<Option<Vec<String>>, OAuthError> {
        let Some(text) = self.text("scope")? else { return Ok(None) };
        let mut scopes: Vec<String> = text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if !scopes.iter().all(|name| is_scope_name(name)) {
            return Err(OAuthError::invalid_client_metadata("scope must be names with single spaces between."));
        }
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Some(scopes))
    }
}

/// The scopes that a client gets out of those it may have: what it asks for, or all. Never silently less than asked.
///
/// # Errors
/// `invalid_client_metadata` when it asks for more. Names what it may have, which it may know.
pub fn choose_scopes(asked: Option<&[String]>, allowed: &[&str]) -> Result<Vec<String>, OAuthError> {
    const MOST_SHOWN: usize = 20;
    let Some(asked) = asked else { return Ok(allowed.iter().map(|name| (*name).to_owned()).collect()) };
    if asked.iter().all(|name| allowed.contains(&name.as_str())) {
        return Ok(asked.to_vec());
    }
    let shown = allowed.iter().take(MOST_SHOWN).copied().collect::<Vec<_>>().join(" ");
    let more = if allowed.len() > MOST_SHOWN { " and more" } else { "" };
    let known = if allowed.is_empty() { "none" } else { &shown };
    Err(OAuthError::invalid_client_metadata(format!(
        "scope asks for more than clients registered with this token may have: {known}{more}."
    )))
}

/// What was registered ([RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1) and
/// [RFC 7592 §3](https://www.rfc-editor.org/rfc/rfc7592#section-3)).
#[derive(Serialize)]
pub struct ClientInformation<'a> {
    /// The client.
    pub client_id: String,
    /// Its secret: only in the answer that follows its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<&'a str>,
    /// When the secret ends, in seconds; 0 for never. Absent for a client without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// When the client was registered, in seconds.
    pub client_id_issued_at: i64,
    /// With which it is shown and changed.
    pub registration_access_token: &'a str,
    /// Where it is shown and changed.
    pub registration_client_uri: String,
    /// Its name for people.
    pub client_name: &'a str,
    /// The method it uses.
    pub token_endpoint_auth_method: &'static str,
    /// The grants that it may use.
    pub grant_types: [&'static str; 1],
    /// None: nobody is redirected.
    pub response_types: [&'static str; 0],
    /// What it was granted.
    pub scope: String,
    /// Its public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<&'a str>,
    /// Whether all its tokens are bound to a key.
    pub dpop_bound_access_tokens: bool,
}
