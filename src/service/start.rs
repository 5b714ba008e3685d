//! What an organisation is told when somebody comes in: how far it has come, and what needs a look.

use std::time::Duration;

use super::audit::{Log, ShownDeed, browse};
use super::organisations::find as find_organisation;
use super::trusted_issuers::{self, ExpiringIssuer};
use super::usage::{OrganisationPicture, Range, has_checked_tokens, has_issued_tokens, organisation_picture};
use super::{Management, ServiceError};
use crate::db::app_keys::{self, EndingKey};
use crate::db::apps::{AppFilter, OwnerFilter};
use crate::db::audit::{AuditFilter, Place};
use crate::db::{apis, apps};

/// Keys that end within this are shown.
pub const ENDING_WITHIN: Duration = Duration::from_secs(14 * 86_400);
const MOST_ENDING: i64 = 5;
const LAST_DEEDS: i64 = 10;

/// How far an organisation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// It has an API of its own.
    pub has_api: bool,
    /// It has an app.
    pub has_app: bool,
    /// An app got a token.
    pub has_token: bool,
    /// A token was checked, or somebody said so.
    pub has_check: bool,
}

/// What is shown first.
#[derive(Debug)]
pub struct Start {
    /// How far the organisation has come; `None` if that cannot be said at the moment.
    pub progress: Option<Progress>,
    /// What its apps got and were refused; `None` if that cannot be said at the moment.
    pub usage: Option<OrganisationPicture>,
    /// Keys that end soon, the first to end first.
    pub ending: Vec<EndingKey>,
    /// How many apps nobody looks after.
    pub without_owner: i64,
    /// Trusted issuers whose certificate ends soon or is over, the first to end first.
    pub issuers: Vec<ExpiringIssuer>,
    /// What was done last, newest first.
    pub deeds: Vec<ShownDeed>,
}

/// Gathers it. Statistics that fail do not take the rest along.
///
/// # Errors
/// `NotFound` without the organisation; `Unavailable`.
pub fn gather(m: &Management, organisation: &str, range: Range) -> Result<Start, ServiceError> {
    let now = m.now();
    let (has_api, has_app, ending, without_owner) = m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        // Brevet's own API is everybody's, so it is not counted.
        let has_api = apis::list_page(conn, id, None, 2)?.iter().any(|api| api.organisation_id.is_some());
        let has_app = !apps::list(conn, id, None, 1)?.is_empty();
        let ending = app_keys::list_ending(conn, id, now, now + ENDING_WITHIN, MOST_ENDING)?;
        let nobodys = AppFilter { owner: Some(OwnerFilter::Nobody), ..AppFilter::default() };
        let without_owner = apps::count_picked(conn, id, &nobodys, now)?;
        Ok::<_, ServiceError>((has_api, has_app, ending, without_owner))
    })?;
    let issuers = trusted_issuers::expiring(m, Some(organisation))?;
    let log = Log::Organisation(organisation.to_owned());
    let deeds = browse(m, &log, &AuditFilter::default(), Place::Newest, LAST_DEEDS)?;
    let has_token = told(has_issued_tokens(m, organisation));
    let has_check = told(has_checked_tokens(m, organisation));
    let progress =
        has_token.zip(has_check).map(|(has_token, has_check)| Progress { has_api, has_app, has_token, has_check });
    let usage = told(organisation_picture(m, organisation, range));
    Ok(Start { progress, usage, ending, without_owner, issuers, deeds })
}

/// An answer, or nothing and a line in the log.
fn told<T>(answer: Result<T, ServiceError>) -> Option<T> {
    answer.inspect_err(|error| log::warn!(error:%; "the use of apps cannot be shown")).ok()
}
