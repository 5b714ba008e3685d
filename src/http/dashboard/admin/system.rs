//! The server as a whole: what runs, on what, since when, with which settings.

use serde::Serialize;

use crate::config::EffectiveSetting;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Operator, Visitor};
use crate::http::dashboard::when::When;
use crate::http::pictures::{Tile, grouped, spoken};
use crate::service::system::{ChoreRun, SystemFacts, facts};

/// The page.
#[derive(Serialize)]
struct SystemView {
    version: &'static str,
    started: When,
    uptime: String,
    database: &'static str,
    location: String,
    size: String,
    tiles: Vec<Tile>,
    used: u32,
    idle: u32,
    apps_held: String,
    most_apps_held: String,
    applied: Vec<String>,
    pending: Vec<String>,
    chores: Vec<Chore>,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Chore {
    name: &'static str,
    at: When,
    is_done: bool,
}

#[derive(Serialize)]
struct Setting {
    key: &'static str,
    value: String,
    origin: String,
    is_default: bool,
}

impl View for SystemView {
    const TEMPLATE: &'static str = "dashboard/admin/system";
    const SECTION: Section = Section::System;

    fn title(&self) -> String {
        "System".to_owned()
    }
}

/// `1.5 MB`
fn size(bytes: i64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", grouped(bytes / unit), bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

impl SystemView {
    fn new(facts: SystemFacts) -> Self {
        let chore = |(name, run): (&'static str, ChoreRun)| Chore { name, at: When::of(run.at), is_done: run.is_done };
        let setting = |EffectiveSetting { key, value, origin }: EffectiveSetting| Setting {
            key,
            value,
            is_default: origin == "default",
            origin,
        };
        let count = |number: usize| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        // Days are enough where there are days.
        let unit = if facts.uptime.as_secs() > 2 * 86_400 { 86_400 } else { 60 };
        let uptime = std::time::Duration::from_secs(facts.uptime.as_secs() / unit * unit);
        Self {
            version: facts.version,
            started: When::of(facts.started_at),
            uptime: spoken(uptime),
            database: facts.database,
            location: facts.location,
            size: size(facts.extent.bytes),
            tiles: vec![
                Tile::new(facts.extent.organisations, "organisation", "organisations"),
                Tile::new(facts.extent.people, "person", "people"),
                Tile::new(facts.extent.apps, "app", "apps"),
                Tile::new(facts.extent.sessions, "session", "sessions"),
            ],
            used: facts.connections.0,
            idle: facts.connections.1,
            apps_held: count(facts.apps_held.0),
            most_apps_held: count(facts.apps_held.1),
            applied: facts.migrations.applied,
            pending: facts.migrations.pending,
            chores: facts.chores.into_iter().map(chore).collect(),
            settings: facts.settings.into_iter().map(setting).collect(),
        }
    }
}

/// The page.
pub(in crate::http::dashboard) async fn show(visitor: Visitor<Operator>) -> PageResult {
    let authority = visitor.site().authority.clone();
    let found = visitor.site().authority.look(visitor.management(), move |m| facts(m, &authority)).await;
    let facts = found.map_err(|error| PageError::service(&visitor, &error))?;
    visitor.page(&SystemView::new(facts))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::db::MigrationStatus;
    use crate::db::meta::Extent;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let facts = SystemFacts {
            version: "0.1.0",
            started_at: Timestamp::from_seconds(1_795_305_600),
            uptime: Duration::from_secs(90_000),
            database: "SQLite",
            location: "data/brevet.db".to_owned(),
            extent: Extent { bytes: 1_234_567, organisations: 1, people: 2, apps: 3, sessions: 4 },
            migrations: MigrationStatus {
                applied: vec!["20261122000000".to_owned()],
                pending: Vec::new(),
                unknown: Vec::new(),
            },
            connections: (1, 7),
            apps_held: (3, 131_072),
            chores: vec![("write counts", ChoreRun { at: Timestamp::from_seconds(1_795_305_600), is_done: false })],
            settings: vec![EffectiveSetting {
                key: "issuer",
                value: "https://id.example.com".to_owned(),
                origin: "default".to_owned(),
            }],
        };
        let young = SystemFacts {
            chores: Vec::new(),
            migrations: MigrationStatus { pending: vec!["2".to_owned()], ..facts.migrations.clone() },
            ..facts.clone()
        };
        vec![sample(SystemView::new(facts)), sample(SystemView::new(young))]
    }

    #[test]
    fn sizes_are_written_for_people() {
        let shown = [512, 2_048, 1_234_567, 5_000_000_000].map(size);
        assert_eq!(shown, ["512 bytes", "2.0 kB", "1.2 MB", "5.0 GB"]);
    }
}
