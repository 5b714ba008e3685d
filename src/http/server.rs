//! Listeners, limits, and a graceful stop.

use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::rt::spawn;
use actix_web::rt::time::sleep;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::admin;
use super::observe::observe;
use super::routes::routes;
use super::site::Site;
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
            Self::Listen {
                setting,
                address,
                error,
            } => {
                write!(
                    f,
                    "cannot listen on {address}: {error}; choose another address with --{setting}"
                )
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

/// Binds the listeners and starts the workers.
///
/// # Errors
/// When an address cannot be listened on.
pub fn start(authority: Arc<Authority>) -> Result<Running, StartError> {
    let config = authority.config.clone();
    let site = Data::new(Site::new(authority)?);
    let (listener, address) = bind("listen", config.listen)?;
    let public = public_server(&config, site.clone(), listener)?;
    let (admin, admin_address) = match config.admin_listen {
        None => (None, None),
        Some(wanted) => {
            let (listener, address) = bind("admin-listen", wanted)?;
            (Some(admin_server(site.clone(), listener)?), Some(address))
        }
    };
    Ok(Running {
        address,
        admin_address,
        site,
        server: public,
        admin,
        grace: config.shutdown_grace,
    })
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen {
        setting,
        address,
        error,
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn public_server(config: &Config, site: Data<Site>, listener: TcpListener) -> Result<Server, StartError> {
    let issuer_path = config.issuer_path();
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let configure = routes(&issuer_path);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(site.clone())
            .wrap(from_fn(observe))
            .configure(configure.clone())
    })
    .workers(workers)
    .backlog(BACKLOG)
    .max_connections(config.max_connections.div_ceil(workers))
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(config.request_timeout)
    .client_disconnect_timeout(Duration::from_secs(2))
    .shutdown_timeout(config.shutdown_grace.as_secs())
    .disable_signals()
    .listen(listener)
    .map_err(StartError::internal)?;
    Ok(server.run())
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
            // Long enough for a probe to see it and for busy connections to be closed after their next answer.
            sleep((grace / 5).min(Duration::from_secs(2))).await;
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
