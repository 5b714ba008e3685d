//! `/issuers`: third parties whose signed tokens are accepted in the organisation.

mod edit;
mod entered;
mod form;
mod kinds;
mod new;
mod removal;
mod show;
mod starts;
mod trial;

use actix_web::web::ServiceConfig;
use serde::Serialize;

use super::error::PageResult;
use super::page::{Section, View};
use super::paging::{Paging, asked_for};
use super::visitor::{AnyMember, Visitor};
use super::when::When;
use crate::clock::Timestamp;
use crate::db::developers::Role;
use crate::directory::RemoteStatus;
use crate::http::methods::{get, get_and_post, post};
use crate::oauth::trust::IssuerKeys;
use crate::service::Management;
use crate::service::trusted_issuers::{self, EXPIRES_SOON, IssuerOverview, expires_at};

/// The list.
#[derive(Debug, Serialize)]
struct IssuersView {
    /// What is looked for.
    search: String,
    issuers: Vec<IssuerRow>,
    /// How many there are at all.
    total: i64,
    places: Paging,
    may_change: bool,
}

#[derive(Debug, Serialize)]
struct IssuerRow {
    id: String,
    name: String,
    issuer: String,
    keys: &'static str,
    app: Option<ShownApp>,
    is_enabled: bool,
    accepted: i64,
    refused: i64,
    /// Why its keys could not be fetched the last time.
    failure: Option<String>,
    ending: Option<Ending>,
}

/// When the certificate of an issuer ends, if that is soon or was.
#[derive(Debug, Serialize)]
pub(super) struct Ending {
    at: When,
    is_over: bool,
    /// How long that is from now, in words.
    left: String,
}

impl Ending {
    pub(super) fn new(ends_at: Timestamp, now: Timestamp) -> Self {
        let left = match ends_at.since(now).as_secs() / 86_400 {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        Self { at: When::of(ends_at), is_over: ends_at < now, left }
    }

    fn of(keys: &IssuerKeys, now: Timestamp) -> Option<Self> {
        expires_at(keys, now).filter(|end| *end <= now + EXPIRES_SOON).map(|end| Self::new(end, now))
    }
}

/// An app that is linked to.
#[derive(Debug, Clone, Serialize)]
struct ShownApp {
    sid: String,
    name: String,
}

/// One of several values in a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

impl View for IssuersView {
    const TEMPLATE: &'static str = "dashboard/issuers";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        "Trusted issuers".to_owned()
    }
}

impl IssuerRow {
    fn new(overview: &IssuerOverview, status: Option<RemoteStatus>, ending: Option<Ending>) -> Self {
        let record = &overview.record;
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            issuer: record.issuer.clone(),
            keys: kinds::short(&record.policy.keys),
            app: record.app.map(|app| ShownApp {
                sid: app.to_string(),
                name: overview.app_name.clone().unwrap_or_else(|| app.to_string()),
            }),
            is_enabled: record.disabled_at.is_none(),
            accepted: overview.accepted,
            refused: overview.refused,
            failure: status.and_then(|status| status.failure),
            ending,
        }
    }
}

/// Adds the pages of trusted issuers.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/issuers", list))
        .service(get_and_post("/issuers/new", new::show_new, new::create))
        .service(get("/issuers/{id}", show::show))
        .service(get_and_post("/issuers/{id}/edit", edit::show_edit, edit::edit))
        .service(get_and_post("/issuers/{id}/test", trial::show, trial::test))
        .service(post("/issuers/{id}/disable", removal::disable))
        .service(post("/issuers/{id}/enable", removal::enable))
        .service(get_and_post("/issuers/{id}/delete", removal::show_delete, removal::delete));
}

/// The list.
async fn list(visitor: Visitor<AnyMember>) -> PageResult {
    let search = asked_for(&visitor)?;
    let (organisation, wanted, now) = (visitor.organisation(), search.clone(), visitor.now());
    let look = move |m: &Management| {
        let (found, total) = trusted_issuers::search(m, &organisation, &wanted)?;
        let endings: Vec<_> = found.iter().map(|issuer| Ending::of(&issuer.record.policy.keys, now)).collect();
        Ok((found, total, endings))
    };
    let (found, total, endings) = visitor.look(look).await?;
    let directory = &visitor.site().authority.directory;
    let row = |(overview, ending): (&IssuerOverview, Option<Ending>)| {
        IssuerRow::new(overview, directory.status_of_keys(&overview.record), ending)
    };
    visitor.page(&IssuersView {
        issuers: found.iter().zip(endings).map(row).collect(),
        total,
        places: Paging::new(&found, "/issuers", "page", &search.words),
        search: search.words,
        may_change: visitor.has_role(Role::Admin),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::http::dashboard::paging::tests::paging;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::trust::{ClaimName, ClaimRule, TrustPolicy};
    use crate::oauth::{ClientId, SigningAlgorithm};
    use crate::service::trusted_issuers::TrustedIssuerRecord;

    pub(super) const SID: &str = "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e";

    /// An issuer whose JWTs stand for an app, or for users.
    pub(in crate::http::dashboard) fn record(for_app: bool, keys: IssuerKeys) -> TrustedIssuerRecord {
        TrustedIssuerRecord {
            id: ClientId::parse(SID).unwrap(),
            organisation_id: Uuid::nil(),
            name: "Portal <b>".to_owned(),
            issuer: "https://portal.example".to_owned(),
            app: for_app.then(|| ClientId::parse(SID).unwrap()),
            policy: TrustPolicy {
                keys,
                certificate_names: if for_app { Vec::new() } else { vec!["portal.example".to_owned()] },
                algorithms: vec![SigningAlgorithm::Rs256],
                audiences: vec!["urn:acme:api".to_owned()],
                subject_claim: ClaimName::sub(),
                rules: vec![ClaimRule::parse("sub=alice").unwrap()],
                max_age: None,
                single_use: !for_app,
                accept_directly: !for_app,
                ticket_lifetime: None,
                limits_scopes: !for_app,
            },
            disabled_at: (!for_app).then_some(Timestamp::NEVER),
            not_before: Timestamp::NEVER,
            created_at: Timestamp::NEVER,
            updated_at: Timestamp::NEVER,
            scopes: vec![(Uuid::nil(), "billing:read".to_owned())],
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);
        let row = |for_app: bool, app_name: Option<&str>, now: Timestamp| {
            let ending = app_name.is_none().then(|| Ending::new(Timestamp::NEVER, now));
            let app_name = app_name.map(str::to_owned);
            let overview =
                IssuerOverview { record: record(for_app, IssuerKeys::Discovery), app_name, accepted: 3, refused: 1 };
            let failure = (!for_app).then(|| "dead".to_owned());
            IssuerRow::new(&overview, Some(RemoteStatus { failure, ..RemoteStatus::default() }), ending)
        };
        let rows = || {
            vec![
                row(true, Some("robot"), NOW),
                row(true, None, NOW),
                row(true, None, Timestamp::NEVER),
                row(false, None, NOW),
            ]
        };
        let list = |issuers: Vec<IssuerRow>, search: &str, total| IssuersView {
            search: search.to_owned(),
            issuers,
            total,
            places: paging(total > 1),
            may_change: search.is_empty(),
        };
        let mut samples = vec![
            sample(list(Vec::new(), "", 0)),
            sample(list(Vec::new(), "x", 0)),
            sample(list(rows(), "", 2)),
            sample(list(rows(), "x", 1)),
            sample(list(Vec::new(), "x", 2)),
        ];
        samples.extend(edit::tests::samples());
        samples.extend(new::tests::samples());
        samples.extend(removal::tests::samples());
        samples.extend(show::tests::samples());
        samples.extend(trial::tests::samples());
        samples
    }
}
