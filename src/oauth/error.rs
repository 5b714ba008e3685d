//! What a client is told when it gets no token ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::client::ClientId;

/// What everybody is told who is answered `temporarily_unavailable` for a reason that is not theirs.
pub const UNAVAILABLE: &str = "The server cannot answer at the moment.";
/// What everybody is told who is answered `server_error`.
pub const FAILED: &str = "Something failed inside the server.";

/// The error codes this server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// What shall be exchanged for a token is not good.
    InvalidGrant,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// The grant is not one this server knows.
    UnsupportedGrantType,
    /// A scope is unknown, malformed or not granted.
    InvalidScope,
    /// A resource is unknown, malformed or not granted ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    InvalidTarget,
    /// A DPoP proof is missing, malformed, for another request or used before
    /// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).
    InvalidDpopProof,
    /// A DPoP proof must hold a nonce of the server ([RFC 9449 §8](https://www.rfc-editor.org/rfc/rfc9449#section-8)).
    UseDpopNonce,
    /// What a client says of itself at its registration cannot be used
    /// ([RFC 7591 §3.2.2](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2)).
    InvalidClientMetadata,
    /// A client wants to be redirected to.
    InvalidRedirectUri,
    /// Somebody vouches for a client who is not trusted here.
    UnapprovedSoftwareStatement,
    /// The token with which a client is registered or changed is not good
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    InvalidToken,
    /// Too many failures, or more work than the server can take on: try later.
    TemporarilyUnavailable,
    /// A fault of the server.
    ServerError,
}

impl OAuthErrorCode {
    /// All of them, for documentation.
    pub const ALL: &[Self] = &[
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::InvalidDpopProof,
        Self::UseDpopNonce,
        Self::InvalidClientMetadata,
        Self::InvalidRedirectUri,
        Self::UnapprovedSoftwareStatement,
        Self::InvalidToken,
        Self::TemporarilyUnavailable,
        Self::ServerError,
    ];

    /// The code on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::InvalidToken => "invalid_token",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// What usually causes it and what to do, for the page that `error_uri` leads to.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "The request could not be read. Send POST with the content type application/x-www-form-urlencoded, each parameter once, the App Key in the Authorization header or in the body but not in both, and nothing in the query string."
            }
            Self::InvalidClient => {
                "The App SID and App Key do not match an enabled app. Check that the key was copied whole (bvk_ and 49 more characters), that it has not expired or been revoked, that the app is not disabled, and that it asks from a network that it is allowed, if it is held to any. An app that signs its requests (private_key_jwt) needs an assertion with its App SID as iss and sub, the issuer of this server alone as aud, an exp at most 5 minutes ahead and a jti never used before. For safety the answer is the same whichever it is."
            }
            Self::InvalidGrant => {
                "The assertion is a JWT of a third party, and a check of it failed; error_description says which. Its iss must be a trusted issuer of the organisation, its signature made with one of that issuer's keys, its aud one of the audiences set there, exp ahead by at most 24 hours, nbf and iat not in the future, and whom it names an app or user here. The dashboard shows for a pasted JWT how each check went."
            }
            Self::UnauthorizedClient => {
                "The app may not use this grant. Exchanging tokens is off for each app until somebody allows it: under Settings in the dashboard, with brevet app update SID --token-exchange true, or with token_exchange in the management API."
            }
            Self::UnsupportedGrantType => {
                "This server issues tokens to programs: grant_type must be client_credentials, urn:ietf:params:oauth:grant-type:jwt-bearer or urn:ietf:params:oauth:grant-type:token-exchange, in exactly this spelling."
            }
            Self::InvalidScope => {
                "A scope was misspelt, does not exist, or was not granted to the app. Leave scope out to get everything the app was granted, or grant it the scope first. Scopes are case-sensitive and separated by single spaces."
            }
            Self::InvalidTarget => {
                "The resource (or audience) is not the identifier of an API the app has scopes for, or the APIs asked for together use different token formats. Use the identifier exactly as the API was registered, an absolute URI without a fragment."
            }
            Self::InvalidDpopProof => {
                "The DPoP header must hold one proof made for this request alone: a JWT with typ dpop+jwt, signed with ES256, EdDSA, RS256 or PS256 by the key whose public half stands in its header as jwk; claims jti (never used before), htm (the method), htu (the address without query), iat (the present time, to 60 seconds) and, where an access token is sent, ath (its SHA-256 in base64url). An app that is marked as DPoP required gets no token without one."
            }
            Self::UseDpopNonce => {
                "This server wants its nonce in each DPoP proof. Take it from the DPoP-Nonce header of the answer, put it into a new proof as nonce and send the request again; it is good for some minutes, and later answers bring the next one. Libraries that know DPoP do this by themselves."
            }
            Self::InvalidClientMetadata => {
                "What the client says of itself cannot be registered; the description names the member. Send one JSON object as application/json, each member once. token_endpoint_auth_method is client_secret_basic, client_secret_post or private_key_jwt (this one with jwks or jwks_uri, not both, and public keys only); grant_types is client_credentials alone; scope holds only scopes that the initial access token allows. At a change the client_id must stand in the body as well."
            }
            Self::InvalidRedirectUri => {
                "This server issues tokens to programs and redirects nobody: register without redirect_uris."
            }
            Self::UnapprovedSoftwareStatement => {
                "This server trusts nobody to vouch for clients: register without software_statement."
            }
            Self::InvalidToken => {
                "The bearer token is not good here, or not any more. To register a client, send an initial access token (bvr_ and 49 more characters), which an operator makes with brevet registration-token create; it ends with its time and its number of uses. To show, change or delete a registered client, send the registration access token (bvc_ and 49 more characters) that came with its registration; it ends with the client, or when that is switched off. At other addresses it is the access token that expired, was revoked or is meant for somebody else. For safety the answer is the same whichever it is."
            }
            Self::TemporarilyUnavailable => {
                "Too many wrong App Keys came from your address, or the server has more work than it can take on. Wait as many seconds as the Retry-After header says, then try again."
            }
            Self::ServerError => {
                "Something failed inside the server. The request id in the answer finds the reason in the server's log."
            }
        }
    }
}

/// Whose JWT a request was about, for the log: of what the JWT itself says, nothing before its signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThirdParty {
    /// The entry that trusts its issuer.
    pub trusted_issuer: ClientId,
    /// The client that it stands for, once it is signed.
    pub client_id: Option<ClientId>,
    /// The user whom it names, once it is signed; whether there is such a user is another question.
    pub login: Option<Box<str>>,
}

/// An error: the public code and sentence, and for the log the private detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// What the client is told in one word.
    pub code: OAuthErrorCode,
    /// What the client is told in a sentence. Never echoes input.
    pub description: Cow<'static, str>,
    /// What only the log is told.
    pub detail: Option<String>,
    /// The client, once it is known; for the log.
    pub client_id: Option<ClientId>,
    /// Whose JWT it is about; for the log.
    pub third_party: Option<Arc<ThirdParty>>,
    /// The client used HTTP Basic, so a failure is answered with that challenge.
    pub basic_challenge: bool,
    /// When to try again. Present with `TemporarilyUnavailable`.
    pub retry_after: Option<Duration>,
    /// The client did too much (429), as opposed to the server having too much to do (503).
    pub throttled: bool,
}

impl OAuthError {
    /// An error with a fixed public sentence.
    pub fn new(code: OAuthErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            description: description.into(),
            detail: None,
            client_id: None,
            third_party: None,
            basic_challenge: false,
            retry_after: None,
            throttled: false,
        }
    }

    /// `invalid_request`
    pub fn invalid_request(description: &'static str) -> Self {
        Self::new(OAuthErrorCode::InvalidRequest, description)
    }

    /// `invalid_client`: the same words whatever the reason, which goes to the log.
    pub fn invalid_client(detail: impl Into<String>) -> Self {
        Self::new(OAuthErrorCode::InvalidClient, "Client authentication failed.").with_detail(detail)
    }

    /// `invalid_client_metadata`
    pub fn invalid_client_metadata(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthErrorCode::InvalidClientMetadata, description)
    }

    /// `invalid_token`: the same words whatever the reason, which goes to the log.
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self::new(OAuthErrorCode::InvalidToken, "The token is missing or not good for this.").with_detail(detail)
    }

    /// `temporarily_unavailable`, 429: the client has failed too often.
    pub fn throttled(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            throttled: true,
            ..Self::new(
                OAuthErrorCode::TemporarilyUnavailable,
                "Too many failed attempts for this client from this address.",
            )
        }
    }

    /// `temporarily_unavailable`, 503: the server cannot answer now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(2)),
            ..Self::new(OAuthErrorCode::TemporarilyUnavailable, UNAVAILABLE)
        }
        .with_detail(detail)
    }

    /// `server_error`
    pub fn server_error(detail: impl Into<String>) -> Self {
        Self::new(OAuthErrorCode::ServerError, FAILED).with_detail(detail)
    }

    /// Says whose request it was; for the log.
    #[must_use]
    pub fn of_client(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Says whose JWT it is about, where that is known, and for which client; for the log.
    #[must_use]
    pub fn of_third_party(mut self, third_party: Option<Arc<ThirdParty>>) -> Self {
        self.client_id = third_party.as_ref().and_then(|party| party.client_id).or(self.client_id);
        self.third_party = third_party.or(self.third_party);
        self
    }

    /// Adds what only the log is told.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail.as_deref().unwrap_or(&self.description))
    }
}

impl std::error::Error for OAuthError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_words_keep_to_the_characters_of_rfc_6749() {
        let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        for code in OAuthErrorCode::ALL {
            assert!(code.name().chars().all(allowed) && code.advice().chars().all(allowed), "{}", code.name());
        }
        for error in [
            OAuthError::invalid_client("x"),
            OAuthError::invalid_token("x"),
            OAuthError::throttled(Duration::from_secs(1)),
            OAuthError::unavailable("x"),
            OAuthError::server_error("x"),
        ] {
            assert!(error.description.chars().all(allowed), "{error}");
        }
    }
}
