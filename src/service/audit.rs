//! Reading who did what. Nothing changes or deletes what was written down.

use serde_json::Value;
use uuid::Uuid;

use super::token_detail::{self, TokenDetail};
use super::{Management, ServiceError};
use crate::db::audit::{self, AuditFilter, AuditRecord, Names, Place};
use crate::db::{AnyConnection, developers};

/// An export has at most so many deeds, the newest: what is larger is fetched in parts, by time.
pub const LARGEST_EXPORT: i64 = 10_000;
/// How many earlier deeds are looked through for what was there before.
const LOOKED_BACK: i64 = 100;
/// How actors begin who are people.
const PERSON: &str = "user:";
/// How actors begin that are apps.
const APP: &str = "app:";

/// The deeds in an organisation, newest first, at most `limit`, those before `before`.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn list(
    m: &Management,
    organisation: &str,
    filter: &AuditFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AuditRecord>, ServiceError> {
    m.database.read_with(|conn| {
        let organisation = super::organisations::find(conn, organisation)?;
        Ok(audit::list(conn, organisation.id, filter, before, limit)?)
    })
}

/// Whose deeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    /// Those in the organisation with that slug.
    Organisation(String),
    /// Those that concern the whole server: for operators.
    Server,
}

impl Log {
    fn organisation_id(&self, conn: &mut AnyConnection) -> Result<Option<Uuid>, ServiceError> {
        match self {
            Self::Organisation(slug) => Ok(Some(super::organisations::find(conn, slug)?.id)),
            Self::Server => Ok(None),
        }
    }
}

/// What a deed was done to, if that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An app of that name.
    App(String),
    /// An API of that name.
    Api(String),
    /// A person who is called that.
    Person(String),
    /// A trusted issuer of that name.
    Issuer(String),
    /// A signing key.
    SigningKey,
}

/// A deed as people read it.
#[derive(Debug, Clone)]
pub struct ShownDeed {
    /// The deed.
    pub record: AuditRecord,
    /// What the actor is called, a person or an app.
    pub actor_name: Option<String>,
    /// What it was done to.
    pub target: Option<Target>,
}

impl ShownDeed {
    fn new(record: AuditRecord, names: &Names) -> Self {
        let (actor, target) = (&record.entry.actor, &record.entry.target);
        let person = actor.strip_prefix(PERSON).and_then(|id| names.people.get(id));
        let app = actor.strip_prefix(APP).and_then(|id| names.apps.get(id));
        let known = |names: &std::collections::BTreeMap<String, String>| names.get(target).cloned();
        let shown = known(&names.apps)
            .map(Target::App)
            .or_else(|| known(&names.apis).map(Target::Api))
            .or_else(|| known(&names.people).map(Target::Person))
            .or_else(|| known(&names.issuers).map(Target::Issuer))
            .or_else(|| names.signing_keys.contains(target).then_some(Target::SigningKey));
        let name = person.or(app).cloned();
        let actor_name = match TokenDetail::read(&record.entry.detail) {
            Some(token) => Some(name_with_token(name.as_deref().unwrap_or(actor), &token, names)),
            None => name,
        };
        Self { actor_name, target: shown, record }
    }
}

/// Who did something with a token that is not simply an app's own: `Alice via Sign-in portal`, `robot for Alice via …`.
fn name_with_token(actor: &str, token: &TokenDetail, names: &Names) -> String {
    let user = token.user.and_then(|id| names.people.get(&id.to_string()));
    let Some(login) = &token.login else {
        return format!("{actor} for {}", names.apps.get(&token.sub).unwrap_or(&token.sub));
    };
    let user = user.unwrap_or(login);
    let issuer = token.issuer.as_ref().and_then(|id| names.issuers.get(id));
    let issuer = issuer.map_or_else(|| token.named_by(), String::as_str);
    if token.act.is_empty() { format!("{user} via {issuer}") } else { format!("{actor} for {user} via {issuer}") }
}

fn with_names(
    conn: &mut AnyConnection,
    organisation_id: Option<Uuid>,
    records: Vec<AuditRecord>,
) -> Result<Vec<ShownDeed>, ServiceError> {
    let entries = || records.iter().map(|record| &record.entry);
    let mut targets: Vec<String> = entries().map(|entry| entry.target.clone()).collect();
    targets.extend(entries().filter_map(|entry| entry.actor.strip_prefix(APP)).map(str::to_owned));
    let mut people: Vec<String> =
        entries().filter_map(|entry| entry.actor.strip_prefix(PERSON)).map(str::to_owned).collect();
    people.extend(entries().map(|entry| entry.target.clone()));
    for token in entries().filter_map(|entry| TokenDetail::read(&entry.detail)) {
        people.extend(token.user.map(|id| id.to_string()));
        targets.extend(token.issuer.into_iter().chain([token.sub]));
    }
    for ids in [&mut targets, &mut people] {
        ids.sort_unstable();
        ids.dedup();
    }
    let names = audit::find_names(conn, organisation_id, &people, &targets)?;
    Ok(records.into_iter().map(|record| ShownDeed::new(record, &names)).collect())
}

/// Deeds with the names of those whom they concern, newest first, at most `limit`. An actor that is asked for may be written
/// as the address of a person.
///
/// # Errors
/// `NotFound` without the organisation.
pub fn browse(
    m: &Management,
    log: &Log,
    filter: &AuditFilter,
    place: Place,
    limit: i64,
) -> Result<Vec<ShownDeed>, ServiceError> {
    m.database.read_with(|conn| {
        let organisation_id = log.organisation_id(conn)?;
        let mut filter = filter.clone();
        if let Some(actor) = filter.actor.take() {
            filter.actor = Some(match developers::find_by_email(conn, &actor.trim().to_lowercase())? {
                Some((id, _)) => format!("{PERSON}{id}"),
                None => actor,
            });
        }
        let records = audit::list_from(conn, organisation_id, &filter, place, limit)?;
        with_names(conn, organisation_id, records)
    })
}

/// What a deed changed, as far as the log knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What of it.
    pub name: String,
    /// What stood there before; `None` if no earlier deed says so.
    pub before: Option<Value>,
    /// What stands there now.
    pub after: Value,
}

/// A deed and what it changed.
#[derive(Debug, Clone)]
pub struct DeedDetails {
    /// The deed.
    pub deed: ShownDeed,
    /// Member by member of what was said about it.
    pub differences: Vec<Difference>,
}

/// A deed with what earlier deeds say was there before.
///
/// # Errors
/// `NotFound`.
pub fn show(m: &Management, log: &Log, id: Uuid) -> Result<DeedDetails, ServiceError> {
    m.database.read_with(|conn| {
        let organisation_id = log.organisation_id(conn)?;
        let found = audit::find(conn, organisation_id, id)?;
        let record = found.ok_or_else(|| ServiceError::NotFound("there is no such deed".to_owned()))?;
        let earlier = audit::list_earlier(conn, &record, LOOKED_BACK)?;
        let differences = differences(&record, &earlier);
        let deed = with_names(conn, organisation_id, vec![record])?.into_iter().next();
        let deed = deed.ok_or_else(|| ServiceError::Internal("a deed was lost".to_owned()))?;
        Ok(DeedDetails { deed, differences })
    })
}

/// Rows say what a thing was like after them, so the one before tells what it was like.
fn differences(record: &AuditRecord, earlier: &[AuditRecord]) -> Vec<Difference> {
    let Value::Object(detail) = &record.entry.detail else { return Vec::new() };
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (detail.get("before"), detail.get("after")) {
        let named = |(name, value): (&String, &Value)| Difference {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: value.clone(),
        };
        return after.iter().map(named).collect();
    }
    let before = |name: &str| {
        let told = earlier.iter().find_map(|record| record.entry.detail.get(name));
        // What came and went with an earlier deed is no state.
        told.filter(|_| !["added", "removed"].contains(&name)).cloned()
    };
    let difference = |(name, value): (&String, &Value)| Difference {
        name: name.clone(),
        before: before(name),
        after: value.clone(),
    };
    // With whose token it was done is said of the actor.
    detail.iter().filter(|(name, _)| *name != token_detail::NAME).map(difference).collect()
}
