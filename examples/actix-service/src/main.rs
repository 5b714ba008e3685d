//! A service behind Brevet: it verifies tokens offline, and asks nobody per request.
//!
//! Settings: `ISSUER` (as in Brevet's discovery document), `AUDIENCE` (the identifier of this service's API in Brevet),
//! `LISTEN`, and `URL` (by which clients call it) if it shall take tokens that are bound to a key.

use std::env;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, Responder, get, post};
use brevet::guard::{AccessToken, Guard, Refusal};

/// Runs only with a good token; what it may do is asked here.
#[get("/invoices")]
async fn invoices(token: AccessToken) -> Result<impl Responder, Refusal> {
    token.require_scope("billing:read")?;
    Ok(format!("The invoices of {}.\n", token.tenant()))
}

#[post("/invoices")]
async fn create_invoice(token: AccessToken) -> Result<impl Responder, Refusal> {
    token.require_scope("billing:write")?;
    Ok((format!("An invoice by {}.\n", token.client_id()), StatusCode::CREATED))
}

/// For whoever watches over this service: whether the guard can judge tokens, and since when it has heard nothing.
#[get("/ready")]
async fn ready(guard: Data<Guard>) -> impl Responder {
    let status = guard.status();
    let code = if status.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(code).body(format!("{status:#?}\n"))
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_not_set| default.to_owned())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = setting("ISSUER", "http://127.0.0.1:8080");
    let mut builder = Guard::builder(&issuer).audience(setting("AUDIENCE", "https://billing.example"));
    if let Ok(url) = env::var("URL") {
        builder = builder.url(url);
    }
    // One guard for all workers. It begins to fetch keys and revocations here; Brevet need not run yet.
    let guard = Data::new(builder.build()?);
    let server = HttpServer::new(move || {
        App::new().app_data(guard.clone()).service(invoices).service(create_invoice).service(ready)
    });
    let server = server.bind(setting("LISTEN", "127.0.0.1:8081"))?;
    for address in server.addrs() {
        println!("listening on http://{address}, for tokens of {issuer}");
    }
    server.run().await?;
    Ok(())
}
