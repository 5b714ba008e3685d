//! The certificates that stand at issuers, and when they end: an issuer whose certificate is over is refused at once, so
//! that people must hear of it before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::db::trusted_issuers::{self, KeyPlace, KnownIssuer};
use crate::keys::certificate::{Certificate, CertificateAuthorities, PinnedCertificates};
use crate::oauth::ClientId;
use crate::oauth::trust::IssuerKeys;
use crate::service::organisations::find as find_organisation;
use crate::service::{Authority, Management, ServiceError};

/// Certificates that end within this are shown as ending.
pub const EXPIRES_SOON: Duration = Duration::from_secs(30 * 86_400);
/// Issuers that are read in one query.
const PAGE: i64 = 500;

/// A certificate as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerCertificate {
    /// Whose it is.
    pub subject: String,
    /// Who made it.
    pub issuer: String,
    /// Its number there, in hex.
    pub serial: String,
    /// SHA-256 in hex, as openssl prints it.
    pub fingerprint: String,
    /// The kind and size of its key.
    pub key: String,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Its last valid second.
    pub not_after: Timestamp,
}

impl IssuerCertificate {
    fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject().to_owned(),
            issuer: certificate.issuer().to_owned(),
            serial: certificate.serial().to_owned(),
            fingerprint: certificate.fingerprint(),
            key: certificate.key().to_string(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        }
    }

    /// Whether one of these takes over from it without a gap: it is whose this one is, and ends later.
    pub fn has_successor(&self, among: &[Self]) -> bool {
        let takes_over = |other: &Self| other.not_after > self.not_after && other.not_before <= self.not_after;
        among.iter().any(|other| other.subject == self.subject && takes_over(other))
    }
}

/// An issuer of which a certificate ends soon, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringIssuer {
    /// Its id here.
    pub id: ClientId,
    /// The slug of the organisation that trusts it.
    pub organisation: String,
    /// Its name for people.
    pub name: String,
    /// When the next of its certificates ends or, if all are over, when the last one did.
    pub expires_at: Timestamp,
}

/// When the certificates of all issuers end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CertificateOutlook {
    /// When the first issuer needs another certificate, or needed one; `None` if no issuer has any.
    pub soonest: Option<Timestamp>,
    /// Issuers of which one ends within [`EXPIRES_SOON`], or is over.
    pub expiring: usize,
}

/// The outlook when it was last taken, for the metrics: nobody who reads them costs a query.
#[derive(Debug, Default)]
pub struct LatestOutlook(Mutex<Option<CertificateOutlook>>);

impl LatestOutlook {
    fn latest(&self) -> MutexGuard<'_, Option<CertificateOutlook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it was last taken; `None` until it was taken once.
    pub fn get(&self) -> Option<CertificateOutlook> {
        *self.latest()
    }

    fn replace(&self, outlook: CertificateOutlook) -> Option<CertificateOutlook> {
        self.latest().replace(outlook)
    }
}

/// The certificates that stand at an issuer, in their order. What cannot be read any more is left out.
pub fn certificates(keys: &IssuerKeys) -> Vec<IssuerCertificate> {
    let each = |certificates: Vec<&Certificate>| certificates.into_iter().map(IssuerCertificate::of).collect();
    match keys {
        IssuerKeys::Certificates(document) => PinnedCertificates::read(document.as_bytes())
            .map(|read| each(read.certificates().collect()))
            .unwrap_or_default(),
        IssuerKeys::Authorities(document) => CertificateAuthorities::read_with_lists(document.as_bytes())
            .map(|read| each(read.certificates().collect()))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// When the next certificate of an issuer ends or, if all are over, when the last one did. One with a successor beside it may
/// end without anybody doing something.
pub fn expires_at(keys: &IssuerKeys, now: Timestamp) -> Option<Timestamp> {
    let all = certificates(keys);
    let last = all.iter().filter(|certificate| !certificate.has_successor(&all));
    let ends: Vec<Timestamp> = last.map(|certificate| certificate.not_after).collect();
    let coming = ends.iter().filter(|end| **end >= now).min();
    coming.or_else(|| ends.iter().max()).copied()
}

/// Issuers, of one organisation or of all, of which a certificate ends within [`EXPIRES_SOON`] or is over, the first to
/// end first. Those that are disabled are left out.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn expiring(m: &Management, organisation: Option<&str>) -> Result<Vec<ExpiringIssuer>, ServiceError> {
    let limit = m.now() + EXPIRES_SOON;
    let mut found: Vec<ExpiringIssuer> = Vec::new();
    for_each(m, organisation, |issuer, end| {
        if end <= limit {
            let KnownIssuer { id, organisation, name, .. } = issuer;
            found.push(ExpiringIssuer { id, organisation, name, expires_at: end });
        }
    })?;
    found.sort_by_key(|issuer| (issuer.expires_at, issuer.id));
    Ok(found)
}

/// When the certificates of all issuers end.
///
/// # Errors
/// When the database does not answer.
pub fn outlook(m: &Management) -> Result<CertificateOutlook, ServiceError> {
    let limit = m.now() + EXPIRES_SOON;
    let mut outlook = CertificateOutlook::default();
    for_each(m, None, |_, end| {
        outlook.soonest = outlook.soonest.into_iter().chain([end]).min();
        outlook.expiring += usize::from(end <= limit);
    })?;
    Ok(outlook)
}

/// Takes the outlook anew for the metrics, and says in the log when it became worse.
pub(in crate::service) fn refresh_outlook(m: &Management, authority: &Authority) -> Result<(), ServiceError> {
    let outlook = outlook(m)?;
    let before = authority.certificates.replace(outlook).unwrap_or_default();
    if outlook.expiring > before.expiring {
        log::warn!(
            issuers = outlook.expiring, first = outlook.soonest.map(Timestamp::rfc3339);
            "certificates of trusted issuers expire within 30 days or did; see: brevet doctor"
        );
    }
    Ok(())
}

/// Each issuer with certificates, and when the next of them ends.
fn for_each(
    m: &Management,
    organisation: Option<&str>,
    mut each: impl FnMut(KnownIssuer, Timestamp),
) -> Result<(), ServiceError> {
    let deed = m.deed();
    let unknown = || ServiceError::NotFound("there is no such organisation".to_owned());
    let of = match organisation {
        Some(slug) => Some(m.database.read_with(|conn| find_organisation(conn, slug))?.id),
        None => None,
    };
    if of.is_some() && !deed.doer.reaches(of) {
        return Err(unknown());
    }
    let mut after = None;
    loop {
        let page =
            m.database.read(|conn| trusted_issuers::list_known(conn, KeyPlace::Certificates, of, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for issuer in page.into_iter().filter(|issuer| deed.doer.reaches(Some(issuer.organisation_id))) {
            if let Some(end) = expires_at(&issuer.keys, deed.now) {
                each(issuer, end);
            }
        }
    }
}
