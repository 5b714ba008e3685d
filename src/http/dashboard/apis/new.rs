//! `/apis/new`

use actix_web::http::StatusCode;
use serde::Serialize;

use super::look::{LookFields, Sample};
use crate::db::apis::ScopeRecord;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::resume::local_path;
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::oauth::{SigningAlgorithm, TokenProfile};
use crate::service::apis::{self, NewApi};

/// Scopes that the form has room for; more are added on the page of the API.
const ROOM: usize = 4;

/// The form.
#[derive(Debug, Serialize)]
struct NewApiView {
    look: LookFields,
    identifier: String,
    scopes: Vec<ScopeFields>,
    faults: Faults,
    /// Where the person came from.
    return_to: String,
}

#[derive(Debug, Serialize)]
struct ScopeFields {
    number: usize,
    name: String,
    description: String,
    sensitive: bool,
}

impl View for NewApiView {
    const TEMPLATE: &'static str = "dashboard/api-new";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        "Create an API".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

fn look_sample<'a>(issuer: &'a str, tenant: &'a str) -> Sample<'a> {
    Sample { issuer, tenant, identifier: "https://billing.example.com", scopes: &["billing:read", "billing:write"] }
}

impl ScopeFields {
    fn read(form: &Form, number: usize) -> Self {
        let field = |name: &str| format!("scope-{number}-{name}");
        Self {
            number,
            name: form.trimmed(&field("name")).to_owned(),
            description: form.trimmed(&field("description")).to_owned(),
            sensitive: form.has(&field("sensitive")),
        }
    }

    fn empty(number: usize) -> Self {
        Self { number, name: String::new(), description: String::new(), sensitive: false }
    }
}

/// The empty form.
pub(super) async fn show_new(visitor: Visitor<Developer>) -> PageResult {
    let (issuer, tenant) = (visitor.site().authority.issuer().to_owned(), visitor.organisation());
    let look = (TokenProfile::Rfc9068, SigningAlgorithm::Rs256);
    visitor.page(&NewApiView {
        look: LookFields::new("", String::new(), look, &look_sample(&issuer, &tenant)),
        identifier: String::new(),
        scopes: (1..=ROOM).map(ScopeFields::empty).collect(),
        return_to: visitor.query("return_to").as_deref().and_then(local_path).unwrap_or_default().to_owned(),
        faults: Faults::default(),
    })
}

/// Makes it.
pub(super) async fn create(visitor: Visitor<Developer>) -> PageResult {
    let form = visitor.form(&[])?;
    let (issuer, organisation) = (visitor.site().authority.issuer().to_owned(), visitor.organisation());
    let return_to = local_path(form.text("return-to")).unwrap_or_default().to_owned();
    let mut faults = Faults::default();
    let (look, lifetime) = LookFields::read(&form, &look_sample(&issuer, &organisation), &mut faults);
    let (identifier, name) = (form.trimmed("identifier").to_owned(), look.name.clone());
    let fields: Vec<ScopeFields> = (1..=ROOM).map(|number| ScopeFields::read(&form, number)).collect();
    for scope in fields.iter().filter(|scope| scope.name.is_empty() && !scope.description.is_empty()) {
        faults.add(&format!("scope-{}-name", scope.number), "A scope needs a name.");
    }
    let given = fields.iter().filter(|scope| !scope.name.is_empty());
    let scopes: Vec<ScopeRecord> = given
        .map(|scope| ScopeRecord {
            name: scope.name.clone(),
            description: scope.description.clone(),
            sensitive: scope.sensitive,
        })
        .collect();
    let (profile, algorithm) = (look.profile, look.algorithm);
    if faults.is_empty() {
        let wanted = identifier.clone();
        let made = visitor
            .create(&form, move |m| {
                let new = NewApi {
                    organisation: &organisation,
                    name: &name,
                    identifier: &wanted,
                    scopes,
                    profile,
                    algorithm,
                    lifetime,
                };
                apis::create(m, &new)
            })
            .await;
        match made {
            Ok(made) => {
                let to = if return_to.is_empty() { format!("/apis/{}", made.api.id) } else { return_to };
                return Ok(visitor.go(&to, "api-created"));
            }
            Err(error) => {
                faults = Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?;
            }
        }
    }
    let view = NewApiView { look, identifier, scopes: fields, return_to, faults };
    visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples;

    pub(in crate::http::dashboard) fn samples() -> Vec<samples::Sample> {
        let view = |faults: Faults| NewApiView {
            look: LookFields::new(
                "x",
                String::new(),
                (TokenProfile::Classic, SigningAlgorithm::Es256),
                &look_sample("https://id.example.com", "acme"),
            ),
            identifier: String::new(),
            scopes: vec![ScopeFields::empty(1), ScopeFields { sensitive: true, ..ScopeFields::empty(2) }],
            return_to: "/apps/new?name=a".to_owned(),
            faults,
        };
        vec![samples::sample(view(Faults::default())), samples::sample(view(Faults::one("scopes", "No.")))]
    }
}
