//! Keys as openssl writes them: the private key of a client that tries things from the command line, and public keys that
//! somebody wants to register.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPublicKey;
use rsa::pkcs8::der::pem::decode_vec;
use rsa::pkcs8::{DecodePublicKey, ObjectIdentifier, SubjectPublicKeyInfoRef};
use rsa::traits::PublicKeyParts;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::KeyError;
use super::jwk::PublicJwk;
use super::signing::Pair;
use crate::oauth::SigningAlgorithm;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Whether a text is in PEM.
pub fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ")
}

/// A private key of a client, in memory for one command.
#[derive(Debug)]
pub struct ClientKey {
    pair: Pair,
    algorithm: SigningAlgorithm,
}

impl ClientKey {
    /// Reads an RSA, P-256 or Ed25519 key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = decode_vec(pem.trim().as_bytes())
            .map_err(|error| KeyError::new(format!("the private key is not in PEM: {error}")))?;
        let der = Zeroizing::new(der);
        let rsa = |pair: RsaKeyPair| (Pair::Rsa(Box::new(pair), &RSA_PKCS1_SHA256), SigningAlgorithm::Rs256);
        let ecdsa = |pair: EcdsaKeyPair| (Pair::Ecdsa(Box::new(pair)), SigningAlgorithm::Es256);
        let ed25519 = |pair: Ed25519KeyPair| (Pair::Ed25519(Box::new(pair)), SigningAlgorithm::EdDsa);
        let read = match label {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map(rsa).ok(),
            "EC PRIVATE KEY" => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map(ecdsa).ok()
            }
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der)
                .map(rsa)
                .or_else(|_no_rsa| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map(ecdsa))
                .or_else(|_no_ecdsa| Ed25519KeyPair::from_pkcs8(&der).map(ed25519))
                .ok(),
            _ => None,
        };
        let (pair, algorithm) = read.ok_or_else(|| {
            KeyError::new("the private key is none of RSA (2048 bits or more), P-256 and Ed25519, or is encrypted")
        })?;
        Ok(Self { pair, algorithm })
    }

    /// Makes a JWS in compact form with `typ` `client-authentication+jwt`.
    ///
    /// # Errors
    /// When the claims cannot be serialised or the signature fails.
    pub fn sign(&self, kid: Option<&str>, claims: &impl Serialize) -> Result<String, KeyError> {
        let failed = |error: &dyn fmt::Display| KeyError::new(format!("the assertion could not be signed: {error}"));
        let mut header = json!({ "alg": self.algorithm.name(), "typ": "client-authentication+jwt" });
        if let (Some(kid), Value::Object(members)) = (kid, &mut header) {
            members.insert("kid".to_owned(), json!(kid));
        }
        let payload = serde_json::to_vec(claims).map_err(|error| failed(&error))?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(signed.as_bytes(), &SystemRandom::new()).map_err(|error| failed(&error))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A JWK set with one public key (`BEGIN PUBLIC KEY`); its name is its thumbprint.
///
/// # Errors
/// When it is not a public key of RSA, P-256 or Ed25519.
pub fn jwks_from_pem(pem: &str) -> Result<String, KeyError> {
    let unusable = |error: &dyn fmt::Display| {
        KeyError::new(format!(
            "the public key in PEM cannot be read ({error}); write it with: openssl pkey -in private.pem -pubout"
        ))
    };
    // By its text, whether it can be read or not: what it is meant to be matters.
    if pem.contains("PRIVATE KEY-----") {
        return Err(KeyError::new(
            "that is a private key; register the public one: openssl pkey -in private.pem -pubout",
        ));
    }
    if pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(KeyError::new(
            "that is a certificate (for a trusted issuer: --certificate); its public key alone is written by: openssl x509 -in certificate.pem -noout -pubkey",
        ));
    }
    let (_, der) = decode_vec(pem.trim().as_bytes()).map_err(|error| unusable(&error))?;
    let mut jwk = jwk_from_spki(&der).map_err(|error| unusable(&error))?;
    let kid = PublicJwk::parse(jwk.to_string().as_bytes())?.thumbprint();
    if let Value::Object(members) = &mut jwk {
        members.insert("kid".to_owned(), json!(kid));
        members.insert("use".to_owned(), json!("sig"));
    }
    Ok(json!({ "keys": [jwk] }).to_string())
}

/// The JWK of a public key as certificates and `BEGIN PUBLIC KEY` hold it (SubjectPublicKeyInfo): its numbers as they
/// stand there, unchecked.
///
/// # Errors
/// When it is not a public key of RSA, P-256 or Ed25519.
pub(super) fn jwk_from_spki(der: &[u8]) -> Result<Value, KeyError> {
    let unreadable = |error: &dyn fmt::Display| KeyError::new(error.to_string());
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|error| unreadable(&error))?;
    let octets = info.subject_public_key.as_bytes().unwrap_or_default();
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    if info.algorithm.oid == RSA {
        let key = RsaPublicKey::from_public_key_der(der).map_err(|error| unreadable(&error))?;
        Ok(json!({ "kty": "RSA", "n": encode(&key.n().to_bytes_be()), "e": encode(&key.e().to_bytes_be()) }))
    } else if info.algorithm.oid == EC && info.algorithm.parameters_oid().is_ok_and(|curve| curve == P256) {
        // An uncompressed point: 0x04, 32 bytes of x, 32 bytes of y.
        let point = octets.strip_prefix(&[4]).and_then(|point| point.split_at_checked(32));
        let (x, y) = point.ok_or_else(|| unreadable(&"its point is not uncompressed"))?;
        Ok(json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) }))
    } else if info.algorithm.oid == ED25519 {
        Ok(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(octets) }))
    } else {
        Err(KeyError::new("it is none of RSA, P-256 and Ed25519"))
    }
}
