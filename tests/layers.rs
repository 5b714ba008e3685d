//! The rules of the house, read off the source: which way imports point, who may name which library, how long a file
//! may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The top-level modules. Imports point to the right only; `db` and `keys` do not see each other.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["http"],
    &["service"],
    &["directory", "guard"],
    &["db", "keys"],
    &["oauth"],
    &["config"],
    &["secret", "clock"],
];

/// Libraries, and the places that may name them.
const LIBRARIES: &[(&[&str], &[&str])] = &[
    (&["actix_web"], &["src/http", "src/cli", "src/main.rs", "src/guard/actix.rs"]),
    (&["handlebars"], &["src/http", "src/cli"]),
    (&["diesel", "diesel_migrations", "r2d2"], &["src/db"]),
    (&["jsonwebtoken", "rsa", "aws_lc_rs"], &["src/keys"]),
];

/// Where `rsa` ends: keys are made and read with it. Its private operation leaks by timing (RUSTSEC-2023-0071), so
/// nothing is signed or decrypted with it.
const RSA_MAY: &[&str] = &[
    "rsa::RsaPrivateKey",
    "rsa::RsaPublicKey",
    "rsa::BigUint",
    "rsa::pkcs1::",
    "rsa::pkcs8::",
    "rsa::traits::PublicKeyParts",
];

/// Lines before the tests; a longer file becomes a folder.
const LONGEST_FILE: usize = 400;

/// A source file, comments left out.
struct Source {
    path: String,
    code: String,
}

impl Source {
    /// The top-level module it belongs to: `db` for `src/db.rs` and `src/db/apps.rs`.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap()
    }

    fn is_in(&self, place: &str) -> bool {
        self.path == place || self.path == format!("{place}.rs") || self.path.starts_with(&format!("{place}/"))
    }

    /// The code before the tests.
    fn product(&self) -> &str {
        self.code.split("#[cfg(test)]").next().unwrap()
    }

    /// The paths in the code that begin with this word: `crate::db::apps` for `crate`.
    fn paths(&self, first: &str) -> Vec<&str> {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let begins = |at: &usize| !self.code[..*at].ends_with(is_path);
        let found = self.code.match_indices(first).map(|(at, _)| at).filter(begins);
        let whole = found.map(|at| self.code[at..].split(|c| !is_path(c)).next().unwrap());
        whole
            .filter(|path| path.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
            .collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_comment = |line: &&str| line.trim_start().starts_with("//");
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
                    code: text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n"),
                });
            }
        }
    }
    assert!(found.len() > 50, "the source was not found");
    found
}

fn layer(module: &str) -> usize {
    let at = LAYERS.iter().position(|layer| layer.contains(&module));
    at.unwrap_or_else(|| panic!("the module {module} is in no layer"))
}

#[test]
fn imports_point_down_only() {
    let sources = sources();
    let mut arrows: BTreeMap<(String, String), String> = BTreeMap::new();
    for source in sources.iter().filter(|source| !matches!(source.module(), "main" | "lib")) {
        for path in source.paths("crate").into_iter().filter(|path| path.contains("::")) {
            let to = path.split("::").nth(1).unwrap();
            assert!(
                !to.is_empty(),
                "{}: write one `use crate::module` for each module, for this test to read",
                source.path
            );
            arrows.insert((source.module().to_owned(), to.to_owned()), source.path.clone());
        }
    }
    for ((from, to), path) in &arrows {
        assert!(from == to || layer(from) < layer(to), "{path}: {from} may not import {to}");
    }
    // The reader above reads: these arrows are there.
    for (from, to) in [
        ("cli", "http"),
        ("http", "service"),
        ("service", "directory"),
        ("directory", "db"),
        ("db", "oauth"),
        ("keys", "oauth"),
    ] {
        assert!(arrows.contains_key(&(from.to_owned(), to.to_owned())), "{from} no longer imports {to}");
    }
}

/// What a service without a database is built from.
const GUARD_MAY: &[&str] = &["keys", "oauth", "clock", "secret"];

#[test]
fn the_guard_for_other_services_stands_on_the_rules_and_the_keys_only() {
    let sources = sources();
    let guard: Vec<&Source> = sources.iter().filter(|source| source.module() == "guard").collect();
    assert!(guard.len() > 5, "the guard was not found");
    for source in guard {
        for path in source.paths("crate").into_iter().filter(|path| path.contains("::")) {
            let to = path.split("::").nth(1).unwrap();
            assert!(GUARD_MAY.contains(&to), "{}: guard may not import {to}", source.path);
        }
    }
    for source in sources.iter().filter(|source| !matches!(source.module(), "guard" | "lib")) {
        let imports = source.paths("crate").iter().any(|path| path.starts_with("crate::guard"));
        assert!(!imports, "{}: the guard is for other services", source.path);
    }
}

#[test]
fn no_path_climbs_out_of_its_module() {
    for source in sources() {
        let depth = source.path.matches('/').count();
        let product = Source { path: source.path.clone(), code: source.product().to_owned() };
        for path in product.paths("super") {
            let climbs = path.split("::").take_while(|part| *part == "super").count();
            assert!(climbs < depth, "{}: {path} leaves {}", source.path, source.module());
        }
    }
}

#[test]
fn each_library_is_named_in_its_own_folder_only() {
    for source in sources() {
        for (libraries, places) in LIBRARIES {
            for library in *libraries {
                let named = source.paths(library).iter().any(|path| path.contains("::"))
                    || source.code.contains(&format!("use {library};"));
                let allowed = places.iter().any(|place| source.is_in(place));
                assert!(!named || allowed, "{} names {library}", source.path);
            }
        }
    }
}

#[test]
fn the_time_is_read_in_one_place() {
    for source in sources() {
        for reading in ["Utc::now", "Local::now", "SystemTime::now"] {
            let read = source.code.contains(reading);
            assert!(!read || source.path == "src/clock.rs", "{} reads the time", source.path);
        }
    }
}

#[test]
fn nothing_is_signed_or_decrypted_with_the_rsa_crate() {
    let sources = sources();
    let named: Vec<(&str, &str)> = sources
        .iter()
        .flat_map(|source| source.paths("rsa").into_iter().map(|path| (source.path.as_str(), path)))
        .filter(|(_, path)| path.contains("::"))
        .collect();
    assert!(!named.is_empty(), "the rsa crate is gone: so can be this test");
    for (file, path) in named {
        assert!(RSA_MAY.iter().any(|allowed| path.starts_with(allowed)), "{file} uses {path}");
    }
    for source in sources.iter().filter(|source| source.is_in("src/keys")) {
        for method in [
            "sign_with_rng",
            "decrypt_blinded",
            "Pkcs1v15",
            "Oaep",
            "Pss::",
            "hazmat",
            "PrivateKeyParts",
            "PaddingScheme",
        ] {
            assert!(!source.product().contains(method), "{} uses {method}", source.path);
        }
    }
}

/// What a service that only verifies tokens must not have to build.
const NOT_FOR_THE_GUARD: &[&str] = &[
    "diesel",
    "diesel_migrations",
    "libsqlite3-sys",
    "pq-sys",
    "pq-src",
    "r2d2",
    "argon2",
    "clap",
    "handlebars",
    "rsa",
    "env_logger",
    "prometheus",
    "toml",
];

#[test]
fn the_guard_for_other_services_pulls_in_no_database() {
    let packages = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--offline", "--edges=normal,build", "--prefix=none", "--format={p}"]);
        cargo.args(features).current_dir(env!("CARGO_MANIFEST_DIR"));
        let ran = cargo.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let text = String::from_utf8(ran.stdout).unwrap();
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (server, guard) = (packages(&[]), packages(&["--no-default-features", "--features=guard"]));
    for name in NOT_FOR_THE_GUARD {
        assert!(server.contains(*name), "the server no longer has {name}: neither needs this list");
        assert!(!guard.contains(*name), "the feature `guard` pulls in {name}");
    }
    assert!(guard.contains("ureq") && guard.contains("actix-web"), "{guard:?}");
}

#[test]
fn no_file_is_too_long_to_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for source in sources() {
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines before its tests; make it a folder", source.path);
    }
}
