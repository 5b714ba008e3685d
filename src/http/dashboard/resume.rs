//! What a person entered is not lost when the session ended meanwhile, or when a proof is needed first.

use actix_web::http::StatusCode;
use serde::Serialize;
use url::form_urlencoded;

use super::error::PageError;
use super::faults::Faults;
use super::form::Form;
use super::page::{Section, View};
use super::scene::Scene;
use super::sign_in::SignInView;
use crate::service::Authority;
use crate::service::sessions::SignedIn;

/// Addresses longer than this are not come back to.
const LONGEST_PATH: usize = 2_000;

/// A form on hold: where it goes, below the issuer's path, and its fields without secrets.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Kept {
    action: String,
    fields: Vec<KeptField>,
    /// The same in one text, to travel through the sign-in page.
    encoded: String,
}

#[derive(Debug, Clone, Serialize)]
struct KeptField {
    name: String,
    value: String,
}

impl Kept {
    /// What was sent to the address of this request.
    pub(super) fn of(scene: &Scene, form: &Form) -> Self {
        Self::new(scene.here(), form)
    }

    /// Reads what [`Self::encoded`] holds; nothing if it is not a form for a page of ours.
    pub(super) fn read(action: &str, encoded: &str) -> Option<Self> {
        let action = local_path(action)?.to_owned();
        Form::parse(encoded.as_bytes()).ok().map(|form| Self::new(action, &form))
    }

    fn new(action: String, form: &Form) -> Self {
        let fields = form.kept().map(|(name, value)| KeptField { name: name.to_owned(), value: value.to_owned() });
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.kept()).finish();
        Self { action, fields: fields.collect(), encoded }
    }
}

/// A path on this host to come back to; nothing for what a browser could take for another host or a script.
pub(super) fn local_path(text: &str) -> Option<&str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = text.starts_with('/') && !text.starts_with("//");
    (is_plain && is_local && text.len() <= LONGEST_PATH).then_some(text)
}

/// The sign-in page for somebody whose session ended while a form was filled in: it goes on from there.
pub(super) fn session_ended(scene: Scene, form: &Form) -> PageError {
    if !scene.is_of_ended_session(form) {
        return PageError::of(scene.redirect("/login?done=session-over"));
    }
    let kept = Kept::of(&scene, form);
    let scene = match scene.with_visit() {
        Ok(scene) => scene,
        Err(error) => return error,
    };
    let view = SignInView::for_kept(kept);
    scene.page_with(StatusCode::UNAUTHORIZED, &view).map_or_else(|error| error, PageError::of)
}

/// Asks for a proof before what cannot be undone is done.
#[derive(Debug, Serialize)]
pub(super) struct ConfirmView {
    pub(super) email: String,
    pub(super) has_totp: bool,
    pub(super) has_passkeys: bool,
    /// Whether people may sign in elsewhere, and so have no password here.
    pub(super) has_providers: bool,
    pub(super) kept: Kept,
    pub(super) faults: Faults,
}

impl ConfirmView {
    pub(super) fn new(signed_in: &SignedIn, kept: Kept, authority: &Authority, fault: Option<&str>) -> Self {
        Self {
            email: signed_in.person.email.clone(),
            has_totp: signed_in.person.totp_confirmed_at.is_some(),
            has_passkeys: authority.has_passkeys(),
            has_providers: !authority.config.sign_in_providers.is_empty(),
            kept,
            faults: fault.map(|fault| Faults::one("confirm-password", fault)).unwrap_or_default(),
        }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn kept() -> Kept {
        Kept::read("/apps?x=1", "name=Invoice+sync&scope=a&scope=b&password=hidden").unwrap()
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let confirm = |fault: Option<&str>| ConfirmView {
            email: "ana@example.com".to_owned(),
            has_totp: fault.is_some(),
            has_passkeys: fault.is_some(),
            has_providers: fault.is_some(),
            kept: kept(),
            faults: fault.map(|fault| Faults::one("confirm-password", fault)).unwrap_or_default(),
        };
        vec![sample(confirm(None)), sample(confirm(Some("No."))), sample(ResumeView { kept: kept() })]
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

    #[test]
    fn a_kept_form_has_no_secrets_and_goes_to_this_host() {
        let kept = kept();
        assert_eq!(kept.encoded, "name=Invoice+sync&scope=a&scope=b");
        assert!(Kept::read("https://evil.example", "a=b").is_none());
        assert!(Kept::read("/apps", "a=%zz").is_none());
    }
}
