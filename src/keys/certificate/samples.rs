//! Certificates made on the spot for tests, the good ones and each bad one.

use std::fmt::Display;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use super::*;

/// 2027-01-01
pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_798_761_600);
pub(super) const YEAR: std::time::Duration = std::time::Duration::from_secs(366 * 86_400);

pub(super) const SHORT_CA: &str = include_str!("../../../tests/fuzz/seeds/certificate/rsa-1024.pem");
pub(super) const SHORT_LEAF: &str = include_str!("../../../tests/fuzz/seeds/certificate/rsa-1024-leaf.pem");
pub(super) const MD5: &str = include_str!("../../../tests/fuzz/seeds/certificate/md5.pem");
pub(super) const SHA1: &str = include_str!("../../../tests/fuzz/seeds/certificate/sha1.pem");
pub(super) const PSS_SHA1: &str = include_str!("../../../tests/fuzz/seeds/certificate/pss-sha1.pem");

/// A certificate and its private key.
pub(super) struct Made {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) der: Vec<u8>,
}

pub(super) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    params
}

pub(super) fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn signer() -> CertificateParams {
    let mut params = params("signer");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![
        SanType::DnsName("signer.example".try_into().unwrap()),
        SanType::URI("spiffe://example/signer".try_into().unwrap()),
    ];
    params
}

pub(super) fn with(mut params: CertificateParams, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    change(&mut params);
    params
}

pub(super) fn self_signed(params: CertificateParams) -> Made {
    self_signed_for(params, KeyPair::generate().unwrap())
}

pub(super) fn self_signed_for(params: CertificateParams, key: KeyPair) -> Made {
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Made { params, key, der }
}

impl Made {
    pub(super) fn issue(&self, params: CertificateParams) -> Self {
        self.issue_for(params, KeyPair::generate().unwrap())
    }

    pub(super) fn issue_for(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    pub(super) fn read(&self) -> Certificate {
        Certificate::read_der(&self.der).unwrap()
    }

    /// A JWS with these certificates in its header, signed with this one's key.
    pub(super) fn sign(&self, chain: &[&Made]) -> String {
        let x5c: Vec<String> = chain.iter().map(|made| STANDARD.encode(&made.der)).collect();
        self.sign_with(json!({ "x5c": x5c }))
    }

    pub(super) fn sign_with(&self, mut header: Value) -> String {
        header["alg"] = json!("ES256");
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode("{}"));
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, self.key.serialized_der()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text: Vec<char> = STANDARD.encode(der).chars().collect();
    let lines: Vec<String> = text.chunks(64).map(|line| line.iter().collect()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(super) fn der_of(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// A certificate that openssl made, for what no library makes any more; its key is lost.
pub(super) fn given(pem: &str) -> Made {
    Made { params: params("Weak"), key: KeyPair::generate().unwrap(), der: der_of(pem) }
}

pub(super) fn parse(jws: &str) -> UnverifiedJws<'_> {
    UnverifiedJws::parse(jws, 256 * 1024).unwrap()
}

pub(super) fn trusting(roots: &[&Made]) -> CertificateAuthorities {
    let pem: String = roots.iter().map(|root| root.pem()).collect();
    CertificateAuthorities::read(pem.as_bytes()).unwrap()
}

/// What is said of a token that the first of these certificates signed.
pub(super) fn verdict(authorities: &CertificateAuthorities, chain: &[&Made], now: Timestamp) -> String {
    let jws = chain[0].sign(chain);
    authorities.verify(&parse(&jws), now, &ample()).map_or_else(said, |_| "holds".to_owned())
}

pub(super) fn said(error: impl Display) -> String {
    error.to_string()
}

pub(super) fn critical() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    extension
}

/// More than any chain needs.
pub(super) fn ample() -> crate::keys::budget::SignatureBudget {
    crate::keys::budget::SignatureBudget::new(100)
}
