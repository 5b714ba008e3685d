//! A whole-server benchmark: what a token costs the server, measured against the one thing that cannot be saved, the
//! RSA signature; and what the other hot routes cost, measured against an actix-web server that only says hello.
//!
//! `cargo bench --bench server -- --apps 10,100000 --database sqlite,postgres`; see `benches/README.md`.
//!
//! The server is the real program in a process of its own, with its log going to a file. The load comes from one
//! thread of this process, over loopback. Processor time per request is the number to trust: it hardly depends on what
//! else the machine does, while rates and latencies do.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the product")]

mod dashboard;
mod hello;
mod home;
mod load;
mod options;
mod postgres;
mod process;
mod report;
mod signature;
mod stage;
mod ticket;

use std::process::ExitCode;

/// Any failure ends the run: a benchmark of failing requests means nothing.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Both servers have as many, whatever the machine has.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [command, address] if command == hello::COMMAND => hello::serve(address),
        _ => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark was given up: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some(options) = options::Options::parse(arguments)? else {
        println!("{}", options::HELP);
        return Ok(());
    };
    println!("{}", report::title(&options));
    let mut report = report::Report::default();
    let hello = hello::Hello::start()?;
    for database in &options.databases {
        let postgres = match database {
            options::Database::Sqlite => None,
            options::Database::Postgres => match postgres::Postgres::start()? {
                Some(started) => Some(started),
                None => {
                    println!("PostgreSQL is not in /usr/lib/postgresql: left out.\n");
                    continue;
                }
            },
        };
        for (at, apps) in options.apps.iter().enumerate() {
            let stage =
                stage::Stage { options: &options, postgres: postgres.as_ref(), database: *database, apps: *apps };
            // What the pages cost does not depend on how many apps there are.
            if options.token || options.pages {
                stage.run((at == 0).then_some(&hello), &mut report)?;
            }
        }
        if options.ticket {
            ticket::run(&options, *database, postgres.as_ref(), &mut report)?;
        }
        if options.dashboard {
            dashboard::run(&options, *database, postgres.as_ref(), &mut report)?;
        }
    }
    println!("{report}");
    Ok(())
}
