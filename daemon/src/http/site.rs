//! What every answer is made of.

use std::sync::Arc;

use tokio::sync::watch;

use super::HttpError;
use super::gate::Gate;
use crate::config::HttpSettings;
use crate::live::Live;

/// Shared by all connections.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) live: Arc<Live>,
    pub(super) gate: Gate,
    stopping: watch::Receiver<bool>,
}

impl Site {
    pub(super) fn new(
        settings: &HttpSettings,
        live: Arc<Live>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Site, HttpError> {
        Ok(Site { live, gate: Gate::new(settings)?, stopping })
    }

    /// Ends once everything is to end. Each call gives a future of its own.
    pub(super) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // An error says that the server is gone.
            let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        }
    }
}
