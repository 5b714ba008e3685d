//! All integration tests in one program: one link, and one place for what they share.

#![allow(missing_docs, unreachable_pub, dead_code, unused_imports, reason = "a test program has no readers of its API")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail"
)]

mod support;

mod access_token;
mod account;
mod account_protection;
mod admin_pages;
mod allowed_networks;
mod app_owners;
mod audit_pages;
mod browser;
mod cli;
mod client_assertion;
mod client_authentication;
mod client_jwks_uri;
mod clients;
mod dashboard;
mod dashboard_apis;
mod dashboard_apps;
mod dashboard_routes;
mod database_story;
mod discovery;
mod doctor;
mod documentation;
mod dpop;
mod error_answers;
mod examples;
mod faults;
mod forward_auth;
mod guard;
mod inspector;
mod introspection;
mod issuer_pages;
mod key_life;
mod large_lists;
mod layers;
mod mail;
mod management_api;
mod nodes;
mod offline_guard;
#[cfg(feature = "passkeys")]
mod passkeys;
mod password_roads;
mod properties;
mod registration;
mod revocation;
mod same_answers;
mod secrecy;
mod serve;
mod setup;
mod sign_in;
mod sign_in_provider;
mod sign_up;
mod snippets;
mod team;
mod third_party_keys;
mod third_party_log;
mod third_party_table;
mod ticket_cookie;
mod token_exchange;
mod token_request;
mod trusted_certificates;
mod trusted_issuer_fairness;
mod trusted_issuer_trial;
mod trusted_issuers;
mod usage_pages;
