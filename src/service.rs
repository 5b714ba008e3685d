//! The walks: one use case per function. Nothing here knows how it was called.
//!
//! Two structs hold what the walks need: [`Authority`] for the token road and the guard, [`Management`] for everything
//! that changes the memory.

pub mod access;
pub mod accounts;
pub mod actors;
pub mod apis;
pub mod app_authentication;
pub mod app_keys;
pub mod apps;
mod attempts;
pub mod audit;
mod authority;
pub mod client_auth;
pub mod cut_offs;
mod deed;
pub mod demo;
pub mod doctor;
mod dpop;
mod email;
mod error;
mod exports;
mod foreign_jwt;
mod grants;
pub mod housekeeping;
pub mod import;
pub mod inspection;
pub mod introspection;
pub mod kept_forms;
pub mod links;
pub mod mail;
mod management;
pub mod organisations;
pub mod paging;
pub mod passkeys;
pub mod password_roads;
pub mod passwords;
pub mod people;
pub mod registration;
pub mod registration_tokens;
pub mod resets;
pub mod revocation;
pub mod revocation_feed;
pub mod second_factor;
pub mod sessions;
pub mod setup;
pub mod sign_in;
pub mod sign_in_elsewhere;
pub mod sign_up;
pub mod signing_keys;
mod slow_hashes;
pub mod start;
pub mod system;
mod system_authorities;
pub mod team;
mod throttle;
pub mod ticket;
pub mod token;
mod token_detail;
pub mod trust_counts;
pub mod trusted_issuers;
pub mod usage;

pub use self::authority::{Authority, Caller, open_directory};
pub use self::deed::{Condition, Version};
pub use self::error::ServiceError;
pub use self::management::{Management, connect, refuse_missing, shown_location};
