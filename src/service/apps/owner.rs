//! Who looks after an app: a member of its organisation, or nobody. It gives no power, roles do; it says whom to ask.

use serde_json::json;

use super::{VersionedApp, find, unknown_app};
use crate::db::developers::Role;
use crate::db::members::TeamMember;
use crate::db::{actors, apps, members};
use crate::oauth::ClientId;
use crate::service::organisations::find as find_organisation;
use crate::service::{Management, ServiceError};

/// More are not offered for a choice; who is meant can still be written down.
pub const MOST_CANDIDATES: usize = 100;
/// Members that are looked at for it.
const LOOKED_AT: i64 = 400;

fn may_own(member: &TeamMember) -> bool {
    member.role.includes(Role::Developer) && member.person.disabled_at.is_none()
}

/// The members who may look after apps: those who may change them, by address.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn candidates(m: &Management, organisation: &str) -> Result<Vec<TeamMember>, ServiceError> {
    let all = m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        // Viewers are among them, whom nobody may choose.
        Ok::<_, ServiceError>(members::search(conn, id, "", (0, LOOKED_AT))?)
    })?;
    Ok(all.into_iter().filter(may_own).collect())
}

/// Lets another member look after an app, named by the address.
///
/// # Errors
/// `NotFound` without the app, `InvalidField` for who is no such member, `Stale`.
pub fn transfer(m: &Management, client_id: ClientId, email: &str) -> Result<VersionedApp, ServiceError> {
    let (deed, email) = (m.deed(), email.trim().to_lowercase());
    m.database.write(move |conn| {
        let app = find(conn, &deed, client_id)?.app;
        let member = members::find_by_email(conn, app.organisation_id, &email)?.filter(may_own);
        let Some(member) = member else {
            return Err(ServiceError::field(
                "owner",
                "must be the address of a member of the organisation with the role developer or a mightier one",
            ));
        };
        if app.owner_id != Some(member.person.id) {
            apps::update_owner(conn, client_id, member.person.id)?;
            let before = match app.owner_id {
                Some(id) => {
                    actors::list_people(conn, Some(app.organisation_id), &[id.to_string()])?.into_values().next()
                }
                None => None,
            };
            let detail = json!({ "owner": { "from": before, "to": email } });
            // Tokens do not depend on it, so no node needs to hear of it.
            deed.record(conn, Some(app.organisation_id), "app.transfer", &client_id.to_string(), detail, None)?;
        }
        VersionedApp::find(conn, client_id)?.ok_or_else(|| unknown_app(client_id))
    })
}
