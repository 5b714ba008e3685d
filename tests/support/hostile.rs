//! JWTs that nobody may take, whatever they are shown as: a client's assertion, or a JWT of a third party. What is wrong with
//! each, and the JWT.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};

use super::signer::Signer;

pub type Hostile = (String, String);

fn shown(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

/// Checks 60 to 64, 69, 70 and 75: headers that ask for another key or algorithm than those of the signer, or for something
/// to be done that nobody does. Whoever fetches from the trap is caught.
pub fn headers(signer: &Signer, claims: impl Fn() -> Value, trap: &str) -> Vec<Hostile> {
    let (alg, kid) = (signer.alg, signer.jwk["kid"].as_str().unwrap());
    let attackers = [Signer::ed25519(kid), Signer::p256(kid)];
    let with = |name: &str, value: Value| {
        let mut header = signer.header();
        header[name] = value;
        header
    };
    let mut all = Vec::new();
    let mut sign = |by: &Signer, header: Value| all.push((shown(&header), by.sign_with(&header, &claims())));
    let lower = alg.to_lowercase();
    let algorithms = ["none", "None", "NONE", "nOnE", " none", "", "RS1", &lower, "ES256K", "HS256", "Ed25519"];
    let algorithms: Vec<&str> = algorithms.into_iter().chain(["RS256", "ES256", "EdDSA"]).collect();
    for other in algorithms.iter().filter(|other| **other != alg) {
        sign(signer, with("alg", json!(other)));
    }
    for none in [json!(null), json!([alg]), json!(7)] {
        sign(signer, with("alg", none));
    }
    sign(signer, json!({ "kid": kid }));
    for kid in [
        json!(format!("../../{kid}")),
        json!(format!("{kid}' OR 1=1 --")),
        json!(format!("{kid}\u{0}")),
        json!(format!("{kid}\r\nX: y")),
        json!(7),
        json!([kid]),
        json!({}),
        json!(trap),
        json!("file:///etc/passwd"),
        json!(kid.to_uppercase()),
        json!("x".repeat(10_000)),
    ] {
        sign(signer, with("kid", kid));
    }
    let userinfo = format!("https://portal.example@{}", &trap["http://".len()..]);
    for attacker in &attackers {
        for more in [
            json!({}),
            json!({ "jwk": attacker.jwk }),
            json!({ "x5c": [STANDARD.encode("a certificate")] }),
            json!({ "jku": trap }),
            json!({ "jku": userinfo }),
            json!({ "jku": "file:///etc/passwd" }),
            json!({ "x5u": trap }),
            json!({ "x5u": userinfo }),
        ] {
            let mut header = more;
            header["alg"] = json!(attacker.alg);
            sign(attacker, header.clone());
            header["kid"] = json!(kid);
            sign(attacker, header);
        }
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("typ", json!("at+jwt")),
        ("typ", json!("application/at+jwt")),
        ("typ", json!("AT+JWT")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("secevent+jwt")),
        ("typ", json!("token-introspection+jwt")),
        ("typ", json!("")),
        ("typ", json!(7)),
    ] {
        sign(signer, with(name, value));
    }
    for other in algorithms {
        let unsigned = signer.sign_with(&with("alg", json!(other)), &claims());
        all.push((format!("{other} without a signature"), cut(&unsigned)));
    }
    for twice in [
        format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"x","kid":"{kid}"}}"#),
    ] {
        let jwt = signer.sign_octets(twice.as_bytes(), claims().to_string().as_bytes());
        all.push((twice, jwt));
    }
    all
}

/// The same with an empty signature.
fn cut(jwt: &str) -> String {
    format!("{}.", jwt.rsplit_once('.').unwrap().0)
}

/// Checks 66 to 68: a public key of RSA is no secret to sign with. Nor are these others.
pub fn keyed_hashes(signer: &Signer, claims: impl Fn() -> Value, others: &[&str]) -> Vec<Hostile> {
    let n = URL_SAFE_NO_PAD.decode(signer.jwk["n"].as_str().unwrap()).unwrap();
    let number = |octets: &[u8]| rsa::BigUint::from_bytes_be(octets);
    let public = rsa::RsaPublicKey::new(number(&n), number(&[1, 0, 1])).unwrap();
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    let mut secrets: Vec<Vec<u8>> = vec![
        pem.clone().into(),
        pem.trim().into(),
        pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().into(),
        public.to_public_key_der().unwrap().into_vec(),
        public.to_pkcs1_pem(LineEnding::LF).unwrap().into(),
        public.to_pkcs1_der().unwrap().into_vec(),
        n,
        signer.jwk["n"].as_str().unwrap().into(),
        signer.jwk.to_string().into(),
        signer.jwks().into(),
        signer.jwk["kid"].as_str().unwrap().into(),
        Vec::new(),
    ];
    secrets.extend(others.iter().map(|other| other.as_bytes().to_vec()));
    let mut all = Vec::new();
    for (alg, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        for (at, secret) in secrets.iter().enumerate() {
            for named in [alg, signer.alg] {
                let header = json!({ "alg": named, "kid": signer.jwk["kid"] });
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let signed = format!("{}.{}", part(&header), part(&claims()));
                let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
                all.push((
                    format!("{alg} as {named} with secret {at}"),
                    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)),
                ));
            }
        }
    }
    all
}

/// Lists within lists.
pub fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Checks 84 and 85: what is not a JWT in compact form. Each can stand in a header of HTTP.
pub fn forms(signer: &Signer, claims: &Value) -> Vec<Hostile> {
    let header = signer.header().to_string();
    let signed = |payload: &[u8]| signer.sign_octets(header.as_bytes(), payload);
    let payload = claims.to_string();
    let instead_of = |name: &str, text: &str| payload.replacen(&claims[name].to_string(), text, 1);
    let values: Vec<&Value> = claims.as_object().unwrap().values().collect();
    let bad: Vec<u8> = payload.replace("iss", "is?").bytes().map(|b| if b == b'?' { 0xff } else { b }).collect();
    let good = signed(payload.as_bytes());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("{good}") };
    let jwe = |header: Value| format!("{}..AAAA.AAAA.AAAA", URL_SAFE_NO_PAD.encode(header.to_string()));
    let p2c = json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "AAAA", "p2c": 2_147_483_647_u32 });
    let mut all = vec![
        ("null", signed(b"null")),
        ("a list", signed(json!(values).to_string().as_bytes())),
        ("a text", signed(b"\"x\"")),
        ("nothing", signed(b"")),
        ("NaN", signed(instead_of("exp", "NaN").as_bytes())),
        ("Infinity", signed(instead_of("exp", "Infinity").as_bytes())),
        ("a BOM", signed(format!("\u{feff}{payload}").as_bytes())),
        ("trailing octets", signed(format!("{payload}x").as_bytes())),
        ("two objects", signed(format!("{payload}{payload}").as_bytes())),
        ("bad UTF-8 after it", signed(&[payload.as_bytes(), b"\xff"].concat())),
        ("bad UTF-8 in it", signed(&bad)),
        ("a half surrogate", signed(instead_of("jti", r#""\ud800""#).as_bytes())),
        ("deep", signed(deep(5_000).as_bytes())),
        ("deep in a claim of ours", signed(instead_of("aud", &deep(5_000)).as_bytes())),
        ("deep and unclosed", signed("{\"a\":".repeat(2_000).as_bytes())),
        ("a deep header", signer.sign_octets(deep(5_000).as_bytes(), payload.as_bytes())),
        ("detached", format!("{head}..{signature}")),
        ("without a header", format!(".{body}.{signature}")),
        ("without a signature", cut(&good)),
        ("of two parts", format!("{head}.{body}")),
        ("of four parts", format!("{good}.{signature}")),
        ("of five parts", format!("{good}.{signature}.{signature}")),
        ("with padding", format!("{good}=")),
        ("a JWE with a shared key", jwe(json!({ "alg": "dir", "enc": "A256GCM" }))),
        ("a JWE with a password", jwe(p2c)),
        ("a compressed JWE", jwe(json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }))),
        ("no JWT at all", "x".to_owned()),
        ("a cut one", good[..good.len() - 4].to_owned()),
    ];
    if signer.alg == "ES256" {
        all.push(("a signature in DER", with_der(&good)));
    }
    all.into_iter().map(|(what, jwt)| (what.to_owned(), jwt)).collect()
}

/// The same for a form alone: no header of HTTP could hold these.
pub fn forms_with_spaces(signer: &Signer, claims: &Value) -> Vec<Hostile> {
    let good = signer.sign(claims);
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("{good}") };
    let general = json!({ "protected": head, "payload": body, "signature": signature });
    let flattened = json!({ "payload": body, "signatures": [{ "protected": head, "signature": signature }] });
    let all = [
        ("as JSON", general.to_string()),
        ("flattened", flattened.to_string()),
        ("with a space before", format!(" {good}")),
        ("with a space after", format!("{good} ")),
        ("with a space within", good.replacen('.', ". ", 1)),
    ];
    all.into_iter().map(|(what, jwt)| (what.to_owned(), jwt)).collect()
}

/// The same signature as openssl writes it, which is not how a JWS has it.
fn with_der(jwt: &str) -> String {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let fixed = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |half: &[u8]| {
        let mut octets = half.to_vec();
        if octets[0] & 0x80 != 0 {
            octets.insert(0, 0);
        }
        [&[2, u8::try_from(octets.len()).unwrap()], octets.as_slice()].concat()
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(der))
}

/// Checks 52, 72 to 74, 76 and 83: times and ids that are none, or not now. A JWT may end so many seconds ahead.
pub fn times_and_ids(now: i64, longest: i64) -> Vec<(&'static str, Value)> {
    let endings = [
        json!(now - 300),
        json!(now - 60),
        json!(0),
        json!(-1),
        json!(format!("{}", now + 60)),
        json!(null),
        json!(true),
        json!([now + 60]),
        json!({}),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1e308),
        json!((now + 60) * 1_000),
        json!(now + 315_360_000),
        json!(now + longest + 61),
    ];
    let beginnings = [
        json!(now + 3_600),
        json!("1"),
        json!({}),
        json!([]),
        json!(null),
        json!(true),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
    ];
    let ids = [
        json!(null),
        json!(""),
        json!(7),
        json!([]),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("x".repeat(257)),
        json!("x".repeat(12_000)),
    ];
    let each =
        |name: &'static str, values: &[Value]| values.iter().map(|value| (name, value.clone())).collect::<Vec<_>>();
    [each("exp", &endings), each("nbf", &beginnings), each("iat", &beginnings), each("jti", &ids)].concat()
}

/// Checks 53 and 54: what is not that text.
pub fn lookalikes(text: &str) -> Vec<Value> {
    vec![
        json!(null),
        json!(7),
        json!([text]),
        json!({}),
        json!(""),
        json!(text.to_uppercase()),
        json!(format!("{text} ")),
        json!(format!("{text}0")),
        json!(format!("{text}/")),
        json!(format!("{text}|x")),
        json!(format!("{text}\u{0}")),
        json!(&text[..text.len() - 1]),
        json!("x".repeat(10_000)),
    ]
}

/// Check 55: audiences that do not hold that one.
pub fn audiences_without(audience: &str) -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!(7),
        json!([[audience]]),
        json!([audience, 7]),
        json!({ audience: 1 }),
        json!("*"),
        json!(&audience[..audience.len() - 1]),
        json!(format!("{audience}/")),
        json!(format!("{audience}/x")),
        json!(format!("{audience}?x")),
        json!(format!("{audience}#x")),
        json!(format!("{audience}@x")),
        json!(format!("x@{audience}")),
        json!(format!("{audience} ")),
        json!(audience.to_uppercase()),
    ]
}

/// Check 75: a claim that stands twice, both times with the value that would be good.
pub fn claim_twice(signer: &Signer, claims: &Value, name: &str) -> String {
    let twice = claims.to_string().replacen('{', &format!("{{\"{name}\":{},", claims[name]), 1);
    signer.sign_octets(signer.header().to_string().as_bytes(), twice.as_bytes())
}

/// With one more claim, which nobody reads, of exactly these octets.
pub fn unread_claim(signer: &Signer, claims: &Value, octets: &[u8]) -> String {
    let payload = [&b"{\"unread\":"[..], octets, b",", &claims.to_string().as_bytes()[1..]].concat();
    signer.sign_octets(signer.header().to_string().as_bytes(), &payload)
}
