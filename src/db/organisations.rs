//! Organisations.

use std::sync::Arc;

use diesel::dsl::{count_star, sql};
use diesel::sql_types::Text;
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl,
    Queryable, RunQueryDsl, TextExpressionMethods,
};
use uuid::Uuid;

use super::conn::{AnyConnection, is_storable, pattern};
use super::error::DbError;
use super::schema::organisations;
use crate::clock::Timestamp;
use crate::oauth::client::Organisation;

/// An organisation as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationRecord {
    /// Ours.
    pub id: Uuid,
    /// Its name in tokens and addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Since when nothing of it works.
    pub disabled_at: Option<Timestamp>,
    /// Tokens whose `iat` is earlier are dead.
    pub not_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(Queryable)]
pub(super) struct Row {
    id: String,
    slug: String,
    name: String,
    disabled_at: Option<i64>,
    not_before: i64,
    created_at: i64,
}

impl TryFrom<Row> for OrganisationRecord {
    type Error = DbError;
    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: parse_id(&row.id, "organisations")?,
            slug: row.slug,
            name: row.name,
            disabled_at: row.disabled_at.map(Timestamp::from_seconds),
            not_before: Timestamp::from_seconds(row.not_before),
            created_at: Timestamp::from_seconds(row.created_at),
        })
    }
}

impl OrganisationRecord {
    /// What tokens need to know of it.
    pub fn for_tokens(&self) -> Organisation {
        Organisation {
            id: self.id,
            slug: Arc::from(self.slug.as_str()),
            enabled: self.disabled_at.is_none(),
            not_before: self.not_before,
        }
    }
}

/// Reads one of our ids.
pub(super) fn parse_id(text: &str, table: &'static str) -> Result<Uuid, DbError> {
    Uuid::try_parse(text).map_err(|_not_a_uuid| DbError::Corrupt { table, column: "id", id: text.to_owned() })
}

/// Adds an organisation.
///
/// # Errors
/// `Duplicate` when the slug is taken.
pub fn insert(conn: &mut AnyConnection, record: &OrganisationRecord) -> Result<(), DbError> {
    let row = (
        organisations::id.eq(record.id.to_string()),
        organisations::slug.eq(&record.slug),
        organisations::name.eq(&record.name),
        organisations::disabled_at.eq(record.disabled_at.map(Timestamp::seconds)),
        organisations::not_before.eq(record.not_before.seconds()),
        organisations::created_at.eq(record.created_at.seconds()),
    );
    diesel::insert_into(organisations::table).values(row).execute(conn)?;
    Ok(())
}

/// The organisation with that id.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut AnyConnection, id: Uuid) -> Result<Option<OrganisationRecord>, DbError> {
    let row: Option<Row> = organisations::table.find(id.to_string()).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The organisation with that slug.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_slug(conn: &mut AnyConnection, slug: &str) -> Result<Option<OrganisationRecord>, DbError> {
    if !is_storable(slug) {
        return Ok(None);
    }
    let row: Option<Row> = organisations::table.filter(organisations::slug.eq(slug)).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// All organisations, by slug.
///
/// # Errors
/// When the database does not answer.
pub fn list(conn: &mut AnyConnection) -> Result<Vec<OrganisationRecord>, DbError> {
    let rows: Vec<Row> = organisations::table.order(organisations::slug).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

type Query<'a> = organisations::BoxedQuery<'a, <AnyConnection as Connection>::Backend>;

/// Those whose slug or name holds these words, in any case of ASCII letters.
fn found<'a>(words: &str) -> Query<'a> {
    let query = organisations::table.into_boxed();
    match words {
        "" => query,
        words if !is_storable(words) => query.filter(organisations::id.is_null()),
        words => {
            let name = sql::<Text>("lower(organisations.name)").like(pattern(words)).escape('\\');
            query.filter(organisations::slug.like(pattern(words)).escape('\\').or(name))
        }
    }
}

/// How many organisations have a slug or a name that holds these words; no words are in all.
///
/// # Errors
/// When the database does not answer.
pub fn count(conn: &mut AnyConnection, words: &str) -> Result<i64, DbError> {
    Ok(found(words).select(count_star()).first(conn)?)
}

/// Those by slug: at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut AnyConnection,
    words: &str,
    (offset, limit): (i64, i64),
) -> Result<Vec<OrganisationRecord>, DbError> {
    let rows: Vec<Row> = found(words).order(organisations::slug).offset(offset).limit(limit).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Switches an organisation off or on. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn update_disabled_at(conn: &mut AnyConnection, id: Uuid, disabled_at: Option<Timestamp>) -> Result<bool, DbError> {
    let changed = diesel::update(organisations::table.find(id.to_string()))
        .set(organisations::disabled_at.eq(disabled_at.map(Timestamp::seconds)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Gives an organisation another name.
///
/// # Errors
/// When the database does not take it.
pub fn update_name(conn: &mut AnyConnection, id: Uuid, name: &str) -> Result<(), DbError> {
    diesel::update(organisations::table.find(id.to_string())).set(organisations::name.eq(name)).execute(conn)?;
    Ok(())
}
