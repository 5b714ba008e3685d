//! Whether trusted issuers can go on: their certificates, and their keys that are somewhere else.

use std::thread;

use super::Finding;
use crate::db::trusted_issuers::{self, KeyPlace, KnownIssuer};
use crate::directory::Directory;
use crate::service::trusted_issuers::{EXPIRES_SOON, KeyTrouble, expiring, look_at_keys, outlook};
use crate::service::{Management, ServiceError};

/// Issuers that are shown one by one; of more, their number.
const MOST_SHOWN: usize = 20;
/// Sets of keys that are fetched, and how many of them at once: each takes ten seconds at worst.
const MOST_FETCHED: usize = 64;
const AT_ONCE: usize = 16;

/// Certificates that are over, or soon will be.
pub(super) fn certificates(m: &Management) -> Vec<Finding> {
    const CHECK: &str = "issuer certificates";
    let (now, found) = (m.now(), expiring(m, None).and_then(|found| Ok((outlook(m)?, found))));
    let (outlook, found) = match found {
        Ok(found) => found,
        Err(error) => return vec![Finding::error(CHECK, &error)],
    };
    if found.is_empty() {
        // Without any there is nothing to say.
        let good = |end| Finding::good(CHECK, format!("the next one expires on {end}"));
        return outlook.soonest.map(good).into_iter().collect();
    }
    let shown = found.iter().take(MOST_SHOWN).map(|issuer| {
        let who = format!("{} ({}) in {}", issuer.name, issuer.id, issuer.organisation);
        if issuer.expires_at < now {
            Finding::bad(
                CHECK,
                format!("that of {who} expired on {}: its JWTs are refused", issuer.expires_at),
                format!(
                    "ask for its new one and run: brevet issuer update {0} --certificate new.pem (--ca for an authority), or: brevet issuer disable {0}",
                    issuer.id
                ),
            )
        } else {
            let days = issuer.expires_at.since(now).as_secs() / 86_400;
            Finding::warning(
                CHECK,
                format!("that of {who} expires on {}, in {days} days", issuer.expires_at),
                format!(
                    "ask for its new one and put it beside the old one, before then: brevet issuer update {} --add-certificate new.pem",
                    issuer.id
                ),
            )
        }
    });
    let more = found.len().saturating_sub(MOST_SHOWN);
    let rest = (more > 0).then(|| {
        let text = format!("{more} more expire within {} days", EXPIRES_SOON.as_secs() / 86_400);
        Finding::warning(CHECK, text, "see: brevet issuer list --org SLUG")
    });
    shown.chain(rest).collect()
}

/// Whether keys that are somewhere else can be fetched from here.
pub(super) fn keys(m: &Management, directory: &Directory) -> Vec<Finding> {
    const CHECK: &str = "issuer keys";
    let issuers = match remote(m) {
        Ok(issuers) => issuers,
        Err(error) => return vec![Finding::error(CHECK, &error)],
    };
    let mut failed: Vec<(&KnownIssuer, KeyTrouble)> = Vec::new();
    for some in issuers.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let fetches: Vec<_> = some
                .iter()
                .map(|issuer| (issuer, scope.spawn(|| look_at_keys(m, directory, &issuer.issuer, &issuer.keys))))
                .collect();
            for (issuer, fetch) in fetches {
                let fetched =
                    fetch.join().unwrap_or_else(|_panicked| Err(KeyTrouble::Silent("the attempt failed".to_owned())));
                failed.extend(fetched.err().map(|why| (issuer, why)));
            }
        });
    }
    if failed.is_empty() {
        let good = || Finding::good(CHECK, format!("those of {} issuers can be fetched", issuers.len()));
        return (!issuers.is_empty()).then(good).into_iter().collect();
    }
    let shown = failed.into_iter().take(MOST_SHOWN).map(|(issuer, trouble)| {
        let (who, id) = (format!("{} ({}) in {}", issuer.name, issuer.id, issuer.organisation), issuer.id);
        match trouble {
            KeyTrouble::Silent(why) => Finding::warning(
                CHECK,
                format!("those of {who} cannot be fetched from here: {why}"),
                format!("see that this machine reaches the address; if the issuer is gone, run: brevet issuer disable {id}"),
            ),
            KeyTrouble::Different(what) => Finding::warning(
                CHECK,
                format!("those of {who} are not where they should be: {what}"),
                format!("ask the issuer for the right address, or see that its name is written as it writes it; then run: brevet issuer update {id} --jwks-url URL, or brevet issuer disable {id}"),
            ),
        }
    });
    shown.collect()
}

/// Issuers with keys somewhere else, each set once.
fn remote(m: &Management) -> Result<Vec<KnownIssuer>, ServiceError> {
    let limit = i64::try_from(MOST_FETCHED * 4).unwrap_or(i64::MAX);
    let known = m.database.read(|conn| trusted_issuers::list_known(conn, KeyPlace::Elsewhere, None, None, limit))?;
    let mut each: Vec<KnownIssuer> = Vec::new();
    for issuer in known {
        if each.len() < MOST_FETCHED && !each.iter().any(|other| is_same_set(other, &issuer)) {
            each.push(issuer);
        }
    }
    Ok(each)
}

fn is_same_set(one: &KnownIssuer, other: &KnownIssuer) -> bool {
    use crate::oauth::trust::IssuerKeys::Discovery;
    one.keys == other.keys && (one.keys != Discovery || one.issuer == other.issuer)
}
