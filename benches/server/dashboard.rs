//! The dashboard: what its pages cost an organisation with many apps, and what a flood of sign-ins does to tokens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream as TokioStream;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::home::{App, Home, Server};
use crate::load::{Load, Until};
use crate::options::{Database, Options};
use crate::postgres::Postgres;
use crate::report::{Figures, FloodRow, PageCostRow, Report, median};
use crate::stage::measure;

/// Apps of the one organisation.
const APPS: u32 = 10_000;
/// Views of a page in a round.
const VIEWS: usize = 20;
/// Sign-ins at once.
const FLOOD: usize = 500;
const EMAIL: &str = "bench@example.com";
const PASSWORD: &str = "benches are made of oak";
/// Longer than counts wait to be written.
const COUNTS_WRITTEN: Duration = Duration::from_secs(12);

/// Measures pages and a flood on one database.
pub(crate) fn run(
    options: &Options,
    database: Database,
    postgres: Option<&Postgres>,
    report: &mut Report,
) -> Result<()> {
    eprintln!("{database}, dashboard: importing {APPS} apps");
    let url = postgres.map(|postgres| postgres.create_database("bench_dashboard"));
    let home = Home::new(url.transpose()?)?;
    let apps = home.create_apps(APPS)?;
    home.create_person(EMAIL, PASSWORD)?;
    let tokens: Vec<Vec<u8>> = apps.iter().map(App::token_request).collect();
    let server = home.serve(&["--throttle-sign-ins", "off"])?;
    let mut load = Load::open(server.address, options.connections)?;
    // So that lists and pictures have something to show.
    load.round(&tokens, Until::Count(tokens.len()), |_| {})?;
    drop(load);
    thread::sleep(COUNTS_WRITTEN);

    eprintln!("{database}, dashboard: measuring pages");
    let session = sign_in(server.address)?;
    let client_id = apps.first().ok_or("no apps")?.client_id.clone();
    let pages = [
        ("home", "/".to_owned()),
        ("my apps", "/apps".to_owned()),
        ("my apps, searched", "/apps?q=App+99".to_owned()),
        ("my apps, last page by use", "/apps?sort=used&page=400".to_owned()),
        ("one app", format!("/apps/{client_id}")),
    ];
    for (page, path) in pages {
        let request = [get_as(&path, &session)];
        let mut load = Load::open(server.address, 2)?;
        let mut figures = Figures::default();
        let (mut heaviest, mut size) = (0.0_f64, 0);
        for _ in 0..options.rounds {
            let measured = measure(&mut load, &server.process, &request, Until::Count(VIEWS))?;
            heaviest = heaviest.max(measured.cpu.as_secs_f64() * 1e3 / f64::from(measured.round.answers));
            figures.add(&measured);
        }
        load.round(&request, Until::Count(1), |body| size = body.len())?;
        report.page_costs.push(PageCostRow { database, page, figures, heaviest, size });
    }

    eprintln!("{database}, dashboard: flooding the sign-in page");
    report.floods.push(flood(options, database, &server, &tokens)?);
    Ok(())
}

/// Tokens in quiet rounds and during a flood of wrong passwords, in turn: one client that asks for one after another.
fn flood(options: &Options, database: Database, server: &Server, tokens: &[Vec<u8>]) -> Result<FloodRow> {
    let time = Until::Time(Duration::from_secs(u64::from(options.seconds)));
    let mut load = Load::open(server.address, 1)?;
    let form = Form::open(server.address)?;
    let request = form.sign_in(EMAIL, "not the password it is");
    let before = server.process.memory("VmRSS")?;
    let counts = Counts::default();
    let (mut quiet, mut during, mut ratios) = (Figures::default(), Figures::default(), Vec::new());
    for _ in 0..options.rounds {
        let mut alone = Figures::default();
        alone.add(&measure(&mut load, &server.process, tokens, time)?);
        let crowd = Crowd::new(server.address, &request, &counts);
        let mut crowded = Figures::default();
        let measured = thread::scope(|scope| {
            scope.spawn(|| crowd.rush());
            let measured = measure(&mut load, &server.process, tokens, time);
            crowd.over.store(true, Ordering::Relaxed);
            measured
        });
        crowded.add(&measured?);
        ratios.push(crowded.percentile(99) / alone.percentile(99));
        eprintln!("  p99 ms: quiet {:.2}, flooded {:.2}", alone.percentile(99), crowded.percentile(99));
        quiet.absorb(alone);
        during.absorb(crowded);
        // What was let in is done before the next quiet round.
        thread::sleep(Duration::from_secs(2));
    }
    Ok(FloodRow {
        database,
        quiet,
        during,
        times: median(ratios),
        before,
        most: server.process.memory("VmHWM")?,
        after: server.process.memory("VmRSS")?,
        hashed: counts.hashed.into_inner(),
        refused: counts.refused.into_inner(),
        failed: counts.failed.into_inner(),
    })
}

/// Browsers that sign in again and again with a wrong password, each a second after its last answer. They come from one
/// thread, so that what they cost this machine is hardly more than what they cost the server.
struct Crowd<'a> {
    address: SocketAddr,
    request: &'a [u8],
    counts: &'a Counts,
    over: AtomicBool,
}

impl<'a> Crowd<'a> {
    const fn new(address: SocketAddr, request: &'a [u8], counts: &'a Counts) -> Self {
        Self { address, request, counts, over: AtomicBool::new(false) }
    }

    fn rush(&self) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(join_all((0..FLOOD).map(|_| async {
            while !self.over.load(Ordering::Relaxed) {
                self.counts.add(self.sign_in().await.unwrap_or(0));
                sleep(Duration::from_secs(1)).await;
            }
        })));
        Ok(())
    }

    /// Gives the status of the answer.
    async fn sign_in(&self) -> Result<u16> {
        let mut stream = TokioStream::connect(self.address).await?;
        stream.write_all(self.request).await?;
        let mut octets = Vec::with_capacity(16 * 1024);
        timeout(Duration::from_secs(30), stream.read_to_end(&mut octets)).await??;
        status(&String::from_utf8_lossy(&octets))
    }
}

/// How sign-ins were answered.
#[derive(Default)]
struct Counts {
    /// A password was hashed and found wrong.
    hashed: AtomicU32,
    /// 503 or 429: too many.
    refused: AtomicU32,
    /// Anything else.
    failed: AtomicU32,
}

impl Counts {
    fn add(&self, status: u16) {
        let count = match status {
            422 => &self.hashed,
            429 | 503 => &self.refused,
            _ => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    /// The cookie of that name, as a browser sends it back.
    fn cookie(&self, name: &str) -> Option<String> {
        let line = self.text.lines().find(|line| line.to_lowercase().starts_with(&format!("set-cookie: {name}=")))?;
        line.split_once(": ")?.1.split(';').next().map(str::to_owned)
    }
}

/// Sends one request on a connection of its own.
fn exchange(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(Answer { status: status(&text)?, text })
}

fn status(text: &str) -> Result<u16> {
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Ok(status.ok_or("the server answered no HTTP")?)
}

/// The sign-in page as a browser got it.
struct Form {
    visit: String,
    csrf: String,
}

impl Form {
    fn open(address: SocketAddr) -> Result<Self> {
        let page = exchange(address, b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let csrf = page.text.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        Ok(Self {
            csrf: csrf.ok_or("the sign-in page has no token")?.to_owned(),
            visit: page.cookie("brevet-visit").ok_or("the sign-in page set no cookie")?,
        })
    }

    fn sign_in(&self, email: &str, password: &str) -> Vec<u8> {
        let form = format!("csrf={}&email={email}&password={}", self.csrf, password.replace(' ', "+"));
        format!(
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.visit,
            form.len()
        )
        .into_bytes()
    }
}

/// Signs in and gives the cookie of the session.
fn sign_in(address: SocketAddr) -> Result<String> {
    let answer = exchange(address, &Form::open(address)?.sign_in(EMAIL, PASSWORD))?;
    let session = answer.cookie("brevet-session");
    Ok(session.ok_or_else(|| format!("nobody is signed in: {}", answer.status))?)
}

fn get_as(path: &str, session: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: {session}\r\n\r\n").into_bytes()
}

/// What a page costs, in milliseconds.
pub(crate) fn cost(figures: &Figures) -> f64 {
    median(figures.cpu.clone()) / 1e3
}
