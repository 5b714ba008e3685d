//! The guard of the resource routes ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)): a handler that takes an
//! [`Access`] runs only for a token that is good and allowed.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::bearer::{Door, Refusal, demand_audience, demand_scopes, valid_token};
use super::dpop::Asked;
use super::error::ApiError;
use super::site::Site;
use crate::oauth::api::management_scope;
use crate::service::access::{Inquirer, ValidToken};

/// What a route demands of a token besides being good.
pub(super) trait Demand: 'static {
    /// The scope, and with it the management API as audience; `None` to accept any token of this server.
    const SCOPE: Option<&'static str>;
}

/// Any token of this server, whatever it is for.
pub(super) struct AnyToken;

impl Demand for AnyToken {
    const SCOPE: Option<&'static str> = None;
}

/// A token for the management API with a scope.
macro_rules! demands {
    ($($name:ident => $scope:ident,)*) => {
        $(
            #[doc = concat!("A token for the management API with the scope `", stringify!($scope), "`.")]
            pub(super) struct $name;

            impl Demand for $name {
                const SCOPE: Option<&'static str> = Some(management_scope::$scope);
            }
        )*
    };
}

demands! {
    AppsRead => APPS_READ,
    AppsWrite => APPS_WRITE,
    ApisRead => APIS_READ,
    ApisWrite => APIS_WRITE,
    KeysRead => KEYS_READ,
    AuditRead => AUDIT_READ,
    UsageRead => USAGE_READ,
    IssuersRead => ISSUERS_READ,
    IssuersWrite => ISSUERS_WRITE,
}

/// A token that is good and allowed.
pub(super) struct Access<D> {
    pub(super) valid: ValidToken,
    demand: PhantomData<D>,
}

impl<D: Demand> FromRequest for Access<D> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let valid = check(&request, D::SCOPE).await?;
            Ok(Self { valid, demand: PhantomData })
        })
    }
}

/// The scopes of the management API that a token has and its client still has.
pub(super) fn management_scopes(valid: &ValidToken) -> impl Iterator<Item = &str> {
    let granted = valid.client.granted.iter().filter(|granted| granted.api.is_management());
    granted.map(|granted| &*granted.name).filter(|name| valid.token.claims.scope.contains(name))
}

/// What every handler gets.
pub(super) fn site(request: &HttpRequest) -> Result<&Data<Site>, ApiError> {
    request.app_data::<Data<Site>>().ok_or_else(|| ApiError::internal(request, &"no site"))
}

async fn check(request: &HttpRequest, scope: Option<&'static str>) -> Result<ValidToken, ApiError> {
    let authority = &site(request)?.authority;
    let issuer = authority.issuer();
    let door = Door::Own { issuer };
    let refused = |refusal: Refusal| refusal.at(door, request);
    let valid = valid_token(authority, request, door, Inquirer::Anybody, || Ok(Asked::of_us(request, issuer)))
        .await
        .map_err(refused)?;
    if let Some(scope) = scope {
        demand_audience(&valid, &[&authority.directory.management_api().identifier]).map_err(refused)?;
        demand_scopes(&valid, &[scope]).map_err(refused)?;
        // Power over Brevet itself ends when it is taken away, not when the token expires: until then an app could give it
        // to itself again.
        if !management_scopes(&valid).any(|held| held == scope) {
            return Err(refused(Refusal::Scope(scope.to_owned())));
        }
    }
    Ok(valid)
}
