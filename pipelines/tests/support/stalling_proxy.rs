use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Stands between a client and its RTSP server, until it stalls: then the connection stays and nothing comes through it,
/// as from a camera that hangs, and a new connection is refused.
pub(crate) struct StallingProxy {
    address: SocketAddr,
    is_stalled: Arc<AtomicBool>,
}

impl StallingProxy {
    /// Takes one connection.
    pub(crate) fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_stalled = Arc::new(AtomicBool::new(false));
        let stalled = Arc::clone(&is_stalled);
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            drop(listener);
            let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
            let (client_again, server_again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || forward(client, server, &AtomicBool::new(false)));
            forward(server_again, client_again, &stalled);
        });
        Self { address, is_stalled }
    }

    /// Lets nothing more through.
    pub(crate) fn stall(&self) {
        self.is_stalled.store(true, SeqCst);
    }

    /// The URL of the server's stream at `path`, by way of the proxy.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtsp://{}{path}", self.address)
    }
}

/// Reads on when it is stalled, so that nobody is held up.
fn forward(mut from: TcpStream, mut to: TcpStream, is_stalled: &AtomicBool) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_stalled.load(SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
