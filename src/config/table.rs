//! The one table of settings.

/// One setting: `--issuer`, `BREVET_ISSUER` and `issuer = "…"` in the file.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Flag and TOML key, in kebab case.
    pub key: &'static str,
    /// What holds when nothing is said. `{data-dir}` stands for that setting.
    pub default: &'static str,
    /// What the value looks like, for help.
    pub value_name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Who takes it as a flag.
    pub flag: Flag,
    /// Masked when shown, and can be read from a file named by the variable with `_FILE` added.
    pub secret: bool,
}

impl Setting {
    /// `BREVET_ISSUER` for `issuer`.
    pub fn variable(&self) -> String {
        format!("BREVET_{}", self.key.replace('-', "_").to_uppercase())
    }

    /// `BREVET_DATABASE_URL_FILE` for `database-url`: only secrets have one.
    pub(super) fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.variable()))
    }
}

/// Which commands take a setting as a flag. Variable and file hold for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Every command.
    Everywhere,
    /// `serve`, `config show` and `doctor` only.
    Serve,
    /// None: it would show in the process list.
    Never,
}

const fn setting(key: &'static str, default: &'static str, value_name: &'static str, help: &'static str) -> Setting {
    Setting { key, default, value_name, help, flag: Flag::Serve, secret: false }
}

const fn everywhere(setting: Setting) -> Setting {
    Setting { flag: Flag::Everywhere, ..setting }
}

const fn secret(setting: Setting) -> Setting {
    Setting { secret: true, ..setting }
}

/// Every setting there is, in the order in which help shows them.
pub const SETTINGS: &[Setting] = &[
    everywhere(setting("data-dir", "./data", "DIR", "Where the embedded database and the master key live")),
    everywhere(secret(setting(
        "database-url",
        "sqlite://{data-dir}/brevet.db",
        "URL",
        "The database: sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME",
    ))),
    Setting {
        flag: Flag::Never,
        ..secret(setting(
            "master-key",
            "",
            "HEX",
            "64 hex digits under which private keys are encrypted; by default the file master.key in the data directory, made at the first start",
        ))
    },
    setting("issuer", "http://127.0.0.1:8080", "URL", "The issuer, exactly as it stands in tokens; no trailing slash"),
    setting("listen", "127.0.0.1:8080", "ADDR:PORT", "Where clients connect"),
    setting("admin-listen", "127.0.0.1:9090", "ADDR:PORT", "Where /livez, /readyz and /metrics are; `off` for nowhere"),
    setting(
        "insecure-http",
        "false",
        "BOOL",
        "Allow an http:// issuer on a listener that other machines can reach: App Keys would cross the network in clear",
    ),
    setting("workers", "0", "N", "Threads that answer requests; 0 for one per processor core"),
    setting("access-token-lifetime", "24h", "SPAN", "The longest an access token lives; APIs and apps may say less"),
    setting(
        "clock-backdate",
        "5s",
        "SPAN",
        "How far back `iat` and `nbf` are dated, for verifiers whose clock is behind",
    ),
    setting("key-rotate-every", "90d", "SPAN", "How long a signing key signs before the next one takes over"),
    setting(
        "key-announce",
        "24h",
        "SPAN",
        "How long a signing key is published before it signs; at least as long as verifiers cache",
    ),
    setting("key-retain", "2h", "SPAN", "How much longer than its last token a retired key stays published"),
    setting(
        "signup",
        "invite",
        "open|invite|closed",
        "Who may make an account: everybody, who is invited into an organisation, or nobody; --demo opens it",
    ),
    Setting {
        flag: Flag::Never,
        ..secret(setting(
            "smtp-url",
            "",
            "URL",
            "The mail server: smtps://USER:PASSWORD@HOST or smtp://HOST?tls=required; without one, links are shown instead of mailed",
        ))
    },
    setting("smtp-from", "", "MAILBOX", "Who writes the mails, such as Brevet <no-reply@example.com>"),
    setting(
        "throttle-failures",
        "10/min",
        "N/min",
        "Wrong App Keys per App SID and address before the answer is 429; `off` for no limit",
    ),
    setting("session-ttl", "12h", "SPAN", "How long somebody stays signed in to the dashboard, however busy"),
    setting("session-idle", "1h", "SPAN", "How long somebody stays signed in without doing anything"),
    setting(
        "throttle-sign-ins",
        "10/min",
        "N/min",
        "Wrong passwords in the dashboard per address before it must wait; one account may be tried 10 times as often in an hour, the server 60 times as often in a minute. Right ones have multiples of it as their bound, and so have passwords chosen at sign-up and by links; `off` for no limit",
    ),
    setting(
        "require-2fa",
        "none",
        "none|admins|all",
        "Who must have an authenticator app: nobody, those who manage an organisation or this server, or everybody",
    ),
    Setting {
        flag: Flag::Never,
        ..secret(setting(
            "sign-in-providers",
            "",
            "JSON",
            "OpenID Connect providers at which people may sign in: a JSON array of objects with name, label, issuer, client_id, client_secret and, if wanted, allow_sign_up",
        ))
    },
    setting(
        "dpop-nonce",
        "false",
        "BOOL",
        "Demand a nonce of this server in every DPoP proof, so that none can be made in advance",
    ),
    setting(
        "ticket-cookie",
        "false",
        "BOOL",
        "Take tickets also from the cookie FlexiCaptureTmpPrn, for old clients, and set it; only where no other site can have made the request",
    ),
    setting(
        "ticket-path-prefix",
        "",
        "PATH",
        "Answer /server/jwt under this path too, such as /FlexiCapture12, for old clients that have it built in",
    ),
    setting("trusted-proxies", "", "CIDR,…", "Proxies whose X-Forwarded-For is believed; none by default"),
    setting(
        "outbound-allow-private",
        "false",
        "BOOL",
        "Fetch third parties' public keys also from loopback and private addresses, and over http from this machine",
    ),
    setting(
        "system-authorities",
        "",
        "NAME,…",
        "Certificate authorities of the operating system that may vouch for issuers without a certificate of their own: common names or SHA-256 fingerprints; none by default",
    ),
    setting(
        "system-authorities-bundle",
        "/etc/ssl/certs/ca-certificates.crt",
        "FILE",
        "Where the certificate authorities of the operating system are, in PEM",
    ),
    setting("request-timeout", "10s", "SPAN", "How long a client may take to send a request's head, and then its body"),
    setting("max-connections", "25000", "N", "Connections held open at once; more wait in the system's queue"),
    setting("apps-per-organisation", "off", "N", "The most apps an organisation may have; `off` for no limit"),
    setting("app-cache", "131072", "N", "Apps held in memory; each takes about 0.4 kB"),
    setting(
        "stale-limit",
        "30s",
        "SPAN",
        "How long to answer from memory when the database cannot be reached; then 503",
    ),
    setting("shutdown-grace", "10s", "SPAN", "How long requests under way may take after SIGTERM"),
    setting("database-pool-size", "8", "N", "Connections to the database"),
    setting(
        "database-timeout",
        "3s",
        "SPAN",
        "How long to wait for a free connection, and for PostgreSQL to answer a statement",
    ),
    setting(
        "auto-migrate",
        "true",
        "BOOL",
        "Bring the database's tables up to date at start; if false, run `brevet migrate up`",
    ),
    everywhere(setting(
        "log",
        "info",
        "FILTER",
        "What is logged, as an env_logger filter such as info or brevet=debug",
    )),
    everywhere(setting("log-format", "text", "text|json", "How log lines look")),
];
