//! What the address of the list asks for.

use serde::Serialize;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::audit::{AuditFilter, Place};
use crate::http::dashboard::error::PageError;
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::oauth::form::parse_form;
use crate::service::audit::Log;

/// Nothing in the log is longer.
const LONGEST: usize = 300;
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Families of actions, and what people call them.
const KINDS: &[(&str, &str)] = &[
    ("app", "Apps and their keys"),
    ("api", "APIs and scopes"),
    ("token", "Tokens"),
    ("user", "People"),
    ("session", "Sessions"),
    ("member", "Members"),
    ("invitation", "Invitations"),
    ("organisation", "Organisations"),
    ("trusted-issuer", "Trusted issuers"),
    ("registration-token", "Registration tokens"),
    ("key", "Signing keys"),
];

/// A filter as it stands in its fields.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Shown {
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) address: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// An entry of a list to choose from.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    value: String,
    text: String,
    is_chosen: bool,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) log: Log,
    pub(super) filter: AuditFilter,
    pub(super) shown: Shown,
    pub(super) place: Place,
    pub(super) faults: Faults,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            log: Log::Organisation(String::new()),
            filter: AuditFilter::default(),
            shown: Shown::default(),
            place: Place::Newest,
            faults: Faults::default(),
        }
    }
}

impl Query {
    /// Reads it. Only who runs the server may ask for what concerns the whole server.
    pub(super) fn read(visitor: &Visitor<AnyMember>) -> Result<Self, PageError> {
        let text = |name: &str| visitor.query(name).unwrap_or_default().trim().to_owned();
        let log = match text("log").as_str() {
            "server" if visitor.person().person.is_operator => Log::Server,
            "server" => {
                return Err(PageError::forbidden(
                    visitor,
                    "Only those who run this server see what concerns all of it.",
                ));
            }
            _ => Log::Organisation(visitor.organisation()),
        };
        let shown = Shown {
            actor: text("actor"),
            action: text("action"),
            target: text("target"),
            address: text("address"),
            from: text("from"),
            to: text("to"),
        };
        // Else it would seem as if nothing narrowed the list.
        if parse_form(visitor.request().query_string().as_bytes()).is_err() {
            let mut query = Self { log, ..Self::of(shown) };
            query.faults.add("", "The filter in the address cannot be read. Enter it again.");
            return Ok(query);
        }
        let place = match (place(visitor, "before")?, place(visitor, "after")?) {
            (None, None) => Place::Newest,
            (Some(id), None) => Place::Before(id),
            (None, Some(id)) => Place::After(id),
            (Some(_), Some(_)) => {
                let text = "The address has both before and after: it may have one of them.";
                return Err(PageError::bad_request(visitor, text));
            }
        };
        Ok(Self { log, place, ..Self::of(shown) })
    }

    fn of(shown: Shown) -> Self {
        let mut faults = Faults::default();
        let mut some = |field: &str, text: &str| {
            if text.len() > LONGEST {
                faults.add(field, format!("At most {LONGEST} characters: nothing in the log is longer."));
            }
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let (actor, target) = (some("actor", &shown.actor), some("target", &shown.target));
        let (address, action) = (some("address", &shown.address), some("action", &shown.action));
        let mut moment = |field: &str, text: &str, end: bool| {
            let read = if text.is_empty() { Ok(None) } else { day(text, end).map(Some).ok_or(()) };
            read.unwrap_or_else(|()| {
                faults.add(field, "Write a day as 2026-11-22, or a moment as 2026-11-22T14:00:00Z.");
                None
            })
        };
        let (from, to) = (moment("from", &shown.from, false), moment("to", &shown.to, true));
        let is_exact = action.as_ref().is_some_and(|action| action.contains('.'));
        let (action, action_family) = if is_exact { (action, None) } else { (None, action) };
        Self {
            filter: AuditFilter { actor, action, action_family, target, address, from, to },
            shown,
            faults,
            ..Self::default()
        }
    }

    /// The same at another address, from another place on.
    pub(super) fn address(&self, path: &str, place: Option<(&str, &str)>) -> String {
        let shown = &self.shown;
        let log = if self.log == Log::Server { "server" } else { "" };
        let fields = [
            ("log", log),
            ("actor", &shown.actor),
            ("action", &shown.action),
            ("target", &shown.target),
            ("address", &shown.address),
            ("from", &shown.from),
            ("to", &shown.to),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty()).chain(place);
        let query = Serializer::new(String::new()).extend_pairs(given).finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// Whether anything narrows the list.
    pub(super) fn is_filtered(&self) -> bool {
        let shown = &self.shown;
        [&shown.actor, &shown.action, &shown.target, &shown.address, &shown.from, &shown.to]
            .into_iter()
            .any(|text| !text.is_empty())
    }

    /// What can be chosen as kind; an action that came with the address is there too.
    pub(super) fn kinds(&self) -> Vec<Choice> {
        let chosen = &self.shown.action;
        let choice = |(value, text): &(&str, &str)| Choice {
            value: (*value).to_owned(),
            text: (*text).to_owned(),
            is_chosen: value == chosen,
        };
        let mut choices: Vec<Choice> = KINDS.iter().map(choice).collect();
        if !chosen.is_empty() && !choices.iter().any(|choice| choice.is_chosen) {
            choices.insert(0, Choice { value: chosen.clone(), text: format!("Only {chosen}"), is_chosen: true });
        }
        choices
    }
}

/// The deed next to which the list begins.
fn place(visitor: &Visitor<AnyMember>, name: &str) -> Result<Option<Uuid>, PageError> {
    let Some(text) = visitor.strict_query(name)? else { return Ok(None) };
    let id = Uuid::try_parse(&text).ok().filter(|id| id.hyphenated().to_string() == text);
    id.map(Some).ok_or_else(|| {
        let text = format!(
            "The parameter {name} of the address takes the id of a deed, as the links Newer and Older have it."
        );
        PageError::bad_request(visitor, text)
    })
}

/// A moment, or the beginning of a day; its end for the end of a span.
fn day(text: &str, end: bool) -> Option<Timestamp> {
    let of_day = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    of_day.map(|day| if end { day + DAY } else { day }).or_else(|| Timestamp::parse_rfc3339(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(action: &str, from: &str, to: &str) -> Shown {
        Shown { action: action.to_owned(), from: from.to_owned(), to: to.to_owned(), ..Shown::default() }
    }

    #[test]
    fn a_day_is_whole_and_a_moment_is_exact() {
        let query = Query::of(shown("", "2026-11-22", "2026-11-22"));
        assert_eq!(
            (query.filter.from.unwrap().rfc3339(), query.filter.to.unwrap().rfc3339()),
            ("2026-11-22T00:00:00Z".to_owned(), "2026-11-23T00:00:00Z".to_owned())
        );
        let query = Query::of(shown("", "2026-11-22T14:00:00Z", ""));
        assert_eq!(query.filter.from.unwrap().rfc3339(), "2026-11-22T14:00:00Z");
        for wrong in ["yesterday", "2026-13-01", "22.11.2026", "'; DROP TABLE audit"] {
            assert!(!Query::of(shown("", wrong, "")).faults.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_kind_is_a_family_and_an_action_is_itself() {
        let family = Query::of(shown("app", "", ""));
        assert_eq!((family.filter.action, family.filter.action_family.as_deref()), (None, Some("app")));
        let exact = Query::of(shown("app.key.rotate", "", ""));
        assert_eq!((exact.filter.action.as_deref(), &exact.filter.action_family), (Some("app.key.rotate"), &None));
        assert!(exact.kinds()[0].is_chosen);
        assert_eq!(exact.address("/audit", Some(("before", "1"))), "/audit?action=app.key.rotate&before=1");
    }
}
