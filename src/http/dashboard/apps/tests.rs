//! What the samples of these pages are made of.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::{Config, Settings, SourceValues};
use crate::db::apis::{ApiRecord, MANAGEMENT_API, ScopeRecord};
use crate::db::app_keys::AppKeyRecord;
use crate::db::apps::AppRecord;
use crate::db::developers::{Person, Role};
use crate::db::members::TeamMember;
use crate::http::dashboard::samples::Sample;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::networks::Networks;
use crate::oauth::{ClientId, SigningAlgorithm, TokenProfile};
use crate::service::apps::AppDetails;

const API: Uuid = Uuid::from_u128(0x0197_f0a0_0000_7000_8000_0000_0000_0001);

pub(super) fn moment() -> Timestamp {
    Timestamp::from_seconds(1_795_305_600)
}

pub(super) fn config() -> Config {
    Config::new(&Settings::resolve(&SourceValues::default()).unwrap()).unwrap()
}

fn scope(name: &str) -> ScopeRecord {
    ScopeRecord { name: name.to_owned(), description: format!("May <b>{name}</b>"), sensitive: name.ends_with("write") }
}

pub(super) fn api() -> ApiRecord {
    ApiRecord {
        id: API,
        organisation_id: Some(Uuid::nil()),
        name: "Billing".to_owned(),
        identifier: "https://billing.example".to_owned(),
        profile: TokenProfile::Rfc9068,
        algorithm: SigningAlgorithm::Rs256,
        lifetime: None,
        scopes: vec![scope("billing:read"), scope("billing:write")],
        created_at: moment(),
    }
}

pub(super) fn management_api() -> ApiRecord {
    ApiRecord {
        id: MANAGEMENT_API,
        organisation_id: None,
        name: "Brevet".to_owned(),
        scopes: vec![scope("apps:read"), scope("apps:write")],
        ..api()
    }
}

pub(in crate::http::dashboard) fn app() -> AppRecord {
    AppRecord {
        client_id: ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").unwrap(),
        organisation_id: Uuid::nil(),
        name: "Invoice <b>sync</b>".to_owned(),
        description: "Every night\nat \"two\"".to_owned(),
        lifetime: Some(Duration::from_secs(3_600)),
        claims: None,
        disabled_at: None,
        not_before: Timestamp::NEVER,
        created_at: moment(),
        last_used_at: Some(moment()),
        scopes: vec![(API, "billing:read".to_owned())],
        authentication: ClientAuthentication::ClientSecret,
        dpop_required: false,
        allowed_networks: Networks::read(["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
        owner_id: Some(Uuid::nil()),
        token_exchange: true,
    }
}

pub(super) fn member() -> TeamMember {
    let person = Person {
        id: Uuid::now_v7(),
        email: "bo@example.com".to_owned(),
        name: "Bo <b>".to_owned(),
        disabled_at: None,
        created_at: moment(),
        is_operator: false,
        email_verified_at: None,
        totp_confirmed_at: None,
    };
    TeamMember { person, role: Role::Developer, joined_at: moment(), login: None }
}

pub(super) fn key() -> AppKeyRecord {
    AppKeyRecord {
        id: Uuid::now_v7(),
        hint: "7Qd2".to_owned(),
        created_at: moment(),
        created_by: "cli:root".to_owned(),
        expires_at: None,
        revoked_at: None,
        last_used_at: Some(moment()),
        last_used_from: Some("10.0.0.7".to_owned()),
    }
}

/// An app with an old key that ends soon, one that works, and one that does not.
pub(super) fn details() -> AppDetails {
    let old = AppKeyRecord { expires_at: Some(moment() + Duration::from_secs(7_200)), ..key() };
    let dead = AppKeyRecord { revoked_at: Some(moment()), ..key() };
    AppDetails {
        app: app(),
        organisation: "acme".to_owned(),
        keys: vec![dead, old, AppKeyRecord { last_used_at: None, last_used_from: None, ..key() }],
        owner: Some("ana <b>".to_owned()),
        issued_24h: 1_204,
        refused_24h: 3,
        version: serde_json::from_str("\"v\"").unwrap(),
    }
}

pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    samples.extend(super::activity::tests::samples());
    samples.extend(super::danger::tests::samples());
    samples.extend(super::key_forms::tests::samples());
    samples.extend(super::keys::tests::samples());
    samples.extend(super::list::tests::samples());
    samples.extend(super::new::tests::samples());
    samples.extend(super::overview::tests::samples());
    samples.extend(super::scopes::tests::samples());
    samples.extend(super::settings::tests::samples());
    samples.extend(super::shown_once::tests::samples());
    samples
}
