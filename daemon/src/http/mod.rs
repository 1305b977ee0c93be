//! The page, its API, metrics and health, on `[http] listen`.
//!
//! What is served is in `daemon/docs/http.md`. Whatever comes is untrusted: requests are small, slow or idle connections
//! are closed, connections are counted. [`gate`] says who may ask for what.
//!
//! - [`HttpServer`]: listens, from the start to the end of the daemon.
//! - [`routes`]: which answer belongs to which address.
//! - [`documents`]: the answers in JSON; [`events`] and [`pictures`] are those that wait for something to happen.

mod answer;
mod ask;
mod connection;
mod documents;
mod events;
mod failures;
#[cfg(fuzzing)]
pub mod fuzzed;
mod gate;
mod health;
mod page;
mod patient_stream;
mod pictures;
mod routes;
mod site;
#[cfg(test)]
mod tests;
mod token;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::HttpSettings;
use crate::live::Live;
use site::Site;

/// Answers that are on their way when the daemon ends have so long.
const STOP_LIMIT: Duration = Duration::from_millis(500);

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on: most often, another program has the port.
    #[error("the page cannot listen on {address}: {reason}; choose another http.listen, or leave [http] out")]
    Listen {
        /// The address of `http.listen`.
        address: SocketAddr,
        /// The system's words.
        #[source]
        reason: io::Error,
    },
    /// The system gives no random numbers, without which a token cannot be compared safely.
    #[error("the page cannot be kept behind its token: the system gives no random numbers")]
    Random,
}

/// The server. It ends with [`HttpServer::stop`], or when this is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Listens and answers from now on about `live`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(settings: &HttpSettings, live: Arc<Live>) -> Result<HttpServer, HttpError> {
        let wrong = |reason| HttpError::Listen { address: settings.listen, reason };
        let listener = TcpListener::bind(settings.listen).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let (stopping, is_stopping) = watch::channel(false);
        let site = Arc::new(Site::new(settings, live, is_stopping)?);
        tracing::info!(
            page = %format_args!("http://{}/", crate::broker::reachable(address)),
            login = settings.token.is_some(),
            "page served"
        );
        let task = tokio::spawn(connection::accept(listener, site));
        Ok(HttpServer { address, stopping, task })
    }

    /// Where it listens: with the port that was found where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection: streams at once, answers when they are complete or half a second is over.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(STOP_LIMIT, &mut self.task).await.is_err() {
            tracing::debug!("a browser does not take its answer; not waiting for it");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // With it go the connections, which are its own.
        self.task.abort();
    }
}
