//! `/apps/{sid}/scopes`: what an app may do; a change is looked at before it is made.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::Tab;
use super::head::AppHead;
use super::scope_groups::{ChosenScopes, Finder, Known, ScopeGroup, by_api, groups, looks_for_others, press, words};
use crate::db::apis::ApiRecord;
use crate::db::apps::AppRecord;
use crate::db::developers::Role;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::{Form, VERSION};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Admission, AnyMember, Developer, Visitor};
use crate::oauth::ClientId;
use crate::service::ServiceError;
use crate::service::apps::{self, AppDetails, AppUpdate};

/// The scopes, to be ticked or only looked at.
#[derive(Debug, Serialize)]
struct ScopesView {
    app: AppHead,
    version: String,
    groups: Vec<ScopeGroup>,
    finder: Option<Finder>,
    granted: Vec<ChosenScopes>,
    may_change: bool,
    faults: Faults,
}

impl View for ScopesView {
    const TEMPLATE: &'static str = "dashboard/apps/scopes";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Scopes of {}", self.app.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// What a change would do, before it is done or because somebody else was quicker.
#[derive(Debug, Serialize)]
struct ReviewView {
    app: AppHead,
    version: String,
    /// All that will be granted.
    wanted: Vec<String>,
    added: Vec<ChosenScopes>,
    removed: Vec<ChosenScopes>,
    adds_power: bool,
    removes_power: bool,
    removes_other: bool,
    /// Whether the app was changed since the person looked: then what it has now is here too.
    is_conflict: bool,
    granted: Vec<ChosenScopes>,
}

impl View for ReviewView {
    const TEMPLATE: &'static str = "dashboard/apps/scopes-review";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        if self.is_conflict { "Somebody changed this app meanwhile" } else { "Review the change" }.to_owned()
    }

    fn is_refused(&self) -> bool {
        self.is_conflict
    }
}

fn granted(app: &AppRecord) -> BTreeSet<String> {
    app.scopes.iter().map(|(_, scope)| scope.clone()).collect()
}

impl ScopesView {
    fn new(
        details: &AppDetails,
        apis: &[ApiRecord],
        ticked: &BTreeSet<String>,
        version: &str,
        may_change: bool,
    ) -> Self {
        Self {
            app: AppHead::new(&details.app, Tab::Scopes),
            version: version.to_owned(),
            groups: groups(apis, ticked, ""),
            finder: None,
            granted: by_api(apis, &granted(&details.app)),
            may_change,
            faults: Faults::default(),
        }
    }
}

impl ReviewView {
    fn new(
        details: &AppDetails,
        apis: &[ApiRecord],
        wanted: &BTreeSet<String>,
        version: &str,
        is_conflict: bool,
    ) -> Self {
        let now = granted(&details.app);
        let of = |scopes: BTreeSet<String>| by_api(apis, &scopes);
        let added = of(wanted.difference(&now).cloned().collect());
        let removed = of(now.difference(wanted).cloned().collect());
        Self {
            app: AppHead::new(&details.app, Tab::Scopes),
            version: version.to_owned(),
            wanted: wanted.iter().cloned().collect(),
            adds_power: added.iter().any(|chosen| chosen.is_management),
            removes_power: removed.iter().any(|chosen| chosen.is_management),
            removes_other: removed.iter().any(|chosen| !chosen.is_management),
            added,
            removed,
            is_conflict,
            granted: of(now),
        }
    }
}

/// The app, and the APIs that matter for what it has and what is ticked, for a button that names one, and for words.
async fn find<D: Admission>(
    visitor: &Visitor<D>,
    client_id: ClientId,
    ticked: &BTreeSet<String>,
    (button, words): (&str, &str),
) -> Result<(AppDetails, Known), PageError> {
    let details = visitor.look(move |m| apps::show(m, client_id)).await?;
    let all = granted(&details.app).union(ticked).cloned().collect();
    let known = Known::find(visitor, &all, button, words).await?;
    Ok((details, known))
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let (details, known) = find(&visitor, client_id, &BTreeSet::new(), ("", "")).await?;
    let ticked = granted(&details.app);
    let may_change = visitor.has_role(Role::Developer);
    let view = ScopesView::new(&details, &known.apis, &ticked, details.version.as_str(), may_change);
    visitor.page(&ScopesView { finder: known.finder(), ..view })
}

/// Shows what a change would do, or does it.
pub(super) async fn change(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.form(&["scope"])?;
    let ticked: BTreeSet<String> = form.all("scope").map(str::to_owned).collect();
    if form.text("do") == "save" {
        return save(&visitor, client_id, &form, ticked).await;
    }
    let (details, known) = find(&visitor, client_id, &ticked, (form.text("do"), &words(&form))).await?;
    let (version, apis) = (form.text(VERSION), &known.apis);
    let view = |ticked: &BTreeSet<String>| ScopesView {
        finder: known.finder(),
        ..ScopesView::new(&details, apis, ticked, version, true)
    };
    if looks_for_others(&form) {
        return visitor.page(&view(&ticked));
    }
    if let Some(ticked) = press(form.text("do"), apis, &ticked) {
        return visitor.page(&view(&ticked));
    }
    let again = |faults| ScopesView { faults, ..view(&ticked) };
    let is_known = |name: &String| apis.iter().any(|api| api.scopes.iter().any(|scope| scope.name == *name));
    let fault = if !ticked.iter().all(is_known) {
        Some("One of the scopes is not there any more. Look at the list again")
    } else if ticked == granted(&details.app) {
        Some("Nothing is changed: the app has just these scopes")
    } else {
        None
    };
    if let Some(fault) = fault {
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &again(Faults::one("scopes", fault)));
    }
    if version != details.version.as_str() {
        return conflict(&visitor, client_id, &ticked).await;
    }
    visitor.page(&ReviewView::new(&details, apis, &ticked, version, false))
}

async fn save(visitor: &Visitor<Developer>, client_id: ClientId, form: &Form, wanted: BTreeSet<String>) -> PageResult {
    visitor.confirm_for_power(form, wanted.iter().map(String::as_str)).await?;
    let scopes = wanted.iter().cloned().collect();
    let update = AppUpdate { scopes: Some(scopes), ..AppUpdate::default() };
    match visitor.change_seen(form, move |m| apps::update(m, client_id, update)).await {
        Ok(_) => Ok(visitor.go(&format!("/apps/{client_id}/scopes"), "scopes-changed")),
        Err(ServiceError::Stale) => conflict(visitor, client_id, &wanted).await,
        Err(ServiceError::UnknownScope(_)) => {
            let (details, known) = find(visitor, client_id, &wanted, ("", "")).await?;
            let faults = Faults::one("scopes", "One of the scopes is not there any more. Look at the list again");
            let view = ScopesView::new(&details, &known.apis, &wanted, details.version.as_str(), true);
            let view = ScopesView { faults, finder: known.finder(), ..view };
            visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
        Err(error) => Err(PageError::service(visitor, &error)),
    }
}

/// What the app has now and what was wanted, side by side: nothing is lost and nothing is overwritten unseen.
async fn conflict(visitor: &Visitor<Developer>, client_id: ClientId, wanted: &BTreeSet<String>) -> PageResult {
    let (details, known) = find(visitor, client_id, wanted, ("", "")).await?;
    let view = ReviewView::new(&details, &known.apis, wanted, details.version.as_str(), true);
    visitor.page_with(StatusCode::CONFLICT, &view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{api, details, management_api};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let apis = [api(), management_api()];
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let view = |may_change| ScopesView::new(&details(), &apis, &set(&["billing:read"]), "v", may_change);
        let review = |wanted: &[&str], is_conflict| ReviewView::new(&details(), &apis, &set(wanted), "v", is_conflict);
        vec![
            sample(view(true)),
            sample(ScopesView { finder: Some(Finder::sample()), ..view(true) }),
            sample(view(false)),
            sample(ScopesView { faults: Faults::one("scopes", "No."), ..view(true) }),
            sample(ScopesView { granted: Vec::new(), ..view(false) }),
            sample(review(&["billing:write", "apps:read"], false)),
            sample(review(&[], true)),
            sample(review(&["billing:read"], true)),
        ]
    }

    #[test]
    fn a_review_tells_what_comes_and_what_goes() {
        let apis = [api(), management_api()];
        let wanted = ["billing:write".to_owned(), "apps:read".to_owned()].into();
        let review = ReviewView::new(&details(), &apis, &wanted, "v", false);
        let names =
            |chosen: &[ChosenScopes]| chosen.iter().flat_map(|chosen| chosen.scopes.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&review.added), names(&review.removed)),
            (vec!["billing:write".to_owned(), "apps:read".to_owned()], vec!["billing:read".to_owned()])
        );
        assert!(review.adds_power && review.removes_other && !review.removes_power);
    }
}
