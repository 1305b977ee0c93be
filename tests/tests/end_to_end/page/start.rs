//! The page of a daemon whose model is not there yet.

use std::fs::{File, create_dir_all};
use std::time::Instant;

use anyhow::{Result, ensure};
use belvedere_tests::http_get;
use tempfile::TempDir;

use super::stage::{Stage, WITHIN, camera, config};

#[test]
fn it_says_what_the_start_is_at_and_goes_on_by_itself_when_there_is_a_model() -> Result<()> {
    let cache = TempDir::new()?;
    // Another process that loads a model is waited for.
    create_dir_all(cache.path().join("loading"))?;
    let lock = File::create(cache.path().join("loading").join("lock"))?;
    lock.lock()?;
    let stage = Stage::open_with(&config("", &camera("garden", "test://ball")), |command| {
        command.env("CACHE_DIRECTORY", cache.path());
    })?;
    stage.wait(
        "what the start is at",
        "document.querySelector('.banner.calm')?.innerText === 'Starting: loading the model. Cameras follow.'",
    )?;
    stage.wait("the broker", "document.querySelector('#broker').textContent === 'Broker connected'")?;
    stage.assert_accessible("a start")?;
    let (status, reason) = http_get(&format!("{}readyz", stage.url))?;
    assert!(status == 503 && reason.contains("loading the model"), "{status}: {reason}");
    assert_eq!(http_get(&format!("{}healthz", stage.url))?.0, 200);
    assert!(http_get(&format!("{}metrics", stage.url))?.1.contains("belvedere_running 0\n"));

    drop(lock);
    stage.wait("the end of the start", "!document.querySelector('.banner')")?;
    stage.wait("a live picture", "document.querySelector('canvas').dataset.frame > 0")?;
    stage.assert_no_complaints();

    let is_looked_at = || -> Result<bool> {
        let metrics = http_get(&format!("{}metrics", stage.url))?.1;
        Ok(metrics.contains("belvedere_camera_viewers{camera=\"garden\"} 1\n"))
    };
    let deadline = Instant::now() + WITHIN;
    while !is_looked_at()? {
        ensure!(Instant::now() < deadline, "the page is open and nobody looks");
    }
    stage.browser.open("about:blank")?;
    // Between two requests nobody looks either: so many times in a row is none of that.
    let mut unseen = 0;
    while unseen < 50 {
        ensure!(Instant::now() < deadline, "the page is left and somebody looks");
        unseen = if is_looked_at()? { 0 } else { unseen + 1 };
    }
    Ok(())
}
