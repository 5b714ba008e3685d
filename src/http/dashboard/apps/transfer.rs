//! `/apps/{sid}/transfer`: another member looks after an app.

use actix_web::web::Path;
use serde::Serialize;

use super::settings;
use crate::db::members::TeamMember;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::service::apps::{self, AppDetails, MOST_CANDIDATES};

/// Who looks after an app, and who may.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OwnerField {
    owner: Option<String>,
    candidates: Vec<Candidate>,
    /// Whether there are too many to choose from, so that one is written down.
    is_written: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Candidate {
    email: String,
    name: String,
}

impl OwnerField {
    pub(super) fn new(details: &AppDetails, members: &[TeamMember]) -> Self {
        let others = members.iter().filter(|member| Some(member.person.id) != details.app.owner_id);
        let candidate =
            |member: &TeamMember| Candidate { email: member.person.email.clone(), name: member.person.name.clone() };
        Self {
            owner: details.owner.clone(),
            candidates: others.take(MOST_CANDIDATES).map(candidate).collect(),
            is_written: members.len() > MOST_CANDIDATES,
        }
    }
}

/// Hands the app over.
pub(super) async fn transfer(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.form(&[])?;
    let email = form.trimmed("owner").to_owned();
    match visitor.change_seen(&form, move |m| apps::transfer(m, client_id, &email)).await {
        Ok(_) => Ok(visitor.go(&format!("/apps/{client_id}/settings"), "app-transferred")),
        Err(error) => match Faults::of_service(error) {
            Ok(_) => {
                let faults = Faults::one("owner", "Choose a member who is a developer or more in this organisation");
                settings::refused(&visitor, client_id, &form, None, None, faults).await
            }
            Err(error) => Err(PageError::service(&visitor, &error)),
        },
    }
}
