//! Apps and App Keys in the dashboard.

mod changing;
mod finding;
mod isolation;
mod keys;
mod list;
mod making;

use brevet::db::developers::Role;
use brevet::service::apps::{self, NewApp};

use crate::support::browser::{Browser, Page};
use crate::support::{Credentials, TestApp, new_app};

const ANA: &str = "ana@example.com";

/// A server at which somebody with that role is signed in.
fn scene_of(role: Role, settings: &[(&str, &str)]) -> (TestApp, Browser) {
    let app = TestApp::with(settings);
    app.create_person("acme", ANA, role);
    let browser = app.browser_of(ANA);
    (app, browser)
}

fn scene() -> (TestApp, Browser) {
    scene_of(Role::Developer, &[])
}

fn named(app: &TestApp, name: &str) -> Credentials {
    app.create_app_with("acme", NewApp { name: name.to_owned(), ..new_app(&["billing:read"]) })
}

/// The App SID and the App Key that a page shows once.
fn shown(page: &Page) -> Credentials {
    Credentials {
        client_id: page.attribute("#sid", "value").unwrap(),
        secret: page.attribute("#app-key", "value").unwrap(),
    }
}

fn count_apps(app: &TestApp) -> usize {
    apps::list(&app.management, "acme", None, 1_000).unwrap().len()
}

fn token_status(app: &TestApp, credentials: &Credentials) -> u16 {
    app.token_request(&[], &credentials.form()).status.as_u16()
}
