//! Use in pictures: what is counted, what it adds up to, and the pages that show it.

use std::time::Duration;

use brevet::db::developers::Role;
use brevet::db::usage::{self, Count, Counted};
use brevet::db::{AnyConnection, DbError};
use brevet::oauth::ClientId;
use brevet::service::usage::{Picture, Range, app_picture, has_checked_tokens, has_issued_tokens, sparklines};
use brevet::service::usage::{mark_tokens_checked, organisation_picture};
use brevet::service::{apps, organisations};
use diesel::connection::SimpleConnection;

use crate::support::{Credentials, START, TestApp};

type Settings<'a> = &'a [(&'a str, &'a str)];

crate::support::postgres::on_both_databases! {
    administrators_see_where_most_tokens_went
    tokens_are_counted_by_scope_and_refusals_by_error
    refusals_of_unknown_apps_belong_to_nobody
    a_picture_has_a_bar_for_each_span_and_the_last_is_running
    an_organisation_is_the_sum_of_its_apps_and_sees_no_other
    what_is_gone_is_forgotten_and_details_before_counts
    the_busiest_apps_come_first
    a_list_gets_its_small_pictures_in_one_query
    the_first_token_and_the_first_check_are_known
}

fn flush(app: &TestApp) {
    use brevet::clock::Clock;
    app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
}

/// A statement past all of Brevet's code.
fn execute(app: &TestApp, statement: String) {
    let run = move |conn: &mut AnyConnection| -> Result<(), DbError> { Ok(conn.batch_execute(&statement)?) };
    app.management.database().write(run).unwrap();
}

fn picture(app: &TestApp, client: &Credentials) -> Picture {
    app_picture(&app.management, client.id(), Range::Day).unwrap().picture
}

fn named(pairs: &[(String, i64)]) -> Vec<(&str, i64)> {
    pairs.iter().map(|(name, count)| (name.as_str(), *count)).collect()
}

fn tokens_are_counted_by_scope_and_refusals_by_error(settings: Settings) {
    let app = TestApp::with(settings);
    let client = app.create_app(&["billing:read", "billing:write"]);
    let form = client.form();
    for (body, status) in [
        (form.clone(), 200),
        (format!("{form}&scope=billing:write"), 200),
        (format!("{form}&scope=billing:write"), 200),
        (format!("{form}&scope=billing:admin"), 400),
        (format!("{form}&resource=https://other.example"), 400),
        (format!("{form}x"), 401),
        (format!("{form}x"), 401),
    ] {
        app.token_request(&[], &body).assert_status(status);
    }
    for _twice in 0..2 {
        flush(&app);
        let picture = picture(&app, &client);
        assert_eq!((picture.issued(), picture.refused()), (3, 4));
        assert_eq!(named(&picture.scopes), [("billing:write", 3), ("billing:read", 1)]);
        assert_eq!(
            named(&picture.refusals),
            [("invalid_client", 2), ("invalid_scope", 1), ("invalid_target", 1)],
            "each error by itself, the most frequent first"
        );
    }
}

fn refusals_of_unknown_apps_belong_to_nobody(settings: Settings) {
    let app = TestApp::with(settings);
    let stranger = Credentials { client_id: ClientId::generate().to_string(), secret: "bvk_x".to_owned() };
    app.token_request(&[], &stranger.form()).assert_status(401);
    flush(&app);
    let found = organisation_picture(&app.management, "acme", Range::Day).unwrap();
    assert_eq!((found.issued_24h, found.refused_24h), (0, 0));
    let read = |of| app.management.database().read(|conn| usage::refusals(conn, of, START, START + Range::Day.bar()));
    assert!(read(Counted::App(stranger.id())).unwrap().is_empty());
}

fn a_picture_has_a_bar_for_each_span_and_the_last_is_running(settings: Settings) {
    let app = TestApp::with(settings);
    let client = app.create_app(&["billing:read"]);
    app.token(&client);
    flush(&app);
    app.clock.advance(Duration::from_secs(2 * 86_400 + 5_400));
    app.token(&client);
    app.token(&client);
    flush(&app);
    let bars = |range| {
        let found = app_picture(&app.management, client.id(), range).unwrap().picture;
        let counts: Vec<i64> = found.spans.iter().map(|span| span.issued).collect();
        let first = found.spans[0].start;
        let last = found.spans[found.spans.len() - 1].start;
        (counts.len(), counts.iter().sum::<i64>(), counts[counts.len() - 1], first, last)
    };
    let at = |text: &str| brevet::clock::Timestamp::parse_rfc3339(text).unwrap();
    assert_eq!(bars(Range::Day), (24, 2, 2, at("2026-11-23T02:00:00Z"), at("2026-11-24T01:00:00Z")));
    assert_eq!(bars(Range::Week), (28, 3, 2, at("2026-11-17T06:00:00Z"), at("2026-11-24T00:00:00Z")));
    assert_eq!(bars(Range::Month), (30, 3, 2, at("2026-10-26T00:00:00Z"), at("2026-11-24T00:00:00Z")));
    assert_eq!(bars(Range::Quarter), (90, 3, 2, at("2026-08-27T00:00:00Z"), at("2026-11-24T00:00:00Z")));
}

fn an_organisation_is_the_sum_of_its_apps_and_sees_no_other(settings: Settings) {
    let app = TestApp::with(settings);
    app.create_organisation("globex");
    app.create_api("globex", "https://globex.example", &["globex:read"]);
    let (one, two) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read", "billing:write"]));
    let theirs = app.create_app_with("globex", crate::support::new_app(&["globex:read"]));
    for client in [&one, &two, &two, &theirs, &theirs, &theirs, &theirs] {
        app.token(client);
    }
    app.token_request(&[], &format!("{}x", theirs.form())).assert_status(401);
    flush(&app);
    let ours = organisation_picture(&app.management, "acme", Range::Week).unwrap();
    assert_eq!((ours.issued_24h, ours.refused_24h, ours.busiest.active), (3, 0, 2));
    assert_eq!(named(&ours.picture.scopes), [("billing:read", 3), ("billing:write", 2)]);
    let other = organisation_picture(&app.management, "globex", Range::Day).unwrap();
    assert_eq!((other.issued_24h, other.refused_24h, other.busiest.active), (4, 1, 1));
    assert_eq!(named(&other.picture.refusals), [("invalid_client", 1)]);
    // A sum stays when an app goes: its tokens were issued all the same.
    apps::delete(&app.management, two.id()).unwrap();
    let after = organisation_picture(&app.management, "acme", Range::Day).unwrap();
    assert_eq!((after.issued_24h, after.busiest.active), (3, 1));
    assert!(organisation_picture(&app.management, "nobody", Range::Day).is_err());
}

fn what_is_gone_is_forgotten_and_details_before_counts(settings: Settings) {
    let app = TestApp::with(settings);
    let (kept, gone) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
    for client in [&kept, &gone] {
        app.token(client);
        app.token_request(&[], &format!("{}&scope=x", client.form())).assert_status(400);
    }
    // Counted, deleted, written: the rows of the deleted app come last.
    apps::delete(&app.management, gone.id()).unwrap();
    flush(&app);
    let database = app.management.database();
    let to = START + Duration::from_secs(86_400);
    let left = |client: &Credentials| {
        let of = Counted::App(client.id());
        let counts = database.read(|conn| usage::total(conn, client.id(), START)).unwrap();
        let refusals = database.read(|conn| usage::refusals(conn, of, START, to)).unwrap().len();
        let scopes = database.read(|conn| usage::top_scopes(conn, of, START, to, 9)).unwrap().len();
        (counts, refusals, scopes)
    };
    assert_eq!((left(&kept), left(&gone)), (((1, 1), 1, 1), ((1, 1), 1, 1)));
    database.write(|conn| usage::delete_stale(conn, START, START)).unwrap();
    assert_eq!((left(&kept), left(&gone)), (((1, 1), 1, 1), ((0, 0), 0, 0)));
    assert_eq!(organisation_picture(&app.management, "acme", Range::Day).unwrap().issued_24h, 2);
    database.write(move |conn| usage::delete_stale(conn, START, to)).unwrap();
    assert_eq!(left(&kept), ((1, 1), 0, 0));
    database.write(move |conn| usage::delete_stale(conn, to, to)).unwrap();
    assert_eq!(left(&kept), ((0, 0), 0, 0));
}

fn the_busiest_apps_come_first(settings: Settings) {
    let app = TestApp::with(settings);
    let clients: Vec<Credentials> = (0..7).map(|_| app.create_app(&["billing:read"])).collect();
    let counts: Vec<Count> = clients
        .iter()
        .zip(1..)
        .map(|(client, issued)| Count { of: Counted::App(client.id()), issued, refused: 0 })
        .collect();
    app.management.database().write(move |conn| usage::add(conn, &counts, START)).unwrap();
    let busiest = || organisation_picture(&app.management, "acme", Range::Day).unwrap().busiest;
    let found = busiest();
    let shown: Vec<(ClientId, i64)> = found.apps.iter().map(|app| (app.client_id, app.issued)).collect();
    let expected: Vec<(ClientId, i64)> = (3..=7).rev().map(|place| (clients[place - 1].id(), place as i64)).collect();
    assert_eq!((shown, found.active), (expected, 7));

    apps::delete(&app.management, clients[6].id()).unwrap();
    assert_eq!(busiest().apps[0].client_id, clients[5].id(), "of few apps they are looked for each time");
    let organisation = organisations::list(&app.management).unwrap()[0].id;
    let values = |row: fn(&str, &str) -> String| {
        let ids = (0..500).map(|number| format!("00000000-0000-4000-8000-{number:012}"));
        ids.map(|id| row(&id, &organisation.to_string())).collect::<Vec<_>>().join(", ")
    };
    let apps_values = values(|id, organisation| format!("('{id}', '{organisation}', 'one of many', 0, 0)"));
    let use_values = values(|id, _| format!("('{id}', {}, 1, 0)", START.seconds()));
    execute(&app, format!("INSERT INTO apps (id, organisation_id, name, not_before, created_at) VALUES {apps_values}"));
    execute(&app, format!("INSERT INTO usage (app_id, hour, issued, refused) VALUES {use_values}"));
    assert_eq!(busiest().active, 506);
    apps::delete(&app.management, clients[5].id()).unwrap();
    assert_eq!(busiest().active, 506, "of many they are remembered for half a minute");
    app.clock.advance(Duration::from_secs(30));
    assert_eq!(busiest().active, 505);
}

fn a_list_gets_its_small_pictures_in_one_query(settings: Settings) {
    let app = TestApp::with(settings);
    app.create_organisation("globex");
    let (busy, idle) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
    let theirs = app.create_app_with("globex", crate::support::new_app(&[]));
    app.clock.advance(Duration::from_secs(8 * 86_400));
    let today = START + Duration::from_secs(8 * 86_400);
    let add = |client: &Credentials, issued, refused, at| {
        let count = Count { of: Counted::App(client.id()), issued, refused };
        app.management.database().write(move |conn| usage::add(conn, &[count], at)).unwrap();
    };
    add(&busy, 9, 9, START);
    add(&busy, 1, 0, START + Duration::from_secs(2 * 86_400));
    add(&busy, 2, 1, today - Duration::from_secs(3_600));
    add(&busy, 4, 0, today - Duration::from_secs(7_200));
    add(&busy, 8, 0, today);
    add(&theirs, 5, 5, today);
    let ids = [idle.id(), busy.id(), theirs.id()];
    let lines = sparklines(&app.management, "acme", &ids).unwrap();
    assert_eq!(lines.iter().map(|line| line.client_id).collect::<Vec<_>>(), ids);
    assert_eq!((lines[1].issued, lines[1].refused), ([1, 0, 0, 0, 0, 6, 8], [0, 0, 0, 0, 0, 1, 0]));
    assert_eq!((lines[0].issued, lines[2].issued), ([0; 7], [0; 7]), "another organisation's counts are not told");
}

fn the_first_token_and_the_first_check_are_known(settings: Settings) {
    let app = TestApp::with(settings);
    app.create_organisation("globex");
    let client = app.create_app(&["billing:read"]);
    let known = |slug| {
        let m = &app.management;
        (has_issued_tokens(m, slug).unwrap(), has_checked_tokens(m, slug).unwrap())
    };
    assert_eq!(known("acme"), (false, false));
    let token = app.token(&client);
    flush(&app);
    assert_eq!(known("acme"), (true, false));
    for _again in 0..2 {
        app.get_with_token("/api/v1/whoami", &token).assert_status(200);
        flush(&app);
        assert_eq!((known("acme"), known("globex")), ((true, true), (false, false)));
    }
    mark_tokens_checked(&app.management, "globex").unwrap();
    assert_eq!(known("globex"), (false, true));
    assert!(organisations::list(&app.management).unwrap().len() == 2);
}

#[test]
fn what_the_database_does_not_take_is_kept_for_the_next_time() {
    let app = TestApp::new();
    let client = app.create_app(&["billing:read", "billing:write"]);
    app.token(&client);
    app.token_request(&[], &format!("{}x", client.form())).assert_status(401);
    let database = app.management.database();
    let rename = |from: &str, to: &str| execute(&app, format!("ALTER TABLE {from} RENAME TO {to}"));
    rename("usage_scopes", "away");
    assert!(app.authority.usage.flush(database, START).is_err());
    rename("away", "usage_scopes");
    app.token(&client);
    flush(&app);
    let found = picture(&app, &client);
    assert_eq!((found.issued(), found.refused()), (2, 1));
    assert_eq!(named(&found.scopes), [("billing:read", 2), ("billing:write", 2)]);
    assert_eq!(named(&found.refusals), [("invalid_client", 1)]);
}

/// A start page of a developer of `acme`.
fn home(app: &TestApp) -> crate::support::browser::Page {
    app.browser_of("dev@example.com").get("/").assert_status(200)
}

#[test]
fn a_newcomer_sees_the_next_step_and_nothing_else_and_the_list_ticks_itself() {
    let app = TestApp::empty(&[]);
    app.create_organisation("acme");
    app.create_person("acme", "dev@example.com", Role::Developer);
    let steps = || home(&app).texts(".checklist li .state");
    let page = home(&app);
    assert_eq!(page.texts("h2"), ["Next steps"], "only the list: {}", page.text());
    assert_eq!(steps(), ["To do"; 5]);
    app.create_api("acme", "https://billing.example", &["billing:read"]);
    assert_eq!(steps(), ["Done", "To do", "To do", "To do", "To do"]);
    let client = app.create_app(&["billing:read"]);
    assert_eq!(steps(), ["Done", "Done", "To do", "To do", "To do"]);
    let token = app.token(&client);
    flush(&app);
    assert_eq!(steps(), ["Done", "Done", "Done", "To do", "To do"]);
    app.get_with_token("/api/v1/whoami", &token).assert_status(200);
    flush(&app);
    assert_eq!(steps(), ["Done", "Done", "Done", "Done", "To do"]);
    execute(&app, format!("UPDATE developers SET totp_confirmed_at = {}", START.seconds()));
    assert!(!home(&app).text().contains("Next steps"), "the list goes away when all is done");
}

#[test]
fn services_that_verify_offline_are_marked_by_hand() {
    let app = TestApp::new();
    app.create_person("acme", "dev@example.com", Role::Developer);
    app.create_person("acme", "view@example.com", Role::Viewer);
    let browser = app.browser_of("dev@example.com");
    let page = browser.submit(&browser.get("/"), "/checklist/checks", &[]).assert_status(200);
    assert_eq!(page.texts(".done"), ["Noted: your services check tokens."]);
    assert_eq!(page.texts(".checklist li .state")[3], "Done");
    assert!(page.texts("td code").contains(&"organisation.tokens_checked".to_owned()) || page.text().contains("To do"));
    let viewer = app.browser_of("view@example.com");
    let page = viewer.get("/");
    assert!(page.text().contains("Your role does not allow that"));
    assert!(!page.links().contains(&"/apps/new".to_owned()));
    viewer.submit(&page, "/checklist/checks", &[]).assert_status(403);
}

#[test]
fn the_start_page_shows_how_much_was_asked_for() {
    let app = TestApp::new();
    app.create_organisation("globex");
    app.create_person("acme", "dev@example.com", Role::Developer);
    let (busy, quiet) = (app.create_app(&["billing:read"]), app.create_app(&["billing:write"]));
    let theirs = app.create_app_with(
        "globex",
        brevet::service::apps::NewApp { name: "secret plan".to_owned(), ..crate::support::new_app(&[]) },
    );
    for client in [&busy, &busy, &quiet, &theirs] {
        app.token(client);
    }
    app.token_request(&[], &format!("{}&scope=nothing", busy.form())).assert_status(400);
    flush(&app);
    let page = home(&app);
    let tiles = page.texts(".tile");
    assert_eq!(tiles[..3], ["3 tokens issued", "1 request refused", "2 apps that got a token"]);
    assert!(tiles[3].contains("for 95 % of the token requests to this node, since 22 Nov 00:00"), "{tiles:?}");
    assert_eq!(page.texts("[aria-labelledby=busiest] tbody tr").len(), 2);
    assert_eq!(page.texts("[aria-labelledby=scopes] tbody tr"), ["billing:read2", "billing:write1"]);
    assert_eq!(page.attribute("svg.bars", "role").as_deref(), Some("img"));
    assert_eq!(page.texts("svg.bars > title"), ["Tokens issued and refused, last 24 hours"]);
    assert_eq!(page.texts(".numbers tbody tr").len(), 24);
    assert!(
        page.texts(".numbers tbody tr")[23].ends_with("(still running)31"),
        "{:?}",
        page.texts(".numbers tbody tr")
    );
    assert!(!page.body.contains("secret plan"), "another organisation is seen");
    assert!(page.texts("td code").contains(&"app.create".to_owned()), "the last events");
    let browser = app.browser_of("dev@example.com");
    for (range, bars) in [("24h", 24), ("7d", 28), ("30d", 30), ("90d", 90)] {
        let page = browser.get(&format!("/?range={range}")).assert_status(200);
        assert_eq!(page.texts(".numbers tbody tr").len(), bars, "{range}");
    }
}

#[test]
fn keys_that_end_soon_are_told_before_they_do() {
    let app = TestApp::new();
    app.create_person("acme", "dev@example.com", Role::Developer);
    let with_key = |name: &str, days: u64| {
        let key_expires_in = Some(Duration::from_secs(days * 86_400));
        app.create_app_with(
            "acme",
            brevet::service::apps::NewApp { name: name.to_owned(), key_expires_in, ..crate::support::new_app(&[]) },
        )
    };
    let (_later, sooner, off) = (with_key("later", 90), with_key("sooner", 10), with_key("off", 10));
    apps::set_enabled(&app.management, off.id(), false).unwrap();
    let page = home(&app);
    let rows: Vec<String> = page
        .texts("tbody th a")
        .into_iter()
        .filter(|name| ["later", "sooner", "off"].contains(&name.as_str()))
        .collect();
    assert!(rows.contains(&"sooner".to_owned()), "{rows:?}");
    assert!(page.text().contains("2 Dec 2026"), "{}", page.text());
    assert!(page.links().contains(&format!("/apps/{}/keys", sooner.client_id)));
    assert!(!page.links().contains(&format!("/apps/{}/keys", off.client_id)));
}

#[test]
fn the_start_page_comes_without_statistics_when_those_fail() {
    let app = TestApp::new();
    app.create_person("acme", "dev@example.com", Role::Developer);
    app.create_app(&[]);
    execute(&app, "ALTER TABLE usage RENAME TO away".to_owned());
    let page = home(&app);
    assert!(page.text().contains("Usage unavailable"), "{}", page.text());
    assert!(page.text().contains("Last events"));
}

#[test]
fn an_app_shows_what_it_was_refused_and_what_to_do() {
    let app = TestApp::new();
    app.create_person("acme", "dev@example.com", Role::Viewer);
    let client = app.create_app(&["billing:read"]);
    let browser = app.browser_of("dev@example.com");
    let address = format!("/apps/{}/usage", client.client_id);
    let page = browser.get(&address).assert_status(200);
    assert!(page.text().contains("No token was asked for in the last 24 hours."));
    assert!(page.text().contains(&format!("-u {}:$APP_KEY", client.client_id)), "a first call to paste");
    app.token(&client);
    app.token_request(&[], &format!("{}&scope=<script>", client.form())).assert_status(400);
    app.token_request(&[], &format!("{}x", client.form())).assert_status(401);
    flush(&app);
    let page = browser.get(&address).assert_status(200);
    assert_eq!(page.heading(), "Usage of robot");
    let rows = page.texts("tbody th code");
    assert_eq!(rows, ["invalid_client", "invalid_scope", "billing:read"]);
    assert!(page.text().contains("Check that the key was copied whole"));
    assert!(!page.body.contains("<script>&") && !page.body.contains("lt;script"), "input is not kept");
    let csv = browser.send("GET", &format!("{address}.csv?range=24h"), &[], None).assert_status(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").ends_with("-24h.csv\""), "{}", csv.header("content-disposition"));
    assert_eq!(csv.body.lines().count(), 25);
    assert!(csv.body.trim_end().ends_with("2026-11-22T00:00:00Z,1,2"), "{}", csv.body);
}

#[test]
fn the_use_of_another_organisations_app_is_nowhere() {
    let app = TestApp::new();
    app.create_organisation("globex");
    app.create_person("acme", "dev@example.com", Role::Owner);
    let theirs = app.create_app_with("globex", crate::support::new_app(&[]));
    let browser = app.browser_of("dev@example.com");
    for address in [
        format!("/apps/{}/usage", theirs.client_id),
        format!("/apps/{}/usage.csv", theirs.client_id),
        "/apps/not-an-app/usage".to_owned(),
        format!("/apps/{}/usage", ClientId::generate()),
    ] {
        browser.get(&address).assert_status(404);
    }
}

#[test]
fn a_range_that_is_none_is_refused_with_those_there_are() {
    let app = TestApp::new();
    app.create_person("acme", "range@example.com", brevet::db::developers::Role::Viewer);
    let client = app.create_app(&["billing:read"]);
    let browser = app.browser_of("range@example.com");
    let usage = format!("/apps/{}/usage", client.client_id);
    for page in ["/".to_owned(), usage.clone(), format!("{usage}.csv")] {
        for wrong in ["range=1y", "range=24H", "range=24h&range=7d", "range=%zz", "range='"] {
            let answer = browser.get(&format!("{page}?{wrong}")).assert_status(400);
            assert!(
                answer.text().contains("range of the address is one of 24h, 7d, 30d, 90d")
                    || wrong.contains(['&', '%']),
                "{page} {wrong}: {}",
                answer.text()
            );
        }
        for good in ["", "range=", "range=90d"] {
            browser.get(&format!("{page}?{good}")).assert_status(200);
        }
    }
}

fn administrators_see_where_most_tokens_went(settings: Settings) {
    use brevet::clock::Clock;
    let app = TestApp::with(&[settings, &[("trusted-proxies", "127.0.0.1")]].concat());
    app.create_person("acme", "admin@example.com", Role::Admin);
    app.create_person("acme", "dev@example.com", Role::Developer);
    let client = app.create_app(&["billing:read"]);
    let ask = |from: &str, client: &Credentials| {
        app.post("/connect/token", &[("x-forwarded-for", from)], &client.form());
    };
    let page = |email: &str| app.browser_of(email).get(&format!("/apps/{}/usage", client.client_id)).assert_status(200);
    let addresses = || page("admin@example.com").texts("[aria-labelledby=addresses] tbody tr");
    // More strangers than there are places, before and after the one that comes all the time.
    for stranger in 0..25 {
        ask(&format!("192.0.2.{stranger}"), &client);
        ask("10.0.0.7", &client);
    }
    ask("::ffff:10.0.0.7", &client);
    ask("203.0.113.9", &Credentials { secret: "wrong".to_owned(), ..client.clone() });
    flush(&app);
    let first = addresses();
    assert_eq!((first.len(), first[0].as_str()), (20, "10.0.0.726"), "{first:?}");
    assert!(!first.iter().any(|row| row.starts_with("203.0.113.9")), "refused");
    ask("10.0.0.7", &client);
    ask("10.0.0.7", &client);
    for stranger in 0..25 {
        ask(&format!("198.51.100.{stranger}"), &client);
    }
    flush(&app);
    let second = addresses();
    assert_eq!((second.len(), second[0].as_str()), (20, "10.0.0.728"), "{second:?}");
    assert!(!page("dev@example.com").body.contains("10.0.0.7"), "administrators only");
    // Another day begins anew, and what is asked for over both is added up.
    app.clock.advance(Duration::from_secs(86_400));
    ask("10.0.0.7", &client);
    flush(&app);
    assert_eq!(addresses()[0], "10.0.0.729");
    let (id, now) = (client.id(), app.clock.now());
    let count = || {
        let read = move |conn: &mut AnyConnection| usage::top_addresses(conn, id, START, now);
        app.management.database().read(read).unwrap().len()
    };
    assert_eq!(count(), 20);
    apps::set_enabled(&app.management, client.id(), false).unwrap();
    apps::delete(&app.management, client.id()).unwrap();
    assert_eq!(count(), 0, "with the app it is forgotten");
}
