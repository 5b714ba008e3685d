//! A whole server inside the test: the real listener, router and database, and a clock that the test moves.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use brevet::clock::{ManualClock, Timestamp};
use brevet::config::{Config, Settings, SourceValues};
use brevet::db::apis::ScopeRecord;
use brevet::db::audit::{AuditEntry, AuditFilter};
use brevet::db::developers::Role;
use brevet::oauth::{ClientId, SigningAlgorithm, TokenProfile};
use brevet::secret::Secret;
use brevet::service::accounts::{self, NewMember};
use brevet::service::apis::{self, NewApi};
use brevet::service::apps::{self, NewApp};
use brevet::service::{Authority, Management, organisations};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::browser::Browser;
use super::http::{self, Answer};

/// When every test begins: 2026-11-22T00:00:00Z.
pub const START: Timestamp = Timestamp::from_seconds(1_795_305_600);

/// The password of everybody in tests.
pub const PASSWORD: &str = "quiet otters read maps";

/// An App SID and its App Key.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub client_id: String,
    pub secret: String,
}

impl Credentials {
    pub fn id(&self) -> ClientId {
        ClientId::parse(&self.client_id).unwrap()
    }

    /// The value of an `Authorization` header.
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.client_id, self.secret)))
    }

    /// Credentials and grant as a form body.
    pub fn form(&self) -> String {
        format!("grant_type=client_credentials&client_id={}&client_secret={}", self.client_id, self.secret)
    }
}

/// A running server. Changes made through `management` reach it with [`TestApp::catch_up`].
pub struct TestApp {
    pub management: Management,
    pub authority: Arc<Authority>,
    pub clock: Arc<ManualClock>,
    /// `http://127.0.0.1:PORT`, where the server listens; the issuer is another, fixed address.
    pub url: String,
    pub data: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestApp {
    /// A server on an empty SQLite database, with the organisation `acme` and its API `https://billing.example` with the
    /// scopes `billing:read` and `billing:write`.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with other settings.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let app = Self::empty(settings);
        app.create_organisation("acme");
        app.create_api("acme", "https://billing.example", &["billing:read", "billing:write"]);
        app
    }

    /// A server on an empty database.
    pub fn empty(settings: &[(&str, &str)]) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), Arc::new(ManualClock::new(START)), settings)
    }

    /// A server on this data directory and clock: another node, or the same one started again.
    pub fn on(data: Arc<TempDir>, clock: Arc<ManualClock>, settings: &[(&str, &str)]) -> Self {
        let config = test_config(&data, settings);
        let management = Management::open(config, clock.clone(), "test").unwrap();
        let authority = Arc::new(Authority::open(&management).unwrap());
        let (sender, receiver) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = authority.clone();
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = brevet::http::start(served).unwrap();
                sender.send(running.address).unwrap();
                let stopped = async move {
                    let _dropped = stopped.await;
                };
                running.serve_until(stopped).await.unwrap();
            });
        });
        let url = format!("http://{}", receiver.recv().unwrap());
        Self { management, authority, clock, url, data, stop: Some(stop), thread: Some(thread) }
    }

    /// Lets the server take in what was changed, as its tail would within a second.
    pub fn catch_up(&self) {
        use brevet::clock::Clock;
        self.authority.directory.catch_up(self.clock.now()).unwrap();
    }

    pub fn create_organisation(&self, slug: &str) {
        organisations::create(&self.management, slug, slug).unwrap();
    }

    /// Makes a person with a role, whose password is [`PASSWORD`].
    pub fn create_person(&self, organisation: &str, email: &str, role: Role) -> Uuid {
        let password = Secret::new(PASSWORD);
        let new = NewMember { organisation, email, login: None, role, password: &password };
        accounts::create(&self.management, &new).unwrap()
    }

    /// A browser of its own at which that person is signed in.
    pub fn browser_of(&self, email: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(email, PASSWORD).assert_status(200);
        browser
    }

    /// A browser at which nobody is signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.url)
    }

    pub fn create_api(&self, organisation: &str, identifier: &str, scopes: &[&str]) {
        self.create_api_with(organisation, identifier, scopes, TokenProfile::Rfc9068, SigningAlgorithm::Rs256);
    }

    pub fn create_api_with(
        &self,
        organisation: &str,
        identifier: &str,
        scopes: &[&str],
        profile: TokenProfile,
        algorithm: SigningAlgorithm,
    ) {
        let scope =
            |name: &&str| ScopeRecord { name: (*name).to_owned(), description: String::new(), sensitive: false };
        let api = NewApi {
            organisation,
            name: identifier,
            identifier,
            scopes: scopes.iter().map(scope).collect(),
            profile,
            algorithm,
            lifetime: None,
        };
        apis::create(&self.management, &api).unwrap();
        self.catch_up();
    }

    /// Registers an app of `acme` with these scopes.
    pub fn create_app(&self, scopes: &[&str]) -> Credentials {
        self.create_app_with("acme", NewApp { name: "robot".to_owned(), ..new_app(scopes) })
    }

    pub fn create_app_with(&self, organisation: &str, new: NewApp) -> Credentials {
        let created = apps::create(&self.management, organisation, new).unwrap();
        self.catch_up();
        let secret = created.client_secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default();
        Credentials { client_id: created.client_id.to_string(), secret }
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::get(&format!("{}{path}", self.url), headers)
    }

    /// Sends a form.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::post_form(&format!("{}{path}", self.url), headers, body)
    }

    /// Sends a form to the token endpoint.
    pub fn token_request(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        self.post("/connect/token", headers, body)
    }

    /// A client asks what a token is worth.
    pub fn introspect(&self, asker: &Credentials, token: &str) -> Answer {
        self.post("/connect/introspect", &[("authorization", &asker.basic())], &format!("token={token}"))
    }

    /// A client revokes a token.
    pub fn revoke(&self, client: &Credentials, token: &str) -> Answer {
        self.post("/connect/revocation", &[("authorization", &client.basic())], &format!("token={token}"))
    }

    /// Header and claims of a JWT that one of the published RSA keys signed.
    pub fn verified_jwt(&self, jwt: &str) -> (Value, Value) {
        let (header, claims) = decode_jwt(jwt);
        let jwks = self.get("/.well-known/jwks.json", &[]).json();
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let (n, e) = (part(key["n"].as_str().unwrap()), part(key["e"].as_str().unwrap()));
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let verified =
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &part(signature));
        verified.unwrap();
        assert_eq!(header["alg"], "RS256");
        (header, claims)
    }

    /// A token for everything the app was granted.
    pub fn token(&self, app: &Credentials) -> String {
        let answer = self.token_request(&[], &app.form()).assert_status(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// `GET path` with a bearer token.
    pub fn get_with_token(&self, path: &str, token: &str) -> Answer {
        self.get(path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// `127.0.0.1:PORT`, for raw connections.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test that failed has told why already.
            let _panicked = thread.join();
        }
    }
}

/// An app with these scopes and no wishes of its own.
pub fn new_app(scopes: &[&str]) -> NewApp {
    NewApp {
        name: "robot".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..NewApp::default()
    }
}

/// Settings for a test: any free port, one worker, a short stop. Patience for a machine that is busy with other things: a test
/// that is about what happens when the database is silent, or when nobody follows the changes, says how soon.
pub fn test_config(data: &TempDir, settings: &[(&str, &str)]) -> Arc<Config> {
    let data_dir = data.path().to_str().unwrap();
    let basics = [
        ("data-dir", data_dir),
        ("listen", "127.0.0.1:0"),
        ("admin-listen", "off"),
        ("workers", "1"),
        ("shutdown-grace", "1s"),
        ("app-cache", "1024"),
        ("database-timeout", "30s"),
        ("stale-limit", "1h"),
    ];
    let flags = basics.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let sources = SourceValues { flags, ..SourceValues::default() };
    Arc::new(Config::new(&Settings::resolve(&sources).unwrap()).unwrap())
}

/// Header and claims of a JWT, unchecked.
pub fn decode_jwt(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or_default());
    (parts.next().unwrap(), parts.next().unwrap())
}

/// What was done in an organisation, newest first.
pub fn audit(app: &TestApp, organisation: &str) -> Vec<AuditEntry> {
    let filter = AuditFilter::default();
    let rows = brevet::service::audit::list(&app.management, organisation, &filter, None, 1_000).unwrap();
    rows.into_iter().map(|row| row.entry).collect()
}
