//! Forms on hold, while their person proves who it is. What stands in them is sealed.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::schema::kept_forms;
use crate::clock::Timestamp;
use crate::secret::KeyedHash;

/// Keeps a form. Of its owner's, only the `most` that were kept last stay.
///
/// # Errors
/// When the database does not take it.
pub fn insert(
    conn: &mut AnyConnection,
    id: &str,
    owner: KeyedHash,
    sealed: &[u8],
    expires_at: Timestamp,
    most: i64,
) -> Result<(), DbError> {
    let owner = owner.to_text();
    let row = (
        kept_forms::id.eq(id),
        kept_forms::owner.eq(&owner),
        kept_forms::sealed.eq(sealed),
        kept_forms::expires_at.eq(expires_at.seconds()),
    );
    diesel::insert_into(kept_forms::table).values(row).execute(conn)?;
    let of_owner = kept_forms::table.filter(kept_forms::owner.eq(&owner));
    let newest_first = of_owner.order((kept_forms::expires_at.desc(), kept_forms::id));
    let all: Vec<String> = newest_first.select(kept_forms::id).load(conn)?;
    let too_many = all.into_iter().filter(|known| known != id).skip(usize::try_from(most - 1).unwrap_or(0));
    for old in too_many {
        diesel::delete(kept_forms::table.find(old)).execute(conn)?;
    }
    Ok(())
}

/// A form of that owner, as long as it is kept.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: &str, owner: KeyedHash, now: Timestamp) -> Result<Option<Vec<u8>>, DbError> {
    if !is_storable(id) {
        return Ok(None);
    }
    let of_owner = kept_forms::table.find(id).filter(kept_forms::owner.eq(owner.to_text()));
    let lasting = of_owner.filter(kept_forms::expires_at.gt(now.seconds()));
    Ok(lasting.select(kept_forms::sealed).first(conn).optional()?)
}

/// Forgets forms that are kept no longer.
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    Ok(diesel::delete(kept_forms::table.filter(kept_forms::expires_at.le(now.seconds()))).execute(conn)?)
}
