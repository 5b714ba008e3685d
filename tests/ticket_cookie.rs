//! Tickets for old clients: in a cookie, and under the path that they have built in.

use brevet::oauth::{SigningAlgorithm, TokenProfile};
use brevet::service::accounts;
use brevet::service::trusted_issuers::{IssuerSettings, StandsFor};

use crate::support::http::{self, Answer};
use crate::third_party_table::{FOR_ALL_WAYS, Way};
use crate::trusted_issuers::{ISS, Stage, edited, settings};

const WHOAMI: &str = "/api/v1/whoami";
const VERIFY: &str = "/connect/verify?aud=https://billing.example";

crate::support::postgres::on_both_databases! { whatever_is_good_in_the_header_is_as_good_in_the_cookie }

fn stage(with: &[(&str, &str)]) -> Stage {
    let stage = Stage::with(with);
    stage.trust(settings(&stage.signer, StandsFor::Users));
    stage
}

fn ask(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> Answer {
    stage.app.post(path, headers, &format!("JwtToken={}", stage.jwt()))
}

fn ticket(stage: &Stage) -> String {
    ask(stage, "/server/jwt", &[]).assert_status(200).json()["ticket"].as_str().unwrap().to_owned()
}

fn cookie(ticket: &str) -> String {
    format!("FlexiCaptureTmpPrn={ticket}")
}

#[test]
fn a_ticket_is_good_in_the_header_and_in_the_cookie() {
    let stage = stage(&[("ticket-cookie", "true")]);
    let answer = ask(&stage, "/server/jwt", &[]).assert_status(200);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let expected = format!("FlexiCaptureTmpPrn={ticket}; HttpOnly; SameSite=Strict; Path=/; Max-Age=86400");
    assert_eq!(answer.header("set-cookie"), expected);
    stage.app.get_with_token(WHOAMI, &ticket).assert_status(200);
    let cookies = format!("theme=dark; {}; x=y", cookie(&ticket));
    for path in [WHOAMI, VERIFY] {
        let headers = [("cookie", cookies.as_str()), ("x-forwarded-method", "GET")];
        stage.app.get(path, &headers).assert_status(200);
    }
    let who = stage.app.get(WHOAMI, &[("cookie", &cookies)]).json();
    assert_eq!((&who["tenant"], &who["scope"]), (&"acme".into(), &"billing:read".into()));
    assert_eq!(who["sub"], "https://portal.example|alice");
    stage.app.revoke(&stage.client, &ticket);
    stage.app.clock.advance(std::time::Duration::from_secs(86_400));
    let refused = stage.app.get(WHOAMI, &[("cookie", &cookies)]).assert_status(401);
    assert_eq!(refused.error(), "invalid_token");
}

/// A person's, an app's, and whatever else is good as a bearer token; however it was got.
fn whatever_is_good_in_the_header_is_as_good_in_the_cookie(more: &[(&str, &str)]) {
    let stage = stage(&[more, &[("ticket-cookie", "true")], &FOR_ALL_WAYS].concat());
    let app = &stage.app;
    app.create_api_with("acme", "https://old.example", &["old:read"], TokenProfile::Classic, SigningAlgorithm::Es256);
    let classic = app.create_app(&["old:read"]);
    let builds = "https://builds.example";
    let for_the_app = settings(&stage.signer, StandsFor::App(stage.client.id()));
    let lasting = edited(for_the_app, |policy| policy.single_use = false);
    stage.trust(IssuerSettings { issuer: builds.to_owned(), ..lasting });
    let signed = |name: &str, value: &str| {
        let mut claims = stage.claims();
        claims[name] = value.into();
        stage.signer.sign(&claims)
    };
    let got = |way: Way, jwt: &str| {
        let answer = way.send(&app.url, jwt).assert_status(200).json();
        answer.get("ticket").unwrap_or(&answer["access_token"]).as_str().unwrap().to_owned()
    };
    let of_person = format!("{ISS}|alice");
    let (of_app, of_classic) = (stage.client.client_id.as_str(), classic.client_id.as_str());
    let tokens = [
        ("a person's ticket", got(Way::Ticket, &stage.jwt()), of_person.as_str()),
        ("a person's ticket for an old client", got(Way::OldTicket, &stage.jwt()), &of_person),
        ("a person's token", got(Way::Grant, &stage.jwt()), &of_person),
        ("an app's ticket", got(Way::Ticket, &signed("iss", builds)), of_app),
        ("a workload's token", got(Way::Assertion, &signed("iss", builds)), of_app),
        ("an app's token", app.token(&stage.client), of_app),
        ("a token of the classic profile", app.token(&classic), of_classic),
        ("the JWT itself", signed("iss", builds), of_app),
    ];
    for (what, token, about) in &tokens {
        let by_header = app.get_with_token(WHOAMI, token).assert_status(200).json();
        let by_cookie = app.get(WHOAMI, &[("cookie", &cookie(token))]).assert_status(200).json();
        assert_eq!(by_header, by_cookie, "{what}");
        assert_eq!(by_cookie["sub"], *about, "{what}");
    }
    // And as bad: one that its app revoked, and those of a person who may not come any more.
    let (_, revoked, _) = &tokens[5];
    app.revoke(&stage.client, revoked).assert_status(200);
    accounts::set_enabled(&app.management, "alice@acme.example", false).unwrap();
    app.catch_up();
    for (at, (what, token, _)) in tokens.iter().enumerate() {
        let expected = if at < 3 || at == 5 { 401 } else { 200 };
        assert_eq!(app.get(WHOAMI, &[("cookie", &cookie(token))]).status, expected, "{what}");
    }
}

#[test]
fn under_https_the_cookie_is_for_https_alone() {
    let stage = stage(&[("ticket-cookie", "true"), ("issuer", "https://id.example.com")]);
    let set = ask(&stage, "/server/jwt", &[]).assert_status(200).header("set-cookie").to_owned();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=86400"), "{set}");
}

#[test]
fn nothing_is_known_of_cookies_unless_the_operator_says_so() {
    let stage = stage(&[]);
    let answer = ask(&stage, "/server/jwt", &[]).assert_status(200);
    assert!(!answer.headers.contains_key("set-cookie"));
    let cookie = cookie(&ticket(&stage));
    let refused = stage.app.get(WHOAMI, &[("cookie", &cookie)]).assert_status(401);
    assert_eq!(refused.error(), "unauthorized");
    ask(&stage, "/FlexiCapture12/server/jwt", &[]).assert_status(404);
}

#[test]
fn old_clients_find_tickets_under_the_path_that_they_have_built_in() {
    let with = [("ticket-path-prefix", "/FlexiCapture12"), ("issuer", "https://id.example.com/auth")];
    let stage = stage(&with);
    for path in
        ["/FlexiCapture12/server/jwt", "/FlexiCapture12/Server/jwt?Tenant=acme", "/auth/FlexiCapture12/Server/jwt"]
    {
        let answer = ask(&stage, path, &[]).assert_status(200);
        assert_eq!(answer.header("authticket"), answer.json()["ticket"].as_str().unwrap(), "{path}");
    }
    let refused = stage.app.get("/FlexiCapture12/server/jwt", &[]).assert_status(405);
    assert_eq!(refused.header("allow"), "POST");
    ask(&stage, "/flexicapture12/server/jwt", &[]).assert_status(404);
}

#[test]
fn one_token_is_shown_and_it_looks_like_one() {
    let stage = stage(&[("ticket-cookie", "true")]);
    let ticket = ticket(&stage);
    let (cookie, bearer) = (cookie(&ticket), format!("Bearer {ticket}"));
    let two = format!("{cookie}; {cookie}");
    let cases: &[&[(&str, &str)]] = &[
        &[("cookie", &cookie), ("authorization", &bearer)],
        &[("cookie", &cookie), ("authorization", "Basic eDp5")],
        &[("cookie", &cookie), ("authorization", "")],
        &[("cookie", &two)],
        &[("cookie", &cookie), ("cookie", &cookie)],
        &[("cookie", "FlexiCaptureTmpPrn=")],
        &[("cookie", "FlexiCaptureTmpPrn=a%20b")],
        &[("cookie", "FlexiCaptureTmpPrn=\"\u{e9}\"")],
    ];
    for headers in cases {
        let refused = stage.app.get(WHOAMI, headers);
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_request".into()), "{headers:?}");
        // Proxies understand 401 and 403 alone.
        let headers = [headers, &[("x-forwarded-method", "GET")][..]].concat();
        assert_eq!(stage.app.get(VERIFY, &headers).status, 401, "{headers:?}");
    }
    let in_query = stage.app.get(&format!("{WHOAMI}?access_token=x"), &[("cookie", &cookie)]);
    assert_eq!(in_query.status, 400);
    assert_eq!(stage.app.get(WHOAMI, &[("cookie", "FlexiCaptureTmpPrn=x.y.z")]).status, 401);
    assert_eq!(stage.app.get(WHOAMI, &[("cookie", "flexicapturetmpprn=x; =; ;")]).error(), "unauthorized");
}

#[test]
fn what_a_page_of_another_site_may_have_asked_for_is_refused() {
    let with = [("ticket-cookie", "true"), ("issuer", "https://id.example.com/auth")];
    let stage = stage(&with);
    let cookie = cookie(&ticket(&stage));
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        http::send(method, &format!("{}{path}", stage.app.url), &headers, None)
    };
    // What the browser says, whether it is taken with POST here, and whether behind a proxy that says nothing.
    let table: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "")], false),
        (&[("sec-fetch-site", "same-origin, none")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
        (&[("origin", "https://id.example.com")], true),
        (&[("origin", "null")], false),
        (&[("origin", "http://id.example.com")], false),
        (&[("origin", "https://id.example.com.evil.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "https://id.example.com"), ("origin", "https://evil.example")], false),
        (&[("referer", "https://id.example.com/")], false),
    ];
    for (headers, is_taken) in table {
        for method in ["POST", "PATCH", "DELETE"] {
            let path =
                if method == "POST" { "/api/v1/apps" } else { "/api/v1/apps/3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e" };
            let answer = send(method, path, headers);
            // A ticket that is taken is for another API than this one.
            let expected = if *is_taken { (401, "invalid_token") } else { (403, "invalid_request") };
            assert_eq!((answer.status.as_u16(), answer.error().as_ref()), expected, "{method} {headers:?}");
        }
        let behind = |said: &[(&str, &str)]| send("GET", VERIFY, &[headers, said].concat()).status.as_u16();
        let when_changing = if *is_taken { 200 } else { 403 };
        for said in [&[][..], &[("x-forwarded-method", "POST")], &[("x-original-method", "get")]] {
            assert_eq!(behind(said), when_changing, "{headers:?} {said:?}");
        }
        let unclear = [("x-forwarded-method", "GET"), ("x-original-method", "DELETE")];
        assert_eq!(behind(&unclear), when_changing, "{headers:?}");
        let upgrade = [("x-forwarded-method", "GET"), ("upgrade", "websocket")];
        assert_eq!(behind(&upgrade), when_changing, "{headers:?}");
        let says_elsewhere = !is_taken && headers.iter().any(|(name, _)| *name == "sec-fetch-site");
        for said in [[("x-forwarded-method", "GET")], [("x-original-method", "HEAD")]] {
            assert_eq!(behind(&said), if says_elsewhere { 403 } else { 200 }, "{headers:?} {said:?}");
        }
        assert_eq!(send("GET", WHOAMI, headers).status, 200, "{headers:?}");
    }
    // In the header it is the page that sends the ticket, which only a page can that has it.
    let bearer = format!("Bearer {}", cookie.split_once('=').unwrap().1);
    let url = format!("{}/api/v1/apps", stage.app.url);
    let sent = http::send("POST", &url, &[("authorization", &bearer), ("sec-fetch-site", "cross-site")], None);
    assert_eq!(sent.error(), "invalid_token");
}

#[test]
fn a_page_of_another_site_signs_nobody_in() {
    let stage = stage(&[("ticket-cookie", "true"), ("issuer", "https://id.example.com")]);
    for (headers, is_set) in [
        (&[][..], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("origin", "https://id.example.com")], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
    ] {
        let answer = ask(&stage, "/server/jwt", headers).assert_status(200);
        assert_eq!(answer.headers.contains_key("set-cookie"), is_set, "{headers:?}");
    }
}

#[test]
fn no_page_of_another_host_opens_a_web_socket_or_fetches_behind_a_proxy() {
    let stage = stage(&[("ticket-cookie", "true"), ("issuer", "https://id.example.com")]);
    let cookie = cookie(&ticket(&stage));
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str()), ("x-original-method", "GET")], headers].concat();
        stage.app.get(path, &headers).status.as_u16()
    };
    let site = |site, mode, dest| [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
    // What is left of a WebSocket's first request behind a proxy that drops or blanks `Upgrade`.
    let left: &[&[(&str, &str)]] = &[
        &[("upgrade", "")],
        &[("upgrade", "websocket"), ("connection", "upgrade")],
        &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
        &[("sec-websocket-version", "13")],
        &[("sec-fetch-mode", "websocket")],
        &[("sec-websocket-version", "13"), ("origin", "https://chat.example.com")],
        &site("same-site", "websocket", "websocket"),
    ];
    for headers in left {
        assert_eq!((ask(VERIFY, headers), ask(WHOAMI, headers)), (403, 403), "{headers:?}");
        if headers.iter().all(|(name, _)| *name != "sec-fetch-site" && *name != "origin") {
            let ours = [headers, &[("sec-fetch-site", "same-origin")][..]].concat();
            assert_eq!((ask(VERIFY, &ours), ask(WHOAMI, &ours)), (200, 200), "{headers:?}");
        }
    }
    let table = [
        (site("same-origin", "cors", "empty"), 200),
        (site("none", "navigate", "document"), 200),
        (site("same-site", "navigate", "document"), 200),
        (site("cross-site", "navigate", "document"), 200),
        (site("same-site", "navigate", "iframe"), 403),
        (site("cross-site", "navigate", "iframe"), 403),
        (site("same-site", "cors", "empty"), 403),
        (site("same-site", "no-cors", "image"), 403),
        (site("cross-site", "no-cors", "script"), 403),
        (site("same-site", "", "document"), 403),
        (site("elsewhere", "cors", "empty"), 403),
    ];
    for (headers, expected) in table {
        assert_eq!(ask(VERIFY, &headers), expected, "{headers:?}");
        // Brevet itself changes nothing by GET, and shows nothing to other hosts.
        assert_eq!(ask(WHOAMI, &headers), 200, "{headers:?}");
    }
}
