//! Finding apps in a list for people.

use std::time::Duration;

use uuid::Uuid;

use super::show;
use crate::db::apps::{AppFilter, AppOrder, AppRecord, AppSummary, OwnerFilter, count_picked, list_picked};
use crate::oauth::ClientId;
use crate::service::organisations::find as find_organisation;
use crate::service::{Management, ServiceError};

/// An app that got no token for so long may be one that nobody needs.
pub const LONG_UNUSED: Duration = Duration::from_secs(90 * 86_400);
/// A key that ends within this time should be replaced.
pub const ENDING_SOON: Duration = Duration::from_secs(14 * 86_400);
/// Words to look for, in characters.
pub const LONGEST_WORDS: usize = 100;

/// Which apps to show, in which order, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSearch {
    /// A part of the name, or of the id.
    pub words: Option<String>,
    /// Those that get tokens, or those that do not.
    pub enabled: Option<bool>,
    /// Those that were granted scopes of that API.
    pub api_id: Option<Uuid>,
    /// Those that got no token for [`LONG_UNUSED`].
    pub unused: bool,
    /// Those with a key that ends within [`ENDING_SOON`].
    pub ending: bool,
    /// Those that somebody looks after, or nobody.
    pub owner: Option<OwnerFilter>,
    /// In which order.
    pub order: AppOrder,
    /// The other way round.
    pub descending: bool,
    /// Counted from 1; behind the last page there is the last one.
    pub page: i64,
    /// Apps on a page.
    pub per_page: i64,
}

impl AppSearch {
    /// Whether some apps may be left out.
    pub fn picks(&self) -> bool {
        let by_kind = self.enabled.is_some() || self.api_id.is_some() || self.owner.is_some();
        self.words.is_some() || by_kind || self.unused || self.ending
    }
}

/// A page of apps.
#[derive(Debug, Clone)]
pub struct AppPage {
    /// The apps.
    pub apps: Vec<AppSummary>,
    /// How many were found, on all pages.
    pub found: i64,
    /// How many the organisation has.
    pub total: i64,
    /// Which page it is, counted from 1.
    pub page: i64,
    /// How many there are, at least 1.
    pub pages: i64,
}

/// The apps of an organisation that are looked for.
///
/// # Errors
/// `NotFound` without the organisation, `InvalidField` for words that no app can have.
pub fn search(m: &Management, organisation: &str, search: &AppSearch) -> Result<AppPage, ServiceError> {
    let now = m.now();
    if search.words.iter().any(|words| words.chars().count() > LONGEST_WORDS || words.chars().any(char::is_control)) {
        return Err(ServiceError::field(
            "q",
            format!("look for at most {LONGEST_WORDS} characters, none of them a control character"),
        ));
    }
    let filter = AppFilter {
        words: search.words.clone(),
        enabled: search.enabled,
        api_id: search.api_id,
        unused_since: search.unused.then(|| now - LONG_UNUSED),
        ending_before: search.ending.then(|| now + ENDING_SOON),
        owner: search.owner,
    };
    let per_page = search.per_page.max(1);
    m.database.read_with(|conn| {
        let organisation = find_organisation(conn, organisation)?.id;
        let total = crate::db::apps::count(conn, organisation)?;
        let found = if search.picks() { count_picked(conn, organisation, &filter, now)? } else { total };
        let pages = found.saturating_add(per_page - 1).checked_div(per_page).unwrap_or(1).max(1);
        let page = search.page.clamp(1, pages);
        let place = ((page - 1).saturating_mul(per_page), per_page);
        let apps = list_picked(conn, organisation, &filter, (search.order, search.descending), place, now)?;
        Ok::<_, ServiceError>(AppPage { apps, found, total, page, pages })
    })
}

/// The first `most` apps by name that have these words in their name or id, to choose one of, and the one that was chosen:
/// another organisation's is as one that does not exist.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn choose(
    m: &Management,
    organisation: &str,
    words: &str,
    chosen: Option<ClientId>,
    most: i64,
) -> Result<(AppPage, Option<AppRecord>), ServiceError> {
    let search_for = AppSearch {
        owner: None,
        words: Some(words.to_owned()).filter(|words| !words.is_empty()),
        enabled: None,
        api_id: None,
        unused: false,
        ending: false,
        order: AppOrder::Name,
        descending: false,
        page: 1,
        per_page: most,
    };
    let found = search(m, organisation, &search_for)?;
    let chosen = chosen.and_then(|client_id| show(m, client_id).ok());
    Ok((found, chosen.map(|found| found.app)))
}
