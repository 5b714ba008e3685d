//! Organisations.

use serde_json::json;
use uuid::Uuid;

use super::deed::Deed;
use super::paging::{Found, Search};
use super::{Management, ServiceError, Version};
use crate::clock::Timestamp;
use crate::db::changes::ChangeKind;
use crate::db::organisations::OrganisationRecord;
use crate::db::{AnyConnection, organisations};

/// Names longer than this are refused.
pub(super) const LONGEST_NAME: usize = 100;
/// In characters.
const LONGEST_DESCRIPTION: usize = 500;
/// Organisations whose names make the same slug.
const MOST_OF_ONE_NAME: u32 = 1_000;

/// Makes an organisation.
///
/// # Errors
/// `Invalid` for a slug or name that cannot be used, `Conflict` for a slug that is taken.
pub fn create(m: &Management, slug: &str, name: &str) -> Result<OrganisationRecord, ServiceError> {
    check_slug(slug)?;
    let record = OrganisationRecord {
        id: Uuid::now_v7(),
        slug: slug.to_owned(),
        name: checked_name(name)?,
        disabled_at: None,
        not_before: Timestamp::NEVER,
        created_at: m.now(),
    };
    let (deed, row) = (m.deed(), record.clone());
    m.database.write(move |conn| {
        let taken = format!("the slug `{}` is taken; choose another", row.slug);
        organisations::insert(conn, &row).map_err(ServiceError::duplicate(taken))?;
        let detail = json!({ "slug": row.slug, "name": row.name });
        Ok::<_, ServiceError>(deed.record(
            conn,
            Some(row.id),
            "organisation.create",
            &row.id.to_string(),
            detail,
            None,
        )?)
    })?;
    Ok(record)
}

/// Makes an organisation with a slug that follows from its name, in the transaction of what it is made for.
pub(super) fn insert_derived(
    conn: &mut AnyConnection,
    deed: &Deed,
    name: &str,
) -> Result<OrganisationRecord, ServiceError> {
    let name = checked_name(name)?;
    let record = OrganisationRecord {
        id: Uuid::now_v7(),
        slug: free_slug(conn, &name)?,
        name,
        disabled_at: None,
        not_before: Timestamp::NEVER,
        created_at: deed.now,
    };
    organisations::insert(conn, &record)?;
    let detail = json!({ "slug": record.slug, "name": record.name });
    deed.record(conn, Some(record.id), "organisation.create", &record.id.to_string(), detail, None)?;
    Ok(record)
}

/// `acme` for `Acme!`, then `acme-2`, and so on.
fn free_slug(conn: &mut AnyConnection, name: &str) -> Result<String, ServiceError> {
    let stem = derived_slug(name);
    for number in 1..=MOST_OF_ONE_NAME {
        let slug = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
        if organisations::find_by_slug(conn, &slug)?.is_none() {
            return Ok(slug);
        }
    }
    Err(ServiceError::field("organisation", "there are too many organisations of that name; choose another"))
}

fn derived_slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let slug: String = words.join("-").chars().take(40).collect();
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "organisation".to_owned() } else { slug.to_owned() }
}

/// An organisation and its version, for a form that changes it.
///
/// # Errors
/// `NotFound` for one that is not there or not in reach.
pub fn show(m: &Management, id: Uuid) -> Result<(OrganisationRecord, Version), ServiceError> {
    m.database.read_with(|conn| {
        let record = find_in_reach(&m.deed(), conn, id)?;
        let version = version(&record)?;
        Ok((record, version))
    })
}

/// Gives an organisation another name. Its slug stays: it stands in tokens.
///
/// # Errors
/// `NotFound`, `InvalidField` for a name that cannot be used, `Stale`.
pub fn rename(m: &Management, id: Uuid, name: &str) -> Result<OrganisationRecord, ServiceError> {
    let (deed, name) = (m.deed(), checked_name(name)?);
    m.database.write(move |conn| {
        let found = find_in_reach(&deed, conn, id)?;
        deed.check_version(&version(&found)?)?;
        if found.name == name {
            return Ok(found);
        }
        organisations::update_name(conn, id, &name)?;
        let detail = json!({ "name": { "from": found.name, "to": name } });
        deed.record(conn, Some(id), "organisation.rename", &id.to_string(), detail, None)?;
        Ok::<_, ServiceError>(OrganisationRecord { name, ..found })
    })
}

fn find_in_reach(deed: &Deed, conn: &mut AnyConnection, id: Uuid) -> Result<OrganisationRecord, ServiceError> {
    let found = organisations::find(conn, id)?.filter(|_| deed.doer.reaches(Some(id)));
    found.ok_or_else(|| ServiceError::NotFound("there is no such organisation".to_owned()))
}

fn version(record: &OrganisationRecord) -> Result<Version, ServiceError> {
    Version::of(&json!({ "name": record.name, "slug": record.slug }))
}

/// All organisations.
///
/// # Errors
/// When the database does not answer.
pub fn list(m: &Management) -> Result<Vec<OrganisationRecord>, ServiceError> {
    Ok(m.database.read(organisations::list)?)
}

/// The organisations whose slug or name holds the words, by slug.
///
/// # Errors
/// When the database does not answer.
pub fn search(m: &Management, search: &Search) -> Result<Found<OrganisationRecord>, ServiceError> {
    let words = search.words.trim();
    m.database.read_with(|conn| {
        let number = organisations::count(conn, words)?;
        Found::load(conn, search.page, number, |conn, place| organisations::search(conn, words, place))
    })
}

/// Switches an organisation off or on: its apps get no tokens and the tokens they have are refused.
///
/// # Errors
/// `NotFound`.
pub fn set_enabled(m: &Management, slug: &str, enabled: bool) -> Result<(), ServiceError> {
    let (deed, slug) = (m.deed(), slug.to_owned());
    m.database.write(move |conn| {
        let found = find(conn, &slug)?;
        organisations::update_disabled_at(conn, found.id, (!enabled).then_some(deed.now))?;
        let action = if enabled { "organisation.enable" } else { "organisation.disable" };
        let target = found.id.to_string();
        Ok(deed.record(conn, Some(found.id), action, &target, json!({}), Some(ChangeKind::Organisation))?)
    })
}

/// The organisation with that slug.
pub(super) fn find(conn: &mut AnyConnection, slug: &str) -> Result<OrganisationRecord, ServiceError> {
    organisations::find_by_slug(conn, slug)?
        .ok_or_else(|| ServiceError::NotFound(format!("there is no organisation `{slug}`; see: brevet org list")))
}

fn check_slug(slug: &str) -> Result<(), ServiceError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let well_formed = slug.chars().all(allowed) && !slug.starts_with('-') && !slug.ends_with('-');
    if well_formed && (1..=50).contains(&slug.len()) {
        return Ok(());
    }
    Err(ServiceError::Invalid(format!(
        "`{slug}` cannot be a slug: use 1 to 50 lower-case letters, digits and hyphens, no hyphen at either end"
    )))
}

/// What nobody sees, or what lets a name look like another: control characters, spaces without width, marks that turn the
/// direction of writing. The joiners that some scripts need are none of them.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What something is for, in the words of people: not long, line ends as `\n`, and nothing else that cannot be seen.
pub(super) fn checked_description(text: &str) -> Result<String, ServiceError> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(|c| c != '\n' && is_unseen(c)) {
        return Err(ServiceError::field(
            "description",
            format!(
                "a description may have at most {LONGEST_DESCRIPTION} characters, none of them a control character or invisible"
            ),
        ));
    }
    Ok(text.to_owned())
}

/// A name for people: not empty, not long, nothing that cannot be seen.
pub(super) fn checked_name(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(is_unseen) {
        return Err(ServiceError::field(
            "name",
            format!("a name needs 1 to {LONGEST_NAME} characters, none of them a control character or invisible"),
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_follows_from_the_name() {
        for (name, expected) in [
            ("Acme", "acme"),
            ("Acme Ltd.", "acme-ltd"),
            ("  --Acme & Söhne--  ", "acme-s-hne"),
            ("日本", "organisation"),
            ("{{7*7}}", "7-7"),
            (&"ab ".repeat(30), "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-a"),
        ] {
            let slug = derived_slug(name);
            assert_eq!(slug, expected);
            assert!(check_slug(&slug).is_ok(), "{slug}");
        }
    }
}
