//! The page of a daemon whose model is not there yet.

use std::fs::{File, create_dir_all};

use anyhow::Result;
use belvedere_tests::http_get;
use tempfile::TempDir;

use super::stage::{Stage, camera, config};

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
    Ok(())
}
