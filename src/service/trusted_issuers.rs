//! Trusted issuers: whose JWTs are good in an organisation, what they must say, and whom they stand for.

mod blanks;
mod certificates;
mod checks;
mod elsewhere;
mod lists;
mod nearest;
mod rivals;
pub mod trial;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::blanks::left_blank;
pub(in crate::service) use self::certificates::refresh_outlook;
pub use self::certificates::{
    CertificateOutlook, EXPIRES_SOON, ExpiringIssuer, IssuerCertificate, LatestOutlook, certificates, expires_at,
    expiring, outlook,
};
pub use self::elsewhere::{KeyTrouble, look_at_keys};
pub use self::lists::{IssuerDetails, IssuerOverview, details, of_app, search};
use self::rivals::refuse_rivals;
pub use self::rivals::still_trusting;
use super::apps::resolve_scopes;
use super::deed::{Deed, Version};
use super::organisations::find as find_organisation;
use super::{Management, ServiceError, apps};
use crate::clock::{Timestamp, print_span};
use crate::db::changes::ChangeKind;
pub use crate::db::trusted_issuers::{OutcomeCount, TrustedIssuerRecord};
use crate::db::{AnyConnection, DbError, cut_offs, trusted_issuers};
use crate::oauth::trust::{IssuerKeys, TrustPolicy};
use crate::oauth::{ClientId, SigningAlgorithm};

/// Issuers that one organisation may trust.
pub const MOST_ISSUERS: i64 = 500;

/// Whom an issuer's JWTs stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandsFor {
    /// This app, whichever of its workloads shows the JWT.
    App(ClientId),
    /// The user of the organisation whose login is the subject.
    Users,
}

/// A trusted issuer as people write it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Its name for people.
    pub name: String,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// What its JWTs must say. No algorithms are all that there are; `limits_scopes` follows from the scopes below.
    pub policy: TrustPolicy,
    /// Whom its JWTs stand for.
    pub stands_for: StandsFor,
    /// What users are granted; the only scopes that an app gets, or all that it has if there is no list.
    pub scopes: Option<Vec<String>>,
}

/// A trusted issuer as it is at a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionedIssuer {
    /// The issuer.
    pub record: TrustedIssuerRecord,
    /// Its version.
    pub version: Version,
}

impl VersionedIssuer {
    pub(crate) fn of(record: TrustedIssuerRecord) -> Result<Self, ServiceError> {
        Ok(Self { version: Version::of(&record)?, record })
    }
}

impl IssuerSettings {
    /// What stands in a record.
    pub fn of(record: &TrustedIssuerRecord) -> Self {
        let names = record.scopes.iter().map(|(_, name)| name.clone());
        Self {
            name: record.name.clone(),
            issuer: record.issuer.clone(),
            policy: record.policy.clone(),
            stands_for: record.app.map_or(StandsFor::Users, StandsFor::App),
            scopes: (record.app.is_none() || record.policy.limits_scopes).then(|| names.collect()),
        }
    }

    /// The record, checked against what the organisation has.
    fn into_record(
        self,
        conn: &mut AnyConnection,
        deed: &Deed,
        organisation_id: Uuid,
        before: Option<&TrustedIssuerRecord>,
    ) -> Result<TrustedIssuerRecord, ServiceError> {
        let left = left_blank(&self, before.map(Self::of).as_ref());
        if let Some((field, rule)) = left.into_iter().next() {
            return Err(ServiceError::field(field, rule));
        }
        let app = match self.stands_for {
            StandsFor::App(app) => Some(app),
            StandsFor::Users => None,
        };
        let scopes = resolve_scopes(conn, organisation_id, self.scopes.as_deref().unwrap_or_default())?;
        check_power(conn, deed, organisation_id, app, &scopes)?;
        let mut policy = self.policy;
        if before.is_none_or(|before| before.policy.keys != policy.keys) {
            checks::check_current(&policy.keys, deed.now)?;
        }
        if policy.algorithms.is_empty() {
            policy.algorithms = SigningAlgorithm::ALL.to_vec();
        }
        policy.limits_scopes = app.is_some() && self.scopes.is_some();
        Ok(TrustedIssuerRecord {
            id: before.map_or_else(ClientId::generate, |before| before.id),
            organisation_id,
            name: self.name,
            issuer: self.issuer,
            app,
            policy,
            disabled_at: before.and_then(|before| before.disabled_at),
            not_before: before.map_or(Timestamp::NEVER, |before| before.not_before),
            created_at: before.map_or(deed.now, |before| before.created_at),
            updated_at: deed.now,
            scopes,
        })
    }
}

/// Whoever decides who passes for an app has the app's power, and whoever decides who is a user that of the users.
fn check_power(
    conn: &mut AnyConnection,
    deed: &Deed,
    organisation_id: Uuid,
    app: Option<ClientId>,
    scopes: &[(Uuid, String)],
) -> Result<(), ServiceError> {
    let Some(app) = app else { return deed.doer.check_power(scopes) };
    let found = crate::db::apps::find(conn, app)?.filter(|found| found.organisation_id == organisation_id);
    let found = found.filter(|found| deed.doer.reaches(Some(found.organisation_id)));
    deed.doer.check_power(&found.ok_or_else(|| apps::unknown_app(app))?.scopes)
}

/// Trusts an issuer.
///
/// # Errors
/// `InvalidField` for what cannot be used, `NotFound` without the organisation, app or a scope, `BeyondPower` for scopes that
/// the doer may not hand on, `Rival` for a second entry of one issuer that names users or says what another one
/// says, `Conflict` for too many or too much.
pub fn create(m: &Management, organisation: &str, settings: IssuerSettings) -> Result<VersionedIssuer, ServiceError> {
    let settings = checks::checked(m, settings)?;
    let (deed, slug, server) = (m.deed(), organisation.to_owned(), m.config.issuer.clone());
    m.database.write(move |conn| {
        let organisation = find_organisation(conn, &slug)?;
        if !deed.doer.reaches(Some(organisation.id)) {
            return Err(ServiceError::NotFound(format!("there is no organisation `{slug}`; see: brevet org list")));
        }
        deed.once(conn, |conn| {
            if trusted_issuers::count(conn, organisation.id)? >= MOST_ISSUERS {
                let text =
                    format!("an organisation trusts at most {MOST_ISSUERS} issuers; remove one that is not needed");
                return Err(ServiceError::Conflict(text));
            }
            let record = settings.into_record(conn, &deed, organisation.id, None)?;
            refuse_rivals(conn, &server, &record, None)?;
            trusted_issuers::insert(conn, &record)?;
            note(conn, &deed, "trusted-issuer.create", &record, described(&record))?;
            VersionedIssuer::of(record)
        })
    })
}

/// Changes an issuer. What was issued for its JWTs before stays good.
///
/// # Errors
/// As [`create`], and `Stale`.
pub fn update(m: &Management, id: ClientId, settings: IssuerSettings) -> Result<VersionedIssuer, ServiceError> {
    let settings = checks::checked(m, settings)?;
    let (deed, server) = (m.deed(), m.config.issuer.clone());
    m.database.write(move |conn| {
        let before = find(conn, &deed, id)?.record;
        replace(conn, &deed, &server, &before, settings)
    })
}

/// Puts checked settings in the place of what was; nothing is written if they say the same.
fn replace(
    conn: &mut AnyConnection,
    deed: &Deed,
    server: &str,
    before: &TrustedIssuerRecord,
    settings: IssuerSettings,
) -> Result<VersionedIssuer, ServiceError> {
    let record = settings.into_record(conn, deed, before.organisation_id, Some(before))?;
    if record == (TrustedIssuerRecord { updated_at: record.updated_at, ..before.clone() }) {
        return VersionedIssuer::of(before.clone());
    }
    refuse_rivals(conn, server, &record, Some(before))?;
    trusted_issuers::update(conn, &record)?;
    let detail = json!({ "before": described(before), "after": described(&record) });
    note(conn, deed, "trusted-issuer.update", &record, detail)?;
    VersionedIssuer::of(record)
}

/// Changes some of an issuer, and switches it off or on if `enabled` says so: both or nothing. `edit` gets what there is at
/// the moment of the change. Who only switches need not be able to write down anew what stands there.
///
/// # Errors
/// As [`update`] and [`set_enabled`], and those of `edit`.
pub fn change(
    m: &Management,
    id: ClientId,
    enabled: Option<bool>,
    edit: impl FnOnce(&mut IssuerSettings) -> Result<(), ServiceError> + Send + 'static,
) -> Result<VersionedIssuer, ServiceError> {
    let (m, deed) = (m.clone(), m.deed());
    m.database.clone().write(move |conn| {
        let mut issuer = find(conn, &deed, id)?;
        let (before, mut settings) = (IssuerSettings::of(&issuer.record), IssuerSettings::of(&issuer.record));
        edit(&mut settings)?;
        if settings != before {
            issuer = replace(conn, &deed, &m.config.issuer, &issuer.record, checks::checked(&m, settings)?)?;
        }
        match enabled {
            Some(enabled) => switch(conn, &deed, issuer, enabled),
            None => Ok(issuer),
        }
    })
}

/// Switches an issuer off or on. While it is off its JWTs are refused, and so is what was issued to users whom they named.
///
/// # Errors
/// `NotFound`, `Stale`, `BeyondPower` for one to be switched on that stands for more than the doer may hand on.
pub fn set_enabled(m: &Management, id: ClientId, enabled: bool) -> Result<VersionedIssuer, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let before = find(conn, &deed, id)?;
        switch(conn, &deed, before, enabled)
    })
}

fn switch(
    conn: &mut AnyConnection,
    deed: &Deed,
    before: VersionedIssuer,
    enabled: bool,
) -> Result<VersionedIssuer, ServiceError> {
    if before.record.disabled_at.is_none() == enabled {
        return Ok(before);
    }
    if enabled {
        check_power(conn, deed, before.record.organisation_id, before.record.app, &before.record.scopes)?;
    }
    let disabled_at = (!enabled).then_some(deed.now);
    let record = TrustedIssuerRecord { disabled_at, updated_at: deed.now, ..before.record };
    trusted_issuers::update(conn, &record)?;
    let action = if enabled { "trusted-issuer.enable" } else { "trusted-issuer.disable" };
    note(conn, deed, action, &record, json!({ "name": record.name, "issuer": record.issuer }))?;
    VersionedIssuer::of(record)
}

/// Trusts an issuer no more: its JWTs are refused, and what was issued to users whom they named is dead. What an app got for
/// them is the app's, and lives until it expires or the app's tokens are revoked.
///
/// # Errors
/// `NotFound`, `Stale`.
pub fn delete(m: &Management, id: ClientId) -> Result<TrustedIssuerRecord, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let record = find(conn, &deed, id)?.record;
        remove(conn, &deed, &record)?;
        Ok(record)
    })
}

/// Ends the trust in all that stood for an app, which is about to be deleted.
pub(super) fn remove_of_app(conn: &mut AnyConnection, deed: &Deed, app: ClientId) -> Result<(), DbError> {
    trusted_issuers::list_of_app(conn, app)?.iter().try_for_each(|record| remove(conn, deed, record))
}

fn remove(conn: &mut AnyConnection, deed: &Deed, record: &TrustedIssuerRecord) -> Result<(), DbError> {
    cut_offs::record_deleted(conn, record.id, deed.now)?;
    trusted_issuers::delete(conn, record.id)?;
    note(conn, deed, "trusted-issuer.delete", record, described(record))
}

/// The issuer with that id.
///
/// # Errors
/// `NotFound`.
pub fn show(m: &Management, id: ClientId) -> Result<VersionedIssuer, ServiceError> {
    let deed = m.deed();
    m.database.read_with(|conn| find(conn, &deed, id))
}

/// The issuers of an organisation in the order of their ids, at most `limit`, those after `after`.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(
    m: &Management,
    organisation: &str,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<TrustedIssuerRecord>, ServiceError> {
    let deed = m.deed();
    m.database.read_with(|conn| {
        let organisation = find_organisation(conn, organisation)?;
        if !deed.doer.reaches(Some(organisation.id)) {
            return Err(ServiceError::NotFound("there is no such organisation".to_owned()));
        }
        Ok(trusted_issuers::list(conn, organisation.id, after, limit)?)
    })
}

/// What became of an issuer's JWTs in the last 24 hours, the most frequent first. Counts are up to ten seconds late.
///
/// # Errors
/// `NotFound`.
pub fn outcomes(m: &Management, id: ClientId) -> Result<Vec<OutcomeCount<String>>, ServiceError> {
    let deed = m.deed();
    m.database.read_with(|conn| {
        let record = find(conn, &deed, id)?.record;
        Ok(trusted_issuers::list_outcomes(conn, record.id, deed.now - Duration::from_secs(86_400))?)
    })
}

fn find(conn: &mut AnyConnection, deed: &Deed, id: ClientId) -> Result<VersionedIssuer, ServiceError> {
    let record = trusted_issuers::find(conn, id)?.filter(|record| deed.doer.reaches(Some(record.organisation_id)));
    let record = record.ok_or_else(|| {
        ServiceError::NotFound(format!("there is no trusted issuer {id}; see: brevet issuer list --org SLUG"))
    })?;
    let found = VersionedIssuer::of(record)?;
    deed.check_version(&found.version)?;
    Ok(found)
}

fn note(
    conn: &mut AnyConnection,
    deed: &Deed,
    action: &str,
    record: &TrustedIssuerRecord,
    detail: Value,
) -> Result<(), DbError> {
    let (target, changed) = (record.id.to_string(), Some(ChangeKind::TrustedIssuer));
    deed.record(conn, Some(record.organisation_id), action, &target, detail, changed)
}

/// An issuer in the audit: everything that decides what is let in. Of keys only where they are, and their names.
fn described(record: &TrustedIssuerRecord) -> Value {
    let policy = &record.policy;
    let rules: Vec<String> = policy.rules.iter().map(ToString::to_string).collect();
    let algorithms: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let scopes: Vec<&str> = record.scopes.iter().map(|(_, name)| name.as_str()).collect();
    json!({
        "name": record.name,
        "issuer": record.issuer,
        "keys": policy.keys.name(),
        "jwks_uri": match &policy.keys { IssuerKeys::JwksUri(uri) => Some(&**uri), _ => None },
        "key_names": checks::key_names(&policy.keys),
        "certificate_names": policy.certificate_names,
        "algorithms": algorithms,
        "audiences": policy.audiences,
        "subject_claim": policy.subject_claim.as_str(),
        "rules": rules,
        "max_age": policy.max_age.map(print_span),
        "single_use": policy.single_use,
        "accept_directly": policy.accept_directly,
        "ticket_lifetime": policy.ticket_lifetime.map(print_span),
        "app": record.app.map(|app| app.to_string()),
        "scopes": (record.app.is_none() || policy.limits_scopes).then_some(scopes),
    })
}
