//! The client: who asks ([RFC 6749 §2](https://www.rfc-editor.org/rfc/rfc6749#section-2)).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::api::Api;
use super::assertion::ASSERTION_TYPE;
use super::error::{OAuthError, OAuthErrorCode};
use super::form;
use super::header::Header;
#[cfg(feature = "server")]
use super::networks::Networks;
use super::request::TokenParams;
use crate::clock::Timestamp;
use crate::secret::{Secret, StoredSecret};

/// A `client_id`: a lower-case hyphenated UUID, matched byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientId(Uuid);

impl ClientId {
    /// A new one, never given before.
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads the one spelling; every other spelling of the same UUID is not a `client_id`.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        canonical.then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

/// The ways a client may prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// The secret in the `Authorization` header ([RFC 6749
    /// §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT that the client signed ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    PrivateKeyJwt,
}

impl ClientAuthMethod {
    /// All that are enabled.
    pub const ALL: &[Self] = &[Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    /// The name in discovery documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.name() == name)
    }
}

/// How a client was registered to prove who it is. It is held to that: a client with a key pair cannot fall back to a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ClientAuthentication {
    /// With a secret, in the header or in the body.
    #[default]
    ClientSecret,
    /// With a JWT that it signed ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    PrivateKeyJwt(KeySource),
    /// With a JWT that a trusted issuer signed, and in no other way: it has no key of its own.
    TrustedIssuer,
}

impl ClientAuthentication {
    /// The name of [`Self::ClientSecret`] in the database and on the command line: whether the secret comes in the header or
    /// in the body is the client's choice at each request.
    pub const CLIENT_SECRET: &str = "client_secret";
    /// The name of [`Self::PrivateKeyJwt`].
    pub const PRIVATE_KEY_JWT: &str = ClientAuthMethod::PrivateKeyJwt.name();

    /// The name of [`Self::TrustedIssuer`].
    pub const TRUSTED_ISSUER: &str = "trusted_issuer";

    /// The name in the API and on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ClientSecret => Self::CLIENT_SECRET,
            Self::PrivateKeyJwt(_) => Self::PRIVATE_KEY_JWT,
            Self::TrustedIssuer => Self::TRUSTED_ISSUER,
        }
    }

    /// The public keys that are registered: a JWK set in JSON.
    pub fn jwks(&self) -> Option<&str> {
        match self {
            Self::PrivateKeyJwt(KeySource::Jwks(document)) => Some(document),
            Self::PrivateKeyJwt(KeySource::JwksUri(_)) | Self::ClientSecret | Self::TrustedIssuer => None,
        }
    }

    /// Where its public keys are.
    pub fn jwks_uri(&self) -> Option<&str> {
        match self {
            Self::PrivateKeyJwt(KeySource::JwksUri(uri)) => Some(uri),
            Self::PrivateKeyJwt(KeySource::Jwks(_)) | Self::ClientSecret | Self::TrustedIssuer => None,
        }
    }
}

/// Where the public keys of a client are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySource {
    /// Registered with it: a JWK set in JSON.
    Jwks(Arc<str>),
    /// Behind this URL.
    JwksUri(Arc<str>),
}

/// An organisation, as far as tokens care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Ours; never on the wire.
    pub id: Uuid,
    /// The `tenant` claim.
    pub slug: Arc<str>,
    /// Whether its clients may have and use tokens.
    pub enabled: bool,
    /// Tokens whose `iat` is earlier are dead.
    pub not_before: Timestamp,
}

/// A scope granted to a client, and the API it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedScope {
    /// The API.
    pub api: Arc<Api>,
    /// The scope's name.
    pub name: Arc<str>,
}

/// A live or expired secret of a client. Revoked ones are not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Ours; counts the secret's use.
    pub id: Uuid,
    /// The hash.
    pub stored: StoredSecret,
    /// From this moment on the secret is refused.
    pub expires_at: Option<Timestamp>,
}

/// A registered client with everything a token request needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// `client_id`
    pub client_id: ClientId,
    /// What people call it.
    pub name: Box<str>,
    /// Whose it is.
    pub organisation: Arc<Organisation>,
    /// Whether it may have and use tokens.
    pub enabled: bool,
    /// Tokens whose `iat` is earlier are dead.
    pub not_before: Timestamp,
    /// The longest its tokens may live, if it says so.
    pub lifetime: Option<Duration>,
    /// Whether its tokens must be bound to a key: it gets none without a DPoP proof.
    pub dpop_required: bool,
    /// From where it may ask.
    #[cfg(feature = "server")]
    pub allowed_networks: Networks,
    /// Whether it may exchange somebody's token for a narrower one of its own
    /// ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).
    pub token_exchange: bool,
    /// What it was granted.
    pub granted: Box<[GrantedScope]>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Its secrets.
    pub secrets: Box<[ClientSecret]>,
    /// Claims that stand in each of its tokens. Their names are absolute URIs, so they collide with no registered
    /// claim.
    pub claims: Option<Box<serde_json::Map<String, serde_json::Value>>>,
}

impl Client {
    /// Whether it may have and use tokens: it and its organisation are enabled.
    pub fn is_active(&self) -> bool {
        self.enabled && self.organisation.enabled
    }

    /// Tokens whose `iat` is earlier are dead: the later of the client's and its organisation's cut-off. There is also
    /// one for everybody, which the directory knows.
    pub fn cut_off(&self) -> Timestamp {
        self.not_before.max(self.organisation.not_before)
    }
}

/// Credentials as presented: nothing is proved yet.
#[derive(Debug)]
pub enum PresentedCredentials {
    /// A secret.
    Secret(PresentedSecret),
    /// A JWT that the client signed, or a trusted issuer for it.
    Assertion(PresentedAssertion),
    /// None at all: good for nothing but a grant that needs none.
    Nothing {
        /// The parameter, if it is there.
        client_id: Option<String>,
    },
}

/// A `client_id` and its secret, as given.
#[derive(Debug)]
pub struct PresentedSecret {
    /// Any text.
    pub client_id: String,
    /// The secret, in each reading that its encoding allows; at most two.
    pub secrets: Vec<Secret>,
    /// Whether they came by HTTP Basic, so that a failure is answered with its challenge.
    pub is_basic: bool,
}

/// A client assertion, as given ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)).
#[derive(Debug)]
pub struct PresentedAssertion {
    /// The parameter, which may be left out: the assertion says it.
    pub client_id: Option<String>,
    /// The JWT.
    pub jwt: Secret,
}

impl PresentedCredentials {
    /// Whether they came by HTTP Basic, so that a failure is answered with its challenge.
    pub fn is_basic(&self) -> bool {
        matches!(self, Self::Secret(PresentedSecret { is_basic: true, .. }))
    }

    /// Reads the credentials of a request: from the header or from the body, never from both, and of one method only
    /// ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).
    ///
    /// # Errors
    /// `invalid_client` when they are malformed; `invalid_request` when there are two.
    pub fn read(authorization: Header<'_>, params: &TokenParams<'_>) -> Result<Self, OAuthError> {
        let body_id = params.get("client_id");
        let body_secret = params.get("client_secret");
        let (assertion, assertion_type) = (params.get("client_assertion"), params.get("client_assertion_type"));
        if assertion.is_some() || assertion_type.is_some() {
            if body_secret.is_some() || authorization != Header::None {
                return Err(two_methods());
            }
            return PresentedAssertion::read(body_id, assertion, assertion_type).map(Self::Assertion);
        }
        match authorization {
            Header::Several => Err(OAuthError::invalid_client("several Authorization headers")),
            Header::One(header) => {
                if body_secret.is_some() {
                    return Err(two_methods());
                }
                let credentials = PresentedSecret::from_basic(header)?;
                if body_id.is_some_and(|id| id != credentials.client_id) {
                    return Err(OAuthError::invalid_request(
                        "The client_id in the body is not the one in the Authorization header.",
                    ));
                }
                Ok(Self::Secret(credentials))
            }
            Header::None => match (body_id, body_secret) {
                (Some(id), Some(secret)) => Ok(Self::Secret(PresentedSecret {
                    client_id: id.to_owned(),
                    secrets: vec![Secret::new(secret)],
                    is_basic: false,
                })),
                (None, Some(_)) => Err(OAuthError::invalid_client("client_secret without client_id")),
                (client_id, None) => Ok(Self::Nothing { client_id: client_id.map(str::to_owned) }),
            },
        }
    }
}

impl PresentedAssertion {
    fn read(
        client_id: Option<&str>,
        assertion: Option<&str>,
        assertion_type: Option<&str>,
    ) -> Result<Self, OAuthError> {
        match (assertion, assertion_type) {
            (Some(jwt), Some(ASSERTION_TYPE)) => {
                Ok(Self { client_id: client_id.map(str::to_owned), jwt: Secret::new(jwt) })
            }
            (Some(_), _) => Err(OAuthError::new(
                OAuthErrorCode::InvalidClient,
                "client_assertion needs client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer beside it.",
            )),
            (None, _) => Err(OAuthError::invalid_client("client_assertion_type without client_assertion")),
        }
    }
}

impl PresentedSecret {
    /// Both parts are form-encoded before they are joined and base64-encoded. Many clients leave out the form encoding,
    /// so a secret is tried as decoded and, where that differs, as it stands.
    fn from_basic(header: &[u8]) -> Result<Self, OAuthError> {
        let refused = |detail: &str| OAuthError { basic_challenge: true, ..OAuthError::invalid_client(detail) };
        let mut parts = header.splitn(2, |byte| *byte == b' ');
        let (scheme, encoded) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err(OAuthError::invalid_client("an Authorization scheme other than Basic"));
        }
        let encoded = encoded.trim_ascii();
        let joined = STANDARD.decode(encoded).map_err(|error| refused("bad base64").with_detail(error.to_string()))?;
        let joined = Secret::new(String::from_utf8(joined).map_err(|_not_utf8| refused("Basic is not UTF-8"))?);
        let (id, secret) = joined.reveal().split_once(':').ok_or_else(|| refused("no colon in Basic"))?;
        let client_id = form::decode(id.as_bytes()).map_err(|error| refused(error.description()))?.into_owned();
        let mut secrets = Vec::with_capacity(1);
        match form::decode(secret.as_bytes()) {
            Ok(decoded) => {
                secrets.push(Secret::new(decoded.as_ref()));
                if decoded != secret {
                    secrets.push(Secret::new(secret));
                }
            }
            Err(form::FormError::Escape) => secrets.push(Secret::new(secret)),
            Err(error) => return Err(refused(error.description())),
        }
        if client_id.is_empty() || secret.is_empty() {
            return Err(refused("an empty part in Basic"));
        }
        Ok(Self { client_id, secrets, is_basic: true })
    }
}

fn two_methods() -> OAuthError {
    OAuthError::invalid_request("Use one way of client authentication, not two.")
}

#[cfg(test)]
mod tests {
    use super::super::error::OAuthErrorCode;
    use super::*;

    fn read(header: Option<&str>, body: &str) -> Result<PresentedCredentials, OAuthError> {
        let params = TokenParams::from_form(body.as_bytes())?;
        let authorization = header.map_or(Header::None, |value| Header::One(value.as_bytes()));
        PresentedCredentials::read(authorization, &params)
    }

    fn read_secret(header: &str) -> PresentedSecret {
        match read(Some(header), "").unwrap() {
            PresentedCredentials::Secret(secret) => secret,
            other => panic!("{other:?}"),
        }
    }

    fn basic(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    #[test]
    fn a_client_id_has_one_spelling() {
        let id = ClientId::generate();
        let text = id.to_string();
        assert_eq!(ClientId::parse(&text), Some(id));
        for other in
            [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), format!("{text} "), String::new()]
        {
            assert!(other == text || ClientId::parse(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn basic_is_decoded_from_its_form_encoding_octet_by_octet() {
        let every_octet: String = (0x20_u8..0x7f).map(char::from).filter(|c| *c != '%' && *c != '+').collect();
        let encoded: String = every_octet.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let credentials = read_secret(&basic(&format!("{encoded}:{encoded}")));
        assert_eq!(credentials.client_id, every_octet);
        assert_eq!(credentials.secrets[0].reveal(), every_octet);
    }

    #[test]
    fn a_secret_with_a_percent_sign_is_also_tried_as_it_stands() {
        let read = |joined| {
            let credentials = read_secret(&basic(joined));
            credentials.secrets.iter().map(|secret| secret.reveal().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(read("id:plain"), ["plain"]);
        assert_eq!(read("id:a%2Bb"), ["a+b", "a%2Bb"]);
        assert_eq!(read("id:100%"), ["100%"]);
        assert_eq!(read("id:with:colon"), ["with:colon"]);
    }

    #[test]
    fn exactly_one_method_is_accepted() {
        let ok = basic("id:secret");
        let signed = |more: &str| format!("client_assertion_type={ASSERTION_TYPE}&{more}");
        let cases: &[(Option<&str>, &str, Result<&str, OAuthErrorCode>)] = &[
            (Some(&ok), "", Ok("id")),
            (Some(&ok.replace("Basic", "bAsIC")), "client_id=id", Ok("id")),
            (None, "client_id=id&client_secret=s", Ok("id")),
            (Some(&ok), "client_id=id&client_secret=secret", Err(OAuthErrorCode::InvalidRequest)),
            (Some(&ok), "client_id=other", Err(OAuthErrorCode::InvalidRequest)),
            (Some(&ok), "client_assertion=x", Err(OAuthErrorCode::InvalidRequest)),
            (None, "client_id=id&client_secret=s&client_assertion=x", Err(OAuthErrorCode::InvalidRequest)),
            (Some(&ok), "client_assertion_type=x", Err(OAuthErrorCode::InvalidRequest)),
            (None, &signed("client_assertion=x&client_id=id"), Ok("id")),
            (None, &signed("client_assertion=x"), Ok("x")),
            (None, &signed(""), Err(OAuthErrorCode::InvalidClient)),
            (None, &signed("client_secret=x"), Err(OAuthErrorCode::InvalidRequest)),
            (None, "client_assertion=x&client_id=id", Err(OAuthErrorCode::InvalidClient)),
            (None, &signed("client_assertion=x").replace("urn", "URN"), Err(OAuthErrorCode::InvalidClient)),
            (None, "", Ok("nobody")),
            (None, "client_id=id", Ok("nobody but id")),
            (None, "client_id=id&client_secret=", Ok("nobody but id")),
            (None, "client_secret=s", Err(OAuthErrorCode::InvalidClient)),
            (Some("Bearer abc"), "", Err(OAuthErrorCode::InvalidClient)),
            (Some("Basic"), "", Err(OAuthErrorCode::InvalidClient)),
            (Some("Basic !!!"), "", Err(OAuthErrorCode::InvalidClient)),
            (Some(&basic("no-colon")), "", Err(OAuthErrorCode::InvalidClient)),
            (Some(&basic(":secret")), "", Err(OAuthErrorCode::InvalidClient)),
            (Some(&basic("id:")), "", Err(OAuthErrorCode::InvalidClient)),
            (Some(&basic("id:a\0b")), "", Err(OAuthErrorCode::InvalidClient)),
            (Some(&format!("{ok}, {ok}")), "", Err(OAuthErrorCode::InvalidClient)),
        ];
        for (header, body, expected) in cases {
            let got = read(*header, body);
            let who = |credentials: &PresentedCredentials| match credentials {
                PresentedCredentials::Secret(secret) => secret.client_id.clone(),
                PresentedCredentials::Assertion(given) => {
                    given.client_id.clone().unwrap_or_else(|| given.jwt.reveal().to_owned())
                }
                PresentedCredentials::Nothing { client_id: None } => "nobody".to_owned(),
                PresentedCredentials::Nothing { client_id: Some(id) } => format!("nobody but {id}"),
            };
            let got = got.as_ref().map(who).map_err(|error| error.code);
            let got = got.as_deref().map_err(|code| *code);
            assert_eq!(got, *expected, "{header:?} {body}");
        }
    }
}
