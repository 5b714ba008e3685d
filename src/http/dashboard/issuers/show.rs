//! `/issuers/{id}`: an issuer at a glance.

use actix_web::web::Path;
use serde::Serialize;

use super::{ShownApp, kinds};
use crate::clock::{Timestamp, print_span};
use crate::db::audit::{AuditFilter, Place};
use crate::db::developers::Role;
use crate::directory::RemoteStatus;
use crate::http::dashboard::audit::DeedRow;
use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::dashboard::when::When;
use crate::http::snippets::shell_word;
use crate::oauth::metadata::path;
use crate::oauth::trust::IssuerKeys;
use crate::service::Management;
use crate::service::audit::{Log, ShownDeed, browse};
use crate::service::trust_counts::ACCEPTED;
use crate::service::trusted_issuers::{self, EXPIRES_SOON, IssuerCertificate, IssuerDetails, certificates};

/// Deeds on the page; the audit has the others.
const DEEDS_SHOWN: i64 = 5;

/// An issuer.
#[derive(Debug, Serialize)]
struct IssuerView {
    id: String,
    name: String,
    issuer: String,
    disabled: Option<When>,
    keys: ShownKeys,
    certificates: Vec<ShownCertificate>,
    /// Whether all of them are over, or one soon is.
    is_over: bool,
    is_ending: bool,
    audiences: Vec<String>,
    algorithms: String,
    subject_claim: String,
    rules: Vec<String>,
    max_age: String,
    single_use: bool,
    accept_directly: bool,
    ticket_lifetime: String,
    app: Option<ShownApp>,
    /// All that the app has, if there are none.
    scopes: Vec<String>,
    created: When,
    changed: When,
    accepted: i64,
    refused: i64,
    outcomes: Vec<Outcome>,
    /// How a program gets a token with a JWT of this issuer.
    curl: String,
    deeds: Vec<DeedRow>,
    may_change: bool,
}

/// Where its keys are, and whether they could be had.
#[derive(Debug, Serialize)]
struct ShownKeys {
    kind: &'static str,
    url: Option<String>,
    /// Names that its certificate may have.
    certificate_names: Vec<String>,
    is_remote: bool,
    fetched: Option<When>,
    /// When they are fetched again, if they are needed.
    next: Option<When>,
    failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownCertificate {
    subject: String,
    key: String,
    fingerprint: String,
    ends: When,
    is_over: bool,
    is_ending: bool,
    /// Whether another stands beside it that takes over.
    has_successor: bool,
}

impl ShownCertificate {
    fn new(certificate: &IssuerCertificate, among: &[IssuerCertificate], now: Timestamp) -> Self {
        let ends_at = certificate.not_after;
        Self {
            subject: certificate.subject.clone(),
            key: certificate.key.clone(),
            fingerprint: certificate.fingerprint.clone(),
            ends: When::of(ends_at),
            is_over: ends_at < now,
            is_ending: ends_at <= now + EXPIRES_SOON,
            has_successor: certificate.has_successor(among),
        }
    }

    /// Whether somebody has to do something soon.
    const fn needs_another(&self) -> bool {
        self.is_ending && !self.is_over && !self.has_successor
    }
}

#[derive(Debug, Serialize)]
struct Outcome {
    text: String,
    count: i64,
}

impl View for IssuerView {
    const TEMPLATE: &'static str = "dashboard/issuer";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        self.name.clone()
    }
}

impl ShownApp {
    /// The app that an issuer's JWTs stand for.
    pub(super) fn of(details: &IssuerDetails) -> Option<Self> {
        let app = details.issuer.record.app?.to_string();
        Some(Self { name: details.app_name.clone().unwrap_or_else(|| app.clone()), sid: app })
    }
}

impl ShownKeys {
    fn new(details: &IssuerDetails, status: Option<RemoteStatus>) -> Self {
        let record = &details.issuer.record;
        let is_remote = status.is_some();
        let status = status.unwrap_or_default();
        // After a failure the next fetch waits; otherwise the keys are good as long as their answer said.
        let next = if status.failure.is_some() { status.not_before } else { status.fresh_until };
        Self {
            kind: kinds::short(&record.policy.keys),
            url: match &record.policy.keys {
                IssuerKeys::JwksUri(url) => Some(url.to_string()),
                _ => None,
            },
            certificate_names: record.policy.certificate_names.clone(),
            is_remote,
            fetched: status.fetched_at.map(When::of),
            next: next.map(When::of),
            failure: status.failure,
        }
    }
}

impl IssuerView {
    fn new(
        details: &IssuerDetails,
        status: Option<RemoteStatus>,
        deeds: &[ShownDeed],
        certificates: Vec<ShownCertificate>,
        (own_issuer, organisation, may_change): (&str, &str, bool),
    ) -> Self {
        let record = &details.issuer.record;
        let policy = &record.policy;
        let count = |is_accepted: bool| {
            let such = details.outcomes.iter().filter(|row| (row.outcome == ACCEPTED) == is_accepted);
            such.map(|row| row.count).sum()
        };
        let algorithms: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let names_scopes = record.app.is_none() || policy.limits_scopes;
        let scopes = record.scopes.iter().filter(|_| names_scopes);
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            issuer: record.issuer.clone(),
            disabled: record.disabled_at.map(When::of),
            keys: ShownKeys::new(details, status),
            is_over: !certificates.is_empty() && certificates.iter().all(|certificate| certificate.is_over),
            is_ending: certificates.iter().any(ShownCertificate::needs_another),
            certificates,
            audiences: policy.audiences.clone(),
            algorithms: algorithms.join(", "),
            subject_claim: policy.subject_claim.to_string(),
            rules: policy.rules.iter().map(ToString::to_string).collect(),
            max_age: policy.max_age.map(print_span).unwrap_or_default(),
            single_use: policy.single_use,
            accept_directly: policy.accept_directly,
            ticket_lifetime: policy.ticket_lifetime.map(print_span).unwrap_or_default(),
            app: ShownApp::of(details),
            scopes: scopes.map(|(_, name)| name.clone()).collect(),
            created: When::of(record.created_at),
            changed: When::of(record.updated_at),
            accepted: count(true),
            refused: count(false),
            outcomes: details
                .outcomes
                .iter()
                .map(|row| Outcome { text: kinds::outcome(&row.outcome).to_owned(), count: row.count })
                .collect(),
            curl: exchange(own_issuer, record.app.is_none().then_some(organisation)),
            deeds: deeds.iter().map(DeedRow::new).collect(),
            may_change,
        }
    }
}

/// The command with which a program gets a token for a JWT or, for a person of that organisation, a ticket.
fn exchange(own_issuer: &str, organisation: Option<&str>) -> String {
    const GRANT: &str = "-d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer";
    match organisation {
        Some(slug) => {
            let [ticket, ..] = path::TICKET;
            let url = shell_word(&format!("{own_issuer}{ticket}?Tenant={slug}"));
            format!("curl -s {url} \\\n  --data-urlencode JwtToken=\"$JWT\"")
        }
        None => {
            let url = shell_word(&format!("{own_issuer}{}", path::TOKEN));
            format!("curl -s {url} \\\n  {GRANT} \\\n  --data-urlencode assertion=\"$JWT\"")
        }
    }
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, path: Path<String>) -> PageResult {
    let id = visitor.client_id(&path)?;
    let (organisation, now) = (visitor.organisation(), visitor.now());
    let slug = organisation.clone();
    let look = move |m: &Management| {
        let filter = AuditFilter { target: Some(id.to_string()), ..AuditFilter::default() };
        let details = trusted_issuers::details(m, id)?;
        let read = certificates(&details.issuer.record.policy.keys);
        let shown = read.iter().map(|certificate| ShownCertificate::new(certificate, &read, now)).collect();
        let deeds = browse(m, &Log::Organisation(slug), &filter, Place::Newest, DEEDS_SHOWN)?;
        Ok((details, shown, deeds))
    };
    let (details, shown, deeds) = visitor.look(look).await?;
    let authority = &visitor.site().authority;
    let status = authority.directory.status_of_keys(&details.issuer.record);
    let whose = (authority.issuer(), organisation.as_str(), visitor.has_role(Role::Admin));
    visitor.page(&IssuerView::new(&details, status, &deeds, shown, whose))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::db::trusted_issuers::OutcomeCount;
    use crate::http::dashboard::audit::tests::deed;
    use crate::http::dashboard::issuers::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::service::trusted_issuers::VersionedIssuer;

    pub(in crate::http::dashboard::issuers) fn details(for_app: bool) -> IssuerDetails {
        let keys =
            if for_app { IssuerKeys::JwksUri("https://x.example".into()) } else { IssuerKeys::SystemAuthorities };
        let issuer = record(for_app, keys);
        let count = |outcome: &str, count| OutcomeCount { issuer: issuer.id, outcome: outcome.to_owned(), count };
        let outcomes = if for_app { vec![count(ACCEPTED, 7), count("audience", 2)] } else { Vec::new() };
        let app_name = for_app.then(|| "robot".to_owned());
        let issuer = VersionedIssuer::of(issuer).unwrap();
        IssuerDetails { issuer, app_name, outcomes }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let at = Some(Timestamp::NEVER);
        let good = RemoteStatus { fetched_at: at, fresh_until: at, not_before: at, failure: None };
        let bad = RemoteStatus { failure: Some("dead <b>".to_owned()), ..RemoteStatus::default() };
        let certificate = |ends_at| {
            let text = || "CN=portal <b>".to_owned();
            let (subject, issuer, serial, fingerprint, key) = (text(), text(), text(), text(), text());
            let read = IssuerCertificate {
                subject,
                issuer,
                serial,
                fingerprint,
                key,
                not_before: ends_at,
                not_after: ends_at,
            };
            ShownCertificate::new(&read, &[], Timestamp::from_seconds(1_795_305_600))
        };
        let ends = |for_app: bool| match for_app {
            true => vec![certificate(Timestamp::from_seconds(1_795_305_601)), certificate(Timestamp::NEVER)],
            false => vec![certificate(Timestamp::NEVER)],
        };
        let view = |for_app, status, deeds: &[ShownDeed]| {
            let (details, whose) = (details(for_app), ("https://id.example.com", "acme", for_app));
            sample(IssuerView::new(&details, status, deeds, ends(for_app), whose))
        };
        vec![
            view(true, Some(good), &[deed()]),
            view(true, Some(bad), &[]),
            view(true, Some(RemoteStatus::default()), &[]),
            view(false, None, &[]),
        ]
    }
}
