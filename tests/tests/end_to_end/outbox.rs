//! Where alerts wait for the broker.

use anyhow::Result;
use belvedere_tests::Daemon;
use tempfile::TempDir;

use crate::scene::{Scene, WITHIN, assert_ends_well};

#[test]
fn a_second_daemon_with_the_same_outbox_does_not_start_and_says_why() -> Result<()> {
    let (scene, folder) = (Scene::new()?, TempDir::new()?);
    let path = folder.path().join("deep").join("spool.db");
    let config = scene.config(&[("porch", "test://ball")]).replace(
        "[mqtt]\n",
        &format!("[mqtt]\noutbox = {path:?}\noutbox_messages = 100\noutbox_size = \"8MiB\"\n"),
    );
    let mut first = Daemon::start(&config)?;
    scene.available(0, "online")?;
    assert!(path.exists());
    let mut second = Daemon::start(&config)?;
    let status = second.process.wait_exit(WITHIN)?;
    second.process.wait_output();
    assert_eq!(status.code(), Some(1), "{}", second.output());
    let complaint = format!("spool {}: another process uses it", path.display());
    assert!(second.output().contains(&complaint), "{}", second.output());
    assert_ends_well(&mut first)
}

#[test]
fn an_outbox_in_memory_is_said_to_be_one() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.config(&[("porch", "test://ball")]).replace("[mqtt]\n", "[mqtt]\noutbox = false\n");
    let mut daemon = Daemon::start(&config)?;
    scene.available(0, "online")?;
    let said = daemon.output().lines().filter(|line| line.contains("in memory only")).count();
    assert_eq!(said, 1, "{}", daemon.output());
    assert_ends_well(&mut daemon)
}
