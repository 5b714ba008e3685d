//! What a person entered is not lost when the session ended meanwhile, or when a proof is needed first.

mod deeds;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;
use url::form_urlencoded::byte_serialize;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::form::Form;
use super::page::{Section, View};
use super::scene::Scene;
use super::sign_in::SignInView;
use super::sign_in::provider::ShownProvider;
use super::visitor::{Admission, Anyone, Visitor};
use crate::secret::KeyedHash;
use crate::service::ServiceError;
use crate::service::kept_forms::KeptForm;
use crate::service::sign_in_elsewhere::Proofs;

/// Addresses longer than this are not come back to.
const LONGEST_PATH: usize = 2_000;
/// Where a form waits that was kept.
pub(super) const PATH: &str = "/resume/";

/// A form on hold: where it goes, below the issuer's path, what it does, and its fields without secrets.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Kept {
    action: String,
    /// In words: nobody sends on what they do not know.
    deed: &'static str,
    fields: Vec<KeptField>,
}

#[derive(Debug, Clone, Serialize)]
struct KeptField {
    name: String,
    value: String,
}

/// What was sent to the address of this request.
fn on_hold(scene: &Scene, form: &Form) -> KeptForm {
    let fields = form.kept().map(|(name, value)| (name.to_owned(), value.to_owned()));
    KeptForm { action: scene.here(), fields: fields.collect() }
}

impl From<KeptForm> for Kept {
    fn from(form: KeptForm) -> Self {
        let fields = form.fields.into_iter().map(|(name, value)| KeptField { name, value });
        Self { deed: deeds::deed(&form.action), action: form.action, fields: fields.collect() }
    }
}

/// Keeps what was sent, for its owner alone. Gives the page where it waits.
async fn keep(scene: &Scene, owner: KeyedHash, form: &Form) -> Result<String, PageError> {
    let id = scene.site().authority.keep_form(owner, &on_hold(scene, form)).await;
    id.map(|id| format!("{PATH}{id}")).map_err(|error| PageError::service(scene, &error))
}

/// A path on this host to come back to; nothing for what a browser could take for another host or a script, nor for
/// signing out, which is no page and not what anybody signs in for.
pub(super) fn local_path(text: &str) -> Option<&str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = text.starts_with('/') && !text.starts_with("//");
    let is_page = text.split('?').next() != Some("/logout");
    (is_plain && is_local && is_page && text.len() <= LONGEST_PATH).then_some(text)
}

/// The sign-in page for somebody whose session ended while a form was filled in: it goes on from there.
pub(super) async fn session_ended(scene: Scene, form: &Form) -> PageError {
    let Some(owner) = scene.owner_of_ended(form) else {
        return PageError::of(scene.redirect("/login?done=session-over"));
    };
    let scene = match scene.with_visit() {
        Ok(scene) => scene,
        Err(error) => return error,
    };
    let waits_at = match keep(&scene, owner, form).await {
        Ok(waits_at) => waits_at,
        Err(error) => return error,
    };
    let view = SignInView::new(&waits_at).open_to(&scene.site().authority);
    scene.page_with(StatusCode::UNAUTHORIZED, &view).map_or_else(|error| error, PageError::of)
}

/// Asks for a proof before what cannot be undone is done.
#[derive(Debug, Serialize)]
pub(super) struct ConfirmView {
    email: String,
    has_password: bool,
    has_totp: bool,
    has_passkeys: bool,
    /// Where else the person can prove who it is.
    providers: Vec<ShownProvider>,
    /// Where the form waits meanwhile, as it stands in an address.
    way_back: String,
    kept: Kept,
    faults: Faults,
}

impl ConfirmView {
    /// The page for that form. It travels in the page, and where somebody can go elsewhere for a proof it waits here too.
    pub(super) async fn load<D: Admission>(
        visitor: &Visitor<D>,
        form: &Form,
        fault: Option<&str>,
    ) -> Result<Self, PageError> {
        let person = &visitor.person().person;
        let id = person.id;
        let Proofs { has_password, has_passkey, providers } =
            visitor.look(move |m| crate::service::sign_in_elsewhere::proofs(m, id)).await?;
        let authority = &visitor.site().authority;
        let waits_at =
            if providers.is_empty() { String::new() } else { keep(visitor, authority.form_owner(id), form).await? };
        let has_totp = person.totp_confirmed_at.is_some();
        let field = match (has_password, has_totp) {
            (true, _) => "confirm-password",
            (false, true) => "confirm-code",
            (false, false) => "",
        };
        Ok(Self {
            email: person.email.clone(),
            has_password,
            has_totp,
            has_passkeys: has_passkey && authority.has_passkeys(),
            providers: providers
                .into_iter()
                .map(|known| ShownProvider { name: known.name, label: known.label })
                .collect(),
            way_back: byte_serialize(waits_at.as_bytes()).collect(),
            kept: on_hold(visitor, form).into(),
            faults: fault.map(|fault| Faults::one(field, fault)).unwrap_or_default(),
        })
    }
}

impl View for ConfirmView {
    const TEMPLATE: &'static str = "dashboard/confirm";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Confirm that it is you".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// Shows that what was entered is still there, after the person signed in again.
#[derive(Debug, Serialize)]
pub(super) struct ResumeView {
    pub(super) kept: Kept,
}

impl View for ResumeView {
    const TEMPLATE: &'static str = "dashboard/resume";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Go on where you were".to_owned()
    }
}

/// The form that waits there for this person. It is nobody else's, whoever signed in at the same browser.
pub(super) async fn show(visitor: Visitor<Anyone>, id: Path<String>) -> PageResult {
    let authority = &visitor.site().authority;
    match authority.kept_form(authority.form_owner(visitor.person().person.id), &id).await {
        Ok(form) => visitor.page(&ResumeView { kept: form.into() }),
        Err(ServiceError::NotFound(_)) => {
            let text =
                "What was entered is kept for an hour, for the person who entered it. Begin again from the start page.";
            Err(PageError::new(&visitor, StatusCode::NOT_FOUND, "Nothing is kept for you here", text))
        }
        Err(error) => Err(PageError::service(&visitor, &error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    fn kept() -> Kept {
        let fields = [("name", "Invoice sync"), ("scope", "a"), ("scope", "b")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        KeptForm { action: "/apps?x=1".to_owned(), fields }.into()
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let confirm = |has_password, faults| ConfirmView {
            email: "ana@example.com".to_owned(),
            has_password,
            has_totp: has_password,
            has_passkeys: has_password,
            providers: Vec::new(),
            way_back: String::new(),
            kept: kept(),
            faults,
        };
        let providers = vec![ShownProvider { name: "corp".to_owned(), label: "Example Corp".to_owned() }];
        let elsewhere = ConfirmView { providers, ..confirm(false, Faults::default()) };
        vec![
            sample(confirm(true, Faults::default())),
            sample(confirm(true, Faults::one("confirm-password", "No."))),
            sample(confirm(false, Faults::default())),
            sample(elsewhere),
            sample(ResumeView { kept: kept() }),
        ]
    }

    #[test]
    fn only_paths_of_this_host_are_come_back_to() {
        for good in ["/", "/apps", "/apps?page=2", "/apps/x#y"] {
            assert_eq!(local_path(good), Some(good));
        }
        for bad in [
            "",
            "apps",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/\t/evil",
            " /apps",
            "/\u{202e}",
        ] {
            assert_eq!(local_path(bad), None, "{bad:?}");
        }
        assert_eq!(local_path(&format!("/{}", "a".repeat(LONGEST_PATH))), None);
    }
}
