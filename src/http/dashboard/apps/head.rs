//! What stands at the top of every page of one app: its name, its state, and the way to its other pages.

use serde::Serialize;

use crate::db::apps::AppRecord;

/// A page of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::dashboard) enum Tab {
    Overview,
    Keys,
    Scopes,
    Start,
    Usage,
    Activity,
    Settings,
}

/// In this order.
const TABS: &[(Tab, &str, &str)] = &[
    (Tab::Overview, "", "Overview"),
    (Tab::Keys, "/keys", "Keys"),
    (Tab::Scopes, "/scopes", "Scopes"),
    (Tab::Start, "/start", "Quick start"),
    (Tab::Usage, "/usage", "Usage"),
    (Tab::Activity, "/activity", "Activity"),
    (Tab::Settings, "/settings", "Settings"),
];

/// The top of a page of an app; `app` in templates, for the partial `app-head`.
#[derive(Debug, Clone, Serialize)]
pub(in crate::http::dashboard) struct AppHead {
    pub(in crate::http::dashboard) sid: String,
    pub(in crate::http::dashboard) name: String,
    is_enabled: bool,
    tabs: Vec<TabLink>,
}

#[derive(Debug, Clone, Serialize)]
struct TabLink {
    href: String,
    text: &'static str,
    is_current: bool,
}

impl AppHead {
    /// The top of that page of that app.
    pub(in crate::http::dashboard) fn new(app: &AppRecord, current: Tab) -> Self {
        let sid = app.client_id.to_string();
        let link = |(tab, path, text): &(Tab, &str, &'static str)| TabLink {
            href: format!("/apps/{sid}{path}"),
            text,
            is_current: *tab == current,
        };
        Self {
            tabs: TABS.iter().map(link).collect(),
            name: app.name.clone(),
            is_enabled: app.disabled_at.is_none(),
            sid,
        }
    }

    /// The address of a page of the app.
    pub(in crate::http::dashboard) fn path(&self, page: &str) -> String {
        format!("/apps/{}{page}", self.sid)
    }
}
