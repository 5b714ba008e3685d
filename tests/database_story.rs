//! The memory: one story, played on SQLite and on PostgreSQL, with the same answers.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use brevet::clock::{Clock, ManualClock};
use brevet::config::{Config, Settings, SourceValues};
use brevet::db::apis::ScopeRecord;
use brevet::db::app_keys::{self, AppKeyRecord};
use brevet::db::changes::{self, ChangeKind};
use brevet::db::developers::Role;
use brevet::db::organisations::OrganisationRecord;
use brevet::db::used_jti::{self, Jti};
use brevet::db::{AnyConnection, Database, DbError, apps as app_rows, audit, meta, organisations as organisation_rows};
use brevet::db::{revocations, usage};
use brevet::oauth::client::ClientAuthentication;
use brevet::oauth::networks::Networks;
use brevet::oauth::{ClientId, SigningAlgorithm, TokenProfile};
use brevet::secret::{Pepper, Secret, StoredSecret, generate_client_secret};
use brevet::service::accounts::{self, NewMember};
use brevet::service::apis::{self, ApiUpdate, NewApi};
use brevet::service::apps::{self, NewApp};
use brevet::service::{Authority, Management, ServiceError, app_keys as keys, organisations, revocation, signing_keys};
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{START, TestApp, decode_jwt, new_app, postgres, test_config};

type Pairs<'a> = &'a [(&'a str, &'a str)];

crate::support::postgres::on_both_databases! {
    organisations_and_their_people_are_kept
    apis_and_their_scopes_are_kept
    apps_and_their_keys_are_kept
    every_deed_is_written_down_and_passed_on_in_order
    a_name_comes_back_as_it_was_given_and_nul_is_refused_everywhere
    lists_are_in_the_order_of_bytes
    counts_add_up_and_the_last_use_is_shown
    old_counts_and_those_of_apps_that_are_gone_are_forgotten
    a_revoked_token_is_kept_until_it_would_have_expired
    a_revocation_is_not_lost_while_the_list_is_read_anew
    an_id_is_used_once_until_it_is_forgotten
    of_many_who_use_an_id_at_once_one_is_first
    what_fails_leaves_no_trace
    one_failure_among_many_writers_spoils_no_other
    many_writers_at_once_all_get_in_and_whoever_follows_misses_nothing
    the_tables_are_brought_up_to_date_once
    the_tables_are_those_that_the_program_names
    tables_of_a_newer_program_are_refused
    programs_that_start_together_on_one_data_directory_agree
    nodes_that_start_together_with_one_master_key_agree
    a_node_with_a_master_key_of_its_own_is_turned_away
    a_master_key_that_does_not_fit_is_refused_and_never_replaced
}

/// An open memory without a server.
struct Memory {
    m: Management,
    data: TempDir,
}

fn open(settings: Pairs) -> Memory {
    let data = tempfile::tempdir().unwrap();
    let m = reopen(&data, settings).unwrap();
    Memory { m, data }
}

fn reopen(data: &TempDir, settings: Pairs) -> Result<Management, ServiceError> {
    Management::open(test_config(data, settings), Arc::new(ManualClock::new(START)), "test")
}

/// The kind and the words of a refusal, which must be one line.
fn refusal<T: Debug>(result: Result<T, ServiceError>) -> String {
    let error = result.unwrap_err();
    let kind = match &error {
        ServiceError::NotFound(_) | ServiceError::UnknownScope(_) => "not found",
        ServiceError::Invalid(_) | ServiceError::InvalidField { .. } => "invalid",
        ServiceError::BeyondPower(_) => "beyond power",
        ServiceError::Stale => "stale",
        ServiceError::KeyReused => "key reused",
        ServiceError::Repeated => "repeated",
        ServiceError::Conflict(_) => "conflict",
        ServiceError::Rival(_) => "rival",
        ServiceError::Throttled(_) => "throttled",
        ServiceError::Unavailable(_) => "unavailable",
        ServiceError::Setup(_) => "setup",
        ServiceError::Internal(_) => "internal",
    };
    let text = error.to_string();
    assert!(!text.contains('\n'), "more than one line: {text}");
    format!("{kind}: {text}")
}

fn scope(name: &str) -> ScopeRecord {
    ScopeRecord { name: name.to_owned(), description: String::new(), sensitive: false }
}

fn new_api<'a>(organisation: &'a str, identifier: &'a str, scopes: &[&str]) -> NewApi<'a> {
    NewApi {
        organisation,
        name: identifier,
        identifier,
        scopes: scopes.iter().map(|name| scope(name)).collect(),
        profile: TokenProfile::Rfc9068,
        algorithm: SigningAlgorithm::Rs256,
        lifetime: None,
    }
}

fn actions(m: &Management, target: &impl ToString) -> Vec<String> {
    let target = target.to_string();
    let rows = m.database().read(|conn| audit::list_actions(conn, &target)).unwrap();
    rows.into_iter()
        .map(|(action, actor)| {
            assert_eq!(actor, "test");
            action
        })
        .collect()
}

fn organisations_and_their_people_are_kept(settings: Pairs) {
    let Memory { m, .. } = open(settings);
    let acme = organisations::create(&m, "acme", "  ACME & Söhne ").unwrap();
    organisations::create(&m, "beta", "Beta").unwrap();
    assert_eq!(
        refusal(organisations::create(&m, "acme", "Again")),
        "conflict: the slug `acme` is taken; choose another"
    );
    let listed = organisations::list(&m).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], acme);
    assert_eq!(listed[0].name, "ACME & Söhne");

    let password = Secret::new("correct horse battery");
    let member = |organisation, email, login| NewMember {
        organisation,
        email,
        login,
        role: Role::Developer,
        password: &password,
    };
    let ada = accounts::create(&m, &member("acme", "Ada@Example.COM", Some("ada"))).unwrap();
    accounts::create(&m, &member("beta", "bob@example.com", Some("ada"))).unwrap();
    assert_eq!(
        refusal(accounts::create(&m, &member("acme", "ada@example.com", None))),
        "conflict: there is a user ada@example.com already"
    );
    assert_eq!(
        refusal(accounts::create(&m, &member("acme", "eve@example.com", Some("ada")))),
        "conflict: that login is taken in this organisation"
    );
    assert_eq!(
        refusal(accounts::create(&m, &member("nowhere", "eve@example.com", None))),
        "not found: there is no organisation `nowhere`; see: brevet org list"
    );
    accounts::create(&m, &member("acme", "eve@example.com", None)).unwrap();

    accounts::set_enabled(&m, "ADA@example.com", false).unwrap();
    accounts::reset_password(&m, "ada@example.com", &Secret::new("another long password")).unwrap();
    assert_eq!(
        refusal(accounts::set_enabled(&m, "nobody@example.com", false)),
        "not found: there is no user nobody@example.com; see: brevet user list"
    );
    let shown: Vec<_> = accounts::list(&m, Some("acme"))
        .unwrap()
        .into_iter()
        .map(|member| (member.email, member.login, member.disabled_at))
        .collect();
    assert_eq!(
        shown,
        [
            ("ada@example.com".to_owned(), Some("ada".to_owned()), Some(START)),
            ("eve@example.com".to_owned(), None, None)
        ]
    );
    assert_eq!(accounts::list(&m, None).unwrap().len(), 3);
    assert_eq!(actions(&m, &ada), ["user.create", "user.disable", "user.reset-password"]);

    organisations::set_enabled(&m, "acme", false).unwrap();
    assert_eq!(organisations::list(&m).unwrap()[0].disabled_at, Some(START));
    organisations::set_enabled(&m, "acme", true).unwrap();
    assert_eq!(organisations::list(&m).unwrap()[0].disabled_at, None);
    assert_eq!(actions(&m, &acme.id), ["organisation.create", "organisation.disable", "organisation.enable"]);
}

fn apis_and_their_scopes_are_kept(settings: Pairs) {
    const BILLING: &str = "https://billing.example";
    let Memory { m, .. } = open(settings);
    organisations::create(&m, "acme", "ACME").unwrap();
    organisations::create(&m, "beta", "Beta").unwrap();
    let api = apis::create(&m, &new_api("acme", BILLING, &["billing:write", "billing:read"])).unwrap().api;
    assert_eq!(apis::show(&m, BILLING).unwrap().api, api);
    let names: Vec<_> = api.scopes.iter().map(|scope| scope.name.as_str()).collect();
    assert_eq!(names, ["billing:write", "billing:read"], "in the order in which they were given");

    let elsewhere = apis::create(&m, &new_api("beta", BILLING, &[]));
    assert_eq!(refusal(elsewhere), "conflict: the identifier https://billing.example is taken on this server");
    apis::create(&m, &new_api("beta", "https://other.example", &["billing:read"])).unwrap();
    let taken = "conflict: a scope of that name belongs to an API of this organisation already";
    let second = apis::create(&m, &new_api("acme", "https://second.example", &["billing:read"]));
    assert!(refusal(second).starts_with(taken));
    assert_eq!(
        refusal(apis::show(&m, "https://second.example")),
        "not found: there is no API https://second.example; see: brevet api list --org SLUG"
    );
    assert!(refusal(apis::add_scope(&m, BILLING, scope("billing:read"))).starts_with(taken));
    assert_eq!(
        refusal(apis::add_scope(&m, BILLING, scope("apps:read"))),
        "conflict: the scope `apps:read` belongs to Brevet's own API"
    );
    apis::add_scope(&m, BILLING, scope("billing:export")).unwrap();

    let update = ApiUpdate {
        name: Some("Billing".to_owned()),
        profile: Some(TokenProfile::Classic),
        algorithm: Some(SigningAlgorithm::EdDsa),
        lifetime: Some(Some(Duration::from_secs(600))),
    };
    let updated = apis::update(&m, BILLING, &update).unwrap().api;
    assert_eq!(apis::show(&m, BILLING).unwrap().api, updated);
    assert_eq!(updated.lifetime, Some(Duration::from_secs(600)));
    let of_beta = apis::list(&m, "beta").unwrap();
    assert_eq!(
        of_beta.iter().map(|api| api.identifier.as_str()).collect::<Vec<_>>(),
        ["https://other.example", "http://127.0.0.1:8080/api/v1"]
    );

    let app = apps::create(&m, "acme", new_app(&["billing:read", "billing:export"])).unwrap();
    assert_eq!(
        refusal(apis::delete(&m, BILLING)),
        "conflict: 1 app(s) have scopes of https://billing.example; take them away first"
    );
    apis::remove_scope(&m, BILLING, "billing:read").unwrap();
    assert_eq!(
        refusal(apis::remove_scope(&m, BILLING, "billing:read")),
        "not found: https://billing.example has no scope `billing:read`"
    );
    let left = apps::show(&m, app.client_id).unwrap().app.scopes;
    assert_eq!(left, [(api.id, "billing:export".to_owned())]);
    apis::remove_scope(&m, BILLING, "billing:export").unwrap();
    apis::delete(&m, BILLING).unwrap();
    assert_eq!(apis::list(&m, "acme").unwrap().len(), 1, "Brevet's own is left");
    assert_eq!(
        actions(&m, &api.id),
        ["api.create", "api.scope.add", "api.update", "api.scope.remove", "api.scope.remove", "api.delete"]
    );
}

fn apps_and_their_keys_are_kept(settings: Pairs) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let Memory { m, .. } = open(settings);
    organisations::create(&m, "acme", "ACME").unwrap();
    let api = apis::create(&m, &new_api("acme", "https://billing.example", &["b", "a"])).unwrap().api;
    let claims = json!({ "https://example.com/plan": { "name": "größer", "seats": [1, 2] } });
    let created = apps::create(
        &m,
        "acme",
        NewApp {
            lifetime: Some(HOUR),
            claims: claims.as_object().unwrap().clone(),
            ..new_app(&["b", "a", "b", "apps:read"])
        },
    )
    .unwrap();
    let id = created.client_id;
    let shown = apps::show(&m, id).unwrap();
    assert_eq!(shown.organisation, "acme");
    assert_eq!(shown.app.lifetime, Some(HOUR));
    assert_eq!(shown.app.claims.as_ref(), claims.as_object());
    let scopes: Vec<_> = shown.app.scopes.iter().map(|(_, scope)| scope.as_str()).collect();
    assert_eq!(scopes, ["a", "apps:read", "b"]);
    assert_eq!(shown.app.scopes[0].0, api.id);

    assert_eq!(
        refusal(apps::create(&m, "acme", new_app(&["a", "nothing"]))),
        "not found: no API of the organisation has a scope `nothing`; see: brevet api list --org SLUG"
    );
    assert_eq!(
        refusal(apps::create(&m, "nowhere", new_app(&[]))),
        "not found: there is no organisation `nowhere`; see: brevet org list"
    );
    let unknown = ClientId::generate();
    let not_there = format!("not found: there is no app {unknown}; see: brevet app list --org SLUG");
    assert_eq!(refusal(apps::show(&m, unknown)), not_there);
    assert_eq!(refusal(apps::set_enabled(&m, unknown, false)), not_there);
    assert_eq!(refusal(apps::delete(&m, unknown)), not_there);
    assert_eq!(refusal(keys::add(&m, unknown, None)), not_there);

    let first = shown.keys[0].id;
    assert!(refusal(keys::revoke(&m, id, first)).starts_with("conflict: that is the app's last live key;"));
    let added = keys::add(&m, id, Some(HOUR)).unwrap();
    assert_eq!(added.expires_at, Some(START + HOUR));
    for _ in 0..3 {
        keys::add(&m, id, None).unwrap();
    }
    assert!(refusal(keys::add(&m, id, None)).starts_with("conflict: the app has 5 live keys"));
    keys::revoke(&m, id, first).unwrap();
    keys::revoke(&m, id, added.id).unwrap();
    assert!(refusal(keys::revoke(&m, id, Uuid::now_v7())).starts_with("not found: the app has no key"));
    let rotated = keys::rotate(&m, id, HOUR, None).unwrap();
    let listed = keys::list(&m, id).unwrap();
    assert!(listed.is_sorted_by_key(|key| key.id), "oldest first");
    let live: Vec<_> = listed.iter().filter(|key| key.is_live(START + HOUR)).map(|key| key.id).collect();
    assert_eq!(live, [rotated.id], "the others end with the overlap");
    assert_eq!(listed.iter().filter(|key| key.is_live(START)).count(), 4);
    assert_eq!(listed[0].created_by, "test");
    assert!(created.client_secret.unwrap().reveal().ends_with(&listed[0].hint));

    apps::set_enabled(&m, id, false).unwrap();
    assert_eq!(apps::show(&m, id).unwrap().app.disabled_at, Some(START));
    apps::set_enabled(&m, id, true).unwrap();
    assert_eq!(apps::show(&m, id).unwrap().app.disabled_at, None);
    apps::delete(&m, id).unwrap();
    assert!(refusal(apps::show(&m, id)).starts_with("not found"));
    assert_eq!(
        actions(&m, &id),
        [
            "app.create",
            "app.key.add",
            "app.key.add",
            "app.key.add",
            "app.key.add",
            "app.key.revoke",
            "app.key.revoke",
            "app.key.rotate",
            "app.disable",
            "app.enable",
            "app.delete"
        ]
    );

    let ids: Vec<ClientId> = (0..5).map(|_| apps::create(&m, "acme", new_app(&[])).unwrap().client_id).collect();
    let page = |after, limit| -> Vec<ClientId> {
        let apps = apps::list(&m, "acme", after, limit).unwrap();
        apps.into_iter().map(|app| app.client_id).collect()
    };
    let all = page(None, 100);
    assert_eq!(all.len(), ids.len());
    assert!(all.is_sorted_by_key(ToString::to_string));
    assert_eq!([page(None, 2), page(Some(all[1]), 2), page(Some(all[3]), 2)].concat(), all);
}

fn every_deed_is_written_down_and_passed_on_in_order(settings: Pairs) {
    let Memory { m, .. } = open(settings);
    let before = m.database().read(changes::span).unwrap().1;
    let acme = organisations::create(&m, "acme", "ACME").unwrap();
    let api = apis::create(&m, &new_api("acme", "https://billing.example", &["a"])).unwrap().api;
    let app = apps::create(&m, "acme", new_app(&["a"])).unwrap().client_id;
    apps::set_enabled(&m, app, false).unwrap();
    organisations::set_enabled(&m, "acme", false).unwrap();
    let kid = signing_keys::generate(&m, SigningAlgorithm::EdDsa).unwrap();

    let rows = m.database().read(|conn| changes::list_after(conn, before)).unwrap();
    assert!(rows.is_sorted_by(|a, b| a.seq < b.seq));
    let mut heard: Vec<_> = rows.into_iter().map(|change| (change.kind.unwrap(), change.id)).collect();
    assert_eq!(heard.remove(0).0, ChangeKind::SigningKeys, "the API needed a key");
    assert_eq!(
        heard,
        [
            (ChangeKind::Api, api.id.to_string()),
            (ChangeKind::App, app.to_string()),
            (ChangeKind::App, app.to_string()),
            (ChangeKind::Organisation, acme.id.to_string()),
            (ChangeKind::SigningKeys, kid),
        ]
    );

    let last = m.database().read(changes::span).unwrap().1;
    let later = START + changes::KEPT + Duration::from_secs(1);
    let delete_old = move |m: &Management| m.database().write(move |conn| changes::delete_old(conn, later)).unwrap();
    assert_ne!(delete_old(&m), 0);
    assert_eq!(delete_old(&m), 0);
    assert_eq!(m.database().read(changes::span).unwrap(), (last, last), "the last one holds the place");
}

fn a_name_comes_back_as_it_was_given_and_nul_is_refused_everywhere(settings: Pairs) {
    let Memory { m, .. } = open(settings);
    let name = "Größe 東京 🚀 e\u{301} ʼ\"\\%_'";
    organisations::create(&m, "acme", name).unwrap();
    assert_eq!(organisations::list(&m).unwrap()[0].name, name);
    let described = ScopeRecord { name: "a%_':b".to_owned(), description: name.to_owned(), sensitive: true };
    let api = NewApi { name, scopes: vec![described.clone()], ..new_api("acme", "urn:x", &[]) };
    apis::create(&m, &api).unwrap();
    let shown = apis::show(&m, "urn:x").unwrap().api;
    assert_eq!((shown.name.as_str(), shown.scopes), (name, vec![described]));
    let claims = json!({ "https://example.com/x": format!("a\0b{name}") });
    let app = NewApp { name: name.to_owned(), claims: claims.as_object().unwrap().clone(), ..new_app(&["a%_':b"]) };
    let id = apps::create(&m, "acme", app).unwrap().client_id;
    let shown = apps::show(&m, id).unwrap().app;
    assert_eq!((shown.name.as_str(), shown.claims.as_ref()), (name, claims.as_object()));

    let password = Secret::new("correct horse battery");
    let member =
        |email, login| NewMember { organisation: "acme", email, login, role: Role::Owner, password: &password };
    let with_nul = ScopeRecord { name: "c".to_owned(), description: "a\0b".to_owned(), sensitive: false };
    let named = |name: &str| NewApp { name: name.to_owned(), ..NewApp::default() };
    let api_described = NewApi { scopes: vec![with_nul.clone()], ..new_api("acme", "urn:y", &[]) };
    let refusals = [
        refusal(organisations::create(&m, "a\0b", "x")),
        refusal(organisations::create(&m, "b", "a\0b")),
        refusal(organisations::set_enabled(&m, "acme\0", false)),
        refusal(accounts::create(&m, &member("a\0@example.com", None))),
        refusal(accounts::create(&m, &member("a@example.com", Some("a\0b")))),
        refusal(accounts::reset_password(&m, "a\0@example.com", &password)),
        refusal(accounts::list(&m, Some("acme\0"))),
        refusal(apis::create(&m, &new_api("acme", "urn:y\0", &[]))),
        refusal(apis::create(&m, &new_api("acme", "urn:y", &["a\0"]))),
        refusal(apis::create(&m, &new_api("acme\0", "urn:y", &[]))),
        refusal(apis::create(&m, &api_described)),
        refusal(apis::show(&m, "urn:x\0")),
        refusal(apis::list(&m, "acme\0")),
        refusal(apis::delete(&m, "urn:x\0")),
        refusal(apis::add_scope(&m, "urn:x", with_nul)),
        refusal(apis::remove_scope(&m, "urn:x", "a\0")),
        refusal(apps::create(&m, "acme\0", named("x"))),
        refusal(apps::create(&m, "acme", named("a\0b"))),
        refusal(apps::create(&m, "acme", new_app(&["a\0"]))),
        refusal(apps::list(&m, "acme\0", None, 1)),
        refusal(signing_keys::revoke(&m, "a\0")),
    ];
    for text in refusals {
        assert!(text.starts_with("invalid") || text.starts_with("not found"), "{text:?}");
    }
}

fn lists_are_in_the_order_of_bytes(settings: Pairs) {
    let app = TestApp::empty(settings);
    let m = &app.management;
    // A dictionary would put them the other way round.
    for slug in ["ab", "a-c", "a1"] {
        organisations::create(m, slug, slug).unwrap();
    }
    let slugs: Vec<_> = organisations::list(m).unwrap().into_iter().map(|found| found.slug).collect();
    assert_eq!(slugs, ["a-c", "a1", "ab"]);

    let password = Secret::new("correct horse battery");
    for email in ["ab@example.com", "a-c@example.com", "a_d@example.com"] {
        let member = NewMember { organisation: "ab", email, login: None, role: Role::Viewer, password: &password };
        accounts::create(m, &member).unwrap();
    }
    let emails: Vec<_> = accounts::list(m, None).unwrap().into_iter().map(|member| member.email).collect();
    assert_eq!(emails, ["a-c@example.com", "a_d@example.com", "ab@example.com"]);

    apis::create(m, &new_api("ab", "urn:ab", &["b", "a:z", "B", "a-z"])).unwrap();
    apis::create(m, &new_api("ab", "urn:a-c", &["ab"])).unwrap();
    apis::create(m, &new_api("ab", "urn:Z", &[])).unwrap();
    let identifiers: Vec<_> = apis::list(m, "ab").unwrap().into_iter().map(|api| api.identifier).collect();
    assert_eq!(identifiers[..3], ["urn:Z", "urn:a-c", "urn:ab"]);

    let client = app.create_app_with("ab", new_app(&["b", "a:z", "B", "a-z", "ab"]));
    let (_, claims) = decode_jwt(&app.token(&client));
    assert_eq!(claims["scope"], "B a-z a:z ab b");
}

fn counts_add_up_and_the_last_use_is_shown(settings: Pairs) {
    let app = TestApp::with(settings);
    let (used, idle) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
    let shown = |credentials: &crate::support::Credentials| apps::show(&app.management, credentials.id()).unwrap();
    let flush = || {
        app.authority.usage.flush(app.management.database(), app.clock.now()).unwrap();
    };
    let counts = || {
        let details = shown(&used);
        (details.issued_24h, details.refused_24h)
    };
    let wrong = format!("{}x", used.form());
    for _ in 0..3 {
        app.token(&used);
    }
    app.token_request(&[], &wrong).assert_status(401);
    assert_eq!(counts(), (0, 0), "not written yet");
    flush();
    assert_eq!(counts(), (3, 1));
    flush();
    assert_eq!(counts(), (3, 1), "nothing is written twice");
    let details = shown(&used);
    assert_eq!(details.app.last_used_at, Some(START));
    assert_eq!(details.keys[0].last_used_at, Some(START));
    assert_eq!(details.keys[0].last_used_from.as_deref(), Some("127.0.0.1"));
    assert_eq!(shown(&idle).app.last_used_at, None);

    app.clock.advance(Duration::from_secs(5_000));
    app.token(&used);
    app.token_request(&[], &wrong).assert_status(401);
    flush();
    assert_eq!(counts(), (4, 2), "over two hours of the clock");
    assert_eq!(shown(&used).app.last_used_at, Some(app.clock.now()));
    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(counts(), (1, 1), "the first hour is more than a day ago");
    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(counts(), (0, 0));

    apps::delete(&app.management, used.id()).unwrap();
    let left = app.management.database().read(|conn| usage::total(conn, used.id(), START)).unwrap();
    assert_eq!(left, (0, 0));
}

fn old_counts_and_those_of_apps_that_are_gone_are_forgotten(settings: Pairs) {
    let app = TestApp::with(settings);
    let (gone, kept) = (app.create_app(&["billing:read"]), app.create_app(&["billing:read"]));
    let database = app.management.database();
    let flush = || app.authority.usage.flush(database, app.clock.now()).unwrap();
    let issued = |id: ClientId| database.read(|conn| usage::total(conn, id, START)).unwrap().0;
    app.token(&kept);
    flush();
    app.clock.advance(Duration::from_secs(7_200));
    app.token(&gone);
    app.token(&kept);
    apps::delete(&app.management, gone.id()).unwrap();
    flush();
    assert_eq!((issued(gone.id()), issued(kept.id())), (1, 2));

    let from = app.clock.now();
    database.write(move |conn| usage::delete_stale(conn, from, from)).unwrap();
    assert_eq!((issued(gone.id()), issued(kept.id())), (0, 1));
}

fn a_revoked_token_is_kept_until_it_would_have_expired(settings: Pairs) {
    let app = TestApp::with(settings);
    let client = app.create_app(&["billing:read"]);
    let (dead, alive) = (app.token(&client), app.token(&client));
    let jti = revocation::revoke(&app.management, &dead).unwrap();
    assert_eq!(revocation::revoke(&app.management, &dead).unwrap(), jti, "again is no error");
    assert_eq!(actions(&app.management, &jti), ["token.revoke"]);
    app.catch_up();
    app.get_with_token("/api/v1/whoami", &dead).assert_status(401);
    app.get_with_token("/api/v1/whoami", &alive).assert_status(200);

    let database = app.management.database();
    let duplicate = {
        let jti = jti.clone();
        database.write(move |conn| revocations::insert(conn, &jti, client.id(), START, START))
    };
    assert!(matches!(duplicate, Err(DbError::Duplicate)), "{duplicate:?}");
    let purge = |now| database.write(move |conn| revocations::delete_expired(conn, now)).unwrap();
    let expiry = START + Duration::from_secs(86_400);
    assert_eq!(purge(expiry - Duration::from_secs(1)), 0);
    assert_eq!(database.read(|conn| revocations::list(conn, START)).unwrap(), [(jti.clone(), expiry)]);
    assert_eq!(database.read(|conn| revocations::list(conn, expiry)).unwrap(), []);
    assert_eq!(purge(expiry), 1);
    assert!(!database.read(|conn| revocations::contains(conn, &jti)).unwrap());

    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(
        refusal(revocation::revoke(&app.management, &alive)),
        "invalid: that token cannot be revoked: The access token expired at 2026-11-23T00:00:00Z."
    );
}

/// Housekeeping reads the whole list now and then, while the tail adds to it what it hears.
fn a_revocation_is_not_lost_while_the_list_is_read_anew(settings: Pairs) {
    let app = TestApp::empty(settings);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                app.authority.directory.reload_revocations(START).unwrap();
            }
        });
        let lost: Vec<String> = (0..200)
            .map(|number| format!("token-{number}"))
            .filter(|jti| {
                let revoked = jti.clone();
                let write = move |conn: &mut AnyConnection| {
                    let expiry = START + Duration::from_secs(60);
                    revocations::insert(conn, &revoked, ClientId::generate(), START, expiry)?;
                    changes::record(conn, ChangeKind::Revocations, &revoked, START)
                };
                app.management.database().write(write).unwrap();
                app.catch_up();
                !app.authority.directory.is_revoked(jti)
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(lost, Vec::<String>::new());
    });
}

/// Records an id of one issuer and purpose, without waiting for a thread.
fn use_once(database: &Database, issuer: &'static str, purpose: &'static str, jti: &str) -> Result<Jti, DbError> {
    let jti = jti.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let record =
        move |conn: &mut AnyConnection| used_jti::record(conn, issuer, purpose, &jti, START + Duration::from_secs(60));
    runtime.block_on(database.insert_off_thread(record))
}

fn an_id_is_used_once_until_it_is_forgotten(settings: Pairs) {
    let Memory { m, data } = open(settings);
    let database = m.database();
    let long = "é".repeat(128);
    for jti in ["1", "A", "a", long.as_str(), " 1"] {
        assert_eq!(use_once(database, "app", "assertion", jti).unwrap(), Jti::Fresh, "{jti}");
        assert_eq!(use_once(database, "app", "assertion", jti).unwrap(), Jti::Replayed, "{jti}");
    }
    assert_eq!(use_once(database, "other", "assertion", "1").unwrap(), Jti::Fresh, "another issuer's");
    assert_eq!(use_once(database, "app", "proof", "1").unwrap(), Jti::Fresh, "for another purpose");
    use_once(database, "app", "assertion", "1\0").unwrap_err();

    let again = reopen(&data, settings).unwrap();
    assert_eq!(use_once(again.database(), "app", "assertion", "1").unwrap(), Jti::Replayed, "after a restart");
    let purge = |after: u64| {
        database.write(move |conn| used_jti::delete_expired(conn, START + Duration::from_secs(after))).unwrap()
    };
    assert_eq!(purge(59), 0);
    assert_eq!(use_once(database, "app", "assertion", "1").unwrap(), Jti::Replayed, "to the last second");
    assert_eq!(purge(60), 7);
    assert_eq!(use_once(database, "app", "assertion", "1").unwrap(), Jti::Fresh);
}

fn of_many_who_use_an_id_at_once_one_is_first(settings: Pairs) {
    const USERS: usize = 12;
    let Memory { m, .. } = open(settings);
    let together = Barrier::new(USERS);
    let answers: Vec<Jti> = thread::scope(|scope| {
        let record = || {
            together.wait();
            use_once(m.database(), "app", "assertion", "the same").unwrap()
        };
        let users: Vec<_> = (0..USERS).map(|_| scope.spawn(record)).collect();
        users.into_iter().map(|user| user.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| **answer == Jti::Fresh).count(), 1, "{answers:?}");
}

#[test]
fn on_postgresql_an_id_is_recorded_while_another_writer_is_at_work() {
    let Some(url) = postgres::database() else {
        return;
    };
    let Memory { m, .. } = open(&[("database-url", &url)]);
    let database = m.database().clone();
    let while_writing = move |_: &mut AnyConnection| {
        // On a thread of its own: it is not part of this transaction and does not wait for its end.
        thread::spawn(move || use_once(&database, "app", "assertion", "1")).join().unwrap()
    };
    assert_eq!(m.database().write(while_writing).unwrap(), Jti::Fresh);
}

fn organisation(slug: &str) -> OrganisationRecord {
    OrganisationRecord {
        id: Uuid::now_v7(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        disabled_at: None,
        not_before: START,
        created_at: START,
    }
}

/// A key of an app that is not there.
fn insert_orphan(conn: &mut AnyConnection) -> Result<(), DbError> {
    let key = AppKeyRecord {
        id: Uuid::now_v7(),
        hint: String::new(),
        created_at: START,
        created_by: String::new(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    };
    let secret = StoredSecret::new(&generate_client_secret().unwrap(), &Pepper::new([0; 32])).unwrap();
    app_keys::insert(conn, ClientId::generate(), &key, &secret)
}

fn slugs(database: &Database) -> Vec<String> {
    let found = database.read(organisation_rows::list).unwrap();
    found.into_iter().map(|found| found.slug).collect()
}

fn what_fails_leaves_no_trace(settings: Pairs) {
    let Memory { m, .. } = open(settings);
    let database = m.database();
    let acme = organisations::create(&m, "acme", "ACME").unwrap();
    let before = database.read(changes::span).unwrap();

    let own_error: Result<(), DbError> = database.write(|conn| {
        organisation_rows::insert(conn, &organisation("first"))?;
        changes::record(conn, ChangeKind::Organisation, "first", START)?;
        Err(DbError::Other("changed my mind".to_owned()))
    });
    assert_eq!(own_error.unwrap_err().to_string(), "changed my mind");
    let duplicate: Result<(), DbError> = database.write(|conn| {
        organisation_rows::insert(conn, &organisation("second"))?;
        organisation_rows::insert(conn, &organisation("acme"))
    });
    assert!(matches!(duplicate, Err(DbError::Duplicate)), "{duplicate:?}");
    let orphan: Result<(), DbError> = database.write(|conn| {
        organisation_rows::insert(conn, &organisation("third"))?;
        insert_orphan(conn)
    });
    assert!(matches!(orphan, Err(DbError::MissingReference)), "{orphan:?}");
    let no_scope = database.write(move |conn| {
        let app = apps_row(acme.id);
        app_rows::insert(conn, &app)?;
        app_rows::insert_scope(conn, app.client_id, Uuid::now_v7(), "nothing")
    });
    assert!(matches!(no_scope, Err(DbError::MissingReference)), "{no_scope:?}");

    assert_eq!(slugs(database), ["acme"]);
    assert_eq!(apps::list(&m, "acme", None, 10).unwrap(), []);
    assert_eq!(database.read(changes::span).unwrap(), before);
}

fn apps_row(organisation_id: Uuid) -> app_rows::AppRecord {
    app_rows::AppRecord {
        client_id: ClientId::generate(),
        organisation_id,
        name: "robot".to_owned(),
        description: String::new(),
        lifetime: None,
        claims: None,
        disabled_at: None,
        not_before: START,
        created_at: START,
        last_used_at: None,
        scopes: Vec::new(),
        authentication: ClientAuthentication::ClientSecret,
        dpop_required: false,
        allowed_networks: Networks::default(),
        token_exchange: false,
        owner_id: None,
    }
}

fn one_failure_among_many_writers_spoils_no_other(settings: Pairs) {
    const WRITERS: usize = 48;
    let Memory { m, .. } = open(settings);
    let together = Barrier::new(WRITERS);
    let outcomes: Vec<Result<(), DbError>> = thread::scope(|scope| {
        let write = |number: usize| {
            together.wait();
            m.database().write(move |conn| {
                organisation_rows::insert(conn, &organisation(&format!("n{number:02}")))?;
                match number % 3 {
                    0 => Ok(()),
                    1 => Err(DbError::Other("changed my mind".to_owned())),
                    _ => insert_orphan(conn),
                }
            })
        };
        let threads: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || write(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = match number % 3 {
            0 => outcome.is_ok(),
            1 => matches!(outcome, Err(DbError::Other(_))),
            _ => matches!(outcome, Err(DbError::MissingReference)),
        };
        assert!(expected, "{number}: {outcome:?}");
    }
    let expected: Vec<String> = (0..WRITERS).step_by(3).map(|number| format!("n{number:02}")).collect();
    assert_eq!(slugs(m.database()), expected);
}

fn many_writers_at_once_all_get_in_and_whoever_follows_misses_nothing(settings: Pairs) {
    const WRITERS: usize = 64;
    let Memory { m, .. } = open(settings);
    organisations::create(&m, "acme", "ACME").unwrap();
    let start = m.database().read(changes::span).unwrap().1;
    let together = Barrier::new(WRITERS);
    let done = AtomicBool::new(false);
    let (mut created, followed) = thread::scope(|scope| {
        // Reads as the tail of another node does: only what comes after the last row it saw.
        let follower = scope.spawn(|| {
            let (mut seen, mut last) = (Vec::new(), start);
            loop {
                let finished = done.load(Ordering::SeqCst);
                let rows = m.database().read(|conn| changes::list_after(conn, last)).unwrap();
                last = rows.last().map_or(last, |row| row.seq);
                seen.extend(rows);
                if finished {
                    return seen;
                }
            }
        });
        let create = || {
            together.wait();
            apps::create(&m, "acme", new_app(&[])).unwrap().client_id
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(create)).collect();
        let created: Vec<ClientId> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::SeqCst);
        (created, follower.join().unwrap())
    });
    let listed: Vec<ClientId> =
        apps::list(&m, "acme", None, 1_000).unwrap().into_iter().map(|app| app.client_id).collect();
    created.sort_by_key(ToString::to_string);
    assert_eq!(created, listed);
    assert!(followed.is_sorted_by(|a, b| a.seq < b.seq));
    let mut heard: Vec<String> = followed.into_iter().map(|change| change.id).collect();
    heard.sort();
    assert_eq!(heard, listed.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(listed.iter().all(|id| actions(&m, id) == ["app.create"]));
}

#[derive(QueryableByName)]
struct OneText {
    #[diesel(sql_type = Text)]
    value: String,
}

fn one_text(database: &Database, query: &str) -> String {
    let read = |conn: &mut AnyConnection| Ok(sql_query(query).get_result::<OneText>(conn)?.value);
    database.read(read).unwrap()
}

fn the_tables_are_brought_up_to_date_once(settings: Pairs) {
    let settings = [settings, &[("database-pool-size", "1"), ("database-timeout", "3s")]].concat();
    let Memory { m, data } = open(&settings);
    let status = m.database().migration_status().unwrap();
    assert_eq!((status.pending.len(), status.unknown.len()), (0, 0));
    assert_ne!(status.applied.len(), 0);
    organisations::create(&m, "acme", "ACME").unwrap();
    assert_eq!(m.database().migrate().unwrap(), Vec::<String>::new());
    assert_eq!(slugs(m.database()), ["acme"]);
    if !settings.iter().any(|(key, _)| *key == "database-url") {
        assert_eq!(one_text(m.database(), "SELECT journal_mode AS value FROM pragma_journal_mode"), "wal");
    } else {
        let limit = |name: &str| one_text(m.database(), &format!("SELECT current_setting('{name}') AS value"));
        assert_eq!(limit("statement_timeout"), "3s", "a migration may take long, what comes after may not");
        assert_eq!(limit("lock_timeout"), "3s");
    }
    drop(m);
    let cautious = [settings.as_slice(), &[("auto-migrate", "false")]].concat();
    reopen(&data, &cautious).unwrap();
}

/// A column: name, type and whether it may be empty.
type Column = (String, &'static str, bool);

#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    columns: Vec<Column>,
    key: Vec<String>,
}

/// What `src/db/schema.rs` and what belongs to it say.
fn named_tables() -> BTreeMap<String, Table> {
    let source: String = ["src/db/schema.rs", "src/db/schema/trust.rs"]
        .map(|file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap())
        .concat();
    let mut tables = BTreeMap::new();
    for block in source.split("diesel::table! {").skip(1) {
        let (head, body) = block.split_once('{').unwrap();
        let (name, key) = head.trim().trim_end_matches(')').split_once('(').unwrap();
        let columns = body.split('}').next().unwrap().lines().filter_map(|line| line.trim().split_once(" -> "));
        let column = |(name, kind): (&str, &str)| {
            let kind = kind.trim_end_matches(',');
            let inner = kind.strip_prefix("Nullable<").map(|inner| inner.trim_end_matches('>'));
            let plain = match inner.unwrap_or(kind) {
                "Text" => "text",
                "BigInt" => "integer",
                "Binary" => "binary",
                other => panic!("a type that this test does not know: {other}"),
            };
            (name.to_owned(), plain, inner.is_some())
        };
        let table = Table {
            columns: columns.map(column).collect(),
            key: key.trim_end_matches(')').split(',').map(|part| part.trim().to_owned()).collect(),
        };
        tables.insert(name.trim().to_owned(), table);
    }
    tables
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    nullable: i64,
    /// Its place in the primary key; 0 outside.
    #[diesel(sql_type = BigInt)]
    key_place: i64,
}

const SQLITE_COLUMNS: &str = "
    SELECT m.name AS table_name, c.name AS column_name, c.type AS kind,
           CAST(NOT c.\"notnull\" AND c.pk = 0 AS INTEGER) AS nullable, c.pk AS key_place
    FROM sqlite_schema m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'
    ORDER BY m.name, c.cid";

const POSTGRESQL_COLUMNS: &str = "
    SELECT c.table_name::text AS table_name, c.column_name::text AS column_name,
           CASE WHEN c.data_type = 'text' AND c.collation_name IS DISTINCT FROM 'C'
                THEN 'text, but not in the order of bytes (COLLATE \"C\")' ELSE c.data_type::text END AS kind,
           (c.is_nullable = 'YES')::int::bigint AS nullable,
           coalesce((SELECT k.ordinal_position::bigint
                     FROM information_schema.key_column_usage k
                     JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name)
                     WHERE t.constraint_type = 'PRIMARY KEY' AND t.constraint_schema = c.table_schema
                       AND k.table_name = c.table_name AND k.column_name = c.column_name), 0) AS key_place
    FROM information_schema.columns c
    WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '\\_\\_diesel%'
    ORDER BY c.table_name, c.ordinal_position";

fn real_tables(rows: Vec<ColumnRow>) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut keys: BTreeMap<(String, i64), String> = BTreeMap::new();
    for row in rows {
        let kind = match row.kind.to_lowercase().as_str() {
            "text" => "text",
            "integer" | "bigint" => "integer",
            "blob" | "bytea" => "binary",
            other => panic!("{}.{} is of type {other}", row.table_name, row.column_name),
        };
        if row.key_place > 0 {
            keys.insert((row.table_name.clone(), row.key_place), row.column_name.clone());
        }
        let table = tables.entry(row.table_name).or_default();
        table.columns.push((row.column_name, kind, row.nullable != 0));
    }
    for ((table, _), column) in keys {
        tables.get_mut(&table).unwrap().key.push(column);
    }
    tables
}

fn the_tables_are_those_that_the_program_names(settings: Pairs) {
    let Memory { data, .. } = open(settings);
    let url = settings.iter().find(|(key, _)| *key == "database-url");
    let rows: Vec<ColumnRow> = match url {
        Some((_, url)) => sql_query(POSTGRESQL_COLUMNS).load(&mut postgres::connect(url)).unwrap(),
        None => {
            let file = data.path().join("brevet.db");
            let mut conn = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
            conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
            sql_query(SQLITE_COLUMNS).load(&mut conn).unwrap()
        }
    };
    assert_eq!(real_tables(rows), named_tables());
}

fn execute(database: &Database, statement: &'static str) {
    let run = move |conn: &mut AnyConnection| -> Result<(), DbError> { Ok(conn.batch_execute(statement)?) };
    database.write(run).unwrap();
}

fn tables_of_a_newer_program_are_refused(settings: Pairs) {
    let Memory { m, data } = open(settings);
    execute(m.database(), "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    for auto_migrate in ["true", "false"] {
        let settings = [settings, &[("auto-migrate", auto_migrate)]].concat();
        let text = refusal(reopen(&data, &settings));
        assert!(
            text.starts_with(
                "setup: the database was last used by a newer Brevet (its tables have version 29990101000000"
            ),
            "{text}"
        );
    }
    assert_eq!(
        refusal(m.database().migrate().map_err(ServiceError::from)),
        format!(
            "setup: the database was last used by a newer Brevet (its tables have version 29990101000000, unknown to {}); start that version or a later one",
            env!("CARGO_PKG_VERSION")
        )
    );
}

/// Opens the memory and the hot view in many threads at once, each with connections of its own, as processes would.
fn start_together<C: Fn() -> Arc<Config> + Sync>(configs: &[C]) -> Vec<Result<Management, ServiceError>> {
    let together = Barrier::new(configs.len());
    thread::scope(|scope| {
        let start = |config: &C| {
            let config = config();
            together.wait();
            let m = Management::open(config, Arc::new(ManualClock::new(START)), "test")?;
            Authority::open(&m)?;
            Ok(m)
        };
        let threads: Vec<_> = configs.iter().map(|config| scope.spawn(move || start(config))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// One set of keys, and an App Key made by one is good for all.
fn assert_they_agree(started: Vec<Result<Management, ServiceError>>) {
    let nodes: Vec<Management> = started.into_iter().map(Result::unwrap).collect();
    organisations::create(&nodes[0], "acme", "ACME").unwrap();
    for node in &nodes {
        let keys = signing_keys::list(node).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(slugs(node.database()), ["acme"]);
    }
    let kid = signing_keys::list(&nodes[0]).unwrap()[0].dates.kid.clone();
    assert_eq!(actions(&nodes[0], &kid), ["key.generate"]);
}

fn programs_that_start_together_on_one_data_directory_agree(settings: Pairs) {
    let data = tempfile::tempdir().unwrap();
    let config = || test_config(&data, settings);
    assert_they_agree(start_together(&[config; 6]));
    let mut files: Vec<_> = fs::read_dir(data.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("brevet.db"))
        .collect();
    files.sort();
    assert_eq!(files, ["master.key"]);
}

/// The settings of a node: its own data directory, one database, and perhaps the master key as a variable.
fn node_config(data: &TempDir, database_url: &str, master_key: Option<&str>) -> Arc<Config> {
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let sources = SourceValues {
        flags: [flag("data-dir", data.path().to_str().unwrap()), flag("database-url", database_url)].into(),
        variables: master_key.map(|key| flag("BREVET_MASTER_KEY", key)).into_iter().collect(),
        file: None,
    };
    Arc::new(Config::new(&Settings::resolve(&sources).unwrap()).unwrap())
}

fn shared_url(settings: Pairs, shared: &TempDir) -> String {
    let given = settings.iter().find(|(key, _)| *key == "database-url");
    given.map_or_else(|| format!("sqlite://{}/shared.db", shared.path().display()), |(_, url)| (*url).to_owned())
}

fn nodes_that_start_together_with_one_master_key_agree(settings: Pairs) {
    let directories: Vec<TempDir> = (0..5).map(|_| tempfile::tempdir().unwrap()).collect();
    let url = shared_url(settings, &directories[0]);
    let (own, key) = (&directories[1..], "5a".repeat(32));
    let configs: Vec<_> = own.iter().map(|data| || node_config(data, &url, Some(&key))).collect();
    assert_they_agree(start_together(&configs));
    assert!(own.iter().all(|data| fs::read_dir(data.path()).unwrap().count() == 0), "no key file is made");
}

fn a_node_with_a_master_key_of_its_own_is_turned_away(settings: Pairs) {
    let directories: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let url = shared_url(settings, &directories[0]);
    let own = &directories[1..];
    let configs: Vec<_> = own.iter().map(|data| || node_config(data, &url, None)).collect();
    let started = start_together(&configs);
    let mut accepted = Vec::new();
    for (data, outcome) in own.iter().zip(started) {
        let file = data.path().join("master.key");
        match outcome {
            Ok(m) => {
                assert!(file.is_file());
                accepted.push(m);
            }
            refused => {
                let text = refusal(refused);
                assert!(text.starts_with("setup: the ") && text.contains("master"), "{text}");
                assert!(!file.exists(), "a key that is good for nothing is left behind");
            }
        }
    }
    assert_eq!(accepted.len(), 1);
    assert_they_agree(accepted.into_iter().map(Ok).collect());

    let late = tempfile::tempdir().unwrap();
    let open = |config| Management::open(config, Arc::new(ManualClock::new(START)), "test");
    let text = refusal(open(node_config(&late, &url, None)));
    assert!(text.contains("master.key is not there; restore it from a backup"), "{text}");
    let text = refusal(open(node_config(&late, &url, Some(&"0".repeat(64)))));
    assert!(
        text.starts_with("setup: the master key in BREVET_MASTER_KEY is not the one this database was made with"),
        "{text}"
    );
    assert_eq!(fs::read_dir(late.path()).unwrap().count(), 0);
}

fn a_master_key_that_does_not_fit_is_refused_and_never_replaced(settings: Pairs) {
    let Memory { m, data } = open(settings);
    signing_keys::advance(&m).unwrap();
    let file = data.path().join("master.key");
    let good = fs::read_to_string(&file).unwrap();
    let fingerprint = m.database().read(|conn| meta::find(conn, meta::MASTER_KEY)).unwrap();
    let keys = || signing_keys::list(&m).unwrap().into_iter().map(|key| key.dates.kid).collect::<Vec<_>>();
    let before = keys();

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let text = refusal(reopen(&data, settings));
    assert!(text.contains("has mode 0644, so others can read it; run: chmod 600"), "{text}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();

    let wrong = "0".repeat(64);
    let damaged = [
        ("", "a master key is 64 hex digits, this has 0 characters"),
        (&good[..40], "a master key is 64 hex digits, this has 40 characters"),
        (&wrong, "is not the one this database was made with; restore the right one from a backup"),
    ];
    for (content, expected) in damaged {
        fs::write(&file, content).unwrap();
        let text = refusal(reopen(&data, settings));
        assert!(text.starts_with("setup: ") && text.contains(expected), "{text}");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }

    fs::remove_file(&file).unwrap();
    let text = refusal(reopen(&data, settings));
    assert!(text.contains("is not there; restore it from a backup"), "{text}");
    assert!(!file.exists());

    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Authority::open(&reopen(&data, settings).unwrap()).unwrap();
    assert_eq!(keys(), before);
    let now = m.database().read(|conn| meta::find(conn, meta::MASTER_KEY)).unwrap();
    assert_eq!(now, fingerprint);
}

#[test]
fn a_change_that_panics_leaves_no_trace_and_the_next_one_is_made() {
    let Memory { m, .. } = open(&[]);
    let panicked = m.database().write(|conn| -> Result<(), DbError> {
        organisation_rows::insert(conn, &organisation("half-made"))?;
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    let made = organisations::create(&m, "acme", "Acme").unwrap();
    assert_eq!(slugs(m.database()), [made.slug]);
}

#[test]
fn the_database_file_and_its_companions_are_private() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let m = reopen(&data, &[]).unwrap();
    organisations::create(&m, "acme", "Acme").unwrap();
    for name in ["brevet.db", "brevet.db-wal", "brevet.db-shm"] {
        let mode = fs::metadata(data.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
