//! Who did what, when. Rows are written in the transaction of the deed and never changed.

mod names;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

pub use self::names::{Names, find_names};
use super::conn::{AnyConnection, is_storable};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::audit;
use crate::clock::Timestamp;

/// A deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// In which organisation; `None` for what concerns the whole server.
    pub organisation_id: Option<Uuid>,
    /// Who: `cli:root`, `server`, …
    pub actor: String,
    /// What: `app.create`, `key.rotate`, …
    pub action: String,
    /// To what: its id.
    pub target: String,
    /// JSON without secrets.
    pub detail: serde_json::Value,
    /// From which address; `None` for deeds of the server and of commands.
    pub address: Option<String>,
}

/// A deed as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place: later deeds have larger ids.
    pub id: Uuid,
    /// The deed.
    pub entry: AuditEntry,
}

/// Which deeds to list; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By whom.
    pub actor: Option<String>,
    /// What.
    pub action: Option<String>,
    /// Any of the actions whose name begins with this and a full stop.
    pub action_family: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// Writes a deed down.
///
/// # Errors
/// When the database does not take it; then the deed must not be done.
pub fn record(conn: &mut AnyConnection, entry: &AuditEntry) -> Result<(), DbError> {
    let row = (
        audit::id.eq(Uuid::now_v7().to_string()),
        audit::at.eq(entry.at.seconds()),
        audit::organisation_id.eq(entry.organisation_id.map(|id| id.to_string())),
        audit::actor.eq(&entry.actor),
        audit::action.eq(&entry.action),
        audit::target.eq(&entry.target),
        audit::detail.eq(entry.detail.to_string()),
        audit::address.eq(&entry.address),
    );
    diesel::insert_into(audit::table).values(row).execute(conn)?;
    Ok(())
}

#[derive(Queryable)]
struct Row {
    id: String,
    at: i64,
    organisation_id: Option<String>,
    actor: String,
    action: String,
    target: String,
    detail: String,
    address: Option<String>,
}

impl TryFrom<Row> for AuditRecord {
    type Error = DbError;
    fn try_from(row: Row) -> Result<Self, DbError> {
        let corrupt = |_not_json| DbError::Corrupt { table: "audit", column: "detail", id: row.id.clone() };
        Ok(Self {
            id: parse_id(&row.id, "audit")?,
            entry: AuditEntry {
                at: Timestamp::from_seconds(row.at),
                organisation_id: row.organisation_id.as_deref().map(|id| parse_id(id, "audit")).transpose()?,
                detail: serde_json::from_str(&row.detail).map_err(corrupt)?,
                actor: row.actor,
                action: row.action,
                target: row.target,
                address: row.address,
            },
        })
    }
}

/// From where in the list, which has the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    Newest,
    /// Those that were done before that one.
    Before(Uuid),
    /// Those that were done right after that one.
    After(Uuid),
}

/// The deeds in an organisation, newest first, at most `limit`, those before `before`.
///
/// # Errors
/// When the database does not answer.
pub fn list(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    filter: &AuditFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AuditRecord>, DbError> {
    list_from(conn, Some(organisation_id), filter, before.map_or(Place::Newest, Place::Before), limit)
}

/// The deeds in an organisation, or those that concern the whole server and no organisation, newest first, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn list_from(
    conn: &mut AnyConnection,
    organisation_id: Option<Uuid>,
    filter: &AuditFilter,
    place: Place,
    limit: i64,
) -> Result<Vec<AuditRecord>, DbError> {
    let texts = [&filter.actor, &filter.action, &filter.action_family, &filter.target, &filter.address];
    if texts.into_iter().flatten().any(|text| !is_storable(text)) {
        return Ok(Vec::new());
    }
    let mut query = audit::table.limit(limit).into_boxed();
    query = match organisation_id {
        Some(id) => query.filter(audit::organisation_id.eq(id.to_string())),
        None => query.filter(audit::organisation_id.is_null()),
    };
    query = match place {
        Place::Newest => query.order(audit::id.desc()),
        Place::Before(id) => query.order(audit::id.desc()).filter(audit::id.lt(id.to_string())),
        Place::After(id) => query.order(audit::id.asc()).filter(audit::id.gt(id.to_string())),
    };
    if let Some(actor) = &filter.actor {
        query = query.filter(audit::actor.eq(actor));
    }
    if let Some(action) = &filter.action {
        query = query.filter(audit::action.eq(action));
    }
    if let Some(family) = &filter.action_family {
        // A slash comes right behind a full stop.
        query = query.filter(audit::action.ge(format!("{family}."))).filter(audit::action.lt(format!("{family}/")));
    }
    if let Some(target) = &filter.target {
        query = query.filter(audit::target.eq(target));
    }
    if let Some(address) = &filter.address {
        query = query.filter(audit::address.eq(address));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit::at.ge(from.seconds()));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit::at.lt(to.seconds()));
    }
    let mut rows: Vec<Row> = query.load(conn)?;
    if let Place::After(_) = place {
        rows.reverse();
    }
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The deed of that id in an organisation, or among those that concern the whole server.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, organisation_id: Option<Uuid>, id: Uuid) -> Result<Option<AuditRecord>, DbError> {
    let row: Option<Row> = audit::table.find(id.to_string()).first(conn).optional()?;
    let record: Option<AuditRecord> = row.map(TryInto::try_into).transpose()?;
    Ok(record.filter(|record| record.entry.organisation_id == organisation_id))
}

/// What was done to a target before that deed, the latest first, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn list_earlier(conn: &mut AnyConnection, deed: &AuditRecord, limit: i64) -> Result<Vec<AuditRecord>, DbError> {
    let rows: Vec<Row> = audit::table
        .filter(audit::target.eq(&deed.entry.target))
        .filter(audit::id.lt(deed.id.to_string()))
        .order(audit::id.desc())
        .limit(limit)
        .load(conn)?;
    let records: Result<Vec<AuditRecord>, DbError> = rows.into_iter().map(TryInto::try_into).collect();
    let same = |record: &AuditRecord| record.entry.organisation_id == deed.entry.organisation_id;
    records.map(|records| records.into_iter().filter(same).collect())
}

/// When an action was last done to a target.
///
/// # Errors
/// When the database does not answer.
pub fn find_last(conn: &mut AnyConnection, action: &str, target: &str) -> Result<Option<Timestamp>, DbError> {
    if !is_storable(target) {
        return Ok(None);
    }
    let deeds = audit::table.filter(audit::target.eq(target)).filter(audit::action.eq(action));
    let last: Option<i64> = deeds.select(diesel::dsl::max(audit::at)).first(conn)?;
    Ok(last.map(Timestamp::from_seconds))
}

/// The actions done to a target, oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn list_actions(conn: &mut AnyConnection, target: &str) -> Result<Vec<(String, String)>, DbError> {
    let of_target = audit::table.filter(audit::target.eq(target)).order(audit::id);
    Ok(of_target.select((audit::action, audit::actor)).load(conn)?)
}
