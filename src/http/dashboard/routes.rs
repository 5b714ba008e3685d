//! Every page and form of the dashboard.

use actix_web::web::ServiceConfig;

use super::{
    account, admin, apis, apps, audit, home, inspect, invitations, issuers, organisations, people, quick_start, resets,
    resume, setup, sign_in, sign_up, start, team, try_it, usage,
};
use crate::http::methods::{get, get_and_post, post};
use crate::oauth::metadata::path;

/// Adds the pages.
pub(in crate::http) fn routes(config: &mut ServiceConfig) {
    config.service(get("/", home::home)).service(get(path::ERRORS, home::errors));
    accounts(config);
    own_account(config);
    apps::routes(config);
    apis::routes(config);
    issuers::routes(config);
    trying(config);
    pictures(config);
    people_and_organisations(config);
    administration(config);
}

/// How somebody gets an account, into it, and back into it.
fn accounts(config: &mut ServiceConfig) {
    config
        .service(get_and_post("/setup/{token}", setup::show, setup::complete))
        .service(get_and_post("/signup", sign_up::show, sign_up::sign_up))
        .service(get("/signup/done", sign_up::done))
        .service(get_and_post("/verify/{token}", sign_up::show_proof, sign_up::prove))
        .service(get("/invite", invitations::come_back))
        .service(get_and_post("/invite/{token}", invitations::show, invitations::accept))
        .service(get_and_post("/login", sign_in::show, sign_in::sign_in))
        .service(get_and_post("/login/2fa", sign_in::second_factor::show, sign_in::second_factor::submit))
        .service(get("/login/with/{name}", sign_in::provider::begin))
        .service(get("/login/with/{name}/callback", sign_in::provider::come_back))
        .service(get("/resume/{id}", resume::show))
        .service(post("/logout", sign_in::sign_out))
        .service(get_and_post("/reset", resets::ask, resets::send))
        .service(get("/reset/sent", resets::sent))
        .service(get_and_post("/reset/{token}", resets::show, resets::complete));
}

/// What somebody does to the own account.
fn own_account(config: &mut ServiceConfig) {
    config
        .service(get("/account", account::show))
        .service(post("/account/profile", account::rename))
        .service(post("/account/password", account::change_password))
        .service(post("/login/passkey/begin", sign_in::passkey::begin))
        .service(post("/login/passkey", sign_in::passkey::sign_in))
        .service(get("/account/passkeys", account::passkeys::show))
        .service(post("/account/passkeys/start", account::passkeys::start))
        .service(post("/account/passkeys/begin", account::passkeys::begin))
        .service(post("/account/passkeys/add", account::passkeys::add))
        .service(post("/account/passkeys/{id}/remove", account::passkeys::remove))
        .service(get_and_post("/account/2fa", account::second_factor::show, account::second_factor::confirm))
        .service(post("/account/2fa/begin", account::second_factor::begin))
        .service(post("/account/2fa/remove", account::second_factor::remove))
        .service(post("/account/recovery-codes", account::second_factor::renew_recovery_codes))
        .service(post("/account/connections/{name}", account::connections::connect))
        .service(post("/account/connections/{name}/remove", account::connections::disconnect))
        .service(post("/account/sessions/end-others", account::end_other_sessions))
        .service(post("/account/sessions/{id}/end", account::end_session));
}

/// First steps with an app, and tokens under the glass.
fn trying(config: &mut ServiceConfig) {
    config
        .service(get("/apps/{client_id}/start", quick_start::start))
        .service(get_and_post("/try", try_it::show, try_it::send))
        .service(post("/try/call", try_it::call))
        .service(get_and_post("/inspect", inspect::show, inspect::look));
}

/// What happened and how much.
fn pictures(config: &mut ServiceConfig) {
    config
        .service(post("/checklist/checks", start::mark_checks))
        .service(get("/apps/{client_id}/usage", usage::show))
        .service(get("/apps/{client_id}/usage.csv", usage::export))
        .service(get("/audit", audit::list))
        .service(get("/audit/export.{format}", audit::export))
        .service(get("/audit/{id}", audit::show));
}

/// Who belongs where.
fn people_and_organisations(config: &mut ServiceConfig) {
    config
        .service(get("/team", team::show))
        .service(post("/team/invitations", team::invite))
        .service(post("/team/invitations/{id}/revoke", team::revoke))
        .service(post("/team/members/{id}/role", team::change_role))
        .service(post("/team/members/{id}/login", team::change_login))
        .service(post("/team/members/{id}/remove", team::remove))
        .service(post("/team/leave", team::leave))
        .service(post("/team/name", team::rename))
        .service(get_and_post("/organisations/new", organisations::show, organisations::found))
        .service(post("/organisations/switch", organisations::switch));
}

/// For those who run the server.
fn administration(config: &mut ServiceConfig) {
    config
        .service(get("/admin/users", people::show))
        .service(get("/admin/users/{id}", people::show_one))
        .service(post("/admin/users/{id}/disable", people::disable))
        .service(post("/admin/users/{id}/enable", people::enable))
        .service(post("/admin/users/{id}/make-operator", people::make_operator))
        .service(post("/admin/users/{id}/unmake-operator", people::unmake_operator))
        .service(post("/admin/users/{id}/reset-2fa", people::reset_second_factors))
        .service(post("/admin/users/{id}/reset-link", people::make_reset_link))
        .service(get("/admin/organisations", people::organisations))
        .service(post("/admin/organisations/{slug}/disable", people::disable_organisation))
        .service(post("/admin/organisations/{slug}/enable", people::enable_organisation))
        .service(get("/admin/keys", admin::keys::list))
        .service(post("/admin/keys/generate", admin::keys::generate))
        .service(post("/admin/keys/rotate", admin::keys::rotate))
        .service(get_and_post("/admin/keys/{kid}/revoke", admin::keys::show_revocation, admin::keys::revoke))
        .service(get("/admin/system", admin::system::show));
}
