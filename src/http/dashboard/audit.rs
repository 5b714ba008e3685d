//! Who did what: found, looked at, and taken along as a file.

mod query;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Path;
use serde::Serialize;
use serde_json::{Value, json};

use self::query::{Choice, Query, Shown};
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::visitor::{AnyMember, Visitor};
use super::when::When;
use crate::db::audit::Place;
use crate::http::csv::Csv;
use crate::http::pictures::grouped;
use crate::service::audit::{DeedDetails, Difference, LARGEST_EXPORT, Log, ShownDeed, Target, browse, show as find};

/// Deeds on a page.
const ON_A_PAGE: i64 = 50;

/// A deed in a table.
#[derive(Debug, Serialize)]
pub(super) struct DeedRow {
    id: String,
    at: When,
    actor: String,
    /// Whether the actor has a name and the id stands behind it.
    actor_id: Option<String>,
    action: String,
    target: String,
    target_kind: &'static str,
    /// Where the target is shown, if it is still there.
    target_href: Option<String>,
    address: String,
}

impl DeedRow {
    pub(super) fn new(deed: &ShownDeed) -> Self {
        let entry = &deed.record.entry;
        let id = &entry.target;
        let (target, target_kind, target_href) = match &deed.target {
            Some(Target::App(name)) => (name.clone(), "app", Some(format!("/apps/{id}"))),
            Some(Target::Api(name)) => (name.clone(), "API", Some(format!("/apis/{id}"))),
            Some(Target::Person(name)) => (name.clone(), "person", Some("/team".to_owned())),
            Some(Target::Issuer(name)) => (name.clone(), "issuer", Some(format!("/issuers/{id}"))),
            Some(Target::SigningKey) => (id.clone(), "signing key", Some("/admin/keys".to_owned())),
            None => (id.clone(), "", None),
        };
        Self {
            id: deed.record.id.to_string(),
            at: When::of(entry.at),
            actor: deed.actor_name.clone().unwrap_or_else(|| entry.actor.clone()),
            actor_id: deed.actor_name.as_ref().map(|_| entry.actor.clone()),
            action: entry.action.clone(),
            target,
            target_kind,
            target_href,
            address: entry.address.clone().unwrap_or_default(),
        }
    }
}

/// The list.
#[derive(Serialize)]
struct AuditView {
    faults: Faults,
    filter: Shown,
    /// Whether the person may look at what concerns the whole server.
    is_operator: bool,
    is_server: bool,
    kinds: Vec<Choice>,
    is_filtered: bool,
    deeds: Vec<DeedRow>,
    newer: Option<String>,
    older: Option<String>,
    csv: String,
    jsonl: String,
    most_exported: String,
}

impl View for AuditView {
    const TEMPLATE: &'static str = "dashboard/audit/list";
    const SECTION: Section = Section::Audit;

    fn title(&self) -> String {
        "Audit log".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl AuditView {
    fn new(query: &Query, mut deeds: Vec<ShownDeed>, is_operator: bool) -> Self {
        let most = usize::try_from(ON_A_PAGE).unwrap_or(usize::MAX);
        let has_more = deeds.len() > most;
        // The one too many is the farthest away: the oldest, or, on the way back, the newest.
        if has_more && matches!(query.place, Place::After(_)) {
            deeds.remove(0);
        }
        deeds.truncate(most);
        let (newest, oldest) = (deeds.first().map(|deed| deed.record.id), deeds.last().map(|deed| deed.record.id));
        let has_newer = match query.place {
            Place::Newest => false,
            Place::Before(_) => true,
            Place::After(_) => has_more,
        };
        let has_older = has_more || matches!(query.place, Place::After(_));
        let link = |name: &str, id: uuid::Uuid| query.address("/audit", Some((name, &id.to_string())));
        Self {
            faults: query.faults.clone(),
            filter: query.shown.clone(),
            is_operator,
            is_server: query.log == Log::Server,
            kinds: query.kinds(),
            is_filtered: query.is_filtered(),
            newer: newest.filter(|_| has_newer).map(|id| link("after", id)),
            older: oldest.filter(|_| has_older).map(|id| link("before", id)),
            deeds: deeds.iter().map(DeedRow::new).collect(),
            csv: query.address("/audit/export.csv", None),
            jsonl: query.address("/audit/export.jsonl", None),
            most_exported: grouped(LARGEST_EXPORT),
        }
    }
}

/// The list.
pub(super) async fn list(visitor: Visitor<AnyMember>) -> PageResult {
    let query = Query::read(&visitor)?;
    let is_operator = visitor.person().person.is_operator;
    if !query.faults.is_empty() {
        let view = AuditView::new(&query, Vec::new(), is_operator);
        return visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let (log, filter, place) = (query.log.clone(), query.filter.clone(), query.place);
    let deeds = visitor.look(move |m| browse(m, &log, &filter, place, ON_A_PAGE + 1)).await?;
    visitor.page(&AuditView::new(&query, deeds, is_operator))
}

/// One deed.
#[derive(Serialize)]
struct DeedView {
    deed: DeedRow,
    at_exactly: String,
    differences: Vec<Change>,
    back: String,
}

#[derive(Serialize)]
struct Change {
    name: String,
    before: Option<String>,
    after: String,
    is_same: bool,
}

impl View for DeedView {
    const TEMPLATE: &'static str = "dashboard/audit/show";
    const SECTION: Section = Section::Audit;

    fn title(&self) -> String {
        format!("Event {}", self.deed.action)
    }
}

impl DeedView {
    fn new(details: &DeedDetails, log: &Log) -> Self {
        let change = |difference: &Difference| Change {
            is_same: difference.before.as_ref() == Some(&difference.after),
            name: difference.name.replace('_', " "),
            before: difference.before.as_ref().map(plain),
            after: plain(&difference.after),
        };
        Self {
            at_exactly: details.deed.record.entry.at.rfc3339(),
            differences: details.differences.iter().map(change).collect(),
            deed: DeedRow::new(&details.deed),
            back: if *log == Log::Server { "/audit?log=server".to_owned() } else { "/audit".to_owned() },
        }
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.is_empty() => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) if values.is_empty() => "nothing".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// One deed, with what it changed.
pub(super) async fn show(visitor: Visitor<AnyMember>, id: Path<String>) -> PageResult {
    let (id, query) = (visitor.id(&id)?, Query::read(&visitor)?);
    let log = query.log.clone();
    let details = visitor.look(move |m| find(m, &log, id)).await?;
    visitor.page(&DeedView::new(&details, &query.log))
}

/// What the list shows, as a file.
pub(super) async fn export(visitor: Visitor<AnyMember>, format: Path<String>) -> Result<HttpResponse, PageError> {
    let (content_type, write): (_, fn(&[ShownDeed]) -> String) = match format.as_str() {
        "csv" => ("text/csv; charset=utf-8", as_csv),
        "jsonl" => ("application/jsonl; charset=utf-8", as_jsonl),
        _ => return Err(PageError::not_found(&visitor)),
    };
    let query = Query::read(&visitor)?;
    if !query.faults.is_empty() {
        return Err(PageError::bad_request(&visitor, "A filter cannot be used. Go back and correct it."));
    }
    let (log, filter) = (query.log.clone(), query.filter.clone());
    let file = visitor.export(move |m| Ok(write(&browse(m, &log, &filter, Place::Newest, LARGEST_EXPORT)?))).await?;
    let day = visitor.now().rfc3339();
    let of = if query.log == Log::Server { "server".to_owned() } else { visitor.organisation() };
    let name = format!("audit-{of}-{}.{format}", day.split('T').next().unwrap_or_default());
    Ok(visitor
        .start(StatusCode::OK)
        .content_type(content_type)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(file))
}

fn as_csv(deeds: &[ShownDeed]) -> String {
    let mut csv = Csv::new(&["id", "at", "actor", "actor_name", "action", "target", "address", "detail"]);
    for deed in deeds {
        let (id, entry) = (deed.record.id.to_string(), &deed.record.entry);
        let (at, detail) = (entry.at.rfc3339(), entry.detail.to_string());
        let (name, address) = (deed.actor_name.as_deref().unwrap_or(""), entry.address.as_deref().unwrap_or(""));
        csv.line([id.as_str(), &at, &entry.actor, name, &entry.action, &entry.target, address, &detail]);
    }
    csv.into_string()
}

fn as_jsonl(deeds: &[ShownDeed]) -> String {
    let line = |deed: &ShownDeed| {
        let entry = &deed.record.entry;
        let line = json!({
            "id": deed.record.id, "at": entry.at.rfc3339(), "actor": entry.actor, "actor_name": deed.actor_name,
            "action": entry.action, "target": entry.target, "address": entry.address, "detail": entry.detail,
        });
        format!("{line}\n")
    };
    deeds.iter().map(line).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::db::audit::{AuditEntry, AuditRecord};
    use crate::http::dashboard::samples::{Sample, sample};

    /// A deed of a person to an app.
    pub(in crate::http::dashboard) fn deed() -> ShownDeed {
        let entry = AuditEntry {
            at: Timestamp::from_seconds(1_795_305_600),
            organisation_id: None,
            actor: "user:0".to_owned(),
            action: "app.update".to_owned(),
            target: "3f1c0c1e".to_owned(),
            detail: json!({ "name": "robot", "added": ["a", "b"], "removed": [] }),
            address: Some("10.0.0.7".to_owned()),
        };
        ShownDeed {
            record: AuditRecord { id: Uuid::nil(), entry },
            actor_name: Some("ana@example.com".to_owned()),
            target: Some(Target::App("robot".to_owned())),
        }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let query = Query { log: Log::Server, place: Place::Before(Uuid::nil()), ..Query::default() };
        let refused = Query { faults: Faults::one("from", "No day."), ..Query::default() };
        let unnamed = ShownDeed { actor_name: None, target: None, ..deed() };
        let differences = vec![
            Difference { name: "name".to_owned(), before: Some(json!("old")), after: json!("robot") },
            Difference { name: "added".to_owned(), before: None, after: json!(["a"]) },
        ];
        let details = DeedDetails { deed: deed(), differences };
        let bare = DeedDetails { deed: unnamed.clone(), differences: Vec::new() };
        vec![
            sample(AuditView::new(&query, vec![deed(), unnamed], true)),
            sample(AuditView::new(&refused, Vec::new(), false)),
            sample(DeedView::new(&details, &Log::Server)),
            sample(DeedView::new(&bare, &Log::Server)),
        ]
    }

    #[test]
    fn what_comes_from_outside_is_inert_in_a_spreadsheet() {
        let mut hostile = deed();
        hostile.record.entry.target = "=cmd|' /C calc'!A0".to_owned();
        hostile.record.entry.address = Some("+1".to_owned());
        hostile.actor_name = Some("@SUM(1)".to_owned());
        let table = as_csv(&[hostile]);
        for cell in ["'=cmd|", ",'+1,", ",'@SUM(1),"] {
            assert!(table.contains(cell), "{table}");
        }
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        let shown = [json!(null), json!(""), json!([]), json!(["a", "b"]), json!(true), json!({"a": 1})]
            .map(|value| plain(&value));
        assert_eq!(shown, ["nothing", "nothing", "nothing", "a, b", "yes", "{\"a\":1}"]);
    }
}
