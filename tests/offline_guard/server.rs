//! A server of the test's own: it says what the test tells it to say, in Brevet's formats, and counts who asks.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::keys::signing::GeneratedKey;
use brevet::oauth::SigningAlgorithm;
use brevet::secret::sha256;
use serde_json::{Value, json};

use crate::support::START;

pub const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const JWKS: &str = "/.well-known/jwks.json";
pub const FEED: &str = "/connect/revocations";

/// A key that signs what the test wants, true or not.
pub struct Signer {
    pub kid: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub fn new() -> Self {
        let key = GeneratedKey::generate(SigningAlgorithm::EdDsa).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(&key.private_key).unwrap(), kid: key.kid }
    }

    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x })
    }

    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": "EdDSA", "typ": typ, "kid": self.kid }), claims)
    }

    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())))
    }

    /// A DPoP proof for a request with this token, with some claims changed. Its key's thumbprint is `kid`.
    pub fn proof(&self, method: &str, url: &str, token: &str, changes: &Value) -> String {
        let mut claims = json!({
            "jti": "proof", "htm": method, "htu": url, "iat": START.seconds(),
            "ath": URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())),
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut jwk = self.jwk();
        jwk.as_object_mut().unwrap().retain(|name, _| matches!(&**name, "kty" | "crv" | "x"));
        self.sign_with(&json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk }), &claims)
    }

    /// An access token of `issuer` for the API `https://billing.example`, with some claims changed.
    pub fn token(&self, issuer: &str, changes: &Value) -> String {
        let mut claims = json!({
            "iss": issuer, "aud": "https://billing.example", "sub": "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e",
            "client_id": "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e", "tenant": "acme", "jti": "first",
            "scope": "billing:read", "iat": START.seconds() - 5, "nbf": START.seconds() - 5,
            "exp": START.seconds() + 30 * 86_400,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.sign("at+jwt", &claims)
    }
}

/// A feed of `issuer` that says nothing, with some members changed.
pub fn feed(issuer: &str, changes: &Value) -> Value {
    let mut feed = json!({
        "iss": issuer, "iat": START.seconds(), "revoked": {}, "not_before": { "clients": {}, "tenants": {} },
        "disabled": { "clients": [], "tenants": [] },
    });
    for (name, value) in changes.as_object().unwrap() {
        feed[name] = value.clone();
    }
    feed
}

/// What is said to who asks.
#[derive(Clone)]
pub enum Says {
    /// This document.
    Document(Vec<u8>),
    /// This status, and nothing else.
    Status(u16),
    /// The connection is closed without an answer, as when no server runs.
    HangsUp,
    /// Nothing, for longer than anybody should wait.
    Nothing,
    /// The beginning of a document, and more of it again and again, with no end.
    Endlessly,
}

impl Says {
    pub fn json(value: &Value) -> Self {
        Self::Document(value.to_string().into_bytes())
    }
}

#[derive(Default)]
struct State {
    says: HashMap<&'static str, Says>,
    asked: Vec<String>,
}

/// A server on a free port of loopback that is its own issuer.
pub struct FakeServer {
    pub url: String,
    pub signer: Signer,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl FakeServer {
    /// A server with metadata, one key, and a feed that says nothing.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            signer: Signer::new(),
            state: Arc::new(Mutex::new(State::default())),
            stopped: Arc::new(AtomicBool::new(false)),
            url,
        };
        server.says(METADATA, Says::json(&json!({ "issuer": server.url })));
        server.publishes(&[&server.signer]);
        server.revokes(&json!({}));
        let (state, stopped) = (server.state.clone(), server.stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (state, stopped) = (state.clone(), stopped.clone());
                thread::spawn(move || answer(&mut stream.unwrap(), &state, &stopped));
            }
        });
        server
    }

    pub fn says(&self, path: &'static str, says: Says) {
        self.state.lock().unwrap().says.insert(path, says);
    }

    /// The same to every question.
    pub fn says_always(&self, says: &Says) {
        for path in [METADATA, JWKS, FEED] {
            self.says(path, says.clone());
        }
    }

    pub fn publishes(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.says(JWKS, Says::json(&json!({ "keys": keys })));
    }

    /// A feed with these members changed.
    pub fn revokes(&self, changes: &Value) {
        self.says(FEED, Says::Document(self.signer.sign("revocations+jwt", &feed(&self.url, changes)).into_bytes()));
    }

    /// How often a path was asked for, with any query.
    pub fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.split('?').next() == Some(path)).count()
    }

    /// What was asked for: paths and queries.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    pub fn token(&self, changes: &Value) -> String {
        self.signer.token(&self.url, changes)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _gone = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn answer(stream: &mut TcpStream, state: &Mutex<State>, stopped: &AtomicBool) {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut octet), Ok(1)) {
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let Some(target) = head.split(' ').nth(1) else { return };
    let path = target.split('?').next().unwrap();
    let says = {
        let mut state = state.lock().unwrap();
        state.asked.push(target.to_owned());
        state.says.get(path).cloned().unwrap_or(Says::Status(404))
    };
    let status = match &says {
        Says::Status(status) => *status,
        _ => 200,
    };
    let mut send = |octets: &[u8]| stream.write_all(octets).is_ok();
    let head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Type: application/json\r\n");
    match says {
        Says::Document(body) => {
            let length = format!("ETag: \"one\"\r\nContent-Length: {}\r\n\r\n", body.len());
            let _gone = send(head.as_bytes()) && send(length.as_bytes()) && send(&body);
        }
        Says::Status(_) => {
            let _gone = send(head.as_bytes()) && send(b"Content-Length: 0\r\n\r\n");
        }
        Says::HangsUp => {}
        Says::Nothing => {
            while !stopped.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Says::Endlessly => {
            let mut goes_on = send(head.as_bytes()) && send(b"\r\n{\"keys\":[");
            while goes_on && !stopped.load(Ordering::SeqCst) {
                goes_on = send(&[b' '; 65_536]);
            }
        }
    }
}

/// An address that leads to a server or to nobody, as the test says.
pub struct Relay {
    pub url: String,
    target: Arc<Mutex<Option<String>>>,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    pub fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Mutex::new(Some(address.to_owned())));
        let stopped = Arc::new(AtomicBool::new(false));
        let (leads_to, ended) = (target.clone(), stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Some(address) = leads_to.lock().unwrap().clone() else { continue };
                let (Ok(near), Ok(far)) = (stream, TcpStream::connect(address)) else { continue };
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    thread::spawn(move || {
                        // One side is gone: so shall be the other.
                        let _gone = std::io::copy(&mut from, &mut to);
                        let _gone = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { url, target, stopped }
    }

    pub fn leads_to(&self, address: Option<&str>) {
        *self.target.lock().unwrap() = address.map(str::to_owned);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _gone = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}
