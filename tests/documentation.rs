//! Documents that are made from the code are as the code says. To make them anew: `UPDATE_DOCS=1 cargo test documentation`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use brevet::config::{Flag, SETTINGS};

fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\nMade from the table in `src/config.rs`. Flag beats variable beats `_FILE` variable beats TOML file beats default.\nSpans are written `90s`, `10m`, `24h`, `90d`.\n\n| flag and TOML key | variable | default | meaning |\n|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let key = match setting.flag {
            Flag::Everywhere | Flag::Serve => format!("`--{}`", setting.key),
            Flag::Never => format!("`{}` (no flag: it would show in the process list)", setting.key),
        };
        let file = if setting.secret { format!(", `{}_FILE`", setting.variable()) } else { String::new() };
        let default = if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
        writeln!(page, "| {key} | `{}`{file} | {default} | {} |", setting.variable(), setting.help.replace('|', "\\|"))
            .unwrap();
    }
    page
}

#[test]
fn the_page_of_settings_is_the_table_of_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, settings_page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, settings_page(), "run UPDATE_DOCS=1 cargo test documentation");
}

#[test]
fn the_description_of_the_management_api_is_that_of_the_handlers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let made = brevet::http::openapi_document("http://127.0.0.1:8080").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "run UPDATE_DOCS=1 cargo test documentation");
    let home = tempfile::tempdir().unwrap();
    assert!(crate::support::process::brevet(home.path()).args(&["openapi"]).ok() == written);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "no database is made for it");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    let documents = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(documents.filter(|path| path.is_file()));
    let examples = fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(examples.filter(|path| path.is_dir()).map(|folder| folder.join("README.md")));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = page.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}", page.display());
        }
    }
}
