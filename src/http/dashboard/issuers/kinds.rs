//! Where an issuer's keys are, and what became of its JWTs, in words.

use crate::oauth::trust::IssuerKeys;
use crate::service::trust_counts::ACCEPTED;

/// The kinds of keys by the name in the form, with what people read.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("discovery", "At its own address: its OpenID configuration says where"),
    ("jwks_uri", "Behind a URL: a JWK set"),
    ("jwks", "In a JWK set that I paste here"),
    ("certificates", "In its certificates, which I paste here"),
    ("authorities", "In certificates that an authority of mine signed (x5c)"),
    ("system_authorities", "In certificates that an authority signed which the operator of this server named (x5c)"),
];

/// In a table.
pub(super) const fn short(keys: &IssuerKeys) -> &'static str {
    match keys {
        IssuerKeys::Certificates(_) => "certificates",
        IssuerKeys::Authorities(_) => "certificate authority",
        IssuerKeys::SystemAuthorities => "the system's authorities",
        IssuerKeys::Jwks(_) => "pasted JWKS",
        IssuerKeys::JwksUri(_) => "JWKS URL",
        IssuerKeys::Discovery => "discovery",
    }
}

/// Outcomes and what they mean for whoever has to do something about them.
const OUTCOMES: &[(&str, &str)] = &[
    (ACCEPTED, "Accepted"),
    ("signature", "No key of the issuer verifies the signature, or its algorithm is not allowed"),
    ("certificate", "The certificate, or its chain, is not good"),
    ("no_keys", "The issuer's keys could not be had"),
    ("type", "typ is that of another kind of token"),
    ("audience", "aud has none of the audiences that are accepted"),
    ("expiry", "It had expired, or lives too long"),
    ("not_before", "It was not valid yet: see the clocks"),
    ("issued_at", "It was too old, or made in the future"),
    ("id", "It has no jti, which single use needs"),
    ("rule", "A claim does not say what it must"),
    ("subject", "Whom it is about is not registered here, or disabled"),
    ("network", "It came from outside the app's networks"),
    ("replayed", "It was used before"),
    ("unavailable", "It could not be checked at that moment"),
];

/// What an outcome means.
pub(super) fn outcome(label: &str) -> &str {
    OUTCOMES.iter().find(|(known, _)| *known == label).map_or(label, |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_keys_can_be_chosen() {
        let pem = || "".into();
        let all = [
            IssuerKeys::Certificates(pem()),
            IssuerKeys::Authorities(pem()),
            IssuerKeys::SystemAuthorities,
            IssuerKeys::Jwks(pem()),
            IssuerKeys::JwksUri(pem()),
            IssuerKeys::Discovery,
        ];
        for keys in &all {
            assert!(KINDS.iter().any(|(name, _)| *name == keys.name()), "{}", keys.name());
            assert!(!short(keys).is_empty());
        }
        assert_eq!(KINDS.len(), all.len());
        assert_eq!((outcome("audience"), outcome("new")), (OUTCOMES[5].1, "new"));
    }
}
