//! Connections: how many, and for how long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{Id, JoinSet};

use super::answer::Body;
use super::failures::network;
use super::patient_stream::PatientStream;
use super::routes;
use super::site::Site;

/// So many connections are open at once; browsers keep six each.
const MAX_CONNECTIONS: usize = 128;
/// Of those, so many from one address of another machine, or one network of IPv6: nobody keeps all others out. Who comes
/// through a proxy on this machine has the proxy's address.
const MAX_OF_ONE: usize = 32;
/// A request's head must come within this time, and a connection that nothing is asked on is closed after it.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// A longer head is refused, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Whoever takes nothing for so long of what is sent to them is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// After an error of the system, such as no descriptor being left, it is asked again so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until the site is stopping; then waits for those that are open.
pub(super) async fn accept(listener: TcpListener, site: Arc<Site>) {
    let mut open = JoinSet::new();
    let mut networks: HashMap<Id, IpAddr> = HashMap::new();
    let mut stopping = std::pin::pin!(site.stopping());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Closed at once: there is no room to say so, and whoever has so many open knows why.
                Ok((_, peer)) if !has_room(networks.values().copied(), peer.ip()) => {
                    tracing::debug!(peer = %peer.ip(), "too many connections to the page");
                }
                Ok((stream, peer)) => {
                    // Events are small and wait for nothing.
                    let _ = stream.set_nodelay(true);
                    let task = open.spawn(serve(stream, peer.ip(), Arc::clone(&site)));
                    networks.insert(task.id(), network(peer.ip()));
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection to the page");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = open.join_next_with_id() => {
                networks.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = &mut stopping => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Whether there is room for one more connection, from `peer`, beside those `open`, each of which is said by the network
/// that it comes from.
fn has_room(open: impl Iterator<Item = IpAddr>, peer: IpAddr) -> bool {
    let own = network(peer);
    let (all, of_own) =
        open.fold((0, 0), |(all, of_own), other| (all + 1, of_own + usize::from(other == own)));
    all < MAX_CONNECTIONS && (of_own < MAX_OF_ONE || peer.to_canonical().is_loopback())
}

/// Answers what comes on one connection until either side ends it.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, peer: IpAddr, site: Arc<Site>) {
    serve_within(stream, peer, site, HEAD_LIMIT).await;
}

async fn serve_within(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: IpAddr,
    site: Arc<Site>,
    head_limit: Duration,
) {
    let mut stopping = std::pin::pin!(site.stopping());
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<Response<Body>, Infallible>(routes::answer(&site, request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_limit).max_buf_size(MAX_HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(PatientStream::new(stream, WRITE_LIMIT)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = &mut stopping => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection to the page ended");
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::watch;

    use super::*;
    use crate::config::HttpSettings;
    use crate::live::Live;

    #[test]
    fn one_neighbour_leaves_room_for_the_others_and_this_machine_may_have_all_of_it() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let of = |peer: &str, count: usize| repeat_n(network(address(peer)), count);
        assert!(has_room(of("192.0.2.1", MAX_OF_ONE - 1), address("192.0.2.1")));
        assert!(!has_room(of("192.0.2.1", MAX_OF_ONE), address("192.0.2.1")));
        assert!(!has_room(of("192.0.2.1", MAX_OF_ONE), address("::ffff:192.0.2.1")), "the same address");
        assert!(has_room(of("192.0.2.1", MAX_OF_ONE), address("192.0.2.2")));
        assert!(!has_room(of("2001:db8::1", MAX_OF_ONE), address("2001:db8::2")), "the same network");
        assert!(has_room(of("2001:db8::1", MAX_OF_ONE), address("2001:db8:0:1::1")));
        for loopback in ["127.0.0.1", "::1"] {
            assert!(has_room(of(loopback, MAX_CONNECTIONS - 1), address(loopback)));
            assert!(!has_room(of(loopback, MAX_CONNECTIONS), address(loopback)));
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let settings = HttpSettings { listen: ([127, 0, 0, 1], 0).into(), token: None, hosts: Vec::new() };
        let (_keep, stopping) = watch::channel(false);
        let site = Arc::new(Site::new(&settings, Live::new().unwrap().0, stopping).unwrap());
        for beginning in ["", "GET / HTTP/1.1\r\nHost: local"] {
            let (mut ours, theirs) = tokio::io::duplex(1 << 16);
            let limit = Duration::from_millis(50);
            let served = tokio::spawn(serve_within(theirs, [127, 0, 0, 1].into(), Arc::clone(&site), limit));
            ours.write_all(beginning.as_bytes()).await.unwrap();
            let mut said = String::new();
            let ended = tokio::time::timeout(HEAD_LIMIT, ours.read_to_string(&mut said)).await;
            ended.expect("it is closed").unwrap();
            assert!(!said.starts_with("HTTP/1.1 2"), "{said}");
            served.await.unwrap();
        }
    }
}
