//! `/login` and `/logout`.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::resume::{Kept, ResumeView, local_path};
use super::scene::Scene;
use super::visitor::{Anyone, Visitor};
use crate::http::site::Site;
use crate::service::{accounts, sessions};

/// The sign-in page.
#[derive(Debug, Serialize)]
pub(super) struct SignInView {
    email: String,
    return_to: String,
    /// What was entered before the session ended.
    kept: Option<Kept>,
    faults: Faults,
}

impl SignInView {
    fn new(return_to: &str) -> Self {
        Self { email: String::new(), return_to: return_to.to_owned(), kept: None, faults: Faults::default() }
    }

    /// The page for somebody whose session ended.
    pub(super) fn for_kept(kept: Kept) -> Self {
        Self { kept: Some(kept), ..Self::new("/") }
    }
}

impl View for SignInView {
    const TEMPLATE: &'static str = "dashboard/sign-in";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Sign in".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The form, or the start page for who is signed in.
pub(super) async fn show(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    let return_to = scene.query("return_to");
    let return_to = return_to.as_deref().and_then(local_path).unwrap_or("/").to_owned();
    if scene.signed_in().is_some() {
        return Ok(scene.redirect(&return_to));
    }
    scene.with_visit()?.page(&SignInView::new(&return_to))
}

/// Signs in: a session of its own, whatever the browser showed before.
pub(super) async fn sign_in(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let return_to = local_path(form.text("return-to")).unwrap_or("/");
    let kept = Kept::read(form.text("kept-action"), form.text("kept"));
    let signed_in =
        accounts::sign_in(&site.authority, scene.browser(), form.text("email"), form.secret("password")).await;
    match signed_in.map_err(|error| PageError::service(&scene, &error))? {
        Some(secret) => {
            scene.show_session(secret);
            match kept {
                Some(kept) => scene.page(&ResumeView { kept }),
                None => Ok(scene.redirect(return_to)),
            }
        }
        None => {
            let view = SignInView {
                email: form.text("email").to_owned(),
                return_to: return_to.to_owned(),
                kept,
                faults: Faults::one("email", "The e-mail address or the password is not right."),
            };
            scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

/// Ends the session.
pub(super) async fn sign_out(visitor: Visitor<Anyone>) -> Result<HttpResponse, PageError> {
    visitor.form(&[])?;
    let session = visitor.person().session.clone();
    let ended = visitor.change(move |m| sessions::end(m, session.developer_id, session.id)).await;
    ended.map_err(|error| PageError::service(&visitor, &error))?;
    visitor.forget_session();
    Ok(visitor.go("/login", "signed-out"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::resume::tests::kept;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let refused = SignInView { faults: Faults::one("email", "No."), ..SignInView::new("/apps") };
        vec![sample(SignInView::new("/")), sample(SignInView::for_kept(kept())), sample(refused)]
    }
}
