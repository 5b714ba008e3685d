//! Every road to the slow hash has its bound, also for those whose password is right.

use std::time::Duration;

use brevet::db::audit;
use brevet::db::developers::Role;
use brevet::service::{organisations, people, resets, setup, team};

use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::smtp::MailServer;
use crate::support::{PASSWORD, TestApp};

const ANA: &str = "ana@acme.example";
const ISSUER: &str = "http://127.0.0.1:8080";
const MINUTE: Duration = Duration::from_secs(60);
const WEAK: &str = "password1234";

/// Behind a proxy that names the address of who comes.
fn behind_proxy(settings: &[(&str, &str)]) -> TestApp {
    let app =
        TestApp::with(&[&[("trusted-proxies", "127.0.0.0/8"), ("throttle-sign-ins", "1/min")], settings].concat());
    app.create_person("acme", ANA, Role::Owner);
    app
}

/// Sends the form at `path` from that address.
fn post(browser: &Browser, path: &str, address: &str, fields: &[(&str, &str)]) -> Answer {
    let page = browser.get(path).assert_status(200);
    let (target, _, body) = page.filled_form(path, fields);
    browser.send("POST", &target, &[("x-forwarded-for", address)], Some(&body))
}

fn statuses(times: usize, mut once: impl FnMut(usize) -> Answer) -> Vec<u16> {
    (0..times).map(|n| once(n).status.as_u16()).collect()
}

#[test]
fn who_signs_in_again_and_again_waits_at_home_too() {
    let app = behind_proxy(&[]);
    let sign_in = |address: &str| post(&app.browser(), "/login", address, &[("email", ANA), ("password", PASSWORD)]);
    for (round, address) in ["192.0.2.1", "192.0.2.1", "198.51.100.7"].into_iter().enumerate() {
        assert_eq!(statuses(3, |_| sign_in(address)), [303, 303, 303], "{round}");
        let answer = sign_in(address);
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"), "{round}");
        assert!(answer.body.contains("There were too many attempts. Wait 60 seconds"), "{}", answer.body);
        if round == 0 {
            app.clock.advance(MINUTE);
        }
    }
}

#[test]
fn proofs_for_what_cannot_be_undone_are_bounded_too() {
    let app = behind_proxy(&[]);
    let browsers: Vec<Browser> = (0..4)
        .map(|_| {
            app.clock.advance(MINUTE);
            app.browser_of(ANA)
        })
        .collect();
    app.clock.advance(MINUTE * 11);
    let answers = browsers.iter().map(|browser| {
        let page = browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]);
        assert_eq!((page.status, page.heading().as_str()), (403, "Confirm that it is you"));
        browser.submit(&page, "/account/2fa/begin", &[("confirm-password", PASSWORD)])
    });
    let answers: Vec<_> = answers.collect();
    assert!(answers[..3].iter().all(|page| page.status == 200), "{:?}", answers.iter().map(|page| page.status));
    assert_eq!((answers[3].status, answers[3].header("retry-after")), (429, "60"), "{}", answers[3].text());
}

#[test]
fn whoever_has_a_link_cannot_have_passwords_hashed_without_end() {
    let server = MailServer::start();
    let roads = ["setup", "invitation", "reset", "verification"];
    for road in roads {
        let mail = server.settings();
        let settings: &[(&str, &str)] = if road == "verification" { &mail } else { &[] };
        let app = behind_proxy(&[settings, &[("signup", "open")]].concat());
        let made = match road {
            "setup" => setup::make_link(&app.management).unwrap().url.reveal().to_owned(),
            "invitation" => {
                let acme = organisations::list(&app.management).unwrap().into_iter().find(|o| o.slug == "acme");
                let ana = people::find_by_email(&app.management, ANA).unwrap().id;
                let invited = team::invite(&app.management, acme.unwrap().id, ana, "bo@example.com", Role::Viewer);
                invited.unwrap().deliver(&app.authority).unwrap().unwrap().url.reveal().to_owned()
            }
            "reset" => resets::make_link(&app.management, ANA).unwrap().url.reveal().to_owned(),
            _ => {
                let new = [("email", "bo@example.com"), ("password", PASSWORD), ("organisation", "Rockets")];
                assert_eq!(post(&app.browser(), "/signup", "192.0.2.9", &new).status, 303);
                format!("{ISSUER}{}", server.wait_for(1)[0].path(ISSUER))
            }
        };
        let path = made.trim_start_matches(ISSUER);
        let browser = app.browser();
        let send = |n: usize, password: &str| {
            let fields: &[(&str, &str)] = match road {
                "setup" => &[("email", "bo@example.com"), ("password", password), ("organisation", "Rockets")],
                _ => &[("password", password)],
            };
            post(&browser, path, &format!("198.51.100.{n}"), fields)
        };
        assert_eq!(statuses(2, |n| send(n, WEAK)), [422, 422], "{road}");
        let answer = send(9, PASSWORD);
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"), "{road}");
        app.clock.advance(MINUTE);
        let done = send(9, PASSWORD).status.as_u16();
        assert!([200, 303].contains(&done), "{road}: the link still works after a minute: {done}");
    }
}

#[test]
fn sign_ups_from_everywhere_are_bounded_for_the_whole_server_and_links_go_on() {
    let app = behind_proxy(&[("signup", "open")]);
    let browser = app.browser();
    let sign_up = |n: usize| {
        let email = format!("p{n}@example.com");
        let fields = [("email", email.as_str()), ("password", PASSWORD), ("organisation", "Rockets")];
        post(&browser, "/signup", &format!("198.51.100.{n}"), &fields)
    };
    assert_eq!(statuses(12, sign_up), [303; 12]);
    let answer = sign_up(12);
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"));
    assert_eq!(sign_up(13).status, 429);
    let noted = app.management.database().read(|conn| audit::list_actions(conn, "unknown")).unwrap();
    assert_eq!(noted, [("user.sign-up-throttled".to_owned(), "visitor".to_owned())]);
    let link = resets::make_link(&app.management, ANA).unwrap();
    let path = link.url.reveal().trim_start_matches(ISSUER);
    assert_eq!(post(&app.browser(), path, "192.0.2.1", &[("password", "slow rivers carry stones")]).status, 303);
    app.clock.advance(MINUTE);
    assert_eq!(sign_up(12).status, 303);
}
