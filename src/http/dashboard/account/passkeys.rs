//! `/account/passkeys`: passkeys are added and taken away.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::sign_in::passkey::{answer, ceremony};
use crate::http::dashboard::visitor::{Anyone, Unprotected, Visitor};
use crate::service::passkeys;

const WRONG: &str =
    "The passkey was not added: it took too long, or your browser gave an answer that does not hold. Try again.";

/// Adding a passkey.
#[derive(Debug, Serialize)]
pub(super) struct PasskeyView {
    name: String,
    faults: Faults,
}

impl View for PasskeyView {
    const TEMPLATE: &'static str = "dashboard/passkey";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Add a passkey".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The page.
pub(in crate::http::dashboard) async fn show(visitor: Visitor<Unprotected>) -> PageResult {
    if !visitor.site().authority.has_passkeys() {
        return Err(PageError::not_found(&visitor));
    }
    visitor.page(&PasskeyView { name: String::new(), faults: Faults::default() })
}

/// Asks for a proof first, then leads to the page.
pub(in crate::http::dashboard) async fn start(visitor: Visitor<Unprotected>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    Ok(visitor.redirect("/account/passkeys"))
}

/// What to ask the browser, for the page's script.
pub(in crate::http::dashboard) async fn begin(visitor: Visitor<Unprotected>) -> PageResult {
    visitor.form(&[])?;
    if !visitor.person().is_confirmed(visitor.now()) {
        return Err(PageError::forbidden(&visitor, "Prove first who you are: begin again on your account page."));
    }
    let binding = visitor.binding();
    let begun = passkeys::begin_registration(&visitor.site().authority, visitor.person(), &binding).await;
    Ok(ceremony(&visitor, &begun.map_err(|error| PageError::service(&visitor, &error))?))
}

/// Adds what the browser made.
pub(in crate::http::dashboard) async fn add(visitor: Visitor<Unprotected>) -> PageResult {
    let form = visitor.form(&[])?;
    let (authority, name) = (&visitor.site().authority, form.trimmed("name"));
    let given = answer(&visitor, &form);
    let added = passkeys::finish_registration(authority, visitor.caller(), visitor.person(), &given, name).await;
    let faults = match added {
        Ok(true) => return Ok(visitor.go("/account", "passkey-added")),
        Ok(false) => Faults::one("", WRONG),
        Err(error) => Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?,
    };
    let view = PasskeyView { name: name.to_owned(), faults };
    visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

/// Takes one away.
pub(in crate::http::dashboard) async fn remove(visitor: Visitor<Anyone>, id: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let (id, person) = (visitor.id(&id)?, visitor.person().person.id);
    let removed = visitor.change(move |m| passkeys::remove(m, person, id)).await;
    removed.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go("/account", "passkey-removed"))
}

#[cfg(test)]
pub(in crate::http::dashboard) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let refused = PasskeyView { name: "Telephone".to_owned(), faults: Faults::one("", WRONG) };
        vec![sample(PasskeyView { name: String::new(), faults: Faults::default() }), sample(refused)]
    }
}
