use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Stands between a client and its RTSP server and tells the server to send RTP by UDP to nobody, as a
/// firewall would make it.
pub(crate) struct UdpLosingProxy {
    address: SocketAddr,
}

impl UdpLosingProxy {
    pub(crate) fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Both threads end with their connections, this one with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                let (client_again, server_again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || forward(client, server, mislead));
                std::thread::spawn(move || forward(server_again, client_again, |bytes| bytes));
            }
        });
        Self { address }
    }

    /// The URL of the server's stream at `path`, by way of the proxy.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtsp://{}{path}", self.address)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&change(buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// A request is small and comes in one piece.
fn mislead(request: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(request.clone()) else { return request };
    match text.split_once("client_port=") {
        // Port 9: discard.
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            format!("{before}client_port=9-9{rest}").into_bytes()
        }
        None => request,
    }
}
