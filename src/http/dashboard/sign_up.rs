//! `/signup` and `/verify/{token}`: an account for somebody who comes by.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::dead_link::{link_refused, look_at};
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::form::Form;
use super::page::{Section, View};
use super::refusal::refusal;
use super::scene::Scene;
use super::sign_in::second_factor;
use crate::config::SignUpMode;
use crate::http::site::Site;
use crate::secret::Secret;
use crate::service::ServiceError;
use crate::service::links::{LinkPurpose, Turn};
use crate::service::password_roads::Road;
use crate::service::passwords::Surroundings;
use crate::service::sign_in::Admitted;
use crate::service::sign_up::{self, Proof};

/// The form.
#[derive(Debug, Default, Serialize)]
struct SignUpView {
    email: String,
    organisation: String,
    faults: Faults,
}

impl View for SignUpView {
    const TEMPLATE: &'static str = "dashboard/sign-up";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Sign up".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// For who may not sign up.
#[derive(Debug, Serialize)]
struct NoSignUpView {
    by_invitation: bool,
}

impl View for NoSignUpView {
    const TEMPLATE: &'static str = "dashboard/no-sign-up";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Sign-up is not open".to_owned()
    }
}

/// The same for every address.
#[derive(Debug, Serialize)]
struct SignedUpView {
    by_mail: bool,
}

impl View for SignedUpView {
    const TEMPLATE: &'static str = "dashboard/signed-up";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        if self.by_mail { "Look into your mail".to_owned() } else { "Now sign in".to_owned() }
    }
}

/// Proves an address.
#[derive(Debug, Serialize)]
struct VerifyView {
    email: String,
    /// Whether the password of the sign-up is asked for.
    is_sign_up: bool,
    faults: Faults,
}

impl View for VerifyView {
    const TEMPLATE: &'static str = "dashboard/verify";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Confirm your address".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The form, or why there is none.
pub(super) async fn show(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    if scene.signed_in().is_some() {
        return Ok(scene.redirect("/organisations/new"));
    }
    match not_open(&scene) {
        Some(view) => scene.page_with(StatusCode::FORBIDDEN, &view),
        None => scene.with_visit()?.page(&SignUpView::default()),
    }
}

fn not_open(scene: &Scene) -> Option<NoSignUpView> {
    match scene.config().sign_up {
        SignUpMode::Open => None,
        SignUpMode::Invite => Some(NoSignUpView { by_invitation: true }),
        SignUpMode::Closed => Some(NoSignUpView { by_invitation: false }),
    }
}

/// Signs somebody up. The answer says nothing of whether the address was taken.
pub(super) async fn sign_up(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    if let Some(view) = not_open(&scene) {
        return scene.page_with(StatusCode::FORBIDDEN, &view);
    }
    if let Some(wait) = site.authority.wait_for_turn(Turn::SignUp, scene.caller()).await {
        return Err(PageError::throttled(
            &scene,
            wait,
            "Many accounts were asked for from your address. Wait a minute.",
        ));
    }
    match try_sign_up(&scene, &form).await {
        Ok(()) => Ok(scene.redirect("/signup/done")),
        Err(error) => {
            let (status, faults) = refusal(&scene, error)?;
            let (email, organisation) = (form.text("email").to_owned(), form.text("organisation").to_owned());
            scene.page_with(status, &SignUpView { email, organisation, faults })
        }
    }
}

async fn try_sign_up(scene: &Scene, form: &Form) -> Result<(), ServiceError> {
    let authority = &scene.site().authority;
    let m = authority.management.for_stranger(scene.caller().address);
    let waiting = sign_up::check(&m, form.text("email"), form.text("organisation"))?;
    let surroundings = Surroundings::new(waiting.email(), [form.trimmed("organisation")]);
    let password = form.secret("password");
    let hash = authority.hash_new_password(&password, surroundings, Road::SignUp, scene.caller()).await?;
    sign_up::sign_up(authority, m, waiting, hash).await
}

/// What to do next, whatever happened.
pub(super) async fn done(site: Data<Site>, request: HttpRequest) -> PageResult {
    let by_mail = site.authority.sends_mail();
    Scene::set(&site, &request).await?.page(&SignedUpView { by_mail })
}

/// The form for who has a link. Opening it changes nothing: programs that look through mail open links as well.
pub(super) async fn show_proof(site: Data<Site>, request: HttpRequest, token: Path<String>) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let (email, is_sign_up) = match look(&scene, &Secret::new(token.as_str())).await? {
        Proof::SignUp { email, .. } => (email, true),
        Proof::Address { email } => (email, false),
    };
    scene.page(&VerifyView { email, is_sign_up, faults: Faults::default() })
}

async fn look(scene: &Scene, secret: &Secret) -> Result<Proof, PageError> {
    look_at(scene, LinkPurpose::Verification, secret, sign_up::look).await
}

/// Proves the address. Whoever signed up gives the password again: nobody gets an account with a password that a stranger
/// chose.
pub(super) async fn prove(site: Data<Site>, request: HttpRequest, token: Path<String>, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let secret = Secret::new(token.as_str());
    if let Proof::SignUp { email, password_hash } = look(&scene, &secret).await? {
        let password = form.secret("password");
        let matches = site.authority.verify_new_password(&password_hash, &password, &secret, scene.caller()).await;
        let refused = match matches {
            Ok(true) => None,
            Ok(false) => Some((
                StatusCode::UNPROCESSABLE_ENTITY,
                Faults::one(
                    "password",
                    "That is not the password that was chosen. If you do not know it, sign up again.",
                ),
            )),
            Err(error) => Some(refusal(&scene, error)?),
        };
        if let Some((status, faults)) = refused {
            return scene.page_with(status, &VerifyView { email, is_sign_up: true, faults });
        }
    }
    let (m, browser) = (site.authority.management.for_stranger(scene.caller().address), scene.browser());
    let proven = site.authority.change(m, move |m| sign_up::confirm(m, &secret, browser)).await;
    match proven.map_err(|error| link_refused(&scene, LinkPurpose::Verification, &error))? {
        Some(newcomer) => Ok(come_in(&scene, newcomer.admitted, "account-made")),
        None if scene.signed_in().is_some() => Ok(scene.go("/account", "address-confirmed")),
        None => Ok(scene.go("/login", "address-confirmed")),
    }
}

/// Where somebody comes who has just got an account: to the start page, or to what shows the second factor.
pub(super) fn come_in(scene: &Scene, admitted: Admitted, done: &str) -> HttpResponse {
    scene.show_session(admitted.session);
    if admitted.awaits_second_factor { scene.redirect(&second_factor::path("/")) } else { scene.go("/", done) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let verify = |is_sign_up, faults| VerifyView { email: "ana@example.com".to_owned(), is_sign_up, faults };
        vec![
            sample(SignUpView::default()),
            sample(SignUpView { faults: Faults::one("password", "No."), ..SignUpView::default() }),
            sample(NoSignUpView { by_invitation: true }),
            sample(NoSignUpView { by_invitation: false }),
            sample(SignedUpView { by_mail: true }),
            sample(SignedUpView { by_mail: false }),
            sample(verify(true, Faults::one("password", "No."))),
            sample(verify(false, Faults::default())),
        ]
    }
}
