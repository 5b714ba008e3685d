//! `urn:ietf:params:oauth:grant-type:jwt-bearer`
//! ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)): a token for whom a trusted issuer says that it is
//! for.

use crate::oauth::trust::{RefusedJwt, Way};
use crate::oauth::{OAuthError, OAuthErrorCode};
use crate::service::foreign_jwt::{self, Narrowing, VerifiedForeignJwt};
use crate::service::{Authority, Caller};

/// Whom the assertion stands for.
pub(in crate::service) async fn authorize(
    authority: &Authority,
    caller: &Caller,
    assertion: &str,
    narrowing: Narrowing<'_>,
) -> Result<VerifiedForeignJwt, OAuthError> {
    let unverified = foreign_jwt::parse(authority, assertion, Way::Grant).map_err(|error| refused(error.into()))?;
    foreign_jwt::verify(authority, unverified, Way::Grant, narrowing, caller.now).await.map_err(refused)
}

fn refused(jwt: RefusedJwt) -> OAuthError {
    jwt.into_error(|error| {
        OAuthError::new(OAuthErrorCode::InvalidGrant, error.public())
            .with_detail(format!("the assertion is refused: {error}"))
    })
}
