//! The admin listener: for the machinery around the server, not for clients.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::answer::private_json;
use super::error::{method_not_allowed, not_found};
use super::site::Site;

pub(super) fn routes(config: &mut ServiceConfig) {
    let get_only = |request: HttpRequest| method_not_allowed(request, "GET, HEAD");
    let get = |path, handler| web::resource(path).route(handler).default_service(web::to(get_only));
    config
        .service(get("/livez", web::get().to(livez)))
        .service(get("/readyz", web::get().to(readyz)))
        .service(get("/metrics", web::get().to(metrics)))
        .default_service(web::to(not_found));
}

/// The process answers.
async fn livez() -> HttpResponse {
    private_json(StatusCode::OK, &json!({ "status": "live" }))
}

/// Clients may be sent here: not while stopping, not without having heard from the database lately.
async fn readyz(site: Data<Site>) -> HttpResponse {
    let reason = if site.is_draining() {
        Some("stopping")
    } else if site.authority.directory.is_stale() {
        Some("the database does not answer")
    } else {
        None
    };
    match reason {
        None => private_json(StatusCode::OK, &json!({ "status": "ready" })),
        Some(reason) => {
            private_json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "reason": reason }))
        }
    }
}

async fn metrics(site: Data<Site>) -> HttpResponse {
    match site.metrics.text(&site) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => {
            log::error!(error:%; "the metrics could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
