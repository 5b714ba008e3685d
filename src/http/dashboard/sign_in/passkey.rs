//! `/login/passkey`: signing in with a passkey. The page's script asks here what to ask the browser, and sends the answer as a
//! form like any other.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::SignInView;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::{Form, PASSKEY, PASSKEY_STATE};
use crate::http::dashboard::resume::local_path;
use crate::http::dashboard::scene::Scene;
use crate::http::site::Site;
use crate::service::passkeys::{self, Answer, Ceremony};

const WRONG: &str = "That passkey is not known here, or it took too long. Try again, or sign in with your password.";

/// What a form says that the page's script filled in.
pub(in crate::http::dashboard) fn answer(scene: &Scene, form: &Form) -> Answer {
    Answer {
        binding: scene.binding(),
        state: form.text(PASSKEY_STATE).to_owned(),
        answer: form.text(PASSKEY).to_owned(),
    }
}

/// The first half of a ceremony, for the page's script.
pub(in crate::http::dashboard) fn ceremony(scene: &Scene, ceremony: &Ceremony) -> HttpResponse {
    scene.start(StatusCode::OK).json(ceremony)
}

/// What to ask the browser: the same for everybody.
pub(in crate::http::dashboard) async fn begin(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    scene.form(payload, &[]).await?;
    let begun = passkeys::begin_authentication(&site.authority, &scene.binding());
    Ok(ceremony(&scene, &begun.map_err(|error| PageError::service(&scene, &error))?))
}

/// Signs in: a session of its own.
pub(in crate::http::dashboard) async fn sign_in(
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let return_to = local_path(form.text("return-to")).unwrap_or("/");
    let answer = answer(&scene, &form);
    let shown = passkeys::sign_in(&site.authority, scene.caller(), scene.browser(), &answer).await;
    match shown.map_err(|error| PageError::service(&scene, &error))? {
        Some(session) => {
            scene.show_session(session);
            Ok(scene.redirect(return_to))
        }
        None => {
            let view = SignInView { faults: Faults::one("", WRONG), ..SignInView::new(return_to) };
            scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view.open_to(&site.authority))
        }
    }
}
