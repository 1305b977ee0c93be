//! Model folders with something wrong: the error names the file, and the daemon does not start without its model.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use belvedere_tests::{Finished, SmallCheckpoint, belvedere, noise_image};
use serde_json::Value;
use tempfile::TempDir;

fn infer_with(model: &Path) -> Result<Finished> {
    let folder = TempDir::new()?;
    let image = folder.path().join("image.png");
    noise_image(&image, 64, 48)?;
    let (model, image) = (model.to_string_lossy(), image.to_string_lossy());
    belvedere(&["infer", "--model", &model, "--max-new-tokens", "4", &image], Duration::from_secs(60))
}

#[test]
fn a_folder_that_is_not_there_is_named() -> Result<()> {
    let folder = TempDir::new()?;
    infer_with(&folder.path().join("nowhere"))?.assert_fails_saying(1, &["nowhere"]);
    Ok(())
}

#[test]
fn a_folder_without_a_model_is_named_with_what_is_missing() -> Result<()> {
    let folder = TempDir::new()?;
    infer_with(folder.path())?.assert_fails_saying(1, &["config.json", &folder.path().to_string_lossy()]);
    Ok(())
}

#[test]
fn a_config_of_another_model_is_an_error_that_names_it() -> Result<()> {
    let checkpoint = SmallCheckpoint::write()?;
    fs::write(checkpoint.path().join("config.json"), r#"{"model_type": "bert", "hidden_size": 768}"#)?;
    infer_with(checkpoint.path())?.assert_fails_saying(1, &["config.json"]);
    Ok(())
}

#[test]
fn a_truncated_safetensors_file_is_an_error_that_names_it() -> Result<()> {
    let checkpoint = SmallCheckpoint::write()?;
    let path = checkpoint.path().join("model.safetensors");
    let length = fs::metadata(&path)?.len();
    for left in [length - 1, length / 2, 100, 4, 0] {
        fs::File::options().write(true).open(&path)?.set_len(left)?;
        infer_with(checkpoint.path())?.assert_fails_saying(1, &["model.safetensors"]);
    }
    Ok(())
}

#[test]
fn a_safetensors_header_of_nonsense_is_an_error_that_names_it() -> Result<()> {
    let checkpoint = SmallCheckpoint::write()?;
    let path = checkpoint.path().join("model.safetensors");
    for header in [&b"\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\x08\0\0\0\0\0\0\0not json"] {
        fs::write(&path, header)?;
        infer_with(checkpoint.path())?.assert_fails_saying(1, &["model.safetensors"]);
    }
    Ok(())
}

#[test]
fn a_tokenizer_without_location_tokens_is_given_them() -> Result<()> {
    let checkpoint = SmallCheckpoint::write()?;
    let path = checkpoint.path().join("tokenizer.json");
    let before = infer_with(checkpoint.path())?;
    assert_eq!(before.status.code(), Some(0), "{before:#?}");

    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path)?)?;
    if let Some(added) = tokenizer["added_tokens"].as_array_mut() {
        added.retain(|token| !token["content"].as_str().is_some_and(|content| content.starts_with("<loc_")));
    }
    fs::write(&path, serde_json::to_vec(&tokenizer)?)?;
    let after = infer_with(checkpoint.path())?;
    assert_eq!(after.status.code(), Some(0), "{after:#?}");
    assert_eq!(before.stdout, after.stdout);

    fs::write(&path, "{}")?;
    infer_with(checkpoint.path())?.assert_fails_saying(1, &["tokenizer.json"]);
    Ok(())
}

#[test]
fn the_daemon_does_not_start_without_its_model() -> Result<()> {
    let folder = TempDir::new()?;
    let config = folder.path().join("belvedere.toml");
    fs::write(
        &config,
        "[mqtt]\nurl = \"embedded\"\nlisten = \"127.0.0.1:0\"\n[model]\npath = \"/nowhere/model\"\n\
         [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
    )?;
    let config = config.to_string_lossy();
    let finished = belvedere(&["run", "--config", &config], Duration::from_secs(30))?;
    assert!(matches!(finished.status.code(), Some(1 | 78)), "{finished:#?}");
    assert!(finished.stderr.contains("/nowhere/model"), "{finished:#?}");
    Ok(())
}
