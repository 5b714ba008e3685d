//! Scopes to tick, grouped by the API that they belong to.

use std::collections::BTreeSet;

use serde::Serialize;
use uuid::Uuid;

use crate::db::apis::{ApiRecord, MANAGEMENT_API};
use crate::http::dashboard::error::PageError;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::visitor::{Admission, Visitor};
use crate::service::apis;
use crate::service::paging::LONGEST_WORDS;

/// The scopes of one API.
#[derive(Debug, Clone, Serialize)]
pub(in crate::http::dashboard) struct ScopeGroup {
    id: String,
    name: String,
    identifier: String,
    /// Whether it is Brevet's own API: whoever has its scopes has power over the organisation.
    is_management: bool,
    /// Whether its scopes are in sight.
    is_open: bool,
    ticked: usize,
    scopes: Vec<ScopeBox>,
}

#[derive(Debug, Clone, Serialize)]
struct ScopeBox {
    name: String,
    description: String,
    is_sensitive: bool,
    is_ticked: bool,
}

/// The APIs to choose among. What is ticked is always there, and so is what the pressed button or the address names; of an
/// organisation with very many APIs the others have to be looked for.
#[derive(Debug)]
pub(in crate::http::dashboard) struct Known {
    pub(in crate::http::dashboard) apis: Vec<ApiRecord>,
    finder: Option<Finder>,
}

/// A field that finds APIs, for an organisation that has more than are shown.
#[derive(Debug, Clone, Serialize)]
pub(in crate::http::dashboard) struct Finder {
    words: String,
    shown: usize,
    total: i64,
}

impl Known {
    /// Reads those that matter for what is ticked; `named` may be the id of an API or a button that names one.
    pub(in crate::http::dashboard) async fn find<D: Admission>(
        visitor: &Visitor<D>,
        ticked: &BTreeSet<String>,
        named: &str,
        words: &str,
    ) -> Result<Self, PageError> {
        let (organisation, scopes) = (visitor.organisation(), ticked.iter().cloned().collect::<Vec<_>>());
        let named = named.rsplit(':').next().and_then(|id| Uuid::try_parse(id).ok());
        let (ids, wanted) = (Vec::from_iter(named), words.to_owned());
        let choices = visitor.look(move |m| apis::choose(m, &organisation, &scopes, &ids, &wanted)).await?;
        let shown = choices.apis.iter().filter(|api| api.id != MANAGEMENT_API).count();
        let is_cut = i64::try_from(shown).is_ok_and(|shown| shown < choices.total);
        let finder = is_cut.then(|| Finder { words: words.to_owned(), shown, total: choices.total });
        Ok(Self { apis: choices.apis, finder })
    }

    /// What the field that finds others is filled with, if there are others.
    pub(in crate::http::dashboard) fn finder(&self) -> Option<Finder> {
        self.finder.clone()
    }
}

impl Finder {
    /// One for samples.
    #[cfg(test)]
    pub(in crate::http::dashboard) fn sample() -> Self {
        Self { words: "<b>".to_owned(), shown: 50, total: 99 }
    }
}

/// What is looked for among the APIs.
pub(in crate::http::dashboard) fn words(form: &Form) -> String {
    form.trimmed(WORDS).chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
}

/// Whether the person looks for other APIs: with the button for that, or with the Enter key, which presses another one.
pub(in crate::http::dashboard) fn looks_for_others(form: &Form) -> bool {
    form.text("do") == "find" || form.text(WORDS) != form.text("api-words-shown")
}

const WORDS: &str = "api-words";

/// The APIs of an organisation, Brevet's own last, with those scopes ticked. `open` is the id of an API to be shown at once.
pub(in crate::http::dashboard) fn groups(apis: &[ApiRecord], ticked: &BTreeSet<String>, open: &str) -> Vec<ScopeGroup> {
    let own = apis.iter().filter(|api| api.id != MANAGEMENT_API).count();
    let group = |api: &ApiRecord| {
        let id = api.id.to_string();
        let scopes: Vec<ScopeBox> = api
            .scopes
            .iter()
            .map(|scope| ScopeBox {
                name: scope.name.clone(),
                description: scope.description.clone(),
                is_sensitive: scope.sensitive,
                is_ticked: ticked.contains(&scope.name),
            })
            .collect();
        let count = scopes.iter().filter(|scope| scope.is_ticked).count();
        let is_management = api.id == MANAGEMENT_API;
        ScopeGroup {
            is_open: count > 0 || id == open || (!is_management && own <= 3),
            name: api.name.clone(),
            identifier: api.identifier.clone(),
            is_management,
            ticked: count,
            scopes,
            id,
        }
    };
    apis.iter().map(group).collect()
}

/// What a button beside the boxes asks for: `read:` or `none:` and the id of an API. Gives what is ticked then.
pub(in crate::http::dashboard) fn press(
    button: &str,
    apis: &[ApiRecord],
    ticked: &BTreeSet<String>,
) -> Option<BTreeSet<String>> {
    let (what, id) = button.split_once(':')?;
    let api = apis.iter().find(|api| api.id.to_string() == id)?;
    let names = api.scopes.iter().map(|scope| scope.name.clone());
    match what {
        "read" => Some(ticked.iter().cloned().chain(names.filter(|name| reads(name))).collect()),
        "none" => {
            let names: BTreeSet<String> = names.collect();
            Some(ticked.difference(&names).cloned().collect())
        }
        _ => None,
    }
}

/// Whether a scope is for reading, as far as its name says.
fn reads(name: &str) -> bool {
    name.rsplit([':', '.', '/', '-', '_']).next().is_some_and(|last| matches!(last, "read" | "list" | "view" | "get"))
}

/// The scopes that are ticked, by API: for a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::http::dashboard) struct ChosenScopes {
    pub(in crate::http::dashboard) api: String,
    pub(in crate::http::dashboard) scopes: Vec<String>,
    pub(in crate::http::dashboard) is_management: bool,
}

/// What of these scopes belongs to which API. Names that belong to none are left out.
pub(in crate::http::dashboard) fn by_api(apis: &[ApiRecord], scopes: &BTreeSet<String>) -> Vec<ChosenScopes> {
    let chosen = apis.iter().map(|api| ChosenScopes {
        api: api.name.clone(),
        scopes: api.scopes.iter().map(|scope| scope.name.clone()).filter(|name| scopes.contains(name)).collect(),
        is_management: api.id == MANAGEMENT_API,
    });
    chosen.filter(|chosen| !chosen.scopes.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::api;

    #[test]
    fn buttons_tick_what_reads_and_untick_all_of_an_api() {
        let apis = [api()];
        let id = apis[0].id;
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let ticked = set(&["other", "billing:write"]);
        assert_eq!(
            press(&format!("read:{id}"), &apis, &ticked),
            Some(set(&["other", "billing:write", "billing:read"]))
        );
        assert_eq!(press(&format!("none:{id}"), &apis, &ticked), Some(set(&["other"])));
        for nothing in ["create", "read:x", "drop:x", ""] {
            assert_eq!(press(nothing, &apis, &ticked), None);
        }
    }
}
