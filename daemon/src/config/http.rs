//! `[http]`

use std::net::SocketAddr;
use std::path::Path;

use super::reader::{Read, Reader};
use super::secret::Secret;
use super::settings::HttpSettings;

/// A shorter token could be guessed, in bytes.
const MIN_TOKEN_BYTES: usize = 16;
/// A longer one fits no header that is taken, in bytes.
const MAX_TOKEN_BYTES: usize = 512;
/// How to get a token, for those who have none.
const MAKE_ONE: &str = "make one with: openssl rand -hex 24";

/// Reads the table; `None` in it where `listen` is absent: nothing is served then.
pub(super) fn read(table: &Reader<'_>) -> Read<Option<HttpSettings>> {
    let listen = listen(table);
    let token = token(table);
    let hosts = hosts(table);
    let (listen, token, hosts) = (listen?, token?, hosts?);
    let Some(listen) = listen else {
        if token.is_some() || !hosts.is_empty() {
            table.blame("listen", "is missing; write listen = \"127.0.0.1:8750\", or leave [http] out");
            return None;
        }
        return Some(None);
    };
    if token.is_none() && !listen.ip().to_canonical().is_loopback() {
        table.blame(
            "listen",
            format_args!(
                "{listen} can be reached by others, so a token is needed: write token_file = \"FILE\" ({MAKE_ONE} > \
                 FILE), or listen on 127.0.0.1:{}",
                listen.port()
            ),
        );
        return None;
    }
    Some(Some(HttpSettings { listen, token, hosts }))
}

fn listen(table: &Reader<'_>) -> Read<Option<SocketAddr>> {
    let Some(text) = table.string("listen")? else {
        return Some(None);
    };
    let address = text.parse().ok();
    if address.is_none() {
        table.blame(
            "listen",
            format_args!("{text:?} is no address with a port; write 127.0.0.1:8750 or [::1]:8750"),
        );
    }
    address.map(Some)
}

fn token(table: &Reader<'_>) -> Read<Option<Secret>> {
    let file = table.string("token_file");
    // Known only in the environment: a token has no place in a file that others may read.
    let (key, token) = if table.is_from_environment("token") {
        ("token", table.string("token")?.map(Secret::new))
    } else {
        let token = match file? {
            None => None,
            Some(path) => match token_in(table, path) {
                Ok(secret) => Some(secret),
                Err(error) if table.is_out_of_sight("token_file", path, &error) => Some(Secret::unseen()),
                Err(error) => {
                    table.blame("token_file", format_args!("{path}: {error}; {MAKE_ONE} > {path}"));
                    return None;
                }
            },
        };
        ("token_file", token)
    };
    if let Some(what) = token.as_ref().and_then(|token| unfit(token.reveal())) {
        table.blame(key, format_args!("the token {what}; {MAKE_ONE}"));
        return None;
    }
    Some(token)
}

fn token_in(table: &Reader<'_>, path: &str) -> std::io::Result<Secret> {
    table.names_file(path);
    Secret::from_file(Path::new(path))
}

/// Why a token is none.
fn unfit(token: &str) -> Option<String> {
    if !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len()) {
        return Some(format!("is not {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} characters long"));
    }
    // Anything else could not stand in a header as it is.
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    (!is_plain).then(|| "has other characters than ASCII letters, digits and signs".to_owned())
}

/// Names by which the page may be called, beside addresses, `localhost` and the machine's own.
fn hosts(table: &Reader<'_>) -> Read<Vec<String>> {
    let hosts = table.strings("hosts")?;
    let mut all_good = true;
    for host in &hosts {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(is_name) {
            table.blame(
                "hosts",
                format_args!(
                    "{host:?} is no host name; write it without a scheme and a port: \"nvr.example\""
                ),
            );
            all_good = false;
        }
    }
    all_good.then(|| hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
}
