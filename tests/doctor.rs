//! `brevet doctor`: what is wrong with an installation, and what to do about it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Run, brevet, data_directory};

fn doctor(data: &Path) -> Run {
    brevet(data).args(&["doctor", "--json"])
}

/// As the server makes it; that of tests has the mode that the surroundings give it.
fn private_directory() -> TempDir {
    let data = data_directory();
    fs::set_permissions(data.path(), Permissions::from_mode(0o700)).unwrap();
    data
}

/// The finding of a check, and the exit code.
fn finding(run: Run, check: &str) -> (Value, i32) {
    let ran = run.run();
    let document = ran.json();
    let found = document["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).cloned();
    let code = ran.code.unwrap();
    assert_eq!(document["ok"] == true, code == 0);
    (found.unwrap_or_else(|| panic!("nothing about {check}: {document}")), code)
}

#[test]
fn an_installation_that_is_well_is_told_so_and_left_as_it_is() {
    let data = private_directory();
    let files = || {
        let mut names: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| !name.to_string_lossy().contains("-wal") && !name.to_string_lossy().contains("-shm"));
        names.sort();
        names
    };
    let before = files();
    let text = brevet(data.path()).args(&["doctor"]).ok();
    let all_is_well = text.lines().all(|line| line.starts_with("✔ "));
    assert!(all_is_well && text.lines().count() >= 6, "{text}");
    for check in ["settings", "data directory", "database", "tables", "master key", "signing keys"] {
        assert_eq!(finding(doctor(data.path()), check).0["verdict"], "ok", "{check}");
    }
    assert_eq!(files(), before);
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("data");
    let (found, code) = finding(doctor(&missing), "data directory");
    assert_eq!((found["verdict"].as_str(), code), (Some("error"), 1));
    let (found, code) = finding(doctor(home.path()), "database");
    assert_eq!((found["verdict"].as_str(), code), (Some("error"), 1));
    assert!(found["fix"].as_str().unwrap().contains("brevet serve"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn each_thing_that_is_wrong_is_named_with_its_cure() {
    type Spoil = fn(&Path);
    let cases: &[(&str, &str, &str, Spoil)] = &[
        ("data directory", "error", "chmod 700", |data| {
            fs::set_permissions(data, Permissions::from_mode(0o777)).unwrap();
        }),
        ("file modes", "warning", "chmod 600", |data| {
            fs::set_permissions(data, Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(data.join("brevet.db"), Permissions::from_mode(0o644)).unwrap();
        }),
        ("master key", "error", "chmod 600", |data| {
            fs::set_permissions(data.join("master.key"), Permissions::from_mode(0o644)).unwrap();
        }),
        ("master key", "error", "restore it from a backup", |data| fs::remove_file(data.join("master.key")).unwrap()),
        ("master key", "error", "restore the right one", |data| {
            fs::write(data.join("master.key"), "a".repeat(64)).unwrap();
        }),
    ];
    for (check, verdict, cure, spoil) in cases {
        let data = private_directory();
        spoil(data.path());
        let (found, code) = finding(doctor(data.path()), check);
        assert_eq!(found["verdict"], *verdict, "{found}");
        assert_eq!(code, i32::from(*verdict == "error"), "{found}");
        assert!(format!("{} {}", found["text"], found["fix"]).contains(cure), "{cure}: {found}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_a_finding_too() {
    let data = data_directory();
    for (name, value) in [("BREVET_ISSUER", "id.example.com"), ("BREVET_LISTEN", "0.0.0.0:8080")] {
        let (found, code) = finding(doctor(data.path()).env(name, value), "settings");
        assert_eq!((found["verdict"].as_str(), code), (Some("error"), 1), "{name}");
    }
    let (found, _) = finding(doctor(data.path()).env("BREVET_SYSTEM_AUTHORITIES", "No Such CA"), "system authorities");
    assert_eq!(found["verdict"], "error");
    let (found, _) = finding(doctor(data.path()).env("BREVET_SYSTEM_AUTHORITIES", "No Such CA"), "signing keys");
    assert_eq!(found["verdict"], "ok", "what is wrong is said once");
    let nowhere = "postgres://brevet:hunter2@127.0.0.1:1/brevet";
    let ran = doctor(data.path()).env("BREVET_DATABASE_URL", nowhere).run().assert_code(1);
    assert!(ran.stdout.contains("database") && !ran.stdout.contains("hunter2"), "{ran:?}");
}

#[test]
fn an_issuer_whose_keys_cannot_be_fetched_is_a_warning() {
    let data = data_directory();
    let add = [
        "issuer",
        "add",
        "--org=acme",
        "--name=Gone",
        "--issuer=https://gone.example",
        "--audience=urn:acme",
        "--jwks-url=http://127.0.0.1:1/jwks",
        "--users",
        "--scope=billing:read",
    ];
    let private = ("BREVET_OUTBOUND_ALLOW_PRIVATE", "true");
    let made = brevet(data.path()).args(&add).env(private.0, private.1).json();
    let (found, code) = finding(doctor(data.path()).env(private.0, private.1), "issuer keys");
    assert_eq!((found["verdict"].as_str(), code), (Some("warning"), 0));
    assert!(found["fix"].as_str().unwrap().contains(made["id"].as_str().unwrap()), "{found}");
    // The guard of the server holds here too.
    let (found, _) = finding(doctor(data.path()), "issuer keys");
    assert!(found["text"].as_str().unwrap().contains("https://"), "{found}");
}
