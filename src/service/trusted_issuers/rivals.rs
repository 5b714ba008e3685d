//! Entries that would stand in each other's way or in that of others, and those that stand beside one.

use super::TrustedIssuerRecord;
use crate::db::{AnyConnection, organisations, trusted_issuers};
use crate::oauth::trust::{named_organisation, organisation_audience};
use crate::service::{Management, ServiceError};

/// Of what an entry demands, with its keys, in octets: entries of one issuer are looked through together.
const LONGEST_POLICY: usize = 128 * 1024;
/// The same of all entries of an organisation: those of one push no others out of memory.
const LONGEST_POLICIES: usize = 1024 * 1024;

/// Checks an entry against the others. What was good `before` stays good.
pub(super) fn refuse_rivals(
    conn: &mut AnyConnection,
    server: &str,
    record: &TrustedIssuerRecord,
    before: Option<&TrustedIssuerRecord>,
) -> Result<(), ServiceError> {
    refuse_anothers_audience(conn, server, record, before)?;
    refuse_too_much(conn, record, before)?;
    refuse_twins(conn, record, before)
}

/// With two entries for users of one issuer it would not be clear which scopes they get, and one that says what another
/// says is there by mistake: who removes one of them believes that the issuer is trusted no more.
fn refuse_twins(
    conn: &mut AnyConnection,
    record: &TrustedIssuerRecord,
    before: Option<&TrustedIssuerRecord>,
) -> Result<(), ServiceError> {
    let of_issuer = trusted_issuers::list_of_organisation(conn, record.organisation_id, &record.issuer)?;
    let mut others = of_issuer.iter().filter(|other| other.id != record.id);
    if record.app.is_none() {
        return others.find(|other| other.app.is_none()).map_or(Ok(()), |other| {
            Err(ServiceError::Rival(format!(
                "this issuer names users here already, in the entry {} ({}); change that one, which takes several keys and audiences",
                other.name, other.id
            )))
        });
    }
    // Twins that are there can still be changed in everything else.
    if before.is_some_and(|before| is_twin(before, record)) {
        return Ok(());
    }
    others.find(|other| is_twin(other, record)).map_or(Ok(()), |other| {
        Err(ServiceError::Rival(format!(
            "the entry {} ({}) trusts this issuer for the same app with the same keys, audiences and rules; change that one",
            other.name, other.id
        )))
    })
}

/// Whether two entries take the same JWTs for the same app.
fn is_twin(one: &TrustedIssuerRecord, other: &TrustedIssuerRecord) -> bool {
    fn is_same_set<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        one.iter().all(|each| other.contains(each)) && other.iter().all(|each| one.contains(each))
    }
    let (ours, theirs) = (&one.policy, &other.policy);
    (&one.issuer, one.app, &ours.keys) == (&other.issuer, other.app, &theirs.keys)
        && is_same_set(&ours.certificate_names, &theirs.certificate_names)
        && is_same_set(&ours.audiences, &theirs.audiences)
        && is_same_set(&ours.rules, &theirs.rules)
}

/// The other entries of the organisation that go on trusting the issuer of one that was removed or switched off, by id.
///
/// # Errors
/// When the database does not answer.
pub fn still_trusting(m: &Management, record: &TrustedIssuerRecord) -> Result<Vec<TrustedIssuerRecord>, ServiceError> {
    let deed = m.deed();
    if !deed.doer.reaches(Some(record.organisation_id)) {
        return Ok(Vec::new());
    }
    m.database.read_with(|conn: &mut AnyConnection| {
        let mut found = trusted_issuers::list_of_organisation(conn, record.organisation_id, &record.issuer)?;
        found.retain(|other| other.id != record.id && other.disabled_at.is_none());
        Ok(found)
    })
}

/// What names another organisation would never be good here, and whoever wrote it would wonder why.
fn refuse_anothers_audience(
    conn: &mut AnyConnection,
    server: &str,
    record: &TrustedIssuerRecord,
    before: Option<&TrustedIssuerRecord>,
) -> Result<(), ServiceError> {
    let is_new = |audience: &&String| before.is_none_or(|before| !before.policy.audiences.contains(audience));
    let mut named = record.policy.audiences.iter().filter(is_new).filter_map(|text| named_organisation(server, text));
    let Some(organisation) = organisations::find(conn, record.organisation_id)? else { return Ok(()) };
    if named.all(|slug| slug == organisation.slug) {
        return Ok(());
    }
    let own = organisation_audience(server, &organisation.slug);
    let rule = format!(
        "what begins with this server's address and a slash is for the organisation that it names: yours is {own}"
    );
    Err(ServiceError::field("audiences", rule))
}

fn refuse_too_much(
    conn: &mut AnyConnection,
    record: &TrustedIssuerRecord,
    before: Option<&TrustedIssuerRecord>,
) -> Result<(), ServiceError> {
    let length = |record: &TrustedIssuerRecord| serde_json::to_string(&record.policy).map_or(0, |json| json.len());
    let (now, then) = (length(record), before.map_or(0, length));
    if now <= then {
        return Ok(());
    }
    if now > LONGEST_POLICY {
        let rule = format!("the audiences, rules and keys of an issuer may have {} KiB in all", LONGEST_POLICY / 1024);
        return Err(ServiceError::field("rules", rule));
    }
    let others = trusted_issuers::sum_policies(conn, record.organisation_id, record.id)?;
    if usize::try_from(others).unwrap_or(usize::MAX).saturating_add(now) > LONGEST_POLICIES {
        return Err(ServiceError::Conflict(format!(
            "the rules and keys of all issuers of an organisation may have {} KiB in all; remove an issuer, or let its keys be fetched",
            LONGEST_POLICIES / 1024
        )));
    }
    Ok(())
}
