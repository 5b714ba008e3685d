//! Initial access tokens: an operator hands one out, and whoever has it registers apps with it
//! ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)).

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::apis::check_lifetime;
use super::apps::resolve_scopes;
use super::organisations::find as find_organisation;
use super::{Management, ServiceError};
use crate::clock::{Timestamp, print_span};
use crate::db::registration_tokens;
pub use crate::db::registration_tokens::RegistrationTokenRecord;
use crate::secret::{Secret, SecretKind, generate_secret, hint};

/// Apps that one token may register.
pub const MOST_USES: u32 = 10_000;
/// How long a token may live.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// A token to be made.
#[derive(Debug)]
pub struct NewRegistrationToken<'a> {
    /// The organisation's slug.
    pub organisation: &'a str,
    /// How many apps it may register.
    pub uses: u32,
    /// When it ends.
    pub expires_in: Duration,
    /// The only scopes that the apps may have.
    pub scopes: Vec<String>,
    /// The longest that tokens of the apps may live.
    pub lifetime: Option<Duration>,
}

/// A token just made. The only time it is seen.
#[derive(Debug)]
pub struct CreatedRegistrationToken {
    /// The token.
    pub token: Secret,
    /// What is kept of it.
    pub record: RegistrationTokenRecord,
}

/// Makes a token.
///
/// # Errors
/// `Invalid` for what cannot be used, `NotFound` without the organisation or a scope.
pub fn create(m: &Management, new: NewRegistrationToken<'_>) -> Result<CreatedRegistrationToken, ServiceError> {
    check_lifetime(m, new.lifetime)?;
    let invalid = |text: String| Err(ServiceError::Invalid(text));
    if new.uses == 0 || new.uses > MOST_USES {
        return invalid(format!("a registration token has 1 to {MOST_USES} uses"));
    }
    if new.expires_in.is_zero() || new.expires_in > LONGEST_LIFE {
        return invalid(format!("a registration token lives up to {}", print_span(LONGEST_LIFE)));
    }
    let token = generate_secret(SecretKind::InitialAccessToken)?;
    let (hash, hint) = (m.pepper.hash(&token), hint(&token));
    let mut scopes = new.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let (deed, slug) = (m.deed(), new.organisation.to_owned());
    let record = m.database.write(move |conn| {
        let organisation = find_organisation(conn, &slug)?;
        let record = RegistrationTokenRecord {
            id: Uuid::now_v7(),
            organisation_id: organisation.id,
            hint,
            lifetime: new.lifetime,
            uses_left: new.uses,
            expires_at: deed.now + new.expires_in,
            created_at: deed.now,
            created_by: deed.actor().to_owned(),
            revoked_at: None,
            scopes: resolve_scopes(conn, organisation.id, &scopes)?,
        };
        registration_tokens::insert(conn, &record, hash)?;
        let detail = json!({
            "hint": record.hint, "uses": record.uses_left, "expires_at": record.expires_at.rfc3339(),
            "scopes": scopes, "lifetime": record.lifetime.map(print_span),
        });
        let target = record.id.to_string();
        deed.record(conn, Some(organisation.id), "registration-token.create", &target, detail, None)?;
        Ok::<_, ServiceError>(record)
    })?;
    Ok(CreatedRegistrationToken { token, record })
}

/// The tokens of an organisation, oldest first.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(m: &Management, organisation: &str) -> Result<Vec<RegistrationTokenRecord>, ServiceError> {
    let found = m.database.read(|conn| match crate::db::organisations::find_by_slug(conn, organisation)? {
        Some(organisation) => registration_tokens::list(conn, organisation.id).map(Some),
        None => Ok(None),
    })?;
    found.ok_or_else(|| {
        ServiceError::NotFound(format!("there is no organisation `{organisation}`; see: brevet org list"))
    })
}

/// Makes a token unusable at once. The apps that were registered with it stay.
///
/// # Errors
/// `NotFound`.
pub fn revoke(m: &Management, id: Uuid) -> Result<Timestamp, ServiceError> {
    let deed = m.deed();
    m.database.write(move |conn| {
        let token = registration_tokens::find(conn, id)?.ok_or_else(|| {
            ServiceError::NotFound(format!(
                "there is no registration token {id}; see: brevet registration-token list --org SLUG"
            ))
        })?;
        if let Some(revoked_at) = token.revoked_at {
            return Ok(revoked_at);
        }
        registration_tokens::update_revoked_at(conn, id, deed.now)?;
        let detail = json!({ "hint": token.hint });
        let target = id.to_string();
        deed.record(conn, Some(token.organisation_id), "registration-token.revoke", &target, detail, None)?;
        Ok(deed.now)
    })
}
