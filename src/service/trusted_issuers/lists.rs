//! Trusted issuers as people look through them, and what became of their JWTs.

use std::time::Duration;

use super::{TrustedIssuerRecord, VersionedIssuer, find};
use crate::db::trusted_issuers::{self, OutcomeCount};
use crate::db::{AnyConnection, apps};
use crate::oauth::ClientId;
use crate::service::organisations::find as find_organisation;
use crate::service::paging::{Found, Search};
use crate::service::trust_counts::ACCEPTED;
use crate::service::{Management, ServiceError};

/// Over how long JWTs are counted.
const COUNTED: Duration = Duration::from_secs(86_400);

/// A trusted issuer in a list.
#[derive(Debug, Clone)]
pub struct IssuerOverview {
    /// The issuer.
    pub record: TrustedIssuerRecord,
    /// What the app is called that its JWTs stand for.
    pub app_name: Option<String>,
    /// How many of its JWTs were accepted in the last 24 hours.
    pub accepted: i64,
    /// And how many were refused.
    pub refused: i64,
}

/// A trusted issuer and what people want to see around it.
#[derive(Debug, Clone)]
pub struct IssuerDetails {
    /// The issuer.
    pub issuer: VersionedIssuer,
    /// What the app is called that its JWTs stand for.
    pub app_name: Option<String>,
    /// What became of its JWTs in the last 24 hours, the most frequent first.
    pub outcomes: Vec<OutcomeCount<String>>,
}

/// The issuers of an organisation whose name or `iss` holds the words, by name, and how many there are at all.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn search(
    m: &Management,
    organisation: &str,
    search: &Search,
) -> Result<(Found<IssuerOverview>, i64), ServiceError> {
    let (deed, words) = (m.deed(), search.words.trim());
    m.database.read_with(|conn| {
        let id = find_organisation(conn, organisation)?.id;
        if !deed.doer.reaches(Some(id)) {
            return Err(ServiceError::NotFound("there is no such organisation".to_owned()));
        }
        let total = trusted_issuers::count(conn, id)?;
        let number = if words.is_empty() { total } else { trusted_issuers::count_found(conn, id, words)? };
        let found = Found::load(conn, search.page, number, |conn, place| {
            let records = trusted_issuers::search(conn, id, words, place)?;
            let ids: Vec<ClientId> = records.iter().map(|record| record.id).collect();
            let sums = trusted_issuers::sum_outcomes(conn, &ids, ACCEPTED, deed.now - COUNTED)?;
            let apps: Vec<ClientId> = records.iter().filter_map(|record| record.app).collect();
            let names = trusted_issuers::list_app_names(conn, &apps)?;
            let overview = |record: TrustedIssuerRecord| {
                let (accepted, refused) = sums.get(&record.id.to_string()).copied().unwrap_or_default();
                let app_name = record.app.and_then(|app| names.get(&app.to_string()).cloned());
                IssuerOverview { record, app_name, accepted, refused }
            };
            Ok(records.into_iter().map(overview).collect())
        })?;
        Ok((found, total))
    })
}

/// An issuer and what people want to see around it. Counts are up to ten seconds late.
///
/// # Errors
/// `NotFound`.
pub fn details(m: &Management, id: ClientId) -> Result<IssuerDetails, ServiceError> {
    let deed = m.deed();
    m.database.read_with(|conn| {
        let issuer = find(conn, &deed, id)?;
        let app_name = match issuer.record.app {
            Some(app) => apps::find(conn, app)?.map(|app| app.name),
            None => None,
        };
        let outcomes = trusted_issuers::list_outcomes(conn, id, deed.now - COUNTED)?;
        Ok(IssuerDetails { issuer, app_name, outcomes })
    })
}

/// The issuers whose JWTs stand for an app, in the order of their ids.
///
/// # Errors
/// `NotFound` without the app.
pub fn of_app(m: &Management, app: ClientId) -> Result<Vec<TrustedIssuerRecord>, ServiceError> {
    let deed = m.deed();
    m.database.read_with(|conn: &mut AnyConnection| {
        let found = apps::find(conn, app)?.filter(|found| deed.doer.reaches(Some(found.organisation_id)));
        let found = found.ok_or_else(|| crate::service::apps::unknown_app(app))?;
        let of_app = trusted_issuers::list_of_app(conn, app)?.into_iter();
        Ok(of_app.filter(|issuer| issuer.organisation_id == found.organisation_id).collect())
    })
}
