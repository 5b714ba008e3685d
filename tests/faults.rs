//! Crashes: what was acknowledged is there after `kill -9`. Check 218, contract of `synchronous=FULL`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::process::{PATIENCE, Promise, Server, brevet, create_app, data_directory, eventually, program};
use crate::support::{Credentials, http};

/// Apps whose `app create` exited with 0, and whether their `app disable` did so too.
#[derive(Default)]
struct Acknowledged {
    apps: BTreeMap<String, App>,
}

struct App {
    credentials: Credentials,
    /// Issued while the app was enabled.
    token: Option<String>,
    disabled: bool,
}

/// Creates apps and disables every second one until told to stop; returns what was acknowledged, and counts it meanwhile.
fn change_things(data: &Path, stop: &AtomicBool, count: &AtomicUsize) -> Vec<(Credentials, bool)> {
    let mut done = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let app = create_app(data);
        let disable = done.len() % 2 == 1;
        if disable {
            brevet(data).args(&["app", "disable", &app.client_id]).ok();
        }
        done.push((app, disable));
        count.fetch_add(1, Ordering::SeqCst);
    }
    done
}

/// Asks for tokens until the server is gone, and counts them. Every answer that comes whole must be a token.
fn ask_for_tokens(url: &str, app: &Credentials, count: &AtomicUsize) -> Vec<String> {
    let mut tokens = Vec::new();
    loop {
        let asked = ureq::post(format!("{url}/connect/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .send(app.form());
        let body = match asked {
            Ok(mut answer) => answer.body_mut().read_to_string(),
            Err(ureq::Error::StatusCode(status)) => panic!("{status}"),
            Err(_gone) => return tokens,
        };
        let Ok(body) = body else { return tokens };
        let answer: Value = serde_json::from_str(&body).unwrap();
        tokens.push(answer["access_token"].as_str().unwrap().to_owned());
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn start(data: &Path) -> Server {
    Server::start_with(data, &["--throttle-failures=off"], &[])
}

#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    const ROUNDS: u64 = 20;
    let data = data_directory();
    let steady = create_app(data.path());
    let mut known = Acknowledged::default();
    let mut issued = 0;
    let mut starts = Vec::new();
    let mut server = start(data.path());
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let changing: Vec<_> = counts[..2]
            .iter()
            .map(|count| {
                let (data, stop, count) = (data.path().to_owned(), stop.clone(), count.clone());
                thread::spawn(move || change_things(&data, &stop, &count))
            })
            .collect();
        let asking = {
            let (url, app, count) = (server.url.clone(), steady.clone(), counts[2].clone());
            thread::spawn(move || ask_for_tokens(&url, &app, &count))
        };
        // Another moment in each round, so that the kill meets other things.
        eventually(PATIENCE, "everybody has begun", || {
            counts.iter().all(|count| count.load(Ordering::SeqCst) >= 3).then_some(())
        });
        thread::sleep(Duration::from_millis(round * 37 % 250));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let tokens = asking.join().unwrap();
        for thread in changing {
            for (credentials, disabled) in thread.join().unwrap() {
                let app = App { credentials, token: None, disabled };
                known.apps.insert(app.credentials.client_id.clone(), app);
            }
        }

        server = start(data.path());
        starts.push(server.started_within);
        for token in &tokens {
            server.whoami(token).assert_status(200);
        }
        issued += tokens.len();
        for app in known.apps.values_mut() {
            let answer = server.token_request(&[], &app.credentials.form());
            let expected = if app.disabled { 401 } else { 200 };
            let answer = answer.assert_status(expected);
            if !app.disabled {
                app.token.get_or_insert_with(|| answer.json()["access_token"].as_str().unwrap().to_owned());
            }
            if let Some(token) = &app.token {
                server.whoami(token).assert_status(expected);
            }
        }
        // Disabled between two kills: the token that the app has dies with it and stays dead.
        let next = known.apps.values_mut().find(|app| !app.disabled && app.token.is_some());
        if let Some(app) = next {
            brevet(data.path()).args(&["app", "disable", &app.credentials.client_id]).ok();
            app.disabled = true;
        }
    }
    // The quickest one: the others may meet a machine that does something else, and what would keep a start waiting after a
    // crash would keep every one.
    starts.sort_unstable();
    assert!(starts[0] < Duration::from_secs(2), "{starts:?}");
    let listed = brevet(data.path()).args(&["app", "list", "--org=acme", "--limit=100000"]).json();
    assert_eq!(listed.as_array().unwrap().len(), known.apps.len() + 1, "none lost and none half-made");
    assert!(known.apps.len() > 40 && issued > 40, "{} apps, {issued} tokens", known.apps.len());
}

#[test]
fn a_token_whose_revocation_was_answered_stays_dead_after_a_kill() {
    let data = data_directory();
    let app = create_app(data.path());
    let mut dead = Vec::new();
    let mut server = start(data.path());
    let alive = server.token(&app);
    for _ in 0..8 {
        let token = server.token(&app);
        let (url, authorization) = (format!("{}/connect/revocation", server.url), app.basic());
        let revoke =
            |token: &str| http::post_form(&url, &[("authorization", &authorization)], &format!("token={token}"));
        revoke(&token).assert_status(200);
        server.kill();
        dead.push(token);
        server = start(data.path());
        for token in &dead {
            server.whoami(token).assert_status(401);
        }
        server.whoami(&alive).assert_status(200);
    }
}

#[test]
fn a_command_killed_in_the_middle_leaves_all_or_nothing() {
    let data = data_directory();
    let file = data.path().join("apps.jsonl");
    let lines: String =
        (0..5_000).map(|at| format!("{{\"name\": \"app {at}\", \"scopes\": [\"billing:read\"]}}\n")).collect();
    std::fs::write(&file, lines).unwrap();
    let exported = || brevet(data.path()).args(&["app", "export", "--org=acme"]).json();
    for round in 0_u64.. {
        let mut import = Command::new(program())
            .arg("--data-dir")
            .arg(data.path())
            .args(["-q", "app", "import", "--org=acme"])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(60 + 40 * round));
        import.kill().unwrap();
        import.wait().unwrap();
        // Killed at least four times, and at least once with something done.
        if round >= 3 && exported() != json!([]) {
            break;
        }
    }
    // Each app has its scope and its key, or is not there at all.
    let exported = exported();
    let apps = exported.as_array().unwrap();
    assert!(apps.iter().all(|app| app["scopes"] == json!(["billing:read"])));
    assert_eq!(apps.len() % 1_000, 0, "a batch is imported whole: {}", apps.len());
    for app in apps.iter().take(5) {
        let keys = brevet(data.path()).args(&["app", "key", "list", app["client_id"].as_str().unwrap()]).json();
        assert_eq!(keys.as_array().unwrap().len(), 1);
    }
    start(data.path()).get("/.well-known/jwks.json").assert_status(200);
}

#[test]
fn a_server_that_is_frozen_for_a_while_goes_on() {
    let data = data_directory();
    let app = create_app(data.path());
    let server = start(data.path());
    let token = server.token(&app);
    let signal = |name: &str| {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", server.pid())]).status();
        assert!(sent.unwrap().success());
    };
    let mut soon = Promise::new(Duration::from_secs(1));
    for (change, status) in [("disable", 401), ("enable", 200), ("disable", 401)] {
        signal("STOP");
        brevet(data.path()).args(&["app", change, &app.client_id]).ok();
        thread::sleep(Duration::from_secs(2));
        signal("CONT");
        soon.wait("what happened meanwhile is known", || (server.whoami(&token).status == status).then_some(()));
        assert_eq!(server.get_admin("/readyz").status, 200);
    }
    soon.assert_kept();
}
