//! DPoP (RFC 9449): tokens that are bound to a key, at the token endpoint and wherever tokens are shown. The proofs here
//! are made with the crypto library alone, by a client that knows nothing of the server's code.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::{Clock, ManualClock, Timestamp};
use brevet::db::used_jti;
use brevet::keys::dpop::{BindingError, Shown, check_binding};
use brevet::keys::verify::{JwksKeys, TokenError, verify_access_token};
use brevet::oauth::dpop::ProvenRequest;
use brevet::secret::sha256;
use brevet::service::apps::{self, AppUpdate, NewApp};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use hmac::{Hmac, KeyInit, Mac};
use insta::assert_snapshot;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::support::http::{self, Answer};
use crate::support::{Credentials, START, TestApp, decode_jwt, new_app};

const TOKEN_URL: &str = "http://127.0.0.1:8080/connect/token";
const WHOAMI: &str = "/api/v1/whoami";
const WHOAMI_URL: &str = "http://127.0.0.1:8080/api/v1/whoami";

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A client's key pair.
enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static str, &'static dyn RsaEncoding),
}

impl Key {
    fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    fn rsa(alg: &'static str) -> Self {
        let encoding: &dyn RsaEncoding = if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), alg, encoding)
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rsa(_, alg, _) => alg,
        }
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
            }
            Self::EdDsa(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) }),
            Self::Rsa(pair, ..) => {
                let key = pair.public_key();
                let number = |bytes: &[u8]| base64url(bytes);
                json!({
                    "kty": "RSA",
                    "n": number(key.modulus().big_endian_without_leading_zero()),
                    "e": number(key.exponent().big_endian_without_leading_zero()),
                })
            }
        }
    }

    /// RFC 7638: the required members in the order of their names, which is serde_json's order.
    fn thumbprint(&self) -> String {
        base64url(sha256(self.jwk().to_string().as_bytes()))
    }

    fn sign(&self, header: &Value, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(payload));
        let signature = match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair, _, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", base64url(signature))
    }

    fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": self.alg(), "jwk": self.jwk() })
    }

    /// A proof that these claims stand for.
    fn proof(&self, claims: &Value) -> String {
        self.sign(&self.header(), &claims.to_string())
    }
}

fn claims(method: &str, url: &str, now: Timestamp) -> Value {
    json!({ "jti": Uuid::new_v4().to_string(), "htm": method, "htu": url, "iat": now.seconds() })
}

/// The same with some members replaced, or taken away with `null`.
fn with(base: &Value, changes: &Value) -> Value {
    let mut changed = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        changed[name] = value.clone();
    }
    changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    changed
}

fn hash(token: &str) -> String {
    base64url(sha256(token.as_bytes()))
}

/// A client with a key, at one server.
struct Client<'a> {
    app: &'a TestApp,
    credentials: Credentials,
    key: Key,
}

impl<'a> Client<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self { app, credentials: app.create_app(&["billing:read", "apps:read"]), key: Key::es256() }
    }

    fn token_claims(&self) -> Value {
        claims("POST", TOKEN_URL, self.app.clock.now())
    }

    fn ask_with(&self, proofs: &[&str]) -> Answer {
        let headers: Vec<(&str, &str)> = proofs.iter().map(|proof| ("dpop", *proof)).collect();
        self.app.token_request(&headers, &self.credentials.form())
    }

    /// A token bound to the client's key.
    fn token(&self) -> String {
        let answer = self.ask_with(&[&self.key.proof(&self.token_claims())]).assert_status(200);
        assert_eq!(answer.json()["token_type"], "DPoP");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    fn whoami_claims(&self, token: &str) -> Value {
        with(&claims("GET", WHOAMI_URL, self.app.clock.now()), &json!({ "ath": hash(token) }))
    }

    fn show(&self, token: &str, proof: &str) -> Answer {
        self.app.get(WHOAMI, &[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
    }
}

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

fn told(answer: &Answer) -> String {
    let document = answer.json();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}", answer.status.as_u16(), text("error"), text("error_description"))
}

#[test]
fn a_proof_binds_the_token_to_its_key_whatever_kind_of_key_that_is() {
    let app = TestApp::new();
    for key in [Key::es256(), Key::ed_dsa(), Key::rsa("RS256"), Key::rsa("PS256")] {
        let client = Client { key, ..Client::new(&app) };
        let alg = client.key.alg();
        let token = client.token();
        let (_, claims) = decode_jwt(&token);
        assert_eq!(claims["cnf"], json!({ "jkt": client.key.thumbprint() }), "{alg}");
        let shown = client.show(&token, &client.key.proof(&client.whoami_claims(&token))).assert_status(200);
        assert_eq!(shown.json()["client_id"], client.credentials.client_id, "{alg}");
    }
    let plain = app.token(&Client::new(&app).credentials);
    assert_eq!(decode_jwt(&plain).1.get("cnf"), None, "without a proof the token is as ever");
    app.get_with_token(WHOAMI, &plain).assert_status(200);
}

#[test]
fn the_token_endpoint_refuses_a_proof_in_which_anything_is_wrong() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let key = &client.key;
    let good = |changes: Value| key.proof(&with(&client.token_claims(), &changes));
    let header = |changes: Value| key.sign(&with(&key.header(), &changes), &client.token_claims().to_string());
    let part = |json: Value| base64url(json.to_string());
    let jwk = key.jwk();
    let other = Key::es256();
    let hmac = |name: &str| {
        let head = with(&key.header(), &json!({ "alg": name }));
        let signed = format!("{}.{}", part(head), part(client.token_claims()));
        let mut mac = Hmac::<Sha256>::new_from_slice(jwk["x"].as_str().unwrap().as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", base64url(mac.finalize().into_bytes()))
    };
    let unsigned = format!("{}.{}.", part(with(&key.header(), &json!({ "alg": "none" }))), part(client.token_claims()));
    let (whole, bare) = (good(json!({})), good(json!({})));
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    let swapped = format!("{}.{signature}", bare.rsplit_once('.').unwrap().0);
    let now = START.seconds();
    let twice = client.token_claims().to_string().replacen('{', "{\"htm\":\"POST\",", 1);
    let list = json!(["j", "POST", TOKEN_URL, now]).to_string();
    let cases = [
        ("no JWT", "proof".to_owned()),
        ("empty", String::new()),
        ("without a signature", signed.to_owned()),
        ("five parts", format!("{whole}.a.b")),
        ("too long", good(json!({ "x": "x".repeat(8_192) }))),
        ("an access token", app.token(&client.credentials)),
        ("typ JWT", header(json!({ "typ": "JWT" }))),
        ("typ at+jwt", header(json!({ "typ": "at+jwt" }))),
        ("no typ", header(json!({ "typ": null }))),
        ("alg none", unsigned),
        ("alg HS256", hmac("HS256")),
        ("alg ES384", header(json!({ "alg": "ES384" }))),
        ("alg of another kind of key", header(json!({ "alg": "RS256" }))),
        ("crit", header(json!({ "crit": ["b64"], "b64": false }))),
        ("private jwk", header(json!({ "jwk": with(&jwk, &json!({ "d": base64url([1; 32]) })) }))),
        ("symmetric jwk", header(json!({ "jwk": { "kty": "oct", "k": base64url([1; 32]) } }))),
        ("no jwk", header(json!({ "jwk": null }))),
        ("kid only", header(json!({ "jwk": null, "kid": key.thumbprint() }))),
        ("jwk in a text", header(json!({ "jwk": jwk.to_string() }))),
        ("jwk beside the curve", header(json!({ "jwk": with(&jwk, &json!({ "x": base64url([1; 32]) })) }))),
        ("another's jwk", header(json!({ "jwk": other.jwk() }))),
        ("another's signature", swapped),
        ("no jti", good(json!({ "jti": null }))),
        ("empty jti", good(json!({ "jti": "" }))),
        ("long jti", good(json!({ "jti": "j".repeat(257) }))),
        ("NUL in jti", good(json!({ "jti": "a\u{0}b" }))),
        ("number as jti", good(json!({ "jti": 1 }))),
        ("no htm", good(json!({ "htm": null }))),
        ("htm GET", good(json!({ "htm": "GET" }))),
        ("htm post", good(json!({ "htm": "post" }))),
        ("no htu", good(json!({ "htu": null }))),
        ("htu of another route", good(json!({ "htu": WHOAMI_URL }))),
        ("htu of another host", good(json!({ "htu": "http://evil.example/connect/token" }))),
        ("htu with another scheme", good(json!({ "htu": "https://127.0.0.1:8080/connect/token" }))),
        ("htu of the listener", good(json!({ "htu": format!("{}/connect/token", app.url) }))),
        ("htu without a host", good(json!({ "htu": "/connect/token" }))),
        ("no iat", good(json!({ "iat": null }))),
        ("iat before time began", good(json!({ "iat": -1.5 }))),
        ("iat as text", good(json!({ "iat": now.to_string() }))),
        ("iat long ago", good(json!({ "iat": now - 61 }))),
        ("iat far ahead", good(json!({ "iat": now + 61 }))),
        ("iat beyond measure", good(json!({ "iat": i64::MAX }))),
        ("a claim twice", key.sign(&key.header(), &twice)),
        ("claims in a list", key.sign(&key.header(), &list)),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(what, proof)| {
            let answer = client.ask_with(&[proof]);
            assert_eq!(answer.header("cache-control"), "no-store", "{what}");
            assert_eq!(answer.header("dpop-nonce"), "", "{what}");
            format!("{what}: {}", told(&answer))
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @"
    no JWT: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    empty: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    without a signature: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    five parts: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    too long: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    an access token: 400 invalid_dpop_proof: The DPoP proof's typ must be dpop+jwt.
    typ JWT: 400 invalid_dpop_proof: The DPoP proof's typ must be dpop+jwt.
    typ at+jwt: 400 invalid_dpop_proof: The DPoP proof's typ must be dpop+jwt.
    no typ: 400 invalid_dpop_proof: The DPoP proof's typ must be dpop+jwt.
    alg none: 400 invalid_dpop_proof: The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.
    alg HS256: 400 invalid_dpop_proof: The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.
    alg ES384: 400 invalid_dpop_proof: The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.
    alg of another kind of key: 400 invalid_dpop_proof: The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.
    crit: 400 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    private jwk: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    symmetric jwk: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    no jwk: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    kid only: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    jwk in a text: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    jwk beside the curve: 400 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    another's jwk: 400 invalid_dpop_proof: The DPoP proof's signature is not that of its jwk.
    another's signature: 400 invalid_dpop_proof: The DPoP proof's signature is not that of its jwk.
    no jti: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    empty jti: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    long jti: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    NUL in jti: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    number as jti: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    no htm: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    htm GET: 400 invalid_dpop_proof: The DPoP proof's htm is not the method of this request.
    htm post: 400 invalid_dpop_proof: The DPoP proof's htm is not the method of this request.
    no htu: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    htu of another route: 400 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    htu of another host: 400 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    htu with another scheme: 400 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    htu of the listener: 400 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    htu without a host: 400 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    no iat: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    iat before time began: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    iat as text: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    iat long ago: 400 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.
    iat far ahead: 400 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.
    iat beyond measure: 400 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.
    a claim twice: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    claims in a list: 400 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    ");
    client.ask_with(&[&whole]).assert_status(200);
}

#[test]
fn what_may_differ_from_proof_to_proof_is_accepted() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let now = START.seconds();
    for changes in [
        json!({ "iat": now - 60 }),
        json!({ "iat": now + 60 }),
        json!({ "iat": 1_795_305_600.75 }),
        json!({ "htu": "HTTP://127.0.0.1:8080/connect/token?a=b#c" }),
        json!({ "htu": "http://127.0.0.1:8080/connect/%74oken" }),
        json!({ "nonce": "of another server" }),
        json!({ "ath": "of no token", "exp": now - 1, "more": [1] }),
        json!({ "jti": "j".repeat(256) }),
        json!({ "jti": "ein Schlüssel" }),
    ] {
        let proof = client.key.proof(&with(&client.token_claims(), &changes));
        assert_eq!(client.ask_with(&[&proof]).status, 200, "{changes}");
    }
    let header = with(&client.key.header(), &json!({ "kid": "mine", "x5c": ["?"] }));
    client.ask_with(&[&client.key.sign(&header, &client.token_claims().to_string())]).assert_status(200);
}

#[test]
fn behind_an_issuer_with_a_path_a_proof_is_for_the_public_address() {
    let app = TestApp::with(&[("issuer", "https://id.example/tenant")]);
    let client = Client::new(&app);
    let ask = |url: &str| client.ask_with(&[&client.key.proof(&claims("POST", url, START))]);
    ask("https://id.example/connect/token").assert_status(400);
    ask(&format!("{}/connect/token", app.url)).assert_status(400);
    let answer = ask("https://ID.example:443/tenant/connect/token").assert_status(200);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let public = "https://id.example/tenant/api/v1/whoami";
    let ath = json!({ "ath": hash(&token) });
    for (path, url, status) in [
        ("/api/v1/whoami", public, 200),
        ("/tenant/api/v1/whoami", public, 200),
        ("/tenant/api/v1/whoami?a=b", public, 200),
        ("/api/v1/whoami", "https://id.example/api/v1/whoami", 401),
        ("/tenant/api/v1/whoami", "https://id.example/tenant/tenant/api/v1/whoami", 401),
    ] {
        let proof = client.key.proof(&with(&claims("GET", url, START), &ath));
        let headers = [("authorization", &*format!("DPoP {token}")), ("dpop", &*proof), ("host", "evil.example")];
        assert_eq!(app.get(path, &headers).status, status, "{path} {url}");
    }
}

#[test]
fn a_proof_is_good_once_and_only_one_may_be_sent() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let proof = client.key.proof(&client.token_claims());
    let token = client.ask_with(&[&proof]).assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    let repeated = client.ask_with(&[&proof]);
    assert_snapshot!(told(&repeated), @"400 invalid_dpop_proof: The DPoP proof was used before: make one for each request.");
    let [first, second] = [(); 2].map(|()| client.key.proof(&client.token_claims()));
    assert_snapshot!(told(&client.ask_with(&[&first, &second])), @"400 invalid_dpop_proof: There is more than one DPoP header.");
    client.ask_with(&[&first]).assert_status(200);
    let same_id = with(&client.token_claims(), &json!({ "jti": decode_jwt(&proof).1["jti"] }));
    client.ask_with(&[&Key::es256().proof(&same_id)]).assert_status(200);
    app.clock.advance(Duration::from_secs(61));
    assert_snapshot!(told(&client.ask_with(&[&proof])), @"400 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.");

    let proof = client.key.proof(&client.whoami_claims(&token));
    client.show(&token, &proof).assert_status(200);
    assert_snapshot!(told(&client.show(&token, &proof)), @"401 invalid_dpop_proof: The DPoP proof was used before: make one for each request.");
    let [first, second] = [(); 2].map(|()| client.key.proof(&client.whoami_claims(&token)));
    let both = [("authorization", &*format!("DPoP {token}")), ("dpop", &first), ("dpop", &second)];
    assert_snapshot!(told(&app.get(WHOAMI, &both)), @"401 invalid_dpop_proof: There is more than one DPoP header.");
    client.show(&token, &first).assert_status(200);
}

crate::support::postgres::on_both_databases! {
    a_proof_that_one_node_took_is_refused_by_every_node
    of_many_who_come_with_one_proof_at_once_one_is_served
    whether_tokens_must_be_bound_is_kept_and_changed
}

fn a_proof_that_one_node_took_is_refused_by_every_node(settings: &[(&str, &str)]) {
    let here = TestApp::with(settings);
    let there = TestApp::on(here.data.clone(), here.clock.clone(), settings);
    let client = Client::new(&here);
    let same = |app| Client { app, credentials: client.credentials.clone(), key: Key::es256() };
    for _ in 0..3 {
        let proof = client.key.proof(&client.token_claims());
        client.ask_with(&[&proof]).assert_status(200);
        assert_eq!(same(&there).ask_with(&[&proof]).error(), "invalid_dpop_proof");
        assert_eq!(client.ask_with(&[&proof]).error(), "invalid_dpop_proof");
    }
    let proof = client.key.proof(&client.token_claims());
    drop(here);
    let again = TestApp::on(there.data.clone(), there.clock.clone(), settings);
    same(&there).ask_with(&[&proof]).assert_status(200);
    assert_eq!(same(&again).ask_with(&[&proof]).error(), "invalid_dpop_proof", "after a start");
}

fn of_many_who_come_with_one_proof_at_once_one_is_served(settings: &[(&str, &str)]) {
    let here = TestApp::with(settings);
    let there = TestApp::on(here.data.clone(), here.clock.clone(), settings);
    let client = Client::new(&here);
    let served = |ask: &(dyn Fn(usize) -> Answer + Sync)| {
        let statuses: Vec<u16> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|turn| scope.spawn(move || ask(turn).status.as_u16())).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |status| statuses.iter().filter(|given| **given == status).count();
        (count(200), count(400) + count(401))
    };
    let form = client.credentials.form();
    for _ in 0..5 {
        let proof = client.key.proof(&client.token_claims());
        let nodes = [&here.url, &there.url].map(|url| format!("{url}/connect/token"));
        assert_eq!(served(&|turn| http::post_form(&nodes[turn % 2], &[("dpop", &proof)], &form)), (1, 7));
        let token = client.token();
        let proof = client.key.proof(&client.whoami_claims(&token));
        let headers = [("authorization", &*format!("DPoP {token}")), ("dpop", &*proof)];
        let whoami = format!("{}{WHOAMI}", here.url);
        assert_eq!(served(&|_| http::get(&whoami, &headers)), (1, 7));
    }
}

#[test]
fn a_proof_is_not_forgotten_while_the_clock_of_another_node_is_behind() {
    let here = TestApp::new();
    let slow = Arc::new(ManualClock::new(START - Duration::from_secs(30)));
    let there = TestApp::on(here.data.clone(), slow.clone(), &[]);
    let client = Client::new(&here);
    let proof = client.key.proof(&client.token_claims());
    client.ask_with(&[&proof]).assert_status(200);
    for clock in [&here.clock, &slow] {
        clock.advance(Duration::from_secs(85));
    }
    assert!(client.ask_with(&[&proof]).json()["error_description"].as_str().unwrap().contains("iat"));
    let now = here.clock.now();
    here.management.database().write(move |conn| used_jti::delete_expired(conn, now)).unwrap();
    let same = Client { app: &there, credentials: client.credentials.clone(), key: Key::es256() };
    let refused = same.ask_with(&[&proof]).assert_status(400);
    assert!(refused.json()["error_description"].as_str().unwrap().contains("used before"), "{}", refused.body);
}

#[test]
fn while_nobody_can_know_whether_a_proof_was_used_there_is_no_token_for_it() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let token = client.token();
    let file = app.data.path().join("brevet.db");
    let mut database = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    database.batch_execute("ALTER TABLE used_jti RENAME TO away").unwrap();
    let proof = client.key.proof(&client.token_claims());
    let refused = client.ask_with(&[&proof]);
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    client.ask_with(&[]).assert_status(200);
    client.show(&token, &client.key.proof(&client.whoami_claims(&token))).assert_status(200);
    database.batch_execute("ALTER TABLE away RENAME TO used_jti").unwrap();
    client.ask_with(&[&proof]).assert_status(200);
}

fn whether_tokens_must_be_bound_is_kept_and_changed(settings: &[(&str, &str)]) {
    let app = TestApp::with(settings);
    let m = &app.management;
    let new = NewApp { dpop_required: true, ..new_app(&["billing:read"]) };
    let client = Client { credentials: app.create_app_with("acme", new), ..Client::new(&app) };
    assert!(apps::show(m, client.credentials.id()).unwrap().app.dpop_required);
    assert_eq!(
        told(&client.ask_with(&[])),
        "400 invalid_dpop_proof: A DPoP proof is missing: send it in the DPoP header."
    );
    client.token();
    let change = |dpop_required| {
        apps::update(m, client.credentials.id(), AppUpdate { dpop_required, ..AppUpdate::default() }).unwrap();
        app.catch_up();
        client.ask_with(&[]).status.as_u16()
    };
    assert_eq!(change(None), 400);
    assert_eq!(change(Some(false)), 200);
    assert_eq!(change(Some(true)), 400);
}

#[test]
fn a_wrong_secret_is_a_wrong_secret_whatever_the_proof() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let proof = client.key.proof(&client.token_claims());
    let wrong = Credentials { secret: "wrong".to_owned(), ..client.credentials.clone() };
    let answer = app.token_request(&[("dpop", &proof)], &wrong.form());
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
    client.ask_with(&[&proof]).assert_status(200);
}

#[test]
fn a_bound_token_is_worth_nothing_without_its_key() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let token = client.token();
    let thief = Key::es256();
    let plain = app.token(&client.credentials);
    let bearer = app.get_with_token(WHOAMI, &token);
    let beside = app.get(
        WHOAMI,
        &[("authorization", &format!("Bearer {token}")), ("dpop", &client.key.proof(&client.whoami_claims(&token)))],
    );
    let cases = [
        ("bound, as Bearer", bearer),
        ("bound, as Bearer with a proof", beside),
        ("bound, without a proof", app.get(WHOAMI, &[("authorization", &format!("DPoP {token}"))])),
        ("bound, with a thief's key", client.show(&token, &thief.proof(&client.whoami_claims(&token)))),
        ("unbound, as DPoP", client.show(&plain, &client.key.proof(&client.whoami_claims(&plain)))),
        ("no token", client.show("", &client.key.proof(&client.whoami_claims("")))),
        (
            "a proof for a token",
            client.show(&thief.proof(&client.whoami_claims("")), &thief.proof(&client.whoami_claims(""))),
        ),
        ("no good token", client.show("abc", &client.key.proof(&client.whoami_claims("abc")))),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(what, answer)| format!("{what}: {} {}", answer.status.as_u16(), challenges(answer).join(" | ")))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    bound, as Bearer: 401 DPoP realm="brevet", error="invalid_token", error_description="The access token is bound to a key: send it as DPoP, with a proof.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    bound, as Bearer with a proof: 401 DPoP realm="brevet", error="invalid_token", error_description="The access token is bound to a key: send it as DPoP, with a proof.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    bound, without a proof: 401 DPoP realm="brevet", error="invalid_dpop_proof", error_description="A DPoP proof is missing: send it in the DPoP header.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    bound, with a thief's key: 401 DPoP realm="brevet", error="invalid_token", error_description="The DPoP proof's key is not the one that the access token is bound to.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    unbound, as DPoP: 401 DPoP realm="brevet", error="invalid_token", error_description="The access token is not bound to a key: send it as Bearer.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    no token: 400 DPoP realm="brevet", error="invalid_request", error_description="The Authorization header is malformed: write DPoP, a space and the token.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    a proof for a token: 401 DPoP realm="brevet", error="invalid_token", error_description="The access token was signed with a key that is not published.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    no good token: 401 DPoP realm="brevet", error="invalid_token", error_description="The access token is malformed.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    "#);
    let apps = "/api/v1/apps";
    let management = app.get(apps, &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!((management.status.as_u16(), management.error().as_str()), (401, "invalid_token"));
    assert_snapshot!(challenges(&app.get(WHOAMI, &[])).join("\n"), @r#"
    Bearer realm="brevet", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    DPoP realm="brevet", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource"
    "#);
    // A proof beside a token that needs none changes nothing.
    let proof = client.key.proof(&client.whoami_claims(&plain));
    app.get(WHOAMI, &[("authorization", &format!("Bearer {plain}")), ("dpop", &proof)]).assert_status(200);
    // The name of a scheme is the same in every case.
    let proof = client.key.proof(&client.whoami_claims(&token));
    app.get(WHOAMI, &[("authorization", &format!("dpop {token}")), ("dpop", &proof)]).assert_status(200);
}

#[test]
fn the_guard_refuses_a_proof_in_which_anything_is_wrong() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let key = &client.key;
    let (token, other_token) = (client.token(), client.token());
    let good = |changes: Value| key.proof(&with(&client.whoami_claims(&token), &changes));
    let header = |changes: Value| key.sign(&with(&key.header(), &changes), &client.whoami_claims(&token).to_string());
    let now = START.seconds();
    let cases = [
        ("empty", String::new()),
        ("a proof for the token endpoint", key.proof(&client.token_claims())),
        ("typ", header(json!({ "typ": "at+jwt" }))),
        ("alg none", header(json!({ "alg": "none" }))),
        ("no jwk", header(json!({ "jwk": null }))),
        ("another's jwk", header(json!({ "jwk": Key::es256().jwk() }))),
        ("no jti", good(json!({ "jti": null }))),
        ("htm", good(json!({ "htm": "POST" }))),
        ("htu", good(json!({ "htu": "http://127.0.0.1:8080/api/v1/apps" }))),
        ("iat long ago", good(json!({ "iat": now - 61 }))),
        ("iat far ahead", good(json!({ "iat": now + 61 }))),
        ("no ath", good(json!({ "ath": null }))),
        ("ath of another token", good(json!({ "ath": hash(&other_token) }))),
        ("ath with padding", good(json!({ "ath": format!("{}=", hash(&token)) }))),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(what, proof)| {
            let answer = client.show(&token, proof).assert_status(401);
            let challenge = challenges(&answer).concat();
            assert!(
                challenge.starts_with("DPoP realm=\"brevet\", error=\"invalid_dpop_proof\""),
                "{what}: {challenge}"
            );
            assert!(challenge.contains("algs=\"ES256 EdDSA RS256 PS256\""), "{what}: {challenge}");
            format!("{what}: {}", told(&answer))
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @"
    empty: 401 invalid_dpop_proof: The DPoP proof is not a JWT in compact form.
    a proof for the token endpoint: 401 invalid_dpop_proof: The DPoP proof's htm is not the method of this request.
    typ: 401 invalid_dpop_proof: The DPoP proof's typ must be dpop+jwt.
    alg none: 401 invalid_dpop_proof: The DPoP proof's alg must be ES256, EdDSA, RS256 or PS256, and fit its jwk.
    no jwk: 401 invalid_dpop_proof: The DPoP proof's header must hold a public key as jwk, without private members.
    another's jwk: 401 invalid_dpop_proof: The DPoP proof's signature is not that of its jwk.
    no jti: 401 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    htm: 401 invalid_dpop_proof: The DPoP proof's htm is not the method of this request.
    htu: 401 invalid_dpop_proof: The DPoP proof's htu is not the address of this request.
    iat long ago: 401 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.
    iat far ahead: 401 invalid_dpop_proof: The DPoP proof's iat must be within 60 seconds of the server's time.
    no ath: 401 invalid_dpop_proof: The DPoP proof needs the claims jti, htm, htu and iat; with an access token also ath.
    ath of another token: 401 invalid_dpop_proof: The DPoP proof's ath is not the hash of this access token.
    ath with padding: 401 invalid_dpop_proof: The DPoP proof's ath is not the hash of this access token.
    ");
    client.show(&token, &good(json!({}))).assert_status(200);
    client.show(&token, &good(json!({ "htu": format!("{WHOAMI_URL}?x=y") }))).assert_status(200);
    let head = key.proof(&with(&client.whoami_claims(&token), &json!({ "htm": "HEAD" })));
    let headers = [("authorization", &*format!("DPoP {token}")), ("dpop", &*head)];
    assert_eq!(http::send("HEAD", &format!("{}{WHOAMI}", app.url), &headers, None).status, 200);
}

#[test]
fn what_else_may_be_wrong_with_a_token_is_told_to_a_client_with_a_proof_too() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let token = client.token();
    let narrow = Client { credentials: app.create_app(&[]), ..Client::new(&app) };
    let bound = narrow.token();
    let url = "http://127.0.0.1:8080/api/v1/apps";
    let ath = json!({ "ath": hash(&bound) });
    let proof = narrow.key.proof(&with(&claims("GET", url, START), &ath));
    let headers = [("authorization", &*format!("DPoP {bound}")), ("dpop", &*proof)];
    let elsewhere = app.get("/api/v1/apps", &headers);
    assert_snapshot!(challenges(&elsewhere).concat(), @r#"DPoP realm="brevet", error="insufficient_scope", error_description="This needs the scope apps:read.", scope="apps:read", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource""#);
    app.clock.advance(Duration::from_secs(86_400));
    let expired = client.show(&token, &client.key.proof(&client.whoami_claims(&token)));
    assert_snapshot!(challenges(&expired).concat(), @r#"DPoP realm="brevet", error="invalid_token", error_description="The access token expired at 2026-11-23T00:00:00Z.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource""#);
}

#[test]
fn a_server_that_wants_a_nonce_says_so_and_takes_its_own_for_some_minutes() {
    let app = TestApp::with(&[("dpop-nonce", "true")]);
    let client = Client::new(&app);
    let ask = |nonce: Value| {
        let proof = client.key.proof(&with(&client.token_claims(), &json!({ "nonce": nonce })));
        client.ask_with(&[&proof])
    };
    let refused = ask(Value::Null);
    assert_snapshot!(told(&refused), @"400 use_dpop_nonce: The DPoP proof must hold as nonce what the DPoP-Nonce header of this answer says.");
    let nonce = refused.header("dpop-nonce").to_owned();
    let answer = ask(json!(nonce)).assert_status(200);
    assert_eq!(answer.header("dpop-nonce"), nonce);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    for wrong in ["", "x", &nonce[1..], &base64url([0; 32])] {
        let refused = ask(json!(wrong));
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "use_dpop_nonce"), "{wrong}");
        assert_eq!(refused.header("dpop-nonce"), nonce);
    }

    let show = |nonce: Value| {
        client.show(&token, &client.key.proof(&with(&client.whoami_claims(&token), &json!({ "nonce": nonce }))))
    };
    let refused = show(Value::Null).assert_status(401);
    assert_snapshot!(challenges(&refused).concat(), @r#"DPoP realm="brevet", error="use_dpop_nonce", error_description="The DPoP proof must hold as nonce what the DPoP-Nonce header of this answer says.", algs="ES256 EdDSA RS256 PS256", resource_metadata="http://127.0.0.1:8080/.well-known/oauth-protected-resource""#);
    assert_eq!(refused.header("dpop-nonce"), nonce);
    assert_eq!(show(json!(nonce)).assert_status(200).header("dpop-nonce"), nonce);

    app.clock.advance(Duration::from_secs(180));
    let next = show(json!(nonce)).assert_status(200).header("dpop-nonce").to_owned();
    assert_ne!(next, nonce);
    app.clock.advance(Duration::from_secs(180));
    assert_eq!(show(json!(nonce)).error(), "use_dpop_nonce");
    show(json!(next)).assert_status(200);
    let there = TestApp::on(app.data.clone(), app.clock.clone(), &[("dpop-nonce", "true")]);
    let other_node = Client { app: &there, credentials: client.credentials.clone(), key: Key::es256() };
    let proof = other_node.key.proof(&with(&other_node.token_claims(), &json!({ "nonce": next })));
    other_node.ask_with(&[&proof]).assert_status(200);
    // Who does not use proofs hears nothing of nonces.
    let plain = app.token_request(&[], &client.credentials.form()).assert_status(200);
    assert_eq!((plain.header("dpop-nonce"), &plain.json()["token_type"]), ("", &json!("Bearer")));
}

#[test]
fn a_proxy_says_what_the_proof_is_for() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let token = client.token();
    let (url, ath) = ("https://shop.example/bills?page=2", json!({ "ath": hash(&token) }));
    let verify = |check: &str, method: &str, proven: &str, proxy: &[(&str, &str)]| {
        let proof = client.key.proof(&with(&claims(method, proven, START), &ath));
        let authorization = format!("DPoP {token}");
        let mut headers = vec![("authorization", authorization.as_str()), ("dpop", &proof)];
        headers.extend_from_slice(proxy);
        app.get(&format!("/connect/verify?aud=https://billing.example{check}"), &headers)
    };
    let forwarded = [
        ("x-forwarded-method", "PUT"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-uri", "/bills?page=2"),
    ];
    let original = [("x-original-method", "PUT"), ("x-original-url", url)];
    let bills = "https://shop.example/bills";
    for (check, proxy) in [("&dpop=forwarded", &forwarded[..]), ("&dpop=original", &original[..])] {
        let answer = verify(check, "PUT", bills, proxy).assert_status(200);
        assert_eq!(answer.header("x-auth-client-id"), client.credentials.client_id);
        for (method, proven) in [
            ("GET", bills),
            ("PUT", "https://shop.example/other"),
            ("PUT", "http://shop.example/bills"),
            ("PUT", "http://127.0.0.1:8080/connect/verify"),
        ] {
            let refused = verify(check, method, proven, proxy).assert_status(401);
            assert_eq!(refused.error(), "invalid_dpop_proof", "{method} {proven}");
        }
        // What the proxy does not set, a client can write: it decides nothing.
        let written = [
            ("x-forwarded-uri", "/other"),
            ("x-forwarded-method", "GET"),
            ("x-original-url", "https://shop.example/other"),
            ("x-original-method", "GET"),
        ];
        let foreign: Vec<_> =
            written.into_iter().filter(|(name, _)| proxy.iter().all(|(set, _)| set != name)).collect();
        assert_eq!(foreign.len(), 2);
        verify(check, "PUT", bills, &[proxy, &foreign].concat()).assert_status(200);
        for missing in 0..proxy.len() {
            let rest: Vec<_> = proxy.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, set)| *set).collect();
            let twice = [proxy, &proxy[missing..=missing]].concat();
            for unclear in [rest, twice] {
                let refused = verify(check, "PUT", bills, &unclear);
                assert_eq!((refused.status.as_u16(), refused.error().as_str()), (403, "invalid_request"));
            }
        }
        let unsaid = verify("", "PUT", bills, proxy);
        assert_eq!(
            told(&unsaid),
            "403 invalid_request: This check does not say where the proxy tells what a DPoP proof must be for: add \
             dpop=forwarded or dpop=original."
        );
    }
    // A host that brings a path along would make another address of the one that was asked for.
    for (name, value) in [
        ("x-forwarded-host", "shop.example/bills?"),
        ("x-forwarded-host", "shop.example/bills#"),
        ("x-forwarded-host", "shop.example\\bills?"),
        ("x-forwarded-host", "evil@shop.example"),
        ("x-forwarded-proto", "https://shop.example/bills?"),
        ("x-forwarded-uri", "bills"),
        ("x-forwarded-uri", "@shop.example/bills"),
    ] {
        let mut proxy = forwarded;
        proxy.iter_mut().filter(|(set, _)| *set == name).for_each(|set| set.1 = value);
        let refused = verify("&dpop=forwarded", "PUT", bills, &proxy);
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (403, "invalid_request"), "{value}");
    }
    for url in ["https://shop.example?/bills", "https://shop.example#/bills", "https://@shop.example/", "shop.example/"]
    {
        let proxy = [("x-original-method", "PUT"), ("x-original-url", url)];
        let refused = verify("&dpop=original", "PUT", "https://shop.example/", &proxy);
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (403, "invalid_request"), "{url}");
    }
    let bearer = [("authorization", &*format!("Bearer {token}"))];
    let refused = app.get("/connect/verify?aud=https://billing.example&dpop=forwarded", &bearer);
    assert_eq!(refused.status, 401);
    // A proxy that does not say what a proof must be for cannot take one.
    assert_eq!(challenges(&app.get("/connect/verify?aud=*", &[])), ["Bearer realm=\"brevet\""]);
    let both = ["Bearer realm=\"brevet\"", "DPoP realm=\"brevet\", algs=\"ES256 EdDSA RS256 PS256\""];
    assert_eq!(challenges(&app.get("/connect/verify?aud=*&dpop=original", &[])), both);
    assert_snapshot!(challenges(&refused).concat(), @r#"DPoP realm="brevet", error="invalid_token", error_description="The access token is bound to a key: send it as DPoP, with a proof.", algs="ES256 EdDSA RS256 PS256""#);
}

#[test]
fn a_service_without_a_server_checks_the_same() {
    let app = TestApp::new();
    let client = Client::new(&app);
    let token = client.token();
    let keys = JwksKeys::parse(app.get("/.well-known/jwks.json", &[]).body.as_bytes()).unwrap();
    let signed = verify_access_token(&token, "http://127.0.0.1:8080", |kid| keys.find(kid)).unwrap();
    let cnf = signed.claims.cnf.as_ref();
    let url = "https://billing.example/bills";
    let request = ProvenRequest { method: "GET", url, access_token: Some(&token) };
    let claims = with(&claims("GET", url, START), &json!({ "ath": hash(&token) }));
    let check = |key: &Key| check_binding(cnf, &Shown::WithProof(&key.proof(&claims), request), START);
    let proof = check(&client.key).unwrap().unwrap();
    assert_eq!(*proof.jti, *claims["jti"].as_str().unwrap());
    assert_eq!(proof.over_at, START + Duration::from_secs(61));
    assert_eq!(check(&Key::es256()).unwrap_err(), BindingError::Token(TokenError::OtherKey));
    assert_eq!(check_binding(cnf, &Shown::Bearer, START).unwrap_err(), BindingError::Token(TokenError::Bound));
}

#[test]
fn discovery_names_the_algorithms_of_proofs() {
    let app = TestApp::new();
    let algorithms = json!(["ES256", "EdDSA", "RS256", "PS256"]);
    for path in ["openid-configuration", "oauth-authorization-server", "oauth-protected-resource"] {
        let document = app.get(&format!("/.well-known/{path}"), &[]).json();
        assert_eq!(document["dpop_signing_alg_values_supported"], algorithms, "{path}");
    }
    let resource = app.get("/.well-known/oauth-protected-resource", &[]).json();
    assert_eq!(resource["dpop_bound_access_tokens_required"], false);
}
