//! `/reset`: another password for who has lost theirs.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use serde::Serialize;

use super::dead_link::{link_refused, look_at};
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::refusal::refusal;
use super::scene::Scene;
use crate::db::developers::Person;
use crate::http::site::Site;
use crate::secret::Secret;
use crate::service::links::{LinkPurpose, Turn};
use crate::service::password_roads::Road;
use crate::service::passwords::Surroundings;
use crate::service::resets;

/// Asks for the address.
#[derive(Debug, Serialize)]
struct AskResetView {
    by_mail: bool,
    email: String,
    faults: Faults,
}

impl View for AskResetView {
    const TEMPLATE: &'static str = "dashboard/ask-reset";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Choose another password".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The same for every address.
#[derive(Debug, Serialize)]
struct ResetSentView {}

impl View for ResetSentView {
    const TEMPLATE: &'static str = "dashboard/reset-sent";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Look into your mail".to_owned()
    }
}

/// Asks for the password.
#[derive(Debug, Serialize)]
struct ResetView {
    email: String,
    faults: Faults,
}

impl View for ResetView {
    const TEMPLATE: &'static str = "dashboard/reset";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Choose another password".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The form, or what to do where no mail is sent.
pub(super) async fn ask(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let by_mail = site.authority.sends_mail();
    scene.page(&AskResetView { by_mail, email: String::new(), faults: Faults::default() })
}

/// Leaves the rest to the mail thread: the answer does not depend on whether there is an account.
pub(super) async fn send(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let by_mail = site.authority.sends_mail();
    if !by_mail {
        return scene.page(&AskResetView { by_mail, email: String::new(), faults: Faults::default() });
    }
    if let Some(wait) = site.authority.wait_for_turn(Turn::Reset, scene.caller()).await {
        return Err(PageError::throttled(&scene, wait, "Many links were asked for from your address. Wait a minute."));
    }
    let m = site.authority.management.for_stranger(scene.caller().address);
    match resets::request(&site.authority, &m, form.text("email")) {
        Ok(()) => Ok(scene.redirect("/reset/sent")),
        Err(error) => {
            let (status, faults) = refusal(&scene, error)?;
            scene.page_with(status, &AskResetView { by_mail, email: form.text("email").to_owned(), faults })
        }
    }
}

/// What to do next, whatever happened.
pub(super) async fn sent(site: Data<Site>, request: HttpRequest) -> PageResult {
    Scene::set(&site, &request).await?.page(&ResetSentView {})
}

/// The form for who has a link. Opening it changes nothing.
pub(super) async fn show(site: Data<Site>, request: HttpRequest, token: Path<String>) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let person = look(&scene, &Secret::new(token.as_str())).await?;
    scene.page(&ResetView { email: person.email, faults: Faults::default() })
}

async fn look(scene: &Scene, secret: &Secret) -> Result<Person, PageError> {
    look_at(scene, LinkPurpose::Reset, secret, resets::look).await
}

/// Sets the password. The person then signs in, with the second factor if there is one.
pub(super) async fn complete(
    site: Data<Site>,
    request: HttpRequest,
    token: Path<String>,
    payload: Payload,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let secret = Secret::new(token.as_str());
    let person = look(&scene, &secret).await?;
    let surroundings = Surroundings::new(&person.email, [person.name.as_str()]);
    let (password, road) = (form.secret("password"), Road::Link(&secret));
    let hash = match site.authority.hash_new_password(&password, surroundings, road, scene.caller()).await {
        Ok(hash) => hash,
        Err(error) => {
            let (status, faults) = refusal(&scene, error)?;
            return scene.page_with(status, &ResetView { email: person.email, faults });
        }
    };
    let m = site.authority.management.for_stranger(scene.caller().address);
    let done = site.authority.change(m, move |m| resets::complete(m, &secret, hash)).await;
    done.map_err(|error| link_refused(&scene, LinkPurpose::Reset, &error))?;
    scene.forget_session();
    Ok(scene.go("/login", "password-chosen"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let ask = |by_mail, faults| AskResetView { by_mail, email: String::new(), faults };
        vec![
            sample(ask(true, Faults::one("email", "No."))),
            sample(ask(false, Faults::default())),
            sample(ResetSentView {}),
            sample(ResetView { email: "ana@example.com".to_owned(), faults: Faults::default() }),
        ]
    }
}
