use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use anyhow::Result;

/// A port on loopback that leads to another one while it is open: who comes when it is closed is turned away.
pub struct Door {
    port: u16,
    is_open: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
}

impl Door {
    /// A door to `to`, open.
    pub fn to(to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let door = Self {
            port: listener.local_addr()?.port(),
            is_open: Arc::new(AtomicBool::new(true)),
            has_ended: Arc::default(),
        };
        let (is_open, has_ended) = (Arc::clone(&door.is_open), Arc::clone(&door.has_ended));
        thread::spawn(move || {
            for guest in listener.incoming().map_while(Result::ok) {
                if has_ended.load(SeqCst) {
                    return;
                }
                if is_open.load(SeqCst) {
                    // Nobody there, or no threads: the guest finds out as the door is shut.
                    let _ = lead(guest, to);
                }
            }
        });
        Ok(door)
    }

    /// Where it is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets in whoever comes from now on.
    pub fn open(&self) {
        self.is_open.store(true, SeqCst);
    }

    /// Turns away whoever comes from now on. Who is in stays.
    pub fn close(&self) {
        self.is_open.store(false, SeqCst);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.has_ended.store(true, SeqCst);
        // Wakes the thread, which then ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Carries both ways until either side ends, which ends the other.
fn lead(guest: TcpStream, to: u16) -> io::Result<()> {
    let host = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    for (from, into) in [(guest.try_clone()?, host.try_clone()?), (host, guest)] {
        thread::Builder::new().spawn(move || {
            let _ = io::copy(&mut &from, &mut &into);
            for stream in [from, into] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// What a guest hears who says a word at the door.
    fn heard(door: &Door) -> Result<String> {
        let mut guest = TcpStream::connect((Ipv4Addr::LOCALHOST, door.port()))?;
        // A door that is closed may be shut before this arrives.
        let _ = guest.write_all(b"word");
        let mut answer = String::new();
        let _ = guest.read_to_string(&mut answer);
        Ok(answer)
    }

    #[test]
    fn an_open_door_carries_both_ways_and_a_closed_one_turns_away() -> Result<()> {
        let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let door = Door::to(host.local_addr()?.port())?;
        thread::spawn(move || {
            for guest in host.incoming().map_while(Result::ok) {
                let mut word = [0; 4];
                let _ = (&guest)
                    .read_exact(&mut word)
                    .and_then(|()| (&guest).write_all(&[b"heard ", &word[..]].concat()));
            }
        });
        assert_eq!(heard(&door)?, "heard word");
        door.close();
        assert_eq!(heard(&door)?, "");
        door.open();
        assert_eq!(heard(&door)?, "heard word");
        Ok(())
    }
}
