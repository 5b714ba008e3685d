//! Apps are found, picked, put in order and counted, on both databases alike.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use brevet::db::apps::{AppOrder, AppSummary};
use brevet::service::app_keys::Overlap;
use brevet::service::apps::{self, AppPage, AppSearch, AppUpdate, NewApp};
use brevet::service::{ServiceError, app_keys};

use crate::support::{Credentials, START, TestApp, new_app};

crate::support::postgres::on_both_databases! {
    apps_are_found_by_a_part_of_their_name_or_id
    apps_are_picked_by_what_people_ask_for
    apps_are_put_in_order_both_ways
    pages_are_cut_and_the_last_one_stands_for_those_behind_it
    the_apps_of_others_are_neither_found_nor_counted
    what_a_list_says_of_an_app_is_so
    of_many_who_make_apps_at_once_as_many_succeed_as_may
    a_rotation_without_end_leaves_the_old_key_as_it_is
}

const DAY: Duration = Duration::from_secs(86_400);

type Settings<'a> = &'a [(&'a str, &'a str)];

fn all() -> AppSearch {
    AppSearch {
        words: None,
        enabled: None,
        api_id: None,
        unused: false,
        ending: false,
        owner: None,
        order: AppOrder::Name,
        descending: false,
        page: 1,
        per_page: 25,
    }
}

fn looking_for(words: &str) -> AppSearch {
    AppSearch { words: Some(words.to_owned()), ..all() }
}

fn page(app: &TestApp, search: &AppSearch) -> AppPage {
    apps::search(&app.management, "acme", search).unwrap()
}

fn names(app: &TestApp, search: &AppSearch) -> Vec<String> {
    page(app, search).apps.into_iter().map(|app| app.name).collect()
}

fn named(app: &TestApp, name: &str) -> Credentials {
    app.create_app_with("acme", NewApp { name: name.to_owned(), ..new_app(&["billing:read"]) })
}

fn flush(app: &TestApp) {
    use brevet::clock::Clock;
    app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
}

fn apps_are_found_by_a_part_of_their_name_or_id(settings: Settings) {
    let app = TestApp::with(settings);
    for name in
        ["Invoice sync", "nightly 100%", "snake_case", "snakeXcase", "C:\\temp", "it's \"quoted\" & <b>", "ÄRGER"]
    {
        named(&app, name);
    }
    let robot = named(&app, "robot");
    let found: [(&str, &[&str]); 15] = [
        ("invoice", &["Invoice sync"]),
        ("VOICE S", &["Invoice sync"]),
        ("%", &["nightly 100%"]),
        ("100%", &["nightly 100%"]),
        ("_", &["snake_case"]),
        ("snake", &["snake_case", "snakeXcase"]),
        ("\\", &["C:\\temp"]),
        ("\\temp", &["C:\\temp"]),
        ("'", &["it's \"quoted\" & <b>"]),
        ("' OR 1=1 --", &[]),
        ("\"quoted\"", &["it's \"quoted\" & <b>"]),
        ("<B>", &["it's \"quoted\" & <b>"]),
        ("ÄR", &["ÄRGER"]),
        ("nothing", &[]),
        (&robot.client_id, &["robot"]),
    ];
    for (words, expected) in found {
        assert_eq!(names(&app, &looking_for(words)), expected, "{words}");
    }
    assert_eq!(names(&app, &looking_for(&robot.client_id[..8].to_uppercase())), ["robot"]);
    assert_eq!(names(&app, &looking_for(&robot.client_id[30..])), ["robot"]);
    for words in ["\0", "a\nb", &"x".repeat(101)] {
        let refused = apps::search(&app.management, "acme", &looking_for(words));
        assert!(matches!(refused, Err(ServiceError::InvalidField { field: "q", .. })), "{words:?}: {refused:?}");
    }
}

fn apps_are_picked_by_what_people_ask_for(settings: Settings) {
    let app = TestApp::with(settings);
    app.create_api("acme", "https://mail.example", &["mail:send"]);
    let m = &app.management;
    let (idle, busy, off) = (named(&app, "idle"), named(&app, "busy"), named(&app, "off"));
    apps::set_enabled(m, off.id(), false).unwrap();
    let mail = NewApp { name: "mail".to_owned(), key_expires_in: Some(DAY * 100), ..new_app(&["mail:send"]) };
    app.create_app_with("acme", mail);
    app.clock.advance(DAY * 89);
    assert_eq!(names(&app, &AppSearch { unused: true, ..all() }), Vec::<String>::new(), "none is so old");
    app.clock.advance(DAY * 2);
    app.catch_up();
    app.token(&busy);
    flush(&app);
    named(&app, "new");

    let apis = brevet::service::apis::list(m, "acme").unwrap();
    let mail_api = apis.iter().find(|api| api.identifier == "https://mail.example").unwrap().id;
    let picked: [(&str, AppSearch, &[&str]); 9] = [
        ("all", all(), &["busy", "idle", "mail", "new", "off"]),
        ("enabled", AppSearch { enabled: Some(true), ..all() }, &["busy", "idle", "mail", "new"]),
        ("disabled", AppSearch { enabled: Some(false), ..all() }, &["off"]),
        ("of an API", AppSearch { api_id: Some(mail_api), ..all() }, &["mail"]),
        ("of no API", AppSearch { api_id: Some(uuid::Uuid::now_v7()), ..all() }, &[]),
        ("unused", AppSearch { unused: true, ..all() }, &["idle", "mail", "off"]),
        ("ending", AppSearch { ending: true, ..all() }, &["mail"]),
        ("unused and enabled", AppSearch { unused: true, enabled: Some(true), ..all() }, &["idle", "mail"]),
        (
            "all at once",
            AppSearch { unused: true, ending: true, api_id: Some(mail_api), ..looking_for("a") },
            &["mail"],
        ),
    ];
    for (what, search, expected) in picked {
        let page = page(&app, &search);
        let names: Vec<&str> = page.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(names, expected, "{what}");
        assert_eq!((page.found as usize, page.total), (expected.len(), 5), "{what}");
    }
    app.clock.advance(DAY * 10);
    assert_eq!(names(&app, &AppSearch { ending: true, ..all() }), Vec::<String>::new(), "it ended");
    drop(idle);
}

fn apps_are_put_in_order_both_ways(settings: Settings) {
    let app = TestApp::with(settings);
    let mut made = Vec::new();
    for name in ["b", "A", "c", "a-c", "ab", "B"] {
        made.push(named(&app, name));
        app.clock.advance(DAY);
    }
    for used in [2, 0, 5] {
        app.clock.advance(DAY);
        app.token(&made[used]);
        flush(&app);
    }
    let orders: [(AppOrder, [&str; 6]); 3] = [
        (AppOrder::Name, ["A", "a-c", "ab", "b", "B", "c"]),
        (AppOrder::Created, ["b", "A", "c", "a-c", "ab", "B"]),
        (AppOrder::LastUsed, ["A", "a-c", "ab", "c", "b", "B"]),
    ];
    for (order, mut expected) in orders {
        let sorted = |descending| names(&app, &AppSearch { order, descending, ..all() });
        let (mut forward, mut backward) = (sorted(false), sorted(true));
        backward.reverse();
        assert_eq!(forward, backward, "{order:?}");
        // Among equals ids decide.
        let equals = match order {
            AppOrder::Name => 3..5,
            AppOrder::Created => 0..0,
            AppOrder::LastUsed => 0..3,
        };
        forward[equals.clone()].sort();
        expected[equals].sort_unstable();
        assert_eq!(forward, expected, "{order:?}");
    }
}

fn pages_are_cut_and_the_last_one_stands_for_those_behind_it(settings: Settings) {
    let app = TestApp::with(settings);
    assert_eq!(
        {
            let empty = page(&app, &all());
            (empty.found, empty.page, empty.pages)
        },
        (0, 1, 1)
    );
    for number in 0..53 {
        named(&app, &format!("robot {number:02}"));
    }
    let on = |number, per_page| {
        let page = page(&app, &AppSearch { page: number, per_page, ..all() });
        let ends = |app: Option<&AppSummary>| app.map(|app| app.name.clone()).unwrap_or_default();
        (ends(page.apps.first()), ends(page.apps.last()), page.page, page.pages, page.found)
    };
    let said =
        |first: &str, last: &str, page, pages| (format!("robot {first}"), format!("robot {last}"), page, pages, 53);
    assert_eq!(on(1, 25), said("00", "24", 1, 3));
    assert_eq!(on(3, 25), said("50", "52", 3, 3));
    assert_eq!(on(4, 25), said("50", "52", 3, 3));
    assert_eq!(on(i64::MAX, 25), said("50", "52", 3, 3));
    assert_eq!(on(2, 50), said("50", "52", 2, 2));
}

fn the_apps_of_others_are_neither_found_nor_counted(settings: Settings) {
    let app = TestApp::with(settings);
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let theirs = app.create_app_with("rival", NewApp { name: "secret plan".to_owned(), ..new_app(&["rival:read"]) });
    named(&app, "ours");
    let page = page(&app, &looking_for(&theirs.client_id));
    assert_eq!((page.apps.len(), page.found, page.total), (0, 0, 1));
    assert_eq!(names(&app, &looking_for("secret")), Vec::<String>::new());
    let api = brevet::service::apis::list(&app.management, "rival").unwrap()[0].id;
    assert_eq!(names(&app, &AppSearch { api_id: Some(api), ..all() }), Vec::<String>::new());
    assert!(matches!(apps::search(&app.management, "nobody", &all()), Err(ServiceError::NotFound(_))));
}

fn what_a_list_says_of_an_app_is_so(settings: Settings) {
    let app = TestApp::with(settings);
    let robot = app.create_app_with("acme", new_app(&["billing:read", "billing:write"]));
    let only = || page(&app, &all()).apps.remove(0);
    let fresh = only();
    assert_eq!((fresh.scopes, fresh.live_keys, fresh.next_end, fresh.last_used_at), (2, 1, None, None));
    assert_eq!((fresh.disabled_at, fresh.created_at, fresh.has_keys), (None, START, true));

    let second = app_keys::add(&app.management, robot.id(), Some(DAY * 3)).unwrap();
    let third = app_keys::add(&app.management, robot.id(), Some(DAY * 5)).unwrap();
    app_keys::add(&app.management, robot.id(), Some(DAY)).unwrap();
    app_keys::revoke(&app.management, robot.id(), third.id).unwrap();
    app.clock.advance(DAY * 2);
    app.catch_up();
    app.token(&robot);
    flush(&app);
    apps::update(&app.management, robot.id(), AppUpdate { enabled: Some(false), ..AppUpdate::default() }).unwrap();
    let later = only();
    let hint = second.client_secret.reveal()[second.client_secret.reveal().len() - 4..].to_owned();
    assert_eq!((later.live_keys, later.next_end), (2, Some((hint, START + DAY * 3))));
    assert_eq!((later.last_used_at, later.disabled_at), (Some(START + DAY * 2), Some(START + DAY * 2)));
}

fn of_many_who_make_apps_at_once_as_many_succeed_as_may(settings: Settings) {
    const MAKERS: usize = 20;
    let app = TestApp::with(&[settings, &[("apps-per-organisation", "7")]].concat());
    let (m, together) = (&app.management, Arc::new(Barrier::new(MAKERS)));
    let outcomes: Vec<Result<_, ServiceError>> = thread::scope(|scope| {
        let make = || {
            let together = together.clone();
            scope.spawn(move || {
                together.wait();
                apps::create(m, "acme", new_app(&["billing:read"])).map(|created| created.client_id)
            })
        };
        let threads: Vec<_> = (0..MAKERS).map(|_| make()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), page(&app, &all()).total), (7, 7));
    for outcome in refused {
        assert!(
            matches!(&outcome, Err(ServiceError::Conflict(text)) if text.contains("apps-per-organisation")),
            "{outcome:?}"
        );
    }
    // Where one goes, there is room for another.
    apps::delete(m, *made[0].as_ref().unwrap()).unwrap();
    apps::create(m, "acme", new_app(&[])).unwrap();
}

fn a_rotation_without_end_leaves_the_old_key_as_it_is(settings: Settings) {
    let app = TestApp::with(settings);
    let robot = named(&app, "robot");
    let key = app_keys::rotate(&app.management, robot.id(), Overlap::UntilRevoked, None).unwrap();
    app.catch_up();
    let new = Credentials { secret: key.client_secret.reveal().to_owned(), ..robot.clone() };
    app.clock.advance(DAY * 400);
    app.catch_up();
    app.token(&robot);
    app.token(&new);
    let keys = app_keys::list(&app.management, robot.id()).unwrap();
    assert_eq!(keys.iter().map(|key| key.expires_at).collect::<Vec<_>>(), [None, None]);
    app_keys::revoke(&app.management, robot.id(), keys[0].id).unwrap();
    app.catch_up();
    assert_eq!(app.token_request(&[], &robot.form()).status, 401);
    app.token(&new);
}
