//! `/apps`: the apps of the organisation.

use serde::Serialize;

use super::query::{self, SIZES};
use super::{Choice, spans};
use crate::clock::Timestamp;
use crate::db::apis::ApiName;
use crate::db::apps::{AppOrder, AppSummary};
use crate::db::developers::Role;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::dashboard::when::When;
use crate::http::pictures::Spark;
use crate::service::apps::{self, AppPage, AppSearch, ENDING_SOON};
use crate::service::usage::{self, Sparkline};
use crate::service::{Management, apis};

/// The list.
#[derive(Debug, Serialize)]
struct ListView {
    words: String,
    statuses: Vec<Choice>,
    apis: Vec<Choice>,
    owners: Vec<Choice>,
    unused: bool,
    ending: bool,
    sizes: Vec<Choice>,
    /// As in the address.
    sort: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// How many were found, on all pages, and how many there are.
    found: i64,
    total: i64,
    /// Where the page begins and ends.
    first: i64,
    last: i64,
    page_number: i64,
    pages: i64,
    previous: Option<String>,
    next: Option<String>,
    /// Whether some may be left out.
    picks: bool,
    may_create: bool,
}

/// The head of a column by which the list can be sorted.
#[derive(Debug, Serialize)]
struct Column {
    label: &'static str,
    href: String,
    /// For `aria-sort`.
    direction: &'static str,
    arrow: &'static str,
}

#[derive(Debug, Serialize)]
struct Row {
    sid: String,
    /// Its first and last characters, by which people know it again.
    short_sid: String,
    name: String,
    scopes: i64,
    has_keys: bool,
    live_keys: usize,
    /// What should be done about its keys.
    warning: Option<String>,
    last_used: Option<When>,
    created: When,
    is_enabled: bool,
    owner: Option<String>,
    /// The last seven days.
    week: Option<Spark>,
}

impl View for ListView {
    const TEMPLATE: &'static str = "dashboard/apps/list";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "Apps".to_owned()
    }
}

impl Row {
    fn new(app: AppSummary, week: Option<&Sparkline>, now: Timestamp) -> Self {
        let soon = app.next_end.filter(|(_, ends_at)| *ends_at < now + ENDING_SOON);
        let warning = match soon {
            Some((_, ends_at)) => Some(format!("Key ends in {}", spans::words(ends_at.since(now)))),
            None if app.has_keys && app.live_keys == 0 => Some("No key works: it can get no token".to_owned()),
            None => None,
        };
        let sid = app.client_id.to_string();
        let last = sid.char_indices().rev().nth(3).map_or("", |(at, _)| sid.get(at..).unwrap_or_default());
        Self {
            short_sid: format!("{}…{last}", sid.chars().take(4).collect::<String>()),
            sid,
            name: app.name,
            scopes: app.scopes,
            has_keys: app.has_keys,
            live_keys: app.live_keys,
            warning,
            last_used: app.last_used_at.map(When::of),
            created: When::of(app.created_at),
            is_enabled: app.disabled_at.is_none(),
            owner: app.owner,
            week: week.map(Spark::new),
        }
    }
}

/// The other direction for the column that the list is sorted by, else the one that people expect first.
fn column(search: &AppSearch, label: &'static str, order: AppOrder) -> Column {
    let is_sorted = search.order == order;
    let descending = if is_sorted { !search.descending } else { order != AppOrder::Name };
    let (direction, arrow) = match (is_sorted, search.descending) {
        (false, _) => ("none", ""),
        (true, false) => ("ascending", "▲"),
        (true, true) => ("descending", "▼"),
    };
    let to = AppSearch { order, descending, page: 1, ..search.clone() };
    Column { label, href: format!("/apps{}", query::write(&to)), direction, arrow }
}

impl ListView {
    fn new(
        search: &AppSearch,
        (found, weeks): (AppPage, &[Sparkline]),
        apis: &[ApiName],
        may_create: bool,
        now: Timestamp,
    ) -> Self {
        let week = |app: &AppSummary| weeks.iter().find(|week| week.client_id == app.client_id);
        let status = match search.enabled {
            None => "",
            Some(true) => "active",
            Some(false) => "disabled",
        };
        let api = search.api_id.map(|id| id.to_string()).unwrap_or_default();
        let choices = apis.iter().map(|known| Choice::new(&known.id.to_string(), &known.name, &api));
        let to = |page| format!("/apps{}", query::write(&AppSearch { page, ..search.clone() }));
        let before = (found.page - 1).saturating_mul(search.per_page);
        Self {
            words: search.words.clone().unwrap_or_default(),
            statuses: [("", "All"), ("active", "Active"), ("disabled", "Disabled")]
                .map(|(value, label)| Choice::new(value, label, status))
                .into(),
            apis: std::iter::once(Choice::new("", "All", &api)).chain(choices).collect(),
            owners: [("", "Everybody's"), ("me", "Mine"), ("none", "Nobody's")]
                .map(|(value, label)| Choice::new(value, label, search.owner.map_or("", query::owner_word)))
                .into(),
            unused: search.unused,
            ending: search.ending,
            sizes: SIZES
                .map(|size| Choice::new(&size.to_string(), &size.to_string(), &search.per_page.to_string()))
                .into(),
            sort: query::sort(search.order, search.descending),
            columns: vec![
                column(search, "Name", AppOrder::Name),
                column(search, "Last used", AppOrder::LastUsed),
                column(search, "Created", AppOrder::Created),
            ],
            first: if found.found == 0 { 0 } else { before + 1 },
            last: before + i64::try_from(found.apps.len()).unwrap_or_default(),
            rows: found
                .apps
                .into_iter()
                .map(|app| (week(&app), app))
                .map(|(week, app)| Row::new(app, week, now))
                .collect(),
            found: found.found,
            total: found.total,
            page_number: found.page,
            pages: found.pages,
            previous: (found.page > 1).then(|| to(found.page - 1)),
            next: (found.page < found.pages).then(|| to(found.page + 1)),
            picks: search.picks(),
            may_create,
        }
    }
}

/// The list, as the address asks for it.
pub(super) async fn list(visitor: Visitor<AnyMember>) -> PageResult {
    let text: Vec<&str> =
        visitor.request().query_string().split('&').filter(|part| !part.starts_with("done=")).collect();
    let search = query::read(&text.join("&"), visitor.person().person.id)
        .map_err(|bad| PageError::bad_request(&visitor, bad.0))?;
    let (organisation, wanted) = (visitor.organisation(), search.clone());
    let look = move |m: &Management| {
        let found = apps::search(m, &organisation, &wanted)?;
        let shown: Vec<_> = found.apps.iter().map(|app| app.client_id).collect();
        let weeks = usage::sparklines(m, &organisation, &shown)?;
        Ok((found, weeks, apis::list_names(m, &organisation, wanted.api_id)?))
    };
    let (found, weeks, apis) = visitor.look(look).await?;
    let may_create = visitor.has_role(Role::Developer);
    visitor.page(&ListView::new(&search, (found, &weeks), &apis, may_create, visitor.now()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{api, moment};
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::ClientId;

    fn app(name: &str) -> AppSummary {
        AppSummary {
            client_id: ClientId::generate(),
            name: name.to_owned(),
            scopes: 4,
            has_keys: true,
            live_keys: 2,
            next_end: None,
            last_used_at: None,
            disabled_at: None,
            created_at: moment(),
            owner: Some("ana <b>".to_owned()),
        }
    }

    fn week(client_id: ClientId) -> Sparkline {
        Sparkline { client_id, issued: [0, 3, 9, 0, 1, 0, 27], refused: [0, 0, 1, 0, 0, 0, 0] }
    }

    fn view(search: &str, apps: Vec<AppSummary>, found: i64, total: i64, may_create: bool) -> ListView {
        let page = AppPage { apps, found, total, page: 2, pages: 3 };
        let weeks: Vec<Sparkline> = page.apps.iter().take(2).map(|app| week(app.client_id)).collect();
        let name = ApiName { id: api().id, name: api().name };
        let search = query::read(search, uuid::Uuid::nil()).unwrap();
        ListView::new(&search, (page, &weeks), &[name], may_create, moment())
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let ending = AppSummary { next_end: Some(("7Qd2".to_owned(), moment())), ..app("invoice-sync") };
        let used =
            AppSummary { last_used_at: Some(moment()), disabled_at: Some(moment()), ..app("<b>\"nightly\"</b>") };
        let signs = AppSummary { has_keys: false, live_keys: 0, owner: None, ..app("signs its requests") };
        vec![
            sample(view("page=2&sort=-used", vec![ending, used, signs], 53, 60, true)),
            sample(view("", Vec::new(), 0, 0, true)),
            sample(view("", Vec::new(), 0, 0, false)),
            sample(view("q=nothing&status=active&unused=1&ending=1", Vec::new(), 0, 9, false)),
        ]
    }
}
