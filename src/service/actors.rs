//! Those who did something, as people call them. What stands in the audit is made for looking up: `user:` and an id.

use std::collections::{BTreeSet, HashMap};

use super::organisations::find as find_organisation;
use super::{Management, ServiceError};
use crate::db::actors;

/// More are never shown on one page.
const MOST: usize = 1_000;

/// The names of those who did something in an organisation, by what stands in the audit.
#[derive(Debug, Default)]
pub struct ActorNames(HashMap<String, String>);

impl ActorNames {
    /// What to call that one.
    pub fn of(&self, actor: &str) -> String {
        if let Some(name) = self.0.get(actor) {
            return name.clone();
        }
        match actor.split_once(':') {
            Some(("user", _)) => "a former user".to_owned(),
            Some(("app" | "client", id)) => format!("app {id}"),
            Some(("cli", user)) => format!("{user} (command line)"),
            Some(("registration-token", _)) => "a registration token".to_owned(),
            _ if actor == "server" => "the server".to_owned(),
            _ => actor.to_owned(),
        }
    }
}

/// What those who did something in an organisation are called.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn names<'a>(
    m: &Management,
    organisation: &str,
    actors: impl IntoIterator<Item = &'a str>,
) -> Result<ActorNames, ServiceError> {
    let distinct: BTreeSet<&str> = actors.into_iter().take(MOST).collect();
    let of_kind = |kinds: &[&str]| -> Vec<String> {
        let parts = distinct.iter().filter_map(|actor| actor.split_once(':'));
        parts.filter(|(kind, _)| kinds.contains(kind)).map(|(_, id)| id.to_owned()).collect()
    };
    let (people, apps) = (of_kind(&["user"]), of_kind(&["app", "client"]));
    let (people, apps) = m.database.read_with(|conn| {
        let organisation = find_organisation(conn, organisation)?.id;
        let apps = if apps.is_empty() { HashMap::new() } else { actors::list_apps(conn, organisation, &apps)? };
        let people =
            if people.is_empty() { HashMap::new() } else { actors::list_people(conn, Some(organisation), &people)? };
        Ok::<_, ServiceError>((people, apps))
    })?;
    let name = |actor: &str| {
        let (kind, id) = actor.split_once(':')?;
        let known = if kind == "user" { people.get(id) } else { apps.get(id) };
        known.map(|name| (actor.to_owned(), name.clone()))
    };
    Ok(ActorNames(distinct.into_iter().filter_map(name).collect()))
}
