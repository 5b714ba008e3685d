//! The least that any actix-web server can do, in a process of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use actix_web::rt::System;
use actix_web::{App, HttpServer, web};

use crate::process::{Process, free_address};
use crate::{Result, WORKERS};

/// The hidden argument with which this program is the hello server.
pub(crate) const COMMAND: &str = "serve-hello";

/// A running hello server.
pub(crate) struct Hello {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Hello {
    pub(crate) fn start() -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg(address.to_string());
        let mut process = Process::start(&mut command, "KILL")?;
        process.wait_for(address)?;
        Ok(Self { address, process })
    }
}

/// Is the hello server.
pub(crate) fn serve(address: &str) -> Result<()> {
    let app = || App::new().route("/", web::get().to(|| async { "Hello, world!\n" }));
    let server = HttpServer::new(app)
        .workers(WORKERS)
        // As long as Brevet: the load leaves its connections idle between rounds.
        .keep_alive(Duration::from_secs(75))
        .bind(address)?;
    Ok(System::new().block_on(server.run())?)
}
