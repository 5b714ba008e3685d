//! Third parties' JWTs: every way in, through the front door.

use std::time::Duration;

use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::oauth::ClientId;
use brevet::oauth::trust::{ClaimRule, IssuerKeys, TrustPolicy};
use brevet::service::accounts::{self, NewMember};
use brevet::service::apps::NewApp;
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use serde_json::{Value, json};

use crate::management_api::send;
use crate::support::http::Answer;
use crate::support::signer::Signer;
use crate::support::{Credentials, PASSWORD, TestApp, audit, new_app};
use brevet::secret::Secret;

pub const ISS: &str = "https://portal.example";
pub const AUD: &str = "urn:acme:api";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Settings of an issuer with one registered key.
pub fn settings(signer: &Signer, stands_for: StandsFor) -> IssuerSettings {
    let (rules, scopes) = match stands_for {
        StandsFor::App(_) => (vec![ClaimRule::parse("sub=alice").unwrap()], None),
        StandsFor::Users => (Vec::new(), Some(vec!["billing:read".to_owned()])),
    };
    IssuerSettings {
        name: "Portal".to_owned(),
        issuer: ISS.to_owned(),
        policy: TrustPolicy {
            rules,
            single_use: true,
            accept_directly: true,
            ..TrustPolicy::new(IssuerKeys::Jwks(signer.jwks().into()), vec![AUD.to_owned()])
        },
        stands_for,
        scopes,
    }
}

/// The same settings but for what `edit` changes in the policy.
pub fn edited(mut settings: IssuerSettings, edit: impl FnOnce(&mut TrustPolicy)) -> IssuerSettings {
    edit(&mut settings.policy);
    settings
}

/// A server that trusts an issuer.
pub struct Stage {
    pub app: TestApp,
    pub client: Credentials,
    pub signer: Signer,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with other settings.
    pub fn with(with: &[(&str, &str)]) -> Self {
        Self::on(TestApp::with(with))
    }

    pub fn on(app: TestApp) -> Self {
        let client = app.create_app(&["billing:read", "billing:write"]);
        let alice = NewMember {
            organisation: "acme",
            email: "alice@acme.example",
            login: Some("alice"),
            role: Role::Viewer,
            password: &Secret::new(PASSWORD),
        };
        accounts::create(&app.management, &alice).unwrap();
        Self { app, client, signer: Signer::rsa("k1", "RS256") }
    }

    pub fn trust(&self, settings: IssuerSettings) -> ClientId {
        let made = trusted_issuers::create(&self.app.management, "acme", settings).unwrap();
        self.app.catch_up();
        made.record.id
    }

    pub fn claims(&self) -> Value {
        let now = self.app.clock.now().seconds();
        let jti = uuid::Uuid::new_v4().to_string();
        json!({ "iss": ISS, "sub": "alice", "aud": AUD, "exp": now + 300, "nbf": now, "iat": now, "jti": jti })
    }

    pub fn jwt(&self) -> String {
        self.signer.sign(&self.claims())
    }

    pub fn grant(&self, jwt: &str) -> Answer {
        self.app.token_request(&[], &format!("grant_type={GRANT}&assertion={jwt}"))
    }

    pub fn ticket(&self, jwt: &str) -> Answer {
        self.app.post("/server/jwt", &[], &format!("JwtToken={jwt}"))
    }

    pub fn client_assertion(&self, jwt: &str) -> Answer {
        let form =
            format!("grant_type=client_credentials&client_assertion_type={ASSERTION_TYPE}&client_assertion={jwt}");
        self.app.token_request(&[], &form)
    }
}

#[test]
fn a_user_whom_a_trusted_issuer_names_gets_a_ticket_that_is_good_until_the_user_is_gone() {
    let stage = Stage::new();
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users));
    let answer = stage.ticket(&stage.jwt()).assert_status(200);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("authticket"), ticket);
    assert_eq!(answer.header("cache-control"), "no-store");
    let (_, claims) = stage.app.verified_jwt(&ticket);
    assert_eq!(claims["sub"], format!("{ISS}|alice"));
    assert_eq!(claims["login"], "alice");
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["client_id"], issuer.to_string());
    assert_eq!(claims["scope"], "billing:read");
    stage.app.get_with_token("/api/v1/whoami", &ticket).assert_status(200);

    let spelled = stage.app.post("/Server/jwt?Tenant=acme", &[], &format!("JwtToken={}", stage.jwt()));
    spelled.assert_status(200);
    stage.app.post("/server/jwt?Tenant=other", &[], &format!("JwtToken={}", stage.jwt())).assert_status(401);

    trusted_issuers::delete(&stage.app.management, issuer).unwrap();
    stage.app.catch_up();
    stage.app.get_with_token("/api/v1/whoami", &ticket).assert_status(401);
    let refused = stage.ticket(&stage.jwt()).assert_status(401);
    assert_eq!(refused.error(), "invalid_grant");
}

#[test]
fn a_workload_gets_the_tokens_of_its_app_without_any_key() {
    let stage = Stage::new();
    let mut asked = settings(&stage.signer, StandsFor::App(stage.client.id()));
    asked.scopes = Some(vec!["billing:read".to_owned()]);
    asked.policy.ticket_lifetime = Some(Duration::from_secs(600));
    stage.trust(asked);
    for answer in [stage.grant(&stage.jwt()), stage.client_assertion(&stage.jwt())] {
        let answer = answer.assert_status(200).json();
        assert_eq!(answer["expires_in"], 600);
        assert_eq!(answer["scope"], "billing:read");
        let (_, claims) = stage.app.verified_jwt(answer["access_token"].as_str().unwrap());
        assert_eq!(claims["sub"], stage.client.client_id.as_str());
        assert_eq!(claims["client_id"], stage.client.client_id.as_str());
        assert_eq!(claims.get("login"), None);
    }
    let mut other = stage.claims();
    other["sub"] = json!("mallory");
    assert_eq!(stage.grant(&stage.signer.sign(&other)).assert_status(400).error(), "invalid_grant");
    assert_eq!(stage.client_assertion(&stage.signer.sign(&other)).assert_status(401).error(), "invalid_client");
}

#[test]
fn a_jwt_is_good_once_whichever_way_it_comes() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    let jwt = stage.jwt();
    stage.grant(&jwt).assert_status(200);
    stage.grant(&jwt).assert_status(400);
    stage.ticket(&jwt).assert_status(401);
    stage.client_assertion(&jwt).assert_status(401);
    stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(401);
    let direct = stage.jwt();
    let who = stage.app.get_with_token("/api/v1/whoami", &direct).assert_status(200).json();
    assert_eq!(who["client_id"], stage.client.client_id.as_str());
    stage.grant(&direct).assert_status(400);
}

#[test]
fn who_shows_a_jwt_where_it_is_not_taken_hears_where_to_go_with_it() {
    let stage = Stage::new();
    let exchanged_only = settings(&stage.signer, StandsFor::App(stage.client.id()));
    stage.trust(edited(exchanged_only, |policy| policy.accept_directly = false));
    let mut of_nobody = stage.claims();
    of_nobody["iss"] = json!(format!("{ISS}/"));
    for jwt in [stage.jwt(), stage.signer.sign(&of_nobody)] {
        let refused = stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(401).json();
        let words = refused["error_description"].as_str().unwrap();
        assert!(words.contains("not from this server") && words.contains("/connect/token or /server/jwt"), "{words}");
    }
    let untyped = format!("grant_type=client_credentials&client_assertion={}", stage.jwt());
    let refused = stage.app.token_request(&[], &untyped).assert_status(401).json();
    assert_eq!(refused["error"], "invalid_client");
    let words = refused["error_description"].as_str().unwrap();
    assert!(words.contains("needs client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
}

#[test]
fn others_at_its_address_do_not_lock_a_workload_out() {
    let stage = Stage::with(&[("throttle-failures", "3/min")]);
    stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    for _ in 0..5 {
        stage.client_assertion(&Signer::ed25519("k").sign(&stage.claims())).assert_status(401);
    }
    stage.client_assertion(&stage.jwt()).assert_status(200);
}

#[test]
fn what_ends_with_an_app_or_a_ticket_is_in_the_organisations_audit_log() {
    let stage = Stage::new();
    let for_users = stage.trust(settings(&stage.signer, StandsFor::Users));
    let ticket = stage.ticket(&stage.jwt()).assert_status(200).json()["ticket"].as_str().unwrap().to_owned();
    brevet::service::revocation::revoke(&stage.app.management, &ticket).unwrap();
    let revoked = &audit(&stage.app, "acme")[0];
    assert_eq!(
        (revoked.action.as_str(), &revoked.detail["client_id"]),
        ("token.revoke", &json!(for_users.to_string()))
    );
    trusted_issuers::delete(&stage.app.management, for_users).unwrap();

    let for_the_app = stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    brevet::service::apps::delete(&stage.app.management, stage.client.id()).unwrap();
    let rows = audit(&stage.app, "acme");
    let last: Vec<(&str, &str)> = rows[..2].iter().map(|row| (row.action.as_str(), row.target.as_str())).collect();
    let [app, issuer] = [stage.client.client_id.as_str(), &for_the_app.to_string()];
    assert_eq!(last, [("app.delete", app), ("trusted-issuer.delete", issuer)]);
}

#[test]
fn an_app_without_a_key_is_made_without_one() {
    let stage = Stage::new();
    let keyless = NewApp {
        authentication: brevet::oauth::client::ClientAuthentication::TrustedIssuer,
        ..new_app(&["billing:read"])
    };
    let made = brevet::service::apps::create(&stage.app.management, "acme", keyless).unwrap();
    assert!(made.client_secret.is_none());
    stage.trust(settings(&stage.signer, StandsFor::App(made.client_id)));
    stage.client_assertion(&stage.jwt()).assert_status(200);
}

/// Makes a user whom third parties know by a login.
fn user(app: &TestApp, email: &str, login: Option<&str>) -> Result<uuid::Uuid, brevet::service::ServiceError> {
    let password = &Secret::new(PASSWORD);
    let made = accounts::create(
        &app.management,
        &NewMember { organisation: "acme", email, login, role: Role::Viewer, password },
    );
    app.catch_up();
    made
}

impl Stage {
    fn ticket_of(&self, login: &str) -> String {
        let mut claims = self.claims();
        claims["sub"] = json!(login);
        self.ticket(&self.signer.sign(&claims)).assert_status(200).json()["ticket"].as_str().unwrap().to_owned()
    }

    fn exchange(&self, actor: &Credentials, subject: &str) -> Answer {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        let form = format!("grant_type={grant}&subject_token={subject}&subject_token_type={kind}");
        self.app.token_request(&[("authorization", &actor.basic())], &form)
    }
}

fn token_of(answer: Answer) -> String {
    answer.assert_status(200).json()["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn the_audit_says_which_user_acted_and_nobody_is_answered_with_what_another_got() {
    let stage = Stage::new();
    let bob = user(&stage.app, "bob@acme.example", Some("bob")).unwrap();
    let scopes = ["apps:read", "apps:write", "audit:read", "billing:read"];
    let mut asked = settings(&stage.signer, StandsFor::Users);
    asked.scopes = Some(scopes.map(str::to_owned).to_vec());
    let issuer = stage.trust(asked);
    let back = stage.app.create_app_with("acme", NewApp { token_exchange: true, ..new_app(&scopes) });
    let robot = stage.app.create_app(&scopes);
    let exchanged = |subject: &str| token_of(stage.exchange(&back, subject));
    let tokens = [
        stage.ticket_of("alice"),
        stage.ticket_of("bob"),
        exchanged(&stage.ticket_of("alice")),
        exchanged(&stage.ticket_of("bob")),
        exchanged(&stage.app.token(&robot)),
        stage.app.token(&back),
    ];
    let body = json!({ "name": "made", "scopes": ["billing:read"] });
    let make = |token: &str| {
        let answer = send(&stage.app, token, "POST", "/apps", &[("idempotency-key", "1")], Some(&body));
        answer.assert_status(201).json()
    };
    let made = tokens.each_ref().map(|token| make(token));
    for (at, one) in made.iter().enumerate() {
        assert!(made[..at].iter().all(|other| other["client_secret"] != one["client_secret"]), "{at}");
    }
    assert_eq!(make(&stage.ticket_of("bob")), made[1], "each gets the own answer, with whatever ticket");
    assert_eq!(make(&exchanged(&stage.ticket_of("bob"))), made[3]);

    let deeds: Vec<_> = audit(&stage.app, "acme").into_iter().filter(|deed| deed.action == "app.create").collect();
    let deed_of = |app: &Value| deeds.iter().find(|deed| deed.target == app["client_id"].as_str().unwrap()).unwrap();
    let said = deed_of(&made[1]);
    let token = json!({ "sub": format!("{ISS}|bob"), "login": "bob", "user": bob, "issuer": issuer.to_string() });
    assert_eq!((said.actor.clone(), &said.detail["token"]), (format!("user:{bob}"), &token));
    let said = deed_of(&made[3]);
    let token = json!({ "sub": format!("{ISS}|bob"), "login": "bob", "user": bob, "act": [back.client_id] });
    assert_eq!((said.actor.clone(), &said.detail["token"]), (format!("app:{}", back.client_id), &token));
    let token = json!({ "sub": robot.client_id, "act": [back.client_id] });
    assert_eq!(deed_of(&made[4]).detail["token"], token);
    assert_eq!(deed_of(&made[5]).detail.get("token"), None);

    let owner = |app: &Value| {
        let id = ClientId::parse(app["client_id"].as_str().unwrap()).unwrap();
        brevet::service::apps::show(&stage.app.management, id).unwrap().app.owner_id
    };
    assert_eq!((owner(&made[1]), owner(&made[3])), (Some(bob), None));

    let path = format!("/audit?target={}", made[0]["client_id"].as_str().unwrap());
    let shown = send(&stage.app, &tokens[0], "GET", &path, &[], None).assert_status(200).json();
    assert_eq!(shown["items"][0]["detail"]["token"]["login"], "alice");
    stage.app.create_person("acme", "ana@acme.example", Role::Admin);
    let browser = stage.app.browser_of("ana@acme.example");
    let name =
        |id: &str| brevet::service::apps::show(&stage.app.management, ClientId::parse(id).unwrap()).unwrap().app.name;
    let (back_name, robot_name) = (name(&back.client_id), name(&robot.client_id));
    let expected = [
        "alice@acme.example via Portal".to_owned(),
        "bob@acme.example via Portal".to_owned(),
        format!("{back_name} for alice@acme.example via {ISS}"),
        format!("{back_name} for bob@acme.example via {ISS}"),
        format!("{back_name} for {robot_name}"),
        back_name.clone(),
    ];
    for (app, expected) in made.iter().zip(expected) {
        let query = format!("target={}&action=app.create", app["client_id"].as_str().unwrap());
        for path in ["/audit?", "/audit/export.csv?", "/audit/export.jsonl?"] {
            let answer = browser.get(&format!("{path}{query}")).assert_status(200);
            assert!(answer.body.contains(&expected), "{path} {expected}: {}", answer.body);
        }
    }
    // Whoever looks for what a person did finds what was done with tickets.
    let found = browser.get("/audit?actor=bob%40acme.example&action=app.create").assert_status(200);
    assert!(found.text().contains("bob@acme.example via Portal"), "{}", found.text());
}

mod logins {
    crate::support::postgres::on_both_databases! {
        what_was_issued_to_whoever_had_a_login_before_is_dead
        the_same_if_tokens_are_dated_at_the_moment
    }
    use super::{the_same_if_tokens_are_dated_at_the_moment, what_was_issued_to_whoever_had_a_login_before_is_dead};
}

fn the_same_if_tokens_are_dated_at_the_moment(with: &[(&str, &str)]) {
    what_was_issued_to_whoever_had_a_login_before_is_dead(&[with, &[("clock-backdate", "0s")]].concat());
}

fn what_was_issued_to_whoever_had_a_login_before_is_dead(with: &[(&str, &str)]) {
    let stage = Stage::with(with);
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let back = stage.app.create_app_with("acme", NewApp { token_exchange: true, ..new_app(&["billing:read"]) });
    let status = |token: &str| stage.app.get_with_token("/api/v1/whoami", token).status.as_u16();
    let set = |email: &str, login: Option<&str>| {
        brevet::service::team::set_login_of(&stage.app.management, "acme", email, login).unwrap();
        stage.app.catch_up();
    };
    let mut holder = "alice@acme.example";
    // Each way to a login that was another's, or the own one before.
    for road in ["given back", "given to another", "brought along by a new one"] {
        // Right after the login was given, in the same second.
        let first = stage.ticket_of("alice");
        stage.app.clock.advance(Duration::from_secs(30));
        let ticket = stage.ticket_of("alice");
        let exchanged = token_of(stage.exchange(&back, &ticket));
        let by_jwt = token_of(stage.exchange(&back, &stage.jwt()));
        let early = [stage.jwt(), stage.jwt(), stage.jwt()];
        let old = [first, ticket, exchanged, by_jwt];
        let all = || old.each_ref().map(|token| status(token));
        assert_eq!(all(), [200; 4], "{road}");
        set(holder, Some("former"));
        assert_eq!(all(), [401; 4], "{road}");
        match road {
            "given back" => set(holder, Some("alice")),
            "given to another" => {
                user(&stage.app, "bob@acme.example", None).unwrap();
                set("bob@acme.example", Some("alice"));
                set(holder, None);
                holder = "bob@acme.example";
            }
            _ => drop(user(&stage.app, "carol@acme.example", Some("alice")).unwrap()),
        }
        assert_eq!(all(), [401; 4], "{road}");
        assert_eq!(stage.exchange(&back, &old[1]).assert_status(400).error(), "invalid_request");
        // The third party's JWTs are about whoever has the login now, and what they get is good at once.
        let [for_ticket, for_exchange, direct] = early;
        let new = stage.ticket(&for_ticket).assert_status(200).json()["ticket"].as_str().unwrap().to_owned();
        let exchanged = token_of(stage.exchange(&back, &for_exchange));
        let again = token_of(stage.exchange(&back, &new));
        for token in [new, exchanged, again, direct] {
            assert_eq!(status(&token), 200, "{road}");
        }
    }
}

#[test]
fn logins_are_held_to_one_rule_wherever_they_are_given() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    user(&stage.app, "carol@acme.example", Some(" carol\t")).unwrap();
    stage.app.get_with_token("/api/v1/whoami", &stage.ticket_of("carol")).assert_status(200);
    let long = "x".repeat(513);
    for (at, login) in ["", " ", "a\u{7}b", long.as_str(), "alice", " alice "].into_iter().enumerate() {
        let refused = user(&stage.app, &format!("dan{at}@acme.example"), Some(login));
        assert!(refused.is_err(), "{login:?}");
    }
    user(&stage.app, "dan@acme.example", Some(&long[1..])).unwrap();
}
