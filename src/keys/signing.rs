//! Signing keys: made once, parsed once, used for every token. `rsa` makes RSA keys; `aws_lc_rs` does everything else.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    KeyAlgorithm, OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, Header};
use rand_core::OsRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::traits::PublicKeyParts;
use serde::Serialize;
use zeroize::Zeroizing;

use super::KeyError;
use super::jwk::{PublicJwk, VerifyingKey};
use crate::oauth::{SigningAlgorithm, StatementType, TokenProfile};

const RSA_BITS: usize = 2048;

/// A key just made: what goes to the database, the private part after sealing.
pub struct GeneratedKey {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// PKCS#8 in DER.
    pub private_key: Zeroizing<Vec<u8>>,
}

impl GeneratedKey {
    /// Makes a key. RSA-2048 takes about 0.1 s.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        let failed = |error: &dyn fmt::Display| KeyError::new(format!("a signing key could not be made: {error}"));
        let private_key = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|error| failed(&error))?;
                Zeroizing::new(key.to_pkcs8_der().map_err(|error| failed(&error))?.as_bytes().to_vec())
            }
            SigningAlgorithm::Es256 => {
                let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
                Zeroizing::new(der.map_err(|error| failed(&error))?.as_ref().to_vec())
            }
            SigningAlgorithm::EdDsa => {
                let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
                Zeroizing::new(der.map_err(|error| failed(&error))?.as_ref().to_vec())
            }
        };
        let kid = SigningKey::parse(algorithm, &private_key)?.kid;
        Ok(Self { kid, algorithm, private_key })
    }
}

/// A key pair, and how it signs.
#[derive(Debug)]
pub(super) enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Pair {
    pub(super) fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        Ok(match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, random, message, &mut signature)?;
                signature
            }
            Self::Ecdsa(pair) => pair.sign(random, message)?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }
}

/// A private key, parsed and ready to sign.
pub struct SigningKey {
    kid: String,
    algorithm: SigningAlgorithm,
    pair: Pair,
    jwk: Jwk,
    /// The encoded JOSE header of each profile: the same for every token.
    headers: [(TokenProfile, String); 2],
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm.name(), self.kid)
    }
}

impl SigningKey {
    /// Parses a PKCS#8 private key.
    ///
    /// # Errors
    /// When the key is not one of that algorithm, or an RSA key has another length than 2048 bits.
    pub fn parse(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let failed = |error: &dyn fmt::Display| KeyError::new(format!("a private key cannot be parsed: {error}"));
        let (pair, parameters) = match algorithm {
            SigningAlgorithm::Rs256 => rsa_pair(pkcs8, &RSA_PKCS1_SHA256)?,
            SigningAlgorithm::Ps256 => rsa_pair(pkcs8, &RSA_PSS_SHA256)?,
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(|error| failed(&error))?;
                // An uncompressed point: 0x04, 32 bytes of x, 32 bytes of y.
                let (x, y) = pair
                    .public_key()
                    .as_ref()
                    .split_first()
                    .and_then(|(_, point)| point.split_at_checked(32))
                    .ok_or_else(|| KeyError::new("a P-256 public key has another length than 65 bytes"))?;
                let parameters = AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                    key_type: EllipticCurveKeyType::EC,
                    curve: EllipticCurve::P256,
                    x: URL_SAFE_NO_PAD.encode(x),
                    y: URL_SAFE_NO_PAD.encode(y),
                });
                (Pair::Ecdsa(Box::new(pair)), parameters)
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| failed(&error))?;
                let parameters = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
                });
                (Pair::Ed25519(Box::new(pair)), parameters)
            }
        };
        let mut jwk = Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(key_algorithm(algorithm)),
                ..CommonParameters::default()
            },
            algorithm: parameters,
        };
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| failed(&error))?;
        jwk.common.key_id = Some(kid.clone());
        let header = |profile: TokenProfile| encoded_header(algorithm, &kid, profile.typ()).map(|text| (profile, text));
        let headers = [header(TokenProfile::Rfc9068)?, header(TokenProfile::Classic)?];
        Ok(Self { algorithm, pair, headers, jwk, kid })
    }

    /// The RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).
    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public half, ready to verify with.
    ///
    /// # Errors
    /// When the public key is rejected.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        let json = serde_json::to_vec(&self.jwk).map_err(|error| KeyError::new(format!("a JWK: {error}")))?;
        PublicJwk::parse(&json)?.verifying_key(self.algorithm)
    }

    /// Makes an access token.
    ///
    /// # Errors
    /// When the claims cannot be serialised or the signature fails: both are faults of the server.
    pub fn sign(&self, profile: TokenProfile, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = self.headers.iter().find(|(of, _)| *of == profile).map_or("", |(_, header)| header);
        self.jws(header, claims)
    }

    /// Makes a JWT that says something else; its `typ` keeps it from being taken for an access token
    /// ([RFC 8725 §3.11](https://www.rfc-editor.org/rfc/rfc8725#section-3.11)).
    ///
    /// # Errors
    /// When the claims cannot be serialised or the signature fails: both are faults of the server.
    pub fn sign_statement(&self, typ: StatementType, claims: &impl Serialize) -> Result<String, KeyError> {
        self.jws(&encoded_header(self.algorithm, &self.kid, typ.typ())?, claims)
    }

    /// A JWS in compact form ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)).
    fn jws(&self, header: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let failed = |error: &dyn fmt::Display| KeyError::new(format!("a token could not be signed: {error}"));
        let payload = serde_json::to_vec(claims).map_err(|error| failed(&error))?;
        let mut jws = String::with_capacity(header.len() + (payload.len() + 300) * 4 / 3);
        jws.push_str(header);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
        let signature = self.pair.sign(jws.as_bytes(), &SystemRandom::new()).map_err(|error| failed(&error))?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

fn encoded_header(algorithm: SigningAlgorithm, kid: &str, typ: &str) -> Result<String, KeyError> {
    let mut header = Header::new(jws_algorithm(algorithm));
    header.typ = Some(typ.to_owned());
    header.kid = Some(kid.to_owned());
    let json = serde_json::to_vec(&header)
        .map_err(|error| KeyError::new(format!("a JOSE header cannot be written: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn rsa_pair(pkcs8: &[u8], encoding: &'static dyn RsaEncoding) -> Result<(Pair, AlgorithmParameters), KeyError> {
    let failed = |error: &dyn fmt::Display| KeyError::new(format!("an RSA key cannot be parsed: {error}"));
    let public = RsaPrivateKey::from_pkcs8_der(pkcs8).map_err(|error| failed(&error))?.to_public_key();
    if public.n().bits() != RSA_BITS {
        return Err(KeyError::new(format!("an RSA key has {} bits instead of {RSA_BITS}", public.n().bits())));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|error| failed(&error))?;
    let parameters = AlgorithmParameters::RSA(RSAKeyParameters {
        key_type: RSAKeyType::RSA,
        n: URL_SAFE_NO_PAD.encode(public.n().to_bytes_be()),
        e: URL_SAFE_NO_PAD.encode(public.e().to_bytes_be()),
    });
    Ok((Pair::Rsa(Box::new(pair), encoding), parameters))
}

const fn key_algorithm(algorithm: SigningAlgorithm) -> KeyAlgorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => KeyAlgorithm::RS256,
        SigningAlgorithm::Ps256 => KeyAlgorithm::PS256,
        SigningAlgorithm::Es256 => KeyAlgorithm::ES256,
        SigningAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
    }
}

const fn jws_algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}
