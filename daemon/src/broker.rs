//! The broker inside, for `url = "embedded"`: rumqttd on one address.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};

/// A new broker answers within this time or is taken for broken.
const START_LIMIT: Duration = Duration::from_secs(5);
/// The largest payload it takes, that of the daemon's own messages.
const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// Why the embedded broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be listened on: most often, another broker has the port.
    #[error("the embedded broker cannot listen on {address}: {reason}")]
    Listen {
        /// The address of `mqtt.listen`.
        address: SocketAddr,
        /// The system's words.
        reason: std::io::Error,
    },
    /// It was started and does not answer.
    #[error("the embedded broker on {address} did not start")]
    Start {
        /// The address of `mqtt.listen`.
        address: SocketAddr,
    },
}

/// An MQTT 3.1.1 broker in this process, without users, TLS or a disk. It lives as long as the process:
/// rumqttd has no way to end.
#[derive(Debug)]
pub struct EmbeddedBroker {
    address: SocketAddr,
}

impl EmbeddedBroker {
    /// Starts it; port 0 takes a free port. Blocks until it answers.
    ///
    /// # Errors
    /// The port is in use, or the broker does not answer.
    pub fn start(address: SocketAddr) -> Result<EmbeddedBroker, BrokerError> {
        // rumqttd reports a port in use only in its log, so it is tried here; the port is free again
        // for rumqttd when the listener is dropped.
        let listener =
            TcpListener::bind(address).map_err(|reason| BrokerError::Listen { address, reason })?;
        let address = listener.local_addr().map_err(|reason| BrokerError::Listen { address, reason })?;
        drop(listener);
        let mut broker = rumqttd::Broker::new(config(address));
        thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || {
                if let Err(error) = broker.start() {
                    tracing::error!(%address, %error, "the embedded broker ended");
                }
            })
            .map_err(|reason| BrokerError::Listen { address, reason })?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect_timeout(&reachable(address), START_LIMIT).is_err() {
            if Instant::now() > deadline {
                return Err(BrokerError::Start { address });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(EmbeddedBroker { address })
    }

    /// Where clients of this machine reach it.
    pub fn address(&self) -> SocketAddr {
        reachable(self.address)
    }
}

/// An unspecified address is one to listen on; one connects to loopback.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn config(listen: SocketAddr) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 10_000,
        max_payload_size: MAX_PAYLOAD_BYTES,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "mqtt".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    Config {
        id: 0,
        router: RouterConfig {
            max_connections: 256,
            max_outgoing_packet_count: 200,
            // What subscribers that lag may still read, for each topic filter: 2 segments of 8 MiB.
            max_segment_size: 8 << 20,
            max_segment_count: 2,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("mqtt".to_owned(), server)])),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::EmbeddedBroker;

    #[test]
    fn a_port_in_use_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = EmbeddedBroker::start(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
