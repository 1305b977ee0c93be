//! Cameras that are files.

use anyhow::Result;
use belvedere_tests::{Daemon, write_video};
use tempfile::TempDir;

use crate::scene::{Scene, assert_ends_well};

#[test]
fn a_video_file_that_ends_is_offline_from_then_on_and_the_daemon_goes_on() -> Result<()> {
    let (scene, folder) = (Scene::new()?, TempDir::new()?);
    let path = folder.path().join("short.mp4");
    write_video(&path, 30)?;
    let url = format!("file://{}", path.display());
    let mut daemon = scene.run(&[("clip", &url), ("live", "test://ball")])?;
    scene.status(0, "clip", "online")?;
    scene.results(0, "clip", 3)?;
    scene.status(0, "clip", "offline")?;
    let mark = scene.subscriber.mark();
    scene.results(mark, "live", 5)?;
    assert_ends_well(&mut daemon)
}

#[test]
fn a_video_file_that_is_to_loop_begins_again() -> Result<()> {
    let (scene, folder) = (Scene::new()?, TempDir::new()?);
    let path = folder.path().join("short.mp4");
    write_video(&path, 10)?;
    let config = scene
        .config(&[("clip", &format!("file://{}", path.display()))])
        .replace("name = \"clip\"\n", "name = \"clip\"\nat_end = \"loop\"\n");
    let mut daemon = Daemon::start(&config)?;
    // More frames than the file has.
    let results = scene.results(0, "clip", 15)?;
    for pair in results.windows(2) {
        assert!(pair[0].frame_id < pair[1].frame_id, "{pair:?}");
    }
    assert_ends_well(&mut daemon)
}

#[test]
fn a_file_that_is_no_video_or_not_there_is_an_error_that_names_the_camera() -> Result<()> {
    let (scene, folder) = (Scene::new()?, TempDir::new()?);
    let path = folder.path().join("text.mp4");
    std::fs::write(&path, "no video at all\n".repeat(1000))?;
    let (text, absent) =
        (format!("file://{}", path.display()), format!("file://{}/absent.mp4", folder.path().display()));
    let mut daemon = scene.run(&[("text", &text), ("absent", &absent), ("live", "test://ball")])?;
    scene.status(0, "text", "offline")?;
    scene.status(0, "absent", "offline")?;
    scene.results(0, "live", 3)?;
    assert_ends_well(&mut daemon)
}
