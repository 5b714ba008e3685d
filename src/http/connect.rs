//! The endpoints of the protocol.

pub(super) mod authorize;
mod form;
pub(super) mod introspect;
pub(super) mod register;
pub(super) mod revocation;
pub(super) mod revocation_feed;
pub(super) mod ticket;
pub(super) mod token;
pub(super) mod verify;
