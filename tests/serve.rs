//! The server as a process: its start, its limits, its log and its end. Checks L, M and N.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::process::{
    PATIENCE, Promise, Ran, Server, brevet, create_app, data_directory, eventually, free_port, line_value, quickly,
    steady, terminate, timed,
};
use crate::support::{Credentials, decode_jwt, http};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
/// After an answer that is not followed by the end of the connection for so long, nothing more will come.
const SILENCE: Duration = Duration::from_secs(5);

/// A connection on which a test says what it likes.
struct Wire(TcpStream);

/// How the other side ended a connection.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
    Silent,
}

impl Wire {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// The server may have refused and closed before everything was sent.
    fn send(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let _refused_early = self.0.write_all(text.as_ref());
        self
    }

    /// Everything until the other side closes or, once it began to speak, says nothing more for a while.
    fn read(&mut self) -> (String, End) {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let end = loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break End::Closed,
                Ok(length) => {
                    all.extend_from_slice(&buffer[..length]);
                    self.0.set_read_timeout(Some(SILENCE)).unwrap();
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break End::Silent,
                Err(_reset) => break End::Reset,
            }
        };
        (String::from_utf8_lossy(&all).into_owned(), end)
    }

    /// One answer with a `Content-Length`, head and body; `None` when the connection ended before it.
    fn answer(&mut self) -> Option<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length: usize = line_value(&head.to_lowercase(), "content-length:").parse().unwrap();
                if body.len() >= length {
                    return Some(text);
                }
            }
            match self.0.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(length) => all.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

fn token_head(length: usize) -> String {
    format!("POST /connect/token HTTP/1.1\r\nHost: brevet\r\n{FORM}Content-Length: {length}\r\n\r\n")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: brevet\r\n\r\n")
}

/// The server's counter of tokens it issued.
fn tokens_issued(server: &Server) -> String {
    let metrics = server.get_admin("/metrics").assert_status(200).body;
    line_value(&metrics, "brevet_token_requests_total{error=\"\",grant=\"client_credentials\",result=\"issued\"}")
        .to_owned()
}

mod start {
    use super::*;

    #[test]
    fn an_empty_directory_becomes_a_server_whose_printed_lines_work_as_they_are() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_as_issuer(data.path(), &["--demo"]);
        let banner = server.banner();
        assert_eq!(line_value(&banner, "listening"), server.url);
        assert_eq!(line_value(&banner, "issuer"), server.url);
        assert_eq!(line_value(&banner, "discovery"), format!("{}/.well-known/openid-configuration", server.url));
        assert_eq!(line_value(&banner, "admin"), format!("{}  (/livez /readyz /metrics)", server.admin_url));
        assert_eq!(line_value(&banner, "data  "), data.path().to_str().unwrap());
        let kid = server.get("/.well-known/jwks.json").json()["keys"][0]["kid"].as_str().unwrap().to_owned();
        assert!(line_value(&banner, "public keys").ends_with(&format!("(signing with {kid})")));

        let lines: Vec<&str> = banner.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("TOKEN=")).unwrap();
        let pasted = format!("{}\n{} -w '\\n%{{http_code}}'\n", lines[at], lines[at + 1]);
        let output = Command::new("bash").args(["-c", &pasted]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let output = String::from_utf8(output.stdout).unwrap();
        let (body, status) = output.rsplit_once('\n').unwrap();
        assert_eq!(status, "200");
        let who: Value = serde_json::from_str(body).unwrap();
        assert_eq!(who["client_id"], line_value(&banner, "App SID"));
        assert_eq!(who["tenant"], "demo");

        for name in ["master.key", "brevet.db"] {
            let mode = fs::metadata(data.path().join(name)).unwrap().permissions().mode();
            assert!(name != "master.key" || mode & 0o077 == 0, "{name} has mode {mode:o}");
        }
        server.kill();

        let again = quickly(Duration::from_secs(2), "a second start", || {
            let again = Server::start_as_issuer(data.path(), &["--demo"]);
            (again.started_within, again)
        });
        let banner = again.banner();
        assert!(banner.contains("The demo app is there from an earlier start"), "{banner}");
        assert!(!banner.contains("bvk_") && !banner.contains("password"), "{banner}");
        assert!(banner.contains(&kid), "the same key signs");
    }

    #[test]
    fn a_made_data_directory_is_for_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("new");
        brevet(&data).args(&["org", "create", "--slug=acme", "--name=Acme"]).ok();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(data.join("master.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn without_demo_nobody_gets_a_key() {
        let data = data_directory();
        let server = Server::start(data.path());
        assert!(!server.banner().contains("bvk_"));
        assert!(brevet(data.path()).args(&["app", "list", "--org=demo"]).run().code == Some(67));
    }

    /// A start that must fail, fast and with one line.
    fn refused(data: &std::path::Path, args: &[&str]) -> String {
        let start = || brevet(data).args(&["serve"]).args(args).run();
        let ran: Ran = quickly(Duration::from_secs(1), "a start that must fail", || timed(start));
        format!("{}: {}", ran.code.unwrap(), steady(ran.refusal()))
    }

    #[test]
    fn app_keys_never_cross_a_network_in_clear_unless_told() {
        let data = tempfile::tempdir().unwrap();
        let listen = "--listen=0.0.0.0:0";
        assert_snapshot!(refused(data.path(), &[listen]), @"78: `listen` is 0.0.0.0:0, which other machines can reach, but `issuer` is http://127.0.0.1:8080: App Keys would cross the network in clear; set `issuer` to the https:// address that clients use (TLS may end in a proxy), or say --insecure-http=true");
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "nothing was made");
        let made = data_directory();
        Server::start_with(made.path(), &[listen, "--issuer=https://id.example.com"], &[]).kill();
        Server::start_with(made.path(), &[listen, "--insecure-http=true"], &[]).kill();
    }

    #[test]
    fn a_taken_port_is_told_at_once_and_leaves_nothing_behind() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let data = tempfile::tempdir().unwrap();
        let message = refused(data.path(), &["--demo", "--listen", &address, "--admin-listen=off"]);
        assert_eq!(
            message.replace(&address, "ADDRESS"),
            "69: cannot listen on ADDRESS: Address already in use (os error 98); choose another address with --listen"
        );
        let message = refused(data.path(), &["--listen=127.0.0.1:0", "--admin-listen", &address]);
        assert!(message.ends_with("choose another address with --admin-listen"), "{message}");
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "no demo app whose key nobody saw");
    }

    #[test]
    fn a_data_directory_that_cannot_be_used_is_told_with_the_cure() {
        let quiet = ["--listen=127.0.0.1:0", "--admin-listen=off"];
        let nowhere = std::path::Path::new("/dev/null/data");
        assert_snapshot!(refused(nowhere, &quiet), @"78: the data directory /dev/null/data cannot be made: Not a directory (os error 20); choose another with --data-dir");

        let data = tempfile::tempdir().unwrap();
        let elsewhere = ["--database-url=sqlite:///nowhere/brevet.db"];
        assert_snapshot!(refused(data.path(), &[&quiet[..], &elsewhere].concat()), @"69: the database is unavailable: the file /nowhere/brevet.db cannot be opened: No such file or directory (os error 2)");

        fs::write(data.path().join("brevet.db"), "not a database, but long enough to look at".repeat(100)).unwrap();
        let message = refused(data.path(), &quiet);
        assert!(message.contains("brevet.db cannot be used as a database"), "{message}");
    }

    #[test]
    fn a_master_key_that_is_open_missing_damaged_or_foreign_is_refused_and_never_replaced() {
        let quiet = ["--listen=127.0.0.1:0", "--admin-listen=off"];
        let data = data_directory();
        let path = data.path().join("master.key");
        let shown = path.to_str().unwrap();
        let good = fs::read(&path).unwrap();
        let message = |data: &std::path::Path| refused(data, &quiet).replace(shown, "MASTER.KEY");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_snapshot!(message(data.path()), @"78: the master key MASTER.KEY has mode 0640, so others can read it; run: chmod 600 MASTER.KEY");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

        fs::write(&path, &good[..40]).unwrap();
        assert_snapshot!(message(data.path()), @"78: a master key is 64 hex digits, this has 40 characters: MASTER.KEY is damaged; restore it from a backup");
        fs::write(&path, "5e".repeat(32)).unwrap();
        assert_snapshot!(message(data.path()), @"78: the master key in MASTER.KEY is not the one this database was made with; restore the right one from a backup");
        fs::remove_file(&path).unwrap();
        assert_snapshot!(message(data.path()), @"78: the database was made with a master key, but MASTER.KEY is not there; restore it from a backup, or copy it from the node that made the database");
        assert!(!path.exists());

        fs::write(&path, &good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Server::start(data.path()).kill();
    }

    #[test]
    fn every_setting_that_is_wrong_stops_the_start_with_one_line() {
        let data = tempfile::tempdir().unwrap();
        let wrong = [
            ("--issuer=id.example.com", "`issuer`"),
            ("--listen=8080", "`listen`"),
            ("--workers=many", "`workers`"),
            ("--key-announce=91d", "`key-announce`"),
            ("--trusted-proxies=localhost", "`trusted-proxies`"),
            ("--shutdown-grace=0s", "`shutdown-grace`"),
        ];
        for (flag, expected) in wrong {
            let message = refused(data.path(), &[flag]);
            assert!(message.starts_with("78: ") && message.contains(expected), "{message}");
        }
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_ipv6_address_can_be_listened_on() {
        if TcpListener::bind("[::1]:0").is_err() {
            eprintln!("skipped: this machine has no IPv6 loopback");
            return;
        }
        let data = data_directory();
        let server = Server::start_with(data.path(), &["--listen=[::1]:0"], &[]);
        server.get("/.well-known/jwks.json").assert_status(200);
    }
}

mod admin_listener {
    use super::*;

    #[test]
    fn health_and_metrics_are_there_and_nowhere_else() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = Server::start(data.path());
        assert_eq!(server.get_admin("/livez").assert_status(200).json()["status"], "live");
        assert_eq!(server.get_admin("/readyz").assert_status(200).json()["status"], "ready");
        for path in ["/livez", "/readyz", "/metrics"] {
            server.get(path).assert_status(404);
            let posted = http::post_form(&format!("{}{path}", server.admin_url), &[], "").assert_status(405);
            assert_eq!(posted.header("allow"), "GET, HEAD");
        }
        http::get(&format!("{}/.well-known/jwks.json", server.admin_url), &[]).assert_status(404);
        // Whatever address a client puts into its request, the public port stays the public port.
        let host = server.admin_url.trim_start_matches("http://");
        let request = format!("GET {}/metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", server.admin_url);
        let (answer, _) = Wire::open(&server).send(request).read();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

        let token = server.token(&app);
        server.whoami(&token).assert_status(200);
        let wrong = Credentials { secret: "wrong".to_owned(), ..app.clone() };
        server.token_request(&[], &wrong.form()).assert_status(401);
        server.get("/.well-known/jwks.json").assert_status(200);
        let answer = server.get_admin("/metrics").assert_status(200);
        assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
        let metrics = answer.body;
        assert_eq!(tokens_issued(&server), "1");
        let refused =
            "brevet_token_requests_total{error=\"invalid_client\",grant=\"client_credentials\",result=\"refused\"}";
        assert_eq!(line_value(&metrics, refused), "1");
        for name in [
            "brevet_token_request_duration_seconds_bucket{le=\"0.001\"}",
            "brevet_token_request_duration_seconds_count 2",
            "brevet_http_requests_total{method=\"GET\",route=\"/api/v1/whoami\",status=\"200\"} 1",
            "brevet_jwks_requests_total",
            "brevet_build_info{version=",
            "brevet_signing_key_age_seconds",
            "brevet_db_pool_connections{state=\"idle\"}",
            "brevet_panics_total 0",
        ] {
            assert!(metrics.contains(name), "{name}: {metrics}");
        }
        assert!(!metrics.contains(&app.client_id), "a label for each of a hundred thousand apps");
    }

    #[test]
    fn what_strangers_ask_for_makes_no_new_label() {
        let data = data_directory();
        let server = Server::start(data.path());
        for at in 0..20 {
            server.get(&format!("/stranger/{at}")).assert_status(404);
            http::send(&format!("METHOD{at}"), &format!("{}/connect/token", server.url), &[], None);
        }
        let metrics = server.get_admin("/metrics").body;
        assert!(!metrics.contains("stranger"), "{metrics}");
        assert!(!metrics.contains("METHOD1"), "{metrics}");
    }
}

mod changes {
    use super::*;

    const PROMISED: Duration = Duration::from_secs(1);

    #[test]
    fn what_a_command_changes_a_running_server_notices_within_a_second() {
        let data = data_directory();
        let mut soon = Promise::new(PROMISED);
        // Whoever asks every few milliseconds whether a key works already would be slowed down.
        let server = Server::start_with(data.path(), &["--throttle-failures=off"], &[]);
        let run = |args: &[&str]| brevet(data.path()).args(args).ok();
        let app = create_app(data.path());
        let sid = app.client_id.as_str();
        let token = server.token(&app);
        let whoami_is =
            |status: u16| move |server: &Server, token: &str| (server.whoami(token).status == status).then_some(());

        run(&["app", "disable", sid]);
        soon.wait("the token of a disabled app is refused", || whoami_is(401)(&server, &token));
        let refused = server.token_request(&[], &app.form()).assert_status(401);
        assert_eq!(refused.error(), "invalid_client");
        run(&["app", "enable", sid]);
        soon.wait("the app is back", || whoami_is(200)(&server, &token));

        run(&["org", "disable", "acme"]);
        soon.wait("the organisation is off", || whoami_is(401)(&server, &token));
        run(&["org", "enable", "acme"]);
        soon.wait("the organisation is back", || whoami_is(200)(&server, &token));

        let made = brevet(data.path()).args(&["app", "key", "rotate", sid, "--overlap=0s"]).json();
        let renewed = Credentials { secret: made["client_secret"].as_str().unwrap().to_owned(), ..app.clone() };
        soon.wait("the new key works", || (server.token_request(&[], &renewed.form()).status == 200).then_some(()));
        server.token_request(&[], &app.form()).assert_status(401);

        let rotated = brevet(data.path()).args(&["key", "rotate", "--now"]).json();
        // At once, but not before every node knows it.
        let signed_by = eventually(PATIENCE, "the new signing key signs", || {
            let (header, _) = decode_jwt(&server.token(&renewed));
            (header["kid"] == rotated["kid"]).then_some(header)
        });
        let published = server.get("/.well-known/jwks.json").json();
        assert!(published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == signed_by["kid"]));
        server.whoami(&token).assert_status(200);

        run(&["api", "scope", "remove", "https://billing.example", "billing:read"]);
        soon.wait("the scope is gone", || {
            let asked = format!("{}&scope=billing:read", renewed.form());
            (server.token_request(&[], &asked).status == 400).then_some(())
        });
        run(&["app", "delete", sid, "--yes"]);
        soon.wait("the app is gone", || whoami_is(401)(&server, &token));
        soon.assert_kept();
    }

    #[test]
    fn a_revoked_signing_key_kills_its_tokens_and_no_request_goes_without() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = Server::start(data.path());
        let mut soon = Promise::new(PROMISED);
        for _ in 0..3 {
            let token = server.token(&app);
            let (header, _) = decode_jwt(&token);
            let kid = header["kid"].as_str().unwrap();
            brevet(data.path()).args(&["key", "revoke", kid]).ok();
            soon.wait("the tokens of a revoked key are refused", || {
                let fresh = server.token(&app);
                let refused = server.whoami(&token).status == 401;
                // Whatever signs now must hold as well.
                (refused && server.whoami(&fresh).status == 200).then_some(())
            });
            let began_at = Instant::now();
            while began_at.elapsed() < Duration::from_secs(1) {
                server.whoami(&server.token(&app)).assert_status(200);
            }
            let published = server.get("/.well-known/jwks.json").json();
            assert!(published["keys"].as_array().unwrap().iter().all(|key| key["kid"] != kid));
        }
        soon.assert_kept();
    }

    #[test]
    fn counts_and_last_use_are_written_before_the_server_ends() {
        let data = data_directory();
        let app = create_app(data.path());
        let mut server = Server::start_with(data.path(), &["--shutdown-grace=1s"], &[]);
        server.token(&app);
        server.terminate();
        assert!(server.wait().success());
        let shown = brevet(data.path()).args(&["app", "show", &app.client_id]).json();
        assert_eq!(shown["issued_24h"], 1);
        assert_eq!(shown["keys"][0]["last_used_from"], "127.0.0.1");
        assert!(shown["last_used_at"].is_string());
    }
}

mod stop {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Asks again and again on one connection until the server says that it closes it, then on another, until nobody
    /// listens any more. Counts the answers that came. A request on a connection that the server kept open must be
    /// answered; only one on a new connection may be lost, to the moment in which the listener goes away.
    fn ask_until_nobody_listens(address: &str, answered: &AtomicUsize) {
        while let Ok(stream) = TcpStream::connect(address) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut wire = Wire(stream);
            for nth in 1.. {
                let sent = wire.0.write_all(get("/.well-known/jwks.json").as_bytes());
                let Some(answer) = sent.ok().and_then(|()| wire.answer()) else {
                    assert_eq!(nth, 1, "a kept connection was cut after {answered:?} answers");
                    eventually(Duration::from_millis(300), "the listener goes away", || {
                        TcpStream::connect(address).err()
                    });
                    return;
                };
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                answered.fetch_add(1, Ordering::SeqCst);
                if answer.to_lowercase().contains("\r\nconnection: close\r\n") {
                    assert_eq!(wire.read(), (String::new(), End::Closed));
                    break;
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn a_graceful_stop_says_so_first_finishes_what_began_and_resets_nobody() {
        /// After it says that it stops, a server with such a grace listens for so long.
        const NOTICE: Duration = Duration::from_secs(2);
        let data = data_directory();
        let app = create_app(data.path());
        let patient = ["--shutdown-grace=60s", "--request-timeout=60s"];
        let mut server = Server::start_with(data.path(), &patient, &[]);
        let answers: Vec<_> = (0..4).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let busy: Vec<_> = answers
            .iter()
            .map(|answered| {
                let (address, answered) = (server.address().to_owned(), answered.clone());
                thread::spawn(move || ask_until_nobody_listens(&address, &answered))
            })
            .collect();
        let mut idle = Wire::open(&server);
        idle.send(get("/.well-known/jwks.json")).answer().unwrap();
        let form = app.form();
        let (first, rest) = form.split_at(20);
        let mut under_way = Wire::open(&server);
        under_way.send(token_head(form.len())).send(first);
        eventually(PATIENCE, "everybody is busy", || {
            answers.iter().all(|answered| answered.load(Ordering::SeqCst) > 50).then_some(())
        });

        let began_at = Instant::now();
        server.terminate();
        eventually(PATIENCE, "/readyz says stopping", || {
            let answer = server.get_admin("/readyz");
            (answer.status == 503 && answer.json()["reason"] == "stopping").then_some(())
        });
        assert_eq!(server.get_admin("/livez").status, 200);
        let still = TcpStream::connect(server.address()).ok().and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Wire(stream).send(token_head(form.len())).send(&form).answer()
        });
        match still {
            Some(still) => {
                assert!(still.starts_with("HTTP/1.1 200 "), "{still}");
                assert!(still.to_lowercase().contains("\r\nconnection: close\r\n"), "{still}");
            }
            // A machine may be too busy to ask in time.
            None => assert!(began_at.elapsed() > NOTICE, "refused after {:?}", began_at.elapsed()),
        }

        // Then it does not listen any more, but what began may end.
        eventually(PATIENCE / 2, "the listener goes away", || TcpStream::connect(server.address()).err());
        let answer = under_way.send(rest).answer().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("access_token"), "{answer}");
        assert_eq!(under_way.read().1, End::Closed);
        assert_eq!(idle.read(), (String::new(), End::Closed));

        assert!(server.wait().success());
        assert!(began_at.elapsed() < Duration::from_secs(50), "it waited for nobody: {:?}", began_at.elapsed());
        busy.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(server.log().contains("stopping"), "{}", server.log());
    }

    #[test]
    fn a_second_signal_ends_at_once() {
        let data = data_directory();
        let hanging = ["--request-timeout=120s", "--shutdown-grace=120s"];
        let mut server = Server::start_with(data.path(), &hanging, &[]);
        let mut hanging = Wire::open(&server);
        hanging.send(token_head(100)).send("grant_type=");
        thread::sleep(Duration::from_millis(100));
        server.terminate();
        eventually(PATIENCE, "the stop begins", || server.log().contains("stopping").then_some(()));
        server.terminate();
        // Long before the request or the grace would end.
        assert_eq!(server.wait().code(), Some(130));
    }

    #[test]
    fn a_reader_of_the_log_who_is_stuck_does_not_keep_a_server_that_has_stopped() {
        let data = data_directory();
        let (stuck, stderr) = UnixStream::pair().unwrap();
        stderr.set_nonblocking(true).unwrap();
        while (&stderr).write(&[b'\n'; 4_096]).is_ok() {}
        stderr.set_nonblocking(false).unwrap();
        let stderr = Some(OwnedFd::from(stderr).into());
        let mut server = Server::start_logging_to(data.path(), &["--shutdown-grace=1s"], &[], stderr);
        server.get("/.well-known/jwks.json").assert_status(200);
        server.terminate();
        let ended = server.wait();
        assert!(ended.success(), "{ended}");
        drop(stuck);
    }

    #[test]
    fn a_signal_that_comes_while_the_server_starts_is_a_graceful_stop_as_well() {
        // Empty: there are keys to be made before the banner.
        let data = tempfile::tempdir().unwrap();
        let port = free_port();
        let listen = format!("--listen=127.0.0.1:{port}");
        let mut child = brevet(data.path())
            .args(&["serve", "--workers=1", "--admin-listen=off", "--shutdown-grace=1s", &listen])
            .spawn();
        eventually(PATIENCE, "the port takes connections", || TcpStream::connect(("127.0.0.1", port)).ok());
        terminate(child.id());
        let ended = eventually(PATIENCE, "the end of the server", || child.try_wait().unwrap());
        assert!(ended.success(), "{ended}");
    }

    #[test]
    fn requests_that_never_end_do_not_hold_up_the_stop_beyond_the_grace() {
        let data = data_directory();
        quickly(Duration::from_millis(3_500), "a stop", || {
            let mut server = Server::start_with(data.path(), &["--request-timeout=60s", "--shutdown-grace=3s"], &[]);
            let mut hanging = Wire::open(&server);
            hanging.send(token_head(100)).send("grant_type=");
            thread::sleep(Duration::from_millis(100));
            let (took, ended) = timed(|| {
                server.terminate();
                server.wait()
            });
            assert!(ended.success());
            assert!(took > Duration::from_secs(2), "{took:?}");
            (took, ())
        });
    }

    #[test]
    fn a_stopped_server_frees_its_port_for_the_next() {
        let data = data_directory();
        let mut server = Server::start_as_issuer(data.path(), &["--shutdown-grace=1s"]);
        let listen = format!("--listen={}", server.address());
        // A connection that the server closes lingers in the system's tables.
        let mut wire = Wire::open(&server);
        wire.send(get("/.well-known/jwks.json")).answer().unwrap();
        server.terminate();
        assert!(server.wait().success());
        Server::start_with(data.path(), &[&listen], &[]).get("/.well-known/jwks.json").assert_status(200);
    }
}

mod limits {
    use super::*;

    /// A server that waits a second for a head, and a second for a body.
    fn impatient(data: &std::path::Path) -> Server {
        Server::start_with(data, &["--request-timeout=1s"], &[])
    }

    /// Sends an octet every 100 ms until the server closes, for at most twelve seconds. Returns when it closed.
    fn drip(wire: &mut Wire, text: &str) -> Duration {
        let began_at = Instant::now();
        wire.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        for octet in text.bytes().cycle() {
            let sent = wire.0.write_all(&[octet]);
            let mut buffer = [0; 4_096];
            let ended = match wire.0.read(&mut buffer) {
                Ok(length) => length == 0,
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            };
            if sent.is_err() || ended {
                break;
            }
            assert!(began_at.elapsed() < Duration::from_secs(12), "never closed");
        }
        began_at.elapsed()
    }

    #[test]
    fn a_head_that_comes_an_octet_at_a_time_is_cut() {
        let data = data_directory();
        let server = impatient(data.path());
        let took = drip(&mut Wire::open(&server), "GET / HTTP/1.1 and so on");
        assert!(took < Duration::from_secs(9), "{took:?}");
    }

    #[test]
    fn a_later_head_that_comes_an_octet_at_a_time_is_cut() {
        let data = data_directory();
        let server = impatient(data.path());
        let mut wire = Wire::open(&server);
        wire.send(get("/.well-known/jwks.json")).answer().unwrap();
        let took = drip(&mut wire, "GET / HTTP/1.1 and so on");
        assert!(took < Duration::from_secs(9), "{took:?}");
    }

    #[test]
    fn a_peer_that_never_reads_is_cut() {
        let data = data_directory();
        let server = impatient(data.path());
        let mut wire = Wire::open(&server);
        // More answers than the buffers of both sides hold.
        let requests = get("/.well-known/jwks.json").repeat(100);
        wire.0.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let began_at = Instant::now();
        loop {
            match wire.0.write(requests.as_bytes()) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_closed) => break,
            }
            assert!(began_at.elapsed() < PATIENCE, "never closed");
        }
        server.get("/.well-known/jwks.json").assert_status(200);
    }

    #[test]
    fn a_body_that_comes_an_octet_at_a_time_is_cut_and_issues_nothing() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = impatient(data.path());
        let mut wire = Wire::open(&server);
        wire.send(token_head(app.form().len()));
        let took = drip(&mut wire, &app.form());
        assert!(took < Duration::from_secs(9), "{took:?}");
        assert_eq!(tokens_issued(&server), "0");
    }

    #[test]
    fn a_connection_that_says_nothing_is_closed() {
        let data = data_directory();
        let server = impatient(data.path());
        let (answer, end) = Wire::open(&server).read();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(end, End::Closed);
    }

    #[test]
    fn half_a_body_issues_nothing() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = impatient(data.path());
        let form = app.form();
        // All that is needed is there, but the client announced more and left.
        let mut leaving = Wire::open(&server);
        leaving.send(token_head(form.len() + 10)).send(&form);
        drop(leaving);
        // Or it stays and sends nothing more.
        let (answer, end) = Wire::open(&server).send(token_head(form.len() + 10)).send(&form).read();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(end, End::Closed);
        let chunked =
            format!("POST /connect/token HTTP/1.1\r\nHost: brevet\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n");
        let mut unfinished = Wire::open(&server);
        unfinished.send(chunked).send(format!("{:x}\r\n{form}\r\n", form.len()));
        drop(unfinished);
        assert_eq!(tokens_issued(&server), "0");
        server.token(&app);
        assert_eq!(tokens_issued(&server), "1");
    }

    #[test]
    fn two_hundred_stuck_peers_do_not_slow_the_others() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = Server::start(data.path());
        let stuck: Vec<Wire> = (0..200)
            .map(|at| {
                let mut wire = Wire::open(&server);
                wire.send(if at % 2 == 0 { "POST /connect/token HTT".to_owned() } else { token_head(1_000) });
                wire
            })
            .collect();
        quickly(Duration::from_secs(1), "a token", || timed(|| server.token(&app)));
        assert_eq!(stuck.len(), 200);
    }

    #[test]
    fn heads_and_bodies_that_are_too_large_are_refused() {
        let data = data_directory();
        let server = impatient(data.path());
        let large = "a".repeat(200_000);
        let heads = [
            get(&format!("/{large}")),
            format!("GET / HTTP/1.1\r\nHost: brevet\r\nX-Large: {large}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: brevet\r\n{}\r\n", "X-Many: a\r\n".repeat(3_000)),
        ];
        for head in heads {
            let (answer, end) = Wire::open(&server).send(&head).read();
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            assert!(["431", "414", "400", ""].contains(&status.as_str()), "{answer}");
            assert_ne!(end, End::Silent, "{}", &head[..40]);
        }
        let announced = Wire::open(&server).send(token_head(65_537)).read();
        assert!(announced.0.starts_with("HTTP/1.1 413 "), "{announced:?}");
        let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
        let chunked = format!(
            "POST /connect/token HTTP/1.1\r\nHost: brevet\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(5)
        );
        let grown = Wire::open(&server).send(chunked).read();
        assert!(grown.0.starts_with("HTTP/1.1 413 "), "{grown:?}");
        server.get("/.well-known/jwks.json").assert_status(200);
    }

    #[test]
    fn what_is_not_http_1_is_closed() {
        let data = data_directory();
        let server = impatient(data.path());
        let tls_hello = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 512]].concat();
        let strangers: [&[u8]; 6] = [
            &tls_hello,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            b"\x00\xff\x01garbage\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/3.0\r\nHost: brevet\r\n\r\n",
        ];
        for octets in strangers {
            let (answer, end) = Wire::open(&server).send(octets).read();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert_eq!(end, End::Closed, "{:?}", String::from_utf8_lossy(octets));
        }
        server.get("/.well-known/jwks.json").assert_status(200);
    }

    #[test]
    fn nothing_is_forwarded_and_no_protocol_is_switched() {
        let data = data_directory();
        let server = impatient(data.path());
        let ask = |request: &str| Wire::open(&server).send(request).read().0;
        let tunnel = ask("CONNECT 127.0.0.1:9090 HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n");
        assert!(tunnel.starts_with("HTTP/1.1 4"), "{tunnel}");
        let upgraded = ask(
            "GET /connect/authorize HTTP/1.1\r\nHost: brevet\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        assert!(upgraded.starts_with("HTTP/1.1 400 "), "the page's own answer: {upgraded}");
        let foreign = ask("GET http://example.com/nothing HTTP/1.1\r\nHost: example.com\r\n\r\n");
        assert!(foreign.starts_with("HTTP/1.1 404 "), "{foreign}");
    }

    /// Requests that two programs could read as different ones. Each must get one answer at most, no token, and an end.
    #[test]
    fn ambiguous_requests_get_400_and_never_two_answers() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = impatient(data.path());
        let form = app.form();
        let length = form.len();
        let chunks = format!("{length:x}\r\n{form}\r\n0\r\n\r\n");
        let hidden = get("/.well-known/jwks.json");
        let post = format!("POST /connect/token HTTP/1.1\r\nHost: brevet\r\n{FORM}");
        let with = |headers: &str, body: &str| format!("{post}{headers}\r\n{body}");
        let chunked = "Transfer-Encoding: chunked\r\n";
        let cases = [
            ("length and chunks", with(&format!("Content-Length: {}\r\n{chunked}", chunks.len()), &chunks)),
            (
                "length beyond the chunks",
                with(&format!("Content-Length: {}\r\n{chunked}", 5 + hidden.len()), &format!("0\r\n\r\n{hidden}")),
            ),
            (
                "chunks beyond the length",
                with(
                    &format!("{chunked}Content-Length: 4\r\n"),
                    &format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()),
                ),
            ),
            (
                "the same length twice",
                with(&format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), &form),
            ),
            ("two lengths", with(&format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()), &hidden)),
            ("a list of lengths", with(&format!("Content-Length: {length}, {length}\r\n"), &form)),
            ("a length with a sign", with(&format!("Content-Length: +{length}\r\n"), &form)),
            ("a negative length", with("Content-Length: -1\r\n", &form)),
            ("a length that overflows", with("Content-Length: 99999999999999999999\r\n", &form)),
            ("an unknown coding", with("Transfer-Encoding: xchunked\r\n", &chunks)),
            ("chunks not last", with("Transfer-Encoding: chunked, identity\r\n", &chunks)),
            ("two codings", with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", &chunks)),
            ("a hidden coding", with("Transfer-Encoding: \x0bchunked\r\n", &chunks)),
            ("space before the colon", with("Transfer-Encoding : chunked\r\n", &chunks)),
            ("a folded line", with(&format!("X-A: b\r\n c\r\nContent-Length: {length}\r\n"), &form)),
            ("NUL in a header", with(&format!("X-A: b\0c\r\nContent-Length: {length}\r\n"), &form)),
            ("CR in a header", with(&format!("X-A: b\rc\r\nContent-Length: {length}\r\n"), &form)),
            ("chunks in HTTP/1.0", with(chunked, &chunks).replacen("HTTP/1.1", "HTTP/1.0", 1)),
            ("a chunk size that overflows", with(chunked, &format!("fffffffffffffffff\r\n{form}"))),
            ("a negative chunk size", with(chunked, &format!("-1\r\n{form}"))),
            ("chunks with bare line feeds", with(chunked, &chunks.replace("\r\n", "\n"))),
            ("a chunk longer than it says", with(chunked, &format!("{length:x}\r\n{form}XX0\r\n\r\n"))),
            ("no host", "GET /.well-known/jwks.json HTTP/1.1\r\n\r\n".to_owned()),
            ("two hosts", "GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        ];
        for (name, request) in cases {
            let (answer, end) = Wire::open(&server).send(&request).read();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{name}: {answer}");
            assert_ne!(end, End::Silent, "{name}");
        }
        assert_eq!(tokens_issued(&server), "0");

        // Bare line feeds in a head may be taken for line ends (RFC 9112 §2.2), but it stays one request.
        let bare =
            with(&format!("Content-Length: {length}\r\nConnection: close\r\n"), "").replace("\r\n", "\n") + &form;
        let (answer, _) = Wire::open(&server).send(bare).read();
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
        // A body on a route that reads none is not taken for the next request.
        let unread = format!(
            "GET /.well-known/jwks.json HTTP/1.1\r\nHost: brevet\r\nContent-Length: {}\r\n\r\n{hidden}",
            hidden.len()
        );
        let (answer, _) = Wire::open(&server).send(unread).read();
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
        // Refused for its type before the body is read: the same.
        let refused = format!(
            "POST /connect/token HTTP/1.1\r\nHost: brevet\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{hidden}",
            hidden.len()
        );
        let (answer, _) = Wire::open(&server).send(refused).read();
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
    }
}

mod log {
    use super::*;

    /// The lines about requests, once there are `count` of them.
    fn request_lines(server: &Server, count: usize) -> Vec<String> {
        eventually(PATIENCE, "the log lines", || {
            let lines: Vec<String> =
                server.log().lines().filter(|line| line.contains("request_id")).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    #[test]
    fn each_request_has_one_json_line_with_the_id_of_its_answer() {
        let data = data_directory();
        let app = create_app(data.path());
        let server = Server::start_with(data.path(), &["--log-format=json"], &[]);
        let wrong = Credentials { secret: "wrong".to_owned(), ..app.clone() };
        let id = |answer: &http::Answer| answer.header("x-request-id").to_owned();
        let issued = server.token_request(&[("x-request-id", "of the client")], &app.form()).assert_status(200);
        let refused = server.token_request(&[], &wrong.form()).assert_status(401);
        let unguarded = server.get("/api/v1/whoami").assert_status(401);
        let lost = server.get("/nothing%0d%0a%1b[31m?injected=%0a").assert_status(404);
        assert_eq!(unguarded.json()["request_id"], id(&unguarded));

        let lines: Vec<Value> =
            request_lines(&server, 4).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4, "one line each");
        for (line, answer) in lines.iter().zip([&issued, &refused, &unguarded, &lost]) {
            assert_eq!(line["request_id"], id(answer));
            assert_eq!(line["status"], answer.status.as_u16());
            assert_eq!(line["address"], "127.0.0.1");
            assert!(line["duration_us"].is_u64(), "{line}");
            assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        }
        assert_eq!(lines[0]["route"], "/connect/token");
        assert_eq!(lines[0]["client_id"], app.client_id);
        assert_eq!(lines[1]["error"], "invalid_client");
        assert_eq!(lines[1]["detail"], "wrong secret");
        assert_eq!(lines[3]["route"], "(none)");
        let ids: std::collections::BTreeSet<_> = lines.iter().map(|line| line["request_id"].to_string()).collect();
        assert_eq!(ids.len(), 4, "every id is another");
        for line in server.log().lines() {
            let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(parsed["level"].is_string() && parsed["message"].is_string(), "{line}");
        }
    }

    #[test]
    fn text_lines_carry_the_same_and_no_colours() {
        let data = data_directory();
        let server = Server::start(data.path());
        let answer = server.get("/api/v1/whoami").assert_status(401);
        let lines = request_lines(&server, 1);
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert!(line.contains(" INFO "), "{line}");
        assert!(line.contains(&format!("request_id={}", answer.header("x-request-id"))), "{line}");
        assert!(line.contains("method=GET route=/api/v1/whoami status=401"), "{line}");
        assert!(!server.log().contains('\u{1b}') && !server.banner().contains('\u{1b}'));
    }

    #[test]
    fn the_log_setting_silences_requests() {
        let data = data_directory();
        let server = Server::start_with(data.path(), &[], &[("BREVET_LOG", "warn")]);
        server.get("/api/v1/whoami").assert_status(401);
        assert_eq!(server.log(), "");
    }
}
