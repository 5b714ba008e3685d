//! `brevet doctor`: what is wrong with an installation, and what to do about it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client_jwks_uri::{KeyServer, answer, good};
use crate::support::http;
use crate::support::process::{Run, Server, brevet, data_directory};
use crate::support::signer::Signer;

fn doctor(data: &Path) -> Run {
    // Where nobody listens, whatever runs on this machine.
    brevet(data).args(&["doctor", "--json"]).env("BREVET_ISSUER", "http://127.0.0.1:1")
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
    let text = brevet(data.path()).args(&["doctor"]).env("BREVET_ISSUER", "http://127.0.0.1:1").ok();
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

#[test]
fn an_issuer_that_answers_something_else_is_told_from_one_that_does_not_answer() {
    let data = data_directory();
    let server = KeyServer::start(good(&json!({ "issuer": "https://id.acme.example" }).to_string()));
    let origin = server.url.trim_end_matches("/jwks.json");
    let issuer = format!("--issuer={origin}");
    let add = ["issuer", "add", "--org=acme", "--name=Moved", &issuer, "--audience=urn:acme", "--discover"];
    let private = ("BREVET_OUTBOUND_ALLOW_PRIVATE", "true");
    let users = ["--users", "--scope=billing:read"];
    brevet(data.path()).args(&add).args(&users).env(private.0, private.1).ok();
    let said = || {
        let (found, code) = finding(doctor(data.path()).env(private.0, private.1), "issuer keys");
        assert_eq!((found["verdict"].as_str(), code), (Some("warning"), 0));
        format!("{} {}", found["text"].as_str().unwrap(), found["fix"].as_str().unwrap())
    };
    let named = said();
    assert!(
        named.contains(&format!("says that its issuer is https://id.acme.example, and registered is {origin}")),
        "{named}"
    );
    assert!(named.contains("brevet issuer update"), "{named}");
    server.reply_with(answer("404 Not Found", ""));
    assert!(said().contains("answers 404"), "{}", said());
}

/// A server in front of another, which refuses programs of that name.
fn firewall(behind: &Server, refused: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), behind.url.clone());
    // Ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4_096];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let path = request.split(' ').nth(1).unwrap();
            let (status, body) = match request.contains(&format!("user-agent: {refused}")) {
                true => ("403 Forbidden".to_owned(), String::new()),
                false => {
                    let answer = http::get(&format!("{behind}{path}"), &[]);
                    (format!("{} Whatever", answer.status.as_u16()), answer.body)
                }
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn the_keys_are_looked_for_at_the_servers_own_address_as_services_do_that_check_tokens() {
    const CHECK: &str = "public address";
    let data = private_directory();
    let server = Server::start_as_issuer(data.path(), &[]);
    let at = |data: &Path, issuer: &str| finding(doctor(data).env("BREVET_ISSUER", issuer), CHECK);
    let (found, code) = at(data.path(), &server.url);
    assert_eq!((found["verdict"].as_str(), code), (Some("ok"), 0), "{found}");

    let cases = [
        ("python-urllib/", format!("http://127.0.0.1:{}", firewall(&server, "python-urllib/")), "every User-Agent"),
        ("brevet/", format!("http://127.0.0.1:{}", firewall(&server, "brevet/")), "the proxy in front"),
        ("nobody", format!("http://127.0.0.1:{}/elsewhere", firewall(&server, "nobody")), "the proxy in front"),
    ];
    for (refused, issuer, cure) in cases {
        let (found, code) = at(data.path(), &issuer);
        assert_eq!((found["verdict"].as_str(), code), (Some("warning"), 0), "{refused}: {found}");
        assert!(found["fix"].as_str().unwrap().contains(cure), "{refused}: {found}");
    }
    let stranger = KeyServer::start(good(&Signer::ed25519("k").jwks()));
    let (found, _) = at(data.path(), stranger.url.trim_end_matches("/jwks.json"));
    assert!(found["fix"].as_str().unwrap().contains("leads to this server"), "{found}");
    // No server at all: at an address of this machine that is no finding, elsewhere it is a warning.
    drop(server);
    let document = doctor(data.path()).run().json();
    assert!(!document.to_string().contains(CHECK), "{document}");
    let (found, code) = at(data.path(), "http://0.0.0.0:1");
    assert_eq!((found["verdict"].as_str(), code), (Some("warning"), 0), "{found}");
}
