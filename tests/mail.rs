//! What is mailed, to whom, how often; and what the links are good for.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use brevet::clock::Clock;
use brevet::secret::{HashMemory, Secret, hash_password};
use brevet::service::password_roads::Road;
use brevet::service::passwords::Surroundings;
use brevet::service::sessions::Browser;
use brevet::service::sign_up::{self, Proof};
use brevet::service::{Caller, ServiceError, people, resets};

use crate::support::smtp::{Mail, MailServer};
use crate::support::{TestApp, postgres};

const ISSUER: &str = "http://127.0.0.1:8080";
const PASSWORD: &str = "seven green bottles";

fn app_with_mail(server: &MailServer, settings: &[(&str, &str)]) -> TestApp {
    TestApp::empty(&[&server.settings()[..], &[("signup", "open")], settings].concat())
}

fn browser() -> Browser {
    Browser { address: [127, 0, 0, 1].into(), user_agent: "tests".to_owned(), shows: None }
}

fn hash(password: &str) -> String {
    hash_password(&Secret::new(password)).unwrap()
}

fn sign_up(app: &TestApp, email: &str, organisation: &str) {
    let checked = sign_up::check(&app.management, email, organisation).unwrap();
    let walk = sign_up::sign_up(&app.authority, app.management.clone(), checked, hash(PASSWORD));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(walk).unwrap();
}

/// The secret of the link in a mail.
fn secret(mail: &Mail) -> Secret {
    Secret::new(mail.path(ISSUER).rsplit('/').next().unwrap())
}

fn signed_up(app: &TestApp, server: &MailServer, mails_before: usize, email: &str) {
    sign_up(app, email, "Acme");
    let mail = server.wait_for(mails_before + 1).pop().unwrap();
    sign_up::confirm(&app.management, &secret(&mail), browser()).unwrap().unwrap();
}

fn is_dead<T: std::fmt::Debug>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::NotFound(_)))
}

postgres::on_both_databases! {
    a_sign_up_waits_in_its_mail_until_the_address_is_proven
    a_taken_address_is_told_to_its_owner_only
    a_reset_link_works_once_and_dies_with_the_password
    an_address_gets_one_mail_of_a_kind_in_a_minute
    strangers_who_sign_up_with_an_address_leave_the_link_of_its_owner_alone
}

fn strangers_who_sign_up_with_an_address_leave_the_link_of_its_owner_alone(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let app = app_with_mail(&server, settings);
    let m = &app.management;
    for count in 1..=25 {
        sign_up(&app, "ana@example.com", &format!("Number {count}"));
        server.wait_for(count);
        app.clock.advance(Duration::from_secs(60));
    }
    let links: Vec<Secret> = server.wait_for(25).iter().map(secret).collect();
    let works: Vec<bool> = links.iter().map(|link| sign_up::look(m, link).is_ok()).collect();
    assert_eq!(works, [vec![false; 5], vec![true; 20]].concat(), "each lives for twenty more");

    sign_up::confirm(m, &links[5], browser()).unwrap().unwrap();
    let ana = people::find_by_email(m, "ana@example.com").unwrap().id;
    assert_eq!(people::show(m, ana).unwrap().belongings[0].name, "Number 6", "what its owner chose");
    assert!(links.iter().all(|link| is_dead(&sign_up::look(m, link))), "the address has its owner");
}

fn a_sign_up_waits_in_its_mail_until_the_address_is_proven(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let app = app_with_mail(&server, settings);
    sign_up(&app, "Ana@Example.com", "Acme");
    let mail = server.wait_for(1).remove(0);
    assert_eq!(
        (mail.to.as_slice(), mail.from.as_str()),
        (&["ana@example.com".to_owned()][..], "no-reply@brevet.example")
    );
    assert_eq!(mail.header("subject"), "Confirm your address");
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert!(people::find_by_email(&app.management, "ana@example.com").is_err(), "nobody is there yet");

    let secret = secret(&mail);
    let Proof::SignUp { email, password_hash } = sign_up::look(&app.management, &secret).unwrap() else { panic!() };
    assert_eq!(email, "ana@example.com");
    assert!(HashMemory::default().verify(&password_hash, &Secret::new(PASSWORD)));
    assert!(is_dead(&resets::look(&app.management, &secret)), "a link is good for one purpose");

    // Many at once: one account.
    let made: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> =
            (0..8).map(|_| scope.spawn(|| sign_up::confirm(&app.management, &secret, browser()).is_ok())).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert!(is_dead(&sign_up::confirm(&app.management, &secret, browser())));
    let ana = people::find_by_email(&app.management, "ana@example.com").unwrap();
    assert!(ana.email_verified_at.is_some() && !ana.is_operator);
    let overview = people::show(&app.management, ana.id).unwrap();
    assert_eq!(overview.belongings[0].slug, "acme");
}

fn a_taken_address_is_told_to_its_owner_only(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let app = app_with_mail(&server, settings);
    signed_up(&app, &server, 0, "ana@example.com");
    for (count, spelling) in ["ANA@example.com", "ana@EXAMPLE.com.", " Ana@example.com "].iter().enumerate() {
        app.clock.advance(Duration::from_secs(61));
        sign_up(&app, spelling, "Elsewhere");
        let mail = server.wait_for(count + 2).pop().unwrap();
        assert_eq!(mail.header("subject"), "You have an account already");
        assert!(mail.text().contains(&format!("{ISSUER}/login")), "{}", mail.text());
    }
    assert_eq!(people::search(&app.management, "ana", None).unwrap().0.len(), 1);
}

fn a_reset_link_works_once_and_dies_with_the_password(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let app = app_with_mail(&server, settings);
    signed_up(&app, &server, 0, "ana@example.com");
    let m = &app.management;

    resets::request(&app.authority, m, "nobody@example.com").unwrap();
    resets::request(&app.authority, m, "ANA@example.com").unwrap();
    let mail = server.wait_for(2).remove(1);
    assert_eq!(mail.to, ["ana@example.com"], "and nobody else");
    assert!(mail.path(ISSUER).starts_with("/reset/"));
    let first = secret(&mail);
    assert_eq!(resets::look(m, &first).unwrap().email, "ana@example.com");
    let second = Secret::new(resets::make_link(m, "ana@example.com").unwrap().url.reveal().rsplit('/').next().unwrap());
    assert!(resets::look(m, &second).is_ok());

    let done: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let first = first.clone();
                    move || resets::complete(m, &first, hash(&format!("password number {n}"))).is_ok()
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    assert!(is_dead(&resets::look(m, &first)) && is_dead(&resets::look(m, &second)), "all links die with the password");

    let late = resets::make_link(m, "ana@example.com").unwrap();
    let late = Secret::new(late.url.reveal().rsplit('/').next().unwrap());
    app.clock.advance(Duration::from_secs(3_600));
    assert!(is_dead(&resets::look(m, &late)), "an hour is over");
    for forged in ["", "x", &"A".repeat(43), &"é".repeat(43), "../../etc/passwd"] {
        assert!(is_dead(&resets::look(m, &Secret::new(forged))), "{forged}");
    }
    people::set_enabled(m, people::find_by_email(m, "ana@example.com").unwrap().id, false).unwrap();
    assert!(matches!(resets::make_link(m, "ana@example.com"), Err(ServiceError::Conflict(_))));
}

fn an_address_gets_one_mail_of_a_kind_in_a_minute(settings: &[(&str, &str)]) {
    let server = MailServer::start();
    let app = app_with_mail(&server, settings);
    signed_up(&app, &server, 0, "ana@example.com");
    for _ in 0..5 {
        resets::request(&app.authority, &app.management, "ana@example.com").unwrap();
    }
    app.clock.advance(Duration::from_secs(60));
    signed_up(&app, &server, 2, "bo@example.com");
    let mails = server.wait_for(3);
    assert_eq!(mails[1].to, ["ana@example.com"]);
    assert_eq!(mails[2].to, ["bo@example.com"], "five requests were one mail");
    resets::request(&app.authority, &app.management, "ana@example.com").unwrap();
    assert_eq!(server.wait_for(4)[3].header("subject"), "Choose another password");
}

#[test]
fn a_mail_server_that_refuses_or_is_gone_holds_nobody_up_and_is_told_no_secret_in_the_log() {
    let gone = TestApp::empty(&[("smtp-url", "smtp://127.0.0.1:9"), ("smtp-from", "a@b.example"), ("signup", "open")]);
    sign_up(&gone, "ana@example.com", "Acme");
    resets::request(&gone.authority, &gone.management, "ana@example.com").unwrap();

    let server = MailServer::start();
    server.refuse(true);
    let app = app_with_mail(&server, &[]);
    sign_up(&app, "ana@example.com", "Acme");
    sign_up(&app, "bo@example.com", "Acme");
    while server.refused() < 2 {
        thread::yield_now();
    }
    server.refuse(false);
    drop(app);
    let mails = server.wait_for(2);
    assert_eq!(mails.iter().map(|mail| mail.to[0].as_str()).collect::<Vec<_>>(), ["ana@example.com", "bo@example.com"]);
}

#[test]
fn names_with_everything_in_them_are_harmless_in_mails() {
    let server = MailServer::start();
    let app = app_with_mail(&server, &[]);
    let name = "<b>Acme</b> {{7*7}} \"=cmd\" https://evil.example/ Bcc: x@y.example";
    sign_up(&app, "ana@example.com", name);
    let mail = server.wait_for(1).remove(0);
    let ana = sign_up::confirm(&app.management, &secret(&mail), browser()).unwrap().unwrap();
    let invited = brevet::service::team::invite(
        &app.management,
        ana.organisation_id,
        ana.developer_id,
        "bo@example.com",
        brevet::db::developers::Role::Viewer,
    );
    assert!(invited.unwrap().deliver(&app.authority).unwrap().is_none(), "what is mailed is not shown");
    let mail = server.wait_for(2).remove(1);
    assert_eq!(mail.to, ["bo@example.com"]);
    assert!(!mail.message.contains("evil.example") && !mail.message.contains("\r\nBcc"), "{}", mail.message);
    assert!(mail.text().contains("as viewer"), "{}", mail.text());
}

#[test]
fn a_password_is_refused_before_any_mail_is_written() {
    let server = MailServer::start();
    let app = app_with_mail(&server, &[]);
    let password = Secret::new("short");
    let surroundings = Surroundings::new("ana@example.com", ["Acme"]);
    let caller = Caller { address: browser().address, now: app.clock.now() };
    let hashed = app.authority.hash_new_password(&password, surroundings, Road::SignUp, caller);
    let refused = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(hashed);
    assert!(matches!(refused, Err(ServiceError::InvalidField { field: "password", .. })));
}

#[test]
fn the_pages_of_another_password_are_the_same_for_every_address_and_leak_no_link() {
    let server = MailServer::start();
    let app = app_with_mail(&server, &[("throttle-failures", "100/min")]);
    signed_up(&app, &server, 0, "ana@example.com");
    let browser = app.browser();
    let ask = |email: &str| {
        let page = browser.get("/reset").assert_status(200);
        browser.submit(&page, "/reset", &[("email", email)]).assert_status(200)
    };
    let (unknown, known) = (ask("nobody@example.com"), ask("ana@example.com"));
    assert_eq!((&unknown.path, &unknown.body), (&known.path, &known.body));

    // Whatever host a request names, the link leads to the configured one.
    app.clock.advance(Duration::from_secs(61));
    let page = browser.get("/reset");
    let (_, _, body) = page.filled_form("/reset", &[("email", "ana@example.com")]);
    let forged = [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
    assert_eq!(browser.send("POST", "/reset", &forged, Some(&body)).status, 303);
    let mails = server.wait_for(3);
    assert!(!mails[2].message.contains("evil.example"), "{}", mails[2].message);

    let path = mails[2].path(ISSUER);
    let stranger = app.browser();
    let page = stranger.get(&path).assert_status(200);
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    let refused = stranger.submit(&page, &path, &[("password", "short")]).assert_status(422);
    assert!(refused.faults()[0].contains("at least 12"), "{:?}", refused.faults());
    let done = stranger.submit(&refused, &path, &[("password", "nine purple umbrellas")]).assert_status(200);
    assert_eq!((done.path.as_str(), done.texts(".done").len()), ("/login?done=password-chosen", 1));
    assert!(!done.body.contains(path.rsplit('/').next().unwrap()));
    assert_eq!(stranger.get(&path).status, 410);
    assert_eq!(app.browser().sign_in("ana@example.com", "nine purple umbrellas").status, 200);
    assert_eq!(app.browser().sign_in("ana@example.com", PASSWORD).status, 422);
}

#[test]
fn where_no_mail_is_sent_the_page_says_what_to_type() {
    let app = TestApp::new();
    let page = app.browser().get("/reset").assert_status(200);
    let command = page.attribute("#command", "value").unwrap();
    assert_eq!(command, "brevet user reset-password YOUR-ADDRESS --link");
}
