//! `brevet serve`: the server.

use std::sync::Arc;

use actix_web::rt::System;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::flags::ServeFlags;
use super::output::print;
use super::{CliError, Context};
use crate::clock::{SystemClock, print_span};
use crate::config::Config;
use crate::directory::Tail;
use crate::http::{self, Running};
use crate::oauth::metadata::path;
use crate::secret::Secret;
use crate::service::demo::{self, Demo};
use crate::service::housekeeping::Housekeeping;
use crate::service::links::{Link, LinkPurpose};
use crate::service::{Authority, Management, setup, shown_location};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  brevet serve --demo
  brevet serve --listen 0.0.0.0:8080 --issuer https://id.example.com
  BREVET_DATABASE_URL_FILE=/run/secrets/database-url brevet serve")]
pub(super) struct Serve {
    /// Make a demo organisation, API, developer and app, and print how to use them
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    settings: ServeFlags,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let (config, log_writer) = context.configure_server(&self.settings, self.demo)?;
        config.check_for_production()?;
        System::new().block_on(serve(&config, self.demo))?;
        log::info!("stopped");
        drop(log_writer);
        Ok(())
    }
}

async fn serve(config: &Arc<Config>, wants_demo: bool) -> Result<(), CliError> {
    // First: from when the port takes connections on, a signal is a graceful stop.
    let stop = StopSignals::new()?;
    let listeners = http::bind(config)?;
    let management = Management::open(config.clone(), Arc::new(SystemClock), "server")?;
    let demo = if wants_demo { demo::create(&management)? } else { None };
    let authority = Arc::new(Authority::open(&management)?);
    let running = http::start_on(authority.clone(), listeners)?;
    let tail = Tail::start(authority.directory.clone(), authority.clock.clone()).map_err(CliError::internal)?;
    let housekeeping = Housekeeping::start(management.clone(), authority.clone()).map_err(CliError::internal)?;
    // While nobody runs the server. Made last: a start that failed leaves no link behind.
    let setup = if setup::is_needed(&management)? { Some(setup::make_link(&management)?) } else { None };
    let mut banner = banner(config, &management, &authority, &running, demo.as_ref(), wants_demo);
    if let Some(link) = setup {
        banner.push_str(&setup_lines(&link));
    }
    print(&banner)?;
    let served = running.serve_until(stop.first()).await;
    // In this order: no more requests, then the last counts, then nobody listens for changes.
    drop(housekeeping);
    drop(tail);
    served.map_err(CliError::internal)
}

/// SIGTERM and SIGINT: the first begins a graceful stop, the second ends the process at once.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::internal);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        let (terminate, interrupt) = (self.terminate.recv(), self.interrupt.recv());
        futures_util::pin_mut!(terminate, interrupt);
        futures_util::future::select(terminate, interrupt).await;
    }

    async fn first(mut self) {
        self.next().await;
        log::info!("stopping: requests under way are finished first; a second signal ends at once");
        actix_web::rt::spawn(async move {
            self.next().await;
            log::warn!("stopped at once by a second signal");
            std::process::exit(130);
        });
    }
}

fn banner(
    config: &Config,
    management: &Management,
    authority: &Authority,
    running: &Running,
    demo: Option<&Demo>,
    wants_demo: bool,
) -> String {
    let issuer = &config.issuer;
    let admin = running.admin_address.map_or_else(|| "off".to_owned(), |address| format!("http://{address}"));
    let kid = authority.directory.ring().signing_kid(authority.clock.now()).unwrap_or_default();
    let mut lines = vec![
        format!("Brevet {} is running", env!("CARGO_PKG_VERSION")),
        String::new(),
        format!("  listening    http://{}", running.address),
        format!("  issuer       {issuer}"),
        format!("  dashboard    {issuer}/"),
        format!("  discovery    {issuer}{}", path::OPENID_CONFIGURATION),
        format!("  public keys  {issuer}{}  (signing with {kid})", path::JWKS),
        format!("  admin        {admin}  (/livez /readyz /metrics)"),
        format!("  database     {}", shown_location(management.database())),
        format!("  data         {}", config.data_dir.display()),
    ];
    if wants_demo {
        lines.push(String::new());
        lines.extend(demo_lines(issuer, demo));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn setup_lines(link: &Link) -> String {
    format!(
        "\nNobody runs this server yet. Open this link within {} to do so:\n\n  {}\n\nFor another one: brevet setup-link\n",
        print_span(LinkPurpose::Setup.lifetime()),
        link.url.reveal()
    )
}

fn demo_lines(issuer: &str, demo: Option<&Demo>) -> Vec<String> {
    let Some(demo) = demo else {
        return vec![
            "The demo app is there from an earlier start; its App Key was shown then. For another one:".to_owned(),
            format!("  brevet app list --org {}", demo::ORGANISATION),
            "  brevet app key add APP_SID".to_owned(),
        ];
    };
    let (sid, key) = (demo.app.client_id, demo.app.client_secret.as_ref().map_or("", Secret::reveal));
    vec![
        "Demo credentials, shown this once:".to_owned(),
        String::new(),
        format!("  App SID      {sid}"),
        format!("  App Key      {key}"),
        format!("  developer    {}  password {}", demo::DEVELOPER, demo.password.reveal()),
        String::new(),
        "Get a token, then call a resource route with it:".to_owned(),
        String::new(),
        format!(
            "TOKEN=$(curl -s {issuer}{} -u {sid}:{key} -d grant_type=client_credentials | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
            path::TOKEN
        ),
        format!("curl -s {issuer}{}/whoami -H \"Authorization: Bearer $TOKEN\"", path::API),
    ]
}
