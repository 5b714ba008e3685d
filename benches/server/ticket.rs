//! Third parties' JWTs: what a ticket and a token of the jwt-bearer grant cost the server, with a key that it verifies one
//! signature and makes another. Each JWT is a new one, whether the issuer says that each is good once or not.

use std::thread;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brevet::clock::{Clock, SystemClock};
use brevet::keys::signing::GeneratedKey;
use brevet::oauth::SigningAlgorithm;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Result;
use crate::home::{Home, Server, post_form};
use crate::load::{Load, Until};
use crate::options::{Database, Options};
use crate::postgres::Postgres;
use crate::report::{Figures, Report, TicketRow, median};
use crate::signature::RawSignature;
use crate::stage::{Measured, ratios};

/// JWTs in a round.
const JWTS: usize = 1_500;
const AUDIENCE: &str = "urn:bench:api";
const SUBJECT: &str = "workload";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";

/// A road that takes a third party's JWT.
struct Road {
    name: &'static str,
    path: &'static str,
    /// What stands before the JWT in the form.
    form: String,
    /// The member of the answer that holds the token.
    member: &'static str,
    issuer: &'static str,
}

/// Measures every road on one database.
pub(crate) fn run(
    options: &Options,
    database: Database,
    postgres: Option<&Postgres>,
    report: &mut Report,
) -> Result<()> {
    eprintln!("{database}, tickets: preparing");
    let url = postgres.map(|postgres| postgres.create_database("bench_tickets"));
    let home = Home::new(url.transpose()?)?;
    let app = home.create_apps(1)?.into_iter().next().ok_or("no app")?;
    let signer = Signer::new()?;
    let issuers = [("https://bench.example/any", &[][..]), ("https://bench.example/once", &["--single-use"])];
    for (issuer, flags) in issuers {
        let who = ["--app", &app.client_id, "--subject", SUBJECT];
        home.trust_issuer(issuer, AUDIENCE, &signer.jwks, &[&who, flags].concat())?;
    }
    let server = home.serve(&[])?;
    let roads = issuers.into_iter().zip([("ticket", "jwt-bearer"), ("ticket, jti once", "jwt-bearer, jti once")]);
    let roads = roads.flat_map(|((issuer, _), (ticket, grant))| {
        let form = format!("grant_type={GRANT}&assertion=");
        [
            Road { name: ticket, path: "/server/jwt", form: "JwtToken=".to_owned(), member: "ticket", issuer },
            Road { name: grant, path: "/connect/token", form, member: "access_token", issuer },
        ]
    });
    for road in roads {
        eprintln!("{database}, tickets: measuring {}", road.name);
        report.tickets.push(measure_road(options, database, &server, &signer, &road)?);
        server.empty_log()?;
    }
    Ok(())
}

fn measure_road(
    options: &Options,
    database: Database,
    server: &Server,
    signer: &Signer,
    road: &Road,
) -> Result<TicketRow> {
    let requests = || (0..JWTS).map(|_| road.request(signer)).collect::<Result<Vec<_>>>();
    let (mut first, warm_up) = (None, requests()?);
    let processors = thread::available_parallelism()?.get();
    let (mut figures, mut busy) = (Figures::default(), Vec::new());
    let mut load = Load::open(server.address, options.connections)?;
    load.round(&warm_up, Until::Count(JWTS), |body| {
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        first = first.take().or_else(|| Some(answer?.get(road.member)?.as_str()?.to_owned()));
    })?;
    drop(load);
    let raw = RawSignature::like(&first.ok_or("the answer holds no token")?)?;
    for _ in 0..options.rounds {
        let requests = requests()?;
        busy.push(raw.cpu(processors)?);
        // Anew each round: a server gives an idle connection only so much time, and signing takes some.
        let mut load = Load::open(server.address, options.connections)?;
        let before = server.process.cpu()?;
        let round = load.round(&requests, Until::Count(JWTS), |_body| {})?;
        let cpu = server.process.cpu()?.since(&before);
        // An id is written down before the answer: that is part of its cost.
        figures.add(&Measured { round, cpu: cpu.serving + cpu.writing });
    }
    let times = median(ratios(&figures.cpu, &busy));
    Ok(TicketRow { database, road: road.name, raw_busy: median(busy), times, figures })
}

impl Road {
    fn request(&self, signer: &Signer) -> Result<Vec<u8>> {
        Ok(post_form(self.path, &format!("{}{}", self.form, signer.jwt(self.issuer)?)))
    }
}

/// A third party.
struct Signer {
    pair: RsaKeyPair,
    jwks: String,
}

impl Signer {
    fn new() -> Result<Self> {
        let key = GeneratedKey::generate(SigningAlgorithm::Rs256)?;
        let public = RsaPrivateKey::from_pkcs8_der(&key.private_key)?;
        let encode = |octets: Vec<u8>| URL_SAFE_NO_PAD.encode(octets);
        let (n, e) = (encode(public.n().to_bytes_be()), encode(public.e().to_bytes_be()));
        let jwks = json!({ "keys": [{ "kty": "RSA", "kid": "bench", "alg": "RS256", "n": n, "e": e }] });
        Ok(Self { pair: RsaKeyPair::from_pkcs8(&key.private_key)?, jwks: jwks.to_string() })
    }

    fn jwt(&self, issuer: &str) -> Result<String> {
        let now = SystemClock.now().seconds();
        let claims = json!({
            "iss": issuer, "sub": SUBJECT, "aud": AUDIENCE, "jti": Uuid::new_v4().to_string(),
            "iat": now, "nbf": now, "exp": now + 300,
        });
        let header = json!({ "alg": "RS256", "kid": "bench", "typ": "JWT" });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
