//! The snippets that the dashboard shows: each is run as it stands, with the real tool, against a running server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use brevet::clock::Timestamp;
use brevet::db::apis::{ApiRecord, ScopeRecord};
use brevet::http::snippets::{Language, Snippets, Verifier, VerifyValues};
use brevet::oauth::{SigningAlgorithm, TokenProfile};
use scraper::{Html, Selector};
use serde_json::Value;
use tempfile::TempDir;

use crate::clients::{NODE, PYTHON};
use crate::examples::Example;
use crate::support::browser::Browser;
use crate::support::process::{Server, brevet, data_directory, free_port};
use crate::support::tools::{node_modules, or_skip, python, run};
use crate::support::{Credentials, PASSWORD};

const AUDIENCE: &str = "https://reports.example.com";

fn made(data: &TempDir, args: &[&str]) -> Credentials {
    let made = brevet(data.path()).args(&["app", "create", "--org=acme", "--name=Robot"]).args(args).json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Credentials { client_id: text("client_id"), secret: text("client_secret") }
}

fn create_ana(data: &TempDir) {
    let create = ["user", "create", "--org=acme", "--email=ana@example.com", "--role=owner", "--password-file=-"];
    brevet(data.path()).args(&create).stdin(PASSWORD).ok();
}

/// A browser at which Ana is signed in.
fn browser(server: &Server) -> Browser {
    let browser = Browser::new(&server.url);
    browser.sign_in("ana@example.com", PASSWORD).assert_status(200);
    browser
}

/// The snippet that a page shows, letter by letter.
fn shown(browser: &Browser, path: &str) -> String {
    let page = browser.get(path).assert_status(200);
    let document = Html::parse_document(&page.body);
    let snippet = document.select(&Selector::parse("#snippet code").unwrap()).next().unwrap();
    snippet.text().collect()
}

/// A server whose issuer is its address, an app with two scopes and one with one.
struct Scene {
    apps: [(Credentials, &'static str); 2],
    browser: Browser,
    files: TempDir,
    _server: Server,
    _data: TempDir,
}

impl Scene {
    fn new() -> Self {
        let data = data_directory();
        create_ana(&data);
        let both = made(&data, &["--scope=billing:read", "--scope=billing:write"]);
        let one = made(&data, &["--scope=billing:read"]);
        let server = Server::start_as_issuer(data.path(), &[]);
        Self {
            apps: [(both, "billing:read billing:write"), (one, "billing:read")],
            browser: browser(&server),
            files: tempfile::tempdir().unwrap(),
            _server: server,
            _data: data,
        }
    }

    /// Writes the program down as the page shows it, under the name that it gives it.
    fn written(&self, home: &Path, key: &str, app: &Credentials) -> PathBuf {
        let path = home.join(Language::of(key).unwrap().file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, shown(&self.browser, &format!("/apps/{}/start?lang={key}", app.client_id))).unwrap();
        path
    }
}

fn ran(mut command: Command, key: &str) -> Output {
    command.env("APP_KEY", key).stdin(Stdio::null()).output().unwrap()
}

/// Runs the program for each app, and with a wrong key.
fn exercise(key: &str, home: Option<&Path>, program: impl Fn(&Path) -> Command) {
    let scene = Scene::new();
    let home = home.unwrap_or(scene.files.path());
    for (app, granted) in &scene.apps {
        let path = scene.written(home, key, app);
        let output = ran(program(&path), &app.secret);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let answer: Value = serde_json::from_str(printed.trim()).unwrap_or_else(|error| {
            panic!("{key} {granted}: {error}: {printed} {}", String::from_utf8_lossy(&output.stderr))
        });
        assert_eq!((&answer["client_id"], &answer["scope"]), (&Value::from(&*app.client_id), &Value::from(*granted)));
        let output = ran(program(&path), "wrong");
        assert!(!output.status.success(), "{key}: a wrong key is noticed: {output:?}");
    }
}

#[test]
fn start_with_curl() {
    if or_skip("curl", run(Command::new("curl").arg("--version"))).is_some() {
        exercise("curl", None, |path| {
            let mut command = Command::new("sh");
            command.arg("-e").arg(path);
            command
        });
    }
}

#[test]
fn start_with_python() {
    let Some(python) = or_skip("python", PYTHON.clone()) else { return };
    exercise("python", None, |path| {
        let mut command = Command::new(&python);
        command.arg(path);
        command
    });
}

#[test]
fn start_with_node() {
    let Some(home) = or_skip("node", NODE.clone()) else { return };
    // Beside the modules, where Node looks for them.
    exercise("node", Some(&home), |path| {
        let mut command = Command::new("node");
        command.arg(path);
        command
    });
}

/// Go with the packages that Debian has, which need no network; built once for each text.
fn go(path: &Path) -> Command {
    let mut command = Command::new("go");
    command.arg("run").arg(path);
    command.envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOTOOLCHAIN", "local")]);
    command.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    command
}

fn has_go(package: &str) -> bool {
    let found = run(Command::new("go").arg("version")).and_then(|_| {
        let place = Path::new("/usr/share/gocode/src").join(package);
        place.is_dir().then_some(()).ok_or_else(|| format!("{} is missing", place.display()))
    });
    or_skip("go", found).is_some()
}

#[test]
fn start_with_go() {
    if has_go("golang.org/x/oauth2") {
        exercise("go", None, go);
    }
}

#[test]
fn start_with_java() {
    if or_skip("java", run(Command::new("javac").arg("-version"))).is_some() {
        exercise("java", None, |path| {
            let mut command = Command::new("java");
            command.arg(path);
            command
        });
    }
}

#[test]
fn start_with_php() {
    let with_curl = run(Command::new("php").args(["-r", "exit(extension_loaded('curl') ? 0 : 1);"]));
    if or_skip("php", with_curl).is_some() {
        exercise("php", None, |path| {
            let mut command = Command::new("php");
            command.arg(path);
            command
        });
    }
}

/// Built with the crates of this package, as they are built already.
#[test]
fn start_with_rust() {
    let home = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(root.join("Cargo.lock"), home.path().join("Cargo.lock")).unwrap();
    let manifest = r#"
        [package]
        name = "brevet-start"
        version = "0.1.0"
        edition = "2024"
        [workspace]
        [dependencies]
        serde_json = "1"
        ureq = { version = "3", default-features = false, features = ["rustls-no-provider", "rustls-webpki-roots", "json"] }
    "#;
    fs::write(home.path().join("Cargo.toml"), manifest).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("start-rust");
    exercise("rust", Some(home.path()), |_| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--offline", "--target-dir"]).arg(&target).current_dir(home.path());
        command
    });
}

/// A server with an API of that look, and tokens for it and for others.
struct Service {
    _server: Server,
    browser: Browser,
    api_id: String,
    good: String,
    other_scope: String,
    other_api: String,
    _data: TempDir,
}

impl Service {
    fn new(profile: TokenProfile, algorithm: SigningAlgorithm) -> Self {
        let data = data_directory();
        create_ana(&data);
        let (look, alg) = (format!("--profile={}", profile.name()), format!("--alg={}", algorithm.name()));
        let named = ["api", "create", "--org=acme", "--name=Reports", "--identifier", AUDIENCE];
        let scopes = ["--scope=reports:read", "--scope=reports:write"];
        let api = brevet(data.path()).args(&named).args(&scopes).args(&[&look, &alg]).json();
        let server = Server::start_as_issuer(data.path(), &[]);
        let token = |scope: &str| server.token(&made(&data, &[&format!("--scope={scope}")]));
        Self {
            api_id: api["id"].as_str().unwrap().to_owned(),
            good: token("reports:read"),
            other_scope: token("reports:write"),
            other_api: token("billing:read"),
            browser: browser(&server),
            _server: server,
            _data: data,
        }
    }

    fn text(&self, key: &str) -> String {
        shown(&self.browser, &format!("/apis/{}/verify?with={key}", self.api_id))
    }

    fn exercise(&self, example: &Example) {
        let forged = format!("{}x", self.good);
        for (what, token, status) in [
            ("a good token", &self.good, 200),
            ("without the scope", &self.other_scope, 403),
            ("for another API", &self.other_api, 401),
            ("forged", &forged, 401),
            ("a good token again", &self.good, 200),
        ] {
            let answer = example.get_with_token(token);
            assert_eq!(answer.status.as_u16(), status, "{what}: {} {}", answer.body, example.log());
        }
        example.get(&[]).assert_status(401);
        assert!(example.get_with_token(&self.good).body.contains("acme"));
    }
}

/// Those that `tests/examples.rs` does not run: it has the first of each.
const LOOKS: [(TokenProfile, SigningAlgorithm); 3] = [
    (TokenProfile::Classic, SigningAlgorithm::Rs256),
    (TokenProfile::Classic, SigningAlgorithm::Es256),
    (TokenProfile::Rfc9068, SigningAlgorithm::EdDsa),
];

fn exercise_guard(key: &str, looks: &[(TokenProfile, SigningAlgorithm)], start: impl Fn(&str, u16, &Path) -> Command) {
    for (profile, algorithm) in looks {
        let (service, port, home) = (Service::new(*profile, *algorithm), free_port(), tempfile::tempdir().unwrap());
        let mut command = start(&service.text(key), port, home.path());
        command.env("PORT", port.to_string());
        service.exercise(&Example::start(command, port));
    }
}

fn exercise_python(key: &str, example: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let Some(python) = or_skip("python", python(&format!("snippet-{key}"), &source.join("requirements.txt"))) else {
        return;
    };
    exercise_guard(key, &LOOKS, |text, _, home| {
        fs::write(home.join("app.py"), text).unwrap();
        let mut command = Command::new(&python);
        command.arg(home.join("app.py"));
        command
    });
}

#[test]
fn verify_with_flask() {
    exercise_python("flask", "flask-pyjwt");
}

#[test]
fn verify_with_fastapi() {
    exercise_python("fastapi", "fastapi");
}

#[test]
fn verify_with_express() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/express-jose");
    let Some(home) = or_skip("node", node_modules("snippet-express", &source)) else { return };
    exercise_guard("express", &LOOKS, |text, port, _| {
        let file = home.join(format!("server-{port}.js"));
        fs::write(&file, text).unwrap();
        let mut command = Command::new("node");
        command.arg(file).env("NODE_ENV", "production");
        command
    });
}

#[test]
fn verify_with_go() {
    if !has_go("github.com/coreos/go-oidc") {
        return;
    }
    let looks = [
        (TokenProfile::Rfc9068, SigningAlgorithm::Rs256),
        (TokenProfile::Classic, SigningAlgorithm::Rs256),
        (TokenProfile::Classic, SigningAlgorithm::Es256),
    ];
    exercise_guard("go", &looks, |text, port, home| {
        // Debian has an older version, which is called otherwise.
        let text = text.replace("go-oidc/v3/oidc", "go-oidc").replace("127.0.0.1:8081", &format!("127.0.0.1:{port}"));
        fs::write(home.join("main.go"), text).unwrap();
        let built = go(&home.join("main.go")).get_envs().fold(Command::new("go"), |mut command, (name, value)| {
            command.env(name, value.unwrap());
            command
        });
        let mut build = built;
        build.args(["build", "-o"]).arg(home.join("service")).arg(home.join("main.go"));
        run(&mut build).unwrap();
        Command::new(home.join("service"))
    });
}

/// What the proxies are told to do is understood by them, also for an issuer on https with a path and for odd names.
#[test]
fn verify_with_nginx_and_caddy_is_understood_by_both() {
    let scope = |name: &str| ScopeRecord { name: name.to_owned(), description: String::new(), sensitive: false };
    let api = ApiRecord {
        id: uuid::Uuid::nil(),
        organisation_id: None,
        name: "Odd".to_owned(),
        identifier: r#"urn:x:'";$(id)${host}{y}"#.to_owned(),
        profile: TokenProfile::Rfc9068,
        algorithm: SigningAlgorithm::Rs256,
        lifetime: None,
        scopes: vec![scope("$(id)'{x}#y;")],
        created_at: Timestamp::NEVER,
    };
    let values = VerifyValues::new("https://127.0.0.1:8443/brevet", &api, None);
    let text = |key: &str| Snippets::new().unwrap().verify(Verifier::of(key).unwrap(), &values).unwrap();
    let home = tempfile::tempdir().unwrap();
    if or_skip("nginx", run(Command::new("nginx").arg("-v"))).is_some() {
        let config = home.path().join("nginx.conf");
        fs::write(&config, text("nginx")).unwrap();
        let globals = "pid nginx.pid; error_log stderr;";
        run(Command::new("nginx").arg("-t").arg("-p").arg(home.path()).arg("-c").arg(&config).args(["-g", globals]))
            .unwrap();
    }
    if or_skip("caddy", run(Command::new("caddy").arg("version"))).is_some() {
        let config = home.path().join("Caddyfile");
        fs::write(&config, text("caddy")).unwrap();
        let adapted =
            run(Command::new("caddy").args(["adapt", "--adapter=caddyfile", "--config"]).arg(&config)).unwrap();
        let adapted: Value = serde_json::from_slice(&adapted.stdout).unwrap();
        let adapted = adapted.to_string();
        assert!(adapted.contains("/brevet/connect/verify?aud=urn:x:%27%22%3B%24%28id%29"), "{adapted}");
    }
}
