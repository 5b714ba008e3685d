//! The pure parts of the token road and the guard, one by one: `cargo bench --bench pure`; see `benches/README.md`.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use brevet::clock::Timestamp;
use brevet::keys::signing::{GeneratedKey, SigningKey};
use brevet::keys::verify::verify_access_token;
use brevet::oauth::claims::AccessTokenClaims;
use brevet::oauth::client::{ClientAuthentication, ClientSecret, GrantedScope, Organisation, PresentedCredentials};
use brevet::oauth::form::parse_form;
use brevet::oauth::header::Header;
use brevet::oauth::networks::Networks;
use brevet::oauth::request::{TokenParams, TokenTarget};
use brevet::oauth::scope::Authorization;
use brevet::oauth::{Api, Client, ClientId, SigningAlgorithm, TokenProfile};
use brevet::secret::{HashMemory, Pepper, Secret, StoredSecret, generate_client_secret, hash_password};
use criterion::{Criterion, criterion_group, criterion_main};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ISSUER: &str = "https://id.example.com";
const TOKEN_ID: &str = "3q2-796tvu_erb7v3q2-7w";
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const FORM: &[u8] = b"grant_type=client_credentials&scope=billing%3Aread+billing%3Awrite";

/// A client that was granted three scopes of one API, as it stands in memory.
struct World {
    client: Client,
    secret: Secret,
    pepper: Pepper,
    management: Arc<Api>,
}

impl World {
    fn new() -> Result<Self> {
        let organisation = Arc::new(Organisation {
            id: Uuid::new_v4(),
            slug: "acme".into(),
            enabled: true,
            not_before: Timestamp::NEVER,
        });
        let billing = api(
            Some(organisation.id),
            "https://billing.acme.example",
            &["billing:read", "billing:write", "billing:admin"],
        );
        let granted = billing.scopes.iter().map(|name| GrantedScope { api: billing.clone(), name: name.clone() });
        let (secret, pepper) = (generate_client_secret()?, Pepper::new([7; 32]));
        let stored =
            ClientSecret { id: Uuid::new_v4(), stored: StoredSecret::new(&secret, &pepper)?, expires_at: None };
        Ok(Self {
            client: Client {
                client_id: ClientId::generate(),
                name: "Invoice sync".into(),
                granted: granted.collect(),
                organisation,
                enabled: true,
                not_before: Timestamp::NEVER,
                lifetime: None,
                authentication: ClientAuthentication::ClientSecret,
                dpop_required: false,
                allowed_networks: Networks::default(),
                token_exchange: false,
                secrets: Box::new([stored]),
                claims: None,
            },
            secret,
            pepper,
            management: api(None, "https://id.example.com/api/v1", &["apps:read"]),
        })
    }

    fn basic(&self) -> String {
        let joined = format!("{}:{}", self.client.client_id, self.secret.reveal());
        format!("Basic {}", STANDARD.encode(joined))
    }

    fn authorize(&self, target: &TokenTarget<'_>) -> Result<Authorization> {
        Authorization::narrow(&self.client, target, &self.management).map_err(|refused| format!("{refused:?}").into())
    }
}

fn api(organisation_id: Option<Uuid>, identifier: &str, scopes: &[&str]) -> Arc<Api> {
    Arc::new(Api {
        id: Uuid::new_v4(),
        organisation_id,
        identifier: identifier.into(),
        profile: TokenProfile::Rfc9068,
        algorithm: SigningAlgorithm::Rs256,
        lifetime: None,
        scopes: scopes.iter().map(|name| Arc::from(*name)).collect(),
    })
}

fn claims<'a>(world: &'a World, authorization: &'a Authorization) -> AccessTokenClaims<'a> {
    AccessTokenClaims {
        issuer: ISSUER,
        client: &world.client,
        person: None,
        delegation: None,
        authorization,
        profile: TokenProfile::Rfc9068,
        issued_at: NOW,
        valid_from: NOW,
        expires_at: NOW + DAY,
        token_id: TOKEN_ID,
        confirmation: None,
    }
}

/// Reading a request.
fn requests(c: &mut Criterion, world: &World) -> Result<()> {
    c.bench_function("form: split and decode", |b| b.iter(|| parse_form(black_box(FORM))));
    c.bench_function("form: token parameters", |b| {
        b.iter(|| TokenParams::from_form(black_box(FORM)));
    });
    let params = TokenParams::from_form(FORM).map_err(|refused| format!("{refused:?}"))?;
    let header = world.basic();
    c.bench_function("credentials: HTTP Basic", |b| {
        b.iter(|| PresentedCredentials::read(Header::One(black_box(header.as_bytes())), &params));
    });
    let everything = TokenTarget::default();
    let two = TokenTarget { scope: Some("billing:read billing:write"), resources: Vec::new() };
    c.bench_function("scopes: all that was granted", |b| {
        b.iter(|| Authorization::narrow(&world.client, black_box(&everything), &world.management));
    });
    c.bench_function("scopes: two of three", |b| {
        b.iter(|| Authorization::narrow(&world.client, black_box(&two), &world.management));
    });
    Ok(())
}

/// Making a token and reading it back.
fn tokens(c: &mut Criterion, world: &World) -> Result<()> {
    let authorization = world.authorize(&TokenTarget::default())?;
    c.bench_function("claims: build and serialise", |b| {
        b.iter(|| serde_json::to_vec(&claims(black_box(world), &authorization)));
    });
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
        let generated = GeneratedKey::generate(algorithm)?;
        let key = SigningKey::parse(algorithm, &generated.private_key)?;
        let claims = claims(world, &authorization);
        let name = algorithm.name();
        c.bench_function(&format!("token: sign, {name}"), |b| {
            b.iter(|| key.sign(TokenProfile::Rfc9068, black_box(&claims)));
        });
        let token = key.sign(TokenProfile::Rfc9068, &claims)?;
        if algorithm == SigningAlgorithm::Rs256 {
            raw_signature(c, &generated, &token)?;
        }
        let verifying = Arc::new(key.verifying_key()?);
        verify_access_token(&token, ISSUER, |_kid| Some(verifying.clone())).map_err(|refused| refused.to_string())?;
        c.bench_function(&format!("token: verify, {name}"), |b| {
            b.iter(|| verify_access_token(black_box(&token), ISSUER, |_kid| Some(verifying.clone())));
        });
    }
    Ok(())
}

/// The floor under a token: what aws-lc takes for the same input.
fn raw_signature(c: &mut Criterion, key: &GeneratedKey, token: &str) -> Result<()> {
    let pair = RsaKeyPair::from_pkcs8(&key.private_key)?;
    let (input, _signature) = token.rsplit_once('.').ok_or("a token without a signature")?;
    let random = SystemRandom::new();
    let mut signature = vec![0; pair.public_modulus_len()];
    c.bench_function("raw RSA-2048 signature", |b| {
        b.iter(|| pair.sign(&RSA_PKCS1_SHA256, &random, black_box(input.as_bytes()), &mut signature));
    });
    Ok(())
}

/// Making and checking secrets.
fn secrets(c: &mut Criterion, world: &World) -> Result<()> {
    let stored = world.pepper.hash(&world.secret);
    c.bench_function("secret: keyed hash and compare", |b| {
        b.iter(|| world.pepper.hash(black_box(&world.secret)) == stored);
    });
    c.bench_function("secret: generate", |b| b.iter(generate_client_secret));
    let password = Secret::new("correct horse battery staple");
    let phc = hash_password(&password)?;
    let mut memory = HashMemory::default();
    c.bench_function("password: verify, argon2id", |b| {
        b.iter(|| memory.verify(black_box(&phc), &password));
    });
    Ok(())
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot prepare its input has nothing to measure")]
fn all(c: &mut Criterion) {
    let world = World::new().expect("a client to measure with");
    requests(c, &world).expect("requests can be prepared");
    tokens(c, &world).expect("tokens can be prepared");
    secrets(c, &world).expect("secrets can be prepared");
}

criterion_group! {
    name = pure;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(pure);
