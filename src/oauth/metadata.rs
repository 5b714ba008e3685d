//! Discovery documents, generated from the enums that the code runs on, so that they cannot lie.

use serde::Serialize;

use super::api::{SigningAlgorithm, management_scope};
use super::client::ClientAuthMethod;
use super::dpop;
use super::request::GrantType;

/// Paths under the issuer, each in one place.
pub mod path {
    /// The token endpoint.
    pub const TOKEN: &str = "/connect/token";
    /// The check that proxies ask for.
    pub const VERIFY: &str = "/connect/verify";
    /// Whether a token is good.
    pub const INTROSPECTION: &str = "/connect/introspect";
    /// The end of a token.
    pub const REVOCATION: &str = "/connect/revocation";
    /// What is revoked, for services that verify offline.
    pub const REVOCATIONS: &str = "/connect/revocations";
    /// Where clients register themselves; each has its configuration under it.
    pub const REGISTRATION: &str = "/connect/register";
    /// Present because discovery clients insist on the field.
    pub const AUTHORIZE: &str = "/connect/authorize";
    /// Tickets for third parties' JWTs, in both spellings that clients of application servers use.
    pub const TICKET: [&str; 2] = ["/server/jwt", "/Server/jwt"];
    /// Public signing keys.
    pub const JWKS: &str = "/.well-known/jwks.json";
    /// Where IdentityServer had the keys.
    pub const JWKS_ALIAS: &str = "/.well-known/openid-configuration/jwks";
    /// OpenID Connect Discovery.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// RFC 8414.
    pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
    /// RFC 9728.
    pub const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";
    /// Brevet's own resource routes: with the issuer in front, the audience of the management API.
    pub const API: &str = "/api/v1";
    /// What describes those routes.
    pub const OPENAPI: &str = "/api/v1/openapi.json";
    /// The page of errors that `error_uri` leads to.
    pub const ERRORS: &str = "/docs/errors";
}

/// Authorization server metadata ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
#[derive(Debug, Serialize)]
pub struct AuthorizationServerMetadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    scopes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    response_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// [RFC 9701 §7](https://www.rfc-editor.org/rfc/rfc9701#section-7)
    introspection_signing_alg_values_supported: Vec<&'static str>,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// Always there: without an initial access token it refuses everybody.
    registration_endpoint: String,
    /// Ours: what services that verify offline must know of.
    brevet_revocations_uri: String,
    dpop_signing_alg_values_supported: Vec<&'static str>,
    service_documentation: String,
    protected_resources: Vec<String>,
    #[serde(flatten)]
    openid: Option<OpenIdOnly>,
}

/// Fields that OpenID Connect Discovery demands and some libraries refuse to live without, although nobody signs in here.
#[derive(Debug, Serialize)]
struct OpenIdOnly {
    authorization_endpoint: String,
    subject_types_supported: Vec<&'static str>,
    id_token_signing_alg_values_supported: Vec<&'static str>,
}

impl AuthorizationServerMetadata {
    /// The document of RFC 8414.
    pub fn new(issuer: &str) -> Self {
        let client_auth_methods: Vec<_> = ClientAuthMethod::ALL.iter().map(|method| method.name()).collect();
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: format!("{issuer}{}", path::TOKEN),
            jwks_uri: format!("{issuer}{}", path::JWKS),
            scopes_supported: management_scope::names(),
            grant_types_supported: GrantType::ALL.iter().map(|grant| grant.name()).collect(),
            response_types_supported: Vec::new(),
            token_endpoint_auth_methods_supported: client_auth_methods.clone(),
            token_endpoint_auth_signing_alg_values_supported: algorithms(),
            introspection_endpoint: format!("{issuer}{}", path::INTROSPECTION),
            introspection_endpoint_auth_methods_supported: client_auth_methods.clone(),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms(),
            introspection_signing_alg_values_supported: vec![SigningAlgorithm::Rs256.name()],
            revocation_endpoint: format!("{issuer}{}", path::REVOCATION),
            revocation_endpoint_auth_methods_supported: client_auth_methods,
            revocation_endpoint_auth_signing_alg_values_supported: algorithms(),
            registration_endpoint: format!("{issuer}{}", path::REGISTRATION),
            brevet_revocations_uri: format!("{issuer}{}", path::REVOCATIONS),
            dpop_signing_alg_values_supported: dpop::ALGORITHMS.iter().map(|alg| alg.name()).collect(),
            service_documentation: format!("{issuer}{}", path::ERRORS),
            protected_resources: vec![format!("{issuer}{}", path::API)],
            openid: None,
        }
    }

    /// The document of OpenID Connect Discovery.
    pub fn openid(issuer: &str) -> Self {
        Self {
            openid: Some(OpenIdOnly {
                authorization_endpoint: format!("{issuer}{}", path::AUTHORIZE),
                subject_types_supported: vec!["public"],
                id_token_signing_alg_values_supported: algorithms(),
            }),
            ..Self::new(issuer)
        }
    }
}

fn algorithms() -> Vec<&'static str> {
    SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.name()).collect()
}

/// Metadata of Brevet's own resource routes ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
#[derive(Debug, Serialize)]
pub struct ProtectedResourceMetadata {
    resource: String,
    authorization_servers: Vec<String>,
    jwks_uri: String,
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: Vec<&'static str>,
    dpop_signing_alg_values_supported: Vec<&'static str>,
    dpop_bound_access_tokens_required: bool,
    resource_name: &'static str,
    resource_documentation: String,
}

impl ProtectedResourceMetadata {
    /// The document for the routes under `/api/v1`.
    pub fn new(issuer: &str) -> Self {
        Self {
            resource: format!("{issuer}{}", path::API),
            authorization_servers: vec![issuer.to_owned()],
            jwks_uri: format!("{issuer}{}", path::JWKS),
            scopes_supported: management_scope::names(),
            bearer_methods_supported: vec!["header"],
            dpop_signing_alg_values_supported: dpop::ALGORITHMS.iter().map(|alg| alg.name()).collect(),
            dpop_bound_access_tokens_required: false,
            resource_name: "Brevet management API",
            resource_documentation: format!("{issuer}{}", path::ERRORS),
        }
    }
}
