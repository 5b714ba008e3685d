//! Organisations.

use serde_json::json;
use uuid::Uuid;

use super::{Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::changes::ChangeKind;
use crate::db::organisations::OrganisationRecord;
use crate::db::{AnyConnection, organisations};

/// Names longer than this are refused.
pub(super) const LONGEST_NAME: usize = 100;
/// In characters.
const LONGEST_DESCRIPTION: usize = 500;

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

/// All organisations.
///
/// # Errors
/// When the database does not answer.
pub fn list(m: &Management) -> Result<Vec<OrganisationRecord>, ServiceError> {
    Ok(m.database.read(organisations::list)?)
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
fn is_unseen(c: char) -> bool {
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
