//! Trusted issuers whose keys are in certificates. Keys, certificates and tokens are made by the `openssl` command, none by
//! the code under test.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use brevet::clock::Clock;
use brevet::db::developers::Role;
use brevet::directory::trusted_issuers::{Meant, Sought};
use brevet::keys::budget::SignatureBudget;
use brevet::keys::jws::UnverifiedJws;
use brevet::oauth::ClientId;
use brevet::oauth::trust::{IssuerKeys, TrustError};
use brevet::secret::Secret;
use brevet::service::accounts::{self, NewMember};
use brevet::service::doctor::{Verdict, examine};
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor, expiring};
use serde_json::{Value, json};

use crate::support::openssl::{AUTHORITY, Made, Openssl, Order, SIGNER, VALID, order};
use crate::support::postgres::on_both_databases;
use crate::support::process::{PATIENCE, Server, brevet, data_directory, eventually};
use crate::support::tools::{or_skip, run};
use crate::support::{PASSWORD, TestApp, audit};
use crate::third_party_table::{FOR_ALL_WAYS, WAYS, Way, assert_all_refuse, assert_all_take};
use crate::trusted_issuers::{AUD, ISS, Stage, edited, settings};

on_both_databases! {
    a_person_whom_an_application_server_names_gets_a_ticket_by_the_servers_certificate
    each_issuer_has_its_own_certificate_and_each_claim_that_does_not_hold_is_refused_for_its_own_reason
    people_hear_of_a_certificate_that_ends_before_it_does
}

const DAY: Duration = Duration::from_secs(86_400);

/// An issuer with these keys, whose `alice` stands for the app.
fn with_keys(stage: &Stage, keys: IssuerKeys) -> IssuerSettings {
    edited(settings(&stage.signer, StandsFor::App(stage.client.id())), |policy| {
        policy.keys = keys;
        policy.single_use = false;
    })
}

/// The same, whose certificate has one of these names.
fn named(settings: IssuerSettings, names: &[&str]) -> IssuerSettings {
    edited(settings, |policy| policy.certificate_names = names.iter().map(ToString::to_string).collect())
}

fn pinned(pem: &str) -> IssuerKeys {
    IssuerKeys::Certificates(pem.into())
}

fn authorities(pem: &str) -> IssuerKeys {
    IssuerKeys::Authorities(pem.into())
}

/// What the road itself says of a token, as the log has it.
fn exact_words(stage: &Stage, jwt: &str) -> String {
    let directory = &stage.app.authority.directory;
    actix_web::rt::System::new().block_on(async {
        let sought = Sought { issuer: ISS.into(), audiences: None, meant: Meant::Anybody };
        let issuer = directory.find_trusted_issuers(sought).await.unwrap()[0].clone();
        let jws = UnverifiedJws::parse(jwt, 32 * 1024).unwrap();
        match directory.verify_at_hand(&issuer, &jws, stage.app.clock.now(), &SignatureBudget::new(32)).unwrap() {
            Ok(()) => "holds".to_owned(),
            Err(TrustError::Certificate(words)) => words,
            Err(other) => format!("{other:?}"),
        }
    })
}

fn refused_words(made: Result<ClientId, String>) -> String {
    made.expect_err("it was taken")
}

fn try_to_trust(stage: &Stage, settings: IssuerSettings) -> Result<ClientId, String> {
    let made = trusted_issuers::create(&stage.app.management, "acme", settings);
    made.map(|made| made.record.id).map_err(|error| error.to_string())
}

fn a_person_whom_an_application_server_names_gets_a_ticket_by_the_servers_certificate(more: &[(&str, &str)]) {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::with(&[more, &[("ticket-cookie", "true")]].concat());
    let (app, portal) = (&stage.app, openssl.pinned("portal"));
    let asked = edited(settings(&stage.signer, StandsFor::Users), |policy| {
        policy.subject_claim = "nameid".parse().unwrap();
        policy.accept_directly = false;
        policy.keys = pinned(&portal.pem());
        policy.single_use = false;
    });
    stage.trust(asked.clone());
    // Two organisations use the same portal, and one name is known to both.
    app.create_organisation("rival");
    app.create_api("rival", "https://rival.example", &["rival:read"]);
    let namesake = NewMember {
        organisation: "rival",
        email: "alice@rival.example",
        login: Some("alice"),
        role: Role::Viewer,
        password: &Secret::new(PASSWORD),
    };
    accounts::create(&app.management, &namesake).unwrap();
    let of_rival = IssuerSettings { scopes: Some(vec!["rival:read".to_owned()]), ..asked };
    trusted_issuers::create(&app.management, "rival", of_rival).unwrap();
    app.catch_up();

    let now = app.clock.now().seconds();
    let claims =
        json!({ "iss": ISS, "nameid": "alice", "aud": AUD, "nbf": now, "exp": now + 300, "tenant": "somebody" });
    let jwt = openssl.sign(&portal.key, json!({ "typ": "JWT", "kid": "whatever" }), &claims);
    let ask = |query: &str| app.post(&format!("/server/jwt{query}"), &[], &format!("JwtToken={jwt}"));
    for (tenant, scope) in [("acme", "billing:read"), ("rival", "rival:read")] {
        let answer = ask(&format!("?Tenant={tenant}")).assert_status(200);
        let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("authticket"), ticket);
        let (_, said) = app.verified_jwt(&ticket);
        assert_eq!((said["login"].as_str(), said["tenant"].as_str()), (Some("alice"), Some(tenant)));
        assert_eq!(said["sub"], format!("{ISS}|alice"));
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        assert_eq!(cookie, format!("FlexiCaptureTmpPrn={ticket}"));
        let ways = [("authorization", format!("Bearer {ticket}")), ("cookie", cookie.to_owned())];
        for (name, value) in &ways {
            let who = app.get("/api/v1/whoami", &[(name, value)]).assert_status(200).json();
            assert_eq!((&who["tenant"], &who["scope"]), (&json!(tenant), &json!(scope)), "by {name}");
            assert_eq!(who["sub"], said["sub"], "by {name}");
        }
    }
    let refused = |query: &str| ask(query).assert_status(401).json()["error_description"].as_str().unwrap().to_owned();
    assert!(refused("").contains("name one, with Tenant"), "both trust it");
    assert!(refused("?Tenant=somebody").contains("not trusted here"));
}

/// As integration servers have it: a certificate for each issuer, and a list of audiences.
fn each_issuer_has_its_own_certificate_and_each_claim_that_does_not_hold_is_refused_for_its_own_reason(
    more: &[(&str, &str)],
) {
    const SCANNER: &str = "https://scanner.example";
    const PRODUCT: &str = "https://host/Product";
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::with(&[more, &FOR_ALL_WAYS].concat());
    let (portal, scanner) = (openssl.pinned("portal"), openssl.pinned("scanner"));
    let map = |issuer: &str, made: &Made| {
        let mapped = edited(with_keys(&stage, pinned(&made.pem())), |policy| {
            policy.audiences = vec![AUD.to_owned(), PRODUCT.to_owned()];
            policy.max_age = Some(Duration::from_secs(600));
            policy.single_use = true;
        });
        stage.trust(IssuerSettings { issuer: issuer.to_owned(), ..mapped })
    };
    let (id, _) = (map(ISS, &portal), map(SCANNER, &scanner));
    let now = stage.app.clock.now().seconds();
    let jwt = |signer: &Made, change: &Value| {
        let (mut header, mut claims) = (json!({ "typ": "JWT" }), stage.claims());
        for (name, value) in change.as_object().unwrap() {
            match (name.as_str(), value) {
                ("typ", value) => header["typ"] = value.clone(),
                (name, Value::Null) => drop(claims.as_object_mut().unwrap().remove(name)),
                (name, value) => claims[name] = value.clone(),
            }
        }
        openssl.sign(&signer.key, header, &claims)
    };
    let url = &stage.app.url;
    let mut accepted = 0;
    for change in [json!({ "aud": AUD }), json!({ "aud": [PRODUCT] }), json!({ "iat": now - 600, "exp": now + 86_400 })]
    {
        assert_all_take(url, &change, || jwt(&portal, &change));
        accepted += WAYS.len();
    }
    assert_all_take(url, &SCANNER, || jwt(&scanner, &json!({ "iss": SCANNER, "aud": PRODUCT })));

    let used = jwt(&portal, &json!({ "jti": "used" }));
    Way::Grant.send(url, &used).assert_status(200);
    accepted += 1;
    // Who signs, what it says otherwise, what whoever shows it hears, and under which reason it is counted.
    let cases = [
        (&portal, json!({ "iss": format!("{ISS}/") }), "issuer is not trusted here", ""),
        (&portal, json!({ "iss": SCANNER }), "not one of its issuer's", ""),
        (&scanner, json!({}), "not one of its issuer's", "signature"),
        (&portal, json!({ "typ": "at+jwt" }), "another kind of JWT", "type"),
        (&portal, json!({ "aud": "https://host/product" }), "see its aud", "audience"),
        (&portal, json!({ "aud": ["urn:else", "urn:other"] }), "see its aud", "audience"),
        (&portal, json!({ "aud": null }), "lacks one of the claims", ""),
        (&portal, json!({ "exp": now - 61 }), "see its exp", "expiry"),
        (&portal, json!({ "exp": now + 86_461 }), "lives too long", "expiry"),
        (&portal, json!({ "exp": null }), "lacks one of the claims", ""),
        (&portal, json!({ "nbf": now + 61 }), "see its nbf", "not_before"),
        (&portal, json!({ "iat": now + 61 }), "see its iat", "issued_at"),
        (&portal, json!({ "iat": now - 661 }), "see its iat", "issued_at"),
        (&portal, json!({ "iat": null }), "see its iat", "issued_at"),
        (&portal, json!({ "jti": null }), "has no jti", "id"),
        (&portal, json!({ "sub": "mallory" }), "does not say what it must", "rule"),
        (&portal, json!({ "sub": 7 }), "does not say what it must", "rule"),
        (&portal, json!({ "jti": "used" }), "was used before", "replayed"),
    ];
    let mut expected = BTreeMap::from([("accepted", accepted)]);
    for (signer, change, why, reason) in cases {
        let jwt = jwt(signer, &change);
        assert_all_refuse(url, &jwt, &change);
        let heard = Way::Ticket.send(url, &jwt).json()["error_description"].as_str().unwrap().to_owned();
        assert!(heard.contains(why), "{change}: {heard}");
        *expected.entry(reason).or_default() += WAYS.len() + 1;
    }
    expected.remove("");
    stage.app.authority.trust_counts.flush(stage.app.management.database(), stage.app.clock.now()).unwrap();
    let counts = trusted_issuers::outcomes(&stage.app.management, id).unwrap();
    let counted = counts.iter().map(|count| (count.outcome.as_str(), usize::try_from(count.count).unwrap()));
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn an_issuer_changes_its_certificate_without_a_moment_in_which_it_is_refused() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::with(&FOR_ALL_WAYS);
    let key = openssl.key(2048);
    let old = openssl.certify(None, &Order { valid: (VALID.0, "20261201000000Z"), ..order("old", &key) });
    let new = openssl.pinned("new");
    let key = openssl.key(2048);
    let early = openssl.certify(None, &Order { valid: ("20261130000000Z", VALID.1), ..order("early", &key) });
    let id = stage.trust(with_keys(&stage, pinned(&old.pem())));
    let jwt = |made: &Made| openssl.sign(&made.key, json!({}), &stage.claims());
    let taken = |made: &Made| assert_all_take(&stage.app.url, &made.certificate.display(), || jwt(made));
    let refused = |made: &Made| assert_all_refuse(&stage.app.url, &jwt(made), &made.certificate.display());
    taken(&old);
    refused(&new);

    let change = |pem: String| {
        let made = trusted_issuers::update(&stage.app.management, id, with_keys(&stage, pinned(&pem))).unwrap();
        stage.app.catch_up();
        made
    };
    // Pasted as it comes: with text around it, and one of them twice.
    change(format!("old one\n{}\nnew one\n{}{}{}", old.pem(), new.pem(), new.pem(), early.pem()));
    taken(&old);
    taken(&new);
    assert_eq!(
        exact_words(&stage, &jwt(&early)),
        "its certificate (CN=early) is not valid before 2026-11-30T00:00:00Z"
    );
    refused(&early);
    let shown = trusted_issuers::show(&stage.app.management, id).unwrap().record;
    let all = old.pem() + &new.pem() + &early.pem();
    assert_eq!(shown.policy.keys, pinned(&all), "what is stored is what it means");
    let names = &audit(&stage.app, "acme")[0].detail["after"]["key_names"];
    let prints: Vec<String> = trusted_issuers::certificates(&shown.policy.keys)
        .into_iter()
        .map(|certificate| certificate.fingerprint)
        .collect();
    assert_eq!((prints.len(), names), (3, &json!(prints)));

    stage.app.clock.advance(DAY * 10);
    assert_eq!(exact_words(&stage, &jwt(&old)), "its certificate (CN=old) expired on 2026-12-01T00:00:00Z");
    refused(&old);
    let heard = stage.ticket(&jwt(&old)).json();
    assert_eq!(heard["error_description"], "The certificate that the JWT was signed with is not accepted.");
    taken(&new);
    taken(&early);
    // What has expired meanwhile hinders no other change.
    let renamed = IssuerSettings { name: "Renamed".to_owned(), ..IssuerSettings::of(&change(all).record) };
    trusted_issuers::update(&stage.app.management, id, renamed).unwrap();
    change(new.pem());
    refused(&old);
    refused(&early);
    taken(&new);
}

/// Check 86.
#[test]
fn a_chain_that_leads_to_the_authority_of_an_issuer_is_good_and_every_other_is_refused_for_its_own_reason() {
    const NAMED: &str = "subjectAltName = DNS:signer.example";
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::with(&FOR_ALL_WAYS);
    let (root, own_root) = (openssl.authority("Acme Root"), openssl.authority("Self-made Root"));
    let impostor = openssl.authority("Acme Root");
    let (key, lower_key, short) = (openssl.key(2048), openssl.key(2048), openssl.key(1024));
    let below = |by: &Made, order: Order<'_>| openssl.certify(Some(by), &order);
    let leaf = |extensions: &str| below(&root, Order { extensions, ..order("signer", &key) });
    let lower_ca = || Order { extensions: AUTHORITY, ..order("Lower CA", &lower_key) };
    let lower = |extensions: &str| below(&root, Order { extensions, ..lower_ca() });
    let middle = lower(AUTHORITY);
    // The same CA, for which another one vouches, too.
    let crossed = below(&own_root, lower_ca());
    let (revoked, revoked_middle) = (leaf(SIGNER), lower(AUTHORITY));
    openssl.revoke(&root, &revoked);
    let trusted = with_keys(&stage, authorities(&(root.pem() + &openssl.revoke(&root, &revoked_middle))));
    let id = stage.trust(named(trusted, &["signer.example", "spiffe://acme/other"]));
    let signed_by = |chain: &[&Made]| openssl.sign_with_chain(chain, &stage.claims());
    let usual = |by: &Made| below(by, order("signer", &key));

    let direct = leaf(SIGNER);
    let also_named = |name, extensions| below(&root, Order { extensions, ..order(name, &key) });
    let good: Vec<(&str, Vec<&Made>)> = vec![
        ("by the CA itself", vec![&direct]),
        ("with the CA", vec![&direct, &root]),
        ("with what says nothing", vec![&direct, &own_root]),
    ];
    let (by_middle, by_crossed) = (usual(&middle), usual(&crossed));
    let another = also_named("another", "subjectAltName = URI:spiffe://acme/other");
    let common = also_named("signer.example", "subjectAltName = email:signer@example.com");
    let beside = also_named("signer.example", "subjectAltName = DNS:another.example");
    let good = good.into_iter().chain([
        ("through a CA below", vec![&by_middle, &middle]),
        ("cross-signed, through the certificate that counts here", vec![&by_crossed, &middle]),
        ("another name", vec![&another]),
        ("a common name", vec![&common]),
    ]);
    let mut accepted = 0;
    for (what, chain) in good {
        assert_eq!(exact_words(&stage, &signed_by(&chain)), "holds", "{what}");
        // From the second time on it is remembered.
        assert_all_take(&stage.app.url, &what, || signed_by(&chain));
        accepted += WAYS.len();
    }

    let valid = |valid| below(&root, Order { valid, ..order("signer", &key) });
    let valid_ca = |valid| below(&root, Order { valid, ..lower_ca() });
    let with_digest = |digest| below(&root, Order { digest, ..lower_ca() });
    let through = |middle: Made| vec![usual(&middle), middle];
    let (past, future) = ((VALID.0, "20261101000000Z"), ("20261201000000Z", VALID.1));
    let shallow = lower("basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign");
    let deeper_key = openssl.key(2048);
    let deeper = below(&shallow, Order { extensions: AUTHORITY, ..order("Deeper CA", &deeper_key) });
    let cases: Vec<(&str, Vec<Made>, &str)> = vec![
        ("expired", vec![valid(past)], "certificate 1 of 1 expired on 2026-11-01T00:00:00Z"),
        ("not yet valid", vec![valid(future)], "certificate 1 of 1 is not valid before 2026-12-01"),
        ("a CA that expired", through(valid_ca(past)), "certificate 2 of 2 expired on 2026-11-01T00:00:00Z"),
        ("a CA that is not yet valid", through(valid_ca(future)), "certificate 2 of 2 is not valid before 2026-12-01"),
        ("wrong purpose", vec![leaf(&format!("extendedKeyUsage = serverAuth\n{NAMED}"))], "is for other purposes"),
        (
            "a CA for another purpose",
            through(lower(&format!("{AUTHORITY}\nextendedKeyUsage = serverAuth"))),
            "certificate 2 of 2 is for other purposes",
        ),
        (
            "wrong usage",
            vec![leaf(&format!("keyUsage = keyEncipherment\n{NAMED}"))],
            "key usage without digitalSignature",
        ),
        (
            "a CA that may only sign lists",
            through(lower("basicConstraints = critical, CA:TRUE\nkeyUsage = critical, digitalSignature, cRLSign")),
            "certificate 2 of 2 has a key usage without keyCertSign",
        ),
        (
            "a CA without basic constraints",
            through(lower("keyUsage = critical, keyCertSign, cRLSign")),
            "certificate 2 of 2 is not a CA's",
        ),
        (
            "basic constraints that say no",
            through(lower("basicConstraints = critical, CA:FALSE\nkeyUsage = critical, keyCertSign")),
            "certificate 2 of 2 is not a CA's",
        ),
        ("no CA above", through(leaf(SIGNER)), "certificate 2 of 2 is not a CA's"),
        ("too deep", vec![usual(&deeper), deeper, shallow], "certificate 3 of 3 allows 0 CAs below it"),
        ("unknown and critical", vec![leaf(&format!("1.2.3.4 = critical, ASN1:NULL\n{NAMED}"))], "critical extension"),
        ("revoked", vec![revoked], "a certificate of the chain was revoked"),
        ("a CA that was revoked", through(revoked_middle), "a certificate of the chain was revoked"),
        ("1024 bits", vec![below(&root, order("signer", &short))], "has an RSA key of 1024 bits"),
        (
            "1024 bits above",
            through(below(&root, Order { key: &short, ..lower_ca() })),
            "certificate 2 of 2 has an RSA key of 1024 bits",
        ),
        ("SHA-1", vec![below(&root, Order { digest: "sha1", ..order("signer", &key) })], "is signed with SHA-1"),
        ("SHA-1 above", through(with_digest("sha1")), "certificate 2 of 2 is signed with SHA-1"),
        (
            "name constraints",
            through(lower(&format!("{AUTHORITY}\nnameConstraints = critical, permitted;DNS:elsewhere.example"))),
            "certified a name that it may not",
        ),
        ("self-made chain", vec![usual(&own_root), own_root.clone()], "leads to no CA of this issuer"),
        ("self-signed", vec![openssl.certify(None, &order("signer", &key))], "signed by itself"),
        ("a namesake of the CA", vec![usual(&impostor)], "a signature in the chain is wrong"),
        ("unfinished", vec![usual(&middle)], "leads to no CA of this issuer"),
        ("cross-signed by a stranger", vec![usual(&middle), crossed], "leads to no CA of this issuer"),
        ("two signers", vec![usual(&middle), direct.clone()], "certificate 2 of 2 did not issue the one before it"),
        ("out of order", vec![usual(&middle), root.clone(), middle], "certificate 2 of 3 did not issue"),
        ("too many", vec![direct.clone(); 6], "more than 5 certificates"),
        ("a CA that signs", vec![leaf(AUTHORITY)], "a CA signs no tokens"),
        (
            "another name",
            vec![leaf("subjectAltName = DNS:signer.example.evil.example")],
            "(CN=signer) has none of the names",
        ),
        ("a common name beside alternative ones", vec![beside], "has none of the names"),
        ("no names", vec![leaf("keyUsage = digitalSignature")], "has none of the names"),
    ];
    let cases = cases.into_iter().map(|(what, chain, why)| {
        let chain: Vec<&Made> = chain.iter().collect();
        (what, signed_by(&chain), why)
    });
    let by_key = |header: Value| openssl.sign(&direct.key, header, &stage.claims());
    let cases: Vec<(&str, String, &str)> = cases
        .chain([
            ("no certificates", by_key(json!({})), "it carries no certificates (header x5c)"),
            ("an empty list", by_key(json!({ "x5c": [] })), "it carries no certificates (header x5c)"),
            ("no list", by_key(json!({ "x5c": direct.base64() })), "not a list of certificates"),
            ("no certificate", by_key(json!({ "x5c": ["AAAA"] })), "certificate 1 of 1 cannot be read"),
            (
                "the digest of another",
                by_key(json!({ "x5c": [direct.base64()], "x5t#S256": "AAAA" })),
                "its x5t#S256 is not the digest",
            ),
        ])
        .collect();
    for (what, jwt, why) in &cases {
        let words = exact_words(&stage, jwt);
        assert!(words.contains(why), "{what}: {words}");
        assert_all_refuse(&stage.app.url, jwt, what);
        let heard = stage.ticket(jwt).json();
        let public = "The certificate that the JWT was signed with is not accepted.";
        assert_eq!(heard["error_description"], public, "{what}: nothing of the issuer's settings");
    }
    let stolen = openssl.sign(&own_root.key, json!({ "x5c": [direct.base64()] }), &stage.claims());
    assert!(exact_words(&stage, &stolen).starts_with("Signature("), "a certificate is public, its key is not");
    assert_all_refuse(&stage.app.url, &stolen, &"a stolen certificate");

    stage.app.authority.trust_counts.flush(stage.app.management.database(), stage.app.clock.now()).unwrap();
    let counts = trusted_issuers::outcomes(&stage.app.management, id).unwrap();
    let of = |outcome: &str| counts.iter().find(|count| count.outcome == outcome).map_or(0, |count| count.count);
    let expected = [cases.len() * (WAYS.len() + 1), WAYS.len(), accepted].map(|count| i64::try_from(count).unwrap());
    assert_eq!([of("certificate"), of("signature"), of("accepted")], expected);

    // From the moment in which the CA is taken out, nothing that it vouched for is good, remembered or not.
    let other = named(with_keys(&stage, authorities(&own_root.pem())), &["signer.example"]);
    trusted_issuers::update(&stage.app.management, id, other).unwrap();
    stage.app.catch_up();
    let jwt = signed_by(&[&direct]);
    assert_eq!(exact_words(&stage, &jwt), "the chain leads to no CA of this issuer");
    assert_all_refuse(&stage.app.url, &jwt, &"a CA that was taken out");
}

#[test]
fn an_authority_that_expires_vouches_for_nobody_from_that_second_on() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::with(&FOR_ALL_WAYS);
    let key = openssl.key(2048);
    let ends = Order { valid: (VALID.0, "20261122010000Z"), extensions: AUTHORITY, ..order("Root", &key) };
    let root = openssl.certify(None, &ends);
    // Three signers: whose chain was seen before is remembered.
    let [early, late, later] = [(); 3].map(|()| openssl.certify(Some(&root), &order("signer", &key)));
    stage.trust(with_keys(&stage, authorities(&root.pem())));
    let jwt = |signer: &Made| openssl.sign_with_chain(&[signer], &stage.claims());
    assert_all_take(&stage.app.url, &"in its time", || jwt(&early));
    stage.app.clock.advance(Duration::from_secs(3_600));
    for signer in [&early, &late] {
        assert_eq!(exact_words(&stage, &jwt(signer)), "holds");
        assert_all_take(&stage.app.url, &"to its last second", || jwt(signer));
    }
    stage.app.clock.advance(Duration::from_secs(1));
    for signer in [&early, &late, &later] {
        assert_eq!(exact_words(&stage, &jwt(signer)), "the CA (CN=Root) expired on 2026-11-22T01:00:00Z");
        assert_all_refuse(&stage.app.url, &jwt(signer), &"a second later");
    }
}

#[test]
fn what_cannot_be_trusted_is_refused_with_the_reason_when_it_is_registered() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::new();
    let (root, signer, short) = (openssl.authority("Root"), openssl.pinned("signer"), openssl.key(1024));
    let secret = fs::read_to_string(&signer.key).unwrap();
    let key = &signer.key;
    let weak = openssl.certify(None, &order("weak", &short)).pem();
    let sha1 = openssl.certify(None, &Order { digest: "sha1", ..order("old", key) }).pem();
    let over = openssl.certify(None, &Order { valid: (VALID.0, "20261101000000Z"), ..order("over", key) }).pem();
    let over_ca = Order { valid: (VALID.0, "20261101000000Z"), extensions: AUTHORITY, ..order("over", key) };
    let over_ca = openssl.certify(None, &over_ca).pem();
    let many: String = (0..11).map(|_| openssl.certify(None, &order("one of many", key)).pem()).collect();
    let cases = [
        (pinned(&weak), "RSA key of 1024 bits; at least 2048"),
        (pinned(&sha1), "signed with SHA-1"),
        (pinned(&(signer.pem() + &secret)), "holds a private key"),
        (pinned(&over), "certificate 1 expired on 2026-11-01T00:00:00Z; give the one that took its place"),
        (pinned(&(signer.pem() + &over)), "certificate 2 expired"),
        (pinned(&many), "holds 11 certificates; at most 10"),
        (pinned("hello"), "openssl x509"),
        (pinned(""), "openssl x509"),
        (authorities(&signer.pem()), "is not a CA's"),
        (authorities(&over_ca), "certificate 1 expired on 2026-11-01"),
        (authorities(&(root.pem() + &secret)), "holds a private key"),
        (
            authorities(&format!("{}-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", root.pem())),
            "revocation list 1 cannot be read",
        ),
        (IssuerKeys::SystemAuthorities, "the setting system-authorities"),
    ];
    for (keys, why) in cases {
        let words = refused_words(try_to_trust(&stage, with_keys(&stage, keys)));
        assert!(words.contains(why) && !words.contains("PRIVATE"), "{why}: {words}");
    }
    let named = |keys, name: &str| named(with_keys(&stage, keys), &[name]);
    let words = refused_words(try_to_trust(&stage, named(pinned(&signer.pem()), "signer")));
    assert!(words.contains("would have no effect"), "{words}");
    let words = refused_words(try_to_trust(&stage, named(authorities(&root.pem()), " signer")));
    assert!(words.contains("without spaces around"), "{words}");
    try_to_trust(&stage, named(authorities(&root.pem()), "signer")).unwrap();
}

#[test]
fn an_authority_of_the_operating_system_vouches_where_the_operator_named_it() {
    let Some(openssl) = Openssl::new() else { return };
    let (public, unnamed) = (openssl.authority("Public CA"), openssl.authority("Another CA"));
    let bundle = openssl.path("bundle.crt");
    fs::write(&bundle, unnamed.pem() + &public.pem()).unwrap();
    let bundle = bundle.to_str().unwrap();
    let system = [("system-authorities", "Public CA"), ("system-authorities-bundle", bundle)];
    let stage = Stage::with(&[&system[..], &FOR_ALL_WAYS].concat());
    let asked = with_keys(&stage, IssuerKeys::SystemAuthorities);
    let words = refused_words(try_to_trust(&stage, asked.clone()));
    assert!(words.contains("anybody can get a certificate"), "{words}");
    stage.trust(named(asked, &["signer.example"]));

    let key = openssl.key(2048);
    let leaf =
        |by: &Made, name: &str, extensions: &str| openssl.certify(Some(by), &Order { extensions, ..order(name, &key) });
    let jwt = |made: &Made| openssl.sign_with_chain(&[made], &stage.claims());
    let good = leaf(&public, "whoever", SIGNER);
    assert_all_take(&stage.app.url, &"one that the operator named", || jwt(&good));
    for (by, name, extensions, why) in [
        (&unnamed, "whoever", SIGNER, "the chain leads to no CA of this issuer"),
        // These authorities do not answer for a common name.
        (&public, "signer.example", "subjectAltName = DNS:mallory.example", "has none of the names"),
    ] {
        let jwt = jwt(&leaf(by, name, extensions));
        let words = exact_words(&stage, &jwt);
        assert!(words.contains(why), "{words}");
        assert_all_refuse(&stage.app.url, &jwt, &why);
    }

    // Whoever starts it again without the setting has trusted nobody by accident.
    let again = Stage { app: TestApp::on(stage.app.data.clone(), stage.app.clock.clone(), &[]), ..stage };
    let jwt = openssl.sign_with_chain(&[&good], &again.claims());
    assert!(exact_words(&again, &jwt).contains("system-authorities names no authority any more"));

    let data = data_directory();
    let serve = |name: &str, file: &str| {
        let args = ["serve", "--listen=127.0.0.1:0", "--admin-listen=off", "--system-authorities", name];
        brevet(data.path()).args(&args).args(&["--system-authorities-bundle", file]).run().assert_code(78)
    };
    let refusal = serve("No Such CA", bundle);
    assert!(refusal.refusal().contains("no CA named “No Such CA”") && refusal.refusal().contains("openssl x509"));
    assert!(serve("Public CA", "/nowhere/bundle.crt").refusal().contains("system-authorities-bundle"));
}

fn people_hear_of_a_certificate_that_ends_before_it_does(settings: &[(&str, &str)]) {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::on(TestApp::with(settings));
    let key = openssl.key(2048);
    let ends = |date| openssl.certify(None, &Order { valid: (VALID.0, date), ..order("portal", &key) });
    let id = stage.trust(with_keys(&stage, pinned(&ends("20270101000000Z").pem())));
    let (management, clock) = (&stage.app.management, &stage.app.clock);
    let found = |organisation| expiring(management, organisation).unwrap();
    let verdict = || {
        let findings = examine(management.config(), clock.clone());
        findings.into_iter().find(|finding| finding.check == "issuer certificates").unwrap()
    };
    assert_eq!(found(None), []);
    assert_eq!(verdict().verdict, Verdict::Good);
    assert_eq!(trusted_issuers::outlook(management).unwrap().expiring, 0);

    clock.advance(DAY * 11);
    assert_eq!(found(None).len(), 1);
    assert_eq!(found(Some("acme"))[0].id, id);
    stage.app.create_organisation("other");
    assert_eq!(found(Some("other")), []);
    let warning = verdict();
    assert_eq!(warning.verdict, Verdict::Warning);
    assert!(warning.text.contains("Portal") && warning.text.contains("in 29 days"), "{}", warning.text);

    clock.advance(DAY * 31);
    let outlook = trusted_issuers::outlook(management).unwrap();
    assert_eq!((outlook.expiring, outlook.soonest), (1, Some(found(None)[0].expires_at)));
    let bad = verdict();
    assert_eq!(bad.verdict, Verdict::Bad);
    assert!(bad.fix.unwrap().contains(&format!("brevet issuer disable {id}")));

    trusted_issuers::set_enabled(management, id, false).unwrap();
    assert_eq!(found(None), [], "who is disabled needs no certificate");
}

#[test]
fn the_command_line_and_the_metrics_show_when_certificates_end() {
    let Some(openssl) = Openssl::new() else { return };
    let data = data_directory();
    let (key, certificate) = (openssl.key(2048), openssl.path("portal.pem"));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    openssl.run(&["req", "-x509", "-new", "-key", key, "-subj", "/CN=portal", "-days", "10", "-out", certificate]);
    let root = openssl.authority("Root");
    let add = |args: &[&str]| {
        let common = ["issuer", "add", "--org=acme", "--audience=urn:acme:api", "--users", "--scope=billing:read"];
        brevet(data.path()).args(&common).args(args).json()
    };
    let made = add(&["--name=Portal", "--issuer=urn:acme:portal", "--certificate", certificate]);
    let chain = add(&[
        "--name=Chain",
        "--issuer=urn:acme:chain",
        "--ca",
        root.certificate.to_str().unwrap(),
        "--certificate-name=signer.example",
    ]);
    assert_eq!(chain["certificate_names"], json!(["signer.example"]));
    assert_eq!(chain["certificates_expire_at"], "2036-01-01T00:00:00Z");
    assert_eq!(made["certificates"][0]["subject"], "CN=portal");
    let id = made["id"].as_str().unwrap();
    let shown = brevet(data.path()).args(&["issuer", "show", id]).ok();
    assert!(shown.contains("(soon)") && shown.contains("SHA-256"), "{shown}");
    let listed = brevet(data.path()).args(&["issuer", "list", "--org=acme"]).ok();
    assert!(listed.contains("(soon)") && listed.contains("2036-01-01T00:00:00Z"), "{listed}");

    let server = Server::start(data.path());
    let metrics = eventually(PATIENCE, "the outlook is taken", || {
        let metrics = server.get_admin("/metrics").body;
        metrics.contains("brevet_trusted_issuers_expiring").then_some(metrics)
    });
    assert!(metrics.contains("\nbrevet_trusted_issuers_expiring 1\n"), "{metrics}");
    let end = made["certificates_expire_at"].as_str().unwrap();
    let end = brevet::clock::Timestamp::parse_rfc3339(end).unwrap().seconds();
    let line = format!("\nbrevet_trusted_issuer_certificate_expiry_timestamp_seconds {end}\n");
    assert!(metrics.contains(&line), "{metrics}");
    // Beside the server.
    let findings = brevet(data.path()).args(&["doctor"]).json();
    assert_eq!(findings["ok"], true);
    let warned =
        findings["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "issuer certificates");
    let warned = warned.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(warned["verdict"], "warning");
    assert!(warned["text"].as_str().unwrap().contains("Portal"), "{findings}");
}
