//! Every route on one page.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, HttpRequest, Resource, Responder};

use super::connect::{authorize, introspect, revocation, revocation_feed, token, verify};
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
        .service(for_methods(
            &[Method::GET, Method::HEAD, Method::POST],
            "GET, HEAD, POST",
            path::VERIFY,
            verify::verify,
        ))
        .service(post(path::INTROSPECTION, introspect::introspect))
        .service(post(path::REVOCATION, revocation::revoke))
        .service(get(path::REVOCATIONS, revocation_feed::revocations))
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
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for_methods(&[Method::GET, Method::HEAD], "GET, HEAD", path, handler)
}

/// A route for POST; other methods are told so.
fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for_methods(&[Method::POST], "POST", path, handler)
}

/// A route for some methods, which `allowed` lists; other methods are told so.
fn for_methods<F, Args>(methods: &[Method], allowed: &'static str, path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let resource = methods.iter().fold(web::resource(path), move |resource, method| {
        resource.route(web::method(method.clone()).to(handler.clone()))
    });
    resource.default_service(web::to(move |request: HttpRequest| async move { method_not_allowed(&request, allowed) }))
}
