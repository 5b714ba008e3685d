//! App keys: client secrets, hashed. Several may live at once, each with its own end.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, Queryable, RunQueryDsl,
};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{app_key_uses, app_keys, apps};
use crate::clock::Timestamp;
use crate::oauth::ClientId;
use crate::oauth::client::ClientSecret;
use crate::secret::StoredSecret;

/// A key as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKeyRecord {
    /// Ours.
    pub id: Uuid,
    /// Its last four characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When it last got a token; up to a few seconds late.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
}

impl AppKeyRecord {
    /// Whether the key works.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Where the key is in its life, in one word.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(expires_at)) if expires_at <= now => "expired",
            (None, Some(_)) => "ending",
            (None, None) => "active",
        }
    }
}

#[derive(Queryable)]
struct Row {
    id: String,
    _app_id: String,
    _hash: String,
    hint: String,
    created_at: i64,
    created_by: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Row {
    fn with_use(self, used: Option<(i64, String)>) -> Result<AppKeyRecord, DbError> {
        let (last_used_at, last_used_from) = used.unzip();
        Ok(AppKeyRecord {
            id: parse_id(&self.id, "app_keys")?,
            hint: self.hint,
            created_at: Timestamp::from_seconds(self.created_at),
            created_by: self.created_by,
            expires_at: self.expires_at.map(Timestamp::from_seconds),
            revoked_at: self.revoked_at.map(Timestamp::from_seconds),
            last_used_at: last_used_at.map(Timestamp::from_seconds),
            last_used_from,
        })
    }
}

/// Adds a key to an app.
///
/// # Errors
/// `MissingReference` when there is no such app.
pub fn insert(
    conn: &mut AnyConnection,
    client_id: ClientId,
    key: &AppKeyRecord,
    stored: &StoredSecret,
) -> Result<(), DbError> {
    let row = (
        app_keys::id.eq(key.id.to_string()),
        app_keys::app_id.eq(client_id.to_string()),
        app_keys::hash.eq(stored.to_text()),
        app_keys::hint.eq(&key.hint),
        app_keys::created_at.eq(key.created_at.seconds()),
        app_keys::created_by.eq(&key.created_by),
        app_keys::expires_at.eq(key.expires_at.map(Timestamp::seconds)),
    );
    diesel::insert_into(app_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// All keys of an app, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, client_id: ClientId) -> Result<Vec<AppKeyRecord>, DbError> {
    let used = (app_key_uses::used_at, app_key_uses::used_from).nullable();
    let this_key = app_key_uses::app_id.eq(app_keys::app_id).and(app_key_uses::app_key_id.eq(app_keys::id));
    let rows: Vec<(Row, Option<(i64, String)>)> = app_keys::table
        .left_join(app_key_uses::table.on(this_key))
        .filter(app_keys::app_id.eq(client_id.to_string()))
        .order(app_keys::id)
        .select((app_keys::all_columns, used))
        .load(conn)?;
    rows.into_iter().map(|(row, used)| row.with_use(used)).collect()
}

/// The keys of an app that were not revoked, with their hashes.
///
/// # Errors
/// When the database does not answer.
pub(super) fn list_usable(conn: &mut AnyConnection, client_id: ClientId) -> Result<Vec<ClientSecret>, DbError> {
    let of_app = app_keys::app_id.eq(client_id.to_string()).and(app_keys::revoked_at.is_null());
    let rows: Vec<(String, String, Option<i64>)> = app_keys::table
        .filter(of_app)
        .order(app_keys::id.desc())
        .select((app_keys::id, app_keys::hash, app_keys::expires_at))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, hash, expires_at)| {
            let stored = StoredSecret::from_text(&hash);
            Ok(ClientSecret {
                stored: stored.ok_or_else(|| DbError::Corrupt { table: "app_keys", column: "hash", id: id.clone() })?,
                id: parse_id(&id, "app_keys")?,
                expires_at: expires_at.map(Timestamp::from_seconds),
            })
        })
        .collect()
}

/// Sets the moment from which a key is refused.
///
/// # Errors
/// When the database does not take it.
pub fn update_expires_at(conn: &mut AnyConnection, id: Uuid, expires_at: Timestamp) -> Result<(), DbError> {
    diesel::update(app_keys::table.find(id.to_string()))
        .set(app_keys::expires_at.eq(expires_at.seconds()))
        .execute(conn)?;
    Ok(())
}

/// Makes a key unusable at once.
///
/// # Errors
/// When the database does not take it.
pub fn update_revoked_at(conn: &mut AnyConnection, id: Uuid, revoked_at: Timestamp) -> Result<(), DbError> {
    diesel::update(app_keys::table.find(id.to_string()))
        .set(app_keys::revoked_at.eq(revoked_at.seconds()))
        .execute(conn)?;
    Ok(())
}

/// A key that ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingKey {
    /// Its app.
    pub client_id: ClientId,
    /// What the app is called.
    pub app_name: String,
    /// Its last four characters.
    pub hint: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Keys of an organisation's apps that end between those moments, the first to end first, at most `limit`. Apps that are
/// off are left out: nobody misses their keys.
///
/// # Errors
/// When the database does not answer.
pub fn list_ending(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    from: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<EndingKey>, DbError> {
    type Row = (String, String, String, Option<i64>);
    let rows: Vec<Row> = app_keys::table
        .inner_join(apps::table.on(apps::id.eq(app_keys::app_id)))
        .filter(apps::organisation_id.eq(organisation_id.to_string()))
        .filter(apps::disabled_at.is_null())
        .filter(app_keys::revoked_at.is_null())
        .filter(app_keys::expires_at.gt(from.seconds()))
        .filter(app_keys::expires_at.le(until.seconds()))
        .order((app_keys::expires_at, app_keys::id))
        .limit(limit)
        .select((apps::id, apps::name, app_keys::hint, app_keys::expires_at))
        .load(conn)?;
    let key = |(id, app_name, hint, expires_at): Row| {
        let corrupt = || DbError::Corrupt { table: "app_keys", column: "app_id", id: id.clone() };
        Ok(EndingKey {
            client_id: ClientId::parse(&id).ok_or_else(corrupt)?,
            app_name,
            hint,
            expires_at: Timestamp::from_seconds(expires_at.unwrap_or_default()),
        })
    };
    rows.into_iter().map(key).collect()
}
