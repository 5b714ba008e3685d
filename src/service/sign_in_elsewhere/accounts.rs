//! Which account here an account at a provider opens, and how the two are connected.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{AWAY_FOR, Outcome, open, seal};
use crate::clock::Timestamp;
use crate::config::{SignInProvider, SignUpMode};
use crate::db::identities::{self, IdentityRecord};
use crate::db::sessions::SessionRecord;
use crate::db::used_jti::{self, Jti};
use crate::db::{AnyConnection, credentials, members, passkeys};
use crate::oauth::id_token::IdClaims;
use crate::secret::random_id;
use crate::service::deed::{Deed, Doer};
use crate::service::organisations::checked_name;
use crate::service::sessions::{self, Browser, SignedIn};
use crate::service::sign_in::{admit, record_failure};
use crate::service::{Caller, Management, ServiceError, email, sign_up};

/// Who somebody is at a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Identity {
    issuer: String,
    subject: String,
    /// As the provider writes it: for people to look at.
    email: Option<String>,
    /// In canonical form, if the provider says that it is the person's.
    verified_email: Option<String>,
    name: Option<String>,
}

impl Identity {
    pub(super) fn new(setting: &SignInProvider, claims: &IdClaims) -> Self {
        Self {
            issuer: setting.issuer.clone(),
            subject: claims.subject().to_owned(),
            email: claims
                .email()
                .filter(|email| email.len() <= 254 && !email.chars().any(char::is_control))
                .map(str::to_owned),
            verified_email: claims.verified_email().and_then(|text| email::canonical(text).ok()),
            name: claims.name().and_then(|name| checked_name(name).ok()),
        }
    }
}

/// Lets somebody in: whose identity it is; or who has the address, if both sides know that it is the person's; or somebody
/// new, where that is allowed.
pub(super) fn settle(
    conn: &mut AnyConnection,
    m: &Management,
    caller: Caller,
    browser: &Browser,
    setting: &SignInProvider,
    who: &Identity,
) -> Result<Outcome, ServiceError> {
    let by = format!("provider {}", setting.name);
    let refused =
        |conn: &mut AnyConnection, id: Option<Uuid>| record_failure(conn, caller, id, &by).map(|()| Outcome::NoAccount);
    if let Some(id) = identities::find(conn, &who.issuer, &who.subject)? {
        let person = credentials::find(conn, id)?.filter(|person| person.disabled_at.is_none());
        return match person {
            Some(_) => admit(conn, m, id, browser, None, &by).map(Outcome::Admitted),
            None => refused(conn, Some(id)),
        };
    }
    let Some(email) = &who.verified_email else { return refused(conn, None) };
    if let Some(person) = members::find_person_by_email(conn, email)? {
        // An account that somebody made with an address not known to be theirs is nobody's who proves it later. And whose
        // address it was at the provider before may have been somebody else.
        let has_another = identities::list(conn, person.id)?.iter().any(|known| known.provider == who.issuer);
        if person.email_verified_at.is_none() || person.disabled_at.is_some() || has_another {
            return refused(conn, Some(person.id));
        }
        let deed = Deed { doer: Doer::unbounded_person(person.id, caller.address), now: m.now() };
        insert(conn, &deed, setting, person.id, who)?;
        return admit(conn, m, person.id, browser, None, &by).map(Outcome::Admitted);
    }
    if !setting.allow_sign_up || m.config.sign_up != SignUpMode::Open {
        return refused(conn, None);
    }
    let deed = m.for_stranger(caller.address).deed();
    let organisation = who.name.as_deref().or_else(|| email.split('@').next()).unwrap_or_default();
    let (id, organisation_id) = sign_up::make(conn, &deed, email, organisation, "", Some(deed.now))?;
    insert(conn, &deed.as_user(id), setting, id, who)?;
    admit(conn, m, id, browser, Some(organisation_id), &by).map(Outcome::Admitted)
}

/// Proves again who is signed in, by the account there that is connected with the person's.
pub(super) fn confirm(
    conn: &mut AnyConnection,
    m: &Management,
    caller: Caller,
    signed_in: &SignedIn,
    setting: &SignInProvider,
    who: &Identity,
) -> Result<Outcome, ServiceError> {
    let (id, by) = (signed_in.person.id, format!("provider {}", setting.name));
    if identities::find(conn, &who.issuer, &who.subject)? != Some(id) {
        return record_failure(conn, caller, Some(id), &by).map(|()| Outcome::NoAccount);
    }
    let session = SessionRecord { confirmed_at: caller.now, ..signed_in.session.clone() };
    let secret = sessions::renew(conn, m, &session)?;
    let deed = Deed { doer: Doer::unbounded_person(id, caller.address), now: caller.now };
    let organisation = signed_in.workplace.as_ref().map(|workplace| workplace.id);
    deed.record(conn, organisation, "session.confirm", &id.to_string(), json!({ "by": by }), None)?;
    Ok(Outcome::Confirmed(secret))
}

fn insert(
    conn: &mut AnyConnection,
    deed: &Deed,
    setting: &SignInProvider,
    developer_id: Uuid,
    who: &Identity,
) -> Result<(), ServiceError> {
    let (provider, subject) = (who.issuer.clone(), who.subject.clone());
    let record = IdentityRecord { provider, subject, developer_id, created_at: deed.now };
    let taken = "that account is connected with somebody else's account here";
    identities::insert(conn, &record).map_err(ServiceError::duplicate(taken))?;
    note(conn, deed, "user.identity-connect", setting, developer_id)
}

fn note(
    conn: &mut AnyConnection,
    deed: &Deed,
    action: &str,
    setting: &SignInProvider,
    developer_id: Uuid,
) -> Result<(), ServiceError> {
    let organisation = credentials::first_organisation(conn, developer_id)?;
    let detail = json!({ "provider": setting.name, "issuer": setting.issuer });
    Ok(deed.record(conn, organisation, action, &developer_id.to_string(), detail, None)?)
}

/// A connection that its person has not said yes to. Without that, whoever brings a browser to sign in at the provider as
/// somebody else could come in afterwards.
#[derive(Serialize, Deserialize)]
struct Offer {
    id: String,
    identity: Identity,
    expires_at: i64,
}

fn offer_name(developer_id: Uuid) -> String {
    format!("Connection {developer_id}")
}

/// Offers a connection to the person who is signed in, and to nobody else.
pub(super) fn seal_connection(m: &Management, developer_id: Uuid, identity: Identity) -> Result<Outcome, ServiceError> {
    let email = identity.email.clone();
    let offer = Offer { id: random_id()?, identity, expires_at: (m.now() + AWAY_FOR).seconds() };
    let sealed = seal(m, &offer_name(developer_id), &offer)?;
    Ok(Outcome::MayConnect { email, sealed })
}

fn setting(m: &Management, name: &str) -> Result<SignInProvider, ServiceError> {
    let found = m.config.sign_in_providers.iter().find(|setting| setting.name == name).cloned();
    found.ok_or_else(|| ServiceError::NotFound("there is no such provider".to_owned()))
}

/// Connects the account of a person with the one at a provider, from [`Outcome::MayConnect`].
///
/// # Errors
/// `Invalid` for an offer that does not hold, `Conflict` if either account is connected already.
pub fn connect(m: &Management, developer_id: Uuid, name: &str, sealed: &str) -> Result<(), ServiceError> {
    let (deed, setting) = (m.deed(), setting(m, name)?);
    let offer: Option<Offer> = open(m, &offer_name(developer_id), sealed);
    let offer = offer.filter(|offer| deed.now.seconds() < offer.expires_at && offer.identity.issuer == setting.issuer);
    let dead = || ServiceError::Invalid("that took too long, or was done before; begin again".to_owned());
    let offer = offer.ok_or_else(dead)?;
    m.database.write(move |conn| {
        let forget_at = Timestamp::from_seconds(offer.expires_at);
        if used_jti::record(conn, "sign-in-provider", "offer", &offer.id, forget_at)? == Jti::Replayed {
            return Err(dead());
        }
        if identities::list(conn, developer_id)?.iter().any(|known| known.provider == setting.issuer) {
            let text = format!("your account is connected with {} already; disconnect that first", setting.label);
            return Err(ServiceError::Conflict(text));
        }
        insert(conn, &deed, &setting, developer_id, &offer.identity)
    })
}

/// A provider, and whether a person signs in there.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What the provider is called in addresses.
    pub name: String,
    /// What it is called for people.
    pub label: String,
    /// Since when the person's account is connected with one there.
    pub connected_at: Option<Timestamp>,
}

/// All providers, for a person.
///
/// # Errors
/// When the database does not answer.
pub fn connections(m: &Management, developer_id: Uuid) -> Result<Vec<Connection>, ServiceError> {
    let known = m.database.read(|conn| identities::list(conn, developer_id))?;
    let connection = |setting: &SignInProvider| Connection {
        name: setting.name.clone(),
        label: setting.label.clone(),
        connected_at: known.iter().find(|known| known.provider == setting.issuer).map(|known| known.created_at),
    };
    Ok(m.config.sign_in_providers.iter().map(connection).collect())
}

/// By what a person can prove anew who it is, besides one-time codes.
#[derive(Debug, Clone)]
pub struct Proofs {
    /// A password.
    pub has_password: bool,
    /// A passkey.
    pub has_passkey: bool,
    /// Providers with which the person's account is connected.
    pub providers: Vec<Connection>,
}

/// By what a person can prove anew who it is.
///
/// # Errors
/// `NotFound` without the person.
pub fn proofs(m: &Management, developer_id: Uuid) -> Result<Proofs, ServiceError> {
    let gone = || ServiceError::NotFound("there is no such person any more".to_owned());
    let person = m.database.read(|conn| credentials::find(conn, developer_id))?.ok_or_else(gone)?;
    let mut providers = connections(m, developer_id)?;
    providers.retain(|connection| connection.connected_at.is_some());
    let has_passkey = !m.database.read(|conn| passkeys::list(conn, developer_id))?.is_empty();
    Ok(Proofs { has_password: person.password_hash.is_some(), has_passkey, providers })
}

/// Takes a connection away, unless nothing else lets the person in.
///
/// # Errors
/// `NotFound`, and `Conflict` for the last way to sign in.
pub fn disconnect(m: &Management, developer_id: Uuid, name: &str) -> Result<(), ServiceError> {
    let (deed, setting, config) = (m.deed(), setting(m, name)?, m.config.clone());
    m.database.write(move |conn| {
        let gone = || ServiceError::NotFound("there is no such connection".to_owned());
        let person = credentials::find(conn, developer_id)?.ok_or_else(gone)?;
        let works = |known: &IdentityRecord| {
            known.provider != setting.issuer
                && config.sign_in_providers.iter().any(|other| other.issuer == known.provider)
        };
        let has_another_way = person.password_hash.is_some()
            || !passkeys::list(conn, developer_id)?.is_empty()
            || identities::list(conn, developer_id)?.iter().any(works);
        if !has_another_way {
            let text = format!(
                "{} is your only way to sign in; choose a password first (Forgotten your password? on the sign-in page) or add a passkey",
                setting.label
            );
            return Err(ServiceError::Conflict(text));
        }
        if !identities::delete(conn, developer_id, &setting.issuer)? {
            return Err(gone());
        }
        note(conn, &deed, "user.identity-disconnect", &setting, developer_id)
    })
}
