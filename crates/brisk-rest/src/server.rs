//! Binds a port and serves a cluster's view on a thread of its own, until it is dropped.

use crate::cluster::Cluster;
use crate::options::{REST_BIND_ADDRESS, REST_MAX_CONTENT_LENGTH, REST_PORT};
use crate::reporter::Reporter;
use crate::routes;
use brisk_base::options::Configuration;
use brisk_base::{Result, ResultExt};
use brisk_cluster::Gateway;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// See the module.
pub struct RestServer {
    address: SocketAddr,
    /// Where Prometheus scrapes, besides.
    reported: Vec<SocketAddr>,
    /// Ends the server when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RestServer {
    /// Serves a cluster as its configuration says; `None` when `rest.port` is not set.
    ///
    /// # Errors
    /// When the configuration is wrong or the port cannot be had.
    pub fn start_if_wanted(gateway: &Gateway) -> Result<Option<Self>> {
        match gateway.config().get(&REST_PORT)? {
            Some(port) => Self::start(gateway, port).map(Some),
            None => Ok(None),
        }
    }

    /// Serves a cluster on a port; 0 stands for any free one.
    ///
    /// # Errors
    /// When the configuration is wrong or the port cannot be had.
    pub fn start(gateway: &Gateway, port: u16) -> Result<Self> {
        let listener = bind(gateway.config(), port)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let limit = usize::try_from(gateway.config().get(&REST_MAX_CONTENT_LENGTH)?.0).unwrap_or(usize::MAX);
        let cluster = Cluster::new(gateway.clone())?;
        let (router, scraped) = (routes::router(cluster.clone(), limit), routes::scraped(cluster));
        let host = gateway.config().get(&REST_BIND_ADDRESS)?;
        let reporters = Reporter::all(gateway.config())?.iter().map(|reporter| reporter.bind(&host)).collect::<Result<Vec<_>>>()?;
        let reported: Vec<SocketAddr> = reporters.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
        reporters.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (listener, reporters) = {
            let _entered = runtime.enter();
            let reporters = reporters.into_iter().map(tokio::net::TcpListener::from_std).collect::<std::io::Result<Vec<_>>>()?;
            (tokio::net::TcpListener::from_std(listener)?, reporters)
        };
        let serve = move || {
            runtime.spawn(async move { axum::serve(listener, router).await });
            for listener in reporters {
                let scraped = scraped.clone();
                runtime.spawn(async move { axum::serve(listener, scraped).await });
            }
            // Either way it is time to end. Requests that are under way are not waited for: their cluster ends.
            let _ = runtime.block_on(stopped);
        };
        let thread = gateway.world().spawner.spawn("brisk-rest", Box::new(serve))?;
        tracing::info!(%address, prometheus = ?reported, "serving REST");
        Ok(Self { address, reported, stop: Some(stop), thread: Some(thread) })
    }

    /// Where `metrics.reporter.*` has Prometheus scrape.
    pub fn reported(&self) -> &[SocketAddr] {
        &self.reported
    }

    /// Where it is reached.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the REST server has panicked");
        }
    }
}

fn bind(config: &Configuration, port: u16) -> Result<TcpListener> {
    let host = config.get(&REST_BIND_ADDRESS)?;
    TcpListener::bind((host.as_str(), port)).context(|| format!("binding '{host}:{port}' for REST ('rest.bind-address', 'rest.port')"))
}
