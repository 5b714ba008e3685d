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
