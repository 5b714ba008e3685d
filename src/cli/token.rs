//! `brevet token …`: a client for trying things.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::app::confirm;
use super::input::{parse_token, read_secret, read_token};
use super::{CliError, Context};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::keys::pem::ClientKey;
use crate::keys::tls::choose_provider;
use crate::keys::verify::{JwksKeys, TokenError, verify_access_token};
use crate::oauth::ClientId;
use crate::oauth::assertion::{ASSERTION_TYPE, NewAssertion};
use crate::oauth::metadata::path;
use crate::secret::{Secret, random_id};
use crate::service::{cut_offs, revocation};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Get a token from a server
    #[command(
        after_help = "Examples:\n  brevet token get --sid 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --key-file key.txt --scope billing:read\n  brevet token get --sid 3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e --private-key private.pem"
    )]
    Get(Get),
    /// Show what a token says, without checking it
    Inspect {
        /// The file that holds the token, or the token; `-` for stdin
        #[arg(value_name = "FILE|TOKEN", value_parser = parse_token, default_value = "-", hide_default_value = true)]
        token: Secret,
    },
    /// Check a token with the published keys of its server, as a service would; exit code 1 if it is refused
    Verify(Verify),
    /// Make a token of this server worthless at once
    Revoke {
        /// The file that holds the token, or the token; `-` for stdin
        #[arg(value_name = "FILE|TOKEN", value_parser = parse_token, default_value = "-", hide_default_value = true)]
        token: Secret,
    },
    /// Make every token that was ever issued worthless; apps can get new ones at once
    RevokeAll {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// The App SID
    #[arg(long, value_parser = super::app::parse_sid)]
    sid: ClientId,
    /// The file that holds the App Key; `-` for stdin
    #[arg(long, value_name = "FILE", required_unless_present = "private_key", conflicts_with = "private_key")]
    key_file: Option<String>,
    /// The file that holds the app's private key in PEM, for an app with private_key_jwt; `-` for stdin
    #[arg(long, value_name = "FILE")]
    private_key: Option<String>,
    /// The name of the private key among the app's public keys; each is tried if it is not given
    #[arg(long, requires = "private_key", allow_hyphen_values = true)]
    kid: Option<String>,
    /// A scope; may repeat; everything the app was granted if there is none
    #[arg(long)]
    scope: Vec<String>,
    /// The identifier of an API; may repeat
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
    /// The server's address, if it is not the issuer's
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The file that holds the token, or the token; `-` for stdin
    #[arg(value_name = "FILE|TOKEN", value_parser = parse_token, default_value = "-", hide_default_value = true)]
    token: Secret,
    /// The API the token must be for
    #[arg(long, value_name = "URI")]
    audience: Option<String>,
    /// A scope the token must have; may repeat
    #[arg(long)]
    scope: Vec<String>,
    /// The server's address, if it is not the issuer's
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl Token {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Get(get) => run_get(context, &get),
            Self::Inspect { token } => run_inspect(context, &token),
            Self::Verify(verify) => run_verify(context, &verify),
            Self::Revoke { token } => {
                let token = read_token(&token)?;
                let jti = revocation::revoke(&context.management()?, token.reveal())?;
                let document = json!({ "jti": jti, "revoked": true });
                context.output.data(&document, || format!("Token {jti} is refused within a second."))
            }
            Self::RevokeAll { yes } => {
                let m = context.management()?;
                if !yes {
                    confirm(
                        "End every token of every organisation? Apps that keep a token until it expires fail until then.",
                    )?;
                }
                let not_before = cut_offs::revoke_all_tokens(&m)?;
                cut_off(context, &json!({ "not_before": not_before.rfc3339() }), "of this server", not_before)
            }
        }
    }
}

/// Says that a cut-off was made, once it holds on every node: a token that is asked for from then on is good.
pub(super) fn cut_off(context: &Context, document: &Value, whose: &str, at: Timestamp) -> Result<(), CliError> {
    std::thread::sleep(cut_offs::KNOWN_EVERYWHERE);
    context.output.data(document, || format!("Every token {whose} that is dated before {at} is refused."))
}

/// The server's address, and the issuer that its tokens name.
fn server(context: &Context, given: Option<&str>) -> Result<(String, String), CliError> {
    let issuer = context.configure()?.issuer.clone();
    let server = given.map_or_else(|| issuer.clone(), |server| server.trim_end_matches('/').to_owned());
    Ok((server, issuer))
}

fn agent() -> Agent {
    choose_provider();
    Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(15)))
        .max_redirects(0)
        .http_status_as_error(false)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
        .build()
        .into()
}

/// What proves to the server who asks: a name of a parameter and its value.
fn credentials(get: &Get, issuer: &str) -> Result<Vec<(&'static str, Secret)>, CliError> {
    let Some(file) = &get.private_key else {
        let file = get.key_file.as_deref().unwrap_or("-");
        return Ok(vec![("client_secret", read_secret(file)?)]);
    };
    let key = ClientKey::from_pem(read_secret(file)?.reveal()).map_err(CliError::bad_data)?;
    let (sid, jti) = (get.sid.to_string(), random_id().map_err(CliError::internal)?);
    let claims = NewAssertion::new(&sid, issuer, &jti, SystemClock.now());
    let assertion = key.sign(get.kid.as_deref(), &claims).map_err(CliError::internal)?;
    Ok(vec![("client_assertion_type", Secret::new(ASSERTION_TYPE)), ("client_assertion", Secret::new(assertion))])
}

fn run_get(context: &Context, get: &Get) -> Result<(), CliError> {
    let (server, issuer) = server(context, get.server.as_deref())?;
    let credentials = credentials(get, &issuer)?;
    let sid = get.sid.to_string();
    let scope = get.scope.join(" ");
    let mut form: Vec<(&str, &str)> = vec![("grant_type", "client_credentials"), ("client_id", &sid)];
    form.extend(credentials.iter().map(|(name, value)| (*name, value.reveal())));
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    form.extend(get.resource.iter().map(|resource| ("resource", resource.as_str())));
    let url = format!("{server}{}", path::TOKEN);
    let mut response = agent()
        .post(&url)
        .send_form(form)
        .map_err(|error| CliError::unavailable(format!("{url} does not answer: {error}")))?;
    let status = response.status();
    let body: Value = response
        .body_mut()
        .read_json()
        .map_err(|error| CliError::unavailable(format!("{url} answered {status} and no JSON: {error}")))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if !status.is_success() {
        let message = format!("{url} answered {status}, {}: {}", text("error"), text("error_description"));
        return Err(CliError::check_failed(message));
    }
    context.output.data(&body, || text("access_token").to_owned())
}

fn run_inspect(context: &Context, given: &Secret) -> Result<(), CliError> {
    let token = read_token(given)?;
    let mut parts = token.reveal().split('.');
    let mut decoded = || -> Option<Value> {
        let octets = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        serde_json::from_slice(&octets).ok()
    };
    let (Some(header), Some(claims)) = (decoded(), decoded()) else {
        return Err(CliError::bad_data(
            "that is not a JWT: it has three parts in base64url with dots between, eyJ….eyJ….…",
        ));
    };
    context.output.data(&json!({ "header": header, "claims": claims, "verified": false }), || {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
        format!("{}\n{}{}", pretty(&header), pretty(&claims), times(&claims))
    })?;
    context.output.message("Nothing was checked; for that: brevet token verify");
    Ok(())
}

/// The times among the claims, as people read them.
fn times(claims: &Value) -> String {
    let now = SystemClock.now();
    let line = |(name, meaning): (&str, &str)| {
        let at = Timestamp::from_seconds(claims.get(name)?.as_i64()?);
        let distance = if at > now {
            format!("in {} s", at.since(now).as_secs())
        } else {
            format!("{} s ago", now.since(at).as_secs())
        };
        Some(format!("\n{meaning:<12} {at} ({distance})"))
    };
    [("iat", "issued"), ("nbf", "valid from"), ("exp", "expires")].into_iter().filter_map(line).collect()
}

fn run_verify(context: &Context, verify: &Verify) -> Result<(), CliError> {
    let (server, issuer) = server(context, verify.server.as_deref())?;
    let token = read_token(&verify.token)?;
    let url = format!("{server}{}", path::JWKS);
    let mut response =
        agent().get(&url).call().map_err(|error| CliError::unavailable(format!("{url} does not answer: {error}")))?;
    let document = response
        .body_mut()
        .read_to_vec()
        .map_err(|error| CliError::unavailable(format!("{url} cannot be read: {error}")))?;
    let keys = JwksKeys::parse(&document).map_err(CliError::bad_data)?;
    let refused = |error: TokenError| CliError::check_failed(error);
    let token = verify_access_token(token.reveal(), &issuer, |kid| keys.find(kid)).map_err(refused)?;
    token.check_time(SystemClock.now()).map_err(refused)?;
    let claims = &token.claims;
    if verify.audience.as_ref().is_some_and(|audience| !claims.aud.contains(audience)) {
        return Err(refused(TokenError::Audience));
    }
    if let Some(missing) = verify.scope.iter().find(|scope| !claims.scope.contains(scope)) {
        return Err(CliError::check_failed(format!("The access token lacks the scope {missing}.")));
    }
    let document = json!({
        "valid": true, "client_id": claims.client_id, "tenant": claims.tenant, "aud": claims.aud,
        "scope": claims.scope.to_text(), "expires_at": claims.exp.rfc3339(),
    });
    context.output.data(&document, || {
        format!(
            "Valid until {}: {} of {}, scope {}",
            claims.exp,
            claims.client_id,
            claims.tenant,
            claims.scope.to_text()
        )
    })?;
    context.output.message("Signature, issuer and time hold. Whether it was revoked only its server knows.");
    Ok(())
}
