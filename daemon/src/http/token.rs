//! The token, and the cookie that stands for it in a browser.

use ring::hmac;
use ring::rand::SystemRandom;

use super::HttpError;
use crate::config::Secret;

/// A login lasts so long, in seconds: 30 days.
pub(super) const SESSION_S: u64 = 30 * 24 * 3600;
/// What is signed besides the time, so that the signature stands for nothing else.
const PURPOSE: &str = "belvedere session";

/// The token. Compared in constant time, through a keyed hash: neither a common beginning nor the length shows.
#[derive(Debug)]
pub(super) struct Token {
    /// Of this process alone.
    key: hmac::Key,
    expected: hmac::Tag,
    /// Made of the token: a login outlives the daemon, and a new token ends all logins.
    session_key: hmac::Key,
}

impl Token {
    pub(super) fn new(secret: &Secret) -> Result<Token, HttpError> {
        let key =
            hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| HttpError::Random)?;
        let text = secret.reveal().as_bytes();
        let expected = hmac::sign(&key, text);
        Ok(Token { key, expected, session_key: hmac::Key::new(hmac::HMAC_SHA256, text) })
    }

    /// Whether this is the token.
    pub(super) fn is(&self, presented: &str) -> bool {
        hmac::verify(&self.key, presented.as_bytes(), self.expected.as_ref()).is_ok()
    }

    /// A cookie's value for a login at `now_s`, in seconds since 1970.
    pub(super) fn session(&self, now_s: u64) -> String {
        let until_s = now_s.saturating_add(SESSION_S);
        let tag = hmac::sign(&self.session_key, signed(until_s).as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{until_s}.{hex}")
    }

    /// Whether this is the cookie of a login that has not ended at `now_s`.
    pub(super) fn is_session(&self, cookie: &str, now_s: u64) -> bool {
        let Some((until_s, hex)) = cookie.split_once('.') else {
            return false;
        };
        let (Ok(until_s), Some(tag)) = (until_s.parse::<u64>(), bytes_of(hex)) else {
            return false;
        };
        let is_signed = hmac::verify(&self.session_key, signed(until_s).as_bytes(), &tag).is_ok();
        is_signed && now_s < until_s
    }
}

fn signed(until_s: u64) -> String {
    format!("{PURPOSE} until {until_s}")
}

/// Of 64 hexadecimal digits.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    hex.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::new(&Secret::new(text)).unwrap()
    }

    #[test]
    fn only_the_very_token_is_taken() {
        let token = token("correct horse battery");
        assert!(token.is("correct horse battery"));
        for wrong in ["", "correct horse batter", "correct horse batterY", "correct horse battery "] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_login_ends_by_time_or_with_its_token_and_cannot_be_made_up() {
        let ours = token("correct horse battery");
        let cookie = ours.session(1000);
        assert!(ours.is_session(&cookie, 1000) && ours.is_session(&cookie, 1000 + SESSION_S - 1));
        assert!(!ours.is_session(&cookie, 1000 + SESSION_S));
        assert!(token("correct horse battery").is_session(&cookie, 1000), "after a restart");
        assert!(!token("another horse battery").is_session(&cookie, 1000));
        let (until_s, tag) = cookie.split_once('.').unwrap();
        let later: u64 = until_s.parse::<u64>().unwrap() + 1;
        for wrong in
            [format!("{later}.{tag}"), format!("{until_s}."), format!("{until_s}.{}", "0".repeat(64))]
        {
            assert!(!ours.is_session(&wrong, 1000), "{wrong}");
        }
        for wrong in ["", ".", "x.y", &format!("{until_s}.{}", "é".repeat(32))] {
            assert!(!ours.is_session(wrong, 1000), "{wrong}");
        }
    }
}
