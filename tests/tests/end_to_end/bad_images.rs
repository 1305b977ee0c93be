//! `belvedere infer` on images that are none, and on extreme ones.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use belvedere_tests::{SmallCheckpoint, belvedere, noise_image};
use serde_json::Value;
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

fn infer(checkpoint: &SmallCheckpoint, images: &[&str]) -> Result<belvedere_tests::Finished> {
    let model = checkpoint.path().to_string_lossy().into_owned();
    let mut arguments = vec![
        "infer",
        "--model",
        &model,
        "--format",
        "json",
        "--max-new-tokens",
        "12",
        "--task",
        "object-detection",
    ];
    arguments.extend(images);
    belvedere(&arguments, WITHIN)
}

#[test]
fn an_empty_and_a_truncated_image_are_errors_that_name_the_file_and_the_good_one_is_done() -> Result<()> {
    let (checkpoint, folder) = (SmallCheckpoint::write()?, TempDir::new()?);
    let path = |name: &str| folder.path().join(name);
    noise_image(&path("good.png"), 64, 48)?;
    fs::write(path("empty.png"), b"")?;
    let whole = fs::read(path("good.png"))?;
    fs::write(path("truncated.png"), &whole[..whole.len() / 2])?;
    fs::write(path("text.png"), b"no picture at all")?;

    for bad in ["empty.png", "truncated.png", "text.png", "absent.png"] {
        let (good, bad_path) = (path("good.png"), path(bad));
        let finished = infer(&checkpoint, &[&bad_path.to_string_lossy(), &good.to_string_lossy()])?;
        finished.assert_fails_saying(1, &[bad]);
        let line = finished
            .stdout
            .lines()
            .next()
            .with_context(|| format!("the good image was lost: {finished:#?}"))?;
        let result: Value = serde_json::from_str(line)?;
        assert_eq!(result["image"], good.to_string_lossy().as_ref());
    }
    Ok(())
}

#[test]
fn an_image_of_one_pixel_and_one_of_20000_by_3_are_answered_in_their_own_pixels() -> Result<()> {
    let (checkpoint, folder) = (SmallCheckpoint::write()?, TempDir::new()?);
    for (width, height) in [(1, 1), (20_000, 3), (3, 20_000)] {
        let path = folder.path().join(format!("{width}x{height}.png"));
        noise_image(&path, width, height)?;
        let finished = infer(&checkpoint, &[&path.to_string_lossy()])?;
        assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
        let result: Value = serde_json::from_str(&finished.stdout)?;
        assert_eq!((&result["width"], &result["height"]), (&width.into(), &height.into()));
        assert_eq!(result["task"], "object-detection");
        let ids = result["token_ids"].as_array().context("token_ids")?;
        assert_eq!((&ids[0], &ids[1]), (&2.into(), &0.into()));
        for stage in ["preprocess", "vision", "encoder", "decode"] {
            assert!(result["timing_ms"][stage].is_number(), "{stage}: {result}");
        }
    }
    Ok(())
}
