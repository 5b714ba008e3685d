//! The start page of who is signed in: the next step, how much was asked for, and what needs a look.

use actix_web::HttpResponse;
use serde::Serialize;

use super::audit::DeedRow;
use super::error::{PageError, PageResult};
use super::issuers::Ending;
use super::page::{Section, View};
use super::scene::Scene;
use super::usage::{Counted, RangeLink, range_links, range_of};
use super::visitor::{Developer, Visitor};
use super::when::When;
use crate::clock::Timestamp;
use crate::db::app_keys::EndingKey;
use crate::db::developers::Role;
use crate::http::pictures::{Bars, Tile, day_and_hour, grouped};
use crate::service::second_factor::has_any;
use crate::service::sessions::SignedIn;
use crate::service::start::{Progress, Start, gather};
use crate::service::trusted_issuers::ExpiringIssuer;
use crate::service::usage::{OrganisationPicture, mark_tokens_checked};

/// Issuers that are named; the list of issuers has the others.
const MOST_ISSUERS: usize = 5;

/// The page.
#[derive(Serialize)]
struct StartView {
    /// What is to be done next; `None` once all is done.
    checklist: Option<Checklist>,
    /// Whether there is nothing yet that could be shown.
    is_new: bool,
    usage: Option<UsageView>,
    ending: Vec<EndingRow>,
    issuers: Vec<EndingIssuer>,
    /// How many more there are.
    more_issuers: usize,
    /// For administrators, if there are any.
    without_owner: Option<String>,
    deeds: Vec<DeedRow>,
}

impl View for StartView {
    const TEMPLATE: &'static str = "dashboard/start";
    const SECTION: Section = Section::Home;

    fn title(&self) -> String {
        "Home".to_owned()
    }
}

#[derive(Serialize)]
struct Checklist {
    steps: Vec<Step>,
    done: usize,
    all: usize,
}

#[derive(Serialize)]
struct Step {
    text: &'static str,
    hint: &'static str,
    href: &'static str,
    action: &'static str,
    is_done: bool,
    /// Whether the person's role is enough for it.
    is_allowed: bool,
    /// Whether a person may say that it is done, because nobody else can.
    may_be_marked: bool,
}

impl Checklist {
    fn new(progress: Progress, has_second_factor: bool, may_change: bool) -> Option<Self> {
        let step = |text, hint, href, action, is_done| Step {
            text,
            hint,
            href,
            action,
            is_done,
            is_allowed: may_change,
            may_be_marked: false,
        };
        let steps = vec![
            step(
                "Describe an API",
                "What tokens are for: a service of yours, and the scopes that say what may be done with it.",
                "/apis/new",
                "Create API",
                progress.has_api,
            ),
            step(
                "Register an app",
                "A program that calls it. It gets an App SID and an App Key, shown once.",
                "/apps/new",
                "Create app",
                progress.has_app,
            ),
            Step {
                is_allowed: true,
                ..step(
                    "Get a token",
                    "With curl, with a library, or here. Ticked about ten seconds after the first token.",
                    "/try",
                    "Try it",
                    progress.has_token,
                )
            },
            Step {
                may_be_marked: may_change && !progress.has_check,
                is_allowed: true,
                ..step(
                    "Check a token in your service",
                    "Ticked when this server is asked about one. Services that verify offline ask nobody: then say so yourself.",
                    "/apis",
                    "See how",
                    progress.has_check,
                )
            },
            Step {
                is_allowed: true,
                ..step(
                    "Protect your account",
                    "A second factor, so that a password alone opens nothing.",
                    "/account",
                    "Add a second factor",
                    has_second_factor,
                )
            },
        ];
        let (done, all) = (steps.iter().filter(|step| step.is_done).count(), steps.len());
        (done < all).then_some(Self { steps, done, all })
    }
}

#[derive(Serialize)]
struct UsageView {
    tiles: Vec<Tile>,
    ranges: Vec<RangeLink>,
    bars: Bars,
    scopes: Vec<Counted>,
    busiest: Vec<BusyRow>,
}

#[derive(Serialize)]
struct BusyRow {
    sid: String,
    name: String,
    issued: String,
    refused: String,
}

impl UsageView {
    fn new(usage: &OrganisationPicture, quick: Option<Tile>) -> Self {
        let busy = |app: &crate::db::usage::BusyApp| BusyRow {
            sid: app.client_id.to_string(),
            name: app.name.clone(),
            issued: grouped(app.issued),
            refused: grouped(app.refused),
        };
        let counted = [
            Tile::new(usage.issued_24h, "token issued", "tokens issued"),
            Tile::new(usage.refused_24h, "request refused", "requests refused"),
            Tile::new(usage.busiest.active, "app that got a token", "apps that got a token"),
        ];
        Self {
            tiles: counted.into_iter().chain(quick).collect(),
            ranges: range_links("/", usage.picture.range),
            bars: Bars::new("usage", &usage.picture),
            scopes: usage.picture.scopes.iter().map(super::usage::counted).collect(),
            busiest: usage.busiest.apps.iter().map(busy).collect(),
        }
    }
}

#[derive(Serialize)]
struct EndingRow {
    sid: String,
    name: String,
    hint: String,
    expires: When,
}

impl From<EndingKey> for EndingRow {
    fn from(key: EndingKey) -> Self {
        Self { sid: key.client_id.to_string(), name: key.app_name, hint: key.hint, expires: When::of(key.expires_at) }
    }
}

/// An issuer that needs another certificate.
#[derive(Serialize)]
struct EndingIssuer {
    id: String,
    name: String,
    ending: Ending,
}

impl StartView {
    fn new(start: Start, has_second_factor: bool, role: Role, quick: Option<Tile>, now: Timestamp) -> Self {
        let ending = |issuer: &ExpiringIssuer| EndingIssuer {
            id: issuer.id.to_string(),
            name: issuer.name.clone(),
            ending: Ending::new(issuer.expires_at, now),
        };
        let may_change = role.includes(Role::Developer);
        let checklist = start.progress.and_then(|progress| Checklist::new(progress, has_second_factor, may_change));
        Self {
            is_new: start.progress.is_some_and(|progress| !progress.has_app),
            checklist,
            usage: start.usage.as_ref().map(|usage| UsageView::new(usage, quick)),
            without_owner: Some(start.without_owner)
                .filter(|count| role.includes(Role::Admin) && *count > 0)
                .map(|count| if count == 1 { "1 app".to_owned() } else { format!("{} apps", grouped(count)) }),
            ending: start.ending.into_iter().map(Into::into).collect(),
            issuers: start.issuers.iter().take(MOST_ISSUERS).map(ending).collect(),
            more_issuers: start.issuers.len().saturating_sub(MOST_ISSUERS),
            deeds: start.deeds.iter().map(DeedRow::new).collect(),
        }
    }
}

/// How quick this node is. It keeps no such times, so it can say no more than since it started.
fn quick(scene: &Scene) -> Option<Tile> {
    let (site, started_at) = (scene.site(), scene.site().authority.started_at);
    let text = format!("for 95 % of the token requests to this node, since {}", day_and_hour(started_at));
    site.metrics.token_p95().map(|span| Tile::within(span, text))
}

/// The start page of that person.
pub(super) async fn show(scene: &Scene, signed_in: &SignedIn) -> PageResult {
    let Some(workplace) = signed_in.workplace.clone() else {
        return Ok(scene.redirect("/organisations/new"));
    };
    let (authority, role) = (&scene.site().authority, workplace.role);
    let (m, range) = (authority.management.for_member(signed_in, &workplace, scene.caller().address), range_of(scene)?);
    let person = signed_in.person.id;
    let found = authority.look(m, move |m| Ok((gather(m, &workplace.slug, range)?, has_any(m, person)?))).await;
    let (start, has_second_factor) = found.map_err(|error| PageError::service(scene, &error))?;
    scene.page(&StartView::new(start, has_second_factor, role, quick(scene), scene.caller().now))
}

/// Somebody says that services check tokens.
pub(super) async fn mark_checks(visitor: Visitor<Developer>) -> Result<HttpResponse, PageError> {
    visitor.form(&[])?;
    let organisation = visitor.organisation();
    let marked = visitor.change(move |m| mark_tokens_checked(m, &organisation)).await;
    marked.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go("/", "checks-marked"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::db::usage::{BusiestApps, BusyApp};
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::http::dashboard::usage::tests::picture;
    use crate::oauth::ClientId;
    use crate::service::usage::Range;

    fn progress(has_app: bool) -> Progress {
        Progress { has_api: true, has_app, has_token: has_app, has_check: false }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
        let issuer = |expires_at| ExpiringIssuer {
            id: ClientId::generate(),
            organisation: "acme".to_owned(),
            name: "Portal <b>".to_owned(),
            expires_at,
        };
        let busy = BusyApp { client_id: ClientId::generate(), name: "robot".to_owned(), issued: 3, refused: 1 };
        let full = Start {
            progress: Some(progress(true)),
            usage: Some(OrganisationPicture {
                picture: picture(Range::Day),
                issued_24h: 1_234,
                refused_24h: 5,
                busiest: Arc::new(BusiestApps { apps: vec![busy], active: 1 }),
            }),
            ending: vec![EndingKey {
                client_id: ClientId::generate(),
                app_name: "robot".to_owned(),
                hint: "7Qd2".to_owned(),
                expires_at: Timestamp::from_seconds(1_795_305_600),
            }],
            without_owner: 1_200,
            issuers: vec![issuer(NOW), issuer(Timestamp::NEVER), issuer(NOW), issuer(NOW), issuer(NOW), issuer(NOW)],
            deeds: vec![super::super::audit::tests::deed()],
        };
        let quick = Some(Tile::within(Duration::from_micros(2_500), "for 95 %".to_owned()));
        let empty = |progress| Start {
            progress,
            usage: None,
            ending: Vec::new(),
            without_owner: 1,
            issuers: Vec::new(),
            deeds: Vec::new(),
        };
        vec![
            sample(StartView::new(full, false, Role::Admin, quick, NOW)),
            sample(StartView::new(empty(Some(progress(false))), true, Role::Viewer, None, NOW)),
            sample(StartView::new(empty(None), false, Role::Owner, None, NOW)),
        ]
    }

    #[test]
    fn the_checklist_goes_away_when_all_is_done() {
        let done = Progress { has_check: true, ..progress(true) };
        assert!(Checklist::new(done, true, true).is_none());
        let left = Checklist::new(done, false, true).unwrap();
        assert_eq!((left.done, left.all), (4, 5));
    }
}
