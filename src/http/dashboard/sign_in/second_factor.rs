//! `/login/2fa`: the code after the password, and the first set-up where the server demands one.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use serde::Serialize;
use url::form_urlencoded;

use super::{throttled, waiting};
use crate::http::dashboard::account::second_factor::{AuthenticatorView, RecoveryCodesView};
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::resume::local_path;
use crate::http::dashboard::scene::Scene;
use crate::http::site::Site;
use crate::service::sessions::SignedIn;
use crate::service::{ServiceError, second_factor, sign_in};

const PATH: &str = "/login/2fa";
const WRONG: &str = "That code is not right, or it was used before. Wait for the next one and try again.";

/// Asks for the code.
#[derive(Debug, Serialize)]
pub(in crate::http::dashboard) struct SecondFactorView {
    return_to: String,
    faults: Faults,
}

impl SecondFactorView {
    fn new(return_to: &str) -> Self {
        Self { return_to: return_to.to_owned(), faults: Faults::default() }
    }
}

impl View for SecondFactorView {
    const TEMPLATE: &'static str = "dashboard/second-factor";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Enter your code".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// Where the code is asked for, and where to go after it.
pub(in crate::http::dashboard) fn path(return_to: &str) -> String {
    if return_to == "/" {
        return PATH.to_owned();
    }
    let back: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
    format!("{PATH}?return_to={back}")
}

/// Who has shown a password and must show more; everybody else is sent away.
fn waiting_person(scene: &Scene, return_to: &str) -> Result<SignedIn, PageError> {
    match scene.waiting() {
        Some(waiting) => Ok(waiting.clone()),
        None if scene.signed_in().is_some() => Err(PageError::of(scene.redirect(return_to))),
        None => Err(PageError::of(scene.redirect("/login"))),
    }
}

/// The form: for the code, or for the first set-up.
pub(in crate::http::dashboard) async fn show(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    let return_to = scene.query("return_to");
    let return_to = return_to.as_deref().and_then(local_path).unwrap_or("/").to_owned();
    let person = waiting_person(&scene, &return_to)?;
    if person.person.totp_confirmed_at.is_some() {
        return scene.page(&SecondFactorView::new(&return_to));
    }
    let view = set_up_view(&scene, &person, &return_to, Faults::default()).await?;
    scene.page(&view)
}

/// What is shown to somebody who must set up a second factor before anything else.
async fn set_up_view(
    scene: &Scene,
    person: &SignedIn,
    return_to: &str,
    faults: Faults,
) -> Result<AuthenticatorView, PageError> {
    let authority = &scene.site().authority;
    let session = person.session.clone();
    let found = authority.look(authority.management.clone(), move |m| second_factor::enrolment(m, &session)).await;
    let enrolment = match found {
        Ok(enrolment) => Some(enrolment),
        Err(ServiceError::NotFound(_)) => None,
        Err(error) => return Err(PageError::service(scene, &error)),
    };
    Ok(AuthenticatorView::demanded(enrolment.as_ref(), return_to, faults))
}

/// Takes the code.
pub(in crate::http::dashboard) async fn submit(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    let person = waiting_person(&scene, "/")?;
    let form = scene.form(payload, &[]).await?;
    let return_to = local_path(form.text("return-to")).unwrap_or("/");
    let authority = &site.authority;
    if person.person.totp_confirmed_at.is_none() {
        return set_up(&scene, &person, return_to, form.has("begin"), form.secret("code")).await;
    }
    let refused = |faults: Faults| SecondFactorView { faults, ..SecondFactorView::new(return_to) };
    match sign_in::show_code(authority, scene.caller(), scene.browser(), &person, form.secret("code")).await {
        Ok(Some(session)) => {
            scene.show_session(session);
            Ok(scene.redirect(return_to))
        }
        Ok(None) => scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &refused(Faults::one("code", WRONG))),
        Err(ServiceError::Throttled(wait)) => {
            let text = format!("There were too many wrong codes. Wait {} and try again.", waiting(wait));
            throttled(&scene, wait, &refused(Faults::one("code", text)))
        }
        Err(ServiceError::NotFound(_)) => Ok(scene.redirect("/login")),
        Err(error) => Err(PageError::service(&scene, &error)),
    }
}

/// The first set-up: `begin` makes the secret, a code of it opens the session.
async fn set_up(
    scene: &Scene,
    person: &SignedIn,
    return_to: &str,
    begin: bool,
    code: crate::secret::Secret,
) -> PageResult {
    let authority = &scene.site().authority;
    let failed = |error: ServiceError| PageError::service(scene, &error);
    if begin {
        let (m, session) = (authority.management.clone(), person.session.clone());
        authority.change(m, move |m| second_factor::begin(m, &session)).await.map_err(failed)?;
        return Ok(scene.redirect(&path(return_to)));
    }
    match sign_in::enrol(authority, scene.caller(), scene.browser(), person, code).await {
        Ok(Some(enrolled)) => {
            scene.show_session(enrolled.session);
            scene.page(&RecoveryCodesView::new(&enrolled.recovery_codes, return_to))
        }
        // What was begun elsewhere or long ago is begun anew.
        Err(ServiceError::NotFound(_)) => Ok(scene.redirect(&path(return_to))),
        Err(error) => Err(failed(error)),
        Ok(None) => {
            let view = set_up_view(scene, person, return_to, Faults::one("code", WRONG)).await?;
            scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

#[cfg(test)]
pub(in crate::http::dashboard) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let refused = SecondFactorView { faults: Faults::one("code", WRONG), ..SecondFactorView::new("/apps") };
        vec![sample(SecondFactorView::new("/")), sample(refused)]
    }
}
