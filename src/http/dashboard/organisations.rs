//! `/organisations`: where a person works, and further organisations.

use actix_web::HttpResponse;
use serde::Serialize;

use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::paging::{Paging, asked_for};
use super::refusal::refusal;
use super::visitor::{Anyone, Visitor};
use crate::service::paging::Found;
use crate::service::{sessions, team};

/// Where the person works, and a form for a further organisation.
#[derive(Debug, Serialize)]
struct OrganisationsView {
    workplaces: Vec<ShownWorkplace>,
    /// What is looked for.
    search: String,
    /// Whether there are so many that somebody may want to look for one.
    is_large: bool,
    places: Paging,
    may_found: bool,
    organisation: String,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct ShownWorkplace {
    slug: String,
    name: String,
    role: &'static str,
    is_current: bool,
}

impl View for OrganisationsView {
    const TEMPLATE: &'static str = "dashboard/organisations";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Your organisations".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

fn view(visitor: &Visitor<Anyone>, organisation: &str, faults: Faults) -> Result<OrganisationsView, PageError> {
    let (signed_in, search) = (visitor.person(), asked_for(visitor)?);
    let words = search.words.to_lowercase();
    let holds = |workplace: &&sessions::Workplace| {
        workplace.slug.contains(&words) || workplace.name.to_lowercase().contains(&words)
    };
    // A person belongs to so few that they are all in memory.
    let found: Vec<&sessions::Workplace> = signed_in.workplaces.iter().filter(holds).collect();
    let found = Found::of(found.into_iter(), search.page);
    let current = visitor.workplace().map(|workplace| workplace.id);
    let shown = |workplace: &sessions::Workplace| ShownWorkplace {
        slug: workplace.slug.clone(),
        name: workplace.name.clone(),
        role: workplace.role.name(),
        is_current: Some(workplace.id) == current,
    };
    Ok(OrganisationsView {
        workplaces: found.iter().map(|workplace| shown(workplace)).collect(),
        is_large: signed_in.workplaces.len() > found.rows.len() || !search.words.is_empty(),
        places: Paging::new(&found, "/organisations/new", "page", &search.words),
        search: search.words,
        may_found: team::may_found(&visitor.management(), signed_in.person.is_operator),
        organisation: organisation.to_owned(),
        faults,
    })
}

/// The organisations, and the form.
pub(super) async fn show(visitor: Visitor<Anyone>) -> PageResult {
    visitor.page(&view(&visitor, "", Faults::default())?)
}

/// Makes a further organisation and goes to work there.
pub(super) async fn found(visitor: Visitor<Anyone>) -> PageResult {
    let form = visitor.form(&[])?;
    let (signed_in, name) = (visitor.person().clone(), form.text("organisation").to_owned());
    match visitor.create(&form, move |m| team::found(m, &signed_in, &name)).await {
        Ok(joined) => {
            visitor.show_session(joined.session);
            Ok(visitor.go("/", "organisation-made"))
        }
        Err(error) => {
            let (status, faults) = refusal(&visitor, error)?;
            visitor.page_with(status, &view(&visitor, form.text("organisation"), faults)?)
        }
    }
}

/// Goes to work in another organisation, with a session secret of its own.
pub(super) async fn switch(visitor: Visitor<Anyone>) -> Result<HttpResponse, PageError> {
    let form = visitor.form(&[])?;
    let (signed_in, slug) = (visitor.person().clone(), form.text("organisation").to_owned());
    let switched = visitor.change(move |m| sessions::switch(m, &signed_in, &slug)).await;
    visitor.show_session(switched.map_err(|error| PageError::service(&visitor, &error))?);
    Ok(visitor.go("/", "organisation-switched"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::paging::tests::paging;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let workplace = |slug: &str, is_current| ShownWorkplace {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            role: "viewer",
            is_current,
        };
        let view = |workplaces, may_found| OrganisationsView {
            workplaces,
            search: String::new(),
            is_large: may_found,
            places: paging(may_found),
            may_found,
            organisation: String::new(),
            faults: Faults::default(),
        };
        vec![
            sample(view(vec![workplace("acme", true), workplace("other", false)], true)),
            sample(view(Vec::new(), false)),
        ]
    }
}
