//! The one page that shows an App Key. It is the answer to the form that made the key: there is no address that shows it
//! again, and the browser is told to keep nothing.

use serde::Serialize;
use serde_json::json;

use super::head::AppHead;
use super::{Tab, spans};
use crate::config::Config;
use crate::db::apps::AppRecord;
use crate::http::dashboard::page::{Section, View};
use crate::oauth::metadata::path;
use crate::secret::Secret;

/// The page.
#[derive(Serialize)]
pub(super) struct ShownOnce {
    heading: &'static str,
    app: AppHead,
    /// What happens to the keys from before.
    note: Option<String>,
    key: String,
    token_url: String,
    dotenv: String,
    json: String,
    kubernetes: String,
    curl: String,
}

impl View for ShownOnce {
    const TEMPLATE: &'static str = "dashboard/apps/shown-once";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        self.heading.to_owned()
    }
}

impl ShownOnce {
    /// The first key of an app just made.
    pub(super) fn new_app(config: &Config, app: &AppRecord, secret: &Secret) -> Self {
        Self::new("App created", config, app, secret, None)
    }

    /// A key beside those that the app has.
    pub(super) fn added(config: &Config, app: &AppRecord, secret: &Secret) -> Self {
        let note = "The other keys of the app work as before.".to_owned();
        Self::new("App Key added", config, app, secret, Some(note))
    }

    /// A key in place of those that the app had, which end after `overlap`; nothing for never.
    pub(super) fn rotated(
        config: &Config,
        app: &AppRecord,
        secret: &Secret,
        overlap: Option<std::time::Duration>,
    ) -> Self {
        let note = match overlap {
            None => "The old key works until you revoke it.".to_owned(),
            Some(span) if span.is_zero() => "The old key is refused from now on.".to_owned(),
            Some(span) => format!(
                "The old key works for another {}. Put the new one in its place until then.",
                spans::words(span)
            ),
        };
        Self::new("App Key rotated", config, app, secret, Some(note))
    }

    fn new(heading: &'static str, config: &Config, app: &AppRecord, secret: &Secret, note: Option<String>) -> Self {
        let (sid, key, token_url) =
            (app.client_id.to_string(), secret.reveal().to_owned(), format!("{}{}", config.issuer, path::TOKEN));
        let document = json!({ "token_url": token_url, "client_id": sid, "client_secret": key });
        Self {
            heading,
            app: AppHead::new(app, Tab::Keys),
            note,
            dotenv: format!("BREVET_TOKEN_URL={token_url}\nAPP_SID={sid}\nAPP_KEY={key}\n"),
            json: serde_json::to_string_pretty(&document).unwrap_or_default(),
            kubernetes: format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {}\ntype: Opaque\nstringData:\n  BREVET_TOKEN_URL: \"{token_url}\"\n  APP_SID: \"{sid}\"\n  APP_KEY: \"{key}\"\n",
                kubernetes_name(&app.name, &sid)
            ),
            curl: format!("curl -s {token_url} \\\n  -u '{sid}:{key}' \\\n  -d grant_type=client_credentials"),
            key,
            token_url,
        }
    }
}

/// A name that Kubernetes takes ([RFC 1123](https://www.rfc-editor.org/rfc/rfc1123#section-2.1)): what an app is called may
/// have other letters, and then the first part of its id stands for it.
fn kubernetes_name(name: &str, sid: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let slug: String = words.join("-").chars().take(40).collect();
    let slug = slug.trim_matches('-');
    let first = sid.split('-').next().unwrap_or_default();
    if slug.is_empty() { format!("app-{first}-key") } else { format!("{slug}-app-key") }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::dashboard::apps::tests::{app, config};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let (config, secret) = (config(), Secret::new("bvk_0123456789"));
        vec![
            sample(ShownOnce::new_app(&config, &app(), &secret)),
            sample(ShownOnce::added(&config, &app(), &secret)),
            sample(ShownOnce::rotated(&config, &app(), &secret, None)),
            sample(ShownOnce::rotated(&config, &app(), &secret, Some(Duration::ZERO))),
            sample(ShownOnce::rotated(&config, &app(), &secret, Some(Duration::from_secs(86_400)))),
        ]
    }

    #[test]
    fn kubernetes_gets_a_name_that_it_takes() {
        for (name, expected) in [
            ("Invoice sync", "invoice-sync-app-key"),
            ("  --x: \"y\"\nz--  ", "x-y-z-app-key"),
            ("Ärger", "rger-app-key"),
            ("名前", "app-3f1c0c1e-key"),
            (&"a ".repeat(50), "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-app-key"),
        ] {
            assert_eq!(kubernetes_name(name, "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e"), expected, "{name}");
        }
    }
}
