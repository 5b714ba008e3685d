//! Links that work once: to set up the server, to join an organisation, to prove an address, to choose another password.
//!
//! The secret stands in the link alone. What is kept is a keyed hash, bound to the purpose; person, address, organisation
//! and role stand in the row, so nothing of it can be changed by whoever has the link.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::deed::{Deed, Doer};
use super::throttle::Pair;
use super::{Authority, Caller, Management, ServiceError, sign_in, sign_up};
use crate::clock::Timestamp;
use crate::db::developers::Role;
pub use crate::db::links::{LinkPurpose, LinkRecord, PendingSignUp};
use crate::db::{AnyConnection, links};
use crate::secret::{KeyedHash, Secret, random_bytes};

/// Characters of the secret: 256 random bits in base64url.
const SECRET_LENGTH: usize = 43;

/// A link just made. The only time it is seen.
#[derive(Debug)]
pub struct Link {
    /// The whole address, to be opened in a browser.
    pub url: Secret,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// A link to be made.
#[derive(Debug)]
pub(super) struct NewLink {
    pub(super) purpose: LinkPurpose,
    pub(super) developer_id: Option<Uuid>,
    pub(super) organisation_id: Option<Uuid>,
    pub(super) email: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) is_mailed: bool,
    pub(super) sign_up: Option<PendingSignUp>,
}

impl NewLink {
    pub(super) fn new(purpose: LinkPurpose) -> Self {
        Self {
            purpose,
            developer_id: None,
            organisation_id: None,
            email: None,
            role: None,
            is_mailed: false,
            sign_up: None,
        }
    }
}

/// The path below the issuer under which links of that purpose are opened.
pub const fn path(purpose: LinkPurpose) -> &'static str {
    match purpose {
        LinkPurpose::Setup => "/setup",
        LinkPurpose::Invitation => "/invite",
        LinkPurpose::Verification => "/verify",
        LinkPurpose::Reset => "/reset",
    }
}

/// Makes a link, in the transaction of what it is made for. It leads to the configured issuer, whatever host a request
/// named.
pub(super) fn make(
    m: &Management,
    conn: &mut AnyConnection,
    deed: &Deed,
    new: NewLink,
) -> Result<(Uuid, Link), ServiceError> {
    let secret = Secret::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(random_bytes::<32>()?)));
    let record = LinkRecord {
        id: Uuid::now_v7(),
        purpose: new.purpose,
        developer_id: new.developer_id,
        organisation_id: new.organisation_id,
        email: new.email,
        role: new.role,
        is_mailed: new.is_mailed,
        sign_up: new.sign_up,
        created_at: deed.now,
        created_by: deed.actor().to_owned(),
        expires_at: deed.now + new.purpose.lifetime(),
    };
    links::insert(conn, &record, hash(m, new.purpose, &secret))?;
    let url = Secret::new(format!("{}{}/{}", m.config.issuer, path(new.purpose), secret.reveal()));
    Ok((record.id, Link { url, expires_at: record.expires_at }))
}

/// Whether a text may be the secret of a link.
pub fn is_link_secret(secret: &Secret) -> bool {
    let of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    secret.reveal().len() == SECRET_LENGTH && secret.reveal().bytes().all(of_alphabet)
}

/// The link with that secret, if it still works.
///
/// # Errors
/// `NotFound` in the same words for a link that never was, was used, has expired or was taken back.
pub(super) fn find(
    m: &Management,
    conn: &mut AnyConnection,
    purpose: LinkPurpose,
    secret: &Secret,
    now: Timestamp,
) -> Result<LinkRecord, ServiceError> {
    let found =
        if is_link_secret(secret) { links::find_usable(conn, purpose, hash(m, purpose, secret), now)? } else { None };
    found.ok_or_else(dead)
}

/// Finds a link and uses it up. Of many who come with it at once, one gets it.
///
/// # Errors
/// As [`find`].
pub(super) fn take(
    m: &Management,
    conn: &mut AnyConnection,
    purpose: LinkPurpose,
    secret: &Secret,
    now: Timestamp,
) -> Result<LinkRecord, ServiceError> {
    let link = find(m, conn, purpose, secret, now)?;
    if links::use_once(conn, link.id, now)? { Ok(link) } else { Err(dead()) }
}

pub(super) fn dead() -> ServiceError {
    ServiceError::NotFound("this link does not work: it was used, has expired or was taken back".to_owned())
}

/// Bound to the purpose: a secret of one kind of link opens no other.
fn hash(m: &Management, purpose: LinkPurpose, secret: &Secret) -> KeyedHash {
    m.pepper.hash(&Secret::new(format!("{} link:{}", purpose.name(), secret.reveal())))
}

impl Management {
    /// The same for somebody who is not signed in and comes with a link or without.
    #[must_use]
    pub fn for_stranger(&self, address: IpAddr) -> Self {
        let deed = Deed { doer: Doer::unbounded("visitor"), now: self.now() }.from(address);
        Self { doer: deed.doer, ..self.clone() }
    }
}

/// What anybody may ask for, from each address so often in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// An account.
    SignUp,
    /// A link for another password.
    Reset,
}

impl Turn {
    const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::Reset => "reset",
        }
    }
}

impl Authority {
    /// How long somebody must wait who asks too often, from one address, for what anybody may ask for. Counts this time.
    pub async fn wait_for_turn(&self, turn: Turn, caller: Caller) -> Option<Duration> {
        let refused = self.throttle.take_turn(Pair::new(turn.name(), caller.address), caller.now).err()?;
        let (action, by) = match turn {
            Turn::SignUp => (sign_up::THROTTLED, "password"),
            Turn::Reset => ("user.reset-throttled", "link"),
        };
        sign_in::note_throttled(self, caller, None, action, by, refused).await;
        Some(refused.wait)
    }
}
