//! `/apps/{sid}/start`: a program that gets a token for an app.

mod keyless;

use actix_web::web::Path;
use serde::Serialize;

use super::apps::{AppHead, Tab};
use super::error::{PageError, PageResult};
use super::page::{Section, View};
use super::scene::Scene;
use super::visitor::{AnyMember, Visitor};
use crate::db::apps::AppRecord;
use crate::http::snippets::{LANGUAGES, Language, StartValues};
use crate::oauth::client::ClientAuthentication;
use crate::oauth::metadata::path;
use crate::service::apps;

/// Scopes that a snippet asks for: with more, it asks for none, which gives all.
const MOST_SCOPES: usize = 5;

/// A program for an app.
#[derive(Debug, Serialize)]
struct StartView {
    app: AppHead,
    is_disabled: bool,
    has_live_key: bool,
    has_scopes: bool,
    /// More than stand in the snippet.
    asks_for_all: bool,
    token_url: String,
    languages: Vec<Choice>,
    label: &'static str,
    file: &'static str,
    needs: &'static str,
    run: &'static str,
    key_hint: &'static str,
    snippet: String,
}

#[derive(Debug, Serialize)]
struct Choice {
    key: &'static str,
    label: &'static str,
    is_current: bool,
}

impl View for StartView {
    const TEMPLATE: &'static str = "dashboard/app-start";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Quick start for {}", self.app.name)
    }
}

fn view(scene: &Scene, app: &AppRecord, has_live_key: bool, language: &Language) -> Result<StartView, PageError> {
    let issuer = scene.site().authority.issuer();
    let scopes: Vec<String> = app.scopes.iter().map(|(_, scope)| scope.clone()).collect();
    let asks_for_all = scopes.len() > MOST_SCOPES;
    let asked: &[String] = if asks_for_all { &[] } else { &scopes };
    let snippet = scene.site().snippets.start(language, &StartValues::new(issuer, app.client_id, asked));
    Ok(StartView {
        app: AppHead::new(app, Tab::Start),
        is_disabled: app.disabled_at.is_some(),
        has_live_key,
        has_scopes: !scopes.is_empty(),
        asks_for_all,
        token_url: format!("{issuer}{}", path::TOKEN),
        languages: LANGUAGES
            .iter()
            .map(|choice| Choice { key: choice.key, label: choice.label, is_current: choice.key == language.key })
            .collect(),
        label: language.label,
        file: language.file,
        needs: language.needs,
        run: language.run,
        key_hint: language.key_hint,
        snippet: snippet.map_err(|error| PageError::internal(scene, &error))?,
    })
}

/// The program in the language that `?lang=` names; for an app without App Key what there is instead.
pub(super) async fn start(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&path)?;
    let language = match visitor.query("lang") {
        Some(key) => Language::of(&key).ok_or_else(|| PageError::not_found(&visitor))?,
        None => Language::first(),
    };
    let found = visitor.look(move |m| apps::show(m, client_id)).await?;
    if found.app.authentication != ClientAuthentication::ClientSecret {
        return keyless::show(&visitor, &found.app).await;
    }
    let now = visitor.now();
    let has_live_key = found.keys.iter().any(|key| key.is_live(now));
    let view = view(&visitor, &found.app, has_live_key, language)?;
    visitor.page(&view)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::http::snippets::Snippets;
    use crate::oauth::ClientId;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let snippets = Snippets::new().unwrap();
        let sid = ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").unwrap();
        let view = |language: &Language, is_bad: bool| StartView {
            app: AppHead::new(&crate::http::dashboard::apps::tests::app(), Tab::Start),
            is_disabled: is_bad,
            has_live_key: !is_bad,
            has_scopes: !is_bad,
            asks_for_all: is_bad,
            token_url: "https://id.example.com/connect/token".to_owned(),
            languages: vec![Choice { key: "curl", label: "curl", is_current: true }],
            label: language.label,
            file: language.file,
            needs: language.needs,
            run: language.run,
            key_hint: language.key_hint,
            snippet: snippets.start(language, &StartValues::new("https://id.example.com", sid, &[])).unwrap(),
        };
        let each = LANGUAGES.iter().flat_map(|language| [sample(view(language, false)), sample(view(language, true))]);
        each.chain(keyless::tests::samples()).collect()
    }
}
