//! How a program gets a token for an app that has no App Key: what it shows instead, and who stands for it.

use serde::Serialize;

use super::MOST_SCOPES;
use crate::db::apps::AppRecord;
use crate::db::developers::Role;
use crate::http::dashboard::apps::{AppHead, IssuerOfApp, Tab};
use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::snippets::shell_word;
use crate::oauth::client::ClientAuthentication;
use crate::oauth::metadata::path;
use crate::service::trusted_issuers;

/// Issuers on the page; the app's own page has the others.
const ISSUERS_SHOWN: usize = 10;

/// Where clients of such apps put their assertion.
const ASSERTION: &str = "-d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The commands for an app without App Key.
#[derive(Debug, Serialize)]
struct KeylessStartView {
    app: AppHead,
    is_disabled: bool,
    has_scopes: bool,
    asks_for_all: bool,
    /// Whether it signs with a private key of its own; otherwise issuers stand for it.
    signs: bool,
    issuers: Vec<IssuerOfApp>,
    more_issuers: bool,
    /// Whether none of the issuers is switched on.
    is_stuck: bool,
    may_trust: bool,
    command: String,
    /// The same for clients that know another grant better.
    other_command: String,
    token_url: String,
}

impl View for KeylessStartView {
    const TEMPLATE: &'static str = "dashboard/app-start-keyless";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Quick start for {}", self.app.name)
    }
}

impl KeylessStartView {
    fn new(issuer: &str, app: &AppRecord, mut issuers: Vec<IssuerOfApp>, may_trust: bool) -> Self {
        let signs = app.authentication != ClientAuthentication::TrustedIssuer;
        let scopes: Vec<&str> = app.scopes.iter().map(|(_, scope)| scope.as_str()).collect();
        let asks_for_all = scopes.len() > MOST_SCOPES;
        let asked = if asks_for_all || scopes.is_empty() {
            String::new()
        } else {
            format!(" \\\n  --data-urlencode scope={}", shell_word(&scopes.join(" ")))
        };
        let (sid, token_url) = (app.client_id.to_string(), format!("{issuer}{}", path::TOKEN));
        let is_stuck = !signs && !issuers.iter().any(IssuerOfApp::is_enabled);
        let more_issuers = issuers.len() > ISSUERS_SHOWN;
        issuers.truncate(ISSUERS_SHOWN);
        Self {
            app: AppHead::new(app, Tab::Start),
            is_disabled: app.disabled_at.is_some(),
            has_scopes: !scopes.is_empty(),
            asks_for_all,
            command: if signs { signed(issuer, &sid, &token_url, &asked) } else { shown(&sid, &token_url, &asked) },
            other_command: if signs { by_brevet(issuer, &sid) } else { granted(&sid, &token_url, &asked) },
            signs,
            issuers,
            more_issuers,
            is_stuck,
            may_trust,
            token_url,
        }
    }
}

/// A JWT of an issuer that stands for the app, in place of its key.
fn shown(sid: &str, token_url: &str, asked: &str) -> String {
    format!(
        "curl -sS {} \\\n  -d grant_type=client_credentials \\\n  -d client_id={sid} \\\n  {ASSERTION} \\\n  --data-urlencode client_assertion=\"$JWT\"{asked}",
        shell_word(token_url)
    )
}

/// The same as a grant.
fn granted(sid: &str, token_url: &str, asked: &str) -> String {
    format!(
        "curl -sS {} \\\n  -d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer \\\n  -d client_id={sid} \\\n  --data-urlencode assertion=\"$JWT\"{asked}",
        shell_word(token_url)
    )
}

/// A JWT that the app makes itself, with nothing but openssl.
fn signed(issuer: &str, sid: &str, token_url: &str, asked: &str) -> String {
    format!(
        r#"ISSUER={}
APP_SID={sid}
base64url() {{ openssl base64 -A | tr '+/' '-_' | tr -d '='; }}
NOW=$(date +%s)
HEADER=$(printf '{{"alg":"RS256","typ":"client-authentication+jwt"}}' | base64url)
CLAIMS=$(printf '{{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d,"jti":"%s"}}' \
  "$APP_SID" "$APP_SID" "$ISSUER" "$NOW" "$((NOW + 60))" "$(openssl rand -hex 16)" | base64url)
SIGNATURE=$(printf '%s.%s' "$HEADER" "$CLAIMS" | openssl dgst -sha256 -sign private.pem -binary | base64url)
curl -sS {} \
  -d grant_type=client_credentials \
  {ASSERTION} \
  -d client_assertion="$HEADER.$CLAIMS.$SIGNATURE"{asked}"#,
        shell_word(issuer),
        shell_word(token_url)
    )
}

/// A JWT that Brevet's own command makes for the app.
fn by_brevet(issuer: &str, sid: &str) -> String {
    format!("BREVET_ISSUER={} \\\n  brevet token get --sid {sid} --private-key private.pem", shell_word(issuer))
}

/// The page for such an app.
pub(super) async fn show(visitor: &Visitor<AnyMember>, app: &AppRecord) -> PageResult {
    let client_id = app.client_id;
    let issuers = visitor.look(move |m| trusted_issuers::of_app(m, client_id)).await?;
    let issuers = issuers.into_iter().map(IssuerOfApp::from).collect();
    let own = visitor.site().authority.issuer();
    visitor.page(&KeylessStartView::new(own, app, issuers, visitor.has_role(Role::Admin)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::app;
    use crate::http::dashboard::issuers::tests::record;
    use crate::http::dashboard::samples::{Sample, sample};
    use crate::oauth::client::KeySource;
    use crate::oauth::trust::IssuerKeys;

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let issuer = |is_enabled| IssuerOfApp::from(record(is_enabled, IssuerKeys::Discovery));
        let view = |signs: bool, issuers: Vec<IssuerOfApp>, may_trust: bool| {
            let authentication = if signs {
                ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri("https://x.example".into()))
            } else {
                ClientAuthentication::TrustedIssuer
            };
            let app = AppRecord { authentication, ..app() };
            KeylessStartView::new("https://id.example.com", &app, issuers, may_trust)
        };
        let many = (0..12).map(|_| issuer(true)).collect();
        let bad =
            KeylessStartView { is_disabled: true, has_scopes: false, asks_for_all: true, ..view(true, vec![], true) };
        vec![
            sample(view(false, vec![], true)),
            sample(view(false, vec![issuer(false)], false)),
            sample(view(false, many, true)),
            sample(view(true, vec![], false)),
            sample(bad),
        ]
    }
}
