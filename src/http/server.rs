//! Listeners, limits, and a graceful stop.

use std::fmt;
use std::future::{Future, ready};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::{Server, ServerBuilder};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::spawn;
use actix_web::rt::time::sleep;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::net::{TcpSocket, TcpStream};

use super::admin;
use super::observe::observe;
use super::routes::routes;
use super::site::Site;
use super::stream::{Deadlines, Limits};
use crate::config::Config;
use crate::service::Authority;

/// Idle connections are kept longer than most load balancers keep them, so that it is they who close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const BACKLOG: u32 = 4_096;

/// Why the server does not start. Prints as one line.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// A fault of the program or its surroundings.
    Internal(String),
}

impl StartError {
    pub(super) fn internal(error: impl fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { setting, address, error } => {
                write!(f, "cannot listen on {address}: {error}; choose another address with --{setting}")
            }
            Self::Internal(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for StartError {}

/// A server that listens.
pub struct Running {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where the admin listener is.
    pub admin_address: Option<SocketAddr>,
    /// What the handlers share.
    pub site: Data<Site>,
    server: Server,
    admin: Option<Server>,
    grace: Duration,
}

/// The addresses, taken but not served yet.
#[derive(Debug)]
pub struct Listeners {
    public: Listener,
    admin: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Takes the addresses. Before anything else is done, so that a start that cannot succeed leaves nothing behind and
/// shows no secret that nobody will see. Needs a tokio runtime around it.
///
/// # Errors
/// When an address cannot be listened on.
pub fn bind(config: &Config) -> Result<Listeners, StartError> {
    let admin = config.admin_listen.map(|wanted| bind_one("admin-listen", wanted));
    Ok(Listeners { public: bind_one("listen", config.listen)?, admin: admin.transpose()? })
}

fn bind_one(setting: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    listen(address).map_err(|error| StartError::Listen { setting, address, error })
}

/// Not `TcpListener::bind`, whose queue holds 128 connections.
fn listen(address: SocketAddr) -> std::io::Result<Listener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let socket = socket.listen(BACKLOG)?.into_std()?;
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

/// Takes the addresses and starts the workers.
///
/// # Errors
/// When an address cannot be listened on.
pub fn start(authority: Arc<Authority>) -> Result<Running, StartError> {
    let listeners = bind(&authority.config)?;
    start_on(authority, listeners)
}

/// Starts the workers on addresses that were taken before.
///
/// # Errors
/// When a template is broken or the operating system gives no thread.
pub fn start_on(authority: Arc<Authority>, listeners: Listeners) -> Result<Running, StartError> {
    let config = authority.config.clone();
    let site = Data::new(Site::new(authority)?);
    let address = listeners.public.address;
    let public = public_server(&config, site.clone(), listeners.public.socket)?;
    let (admin, admin_address) = match listeners.admin {
        None => (None, None),
        Some(Listener { socket, address }) => (Some(admin_server(site.clone(), socket)?), Some(address)),
    };
    Ok(Running { address, admin_address, site, server: public, admin, grace: config.shutdown_grace })
}

fn public_server(config: &Config, site: Data<Site>, listener: TcpListener) -> Result<Server, StartError> {
    let issuer_path = config.issuer_path();
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let configure = routes(&issuer_path, &config.ticket_path_prefix);
    let (address, request_timeout) = (listener.local_addr().map_err(StartError::internal)?, config.request_timeout);
    // Head, then body; or a request that waits for the database as long as it may.
    let within = (request_timeout * 2).max(request_timeout + config.database_timeout);
    let limits = Limits { within, idle: KEEP_ALIVE + within };
    let builder = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(config.max_connections.div_ceil(workers))
        // The notice comes first, and both together must fit into the grace.
        .shutdown_timeout(config.shutdown_grace.saturating_sub(notice(config.shutdown_grace)).as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    // What `HttpServer` does as well, but with deadlines between the socket and the requests.
    let builder = builder.listen("public", listener, move || {
        let stopping = stopping.clone();
        let app = App::new().app_data(site.clone()).wrap(from_fn(observe)).configure(configure.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(request_timeout)
            .client_disconnect_timeout(Duration::from_secs(2))
            .local_addr(address)
            // So that a handler which waits on purpose can say so.
            .on_connect_ext(|stream: &Deadlines<TcpStream>, data| {
                data.insert(stream.patience());
            })
            // The address in `AppConfig` is for making links out of requests, which nobody here does.
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok((Deadlines::new(stream, limits), peer)))
        })
        .and_then(http)
    });
    Ok(builder.map_err(StartError::internal)?.run())
}

fn admin_server(site: Data<Site>, listener: TcpListener) -> Result<Server, StartError> {
    let server = HttpServer::new(move || App::new().app_data(site.clone()).configure(admin::routes))
        .workers(1)
        .max_connections(256)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)
        .map_err(StartError::internal)?;
    Ok(server.run())
}

impl Running {
    /// Serves until `stop` is done, then stops gracefully: first the server says that it is not ready and asks clients
    /// to close their connections, then it stops listening and lets requests under way finish within the grace.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn serve_until(self, stop: impl Future<Output = ()> + 'static) -> std::io::Result<()> {
        let handle = self.server.handle();
        let admin_handle = self.admin.as_ref().map(Server::handle);
        let (site, grace) = (self.site, self.grace);
        let stopping = spawn(async move {
            stop.await;
            site.drain();
            sleep(notice(grace)).await;
            handle.stop(true).await;
        });
        // Still answers while the public side stops.
        let admin = self.admin.map(spawn);
        let served = self.server.await;
        stopping.abort();
        if let (Some(admin), Some(handle)) = (admin, admin_handle) {
            handle.stop(true).await;
            admin.await.map_err(std::io::Error::other)??;
        }
        served
    }
}

/// How long the server still listens after it said that it stops: long enough for a probe to see it and for busy
/// connections to be closed after their next answer.
fn notice(grace: Duration) -> Duration {
    (grace / 5).min(Duration::from_secs(2))
}
