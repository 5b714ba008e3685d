//! `/admin/users` and `/admin/organisations`: everybody, for those who run the server.

use actix_web::web::Path;
use serde::Serialize;
use url::form_urlencoded;
use uuid::Uuid;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::paging::{Paging, asked_for, page};
use super::refusal::refusal;
use super::visitor::{Operator, Visitor};
use super::when::When;
use crate::db::members::Belonging;
use crate::service::people::{self, PersonOverview};
use crate::service::{Management, ServiceError, organisations, resets};

/// People, a page of them.
#[derive(Debug, Serialize)]
struct PeopleView {
    search: String,
    people: Vec<ShownPerson>,
    /// Where the next page is; empty on the last.
    next: String,
    is_first: bool,
}

#[derive(Debug, Serialize)]
struct ShownPerson {
    id: String,
    email: String,
    full_name: String,
    is_operator: bool,
    is_disabled: bool,
    is_verified: bool,
    has_second_factor: bool,
    is_self: bool,
    since: When,
    belongings: Vec<ShownBelonging>,
    /// Organisations that are not named here.
    more_belongings: i64,
}

#[derive(Debug, Serialize)]
struct ShownBelonging {
    organisation: String,
    slug: String,
    role: &'static str,
}

impl ShownPerson {
    fn of(overview: &PersonOverview, visitor: Uuid) -> Self {
        let person = &overview.person;
        let belonging = |belonging: &Belonging| ShownBelonging {
            organisation: belonging.name.clone(),
            slug: belonging.slug.clone(),
            role: belonging.role.name(),
        };
        Self {
            id: person.id.to_string(),
            email: person.email.clone(),
            full_name: person.name.clone(),
            is_operator: person.is_operator,
            is_disabled: person.disabled_at.is_some(),
            is_verified: person.email_verified_at.is_some(),
            has_second_factor: person.totp_confirmed_at.is_some(),
            is_self: person.id == visitor,
            since: When::of(person.created_at),
            belongings: overview.belongings.iter().map(belonging).collect(),
            more_belongings: overview
                .belongings
                .found
                .saturating_sub(i64::try_from(overview.belongings.len()).unwrap_or_default()),
        }
    }
}

impl View for PeopleView {
    const TEMPLATE: &'static str = "dashboard/people";
    const SECTION: Section = Section::Users;

    fn title(&self) -> String {
        "Users".to_owned()
    }
}

/// One person, and what operators may do.
#[derive(Debug, Serialize)]
struct PersonView {
    user: ShownPerson,
    places: Paging,
    faults: Faults,
}

impl View for PersonView {
    const TEMPLATE: &'static str = "dashboard/person";
    const SECTION: Section = Section::Users;

    fn title(&self) -> String {
        self.user.email.clone()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// A link to choose another password, shown this once.
#[derive(Debug, Serialize)]
struct ResetLinkView {
    id: String,
    email: String,
    link: String,
    until: When,
}

impl View for ResetLinkView {
    const TEMPLATE: &'static str = "dashboard/reset-link";
    const SECTION: Section = Section::Users;

    fn title(&self) -> String {
        "Hand over the link".to_owned()
    }
}

/// Organisations, a page of them.
#[derive(Debug, Serialize)]
struct AllOrganisationsView {
    /// What is looked for.
    search: String,
    organisations: Vec<ShownOrganisation>,
    places: Paging,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct ShownOrganisation {
    slug: String,
    organisation: String,
    is_disabled: bool,
    since: When,
}

impl View for AllOrganisationsView {
    const TEMPLATE: &'static str = "dashboard/all-organisations";
    const SECTION: Section = Section::Users;

    fn title(&self) -> String {
        "Organisations".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// Searches and lists people.
pub(super) async fn show(visitor: Visitor<Operator>) -> PageResult {
    let (search, after) = (visitor.query("q").unwrap_or_default(), visitor.query("after"));
    let (text, is_first) = (search.clone(), after.is_none());
    let (found, more) = visitor.look(move |m| people::search(m, &text, after.as_deref())).await?;
    let last = found.last().filter(|_| more).map(|overview| overview.person.email.clone());
    let next = last.map(|email| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &search)
            .append_pair("after", &email)
            .finish();
        format!("/admin/users?{query}")
    });
    let id = visitor.person().person.id;
    let people = found.iter().map(|overview| ShownPerson::of(overview, id)).collect();
    visitor.page(&PeopleView { search, people, next: next.unwrap_or_default(), is_first })
}

/// Shows one person.
pub(super) async fn show_one(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    let id = visitor.id(&id)?;
    visitor.page(&look(&visitor, id, Faults::default()).await?)
}

async fn look(visitor: &Visitor<Operator>, id: Uuid, faults: Faults) -> Result<PersonView, PageError> {
    let asked = page(visitor, "page")?;
    let found = visitor.look(move |m| people::show_page(m, id, asked)).await?;
    let places = Paging::new(&found.belongings, &format!("/admin/users/{id}"), "page", "");
    Ok(PersonView { user: ShownPerson::of(&found, visitor.person().person.id), places, faults })
}

/// Runs a walk on one person after a fresh proof of who asks, and says what was done.
async fn change(
    visitor: Visitor<Operator>,
    id: &Path<String>,
    done: &'static str,
    walk: impl FnOnce(&Management, Uuid) -> Result<(), ServiceError> + Send + 'static,
) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let id = visitor.id(id)?;
    match visitor.change(move |m| walk(m, id)).await {
        Ok(()) => Ok(visitor.go(&format!("/admin/users/{id}"), done)),
        Err(error) => {
            let (status, faults) = refusal(&visitor, error)?;
            visitor.page_with(status, &look(&visitor, id, faults).await?)
        }
    }
}

/// Keeps somebody from signing in.
pub(super) async fn disable(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    change(visitor, &id, "user-disabled", |m, id| people::set_enabled(m, id, false)).await
}

/// Lets somebody sign in again.
pub(super) async fn enable(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    change(visitor, &id, "user-enabled", |m, id| people::set_enabled(m, id, true)).await
}

/// Lets somebody run the server.
pub(super) async fn make_operator(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    change(visitor, &id, "operator-made", |m, id| people::set_operator(m, id, true)).await
}

/// Lets somebody run the server no longer.
pub(super) async fn unmake_operator(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    change(visitor, &id, "operator-unmade", |m, id| people::set_operator(m, id, false)).await
}

/// Takes somebody's second factors away.
pub(super) async fn reset_second_factors(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    change(visitor, &id, "second-factors-reset", people::reset_second_factors).await
}

/// Makes a link with which somebody chooses another password, and shows it this once.
pub(super) async fn make_reset_link(visitor: Visitor<Operator>, id: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let id = visitor.id(&id)?;
    let email = look(&visitor, id, Faults::default()).await?.user.email;
    let address = email.clone();
    match visitor.change(move |m| resets::make_link(m, &address)).await {
        Ok(link) => visitor.page(&ResetLinkView {
            id: id.to_string(),
            email,
            link: link.url.reveal().to_owned(),
            until: When::of(link.expires_at),
        }),
        Err(error) => {
            let (status, faults) = refusal(&visitor, error)?;
            visitor.page_with(status, &look(&visitor, id, faults).await?)
        }
    }
}

/// Searches and lists organisations.
pub(super) async fn organisations(visitor: Visitor<Operator>) -> PageResult {
    let search = asked_for(&visitor)?;
    let wanted = search.clone();
    let found = visitor.look(move |m| organisations::search(m, &wanted)).await?;
    let places = Paging::new(&found, "/admin/organisations", "page", &search.words);
    let shown = found.rows.into_iter().map(|organisation| ShownOrganisation {
        is_disabled: organisation.disabled_at.is_some(),
        since: When::of(organisation.created_at),
        slug: organisation.slug,
        organisation: organisation.name,
    });
    let organisations = shown.collect();
    visitor.page(&AllOrganisationsView { search: search.words, organisations, places, faults: Faults::default() })
}

/// Switches an organisation off.
pub(super) async fn disable_organisation(visitor: Visitor<Operator>, slug: Path<String>) -> PageResult {
    set_organisation(visitor, slug.into_inner(), false, "organisation-disabled").await
}

/// Switches an organisation on.
pub(super) async fn enable_organisation(visitor: Visitor<Operator>, slug: Path<String>) -> PageResult {
    set_organisation(visitor, slug.into_inner(), true, "organisation-enabled").await
}

async fn set_organisation(visitor: Visitor<Operator>, slug: String, enabled: bool, done: &'static str) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let changed = visitor.change(move |m| organisations::set_enabled(m, &slug, enabled)).await;
    changed.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go("/admin/organisations", done))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::paging::tests::paging;
    use crate::http::dashboard::samples::{Sample, sample};

    fn person(is_self: bool) -> ShownPerson {
        ShownPerson {
            id: "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e".to_owned(),
            email: "ana@example.com".to_owned(),
            full_name: "Ana".to_owned(),
            is_operator: is_self,
            is_disabled: !is_self,
            is_verified: is_self,
            has_second_factor: is_self,
            is_self,
            since: When::of(Timestamp::from_seconds(1_795_305_600)),
            belongings: vec![ShownBelonging {
                organisation: "Acme".to_owned(),
                slug: "acme".to_owned(),
                role: "owner",
            }],
            more_belongings: i64::from(is_self),
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let since = || When::of(Timestamp::from_seconds(1_795_305_600));
        let organisation = |is_disabled| ShownOrganisation {
            slug: "acme".to_owned(),
            organisation: "Acme".to_owned(),
            is_disabled,
            since: since(),
        };
        let people = |people, next: &str| PeopleView {
            search: "ana".to_owned(),
            people,
            next: next.to_owned(),
            is_first: next.is_empty(),
        };
        vec![
            sample(people(vec![person(true), person(false)], "/admin/users?q=&after=x")),
            sample(people(Vec::new(), "")),
            sample(PersonView { user: person(false), places: paging(true), faults: Faults::one("", "No.") }),
            sample(PersonView { user: person(true), places: paging(false), faults: Faults::default() }),
            sample(ResetLinkView {
                id: "1".to_owned(),
                email: "ana@example.com".to_owned(),
                link: "https://id.example.com/reset/x".to_owned(),
                until: since(),
            }),
            sample(AllOrganisationsView {
                search: "a".to_owned(),
                organisations: vec![organisation(true), organisation(false)],
                places: paging(true),
                faults: Faults::default(),
            }),
        ]
    }
}
