//! Foreign clients and verifiers, none of them code of ours: curl, Authlib, requests-oauthlib, MSAL,
//! PyJWT; openid-client, oauth4webapi and jose.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Server, brevet, create_app, data_directory, eventually, free_port};
use crate::support::tools::{self, or_skip, run, skip};
use crate::support::{Credentials, decode_jwt};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A server whose issuer is its address, and an app.
struct Scene {
    data: TempDir,
    server: Server,
    app: Credentials,
}

fn scene() -> Scene {
    let data = data_directory();
    let app = create_app(data.path());
    let server = Server::start_as_issuer(data.path(), &[]);
    Scene { data, server, app }
}

/// Made once, however many tests need it.
static PYTHON: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| tools::python("python", &Path::new(SCRIPTS).join("requirements.txt")));

/// The pinned packages for Node, and the scripts beside them.
static NODE: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
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
        .env("OAUTHLIB_INSECURE_TRANSPORT", "1");
    Some(command)
}

/// Runs a script that needs nothing of us on its way.
fn assert_passes(name: &str) {
    let scene = scene();
    let Some(mut command) = script(&scene, name) else {
        return;
    };
    if let Err(why) = run(&mut command) {
        panic!("{name}: {why}\n{}", scene.server.log());
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
fn msal_gets_tokens_for_a_whole_api_through_a_proxy_that_ends_tls() {
    let data = data_directory();
    let app = create_app(data.path());
    // MSAL knows no issuer without a path.
    let issuer = format!("https://127.0.0.1:{}/acme", free_port());
    let server = Server::start_with(data.path(), &["--issuer", &issuer], &[]);
    let scene = Scene { data, server, app };
    let Some(mut command) = script(&scene, "msal_client.py") else {
        return;
    };
    if let Err(why) = run(command.env("ISSUER", &issuer)) {
        panic!("MSAL: {why}\n{}", scene.server.log());
    }
}

#[test]
fn the_client_of_the_page_on_dpop_does_what_the_page_says() {
    assert_passes("dpop_client.py");
}

#[test]
fn a_guard_made_of_pyjwt_accepts_good_tokens_refuses_others_and_outlives_a_rotation() {
    let scene = scene();
    brevet(scene.data.path()).args(&["key", "generate"]).ok();
    eventually(Duration::from_secs(1), "the next key is published", || {
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
                    .args(&["app", "create", "--org=acme", "--name=Short", "--scope=billing:read", "--lifetime=2s"])
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
    let (url, sid, key) = (format!("{}/connect/token", scene.server.url), &scene.app.client_id, &scene.app.secret);
    let grant = ["-d", "grant_type=client_credentials"];
    let user = format!("{sid}:{key}");
    let (id, secret) = (format!("client_id={sid}"), format!("client_secret={key}"));
    let by_basic = [&grant[..], &["-u", &user, &url]].concat();
    let by_body = [&grant[..], &["-d", &id, "--data-urlencode", &secret, &url]].concat();
    for right in [by_basic, by_body] {
        let Some((status, body)) = curl(&right) else { return };
        assert_eq!(status, "200", "{body}");
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
        [&grant[..], &["-u", &wrong_user, &url]].concat(),
        [&grant[..], &["-d", &id, "-d", &wrong_secret, &url]].concat(),
    ] {
        let (status, body) = curl(&wrong).unwrap();
        assert_eq!((status.as_str(), body["error"].as_str()), ("401", Some("invalid_client")));
    }
    // What people paste by mistake.
    let json = format!("{{\"grant_type\":\"client_credentials\",\"client_id\":\"{sid}\",\"client_secret\":\"{key}\"}}");
    let (status, body) = curl(&["-H", "Content-Type: application/json", "-d", &json, &url]).unwrap();
    assert_eq!((status.as_str(), body["error"].as_str()), ("400", Some("invalid_request")));
    assert!(body["error_description"].as_str().unwrap().contains("application/x-www-form-urlencoded"));
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
