//! Whose an API is, by its identifier: whoever asks about a token for it asks for that organisation.

use std::sync::Arc;

use crate::db::{AnyConnection, DbError, apis, organisations};
use crate::directory::Directory;
use crate::directory::apps::LookupError;

/// Identifiers held, those of no API among them; they stand in what operators wrote.
pub(super) const OWNERS_REMEMBERED: usize = 4_096;

/// Whose an API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiOwner {
    /// There is no API of that identifier.
    Nobody,
    /// It is this server's own, and so everybody's.
    Everybody,
    /// The organisation with that slug.
    Organisation(Arc<str>),
}

impl Directory {
    /// Whose the API with that identifier is.
    ///
    /// # Errors
    /// As [`Self::find_trusted_issuers`].
    pub async fn find_api_owner(&self, identifier: &str) -> Result<ApiOwner, LookupError> {
        if self.is_stale() {
            return Err(LookupError::Stale);
        }
        let (issuers, key) = (&self.trusted_issuers, Arc::<str>::from(identifier));
        let sought = key.clone();
        let read = move |conn: &mut AnyConnection| -> Result<ApiOwner, DbError> {
            let Some(api) = apis::find_by_identifier(conn, &sought)? else { return Ok(ApiOwner::Nobody) };
            let Some(id) = api.organisation_id else { return Ok(ApiOwner::Everybody) };
            let owner = organisations::find(conn, id)?;
            Ok(owner.map_or(ApiOwner::Nobody, |owner| ApiOwner::Organisation(owner.slug.into())))
        };
        issuers.find(&issuers.api_owners, &key, read).await
    }
}
