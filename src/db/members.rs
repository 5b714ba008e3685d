//! Who belongs to an organisation with which role, and who runs the server.

use diesel::dsl::{count_star, sql};
use diesel::sql_types::Text;
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    TextExpressionMethods,
};
use uuid::Uuid;

use super::conn::{AnyConnection, is_storable, pattern};
use super::cut_offs::SECOND;
use super::developers::{PERSON, Person, PersonRow, Role, person};
use super::error::DbError;
use super::organisations::parse_id;
use super::schema::{developers, memberships, organisations};
use crate::clock::Timestamp;

/// A member of one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMember {
    /// Who.
    pub person: Person,
    /// With which role.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// The name under which third parties know the person.
    pub login: Option<String>,
}

/// Whose a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginHolder {
    /// Who.
    pub developer_id: Uuid,
    /// Tokens for the login that are dated earlier were for somebody else.
    pub since: Timestamp,
}

type MemberRow = (PersonRow, String, i64, Option<String>);

/// An organisation that a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// Which.
    pub organisation_id: Uuid,
    /// Its slug.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Since when nothing of it works.
    pub disabled_at: Option<Timestamp>,
    /// With which role.
    pub role: Role,
}

fn team_member((row, role, joined_at, login): MemberRow) -> Result<TeamMember, DbError> {
    let role = read_role(&role, &row.0)?;
    Ok(TeamMember { person: person(row)?, role, joined_at: Timestamp::from_seconds(joined_at), login })
}

fn read_role(name: &str, developer_id: &str) -> Result<Role, DbError> {
    Role::from_name(name).ok_or_else(|| DbError::Corrupt {
        table: "memberships",
        column: "role",
        id: developer_id.to_owned(),
    })
}

/// The person with that address, in canonical form.
///
/// # Errors
/// When the database does not answer.
pub fn find_person_by_email(conn: &mut AnyConnection, email: &str) -> Result<Option<Person>, DbError> {
    if !is_storable(email) {
        return Ok(None);
    }
    let with_email = developers::table.filter(developers::email.eq(email));
    let row: Option<PersonRow> = with_email.select(PERSON).first(conn).optional()?;
    row.map(person).transpose()
}

/// Whether an address or a name holds these words, in any case of ASCII letters. Addresses are in lower case anyway.
macro_rules! holds {
    ($words:expr) => {
        developers::email
            .like(pattern($words))
            .escape('\\')
            .or(sql::<Text>("lower(developers.name)").like(pattern($words)).escape('\\'))
    };
}

/// People whose address or name holds `text`, by address, at most `limit`, those after the address `after`.
///
/// # Errors
/// When the database does not answer.
pub fn search_people(
    conn: &mut AnyConnection,
    text: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Person>, DbError> {
    if !is_storable(text) || after.is_some_and(|after| !is_storable(after)) {
        return Ok(Vec::new());
    }
    let mut query = developers::table.select(PERSON).order(developers::email).limit(limit).into_boxed();
    if !text.is_empty() {
        query = query.filter(holds!(text));
    }
    if let Some(after) = after {
        query = query.filter(developers::email.gt(after));
    }
    let rows: Vec<PersonRow> = query.load(conn)?;
    rows.into_iter().map(person).collect()
}

/// The role of a person in an organisation.
///
/// # Errors
/// When the database does not answer.
pub fn find_role(conn: &mut AnyConnection, organisation_id: Uuid, developer_id: Uuid) -> Result<Option<Role>, DbError> {
    let id = developer_id.to_string();
    let name: Option<String> =
        memberships::table.find((organisation_id.to_string(), &id)).select(memberships::role).first(conn).optional()?;
    name.map(|name| read_role(&name, &id)).transpose()
}

/// From when on tokens for a login that is given now are for whom it is given to. It is the second after, as with a cut-off:
/// every token of this second that is for somebody else is dead.
pub(super) fn login_since(now: Timestamp) -> Timestamp {
    now + SECOND
}

/// The member with that login who can do anything.
///
/// # Errors
/// When the database does not answer.
pub fn find_login_holder(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    login: &str,
) -> Result<Option<LoginHolder>, DbError> {
    if !is_storable(login) {
        return Ok(None);
    }
    let active = memberships::table
        .inner_join(developers::table)
        .filter(memberships::organisation_id.eq(organisation_id.to_string()))
        .filter(memberships::login.eq(login))
        .filter(developers::disabled_at.is_null());
    let columns = (memberships::developer_id, memberships::login_since);
    let row: Option<(String, i64)> = active.select(columns).first(conn).optional()?;
    row.map(|(id, since)| {
        Ok(LoginHolder { developer_id: parse_id(&id, "memberships")?, since: Timestamp::from_seconds(since) })
    })
    .transpose()
}

/// How many members of an organisation have an address or a name that holds these words; no words are in all.
///
/// # Errors
/// When the database does not answer.
pub fn count(conn: &mut AnyConnection, organisation_id: Uuid, words: &str) -> Result<i64, DbError> {
    let of_organisation = memberships::table.filter(memberships::organisation_id.eq(organisation_id.to_string()));
    if words.is_empty() {
        return Ok(of_organisation.select(count_star()).first(conn)?);
    }
    if !is_storable(words) {
        return Ok(0);
    }
    Ok(of_organisation.inner_join(developers::table).filter(holds!(words)).select(count_star()).first(conn)?)
}

/// Those by address: at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    words: &str,
    (offset, limit): (i64, i64),
) -> Result<Vec<TeamMember>, DbError> {
    if !is_storable(words) {
        return Ok(Vec::new());
    }
    let mut query = memberships::table
        .inner_join(developers::table)
        .filter(memberships::organisation_id.eq(organisation_id.to_string()))
        .order(developers::email)
        .select((PERSON, memberships::role, memberships::created_at, memberships::login))
        .offset(offset)
        .limit(limit)
        .into_boxed();
    if !words.is_empty() {
        query = query.filter(holds!(words));
    }
    let rows: Vec<MemberRow> = query.load(conn)?;
    rows.into_iter().map(team_member).collect()
}

/// The member of an organisation with that address, in canonical form.
///
/// # Errors
/// When the database does not answer.
pub fn find_by_email(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    email: &str,
) -> Result<Option<TeamMember>, DbError> {
    if !is_storable(email) {
        return Ok(None);
    }
    let row: Option<MemberRow> = memberships::table
        .inner_join(developers::table)
        .filter(memberships::organisation_id.eq(organisation_id.to_string()))
        .filter(developers::email.eq(email))
        .select((PERSON, memberships::role, memberships::created_at, memberships::login))
        .first(conn)
        .optional()?;
    row.map(team_member).transpose()
}

/// To how many organisations a person belongs.
///
/// # Errors
/// When the database does not answer.
pub fn count_belongings(conn: &mut AnyConnection, developer_id: Uuid) -> Result<i64, DbError> {
    let of_person = memberships::table.filter(memberships::developer_id.eq(developer_id.to_string()));
    Ok(of_person.select(count_star()).first(conn)?)
}

/// The organisations that a person belongs to, by slug: at most `limit` behind the first `offset`.
///
/// # Errors
/// When the database does not answer.
pub fn list_belongings(
    conn: &mut AnyConnection,
    developer_id: Uuid,
    (offset, limit): (i64, i64),
) -> Result<Vec<Belonging>, DbError> {
    let id = developer_id.to_string();
    let rows: Vec<(String, String, String, Option<i64>, String)> = memberships::table
        .inner_join(organisations::table)
        .filter(memberships::developer_id.eq(&id))
        .order(organisations::slug)
        .offset(offset)
        .limit(limit)
        .select((
            organisations::id,
            organisations::slug,
            organisations::name,
            organisations::disabled_at,
            memberships::role,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(organisation_id, slug, name, disabled_at, role)| {
            Ok(Belonging {
                organisation_id: parse_id(&organisation_id, "organisations")?,
                slug,
                name,
                disabled_at: disabled_at.map(Timestamp::from_seconds),
                role: read_role(&role, &id)?,
            })
        })
        .collect()
}

/// Owners of an organisation who can sign in.
///
/// # Errors
/// When the database does not answer.
pub fn list_acting_owners(conn: &mut AnyConnection, organisation_id: Uuid) -> Result<Vec<Uuid>, DbError> {
    let ids: Vec<String> = memberships::table
        .inner_join(developers::table)
        .filter(memberships::organisation_id.eq(organisation_id.to_string()))
        .filter(memberships::role.eq(Role::Owner.name()))
        .filter(developers::disabled_at.is_null())
        .select(developers::id)
        .load(conn)?;
    ids.iter().map(|id| parse_id(id, "developers")).collect()
}

/// Gives a member another role. `false` if there is no such member.
///
/// # Errors
/// When the database does not take it.
pub fn update_role(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    developer_id: Uuid,
    role: Role,
) -> Result<bool, DbError> {
    let member = memberships::table.find((organisation_id.to_string(), developer_id.to_string()));
    Ok(diesel::update(member).set(memberships::role.eq(role.name())).execute(conn)? == 1)
}

/// The login of a member.
///
/// # Errors
/// When the database does not answer.
pub fn find_login(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    developer_id: Uuid,
) -> Result<Option<String>, DbError> {
    let member = memberships::table.find((organisation_id.to_string(), developer_id.to_string()));
    let login: Option<Option<String>> = member.select(memberships::login).first(conn).optional()?;
    Ok(login.flatten())
}

/// Gives a member another login, or none, from now on. `false` if there is no such member.
///
/// # Errors
/// `Duplicate` when another member of the organisation has it.
pub fn update_login(
    conn: &mut AnyConnection,
    organisation_id: Uuid,
    developer_id: Uuid,
    login: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let member = memberships::table.find((organisation_id.to_string(), developer_id.to_string()));
    let given = (memberships::login.eq(login), memberships::login_since.eq(login_since(now).seconds()));
    Ok(diesel::update(member).set(given).execute(conn)? == 1)
}

/// Ends a membership. `false` if there is none.
///
/// # Errors
/// When the database does not take it.
pub fn delete(conn: &mut AnyConnection, organisation_id: Uuid, developer_id: Uuid) -> Result<bool, DbError> {
    let member = memberships::table.find((organisation_id.to_string(), developer_id.to_string()));
    Ok(diesel::delete(member).execute(conn)? == 1)
}

/// Those who run the server and can sign in.
///
/// # Errors
/// When the database does not answer.
pub fn list_acting_operators(conn: &mut AnyConnection) -> Result<Vec<Uuid>, DbError> {
    let ids: Vec<String> = developers::table
        .filter(developers::is_operator.eq(1))
        .filter(developers::disabled_at.is_null())
        .select(developers::id)
        .load(conn)?;
    ids.iter().map(|id| parse_id(id, "developers")).collect()
}

/// Lets a person run the server, or no longer.
///
/// # Errors
/// When the database does not take it.
pub fn update_operator(conn: &mut AnyConnection, id: Uuid, is_operator: bool) -> Result<(), DbError> {
    diesel::update(developers::table.find(id.to_string()))
        .set(developers::is_operator.eq(i64::from(is_operator)))
        .execute(conn)?;
    Ok(())
}

/// Notes that an address was proven.
///
/// # Errors
/// When the database does not take it.
pub fn update_email_verified_at(conn: &mut AnyConnection, id: Uuid, now: Timestamp) -> Result<(), DbError> {
    diesel::update(developers::table.find(id.to_string()))
        .set(developers::email_verified_at.eq(now.seconds()))
        .execute(conn)?;
    Ok(())
}
