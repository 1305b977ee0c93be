//! A hub on loopback: its protocol as far as `model pull` speaks it, and what can go wrong with it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does to the contents of files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Cuts the connection after so many bytes of each answer.
    pub(crate) cut_after: Option<usize>,
    /// Changes a byte of the first so many answers about weights.
    pub(crate) spoilt_answers: usize,
    /// Sends everything whatever range is asked for.
    pub(crate) knows_no_ranges: bool,
    /// Says nothing more after the head of an answer about weights.
    pub(crate) falls_silent: bool,
    /// Says nothing more in the middle of so many descriptions of the model, or of answers that refuse.
    pub(crate) silent_answers: usize,
    /// Does not tell how long a file is, not even in the answer that brings it; its end is the connection's.
    pub(crate) tells_no_lengths: bool,
    /// Answers everything with this status and body.
    pub(crate) refuses: Option<(u16, &'static str)>,
    /// Answers requests without this token with 401.
    pub(crate) token: Option<&'static str>,
    /// Tells no checksums.
    pub(crate) tells_no_checksums: bool,
    /// Names this file for the description instead of its own.
    pub(crate) listing: Option<String>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Faults,
    requests: Vec<Request>,
}

/// A hub with one model, `owner/florence`; weights are served from another host, as the real one does.
#[derive(Debug, Clone)]
pub(crate) struct HubServer {
    address: SocketAddr,
    files: Arc<Vec<(String, Vec<u8>)>>,
    shared: Arc<Mutex<Shared>>,
}

impl HubServer {
    pub(crate) fn start(files: Vec<(String, Vec<u8>)>) -> HubServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = HubServer { address, files: Arc::new(files), shared: Arc::default() };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = serving.clone();
                thread::spawn(move || server.answer(stream.unwrap()));
            }
        });
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.shared.lock().unwrap().faults = faults;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().unwrap().requests.clone()
    }

    fn answer(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(first) = lines.next() else { return };
        let path = first.split(' ').nth(1).unwrap().to_owned();
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let header = |name: &str| {
            headers.iter().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let request = Request {
            host: header("Host").unwrap_or_default(),
            path,
            range: header("Range"),
            authorization: header("Authorization"),
        };
        let faults = {
            let mut shared = self.shared.lock().unwrap();
            shared.requests.push(request.clone());
            let faults = shared.faults.clone();
            if request.path.starts_with("/storage/") {
                shared.faults.spoilt_answers = faults.spoilt_answers.saturating_sub(1);
            } else {
                shared.faults.silent_answers = faults.silent_answers.saturating_sub(1);
            }
            faults
        };
        // A client that has left is no matter.
        let _ = self.write_answer(stream, &request, &faults);
    }

    fn write_answer(&self, mut stream: TcpStream, request: &Request, faults: &Faults) -> std::io::Result<()> {
        if faults.silent_answers > 0 && request.path.starts_with("/api/") {
            let status = faults.refuses.map_or(200, |(status, _)| status);
            write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: 100\r\n\r\n{{")?;
            // Until the client gives up.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
            return Ok(());
        }
        if let Some((status, body)) = faults.refuses {
            return write!(
                stream,
                "HTTP/1.1 {status} No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        let is_storage = request.path.starts_with("/storage/");
        if let Some(token) = faults.token.filter(|_| !is_storage)
            && request.authorization.as_deref() != Some(&format!("Bearer {token}"))
        {
            const BODY: &str = "{\"error\":\"Access to model is restricted\"}";
            return write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
                BODY.len()
            );
        }
        if request.path.starts_with("/api/models/owner/florence/revision/main?") {
            let listing = faults.listing.clone().unwrap_or_else(|| self.listing(faults));
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{listing}",
                listing.len()
            );
        }
        let resolved = request.path.strip_prefix(&format!("/owner/florence/resolve/{COMMIT}/"));
        if let Some(name) = resolved.filter(|name| name.ends_with(".safetensors")) {
            let port = self.address.port();
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/storage/{name}\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        let name = resolved.or_else(|| request.path.strip_prefix("/storage/"));
        let file = name.and_then(|name| self.files.iter().find(|(known, _)| known == name));
        let Some((_, contents)) = file else {
            const BODY: &str = "{\"error\":\"Entry not found\"}";
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
                BODY.len()
            );
        };
        let mut contents = contents.clone();
        if is_storage && faults.spoilt_answers > 0 {
            *contents.last_mut().unwrap() ^= 1;
        }
        let from = request.range.as_ref().filter(|_| !faults.knows_no_ranges);
        let from = from
            .map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
        match from {
            Some(from) if from >= contents.len() => {
                return write!(
                    stream,
                    "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
            Some(from) => write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
                contents.len() - 1,
                contents.len()
            )?,
            None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        }
        let body = &contents[from.unwrap_or(0)..];
        if !faults.tells_no_lengths {
            write!(stream, "Content-Length: {}\r\n", body.len())?;
        }
        write!(stream, "Connection: close\r\n\r\n")?;
        if is_storage && faults.falls_silent {
            stream.write_all(&body[..10])?;
            // Until the client gives up.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
            return Ok(());
        }
        stream.write_all(&body[..faults.cut_after.unwrap_or(body.len()).min(body.len())])
    }

    fn listing(&self, faults: &Faults) -> String {
        let files = self.files.iter().map(|(name, contents)| {
            let mut file = serde_json::json!({ "rfilename": name });
            if !faults.tells_no_checksums {
                file["size"] = contents.len().into();
                file["blobId"] = git_blob(contents).into();
                if name.ends_with(".safetensors") {
                    file["lfs"] = serde_json::json!({
                        "sha256": hex(digest(&SHA256, contents).as_ref()),
                        "size": contents.len(),
                        "pointerSize": 134,
                    });
                }
            }
            file
        });
        let files: Vec<_> = files.collect();
        serde_json::json!({ "id": "owner/florence", "sha": COMMIT, "siblings": files }).to_string()
    }
}

fn git_blob(contents: &[u8]) -> String {
    let text = [format!("blob {}\0", contents.len()).as_bytes(), contents].concat();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
