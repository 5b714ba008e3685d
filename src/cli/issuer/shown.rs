//! How issuers are shown.

use serde_json::{Value, json};

use crate::clock::{Timestamp, print_span};
use crate::oauth::SigningAlgorithm;
use crate::oauth::trust::IssuerKeys;
use crate::service::trusted_issuers::{self, EXPIRES_SOON, IssuerCertificate, TrustedIssuerRecord};

pub(super) fn state(issuer: &TrustedIssuerRecord) -> &'static str {
    if issuer.disabled_at.is_some() { "disabled" } else { "active" }
}

fn scopes(issuer: &TrustedIssuerRecord) -> Option<Vec<&str>> {
    let are_named = issuer.app.is_none() || issuer.policy.limits_scopes;
    are_named.then(|| issuer.scopes.iter().map(|(_, name)| name.as_str()).collect())
}

pub(super) fn document(issuer: &TrustedIssuerRecord, now: Timestamp) -> Value {
    let policy = &issuer.policy;
    let algorithms: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    json!({
        "id": issuer.id,
        "name": issuer.name,
        "issuer": issuer.issuer,
        "state": state(issuer),
        "keys": policy.keys.name(),
        "jwks_uri": match &policy.keys { IssuerKeys::JwksUri(uri) => Some(&**uri), _ => None },
        "certificates": trusted_issuers::certificates(&policy.keys).iter().map(certificate_document).collect::<Vec<_>>(),
        "certificate_names": policy.certificate_names,
        "certificates_expire_at": trusted_issuers::expires_at(&policy.keys, now).map(Timestamp::rfc3339),
        "algorithms": algorithms,
        "audiences": policy.audiences,
        "subject_claim": policy.subject_claim,
        "rules": policy.rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "max_age": policy.max_age.map(print_span),
        "single_use": policy.single_use,
        "accept_directly": policy.accept_directly,
        "ticket_lifetime": policy.ticket_lifetime.map(print_span),
        "app": issuer.app,
        "scopes": scopes(issuer),
        "created_at": issuer.created_at.rfc3339(),
        "updated_at": issuer.updated_at.rfc3339(),
        "disabled_at": issuer.disabled_at.map(Timestamp::rfc3339),
    })
}

fn certificate_document(certificate: &IssuerCertificate) -> Value {
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint,
        "key": certificate.key,
        "not_before": certificate.not_before.rfc3339(),
        "not_after": certificate.not_after.rfc3339(),
    })
}

/// When something ends, with a word to it if that is soon or was.
pub(super) fn ending(end: Timestamp, now: Timestamp) -> String {
    let word = if end < now {
        " (expired)"
    } else if end <= now + EXPIRES_SOON {
        " (soon)"
    } else {
        ""
    };
    format!("{}{word}", end.rfc3339())
}

pub(super) fn shown(issuer: &TrustedIssuerRecord, now: Timestamp) -> String {
    let policy = &issuer.policy;
    let mut lines = vec![
        format!("{} ({})", issuer.name, state(issuer)),
        format!("  iss         {}", issuer.issuer),
        format!("  keys        {}", policy.keys.name()),
        format!("  aud         {}", policy.audiences.join(" or ")),
        format!("  subject     {}", policy.subject_claim),
    ];
    for certificate in trusted_issuers::certificates(&policy.keys) {
        lines.push(format!("  certificate {}, {}", certificate.subject, certificate.key));
        lines.push(format!("              expires {}", ending(certificate.not_after, now)));
        lines.push(format!("              SHA-256 {}", certificate.fingerprint));
    }
    lines.extend(policy.certificate_names.iter().map(|name| format!("  named       {name}")));
    lines.extend(policy.rules.iter().map(|rule| format!("  rule        {rule}")));
    lines.push(format!(
        "  stands for  {}",
        issuer.app.map_or_else(|| "users of the organisation, by login".to_owned(), |app| format!("app {app}"))
    ));
    lines.push(match scopes(issuer) {
        Some(scopes) => format!("  scopes      {}", scopes.join(" ")),
        None => "  scopes      all that the app has".to_owned(),
    });
    if policy.algorithms.len() < SigningAlgorithm::ALL.len() {
        let algorithms: Vec<&str> = policy.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        lines.push(format!("  algorithms  {}", algorithms.join(" ")));
    }
    lines.extend(policy.max_age.map(|age| format!("  maximum age {}", print_span(age))));
    lines.extend(policy.ticket_lifetime.map(|lifetime| format!("  lifetime    {}", print_span(lifetime))));
    if policy.single_use {
        lines.push("  each JWT is good once".to_owned());
    }
    if policy.accept_directly {
        lines.push("  its JWTs are good at resource routes as they are".to_owned());
    }
    lines.join("\n")
}
