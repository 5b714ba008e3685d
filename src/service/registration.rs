//! Dynamic client registration ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)) and what a registered client does with
//! itself afterwards ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)). A client that registered itself is an app like
//! any other; the token with which it did so says what it may become.

mod access;

pub use self::access::{InitialAccess, RegisteredAccess, authenticate_initial, authenticate_registered};
use super::app_authentication::check as check_authentication;
use super::app_keys::{insert_key, live_keys};
use super::apps::{self, AppUpdate, CheckedApp, NewApp, NewKey};
use super::deed::Deed;
use super::organisations::checked_name;
use super::{Authority, Caller, Management, ServiceError};
use crate::clock::Timestamp;
use crate::db::apps::AppRecord;
use crate::db::registered_clients::{self, RegisteredClientRecord};
use crate::db::{AnyConnection, DbError, registration_tokens};
use crate::oauth::client::{ClientAuthMethod, ClientAuthentication, KeySource};
use crate::oauth::registration::{ClientMetadata, MetadataUpdate, choose_scopes};
use crate::oauth::{ClientId, OAuthError};
use crate::secret::{Secret, SecretKind, generate_client_secret, generate_secret};

/// A registered client as it is told about itself.
#[derive(Debug)]
pub struct Registered {
    /// The app.
    pub app: AppRecord,
    /// The method that it uses.
    pub auth_method: ClientAuthMethod,
    /// Its secret, if it was made just now. The only time it is seen.
    pub client_secret: Option<Secret>,
    /// When the last of its secrets ends, nothing for never; `None` for a client without one.
    pub secret_expires_at: Option<Option<Timestamp>>,
}

/// A client just registered.
#[derive(Debug)]
pub struct NewlyRegistered {
    /// The client.
    pub client: Registered,
    /// With which it is shown and changed. The only time it is seen.
    pub registration_access_token: Secret,
}

/// What ends a transaction: an answer to the client.
struct Failure(OAuthError);

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self(error)
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self(match error {
            ServiceError::Unavailable(detail) => OAuthError::unavailable(detail),
            ServiceError::Setup(detail) | ServiceError::Internal(detail) => OAuthError::server_error(detail),
            refused => {
                OAuthError::invalid_client_metadata("The metadata cannot be used.").with_detail(refused.to_string())
            }
        })
    }
}

/// Registers a client. One use of the initial access token is spent in the transaction that makes the app, so that it
/// registers as many as it says, however many come at once.
///
/// # Errors
/// `invalid_client_metadata`; `invalid_token` when the token was used up meanwhile; `temporarily_unavailable`.
pub async fn register(
    authority: &Authority,
    caller: &Caller,
    access: InitialAccess,
    metadata: ClientMetadata,
) -> Result<NewlyRegistered, OAuthError> {
    let m = &authority.management;
    let InitialAccess { token, organisation } = access;
    let metadata = checked(m, metadata)?;
    let allowed: Vec<&str> = token.scopes.iter().map(|(_, name)| name.as_str()).collect();
    let client_id = ClientId::generate();
    let new = NewApp {
        name: metadata.name.unwrap_or_else(|| client_id.to_string()),
        scopes: choose_scopes(metadata.scopes.as_deref(), &allowed)?,
        lifetime: token.lifetime.map(|lifetime| lifetime.min(m.config.access_token_lifetime)),
        authentication: metadata.authentication,
        dpop_required: metadata.dpop_bound,
        ..NewApp::default()
    };
    let app = CheckedApp::new(m, new).map_err(unwrapped)?;
    let client_secret = app.needs_key().then(generate_client_secret).transpose().map_err(unwrapped)?;
    let key = client_secret.as_ref().map(|secret| NewKey::of(m, secret)).transpose().map_err(unwrapped)?;
    let registration_access_token = generate_secret(SecretKind::RegistrationAccessToken).map_err(unwrapped)?;
    let hash = m.pepper.hash(&registration_access_token);
    let auth_method = metadata.auth_method;
    let registration = RegisteredClientRecord { client_id, auth_method, allowed_scopes: token.scopes };
    let deed = Deed::of_registration_token(token.id, caller.now).from(caller.address);
    let made = authority.directory.change(caller.now, move |conn| {
        if !registration_tokens::use_once(conn, token.id, deed.now)? {
            return Err(Failure(OAuthError::invalid_token("an initial access token that was used up meanwhile")));
        }
        apps::insert(conn, &deed, &organisation, client_id, &app, key.as_ref())?;
        registered_clients::insert(conn, &registration, hash)?;
        describe(conn, client_id, auth_method, deed.now)?.ok_or_else(|| access::gone().into())
    });
    let made = made.await.map_err(|Failure(error)| error)?;
    Ok(NewlyRegistered { client: Registered { client_secret, ..made }, registration_access_token })
}

/// Shows a registered client.
///
/// # Errors
/// `invalid_token` when it is gone meanwhile; `temporarily_unavailable`.
pub async fn show(authority: &Authority, caller: &Caller, access: RegisteredAccess) -> Result<Registered, OAuthError> {
    let now = caller.now;
    let read = authority.directory.database().read_off_thread(move |conn| {
        let Some((registration, app)) = access.find(conn)? else { return Ok(None) };
        describe(conn, app.client_id, registration.auth_method, now)
    });
    let found = read.await.map_err(|error| Failure::from(error).0)?;
    found.ok_or_else(access::gone)
}

/// Replaces what a client says of itself ([RFC 7592 §2.2](https://www.rfc-editor.org/rfc/rfc7592#section-2.2)). What it
/// leaves out is as at a registration that leaves it out. It gets a new secret only when it had none.
///
/// # Errors
/// `invalid_client_metadata`, `invalid_token`, `temporarily_unavailable`.
pub async fn update(
    authority: &Authority,
    caller: &Caller,
    access: RegisteredAccess,
    update: MetadataUpdate,
) -> Result<Registered, OAuthError> {
    let m = &authority.management;
    let metadata = checked(m, update.metadata)?;
    let presented = update.client_secret.map(|secret| m.pepper.hash(&secret));
    let spare = generate_client_secret().map_err(unwrapped)?;
    let spare_key = NewKey::of(m, &spare).map_err(unwrapped)?;
    let deed = Deed::of_client(access.client_id(), caller.now).from(caller.address);
    let changed = authority.directory.change(caller.now, move |conn| {
        let (registration, app) = access.find(conn)?.ok_or_else(access::gone)?;
        if let Some(presented) = presented {
            access::check_secret(conn, app.client_id, presented, deed.now)?;
        }
        let gets_key = metadata.authentication == ClientAuthentication::ClientSecret
            && app.authentication != ClientAuthentication::ClientSecret;
        let change = AppUpdate {
            name: Some(metadata.name.unwrap_or_else(|| app.client_id.to_string())),
            authentication: Some(metadata.authentication).filter(|wanted| *wanted != app.authentication),
            // A client may bind itself, and is not let go: an operator may have bound it.
            dpop_required: Some(metadata.dpop_bound || app.dpop_required),
            ..scope_changes(&registration, &app, metadata.scopes.as_deref())?
        };
        let client_id = app.client_id;
        apps::change(conn, &deed, app, &change)?;
        registered_clients::update_auth_method(conn, client_id, metadata.auth_method)?;
        if gets_key {
            insert_key(conn, &deed, client_id, &spare_key, None)?;
        }
        let client = describe(conn, client_id, metadata.auth_method, deed.now)?.ok_or_else(access::gone)?;
        Ok((client, gets_key))
    });
    let (client, gets_key) = changed.await.map_err(|Failure(error)| error)?;
    Ok(Registered { client_secret: gets_key.then_some(spare), ..client })
}

/// Deletes a registered client; its tokens are refused at once.
///
/// # Errors
/// `invalid_token` when it is gone meanwhile; `temporarily_unavailable`.
pub async fn delete(authority: &Authority, caller: &Caller, access: RegisteredAccess) -> Result<(), OAuthError> {
    let deed = Deed::of_client(access.client_id(), caller.now).from(caller.address);
    let deleted = authority.directory.change(caller.now, move |conn| {
        let (_, app) = access.find(conn)?.ok_or_else(access::gone)?;
        Ok::<_, Failure>(apps::remove(conn, &deed, &app)?)
    });
    deleted.await.map_err(|Failure(error)| error)
}

fn unwrapped(error: impl Into<ServiceError>) -> OAuthError {
    Failure::from(error.into()).0
}

/// Checks name and keys, and says which of them cannot be used. Nothing is fetched. What exactly is wrong with a key goes
/// nowhere, not even to the log: it may repeat what was sent, and that may be a private key.
fn checked(m: &Management, metadata: ClientMetadata) -> Result<ClientMetadata, OAuthError> {
    let refused = |words: &'static str| move |_: ServiceError| OAuthError::invalid_client_metadata(words);
    let name = metadata.name.as_deref().map(checked_name).transpose();
    let name = name.map_err(refused("client_name needs 1 to 100 characters, none of them a control character."))?;
    let words = match &metadata.authentication {
        ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri(_)) => {
            "jwks_uri must be an https address on the internet, without user, password and fragment."
        }
        _ => {
            "jwks must be a set of 1 to 20 public keys: RSA of 2048 to 4096 bits, EC on P-256 or Ed25519, each kid once."
        }
    };
    let authentication = check_authentication(m, metadata.authentication).map_err(refused(words))?;
    Ok(ClientMetadata { name, authentication, ..metadata })
}

/// What a client may have is what the initial access token allowed and what an operator granted since.
fn scope_changes(
    registration: &RegisteredClientRecord,
    app: &AppRecord,
    asked: Option<&[String]>,
) -> Result<AppUpdate, OAuthError> {
    let granted: Vec<&str> = app.scopes.iter().map(|(_, name)| name.as_str()).collect();
    let mut allowed: Vec<&str> = registration.allowed_scopes.iter().map(|(_, name)| name.as_str()).collect();
    allowed.extend(&granted);
    allowed.sort_unstable();
    allowed.dedup();
    let wanted = choose_scopes(asked, &allowed)?;
    let lost = granted.iter().filter(|name| !wanted.iter().any(|wanted| wanted == *name));
    Ok(AppUpdate {
        remove_scopes: lost.map(|name| (*name).to_owned()).collect(),
        add_scopes: wanted.iter().filter(|name| !granted.contains(&name.as_str())).cloned().collect(),
        ..AppUpdate::default()
    })
}

/// The client as it is now, if it is there.
fn describe(
    conn: &mut AnyConnection,
    client_id: ClientId,
    registered: ClientAuthMethod,
    now: Timestamp,
) -> Result<Option<Registered>, DbError> {
    let Some(app) = crate::db::apps::find(conn, client_id)? else { return Ok(None) };
    let has_secret = app.authentication == ClientAuthentication::ClientSecret;
    // An operator may have changed how the client proves who it is.
    let auth_method = match (has_secret, registered) {
        (false, _) => ClientAuthMethod::PrivateKeyJwt,
        (true, ClientAuthMethod::PrivateKeyJwt) => ClientAuthMethod::ClientSecretBasic,
        (true, method) => method,
    };
    let last_end = |conn: &mut AnyConnection| -> Result<Option<Timestamp>, DbError> {
        let ends: Vec<_> = live_keys(conn, client_id, now)?.into_iter().map(|key| key.expires_at).collect();
        Ok(if ends.contains(&None) { None } else { ends.into_iter().flatten().max() })
    };
    let secret_expires_at = has_secret.then(|| last_end(conn)).transpose()?;
    Ok(Some(Registered { app, auth_method, client_secret: None, secret_expires_at }))
}
