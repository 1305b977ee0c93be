//! What a link needs to know to reach its broker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto};

use super::topics;
use crate::config::{Broker, ClientIdentity, MqttSettings, Secret, Tls};

/// The largest packet sent. rumqttc's own limit of 10 KiB would end the connection at the first long result.
pub(super) const MAX_PACKET_BYTES: usize = 16 << 20;
/// The largest packet taken; several of them may be in memory at a time. A larger one ends the connection.
const MAX_INCOMING_BYTES: usize = 4 << 20;

const NO_CERTIFICATE: &str = "holds no certificate in PEM form";

/// What is wrong with the way to the broker, before it is tried.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The file of `mqtt.ca_file` holds no usable certificate.
    #[error("mqtt.ca_file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of `mqtt.client_certificate_file` or `mqtt.client_key_file` cannot be used.
    #[error("mqtt.{key} {}: {reason}", path.display())]
    ClientIdentity {
        /// Which of the two.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system trusts no authority, so that no broker's certificate could be checked.
    #[error("this system has no trusted certificates for mqtts://; name one with mqtt.ca_file{reason}")]
    NoSystemCertificates {
        /// What reading them said, if anything.
        reason: String,
    },
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// The library's words.
        reason: String,
    },
}

/// A broker and how to present oneself to it. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct LinkOptions {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    username: Option<String>,
    password: Option<Secret>,
    client_id: String,
    keep_alive: Duration,
    pub(super) available_topic: String,
}

impl LinkOptions {
    /// From the settings; `embedded` is where the embedded broker listens.
    ///
    /// # Errors
    /// The certificates for `mqtts://` cannot be used.
    pub fn new(settings: &MqttSettings, embedded: Option<SocketAddr>) -> Result<LinkOptions, MqttError> {
        let (host, port, tls) = match (&settings.broker, embedded) {
            (Broker::Embedded { listen }, address) => {
                let address = address.unwrap_or(*listen);
                (address.ip().to_string(), address.port(), None)
            }
            (Broker::Remote { host, port, tls }, _) => {
                let tls = tls.as_ref().map(client_config).transpose()?;
                (host.clone(), *port, tls)
            }
        };
        Ok(LinkOptions {
            host,
            port,
            tls,
            username: settings.username.clone(),
            password: settings.password.clone(),
            client_id: settings.client_id.clone(),
            keep_alive: settings.keep_alive,
            available_topic: topics::available(&settings.topic),
        })
    }

    /// `host:port`, for logs.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn to_mqtt(&self) -> MqttOptions {
        let host = if self.tls.is_some() { tls_host(&self.host) } else { &self.host };
        let mut options = MqttOptions::new(&self.client_id, host, self.port);
        options.set_keep_alive(self.keep_alive);
        options.set_max_packet_size(MAX_INCOMING_BYTES, MAX_PACKET_BYTES);
        options.set_last_will(LastWill::new(&self.available_topic, "offline", QoS::AtLeastOnce, true));
        if let Some(username) = &self.username {
            let password = self.password.as_ref().map_or("", Secret::reveal);
            options.set_credentials(username, password);
        }
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        options
    }
}

impl std::fmt::Debug for LinkOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkOptions")
            .field("address", &self.address())
            .field("tls", &self.tls.is_some())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The host of a URL as TLS knows it: the brackets of an IPv6 address are the URL's. It is found without them too.
fn tls_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, MqttError> {
    let mut roots = RootCertStore::empty();
    match tls.ca_file.as_deref() {
        Some(path) => trust_file(&mut roots, path)?,
        None => {
            let found = rustls_native_certs::load_native_certs();
            // One odd certificate of the system's is no reason to trust none.
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let reason = found.errors.first().map(|error| format!(" ({error})"));
                return Err(MqttError::NoSystemCertificates { reason: reason.unwrap_or_default() });
            }
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| MqttError::Tls { reason: error.to_string() })?
        .with_root_certificates(roots);
    Ok(Arc::new(match &tls.identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            // Also refuses a key that is not the certificate's.
            let config = config.with_client_auth_cert(chain, key);
            config.map_err(|error| wrong_key(identity, error.to_string()))?
        }
    }))
}

fn read_identity(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), MqttError> {
    let path = &identity.certificate_file;
    let wrong = |reason: String| MqttError::ClientIdentity {
        key: "client_certificate_file",
        path: path.clone(),
        reason,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(NO_CERTIFICATE.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&identity.key_file).map_err(|error| match error {
        pem::Error::Io(error) => wrong_key(identity, error.to_string()),
        // The library's words may hold what stands in the file.
        _ => wrong_key(identity, "holds no private key in PEM form".to_owned()),
    })?;
    Ok((chain, key))
}

fn wrong_key(identity: &ClientIdentity, reason: String) -> MqttError {
    MqttError::ClientIdentity { key: "client_key_file", path: identity.key_file.clone(), reason }
}

fn trust_file(roots: &mut RootCertStore, path: &Path) -> Result<(), MqttError> {
    let wrong = |reason: String| MqttError::CaFile { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong(NO_CERTIFICATE.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use rustls::pki_types::ServerName;

    use super::tls_host;

    #[test]
    fn an_ipv6_address_is_a_name_that_a_certificate_may_have_and_a_place_to_connect_to() {
        let host = tls_host("[::1]");
        assert!(matches!(ServerName::try_from(host), Ok(ServerName::IpAddress(_))));
        // As the protocol puts it together.
        let found: Vec<_> = format!("{host}:8883").to_socket_addrs().unwrap().collect();
        assert_eq!(found, ["[::1]:8883".parse().unwrap()]);
        assert_eq!(tls_host("broker.local"), "broker.local");
    }
}
