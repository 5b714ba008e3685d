//! `scope` and `resource`: what is granted was asked for and allowed, and never nothing in silence.
#![no_main]

use std::sync::{Arc, LazyLock};

use brevet::clock::Timestamp;
use brevet::oauth::client::{ClientAuthentication, GrantedScope, Organisation};
use brevet::oauth::networks::Networks;
use brevet::oauth::request::TokenTarget;
use brevet::oauth::scope::Authorization;
use brevet::oauth::{Api, Client, ClientId, SigningAlgorithm, TokenProfile};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

fn api(organisation_id: Option<Uuid>, identifier: &str, scopes: &[&str]) -> Arc<Api> {
    Arc::new(Api {
        id: Uuid::new_v4(),
        organisation_id,
        identifier: identifier.into(),
        profile: TokenProfile::Rfc9068,
        algorithm: SigningAlgorithm::Rs256,
        lifetime: None,
        scopes: scopes.iter().map(|name| Arc::from(*name)).collect(),
    })
}

static WORLD: LazyLock<(Client, Arc<Api>)> = LazyLock::new(|| {
    let organisation =
        Organisation { id: Uuid::new_v4(), slug: "acme".into(), enabled: true, not_before: Timestamp::NEVER };
    let apis = [api(Some(organisation.id), "https://a", &["a", "b"]), api(Some(organisation.id), "urn:b", &["c"])];
    let granted = apis.iter().flat_map(|api| api.scopes.iter().map(|name| (api.clone(), name.clone())));
    let client = Client {
        client_id: ClientId::generate(),
        name: "robot".into(),
        organisation: Arc::new(organisation),
        enabled: true,
        not_before: Timestamp::NEVER,
        lifetime: None,
        granted: granted.map(|(api, name)| GrantedScope { api, name }).collect(),
        authentication: ClientAuthentication::ClientSecret,
        dpop_required: false,
        allowed_networks: Networks::default(),
        token_exchange: false,
        secrets: [].into(),
        claims: None,
    };
    (client, api(None, "https://id.example/api/v1", &["apps:read"]))
});

fuzz_target!(|input: (Option<&str>, Vec<&str>)| {
    let (scope, resources) = input;
    let (client, management) = &*WORLD;
    let target = TokenTarget { scope, resources: resources.clone() };
    let Ok(granted) = Authorization::narrow(client, &target, management) else { return };
    assert!(!granted.apis.is_empty());
    for name in &granted.scopes {
        assert!(client.granted.iter().any(|allowed| allowed.name == *name));
        let asked = |scope: &str| scope.split(' ').any(|one| *one == **name || one.ends_with("/.default"));
        assert!(scope.is_none_or(asked));
    }
    for api in &granted.apis {
        assert!(resources.is_empty() || resources.contains(&&*api.identifier));
    }
});
