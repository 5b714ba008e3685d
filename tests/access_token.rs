//! The access token ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)): its looks, its life, and what no verifier may
//! take for one.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use brevet::clock::{ManualClock, Timestamp};
use brevet::keys::verify::{JwksKeys, SignedToken, TokenError, verify_access_token};
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::secret::sha256;
use brevet::service::apis::{self, ApiUpdate};
use brevet::service::apps;
use insta::assert_snapshot;
use rsa::BigUint;
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use serde_json::{Value, json};

use crate::support::{Credentials, START, TestApp, decode_jwt, new_app};

const ISSUER: &str = "http://127.0.0.1:8080";

/// Header and claims, with what differs from run to run replaced by its name.
fn shown(token: &str, client: &Credentials) -> String {
    let (mut header, mut claims) = decode_jwt(token);
    for (of, name) in [(&mut header, "kid"), (&mut claims, "jti")] {
        assert!(of[name].is_string(), "{name} is missing");
        of[name] = json!(name);
    }
    format!("{header}\n{claims}").replace(&client.client_id, "app-sid")
}

/// A token for these further parameters.
fn token_for(app: &TestApp, client: &Credentials, more: &str) -> String {
    let answer = app.token_request(&[], &format!("{}&{more}", client.form())).assert_status(200);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// What a service that verifies offline says, with the keys that the server publishes.
fn verify_offline(app: &TestApp, token: &str) -> Result<SignedToken, TokenError> {
    let document = app.get("/.well-known/jwks.json", &[]).assert_status(200);
    let keys = JwksKeys::parse(document.body.as_bytes()).unwrap();
    let verified = verify_access_token(token, ISSUER, |kid| keys.find(kid))?;
    verified.check_time(START)?;
    Ok(verified)
}

/// A server with one API for each format.
fn server_of_all_formats() -> TestApp {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    for algorithm in SigningAlgorithm::ALL {
        for profile in TokenProfile::ALL {
            let name = format!("{}-{}", algorithm.name(), profile.name());
            let (identifier, scope) = (format!("https://{name}.example"), format!("{name}:read"));
            app.create_api_with("acme", &identifier, &[&scope], *profile, *algorithm);
        }
    }
    app
}

#[test]
fn a_token_looks_as_its_profile_says() {
    let app = TestApp::new();
    app.create_api("acme", "https://mail.example", &["mail:send"]);
    for (identifier, scopes) in
        [("https://old.example", ["old:read", "old:write"]), ("urn:older", ["older:read", "older:write"])]
    {
        app.create_api_with("acme", identifier, &scopes, TokenProfile::Classic, SigningAlgorithm::Rs256);
    }
    let client = app.create_app(&["billing:read", "billing:write", "mail:send"]);
    let classic = app.create_app(&["old:read", "old:write", "older:read"]);

    assert_snapshot!(shown(&token_for(&app, &client, "scope=billing:read+billing:write"), &client), @r#"
    {"alg":"RS256","kid":"kid","typ":"at+jwt"}
    {"aud":"https://billing.example","client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":"billing:read billing:write","sub":"app-sid","tenant":"acme"}
    "#);
    assert_snapshot!(shown(&token_for(&app, &client, ""), &client), @r#"
    {"alg":"RS256","kid":"kid","typ":"at+jwt"}
    {"aud":["https://billing.example","https://mail.example"],"client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":"billing:read billing:write mail:send","sub":"app-sid","tenant":"acme"}
    "#);
    assert_snapshot!(shown(&token_for(&app, &classic, "scope=old:read"), &classic), @r#"
    {"alg":"RS256","kid":"kid","typ":"JWT"}
    {"aud":["https://old.example"],"client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":["old:read"],"sub":"app-sid","tenant":"acme"}
    "#);
    assert_snapshot!(shown(&token_for(&app, &classic, ""), &classic), @r#"
    {"alg":"RS256","kid":"kid","typ":"JWT"}
    {"aud":["https://old.example","urn:older"],"client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":["old:read","old:write","older:read"],"sub":"app-sid","tenant":"acme"}
    "#);
}

#[test]
fn an_app_without_scopes_gets_a_token_that_says_only_who_it_is() {
    let app = TestApp::new();
    let client = app.create_app(&[]);
    let answer = app.token_request(&[], &client.form()).assert_status(200);
    assert_eq!(answer.json()["scope"], "");
    let token = app.token(&client);
    assert_snapshot!(shown(&token, &client), @r#"
    {"alg":"RS256","kid":"kid","typ":"at+jwt"}
    {"aud":"http://127.0.0.1:8080/api/v1","client_id":"app-sid","exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":"jti","nbf":1795305595,"scope":"","sub":"app-sid","tenant":"acme"}
    "#);
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    app.get_with_token("/api/v1/apps", &token).assert_status(403);
}

#[test]
fn the_management_api_takes_on_the_format_of_its_companion() {
    let app = TestApp::new();
    app.create_api_with("acme", "https://old.example", &["old:read"], TokenProfile::Classic, SigningAlgorithm::Es256);
    let client = app.create_app(&["apps:read", "old:read"]);
    let token = app.token(&client);
    let (header, claims) = decode_jwt(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    assert_eq!(claims["aud"], json!(["http://127.0.0.1:8080/api/v1", "https://old.example"]));
    app.get_with_token("/api/v1/apps", &token).assert_status(200);
    let (header, claims) = decode_jwt(&token_for(&app, &client, "scope=apps:read"));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("at+jwt")));
    assert_eq!(claims["aud"], "http://127.0.0.1:8080/api/v1");
}

#[test]
fn tokens_of_every_format_verify_with_the_published_keys_and_at_our_own_routes() {
    let app = server_of_all_formats();
    for algorithm in SigningAlgorithm::ALL {
        for profile in TokenProfile::ALL {
            let name = format!("{}-{}", algorithm.name(), profile.name());
            let client = app.create_app(&[&format!("{name}:read")]);
            let token = app.token(&client);
            let (header, _) = decode_jwt(&token);
            assert_eq!(header["alg"], algorithm.name(), "{name}");
            assert_eq!(header["typ"], profile.typ(), "{name}");
            assert_eq!(header.as_object().unwrap().len(), 3, "alg, typ and kid only: {header}");
            let verified = verify_offline(&app, &token).unwrap();
            assert_eq!(*verified.claims.client_id, *client.client_id, "{name}");
            assert!(verified.claims.aud.contains(&format!("https://{name}.example")), "{name}");
            assert!(verified.claims.scope.contains(&format!("{name}:read")), "{name}");
            let body = app.get_with_token("/api/v1/whoami", &token).assert_status(200).json();
            assert_eq!(body["scope"], format!("{name}:read"), "whoami says it in one way");
        }
    }
}

#[test]
fn apis_of_different_formats_never_share_a_token() {
    let app = server_of_all_formats();
    for (one, other) in
        [("RS256-rfc9068", "RS256-classic"), ("RS256-rfc9068", "PS256-rfc9068"), ("ES256-classic", "EdDSA-classic")]
    {
        let client = app.create_app(&[&format!("{one}:read"), &format!("{other}:read")]);
        for more in [
            String::new(),
            format!("scope={one}:read+{other}:read"),
            format!("resource=https://{one}.example&resource=https://{other}.example"),
        ] {
            let answer = app.token_request(&[], &format!("{}&{more}", client.form())).assert_status(400);
            assert_eq!(answer.error(), "invalid_target", "{one}, {other}, {more}");
        }
        for (more, aud) in [
            (format!("resource=https://{one}.example"), one),
            (format!("resource=https://{other}.example"), other),
            (format!("scope={one}:read"), one),
        ] {
            let verified = verify_offline(&app, &token_for(&app, &client, &more)).unwrap();
            assert!(verified.claims.aud.contains(&format!("https://{aud}.example")), "{more}");
        }
    }
}

#[test]
fn the_smallest_of_the_lifetimes_wins() {
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    for (what, api, client, expected) in [
        ("the server's", None, None, 3_600),
        ("the API's", minutes(30), None, 1_800),
        ("the app's", None, minutes(10), 600),
        ("the app's below the API's", minutes(30), minutes(10), 600),
        ("the API's below the app's", minutes(5), minutes(10), 300),
    ] {
        let app = TestApp::with(&[("access-token-lifetime", "1h")]);
        let lifetime = ApiUpdate { lifetime: Some(api), ..ApiUpdate::default() };
        apis::update(&app.management, "https://billing.example", &lifetime).unwrap();
        app.create_api("acme", "https://mail.example", &["mail:send"]);
        let mut new = new_app(&["billing:read", "mail:send"]);
        new.lifetime = client;
        let client = app.create_app_with("acme", new);
        let answer = app.token_request(&[], &client.form()).assert_status(200);
        assert_eq!(answer.json()["expires_in"], expected, "{what}");
        let (_, claims) = decode_jwt(answer.json()["access_token"].as_str().unwrap());
        assert_eq!(claims["exp"], START.seconds() + expected, "{what}");
    }
}

#[test]
fn iat_and_nbf_are_back_dated_by_the_setting_and_exp_is_not() {
    for (setting, seconds) in [("0s", 0), ("5s", 5), ("1m", 60)] {
        let app = TestApp::with(&[("clock-backdate", setting)]);
        let client = app.create_app(&["billing:read"]);
        let token = app.token(&client);
        let (_, claims) = decode_jwt(&token);
        assert_eq!(claims["iat"], START.seconds() - seconds);
        assert_eq!(claims["nbf"], START.seconds() - seconds);
        assert_eq!(claims["exp"], START.seconds() + 86_400);
        app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    }
}

#[test]
fn an_apps_own_claims_stand_in_its_tokens_and_collide_with_nothing() {
    let app = TestApp::new();
    let claims = json!({
        "https://acme.example/plan": "gold",
        "urn:acme:limits": { "per_day": 10, "regions": ["eu", "us"] },
    });
    let mut new = new_app(&["billing:read"]);
    new.claims = claims.as_object().unwrap().clone();
    let client = app.create_app_with("acme", new);
    let token = app.token(&client);
    let (_, found) = decode_jwt(&token);
    for (name, value) in claims.as_object().unwrap() {
        assert_eq!(found[name], *value);
    }
    assert_eq!(verify_offline(&app, &token).unwrap().claims.client_id.as_ref(), client.client_id);

    let too_long = "x".repeat(3_000);
    for (name, value) in [
        ("sub", "root"),
        ("iss", "https://evil.example"),
        ("aud", "https://mail.example"),
        ("exp", "9999999999"),
        ("scope", "admin"),
        ("tenant", "globex"),
        ("client_id", "root"),
        ("cnf", "x"),
        ("plan", "gold"),
        ("", "x"),
        ("https://acme.example/long", &too_long),
    ] {
        let mut new = new_app(&["billing:read"]);
        new.claims.insert(name.to_owned(), json!(value));
        assert!(apps::create(&app.management, "acme", new).is_err(), "{name}");
    }
}

#[test]
fn a_clock_past_2038_2106_and_the_year_10000_makes_good_tokens() {
    for seconds in [2_147_483_640, 4_294_967_290, 253_402_300_790] {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(seconds)));
        let app = TestApp::on(Arc::new(tempfile::tempdir().unwrap()), clock, &[]);
        app.create_organisation("acme");
        let client = app.create_app(&[]);
        let token = app.token(&client);
        app.clock.advance(Duration::from_secs(60));
        let body = app.get_with_token("/api/v1/whoami", &token).assert_status(200).json();
        assert_eq!(body["expires_at"], seconds + 86_400);
        app.clock.advance(Duration::from_secs(86_400));
        app.get_with_token("/api/v1/whoami", &token).assert_status(401);
    }
}

#[test]
fn one_changed_bit_anywhere_in_a_token_is_noticed() {
    let app = server_of_all_formats();
    let document = app.get("/.well-known/jwks.json", &[]).body;
    let keys = JwksKeys::parse(document.as_bytes()).unwrap();
    for algorithm in SigningAlgorithm::ALL {
        let client = app.create_app(&[&format!("{}-rfc9068:read", algorithm.name())]);
        let token = app.token(&client);
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        for part in 0..3 {
            for bit in 0..parts[part].len() * 8 {
                let mut changed = parts.clone();
                changed[part][bit / 8] ^= 1 << (bit % 8);
                let changed: Vec<String> = changed.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
                let verified = verify_access_token(&changed.join("."), ISSUER, |kid| keys.find(kid));
                assert!(verified.is_err(), "{}: bit {bit} of part {part}", algorithm.name());
            }
        }
    }
}

#[test]
fn a_token_has_one_spelling() {
    let app = TestApp::new();
    let token = app.token(&app.create_app(&["billing:read"]));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    // The last character of 256 octets in base64url holds two bits and four that must be zero.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    for (what, spelling) in [
        ("other bits behind the signature", format!("{signed}.{rest}{next}")),
        ("padding", format!("{signed}.{signature}==")),
        (
            "the other alphabet",
            format!(
                "{}.{}.{}",
                STANDARD.encode(decoded(header)),
                STANDARD.encode(decoded(payload)),
                STANDARD.encode(decoded(signature))
            ),
        ),
        ("a line break behind", format!("{token}\n")),
        ("a space before", format!(" {token}")),
        ("a dot behind", format!("{token}.")),
        ("a dot before", format!(".{token}")),
        ("five parts", format!("{header}.{payload}.{signature}.{signature}.{signature}")),
        ("no signature", format!("{signed}.")),
        ("no third part", signed.to_owned()),
        ("no payload", format!("{header}..{signature}")),
        ("the signature twice", format!("{signed}.{signature}{signature}")),
        ("JSON serialisation", json!({ "protected": header, "payload": payload, "signature": signature }).to_string()),
        ("not encoded", format!("{}.{payload}.{signature}", decode_jwt(&token).0)),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("a very long one", format!("{header}.{}.{signature}", "A".repeat(100_000))),
    ] {
        assert!(verify_offline(&app, &spelling).is_err(), "{what}");
    }
    verify_offline(&app, &token).unwrap();
}

/// An Ed25519 key of our own, published: it signs whatever a test wants.
struct Forger {
    pair: Ed25519KeyPair,
    keys: JwksKeys,
}

impl Forger {
    fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let keys =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "k", "x": x }] });
        let keys = JwksKeys::parse(keys.to_string().as_bytes()).unwrap();
        Self { pair, keys }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": "a", "exp": START.seconds() + 60, "nbf": START.seconds(), "iat": START.seconds(),
            "jti": "1", "sub": "s", "client_id": "s", "scope": "a", "tenant": "acme",
        })
    }

    fn verify(&self, header: &str, payload: &str) -> Result<(), TokenError> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        let token = format!("{signed}.{signature}");
        verify_access_token(&token, ISSUER, |kid| self.keys.find(kid))?.check_time(START)
    }
}

#[test]
fn a_header_that_asks_for_anything_else_is_refused_although_the_signature_holds() {
    let forger = Forger::new();
    let claims = Forger::claims().to_string();
    assert_eq!(forger.verify(r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#, &claims), Ok(()));
    let embedded = r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt","jku":"http://127.0.0.1:1","jwk":{"kty":"oct"},"x5u":"http://127.0.0.1:1"}"#;
    assert_eq!(forger.verify(embedded, &claims), Ok(()), "keys and addresses in the header are not looked at");
    for (header, reason) in [
        (r#"{"alg":"none","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"None","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"eddsa","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"Ed25519","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"RS256","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"HS256","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":null,"kid":"k","typ":"at+jwt"}"#, TokenError::Malformed),
        (r#"{"alg":["EdDSA"],"kid":"k","typ":"at+jwt"}"#, TokenError::Malformed),
        (r#"{"kid":"k","typ":"at+jwt"}"#, TokenError::Malformed),
        (r#"{"alg":"EdDSA","alg":"none","kid":"k","typ":"at+jwt"}"#, TokenError::Malformed),
        (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, TokenError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"K","typ":"at+jwt"}"#, TokenError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"","typ":"at+jwt"}"#, TokenError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"../k","typ":"at+jwt"}"#, TokenError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"k' OR 1=1 --","typ":"at+jwt"}"#, TokenError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":7,"typ":"at+jwt"}"#, TokenError::Malformed),
        (r#"{"alg":"EdDSA","kid":"k"}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":""}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":"dpop+jwt"}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":"logout+jwt"}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":"token-introspection+jwt"}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":"secevent+jwt"}"#, TokenError::Type),
        (r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt","crit":["exp"],"exp":1}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt","crit":["b64"],"b64":false}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt","b64":true}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt","zip":"DEF"}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","enc":"A256GCM","kid":"k","typ":"at+jwt"}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"} x"#, TokenError::Malformed),
        (r#"["EdDSA","k","at+jwt"]"#, TokenError::Malformed),
        ("\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"k\",\"typ\":\"at+jwt\"}", TokenError::Malformed),
        ("", TokenError::Malformed),
    ] {
        assert_eq!(forger.verify(header, &claims), Err(reason), "{header}");
    }
}

#[test]
fn claims_that_are_missing_or_of_another_type_are_refused_although_the_signature_holds() {
    let forger = Forger::new();
    let header = r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#;
    let with = |name: &str, value: Value| {
        let mut claims = Forger::claims();
        claims[name] = value;
        forger.verify(header, &claims.to_string())
    };
    for name in ["iss", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "tenant"] {
        let mut claims = Forger::claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(forger.verify(header, &claims.to_string()), Err(TokenError::Malformed), "without {name}");
        assert_eq!(with(name, Value::Null), Err(TokenError::Malformed), "{name} is null");
        assert_eq!(with(name, json!({})), Err(TokenError::Malformed), "{name} is an object");
        let twice = Forger::claims().to_string().replacen('{', &format!("{{\"{name}\":{},", Forger::claims()[name]), 1);
        assert_eq!(forger.verify(header, &twice), Err(TokenError::Malformed), "{name} twice");
    }
    for time in ["exp", "nbf", "iat"] {
        for value in [json!("9999999999"), json!(1.5), json!(1e30), json!(true), json!([1])] {
            assert_eq!(with(time, value.clone()), Err(TokenError::Malformed), "{time} = {value}");
        }
    }
    let expired = |at: i64| Err(TokenError::Expired(Timestamp::from_seconds(at)));
    for (what, name, value, expected) in [
        ("over now", "exp", json!(START.seconds()), expired(START.seconds())),
        ("over long ago", "exp", json!(1), expired(1)),
        ("over before the epoch", "exp", json!(i64::MIN), expired(i64::MIN)),
        ("good for ever", "exp", json!(i64::MAX), Ok(())),
        (
            "a second ahead",
            "nbf",
            json!(START.seconds() + 1),
            Err(TokenError::NotYetValid(START + Duration::from_secs(1))),
        ),
        ("another issuer", "iss", json!("https://evil.example"), Err(TokenError::Issuer)),
        ("a slash more", "iss", json!(format!("{ISSUER}/")), Err(TokenError::Issuer)),
        ("in other case", "iss", json!(ISSUER.to_uppercase()), Err(TokenError::Issuer)),
        ("several issuers", "iss", json!([ISSUER]), Err(TokenError::Malformed)),
        ("no issuer", "iss", json!(""), Err(TokenError::Issuer)),
    ] {
        assert_eq!(with(name, value), expected, "{what}");
    }
    for payload in ["", "null", "[]", "\"x\"", "{", "{}", "\u{feff}{}"] {
        assert_eq!(forger.verify(header, payload), Err(TokenError::Malformed), "{payload}");
    }
}

/// What stands before a SHA-256 digest in a signature of PKCS #1.
const SHA256_INFO: &str = "30 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20";

/// `0x00 0x01 0xff… 0x00 content`: the padding of RSASSA-PKCS1-v1_5 for a key of `length` octets.
fn padded(content: &[u8], length: usize) -> Vec<u8> {
    [&[0, 1][..], &[0xff].repeat(length - 3 - content.len()), &[0], content].concat()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

#[test]
fn rsa_signatures_with_any_other_padding_or_form_are_refused() {
    let private = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
    let (n, e, d) = (private.n(), private.e(), private.d());
    let keys = ["RS256", "PS256"].map(|alg| {
        let encode = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({ "kty": "RSA", "use": "sig", "alg": alg, "kid": alg, "n": encode(n), "e": encode(e) })
    });
    let keys = JwksKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let signed = |alg: &str| {
        let header = json!({ "alg": alg, "kid": alg, "typ": "at+jwt" }).to_string();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(Forger::claims().to_string()))
    };
    let verify = |alg: &str, signature: &[u8]| {
        let token = format!("{}.{}", signed(alg), URL_SAFE_NO_PAD.encode(signature));
        verify_access_token(&token, ISSUER, |kid| keys.find(kid)).map(|_good| ())
    };
    let to_256 = |number: &BigUint| {
        let octets = number.to_bytes_be();
        [vec![0; 256 - octets.len()], octets].concat()
    };
    // The private operation on any padded message: only a test does this.
    let raw = |message: &[u8]| to_256(&BigUint::from_bytes_be(message).modpow(d, n));

    let hash = sha256(signed("RS256").as_bytes());
    let prefix = octets(SHA256_INFO);
    let padded = |content: &[u8]| padded(content, 256);
    let info = [&prefix[..], &hash].concat();
    let good = raw(&padded(&info));
    assert_eq!(verify("RS256", &good), Ok(()));

    let with_prefix = |hex: &str| padded(&[&octets(hex)[..], &hash].concat());
    let with_octet = |at: usize, octet: u8| {
        let mut message = padded(&info);
        message[at] = octet;
        message
    };
    let short = |head: &[u8], tail: usize| [head, &[0], &info, &[0x55].repeat(tail)].concat();
    let eight = [&[0, 1][..], &[0xff; 8]].concat();
    for (what, message) in [
        ("no NULL parameter", with_prefix("30 2f 30 0b 06 09 60 86 48 01 65 03 04 02 01 04 20")),
        ("a length in long form", with_prefix("30 81 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20")),
        ("an indefinite length", with_prefix("30 80 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20")),
        ("a NULL with content", with_prefix("30 32 30 0e 06 09 60 86 48 01 65 03 04 02 01 05 01 00 04 20")),
        ("an OCTET STRING for NULL", with_prefix("30 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 04 00 04 20")),
        ("a NULL twice", with_prefix("30 33 30 0f 06 09 60 86 48 01 65 03 04 02 01 05 00 05 00 04 20")),
        ("the name of SHA-1", with_prefix("30 2d 30 09 06 05 2b 0e 03 02 1a 05 00 04 20")),
        ("the name of SHA-224", with_prefix("30 31 30 0d 06 09 60 86 48 01 65 03 04 02 04 05 00 04 20")),
        ("the name of SHA-384", with_prefix("30 31 30 0d 06 09 60 86 48 01 65 03 04 02 02 05 00 04 20")),
        ("the name of SHA-512", with_prefix("30 31 30 0d 06 09 60 86 48 01 65 03 04 02 03 05 00 04 20")),
        ("a bit string for the hash", with_prefix("30 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 03 20")),
        ("a wrong length inside", with_prefix("30 30 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20")),
        ("the hash alone", padded(&hash)),
        ("no hash", padded(&prefix)),
        ("half a hash", padded(&[&prefix[..], &hash[..16]].concat())),
        ("another message's hash", padded(&[&prefix[..], &sha256(b"another")].concat())),
        ("the hash of the hash", padded(&[&prefix[..], &sha256(&hash)].concat())),
        ("an octet behind the hash", padded(&[&info[..], &[0]].concat())),
        ("garbage behind a short padding", short(&eight, 256 - 11 - info.len())),
        ("garbage behind no padding", short(&[0, 1], 256 - 3 - info.len())),
        ("garbage before", [&eight[..], &[0], &[0x55].repeat(256 - 11 - info.len()), &info].concat()),
        ("no padding but zeros", [vec![0; 256 - info.len()], info.clone()].concat()),
        ("no separator", [&[0, 1][..], &[0xff].repeat(254 - info.len()), &info].concat()),
        ("a hole in the padding", with_octet(100, 0)),
        ("an odd octet in the padding", with_octet(100, 0xfe)),
        ("block type 0", with_octet(1, 0)),
        ("block type 2", with_octet(1, 2)),
        ("a first octet that is not zero", with_octet(0, 1)),
        ("zeros", vec![0; 256]),
        ("one", [vec![0; 255], vec![1]].concat()),
    ] {
        assert_eq!(message.len(), 256, "{what}");
        assert_eq!(verify("RS256", &raw(&message)), Err(TokenError::Signature), "{what}");
    }

    let mut backwards = good.clone();
    backwards.reverse();
    let one = BigUint::from(1_u8);
    let hex = good.iter().fold(String::new(), |mut all, octet| {
        write!(all, "{octet:02x}").unwrap();
        all
    });
    for (what, signature) in [
        ("nothing", vec![]),
        ("zero", vec![0; 256]),
        ("one", to_256(&one)),
        ("the modulus", to_256(n)),
        ("the modulus less one", to_256(&(n - &one))),
        ("the modulus more", (BigUint::from_bytes_be(&good) + n).to_bytes_be()),
        ("negated", to_256(&(n - BigUint::from_bytes_be(&good)))),
        ("all ones", vec![0xff; 256]),
        ("a zero before", [&[0], &good[..]].concat()),
        ("a zero behind", [&good[..], &[0]].concat()),
        ("without its first octet", good[1..].to_vec()),
        ("without its last octet", good[..255].to_vec()),
        ("half of it", good[..128].to_vec()),
        ("twice", good.repeat(2)),
        ("backwards", backwards),
        ("in hex", hex.into_bytes()),
        ("the message itself", padded(&info)),
    ] {
        assert_eq!(verify("RS256", &signature), Err(TokenError::Signature), "{what}");
    }

    let pair = RsaKeyPair::from_pkcs8(private.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    let sign = |alg: &str, pss: bool| {
        let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding =
            if pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let mut signature = vec![0; 256];
        pair.sign(encoding, &SystemRandom::new(), signed(alg).as_bytes(), &mut signature).unwrap();
        verify(alg, &signature)
    };
    assert_eq!(sign("RS256", false), Ok(()));
    assert_eq!(sign("PS256", true), Ok(()));
    assert_eq!(sign("RS256", true), Err(TokenError::Signature), "a PSS signature is none of RS256");
    assert_eq!(sign("PS256", false), Err(TokenError::Signature), "and the other way round");
}

#[test]
fn elliptic_signatures_of_any_other_form_are_refused() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let fixed = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let edwards = Ed25519KeyPair::generate().unwrap();
    let (x, y) = fixed.public_key().as_ref()[1..].split_at(32);
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let keys = json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ES256", "x": encode(x), "y": encode(y) },
        { "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "EdDSA", "x": encode(edwards.public_key().as_ref()) },
    ] });
    let keys = JwksKeys::parse(keys.to_string().as_bytes()).unwrap();
    let signed = |alg: &str| {
        let header = json!({ "alg": alg, "kid": alg, "typ": "at+jwt" }).to_string();
        format!("{}.{}", encode(header.as_bytes()), encode(Forger::claims().to_string().as_bytes()))
    };
    let verify = |alg: &str, signature: &[u8]| {
        let token = format!("{}.{}", signed(alg), encode(signature));
        verify_access_token(&token, ISSUER, |kid| keys.find(kid)).map(|_good| ())
    };

    let good = fixed.sign(&random, signed("ES256").as_bytes()).unwrap().as_ref().to_vec();
    assert_eq!(verify("ES256", &good), Ok(()));
    let order = octets("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let (r, s) = good.split_at(32);
    for (what, signature) in [
        ("nothing", vec![]),
        ("zeros", vec![0; 64]),
        ("r is zero", [&[0; 32], s].concat()),
        ("s is zero", [r, &[0; 32]].concat()),
        ("r is the order", [&order, s].concat()),
        ("s is the order", [r, &order].concat()),
        ("both are the order", order.repeat(2)),
        ("all ones", vec![0xff; 64]),
        ("r and s exchanged", [s, r].concat()),
        ("in DER", der.sign(&random, signed("ES256").as_bytes()).unwrap().as_ref().to_vec()),
        ("cut", good[..63].to_vec()),
        ("an octet more", [&good[..], &[0]].concat()),
        ("an octet before", [&[0], &good[..]].concat()),
        ("as long as for P-384", [&[0; 16], r, &[0; 16], s].concat()),
        ("an Ed25519 signature", edwards.sign(signed("ES256").as_bytes()).as_ref().to_vec()),
    ] {
        assert_eq!(verify("ES256", &signature), Err(TokenError::Signature), "{what}");
    }

    let good = edwards.sign(signed("EdDSA").as_bytes()).as_ref().to_vec();
    assert_eq!(verify("EdDSA", &good), Ok(()));
    let group = BigUint::from_bytes_le(&octets("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));
    let (point, scalar) = good.split_at(32);
    let mut larger = (BigUint::from_bytes_le(scalar) + &group).to_bytes_le();
    larger.resize(32, 0);
    let identity = [&[1], &[0; 63][..]].concat();
    for (what, signature) in [
        ("nothing", vec![]),
        ("zeros", vec![0; 64]),
        ("the neutral point and zero", identity),
        ("s larger by the group's order", [point, &larger].concat()),
        ("all ones", vec![0xff; 64]),
        ("halves exchanged", [scalar, point].concat()),
        ("cut", good[..63].to_vec()),
        ("an octet more", [&good[..], &[0]].concat()),
        ("an ECDSA signature", fixed.sign(&random, signed("EdDSA").as_bytes()).unwrap().as_ref().to_vec()),
    ] {
        assert_eq!(verify("EdDSA", &signature), Err(TokenError::Signature), "{what}");
    }
}

#[test]
fn a_published_key_that_is_private_symmetric_or_mislabelled_is_not_used() {
    let (n, e) = (URL_SAFE_NO_PAD.encode([0xc1; 256]), "AQAB");
    for (what, key) in [
        ("symmetric", json!({ "kty": "oct", "kid": "k", "alg": "HS256", "k": "c2VjcmV0" })),
        ("symmetric under another name", json!({ "kty": "oct", "kid": "k", "alg": "RS256", "k": "c2VjcmV0" })),
        ("without an algorithm", json!({ "kty": "RSA", "kid": "k", "n": n, "e": e })),
        ("without a name", json!({ "kty": "RSA", "alg": "RS256", "n": n, "e": e })),
        ("of another algorithm", json!({ "kty": "RSA", "kid": "k", "alg": "RS512", "n": n, "e": e })),
        ("for encryption", json!({ "kty": "RSA", "kid": "k", "alg": "RSA-OAEP", "n": n, "e": e })),
        ("of another type", json!({ "kty": "RSA", "kid": "k", "alg": "ES256", "n": n, "e": e })),
        ("not on the curve", json!({ "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "x": "AQ", "y": "AQ" })),
        ("on another curve", json!({ "kty": "EC", "crv": "P-384", "kid": "k", "alg": "ES256", "x": "AQ", "y": "AQ" })),
    ] {
        let keys = JwksKeys::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
        assert!(keys.find("k").is_none(), "{what}");
    }
}

#[test]
fn an_rsa_key_that_is_too_weak_verifies_nothing() {
    let small = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 1024).unwrap();
    let good = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
    let one = BigUint::from(1_u8);
    for (what, n, e, d) in [("1024 bits", small.n(), small.e(), small.d()), ("the exponent 1", good.n(), &one, &one)] {
        let encode = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let keys = json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "kid": "k", "n": encode(n), "e": encode(e) }] });
        let keys = JwksKeys::parse(keys.to_string().as_bytes()).unwrap();
        let header = r#"{"alg":"RS256","kid":"k","typ":"at+jwt"}"#;
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(Forger::claims().to_string()));
        let info = [&octets(SHA256_INFO)[..], &sha256(signed.as_bytes())].concat();
        let length = n.to_bytes_be().len();
        let message = BigUint::from_bytes_be(&padded(&info, length)).modpow(d, n).to_bytes_be();
        let signature = [vec![0; length - message.len()], message].concat();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert!(verify_access_token(&token, ISSUER, |kid| keys.find(kid)).is_err(), "{what}");
    }
}
