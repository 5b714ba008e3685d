//! Brevet: an OAuth 2.0 client-credentials authorization server.
//!
//! # The map
//!
//! The modules are layers, and imports point down only:
//!
//! ```text
//! main → cli → http → service → directory → db ─┐
//!                       └──────→ keys ─────────┴→ oauth     config, clock, secret: leaf helpers
//!               guard ──────────↗
//! ```
//!
//! Other services use [`guard`], with the feature of that name alone: then there are `guard`, `keys`, `oauth`, `clock`
//! and `secret`, and nothing that needs a database.
//!
//! | module | what | errors |
//! |---|---|---|
//! | [`oauth`] | the rules: pure values in RFC words, no I/O | [`oauth::OAuthError`] for what a client is told |
//! | [`keys`] | signing keys, their life, verification, encryption at rest | [`keys::KeyError`], [`keys::verify::TokenError`] |
//! | [`db`] | the memory: SQLite or PostgreSQL | [`db::DbError`] |
//! | [`directory`] | the hot view: what a token request reads, from memory | [`db::DbError`] on a miss |
//! | [`service`] | the walks: one use case per function, no HTTP | [`oauth::OAuthError`] on the token road, [`service::ServiceError`] for management |
//! | [`http`] | the doors: routes, answers, limits | `http::error` turns every error into an answer, there and nowhere else |
//! | [`guard`] | for other services: verifies tokens offline | [`guard::Refusal`] |
//! | [`cli`] | the commands | [`cli::CliError`] with a sysexits code |

#[cfg(feature = "server")]
pub mod cli;
pub mod clock;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod db;
#[cfg(feature = "server")]
pub mod directory;
#[cfg(feature = "guard")]
pub mod guard;
#[cfg(feature = "server")]
pub mod http;
pub mod keys;
pub mod oauth;
pub mod secret;
#[cfg(feature = "server")]
pub mod service;
