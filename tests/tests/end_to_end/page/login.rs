//! A page behind a token.

use std::fs;

use anyhow::{Context, Result};
use belvedere_tests::http_get;
use tempfile::TempDir;

use super::stage::{Stage, camera, config};
use crate::scene::assert_ends_well;

const TOKEN: &str = "0123456789abcdef-the-token";

#[test]
fn whoever_has_the_token_logs_in_once_and_scripts_never_see_the_login() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n"))?;
    let token_file = format!("token_file = {:?}\n", file.to_str().context("a path")?);
    let mut stage = Stage::open(&config(&token_file, &camera("porch", "test://ball")))?;
    stage.wait("the form", "document.activeElement.id === 'token'")?;
    stage.assert_accessible("the form")?;
    stage.screenshot("login")?;
    stage.browser.type_text("not the token, though as long")?;
    stage.browser.press("Enter")?;
    stage.wait("the refusal", "document.querySelector('.wrong').textContent.includes('not the token')")?;
    stage.click("#token")?;
    stage.browser.type_text(TOKEN)?;
    stage.browser.press("Enter")?;
    stage.wait("a live picture", "document.querySelector('canvas').dataset.frame > 0")?;
    assert_eq!(stage.browser.evaluate("document.cookie")?, "");
    stage.browser.evaluate(
        "(() => { const theme = document.querySelector('#theme'); theme.value = 'dark';
           theme.dispatchEvent(new Event('change')); })()",
    )?;
    let theme = "document.documentElement.dataset.theme";
    assert_eq!(stage.browser.evaluate(theme)?, "dark");
    stage.browser.open(&stage.url)?;
    stage.wait("a live picture again", "document.querySelector('canvas').dataset.frame > 0")?;
    assert_eq!(stage.browser.evaluate(theme)?, "dark", "it is remembered");
    assert_eq!(http_get(&format!("{}api/state", stage.url))?.0, 401);
    assert!(!stage.daemon.output().contains(TOKEN), "the token is in the log");
    // The refused form is told as a failed resource, and nothing else.
    let complaints = stage.browser.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("/login")), "{complaints:#?}");

    stage.screenshot("log-out")?;
    stage.click("#log-out button")?;
    stage.wait("the form after the end of the login", "document.querySelector('#token')")?;
    assert_eq!(stage.browser.evaluate("fetch('/api/state').then(({ status }) => status)")?, 401);
    stage.click("#token")?;
    stage.browser.type_text(TOKEN)?;
    stage.browser.press("Enter")?;
    stage.wait("a live picture after another login", "document.querySelector('canvas').dataset.frame > 0")?;
    // The stream that is open goes on, and new requests are refused: the page must not stand still.
    stage.browser.forget_cookies()?;
    stage.wait("the form when the time of the login is over", "document.querySelector('#token')")?;
    assert_ends_well(&mut stage.daemon)
}
