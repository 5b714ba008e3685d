//! Every page and form of the dashboard.

use actix_web::web::ServiceConfig;

use super::{home, sign_in};
use crate::http::methods::{get, get_and_post, post};
use crate::oauth::metadata::path;

/// Adds the pages.
pub(in crate::http) fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/", home::home))
        .service(get(path::ERRORS, home::errors))
        .service(get_and_post("/login", sign_in::show, sign_in::sign_in))
        .service(post("/logout", sign_in::sign_out));
}
