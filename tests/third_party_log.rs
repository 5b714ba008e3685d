//! What the log says of a third party's JWT: which entry it came to, and whom it is about, but nothing that is not signed.

use std::path::Path;
use std::time::Duration;

use brevet::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::process::{Server, brevet, create_app, data_directory, eventually};
use crate::support::signer::Signer;
use crate::third_party_table::Way;
use crate::trusted_issuers::AUD;

const PEOPLE: &str = "https://portal.example";
const WORKLOADS: &str = "https://ci.example";

/// Trusts an issuer with that key; gives the entry's id.
fn trust(data: &Path, issuer: &str, signer: &Signer, whom: &[&str]) -> Value {
    let jwks = data.join("issuer.json");
    std::fs::write(&jwks, signer.jwks()).unwrap();
    let added = brevet(data)
        .args(&["issuer", "add", "--org=acme", "--name=Issuer", "--issuer", issuer, "--audience", AUD])
        .args(&["--accept-directly", "--single-use", "--jwks", jwks.to_str().unwrap()])
        .args(whom)
        .json();
    added["id"].clone()
}

fn claims(issuer: &str, subject: &str) -> Value {
    let now = SystemClock.now().seconds();
    let jti = uuid::Uuid::new_v4().to_string();
    json!({ "iss": issuer, "sub": subject, "aud": AUD, "exp": now + 300, "iat": now, "jti": jti })
}

fn expired(mut claims: Value) -> Value {
    claims["exp"] = json!(SystemClock.now().seconds() - 3_600);
    claims
}

/// The line about a request.
fn line(server: &Server, answer: &Answer) -> String {
    let id = answer.header("x-request-id");
    eventually(Duration::from_secs(30), "the log line", || {
        server.log().lines().find(|line| line.contains(id)).map(str::to_owned)
    })
}

#[test]
fn a_jwt_is_logged_with_its_entry_and_once_it_is_signed_with_whom_it_is_about() {
    let data = data_directory();
    let app = create_app(data.path()).client_id;
    brevet(data.path())
        .args(&["user", "create", "--org=acme", "--email=alice@acme.example", "--login=alice", "--role=viewer"])
        .args(&["--no-password"])
        .ok();
    let (signer, stranger) = (Signer::p256("k"), Signer::p256("k"));
    let users = trust(data.path(), PEOPLE, &signer, &["--users", "--scope=billing:read"]);
    let workload = trust(data.path(), WORKLOADS, &signer, &["--app", &app, "--subject=ci"]);
    let server = Server::start_with(data.path(), &["--log-format=json", "--throttle-failures=off"], &[]);

    let (of_user, of_workload) = (|| claims(PEOPLE, "alice"), || claims(WORKLOADS, "ci"));
    let used = signer.sign(&of_user());
    Way::Ticket.send(&server.url, &used).assert_status(200);
    let no_entry = || json!([null, null, null]);
    let unsigned = |entry: &Value| json!([entry, null, null]);
    let of_alice = || json!([users, users, "alice"]);
    let of_app = || json!([workload, app, null]);
    for (what, way, jwt, expected) in [
        ("a ticket", Way::Ticket, signer.sign(&of_user()), of_alice()),
        ("a token of a user", Way::Grant, signer.sign(&of_user()), of_alice()),
        ("a token of a workload", Way::Assertion, signer.sign(&of_workload()), of_app()),
        ("used before", Way::Ticket, used.clone(), of_alice()),
        ("used before, as a token", Way::Bearer, used, of_alice()),
        ("expired", Way::Ticket, signer.sign(&expired(of_user())), of_alice()),
        ("expired, as a token", Way::Bearer, signer.sign(&expired(of_user())), of_alice()),
        ("expired, of a workload", Way::Grant, signer.sign(&expired(of_workload())), of_app()),
        ("expired, as an assertion", Way::Assertion, signer.sign(&expired(of_workload())), of_app()),
        ("a user who is not here", Way::Grant, signer.sign(&claims(PEOPLE, "bob")), json!([users, users, "bob"])),
        ("another workload", Way::Assertion, signer.sign(&claims(WORKLOADS, "other")), of_app()),
        ("a forged ticket", Way::Ticket, stranger.sign(&of_user()), unsigned(&users)),
        ("a forged token", Way::Bearer, stranger.sign(&of_user()), unsigned(&users)),
        ("a forged assertion", Way::Assertion, stranger.sign(&of_workload()), unsigned(&workload)),
        ("nobody's issuer", Way::Ticket, signer.sign(&claims("https://other.example", "alice")), no_entry()),
        ("no JWT", Way::Ticket, "x.y.z".to_owned(), no_entry()),
    ] {
        let answer = way.send(&server.url, &jwt);
        let line: Value = serde_json::from_str(&line(&server, &answer)).unwrap();
        let logged = json!([line["trusted_issuer"], line["client_id"], line["login"]]);
        assert_eq!(logged, expected, "{what}: {line}");
        assert_eq!(line["status"] == 200, line["detail"].is_null(), "{what}: {line}");
    }
    // It is good, but nothing can be issued for it.
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&scope=other&assertion={}",
        signer.sign(&of_user())
    );
    let answer = server.token_request(&[], &form).assert_status(400);
    let line: Value = serde_json::from_str(&line(&server, &answer)).unwrap();
    assert_eq!(json!([line["error"], line["trusted_issuer"], line["login"]]), json!(["invalid_scope", users, "alice"]));
}

#[test]
fn a_login_cannot_pass_for_other_fields_of_its_line() {
    let data = data_directory();
    let signer = Signer::p256("k");
    trust(data.path(), PEOPLE, &signer, &["--users", "--scope=billing:read"]);
    let server = Server::start(data.path());
    let answer = Way::Ticket.send(&server.url, &signer.sign(&claims(PEOPLE, "eve\" error=none \u{202e}")));
    let of_eve = line(&server, &answer.assert_status(401));
    assert!(of_eve.contains(r#" login="eve\" error=none \u{202e}" error=invalid_grant "#), "{of_eve}");
    let answer = Way::Ticket.send(&server.url, &signer.sign(&claims(PEOPLE, "eve\nerror=none")));
    let of_eve = line(&server, &answer.assert_status(401));
    assert!(!of_eve.contains("login=") && of_eve.contains("is no plain text"), "{of_eve}");
}
