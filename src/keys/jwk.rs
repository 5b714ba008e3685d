//! Public keys: read from a JWK ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)) strictly, and parsed to verify with.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::KeyError;
use super::jws::{JwsError, Present};
use crate::oauth::SigningAlgorithm;
use crate::secret::sha256;

/// Shorter moduli can be factored; longer ones only cost time, and whoever sends a token decides how often that is spent.
const SHORTEST_MODULUS_BITS: usize = 2_048;
pub(super) const LONGEST_MODULUS_BITS: usize = 4_096;
/// A larger exponent makes every verification slower, and none safer.
const LARGEST_EXPONENT: u32 = 65_537;
/// Names longer than this are nobody's.
const LONGEST_KID: usize = 512;

/// A public key, parsed, with the one algorithm it may be used for.
pub struct VerifyingKey {
    kid: Option<Box<str>>,
    algorithm: SigningAlgorithm,
    key: ParsedPublicKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm.name(), self.kid.as_deref().unwrap_or("without a name"))
    }
}

impl VerifyingKey {
    /// The key's name, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it is for.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        self.key.verify_sig(signed, signature).map_err(|_unspecified| JwsError::Signature)
    }
}

/// The members of a JWK that we know; one that stands twice is an error.
#[derive(Deserialize)]
struct Members {
    kty: String,
    #[serde(rename = "use")]
    public_key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    #[serde(default)]
    d: Present,
    #[serde(default)]
    p: Present,
    #[serde(default)]
    q: Present,
    #[serde(default)]
    dp: Present,
    #[serde(default)]
    dq: Present,
    #[serde(default)]
    qi: Present,
    #[serde(default)]
    oth: Present,
    #[serde(default)]
    k: Present,
}

impl Members {
    fn is_secret(&self) -> bool {
        let private = [self.d, self.p, self.q, self.dp, self.dq, self.qi, self.oth, self.k];
        private.contains(&Present(true))
    }
}

const RSA_ALGORITHMS: &[SigningAlgorithm] = &[SigningAlgorithm::Rs256, SigningAlgorithm::Ps256];
const P256_ALGORITHMS: &[SigningAlgorithm] = &[SigningAlgorithm::Es256];
const ED25519_ALGORITHMS: &[SigningAlgorithm] = &[SigningAlgorithm::EdDsa];

/// The numbers of a public key, as the JWK writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: String, e: String },
    P256 { x: String, y: String },
    Ed25519 { x: String },
}

/// A public key that somebody else made: known good in form, usable with one algorithm or, for an RSA key that names
/// none, with two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk {
    kid: Option<Box<str>>,
    named: Option<SigningAlgorithm>,
    allowed: &'static [SigningAlgorithm],
    material: Material,
}

impl PublicJwk {
    /// Reads one JWK. What is private, symmetric, weak or not for signatures is refused with a sentence that says so.
    ///
    /// # Errors
    /// Why the key cannot be used.
    pub fn parse(json: &[u8]) -> Result<Self, KeyError> {
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(KeyError::new("a JWK must be a JSON object"));
        }
        // Not in serde's words, which hold what was given: that may be a private key.
        let jwk: Members = serde_json::from_slice(json).map_err(|_hold_values| {
            KeyError::new("a JWK cannot be read: it lacks `kty`, or has a member twice or of the wrong type")
        })?;
        if jwk.kty == "oct" {
            return Err(KeyError::new("a JWK is a symmetric key (kty oct); register the public key of a key pair"));
        }
        if jwk.is_secret() {
            return Err(KeyError::new("a JWK holds a private key; keep that to yourself and register the public key"));
        }
        if jwk.public_key_use.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyError::new("a JWK's `use` is not `sig`"));
        }
        if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return Err(KeyError::new("a JWK's `key_ops` do not allow `verify`"));
        }
        if jwk.kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > LONGEST_KID) {
            return Err(KeyError::new(format!("a JWK's `kid` must have 1 to {LONGEST_KID} octets; or leave it out")));
        }
        let named = jwk.alg.as_deref().map(|name| {
            SigningAlgorithm::from_name(name)
                .ok_or_else(|| KeyError::new("a JWK's `alg` is not one of RS256, PS256, ES256 and EdDSA"))
        });
        let named = named.transpose()?;
        let (material, allowed) = match (jwk.kty.as_str(), jwk.crv.as_deref(), jwk.n, jwk.e, jwk.x, jwk.y) {
            ("RSA", _, Some(n), Some(e), _, _) => {
                check_modulus(&decode(&n)?)?;
                check_exponent(&decode(&e)?)?;
                (Material::Rsa { n, e }, RSA_ALGORITHMS)
            }
            ("EC", Some("P-256"), _, _, Some(x), Some(y)) => {
                check_coordinate(&decode(&x)?)?;
                check_coordinate(&decode(&y)?)?;
                (Material::P256 { x, y }, P256_ALGORITHMS)
            }
            ("OKP", Some("Ed25519"), _, _, Some(x), _) => {
                check_coordinate(&decode(&x)?)?;
                (Material::Ed25519 { x }, ED25519_ALGORITHMS)
            }
            ("EC" | "OKP", Some(curve), ..) if curve != "P-256" && curve != "Ed25519" => {
                return Err(KeyError::new("a JWK's `crv` is neither P-256 nor Ed25519"));
            }
            ("RSA" | "EC" | "OKP", ..) => return Err(KeyError::new("a JWK lacks members that its `kty` must have")),
            _ => return Err(KeyError::new("a JWK's `kty` is none of RSA, EC and OKP")),
        };
        if named.is_some_and(|algorithm| !allowed.contains(&algorithm)) {
            return Err(KeyError::new("a JWK's `kty` does not fit its `alg`"));
        }
        let jwk = Self { kid: jwk.kid.map(Into::into), named, allowed, material };
        // The point may lie beside the curve: only the parser knows.
        for algorithm in jwk.algorithms() {
            jwk.verifying_key(algorithm)?;
        }
        Ok(jwk)
    }

    /// `kid`
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `alg`, if the key says it.
    pub fn named_algorithm(&self) -> Option<SigningAlgorithm> {
        self.named
    }

    /// What signatures may be made with it: what it says or, if it says nothing, what its type allows.
    pub fn algorithms(&self) -> impl Iterator<Item = SigningAlgorithm> {
        self.allowed.iter().copied().filter(|allowed| self.named.is_none_or(|named| named == *allowed))
    }

    /// The key, ready to verify signatures of one of its [`Self::algorithms`].
    ///
    /// # Errors
    /// When `algorithm` is none of them, or the key is rejected.
    pub fn verifying_key(&self, algorithm: SigningAlgorithm) -> Result<VerifyingKey, KeyError> {
        if !self.algorithms().any(|usable| usable == algorithm) {
            return Err(KeyError::new("a JWK's `kty` does not fit its `alg`"));
        }
        let key = match &self.material {
            Material::Rsa { n, e } if algorithm == SigningAlgorithm::Ps256 => rsa_key(n, e, &RSA_PSS_2048_8192_SHA256),
            Material::Rsa { n, e } => rsa_key(n, e, &RSA_PKCS1_2048_8192_SHA256),
            Material::P256 { x, y } => {
                let point = [vec![4], decode(x)?, decode(y)?].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse().map_err(rejected)
            }
            Material::Ed25519 { x } => UnparsedPublicKey::new(&ED25519, decode(x)?).parse().map_err(rejected),
        }?;
        Ok(VerifyingKey { kid: self.kid.clone(), algorithm, key })
    }

    /// The SHA-256 thumbprint in base64url ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)): the members that make
    /// the key, in the order of their names.
    pub fn thumbprint(&self) -> String {
        let members = match &self.material {
            Material::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Material::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Material::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(sha256(members.as_bytes()))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| {
        KeyError::new(format!("a number in a JWK is not base64url without padding (RFC 7518 section 2): {error}"))
    })
}

fn check_modulus(n: &[u8]) -> Result<(), KeyError> {
    let Some((first, last)) = n.first().zip(n.last()) else {
        return Err(KeyError::new("an RSA key's modulus is empty"));
    };
    if *first == 0 {
        return Err(KeyError::new("an RSA key's modulus begins with a zero octet (RFC 7518 section 6.3.1.1)"));
    }
    let bits = n.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0);
    if !(SHORTEST_MODULUS_BITS..=LONGEST_MODULUS_BITS).contains(&bits) {
        return Err(KeyError::new(format!(
            "an RSA key has {bits} bits; use {SHORTEST_MODULUS_BITS} to {LONGEST_MODULUS_BITS}"
        )));
    }
    if last % 2 == 0 {
        Err(KeyError::new("an RSA key's modulus is even, so it is no product of two primes"))
    } else {
        Ok(())
    }
}

fn check_exponent(e: &[u8]) -> Result<(), KeyError> {
    let is_usable = e.first().is_some_and(|first| *first != 0) && is_usable_exponent(e);
    let refused =
        || KeyError::new(format!("an RSA key's exponent must be odd, from 3 to {LARGEST_EXPONENT}; use 65537"));
    if is_usable { Ok(()) } else { Err(refused()) }
}

/// Whether verifying with that exponent, most significant octet first, is neither unsafe nor slow.
pub(super) fn is_usable_exponent(e: &[u8]) -> bool {
    let number = e.iter().try_fold(0_u32, |number, octet| {
        number.checked_mul(256).and_then(|number| number.checked_add(u32::from(*octet)))
    });
    number.is_some_and(|number| number % 2 == 1 && (3..=LARGEST_EXPONENT).contains(&number))
}

fn check_coordinate(octets: &[u8]) -> Result<(), KeyError> {
    if octets.len() == 32 {
        Ok(())
    } else {
        Err(KeyError::new("a coordinate in a JWK has another length than 32 octets"))
    }
}

fn rsa_key(n: &str, e: &str, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, KeyError> {
    RsaPublicKeyComponents { n: decode(n)?, e: decode(e)? }.to_parsed_public_key(parameters).map_err(rejected)
}

fn rejected(error: impl fmt::Display) -> KeyError {
    KeyError::new(format!("a public key was rejected: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(jwk: &Value) -> Result<PublicJwk, String> {
        PublicJwk::parse(jwk.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn rsa(n: &[u8], e: &[u8]) -> Value {
        json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) })
    }

    fn p256() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    fn ed25519() -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok",
            "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu",
            "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a",
            "wapJzKnqDKgw",
        );
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(read(&jwk).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(read(&ed25519()).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_is_used_for_what_it_says_or_for_what_its_type_allows() {
        let algorithms =
            |jwk: &Value| read(jwk).map(|jwk| jwk.algorithms().map(SigningAlgorithm::name).collect::<Vec<_>>());
        let modulus = [0xc1; 256];
        let plain = rsa(&modulus, &[1, 0, 1]);
        assert_eq!(algorithms(&plain), Ok(vec!["RS256", "PS256"]));
        assert_eq!(algorithms(&with(plain.clone(), "alg", json!("PS256"))), Ok(vec!["PS256"]));
        assert_eq!(algorithms(&p256()), Ok(vec!["ES256"]));
        assert_eq!(algorithms(&ed25519()), Ok(vec!["EdDSA"]));
        let dressed = with(with(with(p256(), "use", json!("sig")), "key_ops", json!(["verify"])), "x5c", json!(["?"]));
        assert_eq!(algorithms(&dressed), Ok(vec!["ES256"]));
        assert_eq!(read(&p256()).unwrap().kid(), None);
        assert_eq!(read(&with(p256(), "kid", json!("k"))).unwrap().kid(), Some("k"));
        read(&with(plain, "alg", json!("PS256"))).unwrap().verifying_key(SigningAlgorithm::Rs256).unwrap_err();
        algorithms(&rsa(&[0xc1; 512], &[3])).unwrap();
    }

    #[test]
    fn a_key_that_is_secret_weak_or_for_something_else_is_refused_and_told_why() {
        let modulus = [0xc1; 256];
        let good = || rsa(&modulus, &[1, 0, 1]);
        let mut even = modulus;
        even[255] = 0xc0;
        let mut cases = vec![
            (json!({ "kty": "oct", "k": "c2VjcmV0" }), "symmetric"),
            (json!({ "kty": "oct" }), "symmetric"),
            (rsa(&modulus[..128], &[1, 0, 1]), "1024 bits"),
            (rsa(&[&[0x41][..], &modulus[1..]].concat(), &[1, 0, 1]), "2047 bits"),
            (rsa(&[&[1][..], &[0xc1; 512]].concat(), &[1, 0, 1]), "4097 bits"),
            (rsa(&[&[0][..], &modulus].concat(), &[1, 0, 1]), "zero octet"),
            (rsa(&[], &[1, 0, 1]), "empty"),
            (rsa(&even, &[1, 0, 1]), "even"),
            (rsa(&modulus, &[1]), "exponent"),
            (rsa(&modulus, &[2]), "exponent"),
            (rsa(&modulus, &[1, 0, 0]), "exponent"),
            (rsa(&modulus, &[0, 1]), "exponent"),
            (rsa(&modulus, &[]), "exponent"),
            (rsa(&modulus, &[1, 0, 3]), "exponent"),
            (rsa(&modulus, &[0xff; 4]), "exponent"),
            (rsa(&modulus, &[0xff; 5]), "exponent"),
            (with(good(), "n", json!("a+b/")), "base64url"),
            (with(good(), "e", json!("AQAB==")), "base64url"),
            (with(good(), "alg", json!("RS512")), "`alg`"),
            (with(good(), "alg", json!("HS256")), "`alg`"),
            (with(good(), "alg", json!("none")), "`alg`"),
            (with(good(), "alg", json!("ES256")), "does not fit"),
            (with(good(), "use", json!("enc")), "`use`"),
            (with(good(), "key_ops", json!(["sign"])), "`key_ops`"),
            (with(good(), "kid", json!("")), "`kid`"),
            (with(good(), "kid", json!("k".repeat(513))), "`kid`"),
            (with(good(), "kid", json!(7)), "cannot be read"),
            (with(p256(), "crv", json!("P-384")), "`crv`"),
            (with(p256(), "crv", json!("secp256k1")), "`crv`"),
            (with(p256(), "x", json!("AQ")), "coordinate"),
            (with(p256(), "y", p256()["x"].clone()), "rejected"),
            (with(ed25519(), "crv", json!("X25519")), "`crv`"),
            (with(ed25519(), "crv", json!("Ed448")), "`crv`"),
            (json!({ "kty": "RSA", "e": "AQAB" }), "lacks"),
            (json!({ "kty": "rsa" }), "`kty`"),
            (json!({}), "cannot be read"),
            (json!([]), "object"),
            (json!(null), "object"),
        ];
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            cases.push((with(good(), private, json!("AQ")), "private"));
            cases.push((with(ed25519(), private, Value::Null), "private"));
        }
        for (jwk, why) in cases {
            let refusal = read(&jwk).unwrap_err();
            assert!(refusal.contains(why), "{jwk}: {refusal}");
        }
        let twice = good().to_string().replacen('{', r#"{"e":"AQAB","#, 1);
        assert!(PublicJwk::parse(twice.as_bytes()).is_err(), "a member that stands twice");
    }
}
