//! The pages of trusted issuers, through the front door and without scripts.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use brevet::db::developers::Role;
use brevet::oauth::client::{ClientAuthentication, KeySource};
use brevet::oauth::trust::{ClaimTest, IssuerKeys};
use brevet::service::apps::NewApp;
use brevet::service::trusted_issuers::{self, StandsFor, TrustedIssuerRecord};
use serde_json::json;

use crate::client_jwks_uri::{KeyServer, good};
use crate::support::browser::{Browser, Page};
use crate::support::postgres::on_both_databases;
use crate::support::signer::Signer;
use crate::support::{Credentials, TestApp, audit, new_app};
use crate::trusted_issuers::{AUD, ISS, Stage, settings};

on_both_databases! {
    an_issuer_is_trusted_looked_at_changed_switched_off_and_deleted
    the_audit_log_calls_issuers_and_people_by_their_names
}

/// An organisation with an app and an owner at work.
struct Desk {
    app: TestApp,
    client: Credentials,
    ana: Browser,
}

impl Desk {
    fn new() -> Self {
        Self::with(&[])
    }

    /// The same with other settings.
    fn with(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::with(&[settings, &[("outbound-allow-private", "true")]].concat());
        app.create_person("acme", "ana@example.com", Role::Owner);
        let client = app.create_app(&["billing:read"]);
        let ana = app.browser_of("ana@example.com");
        Self { app, client, ana }
    }

    fn all(&self) -> Vec<TrustedIssuerRecord> {
        trusted_issuers::list(&self.app.management, "acme", None, 10).unwrap()
    }

    /// Fills the form of that kind.
    fn trust(&self, from: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.ana.get(&format!("/issuers/new?from={from}")).assert_status(200);
        self.ana.submit(&page, "/issuers/new", fields)
    }

    fn pasted(&self, signer: &Signer, fields: &[(&str, &str)]) -> Page {
        let jwks = signer.jwks();
        let all =
            [("name", "Portal"), ("issuer", ISS), ("jwks", &jwks), ("audiences", AUD), ("app", &self.client.client_id)];
        let mut all: Vec<(&str, &str)> =
            all.into_iter().filter(|(name, _)| !fields.iter().any(|(other, _)| other == name)).collect();
        all.extend_from_slice(fields);
        self.trust("jwks", &all)
    }
}

fn an_issuer_is_trusted_looked_at_changed_switched_off_and_deleted(settings: &[(&str, &str)]) {
    let desk = Desk::with(settings);
    let (ana, signer) = (&desk.ana, Signer::ed25519("k1"));
    let page = ana.get("/issuers").assert_status(200);
    assert!(page.text().contains("No issuer is trusted yet") && page.text().contains("GitHub Actions"));
    let page = ana.get("/issuers/new").assert_status(200);
    for kind in ["github", "gitlab", "kubernetes", "spiffe", "entra", "url", "certificate", "jwks"] {
        assert!(page.links().contains(&format!("/issuers/new?from={kind}")), "{kind}");
        ana.get(&format!("/issuers/new?from={kind}")).assert_status(200);
    }

    let page = desk.pasted(&signer, &[("rules", "sub = alice\nrepository = octo/app, octo/web"), ("max-age", "10m")]);
    assert_eq!((page.assert_status(200).heading().as_str(), desk.all().len()), ("Portal", 1));
    let record = desk.all().remove(0);
    let values = vec!["octo/app".to_owned(), "octo/web".to_owned()];
    assert_eq!(record.policy.rules[1].test, ClaimTest::OneOf(values));
    assert_eq!((record.app, record.policy.limits_scopes), (Some(desk.client.id()), false));

    let path = format!("/issuers/{}", record.id);
    let page = ana.get(&path).assert_status(200);
    for said in
        [ISS, AUD, "sub is alice", "10m", "robot", "all that the app has", "trusted-issuer.create", "pasted JWKS"]
    {
        assert!(page.text().contains(said) || page.body.contains(said), "{said}: {}", page.text());
    }

    let page = ana.get(&format!("{path}/edit")).assert_status(200);
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Portal"));
    let fields = [("name", "Portals"), ("limits-scopes", "yes"), ("scope", "billing:read"), ("single-use", "yes")];
    let page = ana.submit(&page, "/edit", &fields).assert_status(200);
    assert_eq!(page.heading(), "Portals");
    let changed = desk.all().remove(0);
    assert_eq!(changed.policy.rules, record.policy.rules);
    assert!(changed.policy.limits_scopes && changed.policy.single_use);

    let page = ana.submit(&page, "/disable", &[]).assert_status(200);
    assert!(page.text().contains("This issuer is disabled"));
    let page = ana.submit(&page, "/enable", &[]).assert_status(200);
    assert!(!page.text().contains("This issuer is disabled"));

    let page = ana.get(&format!("{path}/delete")).assert_status(200);
    assert!(page.text().contains("stays good until it expires"));
    let page = ana.submit(&page, "/delete", &[("confirm", "Portal")]).assert_status(422);
    assert!(page.faults().join(" ").contains("exactly as it stands here"));
    let page = ana.submit(&page, "/delete", &[("confirm", "Portals")]).assert_status(200);
    assert_eq!(page.texts(".done"), ["The issuer is deleted. Its tokens are refused."]);
    ana.get(&path).assert_status(404);
    let deeds: Vec<String> = audit(&desk.app, "acme").into_iter().map(|deed| deed.action).collect();
    for deed in ["create", "update", "disable", "enable", "delete"] {
        assert!(deeds.contains(&format!("trusted-issuer.{deed}")), "{deed}: {deeds:?}");
    }
}

#[test]
fn what_an_issuers_own_configuration_says_is_shown_before_anything_is_saved() {
    let desk = Desk::new();
    let signer = Signer::ed25519("k1");
    let keys = KeyServer::start(good(&signer.jwks()));
    let app = desk.client.client_id.clone();
    let fields =
        |url: &'static str| [("name", "Cluster"), ("issuer", url), ("rules", "sub = x"), ("app", app.as_str())];

    // A JWK set behind a URL.
    let jwks_uri = [("keys", "jwks_uri"), ("jwks-uri", keys.url.as_str())];
    let page = desk.trust("url", &[&fields("https://cluster.example")[..], &jwks_uri].concat()).assert_status(200);
    assert!(page.text().contains("What was found") && page.text().contains("Nothing is saved yet"), "{}", page.text());
    assert!(page.text().contains("EdDSA") && page.text().contains(&keys.url));
    assert_eq!(desk.all().len(), 0);
    let page = desk.ana.submit(&page, "/issuers/new", &[]).assert_status(200);
    assert_eq!((page.heading().as_str(), desk.all().len()), ("Cluster", 1));
    assert!(matches!(&desk.all()[0].policy.keys, IssuerKeys::JwksUri(url) if **url == *keys.url));

    // Another URL than the one that was looked at is looked at first.
    let path = format!("/issuers/{}/edit", desk.all()[0].id);
    let page = desk.ana.get(&path);
    let page = desk.ana.submit(&page, "/edit", &[("name", "Clusters")]).assert_status(200);
    assert_eq!(page.heading(), "Clusters", "keys in the same place need no second look");
    let other = KeyServer::start(good("{\"keys\":[]}"));
    let page = desk.ana.submit(&desk.ana.get(&path), "/edit", &[("jwks-uri", &other.url)]).assert_status(200);
    assert!(page.text().contains("Its keys cannot be fetched") && page.text().contains("no public signature key"));
    assert!(matches!(&desk.all()[0].policy.keys, IssuerKeys::JwksUri(url) if **url == *keys.url));

    // Discovery: a configuration that names somebody else is said to.
    let lying = json!({ "issuer": "https://else.example", "jwks_uri": keys.url }).to_string();
    let server = KeyServer::start(good(&lying));
    let own = server.url.trim_end_matches("/jwks.json").to_owned();
    let found = [("name", "Liar"), ("issuer", own.as_str()), ("rules", "sub = x"), ("app", app.as_str())];
    let page = desk.trust("url", &found).assert_status(200);
    assert!(page.text().contains("names another issuer"), "{}", page.text());
    assert_eq!(desk.all().len(), 1);
}

#[test]
fn keys_inside_the_private_network_are_not_looked_at_unless_the_operator_allows_it() {
    let app = TestApp::new();
    app.create_person("acme", "ana@example.com", Role::Owner);
    let (client, ana) = (app.create_app(&["billing:read"]), app.browser_of("ana@example.com"));
    let page = ana.get("/issuers/new?from=url").assert_status(200);
    for issuer in ["https://127.0.0.1:1/", "http://localhost:1", "https://169.254.169.254", "https://10.0.0.1"] {
        let fields = [("name", "x"), ("issuer", issuer), ("rules", "sub = x"), ("app", client.client_id.as_str())];
        let looked = ana.submit(&page, "/issuers/new", &fields).assert_status(200);
        assert!(looked.text().contains("Its keys cannot be fetched"), "{issuer}: {}", looked.text());
        // Nor is it saved by pressing the button again.
        let saved = ana.submit(&looked, "/issuers/new", &[]).assert_status(422);
        assert_eq!(saved.attribute(".faults a", "href").as_deref(), Some("#issuer"), "{issuer}");
    }
}

#[test]
fn what_cannot_be_used_is_said_at_the_field_and_the_rest_is_kept() {
    let desk = Desk::new();
    let signer = Signer::ed25519("k1");
    desk.app.create_organisation("other");
    desk.app.create_api("other", "https://other.example", &["other:read"]);
    let theirs = desk.app.create_app_with("other", new_app(&["other:read"]));
    let cases: [(&[(&str, &str)], &str, &str); 12] = [
        (&[("name", "")], "name", "enter a name"),
        (&[("issuer", "")], "issuer", "byte for byte"),
        (&[("issuer", "a|b")], "issuer", "without |"),
        (&[("jwks", "{}")], "jwks", "cannot be used"),
        (&[("jwks", "")], "jwks", "paste its public keys"),
        (&[("audiences", "")], "audiences", "name an audience"),
        (&[("rules", "")], "rules", "which of its jwts stand for the app"),
        (&[("rules", "sub")], "rules", "write claim=value"),
        (&[("rules", "sub = *")], "rules", "fits everything"),
        (&[("max-age", "soon")], "max-age", "such as 90s"),
        (&[("ticket-lifetime", "9d")], "ticket-lifetime", "longer than the server's"),
        (&[("app", "")], "app", "choose the app"),
    ];
    for (fields, id, said) in cases {
        let mut fields = fields.to_vec();
        if !fields.iter().any(|(name, _)| *name == "rules") {
            fields.push(("rules", "sub = kept"));
        }
        let page = desk.pasted(&signer, &fields).assert_status(422);
        let faults = page.faults().join(" ").to_lowercase();
        assert!(faults.contains(said), "{fields:?}: {faults}");
        assert_eq!(page.attribute(".faults a", "href"), Some(format!("#{id}")), "{fields:?}");
        assert!(page.attribute(&format!("#{id}"), "id").is_some(), "{id} is a place on the page");
        assert_eq!(page.attribute("#subject-claim", "value").as_deref(), Some("sub"));
    }
    let nobody = [("stands-for", "users"), ("rules", "")];
    let page = desk.pasted(&signer, &nobody).assert_status(422);
    assert!(page.faults().join(" ").contains("Tick at least one scope"));
    assert_eq!(desk.all().len(), 0, "nothing was made");

    // An app of another organisation cannot be chosen: it is not even there.
    let page = desk.ana.get(&format!("/issuers/new?from=jwks&app={}", theirs.client_id)).assert_status(200);
    assert!(!page.texts("#app option").join("\n").contains(&theirs.client_id), "{:?}", page.texts("#app option"));
}

#[test]
fn what_a_kind_of_issuer_begins_with_is_not_saved_unchanged() {
    let desk = Desk::new();
    let signer = Signer::ed25519("k1");
    let keys = KeyServer::start(good(&signer.jwks()));
    let found = [("keys", "jwks_uri"), ("jwks-uri", keys.url.as_str()), ("app", &desk.client.client_id)];
    let cases = [
        ("github", "issuer", "https://x.example", "rules", "OWNER/REPOSITORY"),
        ("gitlab", "issuer", "https://x.example", "rules", "GROUP/PROJECT"),
        ("kubernetes", "issuer", "https://x.example", "rules", "NAMESPACE, NAME"),
        ("spiffe", "issuer", "https://x.example", "rules", "TRUST-DOMAIN, NAMESPACE, NAME"),
        ("entra", "rules", "oid = 6f1c", "issuer", "TENANT-ID"),
        ("entra", "issuer", "https://x.example", "rules", "OBJECT-ID"),
    ];
    for (kind, field, value, id, left) in cases {
        let mut page = desk.trust(kind, &[&found[..], &[(field, value)]].concat());
        for press in ["first", "second"] {
            page = page.assert_status(422);
            assert!(page.faults().join(" ").contains(&format!("in place of {left}.")), "{kind}: {:?}", page.faults());
            assert_eq!(page.attribute(".faults a", "href"), Some(format!("#{id}")), "{kind}, {press}");
            page = desk.ana.submit(&page, "/issuers/new", &[]);
        }
    }
    assert_eq!(desk.all().len(), 0);
    let own = [("rules", "repository = octo/app"), ("single-use", "yes")];
    let page = desk.trust("github", &[&found[..], &own].concat()).assert_status(200);
    desk.ana.submit(&page, "/issuers/new", &[]).assert_status(200);
    assert_eq!(desk.all().len(), 1);
    // Nor is it changed into that.
    let path = format!("/issuers/{}/edit", desk.all()[0].id);
    let page =
        desk.ana.submit(&desk.ana.get(&path), "/edit", &[("rules", "repository = OWNER/brevet")]).assert_status(422);
    assert!(page.faults().join(" ").contains("in place of OWNER."), "{:?}", page.faults());
}

#[test]
fn a_private_key_is_never_sent_back_in_a_page() {
    const SECRET: &str = "c2VjcmV0LXNjYWxhcg";
    let desk = Desk::new();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----");
    let jwk = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "eA", "d": SECRET }] }).to_string();
    let app = desk.client.client_id.as_str();
    for (kind, field, given) in
        [("jwks", "jwks", &jwk), ("jwks", "jwks", &pem), ("certificate", "certificates", &pem), ("url", "jwks", &jwk)]
    {
        let good = [("name", "Portal"), ("issuer", ISS), ("audiences", AUD), ("app", app), ("rules", "sub = x")];
        for other in [("name", ""), ("max-age", "soon"), ("name", "Portal"), ("do", "find-app")] {
            let all: Vec<_> = good.into_iter().filter(|(name, _)| *name != other.0).collect();
            let page = desk.trust(kind, &[&all[..], &[other, (field, given.as_str())]].concat()).assert_status(422);
            let faults = page.faults().join(" ");
            assert!(
                faults.contains("That is a private key: it must stay with the issuer"),
                "{kind} {other:?}: {faults}"
            );
            assert!(page.attribute(".faults a", "href").is_some_and(|link| link == format!("#{field}")));
            assert!(!page.body.contains(SECRET), "{kind} {other:?}");
            assert_eq!(page.texts(&format!("#{field}")), [""]);
        }
    }
    let settings = format!("/apps/{app}/settings");
    let signs = [("auth-method", "private_key_jwt"), ("jwks-uri", "https://kept.example/jwks")];
    let send = |given: &str| {
        let page = desk.ana.get(&settings).assert_status(200);
        desk.ana.submit(&page, "/authentication", &[&signs[..], &[("jwks", given)]].concat())
    };
    // The proof of who it is that such a change needs is not asked for, so that nothing waits meanwhile.
    desk.app.clock.advance(Duration::from_secs(1_200));
    for given in [&jwk, &pem] {
        let page = send(given).assert_status(422);
        assert!(page.faults().join(" ").contains("That is a private key: it must stay with the program"));
        assert!(!page.body.contains(SECRET) && page.texts("#jwks") == [""]);
        assert_eq!(page.attribute("#jwks-uri", "value").as_deref(), Some("https://kept.example/jwks"));
    }
    // Nor does one wait for somebody whose session is over.
    let page = desk.ana.get(&settings).assert_status(200);
    desk.app.clock.advance(Duration::from_secs(90 * 86_400));
    let page = desk.ana.submit(&page, "/authentication", &[&signs[..], &[("jwks", pem.as_str())]].concat());
    let page = page.assert_status(401);
    assert!(!page.body.contains(SECRET));
    let fields = [("email", "ana@example.com"), ("password", crate::support::PASSWORD)];
    let page = desk.ana.submit(&page, "/login", &fields);
    assert!(page.body.contains("https://kept.example/jwks") && !page.body.contains(SECRET), "{}", page.text());
}

#[test]
fn people_of_an_issuer_get_the_scopes_that_are_ticked_and_a_second_entry_is_a_conflict() {
    let desk = Desk::new();
    let signer = Signer::ed25519("k1");
    let users = [("stands-for", "users"), ("app", ""), ("scope", "billing:read"), ("rules", "")];
    desk.pasted(&signer, &users).assert_status(200);
    let record = desk.all().remove(0);
    assert_eq!((record.app, record.scopes[0].1.as_str()), (None, "billing:read"));
    let page = desk.pasted(&signer, &users).assert_status(409);
    assert!(page.faults().join(" ").contains("names users here already"), "{:?}", page.faults());
}

#[test]
fn of_two_who_change_an_issuer_the_second_sees_both_versions() {
    let desk = Desk::new();
    desk.pasted(&Signer::ed25519("k1"), &[("rules", "sub = x")]).assert_status(200);
    let path = format!("/issuers/{}/edit", desk.all()[0].id);
    let (mine, theirs) = (desk.ana.get(&path), desk.ana.get(&path));
    desk.ana.submit(&theirs, "/edit", &[("name", "Theirs")]).assert_status(200);
    let page = desk.ana.submit(&mine, "/edit", &[("name", "Mine")]).assert_status(409);
    assert!(page.texts("tbody tr").join("\n").contains("NameTheirsMinedifferent"), "{:?}", page.texts("tbody tr"));
    assert_eq!(desk.all()[0].name, "Theirs");
    desk.ana.submit(&page, "/edit", &[]).assert_status(200);
    assert_eq!(desk.all()[0].name, "Mine");
}

#[test]
fn whoever_lets_others_in_proves_first_who_it_is() {
    let desk = Desk::new();
    desk.app.clock.advance(std::time::Duration::from_secs(1_200));
    let page = desk.pasted(&Signer::ed25519("k1"), &[("rules", "sub = x")]).assert_status(403);
    assert!(page.text().contains("Trust an issuer"), "{}", page.text());
    assert_eq!(desk.all().len(), 0);
    let proof = [("confirm-password", crate::support::PASSWORD)];
    desk.ana.submit(&page, "/issuers/new", &proof).assert_status(200);
    assert_eq!(desk.all().len(), 1);
}

#[test]
fn the_page_counts_what_was_accepted_and_refused_and_why() {
    let stage = Stage::new();
    let id = stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    stage.grant(&stage.jwt()).assert_status(200);
    let mut late = stage.claims();
    late["exp"] = json!(1);
    for _twice in 0..2 {
        stage.grant(&stage.signer.sign(&late)).assert_status(400);
    }
    let authority = &stage.app.authority;
    authority.trust_counts.flush(stage.app.management.database(), authority.clock.now()).unwrap();

    stage.app.create_person("acme", "vera@example.com", Role::Viewer);
    let vera = stage.app.browser_of("vera@example.com");
    let page = vera.get(&format!("/issuers/{id}")).assert_status(200);
    let rows = page.texts("tbody tr").join("\n");
    assert!(rows.contains("It had expired, or lives too long2") && rows.contains("Accepted1"), "{rows}");
    assert!(!page.links().iter().any(|link| link.ends_with("/edit")) && page.texts("main form").is_empty());
    let row = vera.get("/issuers").assert_status(200).texts("tbody tr").join("\n");
    assert!(
        row.contains("Portal") && row.contains("robot") && row.contains("PortalActive") && row.ends_with("12"),
        "{row}"
    );
    assert!(vera.get("/issuers?q=nothing").text().contains("No issuer matches"));
    assert_eq!(vera.get("/issuers?q=PORTAL.ex").assert_status(200).texts("tbody tr").len(), 1);
}

#[test]
fn a_pasted_token_is_told_check_by_check_and_not_used_up() {
    let stage = Stage::new();
    let id = stage.trust(settings(&stage.signer, StandsFor::App(stage.client.id())));
    stage.app.create_person("acme", "vera@example.com", Role::Viewer);
    let vera = stage.app.browser_of("vera@example.com");
    let page = vera.get(&format!("/issuers/{id}/test")).assert_status(200);
    let jwt = stage.jwt();
    let tested = vera.submit(&page, "/test", &[("token", &jwt)]).assert_status(200);
    assert!(tested.text().contains("It would be accepted now."), "{}", tested.text());
    assert!(!tested.body.contains(&jwt), "the token is not on the page");
    stage.grant(&jwt).assert_status(200);
    let again = vera.submit(&page, "/test", &[("token", &jwt)]).assert_status(200);
    assert!(again.texts("tbody tr").join("\n").contains("Single usefails"), "{:?}", again.texts("tbody tr"));

    let mut claims = stage.claims();
    claims["aud"] = json!("urn:else");
    let tested = vera.submit(&page, "/test", &[("token", &stage.signer.sign(&claims))]).assert_status(200);
    let rows = tested.texts("tbody tr").join("\n");
    assert!(rows.contains("Signatureholds") && rows.contains("Audiencefails"), "{rows}");
    let tested = vera.submit(&page, "/test", &[("token", "no token")]).assert_status(200);
    assert!(tested.texts("tbody tr").join("").contains("Formfails"), "{}", tested.text());
    vera.submit(&page, "/test", &[("token", "")]).assert_status(422);
}

#[test]
fn an_app_without_app_key_is_made_and_its_page_says_who_stands_for_it() {
    let desk = Desk::new();
    let page = desk.ana.get("/apps/new").assert_status(200);
    let fields = [("name", "deployer"), ("scope", "billing:read"), ("key-expires-in", "none"), ("do", "create")];
    let page = desk.ana.submit(&page, "/apps", &fields).assert_status(200);
    assert_eq!(page.heading(), "deployer");
    assert!(
        page.text().contains("no trusted issuer's tokens stand for it")
            && page.text().contains("tokens of trusted issuers")
    );
    let link = page.links().into_iter().find(|link| link.starts_with("/issuers/new?app=")).unwrap();
    let sid = link.rsplit('=').next().unwrap().to_owned();
    let starts = desk.ana.get(&link).assert_status(200);
    assert!(starts.links().contains(&format!("/issuers/new?from=github&app={sid}")), "{:?}", starts.links());
    let page = desk.ana.get(&format!("/issuers/new?from=jwks&app={sid}")).assert_status(200);
    let signer = Signer::ed25519("k1");
    let fields = [("name", "Builds"), ("issuer", ISS), ("jwks", &signer.jwks()), ("rules", "sub = alice")];
    desk.ana.submit(&page, "/issuers/new", &fields).assert_status(200);
    let page = desk.ana.get(&format!("/apps/{sid}")).assert_status(200);
    assert!(page.texts("tbody tr").join("\n").contains(&format!("Builds{ISS}Active")), "{:?}", page.texts("tbody tr"));
    assert!(desk.ana.get(&format!("/apps/{sid}/keys")).text().contains("show a token of an issuer"));
}

#[test]
fn admins_say_by_which_login_trusted_issuers_know_a_member() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let app = &stage.app;
    let bo = app.create_person("acme", "bo@example.com", Role::Developer);
    app.create_person("acme", "ana@example.com", Role::Admin);
    let ana = app.browser_of("ana@example.com");
    let mut claims = stage.claims();
    claims["sub"] = json!("bo.smith");
    stage.ticket(&stage.signer.sign(&claims)).assert_status(401);

    let action = format!("/team/members/{bo}/login");
    let page = ana.submit(&ana.get("/team"), &action, &[("login", " bo.smith ")]).assert_status(200);
    assert!(page.texts("tbody tr").join("\n").contains("bo.smith"), "{}", page.text());
    claims["jti"] = json!("2");
    stage.ticket(&stage.signer.sign(&claims)).assert_status(200);

    let page = ana.submit(&page, &action, &[("login", "alice")]).assert_status(422);
    assert!(
        page.faults().join(" ").contains("nother member of the organisation has that login"),
        "{:?}",
        page.faults()
    );
    let page = ana.submit(&page, &action, &[("login", "")]).assert_status(200);
    assert!(!page.text().contains("bo.smith"));
    claims["jti"] = json!("3");
    stage.ticket(&stage.signer.sign(&claims)).assert_status(401);
    assert!(audit(app, "acme").iter().any(|deed| deed.action == "member.login"));

    let bos = app.browser_of("bo@example.com");
    assert!(!bos.get("/team").assert_status(200).body.contains("/login\""), "developers change no logins");
}

/// A certificate in PEM, of a key of its own, that is valid from January 2026 until that day.
fn certificate_until((year, month, day): (i32, u8, u8)) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::default();
    wanted.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    wanted.not_before = rcgen::date_time_ymd(2026, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(year, month, day);
    let made = STANDARD.encode(wanted.self_signed(&key).unwrap().der());
    format!("-----BEGIN CERTIFICATE-----\n{made}\n-----END CERTIFICATE-----\n")
}

#[test]
fn everybody_in_the_organisation_hears_of_a_certificate_that_ends_within_a_month() {
    const DAY: Duration = Duration::from_secs(86_400);
    const WARNING: &str = "Certificates of trusted issuers end";
    let desk = Desk::new();
    desk.app.create_person("acme", "vera@example.com", Role::Viewer);
    desk.app.create_organisation("other");
    desk.app.create_person("other", "otto@example.com", Role::Owner);
    let pasted = |until| {
        let pem = certificate_until(until);
        let users = [("name", "Portal"), ("issuer", ISS), ("certificates", &pem), ("audiences", AUD)];
        desk.trust("certificate", &[&users[..], &[("scope", "billing:read")]].concat()).assert_status(200);
    };
    pasted((2027, 1, 1));
    let path = format!("/issuers/{}", desk.all()[0].id);
    // People sign in anew: sessions do not live that long.
    let see = |email: &str| {
        let browser = desk.app.browser_of(email);
        let (home, list) = (browser.get("/").assert_status(200), browser.get("/issuers").assert_status(200));
        (home, list.texts("tbody tr").join("\n"), browser.get(&path))
    };

    let (home, row, page) = see("vera@example.com");
    assert!(!home.text().contains(WARNING) && row.contains("PortalActive"), "{row}");
    assert!(!page.text().contains("within 30 days"));

    desk.app.clock.advance(DAY * 11);
    for email in ["ana@example.com", "vera@example.com"] {
        let (home, row, page) = see(email);
        assert!(home.text().contains(WARNING) && home.links().contains(&path), "{email}: {}", home.text());
        assert!(home.texts(".warning li").join("").contains("Portal: ends"), "{:?}", home.texts(".warning li"));
        assert!(row.contains("PortalExpires "), "{row}");
        assert!(page.text().contains("A certificate of this issuer ends within 30 days."));
        assert_eq!(page.links().contains(&format!("{path}/edit")), email == "ana@example.com");
    }
    let otto = desk.app.browser_of("otto@example.com");
    assert!(!otto.get("/").assert_status(200).text().contains(WARNING), "it is nothing to them");

    desk.app.clock.advance(DAY * 31);
    let (home, row, page) = see("vera@example.com");
    assert!(home.texts(".warning li").join("").contains("Portal: ended"), "{:?}", home.texts(".warning li"));
    assert!(row.contains("PortalExpired"), "{row}");
    assert!(page.text().contains("None of its certificates is valid any more"));

    // The next one beside it, and nobody needs to look any more.
    let ana = desk.app.browser_of("ana@example.com");
    let next = certificate_until((2029, 1, 1));
    let edit = ana.get(&format!("{path}/edit"));
    ana.submit(&edit, "/edit", &[("certificates", &next)]).assert_status(200);
    let (home, row, page) = see("vera@example.com");
    assert!(!home.text().contains(WARNING) && row.contains("PortalActive"), "{row}");
    assert!(!page.text().contains("within 30 days"), "{}", page.text());
}

#[test]
fn a_certificate_that_ends_beside_its_successor_worries_nobody() {
    const WARNING: &str = "Certificates of trusted issuers end";
    let desk = Desk::new();
    let (old, next) = (certificate_until((2026, 12, 1)), certificate_until((2029, 1, 1)));
    let fields = [("name", "Portal"), ("issuer", ISS), ("certificates", &old), ("audiences", AUD)];
    desk.trust("certificate", &[&fields[..], &[("scope", "billing:read")]].concat()).assert_status(200);
    assert!(desk.ana.get("/").text().contains(WARNING));
    let path = format!("/issuers/{}", desk.all()[0].id);
    let both = format!("{old}\n{next}");
    let page = desk.ana.submit(&desk.ana.get(&format!("{path}/edit")), "/edit", &[("certificates", &both)]);
    let page = page.assert_status(200);
    assert!(!page.text().contains("within 30 days") && page.text().contains("another takes over"), "{}", page.text());
    assert!(!desk.ana.get("/").text().contains(WARNING));
    assert!(desk.ana.get("/issuers").texts("tbody tr").join("").contains("PortalActive"));
}

#[test]
fn who_is_disabled_needs_no_certificate() {
    let desk = Desk::new();
    let pem = certificate_until((2026, 12, 1));
    let fields = [("name", "Portal"), ("issuer", ISS), ("certificates", &pem), ("audiences", AUD)];
    desk.trust("certificate", &[&fields[..], &[("scope", "billing:read")]].concat()).assert_status(200);
    assert!(desk.ana.get("/").text().contains("Certificates of trusted issuers end"));
    let path = format!("/issuers/{}", desk.all()[0].id);
    desk.ana.submit(&desk.ana.get(&path), "/disable", &[]).assert_status(200);
    assert!(!desk.ana.get("/").text().contains("Certificates of trusted issuers end"));
    assert!(desk.ana.get("/issuers").texts("tbody tr").join("").contains("PortalDisabled"));
}

#[test]
fn authorities_of_the_operating_system_can_be_chosen_where_the_operator_named_one() {
    let desk = Desk::new();
    let closed = desk.ana.get("/issuers/new?from=certificate").assert_status(200);
    assert!(closed.attribute("#keys-system_authorities", "disabled").is_some());
    assert!(closed.text().contains("the operator named none in the setting system-authorities"));
    // Who sends it all the same hears the same at that field.
    let fields = [("keys", "system_authorities"), ("name", "Portal"), ("issuer", ISS), ("audiences", AUD)];
    let fields = [&fields[..], &[("scope", "billing:read"), ("certificate-names", "signer.example")]].concat();
    let page = desk.ana.submit(&closed, "/issuers/new", &fields).assert_status(422);
    assert_eq!(page.attribute(".faults a", "href").as_deref(), Some("#keys"));
    assert_eq!(desk.all().len(), 0);

    let bundle = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::default();
    wanted.distinguished_name.push(rcgen::DnType::CommonName, "Public CA");
    wanted.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let made = STANDARD.encode(wanted.self_signed(&key).unwrap().der());
    std::fs::write(bundle.path(), format!("-----BEGIN CERTIFICATE-----\n{made}\n-----END CERTIFICATE-----\n")).unwrap();
    let bundle = bundle.path().to_str().unwrap();
    let app = TestApp::with(&[("system-authorities", "Public CA"), ("system-authorities-bundle", bundle)]);
    app.create_person("acme", "ana@example.com", Role::Owner);
    app.create_app(&["billing:read"]);
    let ana = app.browser_of("ana@example.com");
    let open = ana.get("/issuers/new?from=certificate").assert_status(200);
    assert!(open.attribute("#keys-system_authorities", "disabled").is_none());
    assert!(!open.text().contains("the operator named none"));
    let page = ana.submit(&open, "/issuers/new", &fields).assert_status(200);
    assert!(page.text().contains("the system's authorities"), "{}", page.text());
}

#[test]
fn what_belongs_to_a_choice_that_was_not_made_stays_in_the_form_and_means_nothing() {
    let desk = Desk::new();
    let signer = Signer::ed25519("k1");
    let hidden = [("certificate-names", "signer.example"), ("jwks-uri", "nonsense"), ("certificates", "nonsense")];
    let page = desk.pasted(&signer, &[&hidden[..], &[("rules", "")]].concat()).assert_status(422);
    assert_eq!(page.faults().len(), 1, "{:?}", page.faults());
    for (name, text) in hidden {
        let kept = page.attribute(&format!("#{name}"), "value").or_else(|| page.texts(&format!("#{name}")).pop());
        assert_eq!(kept.as_deref(), Some(text), "{name}");
    }
    desk.ana.submit(&page, "/issuers/new", &[("rules", "sub = x")]).assert_status(200);
    assert_eq!(desk.all()[0].policy.certificate_names, Vec::<String>::new());
    // What is wrong with an authority's certificates is said where they are pasted.
    let page = desk.pasted(&signer, &[("keys", "authorities"), ("certificates", "x"), ("rules", "sub = x")]);
    assert_eq!(page.assert_status(422).attribute(".faults a", "href").as_deref(), Some("#certificates"));
}

fn the_audit_log_calls_issuers_and_people_by_their_names(settings: &[(&str, &str)]) {
    let app = TestApp::with(settings);
    app.create_person("acme", "ana@example.com", Role::Owner);
    let (client, ana) = (app.create_app(&["billing:read"]), app.browser_of("ana@example.com"));
    let desk = Desk { app, client, ana };
    desk.pasted(&Signer::ed25519("k1"), &[("rules", "sub = x")]).assert_status(200);
    let id = desk.all()[0].id;
    let rows = |query: &str| desk.ana.get(&format!("/audit?{query}")).assert_status(200);
    let page = rows(&format!("target={id}"));
    assert!(page.links().contains(&format!("/issuers/{id}")));
    assert_eq!(page.texts("tbody td:nth-of-type(3)"), ["issuer Portal"]);
    assert_eq!(rows("action=trusted-issuer").texts("tbody tr").len(), 1);

    let called = || rows(&format!("target={id}")).texts("tbody td:nth-of-type(1)").remove(0);
    let rename = |name: &str, browser: &Browser| {
        browser.submit(&browser.get("/account"), "/account/profile", &[("name", name)]).assert_status(200);
    };
    assert_eq!(called(), "ana@example.com");
    rename("Ana", &desk.ana);
    assert_eq!(called(), "Ana");
    // Anybody may choose a name; nobody passes for somebody else by it.
    desk.app.create_person("acme", "mallory@example.com", Role::Viewer);
    let mallory = desk.app.browser_of("mallory@example.com");
    rename("Ana", &mallory);
    assert_eq!(called(), "Ana (ana@example.com)");
    rename("ana@example.com", &mallory);
    assert_eq!(called(), "Ana");
    let page = rows("actor=mallory%40example.com");
    let said = page.texts("tbody td:nth-of-type(1)");
    assert!(said.iter().all(|name| name == "ana@example.com (mallory@example.com)"), "{said:?}");

    trusted_issuers::delete(&desk.app.management, id).unwrap();
    let page = rows(&format!("target={id}"));
    assert!(page.text().contains(&id.to_string()) && !page.links().contains(&format!("/issuers/{id}")));
}

#[test]
fn the_quick_start_of_an_app_without_app_key_shows_who_stands_for_it() {
    let desk = Desk::new();
    let keyless = NewApp { authentication: ClientAuthentication::TrustedIssuer, ..new_app(&["billing:read"]) };
    let sid = desk.app.create_app_with("acme", keyless).client_id;
    let (start, overview) = (format!("/apps/{sid}/start"), format!("/apps/{sid}"));
    let page = desk.ana.get(&start).assert_status(200);
    assert!(page.text().contains("This app has no App Key") && page.text().contains("No token can be issued"));
    assert!(page.links().contains(&format!("/issuers/new?app={sid}")));

    let page = desk.pasted(&Signer::ed25519("k1"), &[("rules", "sub = x"), ("app", &sid)]).assert_status(200);
    let path = format!("/issuers/{}", desk.all()[0].id);
    for language in ["", "?lang=python"] {
        let shown = desk.ana.get(&format!("{start}{language}")).assert_status(200);
        assert!(shown.links().contains(&path) && !shown.text().contains("No token can be issued"));
        let text = shown.text();
        assert!(text.contains("client_assertion=\"$JWT\"") && text.contains("scope='billing:read'"), "{text}");
        assert!(text.contains("grant-type:jwt-bearer") && text.contains(&sid), "{text}");
        assert!(!text.contains("APP_KEY") && !text.contains("private_key_jwt"), "{text}");
    }
    assert!(!desk.ana.get(&overview).text().contains("No token can be issued"));
    desk.ana.submit(&page, "/disable", &[]).assert_status(200);
    for page in [&start, &overview] {
        let text = desk.ana.get(page).assert_status(200).text();
        assert!(text.contains("No token can be issued:") && text.contains("disabled"), "{text}");
    }

    let keys = ClientAuthentication::PrivateKeyJwt(KeySource::JwksUri("https://keys.example/jwks".into()));
    let signs = NewApp { authentication: keys, ..new_app(&["billing:read"]) };
    let sid = desk.app.create_app_with("acme", signs).client_id;
    let text = desk.ana.get(&format!("/apps/{sid}/start")).assert_status(200).text();
    assert!(text.contains("openssl dgst") && text.contains(&sid) && !text.contains("APP_KEY"), "{text}");
}

#[test]
fn keys_that_were_never_fetched_are_not_said_to_have_no_error() {
    let desk = Desk::new();
    let nobody = [("keys", "jwks_uri"), ("jwks-uri", "https://127.0.0.1:1/jwks"), ("rules", "sub = x")];
    let all = [("name", "Later"), ("issuer", "https://later.example"), ("app", &desk.client.client_id)];
    let page = desk.trust("url", &[&all[..], &nobody].concat()).assert_status(200);
    assert!(page.text().contains("Its keys cannot be fetched"));
    let page = desk.ana.submit(&page, "/issuers/new", &[]).assert_status(200);
    assert!(page.text().contains("Last errornot fetched yet"), "{}", page.text());
}
