//! People as operators see them: all of them, and who runs the server.

use serde_json::json;
use uuid::Uuid;

use super::deed::{Deed, person_actor};
use super::paging::Found;
use super::{Management, ServiceError, email, second_factor};
use crate::db::changes::ChangeKind;
use crate::db::developers::{Person, Role};
use crate::db::links::{self, LinkPurpose};
use crate::db::members::{self, Belonging};
use crate::db::{AnyConnection, developers, passkeys, sessions};

/// A person and where the person belongs.
#[derive(Debug, Clone)]
pub struct PersonOverview {
    /// Who.
    pub person: Person,
    /// To which organisations: a page of them, or the first few.
    pub belongings: Found<Belonging>,
}

/// People on one page.
pub const PAGE: usize = 50;
/// Organisations named with each of them.
const BELONGINGS_SHOWN: i64 = 3;

/// People whose address or name holds `text`, by address, those after `after`, and whether there are more.
///
/// # Errors
/// When the database does not answer.
pub fn search(m: &Management, text: &str, after: Option<&str>) -> Result<(Vec<PersonOverview>, bool), ServiceError> {
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    m.database.read_with(|conn| {
        let mut people = members::search_people(conn, text.trim(), after, limit)?;
        let more = people.len() > PAGE;
        people.truncate(PAGE);
        let with_belongings = |person: Person| {
            let rows = members::list_belongings(conn, person.id, (0, BELONGINGS_SHOWN))?;
            let found = members::count_belongings(conn, person.id)?;
            Ok(PersonOverview { person, belongings: Found { rows, found, page: 1, pages: 1 } })
        };
        Ok((people.into_iter().map(with_belongings).collect::<Result<_, ServiceError>>()?, more))
    })
}

/// One person, with the first page of organisations.
///
/// # Errors
/// As [`show_page`].
pub fn show(m: &Management, id: Uuid) -> Result<PersonOverview, ServiceError> {
    show_page(m, id, 1)
}

/// One person, with that page of organisations.
///
/// # Errors
/// `NotFound`.
pub fn show_page(m: &Management, id: Uuid, page: i64) -> Result<PersonOverview, ServiceError> {
    m.database.read_with(|conn| {
        let person = find(conn, id)?;
        let number = members::count_belongings(conn, id)?;
        let belongings = Found::load(conn, page, number, |conn, place| members::list_belongings(conn, id, place))?;
        Ok(PersonOverview { person, belongings })
    })
}

/// The person with that address.
///
/// # Errors
/// `NotFound`.
pub fn find_by_email(m: &Management, address: &str) -> Result<Person, ServiceError> {
    let email = email::canonical(address)?;
    let found = m.database.read(|conn| members::find_person_by_email(conn, &email))?;
    found.ok_or_else(|| ServiceError::NotFound(format!("there is no user {email}; see: brevet user list")))
}

/// Switches a person off, which ends all sessions and links, or on.
///
/// # Errors
/// `NotFound`; `Conflict` for the last operator.
pub fn set_enabled(m: &Management, id: Uuid, enabled: bool) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let person = find(conn, id)?;
        if person.disabled_at.is_none() == enabled {
            return Ok(());
        }
        if !enabled {
            keep_an_operator(conn, id)?;
            sessions::delete_all(conn, id, None)?;
            links::delete_for_developer(conn, LinkPurpose::Reset, id)?;
            links::delete_for_developer(conn, LinkPurpose::Verification, id)?;
            for (organisation, _) in developers::list_workplaces(conn, id)? {
                links::delete_invitations_by(conn, organisation.id, &person_actor(id), Role::ALL)?;
            }
        }
        developers::update_disabled_at(conn, id, (!enabled).then_some(deed.now))?;
        let action = if enabled { "user.enable" } else { "user.disable" };
        record(&deed, conn, action, &person)
    })
}

/// Lets a person run the server, or no longer. Sessions end: what they may do has changed.
///
/// # Errors
/// `NotFound`; `Conflict` for the last operator and for somebody who is disabled.
pub fn set_operator(m: &Management, id: Uuid, is_operator: bool) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let person = find(conn, id)?;
        if person.is_operator == is_operator {
            return Ok(());
        }
        if is_operator {
            if person.disabled_at.is_some() {
                return Err(ServiceError::Conflict("somebody who is disabled cannot run the server".to_owned()));
            }
            // Somebody runs the server from now on: links that make the first one are not wanted any more.
            links::delete_for_email(conn, LinkPurpose::Setup, None)?;
        } else {
            keep_an_operator(conn, id)?;
        }
        members::update_operator(conn, id, is_operator)?;
        sessions::delete_all(conn, id, None)?;
        record(&deed, conn, if is_operator { "user.make-operator" } else { "user.unmake-operator" }, &person)
    })
}

/// Takes a person's second factors away, for who has lost them. Sessions end.
///
/// # Errors
/// `NotFound`.
pub fn reset_second_factors(m: &Management, id: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let person = find(conn, id)?;
        second_factor::remove_within(conn, id)?;
        passkeys::delete_all(conn, id)?;
        sessions::delete_all(conn, id, None)?;
        record(&deed, conn, "user.reset-2fa", &person)
    })
}

fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Person, ServiceError> {
    developers::find(conn, id)?.ok_or_else(|| ServiceError::NotFound("there is no such user".to_owned()))
}

fn record(deed: &Deed, conn: &mut AnyConnection, action: &str, person: &Person) -> Result<(), ServiceError> {
    let detail = json!({ "email": person.email });
    // Whether somebody may do anything is known to all nodes.
    Ok(deed.record(conn, None, action, &person.id.to_string(), detail, Some(ChangeKind::Member))?)
}

/// Asked inside the transaction, and writers go one after another: of two operators who leave at once, one stays.
fn keep_an_operator(conn: &mut AnyConnection, leaving: Uuid) -> Result<(), ServiceError> {
    if members::list_acting_operators(conn)? == [leaving] {
        return Err(ServiceError::Conflict(
            "nobody else runs the server; make somebody else an operator first".to_owned(),
        ));
    }
    Ok(())
}
