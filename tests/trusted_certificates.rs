//! Trusted issuers whose keys are in certificates. Keys, certificates and tokens are made by the `openssl` command, none by
//! the code under test.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::Clock;
use brevet::directory::trusted_issuers::Meant;
use brevet::keys::jws::UnverifiedJws;
use brevet::oauth::ClientId;
use brevet::oauth::trust::{IssuerKeys, TrustError};
use brevet::service::doctor::{Verdict, examine};
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor, expiring};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::postgres::on_both_databases;
use crate::support::process::{Server, brevet, data_directory, eventually};
use crate::support::tools::{or_skip, run};
use crate::support::{TestApp, audit};
use crate::trusted_issuers::{AUD, ISS, Stage, edited, settings};

const DAY: Duration = Duration::from_secs(86_400);
/// From before the clock of tests begins until long after it.
const VALID: (&str, &str) = ("20260101000000Z", "20360101000000Z");
const SIGNER: &str = "keyUsage = digitalSignature\nextendedKeyUsage = clientAuth\nsubjectAltName = DNS:signer.example,URI:spiffe://acme/signer";
const AUTHORITY: &str = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign";

/// A directory in which `openssl` works.
struct Openssl {
    home: TempDir,
    made: Cell<u32>,
}

/// A certificate in a file, and the file with its key.
#[derive(Clone)]
struct Made {
    certificate: PathBuf,
    key: PathBuf,
    name: String,
}

/// What a certificate shall be.
struct Order<'a> {
    name: &'a str,
    extensions: &'a str,
    valid: (&'a str, &'a str),
    digest: &'a str,
    key: &'a Path,
}

impl Made {
    fn pem(&self) -> String {
        fs::read_to_string(&self.certificate).unwrap()
    }

    /// As it stands in `x5c`.
    fn base64(&self) -> String {
        self.pem().lines().filter(|line| !line.starts_with("-----")).collect()
    }
}

impl Openssl {
    fn new() -> Option<Self> {
        or_skip("openssl", run(Command::new("openssl").arg("version")))?;
        Some(Self { home: tempfile::tempdir().unwrap(), made: Cell::new(0) })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, args: &[&str]) {
        run(Command::new("openssl").args(args).current_dir(self.home.path())).unwrap();
    }

    fn key(&self, bits: u32) -> PathBuf {
        let path = self.path(&format!("key-{}.pem", self.next()));
        self.run(&["genrsa", "-out", path.to_str().unwrap(), &bits.to_string()]);
        path
    }

    fn next(&self) -> u32 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }

    /// Where what an authority of that name issued is written down.
    fn configuration(&self, authority: &str, extensions: &str) -> String {
        let index = self.path(&format!("index-{authority}.txt"));
        if !index.exists() {
            fs::write(&index, "").unwrap();
        }
        let numbers = index.with_extension("number");
        if !numbers.exists() {
            fs::write(&numbers, "01\n").unwrap();
        }
        let (home, index, numbers) = (self.home.path().display(), index.display(), numbers.display());
        let text = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\nnew_certs_dir = {home}\nrand_serial = yes\nunique_subject = no\n\
             policy = any\ndefault_md = sha256\ndefault_crl_days = 30\ncrlnumber = {numbers}\n[any]\ncommonName = supplied\n[req]\n\
             distinguished_name = dn\n[dn]\n[ext]\n{extensions}\n"
        );
        let path = self.path(&format!("ca-{}.cnf", self.next()));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A certificate by that authority or, without one, by itself.
    fn certify(&self, by: Option<&Made>, order: &Order<'_>) -> Made {
        let number = self.next();
        let (request, certificate) = (self.path(&format!("{number}.csr")), self.path(&format!("{number}.pem")));
        let (request, shown) = (request.to_str().unwrap(), certificate.to_str().unwrap());
        let authority = by.map_or("itself", |by| &by.name).replace(' ', "-");
        let configuration = self.configuration(&authority, order.extensions);
        let (key, subject) = (order.key.to_str().unwrap(), format!("/CN={}", order.name));
        self.run(&["req", "-new", "-key", key, "-subj", &subject, "-config", &configuration, "-out", request]);
        let mut args = vec!["ca", "-batch", "-notext", "-config", &configuration, "-in", request, "-out", shown];
        args.extend([
            "-startdate",
            order.valid.0,
            "-enddate",
            order.valid.1,
            "-md",
            order.digest,
            "-extensions",
            "ext",
        ]);
        match by {
            Some(by) => args.extend(["-keyfile", by.key.to_str().unwrap(), "-cert", by.certificate.to_str().unwrap()]),
            None => args.extend(["-selfsign", "-keyfile", key]),
        }
        self.run(&args);
        Made { certificate, key: order.key.to_owned(), name: order.name.to_owned() }
    }

    fn authority(&self, name: &str) -> Made {
        let key = self.key(2048);
        self.certify(None, &Order { extensions: AUTHORITY, ..order(name, &key) })
    }

    /// A certificate that nobody vouches for, as it is pinned.
    fn pinned(&self, name: &str) -> Made {
        let key = self.key(2048);
        self.certify(None, &order(name, &key))
    }

    /// Calls a certificate back, and gives the list that says so.
    fn revoke(&self, by: &Made, revoked: &Made) -> String {
        let configuration = self.configuration(&by.name.replace(' ', "-"), "");
        let list = self.path(&format!("list-{}.pem", self.next()));
        let (key, own) = (by.key.to_str().unwrap(), by.certificate.to_str().unwrap());
        let common = ["ca", "-config", &configuration, "-keyfile", key, "-cert", own];
        self.run(&[&common[..], &["-revoke", revoked.certificate.to_str().unwrap()]].concat());
        self.run(&[&common[..], &["-gencrl", "-out", list.to_str().unwrap()]].concat());
        fs::read_to_string(list).unwrap()
    }

    /// Signs with RS256.
    fn sign(&self, key: &Path, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!("RS256");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let (text, signature) = (self.path("signed.txt"), self.path("signature.bin"));
        fs::write(&text, &signed).unwrap();
        let (text, output) = (text.to_str().unwrap(), signature.to_str().unwrap());
        self.run(&["dgst", "-sha256", "-sign", key.to_str().unwrap(), "-out", output, text]);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fs::read(signature).unwrap()))
    }

    /// Signs with the key of the first of these, which stand in the header.
    fn sign_with_chain(&self, chain: &[&Made], claims: &Value) -> String {
        let x5c: Vec<String> = chain.iter().map(|made| made.base64()).collect();
        self.sign(&chain[0].key, json!({ "x5c": x5c }), claims)
    }
}

/// A usual signer.
fn order<'a>(name: &'a str, key: &'a Path) -> Order<'a> {
    Order { name, extensions: SIGNER, valid: VALID, digest: "sha256", key }
}

/// An issuer that names users, with these keys.
fn with_keys(stage: &Stage, keys: IssuerKeys) -> IssuerSettings {
    edited(settings(&stage.signer, StandsFor::Users), |policy| {
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
        let issuer = directory.find_trusted_issuers(ISS, Meant::Anybody).await.unwrap()[0].clone();
        let jws = UnverifiedJws::parse(jwt, 32 * 1024).unwrap();
        match directory.verify_at_hand(&issuer, &jws, stage.app.clock.now()).unwrap() {
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

#[test]
fn a_person_whom_an_application_server_names_gets_a_ticket_by_the_servers_certificate() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::new();
    let (portal, stranger) = (openssl.pinned("portal"), openssl.pinned("portal"));
    let other_audience = "https://host/Product".to_owned();
    stage.trust(edited(with_keys(&stage, pinned(&portal.pem())), |policy| {
        policy.subject_claim = "nameid".parse().unwrap();
        policy.audiences = vec![AUD.to_owned(), other_audience.clone()];
        policy.accept_directly = false;
    }));
    let now = stage.app.clock.now().seconds();
    let claims = |change: Value| {
        let mut claims = json!({
            "iss": ISS, "nameid": "alice", "aud": [other_audience, "urn:somebody:else"], "nbf": now, "exp": now + 300,
            "tenant": "other",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let ask = |jwt: &str| stage.app.post("/server/jwt?Tenant=acme", &[], &format!("JwtToken={jwt}"));

    let good = openssl.sign(&portal.key, json!({ "typ": "JWT", "kid": "whatever" }), &claims(json!({})));
    let answer = ask(&good).assert_status(200);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("authticket"), ticket);
    let (_, said) = stage.app.verified_jwt(&ticket);
    assert_eq!((said["login"].as_str(), said["tenant"].as_str()), (Some("alice"), Some("acme")));
    let who = stage.app.get_with_token("/api/v1/whoami", &ticket).assert_status(200).json();
    assert_eq!(who["tenant"], "acme");

    let refusals = [
        (&portal, json!({ "aud": "urn:somebody:else" }), "see its aud"),
        (&portal, json!({ "exp": now - 61 }), "see its exp"),
        (&portal, json!({ "nbf": now + 61 }), "see its nbf"),
        (&portal, json!({ "nameid": "mallory" }), "not registered here"),
        (&portal, json!({ "nameid": 7 }), "whom it is about"),
        (&portal, json!({ "iss": "https://portal.example/" }), "not trusted here"),
        (&stranger, json!({}), "not one of its issuer's"),
    ];
    for (signer, change, why) in refusals {
        let refused = ask(&openssl.sign(&signer.key, json!({ "typ": "JWT" }), &claims(change.clone())));
        let description = refused.assert_status(401).json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains(why), "{change}: {description}");
    }
}

#[test]
fn an_issuer_changes_its_certificate_without_a_moment_in_which_it_is_refused() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::new();
    let key = openssl.key(2048);
    let old = openssl.certify(None, &Order { valid: (VALID.0, "20261201000000Z"), ..order("old", &key) });
    let new = openssl.pinned("new");
    let id = stage.trust(with_keys(&stage, pinned(&old.pem())));
    let grant = |made: &Made| stage.grant(&openssl.sign(&made.key, json!({}), &stage.claims()));
    grant(&old).assert_status(200);
    grant(&new).assert_status(400);

    let change = |pem: String| {
        let made = trusted_issuers::update(&stage.app.management, id, with_keys(&stage, pinned(&pem))).unwrap();
        stage.app.catch_up();
        made
    };
    // Pasted as it comes: with text around it, and one of them twice.
    change(format!("old one\n{}\nnew one\n{}{}", old.pem(), new.pem(), new.pem()));
    grant(&old).assert_status(200);
    grant(&new).assert_status(200);
    let shown = trusted_issuers::show(&stage.app.management, id).unwrap().record;
    assert_eq!(shown.policy.keys, pinned(&(old.pem() + &new.pem())), "what is stored is what it means");
    let names = &audit(&stage.app, "acme")[0].detail["after"]["key_names"];
    let prints: Vec<String> = trusted_issuers::certificates(&shown.policy.keys)
        .into_iter()
        .map(|certificate| certificate.fingerprint)
        .collect();
    assert_eq!((prints.len(), names), (2, &json!(prints)));

    stage.app.clock.advance(DAY * 10);
    assert_eq!(
        exact_words(&stage, &openssl.sign(&old.key, json!({}), &stage.claims())),
        "its certificate (CN=old) expired on 2026-12-01T00:00:00Z"
    );
    let refused = stage.ticket(&openssl.sign(&old.key, json!({}), &stage.claims())).assert_status(401).json();
    assert_eq!(refused["error_description"], "The certificate that the JWT was signed with is not accepted.");
    grant(&new).assert_status(200);
    // What has expired meanwhile hinders no other change.
    let renamed =
        IssuerSettings { name: "Renamed".to_owned(), ..IssuerSettings::of(&change(old.pem() + &new.pem()).record) };
    trusted_issuers::update(&stage.app.management, id, renamed).unwrap();
    change(new.pem());
    grant(&old).assert_status(400);
}

#[test]
fn a_chain_that_leads_to_the_authority_of_an_issuer_is_good_and_every_other_is_refused_for_its_own_reason() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::new();
    let (root, own_root) = (openssl.authority("Acme Root"), openssl.authority("Self-made Root"));
    let (key, short) = (openssl.key(2048), openssl.key(1024));
    let below = |by: &Made, order: Order<'_>| openssl.certify(Some(by), &order);
    let leaf = |extensions: &str| below(&root, Order { extensions, ..order("signer", &key) });
    let lower = |extensions: &str| below(&root, Order { extensions, ..order("Lower CA", &own_root.key) });
    let middle = lower(AUTHORITY);
    let constrained = lower(&format!("{AUTHORITY}\nnameConstraints = critical, permitted;DNS:elsewhere.example"));
    let revoked = leaf(SIGNER);
    let trusted = with_keys(&stage, authorities(&(root.pem() + &openssl.revoke(&root, &revoked))));
    let id = stage.trust(named(trusted, &["signer.example", "spiffe://acme/other"]));

    let direct = leaf(SIGNER);
    for chain in [vec![&direct], vec![&direct, &root], vec![&below(&middle, order("signer", &key)), &middle]] {
        let jwt = openssl.sign_with_chain(&chain, &stage.claims());
        assert_eq!(exact_words(&stage, &jwt), "holds");
        stage.grant(&jwt).assert_status(200);
        // The second time it is remembered.
        stage.grant(&openssl.sign_with_chain(&chain, &stage.claims())).assert_status(200);
    }
    for (extensions, name) in [
        ("subjectAltName = URI:spiffe://acme/other", "another"),
        ("subjectAltName = DNS:another.example", "signer.example"),
    ] {
        let named = below(&root, Order { extensions, ..order(name, &key) });
        assert_eq!(exact_words(&stage, &openssl.sign_with_chain(&[&named], &stage.claims())), "holds", "{extensions}");
    }

    let valid = |valid| below(&root, Order { valid, ..order("signer", &key) });
    let through = |middle: Made| vec![below(&middle, order("signer", &key)), middle];
    let cases: Vec<(&str, Vec<Made>, &str)> = vec![
        ("expired", vec![valid((VALID.0, "20261101000000Z"))], "certificate 1 of 1 expired on 2026-11-01T00:00:00Z"),
        (
            "not yet valid",
            vec![valid(("20261201000000Z", VALID.1))],
            "certificate 1 of 1 is not valid before 2026-12-01",
        ),
        (
            "wrong purpose",
            vec![leaf("extendedKeyUsage = serverAuth\nsubjectAltName = DNS:signer.example")],
            "is for other purposes",
        ),
        (
            "wrong usage",
            vec![leaf("keyUsage = keyEncipherment\nsubjectAltName = DNS:signer.example")],
            "key usage without digitalSignature",
        ),
        ("revoked", vec![revoked], "a certificate of the chain was revoked"),
        ("1024 bits", vec![below(&root, order("signer", &short))], "has an RSA key of 1024 bits"),
        ("SHA-1", vec![below(&root, Order { digest: "sha1", ..order("signer", &key) })], "is signed with SHA-1"),
        (
            "SHA-1 above",
            through(below(&root, Order { extensions: AUTHORITY, digest: "sha1", ..order("Lower CA", &own_root.key) })),
            "certificate 2 of 2 is signed with SHA-1",
        ),
        ("name constraints", through(constrained), "certified a name that it may not"),
        (
            "self-made chain",
            vec![below(&own_root, order("signer", &key)), own_root.clone()],
            "leads to no CA of this issuer",
        ),
        ("self-signed", vec![openssl.certify(None, &order("signer", &key))], "signed by itself"),
        ("no CA above", through(leaf(SIGNER)), "certificate 2 of 2 is not a CA's"),
        ("a CA that signs", vec![leaf(AUTHORITY)], "a CA signs no tokens"),
        (
            "another name",
            vec![leaf("subjectAltName = DNS:signer.example.evil.example")],
            "(CN=signer) has none of the names",
        ),
        ("no names", vec![leaf("keyUsage = digitalSignature")], "has none of the names"),
    ];
    let before = cases.len();
    for (what, chain, why) in cases {
        let chain: Vec<&Made> = chain.iter().collect();
        let jwt = openssl.sign_with_chain(&chain, &stage.claims());
        let words = exact_words(&stage, &jwt);
        assert!(words.contains(why), "{what}: {words}");
        let refused = stage.ticket(&jwt).assert_status(401).json();
        let public = "The certificate that the JWT was signed with is not accepted.";
        assert_eq!(refused["error_description"], public, "{what}: nothing of the issuer's settings");
        assert_eq!(stage.grant(&jwt).assert_status(400).error(), "invalid_grant", "{what}");
        stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(401);
    }
    let bare = openssl.sign(&direct.key, json!({}), &stage.claims());
    assert_eq!(exact_words(&stage, &bare), "it carries no certificates (header x5c)");
    let stolen = openssl.sign(&own_root.key, json!({ "x5c": [direct.base64()] }), &stage.claims());
    assert!(exact_words(&stage, &stolen).starts_with("Signature("), "a certificate is public, its key is not");
    stage.ticket(&stolen).assert_status(401);

    stage.app.authority.trust_counts.flush(stage.app.management.database(), stage.app.clock.now()).unwrap();
    let counts = trusted_issuers::outcomes(&stage.app.management, id).unwrap();
    let of = |outcome: &str| counts.iter().find(|count| count.outcome == outcome).map_or(0, |count| count.count);
    assert_eq!(of("certificate"), i64::try_from(before * 3).unwrap());
    assert_eq!((of("signature"), of("accepted")), (1, 6));

    // From the moment in which the CA is taken out, nothing that it vouched for is good, remembered or not.
    let other = named(with_keys(&stage, authorities(&own_root.pem())), &["signer.example"]);
    trusted_issuers::update(&stage.app.management, id, other).unwrap();
    stage.app.catch_up();
    let jwt = openssl.sign_with_chain(&[&direct], &stage.claims());
    assert_eq!(exact_words(&stage, &jwt), "the chain leads to no CA of this issuer");
}

#[test]
fn an_authority_that_expires_vouches_for_nobody_from_that_second_on() {
    let Some(openssl) = Openssl::new() else { return };
    let stage = Stage::new();
    let key = openssl.key(2048);
    let ends = Order { valid: (VALID.0, "20261122010000Z"), extensions: AUTHORITY, ..order("Root", &key) };
    let root = openssl.certify(None, &ends);
    let leaf = openssl.certify(Some(&root), &order("signer", &key));
    stage.trust(with_keys(&stage, authorities(&root.pem())));
    let words = |header: Value| {
        let mut whole = json!({ "x5c": [leaf.base64()] });
        whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        exact_words(&stage, &openssl.sign(&leaf.key, whole, &stage.claims()))
    };
    assert_eq!(words(json!({})), "holds");
    assert_eq!(words(json!({ "x5t#S256": "AAAA" })), "its x5t#S256 is not the digest of its certificate");
    stage.app.clock.advance(Duration::from_secs(3_600));
    assert_eq!(words(json!({})), "holds", "to its last second");
    stage.app.clock.advance(Duration::from_secs(1));
    assert_eq!(words(json!({})), "the CA (CN=Root) expired on 2026-11-22T01:00:00Z");
    stage.ticket(&openssl.sign_with_chain(&[&leaf], &stage.claims())).assert_status(401);
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
    let stage = Stage::on(TestApp::with(&[("system-authorities", "Public CA"), ("system-authorities-bundle", bundle)]));
    let asked = with_keys(&stage, IssuerKeys::SystemAuthorities);
    let words = refused_words(try_to_trust(&stage, asked.clone()));
    assert!(words.contains("anybody can get a certificate"), "{words}");
    stage.trust(named(asked, &["signer.example"]));

    let key = openssl.key(2048);
    let leaf =
        |by: &Made, name: &str, extensions: &str| openssl.certify(Some(by), &Order { extensions, ..order(name, &key) });
    let words = |made: &Made| exact_words(&stage, &openssl.sign_with_chain(&[made], &stage.claims()));
    let good = leaf(&public, "whoever", SIGNER);
    stage.grant(&openssl.sign_with_chain(&[&good], &stage.claims())).assert_status(200);
    assert_eq!(words(&leaf(&unnamed, "whoever", SIGNER)), "the chain leads to no CA of this issuer");
    let common = leaf(&public, "signer.example", "subjectAltName = DNS:mallory.example");
    assert!(words(&common).contains("has none of the names"), "these authorities do not answer for a common name");

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

on_both_databases! { people_hear_of_a_certificate_that_ends_before_it_does }

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
    let metrics = eventually(Duration::from_secs(10), "the outlook is taken", || {
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
