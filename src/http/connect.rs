//! The endpoints of the protocol.

pub(super) mod authorize;
pub(super) mod token;
pub(super) mod verify;
