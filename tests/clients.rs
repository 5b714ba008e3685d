//! Foreign clients and verifiers, none of them code of ours: curl and openssl; Authlib, requests-oauthlib, MSAL and PyJWT;
//! openid-client, oauth4webapi and jose.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client_jwks_uri::{KeyServer, good};
use crate::support::process::{PATIENCE, Server, brevet, data_directory, eventually, free_port, program};
use crate::support::signer::Signer;
use crate::support::tools::{self, or_skip, run, skip};
use crate::support::{Credentials, decode_jwt};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A server whose issuer is its address, and an app with two of the scopes there are.
struct Scene {
    data: TempDir,
    server: Server,
    app: Credentials,
}

fn scene() -> Scene {
    scene_with(&[])
}

fn scene_with(settings: &[&str]) -> Scene {
    let data = data_directory();
    let app = create_app(&data, &[]);
    let server = Server::start_as_issuer(data.path(), settings);
    Scene { data, server, app }
}

fn create_app(data: &TempDir, args: &[&str]) -> Credentials {
    let create = ["app", "create", "--org=acme", "--name=Robot", "--scope=billing:read", "--scope=apps:read"];
    // The keys of an app that signs its requests may be on this machine.
    let made = brevet(data.path()).env("BREVET_OUTBOUND_ALLOW_PRIVATE", "true").args(&create).args(args).json();
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    Credentials { client_id: text("client_id"), secret: text("client_secret") }
}

/// Made once, however many tests need it.
pub static PYTHON: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| tools::python("python", &Path::new(SCRIPTS).join("requirements.txt")));

/// The pinned packages for Node, and the scripts beside them.
pub static NODE: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let source = Path::new(SCRIPTS).join("node");
    let home = tools::node_modules("node-clients", &source)?;
    for script in fs::read_dir(source).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).unwrap() {
        fs::copy(script.path(), home.join(script.file_name())).unwrap();
    }
    Ok(home)
});

/// A script with what it needs to know; nothing when what runs it is not there.
fn script(scene: &Scene, name: &str) -> Option<Command> {
    let (what, made) = if name.ends_with(".mjs") {
        ("node", NODE.clone().map(|home| (PathBuf::from("node"), home.join(name))))
    } else {
        ("python", PYTHON.clone().map(|python| (python, Path::new(SCRIPTS).join(name))))
    };
    let (program, path) = or_skip(what, made)?;
    let mut command = Command::new(program);
    command
        .arg(path)
        .env("URL", &scene.server.url)
        .env("SID", &scene.app.client_id)
        .env("KEY", &scene.app.secret)
        .env("AUDIENCE", "https://billing.example")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Loopback without TLS is fine for a test.
        .env("OAUTHLIB_INSECURE_TRANSPORT", "1")
        .env("AUTHLIB_INSECURE_TRANSPORT", "1");
    Some(command)
}

/// Runs a script that needs nothing of us on its way.
fn assert_passes(name: &str) {
    assert_passes_in(&scene(), name, &[]);
}

fn assert_passes_in(scene: &Scene, name: &str, variables: &[(&str, &str)]) {
    let Some(mut command) = script(scene, name) else {
        return;
    };
    if let Err(why) = run(command.envs(variables.iter().copied())) {
        panic!("{name}: {why}\n{}", scene.server.log());
    }
}

/// Apps that sign their requests, one for each algorithm: what a script must know to be each of them, and a key that is
/// not theirs. The last one's public key is behind a URL.
fn signing_apps(data: &TempDir) -> String {
    let keys = [
        [Signer::rsa("k", "RS256"), Signer::rsa("k", "RS256")],
        [Signer::rsa("k", "PS256"), Signer::rsa("k", "PS256")],
        [Signer::p256("k"), Signer::p256("k")],
        [Signer::ed25519("k"), Signer::ed25519("k")],
    ];
    let apps = keys.map(|[right, wrong]| {
        let place = if right.alg == "EdDSA" {
            format!("--jwks-uri={}", KeyServer::start(good(&right.jwks())).url)
        } else {
            let file = data.path().join(format!("{}.json", right.alg));
            fs::write(&file, right.jwks()).unwrap();
            format!("--jwks={}", file.display())
        };
        let sid = create_app(data, &["--auth-method=private_key_jwt", &place]).client_id;
        json!({ "alg": right.alg, "sid": sid, "key": right.private_key, "wrong": wrong.private_key })
    });
    Value::from(apps.to_vec()).to_string()
}

/// Runs a script that gets tokens with keys instead of a secret.
fn assert_signs(name: &str) {
    let scene = scene_with(&["--outbound-allow-private=true"]);
    let apps = signing_apps(&scene.data);
    assert_passes_in(&scene, name, &[("APPS", &apps)]);
}

/// Runs a script that binds tokens to its key, at a server that demands nonces and at one that does not.
fn assert_binds(name: &str) {
    for nonces in ["false", "true"] {
        let scene = scene_with(&[&format!("--dpop-nonce={nonces}")]);
        assert_passes_in(&scene, name, &[("NONCES", nonces)]);
    }
}

#[test]
fn authlib_gets_tokens_and_understands_refusals() {
    assert_passes("authlib_client.py");
}

#[test]
fn requests_oauthlib_gets_tokens_and_understands_refusals() {
    assert_passes("requests_oauthlib_client.py");
}

#[test]
fn openid_client_gets_tokens_by_discovery_and_jose_verifies_them() {
    assert_passes("openid_client.mjs");
}

#[test]
fn oauth4webapi_finds_nothing_wrong_with_our_answers() {
    assert_passes("oauth4webapi.mjs");
}

#[test]
fn authlib_signs_with_every_kind_of_key() {
    assert_signs("authlib_private_key_jwt.py");
}

#[test]
fn requests_oauthlib_hands_over_assertions_made_elsewhere() {
    assert_signs("requests_oauthlib_private_key_jwt.py");
}

#[test]
fn openid_client_signs_with_every_kind_of_key() {
    assert_signs("openid_client_private_key_jwt.mjs");
}

#[test]
fn oauth4webapi_signs_with_every_kind_of_key() {
    assert_signs("oauth4webapi_private_key_jwt.mjs");
}

#[test]
fn openid_client_binds_tokens_to_its_key() {
    assert_binds("openid_client_dpop.mjs");
}

#[test]
fn oauth4webapi_binds_tokens_to_its_key() {
    assert_binds("oauth4webapi_dpop.mjs");
}

#[test]
fn msal_gets_tokens_for_a_whole_api_through_a_proxy_that_ends_tls() {
    let data = data_directory();
    let app = create_app(&data, &[]);
    // MSAL knows no issuer without a path.
    let issuer = format!("https://127.0.0.1:{}/acme", free_port());
    let server = Server::start_with(data.path(), &["--issuer", &issuer, "--outbound-allow-private=true"], &[]);
    let apps = signing_apps(&data);
    assert_passes_in(&Scene { data, server, app }, "msal_client.py", &[("ISSUER", &issuer), ("APPS", &apps)]);
}

#[test]
fn the_client_of_the_page_on_dpop_does_what_the_page_says() {
    assert_passes("dpop_client.py");
}

#[test]
fn a_guard_made_of_pyjwt_accepts_good_tokens_refuses_others_and_outlives_a_rotation() {
    let scene = scene();
    brevet(scene.data.path()).args(&["key", "generate"]).ok();
    eventually(PATIENCE, "the next key is published", || {
        let published = scene.server.get("/.well-known/jwks.json").json();
        (published["keys"].as_array().unwrap().len() == 2).then_some(())
    });
    let Some(mut command) = script(&scene, "pyjwt_guard.py") else {
        return;
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = String::new();
    for line in lines {
        last = line.unwrap();
        match last.as_str() {
            "rotate" => {
                brevet(scene.data.path()).args(&["key", "rotate", "--now"]).ok();
                writeln!(stdin, "rotated").unwrap();
            }
            "shorten" => {
                let short = brevet(scene.data.path())
                    .args(&["app", "create", "--org=acme", "--name=Short", "--scope=billing:read", "--lifetime=10s"])
                    .json();
                let text = |name: &str| short[name].as_str().unwrap().to_owned();
                writeln!(stdin, "{} {}", text("client_id"), text("client_secret")).unwrap();
            }
            _ => {}
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(last, "done");
}

/// Status and body of what curl fetches.
fn curl(args: &[&str]) -> Option<(String, Value)> {
    let asked = Command::new("curl").args(["-sS", "-w", "\n%{http_code}"]).args(args).output();
    let output = match asked {
        Ok(output) => output,
        Err(error) => {
            skip("curl", &format!("curl is not there: {error}"));
            return None;
        }
    };
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    Some((status.to_owned(), serde_json::from_str(body).unwrap()))
}

#[test]
fn curl_gets_tokens_by_basic_and_by_body_and_calls_a_route_with_them() {
    let scene = scene();
    let Some((_, discovered)) = curl(&[&format!("{}/.well-known/openid-configuration", scene.server.url)]) else {
        return;
    };
    let (url, sid, key) = (discovered["token_endpoint"].as_str().unwrap(), &scene.app.client_id, &scene.app.secret);
    let grant = ["-d", "grant_type=client_credentials", "-d", "scope=billing:read"];
    let user = format!("{sid}:{key}");
    let (id, secret) = (format!("client_id={sid}"), format!("client_secret={key}"));
    let by_basic = [&grant[..], &["-u", &user, url]].concat();
    let by_body = [&grant[..], &["-d", &id, "--data-urlencode", &secret, url]].concat();
    for right in [by_basic, by_body] {
        let (status, body) = curl(&right).unwrap();
        assert_eq!((status.as_str(), body["scope"].as_str()), ("200", Some("billing:read")), "{body}");
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(decode_jwt(token).1["iss"], scene.server.url);
        let bearer = format!("Authorization: Bearer {token}");
        let whoami = format!("{}/api/v1/whoami", scene.server.url);
        let (status, body) = curl(&["-H", &bearer, &whoami]).unwrap();
        assert_eq!((status.as_str(), body["client_id"].as_str()), ("200", Some(sid.as_str())));
    }
    let wrong_user = format!("{user}x");
    let wrong_secret = format!("{secret}x");
    for wrong in [
        [&grant[..], &["-u", &wrong_user, url]].concat(),
        [&grant[..], &["-d", &id, "-d", &wrong_secret, url]].concat(),
    ] {
        let (status, body) = curl(&wrong).unwrap();
        assert_eq!((status.as_str(), body["error"].as_str()), ("401", Some("invalid_client")));
    }
    // What people paste by mistake.
    let json = format!("{{\"grant_type\":\"client_credentials\",\"client_id\":\"{sid}\",\"client_secret\":\"{key}\"}}");
    let (status, body) = curl(&["-H", "Content-Type: application/json", "-d", &json, url]).unwrap();
    assert_eq!((status.as_str(), body["error"].as_str()), ("400", Some("invalid_request")));
    assert!(body["error_description"].as_str().unwrap().contains("application/x-www-form-urlencoded"));
}

/// The commands of the page, as a reader pastes them.
#[test]
fn curl_and_openssl_do_what_the_page_on_client_authentication_says() {
    let there = run(Command::new("curl").arg("--version"));
    let there = or_skip("curl", there).and_then(|_| or_skip("openssl", run(Command::new("openssl").arg("version"))));
    if there.is_none() {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/client-authentication.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [first, by_hand, ..] = blocks.as_slice() else { panic!("the page has no commands") };
    let data = data_directory();
    let server = Server::start_as_issuer(data.path(), &[]);
    let files = tempfile::tempdir().unwrap();
    let run = |script: &str, sid: &str| {
        let script = script.replace("http://127.0.0.1:8080", &server.url).replace("APP_SID --", &format!("{sid} --"));
        let output = Command::new("sh")
            .args(["-e", "-c", &format!("brevet() {{ {} \"$@\"; }}\n{script}", program().display())])
            .env("BREVET_DATA_DIR", data.path())
            .env("BREVET_ISSUER", &server.url)
            .env("APP_SID", sid)
            .current_dir(files.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (register, get) = first.split_once("brevet token get").unwrap();
    let sid = run(register, "").split_whitespace().last().unwrap().to_owned();
    let token = run(&format!("brevet token get{get}"), &sid);
    server.whoami(token.trim()).assert_status(200);
    let answer: Value = serde_json::from_str(&run(by_hand, &sid)).unwrap();
    server.whoami(answer["access_token"].as_str().unwrap()).assert_status(200);

    run(register.split("brevet").next().unwrap(), &sid);
    let answer: Value = serde_json::from_str(&run(by_hand, &sid)).unwrap();
    assert_eq!(answer["error"], "invalid_client", "another key: {answer}");
}

#[test]
fn schemathesis_finds_the_management_api_as_it_is_described() {
    let mut scene = scene();
    let scopes = ["apps:read", "apps:write", "apis:read", "apis:write", "keys:read", "audit:read", "usage:read"];
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("--scope={scope}")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let admin = brevet(scene.data.path()).args(&["app", "create", "--org=acme", "--name=Admin"]).args(&scopes).json();
    let text = |name: &str| admin[name].as_str().unwrap().to_owned();
    let other = scene.app.client_id.clone();
    scene.app = Credentials { client_id: text("client_id"), secret: text("client_secret") };
    let Some(mut command) = script(&scene, "schemathesis_run.py") else {
        return;
    };
    if let Err(why) = run(command.env("OTHER", other)) {
        panic!("{why}");
    }
    let log = scene.server.log();
    assert!(!log.contains("server_error") && !log.contains("panicked"), "{log}");
}
