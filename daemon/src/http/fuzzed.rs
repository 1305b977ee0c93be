//! The door for the fuzzer: compiled for it alone.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::HttpError;
use super::connection;
use super::site::Site;
use crate::config::HttpSettings;
use crate::live::Live;

/// What is behind the page's address, without the address.
#[derive(Debug)]
pub struct Door {
    site: Arc<Site>,
    stopping: watch::Sender<bool>,
}

impl Door {
    /// Answers about `live`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(settings: &HttpSettings, live: Arc<Live>) -> Result<Door, HttpError> {
        let (stopping, is_stopping) = watch::channel(false);
        Ok(Door { site: Arc::new(Site::new(settings, live, is_stopping)?), stopping })
    }

    /// What becomes of a connection from `peer`, until it ends.
    pub fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: IpAddr,
    ) -> impl Future<Output = ()> + use<S> {
        connection::serve(stream, peer, Arc::clone(&self.site))
    }

    /// The daemon ends.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }
}
