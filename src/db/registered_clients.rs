//! Apps that registered themselves: the hash of the token with which each shows and changes itself, and the scopes it may
//! ask for.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{registered_client_scopes, registered_clients};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthMethod;
use crate::secret::KeyedHash;

/// What is kept of a registration besides the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredClientRecord {
    /// The app.
    pub client_id: ClientId,
    /// The method that it said it would use.
    pub auth_method: ClientAuthMethod,
    /// The scopes that it may ask for: API and name.
    pub allowed_scopes: Vec<(Uuid, String)>,
}

/// Notes that an app registered itself.
///
/// # Errors
/// `MissingReference` when there is no such app or scope.
pub fn insert(conn: &mut AnyConnection, client: &RegisteredClientRecord, hash: KeyedHash) -> Result<(), DbError> {
    let row = (
        registered_clients::app_id.eq(client.client_id.to_string()),
        registered_clients::hash.eq(hash.to_text()),
        registered_clients::auth_method.eq(client.auth_method.name()),
    );
    diesel::insert_into(registered_clients::table).values(row).execute(conn)?;
    for (api_id, scope) in &client.allowed_scopes {
        let row = (
            registered_client_scopes::app_id.eq(client.client_id.to_string()),
            registered_client_scopes::api_id.eq(api_id.to_string()),
            registered_client_scopes::scope.eq(scope),
        );
        diesel::insert_into(registered_client_scopes::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// The registration whose token has that hash.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_hash(conn: &mut AnyConnection, hash: KeyedHash) -> Result<Option<RegisteredClientRecord>, DbError> {
    let row: Option<(String, String)> = registered_clients::table
        .filter(registered_clients::hash.eq(hash.to_text()))
        .select((registered_clients::app_id, registered_clients::auth_method))
        .first(conn)
        .optional()?;
    let Some((app_id, auth_method)) = row else { return Ok(None) };
    let scopes: Vec<(String, String)> = registered_client_scopes::table
        .filter(registered_client_scopes::app_id.eq(&app_id))
        .order(registered_client_scopes::scope)
        .select((registered_client_scopes::api_id, registered_client_scopes::scope))
        .load(conn)?;
    let corrupt = |column| DbError::Corrupt { table: "registered_clients", column, id: app_id.clone() };
    Ok(Some(RegisteredClientRecord {
        client_id: ClientId::parse(&app_id).ok_or_else(|| corrupt("app_id"))?,
        auth_method: ClientAuthMethod::from_name(&auth_method).ok_or_else(|| corrupt("auth_method"))?,
        allowed_scopes: scopes
            .into_iter()
            .map(|(api_id, scope)| Ok((parse_id(&api_id, "registered_client_scopes")?, scope)))
            .collect::<Result<_, DbError>>()?,
    }))
}

/// Changes the method that a client said it would use.
///
/// # Errors
/// When the database does not take it.
pub fn update_auth_method(
    conn: &mut AnyConnection,
    client_id: ClientId,
    auth_method: ClientAuthMethod,
) -> Result<(), DbError> {
    diesel::update(registered_clients::table.find(client_id.to_string()))
        .set(registered_clients::auth_method.eq(auth_method.name()))
        .execute(conn)?;
    Ok(())
}

/// Takes a scope from those that a client may ask for, if it is one of them.
///
/// # Errors
/// When the database does not take it.
pub fn delete_scope(conn: &mut AnyConnection, client_id: ClientId, scope: &str) -> Result<(), DbError> {
    diesel::delete(registered_client_scopes::table.find((client_id.to_string(), scope))).execute(conn)?;
    Ok(())
}
