//! `/apis/{id}/edit`

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::look::{LookFields, Sample};
use crate::clock::print_span;
use crate::db::apis::ApiRecord;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::service::ServiceError;
use crate::service::apis::{self, ApiUpdate, VersionedApi};

/// The form.
#[derive(Debug, Serialize)]
struct EditApiView {
    id: String,
    api_name: String,
    identifier: String,
    version: String,
    look: LookFields,
    faults: Faults,
    /// What somebody else saved meanwhile, beside what is in the form.
    conflict: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    what: &'static str,
    theirs: String,
    yours: String,
    differs: bool,
}

impl View for EditApiView {
    const TEMPLATE: &'static str = "dashboard/api-edit";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        format!("Change {}", self.api_name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty() || !self.conflict.is_empty()
    }
}

fn sample<'a>(api: &'a ApiRecord, scopes: &'a [&'a str], issuer: &'a str, tenant: &'a str) -> Sample<'a> {
    Sample { issuer, tenant, identifier: &api.identifier, scopes }
}

fn first_scopes(api: &ApiRecord) -> Vec<&str> {
    api.scopes.iter().take(2).map(|scope| scope.name.as_str()).collect()
}

/// An API of the organisation; Brevet's own is nobody's to change.
async fn own(visitor: &Visitor<Developer>, id: &str) -> Result<VersionedApi, PageError> {
    let id = visitor.id(id)?;
    let found = visitor.look(move |m| apis::show(m, id)).await?;
    if found.api.organisation_id.is_none() {
        return Err(PageError::not_found(visitor));
    }
    Ok(found)
}

/// The form with what there is.
pub(super) async fn show_edit(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let VersionedApi { api, version } = own(&visitor, &path).await?;
    let (scopes, tenant) = (first_scopes(&api), visitor.organisation());
    let sample = sample(&api, &scopes, visitor.site().authority.issuer(), &tenant);
    let lifetime = api.lifetime.map(print_span).unwrap_or_default();
    visitor.page(&EditApiView {
        id: api.id.to_string(),
        api_name: api.name.clone(),
        identifier: api.identifier.clone(),
        version: version.as_str().to_owned(),
        look: LookFields::new(&api.name, lifetime, (api.profile, api.algorithm), &sample),
        faults: Faults::default(),
        conflict: Vec::new(),
    })
}

/// Saves it, if nobody else did meanwhile.
pub(super) async fn edit(visitor: Visitor<Developer>, path: Path<String>) -> PageResult {
    let form = visitor.form(&[])?;
    let VersionedApi { api, version } = own(&visitor, &path).await?;
    let (scopes, tenant) = (first_scopes(&api), visitor.organisation());
    let sample = sample(&api, &scopes, visitor.site().authority.issuer(), &tenant);
    let mut faults = Faults::default();
    let (look, lifetime) = LookFields::read(&form, &sample, &mut faults);
    let mut conflict = Vec::new();
    if faults.is_empty() {
        let (id, update) = (
            api.id,
            ApiUpdate {
                name: Some(look.name.clone()),
                profile: Some(look.profile),
                algorithm: Some(look.algorithm),
                lifetime: Some(lifetime),
            },
        );
        match visitor.change_seen(&form, move |m| apis::update(m, id, &update)).await {
            Ok(_) => return Ok(visitor.go(&format!("/apis/{id}"), "api-changed")),
            Err(ServiceError::Stale) => conflict = differences(&api, &look),
            Err(error) => {
                faults = Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?;
            }
        }
    }
    let is_stale = !conflict.is_empty();
    let view = EditApiView {
        id: api.id.to_string(),
        api_name: api.name.clone(),
        identifier: api.identifier.clone(),
        // After a conflict the person has seen what there is now; after a fault, what there was still counts.
        version: if is_stale { version.as_str().to_owned() } else { form.text("version").to_owned() },
        look,
        faults,
        conflict,
    };
    visitor.page_with(if is_stale { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY }, &view)
}

fn differences(api: &ApiRecord, look: &LookFields) -> Vec<Difference> {
    let difference = |what, theirs: &str, yours: &str| {
        let shown = |text: &str| if text.is_empty() { "the server's".to_owned() } else { text.to_owned() };
        Difference { what, theirs: shown(theirs), yours: shown(yours), differs: theirs != yours }
    };
    vec![
        difference("Name", &api.name, look.name.trim()),
        difference("Profile", api.profile.name(), look.profile.name()),
        difference("Algorithm", api.algorithm.name(), look.algorithm.name()),
        difference("Longest lifetime", &api.lifetime.map(print_span).unwrap_or_default(), &look.lifetime),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apis::tests::record;
    use crate::http::dashboard::samples;

    pub(in crate::http::dashboard) fn samples() -> Vec<samples::Sample> {
        let api = record(true);
        let view = |faults: Faults, is_stale: bool| {
            let scopes = first_scopes(&api);
            let sample = sample(&api, &scopes, "https://id.example.com", "acme");
            let look = LookFields::new("Bills", String::new(), (api.profile, api.algorithm), &sample);
            EditApiView {
                id: api.id.to_string(),
                api_name: api.name.clone(),
                identifier: api.identifier.clone(),
                version: "x".to_owned(),
                conflict: if is_stale { differences(&api, &look) } else { Vec::new() },
                look,
                faults,
            }
        };
        vec![
            samples::sample(view(Faults::default(), false)),
            samples::sample(view(Faults::one("name", "No."), false)),
            samples::sample(view(Faults::default(), true)),
        ]
    }
}
