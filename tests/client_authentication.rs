//! Client authentication by shared secret ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)):
//! how credentials may come, what is refused and how, and the life of App Keys.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use brevet::oauth::ClientId;
use brevet::secret::{is_generated_client_secret, sha256};
use brevet::service::{app_keys, apps, import, organisations};
use insta::assert_snapshot;

use crate::support::http::{self, Answer};
use crate::support::{Credentials, TestApp, new_app};

const GRANT: &str = "grant_type=client_credentials";
const CHALLENGE: &str = "Basic realm=\"brevet\", charset=\"UTF-8\"";
const HOUR: Duration = Duration::from_secs(3_600);

/// A server without a throttle, and an app.
fn server() -> (TestApp, Credentials) {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    let client = app.create_app(&["billing:read"]);
    (app, client)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Every octet as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").unwrap();
        all
    })
}

/// As a browser's form encodes it.
fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn by_header(app: &TestApp, authorization: &str) -> Answer {
    app.token_request(&[("authorization", authorization)], GRANT)
}

fn by_body(app: &TestApp, id: &str, secret: &str) -> Answer {
    let (id, secret) = (form_encoded(id), form_encoded(secret));
    app.token_request(&[], &format!("{GRANT}&client_id={id}&client_secret={secret}"))
}

/// Whether this key of the app works, both ways.
fn works(app: &TestApp, client: &Credentials, secret: &str) -> bool {
    let ways = [by_header(app, &basic(&client.client_id, secret)), by_body(app, &client.client_id, secret)];
    match ways.map(|answer| answer.status.as_u16()) {
        [200, 200] => true,
        [401, 401] => false,
        mixed => panic!("the two ways differ: {mixed:?}"),
    }
}

/// Status, error and challenge.
fn outcome(answer: &Answer) -> String {
    assert_eq!(answer.header("cache-control"), "no-store");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.is_empty() || challenge == CHALLENGE, "{challenge}");
    let error = if answer.status == 200 { String::new() } else { answer.error() };
    let challenged = if challenge.is_empty() { "" } else { " challenged" };
    format!("{} {error}{challenged}", answer.status.as_u16())
}

/// Imports an app with a secret from elsewhere.
fn import_app(app: &TestApp, secret: &str) -> Credentials {
    let client_id = ClientId::generate().to_string();
    let line = serde_json::json!({
        "name": "from elsewhere", "client_id": client_id, "client_secret": secret, "scopes": ["billing:read"],
    });
    let mut reported = Vec::new();
    import::import(&app.management, "acme", &mut line.to_string().as_bytes(), &mut |result| {
        reported.push(result.map_err(|rejected| rejected.reason).map(|imported| imported.client_id.to_string()));
    })
    .unwrap();
    assert_eq!(reported, [Ok(client_id.clone())]);
    app.catch_up();
    Credentials { client_id, secret: secret.to_owned() }
}

#[test]
fn header_and_body_each_work_in_every_spelling_that_the_rfcs_allow() {
    let (app, client) = server();
    let (id, secret) = (&*client.client_id, &*client.secret);
    let encoded = STANDARD.encode(format!("{id}:{secret}"));
    for (what, header) in [
        ("as most send it", format!("Basic {encoded}")),
        ("the scheme in lower case", format!("basic {encoded}")),
        ("the scheme in upper case", format!("BASIC {encoded}")),
        ("several spaces", format!("Basic    {encoded}")),
        ("every octet escaped", basic(&escaped(id), &escaped(secret))),
        ("lower-case escapes", basic(&escaped(id).to_lowercase(), &escaped(secret).to_lowercase())),
        ("only the id escaped", basic(&escaped(id), secret)),
        ("only the hyphens escaped", basic(&id.replace('-', "%2D"), secret)),
    ] {
        assert_eq!(outcome(&by_header(&app, &header)), "200 ", "{what}");
    }
    for (what, body) in [
        ("as most send it", client.form()),
        ("every octet escaped", format!("{GRANT}&client_id={}&client_secret={}", escaped(id), escaped(secret))),
        ("another order", format!("client_secret={secret}&{GRANT}&client_id={id}")),
    ] {
        assert_eq!(outcome(&app.token_request(&[], &body)), "200 ", "{what}");
    }
}

#[test]
fn an_imported_secret_works_whatever_characters_it_has() {
    let app = TestApp::new();
    for secret in ["s3cr3t", "a:b:c", "100%", "100%25", "a+b c", "päss wörd €", "&=?#/\\\"'<>", "%", "%zz:%41"] {
        let client = import_app(&app, secret);
        for (what, answer) in [
            ("in the body", by_body(&app, &client.client_id, secret)),
            ("form-encoded in Basic", by_header(&app, &basic(&client.client_id, &form_encoded(secret)))),
            ("as it is in Basic", by_header(&app, &basic(&client.client_id, secret))),
            ("a second time", by_body(&app, &client.client_id, secret)),
        ] {
            assert_eq!(outcome(&answer), "200 ", "{secret} {what}");
        }
        let wrong = by_body(&app, &client.client_id, &format!("{secret}x"));
        assert_eq!(outcome(&wrong), "401 invalid_client", "{secret}");
    }
}

#[test]
fn a_malformed_basic_header_is_refused_with_a_challenge() {
    let (app, client) = server();
    let (id, secret) = (&*client.client_id, &*client.secret);
    let whole = STANDARD.encode(format!("{id}:{secret}"));
    let (half, _) = whole.split_at(whole.len() / 2);
    for (what, header) in [
        ("only the scheme", "Basic".to_owned()),
        ("nothing encoded", "Basic ".to_owned()),
        ("an empty text", format!("Basic {}", STANDARD.encode(""))),
        ("no colon", format!("Basic {}", STANDARD.encode(id))),
        ("only a colon", basic("", "")),
        ("no id", basic("", secret)),
        ("no secret", basic(id, "")),
        ("not encoded", format!("Basic {id}:{secret}")),
        ("not base64", "Basic !!!!".to_owned()),
        ("half of it", format!("Basic {half}")),
        ("a space inside", format!("Basic {half} {half}")),
        ("quotes", format!("Basic \"{whole}\"")),
        ("twice in a list", format!("Basic {whole}, Basic {whole}")),
        ("as a parameter", format!("Basic realm=\"brevet\" {whole}")),
        ("a NUL in the id", basic(&format!("{id}%00"), secret)),
        ("a NUL in the secret", basic(id, &format!("{secret}%00"))),
        ("a raw NUL", basic(id, &format!("{secret}\0"))),
        ("a line break", basic(id, &format!("{secret}\r\n"))),
        ("a bad escape in the id", basic(&format!("{id}%"), secret)),
        ("not UTF-8", format!("Basic {}", STANDARD.encode(b"\xff\xfe:\xff"))),
        ("7 kB", basic(id, &"x".repeat(5_000))),
    ] {
        assert_eq!(outcome(&by_header(&app, &header)), "401 invalid_client challenged", "{what}");
    }
    for (what, octets) in [("control octets", &b"Basic \x01\x02\x03"[..]), ("octets above ASCII", b"Basic \xff\xfe")] {
        let head = "POST /connect/token HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\nContent-Length: 29\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nAuthorization: ";
        let request = [head.as_bytes(), octets, b"\r\n\r\n", GRANT.as_bytes()].concat();
        let answer = http::raw(app.address(), &request);
        assert!(answer.starts_with("HTTP/1.1 40"), "{what}: {answer}");
        assert!(!answer.contains("access_token"), "{what}: {answer}");
    }
}

#[test]
fn another_scheme_and_several_headers_authenticate_nobody() {
    let (app, client) = server();
    let good = client.basic();
    let (_, encoded) = good.split_at(6);
    for header in [
        format!("Bearer {}", client.secret),
        format!("Bearer {encoded}"),
        format!("Digest username=\"{}\"", client.client_id),
        format!("Negotiate {encoded}"),
        format!("BasicX {encoded}"),
        format!("Bas {encoded}"),
        encoded.to_owned(),
        "x".to_owned(),
    ] {
        assert_eq!(outcome(&by_header(&app, &header)), "401 invalid_client", "{header}");
    }
    let two = app.token_request(&[("authorization", &good), ("authorization", &good)], GRANT);
    assert_eq!(two.status, 401);
    assert_eq!(two.error(), "invalid_client");
}

#[test]
fn what_is_almost_the_secret_is_not_the_secret() {
    let (app, client) = server();
    let other = app.create_app(&["billing:read"]);
    let secret = &*client.secret;
    let (body, checksum) = secret.split_at(47);
    let swapped: String = secret
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let other_last = if secret.ends_with('0') { '1' } else { '0' };
    let changed = |at: usize| {
        let mut octets = secret.as_bytes().to_vec();
        octets[at] = if octets[at] == b'x' { b'y' } else { b'x' };
        String::from_utf8(octets).unwrap()
    };
    let digest: String = sha256(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = stored_hash(&app, &client);
    for (what, given) in [
        ("another app's", other.secret.clone()),
        ("the last character cut", secret[..52].to_owned()),
        ("the first character cut", secret[1..].to_owned()),
        ("without its prefix", secret[4..].to_owned()),
        ("without its checksum", body.to_owned()),
        ("only the checksum", checksum.to_owned()),
        ("only the prefix", "bvk_".to_owned()),
        ("in upper case", secret.to_uppercase()),
        ("in lower case", secret.to_lowercase()),
        ("cases swapped", swapped),
        ("the first character other", changed(0)),
        ("a character in the middle other", changed(25)),
        ("the last character other", format!("{}{other_last}", &secret[..52])),
        ("backwards", secret.chars().rev().collect()),
        ("twice", secret.repeat(2)),
        ("a space before", format!(" {secret}")),
        ("a space after", format!("{secret} ")),
        ("a zero-width space after", format!("{secret}\u{200b}")),
        ("a letter after", format!("{secret}a")),
        ("in quotes", format!("\"{secret}\"")),
        ("escaped twice", escaped(&escaped(secret))),
        ("in base64", STANDARD.encode(secret)),
        ("its digest", digest),
        ("what the database holds", hash.clone()),
        ("the hash alone", hash.trim_start_matches("hmac-sha256:").to_owned()),
        ("the id", client.client_id.clone()),
        ("id and secret", format!("{}:{secret}", client.client_id)),
        ("a hash for PHC", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned()),
        ("null", "null".to_owned()),
        ("undefined", "undefined".to_owned()),
        ("true", "true".to_owned()),
        ("a star", "*".to_owned()),
        ("a percent sign", "%".to_owned()),
        ("SQL", "' OR '1'='1".to_owned()),
        ("JSON", "{\"$ne\":null}".to_owned()),
    ] {
        assert_eq!(outcome(&by_body(&app, &client.client_id, &given)), "401 invalid_client", "{what}");
        let header = by_header(&app, &basic(&client.client_id, &form_encoded(&given)));
        assert_eq!(outcome(&header), "401 invalid_client challenged", "{what}");
    }
    assert!(works(&app, &client, secret));
}

/// What the database holds in the place of the app's key.
fn stored_hash(app: &TestApp, client: &Credentials) -> String {
    let found = actix_web::rt::System::new().block_on(app.authority.directory.find_client(client.id()));
    found.unwrap().unwrap().secrets[0].stored.to_text()
}

#[test]
fn an_unknown_id_and_a_wrong_secret_get_the_same_answer() {
    let (app, client) = server();
    let id = &*client.client_id;
    let wrong_secret = by_body(&app, id, "wrong");
    assert_snapshot!(wrong_secret.body, @r#"{"error":"invalid_client","error_description":"Client authentication failed.","error_uri":"http://127.0.0.1:8080/docs/errors#invalid_client"}"#);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
    let wrong_in_header = by_header(&app, &basic(id, "wrong"));
    let unknown = ClientId::generate().to_string();
    for (what, id) in [
        ("unknown", unknown.clone()),
        ("in upper case", id.to_uppercase()),
        ("a space after", format!("{id} ")),
        ("a slash after", format!("{id}/")),
        ("a zero-width space after", format!("{id}\u{200b}")),
        ("without hyphens", id.replace('-', "")),
        ("in braces", format!("{{{id}}}")),
        ("as a URN", format!("urn:uuid:{id}")),
        ("the nil UUID", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("the app's name", "robot".to_owned()),
        ("the organisation", "acme".to_owned()),
        ("SQL", "' OR 1=1 --".to_owned()),
        ("JSON", "{\"$gt\":\"\"}".to_owned()),
        ("a template", "{{7*7}}".to_owned()),
        ("a path", "../../../etc/passwd".to_owned()),
        ("a URL", "http://127.0.0.1:1/".to_owned()),
        ("LDAP", "*)(uid=*))(|(uid=*".to_owned()),
        ("letters beyond ASCII", "ᴀpp-ＳＩＤ".to_owned()),
        ("5 kB", "x".repeat(5_000)),
    ] {
        for secret in [&*client.secret, "wrong"] {
            let answer = by_body(&app, &id, secret);
            assert_eq!(answer.body, wrong_secret.body, "{what}");
            assert_eq!((answer.status, names(&answer)), (wrong_secret.status, names(&wrong_secret)), "{what}");
            let answer = by_header(&app, &basic(&form_encoded(&id), secret));
            assert_eq!(answer.body, wrong_in_header.body, "{what}");
            assert_eq!((answer.status, names(&answer)), (wrong_in_header.status, names(&wrong_in_header)), "{what}");
        }
    }
}

#[test]
fn half_of_the_credentials_is_none() {
    let (app, client) = server();
    let (id, secret) = (&client.client_id, &client.secret);
    for (what, body) in [
        ("nothing", String::new()),
        ("only the id", format!("client_id={id}")),
        ("only the secret", format!("client_secret={secret}")),
        ("an empty secret", format!("client_id={id}&client_secret=")),
        ("an empty id", format!("client_id=&client_secret={secret}")),
        ("both empty", "client_id=&client_secret=".to_owned()),
        ("other names", format!("clientId={id}&clientSecret={secret}")),
        ("names in upper case", format!("CLIENT_ID={id}&CLIENT_SECRET={secret}")),
        ("names of a login form", format!("username={id}&password={secret}")),
        ("in an array", format!("client_id[]={id}&client_secret[]={secret}")),
        ("an assertion", format!("client_id={id}&client_assertion=a.b.c")),
    ] {
        let answer = app.token_request(&[], &format!("{GRANT}&{body}"));
        assert_eq!(outcome(&answer), "401 invalid_client", "{what}");
    }
}

#[test]
fn two_ways_at_once_are_refused_whichever_is_good() {
    let (app, client) = server();
    let other = app.create_app(&["billing:read"]);
    let (id, secret) = (&*client.client_id, &*client.secret);
    let (good, bad) = (client.basic(), basic(id, "wrong"));
    let both = format!("client_id={id}&client_secret={secret}");
    let unsigned = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&\
                    client_assertion=eyJhbGciOiJub25lIn0.e30.";
    for (what, header, body, expected) in [
        ("both good", Some(&good), both.clone(), "400 invalid_request"),
        (
            "a good header, a bad body",
            Some(&good),
            format!("client_id={id}&client_secret=wrong"),
            "400 invalid_request",
        ),
        ("a bad header, a good body", Some(&bad), both.clone(), "400 invalid_request"),
        (
            "a good header, a secret without an id",
            Some(&good),
            format!("client_secret={secret}"),
            "400 invalid_request",
        ),
        ("another app's id in the body", Some(&good), format!("client_id={}", other.client_id), "400 invalid_request"),
        (
            "the id in other case in the body",
            Some(&good),
            format!("client_id={}", id.to_uppercase()),
            "400 invalid_request",
        ),
        ("an unsigned assertion and a good header", Some(&good), unsigned.to_owned(), "400 invalid_request"),
        ("an unsigned assertion and a good body", None, format!("{both}&{unsigned}"), "400 invalid_request"),
        ("only an unsigned assertion", None, unsigned.to_owned(), "401 invalid_client"),
        ("the same id in the body is not a second way", Some(&good), format!("client_id={id}"), "200 "),
        ("an empty secret in the body neither", Some(&good), format!("client_id={id}&client_secret="), "200 "),
    ] {
        let headers: Vec<_> = header.map(|value| ("authorization", value.as_str())).into_iter().collect();
        let answer = app.token_request(&headers, &format!("{GRANT}&{body}"));
        assert_eq!(outcome(&answer), expected, "{what}");
    }
}

#[test]
fn headers_that_a_proxy_or_browser_might_add_authenticate_nobody() {
    let (app, client) = server();
    let good = client.basic();
    for (name, value) in [
        ("x-client-cert", "-----BEGIN CERTIFICATE-----"),
        ("x-forwarded-client-cert", "Subject=\"CN=robot\""),
        ("ssl-client-verify", "SUCCESS"),
        ("x-ssl-client-s-dn", "CN=robot"),
        ("x-user", "root"),
        ("x-forwarded-user", "root"),
        ("remote-user", "root"),
        ("x-api-key", &*client.secret),
        ("x-authorization", &*good),
        ("proxy-authorization", &*good),
        ("x-original-authorization", &*good),
        ("cookie", &*format!("client_id={}; client_secret={}", client.client_id, client.secret)),
    ] {
        let body = format!("{GRANT}&client_id={}", client.client_id);
        let answer = app.token_request(&[(name, value)], &body);
        assert_eq!(outcome(&answer), "401 invalid_client", "{name}");
    }
}

#[test]
fn both_keys_work_during_a_rotation_and_the_old_one_ends_at_its_second() {
    let (app, client) = server();
    let new = app_keys::rotate(&app.management, client.id(), HOUR, None).unwrap();
    app.catch_up();
    let new = new.client_secret.reveal();
    app.clock.advance(HOUR - Duration::from_secs(1));
    assert!(works(&app, &client, &client.secret), "a second before its end");
    assert!(works(&app, &client, new));
    app.clock.advance(Duration::from_secs(1));
    assert!(!works(&app, &client, &client.secret), "at its end");
    assert!(works(&app, &client, new));
    app.clock.advance(HOUR * 24 * 365);
    assert!(works(&app, &client, new), "the new one has no end");
}

#[test]
fn a_rotation_without_overlap_ends_the_old_key_at_once() {
    let (app, client) = server();
    let new = app_keys::rotate(&app.management, client.id(), Duration::ZERO, None).unwrap();
    app.catch_up();
    assert!(!works(&app, &client, &client.secret));
    assert!(works(&app, &client, new.client_secret.reveal()));
}

#[test]
fn a_second_rotation_during_the_overlap_ends_the_oldest_key_at_once() {
    let (app, client) = server();
    let rotate = || app_keys::rotate(&app.management, client.id(), HOUR, None).unwrap().client_secret;
    let (second, third) = (rotate(), rotate());
    app.catch_up();
    assert!(!works(&app, &client, &client.secret), "the oldest");
    assert!(works(&app, &client, second.reveal()), "the one before");
    assert!(works(&app, &client, third.reveal()), "the newest");
    app.clock.advance(HOUR);
    assert!(!works(&app, &client, second.reveal()));
    assert!(works(&app, &client, third.reveal()));
}

#[test]
fn parallel_rotations_leave_one_key_without_an_end() {
    let (app, client) = server();
    let made: Vec<String> = thread::scope(|scope| {
        let rotate = || app_keys::rotate(&app.management, client.id(), HOUR, None).unwrap();
        let rotating: Vec<_> = (0..4).map(|_| scope.spawn(rotate)).collect();
        rotating.into_iter().map(|made| made.join().unwrap().client_secret.reveal().to_owned()).collect()
    });
    app.catch_up();
    let count = |secrets: &[String]| secrets.iter().filter(|secret| works(&app, &client, secret)).count();
    assert_eq!(count(&made), 2, "the newest and the one before");
    assert!(!works(&app, &client, &client.secret));
    app.clock.advance(HOUR);
    assert_eq!(count(&made), 1);
    let target = client.client_id.clone();
    let deeds = app.management.database().read(|conn| brevet::db::audit::list_actions(conn, &target)).unwrap();
    let deeds: Vec<&str> = deeds.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(deeds, ["app.create", "app.key.rotate", "app.key.rotate", "app.key.rotate", "app.key.rotate"]);
}

#[test]
fn a_key_past_its_expiry_is_refused_to_the_second() {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    let mut new = new_app(&["billing:read"]);
    new.key_expires_in = Some(HOUR);
    let client = app.create_app_with("acme", new);
    app.clock.advance(HOUR - Duration::from_secs(1));
    assert!(works(&app, &client, &client.secret));
    app.clock.advance(Duration::from_secs(1));
    assert!(!works(&app, &client, &client.secret));
    let added = app_keys::add(&app.management, client.id(), Some(HOUR)).unwrap();
    app.catch_up();
    assert!(works(&app, &client, added.client_secret.reveal()));
    assert!(!works(&app, &client, &client.secret), "a new key does not revive the old one");
}

#[test]
fn a_revoked_key_is_refused_and_the_other_one_works_on() {
    let (app, client) = server();
    let added = app_keys::add(&app.management, client.id(), None).unwrap();
    let first = app_keys::list(&app.management, client.id()).unwrap()[0].id;
    app_keys::revoke(&app.management, client.id(), first).unwrap();
    app.catch_up();
    assert!(!works(&app, &client, &client.secret));
    assert!(works(&app, &client, added.client_secret.reveal()));
}

#[test]
fn an_app_that_is_disabled_deleted_or_whose_organisation_is_disabled_is_refused_like_a_wrong_secret() {
    let (app, client) = server();
    let refused = by_body(&app, &client.client_id, "wrong").body;
    let now = |expected: u16, what: &str| {
        app.catch_up();
        let answer = by_body(&app, &client.client_id, &client.secret);
        assert_eq!(answer.status.as_u16(), expected, "{what}");
        assert!(expected == 200 || answer.body == refused, "{what}: {}", answer.body);
    };
    now(200, "before");
    apps::set_enabled(&app.management, client.id(), false).unwrap();
    now(401, "the app disabled");
    apps::set_enabled(&app.management, client.id(), true).unwrap();
    now(200, "the app enabled");
    organisations::set_enabled(&app.management, "acme", false).unwrap();
    now(401, "the organisation disabled");
    organisations::set_enabled(&app.management, "acme", true).unwrap();
    now(200, "the organisation enabled");
    apps::delete(&app.management, client.id()).unwrap();
    now(401, "the app deleted");
}

#[test]
fn the_eleventh_wrong_key_in_a_minute_is_told_to_wait_and_nobody_else_is() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read"]);
    let other = app.create_app(&["billing:read"]);
    for attempt in 1..=10 {
        let answer = by_body(&app, &client.client_id, "wrong");
        assert_eq!(outcome(&answer), "401 invalid_client", "attempt {attempt}");
    }
    app.clock.advance(Duration::from_secs(20));
    for (what, answer) in [
        ("a wrong key", by_body(&app, &client.client_id, "wrong")),
        ("the right key", by_body(&app, &client.client_id, &client.secret)),
        ("the right key in the header", by_header(&app, &client.basic())),
        (
            "from an address that the client made up",
            app.token_request(&[("x-forwarded-for", "192.0.2.1")], &client.form()),
        ),
    ] {
        assert_eq!(outcome(&answer), "429 temporarily_unavailable", "{what}");
        assert_eq!(answer.header("retry-after"), "40", "{what}");
    }
    app.token(&other);
    app.clock.advance(Duration::from_secs(40));
    app.token(&client);
}

#[test]
fn failures_are_counted_for_the_address_that_a_trusted_proxy_names() {
    let app = TestApp::with(&[("trusted-proxies", "127.0.0.0/8"), ("throttle-failures", "2/min")]);
    let client = app.create_app(&["billing:read"]);
    let from = |address: &str, body: &str| app.token_request(&[("x-forwarded-for", address)], body).status.as_u16();
    let wrong = client.form().replace(&client.secret, "wrong");
    assert_eq!(from("192.0.2.1", &wrong), 401);
    assert_eq!(from("198.51.100.9, 192.0.2.1", &wrong), 401, "what stands left of it counts for nothing");
    assert_eq!(from("192.0.2.1", &client.form()), 429);
    assert_eq!(from("192.0.2.2", &client.form()), 200, "the owner, from elsewhere");
}

#[test]
fn an_unknown_id_is_slowed_down_as_a_known_one_is() {
    let app = TestApp::with(&[("throttle-failures", "2/min")]);
    let unknown = ClientId::generate().to_string();
    let statuses: Vec<u16> = (0..3).map(|_| by_body(&app, &unknown, "wrong").status.as_u16()).collect();
    assert_eq!(statuses, [401, 401, 429]);
}

#[test]
fn a_throttle_that_is_off_slows_nobody_down() {
    let (app, client) = server();
    for _ in 0..30 {
        assert_eq!(by_body(&app, &client.client_id, "wrong").status, 401);
    }
    app.token(&client);
}

#[test]
fn an_app_key_is_strong_never_repeated_and_never_shown_again() {
    let (app, client) = server();
    app.create_app(&["apps:read"]);
    let reader = app.create_app(&["apps:read"]);
    let keys: BTreeSet<String> = (0..20).map(|_| app.create_app(&[]).secret).collect();
    assert_eq!(keys.len(), 20);
    for key in &keys {
        assert!(is_generated_client_secret(key) && key.len() == 53, "{key}");
        assert_eq!(form_encoded(key), *key, "no character that a form would change");
    }
    let token = app.token(&reader);
    for path in ["/api/v1/apps?limit=100", &format!("/api/v1/apps/{}", client.client_id), "/api/v1/whoami"] {
        let answer = app.get_with_token(path, &token).assert_status(200);
        let shown = keys.iter().chain([&client.secret, &reader.secret]).any(|key| answer.body.contains(&key[4..47]));
        assert!(!shown && !answer.body.contains("hmac-sha256"), "{path}: {}", answer.body);
    }
}
