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
    Browser { address: [127, 0, 0, 1].into(), user_agent: "tests".to_owned() }
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

fn is_refused<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::BeyondPower(_)))
}

fn is_dead<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> bool {
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
            assert!(is_refused(acme.invite(by, "new@example.com", *role)));
            assert!(is_refused(team::change_role(m, acme.id, by, acme.viewer, *role)));
        }
        assert!(is_refused(team::change_role(m, acme.id, acme.admin, acme.owner, *role)));
    }
    assert!(is_refused(acme.invite(acme.admin, "new@example.com", Role::Owner)));
    assert!(is_refused(team::change_role(m, acme.id, acme.admin, acme.admin, Role::Owner)));
    assert!(is_refused(team::remove(m, acme.id, acme.admin, acme.owner)));
    assert!(is_refused(team::remove(m, acme.id, acme.developer, acme.viewer)));

    team::change_role(m, acme.id, acme.admin, acme.viewer, Role::Admin).unwrap();
    assert_eq!(acme.role(acme.viewer), Some(Role::Admin));
    team::change_role(m, acme.id, acme.owner, acme.viewer, Role::Owner).unwrap();
    team::remove(m, acme.id, acme.admin, acme.developer).unwrap();
    assert_eq!(acme.role(acme.developer), None);
    team::remove(m, acme.id, acme.admin, acme.admin).unwrap();
    assert!(is_dead(acme.invite(acme.admin, "new@example.com", Role::Viewer)), "who left invites nobody");

    acme.app.create_organisation("other");
    let stranger = add(&acme.app, "other", "stranger@example.com", Role::Owner);
    assert!(is_dead(team::change_role(m, acme.id, stranger, acme.viewer, Role::Viewer)));
    assert!(is_dead(team::change_role(m, acme.id, acme.owner, stranger, Role::Viewer)));
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
    assert!(is_refused(team::accept(m, &secret, &acme.signed_in("viewer@example.com"))), "another address");
    assert!(matches!(
        team::accept_as_new(m, &secret, "$argon2id$".to_owned(), browser()),
        Err(ServiceError::Conflict(_))
    ));
    assert!(is_dead(team::accept(m, &Secret::new("A".repeat(43)), &bo_here)), "forged");
    assert!(is_dead(brevet::service::resets::look(m, &secret)), "no reset link");
    assert!(is_dead(brevet::service::setup::look(m, &secret)), "no setup link");

    let joined = thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| team::accept(m, &secret, &bo_here).is_ok())).collect();
        tries.into_iter().map(|one| one.join().unwrap()).filter(|joined| *joined).count()
    });
    assert_eq!((joined, acme.role(bo)), (1, Some(Role::Developer)));
    assert!(is_dead(team::accept(m, &secret, &bo_here)), "used");
    assert!(matches!(acme.invite(acme.owner, "bo@example.com", Role::Owner), Err(ServiceError::Conflict(_))));

    let secret = acme.invite(acme.owner, "cy@example.com", Role::Viewer).unwrap();
    assert!(
        matches!(acme.invite(acme.owner, "cy@example.com", Role::Viewer), Err(ServiceError::Conflict(_))),
        "at once again"
    );
    acme.app.clock.advance(Duration::from_secs(61));
    let again = acme.invite(acme.owner, "cy@example.com", Role::Admin).unwrap();
    assert!(is_dead(team::invitation(m, &secret)), "the later one counts");
    let waiting = team::show(m, acme.id).unwrap().waiting;
    assert_eq!(waiting.len(), 1);
    assert!(is_refused(team::revoke(m, acme.id, acme.developer, waiting[0].id)));
    assert!(is_dead(team::revoke(m, organisation_id(&acme.app, "other"), bo, waiting[0].id)), "another organisation's");
    team::revoke(m, acme.id, acme.admin, waiting[0].id).unwrap();
    assert!(is_dead(team::invitation(m, &again)), "taken back");

    let secret = acme.invite(acme.owner, "di@example.com", Role::Viewer).unwrap();
    acme.app.clock.advance(Duration::from_secs(7 * 86_400));
    assert!(is_dead(team::accept_as_new(m, &secret, String::new(), browser())), "expired");
    let secret = acme.invite(acme.owner, "di@example.com", Role::Viewer).unwrap();
    brevet::service::organisations::set_enabled(m, "acme", false).unwrap();
    assert!(is_dead(team::accept_as_new(m, &secret, String::new(), browser())), "into what is disabled");
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
