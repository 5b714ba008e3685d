//! `/account/2fa` and the recovery codes.

use actix_web::http::StatusCode;
use serde::Serialize;

use super::AccountView;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::qr::Qr;
use crate::http::dashboard::visitor::{Admission, Anyone, Unprotected, Visitor};
use crate::secret::Secret;
use crate::service::second_factor::{self, Enrolment};
use crate::service::{ServiceError, sign_in};

const WRONG: &str = "That code is not right. Check that the clock of your telephone is, and try the next code.";

/// Setting up an authenticator app.
#[derive(Debug, Serialize)]
pub(in crate::http::dashboard) struct AuthenticatorView {
    /// What the app must be told; nothing before the person has begun.
    enrolment: Option<ShownEnrolment>,
    /// Whether the server demands it of somebody who is signing in.
    is_demanded: bool,
    /// Where the form goes.
    action: &'static str,
    return_to: String,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct ShownEnrolment {
    qr: Option<Qr>,
    /// In groups of four, as people type it.
    text: String,
}

impl AuthenticatorView {
    /// For somebody who chose to.
    fn new(enrolment: &Enrolment, faults: Faults) -> Self {
        let return_to = "/account".to_owned();
        Self { enrolment: Some(shown(enrolment)), is_demanded: false, action: "/account/2fa", return_to, faults }
    }

    /// For somebody who must.
    pub(in crate::http::dashboard) fn demanded(enrolment: Option<&Enrolment>, return_to: &str, faults: Faults) -> Self {
        let enrolment = enrolment.map(shown);
        Self { enrolment, is_demanded: true, action: "/login/2fa", return_to: return_to.to_owned(), faults }
    }
}

fn shown(enrolment: &Enrolment) -> ShownEnrolment {
    let letters: Vec<char> = enrolment.text.reveal().chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    ShownEnrolment { qr: Qr::of(enrolment.url.reveal()), text: groups.join(" ") }
}

impl View for AuthenticatorView {
    const TEMPLATE: &'static str = "dashboard/authenticator";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Set up an authenticator app".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// Recovery codes, the only time they are seen.
#[derive(Debug, Serialize)]
pub(in crate::http::dashboard) struct RecoveryCodesView {
    codes: Vec<String>,
    return_to: String,
}

impl RecoveryCodesView {
    pub(in crate::http::dashboard) fn new(codes: &[Secret], return_to: &str) -> Self {
        let codes = codes.iter().map(|code| code.reveal().to_owned()).collect();
        Self { codes, return_to: return_to.to_owned() }
    }
}

impl View for RecoveryCodesView {
    const TEMPLATE: &'static str = "dashboard/recovery-codes";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Keep your recovery codes".to_owned()
    }
}

/// What the app must be told.
pub(in crate::http::dashboard) async fn show(visitor: Visitor<Unprotected>) -> PageResult {
    // Not left lying about: who comes later begins anew, with a proof.
    let is_confirmed = visitor.person().is_confirmed(visitor.now());
    match enrolment(&visitor).await?.filter(|_| is_confirmed) {
        Some(enrolment) => visitor.page(&AuthenticatorView::new(&enrolment, Faults::default())),
        None => Ok(visitor.redirect("/account#two-factor")),
    }
}

async fn enrolment(visitor: &Visitor<Unprotected>) -> Result<Option<Enrolment>, PageError> {
    let session = visitor.person().session.clone();
    visitor
        .look(move |m| match second_factor::enrolment(m, &session) {
            Ok(enrolment) => Ok(Some(enrolment)),
            Err(ServiceError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        })
        .await
}

/// Makes a secret for an app; it counts once a code was shown.
pub(in crate::http::dashboard) async fn begin(visitor: Visitor<Unprotected>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let session = visitor.person().session.clone();
    match visitor.change(move |m| second_factor::begin(m, &session)).await {
        Ok(()) => Ok(visitor.redirect("/account/2fa")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// Takes the first code.
pub(in crate::http::dashboard) async fn confirm(visitor: Visitor<Unprotected>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let (authority, code) = (&visitor.site().authority, form.secret("code"));
    match sign_in::confirm_authenticator(authority, visitor.caller(), visitor.person(), code).await {
        Ok(Some(codes)) => visitor.page(&RecoveryCodesView::new(&codes, "/account")),
        Ok(None) => match enrolment(&visitor).await? {
            Some(enrolment) => {
                let view = AuthenticatorView::new(&enrolment, Faults::one("code", WRONG));
                visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
            }
            None => Ok(visitor.redirect("/account#two-factor")),
        },
        Err(ServiceError::NotFound(_)) => Ok(visitor.redirect("/account#two-factor")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// Takes the second factor away.
pub(in crate::http::dashboard) async fn remove(visitor: Visitor<Anyone>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let id = visitor.person().person.id;
    match visitor.change(move |m| second_factor::remove(m, id)).await {
        Ok(()) => Ok(visitor.go("/account", "second-factor-removed")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// Makes other recovery codes.
pub(in crate::http::dashboard) async fn renew_recovery_codes(visitor: Visitor<Anyone>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let id = visitor.person().person.id;
    match visitor.create(&form, move |m| second_factor::renew_recovery_codes(m, id)).await {
        Ok(codes) => visitor.page(&RecoveryCodesView::new(&codes, "/account")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// The account page, which says why it was not done.
async fn refused<D: Admission>(visitor: &Visitor<D>, error: ServiceError) -> PageResult {
    match error {
        ServiceError::Conflict(_) => {
            let faults = Faults::of_service(error).map_err(|error| PageError::service(visitor, &error))?;
            let view = AccountView::load(visitor, faults).await?;
            visitor.page_with(StatusCode::CONFLICT, &view)
        }
        error => Err(PageError::service(visitor, &error)),
    }
}

#[cfg(test)]
pub(in crate::http::dashboard) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    fn enrolment() -> Enrolment {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let url = format!("otpauth://totp/Brevet%20id.example.com:ana%40acme.example?secret={text}");
        Enrolment { text: Secret::new(text), url: Secret::new(url) }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let codes: Vec<Secret> = (0..10).map(|_| crate::secret::generate_recovery_code().unwrap()).collect();
        vec![
            sample(AuthenticatorView::new(&enrolment(), Faults::one("code", WRONG))),
            sample(AuthenticatorView::demanded(None, "/apps", Faults::default())),
            sample(AuthenticatorView::demanded(Some(&enrolment()), "/", Faults::default())),
            sample(RecoveryCodesView::new(&codes, "/account")),
        ]
    }
}
