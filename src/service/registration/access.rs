//! The two tokens of registration. Neither is an access token: each is good for this one thing, stored hashed, and looked
//! up by its hash, so that whatever is wrong takes the same time and gets the same answer.

use crate::clock::Timestamp;
use crate::db::apps::AppRecord;
use crate::db::organisations::OrganisationRecord;
use crate::db::registered_clients::{self, RegisteredClientRecord};
use crate::db::registration_tokens::RegistrationTokenRecord;
use crate::db::{AnyConnection, DbError, apps, organisations, registration_tokens};
use crate::oauth::{ClientId, OAuthError};
use crate::secret::{KeyedHash, Secret, SecretKind, StoredSecret, is_generated_secret};
use crate::service::throttle::Pair;
use crate::service::{Authority, Caller};

/// An initial access token that is good now.
#[derive(Debug)]
pub struct InitialAccess {
    pub(super) token: RegistrationTokenRecord,
    /// The slug of its organisation.
    pub(super) organisation: String,
}

/// A registered client that has shown its registration access token.
#[derive(Debug, Clone, Copy)]
pub struct RegisteredAccess {
    client_id: ClientId,
    hash: KeyedHash,
}

impl RegisteredAccess {
    /// The client.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }

    /// The client as it is now; `None` if the token is not its, or it or its organisation is switched off.
    pub(super) fn find(
        &self,
        conn: &mut AnyConnection,
    ) -> Result<Option<(RegisteredClientRecord, AppRecord)>, DbError> {
        let registration = registered_clients::find_by_hash(conn, self.hash)?;
        let Some(registration) = registration.filter(|found| found.client_id == self.client_id) else {
            return Ok(None);
        };
        let app = apps::find(conn, self.client_id)?.filter(|app| app.disabled_at.is_none());
        let Some(app) = app else { return Ok(None) };
        let organisation = enabled_organisation(conn, app.organisation_id)?;
        Ok(organisation.map(|_| (registration, app)))
    }
}

fn enabled_organisation(conn: &mut AnyConnection, id: uuid::Uuid) -> Result<Option<OrganisationRecord>, DbError> {
    Ok(organisations::find(conn, id)?.filter(|organisation| organisation.disabled_at.is_none()))
}

/// Checks an initial access token. Wrong ones are slowed down per address; one that was good once is no guess.
///
/// # Errors
/// `invalid_token`, `temporarily_unavailable`.
pub async fn authenticate_initial(
    authority: &Authority,
    caller: &Caller,
    token: &str,
) -> Result<InitialAccess, OAuthError> {
    let pair = Pair::new("initial access token", caller.address);
    let guess = Guess::new(authority, caller, pair, SecretKind::InitialAccessToken, token)?;
    let hash = guess.hash;
    let found = guess
        .look_up(move |conn| {
            let Some(token) = registration_tokens::find_by_hash(conn, hash)? else { return Ok(None) };
            let organisation = enabled_organisation(conn, token.organisation_id)?;
            Ok(Some((token, organisation)))
        })
        .await?;
    let (token, organisation) = found;
    let organisation = organisation.filter(|_| token.is_usable(caller.now)).ok_or_else(|| {
        OAuthError::invalid_token(format!("the initial access token {} is over, or its organisation is off", token.id))
    })?;
    Ok(InitialAccess { token, organisation: organisation.slug })
}

/// Checks the registration access token of the client `client_id`, which may be any text. Another client's, one of a client
/// that is gone or switched off, and one that never was get the same answer.
///
/// # Errors
/// `invalid_token`, `temporarily_unavailable`.
pub async fn authenticate_registered(
    authority: &Authority,
    caller: &Caller,
    client_id: &str,
    token: &str,
) -> Result<RegisteredAccess, OAuthError> {
    let pair = Pair::new(&format!("registration of {client_id}"), caller.address);
    let guess = Guess::new(authority, caller, pair, SecretKind::RegistrationAccessToken, token)?;
    let (claimed, hash) = (ClientId::parse(client_id), guess.hash);
    guess
        .look_up(move |conn| {
            // Whoever is named, the token is looked up.
            let owner = registered_clients::find_by_hash(conn, hash)?.map(|registration| registration.client_id);
            let Some(client_id) = owner.filter(|owner| claimed == Some(*owner)) else { return Ok(None) };
            let access = RegisteredAccess { client_id, hash };
            Ok(access.find(conn)?.map(|_| access))
        })
        .await
}

/// A token of which it is not known yet whether it is one.
struct Guess<'a> {
    authority: &'a Authority,
    now: Timestamp,
    pair: Pair,
    hash: KeyedHash,
}

impl<'a> Guess<'a> {
    /// Refuses whoever guessed too often, and what has not even the form of a token.
    fn new(
        authority: &'a Authority,
        caller: &Caller,
        pair: Pair,
        kind: SecretKind,
        token: &str,
    ) -> Result<Self, OAuthError> {
        if let Some(wait) = authority.throttle.wait(&pair, caller.now) {
            return Err(OAuthError::throttled(wait));
        }
        if !is_generated_secret(kind, token) {
            authority.throttle.record_failure(pair, caller.now);
            return Err(OAuthError::invalid_token("a token of another kind, or a mistyped one"));
        }
        let hash = authority.pepper.hash(&Secret::new(token));
        Ok(Self { authority, now: caller.now, pair, hash })
    }

    async fn look_up<T: Send + 'static>(
        self,
        find: impl FnOnce(&mut AnyConnection) -> Result<Option<T>, DbError> + Send + 'static,
    ) -> Result<T, OAuthError> {
        let found = self.authority.directory.database().read_off_thread(find).await;
        let found = found.map_err(|error| OAuthError::unavailable(error.to_string()))?;
        found.ok_or_else(|| {
            self.authority.throttle.record_failure(self.pair, self.now);
            OAuthError::invalid_token("an unknown token, or one of another client")
        })
    }
}

/// The client was good a moment ago.
pub(super) fn gone() -> OAuthError {
    OAuthError::invalid_token("the client is gone or switched off")
}

/// Whether a client that says its secret knows it ([RFC 7592 §2.2](https://www.rfc-editor.org/rfc/rfc7592#section-2.2)).
pub(super) fn check_secret(
    conn: &mut AnyConnection,
    client_id: ClientId,
    presented: KeyedHash,
    now: Timestamp,
) -> Result<(), super::Failure> {
    let secrets = apps::find_for_tokens(conn, client_id)?.map(|app| app.secrets).unwrap_or_default();
    let live = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|expires_at| now < expires_at));
    let mut matching = live.filter(|secret| secret.stored == StoredSecret::Keyed(presented));
    if matching.next().is_some() {
        return Ok(());
    }
    let refused = "client_secret is not the secret of this client; leave it out, it cannot be chosen.";
    Err(OAuthError::invalid_client_metadata(refused).into())
}
