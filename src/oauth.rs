//! The rules: pure values in the words of the RFCs, no I/O.

pub mod api;
pub mod assertion;
pub mod bearer;
pub mod claims;
pub mod client;
pub mod dpop;
pub mod error;
pub mod form;
pub mod header;
#[cfg(feature = "server")]
pub mod id_token;
pub mod introspection;
pub mod json;
pub mod metadata;
#[cfg(feature = "server")]
pub mod networks;
pub mod registration;
pub mod request;
pub mod scope;
#[cfg(feature = "server")]
pub mod trust;

pub use self::api::{Api, SigningAlgorithm, StatementType, TokenProfile};
pub use self::client::{Client, ClientId};
pub use self::error::{OAuthError, OAuthErrorCode, ThirdParty};
