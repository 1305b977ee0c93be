use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::{FailureKind, SourceKind, SourceSpec, StreamFailure};

/// Connects once more by hand, because `rtspsrc` says "Generic error" whatever kept it from connecting.
/// `lasted` is how long it took to give up.
pub(super) async fn connect(spec: &SourceSpec, lasted: Duration) -> StreamFailure {
    let deadline = spec.timeouts.rtsp_answer;
    let tls = *spec.url.kind() == SourceKind::Rtsps;
    let (Some(host), port) = spec.url.host_and_port() else {
        return StreamFailure::new(FailureKind::Unreachable);
    };
    let at = format!("{host} port {port}");
    // Square brackets are the URL's, not the address's.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = match timeout(deadline, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => return StreamFailure::with_detail(FailureKind::UnknownHost, host),
        Err(_) => return StreamFailure::with_detail(FailureKind::UnknownHost, format!("{host}: no answer")),
    };
    match timeout(deadline, TcpStream::connect(addresses.as_slice())).await {
        Err(_) => StreamFailure::with_detail(FailureKind::Unreachable, at),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            StreamFailure::with_detail(FailureKind::ConnectionRefused, at)
        }
        Ok(Err(error)) => {
            StreamFailure::with_detail(FailureKind::Unreachable, format!("{at}: {}", error.kind()))
        }
        Ok(Ok(_)) if lasted >= deadline => {
            let detail = format!("{at} takes the connection and does not answer");
            StreamFailure::with_detail(FailureKind::Timeout, detail)
        }
        Ok(Ok(_)) if tls => StreamFailure::with_detail(FailureKind::Tls, at),
        Ok(Ok(_)) => {
            StreamFailure::with_detail(FailureKind::Other, format!("{at} takes the connection and closes it"))
        }
    }
}
