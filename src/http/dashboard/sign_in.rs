//! `/login` and `/logout`.

pub(super) mod passkey;
pub(super) mod provider;
pub(super) mod second_factor;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use url::form_urlencoded::byte_serialize;

use self::provider::ShownProvider;
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::resume::{self, local_path};
use super::scene::Scene;
use super::visitor::{Unprotected, Visitor};
use crate::config::SignUpMode;
use crate::http::site::Site;
use crate::service::{Authority, ServiceError, sessions, sign_in};

const WRONG: &str = "The e-mail address or the password is not right.";

/// The sign-in page.
#[derive(Debug, Serialize)]
pub(super) struct SignInView {
    email: String,
    return_to: String,
    may_sign_up: bool,
    has_passkeys: bool,
    /// Where else people may sign in.
    providers: Vec<ShownProvider>,
    /// `return_to` as it stands in an address.
    way_back: String,
    /// Whether something waits that was entered before the session ended.
    is_kept: bool,
    faults: Faults,
}

impl SignInView {
    pub(super) fn new(return_to: &str) -> Self {
        let is_kept = return_to.starts_with(resume::PATH);
        let way_back = byte_serialize(return_to.as_bytes()).collect();
        let return_to = return_to.to_owned();
        Self {
            email: String::new(),
            return_to,
            may_sign_up: false,
            has_passkeys: false,
            providers: Vec::new(),
            way_back,
            is_kept,
            faults: Faults::default(),
        }
    }

    /// The page with what else this server offers: an account for anybody, passkeys.
    pub(super) fn open_to(self, authority: &Authority) -> Self {
        let may_sign_up = authority.config.sign_up == SignUpMode::Open;
        let providers = authority.config.sign_in_providers.iter().map(ShownProvider::of).collect();
        Self { may_sign_up, has_passkeys: authority.has_passkeys(), providers, ..self }
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
    if scene.unprotected().is_some() {
        return Ok(scene.to_protection());
    }
    let view = SignInView::new(&return_to).open_to(&site.authority);
    scene.with_visit()?.page(&view)
}

/// Signs in: a session of its own, whatever the browser showed before.
pub(super) async fn sign_in(site: Data<Site>, request: HttpRequest, payload: Payload) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let return_to = local_path(form.text("return-to")).unwrap_or("/");
    let (email, password) = (form.text("email"), form.secret("password"));
    let refused = |faults: Faults| SignInView {
        email: email.to_owned(),
        faults,
        ..SignInView::new(return_to).open_to(&site.authority)
    };
    match sign_in::sign_in(&site.authority, scene.caller(), scene.browser(), email, &password).await {
        Ok(Some(admitted)) => {
            scene.show_session(admitted.session);
            let waits = admitted.awaits_second_factor;
            Ok(scene.redirect(&if waits { second_factor::path(return_to) } else { return_to.to_owned() }))
        }
        Ok(None) => scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &refused(Faults::one("email", WRONG))),
        Err(ServiceError::Throttled(wait)) => {
            let text = format!(
                "There were too many attempts. Wait {} and try again, or from where you signed in before.",
                waiting(wait)
            );
            throttled(&scene, wait, &refused(Faults::one("", text)))
        }
        Err(error) => {
            let faults = Faults::of_service(error).map_err(|error| PageError::service(&scene, &error))?;
            scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &refused(faults))
        }
    }
}

/// The form again, for who must wait.
pub(super) fn throttled<V: View>(scene: &Scene, wait: Duration, view: &V) -> PageResult {
    let mut response = scene.page_with(StatusCode::TOO_MANY_REQUESTS, view)?;
    response.headers_mut().insert(RETRY_AFTER, wait.as_secs().max(1).into());
    Ok(response)
}

/// A time to wait, in words; rather too long than too short.
pub(super) fn waiting(wait: Duration) -> String {
    let seconds = wait.as_secs().max(1);
    match seconds {
        1 => "1 second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// Ends the session.
pub(super) async fn sign_out(visitor: Visitor<Unprotected>) -> Result<HttpResponse, PageError> {
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
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let refused = SignInView { faults: Faults::one("email", WRONG), ..SignInView::new("/apps") };
        let open = SignInView { may_sign_up: true, has_passkeys: true, ..SignInView::new("/") };
        let providers = vec![ShownProvider { name: "corp".to_owned(), label: "Example Corp".to_owned() }];
        let elsewhere = SignInView { providers, ..SignInView::new("/apps?page=2") };
        vec![
            sample(elsewhere),
            sample(open),
            sample(SignInView::new("/")),
            sample(SignInView::new("/resume/x")),
            sample(refused),
        ]
    }

    #[test]
    fn a_time_to_wait_is_said_in_words() {
        for (seconds, text) in [(0, "1 second"), (40, "40 seconds"), (91, "2 minutes"), (3_600, "60 minutes")] {
            assert_eq!(waiting(Duration::from_secs(seconds)), text);
        }
    }
}
