//! One database with so many apps: prepared, started, loaded, measured.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::hello::Hello;
use crate::home::{App, Home, Server, get, get_with_token};
use crate::load::{Load, Round, Until};
use crate::options::{Database, Options};
use crate::postgres::Postgres;
use crate::process::Process;
use crate::report::{Figures, MemoryRow, PageRow, Report, TokenRow, median};
use crate::signature::RawSignature;

/// After so long the server has written down every token that it gave.
const COUNTS_WRITTEN: Duration = Duration::from_secs(12);
/// How often a start is timed.
const STARTS: u32 = 5;
const WHOAMI: &str = "/api/v1/whoami";
/// What a proxy asks for each request.
const VERIFY: &str = "/connect/verify?aud=https://bench.example&scope=bench:read";
/// Tokens that `whoami` is asked about in turn: fewer than the server remembers, so after one pass it remembers all.
const SEEN_TOKENS: usize = 6_000;
/// Tokens in a round that no request has shown before.
const FRESH_TOKENS: usize = 3_000;

/// What to prepare and measure.
pub(crate) struct Stage<'a> {
    pub(crate) options: &'a Options,
    pub(crate) postgres: Option<&'a Postgres>,
    pub(crate) database: Database,
    pub(crate) apps: u32,
}

impl Stage<'_> {
    /// Measures the token road, and the pages if there is a hello server to compare them with.
    pub(crate) fn run(&self, hello: Option<&Hello>, report: &mut Report) -> Result<()> {
        self.say("importing the apps");
        let url = self.postgres.map(|postgres| postgres.create_database(&format!("bench_{}", self.apps)));
        let home = Home::new(url.transpose()?)?;
        let apps = home.create_apps(self.apps)?;
        let requests: Vec<Vec<u8>> = apps.iter().map(App::token_request).collect();

        self.say("timing starts");
        let first = requests.first().ok_or("no apps")?;
        home.start_to_first_token(first)?; // makes the signing keys, which later starts find
        let starts = (0..STARTS).map(|_| home.start_to_first_token(first));
        let starts = starts.collect::<Result<Vec<f64>>>()?;

        let server = home.serve(&[])?;
        thread::sleep(Duration::from_secs(1));
        let idle = server.process.memory("VmRSS")?;
        if self.options.token {
            report.tokens.push(self.token_road(&server, &requests)?);
        }
        report.memory.push(MemoryRow {
            database: self.database,
            apps: self.apps,
            idle,
            loaded: server.process.memory("VmRSS")?,
            most: server.process.memory("VmHWM")?,
            start: median(starts.clone()),
            slowest_start: starts.into_iter().fold(0.0, f64::max),
        });
        if let Some(hello) = hello.filter(|_| self.options.pages) {
            self.pages(&server, hello, &apps, &requests, report)?;
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        eprintln!("{}, {} apps: {what}", self.database, self.apps);
    }

    fn token_road(&self, server: &Server, requests: &[Vec<u8>]) -> Result<TokenRow> {
        self.say("warming up: a token for every app");
        let before = server.process.cpu()?;
        let mut load = Load::open(server.address, self.options.connections)?;
        let mut tokens = Vec::new();
        load.round(requests, Until::Count(1), collect_tokens(&mut tokens))?;
        let warm_up = load.round(requests, Until::Count(requests.len().max(2_000)), ignore)?;
        server.empty_log()?;

        self.say("measuring tokens");
        let raw = RawSignature::like(tokens.first().ok_or("the answer holds no token")?)?;
        let processors = thread::available_parallelism()?.get();
        let mut figures = Figures::default();
        let (mut idle, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..self.options.rounds {
            idle.push(raw.cpu(1)?);
            busy.push(raw.cpu(processors)?);
            let until = Until::Time(self.options.round());
            figures.add(&measure(&mut load, &server.process, requests, until)?);
        }
        server.empty_log()?;
        thread::sleep(COUNTS_WRITTEN);
        let written = server.process.cpu()?.since(&before).writing;
        let answers = figures.answers + f64::from(warm_up.answers) + 1.0;
        let writing = written.as_secs_f64() * 1e6 / answers;
        let whole: Vec<f64> = figures.cpu.iter().map(|cpu| cpu + writing).collect();
        Ok(TokenRow {
            database: self.database,
            apps: self.apps,
            writing,
            of_idle: median(ratios(&whole, &idle)),
            of_busy: median(ratios(&whole, &busy)),
            raw_idle: median(idle),
            raw_busy: median(busy),
            figures,
        })
    }

    fn pages(
        &self,
        server: &Server,
        hello: &Hello,
        apps: &[App],
        requests: &[Vec<u8>],
        report: &mut Report,
    ) -> Result<()> {
        self.say("measuring pages");
        let mut load = Load::open(server.address, self.options.connections)?;
        let (hello_request, jwks) = ([get("/")], [get("/.well-known/jwks.json")]);
        let tokens = fetch_tokens(&mut load, requests, SEEN_TOKENS)?;
        let seen = with_each(&tokens, WHOAMI);
        load.round(&seen, Until::Count(seen.len()), ignore)?;
        let one = seen.get(..1).unwrap_or_default();
        let verify = with_each(&tokens, VERIFY);
        let asked: Vec<_> = apps.iter().cycle().zip(&tokens).map(|(app, token)| app.introspection(token)).collect();
        // At once, because a server gives a new connection only some seconds for its first request.
        let mut hello_load = Load::open(hello.address, self.options.connections)?;
        hello_load.round(&hello_request, Until::Count(10_000), ignore)?;
        let time = Until::Time(self.options.round());
        let mut hellos = Figures::default();
        let mut roads = [
            ("JWKS", &jwks[..], Figures::default()),
            ("whoami, one token", one, Figures::default()),
            ("whoami, tokens seen before", &seen, Figures::default()),
            ("verify, tokens seen before", &verify, Figures::default()),
            ("introspection, seen before", &asked, Figures::default()),
        ];
        for _ in 0..self.options.rounds {
            hellos.add(&measure(&mut hello_load, &hello.process, &hello_request, time)?);
            for (_, requests, figures) in &mut roads {
                figures.add(&measure(&mut load, &server.process, requests, time)?);
            }
            server.empty_log()?;
        }
        // Last, because the server forgets the tokens above over them.
        let mut never = Figures::default();
        for _ in 0..self.options.rounds {
            let fresh = with_each(&fetch_tokens(&mut load, requests, FRESH_TOKENS)?, WHOAMI);
            let all = Until::Count(fresh.len());
            never.add(&measure(&mut load, &server.process, &fresh, all)?);
        }
        let roads = roads.into_iter().map(|(road, _, figures)| (road, figures));
        let roads = roads.chain([("whoami, tokens never seen", never)]);
        for (road, figures) in roads {
            report.pages.push(PageRow {
                database: self.database,
                road,
                of_hello: median(ratios(&figures.cpu, &hellos.cpu)),
                figures,
            });
        }
        report.pages.push(PageRow {
            database: self.database,
            road: "hello, bare actix-web",
            of_hello: 1.0,
            figures: hellos,
        });
        Ok(())
    }
}

/// A round and what it cost the server, without what it will cost to write down.
pub(crate) struct Measured {
    pub(crate) round: Round,
    pub(crate) cpu: Duration,
}

pub(crate) fn measure(load: &mut Load, process: &Process, requests: &[Vec<u8>], until: Until) -> Result<Measured> {
    let before = process.cpu()?;
    let round = load.round(requests, until, ignore)?;
    Ok(Measured { round, cpu: process.cpu()?.since(&before).serving })
}

fn fetch_tokens(load: &mut Load, requests: &[Vec<u8>], count: usize) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    load.round(requests, Until::Count(count), collect_tokens(&mut tokens))?;
    Ok(tokens)
}

/// A request with each token.
fn with_each(tokens: &[String], path: &str) -> Vec<Vec<u8>> {
    tokens.iter().map(|token| get_with_token(path, token)).collect()
}

fn ignore(_body: &[u8]) {}

fn collect_tokens(tokens: &mut Vec<String>) -> impl FnMut(&[u8]) {
    |body| {
        let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let token = answer.as_ref().and_then(|answer| answer.get("access_token")?.as_str());
        tokens.extend(token.map(str::to_owned));
    }
}

/// Each by the one measured next to it.
pub(crate) fn ratios(costs: &[f64], references: &[f64]) -> Vec<f64> {
    costs.iter().zip(references).map(|(cost, reference)| cost / reference).collect()
}
