//! What can be trusted at all: every rule says what to write instead.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::certificates::certificates;
use super::{IssuerSettings, StandsFor};
use crate::clock::{Timestamp, print_span};
use crate::directory::outbound::check_url;
use crate::keys::certificate::{CertificateAuthorities, LONGEST_DOCUMENT, PinnedCertificates};
use crate::keys::jwk::PublicJwk;
use crate::keys::key_set::read_registered;
use crate::oauth::ClientId;
use crate::oauth::trust::{ClaimRule, IssuerKeys, LONGEST_LIFETIME, LONGEST_VALUE, TrustPolicy};
use crate::service::apis::check_lifetime;
use crate::service::organisations::checked_name;
use crate::service::{Management, ServiceError};

/// Audiences, rules, names of certificates.
const MOST_OF_EACH: usize = 20;

/// Checks what can be checked without the memory.
pub(super) fn checked(m: &Management, mut settings: IssuerSettings) -> Result<IssuerSettings, ServiceError> {
    settings.name = checked_name(&settings.name)?;
    check_issuer(m, &settings.issuer)?;
    settings.policy.keys = checked_keys(m, &settings)?;
    check_certificate_names(&settings.policy)?;
    let policy = &mut settings.policy;
    check_texts("audiences", "an audience", &policy.audiences)?;
    if policy.audiences.is_empty() {
        return Err(ServiceError::field(
            "audiences",
            "name an audience that its JWTs have in aud: without one, JWTs that were made for others would be good here",
        ));
    }
    if policy.rules.len() > MOST_OF_EACH {
        return Err(ServiceError::field("rules", format!("there can be at most {MOST_OF_EACH} rules")));
    }
    policy.rules.iter().try_for_each(ClaimRule::check).map_err(|wrong| ServiceError::field("rules", wrong))?;
    if matches!(settings.stands_for, StandsFor::App(_)) && policy.rules.is_empty() {
        return Err(ServiceError::field(
            "rules",
            "say which of its JWTs stand for the app, with the subject or another claim: the issuer signs for others too, and each of them would be the app",
        ));
    }
    if settings.stands_for == StandsFor::Users && settings.scopes.as_ref().is_none_or(Vec::is_empty) {
        return Err(ServiceError::field("scopes", "name the scopes that users of this issuer are granted"));
    }
    if let Some(scopes) = &mut settings.scopes {
        scopes.sort_unstable();
        scopes.dedup();
    }
    if policy.max_age.is_some_and(|age| age < Duration::from_secs(1) || age > LONGEST_LIFETIME) {
        return Err(ServiceError::field(
            "max_age",
            format!("a maximum age is from 1s to {}", print_span(LONGEST_LIFETIME)),
        ));
    }
    policy.algorithms.sort_unstable();
    policy.algorithms.dedup();
    check_lifetime(m, policy.ticket_lifetime)?;
    Ok(settings)
}

fn check_issuer(m: &Management, issuer: &str) -> Result<(), ServiceError> {
    let refused = |rule: &str| Err(ServiceError::field("issuer", rule));
    let is_plain = !issuer.is_empty() && issuer.len() <= LONGEST_VALUE;
    if !is_plain
        || issuer.chars().any(|character| character.is_control() || character == '|')
        || issuer.trim() != issuer
    {
        return refused(
            "an issuer is the iss of its JWTs, byte for byte: 1 to 512 characters, without | and without spaces around it",
        );
    }
    if issuer == m.config.issuer {
        return refused("this server's own tokens are good here as they are; trust somebody else");
    }
    if ClientId::parse(issuer).is_some() {
        return refused("an issuer must not look like an App SID");
    }
    Ok(())
}

fn checked_keys(m: &Management, settings: &IssuerSettings) -> Result<IssuerKeys, ServiceError> {
    let refused = |field: &'static str, why: String| ServiceError::field(field, why);
    match &settings.policy.keys {
        IssuerKeys::Jwks(document) => {
            let read = read_registered(document.as_bytes());
            read.map_err(|error| refused("jwks", format!("the JWKS cannot be used: {error}")))?;
            Ok(IssuerKeys::Jwks(document.trim().into()))
        }
        IssuerKeys::JwksUri(uri) => {
            let url = checked_url(m, uri)
                .map_err(|why| refused("jwks_uri", format!("the JWKS URL cannot be used: {why}")))?;
            Ok(IssuerKeys::JwksUri(url.as_str().into()))
        }
        IssuerKeys::Discovery => {
            checked_url(m, &settings.issuer)
                .map_err(|why| refused("issuer", format!("its configuration cannot be fetched from there: {why}")))?;
            Ok(IssuerKeys::Discovery)
        }
        IssuerKeys::Certificates(document) => {
            let read = PinnedCertificates::read(document.as_bytes());
            let read =
                read.map_err(|error| refused("certificates", format!("the certificates cannot be used: {error}")))?;
            Ok(IssuerKeys::Certificates(stored("certificates", read.pem())?))
        }
        IssuerKeys::Authorities(document) => {
            let read = CertificateAuthorities::read_with_lists(document.as_bytes());
            let read = read.map_err(|error| {
                refused("authorities", format!("the certificate authorities cannot be used: {error}"))
            })?;
            Ok(IssuerKeys::Authorities(stored("authorities", read.pem())?))
        }
        IssuerKeys::SystemAuthorities if m.config.system_authorities.is_empty() => Err(refused(
            "system_authorities",
            "no certificate authority of the operating system may vouch here: give the issuer's certificate or its authority, or let the operator name one in the setting system-authorities".to_owned(),
        )),
        IssuerKeys::SystemAuthorities => Ok(IssuerKeys::SystemAuthorities),
    }
}

/// What only the operator's word keeps from being fetched is said to be that, also where `https://` alone would not help.
fn checked_url(m: &Management, text: &str) -> Result<Url, String> {
    check_url(text, m.config.outbound_allow_private).map_err(|why| match check_url(text, true) {
        Ok(_) => "its address is none of the internet; for a private one the operator must set outbound-allow-private"
            .to_owned(),
        Err(_) => why,
    })
}

/// What is stored must be read again, and some write PEM in fewer octets.
fn stored(field: &'static str, pem: String) -> Result<Arc<str>, ServiceError> {
    if pem.len() > LONGEST_DOCUMENT {
        return Err(ServiceError::field(
            field,
            format!("give less: in PEM it has more than {LONGEST_DOCUMENT} octets"),
        ));
    }
    Ok(pem.into())
}

/// Names are for the certificate at the head of a chain, and what everybody can get a certificate of needs one.
fn check_certificate_names(policy: &TrustPolicy) -> Result<(), ServiceError> {
    check_texts("certificate_names", "the name of a certificate", &policy.certificate_names)?;
    let has_names = !policy.certificate_names.is_empty();
    if has_names && !policy.keys.uses_chains() {
        return Err(ServiceError::field(
            "certificate_names",
            "names of certificates are for certificate authorities; without one they would have no effect",
        ));
    }
    if !has_names && policy.keys == IssuerKeys::SystemAuthorities {
        return Err(ServiceError::field(
            "certificate_names",
            "name the certificate that signs for the issuer, such as signer.example.com: anybody can get a certificate of these authorities, and each of them could sign",
        ));
    }
    Ok(())
}

/// Refuses certificates that are no good any more, which nobody registers on purpose. Those that expire later are shown.
pub(super) fn check_current(keys: &IssuerKeys, now: Timestamp) -> Result<(), ServiceError> {
    let field = match keys {
        IssuerKeys::Authorities(_) => "authorities",
        _ => "certificates",
    };
    for (at, certificate) in certificates(keys).iter().enumerate() {
        if certificate.not_after < now {
            let rule = format!(
                "certificate {} expired on {}; give the one that took its place, or take it out",
                at + 1,
                certificate.not_after.rfc3339()
            );
            return Err(ServiceError::field(field, rule));
        }
    }
    Ok(())
}

fn check_texts(field: &'static str, what: &str, texts: &[String]) -> Result<(), ServiceError> {
    if texts.len() > MOST_OF_EACH {
        return Err(ServiceError::field(field, format!("there can be at most {MOST_OF_EACH}")));
    }
    let is_plain = |text: &String| {
        !text.is_empty() && text.len() <= LONGEST_VALUE && text.trim() == text && !text.chars().any(char::is_control)
    };
    if texts.iter().all(is_plain) {
        return Ok(());
    }
    Err(ServiceError::field(field, format!("{what} has 1 to {LONGEST_VALUE} characters, without spaces around them")))
}

/// The names of keys that stand in the entry itself: RFC 7638 thumbprints, or the SHA-256 fingerprints of certificates.
pub(super) fn key_names(keys: &IssuerKeys) -> Vec<String> {
    match keys {
        IssuerKeys::Jwks(document) => {
            read_registered(document.as_bytes()).unwrap_or_default().iter().map(PublicJwk::thumbprint).collect()
        }
        _ => certificates(keys).into_iter().map(|certificate| certificate.fingerprint).collect(),
    }
}
