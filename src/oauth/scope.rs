//! Scopes ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)) and resource indicators
//! ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)): what a token will be good for.

use std::sync::Arc;

use url::Url;

use super::api::Api;
use super::client::{Client, GrantedScope};
use super::error::{OAuthError, OAuthErrorCode};
use super::request::TokenTarget;

/// Longer names are refused when a scope is made.
pub const LONGEST_SCOPE_NAME: usize = 100;

/// Whether `name` is a scope token: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub fn is_scope_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// What a token will be good for: never more than asked for, never more than granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The APIs that `aud` names; at least one.
    pub apis: Vec<Arc<Api>>,
    /// The scopes, each once, in the order in which they were granted.
    pub scopes: Vec<Arc<str>>,
}

impl Authorization {
    /// Grants what `target` asks for out of what `client` was granted, or refuses: never silently less.
    ///
    /// Without `scope`, everything the client was granted at the resources asked for; without `resource`, every API the
    /// scopes belong to. A client that was granted nothing gets a token for `fallback`, good for learning who it is.
    ///
    /// # Errors
    /// `invalid_scope` and `invalid_target`.
    pub fn narrow(client: &Client, target: &TokenTarget<'_>, fallback: &Arc<Api>) -> Result<Self, OAuthError> {
        let apis = resources(client, &target.resources, fallback)?;
        let at_resources = |scope: &GrantedScope| apis.is_empty() || apis.iter().any(|api| api.id == scope.api.id);
        let scopes: Vec<&GrantedScope> = match target.scope {
            None => client.granted.iter().filter(|scope| at_resources(scope)).collect(),
            Some(asked) => {
                let named = named(client, asked)?;
                if !named.iter().all(|scope| at_resources(scope)) {
                    return Err(invalid_scope(client));
                }
                named
            }
        };
        let apis = if apis.is_empty() { apis_of(&scopes, fallback) } else { apis };
        refuse_mixed_formats(&apis)?;
        Ok(Self { apis, scopes: scopes.into_iter().map(|scope| scope.name.clone()).collect() })
    }

    /// The API whose profile and algorithm the token has: Brevet's own has no wish of its own.
    pub fn format_giver(&self) -> Option<&Arc<Api>> {
        format_giver(&self.apis)
    }

    /// The scopes as one text with spaces between.
    pub fn scope_text(&self) -> String {
        self.scopes.join(" ")
    }
}

fn resources(client: &Client, asked: &[&str], fallback: &Arc<Api>) -> Result<Vec<Arc<Api>>, OAuthError> {
    let refused = |detail: &'static str| {
        OAuthError::new(
            OAuthErrorCode::InvalidTarget,
            "A resource is not the identifier of an API that this client has scopes for.",
        )
        .with_detail(detail)
    };
    let mut apis: Vec<Arc<Api>> = Vec::with_capacity(asked.len());
    for resource in asked {
        if apis.iter().any(|api| *api.identifier == **resource) {
            continue;
        }
        Url::parse(resource)
            .ok()
            .filter(|url| url.fragment().is_none())
            .ok_or_else(|| refused("resource is not an absolute URI without a fragment"))?;
        let granted = client.granted.iter().map(|scope| &scope.api);
        let nothing_granted = client.granted.is_empty().then_some(fallback);
        let api = granted.chain(nothing_granted).find(|api| *api.identifier == **resource);
        apis.push(api.ok_or_else(|| refused("resource unknown or not granted"))?.clone());
    }
    Ok(apis)
}

/// Behind an API's identifier: everything that the client was granted there. So ask MSAL and what was written for Entra.
const ALL_OF_API: &str = "/.default";

/// The scopes that `asked` names, each once. Linear in the length of `asked`.
fn named<'c>(client: &'c Client, asked: &str) -> Result<Vec<&'c GrantedScope>, OAuthError> {
    let mut wanted = vec![false; client.granted.len()];
    for name in asked.split(' ').filter(|name| !name.is_empty()) {
        let mut found = false;
        let whole_api = name.strip_suffix(ALL_OF_API);
        for (scope, wanted) in client.granted.iter().zip(wanted.iter_mut()) {
            if *scope.name == *name || whole_api.is_some_and(|identifier| *scope.api.identifier == *identifier) {
                (*wanted, found) = (true, true);
            }
        }
        if !found {
            return Err(invalid_scope(client));
        }
    }
    let chosen: Vec<_> =
        client.granted.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(scope, _)| scope).collect();
    if chosen.is_empty() { Err(invalid_scope(client)) } else { Ok(chosen) }
}

/// Names what was granted, which the client may know, and not what was asked, which may be anybody's text.
fn invalid_scope(client: &Client) -> OAuthError {
    const MOST_SHOWN: usize = 20;
    let granted: Vec<&str> = client.granted.iter().take(MOST_SHOWN).map(|scope| scope.name.as_ref()).collect();
    let more = if client.granted.len() > MOST_SHOWN { " and more" } else { "" };
    let known = if granted.is_empty() { "nothing".to_owned() } else { format!("{}{more}", granted.join(" ")) };
    OAuthError::new(
        OAuthErrorCode::InvalidScope,
        format!(
            "A scope is unknown, malformed, not granted, or not of the resource asked for. Granted to this client: {known}."
        ),
    )
}

fn apis_of(scopes: &[&GrantedScope], fallback: &Arc<Api>) -> Vec<Arc<Api>> {
    let mut apis: Vec<Arc<Api>> = Vec::with_capacity(1);
    for scope in scopes {
        if !apis.iter().any(|api| api.id == scope.api.id) {
            apis.push(scope.api.clone());
        }
    }
    if apis.is_empty() {
        apis.push(fallback.clone());
    }
    apis
}

fn format_giver(apis: &[Arc<Api>]) -> Option<&Arc<Api>> {
    apis.iter().find(|api| !api.is_management()).or_else(|| apis.first())
}

fn refuse_mixed_formats(apis: &[Arc<Api>]) -> Result<(), OAuthError> {
    let format = |api: &Arc<Api>| (api.profile, api.algorithm);
    let mut formats = apis.iter().filter(|api| !api.is_management()).map(format);
    let first = formats.next();
    if formats.all(|other| Some(other) == first) {
        return Ok(());
    }
    Err(OAuthError::new(
        OAuthErrorCode::InvalidTarget,
        "The APIs of the scopes asked for use different token formats: name one of them as resource.",
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::api::{SigningAlgorithm, TokenProfile};
    use super::super::client::{ClientId, Organisation};
    use super::*;
    use crate::clock::Timestamp;

    fn api(identifier: &str, organisation_id: Option<Uuid>, profile: TokenProfile, scopes: &[&str]) -> Arc<Api> {
        Arc::new(Api {
            id: Uuid::new_v4(),
            organisation_id,
            identifier: identifier.into(),
            profile,
            algorithm: SigningAlgorithm::Rs256,
            lifetime: Some(Duration::from_secs(60)),
            scopes: scopes.iter().map(|name| Arc::from(*name)).collect(),
        })
    }

    struct World {
        client: Client,
        management: Arc<Api>,
    }

    fn world() -> World {
        let organisation = Arc::new(Organisation {
            id: Uuid::new_v4(),
            slug: "acme".into(),
            enabled: true,
            not_before: Timestamp::NEVER,
        });
        let billing =
            api("https://billing", Some(organisation.id), TokenProfile::Rfc9068, &["b.read", "b.write", "b.admin"]);
        let stock = api("https://stock", Some(organisation.id), TokenProfile::Rfc9068, &["s.read"]);
        let old = api("urn:old", Some(organisation.id), TokenProfile::Classic, &["o.read"]);
        let management = api("https://id/api/v1", None, TokenProfile::Rfc9068, &["apps:read"]);
        let grant = |api: &Arc<Api>, name: &str| GrantedScope { api: api.clone(), name: name.into() };
        let granted = [
            grant(&billing, "b.read"),
            grant(&billing, "b.write"),
            grant(&stock, "s.read"),
            grant(&old, "o.read"),
            grant(&management, "apps:read"),
        ];
        let client = Client {
            client_id: ClientId::generate(),
            name: "robot".into(),
            organisation,
            enabled: true,
            not_before: Timestamp::NEVER,
            lifetime: None,
            dpop_required: false,
            #[cfg(feature = "server")]
            allowed_networks: crate::oauth::networks::Networks::default(),
            token_exchange: false,
            granted: granted.into(),
            authentication: crate::oauth::client::ClientAuthentication::ClientSecret,
            secrets: [].into(),
            claims: None,
        };
        World { client, management }
    }

    fn narrow(world: &World, scope: Option<&str>, resources: &[&str]) -> Result<String, OAuthErrorCode> {
        let target = TokenTarget { scope, resources: resources.to_vec() };
        Authorization::narrow(&world.client, &target, &world.management)
            .map(|granted| {
                let apis: Vec<&str> = granted.apis.iter().map(|api| api.identifier.as_ref()).collect();
                format!("{} for {}", granted.scope_text(), apis.join(" "))
            })
            .map_err(|error| error.code)
    }

    #[test]
    fn scope_and_resource_narrow_what_was_granted() {
        let world = world();
        let ok = |text: &str| Ok(text.to_owned());
        let scope = Err(OAuthErrorCode::InvalidScope);
        let target = Err(OAuthErrorCode::InvalidTarget);
        type Case<'a> = (Option<&'a str>, &'a [&'a str], Result<String, OAuthErrorCode>);
        let cases: &[Case<'_>] = &[
            (Some("b.read"), &[], ok("b.read for https://billing")),
            (Some("s.read b.read"), &[], ok("b.read s.read for https://billing https://stock")),
            (Some("b.read b.read  b.read"), &[], ok("b.read for https://billing")),
            (None, &["https://billing"], ok("b.read b.write for https://billing")),
            (None, &["https://billing", "https://billing"], ok("b.read b.write for https://billing")),
            (
                None,
                &["https://stock", "https://billing"],
                ok("b.read b.write s.read for https://stock https://billing"),
            ),
            (Some("b.read apps:read"), &[], ok("b.read apps:read for https://billing https://id/api/v1")),
            (Some("o.read apps:read"), &[], ok("o.read apps:read for urn:old https://id/api/v1")),
            (Some("https://billing/.default"), &[], ok("b.read b.write for https://billing")),
            (
                Some("https://billing/.default s.read"),
                &[],
                ok("b.read b.write s.read for https://billing https://stock"),
            ),
            (Some("https://billing/.default"), &["https://stock"], scope.clone()),
            (Some("https://other/.default"), &[], scope.clone()),
            (Some("/.default"), &[], scope.clone()),
            (Some(".default"), &[], scope.clone()),
            (Some("b.read"), &["https://stock"], scope.clone()),
            (Some("b.admin"), &[], scope.clone()),
            (Some("B.READ"), &[], scope.clone()),
            (Some("b.read nothing"), &[], scope.clone()),
            (Some("b.\"read"), &[], scope.clone()),
            (Some(" "), &[], scope),
            (None, &["https://other"], target.clone()),
            (None, &["https://billing/"], target.clone()),
            (None, &["billing"], target.clone()),
            (None, &["https://billing#part"], target.clone()),
            (None, &[], target.clone()),
            (Some("b.read o.read"), &[], target),
        ];
        for (scope, resources, expected) in cases {
            assert_eq!(&narrow(&world, *scope, resources), expected, "{scope:?} {resources:?}");
        }
    }

    #[test]
    fn a_client_that_was_granted_nothing_gets_a_token_that_only_says_who_it_is() {
        let mut world = world();
        world.client.granted = [].into();
        assert_eq!(narrow(&world, None, &[]), Ok(" for https://id/api/v1".to_owned()));
        assert_eq!(narrow(&world, None, &["https://id/api/v1"]), Ok(" for https://id/api/v1".to_owned()));
        assert_eq!(narrow(&world, Some("apps:read"), &[]), Err(OAuthErrorCode::InvalidScope));
    }

    #[test]
    fn only_the_characters_of_the_grammar_make_a_scope_name() {
        for name in ["a", "orders:read", "https://x/.default", "!#[]~"] {
            assert!(is_scope_name(name), "{name}");
        }
        for name in ["", "a b", "a\"b", "a\\b", "é", "a\n", "\u{7f}"] {
            assert!(!is_scope_name(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_granted_was_asked_for_and_allowed(asked in "(b\\.read|b\\.write|s\\.read|x|apps:read| ){0,9}") {
            let world = world();
            let target = TokenTarget { scope: Some(&asked), resources: Vec::new() };
            if let Ok(granted) = Authorization::narrow(&world.client, &target, &world.management) {
                for scope in &granted.scopes {
                    prop_assert!(asked.split(' ').any(|name| *name == **scope));
                    prop_assert!(world.client.granted.iter().any(|allowed| allowed.name == *scope));
                }
            }
        }
    }
}
