//! Keys of clients and whatever they sign, made without the code under test.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::{EncodePrivateKey, LineEnding, SecretDocument};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use super::openssl::Openssl;

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Openssl(Openssl, PathBuf),
}

/// A key pair with a name.
pub struct Signer {
    pair: Pair,
    pub alg: &'static str,
    /// The public key.
    pub jwk: Value,
    /// The private key: PKCS #8 in PEM.
    pub private_key: String,
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn pem(pkcs8: &[u8]) -> String {
    SecretDocument::try_from(pkcs8).unwrap().to_pem("PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

impl Signer {
    pub fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key().as_ref()) });
        let private_key = pem(pair.to_pkcs8v1().unwrap().as_ref());
        Self { pair: Pair::Ed25519(pair), alg: "EdDSA", jwk, private_key }
    }

    pub fn p256(kid: &str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y) });
        Self { pair: Pair::P256(pair), alg: "ES256", jwk, private_key: pem(pkcs8.as_ref()) }
    }

    pub fn rsa(kid: &str, alg: &'static str) -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let pkcs8 = key.to_pkcs8_der().unwrap();
        let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
        let encoding: &'static dyn RsaEncoding = if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let (n, e) = (encode(key.n().to_bytes_be()), encode(key.e().to_bytes_be()));
        let jwk = json!({ "kty": "RSA", "kid": kid, "n": n, "e": e });
        Self { pair: Pair::Rsa(pair, encoding), alg, jwk, private_key: pem(pkcs8.as_bytes()) }
    }

    /// A key of the `openssl` command, which also signs with it (RS256); nothing where that is not installed.
    pub fn openssl(kid: &str) -> Option<Self> {
        let openssl = Openssl::new()?;
        let key = openssl.key(2048);
        let jwk = json!({ "kty": "RSA", "kid": kid, "n": encode(openssl.modulus(&key)), "e": "AQAB" });
        let private_key = fs::read_to_string(&key).unwrap();
        Some(Self { pair: Pair::Openssl(openssl, key), alg: "RS256", jwk, private_key })
    }

    /// The JWK set with this key alone.
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk] }).to_string()
    }

    pub fn header(&self) -> Value {
        json!({ "alg": self.alg, "kid": self.jwk["kid"] })
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Openssl(openssl, key) => openssl.signature(key, message),
        }
    }

    /// A JWS over any octets as header and payload.
    pub fn sign_octets(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        format!("{signed}.{}", encode(self.signature(signed.as_bytes())))
    }

    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_octets(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }
}
