//! Every route on one page.

use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, HttpRequest, Resource, Responder};

use super::connect::{authorize, token};
use super::error::{method_not_allowed, not_found};
use super::{api, pages, well_known};
use crate::oauth::metadata::path;

/// Adds the public routes, under `/` and, for an issuer with a path, under that path too, so that it does not matter
/// whether a proxy in front takes the path away.
pub fn routes(issuer_path: &str) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let issuer_path = issuer_path.to_owned();
    move |config| {
        if !issuer_path.is_empty() {
            // RFC 8414 §3.1 and RFC 9728 §3.1 put the issuer's path behind the well-known one.
            let inserted = |well_known: &str| format!("{well_known}{issuer_path}");
            config
                .service(get(&inserted(path::OPENID_CONFIGURATION), well_known::openid_configuration))
                .service(get(&inserted(path::AUTHORIZATION_SERVER), well_known::authorization_server))
                .service(get(
                    &format!("{}{}", inserted(path::PROTECTED_RESOURCE), path::API),
                    well_known::protected_resource,
                ));
            config.service(web::scope(&issuer_path).configure(under_issuer));
        }
        config.configure(under_issuer).default_service(web::to(not_found));
    }
}

fn under_issuer(config: &mut ServiceConfig) {
    config
        .service(post(path::TOKEN, token::token))
        .service(get(path::AUTHORIZE, authorize::authorize))
        .service(get(path::OPENID_CONFIGURATION, well_known::openid_configuration))
        .service(get(path::AUTHORIZATION_SERVER, well_known::authorization_server))
        .service(get(path::PROTECTED_RESOURCE, well_known::protected_resource))
        .service(get(&format!("{}{}", path::PROTECTED_RESOURCE, path::API), well_known::protected_resource))
        .service(get(path::JWKS, well_known::jwks))
        .service(get(path::JWKS_ALIAS, well_known::jwks))
        .service(get(&format!("{}/whoami", path::API), api::whoami::whoami))
        .service(get(&format!("{}/apps", path::API), api::apps::list))
        .service(get(&format!("{}/apps/{{app_sid}}", path::API), api::apps::show))
        .service(get(path::ERRORS, pages::errors))
        .service(get("/static/{name}", pages::asset))
        .service(get("/", pages::home));
}

/// A route for GET and HEAD; other methods are told so.
fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(|request: HttpRequest| async move { method_not_allowed(&request, "GET, HEAD") }))
}

/// A route for POST; other methods are told so.
fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(handler))
        .default_service(web::to(|request: HttpRequest| async move { method_not_allowed(&request, "POST") }))
}
