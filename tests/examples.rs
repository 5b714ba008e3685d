//! The files under `examples/`: started as people start them, with a running Brevet behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::secret::sha256;
use serde_json::json;
use tempfile::TempDir;

use crate::support::http::{self, Answer};
use crate::support::process::{PATIENCE, Server, brevet, data_directory, eventually, free_port};
use crate::support::signer::Signer;
use crate::support::tools::{node_modules, or_skip, python, run};
use crate::support::{Credentials, decode_jwt};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
/// What the examples demand.
const AUDIENCE: &str = "https://reports.example.com";

/// A server whose issuer is its address, with the API that the examples are about.
struct Scene {
    data: TempDir,
    server: Server,
    reader: Credentials,
    good: String,
    /// Not yet expired perhaps, but soon.
    expired: String,
    two_apis: String,
    other_api: String,
    other_scope: String,
}

impl Scene {
    fn new() -> Self {
        let data = data_directory();
        let identifier = format!("--identifier={AUDIENCE}");
        let scopes = ["--scope=reports:read", "--scope=reports:write"];
        brevet(data.path()).args(&["api", "create", "--org=acme", "--name=Reports", &identifier]).args(&scopes).ok();
        let server = Server::start_as_issuer(data.path(), &["--dpop-nonce=true"]);
        let app = |args: &[&str]| {
            let made = brevet(data.path()).args(&["app", "create", "--org=acme", "--name=Robot"]).args(args).json();
            let text = |name: &str| made[name].as_str().unwrap().to_owned();
            Credentials { client_id: text("client_id"), secret: text("client_secret") }
        };
        let reader = app(&["--scope=reports:read"]);
        let token = |args: &[&str]| server.token(&app(args));
        Self {
            good: server.token(&reader),
            expired: token(&["--scope=reports:read", "--lifetime=1s"]),
            two_apis: token(&["--scope=billing:read", "--scope=reports:read"]),
            other_api: token(&["--scope=billing:read"]),
            other_scope: token(&["--scope=reports:write"]),
            reader,
            server,
            data,
        }
    }

    /// A token with a key that signs since this moment.
    fn token_after_rotation(&self) -> String {
        let kid = |token: &str| decode_jwt(token).0["kid"].clone();
        let before = kid(&self.server.token(&self.reader));
        brevet(self.data.path()).args(&["key", "rotate", "--now"]).ok();
        eventually(PATIENCE, "the new key signs", || {
            let token = self.server.token(&self.reader);
            (kid(&token) != before).then_some(token)
        })
    }

    /// A token of the older look, whose `typ` is that of any JWT.
    fn classic_token(&self) -> String {
        brevet(self.data.path()).args(&["api", "update", AUDIENCE, "--profile=classic"]).ok();
        eventually(PATIENCE, "tokens change their look", || {
            let token = self.server.token(&self.reader);
            (decode_jwt(&token).0["typ"] == "JWT").then_some(token)
        })
    }

    /// Publishes a key that does not sign yet.
    fn announce_key(&self) {
        let published = || self.server.get("/.well-known/jwks.json").json()["keys"].as_array().unwrap().len();
        let before = published();
        brevet(self.data.path()).args(&["key", "generate"]).ok();
        eventually(PATIENCE, "the next key is published", || (published() > before).then_some(()));
    }
}

/// A client that binds its tokens to its key.
struct Prover {
    key: Signer,
    /// What the server demands in each proof.
    nonce: String,
    token: String,
}

impl Prover {
    fn new(server: &Server, app: &Credentials) -> Self {
        let mut prover = Self { key: Signer::p256("k"), nonce: String::new(), token: String::new() };
        let ask = |prover: &Self| {
            let proof = prover.proof("POST", &format!("{}/connect/token", server.url));
            server.token_request(&[("dpop", &proof)], &app.form())
        };
        prover.nonce = ask(&prover).assert_status(400).header("dpop-nonce").to_owned();
        let granted = ask(&prover).assert_status(200).json();
        assert_eq!(granted["token_type"], "DPoP");
        prover.token = granted["access_token"].as_str().unwrap().to_owned();
        prover
    }

    /// A proof for one request, as [RFC 9449 §4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2) has it.
    fn proof(&self, method: &str, url: &str) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": self.key.alg, "jwk": self.key.jwk });
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.key.sign_with(
            &header,
            &json!({
                "jti": uuid::Uuid::new_v4().to_string(),
                "htm": method,
                "htu": url,
                "iat": now,
                "ath": URL_SAFE_NO_PAD.encode(sha256(self.token.as_bytes())),
                "nonce": self.nonce,
            }),
        )
    }
}

/// A running example. Killed when dropped.
pub struct Example {
    child: Child,
    pub url: String,
    log: PathBuf,
    _files: TempDir,
}

impl Example {
    /// Starts it and waits until it listens on that port.
    pub fn start(mut command: Command, port: u16) -> Self {
        let files = tempfile::tempdir().unwrap();
        let log = files.path().join("log");
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        let mut example = Self { child, url: format!("http://127.0.0.1:{port}"), log, _files: files };
        eventually(PATIENCE, "the example listens", || {
            if let Some(status) = example.child.try_wait().unwrap() {
                panic!("the example ended, {status}: {}", example.log());
            }
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        example
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn get(&self, headers: &[(&str, &str)]) -> Answer {
        http::get(&format!("{}/reports", self.url), headers)
    }

    pub fn get_with_token(&self, token: &str) -> Answer {
        self.get(&[("authorization", &format!("Bearer {token}"))])
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What every example must answer, before and after rotations.
fn exercise(scene: &Scene, example: &Example) {
    scene.announce_key();
    let (signed, signature) = scene.good.rsplit_once('.').unwrap();
    let other_signature = scene.other_scope.rsplit_once('.').unwrap().1;
    let bearer = |token: &str| format!("Bearer {token}");
    eventually(PATIENCE, "a token of one second expires", || {
        (example.get_with_token(&scene.expired).status == 401).then_some(())
    });
    let invalid = "error=\"invalid_token\"";
    for (what, authorization, status, challenge) in [
        ("a good token", bearer(&scene.good), 200, ""),
        ("the scheme in lower case", format!("bearer {}", scene.good), 200, ""),
        ("for two APIs", bearer(&scene.two_apis), 200, ""),
        ("no token", String::new(), 401, "Bearer realm="),
        ("another scheme", scene.reader.basic(), 401, "Bearer realm="),
        ("not a token", bearer("abc"), 401, invalid),
        ("expired", bearer(&scene.expired), 401, invalid),
        ("for another API", bearer(&scene.other_api), 401, invalid),
        ("another signature", bearer(&format!("{signed}.{other_signature}")), 401, invalid),
        ("no signature", bearer(&format!("{signed}.")), 401, invalid),
        (
            "claims of another",
            bearer(&format!("{}.{signature}", scene.other_scope.rsplit_once('.').unwrap().0)),
            401,
            invalid,
        ),
        ("without the scope", bearer(&scene.other_scope), 403, "error=\"insufficient_scope\""),
        ("a good token again", bearer(&scene.good), 200, ""),
    ] {
        let headers = [("authorization", authorization.as_str())];
        let answer = example.get(if authorization.is_empty() { &[] } else { &headers });
        assert_eq!(answer.status.as_u16(), status, "{what}: {} {}", answer.body, example.log());
        let challenges: Vec<&str> =
            answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
        match (status, challenges.as_slice()) {
            (200, []) => assert!(answer.body.contains("acme"), "{what}: {}", answer.body),
            // A proxy may say that proofs are taken too.
            (401, [bearer, dpop]) if challenge == "Bearer realm=" && bearer.starts_with(challenge) => {
                assert!(dpop.starts_with("DPoP realm="), "{what}: {dpop}");
            }
            (_, [one]) => {
                assert!(one.starts_with("Bearer realm=") && one.contains(challenge), "{what}: {one}");
                assert_eq!(one.contains("error="), challenge.starts_with("error="), "{what}: {one}");
                assert_eq!(one.contains("scope=\"reports:read\""), status == 403, "{what}: {one}");
            }
            _ => panic!("{what}: {challenges:?}"),
        }
    }

    // The key was published before the example fetched the keys.
    let announced = scene.token_after_rotation();
    for token in [&announced, &scene.good] {
        assert_eq!(example.get_with_token(token).status, 200, "after a rotation: {}", example.log());
    }
    // One that signs at once is found by asking again.
    let sudden = scene.token_after_rotation();
    eventually(PATIENCE, "a token of a key never announced is accepted", || {
        (example.get_with_token(&sudden).status == 200).then_some(())
    });
    for token in [&sudden, &announced, &scene.good] {
        assert_eq!(example.get_with_token(token).status, 200, "after two rotations: {}", example.log());
    }
}

/// Exercises a service that verifies by itself.
fn exercise_service(command: impl Fn() -> Command) {
    let scene = Scene::new();
    let start = |issuer: &str| {
        let (port, mut command) = (free_port(), command());
        command.env("ISSUER", issuer).env("AUDIENCE", AUDIENCE).env("PORT", port.to_string());
        Example::start(command, port)
    };
    let example = start(&scene.server.url);
    exercise(&scene, &example);
    let classic = example.get_with_token(&scene.classic_token()).assert_status(401);
    assert!(classic.header("www-authenticate").contains("error=\"invalid_token\""), "any JWT of the issuer will do");

    let bound = Prover::new(&scene.server, &scene.reader).token;
    let stolen = example.get_with_token(&bound).assert_status(401);
    assert!(stolen.header("www-authenticate").contains("error=\"invalid_token\""), "a bound token is as good as any");

    let without_keys = start(&format!("http://127.0.0.1:{}", free_port()));
    let answer = without_keys.get_with_token(&scene.good);
    assert_eq!(answer.status, 503, "a token is not to blame for keys that cannot be had: {}", answer.body);

    let Scene { server, good, other_scope, .. } = scene;
    server.kill();
    assert_eq!(example.get_with_token(&good).status, 200, "it verifies offline");
    assert_eq!(example.get_with_token(&other_scope).status, 403);
}

fn exercise_python(name: &str) {
    let source = Path::new(EXAMPLES).join(name);
    let Some(python) = or_skip("python", python(name, &source.join("requirements.txt"))) else {
        return;
    };
    exercise_service(|| {
        let mut command = Command::new(&python);
        command.arg(source.join("app.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    });
}

#[test]
fn a_flask_service_with_pyjwt() {
    exercise_python("flask-pyjwt");
}

#[test]
fn a_fastapi_service_with_pyjwt() {
    exercise_python("fastapi");
}

#[test]
fn an_express_service_with_jose() {
    let source = Path::new(EXAMPLES).join("express-jose");
    let Some(home) = or_skip("node", node_modules("express-jose", &source)) else {
        return;
    };
    // Beside its modules, where Node looks for them.
    fs::copy(source.join("server.js"), home.join("server.js")).unwrap();
    exercise_service(|| {
        let mut command = Command::new("node");
        command.arg(home.join("server.js")).env("NODE_ENV", "production");
        command
    });
}

/// A service behind a proxy, which answers with the head of the request that reached it. Stopped when dropped.
struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A proxy may open a connection and not use it.
                thread::spawn(move || {
                    let _broken = stream.and_then(echo);
                });
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let length = text.len();
                return write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
                );
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
}

/// What a proxy must answer when tokens are bound to a key. `public` is the address that its clients know.
fn exercise_proofs(scene: &Scene, example: &Example, public: &str) {
    let mut prover = Prover::new(&scene.server, &scene.reader);
    let reports = format!("{public}/reports");
    let scheme = format!("DPoP {}", prover.token);
    let ask = |proof: &str| example.get(&[("authorization", &scheme), ("dpop", proof)]);
    let good = prover.proof("GET", &reports);
    let answer = ask(&good).assert_status(200);
    assert!(answer.body.contains(&format!("x-auth-client-id: {}", scene.reader.client_id)), "{}", answer.body);
    let thief = Prover { key: Signer::p256("k"), nonce: prover.nonce.clone(), token: prover.token.clone() };
    for (what, proof) in [
        ("used before", good),
        ("for another path", prover.proof("GET", &format!("{public}/other"))),
        ("for another host", prover.proof("GET", "https://other.example/reports")),
        ("for another method", prover.proof("POST", &reports)),
        ("by another key", thief.proof("GET", &reports)),
        ("none", String::new()),
    ] {
        let refused = ask(&proof);
        assert_eq!(refused.status, 401, "{what}: {} {}", refused.body, example.log());
        assert!(refused.header("www-authenticate").starts_with("DPoP realm="), "{what}");
    }
    example.get(&[("authorization", &scheme)]).assert_status(401);
    example.get_with_token(&prover.token).assert_status(401);
    // A client that names another host or address is not believed.
    let elsewhere = prover.proof("GET", "https://other.example/reports");
    let mut headers = vec![("authorization", scheme.as_str()), ("dpop", elsewhere.as_str())];
    headers.extend([("x-forwarded-proto", "https"), ("x-forwarded-host", "other.example")]);
    headers.extend([("x-original-url", "https://other.example/reports"), ("x-original-method", "GET")]);
    example.get(&headers).assert_status(401);

    let nonce = std::mem::take(&mut prover.nonce);
    let refused = ask(&prover.proof("GET", &reports)).assert_status(401);
    assert!(refused.header("www-authenticate").contains("error=\"use_dpop_nonce\""), "{:?}", refused.headers);
    assert_eq!(refused.headers.get_all("dpop-nonce").iter().count(), 1);
    assert_eq!(refused.header("dpop-nonce").len(), nonce.len(), "the proxy hands the nonce on");
    prover.nonce = refused.header("dpop-nonce").to_owned();
    ask(&prover.proof("GET", &reports)).assert_status(200);
}

/// Exercises a proxy that asks `/connect/verify` and passes good requests on to a service. `public` is the address that
/// its clients know.
fn exercise_proxy(scene: Scene, example: &Example, public: &str) {
    exercise(&scene, example);
    exercise_proofs(&scene, example, public);
    let authorization = format!("Bearer {}", scene.good);
    let names = ["x-auth-client-id", "x-auth-scope", "x-auth-subject", "x-auth-tenant"];
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, "forged")).collect();
    headers.push(("authorization", &authorization));
    let url = format!("{}/reports?page=2&aud=forged&scope=forged", example.url);
    for (method, body) in [("GET", None), ("POST", Some(&b"a report"[..])), ("DELETE", None)] {
        let answer = http::send(method, &url, &headers, body).assert_status(200);
        let (first, _) = answer.body.split_once("\r\n").unwrap();
        assert!(first.starts_with(&format!("{} /reports?page=2", method.to_lowercase())), "{first}");
        let mut reached: Vec<&str> = answer.body.lines().filter(|line| line.starts_with("x-auth-")).collect();
        reached.sort_unstable();
        let id = &scene.reader.client_id;
        let expected = [
            format!("x-auth-client-id: {id}"),
            "x-auth-scope: reports:read".to_owned(),
            format!("x-auth-subject: {id}"),
            "x-auth-tenant: acme".to_owned(),
        ];
        assert_eq!(reached, expected, "{method}");
        assert_eq!(answer.body.ends_with("a report"), body.is_some(), "{method}: {}", answer.body);
    }
    brevet(scene.data.path()).args(&["app", "disable", &scene.reader.client_id]).ok();
    eventually(PATIENCE, "the tokens of a disabled app are refused", || {
        (example.get_with_token(&scene.good).status == 401).then_some(())
    });
    scene.server.kill();
    let answer = example.get_with_token(&scene.other_scope);
    assert!(answer.status.is_server_error(), "without Brevet nobody gets in: {}", answer.status);
}

#[test]
fn nginx_with_auth_request() {
    if or_skip("nginx", run(Command::new("nginx").arg("-v"))).is_none() {
        return;
    }
    let (scene, service, port) = (Scene::new(), Echo::start(), free_port());
    let home = tempfile::tempdir().unwrap();
    // Debian's own directories belong to root.
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let places: String = kinds.iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
    let mut text = fs::read_to_string(Path::new(EXAMPLES).join("nginx/nginx.conf")).unwrap();
    for (from, to) in [
        ("127.0.0.1:8080", scene.server.address()),
        ("127.0.0.1:3000", &service.address.to_string()),
        ("127.0.0.1:8000", &format!("127.0.0.1:{port}")),
        ("http {", &format!("http {{\naccess_log off;\n{places}")),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    let config = home.path().join("nginx.conf");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    // One process, which can be killed.
    let globals = "daemon off; master_process off; pid nginx.pid; error_log stderr;";
    command.arg("-p").arg(home.path()).arg("-c").arg(&config).args(["-g", globals]);
    let example = Example::start(command, port);
    exercise_proxy(scene, &example, AUDIENCE);
}

#[test]
fn caddy_with_forward_auth() {
    if or_skip("caddy", run(Command::new("caddy").arg("version"))).is_none() {
        return;
    }
    let (scene, service, port) = (Scene::new(), Echo::start(), free_port());
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter=caddyfile", "--config"])
        .arg(Path::new(EXAMPLES).join("caddy/Caddyfile"))
        .env("SITE", format!("http://127.0.0.1:{port}"))
        .env("BREVET", scene.server.address())
        .env("SERVICE", service.address.to_string())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path());
    let example = Example::start(command, port);
    exercise_proxy(scene, &example, &example.url);
}

#[test]
fn what_proxies_are_told_to_ask_is_a_check_that_works() {
    let scene = Scene::new();
    for file in ["nginx/nginx.conf", "caddy/Caddyfile", "traefik/dynamic.yml", "traefik/README.md"] {
        let text = fs::read_to_string(Path::new(EXAMPLES).join(file)).unwrap();
        let (_, rest) = text.split_once("/connect/verify?").unwrap_or_else(|| panic!("no check in {file}"));
        let query = rest.split([' ', '"', ';', '\n']).next().unwrap();
        // As Traefik and nginx describe a request.
        let public = format!("{AUDIENCE}/reports");
        let described = [
            ("x-forwarded-method", "POST"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "reports.example.com"),
            ("x-forwarded-uri", "/reports?page=2"),
            ("x-original-method", "POST"),
            ("x-original-url", &public),
        ];
        let ask = |scheme: &str, token: &str, proof: Option<&str>| {
            let authorization = format!("{scheme} {token}");
            let mut headers = vec![("authorization", authorization.as_str())];
            headers.extend(proof.map(|proof| ("dpop", proof)));
            headers.extend(described);
            http::get(&format!("{}/connect/verify?{query}", scene.server.url), &headers).status.as_u16()
        };
        assert_eq!(ask("Bearer", &scene.good, None), 200, "{file}: {query}");
        assert_eq!(ask("Bearer", &scene.other_api, None), 401, "{file}: {query}");
        assert_eq!(ask("Bearer", &scene.other_scope, None), 403, "{file}: {query}");

        let prover = Prover::new(&scene.server, &scene.reader);
        let proof = prover.proof("POST", &public);
        assert_eq!(ask("DPoP", &prover.token, Some(&proof)), 200, "{file}: {query}");
        assert_eq!(ask("DPoP", &prover.token, None), 401, "{file}: {query}");
        // Traefik hands on only what is named to it.
        let named = text.lines().find(|line| line.contains("authRequestHeaders"));
        assert!(named.is_none_or(|line| line.contains("DPoP")), "{file}: {named:?}");
        assert_eq!(named.is_some(), file.starts_with("traefik"), "{file}");
    }
}
