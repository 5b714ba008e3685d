//! `/setup/{token}`: the first one to run the server.

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use actix_web::web::{Data, Path, Payload};
use serde::Serialize;
use url::Url;

use super::dead_link::{link_refused, look_at};
use super::error::PageResult;
use super::faults::Faults;
use super::form::Form;
use super::page::{Section, View};
use super::refusal::refusal;
use super::scene::Scene;
use crate::http::site::Site;
use crate::oauth::metadata::path;
use crate::secret::Secret;
use crate::service::links::LinkPurpose;
use crate::service::password_roads::Road;
use crate::service::passwords::Surroundings;
use crate::service::setup::{self, Founded, Founder};

/// The form.
#[derive(Debug, Serialize)]
struct SetupView {
    email: String,
    organisation: String,
    demo: bool,
    /// Whether the browser came by another address than the issuer's.
    came_by: Option<String>,
    faults: Faults,
}

impl View for SetupView {
    const TEMPLATE: &'static str = "dashboard/setup";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Set up this server".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The demo app with its key, shown this once, and what to paste next.
#[derive(Serialize)]
struct SetUpView {
    app: String,
    sid: String,
    key: String,
    token_command: String,
    call_command: String,
}

impl View for SetUpView {
    const TEMPLATE: &'static str = "dashboard/set-up";
    const SECTION: Section = Section::Home;

    fn title(&self) -> String {
        "Your server is ready".to_owned()
    }
}

impl SetUpView {
    fn new(issuer: &str, app: &str, sid: &str, key: &str) -> Self {
        let token = path::TOKEN;
        Self {
            app: app.to_owned(),
            sid: sid.to_owned(),
            key: key.to_owned(),
            token_command: format!("curl -s {issuer}{token} -u {sid}:{key} -d grant_type=client_credentials"),
            call_command: format!(
                "curl -s {issuer}{}/whoami -H \"Authorization: Bearer $(curl -s {issuer}{token} -u {sid}:{key} -d grant_type=client_credentials | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\"",
                path::API
            ),
        }
    }
}

/// The form, for whoever has a link that works.
pub(super) async fn show(site: Data<Site>, request: HttpRequest, token: Path<String>) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    look(&scene, &token).await?;
    let came_by = other_host(&request, site.authority.issuer());
    let email = String::new();
    scene.page(&SetupView { email, organisation: String::new(), demo: true, came_by, faults: Faults::default() })
}

async fn look(scene: &Scene, token: &Path<String>) -> Result<Secret, super::error::PageError> {
    let secret = Secret::new(token.as_str());
    look_at(scene, LinkPurpose::Setup, &secret, setup::look).await?;
    Ok(secret)
}

/// What the browser calls this server, if that is not what the server calls itself. Shown, and believed nowhere.
fn other_host(request: &HttpRequest, issuer: &str) -> Option<String> {
    let given = request.headers().get(HOST)?.to_str().ok()?;
    let issuer = Url::parse(issuer).ok()?;
    let ours = match issuer.port() {
        Some(port) => format!("{}:{port}", issuer.host_str()?),
        None => issuer.host_str()?.to_owned(),
    };
    (given != ours).then(|| given.to_owned())
}

/// Makes the operator, signs in, and shows what to do next.
pub(super) async fn complete(
    site: Data<Site>,
    request: HttpRequest,
    token: Path<String>,
    payload: Payload,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let secret = look(&scene, &token).await?;
    let founder = match Founder::new(form.text("email"), form.text("organisation")) {
        Ok(founder) => founder,
        Err(error) => return again(&scene, &form, error),
    };
    let surroundings = Surroundings::new(founder.email(), [form.trimmed("organisation")]);
    let (password, road) = (form.secret("password"), Road::Link(&secret));
    let hash = match site.authority.hash_new_password(&password, surroundings, road, scene.caller()).await {
        Ok(hash) => hash,
        Err(error) => return again(&scene, &form, error),
    };
    let (m, demo, browser) =
        (site.authority.management.for_stranger(scene.caller().address), form.has("demo"), scene.browser());
    let founded = site.authority.change(m, move |m| setup::complete(m, &secret, founder, hash, demo, browser)).await;
    let Founded { session, app, .. } = founded.map_err(|error| link_refused(&scene, LinkPurpose::Setup, &error))?;
    scene.show_session(session);
    match app.and_then(|app| Some((app.app.name, app.client_id.to_string(), app.client_secret?))) {
        Some((name, sid, key)) => scene.page(&SetUpView::new(site.authority.issuer(), &name, &sid, key.reveal())),
        None => Ok(scene.go("/", "set-up")),
    }
}

fn again(scene: &Scene, form: &Form, error: crate::service::ServiceError) -> PageResult {
    let (status, faults) = refusal(scene, error)?;
    let view = SetupView {
        email: form.text("email").to_owned(),
        organisation: form.text("organisation").to_owned(),
        demo: form.has("demo"),
        came_by: other_host(scene.request(), scene.site().authority.issuer()),
        faults,
    };
    scene.page_with(status, &view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |came_by: Option<&str>, faults| SetupView {
            email: "ana@example.com".to_owned(),
            organisation: "Acme".to_owned(),
            demo: true,
            came_by: came_by.map(str::to_owned),
            faults,
        };
        vec![
            sample(view(None, Faults::default())),
            sample(view(Some("10.0.0.7:8080"), Faults::one("email", "No."))),
            sample(SetUpView::new(
                "https://id.example.com",
                "Demo app",
                "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e",
                "bvk_x",
            )),
        ]
    }
}
