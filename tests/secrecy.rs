//! Secrets stay where they belong: checks 210, 214 and 217. What must not be seen is searched for in everything that a
//! server and its commands leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use brevet::clock::{Clock, SystemClock};
use brevet::config::{Config, Settings, SourceValues};
use brevet::db::signing_keys;
use brevet::keys::dpop::Shown;
use brevet::keys::envelope::MasterKey;
use brevet::oauth::client::PresentedCredentials;
use brevet::oauth::dpop::ProvenRequest;
use brevet::oauth::header::Header;
use brevet::oauth::request::TokenParams;
use brevet::secret::Secret;
use brevet::service::{Authority, Management};
use serde_json::json;

use crate::client_assertion::{claims, create_signing_app, form};
use crate::support::process::{Server, brevet, create_app, data_directory, line_value};
use crate::support::signer::Signer;
use crate::support::{Credentials, http};

const PASSWORD: &str = "correct-horse-battery-staple";
/// A key that somebody mistyped, or that is of another server.
const WRONG_KEY: &str = "bvk_WrongWrongWrongWrongWrongWrongWrongWrongWro000000";

/// What must not be seen, under a name that a failure may show.
#[derive(Default)]
struct Needles(BTreeMap<String, Vec<u8>>);

impl Needles {
    fn add(&mut self, name: &str, octets: impl AsRef<[u8]>) {
        let octets = octets.as_ref();
        assert!(octets.len() >= 10, "{name} is too short to be searched for");
        self.0.insert(name.to_owned(), octets.to_vec());
    }

    /// An App Key, as it is and as HTTP Basic carries it.
    fn add_credentials(&mut self, name: &str, app: &Credentials) {
        self.add(name, &app.secret);
        self.add(&format!("{name} in Basic"), app.basic().trim_start_matches("Basic "));
    }

    /// A token's claims and signature; every token has the same header.
    fn add_token(&mut self, name: &str, token: &str) {
        let mut parts = token.split('.').skip(1);
        self.add(&format!("{name}: claims"), parts.next().unwrap());
        self.add(&format!("{name}: signature"), parts.next().unwrap());
    }

    /// A private key, in DER and in the middle of what base64 makes of it, whatever the line length.
    fn add_private_key(&mut self, name: &str, der: &[u8]) {
        let middle = der.len() / 2;
        self.add(&format!("{name}: DER"), &der[middle..middle + 32]);
        let base64 = STANDARD.encode(der);
        self.add(&format!("{name}: base64"), &base64[640..672]);
        let hex: String = der[middle..middle + 16].iter().map(|octet| format!("{octet:02x}")).collect();
        self.add(&format!("{name}: hex"), hex);
    }

    fn assert_none_in(&self, place: &str, content: &[u8]) {
        for (name, needle) in &self.0 {
            let found = content.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{name} is in {place}");
        }
    }
}

/// The private keys of a data directory, opened with its master key.
fn private_keys(data: &Path) -> Vec<Vec<u8>> {
    let master = MasterKey::read_file(&data.join("master.key")).unwrap().unwrap();
    let management = management(data, &[]);
    let records = management.database().read(signing_keys::list).unwrap();
    assert!(!records.is_empty());
    let open = |record: &signing_keys::SigningKeyRecord| {
        master.open(&record.kid, &record.sealed_private_key).unwrap().to_vec()
    };
    records.iter().map(open).collect()
}

fn sources(data: &Path, variables: &[(&str, &str)]) -> SourceValues {
    SourceValues {
        flags: [("data-dir".to_owned(), data.to_str().unwrap().to_owned())].into(),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        file: None,
    }
}

fn management(data: &Path, variables: &[(&str, &str)]) -> Management {
    let config = Config::new(&Settings::resolve(&sources(data, variables)).unwrap()).unwrap();
    Management::open(Arc::new(config), Arc::new(SystemClock), "test").unwrap()
}

/// Everything a client may do with secrets, right and wrong.
fn use_secrets(server: &Server, app: &Credentials, needles: &mut Needles) {
    let wrong = Credentials { secret: WRONG_KEY.to_owned(), ..app.clone() };
    needles.add_credentials("the App Key", app);
    needles.add_credentials("a wrong key", &wrong);
    let basic =
        |app: &Credentials| server.token_request(&[("authorization", &app.basic())], "grant_type=client_credentials");
    let token_of = |answer: &http::Answer| answer.json()["access_token"].as_str().unwrap().to_owned();

    let by_basic = token_of(&basic(app).assert_status(200));
    let by_body = server.token(app);
    needles.add_token("a token by Basic", &by_basic);
    needles.add_token("a token by body", &by_body);
    basic(&wrong).assert_status(401);
    server.token_request(&[], &wrong.form()).assert_status(401);
    server.token_request(&[("authorization", &app.basic())], &app.form()).assert_status(400);
    server
        .token_request(&[("authorization", "Basic !!!not-base64-at-all!!!")], "grant_type=client_credentials")
        .assert_status(401);
    let bare = STANDARD.encode(&app.secret);
    needles.add("the key alone in Basic", &bare);
    server
        .token_request(&[("authorization", &format!("Basic {bare}"))], "grant_type=client_credentials")
        .assert_status(401);
    // Credentials where they do not belong.
    let in_query = format!("{}/connect/token?{}", server.url, app.form());
    http::post_form(&in_query, &[], "grant_type=client_credentials").assert_status(400);
    let json = format!("{{\"client_id\":\"{}\",\"client_secret\":\"{}\"}}", app.client_id, app.secret);
    let token_url = format!("{}/connect/token", server.url);
    http::send("POST", &token_url, &[("content-type", "application/json")], Some(json.as_bytes())).assert_status(400);
    server.token_request(&[], &format!("{}&client_secret={WRONG_KEY}", app.form())).assert_status(400);
    server.token_request(&[], &format!("{}&scope={WRONG_KEY}&resource={WRONG_KEY}", app.form())).assert_status(400);
    server.token_request(&[], &format!("grant_type={WRONG_KEY}&client_id={WRONG_KEY}")).assert_status(401);
    server.get(&format!("/{WRONG_KEY}/{}", app.secret)).assert_status(404);

    server.whoami(&by_basic).assert_status(200);
    let forged = format!("{}A{}", &by_body[..by_body.len() - 3], &by_body[by_body.len() - 2..]);
    server.whoami(&forged).assert_status(401);
    server.whoami(&app.secret).assert_status(401);
    server.get(&format!("/api/v1/whoami?access_token={by_basic}")).assert_status(400);
    let whoami = format!("{}/api/v1/whoami", server.url);
    http::get(&whoami, &[("authorization", &app.basic())]).assert_status(401);
    http::get(&whoami, &[("cookie", &format!("token={by_basic}"))]).assert_status(401);

    // A client that leaves in the middle of its key, and one that is not well-formed.
    let head = "POST /connect/token HTTP/1.1\r\nHost: brevet\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    for rest in [format!("Content-Length: 900\r\n\r\n{}", app.form()), format!("Bad Header {}\r\n\r\n", app.secret)] {
        let mut leaving = TcpStream::connect(server.address()).unwrap();
        leaving.write_all(format!("{head}{rest}").as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(100));
}

/// A client that registers itself, changes and shows itself, right and wrong.
fn register(data: &Path, server: &Server, needles: &mut Needles) {
    let made =
        brevet(data).args(&["-v", "registration-token", "create", "--org=acme", "--uses=2"]).run().assert_code(0);
    let initial = made.stdout.trim();
    needles.add("an initial access token", initial);
    needles.assert_none_in("what is said of a registration token", made.stderr.as_bytes());
    let send = |method: &str, path: &str, token: &str, body: &str| {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        http::send(method, &format!("{}{path}", server.url), &headers, Some(body.as_bytes()))
    };
    let answer = send("POST", "/connect/register", initial, "{}").assert_status(201).json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let (token, secret) = (text("registration_access_token"), text("client_secret"));
    needles.add("a registration access token", &token);
    needles.add("the key of a registered client", &secret);
    let path = format!("/connect/register/{}", text("client_id"));
    let chosen = "chosen-by-the-client";
    needles.add("a secret that a client chose", chosen);
    let change = |secret: &str| format!(r#"{{"client_id":"{}","client_secret":"{secret}"}}"#, text("client_id"));
    send("PUT", &path, &token, &change(&secret)).assert_status(200);
    send("PUT", &path, &token, &change(chosen)).assert_status(400);
    send("PUT", &path, initial, &change(&secret)).assert_status(401);
    send("POST", "/connect/register", &token, "{}").assert_status(401);
    send("POST", "/connect/register", initial, &format!("{{{chosen}")).assert_status(400);
    let private = "cHJpdmF0ZSBrZXkgc2VudCBieSBtaXN0YWtl";
    needles.add("a private key that a client sent by mistake", private);
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{private}","d":"{private}"}}"#);
    for keys in
        [format!("\"{private}\""), format!("[\"{private}\"]"), format!("[{jwk}]"), format!("{{\"{private}\":1}}")]
    {
        let body = format!(r#"{{"token_endpoint_auth_method":"private_key_jwt","jwks":{{"keys":{keys}}}}}"#);
        send("POST", "/connect/register", initial, &body).assert_status(400);
    }
}

/// Assertions, proofs, and tokens in the bodies of introspection and revocation, right and wrong.
fn use_signatures(server: &Server, client_id: &str, signer: &Signer, app: &Credentials, needles: &mut Needles) {
    let now = SystemClock.now().seconds();
    let assertion = signer.sign(&claims(client_id, now));
    needles.add_token("an assertion", &assertion);
    server.token_request(&[], &form(&assertion)).assert_status(200);
    server.token_request(&[], &form(&assertion)).assert_status(401);
    server.token_request(&[], &form(&assertion[..assertion.len() - 4])).assert_status(401);
    let in_query = format!("{}/connect/token?{}", server.url, form(&assertion));
    http::post_form(&in_query, &[], "").assert_status(400);

    let mut jwk = signer.jwk.clone();
    jwk.as_object_mut().unwrap().remove("kid");
    let header = json!({ "alg": signer.alg, "typ": "dpop+jwt", "jwk": jwk });
    let htu = "http://127.0.0.1:8080/connect/token";
    let proof = signer.sign_with(&header, &json!({ "jti": "a proof", "htm": "POST", "htu": htu, "iat": now }));
    needles.add_token("a proof", &proof);
    let with_proof = |proof: &str| server.token_request(&[("dpop", proof)], &app.form());
    let bound = with_proof(&proof).assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    needles.add_token("a bound token", &bound);
    with_proof(&proof).assert_status(400);
    with_proof(&proof[..proof.len() - 4]).assert_status(400);
    let headers = [("authorization", &*format!("DPoP {bound}")), ("dpop", &*proof)];
    http::get(&format!("{}/api/v1/whoami", server.url), &headers).assert_status(401);
    server.whoami(&bound).assert_status(401);

    let basic = app.basic();
    for path in ["introspect", "revocation"] {
        let ask = |target: &str, body: &str| {
            http::post_form(&format!("{}/connect/{target}", server.url), &[("authorization", &basic)], body)
        };
        ask(path, &format!("token={bound}")).assert_status(200);
        ask(path, &format!("token={}", app.secret)).assert_status(200);
        ask(&format!("{path}?token={bound}"), "").assert_status(400);
    }
}

#[test]
fn no_secret_is_in_logs_metrics_the_process_list_or_the_data_directory() {
    for format in ["text", "json"] {
        let data = data_directory();
        let mut needles = Needles::default();
        needles.add("a password", PASSWORD);
        let password_file = data.path().join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        let made = brevet(data.path())
            .args(&["-v", "user", "create", "--org=acme", "--email=ana@acme.example", "--password-file"])
            .args(&[password_file.to_str().unwrap()])
            .run()
            .assert_code(0);
        fs::remove_file(&password_file).unwrap();
        let app = create_app(data.path());
        let signer = Signer::ed25519("k");
        let signing = create_signing_app(data.path(), &signer);
        for (at, der) in private_keys(data.path()).iter().enumerate() {
            needles.add_private_key(&format!("private key {at}"), der);
        }
        let master_hex = fs::read_to_string(data.path().join("master.key")).unwrap();
        let master_file = data.path().join("master.key").to_str().unwrap().to_owned();
        let variables = [("BREVET_LOG", "trace"), ("BREVET_MASTER_KEY_FILE", master_file.as_str())];
        let mut server = Server::start_with(
            data.path(),
            &["--throttle-failures=off", "--shutdown-grace=1s", "--log-format", format],
            &variables,
        );
        use_secrets(&server, &app, &mut needles);
        register(data.path(), &server, &mut needles);
        use_signatures(&server, &signing, &signer, &app, &mut needles);

        needles.assert_none_in("/metrics", server.get_admin("/metrics").body.as_bytes());
        needles.assert_none_in("the output of user create", format!("{made:?}").as_bytes());
        needles.assert_none_in("the banner", server.banner().as_bytes());
        needles.add("the master key", master_hex.trim());
        for part in ["cmdline", "environ", "comm"] {
            let content = fs::read(format!("/proc/{}/{part}", server.pid())).unwrap();
            needles.assert_none_in(&format!("/proc/PID/{part}"), &content);
        }
        server.terminate();
        assert!(server.wait().success());
        let log = server.log();
        assert!(log.lines().count() > 200, "it was not set to say everything");
        needles.assert_none_in(&format!("the {format} log"), log.as_bytes());
        needles.0.remove("the master key");
        let mut files = 0;
        for entry in fs::read_dir(data.path()).unwrap() {
            let path = entry.unwrap().path();
            needles.assert_none_in(&path.display().to_string(), &fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files >= 2);
    }
}

#[test]
fn the_demo_key_and_password_are_in_the_banner_and_nowhere_else() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(data.path(), &["--demo", "--shutdown-grace=1s"], &[("BREVET_LOG", "trace")]);
    let banner = server.banner();
    let mut needles = Needles::default();
    let app = Credentials {
        client_id: line_value(&banner, "App SID").to_owned(),
        secret: line_value(&banner, "App Key").to_owned(),
    };
    needles.add_credentials("the demo App Key", &app);
    needles.add("the demo password", line_value(&banner, "developer").split(' ').next_back().unwrap());
    server.token(&app);
    server.terminate();
    assert!(server.wait().success());
    needles.assert_none_in("the log", server.log().as_bytes());
    for entry in fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        needles.assert_none_in(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let mut needles = Needles::default();
    needles.add("a password", PASSWORD);
    let found = std::panic::catch_unwind(|| needles.assert_none_in("a text", format!("x{PASSWORD}y").as_bytes()));
    assert!(found.is_err());
}

#[test]
fn debug_output_of_settings_memory_and_requests_holds_no_secret() {
    let data = data_directory();
    let master_hex = fs::read_to_string(data.path().join("master.key")).unwrap();
    let url = format!("sqlite://{}/brevet.db", data.path().display());
    let variables = [("BREVET_MASTER_KEY", master_hex.trim()), ("BREVET_DATABASE_URL", url.as_str())];
    let mut needles = Needles::default();
    needles.add("the master key", master_hex.trim());
    let given = sources(data.path(), &[("BREVET_DATABASE_URL", "postgres://brevet:hunter2hunter2@db/brevet")]);
    needles.add("a database password", "hunter2hunter2");
    let settings = Settings::resolve(&given).unwrap();
    let config = Config::new(&settings).unwrap();
    for (name, shown) in [
        ("SourceValues", format!("{given:?}")),
        ("Settings", format!("{settings:#?}")),
        ("Config", format!("{config:?}")),
    ] {
        needles.assert_none_in(name, shown.as_bytes());
        assert!(shown.to_lowercase().contains("database"), "{shown}");
    }

    let management = management(data.path(), &variables);
    let authority = Authority::open(&management).unwrap();
    let app = create_app(data.path());
    needles.add_credentials("the App Key", &app);
    let form = app.form();
    let params = TokenParams::from_form(form.as_bytes()).unwrap();
    let basic = app.basic();
    let header = Header::One(basic.as_bytes());
    let assertion = Signer::ed25519("k").sign(&claims(&app.client_id, 1));
    needles.add_token("an assertion", &assertion);
    let assertion_form = crate::client_assertion::form(&assertion);
    let assertion_params = TokenParams::from_form(assertion_form.as_bytes()).unwrap();
    let request = ProvenRequest { method: "GET", url: &assertion, access_token: Some(&app.secret) };
    let shown = [
        ("Management", format!("{management:?}")),
        ("Authority", format!("{authority:?}")),
        ("TokenParams", format!("{params:?}")),
        ("Authorization", format!("{header:?}")),
        ("PresentedCredentials by body", format!("{:?}", PresentedCredentials::read(Header::None, &params))),
        (
            "PresentedCredentials by Basic",
            format!(
                "{:?}",
                PresentedCredentials::read(header, &TokenParams::from_form(b"grant_type=client_credentials").unwrap())
            ),
        ),
        ("TokenParams with an assertion", format!("{assertion_params:?}")),
        (
            "PresentedCredentials by assertion",
            format!("{:?}", PresentedCredentials::read(Header::None, &assertion_params)),
        ),
        ("Shown", format!("{:?}", Shown::WithProof(&assertion, request))),
        ("Secret", format!("{:?}", Secret::new(app.secret.as_str()))),
        ("SourceValues", format!("{:?}", sources(data.path(), &variables))),
    ];
    for (name, shown) in shown {
        needles.assert_none_in(name, shown.as_bytes());
        assert!(shown.len() > 5, "{name}: {shown}");
    }
}
