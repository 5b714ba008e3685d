//! `/login/with/{provider}`: signing in through an OpenID Connect provider. Begun by a link, because a form may lead to this
//! host alone; what it begins does nothing until the browser comes back.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use serde::Serialize;

use super::{SignInView, second_factor};
use crate::config::SignInProvider;
use crate::http::dashboard::cookies;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::resume::local_path;
use crate::http::dashboard::scene::Scene;
use crate::http::site::Site;
use crate::secret::Secret;
use crate::service::sessions::SignedIn;
use crate::service::sign_in_elsewhere::{self, Back, Brought, Errand, Outcome, Refusal};

const NOT_BEGUN: &str = "That sign-in took too long, was done before, or was not begun in this browser. Begin again.";

/// A provider as the sign-in page shows it.
#[derive(Debug, Serialize)]
pub(in crate::http::dashboard) struct ShownProvider {
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) label: String,
}

impl ShownProvider {
    pub(super) fn of(setting: &SignInProvider) -> Self {
        Self { name: setting.name.clone(), label: setting.label.clone() }
    }
}

/// Nobody here goes with the account there.
#[derive(Debug, Serialize)]
struct NoAccountView {
    label: String,
}

impl View for NoAccountView {
    const TEMPLATE: &'static str = "dashboard/no-account";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "No account to open".to_owned()
    }
}

/// Asks whether the two accounts are to be connected.
#[derive(Debug, Serialize)]
struct ConnectView {
    name: String,
    label: String,
    /// The address there; empty if it says none.
    email: String,
    own_email: String,
    offer: String,
}

impl View for ConnectView {
    const TEMPLATE: &'static str = "dashboard/connect";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        format!("Connect {}", self.label)
    }
}

fn label(scene: &Scene, name: &str) -> Result<String, PageError> {
    let found = scene.config().sign_in_providers.iter().find(|setting| setting.name == name);
    found.map(|setting| setting.label.clone()).ok_or_else(|| PageError::not_found(scene))
}

/// Who may prove anew who it is: whoever is in.
fn signed_in(scene: &Scene) -> Option<&SignedIn> {
    scene.signed_in().or_else(|| scene.unprotected())
}

fn errand(scene: &Scene) -> Errand {
    let to_confirm = scene.query("confirm").and_then(|_asked| signed_in(scene));
    match (to_confirm, scene.signed_in()) {
        (Some(known), _) => Errand::Confirm(known.person.id),
        (None, Some(known)) => Errand::Connect(known.person.id),
        (None, None) => Errand::SignIn,
    }
}

/// What is shown to somebody who does not come in.
fn refused(scene: &Scene, label: &str, refusal: Refusal) -> PageResult {
    let text = match refusal {
        Refusal::Service(error) => return Err(PageError::service(scene, &error)),
        Refusal::Provider(detail) => {
            let text = format!(
                "{label} did not answer as it should. Try again, or sign in another way; if it goes on, tell whoever runs this server the request id below."
            );
            let page = PageError::new(scene, StatusCode::BAD_GATEWAY, "That sign-in did not work", text);
            return Err(page.logged("sign_in_provider", &detail));
        }
        Refusal::NotAnew => {
            let text = format!(
                "{label} did not say that you signed in there just now, so it proves nothing. Try again, or sign out and in again: that is a proof too."
            );
            return Err(PageError::new(scene, StatusCode::FORBIDDEN, "That is no proof", text));
        }
        Refusal::NotBegun => NOT_BEGUN.to_owned(),
        Refusal::Cancelled => format!("You did not go on at {label}. Try again, or sign in another way."),
    };
    if scene.signed_in().is_some() {
        return Ok(scene.go("/account", "not-connected"));
    }
    let view = SignInView { faults: Faults::one("", text), ..SignInView::new("/") };
    scene.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view.open_to(&scene.site().authority))
}

/// Sends the browser to the provider.
pub(in crate::http::dashboard) async fn begin(
    site: Data<Site>,
    request: HttpRequest,
    name: Path<String>,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let label = label(&scene, &name)?;
    let return_to = scene.query("return_to");
    let return_to = return_to.as_deref().and_then(local_path).unwrap_or("/");
    let (binding, errand) = (scene.binding(), errand(&scene));
    let begun = sign_in_elsewhere::begin(&site.authority, scene.caller(), &binding, &name, errand, return_to);
    match begun.await {
        Ok(begun) => {
            scene.set_cookie(cookies::make_sealed(scene.config(), &begun.state));
            Ok(scene.start(StatusCode::SEE_OTHER).insert_header((LOCATION, begun.url)).finish())
        }
        Err(refusal) => refused(&scene, &label, refusal),
    }
}

/// Takes the browser back.
pub(in crate::http::dashboard) async fn come_back(
    site: Data<Site>,
    request: HttpRequest,
    name: Path<String>,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let label = label(&scene, &name)?;
    let brought = Brought {
        binding: scene.binding(),
        kept: cookies::read_sealed(scene.config(), &request),
        signed_in: signed_in(&scene).cloned(),
        state: scene.query("state").unwrap_or_default(),
        code: scene.query("code").map(Secret::new),
        issuer: scene.query("iss"),
        error: scene.query("error"),
    };
    scene.set_cookie(cookies::forget_sealed(scene.config()));
    let finished = sign_in_elsewhere::finish(&site.authority, scene.caller(), scene.browser(), &name, brought).await;
    let Back { return_to, outcome } = match finished {
        Ok(back) => back,
        Err(refusal) => return refused(&scene, &label, refusal),
    };
    match outcome {
        Outcome::Admitted(admitted) => {
            scene.show_session(admitted.session);
            let to = if admitted.awaits_second_factor { second_factor::path(&return_to) } else { return_to };
            Ok(scene.redirect(&to))
        }
        Outcome::Confirmed(session) => {
            scene.show_session(session);
            Ok(scene.redirect(&return_to))
        }
        Outcome::MayConnect { email, sealed } => {
            let own_email = scene.signed_in().map(|signed_in| signed_in.person.email.clone()).unwrap_or_default();
            let (name, email) = (name.into_inner(), email.unwrap_or_default());
            scene.page(&ConnectView { name, label, email, own_email, offer: sealed })
        }
        Outcome::NoAccount => scene.page_with(StatusCode::FORBIDDEN, &NoAccountView { label }),
    }
}

#[cfg(test)]
pub(in crate::http::dashboard) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let connect = |email: &str| ConnectView {
            name: "corp".to_owned(),
            label: "Example Corp".to_owned(),
            email: email.to_owned(),
            own_email: "ana@acme.example".to_owned(),
            offer: "sealed".to_owned(),
        };
        let no_account = NoAccountView { label: "Example Corp".to_owned() };
        vec![sample(no_account), sample(connect("")), sample(connect("ana@corp.example"))]
    }
}
