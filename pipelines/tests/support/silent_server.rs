use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

/// A server that takes every connection and then says nothing.
pub(crate) struct SilentServer {
    address: SocketAddr,
    connections: mpsc::Receiver<TcpStream>,
}

impl SilentServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::channel();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if sender.send(connection).is_err() {
                    return;
                }
            }
        });
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://{}/stream", self.address)
    }

    /// How many have connected since the last time it was asked.
    pub(crate) fn new_connections(&self) -> usize {
        self.connections.try_iter().count()
    }
}
