//! `/invite/{token}`: somebody who was asked joins an organisation.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use serde::Serialize;

use super::cookies::{forget_invitation, make_invitation, read_invitation};
use super::dead_link::{link_refused, look_at};
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::refusal::refusal;
use super::scene::Scene;
use super::sign_up::come_in;
use super::when::When;
use crate::config::SignUpMode;
use crate::http::site::Site;
use crate::secret::Secret;
use crate::service::ServiceError;
use crate::service::links::LinkPurpose;
use crate::service::password_roads::Road;
use crate::service::passwords::Surroundings;
use crate::service::sign_in::Admitted;
use crate::service::team::{self, Invitation};

/// What somebody is invited to, and how to accept.
#[derive(Debug, Serialize)]
struct InvitationView {
    organisation: String,
    email: String,
    role: &'static str,
    until: When,
    /// How to accept.
    accepts_by: AcceptsBy,
    signed_in_as: String,
    faults: Faults,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct AcceptsBy {
    button: bool,
    sign_in: bool,
    other_account: bool,
    password: bool,
    nobody: bool,
}

impl View for InvitationView {
    const TEMPLATE: &'static str = "dashboard/invitation";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        format!("Join {}", self.organisation)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl InvitationView {
    fn new(scene: &Scene, invitation: &Invitation, faults: Faults) -> Self {
        let here = scene.signed_in().map(|signed_in| signed_in.person.email == invitation.email);
        let accepts_by = match (here, invitation.has_account) {
            (Some(true), _) => AcceptsBy { button: true, ..AcceptsBy::default() },
            (Some(false), _) => AcceptsBy { other_account: true, ..AcceptsBy::default() },
            (None, true) => AcceptsBy { sign_in: true, ..AcceptsBy::default() },
            (None, false) if scene.config().sign_up == SignUpMode::Closed => {
                AcceptsBy { nobody: true, ..AcceptsBy::default() }
            }
            (None, false) => AcceptsBy { password: true, ..AcceptsBy::default() },
        };
        Self {
            organisation: invitation.organisation.name.clone(),
            email: invitation.email.clone(),
            role: invitation.role.name(),
            until: When::of(invitation.expires_at),
            accepts_by,
            signed_in_as: scene.signed_in().map(|signed_in| signed_in.person.email.clone()).unwrap_or_default(),
            faults,
        }
    }
}

/// The invitation. Opening it changes nothing. Whoever signs in first comes back by [`come_back`].
pub(super) async fn show(site: Data<Site>, request: HttpRequest, token: Path<String>) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let secret = Secret::new(token.as_str());
    let invitation = look(&scene, &secret).await?;
    let view = InvitationView::new(&scene, &invitation, Faults::default());
    if view.accepts_by.sign_in {
        scene.set_cookie(make_invitation(scene.config(), &secret));
    }
    scene.page(&view)
}

/// Back to the invitation that the browser keeps, or to the start page.
pub(super) async fn come_back(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    let kept = read_invitation(scene.config(), &request);
    scene.set_cookie(forget_invitation(scene.config()));
    Ok(scene.redirect(&kept.map_or_else(|| "/".to_owned(), |secret| format!("/invite/{}", secret.reveal()))))
}

async fn look(scene: &Scene, secret: &Secret) -> Result<Invitation, PageError> {
    look_at(scene, LinkPurpose::Invitation, secret, team::invitation).await
}

/// Accepts: as who is signed in, or as somebody new with a password.
pub(super) async fn accept(
    site: Data<Site>,
    request: HttpRequest,
    token: Path<String>,
    payload: Payload,
) -> PageResult {
    let scene = Scene::set(&site, &request).await?.with_visit()?;
    let form = scene.form(payload, &[]).await?;
    let secret = Secret::new(token.as_str());
    let invitation = look(&scene, &secret).await?;
    let joined = match scene.signed_in().cloned() {
        Some(signed_in) => {
            let m = site.authority.management.for_person(&signed_in, scene.caller().address);
            let joined = site.authority.change(m, move |m| team::accept(m, &secret, &signed_in)).await;
            joined.map(|joined| {
                scene.show_session(joined.session);
                scene.go("/", "joined")
            })
        }
        None => {
            let admitted = join_as_new(&scene, &invitation, secret, form.secret("password")).await;
            admitted.map(|admitted| come_in(&scene, admitted, "joined"))
        }
    };
    match joined {
        Ok(response) => Ok(response),
        Err(error @ ServiceError::NotFound(_)) => Err(link_refused(&scene, LinkPurpose::Invitation, &error)),
        Err(error) => {
            let (status, faults) = refusal(&scene, error)?;
            scene.page_with(status, &InvitationView::new(&scene, &invitation, faults))
        }
    }
}

async fn join_as_new(
    scene: &Scene,
    invitation: &Invitation,
    secret: Secret,
    password: Secret,
) -> Result<Admitted, ServiceError> {
    let authority = &scene.site().authority;
    if invitation.has_account {
        return Err(ServiceError::Conflict("there is an account with this address; sign in to accept".to_owned()));
    }
    let surroundings = Surroundings::new(&invitation.email, [invitation.organisation.name.as_str()]);
    let road = Road::Link(&secret);
    let hash = authority.hash_new_password(&password, surroundings, road, scene.caller()).await?;
    let (m, browser) = (authority.management.for_stranger(scene.caller().address), scene.browser());
    authority.change(m, move |m| team::accept_as_new(m, &secret, hash, browser)).await
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |accepts_by, faults| InvitationView {
            organisation: "Acme".to_owned(),
            email: "ana@example.com".to_owned(),
            role: "developer",
            until: When::of(Timestamp::from_seconds(1_795_305_600)),
            accepts_by,
            signed_in_as: "bo@example.com".to_owned(),
            faults,
        };
        let none = AcceptsBy::default();
        vec![
            sample(view(AcceptsBy { button: true, ..none }, Faults::default())),
            sample(view(AcceptsBy { sign_in: true, ..none }, Faults::default())),
            sample(view(AcceptsBy { other_account: true, ..none }, Faults::one("", "No."))),
            sample(view(AcceptsBy { password: true, ..none }, Faults::one("password", "No."))),
            sample(view(AcceptsBy { nobody: true, ..none }, Faults::default())),
        ]
    }
}
