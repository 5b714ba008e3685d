//! The verdicts in words: what is there, and what must be.

use std::fmt::Display;

use serde_json::Value;

use crate::clock::print_span;
use crate::db::trusted_issuers::TrustedIssuerRecord;
use crate::directory::RemoteStatus;
use crate::keys::jws::UnverifiedJws;
use crate::oauth::json::read_object;
use crate::oauth::trust::{Check, IssuerKeys, LONGEST_FOREIGN_JWT, TrustError, TrustPolicy, Way};
use crate::service::foreign_jwt::{Candidate, UnverifiedForeignJwt};

/// Of what a JWT says, in characters.
const LONGEST_SHOWN: usize = 200;

/// What a JWT or a server says, fit for a line on a screen or a terminal.
pub(in crate::service::trusted_issuers) fn shown(text: &str) -> String {
    let is_long = text.chars().nth(LONGEST_SHOWN).is_some();
    let plain = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut shown: String = text.chars().take(LONGEST_SHOWN).map(plain).collect();
    if is_long {
        shown.push('…');
    }
    shown
}

fn shown_value(value: &Value) -> String {
    value.as_str().map_or_else(|| shown(&value.to_string()), shown)
}

/// A reason as a sentence.
pub(super) fn sentence(reason: &impl Display) -> String {
    let reason = shown(&reason.to_string());
    let mut characters = reason.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let stop = if reason.ends_with(['.', '…']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

/// Why it cannot be read, with the names of what must stand in it and does not.
pub(super) fn malformed(error: &TrustError, jwt: &str) -> String {
    let payload = UnverifiedJws::parse(jwt, LONGEST_FOREIGN_JWT).ok();
    let claims = payload.and_then(|jws| read_object(jws.unverified_payload()).ok());
    let missing = |name: &&str| claims.as_ref().is_some_and(|claims| !claims.contains_key(*name));
    match ["iss", "aud", "exp"].into_iter().filter(missing).collect::<Vec<_>>().as_slice() {
        [] => sentence(error),
        names => format!("It lacks {}.", names.join(" and ")),
    }
}

/// What comes of it if nobody trusts its issuer.
pub(super) fn unknown(issuer: &str, nearest: &[String]) -> String {
    let mut text =
        format!("It would be refused: no trusted issuer here has its iss, {}, byte for byte.", shown(issuer));
    if !nearest.is_empty() {
        text.push_str(&format!(" Trusted is {}.", nearest.join(", and ")));
    }
    text
}

/// What comes of it all.
pub(super) fn conclusion(chosen: Result<(), &TrustError>, entries: usize, way: Way) -> String {
    match chosen {
        Ok(()) => "It would be accepted now.".to_owned(),
        Err(TrustError::UnknownIssuer) if entries == 0 => {
            "It would be refused: no trusted issuer here has its iss, byte for byte.".to_owned()
        }
        Err(TrustError::UnknownIssuer) => {
            "It would be refused: its issuer is not trusted here, is disabled, or not for this way.".to_owned()
        }
        Err(TrustError::Ambiguous) if way == Way::Bearer => {
            "It would be refused: several entries take it, for different apps or organisations, and a bearer token cannot name one. Its aud must be that of one organisation, this server's issuer with a slash and the slug, and the rules must tell apps apart.".to_owned()
        }
        Err(TrustError::Ambiguous) => {
            "It would be refused: several entries take it, for different apps or organisations. Requests must name one, with Tenant or client_id.".to_owned()
        }
        Err(error) => format!("It would be refused. {}", sentence(error)),
    }
}

pub(super) fn not_that_way(record: &TrustedIssuerRecord, way: Way) -> String {
    match way {
        Way::Bearer => {
            format!("JWTs of {} are not good at resource routes as they are: accept_directly is off.", record.name)
        }
        _ => format!("JWTs of {} name users; a client assertion must stand for an app.", record.name),
    }
}

/// Where the keys came from.
pub(super) fn keys(record: &TrustedIssuerRecord, status: Option<&RemoteStatus>) -> String {
    let fetched = |from: &str| {
        let at = status.and_then(|status| status.fetched_at);
        let mut text = at.map_or_else(|| format!("Fetched from {from}"), |at| format!("Fetched from {from} at {at}"));
        if let Some(until) = status.and_then(|status| status.fresh_until) {
            text.push_str(&format!("; used without asking again until {until}"));
        }
        text.push('.');
        if let Some(failure) = status.and_then(|status| status.failure.as_deref()) {
            text.push_str(&format!(" The last try to fetch them anew failed: {}.", shown(failure)));
        }
        text
    };
    match &record.policy.keys {
        IssuerKeys::Certificates(_) => "In the certificates of this entry.".to_owned(),
        IssuerKeys::Authorities(_) => {
            "In the first certificate of its x5c, for which the authorities of this entry must vouch.".to_owned()
        }
        IssuerKeys::SystemAuthorities => {
            "In the first certificate of its x5c, for which an authority that the operator named must vouch.".to_owned()
        }
        IssuerKeys::Jwks(_) => "In the JWKS of this entry.".to_owned(),
        IssuerKeys::JwksUri(uri) => fetched(uri),
        IssuerKeys::Discovery => fetched(&format!("the JWKS that the configuration of {} names", record.issuer)),
    }
}

/// By which key it was signed.
pub(super) fn signed(unverified: &UnverifiedForeignJwt<'_>) -> String {
    match unverified.unverified_key() {
        (alg, Some(kid)) => format!("Signed with {alg} by the key {}.", shown(kid)),
        (alg, None) => format!("Signed with {alg} by one of these keys; it names none (no kid)."),
    }
}

/// Why its signature is nothing.
pub(super) fn unsigned(error: &TrustError, unverified: &UnverifiedForeignJwt<'_>, policy: &TrustPolicy) -> String {
    let (alg, kid) = unverified.unverified_key();
    let key = kid.map_or_else(|| "no kid".to_owned(), |kid| format!("the kid {}", shown(kid)));
    match error {
        TrustError::Algorithm => {
            let accepted: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            format!("Its alg is {}, and here it must be {}.", shown(alg), accepted.join(" or "))
        }
        TrustError::Certificate(reason) => sentence(reason),
        error => format!("It has alg {} and {key}. {}", shown(alg), sentence(error)),
    }
}

/// Whom it stands for.
pub(super) fn stands_for(candidate: &Candidate, login: Option<&str>) -> String {
    let client = &candidate.client;
    let tenant = &client.organisation.slug;
    let networks = if client.allowed_networks.is_everywhere() {
        String::new()
    } else {
        format!(" Only from {}.", client.allowed_networks.texts().join(", "))
    };
    match login {
        Some(login) => format!("Stands for the user {login} of {tenant}."),
        None => format!("Stands for the app {} ({}) of {tenant}.{networks}", client.name, client.client_id),
    }
}

/// A check that holds.
pub(super) fn good(check: Check, unverified: &UnverifiedForeignJwt<'_>, policy: &TrustPolicy) -> String {
    let claims = unverified.unverified_claims();
    match check {
        Check::Type => unverified
            .unverified_typ()
            .map_or_else(|| "It has no typ, as most.".to_owned(), |typ| format!("Its typ is {}.", shown(typ))),
        Check::Audience => {
            let ours = policy.audiences.iter().find(|ours| claims.audiences().contains(ours));
            format!("It is for {}.", ours.map_or("this server", String::as_str))
        }
        Check::Expiry => format!("Its exp is {}.", claims.expires_at()),
        Check::NotBefore => {
            claims.not_before().map_or_else(|| "It has no nbf.".to_owned(), |at| format!("Its nbf is {at}."))
        }
        Check::IssuedAt => match (claims.issued_at(), policy.max_age) {
            (Some(at), Some(age)) => format!("Its iat is {at}; it may be {} old.", print_span(age)),
            (Some(at), None) => format!("Its iat is {at}; there is no maximum age."),
            (None, _) => "It has no iat, and there is no maximum age.".to_owned(),
        },
        Check::Id => claims
            .id()
            .map_or_else(|| "It has no jti, and needs none.".to_owned(), |jti| format!("Its jti is {}.", shown(jti))),
        Check::Rule(at) => format!("{} holds.", rule(policy, at)),
        Check::Subject => {
            let subject = policy.subject(claims).unwrap_or_default();
            format!("{} is {}.", policy.subject_claim, shown(subject))
        }
        _ => "It holds.".to_owned(),
    }
}

/// A check that fails: what is there, and what must be.
pub(super) fn wrong(
    check: Check,
    error: &TrustError,
    unverified: &UnverifiedForeignJwt<'_>,
    candidate: &Candidate,
    way: Way,
) -> String {
    let record = &candidate.issuer.record;
    let (claims, policy) = (unverified.unverified_claims(), &record.policy);
    match check {
        Check::Type => {
            let typ = unverified.unverified_typ().unwrap_or_default();
            format!("Its typ is {}, that of another kind of JWT; it must be JWT or missing.", shown(typ))
        }
        Check::Audience => {
            let has_ours = policy.audiences.iter().any(|ours| claims.audiences().contains(ours));
            if has_ours && way != Way::ClientAssertion {
                return "One of its audiences is that of another organisation of this server, which alone may take it."
                    .to_owned();
            }
            let named = shown(&claims.audiences().join(", "));
            let alone = if way == Way::ClientAssertion { " alone" } else { "" };
            format!("It is for {named}, and must be for {}{alone}.", policy.audiences.join(" or "))
        }
        Check::Rule(at) => {
            let value = policy.rules.get(at).and_then(|rule| claims.value(&rule.claim));
            let found = value
                .map_or_else(|| "it has no such claim".to_owned(), |value| format!("it says {}", shown_value(value)));
            format!("{} does not hold: {found}.", rule(policy, at))
        }
        Check::Subject => match claims.value(&policy.subject_claim) {
            Some(_) => format!("{} is no plain text of 1 to 512 characters.", policy.subject_claim),
            None => format!("It has no {}, which must say whom it is about.", policy.subject_claim),
        },
        Check::Mapping if matches!(error, TrustError::NotRegistered) => match record.app {
            Some(_) => "The app that it stands for is disabled, or its organisation is.".to_owned(),
            None if !candidate.client.is_active() => "The issuer is disabled, or its organisation is.".to_owned(),
            None => {
                let subject = policy.subject(claims).unwrap_or_default();
                format!("No user of the organisation who is enabled has the login {}.", shown(subject))
            }
        },
        _ => sentence(error),
    }
}

fn rule(policy: &TrustPolicy, at: usize) -> String {
    policy.rules.get(at).map(ToString::to_string).unwrap_or_default()
}
