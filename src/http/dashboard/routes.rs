//! Every page and form of the dashboard.

use actix_web::web::ServiceConfig;

use super::{account, apis, apps, home, inspect, sign_in};
use crate::http::methods::{get, get_and_post, post};
use crate::oauth::metadata::path;

/// Adds the pages.
pub(in crate::http) fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/", home::home))
        .service(get(path::ERRORS, home::errors))
        .service(get_and_post("/login", sign_in::show, sign_in::sign_in))
        .service(post("/logout", sign_in::sign_out))
        .service(get_and_post("/login/2fa", sign_in::second_factor::show, sign_in::second_factor::submit))
        .service(get("/account", account::show))
        .service(post("/account/profile", account::rename))
        .service(post("/account/password", account::change_password))
        .service(get_and_post("/account/2fa", account::second_factor::show, account::second_factor::confirm))
        .service(post("/account/2fa/begin", account::second_factor::begin))
        .service(post("/account/2fa/remove", account::second_factor::remove))
        .service(post("/account/recovery-codes", account::second_factor::renew_recovery_codes))
        .service(post("/account/sessions/end-others", account::end_other_sessions))
        .service(post("/account/sessions/{id}/end", account::end_session))
        .configure(apps::routes)
        .service(get_and_post("/inspect", inspect::show, inspect::look))
        .service(get("/apis", apis::list))
        .service(get_and_post("/apis/new", apis::show_new, apis::create))
        .service(get("/apis/{id}", apis::show))
        .service(get_and_post("/apis/{id}/edit", apis::show_edit, apis::edit))
        .service(get_and_post("/apis/{id}/delete", apis::show_delete, apis::delete))
        .service(post("/apis/{id}/scopes", apis::add))
        .service(get_and_post("/apis/{id}/scopes/edit", apis::show_scope, apis::change))
        .service(post("/apis/{id}/scopes/remove", apis::remove))
        .service(get("/apis/{id}/verify", apis::verify));
}
