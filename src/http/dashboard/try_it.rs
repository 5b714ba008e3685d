//! `/try`: a real request to the token endpoint, with a key that is pasted and forgotten.

mod exchange;

use actix_web::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use url::form_urlencoded::byte_serialize;

use self::exchange::{Exchange, Outgoing, ask_for_token, ask_who};
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::visitor::{AnyMember, Visitor};
use super::when::When;
use crate::db::apps::AppSummary;
use crate::db::developers::Role;
use crate::http::snippets::shell_word;
use crate::oauth::metadata::path;
use crate::oauth::{ClientId, OAuthErrorCode};
use crate::secret::Secret;
use crate::service::Management;
use crate::service::apps;
use crate::service::inspection::{Inspection, inspect};

/// Apps in one list; with more, the person looks for one.
const CHOICES: i64 = 20;
/// An App Key, or an imported secret, is never longer.
const LONGEST_KEY: usize = 1_000;
/// What may be asked for.
const LONGEST_SCOPE: usize = 4_000;

/// The page: a form and, after it was sent, what was sent and what came back.
#[derive(Debug, Serialize)]
struct TryView {
    choices: Vec<Choice>,
    /// There are more apps than stand in the list.
    has_more: bool,
    words: String,
    in_body: bool,
    scope: String,
    may_create: bool,
    faults: Faults,
    tried: Option<Tried>,
}

#[derive(Debug, Serialize)]
struct Choice {
    sid: String,
    name: String,
    enabled: bool,
    chosen: bool,
}

/// A request that was made.
#[derive(Debug, Serialize)]
struct Tried {
    exchange: Exchange,
    curl: String,
    advice: Option<Advice>,
    token: Option<Token>,
}

#[derive(Debug, Serialize)]
struct Advice {
    code: &'static str,
    text: &'static str,
}

#[derive(Debug, Serialize)]
struct Token {
    token: String,
    header: String,
    claims: String,
    expires: Option<When>,
    scope: String,
}

impl View for TryView {
    const TEMPLATE: &'static str = "dashboard/try";
    const SECTION: Section = Section::TryIt;

    fn title(&self) -> String {
        "Try it".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

/// The call of a resource route with a token.
#[derive(Debug, Serialize)]
struct CallView {
    exchange: Exchange,
    curl: String,
    token: String,
}

impl View for CallView {
    const TEMPLATE: &'static str = "dashboard/try-call";
    const SECTION: Section = Section::TryIt;

    fn title(&self) -> String {
        "Call with the token".to_owned()
    }
}

impl TryView {
    /// The form with the apps whose name has `words`, and with the one that was chosen.
    async fn of(visitor: &Visitor<AnyMember>, words: &str, chosen: Option<ClientId>) -> Result<Self, PageError> {
        let words: String = words.chars().filter(|c| !c.is_control()).take(apps::LONGEST_WORDS).collect();
        let (organisation, part) = (visitor.organisation(), words.clone());
        let look = move |m: &Management| apps::choose(m, &organisation, &part, chosen, CHOICES);
        let (found, chosen) = visitor.look(look).await?;
        let has_more = found.found > CHOICES;
        let sid = chosen.as_ref().map(|app| app.client_id.to_string()).unwrap_or_default();
        let choice = |app: AppSummary| {
            let (id, enabled) = (app.client_id.to_string(), app.disabled_at.is_none());
            Choice { chosen: id == sid, sid: id, name: app.name, enabled }
        };
        let mut choices: Vec<Choice> = found.apps.into_iter().map(choice).collect();
        if let Some(app) = chosen.filter(|_| !choices.iter().any(|choice| choice.chosen)) {
            let (name, enabled) = (app.name, app.disabled_at.is_none());
            choices.insert(0, Choice { sid, name, enabled, chosen: true });
        }
        Ok(Self {
            choices,
            has_more,
            words,
            in_body: false,
            scope: String::new(),
            may_create: visitor.has_role(Role::Developer),
            faults: Faults::default(),
            tried: None,
        })
    }
}

/// The empty form; `?app=` chooses one, `?q=` looks for some.
pub(super) async fn show(visitor: Visitor<AnyMember>) -> PageResult {
    let chosen = visitor.query("app").and_then(|sid| ClientId::parse(&sid));
    let view = TryView::of(&visitor, visitor.query("q").unwrap_or_default().trim(), chosen).await?;
    visitor.page(&view)
}

/// Makes the request and shows both sides of it.
pub(super) async fn send(visitor: Visitor<AnyMember>) -> PageResult {
    let form = visitor.form(&[])?;
    let (key, scope) = (form.secret("key"), form.trimmed("scope").to_owned());
    let key = Secret::new(key.reveal().trim());
    let in_body = form.text("method") == "body";
    let chosen = ClientId::parse(form.trimmed("app"));
    let mut view = TryView::of(&visitor, form.trimmed("q"), chosen).await?;
    let chosen = chosen.filter(|_| view.choices.iter().any(|choice| choice.chosen));
    (view.in_body, view.scope) = (in_body, scope.clone());
    if chosen.is_none() {
        view.faults.add("app", "Choose an app of this organisation.");
    }
    if key.reveal().is_empty() {
        view.faults.add("key", "Paste the App Key.");
    } else if key.reveal().len() > LONGEST_KEY || key.reveal().chars().any(char::is_control) {
        view.faults.add("key", "That is no App Key: they have 53 characters and begin with bvk_.");
    }
    if scope.len() > LONGEST_SCOPE || scope.chars().any(char::is_control) {
        view.faults.add("scope", "Write scopes with single spaces between, in one line.");
    }
    let (Some(client_id), true) = (chosen, view.faults.is_empty()) else {
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
    };
    let exchange = ask_for_token(&visitor, &outgoing(client_id, &key, &scope, in_body)).await;
    let curl = curl(visitor.site().authority.issuer(), client_id, &scope, in_body);
    view.tried = Some(tried(&visitor, exchange, curl).await?);
    visitor.page(&view)
}

/// The request as it is sent, and as it may be seen.
fn outgoing(client_id: ClientId, key: &Secret, scope: &str, in_body: bool) -> Outgoing {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let mut body = "grant_type=client_credentials".to_owned();
    if !scope.is_empty() {
        body.push_str(&format!("&scope={}", encoded(scope)));
    }
    if in_body {
        let with = |key: &str| format!("{body}&client_id={client_id}&client_secret={key}");
        let masked = with("$APP_KEY");
        return Outgoing { authorization: None, body: Some((Secret::new(with(&encoded(key.reveal()))), masked)) };
    }
    // RFC 6749 §2.3.1: both parts are form-encoded first.
    let pair = STANDARD.encode(format!("{client_id}:{}", encoded(key.reveal())));
    let masked = format!("Basic base64({client_id}:$APP_KEY)");
    Outgoing {
        authorization: Some((Secret::new(format!("Basic {pair}")), masked)),
        body: Some((Secret::new(body.clone()), body)),
    }
}

/// The same for a terminal.
fn curl(issuer: &str, client_id: ClientId, scope: &str, in_body: bool) -> String {
    let mut lines = vec![format!("curl -s {}", shell_word(&format!("{issuer}{}", path::TOKEN)))];
    if in_body {
        lines.push(format!("-d client_id={client_id}"));
        lines.push("--data-urlencode client_secret=\"$APP_KEY\"".to_owned());
    } else {
        lines.push(format!("-u {client_id}:\"$APP_KEY\""));
    }
    if !scope.is_empty() {
        lines.push(format!("--data-urlencode scope={}", shell_word(scope)));
    }
    lines.push("-d grant_type=client_credentials".to_owned());
    lines.join(" \\\n  ")
}

async fn tried(visitor: &Visitor<AnyMember>, exchange: Exchange, curl: String) -> Result<Tried, PageError> {
    let answer: serde_json::Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    let member = |name: &str| answer.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let code = OAuthErrorCode::ALL.iter().find(|code| code.name() == member("error"));
    let mut token = None;
    if exchange.is_good {
        let (authority, text) = (&visitor.site().authority, member("access_token"));
        let inspected = inspect(authority, visitor.management(), text, None, visitor.now()).await;
        if let Inspection::Token(found) = inspected.map_err(|error| PageError::service(visitor, &error))? {
            let exp = found.claims.iter().find(|claim| claim.name == "exp").and_then(|claim| claim.moment);
            token = Some(Token {
                token: text.to_owned(),
                expires: exp.map(When::of),
                header: found.header,
                claims: found.claims_json,
                scope: member("scope").to_owned(),
            });
        }
    }
    let advice = code.map(|code| Advice { code: code.name(), text: code.advice() });
    Ok(Tried { exchange, curl, advice, token })
}

/// Calls the sample resource route with the token that came.
pub(super) async fn call(visitor: Visitor<AnyMember>) -> PageResult {
    let form = visitor.form(&[])?;
    let token = form.secret("token");
    let is_plain = !token.reveal().is_empty() && token.reveal().trim().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || token.reveal().len() > crate::service::inspection::LONGEST_TEXT {
        return Err(PageError::bad_request(&visitor, "There is no token to call with. Get one first, under Try it."));
    }
    let exchange = ask_who(&visitor, &token).await;
    let address = shell_word(&format!("{}{}/whoami", visitor.site().authority.issuer(), path::API));
    let curl = format!("curl -s {address} \\\n  -H \"Authorization: Bearer $TOKEN\"");
    visitor.page(&CallView { exchange, curl, token: token.reveal().trim().to_owned() })
}

#[cfg(test)]
pub(super) mod tests {
    use actix_web::web::Bytes;

    use super::*;
    use crate::clock::Timestamp;
    use crate::http::dashboard::samples::{Sample, sample};

    fn exchange(is_good: bool) -> Exchange {
        Exchange {
            request: "POST".to_owned(),
            status: "200 OK".to_owned(),
            answer: "HTTP".to_owned(),
            is_good,
            body: Bytes::new(),
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let choice = |chosen| Choice { sid: "x".to_owned(), name: "robot".to_owned(), enabled: chosen, chosen };
        let view = |choices: Vec<Choice>, tried: Option<Tried>, faults: Faults| TryView {
            has_more: choices.len() > 1,
            choices,
            words: String::new(),
            in_body: tried.is_some(),
            scope: String::new(),
            may_create: tried.is_none(),
            faults,
            tried,
        };
        let token = || Token {
            token: "eyJ".to_owned(),
            header: "{}".to_owned(),
            claims: "{}".to_owned(),
            expires: Some(When::of(Timestamp::NEVER)),
            scope: "a".to_owned(),
        };
        let advice = || Advice { code: "invalid_client", text: "No." };
        let good = Tried { exchange: exchange(true), curl: "curl".to_owned(), advice: None, token: Some(token()) };
        let bad = Tried { exchange: exchange(false), curl: "curl".to_owned(), advice: Some(advice()), token: None };
        vec![
            sample(view(Vec::new(), None, Faults::default())),
            sample(view(vec![choice(true), choice(false)], None, Faults::one("key", "No."))),
            sample(view(vec![choice(true)], Some(good), Faults::default())),
            sample(view(vec![choice(true)], Some(bad), Faults::default())),
            sample(CallView { exchange: exchange(true), curl: "curl".to_owned(), token: "eyJ".to_owned() }),
        ]
    }

    #[test]
    fn what_is_shown_of_a_request_has_no_key() {
        let sid = ClientId::parse("3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e").unwrap();
        let key = Secret::new("bvk_hidden");
        for in_body in [true, false] {
            let outgoing = outgoing(sid, &key, "a b'c", in_body);
            let shown = format!(
                "{} {} {}",
                outgoing.authorization.as_ref().map_or("", |(_, shown)| shown),
                outgoing.body.as_ref().map_or("", |(_, shown)| shown),
                curl("https://id.example.com", sid, "a b'c", in_body),
            );
            assert!(!shown.contains("hidden") && shown.contains("$APP_KEY"), "{shown}");
            assert!(shown.contains("scope=a+b%27c") && shown.contains(r"scope='a b'\''c'"), "{shown}");
        }
    }
}
