//! Who is signed in where. The cookie holds a secret; the database holds its keyed hash.

use std::time::Duration;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::conn::AnyConnection;
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::sessions;
use crate::clock::Timestamp;
use crate::secret::KeyedHash;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Ours; shown in lists, opens nothing.
    pub id: Uuid,
    /// Whose.
    pub developer_id: Uuid,
    /// Where the person is at work.
    pub organisation_id: Option<Uuid>,
    /// Whether it opens nothing before a second factor was shown.
    pub awaits_second_factor: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When the person last proved who it is.
    pub confirmed_at: Timestamp,
    /// From when on it is refused, however busy it is.
    pub expires_at: Timestamp,
    /// The address of the last use.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

#[derive(Queryable)]
struct Row {
    id: String,
    _hash: String,
    developer_id: String,
    organisation_id: Option<String>,
    awaits_second_factor: i64,
    created_at: i64,
    seen_at: i64,
    confirmed_at: i64,
    expires_at: i64,
    address: String,
    user_agent: String,
}

impl TryFrom<Row> for SessionRecord {
    type Error = DbError;
    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: parse_id(&row.id, "sessions")?,
            developer_id: parse_id(&row.developer_id, "sessions")?,
            organisation_id: row.organisation_id.as_deref().map(|id| parse_id(id, "sessions")).transpose()?,
            awaits_second_factor: row.awaits_second_factor != 0,
            created_at: Timestamp::from_seconds(row.created_at),
            seen_at: Timestamp::from_seconds(row.seen_at),
            confirmed_at: Timestamp::from_seconds(row.confirmed_at),
            expires_at: Timestamp::from_seconds(row.expires_at),
            address: row.address,
            user_agent: row.user_agent,
        })
    }
}

/// Adds a session.
///
/// # Errors
/// `MissingReference` when there is no such person or organisation.
pub fn insert(conn: &mut AnyConnection, session: &SessionRecord, hash: KeyedHash) -> Result<(), DbError> {
    let row = (
        sessions::id.eq(session.id.to_string()),
        sessions::hash.eq(hash.to_text()),
        sessions::developer_id.eq(session.developer_id.to_string()),
        sessions::organisation_id.eq(session.organisation_id.map(|id| id.to_string())),
        sessions::awaits_second_factor.eq(i64::from(session.awaits_second_factor)),
        sessions::created_at.eq(session.created_at.seconds()),
        sessions::seen_at.eq(session.seen_at.seconds()),
        sessions::confirmed_at.eq(session.confirmed_at.seconds()),
        sessions::expires_at.eq(session.expires_at.seconds()),
        sessions::address.eq(&session.address),
        sessions::user_agent.eq(&session.user_agent),
    );
    diesel::insert_into(sessions::table).values(row).execute(conn)?;
    Ok(())
}

/// The session of that secret.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, hash: KeyedHash) -> Result<Option<SessionRecord>, DbError> {
    let row: Option<Row> = sessions::table.filter(sessions::hash.eq(hash.to_text())).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The sessions of a person, last used first.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection, developer_id: Uuid) -> Result<Vec<SessionRecord>, DbError> {
    let of_person = sessions::table.filter(sessions::developer_id.eq(developer_id.to_string()));
    let rows: Vec<Row> = of_person.order((sessions::seen_at.desc(), sessions::id.desc())).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Notes that a session is used.
///
/// # Errors
/// When the database does not take it.
pub fn update_seen(conn: &mut AnyConnection, id: Uuid, at: Timestamp, address: &str) -> Result<(), DbError> {
    diesel::update(sessions::table.find(id.to_string()))
        .set((sessions::seen_at.eq(at.seconds()), sessions::address.eq(address)))
        .execute(conn)?;
    Ok(())
}

/// Ends a session of that person. `false` if there is none of that id.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, developer_id: Uuid, id: Uuid) -> Result<bool, DbError> {
    let of_person = sessions::table.filter(sessions::developer_id.eq(developer_id.to_string()));
    Ok(diesel::delete(of_person.filter(sessions::id.eq(id.to_string()))).execute(conn)? == 1)
}

/// Ends all sessions of a person, but one if it is named. Returns how many ended.
///
/// # Errors
/// When the database does not take it.
pub fn delete_all(conn: &mut AnyConnection, developer_id: Uuid, but: Option<Uuid>) -> Result<usize, DbError> {
    let spared = but.map(|id| id.to_string()).unwrap_or_default();
    let of_person = sessions::table.filter(sessions::developer_id.eq(developer_id.to_string()));
    Ok(diesel::delete(of_person.filter(sessions::id.ne(spared))).execute(conn)?)
}

/// Ends the sessions of a person that are at work in that organisation, or nowhere yet, but one if it is named.
///
/// # Errors
/// When the database does not take it.
pub fn delete_at_work(
    conn: &mut AnyConnection,
    developer_id: Uuid,
    organisation_id: Uuid,
    but: Option<Uuid>,
) -> Result<(), DbError> {
    let spared = but.map(|id| id.to_string()).unwrap_or_default();
    let of_person = sessions::table.filter(sessions::developer_id.eq(developer_id.to_string()));
    let here = sessions::organisation_id.eq(organisation_id.to_string()).or(sessions::organisation_id.is_null());
    diesel::delete(of_person.filter(sessions::id.ne(spared)).filter(here)).execute(conn)?;
    Ok(())
}

/// Forgets sessions that are over.
///
/// # Errors
/// When the database does not take it.
pub fn delete_expired(conn: &mut AnyConnection, now: Timestamp, idle: Duration) -> Result<(), DbError> {
    let over = sessions::expires_at.le(now.seconds());
    diesel::delete(sessions::table.filter(over)).execute(conn)?;
    diesel::delete(sessions::table.filter(sessions::seen_at.le((now - idle).seconds()))).execute(conn)?;
    Ok(())
}
