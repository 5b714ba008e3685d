//! Settings. [`SETTINGS`] is the one table: flags, variables, TOML keys, help and documentation come from it.

mod providers;
mod sources;
mod table;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub use self::providers::SignInProvider;
use self::providers::sign_in_providers;
pub use self::sources::{Origin, Settings, SourceValues};
pub use self::table::{Flag, SETTINGS, Setting};
use self::values::{
    authority_names, boolean, check_database_url, check_issuer, check_mailbox, check_smtp_url, log_filter, log_format,
    networks, off_or, path_prefix, per_minute, positive_span, second_factor_rule, sign_up_mode, socket_address,
    whole_number,
};
use crate::clock::parse_span;
use crate::secret::Secret;

/// A setting that cannot be used. Prints as one line: the cause and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The look of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorRule {
    /// Nobody; everybody may.
    Nobody,
    /// Who manages an organisation, and who runs the server.
    Admins,
    /// Everybody.
    Everybody,
}

/// The spans of a signing key's life; see `keys::ring`.
#[derive(Debug, Clone, Copy)]
pub struct KeyLife {
    /// From a key's first signature to its successor's.
    pub rotate_every: Duration,
    /// From publication to the first signature.
    pub announce: Duration,
    /// From the end of the last token to the end of publication.
    pub retain: Duration,
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpMode {
    /// Everybody.
    Open,
    /// Who is invited into an organisation.
    Invite,
    /// Nobody: operators make accounts.
    Closed,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `smtp-url`
    pub smtp_url: Secret,
    /// `smtp-from`
    pub from: String,
}

/// All settings, read and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `data-dir`
    pub data_dir: PathBuf,
    /// `database-url`
    pub database_url: Secret,
    /// `master-key`, if given outright
    pub master_key: Option<Secret>,
    /// `issuer`
    pub issuer: String,
    /// `listen`
    pub listen: SocketAddr,
    /// `admin-listen`; `None` for `off`
    pub admin_listen: Option<SocketAddr>,
    /// `insecure-http`
    pub insecure_http: bool,
    /// `workers`; 0 for one per core
    pub workers: usize,
    /// `access-token-lifetime`
    pub access_token_lifetime: Duration,
    /// `clock-backdate`
    pub clock_backdate: Duration,
    /// `key-rotate-every`, `key-announce`, `key-retain`
    pub key_life: KeyLife,
    /// `signup`
    pub sign_up: SignUpMode,
    /// `smtp-url` and `smtp-from`; `None` where no mail is sent
    pub mail: Option<Mail>,
    /// `throttle-failures`, a minute; `None` for `off`
    pub throttle_failures: Option<u32>,
    /// `session-ttl`
    pub session_ttl: Duration,
    /// `session-idle`
    pub session_idle: Duration,
    /// `throttle-sign-ins`, a minute; `None` for `off`
    pub throttle_sign_ins: Option<u32>,
    /// `require-2fa`
    pub require_2fa: SecondFactorRule,
    /// `sign-in-providers`
    pub sign_in_providers: Vec<SignInProvider>,
    /// `dpop-nonce`
    pub dpop_nonce: bool,
    /// `ticket-cookie`
    pub ticket_cookie: bool,
    /// `ticket-path-prefix`: empty, or `/…` without a trailing slash
    pub ticket_path_prefix: String,
    /// `trusted-proxies`
    pub trusted_proxies: Vec<IpNet>,
    /// `outbound-allow-private`
    pub outbound_allow_private: bool,
    /// `system-authorities`
    pub system_authorities: Vec<String>,
    /// `system-authorities-bundle`
    pub system_authorities_bundle: PathBuf,
    /// `request-timeout`
    pub request_timeout: Duration,
    /// `max-connections`
    pub max_connections: usize,
    /// `apps-per-organisation`; `None` for `off`
    pub apps_per_organisation: Option<i64>,
    /// `app-cache`
    pub app_cache: usize,
    /// `stale-limit`
    pub stale_limit: Duration,
    /// `shutdown-grace`
    pub shutdown_grace: Duration,
    /// `database-pool-size`
    pub database_pool_size: u32,
    /// `database-timeout`
    pub database_timeout: Duration,
    /// `auto-migrate`
    pub auto_migrate: bool,
    /// `log`
    pub log: String,
    /// `log-format`
    pub log_format: LogFormat,
    /// All of them as they are shown to people.
    pub effective: Vec<EffectiveSetting>,
}

/// A setting as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Its key.
    pub key: &'static str,
    /// Its value; a secret is masked.
    pub value: String,
    /// Where the value comes from.
    pub origin: String,
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used: which, where it came from, and what it should look like.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let config = Self {
            data_dir: PathBuf::from(settings.text("data-dir")),
            database_url: Secret::new(settings.checked("database-url", check_database_url)?),
            master_key: Some(settings.text("master-key")).filter(|key| !key.is_empty()).map(Secret::new),
            issuer: settings.checked("issuer", check_issuer)?,
            listen: settings.checked("listen", socket_address)?,
            admin_listen: settings.checked("admin-listen", |text| off_or(text, socket_address))?,
            insecure_http: settings.checked("insecure-http", boolean)?,
            workers: settings.checked("workers", |text| whole_number(text, 0, 1_024))?,
            access_token_lifetime: settings.checked("access-token-lifetime", positive_span)?,
            clock_backdate: settings.checked("clock-backdate", parse_span)?,
            key_life: KeyLife {
                rotate_every: settings.checked("key-rotate-every", positive_span)?,
                announce: settings.checked("key-announce", parse_span)?,
                retain: settings.checked("key-retain", parse_span)?,
            },
            sign_up: settings.checked("signup", sign_up_mode)?,
            mail: mail(settings)?,
            throttle_failures: settings.checked("throttle-failures", |text| off_or(text, per_minute))?,
            session_ttl: settings.checked("session-ttl", positive_span)?,
            session_idle: settings.checked("session-idle", positive_span)?,
            throttle_sign_ins: settings.checked("throttle-sign-ins", |text| off_or(text, per_minute))?,
            require_2fa: settings.checked("require-2fa", second_factor_rule)?,
            sign_in_providers: providers(settings)?,
            dpop_nonce: settings.checked("dpop-nonce", boolean)?,
            ticket_cookie: settings.checked("ticket-cookie", boolean)?,
            ticket_path_prefix: settings.checked("ticket-path-prefix", path_prefix)?,
            trusted_proxies: settings.checked("trusted-proxies", networks)?,
            outbound_allow_private: settings.checked("outbound-allow-private", boolean)?,
            system_authorities: settings.checked("system-authorities", authority_names)?,
            system_authorities_bundle: PathBuf::from(settings.text("system-authorities-bundle")),
            request_timeout: settings.checked("request-timeout", positive_span)?,
            max_connections: settings.checked("max-connections", |text| whole_number(text, 1, 10_000_000))?,
            apps_per_organisation: settings
                .checked("apps-per-organisation", |text| off_or(text, |text| whole_number(text, 1, 100_000_000)))?,
            app_cache: settings.checked("app-cache", |text| whole_number(text, 16, 100_000_000))?,
            stale_limit: settings.checked("stale-limit", positive_span)?,
            shutdown_grace: settings.checked("shutdown-grace", positive_span)?,
            database_pool_size: settings.checked("database-pool-size", |text| whole_number(text, 1, 1_000))?,
            database_timeout: settings.checked("database-timeout", positive_span)?,
            auto_migrate: settings.checked("auto-migrate", boolean)?,
            log: settings.checked("log", log_filter)?,
            log_format: settings.checked("log-format", log_format)?,
            effective: settings
                .shown()
                .map(|(setting, value, origin)| EffectiveSetting {
                    key: setting.key,
                    value,
                    origin: origin.to_string(),
                })
                .collect(),
        };
        if config.key_life.announce > config.key_life.rotate_every {
            return Err(ConfigError(
                "`key-announce` is longer than `key-rotate-every`: a key would have to be published before its predecessor; make `key-announce` shorter".to_owned(),
            ));
        }
        Ok(config)
    }

    /// Refuses to let App Keys cross a network in clear unless told to.
    ///
    /// # Errors
    /// When the listener can be reached from other machines while the issuer says `http://`.
    pub fn check_for_production(&self) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() || !self.issuer.starts_with("http://") || self.insecure_http {
            return Ok(());
        }
        Err(ConfigError(format!(
            "`listen` is {}, which other machines can reach, but `issuer` is {}: App Keys would cross the network in clear; set `issuer` to the https:// address that clients use (TLS may end in a proxy), or say --insecure-http=true",
            self.listen, self.issuer
        )))
    }

    /// The path of the issuer's URL: empty, or `/…` without a trailing slash.
    pub fn issuer_path(&self) -> String {
        Url::parse(&self.issuer).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
    }
}

/// What is allowed in an issuer depends on another setting.
fn providers(settings: &Settings) -> Result<Vec<SignInProvider>, ConfigError> {
    let allow_private = settings.checked("outbound-allow-private", boolean)?;
    settings.checked("sign-in-providers", |text| sign_in_providers(text, allow_private))
}

/// Both or neither: a mail without a sender goes nowhere.
fn mail(settings: &Settings) -> Result<Option<Mail>, ConfigError> {
    let smtp_url = settings.checked("smtp-url", check_smtp_url)?;
    let from = settings.checked("smtp-from", check_mailbox)?;
    match (smtp_url.is_empty(), from.is_empty()) {
        (true, _) => Ok(None),
        (false, false) => Ok(Some(Mail { smtp_url: Secret::new(smtp_url), from })),
        (false, true) => Err(ConfigError(
            "`smtp-url` is set but `smtp-from` is not: say who writes, such as Brevet <no-reply@example.com>"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let flags = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let sources = SourceValues { flags, variables: Vec::new(), file: None };
        Config::new(&Settings::resolve(&sources)?)
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = config_with(&[]).unwrap();
        assert_eq!(config.issuer, "http://127.0.0.1:8080");
        assert_eq!(config.database_url.reveal(), "sqlite://./data/brevet.db");
        assert_eq!(config.access_token_lifetime, Duration::from_secs(86_400));
        assert_eq!(config.throttle_failures, Some(10));
        assert!(config.check_for_production().is_ok());
    }

    #[test]
    fn every_setting_that_is_wrong_on_purpose_names_itself_and_the_cure() {
        let wrong = [
            ("issuer", "id.example.com"),
            ("issuer", "https://id.example.com/"),
            ("issuer", "https://ID.example.com"),
            ("issuer", "https://id.example.com?x"),
            ("issuer", "ftp://id.example.com"),
            ("listen", "8080"),
            ("admin-listen", "yes"),
            ("insecure-http", "perhaps"),
            ("workers", "-1"),
            ("access-token-lifetime", "0s"),
            ("access-token-lifetime", "1 day"),
            ("key-announce", "91d"),
            ("throttle-failures", "10"),
            ("throttle-sign-ins", "ten"),
            ("require-2fa", "yes"),
            ("ticket-cookie", "perhaps"),
            ("ticket-path-prefix", "FlexiCapture12"),
            ("ticket-path-prefix", "/FlexiCapture12/"),
            ("ticket-path-prefix", "/a//b"),
            ("ticket-path-prefix", "/../b"),
            ("ticket-path-prefix", "/{x}"),
            ("trusted-proxies", "10.0.0.0/8,localhost"),
            ("system-authorities", "Acme\u{7}Root"),
            ("max-connections", "0"),
            ("apps-per-organisation", "many"),
            ("database-url", "mysql://x"),
            ("database-url", "brevet.db"),
            ("auto-migrate", "maybe"),
            ("log-format", "xml"),
            ("log", "brevet=loud"),
            ("log", "x=["),
            ("log", "a/b/c"),
            ("signup", "yes"),
            ("smtp-url", "mail.example.com"),
            ("smtp-url", "smtp://mail.example.com"),
            ("smtp-from", "nobody"),
            ("sign-in-providers", "corp"),
        ];
        for (key, value) in wrong {
            let message = config_with(&[(key, value)]).unwrap_err().to_string();
            assert!(message.contains(key), "{key}={value}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn an_http_issuer_on_a_reachable_listener_is_refused_unless_told() {
        let reachable = ("listen", "0.0.0.0:8080");
        assert!(config_with(&[reachable]).unwrap().check_for_production().is_err());
        assert!(config_with(&[reachable, ("insecure-http", "true")]).unwrap().check_for_production().is_ok());
        assert!(
            config_with(&[reachable, ("issuer", "https://id.example.com")]).unwrap().check_for_production().is_ok()
        );
    }
}
