//! Who belongs to an organisation, who may change it, and who always stays.

use std::thread;
use std::time::Duration;

use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::secret::Secret;
use brevet::service::accounts::{self, NewMember};
use brevet::service::sessions::{Browser, SignedIn};
use brevet::service::{Caller, ServiceError, people, sign_in, team};
use uuid::Uuid;

use crate::support::{PASSWORD, TestApp, postgres};

struct Acme {
    app: TestApp,
    id: Uuid,
    owner: Uuid,
    admin: Uuid,
    developer: Uuid,
    viewer: Uuid,
}

impl Acme {
    fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::empty(settings);
        app.create_organisation("acme");
        let add = |name: &str, role| add(&app, "acme", &format!("{name}@example.com"), role);
        let (owner, admin) = (add("owner", Role::Owner), add("admin", Role::Admin));
        let (developer, viewer) = (add("developer", Role::Developer), add("viewer", Role::Viewer));
        let id = organisation_id(&app, "acme");
        Self { app, id, owner, admin, developer, viewer }
    }

    fn role(&self, person: Uuid) -> Option<Role> {
        let team = team::show(&self.app.management, self.id).unwrap();
        team.members.iter().find(|member| member.person.id == person).map(|member| member.role)
    }

    /// Somebody with a session.
    fn signed_in(&self, email: &str) -> SignedIn {
        let authority = &self.app.authority;
        let caller = Caller { address: [127, 0, 0, 1].into(), now: self.app.clock.now() };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let password = Secret::new(PASSWORD);
            let admitted = sign_in::sign_in(authority, caller, browser(), email, &password).await.unwrap().unwrap();
            authority.find_session(admitted.session, caller).await.unwrap().unwrap()
        })
    }

    fn invite(&self, by: Uuid, email: &str, role: Role) -> Result<Secret, ServiceError> {
        let invited = team::invite(&self.app.management, self.id, by, email, role)?;
        let link = invited.deliver(&self.app.authority)?.unwrap();
        Ok(Secret::new(link.url.reveal().rsplit('/').next().unwrap()))
    }
}

fn browser() -> Browser {
    Browser { address: [127, 0, 0, 1].into(), user_agent: "tests".to_owned(), shows: None }
}

fn add(app: &TestApp, organisation: &str, email: &str, role: Role) -> Uuid {
    let password = Secret::new(PASSWORD);
    accounts::create(&app.management, &NewMember { organisation, email, login: None, role, password: &password })
        .unwrap()
}

fn organisation_id(app: &TestApp, slug: &str) -> Uuid {
    let all = brevet::service::organisations::list(&app.management).unwrap();
    all.into_iter().find(|organisation| organisation.slug == slug).unwrap().id
}

fn is_refused<T: std::fmt::Debug>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::BeyondPower(_)))
}

fn is_dead<T: std::fmt::Debug>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::NotFound(_)))
}

postgres::on_both_databases! {
    nobody_gives_or_takes_more_power_than_they_have
    an_organisation_always_keeps_an_owner
    an_invitation_is_for_one_address_one_organisation_one_role_and_one_time
    somebody_always_runs_the_server
}

fn nobody_gives_or_takes_more_power_than_they_have(settings: &[(&str, &str)]) {
    let acme = Acme::new(settings);
    let m = &acme.app.management;
    for role in Role::ALL {
        for by in [acme.developer, acme.viewer] {
            assert!(is_refused(&acme.invite(by, "new@example.com", *role)));
            assert!(is_refused(&team::change_role(m, acme.id, by, acme.viewer, *role)));
        }
        assert!(is_refused(&team::change_role(m, acme.id, acme.admin, acme.owner, *role)));
    }
    assert!(is_refused(&acme.invite(acme.admin, "new@example.com", Role::Owner)));
    assert!(is_refused(&team::change_role(m, acme.id, acme.admin, acme.admin, Role::Owner)));
    assert!(is_refused(&team::remove(m, acme.id, acme.admin, acme.owner)));
    assert!(is_refused(&team::remove(m, acme.id, acme.developer, acme.viewer)));

    team::change_role(m, acme.id, acme.admin, acme.viewer, Role::Admin).unwrap();
    assert_eq!(acme.role(acme.viewer), Some(Role::Admin));
    team::change_role(m, acme.id, acme.owner, acme.viewer, Role::Owner).unwrap();
    team::remove(m, acme.id, acme.admin, acme.developer).unwrap();
    assert_eq!(acme.role(acme.developer), None);
    team::remove(m, acme.id, acme.admin, acme.admin).unwrap();
    assert!(is_dead(&acme.invite(acme.admin, "new@example.com", Role::Viewer)), "who left invites nobody");

    acme.app.create_organisation("other");
    let stranger = add(&acme.app, "other", "stranger@example.com", Role::Owner);
    assert!(is_dead(&team::change_role(m, acme.id, stranger, acme.viewer, Role::Viewer)));
    assert!(is_dead(&team::change_role(m, acme.id, acme.owner, stranger, Role::Viewer)));
}

fn an_organisation_always_keeps_an_owner(settings: &[(&str, &str)]) {
    let acme = Acme::new(settings);
    let m = &acme.app.management;
    let conflict = |result: Result<(), ServiceError>| matches!(result, Err(ServiceError::Conflict(_)));
    assert!(conflict(team::remove(m, acme.id, acme.owner, acme.owner)));
    assert!(conflict(team::change_role(m, acme.id, acme.owner, acme.owner, Role::Admin)));

    // Two owners who leave at once: one stays.
    for round in 0..4 {
        let second = add(&acme.app, "acme", &format!("second{round}@example.com"), Role::Owner);
        let owners: Vec<Uuid> = team::show(m, acme.id)
            .unwrap()
            .members
            .iter()
            .filter(|member| member.role == Role::Owner)
            .map(|member| member.person.id)
            .collect();
        assert_eq!(owners.len(), 2, "{second}");
        let left = thread::scope(|scope| {
            let leave = owners.iter().map(|owner| scope.spawn(|| team::remove(m, acme.id, *owner, *owner).is_ok()));
            let all: Vec<_> = leave.collect();
            all.into_iter().filter(|_| true).map(|one| one.join().unwrap()).filter(|left| *left).count()
        });
        assert_eq!(left, 1);
    }
    let disabled = add(&acme.app, "acme", "disabled@example.com", Role::Owner);
    people::set_enabled(m, disabled, false).unwrap();
    let owner = team::show(m, acme.id)
        .unwrap()
        .members
        .iter()
        .find(|member| member.role == Role::Owner && member.person.id != disabled)
        .unwrap()
        .person
        .id;
    assert!(conflict(team::remove(m, acme.id, owner, owner)), "an owner who is disabled is none");
    team::remove(m, acme.id, owner, disabled).unwrap();
}

fn an_invitation_is_for_one_address_one_organisation_one_role_and_one_time(settings: &[(&str, &str)]) {
    let acme = Acme::new(settings);
    let m = &acme.app.management;
    acme.app.create_organisation("other");
    let bo = add(&acme.app, "other", "bo@example.com", Role::Viewer);
    let secret = acme.invite(acme.admin, "Bo@Example.com", Role::Developer).unwrap();
    let bo_here = acme.signed_in("bo@example.com");

    let seen = team::invitation(m, &secret).unwrap();
    assert_eq!(
        (seen.organisation.slug.as_str(), seen.email.as_str(), seen.role),
        ("acme", "bo@example.com", Role::Developer)
    );
    assert!(is_refused(&team::accept(m, &secret, &acme.signed_in("viewer@example.com"))), "another address");
    assert!(matches!(
        team::accept_as_new(m, &secret, "$argon2id$".to_owned(), browser()),
        Err(ServiceError::Conflict(_))
    ));
    assert!(is_dead(&team::accept(m, &Secret::new("A".repeat(43)), &bo_here)), "forged");
    assert!(is_dead(&brevet::service::resets::look(m, &secret)), "no reset link");
    assert!(is_dead(&brevet::service::setup::look(m, &secret)), "no setup link");

    let joined = thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| team::accept(m, &secret, &bo_here).is_ok())).collect();
        tries.into_iter().map(|one| one.join().unwrap()).filter(|joined| *joined).count()
    });
    assert_eq!((joined, acme.role(bo)), (1, Some(Role::Developer)));
    assert!(is_dead(&team::accept(m, &secret, &bo_here)), "used");
    assert!(matches!(acme.invite(acme.owner, "bo@example.com", Role::Owner), Err(ServiceError::Conflict(_))));

    let secret = acme.invite(acme.owner, "cy@example.com", Role::Viewer).unwrap();
    assert!(
        matches!(acme.invite(acme.owner, "cy@example.com", Role::Viewer), Err(ServiceError::Conflict(_))),
        "at once again"
    );
    acme.app.clock.advance(Duration::from_secs(61));
    let again = acme.invite(acme.owner, "cy@example.com", Role::Admin).unwrap();
    assert!(is_dead(&team::invitation(m, &secret)), "the later one counts");
    let waiting = team::show(m, acme.id).unwrap().waiting;
    assert_eq!(waiting.len(), 1);
    assert!(is_refused(&team::revoke(m, acme.id, acme.developer, waiting[0].id)));
    assert!(
        is_dead(&team::revoke(m, organisation_id(&acme.app, "other"), bo, waiting[0].id)),
        "another organisation's"
    );
    team::revoke(m, acme.id, acme.admin, waiting[0].id).unwrap();
    assert!(is_dead(&team::invitation(m, &again)), "taken back");

    let secret = acme.invite(acme.owner, "di@example.com", Role::Viewer).unwrap();
    acme.app.clock.advance(Duration::from_secs(7 * 86_400));
    assert!(is_dead(&team::accept_as_new(m, &secret, String::new(), browser())), "expired");
    let secret = acme.invite(acme.owner, "di@example.com", Role::Viewer).unwrap();
    brevet::service::organisations::set_enabled(m, "acme", false).unwrap();
    assert!(is_dead(&team::accept_as_new(m, &secret, String::new(), browser())), "into what is disabled");
    brevet::service::organisations::set_enabled(m, "acme", true).unwrap();
    team::accept_as_new(m, &secret, "$argon2id$none".to_owned(), browser()).unwrap();
    let di = people::find_by_email(m, "di@example.com").unwrap().id;
    assert_eq!(acme.role(di), Some(Role::Viewer));
    assert_eq!(
        people::find_by_email(m, "di@example.com").unwrap().email_verified_at,
        None,
        "the link was shown, not mailed"
    );
}

fn somebody_always_runs_the_server(settings: &[(&str, &str)]) {
    let acme = Acme::new(settings);
    let m = &acme.app.management;
    assert!(brevet::service::setup::is_needed(m).unwrap());
    people::set_operator(m, acme.owner, true).unwrap();
    assert!(!brevet::service::setup::is_needed(m).unwrap());
    let conflict = |result: Result<(), ServiceError>| matches!(result, Err(ServiceError::Conflict(_)));
    assert!(conflict(people::set_operator(m, acme.owner, false)));
    assert!(conflict(people::set_enabled(m, acme.owner, false)));
    people::set_operator(m, acme.admin, true).unwrap();
    let both = [acme.owner, acme.admin];
    let gone = thread::scope(|scope| {
        let tries: Vec<_> = both.iter().map(|id| scope.spawn(|| people::set_operator(m, *id, false).is_ok())).collect();
        tries.into_iter().map(|one| one.join().unwrap()).filter(|gone| *gone).count()
    });
    assert_eq!(gone, 1);
    people::set_enabled(m, acme.viewer, false).unwrap();
    assert!(conflict(people::set_operator(m, acme.viewer, true)));
}

/// The pages.
mod pages {
    use super::*;
    use crate::support::browser::{Browser, Page};
    use crate::support::smtp::MailServer;

    const ISSUER: &str = "http://127.0.0.1:8080";

    /// The four roles of `acme`, each with a browser.
    fn app_with_roles(settings: &[(&str, &str)]) -> TestApp {
        let app = TestApp::with(settings);
        for role in Role::ALL {
            app.create_person("acme", &format!("{role}@example.com"), *role);
        }
        app
    }

    fn invite(browser: &Browser, email: &str, role: &str) -> Page {
        let page = browser.get("/team").assert_status(200);
        browser.submit(&page, "/team/invitations", &[("email", email), ("role", role)])
    }

    /// The path of the link that a page shows.
    fn shown_link(page: &Page) -> String {
        page.attribute("#link", "value").unwrap().trim_start_matches(ISSUER).to_owned()
    }

    /// A form of the page sent by somebody whose page does not have it.
    fn forged(browser: &Browser, path: &str, fields: &str) -> u16 {
        let csrf = browser.get("/team").attribute("input[name=csrf]", "value").unwrap();
        browser.send("POST", path, &[], Some(&format!("csrf={csrf}&{fields}"))).status.as_u16()
    }

    #[test]
    fn an_invitation_is_shown_once_and_makes_an_account_with_its_role() {
        let app = app_with_roles(&[]);
        let owner = app.browser_of("owner@example.com");
        let shown = invite(&owner, "New@Example.com", "developer").assert_status(200);
        assert_eq!((shown.heading().as_str(), shown.header("cache-control")), ("Hand over the invitation", "no-store"));
        let path = shown_link(&shown);
        let team = owner.get("/team");
        assert!(!team.body.contains(&path), "shown once");
        assert!(team.text().contains("new@example.com"));

        let browser = app.browser();
        let page = browser.get(&path).assert_status(200);
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(page.text().contains("acme") && page.text().contains("developer"), "{}", page.text());
        let fields = [("password", PASSWORD), ("role", "owner"), ("email", "other@example.com")];
        let joined = browser.submit(&page, &path, &fields).assert_status(200);
        assert_eq!(joined.texts(".done"), ["You are a member now."]);
        let id = organisation_id(&app, "acme");
        let team = team::show(&app.management, id).unwrap();
        let new = team.members.iter().find(|member| member.person.email == "new@example.com").unwrap();
        assert_eq!(new.role, Role::Developer, "whatever the form says");
        assert_eq!(app.browser().get(&path).status, 410, "used");
        assert!(!browser.get("/team").text().contains("Invite somebody"), "a developer manages nobody");
    }

    #[test]
    fn who_has_an_account_signs_in_to_accept_and_another_person_cannot() {
        let server = MailServer::start();
        let app = app_with_roles(&server.settings());
        app.create_organisation("other");
        app.create_person("other", "bo@example.com", Role::Owner);
        let page = invite(&app.browser_of("admin@example.com"), "bo@example.com", "viewer").assert_status(200);
        assert_eq!(page.texts(".done"), ["The invitation is on its way."]);
        let path = server.wait_for(1)[0].path(ISSUER);

        let viewer = app.browser_of("viewer@example.com");
        let page = viewer.get(&path).assert_status(200);
        assert!(page.text().contains("for bo@example.com: sign out"), "{}", page.text());
        assert_eq!(forged(&viewer, &path, ""), 403, "another person's");

        let bo = app.browser();
        let page = bo.get(&path);
        let sign_in = page.attribute("main a.primary", "href").unwrap();
        assert_eq!(sign_in, "/login?return_to=/invite", "the secret is in no query");
        let page = bo.get(&sign_in);
        assert!(!page.body.contains(path.rsplit('/').next().unwrap()));
        let page =
            bo.submit(&page, "/login", &[("email", "bo@example.com"), ("password", PASSWORD)]).assert_status(200);
        assert_eq!(page.path, path, "back at the invitation");
        assert_eq!(bo.cookie("brevet-invitation"), None, "kept no longer than needed");
        assert_eq!(bo.send("GET", "/invite", &[], None).header("location"), "/");
        let before = bo.cookie("brevet-session");
        let page = bo.submit(&page, &path, &[]).assert_status(200);
        assert_eq!(
            (page.texts(".done"), page.texts(".workplace")),
            (vec!["You are a member now.".to_owned()], vec!["acme viewer".to_owned()])
        );
        assert_ne!(bo.cookie("brevet-session"), before, "another organisation, another session secret");
        assert!(people::find_by_email(&app.management, "bo@example.com").unwrap().email_verified_at.is_some());

        let page = bo.get("/organisations/new");
        let page = bo.submit(&page, "/organisations/switch", &[("organisation", "other")]).assert_status(200);
        assert_eq!(page.texts(".workplace"), ["other owner"]);
        assert_eq!(forged(&bo, "/organisations/switch", "organisation=nowhere"), 404);
    }

    #[test]
    fn each_role_sees_the_team_and_only_those_who_manage_change_it() {
        let app = app_with_roles(&[]);
        let id = organisation_id(&app, "acme");
        let victim = people::find_by_email(&app.management, "viewer@example.com").unwrap().id;
        let waiting = invite(&app.browser_of("owner@example.com"), "wait@example.com", "viewer");
        assert_eq!(waiting.status, 200);
        let invitation = team::show(&app.management, id).unwrap().waiting[0].id;
        let actions = [
            ("/team/invitations".to_owned(), "email=x%40example.com&role=viewer"),
            (format!("/team/invitations/{invitation}/revoke"), ""),
            (format!("/team/members/{victim}/role"), "role=developer"),
            (format!("/team/members/{victim}/remove"), ""),
            ("/team/name".to_owned(), "new-name=Mine"),
        ];
        for role in [Role::Developer, Role::Viewer] {
            let browser = app.browser_of(&format!("{role}@example.com"));
            let page = browser.get("/team").assert_status(200);
            assert_eq!(page.texts("form[action$='/role']").len(), 0, "{role}");
            for (path, fields) in &actions {
                assert_eq!(forged(&browser, path, fields), 403, "{role} {path}");
            }
        }
        let admin = app.browser_of("admin@example.com");
        let owner = people::find_by_email(&app.management, "owner@example.com").unwrap().id;
        assert_eq!(forged(&admin, &format!("/team/members/{owner}/role"), "role=viewer"), 403);
        assert_eq!(forged(&admin, &format!("/team/members/{owner}/remove"), ""), 403);
        assert_eq!(forged(&admin, &format!("/team/members/{victim}/role"), "role=owner"), 403);
        assert_eq!(forged(&admin, &format!("/team/members/{victim}/role"), "role=king"), 422);
        assert_eq!(team::show(&app.management, id).unwrap().waiting.len(), 1);

        let page = admin.get("/team");
        let page = admin.submit(&page, &format!("/team/members/{victim}/role"), &[("role", "developer")]);
        assert_eq!(page.texts(".done"), ["The role is changed."]);
        let page = admin.submit(&page, &format!("/team/members/{victim}/remove"), &[]);
        assert_eq!(page.texts(".done"), ["That person is no member any more."]);
        let page = admin.submit(&page, &format!("/team/invitations/{invitation}/revoke"), &[]);
        assert_eq!(page.texts(".done"), ["The invitation does not work any more."]);
        let page = admin.submit(&page, "/team/name", &[("new-name", "Acme & Söhne")]);
        assert!(page.texts("h1 + p")[0].contains("Acme & Söhne"), "{}", page.text());
    }

    #[test]
    fn who_is_removed_or_demoted_is_refused_at_the_next_request() {
        let app = app_with_roles(&[]);
        app.create_organisation("other");
        let id = organisation_id(&app, "acme");
        let admin = people::find_by_email(&app.management, "admin@example.com").unwrap().id;
        let owner = people::find_by_email(&app.management, "owner@example.com").unwrap().id;
        let browser = app.browser_of("admin@example.com");
        let page = browser.get("/team");
        team::change_role(&app.management, id, owner, admin, Role::Viewer).unwrap();
        let fields = [("email", "x@example.com"), ("role", "viewer")];
        assert_eq!(browser.submit(&page, "/team/invitations", &fields).status, 401, "demoted");
        let browser = app.browser_of("admin@example.com");
        assert_eq!(forged(&browser, "/team/invitations", "email=x%40example.com&role=viewer"), 403, "demoted");

        let page = browser.get("/team").assert_status(200);
        team::remove(&app.management, id, owner, admin).unwrap();
        let refused = browser.submit(&page, "/team/leave", &[]);
        assert_eq!(refused.heading(), "Your organisations", "removed: {}", refused.path);
        assert!(!browser.get("/team").body.contains("owner@example.com"));
    }

    #[test]
    fn another_role_is_another_session_secret() {
        let app = app_with_roles(&[]);
        app.create_organisation("other");
        let id = organisation_id(&app, "acme");
        let person = |email: &str| people::find_by_email(&app.management, email).unwrap().id;
        let (owner, viewer) = (person("owner@example.com"), person("viewer@example.com"));
        let elsewhere = organisation_id(&app, "other");
        let secret = team::invite(&app.management, elsewhere, owner, "viewer@example.com", Role::Viewer);
        assert!(is_dead(&secret), "an owner of one organisation is a stranger in another");

        // Raised by somebody else: what was signed in before is over, whoever holds its secret.
        let sessions = [app.browser_of("viewer@example.com"), app.browser_of("viewer@example.com")];
        let browser = app.browser_of("owner@example.com");
        let page = browser.get("/team");
        let action = format!("/team/members/{viewer}/role");
        browser.submit(&page, &action, &[("role", "viewer")]).assert_status(200);
        sessions[0].get("/team").assert_status(200);
        browser.submit(&page, &action, &[("role", "admin")]).assert_status(200);
        for session in &sessions {
            assert_eq!(session.send("GET", "/team", &[], None).status, 303, "signed out");
        }
        assert!(app.browser_of("viewer@example.com").get("/team").text().contains("Invite somebody"));

        // The own role: this session goes on with another secret, the others are over.
        team::change_role(&app.management, id, owner, viewer, Role::Owner).unwrap();
        let other = app.browser_of("owner@example.com");
        let before = browser.cookie("brevet-session");
        let page = browser.get("/team");
        let page = browser.submit(&page, &format!("/team/members/{owner}/role"), &[("role", "viewer")]);
        assert_eq!(page.assert_status(200).texts(".workplace"), ["acme viewer"]);
        let after = browser.cookie("brevet-session");
        assert_ne!(after, before);
        assert_eq!(other.send("GET", "/team", &[], None).status, 303, "signed out");
        let stolen = app.browser();
        stolen.set_cookie("brevet-session", &before.unwrap());
        assert_eq!(stolen.send("GET", "/team", &[], None).status, 303, "the secret of before opens nothing");
    }

    #[test]
    fn a_fresh_proof_is_asked_before_people_get_or_lose_power() {
        let app = app_with_roles(&[]);
        let person = |email: &str| people::find_by_email(&app.management, email).unwrap().id;
        let (owner, viewer, developer) =
            (person("owner@example.com"), person("viewer@example.com"), person("developer@example.com"));
        people::set_operator(&app.management, owner, true).unwrap();
        let id = organisation_id(&app, "acme");
        let browser = app.browser_of("owner@example.com");
        let team_page = || browser.get("/team");
        let user = format!("/admin/users/{developer}");
        let of_user = || browser.get(&user);
        let of_organisations = || browser.get("/admin/organisations");
        let cases: Vec<(&dyn Fn() -> Page, String, Vec<(&str, &str)>)> = vec![
            (&team_page, format!("/team/members/{viewer}/role"), vec![("role", "developer")]),
            (&team_page, format!("/team/members/{viewer}/remove"), vec![]),
            (&team_page, "/team/invitations".to_owned(), vec![("email", "a@example.com"), ("role", "admin")]),
            (&team_page, "/team/invitations".to_owned(), vec![("email", "o@example.com"), ("role", "owner")]),
            (&of_user, format!("{user}/disable"), vec![]),
            (&of_user, format!("{user}/enable"), vec![]),
            (&of_user, format!("{user}/reset-2fa"), vec![]),
            (&of_user, format!("{user}/reset-link"), vec![]),
            (&of_user, format!("{user}/make-operator"), vec![]),
            (&of_user, format!("{user}/unmake-operator"), vec![]),
            (&of_organisations, "/admin/organisations/acme/disable".to_owned(), vec![]),
        ];
        for (show, action, fields) in &cases {
            app.clock.advance(Duration::from_secs(601));
            let rows = || crate::support::audit(&app, "acme").len();
            let before = rows();
            let asked = browser.submit(&show(), action, fields);
            assert_eq!((asked.status, asked.heading().as_str()), (403, "Confirm that it is you"), "{action}");
            assert_eq!(rows(), before, "{action} was done without a proof");
            let wrong = browser.submit(&asked, action, &[("confirm-password", "something else")]);
            assert_eq!(wrong.status, 422, "{action}");
            let done = browser.submit(&wrong, action, &[("confirm-password", PASSWORD)]);
            assert_eq!(done.status, 200, "{action}: {}", done.text());
        }
        brevet::service::organisations::set_enabled(&app.management, "acme", true).unwrap();
        let team = team::show(&app.management, id).unwrap();
        assert!(!team.members.iter().any(|member| member.person.id == viewer), "what was asked for was done");
        assert_eq!(team.waiting.iter().filter(|waiting| waiting.role == Role::Owner).count(), 1);

        // Whoever gets no power over the organisation is invited without.
        app.clock.advance(Duration::from_secs(601));
        let invited = invite(&browser, "d@example.com", "developer").assert_status(200);
        assert_eq!(invited.heading(), "Hand over the invitation");
    }

    #[test]
    fn invitations_are_mailed_only_so_often() {
        let server = MailServer::start();
        let app = app_with_roles(&server.settings());
        let waits = |page: &Page| page.header("retry-after").parse::<u64>().unwrap();
        let owner = app.browser_of("owner@example.com");
        invite(&owner, "new@example.com", "viewer").assert_status(200);
        let refused = invite(&owner, "New@Example.com", "viewer").assert_status(429);
        assert!((1..=60).contains(&waits(&refused)), "an address gets one in a minute");
        assert!(refused.faults()[0].contains("Wait 60 seconds"), "{:?}", refused.faults());
        assert_eq!(refused.attribute("#email", "value").as_deref(), Some("New@Example.com"), "what was entered stays");

        // The same address, from another organisation as well.
        app.create_organisation("other");
        app.create_person("other", "olaf@example.com", Role::Owner);
        let olaf = app.browser_of("olaf@example.com");
        invite(&olaf, "new@example.com", "viewer").assert_status(429);
        for _ in 0..4 {
            app.clock.advance(Duration::from_secs(60));
            invite(&olaf, "new@example.com", "viewer").assert_status(200);
        }
        app.clock.advance(Duration::from_secs(60));
        let refused = invite(&owner, "new@example.com", "viewer").assert_status(429);
        assert!(waits(&refused) > 3_600, "five in a day: {}", waits(&refused));

        // One person.
        let mut sent = 0;
        let refused = loop {
            let page = invite(&owner, &format!("person{sent}@example.com"), "viewer");
            if page.status != 200 {
                break page.assert_status(429);
            }
            sent += 1;
            assert!(sent < 60);
        };
        assert!((48..=50).contains(&sent) && waits(&refused) <= 3_600, "{sent}");
        let admin = app.browser_of("admin@example.com");
        assert_eq!(invite(&admin, "viewer@example.com", "viewer").status, 409, "a member already: counts for nothing");
        invite(&admin, "another@example.com", "viewer").assert_status(200);
    }

    #[test]
    fn the_last_owner_stays_and_is_told_why() {
        let app = app_with_roles(&[]);
        let owner = app.browser_of("owner@example.com");
        let page = owner.get("/team");
        let page = owner.submit(&page, "/team/leave", &[]).assert_status(409);
        assert_eq!(page.faults(), ["An organisation needs an owner; make somebody else one first."]);
        let viewer = app.browser_of("viewer@example.com");
        let page = viewer.get("/team");
        let page = viewer.submit(&page, "/team/leave", &[]).assert_status(200);
        assert_eq!((page.heading().as_str(), page.texts(".done").len()), ("Your organisations", 1));
    }

    #[test]
    fn two_who_rename_at_once_see_each_other() {
        let app = app_with_roles(&[]);
        let owner = app.browser_of("owner@example.com");
        let (first, second) = (owner.get("/team"), owner.get("/team"));
        owner.submit(&first, "/team/name", &[("new-name", "First")]).assert_status(200);
        let page = owner.submit(&second, "/team/name", &[("new-name", "Second")]).assert_status(409);
        assert!(page.text().contains("First") && page.attribute("#new-name", "value").as_deref() == Some("Second"));
        owner.submit(&page, "/team/name", &[("new-name", "Second")]).assert_status(200);
    }

    #[test]
    fn operators_see_everybody_and_a_fresh_proof_is_asked_before_power_changes() {
        let app = app_with_roles(&[]);
        let operator = people::find_by_email(&app.management, "owner@example.com").unwrap().id;
        people::set_operator(&app.management, operator, true).unwrap();
        let viewer = people::find_by_email(&app.management, "viewer@example.com").unwrap().id;
        assert_eq!(app.browser_of("admin@example.com").get("/admin/users").status, 403);
        assert_eq!(app.browser_of("admin@example.com").get(&format!("/admin/users/{viewer}")).status, 403);

        let browser = app.browser_of("owner@example.com");
        let page = browser.get("/admin/users?q=VIEWER").assert_status(200);
        assert_eq!(page.texts("tbody th a"), ["viewer@example.com"]);
        assert_eq!(browser.get("/admin/users?q=%25").texts("tbody th a").len(), 0, "no wildcards");
        let path = format!("/admin/users/{viewer}");
        let page = browser.get(&path).assert_status(200);
        let page = browser.submit(&page, &format!("{path}/disable"), &[]).assert_status(200);
        assert_eq!(page.texts(".done"), ["That person cannot sign in any more."]);
        assert_eq!(app.browser().sign_in("viewer@example.com", PASSWORD).status, 422);
        let page = browser.submit(&page, &format!("{path}/enable"), &[]).assert_status(200);
        let link = browser.submit(&page, &format!("{path}/reset-link"), &[]).assert_status(200);
        let stranger = app.browser();
        let form = stranger.get(&shown_link(&link)).assert_status(200);
        assert!(form.text().contains("viewer@example.com"));

        let own = format!("/admin/users/{operator}");
        let page = browser.get(&own);
        let page = browser.submit(&page, &format!("{own}/unmake-operator"), &[]).assert_status(409);
        assert_eq!(page.faults(), ["Nobody else runs the server; make somebody else an operator first."]);

        app.clock.advance(Duration::from_secs(601));
        let page = browser.get(&path);
        let asked = browser.submit(&page, &format!("{path}/make-operator"), &[]);
        assert_eq!((asked.status, asked.heading().as_str()), (403, "Confirm that it is you"));
        assert!(!people::show(&app.management, viewer).unwrap().person.is_operator);
        let action = format!("{path}/make-operator");
        browser.submit(&asked, &action, &[("confirm-password", PASSWORD)]).assert_status(200);
        assert!(people::show(&app.management, viewer).unwrap().person.is_operator);
    }

    #[test]
    fn an_organisation_that_is_disabled_stops_its_members_and_its_apps() {
        let app = app_with_roles(&[]);
        let credentials = app.create_app(&["billing:read"]);
        app.create_organisation("ops");
        let id = app.create_person("ops", "op@example.com", Role::Owner);
        people::set_operator(&app.management, id, true).unwrap();
        let member = app.browser_of("owner@example.com");
        let operator = app.browser_of("op@example.com");
        let token = app.token(&credentials);
        let page = operator.get("/admin/organisations").assert_status(200);
        let page = operator.submit(&page, "/admin/organisations/acme/disable", &[]).assert_status(200);
        assert_eq!(page.texts(".done"), ["The organisation is disabled."]);
        assert_eq!(member.get("/team").heading(), "Your organisations");
        assert_eq!(app.token_request(&[], &credentials.form()).status, 401);
        assert_eq!(app.get_with_token("/api/v1/whoami", &token).status, 401);
        operator.submit(&page, "/admin/organisations/acme/enable", &[]).assert_status(200);
        member.get("/team").assert_status(200);
        assert_eq!(app.token_request(&[], &credentials.form()).status, 200);
    }

    #[test]
    fn further_organisations_are_made_once_for_each_form_and_only_where_that_is_open() {
        let app = app_with_roles(&[("signup", "open")]);
        let browser = app.browser_of("viewer@example.com");
        let page = browser.get("/organisations/new");
        let made = browser.submit(&page, "/organisations/new", &[("organisation", "Acme")]).assert_status(200);
        assert_eq!(made.texts(".workplace"), ["Acme owner"], "{}", made.text());
        let slugs: Vec<_> =
            brevet::service::organisations::list(&app.management).unwrap().into_iter().map(|o| o.slug).collect();
        assert_eq!(slugs, ["acme", "acme-2"]);

        let closed = app_with_roles(&[]);
        let browser = closed.browser_of("viewer@example.com");
        assert!(!browser.get("/organisations/new").body.contains("New organisation</h2>"));
        let once = browser.get("/team").attribute("input[name=once]", "value").unwrap();
        assert_eq!(forged(&browser, "/organisations/new", &format!("organisation=Mine&once={once}")), 403);
    }

    #[test]
    fn every_change_of_who_belongs_where_is_in_the_audit_with_actor_and_address() {
        let app = app_with_roles(&[]);
        let owner = app.browser_of("owner@example.com");
        let page = invite(&owner, "new@example.com", "viewer");
        let path = shown_link(&page);
        let browser = app.browser();
        let form = browser.get(&path);
        browser.submit(&form, &path, &[("password", PASSWORD)]).assert_status(200);
        let new = people::find_by_email(&app.management, "new@example.com").unwrap().id;
        let page = owner.get("/team");
        let page = owner.submit(&page, &format!("/team/members/{new}/role"), &[("role", "developer")]);
        owner.submit(&page, &format!("/team/members/{new}/remove"), &[]).assert_status(200);
        let id = organisation_id(&app, "acme");
        let filter = brevet::db::audit::AuditFilter::default();
        let rows =
            app.management.database().read(|conn| brevet::db::audit::list(conn, id, &filter, None, 100)).unwrap();
        let by = |email: &str| format!("user:{}", people::find_by_email(&app.management, email).unwrap().id);
        for (action, actor) in [
            ("invitation.create", "owner@example.com"),
            ("member.join", "new@example.com"),
            ("member.role", "owner@example.com"),
            ("member.remove", "owner@example.com"),
        ] {
            let found: Vec<_> = rows.iter().filter(|row| row.entry.action == action).collect();
            assert_eq!(found.len(), 1, "{action}");
            assert_eq!(found[0].entry.actor, by(actor), "{action}");
            assert_eq!(found[0].entry.address.as_deref(), Some("127.0.0.1"), "{action}");
            assert!(!found[0].entry.detail.to_string().contains(path.rsplit('/').next().unwrap()));
        }
    }
}
