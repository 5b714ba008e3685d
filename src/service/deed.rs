//! A deed: who does something and when, how far they reach, on what condition, and whether it was done before.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::ServiceError;
use super::access::ValidToken;
use super::token_detail::{TokenDetail, with_token};
use crate::clock::Timestamp;
use crate::db::audit::AuditEntry;
use crate::db::changes::{self, ChangeKind};
use crate::db::developers::Role;
use crate::db::idempotency::KeptAnswer;
use crate::db::used_jti::{self, Jti};
use crate::db::{AnyConnection, DbError, apis, audit, idempotency};
use crate::keys::envelope::MasterKey;
use crate::oauth::api::management_scope;
use crate::oauth::{Client, ClientId};
use crate::secret::sha256;

/// What an object is at a moment, as a short text: each change makes another. When an app was last used is no change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version of what is written like this.
    pub(super) fn of(object: &impl Serialize) -> Result<Self, ServiceError> {
        Ok(Self(digest(&[&to_json(object)?])))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// On what condition a change shall be made.
#[derive(Debug, Clone, Default)]
pub enum Condition {
    /// None.
    #[default]
    Always,
    /// That the object has one of these versions.
    Versions(Vec<String>),
}

impl Condition {
    fn holds(&self, current: &Version) -> bool {
        match self {
            Self::Always => true,
            Self::Versions(versions) => versions.contains(&current.0),
        }
    }
}

/// How far somebody reaches.
#[derive(Debug, Clone)]
enum Reach {
    /// Whoever runs commands, and the server itself.
    Everything,
    /// An app or a person: one organisation, with those scopes of the management API whose power it has and may hand on.
    Organisation { id: Uuid, scopes: Arc<[String]> },
}

/// A creation that is done once, however often it is asked for.
#[derive(Debug, Clone)]
struct Attempt {
    client_id: ClientId,
    key_hash: String,
    request_hash: String,
    master_key: Arc<MasterKey>,
}

/// A form that makes something, by what tells one rendering of it from the next. What it makes may hold a secret, so it is
/// not kept: a form sent again makes nothing and gives nothing.
#[derive(Debug, Clone)]
struct Form {
    developer_id: Uuid,
    rendering: Arc<str>,
}

/// Forms older than this are over, because no session lives that long.
const FORMS_REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// Who does something.
#[derive(Debug, Clone)]
pub(super) struct Doer {
    /// For the audit: `cli:root`, `server`, `app:…`.
    actor: Arc<str>,
    address: Option<IpAddr>,
    reach: Reach,
    condition: Condition,
    attempt: Option<Attempt>,
    form: Option<Form>,
    /// Whose token it is, if it is not simply an app's own: for the audit, and to tell one from the next.
    token: Option<Arc<Value>>,
}

impl Doer {
    /// Somebody who may do everything.
    pub(super) fn unbounded(actor: &str) -> Self {
        Self {
            actor: actor.into(),
            address: None,
            reach: Reach::Everything,
            condition: Condition::Always,
            attempt: None,
            form: None,
            token: None,
        }
    }

    /// An app with a token that has these scopes.
    pub(super) fn app(client: &Client, scopes: Vec<String>, address: IpAddr) -> Self {
        Self {
            actor: app_actor(client.client_id).into(),
            address: Some(address),
            reach: Reach::Organisation { id: client.organisation.id, scopes: scopes.into() },
            condition: Condition::Always,
            attempt: None,
            form: None,
            token: None,
        }
    }

    /// The same, but not in the own name if the token is a user's, or was exchanged. With a user's ticket the user is who
    /// does it; with what was exchanged the app is, for somebody.
    pub(super) fn showing(self, valid: &ValidToken) -> Self {
        let claims = &valid.token.claims;
        let user = valid.person.map(|holder| holder.developer_id);
        let actor = match (user, &claims.act) {
            (None, None) => return self,
            (Some(user), None) => person_actor(user).into(),
            (_, Some(_)) => self.actor,
        };
        let shown = TokenDetail::of(claims, user).to_json();
        Self { actor, token: Some(shown.into()), ..self }
    }

    /// A person at work in an organisation, where a role says how far the power goes: what a role may do to apps and APIs
    /// it may also let an app do.
    pub(super) fn person(developer_id: Uuid, organisation_id: Uuid, role: Role, address: IpAddr) -> Self {
        let scopes = if role == Role::Viewer { Vec::new() } else { management_scope::names() };
        Self {
            actor: person_actor(developer_id).into(),
            address: Some(address),
            reach: Reach::Organisation { id: organisation_id, scopes: scopes.into_iter().map(str::to_owned).collect() },
            condition: Condition::Always,
            attempt: None,
            form: None,
            token: None,
        }
    }

    /// A person who does something to the own account, or to the whole server.
    pub(super) fn unbounded_person(developer_id: Uuid, address: IpAddr) -> Self {
        Self { address: Some(address), ..Self::unbounded(&person_actor(developer_id)) }
    }

    /// The same, but what it makes it makes once for this rendering of a form.
    pub(super) fn with_form(self, developer_id: Uuid, rendering: &str) -> Self {
        Self { form: Some(Form { developer_id, rendering: rendering.into() }), ..self }
    }

    /// The same on a condition.
    pub(super) fn on(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// The same, but what it makes it makes once for all requests of that client, and of that user, with that key.
    pub(super) fn once(self, client_id: ClientId, key: &str, request: &[&[u8]], master_key: Arc<MasterKey>) -> Self {
        // Many users are one client: none of them gets what another was answered.
        let key_hash = match &self.token {
            Some(token) => digest(&[key.as_bytes(), token.to_string().as_bytes()]),
            None => digest(&[key.as_bytes()]),
        };
        let attempt = Attempt { client_id, key_hash, request_hash: digest(request), master_key };
        Self { attempt: Some(attempt), ..self }
    }

    /// Whether what belongs to that organisation can be seen. What belongs to none is Brevet's own.
    pub(super) fn reaches(&self, organisation_id: Option<Uuid>) -> bool {
        match (&self.reach, organisation_id) {
            (Reach::Everything, _) | (_, None) => true,
            (Reach::Organisation { id, .. }, Some(organisation_id)) => *id == organisation_id,
        }
    }

    /// Refuses to hand on scopes of Brevet's own API that the doer has not: nobody gains power over the organisation by
    /// giving it to an app and getting a key for it.
    pub(super) fn check_power(&self, granted: &[(Uuid, String)]) -> Result<(), ServiceError> {
        let Reach::Organisation { scopes, .. } = &self.reach else { return Ok(()) };
        let mut own = granted.iter().filter(|(api_id, _)| *api_id == apis::MANAGEMENT_API);
        match own.find(|(_, scope)| !scopes.contains(scope)) {
            Some((_, scope)) => Err(ServiceError::BeyondPower(format!("the power of the scope {scope} is missing"))),
            None => Ok(()),
        }
    }
}

/// An app in the audit, whether it works on itself at the token endpoint or on others through the management API.
fn app_actor(client_id: ClientId) -> String {
    format!("app:{client_id}")
}

/// How people begin in the audit.
const PERSON: &str = "user:";

/// A person in the audit.
pub(super) fn person_actor(developer_id: Uuid) -> String {
    format!("{PERSON}{developer_id}")
}

/// What an audit row needs besides what was done.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) doer: Doer,
    pub(super) now: Timestamp,
}

impl Deed {
    /// What a client does itself.
    pub(super) fn of_client(client_id: ClientId, now: Timestamp) -> Self {
        Self { doer: Doer::unbounded(&app_actor(client_id)), now }
    }

    /// What somebody does with an initial access token.
    pub(super) fn of_registration_token(id: Uuid, now: Timestamp) -> Self {
        Self { doer: Doer::unbounded(&format!("registration-token:{id}")), now }
    }

    /// The same, done from that address.
    pub(super) fn from(self, address: IpAddr) -> Self {
        Self { doer: Doer { address: Some(address), ..self.doer }, ..self }
    }

    /// The same, done by the person whom a link has just shown to be there.
    pub(super) fn as_user(&self, id: Uuid) -> Self {
        Self { doer: Doer { actor: person_actor(id).into(), ..self.doer.clone() }, ..*self }
    }

    /// Who does it.
    pub(super) fn actor(&self) -> &str {
        &self.doer.actor
    }

    /// The person who does it, if it is one.
    pub(super) fn person(&self) -> Option<Uuid> {
        self.doer.actor.strip_prefix(PERSON).and_then(|id| Uuid::try_parse(id).ok())
    }

    /// Refuses to change what is not as the doer thinks. Asked inside the transaction of the change.
    pub(super) fn check_version(&self, current: &Version) -> Result<(), ServiceError> {
        if self.doer.condition.holds(current) { Ok(()) } else { Err(ServiceError::Stale) }
    }

    /// Makes something, or gives what was made when it was asked for before. Writers go one after another, so of several
    /// requests at once one makes it and the others find it.
    pub(super) fn once<T: Serialize + DeserializeOwned>(
        &self,
        conn: &mut AnyConnection,
        make: impl FnOnce(&mut AnyConnection) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if let Some(form) = &self.doer.form {
            let (purpose, forget_at) = (form.developer_id.to_string(), self.now + FORMS_REMEMBERED);
            if used_jti::record(conn, "form", &purpose, &form.rendering, forget_at)? == Jti::Replayed {
                return Err(ServiceError::Repeated);
            }
        }
        let Some(attempt) = &self.doer.attempt else { return make(conn) };
        let name = format!("{} {}", attempt.client_id, attempt.key_hash);
        match idempotency::find(conn, attempt.client_id, &attempt.key_hash, self.now)? {
            Some(kept) if kept.request_hash != attempt.request_hash => Err(ServiceError::KeyReused),
            Some(kept) => {
                let plain = attempt.master_key.open_answer(&name, &kept.sealed_answer)?;
                serde_json::from_slice(&plain).map_err(|error| ServiceError::Internal(error.to_string()))
            }
            None => {
                let made = make(conn)?;
                let sealed_answer = attempt.master_key.seal_answer(&name, &to_json(&made)?)?;
                let kept = KeptAnswer { request_hash: attempt.request_hash.clone(), sealed_answer };
                idempotency::insert(conn, attempt.client_id, &attempt.key_hash, &kept, self.now)?;
                Ok(made)
            }
        }
    }

    /// Writes the audit row and the change row of a deed, in its transaction.
    pub(super) fn record(
        &self,
        conn: &mut AnyConnection,
        organisation_id: Option<Uuid>,
        action: &str,
        target: &str,
        detail: Value,
        changed: Option<ChangeKind>,
    ) -> Result<(), DbError> {
        let entry = AuditEntry {
            at: self.now,
            organisation_id,
            actor: self.doer.actor.to_string(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: with_token(detail, self.doer.token.as_deref()),
            address: self.doer.address.map(|address| address.to_string()),
        };
        audit::record(conn, &entry)?;
        changed.map_or(Ok(()), |kind| changes::record(conn, kind, target, self.now))
    }
}

fn to_json(object: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
    serde_json::to_vec(object).map(Zeroizing::new).map_err(|error| ServiceError::Internal(error.to_string()))
}

/// A short name for texts, each told from the next by its length.
fn digest(texts: &[&[u8]]) -> String {
    let framed: Zeroizing<Vec<u8>> = Zeroizing::new(
        texts
            .iter()
            .flat_map(|text| [&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes()[..], text].concat())
            .collect(),
    );
    URL_SAFE_NO_PAD.encode(sha256(&framed))
}
