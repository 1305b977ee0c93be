use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Result;

use crate::EventLog;

/// Accepts connections, keeps them open and never says a word.
pub struct SilentServer {
    address: SocketAddr,
    accepted: EventLog<SocketAddr>,
    stop: Arc<AtomicBool>,
}

impl SilentServer {
    /// Listens on a free loopback port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (accepted, stop) = (EventLog::default(), Arc::new(AtomicBool::new(false)));
        thread::spawn({
            let (accepted, stop) = (accepted.clone(), Arc::clone(&stop));
            move || {
                let mut open = Vec::new();
                for stream in listener.incoming().map_while(Result::ok) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(peer) = stream.peer_addr() {
                        accepted.push(peer);
                    }
                    open.push(stream);
                }
            }
        });
        Ok(Self { address, accepted, stop })
    }

    /// An RTSP address on it.
    pub fn url(&self) -> String {
        format!("rtsp://{}/stream", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who connected so far.
    pub fn accepted(&self) -> &EventLog<SocketAddr> {
        &self.accepted
    }
}

impl Drop for SilentServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread, which then ends and closes every connection.
        let _ = TcpStream::connect(self.address);
    }
}
