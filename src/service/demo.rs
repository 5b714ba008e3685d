//! `serve --demo`: something to try on a fresh machine.

use std::time::Duration;

use super::accounts::{self, NewMember};
use super::apis::{self, NewApi};
use super::apps::{self, CreatedApp, NewApp};
use super::{Management, ServiceError, organisations, people};
use crate::db::apis::ScopeRecord;
use crate::db::developers::Role;
use crate::oauth::api::management_scope;
use crate::oauth::{SigningAlgorithm, TokenProfile};
use crate::secret::{Secret, random_id};

/// The demo organisation's slug.
pub const ORGANISATION: &str = "demo";
/// The demo developer's address.
pub const DEVELOPER: &str = "demo@example.com";

/// What was made. The only time key and password are seen.
#[derive(Debug)]
pub struct Demo {
    /// The app.
    pub app: CreatedApp,
    /// The developer's password.
    pub password: Secret,
}

/// Makes organisation, developer, API and app; nothing if they are there already.
///
/// # Errors
/// When the database does not take it.
pub fn create(m: &Management) -> Result<Option<Demo>, ServiceError> {
    if organisations::list(m)?.iter().any(|organisation| organisation.slug == ORGANISATION) {
        return Ok(None);
    }
    organisations::create(m, ORGANISATION, "Demo")?;
    let password = Secret::new(random_id()?);
    let developer =
        NewMember { organisation: ORGANISATION, email: DEVELOPER, login: None, role: Role::Owner, password: &password };
    let developer_id = accounts::create(m, &developer)?;
    people::set_operator(m, developer_id, true)?;
    Ok(Some(Demo { app: create_app(m, ORGANISATION)?, password }))
}

/// Makes an API and an app that may read it.
///
/// # Errors
/// `Conflict` when the API is another organisation's already.
pub(super) fn create_app(m: &Management, organisation: &str) -> Result<CreatedApp, ServiceError> {
    let scope =
        |name: &str, text: &str| ScopeRecord { name: name.to_owned(), description: text.to_owned(), sensitive: false };
    apis::create(
        m,
        &NewApi {
            organisation,
            name: "Reports",
            identifier: "https://reports.example.com",
            scopes: vec![scope("reports:read", "Read reports"), scope("reports:write", "Write reports")],
            profile: TokenProfile::Rfc9068,
            algorithm: SigningAlgorithm::Rs256,
            lifetime: None,
        },
    )?;
    let app = NewApp {
        name: "Demo app".to_owned(),
        scopes: vec!["reports:read".to_owned(), management_scope::APPS_READ.to_owned()],
        lifetime: Some(Duration::from_secs(86_400).min(m.config.access_token_lifetime)),
        ..NewApp::default()
    };
    apps::create(m, organisation, app)
}
