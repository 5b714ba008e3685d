//! Every route on one page, but those for people, which stand in `dashboard::routes`.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::connect::{authorize, introspect, register, revocation, revocation_feed, ticket, token, verify};
use super::error::not_found;
use super::methods::{for_methods, get, only, post, reading};
use super::{api, dashboard, pages, well_known};
use crate::oauth::metadata::path;

/// Adds the public routes, under `/` and, for an issuer with a path, under that path too, so that it does not matter
/// whether a proxy in front takes the path away.
pub fn routes(issuer_path: &str, ticket_path_prefix: &str) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let (issuer_path, tickets) = (issuer_path.to_owned(), tickets(ticket_path_prefix));
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
            config.service(get(&issuer_path, pages::to_home));
            config.service(web::scope(&issuer_path).configure(under_issuer).configure(tickets.clone()));
        }
        config.configure(under_issuer).configure(tickets.clone()).default_service(web::to(not_found));
    }
}

/// Where old clients ask for tickets: under the path that the product had which they were written for.
fn tickets(prefix: &str) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let prefix = prefix.to_owned();
    move |config| {
        for path in path::TICKET.iter().filter(|_| !prefix.is_empty()) {
            config.service(post(&format!("{prefix}{path}"), ticket::ticket));
        }
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
        .service(post(path::REGISTRATION, register::register))
        .service(for_methods(
            &[Method::GET, Method::PUT, Method::DELETE],
            "GET, PUT, DELETE",
            &format!("{}/{{client_id}}", path::REGISTRATION),
            register::configure,
        ))
        .configure(|config| {
            for path in path::TICKET {
                config.service(post(path, ticket::ticket));
            }
        })
        .service(get(path::REVOCATIONS, revocation_feed::revocations))
        .service(get(path::AUTHORIZE, authorize::authorize))
        .service(get(path::OPENID_CONFIGURATION, well_known::openid_configuration))
        .service(get(path::AUTHORIZATION_SERVER, well_known::authorization_server))
        .service(get(path::PROTECTED_RESOURCE, well_known::protected_resource))
        .service(get(&format!("{}{}", path::PROTECTED_RESOURCE, path::API), well_known::protected_resource))
        .service(get(path::JWKS, well_known::jwks))
        .service(get(path::JWKS_ALIAS, well_known::jwks))
        .configure(resource_routes)
        .service(get("/static/{name}", pages::asset))
        .configure(dashboard::routes::routes);
}

fn resource_routes(config: &mut ServiceConfig) {
    use api::{apis, app_keys, app_tokens, apps, issuers, records};
    let under = |path: &str| web::resource(format!("{}{path}", path::API));
    config
        .service(get(path::OPENAPI, api::openapi::openapi))
        .service(get(&format!("{}/whoami", path::API), api::whoami::whoami))
        .service(reading(under("/apps"), apps::list_apps, "GET, HEAD, POST").route(web::post().to(apps::create_app)))
        .service(
            reading(under("/apps/{client_id}"), apps::show_app, "GET, HEAD, PATCH, DELETE")
                .route(web::patch().to(apps::change_app))
                .route(web::delete().to(apps::delete_app)),
        )
        .service(post(&format!("{}/apps/{{client_id}}/revoke-tokens", path::API), app_tokens::revoke_tokens))
        .service(
            reading(under("/apps/{client_id}/keys"), app_keys::list_keys, "GET, HEAD, POST")
                .route(web::post().to(app_keys::add_key)),
        )
        .service(post(&format!("{}/apps/{{client_id}}/keys/rotate", path::API), app_keys::rotate_key))
        .service(only(under("/apps/{client_id}/keys/{key_id}"), "DELETE").route(web::delete().to(app_keys::revoke_key)))
        .service(reading(under("/apis"), apis::list_apis, "GET, HEAD, POST").route(web::post().to(apis::create_api)))
        .service(
            reading(under("/apis/{id}"), apis::show_api, "GET, HEAD, PATCH, DELETE")
                .route(web::patch().to(apis::change_api))
                .route(web::delete().to(apis::delete_api)),
        )
        .service(only(under("/apis/{id}/scopes"), "POST").route(web::post().to(apis::add_scope)))
        .service(
            only(under("/apis/{id}/scopes/{name}"), "PATCH, DELETE")
                .route(web::patch().to(apis::change_scope))
                .route(web::delete().to(apis::remove_scope)),
        )
        .service(
            reading(under("/issuers"), issuers::list_issuers, "GET, HEAD, POST")
                .route(web::post().to(issuers::create_issuer)),
        )
        .service(
            reading(under("/issuers/{id}"), issuers::show_issuer, "GET, HEAD, PATCH, DELETE")
                .route(web::patch().to(issuers::change_issuer))
                .route(web::delete().to(issuers::delete_issuer)),
        )
        .service(post(&format!("{}/issuers/{{id}}/test", path::API), issuers::test_issuer))
        .service(reading(under("/keys"), records::list_signing_keys, "GET, HEAD"))
        .service(reading(under("/audit"), records::list_deeds, "GET, HEAD"))
        .service(reading(under("/usage"), records::list_usage, "GET, HEAD"));
}
