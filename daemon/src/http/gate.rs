//! Who may ask for what.
//!
//! - By which name the daemon is called: an address, `localhost`, the machine's own name, or one of `http.hosts`. Another
//!   name is that of a stranger's page, which made a browser take this machine for its own (DNS rebinding).
//! - From where: a browser says whether another site's page asks; such requests are refused, but for following a link.
//! - With what: where there is a token, every request needs it, as `Authorization: Bearer TOKEN` or as the cookie of a
//!   login. Whether the process lives and is ready anyone may know.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::Method;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;

use super::HttpError;
use super::failures::Failures;
use super::token::{SESSION_S, Token};
use crate::config::HttpSettings;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It names no host, or one that is not ours.
    Host(String),
    /// Another site's page asks.
    CrossSite,
    /// A token is needed.
    Login,
    /// Too many wrong tokens came.
    TooMany,
}

/// Says who may ask.
#[derive(Debug)]
pub(super) struct Gate {
    token: Option<Token>,
    /// The cookie's name. Browsers give cookies to every port of a host: two daemons on one machine must not take each
    /// other's.
    session: String,
    hosts: Vec<String>,
    failures: Mutex<Failures>,
}

impl Gate {
    pub(super) fn new(settings: &HttpSettings) -> Result<Gate, HttpError> {
        let token = settings.token.as_ref().map(Token::new).transpose()?;
        let mut hosts = settings.hosts.clone();
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let own = own.trim().to_ascii_lowercase();
        if !own.is_empty() {
            hosts.push(format!("{own}.local"));
            hosts.push(own);
        }
        let session = format!("belvedere_session_{}", settings.listen.port());
        Ok(Gate { token, session, hosts, failures: Mutex::new(Failures::new()) })
    }

    /// Whether there is anything to log in to.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// By which name, and from where.
    ///
    /// # Errors
    /// [`Refused::Host`], [`Refused::CrossSite`]
    pub(super) fn check_origin(&self, request: &Parts) -> Result<(), Refused> {
        let authority = authority(request).unwrap_or_default();
        if !self.is_own(host_of(authority)) {
            return Err(Refused::Host(host_of(authority).chars().take(100).collect()));
        }
        let is_reading = matches!(request.method, Method::GET | Method::HEAD);
        match text(&request.headers, "sec-fetch-site") {
            // No page can say so of itself, and behind a proxy the origin is not what the daemon is called by.
            Some("same-origin") => return Ok(()),
            None | Some("none") => {}
            // A link on another page leads here: the browser shows what comes and keeps it from that page.
            Some(_) if is_reading && text(&request.headers, "sec-fetch-mode") == Some("navigate") => {}
            Some(_) => return Err(Refused::CrossSite),
        }
        let origin = request.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        let is_own = |origin: &str| {
            let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            origin.is_some_and(|origin| origin.eq_ignore_ascii_case(authority))
        };
        match origin {
            Some(origin) if !is_own(origin) => Err(Refused::CrossSite),
            _ => Ok(()),
        }
    }

    /// With what.
    ///
    /// # Errors
    /// [`Refused::Login`], [`Refused::TooMany`]
    pub(super) fn check_token(&self, request: &Parts, peer: IpAddr) -> Result<(), Refused> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        if self.sessions(&request.headers).any(|session| token.is_session(session, now_s())) {
            return Ok(());
        }
        match bearer(&request.headers) {
            Some(presented) => self.try_token(presented, peer).map(|_| ()),
            None => Err(Refused::Login),
        }
    }

    /// Tries a token; the cookie of a new login. Where no token is needed, none is right and none is counted.
    ///
    /// # Errors
    /// [`Refused::Login`], [`Refused::TooMany`]
    pub(super) fn try_token(&self, presented: &str, peer: IpAddr) -> Result<String, Refused> {
        let Some(token) = &self.token else {
            return Err(Refused::Login);
        };
        let now = Instant::now();
        // Before it is compared: whoever guesses learns nothing any more.
        if !self.failures().may_try(peer, now) {
            return Err(Refused::TooMany);
        }
        if !token.is(presented) {
            self.failures().failed(peer, now);
            tracing::warn!(%peer, "a wrong token for the page");
            return Err(Refused::Login);
        }
        Ok(self.cookie(&token.session(now_s()), SESSION_S))
    }

    /// The cookie that ends a login.
    pub(super) fn logged_out(&self) -> String {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, max_age_s: u64) -> String {
        format!("{}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict", self.session)
    }

    /// There may be several: of another path, or of another program on this machine.
    fn sessions<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let cookies = cookies.flat_map(|cookies| cookies.split(';'));
        cookies.filter_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == self.session).then_some(value)
        })
    }

    fn is_own(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.');
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| name.eq_ignore_ascii_case(own))
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `HOST:PORT`, as the browser has it in its address bar. Where a request has several, none.
fn authority(request: &Parts) -> Option<&str> {
    let mut named = request.headers.get_all(HOST).iter();
    let (first, second) = (named.next(), named.next());
    match (first, second) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

/// Without the port.
fn host_of(authority: &str) -> &str {
    match authority.rfind(']') {
        Some(end) => authority.get(..=end).unwrap_or_default(),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::config::Secret;

    fn gate(token: Option<&str>) -> Gate {
        gate_at(8750, token)
    }

    fn gate_at(port: u16, token: Option<&str>) -> Gate {
        let listen = ([127, 0, 0, 1], port).into();
        let hosts = vec!["nvr.example".to_owned()];
        Gate::new(&HttpSettings { listen, token: token.map(Secret::new), hosts }).unwrap()
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri("/api/state");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn strange_names_are_refused_and_addresses_and_known_names_are_not() {
        let gate = gate(None);
        for own in [
            "127.0.0.1:8750",
            "192.0.2.1",
            "[::1]:8750",
            "[2001:db8::1]",
            "localhost:1",
            "LocalHost.",
            "NVR.example:80",
        ] {
            assert_eq!(gate.check_origin(&request("GET", &[("host", own)])), Ok(()), "{own}");
        }
        for strange in
            ["evil.example", "evil.example:8750", "localhost.evil.example", "127.0.0.1.evil.example", "", "["]
        {
            let refused = gate.check_origin(&request("GET", &[("host", strange)]));
            assert!(matches!(refused, Err(Refused::Host(_))), "{strange}");
        }
        assert!(gate.check_origin(&request("GET", &[])).is_err());
        assert!(gate.check_origin(&request("GET", &[("host", "localhost"), ("host", "localhost")])).is_err());
    }

    #[test]
    fn another_sites_page_may_link_here_and_nothing_else() {
        let gate = gate(None);
        let check = |method, more: &[(&str, &str)]| {
            gate.check_origin(&request(method, &[&[("host", "localhost:8750")], more].concat()))
        };
        assert_eq!(check("POST", &[]), Ok(()), "no browser");
        assert_eq!(
            check("POST", &[("origin", "http://localhost:8750"), ("sec-fetch-site", "same-origin")]),
            Ok(())
        );
        let behind_a_proxy = [("origin", "https://nvr.example"), ("sec-fetch-site", "same-origin")];
        assert_eq!(check("POST", &behind_a_proxy), Ok(()), "the browser says whose page it is");
        assert_eq!(check("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), Ok(()));
        for (method, more) in [
            ("POST", [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")].as_slice()),
            ("POST", &[("origin", "null")]),
            ("POST", &[("origin", "https://nvr.example"), ("sec-fetch-site", "none")]),
            ("POST", &[("origin", "http://localhost:3000")]),
            ("GET", &[("origin", "http://evil.example")]),
            ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]),
            ("GET", &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]),
            ("POST", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
        ] {
            assert_eq!(check(method, more), Err(Refused::CrossSite), "{method} {more:?}");
        }
    }

    #[test]
    fn where_there_is_a_token_it_is_needed_as_a_header_or_as_a_login() {
        let peer = "192.0.2.1".parse().unwrap();
        assert_eq!(gate(None).check_token(&request("GET", &[]), peer), Ok(()));
        let gate = gate(Some("a token that is long"));
        assert_eq!(gate.check_token(&request("GET", &[]), peer), Err(Refused::Login));
        for right in ["Bearer a token that is long", "bearer  a token that is long "] {
            assert_eq!(gate.check_token(&request("GET", &[("authorization", right)]), peer), Ok(()));
        }
        let cookie = gate.try_token("a token that is long", peer).unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        let value = format!("other=1; {}", cookie.split(';').next().unwrap());
        assert_eq!(gate.check_token(&request("GET", &[("cookie", &value)]), peer), Ok(()));
    }

    #[test]
    fn two_daemons_on_one_host_keep_their_logins_apart() {
        let peer = "192.0.2.1".parse().unwrap();
        let (one, other) =
            (gate_at(8750, Some("a token that is long")), gate_at(8751, Some("another that is long")));
        let pair = |cookie: String| cookie.split(';').next().unwrap().to_owned();
        let first = pair(one.try_token("a token that is long", peer).unwrap());
        let second = pair(other.try_token("another that is long", peer).unwrap());
        assert_ne!(first.split_once('=').unwrap().0, second.split_once('=').unwrap().0);
        let both = request("GET", &[("cookie", &format!("{first}; {second}"))]);
        assert_eq!((one.check_token(&both, peer), other.check_token(&both, peer)), (Ok(()), Ok(())));
    }

    #[test]
    fn where_no_token_is_needed_none_is_wrong() {
        let (gate, peer) = (gate(None), "192.0.2.1".parse().unwrap());
        assert!((0..100).all(|_| gate.try_token("anything", peer) == Err(Refused::Login)), "not counted");
    }

    #[test]
    fn after_too_many_wrong_tokens_the_right_one_is_not_taken_either_but_logins_are() {
        let peer = "192.0.2.1".parse().unwrap();
        let gate = gate(Some("a token that is long"));
        let cookie = gate.try_token("a token that is long", peer).unwrap();
        let wrong = (0..100).filter(|_| gate.try_token("wrong", peer) == Err(Refused::Login)).count();
        assert_eq!(wrong, 5);
        assert_eq!(gate.try_token("a token that is long", peer), Err(Refused::TooMany));
        let logged_in = request("GET", &[("cookie", cookie.split(';').next().unwrap())]);
        assert_eq!(gate.check_token(&logged_in, peer), Ok(()));
    }
}
