//! `/apps/{sid}/activity`: who did what to an app.

use actix_web::web::Path;
use serde::Serialize;
use uuid::Uuid;

use super::Tab;
use super::head::AppHead;
use crate::db::apps::AppRecord;
use crate::db::audit::{AuditFilter, AuditRecord};
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::dashboard::when::When;
use crate::service::actors::ActorNames;
use crate::service::{actors, apps, audit};

/// Deeds on a page.
const PER_PAGE: i64 = 50;

/// What was done, in words; what is missing here is shown as it stands.
const ACTIONS: &[(&str, &str)] = &[
    ("app.create", "Created the app"),
    ("app.update", "Changed the app"),
    ("app.transfer", "Handed the app over"),
    ("app.authentication", "Changed how the app proves who it is"),
    ("app.disable", "Disabled the app"),
    ("app.enable", "Enabled the app"),
    ("app.delete", "Deleted the app"),
    ("app.revoke-tokens", "Revoked all tokens"),
    ("app.key.add", "Added a key"),
    ("app.key.rotate", "Rotated the key"),
    ("app.key.revoke", "Revoked a key"),
];

/// The deeds.
#[derive(Debug, Serialize)]
struct ActivityView {
    app: AppHead,
    deeds: Vec<ShownDeed>,
    older: Option<String>,
    /// Whether newer ones are on another page.
    is_further: bool,
}

#[derive(Debug, Serialize)]
struct ShownDeed {
    at: When,
    by: String,
    what: String,
    action: String,
    address: Option<String>,
    /// What was said about it, as JSON over several lines; empty if nothing was.
    detail: String,
}

impl View for ActivityView {
    const TEMPLATE: &'static str = "dashboard/apps/activity";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Activity of {}", self.app.name)
    }
}

impl ActivityView {
    fn new(app: &AppRecord, mut deeds: Vec<AuditRecord>, names: &ActorNames, is_further: bool) -> Self {
        let most = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
        let more = deeds.len() > most;
        deeds.truncate(most);
        let head = AppHead::new(app, Tab::Activity);
        let older = deeds.last().filter(|_| more).map(|last| head.path(&format!("/activity?before={}", last.id)));
        let shown = |AuditRecord { entry, .. }: AuditRecord| {
            let words = ACTIONS.iter().find(|(action, _)| *action == entry.action);
            let said = entry.detail.as_object().is_some_and(|detail| !detail.is_empty());
            ShownDeed {
                at: When::of(entry.at),
                by: names.of(&entry.actor),
                what: words.map_or_else(|| entry.action.clone(), |(_, words)| (*words).to_owned()),
                action: entry.action,
                address: entry.address,
                detail: if said {
                    serde_json::to_string_pretty(&entry.detail).unwrap_or_default()
                } else {
                    String::new()
                },
            }
        };
        Self { app: head, deeds: deeds.into_iter().map(shown).collect(), older, is_further }
    }
}

/// The page; `?before=` is where the page before ended.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let before = match visitor.query("before").filter(|text| !text.is_empty()) {
        Some(text) => {
            let id = Uuid::try_parse(&text).ok().filter(|id| id.hyphenated().to_string() == text);
            Some(id.ok_or_else(|| PageError::bad_request(&visitor, "The address does not say where the page begins."))?)
        }
        None => None,
    };
    let organisation = visitor.organisation();
    let (app, deeds, names) = visitor
        .look(move |m| {
            let app = apps::show(m, client_id)?.app;
            let filter = AuditFilter { target: Some(client_id.to_string()), ..AuditFilter::default() };
            let deeds = audit::list(m, &organisation, &filter, before, PER_PAGE + 1)?;
            let names = actors::names(m, &organisation, deeds.iter().map(|deed| deed.entry.actor.as_str()))?;
            Ok((app, deeds, names))
        })
        .await?;
    visitor.page(&ActivityView::new(&app, deeds, &names, before.is_some()))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::db::audit::AuditEntry;
    use crate::http::dashboard::apps::tests::{app, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    fn deed(action: &str, detail: serde_json::Value) -> AuditRecord {
        let entry = AuditEntry {
            at: moment(),
            organisation_id: None,
            actor: "cli:root".to_owned(),
            action: action.to_owned(),
            target: "3f1c".to_owned(),
            detail,
            address: Some("127.0.0.1".to_owned()).filter(|_| action != "app.create"),
        };
        AuditRecord { id: Uuid::now_v7(), entry }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let names = ActorNames::default();
        let deeds =
            vec![deed("app.update", json!({ "name": "<b>\"" })), deed("app.create", json!({})), deed("x.y", json!(1))];
        let many = (0..51).map(|_| deed("app.enable", json!({}))).collect();
        vec![
            sample(ActivityView::new(&app(), deeds, &names, false)),
            sample(ActivityView::new(&app(), many, &names, true)),
            sample(ActivityView::new(&app(), Vec::new(), &names, false)),
        ]
    }
}
