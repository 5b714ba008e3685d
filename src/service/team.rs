//! Who belongs to an organisation: members, their roles, invitations. Nobody gives more power than they have, and an
//! organisation always keeps an owner; both are asked inside the transaction, so also of those who come at once.

mod invitations;
mod logins;
mod room;

use serde_json::json;
use uuid::Uuid;

pub use self::invitations::{Invitation, Invited, Joined, Waiting, accept, accept_as_new, invitation, invite, revoke};
pub(super) use self::logins::checked as checked_login;
pub use self::logins::{set_login, set_login_of};
pub(super) use self::room::{check_room_for_member, check_room_for_organisation};
use super::deed::Deed;
use super::organisations::insert_derived;
use super::paging::{Found, Search};
use super::sessions::{self, SignedIn};
use super::sign_up::checked_organisation_name;
use super::{Management, ServiceError};
use crate::config::SignUpMode;
use crate::db::changes::ChangeKind;
use crate::db::developers::{self, Role};
use crate::db::members::{self, TeamMember};
use crate::db::organisations::OrganisationRecord;
use crate::db::sessions::{self as rows, SessionRecord};
use crate::db::{AnyConnection, apps, links, organisations};
use crate::secret::Secret;

/// An organisation's people.
#[derive(Debug)]
pub struct Team {
    /// Which.
    pub organisation: OrganisationRecord,
    /// Those who were looked for, by address.
    pub members: Found<TeamMember>,
    /// How many there are.
    pub total: i64,
    /// Who was asked and has not answered, newest first.
    pub waiting: Found<Waiting>,
}

/// The roles that somebody with this one may give: none that is mightier, and none at all below Admin.
pub fn grantable(role: Role) -> Vec<Role> {
    Role::ALL.iter().copied().filter(|granted| is_mighty(role) && role.includes(*granted)).collect()
}

/// The first page of the organisation's people.
///
/// # Errors
/// As [`show_page`].
pub fn show(m: &Management, organisation_id: Uuid) -> Result<Team, ServiceError> {
    show_page(m, organisation_id, &Search::default(), 1)
}

/// The organisation's people: those members whose address or name holds the words, and a page of the invitations.
///
/// # Errors
/// `NotFound` for one that is not there or not in reach.
pub fn show_page(
    m: &Management,
    organisation_id: Uuid,
    search: &Search,
    invitations_page: i64,
) -> Result<Team, ServiceError> {
    let (deed, words) = (m.deed(), search.words.trim());
    m.database.read_with(|conn| {
        let organisation = find(&deed, conn, organisation_id)?;
        let total = members::count(conn, organisation_id, "")?;
        let number = if words.is_empty() { total } else { members::count(conn, organisation_id, words)? };
        let members =
            Found::load(conn, search.page, number, |conn, place| members::search(conn, organisation_id, words, place))?;
        let number = links::count_invitations(conn, organisation_id, deed.now)?;
        let waiting = Found::load(conn, invitations_page, number, |conn, place| {
            let links = links::list_invitations(conn, organisation_id, place, deed.now)?;
            Ok(links.into_iter().filter_map(Waiting::of).collect())
        })?;
        Ok(Team { organisation, members, total, waiting })
    })
}

/// Whether somebody with that role can change who belongs to the organisation.
pub fn is_mighty(role: Role) -> bool {
    role.includes(Role::Admin)
}

/// Gives a member another role, on behalf of the member `by`. The member's sessions in the organisation end: no session
/// goes on with other power under the same secret.
///
/// # Errors
/// `NotFound`; `BeyondPower` for a role mightier than one's own, and a member who is mightier; `Conflict` for the last
/// owner.
pub fn change_role(
    m: &Management,
    organisation_id: Uuid,
    by: Uuid,
    member: Uuid,
    role: Role,
) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        if give_role(conn, &deed, organisation_id, (by, member), role)? {
            rows::delete_at_work(conn, member, organisation_id, None)?;
        }
        Ok(())
    })
}

/// The same for the own role: this session goes on with another secret, which is given back.
///
/// # Errors
/// As [`change_role`].
pub fn change_own_role(
    m: &Management,
    organisation_id: Uuid,
    session: &SessionRecord,
    role: Role,
) -> Result<Secret, ServiceError> {
    let (m, deed, session) = (m.clone(), m.deed(), session.clone());
    m.database.clone().write(move |conn| {
        let own = session.developer_id;
        give_role(conn, &deed, organisation_id, (own, own), role)?;
        rows::delete_at_work(conn, own, organisation_id, Some(session.id))?;
        sessions::renew(conn, &m, &SessionRecord { organisation_id: Some(organisation_id), ..session })
    })
}

/// `false` if the member has that role already.
fn give_role(
    conn: &mut AnyConnection,
    deed: &Deed,
    organisation_id: Uuid,
    (by, member): (Uuid, Uuid),
    role: Role,
) -> Result<bool, ServiceError> {
    find(deed, conn, organisation_id)?;
    let before = member_role(conn, organisation_id, member)?;
    let own = member_role(conn, organisation_id, by)?;
    check_power(own, before)?;
    check_power(own, role)?;
    if before == role {
        return Ok(false);
    }
    if before == Role::Owner {
        keep_an_owner(conn, organisation_id, member)?;
    }
    members::update_role(conn, organisation_id, member, role)?;
    // What was offered with the old power is taken back with it.
    let beyond: Vec<Role> = Role::ALL.iter().copied().filter(|r| !grantable(role).contains(r)).collect();
    links::delete_invitations_by(conn, organisation_id, &format!("user:{member}"), &beyond)?;
    let detail = json!({ "role": { "from": before.name(), "to": role.name() } });
    deed.record(conn, Some(organisation_id), "member.role", &member.to_string(), detail, None)?;
    Ok(true)
}

/// Ends a membership, on behalf of the member `by`; members may always end their own. Apps that the member looked after
/// stay, and nobody looks after them.
///
/// # Errors
/// As [`change_role`].
pub fn remove(m: &Management, organisation_id: Uuid, by: Uuid, member: Uuid) -> Result<(), ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        find(&deed, conn, organisation_id)?;
        let role = member_role(conn, organisation_id, member)?;
        if by != member {
            check_power(member_role(conn, organisation_id, by)?, role)?;
        }
        if role == Role::Owner {
            keep_an_owner(conn, organisation_id, member)?;
        }
        members::delete(conn, organisation_id, member)?;
        let without_owner = apps::forget_owner(conn, organisation_id, member)?;
        links::delete_invitations_by(conn, organisation_id, &format!("user:{member}"), Role::ALL)?;
        let action = if by == member { "member.leave" } else { "member.remove" };
        let detail = json!({ "role": role.name(), "apps_without_owner": without_owner });
        Ok(deed.record(conn, Some(organisation_id), action, &member.to_string(), detail, Some(ChangeKind::Member))?)
    })
}

/// Whether that person may make a further organisation: operators, and everybody where everybody may sign up.
pub fn may_found(m: &Management, is_operator: bool) -> bool {
    is_operator || m.config.sign_up == SignUpMode::Open
}

/// Makes a further organisation, owned by that person.
///
/// # Errors
/// `BeyondPower` for who may not, `InvalidField` for a name that cannot be used, `Conflict` for who has very many.
pub fn found(m: &Management, signed_in: &SignedIn, name: &str) -> Result<Joined, ServiceError> {
    let (m, deed, name) = (m.clone(), m.deed(), checked_organisation_name(name)?);
    let session = signed_in.session.clone();
    m.database.clone().write(move |conn| {
        let developer_id = session.developer_id;
        let person = developers::find(conn, developer_id)?.ok_or_else(no_member)?;
        if !may_found(&m, person.is_operator) {
            return Err(ServiceError::BeyondPower("only operators make organisations here".to_owned()));
        }
        check_room_for_organisation(conn, developer_id)?;
        let id = deed.once(conn, |conn| {
            let made = insert_derived(conn, &deed, &name)?;
            developers::insert_membership(conn, made.id, developer_id, Role::Owner, None, deed.now)?;
            Ok(made.id)
        })?;
        let session = sessions::renew(conn, &m, &SessionRecord { organisation_id: Some(id), ..session })?;
        Ok(Joined { organisation: find(&deed, conn, id)?, session })
    })
}

fn find(deed: &Deed, conn: &mut AnyConnection, id: Uuid) -> Result<OrganisationRecord, ServiceError> {
    let found = organisations::find(conn, id)?.filter(|_| deed.doer.reaches(Some(id)));
    found.ok_or_else(|| ServiceError::NotFound("there is no such organisation".to_owned()))
}

fn member_role(conn: &mut AnyConnection, organisation_id: Uuid, developer_id: Uuid) -> Result<Role, ServiceError> {
    members::find_role(conn, organisation_id, developer_id)?.ok_or_else(no_member)
}

fn no_member() -> ServiceError {
    ServiceError::NotFound("there is no such member".to_owned())
}

fn check_power(own: Role, other: Role) -> Result<(), ServiceError> {
    if grantable(own).contains(&other) {
        return Ok(());
    }
    Err(ServiceError::BeyondPower(format!("that takes the role {other} or a mightier one; yours is {own}")))
}

/// An owner who is disabled cannot act, so the last one who can must stay.
fn keep_an_owner(conn: &mut AnyConnection, organisation_id: Uuid, leaving: Uuid) -> Result<(), ServiceError> {
    if members::list_acting_owners(conn, organisation_id)? == [leaving] {
        return Err(ServiceError::Conflict("an organisation needs an owner; make somebody else one first".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_more_than_they_have() {
        assert_eq!(grantable(Role::Owner), Role::ALL);
        assert_eq!(grantable(Role::Admin), [Role::Admin, Role::Developer, Role::Viewer]);
        assert_eq!(grantable(Role::Developer), []);
        assert_eq!(grantable(Role::Viewer), []);
    }
}
