//! A JWT that a third party signed: what each check of its trusted issuer says, in the organisation of whoever asks. It is
//! tried and not used: looking at it must not use it up.

use super::grounds::Grounds;
use super::{Check, Outcome, Worth};
use crate::clock::Timestamp;
use crate::oauth::trust::{self, TrustError, Way};
use crate::service::trusted_issuers::trial::{Against, EntryTrial, Step, StepOutcome, try_jwt};
use crate::service::{Authority, Management, ServiceError};

/// What is known of it; `None` if nobody trusts who it says made it, or nobody whom the asker may know of.
pub(super) async fn look(
    authority: &Authority,
    m: &Management,
    token: &str,
    now: Timestamp,
) -> Result<Option<(Grounds, Worth)>, ServiceError> {
    let directory = &authority.directory;
    let trying = |m, way| try_jwt(directory, m, &Against::Everyone, way, token, now);
    // Whether it is good is what the guard would say, whoever asks.
    let at_guard = trying(&authority.management, Way::Bearer).await?;
    if at_guard.entries.is_empty() {
        return Ok(None);
    }
    let worth = match &at_guard.refusal {
        None => Worth::Good,
        Some(TrustError::Unavailable(_) | TrustError::NoKeys(_)) => Worth::Unknown,
        Some(_) => Worth::Refused,
    };
    let seen = trying(m, Way::Grant).await?;
    let mut grounds = Grounds::default();
    if seen.entries.is_empty() {
        if worth != Worth::Good {
            return Ok(None);
        }
        grounds.holds(Check::App, "A JWT of a third party that another organisation takes as it is.");
        return Ok(Some((grounds, worth)));
    }
    // Of several entries those that take it; if none does, what each says.
    let takes = |entry: &&EntryTrial| entry.refusal.is_none();
    let is_taken = seen.entries.iter().any(|entry| takes(&entry));
    for entry in seen.entries.iter().filter(|entry| !is_taken || takes(entry)) {
        say(&mut grounds, entry);
    }
    match (&seen.refusal, &at_guard.refusal) {
        (_, None) => grounds.holds(Check::Issuer, "Its issuer's JWTs are good at resource routes as they are."),
        (None, Some(_)) => grounds.fails(
            Check::Issuer,
            "It is no token of this server: send it to the token endpoint or to /server/jwt to get one. At resource routes its issuer's JWTs are not good as they are.",
        ),
        (Some(_), Some(_)) if is_taken => grounds.fails(Check::Issuer, seen.conclusion),
        (Some(_), Some(_)) => {}
    }
    Ok(Some((grounds, worth)))
}

fn say(grounds: &mut Grounds, entry: &EntryTrial) {
    let is_signature = |step: &Step| step.check == trust::Check::Signature && step.outcome == StepOutcome::Holds;
    let what = if entry.steps.iter().any(is_signature) {
        format!("Signed by the trusted issuer {}.", entry.name)
    } else {
        format!("It says that it is from the trusted issuer {}, which nothing proves.", entry.name)
    };
    grounds.note(Check::Issuer, what);
    for step in &entry.steps {
        let outcome = match step.outcome {
            StepOutcome::Holds => Outcome::Holds,
            StepOutcome::Fails => Outcome::Fails,
            StepOutcome::NotMade => Outcome::Note,
        };
        grounds.add(Check::ThirdParty(step.check), outcome, step.text.clone());
    }
}
