//! `/team`: who belongs to the organisation, and who was asked to.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::paging::{Paging, asked_for, page};
use super::refusal::refusal;
use super::sign_in::{throttled, waiting};
use super::visitor::{Admin, Admission, AnyMember, Visitor};
use super::when::When;
use crate::db::developers::Role;
use crate::db::members::TeamMember;
use crate::service::links::Link;
use crate::service::paging::{PER_PAGE, Search};
use crate::service::team::{self, Team, Waiting};
use crate::service::{Management, ServiceError, Version, organisations};

/// The organisation's people.
#[derive(Debug, Serialize)]
struct TeamView {
    organisation: String,
    slug: String,
    version: String,
    may_manage: bool,
    sends_mail: bool,
    /// What is looked for.
    search: String,
    /// Whether there are so many that somebody may want to look for one.
    is_large: bool,
    members: Vec<ShownMember>,
    member_pages: Paging,
    waiting: Vec<ShownInvitation>,
    waiting_pages: Paging,
    roles: Vec<ShownRole>,
    explained: &'static [ExplainedRole],
    /// What was entered.
    email: String,
    new_name: String,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct ShownMember {
    id: String,
    email: String,
    full_name: String,
    /// The name under which trusted issuers know the person.
    login: String,
    role: &'static str,
    joined: When,
    is_self: bool,
    is_disabled: bool,
    has_second_factor: bool,
    /// The roles that the visitor may give the member; none if the visitor may not change the member.
    roles: Vec<ShownRole>,
}

#[derive(Debug, Serialize)]
struct ShownInvitation {
    id: String,
    email: String,
    role: &'static str,
    invited: When,
    until: When,
    may_revoke: bool,
}

#[derive(Debug, Clone, Serialize)]
struct ShownRole {
    value: &'static str,
    is_chosen: bool,
}

/// What a role may do, for the table of roles.
#[derive(Debug, Serialize)]
struct ExplainedRole {
    role: &'static str,
    may: &'static str,
}

const EXPLAINED: &[ExplainedRole] = &[
    ExplainedRole { role: "owner", may: "everything, and make others owners" },
    ExplainedRole { role: "admin", may: "apps, APIs and people, except owners" },
    ExplainedRole { role: "developer", may: "apps and APIs" },
    ExplainedRole { role: "viewer", may: "look at everything, change nothing" },
];

impl View for TeamView {
    const TEMPLATE: &'static str = "dashboard/team";
    const SECTION: Section = Section::Team;

    fn title(&self) -> String {
        "Team".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The link of an invitation, shown this once.
#[derive(Debug, Serialize)]
struct InvitedView {
    email: String,
    link: String,
    until: When,
}

impl View for InvitedView {
    const TEMPLATE: &'static str = "dashboard/invited";
    const SECTION: Section = Section::Team;

    fn title(&self) -> String {
        "Hand over the invitation".to_owned()
    }
}

fn shown_roles(own: Role, chosen: Role) -> Vec<ShownRole> {
    let shown = |role: Role| ShownRole { value: role.name(), is_chosen: role == chosen };
    team::grantable(own).into_iter().map(shown).collect()
}

impl TeamView {
    fn new<D: Admission>(visitor: &Visitor<D>, search: Search, team: &Team, version: &Version) -> Self {
        let own = visitor.workplace().map_or(Role::Viewer, |workplace| workplace.role);
        let self_id = visitor.person().person.id;
        let grantable = team::grantable(own);
        let member = |member: &TeamMember| ShownMember {
            id: member.person.id.to_string(),
            email: member.person.email.clone(),
            full_name: member.person.name.clone(),
            login: member.login.clone().unwrap_or_default(),
            role: member.role.name(),
            joined: When::of(member.joined_at),
            is_self: member.person.id == self_id,
            is_disabled: member.person.disabled_at.is_some(),
            has_second_factor: member.person.totp_confirmed_at.is_some(),
            roles: if grantable.contains(&member.role) { shown_roles(own, member.role) } else { Vec::new() },
        };
        let invitation = |waiting: &Waiting| ShownInvitation {
            id: waiting.id.to_string(),
            email: waiting.email.clone(),
            role: waiting.role.name(),
            invited: When::of(waiting.invited_at),
            until: When::of(waiting.expires_at),
            may_revoke: grantable.contains(&waiting.role),
        };
        Self {
            organisation: team.organisation.name.clone(),
            slug: team.organisation.slug.clone(),
            version: version.as_str().to_owned(),
            may_manage: !grantable.is_empty(),
            sends_mail: visitor.site().authority.sends_mail(),
            is_large: team.total > PER_PAGE,
            members: team.members.iter().map(member).collect(),
            member_pages: Paging::new(&team.members, "/team", "page", &search.words),
            search: search.words,
            waiting: team.waiting.iter().map(invitation).collect(),
            waiting_pages: Paging::new(&team.waiting, "/team", "invitations", ""),
            roles: shown_roles(own, Role::Developer),
            explained: EXPLAINED,
            email: String::new(),
            new_name: team.organisation.name.clone(),
            faults: Faults::default(),
        }
    }
}

async fn look<D: Admission>(visitor: &Visitor<D>) -> Result<TeamView, PageError> {
    let id = organisation_id(visitor)?;
    let (search, invitations) = (asked_for(visitor)?, page(visitor, "invitations")?);
    let wanted = search.clone();
    let look = move |m: &Management| Ok((team::show_page(m, id, &wanted, invitations)?, organisations::show(m, id)?.1));
    let (team, version) = visitor.look(look).await?;
    Ok(TeamView::new(visitor, search, &team, &version))
}

fn organisation_id<D: Admission>(visitor: &Visitor<D>) -> Result<uuid::Uuid, PageError> {
    visitor.workplace().map(|workplace| workplace.id).ok_or_else(|| PageError::not_found(visitor))
}

/// The page, again if a form was refused.
async fn refused<D: Admission>(
    visitor: &Visitor<D>,
    error: ServiceError,
    entered: impl FnOnce(&mut TeamView),
) -> PageResult {
    if let ServiceError::NotFound(_) = error {
        return Err(PageError::not_found(visitor));
    }
    if let ServiceError::Throttled(wait) = error {
        let mut view = look(visitor).await?;
        entered(&mut view);
        let text = format!("Many invitations were mailed. Wait {} and invite again.", waiting(wait));
        view.faults = Faults::one("email", text);
        return throttled(visitor, wait, &view);
    }
    let (status, faults) = if let ServiceError::Stale = error {
        let fault = "Somebody renamed the organisation meanwhile; its present name is shown above. Decide anew.";
        (StatusCode::CONFLICT, Faults::one("new-name", fault))
    } else {
        refusal(visitor, error)?
    };
    let mut view = look(visitor).await?;
    entered(&mut view);
    view.faults = faults;
    visitor.page_with(status, &view)
}

/// The team.
pub(super) async fn show(visitor: Visitor<AnyMember>) -> PageResult {
    visitor.page(&look(&visitor).await?)
}

/// Invites somebody: by mail, or with a link that is shown this once. Who makes others mighty proves first who it is.
pub(super) async fn invite(visitor: Visitor<Admin>) -> PageResult {
    let form = visitor.form(&[])?;
    let (id, by, email) = (organisation_id(&visitor)?, visitor.person().person.id, form.text("email").to_owned());
    let role = Role::from_name(form.text("role"));
    if role.is_some_and(team::is_mighty) {
        visitor.confirm(&form).await?;
    }
    let invited = match role {
        None => Err(ServiceError::Invalid("choose a role".to_owned())),
        Some(role) => visitor.site().authority.invite(visitor.management(), id, by, &email, role).await,
    };
    let delivered = invited.and_then(|invited| {
        let email = invited.email.clone();
        Ok((email, invited.deliver(&visitor.site().authority)?))
    });
    match delivered {
        Ok((email, Some(Link { url, expires_at }))) => {
            visitor.page(&InvitedView { email, link: url.reveal().to_owned(), until: When::of(expires_at) })
        }
        Ok((_, None)) => Ok(visitor.go("/team", "invited")),
        Err(error) => {
            let email = form.text("email").to_owned();
            refused(&visitor, error, |view| view.email = email).await
        }
    }
}

/// Takes an invitation back.
pub(super) async fn revoke(visitor: Visitor<Admin>, invitation: Path<String>) -> PageResult {
    visitor.form(&[])?;
    let (id, by, invitation) = (organisation_id(&visitor)?, visitor.person().person.id, visitor.id(&invitation)?);
    match visitor.change(move |m| team::revoke(m, id, by, invitation)).await {
        Ok(()) => Ok(visitor.go("/team", "invitation-revoked")),
        Err(error) => refused(&visitor, error, |_| {}).await,
    }
}

/// Gives a member another role. Who gives up power goes on with another session secret.
pub(super) async fn change_role(visitor: Visitor<Admin>, member: Path<String>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let (id, signed_in, member) = (organisation_id(&visitor)?, visitor.person().clone(), visitor.id(&member)?);
    let changed = match Role::from_name(form.text("role")) {
        None => Err(ServiceError::Invalid("choose a role".to_owned())),
        Some(role) if signed_in.person.id == member => {
            visitor.change(move |m| team::change_own_role(m, id, &signed_in.session, role).map(Some)).await
        }
        Some(role) => {
            let by = signed_in.person.id;
            visitor.change(move |m| team::change_role(m, id, by, member, role).map(|()| None)).await
        }
    };
    match changed {
        Ok(session) => {
            if let Some(session) = session {
                visitor.show_session(session);
            }
            Ok(visitor.go("/team", "role-changed"))
        }
        Err(error) => refused(&visitor, error, |_| {}).await,
    }
}

/// Says under which name trusted issuers know a member: whoever they name by it gets what they vouch for.
pub(super) async fn change_login(visitor: Visitor<Admin>, member: Path<String>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let (id, by, member) = (organisation_id(&visitor)?, visitor.person().person.id, visitor.id(&member)?);
    let login = form.trimmed("login").to_owned();
    match visitor.change(move |m| team::set_login(m, id, Some(by), member, Some(&login))).await {
        Ok(()) => Ok(visitor.go("/team", "login-changed")),
        Err(ServiceError::InvalidField { rule, .. }) => refused(&visitor, ServiceError::Invalid(rule), |_| {}).await,
        Err(error) => refused(&visitor, error, |_| {}).await,
    }
}

/// Ends somebody's membership.
pub(super) async fn remove(visitor: Visitor<Admin>, member: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let (id, by, member) = (organisation_id(&visitor)?, visitor.person().person.id, visitor.id(&member)?);
    if by == member {
        return Err(PageError::bad_request(&visitor, "To leave the organisation, use the button for that."));
    }
    match visitor.change(move |m| team::remove(m, id, by, member)).await {
        Ok(()) => Ok(visitor.go("/team", "member-removed")),
        Err(error) => refused(&visitor, error, |_| {}).await,
    }
}

/// Ends the own membership.
pub(super) async fn leave(visitor: Visitor<AnyMember>) -> PageResult {
    visitor.form(&[])?;
    let (id, by) = (organisation_id(&visitor)?, visitor.person().person.id);
    match visitor.change(move |m| team::remove(m, id, by, by)).await {
        Ok(()) => Ok(visitor.go("/organisations/new", "left")),
        Err(error) => refused(&visitor, error, |_| {}).await,
    }
}

/// Gives the organisation another name.
pub(super) async fn rename(visitor: Visitor<Admin>) -> PageResult {
    let form = visitor.form(&[])?;
    let (id, name) = (organisation_id(&visitor)?, form.text("new-name").to_owned());
    let renamed = visitor.change_seen(&form, move |m| organisations::rename(m, id, &name)).await;
    let renamed = renamed.map_err(|error| match error {
        ServiceError::InvalidField { field: "name", rule, text } => {
            ServiceError::InvalidField { field: "new_name", rule, text }
        }
        other => other,
    });
    match renamed {
        Ok(_) => Ok(visitor.go("/team", "organisation-renamed")),
        Err(error) => {
            let entered = form.text("new-name").to_owned();
            refused(&visitor, error, |view| view.new_name = entered).await
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::paging::tests::paging;
    use crate::http::dashboard::samples::{Sample, sample};

    fn view(may_manage: bool) -> TeamView {
        let when = || When::of(Timestamp::from_seconds(1_795_305_600));
        let own = if may_manage { Role::Owner } else { Role::Viewer };
        let member = |email: &str, role: Role, is_self| ShownMember {
            id: "1".to_owned(),
            email: email.to_owned(),
            full_name: String::new(),
            login: if is_self { "ana".to_owned() } else { String::new() },
            role: role.name(),
            joined: when(),
            is_self,
            is_disabled: !is_self,
            has_second_factor: is_self,
            roles: shown_roles(own, role),
        };
        let invitation = ShownInvitation {
            id: "2".to_owned(),
            email: "cy@example.com".to_owned(),
            role: "viewer",
            invited: when(),
            until: when(),
            may_revoke: may_manage,
        };
        TeamView {
            organisation: "Acme".to_owned(),
            slug: "acme".to_owned(),
            version: "v".to_owned(),
            may_manage,
            sends_mail: !may_manage,
            search: String::new(),
            is_large: may_manage,
            members: vec![member("ana@example.com", own, true), member("bo@example.com", Role::Viewer, false)],
            member_pages: paging(may_manage),
            waiting_pages: paging(may_manage),
            waiting: if may_manage { vec![invitation] } else { Vec::new() },
            roles: shown_roles(own, Role::Developer),
            explained: EXPLAINED,
            email: String::new(),
            new_name: "Acme".to_owned(),
            faults: if may_manage { Faults::one("email", "No.") } else { Faults::default() },
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let invited = InvitedView {
            email: "cy@example.com".to_owned(),
            link: "https://id.example.com/invite/x".to_owned(),
            until: When::of(Timestamp::from_seconds(1_795_305_600)),
        };
        vec![sample(view(true)), sample(view(false)), sample(invited)]
    }
}
