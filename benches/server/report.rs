//! The tables.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::WORKERS;
use crate::dashboard::cost;
use crate::options::{Database, Options};
use crate::stage::Measured;

/// The middle one; of an even count, the upper middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What is measured of a road, round by round.
#[derive(Default)]
pub(crate) struct Figures {
    /// Answers a second.
    rate: Vec<f64>,
    /// Processor time of the server for a request, in µs.
    pub(crate) cpu: Vec<f64>,
    latencies: Vec<Duration>,
    pub(crate) answers: f64,
}

impl Figures {
    pub(crate) fn add(&mut self, measured: &Measured) {
        let answers = f64::from(measured.round.answers);
        self.rate.push(answers / measured.round.took.as_secs_f64());
        self.cpu.push(measured.cpu.as_secs_f64() * 1e6 / answers);
        self.latencies.extend(&measured.round.latencies);
        self.answers += answers;
    }

    /// Takes another round over.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.rate.extend(other.rate);
        self.cpu.extend(other.cpu);
        self.latencies.extend(other.latencies);
        self.answers += other.answers;
    }

    /// The latency in ms that so many of a hundred requests do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Columns that both kinds of road have.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0}  {:>7.2}  {:>7.2}  {:>8.1}",
            median(self.rate.clone()),
            self.percentile(50),
            self.percentile(99),
            median(self.cpu.clone())
        )
    }
}

const FIGURES: &str = "per sec.   p50 ms   p99 ms    CPU µs";

pub(crate) struct TokenRow {
    pub(crate) database: Database,
    pub(crate) apps: u32,
    pub(crate) figures: Figures,
    /// Processor time for writing down a token, in µs.
    pub(crate) writing: f64,
    pub(crate) raw_busy: f64,
    pub(crate) raw_idle: f64,
    pub(crate) of_busy: f64,
    pub(crate) of_idle: f64,
}

/// A road that takes third parties' JWTs.
pub(crate) struct TicketRow {
    pub(crate) database: Database,
    pub(crate) road: &'static str,
    pub(crate) figures: Figures,
    pub(crate) raw_busy: f64,
    pub(crate) times: f64,
}

pub(crate) struct PageRow {
    pub(crate) database: Database,
    pub(crate) road: &'static str,
    pub(crate) figures: Figures,
    pub(crate) of_hello: f64,
}

/// Memory in MiB, times in seconds.
pub(crate) struct MemoryRow {
    pub(crate) database: Database,
    pub(crate) apps: u32,
    pub(crate) idle: f64,
    pub(crate) loaded: f64,
    pub(crate) most: f64,
    pub(crate) start: f64,
    pub(crate) slowest_start: f64,
}

/// A page of the dashboard with many apps; milliseconds.
pub(crate) struct PageCostRow {
    pub(crate) database: Database,
    pub(crate) page: &'static str,
    pub(crate) figures: Figures,
    /// Of the dearest round.
    pub(crate) heaviest: f64,
    /// Octets of the page.
    pub(crate) size: usize,
}

/// Tokens while others sign in with wrong passwords; memory in MiB.
pub(crate) struct FloodRow {
    pub(crate) database: Database,
    pub(crate) quiet: Figures,
    pub(crate) during: Figures,
    /// The p99 during as a multiple of the quiet one: the median of the multiples of each round.
    pub(crate) times: f64,
    pub(crate) before: f64,
    pub(crate) most: f64,
    /// When it was over.
    pub(crate) after: f64,
    pub(crate) hashed: u32,
    pub(crate) refused: u32,
    pub(crate) failed: u32,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) page_costs: Vec<PageCostRow>,
    pub(crate) floods: Vec<FloodRow>,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) tickets: Vec<TicketRow>,
    pub(crate) pages: Vec<PageRow>,
    pub(crate) memory: Vec<MemoryRow>,
}

/// What was measured on what.
pub(crate) fn title(options: &Options) -> String {
    let processors = thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    format!(
        "Brevet {}, {WORKERS} workers; {} connections; medians of {} rounds of {:.2} s\n{processors} processors: {model}\n",
        env!("CARGO_PKG_VERSION"),
        options.connections,
        options.rounds,
        options.round().as_secs_f64()
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.tokens.is_empty() {
            writeln!(f, "\nPOST /connect/token; a raw signature is RSA-2048 by aws-lc-rs")?;
            writeln!(f, "database      apps  {FIGURES}  + writing   raw, busy  = times   raw, idle  = times")?;
        }
        for row in &self.tokens {
            writeln!(
                f,
                "{:<9} {:>8}  {}  {:>9.1}  {:>10.1}  {:>7.2}  {:>10.1}  {:>7.2}",
                row.database, row.apps, row.figures, row.writing, row.raw_busy, row.of_busy, row.raw_idle, row.of_idle
            )?;
        }
        if !self.tickets.is_empty() {
            writeln!(f, "\nThird parties' JWTs, each a new one; writing is in CPU")?;
            writeln!(f, "database  road                  {FIGURES}   raw, busy  = times")?;
        }
        for row in &self.tickets {
            writeln!(
                f,
                "{:<9} {:<20}  {}  {:>10.1}  {:>7.2}",
                row.database, row.road, row.figures, row.raw_busy, row.times
            )?;
        }
        if !self.pages.is_empty() {
            writeln!(f, "\nGET\ndatabase  road                       {FIGURES}   x hello")?;
        }
        for row in &self.pages {
            writeln!(f, "{:<9} {:<25}  {}  {:>8.2}", row.database, row.road, row.figures, row.of_hello)?;
        }
        if !self.page_costs.is_empty() {
            writeln!(
                f,
                "\nDashboard, 10,000 apps; processor time in ms\ndatabase  page                         p50 ms    CPU ms   dearest     kB"
            )?;
        }
        for row in &self.page_costs {
            let (p50, cpu) = (row.figures.percentile(50), cost(&row.figures));
            writeln!(
                f,
                "{:<9} {:<27} {p50:>7.1}  {cpu:>8.2}  {:>8.2}  {:>5}",
                row.database,
                row.page,
                row.heaviest,
                row.size / 1_000
            )?;
        }
        for row in &self.floods {
            writeln!(
                f,
                "\nFlood of wrong passwords, {}: {} hashed, {} refused, {} failed",
                row.database, row.hashed, row.refused, row.failed
            )?;
            writeln!(
                f,
                "  tokens by one client, p50 / p99 ms: quiet {:.2} / {:.2}, during {:.2} / {:.2}; p99 = {:.2} times",
                row.quiet.percentile(50),
                row.quiet.percentile(99),
                row.during.percentile(50),
                row.during.percentile(99),
                row.times
            )?;
            writeln!(f, "  memory in MiB: {:.1} before, at most {:.1}, then {:.1}", row.before, row.most, row.after)?;
        }
        if self.memory.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nMemory in MiB, and seconds from start to first token")?;
        writeln!(f, "database      apps     idle   loaded     most   start   slowest")?;
        for row in &self.memory {
            writeln!(
                f,
                "{:<9} {:>8}  {:>7.1}  {:>7.1}  {:>7.1}  {:>6.3}   {:>7.3}",
                row.database, row.apps, row.idle, row.loaded, row.most, row.start, row.slowest_start
            )?;
        }
        Ok(())
    }
}
