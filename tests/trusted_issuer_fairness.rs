//! What one organisation registers shuts no other out, slows none down and pushes none out of memory.

use std::sync::Arc;

use brevet::clock::Clock;
use brevet::db::{AnyConnection, Database, DbError};
use brevet::directory::trusted_issuers::{Meant, Sought};
use brevet::oauth::ClientId;
use brevet::oauth::trust::{ClaimName, ClaimRule, ClaimTest, IssuerKeys, TrustPolicy};
use brevet::service::ServiceError;
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, new_app};
use crate::third_party_table::{FOR_ALL_WAYS, WAYS, Way, claims};
use crate::trusted_issuers::{AUD, ISS, edited, settings};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// More than were ever looked through.
const VERY_MANY: usize = 70;

crate::support::postgres::on_both_databases! {
    entries_for_another_audience_shut_nobody_out
    entries_that_cannot_take_a_jwt_shut_nobody_out
    an_audience_that_names_the_organisation_is_nobody_elses
    entries_from_before_audiences_stood_apart_are_found
    whoever_asks_about_a_jwt_asks_for_an_organisation
}

/// Two organisations of which each trusts the same issuer for an app of its own.
struct Stage {
    app: TestApp,
    ours: Credentials,
    rivals: Credentials,
    signer: Signer,
}

impl Stage {
    fn new(more: &[(&str, &str)]) -> Self {
        let app = TestApp::with(&[more, &FOR_ALL_WAYS].concat());
        let ours = app.create_app(&["billing:read"]);
        app.create_organisation("rival");
        app.create_api("rival", "https://rival.example", &["rival:read"]);
        let rivals = app.create_app_with("rival", new_app(&["rival:read"]));
        Self { app, ours, rivals, signer: Signer::p256("k") }
    }

    fn entry(&self, client: &Credentials, edit: impl FnOnce(&mut TrustPolicy)) -> IssuerSettings {
        edited(settings(&self.signer, StandsFor::App(client.id())), |policy| {
            policy.single_use = false;
            edit(policy);
        })
    }

    fn try_trust(
        &self,
        slug: &str,
        client: &Credentials,
        edit: impl FnOnce(&mut TrustPolicy),
    ) -> Result<ClientId, String> {
        let made = trusted_issuers::create(&self.app.management, slug, self.entry(client, edit));
        self.app.catch_up();
        made.map(|made| made.record.id).map_err(|error| error.to_string())
    }

    fn trust_ours(&self, edit: impl FnOnce(&mut TrustPolicy)) -> ClientId {
        self.try_trust("acme", &self.ours, edit).unwrap()
    }

    /// The rival trusts the issuer as often.
    fn rival_trusts(&self, times: usize, edit: impl Fn(usize, &mut TrustPolicy)) {
        for number in 0..times {
            let entry = self.entry(&self.rivals, |policy| {
                edit(number, policy);
                // No two may say the same.
                policy.audiences.push(format!("urn:rival:copy-{number}"));
            });
            trusted_issuers::create(&self.app.management, "rival", entry).unwrap();
        }
        self.app.catch_up();
    }

    fn jwt(&self, edit: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims(self.app.clock.now().seconds());
        edit(&mut claims);
        self.signer.sign(&claims)
    }

    fn of_ours(&self) -> String {
        format!("{}/acme", self.app.authority.issuer())
    }

    /// The JWT is good in every way, and stands for our app.
    fn is_good(&self, jwt: &str) {
        for way in WAYS {
            self.is_ours(way, &way.send(&self.app.url, jwt));
        }
    }

    fn is_ours(&self, way: Way, answer: &Answer) {
        assert_eq!(answer.status, 200, "{way:?}: {}", answer.body);
        let answer = answer.json();
        let who = match answer.get("ticket").or_else(|| answer.get("access_token")) {
            Some(token) => self.app.verified_jwt(token.as_str().unwrap()).1,
            None => answer,
        };
        assert_eq!(who["client_id"], self.ours.client_id, "{way:?}");
    }

    fn is_refused(&self, jwt: &str, what: &str) {
        for way in WAYS {
            way.assert_refused(&way.send(&self.app.url, jwt), &what);
        }
    }
}

fn rule(text: &str) -> ClaimRule {
    ClaimRule::parse(text).unwrap()
}

/// Very many may trust one issuer, each for JWTs of its own.
fn entries_for_another_audience_shut_nobody_out(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    stage.rival_trusts(VERY_MANY, |_, policy| policy.audiences = vec!["urn:rival:own".to_owned()]);
    stage.trust_ours(|_| {});
    stage.is_good(&stage.jwt(|_| {}));
    stage.is_good(&stage.jwt(|claims| claims["aud"] = json!([AUD])));
    // Nobody has this audience: the check that fails is said all the same.
    let foreign = stage.jwt(|claims| claims["aud"] = json!("urn:nobody"));
    let answer = Way::Ticket.send(&stage.app.url, &foreign);
    Way::Ticket.assert_refused(&answer, &"for nobody");
    assert!(answer.json()["error_description"].as_str().unwrap().contains("see its aud"), "{}", answer.body);
}

/// What is off, or whose rules say otherwise, or whose keys have other names, is none of too many.
fn entries_that_cannot_take_a_jwt_shut_nobody_out(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    stage.rival_trusts(VERY_MANY, |number, policy| {
        policy.rules = match number % 3 {
            0 => vec![rule(&format!("sub=robot-{number}"))],
            1 => vec![rule("sub=bob*"), rule("sub=alice")],
            _ => vec![rule("sub=*-robot")],
        };
    });
    stage.rival_trusts(VERY_MANY, |number, policy| {
        let other = Signer::p256(&format!("other-{number}"));
        policy.keys = IssuerKeys::Jwks(other.jwks().into());
    });
    stage.trust_ours(|_| {});
    stage.is_good(&stage.jwt(|_| {}));
    stage.is_refused(&stage.jwt(|claims| claims["sub"] = json!("mallory")), "nobody's subject");
    let switched_off = stage.try_trust("rival", &stage.rivals, |_| {}).unwrap();
    trusted_issuers::set_enabled(&stage.app.management, switched_off, false).unwrap();
    stage.app.catch_up();
    stage.is_good(&stage.jwt(|_| {}));
}

/// Of several that may take a JWT, those of one organisation leave room for those of others.
#[test]
fn very_many_entries_of_one_organisation_leave_room_for_those_of_others() {
    let stage = Stage::new(&[]);
    // Without a name, each of their keys may have signed it.
    let nameless = |_| {
        let mut jwk = Signer::p256("x").jwk;
        jwk.as_object_mut().unwrap().remove("kid");
        IssuerKeys::Jwks(json!({ "keys": [jwk] }).to_string().into())
    };
    stage.rival_trusts(VERY_MANY, |number, policy| policy.keys = nameless(number));
    stage.trust_ours(|_| {});
    stage.is_good(&stage.jwt(|_| {}));
}

/// One JWT costs no more than so many signatures, however many entries one organisation has for it.
#[test]
fn a_jwt_is_tried_with_a_bounded_number_of_keys() {
    let stage = Stage::new(&[]);
    let nameless = || {
        let mut jwk = Signer::p256("x").jwk;
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let four =
        || IssuerKeys::Jwks(json!({ "keys": [nameless(), nameless(), nameless(), nameless()] }).to_string().into());
    for number in 0..8 {
        if number == 7 {
            stage.trust_ours(|_| {});
            stage.is_good(&stage.jwt(|_| {}));
        }
        stage.trust_ours(|policy| policy.keys = four());
    }
    // The 33rd signature would be the one.
    let first = trusted_issuers::list(&stage.app.management, "acme", None, 100).unwrap();
    let good =
        first.iter().find(|entry| matches!(&entry.policy.keys, IssuerKeys::Jwks(set) if set.contains("kid"))).unwrap();
    trusted_issuers::delete(&stage.app.management, good.id).unwrap();
    stage.app.clock.advance(std::time::Duration::from_secs(1));
    stage.trust_ours(|_| {});
    stage.is_refused(&stage.jwt(|_| {}), "one of too many");
    let answer = Way::Bearer.send(&stage.app.url, &stage.jwt(|_| {}));
    let said = answer.json()["error_description"].as_str().unwrap().to_owned();
    assert!(!said.contains("Tenant") && !said.contains("client_id"), "a bearer token can name neither: {said}");
    assert!(said.contains("aud"), "{said}");
}

/// Keys that cost a stranger's victim much are refused where they are registered.
#[test]
fn keys_that_cost_much_are_not_taken() {
    let stage = Stage::new(&[]);
    let encode = |octets: &[u8]| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(octets)
    };
    let rsa = |octets: usize, e: &[u8]| json!({ "kty": "RSA", "n": encode(&vec![0xc1; octets]), "e": encode(e) });
    let five: Vec<Value> = (0..5).map(|_| rsa(256, &[1, 0, 1])).collect();
    for (keys, why) in [
        (vec![rsa(1_024, &[1, 0, 1])], "8192 bits; use 2048 to 4096"),
        (vec![rsa(256, &[0xff; 4])], "exponent must be odd, from 3 to 65537"),
        (vec![rsa(256, &[1, 0, 3])], "exponent must be odd, from 3 to 65537"),
        (five, "more than 4 of its keys have no `kid`"),
    ] {
        let document = json!({ "keys": keys }).to_string();
        let refusal =
            stage.try_trust("acme", &stage.ours, |policy| policy.keys = IssuerKeys::Jwks(document.as_str().into()));
        let refusal = refusal.unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
    }
}

/// What an organisation writes down is looked through with the entries of others, so it is not endless.
#[test]
fn what_an_organisation_demands_has_an_end() {
    let stage = Stage::new(&[]);
    let long = |rules: usize| {
        let values = (0..50).map(|number| format!("{number:0>500}")).collect();
        vec![ClaimRule { claim: ClaimName::sub(), test: ClaimTest::OneOf(values) }; rules]
    };
    let refusal = stage.try_trust("acme", &stage.ours, |policy| policy.rules = long(6)).unwrap_err();
    assert!(refusal.contains("128 KiB"), "{refusal}");
    let mut made = Vec::new();
    let refusal = loop {
        assert!(made.len() < 20, "more than a MiB");
        // No two may say the same.
        let copy = format!("urn:acme:copy-{}", made.len());
        match stage.try_trust("acme", &stage.ours, |policy| {
            policy.rules = long(4);
            policy.audiences.push(copy);
        }) {
            Ok(id) => made.push(id),
            Err(refusal) => break refusal,
        }
    };
    assert!(refusal.contains("1024 KiB") && made.len() >= 9, "{}: {refusal}", made.len());
    // What is there may be changed, if it becomes no longer.
    let shorter = trusted_issuers::change(&stage.app.management, made[0], None, |settings| {
        settings.policy.rules.pop();
        Ok::<_, ServiceError>(())
    });
    shorter.unwrap();
    stage.try_trust("rival", &stage.rivals, |_| {}).unwrap();
}

/// The audience `ISSUER/SLUG` is as if the organisation had been named, and whoever else registers whatever changes nothing.
fn an_audience_that_names_the_organisation_is_nobody_elses(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    let own = stage.of_ours();
    stage.trust_ours(|policy| policy.audiences = vec![own.clone(), AUD.to_owned()]);
    stage.is_good(&stage.jwt(|_| {}));
    stage.rival_trusts(1, |_, _| {});
    stage.is_refused(&stage.jwt(|_| {}), "for two organisations");
    stage.is_good(&stage.jwt(|claims| claims["aud"] = json!(own)));
    let both = || stage.jwt(|claims| claims["aud"] = json!([own, AUD]));
    for way in [Way::Grant, Way::Ticket, Way::Bearer] {
        stage.is_ours(way, &way.send(&stage.app.url, &both()));
    }
    // The other cannot have it, not even written down.
    let refusal = stage.try_trust("rival", &stage.rivals, |policy| policy.audiences = vec![own.clone()]).unwrap_err();
    assert!(refusal.contains("rival"), "what to write instead: {refusal}");
    // Whoever says otherwise is told otherwise.
    let post = |query: &str| stage.app.post(&format!("/server/jwt?{query}"), &[], &format!("JwtToken={}", both()));
    Way::Ticket.assert_refused(&post("Tenant=rival"), &"named another");
    stage.is_ours(Way::Ticket, &post("Tenant=acme"));
    let grant = |client: &Credentials| {
        let body = format!("grant_type={GRANT}&assertion={}&client_id={}", both(), client.client_id);
        stage.app.token_request(&[], &body)
    };
    Way::Grant.assert_refused(&grant(&stage.rivals), &"another's app");
    stage.is_ours(Way::Grant, &grant(&stage.ours));
    let basic = stage.rivals.basic();
    let body = format!("grant_type={GRANT}&assertion={}", both());
    Way::Grant.assert_refused(&stage.app.token_request(&[("authorization", &basic)], &body), &"another asks");
    // An organisation that there is not may be there tomorrow.
    let unknown = stage.jwt(|claims| claims["aud"] = json!([format!("{}/nobody", stage.app.authority.issuer()), AUD]));
    stage.is_refused(&unknown, "for an organisation that there is not");
    // For two organisations it is for whichever of them is named.
    let rivals = format!("{}/rival", stage.app.authority.issuer());
    let two = stage.jwt(|claims| claims["aud"] = json!([own, rivals, AUD]));
    Way::Ticket.assert_refused(&Way::Ticket.send(&stage.app.url, &two), &"for two");
    let named = stage.app.post("/server/jwt?Tenant=acme", &[], &format!("JwtToken={two}"));
    stage.is_ours(Way::Ticket, &named);
}

/// A service asks about what it is shown, so it is clear for whom that must be; a rival who takes the same is not.
fn whoever_asks_about_a_jwt_asks_for_an_organisation(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    stage.trust_ours(|_| {});
    stage.rival_trusts(1, |_, _| {});
    let jwt = stage.jwt(|_| {});
    Way::Bearer.assert_refused(&Way::Bearer.send(&stage.app.url, &jwt), &"may be for either");
    for (asker, expected) in [(&stage.ours, &stage.ours), (&stage.rivals, &stage.rivals)] {
        let said = stage.app.introspect(asker, &jwt).assert_status(200).json();
        assert_eq!((&said["active"], &said["client_id"]), (&json!(true), &json!(expected.client_id)), "{said}");
    }
    let bearer = format!("Bearer {jwt}");
    let verify = |query: &str| stage.app.get(&format!("/connect/verify?{query}"), &[("authorization", &bearer)]);
    let (billing, rival) = ("aud=https://billing.example", "aud=https://rival.example");
    for (query, who) in [
        (billing.to_owned(), Some(&stage.ours)),
        (rival.to_owned(), Some(&stage.rivals)),
        (format!("{billing}&aud=https://nobody.example"), Some(&stage.ours)),
        (format!("{billing}&{rival}"), None),
        ("aud=*".to_owned(), None),
        (format!("aud={}/api/v1", stage.app.authority.issuer()), None),
        ("aud=https://nobody.example".to_owned(), None),
    ] {
        let answer = verify(&query);
        assert_eq!(answer.status, if who.is_some() { 200 } else { 401 }, "{query}: {}", answer.body);
        assert_eq!(answer.header("x-auth-client-id"), who.map_or("", |who| &who.client_id), "{query}");
    }
    // An API that is made later is known at once.
    stage.app.create_api("acme", "https://nobody.example", &["later:read"]);
    stage.app.catch_up();
    let answer = verify("aud=https://nobody.example");
    assert_eq!(answer.status, 401, "it is ours, and the app has no scope there: {}", answer.body);
    assert!(!answer.body.contains("Several"), "{}", answer.body);
}

fn execute(database: &Database, statement: &'static str) {
    let run = move |conn: &mut AnyConnection| -> Result<(), DbError> { Ok(conn.batch_execute(statement)?) };
    database.write(run).unwrap();
}

/// The migration reads the audiences out of the policies.
fn entries_from_before_audiences_stood_apart_are_found(more: &[(&str, &str)]) {
    let stage = Stage::new(more);
    stage.trust_ours(|policy| policy.audiences = vec!["urn:ünï \"quoted\"".to_owned(), AUD.to_owned(), AUD.to_owned()]);
    let database = stage.app.management.database();
    execute(database, "DROP TABLE trusted_issuer_audiences");
    execute(database, "DELETE FROM __diesel_schema_migrations WHERE version = '20261122000010'");
    stage.app.management.database().migrate().unwrap();
    stage.is_good(&stage.jwt(|_| {}));
    stage.is_good(&stage.jwt(|claims| claims["aud"] = json!("urn:ünï \"quoted\"")));
}

/// However an issuer is looked for, its keys are in memory once; and a change of another does not parse it again.
#[test]
fn an_issuer_is_in_memory_once() {
    let stage = Stage::new(&[]);
    stage.trust_ours(|_| {});
    let find = |audiences: &[&str], meant: Meant| {
        let audiences = audiences.iter().map(|audience| Box::from(*audience)).collect();
        let sought = Sought { issuer: ISS.into(), audiences: Some(audiences), meant };
        let found = stage.app.authority.directory.find_trusted_issuers(sought);
        actix_web::rt::System::new().block_on(found).unwrap()[0].clone()
    };
    let first = find(&[AUD], Meant::Anybody);
    let same = |other: &Arc<_>| Arc::ptr_eq(&first, other);
    for meant in [Meant::Bearer, Meant::Organisation("acme".into()), Meant::Client(stage.ours.id())] {
        assert!(same(&find(&[AUD], meant.clone())), "{meant:?}");
        assert!(same(&find(&["urn:other"], meant.clone())), "{meant:?}");
        assert!(same(&find(&[AUD, "urn:other"], meant.clone())), "{meant:?}");
    }
    stage.rival_trusts(1, |_, policy| policy.audiences = vec!["urn:rival".to_owned()]);
    assert!(same(&find(&[AUD], Meant::Anybody)));
    let changed = trusted_issuers::change(&stage.app.management, first.record.id, None, |settings| {
        settings.policy.rules = vec![rule("sub=alice"), rule("extra=1")];
        Ok::<_, ServiceError>(())
    });
    changed.unwrap();
    stage.app.catch_up();
    assert_eq!(find(&[AUD], Meant::Anybody).record.policy.rules.len(), 2, "a change is seen");
}
