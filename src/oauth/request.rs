//! A token request: its parameters and its grant.

use std::fmt;

use super::error::{OAuthError, OAuthErrorCode};
use super::form;

/// The parameters of a request: none twice (but `resource`), none empty
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
pub struct TokenParams<'a>(Vec<form::Pair<'a>>);

/// Names only: among the values are secrets.
impl fmt::Debug for TokenParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The one parameter that may repeat ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
const REPEATABLE: &str = "resource";

/// Parameters that must not stand in a URL, where proxies and histories keep them.
const BODY_ONLY: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "subject_token",
    "actor_token",
    "scope",
    "resource",
    "audience",
    "token",
];

impl<'a> TokenParams<'a> {
    /// Reads a form body.
    ///
    /// # Errors
    /// `invalid_request` when the form is malformed or repeats a parameter.
    pub fn from_form(body: &'a [u8]) -> Result<Self, OAuthError> {
        let mut pairs = form::parse_form(body).map_err(|error| OAuthError::invalid_request(error.description()))?;
        let mut names: Vec<&str> =
            pairs.iter().map(|(name, _)| name.as_ref()).filter(|name| *name != REPEATABLE).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(OAuthError::invalid_request("A parameter is repeated."));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    /// Refuses a URL's query that holds what belongs in the body
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    ///
    /// # Errors
    /// `invalid_request`, without looking at the values.
    pub fn refuse_in_query(query: &str) -> Result<(), OAuthError> {
        if form::query_names(query, BODY_ONLY) {
            return Err(OAuthError::invalid_request(
                "Parameters must be in the body, as application/x-www-form-urlencoded, not in the URL.",
            ));
        }
        Ok(())
    }

    /// The value of a parameter, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_ref())
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_ref())
    }
}

/// The grants there are, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// [RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)
    ClientCredentials,
    /// [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)
    JwtBearer,
    /// [RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)
    TokenExchange,
}

impl GrantType {
    /// All that are enabled.
    pub const ALL: &[Self] = &[Self::ClientCredentials, Self::JwtBearer, Self::TokenExchange];

    /// The value of `grant_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The name in counts.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "jwt_bearer",
            Self::TokenExchange => "token_exchange",
        }
    }

    /// Whether the grant itself says who asks, so that credentials may be left out
    /// ([RFC 7521 §4.1](https://www.rfc-editor.org/rfc/rfc7521#section-4.1)).
    pub const fn needs_no_credentials(self) -> bool {
        matches!(self, Self::JwtBearer)
    }

    /// The one that a request names.
    pub fn named(params: &TokenParams<'_>) -> Option<Self> {
        let name = params.get("grant_type")?;
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

/// What a request asks for.
#[derive(Debug)]
pub enum Grant<'a> {
    /// A token for the client itself.
    ClientCredentials(TokenTarget<'a>),
    /// A token for whom a trusted issuer says that it is for.
    JwtBearer {
        /// The JWT that says so.
        assertion: &'a str,
        /// The organisation, where several trust that issuer: its slug.
        tenant: Option<&'a str>,
        /// Where the token shall be good for.
        target: TokenTarget<'a>,
    },
    /// A narrower token for the one that somebody else has, with the client as actor.
    TokenExchange {
        /// That token.
        subject: SubjectToken<'a>,
        /// Where the new one shall be good for.
        target: TokenTarget<'a>,
    },
}

/// Where a token shall be good for.
#[derive(Debug, Default)]
pub struct TokenTarget<'a> {
    /// `scope`: names with single spaces between.
    pub scope: Option<&'a str>,
    /// `resource`, and `audience` as another name for it.
    pub resources: Vec<&'a str>,
}

impl<'a> Grant<'a> {
    /// Reads the grant.
    ///
    /// # Errors
    /// `invalid_request` without a `grant_type` or what it needs, `unsupported_grant_type` with an unknown one.
    pub fn from_params(params: &'a TokenParams<'_>) -> Result<Self, OAuthError> {
        if params.get("grant_type").is_none() {
            return Err(OAuthError::invalid_request("grant_type is missing."));
        }
        let grant_type = GrantType::named(params).ok_or_else(|| {
            let known: Vec<&str> = GrantType::ALL.iter().map(|known| known.name()).collect();
            let description = format!("This server knows the grant_type {}.", join_names(&known));
            OAuthError::new(OAuthErrorCode::UnsupportedGrantType, description)
        })?;
        let target = TokenTarget {
            scope: params.get("scope"),
            resources: params.all("resource").chain(params.get("audience")).collect(),
        };
        match grant_type {
            GrantType::ClientCredentials => Ok(Self::ClientCredentials(target)),
            GrantType::JwtBearer => {
                let assertion = params.get("assertion");
                let assertion = assertion.ok_or_else(|| OAuthError::invalid_request("assertion is missing."))?;
                Ok(Self::JwtBearer { assertion, tenant: params.get("tenant"), target })
            }
            GrantType::TokenExchange => Ok(Self::TokenExchange { subject: SubjectToken::from_params(params)?, target }),
        }
    }
}

fn join_names(names: &[&str]) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        names => names.join(" "),
    }
}

/// The token that shall be exchanged, with what it says it is. Nothing of it is proved yet.
#[derive(Clone, Copy)]
pub enum SubjectToken<'a> {
    /// An access token: ours, or what a trusted issuer's JWT is that is good as one.
    AccessToken(&'a str),
    /// Any other JWT of a trusted issuer.
    ForeignJwt(&'a str),
}

/// Which it is, and not what it says.
impl fmt::Debug for SubjectToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken(_) => "AccessToken",
            Self::ForeignJwt(_) => "ForeignJwt",
        })
    }
}

/// The kind of token that is exchanged and the only one that is issued
/// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The names under which a trusted issuer's JWT may come.
const FOREIGN_JWT_TYPES: &[&str] =
    &["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];

impl<'a> SubjectToken<'a> {
    /// Reads what [RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1) asks for.
    fn from_params(params: &'a TokenParams<'_>) -> Result<Self, OAuthError> {
        if params.get("actor_token").is_some() || params.get("actor_token_type").is_some() {
            return Err(OAuthError::invalid_request(
                "The actor is the app that asks: send no actor_token and no actor_token_type.",
            ));
        }
        if params.get("requested_token_type").is_some_and(|asked| asked != ACCESS_TOKEN_TYPE) {
            return Err(OAuthError::invalid_request(
                "requested_token_type can only be urn:ietf:params:oauth:token-type:access_token.",
            ));
        }
        let token = params.get("subject_token");
        let token = token.ok_or_else(|| OAuthError::invalid_request("subject_token is missing."))?;
        match params.get("subject_token_type") {
            None => Err(OAuthError::invalid_request("subject_token_type is missing.")),
            Some(ACCESS_TOKEN_TYPE) => Ok(Self::AccessToken(token)),
            Some(name) if FOREIGN_JWT_TYPES.contains(&name) => Ok(Self::ForeignJwt(token)),
            Some(_) => Err(OAuthError::invalid_request(
                "subject_token_type is urn:ietf:params:oauth:token-type: and access_token, jwt or id_token.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parameters_are_refused_and_empty_ones_count_as_absent() {
        let read = |body: &'static str| TokenParams::from_form(body.as_bytes()).map_err(|error| error.code);
        assert_eq!(read("a=1&a=1").unwrap_err(), OAuthErrorCode::InvalidRequest);
        assert_eq!(read("a=&a=1").unwrap_err(), OAuthErrorCode::InvalidRequest);
        assert_eq!(read("%61=1&a=2").unwrap_err(), OAuthErrorCode::InvalidRequest);
        assert_eq!(read("scope=&x=1").unwrap().get("scope"), None);
        assert_eq!(read("resource=a&resource=b&resource=").unwrap().all("resource").count(), 2);
    }

    #[test]
    fn only_the_exact_grant_type_is_known() {
        let read = |name: &str| {
            let body = format!("grant_type={name}");
            let params = TokenParams::from_form(body.as_bytes()).unwrap();
            Grant::from_params(&params).map(|_| ()).map_err(|error| error.code)
        };
        assert_eq!(read("client_credentials"), Ok(()));
        assert_eq!(read(""), Err(OAuthErrorCode::InvalidRequest));
        for unknown in
            ["Client_Credentials", "client_credentials+", "password", "refresh_token", "client%EF%BC%BFcredentials"]
        {
            assert_eq!(read(unknown), Err(OAuthErrorCode::UnsupportedGrantType), "{unknown}");
        }
    }

    #[test]
    fn what_belongs_in_the_body_is_refused_in_the_url() {
        for query in
            ["client_secret=x", "a=b&scope", "grant_type=client_credentials", "client_id=", "client%5Fsecret=x"]
        {
            assert!(TokenParams::refuse_in_query(query).is_err(), "{query}");
        }
        assert!(TokenParams::refuse_in_query("trace=1&x&%zz").is_ok());
    }
}
