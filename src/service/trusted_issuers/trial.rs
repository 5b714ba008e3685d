//! What each check says to a JWT that somebody wants to try. The checks are those of the road, and nothing is used up,
//! issued or counted. For whoever may see the entry: the texts say what it demands.

mod said;

use std::sync::Arc;

pub(super) use self::said::shown;
use super::nearest::nearest;
use super::{TrustedIssuerRecord, find, find_organisation};
use crate::clock::Timestamp;
use crate::db::trusted_issuers::{list_of_issuer, list_of_organisation};
use crate::db::{AnyConnection, Database};
use crate::directory::Directory;
use crate::directory::trusted_issuers::TrustedIssuer;
use crate::oauth::ClientId;
use crate::oauth::trust::{Check, TrustError, Way};
use crate::service::foreign_jwt::{self, Candidate, Choice, Circumstances, UnverifiedForeignJwt};
use crate::service::{Management, ServiceError};

/// Entries of all organisations that a JWT is tried with.
const MOST_TRIED: i64 = 64;

/// Against which entries a JWT is tried.
#[derive(Debug, Clone)]
pub enum Against {
    /// This one, whatever the JWT says who made it.
    Entry(ClientId),
    /// Those of an organisation that trust who made it: as a request that names the organisation.
    Organisation(String),
    /// Those of every organisation that may be seen: as a request that names nobody.
    Everyone,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It cannot be made, because of another that failed.
    NotMade,
}

impl StepOutcome {
    /// The name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::NotMade => "not_made",
        }
    }
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was checked.
    pub check: Check,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Why, in a sentence. What the JWT says in it is cut short and free of control characters.
    pub text: String,
}

impl Step {
    fn new(check: Check, outcome: StepOutcome, text: impl Into<String>) -> Self {
        Self { check, outcome, text: text.into() }
    }
}

/// What one entry says.
#[derive(Debug, Clone)]
pub struct EntryTrial {
    /// The entry.
    pub id: ClientId,
    /// Its name for people.
    pub name: String,
    /// Each check, in the order of the road.
    pub steps: Vec<Step>,
    /// The first check that failed.
    pub refusal: Option<TrustError>,
}

/// What became of a JWT that was tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Who it says made it; nothing if it cannot be read.
    pub issuer: Option<String>,
    /// Whether it can be read.
    pub form: Step,
    /// If nobody whom it may be for trusts its issuer: those that are trusted and are written almost like it.
    pub nearest: Vec<String>,
    /// What each entry says, the oldest first.
    pub entries: Vec<EntryTrial>,
    /// Why a request with it would be refused now.
    pub refusal: Option<TrustError>,
    /// The same for people.
    pub conclusion: String,
}

impl Trial {
    /// Whether a request with it would be good now.
    pub fn is_accepted(&self) -> bool {
        self.refusal.is_none()
    }

    fn refused(issuer: Option<String>, form: Step, refusal: TrustError) -> Self {
        let conclusion = said::conclusion(Err(&refusal), 0, Way::Grant);
        Self { issuer, form, nearest: Vec::new(), entries: Vec::new(), refusal: Some(refusal), conclusion }
    }
}

/// Tries a JWT that comes in one way. It is neither kept nor logged.
///
/// # Errors
/// `NotFound` without the organisation or the entry, or when the database does not answer.
pub async fn try_jwt(
    directory: &Directory,
    m: &Management,
    against: &Against,
    way: Way,
    jwt: &str,
    now: Timestamp,
) -> Result<Trial, ServiceError> {
    let unverified = match UnverifiedForeignJwt::parse(jwt.trim()) {
        Ok(unverified) => unverified,
        Err(error) => {
            // Who asks for an entry or organisation that is not there hears of that, whatever the JWT.
            records(directory.database(), m, against, "").await?;
            let form = Step::new(Check::Form, StepOutcome::Fails, said::malformed(&error, jwt.trim()));
            return Ok(Trial::refused(None, form, error));
        }
    };
    let issuer = unverified.unverified_issuer().to_owned();
    let form = Step::new(Check::Form, StepOutcome::Holds, "A signed JWT with iss, aud and exp.");
    let records = records(directory.database(), m, against, &issuer).await?;
    let is_own = issuer == m.config.issuer || ClientId::parse(&issuer).is_some();
    if is_own && !matches!(against, Against::Entry(_)) {
        return Ok(Trial::refused(Some(issuer), form, TrustError::UnknownIssuer));
    }
    if records.is_empty() {
        let nearest = nearest_to(directory.database(), m, against, &issuer).await?;
        let conclusion = said::unknown(&issuer, &nearest);
        return Ok(Trial { nearest, conclusion, ..Trial::refused(Some(issuer), form, TrustError::UnknownIssuer) });
    }
    let mut tried = Vec::new();
    let (mut choice, mut ambiguous) = (Choice::new(), None);
    for record in records {
        let client_id = record.app.unwrap_or(record.id);
        let circumstances = Circumstances { server: &m.config.issuer, way, address: None, now };
        let entry = try_entry(directory, &unverified, &directory.trusted_issuer(record), circumstances).await?;
        let checked = match &entry.refusal {
            None => Ok(false),
            // It is used up only after an entry was chosen.
            Some(TrustError::Replayed) => Ok(true),
            Some(refusal) => Err(refusal.clone().into()),
        };
        ambiguous = choice.consider(client_id, checked).err().or(ambiguous);
        tried.push(entry);
    }
    let chosen = ambiguous.map_or_else(|| choice.end(), Err).map_err(|refused| refused.error);
    let chosen = chosen.and_then(|replayed| if replayed { Err(TrustError::Replayed) } else { Ok(()) });
    let conclusion = said::conclusion(chosen.as_ref().copied(), tried.len(), way);
    Ok(Trial { issuer: Some(issuer), form, nearest: Vec::new(), entries: tried, refusal: chosen.err(), conclusion })
}

async fn nearest_to(
    database: &Database,
    m: &Management,
    against: &Against,
    issuer: &str,
) -> Result<Vec<String>, ServiceError> {
    let (m, against, issuer) = (m.clone(), against.clone(), issuer.to_owned());
    let read = move |conn: &mut AnyConnection| -> Result<Vec<String>, ServiceError> {
        let organisation_id = match &against {
            Against::Entry(_) => return Ok(Vec::new()),
            Against::Organisation(slug) => Some(find_organisation(conn, slug)?.id),
            Against::Everyone => None,
        };
        nearest(conn, &m.deed(), organisation_id, &issuer)
    };
    database.browse_off_thread(move |database| database.read_with(read)).await
}

/// The entries that are asked for, the oldest first.
async fn records(
    database: &Database,
    m: &Management,
    against: &Against,
    issuer: &str,
) -> Result<Vec<TrustedIssuerRecord>, ServiceError> {
    let (m, against, issuer) = (m.clone(), against.clone(), issuer.to_owned());
    let read = move |conn: &mut AnyConnection| -> Result<Vec<TrustedIssuerRecord>, ServiceError> {
        let deed = m.deed();
        let mut found = match &against {
            Against::Entry(id) => return Ok(vec![find(conn, &deed, *id)?.record]),
            Against::Organisation(slug) => {
                let organisation = find_organisation(conn, slug)?;
                if !deed.doer.reaches(Some(organisation.id)) {
                    return Err(ServiceError::NotFound("there is no such organisation".to_owned()));
                }
                list_of_organisation(conn, organisation.id, &issuer)?
            }
            Against::Everyone => list_of_issuer(conn, &issuer, MOST_TRIED)?,
        };
        found.retain(|record| deed.doer.reaches(Some(record.organisation_id)));
        found.sort_by_key(|record| (record.created_at, record.id));
        Ok(found)
    };
    database.browse_off_thread(move |database| database.read_with(read)).await
}

async fn try_entry(
    directory: &Directory,
    unverified: &UnverifiedForeignJwt<'_>,
    trusted: &Arc<TrustedIssuer>,
    circumstances: Circumstances<'_>,
) -> Result<EntryTrial, ServiceError> {
    let Circumstances { way, now, .. } = circumstances;
    let record = &trusted.record;
    let mut entry = EntryTrial { id: record.id, name: record.name.clone(), steps: Vec::new(), refusal: None };
    entry.issuer(unverified, record, way);
    let candidate = match foreign_jwt::candidate(directory, trusted).await {
        Ok(Some(candidate)) => candidate,
        Ok(None) => {
            entry.fails(
                Check::Mapping,
                "The app that its JWTs stand for is not there any more.",
                TrustError::NotRegistered,
            );
            return Ok(entry);
        }
        Err(error) => {
            entry.fails(Check::Mapping, said::sentence(&error), error);
            return Ok(entry);
        }
    };
    if !foreign_jwt::may_come(&candidate.client, way) {
        let text = "The app's tokens must be bound to a key, and a JWT as it is cannot be.";
        entry.fails(Check::Issuer, text, TrustError::UnknownIssuer);
    }
    let mut verdicts = Vec::new();
    let note_all = |check, verdict| {
        verdicts.push((check, verdict));
        Ok(())
    };
    // Who showed it from where is not known here: the networks are said with whom it stands for.
    let signature = foreign_jwt::check_signature(directory, unverified, &candidate, now).await;
    let person = foreign_jwt::check(directory, unverified, &candidate, signature, circumstances, note_all).await;
    let login = person.ok().flatten().map(|person| person.login);
    for (check, verdict) in verdicts {
        match (check, verdict) {
            (Check::Signature, verdict) => entry.signature(directory, unverified, &candidate, verdict),
            (Check::Mapping, Err(TrustError::Subject)) => {
                let text = "It does not say whom it is about, so nobody can be looked for.";
                entry.steps.push(Step::new(check, StepOutcome::NotMade, text));
            }
            (Check::Mapping, Ok(())) => {
                entry.holds(check, said::stands_for(&candidate, login.as_deref()));
            }
            (check, Ok(())) => entry.holds(check, said::good(check, unverified, &record.policy)),
            (check, Err(error)) => {
                let text = said::wrong(check, &error, unverified, &candidate, way);
                entry.fails(check, text, error);
            }
        }
    }
    entry.single_use(directory, unverified, record).await?;
    Ok(entry)
}

impl EntryTrial {
    fn holds(&mut self, check: Check, text: impl Into<String>) {
        self.steps.push(Step::new(check, StepOutcome::Holds, text));
    }

    fn fails(&mut self, check: Check, text: impl Into<String>, error: TrustError) {
        self.steps.push(Step::new(check, StepOutcome::Fails, text));
        self.refusal.get_or_insert(error);
    }

    fn issuer(&mut self, unverified: &UnverifiedForeignJwt<'_>, record: &TrustedIssuerRecord, way: Way) {
        let named = unverified.unverified_issuer();
        if named != record.issuer {
            let text =
                format!("Its iss is {}, and here it must be {}, byte for byte.", said::shown(named), record.issuer);
            self.fails(Check::Issuer, text, TrustError::UnknownIssuer);
        } else if record.disabled_at.is_some() {
            let text = format!("{} is disabled: all its JWTs are refused.", record.name);
            self.fails(Check::Issuer, text, TrustError::UnknownIssuer);
        } else if !foreign_jwt::admits(record, way) {
            self.fails(Check::Issuer, said::not_that_way(record, way), TrustError::UnknownIssuer);
        } else {
            self.holds(Check::Issuer, format!("Its iss is that of {}.", record.name));
        }
    }

    fn signature(
        &mut self,
        directory: &Directory,
        unverified: &UnverifiedForeignJwt<'_>,
        candidate: &Candidate,
        verdict: Result<(), TrustError>,
    ) {
        let status = directory.status_of_keys(&candidate.issuer.record);
        match verdict {
            Err(error @ (TrustError::NoKeys(_) | TrustError::Unavailable(_))) => {
                self.fails(Check::Keys, said::sentence(&error), error);
                let text = "Without keys no signature can be checked; nothing below is proved.";
                self.steps.push(Step::new(Check::Signature, StepOutcome::NotMade, text));
            }
            verdict => {
                self.holds(Check::Keys, said::keys(&candidate.issuer.record, status.as_ref()));
                match verdict {
                    Ok(()) => self.holds(Check::Signature, said::signed(unverified)),
                    Err(error) => {
                        let text = said::unsigned(&error, unverified, &candidate.issuer.record.policy);
                        self.fails(Check::Signature, text, error);
                    }
                }
            }
        }
    }

    async fn single_use(
        &mut self,
        directory: &Directory,
        unverified: &UnverifiedForeignJwt<'_>,
        record: &TrustedIssuerRecord,
    ) -> Result<(), ServiceError> {
        if !record.policy.single_use {
            self.holds(Check::SingleUse, "Each JWT of this issuer may be used until it expires.");
            return Ok(());
        }
        let Some(jti) = unverified.unverified_claims().id().map(str::to_owned) else {
            let text = "Without a jti nobody can tell whether it was used.";
            self.steps.push(Step::new(Check::SingleUse, StepOutcome::NotMade, text));
            return Ok(());
        };
        let whose = record.clone();
        let look = move |database: &Database| {
            database.read_with(|conn| Ok::<_, ServiceError>(foreign_jwt::was_used(conn, &whose, &jti)?))
        };
        if directory.database().browse_off_thread(look).await? {
            self.fails(
                Check::SingleUse,
                "It was used before, and each JWT of this issuer is good once.",
                TrustError::Replayed,
            );
        } else {
            self.holds(Check::SingleUse, "It was not used before; this trial does not use it up.");
        }
        Ok(())
    }
}
