//! Logins: the names under which trusted issuers know the members of an organisation.

use serde_json::json;
use uuid::Uuid;

use super::{check_power, find, member_role, no_member};
use crate::db::changes::ChangeKind;
use crate::db::members;
use crate::service::organisations::find as find_organisation;
use crate::service::{Management, ServiceError};

/// In octets: as long as the subject of a JWT may be.
const LONGEST_LOGIN: usize = 512;

/// Whether a login can be used, and the login without spaces around it; none if nothing is left.
pub(in crate::service) fn checked(login: Option<&str>) -> Result<Option<String>, ServiceError> {
    let Some(login) = login.map(str::trim).filter(|login| !login.is_empty()) else { return Ok(None) };
    if login.len() > LONGEST_LOGIN || login.chars().any(char::is_control) {
        let rule = format!("a login has at most {LONGEST_LOGIN} characters, none of them control characters");
        return Err(ServiceError::field("login", rule));
    }
    Ok(Some(login.to_owned()))
}

fn taken() -> ServiceError {
    let rule = "another member of the organisation has that login; each names one person";
    ServiceError::field("login", rule)
}

/// Gives a member another login or, with `None`, takes it away, on behalf of the member `by`. Whom a trusted issuer names by the
/// old one gets nothing from then on.
///
/// # Errors
/// `NotFound`, `InvalidField` for a login that cannot be used or is somebody else's, `BeyondPower` for a member who is
/// mightier.
pub fn set_login(
    m: &Management,
    organisation_id: Uuid,
    by: Option<Uuid>,
    member: Uuid,
    login: Option<&str>,
) -> Result<(), ServiceError> {
    let (deed, login) = (m.deed(), checked(login)?);
    m.database.write(move |conn| {
        find(&deed, conn, organisation_id)?;
        let role = member_role(conn, organisation_id, member)?;
        if let Some(by) = by {
            // Who has somebody's login gets what an issuer says is for that person.
            check_power(member_role(conn, organisation_id, by)?, role)?;
        }
        let before = members::find_login(conn, organisation_id, member)?;
        if before == login {
            return Ok(());
        }
        let changed = members::update_login(conn, organisation_id, member, login.as_deref(), deed.now);
        let is_there = changed.map_err(|error| match error {
            crate::db::DbError::Duplicate => taken(),
            other => other.into(),
        })?;
        if !is_there {
            return Err(no_member());
        }
        let detail = json!({ "login": { "from": before, "to": login } });
        let target = member.to_string();
        Ok(deed.record(conn, Some(organisation_id), "member.login", &target, detail, Some(ChangeKind::Member))?)
    })
}

/// The same at the command line, where the organisation is named by its slug and the member by the address.
///
/// # Errors
/// As [`set_login`].
pub fn set_login_of(m: &Management, organisation: &str, email: &str, login: Option<&str>) -> Result<(), ServiceError> {
    let canonical = email.trim().to_lowercase();
    let (organisation_id, member) = m.database.read_with(|conn| {
        let organisation_id = find_organisation(conn, organisation)?.id;
        let member = members::find_by_email(conn, organisation_id, &canonical)?;
        let unknown = || {
            let text =
                format!("there is no member {email} in {organisation}; see: brevet user list --org {organisation}");
            ServiceError::NotFound(text)
        };
        Ok::<_, ServiceError>((organisation_id, member.ok_or_else(unknown)?.person.id))
    })?;
    set_login(m, organisation_id, None, member, login)
}
