//! Signing in through an OpenID Connect provider ([Core §3.1](https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth)):
//! authorization code with PKCE, state and nonce. What must be known when the browser comes back travels with it, sealed
//! and bound to it, so that any node can finish; it works once and soon ends.

mod accounts;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};
use uuid::Uuid;

pub use self::accounts::{Connection, Proofs, connect, connections, disconnect, proofs};
use self::accounts::{Identity, confirm, seal_connection, settle};
use super::sessions::{Browser, SignedIn};
use super::sign_in::{self, Admitted};
use super::{Authority, Caller, Management, ServiceError};
use crate::clock::Timestamp;
use crate::config::SignInProvider;
use crate::db::used_jti::{self, Jti};
use crate::directory::providers::{Provider, ProviderMetadata};
use crate::keys::jws::UnverifiedJws;
use crate::oauth::client::KeySource;
use crate::oauth::id_token::{Expected, IdClaims, LONGEST_ID_TOKEN};
use crate::secret::{Secret, random_bytes, random_id, sha256};

/// How long somebody may be away at the provider.
pub const AWAY_FOR: Duration = Duration::from_secs(600);
/// In octets.
const LONGEST_CODE: usize = 4_096;
/// Longer ways back do not fit into a cookie.
const LONGEST_WAY_BACK: usize = 1_000;

/// Where to send the browser.
#[derive(Debug)]
pub struct Begun {
    /// The provider's authorization endpoint, with what it must know.
    pub url: String,
    /// To be kept by the browser until it comes back.
    pub state: Secret,
}

/// What for somebody goes to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// To come in.
    SignIn,
    /// To connect the account there with this person's.
    Connect(Uuid),
    /// To prove anew to be this person.
    Confirm(Uuid),
}

/// What a browser brings back from the provider.
#[derive(Debug)]
pub struct Brought {
    /// What forms of this browser are bound to.
    pub binding: String,
    /// From [`Begun::state`].
    pub kept: Option<Secret>,
    /// Who is signed in.
    pub signed_in: Option<SignedIn>,
    /// `state`
    pub state: String,
    /// `code`
    pub code: Option<Secret>,
    /// `iss`
    pub issuer: Option<String>,
    /// `error`
    pub error: Option<String>,
}

/// Somebody who came back.
#[derive(Debug)]
pub struct Back {
    /// Where the person wanted to go.
    pub return_to: String,
    /// What the provider's word was good for.
    pub outcome: Outcome,
}

/// What the provider's word was good for.
#[derive(Debug)]
pub enum Outcome {
    /// The person may come in.
    Admitted(Admitted),
    /// Somebody who is signed in may connect the two accounts.
    MayConnect {
        /// The address there, if it says one.
        email: Option<String>,
        /// For [`connect`].
        sealed: String,
    },
    /// It is the person that is signed in: the session has another secret.
    Confirmed(Secret),
    /// No account here is opened by it, for whatever reason.
    NoAccount,
}

/// Why somebody is not signed in.
#[derive(Debug)]
pub enum Refusal {
    /// It was not begun in this browser, took too long or was ended before.
    NotBegun,
    /// The person did not go on there.
    Cancelled,
    /// The provider does not say that the person signed in there just now.
    NotAnew,
    /// The provider does not answer as it should. For the log.
    Provider(String),
    /// Anything else.
    Service(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

fn provider_fault(what: impl fmt::Display) -> Refusal {
    Refusal::Provider(what.to_string())
}

/// What must be known when the browser comes back.
#[derive(Serialize, Deserialize)]
struct State {
    id: String,
    provider: String,
    nonce: String,
    verifier: String,
    return_to: String,
    errand: Errand,
    expires_at: i64,
}

fn sealed_name(binding: &str) -> String {
    format!("Elsewhere {binding}")
}

fn seal(m: &Management, name: &str, content: &impl Serialize) -> Result<String, ServiceError> {
    let plain = serde_json::to_vec(content).map_err(|error| ServiceError::Internal(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(m.master_key.seal_ceremony(name, &plain)?))
}

fn open<T: DeserializeOwned>(m: &Management, name: &str, sealed: &str) -> Option<T> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = m.master_key.open_ceremony(name, &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

impl Authority {
    fn sign_in_provider(&self, name: &str) -> Result<(&SignInProvider, &Provider), ServiceError> {
        let known = self.config.sign_in_providers.iter().zip(&self.sign_in_providers);
        let found = known.into_iter().find(|(setting, _)| setting.name == name);
        found.ok_or_else(|| ServiceError::NotFound("there is no such provider".to_owned()))
    }

    /// Where a provider sends browsers back to: below the configured issuer, whatever host a request names.
    fn way_back(&self, name: &str) -> String {
        format!("{}/login/with/{name}/callback", self.issuer())
    }
}

/// Begins.
///
/// # Errors
/// `NotFound` in `Service` for a provider that is not configured, `Provider` if it does not answer.
pub async fn begin(
    authority: &Authority,
    caller: Caller,
    binding: &str,
    name: &str,
    errand: Errand,
    return_to: &str,
) -> Result<Begun, Refusal> {
    let (setting, provider) = authority.sign_in_provider(name)?;
    let metadata = provider.metadata(caller.now).await.map_err(Refusal::Provider)?;
    let return_to = if return_to.len() > LONGEST_WAY_BACK { "/" } else { return_to };
    let state = State {
        id: random_id()?,
        provider: name.to_owned(),
        nonce: random_id()?,
        verifier: URL_SAFE_NO_PAD.encode(random_bytes::<32>()?),
        return_to: return_to.to_owned(),
        errand,
        expires_at: (caller.now + AWAY_FOR).seconds(),
    };
    let mut url = Url::parse(&metadata.authorization_endpoint).map_err(provider_fault)?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &setting.client_id)
        .append_pair("redirect_uri", &authority.way_back(name))
        .append_pair("scope", "openid email profile")
        .append_pair("state", &state.id)
        .append_pair("nonce", &state.nonce)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(sha256(state.verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    if matches!(errand, Errand::Confirm(_)) {
        url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
    }
    let sealed = seal(&authority.management, &sealed_name(binding), &state)?;
    Ok(Begun { url: url.into(), state: Secret::new(sealed) })
}

/// Takes in what a browser brings back from the provider of that name.
///
/// # Errors
/// The first check that failed.
pub async fn finish(
    authority: &Authority,
    caller: Caller,
    browser: Browser,
    name: &str,
    brought: Brought,
) -> Result<Back, Refusal> {
    let (setting, provider) = authority.sign_in_provider(name)?;
    let state = take_state(authority, caller, name, &brought).await?;
    let metadata = provider.metadata(caller.now).await.map_err(Refusal::Provider)?;
    check_sender(setting, &metadata, &brought)?;
    match brought.error.as_deref() {
        Some("access_denied") => return Err(Refusal::Cancelled),
        Some(_) => return Err(provider_fault("it answered with an error instead of a code")),
        None => {}
    }
    let code = brought.code.filter(|code| (1..=LONGEST_CODE).contains(&code.reveal().len()));
    let code = code.ok_or_else(|| provider_fault("its answer has no code"))?;
    let form = Secret::new(
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code.reveal())
            .append_pair("redirect_uri", &authority.way_back(name))
            .append_pair("code_verifier", &state.verifier)
            .finish(),
    );
    let token = provider.exchange(metadata.token_endpoint, authorization(setting), form).await;
    let token = token.map_err(Refusal::Provider)?;
    let claims = verified(authority, caller.now, setting, metadata.jwks_uri, &state.nonce, &token).await?;
    let identity = Identity::new(setting, &claims);
    let outcome = match (state.errand, brought.signed_in) {
        (Errand::Connect(person), _) => seal_connection(&authority.management, person, identity)?,
        (Errand::Confirm(_), Some(signed_in)) => {
            let begun_at = Timestamp::from_seconds(state.expires_at) - AWAY_FOR;
            claims.check_anew(begun_at).map_err(|_not_anew| Refusal::NotAnew)?;
            let setting = setting.clone();
            let confirmed =
                sign_in::change(authority, move |conn, m| confirm(conn, m, caller, &signed_in, &setting, &identity));
            confirmed.await?
        }
        (Errand::SignIn | Errand::Confirm(_), _) => {
            let setting = setting.clone();
            let settled =
                sign_in::change(authority, move |conn, m| settle(conn, m, caller, &browser, &setting, &identity));
            settled.await?
        }
    };
    Ok(Back { return_to: state.return_to, outcome })
}

/// What was kept since [`begin`], used up: by this browser, for this answer, once.
async fn take_state(authority: &Authority, caller: Caller, name: &str, brought: &Brought) -> Result<State, Refusal> {
    let m = &authority.management;
    let kept = brought.kept.as_ref().and_then(|kept| open::<State>(m, &sealed_name(&brought.binding), kept.reveal()));
    let state = kept.ok_or(Refusal::NotBegun)?;
    let hash = |text: &str| m.pepper.hash(&Secret::new(text));
    let is_answered = hash(&state.id) == hash(&brought.state) && state.provider == name;
    let is_same_person = match (state.errand, &brought.signed_in) {
        (Errand::SignIn, None) => true,
        (Errand::SignIn, Some(signed_in)) => signed_in.lacks_second_factor,
        (Errand::Connect(id) | Errand::Confirm(id), Some(signed_in)) => signed_in.person.id == id,
        (Errand::Connect(_) | Errand::Confirm(_), None) => false,
    };
    if !is_answered || caller.now.seconds() >= state.expires_at || !is_same_person {
        return Err(Refusal::NotBegun);
    }
    let (id, forget_at) = (state.id.clone(), Timestamp::from_seconds(state.expires_at));
    let record = move |conn: &mut _| used_jti::record(conn, "sign-in-provider", "state", &id, forget_at);
    match authority.directory.database().insert_off_thread(record).await? {
        Jti::Fresh => Ok(state),
        Jti::Replayed => Err(Refusal::NotBegun),
    }
}

/// An answer of another provider is not taken for one of this ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
fn check_sender(setting: &SignInProvider, metadata: &ProviderMetadata, brought: &Brought) -> Result<(), Refusal> {
    let is_from_it = match &brought.issuer {
        Some(issuer) => *issuer == setting.issuer,
        None => !metadata.names_itself,
    };
    if is_from_it { Ok(()) } else { Err(provider_fault("its answer does not name it as iss")) }
}

/// `client_secret_basic` ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
fn authorization(setting: &SignInProvider) -> Secret {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!("{}:{}", encode(&setting.client_id), encode(setting.client_secret.reveal())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.reveal())))
}

/// What an ID token says, once its signature and its claims hold.
async fn verified(
    authority: &Authority,
    now: Timestamp,
    setting: &SignInProvider,
    jwks_uri: String,
    nonce: &str,
    token: &Secret,
) -> Result<IdClaims, Refusal> {
    let refused = |why: &dyn fmt::Display| Refusal::Provider(format!("its ID token is refused: {why}"));
    let jws = UnverifiedJws::parse(token.reveal(), LONGEST_ID_TOKEN).map_err(|error| refused(&error))?;
    let keys = KeySource::JwksUri(jwks_uri.into());
    authority.directory.verify_foreign(&keys, None, &jws, now).await.map_err(|error| refused(&error))?;
    // From here on it is what was signed.
    let claims = IdClaims::read(jws.unverified_payload()).map_err(|error| refused(&error))?;
    let expected = Expected { issuer: &setting.issuer, client_id: &setting.client_id, nonce };
    claims.check(jws.typ(), expected, now).map_err(|error| refused(&error))?;
    Ok(claims)
}
