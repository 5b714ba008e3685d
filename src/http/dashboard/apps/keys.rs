//! `/apps/{sid}/keys`: the keys of an app, where each is in its life, and what can be done about it.

use std::time::Duration;

use actix_web::web::Path;
use serde::Serialize;
use uuid::Uuid;

use super::head::AppHead;
use super::key_forms::{DEFAULT_OVERLAP, overlap_choices};
use super::new::KEY_ENDS;
use super::{Choice, Tab, spans};
use crate::clock::Timestamp;
use crate::db::app_keys::AppKeyRecord;
use crate::db::developers::Role;
use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{AnyMember, Visitor};
use crate::http::dashboard::when::When;
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::service::actors::ActorNames;
use crate::service::app_keys::MOST_LIVE_KEYS;
use crate::service::apps::{self, AppDetails, ENDING_SOON};
use crate::service::{Management, ServiceError, actors};

/// Keys that do not work any more, of which the newest are shown.
const MOST_DEAD_KEYS: usize = 20;
/// A key that was used so lately is in use.
const IN_USE: Duration = Duration::from_secs(3_600);

/// The keys.
#[derive(Debug, Serialize)]
pub(super) struct KeysView {
    app: AppHead,
    has_keys: bool,
    is_keyless: bool,
    live: Vec<KeyRow>,
    dead: Vec<KeyRow>,
    /// The key that is in use, for whoever thinks of its end.
    in_use: Option<InUse>,
    most: usize,
    is_full: bool,
    overlaps: Vec<Choice>,
    key_ends: Vec<Choice>,
    may_change: bool,
    faults: Faults,
}

/// A key that was used lately.
#[derive(Debug, Serialize)]
struct InUse {
    hint: String,
    ago: String,
    from: Option<String>,
}

impl InUse {
    fn find(keys: &[AppKeyRecord], now: Timestamp) -> Option<Self> {
        let lately = keys.iter().filter(|key| key.is_live(now) && is_in_use(key, now));
        let key = lately.max_by_key(|key| key.last_used_at)?;
        let ago = spans::words(now.since(key.last_used_at?));
        Some(Self { hint: key.hint.clone(), ago, from: key.last_used_from.clone() })
    }
}

fn is_in_use(key: &AppKeyRecord, now: Timestamp) -> bool {
    key.last_used_at.is_some_and(|at| now.since(at) < IN_USE)
}

/// A key.
#[derive(Debug, Clone, Serialize)]
pub(super) struct KeyRow {
    id: Uuid,
    hint: String,
    state: &'static str,
    /// For its look: `good`, `warn` or `bad`, and an icon.
    tone: &'static str,
    icon: &'static str,
    /// How long it still works, if that is known.
    left: Option<String>,
    created: When,
    created_by: String,
    last_used: Option<When>,
    last_used_from: Option<String>,
    expires: Option<When>,
    /// An older key that somebody still uses.
    still_used_from: Option<String>,
}

impl View for KeysView {
    const TEMPLATE: &'static str = "dashboard/apps/keys";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        format!("Keys of {}", self.app.name)
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl KeyRow {
    /// `is_newest`: of those that work. An older one with an end is what a rotation left.
    pub(super) fn new(key: &AppKeyRecord, is_newest: bool, names: &ActorNames, now: Timestamp) -> Self {
        let left = key.expires_at.filter(|_| key.is_live(now)).map(|ends_at| ends_at.since(now));
        let (state, tone, icon) = match (key.revoked_at, left) {
            (Some(_), _) => ("Revoked", "bad", "ban"),
            (None, None) if !key.is_live(now) => ("Expired", "bad", "circle-x"),
            (None, Some(_)) if !is_newest => ("Retiring", "warn", "hourglass"),
            (None, Some(left)) if left < ENDING_SOON => ("Active, ends soon", "warn", "hourglass"),
            _ => ("Active", "good", "circle-check"),
        };
        let in_use = is_in_use(key, now);
        Self {
            id: key.id,
            hint: key.hint.clone(),
            state,
            tone,
            icon,
            left: left.map(spans::words),
            created: When::of(key.created_at),
            created_by: names.of(&key.created_by),
            last_used: key.last_used_at.map(When::of),
            last_used_from: key.last_used_from.clone(),
            expires: key.revoked_at.or(key.expires_at).map(When::of),
            still_used_from: key.last_used_from.clone().filter(|_| in_use && !is_newest && key.is_live(now)),
        }
    }
}

/// An app with its keys, and what those are called who made them.
pub(super) struct KeysOfApp {
    pub(super) details: AppDetails,
    pub(super) names: ActorNames,
}

/// Reads them.
pub(super) fn find(m: &Management, organisation: &str, client_id: ClientId) -> Result<KeysOfApp, ServiceError> {
    let details = apps::show(m, client_id)?;
    let names = actors::names(m, organisation, details.keys.iter().map(|key| key.created_by.as_str()))?;
    Ok(KeysOfApp { details, names })
}

impl KeysView {
    pub(super) fn new(found: &KeysOfApp, may_change: bool, now: Timestamp) -> Self {
        let keys = &found.details.keys;
        let newest = keys.iter().rev().find(|key| key.is_live(now)).map(|key| key.id);
        let row = |key: &AppKeyRecord| KeyRow::new(key, Some(key.id) == newest, &found.names, now);
        let live: Vec<KeyRow> = keys.iter().rev().filter(|key| key.is_live(now)).map(row).collect();
        Self {
            app: AppHead::new(&found.details.app, Tab::Keys),
            has_keys: found.details.app.authentication == ClientAuthentication::ClientSecret,
            is_keyless: found.details.app.authentication == ClientAuthentication::TrustedIssuer,
            is_full: live.len() >= MOST_LIVE_KEYS,
            live,
            dead: keys.iter().rev().filter(|key| !key.is_live(now)).take(MOST_DEAD_KEYS).map(row).collect(),
            in_use: InUse::find(keys, now),
            most: MOST_LIVE_KEYS,
            overlaps: overlap_choices(DEFAULT_OVERLAP),
            key_ends: KEY_ENDS.iter().map(|(value, label)| Choice::new(value, label, "never")).collect(),
            may_change,
            faults: Faults::default(),
        }
    }

    pub(super) fn refused(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }
}

/// The page.
pub(super) async fn show(visitor: Visitor<AnyMember>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let organisation = visitor.organisation();
    let found = visitor.look(move |m| find(m, &organisation, client_id)).await?;
    visitor.page(&KeysView::new(&found, visitor.has_role(Role::Developer), visitor.now()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{details, key, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn found() -> KeysOfApp {
        KeysOfApp { details: details(), names: ActorNames::default() }
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = |may_change| KeysView::new(&found(), may_change, moment());
        let mut none = found();
        none.details.keys.clear();
        vec![
            sample(view(true)),
            sample(view(false)),
            sample(view(true).refused(Faults::one("overlap", "No."))),
            sample(KeysView { has_keys: false, ..view(true) }),
            sample(KeysView { has_keys: false, is_keyless: true, ..view(true) }),
            sample(KeysView::new(&none, true, moment())),
        ]
    }

    #[test]
    fn a_key_says_where_it_is_in_its_life() {
        let day = Duration::from_secs(86_400);
        let said = |key: AppKeyRecord, is_newest| {
            let row = KeyRow::new(&key, is_newest, &ActorNames::default(), moment());
            (row.state, row.tone, row.left)
        };
        let ending = |span| AppKeyRecord { expires_at: Some(moment() + span), ..key() };
        assert_eq!(said(key(), true), ("Active", "good", None));
        assert_eq!(said(key(), false), ("Active", "good", None));
        assert_eq!(said(ending(day * 90), true), ("Active", "good", Some("90 days".to_owned())));
        assert_eq!(said(ending(day * 3), true), ("Active, ends soon", "warn", Some("3 days".to_owned())));
        assert_eq!(said(ending(day), false), ("Retiring", "warn", Some("24 h".to_owned())));
        assert_eq!(said(AppKeyRecord { expires_at: Some(moment()), ..key() }, false), ("Expired", "bad", None));
        assert_eq!(said(AppKeyRecord { revoked_at: Some(moment()), ..key() }, false), ("Revoked", "bad", None));
    }
}
