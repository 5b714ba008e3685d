//! Guards for services: what verifies the tokens of one API, in the service itself or in front of it.

use serde::Serialize;
use url::Url;

use crate::db::apis::ApiRecord;
use crate::oauth::metadata::path;
use crate::oauth::{SigningAlgorithm, TokenProfile};

/// A kind of guard.
#[derive(Debug, PartialEq, Eq)]
pub struct Verifier {
    /// Its name in addresses.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// The name of the file.
    pub file: &'static str,
    /// What must be installed or known before; empty if nothing.
    pub needs: &'static str,
    /// When it learns of a new signing key.
    pub rotation: &'static str,
    /// How far clocks may be apart.
    pub skew: &'static str,
    /// When it learns of a revoked token or a disabled app.
    pub revocation: &'static str,
    /// What it can verify; others are judged by Brevet itself.
    algorithms: &'static [SigningAlgorithm],
}

const ALL: &[SigningAlgorithm] = SigningAlgorithm::ALL;
const NO_EDDSA: &[SigningAlgorithm] = &[SigningAlgorithm::Rs256, SigningAlgorithm::Ps256, SigningAlgorithm::Es256];
const NO_PS256: &[SigningAlgorithm] = &[SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
const ONLY_RS256: &[SigningAlgorithm] = &[SigningAlgorithm::Rs256];

const OFFLINE: &str = "It verifies offline, so a revoked token works until it expires: give the API a short lifetime, ask introspection, or follow the revocation feed.";
const ASKS: &str = "It asks Brevet for each request, so a revoked token or a disabled app is refused within a second.";
const BRIEF: &str = "It keeps the keys for five minutes and fetches them again for one it does not know, at most once a second: it outlives even a key that signs at once.";
const NO_LEEWAY: &str = "No leeway: Brevet back-dates iat and nbf by 5 s for clocks that are a little behind.";
const JUDGED: &str = "Brevet judges with its own clock and keys.";

/// All of them, the first is shown first.
pub const VERIFIERS: &[Verifier; 15] = &[
    Verifier {
        key: "flask",
        label: "Flask",
        file: "app.py",
        needs: "pip install flask 'PyJWT[crypto]'",
        rotation: BRIEF,
        skew: NO_LEEWAY,
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "fastapi",
        label: "FastAPI",
        file: "app.py",
        needs: "pip install fastapi uvicorn 'PyJWT[crypto]'",
        rotation: BRIEF,
        skew: NO_LEEWAY,
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "express",
        label: "Express",
        file: "server.js",
        needs: "npm install express jose",
        rotation: BRIEF,
        skew: NO_LEEWAY,
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "spring",
        label: "Spring",
        file: "TokenSecurity.java",
        needs: "spring-boot-starter-oauth2-resource-server",
        rotation: "It keeps the keys for five minutes and fetches them again for one it does not know.",
        skew: "60 s leeway (JwtTimestampValidator): a token is taken up to a minute after it expired.",
        revocation: OFFLINE,
        algorithms: NO_EDDSA,
    },
    Verifier {
        key: "aspnet",
        label: "ASP.NET",
        file: "Program.cs",
        needs: "dotnet add package Microsoft.AspNetCore.Authentication.JwtBearer",
        rotation: "It fetches the keys every 12 hours, and for one it does not know at most every 5 minutes. Brevet publishes a key a day before it signs, so no token is refused; after an emergency revocation restart the service.",
        skew: "5 s leeway, as written here; the default would be 5 minutes.",
        revocation: OFFLINE,
        algorithms: NO_EDDSA,
    },
    Verifier {
        key: "go",
        label: "Go",
        file: "main.go",
        needs: "go get github.com/coreos/go-oidc/v3 (3.6 or later for EdDSA)",
        rotation: "It keeps the keys and fetches them again for one it does not know. A revoked key stays known until the service is restarted.",
        skew: "No leeway for exp, 5 minutes for nbf.",
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "actix",
        label: "actix-web",
        file: "src/main.rs",
        needs: "brevet with the feature guard alone; see docs/verify.md",
        rotation: "It fetches the keys when their max-age is over and for one it does not know; a request waits for them at most 2 s.",
        skew: NO_LEEWAY,
        revocation: "It follows the revocation feed: a revoked token or a disabled app is refused about a second later.",
        algorithms: ALL,
    },
    Verifier {
        key: "nginx",
        label: "nginx",
        file: "nginx.conf",
        needs: "nginx with auth_request",
        rotation: JUDGED,
        skew: NO_LEEWAY,
        revocation: ASKS,
        algorithms: ALL,
    },
    Verifier {
        key: "traefik",
        label: "Traefik",
        file: "dynamic.yml",
        needs: "an entry point named web, and this file as provider",
        rotation: JUDGED,
        skew: NO_LEEWAY,
        revocation: ASKS,
        algorithms: ALL,
    },
    Verifier {
        key: "envoy",
        label: "Envoy",
        file: "envoy.yaml",
        needs: "",
        rotation: "It fetches the keys every five minutes and not for one it does not know. Brevet publishes a key a day before it signs, so no token is refused; after a rotation at once wait five minutes.",
        skew: "5 s leeway, as written here; the default would be 60 s.",
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "caddy",
        label: "Caddy",
        file: "Caddyfile",
        needs: "",
        rotation: JUDGED,
        skew: NO_LEEWAY,
        revocation: ASKS,
        algorithms: ALL,
    },
    Verifier {
        key: "kong",
        label: "Kong",
        file: "kong.yml",
        needs: "Kong Gateway Enterprise. With the open-source one, put Caddy, nginx or Traefik in front.",
        rotation: "It keeps what discovery said, and asks again for a key it does not know, at most every 30 s as written here; when Brevet is away it goes on with the last keys.",
        skew: "5 s leeway, as written here.",
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "aws",
        label: "AWS HTTP API",
        file: "template.yaml",
        needs: "an issuer that AWS reaches over https://",
        rotation: "It keeps the keys for two hours. Brevet publishes a key a day before it signs, so no token is refused; after an emergency revocation a dead key is taken for up to two hours.",
        skew: "AWS does not say how much leeway it gives.",
        revocation: OFFLINE,
        algorithms: ONLY_RS256,
    },
    Verifier {
        key: "postgrest",
        label: "PostgREST",
        file: "postgrest.conf",
        needs: "",
        rotation: "It never fetches keys: the timer in the snippet does. Once an hour is plenty, because Brevet publishes a key a day before it signs.",
        skew: "30 s leeway.",
        revocation: OFFLINE,
        algorithms: ALL,
    },
    Verifier {
        key: "hasura",
        label: "Hasura",
        file: ".env",
        needs: "",
        rotation: "It fetches the keys as often as their Cache-Control says: every five minutes.",
        skew: "5 s leeway, as written here.",
        revocation: OFFLINE,
        algorithms: NO_PS256,
    },
];

/// What does not look at `typ` or `cnf`.
const COARSE: &[&str] = &["kong", "aws", "hasura"];

impl Verifier {
    /// The guard of that name.
    pub fn of(key: &str) -> Option<&'static Self> {
        VERIFIERS.iter().find(|verifier| verifier.key == key)
    }

    /// The one that is shown first.
    pub fn first() -> &'static Self {
        let [first, ..] = VERIFIERS;
        first
    }

    /// What does not fit between this guard and that API.
    pub fn caveats(&self, api: &ApiRecord) -> Vec<String> {
        let mut found = Vec::new();
        if !self.algorithms.contains(&api.algorithm) {
            let known: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            found.push(format!(
                "{} cannot verify {}, with which tokens for this API are signed. Choose {} for the API, or put a proxy in front that asks Brevet.",
                self.label,
                api.algorithm.name(),
                known.join(", ")
            ));
        }
        if api.scopes.is_empty() {
            found.push(
                "This API has no scope yet, so no app can get a token for it; the one below is made up.".to_owned(),
            );
        }
        if COARSE.contains(&self.key) {
            found.push(
                "It looks at neither typ nor cnf: a token that is bound to a DPoP key is taken without a proof. If that must not be, put a proxy in front that asks Brevet.".to_owned(),
            );
        }
        if self.key == "postgrest" {
            found.push("It does not look at typ.".to_owned());
        }
        found
    }
}

/// What stands in a guard.
#[derive(Debug, Serialize)]
pub struct VerifyValues {
    issuer: String,
    jwks_url: String,
    discovery_url: String,
    audience: String,
    scope: String,
    algorithm: &'static str,
    classic: bool,
    /// A word for paths and realms, which is a name in every language.
    slug: String,
    /// Where Brevet is: without a slash at the end.
    base: String,
    https: bool,
    plain_http: bool,
    host: String,
    port: u16,
    authority: String,
    prefix: String,
    /// Where the service is.
    public_url: String,
    public_host: String,
}

impl VerifyValues {
    /// For one API of the server with that issuer; `scope` is the one to demand, if not the API's first.
    pub fn new(issuer: &str, api: &ApiRecord, scope: Option<&str>) -> Self {
        let url = Url::parse(issuer).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("127.0.0.1").to_owned();
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
        let https = !issuer.starts_with("http://");
        let public = Url::parse(&api.identifier).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let public_host = public.as_ref().and_then(Url::host_str).unwrap_or("api.example.com").to_owned();
        let known = |name: &&str| api.scopes.iter().any(|scope| scope.name == *name);
        let first = || api.scopes.first().map(|scope| scope.name.clone());
        let slug = slug(public.as_ref().and_then(Url::host_str));
        Self {
            jwks_url: format!("{issuer}{}", path::JWKS),
            discovery_url: format!("{issuer}{}", path::OPENID_CONFIGURATION),
            audience: api.identifier.clone(),
            scope: scope.filter(known).map(str::to_owned).or_else(first).unwrap_or_else(|| format!("{slug}:read")),
            algorithm: api.algorithm.name(),
            classic: api.profile == TokenProfile::Classic,
            base: issuer.to_owned(),
            plain_http: !https,
            authority: format!("{host}:{port}"),
            prefix: url.as_ref().map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default(),
            public_url: public
                .as_ref()
                .map_or_else(|| format!("https://{public_host}"), |url| url.origin().ascii_serialization()),
            issuer: issuer.to_owned(),
            https,
            host,
            port,
            public_host,
            slug,
        }
    }
}

impl VerifyValues {
    /// The scope that the guard demands.
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

/// The first label of the API's host, if it can be the name of a function.
fn slug(host: Option<&str>) -> String {
    // Words that the languages or the snippets themselves need.
    const TAKEN: &[&str] = &[
        "and", "api", "app", "as", "async", "await", "bearer", "break", "builder", "class", "const", "continue",
        "crate", "def", "del", "elif", "else", "enum", "except", "extern", "false", "finally", "fn", "for", "from",
        "g", "get", "global", "guard", "if", "impl", "import", "in", "is", "jsonify", "jwt", "keys", "lambda", "let",
        "loop", "main", "match", "mod", "move", "mut", "not", "or", "os", "pass", "pub", "raise", "ref", "refused",
        "request", "requires", "return", "self", "static", "struct", "super", "token", "trait", "true", "try", "type",
        "unsafe", "use", "uvicorn", "verified", "where", "while", "with", "wraps", "yield",
    ];
    let label = host.and_then(|host| host.split('.').next()).unwrap_or_default();
    let starts = label.starts_with(|first: char| first.is_ascii_lowercase());
    let plain = label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) && label.len() <= 30;
    if starts && plain && !TAKEN.contains(&label) { label.to_owned() } else { "things".to_owned() }
}
