//! The doors: the only folder that names `actix_web` and `handlebars`.

mod admin;
mod answer;
mod api;
mod bearer;
mod body;
mod caller;
mod connect;
mod csv;
mod dashboard;
mod dpop;
mod error;
mod guard;
mod methods;
mod metrics;
mod observe;
mod pages;
mod pictures;
mod problem;
mod routes;
mod server;
mod site;
pub mod snippets;
mod stream;
mod ticket_cookie;
mod well_known;

pub use self::api::openapi::document as openapi_document;
pub use self::routes::routes;
pub use self::server::{Listeners, Running, StartError, bind, start, start_on};
pub use self::site::Site;
