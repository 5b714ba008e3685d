//! One file a grant: from what was asked to what is authorised.

pub(super) mod client_credentials;
pub(super) mod jwt_bearer;
pub(super) mod token_exchange;
