use std::fmt;

use crate::PipelineError;

/// A user and a password. Never shown: `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Credentials from their two parts, as the camera wants them (not percent-encoded).
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// Reads `user:password`, the content of a credentials file: the first colon parts the two, one
    /// line end after the password is dropped.
    pub fn parse(text: &str) -> Result<Self, PipelineError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() && !text.contains(['\n', '\r']) => {
                Ok(Self::new(user, password))
            }
            _ => Err(PipelineError::Credentials),
        }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_is_user_colon_password_with_one_line_end() {
        assert_eq!(Credentials::parse("eve:a:b\r\n").unwrap(), Credentials::new("eve", "a:b"));
        assert_eq!(Credentials::parse("eve:").unwrap(), Credentials::new("eve", ""));
        for wrong in ["", "eve", ":x", "eve:a\nb"] {
            assert_eq!(Credentials::parse(wrong), Err(PipelineError::Credentials), "{wrong:?}");
        }
    }

    #[test]
    fn debug_shows_neither_user_nor_password() {
        let shown = format!("{:?}", Credentials::new("eve", "hunter2"));
        assert!(!shown.contains("eve") && !shown.contains("hunter2"));
    }
}
