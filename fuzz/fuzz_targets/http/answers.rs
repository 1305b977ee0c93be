//! What was heard, read as HTTP/1.1 by a reader of its own.

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Whoever asked had enough: the last answer may be cut off.
    Ours,
    /// Whoever asked had said that nothing more would come, or the daemon ended: the last answer may be cut off.
    Early,
    /// The server ended it.
    Theirs,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Nothing of the body came, because only the head was asked for.
    pub is_head: bool,
    /// All of the body came.
    pub is_whole: bool,
}

impl Answer {
    /// A header that may come once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }
}

/// One answer after another. `pipe_bytes`: so many wait to be taken at most.
pub fn read(mut heard: &[u8], end: End, pipe_bytes: usize) -> Vec<Answer> {
    let heard_bytes = heard.len();
    let mut answers = Vec::new();
    while !heard.is_empty() {
        let Some(length) = heard.windows(4).position(|window| window == b"\r\n\r\n") else {
            // hyper's own refusal of what is no request is sent once: where the peer has not taken what came before,
            // only what there is room for.
            let is_cut_refusal = heard_bytes >= pipe_bytes && heard.starts_with(b"HTTP/1.1 4");
            assert!(
                end != End::Theirs || is_cut_refusal,
                "half a head after {heard_bytes} bytes: {:?}",
                heard.escape_ascii().to_string()
            );
            break;
        };
        let head = std::str::from_utf8(&heard[..length]).expect("a head is ASCII");
        heard = &heard[length + 4..];
        let mut answer = read_head(head);
        // 100 says that the body may come; the answer follows.
        if answer.status != 100 {
            let rest = read_body(&mut answer, heard);
            assert!(answer.is_whole || end != End::Theirs, "a cut-off answer: {answer:?}");
            heard = rest;
            answers.push(answer);
        }
    }
    answers
}

fn read_head(head: &str) -> Answer {
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a split has a first part");
    let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let (status, reason) = status.and_then(|status| status.split_once(' ')).expect("a status line");
    assert!(status.len() == 3 && is_visible(reason), "{first:?}");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_name) && is_visible(value), "{line:?}");
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answer {
        status: status.parse().expect("three digits"),
        headers: lines.map(header).collect(),
        body: Vec::new(),
        is_head: false,
        is_whole: true,
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// What comes behind it.
fn read_body<'a>(answer: &mut Answer, heard: &'a [u8]) -> &'a [u8] {
    let length = answer.header("content-length").map(|length| length.parse::<usize>().expect("a length"));
    let is_chunked = match answer.header("transfer-encoding") {
        None => false,
        Some(coding) => {
            assert_eq!((coding, length), ("chunked", None));
            true
        }
    };
    if matches!(answer.status, 101..=199 | 204 | 304) {
        return heard;
    }
    // No body of ours begins like this: it is the next answer, and this one was to HEAD.
    let is_next = heard.is_empty() || heard.starts_with(b"HTTP/1.");
    answer.is_head = is_next && length != Some(0);
    match length {
        _ if is_next => heard,
        Some(length) => {
            answer.is_whole = length <= heard.len();
            let (body, rest) = heard.split_at(length.min(heard.len()));
            answer.body = body.to_vec();
            rest
        }
        None if is_chunked => read_chunks(answer, heard),
        // Until the connection ends.
        None => {
            answer.body = heard.to_vec();
            &[]
        }
    }
}

fn read_chunks<'a>(answer: &mut Answer, mut heard: &'a [u8]) -> &'a [u8] {
    answer.is_whole = false;
    while let Some(end) = heard.windows(2).position(|window| window == b"\r\n") {
        let digits = std::str::from_utf8(&heard[..end]).expect("a length is ASCII");
        let length = usize::from_str_radix(digits, 16).expect("a length");
        let Some(chunk) = heard.get(end + 2..end + 2 + length + 2) else {
            break;
        };
        let (chunk, line_end) = chunk.split_at(length);
        assert_eq!(line_end, b"\r\n");
        heard = &heard[end + 2 + length + 2..];
        if length == 0 {
            answer.is_whole = true;
            return heard;
        }
        answer.body.extend(chunk);
    }
    &[]
}
