//! Every page and form of apps.

use actix_web::web::ServiceConfig;

use super::{activity, danger, key_forms, keys, list, new, overview, scopes, settings, transfer};
use crate::http::methods::{get, get_and_post, post};

/// Adds the pages.
pub(in crate::http::dashboard) fn routes(config: &mut ServiceConfig) {
    config
        .service(get_and_post("/apps", list::list, new::create))
        .service(get("/apps/new", new::show))
        .service(get("/apps/{sid}", overview::show))
        .service(get_and_post("/apps/{sid}/keys", keys::show, key_forms::add))
        .service(post("/apps/{sid}/keys/rotate", key_forms::rotate))
        .service(get_and_post("/apps/{sid}/keys/{key}/revoke", key_forms::ask_to_revoke, key_forms::revoke))
        .service(get_and_post("/apps/{sid}/scopes", scopes::show, scopes::change))
        .service(get("/apps/{sid}/activity", activity::show))
        .service(get_and_post("/apps/{sid}/settings", settings::show, settings::change))
        .service(post("/apps/{sid}/transfer", transfer::transfer))
        .service(post("/apps/{sid}/authentication", settings::change_authentication))
        .service(get_and_post("/apps/{sid}/disable", danger::ask_to_disable, danger::disable))
        .service(post("/apps/{sid}/enable", danger::enable))
        .service(get_and_post("/apps/{sid}/revoke-tokens", danger::ask_to_revoke_tokens, danger::revoke_tokens))
        .service(get_and_post("/apps/{sid}/delete", danger::ask_to_delete, danger::delete));
}
