//! The memory: the only folder that names `diesel`. One file per table or pair; every query returns an answer or a
//! [`DbError`].

pub mod actors;
pub mod apis;
pub mod app_keys;
pub mod apps;
pub mod audit;
pub mod changes;
mod conn;
pub mod credentials;
pub mod cut_offs;
pub mod developers;
mod error;
pub mod idempotency;
pub mod identities;
pub mod kept_forms;
pub mod links;
pub mod members;
pub mod meta;
mod migrations;
pub mod organisations;
pub mod passkeys;
pub mod recovery_codes;
pub mod registered_clients;
pub mod registration_tokens;
pub mod revocations;
mod schema;
pub mod sessions;
pub mod sign_in_networks;
pub mod signing_keys;
mod sqlite;
pub mod trusted_issuers;
pub mod usage;
pub mod used_jti;
mod writer;

pub use self::conn::{AnyConnection, Backend, Database};
pub use self::error::DbError;
pub use self::migrations::MigrationStatus;
