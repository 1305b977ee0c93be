//! Connections: how many, and for how long.

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
use tokio::task::JoinSet;

use super::answer::Body;
use super::patient_stream::PatientStream;
use super::routes;
use super::site::Site;

/// So many connections are open at once; browsers keep six each.
const MAX_CONNECTIONS: usize = 128;
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
    let mut stopping = std::pin::pin!(site.stopping());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Closed at once: there is no room to say so, and whoever has so many open knows why.
                Ok(_) if open.len() >= MAX_CONNECTIONS => tracing::debug!("too many connections to the page"),
                Ok((stream, peer)) => {
                    // Events are small and wait for nothing.
                    let _ = stream.set_nodelay(true);
                    open.spawn(serve(stream, peer.ip(), Arc::clone(&site)));
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection to the page");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
            () = &mut stopping => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Answers what comes on one connection until either side ends it.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, peer: IpAddr, site: Arc<Site>) {
    let mut stopping = std::pin::pin!(site.stopping());
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<Response<Body>, Infallible>(routes::answer(&site, request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD_BYTES);
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
