//! `/apis/{id}/verify`: how a service verifies the tokens of an API.

use actix_web::web::Path;
use serde::Serialize;

use super::ShownScope;
use crate::db::apis::ApiRecord;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::scene::Scene;
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::snippets::{VERIFIERS, Verifier, VerifyValues};
use crate::service::apis;

/// A guard for an API.
#[derive(Debug, Serialize)]
struct VerifyView {
    id: String,
    api_name: String,
    identifier: String,
    kinds: Vec<Kind>,
    label: &'static str,
    file: &'static str,
    needs: &'static str,
    rotation: &'static str,
    skew: &'static str,
    revocation: &'static str,
    caveats: Vec<String>,
    snippet: String,
    scopes: Vec<ShownScope>,
    /// Which one the snippet demands.
    scope: String,
    key: &'static str,
}

#[derive(Debug, Serialize)]
struct Kind {
    key: &'static str,
    label: &'static str,
    is_current: bool,
}

impl View for VerifyView {
    const TEMPLATE: &'static str = "dashboard/api-verify";
    const SECTION: Section = Section::Apis;

    fn title(&self) -> String {
        format!("Verify tokens for {}", self.api_name)
    }
}

fn view(scene: &Scene, api: &ApiRecord, verifier: &Verifier, scope: Option<&str>) -> Result<VerifyView, PageError> {
    let values = VerifyValues::new(scene.site().authority.issuer(), api, scope);
    let snippet = scene.site().snippets.verify(verifier, &values);
    Ok(VerifyView {
        id: api.id.to_string(),
        api_name: api.name.clone(),
        identifier: api.identifier.clone(),
        kinds: VERIFIERS
            .iter()
            .map(|kind| Kind { key: kind.key, label: kind.label, is_current: kind.key == verifier.key })
            .collect(),
        label: verifier.label,
        file: verifier.file,
        needs: verifier.needs,
        rotation: verifier.rotation,
        skew: verifier.skew,
        revocation: verifier.revocation,
        caveats: verifier.caveats(api),
        snippet: snippet.map_err(|error| PageError::internal(scene, &error))?,
        scopes: api.scopes.iter().take(20).map(ShownScope::of).collect(),
        scope: values.scope().to_owned(),
        key: verifier.key,
    })
}

/// The guard that `?with=` names, demanding the scope that `?scope=` names.
pub(super) async fn verify(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let id = visitor.id(&path)?;
    let verifier = match visitor.query("with") {
        Some(key) => Verifier::of(&key).ok_or_else(|| PageError::not_found(&visitor))?,
        None => Verifier::first(),
    };
    let api = visitor.look(move |m| apis::show(m, id)).await?.api;
    let scope = visitor.query("scope");
    let view = view(&visitor, &api, verifier, scope.as_deref())?;
    visitor.page(&view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apis::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::http::snippets::Snippets;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let snippets = Snippets::new().unwrap();
        let view = |verifier: &Verifier| {
            let api = record(true);
            let values = VerifyValues::new("https://id.example.com", &api, None);
            VerifyView {
                id: api.id.to_string(),
                api_name: api.name.clone(),
                identifier: api.identifier.clone(),
                kinds: vec![Kind { key: "flask", label: "Flask", is_current: true }],
                label: verifier.label,
                file: verifier.file,
                needs: verifier.needs,
                rotation: verifier.rotation,
                skew: verifier.skew,
                revocation: verifier.revocation,
                caveats: verifier.caveats(&api),
                snippet: snippets.verify(verifier, &values).unwrap(),
                scopes: api.scopes.iter().map(ShownScope::of).collect(),
                scope: "billing:read".to_owned(),
                key: verifier.key,
            }
        };
        VERIFIERS.iter().map(|verifier| sample(view(verifier))).collect()
    }
}
